# SPDX-License-Identifier: GPL-2.0-only
"""The channel comes and goes: rescinded, refused, reset, unloaded, unbound; the guest rebooted. It
works again by itself, and nothing stays frozen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hvtest import agent, build, host, hostile, kernels
from hvtest.agent import until
from hvtest.stack import DEVICE, Stack
from hvtest.vssclient import Client

TOP = Path(__file__).resolve().parents[2]
BIND = "/run/hvtest/hv-vss-bind"
# As far as the kernel goes without switching off.
HIBERNATE = """cd /sys/power
    echo platform > pm_test; echo reboot > disk
    echo disk > state; result=$?; echo none > pm_test; exit $result"""
VSS_CLASS = "35fa2e29-ea23-4236-96ae-3a6ebacba440"


@pytest.fixture(scope="module", params=kernels.machines(
    "bookworm-2cpu-ours", "sid-1cpu-ours"))
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


def rescind(stack: Stack) -> None:
    """Rescind the channel, and wait until the guest has released it."""
    since = stack.guest.host.mark()
    stack.guest.host.command("rescind")
    stack.guest.host.wait("relid_released", timeout=10, since=since, channel="vss")


def offer(stack: Stack) -> None:
    """Offer it again, and wait until the guest serves."""
    since = stack.guest.host.mark()
    stack.guest.host.command("offer")
    stack.guest.host.wait("negotiated", since=since, channel="vss")
    stack.wait_serving()


def node_exists(stack: Stack) -> bool:
    return "y" in stack.guest.agent.shell(f"if test -e {DEVICE}; then echo y; fi")


# -- the host rescinds it

def test_rescind_while_idle(stack: Stack) -> None:
    rescind(stack)
    until(lambda: not node_exists(stack), 5, "the device node is gone")
    assert stack.daemon and not stack.daemon.over
    offer(stack)
    stack.back_up()


def test_rescind_while_a_read_blocks(stack: Stack) -> None:
    stack.stop_daemon()
    # Registers, takes the four bytes of the module's hello, then waits for a request.
    reader = stack.guest.agent.start("sh", "-c", f"""
        exec 3<>{DEVICE}
        printf '\\201\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0' >&3
        dd bs=12 count=1 <&3 >/dev/null 2>&1; echo registered
        dd bs=12 count=1 <&3; echo ended""")
    reader.wait_output("registered")
    assert not reader.over
    rescind(stack)
    assert "ended" in reader.wait(2).out
    assert "No such device" in reader.err
    stack.start_daemon(wait=False)
    offer(stack)


def test_rescind_while_frozen_thaws(stack: Stack, places) -> None:
    control = stack.guest.host
    assert control.ask("freeze")["status"] == host.OK
    since = control.mark()
    control.command("rescind")
    stack.guest.writable(places, timeout=2)
    control.wait("relid_released", timeout=10, since=since, channel="vss")
    offer(stack)
    assert control.ask("thaw")["status"] == host.FAIL


@pytest.mark.spoils_guest
def test_offer_before_the_old_one_is_released(stack: Stack, places) -> None:
    """Often hv_vmbus drops such an offer, with a warning of its own; nothing of ours is harmed.

    It counts that offer as one after a resume, so that it refuses the next hibernation, and ignores
    all offers and rescinds from then on (nr_chan_fixup_on_resume and ignore_any_offer_msg in 6.1)."""
    guest, control = stack.guest, stack.guest.host
    # A debug kernel would panic at that warning, which is checked below.
    guest.agent.shell("cp /proc/sys/kernel/panic_on_warn /run/panic_on_warn; "
                      "echo 0 > /proc/sys/kernel/panic_on_warn")
    assert control.ask("freeze")["status"] == host.OK
    since = control.mark()
    control.expect_error(kind="vmbus")      # it releases what it never had
    control.command("rescind")
    control.command("offer", wait_released=False)
    guest.writable(places, timeout=2)
    control.wait("relid_released", timeout=10, since=since)
    warnings = [line for line in guest.bad_kernel_lines() if "WARNING" in line]
    assert all("vmbus_onoffer" in line for line in warnings), warnings
    try:
        until(lambda: control.status()["state"] in ("open", "absent"), 3, "it has seen the offer")
    except AssertionError:
        # The guest does not know of what it dropped, and will not release it either.
        control.command("rescind")
    if control.status()["state"] != "open":
        control.command("offer", wait_released=False)
    until(lambda: control.status()["state"] == "open", 10, "it is open again")
    stack.wait_serving()
    guest.agent.shell("cat /run/panic_on_warn > /proc/sys/kernel/panic_on_warn")


def test_rescind_while_a_request_is_outstanding(stack: Stack, places) -> None:
    stack.pause_daemon()
    stack.guest.host.send("freeze")
    rescind(stack)
    stack.resume_daemon()
    offer(stack)
    stack.guest.writable(places)


def test_channel_reset(stack: Stack) -> None:
    since = stack.guest.host.mark()
    stack.guest.host.command("channel_reset")
    stack.guest.host.wait("negotiated", since=since, channel="vss")
    stack.wait_serving()


def test_rescind_and_offer_in_quick_succession(stack: Stack) -> None:
    for _ in range(10):
        since = stack.guest.host.mark()
        stack.guest.host.command("channel_reset")
        stack.guest.host.wait("opened", since=since, channel="vss")
    stack.wait_serving()


# -- opening it fails

def reload_with(stack: Stack, action: str) -> int:
    """Load the module again while the host does this at OPENCHANNEL. Returns the time."""
    stack.stop_daemon()
    stack.rmmod()
    since = stack.guest.host.mark()
    stack.guest.host.command("next_open", action=action)
    stack.insmod()
    return since


def channel(stack: Stack) -> str:
    """The state of the channel, as the module reports it."""
    return stack.guest.agent.shell("cat /sys/bus/vmbus/devices/*/hv_vss/channel").strip()


def status(stack: Stack) -> agent.Result:
    """Of hv-vss-bind."""
    stack.guest.agent.put(BIND, (TOP / "systemd/hv-vss-bind").read_bytes(), 0o755)
    return stack.guest.agent.try_run(BIND, "status")


def refuse_twice(stack: Stack, since: int) -> None:
    """The host is to refuse the next OPENCHANNEL, and the one after it."""
    control = stack.guest.host
    control.wait("open", since=since, channel="vss", action="refuse")
    since = control.mark()
    control.command("next_open", action="refuse")
    control.wait("open", since=since, channel="vss", action="refuse")


def test_refused_open_is_tried_again_and_not_called_serving(stack: Stack) -> None:
    guest = stack.guest
    since = reload_with(stack, "refuse")
    refuse_twice(stack, since)
    # The next is two seconds later.
    assert (channel(stack), node_exists(stack)) == ("refused", False)
    told = status(stack)
    assert told.status == 1 and "does not let the channel be opened" in told.out, told
    told = guest.agent.try_run("/usr/sbin/hv-vss-daemon", "--status")
    assert "no backup is possible: the host does not let the channel be opened" in told.out, told
    guest.host.wait("negotiated", since=since, channel="vss")
    assert (channel(stack), node_exists(stack), status(stack).status) == ("open", True, 0)
    stack.start_daemon()


@pytest.fixture
def no_memory(stack: Stack) -> Iterator[str]:
    """For rings that are larger than those of hv_utils. Where to write another number of pages."""
    guest = stack.guest
    stack.stop_daemon()
    stack.rmmod()
    guest.agent.put("/run/hvtest/nomem.ko", build.nomem(guest.kernel.suite).read_bytes())
    guest.agent.run("insmod", "/run/hvtest/nomem.ko")
    yield "/sys/module/nomem/parameters/pages"
    guest.agent.run("rmmod", "nomem")


def ring_pages(stack: Stack, since: int) -> int:
    return stack.guest.host.wait("gpadl", since=since)["pages"]


def test_rings_are_as_small_as_those_of_hv_utils_if_need_be(stack: Stack, no_memory: str) -> None:
    """As on a small guest that has been running for long."""
    guest, since = stack.guest, stack.guest.host.mark()
    guest.agent.run("test", "-e", no_memory)
    stack.insmod()
    guest.host.wait("negotiated", since=since, channel="vss")
    assert ring_pages(stack, since) == 8
    stack.start_daemon()
    # The largest message of the protocol, and more than the ring for answers has room for.
    for op, size in ((3, 8152), (3, 8160), (3, 16000), (5, 13312)):
        sent = guest.host.raw(hostile.vss(op, size - 28), expect="answer")
        answer = guest.host.answer(sent)
        assert answer["status"] == host.OK and answer["len"] <= 8192, (size, answer)
    assert guest.host.ask("thaw")["status"] == host.OK


def test_channel_is_opened_when_there_is_memory(stack: Stack, no_memory: str) -> None:
    guest, since = stack.guest, stack.guest.host.mark()
    guest.agent.shell(f"echo 0 > {no_memory}")
    stack.insmod()
    assert (channel(stack), node_exists(stack)) == ("no-memory", False)
    told = status(stack)
    assert told.status == 1 and "no memory to open the channel" in told.out, told
    guest.agent.shell(f"echo 8 > {no_memory}")
    guest.host.wait("negotiated", since=since, channel="vss")
    assert (channel(stack), node_exists(stack), status(stack).status) == ("open", True, 0)
    stack.start_daemon()


def test_refused_open_after_hibernation_is_told_to_the_daemon(stack: Stack) -> None:
    """The daemon is not left with a device that never delivers a request."""
    guest, daemon = stack.guest, stack.daemon
    assert daemon
    losses = (daemon.out + daemon.err).count(f"{DEVICE} is gone")
    since = guest.host.mark()
    guest.host.command("next_open", action="refuse")
    hibernation = guest.agent.start("sh", "-c", HIBERNATE)
    refuse_twice(stack, since)
    assert hibernation.wait(60).status == 0, hibernation
    until(lambda: not node_exists(stack), 5, "the device node is gone")
    until(lambda: (daemon.out + daemon.err).count(f"{DEVICE} is gone") > losses, 2,
          "the daemon knows")
    guest.host.wait("negotiated", since=since, channel="vss")
    stack.wait_serving()
    assert not daemon.over


def test_thread_that_returns_from_fifreeze_after_its_device_was_taken_away(stack: Stack) -> None:
    """As above, but in the middle of FREEZE. The guard must not wait for that thread for ever: the daemon
    lives on, and freezes again."""
    guest, place = stack.guest, "/data/ext4"
    stack.stop_daemon()
    old = Client(guest)
    old.serve()
    guest.host.send("freeze")
    cookie = old.take(5)
    old.ok(f"arm {place} {cookie}")
    since = guest.host.mark()
    guest.host.command("next_open", action="refuse")
    hibernation = guest.agent.start("sh", "-c", HIBERNATE)
    refuse_twice(stack, since)
    assert hibernation.wait(60).status == 0, hibernation
    until(lambda: not node_exists(stack), 5, "the device node is gone")
    assert old(f"freeze {place}") in ("0", "-EBUSY")
    guest.writable([place])
    assert old(f"frozen {place} {cookie}") == "-ENODEV"
    guest.host.wait("negotiated", since=since, channel="vss")
    new = Client(guest)
    until(lambda: node_exists(stack), 5, "the device node is there")
    new.serve()
    assert new.thaw(new.frozen(place), place) == host.OK
    for client in (old, new):
        client.kill()
    stack.start_daemon()


@pytest.mark.parametrize("action", ["rescind_after", "rescind_before_result"])
def test_rescind_right_at_the_open(stack: Stack, action: str) -> None:
    since = reload_with(stack, action)
    stack.guest.host.wait("relid_released", since=since, channel="vss")
    stack.start_daemon(wait=False)
    offer(stack)


@pytest.mark.parametrize("action", ["refuse", "rescind_after", "rescind_before_result"])
def test_open_of_a_new_offer_fails(stack: Stack, action: str) -> None:
    """If our probe failed now, the kernel would try hv_utils, whose error path makes it oops."""
    control = stack.guest.host
    for _ in range(3):
        if control.status()["state"] == "open":
            rescind(stack)
        since = control.mark()
        control.command("next_open", action=action)
        control.command("offer")
        control.wait("open", since=since, channel="vss", action=action)
        if action == "refuse":
            assert driver(stack) == "hv_vss"
            rescind(stack)
        else:
            control.wait("relid_released", since=since, channel="vss")
    offer(stack)


# -- the guest releases it

def test_module_is_not_unloaded_under_the_daemon(stack: Stack) -> None:
    assert stack.guest.agent.try_run("rmmod", "hv_vss").status != 0
    stack.back_up()


def test_module_is_unloaded_and_loaded_again(stack: Stack) -> None:
    for _ in range(5):
        stack.stop_daemon()
        stack.rmmod()
        since = stack.guest.host.mark()
        stack.insmod()
        stack.guest.host.wait("negotiated", since=since, channel="vss")
        stack.start_daemon()
    stack.back_up()


def device(stack: Stack) -> str:
    """Name of the VSS device on the VMBus."""
    script = f"cd /sys/bus/vmbus/devices; grep -l {VSS_CLASS} */class_id"
    return stack.guest.agent.shell(script).split("/")[0]


def driver(stack: Stack) -> str:
    link = f"/sys/bus/vmbus/devices/{device(stack)}/driver"
    return stack.guest.agent.shell(f"if test -e {link}; then basename $(readlink {link}); fi"
                                   ).strip()


def bind(stack: Stack, action: str, name: str) -> None:
    stack.guest.agent.shell(f"echo {device(stack)} > /sys/bus/vmbus/drivers/{name}/{action}")


def test_unbind_while_frozen_thaws(stack: Stack, places) -> None:
    assert stack.guest.host.ask("freeze")["status"] == host.OK
    bind(stack, "unbind", "hv_vss")
    stack.guest.writable(places, timeout=2)
    bind(stack, "bind", "hv_vss")
    stack.wait_serving()
    assert stack.guest.host.ask("thaw")["status"] == host.FAIL


def test_device_goes_to_hv_utils_and_back(stack: Stack) -> None:
    control = stack.guest.host
    bind(stack, "unbind", "hv_vss")
    utils = stack.guest.utils()
    bind(stack, "bind", utils)
    assert driver(stack) == utils
    stack.wait_serving()                # our daemon continues with the other driver
    stack.back_up()
    assert control.ask("hot_backup")["vss_flags"] == 0
    stack.stop_daemon()                 # hv_utils waits for it when it is unbound
    bind(stack, "unbind", utils)
    bind(stack, "bind", "hv_vss")
    stack.start_daemon()
    assert control.ask("hot_backup")["vss_flags"] == 5


def test_driver_override_keeps_hv_utils_away(stack: Stack) -> None:
    agent = stack.guest.agent
    where = f"/sys/bus/vmbus/devices/{device(stack)}"
    if absent := stack.guest.lacks("driver_override", f"test -e {where}/driver_override", (4, 20)):
        pytest.skip(absent)
    agent.shell(f"echo hv_vss > {where}/driver_override")
    bind(stack, "unbind", "hv_vss")
    refused = agent.try_run("sh", "-c", f"echo {device(stack)} > /sys/bus/vmbus/drivers/"
                            f"{stack.guest.utils()}/bind")
    assert refused.status != 0
    agent.shell(f"echo {device(stack)} > /sys/bus/vmbus/drivers_probe")
    assert driver(stack) == "hv_vss"
    agent.shell(f"echo > {where}/driver_override")
    stack.wait_serving()


def test_hv_utils_keeps_the_other_services(stack: Stack) -> None:
    for name in ("heartbeat", "shutdown"):
        status = stack.guest.host.status(name)
        assert status["state"] == "open" and status["negotiated"], status


# -- the guest boots again

def serve_again(stack: Stack) -> None:
    """After a boot of the guest."""
    guest = stack.guest
    guest.mount_data()
    serving = Stack(guest, stack.module, stack.kind)
    serving.load()
    stack.daemon = serving.start_daemon()


def test_reboot(stack: Stack) -> None:
    stack.guest.reboot()
    serve_again(stack)


def test_machine_reset_while_frozen(stack: Stack) -> None:
    guest = stack.guest
    assert guest.host.ask("freeze")["status"] == host.OK
    boots = len(guest.agent.hellos)
    guest.reboots_expected += 1
    guest.host.command("reset")
    guest.wait_boot(boots + 1)
    serve_again(stack)


def test_panic_is_told_to_the_host(stack: Stack) -> None:
    guest = stack.guest
    boots, since = len(guest.agent.hellos), guest.host.mark()
    guest.reboots_expected += 1
    guest.agent.start("sh", "-c", "echo c > /proc/sysrq-trigger")
    guest.host.wait("guest_crash", since=since)
    guest.wait_boot(boots + 1)
    assert guest.bad_kernel_lines()     # the guest has crashed: its log has errors
    serve_again(stack)
