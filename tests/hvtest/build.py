# SPDX-License-Identifier: GPL-2.0-only
"""What is compiled for the tests: the host, the module for each kernel, the daemon, the guests'
programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache as once
from pathlib import Path

from . import cache, kernels


@once
def guest_programs() -> Path:
    """Directory with agent, writers, and users of the device."""
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


@once
def module(suite: str) -> Path:
    """hv_vss.ko for the kernel of a suite, built with that suite's own compiler."""
    kernel = kernels.kernel(suite)
    sources = [cache.TOP / "src", cache.TOP / "include"]
    files = [p for top in sources for p in sorted(top.rglob("*"))
             if p.is_file() and (p.suffix in (".c", ".h") or p.name in ("Kbuild", "Makefile"))
             and not p.name.endswith(".mod.c")]
    files.append(cache.TOP / "dkms.conf")       # which has the version

    def make(place: Path) -> None:
        # Beneath the build root, where its compiler sees it.
        inside = Path("/tmp") / f"hv-vss.{os.getpid()}"
        outside = kernel.root / inside.relative_to("/")
        shutil.rmtree(outside, ignore_errors=True)
        try:
            for file in files:
                target = outside / file.relative_to(cache.TOP)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
            # objtool wants a /proc, which a mount namespace of its own takes away again.
            script = 'mount -t proc proc "$1/proc"; exec chroot "$@"'
            log = cache.run("unshare", "--mount", "sh", "-ec", script, "sh", kernel.root,
                            "make", "-s", "-C", f"/lib/modules/{kernel.release}/build",
                            f"M={inside}/src", "modules")
            shutil.copy(outside / "src/hv_vss.ko", place / "hv_vss.ko")
            (place / "log").write_text(log)
        finally:
            shutil.rmtree(outside, ignore_errors=True)

    key = cache.content_hash(kernel.release, kernel.root.name,
                             *(str(f.relative_to(cache.TOP)) for f in files), *files)
    return cache.made("module", key, make, f"hv_vss.ko for {kernel.release}") / "hv_vss.ko"


@once
def daemon() -> Path:
    """hv-vss-daemon, built by the project's own Makefile."""
    sources = [cache.TOP / "daemon", cache.TOP / "include"]
    files = [p for top in sources for p in sorted(top.rglob("*"))
             if p.is_file() and (p.suffix in (".c", ".h") or p.name == "Makefile")]
    files.append(cache.TOP / "dkms.conf")       # which has the version

    def make(place: Path) -> None:
        cache.need("gcc", "make", "libc6-dev", "libmount-dev", "pkgconf")
        # A copy: another make may be at work in the tree itself.
        for file in files:
            target = place / "tree" / file.relative_to(cache.TOP)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        cache.run("make", "-C", place / "tree/daemon", "WARNINGS=-Wall -Wextra -Werror")
        shutil.copy(place / "tree/daemon/hv-vss-daemon", place / "hv-vss-daemon")
        shutil.rmtree(place / "tree")

    key = cache.content_hash(*(str(f.relative_to(cache.TOP)) for f in files), *files)
    return cache.made("daemon", key, make, "hv-vss-daemon") / "hv-vss-daemon"
