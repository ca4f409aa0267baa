// SPDX-License-Identifier: GPL-2.0-only
// Sources: src/ic.c
/* The wire format: requests that hosts send, others that they could send, and the answers. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/ic.h"

#define NEGOTIATE	0
#define HEARTBEAT	1
#define VSS		5
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define FREEZE_LEN	(36 + 12 + HV_VSS_LUN_MAX * 24)

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = v;
	p[1] = v >> 8;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v & 0xffff);
	put16(p + 2, v >> 16);
}

static unsigned int get16(const uint8_t *p)
{
	return p[0] | p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

/* A header as hosts send it. Bytes that have no meaning here have a pattern. */
static uint8_t *message(unsigned int type, uint32_t len)
{
	uint8_t *m = malloc(len ? len : 1);
	uint32_t i;

	assert_non_null(m);
	for (i = 0; i < len; i++)
		m[i] = i * 7 + 1;
	if (len >= 28) {
		put16(m + 12, type);
		put32(m + 20, 0);
		m[24] = 0x5a;	/* transaction */
		m[25] = 3;	/* transaction, request */
	}
	return m;
}

static uint8_t *vss(unsigned int op, uint32_t len)
{
	uint8_t *m = message(VSS, len);

	if (len >= 29)
		m[28] = op;
	return m;
}

static uint8_t *negotiation(unsigned int n_fw, unsigned int n_msg, uint32_t len)
{
	uint8_t *m = message(NEGOTIATE, len);

	put16(m + 28, n_fw);
	put16(m + 30, n_msg);
	return m;
}

static void version(uint8_t *m, unsigned int i, unsigned int major, unsigned int minor)
{
	put16(m + 36 + i * 4, major);
	put16(m + 38 + i * 4, minor);
}

static void parse_shorter_than_a_header_is_a_runt(void **unused)
{
	struct hv_vss_ic_request req;
	uint32_t len;
	uint8_t *m;

	(void)unused;
	for (len = 0; len < 28; len++) {
		m = message(VSS, len);
		hv_vss_ic_parse(m, len, &req);
		assert_int_equal(req.kind, HV_VSS_IC_RUNT);
		free(m);
	}
}

static void parse_vss_without_its_header_is_malformed(void **unused)
{
	struct hv_vss_ic_request req;
	uint32_t len;
	uint8_t *m;

	(void)unused;
	for (len = 28; len < 36; len++) {
		m = vss(HV_VSS_OP_THAW, len);
		hv_vss_ic_parse(m, len, &req);
		assert_int_equal(req.kind, HV_VSS_IC_MALFORMED);
		free(m);
	}
	/* The answers to both have flags. Without room for them there is no right answer. */
	for (len = 36; len <= 40; len++) {
		m = vss(HV_VSS_OP_HOT_BACKUP, len);
		hv_vss_ic_parse(m, len, &req);
		assert_int_equal(req.kind, len < 40 ? HV_VSS_IC_MALFORMED : HV_VSS_IC_REQUEST);
		m[28] = HV_VSS_OP_GET_DM_INFO;
		hv_vss_ic_parse(m, len, &req);
		assert_int_equal(req.kind, len < 40 ? HV_VSS_IC_MALFORMED : HV_VSS_IC_REQUEST);
		free(m);
	}
}

static void parse_every_type_and_operation_has_a_kind(void **unused)
{
	struct hv_vss_ic_request req;
	unsigned int i;
	uint8_t *m;

	(void)unused;
	for (i = 0; i < 65536; i += 17) {
		m = message(i, 64);
		hv_vss_ic_parse(m, 64, &req);
		assert_int_equal(req.kind, i == NEGOTIATE ? HV_VSS_IC_NEGOTIATE :
				 i == VSS ? HV_VSS_IC_REQUEST : HV_VSS_IC_FOREIGN);
		free(m);
	}
	for (i = 0; i < 256; i++) {
		m = vss(i, 40);
		hv_vss_ic_parse(m, 40, &req);
		assert_int_equal(req.kind, HV_VSS_IC_REQUEST);
		assert_int_equal(req.op, i);
		assert_int_equal(req.arg, i == HV_VSS_OP_FREEZE ? 0 : get32(m + 36));
		free(m);
	}
}

