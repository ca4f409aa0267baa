# SPDX-License-Identifier: GPL-2.0-only
"""The fault matrix: whatever happens to the daemon at whatever step, everything accepts writes
again at once, and the host is not told that a broken backup is good.

Four file systems (root, ext4, xfs, btrfs) are written to all the time. Each row of the matrix ends
with a backup that works without any repair.
"""

from __future__ import annotations

import os
import time

import pytest

from hvtest import faults, host
from hvtest.agent import until
from hvtest.stack import OURS

FILE_SYSTEMS = 4
# At which step of a backup the fault happens.
FREEZE, FROZEN, THAW, DONE = "freeze", "frozen", "thaw", "done"
STEPS = {
    "read-freeze": FREEZE,
    "fifreeze-before:1": FREEZE,
    **{f"fifreeze-after:{n}": FREEZE for n in range(1, FILE_SYSTEMS + 1)},
    "reply-freeze-before": FREEZE,
    "reply-freeze-after": FROZEN,
    "read-thaw": THAW,
    **{f"fithaw-after:{n}": THAW for n in range(1, FILE_SYSTEMS + 1)},
    "reply-thaw-before": THAW,
    "reply-thaw-after": DONE,
}
# The table has every fault at every step, which takes twenty minutes. By default only the daemon's
# death is tested at every step.
TABLE = "HV_VSS_RESULTS" in os.environ
SOME_STEPS = STEPS if TABLE else (
    "fifreeze-after:2", "reply-freeze-before", "reply-freeze-after", "read-thaw", "fithaw-after:2")
DEATHS = [("KILL", step) for step in STEPS] + [
    (action, step) for action in (("SEGV", "ABRT") if TABLE else ("SEGV",)) for step in SOME_STEPS]


def expected(phase: str, action: str) -> tuple[str, str]:
    """What the host must hear for FREEZE and for THAW."""
    if action == "TERM" or phase == DONE:
        return host.OK, host.OK
    return (host.FAIL if phase == FREEZE else host.OK), host.FAIL


def backup(rig: faults.Rig) -> tuple[host.Message, host.Message]:
    """FREEZE and THAW as by a real host, but without its time limit."""
    freeze = rig.host.ask("freeze")
    if freeze["status"] == host.OK:
        time.sleep(0.3)
    return freeze, rig.host.ask("thaw")


@pytest.mark.parametrize("action, step", DEATHS)
def test_daemon_dies(rig: faults.Rig, action: str, step: str) -> None:
    daemon = rig.start(f"{step}={action}")
    freeze = rig.host.ask("freeze")
    if freeze["status"] == host.OK and STEPS[step] in (THAW, DONE):
        time.sleep(0.2)
        thaw = rig.host.ask("thaw")
        died = daemon.wait().end
        seconds = rig.thawed_after(died)
    else:
        died = daemon.wait().end
        seconds = rig.thawed_after(died)
        thaw = rig.host.ask("thaw")
    rig.daemon = None
    rig.record(f"SIG{action} at {step}", freeze, thaw, seconds)
    assert seconds <= rig.limit
    assert (freeze["status"], thaw["status"]) == expected(STEPS[step], action)
    if action == "SEGV":        # the kernel's log line about it is expected
        rig.guest.bad_kernel_lines()


@pytest.mark.parametrize("step", SOME_STEPS)
def test_daemon_is_told_to_stop(rig: faults.Rig, step: str) -> None:
    """SIGTERM, as from a package upgrade: the daemon ends the backup, and then exits."""
    daemon = rig.start(f"{step}=TERM")
    freeze, thaw = backup(rig)
    result = daemon.wait()
    rig.daemon = None
    seconds = rig.thawed_after(result.end)
    rig.record(f"SIGTERM at {step}", freeze, thaw, seconds)
    assert (freeze["status"], thaw["status"]) == (host.OK, host.OK), result.err
    assert result.status == 0, result.err
    assert seconds <= rig.limit


