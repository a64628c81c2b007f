/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "cat": the content of one file of an image.
 * Relies on: dray_cat().
 * Promises: a terminal gets text only, and that escaped; a file appears whole or not at all.
 */
#include <dray/rootfs.h>

#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/text.h"
#include "cli/cli.h"

#define SHOWN_MAX (16 * MIB) /* bytes of a text for a terminal */

static int to_stdout(void *arg, const void *data, size_t n)
{
	return io_write_all(STDOUT_FILENO, span_of(data, n), arg);
}

static int to_page(void *arg, const void *data, size_t n)
{
	struct page *p = arg;

	if (p->text.len > SHOWN_MAX)
		return -1;
	page_bytes(p, span_of(data, n));
	return p->failed ? -1 : 0;
}

static int refuse_binary(dray_error **err)
{
	err_set(err, DRAY_ERR_USAGE, "a binary or very long file is not written to a terminal");
	return err_hint(err, "name a file with --output, or pipe it somewhere");
}

static bool is_text(struct span s)
{
	return utf8_valid(s) && span_find(s, 0) < 0;
}

static int cat_terminal(struct session *s, struct dray_cat_options *o,
			const struct dray_select *sel, dray_error **err)
{
	o->write = to_page;
	o->arg = &s->page;
	s->page.verbatim = true;
	if (dray_cat(s->ctx, s->args[0], sel, s->args[1], o, NULL, err) < 0) {
		if (s->page.text.len <= SHOWN_MAX)
			return -1;
		err_clear(err);
		return refuse_binary(err);
	}
	return is_text(span_buf(&s->page.text)) ? STATUS_OK : refuse_binary(err);
}

/* What went wrong on standard output is kept: the library knows only that it was stopped. */
static int cat_stdout(struct session *s, struct dray_cat_options *o, const struct dray_select *sel,
		      dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	o->write = to_stdout;
	o->arg = &e;
	if (dray_cat(s->ctx, s->args[0], sel, s->args[1], o, NULL, err) == 0)
		return STATUS_OK;
	if (!e)
		return -1;
	err_clear(err);
	if (err)
		*err = steal_pointer(&e);
	s->stdout_broken = true;
	return err_ctx(err, "standard output");
}

static int run_cat(struct session *s, dray_error **err)
{
	struct dray_select select = session_select(s);
	struct dray_cat_options o = DRAY_CAT_OPTIONS_INIT;
	const char *output = s->global.output;

	if (session_check_input(s, s->args[0], err) < 0 || !session_context(s, err))
		return -1;
	o.no_clobber = s->global.no_clobber;
	if (output && strcmp(output, "-") != 0) {
		o.output = output;
		return dray_cat(s->ctx, s->args[0], &select, s->args[1], &o, NULL, err);
	}
	return isatty(STDOUT_FILENO) ? cat_terminal(s, &o, &select, err)
				     : cat_stdout(s, &o, &select, err);
}

const struct command cmd_cat = {
	.name = "cat",
	.group = GROUP_LOOK,
	.summary = "print one file of an image",
	.args = "IMAGE PATH",
	.min_args = 2,
	.max_args = 2,
	.complete = COMPLETE_PLACE,
	.notes = "Prints the content of a file as the layers of the image leave it. Links are "
		 "followed inside the image. Layers are read from the top one down, and reading "
		 "stops when the file is found: from a registry the others are not fetched.",
	.features = FEATURE_IMAGE | FEATURE_SALVAGE | FEATURE_OUTPUT | FEATURE_CLOBBER |
		    FEATURE_PRODUCT,
	.all_help = HELP_ALL_ONE,
	.run = run_cat,
};
