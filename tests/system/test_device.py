# SPDX-License-Identifier: GPL-2.0-only
"""The device node and its users: what the protocol promises, and what it must refuse. Whatever a
user does, nothing stays frozen and the kernel stays healthy.

The last test makes random calls for HV_VSS_FUZZ seconds (10), from the seed HV_VSS_SEED (1).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator

import pytest

from hvtest import host
from hvtest.agent import until
from hvtest.cache import say
from hvtest.guest import Guest
from hvtest.stack import Stack
from hvtest.vssclient import REGISTER1, REGISTER2, Client

EXT4, XFS, BTRFS = PLACES = ["/data/ext4", "/data/xfs", "/data/btrfs"]
TIMEOUT, HOLD, RESCIND, SUSPEND, RESET, FOREIGN, HOST, EARLY = range(1, 9)
DEFAULTS = {"freeze": 900000, "thaw": 30000, "check": 30000, "hold": 60000}
SECONDS = int(os.environ.get("HV_VSS_FUZZ", "10"))
SEED = int(os.environ.get("HV_VSS_SEED", "1"))


@pytest.fixture(scope="module")
def loaded(machine: str, machines) -> Guest:
    guest = machines.boot(machine, smp=2)
    guest.mount_data()
    Stack(guest).load()
    return guest


class Device:
    """The guest with its module, and the users that a test starts."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.host = guest.host
        self.users: list[Client] = []
        self.onlooker = Client(guest)

    def user(self, protocol: int | None = None) -> Client:
        """Start another process; if a protocol is given, it registers and serves."""
        self.users.append(Client(self.guest))
        if protocol:
            self.users[-1].serve(protocol)
        return self.users[-1]

    def limit(self, **milliseconds: int) -> None:
        """Time limits of the module."""
        for name, value in milliseconds.items():
            self.guest.agent.shell(
                f"echo {value} > /sys/module/hv_vss/parameters/{name}_timeout_ms")

    def can_hurry(self) -> None:
        """Skip if nothing proves the declaration of the functions for that: see src/expedite.h."""
        kernel = self.guest.kernel
        config = (kernel.root / f"boot/config-{kernel.release}").read_text(encoding="ascii")
        if "CONFIG_MODVERSIONS=y" not in config.split("\n"):
            pytest.skip("this kernel has no versions of symbols")

    def hurries(self) -> bool:
        """Are the grace periods of RCU expedited? Then the shortest take 0.1 ms here. Otherwise
        they wait for ticks and timers, at least about 5 ms."""
        return self.onlooker.grace() < 2

    def show(self, name: str) -> str:
        return self.guest.agent.shell(f"cat /sys/bus/vmbus/devices/*/hv_vss/{name}").strip()


@pytest.fixture
def device(loaded: Guest) -> Iterator[Device]:
    device = Device(loaded)
    yield device
    for user in device.users:
        user.kill()
    device.limit(**DEFAULTS)
    loaded.writable(PLACES)
    until(lambda: (device.show("guard_armed"), device.show("guard_releasing")) == ("0", "0"), 5,
          "the guard has nothing left")
    until(lambda: device.show("state") in ("no-daemon", "daemon-lost-while-frozen"), 5,
          "the daemon is gone")
    if device.show("state") != "no-daemon":
        _take_over(device)
    assert not device.hurries(), "grace periods of RCU are as short as during a freeze"
    device.onlooker.kill()
    loaded.check()


def _take_over(device: Device) -> None:
    """What the next daemon has to do after a bare daemon died while frozen."""
    user = device.user(REGISTER1)
    user.take(6)
    assert user("write 0") == "12"
    user.kill()
    until(lambda: device.show("state") == "no-daemon", 5, "the daemon is gone")


# -- registration

def test_device_has_one_user_at_a_time(device: Device) -> None:
    device.user(REGISTER2)
    assert device.user()("open") == "-EBUSY"


def test_device_is_for_root_alone(device: Device) -> None:
    user = device.user()
    user.ok("setuid 1000")
    assert user("open") == "-EACCES"
    assert device.guest.agent.run("stat", "-c", "%a %u %g", "/dev/vmbus/hv_vss") == "600 0 0\n"


def test_root_of_a_user_namespace_cannot_open(device: Device) -> None:
    """A container with the node must not be able to tell the host that all is frozen."""
    user = device.user()
    user.ok("userns")
    assert user("open") == "-EPERM"


def test_root_of_a_user_namespace_arms_nothing(device: Device) -> None:
    """With a descriptor that it opened before."""
    user = device.user(REGISTER2)
    user.ok("userns")
    sent = device.host.send("freeze")
    cookie = user.take(5)
    assert user(f"arm {EXT4} {cookie}") == "-EPERM"
    assert user(f"freeze {EXT4}") == "-EPERM"
    assert user(f"write 0x80004005 {cookie}") == "12"
    assert device.host.answer(sent)["status"] == host.FAIL


