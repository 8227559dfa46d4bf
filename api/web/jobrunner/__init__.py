"""`/jobrunner`: what users of the Slurm job runner call. Translating only."""
