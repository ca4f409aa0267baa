# SPDX-License-Identifier: GPL-2.0-only
"""Under the real systemd of a booted system: the unit is killed, stopped and restarted while
everything is frozen; the journal; and what hooks can do within the unit's limits.

The system is that of test_installed.py, or one that is booted for this.
"""

from __future__ import annotations

import json
import time

import pytest

from booted import OURS
from hvtest import host
from hvtest.agent import Command, until
from installed import KVP
from repository import NEW

BIND = "/usr/libexec/hv-vss/hv-vss-bind"
UNIT = "hv-vss-daemon.service"
OPTIONS = "/etc/default/hv-vss-daemon"
HOOKS = "/etc/hv-vss/hooks.d"
PLACES = ["/root", "/data/ext4"]
# Seconds until everything accepts writes again: with the module; and without it, where systemd first
# has to start a program.
LIMIT = {"hv_vss": 1.0, "hv_utils": 5.0}
HOLD = 5
CALLS = "/run/hook-calls"
NOTE = f'#!/bin/sh\necho "$1 $HV_VSS_STATUS" >>{CALLS}\n'


@pytest.fixture(name="system")
def system_fixture(whole_system):
    """With our packages, on our module."""
    guest = whole_system.guest
    if not whole_system.packaged("hv-vss-daemon") or not whole_system.packaged("hv-vss-dkms"):
        guest.apt("install", f"hv-vss-daemon={NEW}", f"hv-vss-dkms={NEW}")
    guest.sh(f"rm -f {HOOKS}/* {CALLS}")
    guest.wait_serving()
    return whole_system


def main_pid(guest) -> str:
    """The main process of the unit; "0" if it doesn't run."""
    return guest.sh(f"systemctl show -p MainPID --value {UNIT}").strip()


def freeze(guest) -> list[Command]:
    """Freeze; returns writes that block until the thaw."""
    assert guest.host.ask("freeze", timeout=120)["status"] == host.OK
    guest.frozen(PLACES)
    return [guest.write_to(place) for place in PLACES]


def written(writes: list[Command], timeout: float = 60) -> float:
    """When all of the writes were done (the guest's clock, seconds)."""
    results = [write.wait(timeout) for write in writes]
    assert all(result.status == 0 for result in results), results
    return max(result.end for result in results)


def tell(system, what: str, seconds: float, since: str, thaw: str) -> None:
    """Log a row of a table."""
    answer = "success" if thaw == host.OK else "failure"
    print(f"{system.guest.suite} | {what} | {seconds:.2f} s after {since} | {answer}", flush=True)


def put_hook(guest, name: str, script: str) -> None:
    """Install a hook."""
    guest.agent.put(f"{HOOKS}/{name}", script.encode(), 0o755)


@pytest.mark.parametrize("driver", ["hv_vss", "hv_utils"])
@pytest.mark.parametrize("whom", ["all", "main"])
def test_killed_while_frozen(system, driver, whom):
    """All is thawed, the host is told, and the unit is back; the hooks are called again."""
    guest = system.guest
    if driver == "hv_utils":
        guest.sh(f"{BIND} release")
        guest.wait_serving()
        assert guest.driver() == driver
    put_hook(guest, "note", NOTE)
    pid = main_pid(guest)
    writes = freeze(guest)
    # Its name in bullseye.
    killed = guest.run_sh(f"systemctl kill --kill-who={whom} --signal=KILL {UNIT}")
    assert killed.status == 0, killed
    seconds = max(written(writes) - killed.end, 0)
    thaw = guest.host.ask("thaw", timeout=60)["status"]
    tell(system, f"systemctl kill --kill-who={whom} -s KILL, {driver}", seconds, "the kill", thaw)
    assert seconds < LIMIT[driver]
    assert thaw != host.OK
    until(lambda: main_pid(guest) not in ("0", pid), 30, "the unit is back", interval=0.2)
    # The process that calls it is killed, too; an interrupted call is repeated.
    until(lambda: guest.sh(f"cat {CALLS}").splitlines() in (
        ["freeze ", "thaw failed"], ["freeze ", "thaw failed", "thaw failed"]), 30,
          "the hook is called with thaw", interval=0.2)
    # The next daemon records the backup.
    said = "the daemon was killed or has crashed while file systems were frozen"
    until(lambda: any(said in line for line in system.complaints()), 30, "it is recorded", interval=0.5)
    system.logged(said)
    system.backs_up(OURS, driver)
    if driver == "hv_utils":
        guest.sh(f"{BIND} claim")
        system.backs_up(OURS, "hv_vss")


