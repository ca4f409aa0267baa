# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's flushers write before syncfs() does, and the setting is restored afterwards."""

from __future__ import annotations

import re

import pytest

from hvtest import host, kernels
from hvtest.stack import OURS, Stack

MACHINES = [f"{suite}-1cpu-{OURS}" for suite in kernels.chosen("bullseye", "bookworm", "sid")]
SETTING = "/proc/sys/vm/dirty_writeback_centisecs"
# So that 64 MiB stay dirty until they are flushed.
LIMITS = {"dirty_bytes": 1 << 28, "dirty_background_bytes": 1 << 27, "dirty_expire_centisecs": 360000}
WROTE = re.compile(r"writeback took \d+ ms: (\d+) KiB dirty before, (-?\d+) KiB after")


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def patient(stack: Stack) -> Stack:
    """With a verbose daemon."""
    for name, value in LIMITS.items():
        stack.guest.agent.shell(f"echo {value} >/proc/sys/vm/{name}")
    stack.stop_daemon()
    stack.start_daemon("--verbose")
    return stack


def back_up_dirty(stack: Stack) -> tuple[int, int] | None:
    """Back up with 64 MiB dirty. Returns what was dirty before and after the flushers, in KiB."""
    assert stack.daemon
    agent = stack.guest.agent
    agent.shell("sync; dd if=/dev/zero of=/data/ext4/dirty bs=1M count=64 conv=notrunc 2>/dev/null")
    known = len(stack.daemon.err)
    assert stack.guest.host.ask("freeze")["status"] == host.OK
    assert stack.guest.host.ask("thaw")["status"] == host.OK
    stack.wait_serving()
    found = WROTE.search(stack.daemon.err[known:])
    return (int(found[1]), int(found[2])) if found else None


@pytest.mark.parametrize("interval", (0, 1, 500, 123456))
def test_setting_is_restored(patient: Stack, interval: int) -> None:
    agent = patient.guest.agent
    agent.shell(f"echo {interval} >{SETTING}")
    amounts = back_up_dirty(patient)
    assert agent.run("cat", SETTING).strip() == str(interval)
    assert amounts, patient.daemon and patient.daemon.err
    if interval > 1:    # with 1 the kernel flushes every 10 ms anyway
        assert amounts[0] > 50000 and amounts[1] <= 8192


def test_setting_can_not_be_written(patient: Stack) -> None:
    """The setting can't be written, as in a container: then syncfs() writes everything."""
    agent = patient.guest.agent
    agent.shell(f"echo 0 >{SETTING}; mount --bind -o ro /proc/sys /proc/sys; "
                "mount -o remount,bind,ro /proc/sys")
    try:
        assert back_up_dirty(patient) is None
    finally:
        agent.run("/bin/umount", "/proc/sys")
    assert agent.run("cat", SETTING).strip() == "0"
