"""Cumulus: jobs on fractions of a GPU for a bounded time.

The repository's root is this package; see ARCHITECTURE.md for the rooms.
"""

__version__ = "0.1.0"
