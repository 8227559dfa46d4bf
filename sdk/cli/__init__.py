"""`cumulusctl`: see main.py for the entry point and app.py for the list of commands."""
