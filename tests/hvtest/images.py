# SPDX-License-Identifier: GPL-2.0-only
"""Initramfs, root disk and data disks of guests, made without mounting anything."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache as once
from pathlib import Path

from . import build, cache, cpio, kernels

MIB = 1 << 20

# The root disk has the same user land for all kernels: the one that our daemon is built for.
SUITE = "bookworm"
PACKAGES = (
    "base-files", "base-passwd", "bash", "dash", "coreutils", "util-linux", "mount", "kmod",
    "procps", "findutils", "grep", "sed", "libmount1", "libsqlite3-0", "sqlite3", "fio", "strace",
    "e2fsprogs", "xfsprogs", "btrfs-progs", "dosfstools", "exfatprogs", "ntfs-3g",
    "squashfs-tools", "erofs-utils", "genisoimage", "f2fs-tools", "jfsutils", "nilfs-tools",
    "reiserfsprogs", "udftools", "dmsetup", "lvm2", "open-iscsi", "samba", "hyperv-daemons",
)
# Large, and not needed in a test.
LEFT_OUT = (
    "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/perl", "usr/share/zoneinfo",
    "usr/share/fio", "usr/share/bash-completion", "usr/share/info", "usr/share/i18n",
    "usr/lib/x86_64-linux-gnu/perl", "usr/lib/x86_64-linux-gnu/perl-base",
    "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/locale", "usr/share/perl5",
    "usr/lib/udev", "usr/lib/systemd", "usr/lib/file", "var/cache", "var/lib/apt", "var/lib/dpkg",
    "usr/lib/python3", "usr/lib/python3.11", "usr/share/python3", "usr/bin/python3.11",
    "usr/share/samba", "usr/libexec/samba",
)
MOUNT_POINTS = ("dev", "proc", "sys", "run", "tmp", "mnt", "root", "data/ext4", "data/xfs",
                "data/btrfs")

# By the type of the file system.
MKFS: dict[str, tuple[int, Callable[[Path], tuple[str, ...]]]] = {
    "ext4": (256, lambda p: ("mkfs.ext4", "-q", "-F", "-L", "data-ext4", str(p))),
    "xfs": (320, lambda p: ("mkfs.xfs", "-q", "-f", "-L", "data-xfs", str(p))),
    "btrfs": (256, lambda p: ("mkfs.btrfs", "-q", "-f", "-L", "data-btrfs", str(p))),
}
# The same for kernels before 5.10, without features that they can't read.
MKFS_OLD = MKFS | {
    "xfs": (320, lambda p: ("mkfs.xfs", "-q", "-f", "-L", "data-xfs", "-m",
                            "crc=1,finobt=0,reflink=0,rmapbt=0,bigtime=0,inobtcount=0",
                            "-i", "sparse=0", str(p))),
    "btrfs": (256, lambda p: ("mkfs.btrfs", "-q", "-f", "-L", "data-btrfs", "-O", "^no-holes",
                              "-R", "^free-space-tree", str(p))),
}
# The names of the data disks, which are those of their file systems, but see kind().
FILE_SYSTEMS = tuple(MKFS)


@once
def kind(fs: str) -> str:
    """The file system on the data disk of that name: ext4 if a kernel of this run lacks it."""
    for kernel in kernels.from_directories():
        if not kernel.has(fs):
            return "ext4"
    return fs


@once
def _mkfs() -> dict[str, tuple[int, Callable[[Path], tuple[str, ...]]]]:
    old = any(kernel.version < (5, 10) for kernel in kernels.from_directories())
    return MKFS_OLD if old else MKFS


def userland() -> Path:
    """Directory with the unpacked user land."""
    def make(place: Path) -> None:
        cache.need("mmdebstrap")
        sources = place / "sources"
        script = f'. "{cache.TESTS}/lib.sh"; hv_sources {SUITE}'
        sources.write_text(cache.run("bash", "-euo", "pipefail", "-c", script))
        tree = place / "root"
        cache.run("mmdebstrap", "--quiet", "--mode=root", "--variant=extract",
                  "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
                  f"--include={','.join(PACKAGES)}", SUITE, tree, sources)
        sources.unlink()
        for name in LEFT_OUT:
            path = tree / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for name in MOUNT_POINTS:
            (tree / name).mkdir(parents=True, exist_ok=True)
        shutil.rmtree(tree / "usr/lib/modules", ignore_errors=True)
        (tree / "usr/lib/modules").symlink_to("/run/hvtest/modules")

    key = cache.content_hash("merged", SUITE, *PACKAGES, *LEFT_OUT, *MOUNT_POINTS)
    return cache.made("userland", key, make, "the guests' user land (about a minute)") / "root"


def root_disk() -> Path:
    """Image of the root file system: copy it, don't boot it."""
    tree = userland()

    def make(place: Path) -> None:
        cache.need("e2fsprogs")
        image = place / "root.img"
        _sparse(image, 448 * MIB)
        cache.run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", tree, image)

    key = cache.content_hash(str(tree.parent.name), "448")
    return cache.made("rootdisk", key, make, "the guests' root disk") / "root.img"


