# SPDX-License-Identifier: GPL-2.0-only
"""The fault matrix, continued: the host takes the service away, begins anew, or the guest
hibernates, at each step of a backup."""

from __future__ import annotations

import time

import pytest

from hvtest import faults, host
from hvtest.agent import until

# The daemon is made to dawdle at these, so that something can happen there.
STEPS = ("read-freeze", "fifreeze-before:1", "fifreeze-after:2", "reply-freeze-before", "frozen",
         "read-thaw", "fithaw-after:2", "reply-thaw-before")
IN_THAW = ("read-thaw", "fithaw-after:2", "reply-thaw-before")


def begin(rig: faults.Rig, step: str) -> host.Sent:
    """A backup that has come to that step and stays there for two seconds."""
    rig.start("" if step == "frozen" else f"{step}=sleep-{2000 * rig.scale}")
    if step == "frozen" or step in IN_THAW:
        assert rig.host.ask("freeze")["status"] == host.OK
    if step == "frozen":
        return None
    sent = rig.host.send("thaw" if step in IN_THAW else "freeze")
    time.sleep(0.7 * rig.scale)
    return sent


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("event", ["rescind", "channel_reset"])
def test_channel_goes(rig: faults.Rig, event: str, step: str) -> None:
    begin(rig, step)
    since = rig.host.mark()
    begun = rig.now()
    rig.host.command(event)
    seconds = rig.thawed_after(begun, timeout=10 * rig.scale)
    if event == "rescind":
        rig.host.wait("relid_released", timeout=10, since=since, channel="vss")
        rig.host.command("offer")
    rig.host.wait("negotiated", since=since, channel="vss")
    until(lambda: rig.host.ask("hot_backup")["status"] == host.OK, 20, "the daemon serves again")
    thaw = rig.host.ask("thaw")
    rig.record(f"{event} at {step}", "-", thaw, seconds)
    # A dawdling FIFREEZE may be just about to be made; it is undone at once.
    assert seconds <= rig.limit + (2 * rig.scale if step != "frozen" else 0)
    assert thaw["status"] == host.FAIL


@pytest.mark.parametrize("step", ["fifreeze-after:2", "frozen", "fithaw-after:2"])
@pytest.mark.parametrize("level", ["freezer", "devices", "platform", "processors", "core"])
def test_guest_hibernates(rig: faults.Rig, level: str, step: str) -> None:
    """As far as the kernel's own test levels go. Writers that wait on a frozen file system
    can't be put to sleep, so whatever is frozen must be thawed before."""
    begin(rig, step)
    begun = rig.now()
    rig.agent.shell(f"echo {level} > /sys/power/pm_test; echo reboot > /sys/power/disk")
    result = rig.agent.try_run("sh", "-c", "echo disk > /sys/power/state", timeout=60)
    rig.agent.shell("echo none > /sys/power/pm_test")
    seconds = rig.thawed_after(result.end, timeout=10 * rig.scale)
    until(lambda: rig.host.ask("hot_backup")["status"] == host.OK, 20, "the daemon serves again")
    thaw = rig.host.ask("thaw")
    rig.record(f"hibernation ({level}) at {step}", "-", thaw, seconds)
    assert result.status == 0, f"the guest could not hibernate: {result.err}"
    assert result.end - begun < 30 * rig.scale
    assert seconds <= rig.limit
    assert thaw["status"] == host.FAIL
