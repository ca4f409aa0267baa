# SPDX-License-Identifier: GPL-2.0-only
"""The same faults with hv_utils and its daemon: the results are recorded, for the table, under the
same names as ours. The only assertion is that an admin can thaw the guest again."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from hvtest import faults, host, obstacles
from hvtest.agent import until
from hvtest.stack import STOCK

BEFORE_THE_ANSWER = ("read-freeze", "fifreeze-before:1", "fifreeze-after:1", "fifreeze-after:2",
                     "fifreeze-after:3", "fifreeze-after:4", "reply-freeze-before")
AFTER_IT = ("reply-freeze-after",)
IN_THAW = ("read-thaw", "fithaw-after:1", "fithaw-after:2", "fithaw-after:3", "fithaw-after:4",
           "reply-thaw-before")
PLACES = ("/data/ext4", "/data/xfs", "/data/btrfs", "/root")
LONG_ENOUGH = 4     # seconds; what is not thawed by then stays frozen


@pytest.fixture(scope="module")
def pairing() -> tuple[str, str]:
    return STOCK, STOCK


def word(seconds: float) -> str:
    return "stay frozen" if seconds == float("inf") else f"{seconds:.2f}"


def free(rig: faults.Rig, *others: str) -> None:
    """Thaw the guest as an admin would."""
    if rig.daemon:
        if not rig.daemon.over:
            rig.daemon.kill(9)
        rig.daemon.wait(60)
        rig.daemon = None
    for place in (*PLACES, *others):
        rig.agent.try_run("/sbin/fsfreeze", "-u", place)
    assert rig.thawed_after(rig.now(), timeout=20) < 20


def patient(rig: faults.Rig, sent: host.Sent, seconds: float) -> str:
    """Returns its answer, if it comes within that time."""
    try:
        return faults.word(rig.host.answer(sent, seconds))
    except host.HostError:
        return f"no answer in {seconds:.0f} s"


@pytest.mark.parametrize("step", [*BEFORE_THE_ANSWER, *AFTER_IT, *IN_THAW])
def test_daemon_dies(rig: faults.Rig, step: str) -> None:
    daemon = rig.start(f"{step}=KILL")
    freeze = rig.host.ask("freeze")
    if step in IN_THAW:
        thaw = rig.host.ask("thaw", timeout=90)
        died = daemon.wait().end
    else:
        died = daemon.wait().end
        thaw = rig.host.ask("thaw")
    seconds = rig.thawed_after(died, timeout=LONG_ENOUGH)
    rig.record(f"SIGKILL at {step}", freeze, thaw, word(seconds))
    free(rig)


def while_frozen(rig: faults.Rig, fault: str, act: Callable[[], object], measure: str = "",
                 ) -> None:
    """FREEZE, a fault, a check whether that thaws, THAW."""
    freeze = rig.host.ask("freeze")
    begun = rig.now()
    act()
    seconds = rig.thawed_after(begun, timeout=LONG_ENOUGH)
    thaw = patient(rig, rig.host.send("thaw", expect="any"), 15)
    rig.record(fault, freeze, thaw, measure + word(seconds))
    free(rig)


@pytest.mark.parametrize("name, number", [("STOP", 19), ("TERM", 15)])
def test_signal_while_frozen(rig: faults.Rig, name: str, number: int) -> None:
    daemon = rig.start()
    while_frozen(rig, f"SIG{name} at reply-freeze-after", lambda: daemon.kill(number))


def test_dumps_core(rig: faults.Rig) -> None:
    if absent := rig.lacks_core_dumps():
        pytest.skip(absent)
    with rig.cores_go_to("through a pipe"):
        daemon = rig.start()
        rig.may_dump()
        while_frozen(rig, "SIGSEGV while frozen, and dumps core through a pipe",
                     lambda: daemon.kill(11))
    rig.guest.bad_kernel_lines()    # the kernel's log line about it is expected


def test_host_never_thaws(rig: faults.Rig) -> None:
    rig.start()
    while_frozen(rig, "host never thaws", lambda: None)


def test_host_thaws_twice(rig: faults.Rig) -> None:
    rig.start()
    freeze, thaw, again = (rig.host.ask(op) for op in ("freeze", "thaw", "thaw"))
    rig.record("host thaws twice", freeze, f"{faults.word(thaw)}, then {faults.word(again)}",
               word(rig.thawed_after(rig.now())))


def test_freeze_again_while_frozen(rig: faults.Rig) -> None:
    rig.start()
    freeze, again, thaw = (rig.host.ask(op) for op in ("freeze", "freeze", "thaw"))
    rig.record("FREEZE again while frozen", f"{faults.word(freeze)}, then {faults.word(again)}",
               thaw, word(rig.thawed_after(rig.now(), timeout=LONG_ENOUGH)))
    free(rig)


def test_frozen_by_another_process_before(rig: faults.Rig) -> None:
    rig.start()
    rig.agent.run("/sbin/fsfreeze", "-f", "/data/xfs")
    begun = rig.now()
    freeze, thaw = rig.host.ask("freeze"), rig.host.ask("thaw")
    xfs = rig.writers.pop("xfs")
    last = xfs.last
    seconds = rig.thawed_after(begun, timeout=LONG_ENOUGH)
    time.sleep(0.5)
    theirs = "untouched" if xfs.last == last else "ended"
    rig.writers["xfs"] = xfs
    rig.record("frozen by another process before", freeze, thaw,
               f"{word(seconds)} (theirs: {theirs})")
    free(rig)


def test_thawed_by_another_process(rig: faults.Rig) -> None:
    rig.start()
    freeze = rig.host.ask("freeze")
    rig.agent.run("/sbin/fsfreeze", "-u", "/data/ext4")
    time.sleep(0.3)
    thaw = rig.host.ask("thaw")
    rig.record("thawed by another process", freeze, thaw, word(rig.thawed_after(rig.now())))


def test_one_fifreeze_hangs(rig: faults.Rig) -> None:
    rig.start()
    rig.agent.run("/sbin/dmsetup", "suspend", "--nolockfs", "xfs")
    begun = rig.now()
    freeze = patient(rig, rig.host.send("freeze", expect="any"), 10)
    xfs = rig.writers.pop("xfs")
    seconds = rig.thawed_after(begun + 1, timeout=LONG_ENOUGH)
    rig.writers["xfs"] = xfs
    rig.record("one FIFREEZE hangs for good", freeze, "-", f"{word(seconds)} (the others)")
    rig.daemon.kill(9)
    rig.agent.run("/sbin/dmsetup", "resume", "xfs")
    free(rig)


@pytest.mark.parametrize("event", ["rescind", "channel_reset"])
def test_channel_goes(rig: faults.Rig, event: str) -> None:
    rig.start()
    since = rig.host.mark()
    assert rig.host.ask("freeze")["status"] == host.OK
    begun = rig.now()
    rig.host.command(event)
    seconds = rig.thawed_after(begun, timeout=LONG_ENOUGH)
    rig.daemon.kill(9)          # hv_utils waits for it
    rig.daemon.wait()
    rig.daemon = None
    if event == "rescind":
        rig.host.wait("relid_released", since=since, channel="vss")
        rig.host.command("offer")
    rig.host.wait("negotiated", since=since, channel="vss")
    rig.start()
    thaw = patient(rig, rig.host.send("thaw", expect="any"), 15)
    rig.record(f"{event} at frozen", "-", thaw, word(seconds))
    free(rig)


def test_guest_hibernates(rig: faults.Rig) -> None:
    rig.start()
    assert rig.host.ask("freeze")["status"] == host.OK
    rig.agent.shell("echo freezer > /sys/power/pm_test; echo reboot > /sys/power/disk")
    result = rig.agent.try_run("sh", "-c", "echo disk > /sys/power/state", timeout=90)
    rig.agent.shell("echo none > /sys/power/pm_test")
    seconds = rig.thawed_after(result.end, timeout=LONG_ENOUGH)
    thaw = patient(rig, rig.host.send("thaw", expect="any"), 15)
    refused = "" if result.status == 0 else " (and can't hibernate)"
    rig.record("hibernation (freezer) at frozen", "-", thaw, word(seconds) + refused)
    rig.guest.bad_kernel_lines()        # tasks refusing to freeze, if they do
    free(rig)


def test_control_group_is_killed(rig: faults.Rig) -> None:
    daemon = rig.start()
    group = "/sys/fs/cgroup/stock"
    rig.agent.shell("mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup; "
                    "echo +memory > /sys/fs/cgroup/cgroup.subtree_control; "
                    f"mkdir -p {group}; echo {daemon.pid} > {group}/cgroup.procs")
    # cgroup.kill is in 5.14 and later.
    while_frozen(rig, "cgroup killed while frozen", lambda: rig.agent.shell(
        f"cd {group}; if test -e cgroup.kill; then echo 1 > cgroup.kill; "
        "else kill -9 $(cat cgroup.procs); fi"))


def test_listener_that_lives_on_a_frozen_file_system(rig: faults.Rig) -> None:
    """The stock daemon opens each mount point just before it freezes it, and again to thaw it."""
    rig.start()
    listener = rig.agent.start("permit", "/data/xfs/permit.log", "/", "/data/ext4", "/data/btrfs")
    listener.wait_output("watching")
    begun = rig.now()
    freeze = patient(rig, rig.host.send("freeze", expect="any"), 10)
    seconds = rig.thawed_after(begun + 5, timeout=LONG_ENOUGH)
    rig.record("fanotify listener lives on a frozen file system", freeze, "-", word(seconds))
    listener.kill(9)
    # fsfreeze -u would wait for the listener, too.
    rig.agent.shell("echo j > /proc/sysrq-trigger")
    until(lambda: listener.over, 20, "the listener ends")
    free(rig)


@pytest.mark.parametrize("kind", obstacles.KINDS)
def test_obstacle_found_before_fifreeze(rig: faults.Rig, kind: str) -> None:
    """It waits for the obstacle with everything else frozen; an admin has to find the reason."""
    rig.start()
    with obstacles.KINDS[kind](rig) as obstacle:
        begun = rig.now()
        freeze = patient(rig, rig.host.send("freeze", expect="any"), 10)
        seconds = rig.thawed_after(begun + 5, timeout=LONG_ENOUGH)
        rig.record(kind, freeze, "-", word(seconds))
        obstacle.end()
        free(rig, obstacle.place)


def test_journal_on_another_file_system(rig: faults.Rig) -> None:
    rig.start()
    with obstacles.external_journal(rig) as place:
        rig.agent.run("touch", f"{place}/dirty")
        begun = rig.now()
        freeze = patient(rig, rig.host.send("freeze", expect="any"), 10)
        thaw = patient(rig, rig.host.send("thaw", expect="any"), 15)
        seconds = rig.thawed_after(begun + 5, timeout=LONG_ENOUGH)
        rig.record("ext4 with its journal in a file of another file system", freeze, thaw,
                   word(seconds))
        rig.daemon.kill(9)
        for other in ("/data/xfs", place):
            rig.agent.try_run("/sbin/fsfreeze", "-u", other)
        free(rig, place)
