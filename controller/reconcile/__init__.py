"""The decision, pure: observed values in, a plan out. Start reading at `plan.py`."""
