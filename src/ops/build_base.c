/* SPDX-License-Identifier: Apache-2.0
 *
 * What an image is built upon: nothing, or another image, whose layers stay.
 * Relies on ops/stack for its files.
 * Promises that only what differs in effect from the base is stored again.
 */
#include "ops/build.h"

#include <stdlib.h>

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "build/config_make.h"
#include "layer/sparse.h"
#include "ops/stack_priv.h"
#include "store/assemble.h"

#define BASE_NAME "org.opencontainers.image.base.name"
#define BASE_DIGEST "org.opencontainers.image.base.digest"
#define TAG_DIGITS 32 /* of the image ID, where no tag was given */

/* ---- opening ---- */

/* A stack of no layers, whose place is nowhere. */
static int open_scratch(struct build *b, dray_error **err)
{
	struct stack *s = b->base = mem_zalloc(sizeof(*s));
	dray_report *r = s ? s->report = mem_zalloc(sizeof(*r)) : NULL;

	if (!r)
		return err_nomem(err);
	s->ctx = b->ctx;
	r->store = store_memory_new(err);
	r->images = r->store ? mem_zalloc(sizeof(*r->images)) : NULL;
	if (!r->images)
		return r->store ? err_nomem(err) : -1;
	if (image_new("the new image", &r->images[0], err) < 0)
		return -1;
	r->n_images = 1;
	s->im = r->images[0];
	return 0;
}

static int select_text(struct build *b, const char **ret, dray_error **err)
{
	const struct spec_select *s = &b->spec->base.select;

	*ret = s->digest ? s->digest : s->tag;
	if (!s->set || *ret || !s->index.set)
		return 0;
	*ret = arena_printf(&b->arena, "@%lld", (long long)s->index.v);
	return *ret ? 0 : err_nomem(err);
}

static int check_platform(struct build *b, dray_error **err)
{
	const struct platform *have = &b->base->im->config->platform;
	struct platform want;

	if (!b->spec->platform)
		return 0;
	if (platform_parse(b->spec->platform, &b->arena, &want, err) < 0)
		return -1;
	if (platform_match(&want, have))
		return 0;
	cleanup_free char *text = platform_text(have);
	return err_set(err, DRAY_ERR_USAGE, "%s is for %s, the spec for %s", b->base->im->where,
		       text ? text : "", b->spec->platform);
}

static void on_odd(void *arg, const struct tree_oddity *o)
{
	context_log(arg, DRAY_LOG_INFO, "%s: %s", o->code, o->path);
}

/* Of an index the image for the platform that the spec names. */
static int open_image(struct build *b, dray_error **err)
{
	const struct stack_options so = { 0 };
	struct dray_select sel = DRAY_SELECT_INIT;
	struct platform before = b->ctx->platform;
	int rc;

	if (select_text(b, &sel.image, err) < 0 ||
	    (b->spec->platform &&
	     platform_parse(b->spec->platform, &b->arena, &b->ctx->platform, err) < 0))
		return -1;
	rc = stack_open(b->ctx, b->spec->base.image, &sel, &so, &b->base, err);
	b->ctx->platform = before;
	if (rc < 0 || check_platform(b, err) < 0)
		return -1;
	return stack_tree(b->base, b->base->n, &b->lower, err);
}

int build_open_base(struct build *b, dray_error **err)
{
	if (b->spec->base.set ? open_image(b, err) < 0 : open_scratch(b, err) < 0)
		return b->spec->base.set ? err_ctx(err, "base") : -1;
	b->tree = tree_new(on_odd, b->ctx, err);
	for (size_t i = 0; b->tree && i < b->base->n; i++)
		if (tree_apply(b->tree, b->base->index[i], err) < 0)
			return -1;
	b->n_base = (uint32_t)b->base->n;
	return b->tree ? 0 : -1;
}

/* ---- what the base has already ---- */

struct candidate {
	struct inode *mine;
	const struct layer_entry *theirs;
	size_t read; /* of the base's stack */
};
struct search {
	struct build *b;
	bool strict;
	struct candidate *list;
	size_t n, cap;
	const struct candidate *at; /* of those that pass */
};

