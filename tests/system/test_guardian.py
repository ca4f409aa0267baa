# SPDX-License-Identifier: GPL-2.0-only
"""Our daemon on the kernel's own driver, which has no guard: the guardian, a second process, thaws
what a dead daemon left frozen. If both are dead, the next daemon or guardian does."""

from __future__ import annotations

import os
import time

import pytest

from hvtest import faults, host, obstacles
from hvtest.agent import until
from hvtest.stack import OURS, STOCK

# As in test_faults.
DEADLY = {"KILL": 9, "SEGV": 11} | ({"ABRT": 6} if "HV_VSS_RESULTS" in os.environ else {})
BEFORE_THE_ANSWER = ("fifreeze-after:1", "fifreeze-after:2", "fifreeze-after:4")
GRACE = 2.5     # seconds beyond the hold limit until the guardian thaws: its delay and its interval


@pytest.fixture(scope="module")
def pairing() -> tuple[str, str]:
    return STOCK, OURS


def record(rig: faults.Rig, fault: str, *results) -> None:
    rig.record(f"{fault}, without the kernel's guard", *results)


def guardian(rig: faults.Rig) -> str:
    """Its pid; it is started with the first request."""
    def pid() -> str:
        return rig.agent.shell("grep -lsx hv-vss-guardian /proc/[0-9]*/comm | head -n 1 || true"
                               ).strip()

    return until(pid, 5, "there is a guardian").split("/")[2]


def kill_both(rig: faults.Rig) -> float:
    """Kill the daemon and its guardian; returns when."""
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
    if action == "SEGV":        # the kernel's log line about it is expected
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
    """The others are thawed at once; the one whose disk hangs, when that works again."""
    daemon = rig.start()
    rig.agent.run("/sbin/dmsetup", "suspend", "--nolockfs", "xfs")
    rig.host.send("freeze", expect="any")
    time.sleep(1)
    daemon.kill(9)
    died = rig.now()
    all_writers = rig.writers
    rig.writers = {name: w for name, w in all_writers.items() if name != "xfs"}
    try:
        seconds = rig.thawed_after(died)
    finally:
        rig.writers = all_writers
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


def test_fifreeze_outlives_all_that_could_thaw(rig: faults.Rig) -> None:
    """As after "systemctl restart" while FIFREEZE hangs. It freezes when it returns; nothing else knows."""
    daemon = rig.start(f"fifreeze-before:1=sleep-{1500 * rig.scale}", "--fifreeze-timeout=60",
                       "--hold=60")
    rig.host.send("freeze", expect="any")
    rig.agent.run("sleep", str(0.5 * rig.scale))
    with obstacles.splice(rig, "/root") as obstacle:
        rig.agent.run("sleep", str(3 * rig.scale))
        rig.agent.run("kill", "-9", guardian(rig), str(daemon.pid))
        following = rig.agent.start("/usr/sbin/hv-vss-daemon")
        until(lambda: "not serving until it has returned" in following.err, 15 * rig.scale,
              f"it waits: {following.err}")
        assert "serving /dev" not in following.err
        obstacle.end()
        begun = rig.now()
    seconds = rig.thawed_after(begun)
    daemon.wait()
    rig.daemon = following
    until(lambda: rig.host.ask("hot_backup")["status"] == host.OK, 20, "it serves")
    thaw = rig.host.ask("thaw")
    record(rig, "SIGKILL of daemon and guardian while FIFREEZE hangs; the next daemon", "-", thaw,
           f"the return of FIFREEZE + {seconds:.2f}")
    assert seconds <= rig.limit
    assert thaw["status"] == host.FAIL


@pytest.mark.parametrize("thawer", ["the next daemon", "--thaw-leftovers"])
def test_both_are_killed_and_the_next_one_thaws(rig: faults.Rig, thawer: str) -> None:
    rig.start()
    assert rig.host.ask("freeze")["status"] == host.OK
    kill_both(rig)
    assert rig.thawed_after(rig.now(), timeout=1) == float("inf"), "it was thawed without one"
    begun = rig.now()
    if thawer == "the next daemon":
        rig.start()
    else:
        rig.agent.run("/usr/sbin/hv-vss-daemon", thawer)
    seconds = rig.thawed_after(begun)
    thaw = rig.host.ask("thaw")
    record(rig, f"SIGKILL of daemon and guardian; {thawer}", "success", thaw,
           f"its start + {seconds:.2f}")
    assert seconds <= rig.limit
    assert thaw["status"] == host.FAIL


def test_foreign_freeze_survives_every_clean_up(rig: faults.Rig) -> None:
    """Frozen by another process before: neither guardian nor next daemon thaws it.

    (A kill in the microseconds of the FIFREEZE that fails for that reason can't be told from a kill
    in the seconds of a FIFREEZE that is about to succeed, and is treated like that. The module's
    guard can tell them apart.)"""
    with rig.frozen_by_another_process("xfs"):
        # While the others are thawed again: they were frozen when this one was refused.
        daemon = rig.start("fithaw-after:1=KILL")
        assert rig.host.ask("freeze")["status"] == host.FAIL
        died = daemon.wait().end
        rig.daemon = None
        assert rig.thawed_after(died) <= rig.limit
        rig.start()
        assert rig.host.ask("freeze")["status"] == host.FAIL
        rig.end()


