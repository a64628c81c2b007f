/* SPDX-License-Identifier: Apache-2.0
 *
 * For: answering for images of other places: lists, documents, blobs, referrers.
 * Relies on images_add.c for what there is; on stores for the bytes of layers.
 * Promises: nothing is written, nothing changes after the start; a blob is found only in
 * repositories that name it.
 */
#include "base/io.h"
#include "base/mem.h"
#include "serve/images_priv.h"

#define REFERRERS_BYTES (4 * 1024 * 1024) /* of texts on one page; one is always given */

/* ---- lists ---- */

/* Index of the first of @p n names that sorts behind @p after. */
static size_t first_behind(const char *(*name)(const void *list, size_t i), const void *list,
			   size_t n, const char *after)
{
	size_t low = 0;

	while (after && low < n) {
		size_t mid = low + (n - low) / 2;

		if (strcmp(name(list, mid), after) > 0)
			n = mid;
		else
			low = mid + 1;
	}
	return low;
}

static int page_of(const char *(*name)(const void *list, size_t i), const void *list, size_t n,
		   const struct shelf_part *part, struct shelf_page *ret, dray_error **err)
{
	size_t at = first_behind(name, list, n, part->after);
	size_t take = n - at < part->max ? n - at : part->max;

	ret->names = arena_array(&ret->arena, take + 1, sizeof(*ret->names));
	if (!ret->names)
		return err_nomem(err);
	for (size_t i = 0; i < take; i++) {
		ret->names[i] = arena_strdup(&ret->arena, name(list, at + i));
		if (!ret->names[i])
			return err_nomem(err);
	}
	ret->n = take;
	ret->more = at + take < n;
	return 0;
}

static const char *repo_name_at(const void *list, size_t i)
{
	struct repo *const *repos = list;

	return repos[i]->name;
}

static const char *tag_at(const void *list, size_t i)
{
	struct named *const *tags = list;

	return tags[i]->tag;
}

static int images_repositories(struct shelf *base, const struct shelf_part *part,
			       struct shelf_page *ret, dray_error **err)
{
	struct images_shelf *s = (struct images_shelf *)base;

	return page_of(repo_name_at, s->sorted, s->repos.len, part, ret, err);
}

static int images_tags(struct shelf *base, const char *name, const struct shelf_part *part,
		       struct shelf_page *ret, dray_error **err)
{
	const struct repo *r = images_find_repo((struct images_shelf *)base, name);

	if (!r)
		return shelf_refuse(err, SHELF_NAME_UNKNOWN, "no such repository");
	return page_of(tag_at, r->sorted, r->tags.len, part, ret, err);
}

/* ---- documents ---- */

static const struct doc *find_doc(const struct repo *r, const struct shelf_ref *ref)
{
	const struct named *t;

	if (!ref->tag)
		return map_get(&r->docs, span_str(ref->digest.text));
	t = map_get(&r->tags, span_str(ref->tag));
	return t ? t->docs[0] : NULL;
}

static int images_manifest(struct shelf *base, const char *name, const struct shelf_ref *ref,
			   bool content, struct shelf_doc *ret, dray_error **err)
{
	const struct repo *r = images_find_repo((struct images_shelf *)base, name);
	const struct doc *d = r ? find_doc(r, ref) : NULL;

	if (!d)
		return shelf_refuse(err, SHELF_MANIFEST_UNKNOWN, "no such manifest");
	ret->digest = d->digest;
	ret->size = (int64_t)d->bytes.len;
	ret->bytes = BUF_INIT(d->bytes.len);
	ret->media_type = mem_strdup(d->media_type);
	if (!ret->media_type)
		return err_nomem(err);
	return content ? buf_add(&ret->bytes, d->bytes, err) : 0;
}

/* ---- blobs ---- */

/* Whether @p fd still has the bytes before @p end. */
static int check_end(int fd, int64_t end, dray_error **err)
{
	struct stat st;

	if (io_fstat(fd, &st, err) < 0)
		return -1;
	if (st.st_size >= end)
		return 0;
	return err_set(err, DRAY_ERR_CORRUPT, "a file is shorter than at the start");
}

/* The kernel can send what lies in a file as it is served. */
static int as_extent(struct source *data, struct shelf_blob *ret, dray_error **err)
{
	cleanup_fd int fd = -1;
	int64_t len;
	int rc = source_own_extent(data, &fd, &ret->off, &len, err);

	if (rc <= 0)
		return rc;
	if (len != ret->size)
		return err_set(err, DRAY_ERR_CORRUPT, "a layer has another size than at the start");
	if (check_end(fd, ret->off + len, err) < 0)
		return -1;
	ret->fd = steal_fd(&fd);
	return 1;
}

static int open_layer(const struct held *h, struct shelf_blob *ret, dray_error **err)
{
	cleanup_source struct source *data = store_open_layer(h->store, h->image, h->layer, err);
	int sent;

	if (!data)
		return -1;
	sent = h->decode ? 0 : as_extent(data, ret, err);
	if (sent != 0)
		return sent < 0 ? -1 : 0;
	ret->data = steal_pointer(&data);
	ret->packed = h->decode;
	return 0;
}

