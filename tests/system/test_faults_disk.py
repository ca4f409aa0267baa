# SPDX-License-Identifier: GPL-2.0-only
"""The fault matrix, continued: disks that fail or fill, mounts that come and go while everything is
frozen, a daemon whose control group is killed or starved.

Beside the four file systems that are written to there is a scratch one for these faults.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hvtest import faults, host

SCRATCH = "/data/scratch"
SIZE_MIB = 48


@pytest.fixture
def rig(rig: faults.Rig, machine: str, request: pytest.FixtureRequest) -> Iterator[faults.Rig]:
    """With a small ext4 on dm over loop over a file in memory, gone afterwards."""
    del machine     # only named for pytest to find its parameters
    agent = rig.agent
    agent.run("/sbin/modprobe", "loop")
    agent.run("mkdir", "-p", SCRATCH, "/data/elsewhere", "/data/later")
    agent.shell(f"dd if=/dev/zero of=/run/scratch bs=1M count={SIZE_MIB} 2>/dev/null")
    loop = agent.run("/sbin/losetup", "--find", "--show", "/run/scratch").strip()
    rig.dm("scratch", f"0 {SIZE_MIB * 2048} linear {loop} 0")
    agent.run("/sbin/mkfs.ext4", "-q", "-F", "/dev/mapper/scratch")
    agent.run("/bin/mount", "/dev/mapper/scratch", SCRATCH)
    yield rig
    if rig.daemon:
        rig.end()
    for place in (SCRATCH, "/data/elsewhere", "/data/later"):
        while agent.try_run("/bin/mountpoint", "-q", place).status == 0:
            agent.run("/bin/umount", place)
    agent.run("/sbin/dmsetup", "remove", "--noudevsync", "--retry", "scratch")
    agent.run("/sbin/losetup", "-d", loop)
    agent.run("rm", "/run/scratch")
    if "io_error" in request.node.name:
        rig.guest.bad_kernel_lines()        # what was asked for, to the last superblock write


def fail_disk(rig: faults.Rig) -> None:
    """From now on every read and write of the scratch disk is an I/O error."""
    rig.agent.run("/sbin/dmsetup", "suspend", "--nolockfs", "scratch")
    rig.agent.run("/sbin/dmsetup", "load", "scratch", "--table",
                  f"0 {SIZE_MIB * 2048} error")
    rig.agent.run("/sbin/dmsetup", "resume", "--noudevsync", "scratch")


def test_io_error_during_freeze(rig: faults.Rig) -> None:
    rig.start()
    rig.agent.shell(f"dd if=/dev/zero of={SCRATCH}/dirty bs=1M count=8 2>/dev/null")
    fail_disk(rig)
    begun = rig.now()
    freeze = rig.host.ask("freeze")
    seconds = rig.thawed_after(begun, timeout=10 * rig.scale)
    thaw = rig.host.ask("thaw")
    said = rig.end()
    rig.record("I/O error of a disk during the freeze", freeze, thaw, seconds)
    assert (freeze["status"], thaw["status"]) == (host.FAIL, host.FAIL), said
    assert SCRATCH in said, "the log does not name the file system"
    assert seconds <= rig.limit + 2 * rig.scale


def test_io_error_while_frozen(rig: faults.Rig) -> None:
    """The disk dies between FREEZE and THAW: the other file systems are thawed all the same."""
    rig.start()
    assert rig.host.ask("freeze")["status"] == host.OK
    fail_disk(rig)
    rig.host.ask("thaw")
    thawed = rig.now()
    assert rig.thawed_after(thawed, timeout=10) <= rig.limit


def test_full_disk(rig: faults.Rig) -> None:
    rig.start()
    rig.agent.shell(f"dd if=/dev/zero of={SCRATCH}/all bs=64k 2>/dev/null || true")
    freeze, thaw = rig.host.ask("freeze"), rig.host.ask("thaw")
    rig.record("disk full", freeze, thaw, rig.thawed_after(rig.now()))
    assert (freeze["status"], thaw["status"]) == (host.OK, host.OK)


@pytest.mark.parametrize("what", ["umount -l", "move", "mounted over", "mounted again"])
def test_mounts_change_while_frozen(rig: faults.Rig, what: str) -> None:
    """What was frozen is thawed, wherever it is mounted by then, or if it is unmounted."""
    commands = {
        "umount -l": ["/bin/umount", "-l", SCRATCH],
        "move": ["/bin/mount", "--move", SCRATCH, "/data/elsewhere"],
        "mounted over": ["/bin/mount", "-t", "tmpfs", "none", SCRATCH],
        "mounted again": ["/bin/mount", "--bind", SCRATCH, "/data/later"],
    }
    rig.start()
    rig.agent.run("touch", f"{SCRATCH}/file")
    if what == "umount -l":
        # Kept alive by an open file, so that it can be written to afterwards.
        keeper = rig.agent.start("sh", "-c",
                                 f"exec 3>>{SCRATCH}/file; echo open; read x; echo more >&3 && "
                                 "echo written")
        keeper.wait_output("open")
    freeze = rig.host.ask("freeze")
    rig.agent.run(*commands[what])
    thaw = rig.host.ask("thaw")
    rig.record(f"{what} while frozen", freeze, thaw, rig.thawed_after(rig.now()))
    assert (freeze["status"], thaw["status"]) == (host.OK, host.OK)
    if what == "umount -l":
        keeper.write(b"\n")
        assert "written" in keeper.wait(10).out
    elif what == "mounted over":
        rig.agent.run("/bin/umount", SCRATCH)
        rig.agent.run("touch", f"{SCRATCH}/after", timeout=10)
    else:
        place = {"move": "/data/elsewhere", "mounted again": "/data/later"}[what]
        rig.agent.run("touch", f"{place}/after", timeout=10)


def test_loop_over_a_frozen_file_system_does_not_deadlock(rig: faults.Rig) -> None:
    """A file system on a file of another one is frozen first, and thawed last."""
    agent = rig.agent
    agent.shell(f"dd if=/dev/zero of={SCRATCH}/image bs=1M count=24 2>/dev/null")
    loop = agent.run("/sbin/losetup", "--find", "--show", f"{SCRATCH}/image").strip()
    agent.run("/sbin/mkfs.ext4", "-q", "-F", loop)
    agent.run("/bin/mount", loop, "/data/elsewhere")
    # Moved and mounted again: the order in the mount table is now the opposite.
    agent.run("touch", "/data/elsewhere/dirty")
    rig.start()
    freeze, thaw = rig.host.ask("freeze"), rig.host.ask("thaw")
    agent.run("touch", "/data/elsewhere/after", timeout=10)
    agent.run("/bin/umount", "/data/elsewhere")
    agent.run("/sbin/losetup", "-d", loop)
    assert (freeze["status"], thaw["status"]) == (host.OK, host.OK)


def cgroup(rig: faults.Rig) -> str:
    """The daemon in a control group of its own; its path."""
    if absent := rig.guest.lacks("cgroup2", "grep -qw cgroup2 /proc/filesystems"):
        pytest.skip(absent)
    rig.agent.shell("mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup; "
                    "echo +memory > /sys/fs/cgroup/cgroup.subtree_control; "
                    "mkdir -p /sys/fs/cgroup/daemon; "
                    f"echo {rig.daemon.pid} > /sys/fs/cgroup/daemon/cgroup.procs")
    return "/sys/fs/cgroup/daemon"


@pytest.mark.parametrize("how", ["cgroup killed", "out of memory"])
def test_control_group_dies_while_frozen(rig: faults.Rig, how: str) -> None:
    daemon = rig.start()
    group = cgroup(rig)
    there = f"test -e {group}/cgroup.kill"
    if how == "cgroup killed" and (absent := rig.guest.lacks("cgroup.kill", there, (5, 14))):
        pytest.skip(absent)
    freeze = rig.host.ask("freeze")
    script = {"cgroup killed": f"echo 1 > {group}/cgroup.kill",
              "out of memory": f"echo 1 > {group}/memory.max || true"}[how]
    rig.agent.shell(script)
    died = daemon.wait(20).end
    rig.daemon = None
    seconds = rig.thawed_after(died)
    thaw = rig.host.ask("thaw")
    rig.guest.bad_kernel_lines()        # the report of the OOM killer has a call trace
    rig.record(f"{how} while frozen", freeze, thaw, seconds)
    assert (freeze["status"], thaw["status"]) == (host.OK, host.FAIL)
    assert seconds <= rig.limit
