"""The gRPC services: thin, one method per call, everything else is behind `api/ports.py`."""
