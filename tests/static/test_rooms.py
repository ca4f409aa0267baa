# SPDX-License-Identifier: GPL-2.0-only
"""The folders (rooms) of the code and the includes (arrows) between them; no circle is allowed."""
import pathlib
import re

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]

# The rooms that a room's files may include, beside their own.
ARROWS = {
    "": {"kvp", "report", "unguarded", "freeze", "targets", "blockers", "hooks", "plan", "driver", "base"},
    "kvp": {"report", "base"},
    "report": {"freeze", "targets", "hooks", "evidence", "plan", "driver", "base"},
    "unguarded": {"targets", "plan", "base"},
    "freeze": {"targets", "blockers", "base"},
    "blockers": {"targets", "base"},
    "targets": {"evidence", "plan", "driver", "base"},
    "evidence": {"plan", "base"},
    "hooks": {"base"},
    "plan": {"base"},
    "driver": {"base"},
    "base": set(),
}
TREES = ["daemon", "src", "tests/host"]


def files(tree: str) -> dict[str, str]:
    """The sources and headers of a tree, with their text."""
    return {str(p.relative_to(TOP / tree)): p.read_text()
            for p in sorted((TOP / tree).rglob("*.[ch]")) if not p.name.endswith(".mod.c")}


def room(name: str) -> str:
    """The room that a file is in."""
    return name.rpartition("/")[0]


def included(texts: dict[str, str]) -> dict[str, set[str]]:
    """The files of the same tree that each file includes."""
    found = {}
    for name, text in texts.items():
        found[name] = set()
        for header in re.findall(r'^#\s*include "([^"]+)"', text, re.M):
            beside = f"{room(name)}/{header}".lstrip("/")
            found[name] |= {other for other in (beside, header) if other in texts}
    return found


def modules(texts: dict[str, str]) -> dict[str, set[str]]:
    """The same for modules: NAME.c and NAME.h are one."""
    found: dict[str, set[str]] = {}
    for name, others in included(texts).items():
        found.setdefault(name[:-2], set()).update(other[:-2] for other in others)
    return {name: others - {name} for name, others in found.items()}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The nodes that are left after repeatedly removing those without an arrow to a remaining node."""
    left = dict(graph)
    while True:
        ends = [name for name, others in left.items() if not others & set(left)]
        if not ends:
            return sorted(left)
        for name in ends:
            del left[name]


@pytest.mark.parametrize("tree", TREES)
def test_no_includes_run_in_a_circle(tree):
    graph = modules(files(tree))
    assert any(graph.values())
    assert circle(graph) == []


@pytest.mark.parametrize("tree", TREES)
def test_a_circle_would_be_found(tree):
    texts = files(tree)
    graph = modules(texts)
    below = next(name for name, others in graph.items() if others)
    above = min(graph[below])
    source = next(name for name in texts if name[:-2] == above)
    texts[source] += f'#include "{below}.h"\n'
    texts.setdefault(f"{below}.h", "")
    assert {below, above} <= set(circle(modules(texts)))


def test_rooms_include_only_what_their_arrows_say():
    used: dict[str, set[str]] = {name: set() for name in ARROWS}
    for name, others in included(files("daemon")).items():
        for other in others:
            used[room(name)] |= {room(other)} - {room(name)}
    assert used == ARROWS


def test_arrows_do_not_run_in_a_circle():
    assert circle(ARROWS) == []


def test_every_name_is_there_once():
    """So that a name alone says which file is meant."""
    names = [pathlib.Path(name).name for name in files("daemon")]
    assert len(names) == len(set(names))


def test_the_way_through_the_house_is_that_of_the_code():
    """The files and functions that CONTRIBUTING.md and DESIGN.md name exist."""
    text = (TOP / ".github/CONTRIBUTING.md").read_text()
    walk = text.split("follow it through the house")[1].split("\n## ")[0]
    assert len(re.findall(r"^\d+\. ", walk, re.M)) == 15
    for line in re.findall(r"^\d+\. .*", walk, re.M):
        sources = re.findall(r"`((?:src|daemon)/[\w/]+\.c)`", line)
        assert sources, line
        joined = "".join((TOP / source).read_text() for source in sources)
        for name in re.findall(r"`(\w+)\(\)`", line):
            assert re.search(rf"\b{name}\(", joined), line
    design = (TOP / "src/DESIGN.md").read_text()
    named = set(re.findall(r"`((?:src|daemon|tests)/[\w./]+\.\w+)`", text + design))
    assert len(named) > 20
    assert [name for name in named if not (TOP / name).exists()] == []
