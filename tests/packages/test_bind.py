# SPDX-License-Identifier: GPL-2.0-only
"""hv-vss-bind: moving the backup channel from hv_utils to our module and back, on a simulated sysfs."""
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
VSS = "{35fa2e29-ea23-4236-96ae-3a6ebacba440}"
HEARTBEAT = "{57164f39-9115-4e78-ab55-382f3bd5422d}"
# The device's node in this simulated guest: that of /dev/full.
NUMBER = (1, 7)
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

MODPROBE = """#!/bin/sh
for module; do :; done
echo "modprobe $module" >>"$HV_VSS_SYSFS/commands"
bus=$HV_VSS_SYSFS/bus/vmbus
if [ -e "$HV_VSS_SYSFS/refuse/$module" ]; then
	cat "$HV_VSS_SYSFS/refuse/$module" >&2
	exit 1
fi
mkdir -p "$bus/drivers/$module"
touch "$bus/drivers/$module/bind" "$bus/drivers/$module/unbind"
echo "$module" >>"$bus/order"
"""

# `stop` closes the device, as the daemon of that service would.
SYSTEMCTL = """#!/bin/sh
case "$*" in
"show -p MainPID "*) exec cat "$HV_VSS_PROC/MainPID" ;;
esac
echo "systemctl $*" >>"$HV_VSS_SYSFS/commands"
case "$*" in
"stop "*) rm -f "$HV_VSS_PROC"/*/fd/4 ;;
esac
"""