static bool same_place(const struct candidate *a, const struct candidate *b)
{
	return a->read == b->read && a->theirs->data_off == b->theirs->data_off;
}

static bool same_attributes(const struct search *s, const struct node *a, const struct node *b)
{
	const struct layer_entry *x = node_attributes(a), *y = node_attributes(b);

	return (x->mode == y->mode || node_type(a) == TAR_SYMLINK) && x->uid == y->uid &&
	       x->gid == y->gid && layer_xattrs_same(x->xattrs, y->xattrs) &&
	       (!s->strict || (x->mtime == y->mtime && x->mtime_nsec == y->mtime_nsec));
}

static bool is_file(enum tar_type t)
{
	return t == TAR_FILE || t == TAR_SPARSE;
}

static bool same_data(const struct node *a, const struct node *b)
{
	const struct layer_entry *x = a->inode->data, *y = b->inode->data;

	switch (node_type(a)) {
	case TAR_SYMLINK:
		return strcmp(x->link, y->link) == 0;
	case TAR_CHAR:
	case TAR_BLOCK_DEV:
		return x->dev_major == y->dev_major && x->dev_minor == y->dev_minor;
	case TAR_FILE:
		return x->size == layer_entry_size(y);
	default:
		return true;
	}
}

/* A file of several names is written whole: a link to a layer below cannot be unpacked. */
static int compare(struct search *s, struct node *n, const struct node *old, dray_error **err)
{
	const struct stack *base = s->b->base;

	if ((node_type(n) != node_type(old) &&
	     !(is_file(node_type(n)) && is_file(node_type(old)))) ||
	    n->inode->n_names > 1 || !same_attributes(s, n, old) || !same_data(n, old))
		return 0;
	if (node_type(n) != TAR_FILE || n->inode->data->size == 0) {
		n->inode->mark = DEAL_SAME;
		s->b->n_same++;
		return 0;
	}
	if (mem_grow(&s->list, s->n, &s->cap, sizeof(*s->list)) < 0)
		return err_nomem(err);
	s->list[s->n++] = (struct candidate){ n->inode, old->inode->data,
					      base->which[old->inode->data_layer] };
	return 0;
}

static int find_candidates(struct search *s, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);

	for (struct node *n = tree_root(s->b->tree); n; n = tree_next(n)) {
		const struct node *old;

		if (!n->parent || !n->entry || n->layer < s->b->n_base)
			continue;
		if (node_path(n, &path, err) < 0)
			return -1;
		old = tree_find(s->b->lower, (const char *)path.data);
		if (old && compare(s, n, old, err) < 0)
			return -1;
	}
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->read != y->read)
		return x->read < y->read ? -1 : 1;
	return (x->theirs->data_off > y->theirs->data_off) -
	       (x->theirs->data_off < y->theirs->data_off);
}

/*
 * Theirs pass, ours are read: the base's layer is decoded once. Names of one file, and those of
 * equal layers, have one place, which passes once for all files that are held against it.
 */
static int on_file(void *arg, size_t read, const struct layer_entry *e, struct source *data,
		   dray_error **err)
{
	struct search *s = arg;
	const struct candidate *first = s->at, *end = s->list + s->n;
	cleanup_hash struct hash theirs = { 0 };
	cleanup_source struct source *full = source_lend(data, err);
	struct digest x, y;

	(void)read;
	if (full && e->sparse)
		full = sparse_expand(steal_pointer(&full), e->sparse, err);
	if (!full || hash_init(&theirs, DIGEST_SHA256, err) < 0)
		return -1;
	full = source_hash(steal_pointer(&full), &theirs, err);
	if (!full || source_drain(full, err) < 0 || hash_finish(&theirs, &y, err) < 0)
		return -1;
	for (; s->at < end && same_place(s->at, first); s->at++) {
		const struct layer_entry *mine = s->at->mine->data;

		if (build_content(s->b, mine->data_off, mine->size, &x, err) < 0)
			return -1;
		if (!digest_eq(&x, &y))
			continue;
		s->at->mine->mark = DEAL_SAME;
		s->b->n_same++;
	}
	return 0;
}

