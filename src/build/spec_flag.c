/* SPDX-License-Identifier: Apache-2.0
 *
 * Flags as keys of the spec: what a command line says, a file could say.
 * Relies on image/config_value for lists that are typed as words.
 * Promises USAGE, with the flag's name, for what is not understood.
 */
#include "build/spec_flag.h"

#include <fcntl.h>

#include "base/io.h"
#include "base/number.h"

int flag_bad(const char *expected, dray_error **err)
{
	return err_set(err, DRAY_ERR_USAGE, "expected %s", expected);
}

int flag_copy(struct spec *s, const char *text, size_t len, const char **ret, dray_error **err)
{
	*ret = arena_strndup(&s->arena, text, len);
	return *ret ? 0 : err_nomem(err);
}

int flag_string(struct spec *s, const char *text, const char **ret, dray_error **err)
{
	return flag_copy(s, text, strlen(text), ret, err);
}

int flag_number(const char *text, struct spec_int *ret, dray_error **err)
{
	ret->set = true;
	return text && num_parse_u63(span_str(text), &ret->v) ? 0 : flag_bad("a number", err);
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
	if (flag_copy(s, value, colon ? (size_t)(colon - value) : strlen(value), a, err) < 0)
		return -1;
	return colon ? flag_string(s, colon + 1, b, err) : 0;
}

/* ---- the image ---- */

/* What else was said of the base stays, but not which image of the old place is meant. */
static int flag_from(struct spec *s, const char *value, dray_error **err)
{
	if (s->base.image)
		s->base.select = (struct spec_select){ 0 };
	s->base.set = strcmp(value, "scratch") != 0;
	return s->base.set ? flag_string(s, value, &s->base.image, err) : 0;
}

/* The first tag that flags say stands in place of those of the text; more are added. */
static int add_tag(struct spec *s, const char *tag, dray_error **err)
{
	const char *first = s->tag;

	if (!s->tags_flagged) {
		s->tags.n = 0;
		s->tags.set = false;
		s->tag = first = NULL;
	}
	s->tags_flagged = true;
	s->tag = NULL;
	if (first && spec_list_add(s, &s->tags, first, err) < 0)
		return -1;
	return s->tags.n ? spec_list_add(s, &s->tags, tag, err) : flag_string(s, tag, &s->tag, err);
}

static int flag_name(struct spec *s, const char *value, dray_error **err)
{
	const char *slash = strrchr(value, '/');
	const char *colon = strchr(slash ? slash : value, ':');

	if (flag_copy(s, value, colon ? (size_t)(colon - value) : strlen(value), &s->name, err) < 0)
		return -1;
	return colon ? add_tag(s, colon + 1, err) : 0;
}

static int flag_tag(struct spec *s, const char *value, dray_error **err)
{
	return add_tag(s, value, err);
}

static int flag_platform(struct spec *s, const char *value, dray_error **err)
{
	return flag_string(s, value, &s->platform, err);
}

static int flag_created(struct spec *s, const char *value, dray_error **err)
{
	return spec_time_text(value, "epoch|now", &s->created)
		       ? 0
		       : flag_bad("RFC 3339, seconds since 1970, epoch or now", err);
}

