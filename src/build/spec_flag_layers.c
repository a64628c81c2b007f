/* SPDX-License-Identifier: Apache-2.0
 *
 * Flags about the base, rules, layers and what the image says of itself as keys of the spec.
 * Relies on spec_read.c where a value is JSON.
 * Promises USAGE for what is not understood.
 */
#include "build/spec_flag.h"

#include <fcntl.h>

#include "base/io.h"
#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"

/* "A,B,C" */
static int add_words(struct spec *s, const char *text, struct spec_list *ret, dray_error **err)
{
	for (const char *at = text; *at; at += *at == ',') {
		size_t len = strcspn(at, ",");
		const char *word;

		if (flag_copy(s, at, len, &word, err) < 0 || spec_list_add(s, ret, word, err) < 0)
			return -1;
		at += len;
	}
	return 0;
}

/* ---- the base ---- */

/* "TAG", as "1" or "name:1", "sha256:...", "@N" */
static int flag_select(struct spec *s, const char *value, dray_error **err)
{
	struct spec_select *sel = &s->base.select;
	struct span text = span_str(value);
	bool digest = span_starts(text, "sha256:") || span_starts(text, "sha512:");

	*sel = (struct spec_select){ .set = true };
	if (value[0] == '@')
		return flag_number(value + 1, &sel->index, err);
	return flag_string(s, value, digest ? &sel->digest : &sel->tag, err);
}

static int flag_inherit(struct spec *s, const char *value, dray_error **err)
{
	s->base.inherit.set = true;
	return strcmp(value, "none") == 0 ? 0 : add_words(s, value, &s->base.inherit, err);
}

/* "yes", "no" */
static int flag_yes(const char *value, enum spec_flag *ret, dray_error **err)
{
	*ret = strcmp(value, "yes") == 0 ? SPEC_YES : SPEC_NO;
	return *ret == SPEC_YES || strcmp(value, "no") == 0 ? 0 : flag_bad("yes or no", err);
}

static int flag_follow(struct spec *s, const char *value, dray_error **err)
{
	return flag_yes(value, &s->base.follow_base_links, err);
}

/* ---- layers ---- */

static int flag_layers_max(struct spec *s, const char *value, dray_error **err)
{
	s->layers.set = true;
	return flag_number(value, &s->layers.max, err);
}

static int flag_strict_name(struct spec *s, const char *value, dray_error **err)
{
	enum spec_flag yes;

	if (flag_yes(value, &yes, err) < 0)
		return -1;
	s->strict_name = yes == SPEC_YES;
	return 0;
}

static int flag_force(struct spec *s, const char *value, dray_error **err)
{
	enum spec_flag yes;

	if (flag_yes(value, &yes, err) < 0)
		return -1;
	s->force = yes == SPEC_YES;
	return 0;
}

static int flag_strategy(struct spec *s, const char *value, dray_error **err)
{
	s->layers.set = true;
	return flag_string(s, value, &s->layers.strategy, err);
}

static int flag_volatile(struct spec *s, const char *value, dray_error **err)
{
	s->layers.set = true;
	return spec_list_add(s, &s->layers.is_volatile, value, err);
}

/* "NAME=GLOB[,GLOB]...", or a group as a spec says it. */
static int flag_layer(struct spec *s, const char *value, dray_error **err)
{
	struct spec_group *g = spec_grow(s, &s->layers.groups, sizeof(*g), err);
	const char *equal = strchr(value, '=');

	s->layers.set = true;
	if (!g)
		return -1;
	if (value[0] == '{')
		return spec_read_object(s, &spec_group_shape, value, g, err);
	if (!equal || equal == value || !equal[1])
		return flag_bad("NAME=GLOB[,GLOB]..., or JSON", err);
	return flag_copy(s, value, (size_t)(equal - value), &g->name, err) < 0
		       ? -1
		       : add_words(s, equal + 1, &g->match, err);
}

static int flag_conflict(struct spec *s, const char *value, dray_error **err)
{
	return flag_string(s, value, &s->conflict, err);
}

static int flag_dedupe(struct spec *s, const char *value, dray_error **err)
{
	return flag_string(s, value, &s->base.dedupe, err);
}

static int size(struct spec *s, const char *value, struct spec_int *ret, dray_error **err)
{
	s->layers.set = ret->set = true;
	return spec_size_text(value, &ret->v) ? 0 : flag_bad(SPEC_SIZE, err);
}

static int flag_min_size(struct spec *s, const char *value, dray_error **err)
{
	return size(s, value, &s->layers.min_size, err);
}

static int flag_max_size(struct spec *s, const char *value, dray_error **err)
{
	return size(s, value, &s->layers.max_size, err);
}

/* A list, or the file that has it. */
static int flag_pipeline(struct spec *s, const char *value, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SPEC);

	s->layers.set = true;
	if (value[0] == '[')
		return spec_read_pipeline(s, value, err);
	if (io_read_file(AT_FDCWD, value, LIMIT_SPEC, &text, err) < 0 ||
	    buf_add_byte(&text, 0, err) < 0)
		return -1;
	return spec_read_pipeline(s, (const char *)text.data, err);
}

