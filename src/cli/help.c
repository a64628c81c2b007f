/* SPDX-License-Identifier: Apache-2.0
 *
 * For: --help, "help" and "help VERB", made from the option tables.
 * Relies on: commands.c.
 * Promises: whatever the parser knows is told, and nothing else.
 */
#include "cli/cli.h"

#define OPTION_COLUMN 26 /* where the sentence about an option begins */

static const char *const group_titles[GROUPS] = {
	[GROUP_LOOK] = "See what is there",
	[GROUP_UNDERSTAND] = "Understand and check",
	[GROUP_MOVE] = "Move images",
	[GROUP_LAYERS] = "Change images",
	[GROUP_REGISTRY] = "Work with registries",
	[GROUP_SELF] = "This program",
};

/* "  -o, --output PATH"; the columns it takes. */
static size_t option_head(struct page *p, const struct option *o)
{
	size_t before = p->text.len;

	if (o->letter)
		page_put(p, "  -%c, --%s", o->letter, o->name);
	else
		page_put(p, "      --%s", o->name);
	if (o->kind == OPT_BOOL)
		page_put(p, "[=%s]", o->arg);
	else if (option_takes_value(o))
		page_put(p, " %s", o->arg);
	return p->text.len - before;
}

static void option_help(struct page *p, const struct option *o, const struct command *c)
{
	const char *help = command_help(c, o);
	size_t used = option_head(p, o);

	if (used + 2 > OPTION_COLUMN)
		page_put(p, "\n%*s", OPTION_COLUMN, "");
	else
		page_put(p, "%*s", (int)(OPTION_COLUMN - used), "");
	page_wrap(p, help, OPTION_COLUMN, OPTION_COLUMN);
	if (o->kind == OPT_CHOICE && !strstr(help, " or ")) {
		page_put(p, ": ");
		page_wrap(p, o->choices, OPTION_COLUMN, OPTION_COLUMN);
	}
	page_put(p, "\n");
}

/* The options of @p table for @p c, NULL = for the program: shared ones (@p shared) or the others. */
static void option_list(struct page *p, const struct option *table, const struct command *c,
			bool shared)
{
	const struct option_set set = { table, NULL, c ? c->features : 0 };

	for (const struct option *o = table; o && o->name; o++) {
		if (!option_offered(&set, o) || (o->needs != 0) != shared)
			continue;
		if (o->heading) {
			page_put(p, o == table ? "" : "\n");
			page_heading(p, o->heading);
			page_put(p, "\n");
		}
		option_help(p, o, c);
	}
}

/* A table with headings has one above its first option. */
static void own_options(struct page *p, const struct command *c)
{
	bool parts = c->options && c->options->heading;

	if (!parts) {
		page_heading(p, "Options");
		page_put(p, "\n");
	}
	option_list(p, c->options, c, false);
	if (parts && c->features) {
		page_put(p, "\n");
		page_heading(p, "The answer");
		page_put(p, "\n");
	}
	option_list(p, global_options, c, true);
	page_put(p, "\n");
}

static void verb_list(struct page *p)
{
	for (int group = 0; group < GROUPS; group++) {
		page_put(p, "\n");
		page_heading(p, group_titles[group]);
		page_put(p, "\n");
		for (size_t i = 0; commands[i]; i++) {
			if ((int)commands[i]->group == group)
				page_put(p, "  %-12s%s\n", commands[i]->name, commands[i]->summary);
		}
	}
}

static void help_overview(struct page *p)
{
	page_put(p, "usage: dray VERB [OPTION]... ARGUMENT...\n\n");
	page_wrap(p,
		  "dray reads, verifies, explains and moves container images: docker save "
		  "archives of every age, OCI layouts, registries, engines. Digests never "
		  "change "
		  "unless you ask for it.",
		  0, 0);
	page_put(p, "\n");
	verb_list(p);
	page_put(p, "\n");
	page_heading(p, "Places");
	page_put(p,
		 "\n"
		 "  docker://HOST/NAME[:TAG][@DIGEST]          a registry\n"
		 "  docker-archive:PATH[:NAME[:TAG]|:@INDEX]   what docker save writes\n"
		 "  oci:PATH[:TAG|@DIGEST]                     an OCI layout, a folder\n"
		 "  oci-archive:PATH[:TAG|@DIGEST]             the same in a tar\n"
		 "  dir:PATH                                   skopeo's flat folder\n"
		 "  docker-daemon:NAME[:TAG]|sha256:ID         the Docker engine, over its socket\n"
		 "  docker-root:DIR[:NAME[:TAG]|:sha256:ID]    Docker's disk, the engine stopped\n"
		 "  containers-storage:[DIR]NAME               that of podman, buildah, CRI-O\n"
		 "  PATH, -, HOST/NAME[:TAG]                   a file or folder by its content, a\n"
		 "                                             pipe, else a registry\n\n");
	page_heading(p, "Options of every verb");
	page_put(p, "\n");
	option_list(p, global_options, NULL, false);
	page_put(p, "\n'dray help VERB' tells about one verb, 'man dray' everything.\n");
}