@pytest.mark.parametrize("step", SOME_STEPS)
def test_daemon_is_stopped_by_a_signal(rig: faults.Rig, step: str) -> None:
    """SIGSTOP: the guard thaws when the hold limit is over; after SIGCONT backups work again."""
    daemon = rig.start(f"{step}=STOP")
    sent = rig.host.send("freeze")
    if STEPS[step] in (FREEZE, FROZEN):
        # By then all is frozen, and the hold limit counts.
        until(lambda: ") T " in rig.agent.run("cat", f"/proc/{daemon.pid}/stat"), 60, "it stops")
        begun = rig.now()
        seconds = rig.thawed_after(begun + rig.hold, timeout=rig.hold + 10 * rig.scale)
        freeze = rig.host.answer(sent, timeout=180)
        thaw = rig.host.ask("thaw")
    else:
        freeze = rig.host.answer(sent)
        begun = rig.now()
        thaw = rig.host.ask("thaw")
        seconds = rig.thawed_after(begun + rig.hold, timeout=rig.hold + 10 * rig.scale)
    rig.record(f"SIGSTOP at {step}", freeze, thaw, f"hold limit + {seconds:.2f}")
    daemon.kill(18)
    assert (freeze["status"], thaw["status"]) == expected(STEPS[step], "STOP")
    assert seconds <= rig.limit
    until(lambda: rig.host.ask("hot_backup")["status"] == host.OK, 20, "the daemon serves again")
    rig.backup_works()


def test_killed_while_frozen_nothing_is_left_and_the_next_backup_works(rig: faults.Rig) -> None:
    daemon = rig.start()
    assert rig.host.ask("freeze")["status"] == host.OK
    daemon.kill(9)
    died = daemon.wait().end
    rig.daemon = None
    seconds = rig.thawed_after(died)
    thaw = rig.host.ask("thaw")
    rig.record("SIGKILL while frozen", "success", thaw, seconds)
    assert seconds <= rig.limit
    assert thaw["status"] == host.FAIL


def test_killed_inside_fifreeze(rig: faults.Rig) -> None:
    """FIFREEZE hangs in the kernel until the disk answers again; its thread can't be killed."""
    daemon = rig.start()
    rig.agent.run("/sbin/dmsetup", "suspend", "--nolockfs", "xfs")
    sent = rig.host.send("freeze")
    time.sleep(1)
    daemon.kill(9)
    time.sleep(0.5)
    rig.agent.run("/sbin/dmsetup", "resume", "xfs")
    resumed = rig.now()
    freeze = rig.host.answer(sent)
    daemon.wait()
    rig.daemon = None
    seconds = rig.thawed_after(resumed)
    thaw = rig.host.ask("thaw")
    rig.record("SIGKILL inside FIFREEZE (disk hangs)", freeze, thaw, seconds)
    assert (freeze["status"], thaw["status"]) == (host.FAIL, host.FAIL)
    assert seconds <= rig.limit


def test_next_daemon_after_a_dead_one_that_hangs(rig: faults.Rig) -> None:
    """A killed daemon keeps its lock as long as its FIFREEZE hangs."""
    daemon = rig.start()
    rig.agent.run("/sbin/dmsetup", "suspend", "--nolockfs", "xfs")
    sent = rig.host.send("freeze")
    time.sleep(1)
    daemon.kill(9)
    try:
        rig.start()
    finally:
        rig.agent.run("/sbin/dmsetup", "resume", "xfs")
    resumed = rig.now()
    daemon.wait()
    seconds = rig.thawed_after(resumed)
    freeze = rig.host.answer(sent)
    assert "hangs in the kernel" in rig.end()
    thaw = rig.host.ask("thaw")
    rig.record("SIGKILL inside FIFREEZE (disk hangs); the next daemon", freeze, thaw, seconds)
    assert (freeze["status"], thaw["status"]) == (host.FAIL, host.FAIL)
    assert seconds <= rig.limit


def test_host_never_thaws(rig: faults.Rig) -> None:
    rig.start("", f"--hold={3 * rig.scale}")
    freeze = rig.host.ask("freeze")
    begun = rig.now()
    seconds = rig.thawed_after(begun + 3 * rig.scale)
    thaw = rig.host.ask("thaw")
    said = rig.end()
    rig.record("host never thaws", freeze, thaw, f"hold limit + {seconds:.2f}")
    assert freeze["status"] == host.OK
    assert seconds <= rig.limit
    assert thaw["status"] == host.FAIL, said


def test_host_thaws_twice(rig: faults.Rig) -> None:
    rig.start()
    assert rig.host.ask("freeze")["status"] == host.OK
    assert rig.host.ask("thaw")["status"] == host.OK
    thawed = rig.now()
    again = rig.host.ask("thaw")
    rig.record("host thaws twice", "success", f"success, then {faults.word(again)}",
               rig.thawed_after(thawed))
    assert again["status"] == host.FAIL


