/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what a cache answers: from its folder, from the registry behind it, or from both.
 * Relies on: the folder to prove what is kept, on a table of questions to the registry.
 * Promises: what a tag names is asked anew unless it may be believed; without an answer of use it
 * is what it was. Nothing is given under a digest that it does not have.
 */
#include "base/cancel.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "serve/proxy_priv.h"

#define BELIEFS_MAX 10000 /* tags; all are forgotten beyond */

/* ---- what went wrong ---- */

void proxy_note(struct proxy *p, const char *what, const dray_error *why)
{
	cleanup_free char *text = why ? mem_printf("%s: %s", what, dray_error_message(why)) : NULL;

	p->up->ops->note(p->up, text ? text : what);
}

static int refuse_silent(dray_error **err)
{
	return shelf_refuse(err, SHELF_UNREACHABLE, "the registry behind this one gives no answer");
}

int proxy_refuse(struct proxy *p, dray_error *why, enum shelf_code unknown, dray_error **err)
{
	cleanup_error dray_error *e = why;

	switch (dray_error_kind(e)) {
	case DRAY_ERR_NOT_FOUND:
		return shelf_refuse(err, unknown, "the registry behind this one has none such");
	case DRAY_ERR_DENIED:
		proxy_note(p, "upstream", e);
		return shelf_refuse(err, SHELF_DENIED, "the registry behind this one refuses it");
	case DRAY_ERR_NOMEM:
		return err_nomem(err);
	default:
		proxy_note(p, "upstream", e);
	}
	if (dray_error_http_status(e) == 429)
		return shelf_refuse(err, SHELF_TOOMANYREQUESTS,
				    "the registry behind this one is asked too often");
	return refuse_silent(err);
}

/* It may have what we ask for, or not: it did not say so. */
static bool no_answer(const dray_error *e)
{
	switch (dray_error_kind(e)) {
	case DRAY_ERR_NOT_FOUND:
	case DRAY_ERR_DENIED:
	case DRAY_ERR_NOMEM:
	case DRAY_ERR_CANCELLED:
		return false;
	default:
		return true;
	}
}

static bool is_silent(struct proxy *p)
{
	bool silent;

	lock_take(p->lock);
	silent = io_now_ms() < p->silent_until;
	lock_drop(p->lock);
	return silent;
}

/* Whoever asks something else would wait as long: what is wrong with one question is not that. */
static bool is_silence(const dray_error *e)
{
	int status = dray_error_http_status(e);

	return status == 429 || (status >= 502 && status <= 504) ||
	       (status <= 0 && dray_error_kind(e) == DRAY_ERR_NETWORK);
}

static void was_silent(struct proxy *p, const dray_error *why)
{
	if (!is_silence(why))
		return;
	lock_take(p->lock);
	p->silent_until = io_now_ms() + p->o.pause_ms;
	lock_drop(p->lock);
}

/* What the folder has is given in place of an answer. */
static void served_as_it_was(struct proxy *p, const dray_error *why)
{
	was_silent(p, why);
	proxy_note(p, "served as it was", why);
}

static int hand_on(dray_error **why, dray_error **err)
{
	if (err)
		*err = steal_pointer(why);
	return -1;
}

/* Nothing is here in its place: who waits behind us need not wait as long again. */
static int ask_failed(struct proxy *p, dray_error *why, enum shelf_code unknown, dray_error **err)
{
	was_silent(p, why);
	return proxy_refuse(p, why, unknown, err);
}

/* ---- tags that were asked about ---- */

static char *belief_key(const char *repo, const char *tag)
{
	return mem_printf("%s:%s", repo, tag);
}

/* Zeros where it was not, or nobody remembers. */
static struct belief belief_of(struct proxy *p, const char *repo, const char *tag)
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
	struct belief b = belief_of(p, repo, tag);

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

static struct belief begin_question(struct proxy *p)
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

/* What cannot be noted is asked again. */
static void believe(struct proxy *p, const char *repo, const char *tag, struct belief asked)
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
	return dray_error_kind(why) == DRAY_ERR_NOT_FOUND ? 0 : hand_on(&why, err);
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
	struct belief asked = begin_question(p);
	int here = from_folder(p, repo, ref, content, ret, err), rc;

	if (here < 0)
		return -1;
	ret->stale = here > 0 && is_silent(p);
	if (ret->stale)
		return 0;
	if (!here && is_silent(p))
		return refuse_silent(err);
	rc = here ? renew(p, repo, ref->tag, ret, &why)
		  : bring(p, repo, ref->tag, ref->tag, ret, &why);
	if (rc > 0)
		believe(p, repo, ref->tag, asked);
	else if (rc == 0 && here)
		forget_tag(p, repo, ref->tag);
	if (rc >= 0)
		return 0;
	if (here && no_answer(why)) {
		served_as_it_was(p, why);
		ret->stale = true;
		return 0;
	}
	if (here && dray_error_kind(why) == DRAY_ERR_NOT_FOUND)
		forget_tag(p, repo, ref->tag);
	return ask_failed(p, steal_pointer(&why), SHELF_MANIFEST_UNKNOWN, err);
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

