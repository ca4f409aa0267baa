# SPDX-License-Identifier: GPL-2.0-only
"""Invalid packets, however many, do not harm the guest.

Two thousand by default; HV_VSS_HOSTILE=100000 HV_VSS_KERNELS=kasan for the long run.
"""

from __future__ import annotations

import itertools
import os
import re
import time

import pytest

from hvtest import faults, host, hostile, kernels
from hvtest.agent import until
from hvtest.cache import say

COUNT = int(os.environ.get("HV_VSS_HOSTILE", "2000"))
SEED = int(os.environ.get("HV_VSS_SEED", "1"))


@pytest.fixture(scope="module", params=kernels.chosen("bookworm"))
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def rig(machine: str, machines) -> faults.Rig:
    rig = faults.Rig(machines.boot(machine, smp=2))
    rig.set_up()
    rig.start_writers(50000)
    return rig


# Errors of the packet itself, which its answer repeats or can't correct. Everything else counts, above
# all a byte that is neither what was sent nor 0: it would be from the kernel's memory.
ECHOED = re.compile(r"message of \d+ bytes in a payload of|answer to a packet of \d+ bytes"
                    r"|heartbeat (is|of) |negotiation of \d+ bytes, at least"
                    r"|message size is 0x[0-9a-f]+, should be 0x10")


def settle(rig: faults.Rig) -> None:
    """Wait until everything was read, and all that can be answered was answered."""
    until(lambda: rig.host.status()["state"] == "open"
          and rig.host.ask("get_dm_info")["status"] == host.OK, 60, "the guest answers")


@pytest.mark.parametrize("daemon", ["without daemon", "with daemon"])
def test_hostile_packets_harm_nothing(rig: faults.Rig, daemon: str) -> None:
    if daemon == "with daemon":
        rig.start()
    since = rig.host.mark()
    packets = iter(hostile.Generator(SEED))
    sent = 0
    while sent < COUNT // 2:
        burst = list(itertools.islice(packets, 1 + sent % 3))
        try:
            rig.host.batch(*burst)
        except host.HostError as error:
            if "room" not in str(error) and "full" not in str(error):
                raise
            time.sleep(0.01)
            continue
        sent += len(burst)
        if sent % 500 < 3:
            settle(rig)
        if sent % 10000 < 3:
            say(f"hostile: {sent} of {COUNT // 2} packets, {daemon}")
    settle(rig)
    answers = [e for e in rig.host.events[since:] if e["event"] == "answer"]
    wrong = [e for e in answers if not all(ECHOED.match(p) for p in e["problems"])]
    assert answers
    assert not wrong, "\n".join(f"{e['problems']} {e['hex'][:80]}" for e in wrong[:40])
    if rig.daemon:
        rig.host.ask("thaw")
        rig.end()
    until(lambda: rig.thawed_after(rig.now(), 5) < 5, 90, "everything accepts writes")
    rig.backup_works()
    rig.guest.check()
