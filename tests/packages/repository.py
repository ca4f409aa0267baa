# SPDX-License-Identifier: GPL-2.0-only
"""The repository that whole systems install from: our packages in several versions, and the
distribution's own daemons.

The module is compiled before, on this machine, with the compiler of the suite: emulated, that
takes four minutes. The guest's dkms still builds it: it gets the object file in place of the C
files (kbuild calls that "shipped"), and does all the rest. That it compiles from its sources in
each suite's dkms is tried in test_deb.py.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import guest_system  # pylint: disable=import-error
from hvtest import cache

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
OLD, NEW, BROKEN, THEIRS_NEW = "0.0.9", "0.9.0", "0.9.1", "99.1"
KBUILD = "obj-m := hv_vss.o\nhv_vss-y := compiled.o\n"
BROKEN_SOURCE = "#error this kernel is newer than the driver\n"


def _our_packages(suite: str) -> Path:
    done = subprocess.run([HERE / "build-deb", suite], check=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.strip())


def _compile(suite: str, version: str, place: Path) -> tuple[Path, Path]:
    """The module's object file for the suite's kernel, and the suite's package of the
    distribution's daemons."""
    source = place / "source"
    subprocess.run(["make", "-s", "install-dkms-source", f"DESTDIR={source}"], cwd=TOP, check=True)
    tree = source / f"usr/src/hv-vss-{version}"
    system = guest_system.GuestSystem(suite, place / "system")
    system.copy_in(tree, "/build/hv-vss")
    system.sh(f"make -s -C /build/hv-vss module KDIR=/lib/modules/{system.kernel}/build")
    # As kbuild would, but before its checks of the whole, which the guest's makes.
    system.sh("mkdir /out; cd /build/hv-vss/src; rm -f hv_vss.o hv_vss.mod.o; "
              "ld -r -o /out/compiled.o *.o; cp /debs/hyperv-daemons_*.deb /out/")
    out = place / "system/upper/out"
    return out / "compiled.o", next(out.glob("*.deb"))


class _Maker:
    """Packages of other versions, made out of those that there are."""

    def __init__(self, work: Path, out: Path) -> None:
        self.work = work
        self.out = out

    def variant(self, deb: Path, version: str, edit=lambda tree: None) -> None:
        """The same package as another version."""
        tree = self.work / "variant"
        shutil.rmtree(tree, ignore_errors=True)
        cache.run("dpkg-deb", "-R", deb, tree)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub("^Version: .*", f"Version: {version}", control.read_text(),
                                  flags=re.M))
        edit(tree)
        name = f"{deb.name.split('_')[0]}_{version}_{deb.name.split('_')[2]}"
        cache.run("dpkg-deb", "--root-owner-group", "-Zgzip", "-b", tree, self.out / name)


def _module_edit(version: str, object_file: Path | None):
    """In the module's package: another version; compiled already, or not to be compiled at all."""
    def edit(tree: Path) -> None:
        old = next((tree / "usr/src").glob("hv-vss-*"))
        was = old.name.removeprefix("hv-vss-")
        new = old.rename(old.with_name(f"hv-vss-{version}"))
        for path in (new / "dkms.conf", tree / "DEBIAN/postinst", tree / "DEBIAN/prerm"):
            path.write_text(path.read_text().replace(was, version))
        sums = tree / "DEBIAN/md5sums"
        sums.unlink(missing_ok=True)
        for path in (new / "src").rglob("*.[ch]"):
            path.unlink()
        if object_file:
            (new / "src/Kbuild").write_text(KBUILD)
            shutil.copy(object_file, new / "src/compiled.o_shipped")
            # modpost looks there for what it was made of.
            (new / "src/.compiled.o.cmd").touch()
        else:
            (new / "src/Kbuild").write_text("obj-m := hv_vss.o\n")
            (new / "src/hv_vss.c").write_text(BROKEN_SOURCE)
    return edit


def disk(suite: str, version: str) -> Path:
    """The image of a disk with the repository; read-only."""
    ours = _our_packages(suite)

    def make(place: Path) -> None:
        cache.need("dpkg-dev", "e2fsprogs")
        with tempfile.TemporaryDirectory(prefix="hvtest.") as name:
            work = Path(name)
            out = place / "repo"
            out.mkdir()
            compiled, theirs = _compile(suite, version, work)
            maker = _Maker(work, out)
            shutil.copy(theirs, out)
            maker.variant(theirs, THEIRS_NEW)
            daemon = next(ours.glob("hv-vss-daemon_*.deb"))
            dkms = next(ours.glob("hv-vss-dkms_*.deb"))
            for number in (OLD, NEW):
                maker.variant(daemon, number)
                maker.variant(dkms, number, _module_edit(number, compiled))
            maker.variant(dkms, BROKEN, _module_edit(BROKEN, None))
        packages = cache.run("dpkg-scanpackages", "--multiversion", ".", cwd=out)
        text = "\n".join(line for line in packages.splitlines()
                         if not line.startswith("dpkg-scanpackages: info:"))
        (out / "Packages").write_text(text + "\n")
        image = place / "repo.img"
        with open(image, "wb") as file:
            file.truncate(64 << 20)
        cache.run("mke2fs", "-q", "-F", "-t", "ext4", "-d", out, image)

    key = cache.content_hash(suite, ours.parent.name, Path(__file__))
    return cache.made("repository", key, make, f"the repository for Debian {suite}") / "repo.img"
