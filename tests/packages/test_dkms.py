# SPDX-License-Identifier: GPL-2.0-only
"""The module through DKMS, with the dkms of each suite: what an admin does, and failures."""
import re

import pytest

BROKEN = "\n#error this kernel is newer than the driver\n"


@pytest.fixture(name="added")
def added_fixture(system, tiny_source, version):
    """A system with the tiny module's source, known to dkms."""
    return add(system, tiny_source, version)


def add(system, source, version):
    """Install the source where dkms expects it."""
    system.copy_in(source, f"/usr/src/hv-vss-{version}")
    system.sh(f"dkms add -m hv-vss -v {version}")
    return system


def dkms(system, command, version, kernel=None):
    """Run one dkms command on the module."""
    where = f" -k {kernel}" if kernel else " --all"
    return system.run(f"dkms {command} -m hv-vss -v {version}{where}")


def modules(system):
    """Kernels that have a hv_vss in any directory."""
    out = system.sh("find /lib/modules -name 'hv_vss.ko*'")
    return sorted(line.split("/")[3] for line in out.split())


def another_kernel(system, name, edit=""):
    """Headers of a kernel called NAME: those of the suite's own, edited."""
    system.sh(f"""
        build=$(readlink -f /lib/modules/{system.kernel}/build)
        mkdir -p /lib/modules/{name}
        cp -a $build /usr/src/linux-headers-{name}
        ln -s /usr/src/linux-headers-{name} /lib/modules/{name}/build
        cd /usr/src/linux-headers-{name}
        {edit or ':'}
        rm -f /usr/src/linux-headers-{name}/hv_vss*
    """)


def kernel_hook(system, kernel):
    """Run what the package of a kernel runs when it is configured."""
    return system.run("run-parts --exit-on-error --verbose "
                      f"--arg={kernel} --regex '^dkms$' /etc/kernel/postinst.d")


def break_source(system, version):
    """Make it impossible to build the module."""
    system.write(f"/usr/src/hv-vss-{version}/src/hv_vss.c", BROKEN)


NO_HYPERV = "sed -i 's/^CONFIG_HYPERV=.*/# CONFIG_HYPERV is not set/' .config; " \
            "sed -i '/^CONFIG_HYPERV=/d' include/config/auto.conf"
NO_VMBUS = "echo '# CONFIG_HYPERV_VMBUS is not set' >> .config"


def test_build_install_use_and_remove(system, dkms_source, version):
    added = add(system, dkms_source, version)
    done = dkms(added, "build", version, added.kernel)
    assert done.returncode == 0, done.stdout
    assert "deprecated" not in done.stdout.lower()
    done = dkms(added, "install", version, added.kernel)
    assert done.returncode == 0, done.stdout
    info = added.sh(f"modinfo -k {added.kernel} hv_vss")
    assert f"/lib/modules/{added.kernel}/updates/dkms/hv_vss.ko" in info
    assert re.search(rf"^version: *{re.escape(version)}$", info, re.M)
    assert re.search(r"^alias: *vmbus:292efa3523ea364296ae3a6ebacba440$", info, re.M)
    assert re.search(rf"^vermagic: *{re.escape(added.kernel)} ", info, re.M)
    log = f"/var/lib/dkms/hv-vss/{version}/{added.kernel}/*/log/make.log"
    assert "warning" not in added.sh(f"cat {log}")

    done = dkms(added, "uninstall", version, added.kernel)
    assert done.returncode == 0, done.stdout
    assert modules(added) == []
    done = dkms(added, "remove", version)
    assert done.returncode == 0, done.stdout
    assert added.sh("dkms status") == ""
    assert not added.exists("/var/lib/dkms/hv-vss")


def test_module_is_signed_with_the_machines_own_key(added, version):
    if added.suite == "bullseye":
        pytest.skip("dkms 2.8 of bullseye does not sign")
    added.sh(f"dkms install -m hv-vss -v {version} -k {added.kernel}")
    assert added.exists("/var/lib/dkms/mok.key") and added.exists("/var/lib/dkms/mok.pub")
    info = added.sh(f"modinfo -k {added.kernel} hv_vss")
    serial = added.sh("openssl x509 -inform DER -in /var/lib/dkms/mok.pub -noout -serial")
    key = re.search(r"^sig_key: *(\S+)$", info, re.M).group(1)
    assert key.replace(":", "") == serial.strip().removeprefix("serial=")


