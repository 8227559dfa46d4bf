"""The image of jobs: its recipe and the runner in it. Runs in the container, on its own."""
