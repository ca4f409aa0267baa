# SPDX-License-Identifier: GPL-2.0-only
"""One backup, and what it was like for those who write."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass, field

from hvtest import host
from hvtest.agent import Command
from hvtest.host import HostError

from .rig import STOCK, Rig

PATIENCE = 150.0        # seconds for an answer to FREEZE
INTERVAL_US = 5000


@dataclass
class Meter:
    """A measuring writer at work."""
    kind: str
    place: str
    command: Command
    samples: list[tuple[int, int]] = field(default_factory=list)    # (begin, latency), guest's us

    @classmethod
    def start(cls, rig: Rig, kind: str, place: str) -> Meter:
        return cls(kind, place, rig.start("meter", kind, f"{place}/{kind}.meter",
                                          str(INTERVAL_US), "0"))

    @classmethod
    def start_random(cls, rig: Rig, place: str, mib: int) -> Meter:
        """As fast as it goes; only writes of a millisecond and more are reported."""
        return cls("random", place, rig.start("meter", "random", f"{place}/random.meter", "0",
                                              "1000", str(mib)))

    def stop(self) -> None:
        self.command.kill()
        result = self.command.wait(120)
        if result.status:
            raise AssertionError(f"{self.command}: exit {result.status}\n{result.err}")
        lines = [line.split() for line in result.out.splitlines()[1:]]
        if not lines or lines[-1][0] != "writes":
            raise AssertionError(f"{self.command}: no end of its report")
        self.samples = [(int(begin), int(latency)) for begin, latency in lines[:-1]]


@dataclass
class Backup:
    """The host's three requests; times of the host's clock in us."""
    freeze: int = 0         # sent
    answered: int = 0
    thaw: int = 0
    over: int = 0
    offset: float = 0.0     # the host's clock less the guest's
    figures: dict[str, float | None] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    summary: str = ""

    def stall_ms(self, meter: Meter) -> float:
        """The longest write of those during the backup, the time taken out during which the host
        would have copied."""
        worst = 0.0
        for begin, latency in meter.samples:
            begin += self.offset
            end = begin + latency
            if end < self.freeze or begin > self.over:
                continue
            held = max(0.0, min(end, self.thaw) - max(begin, self.answered))
            worst = max(worst, latency - held)
        return worst / 1000

    def trace(self, meter: Meter) -> list[tuple[float, float]]:
        """(begin, latency) of all writes, in seconds from FREEZE."""
        return [((begin + self.offset - self.freeze) / 1e6, latency / 1e6)
                for begin, latency in meter.samples]


def back_up(rig: Rig, asks: int = 3) -> Backup:
    """HOT_BACKUP (a few times), FREEZE, and THAW at once."""
    backup = Backup(offset=rig.clock_offset_us())
    times = []
    for _ in range(asks):
        answer = rig.guest.host.ask("hot_backup")
        times.append(answer["rtt_us"] / 1000)
        _judge(backup, "hot_backup", answer)
    backup.figures["hot_backup_ms"] = statistics.median(times)
    backup.figures["dirty_mib"] = _dirty_mib(rig)
    _freeze(rig, backup)
    thaw = rig.guest.host.send("thaw")
    answer = rig.guest.host.answer(thaw, 90)
    backup.thaw, backup.over = thaw.t, answer["t"]
    backup.figures["thaw_ms"] = answer["rtt_us"] / 1000
    _judge(backup, "thaw", answer)
    backup.summary = _summary(rig)
    return backup


def _summary(rig: Rig) -> str:
    """What our daemon says about the backup: the milliseconds of each phase. The stock one says
    nothing."""
    assert rig.stack and rig.stack.daemon
    if rig.stack.module == STOCK:
        return ""
    rig.agent.run("sleep", "0.2")
    lines = [line for line in rig.stack.daemon.err.splitlines() if "backup " in line]
    return lines[-1] if lines else ""


def _freeze(rig: Rig, backup: Backup) -> None:
    freeze = rig.guest.host.send("freeze")
    backup.freeze = freeze.t
    backup.figures["freeze_ms"] = None
    try:
        answer = rig.guest.host.answer(freeze, PATIENCE)
        backup.figures["freeze_ms"] = answer["rtt_us"] / 1000
        _judge(backup, "freeze", answer)
    except HostError:
        backup.failures.append(f"freeze: no answer within {PATIENCE:.0f} s")
        # Thaws whatever is frozen, so that what hangs goes on.
        rig.agent.shell("echo j >/proc/sysrq-trigger")
        answer = rig.guest.host.answer(freeze, PATIENCE)
    backup.answered = answer["t"]


def _judge(backup: Backup, op: str, answer: host.Message) -> None:
    if answer["status"] != host.OK:
        backup.failures.append(f"{op}: {answer['status']}")


def _dirty_mib(rig: Rig) -> float:
    lines = (line.split() for line in rig.agent.run("cat", "/proc/meminfo").splitlines())
    return sum(int(line[1]) for line in lines if line[0] in ("Dirty:", "Writeback:")) / 1024


def phases(summary: str) -> dict[str, float]:
    """Of our daemon's line about a backup: plan, and freeze, which includes the look for what has
    been mounted meanwhile and is the time that programs wait for."""
    found = re.search(r"plan (\d+) ms, sync \d+ ms, freeze (\d+) ms", summary)
    return {"plan_ms": float(found[1]), "standstill_ms": float(found[2])} if found else {}


def memory(rig: Rig) -> dict[str, float]:
    """The most that the daemon has had so far."""
    assert rig.stack and rig.stack.daemon
    text = rig.agent.run("cat", f"/proc/{rig.stack.daemon.pid}/status")
    status = dict(line.split(":", 1) for line in text.splitlines())
    return {"peak_kib": float(status["VmHWM"].split()[0])}


def daemon_at_rest(rig: Rig, seconds: int) -> dict[str, float]:
    """Wake-ups of all threads of the daemon while the host wants nothing, and its memory."""
    assert rig.stack and rig.stack.daemon
    pid = rig.stack.daemon.pid
    rig.agent.run("sleep", "2")     # the last answer's echo
    before = _switches(rig, pid)
    rig.agent.run("sleep", str(seconds), timeout=seconds + 60)
    wakeups = _switches(rig, pid) - before
    status = dict(line.split(":", 1) for line in
                  rig.agent.run("cat", f"/proc/{pid}/status").splitlines())
    return {"wakeups": float(wakeups), "seconds": float(seconds),
            "rss_kib": float(status["VmRSS"].split()[0]),
            "peak_kib": float(status["VmHWM"].split()[0]),
            "threads": float(status["Threads"])}


def _switches(rig: Rig, pid: int) -> int:
    lines = rig.agent.shell(f"cat /proc/{pid}/task/*/status").splitlines()
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
