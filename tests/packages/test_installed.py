# SPDX-License-Identifier: GPL-2.0-only
"""The packages in whole systems: Debian, booted on the emulated host, with apt.

One guest of a suite goes through the life of an installation, one scenario after the other; each
ends with a backup and a look at the whole system. What a purge leaves on the disk is in
test_deb.py. HV_VSS_INSTALLED names the suites, "trixie" if it is not set.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

import booted
import repository
from booted import OURS, THEIRS, Booted
from hvtest import disks, host
from repository import BROKEN, NEW, OLD, THEIRS_NEW

SUITES = os.environ.get("HV_VSS_INSTALLED", "trixie").split()
BIND = "/usr/lib/hv-vss/hv-vss-bind"


class System:
    """The booted system, and what is known of it."""

    def __init__(self, suite: str, directory: Path, version: str) -> None:
        self.directory = directory
        self.broken: str | None = None
        live = disks.new_set(directory, ("ext4",))
        disks.copy(booted.image(suite), live["root"])
        live["repo"] = repository.disk(suite, version)
        self.guest = Booted(suite, live, readonly=frozenset({"repo"}))

    def start(self) -> None:
        """Boot; nothing is installed yet, and no daemon answers the host."""
        self.guest.start()
        self.guest.mount_all()
        self.guest.sh("apt-get -q update")
        assert self.guest.failed_units() == ""

    def backs_up(self, daemon: str, driver: str) -> None:
        """A verified backup with this daemon and driver; nothing has failed, nothing complains."""
        guest = self.guest
        guest.wait_serving()
        assert (guest.daemon(), guest.driver()) == (daemon, driver)
        guest.back_up(self.directory / "copies")
        guest.writable(["/root", "/data/ext4"])
        assert guest.failed_units() == ""
        assert guest.journal_errors() == []
        guest.check()
        self.broken = None

    def packaged(self, package: str) -> str:
        """The version of a package that is installed."""
        return self.guest.sh(f"dpkg-query -W -f '${{Version}}' {package}")

    def theirs(self) -> str:
        """The suite's own version of hyperv-daemons."""
        table = self.guest.sh("apt-cache madison hyperv-daemons")
        return next(v for v in re.findall(r"\| (\S+) \|", table) if v != THEIRS_NEW)


@pytest.fixture(scope="module", params=[
    pytest.param(suite, marks=pytest.mark.xdist_group(f"installed-{suite}")) for suite in SUITES])
def life(request, tmp_path_factory, version):
    """The system of a suite, in the state that the last scenario left it in."""
    system = System(request.param, tmp_path_factory.mktemp("system"), version)
    try:
        system.start()
        yield system
    finally:
        system.guest.stop()


@pytest.fixture(name="system")
def system_fixture(life, request):
    """For one scenario; the next ones build on it."""
    if life.broken:
        pytest.fail(f"the system is not what it should be since {life.broken}")
    life.broken = request.node.name     # until the backup at its end
    begin = time.monotonic()
    yield life
    life.guest.timed(request.node.name, begin)


def test_fresh_install_on_the_running_system(system):
    assert system.guest.driver() == "hv_utils"
    # The module's package comes along: it is recommended.
    system.guest.apt("install", f"hv-vss-daemon={OLD}", f"hv-vss-dkms={OLD}")
    system.backs_up(OURS, "hv_vss")


def test_theirs_installed_beside_ours(system):
    system.guest.apt("install", f"hyperv-daemons={system.theirs()}")
    assert system.guest.sh("dpkg -V hyperv-daemons | grep -v /usr/share/ || true") == ""
    system.backs_up(OURS, "hv_vss")


def test_upgrade_of_theirs(system):
    system.guest.apt("install", f"hyperv-daemons={THEIRS_NEW}")
    system.backs_up(OURS, "hv_vss")


def test_restart_in_the_middle_of_a_freeze(system):
    """As the package's upgrade does it; it waits for the thaw, and the backup is good."""
    guest = system.guest
    pid = guest.sh("systemctl show -p MainPID --value hv-vss-daemon")
    assert guest.host.ask("freeze")["status"] == host.OK
    restart = guest.start_sh("invoke-rc.d hv-vss-daemon restart")
    guest.agent.run("sleep", "3")
    assert not restart.over
    guest.frozen(["/root", "/data/ext4"])
    assert guest.host.ask("thaw")["status"] == host.OK
    assert restart.wait(60).status == 0
    assert guest.sh("systemctl show -p MainPID --value hv-vss-daemon") != pid
    system.backs_up(OURS, "hv_vss")


def test_upgrade_of_the_daemon_while_backups_are_made(system):
    """Each backup completes, or is reported as failed; the package's files are written between."""
    guest = system.guest
    upgrade = guest.start_apt("install", f"hv-vss-daemon={NEW}")
    tally = {"good": 0, "refused": 0, "broken": 0}
    while not upgrade.over:
        if guest.host.ask("freeze", timeout=120)["status"] != host.OK:
            tally["refused"] += 1
            guest.agent.run("sleep", "0.5")
            continue
        guest.agent.run("sleep", "0.3")
        thawed = guest.host.ask("thaw", timeout=60)["status"] == host.OK
        tally["good" if thawed else "broken"] += 1
        guest.writable(["/root", "/data/ext4"], timeout=30)
        guest.agent.run("sleep", "1")
    result = upgrade.wait(10)
    assert result.status == 0, result.out + result.err
    print(f"{guest.suite}: backups while the daemon was upgraded: {tally}")
    assert tally["good"] > 0 and tally["broken"] == 0
    # The module of one version with the daemon of another.
    assert system.packaged("hv-vss-dkms") == OLD and system.packaged("hv-vss-daemon") == NEW
    system.backs_up(OURS, "hv_vss")


def test_upgrade_of_the_module_and_the_daemon_back(system):
    """What is loaded goes on serving; then the other mixture of versions, after a reboot."""
    guest = system.guest
    guest.apt("install", f"hv-vss-dkms={NEW}")
    guest.apt("install", "--allow-downgrades", f"hv-vss-daemon={OLD}")
    system.backs_up(OURS, "hv_vss")


def test_reboot(system):
    system.guest.restart()
    assert system.packaged("hv-vss-dkms") == NEW and system.packaged("hv-vss-daemon") == OLD
    system.backs_up(OURS, "hv_vss")


def test_host_switches_the_service_off_and_on(system):
    system.guest.offer_again()
    system.backs_up(OURS, "hv_vss")


def test_module_that_does_not_build(system):
    """apt succeeds, what is loaded serves on; without it, as after a reboot, hv_utils does."""
    guest = system.guest
    said = guest.apt("install", f"hv-vss-dkms={BROKEN}", f"hv-vss-daemon={NEW}")
    assert "kernel's own driver" in said
    assert guest.sh("dpkg --audit") == ""
    assert guest.driver() == "hv_vss"
    guest.sh(f"{BIND} release && rmmod hv_vss && {BIND} claim")
    system.backs_up(OURS, "hv_utils")


def test_daemon_removed_and_theirs_goes_on(system):
    driver = system.guest.driver()
    system.guest.apt("remove", "hv-vss-daemon")
    system.backs_up(THEIRS, driver)


def test_reinstalled_after_theirs(system):
    system.guest.apt("install", f"hv-vss-dkms={NEW}", f"hv-vss-daemon={NEW}",
                     "--allow-downgrades")
    system.backs_up(OURS, "hv_vss")
