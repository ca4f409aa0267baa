// SPDX-License-Identifier: GPL-2.0-only
// Sources: src/ic.c
/* libFuzzer: a packet as in the ring, with its descriptor, goes through all functions of ic.c. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/ic.h"

#define RING	32768

#define REQUIRE(condition)	do { if (!(condition)) abort(); } while (0)

static void check_luns(const struct hv_vss_ic_request *req, const uint8_t *data, uint32_t len)
{
	struct hv_vss_lun lun;
	uint32_t i;

	REQUIRE(req->lun_count <= HV_VSS_LUN_MAX);
	for (i = 0; i < req->lun_count; i++) {
		REQUIRE(req->luns + (i + 1) * HV_VSS_IC_LUN <= data + len);
		hv_vss_ic_lun(req, i, &lun);
		REQUIRE(!lun.reserved[0] && !lun.reserved[1] && !lun.reserved[2] && !lun.reserved2);
	}
}

/* An answer equals the request, except for the fields that an answer changes. */
static void check_answer(const uint8_t *sent, const uint8_t *got, uint32_t len, uint32_t from)
{
	uint32_t i;

	REQUIRE(!memcmp(sent, got, 18));
	REQUIRE(got[24] == sent[24] && got[25] == 5);
	for (i = from; i < len; i++)
		REQUIRE(got[i] == sent[i] || !got[i]);
}

static void handle(uint8_t *data, uint32_t len)
{
	struct hv_vss_ic_versions versions;
	struct hv_vss_ic_request req;
	uint8_t *sent;

	hv_vss_ic_parse(data, len, &req);
	REQUIRE((req.kind == HV_VSS_IC_RUNT) == (len < HV_VSS_IC_HDR));
	if (req.kind == HV_VSS_IC_RUNT)
		return;
	check_luns(&req, data, len);
	sent = malloc(len);
	REQUIRE(sent);
	memcpy(sent, data, len);
	if (req.kind == HV_VSS_IC_NEGOTIATE) {
		hv_vss_ic_negotiate(data, len, &versions);
		check_answer(sent, data, len, HV_VSS_IC_BODY + 8);
	} else {
		hv_vss_ic_answer(data, len, len & 8 ? HV_VSS_S_OK : HV_VSS_E_FAIL);
		check_answer(sent, data, len, HV_VSS_IC_BODY + 4);
	}
	free(sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct hv_vss_ic_packet pkt;
	uint32_t bytes;
	uint8_t *buf;

	if (size < HV_VSS_PACKET_HDR || size > RING)
		return 0;
	bytes = hv_vss_ic_ring_bytes(input, size);
	REQUIRE(bytes <= size);
	/* Not only @bytes: a kernel that believes a wrong descriptor may pass on other sizes. */
	buf = malloc(size);
	REQUIRE(buf);
	memcpy(buf, input, size);
	if (hv_vss_ic_unwrap(buf, size, &pkt)) {
		REQUIRE(pkt.data >= buf && pkt.data + pkt.len == buf + size);
		handle(pkt.data, pkt.len);
	}
	free(buf);
	return 0;
}
