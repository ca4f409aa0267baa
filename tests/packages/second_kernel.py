# SPDX-License-Identifier: GPL-2.0-only
"""Another kernel of a suite: the flavour for clouds. As packages, for apt in the guest, and unpacked,
for the emulated machine, which has no boot loader."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import guest_system  # pylint: disable=import-error
from hvtest import cache, kernels

# The modules that a guest may need: depmod over all modules would take minutes there.
KEPT = ("virtio_pci", "virtio_blk", "virtio_console", "ext4", "xfs", "hv_vmbus", "hv_utils",
        "hv_balloon", "autofs4", "binfmt_misc", "loop")


@dataclass(frozen=True)
class SecondKernel:
    """The kernel, and a directory with its packages."""
    kernel: kernels.Kernel
    debs: Path


def _download(suite: str, release: str, work: Path) -> Path:
    """A directory with the packages, as the suite has them."""
    system = guest_system.GuestSystem(suite, work)
    system.write("/etc/resolv.conf", Path("/etc/resolv.conf").read_text(encoding="utf-8"))
    # A directory that _apt can write to.
    system.sh("mkdir -m 777 /out && cd /out && apt-get -qq update && "
              f"apt-get -qq download linux-image-{release} linux-base && "
              f"cp /debs/linux-headers-{release}_*.deb .")
    return work / "upper/out"


def _unpack(deb: Path, release: str, root: Path) -> None:
    cache.run("dpkg-deb", "-x", deb, root)
    # The directory of the modules differs between suites.
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")
    cache.run("depmod", "-b", root, release)


def _reduce(deb: Path, kernel: kernels.Kernel, work: Path, out: Path) -> None:
    """The kernel's package with only these modules, and without an initramfs: the emulated machine has
    its own."""
    tree = work / "image"
    cache.run("dpkg-deb", "-R", deb, tree)
    kept = {Path(path).name for path in kernel.closure(KEPT)}
    for path in tree.glob("**/kernel/**/*.ko*"):
        if path.name not in kept:
            path.unlink()
    cache.run("find", tree, "-path", "*/kernel/*", "-type", "d", "-empty", "-delete")
    for path in tree.glob("boot/System.map-*"):
        path.unlink()
    control = tree / "DEBIAN/control"
    text = re.sub("^Depends: .*", "Depends: kmod, linux-base", control.read_text(), flags=re.M)
    control.write_text(re.sub("^(Recommends|Suggests|Breaks): .*\n", "", text, flags=re.M))
    (tree / "DEBIAN/md5sums").unlink()
    cache.run("dpkg-deb", "--root-owner-group", "-Zgzip", "-b", tree, out)


def second_kernel(suite: str) -> SecondKernel:
    """Downloaded and unpacked on first use."""
    # The headers that the suite's system has of the flavour are for the same version.
    release = kernels.kernel(suite).release.replace("-amd64", "-cloud-amd64")

    def make(place: Path) -> None:
        cache.need("dpkg-dev", "kmod")
        with tempfile.TemporaryDirectory(prefix="hvtest.") as name:
            work = Path(name)
            found = _download(suite, release, work / "system")
            image = next(found.glob("linux-image-*.deb"))
            _unpack(image, release, place)
            debs = place / "debs"
            debs.mkdir()
            for pattern in ("linux-base_*.deb", "linux-headers-*.deb"):
                shutil.copy(next(found.glob(pattern)), debs)
            _reduce(image, kernels.Kernel(suite, release, place), work, debs)

    key = cache.content_hash(suite, release, Path(__file__))
    place = cache.made("second-kernel", key, make, f"a second kernel for Debian {suite}")
    return SecondKernel(kernels.Kernel(suite, release, place), place / "debs")
