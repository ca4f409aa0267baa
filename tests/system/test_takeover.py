# SPDX-License-Identifier: GPL-2.0-only
"""hv-vss-bind in guests: moving the channel from hv_utils to our module and back, on each kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hvtest import build, host, kernels
from hvtest.guest import Guest
from hvtest.stack import OURS, STOCK, Stack

TOP = Path(__file__).resolve().parents[2]
# What does not depend on the kernel.
ONE = kernels.chosen("trixie")
BIND = "/usr/libexec/hv-vss/hv-vss-bind"


@pytest.fixture(params=kernels.chosen(*kernels.SUITES))
def guest(request: pytest.FixtureRequest, boot: Callable[..., Guest]) -> Guest:
    """hv_utils serves; our module is loaded but has no device."""
    guest = boot(request.param)
    guest.mount_data()
    Stack(guest, STOCK).load()
    guest.agent.run("mkdir", "-p", "/usr/libexec/hv-vss")
    guest.agent.put(BIND, (TOP / "systemd/hv-vss-bind").read_bytes(), 0o755)
    guest.agent.put("/run/hvtest/hv_vss.ko", build.module(request.param).read_bytes())
    return guest


def claim(guest: Guest, action: str = "claim") -> str:
    """Run the helper; returns what it printed."""
    result = guest.agent.try_run(BIND, action, timeout=60)
    assert result.status == 0, result.out + result.err
    return result.err


def owner(guest: Guest) -> str:
    """The driver that has the backup channel."""
    return guest.agent.try_run(BIND, "status").out.split()[-1]


def serves(guest: Guest, module: str, daemon: str) -> None:
    """A backup with this pairing, which is in place already."""
    stack = Stack(guest, module, daemon)
    stack.start_daemon()
    stack.back_up()
    lost = {0, 5} if guest.kernel.version < (4, 9) else {0}     # see test_pairings.py
    assert guest.host.ask("hot_backup")["vss_flags"] in ({5} if module == OURS else lost)
    stack.stop_daemon()


def test_channel_is_claimed_and_given_back(guest: Guest) -> None:
    utils = owner(guest)
    assert utils in ("hv_util", "hv_utils")
    serves(guest, STOCK, STOCK)

    # The module can't be loaded: the channel is not moved.
    assert "can't be loaded" in claim(guest)
    assert owner(guest) == utils

    guest.agent.run("insmod", "/run/hvtest/hv_vss.ko")
    assert owner(guest) == utils, "loading the module must not take the device"
    assert claim(guest) == ""
    assert owner(guest) == "hv_vss"
    serves(guest, OURS, OURS)
    serves(guest, OURS, STOCK)
    assert claim(guest) == ""

    # The other services of hv_utils continue.
    drivers = guest.agent.shell("ls -l /sys/bus/vmbus/devices/*/driver")
    assert drivers.count(utils) >= 1

    assert claim(guest, "release") == ""
    assert owner(guest) == utils
    serves(guest, STOCK, STOCK)
    claim(guest)
    guest.agent.run("rmmod", "hv_vss")
    claim(guest, "release")
    assert owner(guest) == utils
    serves(guest, STOCK, OURS)


@pytest.mark.parametrize("guest", ONE, indirect=True)
def test_daemon_that_has_the_device_is_stopped_and_a_backup_is_waited_for(guest: Guest) -> None:
    guest.agent.run("insmod", "/run/hvtest/hv_vss.ko")
    stack = Stack(guest, STOCK, STOCK)
    daemon = stack.start_daemon()
    assert guest.host.ask("freeze")["status"] == host.OK
    claiming = guest.agent.start(BIND, "claim")
    guest.agent.run("sleep", "2")
    assert not claiming.over and not daemon.over, "a backup must not be torn"
    assert guest.host.ask("thaw")["status"] == host.OK
    assert claiming.wait(30).status == 0
    assert daemon.wait(30).status != 0
    assert owner(guest) == "hv_vss"
    serves(guest, OURS, OURS)
    guest.writable(["/root", "/data/ext4", "/data/xfs", "/data/btrfs"])


@pytest.mark.parametrize("guest", ONE, indirect=True)
def test_channel_is_claimed_again_after_a_new_offer(guest: Guest) -> None:
    guest.agent.run("insmod", "/run/hvtest/hv_vss.ko")
    claim(guest)
    since = guest.host.mark()
    guest.host.command("rescind")
    guest.host.wait("relid_released", since=since, channel="vss")
    assert guest.agent.try_run(BIND, "status").status == 3
    since = guest.host.mark()
    guest.host.command("offer")
    guest.host.wait("negotiated", since=since, channel="vss")
    claim(guest)
    assert owner(guest) == "hv_vss"
    serves(guest, OURS, OURS)


def test_daemon_that_waits_does_not_register_too_early(guest: Guest) -> None:
    """hv_utils shows its device before it can answer on it; a daemon that is too early makes the kernel
    oops. Here it is delayed in between: it runs only if nothing else does."""
    utils = owner(guest)
    guest.agent.run("insmod", "/run/hvtest/hv_vss.ko")
    claim(guest)
    stack = Stack(guest, OURS, OURS)
    stack.start_daemon()
    stack.back_up()
    # Loaded again, it has had no device yet.
    guest.agent.shell("rmmod hv_utils && modprobe hv_utils")
    guest.agent.shell(r"""
        for d in /sys/bus/vmbus/devices/*; do
            case $(readlink $d/driver) in */hv_vss) dev=${d##*/} ;; esac
        done
        cd /sys/bus/vmbus/drivers
        if [ -e ../devices/$dev/driver_override ]; then echo > ../devices/$dev/driver_override; fi
        echo $dev > hv_vss/unbind
        # An idle task beside one that runs gets 3 parts in 1,027: the shell itself must be up
        # before, and on a slow machine the other one ends after a minute.
        timeout 60 sh -c 'while :; do :; done' & hog=$!
        sh -c "chrt --idle --pid 0 \$\$; echo $dev > %s/bind"
        kill $hog 2>/dev/null || :
    """ % utils, timeout=300)
    stack.wait_serving()
    assert owner(guest) == utils
    stack.back_up()
    stack.stop_daemon()


def test_module_whose_signature_is_refused(guest: Guest) -> None:
    """As with Secure Boot: the message says what to do, and hv_utils serves."""
    enforce = "/sys/module/module/parameters/sig_enforce"
    source = guest.kernel.source
    signs = not source or "\nCONFIG_MODULE_SIG=y" in source.config.read_text()
    # The parameter is in old kernels without signatures, too.
    if absent := guest.lacks("signatures of modules", f"{'true' if signs else 'false'} && "
                                                      f"test -e {enforce}"):
        pytest.skip(absent)
    guest.agent.shell("d=/lib/modules/$(uname -r)/updates; mkdir -p $d; "
                      "cp /run/hvtest/hv_vss.ko $d; /sbin/depmod")
    guest.agent.shell(f"echo 1 > {enforce}")
    said = claim(guest)
    assert "can't be loaded, the kernel's own hv_utils goes on serving" in said
    assert "Secure Boot refuses the module, which is not signed with a key of this machine" in said
    assert owner(guest) in ("hv_util", "hv_utils")
    serves(guest, STOCK, OURS)
    status = guest.agent.try_run("/usr/sbin/hv-vss-daemon", "--status").out
    assert "hv_vss is installed, but not loaded: see journalctl -u hv-vss-bind" in status