@pytest.mark.parametrize("op", [0, 5, 6, 127, 128, 131, 255])
def test_registration_with_anything_else_is_refused(device: Device, op: int) -> None:
    user = device.user()
    user.ok("open")
    assert user(f"register {op} 1") == "-EINVAL"
    assert user("read 50") == "-EAGAIN"
    assert user("register 130 0") == "-EINVAL"      # no ABI at all
    assert user(f"register {REGISTER2} 4294967295") == "12"
    assert user("read").startswith("32 op=1 ")      # the lower version of both sides


@pytest.mark.parametrize("size", [0, 1, 4, 11, 13, 24, 4096])
def test_write_of_another_length_is_refused(device: Device, size: int) -> None:
    user = device.user(REGISTER2)
    assert user(f"writelen {size}") == "-EINVAL"


def test_bad_addresses_are_refused(device: Device) -> None:
    user = device.user()
    user.ok("open")
    assert user("writehole") == "-EFAULT"
    assert user(f"register {REGISTER2} 1") == "12"
    assert user("readhole") == "-EFAULT"
    assert user("read").startswith("32 ")           # the message has been kept
    assert user("writehole") == "-EFAULT"
    sent, cookie = user.freeze()
    assert user("armhole") == "-EFAULT"
    assert user(f"write 1 {cookie}") == "12"
    assert device.host.answer(sent)["status"] == host.FAIL


def test_short_read_keeps_the_message(device: Device) -> None:
    user = device.user(REGISTER2)
    sent = device.host.send("hot_backup")
    for size in (1, 4, 11):
        assert user(f"read 5000 {size}") == "-EINVAL"
    cookie = user.take(2)
    assert user(f"write 0 {cookie}") == "12"
    assert device.host.answer(sent)["status"] == host.OK


@pytest.mark.parametrize("number", [0, 1, 0x40, 0x1234, 0x4010bd00, 0x4010bd05, 0x8010bd01,
                                    0x4008bd01, 0xffffffff])
def test_unknown_ioctl_is_refused(device: Device, number: int) -> None:
    user = device.user(REGISTER2)
    assert user(f"ioctl {number}") == "-ENOTTY"


def test_answer_without_a_request_is_refused(device: Device) -> None:
    user = device.user(REGISTER1)
    assert user("read 50") == "-EAGAIN"
    assert user("write 0") == "-EINVAL"
    user.kill()
    user = device.user(REGISTER2)
    assert user("write 0 1") == "-ESTALE"
    assert user("poll 0") == "0"


# -- base protocol

def test_base_protocol(device: Device) -> None:
    user = device.user(REGISTER1)
    sent = device.host.send("hot_backup")
    assert user.take(2) == 0
    assert user("write 0") == "12"
    assert device.host.answer(sent)["vss_flags"] == 5
    sent = device.host.send("hot_backup")
    assert user.take(2) == 0
    assert user("write 0x80004005") == "12"
    answer = device.host.answer(sent)
    assert (answer["status"], answer["vss_flags"]) == (host.FAIL, 0)
    assert user(f"arm {EXT4} 0") == "-EINVAL"       # no guard without registering for it


def test_request_that_was_not_read_is_not_answered(device: Device) -> None:
    user = device.user(REGISTER1)
    sent = device.host.send("freeze")
    until(lambda: device.show("state") == "freezing", 5, "the request is there")
    assert user("write 0") == "-EINVAL"
    assert user.take(5) == 0
    assert user("write 0") == "12"
    assert device.host.answer(sent)["status"] == host.OK
    sent = device.host.send("thaw")
    user.take(6)
    assert user("write 0") == "12"
    assert device.host.answer(sent)["status"] == host.OK


def test_bare_daemon_that_dies_frozen_is_followed_by_a_thaw(device: Device) -> None:
    user = device.user(REGISTER1)
    sent = device.host.send("freeze")
    user.take(5)
    assert user("write 0") == "12"
    assert device.host.answer(sent)["status"] == host.OK
    user.kill()
    until(lambda: device.show("state") == "daemon-lost-while-frozen", 5, "it is known")
    for op in ("thaw", "freeze", "hot_backup"):
        assert device.host.ask(op)["status"] == host.FAIL
    _take_over(device)


@pytest.mark.parametrize("protocol", [REGISTER1, REGISTER2])
@pytest.mark.parametrize("op, name", [("hot_backup", "check"), ("freeze", "freeze"),
                                      ("thaw", "thaw")])
