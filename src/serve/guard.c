/* SPDX-License-Identifier: Apache-2.0
 *
 * For: one answer to "may he?", whatever kind of name a client gives.
 * Relies on htpasswd.c for passwords, on token.c for tokens of others, on ticket.c for our own.
 * Promises: no doubt ends in "yes"; nothing of a password or a token gets into a text.
 */
#include "serve/guard.h"

#include <time.h>

#include "base/io.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "proto/url.h"
#include "serve/claim.h"
#include "serve/htpasswd.h"
#include "serve/token_keys.h"
#include "serve/ticket.h"
#include "serve/shelf.h"
#include "serve/token.h"

struct guard {
	struct guard_options o;
	struct htpasswd *users; /* or */
	struct token_keys *keys;
	uint8_t secret[TICKET_SECRET];
};

/* ---- begin, end ---- */

/* Text that stands between quotes in a field of a head. */
static bool quotable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\')
			return false;
	return true;
}

static int check_tokens(const struct guard_options *o, dray_error **err)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	struct url url;

	if (!o->realm && !o->service && !o->issuer && !o->n_keys)
		return 0;
	if (!o->realm || !o->service || !o->n_keys)
		return err_set(err, DRAY_ERR_USAGE,
			       "tokens need a realm, a service and a key: one of them is missing");
	if (url_parse(o->realm, &a, &url, err) < 0) {
		err_rekind(err, DRAY_ERR_USAGE);
		return err_ctx(err, "the realm of tokens");
	}
	if (!*o->service || !quotable(o->realm) || !quotable(o->service))
		return err_set(err, DRAY_ERR_USAGE,
			       "realm and service of tokens are printable ASCII without quotes");
	return 0;
}

static int check_options(const struct guard_options *o, dray_error **err)
{
	if (check_tokens(o, err) < 0)
		return -1;
	if (o->htpasswd && o->realm)
		return err_set(err, DRAY_ERR_USAGE,
			       "passwords are asked for by us or by who makes tokens, not by both");
	if (o->anonymous_read && !o->htpasswd && !o->realm)
		return err_set(err, DRAY_ERR_USAGE,
			       "everybody may read and write while there are no users");
	return 0;
}

int guard_open(const struct guard_options *o, struct guard **ret, dray_error **err)
{
	struct guard *a;
	int rc;

	*ret = NULL;
	if (check_options(o, err) < 0)
		return -1;
	if (!o->htpasswd && !o->realm)
		return 0;
	a = mem_zalloc(sizeof(*a));
	if (!a)
		return err_nomem(err);
	a->o = *o;
	rc = io_random(a->secret, sizeof(a->secret), err);
	if (rc == 0 && o->htpasswd)
		rc = htpasswd_open(o->htpasswd, &a->users, err);
	if (rc == 0 && o->realm)
		rc = token_keys_open(o->keys, o->n_keys, &a->keys, err);
	if (rc == 0)
		*ret = a;
	else
		guard_free(a);
	return rc;
}

void guard_free(struct guard *a)
{
	if (!a)
		return;
	htpasswd_free(a->users);
	token_keys_free(a->keys);
	explicit_bzero(a->secret, sizeof(a->secret));
	mem_free(a);
}

int guard_refresh(struct guard *a, dray_error **err)
{
	if (a && a->users && htpasswd_refresh(a->users, err) < 0)
		return -1;
	return a && a->keys && token_keys_refresh(a->keys, err) < 0 ? -1 : 0;
}

bool guard_has_tokens(const struct guard *a)
{
	return a && a->users && a->o.anonymous_read;
}

bool guard_is_per_repository(const struct guard *a)
{
	return a && a->keys && !a->o.anonymous_read;
}

/* ---- challenges ---- */

static const char *scope_of(const struct guard_request *q, struct arena *a)
{
	switch (q->need) {
	case GUARD_PULL:
		return arena_printf(a, "repository:%s:pull", q->repo);
	case GUARD_PUSH:
		return q->from ? arena_printf(a, "repository:%s:pull,push repository:%s:pull",
					      q->repo, q->from)
			       : arena_printf(a, "repository:%s:pull,push", q->repo);
	case GUARD_DELETE:
		return arena_printf(a, "repository:%s:delete", q->repo);
	case GUARD_CATALOG:
	case GUARD_OTHER:
		return "registry:catalog:*";
	default:
		return "";
	}
}

static const char *bearer(const char *realm, const char *service, const struct guard_request *q,
			  const char *trouble, struct arena *a)
{
	const char *scope = scope_of(q, a);

	if (!scope)
		return NULL;
	return arena_printf(a, "Bearer realm=\"%s\",service=\"%s\"%s%s%s%s%s%s", realm, service,
			    *scope ? ",scope=\"" : "", scope, *scope ? "\"" : "",
			    trouble ? ",error=\"" : "", trouble ? trouble : "",
			    trouble ? "\"" : "");
}

static const char *challenge_of(const struct guard *au, const struct guard_request *q,
				const char *trouble, struct arena *a)
{
	if (au->keys)
		return bearer(au->o.realm, au->o.service, q, trouble, a);
	if (!guard_has_tokens(au))
		return "Basic realm=\"dray\"";
	const char *realm = arena_printf(a, "%s/token", q->origin);

	return realm ? bearer(realm, "dray", q, trouble, a) : NULL;
}

/* ---- may he? ---- */

