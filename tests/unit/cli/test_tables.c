/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the verbs' tables against the manual, the help and each other; exit statuses.
 * Relies on: support.h; MAN_DIR holds the sources of the man pages.
 * Promises: every option is in its man page, and no page tells of one that is gone.
 */
#include "../support.h"
#include "cli/cli.h"

static char *read_page(const char *verb)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	dray_error *err = NULL;
	char name[64];
	int dir = open(MAN_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	snprintf(name, sizeof(name), verb ? "dray-%s.1.scd" : "dray.1.scd", verb);
	assert_ok(io_read_file(dir, name, 1 << 20, &b, &err), err);
	close(dir);
	return buf_steal_str(&b, NULL);
}

/* An option's own paragraph, not a mention in another's. */
static bool told(const char *page, const struct option *o)
{
	char text[64];

	snprintf(text, sizeof(text), "*--%s*", o->name);
	for (const char *at = strstr(page, text); at; at = strstr(at + 1, text)) {
		const char *line = at;
		while (line > page && line[-1] != '\n')
			line--;
		if (*line == '*')
			return !o->letter || line[2] == o->letter;
	}
	return false;
}

static void check_told(const char *page, const char *verb, const struct option *table,
		       unsigned features, bool shared)
{
	const struct option_set set = { table, NULL, features };

	for (const struct option *o = table; o && o->name; o++) {
		if (option_offered(&set, o) && (o->needs != 0) == shared && !told(page, o))
			fail_msg("man page of %s: --%s is missing", verb ? verb : "dray", o->name);
	}
}

/* Where the part of @p page begins that is called @p heading; NULL. */
static const char *part_of(const char *page, const char *heading)
{
	char text[64];
	const char *at;

	snprintf(text, sizeof(text), "\n## %s\n", heading);
	at = strstr(page, text);
	return at ? at + strlen(text) : NULL;
}

/* Headings of the help are those of the page, with the same options below. */
static void check_parts(const char *page, const char *verb, const struct option *table)
{
	char *part = NULL;

	for (const struct option *o = table; o && o->name; o++) {
		if (o->heading) {
			const char *at = part_of(page, o->heading);

			if (!at)
				fail_msg("man page of %s: no part \"%s\"", verb, o->heading);
			free(part);
			part = strndup(at, (size_t)(strstr(at, "\n#") - at));
		}
		if (part && !told(part, o))
			fail_msg("man page of %s: --%s is in another part", verb, o->name);
	}
	free(part);
}

static bool known(const struct option *table, const char *name, size_t len)
{
	for (const struct option *o = table; o && o->name; o++) {
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return true;
	}
	return false;
}

/* What an option goes with, or not, is of its table. */
static void check_mates(const struct option *table)
{
	for (const struct option *o = table; o && o->name; o++) {
		const char *const names[] = { o->with, o->against };

		for (size_t i = 0; i < ROWS(names); i++)
			for (const char *at = names[i]; at; at = strchr(at, '|')) {
				at += *at == '|';
				assert_true(known(table, at, strcspn(at, "|")));
			}
	}
}

static void check_stale(const char *page, const struct option *own, const char *verb)
{
	for (const char *at = strstr(page, "*--"); at; at = strstr(at + 3, "*--")) {
		size_t len = strspn(at + 3, "abcdefghijklmnopqrstuvwxyz-");
		if (!known(own, at + 3, len) && !known(global_options, at + 3, len))
			fail_msg("man page of %s: --%.*s does not exist", verb, (int)len, at + 3);
	}
}

static void test_man_pages(void **state)
{
	char *page = read_page(NULL);

	(void)state;
	check_told(page, NULL, global_options, 0, false);
	check_stale(page, NULL, "dray");
	for (size_t i = 0; commands[i]; i++)
		assert_non_null(strstr(page, commands[i]->name));
	free(page);
	for (size_t i = 0; commands[i]; i++) {
		const struct command *c = commands[i];
		page = read_page(c->name);
		check_told(page, c->name, c->options, c->features, false);
		check_told(page, c->name, global_options, c->features, true);
		check_parts(page, c->name, c->options);
		check_mates(c->options);
		check_stale(page, c->options, c->name);
		free(page);
	}
}

static void test_help_is_whole(void **state)
{
	(void)state;
	for (size_t i = 0; commands[i]; i++) {
		struct session s = { .page = { .text = BUF_INIT(PAGE_MAX) } };
		assert_int_equal(help_show(&s, commands[i], NULL), STATUS_OK);
		char *text = buf_steal_str(&s.page.text, NULL);
		for (const struct option *o = commands[i]->options; o && o->name; o++)
			assert_non_null(strstr(text, o->name));
		for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
			assert_true(strcspn(line, "\n") <= 80);
		free(text);
	}
}

