# SPDX-License-Identifier: GPL-2.0-only
"""A guest under write load, with faults while it is backed up.

Each data disk has a dm-linear device above it, so that tests can make it hang or fail.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from . import build, cache, host, images, kernels, load
from .agent import AgentError, Command, until
from .guest import Guest
from .stack import OURS, Stack

# Short ones, in milliseconds, so that a test can wait for them.
TIMEOUTS = {"freeze": 12000, "thaw": 3000, "check": 3000, "hold": 4000}
FAULT_SO = "/run/hvtest/fault.so"
# Where core dumps go: to one of the file systems that are frozen.
_KEEPER, _CORE = "/run/hvtest/keep-core", "/data/ext4/core"
CORES = {"through a pipe": f"|{_KEEPER}", "to a file": _CORE}
_PATTERN = "/proc/sys/kernel/core_pattern"
# What a daemon logs when nothing is wrong.
_ORDINARY = re.compile(r"serving |backup ok|FREEZE: the host|waiting|\w+: stopping"
                       r"|\w+: answered with|--hold=\d+ is more|by its version")
_KERNEL = re.compile(r"\bhv_vss: (?!host offers)(.*)")


@dataclass
class Row:
    """The result of one fault, for the table."""
    fault: str
    kernel: str
    stack: str
    freeze: str
    thaw: str
    frozen_after: str       # seconds until everything accepted writes again
    log: str                # what kernel and daemon logged about it


def fault_library() -> Path:
    """fault.so, built for the guests' user land (the same distribution as this machine's)."""
    source = cache.TESTS / "guest/fault.c"
    header = cache.TESTS.parent / "include/uapi/hv_vss.h"

    def make(place: Path) -> None:
        cache.need("gcc", "libc6-dev")
        cache.run("gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror",
                  "-o", place / "fault.so", source)

    return cache.made("fault", cache.content_hash(source, header), make, "fault.so") / "fault.so"


class Rig:
    """A guest, its writers and one pairing of module and daemon."""

    def __init__(self, guest: Guest, module: str = OURS, daemon: str = OURS) -> None:
        self.guest = guest
        self.agent = guest.agent
        self.host = guest.host
        self.stack = Stack(guest, module, daemon)
        self.writers: dict[str, load.Writer] = {}
        self.daemon: Command | None = None
        self.scale = kernels.pace(guest.kernel.suite)
        self.limit = 1.0 * self.scale   # seconds until everything must accept writes again
        self.hold = TIMEOUTS["hold"] * self.scale / 1000
        self._last: Command | None = None       # the daemon, also after its end
        self._kmsg_begin = 0
        self._installed = False

    def set_up(self, file_systems: tuple[str, ...] = images.FILE_SYSTEMS) -> None:
        self.agent.run("/sbin/modprobe", "dm-mod")
        for fs in file_systems:
            device = self.guest.device(fs)
            size = self.agent.run("/sbin/blockdev", "--getsz", device).strip()
            self.dm(fs, f"0 {size} linear {device} 0")
            self.agent.run("mkdir", "-p", f"/data/{fs}")
            self.agent.run("/bin/mount", "-t", images.kind(fs), f"/dev/mapper/{fs}", f"/data/{fs}")
        self.agent.put(FAULT_SO, fault_library().read_bytes(), 0o755)
        parameters = " ".join(f"{k}_timeout_ms={v * self.scale}" for k, v in TIMEOUTS.items())
        # The daemon's own limits are longer.
        parameters += f" hold_max_ms={TIMEOUTS['hold'] * self.scale}"
        self.stack.load(parameters if self.stack.module == OURS else "")

    def dm(self, name: str, table: str) -> None:
        """Create a device-mapper device and its node, because there is no udev."""
        self.agent.run("/sbin/dmsetup", "create", name, "--table", table, "--noudevsync")
        self.agent.run("/sbin/dmsetup", "mknodes", name)

    def start_writers(self, interval_us: int = 5000) -> None:
        """One on each file system, at this pace; slower on slow kernels."""
        interval_us *= self.scale
        for fs in images.FILE_SYSTEMS:
            self.writers[fs] = load.Writer.records(self.agent, fs, f"/data/{fs}", interval_us)
        self.writers["root"] = load.Writer.records(self.agent, "root", "/root", interval_us)
        for writer in self.writers.values():
            writer.wait_past(0)

    def stop_writers(self) -> None:
        for writer in self.writers.values():
            writer.stop()
        self.writers = {}

    def acknowledged(self) -> dict[str, int]:
        return {name: writer.last for name, writer in self.writers.items()}

    # -- the daemon

    def start(self, fault: str = "", *options: str) -> Command:
        """Start the daemon with an injected fault; returns when it serves the host."""
        ours = self.stack.kind == OURS
        program = "/usr/sbin/hv-vss-daemon" if ours else "/usr/sbin/hv_vss_daemon"
        if ours and not self._installed:
            self.agent.put(program, build.daemon().read_bytes(), 0o755)
            self._installed = True
        env = [f"HV_FAULT={fault}", f"LD_PRELOAD={FAULT_SO}"] if fault else []
        arguments = options if ours else ("-n",)
        self._last = self.daemon = self.agent.start("env", *env, program, *arguments)
        try:
            until(lambda: self.daemon.over or self.host.ask("hot_backup")["status"] == host.OK,
                  30, "the daemon serves", interval=0.1)
        except AgentError as error:
            raise AgentError(f"{error}; it says: {self.daemon.err}") from error
        assert not self.daemon.over, self.daemon.err
        return self.daemon

    def end(self) -> str:
        """Stop the daemon if it still runs; returns what it logged."""
        assert self.daemon
        if not self.daemon.over:
            self.daemon.kill()
        result = self.daemon.wait(30)
        self.daemon = None
        return result.out + result.err

    # -- the table

    def begin(self) -> None:
        """The next fault begins: ignore the log so far."""
        self._last = None
        self._kmsg_begin = len(self.agent.kmsg)

    def log(self) -> str:
        """What kernel and daemon logged first, except usual lines."""
        kernel = [m[1] for m in map(_KERNEL.search, self.agent.kmsg[self._kmsg_begin:]) if m]
        daemon = [line for line in (self._last.err if self._last else "").splitlines()
                  if line and not _ORDINARY.match(line)]
        return "; ".join(f"{who}: {lines[0]}" for who, lines in
                         (("kernel", kernel), ("daemon", daemon)) if lines)

    def record(self, fault: str, freeze: host.Message | str | None,
               thaw: host.Message | str | None, frozen_after: float | str) -> None:
        """Add to the results of this run: tests/fault-table prints them."""
        place = os.environ.get("HV_VSS_RESULTS")
        if not place:
            return
        if isinstance(frozen_after, float):
            frozen_after = f"{frozen_after:.2f}"
        row = Row(fault, self.guest.kernel.release, self.stack.kind, word(freeze), word(thaw),
                  frozen_after, self.log())
        with open(place, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")

    # -- freezes by another process

    @staticmethod
    def place(name: str) -> str:
        """The mount point of a file system that is written to."""
        return "/" if name == "root" else f"/data/{name}"

    @contextmanager
    def frozen_by_another_process(self, name: str) -> Iterator[load.Writer]:
        """Another process freezes a file system. Its writer is not measured meanwhile, and must not
        have written anything in the last half second of that freeze."""
        self.agent.run("/sbin/fsfreeze", "-f", self.place(name))
        writer = self.writers.pop(name)
        try:
            yield writer
            last = writer.last
            time.sleep(0.5)
            assert writer.last == last, "a foreign freeze was ended"
        finally:
            self.writers[name] = writer
            self.agent.run("/sbin/fsfreeze", "-u", self.place(name))

    # -- core dumps

    def lacks_core_dumps(self) -> str:
        """The reason for a skip if this kernel can't write core dumps."""
        return self.guest.lacks("core dumps", f"test -e {_PATTERN}")

    @contextmanager
    def cores_go_to(self, place: str) -> Iterator[None]:
        """Let core dumps go to a frozen file system, in one of the ways of CORES."""
        before = self.agent.run("cat", _PATTERN).strip()
        self.agent.put(_KEEPER, f"#!/bin/sh\nexec cat >{_CORE}\n".encode(), 0o755)
        self.agent.shell(f"echo '{CORES[place]}' >{_PATTERN}")
        try:
            yield
        finally:
            self.agent.shell(f"echo '{before}' >{_PATTERN}; rm -f {_CORE}*")

    def may_dump(self) -> None:
        """Remove the daemon's limit for core dumps, as if a program received them."""
        assert self.daemon
        self.agent.run("prlimit", f"--pid={self.daemon.pid}", "--core=unlimited:unlimited")

    # -- measuring

    def now(self) -> float:
        """The guest's clock, in seconds, as writers and agent use it."""
        return self.agent.try_run("true").end

    def thawed_after(self, since: float, timeout: float = 30) -> float:
        """Seconds from then until every writer has written again; inf: not in time."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            firsts = [next((a.time / 1e6 for a in writer.acknowledged() if a.time / 1e6 > since
                            and a.latency / 1e6 <= a.time / 1e6), None)
                      for writer in self.writers.values()]
            if all(first is not None for first in firsts):
                return max(firsts) - since
            time.sleep(0.05)
        return float("inf")

    def backup_works(self) -> None:
        """Check that a backup works after the fault: freeze, hold, thaw, and all writers continue."""
        fresh = self.daemon is None
        if fresh:
            self.start()
        freeze = self.host.ask("freeze")
        assert freeze["status"] == host.OK, (freeze, self.daemon.err)
        time.sleep(0.3 * self.scale)
        before = {name: writer.last for name, writer in self.writers.items()}
        time.sleep(0.3 * self.scale)
        assert before == {name: writer.last for name, writer in self.writers.items()}
        thaw = self.host.ask("thaw")
        assert thaw["status"] == host.OK, (thaw, self.daemon.err)
        for name, last in before.items():
            self.writers[name].wait_past(last)
        if fresh:
            self.end()


def word(answer: host.Message | str | None) -> str:
    """The status of an answer, for the table."""
    if not isinstance(answer, dict):
        return answer or "-"
    return {"0x00000000": "success", host.FAIL: "failure"}.get(answer["status"], answer["status"])
