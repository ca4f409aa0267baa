#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""directives.py CLONE: print which directives of our units the versions of systemd know.

CLONE is a git repository of systemd with its tags (https://github.com/systemd/systemd). What it
prints is directives.txt, which test_units.py compares with the units.
"""
from __future__ import annotations

import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SYSTEMD = HERE.parents[1] / "systemd"
# EL 7, SLES 12 and Ubuntu 16.04, Debian 9, Ubuntu 18.04, EL 8, Ubuntu 20.04.
VERSIONS = (219, 229, 232, 237, 239, 245)
TABLE = "src/core/load-fragment-gperf.gperf.m4"
GROUPS = "src/shared/seccomp-util.c"


def units() -> dict[str, list[tuple[str, str]]]:
    """The directives of each unit and drop-in, with section ("Unit.After") and values."""
    found = {}
    for path in sorted(SYSTEMD.iterdir()):
        if path.suffix not in (".service", ".conf") or "[Unit]" not in path.read_text():
            continue
        section, lines = "", []
        for line in path.read_text().replace("\\\n", " ").splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif line and line[0] not in "#;":
                name, value = line.split("=", 1)
                lines.append((f"{section}.{name}", value))
        found[path.name] = lines
    return found


def used() -> list[str]:
    """All directives, and groups of system calls, that our units use."""
    names = set()
    for lines in units().values():
        for name, value in lines:
            names.add(name)
            if name == "Service.SystemCallFilter":
                names |= {f"{name} {group}" for group in re.findall(r"@[a-z-]+", value)}
    return sorted(names)


def known(clone: str, version: int) -> set[str]:
    """What a version of systemd knows, from its source."""
    def show(path: str) -> str:
        return subprocess.run(["git", "-C", clone, "show", f"v{version}:{path}"], check=True,
                              stdout=subprocess.PIPE, text=True).stdout

    # A macro of m4 contains the directives that all kinds of units with processes have.
    names = re.findall(r"^`?(\$1|[A-Z][a-z]+)\.(\w+),", show(TABLE), re.M)
    groups = re.findall(r'"(@[a-z-]+)"', show(GROUPS))
    return {f"{section.replace('$1', 'Service')}.{name}" for section, name in names} | \
        {f"Service.SystemCallFilter {group}" for group in groups}


def read_table() -> dict[str, dict[int, bool]]:
    """Read directives.txt: which versions know each directive."""
    found = {}
    for line in (HERE / "directives.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, *cells = line.rsplit(maxsplit=len(VERSIONS))
            found[name] = {version: cell == "yes" for version, cell in zip(VERSIONS, cells)}
    return found


def main() -> None:
    """Print the table."""
    table = {version: known(sys.argv[1], version) for version in VERSIONS}
    print("# SPDX-License-Identifier: GPL-2.0-only\n"
          "# Made by: tests/static/directives.py CLONE-OF-SYSTEMD")
    print("#" + " " * 47 + "".join(f"{version:>5}" for version in VERSIONS))
    for name in used():
        print(f"{name:<48}" + "".join(
            f"{'yes' if name in table[version] else '-':>5}" for version in VERSIONS))


if __name__ == "__main__":
    main()
