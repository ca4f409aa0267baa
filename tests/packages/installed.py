# SPDX-License-Identifier: GPL-2.0-only
"""A system that packages are installed into, through all scenarios of a run."""

from __future__ import annotations

import os
import re
from pathlib import Path

import booted  # pylint: disable=import-error
import repository  # pylint: disable=import-error
from booted import Booted  # pylint: disable=import-error
from hvtest import disks
from repository import THEIRS_NEW  # pylint: disable=import-error

SUITES = os.environ.get("HV_VSS_INSTALLED", "trixie").split()


class System:
    """The booted system, and what is known of it."""

    def __init__(self, suite: str, directory: Path, version: str) -> None:
        self.directory = directory
        self.broken: str | None = None
        live = disks.new_set(directory, ("ext4",))
        disks.copy(booted.image(suite), live["root"])
        live["repo"] = repository.disk(suite, version)
        self.guest = Booted(suite, live, readonly=frozenset({"repo"}))
        self._known_errors: set[str] = set()

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
        assert self.complaints() == []
        guest.check()
        self.broken = None

    def complaints(self) -> list[str]:
        """What was logged as an error in this boot and is not known already."""
        return [line for line in self.guest.journal_errors() if line not in self._known_errors]

    def excuse(self, pattern: str) -> list[str]:
        """Errors logged so far that belong to the scenario; the same ones later on do not."""
        lines = [line for line in self.complaints() if re.search(pattern, line)]
        self._known_errors.update(lines)
        return lines

    def packaged(self, package: str) -> str:
        """The version of a package that is installed; "" if it isn't."""
        done = self.guest.run_sh(f"dpkg-query -W -f '${{db:Status-Abbrev}}${{Version}}' {package}")
        return done.out.removeprefix("ii ") if done.out.startswith("ii ") else ""

    def theirs(self) -> str:
        """The suite's own version of hyperv-daemons."""
        table = self.guest.sh("apt-cache madison hyperv-daemons")
        return next(v for v in re.findall(r"\| (\S+) \|", table) if v != THEIRS_NEW)
