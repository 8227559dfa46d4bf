"""A job without Python code: an image and a command, with its exit code as the outcome.

    python image_job.py

The same mapping as a file is what `cumulusctl apply` takes; `client.submit("job.yaml")` too.
"""

import os
import uuid

from cumulus.api.frames import Log
from cumulus.sdk import CumulusClient, Done, JobFailedError

SERVER = os.environ.get("CUMULUS_SERVER", "127.0.0.1:50051")
IMAGE = os.environ.get("CUMULUS_IMAGE", "cumulus-job:latest")  # any that the workers can have


def job(command: str) -> dict[str, object]:
    return {
        "metadata": {"name": f"image-job-{uuid.uuid4().hex[:8]}"},
        "spec": {
            "image": IMAGE,
            "command": ["/bin/sh", "-c", command],
            "gpu": None,
            "resources": {"cpus": "250m", "memory": "128Mi"},
            "duration": "1m",
        },
    }


def main() -> None:
    with CumulusClient(SERVER) as client:
        *_, done = client.submit_and_stream(job("echo hello from an image"))
        assert isinstance(done, Done)
        print("phase:", done.job.status.phase.value)
        for log in client.logs(done.job):
            assert isinstance(log, Log)  # or LogsLost, of very long output
            print("log:", log.record.data.decode(), end="")

        failing = client.submit(job("exit 3"))
        try:
            client.result(failing)
        except JobFailedError as error:
            print("failed with exit code", error.job.status.exit_code)


if __name__ == "__main__":
    main()