static void parse_freeze_finds_the_disks(void **unused)
{
	uint8_t *m = vss(HV_VSS_OP_FREEZE, FREEZE_LEN);
	struct hv_vss_ic_request req;
	struct hv_vss_lun lun;

	(void)unused;
	put32(m + 36, 3);
	put32(m + 40, 2);
	put32(m + 44, 2);
	m[48 + 24] = 1;
	memcpy(m + 48 + 24 + 4, "0123456789abcdef", 16);
	m[48 + 24 + 20] = 4;
	m[48 + 24 + 21] = 5;
	m[48 + 24 + 22] = 6;
	m[48 + 24 + 23] = 0xff;
	hv_vss_ic_parse(m, FREEZE_LEN, &req);
	assert_int_equal(req.backup_type, 3);
	assert_int_equal(req.flags, 2);
	assert_int_equal(req.lun_count, 2);
	assert_false(req.luns_ignored);
	memset(&lun, 0xee, sizeof(lun));
	hv_vss_ic_lun(&req, 1, &lun);
	assert_int_equal(lun.bus_type, 1);
	assert_memory_equal(lun.controller, "0123456789abcdef", 16);
	assert_int_equal(lun.port, 4);
	assert_int_equal(lun.target, 5);
	assert_int_equal(lun.lun, 6);
	/* The daemon gets padding of zeros, whatever the host has sent there. */
	assert_memory_equal(lun.reserved, "\0\0\0", 3);
	assert_int_equal(lun.reserved2, 0);
	free(m);
}

static void parse_freeze_ignores_an_impossible_list(void **unused)
{
	static const uint32_t counts[] = { 3, HV_VSS_LUN_MAX, HV_VSS_LUN_MAX + 1, 0x0aaaaaab,
					   0x80000000, UINT32_MAX };
	const uint32_t len = 48 + 2 * 24 + 23;
	struct hv_vss_ic_request req;
	unsigned int i;
	uint8_t *m;

	(void)unused;
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		m = vss(HV_VSS_OP_FREEZE, len);
		put32(m + 44, counts[i]);
		hv_vss_ic_parse(m, len, &req);
		assert_int_equal(req.kind, HV_VSS_IC_REQUEST);
		assert_int_equal(req.lun_count, 0);
		assert_true(req.luns_ignored);
		free(m);
	}
}

static void parse_freeze_of_any_length_stays_inside(void **unused)
{
	struct hv_vss_ic_request req;
	struct hv_vss_lun lun;
	uint32_t len;
	uint8_t *m;

	(void)unused;
	/* The message is allocated, so that the sanitizer finds reads beyond its end. */
	for (len = 36; len < 200; len++) {
		m = vss(HV_VSS_OP_FREEZE, len);
		if (len >= 48)
			put32(m + 44, (len - 48) / 24);
		hv_vss_ic_parse(m, len, &req);
		assert_int_equal(req.kind, HV_VSS_IC_REQUEST);
		assert_int_equal(req.lun_count, len >= 48 ? (len - 48) / 24 : 0);
		if (req.lun_count)
			hv_vss_ic_lun(&req, req.lun_count - 1, &lun);
		free(m);
	}
}

static void check_negotiated(uint8_t *m, uint32_t len, uint32_t fw, uint32_t msg)
{
	struct hv_vss_ic_versions v;
	uint8_t head[36];
	uint32_t i;

	memcpy(head, m, sizeof(head));
	assert_int_equal(hv_vss_ic_negotiate(m, len, &v), !!fw);
	assert_int_equal(v.framework, fw);
	assert_int_equal(v.message, msg);
	assert_int_equal(get16(m + 28), !!fw);
	assert_int_equal(get16(m + 30), !!fw);
	assert_int_equal(get16(m + 18), 16);
	assert_int_equal(get32(m + 20), 0);
	assert_int_equal(m[25], 5);
	/* The rest of the header has not changed. */
	assert_memory_equal(m, head, 18);
	assert_int_equal(m[24], head[24]);
	assert_memory_equal(m + 26, head + 26, 2);
	assert_memory_equal(m + 32, head + 32, 4);
	if (fw) {
		assert_int_equal(get16(m + 36), fw >> 16);
		assert_int_equal(get16(m + 38), fw & 0xffff);
		assert_int_equal(get16(m + 40), msg >> 16);
		assert_int_equal(get16(m + 42), msg & 0xffff);
	}
	for (i = fw ? 44 : 36; i < len; i++)
		assert_int_equal(m[i], 0);
}

