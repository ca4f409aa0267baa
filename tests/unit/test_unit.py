# SPDX-License-Identifier: GPL-2.0-only
"""Each unit test program, once with ASan and UBSan and once with TSan; its output is the failure
message. All programs for one sanitizer are built together, by the first worker."""
import fcntl
import os
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = sorted(p.stem for p in HERE.glob("test_*.c"))
SANITIZERS = ("address,undefined", "thread")


def make(sanitize: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-s", "-k", f"-j{os.cpu_count()}", "-C", HERE,
                           f"SANITIZE={sanitize}", *words],
                          capture_output=True, text=True, check=False)


@pytest.fixture(name="built", scope="session", params=SANITIZERS)
def built_fixture(request) -> str:
    """Builds all programs. An error in one of them is reported by its own test."""
    with open(HERE / "Makefile", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make(request.param, "build")
    return request.param


@pytest.mark.parametrize("program", PROGRAMS)
def test_unit(built, program):
    done = make(built, "check", f"T={program}")
    assert done.returncode == 0, done.stdout + done.stderr
    results = [line for line in done.stdout.splitlines() if line.startswith("ok ")]
    assert results, "no test was run:\n" + done.stdout + done.stderr


def test_a_race_is_found():
    """Without this, a run in which TSan finds nothing would prove nothing."""
    done = make("thread", "check", "T=race")
    assert done.returncode != 0
    assert "WARNING: ThreadSanitizer: data race" in done.stderr, done.stdout + done.stderr
