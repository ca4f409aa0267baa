# SPDX-License-Identifier: GPL-2.0-only
"""Lines that must not be in the kernel log of a healthy guest."""

from __future__ import annotations

import re

# Each of these means that something is broken; a test with such a line must not pass.
BAD = re.compile(
    r"WARNING: |\bBUG: |kernel BUG at|\bOops\b|general protection fault|Kernel panic"
    r"|Call Trace:|cut here|blocked for more than|soft lockup|hard LOCKUP"
    r"|rcu.*(stall|starved)|possible (recursive|irq lock|circular)"
    r"|inconsistent lock state|lock held when returning|held lock freed"
    r"|sleeping function called|scheduling while atomic|suspicious RCU usage"
    r"|KASAN: |KCSAN: |UBSAN: |kmemleak: \d|refcount_t: |list_(add|del) corruption"
    r"|use-after-free|slab error|padding overwritten|I/O error|segfault at"
    r"|(EXT4-fs|XFS|BTRFS|JBD2).*([Cc]orrupt|\b[Ee]rror\b|critical)")

# Lines with one of these words that are harmless.
HARMLESS = re.compile(r"[Cc]ommand line: |errors=|unrecognized mount option")


def bad_lines(lines: list[str]) -> list[str]:
    return [line for line in lines if BAD.search(line) and not HARMLESS.search(line)]
