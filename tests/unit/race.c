// SPDX-License-Identifier: GPL-2.0-only
/* A data race of two threads, which TSan must find. test_unit.py runs this program. */
#include <pthread.h>
#include <stdlib.h>

static int counter;

static void *count(void *arg)
{
	for (int i = 0; i < 100000; i++)
		counter++;
	return arg;
}

int main(void)
{
	pthread_t thread[2];

	for (int i = 0; i < 2; i++)
		if (pthread_create(&thread[i], NULL, count, NULL))
			return EXIT_FAILURE;
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	return EXIT_SUCCESS;
}
