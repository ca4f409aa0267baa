# SPDX-License-Identifier: GPL-2.0-only
"""Checks of a copied disk with the file systems' own tools.

A file system that was frozen when its disk was copied has nothing to replay; one that was in use
has. XFS by design writes one dummy record, of the superblock alone, when it freezes.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import cache, images


@dataclass
class Finding:
    """replay: why the copy needs recovery. faults: what else is wrong with it.
    facts: its state, in words."""
    fs: str
    replay: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.replay and not self.faults

    def __str__(self) -> str:
        return f"{self.fs}: " + "; ".join(self.replay + self.faults + self.facts)


def examine(fs: str, image: Path) -> Finding:
    """Check the image of a disk, which must not be in use, without changing it."""
    cache.need("e2fsprogs", "xfsprogs", "btrfs-progs")
    finding = Finding(fs)
    {"ext4": _ext4, "root": _ext4, "xfs": _xfs, "btrfs": _btrfs}[
        images.kind(fs)](finding, image)
    return finding


def _tool(*argv: str | Path) -> tuple[int, str]:
    result = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return result.returncode, result.stdout


def _ext4(finding: Finding, image: Path) -> None:
    header = cache.run("dumpe2fs", "-h", image)
    features = re.search(r"^Filesystem features: +(.*)$", header, re.MULTILINE)
    if not features:
        raise cache.HarnessError(f"dumpe2fs {image}:\n{header}")
    if "needs_recovery" in features[1].split():
        finding.replay.append("needs_recovery is set")
    else:
        finding.facts.append("needs_recovery not set")
    status, said = _tool("e2fsck", "-fn", image)
    if status:
        finding.faults.append(f"e2fsck -fn: exit {status}\n{said}")
    else:
        finding.facts.append("e2fsck -fn clean")


def _btrfs(finding: Finding, image: Path) -> None:
    header = cache.run("btrfs", "inspect-internal", "dump-super", image)
    log_root = re.search(r"^log_root\s+(\d+)$", header, re.MULTILINE)
    if not log_root:
        raise cache.HarnessError(f"dump-super {image}:\n{header}")
    if log_root[1] != "0":
        finding.replay.append(f"log tree at {log_root[1]}")
    else:
        finding.facts.append("no log tree")
    status, said = _tool("btrfs", "check", "--readonly", image)
    if status or "no error found" not in said:
        finding.faults.append(f"btrfs check: exit {status}\n{said}")
    else:
        finding.facts.append("btrfs check --readonly clean")


# What xfs_logprint -t prints for a log that has only records of the superblock, and of inodes that are
# already on the disk.
_LOG_FRAME = re.compile(
    r"\s*$|xfs_logprint:|\s+(data|log) device:|=+$|LOG REC AT LSN|TRANS: tid:\S+ +#items:"
    r"|\s+log tail: \d+ head: \d+ state: <(CLEAN|DIRTY)>"
    r"|BUF: cnt:|\s+BUF: +#regs:\d+ +start blkno:0x0 |\s+SUPER Block Buffer:"
    r"|INO: cnt:|\s+CORE inode:$")
_LOG_RECORD = re.compile(r"LOG REC AT LSN cycle (\d+) block (\d+) ")
_LOG_INODE = re.compile(r"\s+INODE: +#regs:2 +ino:(0x[0-9a-f]+) ")
_REPAIR_PHASES = re.compile(
    r"\s*$|Phase \d|\s+- (zero log|scan|found root inode chunk|process|agno =|check for inodes"
    r"|setting up duplicate|traversing|traversal finished|moving disconnected)"
    r"|No modify flag set|Cannot get host filesystem geometry|Repair may fail if there is"
    r"|the image and the host filesystem")
_REPAIR_LOG = re.compile(
    r"ALERT: The filesystem has valuable metadata changes in a log which is being"
    r"|ignored because the -n option was used|which may be resolved by first mounting")
# Counted lazily: the superblock's numbers are updated only at a clean unmount.
_REPAIR_LAZY = re.compile(r"sb_fdblocks \d+, counted \d+$")


def _xfs_to_replay(image: Path, log: str) -> Iterator[str]:
    """The lines of the log that recovery would replay.

    Freezing writes everything back and then covers the log, so that recovery finds only the
    superblock. But XFS mistakes a record with as many operations as a covering one for that
    (XLOG_COVER_OPS in its xfs_log_priv.h); a change of one inode has that many. Such a record stays
    in the log, though it was written back. Recovery compares the LSN in the inode, and so do we.
    """
    record = 0
    for line in log.splitlines():
        if begin := _LOG_RECORD.match(line):
            record = int(begin[1]) << 32 | int(begin[2])
        elif inode := _LOG_INODE.match(line):
            said = cache.run("xfs_db", "-r", "-c", f"inode {inode[1]}", "-c", "p v3.lsn", image)
            on_disk = re.fullmatch(r"v3\.lsn = (0x[0-9a-f]+)\s*", said)
            if not on_disk or int(on_disk[1], 16) < record:
                yield f"{line.strip()} at {record:#x}, on disk {said.strip()}"
        elif not _LOG_FRAME.match(line):
            yield line.strip()


def _xfs(finding: Finding, image: Path) -> None:
    status, said = _tool("xfs_logprint", "-t", image)
    state = re.search(r"state: <(CLEAN|DIRTY)>", said)
    if status or not state:
        raise cache.HarnessError(f"xfs_logprint {image}: exit {status}\n{said[-4000:]}")
    other = list(_xfs_to_replay(image, said))
    if other:
        finding.replay.append("log with more than the superblock: " + "; ".join(other))
    else:
        finding.facts.append("log holds nothing to replay but the superblock's dummy record")
    # Exits with 1 if the log is not empty, and so for the dummy record, too.
    status, said = _tool("xfs_repair", "-n", "-f", image)
    other = [line for line in said.splitlines()
             if not _REPAIR_PHASES.match(line) and not _REPAIR_LOG.match(line)
             and not _REPAIR_LAZY.match(line)]
    if status not in (0, 1) or other:
        finding.faults.append(f"xfs_repair -n: exit {status}\n" + "\n".join(other))
    else:
        finding.facts.append("xfs_repair -n clean")
