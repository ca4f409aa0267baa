# SPDX-License-Identifier: GPL-2.0-only
"""Our daemon on the kernel's own driver, which has no guard: a process that watches over the daemon
thaws what that leaves frozen; if both are gone, whoever comes next does."""

from __future__ import annotations

import time

import pytest

from hvtest import faults, host
from hvtest.agent import until
from hvtest.stack import OURS, STOCK

DEADLY = {"KILL": 9, "SEGV": 11, "ABRT": 6}
BEFORE_THE_ANSWER = ("fifreeze-after:1", "fifreeze-after:2", "fifreeze-after:4")
GRACE = 2.5     # seconds that the daemon has to keep its hold limit itself, and a look at the clock


@pytest.fixture(scope="module")
def pairing() -> tuple[str, str]:
    return STOCK, OURS


def record(rig: faults.Rig, fault: str, *results) -> None:
    rig.record(f"{fault}, without the kernel's guard", *results)


def guardian(rig: faults.Rig) -> str:
    """Its pid; it is there since the first request."""
    def pid() -> str:
        return rig.agent.shell("grep -lsx hv-vss-guardian /proc/[0-9]*/comm | head -n 1 || true"
                               ).strip()

    return until(pid, 5, "there is a guardian").split("/")[2]


def kill_both(rig: faults.Rig) -> float:
    """The daemon and who watches over it; when."""
    assert rig.daemon
    rig.agent.run("kill", "-9", guardian(rig), str(rig.daemon.pid))
    died = rig.daemon.wait().end
    rig.daemon = None
    return died


def test_driver_is_the_kernels_own(rig: faults.Rig) -> None:
    rig.start()
    assert "hv_vss" not in [line.split()[0] for line in
                            rig.agent.run("cat", "/proc/modules").splitlines()]
    assert "without a guard" in rig.daemon.err


@pytest.mark.parametrize("step", [*BEFORE_THE_ANSWER, "reply-freeze-after", "read-thaw",
                                  "fithaw-after:2"])
@pytest.mark.parametrize("action", DEADLY)
def test_daemon_dies(rig: faults.Rig, action: str, step: str) -> None:
    daemon = rig.start(f"{step}={action}")
    freeze = rig.host.ask("freeze")
    in_thaw = step in ("read-thaw", "fithaw-after:2")
    sent = rig.host.send("thaw") if in_thaw else None
    died = daemon.wait().end
    rig.daemon = None
    seconds = rig.thawed_after(died)
    thaw = rig.host.answer(sent) if sent else rig.host.ask("thaw")
    record(rig, f"SIG{action} at {step}", freeze, thaw, seconds)
    assert seconds <= rig.limit
    assert freeze["status"] == (host.FAIL if step in BEFORE_THE_ANSWER else host.OK)
    assert thaw["status"] == host.FAIL
    if action == "SEGV":        # the kernel's note of it is what was asked for
        rig.guest.bad_kernel_lines()


def test_daemon_is_stopped_while_frozen(rig: faults.Rig) -> None:
    hold = 3 * rig.scale
    daemon = rig.start("reply-freeze-after=STOP", f"--hold={hold}")
    freeze = rig.host.ask("freeze")
    begun = rig.now()
    seconds = rig.thawed_after(begun + hold - 1)
    daemon.kill(18)
    thaw = rig.host.ask("thaw")
    record(rig, "SIGSTOP at reply-freeze-after", freeze, thaw, f"hold limit + {seconds - 1:.2f}")
    assert freeze["status"] == host.OK
    assert seconds - 1 <= GRACE + rig.limit
    assert thaw["status"] == host.FAIL


def test_killed_inside_fifreeze(rig: faults.Rig) -> None:
    """The others are thawed at once, the one whose disk hangs when that comes back."""
    daemon = rig.start()
    rig.agent.run("/sbin/dmsetup", "suspend", "--nolockfs", "xfs")
    rig.host.send("freeze", expect="any")
    time.sleep(1)
    daemon.kill(9)
    died = rig.now()
    everybody = rig.writers
    rig.writers = {name: w for name, w in everybody.items() if name != "xfs"}
    try:
        seconds = rig.thawed_after(died)
    finally:
        rig.writers = everybody
        rig.agent.run("/sbin/dmsetup", "resume", "xfs")
    resumed = rig.now()
    late = rig.thawed_after(resumed)
    daemon.wait()
    rig.daemon = None
    thaw = rig.host.ask("thaw")
    record(rig, "SIGKILL inside FIFREEZE (disk hangs)", None, thaw,
           f"{seconds:.2f}, disk back + {late:.2f}")
    assert seconds <= rig.limit
    assert late <= rig.limit
    assert thaw["status"] == host.FAIL


@pytest.mark.parametrize("who", ["the next daemon", "--thaw-leftovers"])
def test_both_are_killed_and_the_next_one_thaws(rig: faults.Rig, who: str) -> None:
    rig.start()
    assert rig.host.ask("freeze")["status"] == host.OK
    kill_both(rig)
    assert rig.thawed_after(rig.now(), timeout=1) == float("inf"), "who has thawed?"
    begun = rig.now()
    if who == "the next daemon":
        rig.start()
    else:
        rig.agent.run("/usr/sbin/hv-vss-daemon", who)
    seconds = rig.thawed_after(begun)
    thaw = rig.host.ask("thaw")
    record(rig, f"SIGKILL of daemon and guardian; {who}", "success", thaw,
           f"its start + {seconds:.2f}")
    assert seconds <= rig.limit
    assert thaw["status"] == host.FAIL


def test_foreign_freeze_survives_every_clean_up(rig: faults.Rig) -> None:
    """Frozen by somebody else before: neither guardian nor next daemon touch it.

    (A kill in the microseconds of the one FIFREEZE that fails for that reason can't be told from
    one in the seconds of a FIFREEZE that is about to succeed, and is taken for the latter. The
    module's guard has no such doubt.)"""
    with rig.frozen_by_others("xfs"):
        # In the roll back of the others: they are frozen at the same time as it is refused.
        daemon = rig.start("fithaw-after:1=KILL")
        assert rig.host.ask("freeze")["status"] == host.FAIL
        died = daemon.wait().end
        rig.daemon = None
        assert rig.thawed_after(died) <= rig.limit
        rig.start()
        assert rig.host.ask("freeze")["status"] == host.FAIL
        rig.end()


def test_freeze_by_others_after_both_died_is_left_alone(rig: faults.Rig) -> None:
    """The notes must not outlive the freeze that they are about."""
    rig.start()
    assert rig.host.ask("freeze")["status"] == host.OK
    assert rig.host.ask("thaw")["status"] == host.OK
    kill_both(rig)
    with rig.frozen_by_others("xfs"):
        rig.start()


def test_guardian_is_replaced(rig: faults.Rig) -> None:
    rig.start()
    assert rig.host.ask("freeze")["status"] == host.OK
    first = guardian(rig)
    rig.agent.run("kill", "-9", first)
    assert rig.host.ask("thaw")["status"] == host.OK
    assert rig.host.ask("freeze")["status"] == host.OK
    assert guardian(rig) != first
    rig.daemon.kill(9)
    died = rig.daemon.wait().end
    rig.daemon = None
    assert rig.thawed_after(died) <= rig.limit


def test_guardian_ends_with_its_daemon(rig: faults.Rig) -> None:
    rig.start()
    pid = guardian(rig)
    rig.end()
    until(lambda: not rig.agent.try_run("test", "-e", f"/proc/{pid}").status == 0, 5,
          "the guardian has ended")