def test_the_host_reads_the_result(system):
    """With the distribution's KVP daemon: after a good backup, a failed one, one during which the daemon was
    killed, an upgrade and a purge."""
    guest = system.guest
    if not system.packaged("hyperv-daemons"):
        guest.apt("install", f"hyperv-daemons={system.theirs()}")
    guest.sh(f"systemctl start {KVP}")
    system.backs_up(OURS, "hv_vss")
    put_hook(guest, "fails", '#!/bin/sh\n[ "$1" = thaw ]\n')
    assert guest.host.ask("freeze", timeout=120)["status"] == host.FAIL
    system.told(lambda items: (items["LastBackup"], items["Reason"]) == ("failed", "the hooks have failed"))
    guest.sh(f"rm {HOOKS}/fails")
    system.logged("hook fails: ", "the hooks have failed", "not frozen")
    system.backs_up(OURS, "hv_vss")
    writes = freeze(guest)
    guest.sh(f"systemctl kill --signal=KILL {UNIT}")
    written(writes)
    assert guest.host.ask("thaw", timeout=60)["status"] == host.FAIL
    killed = system.told(lambda items: items["LastBackup"] == "failed")
    assert killed["Reason"] == "the daemon was killed or has crashed while file systems were frozen"
    assert killed["LastGoodBackup"] <= killed["LastBackupTime"]
    system.logged("the daemon was killed or has crashed")
    before = system.packaged("hv-vss-daemon")
    guest.apt("install", "--reinstall", f"hv-vss-daemon={before}")
    guest.wait_serving()
    upgraded = system.told(lambda items: items["State"] == "serving")
    assert {**upgraded, "Driver": ""} == {**killed, "Driver": ""}
    system.backs_up(OURS, "hv_vss")
    guest.apt("purge", "hv-vss-daemon")
    assert not system.told(lambda items: not items)
    guest.apt("install", f"hv-vss-daemon={before}")
    system.backs_up(OURS, "hv_vss")


@pytest.mark.parametrize("verb", ["stop", "restart", "try-restart"])
def test_stopped_while_frozen(system, verb):
    """The backup is finished first, and is good."""
    guest = system.guest
    put_hook(guest, "note", NOTE)
    pid = main_pid(guest)
    writes = freeze(guest)
    command = guest.start_sh(f"systemctl {verb} {UNIT}")
    guest.agent.run("sleep", "3")
    assert not command.over
    guest.frozen(PLACES)
    asked = guest.agent.try_run("true").end
    thaw = guest.host.ask("thaw", timeout=60)["status"]
    seconds = written(writes) - asked
    tell(system, f"systemctl {verb}", seconds, "THAW", thaw)
    assert thaw == host.OK
    assert command.wait(60).status == 0
    assert guest.sh(f"cat {CALLS}").splitlines() == ["freeze ", "thaw ok"]
    state = guest.sh(f"systemctl show -p ActiveState,Result --value {UNIT}").split()
    if verb == "stop":
        assert sorted(state) == ["inactive", "success"] and main_pid(guest) == "0"
        # The notes outlive the service.
        assert "backups, the latest first:" in guest.run_sh(f"{OURS} --status").out
        guest.sh(f"systemctl start {UNIT}")
    else:
        assert sorted(state) == ["active", "success"] and main_pid(guest) not in ("0", pid)
    system.backs_up(OURS, "hv_vss")


def test_daemon_that_ends_often_is_restarted(system):
    """More often than systemd allows by default (five times in ten seconds)."""
    guest = system.guest
    for _ in range(7):
        pid = main_pid(guest)
        guest.sh(f"systemctl kill --signal=KILL {UNIT}")
        until(lambda: main_pid(guest) not in ("0", pid), 30, "the unit is back", interval=0.1)
    system.backs_up(OURS, "hv_vss")


