/* SPDX-License-Identifier: Apache-2.0
 *
 * For: manifests that come, with their tags, and manifests and tags that go.
 * Relies on: image/ for what a document names; one transaction for each request.
 * Promises: no manifest is there without what it needs, no tag without its manifest (R-06, G-09).
 * In a cache a manifest needs nothing: what it names comes when somebody asks for it.
 */
#include "serve/depot_priv.h"

#include <stdio.h>

#include "image/manifest.h"
#include "image/reference.h"

#define HOLDER_MAX DIGEST_TEXT /* with NUL: a digest or a tag */
#define TYPE_MAX 255 /* bytes of an artifact type, which every list of referrers repeats */

/* One request: what is stored, where, and as which row. */
struct putting {
	struct depot *d;
	const char *repo;
	const struct shelf_put *put;
	const struct manifest *m;
	struct digest digest;
	int64_t repo_id, id;
	bool is_new;
};

/* ---- before the transaction ---- */

/* What it is to those who look for referrers. */
static const char *artifact_type(const struct manifest *m)
{
	if (m->artifact_type && *m->artifact_type)
		return m->artifact_type;
	return m->kind == MANIFEST_IMAGE ? m->config.media_type : NULL;
}

static int parse(const struct shelf_put *put, struct manifest **ret, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	cleanup_error dray_error *why = NULL;
	const char *type;

	if (buf_add(&raw, put->bytes, err) < 0)
		return -1;
	if (manifest_parse(&raw, put->media_type, ret, &why) < 0) {
		if (dray_error_kind(why) == DRAY_ERR_NOMEM)
			return err_nomem(err);
		return shelf_refuse(err, SHELF_MANIFEST_INVALID, "%s", dray_error_message(why));
	}
	if ((*ret)->kind == MANIFEST_SCHEMA1)
		return shelf_refuse(err, SHELF_MANIFEST_INVALID,
				    "manifests of schema 1 are not stored here");
	type = artifact_type(*ret);
	if (type && strlen(type) > TYPE_MAX)
		return shelf_refuse(err, SHELF_MANIFEST_INVALID,
				    "an artifact type of more than %d bytes", TYPE_MAX);
	return 0;
}

static int name_of(const struct shelf_put *put, struct digest *ret, dray_error **err)
{
	enum digest_algo algo = digest_set(&put->digest) ? put->digest.algo : DIGEST_SHA256;
	cleanup_hash struct hash h = { 0 };

	if (algo != DIGEST_SHA256 && algo != DIGEST_SHA512)
		return shelf_refuse(err, SHELF_DIGEST_INVALID, "sha256 and sha512 are stored here");
	if (hash_init(&h, algo, err) < 0)
		return -1;
	hash_update(&h, put->bytes);
	if (hash_finish(&h, ret, err) < 0)
		return -1;
	if (digest_set(&put->digest) && !digest_eq(&put->digest, ret))
		return shelf_refuse(err, SHELF_DIGEST_INVALID, "the manifest sent is %s",
				    ret->text);
	return 0;
}

/* ---- in it ---- */

/* 1, 0 = there is none, -1. */
static int manifest_find(struct depot *d, int64_t repo, const struct digest *digest, int64_t *ret,
			 int64_t *ret_size, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&d->writer, Q_MANIFEST_FIND, err);
	int rc;

	if (!st)
		return -1;
	db_bind_int(st, 1, repo);
	db_bind_text(st, 2, span_str(digest->text));
	rc = db_step(st, err);
	if (rc > 0) {
		*ret = db_column_int(st, 0);
		*ret_size = db_column_int(st, 1);
	}
	return rc;
}

static void bind_or_null(struct db_stmt *st, int at, struct span text)
{
	if (text.len)
		db_bind_text(st, at, text);
	else
		db_bind_null(st, at);
}

static int add_row(struct putting *p, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&p->d->writer, Q_MANIFEST_ADD, err);
	const struct manifest *m = p->m;
	struct span notes = json_present(m->annotations) ? json_raw(m->annotations)
							 : span_of(NULL, 0);

	if (!st)
		return -1;
	db_bind_int(st, 1, p->repo_id);
	db_bind_text(st, 2, span_str(p->digest.text));
	db_bind_text(st, 3, span_str(m->media_type));
	db_bind_int(st, 4, (int64_t)p->put->bytes.len);
	bind_or_null(st, 5, span_str(m->subject.digest.text));
	bind_or_null(st, 6, span_str(artifact_type(m)));
	bind_or_null(st, 7, notes);
	db_bind_int(st, 8, depot_now(p->d));
	db_bind_blob(st, 9, p->put->bytes);
	if (db_run(st, err) < 0)
		return -1;
	p->id = db_last_key(p->d->writer.db);
	return 0;
}

