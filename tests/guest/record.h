/* SPDX-License-Identifier: GPL-2.0-only */
/* The records that the writer appends and the checker looks for. */
#ifndef GUEST_RECORD_H
#define GUEST_RECORD_H

#include <stdint.h>

/* Not a divisor of any block size, so that records lie across blocks. */
#define RECORD_SIZE		1000
/* After so many records a new file is begun, so that directories and inodes change, too. */
#define RECORDS_PER_FILE	200

struct record {
	uint32_t magic;
	uint32_t checksum;	/* of the whole record, with 0 in this place */
	uint64_t number;	/* 1, 2, 3 ... */
	uint8_t data[RECORD_SIZE - 16];
};

enum record_state { RECORD_GOOD, RECORD_TORN, RECORD_WRONG };

void record_make(struct record *r, uint64_t number);
enum record_state record_check(const struct record *r, uint64_t number);

#endif /* GUEST_RECORD_H */
