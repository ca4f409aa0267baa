# SPDX-License-Identifier: GPL-2.0-only
"""Each request of the host, in any state and of any shape, gets one answer, and the right one; and
the guest can be backed up afterwards. (The host checks that there is exactly one answer, with the
right ids and sizes and no stray byte.)"""

from __future__ import annotations

import time

import pytest

from hvtest import host, kernels
from hvtest.agent import until
from hvtest.stack import Stack

NOT_SUPPORTED = "0x80070032"
HEADER = 28                     # bytes of pipe and message header
FRAMEWORK, MESSAGE = (3, 0), (5, 0)


@pytest.fixture(scope="module", params=kernels.machines(
    "bookworm-2cpu-ours", "bullseye-1cpu-stock"))
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


def packet(op: int, size: int, msgtype: int = 5) -> bytes:
    """A VSS request with that total size, cut off or filled with zeros."""
    def u16(*values: int) -> bytes:
        return b"".join(v.to_bytes(2, "little") for v in values)

    def u32(*values: int) -> bytes:
        return b"".join(v.to_bytes(4, "little") for v in values)

    message = (u16(*FRAMEWORK, msgtype, *MESSAGE, max(size - HEADER, 0) & 0xffff) + u32(0)
               + bytes([77, 3, 0, 0]) + bytes([op]) + bytes(7) + u32(0))
    return (u32(1, max(size - 8, 0)) + message).ljust(size, b"\0")[:size]


# -- the states

def test_write_blocks_while_frozen_and_completes_after_thaw(stack: Stack, places) -> None:
    control = stack.guest.host
    stack.guest.writable(places)
    assert control.ask("freeze")["status"] == host.OK
    writes = {place: stack.guest.write_to(place) for place in places}
    stack.guest.agent.run("sleep", "1")
    assert not [place for place, write in writes.items() if write.over]
    assert control.ask("thaw")["status"] == host.OK
    for write in writes.values():
        assert write.wait(5).status == 0


def test_without_daemon_every_request_fails_and_with_it_again_they_work(stack: Stack,
                                                                        places) -> None:
    stack.stop_daemon()
    control = stack.guest.host
    for op in ("hot_backup", "freeze", "thaw"):
        answer = control.ask(op)
        assert answer["status"] == host.FAIL, answer
        assert answer["rtt_us"] < 1_000_000 * kernels.pace()
    assert control.ask("get_dm_info")["status"] == host.OK
    stack.guest.writable(places)
    stack.start_daemon()
    stack.back_up()


def test_freeze_while_frozen_fails_and_keeps_the_freeze(stack: Stack, places) -> None:
    control = stack.guest.host
    assert control.ask("freeze")["status"] == host.OK
    for op in ("freeze", "hot_backup"):
        assert control.ask(op)["status"] == host.FAIL
    stack.guest.frozen(places)
    assert control.ask("thaw")["status"] == host.OK


def test_thaw_without_freeze_fails(stack: Stack, places) -> None:
    control = stack.guest.host
    assert control.ask("thaw")["status"] == host.FAIL
    stack.back_up()
    assert control.ask("thaw")["status"] == host.FAIL
    stack.guest.writable(places)


def test_second_request_fails_and_leaves_the_first_alone(stack: Stack) -> None:
    control = stack.guest.host
    stack.pause_daemon()
    first = control.send("hot_backup")
    for op in ("hot_backup", "freeze", "thaw"):
        assert control.ask(op)["status"] == host.FAIL
    assert control.ask("get_dm_info")["status"] == host.OK
    stack.resume_daemon()
    assert control.answer(first)["status"] == host.OK


def test_thaw_while_freezing_calls_the_freeze_off(stack: Stack, places) -> None:
    control = stack.guest.host
    stack.pause_daemon()
    freeze = control.send("freeze")
    assert control.ask("thaw")["status"] == host.FAIL
    assert control.answer(freeze)["status"] == host.FAIL
    stack.resume_daemon()
    until(lambda: control.ask("hot_backup")["status"] == host.OK, 10, "ready again")
    stack.guest.writable(places)


# -- operations

def test_operation_that_needs_no_daemon_succeeds(stack: Stack) -> None:
    for op in ("create", "delete", "get_dm_info", "backup_complete", "auto_recover"):
        assert stack.guest.host.ask(op)["status"] == host.OK, op
    assert stack.guest.host.ask("get_dm_info")["vss_flags"] == 0


def test_unknown_operation_is_not_supported(stack: Stack) -> None:
    for op in (8, 9, 64, 128, 129, 130, 131, 255):
        assert stack.guest.host.ask(op)["status"] == NOT_SUPPORTED, op


def test_hot_backup_says_that_no_auto_recovery_is_needed(stack: Stack) -> None:
    answer = stack.guest.host.ask("hot_backup")
    assert (answer["status"], answer["vss_flags"]) == (host.OK, 5)


def test_message_of_another_type_is_not_supported(stack: Stack) -> None:
    for msgtype in (2, 3, 4, 6, 7, 8, 0xffff):
        assert stack.guest.host.ask("hot_backup", msgtype=msgtype)["status"] == NOT_SUPPORTED


# -- shapes

def test_less_than_a_header_is_not_answered(stack: Stack) -> None:
    for size in (0, 8, 16, 24):
        stack.guest.host.raw(packet(2, size), expect="none")
        assert stack.guest.host.ask("hot_backup")["status"] == host.OK


