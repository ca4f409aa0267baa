// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "culprit.h"

/**
 * culprit_words() - describe a blocker for the log
 * @text: gets "process 17 (cat) is in splice()"
 * @size: of @text
 * @c: the blocker
 */
void culprit_words(char *text, size_t size, const struct culprit *c)
{
	if (!c->pid)
		snprintf(text, size, "a btrfs %s runs", c->call);
	else
		snprintf(text, size, "process %d (%s) is in %s()%s", c->pid, c->comm, c->call,
			 c->waits[0] ? ", waiting for a fanotify listener" : "");
}
