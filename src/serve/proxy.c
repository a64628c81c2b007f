/* SPDX-License-Identifier: Apache-2.0
 *
 * For: a cache as a shelf: its blobs, its beginning and end, and what it says when something fails.
 * Relies on: the folder to prove what is kept, on a table of questions to the registry.
 * Promises: nothing is given under a digest that it does not have; nobody waits for a registry that
 * was silent a moment ago.
 */
#include "base/cancel.h"
#include "base/io.h"
#include "base/mem.h"
#include "serve/proxy_priv.h"

/* ---- what went wrong ---- */

void proxy_note(struct proxy *p, const char *what, const dray_error *why)
{
	cleanup_free char *text = why ? mem_printf("%s: %s", what, dray_error_message(why)) : NULL;

	p->up->ops->note(p->up, text ? text : what);
}

int proxy_refuse_silent(dray_error **err)
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
	return proxy_refuse_silent(err);
}

bool proxy_no_answer(const dray_error *e)
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

bool proxy_is_silent(struct proxy *p)
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

void proxy_served_as_it_was(struct proxy *p, const dray_error *why)
{
	was_silent(p, why);
	proxy_note(p, "served as it was", why);
}

int proxy_hand_on(dray_error **why, dray_error **err)
{
	if (err)
		*err = steal_pointer(why);
	return -1;
}

int proxy_ask_failed(struct proxy *p, dray_error *why, enum shelf_code unknown, dray_error **err)
{
	was_silent(p, why);
	return proxy_refuse(p, why, unknown, err);
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

	if (proxy_is_silent(p))
		return proxy_refuse_silent(err);
	rc = p->up->ops->blob_size(p->up, repo, digest, &ret->size, &why);
	if (rc < 0)
		return proxy_ask_failed(p, why, SHELF_BLOB_UNKNOWN, err);
	if (rc == 0)
		return unknown_blob(err);
	return 0;
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
		return proxy_hand_on(&why, err);
	cancel_follow(&p->stop);
	rc = content ? proxy_give_blob(p, repo, digest, ret, err)
		     : ask_size(p, repo, digest, ret, err);
	cancel_follow(NULL);
	return rc;
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
	p->o.referrers = o->referrers ? o->referrers : PROXY_REFERRERS_MAX;
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
