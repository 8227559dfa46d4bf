"""Twenty programs that load a machine in known ways and check what they compute. See README.md."""
