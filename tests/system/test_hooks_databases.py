# SPDX-License-Identifier: GPL-2.0-only
"""The ready-made hooks, and those of QEMU's guest agent, with the real servers: the backup is
consistent, and has all that they have acknowledged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hvtest import cache, databases, disks, host, kernels
from hvtest.agent import Command, until
from hvtest.databases import Databases
from hvtest.guest import Guest
from hvtest.stack import OURS, Stack

HOOKS = cache.TOP / "daemon/hooks/ready-made"
# Emulated, on a machine that does other things as well, a checkpoint can take longer than the 30 s
# that are enough on real machines.
PATIENTLY = f"--hook-timeout={100 * kernels.pace()}"


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


# It prints when a client connects, and answers nothing.
LISTENER = """use Socket; $| = 1; my $path = shift;
socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die;
bind($s, sockaddr_un($path)) && listen($s, 5) or die;
print "listens\n";
while (accept(my $c, $s)) { print "connected\n"; sysread($c, my $b, 1) && print "asked\n"; }
"""


def listen_as_nobody(run: Run, path: str) -> Command:
    """Listen on a socket where a hook searches for a server."""
    listener = run.guest.agent.start("/usr/bin/setpriv", "--reuid=65534", "--regid=65534",
                                     "--clear-groups", "perl", "-e", LISTENER, path)
    until(lambda: "listens" in listener.out or listener.over, 20, "it listens")
    assert not listener.over, listener.err
    return listener


def test_backup(run: Run) -> None:
    run.servers.start_writers()
    # The hook must not use sockets of other users.
    listener = listen_as_nobody(run, "/tmp/.s.PGSQL.5999")
    run.stack.start_daemon(PATIENTLY)
    ahead = run.servers.acknowledged()
    freeze = run.guest.host.ask("freeze", timeout=300)
    assert freeze["status"] == host.OK, run.stack.stop_daemon()
    time.sleep(0.3)     # earlier acknowledgements may not have arrived yet
    run.copy = run.guest.path / "copy.img"
    disks.copy(run.guest.disks["root"], run.copy)
    # Redis is configured to keep them in memory only: what its hook has saved counts.
    run.promised = {**run.servers.acknowledged(), "redis": ahead["redis"]}
    assert run.guest.host.ask("thaw", timeout=60)["status"] == host.OK
    for name, writer in run.servers.writers.items():
        writer.wait_past(run.servers.acknowledged()[name])
    until(lambda: run.guest.agent.try_run("test", "-e", "/run/hv-vss/hook-mysql").status, 20,
          "the lock is let go")
    run.said = run.stack.stop_daemon()
    assert "hooks: 3 called with \"thaw\"" in run.said, run.said
    assert "/tmp/.s.PGSQL.5999: skipped: not owned by postgres" in run.said, run.said
    assert listener.out == "listens\n"
    listener.kill()
    run.guest.agent.run("rm", "/tmp/.s.PGSQL.5999")


@pytest.fixture
def resting(run: Run) -> Iterator[None]:
    """Pause the guest that was backed up, so that its copy gets the processor."""
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
        # Check the check: tables that are in use are reported.
        guest.agent.shell("mariadb test -e 'insert into m values (0); insert into a values (0)';"
                          "kill -9 $(pidof mariadbd)")
        guest.agent.start("/usr/sbin/mariadbd", "--user=mysql", "--myisam-recover-options=OFF",
                          "--aria-recover-options=NORMAL")
        until(lambda: servers.answers("mariadb"), 120, "mariadb answers")
        assert any("warning" in line for line in servers.check_tables())
        guest.check()


def test_postgresql_hook_checks_the_user_of_the_server(run: Run) -> None:
    """The socket's owner was right when it was checked, but another user listens there."""
    agent = run.guest.agent
    listener = listen_as_nobody(run, "/tmp/.s.PGSQL.5999")
    agent.run("/bin/chown", "postgres", "/tmp/.s.PGSQL.5999")
    run.stack.start_daemon(PATIENTLY)
    assert run.guest.host.ask("freeze", timeout=300)["status"] == host.FAIL
    said = run.stack.stop_daemon()
    assert 'requirepeer specifies "postgres", but actual peer user name is "nobody"' in said, said
    assert listener.out == "listens\nconnected\n"
    listener.kill()
    agent.run("rm", "/tmp/.s.PGSQL.5999")


def test_failure_of_a_database_is_one_of_the_backup(run: Run) -> None:
    """A client has locked a table: the hook gets no lock in time, and MariaDB continues as before."""
    agent = run.guest.agent
    agent.put("/etc/hv-vss/mysql.conf", b"MYSQL_LOCK_WAIT=2\n")
    run.stack.start_daemon(PATIENTLY)
    agent.start("mariadb", "test", "-e", "lock tables m read; select sleep(3600)")
    until(lambda: "sleep(3600)" in run.servers.query("mariadb", "show processlist"), 30, "a lock")
    assert run.guest.host.ask("freeze", timeout=300)["status"] == host.FAIL
    said = run.stack.stop_daemon()
    assert "Lock wait timeout exceeded" in said, said
    run.guest.writable(["/root"])


def test_hook_of_qemus_agent(run: Run) -> None:
    """Its script, as Debian ships it, calls what is in its directory."""
    agent = run.guest.agent
    agent.put("/etc/qemu/fsfreeze-hook.d/app", b"#!/bin/sh\necho app $1 >>/run/app\n", 0o755)
    run.stack.start_daemon(PATIENTLY, "--hooks=/etc/qemu/fsfreeze-hook")
    run.stack.back_up()
    until(lambda: "thaw" in agent.run("cat", "/run/app"), 20, "it is called with thaw")
    run.stack.stop_daemon()
    assert agent.run("cat", "/run/app") == "app freeze\napp thaw\n"
    log = agent.run("cat", "/var/log/qga-fsfreeze-hook.log")
    assert "fsfreeze-hook.d/app" in log, log
    # And what is in its directory is a hook of ours.
    agent.run("rm", "/run/app")
    run.stack.start_daemon(PATIENTLY, "--hooks=/etc/qemu/fsfreeze-hook.d")
    run.stack.back_up()
    until(lambda: "thaw" in agent.run("cat", "/run/app"), 20, "it is called with thaw")
    run.stack.stop_daemon()
    assert agent.run("cat", "/run/app") == "app freeze\napp thaw\n"
