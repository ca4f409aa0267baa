# SPDX-License-Identifier: GPL-2.0-only
"""A guest on which constructions (constructions.py) are backed up, one after the other."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from . import cache, host, images, kernels, verify
from .constructions import FAILS, GOOD, HANGS, LEFT_OUT, TOOLS, Construction
from .guest import Guest
from .stack import OURS, Stack

SPARE = ("spare1", "spare2")
SPARE_BYTES = 160 * images.MIB
TOOLS_SH = "/run/constructions.sh"
PLACES = ("/data/ext4", "/data/xfs", "/data/btrfs", "/root")


class Machines(Protocol):
    """Like the fixture of the tests."""

    def boot(self, suite: str, **options) -> Guest:
        """Boot a guest with its usual disks."""

    def stop(self, *guests: Guest) -> None:
        """Stop these, or all."""


@dataclass
class Row:
    """The result of a stack with a construction, for the table."""
    construction: str
    stack: str
    freeze: str
    thaw: str
    remark: str


@dataclass
class Outcome:
    """The result of the stock stack: one word, and its answers."""
    kind: str
    freeze: str
    thaw: str = "-"


def word(answer: host.Message) -> str:
    """An answer and its time, for the table."""
    said = {host.OK: "success", host.FAIL: "failure"}.get(answer["status"], answer["status"])
    return f"{said} ({answer['rtt_us'] / 1000:.0f} ms)"


def record(construction: str, stack: str, freeze: str, thaw: str, remark: str = "") -> None:
    """Add to the results of this run: tests/construction-table prints them."""
    place = os.environ.get("HV_VSS_RESULTS")
    if place:
        with open(place, "a", encoding="utf-8") as file:
            row = Row(construction, stack, freeze, thaw, remark)
            file.write(json.dumps(asdict(row)) + "\n")


class Site:
    """One guest and one stack for all constructions; booted again if one leaves it broken."""

    def __init__(self, machines: Machines, directory: Path, suite: str, kind: str) -> None:
        self._machines = machines
        self._directory = directory
        self._suite = suite
        self._kind = kind
        self.current: Stack | None = None     # if there is one

    def stack(self) -> Stack:
        if not self.current:
            spare = {}
            for serial in SPARE:
                spare[serial] = self._directory / f"{serial}.img"
                spare[serial].unlink(missing_ok=True)
                with open(spare[serial], "wb") as file:
                    file.truncate(SPARE_BYTES)
            guest = self._machines.boot(self._suite, more_disks=spare)
            guest.mount_data()
            guest.agent.run("/sbin/modprobe", "-a", "loop", "dm-mod")
            guest.agent.put(TOOLS_SH, TOOLS.encode())
            self.current = Stack(guest, self._kind, self._kind)
            self.current.load()
            self.current.start_daemon()
            if self._kind != OURS:
                # How long it takes varies.
                guest.host.expect_error(kind="missing")
                guest.host.expect_error(kind="late")
        return self.current

    def drop(self) -> None:
        self.current = None
        self._machines.stop()


def shell(stack: Stack, script: str, timeout: float = 60) -> str:
    """Run a script with the tools for constructions."""
    return stack.guest.agent.run("/bin/bash", "-euc", f". {TOOLS_SH}\n{script}",
                                 timeout=timeout)


def without(stack: Stack, what: Construction) -> str:
    """A module that the guest's kernel lacks for it. A suite's own kernel must have all of them."""
    for module in what.needs:
        if stack.guest.agent.try_run("/sbin/modprobe", "-q", module).status:
            kernel = stack.guest.kernel
            assert kernel.source or kernel.suite in kernels.OWN, f"no {module}"
            return module
    return ""


def build(stack: Stack, what: Construction) -> None:
    """Set it up, and flush all, unless its script says otherwise: on a file system that is left out
    but lies on a frozen one, programs continue only until they wait for the disk."""
    shell(stack, what.build if "dirty" in what.build else f"{what.build}\nsync")


def described(stack: Stack) -> dict[str, Any]:
    """The last backup in our --status; file systems by path."""
    said = stack.guest.agent.try_run("/usr/sbin/hv-vss-daemon", "--status", "--json").out
    backup = json.loads(said)["backups"][0]
    backup["file_systems"] = {fs["path"]: fs for fs in backup["file_systems"]}
    return backup


def not_still(stack: Stack, places: tuple[str, ...]) -> list[str]:
    """The places that can be written to now."""
    writes = {place: stack.guest.write_to(place) for place in places}
    stack.guest.agent.run("sleep", "0.5")
    return [place for place, write in writes.items() if write.over]


def watch_stock(stack: Stack, what: Construction, patience: float) -> Outcome:
    """FREEZE and THAW by the stock daemon. If it hangs, the guest is thawed as an admin would."""
    control = stack.guest.host
    places = (*PLACES, *what.stand)
    try:
        freeze = control.answer(control.send("freeze", expect="any"), patience)
    except host.HostError:
        free(stack, what)
        return Outcome(HANGS, f"no answer in {patience:.0f} s")
    if freeze["status"] != host.OK:
        stack.guest.writable(list(places))
        return Outcome(FAILS, word(freeze))
    moving = not_still(stack, places)
    try:
        thaw = control.answer(control.send("thaw", expect="any"), patience)
    except host.HostError:
        free(stack, what)
        return Outcome(HANGS, word(freeze), f"no answer in {patience:.0f} s")
    stack.guest.writable(list(places))
    if moving:
        return Outcome(LEFT_OUT, f"{word(freeze)}, but {', '.join(moving)} went on", word(thaw))
    return Outcome(GOOD, word(freeze), word(thaw))


def free(stack: Stack, what: Construction) -> None:
    """Thaw the guest as an admin would; the caller starts the daemon again."""
    agent = stack.guest.agent
    assert stack.daemon
    stack.daemon.kill(signal.SIGKILL)
    if what.unblock:
        shell(stack, what.unblock)
    places = (*PLACES, *what.stand)
    thaws = [agent.start("/sbin/fsfreeze", "-u", place) for place in places]
    for thaw in thaws:
        thaw.wait(30)
    stack.daemon.wait(30)
    # What the daemon froze while it was being killed.
    for place in places:
        agent.try_run("/sbin/fsfreeze", "-u", place)
    stack.guest.writable([*PLACES, *what.stand])
    stack.start_daemon()


def examine_nested(copy: Path) -> list[verify.Finding]:
    """Check constructions.NESTED in a copy of /data/ext4's disk, outermost first; each image is
    extracted beside the copy."""
    findings, image = [], copy
    for file in ("outer", "inner"):
        inside = copy.with_name(file)
        try:
            cache.run("debugfs", "-R", f"dump /{file} {inside}", image)
            findings.append(verify.examine("ext4", inside))
        except cache.HarnessError as error:     # e2fsprogs find no file system at all
            findings.append(verify.Finding("ext4", faults=[str(error)]))
        image = inside
    return findings