def test_answer_after_the_time_out_is_refused(device: Device, protocol: int, op: str,
                                              name: str) -> None:
    user = device.user(protocol)
    device.limit(**{name: 300})
    sent = device.host.send(op)
    cookie = user.take({"hot_backup": 2, "freeze": 5, "thaw": 6}[op])
    assert device.host.answer(sent)["status"] == host.FAIL
    if protocol == REGISTER2:
        user.cancelled(cookie, TIMEOUT)
    refusal = "-EINVAL" if protocol == REGISTER1 else "-ESTALE"
    assert user(f"write 0 {cookie}") == refusal
    # Nor does it answer the next request.
    device.limit(**DEFAULTS)
    sent = device.host.send("hot_backup")
    until(lambda: device.show("state") == "checking", 5, "the next request is there")
    assert user(f"write 0 {cookie}") == refusal
    cookie = user.take(2)
    assert user(f"write 0 {cookie}") == "12"
    assert device.host.answer(sent)["status"] == host.OK


# -- guard

def test_freeze_and_thaw_by_the_rules(device: Device) -> None:
    user = device.user(REGISTER2)
    cookie = user.frozen(*PLACES)
    assert (device.show("state"), device.show("guard_frozen")) == ("frozen", "3")
    device.guest.frozen(PLACES)
    assert user.thaw(cookie, *reversed(PLACES)) == host.OK
    device.guest.writable(PLACES)
    assert device.show("guard_armed") == "0"


@pytest.mark.parametrize("what, refusal", [
    ("arm /dev/null {}", "-ENOTTY"), ("arm /proc {}", "-EOPNOTSUPP"),
    ("arm /run {}", "-EOPNOTSUPP"), ("arm /nonexistent {}", "-EBADF"),
    ("armfd self {}", "-ENOTTY"), ("armfd -1 {}", "-EBADF"), ("armfd 0 {}", "-ENOTTY"),
    ("armfd 1023 {}", "-EBADF"), ("armfd 2147483647 {}", "-EBADF"),
    ("armpath /data/xfs {}", "-EBADF"), ("armreserved /data/xfs {}", "-EINVAL"),
    ("arm /data/ext4 {}", "-EEXIST"), ("arm /data/xfs 0", "-ESTALE"),
    ("arm /data/xfs 4294967295", "-ESTALE"), ("disarm /data/xfs {}", "-ESTALE"),
    ("thawing /data/xfs {}", "-ESTALE"), ("disarm /nonexistent {}", "-EBADF"),
    ("disarm /data/ext4 0", "-ESTALE"), ("thawing /data/ext4 0", "-ESTALE"),
    ("frozen /data/ext4 0", "-ESTALE"), ("frozen /data/xfs {}", "-ESTALE"),
    ("frozen /nonexistent {}", "-EBADF"),
])
def test_guard_refuses(device: Device, what: str, refusal: str) -> None:
    user = device.user(REGISTER2)
    sent, cookie = user.freeze(EXT4)
    assert user(what.format(cookie)) == refusal
    assert user(f"write 0 {cookie}") == "12"
    assert device.host.answer(sent)["status"] == host.OK
    assert user.thaw(cookie, EXT4) == host.OK


def _ended_by(device: Device, user: Client, how: str, place: str, cookie: int) -> None:
    if how == "answer":
        assert user(f"write 0 {cookie}") == "12"
    elif how == "kill":
        user.kill()
    elif how == "close":
        user.ok("close")
    else:
        user.ok(f"{how} {place} {cookie}")


@pytest.mark.parametrize("how", ["frozen", "answer", "thawing", "disarm", "kill", "close"])
def test_grace_periods_are_short_until_it_is_frozen(device: Device, how: str) -> None:
    """A freeze mostly waits for grace periods, and all writers wait with it."""
    device.can_hurry()
    user = device.user(REGISTER2)
    place = PLACES[0]
    assert not device.hurries()
    device.host.send("freeze")
    cookie = user.take(5)
    assert not device.hurries(), "nothing is armed"
    user.ok(f"arm {place} {cookie}")
    assert device.hurries()
    if how in ("frozen", "answer"):
        user.ok(f"freeze {place}")
        assert device.hurries(), "FROZEN was not called yet"
    _ended_by(device, user, how, place, cookie)
    assert not device.hurries()


def test_grace_periods_are_short_until_the_last_one_is_frozen(device: Device) -> None:
    device.can_hurry()
    user = device.user(REGISTER2)
    device.host.send("freeze")
    cookie = user.take(5)
    user.ok(*(f"arm {place} {cookie}" for place in PLACES))
    for place in PLACES:
        assert device.hurries(), place
        user.ok(f"freeze {place}", f"frozen {place} {cookie}", f"frozen {place} {cookie}")
    assert not device.hurries()


def test_answer_with_another_cookie_is_refused(device: Device) -> None:
    user = device.user(REGISTER2)
    sent, cookie = user.freeze(EXT4)
    for wrong in (0, cookie - 1, cookie + 1, cookie ^ (1 << 31)):
        assert user(f"write 0 {wrong}") == "-ESTALE"
    assert not device.host.find("answer", seq=sent.seq)
    assert user(f"write 0 {cookie}") == "12"
    assert user(f"write 0 {cookie}") == "-ESTALE"
    assert device.host.answer(sent)["status"] == host.OK
    assert user.thaw(cookie, EXT4) == host.OK


