# SPDX-License-Identifier: GPL-2.0-only
"""The fault matrix, continued: the host rescinds the service or negotiates again, or the
guest hibernates, at each step of a backup."""

from __future__ import annotations

import os
import time

import pytest

from hvtest import faults, host
from hvtest.agent import until

# The daemon is delayed at these steps, so that something can happen there.
STEPS = ("read-freeze", "fifreeze-before:1", "fifreeze-after:2", "reply-freeze-before", "frozen",
         "read-thaw", "fithaw-after:2", "reply-thaw-before")
# A table gets all; otherwise each event, and each step, comes once or more.
TABLE = "HV_VSS_RESULTS" in os.environ
RESETS = STEPS if TABLE else ("read-freeze", "fifreeze-after:2", "frozen", "fithaw-after:2")
LEVELS = ("freezer", "devices", "platform", "processors", "core")
SLEEPS = [(level, step) for level in LEVELS
          for step in ("fifreeze-after:2", "frozen", "fithaw-after:2")
          if TABLE or step == "frozen" or level == "platform"]
IN_THAW = ("read-thaw", "fithaw-after:2", "reply-thaw-before")


def begin(rig: faults.Rig, step: str) -> host.Sent:
    """Begin a backup that stays at that step for two seconds."""
    rig.start("" if step == "frozen" else f"{step}=sleep-{2000 * rig.scale}")
    if step == "frozen" or step in IN_THAW:
        assert rig.host.ask("freeze")["status"] == host.OK
    if step == "frozen":
        return None
    sent = rig.host.send("thaw" if step in IN_THAW else "freeze")
    time.sleep(0.7 * rig.scale)
    return sent


@pytest.mark.parametrize(("event", "step"), [*(("rescind", step) for step in STEPS),
                                             *(("channel_reset", step) for step in RESETS)])
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
    # A delayed FIFREEZE may come now; it is undone at once.
    assert seconds <= rig.limit + (2 * rig.scale if step != "frozen" else 0)
    assert thaw["status"] == host.FAIL


@pytest.mark.parametrize(("level", "step"), SLEEPS)
def test_guest_hibernates(rig: faults.Rig, level: str, step: str) -> None:
    """By the kernel's own test levels. Writers that wait on a frozen file system can't be suspended,
    so everything must be thawed before."""
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
