/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arguments of a command. A command takes out each argument once, and its type is checked. An
 * argument that is left at the end is an error. The first error is kept, so a command can take all
 * arguments and check for an error once, in hv_args_done().
 */
#ifndef HW_HVHOST_ARGS_H
#define HW_HVHOST_ARGS_H

#include "host.h"

struct hv_args {
	QDict *left;
	char *err;
};

void hv_args_init(struct hv_args *a, const QDict *cmd);
bool hv_args_done(struct hv_args *a, char **err);
void hv_args_error(struct hv_args *a, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

bool hv_arg_has(const struct hv_args *a, const char *key);
uint64_t hv_arg_uint(struct hv_args *a, const char *key, uint64_t fallback, uint64_t max);
bool hv_arg_bool(struct hv_args *a, const char *key, bool fallback);
char *hv_arg_str(struct hv_args *a, const char *key, const char *fallback);
QList *hv_arg_list(struct hv_args *a, const char *key);
uint8_t *hv_arg_hex(struct hv_args *a, const char *key, uint32_t *len);
bool hv_arg_version(struct hv_args *a, const char *key, struct ic_ver *ver);
uint32_t hv_arg_versions(struct hv_args *a, const char *key, struct ic_ver **wire);

#endif
