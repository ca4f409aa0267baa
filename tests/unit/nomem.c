// SPDX-License-Identifier: GPL-2.0-only
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "nomem.h"
#include "test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REAL(name)	__interceptor_##name
#else
#define REAL(name)	__libc_##name
#endif

/* These functions are called before the sanitizers are ready. */
#define UNCHECKED	__attribute__((no_sanitize_address, no_sanitize_thread, \
				       no_sanitize_undefined))

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t n, size_t size);
void *REAL(realloc)(void *old, size_t size);
void REAL(free)(void *old);

static long live;		/* allocations that have not been freed */
static unsigned int seen;	/* allocations since nomem_arm() */
static unsigned int fails_at;	/* number of the one that fails */
static bool for_ever;		/* all later ones fail, too */
static bool armed;

static UNCHECKED bool fails(void)
{
	unsigned int nth;

	if (!__atomic_load_n(&armed, __ATOMIC_SEQ_CST))
		return false;
	nth = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
	if (nth != fails_at && !(for_ever && nth > fails_at))
		return false;
	errno = ENOMEM;
	return true;
}

static UNCHECKED void *counted(void *got)
{
	if (got)
		__atomic_add_fetch(&live, 1, __ATOMIC_SEQ_CST);
	return got;
}

UNCHECKED void *malloc(size_t size)
{
	return fails() ? NULL : counted(REAL(malloc)(size));
}

UNCHECKED void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : counted(REAL(calloc)(n, size));
}

UNCHECKED void *realloc(void *old, size_t size)
{
	if (!old)
		return malloc(size);
	return fails() ? NULL : REAL(realloc)(old, size);
}

UNCHECKED void free(void *old)
{
	if (old)
		__atomic_sub_fetch(&live, 1, __ATOMIC_SEQ_CST);
	REAL(free)(old);
}

/* The next three functions are replaced because the sanitizers' ones do not call malloc(). */
static UNCHECKED char *copy_of(const char *text, size_t max)
{
	size_t len = 0;
	char *copy;

	while (len < max && text[len])
		len++;
	copy = malloc(len + 1);
	for (size_t i = 0; copy && i < len; i++)
		copy[i] = text[i];
	if (copy)
		copy[len] = '\0';
	return copy;
}

UNCHECKED char *strndup(const char *text, size_t max)
{
	return copy_of(text, max);
}

UNCHECKED char *strdup(const char *text)
{
	return copy_of(text, (size_t)-1);
}

char *realpath(const char *path, char *resolved)
{
	char *(*real)(const char *path, char *resolved) =
		(char *(*)(const char *, char *))dlsym(RTLD_NEXT, "realpath");
	char *buf = resolved ? resolved : malloc(PATH_MAX), *found;

	found = buf ? real(path, buf) : NULL;
	if (buf && !found && !resolved) {
		int err = errno;

		free(buf);
		errno = err;
	}
	return found;
}

/**
 * nomem_arm() - let an allocation fail
 * @nth: its number, counted from now
 * @all_later: all later ones fail, too
 */
void nomem_arm(unsigned int nth, bool all_later)
{
	seen = 0;
	fails_at = nth;
	for_ever = all_later;
	__atomic_store_n(&armed, true, __ATOMIC_SEQ_CST);
}

/**
 * nomem_disarm() - let all allocations succeed again
 * Return: the number of allocations since nomem_arm().
 */
unsigned int nomem_disarm(void)
{
	__atomic_store_n(&armed, false, __ATOMIC_SEQ_CST);
	return seen;
}

/* The sanitizer decides, but is slow. More live allocations alone are no leak: libraries cache. */
static void find_leaks(long before)
{
	if (__atomic_load_n(&live, __ATOMIC_SEQ_CST) == before)
		return;
#ifdef __SANITIZE_ADDRESS__
	assert_int_equal(__lsan_do_recoverable_leak_check(), 0);
#endif
}

static unsigned int once(const struct nomem_scenario *s, unsigned int nth, bool on)
{
	long before = __atomic_load_n(&live, __ATOMIC_SEQ_CST);
	unsigned int n;

	if (s->prepare)
		s->prepare();
	nomem_arm(nth, on);
	s->act();
	n = nomem_disarm();
	s->check(n >= nth);
	find_leaks(before);
	return n;
}

/**
 * nomem_sweep() - repeat a scenario, and let another allocation fail each time
 * @s: the scenario
 */
void nomem_sweep(const struct nomem_scenario *s)
{
	unsigned int all, swept = 0;

	/* First with enough memory, which also does what is done only once in a process. */
	all = once(s, -1U, false);
	for (int on = 0; on <= 1; on++)
		for (unsigned int nth = 1; nth <= once(s, nth, on); nth++)
			swept++;
	assert_true(all > 0 && swept >= 2 * all);
	print_message("# %s: %u allocations, each failed alone and with all later ones\n", s->name,
		      all);
}
