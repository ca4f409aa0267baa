# SPDX-License-Identifier: GPL-2.0-only
"""A whole system gets a second kernel, changes to it and back, and removes it again.

For the suites of HV_VSS_INSTALLED, and only if that is set: it takes three boots. PACKAGES.md has the
results.
"""

from __future__ import annotations

import re

import pytest

import installed
from booted import OURS
from hvtest import kernels
from repository import NEW
from second_kernel import second_kernel


class TwoKernels(installed.System):
    """The kernel that the system is installed with, and the second one."""

    def __init__(self, suite, directory, version) -> None:
        another = second_kernel(suite)
        super().__init__(suite, directory, version, another)
        self.first = kernels.kernel(suite)
        self.second = another.kernel
        self.before: set[str] = set()

    @property
    def packages(self) -> list[str]:
        """Those of the second kernel."""
        return [f"linux-{part}-{self.second.release}" for part in ("image", "headers")]

    def built_for(self) -> set[str]:
        """The kernels for which dkms has installed the module."""
        status = self.guest.run_sh("dkms status")
        assert status.status == 0, status
        lines = status.out.splitlines()
        found = [re.match(rf"hv-vss[,/] ?{NEW}, (\S+), [^:]*: installed$", line) for line in lines]
        assert all(found), lines
        return {match.group(1) for match in found}

    def runs(self, kernel) -> None:
        """It has booted this kernel, and loaded the module that dkms built for it."""
        assert self.guest.sh("uname -r").strip() == kernel.release
        # systemd may have booted before udev has loaded all drivers.
        self.guest.wait_serving()
        info = self.guest.sh("modinfo hv_vss")
        assert re.search(rf"^filename: .*/{re.escape(kernel.release)}/updates/dkms/", info, re.M)
        assert re.search(rf"^vermagic: *{re.escape(kernel.release)} ", info, re.M)
        assert re.search(r"^hv_vss ", self.guest.sh("cat /proc/modules"), re.M)


@pytest.fixture(scope="module", params=[
    pytest.param(suite, marks=pytest.mark.xdist_group(f"kernels-{suite}"))
    for suite in installed.SUITES])
def life(request, tmp_path_factory, version):
    """One system for this file only."""
    yield from installed.life(
        TwoKernels(request.param, tmp_path_factory.mktemp("kernels"), version))


@pytest.fixture(name="system")
def system_fixture(whole_system):
    """For one scenario; the next ones build on it."""
    return whole_system


def test_fresh_install_with_one_kernel(system):
    # linux-base: the second kernel's package needs it, and leaves it.
    system.guest.apt("install", f"hv-vss-daemon={NEW}", f"hv-vss-dkms={NEW}", "linux-base",
                     f"hyperv-daemons={system.theirs()}")
    assert system.built_for() == {system.first.release}
    system.runs(system.first)
    system.backs_up(OURS, "hv_vss")


def test_second_kernel_installed(system):
    """The module is built for it; the running system is not changed."""
    system.before = system.files()
    system.guest.apt("install", *system.packages)
    assert system.built_for() == {system.first.release, system.second.release}
    system.runs(system.first)
    system.backs_up(OURS, "hv_vss")


def test_kernel_upgrade_and_reboot(system):
    system.change_kernel(system.second)
    system.runs(system.second)
    system.backs_up(OURS, "hv_vss")


def test_kernel_downgrade_and_reboot(system):
    system.change_kernel(system.first)
    system.runs(system.first)
    system.backs_up(OURS, "hv_vss")


def test_second_kernel_purged(system):
    """This also removes the module that was built for it."""
    system.guest.apt("purge", *system.packages)
    assert system.built_for() == {system.first.release}
    assert system.files() ^ system.before == set()
    # The compiled module that our package has instead of its sources stays.
    assert system.guest.sh(f"find / -xdev -path '*hv[-_]vss*{system.second.release}*' "
                           "! -path '/usr/src/hv-vss-*' "
                           f"-o -path '*{system.second.release}*hv[-_]vss*'") == ""
    system.runs(system.first)
    system.backs_up(OURS, "hv_vss")
