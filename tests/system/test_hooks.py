# SPDX-License-Identifier: GPL-2.0-only
"""Hooks in a booted guest: called around the freeze, in order, and with "thaw" whatever happens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from hvtest import host, kernels
from hvtest.agent import until
from hvtest.guest import Guest
from hvtest.stack import OURS, STOCK, Stack

DIRECTORY = "/etc/hv-vss/hooks.d"
CALLS = "/run/calls"
PLACES = ["/root", "/data/ext4"]


class Hooked:
    """A guest whose daemon calls hooks; each of them notes its calls in memory."""

    def __init__(self, guest: Guest, module: str = OURS) -> None:
        self.guest = guest
        self.agent = guest.agent
        self.host = guest.host
        self.stack = Stack(guest, module, OURS)
        self.said = ""

    def set_up(self) -> None:
        self.guest.mount("ext4", "/data/ext4", "ext4")
        self.stack.load()

    def clean(self) -> None:
        self.agent.shell(f"rm -rf {DIRECTORY}; mkdir -p {DIRECTORY}; : >{CALLS}")

    def put(self, name: str, script: str = "", mode: int = 0o755) -> None:
        note = f'echo "${{0##*/}} $1 $HV_VSS_STATUS" >>{CALLS}'
        self.agent.put(f"{DIRECTORY}/{name}", f"#!/bin/sh\n{note}\n{script}\n".encode(), mode)

    def start(self, *options: str) -> None:
        self.stack.start_daemon(*options)

    def end(self) -> str:
        """Stop the daemon; returns what it logged."""
        if self.stack.daemon:
            self.said = self.stack.stop_daemon()
        return self.said

    def kill(self) -> None:
        assert self.stack.daemon
        self.stack.daemon.kill(9)
        self.stack.daemon.wait()
        self.stack.daemon = None

    def calls(self) -> list[str]:
        return [line.strip() for line in self.agent.run("cat", CALLS).splitlines()]

    def wait_calls(self, *expected: str) -> None:
        until(lambda: len(self.calls()) >= len(expected), 20, f"calls: {expected}")
        assert self.calls() == list(expected)

    def freeze(self) -> str:
        return self.host.ask("freeze", timeout=60)["status"]

    def thaw(self) -> str:
        return self.host.ask("thaw", timeout=60)["status"]


@pytest.fixture(scope="module", params=kernels.chosen("bookworm"))
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def shared(machine: str, machines) -> Hooked:
    hooked = Hooked(machines.boot(machine))
    hooked.set_up()
    return hooked


@pytest.fixture
def hooked(shared: Hooked) -> Iterator[Hooked]:
    shared.clean()
    yield shared
    shared.end()
    shared.clean()
    assert not shared.agent.shell("if test -s /run/hv-vss/hooks; then echo y; fi")
    shared.guest.writable(PLACES)
    shared.guest.check()


def test_called_before_the_freeze_and_after_the_thaw(hooked: Hooked) -> None:
    for name in ("20-b", "10-a"):
        hooked.put(name, 'echo "$1 $HV_VSS_OPERATION" >>/data/ext4/$(basename $0); echo heard')
    hooked.put("30-sample.bak", "exit 1")
    hooked.put("40-off", "exit 1", 0o644)
    hooked.start()
    listed = hooked.agent.run("/usr/sbin/hv-vss-daemon", "--list").splitlines()
    assert [line.split()[1] for line in listed if line.startswith("hook ")] == [
        f"{DIRECTORY}/10-a", f"{DIRECTORY}/20-b"]
    assert not [line for line in listed if line.startswith("refuse ")]
    assert hooked.calls() == [], "a check calls no hook"
    assert hooked.freeze() == host.OK
    assert hooked.calls() == ["10-a freeze", "20-b freeze"]
    hooked.guest.frozen(PLACES)
    assert hooked.thaw() == host.OK
    hooked.wait_calls("10-a freeze", "20-b freeze", "20-b thaw ok", "10-a thaw ok")
    said = hooked.end()     # the last one notes its call first
    assert hooked.agent.run("cat", "/data/ext4/10-a") == "freeze freeze\nthaw thaw\n"
    assert said.count("hook 10-a: heard") == 2, said


def test_environment_of_a_hook(hooked: Hooked) -> None:
    hooked.put("a", "{ readlink /proc/$$/fd/*; cat /proc/$$/oom_score_adj; env; } >/run/seen.$1")
    hooked.agent.run("sh", "-c", "rm -f /run/seen.*")
    hooked.start("--hook-timeout=17")
    hooked.stack.back_up()
    until(lambda: hooked.agent.try_run("test", "-s", "/run/seen.thaw").status == 0, 10, "thaw")
    hooked.end()
    for operation in ("freeze", "thaw"):
        seen = hooked.agent.run("cat", f"/run/seen.{operation}").splitlines()
        files = [line for line in seen if "=" not in line]
        assert not [line for line in files if "vmbus" in line or "/run/hv-vss" in line], seen
        variables = dict(line.split("=", 1) for line in seen if "=" in line)
        assert variables["HV_VSS_OPERATION"] == operation
        assert variables["HV_VSS_TIMEOUT"] == "17"
        assert variables["HV_VSS_BACKUP_ID"]
        assert variables["HV_VSS_PLAN"] == "/run/hv-vss/plan.json"
        assert ("HV_VSS_STATUS" in variables) == (operation == "thaw")
        assert ("HV_VSS_MAX_SECONDS" in variables) == (operation == "freeze")
        assert "HV_FAULT" not in variables and "0" in seen


def test_hooks_read_the_plan(hooked: Hooked) -> None:
    """It is what --list --json prints; only root can read it, and it goes with the last hook."""
    hooked.put("a", 'cat "$HV_VSS_PLAN" >/run/plan.$1; stat -c "%a %u" "$HV_VSS_PLAN" >>/run/plan.mode')
    hooked.agent.shell("rm -f /run/plan.*")
    hooked.start()
    assert not hooked.agent.shell("ls /run/hv-vss | grep plan || :")
    hooked.stack.back_up()
    hooked.wait_calls("a freeze", "a thaw ok")
    hooked.end()
    assert not hooked.agent.shell("ls /run/hv-vss | grep plan || :")
    assert hooked.agent.run("cat", "/run/plan.mode") == "600 0\n600 0\n"
    printed = json.loads(hooked.agent.run("/usr/sbin/hv-vss-daemon", "--list", "--json"))
    for operation in ("freeze", "thaw"):
        plan = json.loads(hooked.agent.run("cat", f"/run/plan.{operation}"))
        assert set(plan) == set(printed) and plan["schema_version"] == printed["schema_version"]
        frozen = {fs["path"]: fs for fs in plan["file_systems"] if fs["action"] == "freeze"}
        assert set(frozen) >= set(PLACES) - {"/root"} | {"/"}
        for fs in frozen.values():
            disks = hooked.agent.run("sh", "-c", f"basename $(readlink /sys/dev/block/{fs['device']})")
            assert fs["disks"] == disks.split(), fs
        assert plan["file_systems"] == printed["file_systems"]


def test_backup_without_a_file_for_the_plan(hooked: Hooked) -> None:
    hooked.put("a", 'echo "${HV_VSS_PLAN-none}" >>/run/told')
    hooked.agent.shell("rm -f /run/told; mkdir -p /run/hv-vss/plan.json.new/x")
    hooked.start()
    hooked.stack.back_up()
    hooked.wait_calls("a freeze", "a thaw ok")
    hooked.agent.shell("rm -r /run/hv-vss/plan.json.new")
    said = hooked.end()
    assert said.count("plan.json") == 1, said
    assert "HV_VSS_PLAN is not set: /run/hv-vss/plan.json cannot be written: File exists" in said
    assert hooked.agent.run("cat", "/run/told") == "none\nnone\n"


def test_hook_may_free_memory_by_writing(hooked: Hooked) -> None:
    """The daemon must not, but nothing is frozen while a hook runs (PF_MEMALLOC_NOIO)."""
    hooked.put("10-a", "read -r _ _ _ _ _ _ _ _ flags _ </proc/self/stat; echo $flags >/run/flags")
    hooked.start()
    assert hooked.freeze() == host.OK
    assert hooked.thaw() == host.OK
    assert not int(hooked.agent.run("cat", "/run/flags")) & 0x80000


def test_failure_of_one_of_several_hooks(hooked: Hooked) -> None:
    hooked.put("a")
    hooked.put("b", "echo no room; test $1 = thaw")
    hooked.put("c")
    hooked.start()
    assert hooked.freeze() == host.FAIL
    hooked.wait_calls("a freeze", "b freeze", "b thaw failed", "a thaw failed")
    assert hooked.thaw() == host.FAIL
    hooked.guest.writable(PLACES)
    hooked.put("b")
    hooked.stack.back_up()
    said = hooked.end()
    assert "hook b: no room" in said and "hook b: freeze: exit status 1" in said, said


def test_hook_failure_continue(hooked: Hooked) -> None:
    hooked.put("a", "exit 3")
    hooked.start("--hook-failure=continue")
    assert hooked.freeze() == host.OK
    hooked.guest.frozen(PLACES)
    assert hooked.thaw() == host.OK
    assert "hook a: freeze: exit status 3" in hooked.end()


def test_time_out(hooked: Hooked) -> None:
    """It ignores SIGTERM, and has a child that keeps its output open."""
    hooked.put("a", "test $1 = thaw && exit; trap '' TERM; sleep 1001 & sleep 1001")
    hooked.start("--hook-timeout=2")
    begun = time.monotonic()
    assert hooked.freeze() == host.FAIL
    assert time.monotonic() - begun < 20
    hooked.wait_calls("a freeze", "a thaw failed")
    assert "hook a: freeze: timed out: killed" in hooked.end()
    assert hooked.agent.try_run("pidof", "sleep").status, "a child was left"


def test_host_is_answered_while_hooks_thaw(hooked: Hooked) -> None:
    hooked.put("a", "test $1 = freeze || sleep 3")
    hooked.start()
    hooked.stack.back_up()
    begun = time.monotonic()
    assert hooked.host.ask("hot_backup")["status"] == host.OK
    assert time.monotonic() - begun < 2
    # The next backup waits until the hooks have finished "thaw".
    assert hooked.freeze() == host.OK
    assert time.monotonic() - begun > 2
    assert hooked.calls() == ["a freeze", "a thaw ok", "a freeze"]
    assert hooked.thaw() == host.OK


def test_host_gives_up_while_hooks_freeze(hooked: Hooked) -> None:
    hooked.put("a", "test $1 = thaw || sleep 1002")
    hooked.start()
    sent = hooked.host.send("freeze")
    until(lambda: hooked.calls(), 10, "the hook is called")
    assert hooked.thaw() == host.FAIL
    assert hooked.host.answer(sent)["status"] == host.FAIL
    hooked.wait_calls("a freeze", "a thaw failed")
    hooked.guest.writable(PLACES)


def test_hold_limit(hooked: Hooked) -> None:
    hooked.put("a")
    hooked.start("--hold=2")
    assert hooked.freeze() == host.OK
    hooked.wait_calls("a freeze", "a thaw failed")
    assert hooked.thaw() == host.FAIL


def listed(hooked: Hooked, status: int = 0) -> tuple[list[tuple[str, str, str]], str | None]:
    """The hooks that --list prints (action, path, reason), and hooks_error."""
    result = hooked.agent.try_run("/usr/sbin/hv-vss-daemon", "--list", "--json")
    assert result.status == status, result
    found = json.loads(result.out)
    assert [fs for fs in found["file_systems"] if fs["action"] == "freeze"]
    return [(h["action"], h["path"], h["reason"]) for h in found["hooks"]], found["hooks_error"]


def test_list_names_hooks(hooked: Hooked) -> None:
    hooked.put("b")
    hooked.put("a")
    hooked.put("open", mode=0o777)
    hooked.put("off", mode=0o644)
    assert listed(hooked) == ([
        ("call", f"{DIRECTORY}/a", None), ("call", f"{DIRECTORY}/b", None),
        ("refuse", f"{DIRECTORY}/open", "users other than root can write to it")], None)
    said = hooked.agent.run("/usr/sbin/hv-vss-daemon", "--list")
    assert f"refuse {DIRECTORY}/open: users other than root can write to it\n" in said
    hooked.agent.shell(f"chmod 777 {DIRECTORY}")
    try:
        hooks, error = listed(hooked, 1)
    finally:
        hooked.agent.shell(f"chmod 755 {DIRECTORY}")
    assert hooks == [("refuse", DIRECTORY, "users other than root can write to the directory")]
    assert error == "Operation not permitted"
    assert hooked.calls() == []


def test_refused_hooks(hooked: Hooked) -> None:
    hooked.put("a", mode=0o777)
    hooked.stack.start_daemon(wait=False)
    until(lambda: "serving" in hooked.stack.daemon.err, 20, "the daemon serves")
    assert hooked.host.ask("hot_backup")["status"] == host.FAIL
    assert hooked.freeze() == host.FAIL
    assert hooked.calls() == []
    assert f"hook {DIRECTORY}/a: not run: users other than root can write to it" in hooked.end()


def test_daemon_is_told_to_stop_while_hooks_freeze(hooked: Hooked) -> None:
    hooked.put("a", "sleep 2")
    hooked.start()
    sent = hooked.host.send("freeze")
    until(lambda: hooked.calls(), 10, "the hook is called")
    daemon = hooked.stack.daemon
    daemon.kill()
    assert hooked.host.answer(sent)["status"] == host.OK
    assert hooked.thaw() == host.OK
    assert daemon.wait().status == 0
    hooked.stack.daemon = None
    assert hooked.calls() == ["a freeze", "a thaw ok"]


def test_daemon_is_killed_while_frozen(hooked: Hooked) -> None:
    hooked.put("a")
    hooked.put("b")
    hooked.start()
    assert hooked.freeze() == host.OK
    hooked.kill()
    hooked.wait_calls("a freeze", "b freeze", "b thaw failed", "a thaw failed")
    assert hooked.thaw() == host.FAIL
    hooked.start()
    hooked.stack.back_up()


@pytest.mark.parametrize("thawer", ["successor", "thaw-leftovers"])
def test_all_are_killed_while_frozen(hooked: Hooked, thawer: str) -> None:
    hooked.put("a")
    hooked.put("b")
    hooked.start()
    assert hooked.freeze() == host.OK
    # All of them at once, as the service manager and the OOM killer do.
    hooked.agent.shell("kill -9 $(pidof hv-vss-daemon) $(pidof hv-vss-hooks)")
    hooked.stack.daemon.wait()
    hooked.stack.daemon = None
    time.sleep(0.5)
    assert hooked.calls() == ["a freeze", "b freeze"]
    if thawer == "successor":
        hooked.start()
    else:
        hooked.agent.run("/usr/sbin/hv-vss-daemon", "--thaw-leftovers")
    hooked.wait_calls("a freeze", "b freeze", "b thaw failed", "a thaw failed")
    until(lambda: not hooked.agent.shell("ls /run/hv-vss | grep plan || :"), 10, "no plan is left")


def test_runner_is_killed_while_frozen(hooked: Hooked) -> None:
    hooked.put("a")
    hooked.start()
    assert hooked.freeze() == host.OK
    hooked.agent.shell("kill -9 $(pidof hv-vss-hooks)")
    hooked.guest.frozen(PLACES)
    assert hooked.thaw() == host.OK
    hooked.wait_calls("a freeze", "a thaw failed")


def test_daemon_is_killed_while_frozen_without_a_guard(machine: str, boot) -> None:
    """The hook writes to a file system that the guardian thaws, maybe a little later."""
    hooked = Hooked(boot(machine), STOCK)
    hooked.set_up()
    hooked.clean()
    hooked.put("a", "echo $1 >>/root/a")
    hooked.start()
    assert hooked.freeze() == host.OK
    hooked.kill()
    hooked.wait_calls("a freeze", "a thaw failed")
    hooked.guest.writable(PLACES)
    assert hooked.agent.run("cat", "/root/a") == "freeze\nthaw\n"
