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
#   make install               on a Hyper-V guest: module through DKMS, daemon, unit

NAME	:= hv-vss
VERSION	:= $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)

prefix		?= /usr
sbindir		?= $(prefix)/sbin
libdir		?= $(prefix)/lib
helperdir	?= $(prefix)/lib/$(NAME)
mandir		?= $(prefix)/share/man
hooksdir	?= $(prefix)/share/$(NAME)/hooks
sysconfdir	?= /etc
# The unit reads /etc/default/hv-vss-daemon and /etc/sysconfig/hv-vss-daemon.
defaultdir	?= $(sysconfdir)/default
usrsrcdir	?= $(prefix)/src
completiondir	?= $(prefix)/share/bash-completion/completions
udevdir		?= $(libdir)/udev/rules.d
modprobedir	?= $(libdir)/modprobe.d
# `make install` puts the units into the directory for an admin's own units, which precedes that of the
# distribution. Its hv-vss-daemon.service (of Debian's and Ubuntu's packages) does not change.
unitdir		?= $(if $(DESTDIR),$(libdir)/systemd/system,/etc/systemd/system)
daemonunitdir	?= $(unitdir)
DESTDIR		?=
INSTALL		?= install

# Only `make` without a target uses the running kernel; `make module` needs KDIR.
RUNNING_KDIR	:= $(wildcard /lib/modules/$(shell uname -r)/build)
TESTPYTHON	?= /usr/bin/python3

.PHONY: all module daemon uninstall
.PHONY: install install-dkms-source install-takeover install-daemon
.PHONY: bench check style unit demo soak dist clean version

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

# With DESTDIR this only copies files; otherwise it also builds the module and moves the channel to it.
install: install-daemon install-takeover install-dkms-source
ifeq ($(DESTDIR),)
	@command -v dkms >/dev/null || { echo "dkms is missing: apt-get install dkms" >&2; exit 1; }
	-dkms remove -m $(NAME) -v $(VERSION) --all >/dev/null 2>&1
	dkms add -m $(NAME) -v $(VERSION)
	dkms install -m $(NAME) -v $(VERSION) || \
		echo "The module was not built: the daemon works with the kernel's own driver." >&2
	if [ -d /run/systemd/system ]; then \
		systemctl daemon-reload && udevadm control --reload && \
		{ [ -e /etc/systemd/system/hypervvssd.service ] || \
			systemctl stop hypervvssd.service 2>/dev/null || :; } && \
		systemctl enable hv-vss-daemon.service && \
		systemctl start hv-vss-bind.service && \
		if [ -e /dev/vmbus/hv_vss ]; then systemctl restart hv-vss-daemon.service; fi; \
	else \
		systemctl enable hv-vss-daemon.service || :; \
	fi
	@echo "Installed. Runs whenever the host offers the service: systemctl status hv-vss-daemon"
	@echo "To switch it off: systemctl disable --now hv-vss-daemon"
endif

uninstall:
ifeq ($(DESTDIR),)
	if [ -d /run/systemd/system ]; then systemctl stop hv-vss-daemon.service; fi
	-systemctl disable hv-vss-daemon.service
	-if [ -x "$(sbindir)/hv-vss-daemon" ]; then "$(sbindir)/hv-vss-daemon" --remove-kvp; fi
	systemd/hv-vss-bind release
	-if grep -q '^hv_vss ' /proc/modules; then rmmod hv_vss; fi
	-dkms remove -m $(NAME) -v $(VERSION) --all
endif
	rm -rf "$(DESTDIR)$(usrsrcdir)/$(NAME)-$(VERSION)"
	$(call module_files,drop)
	$(call daemon_files,drop)
	@# Unless an admin has changed it.
	if cmp -s systemd/hv-vss-daemon.default "$(DESTDIR)$(defaultdir)/hv-vss-daemon"; then \
		$(call drop,systemd/hv-vss-daemon.default,$(defaultdir),hv-vss-daemon); \
	fi
	-rmdir "$(DESTDIR)$(sysconfdir)/$(NAME)/hooks.d" "$(DESTDIR)$(sysconfdir)/$(NAME)"
	rmdir "$(DESTDIR)$(hooksdir)" "$(DESTDIR)$(prefix)/share/$(NAME)"
	rmdir "$(DESTDIR)$(helperdir)" "$(DESTDIR)$(unitdir)/hypervvssd.service.d" \
		"$(DESTDIR)$(unitdir)/hv_vss_daemon.service.d"
ifeq ($(DESTDIR),)
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; udevadm control --reload; fi
	@# As in debian/hv-vss-daemon.postrm: udev and then systemd have to forget our rule.
	if [ -e /dev/vmbus/hv_vss ]; then \
		udevadm trigger /dev/vmbus/hv_vss; \
		udevadm settle --timeout=10; \
		if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi; \
	fi
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

# The same commit gives the same bytes.
dist:
	git archive --format=tar --prefix=$(NAME)-$(VERSION)/ HEAD | gzip -9n >$(NAME)-$(VERSION).tar.gz

clean:
	$(MAKE) -C daemon clean
	rm -rf src/*.o src/.*.cmd src/*.ko src/*.mod src/*.mod.c src/.tmp_versions \
		src/Module.symvers src/modules.order src/hv_vss_probe.h src/.probe
