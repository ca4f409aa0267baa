// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <stdio.h>

#include "log.h"
#include "format.h"

/**
 * format_op() - the name of an operation
 * @op: HV_VSS_OP_...
 * Return: its name.
 */
const char *format_op(unsigned int op)
{
	switch (op) {
	case HV_VSS_OP_HOT_BACKUP:
		return "HOT_BACKUP";
	case HV_VSS_OP_FREEZE:
		return "FREEZE";
	case HV_VSS_OP_THAW:
		return "THAW";
	case HV_VSS_OP_CANCEL:
		return "CANCEL";
	default:
		return "unknown operation";
	}
}

/**
 * format_cancel_reason() - the reason why the kernel has cancelled a request
 * @reason: enum hv_vss_cancel
 * Return: text for the log.
 */
const char *format_cancel_reason(uint32_t reason)
{
	switch (reason) {
	case HV_VSS_CANCEL_TIMEOUT:
		return "the kernel has told the host that it failed";
	case HV_VSS_CANCEL_HOLD:
		return "frozen for too long, the kernel has thawed";
	case HV_VSS_CANCEL_RESCIND:
		return "the host has withdrawn the service";
	case HV_VSS_CANCEL_SUSPEND:
		return "the guest is about to hibernate";
	case HV_VSS_CANCEL_RESET:
		return "the host has restarted the negotiation";
	case HV_VSS_CANCEL_FOREIGN_THAW:
		return "another process has thawed a file system";
	case HV_VSS_CANCEL_READONLY:
		return "a file system met an error and became read-only";
	case HV_VSS_CANCEL_HOST:
		return "the host no longer waits for the freeze";
	case HV_VSS_CANCEL_EARLY_THAW:
		return "the freeze has ended before the host asked";
	default:
		return "cancelled by the kernel";
	}
}

static const char *bus_name(unsigned int type)
{
	return type == 1 ? "SCSI" : type == 2 ? "IDE" : "unknown bus";
}

/**
 * format_guid() - format a GUID
 * @text: at least 37 bytes
 * @size: of @text
 * @guid: as the host sends it: the first three fields are little endian
 */
void format_guid(char *text, size_t size, const __u8 *guid)
{
	const __u8 *g = guid;

	snprintf(text, size, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12],
		 g[13], g[14], g[15]);
}

/**
 * format_lun() - format the name of a disk in the host's list
 * @text: at least 96 bytes
 * @size: of @text
 * @lun: the disk
 */
void format_lun(char *text, size_t size, const struct hv_vss_lun *lun)
{
	char guid[40];

	format_guid(guid, sizeof(guid), lun->controller);
	snprintf(text, size, "%s %s port %u target %u lun %u", bus_name(lun->bus_type), guid,
		 lun->port, lun->target, lun->lun);
}

/**
 * format_log_request() - log all of a request, with the disks that the host will snapshot
 * @request: from the device
 */
void format_log_request(const struct hv_vss_request *request)
{
	const struct hv_vss_frame *frame = &request->frame;

	log_msg(LOG_DEBUG, "%s (cookie %u, flags %#x, %u disks)", format_op(frame->op),
		frame->cookie, frame->op == HV_VSS_OP_FREEZE ? request->flags : frame->arg,
		request->lun_count);
	for (unsigned int i = 0; i < request->lun_count && i < HV_VSS_LUN_MAX; i++) {
		const struct hv_vss_lun *lun = &request->luns[i];
		char name[96];

		format_lun(name, sizeof(name), lun);
		log_msg(LOG_DEBUG, "disk %u: %s", i, name);
	}
}

/**
 * format_print_escaped() - print a name on one line
 * @f: where to print it
 * @text: may contain any character, as a mount point may; control characters and backslashes are
 *	printed as octal numbers
 */
void format_print_escaped(FILE *f, const char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text) || *text == '\\')
			fprintf(f, "\\%03o", (unsigned char)*text);
		else
			putc(*text, f);
}
