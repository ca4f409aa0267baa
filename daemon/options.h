/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HV_VSS_OPTIONS_H
#define HV_VSS_OPTIONS_H

#include "freeze/freezer_types.h"
#include "hooks/hooks.h"
#include "report/status.h"
#include "targets/build.h"

enum options_action {
	ACTION_SERVE,
	ACTION_LIST,
	ACTION_STATUS,
	ACTION_CHECK,
	ACTION_THAW_LEFTOVERS,
	ACTION_REMOVE_KVP,
	ACTION_GUARDIAN,	/* used by the daemon to start its guardian; not documented */
	ACTION_HOOK_RUNNER,	/* the same for the process that calls hooks */
	ACTION_KVP_WRITER,	/* the same for the process that writes to the KVP pool */
};

struct options {
	enum options_action action;
	const char *device;
	const char *run_dir;
	pid_t guarded;
	bool verbose;
	bool exit_if_absent;
	bool no_kvp;			/* write nothing to the KVP pool */
	bool ignore_kernel_faults;	/* don't report known faults of the running kernel */
	bool json;
	bool tree;
	bool watch;
	struct build_config plan;
	struct freezer_config freezer;
	struct hooks_config hooks;
	struct status_limits limits;
};

/* Exit code: the command line is wrong, or the daemon can't serve from here. Nothing was done. */
#define EXIT_USAGE	2

int options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);

#endif