static int compare_files(struct search *s, dray_error **err)
{
	const struct layer_entry **list = arena_array(&s->b->arena, s->n + 1,
						      sizeof(struct layer_entry *));

	if (!list)
		return err_nomem(err);
	if (s->n)
		qsort(s->list, s->n, sizeof(*s->list), by_place);
	for (size_t first = 0, end; first < s->n; first = end) {
		size_t n = 0;

		for (end = first; end < s->n && s->list[end].read == s->list[first].read; end++)
			if (end == first || !same_place(&s->list[end], &s->list[end - 1]))
				list[n++] = s->list[end].theirs;
		s->at = &s->list[first];
		if (stack_pass_files(s->b->base, s->list[first].read, list, n, on_file, s, err) < 0)
			return err_ctx(err, "base");
	}
	return 0;
}

int build_dedupe(struct build *b, dray_error **err)
{
	const char *how = b->spec->base.dedupe ? b->spec->base.dedupe : "content";
	struct search s = { .b = b, .strict = strcmp(how, "strict") == 0 };
	int rc;

	if (!b->lower || strcmp(how, "off") == 0)
		return 0;
	rc = find_candidates(&s, err) < 0 ? -1 : compare_files(&s, err);
	mem_free(s.list);
	return rc;
}

/* ---- what the image says of itself ---- */

static int new_platform(struct build *b, struct platform *ret, dray_error **err)
{
	if (b->spec->platform)
		return platform_parse(b->spec->platform, &b->arena, ret, err);
	if (b->ctx->platform.os)
		*ret = b->ctx->platform;
	else
		platform_host(ret);
	return 0;
}

int build_set_config(struct build *b, dray_error **err)
{
	struct image *im = b->base->im;
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);
	struct config_make m = { .spec = b->spec, .base = im->config, .created = b->created };
	struct config *c;

	if ((!im->config && new_platform(b, &m.platform, err) < 0) ||
	    config_make(&m, &text, err) < 0 || config_parse(&text, &c, err) < 0)
		return -1;
	if (m.dropped_onbuild)
		context_log(b->ctx, DRAY_LOG_WARNING,
			    "the base's ONBUILD triggers do not run and are left out");
	config_free(im->config);
	im->config = c;
	im->n_tags = 0;
	return 0;
}

/* ---- names ---- */

static int lower_name(struct build *b, const char **ret, dray_error **err)
{
	char *name = arena_strdup(&b->arena, b->spec->name);
	cleanup_reference struct reference ref = { 0 };
	bool changed = false;

	if (!name)
		return err_nomem(err);
	for (char *c = name; *c; c++) {
		changed = changed || *c != ascii_lower(*c);
		*c = ascii_lower(*c);
	}
	if (reference_parse(span_str(name), &ref, err) < 0)
		return err_ctx(err, "name");
	if (ref.tag || digest_set(&ref.digest))
		return err_set(err, DRAY_ERR_USAGE, "name: the tag goes to \"tag\"");
	if (changed && b->spec->strict_name)
		return err_set(err, DRAY_ERR_USAGE,
			       "name: \"%s\" has capitals, and names have none", b->spec->name);
	if (changed)
		context_log(b->ctx, DRAY_LOG_WARNING,
			    "name: \"%s\" becomes \"%s\": names have no capitals", b->spec->name,
			    name);
	*ret = name;
	return 0;
}

static int add_tag(struct build *b, const char *name, const char *tag, dray_error **err)
{
	const char *full = arena_printf(&b->arena, "%s:%s", name, tag);

	if (!reference_tag_valid(span_str(tag))) {
		cleanup_free char *shown = text_safe(span_str(tag), 200);

		return err_set(err, DRAY_ERR_USAGE, "\"%s\" is no tag", shown ? shown : "");
	}
	return full ? image_add_tag(b->base->im, full, NULL, err) : err_nomem(err);
}

