"""A folder as a job: its main.py has main(); .cumulusignore says what stays here.

    python folder.py

The same from a shell: `cumulusctl run folder_job --arg words='["a", "b"]'`. The folder's zip is the
same for the same files, so that it is uploaded once, however often it is run.
"""

import os
from pathlib import Path

from cumulus.sdk import CumulusClient

SERVER = os.environ.get("CUMULUS_SERVER", "127.0.0.1:50051")
FOLDER = Path(__file__).with_name("folder_job")


def main() -> None:
    with CumulusClient(SERVER) as client:
        counted = client.run_folder(
            FOLDER, gpu_memory=None, duration="5m", args={"words": ["lorem", "amet", "nothing"]}
        )
        print(counted)


if __name__ == "__main__":
    main()
