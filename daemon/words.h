/* SPDX-License-Identifier: GPL-2.0-only */
/* The device protocol in words, for the log; and names of any kind, for people. */
#ifndef HV_VSS_WORDS_H
#define HV_VSS_WORDS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../include/uapi/hv_vss.h"

const char *words_op(unsigned int op);
const char *words_cancel(uint32_t reason);
void words_guid(char *text, size_t size, const __u8 *guid);
void words_lun(char *text, size_t size, const struct hv_vss_lun *lun);
void words_log_request(const struct hv_vss_request *request);
void words_print(FILE *f, const char *text);

#endif
