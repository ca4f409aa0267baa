# SPDX-License-Identifier: GPL-2.0-only
"""The repository that whole systems install from: our packages in several versions, and the
distribution's own daemons.

The module is compiled on this machine, with the compiler of the suite, because that takes four
minutes in the emulated guest. The guest's dkms still builds it, from the object file instead of the
C files (kbuild calls that "shipped"). test_deb.py tests that each suite's dkms compiles the sources.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import guest_system  # pylint: disable=import-error
from hvtest import cache
from second_kernel import SecondKernel  # pylint: disable=import-error

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
OLD, NEW, BROKEN, THEIRS_NEW = "0.0.9", "0.9.0", "0.9.1", "99.1"
KBUILD = "obj-m := hv_vss.o\nhv_vss-y := compiled-$(KERNELRELEASE).o\n"
BROKEN_SOURCE = "#error this kernel is newer than the driver\n"


def _our_packages(suite: str) -> Path:
    done = subprocess.run([HERE / "build-deb", suite], check=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.strip())


def compile_module(suite: str, version: str, place: Path, second: SecondKernel | None = None
                   ) -> tuple[list[Path], Path]:
    """The module's object files, one for each kernel, and the suite's package of the
    distribution's daemons."""
    source = place / "source"
    subprocess.run(["make", "-s", "install-dkms-source", f"DESTDIR={source}"], cwd=TOP, check=True)
    tree = source / f"usr/src/hv-vss-{version}"
    system = guest_system.GuestSystem(suite, place / "system")
    system.sh("mkdir /out; cp /debs/hyperv-daemons_*.deb /out/")
    releases = [system.kernel]
    if second:
        system.copy_in(second.debs, "/second")
        # Only this package: trixie's depends on the kernel.
        system.sh("dpkg -i --force-depends /second/linux-headers-*.deb")
        releases.append(second.kernel.release)
    for release in releases:
        system.copy_in(tree, f"/build/{release}")
        system.sh(f"make -s -C /build/{release} module KDIR=/lib/modules/{release}/build")
        # As kbuild does, without its last checks, which the guest's kbuild makes.
        system.sh(f"cd /build/{release}/src; rm -f hv_vss.o hv_vss.mod.o; "
                  f"ld -r -o /out/compiled-{release}.o *.o")
    out = place / "system/upper/out"
    return [out / f"compiled-{release}.o" for release in releases], next(out.glob("*.deb"))


class _Maker:
    """Makes packages of other versions from existing ones."""

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


def _remove_sources(src: Path) -> None:
    for path in src.rglob("*.[ch]"):
        path.unlink()


def ship(src: Path, object_files: list[Path]) -> None:
    """Replace the module's sources by their object files."""
    _remove_sources(src)
    for path in object_files:
        shutil.copy(path, src / f"{path.name}_shipped")
        # modpost reads the names of the sources there.
        (src / f".{path.name}.cmd").touch()
    (src / "Kbuild").write_text(KBUILD)


def _module_edit(version: str, object_files: list[Path]):
    """Edit the module's package: another version; already compiled, or impossible to compile."""
    def edit(tree: Path) -> None:
        old = next((tree / "usr/src").glob("hv-vss-*"))
        was = old.name.removeprefix("hv-vss-")
        new = old.rename(old.with_name(f"hv-vss-{version}"))
        for path in (new / "dkms.conf", tree / "DEBIAN/postinst", tree / "DEBIAN/prerm"):
            path.write_text(path.read_text().replace(was, version))
        sums = tree / "DEBIAN/md5sums"
        sums.unlink(missing_ok=True)
        if object_files:
            ship(new / "src", object_files)
        else:
            _remove_sources(new / "src")
            (new / "src/Kbuild").write_text("obj-m := hv_vss.o\n")
            (new / "src/hv_vss.c").write_text(BROKEN_SOURCE)
    return edit


def disk(suite: str, version: str, second: SecondKernel | None = None) -> Path:
    """The image of a disk with the repository; read-only. second: a kernel that is in it, too, with the
    module compiled for it."""
    ours = _our_packages(suite)

    def make(place: Path) -> None:
        cache.need("dpkg-dev", "e2fsprogs")
        with tempfile.TemporaryDirectory(prefix="hvtest.") as name:
            work = Path(name)
            out = place / "repo"
            out.mkdir()
            compiled, theirs = compile_module(suite, version, work, second)
            maker = _Maker(work, out)
            shutil.copy(theirs, out)
            maker.variant(theirs, THEIRS_NEW)
            daemon = next(ours.glob("hv-vss-daemon_*.deb"))
            dkms = next(ours.glob("hv-vss-dkms_*.deb"))
            for number in (OLD, NEW):
                maker.variant(daemon, number)
                maker.variant(dkms, number, _module_edit(number, compiled))
            maker.variant(dkms, BROKEN, _module_edit(BROKEN, []))
            for path in second.debs.glob("*.deb") if second else ():
                shutil.copy(path, out)
        packages = cache.run("dpkg-scanpackages", "--multiversion", ".", cwd=out)
        text = "\n".join(line for line in packages.splitlines()
                         if not line.startswith("dpkg-scanpackages: info:"))
        (out / "Packages").write_text(text + "\n")
        image = place / "repo.img"
        with open(image, "wb") as file:
            file.truncate(64 << 20)
        cache.run("mke2fs", "-q", "-F", "-t", "ext4", "-d", out, image)

    key = cache.content_hash(suite, ours.parent.name, str(second), Path(__file__))
    return cache.made("repository", key, make, f"the repository for Debian {suite}") / "repo.img"
