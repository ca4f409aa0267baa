# SPDX-License-Identifier: GPL-2.0-only
"""Compiles for the tests: the host, the module for each kernel, the daemon, the guests' programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache as once
from pathlib import Path

from . import cache, coverage, kernels


@once
def guest_programs() -> Path:
    """Directory with the agent, writers, and users of the device."""
    source = cache.TESTS / "guest"

    def make(place: Path) -> None:
        cache.need("gcc", "make", "libc6-dev", "libsqlite3-dev")
        cache.run("make", "-C", source, f"OUT={place}")

    key = cache.content_hash(source, cache.TOP / "include/uapi")
    return cache.made("guest", key, make, "the programs for guests")


@once
def qemu() -> Path:
    """The emulated host; HV_VSS_QEMU names another one."""
    named = os.environ.get("HV_VSS_QEMU")
    if named:
        return Path(named)
    tool = cache.TESTS / "host/build"
    result = subprocess.run([str(tool)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            text=True, check=False)
    if result.returncode:
        raise cache.HarnessError(f"{tool}: exit {result.returncode}")
    return Path(result.stdout.strip().splitlines()[-1])


def _sources(*tops: Path) -> list[Path]:
    """The sources of modules."""
    return [p for top in tops for p in sorted(top.rglob("*"))
            if p.is_file() and (p.suffix in (".c", ".h") or p.name in ("Kbuild", "Makefile"))
            and not p.name.endswith(".mod.c")]


def _kernel_module(suite: str, built: str, files: list[Path]) -> Path:
    """Build these files; returns the module, whose path below the top of the tree is `built`."""
    kernel = kernels.kernel(suite)
    where, name = os.path.split(built)

    def copy_to(directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        for file in files:
            target = directory / file.relative_to(cache.TOP)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)

    def make_from_directory(place: Path) -> None:
        copy_to(place / "tree")
        log = kernel.source.build_module(place / "tree", place / "scratch")
        shutil.copy(place / "tree/src/hv_vss.ko", place / "hv_vss.ko")
        (place / "log").write_text(log)
        shutil.rmtree(place / "tree")

    def make(place: Path) -> None:
        if kernel.source:
            make_from_directory(place)
            return
        # Inside the build root, for its compiler.
        inside = Path("/tmp") / f"hv-vss.{os.getpid()}"
        outside = kernel.root / inside.relative_to("/")
        try:
            copy_to(outside)
            # objtool needs /proc; the mount namespace unmounts it at the end.
            script = 'mount -t proc proc "$1/proc"; exec chroot "$@"'
            counted = ["GCOV_PROFILE=y"] if suite == kernels.COVERAGE else []
            log = cache.run("unshare", "--mount", "sh", "-ec", script, "sh", kernel.root,
                            "make", "-s", "-C", f"/lib/modules/{kernel.release}/build",
                            f"M={inside}/{where}", *counted, "modules")
            shutil.copy(outside / built, place / name)
            for notes in (outside / where).glob("*.gcno"):
                shutil.copy(notes, place)
            (place / "log").write_text(log)
        finally:
            shutil.rmtree(outside, ignore_errors=True)

    how = [os.environ.get(name, "") for name in ("KMAKE", "KROOT")] if kernel.source else []
    key = cache.content_hash(kernel.release, kernel.root.name, *how,
                             *(str(f.relative_to(cache.TOP)) for f in files), *files)
    return cache.made("module", key, make, f"{name} for {kernel.release}") / name


@once
def module(suite: str) -> Path:
    """hv_vss.ko for the kernel of a suite, built with that suite's own compiler."""
    # dkms.conf has the version.
    return _kernel_module(suite, "src/hv_vss.ko", [
        *_sources(cache.TOP / "src", cache.TOP / "include"), cache.TOP / "dkms.conf"])


@once
def nomem(suite: str) -> Path:
    """nomem.ko, which makes vmbus_open() fail."""
    return _kernel_module(suite, "tests/nomem/nomem.ko", _sources(cache.TESTS / "nomem"))


@once
def daemon() -> Path:
    """hv-vss-daemon, built by the project's own Makefile."""
    sources = [cache.TOP / "daemon", cache.TOP / "include"]
    files = [p for top in sources for p in sorted(top.rglob("*"))
             if p.is_file() and (p.suffix in (".c", ".h") or p.name == "Makefile")]
    files.append(cache.TOP / "dkms.conf")       # which has the version

    def make(place: Path) -> None:
        cache.need("gcc", "make", "libc6-dev", "libmount-dev", "pkgconf")
        # A copy: another make may be running in the tree.
        for file in files:
            target = place / "tree" / file.relative_to(cache.TOP)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        cache.run("make", "-C", place / "tree/daemon", "WARNINGS=-Wall -Wextra -Werror", *counted)
        shutil.copy(place / "tree/daemon/hv-vss-daemon", place / "hv-vss-daemon")
        for notes in (place / "tree/daemon").rglob("*.gcno"):
            shutil.copy(notes, place)
        shutil.rmtree(place / "tree")

    counted = [f"CFLAGS={coverage.CFLAGS}", "HARDENING=-fPIE"] if coverage.wanted() else []
    key = cache.content_hash(*counted, *(str(f.relative_to(cache.TOP)) for f in files), *files)
    return cache.made("daemon", key, make, "hv-vss-daemon") / "hv-vss-daemon"
