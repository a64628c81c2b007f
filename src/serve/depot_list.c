/* SPDX-License-Identifier: Apache-2.0
 *
 * For: manifests that are asked for, and lists of repositories, tags and referrers.
 * Relies on: the reading connection, which sees whole requests only.
 * Promises: no list takes more memory than one page of it.
 */
#include "serve/depot_priv.h"

#include "base/mem.h"

/* ---- one manifest ---- */

static int read_doc(struct db_stmt *st, bool content, struct shelf_doc *ret, dray_error **err)
{
	struct span type = db_column_text(st, 1);

	if (digest_parse(db_column_text(st, 0), &ret->digest, err) < 0)
		return -1;
	ret->media_type = mem_strndup((const char *)type.data, type.len);
	if (!ret->media_type)
		return err_nomem(err);
	ret->size = db_column_int(st, 2);
	ret->bytes = BUF_INIT(LIMIT_MANIFEST);
	return content ? buf_add(&ret->bytes, db_column_blob(st, 3), err) : 0;
}

/* Which manifest it is, and when it was last used. */
struct doc_row {
	int64_t id, seen;
};

/* 1, 0 = there is none, -1. */
static int find_doc(struct depot *d, const char *repo, const struct shelf_ref *ref, bool content,
		    struct shelf_doc *ret, struct doc_row *row, dray_error **err)
{
	enum depot_query q = ref->tag ? Q_MANIFEST_BY_TAG : Q_MANIFEST_BY_DIGEST;
	cleanup_reset struct db_stmt *st = side_query(&d->reader, q, err);
	int rc;

	if (!st)
		return -1;
	db_bind_text(st, 1, span_str(repo));
	db_bind_text(st, 2, span_str(ref->tag ? ref->tag : ref->digest.text));
	rc = db_step(st, err);
	if (rc > 0 && read_doc(st, content, ret, err) < 0)
		return -1;
	if (rc > 0)
		*row = (struct doc_row){ db_column_int(st, 4), db_column_int(st, 5) };
	return rc;
}

int depot_manifest(struct shelf *s, const char *repo, const struct shelf_ref *ref, bool content,
		   struct shelf_doc *ret, dray_error **err)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	struct depot *d = depot_of(s);
	struct doc_row row;
	int rc;

	lock_take(d->reader.lock);
	rc = find_doc(d, repo, ref, content, &doc, &row, err);
	lock_drop(d->reader.lock);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return shelf_refuse(err, SHELF_MANIFEST_UNKNOWN,
				    "the repository has no such manifest");
	if (d->cache)
		cache_used(d, row.id, row.seen);
	*ret = doc;
	doc = (struct shelf_doc){ 0 };
	return 0;
}

/* ---- pages ---- */

/* All rows of @p st, whose first column is a name; it was asked for one more than fit. */
static int read_page(struct db_stmt *st, size_t max, struct shelf_page *ret, dray_error **err)
{
	int rc;

	ret->names = arena_array(&ret->arena, max ? max : 1, sizeof(*ret->names));
	if (!ret->names)
		return err_nomem(err);
	while ((rc = db_step(st, err)) > 0) {
		struct span name = db_column_text(st, 0);

		ret->more = ret->n == max;
		if (ret->more)
			return 0;
		ret->names[ret->n] = arena_strndup(&ret->arena, (const char *)name.data, name.len);
		if (!ret->names[ret->n++])
			return err_nomem(err);
	}
	return rc;
}

static size_t page_max(const struct shelf_part *part)
{
	return part->max < SHELF_PAGE_MAX ? part->max : SHELF_PAGE_MAX;
}

static int list_repositories(struct depot *d, const struct shelf_part *part, struct shelf_page *ret,
			     dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&d->reader, Q_REPO_LIST, err);

	if (!st)
		return -1;
	db_bind_text(st, 1, span_str(part->after));
	db_bind_int(st, 2, (int64_t)page_max(part) + 1);
	return read_page(st, page_max(part), ret, err);
}

int depot_repositories(struct shelf *s, const struct shelf_part *part, struct shelf_page *ret,
		       dray_error **err)
{
	cleanup_shelf_page struct shelf_page p = { 0 };
	struct depot *d = depot_of(s);
	int rc;

	lock_take(d->reader.lock);
	rc = list_repositories(d, part, &p, err);
	lock_drop(d->reader.lock);
	if (rc < 0)
		return -1;
	*ret = p;
	p = (struct shelf_page){ 0 };
	return 0;
}

/* Begin @p st, a query about one repository: its first parameter. */
static int bind_repo(struct depot *d, struct db_stmt *st, const char *repo, dray_error **err)
{
	int64_t id;
	int rc = depot_repo_find(&d->reader, repo, &id, err);

	if (rc < 0)
		return -1;
	if (rc == 0)
		return shelf_refuse(err, SHELF_NAME_UNKNOWN, "there is no such repository");
	db_bind_int(st, 1, id);
	return 0;
}

static int list_tags(struct depot *d, const char *repo, const struct shelf_part *part,
		     struct shelf_page *ret, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&d->reader, Q_TAG_LIST, err);

	if (!st || bind_repo(d, st, repo, err) < 0)
		return -1;
	db_bind_text(st, 2, span_str(part->after));
	db_bind_int(st, 3, (int64_t)page_max(part) + 1);
	return read_page(st, page_max(part), ret, err);
}

int depot_tags(struct shelf *s, const char *repo, const struct shelf_part *part,
	       struct shelf_page *ret, dray_error **err)
{
	cleanup_shelf_page struct shelf_page p = { 0 };
	struct depot *d = depot_of(s);
	int rc;

