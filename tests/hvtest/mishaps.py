# SPDX-License-Identifier: GPL-2.0-only
"""The fault matrix in short: faults in one backup, to be chosen at random.

Each is called before the daemon is started, provokes one fault, and returns the answers to the
host. The caller checks that everything works again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from . import faults, host
from .agent import until

Answers = tuple[host.Message, host.Message]
Mishap = Callable[[faults.Rig, random.Random], Answers]

STEPS = ("read-freeze", "fifreeze-before:1", "fifreeze-after:1", "fifreeze-after:2",
         "fifreeze-after:3", "reply-freeze-before", "reply-freeze-after", "read-thaw",
         "fithaw-after:1", "fithaw-after:2", "reply-thaw-before", "reply-thaw-after")
ACTIONS = ("KILL", "SEGV", "ABRT", "TERM", "sleep-50")
EVENT_STEPS = ("read-freeze", "fifreeze-before:1", "fifreeze-after:2", "reply-freeze-before")


def _serving(rig: faults.Rig) -> None:
    until(lambda: rig.host.ask("hot_backup")["status"] == host.OK, 20, "the daemon serves again")


def _backup(rig: faults.Rig) -> Answers:
    return rig.host.ask("freeze"), rig.host.ask("thaw")


def _daemon_fails(rig: faults.Rig, dice: random.Random) -> Answers:
    """It dies, is told to stop, or is delayed, at any step."""
    action = dice.choice(ACTIONS)
    daemon = rig.start(f"{dice.choice(STEPS)}={action}")
    answers = _backup(rig)
    if not action.startswith("sleep"):
        daemon.wait()
        rig.daemon = None
    if action == "SEGV":        # the kernel's log line about it is expected
        rig.guest.bad_kernel_lines()
    return answers


def _daemon_is_stopped(rig: faults.Rig, dice: random.Random) -> Answers:
    """SIGSTOP while frozen; the host sends THAW after the hold limit."""
    step = dice.choice(("reply-freeze-after", "read-thaw", "fithaw-after:1", "fithaw-after:2"))
    daemon = rig.start(f"{step}=STOP")
    answers = _backup(rig)
    begun = rig.now()
    assert rig.thawed_after(begun, timeout=rig.hold + 10) <= rig.hold + rig.limit
    daemon.kill(18)
    _serving(rig)
    return answers


def _channel_goes(rig: faults.Rig, dice: random.Random) -> Answers:
    """The host rescinds the service, or negotiates again, during a FREEZE or while frozen."""
    step = dice.choice((*EVENT_STEPS, "frozen"))
    event = dice.choice(("rescind", "channel_reset"))
    rig.start("" if step == "frozen" else f"{step}=sleep-500")
    freeze: host.Message = {"status": "-"}
    if step == "frozen":
        freeze = rig.host.ask("freeze")
    else:
        rig.host.send("freeze")
        time.sleep(dice.random() * 0.5)
    since = rig.host.mark()
    rig.host.command(event)
    if event == "rescind":
        rig.host.wait("relid_released", timeout=10, since=since, channel="vss")
        rig.host.command("offer")
    rig.host.wait("negotiated", since=since, channel="vss")
    _serving(rig)
    return freeze, rig.host.ask("thaw")


def _hibernation(rig: faults.Rig, dice: random.Random) -> Answers:
    rig.start()
    freeze = rig.host.ask("freeze")
    level = dice.choice(("freezer", "devices", "core"))
    rig.agent.shell(f"echo {level} > /sys/power/pm_test; echo reboot > /sys/power/disk")
    result = rig.agent.try_run("sh", "-c", "echo disk > /sys/power/state", timeout=60)
    rig.agent.shell("echo none > /sys/power/pm_test")
    assert result.status == 0, f"the guest could not hibernate: {result.err}"
    _serving(rig)
    return freeze, rig.host.ask("thaw")


def _host_never_thaws(rig: faults.Rig, dice: random.Random) -> Answers:
    del dice
    rig.start("", "--hold=1")
    freeze = rig.host.ask("freeze")
    assert rig.thawed_after(rig.now()) <= 1 + rig.limit
    return freeze, rig.host.ask("thaw")


def _host_repeats_itself(rig: faults.Rig, dice: random.Random) -> Answers:
    """FREEZE while frozen, or THAW when nothing is frozen: refused, without harm."""
    rig.start()
    freeze = rig.host.ask("freeze")
    if dice.random() < 0.5:
        assert rig.host.ask("freeze")["status"] == host.FAIL
        return freeze, rig.host.ask("thaw")
    thaw = rig.host.ask("thaw")
    assert rig.host.ask("thaw")["status"] == host.FAIL
    return freeze, thaw


def _frozen_by_another_process(rig: faults.Rig, dice: random.Random) -> Answers:
    fs = dice.choice(list(rig.writers))
    rig.start()
    with rig.frozen_by_another_process(fs):
        answers = _backup(rig)
    assert answers[0]["status"] == host.FAIL, fs
    return answers


def _thawed_by_another_process(rig: faults.Rig, dice: random.Random) -> Answers:
    rig.start()
    freeze = rig.host.ask("freeze")
    rig.agent.run("/sbin/fsfreeze", "-u", rig.place(dice.choice(list(rig.writers))))
    thaw = rig.host.ask("thaw")
    assert thaw["status"] == host.FAIL
    return freeze, thaw


def _disk_hangs(rig: faults.Rig, dice: random.Random) -> Answers:
    """Until the deadline of the freeze, or until the daemon is killed before it."""
    fs = dice.choice([name for name in rig.writers if name != "root"])
    daemon = rig.start("", "--freeze-timeout=1")
    rig.agent.run("/sbin/dmsetup", "suspend", "--nolockfs", fs)
    if dice.random() < 0.5:
        freeze = rig.host.ask("freeze")
        rig.agent.run("/sbin/dmsetup", "resume", fs)
        _serving(rig)
    else:
        sent = rig.host.send("freeze")
        time.sleep(dice.random())
        daemon.kill(9)
        rig.agent.run("/sbin/dmsetup", "resume", fs)
        freeze = rig.host.answer(sent)
        daemon.wait()
        rig.daemon = None
    assert freeze["status"] == host.FAIL, fs
    return freeze, rig.host.ask("thaw")


ALL: dict[str, Mishap] = {
    "the daemon fails": _daemon_fails,
    "the daemon is stopped": _daemon_is_stopped,
    "the channel goes": _channel_goes,
    "hibernation": _hibernation,
    "the host never thaws": _host_never_thaws,
    "the host repeats itself": _host_repeats_itself,
    "frozen by another process": _frozen_by_another_process,
    "thawed by another process": _thawed_by_another_process,
    "a disk hangs": _disk_hangs,
}
