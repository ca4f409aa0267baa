# SPDX-License-Identifier: GPL-2.0-only
"""What tests run of module and daemon: counted in guests, collected when they end (tests/coverage).

HV_VSS_COVERAGE names a directory for the counts; without it nothing is counted. A guest whose kernel
is "gcov" counts for the module too. What a daemon counted that was killed is lost.
"""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path

from .agent import Agent

# As the unit tests are compiled for it, so that lines and branches of both can be put together.
CFLAGS = "-O0 -g --coverage -fprofile-update=atomic"
COUNTS = "/run/hvtest/gcov"
ENVIRONMENT = ("env", f"GCOV_PREFIX={COUNTS}", "GCOV_PREFIX_STRIP=99") \
    if "HV_VSS_COVERAGE" in os.environ else ()
# Prints each file's name and content.
SCRIPT = f"""mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug || true
mkdir -p {COUNTS}/module
for f in /sys/kernel/debug/gcov/tmp/*/src/*.gcda; do
    [ ! -e "$f" ] || cat "$f" >"{COUNTS}/module/$(basename "$f")"; done
cd {COUNTS}
for f in *.gcda module/*.gcda; do
    [ ! -e "$f" ] || {{ echo "file $f"; base64 "$f"; }}; done"""


def wanted() -> bool:
    """Is this a run that counts?"""
    return "HV_VSS_COVERAGE" in os.environ


def collect(agent: Agent) -> None:
    """Fetch the counts of a guest that is about to end; one that no longer answers has none."""
    try:
        text = agent.try_run("sh", "-c", SCRIPT, timeout=60).out
    except AssertionError:
        return
    top = Path(os.environ["HV_VSS_COVERAGE"])
    top.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="guest.", dir=top))
    for part in text.split("file ")[1:]:
        name, _, content = part.partition("\n")
        kind = "module" if name.startswith("module/") else "daemon"
        (place / kind).mkdir(exist_ok=True)
        (place / kind / Path(name).name).write_bytes(base64.b64decode(content))
