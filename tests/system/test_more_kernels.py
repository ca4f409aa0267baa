# SPDX-License-Identifier: GPL-2.0-only
"""Debian's other kernels: newer ones for a stable suite, the next one, those for virtual machines.
Each is booted once, for a backup and for a daemon that dies while everything is frozen; what else is
tested on which kernel is in tests/KERNELS.md."""

from __future__ import annotations

import signal

import pytest

from hvtest import host, kernels
from hvtest.stack import OURS, Stack

MORE = (*kernels.BACKPORTS, "bookworm-cloud", "trixie-cloud")
MACHINES = [f"{kernel}-1cpu-{OURS}" for kernel in kernels.chosen(*MORE)]


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_backup_freezes_everything(stack: Stack, places: list[str]) -> None:
    assert stack.guest.host.ask("freeze")["status"] == host.OK
    stack.guest.frozen(places)
    assert stack.guest.host.ask("thaw")["status"] == host.OK
    stack.guest.writable(places)


def test_nothing_stays_frozen_when_the_daemon_is_killed(stack: Stack, places: list[str]) -> None:
    assert stack.guest.host.ask("freeze")["status"] == host.OK
    stack.stop_daemon(signal.SIGKILL)
    stack.guest.writable(places)
    assert stack.guest.host.ask("thaw")["status"] == host.FAIL
    stack.start_daemon()
    stack.back_up()