/* What @p page says of option @p head, up to the empty line; to be freed. */
static char *paragraph(const char *page, const char *head)
{
	const char *at = strstr(page, head), *end;

	assert_non_null(at);
	end = strstr(at, "\n\n");
	return strndup(at, (size_t)(end - at));
}

/* A verb words a shared option in its help as it does in its page. */
static void check_words(const struct command *c, const char *page, const char *name,
			const char *head, const char *const *words)
{
	const struct option *o = global_options;

	while (strcmp(o->name, name) != 0)
		o++;
	if ((o->needs & ~c->features) != 0)
		return;
	char *text = paragraph(page, head);
	for (; *words; words++)
		if (!strstr(text, *words) != !strstr(command_help(c, o), *words))
			fail_msg("%s --%s: only one of page and help says \"%s\"", c->name, name,
				 *words);
	free(text);
}

static void test_shared_words(void **state)
{
	static const char *const output[] = { "standard output", "eeded", "estination", "new image",
					      NULL };
	static const char *const all[] = { "efused", "default", "signature", NULL };

	(void)state;
	for (size_t i = 0; commands[i]; i++) {
		char *page = read_page(commands[i]->name);

		check_words(commands[i], page, "output", "\n*-o*, *--output*", output);
		check_words(commands[i], page, "all", "\n*--all*\n", all);
		free(page);
	}
}

/* Whether @p c offers a shared option of this name; one that it does not take may be its own. */
static bool shares(const struct command *c, const char *name)
{
	for (const struct option *o = global_options; o->name; o++)
		if (strcmp(o->name, name) == 0 && (o->needs & ~c->features) == 0)
			return true;
	return false;
}

/* A letter stands for options of one name, whatever the verb. */
static void check_letter(const struct option *o)
{
	for (const struct option *g = global_options; o->letter && g->name; g++) {
		if (g->letter == o->letter)
			assert_string_equal(g->name, o->name);
	}
	for (size_t i = 0; o->letter && commands[i]; i++) {
		for (const struct option *p = commands[i]->options; p && p->name; p++) {
			if (p->letter == o->letter)
				assert_string_equal(p->name, o->name);
		}
	}
}

/* A verb's own option must not shadow one that it shares, nor one letter mean two things. */
static void test_names_are_unique(void **state)
{
	(void)state;
	for (size_t i = 0; commands[i]; i++) {
		for (const struct option *o = commands[i]->options; o && o->name; o++) {
			assert_false(shares(commands[i], o->name));
			check_letter(o);
		}
		assert_ptr_equal(command_find(commands[i]->name), commands[i]);
	}
	assert_null(command_find("nonsense"));
}

static void test_statuses(void **state)
{
	static const struct {
		enum dray_err_kind kind;
		int want;
	} rows[] = {
		{ DRAY_ERR_USAGE, 2 },	 { DRAY_ERR_NOT_FOUND, 3 }, { DRAY_ERR_DENIED, 4 },
		{ DRAY_ERR_NETWORK, 5 }, { DRAY_ERR_CORRUPT, 6 },   { DRAY_ERR_FORMAT, 6 },
		{ DRAY_ERR_LIMIT, 6 },	 { DRAY_ERR_SIGNATURE, 7 }, { DRAY_ERR_UNSUPPORTED, 8 },
		{ DRAY_ERR_SYSTEM, 9 },	 { DRAY_ERR_NOMEM, 9 },	    { DRAY_ERR_CANCELLED, 143 },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		dray_error *err = NULL;
		err_set(&err, rows[i].kind, "x");
		assert_int_equal(status_of(err, 15), rows[i].want);
		err_clear(&err);
	}
}

static void test_stdio_references(void **state)
{
	static const struct {
		const char *ref;
		bool want;
	} rows[] = {
		{ "-", true },
		{ "docker-archive:-", true },
		{ "docker-archive:-:a:1", true },
		{ "oci-archive:-@sha256:1", true },
		{ "oci-archive:-:t", true },
		{ "oci:-", false },
		{ "-x", false },
		{ "docker-archive:-x", false },
		{ "", false },
		{ "docker-archive:a-", false },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(ref_is_stdio(rows[i].ref), rows[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared_words),  cmocka_unit_test(test_man_pages),
		cmocka_unit_test(test_help_is_whole), cmocka_unit_test(test_names_are_unique),
		cmocka_unit_test(test_statuses),      cmocka_unit_test(test_stdio_references),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
