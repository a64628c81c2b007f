/* SPDX-License-Identifier: Apache-2.0
 *
 * Which images a list means, and where each goes: patterns become tags, templates places.
 * Relies on remote/ for what tags there are.
 * Promises that two images never go to one place, and that order comes from the list and the
 * versions, never from a registry.
 */
#include "ops/syncplan.h"

#include <stdlib.h>
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"

#define TAG_SHOWN_MAX 160 /* bytes of a tag that a warning shows */

void sync_plan_clear(struct sync_plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		dray_error_free(p->items[i].error);
	mem_free(p->items);
	map_clear(&p->by_destination);
	arena_clear(&p->arena);
	*p = (struct sync_plan){ 0 };
}

/* ---- templates ---- */

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* What "{name}" and the like stand for; NULL = this source has none. */
static int look_up(struct span name, const struct reference *ref, const char *tag, const char **ret,
		   dray_error **err)
{
	const struct {
		const char *name, *value;
	} known[] = {
		{ "host", ref ? ref->domain : NULL },
		{ "path", ref ? ref->path : NULL },
		{ "name", ref ? last_part(ref->path) : NULL },
		{ "tag", tag },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (!span_is(name, known[i].name))
			continue;
		*ret = known[i].value;
		return *ret ? 0
			    : err_set(err, DRAY_ERR_USAGE,
				      "\"destination\": the source has no {%s}", known[i].name);
	}
	cleanup_free char *safe = text_safe(name, 40);
	err_set(err, DRAY_ERR_USAGE, "\"destination\": unknown {%s}", safe ? safe : "");
	return err_hint(err, "{host}, {path}, {name} and {tag} are known");
}

static int expand(const char *template, const struct reference *ref, const char *tag,
		  struct buf *ret, dray_error **err)
{
	struct span rest = span_str(template);

	while (rest.len) {
		int64_t open = span_find(rest, '{'), close = span_find(rest, '}');
		const char *value;

		if (open < 0)
			return buf_add(ret, rest, err);
		if (close < open)
			return err_set(err, DRAY_ERR_USAGE,
				       "\"destination\": a '{' without its '}'");
		if (buf_add(ret, span_head(rest, (size_t)open), err) < 0 ||
		    look_up(span_head(span_from(rest, (size_t)open + 1),
				      (size_t)(close - open - 1)),
			    ref, tag, &value, err) < 0 ||
		    buf_add_str(ret, value, err) < 0)
			return -1;
		rest = span_from(rest, (size_t)close + 1);
	}
	return 0;
}

/* What the place that @p b spells lacks to be one image's own. */
static int complete(struct buf *b, enum place_kind kind, const char *before_tag,
		    const struct reference *ref, const char *tag, dray_error **err)
{
	if (tag)
		return buf_printf(b, err, ":%s%s", before_tag, tag);
	if (kind == PLACE_REGISTRY && ref && digest_set(&ref->digest))
		return buf_printf(b, err, "@%s", ref->digest.text);
	return 0;
}

static int parse_destination(const struct buf *b, struct place *ret, dray_error **err)
{
	cleanup_free char *text = mem_strndup((const char *)b->data, b->len);

	if (!text)
		return err_nomem(err);
	if (place_parse(text, true, ret, err) < 0)
		return err_ctx(err, "\"destination\"");
	return 0;
}

static bool names_image(const struct place *p)
{
	if (p->kind == PLACE_REGISTRY)
		return p->ref.tag || digest_set(&p->ref.digest);
	return p->kind != PLACE_OCI_DIR || p->tag;
}

/* One place for the whole list, told without {}: the images' paths tell them apart in it. */
static int spread(struct buf *b, const struct reference *ref, char **ret_before_tag,
		  dray_error **err)
{
	bool registry = span_starts(span_buf(b), "docker://");

	if (!ref)
		return err_set(
			err, DRAY_ERR_USAGE,
			"an image that is in no registry needs a \"destination\" of its own");
	if (registry)
		return buf_printf(b, err, "/%s", ref->path);
	if (!span_starts(span_buf(b), "oci:")) {
		err_set(err, DRAY_ERR_USAGE, "\"destination\" has room for one image only");
		return err_hint(err, "tell images apart with {path} and {tag}");
	}
	*ret_before_tag = mem_printf("%s:", ref->path);
	return *ret_before_tag ? 0 : err_nomem(err);
}

