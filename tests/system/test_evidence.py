# SPDX-License-Identifier: GPL-2.0-only
"""Nothing is written to the disks between FREEZE's answer and THAW, or the backup says what was:
the daemon by the kernel's counters, the host by its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hvtest import host, kernels
from hvtest.site import Site, described, shell
from hvtest.stack import OURS, STOCK, Stack

MACHINES = kernels.chosen("bullseye", "bookworm", "sid")
NOTHING = re.compile(r"nothing was written to (\d+) disks while frozen")
WRITTEN = re.compile(r"written to while frozen: (vd\w+) \((\d+) requests, (\d+) KiB"
                     r"(?:, by way of (\w[\w-]*))?\)")
# The first half of a disk is a partition with an ext4, the second one another partition.
HALVES = """d="$(spare 1)"; half=$(($(sectors "$d") / 2))
addpart "$d" 1 2048 $((half - 2048)); addpart "$d" 2 $half $half; sleep 0.2
fresh "${d}1" /run/first"""
WHOLE = """umount /run/first; delpart "$(spare 1)" 1; delpart "$(spare 1)" 2; wipe 1"""


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def shared(site: Site) -> Site:
    return site


@pytest.fixture
def halves(stack: Stack) -> Iterator[Stack]:
    """A disk with two partitions, a file system on the first one."""
    stack.guest.host.raw_disks.add("spare1")
    shell(stack, HALVES)
    yield stack
    shell(stack, WHOLE)


def disk(stack: Stack, serial: str) -> str:
    """The kernel's name of it."""
    return stack.guest.device(serial).removeprefix("/dev/")


def back_up(stack: Stack, meanwhile: Callable[[], object]) -> host.Message:
    """The answer to THAW."""
    assert stack.guest.host.ask("freeze")["status"] == host.OK
    meanwhile()
    return stack.guest.host.ask("thaw")


def dd(stack: Stack, target: str, options: str = "oflag=direct") -> Callable[[], object]:
    """Write 20 KiB to it."""
    return lambda: shell(
        stack, f'dd if=/dev/zero of="{target}" bs=4k count=5 {options} 2>/dev/null')


def test_good_backup_has_none(stack: Stack) -> None:
    thaw = back_up(stack, lambda: stack.guest.agent.run("sleep", "1"))
    assert (thaw["status"], thaw["writes"]) == (host.OK, {})
    backup = described(stack)
    found = NOTHING.fullmatch(backup["evidence"])
    # The root disk and three with data.
    assert found and found[1] == "4" and backup["disks_written"] == 0, backup
    assert stack.daemon and "nothing was written to 4 disks while frozen;" in stack.daemon.err


def test_the_host_complains_of_writes(stack: Stack) -> None:
    """Of each that no test has announced: here of a disk that is not part of the plan."""
    control = stack.guest.host
    control.raw_disks.discard("spare2")
    since = control.mark()
    thaw = back_up(stack, dd(stack, "$(spare 2)"))
    assert (thaw["status"], thaw["writes"]) == (host.OK, {"spare2": 5})
    assert [(e["kind"], e["disk"]) for e in control.errors(since)] == [("written", "spare2")]
    control.expect_error(kind="written", disk="spare2")


def test_fsync_writes_nothing(stack: Stack) -> None:
    """It makes the disk flush its cache: a request, but not one that changes anything."""
    agent = stack.guest.agent
    places = ("/root", "/data/ext4", "/data/xfs", "/data/btrfs")
    for place in places:
        agent.shell(f"echo clean >{place}/clean; sync")
    thaw = back_up(stack, lambda: [agent.run("/usr/bin/sync", f"{place}/clean")
                                   for place in places])
    assert (thaw["status"], thaw["writes"]) == (host.OK, {})
    backup = described(stack)
    assert NOTHING.fullmatch(backup["evidence"]), backup


