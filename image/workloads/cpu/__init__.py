"""Seven programs that compute, each a script of its own."""
