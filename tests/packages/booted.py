# SPDX-License-Identifier: GPL-2.0-only
"""A whole Debian system, booted on the emulated host: its own systemd is process 1, the test's
agent runs beside it."""

from __future__ import annotations

import subprocess
import time
from functools import cache as once
from pathlib import Path

from hvtest import cache, cpio, disks, host, images, verify
from hvtest.agent import Command, Result, until
from hvtest.guest import Guest

HERE = Path(__file__).resolve().parent
OURS, THEIRS = "/usr/sbin/hv-vss-daemon", "/usr/sbin/hv_vss_daemon"
VSS_CLASS = "{35fa2e29-ea23-4236-96ae-3a6ebacba440}"
# Emulated, a system boots in half a minute; on a loaded machine in three.
BOOT_TIMEOUT = 300.0
ENVIRONMENT = ("/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
               "LC_ALL=C", "TERM=dumb", "DEBIAN_FRONTEND=noninteractive")
# systemd detects Hyper-V by the firmware, too.
_MAKER = "manufacturer=Microsoft Corporation,product=Virtual Machine"
FIRMWARE = ("-smbios", "type=0,vendor=American Megatrends Inc.",
            "-smbios", f"type=1,{_MAKER},version=7.0", "-smbios", f"type=2,{_MAKER}")
APT = "apt-get -y -q -o Dpkg::Use-Pty=0"
JOURNAL = "journalctl --quiet --no-pager --output=short-monotonic"


@once
def _agent() -> Path:
    """The agent, which then runs the disk's own init as process 1."""
    sources = [cache.TESTS / "guest" / name for name in ("agent.c", "boot.c", "frame.c")]
    headers = [*sorted((cache.TESTS / "guest").glob("*.h")), HERE / "system_boot.h"]
    sources.append(HERE / "system_boot.c")

    def make(place: Path) -> None:
        cache.need("gcc", "libc6-dev")
        cache.run("gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror",
                  "-static", "-Wl,--wrap=boot_system", "-o", place / "agent", *sources)

    key = cache.content_hash(*sources, *headers, Path(__file__))
    return cache.made("guest", key, make, "the agent for whole systems") / "agent"


def image(suite: str) -> Path:
    """The disk of an installed system: copy it, don't boot it."""
    done = subprocess.run([HERE / "system-image", suite], check=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.strip().splitlines()[-1])