def data_disk(fs: str) -> Path:
    """Image of an empty data disk: copy it, don't use it."""
    size, command = _mkfs()[kind(fs)]

    def make(place: Path) -> None:
        cache.need("e2fsprogs", "xfsprogs", "btrfs-progs")
        image = place / "data.img"
        _sparse(image, size * MIB)
        cache.run(*command(image))

    key = cache.content_hash(str(size), *command(Path("data.img")))
    return cache.made("datadisk", key, make, f"an empty {fs} disk") / "data.img"


def initramfs(kernel: kernels.Kernel) -> Path:
    """Agent, tools and modules. The kernel unpacks them at boot; then they are in memory."""
    programs = build.guest_programs()
    boot = kernel.closure(kernels.BOOT)
    modules = kernel.closure(kernels.BOOT + kernels.MORE)

    def make(place: Path) -> None:
        cache.need("busybox-static", "kmod")
        archive = cpio.Archive()
        archive.file("init", programs / "agent", 0o755)
        archive.directory("newroot")
        _add_tools(archive, programs)
        _add_modules(archive, kernel, modules, place)
        paths = (f"/hvtest/modules/{kernel.release}/{kernels.plain_name(p)}\n" for p in boot)
        archive.file("hvtest/boot-modules", "".join(paths).encode())
        (place / "initramfs").write_bytes(archive.bytes())

    key = cache.content_hash(programs, kernel.release, str(kernel.root.name),
                             *modules, Path(__file__), Path(cpio.__file__))
    what = f"the initramfs for {kernel.release}"
    return cache.made("initramfs", key, make, what) / "initramfs"


def _add_tools(archive: cpio.Archive, programs: Path) -> None:
    busybox = Path("/bin/busybox")
    archive.file("hvtest/bin/busybox", busybox, 0o755)
    # Only what does not replace a tool of the disk that behaves differently.
    for name in ("sh", "cat", "echo", "sleep", "ls", "grep", "sed", "touch", "kill", "sync",
                 "head", "tail", "wc", "ps", "true", "false", "reboot", "poweroff", "insmod",
                 "rmmod", "dd", "test", "mkdir", "rm", "cp", "mv", "ln", "readlink", "chmod",
                 "id", "env", "timeout", "usleep", "basename", "tr", "od", "printf", "pidof"):
        archive.link(f"hvtest/bin/{name}", "busybox")
    for name in ("writer", "dbwriter", "vssclient", "vssfuzz", "permit", "nbdserve", "holdup",
                 "namespaces", "loops", "terminal"):
        archive.file(f"hvtest/bin/{name}", programs / name, 0o755)


def _add_modules(archive: cpio.Archive, kernel: kernels.Kernel, modules: list[str],
                 place: Path) -> None:
    """Adds a modules.dep, so that modprobe in the guest works."""
    base = place / "tree/lib/modules" / kernel.release
    for path in modules:
        target = base / kernels.plain_name(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(kernel.module(path))
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        # Old kernels have no modinfo for built-in modules.
        if (kernel.modules / name).exists() or not kernel.source:
            shutil.copy(kernel.modules / name, base / name)
    cache.run("depmod", "-b", place / "tree", kernel.release)
    for file in sorted(p for p in base.rglob("*") if p.is_file()):
        archive.file(f"hvtest/modules/{kernel.release}/{file.relative_to(base)}", file)
    shutil.rmtree(place / "tree")


def _sparse(path: Path, size: int) -> None:
    with open(path, "wb") as file:
        file.truncate(size)
