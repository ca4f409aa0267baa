// SPDX-License-Identifier: GPL-2.0-only
/*
 * dbwriter run FILE [INTERVAL_US]: make SQLite transactions. Each moves an amount between two
 * accounts and adds a row. Prints "NUMBER TIME LATENCY" after each commit, like writer.
 *
 * dbwriter check FILE: print "rows N last N total N integrity TEXT".
 */
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

#define SCHEMA \
	"PRAGMA synchronous=FULL;" \
	"CREATE TABLE account(name TEXT PRIMARY KEY, balance INTEGER NOT NULL);" \
	"INSERT INTO account VALUES('a', 1000000), ('b', 1000000);" \
	"CREATE TABLE moved(number INTEGER PRIMARY KEY, amount INTEGER, note TEXT)"

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static void must(sqlite3 *db, int result)
{
	if (result == SQLITE_OK)
		return;
	fprintf(stderr, "dbwriter: %s\n", db ? sqlite3_errmsg(db) : "no database");
	exit(1);
}

static void run(sqlite3 *db, unsigned int interval)
{
	struct sigaction action = { .sa_handler = on_signal };
	unsigned long long number, begin, end;
	char sql[512];

	sigaction(SIGTERM, &action, NULL);
	must(db, sqlite3_exec(db, SCHEMA, NULL, NULL, NULL));
	for (number = 1; !stop; number++) {
		snprintf(sql, sizeof(sql),
			 "BEGIN;UPDATE account SET balance=balance-%llu WHERE name='a';"
			 "INSERT INTO moved VALUES(%llu,%llu,hex(randomblob(300)));"
			 "UPDATE account SET balance=balance+%llu WHERE name='b';COMMIT",
			 number % 7, number, number % 7, number % 7);
		begin = clock_us();
		must(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
		end = clock_us();
		if (printf("%llu %llu %llu\n", number, end, end - begin) < 0 || fflush(stdout))
			return;
		if (interval)
			usleep(interval);
	}
}

static int print_row(void *context, int n, char **values, char **names)
{
	(void)context;
	(void)names;
	for (int i = 0; i < n; i++)
		printf("%s%s", i ? " " : "", values[i] ? values[i] : "0");
	printf("\n");
	return 0;
}

static void check(sqlite3 *db)
{
	must(db, sqlite3_exec(db, "SELECT 'rows', count(*), 'last', max(number) FROM moved",
			      print_row, NULL, NULL));
	must(db, sqlite3_exec(db, "SELECT 'total', sum(balance) FROM account",
			      print_row, NULL, NULL));
	must(db, sqlite3_exec(db, "SELECT 'integrity', integrity_check FROM pragma_integrity_check",
			      print_row, NULL, NULL));
}

int main(int argc, char **argv)
{
	sqlite3 *db = NULL;

	if (argc < 3 || argc > 4 || (strcmp(argv[1], "run") && strcmp(argv[1], "check"))) {
		fprintf(stderr, "usage: dbwriter run FILE [INTERVAL_US] | dbwriter check FILE\n");
		return 2;
	}
	must(db, sqlite3_open(argv[2], &db));
	if (!strcmp(argv[1], "run"))
		run(db, argc == 4 ? (unsigned int)strtoul(argv[3], NULL, 10) : 0);
	else
		check(db);
	must(db, sqlite3_close(db));
	return 0;
}
