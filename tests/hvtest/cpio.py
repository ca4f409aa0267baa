# SPDX-License-Identifier: GPL-2.0-only
"""Writes cpio archives in the "newc" format, which the kernel unpacks as initramfs."""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath


class Archive:
    """Collects files, directories (with their parents) and links; bytes() returns the archive."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._directories: set[str] = set()
        self._inode = 0

    def directory(self, name: str) -> None:
        if name in ("", ".") or name in self._directories:
            return
        self.directory(str(PurePosixPath(name).parent))
        self._directories.add(name)
        self._entry(name, stat.S_IFDIR | 0o755, b"")

    def file(self, name: str, content: bytes | Path, mode: int = 0o644) -> None:
        self.directory(str(PurePosixPath(name).parent))
        data = content.read_bytes() if isinstance(content, Path) else content
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        self.directory(str(PurePosixPath(name).parent))
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def bytes(self) -> bytes:
        end = Archive()
        end._entry("TRAILER!!!", 0, b"")
        return bytes(self._data + end._data)

    def _entry(self, name: str, mode: int, data: bytes) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        self._data += b"070701" + b"".join(b"%08x" % f for f in fields) + encoded
        self._pad()
        self._data += data
        self._pad()

    def _pad(self) -> None:
        self._data += bytes(-len(self._data) % 4)
