# SPDX-License-Identifier: GPL-2.0-only
"""The guest of the benchmark: throttled disks, and two stacks that take turns."""

from __future__ import annotations

from pathlib import Path

from hvtest import build, cache, disks, host, images, kernels
from hvtest.agent import Command
from hvtest.guest import Guest
from hvtest.stack import OURS, STOCK, Stack

SUITE = kernels.chosen("bookworm")[0]
STACKS = (STOCK, OURS)
DATA = ("d1", "d2", "d3", "d4")
SLICES, SLICE_MIB = 60, 24
BYTES_PER_SECOND, REQUESTS_PER_SECOND = 100_000_000, 5000
MEMORY_MIB = 3072
HERE = Path(__file__).resolve().parent
# 1 GiB must fit, and stay dirty until somebody wants it on the disk.
DIRTY_LIMITS = {"dirty_bytes": 2 << 30, "dirty_background_bytes": 3 << 29,
                "dirty_expire_centisecs": 360000, "dirty_writeback_centisecs": 0}


def programs() -> Path:
    """Directory with meter and mounts."""
    def make(place: Path) -> None:
        cache.need("gcc", "make", "libc6-dev")
        cache.run("make", "-C", HERE, f"OUT={place}")

    sources = sorted(p for p in HERE.iterdir() if p.suffix == ".c" or p.name == "Makefile")
    return cache.made("bench", cache.content_hash(*sources), make, "the benchmark's programs")


class ThrottledGuest(Guest):
    """Every disk has the same speed, and the host's own disk plays no part: what is flushed
    stays in its page cache."""

    def _command_line(self) -> list[str]:
        speed = (f"cache=unsafe,throttling.bps-total={BYTES_PER_SECOND},"
                 f"throttling.iops-total={REQUESTS_PER_SECOND}")
        return [word.replace("cache=writeback", speed) if word.startswith("if=none,") else word
                for word in super()._command_line()]


def make_disks(directory: Path) -> dict[str, Path]:
    """The root disk, four data disks, and one cut into slices with a file system each."""
    directory.mkdir(parents=True)
    cache.need("e2fsprogs")
    made = {"root": directory / "root.img"}
    disks.copy(images.root_disk(), made["root"])
    for name in DATA:
        made[name] = _sparse(directory / f"{name}.img", 1536)
        _mkfs(made[name], name)
    made["slices"] = _sparse(directory / "slices.img", SLICES * SLICE_MIB)
    for i in range(SLICES):
        _mkfs(made["slices"], f"s{i}", f",offset={i * SLICE_MIB << 20}", f"{SLICE_MIB}m")
    return made


def _sparse(path: Path, mib: int) -> Path:
    with open(path, "wb") as file:
        file.truncate(mib << 20)
    return path


def _mkfs(image: Path, label: str, extended: str = "", *size: str) -> None:
    # Nothing is left to be initialised in the background while something is measured.
    cache.run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-L", label,
              "-E", f"lazy_itable_init=0,lazy_journal_init=0,nodiscard{extended}", image, *size)


class Rig:
    """A booted guest with its data disks mounted, and whichever stack was asked for."""

    def __init__(self, directory: Path, smp: int = 2) -> None:
        self.guest = ThrottledGuest(SUITE, make_disks(directory), smp=smp, memory=MEMORY_MIB)
        self.agent = None
        self.stack: Stack | None = None

    def __enter__(self) -> Rig:
        self.guest.start()
        self.agent = self.guest.agent
        for name in ("meter", "mounts"):
            self.agent.put(f"/run/hvtest/{name}", (programs() / name).read_bytes(), 0o755)
        for name in DATA:
            self.guest.mount(name, f"/run/{name}", "ext4")
        self.limit_dirty(DIRTY_LIMITS)
        self.agent.run("/sbin/modprobe", "hv_vmbus")
        return self

    def __exit__(self, *_: object) -> None:
        self.guest.stop()

    @property
    def kernel(self) -> str:
        return kernels.kernel(SUITE).release

    def limit_dirty(self, limits: dict[str, int]) -> None:
        for name, value in limits.items():
            self.agent.shell(f"echo {value} >/proc/sys/vm/{name}")

    # -- stacks

    def switch(self, kind: str) -> Stack:
        """Load that stack, in place of another one."""
        if self.stack and self.stack.module == kind:
            return self.stack
        self.unload()
        stack = Stack(self.guest, kind, kind)
        stack.load()
        stack.start_daemon()
        self.stack = stack
        return stack

    def unload(self) -> None:
        stack, self.stack = self.stack, None
        if not stack:
            return
        since = self.guest.host.mark()
        stack.stop_daemon()
        if stack.module == OURS:
            stack.rmmod()
        self.agent.run("rmmod", "hv_utils")
        self.guest.host.wait("close", since=since, channel="vss")

    # -- programs

    def start(self, name: str, *arguments: str, timeout: float = 120) -> Command:
        """Start one of the benchmark's programs; it has said that it is ready."""
        command = self.agent.start(f"/run/hvtest/{name}", *arguments)
        command.wait_output("ready", timeout)
        return command

    def mount_slices(self, count: int) -> list[str]:
        """Mount the first so many; where."""
        device = self.guest.device("slices")
        self.agent.run("/sbin/modprobe", "dm-mod")
        sectors = SLICE_MIB << 11
        places = [f"/run/slices/{i}" for i in range(count)]
        for i, place in enumerate(places):
            self.agent.shell(
                f"mkdir -p {place}; export DM_DISABLE_UDEV=1; "
                f"/sbin/dmsetup create s{i} --table '0 {sectors} linear {device} {i * sectors}'; "
                f"/bin/mount -t ext4 /dev/mapper/s{i} {place}")
        return places

    def unmount_slices(self, places: list[str]) -> None:
        for i, place in enumerate(places):
            self.agent.shell(f"/bin/umount {place}; export DM_DISABLE_UDEV=1; "
                             f"/sbin/dmsetup remove s{i}", timeout=60)

    def clock_offset_us(self) -> float:
        """The host's clock less the guest's: from the quickest of a few exchanges."""
        best, offset = float("inf"), 0.0
        for _ in range(5):
            before = self.guest.host.command("status")["t"]
            began = self.agent.try_run("true").begin * 1e6
            after = self.guest.host.command("status")["t"]
            if after - before < best:
                best, offset = after - before, (before + after) / 2 - began
        return offset


__all__ = ["DATA", "DIRTY_LIMITS", "OURS", "Rig", "STACKS", "STOCK", "host"]
