# SPDX-License-Identifier: GPL-2.0-only
"""What the README says about installing, command by command, on a bare system: nothing is prepared, and
no package is installed that the commands don't install.

HV_VSS_SUITES names the suites. PACKAGES.md has the results. test_installed.py runs in booted guests
what the README has for them.
"""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import guest_system
import readme

HERE = pathlib.Path(__file__).resolve().parent
SUITES = os.environ.get("HV_VSS_SUITES", "trixie").split()


@pytest.fixture(name="bare", params=SUITES)
def bare_fixture(request, tmp_path, tiny_tree):
    """A bare system, with its suite's newest kernel running, and the unpacked source."""
    guest = guest_system.GuestSystem(request.param, tmp_path / "system", "bare")
    guest.sh("for p in make cc gcc dkms pkg-config; do ! command -v $p; done")
    guest.copy_in(tiny_tree, "/root/hv-vss")
    guest.write("/etc/resolv.conf", pathlib.Path("/etc/resolv.conf").read_text())
    # Without it nothing of the hooks for modules finds a system with modules.
    guest.sh(f"mkdir -p /lib/modules/{guest.kernel}")
    return guest


def type_in(guest, commands):
    """Run commands as an admin does, one after the other in one shell; returns the output."""
    return guest.sh("cd /root/hv-vss\nset -e\n" + "\n".join(commands))


def works(guest, version):
    """Both parts are installed, for the running kernel."""
    assert guest.sh("hv-vss-daemon --version").strip() == version
    # By its path: there is no kernel, so newer ones of depmod write no list of modules.
    module = guest.sh(f"find /lib/modules/{guest.kernel}/ -name 'hv_vss.ko*'")
    assert guest.sh(f"modinfo -F version {module}").strip() == version
    assert guest.sh("systemctl is-enabled hv-vss-daemon").strip() == "enabled"


def test_debian_packages(bare, version):
    commands = readme.block("Debian and Ubuntu")
    assert "make deb" in commands and len(commands) >= 4
    type_in(bare, commands)
    works(bare, version)
    assert bare.sh("dpkg --audit; cd /root/hv-vss && ls dist") == "".join(
        f"{name}\n" for name in (f"hv-vss-daemon_{version}_amd64.deb",
                                 f"hv-vss-dkms_{version}_all.deb", f"hv-vss_{version}_all.deb"))
    removal = re.search(r"`(apt-get purge [a-z -]+)`", readme.TEXT).group(1)
    type_in(bare, [removal])
    assert bare.sh("find /etc /usr /var/lib/dkms -name 'hv*vss*'") == ""


def test_make_install_says_what_it_needs(bare, version):
    """The command that it prints is all that is needed."""
    type_in(bare, ["apt-get update", "apt-get install make"])
    commands = readme.block("Other distributions")
    assert commands == ["make install"]
    before = bare.sh("find /etc /usr | sort")
    done = bare.run(f"cd /root/hv-vss && {commands[0]}")
    assert done.returncode != 0 and "Nothing was changed" in done.stdout, done.stdout
    assert bare.sh("find /etc /usr | sort") == before
    type_in(bare, [re.search(r"As root:\n +(.*)", done.stdout).group(1), *commands])
    works(bare, version)
    type_in(bare, ["make uninstall", "make uninstall"])
    assert bare.sh("find /etc /usr /var/lib/dkms -name 'hv*vss*'") == ""


def test_make_deb_says_what_it_needs(tiny_tree, tmp_path):
    """Without dpkg-buildpackage; and nothing is left in the tree."""
    for name in ("sh", "dirname", "cat", "sed", "uname"):
        (tmp_path / name).symlink_to(shutil.which(name))
    before = sorted(tiny_tree.rglob("*"))
    done = subprocess.run([shutil.which("make"), "deb"], cwd=tiny_tree, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={"PATH": str(tmp_path)})
    assert done.returncode != 0
    needed = readme.block("Debian and Ubuntu")
    for command in needed[:needed.index("make deb")]:
        assert command in done.stdout, (command, done.stdout)
    assert sorted(tiny_tree.rglob("*")) == before


def test_make_rpm(tiny_tree, version):
    """As the README says, apart from the names of packages here."""
    commands = readme.block("EL and Fedora")
    assert "make rpm" in commands
    done = subprocess.run(
        ["make", "-s", "rpm", f"RPMBUILD_FLAGS=--nodeps --load={HERE / 'rpm.macros'}"], cwd=tiny_tree,
        text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert sorted(path.name for path in (tiny_tree / "dist").iterdir()) == [
        f"hv-vss-daemon-{version}-1.x86_64.rpm", f"hv-vss-dkms-{version}-1.noarch.rpm"]
    assert commands[-1].endswith(" ./dist/*.rpm")
