# SPDX-License-Identifier: GPL-2.0-only
"""The unmodified kernels of the Debian suites, and which of their modules guests get."""

from __future__ import annotations

import lzma
import os
import subprocess
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

from . import cache

SUITES = ("bullseye", "bookworm", "trixie", "sid")
# Built by us from the distribution's source, to find bugs with.
DEBUG = ("kasan", "kcsan")

# Loaded by the initramfs, in this order, dependencies first.
BOOT = ("virtio_pci", "virtio_blk", "virtio_console", "crc32c_generic", "ext4")
# Left to modprobe in the guest.
MORE = (
    "hv_vmbus", "hv_utils", "hv_balloon",
    "xfs", "btrfs", "f2fs", "jfs", "nilfs2", "reiserfs", "udf", "vfat", "exfat", "isofs", "erofs",
    "squashfs", "overlay",
    "fuse", "autofs4", "nls_cp437", "nls_ascii", "nls_utf8", "nls_iso8859-1",
    "loop", "nbd", "dm-mod", "dm-flakey", "dm-delay", "dm-snapshot", "dm-crypt", "dm-thin-pool",
    "dm-multipath", "dm-round-robin", "raid1", "minix",
    "sd_mod", "iscsi_tcp", "iscsi_target_mod", "target_core_file", "nfsd", "nfsv4",
    "cifs", "md5", "hmac", "cmac", "sha512_generic", "gcm", "ccm", "ctr", "ghash-generic",
    "crc32_generic", "xxhash_generic", "blake2b_generic", "sha256_generic", "xts", "ecb",
    "aes_generic",
)


def chosen(*default: str) -> tuple[str, ...]:
    """Which kernels to test on: those of HV_VSS_KERNELS, say "kasan", instead of the default."""
    return tuple(os.environ.get("HV_VSS_KERNELS", "").split()) or default


def machines(*default: str) -> tuple[str, ...]:
    """The same for guests that are named "suite-2cpu-daemon": the default ones with each chosen
    kernel instead of their own, as far as that makes a difference to the daemon."""
    kernels = os.environ.get("HV_VSS_KERNELS", "").split()
    shapes = {name.split("-")[2]: name.split("-", 1)[1] for name in reversed(default)}
    return tuple(f"{kernel}-{shape}" for kernel in kernels
                 for shape in shapes.values()) or default


def pace(*suites: str) -> int:
    """How many times longer than with a distribution's kernel everything may take; without
    argument: with the kernels of this run."""
    # Sanitizers have their own time.
    return 6 if any(suite in DEBUG for suite in suites or chosen()) else 1


@dataclass(frozen=True)
class Kernel:
    suite: str
    release: str
    root: Path          # the suite's build root

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

    def closure(self, names: tuple[str, ...]) -> list[str]:
        """Paths of the modules and all that they need, dependencies first. Built-in and absent
        ones are left out: kernels differ in what they have as modules."""
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

    def _dependencies(self) -> dict[str, list[str]]:
        table = {}
        for line in (self.modules / "modules.dep").read_text().splitlines():
            path, _, needs = line.partition(":")
            table[path] = needs.split()
        return table

    def module(self, path: str) -> bytes:
        """Content of a module, uncompressed: then whatever loads it need not know how."""
        data = (self.modules / path).read_bytes()
        return lzma.decompress(data) if path.endswith(".xz") else data


def _module_name(path: str) -> str:
    return Path(path).name.split(".ko")[0].replace("-", "_")


def plain_name(path: str) -> str:
    """The path of a module as it is once uncompressed."""
    return path.split(".ko")[0] + ".ko"


@once
def kernel(suite: str) -> Kernel:
    if suite not in SUITES + DEBUG:
        raise cache.HarnessError(f"no suite {suite}, only {', '.join(SUITES + DEBUG)}")
    tool = "debug-kernel" if suite in DEBUG else "suite-root"
    root = Path(_last_line(cache.TESTS / tool, suite))
    return Kernel(suite, (root / "kernel-release").read_text(encoding="ascii").strip(), root)


def _last_line(*argv: str | Path) -> str:
    # Its progress is for the eyes: stderr is left alone.
    result = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, check=False)
    if result.returncode:
        raise cache.HarnessError(f"{' '.join(map(str, argv))}: exit {result.returncode}")
    return result.stdout.strip().splitlines()[-1]
