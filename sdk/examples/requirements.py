"""Packages for a job: this file says itself what it needs (PEP 723), and its functions get that.

    python requirements.py

A list (`requirements=["tomli-w"]`), a requirements.txt or a pyproject.toml do as well. They are
installed once per worker and list, not once per job, and need not be installed here: that is why
the function imports them itself.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["tomli-w==1.2.0"]
# ///

import os

from cumulus.sdk import CumulusClient

SERVER = os.environ.get("CUMULUS_SERVER", "127.0.0.1:50051")


def as_toml(settings: dict[str, object]) -> str:
    import tomli_w

    text: str = tomli_w.dumps(settings)
    return text


def main() -> None:
    with CumulusClient(SERVER) as client:
        settings = {"title": "from a job", "epochs": 3}
        text = client.run(as_toml, gpu_memory=None, requirements=__file__, args=[settings])
        print(text, end="")


if __name__ == "__main__":
    main()
