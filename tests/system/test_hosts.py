# SPDX-License-Identifier: GPL-2.0-only
"""Hosts like the versions of Windows Server: VMBus protocol, version lists, interrupt
acknowledgement."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvtest import build, host, kernels
from hvtest.stack import Stack

TOP = Path(__file__).resolve().parents[2]
BIND = "/run/hvtest/hv-vss-bind"
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


def speaks_to_2012r2(suite: str) -> bool:
    """Linux 7.3 dropped VMBus 3.0: it knows no host before 2016."""
    major, minor = kernels.kernel(suite).release.split(".")[:2]
    return (int(major), int(minor)) < (7, 3)


@pytest.mark.parametrize("suite", kernels.chosen("bullseye", "trixie", "sid"))
def test_backup_on_the_oldest_host_of_other_kernels(boot, suite: str) -> None:
    vmbus, ic = ("3.0", "2012r2") if speaks_to_2012r2(suite) else ("4.0", "2016")
    guest = boot(suite, host_properties={"vmbus": vmbus, "ic": ic, "aeoi": "off"})
    _serve(guest).back_up()


@pytest.mark.parametrize("suite", kernels.chosen("bookworm", "sid"))
def test_host_before_that_leaves_a_healthy_guest(boot, suite: str) -> None:
    """Neither driver serves: with VMBus 2.4 both refuse; Linux 7.3 and later don't know VMBus 3.0."""
    connects = speaks_to_2012r2(suite)
    guest = boot(suite, host_properties={"vmbus": "2.4" if connects else "3.0", "ic": "2012r2"})
    # If it is built into a kernel of 7.x, it has already tried.
    guest.agent.try_run("/sbin/modprobe", "hv_vmbus")
    guest.agent.put("/run/hvtest/hv_vss.ko", build.module(suite).read_bytes())
    loaded = guest.agent.try_run("insmod", "/run/hvtest/hv_vss.ko")
    guest.agent.try_run("/sbin/modprobe", "hv_utils")
    guest.agent.put(BIND, (TOP / "systemd/hv-vss-bind").read_bytes(), 0o755)
    claimed = guest.agent.try_run(BIND, "claim", timeout=60)
    status = guest.agent.try_run(BIND, "status")
    if connects:
        guest.host.wait("negotiated", channel="heartbeat")
        assert loaded.status == 0
        guest.agent.wait_kmsg("too old for online backups")
        assert claimed.status == 1 and "no driver serves" in claimed.err, claimed
        assert status.status == 1 and "no driver" in status.out, status
    else:
        assert guest.host.status()["state"] != "open"
        assert claimed.status == 0 and status.status == 3, (claimed, status)


@pytest.mark.parametrize("suite", ONE)
def test_host_without_the_service_changes_nothing(boot, suite: str) -> None:
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
