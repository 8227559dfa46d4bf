"""Secrets of a job: which ones its container finds, by name. Their values are never in a spec. Pure.

A value lies in a file of the controller's secrets folder, and comes to the container as a file
below /run/secrets that only its user can read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import Field

from .meta import Model

SECRETS_DIR: Final = "/run/secrets"
"""Where a container finds them."""

ENV_SECRETS_DIR: Final = "CUMULUS_SECRETS_DIR"
"""Environment variable of a job with the folder of its secrets."""

ENV_SECRETS: Final = "CUMULUS_SECRET_ENV"
"""Environment variable of a code job with a JSON object: variable → file of that folder from which
the runner is to set it."""

MOST_SECRETS: Final = 32
"""Secrets of one job."""

_PATTERN: Final = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$"


class SecretMount(Model):
    """One secret in a job's container. name: of the file in the controller's secrets folder, of the
    job's owner before everybody's; file: its name below /run/secrets, the secret's own where it is
    not given; env: variable that main() finds it in too, for jobs with code.
    """

    name: Annotated[str, Field(pattern=_PATTERN)]
    file: Annotated[str, Field(pattern=_PATTERN)] | Literal[""] = ""
    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | Literal[""] = ""

    @property
    def target(self) -> str:
        """Its file in the container."""
        return f"{SECRETS_DIR}/{self.file or self.name}"


def check_secrets(secrets: Sequence[SecretMount], env: Sequence[str]) -> None:
    """ValueError where two would be the same file or variable. env: variables that are set anyway."""
    if len(secrets) > MOST_SECRETS:
        raise ValueError(f"{len(secrets)} secrets are given, expected at most {MOST_SECRETS}")
    files = [one.target for one in secrets]
    names = [one.env for one in secrets if one.env] + list(env)
    for what, found in (("file", files), ("variable", names)):
        twice = next((one for one in found if found.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"{what} {twice} is given twice: expected one value for each")
