# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures for tests in booted guests.

Booting takes seconds, so tests share guests. Each test ends with a check of the guest's health, and
must leave the guest as it was. A guest that a test left broken is not used for the next test.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hvtest import disks, faults, images, kernels
from hvtest.guest import Guest, report_to
from hvtest.site import Site
from hvtest.stack import OURS, STOCK, Stack


@pytest.hookimpl(tryfirst=True)     # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a guest run on one worker."""
    for item in items:
        call = getattr(item, "callspec", None)
        machine = call.params.get("machine") if call else None
        if machine and not item.get_closest_marker("xdist_group"):
            name = f"{item.path.stem}-{machine}"
            item.add_marker(pytest.mark.xdist_group(name))


# The reference, for the tables: nothing of ours is tried there, and each hang of the stock stack
# costs a boot. Named on the command line, as tests/fault-table and tests/construction-table do, they
# run all the same.
collect_ignore = ["test_constructions_stock.py", "test_faults_stock.py"]
# Needs features that only this kernel has; building it takes twenty minutes.
if "kasan" not in kernels.chosen():
    collect_ignore.append("test_failslab.py")

FAILED = pytest.StashKey[bool]()
# Where each file system of a guest with disks.new_set() is.
ALL = ["/root", *(f"/data/{fs}" for fs in images.FILE_SYSTEMS)]


class Machines:
    """Boots guests with fresh disks, and stops them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: dict[Guest, Path] = {}   # and where its disks are
        self._count = 0

    def boot(self, suite: str, more_disks: dict[str, Path] | None = None, **options) -> Guest:
        self._count += 1
        place = self._directory / f"disks{self._count}"
        live = disks.new_set(place) | (more_disks or {})
        guest = Guest(suite, live, **options)
        guest.start()
        self._running[guest] = place
        return guest

    def stop(self, *guests: Guest) -> None:
        """Stop these, or all of them. Removes their disks, too: those of all guests of a run would be
        tens of gigabytes."""
        for guest in guests or tuple(self._running):
            place = self._running.pop(guest)
            guest.stop()
            shutil.rmtree(place)


@pytest.fixture(scope="module", params=kernels.chosen("bookworm"))
def machine(request: pytest.FixtureRequest) -> str:
    """The kernel to test on; modules that want more than that have a fixture of their own."""
    return request.param


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """For guests that several tests of a module share."""
    machines = Machines(tmp_path_factory.mktemp("machines"))
    yield machines
    machines.stop()


class Shared:
    """A guest that serves backups for one test after another; booted again if one leaves it broken."""

    def __init__(self, machines: Machines, machine: str) -> None:
        self._machines = machines
        self.suite, cpus, self._daemon = kernels.shape(machine)
        self._smp = int(cpus.removesuffix("cpu"))
        self._stack: Stack | None = None

    def stack(self) -> Stack:
        if not self._stack:
            guest = self._machines.boot(self.suite, smp=self._smp)
            guest.mount_data()
            self._stack = Stack(guest, OURS, self._daemon)
            self._stack.load()
            self._stack.start_daemon()
        return self._stack

    def drop(self) -> None:
        self._stack = None
        self._machines.stop()


@pytest.fixture(scope="module")
def shared(machine: str, machines: Machines) -> Iterator[Shared]:
    """Its guest ends before that of the next machine begins: writers would go on in it."""
    shared = Shared(machines, machine)
    yield shared
    shared.drop()


@pytest.fixture(scope="module")
def site(machine: str, machines: Machines, tmp_path_factory: pytest.TempPathFactory
         ) -> Iterator[Site]:
    """A guest with spare disks and our stack."""
    site = Site(machines, tmp_path_factory.mktemp("spare"), machine, OURS)
    yield site
    site.drop()


class Rigs:
    """A guest under load for one fault after another; booted again if one leaves it broken."""

    def __init__(self, machines: Machines, suite: str, pairing: tuple[str, str]) -> None:
        self._machines = machines
        self._suite = suite
        self._pairing = pairing
        self._rig: faults.Rig | None = None

    def rig(self) -> faults.Rig:
        if not self._rig:
            self._rig = faults.Rig(self._machines.boot(self._suite, smp=2), *self._pairing)
            self._rig.set_up()
            self._rig.start_writers()
            if self._pairing[0] == STOCK:
                # How long it takes varies.
                self._rig.host.expect_error(kind="missing")
                self._rig.host.expect_error(kind="late")
        return self._rig

    def drop(self) -> None:
        rig, self._rig = self._rig, None
        if rig:
            self._machines.stop(rig.guest)

    def borrow(self, request: pytest.FixtureRequest) -> Iterator[faults.Rig]:
        """For one test. A backup must be possible after it."""
        rig = self.rig()
        rig.begin()
        yield rig
        if request.node.stash.get(FAILED, True):
            self.drop()
            return
        try:
            if rig.daemon:
                rig.daemon.kill(signal.SIGCONT)
                rig.end()
            rig.backup_works()
            rig.guest.check()
        except BaseException:
            self.drop()
            raise


@pytest.fixture(scope="module")
def pairing() -> tuple[str, str]:
    """Module and daemon; modules that want others have a fixture of their own."""
    return OURS, OURS


@pytest.fixture(scope="module")
def rigs(machine: str, machines: Machines, pairing: tuple[str, str]) -> Iterator[Rigs]:
    """As for shared()."""
    rigs = Rigs(machines, machine, pairing)
    yield rigs
    rigs.drop()


@pytest.fixture
def rig(rigs: Rigs, request: pytest.FixtureRequest) -> Iterator[faults.Rig]:
    """A module, a daemon when the test starts it, and file systems that are written to."""
    yield from rigs.borrow(request)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Lets fixtures see whether their test has failed, and its report what the guests said."""
    outcome = yield
    report = outcome.get_result()
    report.user_properties += [(kernels.NOT_THERE, what) for what in kernels.LEFT_OUT]
    kernels.LEFT_OUT.clear()
    if report.when == "call":
        item.stash[FAILED] = report.failed
    report_to(report)


@pytest.fixture
def stack(shared: Shared, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Our module and a daemon, serving; the test must leave them so."""
    stack = shared.stack()
    yield stack
    if request.node.stash.get(FAILED, True):
        shared.drop()
        return
    try:
        stack.wait_serving()
        stack.back_up()
        stack.guest.writable(ALL)
        stack.guest.check()
    except BaseException:
        shared.drop()
        raise
    if request.node.get_closest_marker("spoils_guest"):
        shared.drop()


@pytest.fixture
def places() -> list[str]:
    return list(ALL)


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Callable[..., Guest]]:
    """For guests of one test; their health is checked at its end."""
    machines = Machines(tmp_path)
    started = []

    def start(suite: str, **options) -> Guest:
        started.append(machines.boot(suite, **options))
        return started[-1]

    try:
        yield start
        for guest in started:
            guest.check()
    finally:
        machines.stop()
