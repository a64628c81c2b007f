/* SPDX-License-Identifier: Apache-2.0
 *
 * Flags as keys of the spec: what a command line says, a file could say.
 * Relies on image/config_value for lists that are typed as words.
 * Promises USAGE, with the flag's name, for what is not understood.
 */
#include "build/spec_priv.h"

#include <fcntl.h>

#include "base/io.h"
#include "base/jsonw.h"
#include "base/limits.h"
#include "base/number.h"
#include "image/config_value.h"

struct flag {
	const char *name;
	int (*set)(struct spec *s, const char *value, dray_error **err);
};

static int bad(const char *expected, dray_error **err)
{
	return err_set(err, DRAY_ERR_USAGE, "expected %s", expected);
}

static int copy(struct spec *s, const char *text, size_t len, const char **ret, dray_error **err)
{
	*ret = arena_strndup(&s->arena, text, len);
	return *ret ? 0 : err_nomem(err);
}

static int set_string(struct spec *s, const char *text, const char **ret, dray_error **err)
{
	return copy(s, text, strlen(text), ret, err);
}

static struct spec_source *add_source(struct spec *s, enum spec_type type, dray_error **err)
{
	struct spec_source *src = spec_grow(s, &s->sources, sizeof(*src), err);

	if (src) {
		src->type = type;
		src->type_name = spec_type_names[type];
	}
	return src;
}

/* "A:B" at the last colon; without one B is NULL. */
static int split_last(struct spec *s, const char *value, const char **a, const char **b,
		      dray_error **err)
{
	const char *colon = strrchr(value, ':');

	*b = NULL;
	if (copy(s, value, colon ? (size_t)(colon - value) : strlen(value), a, err) < 0)
		return -1;
	return colon ? set_string(s, colon + 1, b, err) : 0;
}

/* ---- the image ---- */

static int flag_from(struct spec *s, const char *value, dray_error **err)
{
	s->base = (struct spec_base){ .set = strcmp(value, "scratch") != 0 };
	return s->base.set ? set_string(s, value, &s->base.image, err) : 0;
}

static int flag_name(struct spec *s, const char *value, dray_error **err)
{
	const char *slash = strrchr(value, '/');
	const char *colon = strchr(slash ? slash : value, ':');

	if (copy(s, value, colon ? (size_t)(colon - value) : strlen(value), &s->name, err) < 0)
		return -1;
	return colon ? set_string(s, colon + 1, &s->tag, err) : 0;
}

static int flag_tag(struct spec *s, const char *value, dray_error **err)
{
	return spec_list_add(s, &s->tags, value, err);
}

static int flag_platform(struct spec *s, const char *value, dray_error **err)
{
	return set_string(s, value, &s->platform, err);
}

static int flag_created(struct spec *s, const char *value, dray_error **err)
{
	return spec_time_text(value, "epoch|now", &s->created)
		       ? 0
		       : bad("RFC 3339, seconds since 1970, epoch or now", err);
}

static int flag_mtime(struct spec *s, const char *value, dray_error **err)
{
	bool clamp = strncmp(value, "clamp=", 6) == 0;

	if (!spec_time_text(clamp ? value + 6 : value, clamp ? "" : "epoch|keep|now", &s->mtime))
		return bad("RFC 3339, seconds since 1970, epoch, now, keep or clamp=TIME", err);
	if (clamp)
		s->mtime.kind = SPEC_TIME_CLAMP;
	return 0;
}

/* "UID[:GID[:UNAME[:GNAME]]]" */
static int flag_owner(struct spec *s, const char *value, dray_error **err)
{
	struct spec_owner o = { .set = true };
	const char **names[] = { &o.uname, &o.gname };
	struct spec_int *ids[] = { &o.uid, &o.gid };

	for (size_t i = 0; i < 4; i++) {
		size_t len = strcspn(value, ":");

		if (i < 2) {
			ids[i]->set = true;
			if (!num_parse_u63(span_of(value, len), &ids[i]->v))
				return bad("UID[:GID[:UNAME[:GNAME]]]", err);
		} else if (copy(s, value, len, names[i - 2], err) < 0) {
			return -1;
		}
		value += len;
		if (!*value)
			break;
		value++;
	}
	s->owner = o;
	return 0;
}

