# SPDX-License-Identifier: GPL-2.0-only
"""One virtual machine on the emulated host."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from . import build, cache, coverage, images, kernels, kmsg
from .agent import Agent, Command
from .host import Host

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
BOOT_TIMEOUT = 120.0
_RUNNING: list[Guest] = []
_LAST_WORDS: list[str] = []     # of guests of failed tests


class Guest:
    """Boots in start(). Use it as a context manager, so that it is always stopped.

    disks: image files by serial number; one of them is "root". They are written to.
    readonly: serial numbers of disks that the guest can't write to.
    host_properties: of the device hv-host, e.g. {"vmbus": "4.0", "aeoi": "off"}.
    """

    def __init__(self, suite: str, disks: dict[str, Path], *, smp: int = 1, memory: int = 512,
                 readonly: frozenset[str] = frozenset(), append: str = "",
                 host_properties: dict[str, str] | None = None) -> None:
        self.kernel = kernels.kernel(suite)
        self.disks = disks
        self.smp = smp
        self._memory = max(memory, 1536 if suite in kernels.DEBUG else 0)
        self._readonly = readonly
        # Interpreting the firmware's interrupt routing takes minutes with sanitizers.
        self._append = append + (" panic_on_warn=1 acpi=noirq" if suite in kernels.DEBUG else "") \
            + (" kcsan.early_enable=0" if suite == "kcsan" else "")
        if self.kernel.source and self.kernel.version < (4, 5):
            self._append += " acpi=noirq"       # ten times slower otherwise
        self._host_properties = host_properties or {}
        self._directory = tempfile.TemporaryDirectory(prefix="hvtest.")
        self.path = Path(self._directory.name)
        self._process: subprocess.Popen[bytes] | None = None
        self._kmsg_seen = 0
        self._console_seen = 0
        self._errors_seen = 0
        self.reboots_expected = 0
        self.host: Host
        self.agent: Agent

    # -- life

    def __enter__(self) -> Guest:
        self.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind:
            _LAST_WORDS.append(self.describe())
        self.stop()

    def start(self) -> None:
        listeners = {name: _listen(self.path / name) for name in ("host", "agent")}
        command = self._command_line()
        log = open(self.path / "qemu.log", "wb")
        with log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log, preexec_fn=_die_with_parent)
        _RUNNING.append(self)
        try:
            self.host = Host(self._accept(listeners["host"]))
            self.agent = Agent(self._accept(listeners["agent"]))
            self.wait_boot(1)
        except BaseException:
            self.stop()
            raise
        finally:
            for listener in listeners.values():
                listener.close()

    def wait_boot(self, number: int, timeout: float = BOOT_TIMEOUT) -> None:
        """Wait until the agent was started for the number-th time."""
        try:
            self.agent.wait_for(lambda: len(self.agent.hellos) >= number, timeout,
                                "the guest did not boot")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.describe()}") from error
        release = self.agent.hellos[-1][0]
        if release != self.kernel.release:
            raise cache.HarnessError(f"kernel {release} runs, not {self.kernel.release}")
        if self.kernel.suite == "kcsan":
            self._enable_kcsan()

    def _enable_kcsan(self) -> None:
        """QEMU writes to virtio's rings; KCSAN reports that as a race. Tell it which functions to
        ignore, and then enable it."""
        self.agent.shell("mount -t debugfs none /mnt; "
                         "awk '$3 ~ /^(virtqueue|vring)_/ { print \"!\" $3 }' /proc/kallsyms | "
                         "while read -r name; do echo \"$name\" > /mnt/kcsan; done; "
                         "echo on > /mnt/kcsan; umount /mnt")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process:
            _RUNNING.remove(self)
            if coverage.wanted() and hasattr(self, "agent"):
                coverage.collect(self.agent)
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for end in (getattr(self, "agent", None), getattr(self, "host", None)):
            if end:
                end.close()
        self._directory.cleanup()

    def reboot(self) -> None:
        """Reboot in the guest: reboot -f."""
        boots = len(self.agent.hellos)
        self.reboots_expected += 1
        self.agent.start("reboot", "-f")
        self.wait_boot(boots + 1)

    # -- its kernel

    def lacks(self, what: str, present: str, since: tuple[int, int] = (0, 0)) -> str:
        """The reason for a skip if the shell condition is false on this kernel. Debian's kernels must
        have what Linux has since then."""
        if self.agent.try_run("sh", "-c", present).status == 0:
            return ""
        kernel = self.kernel
        assert kernel.source or kernel.suite in kernels.OWN or kernel.version < since, what
        return kernels.NOT_THERE + what

    def utils(self) -> str:
        """The name of hv_utils as a driver: hv_util in older kernels."""
        return self.agent.shell("cd /sys/bus/vmbus/drivers && echo hv_util*").strip()

    # -- its disks

    def device(self, serial: str) -> str:
        """Path of a disk in the guest."""
        script = 'for d in /sys/block/vd*; do echo "$(cat "$d/serial") $(basename "$d")"; done'
        names = dict(line.split() for line in self.agent.shell(script).splitlines())
        return f"/dev/{names[serial]}"

    def mount(self, serial: str, where: str, kind: str, options: str = "") -> None:
        self.agent.run("mkdir", "-p", where)
        more = ("-o", options) if options else ()
        if kind in images.FILE_SYSTEMS and images.kind(kind) != kind:
            kernels.leave_out(f"{kind}; its disk has {images.kind(kind)}")
            kind = images.kind(kind)
        # The first mount of a type loads its module, and btrfs measures algorithms.
        self.agent.run("/bin/mount", "-t", kind, *more, self.device(serial), where, timeout=120)

    def mount_data(self) -> list[str]:
        """Mount the data disks at /data/<type>; returns the mount points."""
        places = [fs for fs in self.disks if fs in images.FILE_SYSTEMS]
        for fs in places:
            self.mount(fs, f"/data/{fs}", fs)
        return [f"/data/{fs}" for fs in places]

    # -- the virtual machine

    def pause(self) -> None:
        """Stop the virtual CPUs, as a host can; the host's device continues."""
        self._qmp("stop")

    def resume(self) -> None:
        self._qmp("cont")

    def _qmp(self, command: str) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self.path / "qmp"))
            with connection.makefile("rw") as stream:
                stream.readline()
                for text in ("qmp_capabilities", command):
                    stream.write(f'{{"execute": "{text}"}}\n')
                    stream.flush()
                    while '"return"' not in (line := stream.readline()):
                        if not line or '"error"' in line:
                            raise cache.HarnessError(f"QMP {text}: {line}")

    def _command_line(self) -> list[str]:
        properties = "".join(f",{k}={v}" for k, v in self._host_properties.items())
        append = (f"console=ttyS0 quiet loglevel=4 panic=-1 oops=panic softlockup_panic=0 "
                  f"printk.devkmsg=on {self._append}")
        command = [
            str(build.qemu()), "-nodefaults", "-no-user-config", "-display", "none",
            "-accel", "tcg" + (",thread=multi" if self.smp > 1 else ""),
            # The registers at the reset: the only trace of a guest that printed nothing.
            "-d", "cpu_reset", *_debugger(),
            "-smp", str(self.smp), "-m", str(self._memory),
            "-kernel", str(self.kernel.bootable), "-initrd", str(images.initramfs(self.kernel)),
            "-append", append,
            "-serial", f"file:{self.path}/console",
            "-qmp", f"unix:{self.path}/qmp,server=on,wait=off",
            "-chardev", f"socket,id=hvctl,path={self.path}/host,server=off",
            "-device", f"hv-host,chardev=hvctl{properties}",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=agent,path={self.path}/agent,server=off",
            "-device", "virtserialport,chardev=agent,name=hvtest.agent",
        ]
        for serial, image in self.disks.items():
            readonly = "on" if serial in self._readonly else "off"
            command += [
                "-drive", f"if=none,id={serial},format=raw,file={image},readonly={readonly},"
                          "cache=writeback,discard=unmap",
                "-device", f"virtio-blk-pci,drive={serial},serial={serial}",
            ]
        return command

    def _accept(self, listener: socket.socket) -> socket.socket:
        assert self._process
        for _ in range(40):
            try:
                connection, _ = listener.accept()
                connection.settimeout(None)
                return connection
            except TimeoutError:
                if self._process.poll() is not None:
                    break
        raise cache.HarnessError(f"QEMU did not start\n{self.describe()}")

    # -- checks

    def check(self) -> None:
        """Called at the end of every test: fails if host, kernel or guest report an error. Each error
        is reported only once."""
        wrong = []
        errors = self.host.errors(self._errors_seen)
        self._errors_seen = self.host.mark()
        wrong += [f"host: {e['kind']}: {e.get('detail')} (seq {e.get('seq')})" for e in errors]
        wrong += [f"agent: {e}" for e in self.agent.errors]
        self.agent.errors.clear()
        if len(self.agent.hellos) != 1 + self.reboots_expected:
            wrong.append(f"the guest booted {len(self.agent.hellos)} times")
        wrong += [f"kernel: {line}" for line in self.bad_kernel_lines()]
        if wrong:
            raise AssertionError("\n".join(["the guest is not healthy:", *wrong,
                                            self.describe()]))

    def write_to(self, where: str) -> Command:
        """Start to create a file; it is done when the file system accepts writes."""
        return self.agent.start("sh", "-c", f"echo written > {where}/probe.$$")

    def writable(self, places: list[str], timeout: float = 5) -> None:
        """All of these file systems accept writes."""
        writes = [self.write_to(place) for place in places]
        for write in writes:
            result = write.wait(timeout)
            assert result.status == 0, result

    def frozen(self, places: list[str]) -> None:
        """None of these file systems accepts writes now. The attempted writes are done later."""
        writes = [self.write_to(place) for place in places]
        self.agent.run("sleep", "0.5")
        done = [str(write) for write in writes if write.over]
        assert not done, f"not frozen: {done}"

    def bad_kernel_lines(self) -> list[str]:
        """Bad lines since the last call, from the log that the agent read and from the console."""
        lines = self.agent.kmsg[self._kmsg_seen:]
        self._kmsg_seen += len(lines)
        console = self.console().splitlines()
        new = console[self._console_seen:]
        self._console_seen = len(console)
        bad = kmsg.bad_lines(lines)
        return bad + [line for line in kmsg.bad_lines(new)
                      if not any(line[15:] in known for known in bad)]

    def console(self) -> str:
        try:
            return (self.path / "console").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def describe(self) -> str:
        """The last lines of all logs, for the report of a failure."""
        def tail(text: str, lines: int) -> str:
            return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])

        log = self.path / "qemu.log"
        # A guest that crashed wrote the reason to the console, and has booted since.
        rebooted = hasattr(self, "agent") and len(self.agent.hellos) > 1 + self.reboots_expected
        parts = ["-- QEMU:", tail(log.read_text(errors="replace") if log.exists() else "",
                                  50 if rebooted else 10),
                 "-- console:", tail(self.console(), 200 if rebooted else 30)]
        if hasattr(self, "agent"):
            parts += ["-- kernel log:", tail("\n".join(self.agent.kmsg), 20)]
        if hasattr(self, "host"):
            parts += ["-- host:", self.host.tail(20)]
        return "\n".join(parts)


def report_to(report) -> None:
    """If the test failed, add the last lines of all guests to its report."""
    if report.failed:
        running = [guest.describe() for guest in _RUNNING]
        report.sections += [("guest", text) for text in _LAST_WORDS + running]
    _LAST_WORDS.clear()


def _debugger() -> tuple[str, ...]:
    """QEMU's options for gdb to be attached: HV_VSS_GDB names a port of this machine."""
    port = os.environ.get("HV_VSS_GDB")
    return ("-gdb", f"tcp:127.0.0.1:{port}") if port else ()


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    listener.settimeout(0.5)
    return listener


def _die_with_parent() -> None:
    """No virtual machine outlives the tests."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
