# SPDX-License-Identifier: GPL-2.0-only
"""The RPM packages: built from the archive that `make dist` makes, checked, and installed."""
import pathlib
import re
import shutil
import subprocess

import pytest

import guest_system

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
SOURCES = ["Makefile", "dkms.conf", "LICENSE", "README.md", "CHANGELOG.md", "src", "include",
           "daemon", "systemd", "rpm"]
# What EL and Fedora do to the files at the end of %install.
INSTALL_POST = "/usr/lib/rpm/brp-compress; find %{buildroot}%{_sbindir} -type f -exec strip {} +"


def build(where, version, spec_edit=lambda text: text):
    """Build the packages of this tree as it is; returns their paths."""
    names = subprocess.run(["git", "-c", f"safe.directory={TOP}", "ls-files", "-co",
                            "--exclude-standard", "--", *SOURCES],
                           cwd=TOP, check=True, capture_output=True, text=True).stdout.split()
    tree = where / f"hv-vss-{version}"
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, tree / name)
    conf = tree / "dkms.conf"
    conf.write_text(re.sub("^PACKAGE_VERSION=.*", f'PACKAGE_VERSION="{version}"',
                           conf.read_text(), flags=re.M))
    (where / "SOURCES").mkdir()
    subprocess.run(["tar", "-C", where, "-czf", where / f"SOURCES/hv-vss-{version}.tar.gz",
                    tree.name], check=True)
    spec = where / "hv-vss.spec"
    spec.write_text(spec_edit((TOP / "rpm/hv-vss.spec").read_text()))
    # --nodeps: what it needs has other names here.
    done = subprocess.run(["rpmbuild", "--nodeps", f"--load={HERE / 'rpm.macros'}", "--define",
                           f"_topdir {where}", "--define", f"__os_install_post {INSTALL_POST}",
                           "-ba", spec],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(where.glob("*RPMS/**/*.rpm"))


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
    """The packages of another version, whose file of options has changed as well."""
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


def test_options_are_the_admin_s(guest, version):
    """Kept by an upgrade; a removal puts them aside."""
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
