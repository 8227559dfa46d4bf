"""The resources of `cumulus.dev/v1`. Pure: imports nothing of ours, reads no clock, no network."""
