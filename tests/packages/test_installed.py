# SPDX-License-Identifier: GPL-2.0-only
"""A system with systemd, udev and the packages, run in a guest on the emulated host.

The system is the root of pid and mount namespaces of its own, beside the test agent, which so goes
on while everything is frozen.
"""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

import guest_system  # pylint: disable=import-error
from hvtest import disks, host
from hvtest.agent import until
from hvtest.guest import Guest

HERE = Path(__file__).resolve().parent
SUITE = "trixie"
BIND = "/usr/lib/hv-vss/hv-vss-bind"
# systemd takes its namespaces for a container. A drop-in, so that the rest of the unit is the real.
DROP_IN = """[Unit]
ConditionVirtualization=
ConditionPathExists=/dev/vmbus/hv_vss
"""
# Nothing that compiles or documents; the modules that hv_utils needs from the build root.
IMAGE = r"""
set -eu
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/merged"
cd "$2/merged"
mkdir "$2/tree"
tar -cf - --exclude='./usr/src/linux*' --exclude=./usr/lib/gcc --exclude=./usr/libexec/gcc \
	--exclude=./usr/include --exclude=./usr/share/perl --exclude=./usr/share/doc \
	--exclude=./usr/share/locale --exclude=./var/cache --exclude='./usr/bin/*g[c+][c+]*' \
	--exclude='./usr/lib/linux-kbuild*' . | tar -C "$2/tree" -xf -
kernel=usr/lib/modules/$3/kernel/drivers
for part in ptp pps; do
	cp -a "${1##*:}/$kernel/$part" "$2/tree/$kernel/"
done
depmod -b "$2/tree" "$3"
mkdir -p "$2/tree/var/cache"
truncate -s 900M "$2/root.img"
mke2fs -q -F -t ext4 -L system -d "$2/tree" "$2/root.img"
rm -rf "$2/tree"
"""
INIT = """
mount -t proc proc /mnt/proc
mount -t sysfs sysfs /mnt/sys
mount -t devtmpfs dev /mnt/dev
mount -t tmpfs run /mnt/run
exec chroot /mnt /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	/usr/lib/systemd/systemd --show-status=0 --unit=multi-user.target
"""


class Installed:
    """The booted system."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest

    def start(self) -> None:
        """Start systemd, until it is done with booting."""
        self.guest.mount("sys", "/mnt", "ext4")
        self.guest.agent.start("unshare", "--mount", "--pid", "--fork", "--propagation",
                               "private", "sh", "-c", INIT)
        until(lambda: self.run("systemctl is-system-running").out.strip() in
              ("running", "degraded"), 120, "the system has booted", interval=2)
        # udev may still be at it.
        self.guest.host.wait("negotiated", timeout=60, channel="vss")

    def run(self, script: str, timeout: float = 60):
        """A shell script in the system."""
        inside = f"exec nsenter -t $p -m -p chroot /mnt /bin/sh -c {shlex.quote(script)}"
        return self.guest.agent.try_run(
            "sh", "-c", 'p=$(pidof systemd | tr " " "\\n" | sort -n | head -n 1); ' + inside,
            timeout=timeout)

    def sh(self, script: str, timeout: float = 120) -> str:
        """A shell script that must succeed."""
        done = self.run(script, timeout)
        assert done.status == 0, done.out + done.err
        return done.out

    def backs_up(self, daemon: str, driver: str) -> None:
        """A backup works, with this daemon and this driver, and nothing has failed."""
        ask = self.guest.host.ask
        until(lambda: ask("hot_backup")["status"] == host.OK, 30, "the guest serves", interval=0.5)
        assert [ask(op)["status"] for op in ("freeze", "thaw")] == [host.OK, host.OK]
        # The service's program, and only it.
        main = self.sh("systemctl show -p MainPID hv-vss-daemon").strip().split("=")[1]
        assert self.sh(f"readlink /proc/{main}/exe").strip() == daemon
        link = self.sh("for d in /sys/bus/vmbus/devices/2450ee40*; do readlink $d/driver; done")
        assert link.strip().rsplit("/", 1)[1] == driver
        assert self.sh("systemctl --failed --no-legend --plain").split() == []
        assert "-- No entries --" in self.sh("journalctl -p err --no-pager")


@pytest.fixture(name="system")
def system_fixture(tmp_path):
    """Installed beside hyperv-daemons, booted."""
    made = guest_system.GuestSystem(SUITE, tmp_path / "made")
    done = subprocess.run([HERE / "build-deb", SUITE], check=True, stdout=subprocess.PIPE,
                          text=True)
    made.copy_in(Path(done.stdout.strip()), "/ours")
    made.sh("dpkg -i /debs/hyperv-daemons_*.deb /ours/hv-vss-dkms_*.deb /ours/hv-vss-daemon_*.deb")
    made.sh("dpkg-deb -R /debs/hyperv-daemons_*.deb /ours/new; "
            "sed -i 's/^Version: .*/Version: 99.1/' /ours/new/DEBIAN/control; "
            "dpkg-deb -b /ours/new /ours/theirs.deb; rm /usr/sbin/policy-rc.d")
    made.write("/etc/systemd/system/hv-vss-daemon.service.d/test.conf", DROP_IN)
    subprocess.run(["unshare", "--mount", "sh", "-c", IMAGE, "image", made.layers,
                    str(made.where), made.kernel], check=True)
    live = disks.new_set(tmp_path / "disks")
    live["sys"] = made.where / "root.img"
    with Guest(SUITE, live, memory=1024) as guest:
        system = Installed(guest)
        system.start()
        yield system


OURS, THEIRS = "/usr/sbin/hv-vss-daemon", "/usr/sbin/hv_vss_daemon"


def test_boot_new_offer_upgrade_of_theirs_and_removal_of_ours(system):
    system.backs_up(OURS, "hv_vss")

    control = system.guest.host
    since = control.mark()
    control.command("rescind")
    control.wait("relid_released", since=since, channel="vss")
    since = control.mark()
    control.command("offer")
    control.wait("negotiated", since=since, channel="vss")
    system.backs_up(OURS, "hv_vss")

    # The upgrade of hyperv-daemons stops the unit by its name.
    system.sh("dpkg -i /ours/theirs.deb")
    system.backs_up(OURS, "hv_vss")

    system.sh("dpkg -r hv-vss-dkms")
    system.backs_up(OURS, "hv_utils")
    assert system.sh(f"ls {BIND} 2>/dev/null || true") == ""

    system.sh("dpkg -P hv-vss-daemon")
    # Its unit has no such file to be overridden any more.
    system.backs_up(THEIRS, "hv_utils")

    system.sh("dpkg -i /ours/hv-vss-daemon_*.deb")
    system.backs_up(OURS, "hv_utils")
    assert "hv_vss" not in system.sh("lsmod | grep -v hv_vss_ || true").split()
