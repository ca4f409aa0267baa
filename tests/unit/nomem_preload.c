// SPDX-License-Identifier: GPL-2.0-only
/*
 * For LD_PRELOAD: after the start of main() the allocation with the number NOMEM_AT fails, and with
 * NOMEM_ON all later ones, too. With NOMEM_OPENS each open() counts as an allocation. The number of
 * allocations is written to the file NOMEM_SEEN.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static unsigned long seen, fails_at;
static bool on, armed, opens;

static bool fails(void)
{
	unsigned long nth;

	if (!armed)
		return false;
	nth = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
	if (nth != fails_at && !(on && nth > fails_at))
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}

/* The kernel needs memory for it, too. */
int open(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	return opens && fails() ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	return opens && fails() ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}

__attribute__((constructor)) static void begin(void)
{
	const char *at = getenv("NOMEM_AT");

	fails_at = at ? strtoul(at, NULL, 10) : 0;
	on = getenv("NOMEM_ON");
	opens = getenv("NOMEM_OPENS");
	armed = true;
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("NOMEM_SEEN");
	int fd;

	armed = false;
	fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;
	if (fd < 0 || write(fd, &seen, sizeof(seen)) != sizeof(seen))
		_exit(99);
	close(fd);
}