static int ask_digest(struct proxy *p, const char *repo, const struct digest *digest,
		      struct shelf_doc *ret, dray_error **err)
{
	dray_error *why = NULL;
	int rc;

	if (is_silent(p))
		return refuse_silent(err);
	rc = bring(p, repo, digest->text, NULL, ret, &why);
	if (rc >= 0)
		return rc;
	return ask_failed(p, why, SHELF_MANIFEST_UNKNOWN, err);
}

/* 1, 0 = the folder could not keep it, -1. */
static int by_digest(struct proxy *p, const char *repo, const struct shelf_ref *ref, bool content,
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

static int proxy_manifest(struct shelf *s, const char *repo, const struct shelf_ref *ref,
			  bool content, struct shelf_doc *ret, dray_error **err)
{
	struct proxy *p = proxy_of(s);
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	int rc;

	if (!ref->tag && ref->digest.algo == DIGEST_OTHER)
		return unknown_manifest(err);
	cancel_follow(&p->stop);
	rc = ref->tag ? by_tag(p, repo, ref, content, &doc, err)
		      : by_digest(p, repo, ref, content, &doc, err);
	cancel_follow(NULL);
	if (rc < 0)
		return -1;
	*ret = doc;
	doc = (struct shelf_doc){ 0 };
	return 0;
}

/* ---- blobs ---- */

static int unknown_blob(dray_error **err)
{
	return shelf_refuse(err, SHELF_BLOB_UNKNOWN, "no such blob");
}

/* Only how long it is: nothing is brought for that. */
static int ask_size(struct proxy *p, const char *repo, const struct digest *digest,
		    struct shelf_blob *ret, dray_error **err)
{
	dray_error *why = NULL;
	int rc;

	if (is_silent(p))
		return refuse_silent(err);
	rc = p->up->ops->blob_size(p->up, repo, digest, &ret->size, &why);
	if (rc < 0)
		return ask_failed(p, why, SHELF_BLOB_UNKNOWN, err);
	if (rc == 0)
		return unknown_blob(err);
	return ret->size >= 0 ? 0
			      : shelf_refuse(err, SHELF_UNREACHABLE,
					     "the registry behind does not say how long it is");
}

static int proxy_blob(struct shelf *s, const char *repo, const struct digest *digest, bool content,
		      struct shelf_blob *ret, dray_error **err)
{
	struct proxy *p = proxy_of(s);
	cleanup_error dray_error *why = NULL;
	int rc;

	if (digest->algo == DIGEST_OTHER)
		return unknown_blob(err);
	if (p->depot->ops->blob(p->depot, repo, digest, content, ret, &why) == 0)
		return 0;
	if (dray_error_kind(why) != DRAY_ERR_NOT_FOUND)
		return hand_on(&why, err);
	cancel_follow(&p->stop);
	rc = content ? fetch_blob(p, repo, digest, ret, err) : ask_size(p, repo, digest, ret, err);
	cancel_follow(NULL);
	return rc;
}

/* ---- lists ---- */

static int proxy_repositories(struct shelf *s, const struct shelf_part *part,
			      struct shelf_page *ret, dray_error **err)
{
	struct shelf *d = proxy_of(s)->depot;

	return d->ops->repositories(d, part, ret, err);
}

/* The page of @all, sorted, that is asked for; it keeps the arena. */
static void cut_page(struct shelf_page *all, const struct shelf_part *part)
{
	size_t skip = 0;

	while (part->after && skip < all->n && strcmp(all->names[skip], part->after) <= 0)
		skip++;
	all->names += skip;
	all->n -= skip;
	all->more = all->n > part->max;
	if (all->more)
		all->n = part->max;
}

/* 1, 0 = from the folder, then, -1. */
static int ask_tags(struct proxy *p, const char *repo, struct shelf_page *ret, dray_error **err)
{
	dray_error *why = NULL;

	if (is_silent(p))
		return 0;
	if (p->up->ops->tags(p->up, repo, ret, &why) == 0)
		return 1;
	if (!no_answer(why))
		return proxy_refuse(p, why, SHELF_NAME_UNKNOWN, err);
	served_as_it_was(p, why);
	dray_error_free(why);
	return 0;
}

/* Nobody could be asked: what is not here is not known not to be. */
static int tags_here(struct proxy *p, const char *repo, const struct shelf_part *part,
		     struct shelf_page *ret, dray_error **err)
{
	cleanup_error dray_error *why = NULL;

	if (p->depot->ops->tags(p->depot, repo, part, ret, &why) == 0)
		return 0;
	return dray_error_kind(why) == DRAY_ERR_NOT_FOUND ? refuse_silent(err) : hand_on(&why, err);
}

static int proxy_tags(struct shelf *s, const char *repo, const struct shelf_part *part,
		      struct shelf_page *ret, dray_error **err)
{
	struct proxy *p = proxy_of(s);
	cleanup_shelf_page struct shelf_page all = { 0 };
	int rc;

	cancel_follow(&p->stop);
	rc = ask_tags(p, repo, &all, err);
	cancel_follow(NULL);
	if (rc <= 0)
		return rc < 0 ? -1 : tags_here(p, repo, part, ret, err);
	cut_page(&all, part);
	*ret = all;
	all = (struct shelf_page){ 0 };
	return 0;
}

/* ---- referrers: what the registry lists is brought, and then the folder knows all about it ---- */

/* 1, 0 = the folder could not keep it, -1. */
static int bring_referrer(struct proxy *p, const char *repo, const char *text, dray_error **err)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	struct shelf_ref ref = { 0 };

	if (digest_parse(span_str(text), &ref.digest, err) < 0)
		return -1;
	return ref.digest.algo == DIGEST_OTHER ? 1 : by_digest(p, repo, &ref, false, &doc, err);
}

