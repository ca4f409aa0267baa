# SPDX-License-Identifier: GPL-2.0-only
"""What the README tells an admin to type in the guest."""

from __future__ import annotations

import re
from pathlib import Path

TEXT = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
# Commands that need a cause: SELinux, a freeze by another process, Secure Boot.
NOT_HERE = ("ausearch", "fsfreeze", "echo j ", "mokutil")
# How a command line begins; the host's commands, file names and options begin otherwise.
BEGINS = ("hv-vss-daemon ", "/usr/libexec/hv-vss/", "dkms ", "journalctl ", "systemctl ", *NOT_HERE)


def block(after: str) -> list[str]:
    """The lines of the first indented block after a line that starts with `after`, without comments."""
    rest = re.split(rf"^{re.escape(after)}.*\n", TEXT, maxsplit=1, flags=re.M)[1]
    lines = re.search(r"(?:^ {4}.*\n)+", rest, re.M).group().splitlines()
    return [line.split("#")[0].strip() for line in lines]


def inline(heading: str) -> list[str]:
    """The commands in the text of a section."""
    section = re.split(rf"^#+ {heading}\n", TEXT, maxsplit=1, flags=re.M)[1].split("\n#", 1)[0]
    return [code for code in re.findall(r"`([^`]+)`", section)
            if code.startswith(BEGINS) and not code.startswith(NOT_HERE)]
