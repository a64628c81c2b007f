/* SPDX-License-Identifier: Apache-2.0
 *
 * A registry behind a cache, in memory: what it has, what it does wrong, and what it was asked.
 */
#pragma once

#include "depot_support.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/cancel.h"
#include "base/text.h"
#include "flow/pool.h"
#include "serve/proxy.h"

#define FAKE_BLOBS 8
#define FAKE_TAGS 4

enum fake_call { CALL_LOOK, CALL_MANIFEST, CALL_SIZE, CALL_BLOB, CALL_TAGS, CALL_REFERRERS, CALLS };

struct fake {
	struct upstream base;
	atomic_int asked[CALLS];
	atomic_int notes;
	atomic_int waiting; /* times that somebody came to the closed gate */
	/* what it has */
	struct {
		const char *tag, *text;
	} tags[FAKE_TAGS];
	const char *manifests[FAKE_TAGS]; /* by digest alone */
	struct span blobs[FAKE_BLOBS];
	const char *referrers[FAKE_TAGS]; /* texts of manifests */
	/* what it does */
	enum dray_err_kind fails[CALLS]; /* 0 = it does not */
	int status;			 /* of these errors */
	enum dray_err_kind unread;	 /* what is said of a manifest with "junk" in it */
	bool mute;			 /* look() gives no digest */
	int64_t announced;		 /* added to the sizes of blobs; INT64_MIN = none is told */
	int64_t cut_at, flip_at;	 /* of blobs: where they break, where a bit is wrong; -1 */
	int64_t gate_at;		 /* no byte from here on comes until gate is open; -1 */
	struct lock *lock;
	bool open;
};

static inline int fake_asked(struct fake *f, enum fake_call call, dray_error **err)
{
	atomic_fetch_add(&f->asked[call], 1);
	if (!f->fails[call])
		return 0;
	if (f->fails[call] == DRAY_ERR_NOMEM)
		return err_nomem(err);
	err_set(err, f->fails[call], "the fake fails");
	return f->status ? err_http(err, f->status, NULL) : -1;
}

static inline const char *fake_find(const struct fake *f, const char *name)
{
	for (size_t i = 0; i < FAKE_TAGS; i++) {
		const char *text[] = { f->tags[i].text, f->manifests[i], f->referrers[i] };

		if (text[0] && strcmp(f->tags[i].tag, name) == 0)
			return text[0];
		for (size_t j = 0; j < ROWS(text); j++)
			if (text[j] && strcmp(digest_text_of(text[j]).text, name) == 0)
				return text[j];
	}
	return NULL;
}

static inline int fake_look(struct upstream *u, const char *repo, const char *tag,
			    struct digest *ret, dray_error **err)
{
	struct fake *f = (struct fake *)u;
	const char *text = fake_find(f, tag);

	(void)repo;
	*ret = (struct digest){ 0 };
	if (fake_asked(f, CALL_LOOK, err) < 0)
		return -1;
	if (text && !f->mute)
		*ret = digest_text_of(text);
	return text != NULL;
}

static inline int fake_manifest(struct upstream *u, const char *repo, const char *name,
				struct shelf_doc *ret, dray_error **err)
{
	struct fake *f = (struct fake *)u;
	const char *text = fake_find(f, name);

	(void)repo;
	if (fake_asked(f, CALL_MANIFEST, err) < 0)
		return -1;
	if (!text)
		return err_set(err, DRAY_ERR_NOT_FOUND, "none such");
	if (strstr(text, "junk"))
		return err_set(err, f->unread, "that is no manifest");
	ret->digest = digest_text_of(text);
	ret->media_type = mem_strdup(strstr(text, "\"manifests\"") ? MT_OCI_INDEX
								   : MT_OCI_MANIFEST);
	ret->size = (int64_t)strlen(text);
	ret->bytes = BUF_INIT(LIMIT_MANIFEST);
	if (!ret->media_type)
		return err_nomem(err);
	return buf_add_str(&ret->bytes, text, err);
}

static inline const struct span *fake_blob_of(const struct fake *f, const struct digest *digest)
{
	struct digest d;

	for (size_t i = 0; i < FAKE_BLOBS; i++)
		if (f->blobs[i].data && digest_of(f->blobs[i], &d, NULL) == 0 &&
		    digest_eq(&d, digest))
			return &f->blobs[i];
	return NULL;
}

static inline int fake_blob_size(struct upstream *u, const char *repo, const struct digest *digest,
				 int64_t *ret, dray_error **err)
{
	struct fake *f = (struct fake *)u;
	const struct span *b = fake_blob_of(f, digest);

	(void)repo;
	if (fake_asked(f, CALL_SIZE, err) < 0)
		return -1;
	*ret = b ? (int64_t)b->len : -1;
	return b != NULL;
}

/* A blob that comes as the fake says. */
struct fake_source {
	struct source source;
	struct fake *f;
	struct span bytes;
	size_t at;
	uint8_t wrong;
};

static inline int fake_gate(struct fake *f, dray_error **err)
{
	bool open = false;

	atomic_fetch_add(&f->waiting, 1);
	while (!open) {
		if (cancel_check(err) < 0)
			return -1;
		lock_take(f->lock);
		open = f->open;
		lock_drop(f->lock);
		sched_yield();
	}
	return 0;
}

