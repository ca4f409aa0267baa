# SPDX-License-Identifier: GPL-2.0-only
"""The kernels of guests: unmodified ones of Debian, debug kernels, or any from a directory; and
which of their modules guests get."""

from __future__ import annotations

import lzma
import os
import re
import subprocess
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

from . import anykernel, cache, vmlinux

SUITES = ("bullseye", "bookworm", "trixie", "sid")
# Other kernels of Debian, on the user land of their base suite; by default no test boots them.
BACKPORTS = ("bookworm-backports", "trixie-backports", "experimental")
CLOUD = tuple(f"{suite}-cloud" for suite in SUITES + BACKPORTS)
# Built here from the distribution's source, to find bugs.
DEBUG = ("kasan", "kcsan")
# The same, to see what is run of the module: tests/coverage.
COVERAGE = "gcov"
OWN = (*DEBUG, COVERAGE)

# Loaded by the initramfs, in this order, dependencies first.
BOOT = ("virtio_pci", "virtio_blk", "virtio_console", "crc32c_generic", "ext4")
# Loaded by modprobe in the guest.
MORE = (
    "hv_vmbus", "hv_utils", "hv_balloon",
    "xfs", "btrfs", "f2fs", "jfs", "nilfs2", "reiserfs", "udf", "vfat", "exfat", "isofs", "erofs",
    "squashfs", "overlay",
    "fuse", "autofs4", "nls_cp437", "nls_ascii", "nls_utf8", "nls_iso8859-1",
    "loop", "nbd", "dm-mod", "dm-flakey", "dm-delay", "dm-snapshot", "dm-crypt", "dm-thin-pool",
    "dm-multipath", "dm-round-robin", "raid1", "minix",
    "sd_mod", "scsi_debug", "iscsi_tcp", "iscsi_target_mod", "target_core_file", "nfsd", "nfsv4",
    "cifs", "md5", "hmac", "cmac", "sha512_generic", "gcm", "ccm", "ctr", "ghash-generic",
    "crc32_generic", "xxhash_generic", "blake2b_generic", "sha256_generic", "xts", "ecb",
    "aes_generic",
)


def chosen(*default: str) -> tuple[str, ...]:
    """The kernels to test on: those of HV_VSS_KERNELS, for instance "kasan", instead of the default."""
    return tuple(os.environ.get("HV_VSS_KERNELS", "").split()) or default


def machines(*default: str) -> tuple[str, ...]:
    """The same for guests named "suite-2cpu-daemon": the default guests, with each chosen kernel
    instead of their own, if that makes a difference for the daemon."""
    kernels = os.environ.get("HV_VSS_KERNELS", "").split()
    shapes = {daemon: f"{cpus}-{daemon}" for _, cpus, daemon in map(shape, reversed(default))}
    return tuple(f"{kernel}-{shape}" for kernel in kernels
                 for shape in shapes.values()) or default


def shape(machine: str) -> tuple[str, str, str]:
    """Kernel, "2cpu" and daemon of such a name; kernels may have a '-' in theirs."""
    name, cpus, daemon = machine.rsplit("-", 2)
    return name, cpus, daemon


def named(kernel_name: str) -> str:
    """A kernel's name as a part of file names."""
    return kernel_name.strip("/").replace("/", "-")


def from_directories() -> list[Kernel]:
    """Kernels of this run that are from a directory: they may lack what every suite's kernel has."""
    return [kernel(name) for name in chosen() if name.startswith("/")]


# What tests left out because a kernel from a directory lacks it; see leave_out().
LEFT_OUT: list[str] = []
NOT_THERE = "not on this kernel: "


def leave_out(what: str) -> str:
    """Note that this is not tested, and continue. Returns the reason, for a skip of a whole test."""
    LEFT_OUT.append(NOT_THERE + what)
    return LEFT_OUT[-1]


def pace(*suites: str) -> int:
    """How many times longer everything may take than with a distribution's kernel; without
    argument: with the slowest kernel of this run."""
    # Sanitizers make everything slower.
    return 6 if any(suite in DEBUG for suite in suites or chosen()) else 1


@dataclass(frozen=True)
class Kernel:
    suite: str
    release: str
    root: Path          # the suite's build root
    source: anykernel.Source | None = None      # if it is one from a directory

    @property
    def modules(self) -> Path:
        return self.root / "lib/modules" / self.release

    @property
    def image(self) -> Path:
        for path in (self.root / "boot" / f"vmlinuz-{self.release}",
                     self.root / "usr/lib/modules" / self.release / "vmlinuz"):
            if path.exists():
                return path
        raise cache.HarnessError(f"no kernel image {self.release} in {self.root}")

    @property
    def bootable(self) -> Path:
        """What QEMU boots. Sanitizers check code that runs at the entry for PVH before they can (the
        kernel is reset again and again), so their kernels have to unpack themselves."""
        return self.image if self.suite in DEBUG else vmlinux.unpacked(self.image)

    def closure(self, names: tuple[str, ...]) -> list[str]:
        """Paths of the modules and their dependencies, dependencies first. Built-in and missing ones
        are left out: kernels differ in that."""
        table = self._dependencies()
        order: list[str] = []

        def add(path: str) -> None:
            if path not in order:
                for dependency in reversed(table[path]):
                    add(dependency)
                order.append(path)

        by_name = {_module_name(path): path for path in table}
        for name in names:
            path = by_name.get(name.replace("-", "_"))
            if path:
                add(path)
        return order

    def has(self, name: str) -> bool:
        """Whether the kernel has this module, loadable or built in."""
        builtin = self.modules / "modules.builtin"
        paths = builtin.read_text().splitlines() if builtin.exists() else []
        names = {_module_name(path) for path in [*self._dependencies(), *paths]}
        return name.replace("-", "_") in names

    @property
    def version(self) -> tuple[int, int]:
        major, minor = re.match(r"(\d+)\.(\d+)", self.release).groups()
        return int(major), int(minor)

    def _dependencies(self) -> dict[str, list[str]]:
        table = {}
        for line in (self.modules / "modules.dep").read_text().splitlines():
            path, _, needs = line.partition(":")
            table[path] = needs.split()
        return table

    def module(self, path: str) -> bytes:
        """Content of a module, uncompressed, so that any loader can load it."""
        data = (self.modules / path).read_bytes()
        return lzma.decompress(data) if path.endswith(".xz") else data


def _module_name(path: str) -> str:
    return Path(path).name.split(".ko")[0].replace("-", "_")


def plain_name(path: str) -> str:
    """The path of a module as it is once uncompressed."""
    return path.split(".ko")[0] + ".ko"


@once
def kernel(suite: str) -> Kernel:
    if suite.startswith("/"):
        source = anykernel.find(Path(suite))
        return Kernel(suite, source.release, anykernel.stage(source), source)
    tools = {"suite-root": SUITES, "more-kernel": BACKPORTS + CLOUD, "debug-kernel": OWN}
    tool = next((tool for tool, names in tools.items() if suite in names), None)
    if not tool:
        known = ", ".join(name for names in tools.values() for name in names)
        raise cache.HarnessError(f"no kernel {suite}, only {known}, or a directory")
    root = Path(_last_line(cache.TESTS / tool, suite))
    return Kernel(suite, (root / "kernel-release").read_text(encoding="ascii").strip(), root)


def _last_line(*argv: str | Path) -> str:
    # stderr is not captured: it shows the progress.
    result = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, check=False)
    if result.returncode:
        raise cache.HarnessError(f"{' '.join(map(str, argv))}: exit {result.returncode}")
    return result.stdout.strip().splitlines()[-1]
