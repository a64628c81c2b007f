/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "build": an image out of folders, files, tars and other images.
 * Relies on: dray_build(), dray_build_plan(), dray_build_spec().
 * Promises: flags count in their order; the environment is asked for SOURCE_DATE_EPOCH alone.
 */
#include <dray/build.h>

#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/copied.h"
#include "cli/render.h"

#define EXTRA_WORDS 8 /* --platform, and those of add_flags() */
#define HOLDS_MAX 60  /* bytes of what a layer holds that a table shows */

struct build_flags {
	struct relayer_flags shared;
	struct option_words words;
	const char *cache, *against;
	bool plan, print_spec, legacy, no_follow, no_annotate, force, strict_name, expand_env;
};

#define W .kind = OPT_WORD, .offset = offsetof(struct build_flags, words)
/* clang-format off */
static const struct option table[] = {
	{ "from", W, .arg = "IMAGE", .help = "what to build upon; scratch is nothing (default)", .complete = COMPLETE_PLACE },
	{ "select", W, .arg = "TAG|DIGEST|@N", .help = "which of several images of that place" },
	{ "inherit", W, .arg = "FIELD[,FIELD]...", .help = "what of the base's config stays, or none (default: all)" },
	{ "no-follow-base-links", 0, OPT_FLAG, offsetof(struct build_flags, no_follow), .help = "paths are not looked up through links of the base" },
	{ "name", W, .arg = "NAME[:TAG]", .help = "what it is called; without a tag one made of its ID" },
	{ "strict-name", 0, OPT_FLAG, offsetof(struct build_flags, strict_name), .help = "capitals in the name are an error, not made small" },
	{ "tag", W, .arg = "TAG", .help = "its tag; may be repeated" },
	{ "dir", W, .arg = "FROM[:TO]", .help = "what a folder holds, at TO (default: /)", .complete = COMPLETE_DIR },
	{ "add", W, .arg = "FROM:TO[:MODE][,volatile]", .help = "a file, or what a folder holds", .complete = COMPLETE_FILE },
	{ "tar", W, .arg = "FROM[:TO]", .help = "what a tar holds, compressed or not", .complete = COMPLETE_FILE },
	{ "mtree", W, .arg = "LIST[:ROOT]", .help = "files that an mtree(5) lists, below ROOT (default: here)", .complete = COMPLETE_FILE },
	{ "closure", W, .arg = "GRAPH[,store=DIR][,from=DIR]...", .help = "store paths that a graph or list describes", .complete = COMPLETE_FILE },
	{ "links", W, .arg = "TREE[:TO]", .help = "what a folder holds, as links to itself", .complete = COMPLETE_DIR },
	{ "copy-from", W, .arg = "IMAGE,PATH[:TO]", .help = "a file or folder of another image" },
	{ "file", W, .arg = "PATH=TEXT", .help = "a file of this text" },
	{ "mkdir", W, .arg = "PATH[:MODE]", .help = "a folder" },
	{ "symlink", W, .arg = "PATH:TARGET", .help = "a symbolic link" },
	{ "user", W, .arg = "USER[:GROUP]", .help = "who runs it; NAME:UID:GID[:HOME[:SHELL]] makes a user" },
	{ "group", W, .arg = "NAME:GID", .help = "make a group" },
	{ "source", W, .arg = "JSON", .help = "any source, as a spec says it" },
	{ "owner", W, .arg = "UID[:GID[:UNAME[:GNAME]]]", .help = "of all files but those of tars and images (default: 0:0)" },
	{ "rule", W, .arg = "GLOB[,KEY=VALUE]...|JSON", .help = "type, mode, owner, mtime, layer of what fits, or delete" },
	{ "entrypoint", W, .arg = "JSON|WORDS", .help = "the program; the Cmd of a base goes" },
	{ "cmd", W, .arg = "JSON|WORDS", .help = "its arguments, or the program" },
	{ "env", W, .arg = "K=V|K-", .help = "set a variable, or remove one of the base" },
	{ "expand-env", 0, OPT_FLAG, offsetof(struct build_flags, expand_env), .help = "${NAME} in values given for Env is what the environment says by then" },
	{ "label", W, .arg = "K=V|K-", .help = "the same for labels" },
	{ "expose", W, .arg = "PORT[/PROTO]|PORT-", .help = "declare a port, or undo that" },
	{ "volume", W, .arg = "PATH|PATH-", .help = "declare a volume, or undo that" },
	{ "workdir", W, .arg = "PATH", .help = "where it runs" },
	{ "shell", W, .arg = "JSON|WORDS", .help = "what runs commands that are text" },
	{ "stop-signal", W, .arg = "SIGNAL", .help = "how it is told to stop" },
	{ "stop-timeout", W, .arg = "SECONDS", .help = "how long it may take to stop" },
	{ "hostname", W, .arg = "NAME", .help = "its host's name" },
	{ "domainname", W, .arg = "NAME", .help = "its host's domain" },
	{ "healthcheck", W, .arg = "none|JSON", .help = "the check; none disables one of the base" },
	{ "annotation", W, .arg = "K=V", .help = "of the OCI manifest" },
	{ "index-annotation", W, .arg = "K=V", .help = "of an OCI index that the image comes in then" },
	{ "history-created-by", W, .arg = "TEXT", .help = "what each new layer's step says made it (default: dray build)" },
	{ "history-author", W, .arg = "TEXT", .help = "who made it" },
	{ "history-comment", W, .arg = "components|none", .help = "what each new layer's step tells (default: what the layer holds)" },
	{ "created", W, .arg = "TIME", .help = "of the image: RFC 3339, seconds, epoch or now (default: SOURCE_DATE_EPOCH, else 1)" },
	{ "mtime", W, .arg = "TIME|keep|clamp=TIME", .help = "of files (default: SOURCE_DATE_EPOCH, else 1)" },
	{ "strategy", W, .arg = "HOW", .help = "who shares a layer: auto, graph, popularity, origin, size, single, per-source or explicit" },
	{ "pipeline", W, .arg = "JSON|FILE", .help = "a list of operations, as nixpkgs' layeringPipeline, in place of a strategy", .complete = COMPLETE_FILE },
	{ "previous", W, .arg = "IMAGE", .help = "keep the plan of this earlier image where it fits", .complete = COMPLETE_PLACE },
	{ "layers-max", W, .arg = "N", .help = "layers in all (default: 64)" },
	{ "force", 0, OPT_FLAG, offsetof(struct build_flags, force), .help = "more than 125 layers, which engines refuse, are meant" },
	{ "min-size", W, .arg = "SIZE", .help = "no smaller layers but those asked for, as 100KiB" },
	{ "max-size", W, .arg = "SIZE", .help = "no bigger layers but of one file or unit, as 1GiB" },
	{ "no-annotate", 0, OPT_FLAG, offsetof(struct build_flags, no_annotate), .help = "layers do not say in the manifest what they hold" },
	{ "layer", W, .arg = "NAME=GLOB[,GLOB]...|JSON", .help = "a layer of what these globs fit, or a group; the first that fits wins" },
	{ "volatile", W, .arg = "GLOB", .help = "what changes often: on top" },
	{ "conflict", W, .arg = "HOW", .help = "error, first or last: two sources have one path (default: error)" },
	{ "dedupe", W, .arg = "HOW", .help = "content, strict, unit or off: what the base has already (default: content)" },
	{ "define", W, .arg = "NAME=VALUE", .help = "what ${NAME} stands for in the spec" },
	{ "plan", 0, OPT_FLAG, offsetof(struct build_flags, plan), .help = "tell which layers there would be, write nothing" },
	{ "against", 0, OPT_STRING, offsetof(struct build_flags, against), "IMAGE", .help = "with --plan: how many bytes an update from this image would move", .complete = COMPLETE_PLACE },
	{ "print-spec", 0, OPT_FLAG, offsetof(struct build_flags, print_spec), .help = "print all of that as one spec, write nothing" },
	{ "cache", 0, OPT_STRING, offsetof(struct build_flags, cache), "DIR", "a folder that remembers what was read: files that are as they were are not read again", .complete = COMPLETE_DIR },
	{ "legacy", 0, OPT_FLAG, offsetof(struct build_flags, legacy), .help = "the archive also has what Docker before 1.10 and old tools read" },
	RELAYER_OPTIONS(offsetof(struct build_flags, shared)),
	{ 0 },
};
/* clang-format on */