static int flag_mtime(struct spec *s, const char *value, dray_error **err)
{
	bool clamp = strncmp(value, "clamp=", 6) == 0;

	if (!spec_time_text(clamp ? value + 6 : value, clamp ? "" : "epoch|keep|now", &s->mtime))
		return flag_bad("RFC 3339, seconds since 1970, epoch, now, keep or clamp=TIME",
				err);
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
				return flag_bad("UID[:GID[:UNAME[:GNAME]]]", err);
			if (spec_id(ids[i]->v, err) < 0)
				return -1;
		} else if (flag_copy(s, value, len, names[i - 2], err) < 0) {
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

	if (flag_copy(s, value, last ? len - tail : len, &text, err) < 0 ||
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
		return flag_bad("SRC:DST[:MODE][,volatile]", err);
	src->mode = mode;
	src->is_volatile = last ? SPEC_YES : SPEC_UNSET;
	if (io_fstatat(AT_FDCWD, src->from, 0, &st, err) < 0)
		return -1;
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (mode)
		return flag_bad("no mode for a folder", err);
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
	return !src->mode || spec_mode_text(src->mode, &bits) ? 0 : flag_bad("PATH[:MODE]", err);
}

static int flag_symlink(struct spec *s, const char *value, dray_error **err)
{
	struct spec_source *src = add_source(s, SPEC_SYMLINK, err);
	const char *colon = strchr(value, ':');

	if (!src)
		return -1;
	if (!colon || !colon[1])
		return flag_bad("PATH:TARGET", err);
	return flag_copy(s, value, (size_t)(colon - value), &src->path, err) < 0
		       ? -1
		       : flag_string(s, colon + 1, &src->target, err);
}

static int flag_file(struct spec *s, const char *value, dray_error **err)
{
	struct spec_source *src = add_source(s, SPEC_FILE, err);
	const char *equal = strchr(value, '=');

	if (!src)
		return -1;
	if (!equal)
		return flag_bad("PATH=TEXT", err);
	return flag_copy(s, value, (size_t)(equal - value), &src->path, err) < 0
		       ? -1
		       : flag_string(s, equal + 1, &src->text, err);
}

/* "IMAGE,PATH[:TO]" */
static int flag_copy_from(struct spec *s, const char *value, dray_error **err)
{
	struct spec_source *src = add_source(s, SPEC_IMAGE, err);
	const char *comma = strchr(value, ',');

	if (!src)
		return -1;
	if (!comma)
		return flag_bad("IMAGE,PATH[:TO]", err);
	if (flag_copy(s, value, (size_t)(comma - value), &src->from, err) < 0)
		return -1;
	return split_last(s, comma + 1, &src->path, &src->to, err);
}

/* "TREE[:TO]" */
static int flag_links(struct spec *s, const char *value, dray_error **err)
{
	struct spec_source *src = add_source(s, SPEC_LINKS, err);
	const char *tree;

	if (!src || split_last(s, value, &tree, &src->to, err) < 0)
		return -1;
	return spec_list_add(s, &src->trees, tree, err);
}

/* "LIST[:ROOT]" */
static int flag_mtree(struct spec *s, const char *value, dray_error **err)
{
	struct spec_source *src = add_source(s, SPEC_LISTED, err);

	return src ? split_last(s, value, &src->list, &src->root, err) : -1;
}

/* One word behind the graph of a closure. */
static int closure_word(struct spec *s, struct spec_source *src, const char *word, dray_error **err)
{
	const char *equal = strchr(word, '=');
	size_t len = equal ? (size_t)(equal - word) : 0;

	if (strcmp(word, "links-only") == 0)
		return flag_string(s, word, &src->share, err);
	if (strcmp(word, "scan-config") == 0) {
		src->scan_config = SPEC_YES;
		return 0;
	}
	if (len == 5 && memcmp(word, "store", len) == 0)
		return flag_string(s, equal + 1, &src->store, err);
	if (len == 4 && memcmp(word, "from", len) == 0)
		return flag_string(s, equal + 1, &src->from, err);
	if (len == 4 && memcmp(word, "root", len) == 0)
		return spec_list_add(s, &src->roots, equal + 1, err);
	return flag_bad("GRAPH[,store=DIR][,from=DIR][,root=PATH]...[,links-only][,scan-config]",
			err);
}

static int flag_closure(struct spec *s, const char *value, dray_error **err)
{
	struct spec_source *src = add_source(s, SPEC_CLOSURE, err);
	size_t len = strcspn(value, ",");

	if (!src || flag_copy(s, value, len, &src->graph, err) < 0)
		return -1;
	while (value[len]) {
		const char *word;

		value += len + 1;
		len = strcspn(value, ",");
		if (flag_copy(s, value, len, &word, err) < 0 || closure_word(s, src, word, err) < 0)
			return -1;
	}
	return 0;
}

/* Any source, as a spec says it. */
static int flag_source(struct spec *s, const char *value, dray_error **err)
{
	struct spec_source *src = add_source(s, SPEC_DIR, err);

	return src ? spec_read_object(s, &spec_source_shape, value, src, err) : -1;
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

static int flag_id(const char *text, struct spec_int *ret, dray_error **err)
{
	return flag_number(text, ret, err) < 0 ? -1 : spec_id(ret->v, err);
}

/* "NAME:UID:GID[:HOME[:SHELL]]" makes a user, less than that says who runs the image. */
static int flag_user(struct spec *s, const char *value, dray_error **err)
{
	const char *f[5] = { 0 };
	size_t n = fields(s, value, f, ARRAY_LEN(f));
	struct spec_source *src;

	if (n < 3)
		return flag_text(s, value, &s->config.user, err);
	src = add_source(s, SPEC_USER, err);
	if (!src)
		return -1;
	src->name = f[0];
	src->home = f[3];
	src->shell = f[4];
	return flag_id(f[1], &src->uid, err) < 0 ? -1 : flag_id(f[2], &src->gid, err);
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
		return flag_bad("NAME:GID", err);
	src->name = f[0];
	return flag_id(f[1], &src->gid, err);
}

static const struct flag flags[] = {
	{ "add", flag_add },	     { "closure", flag_closure }, { "copy-from", flag_copy_from },
	{ "created", flag_created }, { "dir", flag_dir },	  { "file", flag_file },
	{ "from", flag_from },	     { "group", flag_group },	  { "links", flag_links },
	{ "mkdir", flag_mkdir },     { "mtime", flag_mtime },	  { "mtree", flag_mtree },
	{ "name", flag_name },	     { "owner", flag_owner },	  { "platform", flag_platform },
	{ "source", flag_source },   { "symlink", flag_symlink }, { "tag", flag_tag },
	{ "tar", flag_tar },	     { "user", flag_user },	  { 0 },
};
static const struct flag *const tables[] = { flags, config_flags, layer_flags };

int spec_flag(struct spec *s, const char *name, const char *value, dray_error **err)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct flag *f = tables[i]; f->name; f++)
			if (strcmp(f->name, name) == 0)
				return f->set(s, value, err) < 0 ? err_ctx(err, "--%s", name) : 0;
	return err_set(err, DRAY_ERR_USAGE, "no such flag: --%s", name);
}
