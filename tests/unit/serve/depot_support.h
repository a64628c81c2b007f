/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder of a registry in a temporary place, what is pushed to it, and what must always hold.
 */
#pragma once

#include "db_faults.h"

#include "base/limits.h"
#include "base/mem.h"
#include "image/manifest.h"
#include "db/db.h"
#include "serve/depot.h"

struct site {
	char *dir;  /* the temporary place */
	char *root; /* the folder in it, not there at first */
	int fd;	    /* of dir */
};

/* The clock of the tests. */
static int64_t site_seconds = 1000000;

static inline int64_t site_now(void)
{
	return site_seconds;
}

static inline void site_wipe(const struct site *t)
{
	remove_tree(t->root);
}

static inline int site_setup(void **state)
{
	static struct site t;

	t.dir = temp_dir_make(&t.fd);
	assert_true(asprintf(&t.root, "%s/root", t.dir) > 0);
	*state = &t;
	return 0;
}

static inline int site_teardown(void **state)
{
	struct site *t = *state;

	site_wipe(t);
	free(t->root);
	temp_dir_remove(t->dir, t->fd);
	return 0;
}

#define site_test(fn) cmocka_unit_test_setup_teardown(fn, site_setup, site_teardown)

/* Is there such a thing in the temporary place? */
static inline bool there(const struct site *t, const char *path)
{
	struct stat st;

	return fstatat(t->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline int site_try(const struct site *t, struct depot_options o, struct shelf **ret,
			   dray_error **err)
{
	o.now = site_now;
	return depot_open(t->root, &o, ret, err);
}

static inline struct shelf *site_open_with(const struct site *t, struct depot_options o)
{
	struct shelf *s = NULL;
	dray_error *err = NULL;

	assert_ok(site_try(t, o, &s, &err), err);
	return s;
}

static inline struct shelf *site_open(const struct site *t)
{
	return site_open_with(t, (struct depot_options){ 0 });
}

/* ---- pushing; all return what the shelf says ---- */

static inline struct digest digest_text_of(const char *text)
{
	struct digest d;

	assert_int_equal(digest_of(span_str(text), &d, NULL), 0);
	return d;
}

static inline int push_blob_as(struct shelf *s, const char *repo, struct span bytes,
			       const struct digest *digest, dray_error **err)
{
	struct shelf_upload *u;
	char id[SHELF_UPLOAD_ID];

	if (s->write->begin(s, repo, id, err) < 0 || s->write->open(s, repo, id, 0, &u, err) < 0)
		return -1;
	if (s->write->append(s, u, bytes, err) < 0) {
		s->write->close(s, u);
		return -1;
	}
	return s->write->finish(s, u, digest, err);
}

static inline int push_blob(struct shelf *s, const char *repo, const char *text, dray_error **err)
{
	const struct digest d = digest_text_of(text);

	return push_blob_as(s, repo, span_str(text), &d, err);
}

/* A manifest of a config and a layer with these contents, as text to be freed. */
static inline char *manifest_of(const char *config, const char *layer, const char *subject)
{
	const struct digest c = digest_text_of(config), l = digest_text_of(layer);
	char *ret = NULL;

	assert_true(asprintf(&ret,
			     "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_MANIFEST "\","
			     "\"config\":{\"mediaType\":\"" MT_OCI_CONFIG
			     "\",\"digest\":\"%s\",\"size\":%zu},"
			     "\"layers\":[{\"mediaType\":\"" MT_OCI_LAYER
			     "\",\"digest\":\"%s\",\"size\":%zu}]%s}",
			     c.text, strlen(config), l.text, strlen(layer), subject) > 0);
	return ret;
}

static inline int put_as(struct shelf *s, const char *repo, const char *tag, const char *type,
			 const char *text, struct shelf_stored *ret, dray_error **err)
{
	const struct shelf_put put = {
		.media_type = type,
		.bytes = span_str(text),
		.tags = &tag,
		.n_tags = tag ? 1 : 0,
	};

	return s->write->put(s, repo, &put, ret, err);
}

static inline int put_image(struct shelf *s, const char *repo, const char *tag, const char *config,
			    const char *layer, dray_error **err)
{
	struct shelf_stored stored;
	char *text = manifest_of(config, layer, "");
	int rc = put_as(s, repo, tag, MT_OCI_MANIFEST, text, &stored, err);

	free(text);
	return rc;
}

static inline int push_image(struct shelf *s, const char *repo, const char *tag, const char *config,
			     const char *layer, dray_error **err)
{
	if (push_blob(s, repo, config, err) < 0 || push_blob(s, repo, layer, err) < 0)
		return -1;
	return put_image(s, repo, tag, config, layer, err);
}

/* ---- what must always hold ---- */

static inline void check_blob(struct shelf *s, const char *repo, const struct descriptor *d)
{
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	cleanup_free char *bytes = mem_alloc((size_t)d->size + 1);
	struct digest got;
	dray_error *err = NULL;

	assert_ok(s->ops->blob(s, repo, &d->digest, true, &b, &err), err);
	assert_int_equal(b.size, d->size);
	assert_int_equal(pread(b.fd, bytes, (size_t)d->size + 1, b.off), d->size);
	assert_int_equal(digest_of(span_of(bytes, (size_t)d->size), &got, NULL), 0);
	assert_true(digest_eq(&got, &d->digest));
}

/* All that a manifest of these tests (no index in them) needs is there, byte for byte. */
static inline void check_manifest(struct shelf *s, const char *repo, const struct shelf_ref *ref)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	cleanup_manifest struct manifest *m = NULL;
	dray_error *err = NULL;

	assert_ok(s->ops->manifest(s, repo, ref, true, &doc, &err), err);
	assert_ok(manifest_parse(&doc.bytes, doc.media_type, &m, &err), err);
	assert_true(digest_eq(&m->digest, &doc.digest));
	check_blob(s, repo, &m->config);
	for (size_t i = 0; i < m->n_entries; i++)
		check_blob(s, repo, &m->entries[i]);
}

/* Every tag of every repository names a whole image. How many there are. */
static inline size_t check_store(struct shelf *s)
{
	const struct shelf_part all = { .max = SHELF_PAGE_MAX };
	cleanup_shelf_page struct shelf_page repos = { 0 };
	dray_error *err = NULL;
	size_t n = 0;

	assert_ok(s->ops->repositories(s, &all, &repos, &err), err);
	for (size_t i = 0; i < repos.n; i++) {
		cleanup_shelf_page struct shelf_page tags = { 0 };

		assert_ok(s->ops->tags(s, repos.names[i], &all, &tags, &err), err);
		for (size_t j = 0; j < tags.n; j++, n++)
			check_manifest(s, repos.names[i],
				       &(struct shelf_ref){ .tag = tags.names[j] });
	}
	return n;
}

static inline bool has_blob(struct shelf *s, const char *repo, const char *text)
{
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	const struct digest d = digest_text_of(text);

	return s->ops->blob(s, repo, &d, false, &b, NULL) == 0;
}

static inline bool has_tag(struct shelf *s, const char *repo, const char *tag)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };

	return s->ops->manifest(s, repo, &(struct shelf_ref){ .tag = tag }, true, &doc, NULL) == 0;
}

/* Fail unless *err is a refusal with this code. */
static inline void take_refusal(dray_error **err, enum shelf_code code, const char *file, int line)
{
	cleanup_error dray_error *want = NULL;

	shelf_refuse(&want, code, "this");
	if (!*err || dray_error_http_status(*err) != dray_error_http_status(want)) {
		print_error("%s\n", *err ? dray_error_message(*err) : "no error");
		_fail(file, line);
	}
	err_clear(err);
}
#define assert_refused(rc, err, code)                             \
	do {                                                      \
		assert_int_equal(rc, -1);                         \
		take_refusal(&(err), (code), __FILE__, __LINE__); \
	} while (0)
