# SPDX-License-Identifier: GPL-2.0-only
"""Kernels from a directory: what the harness finds there."""
from __future__ import annotations

from pathlib import Path

import pytest

from hvtest import anykernel, cache, kernels

RELEASE = "4.19.1-test"


def put(top: Path, *names: str, text: str = "") -> None:
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)


@pytest.fixture(name="tree")
def tree_fixture(tmp_path: Path) -> Path:
    put(tmp_path, "include/config/kernel.release", text=RELEASE + "\n")
    put(tmp_path, "arch/x86/boot/bzImage", ".config", "modules.order", "modules.builtin",
        "drivers/hv/hv_vmbus.ko", "drivers/hv/hv_utils.ko")
    return tmp_path


@pytest.fixture(name="packages")
def packages_fixture(tmp_path: Path) -> Path:
    put(tmp_path, f"boot/vmlinuz-{RELEASE}", f"boot/config-{RELEASE}",
        f"usr/src/linux-headers-{RELEASE}/Makefile", "usr/lib/linux-kbuild-4.19/scripts/mod",
        f"usr/lib/modules/{RELEASE}/kernel/drivers/hv/hv_vmbus.ko.xz",
        f"usr/lib/modules/{RELEASE}/modules.builtin")
    return tmp_path


def test_built_tree(tree: Path) -> None:
    source = anykernel.find(tree)
    assert (source.release, source.packaged) == (RELEASE, False)
    assert source.tree == tree and source.binds == ((tree, tree),)
    assert [path.name for path in source.modules] == ["hv_utils.ko", "hv_vmbus.ko"]
    assert [path.name for path in source.lists] == ["modules.order", "modules.builtin"]


def test_unpacked_packages(packages: Path) -> None:
    source = anykernel.find(packages)
    assert (source.release, source.packaged) == (RELEASE, True)
    assert source.tree == Path(f"/lib/modules/{RELEASE}/build")
    assert [path.name for path in source.modules] == ["hv_vmbus.ko.xz"]
    assert source.image == packages / f"boot/vmlinuz-{RELEASE}"
    assert dict(source.binds) == {
        packages / f"usr/lib/modules/{RELEASE}": Path(f"/lib/modules/{RELEASE}"),
        packages / f"usr/src/linux-headers-{RELEASE}": Path(f"/usr/src/linux-headers-{RELEASE}"),
        packages / "usr/lib/linux-kbuild-4.19": Path("/usr/lib/linux-kbuild-4.19")}


@pytest.mark.parametrize("name, missing", [
    ("arch/x86/boot/bzImage", "image"), (".config", "configuration"),
    ("include/config/kernel.release", "release")])
def test_missing_part_of_a_tree_is_named(tree: Path, name: str, missing: str
                                                           ) -> None:
    (tree / name).unlink()
    with pytest.raises(cache.HarnessError, match=f"no {missing} of a kernel"):
        anykernel.find(tree)


def test_directory_without_a_kernel_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(cache.HarnessError, match="neither a built kernel tree nor packages"):
        anykernel.find(tmp_path)


def test_names_of_machines_may_have_dashes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernels.shape("trixie-backports-2cpu-ours") == ("trixie-backports", "2cpu", "ours")
    monkeypatch.setenv("HV_VSS_KERNELS", "/some/linux-4.19 bookworm-backports")
    assert set(kernels.machines("sid-2cpu-ours", "bullseye-1cpu-stock")) == {
        "/some/linux-4.19-2cpu-ours", "/some/linux-4.19-1cpu-stock",
        "bookworm-backports-2cpu-ours", "bookworm-backports-1cpu-stock"}
