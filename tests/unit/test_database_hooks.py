# SPDX-License-Identifier: GPL-2.0-only
"""The ready-made hooks for databases recognise sockets, ports and processes of another user. Clients
and servers are simulated; tests/system uses real ones."""
from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest

HOOKS = pathlib.Path(__file__).resolve().parents[2] / "daemon/hooks/ready-made"
# A user that each system has, in place of the server's user.
SERVER = "bin"
SERVER_UID = 2
NOBODY = 65534
CLIENTS = {
    "psql": 'echo "psql $PGREQUIREPEER $*" >>$SAID',
    "runuser": 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"',
    "mariadb": """case $* in
*--help*) echo "socket            $SOCKET" ;;
*) echo "mariadb $*" >>$SAID
   while read -r line; do
	case $line in *"SELECT '"*) line=${line#*SELECT ?}; echo "${line%%?;*}" ;; esac
   done ;;
esac""",
    "redis-cli": """echo "redis-cli $*" >>$SAID; echo aof_enabled:1""",
    "pidof": "cat $PIDS",
}
# A container with its own root directory.
CONTAINER = """mount -t tmpfs none "$0"
for d in usr bin sbin lib lib64; do
	if [ -L /$d ]; then
		cp -P /$d "$0"
	elif [ -d /$d ]; then
		mkdir "$0/$d"
		mount --rbind /$d "$0/$d"
	fi
done
exec chroot "$0" "$@"
"""


class Hook:
    """A hook as shipped, with other directories and users."""

    def __init__(self, where: pathlib.Path, name: str) -> None:
        self.where = where
        self.conf = where / "hook.conf"
        self.said = where / "said"
        self.said.touch()
        self.pids = where / "pids"
        self.pids.touch()
        self.processes: list[subprocess.Popen] = []
        text = (HOOKS / name).read_text()
        for old, new in ((f"/etc/hv-vss/{name}.conf", str(self.conf)), ("/run/hv-vss", str(where)),
                         ('"/run/postgresql /tmp"', str(where)),
                         ("PGUSER=postgres", f"PGUSER={SERVER}"), (f"_USER={name}", f"_USER={SERVER}")):
            text = text.replace(old, new)
        self.script = where / name
        self.script.write_text(text)
        (where / "clients").mkdir()
        for client, script in CLIENTS.items():
            path = where / "clients" / client
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        self.env = {"PATH": f"{where}/clients:/usr/sbin:/usr/bin:/sbin:/bin", "SAID": str(self.said),
                    "PIDS": str(self.pids), "SOCKET": str(where / "mysqld.sock"),
                    "HV_VSS_TIMEOUT": "10", "HV_VSS_STATUS": "ok"}

    def run(self, argument: str = "freeze") -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", self.script, argument], env=self.env, text=True, timeout=30,
                              capture_output=True, check=False)

    def process(self, uid: int, *command: str) -> None:
        """Start a process; `pidof`, which is simulated, finds it as the server."""
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            [*command, "setpriv", f"--reuid={uid}", "--clear-groups", "sleep", "60"])
        self.processes.append(process)
        deadline = time.monotonic() + 10
        while pathlib.Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
            assert time.monotonic() < deadline
        self.pids.write_text(f"{process.pid}\n")

    def listens(self, name: str, uid: int) -> socket.socket:
        """A socket that belongs to the user, with a listener."""
        made = socket.socket(socket.AF_UNIX)
        made.bind(str(self.where / name))
        os.chown(self.where / name, uid, uid)
        made.listen()
        return made


@pytest.fixture
def hook(request: pytest.FixtureRequest) -> Iterator[Hook]:
    with tempfile.TemporaryDirectory() as place:
        made = Hook(pathlib.Path(place), request.param)
        yield made
        for process in made.processes:
            process.kill()
            process.wait()


def of(*names: str):
    return pytest.mark.parametrize("hook", names, indirect=True)


@of("postgresql")
def test_postgresql_connects_to_its_own_servers_only(hook: Hook) -> None:
    with hook.listens(".s.PGSQL.5432", SERVER_UID), hook.listens(".s.PGSQL.5433", NOBODY):
        (hook.where / ".s.PGSQL.5434").symlink_to(".s.PGSQL.5432")
        done = hook.run()
    assert done.returncode == 0, done
    for port in (5433, 5434):
        assert f".s.PGSQL.{port}: skipped: not owned by {SERVER}" in done.stdout
    said = [line for line in hook.said.read_text().splitlines() if line.startswith("psql")]
    assert len(said) == 2 and all(f"psql {SERVER} -XAtq -h {hook.where} -p 5432" in line
                                  for line in said), said


