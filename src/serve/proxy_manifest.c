/* SPDX-License-Identifier: Apache-2.0
 *
 * For: manifests of a cache, by tag and by digest.
 * Relies on: the folder, which proves and keeps; a table of questions to the registry.
 * Promises: what a tag names is asked anew unless it may be believed; without an answer of use it
 * is what it was. Of those who ask for one at the same time one asks the registry.
 */
#include "base/cancel.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "serve/proxy_priv.h"

#define BELIEFS_MAX 10000 /* tags; all are forgotten beyond */

/* ---- tags that were asked about ---- */

static char *belief_key(const char *repo, const char *tag)
{
	return mem_printf("%s:%s", repo, tag);
}

struct belief proxy_belief_of(struct proxy *p, const char *repo, const char *tag)
{
	cleanup_free char *key = belief_key(repo, tag);
	struct belief ret = { 0 };
	const struct belief *b;

	if (!key)
		return ret;
	lock_take(p->lock);
	b = map_get(&p->beliefs, span_str(key));
	if (b)
		ret = *b;
	lock_drop(p->lock);
	return ret;
}

/* Was the tag asked about lately, or since the @question that was the last when we came? */
static bool believed(struct proxy *p, const char *repo, const char *tag, int64_t question)
{
	struct belief b = proxy_belief_of(p, repo, tag);

	return b.question > question || (b.question && io_now_ms() - b.ms < p->o.ttl_ms);
}

static int64_t last_question(struct proxy *p)
{
	int64_t ret;

	lock_take(p->lock);
	ret = p->questions;
	lock_drop(p->lock);
	return ret;
}

struct belief proxy_begin_question(struct proxy *p)
{
	struct belief ret = { .ms = io_now_ms() };

	lock_take(p->lock);
	ret.question = ++p->questions;
	lock_drop(p->lock);
	return ret;
}

static void put_belief(struct proxy *p, const char *key, struct belief asked)
{
	struct belief *b = map_get(&p->beliefs, span_str(key));
	char *own;

	if (b) {
		*b = asked;
		return;
	}
	if (p->beliefs.len >= BELIEFS_MAX) {
		map_clear(&p->beliefs);
		arena_clear(&p->arena);
	}
	b = arena_alloc(&p->arena, sizeof(*b));
	own = arena_strdup(&p->arena, key);
	if (!b || !own)
		return;
	*b = asked;
	(void)!map_put(&p->beliefs, span_str(own), b, NULL);
}

void proxy_believe(struct proxy *p, const char *repo, const char *tag, struct belief asked)
{
	cleanup_free char *key = belief_key(repo, tag);

	if (!key)
		return;
	lock_take(p->lock);
	put_belief(p, key, asked);
	lock_drop(p->lock);
}

/* ---- manifests ---- */

/* 1, 0 = the folder does not have it, -1. */
static int from_folder(struct proxy *p, const char *repo, const struct shelf_ref *ref, bool content,
		       struct shelf_doc *ret, dray_error **err)
{
	cleanup_error dray_error *why = NULL;

	if (p->depot->ops->manifest(p->depot, repo, ref, content, ret, &why) == 0)
		return 1;
	return dray_error_kind(why) == DRAY_ERR_NOT_FOUND ? 0 : proxy_hand_on(&why, err);
}

/* What the folder does not take (of schema 1, or over the quota) is handed on all the same: 1, 0, -1. */
static int keep(struct proxy *p, const char *repo, const char *tag, const struct shelf_doc *doc,
		dray_error **err)
{
	const struct shelf_put put = {
		.media_type = doc->media_type,
		.bytes = span_buf(&doc->bytes),
		.digest = doc->digest,
		.tags = &tag,
		.n_tags = tag ? 1 : 0,
	};
	cleanup_error dray_error *why = NULL;
	struct shelf_stored stored;

	if (p->depot->write->put(p->depot, repo, &put, &stored, &why) == 0)
		return 1;
	if (dray_error_kind(why) == DRAY_ERR_NOMEM)
		return err_nomem(err);
	proxy_note(p, "a manifest is handed on and not kept", why);
	return 0;
}

/*
 * The manifest that @name stands for upstream, and from now on @tag (NULL = none) here. 1, 0 = the
 * folder could not keep it, -1.
 */
static int bring(struct proxy *p, const char *repo, const char *name, const char *tag,
		 struct shelf_doc *ret, dray_error **err)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	int kept;

	if (p->up->ops->manifest(p->up, repo, name, &doc, err) < 0)
		return -1;
	kept = keep(p, repo, tag, &doc, err);
	if (kept < 0)
		return -1;
	shelf_doc_clear(ret);
	*ret = doc;
	doc = (struct shelf_doc){ 0 };
	return kept;
}

/* A tag has moved: perhaps to what the folder has already. As bring(). */
static int move_tag(struct proxy *p, const char *repo, const char *tag, const struct digest *to,
		    struct shelf_doc *ret, dray_error **err)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	int rc = from_folder(p, repo, &(struct shelf_ref){ .digest = *to }, true, &doc, err);

	if (rc <= 0)
		return rc < 0 ? -1 : bring(p, repo, to->text, tag, ret, err);
	rc = keep(p, repo, tag, &doc, err);
	if (rc < 0)
		return -1;
	shelf_doc_clear(ret);
	*ret = doc;
	doc = (struct shelf_doc){ 0 };
	return rc;
}

