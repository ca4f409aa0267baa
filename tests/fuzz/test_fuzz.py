# SPDX-License-Identifier: GPL-2.0-only
"""A short run of each fuzzer, from its committed corpus."""
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
FUZZERS = sorted(p.stem for p in HERE.glob("fuzz_*.c"))


@pytest.mark.parametrize("fuzzer", FUZZERS)
def test_fuzzer_finds_nothing_in_a_short_run(fuzzer):
    assert any((HERE / "corpus" / fuzzer.removeprefix("fuzz_")).iterdir())
    done = subprocess.run(["make", "-s", "-C", HERE, "run", f"T={fuzzer}", "SECONDS=10"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    runs = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
    assert int(runs[0].split()[-1]) > 10000
