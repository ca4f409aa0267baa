# SPDX-License-Identifier: GPL-2.0-only
"""hv-vss-daemon --status: what the daemon does and how backups went, for people and for programs,
at any time, also while everything is frozen."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from hvtest import host, kernels
from hvtest.agent import until
from hvtest.stack import OURS, STOCK, Stack

DAEMON = "/usr/sbin/hv-vss-daemon"
OK, FAILED, NOT_RUNNING = 0, 1, 3
MACHINES = [f"{suite}-1cpu-{OURS}" for suite in kernels.chosen("bookworm")]


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


def status(stack: Stack, code: int = OK) -> dict[str, Any]:
    result = stack.guest.agent.try_run(DAEMON, "--status", "--json")
    assert result.status == code, result
    assert not result.err, result
    return json.loads(result.out)


def words(stack: Stack, code: int = OK, *command: str) -> str:
    result = stack.guest.agent.try_run(*command, DAEMON, "--status")
    assert result.status == code, result
    return result.out


def test_status_names_the_driver(stack: Stack) -> None:
    # A yes from memory is noted after the answer.
    until(lambda: status(stack).get("last_check"), 10, "the answer is noted")
    found = status(stack)
    version = stack.guest.agent.run(DAEMON, "--version").split()[1]
    assert found["daemon"]["running"] and found["daemon"]["state"] == "idle"
    assert found["daemon"]["version"] == found["driver"]["version"] == version
    assert found["daemon"]["protocol"] == "extended" and found["daemon"]["guard"]
    assert found["driver"]["name"] == "hv_vss" and found["driver"]["why_not_hv_vss"] is None
    assert (found["driver"]["framework_version"], found["driver"]["vss_version"]) == ("3.0", "5.0")
    assert found["last_check"]["ok"]
    assert "driver: hv_vss" in words(stack)


def test_a_backup_is_described(stack: Stack, places: list[str]) -> None:
    agent = stack.guest.agent
    answer = stack.guest.host.ask("freeze", luns=[
        {"bus": 1, "controller": "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f", "port": 0, "target": 0,
         "lun": n} for n in range(2)])
    assert answer["status"] == host.OK
    agent.run("sleep", "0.5")
    frozen = status(stack)
    assert frozen["daemon"]["state"] == "frozen" and frozen["daemon"]["state_ms"] > 400
    assert "frozen for" in words(stack)
    assert stack.guest.host.ask("thaw")["status"] == host.OK
    latest = status(stack)["backups"][0]
    assert latest["ok"] and latest["reason"] is None
    assert (latest["asked"], latest["disks"]) == ("FREEZE", 2)
    assert latest["freeze_answer"] == latest["thaw_answer"] == "success"
    assert latest["held_ms"] > 400
    frozen_ones = {fs["path"]: fs for fs in latest["file_systems"] if fs["action"] == "frozen"}
    assert set(frozen_ones) == {"/", *(place for place in places if place != "/root")}
    assert all(fs["freeze_ms"] > 0 and fs["thaw_ms"] > 0 for fs in frozen_ones.values())
    assert "frozen    /data/xfs (xfs) sync" in words(stack)


def check(stack: Stack, code: int, *options: str) -> str:
    """The line for monitoring."""
    result = stack.guest.agent.try_run(DAEMON, "--check", *options)
    assert result.status == code, result
    assert result.out.count("\n") == 1, result
    return result.out


def test_monitoring_gets_a_line(stack: Stack) -> None:
    """Not OK while no backup is possible."""
    stack.back_up()
    assert "HV-VSS OK: last backup 20" in check(stack, 0, "--max-age=26h")
    stack.guest.agent.run("sleep", "1.5")
    assert "HV-VSS CRITICAL: last backup 20" in check(stack, 2, "--max-age=1")
    assert "HV-VSS WARNING: last backup 20" in check(stack, 1, "--max-age=1,1h")
    stack.pause_daemon()
    try:
        assert "the daemon is stopped by a signal" in check(stack, 2)
        assert status(stack, FAILED)["daemon"]["stopped"]
    finally:
        stack.resume_daemon()
    stack.stop_daemon()
    assert "the daemon is not running" in check(stack, 2)
    stack.start_daemon("--device=/dev/no-such", wait=False)
    until(lambda: status_of(stack) == "waiting", 10, "the daemon waits")
    assert "the daemon waits for the device" in check(stack, 2)
    assert status(stack, FAILED)["daemon"]["problem"] == "the daemon waits for the device"
    stack.stop_daemon()
    stack.start_daemon()


def status_of(stack: Stack) -> str:
    """The daemon's state, whatever it is."""
    out = stack.guest.agent.try_run(DAEMON, "--status", "--json").out
    return json.loads(out)["daemon"]["state"]


def test_a_container_with_the_machines_processes_may_serve(stack: Stack, places: list[str]) -> None:
    """It does not have /data/xfs mounted itself, and freezes it all the same."""
    agent = stack.guest.agent
    stack.stop_daemon()
    stack.daemon = agent.start("/usr/bin/unshare", "--mount", "--propagation=private", "sh", "-c",
                               f"umount /data/xfs; exec {DAEMON}")
    stack.wait_serving()
    stack.back_up()
    frozen = {fs["path"] for fs in status(stack)["backups"][0]["file_systems"]
              if fs["action"] == "frozen"}
    assert frozen == {"/", *(place for place in places if place != "/root")}
    stack.stop_daemon()
    stack.start_daemon()