def test_freeze_by_another_process_after_both_died_stays(rig: faults.Rig) -> None:
    """The notes of a freeze must end with it."""
    rig.start()
    assert rig.host.ask("freeze")["status"] == host.OK
    assert rig.host.ask("thaw")["status"] == host.OK
    kill_both(rig)
    with rig.frozen_by_another_process("xfs"):
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


def held(rig: faults.Rig) -> set[str]:
    """Mount points that the guardian has open."""
    script = f"for fd in /proc/{guardian(rig)}/fd/*; do readlink $fd || true; done"
    return {link for link in rig.agent.shell(script).splitlines()
            if link.startswith("/data/") or link == "/"}


def test_guardian_holds_what_is_frozen_and_no_longer(rig: faults.Rig) -> None:
    rig.start()
    assert held(rig) == set()
    assert rig.host.ask("freeze")["status"] == host.OK
    assert held(rig) == {"/", "/data/ext4", "/data/xfs", "/data/btrfs"}
    assert rig.host.ask("thaw")["status"] == host.OK
    assert held(rig) == set()


def test_daemon_dies_and_a_file_system_is_found_nowhere(rig: faults.Rig) -> None:
    """The guardian uses no paths: what was unmounted lazily meanwhile is thawed, too."""
    rig.start()
    freeze = rig.host.ask("freeze")
    rig.agent.run("/bin/umount", "-l", "/data/xfs")
    try:
        rig.daemon.kill(9)
        died = rig.daemon.wait().end
        rig.daemon = None
        seconds = rig.thawed_after(died)
        thaw = rig.host.ask("thaw")
    finally:
        rig.agent.run("/bin/mount", "-t", "xfs", "/dev/mapper/xfs", "/data/xfs")
    record(rig, "SIGKILL while frozen, one unmounted lazily", freeze, thaw, seconds)
    assert seconds <= rig.limit
    assert thaw["status"] == host.FAIL


def test_guardian_ends_with_its_daemon(rig: faults.Rig) -> None:
    rig.start()
    pid = guardian(rig)
    rig.end()
    until(lambda: not rig.agent.try_run("test", "-e", f"/proc/{pid}").status == 0, 5,
          "the guardian has ended")


def test_thawed_by_another_process_before_the_answer(rig: faults.Rig) -> None:
    """hv_utils does not notice; the daemon checks once more just before it answers."""
    rig.start(f"fifreeze-after:4=sleep-{1500 * rig.scale}")
    sent = rig.host.send("freeze")
    time.sleep(1 * rig.scale)
    rig.agent.run("/sbin/fsfreeze", "-u", "/data/ext4")
    freeze = rig.host.answer(sent)
    seconds = rig.thawed_after(rig.now())
    thaw = rig.host.ask("thaw")
    record(rig, "thawed by another process before the answer", freeze, thaw, seconds)
    assert (freeze["status"], thaw["status"]) == (host.FAIL, host.FAIL)
    assert "/data/ext4: another process has thawed it" in rig.daemon.err
    assert seconds <= rig.limit


def test_read_only_since_it_was_frozen(boot) -> None:
    """CVE-2024-50191, on a kernel without the fix: writers hang for good after the thaw. The daemon
    can't prevent that, but the backup must fail."""
    guest = boot("bullseye", smp=2)
    rig = faults.Rig(guest, STOCK, OURS)
    rig.set_up()
    rig.begin()
    agent = rig.agent
    agent.shell("mkdir -p /run/fragile; dd if=/dev/zero of=/run/fragile.img bs=1M count=32")
    agent.run("/sbin/modprobe", "loop")
    loop = agent.run("/sbin/losetup", "--find", "--show", "/run/fragile.img").strip()
    agent.run("/sbin/mkfs.ext4", "-q", "-F", "-e", "remount-ro", loop)
    agent.run("/bin/mount", loop, "/run/fragile")
    rig.start()
    freeze = rig.host.ask("freeze")
    agent.shell(f"echo 1 > /sys/fs/ext4/{loop.removeprefix('/dev/')}/trigger_fs_error")
    thaw = rig.host.ask("thaw")
    guest.writable(["/data/ext4", "/data/xfs", "/data/btrfs", "/root"])
    writer = agent.start("sh", "-c", "echo more > /run/fragile/more")
    time.sleep(1)
    record(rig, "an error makes a file system read-only while it is frozen (5.10)", freeze, thaw,
           "for good, that one" if not writer.over else "0.00")
    said = rig.end()
    assert (freeze["status"], thaw["status"]) == (host.OK, host.FAIL)
    assert "/run/fragile" in said and "only a reboot helps" in said
    guest.bad_kernel_lines()        # the error that was asked for
