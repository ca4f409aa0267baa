# SPDX-License-Identifier: GPL-2.0-only
#
#   make demo                  back up a guest on the emulated Hyper-V host, with explanations
#   make bench                 the stock stack and ours compared; table and picture
#   make check                 run all tests; ends with "N passed, N failed, N skipped"
#   make style                 checkpatch, sparse, clang-tidy, cppcheck, shellcheck
#   make unit                  unit tests alone: no root, no guests, no packages installed
#   make module KDIR=<tree>    src/hv_vss.ko for that kernel build tree
#   make daemon                daemon/hv-vss-daemon
#   make                       both, for the running kernel if its headers are there
#   make deb, make rpm         the packages, in dist/
#   make install               without packages: module through DKMS, daemon, unit
#   make install MODULE=no     the daemon alone, on the kernel's own driver
#   make uninstall             undoes it

NAME	:= hv-vss
VERSION	:= $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)

prefix		?= /usr
sbindir		?= $(prefix)/sbin
libdir		?= $(prefix)/lib
# Not in lib: there SELinux would not take it for a program.
helperdir	?= $(prefix)/libexec/$(NAME)
mandir		?= $(prefix)/share/man
hooksdir	?= $(prefix)/share/$(NAME)/hooks
sysconfdir	?= /etc
# The unit reads /etc/default/hv-vss-daemon and /etc/sysconfig/hv-vss-daemon.
defaultdir	?= $(sysconfdir)/default
usrsrcdir	?= $(prefix)/src
completiondir	?= $(prefix)/share/bash-completion/completions
zshcompletiondir ?= $(prefix)/share/zsh/$(if $(wildcard /etc/debian_version),vendor-completions,site-functions)

# Packages have their own directories. `make install` uses those for an admin's own files: systemd, udev
# and kmod of every distribution read them, while in /usr/lib some find nothing if /lib is not a link to
# it (Debian 9 and 10, Ubuntu 16.04 and 18.04). An admin's unit precedes that of the distribution, whose
# hv-vss-daemon.service (of Debian's and Ubuntu's packages) does not change.
udevdir		?= $(if $(DESTDIR),$(libdir)/udev,$(sysconfdir)/udev)/rules.d
modprobedir	?= $(if $(DESTDIR),$(libdir),$(sysconfdir))/modprobe.d
unitdir		?= $(if $(DESTDIR),$(libdir)/systemd/system,$(sysconfdir)/systemd/system)
daemonunitdir	?= $(unitdir)
DESTDIR		?=
INSTALL		?= install
MODULE		?= yes

# Only `make` without a target uses the running kernel; `make module` needs KDIR.
RUNNING_KDIR	:= $(wildcard /lib/modules/$(shell uname -r)/build)
TESTPYTHON	?= /usr/bin/python3

.PHONY: all module daemon uninstall
.PHONY: install install-dkms-source install-takeover install-daemon
.PHONY: bench check style unit demo soak dist deb rpm clean version

all: daemon
ifneq ($(RUNNING_KDIR),)
	$(MAKE) module KDIR=$(RUNNING_KDIR)
else
	@echo "No headers of the running kernel: the module was not built (make module KDIR=...)."
endif

module:
	@test -n "$(KDIR)" || { echo "usage: make module KDIR=<kernel build tree>" >&2; exit 2; }
	@test -f "$(KDIR)/Makefile" || { echo "$(KDIR): not a kernel build tree" >&2; exit 2; }
	$(MAKE) -C "$(KDIR)" M="$(CURDIR)/src" $(KBUILD_FLAGS) modules

daemon:
	$(MAKE) -C daemon

version:
	@echo $(VERSION)

