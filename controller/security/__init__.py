"""Who is who: the controller's own authority, join tokens, workers' identities. See `setup.py`."""
