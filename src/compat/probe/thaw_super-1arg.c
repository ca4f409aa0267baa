// SPDX-License-Identifier: GPL-2.0-only
/*
 * It is thaw_super(sb).
 *
 * Until 6.5, see thaw_super-holder.
 */
#include <linux/fs.h>
#include "../probe.h"

IS_OF_TYPE(&thaw_super, int (*)(struct super_block *));
