# SPDX-License-Identifier: GPL-2.0-only
"""A guest's system that packages are installed into: an overlay over a suite's cached root.

Every command runs in its own mount and pid namespaces, so nothing stays mounted or running. Its
changes stay in the upper layer for the next command.
"""
import pathlib
import shlex
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
SUITES = ("bullseye", "bookworm", "trixie")

# A chroot shows the kernel of the machine; dkms and the packages' scripts must find the guest's.
UNAME = """#!/bin/sh
if [ "$*" = -r ] && [ -e /running-kernel ]; then
	exec cat /running-kernel
fi
exec /usr/bin/uname.real "$@"
"""

ENTER = r"""
set -eu
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/merged"
mount -t proc proc "$2/merged/proc"
mount -t tmpfs tmpfs "$2/merged/run"
cd /
exec chroot "$2/merged" /usr/bin/env -i HOME=/root LC_ALL=C TERM=dumb \
	DEBIAN_FRONTEND=noninteractive \
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	/bin/bash -c "$3"
"""


class GuestSystem:
    """A temporary system of a Debian suite."""

    def __init__(self, suite: str, where: pathlib.Path, kind: str = "root"):
        """kind: the script that prints the layers."""
        self.suite = suite
        self.where = where
        done = subprocess.run([HERE / kind, suite], check=True, stdout=subprocess.PIPE, text=True)
        self.layers = done.stdout.strip()
        for name in ("upper", "work", "merged"):
            (where / name).mkdir(parents=True)
        self.sh("mv $(readlink -f /bin)/uname /usr/bin/uname.real")
        self.write("/bin/uname", UNAME, "755")
        self.kernel = self.sh("cat /kernel-release").strip()
        self.boot(self.kernel)

    def run(self, script: str, data: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a shell script inside; stderr goes to stdout, as on a terminal."""
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "enter",
             self.layers, str(self.where), script],
            stdin=subprocess.DEVNULL if data is None else None, input=data,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)

    def sh(self, script: str, data: str | None = None) -> str:
        """Run a shell script that must succeed; returns what it printed."""
        done = self.run(script, data)
        assert done.returncode == 0, f"{self.suite}: {script}\n{done.stdout}"
        return done.stdout

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """Create or replace a file."""
        quoted = shlex.quote(path)
        self.sh(f"mkdir -p $(dirname {quoted}); cat > {quoted}; chmod {mode} {quoted}", text)

    def exists(self, path: str) -> bool:
        """Whether a path exists, also as a dangling link."""
        quoted = shlex.quote(path)
        return self.run(f"[ -e {quoted} ] || [ -L {quoted} ]").returncode == 0

    def boot(self, kernel: str) -> None:
        """Make `uname -r` say that this kernel runs."""
        self.write("/running-kernel", kernel + "\n")

    def copy_in(self, source: pathlib.Path, target: str) -> None:
        """Copy a directory's content from outside to a directory inside."""
        with subprocess.Popen(["tar", "-C", str(source), "-cf", "-", "."],
                              stdout=subprocess.PIPE) as tar:
            done = subprocess.run(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER,
                 "enter", self.layers, str(self.where),
                 f"mkdir -p {shlex.quote(target)}; tar -C {shlex.quote(target)} -xf - "
                 "--no-same-owner"],
                stdin=tar.stdout, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and tar.returncode == 0, done.stderr
