"""What runs a job's Python code: a parent that pumps its output, a child that is the job.

Only the standard library, Python 3.10 and up, and as few imports as possible: a job waits for
each of them. `runner.py` calls `supervise.main`; nothing else of Cumulus imports this.
"""
