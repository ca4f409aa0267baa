/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

/* The tools, the agent and the kernel modules: in memory, so they are never on a frozen disk. */
#define GUEST_DIR	"/run/hvtest"

int boot_system(void);
int boot_open_port(const char *name);
void boot_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* GUEST_BOOT_H */
