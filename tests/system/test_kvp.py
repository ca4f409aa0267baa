# SPDX-License-Identifier: GPL-2.0-only
"""The host reads how the last backup went: over Hyper-V's data exchange (KVP), which the distribution's
unmodified hv_kvp_daemon answers from the pool that our daemon writes to."""

from __future__ import annotations

import signal
import struct
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from hvtest import host
from hvtest.agent import Command, until
from hvtest.guest import Guest
from hvtest.stack import OURS, Stack

DAEMON = "/usr/sbin/hv-vss-daemon"
POOL = "/var/lib/hyperv/.kvp_pool_1"
RECORD = 512 + 2048


class Told:
    """The guest, and what its host knows."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.agent = guest.agent
        self.stack = Stack(guest, OURS, OURS)
        since = guest.host.mark()
        self.stack.load()
        self._kvp = self.agent.start("/usr/sbin/hv_kvp_daemon", "-n")
        guest.host.wait("negotiated", since=since, channel="kvp", timeout=60)

    def items(self) -> dict[str, str]:
        """All items of the pool; each key has one."""
        found = self.guest.host.items()
        assert len(dict(found)) == len(found), found
        return dict(found)

    def wait_for(self, **wanted: str) -> dict[str, str]:
        """Wait until our items have these values; the names are without the prefix."""
        def said() -> bool:
            items = self.items()
            return all(items.get(f"HvVss{key}") == value for key, value in wanted.items())

        until(said, 20, f"the host reads {wanted}", interval=0.2)
        return self.items()

    def wait_at_rest(self) -> None:
        """Until nothing more is written of what has happened so far: an earlier result looks the same."""
        def rests() -> bool:
            before = self.items()
            self.agent.run("sleep", "1.5")
            writers = self.agent.shell("grep -lsx hv-vss-kvp /proc/[0-9]*/comm || true")
            return self.items() == before and not writers

        until(rests, 30, "all is written")

    def add(self, key: str, value: str) -> None:
        """Another program's record, at the end."""
        data = key.encode().ljust(512, b"\0") + value.encode().ljust(2048, b"\0")
        old = self.agent.run("wc", "-c", POOL).split()[0]
        self.agent.put("/run/record", data)
        self.agent.shell(f"cat /run/record >> {POOL}")
        assert int(self.agent.run("wc", "-c", POOL).split()[0]) == int(old) + RECORD

    def now(self) -> datetime:
        """The guest's clock."""
        return datetime.fromtimestamp(int(self.agent.run("/bin/date", "+%s")), timezone.utc)


