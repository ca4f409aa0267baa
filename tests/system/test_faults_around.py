# SPDX-License-Identifier: GPL-2.0-only
"""The fault matrix, continued: what other processes do during a backup. Log readers and fanotify
listeners that wait for a frozen disk, freezes by other processes, mounts, little memory, a disk that
fails for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hvtest import build, faults, host
from hvtest.agent import until

DAEMON = "/usr/sbin/hv-vss-daemon"
SCRATCH = "/data/scratch"


def backup(rig: faults.Rig, fault: str, between=lambda: None) -> tuple[str, str]:
    """FREEZE, something, THAW: recorded; what the host was told."""
    freeze = rig.host.ask("freeze")
    between()
    time.sleep(0.3)
    thaw = rig.host.ask("thaw")
    seconds = rig.thawed_after(rig.now(), timeout=10 * rig.scale)
    rig.record(fault, freeze, thaw, seconds)
    assert seconds <= rig.limit
    return freeze["status"], thaw["status"]


def start_by(rig: faults.Rig, script: str) -> None:
    """Start the daemon by a shell script that names it $DAEMON."""
    rig.agent.put(DAEMON, build.daemon().read_bytes(), 0o755)
    command = rig.agent.start("sh", "-c", f"DAEMON={DAEMON}; {script}")
    until(lambda: command.over or rig.host.ask("hot_backup")["status"] == host.OK, 30,
          "the daemon serves", interval=0.1)
    assert not command.over, command.err


def stop_by_name(rig: faults.Rig) -> None:
    rig.agent.shell("kill $(pidof hv-vss-daemon)")
    until(lambda: rig.agent.try_run("pidof", "hv-vss-daemon").status, 20, "the daemon has ended")


def test_log_goes_to_a_frozen_disk(rig: faults.Rig) -> None:
    """As with a syslog or journal that writes to /var: the reader blocks until the thaw."""
    start_by(rig, "$DAEMON --verbose 2>&1 | while read -r line; do "
                  "echo \"$line\" >> /data/ext4/syslog; sync; done")
    assert backup(rig, "syslog writes to a frozen disk") == (host.OK, host.OK)
    stop_by_name(rig)
    # The reader may be slower than the daemon.
    until(lambda: "backup ok" in rig.agent.run("cat", "/data/ext4/syslog"), 20, "all is logged")


def test_no_process_reads_the_log(rig: faults.Rig) -> None:
    """The pipe is full, and its reader sleeps."""
    rig.agent.shell("rm -f /run/pipe; /usr/bin/mkfifo /run/pipe")
    reader = rig.agent.start("sh", "-c", "exec 3<>/run/pipe; "
                                         "/bin/dd if=/dev/zero of=/run/pipe bs=4k count=99 "
                                         "oflag=nonblock 2>/dev/null; echo full; exec sleep 600")
    reader.wait_output("full")
    start_by(rig, "exec $DAEMON --verbose 2>/run/pipe")
    assert backup(rig, "no process reads the log") == (host.OK, host.OK)
    rig.agent.shell("kill $(pidof hv-vss-daemon)")
    time.sleep(3 * rig.scale)
    reader.kill(9)
    until(lambda: rig.agent.try_run("pidof", "hv-vss-daemon").status, 20, "the daemon has ended")


@pytest.mark.parametrize("how", ["thawed by the host", "killed"])
def test_listener_that_lives_on_a_frozen_file_system(rig: faults.Rig, how: str) -> None:
    """A virus scanner blocks every open() until it has logged it, which it can't while frozen."""
    daemon = rig.start()
    listener = rig.agent.start("permit", "/data/xfs/permit.log", "/", "/data/ext4", "/data/btrfs")
    listener.wait_output("watching")
    try:
        if how == "killed":
            freeze = rig.host.ask("freeze")
            daemon.kill(9)
            died = daemon.wait().end
            rig.daemon = None
            seconds = rig.thawed_after(died)
            thaw = rig.host.ask("thaw")
            rig.record("SIGKILL while a fanotify listener is frozen", freeze, thaw, seconds)
            assert (freeze["status"], thaw["status"]) == (host.OK, host.FAIL)
            assert seconds <= rig.limit
        else:
            opened = []

            def open_something() -> None:
                opened.append(rig.agent.start("/bin/cat", "/data/ext4/records/0"))

            assert backup(rig, "fanotify listener lives on a frozen file system",
                          open_something) == (host.OK, host.OK)
            opened[0].wait()
            rig.end()
    finally:
        listener.kill(9)
        listener.wait()