DEFINE_CLEANUP(dray_built, cleanup_built_fn, dray_built_free)
#define cleanup_built CLEANUP(cleanup_built_fn)

/* ---- what is asked for ---- */

struct wishes {
	struct dray_build_word words[OPTION_WORDS_MAX + EXTRA_WORDS];
	char level[12];
	struct dray_build_options o;
};

static void add_word(struct wishes *w, const char *name, const char *value)
{
	if (value)
		w->words[w->o.n_words++] = (struct dray_build_word){ name, value };
}

/* Flags that are not words of this verb alone, or have no value; each counts once. */
static void add_flags(const struct build_flags *f, struct wishes *w)
{
	add_word(w, "follow-base-links", f->no_follow ? "no" : NULL);
	add_word(w, "strict-name", f->strict_name ? "yes" : NULL);
	add_word(w, "expand-env", f->expand_env ? "yes" : NULL);
	add_word(w, "force", f->force ? "yes" : NULL);
	add_word(w, "annotate", f->no_annotate ? "no" : NULL);
	add_word(w, "compression", f->shared.compression);
	if (f->shared.level)
		snprintf(w->level, sizeof(w->level), "%d", f->shared.level);
	add_word(w, "level", f->shared.level ? w->level : NULL);
}

static int read_wishes(struct session *s, struct wishes *w, dray_error **err)
{
	const struct build_flags *f = s->options;
	const struct option_list *platforms = &s->global.platforms;

	w->o = (struct dray_build_options)DRAY_BUILD_OPTIONS_INIT;
	if (f->against && !f->plan)
		return err_set(err, DRAY_ERR_USAGE, "--against is for --plan");
	if (platforms->n > 1)
		return err_set(err, DRAY_ERR_USAGE, "one image is for one --platform");
	add_word(w, "platform", platforms->n ? platforms->list[0] : NULL);
	for (size_t i = 0; i < f->words.n; i++)
		add_word(w, f->words.list[i].name, f->words.list[i].value);
	if (w->o.n_words > 0 || s->n_args)
		add_flags(f, w);
	w->o.words = w->words;
	w->o.against = f->against;
	w->o.spec = s->n_args ? s->args[0] : NULL;
	w->o.cache = f->cache;
	w->o.source_date_epoch = getenv("SOURCE_DATE_EPOCH");
	if (w->o.n_words == 0 && !w->o.spec) {
		err_set(err, DRAY_ERR_USAGE, "neither a spec nor a flag says what to build");
		return err_hint(err, "dray help build");
	}
	return 0;
}

