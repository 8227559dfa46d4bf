"""Six programs that compute with PyTorch, each a script of its own."""
