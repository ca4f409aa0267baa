# SPDX-License-Identifier: GPL-2.0-only
"""Whatever an admin has built from disks, files and mounts: FREEZE is answered in time, with success
unless said otherwise, all of it stands still until THAW, and goes on afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvtest import cache, disks, host, kernels
from hvtest.constructions import CONSTRUCTIONS, COPY, NESTED, NOT_NESTED
from hvtest.site import Site, build, described, examine_nested, record, shell, without, word
from hvtest.stack import OURS, Stack

SUITES = kernels.chosen("bookworm")
ANSWER = 20.0       # seconds; what hangs takes for ever


@pytest.fixture(scope="module", params=SUITES)
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def shared(machine: str, machines, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(machines, tmp_path_factory.mktemp("spare"), machine, OURS)


def ask(stack: Stack, op: str) -> host.Message:
    answer = stack.guest.host.ask(op, timeout=ANSWER)
    assert answer["status"] == host.OK, answer
    return answer


@pytest.mark.parametrize("name", [n for n, what in CONSTRUCTIONS.items() if not what.refused])
def test_is_frozen_and_thawed(stack: Stack, name: str) -> None:
    what = CONSTRUCTIONS[name]
    if absent := without(stack, what):
        pytest.skip(f"this debug kernel has no {absent}")
    build(stack, what)
    freeze = ask(stack, "freeze")
    stack.guest.frozen(list(what.stand))
    thaw = ask(stack, "thaw")
    stack.guest.writable(list(what.stand))
    found = described(stack)["file_systems"]
    shell(stack, what.untouched)
    shell(stack, what.remove)
    for path in what.frozen:
        assert found[path]["action"] == "frozen", found[path]
    for path, action in what.done.items():
        assert found[path]["action"] == action, found[path]
    notes = [f"{path}: {action}, {found[path]['reason']}" for path, action in what.done.items()]
    record(name, OURS, word(freeze), word(thaw), "; ".join(notes))


@pytest.mark.parametrize("name", [n for n, what in CONSTRUCTIONS.items() if what.refused])
def test_is_refused_in_time(stack: Stack, name: str) -> None:
    """No order would do, or something hangs: the host gets a no, and everything goes on."""
    what = CONSTRUCTIONS[name]
    if absent := without(stack, what):
        pytest.skip(f"this debug kernel has no {absent}")
    build(stack, what)
    if what.options:
        stack.stop_daemon()
        stack.start_daemon(*what.options)
    answer = stack.guest.host.ask("freeze", timeout=ANSWER)
    assert answer["status"] == host.FAIL, answer
    stack.guest.writable(list(what.stand))
    reason = described(stack)["reason"]
    spare1 = shell(stack, 'cat "/sys/class/block/$(basename "$(spare 1)")/dev"').strip()
    shell(stack, what.remove)
    if what.options:
        stack.stop_daemon()
        stack.start_daemon()
    assert reason == what.refused.format(spare1=spare1)
    record(name, OURS, word(answer), "-", " ".join((*what.options, reason)))


@pytest.mark.parametrize("name", ["vfat", "ntfs, by way of fuse"])
def test_strict_refuses_what_cannot_be_frozen(stack: Stack, name: str) -> None:
    what = CONSTRUCTIONS[name]
    build(stack, what)
    stack.stop_daemon()
    stack.start_daemon("--strict", wait=False)
    stack.guest.agent.wait_for(lambda: "serving" in stack.daemon.err, 10, "it does not serve")
    answer = stack.guest.host.ask("freeze", timeout=ANSWER)
    reason = described(stack)["reason"]
    stack.stop_daemon()
    shell(stack, what.remove)
    stack.start_daemon()
    assert answer["status"] == host.FAIL
    assert reason.startswith(f"{next(iter(what.done))}: ") and "--strict is set" in reason


def test_nested_images_need_no_recovery(stack: Stack, tmp_path: Path) -> None:
    """A file system in a file of another one: both are good in the copy of the disk."""
    shell(stack, NESTED)
    freeze = ask(stack, "freeze")
    copy = tmp_path / "ext4.img"
    disks.copy(stack.guest.disks["ext4"], copy)
    thaw = ask(stack, "thaw")
    shell(stack, NOT_NESTED)
    findings = examine_nested(copy)
    assert all(finding.good for finding in findings), findings
    assert cache.run("debugfs", "-R", "cat /file", copy.with_name("inner")).endswith("text\n")
    record(COPY, OURS, word(freeze), word(thaw), "both need no recovery")


def test_a_mount_table_that_never_rests(stack: Stack, places: list[str]) -> None:
    """Each request gets an answer; one that says yes is true."""
    agent = stack.guest.agent
    shell(stack, "a=$(attach /data/ext4/a 16); mkfs.ext4 -q -F $a; echo $a > /run/device")
    busy = agent.start("sh", "-c", """mkdir -p /run/busy; d=$(cat /run/device)
        while :; do /bin/mount -t ext4 $d /run/busy && /bin/umount /run/busy; done""")
    answers = []
    for _ in range(8):
        answers.append(stack.guest.host.ask("freeze", timeout=ANSWER)["status"])
        if answers[-1] == host.OK:
            stack.guest.frozen(places)
            assert stack.guest.host.ask("thaw", timeout=ANSWER)["status"] == host.OK
        stack.guest.writable(places)
    busy.kill(9)
    busy.wait()
    agent.run("sh", "-c", "while /bin/umount /run/busy 2>/dev/null; do :; done")
    shell(stack, "detach /data/ext4/a")
    print(f"{answers.count(host.OK)} of {len(answers)} said yes")
