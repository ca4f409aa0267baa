# SPDX-License-Identifier: GPL-2.0-only
"""Our module and hv_utils, our daemon and the stock one, in all four pairings, on each kernel:
negotiation, HOT_BACKUP, FREEZE, THAW; one after the other in the same guest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hvtest import host, images, kernels
from hvtest.guest import Guest
from hvtest.stack import OURS, STOCK, Stack


@pytest.fixture(scope="module", params=kernels.chosen(*kernels.SUITES))
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def guest(machine: str, machines) -> Guest:
    guest = machines.boot(machine)
    guest.mount_data()
    guest.agent.run("/sbin/modprobe", "hv_vmbus")
    return guest


@pytest.fixture(params=[(OURS, OURS), (OURS, STOCK), (STOCK, OURS), (STOCK, STOCK)],
                ids=lambda p: f"{p[0]}_module-{p[1]}_daemon")
def stack(guest: Guest, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Load a pairing; unload it afterwards."""
    stack = Stack(guest, *request.param)
    since = guest.host.mark()
    stack.load()
    stack.start_daemon()
    yield stack
    stack.stop_daemon()
    if stack.module == OURS:
        stack.rmmod()
    guest.agent.run("rmmod", "hv_utils")
    guest.host.wait("close", since=since, channel="vss")
    guest.check()


def test_pairing_negotiates_answers_freezes_and_thaws(guest: Guest, stack: Stack) -> None:
    negotiated = [e for e in guest.host.events if e["event"] == "negotiated"
                  and e["channel"] == "vss"][-1]
    assert (negotiated["fw"], negotiated["msg"]) == ([3, 0], [5, 0]), negotiated

    hot_backup = guest.host.ask("hot_backup")
    assert hot_backup["status"] == host.OK
    # The in-tree driver loses the flag that says "no auto recovery", unless it answers without the
    # daemon, as before 4.9 (distributions backported the change).
    lost = {0, 5} if guest.kernel.version < (4, 9) else {0}
    assert hot_backup["vss_flags"] in ({5} if stack.module == OURS else lost)

    places = [f"/data/{fs}" for fs in images.FILE_SYSTEMS] + ["/root"]
    assert guest.host.ask("freeze")["status"] == host.OK
    writes = [guest.agent.start("sh", "-c", f"echo frozen > {place}/test") for place in places]
    frozen = guest.agent.try_run("sleep", "1")
    assert frozen.status == 0
    assert not any(write.over for write in writes), [str(w) for w in writes if w.over]
    assert guest.host.ask("thaw")["status"] == host.OK
    for write in writes:
        assert write.wait(10).status == 0
