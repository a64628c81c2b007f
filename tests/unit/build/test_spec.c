/* SPDX-License-Identifier: Apache-2.0
 *
 * Specs: what is read, what is refused and where, flags that say the same, one way of printing.
 * Relies on nothing but text.
 * Promises beside each spec that is refused one that is taken.
 */
#include "build/spec.h"

#include "base/limits.h"
#include "base/mem.h"
#include "torture.h"

static int read_spec(const char *text, struct spec **ret, dray_error **err)
{
	static const struct spec_define defines[] = { { "A", "one" }, { "Q", "\"\\\n" } };

	return spec_parse(span_str(text), "s", defines, ARRAY_LEN(defines), ret, err);
}

static char *print(const struct spec *s)
{
	struct buf b = BUF_INIT(LIMIT_SPEC);
	dray_error *err = NULL;

	assert_ok(spec_print(s, &b, &err), err);
	return buf_steal_str(&b, NULL);
}

/* Blanks outside of strings say nothing. */
static char *squeeze(char *text)
{
	char *to = text;
	bool quoted = false;

	for (const char *c = text; *c; c++) {
		quoted = *c == '"' && (c == text || c[-1] != '\\') ? !quoted : quoted;
		if (quoted || (*c != ' ' && *c != '\n'))
			*to++ = *c;
	}
	*to = '\0';
	return text;
}

