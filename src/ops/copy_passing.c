/* SPDX-License-Identifier: Apache-2.0
 *
 * The forward walk of copy: each layer is sent as it passes, before the
 * documents say what it was. Relies on transfer_passing() for the bytes and on
 * copy_image() to hold the facts against the manifest afterwards.
 * Promises that a member is read once, whatever it turns out to be.
 */
#include "ops/copy_priv.h"

#include "base/mem.h"
#include "base/number.h"
#include "build/memo.h"

#define TAR_HEAD 512
#define CHECKSUM_OFF 148
#define CHECKSUM_LEN 8
#define AT_ONCE_MAX 4 /* each keeps a window for a broken upload */

/* Does a tar begin here? Its header's checksum says so; blanks count as spaces. */
static bool tar_begins(struct span head)
{
	uint32_t sum = 0, stored = 0, high = 0;
	bool blank = true;

	if (head.len < TAR_HEAD)
		return head.len == 0;
	for (size_t i = 0; i < TAR_HEAD; i++) {
		bool in_sum = i >= CHECKSUM_OFF && i < CHECKSUM_OFF + CHECKSUM_LEN;

		sum += in_sum ? ' ' : head.data[i];
		high += !in_sum && head.data[i] > 127;
		blank = blank && head.data[i] == 0;
	}
	for (size_t i = CHECKSUM_OFF; i < CHECKSUM_OFF + CHECKSUM_LEN; i++)
		if (head.data[i] >= '0' && head.data[i] <= '7')
			stored = stored * 8 + (uint32_t)(head.data[i] - '0');
	/* Old writers summed signed bytes. */
	return blank || sum == stored || sum - 256 * high == stored;
}

static int remember(struct copy *c, const struct passed *p, dray_error **err)
{
	struct passed *kept = arena_alloc(&c->arena, sizeof(*kept));

	if (!kept)
		return err_nomem(err);
	*kept = *p;
	return map_put(&c->passed, span_str(kept->facts.blob_digest.text), kept, err);
}

/* Layers may pass side by side. */
static int remember_locked(struct copy *c, const struct passed *p, dray_error **err)
{
	int rc;

	lock_take(c->ctx->lock);
	rc = remember(c, p, err);
	lock_drop(c->ctx->lock);
	return rc;
}

static int learn_names_locked(struct copy *c, dray_error **err)
{
	int rc;

	lock_take(c->ctx->lock);
	rc = reuse_learn_names(&c->reuse, err);
	lock_drop(c->ctx->lock);
	return rc;
}

/* What the name promises to be at the destination, if it is. The bytes pass once, so this is asked first. */
static int guess_reused(struct copy *c, const char *name, struct reused *room,
			const struct reused **ret, const char **ret_how, dray_error **err)
{
	const struct reused *u;
	int there;

	if (learn_names_locked(c, err) < 0)
		return -1;
	u = reuse_guess(&c->reuse, name, &c->wishes);
	there = u ? copy_try_known(c, &u->blob_digest, u->size, u->from, ret_how, err) : 0;

	*ret = there > 0 ? u : NULL;
	if (there != 0)
		return there < 0 ? -1 : 0;
	there = copy_guess_cached(c, name, room, ret_how, err);
	*ret = there > 0 ? room : NULL;
	return there < 0 ? -1 : 0;
}

/* In a layout or "dir:" every blob may be wanted, whatever it is; elsewhere only layers are. */
static bool is_blob(const char *name)
{
	return span_starts(span_str(name), "blobs/") || hex_is_lower(span_str(name), 64);
}

/*
 * An uncompressed blob that a manifest may name, and that goes out compressed: right
 * for what an engine saved, wrong for a layout. Which of them it is comes later.
 */
static bool converts_unasked(const struct copy *c, const char *name, enum compression found,
			     const struct passed *p)
{
	return is_blob(name) && found == COMPRESSION_NONE &&
	       p->out.compression != COMPRESSION_NONE && !c->wishes.compression_asked;
}

/* The destination has it if the name tells the truth: read on only to prove that. */
static int pass_reused(struct copy *c, const struct reused *u, const char *how, const char *name,
		       struct source *data, int64_t size, struct passed *p, dray_error **err)
{
	if (member_hash(NULL, name, data, size, &p->facts, err) < 0)
		return -1;
	if (digest_expect(&u->diff_id, &p->facts.diff_id, "DiffID", err) < 0) {
		err_ctx(err, "%s", name);
		return err_hint(err, "the name promised a layer that is already there; "
				     "push again with --no-reuse");
	}
	p->reused = true;
	p->out.digest = u->blob_digest;
	p->out.size = u->size;
	p->out.compression = u->compression;
	p->converted_unasked = converts_unasked(c, name, p->facts.compression, p);
	copy_count_skipped(c, name, how);
	return 0;
}

/* A layer by its name, though no tar by its first bytes: it is carried as it is, and its DiffID decides. */
static bool named_as_layer(const char *name)
{
	return span_ends(span_str(name), ".tar");
}

static int pass_sent(struct copy *c, const char *name, struct source *data, int64_t size,
		     enum compression found, bool tar, struct passed *p, dray_error **err)
{
	bool named_by_digest = is_blob(name);
	struct transfer t = {
		.ctx = c->ctx,
		.dest = c->target->dest,
		.label = name,
		.total = size,
		.blob_size = size,
		.how = {
			.convert = tar && must_convert(c, found, named_by_digest, true),
			.encode = c->wishes.encode,
		},
	};

	if (transfer_passing(&t, data, found, &p->out, err) < 0)
		return err_ctx(err, "%s", name);
	p->facts = p->out.facts;
	p->converted_unasked = converts_unasked(c, name, found, p);
	copy_count_sent(c, p->out.size);
	return 0;
}

