# SPDX-License-Identifier: GPL-2.0-only
"""Whatever an admin has built from disks, files and mounts: FREEZE is answered in time, with success
unless said otherwise, all of it stands still until THAW, and goes on afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hvtest import cache, disks, host, kernels, verify
from hvtest.agent import Command
from hvtest.stack import OURS, Stack

MACHINES = [f"{suite}-1cpu-{OURS}" for suite in kernels.chosen("bookworm")]
ANSWER = 20.0       # seconds; what hangs takes for ever

# attach FILE SIZE-IN-MIB: a loop device on a file that is made; its name is printed.
TOOLS = """
PATH=/usr/sbin:/usr/bin; modprobe -a loop dm-mod
attach() { dd if=/dev/zero of="$1" bs=1M count=0 seek="$2" 2>/dev/null; losetup -f --show "$1"; }
sectors() { blockdev --getsz "$1"; }
fresh() { mkfs.ext4 -q -F "$1"; mkdir -p "$2"; mount -t ext4 "$1" "$2"; }
linear() { echo "0 $(sectors "$2") linear $2 0" | dmsetup create "$1"; dmsetup mknodes; }
detach() { for l in "$@"; do losetup -d "$(losetup -n -O NAME -j "$l")"; rm -f "$l"; done; }
"""


@dataclass(frozen=True)
class Construction:
    """build and remove: shell scripts. stand: where nobody can write while it is frozen.
    frozen: mount points that --status must name as frozen. done: what it says of others."""
    build: str
    remove: str
    stand: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    done: dict[str, str] = field(default_factory=dict)


CONSTRUCTIONS = {
    "bind mounts, one of them read-only": Construction(
        """mkdir -p /run/b1 /run/b2; mount --bind /data/ext4 /run/b1
        mount --bind /data/ext4 /run/b2; mount -o remount,ro,bind /run/b2""",
        "umount /run/b1 /run/b2", ("/run/b1",), ("/data/ext4",)),
    "subvolume of a btrfs": Construction(
        """btrfs -q subvolume create /data/btrfs/sub; mkdir -p /run/sub
        mount -t btrfs -o subvol=sub "$(findmnt -no SOURCE /data/btrfs)" /run/sub""",
        "umount /run/sub; btrfs -q subvolume delete /data/btrfs/sub",
        ("/run/sub", "/data/btrfs"), ("/data/btrfs",)),
    "btrfs on two loop devices": Construction(
        """a=$(attach /data/ext4/a 128); b=$(attach /data/xfs/b 128)
        mkfs.btrfs -q -f -m raid1 -d single "$a" "$b"; mkdir -p /run/two
        mount -t btrfs -o device="$b" "$a" /run/two""",
        "umount /run/two; detach /data/ext4/a /data/xfs/b", ("/run/two",),
        ("/run/two", "/data/ext4", "/data/xfs")),
    "loop device on a partition of a loop device": Construction(
        """a=$(attach /data/ext4/a 64); addpart "$a" 1 2048 120000; fresh "${a}p1" /run/part
        fresh "$(attach /run/part/b 16)" /run/inner""",
        """umount /run/inner; detach /run/part/b; umount /run/part
        delpart "$(losetup -n -O NAME -j /data/ext4/a)" 1; detach /data/ext4/a""",
        ("/run/part", "/run/inner"), ("/run/inner", "/run/part", "/data/ext4")),
    "loop device over a device mapper one over a loop device": Construction(
        """linear lin "$(attach /data/xfs/a 64)"; fresh /dev/mapper/lin /run/lin
        fresh "$(attach /run/lin/b 16)" /run/inner""",
        """umount /run/inner; detach /run/lin/b; umount /run/lin; dmsetup remove lin
        detach /data/xfs/a""",
        ("/run/lin", "/run/inner"), ("/run/inner", "/run/lin", "/data/xfs")),
    "MD mirror": Construction(
        """modprobe raid1; a=$(attach /data/ext4/a 64); b=$(attach /data/xfs/b 64)
        echo md_9 > /sys/module/md_mod/parameters/new_array; md=/sys/block/md_9/md
        echo none > $md/metadata_version; echo raid1 > $md/level; echo 2 > $md/raid_disks
        for d in "$a" "$b"; do
            cat "/sys/block/$(basename "$d")/dev" > $md/new_dev
            echo insync > "$md/dev-$(basename "$d")/state" || true
        done
        echo 0 > "$md/dev-$(basename "$a")/slot"; echo 1 > "$md/dev-$(basename "$b")/slot"
        echo 65536 > $md/component_size; echo active > $md/array_state
        fresh /dev/md_9 /run/md""",
        """umount /run/md; echo clear > /sys/block/md_9/md/array_state
        detach /data/ext4/a /data/xfs/b""", ("/run/md",), ("/run/md", "/data/ext4", "/data/xfs")),
    "overlay": Construction(
        """mkdir -p /data/ext4/lower /data/xfs/upper /data/xfs/work /run/over
        mount -t overlay -o lowerdir=/data/ext4/lower,upperdir=/data/xfs/upper,workdir=/data/xfs/work \
            over /run/over""",
        "umount /run/over; rm -rf /data/ext4/lower /data/xfs/upper /data/xfs/work",
        ("/run/over",), ("/data/ext4", "/data/xfs")),
    "vfat": Construction(
        """a=$(attach /data/ext4/a 16); mkfs.vfat "$a" >/dev/null; mkdir -p /run/fat
        mount -t vfat "$a" /run/fat""",
        "umount /run/fat; detach /data/ext4/a", (), ("/data/ext4",), {"/run/fat": "synced"}),
    "swap file": Construction(
        """dd if=/dev/zero of=/data/ext4/swap bs=1M count=16 2>/dev/null; chmod 600 /data/ext4/swap
        mkswap -q /data/ext4/swap >/dev/null; swapon /data/ext4/swap""",
        "swapoff /data/ext4/swap; rm /data/ext4/swap", ("/data/ext4",), ("/data/ext4",)),
    "mount point that is mounted over": Construction(
        """fresh "$(attach /data/ext4/a 16)" /run/covered; mount -t tmpfs tmpfs /run/covered""",
        "umount /run/covered; umount /run/covered; detach /data/ext4/a", (),
        ("/run/covered", "/data/ext4")),
    "odd names": Construction(
        r"""fresh "$(attach '/data/ext4/a b\ ' 16)" "$(printf '/run/odd \\\t\nname')" """,
        r"""umount "$(printf '/run/odd \\\t\nname')"; detach '/data/ext4/a b\ '""",
        ("/data/ext4",), ("/run/odd \\\t\nname", "/data/ext4")),
    "4,000 mounts": Construction(
        """mkdir -p /run/many; mount -t tmpfs tmpfs /run/many; mount --make-private /run/many
        cd /run/many; mkdir 1 2 3 4 5 6 7 8 9 10 11 all; mount --bind /data/ext4 all
        for i in 1 2 3 4 5 6 7 8 9 10 11; do mount --rbind /run/many /run/many/$i; done
        test "$(wc -l < /proc/self/mountinfo)" -gt 4000""",
        "cd /; umount -l /run/many", ("/run/many/11/10/all",), ("/data/ext4",)),
}


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


def shell(stack: Stack, script: str, timeout: float = 120) -> str:
    return stack.guest.agent.run("/bin/bash", "-euc", TOOLS + script, timeout=timeout)


def described(stack: Stack) -> dict[str, dict[str, Any]]:
    """What --status says of the file systems in the last backup."""
    said = stack.guest.agent.try_run("/usr/sbin/hv-vss-daemon", "--status", "--json").out
    return {fs["path"]: fs for fs in json.loads(said)["backups"][0]["file_systems"]}


def freeze(stack: Stack) -> None:
    answer = stack.guest.host.ask("freeze", timeout=ANSWER)
    assert answer["status"] == host.OK, answer


def thaw(stack: Stack) -> None:
    answer = stack.guest.host.ask("thaw", timeout=ANSWER)
    assert answer["status"] == host.OK, answer


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_is_frozen_and_thawed(stack: Stack, name: str) -> None:
    what = CONSTRUCTIONS[name]
    shell(stack, what.build)
    freeze(stack)
    stack.guest.frozen(list(what.stand))
    thaw(stack)
    stack.guest.writable(list(what.stand))
    found = described(stack)
    shell(stack, what.remove)
    for path in what.frozen:
        assert found[path]["action"] == "frozen", found[path]
    for path, action in what.done.items():
        assert found[path]["action"] == action, found[path]


def test_nested_images_need_no_recovery(stack: Stack, tmp_path: Path) -> None:
    """A file system in a file of another one: both are good in the copy of the disk."""
    shell(stack, """fresh "$(attach /data/ext4/outer 64)" /run/outer
        fresh "$(attach /run/outer/inner 16)" /run/inner; echo text > /run/inner/file""")
    freeze(stack)
    copy = tmp_path / "ext4.img"
    disks.copy(stack.guest.disks["ext4"], copy)
    thaw(stack)
    shell(stack, "umount /run/inner; detach /run/outer/inner; umount /run/outer; "
                 "detach /data/ext4/outer")
    image = copy
    for file in ("outer", "inner"):
        inside = tmp_path / file
        cache.run("debugfs", "-R", f"dump /{file} {inside}", image)
        finding = verify.examine("ext4", inside)
        assert finding.good, finding
        image = inside
    assert cache.run("debugfs", "-R", "cat /file", image).endswith("text\n")


@pytest.fixture
def dead_fuse(stack: Stack) -> Iterator[Command]:
    """A fuse file system whose server never answers: whoever touches it hangs."""
    agent = stack.guest.agent
    agent.run("/sbin/modprobe", "fuse")
    agent.run("mkdir", "-p", "/run/fuse")
    server = agent.start("sh", "-ec", """exec 3<>/dev/fuse
        /bin/mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 dead /run/fuse
        echo mounted; exec sleep 1000""")
    server.wait_output("mounted")
    yield server
    server.kill(9)
    agent.run("/bin/umount", "-l", "/run/fuse")


def test_a_dead_fuse_server_is_never_waited_for(stack: Stack, dead_fuse: Command) -> None:
    assert not dead_fuse.over
    freeze(stack)
    thaw(stack)
    assert described(stack)["/run/fuse"]["action"] == "skipped"


def test_mounted_in_another_namespace_only(stack: Stack) -> None:
    device = shell(stack, "a=$(attach /data/ext4/a 16); mkfs.ext4 -q -F $a; echo $a").strip()
    hidden = stack.guest.agent.start("/usr/bin/unshare", "--mount", "sh", "-ec", f"""
        mkdir -p /run/hidden; /bin/mount -t ext4 {device} /run/hidden; echo mounted
        exec sleep 1000""")
    hidden.wait_output("mounted")
    place = f"/proc/{hidden.pid}/root/run/hidden"
    freeze(stack)
    stack.guest.frozen([place])
    thaw(stack)
    stack.guest.writable([place])
    found = described(stack)
    hidden.kill(9)
    hidden.wait()
    shell(stack, "detach /data/ext4/a")
    assert found["/run/hidden"]["action"] == "frozen"


def test_a_mount_table_that_never_rests(stack: Stack, places: list[str]) -> None:
    """Each request gets an answer; one that says yes is true."""
    agent = stack.guest.agent
    shell(stack, "a=$(attach /data/ext4/a 16); mkfs.ext4 -q -F $a; echo $a > /run/device")
    busy = agent.start("sh", "-c", """mkdir -p /run/busy; d=$(cat /run/device)
        while :; do /bin/mount -t ext4 $d /run/busy && /bin/umount /run/busy; done""")
    answers = []
    for _ in range(8):
        answers.append(stack.guest.host.ask("freeze", timeout=ANSWER)["status"])
        if answers[-1] == host.OK:
            stack.guest.frozen(places)
            assert stack.guest.host.ask("thaw", timeout=ANSWER)["status"] == host.OK
        stack.guest.writable(places)
    busy.kill(9)
    busy.wait()
    agent.run("sh", "-c", "while /bin/umount /run/busy 2>/dev/null; do :; done")
    shell(stack, "detach /data/ext4/a")
    print(f"{answers.count(host.OK)} of {len(answers)} said yes")
