"""Bare Debian roots for machines: what an operator gets who rents one, and this checkout in it.

The root's packages are fetched once and kept in ${CUMULUS_CACHE:-~/.cache/cumulus}.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
CHECKOUT = "/root/cumulus"  # in the root
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
TRUSTED = "/etc/ssl/of-this-machine.crt"  # no package writes there
PASSED_ON = ("PIP_INDEX_URL", "http_proxy", "https_proxy", "no_proxy")


def sources() -> str:
    """apt's, of the mirror that this machine's images are built from."""
    mirror = os.environ.get("CUMULUS_DEBIAN_MIRROR", "http://deb.debian.org")
    return (
        f"deb {mirror}/debian {SUITE} main\n"
        f"deb {mirror}/debian {SUITE}-updates main\n"
        f"deb {mirror}/debian-security {SUITE}-security main\n"
    )


def tarball(*include: str) -> Path:
    """Of the smallest Debian there is and these packages, made where it is missing (half a minute)."""
    cache = Path(os.environ.get("CUMULUS_CACHE") or Path.home() / ".cache" / "cumulus")
    cache.mkdir(parents=True, exist_ok=True)
    recipe = hashlib.sha256(f"{SUITE} minbase {include} {sources()}".encode()).hexdigest()[:16]
    made = cache / f"bare-{SUITE}-{recipe}.tar"
    with (cache / "bare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            part = made.with_suffix(".part.tar")
            subprocess.run(
                [
                    *("mmdebstrap", "--quiet", "--variant=minbase"),
                    *(f"--include={name}" for name in include),
                    *(SUITE, str(part), "-"),
                ],
                input=sources(),
                text=True,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            part.replace(made)
    return made


def unpack(root: Path, *include: str) -> Path:
    """A new root at this path, with this checkout in it, these packages and nothing else."""
    root.mkdir(parents=True)
    subprocess.run(["tar", "-xf", tarball(*include), "-C", root], check=True)
    (root / "etc/apt/sources.list").write_text(sources())
    (root / TRUSTED.strip("/")).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(CERTIFICATES, root / TRUSTED.strip("/"))
    checkout = root / CHECKOUT.strip("/")
    checkout.mkdir(parents=True)
    files = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    ).stdout
    tar = ["tar", "-c", "-C", str(ROOT), "--ignore-failed-read", "--null", "-T", "-"]
    packed = subprocess.run(tar, input=files, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(checkout)], input=packed, check=True)
    return root


def trust() -> dict[str, str]:
    """The environment in which package indexes are reached there as they are here."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {"PIP_CERT": TRUSTED, "SSL_CERT_FILE": TRUSTED, **passed}


# What is in a tree, to compare

TRACES = (  # what package managers and programs leave that nobody takes for a change
    "var/log", "var/cache", "var/lib/apt", "var/lib/dpkg", "run", "tmp", "var/tmp", "proc", "sys",
    "dev", "etc/ld.so.cache", "root/.cache",
)  # fmt: skip


def tree(root: Path, without: tuple[str, ...] = TRACES) -> dict[str, str]:
    """Each path below with its kind, mode and content's hash; mounts and `without` left out."""
    return dict(_walk(root, root, without))


def _walk(root: Path, folder: Path, without: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = os.path.relpath(entry.path, root)
            if name in without:
                continue
            stat = entry.stat(follow_symlinks=False)
            if entry.is_symlink():
                yield name, f"link {Path(entry.path).readlink()}"
            elif entry.is_dir():
                yield name, f"folder {stat.st_mode:o}"
                yield from _walk(root, Path(entry.path), without)
            elif entry.is_file():
                with open(entry.path, "rb") as file:  # noqa: PTH123 (thousands of files)
                    digest = hashlib.file_digest(file, "sha1").hexdigest()
                yield name, f"file {stat.st_mode:o} {digest}"