static void help_command(struct page *p, const struct command *c)
{
	page_put(p, "usage: dray %s [OPTION]...%s%s\n\n", c->name, *c->args ? " " : "", c->args);
	page_wrap(p, c->notes, 0, 0);
	page_put(p, "\n\n");
	if (c->options || c->features)
		own_options(p, c);
	page_heading(p, "Options of every verb");
	page_put(p, "\n");
	option_list(p, global_options, NULL, false);
}

/* ---- the same as JSON ---- */

static void choices_json(struct jsonw *w, const char *choices)
{
	jsonw_key(w, "choices");
	jsonw_array(w);
	while (choices) {
		const char *end = strchrnul(choices, '|');

		jsonw_bytes(w, span_of(choices, (size_t)(end - choices)));
		choices = *end ? end + 1 : NULL;
	}
	jsonw_end_array(w);
}

static void option_json(struct jsonw *w, const struct option *o, const struct command *c)
{
	const char letter[] = { o->letter, '\0' };

	jsonw_object(w);
	jsonw_kstring(w, "name", o->name);
	jsonw_kstring(w, "letter", o->letter ? letter : NULL);
	jsonw_kstring(w, "value", o->arg);
	jsonw_kbool(w, "value_optional", o->kind == OPT_BOOL);
	jsonw_kbool(w, "repeatable",
		    o->kind == OPT_LIST || o->kind == OPT_WORD || o->kind == OPT_COUNT);
	if (o->kind == OPT_CHOICE)
		choices_json(w, o->choices);
	if (o->kind == OPT_INT) {
		jsonw_kint(w, "min", o->lo);
		jsonw_kint(w, "max", o->hi);
	}
	jsonw_kstring(w, "help", command_help(c, o));
	jsonw_end_object(w);
}

/* As option_list(). */
static void options_json(struct jsonw *w, const struct option *table, const struct command *c,
			 bool shared)
{
	const struct option_set set = { table, NULL, c ? c->features : 0 };

	for (const struct option *o = table; o && o->name; o++) {
		if (option_offered(&set, o) && (o->needs != 0) == shared)
			option_json(w, o, c);
	}
}

static void verb_json(struct jsonw *w, const struct command *c)
{
	jsonw_object(w);
	jsonw_kstring(w, "name", c->name);
	jsonw_kstring(w, "group", group_titles[c->group]);
	jsonw_kstring(w, "summary", c->summary);
	jsonw_kstring(w, "arguments", c->args);
	jsonw_kstring(w, "description", c->notes);
	jsonw_key(w, "options");
	jsonw_array(w);
	options_json(w, c->options, c, false);
	options_json(w, global_options, c, true);
	jsonw_end_array(w);
	jsonw_end_object(w);
}

static int help_json(struct page *p, const struct command *only, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_key(&w, "verbs");
	jsonw_array(&w);
	for (size_t i = 0; commands[i]; i++) {
		if (!only || only == commands[i])
			verb_json(&w, commands[i]);
	}
	jsonw_end_array(&w);
	jsonw_key(&w, "options");
	jsonw_array(&w);
	options_json(&w, global_options, NULL, false);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return STATUS_OK;
}

int help_show(struct session *s, const struct command *c, dray_error **err)
{
	if (s->global.json)
		return help_json(&s->page, c, err);
	if (c)
		help_command(&s->page, c);
	else
		help_overview(&s->page);
	return STATUS_OK;
}

static int run_help(struct session *s, dray_error **err)
{
	const struct command *c = s->n_args ? command_find(s->args[0]) : NULL;

	if (s->n_args && !c)
		return command_unknown(s->args[0], err);
	return help_show(s, c, err);
}

const struct command cmd_help = {
	.name = "help",
	.group = GROUP_SELF,
	.summary = "how to use dray, or one verb",
	.args = "[VERB]",
	.max_args = 1,
	.complete = COMPLETE_VERB,
	.notes = "Tells what dray can do, or how to use one verb. With --json: every verb, or the "
		 "one, "
		 "with its options.",
	.features = FEATURE_JSON,
	.run = run_help,
};
