# SPDX-License-Identifier: GPL-2.0-only
"""Systems to install into, and what is installed."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
pytest.register_assert_rewrite("booted", "installed", "rpms")

import guest_system  # noqa: E402  pylint: disable=wrong-import-position,import-error
import installed  # noqa: E402  pylint: disable=wrong-import-position,import-error
from hvtest.guest import report_to  # noqa: E402  pylint: disable=wrong-import-position,import-error

TOP = HERE.parents[1]
# More boots of whole systems, only if they are asked for. Without a boot, test_dkms.py tests what dkms
# does for another kernel, and test_rpm.py the scriptlets of RPM packages.
collect_ignore = [] if "HV_VSS_INSTALLED" in os.environ else [
    "test_kernel_change.py", "test_rpm_installed.py", "test_without_module.py"]


@pytest.fixture(scope="session")
def version() -> str:
    """The version of this tree, from the one place that holds it."""
    return subprocess.run(["make", "-s", "version"], cwd=TOP, check=True, capture_output=True,
                          text=True).stdout.strip()


PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.stash[PASSED] = report.passed
    report_to(report)


@pytest.fixture(scope="session", params=[
    pytest.param(suite, marks=pytest.mark.xdist_group(f"installed-{suite}"))
    for suite in installed.SUITES])
def life(request, tmp_path_factory, version):
    """A booted system, in the state that the last scenario left. Shared by all test files, because
    booting and installing take longer than most scenarios."""
    yield from installed.life(
        installed.System(request.param, tmp_path_factory.mktemp("system"), version))


@pytest.fixture
def whole_system(life, request):
    """For one scenario; the next ones build on it."""
    if life.broken:
        pytest.fail(f"the system is not what it should be since {life.broken}")
    life.broken = request.node.name     # until the backup at its end
    begin = time.monotonic()
    yield life
    life.guest.timed(request.node.name, begin)
    if not request.node.stash.get(PASSED, False):
        life.broken = request.node.name     # whatever backups worked before


@pytest.fixture(params=guest_system.SUITES)
def system(request, tmp_path):
    """A fresh system of each Debian suite."""
    return guest_system.GuestSystem(request.param, tmp_path / "system")


@pytest.fixture
def dkms_source(tmp_path, version):
    """The tree that dkms builds from, as `make install` installs it."""
    subprocess.run(["make", "-s", "install-dkms-source", f"DESTDIR={tmp_path / 'source'}"],
                   cwd=TOP, check=True)
    return tmp_path / f"source/usr/src/hv-vss-{version}"


# How dkms, and the files that it reads, handle kernels, versions and failures does not depend on the
# compiled code: most of it is tested with this module, which takes a second.
TINY = {
    "src/Kbuild": "obj-m := hv_vss.o\n"
                  "ccflags-y := -DV='\"$(shell sed -n 's/^PACKAGE_VERSION=\"\\(.*\\)\"/\\1/p' "
                  "$(src)/../dkms.conf)\"'\n",
    "src/hv_vss.c": "#include <linux/module.h>\n"
                    "MODULE_LICENSE(\"GPL\");\n"
                    "MODULE_DESCRIPTION(\"stand-in\");\n"
                    "MODULE_VERSION(V);\n",
}


@pytest.fixture
def tiny_source(tmp_path):
    """The files that dkms reads, with a module that does nothing."""
    where = tmp_path / "tiny"
    for name in ("Makefile", "dkms.conf", "src/dkms-pre-build"):
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, where / name)
    for name, text in TINY.items():
        (where / name).write_text(text)
    return where


@pytest.fixture
def tiny_tree(tmp_path):
    """The whole source, but module and daemon are small: compiling them is tested elsewhere."""
    names = subprocess.run(["git", "-c", f"safe.directory={TOP}", "ls-files", "-co",
                            "--exclude-standard", "--", "Makefile", "dkms.conf", "LICENSE", "README.md",
                            "CHANGELOG.md", "src", "include", "daemon", "systemd", "debian", "rpm"],
                           cwd=TOP, check=True, capture_output=True, text=True).stdout.split()
    tree = tmp_path / "tree"
    for name in names:
        if re.match(r"(daemon/.*|src/\w*|src/compat/.*)[.][ch]$", name) or not (TOP / name).exists():
            continue
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, tree / name)
    for name, text in TINY.items():
        (tree / name).write_text(text)
    (tree / "daemon/main.c").write_text("#include <stdio.h>\n"
                                        "int main(void) { puts(HV_VSS_VERSION); return 0; }\n")
    return tree
