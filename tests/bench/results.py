# SPDX-License-Identifier: GPL-2.0-only
"""Results as they are kept (JSON), and what is to be read off them."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path

from .rig import OURS, STACKS, STOCK

# Greatest ratio ours/stock of the medians that is good enough, by workload and figure.
TARGETS = {
    ("dirty", "stall_buffered_ms"): 0.05,
    ("dirty-fsync", "stall_fsync_ms"): 0.3,
    ("dirty", "freeze_ms"): 0.35,
    ("idle", "freeze_ms"): 1.0,
    ("idle", "hot_backup_ms"): 1.0,
    ("binds-2000", "freeze_ms"): 0.2,
}
FIGURES = {
    "stall_buffered_ms": "longest stall of a buffered writer, ms",
    "stall_fsync_ms": "longest stall of an fsync writer, ms",
    "stall_random_ms": "longest stall of the random writer, ms",
    "hot_backup_ms": "HOT_BACKUP to answer, ms",
    "freeze_ms": "FREEZE to answer, ms",
    "thaw_ms": "THAW to answer, ms",
    "plan_ms": "of FREEZE the plan, ms",
    "standstill_ms": "file systems frozen before the answer, ms",
    "peak_kib": "most memory of the daemon, KiB",
    "wakeups": "wake-ups of the daemon",
    "rss_kib": "resident memory of the daemon, KiB",
    "peak_kib": "its peak, in a backup, KiB",
}


@dataclass(frozen=True)
class Spread:
    median: float
    least: float
    most: float
    count: int

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.least)}–{_short(self.most)})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


@dataclass(frozen=True)
class Row:
    """One line of the table."""
    workload: str
    figure: str
    stock: Spread | None
    ours: Spread | None

    @property
    def ratio(self) -> float | None:
        if not self.stock or not self.ours or not self.stock.median:
            return None
        return self.ours.median / self.stock.median

    @property
    def target(self) -> float | None:
        return TARGETS.get((self.workload, self.figure))

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        if self.ratio is None:
            return "no figure"
        return "met" if self.ratio <= self.target else "MISSED"


class Results:
    """By workload: what, when, of which commit, and the figures of every run by stack."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data: dict = {"workloads": {}}
        if path.exists():
            self.data = json.loads(path.read_text(encoding="utf-8"))

    def begin(self, name: str, facts: dict) -> None:
        """Forget earlier runs of that workload."""
        self.data["workloads"][name] = facts | {"runs": {kind: [] for kind in STACKS},
                                                "traces": {}}

    def add(self, name: str, kind: str, figures: dict) -> None:
        self.data["workloads"][name]["runs"][kind].append(figures)
        self.save()

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf-8")
        new.replace(self.path)

    def spread(self, name: str, kind: str, figure: str) -> Spread | None:
        values = [run[figure] for run in self.data["workloads"][name]["runs"][kind]
                  if run.get(figure) is not None]
        if not values:
            return None
        return Spread(statistics.median(values), min(values), max(values), len(values))

    def rows(self) -> list[Row]:
        rows = []
        for name in self.data["workloads"]:
            for figure in FIGURES:
                row = Row(name, figure, *(self.spread(name, kind, figure)
                                          for kind in (STOCK, OURS)))
                if row.stock or row.ours:
                    rows.append(row)
        return rows

    def failures(self) -> list[str]:
        """Whatever was not answered with success, or not at all."""
        return [f"{name}, {kind}, run {i + 1}: {failure}"
                for name, workload in self.data["workloads"].items()
                for kind in STACKS
                for i, run in enumerate(workload["runs"][kind])
                for failure in run["failures"]]
