# SPDX-License-Identifier: GPL-2.0-only
"""Run the benchmark, or print the report of an earlier run."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hvtest import cache

from . import picture, report
from .results import STACKS, Results
from .rig import Rig
from .workloads import Workload, all_workloads

# A stall of these is drawn; by workload.
DRAWN = {"dirty": "stall_buffered_ms", "dirty-fsync": "stall_fsync_ms"}
_BEGIN = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - _BEGIN:6.0f} s] {text}", file=sys.stderr, flush=True)


def chosen(names: str) -> list[Workload]:
    workloads = all_workloads()
    known = [w.name for w in workloads]
    unknown = set(names.split()) - set(known)
    if unknown:
        raise cache.HarnessError(f"no workload {', '.join(sorted(unknown))}; there are: "
                                 f"{', '.join(known)}")
    return [w for w in workloads if not names.split() or w.name in names.split()]


def commit() -> str:
    result = subprocess.run(["git", "-C", str(cache.TOP), "describe", "--always", "--dirty",
                             "--exclude=*"], capture_output=True, text=True, check=False)
    return result.stdout.strip() or "unknown"


def worst_trace(figures: dict, traces: list, best: dict, kind: str, name: str) -> None:
    """Keep the traces of a run, to draw that of the median run later."""
    if name in DRAWN and traces:
        worst = max(traces, key=lambda t: max((l for b, l in t if b + l > 0), default=0))
        best.setdefault(kind, []).append((figures[DRAWN[name]], picture.thin(worst)))


def median_trace(candidates: list) -> list:
    """Of the run whose stall is the median one."""
    ordered = sorted(candidates, key=lambda c: c[0])
    return ordered[(len(ordered) - 1) // 2][1]


def run_workload(rig: Rig, workload: Workload, runs: int, results: Results) -> None:
    runs = min(runs, workload.most_runs)
    say(f"{workload.name}: {workload.what}; {runs} runs of each stack")
    results.begin(workload.name, {
        "what": workload.what, "kernel": rig.kernel, "commit": commit(),
        "began": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())})
    workload.set_up(rig)
    kept: dict = {}
    for number in range(1, runs + 1):
        for kind in STACKS:
            rig.switch(kind)
            figures, traces = workload.run(rig)
            worst_trace(figures, traces, kept, kind, workload.name)
            results.add(workload.name, kind, figures)
            shown = "  ".join(f"{k} {v:.1f}" for k, v in figures.items()
                              if isinstance(v, float))
            say(f"  run {number}, {kind:5}: {shown}  {'; '.join(figures['failures'])}")
    workload.take_away(rig)
    rig.guest.check()
    results.data["workloads"][workload.name]["traces"] = {
        kind: median_trace(candidates) for kind, candidates in kept.items()}
    results.save()


def finish(results: Results, out: Path) -> bool:
    """Print and keep the report; are all targets met?"""
    found = results.data["workloads"]
    results.data["workloads"] = {w.name: found[w.name] for w in all_workloads() if w.name in found}
    results.save()
    print(report.table(results))
    (out / "RESULTS.md").write_text(report.markdown(results), encoding="utf-8")
    drawn = picture.draw(results, out / "latency.svg")
    say(f"report{' and picture' if drawn else ''}: {out}")
    return all(row.verdict in ("", "met") for row in results.rows())


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    parser.add_argument("--runs", type=int, default=int(os.environ.get("HV_VSS_BENCH_RUNS", 10)),
                        help="of each stack and workload (HV_VSS_BENCH_RUNS; default 10)")
    parser.add_argument("--only", default=os.environ.get("HV_VSS_BENCH_ONLY", ""),
                        help="names of workloads, separated by blanks (HV_VSS_BENCH_ONLY)")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("HV_VSS_BENCH_OUT") or
                                                         cache.root() / "results/bench"),
                        help="where results go, and replace those of the same workloads "
                             "(HV_VSS_BENCH_OUT)")
    parser.add_argument("--report", action="store_true", help="only of what is there already")
    arguments = parser.parse_args()
    try:
        workloads = chosen(arguments.only)
        results = Results(arguments.out / "results.json")
        if not arguments.report:
            measure_all(workloads, arguments.runs, results)
        finish(results, arguments.out)
        return 0
    except (cache.HarnessError, AssertionError) as error:
        print(f"\nhv-vss: the benchmark failed: {error}", file=sys.stderr)
        return 1


def measure_all(workloads: list[Workload], runs: int, results: Results) -> None:
    directory = Path(tempfile.mkdtemp(prefix="hv-vss-bench."))
    try:
        say("building what is missing, booting the guest")
        with Rig(directory / "disks") as rig:
            for workload in workloads:
                run_workload(rig, workload, runs, results)
            rig.unload()
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