def when(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def guest(machine: str, machines) -> Iterator[Told]:
    guest = machines.boot(machine, host_properties={"kvp": "on"})
    guest.mount_data()
    yield Told(guest)
    machines.stop()


@pytest.fixture
def told(guest: Told) -> Iterator[Told]:
    """With the daemon, which has made one good backup, and a record of another program."""
    if "other" not in guest.items():
        guest.add("other", "stays")
    guest.stack.start_daemon()
    guest.stack.back_up()
    guest.wait_for(LastBackup="ok", State="serving")
    guest.wait_at_rest()
    yield guest
    if guest.stack.daemon:
        guest.stack.stop_daemon()
    assert guest.items()["other"] == "stays"
    guest.guest.check()


def test_a_good_backup(told: Told) -> None:
    begun = told.now()
    assert told.guest.host.ask("freeze")["status"] == host.OK
    time.sleep(0.5)
    assert told.guest.host.ask("thaw")["status"] == host.OK
    # A backup of the same second came before it, but held nothing for long.
    until(lambda: told.items()["HvVssFrozenMs"].rjust(5) > "  400", 20, "the host reads of it")
    items = told.wait_for(LastBackup="ok")
    assert begun <= when(items["HvVssLastBackupTime"]) <= told.now() + timedelta(seconds=1)
    assert items["HvVssLastGoodBackup"] == items["HvVssLastBackupTime"]
    assert 400 < int(items["HvVssFrozenMs"]) < 30000
    assert items["HvVssEvidence"].startswith("nothing was written to ")
    assert (items["HvVssReason"], items["HvVssSkipped"]) == ("none", "none")
    assert items["HvVssVersion"] == told.agent.run(DAEMON, "--version").split()[1]
    assert items["HvVssDriver"] == "hv_vss"
    assert sum(key.startswith("HvVss") for key in items) == 10


def test_a_failed_backup_and_the_next_good_one(told: Told) -> None:
    good = told.items()["HvVssLastGoodBackup"]
    told.agent.run("/sbin/fsfreeze", "-f", "/data/xfs")
    try:
        assert told.guest.host.ask("freeze")["status"] == host.FAIL
    finally:
        told.agent.run("/sbin/fsfreeze", "-u", "/data/xfs")
    items = told.wait_for(LastBackup="failed",
                          Reason="/data/xfs: cannot be frozen: frozen by another process")
    assert items["HvVssLastGoodBackup"] == good <= items["HvVssLastBackupTime"]
    told.stack.back_up()
    told.wait_for(LastBackup="ok", Reason="none")


def test_killed_while_frozen(told: Told) -> None:
    """Nothing is written before the freeze, so the pool says what was true then, with its time; the next
    daemon writes that this backup has failed."""
    before = told.items()
    assert told.guest.host.ask("freeze")["status"] == host.OK
    assert told.items() == before       # the pool can be read while all is frozen
    told.stack.stop_daemon(signal.SIGKILL)
    assert told.guest.host.ask("thaw")["status"] == host.FAIL
    assert told.items() == before
    told.stack.start_daemon()
    items = told.wait_for(LastBackup="failed", Reason="the daemon was killed or has crashed while file "
                                                      "systems were frozen")
    assert items["HvVssLastBackupTime"] >= before["HvVssLastBackupTime"]
    assert items["HvVssLastGoodBackup"] == before["HvVssLastGoodBackup"]
    said = told.agent.try_run(DAEMON, "--status")
    assert said.status == 1 and "the daemon was killed or has crashed" in said.out
    told.stack.back_up()
    told.wait_for(LastBackup="ok")


def test_the_daemon_is_stopped(told: Told) -> None:
    before = told.items()
    told.stack.stop_daemon()
    assert told.wait_for(State="stopped") == before | {"HvVssState": "stopped"}


def test_backups_that_follow_each_other(told: Told) -> None:
    """Nothing is written while file systems are frozen: the host's counters of writes would show it."""
    for _ in range(20):
        told.stack.back_up()
    items = told.wait_for(LastBackup="ok", State="serving")
    assert len(items) == len(told.guest.host.items())


def test_a_pool_that_stays_locked(told: Told) -> None:
    """No error of the backup; the next one is told again."""
    before = told.items()
    holder = told.agent.start("/usr/bin/flock", POOL, "sleep", "1000")
    until(lambda: told.agent.try_run("/usr/bin/flock", "-n", POOL, "true").status, 10, "it is locked")
    for _ in range(2):
        told.stack.back_up()
        time.sleep(3.5)
    assert told.items() == before       # the host is answered meanwhile
    told.agent.shell("kill $(pidof sleep)")
    holder.wait()
    told.stack.back_up()
    until(lambda: told.items()["HvVssLastBackupTime"] > before["HvVssLastBackupTime"], 20,
          "the host reads of the last one")
    said = told.stack.stop_daemon()
    assert said.count("another program keeps it locked") == 1, said


def test_names_that_are_not_text(told: Told) -> None:
    """A mount point with bytes that are no character: the host would get an error for this item and for
    those behind it."""
    agent = told.agent
    agent.run("modprobe", "loop")
    agent.shell("""PATH=/usr/sbin:/usr/bin:$PATH; dd if=/dev/zero of=/data/ext4/fat bs=1M count=16
        mkfs.vfat /data/ext4/fat; mkdir -p "/run/$(printf 'f\\377t')"
        mount -t vfat -o loop /data/ext4/fat "/run/$(printf 'f\\377t')" """)
    try:
        told.stack.back_up()
        until(lambda: told.items()["HvVssSkipped"] != "none", 20, "the host reads of it")
        assert told.items()["HvVssSkipped"].startswith("/run/f?t (vfat): synced only"), told.items()
    finally:
        agent.shell("umount /run/f*t; rm /data/ext4/fat; rmdir /run/f*t")


def test_switched_off_and_removed(told: Told) -> None:
    before = told.items()
    told.stack.stop_daemon()
    told.stack.start_daemon("--kvp=no")
    told.stack.back_up()
    time.sleep(1)
    assert told.items() == before | {"HvVssState": "stopped"}
    told.stack.stop_daemon()
    told.add("another", "behind ours")
    told.agent.run(DAEMON, "--remove-kvp")
    assert told.guest.host.items() == [("other", "stays"), ("another", "behind ours")]
    told.agent.run(DAEMON, "--remove-kvp")
    assert told.guest.host.items() == [("other", "stays"), ("another", "behind ours")]
    told.stack.start_daemon()
    told.wait_for(State="serving")


def writers(told: Told, state: str = ".") -> list[str]:
    """The processes that write to the pool, in that state."""
    return told.agent.shell("for p in $(grep -al 'kvp[-]writer' /proc/[0-9]*/cmdline); do "
                            f"grep -l 'State:.{state}' ${{p%/*}}/status || :; done 2>/dev/null").split()


def hold(told: Told) -> Command:
    """The pool's file system hangs: another process has frozen it."""
    agent = told.agent
    agent.shell(f"""mkdir -p /data/btrfs/hyperv; cp -a {POOL} /data/btrfs/hyperv
        mount --bind /data/btrfs/hyperv /var/lib/hyperv""")
    return agent.start("/sbin/fsfreeze", "-f", "/data/btrfs")


def test_a_pool_whose_file_system_hangs(told: Told) -> None:
    """Requests are answered, and a daemon that is killed leaves neither the device nor its lock behind."""
    hold(told).wait()
    try:
        assert told.guest.host.ask("freeze")["status"] == host.FAIL
        until(lambda: writers(told, "D"), 10, "the writer hangs")
        assert told.guest.host.ask("freeze")["status"] == host.FAIL
        assert told.guest.host.ask("thaw")["status"] == host.FAIL
        told.stack.stop_daemon(signal.SIGKILL)
        assert writers(told, "D")
        daemon = told.stack.start_daemon(wait=False)
        until(lambda: "serving /dev/vmbus/hv_vss" in daemon.err, 20, "the next daemon serves")
        assert told.guest.host.ask("freeze")["status"] == host.FAIL
    finally:
        told.agent.run("/sbin/fsfreeze", "-u", "/data/btrfs")
        until(lambda: not writers(told), 20, "the writers have ended")
        told.agent.shell("umount /var/lib/hyperv; rm -r /data/btrfs/hyperv")
    told.stack.wait_serving()
    told.stack.back_up()
    told.wait_for(LastBackup="ok")


def problems(told: Told, sent: bytes, answer: bytes) -> list[str]:
    descriptor = bytes.fromhex("0600020000000000" "0900000000000000")
    reply = told.guest.host.command("check", sent=sent.hex(), answer=(descriptor + answer).hex())
    return reply["problems"]


def test_the_emulated_host_judges_answers(told: Told) -> None:
    """It must find what is wrong with an item; here no guest makes the mistake."""
    head = "01000000280a0000" "0300000002000400" "0000140a{status}01{flags}0000"
    request = "03010000" "07000000"
    key, value = (text.encode("utf-16-le") for text in ("HvVssX", "ok"))
    item = struct.pack("<III", 1, len(key) + 2, len(value) + 2) + key.ljust(512, b"\0") \
        + value.ljust(2048, b"\0")
    sent = bytes.fromhex(head.format(status="00000000", flags="03") + request) + bytes(len(item))
    start = bytes.fromhex(head.format(status="00000000", flags="05") + request)
    good = start + item
    assert problems(told, sent, good) == []
    for at in range(len(start) - 8, len(start) + 12):
        bad = bytearray(good)
        bad[at] ^= 0x83
        assert problems(told, sent, bytes(bad)), at
    for at in (len(start) + 12 + len(key), len(start) + 12 + 511, len(start) + 524 + len(value) + 1,
               len(good) - 1):
        bad = bytearray(good)
        bad[at] = 1
        assert problems(told, sent, bytes(bad)), at
    # "No more items": what was sent is returned, and nothing else.
    start = bytes.fromhex(head.format(status="03010780", flags="05") + request)
    assert problems(told, sent, start + bytes(len(item))) == []
    assert problems(told, sent, start + item)
