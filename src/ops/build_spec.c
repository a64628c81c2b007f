/* SPDX-License-Identifier: Apache-2.0
 *
 * What is asked of build: a file, flags, the environment.
 * Relies on build/spec for the format.
 * Promises that the clock is read only for "now".
 */
#include "ops/build.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"

#define DEFAULT_TIME 1		  /* not 0, which several programs take for unset */
#define FIRST_TIME (-62135596800) /* of the years 1 to 9999, which RFC 3339 can say */
#define LAST_TIME 253402300799

/* ---- the spec ---- */

static int read_text(const char *path, struct buf *ret, dray_error **err)
{
	cleanup_source struct source *in = NULL;

	if (strcmp(path, "-") != 0)
		return io_read_file(AT_FDCWD, path, LIMIT_SPEC, ret, err);
	in = source_from_fd(STDIN_FILENO, false, err);
	return in && source_slurp(in, ret, err) == 0 ? 0 : err_ctx(err, "standard input");
}

static int read_defines(struct build *b, const struct dray_build_options *o,
			struct spec_define **ret, size_t *ret_n, dray_error **err)
{
	*ret = arena_array(&b->arena, o->n_words + 1, sizeof(**ret));
	if (!*ret)
		return err_nomem(err);
	for (size_t i = 0; i < o->n_words; i++) {
		const char *value = o->words[i].value, *equal = strchr(value, '=');
		struct spec_define *d = &(*ret)[*ret_n];

		if (strcmp(o->words[i].name, "define") != 0)
			continue;
		if (!equal || equal == value)
			return err_set(err, DRAY_ERR_USAGE, "--define: expected NAME=VALUE");
		d->name = arena_strndup(&b->arena, value, (size_t)(equal - value));
		if (!d->name)
			return err_nomem(err);
		d->value = equal + 1;
		++*ret_n;
	}
	return 0;
}

static bool word_says(const struct dray_build_options *o, const char *name)
{
	for (size_t i = 0; i < o->n_words; i++)
		if (strcmp(o->words[i].name, name) == 0)
			return true;
	return false;
}

static int read_file(struct build *b, const struct dray_build_options *o, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SPEC);
	const char *slash = strrchr(o->spec, '/');
	struct spec_define *defines;
	size_t n = 0;

	if (read_text(o->spec, &text, err) < 0 || read_defines(b, o, &defines, &n, err) < 0 ||
	    spec_parse(span_buf(&text), strcmp(o->spec, "-") == 0 ? "standard input" : o->spec,
		       word_says(o, "expand-env"), defines, n, &b->spec, err) < 0)
		return -1;
	if (!slash)
		return 0;
	b->spec->folder = arena_strndup(&b->arena, o->spec, (size_t)(slash - o->spec) + 1);
	return b->spec->folder ? 0 : err_nomem(err);
}

static bool is_file_key(const struct spec_source *s)
{
	return s->type == SPEC_DIR || s->type == SPEC_TAR || s->type == SPEC_FILE ||
	       s->type == SPEC_CLOSURE;
}

static int settle_path(struct build *b, const char **path, dray_error **err)
{
	return *path ? build_host_path(b, *path, path, err) : 0;
}

/* What a file names lies beside the file, what a flag names here: settled before flags come. */
static int settle_paths(struct build *b, dray_error **err)
{
	for (size_t i = 0; i < b->spec->n_sources; i++) {
		struct spec_source *s = &b->spec->sources[i];

		if (s->type == SPEC_LISTED && !s->root && b->spec->folder[0])
			s->root = ".";
		if (settle_path(b, &s->graph, err) < 0 || settle_path(b, &s->paths, err) < 0 ||
		    settle_path(b, &s->list, err) < 0 || settle_path(b, &s->root, err) < 0)
			return -1;
		if (!s->from)
			continue;
		if ((is_file_key(s) ? build_host_path(b, s->from, &s->from, err)
				    : build_place(b, s->from, &s->from, err)) < 0)
			return -1;
	}
	if (b->spec->layers.previous &&
	    build_place(b, b->spec->layers.previous, &b->spec->layers.previous, err) < 0)
		return -1;
	if (b->spec->base.image)
		return build_place(b, b->spec->base.image, &b->spec->base.image, err);
	return 0;
}

/* Of several names the last one counts, as of all that is said once, and with it its tag. */
static size_t last_name(const struct dray_build_options *o)
{
	size_t i = o->n_words;

	while (i > 0 && strcmp(o->words[i - 1].name, "name") != 0)
		i--;
	return i;
}

static int take_words(struct build *b, const struct dray_build_options *o, dray_error **err)
{
	size_t names = last_name(o);

	for (size_t i = 0; i < o->n_words; i++) {
		bool define = strcmp(o->words[i].name, "define") == 0;

		if (i + 1 < names && strcmp(o->words[i].name, "name") == 0)
			continue;
		if (define && !o->spec)
			return err_set(err, DRAY_ERR_USAGE,
				       "--define: there is no spec that it is for");
		if (!define && spec_flag(b->spec, o->words[i].name, o->words[i].value, err) < 0)
			return -1;
	}
	return 0;
}

