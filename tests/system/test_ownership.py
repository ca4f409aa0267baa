# SPDX-License-Identifier: GPL-2.0-only
"""Whose freeze is it? File systems that meet an error while frozen, freezes within freezes, and the
order in which the guard thaws file systems that lie in files of another one.

Each on kernels with a fault and on one without; those of HV_VSS_KERNELS instead, with a backup that
must be good where the kernel has no such fault.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hvtest import faults, host, kernels
from hvtest.agent import Result, until
from hvtest.vssclient import Client

SCRATCH = "/data/scratch"
SECTORS = 48 * 2048


@pytest.fixture(scope="module", params=kernels.chosen("bullseye", "bookworm", "bookworm-backports"))
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def rig(rig: faults.Rig, machine: str) -> Iterator[faults.Rig]:
    """With a small ext4 at /data/scratch, on two dm over loop over a file in memory: gone afterwards."""
    del machine     # only named for pytest to find its parameters
    agent = rig.agent
    agent.run("/sbin/modprobe", "loop")
    agent.run("mkdir", "-p", SCRATCH)
    agent.shell("dd if=/dev/zero of=/run/scratch bs=1M count=48 2>/dev/null")
    loop = agent.run("/sbin/losetup", "--find", "--show", "/run/scratch").strip()
    rig.dm("lower", f"0 {SECTORS} linear {loop} 0")
    rig.dm("scratch", f"0 {SECTORS} linear /dev/mapper/lower 0")
    agent.run("/sbin/mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0",
              "/dev/mapper/scratch")
    agent.run("/bin/mount", "-o", "errors=remount-ro", "/dev/mapper/scratch", SCRATCH)
    yield rig
    if rig.daemon:
        rig.end()
    rig.guest.bad_kernel_lines()        # the errors that were asked for
    agent.run("/bin/umount", SCRATCH)
    for name in ("scratch", "lower"):
        agent.run("/sbin/dmsetup", "remove", "--noudevsync", "--retry", name)
    agent.run("/sbin/losetup", "-d", loop)
    agent.run("rm", "/run/scratch")


def nests(rig: faults.Rig) -> bool:
    """Can device mapper freeze a frozen file system again? Since Linux 6.8."""
    return tuple(map(int, rig.guest.kernel.release.split(".")[:2])) >= (6, 8)


def meet_an_error(rig: faults.Rig) -> None:
    """What an unreadable block of an inode does: an ext4 error, reported by the kernel."""
    name = rig.agent.shell("grep -lx scratch /sys/block/dm-*/dm/name").strip()
    rig.agent.shell(f"echo hvtest > /sys/fs/ext4/{name.split('/')[3]}/trigger_fs_error")


def write_ends(rig: faults.Rig, timeout: float) -> Result:
    """A write to the scratch file system, which must come to an end, good or bad."""
    command = rig.agent.start("sh", "-c", f"echo x > {SCRATCH}/probe.$$")
    until(lambda: command.over, timeout, "a write ends, with or without an error")
    return command.wait()


@pytest.mark.parametrize("how", ["thawed by the host", "killed", "hold limit"])
def test_error_while_frozen(rig: faults.Rig, how: str) -> None:
    """errors=remount-ro: the superblock becomes read-only in the middle of the freeze, and a kernel
    without the fix for CVE-2024-50191 then leaves all its writers hanging at the thaw."""
    daemon = rig.start()
    freeze = rig.host.ask("freeze")
    assert freeze["status"] == host.OK
    writer = rig.agent.start("sh", "-c", f"echo x > {SCRATCH}/waiting")
    time.sleep(0.2 * rig.scale)
    assert not writer.over
    begun = rig.now()
    meet_an_error(rig)
    if how == "killed":
        daemon.kill(9)
        daemon.wait()
        rig.daemon = None
    elif how == "hold limit":
        time.sleep(rig.hold)
    thaw = rig.host.ask("thaw")
    until(lambda: writer.over, 2 * rig.limit, "the waiting write ends")
    end = write_ends(rig, 2 * rig.limit)
    seconds = rig.thawed_after(begun)
    rig.record(f"error of a file system while frozen (remount-ro), {how}", freeze, thaw,
               max(seconds, writer.wait().end - begun) if how != "hold limit" else seconds)
    mount = rig.agent.shell(f"grep ' {SCRATCH} ' /proc/self/mountinfo").split(" - ")[1]
    readonly = "ro" in mount.split()[2].split(",")      # the superblock; "emergency_ro" is not that
    if readonly or how != "thawed by the host":
        assert thaw["status"] == host.FAIL
    if readonly:
        assert "Read-only" in end.err
        assert "met an error" in "\n".join(rig.agent.kmsg)
    if rig.daemon:
        rig.end()


@pytest.mark.spoils_guest   # its jfs can't be unmounted after that
def test_file_system_that_cannot_end_its_freeze(rig: faults.Rig) -> None:
    """At the thaw jfs reads its log, which is overwritten here: thaw_super() fails as often as it is
    called, with the error that otherwise means "not frozen"."""
    place = "/run/jfs"
    if absent := rig.guest.lacks("jfs", "/sbin/modprobe jfs"):
        pytest.skip(absent)
    loop = rig.agent.shell(f"""dd if=/dev/zero of=/run/jfs.img bs=1M count=32 2>/dev/null; mkdir {place}
        l=$(/sbin/losetup --find --show /run/jfs.img); /sbin/mkfs.jfs -q $l >/dev/null
        /bin/mount -t jfs $l {place}; echo $l""").strip()
    user = Client(rig.guest)
    user.serve()
    user.frozen(place)
    writer = rig.agent.start("sh", "-c", f"echo x > {place}/waiting")
    time.sleep(0.2 * rig.scale)
    assert not writer.over
    rig.agent.run("dd", "if=/dev/zero", f"of={loop}", "bs=1M", "seek=24", "count=8", "conv=fsync")
    begun = rig.now()
    user.kill()
    until(lambda: writer.over, 4 * rig.limit, "the waiting write ends")
    thaw = rig.host.ask("thaw")
    rig.record("jfs whose log is damaged while frozen, killed", "success", thaw,
               writer.wait().end - begun)
    assert thaw["status"] == host.FAIL
    assert "Read-only" in writer.wait().err
    assert "jfs on loop" in "\n".join(rig.agent.kmsg)
    assert "can't be thawed: error" in "\n".join(rig.agent.kmsg)


@pytest.mark.parametrize("how", ["it answers", "it thaws", "it disarms", "killed"])
def test_error_and_then_a_thaw_by_another_process(rig: faults.Rig, how: str) -> None:
    """Before the guard has checked. The kernel thaws as if the superblock had been read-only before, and
    leaves its writers hanging, whatever the daemon does next."""
    user = Client(rig.guest)
    user.serve()
    sent, cookie = user.freeze(SCRATCH)
    user.ok(f"frozen {SCRATCH} {cookie}")
    writer = rig.agent.start("sh", "-c", f"echo x > {SCRATCH}/waiting")
    time.sleep(0.2 * rig.scale)
    assert not writer.over
    meet_an_error(rig)
    user.ok(f"thaw {SCRATCH}")
    if how == "it answers":
        assert user(f"write 0 {cookie}") == "-EIO"
    elif how == "it thaws":
        assert user(f"end {SCRATCH} {cookie}") == "-EIDRM"
    elif how == "it disarms":
        user.ok(f"disarm {SCRATCH} {cookie}")
    else:
        user.kill()
    until(lambda: writer.over, 2 * rig.limit, "the waiting write ends")
    write_ends(rig, 2 * rig.limit)
    user.kill()
    assert rig.host.answer(sent)["status"] == host.FAIL


def snapshot(rig: faults.Rig, what: str) -> None:
    """suspend or resume, as lvcreate -s does it for the device that it takes a snapshot of."""
    rig.agent.run("/sbin/dmsetup", what, "--noudevsync", "scratch")


def remounts(rig: faults.Rig) -> None:
    """The device is not left marked as frozen: it can be mounted again, and frozen again."""
    rig.agent.run("/bin/umount", SCRATCH)
    rig.agent.run("/bin/mount", "/dev/mapper/scratch", SCRATCH)
    snapshot(rig, "suspend")
    writer = rig.agent.start("sh", "-c", f"echo x > {SCRATCH}/snapshot && sync -f {SCRATCH}")
    time.sleep(0.3 * rig.scale)
    assert not writer.over, "a snapshot no longer freezes the file system"
    snapshot(rig, "resume")
    assert writer.wait(10).status == 0


def test_snapshot_while_frozen(rig: faults.Rig) -> None:
    """A snapshot inside the guest begins and ends during our freeze."""
    rig.start()
    freeze = rig.host.ask("freeze")
    if nests(rig):
        snapshot(rig, "suspend")
        snapshot(rig, "resume")
    else:
        assert rig.agent.try_run("/sbin/dmsetup", "suspend", "--noudevsync", "scratch").status
    thaw = rig.host.ask("thaw")
    seconds = rig.thawed_after(rig.now())
    rig.record("snapshot of device mapper while frozen", freeze, thaw, seconds)
    assert (freeze["status"], thaw["status"]) == (host.OK, host.OK)
    assert seconds <= rig.limit
    assert write_ends(rig, rig.limit).status == 0
    rig.end()
    remounts(rig)


@pytest.mark.parametrize("how", ["thawed by the host", "killed", "killed after its thaw"])
def test_snapshot_that_outlives_the_freeze(rig: faults.Rig, how: str) -> None:
    """It begins during our freeze: ours ends, and the freeze of the snapshot must not."""
    last = {"thawed by the host": "", "killed": "",
            "killed after its thaw": "fithaw-after:5=KILL"}[how]
    daemon = rig.start(last)
    if not nests(rig):
        rig.record(f"snapshot that outlives the freeze, {how}", "-", "-", "refused by the kernel")
        assert rig.host.ask("freeze")["status"] == host.OK
        assert rig.agent.try_run("/sbin/dmsetup", "suspend", "--noudevsync", "scratch").status
        rig.host.ask("thaw")
        if "killed" in last or daemon.over:
            rig.daemon = None
        return
    freeze = rig.host.ask("freeze")
    snapshot(rig, "suspend")
    writer = rig.agent.start("sh", "-c", f"echo x > {SCRATCH}/outlives")
    begun = rig.now()
    if how == "killed":
        daemon.kill(9)
    thaw = rig.host.ask("thaw")
    if how != "thawed by the host":
        daemon.wait()
        rig.daemon = None
    seconds = rig.thawed_after(begun)
    time.sleep(0.5 * rig.scale)
    held = not writer.over
    snapshot(rig, "resume")
    writer.wait(10)
    rig.record(f"snapshot that outlives the freeze, {how}", freeze, thaw, seconds)
    assert held, "the snapshot's freeze was ended with ours"
    assert seconds <= rig.limit
    assert thaw["status"] == (host.OK if how == "thawed by the host" else host.FAIL)
    if rig.daemon:
        rig.end()
    remounts(rig)


def disk(rig: faults.Rig, what: str) -> None:
    """suspend or resume what the scratch file system writes to: meanwhile its I/O hangs."""
    how = ("--nolockfs",) if what == "suspend" else ()
    rig.agent.run("/sbin/dmsetup", what, "--noudevsync", *how, "lower")


def test_snapshot_that_waits_for_a_freeze_that_is_called_off(rig: faults.Rig) -> None:
    """FIFREEZE hangs, a snapshot waits behind it, and the daemon is killed: the guard ends our freeze
    and not that of the snapshot."""
    daemon = rig.start(f"fifreeze-before:1=sleep-{1000 * rig.scale}")
    if not nests(rig):
        return
    sent = rig.host.send("freeze")
    time.sleep(0.5 * rig.scale)
    disk(rig, "suspend")
    time.sleep(1 * rig.scale)
    queued = rig.agent.start("/sbin/dmsetup", "suspend", "--noudevsync", "scratch")
    time.sleep(0.3 * rig.scale)
    daemon.kill(9)
    freeze = rig.host.answer(sent)
    begun = rig.now()
    disk(rig, "resume")
    daemon.wait()
    rig.daemon = None
    assert queued.wait(10).status == 0
    writer = rig.agent.start("sh", "-c", f"echo x > {SCRATCH}/outlives")
    seconds = rig.thawed_after(begun)
    time.sleep(0.5 * rig.scale)
    held = not writer.over
    snapshot(rig, "resume")
    writer.wait(10)
    rig.record("snapshot beside a FIFREEZE that is called off", freeze, rig.host.ask("thaw"),
               seconds)
    assert held, "the snapshot's freeze was ended with ours"
    assert freeze["status"] == host.FAIL
    assert seconds <= rig.limit
    remounts(rig)


def test_killed_while_it_flushes_to_a_dead_disk(rig: faults.Rig) -> None:
    """Nothing is armed yet, and a thread hangs in the kernel: the host gets its answer at once, and the
    next daemon can open the device."""
    daemon = rig.start()
    rig.agent.shell(f"dd if=/dev/zero of={SCRATCH}/dirty bs=1M count=4 2>/dev/null")
    disk(rig, "suspend")
    sent = rig.host.send("freeze")
    time.sleep(1 * rig.scale)
    assert rig.agent.shell("cat /sys/bus/vmbus/devices/*/hv_vss/guard_armed").strip() == "0"
    begun = rig.now()
    daemon.kill(9)
    freeze = rig.host.answer(sent, timeout=2 * rig.limit)
    seconds = rig.thawed_after(begun)
    assert rig.host.ask("hot_backup")["status"] == host.FAIL
    assert not daemon.over, "no thread of it hangs"
    disk(rig, "resume")
    daemon.wait()
    rig.daemon = None
    rig.record("SIGKILL while it flushes to a dead disk", freeze, rig.host.ask("thaw"), seconds)
    assert freeze["status"] == host.FAIL
    assert seconds <= rig.limit


def limit(rig: faults.Rig, **milliseconds: int) -> None:
    """Limits of the module."""
    for name, value in milliseconds.items():
        rig.agent.shell(f"echo {value} > /sys/module/hv_vss/parameters/{name}_ms")


@pytest.mark.parametrize("machine", kernels.chosen("bookworm"), indirect=True)
def test_many_file_systems_in_files_of_another(rig: faults.Rig) -> None:
    """More than the kernel thaws at a time; the thaw of each writes to the one that it lies in."""
    count, agent = 300, rig.agent
    agent.shell("truncate -s 2M /run/small; /sbin/mkfs.ext4 -q -F -O ^has_journal -N 16 /run/small;"
                "mkdir -p /data/ext4/many /run/many;"
                f"loops mount /run/small /data/ext4/many /run/many {count}", timeout=300)
    limit(rig, freeze_timeout=300000, check_timeout=30000, hold_max=300000)
    try:
        daemon = rig.start("", "--freeze-timeout=300", "--fifreeze-timeout=200")
        freeze = rig.host.ask("freeze", timeout=300)
        assert freeze["status"] == host.OK, daemon.err
        begun = rig.now()
        daemon.kill(9)
        daemon.wait()
        rig.daemon = None
        seconds = rig.thawed_after(begun)
        rig.record(f"SIGKILL with {count} file systems in files of another frozen", freeze,
                   rig.host.ask("thaw"), seconds)
        until(lambda: agent.shell("cat /sys/bus/vmbus/devices/*/hv_vss/guard_releasing").strip()
              == "0", 30, "all of them are thawed")
        assert seconds <= 3 * rig.limit
    finally:
        if rig.daemon:
            rig.end()
        limit(rig, hold_max=int(rig.hold * 1000),
              **{f"{name}_timeout": value * rig.scale for name, value in faults.TIMEOUTS.items()})
        agent.run("loops", "umount", "/data/ext4/many", "/run/many", str(count), timeout=300)
        agent.shell("rm -r /data/ext4/many /run/many /run/small")
