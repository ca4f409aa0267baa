# SPDX-License-Identifier: GPL-2.0-only
"""The ready-made hooks, and those of QEMU's guest agent, with the real servers: what they have
acknowledged is in the backup, and the backup is consistent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hvtest import cache, databases, disks, host, kernels
from hvtest.agent import until
from hvtest.databases import Databases
from hvtest.guest import Guest
from hvtest.stack import OURS, Stack

HOOKS = cache.TOP / "daemon/hooks"


@dataclass
class Run:
    """A guest with databases that are written to, and its backup."""
    guest: Guest
    stack: Stack
    servers: Databases
    copy: Path | None = None
    promised: dict[str, int] | None = None
    said: str = ""


@pytest.fixture(scope="module", params=kernels.chosen("bookworm"))
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def run(machine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    image = tmp_path_factory.mktemp("databases") / "root.img"
    disks.copy(databases.root_disk(), image)
    with Guest(machine, {"root": image}, memory=1024) as guest:
        servers = Databases(guest)
        servers.start()
        stack = Stack(guest, OURS, OURS)
        stack.load()
        for hook in sorted(HOOKS.iterdir()):
            guest.agent.run("mkdir", "-p", "/usr/share/hv-vss/hooks", "/etc/hv-vss/hooks.d")
            guest.agent.put(f"/usr/share/hv-vss/hooks/{hook.name}", hook.read_bytes(), 0o755)
            guest.agent.run("ln", "-s", f"/usr/share/hv-vss/hooks/{hook.name}",
                            f"/etc/hv-vss/hooks.d/50-{hook.name}")
        yield Run(guest, stack, servers)
        guest.check()


def test_backup(run: Run) -> None:
    run.servers.start_writers()
    # The default, and as much more as the kernel is slower.
    run.stack.start_daemon(f"--hook-timeout={30 * kernels.pace(run.guest.kernel.suite)}")
    ahead = run.servers.acknowledged()
    freeze = run.guest.host.ask("freeze", timeout=120)
    assert freeze["status"] == host.OK, run.stack.stop_daemon()
    time.sleep(0.3)     # what was acknowledged before may be on its way to us
    run.copy = run.guest.path / "copy.img"
    disks.copy(run.guest.disks["root"], run.copy)
    # Redis has them in memory only, as it is told to: what counts is what its hook has saved.
    run.promised = {**run.servers.acknowledged(), "redis": ahead["redis"]}
    assert run.guest.host.ask("thaw", timeout=60)["status"] == host.OK
    for name, writer in run.servers.writers.items():
        writer.wait_past(run.servers.acknowledged()[name])
    until(lambda: run.guest.agent.try_run("test", "-e", "/run/hv-vss/hook-mysql").status, 20,
          "the lock is let go")
    run.said = run.stack.stop_daemon()
    assert "hooks: 3 called with \"thaw\"" in run.said, run.said


@pytest.fixture
def resting(run: Run) -> Iterator[None]:
    """The guest that was backed up leaves the processor to its copy."""
    run.guest.pause()
    yield
    run.guest.resume()


@pytest.mark.usefixtures("resting")
def test_restore(run: Run, machine: str) -> None:
    assert run.copy and run.promised, "there is no backup"
    with Guest(machine, {"root": run.copy}, memory=1024) as guest:
        servers = Databases(guest)
        servers.start()
        found = servers.check(run.promised)
        assert set(found) == {"postgresql", "mariadb", "redis"}
        # The check would have noticed: tables that are in use look otherwise.
        guest.agent.shell("mariadb test -e 'insert into m values (0); insert into a values (0)';"
                          "kill -9 $(pidof mariadbd)")
        guest.agent.start("/usr/sbin/mariadbd", "--user=mysql", "--myisam-recover-options=OFF",
                          "--aria-recover-options=NORMAL")
        until(lambda: servers.answers("mariadb"), 120, "mariadb answers")
        assert any("warning" in line for line in servers.check_tables())
        guest.check()


def test_failure_of_a_database_is_one_of_the_backup(run: Run) -> None:
    """Somebody sits on a table: no lock in time, and MariaDB goes on as before."""
    agent = run.guest.agent
    agent.put("/etc/hv-vss/mysql.conf", b"MYSQL_LOCK_WAIT=2\n")
    run.stack.start_daemon()
    agent.start("mariadb", "test", "-e", "lock tables m read; select sleep(3600)")
    until(lambda: "sleep(3600)" in run.servers.query("mariadb", "show processlist"), 30, "a lock")
    assert run.guest.host.ask("freeze", timeout=120)["status"] == host.FAIL
    said = run.stack.stop_daemon()
    assert "Lock wait timeout exceeded" in said, said
    run.guest.writable(["/root"])


def test_hook_of_qemus_agent(run: Run) -> None:
    """Its script, as Debian ships it, calls what is in its directory."""
    agent = run.guest.agent
    agent.put("/etc/qemu/fsfreeze-hook.d/app", b"#!/bin/sh\necho app $1 >>/run/app\n", 0o755)
    run.stack.start_daemon("--hooks=/etc/qemu/fsfreeze-hook")
    run.stack.back_up()
    until(lambda: "thaw" in agent.run("cat", "/run/app"), 20, "it is called with thaw")
    run.stack.stop_daemon()
    assert agent.run("cat", "/run/app") == "app freeze\napp thaw\n"
    log = agent.run("cat", "/var/log/qga-fsfreeze-hook.log")
    assert "fsfreeze-hook.d/app" in log, log
    # And what is in its directory is a hook of ours.
    agent.run("rm", "/run/app")
    run.stack.start_daemon("--hooks=/etc/qemu/fsfreeze-hook.d")
    run.stack.back_up()
    until(lambda: "thaw" in agent.run("cat", "/run/app"), 20, "it is called with thaw")
    run.stack.stop_daemon()
    assert agent.run("cat", "/run/app") == "app freeze\napp thaw\n"
