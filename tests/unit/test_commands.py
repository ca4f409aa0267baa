# SPDX-License-Identifier: GPL-2.0-only
"""The commands of hv-vss-daemon, run on the machine of the tests: output that can't be written,
processes that a user can't see, and places where the daemon does not serve."""
from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from hvtest import build

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
# Inodes of a machine's first PID namespace and first user namespace.
FIRST = [0xeffffffc, 0xeffffffd]


@pytest.fixture(name="daemon", scope="module")
def daemon_fixture() -> Iterator[pathlib.Path]:
    """In a directory where the user nobody can run it."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        yield pathlib.Path(shutil.copy(build.daemon(), place))


def run(*command: str | pathlib.Path, out: str | None = None) -> subprocess.CompletedProcess[str]:
    with open(out or os.devnull, "w", encoding="utf-8") as file:
        return subprocess.run(command, text=True, check=False, timeout=60, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, stdout=file if out else subprocess.PIPE)


@pytest.mark.parametrize("words, code", [
    (["--list"], 1), (["--list", "--json"], 1), (["--status"], 4), (["--status", "--json"], 4),
    (["--check"], 3), (["--help"], 1), (["--version"], 1)])
def test_output_that_cannot_be_written_is_an_error(daemon, words, code):
    assert run(daemon, *words, out="/dev/full").returncode == code


def test_ordinary_user_is_told_that_processes_are_not_seen(daemon):
    with subprocess.Popen(["sleep", "60"]) as other:
        said = run(*NOBODY, daemon, "--list")
        found = json.loads(run(*NOBODY, daemon, "--list", "--json").stdout)
        alone = run(*NOBODY, daemon, "--list", "--this-namespace")
        other.kill()
    assert said.returncode == 0
    assert "not seen: what is mounted only for processes of other users (" in said.stdout
    assert found["unseen_processes"] > 0 and found["schema_version"] == 1
    assert "other users" not in alone.stdout


def test_faults_of_an_old_kernel_are_listed(daemon):
    """The daemon is told a version like 2.6.78 (personality(2)), which has many faults."""
    old = ("setarch", "--uname-2.6", daemon, "--list")
    listed = json.loads(run(*old, "--json").stdout)
    frozen = {fs["type"] for fs in listed["file_systems"] if fs["action"] == "freeze"}
    if not frozen:
        pytest.skip("nothing on this machine can be frozen")
    faults = {fault["mended_by"]: fault for fault in listed["kernel_faults"]}
    assert faults["70fe2f48152e (Linux 4.9)"]["types"] is None
    assert not faults["70fe2f48152e (Linux 4.9)"]["mended_by_module"]
    assert all(fault["effect"] for fault in faults.values())
    text = run(*old).stdout
    assert len([line for line in text.splitlines() if line.startswith("kernel ")]) == len(faults)
    assert "kernel all: its version may have a fault: direct writes" in text
    assert json.loads(run(*old, "--json", "--kernel-faults=ignore").stdout)["kernel_faults"] == []
    assert "\nkernel " not in run(*old, "--kernel-faults=ignore").stdout


@pytest.mark.parametrize("kind, what", [("--pid", "PID"), ("--user", "user")])
def test_daemon_does_not_serve_in_a_container(daemon, tmp_path, kind, what):
    """A daemon there would freeze only what the container has mounted, and report a good backup."""
    inside = ["unshare", kind, "--fork"] + (["--mount-proc"] if kind == "--pid" else [])
    done = run(*inside, daemon, "--exit-if-absent", f"--run-dir={tmp_path}")
    assert done.returncode == 2
    assert f"not serving: this is a container with a {what} namespace of its own" in done.stderr
    listed = run(*inside, daemon, "--list")
    assert f"not seen: this is a container with a {what} namespace of its own" in listed.stdout


@pytest.mark.parametrize("action", ["--exit-if-absent", "--thaw-leftovers"])
def test_notes_that_other_users_can_write_are_refused(daemon, tmp_path, action):
    notes = tmp_path / "run"
    for mode, owner in ((0o777, 0), (0o775, 0), (0o755, 65534)):
        notes.mkdir()
        notes.chmod(mode)
        os.chown(notes, owner, 0)
        done = run(daemon, action, f"--run-dir={notes}")
        assert (done.returncode, "users other than root can write to it" in done.stderr) == (2, True)
        notes.rmdir()
    notes.symlink_to(tmp_path)
    assert run(daemon, action, f"--run-dir={notes}").returncode == 2
    notes.unlink()
    assert run(daemon, "--thaw-leftovers", f"--run-dir={notes}", "--hooks=none").returncode == 0


@pytest.mark.skipif([os.stat(f"/proc/self/ns/{name}").st_ino for name in ("pid", "user")] != FIRST,
                    reason="the tests run in a container")
def test_daemon_serves_in_a_mount_namespace_of_the_machine(daemon, tmp_path):
    done = run("unshare", "--mount", daemon, "--exit-if-absent", f"--run-dir={tmp_path}")
    assert (done.returncode, "not serving" in done.stderr) == (0, False)
    assert "container" not in run("unshare", "--mount", daemon, "--list").stdout