	lock_take(d->reader.lock);
	rc = list_tags(d, repo, part, &p, err);
	lock_drop(d->reader.lock);
	if (rc < 0)
		return -1;
	*ret = p;
	p = (struct shelf_page){ 0 };
	return 0;
}

/* ---- how much there is ---- */

static int read_counts(struct depot *d, struct shelf_state *ret, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&d->reader, Q_COUNTS, err);

	if (!st || db_step(st, err) < 0)
		return -1;
	ret->repositories = db_column_int(st, 0);
	ret->manifests = db_column_int(st, 1);
	ret->blobs = db_column_int(st, 2);
	return 0;
}

int depot_state(struct shelf *s, struct shelf_state *ret, dray_error **err)
{
	struct depot *d = depot_of(s);
	int rc;

	lock_take(d->reader.lock);
	rc = read_counts(d, ret, err);
	lock_drop(d->reader.lock);
	lock_take(d->sessions.lock);
	ret->bytes = d->space;
	ret->uploads = (int64_t)d->sessions.n;
	ret->quota = d->o.quota > 0 ? d->o.quota : -1;
	ret->collections = d->collected.runs;
	ret->collected_blobs = d->collected.blobs;
	ret->collected_bytes = d->collected.bytes;
	lock_drop(d->sessions.lock);
	return rc;
}

/* ---- referrers ---- */

static int read_referrer(struct db_stmt *st, struct arena *a, struct shelf_referrer *ret,
			 dray_error **err)
{
	struct span type = db_column_text(st, 1), artifact = db_column_text(st, 3);
	struct span notes = db_column_text(st, 4); /* empty where it was not asked for */

	if (digest_parse(db_column_text(st, 0), &ret->digest, err) < 0)
		return -1;
	ret->size = db_column_int(st, 2);
	ret->media_type = arena_strndup(a, (const char *)type.data, type.len);
	if (artifact.len)
		ret->artifact_type = arena_strndup(a, (const char *)artifact.data, artifact.len);
	if (notes.len)
		ret->annotations = arena_dup(a, notes);
	if (!ret->media_type || (artifact.len && !ret->artifact_type) ||
	    (notes.len && !ret->annotations.data))
		return err_nomem(err);
	return 0;
}

static int read_referrers(struct db_stmt *st, size_t max, struct shelf_referrers *ret,
			  dray_error **err)
{
	size_t bytes = 0;
	int rc;

	ret->list = arena_array(&ret->arena, max ? max : 1, sizeof(*ret->list));
	if (!ret->list)
		return err_nomem(err);
	while ((rc = db_step(st, err)) > 0) {
		/* Annotations can be as long as manifests. */
		bytes += db_column_text(st, 1).len + db_column_text(st, 3).len +
			 db_column_text(st, 4).len;
		ret->more = ret->n == max || (ret->n && bytes > LIMIT_MANIFEST);
		if (ret->more)
			return 0;
		if (read_referrer(st, &ret->arena, &ret->list[ret->n++], err) < 0)
			return -1;
	}
	return rc;
}

static int list_referrers(struct depot *d, const char *repo, const struct digest *subject,
			  const char *artifact_type, const struct shelf_part *part,
			  struct shelf_referrers *ret, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&d->reader, Q_REFERRERS, err);

	if (!st)
		return -1;
	db_bind_text(st, 1, span_str(repo));
	db_bind_text(st, 2, span_str(subject->text));
	if (artifact_type)
		db_bind_text(st, 3, span_str(artifact_type));
	else
		db_bind_null(st, 3);
	db_bind_text(st, 4, span_str(part->after));
	db_bind_int(st, 5, (int64_t)page_max(part) + 1);
	return read_referrers(st, page_max(part), ret, err);
}

int depot_referrers(struct shelf *s, const char *repo, const struct digest *subject,
		    const char *artifact_type, const struct shelf_part *part,
		    struct shelf_referrers *ret, dray_error **err)
{
	cleanup_shelf_referrers struct shelf_referrers r = { 0 };
	struct depot *d = depot_of(s);
	int rc;

	lock_take(d->reader.lock);
	rc = list_referrers(d, repo, subject, artifact_type, part, &r, err);
	lock_drop(d->reader.lock);
	if (rc < 0)
		return -1;
	*ret = r;
	r = (struct shelf_referrers){ 0 };
	return 0;
}

/* ---- manifests without a tag ---- */

static int list_untagged(struct depot *d, const char *repo, const struct shelf_part *part,
			 struct shelf_referrers *ret, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&d->reader, Q_UNTAGGED, err);

	if (!st || bind_repo(d, st, repo, err) < 0)
		return -1;
	if (part->after)
		db_bind_text(st, 2, span_str(part->after));
	else
		db_bind_null(st, 2);
	db_bind_int(st, 3, (int64_t)page_max(part) + 1);
	return read_referrers(st, page_max(part), ret, err);
}

int depot_untagged(struct shelf *s, const char *repo, const struct shelf_part *part,
		   struct shelf_referrers *ret, dray_error **err)
{
	cleanup_shelf_referrers struct shelf_referrers r = { 0 };
	struct depot *d = depot_of(s);
	int rc;

	lock_take(d->reader.lock);
	rc = list_untagged(d, repo, part, &r, err);
	lock_drop(d->reader.lock);
	if (rc < 0)
		return -1;
	*ret = r;
	r = (struct shelf_referrers){ 0 };
	return 0;
}
