# SPDX-License-Identifier: GPL-2.0-only
"""The results as a table, for the terminal and as Markdown."""

from __future__ import annotations

from .results import FIGURES, Results, Row

HEADINGS = ("workload", "figure", "stock", "ours", "ours/stock", "target", "")


def _cells(row: Row, previous: str) -> tuple[str, ...]:
    return ("" if row.workload == previous else row.workload, FIGURES[row.figure],
            str(row.stock or "-"), str(row.ours or "-"),
            "-" if row.ratio is None else f"{row.ratio:.3f}",
            "" if row.target is None else f"≤ {row.target:g}", row.verdict)


def _lines(results: Results) -> list[tuple[str, ...]]:
    lines, previous = [HEADINGS], ""
    for row in results.rows():
        lines.append(_cells(row, previous))
        previous = row.workload
    return lines


def table(results: Results) -> str:
    """Medians (least–most), in columns."""
    lines = _lines(results)
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
            for line in lines]
    return "\n".join([*text, *_failures(results)])


def _failures(results: Results) -> list[str]:
    failures = results.failures()
    return ["", "Not answered with success:", *(f"  {f}" for f in failures)] if failures else []


def markdown(results: Results) -> str:
    """The whole report."""
    lines = _lines(results)
    text = ["# Results of `make bench`", "",
            "Made by the benchmark itself; medians (least–most) of interleaved runs, ours against "
            "the stock stack", "(`hv_utils` with Debian's `hv_vss_daemon`) in one boot.", "",
            "![latency of writes through a backup](latency.svg)", "",
            "| " + " | ".join(lines[0]) + " |", "|" + "---|" * len(HEADINGS)]
    text += ["| " + " | ".join(line) + " |" for line in lines[1:]]
    text += ["", "## Workloads", ""]
    for name, workload in results.data["workloads"].items():
        runs = workload["runs"]
        count = " and ".join(f"{len(runs[kind])} {kind}" for kind in runs)
        text.append(f"- **{name}**: {workload['what']} ({count}; {workload['began']}, commit "
                    f"{workload['commit']}, kernel {workload['kernel']})")
    failures = results.failures()
    if failures:
        text += ["", "## Not answered with success", "", *(f"- {f}" for f in failures)]
    return "\n".join(text) + "\n"
