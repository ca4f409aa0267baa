# SPDX-License-Identifier: GPL-2.0-only
"""The units work with every systemd that guests have, from 219 on."""
import collections

import pytest

from static.directives import VERSIONS, read_table, units, used

# Directives that may be unknown, and the effect of that. (systemd logs an unknown directive, and
# ignores it.) Every version must know all others.
WITHOUT = {
    "Service.LockPersonality": "one restriction less",
    "Service.OOMPolicy": "a hook that is killed for its memory ends the daemon, which is restarted",
    "Service.RestrictRealtime": "one restriction less",
    "Unit.StartLimitIntervalSec": "Service.StartLimitInterval says the same",
}
MERGED = {"Service.EnvironmentFile", "Service.SystemCallFilter", "Unit.ConditionPathExists"}


def test_table_has_what_the_units_use():
    """tests/static/directives.py writes the table."""
    assert sorted(read_table()) == used()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_knows_the_needed_directives(version):
    # In a list of denied system calls an unknown group is ignored.
    unknown = {name for name, by in read_table().items() if not by[version] and "@" not in name}
    assert unknown <= set(WITHOUT)


def test_no_unneeded_remark():
    table = read_table()
    assert [name for name in WITHOUT if all(table[name].values())] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_service_is_started_again_however_often_it_ends(version):
    table, values = read_table(), dict(units()["hv-vss-daemon.service"])
    limits = [values[name] for name in values if ".StartLimitInterval" in name
              and table[name][version]]
    assert limits and set(limits) == {"0"}
    assert values["Service.Restart"] == "always"


@pytest.mark.parametrize("unit", units())
def test_each_directive_has_one_line(unit):
    """If a directive has several lines, systemd before 228 uses what is common to all of them, for
    capabilities; for most other directives only the last line counts."""
    count = collections.Counter(name for name, _ in units()[unit])
    assert {name for name, n in count.items() if n > 1} <= MERGED


def test_capabilities_are_what_daemon_and_hooks_need():
    values = dict(units()["hv-vss-daemon.service"])
    assert {"CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE", "CAP_IPC_LOCK", "CAP_SETUID",
            "CAP_SETGID", "CAP_KILL"} <= set(values["Service.CapabilityBoundingSet"].split())


def test_no_directive_deletes_the_notes():
    """RuntimeDirectory= does so at each stop; only systemd 235 and later can be told not to."""
    for unit, lines in units().items():
        assert not [name for name, _ in lines if "RuntimeDirectory" in name], unit


def test_no_condition_depends_on_how_hyperv_is_recognised():
    """On arm64 systemd recognises it only since 250."""
    conditions = [value for name, value in units()["hv-vss-daemon.service"]
                  if name == "Unit.ConditionVirtualization"]
    assert conditions == ["!container"]