def test_false_success_is_refused(device: Device) -> None:
    user = device.user(REGISTER2)
    sent = device.host.send("freeze")
    cookie = user.take(5)
    user.ok(f"arm {EXT4} {cookie}")
    assert user(f"write 0 {cookie}") == "-EIO"
    assert device.host.answer(sent)["status"] == host.FAIL
    user.ok(f"disarm {EXT4} {cookie}")


def test_kill_thaws_and_the_next_freeze_works(device: Device) -> None:
    user = device.user(REGISTER2)
    user.frozen(*PLACES)
    user.kill()
    device.guest.writable(PLACES, timeout=1)
    assert device.host.ask("thaw")["status"] == host.FAIL
    user = device.user(REGISTER2)
    assert user.thaw(user.frozen(*PLACES), *PLACES) == host.OK


def test_hold_limit_thaws(device: Device) -> None:
    user = device.user(REGISTER2)
    device.limit(hold=700)
    cookie = user.frozen(EXT4, XFS)
    user.cancelled(cookie, HOLD)
    device.guest.writable(PLACES, timeout=1)
    assert user(f"thawing {EXT4} {cookie}") == "-ESTALE"
    assert user.thaw(cookie) == host.FAIL


def test_hold_limit_counts_from_the_first_one_armed(device: Device) -> None:
    user = device.user(REGISTER2)
    device.limit(hold=700)
    sent, cookie = user.freeze(EXT4)
    assert device.host.answer(sent)["status"] == host.FAIL
    user.cancelled(cookie, HOLD)
    device.guest.writable(PLACES, timeout=1)
    assert user(f"write 0 {cookie}") == "-ESTALE"


def test_late_fifreeze_is_undone(device: Device) -> None:
    user = device.user(REGISTER2)
    device.limit(freeze=500)
    sent = device.host.send("freeze")
    cookie = user.take(5)
    user.ok(f"arm {EXT4} {cookie}")
    assert device.host.answer(sent)["status"] == host.FAIL
    assert device.show("guard_releasing") == "1"
    user.ok(f"freeze {EXT4}")
    device.guest.writable([EXT4], timeout=1)
    user.cancelled(cookie, TIMEOUT)
    assert user(f"thawing {EXT4} {cookie}") == "-ESTALE"


def test_late_fifreeze_is_undone_though_another_process_froze_first(device: Device) -> None:
    """Another process may freeze what the guard thawed, before the late FIFREEZE."""
    user = device.user(REGISTER2)
    device.limit(freeze=500)
    sent = device.host.send("freeze")
    user.ok(f"arm {EXT4} {user.take(5)}")
    assert device.host.answer(sent)["status"] == host.FAIL
    device.user().ok(f"freeze {EXT4}")
    device.guest.writable([EXT4], timeout=1)
    user.ok(f"freeze {EXT4}")
    device.guest.writable([EXT4], timeout=1)


# -- the thaw in one step

def test_thaw_in_one_step(device: Device) -> None:
    user = device.user(REGISTER2)
    cookie = user.frozen(EXT4, XFS)
    sent = device.host.send("thaw")
    request = user.take(6)
    user.ok(f"end {XFS} {cookie}")
    device.guest.writable([XFS], timeout=1)
    device.guest.frozen([EXT4])
    assert user(f"end {XFS} {cookie}") == "-ESTALE"
    assert user(f"end {EXT4} {cookie + 1}") == "-ESTALE"
    user.ok(f"end {EXT4} {cookie}")
    device.guest.writable([EXT4], timeout=1)
    assert device.show("guard_armed") == "0"
    assert user(f"write 0 {request}") == "12"
    assert device.host.answer(sent)["status"] == host.OK


def test_thaw_in_one_step_of_what_another_process_has_thawed(device: Device) -> None:
    """And has frozen again: that freeze is not ended."""
    user, other = device.user(REGISTER2), device.user()
    cookie = user.frozen(EXT4, XFS, BTRFS)
    sent = device.host.send("thaw")
    request = user.take(6)
    other.ok(f"thaw {EXT4}", f"thaw {XFS}", f"freeze {XFS}")
    assert user(f"end {EXT4} {cookie}") == "-EIDRM"
    assert user(f"end {XFS} {cookie}") == "-EIDRM"
    user.ok(f"end {BTRFS} {cookie}")
    device.guest.frozen([XFS])
    other.ok(f"thaw {XFS}")
    assert user(f"write 0x80004005 {request}") == "12"
    assert device.host.answer(sent)["status"] == host.FAIL