def test_any_user_can_read_the_status(stack: Stack) -> None:
    stack.back_up()
    said = words(stack, OK, "/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert "running" in said and "frozen    /data/ext4" in said


def test_a_failure_is_explained_and_remembered(stack: Stack) -> None:
    agent = stack.guest.agent
    agent.run("/sbin/fsfreeze", "-f", "/data/xfs")
    try:
        assert stack.guest.host.ask("freeze")["status"] == host.FAIL
    finally:
        agent.run("/sbin/fsfreeze", "-u", "/data/xfs")
    latest = status(stack, FAILED)["backups"][0]
    assert not latest["ok"] and latest["freeze_answer"] == "failure"
    assert latest["reason"] == "/data/xfs: cannot be frozen: frozen by another process"
    assert [fs["path"] for fs in latest["file_systems"] if fs["action"] == "failed"] \
        == ["/data/xfs"]
    assert "why: /data/xfs: cannot be frozen" in words(stack, FAILED)
    stack.back_up()
    assert [backup["ok"] for backup in status(stack)["backups"][:2]] == [True, False]


def asked(stack: Stack) -> str:
    """Send HOT_BACKUP; returns the answer."""
    return stack.guest.host.ask("hot_backup")["status"]


def test_the_host_is_warned_before_a_backup(stack: Stack) -> None:
    """What was mounted since the last check is checked before the answer."""
    agent = stack.guest.agent
    stack.stop_daemon()
    stack.start_daemon("--strict")
    agent.run("modprobe", "loop")
    agent.shell("""PATH=/usr/sbin:/usr/bin; dd if=/dev/zero of=/data/ext4/fat bs=1M count=16
        mkfs.vfat /data/ext4/fat; mkdir -p /run/fat; mount -t vfat -o loop /data/ext4/fat /run/fat""")
    assert asked(stack) == host.FAIL
    found = status(stack, FAILED)
    assert not found["last_check"]["ok"]
    assert found["backups"][0]["asked"] == "HOT_BACKUP"
    assert found["backups"][0]["reason"].startswith("/run/fat: ")
    assert "--strict is set" in found["backups"][0]["reason"]
    assert asked(stack) == host.FAIL
    agent.shell("umount /run/fat; rm /data/ext4/fat; rmdir /run/fat")
    assert asked(stack) == host.OK
    said = stack.stop_daemon()
    stack.start_daemon()
    assert "not ready for a backup: /run/fat: " in said


def test_other_problems_are_found_a_second_later(stack: Stack) -> None:
    """A hook that other users can write to, created since the last check."""
    agent = stack.guest.agent
    hook = "/etc/hv-vss/hooks.d/open"
    assert asked(stack) == host.OK
    agent.shell(f"mkdir -p {hook.rpartition('/')[0]}; touch {hook}; chmod 777 {hook}")
    try:
        assert asked(stack) == host.OK
        until(lambda: "a backup would fail now" in stack.daemon.err, 20, "the daemon warns")
        assert f"hook {hook}: not run: users other than root can write to it" in stack.daemon.err
        assert asked(stack) == host.FAIL
        assert status(stack, FAILED)["backups"][0]["reason"] == \
            f"hook {hook}: users other than root can write to it"
        assert stack.guest.host.ask("freeze")["status"] == host.FAIL
    finally:
        agent.run("rm", hook)
    assert asked(stack) == host.OK


def test_history_survives_the_daemon(stack: Stack) -> None:
    stack.back_up()
    before = status(stack)["backups"]
    stack.stop_daemon(signal.SIGKILL)
    dead = status(stack, NOT_RUNNING)
    assert not dead["daemon"]["running"] and dead["backups"] == before
    assert words(stack, NOT_RUNNING).startswith("daemon: not running\n")
    stack.start_daemon()
    stack.back_up()
    after = status(stack)["backups"]
    assert after[0]["id"] == before[0]["id"] + 1
    assert after[1:] == before[:len(after) - 1]
    stack.stop_daemon()
    assert not status(stack, NOT_RUNNING)["daemon"]["running"]
    stack.start_daemon()


def test_thaw_without_freeze_is_a_failure(stack: Stack) -> None:
    assert stack.guest.host.ask("thaw")["status"] == host.FAIL
    latest = status(stack, FAILED)["backups"][0]
    assert (latest["asked"], latest["thaw_answer"]) == ("THAW", "failure")
    assert "nothing is frozen" in latest["reason"]


def test_one_line_in_the_log_for_each_backup(stack: Stack) -> None:
    stack.stop_daemon()
    stack.start_daemon()
    for _ in range(3):
        stack.wait_serving()
        stack.back_up()
    said = stack.stop_daemon().splitlines()
    assert said[0].startswith("serving /dev/vmbus/hv_vss (driver hv_vss, with its guard)")
    assert [line.split(",")[0].split(" ms")[0].rstrip("0123456789") for line in said[1:4]] \
        == ["backup ok: plan "] * 3
    assert said[4:] == ["got SIGTERM: stopping"]
    stack.start_daemon()


def test_the_kernels_own_driver(boot) -> None:
    guest = boot(kernels.chosen("bookworm")[0])
    stack = Stack(guest, STOCK, OURS)
    stack.load()
    stack.start_daemon()
    stack.back_up()
    found = status(stack)
    assert found["driver"]["name"] == guest.utils()
    assert "no hv_vss for this kernel" in found["driver"]["why_not_hv_vss"]
    assert found["daemon"]["protocol"] == "base" and not found["daemon"]["guard"]
    assert found["backups"][0]["ok"]
    guest.host.ask("freeze")
    assert status(stack)["daemon"]["state"] == "frozen"
    guest.host.ask("thaw")
    stack.stop_daemon()
