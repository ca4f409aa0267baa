# SPDX-License-Identifier: GPL-2.0-only
"""CPU time and memory of the daemon between backups."""

from __future__ import annotations

import re

import pytest

from hvtest import kernels
from hvtest.stack import OURS, STOCK, Stack

SECONDS = 5


def wakeups(stack: Stack) -> int:
    """How often threads of the daemon have been given a CPU."""
    assert stack.daemon
    counts = stack.guest.agent.run("sh", "-c", f"cat /proc/{stack.daemon.pid}/task/*/status")
    return sum(map(int, re.findall(r"voluntary_ctxt_switches:\s+(\d+)", counts)))


def memory(stack: Stack) -> dict[str, int]:
    """In KiB."""
    assert stack.daemon
    said = stack.guest.agent.run("cat", f"/proc/{stack.daemon.pid}/status")
    return {name: int(size) for name, size in re.findall(r"(Vm\w+|Rss\w+):\s+(\d+) kB", said)}


@pytest.mark.parametrize("module", (OURS, STOCK))
def test_an_idle_daemon_sleeps(module: str, boot) -> None:
    guest = boot(kernels.chosen("bookworm")[0])
    guest.mount_data()
    stack = Stack(guest, module, OURS)
    stack.load()
    stack.start_daemon()
    stack.back_up()
    guest.agent.run("sleep", "1")       # until the log is written
    before = wakeups(stack)
    guest.agent.run("sleep", str(SECONDS))
    assert wakeups(stack) == before
    ours = memory(stack)
    stack.stop_daemon()
    stock = Stack(guest, module, STOCK)
    stock.start_daemon()
    theirs = memory(stock)
    stock.stop_daemon()
    print(f"resident: {ours['VmRSS']} KiB, of that its own {ours['RssAnon']}; "
          f"stock daemon: {theirs['VmRSS']}, {theirs['RssAnon']}")
    assert ours["RssAnon"] < 16 << 10
