/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * systemd's "Native Journal Protocol", without its library: one datagram for each entry, which is
 * a message with fields.
 */
#ifndef HV_VSS_JOURNAL_H
#define HV_VSS_JOURNAL_H

#include <stddef.h>

#define JOURNAL_SOCKET		"/run/systemd/journal/socket"
#define JOURNAL_FIELDS_MAX	2048

/* Fields in the format of the protocol. A field that does not fit is left out. */
struct journal_fields {
	size_t len;
	char buf[JOURNAL_FIELDS_MAX];
};

/* Message ids of events that admins may want to be notified of: journalctl MESSAGE_ID=... */
#define JOURNAL_ID_BACKUP_OK		"61f01696cdcc4b7489cc76ae6b60e0ea"
#define JOURNAL_ID_BACKUP_FAILED	"80c5540794ad47d89d8272bcf1adc721"
#define JOURNAL_ID_PREFLIGHT_FAILED		"287ad9fd47ea44e78bc253c1592f4dd5"

void journal_add(struct journal_fields *fields, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int journal_connect(const char *path);
int journal_open(int stream);
int journal_send(int fd, int priority, const char *text, size_t len,
		 const struct journal_fields *fields);

#endif
