# SPDX-License-Identifier: GPL-2.0-only
"""The packages in whole systems: Debian, booted on the emulated host, with apt.

One guest of a suite goes through the life of an installation, one scenario after the other; each
ends with a backup and a check of the whole system. HV_VSS_INSTALLED names the suites, by default
"trixie". PACKAGES.md has the results. test_deb.py tests what a purge leaves on the disk.
"""

from __future__ import annotations

import re

import pytest

import readme
from booted import OURS, THEIRS
from hvtest import host
from installed import KVP
from repository import BROKEN, NEW, OLD, THEIRS_NEW

BIND = "/usr/libexec/hv-vss/hv-vss-bind"


@pytest.fixture(name="system")
def system_fixture(whole_system):
    """For one scenario; the next ones build on it."""
    return whole_system


def test_fresh_install_on_the_running_system(system):
    assert system.guest.driver() == "hv_utils"
    # The module's package is installed, too, because it is recommended.
    system.guest.apt("install", f"hv-vss-daemon={OLD}", f"hv-vss-dkms={OLD}")
    system.backs_up(OURS, "hv_vss")


def test_commands_of_the_readme(system):
    guest = system.guest
    looks, asks = readme.block("In the guest:"), readme.inline("Troubleshooting")
    assert len(looks) == 4 and len(asks) >= 6, (looks, asks)
    for command in looks + asks:
        watch = command.endswith("--watch")     # as long as nobody ends it
        done = guest.run_sh(f"timeout -s INT 3 {command}" if watch else command)
        # A service that runs only when needed is not active, and systemctl says so with 3.
        assert done.status in ((0, 3) if command.startswith("systemctl status") else
                               (124,) if watch else (0,)), done
        assert done.out, done
    option = re.fullmatch(r'HV_VSS_OPTIONS="(.*)"', readme.block("`systemctl restart")[0]).group(1)
    guest.sh(f"hv-vss-daemon --list {option}")
    restart = re.search(r"`(systemctl restart [a-z-]+)`", readme.TEXT).group(1)
    guest.sh(f"echo 'HV_VSS_OPTIONS=\"{option}\"' >> /etc/default/hv-vss-daemon; {restart}")
    running = guest.sh("tr '\\0' ' ' < /proc/$(systemctl show -p MainPID --value "
                       "hv-vss-daemon)/cmdline")
    assert running.strip() == f"{OURS} {option}"
    guest.sh(f"sed -i '$d' /etc/default/hv-vss-daemon; {restart}")
    system.backs_up(OURS, "hv_vss")


def test_theirs_installed_beside_ours(system):
    system.guest.apt("install", f"hyperv-daemons={system.theirs()}")
    assert system.guest.sh("dpkg -V hyperv-daemons | grep -v /usr/share/ || true") == ""
    system.backs_up(OURS, "hv_vss")


def test_upgrade_of_theirs(system):
    system.guest.apt("install", f"hyperv-daemons={THEIRS_NEW}")
    # Without us it is the same: their package stops it, and restarts only running services.
    system.guest.sh(f"systemctl start {KVP}")
    system.backs_up(OURS, "hv_vss")


def test_restart_in_the_middle_of_a_freeze(system):
    """As the package's upgrade does it: it waits for the thaw, and the backup is good."""
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
    """Each backup completes or is reported as failed, while the package's files are written."""
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
    # The module of one version with the daemon of another one.
    assert system.packaged("hv-vss-dkms") == OLD and system.packaged("hv-vss-daemon") == NEW
    system.backs_up(OURS, "hv_vss")


def test_upgrade_of_the_module_and_the_daemon_back(system):
    """The loaded module continues to serve; after a reboot, the other mixture of versions."""
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
    """apt succeeds, and the loaded module continues to serve. Without it, as after a reboot, hv_utils
    serves."""
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


def test_everything_purged_and_theirs_goes_on(system):
    guest = system.guest
    guest.apt("purge", "hv-vss-daemon", "hv-vss-dkms")
    assert guest.sh("lsmod | grep -w hv_vss || true") == ""
    assert guest.sh("dpkg -V hyperv-daemons | grep -v /usr/share/ || true") == ""
    system.backs_up(THEIRS, "hv_utils")


def test_nothing_is_left(system):
    """No daemon answers: the host is told so, and the next installation serves again."""
    guest = system.guest
    guest.apt("purge", "hyperv-daemons")
    # This leaves them running.
    guest.sh(f"systemctl stop hv-vss-daemon.service {KVP}")
    assert system.left() == set()
    assert guest.run_sh("systemctl cat hv-vss-daemon.service").status != 0
    assert guest.driver() == "hv_utils"
    assert guest.host.ask("hot_backup")["status"] == host.FAIL
    guest.apt("install", "--no-install-recommends", f"hv-vss-daemon={NEW}")
    assert system.packaged("hv-vss-dkms") == ""
    system.backs_up(OURS, "hv_utils")


def test_theirs_first_and_then_ours(system):
    guest = system.guest
    guest.apt("purge", "hv-vss-daemon")
    # If udev remembered our rule, the systemd of bullseye would not start theirs.
    assert "SYSTEMD_WANTS" not in guest.sh("udevadm info --query=property /dev/vmbus/hv_vss")
    guest.apt("install", f"hyperv-daemons={system.theirs()}")
    if guest.suite == "bullseye":
        # Bullseye's package does not start KVP here; without us it is the same.
        guest.sh(f"systemctl start {KVP}")
    system.backs_up(THEIRS, "hv_utils")
    guest.apt("install", f"hv-vss-daemon={NEW}", f"hv-vss-dkms={NEW}")
    system.backs_up(OURS, "hv_vss")
