# SPDX-License-Identifier: GPL-2.0-only
"""The cache of built things, outside of the work tree, each under a hash of what it is made of."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
TOP = TESTS.parent


class HarnessError(Exception):
    """The harness itself failed: not a result of a test."""


def root() -> Path:
    base = os.environ.get("HV_VSS_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hv-vss"


def content_hash(*items: Path | str) -> str:
    """A hash of files (by content), directories (all files in them) and strings."""
    digest = hashlib.sha256()
    for item in items:
        if isinstance(item, str):
            digest.update(b"s" + item.encode() + b"\0")
            continue
        files = sorted(p for p in item.rglob("*") if p.is_file()) if item.is_dir() else [item]
        for file in files:
            digest.update(b"f" + file.name.encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


@contextmanager
def lock(name: str) -> Iterator[None]:
    """A lock between processes."""
    directory = root() / "lock"
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / name, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def made(kind: str, key: str, make: Callable[[Path], None], what: str) -> Path:
    """The directory kind/key, which make() fills if it isn't there; older ones of its kind go
    when they have not been used for a day."""
    place = root() / kind / key
    if not place.exists():
        with lock(f"{kind}-{key}"):
            if not place.exists():
                say(f"making {what}")
                building = place.with_name(f".{key}.{os.getpid()}")
                shutil.rmtree(building, ignore_errors=True)
                building.mkdir(parents=True)
                try:
                    make(building)
                    building.rename(place)
                finally:
                    shutil.rmtree(building, ignore_errors=True)
    os.utime(place)
    return place


def say(text: str) -> None:
    print(f"hv-vss: {text}", file=sys.stderr, flush=True)


def run(*argv: str | Path, **options) -> str:
    """Run a program of this machine; returns its output, or raises an error with the output."""
    result = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                            **options)
    if result.returncode:
        raise HarnessError(f"{' '.join(str(a) for a in argv)}: exit {result.returncode}\n"
                           f"{result.stdout[-8000:]}")
    return result.stdout


def need(*packages: str) -> None:
    """Install the Debian packages that are missing on this machine."""
    script = f'. "{TESTS}/lib.sh"; hv_need "$@"'
    subprocess.run(["bash", "-euo", "pipefail", "-c", script, "hv_need", *packages],
                   stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True)
