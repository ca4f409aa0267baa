// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/plan/kernelfaults.c
/* Reading a kernel's version, and finding its faults in the table. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plan/kernelfaults.h"
#include "test.h"

static struct kernel k;

/* "5.10.0-46-amd64|#1 SMP Debian 5.10.262-1 (2026-11-01)|signature" */
static const char *version(const char *release, const char *build, const char *signature)
{
	static char text[64];

	k = (struct kernel){ .io_uring = true, .quota = true };
	assert_int_equal(kernelfaults_kernel(&k, release, build, signature), 0);
	snprintf(text, sizeof(text), "%u.%u.%u", k.version[0], k.version[1], k.version[2]);
	return text;
}

/* The number of faults that concern @type and have @words in ->fix. */
static int found(const char *type, const char *source, const char *words)
{
	const struct kernelfaults_fs fs = { .type = type, .source = source };
	struct kernelfaults faults = { .n = 0 };
	int n = 0;

	kernelfaults_find(&faults, &k, &fs);
	/* A second call adds nothing. */
	kernelfaults_find(&faults, &k, &fs);
	for (size_t i = 0; i < faults.n; i++)
		n += !!strstr(faults.fault[i]->fix, words);
	return n;
}

/* The same, on the kernel of that release. */
static int on(const char *release, const char *type, const char *words)
{
	version(release, "#1 SMP", NULL);
	return found(type, "/dev/sda1", words);
}

static void versions_are_read(void **state)
{
	(void)state;
	assert_string_equal(version("6.1.192", "#1 SMP", NULL), "6.1.192");
	assert_string_equal(version("7.3-rc2", "#1 SMP", NULL), "7.3.0");
	assert_string_equal(version("4.4.0-112-default", "#1 SMP", NULL), "4.4.0");
	assert_int_equal(k.el, 0);
	assert_string_equal(version("5.14.0-570.32.1.el9_6.x86_64", "#1 SMP", NULL), "5.14.0");
	assert_int_equal(k.el, 9);
	assert_int_equal(k.build, 570);
	assert_string_equal(version("3.10.0-1160.el7.x86_64", "#1 SMP", NULL), "3.10.0");
	assert_int_equal(k.el, 7);
	assert_int_equal(k.build, 1160);
	assert_string_equal(version("5.4.17-2136.301.1.el8uek.x86_64", "#1", NULL), "5.4.17");
	assert_int_equal(kernelfaults_kernel(&k, "", "", NULL), -EINVAL);
	assert_int_equal(kernelfaults_kernel(&k, "linux", "", NULL), -EINVAL);
	assert_int_equal(kernelfaults_kernel(&k, "6", "", NULL), -EINVAL);
}

static void upstream_version_of_debian_and_ubuntu_is_used(void **state)
{
	(void)state;
	assert_string_equal(version("5.10.0-46-amd64", "#1 SMP Debian 5.10.262-1 (2026-11-01)",
				    NULL), "5.10.262");
	assert_string_equal(version("6.12.95+deb12-amd64", "#1 SMP PREEMPT_DYNAMIC Debian "
				    "6.12.95-1~bpo12+1 (2026-08-03)", NULL), "6.12.95");
	assert_string_equal(version("5.15.0-173-generic", "#183-Ubuntu SMP",
				    "Ubuntu 5.15.0-173.183-generic 5.15.199"), "5.15.199");
	/* If it can't be read, the release counts. */
	assert_string_equal(version("5.10.0-46-amd64", "#1 SMP Debian ", NULL), "5.10.0");
	assert_string_equal(version("5.10.0-46-amd64", "#1 SMP Debian testing", NULL), "5.10.0");
	assert_string_equal(version("5.15.0-173-generic", "#1", "Ubuntu "), "5.15.0");
	assert_string_equal(version("5.15.0-173-generic", "#1", "Ubuntu x y"), "5.15.0");
	assert_string_equal(version("5.15.0-173-generic", "#1", ""), "5.15.0");
}

static void fixes_in_stable_releases_are_known(void **state)
{
	(void)state;
	assert_int_equal(on("6.11.3", "ext4", "CVE-2024-50191"), 1);
	assert_int_equal(on("6.11.4", "ext4", "CVE-2024-50191"), 0);
	assert_int_equal(on("6.12.0", "ext4", "CVE-2024-50191"), 0);
	assert_int_equal(on("7.0.1", "ext4", "CVE-2024-50191"), 0);
	assert_int_equal(on("6.1.112", "ext4", "CVE-2024-50191"), 1);
	assert_int_equal(on("6.1.113", "ext4", "CVE-2024-50191"), 0);
	/* A series without the fix, although an older and a newer one have it. */
	assert_int_equal(on("6.2.200", "ext4", "CVE-2024-50191"), 1);
	assert_int_equal(on("5.10.262", "ext4", "CVE-2024-50191"), 1);
	assert_int_equal(on("3.10.108", "ext4", "CVE-2024-50191"), 1);
	/* Sublevels above 255. */
	assert_int_equal(on("4.19.325", "xfs", "4b674b9ac852"), 0);
	assert_int_equal(on("4.19.108", "xfs", "4b674b9ac852"), 1);
	assert_int_equal(on("4.15.1", "xfs", "4b674b9ac852"), 0);
	assert_int_equal(on("5.0.1", "ext4", "CVE-2024-53052"), 0);
	assert_int_equal(on("5.1.0", "ext4", "CVE-2024-53052"), 1);
}

