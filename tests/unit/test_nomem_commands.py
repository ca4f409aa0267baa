# SPDX-License-Identifier: GPL-2.0-only
"""When any allocation of hv-vss-daemon's commands fails, they print the complete output or an error.
They run in separate namespaces, in which nothing else changes."""
from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from hvtest import build

HERE = pathlib.Path(__file__).resolve().parent
VSS = "{35fa2e29-ea23-4236-96ae-3a6ebacba440}"
STATUS = """hv-vss-status 1
daemon\tpid=7\tstarted=1\tconnected=1\tversion=1\tdriver=hv_vss\tdevice=/dev/x\tlast_id=1
backup\tid=1\ttime=1000000\top=1\tfreeze=1\tthaw=1\tok=1\tplan_us=1\tsync_us=1
fs\tpath=/\ttype=ext4\tsource=/dev/sda1\treason=\taction=0\tsync_us=1
fs\tpath=/efi\ttype=vfat\tsource=/dev/sda2\treason=this type can't be frozen\taction=1\tsync_us=1
end
"""
# A simulated /sys, and a process in another mount namespace, so that file systems do not change.
INSIDE = """set -e
mount -t tmpfs hv-vss-sys /sys
cp -a "$1"/. /sys
mount -t tmpfs hv-vss-b /mnt
unshare --mount sleep 1000 &
sleep 0.3
shift
exec "$@"
"""

COMMANDS = [
    ["--list", "--json"], ["--list", "--tree"],
    ["--list", "--include=/**", "--exclude=type:vfat", "--exclude=/mnt", "--hooks=/hooks"],
    ["--status"], ["--status", "--json"], ["--check", "--max-age=26h"]]


@pytest.fixture(name="preload", scope="module")
def preload_fixture(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("preload") / "nomem.so"
    subprocess.run(["cc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                    "-o", path, HERE / "nomem_preload.c"], check=True)
    return path


def write(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def make_sysfs(top: pathlib.Path) -> None:
    device = top / "bus/vmbus/devices/11-22"
    write(device / "class_id", VSS + "\n")
    write(top / "bus/vmbus/drivers/hv_utils/bind", "")
    (device / "driver").symlink_to("../../drivers/hv_utils")
    write(top / "module/hv_utils/version", "1\n")
    disk = top / "devices/sda"
    (top / "dev/block").mkdir(parents=True)
    for number, device in ((0, disk), (1, disk / "sda1"), (2, disk / "sda2")):
        write(device / "dev", f"8:{number}\n")
        write(device / "size", "2048\n")
        (top / f"dev/block/8:{number}").symlink_to(f"../../{device.relative_to(top)}")
        if number:
            write(device / "partition", f"{number}\n")


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words))
def test_command_prints_everything_or_fails(preload, tmp_path, words):
    make_sysfs(tmp_path / "sys")
    write(tmp_path / "run/status", STATUS)
    words = [word.replace("/hooks", f"{tmp_path}/hooks") for word in words]
    for hook in ("10-a", "20-b"):
        write(tmp_path / "hooks" / hook, "#!/bin/sh\n")
        (tmp_path / "hooks" / hook).chmod(0o755)
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
         "sh", "-c", INSIDE, "sh", tmp_path / "sys",
         sys.executable, HERE / "nomem_sweep.py", preload, tmp_path / "seen", build.daemon(),
         f"--run-dir={tmp_path}/run", *words],
        capture_output=True, text=True, check=False, timeout=300)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "allocations" in done.stdout
