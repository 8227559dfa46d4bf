"""Folders and git working copies as the truth: what they declare is made so, see README.md."""
