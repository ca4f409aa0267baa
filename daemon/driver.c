// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <limits.h>
#include <linux/connector.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "driver.h"
#include "sysattr.h"

#define VSS_CLASS	"{35fa2e29-ea23-4236-96ae-3a6ebacba440}"
#define OURS		"hv_vss"

static void read_link(char *name, const char *dir)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t len;

	name[0] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s/driver", dir) >= sizeof(path))
		return;
	len = readlink(path, link, sizeof(link) - 1);
	if (len <= 0)
		return;
	link[len] = '\0';
	snprintf(name, DRIVER_NAME, "%.31s", strrchr(link, '/') ? strrchr(link, '/') + 1 : link);
}

/**
 * driver_find() - find the VMBus device of the backup channel, and its driver
 * @sysfs: where sysfs is mounted
 * @device: DRIVER_DEVICE bytes for its name
 * @name: DRIVER_NAME bytes for its driver's; "" if it has none
 * Return: 0; -1 if there is no such device. Both names are set in any case.
 */
int driver_find(const char *sysfs, char *device, char *name)
{
	char dir[PATH_MAX], class[64];
	struct dirent *entry;
	bool found = false;
	DIR *list;

	device[0] = '\0';
	name[0] = '\0';
	snprintf(dir, sizeof(dir), "%s/bus/vmbus/devices", sysfs);
	list = opendir(dir);
	while (list && !name[0] && (entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(dir, sizeof(dir), "%s/bus/vmbus/devices/%.200s", sysfs, entry->d_name);
		if (sysattr_read(class, sizeof(class), dir, "class_id") ||
		    strcasecmp(class, VSS_CLASS) != 0)
			continue;
		found = true;
		snprintf(device, DRIVER_DEVICE, "%.63s", entry->d_name);
		read_link(name, dir);
	}
	if (list)
		closedir(list);
	return found ? 0 : -1;
}

/**
 * driver_listed() - does hv_utils' backup service have its netlink callback?
 * @connector: /proc/net/connector
 * Return: false also if that can't be read.
 */
bool driver_listed(const char *connector)
{
	unsigned int idx, val;
	char line[128];
	bool found = false;
	FILE *f = fopen(connector, "re");

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %u:%u", &idx, &val) == 2 && idx == CN_VSS_IDX &&
			val == CN_VSS_VAL;
	fclose(f);
	return found;
}

/* Is the module there for the running kernel? */
static bool is_built(void)
{
	char path[PATH_MAX], *line = NULL;
	struct utsname uts;
	size_t size = 0;
	bool found = false;
	FILE *f;

	if (uname(&uts))
		return false;
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", uts.release);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && getline(&line, &size, f) >= 0) {
		char *name;

		line[strcspn(line, ":")] = '\0';
		name = strrchr(line, '/') ? strrchr(line, '/') + 1 : line;
		found = !strncmp(name, OURS ".ko", strlen(OURS ".ko"));
	}
	free(line);
	fclose(f);
	return found;
}

static const char *why_not(const struct driver *d, const char *sysfs)
{
	char path[PATH_MAX];

	if (!d->offered)
		return "the host does not offer backups (the integration service is off), or "
		       "this is no Hyper-V guest";
	snprintf(path, sizeof(path), "%s/module/" OURS, sysfs);
	if (!access(path, F_OK))
		return "hv_vss is loaded, but does not have the channel: see journalctl -u "
		       "hv-vss-bind";
	if (is_built())
		return "hv_vss is there, but not loaded: see journalctl -u hv-vss-bind, and "
		       "modprobe hv_vss";
	return "there is no hv_vss for this kernel: see dkms status";
}

/**
 * driver_look() - look who serves
 * @d: filled in
 * @sysfs: where sysfs is mounted
 */
void driver_look(struct driver *d, const char *sysfs)
{
	char dir[PATH_MAX], device[DRIVER_DEVICE], versions[64];

	*d = (struct driver){ 0 };
	d->offered = !driver_find(sysfs, device, d->name);
	if (strcmp(d->name, OURS) != 0)
		snprintf(d->why_not, sizeof(d->why_not), "%s", why_not(d, sysfs));
	if (!d->name[0])
		return;
	snprintf(dir, sizeof(dir), "%s/module/%s", sysfs, d->name);
	sysattr_read(d->version, sizeof(d->version), dir, "version");
	snprintf(dir, sizeof(dir), "%s/bus/vmbus/devices/%s/" OURS, sysfs, device);
	if (!sysattr_read(versions, sizeof(versions), dir, "versions"))
		sscanf(versions, "%15s %15s", d->framework, d->message);
	sysattr_read(d->state, sizeof(d->state), dir, "state");
	sysattr_read(d->last_error, sizeof(d->last_error), dir, "last_error");
}