/* @ret is what the tag named here. As bring(). */
static int renew(struct proxy *p, const char *repo, const char *tag, struct shelf_doc *ret,
		 dray_error **err)
{
	struct digest now;
	int rc = p->up->ops->look(p->up, repo, tag, &now, err);

	if (rc <= 0)
		return rc < 0 ? -1 : err_set(err, DRAY_ERR_NOT_FOUND, "no such tag");
	if (digest_set(&now) && digest_eq(&now, &ret->digest))
		return 1;
	return digest_set(&now) ? move_tag(p, repo, tag, &now, ret, err)
				: bring(p, repo, tag, tag, ret, err);
}

/* What is gone there, or another there, is not to be found here when nobody can be asked. */
static void forget_tag(struct proxy *p, const char *repo, const char *tag)
{
	const struct shelf_ref ref = { .tag = tag };

	(void)!p->depot->write->remove(p->depot, repo, &ref, NULL);
}

static int ask_tag(struct proxy *p, const char *repo, const struct shelf_ref *ref, bool content,
		   struct shelf_doc *ret, dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	struct belief asked = proxy_begin_question(p);
	int here = from_folder(p, repo, ref, content, ret, err), rc;

	if (here < 0)
		return -1;
	ret->stale = here > 0 && proxy_is_silent(p);
	if (ret->stale)
		return 0;
	if (!here && proxy_is_silent(p))
		return proxy_refuse_silent(err);
	rc = here ? renew(p, repo, ref->tag, ret, &why)
		  : bring(p, repo, ref->tag, ref->tag, ret, &why);
	if (rc > 0)
		proxy_believe(p, repo, ref->tag, asked);
	else if (rc == 0 && here)
		forget_tag(p, repo, ref->tag);
	if (rc >= 0)
		return 0;
	if (here && proxy_no_answer(why)) {
		proxy_served_as_it_was(p, why);
		ret->stale = true;
		return 0;
	}
	if (here && dray_error_kind(why) == DRAY_ERR_NOT_FOUND)
		forget_tag(p, repo, ref->tag);
	return proxy_ask_failed(p, steal_pointer(&why), SHELF_MANIFEST_UNKNOWN, err);
}

static struct lock *stripe_of(struct proxy *p, const char *repo, const char *name)
{
	uint64_t mixed = map_hash(span_str(repo)) * 3 + map_hash(span_str(name));

	return p->asking[mixed % STRIPES];
}

/* Of those who ask at the same time one asks for all. */
static int by_tag(struct proxy *p, const char *repo, const struct shelf_ref *ref, bool content,
		  struct shelf_doc *ret, dray_error **err)
{
	struct lock *l = stripe_of(p, repo, ref->tag);
	int64_t last = last_question(p);
	int rc = 0;

	if (believed(p, repo, ref->tag, last))
		rc = from_folder(p, repo, ref, content, ret, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	lock_take(l);
	if (believed(p, repo, ref->tag, last))
		rc = from_folder(p, repo, ref, content, ret, err);
	if (rc == 0)
		rc = ask_tag(p, repo, ref, content, ret, err);
	lock_drop(l);
	return rc < 0 ? -1 : 0;
}

/*
 * It is there, and no manifest that we read. An answer on the way to it (that of a server of tokens)
 * may be as odd: so the registry is asked whether it has it, and has to be able to say that.
 */
static bool is_unread(struct proxy *p, const char *repo, const struct digest *digest,
		      const dray_error *why)
{
	struct digest ignored;

	if (dray_error_http_status(why) > 0)
		return false;
	switch (dray_error_kind(why)) {
	case DRAY_ERR_FORMAT:
	case DRAY_ERR_UNSUPPORTED:
	case DRAY_ERR_LIMIT:
		return p->up->ops->look(p->up, repo, digest->text, &ignored, NULL) > 0;
	default:
		return false;
	}
}

static int ask_digest(struct proxy *p, const char *repo, const struct digest *digest,
		      struct shelf_doc *ret, dray_error **err)
{
	dray_error *why = NULL;
	bool unread;
	int rc;

	if (proxy_is_silent(p))
		return proxy_refuse_silent(err);
	rc = bring(p, repo, digest->text, NULL, ret, &why);
	if (rc >= 0)
		return rc;
	unread = is_unread(p, repo, digest, why);
	proxy_ask_failed(p, why, SHELF_MANIFEST_UNKNOWN, err);
	return unread ? err_rekind(err, DRAY_ERR_FORMAT) : -1;
}

int proxy_by_digest(struct proxy *p, const char *repo, const struct shelf_ref *ref, bool content,
		    struct shelf_doc *ret, dray_error **err)
{
	struct lock *l = stripe_of(p, repo, ref->digest.text);
	int rc = from_folder(p, repo, ref, content, ret, err);

	if (rc != 0)
		return rc;
	lock_take(l);
	rc = from_folder(p, repo, ref, content, ret, err);
	if (rc == 0)
		rc = ask_digest(p, repo, &ref->digest, ret, err);
	lock_drop(l);
	return rc;
}

static int unknown_manifest(dray_error **err)
{
	return shelf_refuse(err, SHELF_MANIFEST_UNKNOWN, "no such manifest");
}

int proxy_manifest(struct shelf *s, const char *repo, const struct shelf_ref *ref, bool content,
		   struct shelf_doc *ret, dray_error **err)
{
	struct proxy *p = proxy_of(s);
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	int rc;

	if (!ref->tag && ref->digest.algo == DIGEST_OTHER)
		return unknown_manifest(err);
	cancel_follow(&p->stop);
	rc = ref->tag ? by_tag(p, repo, ref, content, &doc, err)
		      : proxy_by_digest(p, repo, ref, content, &doc, err);
	cancel_follow(NULL);
	if (rc < 0)
		return -1;
	*ret = doc;
	doc = (struct shelf_doc){ 0 };
	return 0;
}
