/* SPDX-License-Identifier: Apache-2.0
 *
 * --cache: what need not be read again, because the last build did and stat(2) says the same.
 * Relies on build/memo for what is remembered, on layer/write for all that a layer's bytes are made of.
 * Promises that a layer counts as known only where each of its files does; and never to fail a
 * build: whatever is wrong with the cache is a warning.
 */
#include "ops/build.h"

#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"

/* Whose contents make the key of a layer. */
struct keying {
	struct build *b;
	struct hash h;
	size_t at; /* entry of the layer */
	/* 1 and the contents of this part, 0 = not known, -1. */
	int (*content)(struct keying *k, const struct layer_part *p,
		       uint8_t sha256[CONTENT_DIGEST_LEN], dray_error **err);
	const struct layer_index *made;
};

static void warn(struct build *b, const char *what, const dray_error *e)
{
	cleanup_free char *dir = text_safe(span_str(b->cache.dir), 512);

	context_log(b->ctx, DRAY_LOG_WARNING, "%s: %s: %s", dir ? dir : "the cache", what,
		    dray_error_message(e));
}

void build_cache_begin(struct build *b, const char *dir)
{
	cleanup_error dray_error *e = NULL;

	if (!dir)
		return;
	b->cache.dir = dir;
	memo_begin(&b->cache.now);
	if (memo_load(&b->cache.old, dir, &e) < 0 && dray_error_kind(e) != DRAY_ERR_NOT_FOUND)
		warn(b, "nothing of this cache is used", e);
}

void build_cache_end(struct build *b)
{
	cleanup_error dray_error *e = NULL;

	if (b->cache.dir && memo_save(&b->cache.now, b->cache.dir, &e) < 0)
		warn(b, "nothing is remembered", e);
}

/* ---- contents ---- */

static void see(void *arg, struct span bytes)
{
	hash_update(arg, bytes);
}

static void bytes_of(const struct digest *d, uint8_t sha256[CONTENT_DIGEST_LEN])
{
	hex_decode(digest_hex(d), sha256, CONTENT_DIGEST_LEN);
}

static int read_content(struct build *b, int64_t at, int64_t size, struct digest *ret,
			dray_error **err)
{
	cleanup_hash struct hash h = { 0 };

	if (hash_init(&h, DIGEST_SHA256, err) < 0 ||
	    inputs_read(&b->in, at, size, see, &h, err) < 0)
		return -1;
	return hash_finish(&h, ret, err);
}

/* From the last build's memory into this one's. 1, 0, -1. */
static int recall(struct build *b, const struct content *c, const uint8_t **ret, dray_error **err)
{
	int rc = memo_find(&b->cache.now, c, ret, err);

	if (rc != 0)
		return rc;
	rc = memo_find(&b->cache.old, c, ret, err);
	return rc > 0 && memo_add(&b->cache.now, c, *ret, err) < 0 ? -1 : rc;
}

int build_content(struct build *b, int64_t at, int64_t size, struct digest *ret, dray_error **err)
{
	const struct content *c = inputs_at(&b->in, at);
	uint8_t sha256[CONTENT_DIGEST_LEN];
	const uint8_t *known;
	int rc;

	if (!b->cache.dir || c->size != size)
		return read_content(b, at, size, ret, err);
	rc = recall(b, c, &known, err);
	if (rc > 0) {
		char hex[DIGEST_HEX_SHA256 + 1];

		hex_encode(known, CONTENT_DIGEST_LEN, hex);
		return digest_from_hex(span_str(hex), ret, err);
	}
	if (rc < 0 || read_content(b, at, size, ret, err) < 0)
		return -1;
	bytes_of(ret, sha256);
	return memo_add(&b->cache.now, c, sha256, err);
}

/* ---- keys ---- */

static int key_part(void *arg, const struct layer_part *p, dray_error **err)
{
	struct keying *k = arg;
	uint8_t sha256[CONTENT_DIGEST_LEN];
	int rc;

	hash_update(&k->h, p->head);
	if (p->size > 0) {
		rc = k->content(k, p, sha256, err);
		if (rc <= 0)
			return rc < 0 ? -1 : 1;
		hash_update(&k->h, span_of(sha256, sizeof(sha256)));
	}
	k->at++;
	return 0;
}

/* 1 and the key of new layer @p i, 0 = something in it is not known, -1. */
static int key_of(struct keying *k, size_t i, struct digest *ret, dray_error **err)
{
	const struct record_list list = deal_records(&k->b->deal.layers[i]);
	int rc;

	k->at = 0;
	if (hash_init(&k->h, DIGEST_SHA256, err) < 0)
		return -1;
	rc = layer_tar_walk(&list, key_part, k, err);
	if (rc == 0)
		rc = hash_finish(&k->h, ret, err) < 0 ? -1 : 1;
	else
		rc = rc < 0 ? -1 : 0;
	hash_clear(&k->h);
	return rc;
}

/* ---- before ---- */

