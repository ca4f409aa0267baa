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
    guest.copy_in(staged / "usr/lib/modprobe.d", "/etc/modprobe.d")
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
    names -= {"guardian", "hook-runner", "kvp-writer"}   # how the daemon starts its helpers
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


# An interactive zsh that completes one word; prints what is on its screen.
ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "path=($1 \$path); fpath=($2 \$fpath); PROMPT= ; stty columns 200 rows 200
	autoload -Uz compinit; compinit -u -D; zstyle ':completion:*' verbose no; LISTMAX=1000; setopt nobeep
	echo begin''ning"
zpty -r shell text '*beginning*'
zpty -n -w shell "hv-vss-daemon $3"$'\t\t'
repeat 30; do
	sleep 0.1
	while zpty -r -t shell text; do print -r -- "$text"; done
done
"""


def test_zsh_completes_the_options_that_there_are(tmp_path):
    program = build.daemon()
    shutil.copy(TOP / "daemon/hv-vss-daemon.zsh-completion", tmp_path / "_hv-vss-daemon")

    def offered(begin):
        screen = subprocess.run(["zsh", "-fc", ZSH, "zsh", program.parent, tmp_path, begin],
                                check=True, capture_output=True, text=True, timeout=60).stdout
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", " ", screen)

    options = set(re.findall(r"--[a-z][a-z-]+", subprocess.run(
        [program, "--help"], check=True, capture_output=True, text=True).stdout))
    assert set(re.findall(r"--[a-z][a-z-]+", offered("--"))) == options
    # Its words are those that the daemon accepts.
    for option in ("--busy=", "--kernel-faults=", "--hook-failure=", "--foreign=", "--dead="):
        words = re.findall(r"\b(?:fail|wait|skip|warn|ignore|continue)\b", offered(option))
        assert len(set(words)) == 2, (option, words)
        for word in set(words):
            subprocess.run([program, option + word, "--version"], check=True, capture_output=True)


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


@pytest.fixture(name="hand")
def hand_fixture(tmp_path, tiny_tree):
    """A system with the source tree in /root/hv-vss. test_readme.py has a bare one."""
    guest = guest_system.GuestSystem("bookworm", tmp_path / "system")
    guest.copy_in(tiny_tree, "/root/hv-vss")
    return guest


def make(guest, *words):
    """Run make in the source tree; its result."""
    return guest.run(f"cd /root/hv-vss && make -s {' '.join(words)}")


def made(guest, *words):
    """The output of make, which must succeed."""
    done = make(guest, *words)
    assert done.returncode == 0, done.stdout
    return done.stdout


def files(guest):
    """What installing changes; not what depmod writes, and not a key for modules."""
    found = guest.sh("mkdir -p /var/lib/dkms; find /etc /usr /lib/ /var/lib/dkms ! -name 'modules.*' ! -name 'mok.*'")
    return {path for path in found.split() if not re.search("/updates(/dkms)?$", path)}


def seen_by_old_programs(guest, directory):
    """Our files for an udev or a kmod that reads /etc and a /lib that is not /usr/lib."""
    names = guest.sh(f"""for f in /etc/{directory}/* /lib/{directory}/*; do
        case $(readlink -f $f) in /usr/*) ;; *hv-vss*) echo $f ;; esac
    done""").split()
    return {pathlib.Path(name).name for name in names}


def test_make_install_and_uninstall(hand, version):
    before = files(hand)
    assert "Installed." in made(hand, "install")
    assert hand.sh(f"modinfo -k {hand.kernel} -F version hv_vss").strip() == version
    assert version in hand.sh("hv-vss-daemon --version")
    # It precedes the unit of the distribution, and does not replace it.
    assert hand.exists("/etc/systemd/system/hv-vss-daemon.service")
    for unit in ("hv-vss-bind.service", "hv-vss-daemon.service"):
        program = re.search(r"^ExecStart=(\S+)", hand.sh(f"cat /etc/systemd/system/{unit}"),
                            re.M).group(1)
        hand.sh(f"[ -x {program} ]")
    for program in set(re.findall(r'RUN\+="(\S+)', hand.sh("cat /etc/udev/rules.d/*hv-vss*"))):
        hand.sh(f"[ -x {program} ]")
    # Installing again or removing keeps an admin's changes.
    assert OPTIONS in hand.sh("cat /etc/default/hv-vss-daemon")
    hand.sh("echo mine >/etc/default/hv-vss-daemon")
    assert "Installed." in made(hand, "install"), "again"

    made(hand, "uninstall")
    assert hand.sh("cat /etc/default/hv-vss-daemon") == "mine\n"
    hand.sh("rm /etc/default/hv-vss-daemon")
    left = files(hand) - before
    # Directories that packages may have, too.
    assert {path for path in left if not hand.run(f"[ -d {path} ]").returncode == 0} == set()
    assert made(hand, "uninstall") is not None, "twice"
    assert files(hand) - before == left


def test_what_make_install_installs_is_read_by_old_programs_too(hand):
    """After a reboot they see only what lies in directories that they read."""
    made(hand, "install")
    assert seen_by_old_programs(hand, "udev/rules.d") == {"60-hv-vss.rules", "90-hv-vss-daemon.rules"}
    assert seen_by_old_programs(hand, "modprobe.d") == {"hv-vss.conf"}
    assert "softdep hv_utils pre: hv_vss" in hand.sh(f"modprobe -S {hand.kernel} --showconfig")
    assert hand.sh("systemctl is-enabled hv-vss-daemon") == "enabled\n"
    wants = hand.sh("readlink /etc/systemd/system/dev-vmbus-hv_vss.device.wants/*").split()
    assert wants == ["/etc/systemd/system/hv-vss-daemon.service"]


def test_make_install_replaces_every_other_version(hand, version):
    made(hand, "install")
    # What older ones have left: in dkms, in dkms without a source, and at their places for files.
    hand.sh(f"""cd /usr/src && for v in 0.0.8 0.0.9; do
            cp -a hv-vss-{version} hv-vss-$v
            sed -i "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\\"$v\\"/" hv-vss-$v/dkms.conf
            dkms add -m hv-vss -v $v && dkms build -m hv-vss -v $v
        done
        rm -r hv-vss-0.0.8; mkdir hv-vss-mine
        cp /etc/udev/rules.d/60-hv-vss.rules /usr/lib/udev/rules.d/""")
    made(hand, "install")
    known = hand.sh("dkms status")
    assert version in known and "0.0." not in known
    assert hand.sh("ls -d /usr/src/hv-vss-*").split() == [
        f"/usr/src/hv-vss-{version}", "/usr/src/hv-vss-mine"]
    hand.sh(f"cp -a /usr/src/hv-vss-{version} /usr/src/hv-vss-0.0.9")
    made(hand, "uninstall")
    assert hand.sh("dkms status; ls -d /usr/src/hv-vss-*").split() == ["/usr/src/hv-vss-mine"]
    assert hand.sh("find /lib/modules/ /usr/lib/udev /var/lib/dkms -name 'hv*vss*'") == ""


def test_make_uninstall_of_what_is_no_longer_whole(hand):
    """Files of an admin beside ours stay; what is missing is no error."""
    made(hand, "install")
    mine = ("/etc/hv-vss/hooks.d/mine", "/etc/systemd/system/hypervvssd.service.d/mine.conf",
            "/etc/systemd/system/hv-vss-daemon.service.d/mine.conf", "/usr/libexec/hv-vss/mine",
            "/usr/share/hv-vss/hooks/mine")
    for path in mine:
        hand.write(path, "")
    hand.sh("rm -r /etc/systemd/system/hv-vss-*.service /usr/src/hv-vss-* /usr/sbin/hv-vss-daemon")
    made(hand, "uninstall")
    made(hand, "uninstall")
    found = set(hand.sh("find /etc /usr /lib/ /var/lib/dkms -name 'hv*vss*' ! -type d; "
                        "find /etc/hv-vss /usr/share/hv-vss /usr/libexec/hv-vss /etc/systemd/system/h*.d "
                        "! -type d").split())
    assert {path for path in found if "/root/" not in path} == set(mine)


def test_make_install_changes_nothing_if_something_is_missing(hand):
    hand.sh("dpkg --force-depends --remove dkms dh-dkms libmount-dev >/dev/null 2>&1")
    hand.boot("9.9.9-cloud-amd64")
    before = files(hand)
    done = make(hand, "install")
    assert done.returncode != 0
    assert "apt-get install libmount-dev dkms linux-headers-9.9.9-cloud-amd64" in done.stdout
    assert "Nothing was changed." in done.stdout
    assert files(hand) == before
    hand.sh("rm /usr/bin/pkg-config /usr/bin/cc /usr/bin/gcc")
    assert "apt-get install build-essential pkg-config libmount-dev dkms" in make(hand, "install").stdout


def test_make_install_of_the_daemon_alone(hand):
    hand.sh("dpkg --force-depends --remove dkms dh-dkms >/dev/null 2>&1")
    assert "Installed." in made(hand, "install", "MODULE=no")
    assert hand.exists("/usr/sbin/hv-vss-daemon")
    assert hand.sh("find /etc /usr -name 'hv-vss-bind*' -o -name '*hv-vss.rules'") == ""
    made(hand, "uninstall")
    assert hand.sh("find /etc /usr -name 'hv*vss*'") == ""


def test_make_install_leaves_packages_alone(hand):
    hand.sh("""mkdir -p /tmp/p/DEBIAN; cd /tmp/p
        printf 'Package: hv-vss-daemon\\nVersion: 1\\nArchitecture: all\\nMaintainer: x\\nDescription: x\\n' \
            >DEBIAN/control
        dpkg-deb -b . /tmp/p.deb && dpkg -i /tmp/p.deb""")
    before = files(hand)
    for action in ("install", "uninstall"):
        done = make(hand, action)
        assert done.returncode != 0 and "apt-get purge hv-vss-daemon" in done.stdout
    assert files(hand) == before


NEEDS = {
    "debian": ('ID=ubuntu\nID_LIKE=debian\n', "6.8.0-1010-azure",
               "apt-get install build-essential pkg-config libmount-dev dkms "
               "linux-headers-6.8.0-1010-azure"),
    "el": ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "5.14.0-427.el9.x86_64",
           "yum install gcc /usr/bin/pkg-config libmount-devel dkms kernel-devel-5.14.0-427.el9.x86_64"),
    "oracle": ('ID="ol"\nID_LIKE="fedora"\n', "5.15.0-200.el8uek.x86_64",
               "kernel-uek-devel-5.15.0-200.el8uek.x86_64"),
    "suse": ('ID="sles"\nID_LIKE="suse"\n', "6.4.0-150600.23.47-default",
             "zypper install gcc pkg-config libmount-devel dkms kernel-default-devel=6.4.0-150600.23.47"),
    "other": ("ID=arch\n", "6.12.1-arch1-1", "dkms kernel-devel-6.12.1-arch1-1"),
}


@pytest.mark.parametrize("where", NEEDS)
def test_what_is_missing_is_named_as_the_distribution_does(tmp_path, where):
    release, kernel, command = NEEDS[where]
    (tmp_path / "os-release").write_text(release)
    (tmp_path / "uname").write_text(f"#!/bin/sh\necho {kernel}\n")
    (tmp_path / "uname").chmod(0o755)
    for name in ("dirname", "cat", "sed"):
        (tmp_path / name).symlink_to(shutil.which(name))
    done = subprocess.run(["/bin/sh", TOP / "systemd/needs", "install"], text=True, check=False,
                          env={"PATH": str(tmp_path), "HV_VSS_OS_RELEASE": str(tmp_path / "os-release"),
                               "HV_VSS_MODULES": str(tmp_path)}, capture_output=True)
    assert done.returncode == 1 and command in done.stderr, done.stderr
    assert ("EPEL" in done.stderr) == (where in ("el", "oracle"))
