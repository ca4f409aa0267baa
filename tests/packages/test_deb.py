# SPDX-License-Identifier: GPL-2.0-only
"""The Debian packages: built, checked, and installed beside the distribution's own daemons."""
import functools
import os
import pathlib
import re
import subprocess

import guest_system
import pytest

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
UNIT = "hv-vss-daemon.service"
OURS = "/usr/sbin/hv-vss-daemon"
THEIRS = "/usr/sbin/hv_vss_daemon"


@functools.lru_cache
def build(suite, *more):
    """Build the packages of a suite; returns where they are."""
    done = subprocess.run([HERE / "build-deb", suite, *more], check=True, stdout=subprocess.PIPE,
                          text=True)
    return pathlib.Path(done.stdout.strip())


# By default the oldest and the newest.
SUITES = os.environ.get("HV_VSS_SUITES", "bullseye trixie").split()


@pytest.fixture(params=SUITES)
def system(request, tmp_path):
    """A fresh system of a Debian suite."""
    return guest_system.GuestSystem(request.param, tmp_path / "system")


@pytest.fixture(name="guest")
def guest_fixture(system):
    """A system with our packages in /ours and the distribution's daemons in /debs."""
    system.copy_in(build(system.suite), "/ours")
    return system


def install(guest, what):
    """Install package files."""
    return guest.sh(f"dpkg -i {what}")


def newer(guest, deb, version, edit=":"):
    """The same package as a higher version, edited; returns its path."""
    guest.sh(f"""
        rm -rf /tmp/new && dpkg-deb -R {deb} /tmp/new
        sed -i 's/^Version: .*/Version: {version}/' /tmp/new/DEBIAN/control
        cd /tmp/new && {edit}
        dpkg-deb -b /tmp/new /tmp/new-{version}.deb
    """)
    return f"/tmp/new-{version}.deb"


# The unit that systemd uses: the first one in its list of directories.
FIND_UNIT = f"""
for f in /etc/systemd/system /etc/systemd/system.attached /usr/lib/systemd/system \
	/lib/systemd/system; do
	if [ -e "$f/{UNIT}" ] || [ -L "$f/{UNIT}" ]; then
		echo "# $f"
		cat "$f/{UNIT}"
		break
	fi
done
"""


def serving(guest):
    """The program that hv-vss-daemon.service would run; None if there is no such unit."""
    text = guest.sh(FIND_UNIT)
    found = re.findall(r"^ExecStart=(\S+)", text, re.M)
    assert len(found) == 1 or text == "", text
    return found[0] if found else None


def changed(guest, package):
    """Files that differ from the package; these systems have no documentation."""
    lines = guest.run(f"dpkg -V {package}").stdout.splitlines()
    return [line for line in lines if not re.search("/usr/share/(doc|man)(/|$)", line)]


def theirs_is_whole(guest):
    """hyperv-daemons is unchanged, and KVP is wanted by its device."""
    rules = guest.sh("cat /lib/udev/rules.d/60-hyperv-daemons.rules")
    return not changed(guest, "hyperv-daemons") and "hv-kvp-daemon.service" in rules and \
        guest.exists("/lib/systemd/system/hv-kvp-daemon.service")


def wanted(guest):
    """The service that udev's rules, in their order, select for the backup device."""
    rules = guest.sh("cd /lib/udev/rules.d; for f in $(ls | sort); do cat $f; echo; done")
    result = []
    for line in rules.replace("\\\n", "").splitlines():
        match = re.search(r'KERNEL=="vmbus/hv_vss".*ENV\{SYSTEMD_WANTS\}(\+?=)"([^"]*)"', line)
        if match:
            result = (result if match.group(1) == "+=" else []) + [match.group(2)]
    return [name for name in result if name]


def enabled(guest):
    """The state of the unit that systemd reports."""
    return guest.run(f"systemctl is-enabled {UNIT}").stdout.strip()


def links(guest):
    """Links that enable the unit, hide it, or are another name of it."""
    return guest.sh("find /etc/systemd/system -type l -name 'hv-vss-daemon*' -o -type l -name "
                    "'hypervvssd*' | sort").split()


HYPERV = "/debs/hyperv-daemons_*.deb"
DAEMON = "/ours/hv-vss-daemon_*.deb"


