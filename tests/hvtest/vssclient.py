# SPDX-License-Identifier: GPL-2.0-only
"""A user of the device in the guest, controlled by commands (tests/guest/vssclient.c)."""

from __future__ import annotations

import re

from . import host
from .guest import Guest

REGISTER1, REGISTER2, CANCEL = 129, 130, 131
ABI = 1


class Client:
    """One process. A call is one command; its result is an int, or the name of an error."""

    def __init__(self, guest: Guest) -> None:
        self._agent = guest.agent
        self.host = guest.host
        self._command = guest.agent.start("vssclient")
        self._seen = 0

    def tell(self, command: str) -> None:
        self._command.write(f"{command}\n".encode())

    def hear(self, timeout: float = 20) -> str:
        """The next result, without the command's name."""
        def lines() -> list[str]:
            return self._command.out.split("\n")[:-1]

        self._agent.wait_for(lambda: len(lines()) > self._seen or self._command.over, timeout,
                             "the client says nothing", self._command)
        line = lines()[self._seen]
        self._seen += 1
        name, _, result = line.partition(" ")
        assert name != "?", line
        return result

    def __call__(self, command: str) -> str:
        self.tell(command)
        return self.hear()

    def ok(self, *commands: str) -> None:
        """Run commands, which must all return 0."""
        for command in commands:
            result = self(command)
            assert result == "0", f"{command}: {result}"

    def serve(self, protocol: int = REGISTER2) -> None:
        """Open, register, read the greeting."""
        self.ok("open")
        assert self(f"register {protocol} {ABI}") == "12"
        assert self("read").startswith("4 " if protocol == REGISTER1 else "32 ")

    def take(self, op: int) -> int:
        """Read a request, which must be this one; returns its cookie."""
        said = self("read")
        found = re.match(r"\d+ op=(\d+) cookie=(\d+)", said)
        assert found and int(found[1]) == op, said
        return int(found[2])

    def cancelled(self, cookie: int, reason: int) -> None:
        """Read a CANCEL, which must be this one."""
        said = self("read")
        assert said.startswith(f"12 op={CANCEL} cookie={cookie} arg={reason} "), said

    def freeze(self, *places: str) -> tuple[host.Sent, int]:
        """Read FREEZE and freeze these file systems; does not answer yet."""
        sent = self.host.send("freeze")
        cookie = self.take(5)
        for place in places:
            self.ok(f"arm {place} {cookie}", f"freeze {place}")
        return sent, cookie

    def frozen(self, *places: str) -> int:
        """The same, and answer; returns the cookie."""
        sent, cookie = self.freeze(*places)
        assert self(f"write 0 {cookie}") == "12"
        assert self.host.answer(sent)["status"] == host.OK
        return cookie

    def thaw(self, cookie: int, *places: str) -> str:
        """Read THAW and thaw these file systems by the rules; returns the host's answer."""
        sent = self.host.send("thaw")
        request = self.take(6)
        for place in places:
            self.ok(f"thawing {place} {cookie}", f"thaw {place}", f"disarm {place} {cookie}")
        assert self(f"write 0 {request}") == "12"
        return self.host.answer(sent)["status"]

    def grace(self) -> float:
        """The shortest of a few grace periods of RCU, in ms."""
        return min(int(self("grace")) for _ in range(7)) / 1000

    @property
    def pid(self) -> str:
        return str(self._command.pid)

    def kill(self) -> None:
        if not self._command.over:
            self._command.kill(9)
            self._command.wait()
