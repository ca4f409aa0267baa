// SPDX-License-Identifier: GPL-2.0-only
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "memlock.h"

#define DEFAULT_TRIM	(128 * 1024)	/* malloc's defaults, mallopt(3) */
#define DEFAULT_MMAPS	65536
#define STACK_DEEP	(256UL * 1024)	/* more than the stack ever needs */
#define STACK_IN_USE	(16UL * 1024)

/* From now on malloc() neither shrinks the heap nor uses mmap(), and the heap has this reserve. */
static void reserve_heap(size_t size)
{
	char *reserve;

	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, -1);
	reserve = malloc(size);
	/* Hides from the compiler what the memory is for. It would replace malloc() and memset()
	 * by calloc(), which may leave the pages untouched, or remove both, as nothing is read.
	 */
	asm volatile("" : "+r" (reserve) : : "memory");
	if (reserve)
		memset(reserve, 0, size);
	else
		log_msg(LOG_WARNING, "no memory for a reserve of %zu KiB", size >> 10);
	asm volatile("" : : "r" (reserve) : "memory");
	free(reserve);
}

/**
 * memlock_begin() - lock all memory and forbid core dumps, before a freeze
 * @r: all zero at first; may be locked already
 * @reserve: bytes that the heap must be able to supply from now on
 *
 * All memory is read in and locked. While file systems are frozen no memory may be allocated, since
 * reclaim may wait for one of them, and no page of the program may be read from one. What is mapped
 * later (stacks of more workers) is locked as well.
 *
 * A core dump would be written to a frozen file system, by the kernel or by the program that
 * core_pattern names, or would wait for a worker that hangs. Until it is done only the kernel knows
 * that the process is dead. Without a core dump the process ends at once.
 *
 * Context: nothing is frozen.
 */
void memlock_begin(struct memlock *r, size_t reserve)
{
	struct timespec now;

	reserve_heap(reserve);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) && !r->warned) {
		r->warned = true;
		log_msg(LOG_WARNING, "cannot lock memory: %s; a freeze under memory pressure may "
			"take long", strerror(errno));
	}
	/* mlockall() does not read in the kernel's page with the time (vvar). */
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (prctl(PR_SET_DUMPABLE, 0))
		log_msg(LOG_WARNING, "cannot forbid core dumps: %s", strerror(errno));
	atomic_store(&r->locked, 1);
}

/* The dynamic section is an array of pairs: tag, value. */
static bool has_relocated_text(uintptr_t dynamic)
{
	for (const uintptr_t *d = (const uintptr_t *)dynamic; d[0] != DT_NULL; d += 2)
		if (d[0] == DT_TEXTREL || (d[0] == DT_FLAGS && d[1] & DF_TEXTREL))
			return true;
	return false;
}

/* Drops the pages of program text and constants: they can be read from the file again. */
static int drop_text(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t page = *(const size_t *)arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC &&
		    has_relocated_text(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr))
			return 0;	/* relocated: these pages differ from the file */
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		uintptr_t begin = at & ~(page - 1);
		uintptr_t end = (at + info->dlpi_phdr[i].p_filesz) & ~(page - 1);

		if (info->dlpi_phdr[i].p_type == PT_LOAD &&
		    !(info->dlpi_phdr[i].p_flags & PF_W) && end > begin)
			madvise((void *)begin, end - begin, MADV_DONTNEED);
	}
	return 0;
}

/* Drops the unused pages of this thread's stack. Addresses that are not mapped do no harm. */
static void drop_stack(size_t page)
{
	uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - STACK_IN_USE) & ~(page - 1);

	madvise((void *)(end - STACK_DEEP), STACK_DEEP, MADV_DONTNEED);
}

/**
 * memlock_trim() - give all memory back that is not needed while the process waits
 *
 * Context: main thread, nothing is frozen. The other threads may run.
 */
void memlock_trim(void)
{
	size_t page = sysconf(_SC_PAGESIZE);

	malloc_trim(0);
	log_trim();
	drop_stack(page);
	dl_iterate_phdr(drop_text, &page);
}

/**
 * memlock_end() - unlock memory and allow core dumps, after a freeze
 * @r: does nothing if memory is not locked
 * Context: main thread, nothing is frozen, and no FIFREEZE hangs that may still succeed.
 */
void memlock_end(struct memlock *r)
{
	if (!atomic_load(&r->locked))
		return;
	atomic_store(&r->locked, 0);
	if (!r->never_dumps)
		prctl(PR_SET_DUMPABLE, 1);
	munlockall();
	mallopt(M_MMAP_MAX, DEFAULT_MMAPS);
	mallopt(M_TRIM_THRESHOLD, DEFAULT_TRIM);
}
