# SPDX-License-Identifier: GPL-2.0-only
"""What admins build from disks, files and mounts: FREEZE is answered in time, with success unless
stated otherwise. No file system is written to until THAW; afterwards all are."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvtest import cache, disks, host, kernels
from hvtest.constructions import CONSTRUCTIONS, COPY, NESTED, NOT_NESTED
from hvtest.site import Site, build, described, examine_nested, record, shell, without, word
from hvtest.stack import OURS, Stack

SUITES = kernels.chosen("bookworm")
ANSWER = 20.0       # seconds; a hang never ends


@pytest.fixture(scope="module", params=SUITES)
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def shared(site: Site) -> Site:
    return site


def ask(stack: Stack, op: str) -> host.Message:
    answer = stack.guest.host.ask(op, timeout=ANSWER)
    assert answer["status"] == host.OK, answer
    return answer


@pytest.mark.parametrize("name", [n for n, what in CONSTRUCTIONS.items() if not what.refused])
def test_is_frozen_and_thawed(stack: Stack, name: str) -> None:
    what = CONSTRUCTIONS[name]
    if absent := without(stack, what):
        pytest.skip(f"{kernels.NOT_THERE}{absent}")
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
    """No order of freezing works, or something hangs: the backup is refused, and all writers continue."""
    what = CONSTRUCTIONS[name]
    if absent := without(stack, what):
        pytest.skip(f"{kernels.NOT_THERE}{absent}")
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


@pytest.mark.parametrize(("name", "said"), [
    ("vfat", "/run/fat (vfat) synced only (this type can't be frozen)"),
    ("ntfs, by way of fuse", "/run/ntfs (fuseblk) NOT FROZEN (served by a process (fuse))")])
def test_the_line_says_what_was_not_frozen(stack: Stack, name: str, said: str) -> None:
    build(stack, CONSTRUCTIONS[name])
    stack.back_up()
    assert stack.daemon
    lines = stack.daemon
    stack.guest.agent.wait_for(lambda: said in lines.err, 10, f"the log says {said}")
    shell(stack, CONSTRUCTIONS[name].remove)


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
    """Each request gets an answer, and a success is true."""
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


def test_what_is_mounted_while_frozen_is_noticed(stack: Stack, places: list[str]) -> None:
    """It is on a disk that is being copied, and it is written to."""
    shell(stack, "mkfs.ext4 -q -F \"$(spare 1)\"; mkdir -p /run/late")
    ask(stack, "freeze")
    shell(stack, 'mount "$(spare 1)" /run/late; echo text >/run/late/file')
    answer = stack.guest.host.ask("thaw", timeout=ANSWER)
    stack.guest.writable(places)
    reason = described(stack)["reason"]
    shell(stack, "umount /run/late")
    assert answer["status"] == host.FAIL
    assert reason == "/run/late: was mounted while the others were frozen (ext4)"
    stack.back_up()


def test_a_loop_device_on_what_is_frozen_may_be_mounted(stack: Stack) -> None:
    """No write reaches a disk through it: all disks below it are frozen."""
    shell(stack, """a=$(attach /data/ext4/a 16); mkfs.ext4 -q -F $a; mkdir -p /run/late
        echo $a >/run/device; sync""")
    ask(stack, "freeze")
    shell(stack, 'mount -t ext4 -o ro,noload "$(cat /run/device)" /run/late')
    ask(stack, "thaw")
    shell(stack, "umount /run/late; detach /data/ext4/a")


@pytest.mark.parametrize("others", ["churn 2", "mounts 20000", "stack 3000",
                                    "many 200 & churn 100"])
def test_namespaces_of_other_users_do_not_disturb(stack: Stack, places: list[str],
                                                  others: str) -> None:
    """Namespaces of build systems, which exist for milliseconds, of containers, and of a user who
    tries to disturb the backup."""
    programs = [stack.guest.agent.start("namespaces", *what.split()) for what in others.split("&")]
    for program in programs:
        program.wait_output("ready", timeout=120)
    took = []
    for _ in range(3):
        took.append(ask(stack, "freeze")["rtt_us"] // 1000)
        stack.guest.frozen(places)
        ask(stack, "thaw")
    listed = stack.guest.agent.run("/usr/sbin/hv-vss-daemon", "--list", timeout=60)
    for program in programs:
        program.kill(9)
        program.wait()
    # The kernel needs some time to print so many; on a slow machine more than is allowed.
    assert others.split()[0] in ("mounts", "stack") or "unread" not in listed
    print(f"{others}: FREEZE took {took} ms\n{listed}")
