# SPDX-License-Identifier: GPL-2.0-only
"""The daemon runs on the C library and the libmount of EL 7, and compiles with its gcc 4.8."""
from __future__ import annotations

import pathlib
import re
import subprocess

import pytest

from hvtest import build

TOP = pathlib.Path(__file__).resolve().parents[2]

# The oldest supported versions.
NEWEST = {"GLIBC": (2, 17), "MOUNT": (2, 23)}

# Functions that are older than their version here: linked on an old system, they get another version.
MOVED = {
    "GLIBC_2.33": {"stat", "lstat", "fstat", "fstatat"},        # were __xstat() and so on, inline
    "GLIBC_2.34": {"__libc_start_main",                         # lost two arguments that it ignores
                   "pthread_attr_setstacksize", "pthread_attr_setguardsize", "pthread_create",
                   "pthread_detach", "pthread_getattr_np", "pthread_join", "pthread_key_create",
                   "pthread_kill", "pthread_once", "pthread_setname_np", "pthread_sigmask",
                   "sem_init", "sem_post", "sem_wait"},         # were libpthread's
}


def too_young(symbols: str) -> list[str]:
    """The functions in the output of objdump -T that an old system lacks. Weak ones count, too: the
    loader refuses a program because of the version, whether or not the function is called."""
    found = re.findall(r"\*UND\*\s+[0-9a-f]+\s+\(?(([A-Z]+)_([\d.]+))\)?\s+(\S+)$", symbols, re.M)
    assert len(found) > 50, symbols
    return [f"{name}@{version}" for version, library, number, name in found
            if library not in NEWEST
            or tuple(int(n) for n in number.split(".")) > NEWEST[library]
            and name not in MOVED.get(version, set())]


@pytest.fixture(name="symbols", scope="module")
def symbols_fixture() -> str:
    return subprocess.run(["objdump", "-T", build.daemon()], check=True, text=True,
                          capture_output=True).stdout


def test_no_function_is_younger_than_promised(symbols):
    assert too_young(symbols) == []
    needed = subprocess.run(["objdump", "-p", build.daemon()], check=True, text=True,
                            capture_output=True).stdout
    assert set(re.findall(r"NEEDED\s+(\S+)", needed)) <= {"libmount.so.1", "libc.so.6"}


@pytest.mark.parametrize("line", [
    "(GLIBC_2.25) getrandom", "(GLIBC_2.26) reallocarray", "(GLIBC_2.34) closefrom",
    "(GLIBC_2.33) mallinfo2", "(MOUNT_2.35) mnt_fs_is_deleted", "(OPENSSL_3.0) SSL_new"])
def test_a_younger_function_would_be_found(symbols, line):
    added = f"0000000000000000  w   DF *UND*\t0000000000000000 {line}\n"
    name = line.split()[1]
    assert [found.split("@")[0] for found in too_young(symbols + added)] == [name]


def test_makefile_asks_for_what_is_promised():
    asked = re.search(r"--exists 'mount >= ([\d.]+)'", (TOP / "daemon/Makefile").read_text())
    assert asked and tuple(int(n) for n in asked.group(1).split(".")) == NEWEST["MOUNT"]


@pytest.mark.parametrize("dialect", ["gnu99", "gnu11"])
def test_the_daemon_compiles_in_the_dialect(dialect):
    """gcc 4.8 has gnu99; of gnu11 it lacks _Generic and <stdatomic.h>, which gnu99 does not have."""
    sources = sorted((TOP / "daemon").rglob("*.c"))
    assert len(sources) > 50
    mount = subprocess.run(["pkg-config", "--cflags", "mount"], check=True, text=True,
                           capture_output=True).stdout.split()
    done = subprocess.run(
        ["gcc", f"-std={dialect}", "-Wall", "-Wextra", "-Werror",
         "-D_GNU_SOURCE", '-DHV_VSS_VERSION="test"', "-fsyntax-only", "-I.",
         "-I../include/uapi", *mount, *sources],
        cwd=TOP / "daemon", text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    young = re.compile(r"_Generic\b|__auto_type|stdatomic\.h|__builtin_\w+_overflow|"
                       r"__has_attribute|fallthrough")
    assert [s.name for s in sources if young.search(s.read_text())] == []
