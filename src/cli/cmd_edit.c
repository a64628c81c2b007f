/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "edit": another config for the same layers.
 * Relies on: dray_edit() and dray_edit_preview(); edit_words.c for sentences.
 * Promises: what was not named stays.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "cli/copied.h"
#include "cli/diff.h"
#include "cli/edit.h"

struct edit_flags {
	struct relayer_flags relayer;
	struct option_list env, label, volume, expose, onbuild, annotation, tags;
	struct option_list rm_env, rm_label, rm_volume, rm_expose;
	const char *entrypoint, *cmd, *shell, *healthcheck;
	const char *user, *workdir, *stop_signal, *hostname, *domainname, *author, *created,
		*platform;
	bool reset_cmd, history_clear, in_place, dry_run;
};
#define E(field) offsetof(struct edit_flags, field)

/* clang-format off */
static const struct option table[] = {
	{ "env", 0, OPT_LIST, E(env), "K=V|K-|-", .help = "set a variable, remove those that fit K, or all" },
	{ "label", 0, OPT_LIST, E(label), "K=V|K-|-", .help = "the same for labels" },
	{ "volume", 0, OPT_LIST, E(volume), "PATH|PATH-|-", .help = "declare a volume, or undo that" },
	{ "expose", 0, OPT_LIST, E(expose), "PORT[/PROTO]|PORT-|-", .help = "declare a port, or undo that" },
	{ "rm-env", 0, OPT_LIST, E(rm_env), "GLOB", .help = "as --env GLOB-, before all --env" },
	{ "rm-label", 0, OPT_LIST, E(rm_label), "GLOB", .help = "as --label GLOB-, before all --label" },
	{ "rm-volume", 0, OPT_LIST, E(rm_volume), "GLOB", .help = "as --volume GLOB-, before all --volume" },
	{ "rm-expose", 0, OPT_LIST, E(rm_expose), "GLOB", .help = "as --expose GLOB-, before all --expose" },
	{ "entrypoint", 0, OPT_STRING, E(entrypoint), "JSON|WORDS|-", .help = "the program; Cmd stays, see --reset-cmd" },
	{ "cmd", 0, OPT_STRING, E(cmd), "JSON|WORDS|-", .help = "its arguments, or the program" },
	{ "reset-cmd", 0, OPT_FLAG, E(reset_cmd), .help = "clear Cmd, as ENTRYPOINT in a Dockerfile does; before --cmd" },
	{ "shell", 0, OPT_STRING, E(shell), "JSON|WORDS|-", .help = "what runs commands that are text" },
	{ "user", 0, OPT_STRING, E(user), "USER[:GROUP]|-", .help = "who runs it" },
	{ "workdir", 0, OPT_STRING, E(workdir), "PATH|-", .help = "where it runs" },
	{ "stop-signal", 0, OPT_STRING, E(stop_signal), "SIGNAL|-", .help = "how it is told to stop" },
	{ "healthcheck", 0, OPT_STRING, E(healthcheck), "none|JSON|-", .help = "the check; none disables one of the base" },
	{ "onbuild", 0, OPT_LIST, E(onbuild), "INSTRUCTION|-", .help = "add a trigger, or clear all" },
	{ "hostname", 0, OPT_STRING, E(hostname), "NAME|-", .help = "of the config; engines set their own" },
	{ "domainname", 0, OPT_STRING, E(domainname), "NAME|-", .help = "likewise" },
	{ "author", 0, OPT_STRING, E(author), "TEXT|-", .help = "who made the image" },
	{ "created", 0, OPT_STRING, E(created), "TIME|SOURCE_DATE_EPOCH|-", .help = "RFC 3339, seconds since 1970, or the variable of that name" },
	{ "platform-set", 0, OPT_STRING, E(platform), "OS/ARCH[/VARIANT]", .help = "what the image says it runs on" },
	{ "history-clear", 0, OPT_FLAG, E(history_clear), .help = "no history" },
	{ "annotation", 0, OPT_LIST, E(annotation), "K=V|K-|-", .help = "of an OCI manifest" },
	{ "tag", 0, OPT_LIST, E(tags), "NAME", .help = "the result's names in place of the old ones; may be repeated" },
	{ "in-place", 0, OPT_FLAG, E(in_place), .help = "change IMAGE itself; of an archive only its documents are written" },
	{ "dry-run", 'n', OPT_FLAG, E(dry_run), .help = "show what would change in the config; write nothing" },
	RELAYER_OPTIONS(E(relayer)),
	{ 0 },
};
/* clang-format on */

