/* SPDX-License-Identifier: GPL-2.0-only */
/* Text for people: operations, reasons, GUIDs and disks of the device protocol; escaped names. */
#ifndef HV_VSS_FORMAT_H
#define HV_VSS_FORMAT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "hv_vss.h"

const char *format_op(unsigned int op);
const char *format_cancel_reason(uint32_t reason);
void format_guid(char *text, size_t size, const __u8 *guid);
void format_lun(char *text, size_t size, const struct hv_vss_lun *lun);
void format_log_request(const struct hv_vss_request *request);
void format_print_escaped(FILE *f, const char *text);

#endif
