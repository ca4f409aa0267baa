# SPDX-License-Identifier: GPL-2.0-only
"""The daemon alone, as src/DISTRIBUTIONS.md says how a distribution packages it: built with the compiler of
each suite, with each of the names that the unit may have."""
import os
import pathlib
import re

import pytest

import guest_system

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGE = (TOP / "src/DISTRIBUTIONS.md").read_text()
SUITES = os.environ.get("HV_VSS_SUITES", "trixie").split()
NAMES = ("hv-vss-daemon", "hypervvssd", "hv_vss_daemon")
FLAGS = "CFLAGS='-O2 -g -fPIE' LDFLAGS=-Wl,-O1"


@pytest.mark.parametrize("suite", SUITES)
def test_daemon_alone(tiny_tree, tmp_path, suite, version):
    assert set(NAMES) <= set(re.findall(r"`([\w-]+)` \(", PAGE))
    block = re.search(r"(?:^ {4}.*\n)+", PAGE, re.M).group()
    guest = guest_system.GuestSystem(suite, tmp_path / "system")
    guest.copy_in(tiny_tree, "/root/hv-vss")
    guest.sh("rm -f /usr/sbin/dkms")
    for name in NAMES:
        root = f"/root/{name}"
        guest.sh(f"set -e; cd /root/hv-vss; export {FLAGS}; root={root} name={name}\n{block}")
        found = guest.sh(f"cd {root} && find . -type f | sort").split()
        assert f"./usr/lib/systemd/system/{name}.service" in found
        assert [path for path in found if path.endswith((".service", ".rules"))] == [
            f"./usr/lib/systemd/system/{name}.service", "./usr/lib/udev/rules.d/90-hv-vss-daemon.rules"]
        assert not re.search("hv-vss-bind|modprobe|dkms|[.]service[.]d", "".join(found))
        assert guest.sh(f"{root}/usr/sbin/hv-vss-daemon --version").strip() == version
        # It does not disturb the others, and is enabled as a unit of that name.
        guest.sh(f"cp -a {root}/. / && systemctl enable {name}.service")
        links = guest.sh("find /etc/systemd/system -type l -newer /root/hv-vss/Makefile "
                         f"-lname '*/{name}.service'").split()
        assert {pathlib.Path(link).parent.name for link in links} == {
            "multi-user.target.wants", "dev-vmbus-hv_vss.device.wants"}, links
        if suite != "bullseye":     # that one can verify only in a booted system
            assert guest.sh(f"systemd-analyze verify --man=no /usr/lib/systemd/system/{name}.service") == ""
        guest.sh(f"systemctl disable {name}.service; rm /usr/lib/systemd/system/{name}.service")