#define cleanup_steps CLEANUP(edit_steps_clear)

/* ---- options to steps ---- */

/* "K=V" sets, "K-" removes, "-" clears. */
static int add_pair(struct edit_steps *t, enum dray_edit_field field, const char *text,
		    dray_error **err)
{
	const char *equal = strchr(text, '='), *name;
	size_t len = strlen(text);

	if (strcmp(text, "-") == 0)
		return edit_steps_add(t, field, DRAY_EDIT_CLEAR, NULL, NULL, err);
	if (!equal && (len == 0 || text[len - 1] != '-'))
		return err_set(err, DRAY_ERR_USAGE, "'%.80s': expected NAME=VALUE, NAME- or -",
			       text);
	if (edit_steps_keep(t, mem_strndup(text, equal ? (size_t)(equal - text) : len - 1), &name,
			    err) < 0)
		return -1;
	return edit_steps_add(t, field, equal ? DRAY_EDIT_SET : DRAY_EDIT_REMOVE, name,
			      equal ? equal + 1 : NULL, err);
}

/* "NAME" adds, "NAME-" removes, "-" clears. */
static int add_name(struct edit_steps *t, enum dray_edit_field field, const char *text,
		    dray_error **err)
{
	size_t len = strlen(text);
	const char *name;

	if (strcmp(text, "-") == 0)
		return edit_steps_add(t, field, DRAY_EDIT_CLEAR, NULL, NULL, err);
	if (field == DRAY_EDIT_ONBUILD || len == 0 || text[len - 1] != '-')
		return edit_steps_add(t, field, DRAY_EDIT_SET, text, NULL, err);
	if (edit_steps_keep(t, mem_strndup(text, len - 1), &name, err) < 0)
		return -1;
	return edit_steps_add(t, field, DRAY_EDIT_REMOVE, name, NULL, err);
}

static int add_value(struct edit_steps *t, enum dray_edit_field field, const char *text,
		     dray_error **err)
{
	if (!text)
		return 0;
	if (strcmp(text, "-") == 0)
		return edit_steps_add(t, field, DRAY_EDIT_CLEAR, NULL, NULL, err);
	return edit_steps_add(t, field, DRAY_EDIT_SET, NULL, text, err);
}

typedef int add_fn(struct edit_steps *t, enum dray_edit_field field, const char *text,
		   dray_error **err);

static int add_all(struct edit_steps *t, add_fn *add, enum dray_edit_field field,
		   const struct option_list *list, dray_error **err)
{
	for (size_t i = 0; i < list->n; i++)
		if (add(t, field, list->list[i], err) < 0)
			return -1;
	return 0;
}

static int add_removal(struct edit_steps *t, enum dray_edit_field field, const char *text,
		       dray_error **err)
{
	return edit_steps_add(t, field, DRAY_EDIT_REMOVE, text, NULL, err);
}

