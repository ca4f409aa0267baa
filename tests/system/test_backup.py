# SPDX-License-Identifier: GPL-2.0-only
"""A guest under write load is backed up and restored, and the copy is good: on every kernel, with
one and two CPUs. A copy without a freeze is not good; otherwise the test would prove nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hvtest import backup, disks, host, images, kernels
from hvtest.guest import Guest
from hvtest.stack import Stack

DISKS = ("root", *images.FILE_SYSTEMS)


@dataclass
class Proof:
    """What one guest's backup has left for the tests to judge."""
    suite: str
    smp: int
    backup: backup.Backup
    unfrozen: dict[str, Path]       # copies made while all writers continued
    hot_backup: host.Message
    went_on: bool
    health: str                     # what was wrong with the guest in the end
    directory: Path


# Kernels that are asked for have both; each suite's together take twice the time.
MACHINES = [f"{suite}-{smp}cpu" for suite, smp in itertools.product(kernels.chosen(), (1, 2))] or [
    "bullseye-1cpu", "bookworm-2cpu", "trixie-2cpu", "sid-1cpu"]


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def proof(machine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proof]:
    suite, cpus = machine.rsplit("-", 1)
    smp = int(cpus.removesuffix("cpu"))
    directory = tmp_path_factory.mktemp(kernels.named(machine))
    live = disks.new_set(directory / "live")
    with Guest(suite, live, smp=smp) as guest:
        yield _prove(guest, directory)
    for image in directory.rglob("*.img"):
        image.unlink()


def _prove(guest: Guest, directory: Path) -> Proof:
    stack = Stack(guest)
    guest.mount_data()
    stack.load()
    stack.start_daemon()
    with backup.Load(guest) as running:
        hot_backup = guest.host.ask("hot_backup")
        unfrozen = disks.copy_all(guest.disks, directory / "unfrozen")
        taken = backup.take(guest, running, directory / "copies")
        running.wait_progress()
    stack.stop_daemon()
    health = ""
    try:
        guest.check()
    except AssertionError as error:
        health = str(error)
    return Proof(guest.kernel.suite, guest.smp, taken, unfrozen, hot_backup, True, health,
                 directory)


def test_host_gets_one_right_answer_to_each_request(proof: Proof) -> None:
    assert proof.hot_backup["status"] == host.OK
    assert proof.hot_backup["vss_flags"] == 5
    assert proof.backup.freeze["status"] == host.OK
    assert proof.backup.thaw["status"] == host.OK


def test_no_write_is_acknowledged_while_frozen(proof: Proof) -> None:
    assert all(proof.backup.stood_still.values()), proof.backup.stood_still


@pytest.mark.parametrize("disk", DISKS)
def test_copy_has_nothing_to_replay(proof: Proof, disk: str) -> None:
    finding = backup.examine({disk: proof.backup.copies[disk]})[disk]
    assert finding.good, finding


@pytest.mark.parametrize("disk", DISKS)
def test_copy_without_freeze_needs_recovery(proof: Proof, disk: str) -> None:
    finding = backup.examine({disk: proof.unfrozen[disk]})[disk]
    assert finding.replay, finding


def test_restored_guest_has_every_acknowledged_write(proof: Proof) -> None:
    backup.restore(proof.backup, proof.suite, proof.directory / "restored", proof.smp)


def test_guest_stays_healthy(proof: Proof) -> None:
    assert not proof.health, proof.health
