# SPDX-License-Identifier: GPL-2.0-only
"""The documentation has what programs can read, and no more."""
import pathlib
import re

from hvtest import constructiontable

TOP = pathlib.Path(__file__).resolve().parents[2]
README = (TOP / "README.md").read_text()
PAGE = (TOP / "daemon/hv-vss-daemon.8").read_text()


def words(section: str) -> set[str]:
    """The bold words in a section of the manual page."""
    text = re.search(rf"^\.SH {section}\n(.*?)^\.SH", PAGE, re.M | re.S).group(1)
    return set(re.findall(r"^\.(?:BR?|RB \() *\b(\w+)", text, re.M))


def test_every_key_of_the_json_is_in_the_manual():
    keys = set()
    for name in ("report/statustext.c", "report/list.c", "report/fsdisks.c"):
        keys |= set(re.findall(r'json_(?:string|int|bool|ms|object|array)\(&?j, "(\w+)"',
                               (TOP / "daemon" / name).read_text()))
    assert len(keys) > 50
    assert keys - words("JSON") == set()


def test_every_state_is_in_the_manual():
    source = (TOP / "daemon/report/livestate.c").read_text().split("livestate_token(enum")[1]
    tokens = set(re.findall(r'\] = "(\w+)"', source))
    assert len(tokens) == 7
    assert tokens - words("JSON") == set()


def test_version_of_the_schema_is_in_the_manual():
    number = re.search(r"^#define STATUS_SCHEMA\s+(\d+)", (TOP / "daemon/report/status.h").read_text(),
                       re.M).group(1)
    assert f".B schema_version\nis {number}.\n" in PAGE


def test_the_number_of_constructions_is_that_of_the_table():
    table = TOP / "tests/CONSTRUCTIONS.md"
    counted = re.search(r"in (\d+) of (\d+) cases", table.read_text())
    rows = {name: row for name, row in constructiontable.read(table).items()
            if row["stock", "freeze"]}
    bad = sum(constructiontable.is_bad(name, row) for name, row in rows.items())
    assert counted.groups() == (str(bad), str(len(rows)))
    assert f"in {bad} of {len(rows)} cases" in README
