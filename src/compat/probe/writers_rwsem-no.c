// SPDX-License-Identifier: GPL-2.0-only
/* Writers are counted, and only check s_writers.frozen. Until 4.3. */
#include <linux/fs.h>
#include "../probe.h"

HAS_NO_MEMBER(struct sb_writers, rw_sem);
