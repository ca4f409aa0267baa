# SPDX-License-Identifier: GPL-2.0-only
"""What goes on in the guest while it is backed up."""

from __future__ import annotations

import time

from hvtest.agent import Command

from . import measure
from .measure import Backup, Meter
from .rig import DATA, DIRTY_LIMITS, Rig

DIRTY_MIB = 256
RANDOM_MIB = 128
# Debian's own, so that a file written to all the time is written back now and then.
USUAL_LIMITS = DIRTY_LIMITS | {"dirty_expire_centisecs": 3000, "dirty_writeback_centisecs": 500}
HOMES = [f"/run/{name}" for name in DATA]


class Workload:
    """Set up once, then run for each stack in turn, then taken away."""

    most_runs = 1000

    def __init__(self, name: str, what: str) -> None:
        self.name = name
        self.what = what

    def set_up(self, rig: Rig) -> None:
        """Once, before the first run."""

    def take_away(self, rig: Rig) -> None:
        """Once, after the last run."""

    def begin(self, rig: Rig) -> list[Meter]:
        """Before each backup: load, and those who measure."""
        return []

    def end(self, rig: Rig) -> None:
        """After each backup."""

    def run(self, rig: Rig) -> tuple[dict, list[list[tuple[float, float]]]]:
        """One backup with the stack that is loaded: figures, and what the meters saw."""
        meters = self.begin(rig)
        if meters:
            time.sleep(1.5)     # a stretch of undisturbed writing, for comparison
        backup = measure.back_up(rig)
        if meters:
            time.sleep(1.5)
        for meter in meters:
            meter.stop()
        self.end(rig)
        return self._figures(backup, meters), [backup.trace(m) for m in meters]

    @staticmethod
    def _figures(backup: Backup, meters: list[Meter]) -> dict:
        figures: dict = dict(backup.figures)
        for kind in sorted({m.kind for m in meters}):
            figures[f"stall_{kind}_ms"] = max(backup.stall_ms(m) for m in meters
                                              if m.kind == kind)
        return figures | {"failures": backup.failures, "summary": backup.summary}


class Metered(Workload):
    """A writer of one kind on each data disk."""

    def __init__(self, name: str, what: str, kind: str, dirty_mib: int) -> None:
        super().__init__(name, what)
        self._kind = kind
        self._dirty_mib = dirty_mib

    def begin(self, rig: Rig) -> list[Meter]:
        rig.agent.run("sync", timeout=120)
        meters = [Meter.start(rig, self._kind, home) for home in HOMES]
        if self._dirty_mib:
            copies = "".join(f"dd if=/dev/zero of={home}/load bs=1M count={self._dirty_mib} & "
                             for home in HOMES)
            rig.agent.shell(f"({copies} wait) 2>/dev/null", timeout=180)
        return meters

    def end(self, rig: Rig) -> None:
        rig.agent.shell("rm -f " + " ".join(f"{home}/load" for home in HOMES), timeout=120)


class Random(Workload):
    """One file system under a heavy random writer; the page cache's writers beside it."""

    def set_up(self, rig: Rig) -> None:
        rig.limit_dirty(USUAL_LIMITS)

    def take_away(self, rig: Rig) -> None:
        rig.limit_dirty(DIRTY_LIMITS)

    def begin(self, rig: Rig) -> list[Meter]:
        rig.agent.run("sync", timeout=120)
        meters = [Meter.start(rig, "buffered", home) for home in HOMES]
        return meters + [Meter.start_random(rig, HOMES[0], RANDOM_MIB)]


class Binds(Workload):
    """So many bind mounts over eight superblocks, the root's not counted."""

    def __init__(self, count: int) -> None:
        super().__init__(f"binds-{count}", f"{count} bind mounts over 8 superblocks")
        self._count = count
        self._slices: list[str] = []

    def set_up(self, rig: Rig) -> None:
        self._slices = rig.mount_slices(4)
        rig.agent.run("/run/hvtest/mounts", "bind", "0", str(self._count), *HOMES, *self._slices,
                      timeout=300)

    def take_away(self, rig: Rig) -> None:
        rig.agent.run("/run/hvtest/mounts", "unbind", "0", str(self._count), timeout=300)
        rig.unmount_slices(self._slices)


class Superblocks(Workload):
    """As many file systems, the root and the data disks counted."""

    def __init__(self, count: int) -> None:
        super().__init__(f"superblocks-{count}", f"{count} file systems")
        self._count = count
        self._slices: list[str] = []

    def set_up(self, rig: Rig) -> None:
        self._slices = rig.mount_slices(self._count - len(DATA) - 1)

    def take_away(self, rig: Rig) -> None:
        rig.unmount_slices(self._slices)


