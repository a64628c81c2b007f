/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      what refers to a manifest: the referrers API, and the tag that stands in for it.
 * Relies:   on listing.h for pages, on the manifest documents for what they say of themselves.
 * Promises: a list is a claim: whoever copies looks at each subject. An index that stands in for the API
 *           keeps what others put into it, byte for byte.
 */
#include "remote/referrers.h"

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "image/mediatype.h"
#include "remote/listing.h"

#define FALLBACK_HEX 64 /* of the digest's encoded part, by the distribution-spec */

/* "sha256-HEX", where registries without the API keep the list. */
static char *fallback_tag(const struct digest *d)
{
	const char *hex = digest_hex(d);

	return mem_printf("%.*s-%.*s", (int)(hex - d->text - 1), d->text, FALLBACK_HEX, hex);
}

/* ---- reading ---- */

void remote_referrers_clear(struct remote_referrers *l)
{
	mem_free(l->list);
	map_clear(&l->seen);
	arena_clear(&l->arena);
	*l = (struct remote_referrers){ 0 };
}

/* 1 = new, 0 = known. */
static int add(struct remote_referrers *l, const struct digest *d, dray_error **err)
{
	const char *key;

	if (map_find(&l->seen, span_str(d->text)))
		return 0;
	if (l->n >= LIMIT_INDEX_NODES)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d referrers (LIMIT_INDEX_NODES)",
			       LIMIT_INDEX_NODES);
	key = arena_strdup(&l->arena, d->text);
	if (!key || mem_grow(&l->list, l->n, &l->cap, sizeof(*l->list)) < 0)
		return err_nomem(err);
	if (map_put(&l->seen, span_str(key), l, err) < 0)
		return -1;
	l->list[l->n++] = *d;
	return 1;
}

static int add_entries(struct remote_referrers *l, const struct manifest *index, int64_t *fresh,
		       dray_error **err)
{
	for (size_t i = 0; i < index->n_entries; i++) {
		int rc = add(l, &index->entries[i].digest, err);

		if (rc < 0)
			return -1;
		*fresh += rc;
	}
	return 0;
}

static int page(void *arg, const struct http_response *head, struct span body,
		struct listing_gain *gain, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	cleanup_manifest struct manifest *index = NULL;

	(void)head;
	if (buf_add(&raw, body, err) < 0 || manifest_parse(&raw, NULL, &index, err) < 0)
		return -1;
	if (index->kind != MANIFEST_INDEX)
		return err_set(err, DRAY_ERR_FORMAT, "a list of referrers is an index");
	gain->entries = (int64_t)index->n_entries;
	return add_entries(arg, index, &gain->fresh, err);
}

/* 404 says that there is no such API; some registries find other words. */
static bool api_is_missing(const dray_error *e)
{
	switch (dray_error_http_status(e)) {
	case 400:
	case 404:
	case 405:
	case 406:
	case 501:
		return true;
	default:
		return false;
	}
}

/* What stands at the fallback tag: 1 = *ret, 0 = nothing, -1. */
static int get_fallback(struct remote *r, const struct digest *subject, struct manifest **ret,
			dray_error **err)
{
	cleanup_free char *tag = fallback_tag(subject);
	cleanup_error dray_error *e = NULL;

	if (!tag)
		return err_nomem(err);
	if (remote_get_manifest(r, tag, ret, &e) == 0)
		return 1;
	if (dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int by_tag(struct remote *r, const struct digest *subject, struct remote_referrers *ret,
		  dray_error **err)
{
	cleanup_manifest struct manifest *index = NULL;
	int64_t fresh = 0;
	int rc = get_fallback(r, subject, &index, err);

	if (rc <= 0 || index->kind != MANIFEST_INDEX)
		return rc < 0 ? -1 : 0;
	return add_entries(ret, index, &fresh, err);
}

static int by_api(struct remote *r, const struct digest *subject, struct remote_referrers *ret,
		  dray_error **err)
{
	cleanup_free char *rest = mem_printf("/v2/%s/referrers/%s", r->ref.path, subject->text);
	const struct listing q = {
		.rest = rest,
		.what = "list referrers",
		.accept = MT_OCI_INDEX,
		.max = LIMIT_MANIFEST,
		.page = page,
		.arg = ret,
	};

	return rest ? listing_walk(r, &q, err) : err_nomem(err);
}

int remote_referrers(struct remote *r, const struct digest *subject, struct remote_referrers *ret,
		     dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	*ret = (struct remote_referrers){ 0 };
	if (by_api(r, subject, ret, &e) == 0)
		return 0;
	if (api_is_missing(e)) {
		if (by_tag(r, subject, ret, err) == 0)
			return 0;
	} else if (err) {
		*err = steal_pointer(&e);
	}
	remote_referrers_clear(ret);
	return -1;
}

/* ---- writing ---- */

static const char *artifact_type(const struct manifest *m)
{
	return m->artifact_type		   ? m->artifact_type
	       : m->kind == MANIFEST_IMAGE ? m->config.media_type
					   : NULL;
}

static int write_entry(const struct manifest *m, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf notes = BUF_INIT(LIMIT_MANIFEST);
	const char *type = artifact_type(m);
	struct jsonw w;

	if (json_node(m->annotations) && json_compact(m->annotations, &notes, err) < 0)
		return -1;
	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_kstring(&w, "mediaType", m->media_type);
	jsonw_kstring(&w, "digest", m->digest.text);
	jsonw_kint(&w, "size", (int64_t)m->raw.len);
	if (type)
		jsonw_kstring(&w, "artifactType", type);
	if (notes.len) {
		jsonw_key(&w, "annotations");
		jsonw_raw(&w, span_buf(&notes));
	}
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

static int empty_index(struct manifest **ret, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);

	if (buf_add_str(&raw,
			"{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX "\",\"manifests\":[]}",
			err) < 0)
		return -1;
	return manifest_parse(&raw, MT_OCI_INDEX, ret, err);
}

static bool lists(const struct manifest *index, const struct digest *d)
{
	for (size_t i = 0; i < index->n_entries; i++)
		if (digest_eq(&index->entries[i].digest, d))
			return true;
	return false;
}

static int add_to_fallback(struct remote *r, const struct manifest *m, const char *tag,
			   dray_error **err)
{
	cleanup_buf struct buf entry = BUF_INIT(LIMIT_MANIFEST);
	cleanup_manifest struct manifest *old = NULL, *new = NULL;
	int there = get_fallback(r, &m->subject.digest, &old, err);

	if (there < 0 || (!there && empty_index(&old, err) < 0))
		return -1;
	if (old->kind != MANIFEST_INDEX)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "it holds no index");
	if (lists(old, &m->digest))
		return 0;
	if (write_entry(m, &entry, err) < 0 || index_append(old, span_buf(&entry), &new, err) < 0)
		return -1;
	return remote_put_manifest(r, new, tag, err);
}

int remote_announce(struct remote *r, const struct manifest *m, dray_error **err)
{
	cleanup_free char *tag = fallback_tag(&m->subject.digest);

	if (!tag)
		return err_nomem(err);
	if (add_to_fallback(r, m, tag, err) < 0)
		return err_ctx(err, "list of referrers at tag %s", tag);
	return 0;
}
