# SPDX-License-Identifier: GPL-2.0-only
"""The distribution's database servers in a guest: a root disk that has them, and what must be true
of its copy."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from . import cache, images
from .agent import Agent, Command, until
from .guest import Guest

SIZE = 1024 * images.MIB
# Set up by their packages' own scripts; with the script that runs hooks of QEMU's agent.
PACKAGES = ("postgresql", "mariadb-server", "redis-server", "qemu-guest-agent", "libmount1",
            "kmod", "mount", "procps", "e2fsprogs")
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/lib/modules",
            "usr/lib/llvm-14", "var/cache/apt", "var/lib/apt/lists")


def root_disk() -> Path:
    """Image of a root file system with database servers: copy it, don't boot it."""
    def make(place: Path) -> None:
        cache.need("mmdebstrap", "e2fsprogs")
        sources = place / "sources"
        script = f'. "{cache.TESTS}/lib.sh"; hv_sources {images.SUITE}'
        sources.write_text(cache.run("bash", "-euo", "pipefail", "-c", script))
        tree = place / "root"
        cache.run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
                  '--aptopt=APT::Install-Recommends "false"', f"--include={','.join(PACKAGES)}",
                  images.SUITE, tree, sources)
        for name in LEFT_OUT:
            shutil.rmtree(tree / name, ignore_errors=True)
        for library in tree.glob("usr/lib/*/libLLVM*"):     # of PostgreSQL's compiler
            library.unlink()
        for name in images.MOUNT_POINTS:
            (tree / name).mkdir(parents=True, exist_ok=True)
        (tree / "usr/lib/modules").symlink_to("/run/hvtest/modules")
        image = place / "root.img"
        with open(image, "wb") as file:
            file.truncate(SIZE)
        cache.run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", tree, image)
        shutil.rmtree(tree)
        sources.unlink()

    key = cache.content_hash(images.SUITE, *PACKAGES, *LEFT_OUT, *images.MOUNT_POINTS, str(SIZE),
                             Path(__file__).read_text(encoding="utf-8").split("class Writer")[0])
    return cache.made("databases", key, make, "a root disk with databases (about a minute)"
                      ) / "root.img"


class Writer:
    """Inserts 1, 2, 3 ... as fast as the server accepts them, or with pauses; prints each number
    when the server has committed it."""

    def __init__(self, agent: Agent, name: str, statement: str, client: str) -> None:
        self.name = name
        self._agent = agent
        loop = (f"n=0; while :; do n=$((n + 1)); echo \"{statement}\"; usleep 10000; done"
                f" | {client}")
        self.command: Command = agent.start("sh", "-c", loop)

    @property
    def last(self) -> int:
        numbers = re.findall(r"^(\d+)\r?\n", self.command.out, re.MULTILINE)
        return int(numbers[-1]) if numbers else 0

    def wait_past(self, number: int, timeout: float = 60) -> None:
        self._agent.wait_for(lambda: self.last > number, timeout,
                             f"{self.name} stands still at {number}", self.command)


