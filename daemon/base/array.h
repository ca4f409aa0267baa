/* SPDX-License-Identifier: GPL-2.0-only */
/* reallocarray() for C libraries that have none (glibc before 2.26). */
#ifndef HV_VSS_ARRAY_H
#define HV_VSS_ARRAY_H

#include <stdint.h>
#include <stdlib.h>

/**
 * array_resize() - change the number of an array's elements
 * @array: from malloc() or from this function; may be NULL
 * @n: number of elements wanted, at least 1
 * @size: of one element, in bytes
 * Return: the array, which may have moved; NULL without memory: @array is then unchanged.
 */
static inline void *array_resize(void *array, size_t n, size_t size)
{
	return n > SIZE_MAX / size ? NULL : realloc(array, n * size);
}

#endif