/* ---- sources ---- */

static int tree_flag(struct spec *s, enum spec_type type, const char *value, dray_error **err)
{
	struct spec_source *src = add_source(s, type, err);

	return src ? split_last(s, value, &src->from, &src->to, err) : -1;
}

static int flag_dir(struct spec *s, const char *value, dray_error **err)
{
	return tree_flag(s, SPEC_DIR, value, err);
}

static int flag_tar(struct spec *s, const char *value, dray_error **err)
{
	return tree_flag(s, SPEC_TAR, value, err);
}

/* "SRC:DST[:MODE][,volatile]": a folder's contents, or a file. */
static int flag_add(struct spec *s, const char *value, dray_error **err)
{
	static const char word[] = ",volatile";
	size_t len = strlen(value), tail = strlen(word);
	bool last = len > tail && strcmp(value + len - tail, word) == 0;
	const char *text, *from, *mode = NULL;
	struct spec_source *src;
	uint32_t bits;
	struct stat st;

	if (copy(s, value, last ? len - tail : len, &text, err) < 0 ||
	    split_last(s, text, &from, &mode, err) < 0)
		return -1;
	if (mode && spec_mode_text(mode, &bits))
		text = from;
	else
		mode = NULL;
	src = add_source(s, SPEC_FILE, err);
	if (!src || split_last(s, text, &src->from, &src->path, err) < 0)
		return -1;
	if (!src->path)
		return bad("SRC:DST[:MODE][,volatile]", err);
	src->mode = mode;
	src->is_volatile = last ? SPEC_YES : SPEC_UNSET;
	if (io_fstatat(AT_FDCWD, src->from, 0, &st, err) < 0)
		return -1;
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (mode)
		return bad("no mode for a folder", err);
	src->type = SPEC_DIR;
	src->type_name = spec_type_names[SPEC_DIR];
	src->to = src->path;
	src->path = NULL;
	return 0;
}

static int flag_mkdir(struct spec *s, const char *value, dray_error **err)
{
	struct spec_source *src = add_source(s, SPEC_MKDIR, err);
	uint32_t bits;

	if (!src || split_last(s, value, &src->path, &src->mode, err) < 0)
		return -1;
	return !src->mode || spec_mode_text(src->mode, &bits) ? 0 : bad("PATH[:MODE]", err);
}

static int flag_symlink(struct spec *s, const char *value, dray_error **err)
{
	struct spec_source *src = add_source(s, SPEC_SYMLINK, err);
	const char *colon = strchr(value, ':');

	if (!src)
		return -1;
	if (!colon || !colon[1])
		return bad("PATH:TARGET", err);
	return copy(s, value, (size_t)(colon - value), &src->path, err) < 0
		       ? -1
		       : set_string(s, colon + 1, &src->target, err);
}

static int flag_file(struct spec *s, const char *value, dray_error **err)
{
	struct spec_source *src = add_source(s, SPEC_FILE, err);
	const char *equal = strchr(value, '=');

	if (!src)
		return -1;
	if (!equal)
		return bad("PATH=TEXT", err);
	return copy(s, value, (size_t)(equal - value), &src->path, err) < 0
		       ? -1
		       : set_string(s, equal + 1, &src->text, err);
}

/* "IMAGE,PATH[:TO]" */
static int flag_copy_from(struct spec *s, const char *value, dray_error **err)
{
	struct spec_source *src = add_source(s, SPEC_IMAGE, err);
	const char *comma = strchr(value, ',');

	if (!src)
		return -1;
	if (!comma)
		return bad("IMAGE,PATH[:TO]", err);
	if (copy(s, value, (size_t)(comma - value), &src->from, err) < 0)
		return -1;
	return split_last(s, comma + 1, &src->path, &src->to, err);
}

/* ---- the config ---- */

static int json_text(struct spec *s, const char *text, struct span *ret, dray_error **err)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SPEC);

	if (json_quote(&b, span_str(text), err) < 0)
		return -1;
	*ret = arena_dup(&s->arena, span_buf(&b));
	s->config.set = true;
	return ret->data ? 0 : err_nomem(err);
}

