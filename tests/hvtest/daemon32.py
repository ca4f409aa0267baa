# SPDX-License-Identifier: GPL-2.0-only
"""The daemon as a program of 32 bits, with the libraries that it needs: some guests have a user
land of 32 bits and a kernel of 64."""

from __future__ import annotations

import shutil
from functools import cache as once
from pathlib import Path

from . import cache

SUITE = "bookworm"
PACKAGES = "gcc,libc6-dev,libmount-dev,make,pkgconf"
SCRIPT = r"""
set -euo pipefail
. "$1/lib.sh"
# A processor of 64 bits runs it as it is: check for no emulator. The suite alone: nothing of it is
# newer, and its pockets are not always complete for i386.
hv_sources "$2" | sed "/^$/,\$d" > "$3/sources"
mmdebstrap --quiet --mode=root --arch=i386 --variant=apt --skip=check/qemu --include="$4" \
    --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Check-Valid-Until "false"' "$2" "$3/root" "$3/sources"
"""


@once
def _root() -> Path:
    """Debian's i386 with a compiler."""
    def make(place: Path) -> None:
        cache.need("mmdebstrap")
        cache.run("bash", "-c", SCRIPT, "sh", cache.TESTS, SUITE, place, PACKAGES)

    key = cache.content_hash(SUITE, PACKAGES, SCRIPT)
    return cache.made("i386", key, make, f"a build root of {SUITE}/i386") / "root"


@once
def files() -> dict[str, Path]:
    """What a guest of 64 bits needs to run it: paths, and the files."""
    root = _root()
    sources = [cache.TOP / "daemon", cache.TOP / "include"]
    kept = [p for top in sources for p in sorted(top.rglob("*"))
            if p.is_file() and (p.suffix in (".c", ".h") or p.name == "Makefile")]
    kept.append(cache.TOP / "dkms.conf")

    def make(place: Path) -> None:
        tree = place / "tree"
        for file in kept:
            target = tree / file.relative_to(cache.TOP)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        # The root does not change: the sources are mounted in a mount namespace of its own.
        cache.run("unshare", "--mount", "sh", "-ec", "mount --bind \"$1\" \"$2/mnt\"; "
                  "exec chroot \"$2\" make -C /mnt/daemon WARNINGS=\"-Wall -Wextra -Werror\"",
                  "sh", tree, root)
        shutil.copy(tree / "daemon/hv-vss-daemon", place / "hv-vss-daemon")
        shutil.rmtree(tree)

    key = cache.content_hash(root.parent.name, *(str(f.relative_to(cache.TOP)) for f in kept),
                             *kept)
    daemon = cache.made("daemon32", key, make, "hv-vss-daemon for i386") / "hv-vss-daemon"
    found = {"/usr/sbin/hv-vss-daemon": daemon}
    listed = cache.run("unshare", "--mount", "sh", "-ec", "mount --bind \"$1\" \"$2/mnt\"; exec "
                       "chroot \"$2\" /lib/ld-linux.so.2 --list /mnt/hv-vss-daemon", "sh",
                       daemon.parent, root)
    for word in listed.split():
        if word.startswith("/"):
            found[word] = root / word.lstrip("/")
    return found
