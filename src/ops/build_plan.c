/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans that outlive a build: what each layer holds is written beside it, and read again from an
 * earlier image, so that an update moves little; and how much an update would move.
 * Relies on build/deal for the plan, on ops/stack for the other image's documents.
 * Promises that a plan which cannot be read costs bytes and is no error; no layer of another image
 * is read.
 */
#include "ops/build.h"

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define COMPONENTS "io.dray.components"
#define LABELS_MAX MIB	 /* bytes of all: registries take manifests of 4 MiB */
#define PARTS_MAX 100000 /* that are read of one image */

/* ---- writing ---- */

/* '%' and two digits for what would not be read as it is. */
static int write_name(const char *name, struct buf *ret, dray_error **err)
{
	bool text = utf8_valid(span_str(name));

	for (const uint8_t *c = (const uint8_t *)name; *c; c++) {
		bool plain = *c >= ' ' && !strchr(",%\"\\<>&\x7f", *c) && (text || *c < 0x80);

		if ((plain ? buf_add_byte(ret, *c, err) : buf_printf(ret, err, "%%%02X", *c)) < 0)
			return -1;
	}
	return 0;
}

/* Names with commas between: 1, 0 = they are more than @p max bytes, -1. */
static int write_components(const struct deal_layer *l, size_t max, struct buf *ret,
			    dray_error **err)
{
	for (size_t i = 0; i < l->n_units; i++) {
		if (i > 0 && buf_add_byte(ret, ',', err) < 0)
			return -1;
		if (ret->len + 3 * strlen(l->components[i]) > max)
			return 0;
		if (write_name(l->components[i], ret, err) < 0)
			return -1;
	}
	return 1;
}

/* One layer's object, or null where it would be too much. */
static int write_label(struct build *b, struct jsonw *w, const struct deal_layer *l, size_t *left,
		       dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LABELS_MAX + 2);
	int rc = write_components(l, *left, &text, err);

	if (rc < 0)
		return -1;
	if (rc == 0) {
		cleanup_free char *name = text_safe(span_str(l->name ? l->name : ""), 200);

		context_log(b->ctx, DRAY_LOG_WARNING,
			    "layer \"%s\" holds too much to be told in an annotation: a later "
			    "\"previous\" will not know it",
			    name ? name : "");
		jsonw_raw(w, SPAN_LIT("null"));
		return 0;
	}
	*left -= text.len;
	if (buf_add_byte(&text, 0, err) < 0)
		return -1;
	jsonw_object(w);
	jsonw_kstring(w, COMPONENTS, (const char *)text.data);
	jsonw_end_object(w);
	return 0;
}