static int again(struct putting *p, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&p->d->writer, Q_MANIFEST_AGAIN, err);

	if (!st)
		return -1;
	db_bind_int(st, 1, p->id);
	db_bind_text(st, 2, span_str(p->m->media_type));
	db_bind_int(st, 3, depot_now(p->d));
	return db_run(st, err);
}

static int put_row(struct putting *p, dray_error **err)
{
	int64_t size;
	int rc;

	if (depot_repo_need(p->d, p->repo, &p->repo_id, err) < 0)
		return -1;
	rc = manifest_find(p->d, p->repo_id, &p->digest, &p->id, &size, err);
	p->is_new = rc == 0;
	if (rc < 0)
		return -1;
	return p->is_new ? add_row(p, err) : again(p, err);
}

static int absent(const struct descriptor *d, dray_error **err)
{
	return shelf_refuse(err, SHELF_MANIFEST_BLOB_UNKNOWN, "the repository does not have %s",
			    d->digest.text);
}

static int check_size(const struct descriptor *d, int64_t size, dray_error **err)
{
	if (d->size == size)
		return 0;
	return shelf_refuse(err, SHELF_MANIFEST_BLOB_UNKNOWN,
			    "%s has %lld bytes, not %lld as the manifest says", d->digest.text,
			    (long long)size, (long long)d->size);
}

/* A damaged blob is as good as none: who pushes it again repairs it. */
static int need_blob(struct putting *p, const struct descriptor *d, dray_error **err)
{
	struct link l;
	int rc = depot_link_find(&p->d->writer, p->repo, &d->digest, &l, err);

	if (rc > 0)
		rc = depot_blob_there(p->d, &d->digest, l.size, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return d->media_type && mediatype_is_foreign(d->media_type) ? 0 : absent(d, err);
	if (check_size(d, l.size, err) < 0)
		return -1;
	return side_run(&p->d->writer, Q_HOLD_ADD, (int64_t[]){ l.repo, l.blob, p->id }, 3, err);
}

/* Whether a client that comes upon it asks for a manifest. */
static bool is_document(const struct descriptor *d)
{
	const char *type = d->media_type;

	return !type || !*type || mediatype_is_manifest(type) || mediatype_is_index(type) ||
	       mediatype_is_schema1(type);
}

/* An entry of an index is a manifest; of what some keep there instead, a blob. */
static int need_part(struct putting *p, const struct descriptor *d, dray_error **err)
{
	int64_t part, size;
	int rc = manifest_find(p->d, p->repo_id, &d->digest, &part, &size, err);

	if (rc == 0)
		return is_document(d) ? absent(d, err) : need_blob(p, d, err);
	if (rc < 0 || check_size(d, size, err) < 0)
		return -1;
	return side_run(&p->d->writer, Q_PART_ADD, (int64_t[]){ p->id, part }, 2, err);
}

static int put_needs(struct putting *p, dray_error **err)
{
	const struct manifest *m = p->m;

	if (digest_set(&m->config.digest) && need_blob(p, &m->config, err) < 0)
		return -1;
	for (size_t i = 0; i < m->n_entries; i++) {
		const struct descriptor *d = &m->entries[i];

		if ((m->kind == MANIFEST_INDEX ? need_part(p, d, err) : need_blob(p, d, err)) < 0)
			return -1;
	}
	return 0;
}

/* With --immutable-tags: a tag that names something else stays (R-10: looked at here, at commit). */
static int check_tag(struct putting *p, const char *tag, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&p->d->writer, Q_TAG_FIND, err);
	int rc;

	if (!st)
		return -1;
	db_bind_int(st, 1, p->repo_id);
	db_bind_text(st, 2, span_str(tag));
	rc = db_step(st, err);
	if (rc <= 0 || db_column_int(st, 0) == p->id)
		return rc < 0 ? -1 : 0;
	return shelf_refuse(err, SHELF_DENIED, "tag %s is set, and tags do not change here", tag);
}

static int put_tag(struct putting *p, const char *tag, dray_error **err)
{
	cleanup_reset struct db_stmt *st = NULL;

	if (p->d->o.immutable_tags && check_tag(p, tag, err) < 0)
		return -1;
	st = side_query(&p->d->writer, Q_TAG_SET, err);
	if (!st)
		return -1;
	db_bind_int(st, 1, p->repo_id);
	db_bind_text(st, 2, span_str(tag));
	db_bind_int(st, 3, p->id);
	return db_run(st, err);
}

static int put_tags(struct putting *p, dray_error **err)
{
	for (size_t i = 0; i < p->put->n_tags; i++)
		if (put_tag(p, p->put->tags[i], err) < 0)
			return -1;
	return 0;
}

static int put_all(struct putting *p, dray_error **err)
{
	if (depot_begin(p->d, err) < 0)
		return -1;
	if (put_row(p, err) < 0 || (!p->d->cache && put_needs(p, err) < 0) ||
	    put_tags(p, err) < 0) {
		depot_abort(p->d);
		return depot_disk_failed(err);
	}
	return depot_commit(p->d, err);
}

