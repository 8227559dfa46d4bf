"""Everything that acts, waits or remembers: the plan's hands and eyes. Start at `reconciler.py`."""