static void test_reads(void **state)
{
	(void)state;
	static const struct {
		const char *text, *printed;
	} rows[] = {
		{ "{\"dray\":1}", "{\"dray\":1}" },
		{ " { // x\n \"dray\" : 1 , /* , } */ } ", "{\"dray\":1}" },
		{ "{\"dray\":1,\"tags\":[\"a\",\"b\",],}", "{\"dray\":1,\"tags\":[\"a\",\"b\"]}" },
		{ "{\"dray\":1,\"name\":\"//x,]\"}", "{\"dray\":1,\"name\":\"//x,]\"}" },
		{ "{\"tag\":\"b\",\"dray\":1,\"name\":\"a\"}",
		  "{\"dray\":1,\"name\":\"a\",\"tag\":\"b\"}" },
		{ "{\"dray\":1,\"name\":\"${A}-${Q}\"}",
		  "{\"dray\":1,\"name\":\"one-\\\"\\\\\\n\"}" },
		{ "{\"dray\":1,\"name\":\"$${A} $A $\"}", "{\"dray\":1,\"name\":\"$${A} $A $\"}" },
		{ "{\"dray\":1,\"name\":\"$$${A} $$\"}", "{\"dray\":1,\"name\":\"$$${A} $$\"}" },
		{ "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$${A\"}}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$${A\"}}}" },
		{ "{\"dray\":1,\"base\":null}", "{\"dray\":1}" },
		{ "{\"dray\":1,\"config\":{\"Env\":null,\"Labels\":{},\"Volumes\":null}}",
		  "{\"dray\":1,\"config\":{\"Env\":null,\"Volumes\":null}}" },
		{ "{\"dray\":1,\"mtime\":{\"clamp\":5}}", "{\"dray\":1,\"mtime\":{\"clamp\":5}}" },
		{ "{\"dray\":1,\"mtime\":\"1970-01-02T00:00:00Z\",\"created\":\"epoch\"}",
		  "{\"dray\":1,\"created\":1,\"mtime\":86400}" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"A=b=c\"]}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"A\":\"b=c\"}}}" },
		{ "{\"dray\":1,\"config\":{\"Env\":{\"A\":null},\"Cmd\":null}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"A\":null},\"Cmd\":null}}" },
		{ "{\"dray\":1,\"layers\":{\"min_size\":\"2KiB\"}}",
		  "{\"dray\":1,\"layers\":{\"min_size\":2048}}" },
		{ "{\"dray\":1,\"base\":{\"image\":\"b\",\"inherit\":[]}}",
		  "{\"dray\":1,\"base\":{\"image\":\"b\",\"inherit\":[]}}" },
		{ "{\"dray\":1,\"sources\":[{\"path\":\"/"
		  "a\",\"type\":\"mkdir\",\"mode\":\"1777\"}]}",
		  "{\"dray\":1,\"sources\":[{\"type\":\"mkdir\",\"path\":\"/"
		  "a\",\"mode\":\"1777\"}]}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct spec *s = NULL, *again = NULL;
		dray_error *err = NULL;
		char *first, *second;

		assert_ok(read_spec(rows[i].text, &s, &err), err);
		first = print(s);
		/* "${" stood for itself, and would not a second time. */
		if (!strstr(first, "${")) {
			assert_ok(spec_parse(span_str(first), "s", NULL, 0, &again, &err), err);
			second = print(again);
			assert_string_equal(first, second);
			mem_free(second);
		}
		assert_string_equal(squeeze(first), rows[i].printed);
		mem_free(first);
		spec_free(s);
		spec_free(again);
	}
}

static void test_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *text, *said;
	} rows[] = {
		{ "", "s:1:1: " },
		{ "{\"dray\":1", "s:1:10: " },
		{ "{}", "s:1:1: \"dray\"" },
		{ "{\"dray\":2}", "s:1:9: \"dray\": an unknown version" },
		{ "[]", "s:1:1: \"spec\": expected object" },
		{ "{\"dray\":1,\n \"nmae\":\"x\"}", "s:2:3: unknown key \"nmae\"" },
		{ "{\"dray\":1,\"dray\":1}", "s:1:" },
		{ "{\"dray\":1 /*", "s:1:11: a comment without an end" },
		{ "{\"dray\":1,\"name\":\"${B}\"}", "s:1:19: ${B} is not defined" },
		{ "{\"dray\":1,\"name\":\"${A\"}", "s:1:19: \"${\" without" },
		{ "{\"dray\":1,\"name\":1}", "s:1:18: \"name\": expected string, found number" },
		{ "{\"dray\":1,\"name\":\"\\u0000\"}", "s:1:18: \"name\": it holds a NUL" },
		{ "{\"dray\":1,\"conflict\":\"never\"}",
		  "s:1:22: \"conflict\": expected error|first|last" },
		{ "{\"dray\":1,\"owner\":{\"uid\":1.5}}", "s:1:26: \"uid\": expected a whole" },
		{ "{\"dray\":1,\"created\":\"keep\"}", "s:1:21: \"created\": expected a time" },
		{ "{\"dray\":1,\"created\":{\"clamp\":1}}",
		  "s:1:21: \"created\": expected a time" },
		{ "{\"dray\":1,\"mtime\":{\"clamp\":1,\"x\":1}}", "s:1:19: \"mtime\"" },
		{ "{\"dray\":1,\"sources\":[{}]}", "s:1:22: \"sources\": \"type\" is missing" },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"dirr\"}]}", "s:1:30: \"type\": no such" },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"dir\",\"target\":\"x\"}]}",
		  "s:1:37: unknown key \"target\" in a source of type dir" },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"mkdir\",\"path\":\"/"
		  "a\",\"mode\":\"888\"}]}",
		  "s:1:57: \"mode\": expected octal digits" },
		{ "{\"dray\":1,\"config\":{\"Cmd\":[1]}}", "s:1:28: \"Cmd\": expected string" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"A\"]}}",
		  "s:1:28: \"Env\": expected NAME=VALUE" },
		{ "{\"dray\":1,\"config\":{\"Volumes\":{\"/a\":{\"b\":1}}}}",
		  "s:1:37: \"Volumes\"" },
		{ "{\"dray\":1,\"config\":{\"Entrypont\":[]}}",
		  "s:1:22: unknown key \"Entrypont\"" },
		{ "{\"dray\":1,\"layers\":{\"min_size\":\"2kb\"}}", "s:1:32: \"min_size\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct spec *s = NULL;
		dray_error *err = NULL;

		if (read_spec(rows[i].text, &s, &err) == 0)
			fail_msg("taken: %s", rows[i].text);
		if (strncmp(dray_error_message(err), rows[i].said, strlen(rows[i].said)) != 0)
			fail_msg("%s: expected %s, got %s", rows[i].text, rows[i].said,
				 dray_error_message(err));
		assert_err_kind(err, DRAY_ERR_USAGE);
	}
}

