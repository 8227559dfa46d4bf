"""Where attempts run: one narrow port (`base`), and its drivers for Docker Swarm, plain processes
and tests. I/O at the edges; imports the resources and the plan's words only.
"""