static int json_words(struct spec *s, enum dray_edit_field field, const char *text,
		      struct span *ret, dray_error **err)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SPEC);

	if (config_value(field, text, &b, err) < 0)
		return -1;
	*ret = arena_dup(&s->arena, span_buf(&b));
	s->config.set = true;
	return ret->data ? 0 : err_nomem(err);
}

/* "NAME=VALUE", or "NAME-": what the base has is taken away. */
static int pair(struct spec *s, struct spec_pairs *p, const char *value, dray_error **err)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SPEC);
	const char *equal = strchr(value, '='), *name;
	size_t len = strlen(value);

	if (!equal && (len < 2 || value[len - 1] != '-'))
		return bad("NAME=VALUE or NAME-", err);
	if (equal == value)
		return bad("a name", err);
	if (copy(s, value, equal ? (size_t)(equal - value) : len - 1, &name, err) < 0)
		return -1;
	if (!equal)
		return spec_pairs_put(s, p, name, SPAN_LIT("null"), err);
	return json_quote(&b, span_str(equal + 1), err) < 0
		       ? -1
		       : spec_pairs_put(s, p, name, span_buf(&b), err);
}

/* "NAME", or "NAME-". */
static int member(struct spec *s, struct spec_pairs *p, const char *value, dray_error **err)
{
	size_t len = strlen(value);
	const char *name;

	s->config.set = true;
	if (len < 2 || value[len - 1] != '-')
		return spec_pairs_put(s, p, value, SPAN_LIT("{}"), err);
	return copy(s, value, len - 1, &name, err) < 0
		       ? -1
		       : spec_pairs_put(s, p, name, SPAN_LIT("null"), err);
}

static int flag_env(struct spec *s, const char *value, dray_error **err)
{
	s->config.set = true;
	return pair(s, &s->config.env, value, err);
}

static int flag_label(struct spec *s, const char *value, dray_error **err)
{
	s->config.set = true;
	return pair(s, &s->config.labels, value, err);
}

static int flag_annotation(struct spec *s, const char *value, dray_error **err)
{
	return pair(s, &s->annotations, value, err);
}

static int flag_expose(struct spec *s, const char *value, dray_error **err)
{
	return member(s, &s->config.ports, value, err);
}

static int flag_volume(struct spec *s, const char *value, dray_error **err)
{
	return member(s, &s->config.volumes, value, err);
}

static int flag_entrypoint(struct spec *s, const char *value, dray_error **err)
{
	return json_words(s, DRAY_EDIT_ENTRYPOINT, value, &s->config.entrypoint, err);
}

static int flag_cmd(struct spec *s, const char *value, dray_error **err)
{
	return json_words(s, DRAY_EDIT_CMD, value, &s->config.cmd, err);
}

static int flag_shell(struct spec *s, const char *value, dray_error **err)
{
	return json_words(s, DRAY_EDIT_SHELL, value, &s->config.shell, err);
}

static int flag_healthcheck(struct spec *s, const char *value, dray_error **err)
{
	return json_words(s, DRAY_EDIT_HEALTHCHECK, value, &s->config.healthcheck, err);
}

static int flag_workdir(struct spec *s, const char *value, dray_error **err)
{
	return json_text(s, value, &s->config.workdir, err);
}

static int flag_stop_signal(struct spec *s, const char *value, dray_error **err)
{
	return json_text(s, value, &s->config.stop_signal, err);
}

/* ---- users ---- */

/* Fields between colons, from @p value on; the last one takes the rest. */
static size_t fields(struct spec *s, const char *value, const char **ret, size_t max)
{
	size_t n = 0;

	while (n < max) {
		size_t len = n + 1 < max ? strcspn(value, ":") : strlen(value);

		ret[n] = arena_strndup(&s->arena, value, len);
		if (!ret[n++] || !value[len])
			break;
		value += len + 1;
	}
	return n;
}

static int id(const char *text, struct spec_int *ret, dray_error **err)
{
	ret->set = true;
	return text && num_parse_u63(span_str(text), &ret->v) ? 0 : bad("a number", err);
}

