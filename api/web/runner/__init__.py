"""`/runner`: what users of the distributed workload runner call. Translating only."""