# The files from which DKMS builds the module.
DKMS_FILES = dkms.conf Makefile LICENSE include/uapi/hv_vss.h $(sort $(wildcard \
	src/Kbuild src/*.c src/*.h src/dkms-pre-build src/compat/*.h src/compat/probe/*))

# $(call put,FILE,DIRECTORY[,NAME])
put = $(INSTALL) -D -m $(if $(shell test -x $(1) && echo x),755,644) $(1) \
	"$(DESTDIR)$(strip $(2))/$(or $(3),$(notdir $(1)))"

# $(call drop,FILE,DIRECTORY[,NAME])
drop = rm -f "$(DESTDIR)$(strip $(2))/$(or $(3),$(notdir $(1)))"

# Run with put to install and with drop to remove.
define module_files
	$(call $(1),systemd/hv-vss-bind,$(helperdir))
	$(call $(1),systemd/hv-vss-bind.service,$(unitdir))
	$(call $(1),systemd/60-hv-vss.rules,$(udevdir))
	$(call $(1),systemd/hv-vss.modprobe.conf,$(modprobedir),hv-vss.conf)
	$(call $(1),src/hv_vss.4,$(mandir)/man4)
endef

define daemon_files
	$(call $(1),daemon/hv-vss-daemon,$(sbindir))
	$(call $(1),systemd/hv-vss-daemon.service,$(daemonunitdir))
	$(call $(1),systemd/90-hv-vss-daemon.rules,$(udevdir))
	$(call $(1),systemd/hypervvssd-yields.conf,$(unitdir)/hypervvssd.service.d,hv-vss.conf)
	$(call $(1),systemd/yield-to-hv-vss.conf,$(unitdir)/hv_vss_daemon.service.d,hv-vss.conf)
	$(call $(1),daemon/hv-vss-daemon.8,$(mandir)/man8)
	$(call $(1),daemon/hv-vss-daemon.bash-completion,$(completiondir),hv-vss-daemon)
	$(call $(1),daemon/hv-vss-daemon.zsh-completion,$(zshcompletiondir),_hv-vss-daemon)
	$(call $(1),daemon/hooks/ready-made/mysql,$(hooksdir))
	$(call $(1),daemon/hooks/ready-made/postgresql,$(hooksdir))
	$(call $(1),daemon/hooks/ready-made/redis,$(hooksdir))
endef

install-dkms-source:
	@set -e; for f in $(DKMS_FILES); do \
		mode=644; [ ! -x $$f ] || mode=755; \
		$(INSTALL) -D -m $$mode $$f "$(DESTDIR)$(usrsrcdir)/$(NAME)-$(VERSION)/$$f"; \
	done

# The files that move the host's channel to hv_vss once the module is built.
install-takeover:
	$(call module_files,put)

install-daemon: daemon
	$(call daemon_files,put)
	@# Don't overwrite an admin's file.
	[ -e "$(DESTDIR)$(defaultdir)/hv-vss-daemon" ] || \
		$(call put,systemd/hv-vss-daemon.default,$(defaultdir),hv-vss-daemon)
	$(INSTALL) -d -m 755 "$(DESTDIR)$(sysconfdir)/$(NAME)/hooks.d"

# With DESTDIR this only copies files. Otherwise it changes nothing if something is missing; then it also
# builds the module and moves the channel to it.
install:
ifeq ($(DESTDIR),)
	@systemd/by-hand check $(MODULE)
	$(MAKE) daemon
endif
	$(MAKE) install-daemon $(if $(filter no,$(MODULE)),,install-takeover install-dkms-source)
ifeq ($(DESTDIR),)
	$(if $(filter no,$(MODULE)),,systemd/by-hand module $(usrsrcdir) $(VERSION))
	systemd/by-hand start
endif

# $(call dropdir,DIRECTORY): unless an admin has files there, too.
dropdir = [ ! -d "$(DESTDIR)$(strip $(1))" ] || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$(strip $(1))"

uninstall:
ifeq ($(DESTDIR),)
	@systemd/by-hand owned
	systemd/by-hand stop $(daemonunitdir)
	-if [ -x "$(sbindir)/hv-vss-daemon" ]; then "$(sbindir)/hv-vss-daemon" --remove-kvp; fi
	systemd/by-hand forget $(usrsrcdir)
endif
	rm -rf "$(DESTDIR)$(usrsrcdir)/$(NAME)-$(VERSION)"
	$(call module_files,drop)
	$(call daemon_files,drop)
ifeq ($(DESTDIR),)
	# Version 0.1.0 installed these there.
	$(call drop,60-hv-vss.rules,$(libdir)/udev/rules.d)
	$(call drop,90-hv-vss-daemon.rules,$(libdir)/udev/rules.d)
	$(call drop,hv-vss.conf,$(libdir)/modprobe.d)
	$(call drop,hv-vss-bind,$(libdir)/$(NAME))
	$(call dropdir,$(libdir)/$(NAME))
endif
	@# Unless an admin has changed it.
	if cmp -s systemd/hv-vss-daemon.default "$(DESTDIR)$(defaultdir)/hv-vss-daemon"; then \
		$(call drop,systemd/hv-vss-daemon.default,$(defaultdir),hv-vss-daemon); \
	fi
	$(call dropdir,$(sysconfdir)/$(NAME)/hooks.d)
	$(call dropdir,$(sysconfdir)/$(NAME))
	$(call dropdir,$(hooksdir))
	$(call dropdir,$(prefix)/share/$(NAME))
	$(call dropdir,$(helperdir))
	$(call dropdir,$(unitdir)/hypervvssd.service.d)
	$(call dropdir,$(unitdir)/hv_vss_daemon.service.d)
ifeq ($(DESTDIR),)
	systemd/by-hand stopped
endif

check:
	tests/check

style:
	tests/check tests/static

# Without sanitizers, which would take a minute to compile; tests/check tests/unit has them.
unit:
	$(MAKE) -C tests/unit check SANITIZE=

demo:
	tests/demo

# Thousands of backups in one boot, every tenth with a fault.
soak:
	HV_VSS_SOAK=$(or $(BACKUPS),2000) tests/check -s tests/system/test_soak.py

# About half an hour, on two idle cores. HV_VSS_BENCH_RUNS=10 of each stack; HV_VSS_BENCH_ONLY="idle
# dirty" for some of the workloads; results go to HV_VSS_BENCH_OUT, by default in the cache.
bench:
	tests/bench/run

# Packages for this system, in dist/. They are built from a copy, so that nothing is left in the tree.
PACKAGED = Makefile dkms.conf LICENSE README.md CHANGELOG.md src include daemon systemd debian rpm
copied = dist/build/$(NAME)-$(VERSION)

define copy
	rm -rf dist/build
	mkdir -p $(copied)
	cp -pR $(PACKAGED) $(copied)/
	$(MAKE) -s -C $(copied) clean
endef

deb:
	@systemd/needs deb
	$(copy)
	cd $(copied) && DEB_BUILD_OPTIONS="$${DEB_BUILD_OPTIONS-} noautodbgsym" dpkg-buildpackage -b -us -uc
	rm -f dist/*.deb
	mv dist/build/*.deb dist/
	rm -rf dist/build
	@echo "Built. As root: apt-get install ./dist/*.deb"

# RPMBUILD_FLAGS: for instance --nodeps, where packages have other names.
rpm:
	@systemd/needs rpm
	$(copy)
	tar -C dist/build -czf dist/build/$(NAME)-$(VERSION).tar.gz $(NAME)-$(VERSION)
	rpmbuild --define "_topdir $(CURDIR)/dist/build" $(RPMBUILD_FLAGS) -tb dist/build/$(NAME)-$(VERSION).tar.gz
	rm -f dist/*.rpm
	mv dist/build/RPMS/*/$(NAME)*-$(VERSION)-*.rpm dist/
	rm -f dist/*-debuginfo-*.rpm dist/*-debugsource-*.rpm
	rm -rf dist/build
	@echo "Built. As root: $$(systemd/needs installer) ./dist/*.rpm"

# The same commit gives the same bytes.
dist:
	git archive --format=tar --prefix=$(NAME)-$(VERSION)/ HEAD | gzip -9n >$(NAME)-$(VERSION).tar.gz

clean:
	$(MAKE) -C daemon clean
	rm -rf src/*.o src/.*.cmd src/*.ko src/*.mod src/*.mod.c src/.tmp_versions \
		src/Module.symvers src/modules.order src/hv_vss_probe.h src/.probe dist