@pytest.mark.parametrize("where", ["2", ""])
def test_raw_writes_are_noticed(halves: Stack, where: str) -> None:
    """As a database does that has a partition or a disk of its own, or ZFS."""
    stack = halves
    offset = "" if where else "seek=20000"
    thaw = back_up(stack, dd(stack, f"$(spare 1){where}", f"oflag=direct {offset}"))
    backup = described(stack)
    found = WRITTEN.search(backup["evidence"])
    name = disk(stack, "spare1")
    assert found, backup
    # Before 5.12 the kernel counts for the partition that the sectors are in.
    whole = f"{name}1" if stack.guest.kernel.version < (5, 12) else None
    assert found.groups() == (name, "5", "20", f"{name}2" if where else whole), backup
    assert (thaw["status"], thaw["writes"]) == (host.OK, {"spare1": 5})
    assert backup["ok"] and backup["disks_written"] == 1, backup
    assert stack.daemon and f"backup ok, but the disks were {backup['evidence']};" \
        in stack.daemon.err
    text = stack.guest.agent.run("/usr/sbin/hv-vss-daemon", "--status")
    assert "ok, but: asked for" in text and backup["evidence"] in text, text


def test_strict_fails_a_backup_with_writes(halves: Stack) -> None:
    stack = halves
    stack.stop_daemon()
    stack.start_daemon("--strict")
    thaw = back_up(stack, dd(stack, "$(spare 1)2"))
    backup = described(stack)
    stack.stop_daemon()
    stack.start_daemon()
    name = disk(stack, "spare1")
    assert thaw["status"] == host.FAIL and not backup["ok"], backup
    assert backup["reason"] == (
        f"written to while file systems were frozen: {name} (5 requests, 20 KiB, by way of "
        f"{name}2), and --strict is set")


@pytest.mark.parametrize(("make", "mount"), [
    ("mkfs.vfat", "mount -t vfat"), ("mkfs.ntfs -q -f", "modprobe fuse; mount.ntfs-3g")],
    ids=["vfat", "ntfs by way of fuse"])
def test_file_system_that_is_not_frozen(halves: Stack, make: str, mount: str) -> None:
    stack = halves
    shell(stack, f'{make} "$(spare 1)2" >/dev/null; mkdir -p /run/other; '
                 f'{mount} "$(spare 1)2" /run/other; sync')
    thaw = back_up(stack, dd(stack, "/run/other/new", "conv=fsync"))
    backup = described(stack)
    shell(stack, "umount /run/other")
    found = WRITTEN.search(backup["evidence"])
    name = disk(stack, "spare1")
    assert found and (found[1], found[4]) == (name, f"{name}2"), backup
    assert thaw["writes"]["spare1"] > 0, thaw


def test_swap_is_told_apart(halves: Stack) -> None:
    stack = halves
    shell(stack, 'mkswap "$(spare 1)2" >/dev/null; swapon "$(spare 1)2"; sync')
    process = stack.guest.agent.start("holdup", "swap", "-")
    process.wait_output("ready")

    def swap() -> None:
        process.write(b"\n")
        process.wait_output("swapped")

    thaw = back_up(stack, swap)
    backup = described(stack)
    process.kill(9)
    process.wait()
    shell(stack, 'swapoff "$(spare 1)2"')
    assert thaw["status"] == host.OK and thaw["writes"]["spare1"] > 0, thaw
    assert f"written to while frozen: {disk(stack, 'spare1')} by swap alone" == backup["evidence"]
    assert backup["disks_written"] == 0, backup


