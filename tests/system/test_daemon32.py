# SPDX-License-Identifier: GPL-2.0-only
"""A daemon of 32 bits on a kernel of 64, with our module and with hv_utils."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hvtest import daemon32, host, images, kernels
from hvtest.agent import until
from hvtest.guest import Guest
from hvtest.stack import OURS, STOCK, Stack

GUARD = "/sys/bus/vmbus/devices/*/hv_vss/guard_"


@pytest.fixture(scope="module")
def guest(machine: str, machines) -> Guest:
    guest = machines.boot(machine)
    guest.mount_data()
    for path, file in daemon32.files().items():
        guest.agent.run("mkdir", "-p", path.rpartition("/")[0])
        guest.agent.put(path, file.read_bytes(), 0o755)
    if guest.agent.try_run("/usr/sbin/hv-vss-daemon", "--version").status:
        assert guest.kernel.suite in kernels.OWN
        pytest.skip("this debug kernel runs no programs of 32 bits")
    return guest


@pytest.fixture(params=[OURS, STOCK], ids=lambda module: f"{module}_module")
def stack(guest: Guest, request: pytest.FixtureRequest) -> Iterator[Stack]:
    stack = Stack(guest, request.param, OURS)
    stack.load()
    stack.start_daemon()
    yield stack
    if stack.daemon:
        stack.stop_daemon()
    if stack.module == OURS:
        stack.rmmod()
    guest.agent.run("rmmod", "hv_utils")
    guest.check()


def number(guest: Guest, name: str) -> int:
    return int(guest.agent.shell(f"cat {GUARD}{name}"))


def test_daemon_is_what_it_is_said_to_be(guest: Guest) -> None:
    assert guest.agent.run("uname", "-m").strip() == "x86_64"
    magic = daemon32.files()["/usr/sbin/hv-vss-daemon"].read_bytes()[:5]
    assert magic == b"\x7fELF\x01"


def test_freezes_and_thaws(guest: Guest, stack: Stack) -> None:
    places = [f"/data/{fs}" for fs in images.FILE_SYSTEMS] + ["/root"]
    assert guest.host.ask("freeze")["status"] == host.OK
    writes = [guest.agent.start("sh", "-c", f"echo frozen > {place}/test") for place in places]
    guest.agent.run("sleep", "1")
    assert not any(write.over for write in writes), [str(w) for w in writes if w.over]
    if stack.module == OURS:
        assert number(guest, "frozen") >= len(places)
    assert guest.host.ask("thaw")["status"] == host.OK
    for write in writes:
        assert write.wait(10).status == 0


def test_what_a_killed_daemon_left_frozen_is_thawed(guest: Guest, stack: Stack) -> None:
    """By the guard, whose ioctls are the only ones that a kernel has to translate; or without the
    guard by the guardian."""
    assert guest.host.ask("freeze")["status"] == host.OK
    armed = number(guest, "armed") if stack.module == OURS else 0
    assert stack.daemon
    stack.daemon.kill(9)
    stack.daemon.wait()
    stack.daemon = None
    writes = [guest.agent.start("sh", "-c", f"echo thawed > /data/{fs}/test")
              for fs in images.FILE_SYSTEMS]
    for write in writes:
        assert write.wait(30).status == 0
    if stack.module == OURS:
        assert armed > 0
        until(lambda: number(guest, "armed") == 0, 5, "the guard has let go")
    assert guest.host.ask("thaw")["status"] == host.FAIL
