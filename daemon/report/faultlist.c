// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "driver/owner.h"
#include "faultlist.h"
#include "kernelwarn.h"

/**
 * faultlist_find() - find known faults of the running kernel that concern a plan
 * @found: faults that are not in it yet are added; none if the kernel's version is unknown
 * @m: the plan
 * @sysfs: where sysfs is mounted
 * Context: any user.
 */
void faultlist_find(struct kernelfaults *found, const struct mounts *m, const char *sysfs)
{
	struct owner owner;
	struct kernel k;

	if (kernelwarn_read_kernel(&k, m->proc))
		return;
	owner_read(&owner, sysfs);
	k.guard = !owner.why_not[0] && !owner.closed[0];
	for (size_t i = 0; i < m->n; i++) {
		const struct kernelfaults_fs fs = {
			.type = m->fs[i].type, .source = m->fs[i].source,
		};

		if (m->fs[i].action == MOUNTS_FREEZE)
			kernelfaults_find(found, &k, &fs);
	}
}

/**
 * faultlist_print() - print faults
 * @j: print JSON, in an open array; NULL: print text
 * @found: the faults
 */
void faultlist_print(struct json *j, const struct kernelfaults *found)
{
	for (size_t i = 0; i < found->n; i++) {
		const struct kernelfault *fault = found->fault[i];

		if (!j) {
			printf("kernel %s: its version may have a fault: %s; fixed by %s%s\n",
			       fault->types ? fault->types : "all", fault->effect,
			       fault->fix, fault->guarded ? ", and by hv_vss" : "");
			continue;
		}
		json_object(j, NULL);
		json_string(j, "types", fault->types);
		json_string(j, "effect", fault->effect);
		json_string(j, "mended_by", fault->fix);
		json_bool(j, "mended_by_module", fault->guarded);
		json_end(j);
	}
}