static int flag_previous(struct spec *s, const char *value, dray_error **err)
{
	s->layers.set = true;
	return flag_string(s, value, &s->layers.previous, err);
}

static int flag_annotate(struct spec *s, const char *value, dray_error **err)
{
	s->layers.set = true;
	return flag_yes(value, &s->layers.annotate, err);
}

/* ---- rules ---- */

/* "UID[:GID]" */
static int write_owner(struct jsonw *w, const char *text, dray_error **err)
{
	static const char *const names[] = { "uid", "gid" };
	size_t len;

	jsonw_key(w, "owner");
	jsonw_object(w);
	for (size_t i = 0; text; i++) {
		int64_t number;

		len = strcspn(text, ":");
		if (i >= ARRAY_LEN(names) || !num_parse_u63(span_of(text, len), &number))
			return flag_bad("owner=UID[:GID]", err);
		jsonw_kint(w, names[i], number);
		text = text[len] ? text + len + 1 : NULL;
	}
	jsonw_end_object(w);
	return 0;
}

/* ",KEY=VALUE" and ",delete" at the end of @p text: cut off and put as JSON into @p ret. */
static int cut_key(char *text, struct jsonw *w, bool *ret, dray_error **err)
{
	static const char *const names[] = { "type", "mode", "mtime", "layer", "owner" };
	char *comma = strrchr(text, ',');
	char *equal = comma ? strchr(comma, '=') : NULL;

	*ret = comma && (equal || strcmp(comma, ",delete") == 0);
	if (!*ret)
		return 0;
	*comma++ = '\0';
	if (!equal) {
		jsonw_kbool(w, "delete", true);
		return 0;
	}
	*equal = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(comma, names[i]) == 0) {
			if (strcmp(comma, "owner") == 0)
				return write_owner(w, equal + 1, err);
			jsonw_kstring(w, comma, equal + 1);
			return 0;
		}
	return flag_bad("MATCH[,KEY=VALUE]... with type, mode, owner, mtime, layer, delete", err);
}

static int flag_rule(struct spec *s, const char *value, dray_error **err)
{
	struct spec_rule *r = spec_grow(s, &s->rules, sizeof(*r), err);
	cleanup_free char *text = mem_strdup(value);
	cleanup_buf struct buf json = BUF_INIT(LIMIT_SPEC);
	struct jsonw w;
	bool more = true;

	if (!r || !text)
		return r ? err_nomem(err) : -1;
	if (value[0] == '{')
		return spec_read_object(s, &spec_rule_shape, value, r, err);
	jsonw_init(&w, &json, err);
	jsonw_object(&w);
	while (more)
		if (cut_key(text, &w, &more, err) < 0)
			return -1;
	jsonw_kstring(&w, "match", text);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0 || buf_add_byte(&json, 0, err) < 0)
		return -1;
	return spec_read_object(s, &spec_rule_shape, (const char *)json.data, r, err);
}

/* ---- what the image says of itself ---- */

static int flag_annotation(struct spec *s, const char *value, dray_error **err)
{
	return flag_pair(s, &s->annotations, value, err);
}

static int flag_index_annotation(struct spec *s, const char *value, dray_error **err)
{
	return flag_pair(s, &s->index_annotations, value, err);
}

static int flag_created_by(struct spec *s, const char *value, dray_error **err)
{
	s->history.set = true;
	return flag_string(s, value, &s->history.created_by, err);
}

static int flag_author(struct spec *s, const char *value, dray_error **err)
{
	s->history.set = true;
	return flag_string(s, value, &s->history.author, err);
}

static int flag_comment(struct spec *s, const char *value, dray_error **err)
{
	s->history.set = true;
	if (!spec_choice(SPEC_COMMENTS, value))
		return flag_bad(SPEC_COMMENTS, err);
	return flag_string(s, value, &s->history.comment, err);
}

static int flag_compression(struct spec *s, const char *value, dray_error **err)
{
	s->compression.set = true;
	return flag_string(s, value, &s->compression.algorithm, err);
}

static int flag_level(struct spec *s, const char *value, dray_error **err)
{
	s->compression.set = true;
	return flag_number(value, &s->compression.level, err);
}

const struct flag layer_flags[] = {
	{ "annotate", flag_annotate },
	{ "annotation", flag_annotation },
	{ "compression", flag_compression },
	{ "conflict", flag_conflict },
	{ "dedupe", flag_dedupe },
	{ "follow-base-links", flag_follow },
	{ "force", flag_force },
	{ "history-author", flag_author },
	{ "history-comment", flag_comment },
	{ "history-created-by", flag_created_by },
	{ "index-annotation", flag_index_annotation },
	{ "inherit", flag_inherit },
	{ "layer", flag_layer },
	{ "layers-max", flag_layers_max },
	{ "level", flag_level },
	{ "max-size", flag_max_size },
	{ "min-size", flag_min_size },
	{ "pipeline", flag_pipeline },
	{ "previous", flag_previous },
	{ "rule", flag_rule },
	{ "select", flag_select },
	{ "strategy", flag_strategy },
	{ "strict-name", flag_strict_name },
	{ "volatile", flag_volatile },
	{ 0 },
};
