/* SPDX-License-Identifier: Apache-2.0
 *
 * For: --help, "help" and "help VERB", made from the option tables.
 * Relies on: commands.c.
 * Promises: whatever the parser knows is told, and nothing else.
 */
#include "cli/cli.h"

#define OPTION_COLUMN 26 /* where the sentence about an option begins */

static const char *const group_titles[GROUPS] = {
	[GROUP_LOOK] = "See what is there", [GROUP_UNDERSTAND] = "Understand and check",
	[GROUP_MOVE] = "Move images",	    [GROUP_REGISTRY] = "Work with registries",
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

static void option_help(struct page *p, const struct option *o)
{
	size_t used = option_head(p, o);

	if (used + 2 > OPTION_COLUMN)
		page_put(p, "\n%*s", OPTION_COLUMN, "");
	else
		page_put(p, "%*s", (int)(OPTION_COLUMN - used), "");
	page_wrap(p, o->help, OPTION_COLUMN, OPTION_COLUMN);
	if (o->kind == OPT_CHOICE && !strstr(o->help, " or ")) {
		page_put(p, ": ");
		page_wrap(p, o->choices, OPTION_COLUMN, OPTION_COLUMN);
	}
	page_put(p, "\n");
}

/* The options of @p table that need (@p shared) or do not need a feature of @p features. */
static void option_list(struct page *p, const struct option *table, unsigned features, bool shared)
{
	const struct option_set set = { table, NULL, features };

	for (const struct option *o = table; o && o->name; o++) {
		if (option_offered(&set, o) && (o->needs != 0) == shared)
			option_help(p, o);
	}
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

void help_overview(struct page *p)
{
	page_put(p, "usage: dray VERB [OPTION]... ARGUMENT...\n\n");
	page_wrap(p,
		  "dray reads, verifies, explains and moves container images: docker save "
		  "archives of every age, OCI layouts, registries. Digests never change "
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
		 "  PATH, -, HOST/NAME[:TAG]                   a file or folder by its content, a\n"
		 "                                             pipe, else a registry\n\n");
	page_heading(p, "Options of every verb");
	page_put(p, "\n");
	option_list(p, global_options, 0, false);
	page_put(p, "\n'dray help VERB' tells about one verb, 'man dray' everything.\n");
}

void help_command(struct page *p, const struct command *c)
{
	page_put(p, "usage: dray %s [OPTION]...%s%s\n\n", c->name, *c->args ? " " : "", c->args);
	page_wrap(p, c->notes, 0, 0);
	page_put(p, "\n\n");
	if (c->options || c->features) {
		page_heading(p, "Options");
		page_put(p, "\n");
		option_list(p, c->options, c->features, false);
		option_list(p, global_options, c->features, true);
		page_put(p, "\n");
	}
	page_heading(p, "Options of every verb");
	page_put(p, "\n");
	option_list(p, global_options, 0, false);
}

static int run_help(struct session *s, dray_error **err)
{
	const struct command *c;

	if (s->n_args == 0) {
		help_overview(&s->page);
		return STATUS_OK;
	}
	c = command_find(s->args[0]);
	if (!c)
		return command_unknown(s->args[0], err);
	help_command(&s->page, c);
	return STATUS_OK;
}

const struct command cmd_help = {
	.name = "help",
	.group = GROUP_SELF,
	.summary = "how to use dray, or one verb",
	.args = "[VERB]",
	.max_args = 1,
	.complete = COMPLETE_VERB,
	.notes = "Tells what dray can do, or how to use one verb.",
	.run = run_help,
};
