# SPDX-License-Identifier: GPL-2.0-only
"""Client of the agent in the guest (tests/guest/frame.h)."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from . import kernels

_HEADER = struct.Struct("<IIIIQ")
_EXEC, _STDIN, _KILL = 1, 2, 3
_HELLO, _STARTED, _STDOUT, _STDERR, _EXIT, _KMSG, _ERROR = range(16, 23)
_CHUNK = 64 * 1024


class AgentError(AssertionError):
    """The guest did not do what it was asked to do."""


@dataclass(frozen=True)
class Result:
    argv: tuple[str, ...]
    status: int         # exit code; negative: killed by that signal
    out: str
    err: str
    begin: float        # seconds since the guest's boot
    end: float


@dataclass
class Output:
    """One piece of output: its time (guest's clock, seconds) and text."""
    time: float
    data: bytes


@dataclass
class _State:
    pid: int | None = None
    began: float = 0.0
    ended: float = 0.0
    status: int | None = None
    failure: str | None = None
    out: list[Output] = field(default_factory=list)
    err: list[Output] = field(default_factory=list)


class Command:
    """A command in the guest, running or ended."""

    def __init__(self, agent: Agent, number: int, argv: tuple[str, ...]) -> None:
        self._agent = agent
        self.number = number
        self.argv = argv
        self.state = _State()

    @property
    def pid(self) -> int:
        self._agent.wait_for(lambda: self.state.pid is not None or self.over, 10,
                             f"{self} did not start")
        if self.state.pid is None:
            raise AgentError(f"{self}: {self.state.failure}")
        return self.state.pid

    @property
    def over(self) -> bool:
        return self.state.status is not None or self.state.failure is not None

    @property
    def out(self) -> str:
        return b"".join(o.data for o in list(self.state.out)).decode(errors="replace")

    @property
    def err(self) -> str:
        return b"".join(o.data for o in list(self.state.err)).decode(errors="replace")

    def write(self, data: bytes) -> None:
        for i in range(0, len(data), _CHUNK):
            self._agent.send(self.number, _STDIN, data[i:i + _CHUNK])

    def end_input(self) -> None:
        self._agent.send(self.number, _STDIN, b"")

    def kill(self, number: int = signal.SIGTERM) -> None:
        self._agent.send(self.number, _KILL, struct.pack("<I", number))

    def wait(self, timeout: float = 30) -> Result:
        self._agent.wait_for(lambda: self.over, timeout, f"{self} still runs", self)
        if self.state.failure is not None:
            raise AgentError(f"{self}: {self.state.failure}")
        assert self.state.status is not None
        return Result(self.argv, os.waitstatus_to_exitcode(self.state.status), self.out, self.err,
                      self.state.began, self.state.ended)

    def wait_output(self, text: str, timeout: float = 30) -> None:
        """Wait for a text on stdout or stderr."""
        self._agent.wait_for(lambda: text in self.out or text in self.err or self.over, timeout,
                             f"{self} did not say {text!r}", self)
        if text not in self.out and text not in self.err:
            raise AgentError(f"{self} ended without saying {text!r}\n{self.out}{self.err}")

    def __str__(self) -> str:
        return f"'{' '.join(self.argv)}'"


class Agent:
    """One connection to the agent; it outlives reboots of the guest."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._commands: dict[int, Command] = {}
        self._next = 1
        self._closed = False
        self.hellos: list[tuple[str, str]] = []     # (kernel release, boot id) of each boot
        self.kmsg: list[str] = []                   # the kernel log, as in dmesg
        self.errors: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(self, *argv: str) -> Command:
        """Start a command, without waiting for its end."""
        with self._changed:
            number = self._next
            self._next += 1
            command = self._commands[number] = Command(self, number, argv)
        self.send(number, _EXEC, b"".join(a.encode() + b"\0" for a in argv))
        return command

    def try_run(self, *argv: str, timeout: float = 30, data: bytes = b"") -> Result:
        """Run a command to its end, whatever its status."""
        command = self.start(*argv)
        if data:
            command.write(data)
        command.end_input()
        return command.wait(timeout)

    def run(self, *argv: str, timeout: float = 30, data: bytes = b"") -> str:
        """Run a command that must succeed; its output."""
        result = self.try_run(*argv, timeout=timeout, data=data)
        if result.status:
            raise AgentError(f"'{' '.join(argv)}': exit {result.status}\n{result.out}{result.err}")
        return result.out

    def shell(self, script: str, timeout: float = 30) -> str:
        """Run a script that must succeed in the guest's memory-resident shell; its output."""
        return self.run("sh", "-euc", script, timeout=timeout)

    def put(self, path: str, content: bytes, mode: int = 0o644) -> None:
        # By renaming: the old program may still be running.
        self.run("sh", "-ec", 'cat > "$1.new"; chmod "$2" "$1.new"; mv "$1.new" "$1"', "put",
                 path, f"{mode:o}", data=content)

    def wait_for(self, condition, timeout: float, what: str, command: Command | None = None):
        """Wait until a condition is true; it is checked at each report of the agent."""
        timeout *= kernels.pace()
        with self._changed:
            if self._changed.wait_for(lambda: condition() or self._closed, timeout) \
                    and condition():
                return
        said = f"\n{command.out}{command.err}" if command else ""
        why = "the guest is gone" if self._closed else f"after {timeout} s"
        raise AgentError(f"{what} {why}{said}")

    def wait_kmsg(self, text: str, timeout: float = 30, since: int = 0) -> str:
        """The first line of the kernel log with that text."""
        self.wait_for(lambda: any(text in line for line in self.kmsg[since:]), timeout,
                      f"kernel log without {text!r}")
        return next(line for line in self.kmsg[since:] if text in line)

    def send(self, number: int, kind: int, payload: bytes) -> None:
        with self._sending:
            try:
                self._socket.sendall(_HEADER.pack(len(payload), number, kind, 0, 0) + payload)
            except OSError as error:
                raise AgentError(f"the guest is gone: {error}") from error

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side has already closed it
        self._socket.close()
        self._reader.join(10)

    # -- the reader's thread

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as stream:
                while header := stream.read(_HEADER.size):
                    size, number, kind, _, nanoseconds = _HEADER.unpack(header)
                    payload = stream.read(size)
                    with self._changed:
                        self._take(number, kind, nanoseconds / 1e9, payload)
                        self._changed.notify_all()
        except (OSError, struct.error) as error:
            self.errors.append(f"the connection broke: {error!r}")
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()

    def _take(self, number: int, kind: int, when: float, payload: bytes) -> None:
        if kind == _HELLO:
            self._begin(payload)
        elif kind == _KMSG:
            self.kmsg += _kmsg_lines(payload)
        elif number == 0:
            self.errors.append(payload.decode(errors="replace"))
        elif number in self._commands:
            self._progress(self._commands[number].state, kind, when, payload)

    def _begin(self, payload: bytes) -> None:
        """The guest has booted: commands from before have ended."""
        release, boot_id = payload.decode().rstrip("\0").split("\0")
        self.hellos.append((release, boot_id))
        for command in self._commands.values():
            if not command.over:
                command.state.failure = "the guest was restarted"

    @staticmethod
    def _progress(state: _State, kind: int, when: float, payload: bytes) -> None:
        if kind == _STARTED:
            state.pid, state.began = struct.unpack("<I", payload)[0], when
        elif kind == _STDOUT:
            state.out.append(Output(when, payload))
        elif kind == _STDERR:
            state.err.append(Output(when, payload))
        elif kind == _EXIT:
            state.status, state.ended = struct.unpack("<I", payload)[0], when
        elif kind == _ERROR:
            state.failure = payload.decode(errors="replace")


def _kmsg_lines(record: bytes) -> list[str]:
    """Record of /dev/kmsg to lines as dmesg prints them."""
    prefix, _, text = record.decode(errors="replace").partition(";")
    fields = prefix.split(",")
    stamp = int(fields[2]) / 1e6 if len(fields) > 2 and fields[2].isdigit() else 0.0
    first = text.split("\n")[0]
    return [f"[{stamp:12.6f}] {first}"]


def until(condition, timeout: float, what: str, interval: float = 0.05):
    """Poll a condition that the agent does not report; returns what condition() returned."""
    timeout *= kernels.pace()
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AgentError(f"{what}: not within {timeout} s")
        time.sleep(interval)
