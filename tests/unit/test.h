/* SPDX-License-Identifier: GPL-2.0-only */
/* What every unit test includes: cmocka wants these headers before its own. */
#ifndef HV_VSS_UNIT_TEST_H
#define HV_VSS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#endif
