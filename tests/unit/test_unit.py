# SPDX-License-Identifier: GPL-2.0-only
"""Each unit test program, built with ASan and UBSan; what it prints is the failure message."""
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent


@pytest.mark.parametrize("program", sorted(p.stem for p in HERE.glob("test_*.c")))
def test_unit(program):
    done = subprocess.run(["make", "-s", "-C", HERE, "check", f"T={program}"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = [line for line in done.stdout.splitlines() if line.startswith("ok ")]
    assert results, "no test was run:\n" + done.stdout + done.stderr
