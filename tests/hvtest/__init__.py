# SPDX-License-Identifier: GPL-2.0-only
"""Boots guests on the emulated Hyper-V host, controls both, and checks the results.

host       the host's control socket
agent      commands inside the guest
guest      one virtual machine: boot, stop, and the check at the end of every test
kernels    kernels and modules of the Debian suites
images     initramfs, root and data disks
build      our module and daemon, the guest's programs, the host itself
disks      copies of disks, as Hyper-V makes them between FREEZE and THAW
databases  the database servers of the distribution in a guest
verify     checks of a copied disk with the file systems' own tools
kmsg       lines that must not be in a kernel log
"""