/* "NAME:UID:GID[:HOME[:SHELL]]" makes a user, less than that says who runs the image. */
static int flag_user(struct spec *s, const char *value, dray_error **err)
{
	const char *f[5] = { 0 };
	size_t n = fields(s, value, f, ARRAY_LEN(f));
	struct spec_source *src;

	if (n < 3)
		return json_text(s, value, &s->config.user, err);
	src = add_source(s, SPEC_USER, err);
	if (!src)
		return -1;
	src->name = f[0];
	src->home = f[3];
	src->shell = f[4];
	return id(f[1], &src->uid, err) < 0 ? -1 : id(f[2], &src->gid, err);
}

/* "NAME:GID" */
static int flag_group(struct spec *s, const char *value, dray_error **err)
{
	const char *f[2] = { 0 };
	size_t n = fields(s, value, f, ARRAY_LEN(f));
	struct spec_source *src = add_source(s, SPEC_GROUP, err);

	if (!src)
		return -1;
	if (n < 2)
		return bad("NAME:GID", err);
	src->name = f[0];
	return id(f[1], &src->gid, err);
}

/* ---- layers ---- */

static int flag_layers_max(struct spec *s, const char *value, dray_error **err)
{
	s->layers.set = true;
	return id(value, &s->layers.max, err);
}

static int flag_strategy(struct spec *s, const char *value, dray_error **err)
{
	s->layers.set = true;
	return set_string(s, value, &s->layers.strategy, err);
}

static int flag_volatile(struct spec *s, const char *value, dray_error **err)
{
	s->layers.set = true;
	return spec_list_add(s, &s->layers.is_volatile, value, err);
}

/* "NAME=GLOB[,GLOB]..." */
static int flag_layer(struct spec *s, const char *value, dray_error **err)
{
	const char *equal = strchr(value, '='), *glob;
	struct spec_group *g;

	if (!equal || equal == value || !equal[1])
		return bad("NAME=GLOB[,GLOB]...", err);
	s->layers.set = true;
	g = spec_grow(s, &s->layers.groups, sizeof(*g), err);
	if (!g || copy(s, value, (size_t)(equal - value), &g->name, err) < 0)
		return -1;
	for (const char *at = equal + 1; *at; at += *at == ',') {
		size_t len = strcspn(at, ",");

		if (copy(s, at, len, &glob, err) < 0 || spec_list_add(s, &g->match, glob, err) < 0)
			return -1;
		at += len;
	}
	return 0;
}

static int flag_conflict(struct spec *s, const char *value, dray_error **err)
{
	return set_string(s, value, &s->conflict, err);
}

static int flag_dedupe(struct spec *s, const char *value, dray_error **err)
{
	return set_string(s, value, &s->base.dedupe, err);
}

static const struct flag flags[] = {
	{ "add", flag_add },
	{ "annotation", flag_annotation },
	{ "cmd", flag_cmd },
	{ "conflict", flag_conflict },
	{ "copy-from", flag_copy_from },
	{ "created", flag_created },
	{ "dedupe", flag_dedupe },
	{ "dir", flag_dir },
	{ "entrypoint", flag_entrypoint },
	{ "env", flag_env },
	{ "expose", flag_expose },
	{ "file", flag_file },
	{ "from", flag_from },
	{ "group", flag_group },
	{ "healthcheck", flag_healthcheck },
	{ "label", flag_label },
	{ "layer", flag_layer },
	{ "layers-max", flag_layers_max },
	{ "mkdir", flag_mkdir },
	{ "mtime", flag_mtime },
	{ "name", flag_name },
	{ "owner", flag_owner },
	{ "platform", flag_platform },
	{ "shell", flag_shell },
	{ "stop-signal", flag_stop_signal },
	{ "strategy", flag_strategy },
	{ "symlink", flag_symlink },
	{ "tag", flag_tag },
	{ "tar", flag_tar },
	{ "user", flag_user },
	{ "volatile", flag_volatile },
	{ "volume", flag_volume },
	{ "workdir", flag_workdir },
};

int spec_flag(struct spec *s, const char *name, const char *value, dray_error **err)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (strcmp(flags[i].name, name) != 0)
			continue;
		return flags[i].set(s, value, err) < 0 ? err_ctx(err, "--%s", name) : 0;
	}
	return err_set(err, DRAY_ERR_USAGE, "no such flag: --%s", name);
}