/* 1, 0 = the folder could not keep them all, -1. */
static int bring_referrers(struct proxy *p, const char *repo, const struct digest *subject,
			   struct shelf_page *ret, dray_error **err)
{
	if (p->up->ops->referrers(p->up, repo, subject, ret, err) < 0)
		return -1;
	if (ret->n > PROXY_REFERRERS_MAX)
		return 0;
	for (size_t i = 0; i < ret->n; i++) {
		cleanup_error dray_error *why = NULL;
		int rc = bring_referrer(p, repo, ret->names[i], &why);

		if (rc == 0)
			return 0;
		if (rc < 0 && dray_error_kind(why) != DRAY_ERR_NOT_FOUND)
			return hand_on(&why, err);
	}
	return 1;
}

static bool lists(const struct shelf_page *names, const struct digest *d)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->names[i], d->text) == 0)
			return true;
	return false;
}

/* What the folder still has and the registry does not list any more is no referrer. */
static void keep_listed(struct shelf_referrers *list, const struct shelf_page *names)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (lists(names, &list->list[i].digest))
			list->list[n++] = list->list[i];
	list->n = n;
}

/* A list that lacks some would be taken for whole: by those who look for signatures. */
static int refuse_part(dray_error **err)
{
	return shelf_refuse(err, SHELF_NO_SPACE, "what refers to it cannot all be kept here");
}

/* 1 = @names are those of today, 0 = what the folder has will do, -1. */
static int ask_referrers(struct proxy *p, const char *repo, const struct digest *subject,
			 struct shelf_page *names, dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	struct belief asked = begin_question(p);
	int rc;

	if (is_silent(p))
		return 0;
	rc = bring_referrers(p, repo, subject, names, &why);
	if (rc == 0)
		return refuse_part(err);
	/* An unknown repository has none. */
	if (rc < 0 && dray_error_kind(why) == DRAY_ERR_NOT_FOUND) {
		shelf_page_clear(names);
		rc = 1;
	}
	if (rc > 0) {
		/* That there are none is what the folder cannot tell. */
		believe(p, repo, subject->text, names->n ? (struct belief){ 0 } : asked);
		return 1;
	}
	if (!no_answer(why))
		return proxy_refuse(p, steal_pointer(&why), SHELF_MANIFEST_UNKNOWN, err);
	served_as_it_was(p, why);
	return 0;
}

/* A page of the folder's, without those that are not in @names (NULL = all are). */
static int listed_page(struct proxy *p, const char *repo, const struct digest *subject,
		       const char *artifact_type, struct shelf_part at,
		       const struct shelf_page *names, struct shelf_referrers *ret,
		       dray_error **err)
{
	struct shelf *d = p->depot;
	char last[DIGEST_TEXT];

	for (;;) {
		if (d->ops->referrers(d, repo, subject, artifact_type, &at, ret, err) < 0)
			return -1;
		if (!names || ret->n == 0)
			return 0;
		memcpy(last, ret->list[ret->n - 1].digest.text, sizeof(last));
		keep_listed(ret, names);
		if (ret->n > 0 || !ret->more)
			return 0;
		/* The next page is where the last one of this ended. */
		shelf_referrers_clear(ret);
		at.after = last;
	}
}

