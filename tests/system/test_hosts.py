# SPDX-License-Identifier: GPL-2.0-only
"""The hosts that Windows Server versions are: VMBus protocol, version lists, interrupt
acknowledgement."""

from __future__ import annotations

import pytest

from hvtest import build, host, kernels
from hvtest.stack import Stack

ONE = kernels.chosen("bookworm")
# VMBus version, version lists of the integration components, AutoEOI: each value with some of the
# others. Windows Server: 3.0 is 2012 R2, 4.0 is 2016, 5.2 is 2019, 5.3 is 2022.
HOSTS = [
    ("3.0", "2012r2", "on"), ("4.0", "2016", "on"), ("4.1", "2016", "off"), ("5.0", "2016", "off"),
    ("5.1", "2019", "on"), ("5.2", "2019", "off"), ("5.3", "2019", "on"), ("5.3", "2012r2", "off"),
]


@pytest.mark.parametrize("suite, smp", [(suite, 2) for suite in ONE])
@pytest.mark.parametrize("vmbus, ic, aeoi", HOSTS)
def test_backup_on_host(boot, suite: str, smp: int, vmbus: str, ic: str, aeoi: str) -> None:
    guest = boot(suite, smp=smp, host_properties={"vmbus": vmbus, "ic": ic, "aeoi": aeoi})
    stack = _serve(guest)
    assert guest.host.command("status")["vmbus"] == vmbus
    assert guest.host.ask("hot_backup")["vss_flags"] == 5
    stack.back_up()


@pytest.mark.parametrize("suite", kernels.chosen("bullseye", "trixie", "sid"))
@pytest.mark.parametrize("vmbus, ic, aeoi", [("3.0", "2012r2", "off")])
def test_backup_on_host_with_other_kernel(boot, suite: str, vmbus: str, ic: str, aeoi: str
                                          ) -> None:
    guest = boot(suite, host_properties={"vmbus": vmbus, "ic": ic, "aeoi": aeoi})
    _serve(guest).back_up()


@pytest.mark.parametrize("suite", ONE)
def test_host_without_the_service_leaves_everybody_in_peace(boot, suite: str) -> None:
    guest = boot(suite, host_properties={"vss": "off"})
    guest.agent.run("/sbin/modprobe", "hv_vmbus")
    stack = Stack(guest)
    guest.agent.put("/run/hvtest/hv_vss.ko", build.module(guest.kernel.suite).read_bytes())
    stack.insmod()
    guest.agent.run("/sbin/modprobe", "hv_utils")
    guest.host.wait("negotiated", channel="heartbeat")
    daemon = stack.start_daemon(wait=False)
    guest.agent.run("sleep", "1")
    assert not daemon.over
    stack.stop_daemon()
    stack.rmmod()


def _serve(guest) -> Stack:
    guest.mount_data()
    stack = Stack(guest)
    stack.load()
    stack.start_daemon()
    assert guest.host.ask("hot_backup")["status"] == host.OK
    return stack
