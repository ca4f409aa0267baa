# SPDX-License-Identifier: GPL-2.0-only
"""The commands of hv-vss-daemon, run on the machine of the tests: output that can't be written,
processes that a user can't see, and places where the daemon does not serve."""
from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import struct
import subprocess
import tempfile
import termios
import time
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
    (["--list"], 1), (["--list", "--json"], 1), (["--list", "--tree"], 1), (["--status"], 4), (["--status", "--json"], 4),
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


def on_terminal(width: int, *command: str | pathlib.Path, **env: str) -> list[str]:
    """The lines that a command prints on a terminal of so many columns."""
    pid, terminal = pty.fork()
    if not pid:
        os.environ.update({"TERM": "xterm", "LC_ALL": "C.UTF-8"} | env)
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        os.execv(command[0], command)
    said = b""
    with contextlib.suppress(OSError):      # EIO: it has ended
        while chunk := os.read(terminal, 65536):
            said += chunk
    os.close(terminal)
    os.waitpid(pid, 0)
    return said.decode().replace("\r\n", "\n").splitlines()


STYLE = re.compile("\033\\[[0-9;]*m")
HISTORY = """hv-vss-status 1
daemon\tpid=7\tlast_id=2
backup\tid=1\ttime=1700000000000000\top=1\tfreeze=1\tthaw=1\tok=1\tplan_us=3000\tsync_us=900000
fs\tpath=/\ttype=ext4\tsource=/dev/sda1\treason=\taction=0
backup\tid=2\ttime=1700086400000000\top=1\tfreeze=2\tthaw=0\tok=0\treason=no room\thooks_us=5000
end
"""


def test_status_has_a_table_on_a_terminal_only(daemon, tmp_path):
    (tmp_path / "status").write_text(HISTORY, encoding="utf-8")
    status = (daemon, "--status", f"--run-dir={tmp_path}")
    text = run(*status).stdout
    assert "\033" not in text and "full bar" not in text and text.isascii()
    for width in (60, 80, 120):
        lines = on_terminal(width, *status)
        shown = [STYLE.sub("", line) for line in lines]
        assert shown[:len(text.splitlines())] == text.splitlines()
        table = shown[len(text.splitlines()) + 1:]
        assert table[0].startswith("the last backups")
        assert max(map(len, table)) <= width
        assert [line.split()[2] for line in table if line[0].isdigit()] == [
            "FAIL" if width == 60 else "FAILED", "ok"]
        assert "  no room" in table and "█" in "".join(table) and lines != shown
    plain = on_terminal(80, *status, NO_COLOR="1")
    assert plain == on_terminal(80, *status, TERM="dumb") and "\033" not in "".join(plain)
    assert "█" in "".join(plain)
    in_ascii = on_terminal(80, *status, TERM="dumb", LC_ALL="C")
    assert "#####" in "".join(in_ascii) and "".join(in_ascii).isascii()
    narrow = on_terminal(80, *status, COLUMNS="60", TERM="dumb")
    assert narrow == on_terminal(60, *status, TERM="dumb")
    assert on_terminal(80, daemon, "--status", f"--run-dir={tmp_path}/no") == run(
        daemon, "--status", f"--run-dir={tmp_path}/no").stdout.splitlines()


def test_watch_ends_with_ctrl_c_and_leaves_the_terminal_as_it_was(daemon, tmp_path):
    (tmp_path / "status").write_text(HISTORY.replace("last_id=2", "last_id=1"), encoding="utf-8")
    here, there = pty.openpty()
    before = termios.tcgetattr(there)
    with subprocess.Popen(
            ["setsid", "--ctty", "--wait", daemon, "--status", "--watch", f"--run-dir={tmp_path}"],
            stdin=there, stdout=there, stderr=there, env={"TERM": "xterm", "COLUMNS": "60"}) as watch:
        said = b""
        while said.count(b"\r") < 2:
            said += os.read(here, 4096)
        (tmp_path / "new").write_text(HISTORY, encoding="utf-8")
        (tmp_path / "new").rename(tmp_path / "status")      # another backup
        while b"FAILED" not in said or not said.endswith(b"\x1b[K"):
            said += os.read(here, 4096)
        os.write(here, b"\x03")
        assert watch.wait(10) == 3
    said += os.read(here, 4096)
    assert termios.tcgetattr(there) == before
    os.close(here)
    os.close(there)
    now = "\rthe daemon is not running\x1b[K"
    assert said.decode().count(now) >= 2 and said.endswith(b"\r\n"), said
    assert re.search(r"\r\x1b\[K\d{4}-\S+ \S+ backup 2: FAILED: no room\r\n", said.decode()), said


def test_watch_in_a_pipe_prints_changes(daemon, tmp_path):
    (tmp_path / "status").write_text(HISTORY, encoding="utf-8")
    with subprocess.Popen([daemon, "--status", "--watch", f"--run-dir={tmp_path}"],
                          stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout and "the daemon is not running" in watch.stdout.readline()
        time.sleep(1.5)
        watch.terminate()
        assert (watch.stdout.read(), watch.wait(10)) == ("", 3)
    assert run(daemon, "--status", "--watch", out="/dev/full").returncode == 4


def test_list_is_a_tree_on_a_terminal(daemon):
    """And with --tree; the lines in a pipe stay as scripts read them."""
    listed = (daemon, "--list", "--hooks=none", "--this-namespace", "--kernel-faults=ignore")
    shown = on_terminal(90, *listed)
    assert [STYLE.sub("", line) for line in shown] == on_terminal(90, *listed, NO_COLOR="1")
    tree = on_terminal(90, *listed, TERM="dumb")
    assert tree[0].startswith("disk, file system") and tree[0].endswith("a backup will")
    assert max(map(len, tree)) <= 90
    lines = run(*listed).stdout.splitlines()
    assert not [line for line in lines if "a backup will" in line]
    piped = run("env", "COLUMNS=90", "LC_ALL=C.UTF-8", *listed, "--tree").stdout.splitlines()
    assert piped == tree
    assert run("env", "LC_ALL=C", *listed, "--tree").stdout.isascii()
    frozen = [fs for fs in json.loads(run(*listed, "--json").stdout)["file_systems"]
              if fs["action"] == "freeze"]
    for fs in frozen:
        assert [line for line in tree if re.search(
            rf"(^|─){re.escape(fs['path'])} .* freeze it, as number {fs['order']}\b", line)], fs


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
