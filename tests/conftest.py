# SPDX-License-Identifier: GPL-2.0-only
"""For all tests: the import path, and the closing line of the test command."""
import collections
import pathlib
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))


@pytest.fixture(scope="session")
def top() -> pathlib.Path:
    """The top of the source tree."""
    return TOP


def pytest_terminal_summary(terminalreporter) -> None:
    """Print what passed tests have left out: see kernels.leave_out()."""
    left_out = collections.Counter(
        text for reports in terminalreporter.stats.values() for report in reports
        for name, text in getattr(report, "user_properties", ()) if name == text[:len(name)])
    for text, times in sorted(left_out.items()):
        terminalreporter.line(f"{text} ({times} times)")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Close with one plain line; an error in a fixture counts as a failure."""
    if hasattr(config, "workerinput"):
        return
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    count = {key: len(value) for key, value in reporter.stats.items()}
    failed = count.get("failed", 0) + count.get("error", 0) + count.get("xpassed", 0)
    skipped = count.get("skipped", 0) + count.get("xfailed", 0)
    print(f"{count.get('passed', 0)} passed, {failed} failed, {skipped} skipped")
