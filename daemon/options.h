/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HV_VSS_OPTIONS_H
#define HV_VSS_OPTIONS_H

#include "freezer.h"
#include "hooks.h"

enum options_action {
	ACTION_SERVE,
	ACTION_LIST,
	ACTION_STATUS,
	ACTION_THAW_LEFTOVERS,
	ACTION_GUARDIAN,	/* how the daemon starts its guardian; not for people */
	ACTION_HOOK_RUNNER,	/* the same, for what calls hooks */
};

struct options {
	enum options_action action;
	const char *device;
	const char *run_dir;
	pid_t guarded;
	bool verbose;
	bool json;
	bool exit_if_absent;
	struct fsset_config plan;
	struct freezer_config freezer;
	struct hooks_config hooks;
};

/* Exit with this code means: the command line is wrong, nothing has been done. */
#define EXIT_USAGE	2

int options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);

#endif