int build_label_layers(struct build *b, struct remake_layer *layers, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(8 * LABELS_MAX);
	size_t left = LABELS_MAX, n = 0;
	struct span kept;
	struct jsonw w;

	if (b->spec->layers.annotate == SPEC_NO)
		return 0;
	jsonw_init(&w, &text, err);
	jsonw_array(&w);
	for (size_t i = 0; i < b->deal.n; i++)
		if (write_label(b, &w, &b->deal.layers[i], &left, err) < 0)
			return -1;
	jsonw_end_array(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	kept = arena_dup(&b->arena, span_buf(&text));
	if (!kept.data)
		return err_nomem(err);
	if (json_parse(kept, &b->labels, err) < 0)
		return -1;
	for (struct json it = json_first(json_root(b->labels)); json_node(it); it = json_next(it))
		layers[n++].annotations = json_type(it) == JSON_OBJECT ? it : (struct json){ 0 };
	return 0;
}

/* ---- another image ---- */

static int open_other(struct build *b, const char *place, struct stack **ret, dray_error **err)
{
	const struct stack_options so = { .lazy = true };
	const struct dray_select sel = DRAY_SELECT_INIT;
	const struct platform before = b->ctx->platform;
	struct platform want;
	int rc;

	if (build_find_platform(b, &want, err) < 0)
		return -1;
	b->ctx->platform = want;
	rc = stack_open(b->ctx, place, &sel, &so, ret, err);
	b->ctx->platform = before;
	return rc;
}

/* ---- the earlier plan ---- */

struct old_plan {
	struct build *b;
	const struct stack *s;
	size_t left; /* names that are still taken */
};

/* An annotation that is no text says nothing, as one that is not there: the plan is a wish. */
static int read_text(const struct old_plan *o, struct json annotations, const char *key,
		     const char **ret, dray_error **err)
{
	cleanup_error dray_error *odd = NULL;

	*ret = NULL;
	if (json_string(json_get(annotations, key), key, &o->b->arena, ret, &odd) == 0)
		return 0;
	return dray_error_kind(odd) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static const char *decode(struct arena *a, const char *text, size_t len)
{
	char *name = arena_strndup(a, text, len), *to = name;

	for (const char *c = name; name && *c; c++) {
		int high = *c == '%' ? hex_digit(c[1]) : -1;
		int low = high >= 0 ? hex_digit(c[2]) : -1;

		if (low >= 0 && high + low > 0) {
			*to++ = (char)(high * 16 + low);
			c += 2;
		} else {
			*to++ = *c;
		}
	}
	if (to)
		*to = '\0';
	return name;
}

/* "a, b, c and 12 more", as histories have it. */
static size_t without_rest(const char *text)
{
	static const char more[] = " more", and[] = " and ";
	size_t len = strlen(text), at = len, tail = strlen(more);

	if (len < tail || strcmp(text + len - tail, more) != 0)
		return len;
	for (at -= tail; at > 0 && text[at - 1] >= '0' && text[at - 1] <= '9'; at--)
		;
	tail = strlen(and);
	return at >= tail && strncmp(text + at - tail, and, tail) == 0 ? at - tail : len;
}

/* The names between @p between in @p text; only without blanks, in annotations, are they coded. */
static int read_list(struct old_plan *o, const char *text, size_t len, const char *between,
		     struct layering_old *ret, dray_error **err)
{
	bool coded = strcmp(between, ",") == 0;
	const char **list = NULL;
	size_t cap = 1;

	for (const char *c = text; c < text + len; c++)
		cap += *c == ',';
	list = arena_array(&o->b->arena, cap + 1, sizeof(*list));
	if (!list)
		return err_nomem(err);
	for (const char *at = text, *end = text + len; at < end && o->left > 0;) {
		const char *next = strstr(at, between);
		size_t part = (size_t)((next && next < end ? next : end) - at);

		list[ret->n] = coded ? decode(&o->b->arena, at, part)
				     : arena_strndup(&o->b->arena, at, part);
		if (!list[ret->n++])
			return err_nomem(err);
		o->left--;
		at += part + strlen(between);
	}
	ret->components = list;
	return 0;
}

/* Does each layer have a step? Else nobody knows which step is whose. */
static bool has_history(const struct image *im)
{
	size_t made = 0;

	for (size_t i = 0; i < im->config->n_history; i++)
		made += !im->config->history[i].empty_layer;
	return made == im->n_layers;
}

/* What layer @p i says it holds; nothing where it does not say. */
static int read_layer(struct old_plan *o, size_t i, struct layering_old *ret, dray_error **err)
{
	const struct image *im = o->s->im;
	const struct manifest *m = stack_manifest(o->s);
	const char *text = NULL;
	int64_t step;

	if (m && i < m->n_entries &&
	    read_text(o, m->entries[i].annotations, COMPONENTS, &text, err) < 0)
		return -1;
	if (text)
		return read_list(o, text, strlen(text), ",", ret, err);
	step = has_history(im) ? config_history_of_layer(im->config, i) : -1;
	text = step >= 0 ? im->config->history[step].comment : NULL;
	return text ? read_list(o, text, without_rest(text), ", ", ret, err) : 0;
}

/* Layers of the earlier image that its base had: those of ours, or as many as it says. */
static int count_base(const struct old_plan *o, size_t *ret, dray_error **err)
{
	const struct image *im = o->s->im, *base = o->b->base->im;
	const struct manifest *m = stack_manifest(o->s);
	const char *text = NULL;
	int64_t said = 0;

	*ret = 0;
	while (*ret < im->n_layers && *ret < base->n_layers &&
	       digest_eq(&im->layers[*ret].diff_id, &base->layers[*ret].diff_id))
		++*ret;
	if (m && read_text(o, m->annotations, BUILD_BASE_LAYERS, &text, err) < 0)
		return -1;
	if (text && num_parse_u63(span_str(text), &said) && (size_t)said <= im->n_layers &&
	    (size_t)said > *ret)
		*ret = (size_t)said;
	return 0;
}

static int read_plan(struct build *b, const struct stack *s, dray_error **err)
{
	struct old_plan o = { b, s, PARTS_MAX };
	struct layering_old *list = arena_array(&b->arena, s->n + 1, sizeof(*list));
	size_t first, known = 0;

	if (!list)
		return err_nomem(err);
	if (count_base(&o, &first, err) < 0)
		return -1;
	for (size_t i = first; i < s->n; i++) {
		if (read_layer(&o, i, &list[i - first], err) < 0)
			return -1;
		known += list[i - first].n;
	}
	if (known == 0)
		context_log(b->ctx, DRAY_LOG_WARNING,
			    "%s does not say what its layers hold: the plan is made anew",
			    s->im->where);
	b->previous = list;
	b->n_previous = s->n - first;
	return 0;
}

int build_read_previous(struct build *b, dray_error **err)
{
	cleanup_stack struct stack *s = NULL;

	if (!b->spec->layers.previous)
		return 0;
	if (open_other(b, b->spec->layers.previous, &s, err) < 0 || read_plan(b, s, err) < 0)
		return err_ctx(err, "layers.previous");
	return 0;
}

/* ---- an update ---- */

static bool is_there(const struct stack *other, const char *diff_id)
{
	for (size_t i = 0; i < other->n; i++)
		if (strcmp(other->im->layers[i].diff_id.text, diff_id) == 0)
			return true;
	return false;
}

/* A layer twice is one to send. */
static bool is_twin(const struct dray_build_layer *list, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(list[k].diff_id, list[i].diff_id) == 0)
			return true;
	return false;
}

int build_against(struct build *b, const char *place, struct dray_build_layer *list, size_t n,
		  struct dray_build_update *ret, dray_error **err)
{
	cleanup_stack struct stack *s = NULL;

	if (open_other(b, place, &s, err) < 0)
		return err_ctx(err, "against");
	if (s->n > 0 && !s->im->config->has_diff_ids)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "against: %s: its config has no DiffIDs to compare", s->im->where);
	for (size_t i = 0; i < n; i++) {
		if (list[i].kept)
			list[i].bytes = b->base->index[i]->size;
		list[i].there = is_there(s, list[i].diff_id);
		if (list[i].there || is_twin(list, i))
			continue;
		ret->layers++;
		ret->bytes += list[i].bytes;
	}
	return 0;
}
