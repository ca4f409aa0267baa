/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes JSON. File names may contain any bytes; the output is always valid JSON in UTF-8. */
#ifndef HV_VSS_JSON_H
#define HV_VSS_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH	8

struct json {
	FILE *f;
	unsigned int depth;
	bool more[JSON_DEPTH];	/* the object or array at this depth has elements already */
	char end[JSON_DEPTH];	/* the character that closes it */
};

void json_begin(struct json *j, FILE *f);
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end(struct json *j);
void json_string(struct json *j, const char *key, const char *value);
void json_int(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_ms(struct json *j, const char *key, int64_t us);

#endif
