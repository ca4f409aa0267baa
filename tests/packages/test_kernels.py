# SPDX-License-Identifier: GPL-2.0-only
"""The module is built for every kernel of Debian, and not built if a probe knows no answer."""
import pathlib
import re
import shutil
import subprocess

import pytest

import guest_system

TOP = pathlib.Path(__file__).resolve().parents[2]
# Guests boot those of amd64, each with the module built for it. All of them, for both: tests/kernels
# without arguments, ten minutes.
KERNELS = [("bullseye", "arm64"), ("sid", "arm64")]
UNOBTAINABLE = 3


def kernels(what: str, top: pathlib.Path = TOP) -> subprocess.CompletedProcess:
    """Run tests/kernels of the tree TOP."""
    return subprocess.run([top / "tests/kernels", what], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("suite, arch", KERNELS)
def test_newest_kernel_of_suite(suite, arch):
    done = kernels(f"{suite}/{arch}")
    if done.returncode == UNOBTAINABLE:
        pytest.skip(f"{suite}/{arch} is not to be had: {done.stderr.strip().splitlines()[-1]}")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    if (suite, arch) == ("bullseye", "arm64"):
        assert done.stdout.split()[1:] == ["hyperv=no"]
        return
    said = dict(word.split("=") for word in done.stdout.split()[1:])
    assert said["built"] == "yes"
    assert said["werror"] == "yes"
    assert said["sparse"] == "clean"
    assert said["symbols"] == "resolved"
    assert re.search(r"(^|,)thaw_super_", said["probes"])


@pytest.fixture(name="tree")
def tree_fixture(tmp_path):
    """A copy of what tests/kernels needs, for changes."""
    for name in ("src", "include"):
        shutil.copytree(TOP / name, tmp_path / name)
    shutil.copy(TOP / "dkms.conf", tmp_path)
    (tmp_path / "tests").mkdir()
    for name in ("kernels", "kernel-headers", "suite-root", "lib.sh"):
        shutil.copy(TOP / "tests" / name, tmp_path / "tests")
    return tmp_path


def test_shape_that_is_not_known_is_refused(tree):
    (tree / "src/compat/probe/thaw_super-holder.c").unlink()
    done = kernels("trixie", tree)
    assert done.returncode == 1
    assert "built=no" in done.stdout
    assert "kernel newer than supported: thaw_super has none of the known shapes" in done.stderr


def test_answers_that_contradict_each_other_are_refused(tree):
    probes = tree / "src/compat/probe"
    shutil.copy(probes / "remove-void.c", probes / "remove-int.c")
    done = kernels("trixie", tree)
    assert done.returncode == 1
    assert "kernel newer than supported: remove has more than one shape" in done.stderr


def test_headers_that_do_not_compile_are_not_taken_for_answers(tree):
    probe = tree / "src/compat/probe.h"
    probe.write_text(probe.read_text() + "#error broken\n")
    done = kernels("trixie", tree)
    assert done.returncode == 1
    assert "the headers of this kernel do not compile" in done.stderr


def test_warnings_of_ours_are_found(tree):
    source = tree / "src/sysfs.c"
    source.write_text(source.read_text() + "\nint not_declared(int a) { return a; }\n")
    done = kernels("trixie", tree)
    assert done.returncode == 1
    assert "werror=no" in done.stdout


PACKAGES_AGAIN = r"""
mkdir /again
headers=linux-headers-$(cat /running-kernel)
for package in $headers $(dpkg-query -W -f '${Depends}' $headers |
		grep -oE 'linux-(headers-[^ ,:]*-common|kbuild-[^ ,:]*)'); do
	mkdir -p /tree/DEBIAN
	dpkg-query -W -f 'Package: ${Package}\nVersion: ${Version}\nArchitecture: ${Architecture}\n' \
		$package >/tree/DEBIAN/control
	printf 'Maintainer: nobody <nobody@localhost>\nDescription: again\n' >>/tree/DEBIAN/control
	dpkg -L $package | tar -cf - --no-recursion -T - 2>/dev/null | tar -xf - -C /tree
	dpkg-deb -Znone --build /tree /again/$package.deb >/dev/null
	rm -rf /tree
done
"""


def test_local_packages_of_headers(tmp_path):
    """Packed again from the installed files, because a mirror removes old packages."""
    system = guest_system.GuestSystem("bookworm", tmp_path / "system")
    system.sh(PACKAGES_AGAIN)
    debs = sorted((tmp_path / "system/upper/again").glob("*.deb"))
    assert len(debs) == 3
    done = kernels(",".join(str(deb) for deb in debs))
    assert done.returncode == 0, done.stdout + done.stderr
    name, *words = done.stdout.split()
    assert name.endswith("/amd64")
    assert words[:4] == ["built=yes", "werror=yes", "sparse=clean", "symbols=resolved"]
    assert "thaw_super_1arg" in words[4]


@pytest.mark.parametrize("what", ["linux-headers-9.9.9-amd64.deb", "nosuchsuite", "."])
def test_a_path_without_a_kernel_is_an_error(tmp_path, what):
    """It is not skipped like a kernel that is not available."""
    what = str(tmp_path / what) if what != "nosuchsuite" else what
    done = kernels(what)
    assert (done.returncode, done.stdout) == (2, "")
    assert what in done.stderr