def test_thaw_in_one_step_of_what_the_guard_has_thawed(device: Device) -> None:
    user = device.user(REGISTER2)
    device.limit(freeze=500)
    sent, cookie = user.freeze(EXT4)
    assert device.host.answer(sent)["status"] == host.FAIL
    device.guest.writable([EXT4], timeout=1)
    assert user(f"end {EXT4} {cookie}") == "-ESTALE"
    assert user(f"frozen {EXT4} {cookie}") == "-ESTALE"


def test_thaw_in_one_step_without_a_fifreeze(device: Device) -> None:
    """Armed, but never frozen: there is nothing to thaw, and nothing of ours is left."""
    user = device.user(REGISTER2)
    sent = device.host.send("freeze")
    cookie = user.take(5)
    user.ok(f"arm {EXT4} {cookie}")
    assert user(f"end {EXT4} {cookie}") == "-EIDRM"
    assert device.show("guard_armed") == "0"
    assert user(f"write 0x80004005 {cookie}") == "12"
    assert device.host.answer(sent)["status"] == host.FAIL


# -- limits

def test_limits_are_set_by_the_daemon(device: Device) -> None:
    user = device.user(REGISTER2)
    assert user("limits 700 4000") == "700 4000"
    sent, cookie = user.freeze(EXT4)
    device.guest.writable([EXT4], timeout=2)        # it took too long to freeze
    assert device.host.answer(sent)["status"] == host.FAIL
    user.cancelled(cookie, HOLD)
    cookie = user.frozen(XFS)
    time.sleep(1)
    device.guest.frozen([XFS])
    device.guest.writable([XFS], timeout=5)
    user.cancelled(cookie, HOLD)
    assert "frozen for 4000 ms" in device.show("last_error")


def test_limits_are_bounded_by_the_admin(device: Device) -> None:
    user = device.user(REGISTER2)
    assert user("limits 4000000000 4000000000") == "600000 600000"
    device.guest.agent.shell("echo 1000 > /sys/module/hv_vss/parameters/hold_max_ms")
    try:
        assert user("limits 500 5000") == "500 1000"
        cookie = user.frozen(XFS)
        device.guest.writable([XFS], timeout=2)
        user.cancelled(cookie, HOLD)
    finally:
        device.guest.agent.shell("echo 600000 > /sys/module/hv_vss/parameters/hold_max_ms")


def test_limits_that_make_no_sense_are_refused(device: Device) -> None:
    user = device.user(REGISTER2)
    assert user("limits 0 1000") == "-EINVAL"
    assert user("limits 1000 0") == "-EINVAL"
    cookie = user.frozen(XFS)
    assert user("limits 1000 1000") == "-EBUSY"
    assert user.thaw(cookie, XFS) == host.OK
    user.kill()
    until(lambda: device.show("state") == "no-daemon", 5, "the daemon is gone")
    assert device.user(REGISTER1)("limits 1000 1000") == "-EINVAL"


def test_limits_can_be_set_before_the_first_request_is_read(device: Device) -> None:
    """A host that waits for the daemon sends a request as soon as it has registered."""
    user = device.user(REGISTER2)
    sent = device.host.send("freeze")
    until(lambda: device.show("state") == "freezing", 5, "the request is there")
    assert user("limits 700 4000") == "700 4000"
    cookie = user.take(5)
    assert user("limits 700 4000") == "-EBUSY"
    user.ok(f"arm {EXT4} {cookie}", f"freeze {EXT4}")
    device.guest.writable([EXT4], timeout=2)        # it took too long to freeze
    assert device.host.answer(sent)["status"] == host.FAIL
    user.cancelled(cookie, HOLD)


def test_limits_go_with_their_daemon(device: Device) -> None:
    user = device.user(REGISTER2)
    device.limit(hold=4000)
    assert user("limits 100 100") == "100 100"
    user.kill()
    until(lambda: device.show("state") == "no-daemon", 5, "the daemon is gone")
    user = device.user(REGISTER2)
    cookie = user.frozen(XFS)
    time.sleep(1)
    device.guest.frozen([XFS])
    device.guest.writable([XFS], timeout=5)
    user.cancelled(cookie, HOLD)


def test_hold_limit_counts_anew_when_the_daemon_starts_over(device: Device) -> None:
    """The daemon has thawed all because a file system was mounted meanwhile, and flushes again."""
    user = device.user(REGISTER2)
    device.limit(hold=1500)
    sent, cookie = user.freeze(EXT4)
    user.ok(f"thawing {EXT4} {cookie}", f"thaw {EXT4}", f"disarm {EXT4} {cookie}")
    device.guest.agent.run("sleep", "2")
    user.ok(f"arm {EXT4} {cookie}", f"freeze {EXT4}")
    assert user(f"write 0 {cookie}") == "12"
    assert device.host.answer(sent)["status"] == host.OK
    assert user.thaw(cookie, EXT4) == host.OK