def test_freeze_again_while_frozen(rig: faults.Rig) -> None:
    rig.start()
    assert rig.host.ask("freeze")["status"] == host.OK
    again = rig.host.ask("freeze")
    thaw = rig.host.ask("thaw")
    rig.record("FREEZE again while frozen", f"success, then {faults.word(again)}", thaw,
               rig.thawed_after(rig.now()))
    assert (again["status"], thaw["status"]) == (host.FAIL, host.OK)


def test_file_system_frozen_by_another_process_stays_frozen(rig: faults.Rig) -> None:
    rig.start()
    with rig.frozen_by_another_process("xfs"):
        begun = rig.now()
        freeze, thaw = rig.host.ask("freeze"), rig.host.ask("thaw")
        seconds = rig.thawed_after(begun)
    rig.record("frozen by another process before", freeze, thaw,
               f"{seconds:.2f} (theirs: untouched)")
    assert (freeze["status"], thaw["status"]) == (host.FAIL, host.FAIL)


def test_thaw_by_another_process_breaks_the_backup(rig: faults.Rig) -> None:
    rig.start()
    freeze = rig.host.ask("freeze")
    rig.agent.run("/sbin/fsfreeze", "-u", "/data/ext4")
    begun = rig.now()
    time.sleep(0.3)
    thaw = rig.host.ask("thaw")
    seconds = rig.thawed_after(begun)
    rig.record("thawed by another process", freeze, thaw, seconds)
    assert (freeze["status"], thaw["status"]) == (host.OK, host.FAIL)


def test_one_fifreeze_hangs_for_good(rig: faults.Rig) -> None:
    """The other file systems accept writes at the deadline, the host is told, and later requests are
    answered. When the disk works again, the last one does, too."""
    rig.start("", f"--freeze-timeout={3 * rig.scale}")
    rig.agent.run("/sbin/dmsetup", "suspend", "--nolockfs", "xfs")
    begun = rig.now()
    freeze = rig.host.ask("freeze")
    others = {name: w for name, w in rig.writers.items() if name != "xfs"}
    all_writers, rig.writers = rig.writers, others
    seconds = rig.thawed_after(begun + 3 * rig.scale)
    rig.writers = all_writers
    again = rig.host.ask("freeze")
    thaw = rig.host.ask("thaw")
    rig.agent.run("/sbin/dmsetup", "resume", "xfs")
    resumed = rig.now()
    late = rig.thawed_after(resumed)
    rig.record("one FIFREEZE hangs for good", freeze, thaw,
               f"deadline + {seconds:.2f} (the others)")
    assert freeze["status"] == host.FAIL
    assert seconds <= rig.limit
    assert again["status"] == host.FAIL
    assert late <= 2 * rig.limit
    until(lambda: rig.host.ask("hot_backup")["status"] == host.OK, 20, "the daemon serves again")


def test_module_stays_while_the_device_is_open(rig: faults.Rig) -> None:
    rig.start()
    assert rig.host.ask("freeze")["status"] == host.OK
    assert rig.agent.try_run("rmmod", "hv_vss").status != 0
    assert rig.host.ask("thaw")["status"] == host.OK


def test_late_answer_does_not_answer_the_next_request(rig: faults.Rig) -> None:
    """The daemon delays its answer until the kernel has told the host "failed"; then the next FREEZE
    is already outstanding."""
    rig.start(f"reply-freeze-before=sleep-{14000 * rig.scale}", "--hold=600",
              "--freeze-timeout=600")
    first = rig.host.ask("freeze")
    sent = rig.host.send("freeze")
    second = rig.host.answer(sent)
    thaw = rig.host.ask("thaw")
    seconds = rig.thawed_after(rig.now())
    rig.record("late answer, next FREEZE outstanding",
               f"{faults.word(first)}, then {faults.word(second)}", thaw, seconds)
    assert first["status"] == host.FAIL
    # Either is right, but must be true: THAW succeeds only after a FREEZE that succeeded.
    assert second["status"] == thaw["status"]


def test_our_stack_is_the_one_that_was_tested(rig: faults.Rig) -> None:
    assert rig.stack.module == OURS and rig.stack.kind == OURS
    assert "hv_vss" in rig.agent.run("cat", "/proc/modules")
