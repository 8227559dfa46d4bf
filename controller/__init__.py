"""Owns the truth: records in a store, a loop that makes them true, the services of the API."""