int sync_destination(const char *template, bool whole_list, const struct reference *ref,
		     const char *tag, char **ret, dray_error **err)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_PATH);
	cleanup_free char *before_tag = NULL;
	cleanup_place struct place p = { 0 }, whole = { 0 };

	/* A file that happens to have the name must not change what a list means. */
	if (!place_prefixed(template) && buf_add_str(&b, "docker://", err) < 0)
		return -1;
	if (expand(template, ref, tag, &b, err) < 0)
		return -1;
	if (whole_list && !strchr(template, '{') && spread(&b, ref, &before_tag, err) < 0)
		return -1;
	if (parse_destination(&b, &p, err) < 0)
		return -1;
	if (!names_image(&p) &&
	    complete(&b, p.kind, before_tag ? before_tag : "", ref, tag, err) < 0)
		return -1;
	if (parse_destination(&b, &whole, err) < 0)
		return -1;
	*ret = buf_steal_str(&b, err);
	return *ret ? 0 : -1;
}

/* ---- items ---- */

int sync_shard(const char *source, const char *destination, uint32_t n, uint32_t *ret,
	       dray_error **err)
{
	cleanup_free char *text = mem_printf("%s -> %s", source, destination);
	struct digest d;
	uint64_t first = 0;

	if (!text)
		return err_nomem(err);
	if (digest_of(span_str(text), &d, err) < 0)
		return -1;
	for (int i = 0; i < 16; i++) {
		char c = digest_hex(&d)[i];

		first = first << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*ret = (uint32_t)(first % n);
	return 0;
}

static struct sync_item *new_item(struct sync_plan *p, const struct sync_entry *e,
				  const char *source, dray_error **err)
{
	struct sync_item *item;

	if (p->n >= LIMIT_SYNC_ITEMS) {
		err_set(err, DRAY_ERR_LIMIT, "more than %d images (LIMIT_SYNC_ITEMS)",
			LIMIT_SYNC_ITEMS);
		return NULL;
	}
	source = arena_strdup(&p->arena, source);
	if (!source || mem_grow(&p->items, p->n, &p->cap, sizeof(*p->items)) < 0) {
		err_nomem(err);
		return NULL;
	}
	item = &p->items[p->n++];
	*item = (struct sync_item){ .entry = e, .source = source };
	return item;
}

static bool same_platforms(const struct sync_entry *a, const struct sync_entry *b)
{
	if (a->platforms != b->platforms || a->n_list != b->n_list)
		return false;
	for (size_t i = 0; i < a->n_list; i++)
		if (!platform_match(&a->list[i], &b->list[i]))
			return false;
	return true;
}

/* The same image twice is one; two images for one place would replace each other for ever. */
static int check_twin(const struct sync_plan *p, size_t other, const char *source,
		      const char *destination, const struct sync_entry *e, dray_error **err)
{
	const struct sync_item *was = &p->items[other - 1];

	if (strcmp(was->source, source) == 0 && same_platforms(was->entry, e))
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "%s and %s: %s and %s both go to %s", was->entry->where,
		       e->where, was->source, source, destination);
}

static int add_item(struct sync_plan *p, const struct sync_file *f, const struct sync_entry *e,
		    const struct reference *ref, const char *source, const char *tag,
		    dray_error **err)
{
	cleanup_free char *to = NULL;
	struct sync_item *item;
	uintptr_t other;

	if (sync_destination(e->destination ? e->destination : f->destination, !e->destination, ref,
			     tag, &to, err) < 0)
		return -1;
	other = (uintptr_t)map_get(&p->by_destination, span_str(to));
	if (other)
		return check_twin(p, other, source, to, e, err);
	item = new_item(p, e, source, err);
	if (!item)
		return -1;
	item->destination = arena_strdup(&p->arena, to);
	if (!item->destination)
		return err_nomem(err);
	return map_put(&p->by_destination, span_str(item->destination), (void *)(uintptr_t)p->n,
		       err);
}

