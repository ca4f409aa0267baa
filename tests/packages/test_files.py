# SPDX-License-Identifier: GPL-2.0-only
"""Units, udev rules, manual pages: udev, systemd and groff accept them, and they are complete."""
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

import guest_system
from hvtest import build

TOP = pathlib.Path(__file__).resolve().parents[2]
OPTIONS = "HV_VSS_OPTIONS"
PAGES = {"module": TOP / "src/hv_vss.4", "daemon": TOP / "daemon/hv-vss-daemon.8"}


@pytest.fixture(name="staged")
def staged_fixture(tmp_path):
    """What `make install` puts in place of all but the daemon itself."""
    stage = tmp_path / "stage"
    # Not built here: a file that is newer than its sources would be.
    subprocess.run(["make", "-s", "install-takeover", f"DESTDIR={stage}"], cwd=TOP, check=True)
    for name, place in (("hv-vss-daemon.service", "usr/lib/systemd/system"),
                        ("90-hv-vss-daemon.rules", "usr/lib/udev/rules.d")):
        (stage / place / name).write_bytes((TOP / "systemd" / name).read_bytes())
    return stage


def test_udev_and_systemd_understand_the_files(staged, tmp_path):
    guest = guest_system.GuestSystem("trixie", tmp_path / "system")
    guest.copy_in(staged, "/")
    guest.write("/usr/sbin/hv-vss-daemon", "#!/bin/sh\n", "755")
    guest.sh("udevadm verify --resolve-names=never /usr/lib/udev/rules.d/*hv-vss*.rules")
    out = guest.sh("systemd-analyze verify --man=no /usr/lib/systemd/system/hv-vss-*.service")
    assert out == ""


def test_softdep_is_read_and_a_missing_module_is_no_error(staged, tmp_path):
    guest = guest_system.GuestSystem("bullseye", tmp_path / "system")
    guest.copy_in(staged, "/")
    # Its kmod reads /lib only, which need not be /usr/lib there.
    guest.sh("mkdir -p /lib/modprobe.d; cp -n /usr/lib/modprobe.d/hv-vss.conf /lib/modprobe.d/")
    config = guest.sh(f"modprobe -S {guest.kernel} --showconfig")
    assert "softdep hv_utils pre: hv_vss" in config
    plan = guest.sh(f"modprobe -S {guest.kernel} --show-depends hv_utils")
    assert re.search(r"insmod \S*/hv_utils\.ko", plan)
    assert "hv_vss" not in plan


def test_unit_allows_what_systemd_does_not_know_by_name():
    """Older ones ignore groups they don't know: nothing would be left of an allow list."""
    unit = (TOP / "systemd/hv-vss-daemon.service").read_text()
    filters = re.findall("^SystemCallFilter=(.*)", unit, re.M)
    assert filters[0].startswith("~") and not re.search("^@| @", " ".join(filters[1:]))


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_manual_page_is_formatted_without_a_warning(page):
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", page], capture_output=True,
                          text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_manual_page_has_every_option_of_the_daemon():
    source = (TOP / "daemon/options.c").read_text()
    names = set(re.findall(r'\{ "([a-z-]+)", (?:no|required)_argument', source))
    names -= {"guardian", "hook-runner"}   # how the daemon starts its helpers
    assert len(names) > 8
    page = PAGES["daemon"].read_text().replace("\\-", "-")
    assert {name for name in names if f"--{name}" not in page} == set()
    others = re.sub("^.*(systemctl|docker) .*", "", page, flags=re.M)
    listed = set(re.findall(r"--([a-z-]+)", others))
    assert listed <= names


def complete(program, *words):
    """What bash would offer after these words."""
    script = f"source {TOP}/daemon/hv-vss-daemon.bash-completion; COMP_WORDS=({program} " \
             f"{' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words)}; _hv_vss_daemon; " \
             'printf "%s\\n" "${COMPREPLY[@]}"'
    return subprocess.run(["bash", "-c", script], check=True, capture_output=True,
                          text=True).stdout.split()


