# SPDX-License-Identifier: GPL-2.0-only
"""nomem_sweep.py PRELOAD SEEN COMMAND...: repeat a command; each time another allocation fails."""
from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys


def run(preload: str, seen: pathlib.Path, command: list[str], nth: int,
        on: bool) -> tuple[subprocess.CompletedProcess[str], int]:
    """The result of the command, and the number of its allocations; -1 if it crashed."""
    env = {"LD_PRELOAD": preload, "NOMEM_AT": str(nth), "NOMEM_SEEN": str(seen), "PATH": "/bin"}
    seen.unlink(missing_ok=True)
    if "--list" in command:     # --status would only lack details
        env["NOMEM_OPENS"] = "1"
    done = subprocess.run(command, env=env | ({"NOMEM_ON": "1"} if on else {}), text=True,
                          capture_output=True, check=False, timeout=60)
    done.stdout = _AGE.sub("", done.stdout)
    return done, int.from_bytes(seen.read_bytes(), sys.byteorder) if seen.exists() else -1


# Ages differ between two runs.
_AGE = re.compile(r"\bage=\d+s|\d+ (?:s|min|h|days) ago")
# A thread could not be started, or file systems without details are only counted.
SAID = re.compile(r'memory|Resource temporarily unavailable|and \d more|left_out": [1-9]')


def sweep(preload: str, seen: pathlib.Path, command: list[str]) -> None:
    whole, count = run(preload, seen, command, 0, False)
    assert count > 0, whole
    for on in (False, True):
        for nth in range(1, count + 1):
            done, _ = run(preload, seen, command, nth, on)
            what = f"allocation {nth}{' and all later ones' if on else ''} failed: {done}"
            assert done.returncode >= 0, what
            if done.stdout != whole.stdout or done.returncode != whole.returncode:
                assert done.returncode, what
                assert SAID.search(done.stdout + done.stderr), what
    print(f"{count} allocations, each failed alone and with all later ones")


if __name__ == "__main__":
    os.chdir("/")
    sweep(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:])