def test_swap_on_a_volume_is_told_apart(stack: Stack) -> None:
    """Requests are merged below it, so there are fewer of the disk."""
    stack.guest.host.raw_disks.add("spare1")
    process = stack.guest.agent.start("holdup", "swap", "-")
    process.wait_output("ready")
    shell(stack, """d="$(spare 1)"
        echo "0 131072 linear $d 0" | dmsetup create kept --noudevsync
        echo "0 131072 linear $d 131072" | dmsetup create swap --noudevsync; dmsetup mknodes
        fresh /dev/mapper/kept /run/first; mkswap /dev/mapper/swap >/dev/null
        swapon /dev/mapper/swap; sync""")

    def swap() -> None:
        process.write(b"\n")
        process.wait_output("swapped")

    back_up(stack, swap)
    backup = described(stack)
    process.kill(9)
    process.wait()
    shell(stack, "swapoff /dev/mapper/swap; umount /run/first; dmsetup remove kept; "
                 "dmsetup remove swap; wipe 1")
    assert f"written to while frozen: {disk(stack, 'spare1')} by swap alone" == backup["evidence"]
    assert backup["disks_written"] == 0, backup


def test_array_that_writes_for_itself(stack: Stack) -> None:
    """It marks itself clean a moment after the last write, and that is the freeze; later it writes
    its bitmap. Here a member is written to, and the array is not."""
    stack.guest.host.raw_disks |= {"spare1", "spare2"}
    shell(stack, """mirror "$(spare 1)" "$(spare 2)"
        fresh /dev/md_9 /run/first; sync""")
    back_up(stack, lambda: shell(stack, 'd="$(spare 1)"; dd if="$d" of="$d" bs=4k count=1 '
                                 'iflag=direct oflag=direct conv=notrunc 2>/dev/null'))
    backup = described(stack)
    shell(stack, "umount /run/first; echo clear >/sys/block/md_9/md/array_state; wipe 1 2")
    assert backup["evidence"] == \
        f"written to while frozen: {disk(stack, 'spare1')} by its RAID alone", backup
    assert backup["disks_written"] == 0, backup


def test_logical_volume_is_named(stack: Stack) -> None:
    """Not the partition that it lies on."""
    stack.guest.host.raw_disks.add("spare1")
    shell(stack, """d="$(spare 1)"
        echo "0 131072 linear $d 0" | dmsetup create kept --noudevsync
        echo "0 131072 linear $d 131072" | dmsetup create raw --noudevsync; dmsetup mknodes
        fresh /dev/mapper/kept /run/first""")
    back_up(stack, dd(stack, "/dev/mapper/raw"))
    backup = described(stack)
    number = shell(stack, "dmsetup info -c --noheadings -o minor raw").strip()
    shell(stack, "umount /run/first; dmsetup remove kept; dmsetup remove raw; wipe 1")
    found = WRITTEN.search(backup["evidence"])
    assert found and found.groups() == (disk(stack, "spare1"), "5", "20", f"dm-{number}"), backup


@contextmanager
def without_guard(stack: Stack) -> Iterator[Stack]:
    """On hv_utils, where a thaw and freeze by another process leaves no other trace."""
    stack.stop_daemon()
    stack.rmmod()
    agent = stack.guest.agent
    agent.run("rmmod", "hv_utils")
    other = Stack(stack.guest, STOCK, OURS)
    other.load()
    other.start_daemon()
    try:
        yield other
    finally:
        other.stop_daemon()
        agent.run("rmmod", "hv_utils")
        stack.load()
        stack.start_daemon()


def test_thaw_and_freeze_by_another_process(stack: Stack) -> None:
    stack.guest.host.raw_disks.add("ext4")
    with without_guard(stack) as other:
        thaw = back_up(other, lambda: other.guest.agent.shell(
            "fsfreeze --unfreeze /data/ext4; dd if=/dev/zero of=/data/ext4/gap bs=4k count=1 "
            "conv=fsync 2>/dev/null; fsfreeze --freeze /data/ext4"))
        backup = described(other)
    found = WRITTEN.search(backup["evidence"])
    assert found and found[1] == disk(stack, "ext4"), backup
    assert thaw["writes"]["ext4"] > 0 and backup["disks_written"] == 1, (thaw, backup)
    stack.guest.host.raw_disks.discard("ext4")
