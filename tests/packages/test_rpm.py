# SPDX-License-Identifier: GPL-2.0-only
"""The RPM packages: built from the archive that `make dist` makes, checked, and installed."""
import pathlib
import re
import shutil
import subprocess

import pytest

import guest_system
from rpms import build

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]


@pytest.fixture(name="packages", scope="module")
def packages_fixture(tmp_path_factory, version):
    """The packages of this version."""
    return build(tmp_path_factory.mktemp("rpm"), version)


def test_two_packages_and_the_source(packages, version):
    assert sorted(path.name for path in packages) == [
        f"hv-vss-{version}-1.src.rpm", f"hv-vss-daemon-{version}-1.x86_64.rpm",
        f"hv-vss-dkms-{version}-1.noarch.rpm"]


def test_rpmlint_has_nothing_more_to_say(packages):
    done = subprocess.run(["rpmlint", "-c", TOP / "rpm/hv-vss.rpmlintrc.toml",
                           TOP / "rpm/hv-vss.spec", *packages],
                          capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if re.search(": [EW]: ", line)]
    assert lines == []
    assert " 0 errors, 0 warnings" in done.stdout


@pytest.fixture(name="newer", scope="module")
def newer_fixture(tmp_path_factory):
    """The packages of another version, with another file of options."""
    def edit(text):
        text = re.sub(r"^(Version: +).*", r"\g<1>99.0.0", text, flags=re.M)
        return re.sub("^%setup -q$", r"\g<0>\necho '# more' >>systemd/hv-vss-daemon.default", text,
                      flags=re.M)

    return build(tmp_path_factory.mktemp("newer"), "99.0.0", edit)


RPM = "rpm --nodeps --dbpath /rpmdb"


@pytest.fixture(name="guest")
def guest_fixture(packages, newer, tmp_path):
    """A system with the packages of both versions in /rpms."""
    guest = guest_system.GuestSystem("trixie", tmp_path / "system")
    (tmp_path / "rpms").mkdir()
    for path in packages + newer:
        if not path.name.endswith(".src.rpm"):
            shutil.copy(path, tmp_path / "rpms")
    guest.copy_in(tmp_path / "rpms", "/rpms")
    return guest


def test_options_of_the_admin_are_kept(guest, version):
    """An upgrade keeps them; a removal renames them."""
    options = "/etc/sysconfig/hv-vss-daemon"
    old, new = (f"/rpms/hv-vss-daemon-{number}-1.x86_64.rpm" for number in (version, "99.0.0"))
    guest.sh(f"{RPM} -i {old}")
    assert guest.sh("rpm --dbpath /rpmdb -qc hv-vss-daemon").split() == [options]
    assert guest.sh(f"cat {options}") == (TOP / "systemd/hv-vss-daemon.default").read_text()
    guest.sh(f"echo mine >{options}; {RPM} -U {new}")
    assert guest.sh(f"cat {options}") == "mine\n"
    assert "# more" in guest.sh(f"cat {options}.rpmnew")
    guest.sh(f"{RPM} -e hv-vss-daemon")
    assert not guest.exists(options)
    assert guest.sh(f"cat {options}.rpmsave") == "mine\n"
    guest.sh(f"rm {options}.*; {RPM} -i {old}; {RPM} -e hv-vss-daemon")
    assert guest.sh(f"ls -d {options}* /etc/hv-vss 2>/dev/null || true") == ""


def test_module_package_through_its_life(guest, version):
    rpm = RPM
    guest.sh(f"{rpm} -i /rpms/hv-vss-dkms-{version}-1.noarch.rpm")
    asked = f"modinfo -k {guest.kernel} -F version hv_vss"
    assert guest.sh(asked).strip() == version
    guest.sh(f"{rpm} -U /rpms/hv-vss-dkms-99.0.0-1.noarch.rpm")
    assert guest.sh(asked).strip() == "99.0.0"
    assert "hv-vss/99.0.0" in guest.sh("dkms status") and version not in guest.sh("dkms status")
    guest.sh(f"{rpm} -e hv-vss-dkms")
    assert guest.sh("dkms status; ls -d /usr/src/hv-vss-* 2>/dev/null || true") == ""
    assert guest.run(asked).returncode != 0