static inline int fake_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct fake_source *x = (struct fake_source *)s;
	struct span left = span_from(x->bytes, x->at);
	int64_t at = (int64_t)x->at, end = at + (int64_t)left.len;

	(void)min;
	if (x->f->gate_at >= 0 && at >= x->f->gate_at && fake_gate(x->f, err) < 0)
		return -1;
	if (x->f->cut_at >= 0 && at >= x->f->cut_at)
		return err_set(err, DRAY_ERR_NETWORK, "the fake breaks");
	if (x->f->flip_at == at) {
		x->wrong = left.data[0] ^ 1;
		*ret = span_of(&x->wrong, 1);
		return 0;
	}
	/* Up to the next of these places. */
	const int64_t marks[] = { x->f->gate_at, x->f->cut_at, x->f->flip_at };

	for (size_t i = 0; i < ROWS(marks); i++)
		if (marks[i] > at && marks[i] < end)
			end = marks[i];
	*ret = span_head(left, (size_t)(end - at));
	return 0;
}

static inline void fake_consume(struct source *s, size_t n)
{
	((struct fake_source *)s)->at += n;
}

static inline void fake_free(struct source *s)
{
	mem_free(s);
}

static inline struct source *fake_blob(struct upstream *u, const char *repo,
				       const struct digest *digest, int64_t *ret_size,
				       dray_error **err)
{
	static const struct source_ops ops = { .peek = fake_peek,
					       .consume = fake_consume,
					       .free = fake_free };
	struct fake *f = (struct fake *)u;
	const struct span *b = fake_blob_of(f, digest);
	struct fake_source *x;

	(void)repo;
	if (fake_asked(f, CALL_BLOB, err) < 0)
		return NULL;
	if (!b) {
		err_set(err, DRAY_ERR_NOT_FOUND, "none such");
		return NULL;
	}
	x = mem_zalloc(sizeof(*x));
	if (!x) {
		err_nomem(err);
		return NULL;
	}
	x->source.ops = &ops;
	x->f = f;
	x->bytes = *b;
	*ret_size = f->announced == INT64_MIN ? -1 : (int64_t)b->len + f->announced;
	return &x->source;
}

static inline int fake_page(const char *const *names, size_t n, struct shelf_page *ret,
			    dray_error **err)
{
	ret->names = arena_array(&ret->arena, n + 1, sizeof(*ret->names));
	if (!ret->names)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		ret->names[ret->n] = arena_strdup(&ret->arena, names[i]);
		if (!ret->names[ret->n++])
			return err_nomem(err);
	}
	return 0;
}

static inline int fake_tags(struct upstream *u, const char *repo, struct shelf_page *ret,
			    dray_error **err)
{
	struct fake *f = (struct fake *)u;
	const char *names[FAKE_TAGS];
	size_t n = 0;

	(void)repo;
	if (fake_asked(f, CALL_TAGS, err) < 0)
		return -1;
	for (size_t i = 0; i < FAKE_TAGS; i++)
		if (f->tags[i].text)
			names[n++] = f->tags[i].tag;
	return fake_page(names, n, ret, err);
}

static inline int fake_referrers(struct upstream *u, const char *repo, const struct digest *subject,
				 struct shelf_page *ret, dray_error **err)
{
	struct fake *f = (struct fake *)u;
	struct digest list[FAKE_TAGS];
	const char *names[FAKE_TAGS];
	size_t n = 0;

	(void)repo, (void)subject;
	if (fake_asked(f, CALL_REFERRERS, err) < 0)
		return -1;
	for (size_t i = 0; i < FAKE_TAGS; i++) {
		if (!f->referrers[i])
			continue;
		list[n] = digest_text_of(f->referrers[i]);
		names[n] = list[n].text;
		n++;
	}
	return fake_page(names, n, ret, err);
}

static inline bool fake_is_called(const struct upstream *u, const char *registry)
{
	(void)u;
	return strcmp(registry, "fake.example") == 0;
}

static inline void fake_note(struct upstream *u, const char *text)
{
	(void)text;
	atomic_fetch_add(&((struct fake *)u)->notes, 1);
}

static inline void fake_init(struct fake *f)
{
	static const struct upstream_ops ops = {
		.look = fake_look,
		.manifest = fake_manifest,
		.blob_size = fake_blob_size,
		.blob = fake_blob,
		.tags = fake_tags,
		.referrers = fake_referrers,
		.is_called = fake_is_called,
		.note = fake_note,
	};
	dray_error *err = NULL;

	*f = (struct fake){ .base = { &ops }, .cut_at = -1, .flip_at = -1, .gate_at = -1 };
	f->lock = lock_new(&err);
	assert_non_null(f->lock);
}

static inline void fake_clear(struct fake *f)
{
	lock_free(f->lock);
}

/* From now on everything fails so; 0 = nothing does. */
static inline void fake_fail(struct fake *f, enum dray_err_kind kind, int status)
{
	for (size_t i = 0; i < CALLS; i++)
		f->fails[i] = kind;
	f->status = status;
}

static inline void fake_open_gate(struct fake *f)
{
	lock_take(f->lock);
	f->open = true;
	lock_drop(f->lock);
}
