# SPDX-License-Identifier: GPL-2.0-only
"""The RPM packages' scriptlets, in a whole booted system: Debian, but with rpm, and with a daemon that
has the name and the unit of EL's.

For the suites of HV_VSS_INSTALLED, and only if that is set. PACKAGES.md has the results.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import installed
import repository
from booted import OURS
from hvtest import host
from hvtest.agent import until
from repository import NEW, OLD
from rpms import build

# The parts of EL's package hypervvssd that matter for ours.
THEIRS = "/usr/sbin/hypervvssd"
UNIT = f"""[Unit]
ConditionVirtualization=microsoft
BindsTo=sys-devices-virtual-misc-vmbus\\x21hv_vss.device
[Service]
ExecStart={THEIRS} -n
"""
RULE = 'SUBSYSTEM=="misc", KERNEL=="vmbus/hv_vss", TAG+="systemd", ' \
    'ENV{SYSTEMD_WANTS}+="hypervvssd.service"\n'
RPM = "rpm --nodeps"


def packages(suite: str, version: str, work: Path) -> dict[str, Path]:
    """The packages of two versions; the module is compiled before, as in repository.py."""
    compiled, _ = repository.compile_module(suite, version, work / "module")
    source = work / "src"
    shutil.copytree(repository.TOP / "src", source, ignore=shutil.ignore_patterns(".*", "*.o"))
    repository.ship(source, compiled)
    found = {}
    for number in (OLD, NEW):
        def edit(text: str, number: str = number) -> str:
            text = re.sub(r"^(Version: +).*", rf"\g<1>{number}", text, flags=re.M)
            text = text.replace("\n%post daemon\n", f"""
into=%{{buildroot}}%{{_usrsrc}}/%{{name}}-%{{version}}/src
rm -rf "$into"
cp -r {source} "$into"

%post daemon
""", 1)
            return f"%global _binaries_in_noarch_packages_terminate_build 0\n{text}"

        (work / number).mkdir()
        for path in build(work / number, number, edit):
            found[path.name] = path
    return found


class RpmSystem(installed.System):
    """A system with the packages in /rpms, and EL's daemon."""

    def __init__(self, suite: str, directory: Path, version: str) -> None:
        super().__init__(suite, directory, version)
        self.packages = packages(suite, version, directory)

    def start(self) -> None:
        super().start()
        guest = self.guest
        guest.sh("mkdir /rpms")
        for name, path in self.packages.items():
            guest.agent.put(f"/rpms/{name}", path.read_bytes(), 0o644)
        guest.sh(f"dpkg -x /srv/repo/hyperv-daemons_[0-8]*.deb /opt; "
                 f"cp /opt/usr/sbin/hv_vss_daemon {THEIRS}")
        guest.agent.put("/usr/lib/systemd/system/hypervvssd.service", UNIT.encode(), 0o644)
        guest.agent.put("/usr/lib/udev/rules.d/70-hypervvss.rules", RULE.encode(), 0o644)
        guest.sh("systemctl daemon-reload; udevadm control --reload; "
                 "udevadm trigger --action=add /dev/vmbus/hv_vss")

    def theirs_backs_up(self, driver: str) -> None:
        """A backup by EL's daemon."""
        guest = self.guest
        guest.wait_serving()
        assert guest.driver() == driver
        assert guest.sh("systemctl is-active hypervvssd").strip() == "active"
        assert guest.daemon() == ""
        guest.back_up(self.directory / "copies")
        assert guest.failed_units() == ""
        assert not self.complaints(), "\n".join(self.complaints())
        guest.check()
        self.broken = None

    def rpm(self, what: str, *names: str) -> str:
        """Run rpm; it must succeed, and no scriptlet may fail. Returns its output."""
        said = self.guest.sh(f"{RPM} {what} {' '.join(names)}", 420)
        assert "scriptlet failed" not in said, said
        return said

    def file(self, package: str, version: str) -> str:
        """The file of a package, in the guest."""
        return next(f"/rpms/{name}" for name in self.packages
                    if name.startswith(f"{package}-{version}-"))

    def while_frozen(self, command: str) -> str:
        """Start it during a backup, which must be good."""
        guest = self.guest
        assert guest.host.ask("freeze", timeout=120)["status"] == host.OK
        running = guest.start_sh(command)
        guest.agent.run("sleep", "3")
        assert not running.over
        guest.frozen(["/root", "/data/ext4"])
        assert guest.host.ask("thaw", timeout=60)["status"] == host.OK
        done = running.wait(420)
        assert done.status == 0, done
        assert "scriptlet failed" not in done.out + done.err, done
        return done.out + done.err


