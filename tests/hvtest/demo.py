# SPDX-License-Identifier: GPL-2.0-only
"""One backup, with explanations."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import threading
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import backup, build, cache, disks, images, kernels
from .guest import Guest
from .stack import Stack

_BEGIN = time.monotonic()
# Behind each file system in the daemon's summary: its name, then sync/freeze/thaw ms.
_SUMMARY = re.compile(r" (\S+) \((\S+)\) (\d+)/(\d+)/(\d+)")


def tell(text: str = "", indent: int = 4) -> None:
    for line in text.splitlines() or [""]:
        print(" " * indent + line if line else "", flush=True)


def chapter(title: str) -> None:
    print(f"\n[{time.monotonic() - _BEGIN:6.1f} s] {title}", flush=True)


@contextmanager
def patience() -> Iterator[None]:
    """Print something every ten seconds."""
    over = threading.Event()
    begin = time.monotonic()

    def tick() -> None:
        while not over.wait(10):
            tell(f"... {time.monotonic() - begin:.0f} s")

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        over.set()
        ticker.join()


def prepare(suite: str) -> None:
    chapter("Preparing: what is missing is built (minutes at the first time, nothing later)")
    for what, make in (
            ("emulated Hyper-V host", build.qemu),
            (f"Debian {suite}'s own kernel", lambda: kernels.kernel(suite).image),
            ("hv_vss.ko for that kernel", lambda: build.module(suite)),
            ("hv-vss-daemon", build.daemon),
            ("root disk", images.root_disk),
            ("initramfs", lambda: images.initramfs(kernels.kernel(suite)))):
        with patience():
            tell(f"{what}: {make()}")


def serve(guest: Guest) -> Stack:
    chapter("The guest loads hv_vss beside its own hv_vmbus and hv_utils, and starts hv-vss-daemon")
    guest.mount_data()
    stack = Stack(guest)
    stack.load()
    status = guest.host.command("status")
    services = ", ".join(f"{c['name']} {c['state']}" for c in status["channels"])
    tell(f"VMBus {status['vmbus']}; channels: {services}")
    stack.start_daemon()
    tell("hv-vss-daemon --list says what a backup would freeze, and in which order:\n")
    tell(guest.agent.run("/usr/sbin/hv-vss-daemon", "--list"), 8)
    return stack


def back_up(guest: Guest, running: backup.Load, directory: Path) -> backup.Backup:
    tell("HOT_BACKUP: can you be backed up online?")
    answer = guest.host.ask("hot_backup")
    tell(f"  yes, and no recovery is needed afterwards (flags {answer['vss_flags']}); "
         f"{answer['rtt_us'] / 1000:.0f} ms")
    tell(f"FREEZE, with a list of the {len(guest.disks)} disks to be copied")
    taken = backup.take(guest, running, directory)
    size = sum(image.stat().st_blocks for image in taken.copies.values()) * 512 / 1e6
    tell(f"  answered with success after {taken.freeze['rtt_us'] / 1000:.0f} ms")
    tell(f"the host copies the disks: {size:.0f} MB in {taken.copy_seconds * 1000:.0f} ms; "
         "meanwhile "
         + ("not one write gets through" if all(taken.stood_still.values()) else "WRITES GOT THROUGH"))
    tell("THAW")
    tell(f"  answered with success after {taken.thaw['rtt_us'] / 1000:.0f} ms")
    return taken


def tell_stalls(running: backup.Load, since: dict[str, int], taken: backup.Backup) -> None:
    held = (taken.thaw["t"] - taken.freeze["t"]) / 1000
    chapter(f"How long the writers stood still (the host held the freeze for {held:.0f} ms of it)")
    for name, writer in running.writers.items():
        worst = writer.worst(since[name])
        tell(f"{name:8} {worst.latency / 1000:7.0f} ms, at write {worst.number}")


def tell_order(log: str) -> None:
    chapter("What was frozen, in this order (from the daemon's log; milliseconds)")
    summary = next(line for line in log.splitlines() if "backup ok" in line)
    tell(f"{'':24}{'flushed':>14}{'frozen':>8}{'thawed':>8}")
    for path, kind, sync, freeze, thaw in _SUMMARY.findall(summary):
        tell(f"{path + ' (' + kind + ')':24}{sync:>14}{freeze:>8}{thaw:>8}")
    tell(summary.split(";")[0])


def tell_findings(copies: dict[str, Path]) -> bool:
    good = True
    for finding in backup.examine(copies).values():
        # Only the beginning: a finding about an XFS log has a thousand characters.
        said = "; ".join(textwrap.shorten(text.splitlines()[0], 120, placeholder=" ...") for text in
                         finding.replay + finding.faults + finding.facts)
        tell(f"{'good:          ' if finding.good else 'needs recovery:'} {finding.fs}: {said}")
        good = good and finding.good
    return good


def last_times(running: backup.Load) -> dict[str, int]:
    return {name: writer.acknowledged()[-1].time for name, writer in running.writers.items()}


def story(suite: str, cpus: int, directory: Path) -> bool:
    prepare(suite)
    live = disks.new_set(directory / "live")
    chapter(f"A guest boots: {suite}'s unmodified kernel {kernels.kernel(suite).release}, "
            f"{cpus} CPU(s), {len(live)} disks (root ext4, and ext4, xfs, btrfs)")
    guest = Guest(suite, live, smp=cpus)
    try:
        with patience():
            guest.start()
        stack = serve(guest)
        chapter("Programs begin to write: fsync'ed records on every file system, SQLite, fio")
        with backup.Load(guest) as running:
            chapter("For comparison, the host copies the disks without asking the guest")
            unfrozen = disks.copy_all(guest.disks, directory / "unfrozen")
            before = last_times(running)
            chapter("The backup: what the host asks, and what it is answered")
            taken = back_up(guest, running, directory / "copies")
            running.wait_progress()
            tell("and all programs write on")
            tell_stalls(running, before, taken)
        tell_order(stack.stop_daemon())
        guest.check()
    finally:
        guest.stop()
    chapter("The copy without a freeze, checked by the file systems' own tools")
    control = tell_findings(unfrozen)
    chapter("The backup, checked by the same tools")
    good = tell_findings(taken.copies)
    chapter("Restored: a guest boots from the copy; first all read-only and without recovery")
    with patience():
        restored = backup.restore(taken, suite, directory / "restored", cpus)
    for name, found in restored.items():
        tell(f"{name:8} {found}")
    tell("mounted in the ordinary way then: nothing had to be recovered, all of it is there")
    chapter("The backup is good." if good and not control else "The backup is NOT proven good.")
    return good and not control


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/demo", description=__doc__)
    parser.add_argument("--suite", default=kernels.chosen("bookworm")[0],
                        help="whose kernel, as in HV_VSS_KERNELS (default %(default)s)")
    parser.add_argument("--cpus", type=int, default=2, help="of the guest (default 2)")
    arguments = parser.parse_args()
    os.environ["HV_VSS_KERNELS"] = arguments.suite      # for the kernels that need special disks
    directory = Path(tempfile.mkdtemp(prefix="hv-vss-demo."))
    try:
        return 0 if story(arguments.suite, arguments.cpus, directory) else 1
    except (cache.HarnessError, AssertionError) as error:
        print(f"\nhv-vss: the demo failed: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
