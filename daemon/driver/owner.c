// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/connector.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/sysattr.h"
#include "owner.h"

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
	snprintf(name, OWNER_NAME, "%.31s", strrchr(link, '/') ? strrchr(link, '/') + 1 : link);
}

/**
 * owner_find() - find the VMBus device of the backup channel, and its driver
 * @sysfs: where sysfs is mounted
 * @device: OWNER_DEVICE bytes for its name
 * @name: OWNER_NAME bytes for its driver's; "" if it has none
 * Return: 0; -ENODEV if there is no such device; another negative errno if that is unknown. Both
 *	names are set in any case.
 */
int owner_find(const char *sysfs, char *device, char *name)
{
	char dir[PATH_MAX], class[64];
	int err, none = -ENODEV;
	struct dirent *entry;
	bool found = false;
	DIR *list;

	device[0] = '\0';
	name[0] = '\0';
	snprintf(dir, sizeof(dir), "%s/bus/vmbus/devices", sysfs);
	list = opendir(dir);
	if (!list && errno != ENOENT && errno != ENOTDIR)
		return -errno;
	while (list && !name[0] && (entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(dir, sizeof(dir), "%s/bus/vmbus/devices/%.200s", sysfs, entry->d_name);
		err = sysattr_read(class, sizeof(class), dir, "class_id");
		if (err == -ENOMEM)
			none = err;
		if (err || strcasecmp(class, VSS_CLASS) != 0)
			continue;
		found = true;
		snprintf(device, OWNER_DEVICE, "%.63s", entry->d_name);
		read_link(name, dir);
	}
	if (list)
		closedir(list);
	return found ? 0 : none;
}

/**
 * owner_listed() - has the backup service of hv_utils registered its netlink callback?
 * @connector: /proc/net/connector
 * Return: false also if that can't be read.
 */
bool owner_listed(const char *connector)
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

/* Is the module installed for the running kernel? 1 or 0, or a negative errno. */
static int is_built(void)
{
	char path[PATH_MAX], *line = NULL;
	struct utsname uts;
	size_t size = 0;
	int found = 0;
	FILE *f;

	if (uname(&uts))
		return -errno;
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", uts.release);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? 0 : -errno;
	while (!found && getline(&line, &size, f) >= 0) {
		char *name;

		line[strcspn(line, ":")] = '\0';
		name = strrchr(line, '/') ? strrchr(line, '/') + 1 : line;
		found = !strncmp(name, OURS ".ko", strlen(OURS ".ko"));
	}
	if (!found && !feof(f))
		found = -ENOMEM;
	free(line);
	fclose(f);
	return found;
}

static const char *why_not(const struct owner *d, const char *sysfs)
{
	char path[PATH_MAX];
	int built;

	if (!d->offered)
		return "the host does not offer backups (the integration service is off), or "
		       "this is no Hyper-V guest";
	snprintf(path, sizeof(path), "%s/module/" OURS, sysfs);
	if (!access(path, F_OK))
		return "hv_vss is loaded, but does not have the channel: see journalctl -u "
		       "hv-vss-bind";
	built = is_built();
	if (built == -ENOMEM)
		return "no memory to check whether hv_vss is installed";
	if (built > 0)
		return "hv_vss is installed, but not loaded: see journalctl -u hv-vss-bind, and "
		       "modprobe hv_vss";
	return "there is no hv_vss for this kernel: see dkms status";
}

/* Our module is bound to the channel. Older modules show only "state", and only if they serve. */
static const char *why_closed(const struct owner *d, const char *dir)
{
	char channel[32];

	if (sysattr_read(channel, sizeof(channel), dir, "channel"))
		return d->state[0] ? "" : "the channel is not open: see journalctl -k -g hv_vss";
	if (!strcmp(channel, "open"))
		return "";
	if (!strcmp(channel, "no-memory"))
		return "the kernel has no memory to open the channel; hv_vss goes on trying: see "
		       "journalctl -k -g hv_vss";
	if (!strcmp(channel, "refused"))
		return "the host does not let the channel be opened; hv_vss goes on trying: see "
		       "journalctl -k -g hv_vss";
	return "the channel is not open: see journalctl -k -g hv_vss";
}

/**
 * owner_read() - find out which driver serves, and why
 * @d: filled in
 * @sysfs: where sysfs is mounted
 */
void owner_read(struct owner *d, const char *sysfs)
{
	char dir[PATH_MAX], device[OWNER_DEVICE], versions[64];
	int err;

	*d = (struct owner){ 0 };
	err = owner_find(sysfs, device, d->name);
	d->offered = !err;
	if (err && err != -ENODEV)
		snprintf(d->why_not, sizeof(d->why_not), "cannot search for the device: %s",
			 strerror(-err));
	else if (strcmp(d->name, OURS) != 0)
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
	if (!d->why_not[0])
		snprintf(d->closed, sizeof(d->closed), "%s", why_closed(d, dir));
}