/* @p ref with @p tag, as the plan spells it. */
static int add_tag(struct sync_plan *p, const struct sync_file *f, const struct sync_entry *e,
		   const struct reference *ref, const char *tag, dray_error **err)
{
	struct reference tagged = *ref;
	cleanup_free char *name = NULL, *source = NULL;

	if (tag && !reference_tag_valid(span_str(tag)))
		return err_set(err, DRAY_ERR_USAGE, "\"tags\": what is no tag cannot be copied");
	cleanup_free char *own = tag ? mem_strdup(tag) : NULL;
	tagged.tag = own;
	if (tag && !own)
		return err_nomem(err);
	name = reference_text(&tagged);
	source = name ? mem_printf("docker://%s", name) : NULL;
	return source ? add_item(p, f, e, ref, source, tag, err) : err_nomem(err);
}

/* ---- tags ---- */

static bool excluded(const struct sync_entry *e, const char *tag)
{
	for (size_t i = 0; i < e->n_exclude; i++)
		if (glob_match(e->exclude[i], tag))
			return true;
	return false;
}

static bool has_wildcards(const struct sync_entry *e)
{
	for (size_t i = 0; i < e->n_tags; i++)
		if (glob_is_pattern(e->tags[i]))
			return true;
	return false;
}

static bool is_literal(const struct sync_entry *e, const char *tag)
{
	for (size_t i = 0; i < e->n_tags; i++)
		if (!glob_is_pattern(e->tags[i]) && strcmp(e->tags[i], tag) == 0)
			return true;
	return false;
}

static bool wanted(const struct sync_entry *e, const char *tag)
{
	/* A registry may list anything, and a tag becomes part of a path. */
	if (!reference_tag_valid(span_str(tag)))
		return false;
	for (size_t i = 0; i < e->n_tags; i++)
		if (glob_is_pattern(e->tags[i]) && glob_match(e->tags[i], tag))
			return !excluded(e, tag);
	return false;
}

static int by_version(const void *a, const void *b)
{
	return version_compare(*(const char *const *)a, *(const char *const *)b);
}

/* A pattern that means nothing is no failure, its tags may come yet; but it may be mistyped. */
static void warn_idle(dray_context *ctx, const struct sync_entry *e,
		      const struct remote_names *names)
{
	for (size_t i = 0; i < e->n_tags; i++) {
		bool used = !glob_is_pattern(e->tags[i]);

		for (size_t k = 0; k < names->n && !used; k++)
			used = glob_match(e->tags[i], names->list[k]);
		if (!used)
			context_log(ctx, DRAY_LOG_WARNING, "%s: no tag of %s matches \"%s\"",
				    e->where, e->source, e->tags[i]);
	}
}

/* What no reference can name cannot be copied; the others can. */
static void warn_invalid(dray_context *ctx, const struct sync_entry *e,
			 const struct remote_names *names)
{
	for (size_t i = 0; i < names->n; i++) {
		cleanup_free char *safe = NULL;

		if (reference_tag_valid(span_str(names->list[i])))
			continue;
		safe = text_safe(span_str(names->list[i]), TAG_SHOWN_MAX);
		context_log(ctx, DRAY_LOG_WARNING, "%s: %s lists \"%s\", which is no tag: left out",
			    e->where, e->source, safe ? safe : "?");
	}
}

/*
 * Tags that were spelled out are wanted whether the registry lists them or not: its answer to
 * the copy says it better. "limit" counts what wildcards brought.
 */
static int add_tags(struct sync_plan *p, const struct sync_file *f, const struct sync_entry *e,
		    const struct reference *ref, const struct remote_names *names, dray_error **err)
{
	size_t max = e->n_tags + (names ? names->n : 0), n = 0;
	cleanup_free const char **chosen = mem_alloc_array(max, sizeof(*chosen));
	int rc = 0;

	if (!chosen)
		return err_nomem(err);
	for (size_t i = 0; names && i < names->n; i++)
		if (wanted(e, names->list[i]) && !is_literal(e, names->list[i]))
			chosen[n++] = names->list[i];
	if (n)
		qsort(chosen, n, sizeof(*chosen), by_version);
	if (e->limit >= 0 && (uint64_t)e->limit < n) {
		memmove(chosen, chosen + (n - (size_t)e->limit),
			(size_t)e->limit * sizeof(*chosen));
		n = (size_t)e->limit;
	}
	for (size_t i = 0; i < e->n_tags; i++)
		if (!glob_is_pattern(e->tags[i]) && !excluded(e, e->tags[i]))
			chosen[n++] = e->tags[i];
	if (n)
		qsort(chosen, n, sizeof(*chosen), by_version);
	for (size_t i = 0; i < n && rc == 0; i++)
		if (i == 0 || strcmp(chosen[i - 1], chosen[i]) != 0)
			rc = add_tag(p, f, e, ref, chosen[i], err);
	return rc;
}