@contextmanager
def scratch(rig: faults.Rig, table: str = "0 {sectors} linear {loop} 0") -> Iterator[str]:
    """A small ext4 on device-mapper, not yet mounted; the loop device beneath."""
    agent, sectors = rig.agent, 48 * 2048
    agent.run("/sbin/modprobe", "loop")
    agent.run("mkdir", "-p", SCRATCH)
    agent.shell("dd if=/dev/zero of=/run/around bs=1M count=48 2>/dev/null")
    loop = agent.run("/sbin/losetup", "--find", "--show", "/run/around").strip()
    agent.run("/sbin/mkfs.ext4", "-q", "-F", loop)
    rig.dm("around", table.format(sectors=sectors, loop=loop))
    try:
        yield loop
    finally:
        while agent.try_run("/bin/mountpoint", "-q", SCRATCH).status == 0:
            agent.run("/bin/umount", SCRATCH)
        agent.run("/sbin/dmsetup", "remove", "--noudevsync", "--retry", "around")
        agent.run("/sbin/losetup", "-d", loop)
        agent.run("rm", "/run/around")


def test_mount_while_frozen(rig: faults.Rig) -> None:
    """A file system that is mounted later is not part of the freeze: neither frozen nor thawed."""
    rig.start()
    with scratch(rig):
        def mount() -> None:
            rig.agent.run("/bin/mount", "/dev/mapper/around", SCRATCH)
            rig.agent.run("touch", f"{SCRATCH}/not-frozen")

        assert backup(rig, "mount while frozen", mount) == (host.OK, host.OK)
        rig.end()


def test_umount_while_frozen(rig: faults.Rig) -> None:
    rig.start()
    with scratch(rig):
        rig.agent.run("/bin/mount", "/dev/mapper/around", SCRATCH)

        def umount() -> None:
            assert rig.agent.try_run("/bin/umount", SCRATCH).status != 0, "it is in use"

        assert backup(rig, "umount while frozen", umount) == (host.OK, host.OK)
        rig.end()
        rig.agent.run("touch", f"{SCRATCH}/after", timeout=5)


def test_mount_while_freezing_is_frozen_too(rig: faults.Rig) -> None:
    """Or the freeze fails; no file system is left out silently."""
    rig.start(f"fifreeze-after:2=sleep-{1000 * rig.scale}")
    with scratch(rig):
        sent = rig.host.send("freeze")
        time.sleep(0.5 * rig.scale)
        rig.agent.run("/bin/mount", "/dev/mapper/around", SCRATCH)
        freeze = rig.host.answer(sent)
        if freeze["status"] == host.OK:
            rig.guest.frozen([SCRATCH])
        thaw = rig.host.ask("thaw")
        seconds = rig.thawed_after(rig.now())
        rig.record("mount while freezing", freeze, thaw, seconds)
        assert freeze["status"] == thaw["status"]
        assert seconds <= rig.limit
        rig.end()
        rig.guest.writable([SCRATCH])


@pytest.mark.parametrize("how", ["gone", "moved", "covered"])
def test_umount_while_it_is_being_opened(rig: faults.Rig, how: str) -> None:
    """Between reading the mount table and opening the file systems: the freeze does not fail, and what
    is still mounted is frozen."""
    change = {"gone": f"/bin/umount {SCRATCH}",
              "moved": f"mkdir -p /run/moved; /bin/mount --move {SCRATCH} /run/moved",
              "covered": f"/bin/mount -t tmpfs none {SCRATCH}"}[how]
    rig.start(f"open-{SCRATCH}=sleep-{1500 * rig.scale}")
    with scratch(rig):
        rig.agent.run("/bin/mount", "/dev/mapper/around", SCRATCH)
        sent = rig.host.send("freeze")
        time.sleep(0.7 * rig.scale)
        rig.agent.shell(change)
        freeze = rig.host.answer(sent)
        if how == "moved" and freeze["status"] == host.OK:
            rig.guest.frozen(["/run/moved"])
        thaw = rig.host.ask("thaw")
        seconds = rig.thawed_after(rig.now())
        rig.record(f"{how} between reading the mount table and opening", freeze, thaw, seconds)
        if how == "moved":
            rig.agent.shell("/bin/umount /run/moved")
        rig.end()
    assert (freeze["status"], thaw["status"]) == (host.OK, host.OK)
    assert seconds <= rig.limit