int build_host_path(struct build *b, const char *path, const char **ret, dray_error **err)
{
	*ret = path;
	if (path[0] == '/' || !b->spec->folder[0])
		return 0;
	*ret = arena_printf(&b->arena, "%s%s", b->spec->folder, path);
	return *ret ? 0 : err_nomem(err);
}

/* "oci:DIR" and its like; what has no prefix is a file if one is there. */
int build_place(struct build *b, const char *text, const char **ret, dray_error **err)
{
	static const char *const prefixes[] = { "docker-archive:", "oci-archive:", "oci:", "dir:" };
	struct stat st;

	*ret = text;
	if (!b->spec->folder[0])
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t len = strlen(prefixes[i]);

		if (strncmp(text, prefixes[i], len) != 0)
			continue;
		if (text[len] != '/')
			*ret = arena_printf(&b->arena, "%s%s%s", prefixes[i], b->spec->folder,
					    text + len);
		return *ret ? 0 : err_nomem(err);
	}
	if (place_prefixed(text) || text[0] == '/')
		return 0;
	*ret = arena_printf(&b->arena, "%s%s", b->spec->folder, text);
	if (!*ret)
		return err_nomem(err);
	if (io_fstatat(AT_FDCWD, *ret, 0, &st, NULL) < 0)
		*ret = text;
	return 0;
}

/* ---- annotations ---- */

int build_check_format(const struct build *b, const struct dray_copy_options *o, dray_error **err)
{
	const struct spec_pairs *p = &b->spec->annotations;
	bool docker = o->format && strcmp(o->format, "docker") == 0;

	for (size_t i = 0; i < p->n; i++) {
		if (span_is(p->list[i].json, "null"))
			continue;
		if (o->legacy)
			return err_set(err, DRAY_ERR_UNSUPPORTED,
				       "--legacy: what it is for has no annotations of a manifest");
		if (docker)
			return err_set(err, DRAY_ERR_UNSUPPORTED,
				       "annotations of a manifest need the OCI format");
	}
	return 0;
}

/* ---- times ---- */

/* The specification of reproducible-builds.org: digits, nothing else; empty is unset. */
static int read_epoch(const char *text, bool *ret_set, int64_t *ret, dray_error **err)
{
	*ret_set = text && text[0];
	if (!*ret_set || num_parse_u63(span_str(text), ret))
		return 0;
	return err_set(err, DRAY_ERR_USAGE,
		       "SOURCE_DATE_EPOCH: expected whole seconds since 1970, got '%.40s'", text);
}

static int check_time(const char *name, int64_t sec, dray_error **err)
{
	if (sec >= FIRST_TIME && sec <= LAST_TIME)
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "%s: %lld is after the year 9999, or before 1", name,
		       (long long)sec);
}

static int settle_time(struct build *b, struct spec_time *t, const char *name, bool epoch,
		       const struct dray_build_options *o, dray_error **err)
{
	if (t->kind == SPEC_TIME_UNSET) {
		*t = (struct spec_time){ SPEC_TIME_SET, b->now };
		return 0;
	}
	if (t->kind != SPEC_TIME_NOW)
		return 0;
	if (epoch && !word_says(o, name))
		return err_set(err, DRAY_ERR_USAGE,
			       "\"%s\": \"now\", and SOURCE_DATE_EPOCH is set: one of both", name);
	*t = (struct spec_time){ SPEC_TIME_SET, o->now ? o->now : (int64_t)time(NULL) };
	return 0;
}

static int settle_times(struct build *b, const struct dray_build_options *o, dray_error **err)
{
	bool epoch;

	b->now = DEFAULT_TIME;
	if (read_epoch(o->source_date_epoch, &epoch, &b->now, err) < 0 ||
	    check_time("SOURCE_DATE_EPOCH", b->now, err) < 0 ||
	    settle_time(b, &b->spec->created, "created", epoch, o, err) < 0 ||
	    settle_time(b, &b->spec->mtime, "mtime", epoch, o, err) < 0 ||
	    check_time("created", b->spec->created.sec, err) < 0)
		return -1;
	time_format_utc(b->spec->created.sec, 0, b->created);
	return 0;
}

int build_read_spec(struct build *b, const struct dray_build_options *o, dray_error **err)
{
	if (o->spec ? read_file(b, o, err) < 0 : !(b->spec = spec_new(err)))
		return -1;
	if (settle_paths(b, err) < 0 || take_words(b, o, err) < 0)
		return -1;
	return spec_check(b->spec, err);
}

int build_settle(struct build *b, const struct dray_build_options *o, dray_error **err)
{
	return build_read_spec(b, o, err) < 0 ? -1 : settle_times(b, o, err);
}
