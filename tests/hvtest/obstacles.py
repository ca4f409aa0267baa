# SPDX-License-Identifier: GPL-2.0-only
"""Obstacles that prevent a freeze in practice: a task in the middle of a write that does not end, a
btrfs that is being scrubbed or balanced. Each ends with its context."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from . import constructions, faults
from .agent import until

SCRATCH = "/run/scratch"


@dataclass
class Obstacle:
    """place: the file system. words: what our daemon says about it. end: ends it, even while frozen.
    pid: of the process; 0: none."""
    place: str
    words: str
    end: Callable[[], object]
    pid: int = 0


def script(rig: faults.Rig, text: str, timeout: float = 60) -> str:
    """A shell script with the tools for constructions."""
    return rig.agent.run("bash", "-euc", constructions.TOOLS + text, timeout=timeout)


@contextmanager
def splice(rig: faults.Rig, place: str = "/data/ext4") -> Iterator[Obstacle]:
    """producer | splice, and the producer writes nothing."""
    command = rig.agent.start("holdup", "splice", f"{place}/spliced")
    command.wait_output("splicing")

    def end() -> None:
        if not command.over:
            command.kill(9)
        command.wait()

    try:
        yield Obstacle(place, f"process {command.pid} (holdup) is in splice()", end, command.pid)
    finally:
        end()
        rig.agent.run("rm", "-f", f"{place}/spliced")


@contextmanager
def mapped(rig: faults.Rig) -> Iterator[Obstacle]:
    """A copy by write() from a mapped file whose NFS server has died."""
    script(rig, "head -c 65536 /dev/zero >/data/xfs/source; sync; nfs_server /data/xfs; nfs_mount")
    command = rig.agent.start("holdup", "mapped", "/data/ext4/copied", "/run/nfs/source")
    command.wait_output("mapped")
    script(rig, "nfs_stop; echo 3 >/proc/sys/vm/drop_caches")
    command.write(b"\n")
    until(lambda: rig.agent.run("cat", f"/proc/{command.pid}/syscall").startswith("1 "), 10,
          "it writes")

    def end() -> None:
        if not command.over:
            script(rig, "nfs_server /data/xfs")
        command.wait(60)

    try:
        yield Obstacle("/data/ext4", f"process {command.pid} (holdup) is in write()", end,
                       command.pid)
    finally:
        end()
        script(rig, "umount /run/nfs; nfs_stop; rm -f /data/ext4/copied /data/xfs/source")


@contextmanager
def btrfs(rig: faults.Rig) -> Iterator[str]:
    """A btrfs with some data on a slow disk; the device it is on."""
    rig.agent.run("/sbin/modprobe", "dm-delay")
    script(rig, """modprobe loop; mkdir -p /run/scratch; l=$(attach /run/scratch.img 192)
        table scratch "$l" "delay $l 0 0"; mkfs.btrfs -q -f /dev/mapper/scratch
        mount -t btrfs /dev/mapper/scratch /run/scratch
        dd if=/dev/urandom of=/run/scratch/data bs=1M count=24 2>/dev/null; sync""")
    try:
        yield "/dev/mapper/scratch"
    finally:
        script(rig, "umount /run/scratch; dmsetup remove --noudevsync --retry scratch; "
                    "detach /run/scratch.img", timeout=120)


def delay(rig: faults.Rig, reads: int, writes: int) -> None:
    """From now on each access to the scratch disk takes so many milliseconds."""
    script(rig, f"""l=$(losetup -n -O NAME -j /run/scratch.img); dmsetup suspend --nolockfs scratch
        dmsetup load scratch --table "0 $(sectors "$l") delay $l 0 {reads} $l 0 {writes}"
        dmsetup resume --noudevsync scratch""")


@contextmanager
def maintenance(rig: faults.Rig, what: str) -> Iterator[Obstacle]:
    """btrfs balance or scrub: for hours on real disks, for some time on this one."""
    start = {"scrub": ("scrub", "start", "-B", SCRATCH),
             "balance": ("balance", "start", "--full-balance", SCRATCH)}[what]
    with btrfs(rig):
        # 5.14 and later can limit scrub. Before, it has many reads on the way at a time; writes are
        # fast then, because the daemon must be done with them.
        limited = script(rig, "mkdir -p /var/lib/btrfs; for s in "
                              "/sys/fs/btrfs/*/devinfo/1/scrub_speed_max; "
                              "do test -e $s && echo 1M >$s && echo yes; done; :").strip()
        slow = (60, 60) if limited or what == "balance" else (1500, 0)
        delay(rig, *slow)
        command = rig.agent.start("/bin/btrfs", *start)

        def end() -> None:
            delay(rig, 0, 0)
            if not command.over:
                rig.agent.try_run("/bin/btrfs", what, "cancel", SCRATCH, timeout=120)

        try:
            until(lambda: f"no {what}" not in rig.agent.run(
                "sh", "-c", f"/bin/btrfs {what} status {SCRATCH} 2>&1; :"), 10, "it begins")
            yield Obstacle(SCRATCH, f"a btrfs {what} runs", end)
        finally:
            end()
            command.wait(120)       # it keeps a log on the root


@contextmanager
def external_journal(rig: faults.Rig) -> Iterator[str]:
    """An ext4 on its own disk, with its journal in a file of /data/xfs; returns the mount point."""
    script(rig, """modprobe -a loop sd_mod; modprobe scsi_debug dev_size_mb=48 delay=0
        mkdir -p /run/apart
        for _ in {1..100}; do test -b /dev/sda && break; sleep 0.1; done
        j=$(attach /data/xfs/journal 8); mke2fs -q -F -b 4096 -O journal_dev "$j"
        mkfs.ext4 -q -F -b 4096 -J "device=$j" /dev/sda; mount -t ext4 /dev/sda /run/apart""")
    try:
        yield "/run/apart"
    finally:
        script(rig, "umount /run/apart; detach /data/xfs/journal; rmmod scsi_debug")


KINDS = {
    "splice() from an idle pipe": splice,
    "write() from a mapped file of a dead NFS server": mapped,
    "btrfs scrub": lambda rig: maintenance(rig, "scrub"),
    "btrfs balance": lambda rig: maintenance(rig, "balance"),
}
