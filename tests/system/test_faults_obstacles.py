# SPDX-License-Identifier: GPL-2.0-only
"""The fault matrix, continued: a FIFREEZE that can't succeed. If the reason can be found before, no
writer waits; otherwise writers wait for seconds. In both cases the reason is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hvtest import faults, host, obstacles
from hvtest.agent import Command, until

LIMIT = 3       # seconds for all FIFREEZEs
STALL = 0.6     # seconds; no write takes as long without a freeze


def last(rig: faults.Rig) -> dict:
    """The latest backup, as --status has it."""
    def asked() -> dict:
        text = rig.agent.run("sh", "-c", "/usr/sbin/hv-vss-daemon --status --json || test $? = 1")
        return json.loads(text)["backups"]

    until(lambda: asked() and asked()[0]["reason"], 10, "it is noted")
    return asked()[0]


def stalled(rig: faults.Rig, since: float) -> float:
    """The longest that a write took since then, in seconds."""
    return max(ack.latency / 1e6 for writer in rig.writers.values()
               for ack in writer.acknowledged() if ack.time / 1e6 > since)


@contextmanager
def served_patiently(rig: faults.Rig, *options: str) -> Iterator[None]:
    """With as much time for the answer to HOT_BACKUP as on a real host."""
    place = "/sys/module/hv_vss/parameters/check_timeout_ms"
    usual = rig.agent.run("cat", place).strip()
    rig.agent.shell(f"echo 30000 >{place}")
    try:
        rig.start("", *options)
        yield
    finally:
        rig.agent.shell(f"echo {usual} >{place}")


def assert_named(rig: faults.Rig, obstacle: obstacles.Obstacle) -> None:
    """Check the reason, held_up_by, and the text of --status."""
    record = last(rig)
    assert obstacle.words in record["reason"] and obstacle.place in record["reason"], record
    assert obstacle.pid in [c["pid"] for c in record["held_up_by"]], record
    assert obstacle.place in [c["path"] for c in record["held_up_by"]], record
    text = rig.agent.run("sh", "-c", "/usr/sbin/hv-vss-daemon --status || test $? = 1")
    assert f"held up by: {obstacle.words}, on {obstacle.place}" in text


def end(*commands: Command) -> None:
    """End all of them at once, because they wait for each other."""
    for command in commands:
        command.kill(9)
    for command in commands:
        command.wait()


@pytest.mark.parametrize("kind", obstacles.KINDS)
def test_obstacle_found_before_fifreeze(rig: faults.Rig, kind: str) -> None:
    limit = f"--fifreeze-timeout={LIMIT * rig.scale}"
    with served_patiently(rig, limit), obstacles.KINDS[kind](rig) as obstacle:
        begun = rig.now()
        freeze = rig.host.ask("freeze")
        seconds = rig.thawed_after(begun)
        assert freeze["status"] == host.FAIL
        assert_named(rig, obstacle)
        assert last(rig)["freeze_ms"] == 0
        check = rig.host.ask("hot_backup")
        assert check["status"] == host.FAIL
        assert_named(rig, obstacle)
        assert stalled(rig, begun) < STALL * rig.scale
    said = rig.daemon.err
    rig.record(kind, freeze, "-", f"{seconds:.2f} (no writer waits)")
    assert obstacle.words in said


def test_busy_wait_waits_until_it_has_ended(rig: faults.Rig) -> None:
    """While the daemon waits, all can write."""
    rig.start("", "--busy=wait")
    with obstacles.splice(rig) as obstacle:
        begun = rig.now()
        sent = rig.host.send("freeze")
        rig.agent.run("sleep", "3")
        assert not rig.host.find("answer", seq=sent.seq)
        assert stalled(rig, begun) < STALL * rig.scale
        rig.agent.run("kill", "-9", str(obstacle.pid))
        freeze = rig.host.answer(sent)
        thaw = rig.host.ask("thaw")
    rig.record("splice() from an idle pipe, --busy=wait", freeze, thaw,
               rig.thawed_after(rig.now()))
    assert (freeze["status"], thaw["status"]) == (host.OK, host.OK)


def test_obstacle_not_found_before_fifreeze(rig: faults.Rig) -> None:
    """It begins when the first file systems are already frozen."""
    limit = LIMIT * rig.scale
    rig.start(f"fifreeze-before:1=sleep-{1500 * rig.scale}", f"--fifreeze-timeout={limit}",
              "--hold=60")
    begun = rig.now()
    sent = rig.host.send("freeze")
    rig.agent.run("sleep", str(0.5 * rig.scale))
    with obstacles.splice(rig, "/root") as obstacle:
        obstacle.place = "/"
        others = {name: w for name, w in rig.writers.items() if name != "root"}
        all_writers, rig.writers = rig.writers, others
        freeze = rig.host.answer(sent)
        seconds = rig.thawed_after(begun + limit)
        rig.writers = all_writers
        assert_named(rig, obstacle)
        check = rig.host.ask("hot_backup")
        assert "still hangs" in last(rig)["reason"] and obstacle.words in last(rig)["reason"]
    late = rig.thawed_after(rig.now())
    rig.record("splice() from an idle pipe, begun during the freeze", freeze, "-",
               f"limit of {limit} s + {seconds:.2f} (the others)")
    assert (freeze["status"], check["status"]) == (host.FAIL, host.FAIL)
    assert seconds <= rig.limit + 1.5 * rig.scale
    assert late <= 2 * rig.limit
    until(lambda: rig.host.ask("hot_backup")["status"] == host.OK, 20, "the daemon serves again")


def test_listener_that_logs_to_a_frozen_file_system(rig: faults.Rig) -> None:
    """A virus scanner must log each open() before it allows it. An open() that truncates holds its file
    system for writing meanwhile, so that one has to be frozen first."""
    rig.start("", f"--fifreeze-timeout={LIMIT * rig.scale}")
    listener = rig.agent.start("permit", "/data/xfs/permit.log", "/data/ext4", "/data/btrfs")
    listener.wait_output("watching")
    openers = [rig.agent.start("holdup", "truncate", f"/data/{fs}/opened{n}")
               for fs in ("ext4", "btrfs") for n in range(2)]
    try:
        for opener in openers:
            opener.wait_output("truncating")
        for _ in range(3):
            freeze, thaw = rig.host.ask("freeze"), rig.host.ask("thaw")
            seconds = rig.thawed_after(rig.now())
            assert (freeze["status"], thaw["status"]) == (host.OK, host.OK), rig.daemon.err
        rig.record("fanotify listener logs to a frozen file system, others truncate", freeze, thaw,
                   seconds)
    finally:
        end(listener, *openers)


def test_listener_that_watches_its_own_log(rig: faults.Rig) -> None:
    """No order helps: an open() there waits for the listener, and the listener for the thaw."""
    limit = LIMIT * rig.scale
    rig.start("", f"--fifreeze-timeout={limit}", "--hold=60")
    listener = rig.agent.start("permit", "/data/xfs/permit.log", "/data/xfs")
    listener.wait_output("watching")
    openers = [rig.agent.start("holdup", "truncate", f"/data/xfs/opened{n}") for n in range(8)]
    try:
        for opener in openers:
            opener.wait_output("truncating")
        begun = rig.now()
        freeze = rig.host.ask("freeze")
        others = {name: w for name, w in rig.writers.items() if name != "xfs"}
        all_writers, rig.writers = rig.writers, others
        seconds = rig.thawed_after(begun + (limit if freeze["status"] == host.FAIL else 0))
        rig.writers = all_writers
        if freeze["status"] == host.OK:
            assert rig.host.ask("thaw")["status"] == host.OK
        else:
            assert "waiting for a fanotify listener" in last(rig)["reason"], last(rig)
    finally:
        end(listener, *openers)
    rig.record("fanotify listener watches its own log", freeze, "-",
               f"limit of {limit} s + {seconds:.2f} (the others)")
    assert seconds <= rig.limit + 1.5 * rig.scale
    assert rig.thawed_after(rig.now()) <= 2 * rig.limit
    until(lambda: rig.host.ask("hot_backup")["status"] == host.OK, 20, "the daemon serves again")


def test_journal_on_another_file_system(rig: faults.Rig) -> None:
    """An ext4 on a disk, its journal on a loop device of /data/xfs."""
    rig.start("", f"--fifreeze-timeout={LIMIT * rig.scale}")
    with obstacles.external_journal(rig) as place:
        # A program writes, so that there is something to put into the journal at the freeze.
        writer = rig.agent.start("sh", "-c", f"while :; do echo more >{place}/$((n += 1)); done")
        for _ in range(3):
            freeze, thaw = rig.host.ask("freeze"), rig.host.ask("thaw")
            assert (freeze["status"], thaw["status"]) == (host.OK, host.OK), rig.daemon.err
            seconds = rig.thawed_after(rig.now())
        writer.kill(9)
        writer.wait()
        listed = json.loads(rig.agent.run("/usr/sbin/hv-vss-daemon", "--list", "--json"))
        rig.agent.run("touch", f"{place}/after", timeout=10)
    rig.record("ext4 with its journal in a file of another file system", freeze, thaw, seconds)
    order = [fs["path"] for fs in listed["file_systems"] if fs["action"] == "freeze"]
    assert order.index(place) < order.index("/data/xfs")
