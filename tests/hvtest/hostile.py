# SPDX-License-Identifier: GPL-2.0-only
"""Invalid packets, which a real host would not send."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

MAX_PACKET = 13312      # the longest packet for an integration service
_PIPE = struct.Struct("<II")
_IC = struct.Struct("<HHHHHHIBB2x")
NEGOTIATE, VSS = 0, 5
REQUEST = 1 | 2


def ic_packet(kind: int, body: bytes, *, msgsize: int | None = None, txid: int = 1,
              flags: int = REQUEST, pipe: int | None = None) -> bytes:
    """Pipe header, IC header, body."""
    size = len(body) if msgsize is None else msgsize
    header = _IC.pack(3, 0, kind, 5, 0, size & 0xffff, 0, txid, flags)
    total = len(header) + len(body) if pipe is None else pipe
    return _PIPE.pack(1, total & 0xffffffff) + header + body


def vss(op: int, size: int, **lies: int) -> bytes:
    """A VSS message with that operation in a body of that size."""
    return ic_packet(VSS, (bytes([op]) + bytes(7) + bytes(max(size - 8, 0)))[:size], **lies)


class Generator:
    """An endless sequence of packets, each of another kind than the last; the same for each seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._kinds = (self.noise, self.truncated, self.lying, self.any_type, self.any_operation,
                       self.negotiation, self.oversize, self.freeze_list, self.descriptor)

    def __iter__(self) -> Iterator[dict]:
        while True:
            for kind in self._kinds:
                packet = kind()
                fields = packet if isinstance(packet, dict) else {"data": packet}
                fields["data"] = fields["data"].hex()
                yield {"cmd": "raw", "expect": "any", **fields}

    def _bytes(self, most: int) -> bytes:
        return self._random.randbytes(self._random.randint(0, most))

    def _number(self, bits: int) -> int:
        """A random number, often a boundary value."""
        top = (1 << bits) - 1
        return self._random.choice((0, 1, top, top >> 1, (top >> 1) + 1, top - 7,
                                    self._random.randint(0, top)))

    def noise(self) -> bytes:
        return self._bytes(self._random.choice((27, 64, 512, MAX_PACKET)))

    def truncated(self) -> bytes:
        whole = vss(self._random.choice((2, 3, 5, 6)), self._random.choice((12, 20, 6260)))
        return whole[:self._random.randint(0, min(len(whole), 72))]

    def lying(self) -> bytes:
        return vss(self._random.choice((2, 3, 5, 6)), self._random.choice((12, 6260)),
                   msgsize=self._number(16), pipe=self._number(32), txid=self._number(8),
                   flags=self._number(8))

    def any_type(self) -> bytes:
        return ic_packet(self._number(16), self._bytes(256))

    def any_operation(self) -> bytes:
        return vss(self._random.randint(0, 255), self._random.randint(0, 64))

    def negotiation(self) -> bytes:
        versions = self._bytes(64)
        counts = struct.pack("<HHI", self._number(16), self._number(16), self._number(32))
        return ic_packet(NEGOTIATE, counts + versions)

    def oversize(self) -> bytes:
        return vss(self._random.choice((2, 5, 6, 9)), self._random.randint(6260, MAX_PACKET - 28))

    def freeze_list(self) -> bytes:
        body = bytearray(6260)
        body[0] = 5
        struct.pack_into("<III", body, 8, self._number(32), self._number(32), self._number(32))
        body[20:] = self._random.randbytes(len(body) - 20)
        return ic_packet(VSS, bytes(body[:self._random.choice((20, 44, 6260))]))

    def descriptor(self) -> dict:
        """The packet descriptor is wrong, but the ring can still be read."""
        return {"data": vss(2, 12), "type": self._random.choice((0, 1, 7, 9, 11, 0xffff)),
                "flags": self._random.choice((0, 1)), "reqid": self._number(63)}