static void test_flags(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value, *printed; /* NULL = refused */
	} rows[] = {
		{ "from", "scratch", "{\"dray\":1}" },
		{ "from", "b:1", "{\"dray\":1,\"base\":{\"image\":\"b:1\"}}" },
		{ "name", "h:5000/a:1", "{\"dray\":1,\"name\":\"h:5000/a\",\"tag\":\"1\"}" },
		{ "name", "h:5000/a", "{\"dray\":1,\"name\":\"h:5000/a\"}" },
		{ "dir", "a", "{\"dray\":1,\"sources\":[{\"type\":\"dir\",\"from\":\"a\"}]}" },
		{ "dir", "a:/b",
		  "{\"dray\":1,\"sources\":[{\"type\":\"dir\",\"from\":\"a\",\"to\":\"/b\"}]}" },
		{ "mkdir", "/a:x", NULL },
		{ "mkdir", "/a:700",
		  "{\"dray\":1,\"sources\":[{\"type\":\"mkdir\",\"path\":\"/"
		  "a\",\"mode\":\"700\"}]}" },
		{ "symlink", "/a", NULL },
		{ "symlink", "/a:b:c",
		  "{\"dray\":1,\"sources\":[{\"type\":\"symlink\",\"path\":\"/"
		  "a\",\"target\":\"b:c\"}]}" },
		{ "file", "/a=b=c",
		  "{\"dray\":1,\"sources\":[{\"type\":\"file\",\"path\":\"/"
		  "a\",\"text\":\"b=c\"}]}" },
		{ "file", "/a=${A} $${B}",
		  "{\"dray\":1,\"sources\":[{\"type\":\"file\",\"path\":\"/"
		  "a\",\"text\":\"$${A} $$${B}\"}]}" },
		{ "file", "/a", NULL },
		{ "copy-from", "h/a:1,/b:/c",
		  "{\"dray\":1,\"sources\":[{\"type\":\"image\",\"from\":\"h/a:1\",\"path\":\"/"
		  "b\",\"to\":\"/c\"}]}" },
		{ "copy-from", "a", NULL },
		{ "user", "1:2", "{\"dray\":1,\"config\":{\"User\":\"1:2\"}}" },
		{ "user", "a:1:2:/h",
		  "{\"dray\":1,\"sources\":[{\"type\":\"user\",\"name\":\"a\",\"uid\":1,\"gid\":2,"
		  "\"home\":\"/h\"}]}" },
		{ "user", "a:b:2", NULL },
		{ "group", "a:1",
		  "{\"dray\":1,\"sources\":[{\"type\":\"group\",\"name\":\"a\",\"gid\":1}]}" },
		{ "group", "a", NULL },
		{ "owner", "1", "{\"dray\":1,\"owner\":{\"uid\":1}}" },
		{ "owner", "1:2:a:b",
		  "{\"dray\":1,\"owner\":{\"uid\":1,\"gid\":2,\"uname\":\"a\",\"gname\":\"b\"}}" },
		{ "owner", "a", NULL },
		{ "entrypoint", "a b", "{\"dray\":1,\"config\":{\"Entrypoint\":[\"a\",\"b\"]}}" },
		{ "entrypoint", "[1]", NULL },
		{ "env", "A=", "{\"dray\":1,\"config\":{\"Env\":{\"A\":\"\"}}}" },
		{ "env", "A-", "{\"dray\":1,\"config\":{\"Env\":{\"A\":null}}}" },
		{ "env", "A", NULL },
		{ "env", "=x", NULL },
		{ "volume", "/a", "{\"dray\":1,\"config\":{\"Volumes\":{\"/a\":{}}}}" },
		{ "mtime", "clamp=7", "{\"dray\":1,\"mtime\":{\"clamp\":7}}" },
		{ "mtime", "clamp=keep", NULL },
		{ "mtime", "keep", "{\"dray\":1,\"mtime\":\"keep\"}" },
		{ "created", "keep", NULL },
		{ "layer", "a=/b,/c",
		  "{\"dray\":1,\"layers\":{\"groups\":[{\"name\":\"a\",\"match\":[\"/b\",\"/"
		  "c\"]}]}}" },
		{ "layer", "a", NULL },
		{ "nothing", "x", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		dray_error *err = NULL;
		struct spec *s = spec_new(&err);
		int rc = spec_flag(s, rows[i].name, rows[i].value, &err);
		char *text;

		if ((rc == 0) != (rows[i].printed != NULL))
			fail_msg("--%s %s: %s", rows[i].name, rows[i].value,
				 err ? dray_error_message(err) : "taken");
		if (rc == 0) {
			text = print(s);
			assert_string_equal(squeeze(text), rows[i].printed);
			mem_free(text);
		} else {
			assert_err_kind(err, DRAY_ERR_USAGE);
		}
		spec_free(s);
	}
}

