# SPDX-License-Identifier: GPL-2.0-only
"""RPM packages of this tree."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
SOURCES = ["Makefile", "dkms.conf", "LICENSE", "README.md", "CHANGELOG.md", "src", "include",
           "daemon", "systemd", "rpm"]
# How EL and Fedora process the files at the end of %install.
INSTALL_POST = "/usr/lib/rpm/brp-compress; find %{buildroot}%{_sbindir} -type f -exec strip {} +"


def build(where: Path, version: str, spec_edit=lambda text: text) -> list[Path]:
    """Build the packages of this tree as it is; returns their paths."""
    names = subprocess.run(["git", "-c", f"safe.directory={TOP}", "ls-files", "-co",
                            "--exclude-standard", "--", *SOURCES],
                           cwd=TOP, check=True, capture_output=True, text=True).stdout.split()
    tree = where / f"hv-vss-{version}"
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, tree / name)
    conf = tree / "dkms.conf"
    conf.write_text(re.sub("^PACKAGE_VERSION=.*", f'PACKAGE_VERSION="{version}"',
                           conf.read_text(), flags=re.M))
    (where / "SOURCES").mkdir()
    subprocess.run(["tar", "-C", where, "-czf", where / f"SOURCES/hv-vss-{version}.tar.gz",
                    tree.name], check=True)
    spec = where / "hv-vss.spec"
    spec.write_text(spec_edit((TOP / "rpm/hv-vss.spec").read_text()))
    # --nodeps: the packages that it needs have other names here.
    done = subprocess.run(["rpmbuild", "--nodeps", f"--load={HERE / 'rpm.macros'}", "--define",
                           f"_topdir {where}", "--define", f"__os_install_post {INSTALL_POST}",
                           "-ba", spec],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(where.glob("*RPMS/**/*.rpm"))
