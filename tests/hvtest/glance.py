# SPDX-License-Identifier: GPL-2.0-only
"""What hv-vss-daemon shows on a terminal, after some backups of a guest with several layers of disks:
prints the text blocks of the README."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from . import cache, disks, host, images
from .constructions import TOOLS
from .guest import Guest
from .stack import Stack

DAEMON = "/usr/sbin/hv-vss-daemon"
SPARES = {"spare1": 160, "spare2": 160, "spare3": 160, "spare4": 64, "spare5": 32}      # MiB
TOOLS_SH = "/run/constructions.sh"
LAYERS = """mkdir -p /dev/pts; mount -t devpts devpts /dev/pts
modprobe -a loop dm-mod vfat
mirror "$(spare 1)" "$(spare 2)"
fresh /dev/md_9 /srv/www; fresh "$(attach /srv/www/image 16)" /srv/image
lvm vgcreate -y vg "$(spare 3)"
lvm lvcreate -y -Wn -Zn -L 64m -n mail vg; lvm lvcreate -y -Wn -Zn -L 16m -n swap vg
dmsetup mknodes; fresh /dev/mapper/vg-mail /srv/mail
mkswap /dev/mapper/vg-swap >/dev/null; swapon /dev/mapper/vg-swap
mkfs.vfat "$(spare 4)" >/dev/null; mkdir -p /srv/efi; mount -i -t vfat "$(spare 4)" /srv/efi
sync"""
HOOK = """#!/bin/sh
sleep 0.2
test ! -e /run/database-is-broken
"""


def add_spares(directory: Path) -> dict[str, Path]:
    """The disks for LAYERS, empty."""
    made = {}
    for serial, size in SPARES.items():
        made[serial] = directory / f"{serial}.img"
        with open(made[serial], "wb") as file:
            file.truncate(size * images.MIB)
    return made


# The guests' user land has no locales.
LOCALE = Path("/usr/lib/locale/C.utf8/LC_CTYPE")


def set_up(stack: Stack) -> None:
    """Layers of disks, a hook, and a daemon that serves."""
    agent = stack.guest.agent
    stack.guest.mount_data()
    agent.put(TOOLS_SH, TOOLS.encode())
    agent.run("/bin/bash", "-euc", f". {TOOLS_SH}\n{LAYERS}", timeout=120)
    agent.shell("mkdir -p /etc/hv-vss/hooks.d /run/locale/C.UTF-8")
    agent.put("/run/locale/C.UTF-8/LC_CTYPE", LOCALE.read_bytes())
    agent.put("/etc/hv-vss/hooks.d/10-database", HOOK.encode(), 0o755)
    stack.load()
    stack.start_daemon()


def back_up_several_times(stack: Stack) -> None:
    """A good backup, one for which a hook fails, one with much to flush, one that is held long."""
    agent = stack.guest.agent
    stack.back_up()
    agent.shell("touch /run/database-is-broken")
    assert stack.guest.host.ask("freeze", timeout=60)["status"] == host.FAIL
    agent.shell("rm /run/database-is-broken")
    agent.run("dd", "if=/dev/zero", "of=/data/ext4/much", "bs=1M", "count=48", timeout=60)
    stack.back_up()
    assert stack.guest.host.ask("freeze", timeout=60)["status"] == host.OK
    agent.run("sleep", "2")
    assert stack.guest.host.ask("thaw", timeout=60)["status"] == host.OK


def shown(stack: Stack, columns: int, *words: str, plain: bool = True) -> str:
    """What the daemon prints on a terminal."""
    colours = ["NO_COLOR=1"] if plain else []
    return stack.guest.agent.try_run(
        "env", "TERM=xterm", "LC_ALL=C.UTF-8", "LOCPATH=/run/locale", *colours,
        "terminal", str(columns), DAEMON, *words, timeout=60).out


def table(text: str) -> str:
    """The table at the end of --status."""
    return text[text.index("the last backups, the latest first"):]


def main() -> int:
    directory = Path(tempfile.mkdtemp(prefix="hv-vss-glance."))
    try:
        live = disks.new_set(directory / "live") | add_spares(directory)
        with Guest("bookworm", live) as guest:
            stack = Stack(guest)
            set_up(stack)
            back_up_several_times(stack)
            print(f"$ hv-vss-daemon --list\n{shown(stack, 96, '--list')}")
            print(f"$ hv-vss-daemon --status\n...\n{table(shown(stack, 96, '--status'))}")
        return 0
    except (cache.HarnessError, AssertionError) as error:
        print(f"hv-vss: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