class Databases:
    """PostgreSQL, MariaDB and Redis in a guest that was booted from root_disk() or its copy."""

    def __init__(self, guest: Guest) -> None:
        self._agent = guest.agent
        self.writers: dict[str, Writer] = {}

    def start(self) -> None:
        """Start the servers, which recover their data."""
        agent = self._agent
        agent.shell("""
            busybox ip link set lo up
            mkdir -p /dev/shm /run/postgresql /run/mysqld /run/redis
            /bin/mount -t tmpfs -o mode=1777 tmpfs /dev/shm
            chown postgres: /run/postgresql; chown mysql: /run/mysqld; chown redis: /run/redis
            """.replace("chown", "/bin/chown"))
        # It names a process of the machine that was backed up; here that is another process.
        agent.run("rm", "-f", "/var/lib/postgresql/15/main/postmaster.pid")
        servers = {
            "postgresql": agent.start(
                "/sbin/runuser", "-u", "postgres", "--",
                "/usr/lib/postgresql/15/bin/postgres", "-D", "/var/lib/postgresql/15/main",
                "-c", "config_file=/etc/postgresql/15/main/postgresql.conf", "-c", "ssl=off",
                "-c", "jit=off", "-c", "shared_buffers=16MB"),
            "mariadb": agent.start("/usr/sbin/mariadbd", "--user=mysql",
                                   "--innodb-buffer-pool-size=16M"),
            "redis": agent.start("/sbin/runuser", "-u", "redis", "--", "/usr/bin/redis-server",
                                 "--save", "", "--dir", "/var/lib/redis"),
        }
        for name, server in servers.items():
            until(lambda n=name, s=server: s.over or self.answers(n), 120, f"{name} answers")
            assert not server.over, f"{name} has ended\n{server.out}{server.err}"

    def answers(self, name: str) -> bool:
        client = self._CLIENTS[name].replace(" test", " mysql").split()
        ask = b"ping" if name == "redis" else b"select 1"
        return self._agent.try_run(*client, data=ask, timeout=60).out.strip() in ("1", "PONG")

    _CLIENTS = {
        "postgresql": "/sbin/runuser -u postgres -- psql -XAtq -d postgres",
        "mariadb": "/usr/bin/mariadb -N -B --unbuffered test",
        "redis": "/usr/bin/redis-cli",
    }

    def query(self, server: str, query: str) -> str:
        return self._agent.run(*self._CLIENTS[server].split(), data=query.encode(),
                               timeout=120).strip()

    def start_writers(self) -> None:
        self.query("postgresql", "create table t (n int primary key)")
        self._agent.run("/usr/bin/mariadb", "-e", "create database test")
        self.query("mariadb", "create table t (n int primary key) engine=innodb; "
                              "create table m (n int primary key) engine=myisam; "
                              "create table a (n int primary key) engine=aria transactional=0")
        for name, statement in {
                "postgresql": "insert into t values ($n) returning n;",
                "mariadb": "insert into a values ($n); insert into m values ($n); "
                           "insert into t values ($n); select $n;",
                "redis": "incr n"}.items():
            self.writers[name] = Writer(self._agent, name, statement, self._CLIENTS[name])
        for writer in self.writers.values():
            writer.wait_past(10)

    def acknowledged(self) -> dict[str, int]:
        return {name: writer.last for name, writer in self.writers.items()}

    def check(self, promised: dict[str, int]) -> dict[str, str]:
        """All acknowledged data is there, and no transaction is incomplete; returns the findings."""
        found = {}
        count, last = map(int, self.query(
            "postgresql", "select count(*), max(n) from t").split("|"))
        assert count == last >= promised["postgresql"], (count, last, promised)
        found["postgresql"] = f"{count} rows, {promised['postgresql']} acknowledged"
        self._agent.run("/sbin/runuser", "-u", "postgres", "--",
                        "/usr/lib/postgresql/15/bin/pg_amcheck", "-d", "postgres",
                        "--install-missing", "-t", "t", timeout=120)
        counts = {table: tuple(map(int, self.query(
            "mariadb", f"select count(*), max(n) from {table}").split())) for table in "tma"}
        # Three statements, in the order a, m, t: the lock may come between two of them.
        rows = [counts[table][0] for table in "amt"]
        assert all(count == last for count, last in counts.values()), counts
        assert rows == sorted(rows, reverse=True) and rows[0] - rows[2] <= 1, counts
        assert rows[2] >= promised["mariadb"], (counts, promised)
        found["mariadb"] = f"{counts['t'][0]} rows, {promised['mariadb']} acknowledged"
        said = self.check_tables()
        assert [line.split("\t")[2:] for line in said] == [["status", "OK"]] * 3, said
        number = int(self.query("redis", "get n"))
        assert number >= promised["redis"], (number, promised)
        found["redis"] = f"{number}, {promised['redis']} acknowledged before the freeze"
        return found

    def check_tables(self) -> list[str]:
        """MariaDB's check of its tables: it reports a table that was not closed."""
        return self.query("mariadb", "check table t, m, a").splitlines()
