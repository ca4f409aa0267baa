// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>

#include "json.h"

/* Length of the UTF-8 sequence (RFC 3629) at the start of @s; 0 if it is not valid. */
static size_t utf8_length(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	/* Invalid: longer than necessary, a surrogate, or beyond U+10FFFF. */
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	/* The NUL at the end of the string fails this test. */
	for (size_t i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}

static void put_string(FILE *f, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	putc('"', f);
	while (*s) {
		size_t len = utf8_length(s);

		if (!len)
			fputs("\\ufffd", f);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(f, "\\u%04x", *s);
		else if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else
			fwrite(s, 1, len, f);
		s += len ? len : 1;
	}
	putc('"', f);
}

static void new_line(struct json *j)
{
	putc('\n', j->f);
	for (unsigned int i = 0; i < j->depth; i++)
		fputs("  ", j->f);
}

static void put_key(struct json *j, const char *key)
{
	if (j->depth) {
		if (j->more[j->depth - 1])
			putc(',', j->f);
		j->more[j->depth - 1] = true;
		new_line(j);
	}
	if (key) {
		put_string(j->f, key);
		fputs(": ", j->f);
	}
}

static void put_open(struct json *j, const char *key, char begin, char end)
{
	put_key(j, key);
	putc(begin, j->f);
	if (j->depth < JSON_DEPTH) {
		j->more[j->depth] = false;
		j->end[j->depth++] = end;
	}
}

/**
 * json_begin() - begin a document
 * @j: filled in
 * @f: where to write it
 */
void json_begin(struct json *j, FILE *f)
{
	*j = (struct json){ .f = f };
}

/**
 * json_object() - begin an object
 * @j: the writer
 * @key: its name, or NULL within an array and at the top
 */
void json_object(struct json *j, const char *key)
{
	put_open(j, key, '{', '}');
}

/**
 * json_array() - begin an array
 * @j: the writer
 * @key: its name, or NULL within an array and at the top
 */
void json_array(struct json *j, const char *key)
{
	put_open(j, key, '[', ']');
}

/**
 * json_end() - end the innermost object or array
 * @j: the writer; the document ends with the outermost one
 */
void json_end(struct json *j)
{
	if (!j->depth)
		return;
	j->depth--;
	if (j->more[j->depth])
		new_line(j);
	putc(j->end[j->depth], j->f);
	if (!j->depth)
		putc('\n', j->f);
}

/**
 * json_string() - write a string
 * @j: the writer
 * @key: its name, or NULL within an array
 * @value: any bytes; a byte that is not part of valid UTF-8 becomes U+FFFD. NULL: null
 */
void json_string(struct json *j, const char *key, const char *value)
{
	put_key(j, key);
	if (value)
		put_string(j->f, value);
	else
		fputs("null", j->f);
}

/**
 * json_int() - write a number
 * @j: the writer
 * @key: its name, or NULL within an array
 * @value: the number
 */
void json_int(struct json *j, const char *key, int64_t value)
{
	put_key(j, key);
	fprintf(j->f, "%lld", (long long)value);
}

/**
 * json_bool() - write true or false
 * @j: the writer
 * @key: its name, or NULL within an array
 * @value: the value
 */
void json_bool(struct json *j, const char *key, bool value)
{
	put_key(j, key);
	fputs(value ? "true" : "false", j->f);
}

/**
 * json_ms() - write a duration as a number of milliseconds
 * @j: the writer
 * @key: its name, or NULL within an array
 * @us: in microseconds
 */
void json_ms(struct json *j, const char *key, int64_t us)
{
	put_key(j, key);
	/* Not with %f: its decimal point depends on the locale. */
	fprintf(j->f, "%s%lld.%03u", us < 0 ? "-" : "", (long long)(us < 0 ? -us : us) / 1000,
		(unsigned int)((us < 0 ? -us : us) % 1000));
}