static int images_blob(struct shelf *base, const char *name, const struct digest *digest,
		       bool content, struct shelf_blob *ret, dray_error **err)
{
	const struct repo *r = images_find_repo((struct images_shelf *)base, name);
	const struct held *h = r ? map_get(&r->blobs, span_str(digest->text)) : NULL;

	if (!h)
		return shelf_refuse(err, SHELF_BLOB_UNKNOWN, "no such blob");
	ret->size = h->size;
	if (!content)
		return 0;
	if (h->store)
		return open_layer(h, ret, err);
	ret->data = source_from_span(h->bytes, err);
	return ret->data ? 0 : -1;
}

/* ---- referrers ---- */

static bool refers(const struct doc *d, const struct digest *subject, const char *type)
{
	return digest_eq(&d->subject, subject) &&
	       (!type || (d->artifact_type && strcmp(d->artifact_type, type) == 0));
}

static int add_referrer(struct shelf_referrers *list, const struct doc *d, dray_error **err)
{
	struct shelf_referrer *r = &list->list[list->n++];

	*r = (struct shelf_referrer){ .digest = d->digest, .size = (int64_t)d->bytes.len };
	r->media_type = arena_strdup(&list->arena, d->media_type);
	r->artifact_type = d->artifact_type ? arena_strdup(&list->arena, d->artifact_type) : NULL;
	if (d->annotations.len > 0)
		r->annotations = arena_dup(&list->arena, d->annotations);
	if (!r->media_type || (d->artifact_type && !r->artifact_type) ||
	    (d->annotations.len > 0 && !r->annotations.data))
		return err_nomem(err);
	return 0;
}

static int images_referrers(struct shelf *base, const char *name, const struct digest *subject,
			    const char *type, const struct shelf_part *part,
			    struct shelf_referrers *ret, dray_error **err)
{
	const struct repo *r = images_find_repo((struct images_shelf *)base, name);
	size_t bytes = 0;

	ret->list = arena_array(&ret->arena, part->max + 1, sizeof(*ret->list));
	if (!ret->list)
		return err_nomem(err);
	for (size_t i = 0; r && i < r->docs.len; i++) {
		const struct doc *d = r->by_digest[i];

		if (!refers(d, subject, type) ||
		    (part->after && strcmp(d->digest.text, part->after) <= 0))
			continue;
		bytes += d->annotations.len + (d->artifact_type ? strlen(d->artifact_type) : 0);
		ret->more = ret->n == part->max || (ret->n > 0 && bytes > REFERRERS_BYTES);
		if (ret->more)
			break;
		if (add_referrer(ret, d, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- manifests without a tag ---- */

static const char *untagged_at(const void *list, size_t i)
{
	struct doc *const *docs = list;

	return docs[i]->digest.text;
}

static int images_untagged(struct shelf *base, const char *name, const struct shelf_part *part,
			   struct shelf_referrers *ret, dray_error **err)
{
	const struct repo *r = images_find_repo((struct images_shelf *)base, name);
	size_t at;

	if (!r)
		return shelf_refuse(err, SHELF_NAME_UNKNOWN, "no such repository");
	ret->list = arena_array(&ret->arena, part->max + 1, sizeof(*ret->list));
	if (!ret->list)
		return err_nomem(err);
	at = first_behind(untagged_at, r->untagged, r->n_untagged, part->after);
	for (; at < r->n_untagged && ret->n < part->max; at++)
		if (add_referrer(ret, r->untagged[at], err) < 0)
			return -1;
	ret->more = at < r->n_untagged;
	return 0;
}

/* ---- the shelf ---- */

static void images_free_shelf(struct shelf *base)
{
	struct images_shelf *s = (struct images_shelf *)base;

	for (size_t i = 0; i < s->repos.len; i++) {
		struct repo *r = s->repos.slots[i].value;

		for (size_t t = 0; t < r->tags.len; t++)
			mem_free(((struct named *)r->tags.slots[t].value)->docs);
		map_clear(&r->tags);
		map_clear(&r->docs);
		map_clear(&r->blobs);
	}
	map_clear(&s->repos);
	map_clear(&s->docs);
	for (struct images_place *p = s->places; p; p = p->next) {
		images_free(p->images, p->n);
		store_free(p->store);
	}
	arena_clear(&s->arena);
	mem_free(s);
}

static int images_state(struct shelf *base, struct shelf_state *ret, dray_error **err)
{
	const struct images_shelf *s = (const struct images_shelf *)base;

	(void)err;
	ret->repositories = (int64_t)s->repos.len;
	ret->manifests = (int64_t)s->docs.len;
	return 0;
}

static const struct shelf_ops images_ops = {
	.repositories = images_repositories,
	.tags = images_tags,
	.manifest = images_manifest,
	.blob = images_blob,
	.referrers = images_referrers,
	.untagged = images_untagged,
	.state = images_state,
	.free = images_free_shelf,
};

struct images_shelf *images_shelf_new(dray_error **err)
{
	struct images_shelf *s = mem_zalloc(sizeof(*s));

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->base.ops = &images_ops;
	return s;
}

struct shelf *images_shelf_base(struct images_shelf *s)
{
	return &s->base;
}
