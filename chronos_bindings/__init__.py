"""Shares of devices on this worker: who holds them, what they are worth, what devices there are."""
