# SPDX-License-Identifier: GPL-2.0-only
"""A kernel from a directory: a build tree, or the unpacked packages of a kernel.

KROOT names a root to build our module in and KMAKE words for make, as for tests/kernels.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import cache

# Runs in a root, with more directories mounted; changes none of them.
_IN_ROOT = r"""
root=$1 scratch=$2; shift 2
mkdir -p "$scratch/upper" "$scratch/work" "$scratch/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$scratch/upper,workdir=$scratch/work" \
    "$scratch/root"
mount -t proc proc "$scratch/root/proc"
mount --bind /dev "$scratch/root/dev"
while [ "$1" != -- ]; do
    mkdir -p "$scratch/root$2"
    mount --bind "$1" "$scratch/root$2"
    shift 2
done
shift
exec chroot "$scratch/root" "$@"
"""


@dataclass(frozen=True)
class Source:
    """What the directory has."""
    directory: Path
    release: str
    image: Path
    config: Path
    tree: Path                      # to build modules in: its path inside the root
    modules: tuple[Path, ...]
    lists: tuple[Path, ...]         # modules.builtin and its like
    binds: tuple[tuple[Path, Path], ...]    # what a root to build in must have, and where
    packaged: bool

    def build_module(self, sources: Path, scratch: Path) -> str:
        """Run make in sources/src, which has a copy of our sources."""
        words = os.environ.get("KMAKE", "").split()
        root = os.environ.get("KROOT", "")
        if not root and self.packaged:
            root = cache.run(cache.TESTS / "suite-root", "bookworm").strip().splitlines()[-1]
        if not root:
            return cache.run("make", "-s", "-C", self.tree, f"M={sources}/src", *words, "modules")
        inside = Path("/hv-vss")
        binds = [str(path) for pair in (*self.binds, (sources, inside)) for path in pair]
        return cache.run("unshare", "--mount", "sh", "-ec", _IN_ROOT, "sh", root, scratch, *binds,
                         "--", "make", "-s", "-C", self.tree, f"M={inside}/src", *words, "modules")


def find(directory: Path) -> Source:
    """Image, modules, configuration and release of the kernel there."""
    if (directory / "arch/x86/boot").is_dir():
        return _tree(directory)
    return _packages(directory)


def _first(what: str, directory: Path, *candidates: Path) -> Path:
    for path in candidates:
        if path.exists():
            return path
    names = ", ".join(str(path) for path in candidates)
    raise cache.HarnessError(f"{directory}: no {what} of a kernel; looked for {names}")


def _tree(top: Path) -> Source:
    release = _first("release", top, top / "include/config/kernel.release").read_text().strip()
    return Source(
        top, release,
        _first("image", top, top / "arch/x86/boot/bzImage"),
        _first("configuration", top, top / ".config"),
        top, tuple(_objects(top)),
        tuple(top / name for name in _LISTS if (top / name).exists()),
        ((top, top),), False)


_LISTS = ("modules.order", "modules.builtin", "modules.builtin.modinfo")


def _packages(top: Path) -> Source:
    found = [path for where in ("lib/modules", "usr/lib/modules")
             for path in sorted((top / where).glob("*")) if (path / "kernel").is_dir()]
    if not found:
        raise cache.HarnessError(f"{top}: neither a built kernel tree nor packages with "
                                 "lib/modules")
    if len({path.name for path in found}) > 1:
        raise cache.HarnessError(f"{top}: several kernels: {', '.join(p.name for p in found)}")
    modules = found[0]
    release = modules.name
    needed = [Path("lib/modules") / release]
    for pattern in ("usr/src/*", "usr/lib/linux-kbuild*"):
        needed += sorted(path.relative_to(top) for path in top.glob(pattern) if path.is_dir())
    return Source(
        top, release,
        _first("image", top, top / f"boot/vmlinuz-{release}", modules / "vmlinuz"),
        _first("configuration", top, top / f"boot/config-{release}", modules / "config"),
        Path("/lib/modules") / release / "build",
        tuple(_objects(modules)), tuple(modules / n for n in _LISTS if (modules / n).exists()),
        tuple((modules if path.parts[0] == "lib" else top / path, Path("/") / path)
              for path in needed), True)


def _objects(top: Path) -> Iterator[Path]:
    for directory, _, names in os.walk(top):
        yield from (Path(directory) / name for name in sorted(names)
                    if name.endswith((".ko", ".ko.xz", ".ko.zst")))


def stage(source: Source) -> Path:
    """A directory like those of tests/suite-root, with what guests need."""
    def make(place: Path) -> None:
        cache.need("kmod", "zstd")
        base = place / "lib/modules" / source.release
        top = source.directory if not source.packaged else source.lists[0].parent
        for path in source.modules:
            inner = path.relative_to(top)
            target = base / (inner if source.packaged else Path("kernel") / inner)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            if target.suffix == ".zst":
                cache.run("zstd", "-q", "-d", "--rm", target)
        for path in source.lists:
            shutil.copy(path, base / path.name)
        cache.run("depmod", "-b", place, source.release)
        (place / "boot").mkdir()
        shutil.copy(source.image, place / f"boot/vmlinuz-{source.release}")
        shutil.copy(source.config, place / f"boot/config-{source.release}")
        (place / "kernel-release").write_text(source.release + "\n", encoding="ascii")

    # By content: a kernel may be rebuilt with the same name.
    key = cache.content_hash(source.release, source.image, source.config, *source.lists,
                             *source.modules, Path(__file__))
    return cache.made("anykernel", key, make, f"the kernel of {source.directory}")