/* ---- answers ---- */

static void layer_json(struct jsonw *w, const struct dray_build_layer *l, bool against)
{
	jsonw_object(w);
	jsonw_kbool(w, "kept", l->kept);
	jsonw_kstring(w, "name", l->name);
	jsonw_key(w, "parts");
	jsonw_array(w);
	for (size_t i = 0; i < l->n_parts; i++)
		jsonw_string(w, l->parts[i]);
	jsonw_end_array(w);
	jsonw_kint(w, "entries", l->entries);
	jsonw_kint(w, "size", l->bytes);
	jsonw_kstring(w, "diff_id", l->diff_id);
	if (against)
		jsonw_kbool(w, "there", l->there);
	jsonw_end_object(w);
}

static int answer_json(struct page *p, const struct dray_build_info *i, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	if (i->copied) {
		jsonw_key(&w, "built");
		copied_json(&w, i->copied);
		jsonw_key(&w, "tags");
		jsonw_array(&w);
		for (size_t k = 0; k < i->n_tags; k++)
			jsonw_string(&w, i->tags[k]);
		jsonw_end_array(&w);
	}
	jsonw_key(&w, "layers");
	jsonw_array(&w);
	for (size_t k = 0; k < i->n_layers; k++)
		layer_json(&w, &i->layers[k], i->update);
	jsonw_end_array(&w);
	if (i->update) {
		jsonw_key(&w, "update");
		jsonw_object(&w);
		jsonw_kstring(&w, "from", i->update->image);
		jsonw_kint(&w, "layers", (int64_t)i->update->layers);
		jsonw_kint(&w, "bytes", i->update->bytes);
		jsonw_end_object(&w);
	}
	jsonw_kint(&w, "same_as_base", (int64_t)i->same);
	jsonw_kint(&w, "known", (int64_t)i->known);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return 0;
}

