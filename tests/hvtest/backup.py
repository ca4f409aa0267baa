# SPDX-License-Identifier: GPL-2.0-only
"""A backup as Hyper-V makes it, and the proof that the copy is good."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from . import disks, host, images, kernels, load, verify
from .guest import Guest
from .host import Message

# How to mount a copy so that nothing is replayed: the copy must be good as it is.
# The first option that the kernel knows: rescue= since 5.9, nologreplay since 4.6. On older kernels
# examine() makes sure that btrfs has no log.
WITHOUT_RECOVERY = {"ext4": ("ro,noload",), "xfs": ("ro,norecovery,nouuid",),
                    "btrfs": ("ro,rescue=nologreplay", "ro,nologreplay", "ro")}


class Acknowledging(Protocol):
    """A writer, which knows what must be on the copy."""

    def acknowledged(self) -> dict[str, int]:
        """The last record acknowledged, by writer."""


class Load:
    """Writers on every file system, a database and fio, as long as the context lasts."""

    def __init__(self, guest: Guest, fio: bool = True) -> None:
        self.guest = guest
        self._with_fio = fio
        self.writers: dict[str, load.Writer] = {}
        self.fio: load.Fio | None = None

    def __enter__(self) -> Load:
        agent = self.guest.agent
        if self._with_fio:
            self.fio = load.Fio(self.guest, "/data/xfs")
        for fs in images.FILE_SYSTEMS:
            self.writers[fs] = load.Writer.records(agent, fs, f"/data/{fs}")
        self.writers["root"] = load.Writer.records(agent, "root", "/root")
        self.writers["sqlite"] = load.Writer.database(agent, "sqlite", "/data/ext4")
        self.wait_progress()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind:    # the guest may have stopped
            return
        for writer in self.writers.values():
            writer.stop()
        if self.fio:
            self.fio.stop()

    def acknowledged(self) -> dict[str, int]:
        return {name: writer.last for name, writer in self.writers.items()}

    def wait_progress(self, timeout: float = 30) -> None:
        """Wait until every writer has written again."""
        for name, last in self.acknowledged().items():
            self.writers[name].wait_past(last, timeout)


@dataclass
class Backup:
    """One backup: the host's answers, the copied disks and what must be on them."""
    freeze: Message
    thaw: Message
    copies: dict[str, Path]
    acknowledged: dict[str, int]
    copy_seconds: float
    stood_still: dict[str, bool] = field(default_factory=dict)


def take(guest: Guest, running: Acknowledging, directory: Path) -> Backup:
    """FREEZE, copy the disks, THAW; both answered with success."""
    freeze = guest.host.ask("freeze", luns=luns(guest), timeout=120)
    assert freeze["status"] == host.OK, freeze
    # Acknowledgements from before the answer may not have arrived yet.
    time.sleep(0.3)
    before = running.acknowledged()
    begin = time.monotonic()
    copies = disks.copy_all(guest.disks, directory)
    seconds = time.monotonic() - begin
    acknowledged = running.acknowledged()
    thaw = guest.host.ask("thaw", timeout=60)
    assert thaw["status"] == host.OK, thaw
    return Backup(freeze, thaw, copies, acknowledged, seconds,
                  {name: before[name] == acknowledged[name] for name in before})


def luns(guest: Guest) -> list[Message]:
    """The disks as a host names them."""
    controller = "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"
    return [{"bus": 1, "controller": controller, "port": 0, "target": 0, "lun": n}
            for n in range(len(guest.disks))]


def examine(copies: dict[str, Path]) -> dict[str, verify.Finding]:
    """Check each copied disk with its file system's own tools."""
    return {name: verify.examine(name, image) for name, image in copies.items()}


def restore(backup: Backup, suite: str, directory: Path, smp: int = 1) -> dict[str, str]:
    """Boot a guest from the copied disks: first each file system read-only and without recovery,
    then as after a real restore. Returns the findings in words; raises AssertionError for a fault.
    """
    disks_of = disks.copy_all(backup.copies, directory)
    disks_of["root-copy"] = directory / "root-copy.img"
    disks.copy(backup.copies["root"], disks_of["root-copy"])
    readonly = frozenset({"root-copy"})
    with Guest(suite, disks_of, smp=smp, readonly=readonly) as guest:
        found = {}
        for serial, where in _places(guest).items():
            _mount_without_recovery(guest, serial, where)
        found |= _contents(guest, backup, {"root": "/mnt/root-copy/root"})
        if guest.agent.shell("if test -e /data/xfs/fio; then echo y; fi"):
            found["fio"] = load.Fio.check(guest.agent, "/data/xfs")
        for where in _places(guest).values():
            guest.agent.run("/bin/umount", where)
        seen = len(guest.agent.kmsg)
        guest.mount_data()
        _contents(guest, backup, {"root": "/root"})
        _no_recovery(guest, guest.agent.kmsg[seen:])
        for where in ("/root", *(f"/data/{fs}" for fs in images.FILE_SYSTEMS)):
            guest.agent.shell(f"echo restored > {where}/restored; sync {where}/restored")
        guest.check()
        return found


def _mount_without_recovery(guest: Guest, serial: str, where: str) -> None:
    name = "ext4" if serial == "root-copy" else serial
    kind = images.kind(name)
    *better, last = WITHOUT_RECOVERY[kind]
    for options in better:
        seen = len(guest.agent.kmsg)
        try:
            guest.mount(serial, where, name, options)
            return
        except AssertionError:
            # Any other reason is a fault of the copy.
            if not (guest.kernel.source and any("unrecognized mount option" in line
                                                for line in guest.agent.kmsg[seen:])):
                raise
            kernels.leave_out(f"mount -t {kind} -o {options}")
            # The kernel logs this as an error; the guest is healthy all the same.
            other = [line for line in guest.bad_kernel_lines() if "open_ctree failed" not in line]
            assert not other, other
    guest.mount(serial, where, name, last)


def _places(guest: Guest) -> dict[str, str]:
    data = {fs: f"/data/{fs}" for fs in images.FILE_SYSTEMS if fs in guest.disks}
    return {**data, "root-copy": "/mnt/root-copy"}


def _contents(guest: Guest, backup: Backup, root: dict[str, str]) -> dict[str, str]:
    agent, promised = guest.agent, backup.acknowledged
    places = {fs: f"/data/{fs}" for fs in images.FILE_SYSTEMS} | root
    found = {name: load.check_records(agent, place, promised[name])
             for name, place in places.items()}
    if "sqlite" in promised:
        found["sqlite"] = load.check_database(agent, "/data/ext4", promised["sqlite"])
    return found


def _no_recovery(guest: Guest, lines: list[str]) -> None:
    """An ordinary mount of the copy had nothing to recover. XFS always reads its log after a freeze,
    and finds its dummy record."""
    told = [line for line in lines if ("EXT4-fs" in line and "recovery" in line)
            or ("BTRFS" in line and ("replay" in line or "log tree" in line))
            or "orphan" in line]
    root = [line for line in guest.agent.kmsg if "EXT4-fs (vda): recovery" in line]
    assert not told and not root, "\n".join(told + root)