int build_set_tags(struct build *b, struct span config, dray_error **err)
{
	const struct spec *s = b->spec;
	struct digest id;
	const char *name = NULL;
	char tag[TAG_DIGITS + 1];

	b->base->im->n_tags = 0;
	if (!s->name)
		return 0;
	if (lower_name(b, &name, err) < 0)
		return -1;
	for (size_t i = 0; i < s->tags.n; i++)
		if (add_tag(b, name, s->tags.list[i], err) < 0)
			return -1;
	if (s->tags.n)
		return 0;
	if (s->tag)
		return add_tag(b, name, s->tag, err);
	if (digest_of(config, &id, err) < 0)
		return -1;
	snprintf(tag, sizeof(tag), "%.*s", TAG_DIGITS, strchr(id.text, ':') + 1);
	return add_tag(b, name, tag, err);
}

/* ---- annotations ---- */

static bool is_said(const struct spec *s, const char *name)
{
	for (size_t i = 0; i < s->annotations.n; i++)
		if (strcmp(s->annotations.list[i].name, name) == 0)
			return true;
	return false;
}

static int write_base(struct build *b, struct jsonw *w, dray_error **err)
{
	const struct manifest *m = stack_manifest(b->base);
	const struct place *p = &b->base->report->place;

	if (b->base->n > 0 && !is_said(b->spec, BUILD_BASE_LAYERS) &&
	    b->spec->layers.annotate != SPEC_NO) {
		cleanup_free char *count = mem_printf("%zu", b->base->n);

		if (!count)
			return err_nomem(err);
		jsonw_kstring(w, BUILD_BASE_LAYERS, count);
	}
	if (!m)
		return 0;
	if (!is_said(b->spec, BASE_DIGEST))
		jsonw_kstring(w, BASE_DIGEST, m->digest.text);
	if (p->kind == PLACE_REGISTRY && !is_said(b->spec, BASE_NAME)) {
		struct reference plain = p->ref;

		plain.digest = (struct digest){ 0 };
		cleanup_free char *name = reference_text(&plain);
		if (!name)
			return err_nomem(err);
		jsonw_kstring(w, BASE_NAME, name);
	}
	return 0;
}

/* Those that are not null. */
static void write_pairs(struct jsonw *w, const struct spec_pairs *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (span_is(p->list[i].json, "null"))
			continue;
		jsonw_key(w, p->list[i].name);
		jsonw_raw(w, p->list[i].json);
	}
}

static int write_manifest(struct build *b, bool docker, struct buf *ret, dray_error **err)
{
	const struct config *c = b->base->im->config;
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schemaVersion", 2);
	jsonw_kstring(&w, "mediaType", docker ? MT_DOCKER_MANIFEST : MT_OCI_MANIFEST);
	jsonw_key(&w, "config");
	jsonw_object(&w);
	jsonw_kstring(&w, "mediaType", docker ? MT_DOCKER_CONFIG : MT_OCI_CONFIG);
	jsonw_kstring(&w, "digest", c->digest.text);
	jsonw_kint(&w, "size", (int64_t)c->raw.len);
	jsonw_end_object(&w);
	jsonw_key(&w, "layers");
	jsonw_array(&w);
	jsonw_end_array(&w);
	if (!docker) {
		jsonw_key(&w, "annotations");
		jsonw_object(&w);
		write_pairs(&w, &b->spec->annotations);
		if (write_base(b, &w, err) < 0)
			return -1;
		jsonw_end_object(&w);
	}
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

int build_annotations(struct build *b, struct manifest **ret, dray_error **err)
{
	const struct manifest *m = stack_manifest(b->base);
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);
	const struct spec *s = b->spec;
	bool docker = m && mediatype_is_docker(m->media_type) && s->annotations.n == 0 &&
		      s->index_annotations.n == 0 && s->layers.annotate != SPEC_YES;

	if (write_manifest(b, docker, &text, err) < 0)
		return -1;
	return manifest_parse(&text, NULL, ret, err);
}

int build_index_annotations(struct build *b, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);
	struct span kept;
	struct jsonw w;

	if (b->spec->index_annotations.n == 0)
		return 0;
	jsonw_init(&w, &text, err);
	jsonw_object(&w);
	write_pairs(&w, &b->spec->index_annotations);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	kept = arena_dup(&b->arena, span_buf(&text));
	if (!kept.data)
		return err_nomem(err);
	return kept.len > 2 ? json_parse(kept, &b->around, err) : 0;
}
