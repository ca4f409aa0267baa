// SPDX-License-Identifier: GPL-2.0-only
/* Arguments of a command, checked. */
#include "args.h"
#include "qapi/qmp/qbool.h"
#include "qapi/qmp/qnum.h"
#include "qapi/qmp/qstring.h"

/**
 * hv_args_init() - start to take arguments
 * @a: to be filled in
 * @cmd: the command; "id" and "cmd" are no arguments
 */
void hv_args_init(struct hv_args *a, const QDict *cmd)
{
	a->left = qdict_clone_shallow(cmd);
	a->err = NULL;
	qdict_del(a->left, "id");
	qdict_del(a->left, "cmd");
}

/**
 * hv_args_error() - record an error, unless there already is one
 * @a: the arguments
 * @fmt: format of the text
 */
void hv_args_error(struct hv_args *a, const char *fmt, ...)
{
	va_list args;

	if (a->err)
		return;
	va_start(args, fmt);
	a->err = g_strdup_vprintf(fmt, args);
	va_end(args);
}

/**
 * hv_args_done() - end the taking of arguments
 * @a: the arguments, freed
 * @err: set to the text of the error or NULL, to be freed with g_free()
 *
 * Return: false if there was an error, or an argument is left.
 */
bool hv_args_done(struct hv_args *a, char **err)
{
	const QDictEntry *first = qdict_first(a->left);

	if (first)
		hv_args_error(a, "unknown argument \"%s\"", qdict_entry_key(first));
	qobject_unref(a->left);
	*err = a->err;
	return !a->err;
}

/**
 * hv_arg_has() - check whether an argument is there
 * @a: the arguments
 * @key: its name
 *
 * Return: true if it was given and has not been taken yet.
 */
bool hv_arg_has(const struct hv_args *a, const char *key)
{
	return qdict_haskey(a->left, key);
}

static bool object_uint(QObject *obj, uint64_t max, uint64_t *val)
{
	QNum *num = qobject_to(QNum, obj);

	return num && qnum_get_try_uint(num, val) && *val <= max;
}

/**
 * hv_arg_uint() - take an unsigned number
 * @a: the arguments
 * @key: its name
 * @fallback: value when it is not given
 * @max: largest value allowed
 *
 * Return: the value.
 */
uint64_t hv_arg_uint(struct hv_args *a, const char *key, uint64_t fallback, uint64_t max)
{
	QObject *obj = qdict_get(a->left, key);
	uint64_t val = fallback;

	if (!obj)
		return fallback;
	if (!object_uint(obj, max, &val))
		hv_args_error(a, "\"%s\" must be a number from 0 to %" PRIu64, key, max);
	qdict_del(a->left, key);
	return val;
}

/**
 * hv_arg_bool() - take true or false
 * @a: the arguments
 * @key: its name
 * @fallback: value when it is not given
 *
 * Return: the value.
 */
bool hv_arg_bool(struct hv_args *a, const char *key, bool fallback)
{
	QObject *obj = qdict_get(a->left, key);
	bool val = fallback;

	if (!obj)
		return fallback;
	if (qobject_to(QBool, obj))
		val = qbool_get_bool(qobject_to(QBool, obj));
	else
		hv_args_error(a, "\"%s\" must be true or false", key);
	qdict_del(a->left, key);
	return val;
}

/**
 * hv_arg_str() - take a string
 * @a: the arguments
 * @key: its name
 * @fallback: value when it is not given, NULL makes it mandatory
 *
 * Return: the string, to be freed with g_free(); never NULL.
 */
char *hv_arg_str(struct hv_args *a, const char *key, const char *fallback)
{
	QString *str = qobject_to(QString, qdict_get(a->left, key));
	char *val;

	if (!str && (qdict_haskey(a->left, key) || !fallback))
		hv_args_error(a, "\"%s\" must be a string", key);
	val = g_strdup(str ? qstring_get_str(str) : fallback ? fallback : "");
	qdict_del(a->left, key);
	return val;
}

/**
 * hv_arg_list() - take a list
 * @a: the arguments
 * @key: its name
 *
 * Return: a reference to the list, or NULL when it is not given.
 */
QList *hv_arg_list(struct hv_args *a, const char *key)
{
	QList *list = qobject_to(QList, qdict_get(a->left, key));

	if (list)
		qobject_ref(list);
	else if (qdict_haskey(a->left, key))
		hv_args_error(a, "\"%s\" must be a list", key);
	qdict_del(a->left, key);
	return list;
}

/**
 * hv_arg_hex() - take bytes written as hex digits
 * @a: the arguments
 * @key: its name; mandatory
 * @len: set to the number of bytes
 *
 * Return: the bytes, to be freed with g_free(); never NULL.
 */
uint8_t *hv_arg_hex(struct hv_args *a, const char *key, uint32_t *len)
{
	g_autofree char *text = hv_arg_str(a, key, NULL);
	size_t digits = strlen(text), i;
	uint8_t *bytes = g_malloc0(digits / 2 + 1);

	if (digits % 2)
		hv_args_error(a, "\"%s\" has an odd number of digits", key);
	for (i = 0; i < digits / 2; i++) {
		int hi = g_ascii_xdigit_value(text[2 * i]);
		int lo = g_ascii_xdigit_value(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			hv_args_error(a, "\"%s\" is not hex", key);
		bytes[i] = hi << 4 | lo;
	}
	*len = digits / 2;
	return bytes;
}

static bool list_version(QList *pair, struct ic_ver *ver)
{
	const QListEntry *e;
	unsigned int n = 0;
	uint64_t val[2];

	if (!pair || qlist_size(pair) != 2)
		return false;
	QLIST_FOREACH_ENTRY(pair, e) {
		if (!object_uint(qlist_entry_obj(e), UINT16_MAX, &val[n++]))
			return false;
	}
	ver->major = cpu_to_le16(val[0]);
	ver->minor = cpu_to_le16(val[1]);
	return true;
}

/**
 * hv_arg_version() - take a version, [major, minor]
 * @a: the arguments
 * @key: its name
 * @ver: set to the version as it is on the wire, or not changed
 *
 * Return: true when it was given.
 */
bool hv_arg_version(struct hv_args *a, const char *key, struct ic_ver *ver)
{
	QList *pair = hv_arg_list(a, key);

	if (!pair)
		return false;
	if (!list_version(pair, ver))
		hv_args_error(a, "\"%s\" must be [major, minor]", key);
	qobject_unref(pair);
	return true;
}

/**
 * hv_arg_versions() - take a list of versions
 * @a: the arguments
 * @key: its name
 * @wire: set to the versions as they are on the wire, to be freed with g_free(), or to NULL
 *	when none were given
 *
 * Return: how many.
 */
uint32_t hv_arg_versions(struct hv_args *a, const char *key, struct ic_ver **wire)
{
	QList *list = hv_arg_list(a, key);
	const QListEntry *e;
	uint32_t n = 0;

	*wire = NULL;
	if (!list)
		return 0;
	*wire = g_new0(struct ic_ver, qlist_size(list) + 1);
	QLIST_FOREACH_ENTRY(list, e) {
		if (!list_version(qobject_to(QList, qlist_entry_obj(e)), &(*wire)[n++]))
			hv_args_error(a, "\"%s\" must be a list of [major, minor]", key);
	}
	qobject_unref(list);
	return n;
}
