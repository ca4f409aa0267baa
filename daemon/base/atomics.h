/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of <stdatomic.h> that the daemon needs, under the same names: gcc 4.8, the compiler of
 * EL7, has only the builtins. Each type is a struct, so that a plain access does not compile.
 */
#ifndef HV_VSS_ATOMICS_H
#define HV_VSS_ATOMICS_H

#include <stdbool.h>

struct atomic_char { char value; };
struct atomic_int { int value; };
struct atomic_uint { unsigned int value; };
struct atomic_llong { long long value __attribute__((aligned(8))); };

#define atomic_char	struct atomic_char
#define atomic_int	struct atomic_int
#define atomic_uint	struct atomic_uint
#define atomic_llong	struct atomic_llong

#define atomic_init(p, n)	((void)((p)->value = (n)))
#define atomic_load(p)		__atomic_load_n(&(p)->value, __ATOMIC_SEQ_CST)
#define atomic_store(p, n)	__atomic_store_n(&(p)->value, n, __ATOMIC_SEQ_CST)
#define atomic_fetch_add(p, n)	__atomic_fetch_add(&(p)->value, n, __ATOMIC_SEQ_CST)
#define atomic_fetch_sub(p, n)	__atomic_fetch_sub(&(p)->value, n, __ATOMIC_SEQ_CST)

#define atomic_compare_exchange_strong(p, expect, n) \
	__atomic_compare_exchange_n(&(p)->value, expect, n, false, __ATOMIC_SEQ_CST, \
				    __ATOMIC_SEQ_CST)

#endif