def test_kernel_upgrade_builds_for_the_new_kernel_and_removal_forgets_it(added, version):
    added.sh(f"dkms install -m hv-vss -v {version} -k {added.kernel}")
    new = added.kernel.replace("-amd64", "-cloud-amd64")
    # Only this package: trixie's depends on the kernel.
    added.sh(f"dpkg -i --force-depends /debs/linux-headers-{new}_*.deb")
    assert modules(added) == sorted([added.kernel, new])
    done = kernel_hook(added, new)
    assert done.returncode == 0, done.stdout
    done = added.run(f"run-parts --verbose --arg={new} --regex '^dkms$' /etc/kernel/prerm.d")
    assert done.returncode == 0, done.stdout
    assert modules(added) == [added.kernel]


@pytest.mark.parametrize("edit", [NO_HYPERV, NO_VMBUS], ids=["hyperv", "vmbus"])
def test_kernel_without_hyperv_is_skipped(added, version, edit):
    added.sh(f"dkms install -m hv-vss -v {version} -k {added.kernel}")
    another_kernel(added, "9.9.9-plain", edit)
    done = kernel_hook(added, "9.9.9-plain")
    assert done.returncode == 0, done.stdout
    done = dkms(added, "build", version, "9.9.9-plain")
    assert done.returncode == (9 if added.suite == "bullseye" else 77), done.stdout
    assert "BUILD_EXCLUSIVE" in done.stdout
    assert modules(added) == [added.kernel]


def test_first_kernel_without_hyperv_is_skipped(added, version):
    another_kernel(added, "9.9.9-plain", NO_HYPERV)
    done = kernel_hook(added, "9.9.9-plain")
    assert done.returncode == 0, done.stdout
    assert modules(added) == []
    done = kernel_hook(added, added.kernel)
    assert done.returncode == 0, done.stdout
    assert modules(added) == [added.kernel]
    assert version in added.sh("dkms status")


def test_kernel_before_3_10_is_skipped(added, version):
    another_kernel(added, "3.9.11-old")
    done = dkms(added, "build", version, "3.9.11-old")
    assert done.returncode == (9 if added.suite == "bullseye" else 77), done.stdout
    assert modules(added) == []


def test_without_headers_nothing_fails(added, version):
    added.sh("mkdir -p /lib/modules/9.9.9-bare")
    done = kernel_hook(added, "9.9.9-bare")
    assert done.returncode == 0, done.stdout
    assert "headers for" in done.stdout
    done = dkms(added, "build", version, "9.9.9-bare")
    assert done.returncode != 0
    assert "linux-headers-9.9.9-bare" in done.stdout


def test_without_a_compiler_the_log_says_so(added, version):
    added.sh("find /usr/bin -name '*gcc*' -delete")
    done = dkms(added, "build", version, added.kernel)
    assert done.returncode == (77 if added.suite == "trixie" else 10), done.stdout
    log = f"/var/lib/dkms/hv-vss/{version}/build/make.log"
    assert log in done.stdout
    assert re.search(r"gcc\S*: .*not found", added.sh(f"cat {log}"))
    assert modules(added) == []


def test_module_that_does_not_build_is_reported_and_leaves_the_others(added, version):
    added.sh(f"dkms install -m hv-vss -v {version} -k {added.kernel}")
    another_kernel(added, "9.9.9-new")
    break_source(added, version)
    done = kernel_hook(added, "9.9.9-new")
    log = f"/var/lib/dkms/hv-vss/{version}/build/make.log"
    assert done.returncode == 0, "the installation of the kernel must not fail\n" + done.stdout
    assert modules(added) == [added.kernel]
    if added.suite == "bookworm":
        # dkms.conf has built it; dkms was not to.
        assert "newer than the driver" in done.stdout and "and is skipped" in done.stdout
        assert added.sh("ls -d /tmp/tmp.* 2>/dev/null || true") == ""
        return
    assert log in done.stdout
    assert "newer than the driver" in added.sh(f"cat {log}")
    if added.suite == "trixie":
        assert "skipped for module(s) hv-vss" in done.stdout
        assert "backups go on with the kernel's own driver" in added.sh(f"cat {log}")


@pytest.mark.parametrize("other", ["0.0.9", "99.0.0"], ids=["upgrade", "downgrade"])
def test_another_version_takes_the_place_of_the_first(added, tiny_source, version, other):
    added.sh(f"dkms install -m hv-vss -v {version} -k {added.kernel}")
    added.copy_in(tiny_source, f"/usr/src/hv-vss-{other}")
    added.sh(f"sed -i 's/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"{other}\"/' "
             f"/usr/src/hv-vss-{other}/dkms.conf")
    # What the packages do: remove the old version, then install the new one.
    done = dkms(added, "remove", version)
    assert done.returncode == 0, done.stdout
    done = added.run(f"dkms install hv-vss/{other} -k {added.kernel}")
    assert done.returncode == 0, done.stdout
    info = added.sh(f"modinfo -k {added.kernel} hv_vss")
    assert re.search(rf"^version: *{re.escape(other)}$", info, re.M)
    assert modules(added) == [added.kernel]
