# SPDX-License-Identifier: GPL-2.0-only
"""tests/CONSTRUCTIONS.md: the results of our stack and the stock one."""
from __future__ import annotations

import json
import pathlib
import sys

from hvtest.constructions import CONSTRUCTIONS, COPY

HEAD = """# Constructions

These are setups of disks, files and mounts that admins use. Each was set up in a booted Debian 12 and
backed up by our stack and by the stock one (hv_utils and Debian's hv_vss_daemon). The columns FREEZE and
THAW have the answer to the host and the time until it came (in an emulated machine without KVM, on busy
processors). With our stack every file system that can be frozen was not written to between the two
answers, and accepted writes afterwards. With the stock stack "no answer" means that the daemon hangs: file
systems stay frozen until an admin kills the daemon and thaws them. A file system that "went on" was written
to although the host had been told that it was frozen.

`tests/construction-table` writes this file; the scripts are in `tests/hvtest/constructions.py`. Remarks on
our stack are the daemon's messages, in their wording at the time of the run. The stock stack fails
in {bad} of {all} cases: it hangs with file systems frozen, calls a backup good although files were written during
it, or fails the backup.

| construction | ours: FREEZE | THAW | remark | stock: FREEZE | THAW | remark |
|---|---|---|---|---|---|---|
"""
COLUMNS = [(stack, key) for stack in ("ours", "stock") for key in ("freeze", "thaw", "remark")]
Row = dict[tuple[str, str], str]


def read(table: pathlib.Path) -> dict[str, Row]:
    """The existing rows, by construction."""
    rows: dict[str, Row] = {}
    for line in table.read_text(encoding="utf-8").splitlines() if table.exists() else ():
        cells = [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]
        if len(cells) == 1 + len(COLUMNS) and cells[0] != "construction" and set(cells[0]) != {"-"}:
            rows[cells[0]] = dict(zip(COLUMNS, cells[1:], strict=True))
    return rows


def add(rows: dict[str, Row], results: pathlib.Path) -> None:
    """Add the results of a run."""
    for line in results.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        row = rows.setdefault(one["construction"], {})
        for key in ("freeze", "thaw", "remark"):
            row[one["stack"], key] = one.get(key, "").replace("|", "/")


def is_bad(name: str, row: Row) -> bool:
    """No backup, one that is not good, or a hang. (COPY: file systems in files were not frozen.)"""
    freeze, thaw = row.get(("stock", "freeze"), ""), row.get(("stock", "thaw"), "")
    return (name == COPY or " went on" in freeze or not freeze.startswith("success") or
            not thaw.startswith("success"))


def write(table: pathlib.Path, rows: dict[str, Row]) -> None:
    """All rows, in the order of the constructions; one without results is empty."""
    names = list(dict.fromkeys((*CONSTRUCTIONS, *rows)))
    told = [name for name in names if rows.get(name, {}).get(("stock", "freeze"))]
    text = HEAD.format(bad=sum(is_bad(name, rows[name]) for name in told), all=len(told))
    for name in names:
        cells = [name, *(rows.get(name, {}).get(column, "") for column in COLUMNS)]
        text += "| " + " | ".join(cells) + " |\n"
    table.write_text(text, encoding="utf-8")


def main(results: str, table: str) -> None:
    path = pathlib.Path(table)
    rows = read(path)
    add(rows, pathlib.Path(results))
    write(path, rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
