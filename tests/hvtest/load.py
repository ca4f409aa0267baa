# SPDX-License-Identifier: GPL-2.0-only
"""Programs that write in the guest during a backup, and what was acknowledged to them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .agent import Agent, Command
from .guest import Guest


@dataclass(frozen=True)
class Acknowledged:
    """One write that the file system (or database) has acknowledged as durable; guest's clock, us."""
    number: int
    time: int
    latency: int


class Writer:
    """tests/guest/writer or dbwriter, writing to one file system."""

    def __init__(self, name: str, command: Command) -> None:
        self.name = name
        self._command = command
        self._parsed = 0
        self._rest = b""
        self._acknowledged: list[Acknowledged] = []

    @classmethod
    def records(cls, agent: Agent, name: str, directory: str, interval_us: int = 2000) -> Writer:
        agent.run("mkdir", "-p", f"{directory}/records")
        return cls(name, agent.start("writer", "run", f"{directory}/records", str(interval_us)))

    @classmethod
    def database(cls, agent: Agent, name: str, directory: str, interval_us: int = 5000) -> Writer:
        agent.run("mkdir", "-p", f"{directory}/db")
        return cls(name, agent.start("dbwriter", "run", f"{directory}/db/test.db",
                                     str(interval_us)))

    def acknowledged(self) -> list[Acknowledged]:
        """All acknowledged writes so far, in order."""
        pieces = self._command.state.out
        while self._parsed < len(pieces):
            lines = (self._rest + pieces[self._parsed].data).split(b"\n")
            self._parsed += 1
            self._rest = lines.pop()
            self._acknowledged += [Acknowledged(*map(int, line.split())) for line in lines]
        if self._command.over:
            raise AssertionError(f"{self.name}: the writer has ended\n{self._command.err}")
        return self._acknowledged

    @property
    def last(self) -> int:
        return self.acknowledged()[-1].number if self.acknowledged() else 0

    def wait_past(self, number: int, timeout: float = 30) -> None:
        """Wait until a later write was acknowledged."""
        self._command._agent.wait_for(lambda: self.last > number, timeout,
                                      f"{self.name} stands still at {number}")

    def worst(self, since_us: int = 0) -> Acknowledged:
        """The write that took longest."""
        return max((a for a in self.acknowledged() if a.time >= since_us),
                   key=lambda a: a.latency)

    def stop(self) -> None:
        self._command.kill()
        result = self._command.wait(60)
        if result.status:
            raise AssertionError(f"{self.name}: exit {result.status}\n{result.err}")


_TALLY = re.compile(r"last (\d+) good (\d+) torn (\d+) wrong (\d+) missing (\d+)")


def check_records(agent: Agent, directory: str, acknowledged: int) -> str:
    """Check that every acknowledged record is there and complete; returns the findings in words."""
    said = agent.run("writer", "check", f"{directory}/records", timeout=120)
    tally = _TALLY.match(said)
    assert tally, said
    last, good, torn, wrong, missing = map(int, tally.groups())
    assert not torn and not wrong and not missing and good == last, f"{directory}: {said}"
    assert last >= acknowledged, f"{directory}: {acknowledged} were acknowledged, {said}"
    return f"{good} records, {acknowledged} of them acknowledged, none torn"


def check_database(agent: Agent, directory: str, acknowledged: int) -> str:
    """Check that every acknowledged transaction is there and complete, and that SQLite finds no
    fault. Reads a copy in memory, because opening a database may write to it."""
    agent.shell(f"rm -rf /tmp/db; cp -r {directory}/db /tmp/db")
    said = agent.run("dbwriter", "check", "/tmp/db/test.db", timeout=120)
    rows, last, total = (int(re.search(rf"{key} (\d+)", said)[1])
                         for key in ("rows", "last", "total"))
    assert "integrity ok" in said and rows == last and total == 2000000, said
    assert last >= acknowledged, f"{acknowledged} transactions were acknowledged, {said}"
    return f"{rows} transactions, {acknowledged} of them acknowledged, integrity_check ok"


class Fio:
    """fio with checksummed blocks: one file written before, one rewritten all the time."""

    SIZE = "8m"

    def __init__(self, guest: Guest, directory: str) -> None:
        self._agent = guest.agent
        self._directory = f"{directory}/fio"
        self._agent.run("mkdir", "-p", self._directory)
        for name in ("still", "busy"):
            self._fio(name, "--rw=write", "--do_verify=0", "--end_fsync=1")
        self._command = self._agent.start(*self._arguments(
            "busy", "--rw=randwrite", "--fsync=16", "--overwrite=1", "--norandommap",
            "--do_verify=0", "--time_based", "--runtime=3600", "--rate_iops=200"))

    def _arguments(self, name: str, *more: str) -> tuple[str, ...]:
        return ("fio", f"--name={name}", f"--filename={self._directory}/{name}",
                f"--size={self.SIZE}", "--bs=4k", "--ioengine=psync", "--verify=crc32c",
                "--verify_fatal=1", "--verify_state_save=0", "--thread", "--minimal", *more)

    def _fio(self, name: str, *more: str) -> None:
        self._agent.run(*self._arguments(name, *more), timeout=120)

    def stop(self) -> None:
        assert not self._command.over, f"fio has ended\n{self._command.out}{self._command.err}"
        self._command.kill()
        self._command.wait(60)

    @classmethod
    def check(cls, agent: Agent, directory: str) -> str:
        """Every block of both files carries the checksum of its content."""
        self = cls.__new__(cls)
        self._agent, self._directory = agent, f"{directory}/fio"
        for name in ("still", "busy"):
            self._fio(name, "--rw=read", "--readonly")
        return "fio's blocks all have their checksums"