# Built on this machine, for its C library or a later one.
@pytest.fixture(scope="module", params=[
    pytest.param(suite, marks=pytest.mark.xdist_group(f"rpm-{suite}"))
    for suite in installed.SUITES if suite != "bullseye"])
def life(request, tmp_path_factory, version):
    """One system for this file only."""
    yield from installed.life(RpmSystem(request.param, tmp_path_factory.mktemp("rpm"), version))


@pytest.fixture(name="system")
def system_fixture(whole_system):
    """For one scenario; the next ones build on it."""
    return whole_system


def test_theirs_alone(system):
    system.theirs_backs_up("hv_utils")


def test_daemon_installed_while_theirs_has_frozen(system):
    """If theirs were stopped at that time, everything would stay frozen."""
    system.while_frozen(f"{RPM} -i {system.file('hv-vss-daemon', OLD)}")
    until(lambda: system.guest.daemon() == OURS, 30, "ours has taken over", interval=0.5)
    system.backs_up(OURS, "hv_utils")
    assert system.guest.sh("pidof hypervvssd || true") == ""
    # While ours is enabled, this is a name of ours.
    assert "Id=hv-vss-daemon.service" in system.guest.sh("systemctl show -p Id hypervvssd")
    assert system.guest.sh("systemctl is-active hypervvssd").strip() == "active"


def test_switched_off_and_on(system):
    """It stays off, and theirs does not start instead."""
    guest = system.guest
    guest.sh("systemctl disable --now hv-vss-daemon")
    guest.offer_again()
    guest.run_sh("systemctl start hypervvssd")
    guest.agent.run("sleep", "5")
    assert guest.host.ask("hot_backup")["status"] == host.FAIL
    assert guest.sh("pidof hypervvssd || true") == ""
    guest.sh("systemctl enable --now hv-vss-daemon")
    system.backs_up(OURS, "hv_utils")


def test_module_installed_on_the_running_system(system):
    system.rpm("-i", system.file("hv-vss-dkms", OLD))
    system.backs_up(OURS, "hv_vss")


def test_upgrade_while_frozen(system):
    """The daemon is restarted after the thaw; the loaded module continues to serve."""
    guest = system.guest
    pid = guest.sh("systemctl show -p MainPID --value hv-vss-daemon")
    system.while_frozen(f"{RPM} -U {system.file('hv-vss-daemon', NEW)}")
    assert guest.sh("systemctl show -p MainPID --value hv-vss-daemon") != pid
    system.backs_up(OURS, "hv_vss")
    system.rpm("-U", system.file("hv-vss-dkms", NEW))
    status = guest.sh("dkms status")
    assert NEW in status and OLD not in status
    system.backs_up(OURS, "hv_vss")


def test_reboot(system):
    system.guest.restart()
    assert "/dkms/" in system.guest.sh("modinfo -n hv_vss")
    system.backs_up(OURS, "hv_vss")


def test_daemon_removed_and_theirs_goes_on(system):
    system.rpm("-e", "hv-vss-daemon")
    system.theirs_backs_up("hv_vss")


def test_module_removed_and_hv_utils_goes_on(system):
    system.rpm("-e", "hv-vss-dkms")
    assert system.guest.sh("lsmod | grep -w hv_vss || true") == ""
    assert system.guest.sh("dkms status; ls -d /usr/src/hv-vss-* 2>/dev/null || true") == ""
    system.theirs_backs_up("hv_utils")
