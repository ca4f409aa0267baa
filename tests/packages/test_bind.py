# SPDX-License-Identifier: GPL-2.0-only
"""hv-vss-bind: taking the backup channel from hv_utils and giving it back, on a made-up sysfs."""
import os
import pathlib
import subprocess
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
VSS = "{35fa2e29-ea23-4236-96ae-3a6ebacba440}"
HEARTBEAT = "{57164f39-9115-4e78-ab55-382f3bd5422d}"
NODE = "/dev/vmbus/hv_vss"

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

    def daemon(self, service: str | None, main: bool = True, comm: str = "hv_vss_daemon"
               ) -> subprocess.Popen:
        """A process that has the device open."""
        process = subprocess.Popen(["sleep", "60"])  # pylint: disable=consider-using-with
        self.processes.append(process)
        path = self.proc / str(process.pid)
        (path / "fd").mkdir(parents=True)
        (path / "fd/4").symlink_to(NODE)
        (path / "status").write_text("State:\tS (sleeping)\n")
        (path / "comm").write_text(comm + "\n")
        slice_ = f"/system.slice/{service}" if service else "/user.slice/session-1.scope"
        (path / "cgroup").write_text(f"0::{slice_}\n")
        (self.proc / "MainPID").write_text(f"MainPID={process.pid if main else 1}\n")
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
        """What driver_override of the channel says."""
        return (self.bus / "devices/vss/driver_override").read_text()

    def commands(self) -> list[str]:
        """What was run of modprobe and systemctl."""
        path = self.sysfs / "commands"
        return path.read_text().splitlines() if path.exists() else []

    def writes(self) -> list[str]:
        """What was written to sysfs."""
        path = self.bus / "log"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(name="guest")
def guest_fixture(tmp_path):
    """A guest; what it ran is ended."""
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


@pytest.mark.parametrize("why, hint", [
    ("modprobe: FATAL: Module hv_vss not found", False),
    ("modprobe: ERROR: could not insert 'hv_vss': Key was rejected by service", True)])
def test_without_the_module_nothing_is_taken(guest, why, hint):
    guest.hyperv(driver="hv_utils", loaded=("hv_utils",))
    (guest.sysfs / "refuse/hv_vss").write_text(why + "\n")
    done = guest.run("claim")
    assert done.returncode == 0
    assert why in done.stderr
    assert ("mokutil --import" in done.stderr) == hint
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


def test_who_does_not_let_go_is_named_and_the_channel_follows_later(guest):
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    daemon = guest.daemon(None)
    done = guest.run("claim")
    assert done.returncode == 1
    assert f"process {daemon.pid}" in done.stderr.splitlines()[-1]
    assert guest.driver() == "hv_utils"
    (guest.proc / str(daemon.pid) / "fd/4").unlink()
    # The lock is held until the switch is done, so the next run comes after it.
    assert guest.run("claim").returncode == 0
    assert guest.driver() == "hv_vss"


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


def test_release_stops_the_distributions_service_first(guest):
    """It takes the loss of its device for an error; ours doesn't."""
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


def test_what_was_loaded_again_keeps_the_channel(guest):
    """udev may say only then that it was unloaded."""
    guest.hyperv(driver="hv_utils", loaded=("hv_utils", "hv_vss"))
    guest.run("claim")
    assert guest.run("unloaded").returncode == 0
    assert (guest.driver(), guest.override()) == ("hv_vss", "hv_vss")


def test_release_loads_the_driver_that_is_missing(guest):
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
