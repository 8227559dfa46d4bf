"""What a caller sees of its jobs while it waits: on terminals and in notebooks."""