def test_restarted_while_frozen_and_the_host_never_thaws(system):
    """The limit in the file of options ends the freeze, and so the restart."""
    guest = system.guest
    guest.sh(f"cp {OPTIONS} /run/options; echo 'HV_VSS_OPTIONS=\"--hold={HOLD}\"' >{OPTIONS}; "
             f"systemctl restart {UNIT}")
    guest.wait_serving()
    begin = guest.agent.try_run("true").begin
    writes = freeze(guest)
    command = guest.start_sh(f"systemctl restart {UNIT}")
    seconds = written(writes) - begin
    assert command.wait(30).status == 0
    thaw = guest.host.ask("thaw", timeout=60)["status"]
    tell(system, f"systemctl restart, no THAW, --hold={HOLD}", seconds, "FREEZE was sent", thaw)
    # The time of the freeze itself is added.
    assert HOLD <= seconds < HOLD + 10
    assert thaw != host.OK
    system.logged(*(rf"hv-vss-daemon\[\d+\]: {text}" for text in (
        "/: was thawed by the kernel", "/data/ext4: was thawed by the kernel",
        "the freeze was broken: a backup made of it is not good",
        "backup BROKEN: thawing: frozen for as long as is allowed; ")))
    guest.sh(f"cp /run/options {OPTIONS}; systemctl restart {UNIT}")
    system.backs_up(OURS, "hv_vss")


def test_switched_off_and_on(system):
    """It stays off, also when the host offers the service again."""
    guest = system.guest
    guest.sh(f"systemctl disable --now {UNIT}")
    assert guest.run_sh(f"systemctl is-enabled {UNIT}").out.strip() == "disabled"
    guest.offer_again()
    guest.agent.run("sleep", "5")
    assert main_pid(guest) == "0"
    assert guest.host.ask("hot_backup")["status"] == host.FAIL
    guest.sh(f"systemctl enable {UNIT}")
    guest.offer_again()
    system.backs_up(OURS, "hv_vss")
    # The name on EL.
    assert f"Id={UNIT}" in guest.sh("systemctl show -p Id hypervvssd.service")
    assert OURS in guest.sh(f"systemctl cat {UNIT}")


HOLDER = "$SIG{TERM} = 'IGNORE'; open(F, '+<', '/dev/vmbus/hv_vss') or die; " \
    "sleep 1 until -e '/run/let-go'"


def test_channel_moves_after_the_unit_has_ended(system):
    """A daemon holds the old device for longer than hv-vss-bind.service waits."""
    guest = system.guest
    guest.sh(f"systemctl stop {UNIT}; {BIND} release")
    holder = guest.start_sh(f'exec perl -e "{HOLDER}"'.replace("$", "\\$"))
    until(lambda: "hv_vss" in guest.sh("ls -l /proc/[0-9]*/fd 2>/dev/null | grep vmbus || true"),
          20, "it has the device", interval=0.2)
    asked = guest.run_sh("systemctl start hv-vss-bind.service")
    assert asked.status == 1 and not holder.over, asked
    assert guest.driver() != "hv_vss"
    guest.sh("touch /run/let-go")
    assert holder.wait(30).status == 0
    until(lambda: guest.driver() == "hv_vss", 20, "the channel has followed", interval=0.2)
    guest.sh(f"rm /run/let-go; systemctl reset-failed hv-vss-bind.service; systemctl start {UNIT}")
    system.logged(r"systemd\[1\]: Failed to start hv-vss-bind\.service")
    system.backs_up(OURS, "hv_vss")


def entries(guest, *filters: str) -> list[dict]:
    """What journalctl finds."""
    out = guest.sh(f"journalctl -b --no-pager -o json {' '.join(filters)}")
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def test_journal_finds_backups_by_their_fields(system):
    guest = system.guest
    system.backs_up(OURS, "hv_vss")
    good = entries(guest, "HV_VSS_EVENT=backup")[-1]
    number = good["HV_VSS_BACKUP"]
    for filters in (f"HV_VSS_BACKUP={number}", "HV_VSS_RESULT=ok", f"-u {UNIT} HV_VSS_MOUNT=/",
                    "HV_VSS_MOUNT=/data/ext4", f"MESSAGE_ID={good['MESSAGE_ID']}",
                    "-p info HV_VSS_FREEZE_ANSWER=success HV_VSS_THAW_ANSWER=success"):
        assert good in entries(guest, filters), filters
    assert good not in entries(guest, "HV_VSS_RESULT=failed")
    assert good["MESSAGE_ID"] == "61f01696cdcc4b7489cc76ae6b60e0ea"
    assert (good["_SYSTEMD_UNIT"], good["SYSLOG_IDENTIFIER"], good["PRIORITY"]) == (
        UNIT, "hv-vss-daemon", "6")
    assert good["HV_VSS_ASKED"] == "FREEZE" and "HV_VSS_REASON" not in good
    assert {"/", "/data/ext4"} <= set(good["HV_VSS_MOUNT"])
    took = {name: int(good[f"HV_VSS_{name}_US"]) for name in
            ("PLAN", "SYNC", "FREEZE", "HELD", "THAW")}
    assert all(0 < us < 300e6 for us in took.values()), took
    assert good["MESSAGE"].startswith("backup ok: ")
    assert f"held {round(took['HELD'] / 1000)} ms" in good["MESSAGE"]

    put_hook(guest, "refuses", "#!/bin/sh\nexit 3\n")
    assert guest.host.ask("freeze")["status"] != host.OK
    until(lambda: entries(guest, "HV_VSS_RESULT=failed", "HV_VSS_EVENT=backup")[-1:] > [], 10,
          "the journal has the failed backup", interval=0.5)
    failed = entries(guest, "HV_VSS_RESULT=failed")[-1]
    assert failed["MESSAGE_ID"] == "80c5540794ad47d89d8272bcf1adc721"
    assert (failed["PRIORITY"], failed["HV_VSS_FREEZE_ANSWER"]) == ("3", "failure")
    assert int(failed["HV_VSS_BACKUP"]) > int(number)
    # The output of the hook's process belongs to the same unit.
    assert any("hook refuses: freeze: exit status 3" in entry["MESSAGE"]
               for entry in entries(guest, f"-u {UNIT} -p err"))
    guest.sh(f"rm {HOOKS}/refuses")
    system.logged(*(rf"hv-vss-daemon\[\d+\]: {text}" for text in (
        "hook refuses: freeze: exit status 3", "hook refuses: thaw: exit status 3",
        'hook .*/refuses: "thaw" failed; its application may still be stopped',
        "not frozen: the hooks have failed",
        "backup FAILED: ")))
    system.backs_up(OURS, "hv_vss")


