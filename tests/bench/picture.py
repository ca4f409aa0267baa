# SPDX-License-Identifier: GPL-2.0-only
"""The latency of writes through a backup, both stacks in one picture."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hvtest import cache

from .results import OURS, STOCK, Results

PANELS = (("dirty", "A program that writes to the page cache"),
          ("dirty-fsync", "A program that calls fsync after every write"))
BIN = 0.05              # seconds; of quick writes in one bin only the slowest is drawn
QUICK = 0.03
BEFORE, AFTER = 1.5, 1.5
COLOURS = {STOCK: "#d1495b", OURS: "#00798c"}
NAMES = {STOCK: "hv_utils + hv_vss_daemon", OURS: "hv-vss"}


def thin(trace: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Few enough points for a picture, no slow write left out."""
    kept: dict[int, tuple[float, float]] = {}
    slow = []
    for begin, latency in trace:
        if begin < -BEFORE:
            continue
        if latency >= QUICK:
            slow.append((round(begin, 4), round(latency, 6)))
            continue
        place = int(begin // BIN)
        if place not in kept or latency > kept[place][1]:
            kept[place] = (round(begin, 4), round(latency, 6))
    return sorted([*kept.values(), *slow])


def draw(results: Results, target: Path) -> bool:
    """Draw what there is; False if there is nothing."""
    panels = [(name, title) for name, title in PANELS
              if results.data["workloads"].get(name, {}).get("traces")]
    if not panels:
        return False
    cache.need("gnuplot-nox")
    script = _script(results, panels, target)
    result = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True, check=False)
    if result.returncode or not target.exists():
        raise cache.HarnessError(f"gnuplot: exit {result.returncode}\n{result.stderr}")
    return True


def _script(results: Results, panels: list[tuple[str, str]], target: Path) -> str:
    traces = {(name, kind): results.data["workloads"][name]["traces"].get(kind, [])
              for name, _ in panels for kind in (STOCK, OURS)}
    end = max((begin + latency for trace in traces.values() for begin, latency in trace
               if latency >= QUICK), default=1.0) + AFTER
    lines = [f"set terminal svg size 900,{330 * len(panels) + 40} font 'sans-serif,13' "
             "background '#ffffff'",
             f"set output '{target}'",
             "set termoption noenhanced",
             f"set multiplot layout {len(panels)},1",
             "set logscale y", "set yrange [0.00005:30]",
             "set ytics ('0.1 ms' 0.0001, '1 ms' 0.001, '10 ms' 0.01, '100 ms' 0.1, '1 s' 1, "
             "'10 s' 10)",
             f"set xrange [{-BEFORE}:{end:.1f}]", "set grid ytics lc '#dddddd'",
             "set tmargin 3.5", "set key at graph 1, 1.09 right horizontal samplen 2",
             "set arrow from 0, graph 0 to 0, graph 1 nohead lc '#888888' dt 2"]
    for name, title in panels:
        for kind in (STOCK, OURS):
            # A write is a bar as long as it takes, at the height of its latency.
            lines += [f"${name.replace('-', '_')}_{kind} << EOD",
                      *(f"{begin} {max(latency, 0.00006)} {max(latency, 0.02)}"
                        for begin, latency in traces[name, kind]), "EOD"]
    for name, title in panels:
        curves = [f"${name.replace('-', '_')}_{kind} using 1:2:3:(0) with vectors nohead lw 4 "
                  f"lc '{COLOURS[kind]}' title '{NAMES[kind]}'" for kind in (STOCK, OURS)]
        lines += [f"set label 1 '{title}' at graph 0, 1.2",
                  "set xlabel 'seconds since the host asked for FREEZE; a write is a bar as long "
                  "as it took'", "plot " + ", ".join(curves)]
    return "\n".join([*lines, "unset multiplot", "unset output"]) + "\n"