static void negotiate_accepts_the_offers_of_windows(void **unused)
{
	const uint32_t len = 36 + 6 * 4;
	uint8_t *m = negotiation(2, 4, len);

	(void)unused;
	version(m, 0, 1, 0);
	version(m, 1, 3, 0);
	version(m, 2, 4, 0);
	version(m, 3, 5, 0);
	version(m, 4, 6, 0);
	version(m, 5, 7, 0);
	check_negotiated(m, len, HV_VSS_IC_VERSION(3, 0), HV_VSS_IC_VERSION(5, 0));
	free(m);

	m = negotiation(1, 1, 44);
	version(m, 0, 1, 0);
	version(m, 1, 5, 0);
	check_negotiated(m, 44, HV_VSS_IC_VERSION(1, 0), HV_VSS_IC_VERSION(5, 0));
	free(m);
}

static void negotiate_without_a_common_version_fails(void **unused)
{
	uint8_t *m = negotiation(1, 2, 48);

	(void)unused;
	version(m, 0, 3, 0);
	version(m, 1, 4, 0);
	version(m, 2, 6, 0);
	check_negotiated(m, 48, 0, 0);
	free(m);

	/* A framework version among the message versions does not count, or the reverse. */
	m = negotiation(1, 1, 44);
	version(m, 0, 5, 0);
	version(m, 1, 3, 0);
	check_negotiated(m, 44, 0, 0);
	free(m);

	/* The minor version must be equal, too. */
	m = negotiation(1, 1, 44);
	version(m, 0, 3, 1);
	version(m, 1, 5, 0);
	check_negotiated(m, 44, 0, 0);
	free(m);
}

static void negotiate_with_wrong_counts_has_no_offers(void **unused)
{
	static const struct {
		unsigned int fw, msg;
	} counts[] = { { 1, 2 }, { 3, 0 }, { 65535, 65535 }, { 1, 65535 }, { 65535, 1 } };
	unsigned int i;
	uint8_t *m;

	(void)unused;
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		m = negotiation(counts[i].fw, counts[i].msg, 44 + 3);
		version(m, 0, 3, 0);
		version(m, 1, 5, 0);
		check_negotiated(m, 44 + 3, 0, 0);
		free(m);
	}
	m = negotiation(0, 0, 36);
	check_negotiated(m, 36, 0, 0);
	free(m);
}

static void negotiate_keeps_the_offers(void **unused)
{
	const unsigned int n = HV_VSS_IC_OFFERS_MAX + 4;
	uint8_t *m = negotiation(n, 1, 36 + (n + 1) * 4);
	struct hv_vss_ic_versions v;
	unsigned int i;

	(void)unused;
	for (i = 0; i < n; i++)
		version(m, i, 10 + i, i);
	version(m, n - 1, 3, 0);
	version(m, n, 5, 0);
	assert_true(hv_vss_ic_negotiate(m, 36 + (n + 1) * 4, &v));
	assert_int_equal(v.fw_count, HV_VSS_IC_OFFERS_MAX);
	assert_int_equal(v.fw[1], HV_VSS_IC_VERSION(11, 1));
	assert_int_equal(v.msg_count, 1);
	assert_int_equal(v.msg[0], HV_VSS_IC_VERSION(5, 0));
	free(m);
}

/* All bytes but status and flags are as sent; the 4 bytes at 36 are @flags unless negative. */
static void check_answer(uint8_t *m, uint32_t len, uint32_t status, int64_t flags)
{
	uint8_t *sent = malloc(len);

	assert_non_null(sent);
	memcpy(sent, m, len);
	hv_vss_ic_answer(m, len, status);
	put32(sent + 20, status);
	sent[25] = 5;
	if (flags >= 0)
		put32(sent + 36, flags);
	assert_memory_equal(m, sent, len);
	free(sent);
}

static void answer_changes_only_what_it_must(void **unused)
{
	static const uint8_t ops[] = { HV_VSS_OP_CREATE, HV_VSS_OP_FREEZE, HV_VSS_OP_THAW, 200 };
	uint32_t len;
	unsigned int i;
	uint8_t *m;

	(void)unused;
	for (len = 28; len < 80; len++) {
		for (i = 0; i < sizeof(ops); i++) {
			m = vss(ops[i], len);
			check_answer(m, len, HV_VSS_E_FAIL, -1);
			free(m);
		}
		m = message(HEARTBEAT, len);
		check_answer(m, len, HV_VSS_E_NOT_SUPPORTED, -1);
		free(m);
	}
}

