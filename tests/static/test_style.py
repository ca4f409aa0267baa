# SPDX-License-Identifier: GPL-2.0-only
"""The source tree itself: coding style, analysers, rules of this project."""
import functools
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]


@functools.lru_cache
def tracked() -> list[str]:
    """Files that git tracks or would track (the work tree as it is)."""
    out = subprocess.run(
        ["git", "-c", f"safe.directory={TOP}", "ls-files", "-co", "--exclude-standard"],
        cwd=TOP, check=True, capture_output=True, text=True).stdout
    return [f for f in out.splitlines() if (TOP / f).is_file()]


def c_files(*dirs: str) -> list[str]:
    """C sources and headers below any of the given directories."""
    return [f for f in tracked() if f.endswith((".c", ".h")) and f.startswith(dirs)]


def run(cmd: list[str]) -> None:
    """Run a checker; its output is the failure message."""
    done = subprocess.run(cmd, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(cmd[:4])} ...\n{done.stdout}{done.stderr}"


# Left out: what new code should not call, but compat.h does for old kernels; what holds for the
# kernel alone (its types and macros; volatile sig_atomic_t is what signal handlers need), and QEMU's
# own API, which is CamelCase.
CHECKPATCH_IGNORE = {
    "src/": "DEPRECATED_API",
    "include/": "",
    "daemon/": "PREFER_KERNEL_TYPES,PREFER_DEFINED_ATTRIBUTE_MACRO",
    "tests/": "PREFER_KERNEL_TYPES,PREFER_DEFINED_ATTRIBUTE_MACRO,"
              "CAMELCASE,BIT_MACRO,AVOID_BUG,ARRAY_SIZE,VOLATILE,EMBEDDED_FUNCTION_NAME",
}


@pytest.mark.parametrize("part", sorted(CHECKPATCH_IGNORE))
def test_checkpatch_is_clean(part):
    script = subprocess.run([TOP / "tests/static/checkpatch-path"], check=True,
                            capture_output=True, text=True).stdout.strip()
    files = c_files(part)
    assert files or part == "tests/"
    ignore = "FILE_PATH_CHANGES,SPLIT_STRING,LINUX_VERSION_CODE"
    if CHECKPATCH_IGNORE[part]:
        ignore += "," + CHECKPATCH_IGNORE[part]
    run([script, "--no-tree", "--strict", "--terse", "--show-types", "--no-summary",
         "--max-line-length=100", "--ignore", ignore, "-f", *files])


def test_shellcheck_is_clean():
    scripts = []
    for name in tracked():
        with open(TOP / name, "rb") as file:
            line = file.readline(64)
        if name.endswith(".sh") or re.match(rb"#!/(usr/)?bin/(env )?(ba)?sh\b", line):
            scripts.append(name)
    assert scripts
    run(["shellcheck", "-x", "-P", "SCRIPTDIR", "-e", "SC1091", *scripts])


def test_cppcheck_is_clean():
    run(["cppcheck", "--quiet", "--std=c11", "--language=c", "--error-exitcode=1",
         "--enable=warning,performance,portability", "--inline-suppr",
         "--suppress=missingIncludeSystem", "--suppress=unknownMacro",
         "-I", "include/uapi", "-I", "daemon", "-I", "src",
         *[f for f in c_files("daemon/", "src/ic", "src/transaction") if f.endswith(".c")]])


def test_driver_has_no_version_checks():
    bad = re.compile(r"LINUX_VERSION_CODE|KERNEL_VERSION\(|RHEL_RELEASE_CODE")
    hits = [f for f in c_files("src/") if not f.startswith("src/compat")
            and bad.search((TOP / f).read_text())]
    assert not hits


def test_daemon_and_module_never_shell_out():
    bad = re.compile(r"\b(system|popen|call_usermodehelper)\s*\(")
    hits = [f for f in c_files("src/", "daemon/") if bad.search((TOP / f).read_text())]
    assert not hits


def test_every_source_names_its_licence():
    want = {"include/uapi/hv_vss.h": "GPL-2.0 WITH Linux-syscall-note"}
    hits = []
    for name in tracked():
        if not name.endswith((".c", ".h", ".py", ".sh", "Makefile", "Kbuild")):
            continue
        head = (TOP / name).read_text()[:400]
        licence = want.get(name, "GPL-2.0-only")
        if f"SPDX-License-Identifier: {licence}" not in head:
            hits.append(name)
    assert not hits


def test_every_copy_of_the_version_agrees():
    version = subprocess.run(["make", "-s", "version"], cwd=TOP, check=True,
                             capture_output=True, text=True).stdout.strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert f"## {version}" in (TOP / "CHANGELOG.md").read_text()


def test_editors_are_told_the_same_style():
    """.editorconfig and .clang-format, and the width that checkpatch is given here."""
    width = re.search(r"--max-line-length=(\d+)", pathlib.Path(__file__).read_text())[1]
    editor = (TOP / ".editorconfig").read_text()
    c_part = editor.split("Kbuild}]")[1].split("\n[")[0]
    assert f"max_line_length = {width}" in c_part and "indent_style = tab" in c_part
    formatter = (TOP / ".clang-format").read_text()
    assert f"ColumnLimit: {width}\n" in formatter and "UseTab: Always" in formatter
    assert re.findall(r"^(?:TabWidth|IndentWidth): (\d+)$", formatter, re.M) == ["8", "8"]


def test_files_are_as_editorconfig_says():
    """It holds for all that people edit; recorded input of tests may be anything."""
    bad = []
    for name in tracked():
        if name.startswith("tests/unit/tables/") or name.endswith((".png", ".svg", ".bin", ".patch")):
            continue
        text = (TOP / name).read_bytes()
        if b"\0" in text or "corpus" in name:
            continue
        if text and not text.endswith(b"\n") or re.search(rb"[ \t]\r?$", text, re.M):
            bad.append(name)
    assert not bad
