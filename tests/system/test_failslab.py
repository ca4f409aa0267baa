# SPDX-License-Identifier: GPL-2.0-only
"""No memory: each allocation in turn fails, for probe, remove, open and a whole freeze and thaw by
the guard's rules; and kmemleak finds nothing. Needs the kernel with sanitizers:

	HV_VSS_KERNELS=kasan tests/check tests/system/test_failslab.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from hvtest import host, hostile
from hvtest.agent import until
from hvtest.cache import say
from hvtest.guest import Guest
from hvtest.stack import Stack
from hvtest.vssclient import REGISTER2, Client

EXT4 = "/data/ext4"
PLACES = [EXT4, "/data/xfs"]
DRIVER = "/sys/bus/vmbus/drivers/hv_vss"
MOST = 3000         # allocations of one system call; more means that it never ends


@pytest.fixture(scope="module")
def guest(machine: str, machines) -> Guest:
    guest = machines.boot(machine, smp=2)
    guest.mount_data()
    guest.agent.shell("""
        mount -t debugfs none /sys/kernel/debug
        for d in failslab fail_page_alloc; do
            echo N > /sys/kernel/debug/$d/ignore-gfp-wait
            echo 0 > /sys/kernel/debug/$d/verbose
        done
        echo 0 > /sys/kernel/debug/fail_page_alloc/min-order
        echo N > /sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem
        echo clear > /sys/kernel/debug/kmemleak""")
    Stack(guest).load()
    return guest


@pytest.fixture
def user(guest: Guest) -> Iterator[Client]:
    user = Client(guest)
    yield user
    user.kill()
    guest.writable(PLACES)
    healthy(guest)


def healthy(guest: Guest) -> None:
    """The allocator may log the failures that it was told to make; nothing else may be logged."""
    bad = [line for line in guest.bad_kernel_lines() if "Call Trace" not in line]
    assert not bad, "\n".join(bad)
    guest.check()


def every_allocation(user: Client, command: str, undo: Callable[[], object]) -> int:
    """Run the command with its first allocation failing, then its second, and so on, until none
    fails; run undo() after each success. Returns the number of allocations."""
    refused = 0
    for number in range(1, MOST):
        result = user(f"fail {number} {command}")
        left = int(user.hear())
        if not result.startswith("-"):
            undo()
        elif left:
            raise AssertionError(f"{command}: {result}, though nothing failed")
        else:
            refused += 1
        if left:
            say(f"failslab: {command}: {number - 1} allocations, {refused} refusals")
            return number - 1
    raise AssertionError(f"{command} does not end")


def scan(guest: Guest) -> str:
    """What kmemleak finds."""
    # Memory may be freed with a delay, for instance by RCU.
    return guest.agent.shell("""
        sleep 6
        echo scan > /sys/kernel/debug/kmemleak; sleep 6
        echo scan > /sys/kernel/debug/kmemleak
        cat /sys/kernel/debug/kmemleak""", timeout=120)


def device(guest: Guest) -> str:
    return guest.agent.shell("cd /sys/bus/vmbus/devices; "
                             "grep -l 35fa2e29-ea23-4236-96ae-3a6ebacba440 */class_id"
                             ).split("/", maxsplit=1)[0]


def bound(guest: Guest) -> bool:
    return guest.agent.try_run("test", "-e", f"{DRIVER}/{device(guest)}").status == 0


def bind(guest: Guest) -> None:
    """Bind the device; it must serve again."""
    since = guest.host.mark()
    if not bound(guest):
        guest.agent.shell(f"echo {device(guest)} > {DRIVER}/bind")
        guest.host.wait("negotiated", since=since, channel="vss")


def test_load_use_and_unload_leak_nothing(guest: Guest, user: Client) -> None:
    user.serve()
    for _ in range(3):
        assert user.thaw(user.frozen(*PLACES), *PLACES) == host.OK
    user.frozen(*PLACES)
    user.kill()
    guest.writable(PLACES)
    until(lambda: guest.agent.try_run("rmmod", "hv_vss").status == 0, 5, "the module can go")
    found = scan(guest)
    since = guest.host.mark()
    Stack(guest).insmod()
    guest.host.wait("negotiated", since=since, channel="vss")
    say(f"kmemleak: {found.count('unreferenced object')} objects")
    assert not found, found[:8000]


def test_probe(guest: Guest, user: Client) -> None:
    name = device(guest)
    user(f"put {DRIVER}/unbind {name}")

    def undo() -> None:
        # Bound, but maybe without a channel.
        assert user(f"put {DRIVER}/unbind {name}") == str(len(name))

    assert every_allocation(user, f"put {DRIVER}/bind {name}", undo) > 20
    bind(guest)


def no_memory(guest: Guest, order: int) -> None:
    """From now on no blocks of 2^order pages or more can be allocated."""
    guest.agent.shell(f"""
        cd /sys/kernel/debug/fail_page_alloc
        echo {order} > min-order; echo -1 > times; echo 100 > probability""")


def memory(guest: Guest) -> None:
    guest.agent.shell("""
        cd /sys/kernel/debug/fail_page_alloc
        echo 0 > probability; echo 1 > times; echo 0 > min-order""")


def bind_anew(guest: Guest, user: Client) -> int:
    """Bind again; returns how many pages both rings have."""
    name = device(guest)
    assert user(f"put {DRIVER}/unbind {name}") == str(len(name))
    since = guest.host.mark()
    assert user(f"put {DRIVER}/bind {name}") == str(len(name))
    guest.host.wait("negotiated", since=since, channel="vss")
    return guest.host.wait("gpadl", since=since)["pages"]


def test_small_blocks_are_enough(guest: Guest, user: Client) -> None:
    """As on a small guest that has been running for long. hv_utils needs 8 pages."""
    assert bind_anew(guest, user) == 16
    no_memory(guest, 4)
    try:
        assert bind_anew(guest, user) == 8
    finally:
        memory(guest)
    user.serve()
    assert user.thaw(user.frozen(*PLACES), *PLACES) == host.OK
    # The largest message of the protocol, and more than the ring for answers has room for.
    for size in (40, 6304, 8152, 8160, 13312, 16000):
        sent = guest.host.raw(hostile.vss(3, size - 28), expect="answer")
        answer = guest.host.answer(sent)
        assert answer["status"] == host.OK and answer["len"] <= 8192, (size, answer)


def test_channel_is_opened_when_there_is_memory_again(guest: Guest, user: Client) -> None:
    name = device(guest)
    show = f"cat /sys/bus/vmbus/devices/{name}/hv_vss/channel"
    user(f"put {DRIVER}/unbind {name}")
    since = guest.host.mark()
    no_memory(guest, 3)
    try:
        assert user(f"put {DRIVER}/bind {name}") == str(len(name))
        assert guest.agent.shell(show) == "no-memory\n"
        guest.agent.run("sleep", "2")
        assert guest.agent.shell(show) == "no-memory\n"
    finally:
        memory(guest)
    guest.host.wait("negotiated", since=since, channel="vss")
    assert guest.agent.shell(show) == "open\n"
    user.serve()
    assert user.thaw(user.frozen(*PLACES), *PLACES) == host.OK


def test_remove(guest: Guest, user: Client) -> None:
    name = device(guest)

    def undo() -> None:
        assert not bound(guest)
        bind(guest)

    every_allocation(user, f"put {DRIVER}/unbind {name}", undo)
    bind(guest)
    user.serve()
    assert user.thaw(user.frozen(*PLACES), *PLACES) == host.OK


def test_open(user: Client) -> None:
    assert every_allocation(user, "open", lambda: user.ok("close")) > 1


def test_register_read_and_answer(user: Client) -> None:
    def undo() -> None:
        user.ok("close", "open")

    user.ok("open")
    every_allocation(user, f"register {REGISTER2} 1", undo)
    user.kill()


def test_arm(guest: Guest, user: Client) -> None:
    user.serve()
    sent, cookie = user.freeze()
    arms = every_allocation(user, f"arm {EXT4} {cookie}",
                            lambda: user.ok(f"disarm {EXT4} {cookie}"))
    assert arms > 1
    assert user(f"write 1 {cookie}") == "12"
    assert guest.host.answer(sent)["status"] == host.FAIL


@pytest.mark.parametrize("command", ["freeze", "thawing", "disarm", "thaw", "write 0"])
def test_freeze_and_thaw(guest: Guest, user: Client, command: str) -> None:
    """Each allocation of a step fails in a freeze of its own. The freeze may succeed or fail, but the
    host is told the truth and nothing stays frozen."""
    user.serve()
    for number in range(1, MOST):
        if _freeze_failing(guest, user, command, number):
            say(f"failslab: {command} in a freeze: {number - 1} allocations")
            return
    raise AssertionError("it does not end")


def _freeze_failing(guest: Guest, user: Client, command: str, number: int) -> bool:
    """True if the step needs fewer allocations than that."""
    sent = guest.host.send("freeze")
    cookie = user.take(5)
    step = {"freeze": f"freeze {EXT4}", "thawing": f"thawing {EXT4} {cookie}",
            "disarm": f"disarm {EXT4} {cookie}", "thaw": f"thaw {EXT4}",
            "write 0": f"write 0 {cookie}"}[command]
    left = 0

    def do(line: str) -> str:
        nonlocal left
        if line != step:
            return user(line)
        result = user(f"fail {number} {line}")
        left = int(user.hear())
        return result

    user.ok(f"arm {EXT4} {cookie}")
    frozen = do(f"freeze {EXT4}") == "0"
    if not frozen:
        user.ok(f"disarm {EXT4} {cookie}")
    answered = do(f"write {0 if frozen else 1} {cookie}") == "12"
    if not answered:
        assert user(f"write 1 {cookie}") == "12"
    assert guest.host.answer(sent)["status"] == (host.OK if frozen and answered else host.FAIL)
    if frozen and answered:
        request = guest.host.send("thaw")
        answer = user.take(6)
        # After a failure the guard thaws, once the answer was sent.
        thawed = all(do(line) == "0" for line in (f"thawing {EXT4} {cookie}", f"thaw {EXT4}",
                                                  f"disarm {EXT4} {cookie}"))
        assert user(f"write {0 if thawed else 1} {answer}") == "12"
        assert guest.host.answer(request)["status"] == (host.OK if thawed else host.FAIL)
    guest.writable([EXT4])
    return left > 0


def test_failures_leak_nothing_of_ours(guest: Guest) -> None:
    """Leaks of hv_vmbus when it has no memory are not ours."""
    objects = scan(guest).split("unreferenced object")[1:]
    ours = [text for text in objects
            if "[hv_vss]" in text.split("[hv_vmbus]", maxsplit=1)[0]]
    say(f"kmemleak: {len(objects)} objects after failures, {len(ours)} of ours")
    assert not ours, "".join(ours)[:8000]