static int lists(struct edit_steps *t, const struct edit_flags *f, dray_error **err)
{
	const struct {
		add_fn *add;
		enum dray_edit_field field;
		const struct option_list *list;
	} all[] = {
		{ add_removal, DRAY_EDIT_ENV, &f->rm_env },
		{ add_removal, DRAY_EDIT_LABEL, &f->rm_label },
		{ add_removal, DRAY_EDIT_VOLUME, &f->rm_volume },
		{ add_removal, DRAY_EDIT_EXPOSE, &f->rm_expose },
		{ add_pair, DRAY_EDIT_ENV, &f->env },
		{ add_pair, DRAY_EDIT_LABEL, &f->label },
		{ add_name, DRAY_EDIT_VOLUME, &f->volume },
		{ add_name, DRAY_EDIT_EXPOSE, &f->expose },
		{ add_name, DRAY_EDIT_ONBUILD, &f->onbuild },
		{ add_pair, DRAY_EDIT_ANNOTATION, &f->annotation },
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (add_all(t, all[i].add, all[i].field, all[i].list, err) < 0)
			return -1;
	return 0;
}

static int created_at(const char **text, dray_error **err)
{
	if (!*text || strcmp(*text, "SOURCE_DATE_EPOCH") != 0)
		return 0;
	*text = getenv("SOURCE_DATE_EPOCH");
	return *text ? 0 : err_set(err, DRAY_ERR_USAGE, "SOURCE_DATE_EPOCH is not set");
}

static int values(struct edit_steps *t, const struct edit_flags *f, dray_error **err)
{
	const char *created = f->created;
	const struct {
		enum dray_edit_field field;
		const char *const *value;
	} all[] = {
		{ DRAY_EDIT_ENTRYPOINT, &f->entrypoint },
		{ DRAY_EDIT_CMD, &f->cmd },
		{ DRAY_EDIT_SHELL, &f->shell },
		{ DRAY_EDIT_HEALTHCHECK, &f->healthcheck },
		{ DRAY_EDIT_USER, &f->user },
		{ DRAY_EDIT_WORKDIR, &f->workdir },
		{ DRAY_EDIT_STOP_SIGNAL, &f->stop_signal },
		{ DRAY_EDIT_HOSTNAME, &f->hostname },
		{ DRAY_EDIT_DOMAINNAME, &f->domainname },
		{ DRAY_EDIT_AUTHOR, &f->author },
		{ DRAY_EDIT_CREATED, (const char *const *)&created },
		{ DRAY_EDIT_PLATFORM, &f->platform },
	};

	if (created_at(&created, err) < 0)
		return -1;
	if (f->reset_cmd && edit_steps_add(t, DRAY_EDIT_CMD, DRAY_EDIT_CLEAR, NULL, NULL, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (add_value(t, all[i].field, *all[i].value, err) < 0)
			return -1;
	if (f->history_clear)
		return edit_steps_add(t, DRAY_EDIT_HISTORY, DRAY_EDIT_CLEAR, NULL, NULL, err);
	return 0;
}

/* ---- the verb ---- */

/* What is edited, where it goes, and how: from a sentence, or from options alone. */
static int read_words(struct session *s, struct edit_steps *t, const char **ret_src,
		      dray_error **err)
{
	const char *into = NULL;

	*ret_src = s->args[0];
	if (edit_is_sentence(s->args, s->n_args)) {
		if (edit_sentence(s->args, s->n_args, t, ret_src, &into, err) < 0)
			return -1;
		if (s->global.output)
			return err_set(err, DRAY_ERR_USAGE, "INTO and --output: one of both");
		s->global.output = into;
		return session_output(s, &s->global.output, err);
	}
	if (s->n_args == 1)
		return 0;
	err_set(err, DRAY_ERR_USAGE, "one image, or a sentence with FROM and INTO");
	return err_hint(err, "dray help edit");
}

struct previewing {
	struct session *s;
	dray_error **err;
};

static void put_heading(struct page *p, const char *image, const char *platform)
{
	if (image)
		page_heading(p, image);
	if (image && platform)
		page_put(p, " ");
	if (platform)
		page_heading(p, platform);
	if (image || platform)
		page_put(p, "\n");
}

static int put_preview(void *arg, const char *image, const char *platform, dray_diff *d)
{
	const struct previewing *v = arg;
	struct session *s = v->s;

	if (s->global.json)
		return diff_json(s, d, image, platform, v->err);
	put_heading(&s->page, image, platform);
	return diff_text(s, d, v->err);
}

static int preview(struct session *s, const char *src, const struct dray_edit_options *e,
		   const struct dray_copy_options *o, dray_error **err)
{
	struct previewing v = { s, err };

	return session_context(s, err) ? dray_edit_preview(s->ctx, src, s->global.output, e, o,
							   put_preview, &v, err)
				       : -1;
}

static int edit(struct session *s, const char *src, const struct dray_edit_options *e,
		const struct dray_copy_options *o, dray_error **err)
{
	const char *dst = s->global.output; /* NULL = in place */
	dray_copy_result *r = NULL;
	int rc;

	if (session_check_input(s, src, err) < 0 || !session_context(s, err))
		return -1;
	rc = dst ? dray_edit(s->ctx, src, dst, e, o, &r, err)
		 : dray_edit_in_place(s->ctx, src, e, o, &r, err);
	if (rc == 0)
		rc = copied_result(s, r, dst && ref_is_stdio(dst), err);
	dray_copy_free(r);
	return rc;
}

/* Where it goes, and how; where nothing is made anew, there is no how. */
static int copy_options(struct session *s, const struct edit_flags *f,
			struct dray_copy_options *ret, dray_error **err)
{
	if (!f->in_place && !f->dry_run)
		return relayer_options(s, &f->relayer, ret, err);
	*ret = (struct dray_copy_options)DRAY_COPY_OPTIONS_INIT;
	ret->dst_is_path = ret->dst_may_be_host = true;
	if (f->dry_run) {
		ret->format = f->relayer.format;
		return 0;
	}
	if (s->global.output)
		return err_set(err, DRAY_ERR_USAGE, "--in-place and an output: one of both");
	if (f->relayer.format || f->relayer.compression || s->global.no_clobber)
		return err_set(err, DRAY_ERR_USAGE,
			       "--in-place leaves format, compression and layers as they are");
	return 0;
}

static int run(struct session *s, dray_error **err)
{
	const struct edit_flags *f = s->options;
	cleanup_steps struct edit_steps t = { 0 };
	struct dray_edit_options e = DRAY_EDIT_OPTIONS_INIT;
	struct dray_copy_options o;
	const char *src;

	if (read_words(s, &t, &src, err) < 0 || lists(&t, f, err) < 0 || values(&t, f, err) < 0)
		return -1;
	e.steps = t.list;
	e.n_steps = t.n;
	if (f->tags.n) {
		e.tags = f->tags.list;
		e.n_tags = f->tags.n;
	}
	if (t.n == 0 && !e.tags)
		return err_set(err, DRAY_ERR_USAGE, "nothing to change was named");
	if (copy_options(s, f, &o, err) < 0)
		return -1;
	o.image = s->global.image;
	o.all = s->global.all;
	if (f->dry_run)
		return preview(s, src, &e, &o, err);
	return edit(s, src, &e, &o, err);
}

const struct command cmd_edit = {
	.name = "edit",
	.group = GROUP_LAYERS,
	.summary = "change what an image says of itself: env, volumes, entrypoint ...",
	.args = "IMAGE",
	.min_args = 1,
	.max_args = EDIT_STEPS_MAX,
	.complete = COMPLETE_PLACE,
	.notes =
		"Copies an image with another config. What is not named keeps its bytes; layers "
		"stay as they are and are not sent where they are already. Of an index all "
		"images are changed, or those of --platform, and the whole index comes along, with "
		"the indexes in it. The sentences of docker-copyedit work too: dray edit FROM "
		"a.tar "
		"INTO b.tar REMOVE ALL VOLUMES AND SET USER app. With --in-place an archive's "
		"documents give way to new ones "
		"behind them, and no layer is read or written.",
	.features = RELAYER_FEATURES,
	.output_help = "where the new image goes: an archive, oci:, docker://, docker-daemon:; may "
		       "be where it "
		       "came from",
	.options = table,
	.options_size = sizeof(struct edit_flags),
	.run = run,
};
