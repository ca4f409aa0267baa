# SPDX-License-Identifier: GPL-2.0-only
"""The archive of `make dist`: the same bytes each time, and everything that a build needs."""
import os
import pathlib
import subprocess
import tarfile

import pytest

import guest_system

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(name="version", scope="module")
def version_fixture():
    """The version of the last commit, from which the archive is made."""
    text = subprocess.run(["git", "-c", "safe.directory=*", "show", "HEAD:dkms.conf"], cwd=TOP,
                          check=True, capture_output=True, text=True).stdout
    return text.partition('PACKAGE_VERSION="')[2].partition('"')[0]


@pytest.fixture(name="archive", scope="module")
def archive_fixture(tmp_path_factory, version):
    """Made in a clone, because it is written beside the Makefile."""
    return dist(tmp_path_factory.mktemp("dist") / "clone", version)


def dist(clone, version, umask=0o022, **environment):
    """The archive of the last commit, as made in a fresh clone."""
    subprocess.run(["git", "-c", "safe.directory=*", "clone", "-q", "--shared", TOP, clone],
                   check=True)
    subprocess.run(["make", "-s", "dist"], cwd=clone, check=True, umask=umask,
                   env=os.environ | environment)
    return clone / f"hv-vss-{version}.tar.gz"


def test_same_commit_gives_the_same_bytes(archive, tmp_path, version):
    again = dist(tmp_path / "elsewhere", version, umask=0o077, TZ="Asia/Tokyo", LC_ALL="C")
    assert archive.read_bytes() == again.read_bytes()


def test_has_everything_below_one_directory(archive, version):
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    assert {member.name.partition("/")[0] for member in members} == {f"hv-vss-{version}"}
    names = {member.name.partition("/")[2] for member in members}
    committed = subprocess.run(["git", "-c", "safe.directory=*", "ls-tree", "-r", "--name-only",
                                "HEAD"], cwd=TOP, check=True, capture_output=True,
                               text=True).stdout.split()
    assert set(committed) <= names
    assert {"Makefile", "LICENSE", "dkms.conf", "rpm/hv-vss.spec", "debian/control"} <= names
    assert not any(member.mode & 0o002 for member in members)


def test_builds_where_there_is_no_git(archive, tmp_path, version):
    guest = guest_system.GuestSystem("bookworm", tmp_path / "system")
    guest.sh("[ -z \"$(command -v git)\" ]")
    guest.copy_in(archive.parent, "/root/dist")
    # The Makefile's default: the module for the running kernel, and the daemon.
    guest.sh(f"cd /root && tar -xf dist/{archive.name} && make -s -C hv-vss-{version}")
    where = f"/root/hv-vss-{version}"
    assert guest.sh(f"modinfo -F version {where}/src/hv_vss.ko").strip() == version
    assert guest.sh(f"modinfo -F vermagic {where}/src/hv_vss.ko").split()[0] == guest.kernel
    assert version in guest.sh(f"{where}/daemon/hv-vss-daemon --version")


def test_rpm_takes_it_as_it_is(archive, tmp_path, version):
    done = subprocess.run(["rpmbuild", "--nodeps", "--define", f"_topdir {tmp_path}", "-ts",
                           archive], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in tmp_path.glob("SRPMS/*")] == [f"hv-vss-{version}-1.src.rpm"]