def test_freeze_by_another_process_during_ours(rig: faults.Rig) -> None:
    """Another process is faster with one file system, here the root, which is frozen last: our freeze
    fails and does not end the other one."""
    rig.start(f"fifreeze-after:1=sleep-{1500 * rig.scale}")
    sent = rig.host.send("freeze")
    time.sleep(0.5 * rig.scale)
    with rig.frozen_by_another_process("root"):
        freeze = rig.host.answer(sent)
        # Not from the end of the sleep: how long FIFREEZE then takes depends on the load.
        seconds = rig.thawed_after(rig.now())
        thaw = rig.host.ask("thaw")
    rig.record("frozen by another process during the freeze", freeze, thaw,
               f"{seconds:.2f} (theirs: untouched)")
    assert (freeze["status"], thaw["status"]) == (host.FAIL, host.FAIL)
    assert seconds <= rig.limit


def test_freeze_by_another_process_while_frozen(rig: faults.Rig) -> None:
    """The kernel refuses these freezes."""
    rig.start()

    def freeze() -> None:
        assert rig.agent.try_run("/sbin/fsfreeze", "-f", "/data/xfs").status != 0

    assert backup(rig, "FIFREEZE by another process while frozen", freeze) == (host.OK, host.OK)


def test_memory_is_scarce_in_the_control_group(rig: faults.Rig) -> None:
    """While it freezes it can get no more memory: it needs none, or it dies and the guard thaws."""
    if absent := rig.guest.lacks("cgroup2", "grep -qw cgroup2 /proc/filesystems"):
        pytest.skip(absent)
    daemon = rig.start()
    group = "/sys/fs/cgroup/scarce"
    rig.agent.shell("mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup; "
                    "echo +memory > /sys/fs/cgroup/cgroup.subtree_control; "
                    f"mkdir -p {group}; echo {daemon.pid} > {group}/cgroup.procs; "
                    f"cat {group}/memory.current > {group}/memory.max; "
                    f"echo 0 > {group}/memory.high; echo 0 > {group}/memory.swap.max || true")
    begun = rig.now()
    freeze = rig.host.ask("freeze")
    thaw = rig.host.ask("thaw")
    seconds = rig.thawed_after(rig.now())
    rig.guest.bad_kernel_lines()        # a report of the OOM killer has a call trace
    rig.record("no memory in the control group", freeze, thaw, seconds)
    assert rig.now() - begun < 60 * rig.scale
    if thaw["status"] == host.OK:
        assert freeze["status"] == host.OK
    assert seconds <= rig.limit
    if daemon.over:
        rig.daemon = None
    else:
        rig.agent.shell(f"echo max > {group}/memory.high; echo max > {group}/memory.max")


@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_disk_that_fails_for_a_while(rig: faults.Rig, policy: str) -> None:
    """Writes fail with I/O errors when it is to be frozen, and work again later (dm-flakey). An admin
    may want backups without a dead file system."""
    rig.agent.run("/sbin/modprobe", "dm-flakey")
    rig.start("", f"--dead={policy}")
    with scratch(rig):
        rig.agent.run("/bin/mount", "/dev/mapper/around", SCRATCH)
        rig.agent.shell(f"dd if=/dev/zero of={SCRATCH}/dirty bs=1M count=4 2>/dev/null")
        loop = rig.agent.shell("/sbin/losetup -j /run/around").split(":", maxsplit=1)[0]

        def table(text: str) -> None:
            rig.agent.run("/sbin/dmsetup", "suspend", "--nolockfs", "around")
            rig.agent.run("/sbin/dmsetup", "load", "around", "--table", f"0 {48 * 2048} {text}")
            rig.agent.run("/sbin/dmsetup", "resume", "--noudevsync", "around")

        table(f"flakey {loop} 0 0 600 1 error_writes")
        begun = rig.now()
        freeze = rig.host.ask("freeze")
        seconds = rig.thawed_after(begun, timeout=15 * rig.scale)
        thaw = rig.host.ask("thaw")
        table(f"linear {loop} 0")
        rig.record("writes of a disk fail during the freeze (dm-flakey)"
                   + (", --dead=skip" if policy == "skip" else ""), freeze, thaw, seconds)
        said = rig.end()
    rig.guest.bad_kernel_lines()            # the I/O errors
    expected = host.OK if policy == "skip" else host.FAIL
    assert (freeze["status"], thaw["status"]) == (expected, expected), said
    assert SCRATCH in said, "the log does not name the file system"
    if policy == "skip":
        assert f"{SCRATCH} (ext4) NOT FROZEN (is dead (input/output error))" in said, said
    assert seconds <= rig.limit + 2 * rig.scale