# What hooks of applications do; each line is one thing that must work.
USUAL = r"""
sh -c 'id && date'
sh -c 'echo one >/var/tmp/of-hook && sync -f /var/tmp/of-hook'
chown postgres:postgres /var/tmp/of-hook
chmod 4755 /var/tmp/of-hook
runuser -u postgres -- sh -c 'echo two >>/var/tmp/of-hook && id -un | grep -x postgres'
runuser -l postgres -s /bin/sh -c 'test "$(pwd)" = / && id -un | grep -x postgres'
su postgres -s /bin/sh -c 'id -un | grep -x postgres'
su - postgres -s /bin/sh -c true
setpriv --reuid=postgres --regid=postgres --init-groups true
setpriv --reuid=postgres --clear-groups sh -c 'kill -0 $$'
sh -c 'exec 9>/run/lock/of-hook && flock -w 1 9'
sh -c 'sleep 100 & kill $!'
sh -c 'ulimit -n 8192 && ulimit -c unlimited && ulimit -l unlimited'
nice -n -5 true
ionice -c 2 -n 0 true
timeout 5 true
logger -t of-hook said
systemctl is-active dbus.service
systemctl show -p MainPID hv-vss-daemon.service
perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0) && listen(S, 1) or die'
perl -MSocket -e 'socket(my $s, PF_INET6, SOCK_DGRAM, 0) or die'
perl -MPOSIX -e 'fork or exec("true"); wait; exit $?'
"""
# Runs each of these lines in a shell of its own, whatever quotes it has, and prints whether it worked.
USUAL_HOOK = """#!/bin/sh
[ "$1" = freeze ] || exit 0
while read -r line; do
	[ -n "$line" ] || continue
	if said=$(sh -c "$line" 2>&1); then echo "worked: $line"; else echo "FAILED: $line: $said"; fi
done <<'LINES' >/run/of-hook
%s
LINES
"""


def add_postgres(guest) -> None:
    """Add the user and the group, and a file that an installer creates and PAM needs."""
    # An unused number: bullseye's systemd uses 999.
    guest.sh("touch /etc/default/locale; id postgres >/dev/null 2>&1 || { "
             "echo 'postgres:x:5432:' >>/etc/group; "
             "echo 'postgres:x:5432:5432::/:/bin/sh' >>/etc/passwd; "
             "echo 'postgres:!:20000::::::' >>/etc/shadow; }")


def test_hooks_can_do_what_hooks_do(system):
    """Within the unit's capabilities and filter of system calls."""
    guest = system.guest
    add_postgres(guest)
    put_hook(guest, "usual", USUAL_HOOK % USUAL)
    system.backs_up(OURS, "hv_vss")
    said = guest.sh("cat /run/of-hook").splitlines()
    assert [line for line in said if not line.startswith("worked: ")] == []
    assert len(said) == len(USUAL.strip().splitlines())
    status = guest.sh(f"grep -E '^(Seccomp|NoNewPrivs):' /proc/{main_pid(guest)}/status").split()
    assert status == ["NoNewPrivs:", "0", "Seccomp:", "2"], "the filter is in force"


