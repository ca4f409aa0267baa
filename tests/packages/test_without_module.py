# SPDX-License-Identifier: GPL-2.0-only
"""What an admin sees if the module can't be built, and that backups work all the same: a whole system
without the headers of its kernel, without a compiler, or with a source that does not compile.

For the suites of HV_VSS_INSTALLED, and only if that is set. PACKAGES.md has the results; `-rP` shows
what apt and the daemon printed.
"""

from __future__ import annotations

import pytest

import installed
from booted import OURS
from repository import BROKEN, NEW

PACKAGES = f"hv-vss-daemon={NEW}", f"hv-vss-dkms={NEW}"


@pytest.fixture(scope="module", params=[
    pytest.param(suite, marks=pytest.mark.xdist_group(f"without-{suite}"))
    for suite in installed.SUITES])
def life(request, tmp_path_factory, version):
    """One system for this file only."""
    yield from installed.life(
        installed.System(request.param, tmp_path_factory.mktemp("without"), version))


@pytest.fixture(name="system")
def system_fixture(whole_system):
    """For one scenario; the next ones build on it."""
    return whole_system


def serves_without(system, said: str) -> None:
    """apt has printed the consequences, and so does the daemon, which works."""
    assert "there is no module for the running kernel" in said
    assert "Backups go on with the kernel's own driver" in said
    assert system.guest.sh("dpkg --audit") == ""
    system.backs_up(OURS, "hv_utils")
    status = system.guest.sh("hv-vss-daemon --status")
    print(status)
    assert "not hv_vss: there is no hv_vss for this kernel" in status


def mended(system) -> None:
    """After the cause is gone, run what the message says; then remove the module again."""
    system.guest.sh("dpkg-reconfigure hv-vss-dkms", timeout=420)
    system.backs_up(OURS, "hv_vss")
    system.guest.apt("purge", "hv-vss-dkms")
    system.backs_up(OURS, "hv_utils")


def test_without_headers(system):
    build = "/lib/modules/$(uname -r)/build"
    system.guest.sh(f"mv {build} /root/")
    said = system.guest.apt("install", *PACKAGES)
    assert "headers" in said
    serves_without(system, said)
    system.guest.sh(f"mv /root/build {build}")
    mended(system)


def test_without_a_compiler(system):
    system.guest.sh("mkdir /root/gcc; find /usr/bin -name '*gcc*' -exec mv -t /root/gcc {} +")
    said = system.guest.apt("install", *PACKAGES)
    serves_without(system, said)
    system.guest.sh("mv /root/gcc/* /usr/bin/; rmdir /root/gcc")
    mended(system)


def test_module_that_does_not_build(system):
    said = system.guest.apt("install", PACKAGES[0], f"hv-vss-dkms={BROKEN}")
    assert "make.log" in said
    print(system.guest.sh("tail -n 20 /var/lib/dkms/hv-vss/*/build/make.log"))
    serves_without(system, said)
    said = system.guest.apt("install", "--allow-downgrades", PACKAGES[1])
    assert "no module" not in said
    system.backs_up(OURS, "hv_vss")
