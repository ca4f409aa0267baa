# SPDX-License-Identifier: GPL-2.0-only
"""Kernels unpacked before they are booted: the emulated processor would need seconds for it, at each
boot. QEMU starts an ELF file with a note for PVH; a kernel without one is booted as it is."""

from __future__ import annotations

import struct
import subprocess
from functools import cache as once
from pathlib import Path

from . import cache

UNPACK = {b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip",
          b"\x02\x21\x4c\x18": "lz4", b"\x04\x22\x4d\x18": "lz4"}
PT_NOTE = 4
PVH_ENTRY = 18      # XEN_ELFNOTE_PHYS32_ENTRY, Linux 4.21


def _unpack(image: bytes) -> bytes:
    """The ELF file in a bzImage (Documentation/x86/boot.rst), or nothing."""
    if image[0x202:0x206] != b"HdrS" or struct.unpack_from("<H", image, 0x206)[0] < 0x208:
        return b""
    offset, length = struct.unpack_from("<II", image, 0x248)
    begin = ((image[0x1f1] or 4) + 1) * 512 + offset
    payload = image[begin:begin + length]
    tool = next((tool for magic, tool in UNPACK.items() if payload.startswith(magic)), None)
    if not tool:
        return b""
    # Its size follows the data, which the tools complain of.
    return subprocess.run([tool, "-dc"], input=payload, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False).stdout


def _has_pvh_entry(elf: bytes) -> bool:
    """Is there a note that says where QEMU may enter?"""
    if elf[:5] != b"\x7fELF\x02":
        return False
    offset, size, count = (struct.unpack_from("<Q", elf, 32)[0],
                           *struct.unpack_from("<HH", elf, 54))
    for i in range(count):
        kind, _, begin, _, _, length = struct.unpack_from("<IIQQQQ", elf, offset + i * size)
        at = begin
        while kind == PT_NOTE and at + 12 <= begin + length:
            name, data, number = struct.unpack_from("<III", elf, at)
            if number == PVH_ENTRY and elf[at + 12:at + 16] == b"Xen\0":
                return True
            at += 12 + (name + 3) // 4 * 4 + (data + 3) // 4 * 4
    return False


@once
def unpacked(image: Path) -> Path:
    """What QEMU is to boot for that image."""
    def make(place: Path) -> None:
        cache.need("xz-utils", "zstd", "lz4")
        elf = _unpack(image.read_bytes())
        if _has_pvh_entry(elf):
            (place / "vmlinux").write_bytes(elf)

    made = cache.made("vmlinux", cache.content_hash(image), make, f"{image.name}, unpacked")
    return made / "vmlinux" if (made / "vmlinux").exists() else image
