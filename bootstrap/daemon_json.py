# noqa: INP001 (a script beside scripts, no package)
"""What a worker's Docker Engine is told in daemon.json: set beside what is there, never over it.

    daemon_json.py plan FILE [--nvidia]   lines `KEY JSON` that are missing; exit 3 on a conflict
    daemon_json.py set FILE               reads such lines, sets those that are still missing
    daemon_json.py unset FILE             reads such lines, removes what still has that value
    daemon_json.py follows FILE           exit 0 where the `docker info` JSON on stdin agrees

A key with a slash is one entry of a mapping. Standard library only; called by `engine.sh`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

# The pool lies within the engine's own default range, cut smaller: a thousand networks, not thirty.
WANTED: Final[Mapping[str, Any]] = {
    "default-address-pools": [{"base": "172.28.0.0/14", "size": 24}],
    "log-driver": "json-file",
    "log-opts": {"max-size": "10m", "max-file": "3"},
    "no-new-privileges": True,
}
NVIDIA: Final[Mapping[str, Any]] = {
    "default-runtime": "nvidia",
    "runtimes/nvidia": {"path": "nvidia-container-runtime", "runtimeArgs": []},
}
LOGGING: Final = ("log-driver", "log-opts")  # options of one driver stop the engine with another
CONFLICT: Final = 3


class ConflictError(Exception):
    """A value of the operator's that a worker cannot do with."""


def missing(content: Mapping[str, Any], *, nvidia: bool) -> dict[str, Any]:
    """What is to be set. ConflictError where a GPU worker has another default runtime."""
    wanted = {**WANTED, **(NVIDIA if nvidia else {})}
    if any(key in content for key in LOGGING):
        wanted = {key: value for key, value in wanted.items() if key not in LOGGING}
    runtime = content.get("default-runtime")
    if nvidia and runtime not in (None, "nvidia"):
        raise ConflictError(
            f"default-runtime is {runtime!r}: expected nvidia, since a Swarm's services reach a GPU "
            "by the default runtime only"
        )
    return {key: value for key, value in wanted.items() if get(content, key) is None}


def get(content: Mapping[str, Any], key: str) -> Any:
    """The value, None where there is none."""
    outer, _, inner = key.partition("/")
    found = content.get(outer)
    return found.get(inner) if inner and isinstance(found, dict) else None if inner else found


def with_keys(content: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """With those keys that are missing."""
    result = json.loads(json.dumps(content))
    for key, value in keys.items():
        outer, _, inner = key.partition("/")
        if get(result, key) is None:
            if inner:
                result.setdefault(outer, {})[inner] = value
            else:
                result[outer] = value
    return dict(result)


def without_keys(content: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """Without those keys that still have the value given."""
    result = json.loads(json.dumps(content))
    for key, value in keys.items():
        outer, _, inner = key.partition("/")
        if get(result, key) == value:
            if inner:
                del result[outer][inner]
            if not inner or not result[outer]:
                del result[outer]
    return dict(result)


def follows(content: Mapping[str, Any], info: Mapping[str, Any]) -> bool:
    """Whether a running engine was started with this file, as far as every version tells."""
    pools = [
        {"base": pool["Base"], "size": pool["Size"]}
        for pool in info.get("DefaultAddressPools") or ()
    ]
    seen = {
        "default-address-pools": pools,
        "log-driver": info.get("LoggingDriver"),
        "default-runtime": info.get("DefaultRuntime"),
    }
    return all(content[key] == value for key, value in seen.items() if key in content)


def read(path: Path) -> dict[str, Any]:
    """Its content. ConflictError where it is no JSON object."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8") or "{}")
    except ValueError as e:
        raise ConflictError(f"is no JSON: {e}") from e
    if not isinstance(content, dict):
        raise ConflictError("is no JSON object")
    return content


def write(path: Path, content: Mapping[str, Any]) -> None:
    """All at once; an empty one is removed."""
    if not content:
        path.unlink(missing_ok=True)
        return
    new = path.with_suffix(".json.cumulus-new")
    new.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    new.replace(path)


def lines(text: Iterable[str]) -> dict[str, Any]:
    """Keys and values from lines `KEY JSON`."""
    pairs = (line.strip().partition(" ") for line in text if line.strip())
    return {key: json.loads(value) for key, _, value in pairs}


def main(arguments: list[str]) -> int:
    """See the module docstring."""
    verb, path = arguments[0], Path(arguments[1])
    try:
        content = read(path)
        if verb == "plan":
            for key, value in missing(content, nvidia="--nvidia" in arguments).items():
                sys.stdout.write(f"{key} {json.dumps(value, separators=(',', ':'))}\n")
        elif verb == "set":
            write(path, with_keys(content, lines(sys.stdin)))
        elif verb == "unset":
            write(path, without_keys(content, lines(sys.stdin)))
        else:
            return 0 if follows(content, json.load(sys.stdin)) else 1
    except ConflictError as e:
        sys.stderr.write(f"{path}: {e}\n")
        return CONFLICT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