@of("postgresql")
def test_postgresql_may_run_as_another_user(hook: Hook) -> None:
    hook.conf.write_text("PGREQUIREPEER=nobody\n")
    with hook.listens(".s.PGSQL.5432", SERVER_UID), hook.listens(".s.PGSQL.5433", NOBODY):
        assert hook.run().returncode == 0
    assert "psql nobody -XAtq" in hook.said.read_text()
    assert "-p 5432" not in hook.said.read_text()


@of("mysql", "redis")
@pytest.mark.parametrize("uid, within", [
    (NOBODY, ()), (0, ("unshare", "--mount", "sh", "-ec", CONTAINER))], ids=["nobody", "container"])
def test_server_of_another_user_or_a_container_is_ignored(hook: Hook, uid, within) -> None:
    within = (*within, str(hook.where)) if within else ()
    hook.process(uid, *within)
    done = hook.run()
    assert (done.returncode, done.stdout, hook.said.read_text()) == (0, "", "")


@of("mysql")
def test_mysql_does_not_use_another_users_socket(hook: Hook) -> None:
    hook.process(SERVER_UID)
    with hook.listens("mysqld.sock", NOBODY):
        done = hook.run()
        assert done.returncode == 1 and "mysqld.sock is not owned by bin" in done.stdout
        assert hook.said.read_text() == ""
    (hook.where / "mysqld.sock").unlink()
    with hook.listens("mysqld.sock", SERVER_UID):
        done = hook.run()
    assert done.returncode == 0, done
    hook.run("thaw")
    assert "--local-infile=0" in hook.said.read_text()


@of("redis")
def test_redis_password_is_not_sent_to_another_user(hook: Hook) -> None:
    hook.process(SERVER_UID)
    with hook.listens("redis.sock", NOBODY):
        hook.conf.write_text(f'REDIS_ARGS="-s {hook.where}/redis.sock"\n')
        done = hook.run()
        assert done.returncode == 1 and f"belongs to user {NOBODY}, not to {SERVER}" in done.stdout
        os.chown(hook.where / "redis.sock", SERVER_UID, 0)
        assert hook.said.read_text() == ""
        assert hook.run().returncode == 0
    assert "redis-cli -s" in hook.said.read_text()


@of("redis")
def test_redis_port_of_another_user_is_refused(hook: Hook) -> None:
    hook.process(SERVER_UID)
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen()
        port = made.getsockname()[1]
        hook.conf.write_text(f'REDIS_ARGS="-h localhost -p {port}"\n')
        assert hook.run().returncode == 0, "it is root's"
    script = f"import socket,time; s=socket.socket(); s.bind(('127.0.0.1', {port})); s.listen(); " \
        "print(flush=True); time.sleep(60)"
    with subprocess.Popen(["setpriv", f"--reuid={NOBODY}", "--clear-groups", "/usr/bin/python3",
                           "-c", script], stdout=subprocess.PIPE) as other:
        hook.processes.append(other)
        assert other.stdout and other.stdout.readline()
        hook.said.write_text("")
        done = hook.run()
        other.kill()
    assert done.returncode == 1 and f"port {port} belongs to user" in done.stdout
    assert hook.said.read_text() == ""


@of("mysql", "postgresql", "redis")
@pytest.mark.parametrize("mode, owner", [(0o666, 0), (0o664, 0), (0o644, NOBODY)])
def test_configuration_that_others_can_write_is_not_run(hook: Hook, mode, owner) -> None:
    hook.conf.write_text(f"touch {hook.where}/run\n")
    os.chown(hook.conf, owner, 0)
    hook.conf.chmod(mode)
    done = hook.run()
    assert done.returncode == 1 and "not read: users other than root can write to it" in done.stdout
    assert not (hook.where / "run").exists()
    os.chown(hook.conf, 0, 0)
    hook.conf.chmod(0o600)
    assert hook.run().returncode == 0
    assert (hook.where / "run").exists()
