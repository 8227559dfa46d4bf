"""The agent of a worker: leases, deadlines, staging, logs; its machine and its controller."""