def test_foreign_freeze_is_not_armed_and_stays(device: Device) -> None:
    user = device.user(REGISTER2)
    user.ok(f"freeze {EXT4}")
    sent = device.host.send("freeze")
    cookie = user.take(5)
    assert user(f"arm {EXT4} {cookie}") == "-EBUSY"
    assert user(f"write 1 {cookie}") == "12"
    assert device.host.answer(sent)["status"] == host.FAIL
    device.guest.frozen([EXT4])
    user.ok(f"thaw {EXT4}")


def test_foreign_thaw_breaks_the_freeze(device: Device) -> None:
    user = device.user(REGISTER2)
    cookie = user.frozen(EXT4, XFS)
    device.guest.agent.run("/sbin/fsfreeze", "-u", EXT4)
    user.cancelled(cookie, FOREIGN)
    device.guest.writable(PLACES, timeout=1)
    assert user.thaw(cookie) == host.FAIL


@pytest.mark.parametrize("place", PLACES)
def test_foreign_thaw_is_noticed_though_frozen_again(device: Device, place: str) -> None:
    """Faster than the module checks, and writes got through. The new freeze is not ours."""
    user, other = device.user(REGISTER2), device.user()
    cookie = user.frozen(place)
    other.tell(f"thaw {place}\nfreeze {place}")
    assert (other.hear(), other.hear()) == ("0", "0")
    user.cancelled(cookie, FOREIGN)
    assert user.thaw(cookie) == host.FAIL
    until(lambda: device.show("guard_releasing") == "0", 5, "the guard is done")
    device.guest.frozen([place])
    other.ok(f"thaw {place}")


def test_foreign_thaw_before_the_answer(device: Device) -> None:
    user, other = device.user(REGISTER2), device.user()
    sent, cookie = user.freeze(EXT4, XFS)
    user.ok(f"frozen {EXT4} {cookie}", f"frozen {XFS} {cookie}")
    other.ok(f"thaw {EXT4}", f"freeze {EXT4}")
    assert user(f"write 0 {cookie}") == "-EIO"
    assert device.host.answer(sent)["status"] == host.FAIL
    device.guest.writable([XFS], timeout=1)
    other.ok(f"thaw {EXT4}")


def test_foreign_thaw_when_the_host_has_asked_for_ours(device: Device) -> None:
    user, other = device.user(REGISTER2), device.user()
    cookie = user.frozen(EXT4, XFS)
    sent = device.host.send("thaw")
    request = user.take(6)
    other.ok(f"thaw {EXT4}", f"freeze {EXT4}")
    assert user(f"thawing {EXT4} {cookie}") == "-EIDRM"
    user.ok(f"thawing {XFS} {cookie}", f"thaw {XFS}", f"disarm {XFS} {cookie}")
    assert user(f"write 1 {request}") == "12"
    assert device.host.answer(sent)["status"] == host.FAIL
    other.ok(f"thaw {EXT4}")


def test_freeze_by_another_process_after_the_guard_has_thawed_stays(device: Device) -> None:
    """The daemon hangs half-way, but the module knows that its FIFREEZE is over."""
    user, other = device.user(REGISTER2), device.user()
    device.limit(hold=500)
    sent, cookie = user.freeze(EXT4)
    user.ok(f"frozen {EXT4} {cookie}")
    assert device.host.answer(sent)["status"] == host.FAIL
    device.guest.writable([EXT4], timeout=1)
    other.ok(f"freeze {EXT4}")
    device.guest.agent.run("sleep", "1")
    other.ok(f"thaw {EXT4}")


def test_false_frozen_is_refused(device: Device) -> None:
    """Otherwise the guard would not wait for a later FIFREEZE."""
    user = device.user(REGISTER2)
    device.limit(freeze=500)
    sent = device.host.send("freeze")
    cookie = user.take(5)
    user.ok(f"arm {EXT4} {cookie}")
    assert user(f"frozen {EXT4} {cookie}") == "-EIO"
    assert device.host.answer(sent)["status"] == host.FAIL
    user.ok(f"freeze {EXT4}")
    device.guest.writable([EXT4], timeout=1)


def test_what_is_still_to_be_thawed_is_not_reported_as_foreign(device: Device) -> None:
    user = device.user(REGISTER2)
    device.limit(freeze=500)
    sent = device.host.send("freeze")
    cookie = user.take(5)
    user.ok(f"arm {EXT4} {cookie}")
    assert device.host.answer(sent)["status"] == host.FAIL
    user.cancelled(cookie, TIMEOUT)
    device.limit(freeze=DEFAULTS["freeze"])
    sent = device.host.send("freeze")
    again = user.take(5)
    assert user(f"arm {EXT4} {again}") == "-EINPROGRESS"
    user.ok(f"disarm {EXT4} {cookie}")
    until(lambda: device.show("guard_releasing") == "0", 5, "the guard is done")
    user.ok(f"arm {EXT4} {again}", f"freeze {EXT4}", f"frozen {EXT4} {again}")
    assert user(f"write 0 {again}") == "12"
    assert device.host.answer(sent)["status"] == host.OK
    assert user.thaw(again, EXT4) == host.OK