SERVER = r"""use Socket; $| = 1;
socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die;
bind($s, sockaddr_un("/run/postgresql/.s.PGSQL.5432")) && listen($s, 5) or die;
while (accept(my $c, $s)) { print <$c>, "\n"; }
"""
PSQL = r"""#!/usr/bin/perl
use Socket;
socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die;
connect($s, sockaddr_un("/run/postgresql/.s.PGSQL.5432")) or die;
$ARGV[-1] =~ s/\s+/ /g;
print $s getpwuid($>) . ": $ARGV[-1]";
"""
MARIADB = r"""#!/bin/sh
while read -r line; do
	echo "$line" >>/run/mariadb.said
	case $line in *"SELECT '"*) line=${line#*SELECT \'}; echo "${line%%\'*}" ;; esac
done
"""


def test_ready_made_hooks_for_databases(system):
    """As shipped, with simulated clients and servers. tests/system/test_hooks_databases.py has the real
    ones, without the unit."""
    guest = system.guest
    add_postgres(guest)
    guest.sh("install -d -o postgres /run/postgresql; rm -f /run/mariadb.said; "
             f"ln -s /usr/share/hv-vss/hooks/mysql /usr/share/hv-vss/hooks/postgresql {HOOKS}/; "
             "cp /bin/sleep /usr/local/bin/mariadbd")
    guest.agent.put("/usr/local/bin/psql", PSQL.encode(), 0o755)
    guest.agent.put("/usr/local/bin/mariadb", MARIADB.encode(), 0o755)
    servers = [guest.start_sh(f"exec runuser -u postgres -- perl -e '{SERVER}'"),
               guest.start_sh("exec /usr/local/bin/mariadbd 1000")]
    until(lambda: guest.run_sh("test -S /run/postgresql/.s.PGSQL.5432 && pidof mariadbd").status
          == 0, 30, "the servers have started", interval=0.2)
    begin = time.monotonic()
    writes = freeze(guest)
    asked = servers[0].out.splitlines()
    assert len(asked) == 2 and asked[1] == "postgres: CHECKPOINT", asked
    assert "pg_settings" in asked[0]
    # A client that the hook has left in the background holds the lock.
    assert guest.run_sh("kill -0 $(cat /run/hv-vss/hook-mysql/client)").status == 0
    assert "FLUSH TABLES WITH READ LOCK" in guest.sh("tail -n 1 /run/mariadb.said")
    assert guest.host.ask("thaw")["status"] == host.OK
    written(writes)
    until(lambda: "UNLOCK TABLES" in guest.sh("tail -n 1 /run/mariadb.said"), 30, "unlocked")
    until(lambda: guest.run_sh("test -e /run/hv-vss/hook-mysql").status, 10, "cleaned up")
    print(f"{guest.suite}: a backup with hooks for databases: {time.monotonic() - begin:.1f} s")
    for server in servers:
        server.kill()
    guest.sh(f"rm -f {HOOKS}/mysql {HOOKS}/postgresql /usr/local/bin/psql "
             "/usr/local/bin/mariadb /usr/local/bin/mariadbd; rm -rf /run/postgresql")
    system.backs_up(OURS, "hv_vss")


def test_the_unit_can_enter_other_mount_namespaces(system):
    """Also if all its processes are in a chroot: file systems outside of that are frozen, too."""
    guest = system.guest
    guest.sh("""truncate -s 16M /root/hidden.img; mkfs.ext4 -q -F /root/hidden.img
        mkdir -p /run/hidden /run/jail; rm -f /run/jail.pid
        setsid unshare --mount sh -ec 'mount -o loop /root/hidden.img /run/hidden
            mount --bind / /run/jail; echo $$ >/run/jail.pid
            exec chroot /run/jail sleep 1000' >/dev/null 2>&1 </dev/null &
        for _ in $(seq 300); do test -s /run/jail.pid && break; sleep 0.1; done
        test -s /run/jail.pid""")
    try:
        system.backs_up(OURS, "hv_vss")
        good = entries(guest, "HV_VSS_EVENT=backup")[-1]
    finally:
        guest.sh("kill $(cat /run/jail.pid); rm -f /root/hidden.img /run/jail.pid")
    assert good["HV_VSS_RESULT"] == "ok"
    assert "/run/hidden" in good["HV_VSS_MOUNT"], good
