# SPDX-License-Identifier: GPL-2.0-only
"""Disks of guests as files, and their copies."""

from __future__ import annotations

import os
from pathlib import Path

from . import images

_CHUNK = 4 << 20


def copy(source: Path, target: Path) -> None:
    """Copy a disk without its holes; it may be in use."""
    with open(source, "rb") as src, open(target, "wb") as dst:
        size = os.fstat(src.fileno()).st_size
        dst.truncate(size)
        begin = 0
        while begin < size:
            try:
                begin = os.lseek(src.fileno(), begin, os.SEEK_DATA)
            except OSError:     # ENXIO: only a hole up to the end
                return
            end = os.lseek(src.fileno(), begin, os.SEEK_HOLE)
            while begin < end:
                n = os.copy_file_range(src.fileno(), dst.fileno(), min(end - begin, _CHUNK),
                                       begin, begin)
                if n == 0:
                    return
                begin += n


def copy_all(disks: dict[str, Path], directory: Path) -> dict[str, Path]:
    """Copy all disks, as Hyper-V does between the answer to FREEZE and THAW."""
    directory.mkdir(parents=True, exist_ok=True)
    copies = {}
    for serial, source in disks.items():
        copies[serial] = directory / f"{serial}.img"
        copy(source, copies[serial])
    return copies


def new_set(directory: Path, file_systems: tuple[str, ...] = images.FILE_SYSTEMS
            ) -> dict[str, Path]:
    """Fresh disks for a guest, by serial number: the root disk and one for each file system."""
    directory.mkdir(parents=True, exist_ok=True)
    sources = {"root": images.root_disk()}
    sources |= {fs: images.data_disk(fs) for fs in file_systems}
    return copy_all(sources, directory)