int copy_passing(void *arg, const char *name, struct source *data, int64_t size,
		 struct blob_facts *ret, dray_error **err)
{
	struct copy *c = arg;
	struct passed p = { 0 };
	const struct reused *u;
	struct reused room;
	const char *how = "reused";
	enum compression found;
	struct span head;
	bool tar;

	if (source_peek(data, TAR_HEAD, &head, err) < 0)
		return -1;
	found = compression_sniff(head);
	tar = found != COMPRESSION_NONE || tar_begins(head);
	if (!tar && !is_blob(name) && !named_as_layer(name))
		return member_hash(NULL, name, data, size, ret, err);
	if (guess_reused(c, name, &room, &u, &how, err) < 0)
		return -1;
	if ((u ? pass_reused(c, u, how, name, data, size, &p, err)
	       : pass_sent(c, name, data, size, found, tar, &p, err)) < 0 ||
	    remember_locked(c, &p, err) < 0)
		return -1;
	*ret = p.facts;
	return 0;
}

/* ---- layers whose DiffID is known before they pass ---- */

/* An archive takes one after the other, folders some, and a registry takes its time for each. */
static int known_at_once(void *arg)
{
	const struct copy *c = arg;

	if (!c->target || c->target->archive || c->target->engine)
		return 1;
	return c->ctx->jobs < AT_ONCE_MAX ? c->ctx->jobs : AT_ONCE_MAX;
}

/* In a folder nobody has seen it, and nothing of it was sent. */
static bool known_again(void *arg)
{
	const struct copy *c = arg;

	return c->target && !c->target->archive && !c->target->engine && !c->target->remote;
}

static bool known_any(void *arg)
{
	struct copy *c = arg;

	return c->target && c->target->remote &&
	       (c->reuse.by_diff_id.len > 0 || blobcache_any(c->cache, c->target->host));
}

static int known_has(void *arg, const struct digest *diff_id, int64_t size, const char *label,
		     struct blob_facts *ret, dray_error **err)
{
	struct copy *c = arg;
	struct passed p = { .reused = true };
	const struct reused *u = NULL;
	struct reused room;
	const char *how = "reused";
	char name[96];

	snprintf(name, sizeof(name), "%s.tar", digest_hex(diff_id));
	if (!c->target || guess_reused(c, name, &room, &u, &how, err) < 0)
		return c->target ? -1 : 0;
	if (!u)
		return 0;
	p.facts = (struct blob_facts){ .blob_digest = *diff_id,
				       .blob_size = size,
				       .diff_id = *diff_id,
				       .size = size,
				       .compression = COMPRESSION_NONE };
	p.out.digest = u->blob_digest;
	p.out.size = u->size;
	p.out.compression = u->compression;
	copy_count_skipped(c, label, how);
	*ret = p.facts;
	return remember_locked(c, &p, err) < 0 ? -1 : 1;
}

const struct known_layers copy_known = {
	.at_once = known_at_once,
	.again = known_again,
	.any = known_any,
	.has = known_has,
};

/* ---- what need not pass ---- */

/* The blob that is at the target, of those that are known to be made of the layer. 1, 0, -1. */
static int find_known(struct copy *c, const struct memo_layer *l, struct transferred *ret,
		      const char **ret_how, dray_error **err)
{
	bool convert = must_convert(c, COMPRESSION_NONE, false, true);
	const struct memo_blob *b = l->blobs;

	*ret = (struct transferred){ .digest = l->diff_id, .size = l->size };
	if (!convert)
		return copy_try_known(c, &l->diff_id, l->size, NULL, ret_how, err);
	while (b && strcmp(b->encoder, c->wishes.encoder) != 0)
		b = b->next;
	if (!b)
		return 0;
	ret->digest = b->digest;
	ret->size = b->size;
	ret->compression = encoding_compression(c->wishes.encode.encoding);
	return copy_try_known(c, &b->digest, b->size, NULL, ret_how, err);
}

int copy_remembered(struct copy *c, const struct memo_layer *l, struct blob_facts *ret,
		    dray_error **err)
{
	struct passed p = { .reused = true };
	const char *how = NULL;
	char name[DIGEST_HEX_SHA256 + 8];
	const struct reused *u = NULL;
	struct reused room;
	int there;

	snprintf(name, sizeof(name), "%.64s.tar", digest_hex(&l->diff_id));
	/* What the tag has comes first, as it does for a layer that passes: the same manifest. */
	if (guess_reused(c, name, &room, &u, &how, err) < 0)
		return -1;
	there = u ? 1 : find_known(c, l, &p.out, &how, err);
	if (there <= 0)
		return there;
	if (u) {
		p.out.digest = u->blob_digest;
		p.out.size = u->size;
		p.out.compression = u->compression;
	}
	p.facts.diff_id = p.facts.blob_digest = l->diff_id;
	p.facts.size = p.facts.blob_size = l->size;
	copy_count_skipped(c, name, how);
	*ret = p.facts;
	return remember_locked(c, &p, err) < 0 ? -1 : 1;
}

void copy_blob_of(const struct copy *c, const struct blob_facts *f, struct memo_blob *ret)
{
	const struct passed *p;

	/* What the destination had already may be the work of another encoder. */
	*ret = (struct memo_blob){ 0 };
	lock_take(c->ctx->lock);
	p = map_get(&c->passed, span_str(f->blob_digest.text));
	lock_drop(c->ctx->lock);
	if (!p || p->reused)
		return;
	ret->digest = p->out.digest;
	ret->size = p->out.size;
	if (p->out.compression != COMPRESSION_NONE)
		snprintf(ret->encoder, sizeof(ret->encoder), "%s", c->wishes.encoder);
}