class Guest:
    """A tree that looks like the sysfs and proc of a guest, and the helper to run on it."""

    def __init__(self, where: pathlib.Path):
        self.processes: list[subprocess.Popen] = []
        self.sysfs = where / "sys"
        self.proc = where / "proc"
        self.bus = self.sysfs / "bus/vmbus"
        self.bin = where / "bin"
        for path in (self.bin, self.proc, self.sysfs / "refuse", where / "run", where / "tmp"):
            path.mkdir(parents=True)
        for name, text in (("modprobe", MODPROBE), ("systemctl", SYSTEMCTL)):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        self.node = where / "dev/vmbus/hv_vss"
        self.node.parent.mkdir(parents=True)
        os.mknod(self.node, 0o600 | stat.S_IFCHR, os.makedev(*NUMBER))
        number = self.sysfs / "class/misc/vmbus!hv_vss/dev"
        number.parent.mkdir(parents=True)
        number.write_text(f"{NUMBER[0]}:{NUMBER[1]}\n")
        source = (TOP / "systemd/hv-vss-bind").read_text()
        head, main = source.split("case ${1:-} in\n")
        fake = TOP / "tests/packages/fake_vmbus.sh"
        self.helper = where / "hv-vss-bind"
        self.helper.write_text(
            head.replace("patience=20", "patience=2") + f". {fake}\ncase ${{1:-}} in\n" + main)
        self.env = {"HV_VSS_SYSFS": str(self.sysfs), "HV_VSS_PROC": str(self.proc),
                    "HV_VSS_RUN": str(where / "run"), "HV_VSS_TMP": str(where / "tmp"),
                    "PATH": f"{self.bin}:{os.environ['PATH']}", "LC_ALL": "C"}

    def hyperv(self, *, driver: str | None, has_override: bool = True,
               loaded: tuple[str, ...] = ()) -> None:
        """A host that offers backup and heartbeat; `driver` has the backup channel."""
        (self.bus / "no_match").mkdir(parents=True)
        (self.bus / "order").write_text("".join(f"{name}\n" for name in loaded))
        for name in loaded:
            path = self.bus / "drivers" / name
            path.mkdir(parents=True)
            (path / "bind").touch()
            (path / "unbind").touch()
        for device, class_id in (("vss", VSS), ("heartbeat", HEARTBEAT)):
            path = self.bus / "devices" / device
            path.mkdir(parents=True)
            (path / "class_id").write_text(class_id + "\n")
            if has_override:
                (path / "driver_override").write_text("")
        utils = next((name for name in loaded if name != "hv_vss"), None)
        for device, owner in (("vss", driver), ("heartbeat", utils)):
            if owner:
                (self.bus / "devices" / device / "driver").symlink_to(f"../../drivers/{owner}")
            if owner == "hv_vss":
                (self.bus / "devices" / device / "hv_vss").mkdir()

    def channel(self, state: str) -> None:
        """Set the state of the channel that hv_vss reports, now and when it is bound."""
        (self.bus / "channel").write_text(state + "\n")
        now = self.bus / "devices/vss/hv_vss/channel"
        if now.parent.exists():
            now.write_text(state + "\n")

    def daemon(self, service: str | None, main: bool = True, comm: str = "hv_vss_daemon"
               ) -> subprocess.Popen:
        """A process that has the device open."""
        process = subprocess.Popen(["sleep", "60"])  # pylint: disable=consider-using-with
        self.processes.append(process)
        path = self.proc / str(process.pid)
        (path / "fd").mkdir(parents=True)
        (path / "fd/4").symlink_to(self.node)
        (path / "status").write_text("State:\tS (sleeping)\n")
        (path / "comm").write_text(comm + "\n")
        slice_ = f"/system.slice/{service}" if service else "/user.slice/session-1.scope"
        (path / "cgroup").write_text(f"0::{slice_}\n")
        (self.proc / "MainPID").write_text(f"MainPID={process.pid if main else 1}\n")
        return process

    def container(self, node: str, make: str) -> subprocess.Popen:
        """A process of user 65534 that has a file in its own /dev open."""
        script = f"mount -t tmpfs none /dev && mkdir /dev/vmbus && {make} {node} && " \
                 f"chown 65534 {node} && exec {' '.join(NOBODY)} sh -c 'exec 4>{node}; echo; " \
                 "exec sleep 60'"
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["unshare", "--mount", "sh", "-c", script], stdout=subprocess.PIPE)
        self.processes.append(process)
        assert process.stdout and process.stdout.readline() == b"\n", "it has opened its file"
        (self.proc / str(process.pid)).symlink_to(f"/proc/{process.pid}")
        return process

    def run(self, action: str) -> subprocess.CompletedProcess[str]:
        """Run the helper to its end."""
        return subprocess.run(["sh", self.helper, action], env=self.env, text=True, timeout=30,
                              capture_output=True, check=False)

    def driver(self, device: str = "vss") -> str | None:
        """Which driver has a device."""
        link = self.bus / "devices" / device / "driver"
        return os.path.basename(os.readlink(link)) if link.is_symlink() else None

    def override(self) -> str:
        """driver_override of the channel."""
        return (self.bus / "devices/vss/driver_override").read_text()

    def commands(self) -> list[str]:
        """The calls of modprobe and systemctl."""
        path = self.sysfs / "commands"
        return path.read_text().splitlines() if path.exists() else []

    def writes(self) -> list[str]:
        """What was written to sysfs."""
        path = self.bus / "log"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(name="guest")