/* Only whether all that would have to be read is known. */
static int ask_content(struct keying *k, const struct layer_part *p,
		       uint8_t sha256[CONTENT_DIGEST_LEN], dray_error **err)
{
	const struct content *c = inputs_at(&k->b->in, p->off);
	const uint8_t *known;

	memset(sha256, 0, CONTENT_DIGEST_LEN);
	if (c->size != p->size)
		return 0;
	return memo_takes(c) ? recall(k->b, c, &known, err) : 1;
}

/* What has no name is at hand: bytes of the spec, and what was unpacked for this build. */
static int foresee_content(struct keying *k, const struct layer_part *p,
			   uint8_t sha256[CONTENT_DIGEST_LEN], dray_error **err)
{
	const struct content *c = inputs_at(&k->b->in, p->off);
	const uint8_t *known;
	struct digest d;

	if (memo_takes(c)) {
		if (memo_find(&k->b->cache.now, c, &known, err) <= 0)
			return memo_find(&k->b->cache.old, c, &known, err) > 0
				       ? (memcpy(sha256, known, CONTENT_DIGEST_LEN), 1)
				       : 0;
		memcpy(sha256, known, CONTENT_DIGEST_LEN);
		return 1;
	}
	if (read_content(k->b, p->off, p->size, &d, err) < 0)
		return -1;
	bytes_of(&d, sha256);
	return 1;
}

int build_foresee(struct build *b, size_t i, const struct memo_layer **ret, dray_error **err)
{
	struct keying ask = { .b = b, .content = ask_content };
	struct keying foresee = { .b = b, .content = foresee_content };
	struct digest key;
	int rc;

	*ret = NULL;
	if (!b->cache.dir || b->cache.old.layers.len == 0)
		return 0;
	rc = key_of(&ask, i, &key, err);
	if (rc > 0)
		rc = key_of(&foresee, i, &key, err);
	if (rc > 0)
		*ret = memo_layer(&b->cache.old, &key);
	return rc < 0 ? -1 : 0;
}

/* ---- after ---- */

/* What was read back of the layer: these bytes are in it. */
static int made_content(struct keying *k, const struct layer_part *p,
			uint8_t sha256[CONTENT_DIGEST_LEN], dray_error **err)
{
	const struct content *c = inputs_at(&k->b->in, p->off);
	const struct layer_entry *e = k->at < k->made->n ? &k->made->list[k->at] : NULL;

	if (!e || !e->content || c->size != p->size || e->size != p->size)
		return 0;
	memcpy(sha256, e->content, CONTENT_DIGEST_LEN);
	return memo_add(&k->b->cache.now, c, sha256, err) < 0 ? -1 : 1;
}

/* What other encoders made of the same layer stays known. */
static int carry_over(struct build *b, const struct memo_layer *old, struct memo_layer *to,
		      dray_error **err)
{
	for (const struct memo_blob *m = old->blobs; m; m = m->next)
		if (memo_add_blob(&b->cache.now, to, m, err) < 0)
			return -1;
	return 0;
}

static int learn_layer(struct build *b, const struct digest *key, const struct digest *diff_id,
		       int64_t size, const struct memo_blob *blob, dray_error **err)
{
	const struct memo_layer *old = memo_layer(&b->cache.old, key);
	struct memo_layer *to = memo_layer(&b->cache.now, key);

	if (!to)
		to = memo_add_layer(&b->cache.now, key, diff_id, size, err);
	if (!to)
		return -1;
	if (old && !digest_eq(&old->diff_id, diff_id))
		context_log(b->ctx, DRAY_LOG_WARNING,
			    "the cache was wrong about a layer, which was made all the same");
	else if (old && carry_over(b, old, to, err) < 0)
		return -1;
	return blob && digest_set(&blob->digest) ? memo_add_blob(&b->cache.now, to, blob, err) : 0;
}

static int learn_made(struct build *b, size_t i, const struct layer_index *read,
		      const struct remade_layers *made, dray_error **err)
{
	size_t at = b->base->n + i;
	struct keying k = { .b = b, .content = made_content, .made = read };
	struct digest key;
	int rc = key_of(&k, i, &key, err);

	if (rc <= 0)
		return rc;
	return learn_layer(b, &key, &made->diff_ids[at], k.made->size, &made->blobs[at], err);
}

int build_cache_learn(struct build *b, const struct remade_layers *made, dray_error **err)
{
	for (size_t i = 0; b->cache.dir && i < b->deal.n; i++) {
		const struct memo_layer *known = b->foreseen[i];
		size_t at = b->base->n + i;
		const struct layer_index *read = made->index[at] ? made->index[at]
								 : build_layer_read(b, i);
		int rc;

		if (read)
			rc = learn_made(b, i, read, made, err);
		else
			rc = learn_layer(b, &known->key, &known->diff_id, known->size,
					 &made->blobs[at], err);
		if (rc < 0)
			return -1;
		b->n_known += !read;
	}
	return 0;
}