def test_ours_after_theirs_and_removed_again(guest):
    install(guest, HYPERV)
    assert serving(guest) == THEIRS
    install(guest, DAEMON)
    assert serving(guest) == OURS
    # The unit of the device wants it, if it is enabled.
    assert wanted(guest) == []
    assert enabled(guest) == "enabled"
    assert theirs_is_whole(guest)
    guest.sh("dpkg -r hv-vss-daemon")
    assert serving(guest) == THEIRS
    assert wanted(guest) == [UNIT]
    assert changed(guest, "hyperv-daemons") == []
    guest.sh("dpkg -P hv-vss-daemon")
    assert serving(guest) == THEIRS


def test_theirs_after_ours_and_ours_purged(guest):
    install(guest, DAEMON)
    install(guest, HYPERV)
    assert serving(guest) == OURS
    assert theirs_is_whole(guest)
    guest.sh("dpkg -P hv-vss-daemon")
    assert serving(guest) == THEIRS
    assert changed(guest, "hyperv-daemons") == []


@pytest.mark.parametrize("action", ["-r", "-P"], ids=["removed", "purged"])
def test_theirs_gone_leaves_ours(guest, action):
    install(guest, HYPERV)
    install(guest, DAEMON)
    guest.sh(f"dpkg {action} hyperv-daemons")
    assert serving(guest) == OURS
    assert changed(guest, "hv-vss-daemon") == []
    guest.sh("dpkg -P hv-vss-daemon")
    assert serving(guest) is None


def test_theirs_removed_before_ours_and_back_again(guest):
    install(guest, HYPERV)
    guest.sh("dpkg -r hyperv-daemons")
    install(guest, DAEMON)
    assert serving(guest) == OURS
    install(guest, HYPERV)
    assert serving(guest) == OURS
    guest.sh("dpkg -r hyperv-daemons")
    assert serving(guest) == OURS
    guest.sh("dpkg -P hv-vss-daemon")
    install(guest, HYPERV)
    assert serving(guest) == THEIRS


def test_options_of_the_admin_are_kept(guest):
    """An upgrade and a removal keep them, a purge removes them."""
    options = "/etc/default/hv-vss-daemon"
    mine = 'HV_VSS_OPTIONS="--hold=30"\n'
    install(guest, DAEMON)
    assert options in guest.sh("dpkg-query -W -f '${Conffiles}' hv-vss-daemon")
    assert guest.sh(f"cat {options}") == (TOP / "systemd/hv-vss-daemon.default").read_text()
    guest.write(options, mine)
    install(guest, newer(guest, DAEMON, "99.1"))
    assert guest.sh(f"cat {options}") == mine
    # The package's file has changed, too: dpkg asks, and this is the answer.
    newest = newer(guest, DAEMON, "99.2", f"echo '# more' >>.{options}")
    install(guest, f"--force-confold {newest}")
    assert guest.sh(f"cat {options}") == mine
    guest.sh("dpkg -r hv-vss-daemon")
    assert guest.sh(f"cat {options}") == mine
    install(guest, newest)
    assert guest.sh(f"cat {options}") == mine
    guest.sh("dpkg -P hv-vss-daemon")
    assert guest.sh(f"ls -d {options}* /etc/hv-vss 2>/dev/null || true") == ""


def test_switched_off_and_on_as_any_other_service(guest):
    install(guest, DAEMON)
    assert enabled(guest) == "enabled"
    guest.sh(f"systemctl disable {UNIT}")
    assert (enabled(guest), links(guest)) == ("disabled", [])
    install(guest, newer(guest, DAEMON, "99.1"))
    assert (enabled(guest), links(guest)) == ("disabled", [])
    guest.sh(f"systemctl enable {UNIT}")
    assert enabled(guest) == "enabled"
    guest.sh(f"systemctl mask {UNIT}")
    assert enabled(guest) == "masked"
    guest.sh(f"systemctl unmask {UNIT}")
    assert enabled(guest) == "enabled"
    guest.sh("dpkg -r hv-vss-daemon")
    assert links(guest) == []
    install(guest, DAEMON)
    assert enabled(guest) == "enabled", "it is new"
    guest.sh("dpkg -P hv-vss-daemon")
    assert links(guest) == []
    assert guest.sh("find /etc/systemd -name '*vss*' -o -name '*.attached'") == ""


def test_theirs_is_enabled_and_disabled_independently(guest):
    """The links of each package stay when the other one is removed."""
    install(guest, HYPERV)
    before = links(guest)
    install(guest, DAEMON)
    assert set(before) < set(links(guest))
    guest.sh("dpkg -P hv-vss-daemon")
    assert links(guest) == before
    install(guest, DAEMON)
    guest.sh("dpkg -P hyperv-daemons")
    assert enabled(guest) == "enabled"
    assert links(guest) == [f"/etc/systemd/system/dev-vmbus-hv_vss.device.wants/{UNIT}"]


