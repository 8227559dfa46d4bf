"""Data that jobs read: uploaded once, kept by its content, read-only and unpacked in the job.

    python dataset.py

The same from a shell: `cumulusctl datasets put poems/`, and `datasets: [{name: poems}]` in a job's
spec. Uploading again what is there sends nothing; an upload that broke off goes on where it was.
"""

import os
import tempfile
from pathlib import Path

from cumulus.sdk import CumulusClient, Options

SERVER = os.environ.get("CUMULUS_SERVER", "127.0.0.1:50051")


def count_words(name: str) -> dict[str, int]:
    from cumulus_job import dataset_dir

    files = sorted(Path(dataset_dir(name)).rglob("*.txt"))
    return {file.name: len(file.read_text().split()) for file in files}


def main() -> None:
    with CumulusClient(SERVER) as client, tempfile.TemporaryDirectory() as folder:
        poems = Path(folder) / "poems"
        poems.mkdir()
        (poems / "one.txt").write_text("the fog comes on little cat feet")
        (poems / "two.txt").write_text("so much depends upon a red wheel barrow")
        kept = client.datasets.upload(poems, name="example-poems", replace=True)
        print("kept:", kept.status.files, "files as", kept.spec.format.value)

        options = Options(gpu_memory=None, duration="5m", datasets=["example-poems"])
        words = client.call(count_words, ["example-poems"], options=options)
        print("words:", words)

        again = client.datasets.upload(poems, name="example-poems")
        print("again, and nothing was sent:", again.spec.digest == kept.spec.digest)
        back = client.datasets.download("example-poems", folder)
        print("and back:", back.name)
        client.datasets.delete("example-poems")


if __name__ == "__main__":
    main()
