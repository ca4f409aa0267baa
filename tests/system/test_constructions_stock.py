# SPDX-License-Identifier: GPL-2.0-only
"""hv_utils and its daemon with the same constructions: some backups fail, some are reported good
though file systems were never frozen, and some leave the guest frozen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hvtest import disks, host, kernels
from hvtest.constructions import CONSTRUCTIONS, COPY, NESTED, NOT_NESTED
from hvtest.site import Site, build, examine_nested, record, shell, watch_stock, without, word
from hvtest.stack import STOCK, Stack

SUITES = kernels.chosen("bookworm")
PATIENCE = 6.0      # seconds; what it can freeze takes it less than one


@pytest.fixture(scope="module", params=SUITES)
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def site(machine: str, machines, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(machines, tmp_path_factory.mktemp("spare"), machine, STOCK)


@pytest.fixture
def stack(site: Site) -> Iterator[Stack]:
    """The test must leave it serving; otherwise the next test gets a new guest."""
    stack = site.stack()
    try:
        yield stack
        if site.current is stack:
            stack.wait_serving()
            stack.guest.check()
    except BaseException:
        site.drop()
        raise


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_stock_stack(stack: Stack, site: Site, name: str) -> None:
    what = CONSTRUCTIONS[name]
    if absent := without(stack, what):
        pytest.skip(f"{kernels.NOT_THERE}{absent}")
    try:
        build(stack, what)
        outcome = watch_stock(stack, what, PATIENCE)
        shell(stack, what.remove)
    except BaseException:
        site.drop()
        raise
    record(name, STOCK, outcome.freeze, outcome.thaw, what.why)
    assert outcome.kind == what.stock, outcome


def test_nested_images_need_recovery(stack: Stack, tmp_path: Path) -> None:
    """The backup is reported good, but these file systems were not frozen."""
    shell(stack, NESTED)
    freeze = stack.guest.host.ask("freeze")
    copy = tmp_path / "ext4.img"
    disks.copy(stack.guest.disks["ext4"], copy)
    thaw = stack.guest.host.ask("thaw")
    assert freeze["status"] == thaw["status"] == host.OK
    shell(stack, NOT_NESTED)
    findings = examine_nested(copy)
    print(*findings, sep="\n")
    assert not any(finding.good for finding in findings), findings
    record(COPY, STOCK, word(freeze), word(thaw), "neither is good without recovery")