def test_bash_completes_the_options_that_there_are(tmp_path):
    program = build.daemon()
    offered = set(complete(program, "--"))
    assert len(offered) > 8
    assert offered == set(re.findall(r"--[a-z][a-z-]+", subprocess.run(
        [program, "--help"], check=True, capture_output=True, text=True).stdout))
    assert "--version" in complete(program, "--ver")
    (tmp_path / "a-file").touch()
    assert complete(program, "--device", "=", str(tmp_path / "a-")) == [str(tmp_path / "a-file")]


def test_manual_page_has_every_parameter_and_attribute_of_the_module():
    params = (TOP / "src/params.c").read_text()
    names = set(re.findall(r"module_param(?:_cb|_named)?\((\w+)", params))
    assert len(names) >= 4
    sysfs = (TOP / "src/sysfs.c").read_text()
    names |= set(re.findall(r"DEVICE_ATTR_RO\((\w+)\)", sysfs))
    names |= {f"guard_{name}" for name in re.findall(r"^GUARD_ATTR\((\w+),", sysfs, re.M)}
    names |= set(re.findall(r"\bCOUNT\((\w+), [A-Z]", sysfs))
    assert len(names) > 25
    page = PAGES["module"].read_text()
    assert {name for name in names if not re.search(rf"\b{name}\b", page)} == set()


def test_options_are_read_from_where_they_are_said_to_be():
    unit = (TOP / "systemd/hv-vss-daemon.service").read_text()
    places = set(re.findall("^EnvironmentFile=-(.*)", unit, re.M))
    assert places == {"/etc/default/hv-vss-daemon", "/etc/sysconfig/hv-vss-daemon"}
    assert f"/usr/sbin/hv-vss-daemon ${OPTIONS}" in unit
    for page in ("README.md", "daemon/hv-vss-daemon.8"):
        text = (TOP / page).read_text().replace("\\-", "-")
        assert set(re.findall(r"/etc/(?:default|sysconfig)/[\w-]+", text)) == places, page
        assert OPTIONS in text, page


def test_file_of_options_names_what_there_is():
    text = (TOP / "systemd/hv-vss-daemon.default").read_text()
    source = (TOP / "daemon/options.c").read_text()
    known = set(re.findall(r'\{ "([a-z-]+)", (?:no|required)_argument', source))
    named = set(re.findall(r"--([a-z][a-z-]*)", text))
    assert len(named) > 5 and named <= known
    # Unchanged, it sets nothing.
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == []
    assert f"\n#{OPTIONS}=" in text


def test_make_install_and_uninstall(tmp_path, version):
    guest = guest_system.GuestSystem("bookworm", tmp_path / "system")
    tree = tmp_path / "tree"
    names = subprocess.run(["git", "-c", f"safe.directory={TOP}", "ls-files", "-co",
                            "--exclude-standard", "--", "Makefile", "dkms.conf", "LICENSE", "src",
                            "include", "daemon", "systemd"],
                           cwd=TOP, check=True, capture_output=True, text=True).stdout.split()
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, tree / name)
    guest.copy_in(tree, "/root/hv-vss")
    where = "/etc /usr /lib /var/lib/dkms"
    before = guest.sh(f"find {where} ! -name 'modules.*' | sort")

    done = guest.sh("cd /root/hv-vss && make -s install")
    assert "Installed." in done
    assert guest.sh(f"modinfo -k {guest.kernel} -F version hv_vss").strip() == version
    assert version in guest.sh("hv-vss-daemon --version")
    # It precedes the unit of the distribution, and does not replace it.
    assert guest.exists("/etc/systemd/system/hv-vss-daemon.service")
    # Installing again or removing keeps an admin's changes.
    assert OPTIONS in guest.sh("cat /etc/default/hv-vss-daemon")
    guest.sh("echo mine >/etc/default/hv-vss-daemon")
    assert "Installed." in guest.sh("cd /root/hv-vss && make -s install"), "again"

    guest.sh("cd /root/hv-vss && make -s uninstall")
    assert guest.sh("cat /etc/default/hv-vss-daemon") == "mine\n"
    guest.sh("rm /etc/default/hv-vss-daemon")
    after = guest.sh(f"find {where} ! -name 'modules.*' | sort")
    left = {path for path in set(after.split()) - set(before.split())
            if not re.search("/mok[.]|/updates(/dkms)?$", path)}
    # Directories that packages may have, too.
    assert {path for path in left if not guest.run(f"[ -d {path} ]").returncode == 0} == set()
