# SPDX-License-Identifier: GPL-2.0-only
#
#   make demo                  back up a guest on the emulated Hyper-V host and tell the story
#   make check                 run all tests; ends with "N passed, N failed, N skipped"
#   make module KDIR=<tree>    src/hv_vss.ko for that kernel build tree
#   make daemon                daemon/hv-vss-daemon
#   make                       both, for the running kernel if its headers are there
#   make install               on a Hyper-V guest: module through DKMS, daemon, unit

NAME	:= hv-vss
VERSION	:= $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)

prefix		?= /usr
sbindir		?= $(prefix)/sbin
libexecdir	?= $(prefix)/lib
usrsrcdir	?= $(prefix)/src
unitdir		?= $(prefix)/lib/systemd/system
udevdir		?= $(prefix)/lib/udev/rules.d
DESTDIR		?=
INSTALL		?= install

# Only the plain `make` looks at the running kernel; `make module` wants to be told.
RUNNING_KDIR	:= $(wildcard /lib/modules/$(shell uname -r)/build)
TESTPYTHON	?= /usr/bin/python3

.PHONY: all module daemon install install-dkms-source install-daemon uninstall
.PHONY: check demo dist clean version

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

# What the module is built from on the user's machine.
DKMS_FILES = dkms.conf Makefile LICENSE include/uapi/hv_vss.h \
	$(sort $(wildcard src/Kbuild src/*.c src/*.h src/compat/*.h src/compat/probe/*))

install-dkms-source:
	set -e; for f in $(DKMS_FILES); do \
		$(INSTALL) -D -m 644 $$f "$(DESTDIR)$(usrsrcdir)/$(NAME)-$(VERSION)/$$f"; \
	done

install-daemon: daemon
	$(INSTALL) -D -m 755 daemon/hv-vss-daemon "$(DESTDIR)$(sbindir)/hv-vss-daemon"
	$(INSTALL) -D -m 644 systemd/hv-vss-daemon.service "$(DESTDIR)$(unitdir)/hv-vss-daemon.service"
	$(INSTALL) -D -m 644 systemd/60-hv-vss.rules "$(DESTDIR)$(udevdir)/60-hv-vss.rules"

# With DESTDIR only files are put in place; otherwise the module is built and the service enabled.
install: install-daemon install-dkms-source
ifeq ($(DESTDIR),)
	@command -v dkms >/dev/null || { echo "dkms is missing: apt-get install dkms" >&2; exit 1; }
	-dkms remove -m $(NAME) -v $(VERSION) --all >/dev/null 2>&1
	dkms add -m $(NAME) -v $(VERSION)
	dkms install -m $(NAME) -v $(VERSION)
	systemctl daemon-reload
	udevadm control --reload
	@echo "Installed. The service starts when the host offers it: systemctl status hv-vss-daemon"
endif

uninstall:
	-systemctl disable --now hv-vss-daemon.service
	-dkms remove -m $(NAME) -v $(VERSION) --all
	rm -rf "$(DESTDIR)$(usrsrcdir)/$(NAME)-$(VERSION)"
	rm -f "$(DESTDIR)$(sbindir)/hv-vss-daemon" "$(DESTDIR)$(unitdir)/hv-vss-daemon.service" \
		"$(DESTDIR)$(udevdir)/60-hv-vss.rules"

check:
	tests/check

demo:
	tests/demo

dist:
	git archive --prefix=$(NAME)-$(VERSION)/ -o $(NAME)-$(VERSION).tar.gz HEAD

clean:
	$(MAKE) -C daemon clean
	rm -rf src/*.o src/.*.cmd src/*.ko src/*.mod src/*.mod.c src/.tmp_versions \
		src/Module.symvers src/modules.order src/hv_vss_probe.h src/.probe