class Loop(Workload):
    """A file system in a file of another one, with something to write."""

    PLACE = "/run/loop"

    def set_up(self, rig: Rig) -> None:
        image = f"{HOMES[0]}/loop.img"
        rig.agent.run("/sbin/modprobe", "loop")
        rig.agent.shell(f"truncate -s 256M {image}; /sbin/mkfs.ext4 -q -F {image}; "
                        f"mkdir -p {self.PLACE}; /bin/mount -o loop {image} {self.PLACE}",
                        timeout=180)

    def take_away(self, rig: Rig) -> None:
        rig.agent.shell(f"/bin/umount {self.PLACE}; rm {HOMES[0]}/loop.img", timeout=60)

    def begin(self, rig: Rig) -> list[Meter]:
        rig.agent.run("sync", timeout=120)
        meters = [Meter.start(rig, "buffered", place) for place in (self.PLACE, HOMES[0])]
        rig.agent.shell(f"dd if=/dev/zero of={self.PLACE}/load bs=1M count=64 2>/dev/null",
                        timeout=60)
        return meters

    def end(self, rig: Rig) -> None:
        rig.agent.run("rm", "-f", f"{self.PLACE}/load")


class Namespaces(Workload):
    """Mounts that only other mount namespaces have."""

    COUNT, EACH = 10, 50
    _keeper: Command | None = None

    def set_up(self, rig: Rig) -> None:
        self._keeper = rig.start("mounts", "namespaces", str(self.COUNT), str(self.EACH), *HOMES)

    def take_away(self, rig: Rig) -> None:
        assert self._keeper
        self._keeper.kill()
        self._keeper.wait()


class Crowd(Workload):
    """Other people's namespaces, mounts and processes: programs of tests/guest/namespaces.c, each
    with its argument. Of ours also what plan and verify take, and the daemon's memory."""

    most_runs = 3       # a crowd takes its time to come

    def __init__(self, name: str, what: str, *programs: tuple[str, int]) -> None:
        super().__init__(name, what)
        self._programs = programs
        self._started: list[Command] = []

    def set_up(self, rig: Rig) -> None:
        for kind, number in self._programs:
            program = rig.agent.start("namespaces", kind, str(number))
            program.wait_output("ready", timeout=300)
            self._started.append(program)

    def take_away(self, rig: Rig) -> None:
        for program in self._started:
            program.kill()
            program.wait(60)
        self._started.clear()

    def run(self, rig: Rig) -> tuple[dict, list[list[tuple[float, float]]]]:
        figures, traces = super().run(rig)
        return figures | measure.phases(figures["summary"]) | measure.memory(rig), traces


class AtRest(Workload):
    """After a backup: what the daemon costs while nothing happens."""

    seconds = 30
    most_runs = 3       # a minute each, and nothing varies

    def run(self, rig: Rig) -> tuple[dict, list[list[tuple[float, float]]]]:
        failures = measure.back_up(rig).failures
        return measure.daemon_at_rest(rig, self.seconds) | {"failures": failures}, []


def all_workloads() -> list[Workload]:
    return [
        Workload("idle", "nothing to write"),
        Metered("dirty", f"{DIRTY_MIB} MiB dirty on each of 4 disks, a buffered writer on each",
                "buffered", DIRTY_MIB),
        Metered("dirty-fsync", f"{DIRTY_MIB} MiB dirty on each of 4 disks, an fsync writer on each",
                "fsync", DIRTY_MIB),
        *(Binds(count) for count in (500, 1000, 2000, 4000)),
        AtRest("rest", "the daemon in 30 s of waiting after a backup"),
        Metered("fsync", "an fsync writer on each of 4 disks, nothing else", "fsync", 0),
        Random("random", f"a writer at random places of {RANDOM_MIB} MiB on one disk, at full "
               "speed; a buffered writer on each of 4"),
        Superblocks(64),
        Loop("loop", "64 MiB dirty on ext4 on a loop device on ext4, a buffered writer on "
             "both (the stock daemon leaves loop devices out)"),
        Namespaces("namespaces", "500 mounts in 10 other mount namespaces (the stock daemon does not "
                   "look there)"),
        Crowd("crowd-namespaces", "1,000 mount namespaces", ("many", 1000)),
        Crowd("crowd-mounts", "32,768 mounts in an unprivileged user's namespace",
              ("mounts", 20000)),
        Crowd("crowd-stack", "3,000 mounts, one over the other, in an unprivileged user's namespace",
              ("stack", 3000)),
        Crowd("crowd-churn", "a new namespace of an unprivileged user each 2 ms", ("churn", 2)),
        Crowd("crowd-processes", "3,000 processes", ("processes", 3000)),
        Crowd("crowd", "all of them", ("many", 1000), ("mounts", 20000), ("stack", 3000),
              ("churn", 2), ("processes", 3000)),
    ]