def test_mask_by_an_admin_stays(guest):
    link = f"/etc/systemd/system/{UNIT}"
    guest.sh(f"ln -s /dev/null {link}")
    said = install(guest, DAEMON)
    assert "the service is masked" in said and f"systemctl unmask {UNIT[:-8]}" in said
    install(guest, HYPERV)
    guest.sh("dpkg -r hyperv-daemons")
    install(guest, newer(guest, DAEMON, "99.1"))
    assert guest.sh(f"readlink {link}").strip() == "/dev/null"


def test_upgrades_of_either_keep_ours(guest):
    install(guest, HYPERV)
    install(guest, DAEMON)
    install(guest, newer(guest, HYPERV, "99.1"))
    assert serving(guest) == OURS
    install(guest, newer(guest, DAEMON, "99.2"))
    assert serving(guest) == OURS
    assert theirs_is_whole(guest)
    # A unit that moves to /usr/lib, as between bookworm and trixie.
    move = "if [ -d lib ]; then cp -a lib usr/ && rm -r lib; fi"
    install(guest, newer(guest, HYPERV, "99.3", move))
    assert serving(guest) == OURS
    install(guest, newer(guest, DAEMON, "99.4", move))
    assert serving(guest) == OURS
    assert changed(guest, "hv-vss-daemon") == []
    guest.sh("dpkg -P hv-vss-daemon")
    assert serving(guest) == THEIRS
    assert changed(guest, "hyperv-daemons") == []


def test_upgrade_of_theirs_tells_ours(guest):
    install(guest, DAEMON)
    done = install(guest, HYPERV)
    assert "Processing triggers for hv-vss-daemon" in done


def test_module_package_through_its_life(guest, version):
    before = guest.sh("find /etc /lib/modules /usr/lib/modules /usr/src /var/lib/dkms | sort")
    done = install(guest, "/ours/hv-vss-dkms_*.deb")
    assert "DKMS" in done and "Backups go on" not in done
    assert version in guest.sh(f"modinfo -k {guest.kernel} -F version hv_vss")
    # hv_utils first asks for hv_vss.
    plan = guest.sh(f"modprobe -S {guest.kernel} --show-depends hv_utils")
    names = [pathlib.Path(line.split()[1]).name.split(".")[0] for line in plan.splitlines()
             if line.startswith("insmod")]
    assert "hv_utils" in names
    config = guest.sh(f"modprobe -S {guest.kernel} --showconfig")
    assert "softdep hv_utils pre: hv_vss" in config

    install(guest, newer(guest, "/ours/hv-vss-dkms_*.deb", f"{version}+1"))
    assert version in guest.sh(f"modinfo -k {guest.kernel} -F version hv_vss")

    broken = newer(guest, "/ours/hv-vss-dkms_*.deb", f"{version}+2",
                   "echo '#error no' >> usr/src/hv-vss-*/src/ic.c")
    done = install(guest, broken)
    assert "Backups go on with the kernel's own driver" in done
    assert guest.sh("dpkg-query -W -f '${Status}' hv-vss-dkms") == "install ok installed"
    assert guest.run(f"modinfo -k {guest.kernel} hv_vss").returncode != 0
    # The missing module is no error: hv_utils is loaded all the same.
    guest.sh(f"modprobe -S {guest.kernel} --show-depends hv_utils")

    guest.sh("dpkg -P hv-vss-dkms")
    after = guest.sh("find /etc /lib/modules /usr/lib/modules /usr/src /var/lib/dkms | sort")
    left = set(after.split()) - set(before.split())
    # The machine's signing key stays, and so do depmod's files.
    assert {path for path in left if "/modules." not in path and "/mok." not in path
            and path != "/var/lib/dkms/dkms_dbversion"} <= {
                f"{base}/{guest.kernel}/updates{more}" for base in
                ("/lib/modules", "/usr/lib/modules") for more in ("", "/dkms")}


def test_metapackage_pulls_both(guest, version):
    needs = guest.sh("dpkg-deb -f /ours/hv-vss_*.deb Depends").split(", ")
    assert needs == [f"hv-vss-daemon (>= {version})", f"hv-vss-dkms (>= {version})\n"]
    said = guest.run("dpkg -i /ours/hv-vss_*.deb").stdout
    assert "hv-vss depends on hv-vss-daemon" in said and "hv-vss depends on hv-vss-dkms" in said