int depot_put(struct shelf *s, const char *repo, const struct shelf_put *put,
	      struct shelf_stored *ret, dray_error **err)
{
	struct putting p = { .d = depot_of(s), .repo = repo, .put = put };
	cleanup_manifest struct manifest *m = NULL;
	int64_t size = (int64_t)put->bytes.len;
	int rc;

	if (parse(put, &m, err) < 0 || name_of(put, &p.digest, err) < 0 ||
	    depot_disk_has_room(p.d, err) < 0 || depot_take_space(p.d, size, err) < 0)
		return -1;
	p.m = m;
	rc = put_all(&p, err);
	if (rc < 0 || !p.is_new)
		depot_give_space(p.d, size);
	if (rc == 0)
		*ret = (struct shelf_stored){ .digest = p.digest, .subject = m->subject.digest };
	return rc;
}

/* ---- going ---- */

static int unknown(dray_error **err)
{
	return shelf_refuse(err, SHELF_MANIFEST_UNKNOWN, "the repository has no such manifest");
}

/* With --immutable-tags, a name that is set stays, so what it names does, too. */
static int refuse_tagged(const char *tag, dray_error **err)
{
	return shelf_refuse(err, SHELF_KEPT, "tag %s is set, and tags stay here", tag);
}

/* The caller undoes it where it is refused. */
static int drop_tag(struct depot *d, int64_t repo, const char *tag, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&d->writer, Q_TAG_DROP, err);
	int64_t before = db_changed(d->writer.db);

	if (!st)
		return -1;
	db_bind_int(st, 1, repo);
	db_bind_text(st, 2, span_str(tag));
	if (db_run(st, err) < 0)
		return -1;
	if (db_changed(d->writer.db) == before)
		return unknown(err);
	return d->o.immutable_tags ? refuse_tagged(tag, err) : 0;
}

/* Whoever @q names first holds the manifest. 1 with its name in @ret, 0 = nobody, -1. */
static int held_by(struct depot *d, enum depot_query q, int64_t id, char ret[HOLDER_MAX],
		   dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&d->writer, q, err);
	struct span who;
	int rc;

	if (!st)
		return -1;
	db_bind_int(st, 1, id);
	rc = db_step(st, err);
	if (rc <= 0)
		return rc;
	who = db_column_text(st, 0);
	snprintf(ret, HOLDER_MAX, "%.*s", (int)who.len, (const char *)who.data);
	return 1;
}

static int check_free(struct depot *d, int64_t id, dray_error **err)
{
	char who[HOLDER_MAX];
	int rc = d->o.immutable_tags ? held_by(d, Q_TAG_WHO, id, who, err) : 0;

	if (rc != 0)
		return rc < 0 ? -1 : refuse_tagged(who, err);
	/* An index stays whole: what is part of one goes after it. */
	rc = held_by(d, Q_PART_WHO, id, who, err);
	if (rc > 0)
		shelf_refuse(err, SHELF_KEPT, "it is part of index %s: delete that first", who);
	return rc == 0 ? 0 : -1;
}

/* Its tags and its needs go with it (ON DELETE CASCADE). */
static int drop_manifest(struct depot *d, int64_t repo, const struct digest *digest,
			 int64_t *ret_size, dray_error **err)
{
	int64_t id;
	int rc = manifest_find(d, repo, digest, &id, ret_size, err);

	if (rc <= 0)
		return rc < 0 ? -1 : unknown(err);
	if (check_free(d, id, err) < 0 ||
	    side_run(&d->writer, Q_LINK_LET_GO, (int64_t[]){ id, depot_now(d) }, 2, err) < 0)
		return -1;
	return side_run(&d->writer, Q_MANIFEST_DROP, &id, 1, err);
}

static int drop(struct depot *d, const char *repo, const struct shelf_ref *ref, int64_t *ret_size,
		dray_error **err)
{
	int64_t id;
	int rc = depot_repo_find(&d->writer, repo, &id, err);

	if (rc <= 0)
		return rc < 0 ? -1 : unknown(err);
	return ref->tag ? drop_tag(d, id, ref->tag, err)
			: drop_manifest(d, id, &ref->digest, ret_size, err);
}

int depot_remove(struct shelf *s, const char *repo, const struct shelf_ref *ref, dray_error **err)
{
	struct depot *d = depot_of(s);
	int64_t size = 0;

	if (d->o.no_delete)
		return shelf_refuse(err, SHELF_UNSUPPORTED, "nothing can be deleted here");
	if (depot_begin(d, err) < 0)
		return -1;
	if (drop(d, repo, ref, &size, err) < 0) {
		depot_abort(d);
		return depot_disk_failed(err);
	}
	if (depot_commit(d, err) < 0)
		return -1;
	depot_give_space(d, size);
	return 0;
}