static const char all[] = "{\"dray\":1,\"name\":\"${A}\",\"tags\":[\"x\"],\"base\":{\"image\":"
			  "\"b\",\"select\":{\"index\":1},"
			  "\"inherit\":[\"Env\"]},\"created\":5,\"config\":{\"Env\":[\"A=1\"],"
			  "\"Labels\":{\"a\":null},\"Cmd\":[\"x\"]},"
			  "\"annotations\":{\"a\":\"b\"},\"sources\":[{\"type\":\"dir\",\"from\":"
			  "\"a\",\"id\":\"i\",\"exclude\":[\"x\"]},"
			  "{\"type\":\"links\",\"trees\":[\"/a\"]}],\"rules\":[{\"match\":\"/"
			  "a\",\"owner\":{\"uid\":1}}],"
			  "\"layers\":{\"groups\":[{\"name\":\"g\",\"sources\":[\"i\"]}],"
			  "\"volatile\":[\"i\"]},\"history\":{\"comment\":\"none\"}}";

static int tortured(void *arg, dray_error **err)
{
	struct buf b = BUF_INIT(LIMIT_SPEC);
	struct spec *s = NULL;
	int rc = read_spec(arg, &s, err);

	if (rc == 0)
		rc = spec_flag(s, "env", "B=2", err) < 0 || spec_check(s, err) < 0
			     ? -1
			     : spec_print(s, &b, err);
	buf_clear(&b);
	spec_free(s);
	return rc;
}

static void test_torture(void **state)
{
	(void)state;
	torture_alloc(tortured, (void *)(uintptr_t)all);
}

static void test_checks(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool fine;
	} rows[] = {
		{ "{\"dray\":1,\"tag\":\"x\"}", false },
		{ "{\"dray\":1,\"name\":\"a\",\"tag\":\"x\"}", true },
		{ "{\"dray\":1,\"name\":\"a\",\"tag\":\"x\",\"tags\":[\"y\"]}", false },
		{ "{\"dray\":1,\"base\":{}}", false },
		{ "{\"dray\":1,\"base\":{\"image\":\"b\",\"inherit\":[\"Envv\"]}}", false },
		{ "{\"dray\":1,\"base\":{\"image\":\"b\",\"inherit\":[\"Env\",\"Tty\"]}}", true },
		{ "{\"dray\":1,\"layers\":{\"max\":0}}", false },
		{ "{\"dray\":1,\"layers\":{\"max\":125}}", true },
		{ "{\"dray\":1,\"layers\":{\"max\":126}}", false },
		{ "{\"dray\":1,\"layers\":{\"groups\":[{\"name\":\"a\"},{\"name\":\"a\"}]}}",
		  false },
		{ "{\"dray\":1,\"layers\":{\"groups\":[{\"name\":\"a\",\"sources\":[\"b\"]}]}}",
		  false },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"dir\"}]}", false },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"file\",\"path\":\"a\"}]}", false },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"file\",\"path\":\"a\",\"text\":\"\"}]}",
		  true },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"mkdir\",\"path\":\"a\",\"id\":\"i\"},{"
		  "\"type\":\"mkdir\",\"path\":\"a\",\"id\":\"i\"}]}",
		  false },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"mkdir\",\"path\":\"a\",\"layer\":\"g\"}]}",
		  false },
		{ "{\"dray\":1,\"rules\":[{}]}", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct spec *s = NULL;
		dray_error *err = NULL;

		assert_ok(read_spec(rows[i].text, &s, &err), err);
		if ((spec_check(s, &err) == 0) != rows[i].fine)
			fail_msg("%s: %s", rows[i].text, err ? dray_error_message(err) : "taken");
		if (!rows[i].fine)
			assert_err_kind(err, DRAY_ERR_USAGE);
		spec_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),	cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_flags),	cmocka_unit_test(test_checks),
		cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
