/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PACKAGES_SYSTEM_BOOT_H
#define PACKAGES_SYSTEM_BOOT_H

/* What ld's --wrap makes of boot_system(). */
int __real_boot_system(void);
int __wrap_boot_system(void);

#endif /* PACKAGES_SYSTEM_BOOT_H */