bool sync_foreign(const struct reference *source, const struct place *destination)
{
	return destination->kind == PLACE_REGISTRY &&
	       strcmp(source->domain, destination->ref.domain) != 0;
}

static int ask_tags(dray_context *ctx, const struct reference *ref, const struct place *to,
		    struct remote_names *ret, dray_error **err)
{
	struct remote_options o = ctx->remote;
	cleanup_remote struct remote *r = NULL;

	if (sync_foreign(ref, to))
		o.creds = NULL;
	return remote_open(ref, false, &o, &r, err) < 0 ? -1 : remote_tags(r, ret, err);
}

/* A listing that fails is a result; running out of memory and being stopped are not. */
static int note_failure(struct sync_plan *p, const struct sync_entry *e, dray_error *why,
			dray_error **err)
{
	enum dray_err_kind kind = dray_error_kind(why);
	struct sync_item *item;

	if (kind != DRAY_ERR_NOMEM && kind != DRAY_ERR_CANCELLED) {
		item = new_item(p, e, e->source, err);
		if (item) {
			item->error = why;
			return 0;
		}
		dray_error_free(why);
		return -1;
	}
	if (err)
		*err = why;
	else
		dray_error_free(why);
	return -1;
}

static int add_patterns(dray_context *ctx, struct sync_plan *p, const struct sync_file *f,
			const struct sync_entry *e, const struct reference *ref, dray_error **err)
{
	cleanup_remote_names struct remote_names names = { 0 };
	cleanup_free char *sample = NULL;
	cleanup_place struct place to = { 0 };
	dray_error *why = NULL;

	if (ref->tag || digest_set(&ref->digest))
		return err_set(err, DRAY_ERR_USAGE, "\"source\" names one image, \"tags\" others");
	if (!has_wildcards(e))
		return add_tags(p, f, e, ref, NULL, err);
	if (sync_destination(e->destination ? e->destination : f->destination, !e->destination, ref,
			     "tag", &sample, err) < 0 ||
	    place_parse(sample, true, &to, err) < 0)
		return -1;
	if (ask_tags(ctx, ref, &to, &names, &why) < 0)
		return note_failure(p, e, why, err);
	warn_idle(ctx, e, &names);
	warn_invalid(ctx, e, &names);
	return add_tags(p, f, e, ref, &names, err);
}

/* ---- entries ---- */

static int add_registry(dray_context *ctx, struct sync_plan *p, const struct sync_file *f,
			const struct sync_entry *e, const struct reference *ref, dray_error **err)
{
	if (e->n_tags)
		return add_patterns(ctx, p, f, e, ref, err);
	if (ref->tag || digest_set(&ref->digest))
		return add_tag(p, f, e, ref, ref->tag, err);
	err_set(err, DRAY_ERR_USAGE, "which tags of %s?", e->source);
	return err_hint(err, "\"tags\":[\"*\"] means all of them");
}

static int add_entry(dray_context *ctx, struct sync_plan *p, const struct sync_file *f,
		     const struct sync_entry *e, dray_error **err)
{
	cleanup_place struct place from = { 0 };
	bool prefixed = place_prefixed(e->source);

	if ((prefixed ? place_parse(e->source, false, &from, err)
		      : place_registry(e->source, &from, err)) < 0)
		return err_ctx(err, "\"source\"");
	if (from.kind == PLACE_REGISTRY)
		return add_registry(ctx, p, f, e, &from.ref, err);
	if (e->n_tags)
		return err_set(err, DRAY_ERR_USAGE, "\"tags\" are for registries");
	return add_item(p, f, e, NULL, e->source, from.tag, err);
}

int sync_plan_make(dray_context *ctx, const struct sync_file *f, struct sync_plan *ret,
		   dray_error **err)
{
	*ret = (struct sync_plan){ 0 };
	for (size_t i = 0; i < f->n; i++)
		if (add_entry(ctx, ret, f, &f->entries[i], err) < 0) {
			sync_plan_clear(ret);
			return err_ctx(err, "%s", f->entries[i].where);
		}
	return 0;
}
