"""Python functions as jobs: what they need, packed; their arguments and results; their handles."""
