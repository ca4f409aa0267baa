# SPDX-License-Identifier: GPL-2.0-only
"""A daemon that crashes while file systems are frozen, where core dumps are written to them: by a
program that core_pattern names, as in most distributions, or by the kernel. A process that dumps
core does not end before the core is written, which can't be before the thaw."""

from __future__ import annotations

import pytest

from hvtest import faults, host
from hvtest.stack import OURS, STOCK

SEGV, ABRT = 11, 6


@pytest.fixture(scope="module", params=[(OURS, OURS), (STOCK, OURS)], ids="-".join)
def pairing(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture(autouse=True)
def _core_dumps(rig: faults.Rig) -> None:
    if absent := rig.lacks_core_dumps():
        pytest.skip(absent)


def record(rig: faults.Rig, fault: str, *results) -> None:
    where = "" if rig.stack.module == OURS else ", without the kernel's guard"
    rig.record(fault + where, *results)


def crash(rig: faults.Rig, number: int) -> float:
    """Returns when it crashed; it may not have ended yet."""
    assert rig.daemon
    begun = rig.now()
    rig.daemon.kill(number)
    return begun


def has_ended(rig: faults.Rig) -> None:
    assert rig.daemon
    rig.daemon.wait()
    rig.daemon = None
    rig.guest.bad_kernel_lines()    # the kernel's note of it is what was asked for


@pytest.mark.parametrize("number", (SEGV, ABRT), ids=("SEGV", "ABRT"))
@pytest.mark.parametrize("place", faults.CORES)
def test_crash_while_frozen(rig: faults.Rig, place: str, number: int) -> None:
    with rig.cores_go_to(place):
        rig.start()
        rig.may_dump()
        freeze = rig.host.ask("freeze")
        begun = crash(rig, number)
        seconds = rig.thawed_after(begun)
        thaw = rig.host.ask("thaw")
        has_ended(rig)
    name = "SEGV" if number == SEGV else "ABRT"
    record(rig, f"SIG{name} while frozen, and dumps core {place}", freeze, thaw, seconds)
    assert seconds <= rig.limit
    assert (freeze["status"], thaw["status"]) == (host.OK, host.FAIL)


def test_daemon_that_dumps_is_dead(rig: faults.Rig) -> None:
    """Even if it can dump core, guard and guardian must treat it as dead."""
    with rig.cores_go_to("through a pipe"):
        rig.start("undumpable-before:2=errno-22")   # the first one is at the start
        rig.may_dump()
        freeze = rig.host.ask("freeze")
        begun = crash(rig, SEGV)
        seconds = rig.thawed_after(begun)
        thaw = rig.host.ask("thaw")
        has_ended(rig)
    record(rig, "SIGSEGV while frozen, and can't help dumping core", freeze, thaw, seconds)
    assert seconds <= rig.limit
    assert (freeze["status"], thaw["status"]) == (host.OK, host.FAIL)


def test_crash_while_a_worker_hangs(rig: faults.Rig) -> None:
    """The kernel waits for all threads before it checks RLIMIT_CORE, which is 0 here."""
    rig.start()
    rig.agent.run("/sbin/dmsetup", "suspend", "--nolockfs", "xfs")
    sent = rig.host.send("freeze", expect="any")
    rig.agent.run("sleep", "1")
    begun = crash(rig, SEGV)
    all_writers = rig.writers
    rig.writers = {name: w for name, w in all_writers.items() if name != "xfs"}
    try:
        seconds = rig.thawed_after(begun)
    finally:
        rig.writers = all_writers
        rig.agent.run("/sbin/dmsetup", "resume", "xfs")
    late = rig.thawed_after(rig.now())
    has_ended(rig)
    freeze = rig.host.answer(sent) if rig.stack.module == OURS else None
    thaw = rig.host.ask("thaw")
    record(rig, "SIGSEGV inside FIFREEZE (disk hangs), and dumps core", freeze, thaw,
           f"{seconds:.2f}, disk back + {late:.2f}")
    assert seconds <= rig.limit
    assert late <= rig.limit
    assert thaw["status"] == host.FAIL
