#!/bin/sh
# Starts the runner in place of the shell, so that signals reach it.
exec "${CUMULUS_PYTHON:-python3}" /opt/cumulus/runner.py