def guest_fixture(tmp_path):
    """A guest; its processes are ended."""
    made = Guest(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize("action", ["claim", "release", "unloaded"])
def test_without_hyperv_is_silent_and_successful(guest, action):
    done = guest.run(action)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert guest.commands() == []


def test_without_the_channel_loads_nothing(guest):
    guest.hyperv(driver=None, loaded=("hv_utils",))
    (guest.bus / "devices/vss/class_id").write_text("{0}\n")
    done = guest.run("claim")
    assert (done.returncode, done.stderr, guest.commands()) == (0, "", [])
    assert guest.run("status").returncode == 3


@pytest.mark.parametrize("utils", ["hv_util", "hv_utils"])
@pytest.mark.parametrize("has_override", [True, False])
def test_claim_takes_the_channel_and_nothing_else(guest, utils, has_override):
    guest.hyperv(driver=utils, has_override=has_override, loaded=(utils, "hv_vss"))
    done = guest.run("claim")
    assert (done.returncode, done.stderr) == (0, "")
    assert (guest.driver(), guest.driver("heartbeat")) == ("hv_vss", utils)
    assert guest.run("status").returncode == 0
    if has_override:
        assert guest.override() == "hv_vss"


def test_claim_loads_the_module(guest):
    guest.hyperv(driver="hv_utils", loaded=("hv_utils",))
    assert guest.run("claim").returncode == 0
    assert guest.commands() == ["modprobe hv_vss"]
    assert guest.driver() == "hv_vss"


def test_claim_of_an_unbound_device(guest):
    guest.hyperv(driver=None, loaded=("hv_utils", "hv_vss"))
    assert guest.run("claim").returncode == 0
    assert guest.driver() == "hv_vss"


def test_claim_twice_changes_nothing_the_second_time(guest):
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    guest.run("claim")
    (guest.bus / "log").unlink()
    assert guest.run("claim").returncode == 0
    assert guest.writes() == ["hv_vss > devices/vss/driver_override"]
    assert guest.driver() == "hv_vss"


# What the system has, and what hv-vss-bind then says.
DKMS, UBUNTU = "var/lib/dkms/mok.pub", "var/lib/shim-signed/mok/MOK.der"
SECURE = {
    "nothing": ((), (), "install it, and run dkms build --force hv-vss/1.2 && dkms install"),
    "no key": (("openssl",), (), "DKMS before 3.0 does not sign"),
    "unsigned": (("mokutil",), (DKMS,), "if openssl is installed"),
    "dkms": (("openssl", "mokutil", "signed"), (DKMS,),
             "until its key is enrolled: mokutil --import /var/lib/dkms/mok.pub; then reboot"),
    "no mokutil": (("openssl", "signed"), (DKMS,),
                   "enrolled: install mokutil, then mokutil --import /var/lib/dkms/mok.pub;"),
    "ubuntu": (("openssl", "mokutil", "signed", "update-secureboot-policy"), (UBUNTU, DKMS),
               "enrolled: update-secureboot-policy --enroll-key; then reboot"),
    "ubuntu, no shim": (("openssl", "mokutil", "signed"), (UBUNTU,),
                        "mokutil --import /var/lib/shim-signed/mok/MOK.der;"),
    "requested": (("mokutil is already in the enrollment request", "signed"), (DKMS,),
                  "enrolled: reboot, and confirm"),
    "enrolled": (("mokutil is already enrolled", "signed"), (DKMS,), "though its key is enrolled"),
}
TOOLS = "cat sed head ls mkdir touch rm sort tr flock sleep mktemp chmod grep timeout stat readlink sh"


@pytest.mark.parametrize("case", SECURE)
def test_what_secure_boot_needs_depends_on_what_is_there(guest, case, tmp_path):
    programs, keys, said = SECURE[case]
    guest.hyperv(driver="hv_utils", loaded=("hv_utils",))
    (guest.sysfs / "refuse/hv_vss").write_text("modprobe: ERROR: Key was rejected by service\n")
    for name in TOOLS.split():
        (guest.bin / name).symlink_to(shutil.which(name))
    for program in (*programs, "modinfo"):
        name, _, says = program.partition(" ")
        if name == "modinfo":
            key = "AB:CD" if "signed" in programs else ""
            says = f'$(case $* in *sig_key*) echo {key} ;; *) echo 1.2 ;; esac)'
        (guest.bin / name).write_text(f"#!/bin/sh\necho \"{says}\"\n")
        (guest.bin / name).chmod(0o755)
    for key in keys:
        (tmp_path / "root" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / key).touch()
    guest.env |= {"PATH": str(guest.bin), "HV_VSS_ROOT": str(tmp_path / "root")}
    done = guest.run("claim")
    assert done.returncode == 0 and said in done.stderr, done.stderr


@pytest.mark.parametrize("why, hint", [
    ("modprobe: FATAL: Module hv_vss not found", False),
    ("modprobe: ERROR: could not insert 'hv_vss': Key was rejected by service", True)])
def test_without_the_module_nothing_is_taken(guest, why, hint):
    guest.hyperv(driver="hv_utils", loaded=("hv_utils",))
    (guest.sysfs / "refuse/hv_vss").write_text(why + "\n")
    done = guest.run("claim")
    assert done.returncode == 0
    assert why in done.stderr
    assert ("Secure Boot refuses" in done.stderr) == hint
    assert (guest.driver(), guest.override(), guest.writes()) == ("hv_utils", "", [])
    assert guest.run("status").returncode == 1


@pytest.mark.parametrize("has_override", [True, False])
def test_channel_is_given_back_when_the_module_fails_on_it(guest, has_override):
    guest.hyperv(driver="hv_utils", has_override=has_override, loaded=("hv_utils", "hv_vss"))
    (guest.bus / "no_match/hv_vss").touch()
    done = guest.run("claim")
    assert done.returncode == 1
    assert "giving it back" in done.stderr
    assert guest.driver() == "hv_utils"
    if has_override:
        assert guest.override() == ""


@pytest.mark.parametrize("state, why", [("no-memory", "no memory to open the channel"),
                                        ("refused", "does not let the channel be opened"),
                                        ("closed", "not open")])
def test_bound_is_not_serving(guest, state, why):
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    guest.channel(state)
    for _ in range(2):
        done = guest.run("claim")
        assert (done.returncode, guest.driver()) == (1, "hv_vss")
        assert why in done.stderr and "goes on trying" in done.stderr
    done = guest.run("status")
    assert (done.returncode, why in done.stdout) == (1, True), done.stdout
    guest.channel("open")
    assert (guest.run("claim").returncode, guest.run("status").returncode) == (0, 0)


def test_claim_waits_for_a_channel_that_is_opened_a_moment_later(guest):
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    guest.channel("no-memory")
    with subprocess.Popen(["sh", guest.helper, "claim"], env=guest.env) as claim:
        time.sleep(1)
        assert claim.poll() is None
        guest.channel("open")
    assert claim.returncode == 0


def test_hv_utils_does_not_get_what_it_could_not_open(guest):
    """It would make the kernel oops."""
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    guest.run("claim")
    guest.channel("refused")
    done = guest.run("release")
    assert (done.returncode, guest.driver()) == (1, "hv_vss")
    assert "does not let the channel be opened" in done.stderr
    # The channel can be opened now, though hv_vss has not tried yet.
    (guest.bus / "channel").write_text("open\n")
    assert (guest.run("release").returncode, guest.driver()) == (0, "hv_utils")


def test_older_module_serves_while_it_shows_anything(guest):
    guest.hyperv(driver="hv_vss", loaded=("hv_utils", "hv_vss"))
    assert guest.run("status").returncode == 0
    (guest.bus / "devices/vss/hv_vss").rmdir()
    assert guest.run("status").returncode == 1


def test_service_that_has_the_device_is_stopped_first_and_started_afterwards(guest):
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    guest.daemon("hypervvssd.service")
    done = guest.run("claim")
    assert done.returncode == 0
    assert guest.commands() == ["systemctl stop hypervvssd.service",
                                "systemctl --no-block start hypervvssd.service"]
    assert guest.driver() == "hv_vss"


@pytest.mark.parametrize("service", [None, "ssh.service"])
def test_daemon_run_by_hand_is_ended_but_no_service_around_it(guest, service):
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    daemon = guest.daemon(service, main=False)
    with subprocess.Popen(["sh", guest.helper, "claim"], env=guest.env) as claim:
        assert daemon.wait(timeout=10) == -15
        (guest.proc / str(daemon.pid) / "fd/4").unlink()
    assert claim.returncode == 0
    assert guest.commands() == []
    assert guest.driver() == "hv_vss"


@pytest.mark.parametrize("node, make", [
    ("/dev/vmbus/hv_vss", "touch"), ("/dev/vmbus/hv_vss", "f() { mknod $1 c 1 3; }; f")],
    ids=["file", "node"])
def test_a_name_does_not_make_a_holder(guest, node, make):
    """Any user can create a file with the name of the device."""
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    process = guest.container(node, make)
    done = guest.run("claim")
    assert (done.returncode, done.stderr) == (0, "")
    assert guest.driver() == "hv_vss"
    assert process.poll() is None, "it goes on"


def test_holder_that_knows_the_device_by_another_name(guest):
    """In a container the device can have another name."""
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    process = guest.container("/dev/vss", "f() { mknod $1 c 1 7; }; f")
    done = guest.run("claim")
    assert f"stopping process {process.pid}" in done.stderr
    assert process.wait(timeout=10) == -signal.SIGTERM
    assert guest.driver() == "hv_vss"


@pytest.mark.parametrize("old_mode", [None, 0o644])
def test_no_other_user_can_take_the_lock(guest, old_mode):
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    with tempfile.TemporaryDirectory() as run:
        os.chmod(run, 0o755)
        lock = pathlib.Path(run, "hv-vss-bind.lock")
        guest.env["HV_VSS_RUN"] = run
        if old_mode:
            lock.touch(old_mode)
        assert guest.run("release").returncode == 0
        assert lock.is_file()
        with subprocess.Popen([*NOBODY, "flock", lock, "sleep", "60"],
                              stderr=subprocess.PIPE) as other:
            guest.processes.append(other)
            time.sleep(0.5)
            assert guest.run("claim").returncode == 0
            other.kill()
            assert b"Permission denied" in other.stderr.read()
    assert guest.driver() == "hv_vss"


def test_the_channel_moves_though_systemd_has_ended_the_unit(guest):
    """claim starts another process for the work, which must outlive the unit."""
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    daemon = guest.daemon(None)
    with subprocess.Popen(["sh", guest.helper, "claim"], env=guest.env, stderr=subprocess.DEVNULL,
                          start_new_session=True) as claim:
        assert claim.wait(timeout=20) == 1
    unit = (TOP / "systemd/hv-vss-bind.service").read_text()
    mode = re.findall("^KillMode=(.*)", unit, re.M) or ["control-group"]
    if mode != ["process"]:
        os.killpg(claim.pid, signal.SIGKILL)
    (guest.proc / str(daemon.pid) / "fd/4").unlink()
    deadline = time.monotonic() + 10
    while guest.driver() != "hv_vss" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert guest.driver() == "hv_vss"


@pytest.mark.parametrize("frees_at_once", [False, True])
def test_process_that_keeps_the_device_is_named_and_the_channel_moves_later(guest, frees_at_once):
    """Also on a kernel that would free memory that this process still uses."""
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    if frees_at_once:
        (guest.bus / "frees_at_once").touch()
    daemon = guest.daemon(None)
    done = guest.run("claim")
    assert done.returncode == 1
    assert f"process {daemon.pid}" in done.stderr.splitlines()[-1]
    assert guest.driver() == "hv_utils"
    assert "devices/vss/driver_override" in guest.writes()[-1], "nothing was unbound"
    (guest.proc / str(daemon.pid) / "fd/4").unlink()
    # The lock is held until the channel has moved, so the next run waits.
    assert guest.run("claim").returncode == 0
    assert guest.driver() == "hv_vss"
    assert not (guest.bus / "oops").exists()


@pytest.mark.parametrize("utils", ["hv_util", "hv_utils"])
@pytest.mark.parametrize("has_override", [True, False])
def test_release_gives_the_channel_back(guest, utils, has_override):
    guest.hyperv(driver=utils, has_override=has_override, loaded=(utils, "hv_vss"))
    guest.run("claim")
    done = guest.run("release")
    assert (done.returncode, done.stderr) == (0, "")
    assert guest.driver() == utils
    if has_override:
        assert guest.override() == ""
    writes = len(guest.writes())
    assert guest.run("release").returncode == 0
    assert len(guest.writes()) == writes


def test_release_waits_for_a_daemon_that_is_freezing(guest):
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    guest.run("claim")
    status = guest.proc / str(guest.daemon("hv-vss-daemon.service").pid) / "status"
    status.write_text("State:\tD (disk sleep)\n")
    with subprocess.Popen(["sh", guest.helper, "release"], env=guest.env) as release:
        time.sleep(1)
        assert (release.poll(), guest.driver()) == (None, "hv_vss")
        status.write_text("State:\tS (sleeping)\n")
        assert release.wait(timeout=10) == 0
    assert guest.driver() == "hv_utils"


def test_daemon_that_goes_on_freezing_is_not_stopped(guest):
    """Stopped now, it would leave all that it has frozen so far."""
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    process = guest.daemon("hv-vss-daemon.service")
    (guest.proc / str(process.pid) / "status").write_text("State:\tD (disk sleep)\n")
    done = guest.run("claim")
    assert done.returncode == 1
    assert f"process {process.pid} has been freezing file systems for" in done.stderr
    assert guest.commands() == [] and process.poll() is None
    assert guest.driver() == "hv_utils"


def test_service_that_opens_the_device_after_its_holder_is_stopped_too(guest):
    """Our daemon waits for the device; claim waits for the holder. The daemon may be the first."""
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    first = guest.daemon(None)
    with subprocess.Popen(["sh", "-c", f"trap '' TERM; exec sh {guest.helper} claim"],
                          env=guest.env) as claim:
        time.sleep(0.5)
        shutil.rmtree(guest.proc / str(first.pid))
        guest.daemon("hv-vss-daemon.service", comm="hv-vss-daemon")
        until_stopped = time.monotonic() + 20
        while "systemctl stop hv-vss-daemon.service" not in guest.commands():
            assert time.monotonic() < until_stopped, guest.commands()
            time.sleep(0.1)
        claim.wait(30)


def test_release_stops_the_distributions_service_first(guest):
    """It logs an error if it loses its device; ours doesn't."""
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    guest.run("claim")
    own = guest.daemon("hv-vss-daemon.service", comm="hv-vss-daemon")
    assert guest.run("release").returncode == 0
    assert guest.commands() == []
    (guest.proc / f"{own.pid}/fd/4").unlink()
    guest.run("claim")
    guest.daemon("hv-vss-daemon.service")
    done = guest.run("release")
    assert "stopping hv-vss-daemon.service" in done.stderr
    assert guest.commands() == ["systemctl stop hv-vss-daemon.service",
                                "systemctl --no-block start hv-vss-daemon.service"]
    assert guest.driver() == "hv_utils"


@pytest.mark.parametrize("action", ["release", "unloaded"])
def test_release_after_the_module_was_unloaded(guest, action):
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    guest.run("claim")
    (guest.bus / "devices/vss/driver").unlink()
    for name in ("bind", "unbind"):
        (guest.bus / "drivers/hv_vss" / name).unlink()
    (guest.bus / "drivers/hv_vss").rmdir()
    assert guest.run(action).returncode == 0
    assert guest.driver() == "hv_utils"


def test_module_that_was_loaded_again_keeps_the_channel(guest):
    """udev may report the unloading only then."""
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    guest.run("claim")
    assert guest.run("unloaded").returncode == 0
    assert (guest.driver(), guest.override()) == ("hv_vss", "hv_vss")


def test_release_loads_the_missing_driver(guest):
    guest.hyperv(driver="hv_vss", loaded=("hv_vss",))
    assert guest.run("release").returncode == 0
    assert guest.commands() == ["modprobe hv_utils"]
    assert guest.driver() == "hv_utils"


def test_many_at_once_end_in_one_consistent_state(guest):
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    running = [subprocess.Popen(["sh", guest.helper, action], env=guest.env)
               for action in ["claim", "release"] * 5]
    assert [process.wait(timeout=30) for process in running] == [0] * 10
    driver, override = guest.driver(), guest.override()
    assert (driver, override) in [("hv_vss", "hv_vss"), ("hv_utils", "")]
    guest.run("claim")
    assert guest.driver() == "hv_vss"


def test_wrong_usage_is_refused(guest):
    done = guest.run("grab")
    assert done.returncode == 2
    assert "usage" in done.stderr
