// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "record.h"

#define RECORD_MAGIC 0x57524954u

static uint32_t checksum(const struct record *r)
{
	struct record copy = *r;
	const uint8_t *p = (const uint8_t *)&copy;
	uint32_t sum = 2166136261u;	/* FNV-1a */

	copy.checksum = 0;
	for (size_t i = 0; i < sizeof(copy); i++)
		sum = (sum ^ p[i]) * 16777619u;
	return sum;
}

/**
 * record_make() - fill in a record
 * @r: the record
 * @number: its number; the whole content is derived from it
 */
void record_make(struct record *r, uint64_t number)
{
	uint64_t x = number * 0x9e3779b97f4a7c15u + 1;

	r->magic = RECORD_MAGIC;
	r->number = number;
	for (size_t i = 0; i < sizeof(r->data); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		r->data[i] = (uint8_t)x;
	}
	r->checksum = checksum(r);
}

/**
 * record_check() - check whether this is the record with that number
 * @r: the data that was read
 * @number: the expected number
 *
 * Return: RECORD_TORN if it is no complete record, RECORD_WRONG if it is another one.
 */
enum record_state record_check(const struct record *r, uint64_t number)
{
	struct record want;

	if (r->magic != RECORD_MAGIC || r->checksum != checksum(r))
		return RECORD_TORN;
	if (r->number != number)
		return RECORD_WRONG;
	record_make(&want, number);
	return memcmp(r, &want, sizeof(want)) ? RECORD_WRONG : RECORD_GOOD;
}
