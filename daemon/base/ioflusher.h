/* SPDX-License-Identifier: GPL-2.0-only */
/* prctl(PR_SET_IO_FLUSHER), which is younger than the oldest headers. */
#ifndef HV_VSS_IOFLUSHER_H
#define HV_VSS_IOFLUSHER_H

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER	57
#endif

#endif