struct decision {
	struct guard *guard;
	const struct guard_request *q;
	struct arena *arena;
	struct guard_answer *ret;
};

static int refuse(const struct decision *d, const char *trouble, const char *text, dray_error **err)
{
	d->ret->challenge = challenge_of(d->guard, d->q, trouble, d->arena);
	if (!d->ret->challenge)
		return err_nomem(err);
	return shelf_refuse(err, SHELF_UNAUTHORIZED, "%s", text);
}

static int keep_user(const struct decision *d, const char *user, dray_error **err)
{
	d->ret->user = arena_strdup(d->arena, user);
	return d->ret->user ? 0 : err_nomem(err);
}

static bool anybody_may(const struct decision *d)
{
	return d->guard->o.anonymous_read &&
	       (d->q->need == GUARD_PULL || d->q->need == GUARD_CATALOG);
}

static int check_nobody(const struct decision *d, dray_error **err)
{
	return anybody_may(d) ? 0 : refuse(d, NULL, "authentication required", err);
}

static int check_password(const struct decision *d, const struct claim *c, dray_error **err)
{
	int rc = htpasswd_check(d->guard->users, c->user, c->password, err);

	if (rc < 0)
		return -1;
	return rc > 0 ? keep_user(d, c->user, err)
		      : refuse(d, NULL, "user or password is wrong", err);
}

static int check_ticket(const struct decision *d, struct span text, dray_error **err)
{
	const char *user = NULL;
	int rc = ticket_read(d->guard->secret, text, time(NULL), d->arena, &user, err);

	if (rc < 0)
		return -1;
	if (rc == 0 || (*user && !htpasswd_knows(d->guard->users, user)))
		return refuse(d, "invalid_token", "the token does not hold, or no more", err);
	return *user ? keep_user(d, user, err) : check_nobody(d, err);
}

static bool token_suffices(const struct token *t, const struct guard_request *q)
{
	switch (q->need) {
	case GUARD_ENTER:
		return true;
	case GUARD_PULL:
		return token_allows(t, "repository", q->repo, "pull");
	case GUARD_PUSH:
		return token_allows(t, "repository", q->repo, "push") &&
		       (!q->from || token_allows(t, "repository", q->from, "pull"));
	case GUARD_DELETE:
		return token_allows(t, "repository", q->repo, "delete");
	default:
		return token_allows(t, "registry", "catalog", "*");
	}
}

static int check_token(const struct decision *d, struct span text, dray_error **err)
{
	const struct guard_options *o = &d->guard->o;
	cleanup_error dray_error *why = NULL;
	struct key_list *keys = token_keys_take(d->guard->keys);
	const struct token_rules rules = { token_keys_list(keys), o->service, o->issuer };
	struct token token;
	int rc = token_check(text, &rules, time(NULL), d->arena, &token, &why);

	token_keys_drop(d->guard->keys, keys);
	if (rc < 0 && dray_error_kind(why) == DRAY_ERR_NOMEM)
		return err_nomem(err);
	if (rc < 0)
		return refuse(d, "invalid_token", dray_error_message(why), err);
	d->ret->user = token.subject;
	if (token_suffices(&token, d->q) || anybody_may(d))
		return 0;
	return refuse(d, "insufficient_scope", "the token does not grant this", err);
}

static int decide(const struct decision *d, const struct claim *c, dray_error **err)
{
	const struct guard *a = d->guard;

	if (c->kind == CLAIM_NONE)
		return check_nobody(d, err);
	if (c->kind == CLAIM_BASIC && a->users)
		return check_password(d, c, err);
	if (c->kind == CLAIM_BEARER && a->keys)
		return check_token(d, c->token, err);
	if (c->kind == CLAIM_BEARER && guard_has_tokens(a))
		return check_ticket(d, c->token, err);
	return refuse(d, NULL, "this kind of login is not known here", err);
}

int guard_check(struct guard *a, const struct guard_request *q, struct arena *arena,
		struct guard_answer *ret, dray_error **err)
{
	const struct decision d = { a, q, arena, ret };
	cleanup_claim struct claim c = { 0 };

	*ret = (struct guard_answer){ 0 };
	if (!a || q->need == GUARD_FREE)
		return 0;
	return claim_read(q->authorization, &c, err) < 0 ? -1 : decide(&d, &c, err);
}

/* ---- tokens of our own ---- */

static int write_token(const char *text, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_kstring(&w, "token", text);
	jsonw_kstring(&w, "access_token", text);
	jsonw_kint(&w, "expires_in", TICKET_SECONDS);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

int guard_token(struct guard *a, const struct guard_request *q, struct arena *arena,
		struct guard_answer *ret, struct buf *ret_json, dray_error **err)
{
	const struct decision d = { a, q, arena, ret };
	cleanup_claim struct claim c = { 0 };
	const char *text;

	*ret = (struct guard_answer){ 0 };
	if (claim_read(q->authorization, &c, err) < 0)
		return -1;
	if (c.kind == CLAIM_BASIC && check_password(&d, &c, err) < 0)
		return -1;
	if (c.kind != CLAIM_BASIC && c.kind != CLAIM_NONE)
		return refuse(&d, NULL, "this kind of login is not known here", err);
	text = ticket_make(a->secret, ret->user ? ret->user : "", time(NULL) + TICKET_SECONDS,
			   arena, err);
	return text ? write_token(text, ret_json, err) : -1;
}