/* "models: /srv/models + 3" */
static char *holds(const struct dray_build_layer *l)
{
	if (l->kept)
		return mem_strdup("as it is");
	return human_list(l->parts, l->n_parts, HOLDS_MAX);
}

static void plan_update(struct page *p, const struct dray_build_info *info)
{
	const struct dray_build_update *u = info->update;
	cleanup_free char *name = text_safe(span_str(u->image), 4096);
	char size[HUMAN_SIZE];

	page_put(p,
		 "\nAn update from %s moves %zu of %zu layers, %s (%lld bytes) before "
		 "compression.\n",
		 name ? name : "", u->layers, info->n_layers, human_size(u->bytes, size),
		 (long long)u->bytes);
}

static void plan_text(struct page *p, const struct dray_build_info *info)
{
	static const char *const heads[] = { "LAYER", "ENTRIES", "SIZE", "MOVES", "HOLDS" };
	const struct dray_build_update *u = info->update;
	cleanup_table struct table t = { .cols = ARRAY_LEN(heads) - !u,
					 .right = { true, true, true, u } };

	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		if (u || strcmp(heads[i], "MOVES") != 0)
			table_add(&t, heads[i]);
	for (size_t i = 0; i < info->n_layers; i++) {
		const struct dray_build_layer *l = &info->layers[i];
		cleanup_free char *what = holds(l);
		char number[24], entries[24], size[HUMAN_SIZE];

		snprintf(number, sizeof(number), "%zu", i);
		snprintf(entries, sizeof(entries), "%lld", (long long)l->entries);
		t.failed |= !what;
		table_add(&t, number);
		table_add(&t, l->kept ? "" : entries);
		table_add(&t, l->kept && !u ? "" : human_size(l->bytes, size));
		if (u)
			table_add(&t, l->there ? "no" : "yes");
		table_add(&t, what);
	}
	table_print(&t, p, 0);
	if (u)
		plan_update(p, info);
}

static int print_spec(struct session *s, const struct wishes *w, dray_error **err)
{
	const struct build_flags *f = s->options;
	cleanup_built dray_built *r = NULL;

	if (dray_build_spec(&w->o, &r, err) < 0)
		return -1;
	if (f->force)
		session_note(s,
			     "a spec says nothing of --force: it wants it again where it has more "
			     "than 125 layers");
	page_bytes(&s->page, span_str(dray_built_info(r)->spec));
	return STATUS_OK;
}

static int show_plan(struct session *s, const struct wishes *w, dray_error **err)
{
	cleanup_built dray_built *r = NULL;

	if (!session_context(s, err) || dray_build_plan(s->ctx, &w->o, &r, err) < 0)
		return -1;
	progress_hide(&s->progress);
	if (s->global.json)
		return answer_json(&s->page, dray_built_info(r), err);
	plan_text(&s->page, dray_built_info(r));
	return STATUS_OK;
}

static size_t count_stdio(const struct session *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->global.outputs.n; i++)
		n += ref_is_stdio(s->global.outputs.list[i]);
	return n;
}