/* Without an answer: the folder has some that refer to @subject, or there were none. */
static int check_known(struct proxy *p, const char *repo, const struct digest *subject,
		       dray_error **err)
{
	cleanup_shelf_referrers struct shelf_referrers any = { 0 };
	const struct shelf_part first = { .max = 1 };

	if (belief_of(p, repo, subject->text).question)
		return 0;
	if (p->depot->ops->referrers(p->depot, repo, subject, NULL, &first, &any, err) < 0)
		return -1;
	return any.n > 0 ? 0 : refuse_silent(err);
}

static int proxy_referrers(struct shelf *s, const char *repo, const struct digest *subject,
			   const char *artifact_type, const struct shelf_part *part,
			   struct shelf_referrers *ret, dray_error **err)
{
	struct proxy *p = proxy_of(s);
	cleanup_shelf_page struct shelf_page names = { 0 };
	int rc;

	/* None is stored: the folder says so. */
	if (subject->algo == DIGEST_OTHER)
		return listed_page(p, repo, subject, artifact_type, *part, NULL, ret, err);
	cancel_follow(&p->stop);
	rc = ask_referrers(p, repo, subject, &names, err);
	cancel_follow(NULL);
	if (rc < 0 || (rc == 0 && check_known(p, repo, subject, err) < 0))
		return -1;
	return listed_page(p, repo, subject, artifact_type, *part, rc > 0 ? &names : NULL, ret,
			   err);
}

/* ---- the shelf ---- */

static bool proxy_stands_for(const struct shelf *s, const char *registry)
{
	const struct proxy *p = (const struct proxy *)s;

	return p->up->ops->is_called(p->up, registry);
}

static struct shelf *proxy_here(struct shelf *s)
{
	return proxy_of(s)->depot;
}

static int proxy_state(struct shelf *s, struct shelf_state *ret, dray_error **err)
{
	struct shelf *d = proxy_of(s)->depot;

	return d->ops->state(d, ret, err);
}

static int proxy_health(struct shelf *s, dray_error **err)
{
	struct shelf *d = proxy_of(s)->depot;

	return d->ops->health(d, err);
}

static void proxy_free(struct shelf *s)
{
	struct proxy *p = proxy_of(s);

	proxy_stop(s);
	fetch_end(p);
	for (size_t i = 0; i < STRIPES; i++)
		lock_free(p->asking[i]);
	lock_free(p->lock);
	map_clear(&p->beliefs);
	arena_clear(&p->arena);
	mem_free(p);
}

static const struct shelf_ops PROXY_OPS = {
	.repositories = proxy_repositories,
	.tags = proxy_tags,
	.manifest = proxy_manifest,
	.blob = proxy_blob,
	.referrers = proxy_referrers,
	.stands_for = proxy_stands_for,
	.here = proxy_here,
	.state = proxy_state,
	.health = proxy_health,
	.free = proxy_free,
};

static int make_locks(struct proxy *p, dray_error **err)
{
	p->lock = lock_new(err);
	for (size_t i = 0; p->lock && i < STRIPES; i++) {
		p->asking[i] = lock_new(err);
		if (!p->asking[i])
			return -1;
	}
	return p->lock ? 0 : -1;
}

int proxy_open(struct shelf *depot, struct upstream *up, const struct proxy_options *o,
	       struct shelf **ret, dray_error **err)
{
	struct proxy *p = mem_zalloc(sizeof(*p));
	cleanup_shelf struct shelf *s = p ? &p->shelf : NULL;

	if (!p)
		return err_nomem(err);
	p->shelf.ops = &PROXY_OPS;
	p->depot = depot;
	p->up = up;
	p->o = *o;
	p->o.downloads = o->downloads ? o->downloads : PROXY_DOWNLOADS;
	if (map_hash_ready(err) < 0 || make_locks(p, err) < 0 || fetch_begin(p, err) < 0)
		return -1;
	*ret = steal_pointer(&s);
	return 0;
}

void proxy_stop(struct shelf *s)
{
	struct proxy *p = proxy_of(s);

	atomic_store(&p->stop, true);
	if (!p->lock)
		return;
	lock_take(p->lock);
	lock_wake(p->lock);
	lock_drop(p->lock);
}
