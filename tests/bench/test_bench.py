# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark itself: one run of two workloads gives figures for both stacks, and a picture.
How good they are is not judged here: one run on a busy machine says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import picture, report
from bench.__main__ import run_workload
from bench.results import OURS, STOCK, Results
from bench.rig import Rig
from bench.workloads import AtRest, Metered, Workload

pytestmark = pytest.mark.xdist_group("bench")       # they share one guest


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    directory = tmp_path_factory.mktemp("bench")
    results = Results(directory / "results.json")
    rest = AtRest("rest", "waiting")
    rest.seconds = 3
    with Rig(directory / "disks") as rig:
        for workload in (Workload("idle", "nothing to write"),
                         Metered("dirty", "a little dirty", "buffered", 16), rest):
            run_workload(rig, workload, 1, results)
        rig.unload()
        rig.guest.check()
    return Results(results.path)    # as it was saved


@pytest.mark.parametrize("name, figures", [
    ("idle", ("hot_backup_ms", "freeze_ms", "thaw_ms")),
    ("dirty", ("hot_backup_ms", "freeze_ms", "thaw_ms", "stall_buffered_ms")),
    ("rest", ("wakeups", "rss_kib", "peak_kib")),
])
def test_every_figure_comes_out_for_both_stacks(results: Results, name: str, figures) -> None:
    rows = {row.figure: row for row in results.rows() if row.workload == name}
    for figure in figures:
        for spread in (rows[figure].stock, rows[figure].ours):
            assert spread and spread.count == 1
            assert spread.median > 0 or figure == "wakeups"


def test_no_request_was_refused(results: Results) -> None:
    assert results.failures() == []


def test_the_dirty_load_is_dirty_when_the_host_asks(results: Results) -> None:
    for kind in (STOCK, OURS):
        assert results.spread("dirty", kind, "dirty_mib").median >= 4 * 16


def test_a_waiting_daemon_of_ours_is_never_woken(results: Results) -> None:
    assert results.spread("rest", OURS, "wakeups").median == 0


def test_the_report_names_every_workload(results: Results) -> None:
    text = report.markdown(results)
    for name in results.data["workloads"]:
        assert f"**{name}**" in text and name in report.table(results)


def test_both_stacks_are_in_the_picture(results: Results, tmp_path: Path) -> None:
    target = tmp_path / "latency.svg"
    assert picture.draw(results, target)
    text = target.read_text(encoding="utf-8")
    for kind in (STOCK, OURS):
        assert picture.NAMES[kind] in text
        # A write that began before FREEZE, and one after.
        trace = results.data["workloads"]["dirty"]["traces"][kind]
        assert min(trace)[0] < 0 < max(trace)[0]