static int answer(struct session *s, const struct dray_build_info *i, dray_error **err)
{
	cleanup_free char *name = text_safe(span_str(i->copied->reference), 4096);
	bool taken = count_stdio(s) > 0; /* stdout carries the image itself */
	size_t kept = 0;

	progress_hide(&s->progress);
	for (size_t k = 0; k < i->n_layers; k++)
		kept += i->layers[k].kept;
	copied_tell(s, i->copied);
	session_note(s, "%zu layer%s, %zu of them of the base", i->n_layers,
		     i->n_layers == 1 ? "" : "s", kept);
	for (size_t k = 0; k < i->n_tags; k++) {
		cleanup_free char *tag = text_safe(span_str(i->tags[k]), 4096);

		session_note(s, "tagged %s", tag ? tag : "");
	}
	if (taken)
		session_note(s, "%s", name ? name : "");
	else if (!s->global.json)
		page_put(&s->page, "%s\n", name ? name : "");
	return s->global.json && !taken ? answer_json(&s->page, i, err) : STATUS_OK;
}

/* To s->global.output. */
static int build_one(struct session *s, const struct wishes *w, dray_error **err)
{
	const struct build_flags *f = s->options;
	cleanup_built dray_built *r = NULL;
	struct dray_copy_options o;

	if (relayer_options(s, &f->shared, &o, err) < 0 || !session_context(s, err))
		return -1;
	o.legacy = f->legacy;
	if (dray_build(s->ctx, &w->o, s->global.output, &o, &r, err) < 0)
		return -1;
	return answer(s, dray_built_info(r), err);
}

/* The same image for each place, made as it likes it; what is read once only is for one. */
static int build(struct session *s, struct wishes *w, dray_error **err)
{
	const struct option_list *outs = &s->global.outputs;
	int status = STATUS_OK;

	if (outs->n > 1 && s->global.json)
		return err_set(err, DRAY_ERR_USAGE, "--json tells of one --output");
	if (count_stdio(s) > 1)
		return err_set(err, DRAY_ERR_USAGE, "standard output is for one --output");
	w->o.now = (int64_t)time(NULL);
	for (size_t i = 0; i == 0 || (status == STATUS_OK && i < outs->n); i++) {
		if (outs->n) {
			s->global.output = outs->list[i];
			w->o.also = outs->list + i + 1;
			w->o.n_also = outs->n - i - 1;
		}
		status = build_one(s, w, err);
		/* What was made is told, whatever becomes of the rest. */
		if (status == STATUS_OK && session_answer(s, err) < 0)
			status = -1;
	}
	return status;
}

static int run(struct session *s, dray_error **err)
{
	const struct build_flags *f = s->options;
	cleanup_free struct wishes *w = mem_zalloc(sizeof(*w));

	if (!w)
		return err_nomem(err);
	if (read_wishes(s, w, err) < 0)
		return -1;
	if (f->print_spec)
		return print_spec(s, w, err);
	return f->plan ? show_plan(s, w, err) : build(s, w, err);
}

const struct command cmd_build = {
	.name = "build",
	.group = GROUP_LAYERS,
	.summary = "make an image out of folders, files, tars and other images",
	.args = "[SPEC]",
	.min_args = 0,
	.max_args = 1,
	.complete = COMPLETE_FILE,
	.notes =
		"Needs no daemon and no root, and gives the same bytes whoever builds, where and "
		"when: owners are 0:0 and times 1970-01-01T00:00:01Z unless something says "
		"otherwise, SOURCE_DATE_EPOCH for one. Nothing is run inside the image.\n\n"
		"SPEC is JSON with comments; '-' reads it from standard input. Flags say the same, "
		"and are added to it in their order. --print-spec shows what they amount to.\n\n"
		"Layers of a base stay byte for byte. What the base has to the same effect is not "
		"stored again, and folders are looked up through its symbolic links, so that "
		"/bin/tool goes to /usr/bin/tool where /bin is a link.",
	.features = FEATURE_JSON | FEATURE_CLOBBER | FEATURE_OUTPUT | FEATURE_OUTPUTS |
		    FEATURE_PRODUCT,
	.output_help = "where the image goes: an archive, oci:, docker://, docker-daemon:, '-'; "
		       "needed but for "
		       "--plan and --print-spec; may be repeated",
	.options = table,
	.options_size = sizeof(struct build_flags),
	.run = run,
};
