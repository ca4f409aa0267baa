# SPDX-License-Identifier: GPL-2.0-only
"""A system that packages are installed into, through all scenarios of a run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import booted  # pylint: disable=import-error
import repository  # pylint: disable=import-error
from booted import Booted  # pylint: disable=import-error
from hvtest import disks, kernels
from hvtest.agent import until
from repository import THEIRS_NEW  # pylint: disable=import-error
from second_kernel import SecondKernel  # pylint: disable=import-error

KVP = "hv-kvp-daemon.service"
SUITES = os.environ.get("HV_VSS_INSTALLED", "trixie").split()
# What an installation may change; the rest belongs to dpkg, apt and the journal.
PLACES = "/etc /usr /lib /var/lib/dkms /var/lib/systemd /boot"
# Created by the first module that dkms builds, by the first service, or at any time.
NOT_OURS = re.compile(
    r"/mok\.(key|pub)$|/dkms_dbversion$|/modules\.[a-z.]+$|/updates(/dkms)?$"
    r"|/ld\.so\.cache|/deb-systemd-helper-|/timers/|/random-seed|/__pycache__|/linger$|/catalog"
    r"|/01autoremove-kernels$")


class System:
    """The booted system, and what the tests know about it."""

    def __init__(self, suite: str, directory: Path, version: str,
                 second: SecondKernel | None = None) -> None:
        self.directory = directory
        self.broken: str | None = None
        live = disks.new_set(directory, ("ext4",))
        disks.copy(booted.image(suite), live["root"])
        live["repo"] = repository.disk(suite, version, second)
        self.guest = self._machine(suite, live)
        self._known_errors: set[str] = set()
        self._files: set[str] = set()
        self._kvp = ("", "", "")

    def start(self) -> None:
        """Boot; nothing is installed yet, and no daemon answers the host."""
        self.guest.start()
        self.guest.mount_all()
        self.guest.sh("apt-get -q update")
        assert self.guest.failed_units() == ""
        self._files = self.files()

    @staticmethod
    def _machine(suite: str, live: dict[str, Path]) -> Booted:
        return Booted(suite, live, readonly=frozenset({"repo"}))

    def change_kernel(self, kernel: kernels.Kernel) -> None:
        """Power off, and start with another kernel, as from the menu of a boot loader."""
        self.guest.power_off()
        self.guest = self._machine(self.guest.suite, self.guest.disks)
        self.guest.kernel = kernel
        self.guest.start()
        self.guest.mount_all()

    def backs_up(self, daemon: str, driver: str) -> None:
        """A verified backup with this daemon and driver; no unit has failed, no error was logged."""
        guest = self.guest
        guest.wait_serving()
        assert (guest.daemon(), guest.driver()) == (daemon, driver)
        begun = guest.sh("date -u +%FT%TZ").strip()
        guest.back_up(self.directory / "copies")
        guest.writable(["/root", "/data/ext4"])
        assert guest.failed_units() == ""
        assert not self.complaints(), "\n".join(self.complaints())
        self._look_at_kvp()
        if daemon == booted.OURS and self.packaged("hyperv-daemons"):
            # Older drivers of the kernel have another name: hv_util.
            self.told(lambda items: items.get("LastBackup") == "ok" and driver in items["Driver"] + "s"
                      and items["LastBackupTime"] >= begun)
        guest.check()
        self.broken = None

    def told(self, right: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """Wait until what the host reads of our daemon is right; without the prefix of the keys."""
        def items() -> dict[str, str]:
            found = self.guest.host.items()
            assert len(dict(found)) == len(found), found
            return {key.removeprefix("HvVss"): value for key, value in found
                    if key.startswith("HvVss")}

        until(lambda: right(items()), 30, "the host reads what is right", interval=0.5)
        return items()

    def _look_at_kvp(self) -> None:
        """If the distribution's KVP daemon is installed, it runs, and only a reboot or its own package
        has stopped or restarted it."""
        version = self.packaged("hyperv-daemons")
        boot = self.guest.sh("cat /proc/sys/kernel/random/boot_id").strip()
        process = self.guest.sh(f"systemctl show -p MainPID --value {KVP}").strip()
        assert (process != "0") == bool(version)
        if (version, boot) == self._kvp[:2]:
            assert process == self._kvp[2]
        self._kvp = (version, boot, process)

    def complaints(self) -> list[str]:
        """Errors that were logged in this boot and are not known."""
        return [line for line in self.guest.journal_errors() if line not in self._known_errors]

    def logged(self, *patterns: str) -> None:
        """Errors that the scenario must have left in the journal, and no others."""
        lines = self.complaints()
        for pattern in patterns:
            assert any(re.search(pattern, line) for line in lines), \
                "\n".join([f"no {pattern} in:", *lines])
        self._known_errors.update(
            line for line in lines if any(re.search(pattern, line) for pattern in patterns))

    def packaged(self, package: str) -> str:
        """The version of a package that is installed; "" if it isn't."""
        done = self.guest.run_sh(f"dpkg-query -W -f '${{db:Status-Abbrev}}${{Version}}' {package}")
        return done.out.removeprefix("ii ") if done.out.startswith("ii ") else ""

    def theirs(self) -> str:
        """The suite's own version of hyperv-daemons."""
        table = self.guest.sh("apt-cache madison hyperv-daemons")
        return next(v for v in re.findall(r"\| +(\S+) \|", table) if v != THEIRS_NEW)

    def left(self) -> set[str]:
        """Files that did not exist before the first installation."""
        return self.files() - self._files

    def files(self) -> set[str]:
        """The files in directories that installations change."""
        found = self.guest.sh(f"find {PLACES} -xdev").splitlines()
        return {path for path in found if not NOT_OURS.search(path)}


def life(system: System) -> Iterator[System]:
    """For fixtures of this name: the system, from its first boot to its end."""
    try:
        system.start()
        yield system
    finally:
        system.guest.stop()