class Booted(Guest):
    """A guest whose root disk is that of a whole system; /data/ext4 and /data/xfs are others."""

    def __init__(self, suite: str, live: dict[str, Path], **options) -> None:
        super().__init__(suite, live, memory=1024, host_properties={"kvp": "on"}, **options)
        self.suite = suite
        self._boot_timeout = BOOT_TIMEOUT

    def _command_line(self) -> list[str]:
        command = super()._command_line()
        archive = cpio.Archive()
        archive.file("init", _agent(), 0o755)
        # The kernel unpacks consecutive archives in this order.
        both = self.path / "initramfs"
        both.write_bytes(images.initramfs(self.kernel).read_bytes() + archive.bytes())
        command[command.index("-initrd") + 1] = str(both)
        return command + list(FIRMWARE)

    def wait_boot(self, number: int, timeout: float = BOOT_TIMEOUT) -> None:
        """Wait until systemd reports that it has booted."""
        super().wait_boot(number, timeout)
        until(lambda: self.sh("systemctl is-system-running || true").strip()
              in ("running", "degraded"), timeout, "the system has booted", interval=1)

    def mount_all(self) -> None:
        """The packages' repository, and the data disks."""
        self.mount("repo", "/srv/repo", "ext4", "ro")
        self.mount_data()

    def restart(self) -> None:
        """Reboot as an admin does."""
        boots = len(self.agent.hellos)
        self.reboots_expected += 1
        self.agent.start(*ENVIRONMENT, "systemctl", "reboot")
        self.wait_boot(boots + 1)
        self.mount_all()

    def power_off(self) -> None:
        """Shut down as an admin does."""
        self.agent.start(*ENVIRONMENT, "systemctl", "poweroff")
        until(lambda: self._process is None or self._process.poll() is not None, BOOT_TIMEOUT,
              "the system is down", interval=0.5)
        bad = self.bad_kernel_lines()
        self.stop()
        assert not bad, "\n".join(bad)

    # -- what is done in it

    def run_sh(self, script: str, timeout: float = 120) -> Result:
        """Run a shell script, as root on a console would."""
        return self.agent.try_run(*ENVIRONMENT, "/bin/sh", "-c", script, timeout=timeout)

    def sh(self, script: str, timeout: float = 120) -> str:
        """Run a shell script that must succeed; returns its output."""
        done = self.run_sh(script, timeout)
        assert done.status == 0, f"{script}\n{done.out}{done.err}"
        return done.out + done.err

    def start_sh(self, script: str) -> Command:
        """Start a shell script, without waiting for its end."""
        return self.agent.start(*ENVIRONMENT, "/bin/sh", "-c", script)

    def start_apt(self, *arguments: str) -> Command:
        """Start apt-get."""
        return self.start_sh(f"{APT} {' '.join(arguments)}")

    def apt(self, *arguments: str, timeout: float = 420) -> str:
        """Run apt-get, which must succeed; returns what it printed."""
        said = self.sh(f"{APT} {' '.join(arguments)}", timeout)
        print(said, flush=True)
        return said

    def offer_again(self) -> None:
        """The host switches the service off and on."""
        since = self.host.mark()
        self.host.command("rescind")
        self.host.wait("relid_released", since=since, channel="vss")
        since = self.host.mark()
        self.host.command("offer")
        self.host.wait("negotiated", since=since, channel="vss")

    # -- what is seen of it

    def driver(self) -> str:
        """Which driver has the backup channel."""
        return self.sh(f"for d in /sys/bus/vmbus/devices/*; do [ \"$(cat $d/class_id)\" != "
                       f"'{VSS_CLASS}' ] || basename $(readlink $d/driver); done").strip()

    def daemon(self) -> str:
        """The program that hv-vss-daemon.service runs now; "" if none."""
        return self.sh("p=$(systemctl show -p MainPID --value hv-vss-daemon.service); "
                       "[ \"$p\" -eq 0 ] || readlink /proc/$p/exe").strip()

    def wait_serving(self, timeout: float = 60) -> None:
        """Wait until HOT_BACKUP is answered with success."""
        def serves() -> bool:
            # While the channel moves to another driver, no driver has it open.
            try:
                return self.host.ask("hot_backup")["status"] == host.OK
            except host.HostError:
                return False

        until(serves, timeout, "the guest is ready for backups", interval=0.5)

    def back_up(self, directory: Path) -> None:
        """A backup while the system runs; the copies must need no recovery."""
        freeze = self.host.ask("freeze", timeout=120)
        assert freeze["status"] == host.OK, freeze
        wanted = {name: path for name, path in self.disks.items() if name != "repo"}
        copies = disks.copy_all(wanted, directory)
        thaw = self.host.ask("thaw", timeout=60)
        assert thaw["status"] == host.OK, thaw
        try:
            findings = [verify.examine(name, path) for name, path in copies.items()]
            assert all(f.good for f in findings), "\n".join(map(str, findings))
        finally:
            for path in copies.values():
                path.unlink()

    def failed_units(self) -> str:
        """Units that have failed."""
        return self.sh("systemctl --failed --no-legend --plain").strip()

    def journal_errors(self) -> list[str]:
        """What units, packages and the kernel logged as errors in this boot."""
        return self.sh(f"{JOURNAL} -b -p err").splitlines()

    def timed(self, what: str, since: float) -> float:
        """Log how long a step took."""
        now = time.monotonic()
        print(f"{self.suite}: {what}: {now - since:.0f} s", flush=True)
        return now
