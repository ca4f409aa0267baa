# SPDX-License-Identifier: GPL-2.0-only
"""What admins build from disks, files and mounts; our stack and the stock one back it up.

Beside its usual disks the guest has two spare ones, because the stock daemon leaves out all file
systems on loop devices.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# The result of the stock stack.
GOOD = "good"           # all of it is frozen between the answers
LEFT_OUT = "left out"   # success is reported, but some of it was never frozen
FAILS = "fails"         # the backup is refused, and all writers continue
HANGS = "hangs"         # no answer, and an admin has to thaw the guest

# attach FILE SIZE-IN-MIB: a loop device on a file that is made; its name is printed.
# keep NAME SCRIPT: run it in the background until drop NAME; it says "ready", "serving" or, being
# Samba, "waiting for connections".
TOOLS = r"""PATH=/usr/sbin:/usr/bin:/run/hvtest/bin
grow() { dd if=/dev/zero of="$1" bs=1M count=0 seek="$2" 2>/dev/null; }
attach() { grow "$1" "$2"; losetup -f --show "$1"; }
sectors() { blockdev --getsz "$1"; }
put() { mkdir -p "$2"; mount -t ext4 "$1" "$2"; }
# Nothing of it is left to be initialised in the background.
fresh() { mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$1"; put "$1" "$2"; }
table() { echo "0 $(sectors "$2") $3" | dmsetup create "$1" --noudevsync; dmsetup mknodes; }
path() { dmsetup message multi 0 "$1_path" "$(cat "/sys/block/$(basename "$(spare 1)")/dev")"; }
linear() { table "$1" "$2" "linear $2 0"; }
mirror() { modprobe raid1; md=/sys/block/md_9/md
    echo md_9 >/sys/module/md_mod/parameters/new_array; echo none >$md/metadata_version
    echo raid1 >$md/level; echo 2 >$md/raid_disks
    for d in "$1" "$2"; do cat "/sys/block/$(basename "$d")/dev" >$md/new_dev; done
    echo 0 >"$md/dev-$(basename "$1")/slot"; echo 1 >"$md/dev-$(basename "$2")/slot"
    echo 65536 >$md/component_size; echo none >$md/resync_start; echo active >$md/array_state; }
detach() { for l in "$@"; do losetup -d "$(losetup -n -O NAME -j "$l")"; rm -f "$l"; done; }
spare() { for d in /sys/block/vd*; do
    [ "$(cat "$d/serial")" != "spare$1" ] || echo "/dev/$(basename "$d")"; done; }
wipe() { for n in "$@"; do dd if=/dev/zero of="$(spare "$n")" bs=1M count=4 2>/dev/null; done; }
keep() { setsid bash -euc "$2" >"/run/keep.$1" 2>&1 </dev/null & echo $! >"/run/keep.$1.pid"
    for _ in {1..600}; do
        grep -qE "ready|serving|waiting for" "/run/keep.$1" && return; sleep 0.05; done
    cat "/run/keep.$1"; false; }
# The mounts of a namespace go some time after its last process.
unmounted() { for _ in {1..200}; do test -e "/sys/fs/ext4/$(basename "$1")" || break; sleep 0.05
    done; sleep 0.2; }
drop() { kill -9 -- "-$(cat "/run/keep.$1.pid")"; }
# An export of the kernel's own NFS server, without the daemons that would fill its caches.
nfs_server() { modprobe -a nfsd nfsv4; busybox ip link set lo up; n=/proc/fs/nfsd; c=/proc/net/rpc
    mountpoint -q $n || mount -t nfsd nfsd $n
    mkdir -p /run/v4; { echo /run/v4 >$n/nfsv4recoverydir; } 2>/dev/null || :
    echo 10 >$n/nfsv4gracetime; echo 10 >$n/nfsv4leasetime; echo "-2 -3 +4" >$n/versions
    echo "nfsd 127.0.0.1 2147483647 self" >$c/auth.unix.ip/channel
    echo "self $1 2147483647 9218 65534 65534 0" >$c/nfsd.export/channel
    echo "self 1 \\x00000000 2147483647 $1" >$c/nfsd.fh/channel
    echo "tcp 2049" >$n/portlist; echo 2 >$n/threads
    { echo Y >$n/v4_end_grace; } 2>/dev/null || :; }
nfs_mount() { mkdir -p /run/nfs
    mount -i -t nfs4 -o vers=4.2,addr=127.0.0.1,clientaddr=127.0.0.1 127.0.0.1:/ /run/nfs; }
nfs_stop() { echo 0 >/proc/fs/nfsd/threads; for f in /proc/net/rpc/{nfsd.export,nfsd.fh}/flush; do
    date +%s >$f; done; }
# A share of Samba that any client can write to as root. It has no user data base of its own; nothing
# of it is on a file system that is backed up but what it serves.
cifs_serve() { mkdir -p /run/samba
    for u in root:x:0:0:::/bin/sh nobody:x:65534:65534:::/bin/sh; do
        grep -qs "^${u%%:*}:" /etc/passwd || echo $u >>/etc/passwd; done
    for g in root:x:0: nogroup:x:65534:; do
        grep -qs "^${g%%:*}:" /etc/group || echo $g >>/etc/group; done
    cat >/run/samba/conf <<END
[global]
private dir = /run/samba
lock directory = /run/samba
state directory = /run/samba
cache directory = /run/samba
pid directory = /run/samba
ncalrpc dir = /run/samba/rpc
rpc start on demand helpers = no
disable netbios = yes
disable spoolss = yes
load printers = no
printcap name = /dev/null
smb ports = 445
interfaces = lo
bind interfaces only = yes
name resolve order = bcast
server role = standalone
map to guest = bad user
[self]
path = $1
guest ok = yes
read only = no
force user = root
END
    # Less than level 3 does not say that it serves; it leads its session already.
    keep smbd 'exec smbd -F --no-process-group --debug-stdout -d3 -s /run/samba/conf'; }
cifs_server() { modprobe cifs; busybox ip link set lo up; cifs_serve "$1"; }
cifs_mount() { mkdir -p /run/cifs
    mount -i -t cifs -o ip=127.0.0.1,vers=3.1.1,sec=none //127.0.0.1/self /run/cifs; }
cifs_signal() { kill "-$1" -- "-$(cat /run/keep.smbd.pid)"; }
# For a second the client believes what the server has last said about a directory.
cifs_hang() { cifs_signal STOP; sleep 2; }
cifs_die() { drop smbd; sleep 2; }
lvm() { /usr/sbin/lvm "$@" --config 'activation { udev_sync=0 udev_rules=0 monitoring=0 }
    global { thin_check_executable="" }' >/dev/null 2>&1; }
"""
COPY = "copy of a disk with a file system in a file, and one in a file of that"
# A file system in a file of one that is in a file of /data/ext4.
NESTED = """fresh "$(attach /data/ext4/outer 64)" /run/outer
fresh "$(attach /run/outer/inner 16)" /run/inner; echo text > /run/inner/file"""
NOT_NESTED = """umount /run/inner; detach /run/outer/inner; umount /run/outer
detach /data/ext4/outer"""

LIO = "/sys/kernel/config/target"


@dataclass(frozen=True)
class Construction:
    """build and remove: shell scripts. stand: where no write is possible while it is frozen.
    frozen: mount points that --status must name as frozen. done: what it says about others.
    refused: why our FREEZE fails, if it does; {spare1} is the number of that disk. options: of our
    daemon, for this construction.
    untouched: a script that fails if a process has accessed what must not be touched.
    stock: the result of hv_utils and its daemon. why: the reason, in words. unblock: a script that
    ends a hang, if thawing the usual file systems does not. needs: modules without
    which the kernel does not offer it."""
    build: str
    remove: str
    stand: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    done: dict[str, str] = field(default_factory=dict)
    refused: str = ""
    options: tuple[str, ...] = ()
    untouched: str = ""
    stock: str = GOOD
    why: str = ""
    unblock: str = ""
    needs: tuple[str, ...] = ()


def under_fuse(cover: str) -> Construction:
    """An ext4 at /run/top/data that a dead FUSE mount covers, at its mount point or above."""
    return Construction(
        f"""modprobe fuse; fresh "$(spare 1)" /run/top/data
        keep cwd 'cd /run/top/data; echo ready; exec sleep 1000'
        ln -sfn "/proc/$(cat /run/keep.cwd.pid)/cwd" /run/held
        keep fuse 'exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 \\
            dead {cover}; echo ready; exec sleep 1000'""",
        f"drop fuse || true; drop cwd; umount -l {cover}; umount /run/top/data",
        ("/run/held",), ("/run/top/data",) if cover == "/run/top" else (), {cover: "skipped"},
        untouched=NOT_ASKED, stock=HANGS, why="searches for a path on the dead server",
        unblock="drop fuse")


def self_served(build: str, remove: str, needs: tuple[str, ...] = ()) -> Construction:
    """An ext4 on a disk that is a file on /data/xfs, mounted at /run/self."""
    return Construction(
        build, remove, ("/run/self", "/data/xfs"), ("/run/self", "/data/xfs"), stock=HANGS,
        why="the file system with the file is frozen first", needs=needs)


def on_a_disk(kind: str, mkfs: str, freezable: bool = True) -> Construction:
    """A file system of that type; the stock daemon freezes all that it finds."""
    return Construction(
        f"""{mkfs} "$(spare 1)" >/dev/null; mkdir -p /run/{kind}
        mount -i -t {kind} "$(spare 1)" /run/{kind}; echo text >/run/{kind}/file""",
        f"umount /run/{kind}; wipe 1", *(
            ((f"/run/{kind}",), (f"/run/{kind}",)) if freezable else
            (("/data/ext4",), ("/data/ext4",), {f"/run/{kind}": "synced"})),
        stock=GOOD if freezable else FAILS, why="" if freezable else "the kernel can't freeze it",
        needs=(kind,))


def image(kind: str, module: str, make: str) -> Construction:
    """A read-only file system with the files of /etc on a disk, and in a file."""
    return Construction(
        f"""mkdir -p /run/{kind} /run/{kind}-file; rm -f /data/xfs/{kind}
        {make.format(out=f"/data/xfs/{kind}")} >/dev/null 2>&1
        dd if=/data/xfs/{kind} of="$(spare 1)" 2>/dev/null
        mount -t {kind} -o ro "$(spare 1)" /run/{kind}
        mount -t {kind} -o ro "$(losetup -r -f --show /data/xfs/{kind})" /run/{kind}-file""",
        f"""umount /run/{kind} /run/{kind}-file; detach /data/xfs/{kind}; wipe 1""",
        ("/data/xfs",), ("/data/xfs",), needs=(module,))


# Only the kernel's first message, which it sends at the mount, waits for the server.
NOT_ASKED = """fuse=/sys/fs/fuse/connections; mountpoint -q $fuse || mount -t fusectl fusectl $fuse
test "$(cat $fuse/*/waiting)" = 1"""
NFS = ("nfsd", "nfsv4")
CIFS = ("cifs",)
ON_LOOP = "all that lies on a loop device is left out"

CONSTRUCTIONS = {
    "bind mounts, one of them read-only": Construction(
        """mkdir -p /run/b1 /run/b2; mount --bind /data/ext4 /run/b1
        mount --bind /data/ext4 /run/b2; mount -o remount,ro,bind /run/b2""",
        "umount /run/b1 /run/b2", ("/run/b1",), ("/data/ext4",)),
    "read-only bind mount, the writable one only held by a process": Construction(
        """fresh "$(spare 1)" /run/rw; mkdir -p /run/ro; mount --bind /run/rw /run/ro
        mount -o remount,ro,bind /run/ro; keep cwd 'cd /run/rw; echo ready; exec sleep 1000'
        ln -sfn "/proc/$(cat /run/keep.cwd.pid)/cwd" /run/held; umount -l /run/rw""",
        "drop cwd; umount /run/ro", ("/run/held",), ("/run/ro",),
        stock=LEFT_OUT, why="goes by the option of the mount, not of the file system"),
    "bind mount of a FIFO": Construction(
        """mkfifo /data/ext4/fifo; touch /run/fifo; mount --bind /data/ext4/fifo /run/fifo""",
        "umount /run/fifo; rm /data/ext4/fifo", ("/data/ext4",), ("/data/ext4",),
        stock=HANGS, why="opens it, and waits for a writer"),
    "bind mount of an unlinked directory": Construction(
        """mkdir -p /data/ext4/gone /run/gone; mount --bind /data/ext4/gone /run/gone
        rmdir /data/ext4/gone""",
        "umount /run/gone", ("/data/ext4",), ("/data/ext4",)),
    "subvolume of a btrfs": Construction(
        """btrfs -q subvolume create /data/btrfs/sub; mkdir -p /run/sub
        mount -t btrfs -o subvol=sub "$(findmnt -no SOURCE /data/btrfs)" /run/sub""",
        "umount /run/sub; btrfs -q subvolume delete /data/btrfs/sub",
        ("/run/sub", "/data/btrfs"), ("/data/btrfs",)),
    "btrfs on two disks": Construction(
        """mkfs.btrfs -q -f -m raid1 -d single "$(spare 1)" "$(spare 2)"; mkdir -p /run/two
        mount -t btrfs -o device="$(spare 2)" "$(spare 1)" /run/two""",
        "umount /run/two; btrfs device scan -u; wipe 1 2", ("/run/two",), ("/run/two",)),
    "btrfs on two loop devices": Construction(
        """a=$(attach /data/ext4/a 128); b=$(attach /data/xfs/b 128)
        mkfs.btrfs -q -f -m raid1 -d single "$a" "$b"; mkdir -p /run/two
        mount -t btrfs -o device="$b" "$a" /run/two""",
        "umount /run/two; detach /data/ext4/a /data/xfs/b", ("/run/two",),
        ("/run/two", "/data/ext4", "/data/xfs"), stock=LEFT_OUT, why=ON_LOOP),
    "loop device on a partition of a loop device": Construction(
        """a=$(attach /data/ext4/a 64); addpart "$a" 1 2048 120000; fresh "${a}p1" /run/part
        fresh "$(attach /run/part/b 16)" /run/inner""",
        """umount /run/inner; detach /run/part/b; umount /run/part
        delpart "$(losetup -n -O NAME -j /data/ext4/a)" 1; detach /data/ext4/a""",
        ("/run/part", "/run/inner"), ("/run/inner", "/run/part", "/data/ext4"),
        stock=HANGS, why="does not see that a partition lies on a loop device, and freezes the "
        "file system with the file first"),
    "loop device over a device mapper one over a loop device": Construction(
        """linear lin "$(attach /data/xfs/a 64)"; fresh /dev/mapper/lin /run/lin
        fresh "$(attach /run/lin/b 16)" /run/inner""",
        """umount /run/inner; detach /run/lin/b; umount /run/lin; dmsetup remove lin
        detach /data/xfs/a""",
        ("/run/lin", "/run/inner"), ("/run/inner", "/run/lin", "/data/xfs"),
        stock=LEFT_OUT, why=ON_LOOP),
    "loop device on a file of another mount namespace": Construction(
        """fresh "$(spare 1)" /run/tmp; grow /run/tmp/img 16; umount /run/tmp
        keep ns "exec unshare --mount sh -ec 'mkdir -p /run/deep; mount $(spare 1) /run/deep
            losetup -f --show /run/deep/img >/run/loop; echo ready; exec sleep 1000'"
        ln -sfn "/proc/$(cat /run/keep.ns.pid)/root" /run/ns
        fresh "$(cat /run/loop)" /run/inner""",
        """umount /run/inner; losetup -d "$(cat /run/loop)"; drop ns
        unmounted "$(spare 1)"; :""",
        ("/run/inner", "/run/ns/run/deep"), ("/run/inner", "/run/deep"),
        stock=LEFT_OUT, why=ON_LOOP + "; so are other namespaces"),
    "LVM: linear over two disks": Construction(
        """lvm vgcreate -y vg "$(spare 1)" "$(spare 2)"
        lvm lvcreate -y -Wn -Zn -l 100%FREE -n lv vg; dmsetup mknodes
        fresh /dev/mapper/vg-lv /run/lv""",
        "umount /run/lv; lvm vgremove -f vg; wipe 1 2", ("/run/lv",), ("/run/lv",)),
    "LVM: thin volume and its snapshot": Construction(
        """lvm vgcreate -y vg "$(spare 1)" "$(spare 2)"
        lvm lvcreate -y -Wn -Zn -L 128m -T vg/pool; lvm lvcreate -y -Wn -V 96m -T vg/pool -n thin
        dmsetup mknodes; fresh /dev/mapper/vg-thin /run/thin
        lvm lvcreate -y -kn -s vg/thin -n snap; dmsetup mknodes
        put /dev/mapper/vg-snap /run/snap""",
        "umount /run/thin /run/snap; lvm vgremove -f vg; wipe 1 2",
        ("/run/thin", "/run/snap"), ("/run/thin", "/run/snap"), needs=("dm-thin-pool",)),
    "dm-crypt": Construction(
        """modprobe -a xts ecb; d=$(spare 1); k=$(printf '%064d' 0)$(printf '%064d' 1)
        table crypt "$d" "crypt aes-xts-plain64 $k 0 $d 0"; fresh /dev/mapper/crypt /run/crypt""",
        "umount /run/crypt; dmsetup remove crypt", ("/run/crypt",), ("/run/crypt",),
        needs=("xts", "ecb")),
    "multipath": Construction(
        """modprobe -a dm-multipath dm-round-robin; d=$(spare 1)
        table multi "$d" "multipath 0 0 1 1 round-robin 0 1 1 $d 1"
        fresh /dev/mapper/multi /run/multi""",
        "umount /run/multi; dmsetup remove multi", ("/run/multi",), ("/run/multi",)),
    "multipath, with no path left, told to wait for one": Construction(
        """modprobe -a dm-multipath dm-round-robin; d=$(spare 1)
        table multi "$d" "multipath 1 queue_if_no_path 0 1 1 round-robin 0 1 1 $d 1"
        fresh /dev/mapper/multi /run/multi; sync; echo text >/run/multi/dirty
        path fail""",
        """path reinstate; fsfreeze -u /run/multi 2>/dev/null || true
        umount /run/multi; dmsetup remove multi""", ("/data/ext4",),
        refused="/run/multi: syncing was not done within the time allowed",
        options=("--freeze-timeout=3",), stock=HANGS, why="waits with file systems frozen",
        unblock="path reinstate"),
    "MD mirror": Construction(
        "mirror \"$(spare 1)\" \"$(spare 2)\"; fresh /dev/md_9 /run/md",
        "umount /run/md; echo clear > /sys/block/md_9/md/array_state", ("/run/md",), ("/run/md",)),
    "MD mirror of two loop devices": Construction(
        """mirror "$(attach /data/ext4/a 64)" "$(attach /data/xfs/b 64)"
        fresh /dev/md_9 /run/md""",
        """umount /run/md; echo clear > /sys/block/md_9/md/array_state
        detach /data/ext4/a /data/xfs/b""", ("/run/md",), ("/run/md", "/data/ext4", "/data/xfs"),
        stock=LEFT_OUT, why=ON_LOOP),
    "nbd, served by a process of this guest": self_served(
        """modprobe nbd; grow /data/xfs/img 32
        keep nbd 'nbdserve /dev/nbd0 /data/xfs/img'
        fresh /dev/nbd0 /run/self""",
        "umount /run/self; drop nbd; rm /data/xfs/img"),
    "nbd, on a file system that has since been mounted elsewhere": Construction(
        """modprobe nbd; fresh "$(spare 1)" /run/h1; grow /run/h1/img 32
        keep nbd 'nbdserve /dev/nbd0 /run/h1/img'; fresh /dev/nbd0 /run/self
        mkdir -p /run/h2; mount --bind /run/h1 /run/h2; umount -l /run/h1""",
        "umount /run/self; drop nbd; umount /run/h2",
        ("/run/self", "/run/h2"), ("/run/self", "/run/h2"),
        stock=HANGS, why="thaws in the order in which it froze", unblock="fsfreeze -u /run/h2"),
    "nbd on nbd, the lower one mounted elsewhere since": Construction(
        """modprobe nbd; grow /data/xfs/img 64; keep nbd0 'nbdserve /dev/nbd0 /data/xfs/img'
        fresh /dev/nbd0 /run/h1; grow /run/h1/img 16; keep nbd1 'nbdserve /dev/nbd1 /run/h1/img'
        fresh /dev/nbd1 /run/self
        mkdir -p /run/h2; mount --bind /run/h1 /run/h2; umount -l /run/h1""",
        "umount /run/self; drop nbd1; umount /run/h2; drop nbd0; rm /data/xfs/img",
        ("/run/self", "/run/h2"),
        refused="/run/self: FIFREEZE was not done within the time allowed",
        options=("--fifreeze-timeout=3",),
        stock=HANGS, why="freezes the file systems with the files first"),
    "iSCSI, to a target in this guest": self_served(
        f"""modprobe -a iscsi_target_mod target_core_file iscsi_tcp sd_mod
        busybox ip link set lo up
        mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
        grow /data/xfs/img 32; mkdir -p {LIO}/core/fileio_0/self {LIO}/iscsi
        echo fd_dev_name=/data/xfs/img,fd_dev_size=$((32 << 20)) >{LIO}/core/fileio_0/self/control
        echo 1 >{LIO}/core/fileio_0/self/enable; t={LIO}/iscsi/iqn.2000-01.self:disk/tpgt_1
        mkdir -p $t/lun/lun_0 $t/np/127.0.0.1:3260; ln -s {LIO}/core/fileio_0/self $t/lun/lun_0/self
        echo 0 >$t/attrib/authentication; echo 1 >$t/attrib/generate_node_acls
        echo 0 >$t/attrib/demo_mode_write_protect; echo 1 >$t/enable
        iscsistart -i iqn.2000-01.self:client -t iqn.2000-01.self:disk -g 1 -a 127.0.0.1 -p 3260
        for _ in {{1..100}}; do test -b /dev/sda && break; sleep 0.1; done
        fresh /dev/sda /run/self""",
        "umount /run/self", ("iscsi_target_mod", "target_core_file", "iscsi_tcp", "sd_mod")),
    "loop device on a file of an NFS of this guest": Construction(
        "nfs_server /data/xfs; nfs_mount; fresh \"$(attach /run/nfs/img 32)\" /run/self",
        "umount /run/self; detach /run/nfs/img; umount /run/nfs; nfs_stop",
        ("/run/self", "/data/xfs"), ("/run/self", "/data/xfs"), {"/run/nfs": "skipped"},
        stock=LEFT_OUT, why=ON_LOOP, needs=NFS),
    "NFS whose server is gone, and an ext4 on one of its directories": Construction(
        """nfs_server /data/xfs; nfs_mount; mkdir -p /run/nfs/dir; fresh "$(spare 1)" /run/nfs/dir
        mkdir -p /run/other; mount --bind /run/nfs/dir /run/other; nfs_stop""",
        """nfs_server /data/xfs; umount /run/other /run/nfs/dir; rmdir /run/nfs/dir
        umount /run/nfs; nfs_stop""",
        ("/run/other",), ("/run/nfs/dir",), {"/run/nfs": "skipped"},
        stock=HANGS, why="searches for a path on the dead server", needs=NFS),
    "the same, mounted nowhere else": Construction(
        """nfs_server /data/xfs; nfs_mount; mkdir -p /run/nfs/dir; fresh "$(spare 1)" /run/nfs/dir
        nfs_stop""",
        "nfs_server /data/xfs; umount /run/nfs/dir; rmdir /run/nfs/dir; umount /run/nfs; nfs_stop",
        ("/data/ext4",), refused="/run/nfs/dir: cannot be opened: only reachable through a remote "
        "file system (ext4, {spare1})",
        stock=HANGS, why="searches for a path on the dead server", needs=NFS),
    "NFS whose server is gone": Construction(
        "nfs_server /data/xfs; nfs_mount; nfs_stop",
        "nfs_server /data/xfs; umount /run/nfs; nfs_stop",
        (), (), {"/run/nfs": "skipped"}, needs=NFS),
    "loop device on a file of a CIFS of this guest": Construction(
        "cifs_server /data/xfs; cifs_mount; fresh \"$(attach /run/cifs/img 32)\" /run/self",
        "umount /run/self; detach /run/cifs/img; umount /run/cifs; drop smbd",
        ("/run/self", "/data/xfs"), ("/run/self", "/data/xfs"), {"/run/cifs": "skipped"},
        stock=LEFT_OUT, why=ON_LOOP, needs=CIFS),
    "CIFS whose server hangs, and an ext4 on one of its directories": Construction(
        """cifs_server /data/xfs; cifs_mount; mkdir -p /run/cifs/dir
        fresh "$(spare 1)" /run/cifs/dir
        mkdir -p /run/other; mount --bind /run/cifs/dir /run/other; cifs_hang""",
        """cifs_signal CONT; umount /run/other /run/cifs/dir; rmdir /run/cifs/dir
        umount /run/cifs; drop smbd""",
        ("/run/other",), ("/run/cifs/dir",), {"/run/cifs": "skipped"},
        stock=HANGS, why="searches for a path on the server", needs=CIFS),
    "CIFS whose server hangs, and an ext4 that is mounted nowhere else": Construction(
        """cifs_server /data/xfs; cifs_mount; mkdir -p /run/cifs/dir
        fresh "$(spare 1)" /run/cifs/dir; cifs_hang""",
        """cifs_signal CONT; fsfreeze -u /run/cifs/dir 2>/dev/null || true
        umount /run/cifs/dir; rmdir /run/cifs/dir
        umount /run/cifs; drop smbd""",
        ("/data/ext4",), refused="/run/cifs/dir: cannot be opened: only reachable through a "
        "remote file system (ext4, {spare1})",
        stock=HANGS, why="searches for a path on the server", needs=CIFS),
    "CIFS whose server hangs": Construction(
        "cifs_server /data/xfs; cifs_mount; cifs_hang",
        "cifs_signal CONT; umount /run/cifs; drop smbd",
        (), (), {"/run/cifs": "skipped"}, needs=CIFS),
    "CIFS whose server is gone, and an ext4 on one of its directories": Construction(
        """cifs_server /data/xfs; cifs_mount; mkdir -p /run/cifs/dir
        fresh "$(spare 1)" /run/cifs/dir
        mkdir -p /run/other; mount --bind /run/cifs/dir /run/other; cifs_die""",
        """cifs_serve /data/xfs; umount /run/other /run/cifs/dir; rmdir /run/cifs/dir
        umount /run/cifs; drop smbd""",
        ("/run/other",), ("/run/cifs/dir",), {"/run/cifs": "skipped"},
        stock=HANGS, why="searches for a path on the server", needs=CIFS),
    "fuse whose server is dead": Construction(
        """modprobe fuse; mkdir -p /run/fuse
        keep fuse 'exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 \
            dead /run/fuse; echo ready; exec sleep 1000'""",
        "drop fuse; umount -l /run/fuse", (), (), {"/run/fuse": "skipped"}, untouched=NOT_ASKED),
    "the same, with /dev/fuse as its source": Construction(
        """modprobe fuse; mkdir -p /run/fuse
        keep fuse 'exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 \
            /dev/fuse /run/fuse; echo ready; exec sleep 1000'""",
        "drop fuse; umount -l /run/fuse", (), (), {"/run/fuse": "skipped"},
        untouched=NOT_ASKED, stock=HANGS, why="takes it for a disk's, and opens it"),
    "autofs without its daemon": Construction(
        """modprobe autofs4; mkdir -p /run/auto; test -p /run/auto.fifo || mkfifo /run/auto.fifo
        keep auto 'exec 3<>/run/auto.fifo
            mount -i -t autofs -o fd=3,pgrp=$$,minproto=5,maxproto=5,direct auto /run/auto
            echo ready; exec sleep 1000'""",
        "umount -l /run/auto; drop auto",
        untouched="""timeout 0.3 dd if=/run/auto.fifo of=/run/asked bs=512 2>/dev/null || true
        test ! -s /run/asked"""),
    "overlay": Construction(
        """mkdir -p /data/ext4/lower /data/xfs/upper /data/xfs/work /run/over
        where=lowerdir=/data/ext4/lower,upperdir=/data/xfs/upper,workdir=/data/xfs/work
        mount -t overlay -o $where over /run/over""",
        "umount /run/over; rm -rf /data/ext4/lower /data/xfs/upper /data/xfs/work",
        ("/run/over",), ("/data/ext4", "/data/xfs")),
    "mounted in another namespace only": Construction(
        """mkfs.ext4 -q -F "$(spare 1)"
        keep ns "exec unshare --mount sh -ec 'mkdir -p /run/hidden; mount $(spare 1) /run/hidden
            echo ready; exec sleep 1000'"
        ln -sfn "/proc/$(cat /run/keep.ns.pid)/root" /run/ns""",
        """drop ns; unmounted "$(spare 1)"; :""", ("/run/ns/run/hidden",), ("/run/hidden",),
        stock=LEFT_OUT, why="reads its own namespace only"),
    "mounted in another namespace, whose first process is in a chroot": Construction(
        """mkfs.ext4 -q -F "$(spare 1)"; mkdir -p /run/hidden /run/jail
        keep ns "exec unshare --mount sh -ec 'mount $(spare 1) /run/hidden; mount --bind / /run/jail
            (cd /run/hidden; exec sleep 1000) & ln -sfn /proc/\\$!/cwd /run/held
            echo ready; exec chroot /run/jail sleep 1000'"
        """,
        """drop ns; unmounted "$(spare 1)"; rmdir /run/jail""", ("/run/held",), ("/run/hidden",),
        stock=LEFT_OUT, why="reads its own namespace only"),
    "mounted in a namespace that only a bind mount keeps": Construction(
        """mkfs.ext4 -q -F "$(spare 1)"; mkdir -p /run/hidden /run/kept
        mount --bind /run/kept /run/kept; mount --make-private /run/kept; touch /run/kept/mnt
        unshare --mount=/run/kept/mnt mount "$(spare 1)" /run/hidden
        keep fd "exec nsenter --mount=/run/kept/mnt bash -c 'exec 9</run/hidden; echo ready
            exec nsenter --mount=/proc/1/ns/mnt sleep 1000'"
        ln -sfn "/proc/$(cat /run/keep.fd.pid)/fd/9" /run/held""",
        """drop fd; umount /run/kept/mnt; umount /run/kept; unmounted "$(spare 1)"; :""",
        ("/run/held",), ("/run/hidden",), stock=LEFT_OUT, why="reads its own namespace only"),
    "mounted in a namespace that only a thread is in": Construction(
        """mkfs.ext4 -q -F "$(spare 1)"; mkdir -p /run/hidden
        keep thread "exec namespaces thread $(spare 1) /run/hidden"
        ln -sfn "/proc/$(cat /run/keep.thread.pid)/fd/9" /run/held""",
        """drop thread; unmounted "$(spare 1)"; :""", ("/run/held",), ("/run/hidden",),
        stock=LEFT_OUT, why="reads its own namespace only"),
    "vfat": Construction(
        """mkfs.vfat "$(spare 1)" >/dev/null; mkdir -p /run/fat
        mount -t vfat "$(spare 1)" /run/fat""",
        "umount /run/fat", ("/data/ext4",), ("/data/ext4",), {"/run/fat": "synced"}),
    "exfat": Construction(
        """mkfs.exfat "$(spare 1)" >/dev/null; mkdir -p /run/fat
        mount -t exfat "$(spare 1)" /run/fat""",
        "umount /run/fat", ("/data/ext4",), ("/data/ext4",), {"/run/fat": "synced"},
        stock=FAILS, why="the kernel can't freeze it"),
    "ntfs, by way of fuse": Construction(
        """modprobe fuse; mkfs.ntfs -q -f "$(spare 1)" >/dev/null; mkdir -p /run/ntfs
        ntfs-3g "$(spare 1)" /run/ntfs""",
        "umount /run/ntfs", ("/data/ext4",), ("/data/ext4",), {"/run/ntfs": "skipped"},
        stock=FAILS, why="the kernel can't freeze it"),
    "minix": Construction(
        """mkfs.minix "$(spare 1)" >/dev/null; mkdir -p /run/minix
        mount -t minix "$(spare 1)" /run/minix""",
        "umount /run/minix", ("/data/ext4",), ("/data/ext4",), {"/run/minix": "synced"},
        stock=FAILS, why="the kernel can't freeze it", needs=("minix",)),
    "f2fs": on_a_disk("f2fs", "mkfs.f2fs -f"),
    "jfs": on_a_disk("jfs", "mkfs.jfs -q"),
    "nilfs2": on_a_disk("nilfs2", "ln -sfn /proc/self/mounts /etc/mtab; mkfs.nilfs2 -f"),
    "reiserfs": on_a_disk("reiserfs", "mkfs.reiserfs -q -f"),
    "udf": on_a_disk("udf", "mkfs.udf", freezable=False),
    "erofs": image("erofs", "erofs", "mkfs.erofs {out} /etc"),
    "iso9660": image("iso9660", "isofs", "genisoimage -quiet -R -o {out} /etc"),
    "read-only file systems": Construction(
        """mkdir -p /run/squash /run/readonly; rm -f /data/ext4/squash
        mksquashfs /etc /data/ext4/squash -quiet -no-progress >/dev/null
        dd if=/data/ext4/squash of="$(spare 1)" 2>/dev/null
        mount -t squashfs "$(spare 1)" /run/squash
        mkfs.ext4 -q -F "$(spare 2)"; mount -t ext4 -o ro "$(spare 2)" /run/readonly""",
        "umount /run/squash /run/readonly", ("/data/ext4",), ("/data/ext4",),
        {"/run/readonly": "skipped"}),
    "swap file": Construction(
        """dd if=/dev/zero of=/data/ext4/swap bs=1M count=16 2>/dev/null; chmod 600 /data/ext4/swap
        mkswap -q /data/ext4/swap >/dev/null; swapon /data/ext4/swap""",
        "swapoff /data/ext4/swap; rm /data/ext4/swap", ("/data/ext4",), ("/data/ext4",)),
    "mount point that is mounted over": Construction(
        """fresh "$(spare 1)" /run/covered; keep cwd 'cd /run/covered; echo ready; exec sleep 1000'
        ln -sfn "/proc/$(cat /run/keep.cwd.pid)/cwd" /run/held
        mount -t tmpfs tmpfs /run/covered""",
        "drop cwd; umount /run/covered; umount /run/covered", ("/run/held",), ("/run/covered",),
        stock=FAILS, why="opens the tmpfs"),
    "fuse whose server is dead, over the mount point of an ext4": under_fuse("/run/top/data"),
    "the same, over a directory above it": under_fuse("/run/top"),
    "mount point that no path leads to": Construction(
        """fresh "$(spare 1)" /run/above/below; mount -t tmpfs tmpfs /run/above""",
        "umount /run/above; umount /run/above/below", (), ("/run/above/below",),
        stock=FAILS, why="does not find it"),
    "odd names": Construction(
        r"""fresh "$(spare 1)" "$(printf '/run/odd \\\t\nname\303\274')" """,
        r"""umount "$(printf '/run/odd \\\t\nname\303\274')" """,
        ("/data/ext4",), ("/run/odd \\\t\nname\u00fc", "/data/ext4")),
    "4,000 mounts": Construction(
        """mkdir -p /run/many; mount -t tmpfs tmpfs /run/many; mount --make-private /run/many
        cd /run/many; mkdir 1 2 3 4 5 6 7 8 9 10 11 all; mount --bind /data/ext4 all
        for i in 1 2 3 4 5 6 7 8 9 10 11; do mount --rbind /run/many /run/many/$i; done
        test "$(wc -l < /proc/self/mountinfo)" -gt 4000""",
        "cd /; umount -l /run/many", ("/run/many/11/10/all",), ("/data/ext4",)),
}
