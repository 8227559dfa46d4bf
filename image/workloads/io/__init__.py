"""Seven programs that write, read and move data, each a script of its own."""
