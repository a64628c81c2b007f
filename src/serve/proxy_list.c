/* SPDX-License-Identifier: Apache-2.0
 *
 * For: lists of a cache: repositories, tags, and what refers to a manifest.
 * Relies on: the folder, for pages; a table of questions to the registry.
 * Promises: a list is the registry's, whole, or when that is silent what the folder has; that
 * nothing is there is said by who knows.
 */
#include "base/cancel.h"
#include "base/mem.h"
#include "serve/proxy_priv.h"

/* ---- lists ---- */

int proxy_repositories(struct shelf *s, const struct shelf_part *part, struct shelf_page *ret,
		       dray_error **err)
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

	if (proxy_is_silent(p))
		return 0;
	if (p->up->ops->tags(p->up, repo, ret, &why) == 0)
		return 1;
	if (!proxy_no_answer(why))
		return proxy_refuse(p, why, SHELF_NAME_UNKNOWN, err);
	proxy_served_as_it_was(p, why);
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
	return dray_error_kind(why) == DRAY_ERR_NOT_FOUND ? proxy_refuse_silent(err)
							  : proxy_hand_on(&why, err);
}

int proxy_tags(struct shelf *s, const char *repo, const struct shelf_part *part,
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
	return ref.digest.algo == DIGEST_OTHER ? 1
					       : proxy_by_digest(p, repo, &ref, false, &doc, err);
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
			return proxy_hand_on(&why, err);
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
	struct belief asked = proxy_begin_question(p);
	int rc;

	if (proxy_is_silent(p))
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
		proxy_believe(p, repo, subject->text, names->n ? (struct belief){ 0 } : asked);
		return 1;
	}
	if (!proxy_no_answer(why))
		return proxy_refuse(p, steal_pointer(&why), SHELF_MANIFEST_UNKNOWN, err);
	proxy_served_as_it_was(p, why);
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

	if (proxy_belief_of(p, repo, subject->text).question)
		return 0;
	if (p->depot->ops->referrers(p->depot, repo, subject, NULL, &first, &any, err) < 0)
		return -1;
	return any.n > 0 ? 0 : proxy_refuse_silent(err);
}

int proxy_referrers(struct shelf *s, const char *repo, const struct digest *subject,
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
