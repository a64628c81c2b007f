/* SPDX-License-Identifier: Apache-2.0
 *
 * For: lists of a cache: repositories, tags, and what refers to a manifest.
 * Relies on: the folder, for pages; a table of questions to the registry.
 * Promises: a list is the registry's, whole, or when that is silent what the folder has; that
 * nothing is there is said by who knows. What the folder cannot keep of it is handed on.
 */
#include <stdlib.h>

#include "base/cancel.h"
#include "base/limits.h"
#include "base/mem.h"
#include "image/manifest.h"
#include "serve/proxy_priv.h"

#define IN_PART (-1) /* in place of a question: the folder is known not to have all referrers */

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

/* It is gone, or no manifest that we read: none that could be listed, and the list is whole without. */
static bool is_none(const dray_error *why)
{
	switch (dray_error_kind(why)) {
	case DRAY_ERR_NOT_FOUND:
	case DRAY_ERR_FORMAT:
		return true;
	default:
		return false;
	}
}

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

/* 1, 0 = the folder could not keep them all, or they are too many for one go, -1. */
static int bring_referrers(struct proxy *p, const char *repo, const struct digest *subject,
			   struct shelf_page *ret, dray_error **err)
{
	if (p->up->ops->referrers(p->up, repo, subject, ret, err) < 0)
		return -1;
	if (ret->n > p->o.referrers)
		return 0;
	for (size_t i = 0; i < ret->n; i++) {
		cleanup_error dray_error *why = NULL;
		int rc = bring_referrer(p, repo, ret->names[i], &why);

		if (rc == 0)
			return 0;
		if (rc < 0 && !is_none(why))
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

/* ---- those that the folder cannot keep: told by the documents themselves ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_entry(struct shelf_referrers *list, const struct manifest *m, const char *type,
		     dray_error **err)
{
	struct shelf_referrer *r = &list->list[list->n++];
	bool annotated = json_present(m->annotations);

	*r = (struct shelf_referrer){ .digest = m->digest, .size = (int64_t)m->raw.len };
	r->media_type = arena_strdup(&list->arena, m->media_type);
	r->artifact_type = type ? arena_strdup(&list->arena, type) : NULL;
	if (annotated)
		r->annotations = arena_dup(&list->arena, json_raw(m->annotations));
	if (!r->media_type || (type && !r->artifact_type) || (annotated && !r->annotations.data))
		return err_nomem(err);
	return 0;
}

/* *ret NULL: it is gone, or is none that we read. */
static int get_referrer(struct proxy *p, const char *repo, const char *text, struct manifest **ret,
			dray_error **err)
{
	cleanup_shelf_doc struct shelf_doc doc = { 0 };
	cleanup_error dray_error *why = NULL;
	struct shelf_ref ref = { 0 };

	*ret = NULL;
	if (digest_parse(span_str(text), &ref.digest, err) < 0)
		return -1;
	if (ref.digest.algo == DIGEST_OTHER)
		return 0;
	if (proxy_by_digest(p, repo, &ref, true, &doc, &why) >= 0 &&
	    manifest_parse(&doc.bytes, doc.media_type, ret, &why) == 0) {
		(*ret)->digest = ref.digest;
		return 0;
	}
	return is_none(why) ? 0 : proxy_hand_on(&why, err);
}

/* What a list is asked for. */
struct wanted {
	const char *repo;
	const struct digest *subject;
	const char *artifact_type; /* NULL = any */
};

/* Of what it says of itself: is it one that is asked for? */
static bool is_wanted(const struct manifest *m, const char *type, const struct wanted *q)
{
	return digest_eq(&m->subject.digest, q->subject) &&
	       (!q->artifact_type || (type && strcmp(type, q->artifact_type) == 0));
}

/* The referrer @name, brought again, into @ret if it is wanted. */
static int hand_on_one(struct proxy *p, const struct wanted *q, const char *name,
		       struct shelf_referrers *ret, size_t *bytes, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;
	const char *type;

	if (get_referrer(p, q->repo, name, &m, err) < 0)
		return -1;
	if (!m)
		return 0;
	type = m->artifact_type ? m->artifact_type : m->config.media_type;
	if (!is_wanted(m, type, q))
		return 0;
	*bytes += m->raw.len;
	return add_entry(ret, m, type, err);
}

/* The page ends with a name that was asked about, whether it is on the page or not. */
static int end_behind(struct shelf_referrers *ret, const char *name, dray_error **err)
{
	ret->last = arena_strdup(&ret->arena, name);
	return ret->last ? 0 : err_nomem(err);
}

/* @names are all that there are: a page of them is brought again, whether they can be kept or not. */
static int handed_on(struct proxy *p, const struct wanted *q, const struct shelf_part *part,
		     struct shelf_page *names, struct shelf_referrers *ret, dray_error **err)
{
	size_t bytes = 0, asked = 0;

	qsort(names->names, names->n, sizeof(*names->names), compare_names);
	ret->list = arena_array(&ret->arena, part->max + 1, sizeof(*ret->list));
	if (!ret->list)
		return err_nomem(err);
	for (size_t i = 0; i < names->n; i++) {
		if (part->after && strcmp(names->names[i], part->after) <= 0)
			continue;
		ret->more = ret->n == part->max || (ret->n && bytes > LIMIT_MANIFEST);
		if (ret->more)
			return 0;
		if (asked++ == p->o.referrers) {
			ret->more = true;
			return end_behind(ret, names->names[i - 1], err);
		}
		if (hand_on_one(p, q, names->names[i], ret, &bytes, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the list ---- */

/* 2 = @names are those of today, and not all are kept, 1 = they are, 0 = what the folder has will do, -1. */
static int ask_referrers(struct proxy *p, const char *repo, const struct digest *subject,
			 struct shelf_page *names, dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	struct belief asked = proxy_begin_question(p);
	int rc;

	if (proxy_is_silent(p))
		return 0;
	rc = bring_referrers(p, repo, subject, names, &why);
	if (rc == 0) {
		proxy_note(p, "referrers are handed on and not kept", NULL);
		return 2;
	}
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
	/* The list is known, and the folder has a part of it: also when nobody can be asked. */
	if (names->n > 0) {
		proxy_believe(p, repo, subject->text, (struct belief){ .question = IN_PART });
		return proxy_hand_on(&why, err);
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
	int64_t question = proxy_belief_of(p, repo, subject->text).question;

	if (question)
		return question == IN_PART ? proxy_refuse_silent(err) : 0;
	if (p->depot->ops->referrers(p->depot, repo, subject, NULL, &first, &any, err) < 0)
		return -1;
	return any.n > 0 ? 0 : proxy_refuse_silent(err);
}

/* 2, -1: then the client is told why. */
static int give_on(struct proxy *p, const struct wanted *q, const struct shelf_part *part,
		   struct shelf_page *names, struct shelf_referrers *ret, dray_error **err)
{
	cleanup_shelf_referrers struct shelf_referrers list = { 0 };

	if (handed_on(p, q, part, names, &list, err) < 0)
		return -1;
	*ret = list;
	list = (struct shelf_referrers){ 0 };
	return 2;
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
	if (rc == 2)
		rc = give_on(p, &(struct wanted){ repo, subject, artifact_type }, part, &names, ret,
			     err);
	cancel_follow(NULL);
	if (rc == 2)
		return 0;
	if (rc < 0 || (rc == 0 && check_known(p, repo, subject, err) < 0))
		return -1;
	return listed_page(p, repo, subject, artifact_type, *part, rc > 0 ? &names : NULL, ret,
			   err);
}