@pytest.mark.parametrize("how", ["thawing", "disarm"])
def test_early_thaw_by_the_daemon_breaks_the_freeze(device: Device, how: str) -> None:
    user = device.user(REGISTER2)
    cookie = user.frozen(EXT4, XFS)
    assert user(f"{how} {EXT4} {cookie}") == "-ESTALE"
    user.cancelled(cookie, EARLY)
    device.guest.writable(PLACES, timeout=1)
    assert user.thaw(cookie) == host.FAIL


def test_thaw_while_freezing_calls_it_off(device: Device) -> None:
    user = device.user(REGISTER2)
    sent, cookie = user.freeze(EXT4)
    assert device.host.ask("thaw")["status"] == host.FAIL
    assert device.host.answer(sent)["status"] == host.FAIL
    user.cancelled(cookie, HOST)
    device.guest.writable(PLACES, timeout=1)


# -- the file's life

def test_read_waits_and_is_interrupted(device: Device) -> None:
    user = device.user()
    user.ok("open block")
    assert user(f"register {REGISTER2} 1") == "12"
    assert user("read").startswith("32 ")
    user.ok("readthread")
    time.sleep(0.3)
    user.tell("signal")
    assert user.hear() == "-EINTR"
    user.ok("readthread")
    sent = device.host.send("hot_backup")
    said = user.hear()
    assert said.startswith("12 op=2 ")
    cookie = int(said.split("cookie=")[1].split()[0])
    assert user(f"write 0 {cookie}") == "12"
    assert device.host.answer(sent)["status"] == host.OK


def test_close_while_a_read_blocks(device: Device) -> None:
    """The reader keeps the file open until read() returns, though its descriptor is closed."""
    user = device.user()
    user.ok("open block")
    assert user(f"register {REGISTER2} 1") == "12"
    assert user("read").startswith("32 ")
    user.ok("readthread", "close")
    assert user("write 0 0") == "-EBADF"
    device.host.send("hot_backup", expect="any")
    assert user.hear().startswith("12 op=2 ")
    # That was its last use.
    user.ok("open")


def test_poll_says_what_there_is(device: Device) -> None:
    user = device.user(REGISTER2)
    assert user("poll 0") == "0"
    sent = device.host.send("hot_backup")
    assert user("poll 5000") == "1"         # POLLIN
    cookie = user.take(2)
    assert user("poll 0") == "0"
    assert user(f"write 0 {cookie}") == "12"
    assert device.host.answer(sent)["status"] == host.OK


def test_duplicate_keeps_serving(device: Device) -> None:
    user = device.user(REGISTER2)
    cookie = user.frozen(EXT4)
    user.ok("dup")
    assert device.show("state") == "frozen"
    assert user.thaw(cookie, EXT4) == host.OK


def test_child_with_the_file_does_not_keep_it_frozen(device: Device) -> None:
    """The daemon counts as dead, even if its child still has the device open."""
    user = device.user(REGISTER2)
    child = user("fork")
    user.frozen(*PLACES)
    device.guest.agent.run("kill", "-9", user.pid)      # alone, not its group
    device.guest.writable(PLACES, timeout=1)
    assert "vssclient" in device.guest.agent.run("cat", f"/proc/{child}/comm")
    successor = device.user(REGISTER2)
    assert successor.thaw(successor.frozen(EXT4), EXT4) == host.OK
    device.guest.agent.run("kill", "-9", child)


def test_file_passed_over_a_socket_keeps_serving(device: Device) -> None:
    giver, taker = device.user(REGISTER2), device.user()
    taker.ok("bindfd /run/passed")
    giver.ok("sendfd /run/passed", "close")
    taker.ok("recvfd")
    cookie = taker.frozen(EXT4, XFS)
    giver.kill()
    assert device.show("state") == "frozen"
    assert taker.thaw(cookie, EXT4, XFS) == host.OK
    taker.frozen(EXT4, XFS)
    taker.kill()
    device.guest.writable(PLACES, timeout=1)


def test_file_in_flight_is_closed_with_its_socket(device: Device) -> None:
    """No process has it open; only an unread message on a socket holds it."""
    giver, taker = device.user(REGISTER2), device.user()
    taker.ok("bindfd /run/passed")
    giver.frozen(EXT4, XFS)
    giver.ok("sendfd /run/passed", "close")
    giver.kill()
    device.guest.writable(PLACES, timeout=1)
    taker.kill()
    until(lambda: device.show("state") == "no-daemon", 5, "it is closed")