static void backports_of_el_count_for_el_only(void **state)
{
	(void)state;
	assert_int_equal(on("5.14.0-503.40.1.el9_5.x86_64", "ext4", "CVE-2024-50191"), 1);
	assert_int_equal(on("5.14.0-570.32.1.el9_6.x86_64", "ext4", "CVE-2024-50191"), 0);
	assert_int_equal(on("5.14.0-570-generic", "ext4", "CVE-2024-50191"), 1);
	assert_int_equal(on("4.18.0-553.66.1.el8_10.x86_64", "ext4", "CVE-2024-50191"), 1);
	assert_int_equal(on("4.18.0-553.66.1.el8_10.x86_64", "xfs", "ab23a7768739"), 1);
	assert_int_equal(on("5.14.0-284.30.1.el9_2.x86_64", "xfs", "ab23a7768739"), 0);
	assert_int_equal(on("4.18.0-240.el8.x86_64", "xfs", "4b674b9ac852"), 1);
	assert_int_equal(on("4.18.0-305.el8.x86_64", "xfs", "4b674b9ac852"), 0);
	assert_int_equal(on("3.10.0-514.el7.x86_64", "btrfs", "9e7cc91a6d18"), 1);
	assert_int_equal(on("3.10.0-1160.el7.x86_64", "btrfs", "9e7cc91a6d18"), 0);
	assert_int_equal(on("3.10.0-1160.el7.x86_64", "xfs", "70fe2f48152e"), 1);
}

static void only_affected_file_systems(void **state)
{
	(void)state;
	assert_int_equal(on("4.4.178", "xfs", "CVE-2024-50191"), 0);
	assert_int_equal(on("4.4.178", "ext3", "CVE-2024-50191"), 1);
	assert_int_equal(on("4.4.178", "ext", "CVE-2024-50191"), 0);
	assert_int_equal(on("4.4.178", "ext44", "CVE-2024-50191"), 0);
	assert_int_equal(on("4.4.178", "", "CVE-2024-50191"), 0);
	assert_int_equal(on("4.13.4", "f2fs", "dc6febb6bcec"), 1);
	assert_int_equal(on("4.14.0", "f2fs", "dc6febb6bcec"), 0);
	assert_int_equal(on("6.8.0", "f2fs", "930c6ab93492"), 1);
	assert_int_equal(on("6.4.0", "f2fs", "930c6ab93492"), 0);
	assert_int_equal(on("7.3.4", "jfs", "no kernel"), 1);
	assert_int_equal(on("7.3.4", "xfs", ""), 0);
}

static void conditions_are_checked(void **state)
{
	(void)state;
	version("6.8.0", "#1 SMP", NULL);
	assert_int_equal(found("xfs", "/dev/sda1", "CVE-2024-53052"), 1);
	assert_int_equal(found("xfs", "/dev/sda1", "CVE-2026-45895"), 1);
	k.io_uring = false;
	k.quota = false;
	assert_int_equal(found("xfs", "/dev/sda1", "CVE-"), 0);
	assert_int_equal(found("xfs", "/dev/sda1", "6.12.117"), 0);
	assert_int_equal(found("xfs", "/dev/mapper/vg-root", "6.12.117"), 1);
	assert_int_equal(found("xfs", "/dev/dm-3", "6.12.117"), 1);
	assert_int_equal(found("xfs", "/dev/drbd1000", "6.12.117"), 1);
	version("6.12.117", "#1 SMP", NULL);
	assert_int_equal(found("xfs", "/dev/mapper/vg-root", "6.12.117"), 0);
	version("7.3.4", "#1 SMP", NULL);
	assert_int_equal(found("xfs", "/dev/mapper/vg-root", "6.12.117"), 0);
}

static void guard_prevents_some_faults(void **state)
{
	(void)state;
	version("6.8.0", "#1 SMP", NULL);
	assert_int_equal(found("ext4", "/dev/mapper/vg-root", "CVE-2024-50191"), 1);
	k.guard = true;
	assert_int_equal(found("ext4", "/dev/mapper/vg-root", "CVE-2024-50191"), 0);
	assert_int_equal(found("ext4", "/dev/mapper/vg-root", "6.12.117"), 0);
	assert_int_equal(found("ext4", "/dev/mapper/vg-root", "CVE-2024-53052"), 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_are_read),
		cmocka_unit_test(upstream_version_of_debian_and_ubuntu_is_used),
		cmocka_unit_test(fixes_in_stable_releases_are_known),
		cmocka_unit_test(backports_of_el_count_for_el_only),
		cmocka_unit_test(only_affected_file_systems),
		cmocka_unit_test(conditions_are_checked),
		cmocka_unit_test(guard_prevents_some_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