static void answer_to_hot_backup_carries_the_flags(void **unused)
{
	uint32_t len;
	uint8_t *m;

	(void)unused;
	for (len = 28; len < 48; len++) {
		m = vss(HV_VSS_OP_HOT_BACKUP, len);
		check_answer(m, len, HV_VSS_S_OK, len < 40 ? -1 : HV_VSS_NO_AUTO_RECOVERY);
		check_answer(m, len, HV_VSS_E_FAIL, len < 40 ? -1 : 0);
		free(m);
		m = vss(HV_VSS_OP_GET_DM_INFO, len);
		check_answer(m, len, HV_VSS_S_OK, len < 40 ? -1 : 0);
		free(m);
	}
}

static void descriptor(uint8_t *d, unsigned int type, unsigned int offset8, unsigned int len8)
{
	memset(d, 0, 16);
	put16(d, type);
	put16(d + 2, offset8);
	put16(d + 4, len8);
	put32(d + 8, 0x55667788);
	put32(d + 12, 0x11223344);
}

static void ring_bytes_accepts_only_possible_lengths(void **unused)
{
	uint8_t d[16];

	(void)unused;
	descriptor(d, 6, 2, 10);
	assert_int_equal(hv_vss_ic_ring_bytes(d, 88), 88);
	assert_int_equal(hv_vss_ic_ring_bytes(d, 1000), 88);
	assert_int_equal(hv_vss_ic_ring_bytes(d, 87), 0);	/* the trailer is missing */
	assert_int_equal(hv_vss_ic_ring_bytes(d, 16), 0);
	descriptor(d, 6, 1, 10);
	assert_int_equal(hv_vss_ic_ring_bytes(d, 1000), 0);	/* payload in the descriptor */
	descriptor(d, 6, 11, 10);
	assert_int_equal(hv_vss_ic_ring_bytes(d, 1000), 0);	/* payload behind the packet */
	descriptor(d, 6, 0xffff, 0xffff);
	assert_int_equal(hv_vss_ic_ring_bytes(d, 32768), 0);
	descriptor(d, 6, 2, 0);
	assert_int_equal(hv_vss_ic_ring_bytes(d, 1000), 0);
	descriptor(d, 6, 2, 2);
	assert_int_equal(hv_vss_ic_ring_bytes(d, 24), 24);	/* an empty payload */
}

static void unwrap_finds_the_payload(void **unused)
{
	struct hv_vss_ic_packet pkt;
	uint8_t d[64];

	(void)unused;
	descriptor(d, 6, 3, 8);
	assert_true(hv_vss_ic_unwrap(d, 64, &pkt));
	assert_int_equal(pkt.type, HV_VSS_PACKET_INBAND);
	assert_int_equal(pkt.request_id, 0x1122334455667788ull);
	assert_ptr_equal(pkt.data, d + 24);
	assert_int_equal(pkt.len, 40);
	assert_true(hv_vss_ic_unwrap(d, 24, &pkt));
	assert_int_equal(pkt.len, 0);
	assert_false(hv_vss_ic_unwrap(d, 23, &pkt));
	assert_false(hv_vss_ic_unwrap(d, 15, &pkt));
	descriptor(d, 6, 1, 8);
	assert_false(hv_vss_ic_unwrap(d, 64, &pkt));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_shorter_than_a_header_is_a_runt),
		cmocka_unit_test(parse_vss_without_its_header_is_malformed),
		cmocka_unit_test(parse_every_type_and_operation_has_a_kind),
		cmocka_unit_test(parse_freeze_finds_the_disks),
		cmocka_unit_test(parse_freeze_ignores_an_impossible_list),
		cmocka_unit_test(parse_freeze_of_any_length_stays_inside),
		cmocka_unit_test(negotiate_accepts_the_offers_of_windows),
		cmocka_unit_test(negotiate_without_a_common_version_fails),
		cmocka_unit_test(negotiate_with_wrong_counts_has_no_offers),
		cmocka_unit_test(negotiate_keeps_the_offers),
		cmocka_unit_test(answer_changes_only_what_it_must),
		cmocka_unit_test(answer_to_hot_backup_carries_the_flags),
		cmocka_unit_test(ring_bytes_accepts_only_possible_lengths),
		cmocka_unit_test(unwrap_finds_the_payload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
