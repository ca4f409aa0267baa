// SPDX-License-Identifier: GPL-2.0-only
/* They are not counted. Until 6.7. */
#include <linux/fs.h>
#include "../probe.h"

HAS_NO_MEMBER(struct sb_writers, freeze_ucount);
