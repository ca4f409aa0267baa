# SPDX-License-Identifier: GPL-2.0-only
"""Another parser reads the JSON that the daemon writes."""
import json
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


def expected(name: bytes) -> str:
    """Each byte that belongs to no UTF-8 sequence becomes U+FFFD."""
    text = ""
    while name:
        for length in (1, 2, 3, 4):
            try:
                text += name[:length].decode()
                break
            except UnicodeDecodeError:
                pass
        else:
            length = 1
            text += "\ufffd"
        name = name[length:]
    return text


def test_python_reads_what_the_daemon_writes(tmp_path: pathlib.Path) -> None:
    out = tmp_path / "sample.json"
    done = subprocess.run(["make", "-s", "-C", HERE, "check", "T=test_json", f"O={tmp_path}"],
                          env=os.environ | {"HV_VSS_JSON_OUT": str(out)},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    entries = json.loads(out.read_bytes())
    assert len(entries) == 22 ** 4
    for entry in entries:
        (name, value), = entry.items()
        assert value == expected(bytes.fromhex(name)), name