def test_header_without_message_fails(stack: Stack) -> None:
    control = stack.guest.host
    for op in (0, 2, 3, 5, 6):
        answer = control.answer(control.raw(packet(op, 32), expect="answer"))
        assert answer["status"] == host.FAIL, op


def test_message_of_any_length_is_answered(stack: Stack) -> None:
    control = stack.guest.host
    for size in (40, 48, 4096, 8192, 8200, 8208, 12000, HEADER + 13312, 28000):
        answer = control.answer(control.raw(packet(2, size), expect="answer"))
        assert answer["status"] == host.OK, (size, answer)
        assert answer["len"] <= (size + 7) // 8 * 8


@pytest.mark.parametrize("size", [40, 6304, 8200, 13312])
def test_freeze_of_any_length_freezes(stack: Stack, places, size: int) -> None:
    control = stack.guest.host
    answer = control.answer(control.raw(packet(5, size), expect="answer"))
    assert answer["status"] == host.OK, answer
    stack.guest.frozen(places)
    assert control.ask("thaw")["status"] == host.OK


def test_lengths_inside_the_message_are_ignored(stack: Stack) -> None:
    control = stack.guest.host
    for lie in ({"msgsize": 0}, {"msgsize": 0xffff}, {"pipe_size": 0}, {"pipe_size": 0xffffffff}):
        answer = control.ask("hot_backup", expect="answer", **lie)
        assert answer["status"] == host.OK, (lie, answer)


def test_packet_that_is_no_message_is_not_answered(stack: Stack) -> None:
    control = stack.guest.host
    for kind in (0, 4, 7, 9, 11, 255):
        control.raw(packet(2, 40), type=kind, expect="none")
    assert control.ask("hot_backup")["status"] == host.OK


def test_impossible_lengths_in_the_ring_do_not_kill_the_channel(stack: Stack) -> None:
    control = stack.guest.host
    for lie in ({"len8": 0}, {"len8": 0xffff}, {"offset8": 0}, {"offset8": 0xffff},
                {"len8": 1, "offset8": 4}):
        control.raw(packet(2, 40), expect="none", **lie)
        until(lambda: not control.status()["ring_out"]["used"]
              and not control.status()["ring_in"]["used"], 5, "both rings are empty")
        assert control.ask("hot_backup")["status"] == host.OK, lie


# -- several at once

def test_all_packets_behind_one_signal_are_answered(stack: Stack) -> None:
    control = stack.guest.host
    runt = {"cmd": "raw", "data": packet(2, 16).hex(), "expect": "none"}
    wanted = [("get_dm_info", host.OK), ("create", host.OK), (99, NOT_SUPPORTED),
              ("hot_backup", host.OK), ("backup_complete", host.OK), ("delete", host.OK)]
    sent = control.batch(runt, *({"cmd": "request", "op": op} for op, _ in wanted), runt)
    for one, (op, status) in zip(sent[1:], wanted):
        assert control.answer(one, 5)["status"] == status, op


def test_requests_while_the_guest_stands_still_are_all_answered(stack: Stack) -> None:
    control = stack.guest.host
    stack.guest.pause()
    try:
        sent = [control.send("get_dm_info") for _ in range(20)]
    finally:
        stack.guest.resume()
    for one in sent:
        assert control.answer(one, 5)["status"] == host.OK


def test_full_ring_delays_answers_and_loses_none(stack: Stack) -> None:
    control = stack.guest.host
    control.command("ring_fill", free=64)
    sent = [control.send("get_dm_info") for _ in range(10)]
    time.sleep(0.5)
    assert not control.find("answer", seq=sent[-1].seq)
    control.command("ring_hold", on=False)
    for one in sent:
        assert control.answer(one, 5)["status"] == host.OK


# -- negotiation

@pytest.mark.parametrize("fw, msg, chosen", [
    ([[1, 0]], [[5, 0]], ([1, 0], [5, 0])),
    ([[3, 0]], [[4, 0], [5, 0]], ([3, 0], [5, 0])),
    ([[1, 0], [3, 0]], [[5, 0], [6, 0], [7, 0]], ([3, 0], [5, 0])),
    ([[9, 9]], [[5, 0]], None),
    ([[3, 0]], [[4, 0]], None),
], ids=str)
def test_negotiation_chooses_what_both_know(stack: Stack, fw, msg, chosen) -> None:
    control = stack.guest.host
    event = negotiate(stack, fw=fw, msg=msg)
    if chosen:
        assert (event["fw"], event["msg"]) == chosen
    else:
        assert (event["fw_count"], event["msg_count"]) == (0, 0)
    negotiate(stack, fw=[[3, 0]], msg=[[5, 0]])
    assert control.ask("hot_backup")["status"] == host.OK


def test_impossible_negotiation_counts_match_nothing(stack: Stack) -> None:
    for fw, msg in ((0, 0), (1, 0), (0xffff, 1), (1, 0xffff), (0xffff, 0xffff), (200, 200)):
        event = negotiate(stack, fw=[[3, 0]], msg=[[5, 0]], fw_count=fw, msg_count=msg,
                          expect="any")
        assert (event["fw_count"], event["msg_count"]) == (0, 0), event
    negotiate(stack, fw=[[3, 0]], msg=[[5, 0]])


def negotiate(stack: Stack, **arguments) -> host.Message:
    control = stack.guest.host
    reply = control.command("negotiate", **arguments)
    return control.wait("negotiated", seq=reply["seq"])
