"""What the dashboard shows, as frozen values made of records: pure, and free of the time of day.

Two equal values look the same, so that `live.py` knows by comparing what it has to send. Whatever
changes with time alone (ages, what is left) is a moment here, and put into words by the browser.
"""
