# SPDX-License-Identifier: GPL-2.0-only
"""The daemon's promises about memory: while file systems are frozen it allocates none from the kernel,
whatever is mounted meanwhile; otherwise it needs little. The same for its guardian."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from bench.rig import programs
from hvtest import faults, host, kernels
from hvtest.agent import until
from hvtest.guest import Guest
from hvtest.stack import OURS, STOCK, Stack

DAEMON = "/usr/sbin/hv-vss-daemon"
MOUNTS = 3000
IDLE_KIB = 1536
# How long the daemon's second FIFREEZE waits; meanwhile all these are mounted.
PAUSE_MS = 20000


def heap(guest: Guest, pid: int) -> tuple[int, int]:
    """Size and resident, in KiB."""
    text = guest.agent.run("cat", f"/proc/{pid}/smaps")
    found = re.search(r"\[heap\]\nSize:\s+(\d+) kB(?:\n.*)*?\nRss:\s+(\d+) kB", text)
    assert found, text
    return int(found[1]), int(found[2])


def resident(guest: Guest, pid: int, name: str = "VmRSS") -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", guest.agent.run("cat", f"/proc/{pid}/status"))
    assert found
    return int(found[1])


def mappings(guest: Guest, pid: int) -> list[str]:
    """How much of each mapping is resident, for the message of a failure."""
    found = re.findall(r"^[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \S+ *(.*)\n(?:.*\n)*?Rss: +(\d+) kB",
                       guest.agent.run("cat", f"/proc/{pid}/smaps"), re.MULTILINE)
    return [f"{size} {mode} {name}" for mode, name, size in
            sorted(found, key=lambda f: -int(f[2])) if int(size)]


def page_faults(guest: Guest, pid: int) -> tuple[int, int]:
    """Of all threads, those that read from a disk second: fields 10 and 12 of proc(5)."""
    lines = guest.agent.shell(f"cat /proc/{pid}/task/*/stat").splitlines()
    fields = [line.rpartition(")")[2].split() for line in lines]
    return sum(int(f[7]) for f in fields), sum(int(f[9]) for f in fields)


def guardian(guest: Guest) -> int:
    look = "grep -lsx hv-vss-guardian /proc/[0-9]*/comm || true"
    return int(until(lambda: guest.agent.shell(look), 10, "there is a guardian").split("/")[2])


@pytest.fixture(params=(OURS, STOCK))
def stack(request: pytest.FixtureRequest, boot: Callable[..., Guest]) -> Stack:
    guest = boot(kernels.chosen("bookworm")[0])
    guest.mount_data()
    if request.param == STOCK:      # how long it takes varies
        guest.host.expect_error(kind="missing")
        guest.host.expect_error(kind="late")
    stack = Stack(guest, request.param, OURS)
    stack.load()
    return stack


def test_memory_of_daemon_and_guardian(stack: Stack) -> None:
    guest, agent = stack.guest, stack.guest.agent
    stack.start_daemon()        # puts the program there
    stack.stop_daemon()
    agent.put(faults.FAULT_SO, faults.fault_library().read_bytes(), 0o755)
    agent.put("/run/hvtest/mounts", (programs() / "mounts").read_bytes(), 0o755)
    agent.run("mkdir", "-p", "/run/bound")
    daemon = stack.daemon = agent.start("env", f"HV_FAULT=fifreeze-before:2=sleep-{PAUSE_MS}",
                                        f"LD_PRELOAD={faults.FAULT_SO}", DAEMON,
                                        "--fifreeze-timeout=100")
    stack.wait_serving()
    processes = [daemon.pid] + ([guardian(guest)] if stack.module == STOCK else [])
    sent = guest.host.send("freeze")
    live = f"/proc/{daemon.pid}/task"
    until(lambda: "hrtimer_nanosleep" in agent.shell(f"cat {live}/*/wchan 2>&1 || true"), 60, "it freezes")
    before = [(heap(guest, pid), page_faults(guest, pid)) for pid in processes]
    agent.run("/run/hvtest/mounts", "bind", "0", str(MOUNTS), "/run/bound", timeout=60)
    assert guest.host.answer(sent, 120)["status"] == host.OK, daemon.err
    after = [(heap(guest, pid), page_faults(guest, pid)) for pid in processes]
    print(f"heap (KiB), page faults: {before}; {MOUNTS} mounts later: {after}")
    assert guest.host.ask("thaw")["status"] == host.OK, daemon.err
    assert before == after
    agent.run("/run/hvtest/mounts", "unbind", "0", str(MOUNTS), timeout=60)
    stack.stop_daemon()


def flags(guest: Guest, pid: int) -> set[int]:
    """Of all threads of a process: PF_MEMALLOC_NOIO, or 0."""
    stat = guest.agent.shell(f"cat /proc/{pid}/task/*/stat")
    return {int(line.rpartition(")")[2].split()[6]) & 0x80000 for line in stat.splitlines()}


def test_memory_is_not_freed_by_writing_to_file_systems(stack: Stack) -> None:
    """They may be frozen. The flag is that of PR_SET_IO_FLUSHER, since 5.6."""
    guest = stack.guest
    assert guest.kernel.version >= (5, 6)
    stack.start_daemon()
    processes = [stack.daemon.pid] + ([guardian(guest)] if stack.module == STOCK else [])
    assert guest.host.ask("freeze")["status"] == host.OK
    for pid in processes:
        assert flags(guest, pid) == {0x80000}
    assert guest.host.ask("thaw")["status"] == host.OK
    stack.stop_daemon()


def test_memory_at_rest(stack: Stack) -> None:
    guest = stack.guest
    stack.start_daemon()
    for _ in range(2):
        stack.back_up()
        guest.agent.run("sleep", "1")
        processes = [stack.daemon.pid] + ([guardian(guest)] if stack.module == STOCK else [])
        sizes = [(resident(guest, pid), resident(guest, pid, "VmHWM")) for pid in processes]
        print(f"resident and peak (KiB): {sizes}")
        for pid, (size, _) in zip(processes, sizes):
            assert size <= IDLE_KIB, mappings(guest, pid)
    stack.stop_daemon()
