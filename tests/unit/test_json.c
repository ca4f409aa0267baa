// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/report/json.c
/* Names of all kinds become valid JSON. test_json.py reads a sample from $HV_VSS_JSON_OUT. */
#include <stdlib.h>
#include <string.h>

#include "report/json.h"
#include "test.h"

static char *text;
static size_t size;

static FILE *open_text(struct json *j)
{
	FILE *f;

	free(text);
	text = NULL;
	f = open_memstream(&text, &size);
	assert_non_null(f);
	json_begin(j, f);
	return f;
}

static void string_becomes(const char *value, const char *want)
{
	struct json j;
	FILE *f = open_text(&j);

	json_string(&j, NULL, value);
	fclose(f);
	assert_string_equal(text, want);
}

static void names_of_all_kinds(void **state)
{
	(void)state;
	string_becomes("", "\"\"");
	string_becomes("/srv/a b", "\"/srv/a b\"");
	string_becomes("a\nb\tc", "\"a\\u000ab\\u0009c\"");
	string_becomes("\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"");
	string_becomes("say \"no\" \\ yes", "\"say \\\"no\\\" \\\\ yes\"");
	string_becomes("t\xc3\xbcr \xe2\x82\xac \xf0\x9f\x98\x80",
		       "\"t\xc3\xbcr \xe2\x82\xac \xf0\x9f\x98\x80\"");
	string_becomes(NULL, "null");
}

static void invalid_utf8_becomes_replacement_characters(void **state)
{
	(void)state;
	string_becomes("caf\xe9", "\"caf\\ufffd\"");
	string_becomes("\xffz", "\"\\ufffdz\"");
	string_becomes("\x80\x80", "\"\\ufffd\\ufffd\"");
	/* A character is cut off; the text after it is kept. */
	string_becomes("\xe2\x82/x", "\"\\ufffd\\ufffd/x\"");
	string_becomes("\xf0\x9f\x98", "\"\\ufffd\\ufffd\\ufffd\"");
	/* Too long an encoding, a surrogate, beyond the end of Unicode. */
	string_becomes("\xc0\xaf", "\"\\ufffd\\ufffd\"");
	string_becomes("\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\"");
	string_becomes("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");
	string_becomes("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
	/* First and last of each length. */
	string_becomes("\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf\xf0\x90\x80\x80",
		       "\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf\xf0\x90\x80\x80\"");
	string_becomes("\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"");
}

static void structure(void **state)
{
	struct json j;
	FILE *f = open_text(&j);

	(void)state;
	json_object(&j, NULL);
	json_int(&j, "min", INT64_MIN);
	json_bool(&j, "yes", true);
	json_array(&j, "empty");
	json_end(&j);
	json_array(&j, "list");
	json_object(&j, NULL);
	json_end(&j);
	json_ms(&j, NULL, 1234567);
	json_ms(&j, NULL, -5);
	json_end(&j);
	json_end(&j);
	json_end(&j);		/* one too many */
	fclose(f);
	assert_string_equal(text, "{\n  \"min\": -9223372036854775808,\n  \"yes\": true,\n"
			    "  \"empty\": [],\n  \"list\": [\n    {},\n    1234.567,\n    -0.005\n"
			    "  ]\n}\n");
}

/* Strings of bytes at the limits of the encoding. */
static void sample(void **state)
{
	static const unsigned char bytes[] = {
		0x01, 0x0a, 0x22, 0x41, 0x5c, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1,
		0xc2, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff
	};
	const char *out = getenv("HV_VSS_JSON_OUT");
	struct json j;
	FILE *f;

	(void)state;
	if (!out)
		return;
	f = fopen(out, "w");
	assert_non_null(f);
	json_begin(&j, f);
	json_array(&j, NULL);
	for (size_t a = 0; a < sizeof(bytes); a++)
		for (size_t b = 0; b < sizeof(bytes); b++)
			for (size_t c = 0; c < sizeof(bytes); c++)
				for (size_t d = 0; d < sizeof(bytes); d++) {
					char name[9], value[] = {
						(char)bytes[a], (char)bytes[b], (char)bytes[c],
						(char)bytes[d], 0
					};

					snprintf(name, sizeof(name), "%02x%02x%02x%02x", bytes[a],
						 bytes[b], bytes[c], bytes[d]);
					json_object(&j, NULL);
					json_string(&j, name, value);
					json_end(&j);
				}
	json_end(&j);
	assert_int_equal(fclose(f), 0);
}

static int clean_up(void **state)
{
	(void)state;
	free(text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_all_kinds),
		cmocka_unit_test(invalid_utf8_becomes_replacement_characters),
		cmocka_unit_test(structure),
		cmocka_unit_test(sample),
	};

	return cmocka_run_group_tests(tests, NULL, clean_up);
}
