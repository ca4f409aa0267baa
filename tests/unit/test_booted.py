# SPDX-License-Identifier: GPL-2.0-only
"""The row of a kernel in tests/KERNELS.md, made from the output of tests/check."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

BOOTED = Path(__file__).resolve().parents[1] / "booted"
ABSENT = "SKIPPED [2] tests/system/test_device.py:71: not on this kernel: driver_override\n"
OTHER = "SKIPPED [1] tests/system/test_device.py:90: no network\n"


def cell(tmp_path: Path, log: str) -> tuple[int, str]:
    (tmp_path / "log").write_text(log)
    done = subprocess.run([BOOTED, "--cell", tmp_path / "log"], capture_output=True, text=True,
                          check=False)
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize("log, want", [
    ("24 passed, 0 failed, 0 skipped\n", "24 / 0 / 0"),
    (ABSENT + "not on this kernel: mount -o rescue (3 times)\n10 passed, 0 failed, 2 skipped\n",
     "10 / 2 / 0"),
    (ABSENT + OTHER + "FAILED tests/system/test_device.py::test_x - assert 1 == 2\n"
     "10 passed, 1 failed, 3 skipped\n", "10 / 2 / 1 (1 skipped)"),
    # pytest's own summary is another line.
    ("=== 3 passed, 1 skipped in 9.81s ===\n3 passed, 0 failed, 1 skipped\n", "3 / 0 / 0 (1 skipped)"),
])
def test_cell_has_the_numbers_of_the_run(tmp_path, log, want):
    assert cell(tmp_path, log) == (0, want)


@pytest.mark.parametrize("log", ["", "booting\nTerminated\n", "0 passed, 0 failed, 0 skipped\n",
                                 "24 passed, 0 failed"])
def test_run_without_a_summary_is_no_result(tmp_path, log):
    assert cell(tmp_path, log) == (1, "no result")


def test_kernel_must_be_named():
    done = subprocess.run([BOOTED], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "usage: booted KERNEL" in done.stderr