def test_service_that_goes_away(device: Device) -> None:
    user = device.user(REGISTER2)
    cookie = user.frozen(EXT4)
    since = device.host.mark()
    device.host.command("rescind")
    user.cancelled(cookie, RESCIND)
    device.guest.writable(PLACES, timeout=1)
    device.host.wait("relid_released", since=since, channel="vss")
    assert user("read") == "-ENODEV"
    assert user("write 0 0") == "-ENODEV"
    assert user(f"arm {EXT4} {cookie}") in ("-ENODEV", "-ESTALE")
    assert user("poll 0") == str(0x18)      # POLLERR, POLLHUP
    since = device.host.mark()
    device.host.command("offer")
    device.host.wait("negotiated", since=since, channel="vss")
    successor = device.user(REGISTER2)
    assert successor.thaw(successor.frozen(EXT4), EXT4) == host.OK
    assert user("read") == "-ENODEV"


@pytest.mark.parametrize("asked", [False, True], ids=["frozen", "with an unread THAW"])
def test_service_that_goes_away_tells_a_bare_daemon_to_thaw(device: Device, asked: bool) -> None:
    """The kernel can't thaw for it. The stock daemons of 4.9 and 5.4 exit if read() fails, and thaw nothing."""
    user = device.user(REGISTER1)
    sent = device.host.send("freeze")
    user.take(5)
    assert user("write 0") == "12"
    assert device.host.answer(sent)["status"] == host.OK
    if asked:
        device.host.send("thaw")
        until(lambda: device.show("state") == "thawing", 5, "THAW is there")
    since = device.host.mark()
    device.host.command("rescind")
    device.host.wait("relid_released", since=since, channel="vss")
    user.take(6)
    assert user("read") == "-ENODEV"
    user.kill()
    since = device.host.mark()
    device.host.command("offer")
    device.host.wait("negotiated", since=since, channel="vss")


@pytest.mark.parametrize("by", ["thaw", "hold"])
def test_bare_daemon_that_is_stopped_while_frozen_gets_a_thaw_when_it_continues(device: Device,
                                                                               by: str) -> None:
    user = device.user(REGISTER1)
    device.limit(thaw=300, hold=300 if by == "hold" else DEFAULTS["hold"])
    sent = device.host.send("freeze")
    user.take(5)
    assert user("write 0") == "12"
    assert device.host.answer(sent)["status"] == host.OK
    if by == "thaw":
        assert device.host.ask("thaw")["status"] == host.FAIL
    until(lambda: device.show("state") == "cleaning-up", 5, "it has to thaw")
    time.sleep(1)   # longer than the limit of a THAW
    assert device.show("state") == "cleaning-up"
    device.limit(**DEFAULTS)
    user.take(6)
    assert user("write 0") == "12"
    assert device.show("state") == "idle"


def test_host_that_negotiates_again(device: Device) -> None:
    user = device.user(REGISTER2)
    cookie = user.frozen(EXT4)
    reply = device.host.command("negotiate", fw=[[3, 0]], msg=[[5, 0]])
    device.host.wait("negotiated", seq=reply["seq"])
    user.cancelled(cookie, RESET)
    device.guest.writable(PLACES, timeout=1)


# -- random calls

def test_anything_at_random_harms_nothing(device: Device) -> None:
    """Random calls of users and host at the same time, with short time limits and some kills."""
    dice = random.Random(SEED)
    device.limit(hold=400, freeze=600, thaw=300, check=200)
    end = time.monotonic() + SECONDS
    sent = rounds = 0
    while time.monotonic() < end:
        fuzzer = device.guest.agent.start("vssfuzz", str(dice.randrange(1 << 31)), "5",
                                          *PLACES, "/run", "/dev/null")
        sent += _pester(device, dice, fuzzer)
        if dice.random() < 0.5:
            fuzzer.kill(9)
        fuzzer.wait(60)
        device.guest.writable(PLACES)
        rounds += 1
    say(f"device: seed {SEED}: {rounds} rounds, {sent} requests; {fuzzer.out.strip()}")
    device.limit(**DEFAULTS)
    # A request of the end may still be outstanding.
    until(lambda: device.show("state") in ("no-daemon", "daemon-lost-while-frozen"), 10, "calm")


def _pester(device: Device, dice: random.Random, fuzzer) -> int:
    """Send requests while the fuzzer runs; returns how many."""
    ops: list[str | int] = ["freeze", "freeze", "thaw", "thaw", "hot_backup", "create", 77]
    number = 0
    for _ in range(100):
        if fuzzer.over:
            break
        act: Callable[[], object] = lambda: device.host.send(dice.choice(ops), expect="any")
        if dice.random() < 0.2:
            act = lambda: device.host.raw(dice.randbytes(dice.randrange(200)), expect="any")
        elif dice.random() < 0.05:
            act = lambda: device.host.command("negotiate", fw=[[3, 0]], msg=[[5, 0]],
                                              expect="any")
        elif dice.random() < 0.02:
            act = lambda: device.host.command("channel_reset")
        try:
            act()
            number += 1
        except host.HostError:      # no room in the ring, or no channel
            time.sleep(0.1)
        time.sleep(dice.random() * 0.04)
    return number
