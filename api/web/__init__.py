"""The HTTP side: probes, metrics, jobs as JSON, and the dashboard. `app.py` puts it together."""