def test_unit_says_where_it_comes_from(guest):
    install(guest, DAEMON)
    text = guest.sh(f"cat /etc/systemd/system.attached/{UNIT}")
    source = re.search(r"\[Unit\]\nSourcePath=(\S+)\n", text).group(1)
    assert text.replace(f"SourcePath={source}\n", "") == guest.sh(f"cat {source}")


def test_scripts_without_udev_and_systemd(guest):
    """As in a container or a chroot: no message of a command that is missing, and nothing is left."""
    programs = "udevadm systemctl deb-systemd-helper deb-systemd-invoke"
    guest.sh(f"for p in {programs}; do rm -f $(command -v $p); done; rm /lib/modules/*/build")
    # As if it had been booted, which is the case for which the scripts call these.
    booted = "mkdir -p /run/systemd/system; "
    for action in ("-i /ours/hv-vss-dkms_*.deb", "-r hv-vss-dkms", "-P hv-vss-dkms"):
        said = guest.sh(f"{booted} dpkg {action}")
        assert "udevadm" not in said, said


def test_documents_are_where_the_manual_says(guest):
    listed = guest.sh("dpkg-deb -c /ours/hv-vss-daemon_*.deb")
    for name in ("DESIGN.md", "README.md", "README.Debian"):
        assert re.search(rf"/usr/share/doc/hv-vss-daemon/{name}(\.gz)?$", listed, re.M), name
    assert "DESIGN.md, in the documentation's directory" in (TOP / "daemon/hv-vss-daemon.8").read_text()


def test_build_for_another_architecture_uses_its_compiler(tiny_tree, tmp_path):
    """PACKAGES.md has the result of a real one; here the other compiler is a stand-in."""
    log = tmp_path / "log"
    for name in ("gcc", "pkg-config"):
        path = tmp_path / f"aarch64-linux-gnu-{name}"
        path.write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >>{log}\n'
                        'while [ $# -gt 0 ]; do [ "$1" != -o ] || : >"$2"; shift; done\n')
        path.chmod(0o755)
    subprocess.run(["dpkg-architecture", "-f", "-aarm64", "-c", "make", "-s", "-f", "debian/rules",
                    "UNITDIR=/lib/systemd/system", "override_dh_auto_install-arch"], cwd=tiny_tree,
                   env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, check=True, capture_output=True)
    calls = log.read_text()
    assert "\naarch64-linux-gnu-gcc " in calls
    assert "aarch64-linux-gnu-pkg-config --libs mount" in calls
    assert (tiny_tree / "debian/hv-vss-daemon/usr/sbin/hv-vss-daemon").exists()


def test_lintian_has_nothing_to_say():
    packages = build("bookworm")
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning",
                           *packages.glob("*.changes")],
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    assert not list((TOP / "debian").glob("*lintian-overrides"))


def test_packages_are_reproducible():
    first = build("bookworm")
    second = build("bookworm", first)
    names = sorted(path.name for path in first.iterdir()
                   if path.suffix in (".deb", ".dsc", ".xz"))
    assert len(names) == 6
    different = [name for name in names
                 if (first / name).read_bytes() != (second / name).read_bytes()]
    assert different == []


def test_version_is_the_same_everywhere(version):
    changelog = (TOP / "debian/changelog").read_text()
    assert re.match(rf"hv-vss \({re.escape(version)}\) ", changelog)
    for page in ("src/hv_vss.4", "daemon/hv-vss-daemon.8"):
        assert f'"hv-vss {version}"' in (TOP / page).read_text(), page
    spec = (TOP / "rpm/hv-vss.spec").read_text()
    assert re.search(rf"^Version: +{re.escape(version)}$", spec, re.M)
    assert re.search(rf" {re.escape(version)}-1$", spec, re.M), "the spec's %changelog"


def test_autopkgtest(guest):
    """As the distribution runs it, with this system as the test bed."""
    guest.sh("apt-get -qq update")
    done = guest.run("autopkgtest -B /ours/hv-vss_*.dsc /ours/*.deb -- null")
    verdicts = dict(re.findall(r"^(\S+) +(PASS|FAIL|SKIP|FLAKY)\b", done.stdout, re.M))
    assert verdicts == {"daemon": "PASS", "module": "PASS"}, done.stdout
    assert done.returncode == 8, "all tests are marked superficial, for want of a Hyper-V"
