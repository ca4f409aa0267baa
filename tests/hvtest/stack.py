# SPDX-License-Identifier: GPL-2.0-only
"""The guest's side of a backup: our module or hv_utils, our daemon or the stock one."""

from __future__ import annotations

import signal

from . import build, coverage, host
from .agent import Command, until
from .guest import Guest

OURS, STOCK = "ours", "stock"
DEVICE = "/dev/vmbus/hv_vss"


class Stack:
    """One pairing of module and daemon in a booted guest."""

    def __init__(self, guest: Guest, module: str = OURS, daemon: str = OURS) -> None:
        self.guest = guest
        self.module = module
        self.kind = daemon
        # The stock daemon freezes only some file systems.
        guest.host.judges_writes = daemon == OURS
        self.daemon: Command | None = None

    def load(self, parameters: str = "") -> None:
        """Load the drivers; returns when the channel is open and the host has negotiated."""
        since = self.guest.host.mark()
        agent = self.guest.agent
        agent.run("/sbin/modprobe", "hv_vmbus")
        if self.module == OURS:
            agent.put("/run/hvtest/hv_vss.ko", build.module(self.guest.kernel.suite).read_bytes())
            self.insmod(parameters)
        agent.run("/sbin/modprobe", "hv_utils")
        self.guest.host.wait("negotiated", since=since, channel="vss")

    def insmod(self, parameters: str = "") -> None:
        self.guest.agent.run("insmod", "/run/hvtest/hv_vss.ko", *parameters.split())

    def rmmod(self) -> None:
        self.guest.agent.run("rmmod", "hv_vss")

    def start_daemon(self, *options: str, wait: bool = True) -> Command:
        """Start the daemon in the foreground; with wait, returns when it answers the host."""
        agent = self.guest.agent
        if self.kind == OURS:
            if not agent.run("sh", "-c", "test -e /usr/sbin/hv-vss-daemon && echo y || true"):
                agent.put("/usr/sbin/hv-vss-daemon", build.daemon().read_bytes(), 0o755)
            self.daemon = agent.start(*coverage.ENVIRONMENT, "/usr/sbin/hv-vss-daemon", *options)
        else:
            self.daemon = agent.start("/usr/sbin/hv_vss_daemon", "-n", *options)
        if wait:
            self.wait_serving()
        return self.daemon

    def pause_daemon(self) -> None:
        """Send SIGSTOP; returns when it has stopped."""
        assert self.daemon
        self.daemon.kill(signal.SIGSTOP)
        stat = f"/proc/{self.daemon.pid}/stat"
        until(lambda: ") T " in self.guest.agent.run("cat", stat), 5, "the daemon has stopped")

    def resume_daemon(self) -> None:
        assert self.daemon
        self.daemon.kill(signal.SIGCONT)

    def back_up(self) -> None:
        """FREEZE and THAW, both answered with success."""
        for op in ("freeze", "thaw"):
            answer = self.guest.host.ask(op)
            assert answer["status"] == host.OK, answer

    def wait_serving(self, timeout: float = 30) -> None:
        """Wait until HOT_BACKUP is answered with success."""
        if self.module != OURS and self.guest.kernel.version < (4, 10):
            # This hv_utils answers with success even without a daemon.
            until(lambda: self.guest.host.ask("freeze")["status"] == host.OK, timeout,
                  "the guest is frozen", interval=0.1)
            assert self.guest.host.ask("thaw")["status"] == host.OK
            return
        until(lambda: self.guest.host.ask("hot_backup")["status"] == host.OK, timeout,
              "the guest is ready for backups", interval=0.1)

    def stop_daemon(self, number: int = signal.SIGTERM, timeout: float = 30) -> str:
        """Stop the daemon; returns what it logged."""
        assert self.daemon
        self.daemon.kill(number)
        result = self.daemon.wait(timeout)
        self.daemon = None
        return result.out + result.err
