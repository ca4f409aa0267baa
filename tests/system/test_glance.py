# SPDX-License-Identifier: GPL-2.0-only
"""What hv-vss-daemon shows on a terminal in a booted guest: the tree of --list over real layers of
disks, the table of --status after real backups, and --watch during one."""

from __future__ import annotations

import json
import re

import pytest

from hvtest import glance, host, kernels
from hvtest.agent import until
from hvtest.stack import Stack

STYLE = re.compile("\033\\[[0-9;]*m")


@pytest.fixture(scope="module", params=kernels.chosen("bookworm"))
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def shared(machine: str, machines, tmp_path_factory) -> Stack:
    spares = glance.add_spares(tmp_path_factory.mktemp("spares"))
    stack = Stack(machines.boot(machine, more_disks=spares))
    glance.set_up(stack)
    return stack


def parent_of(lines: list[str], at: int) -> str:
    """The name in the line above in the tree."""
    column = len(re.match("[│├└─ ]*", lines[at]).group())
    for line in reversed(lines[:at]):
        if len(re.match("[│├└─ ]*", line).group()) < column:
            return re.sub("^[│├└─ ]*", "", line).split()[0]
    return ""


def test_tree_of_real_layers(shared: Stack) -> None:
    text = glance.shown(shared, 100, "--list")
    print(text)
    lines = text.splitlines()
    found = {}
    for at, line in enumerate(lines):
        words = re.sub("^[│├└─ ]*", "", line).split(maxsplit=3)
        found.setdefault(words[0], (parent_of(lines, at), line))
    disks = {f"spare{n}": shared.guest.agent.run(
        "/bin/bash", "-euc", f". {glance.TOOLS_SH}; basename $(spare {n})").strip()
        for n in range(1, 6)}
    # Of the two disks of the mirror the one with the lower name is first.
    assert found["md_9"][0] == min(disks["spare1"], disks["spare2"])
    assert text.count("(see above)") == 1
    assert found["/srv/www"][0] == "md_9" and " raid1 " in found["md_9"][1]
    assert found["vg-mail"][0] == disks["spare3"] and " lvm " in found["vg-mail"][1]
    assert found["/srv/mail"][0] == "vg-mail"
    loop = found["/srv/image"][0]
    assert loop.startswith("loop") and found[loop][0] == "/srv/www"
    assert "(file /srv/www/image)" in found[loop][1]
    assert "skip it: swap" in found["vg-swap"][1]
    assert found["/srv/efi"][0] == disks["spare4"]
    assert "only sync it: this type can't be frozen" in found["/srv/efi"][1]
    assert "skip it: nothing is mounted" in found[disks["spare5"]][1]
    listed = json.loads(shared.guest.agent.run(glance.DAEMON, "--list", "--json"))
    below = {fs["path"]: sorted(fs["disks"]) for fs in listed["file_systems"]}
    mirror = sorted([disks["spare1"], disks["spare2"]])
    assert below["/srv/www"] == below["/srv/image"] == mirror
    assert below["/srv/mail"] == [disks["spare3"]]
    assert below["/srv/efi"] == [disks["spare4"]]
    numbers = {fs["path"]: fs["order"] for fs in listed["file_systems"] if "order" in fs}
    for path, number in numbers.items():
        assert re.search(rf"freeze it, as number {number}\b", found[path][1]), path


def test_table_of_real_backups(shared: Stack) -> None:
    glance.back_up_several_times(shared)
    status = json.loads(
        shared.guest.agent.run(glance.DAEMON, "--status", "--json"))["backups"]
    for width in (60, 80, 120):
        table = glance.table(glance.shown(shared, width, "--status"))
        print(table)
        assert max(map(len, table.splitlines())) <= width
        rows = [line.split() for line in table.splitlines() if re.match(r"\d", line)]
        assert [row[2][:4] for row in rows] == ["ok", "ok", "FAIL", "ok"]
        assert "  the hooks have failed" in table.splitlines()
        styled = glance.table(STYLE.sub("", glance.shown(shared, width, "--status", plain=False)))
        assert styled == table
    longest = max(backup["hooks_ms"] for backup in status)
    assert all(200 < backup["hooks_ms"] < 5000 for backup in status) and longest
    held = [backup["held_ms"] for backup in status]
    assert held[0] > 1900 and int(rows[0][4]) >= 1900       # frozen, as the table has it
    assert "\033[" in glance.shown(shared, 80, "--status", plain=False)


def test_watch_follows_a_backup(shared: Stack) -> None:
    agent = shared.guest.agent
    watch = agent.start("env", "TERM=dumb", glance.DAEMON, "--status", "--watch")
    until(lambda: "idle: no backup is being made" in watch.out, 10, "it says idle")
    assert shared.guest.host.ask("freeze", timeout=60)["status"] == host.OK
    until(lambda: "frozen for" in watch.out, 10, "it says frozen")
    assert shared.guest.host.ask("thaw", timeout=60)["status"] == host.OK
    until(lambda: re.search(r"backup \d+: ok\n", watch.out), 10, "it says the result")
    until(lambda: watch.out.rstrip().endswith("idle: no backup is being made"), 10, "idle again")
    watch.kill(2)
    assert watch.wait().status == 0
