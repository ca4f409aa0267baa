# SPDX-License-Identifier: GPL-2.0-only
"""Client of the emulated host's control socket (tests/host/PROTOCOL.md)."""

from __future__ import annotations

import json
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

from . import kernels

Message = dict[str, Any]
OK = "0x00000000"
FAIL = "0x80004005"
NO_MORE_ITEMS = "0x80070103"


class HostError(AssertionError):
    """The host did not do, or did not receive, what the test needs."""


@dataclass(frozen=True)
class Sent:
    """A packet that the host has put into the ring."""
    seq: int
    reqid: int
    txid: int
    t: int


class Host:
    """One connection. All messages of the host are kept in events, in order."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._changed = threading.Condition()
        self._replies: dict[int, Message] = {}
        self._next_id = 1
        self._closed = False
        self._expected_errors: list[Message] = []
        self.events: list[Message] = []
        self.judges_writes = True
        self.raw_disks: set[str] = set()    # that a test writes to past all file systems
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    # -- plumbing

    def _read(self) -> None:
        try:
            with self._socket.makefile("r", encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    self._take(json.loads(line))
        except (OSError, ValueError) as error:
            self._take({"event": "error", "kind": "harness", "detail": repr(error)})
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()

    def _take(self, message: Message) -> None:
        with self._changed:
            if "event" in message:
                self.events.append(message)
                if message.get("op") == "thaw" and message.get("status") == OK:
                    self._judge_writes(message)
            else:
                self._replies[message["id"]] = message
            self._changed.notify_all()

    def _judge_writes(self, thaw: Message) -> None:
        """After a success of THAW no disk may have been written to while the guest was frozen."""
        for disk, requests in thaw.get("writes", {}).items():
            if self.judges_writes and disk not in self.raw_disks:
                self.events.append({
                    "event": "error", "kind": "written", "disk": disk, "seq": thaw["seq"],
                    "detail": f"{requests} writes to {disk} between FREEZE's answer and THAW"})

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side has already closed it
        self._socket.close()
        self._reader.join(10)

    # -- commands

    def command(self, cmd: str, timeout: float = 30, **arguments: Any) -> Message:
        """Send a command; returns the reply. A refusal is an error."""
        timeout *= kernels.pace()
        with self._changed:
            number = self._next_id
            self._next_id += 1
        line = json.dumps({"id": number, "cmd": cmd, **arguments}) + "\n"
        try:
            self._socket.sendall(line.encode())
        except OSError as error:
            raise HostError(f"{cmd}: the host is gone: {error}") from error
        with self._changed:
            done = self._changed.wait_for(lambda: number in self._replies or self._closed, timeout)
            if not done or number not in self._replies:
                raise HostError(f"{cmd}: no reply from the host; last events:\n{self.tail()}")
            reply = self._replies.pop(number)
        if not reply.get("ok"):
            raise HostError(f"{cmd} {arguments}: {reply.get('error')}")
        return reply

    def send(self, op: str | int, **arguments: Any) -> Sent:
        """Put one VSS request into the ring."""
        return _sent(self.command("request", op=op, **arguments))

    def raw(self, data: bytes, **arguments: Any) -> Sent:
        return _sent(self.command("raw", data=data.hex(), **arguments))

    def batch(self, *packets: Message) -> list[Sent]:
        """Several packets behind one signal."""
        reply = self.command("batch", packets=list(packets))
        return [_sent({"t": reply["t"], **one}) for one in reply["sent"]]

    def answer(self, sent: Sent, timeout: float = 60) -> Message:
        return self.wait("answer", timeout, seq=sent.seq)

    def ask(self, op: str | int, timeout: float = 60, **arguments: Any) -> Message:
        """Send one VSS request and wait for its answer."""
        return self.answer(self.send(op, **arguments), timeout)

    def items(self, pool: int = 1, timeout: float = 60) -> list[tuple[str, str]]:
        """The key-value pairs of the guest, asked for one by one, as Windows does."""
        found = []
        while True:
            sent = _sent(self.command("kvp", op="enumerate", pool=pool, index=len(found)))
            answer = self.answer(sent, timeout)
            if answer["status"] == NO_MORE_ITEMS:
                return found
            if answer["status"] != OK:
                raise HostError(f"item {len(found)} of pool {pool}: {answer}")
            found.append((answer["key"], answer["value"]))

    def status(self, channel: str = "vss") -> Message:
        return next(c for c in self.command("status")["channels"] if c["name"] == channel)

    # -- events

    def mark(self) -> int:
        """The current position, for since=."""
        with self._changed:
            return len(self.events)

    def find(self, event: str, since: int = 0, **fields: Any) -> Message | None:
        with self._changed:
            return self._find(event, since, fields)

    def _find(self, event: str, since: int, fields: Message) -> Message | None:
        for message in self.events[since:]:
            if message["event"] == event and all(message.get(k) == v for k, v in fields.items()):
                return message
        return None

    def wait(self, event: str, timeout: float = 30, since: int = 0, **fields: Any) -> Message:
        """The first such event since then; waits for it if necessary."""
        timeout *= kernels.pace()
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = self._find(event, since, fields)
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or self._closed:
                    what = "the host is gone" if self._closed else f"not within {timeout} s"
                    raise HostError(f"event {event} {fields}: {what}; last events:\n{self.tail()}")
                self._changed.wait(left)

    def tail(self, count: int = 15) -> str:
        return "\n".join(f"  {json.dumps(e)[:300]}" for e in self.events[-count:])

    # -- errors

    def expect_error(self, **fields: Any) -> None:
        """Error events with these fields belong to the test from now on."""
        self._expected_errors.append(fields)

    def errors(self, since: int = 0) -> list[Message]:
        """The errors that the host found and the test does not expect."""
        with self._changed:
            found = [e for e in self.events[since:] if e["event"] == "error"]
        return [e for e in found if not any(all(e.get(k) == v for k, v in fields.items())
                                            for fields in self._expected_errors)]


def _sent(reply: Message) -> Sent:
    return Sent(reply["seq"], reply.get("reqid", 0), reply.get("txid", 0), reply["t"])
