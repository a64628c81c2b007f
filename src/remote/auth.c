/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      the authentication state of one remote.
 * Relies:   on token.c for the conversation and on credentials_find() for who we are.
 * Promises: one token fetch at a time, shared by all workers; a token is sent to the registry only; secrets
 *           are wiped when they go.
 */
#include "remote/auth.h"

#include "base/io.h"
#include "base/mem.h"
#include "flow/pool.h"
#include "proto/challenge.h"
#include "remote/refusal.h"
#include "remote/retry.h"
#include "remote/token.h"

#define TOKENS_MAX 32	/* cached; the oldest goes */
#define MARGIN_MS 10000 /* a token this near its end is not used for a new request */

enum mode {
	MODE_NONE, /* nobody asked for anything yet */
	MODE_BASIC,
	MODE_BEARER,
};

struct cached {
	char *realm, *service; /* service "" = none */
	struct scopes scopes;
	char *text;
	int64_t ends_ms;
};

struct auth {
	struct http *http;
	const struct remote_options *o;
	const struct reference *ref;
	struct url origin;
	struct lock *lock; /* all below */
	enum mode mode;
	char *realm, *service;
	struct scopes
		own; /* what every request of this remote needs; grows with what challenges add */
	bool loaded;
	bool insist;
	struct credentials creds;
	struct cached tokens[TOKENS_MAX];
	size_t n_tokens;
};

static void cached_clear(struct cached *c)
{
	mem_free(c->realm);
	mem_free(c->service);
	scopes_clear(&c->scopes);
	secret_free(c->text);
	*c = (struct cached){ 0 };
}

void auth_free(struct auth *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->n_tokens; i++)
		cached_clear(&x->tokens[i]);
	scopes_clear(&x->own);
	credentials_clear(&x->creds);
	mem_free(x->realm);
	mem_free(x->service);
	lock_free(x->lock);
	mem_free(x);
}

static int add_repository(struct scopes *s, const char *path, const char *actions, dray_error **err)
{
	cleanup_free char *text = mem_printf("repository:%s:%s", path, actions);

	return text ? scopes_add(s, span_str(text), err) : err_nomem(err);
}

struct auth *auth_new(struct http *h, const struct remote_options *o, const struct reference *ref,
		      const char *scope, dray_error **err)
{
	struct auth *x = mem_zalloc(sizeof(*x));

	if (!x) {
		err_nomem(err);
		return NULL;
	}
	x->http = h;
	x->o = o;
	x->ref = ref;
	x->lock = lock_new(err);
	if (!x->lock || scopes_add(&x->own, span_str(scope), err) < 0) {
		auth_free(x);
		return NULL;
	}
	return x;
}

void auth_insist(struct auth *x)
{
	x->insist = true;
}

void auth_set_origin(struct auth *x, const struct url *origin)
{
	x->origin = *origin;
}

/* ---- under the lock ---- */

static int load(struct auth *x, dray_error **err)
{
	if (x->loaded)
		return 0;
	if (credentials_find(x->o, x->ref, &x->creds, err) < 0)
		return -1;
	x->loaded = true;
	return 0;
}

static int wanted(struct auth *x, const char *also_pull, struct scopes *ret, dray_error **err)
{
	if (scopes_add_all(ret, &x->own, err) < 0)
		return -1;
	return also_pull ? add_repository(ret, also_pull, "pull", err) : 0;
}

static struct cached *find_token(struct auth *x, const struct scopes *want)
{
	int64_t now = io_now_ms();

	for (size_t i = x->n_tokens; i-- > 0;) {
		struct cached *c = &x->tokens[i];

		if (c->ends_ms > now + MARGIN_MS && strcmp(c->realm, x->realm) == 0 &&
		    strcmp(c->service, x->service) == 0 && scopes_cover(&c->scopes, want))
			return c;
	}
	return NULL;
}

static void remove_token(struct auth *x, size_t i)
{
	cached_clear(&x->tokens[i]);
	x->n_tokens--;
	memmove(&x->tokens[i], &x->tokens[i + 1], (x->n_tokens - i) * sizeof(x->tokens[0]));
	x->tokens[x->n_tokens] = (struct cached){ 0 };
}

static int keep_token(struct auth *x, const struct scopes *want, struct token *t, dray_error **err)
{
	struct cached c = { 0 };

	c.realm = mem_strdup(x->realm);
	c.service = mem_strdup(x->service);
	if (!c.realm || !c.service) {
		cached_clear(&c);
		return err_nomem(err);
	}
	if (scopes_add_all(&c.scopes, want, err) < 0) {
		cached_clear(&c);
		return -1;
	}
	c.text = steal_pointer(&t->text);
	c.ends_ms = io_now_ms() + t->lives_ms;
	if (x->n_tokens == TOKENS_MAX)
		remove_token(x, 0);
	x->tokens[x->n_tokens++] = c;
	if (t->refresh && x->creds.identity_token) {
		secret_free(x->creds.identity_token);
		x->creds.identity_token = steal_pointer(&t->refresh);
	}
	return 0;
}

static int fetch(struct auth *x, const struct scopes *want, dray_error **err)
{
	struct token_query q = {
		.from = &x->origin,
		.realm = x->realm,
		.service = *x->service ? x->service : NULL,
		.scopes = want,
		.creds = &x->creds,
		.insist = x->insist,
		.retries = x->o->retries,
	};
	struct token t = { 0 };
	int rc;

	if (token_fetch(x->http, &q, &t, err) < 0)
		return -1;
	rc = keep_token(x, want, &t, err);
	token_clear(&t);
	return rc;
}

static int bearer_value(struct auth *x, const char *also_pull, char **ret, dray_error **err)
{
	cleanup_scopes struct scopes want = { 0 };
	struct cached *c;

	if (wanted(x, also_pull, &want, err) < 0)
		return -1;
	c = find_token(x, &want);
	if (!c && fetch(x, &want, err) < 0)
		return -1;
	if (!c)
		c = &x->tokens[x->n_tokens - 1];
	*ret = mem_printf("Bearer %s", c->text);
	return *ret ? 0 : err_nomem(err);
}

static int value(struct auth *x, const char *also_pull, char **ret, dray_error **err)
{
	*ret = NULL;
	if (x->mode == MODE_NONE)
		return 0;
	if (load(x, err) < 0)
		return -1;
	if (x->creds.registry_token) {
		*ret = mem_printf("Bearer %s", x->creds.registry_token);
		return *ret ? 0 : err_nomem(err);
	}
	if (x->mode == MODE_BEARER)
		return bearer_value(x, also_pull, ret, err);
	if (!x->creds.user)
		return 0;
	*ret = basic_value(x->creds.user, x->creds.password);
	return *ret ? 0 : err_nomem(err);
}

/* The first challenge of any line that we understand. 1, 0, -1. */
static int first_challenge(const struct http_response *res, struct arena *a, struct challenge *ret,
			   dray_error **err)
{
	for (size_t i = 0; i < res->n_challenges; i++) {
		int rc = challenge_parse(span_str(res->challenge[i]), a, ret, err);

		if (rc)
			return rc;
	}
	return 0;
}

/* Did another worker renew what @p sent was? Then there is nothing to fetch. */
static bool forget(struct auth *x, const char *sent)
{
	const char *text = sent && strncmp(sent, "Bearer ", 7) == 0 ? sent + 7 : NULL;

	for (size_t i = 0; text && i < x->n_tokens; i++) {
		if (strcmp(x->tokens[i].text, text) == 0) {
			remove_token(x, i);
			return false;
		}
	}
	return text != NULL;
}

static int replace(char **slot, const char *text)
{
	char *copy = mem_strdup(text ? text : "");

	if (!copy)
		return -1;
	mem_free(*slot);
	*slot = copy;
	return 0;
}

static int adopt_bearer(struct auth *x, const struct challenge *c, dray_error **err)
{
	if (!c->realm)
		return err_set(err, DRAY_ERR_FORMAT, "the registry's challenge names no realm");
	if (replace(&x->realm, c->realm) < 0 || replace(&x->service, c->service) < 0)
		return err_nomem(err);
	x->mode = MODE_BEARER;
	return 0;
}

static int renew_bearer(struct auth *x, const struct challenge *c, const char *also_pull,
			const char *sent, dray_error **err)
{
	cleanup_scopes struct scopes want = { 0 };

	if (adopt_bearer(x, c, err) < 0 || wanted(x, also_pull, &want, err) < 0 ||
	    (c->scope && scopes_add(&want, span_str(c->scope), err) < 0))
		return -1;
	if (forget(x, sent) && find_token(x, &want))
		return 1;
	return fetch(x, &want, err) < 0 ? -1 : 1;
}

static int renew(struct auth *x, const char *also_pull, const char *sent,
		 const struct http_response *res, struct arena *a, dray_error **err)
{
	struct challenge c = { 0 };
	int rc = first_challenge(res, a, &c, err);

	if (rc <= 0 || load(x, err) < 0)
		return rc <= 0 ? rc : -1;
	if (x->creds.registry_token) {
		x->mode = MODE_BEARER;
		return sent ? 0 : 1;
	}
	if (c.scheme == CHALLENGE_BEARER)
		return renew_bearer(x, &c, also_pull, sent, err);
	if (!x->creds.user || (sent && strncmp(sent, "Basic ", 6) == 0))
		return 0;
	x->mode = MODE_BASIC;
	return 1;
}

static int learn(struct auth *x, const struct http_response *res, struct arena *a, dray_error **err)
{
	struct challenge c = { 0 };
	int rc = first_challenge(res, a, &c, err);

	if (rc <= 0)
		return rc;
	if (c.scheme == CHALLENGE_BEARER)
		return adopt_bearer(x, &c, err) < 0 ? -1 : 1;
	x->mode = MODE_BASIC;
	return 1;
}

/* ---- doors ---- */

int auth_value(struct auth *x, const char *also_pull, char **ret, dray_error **err)
{
	int rc;

	lock_take(x->lock);
	rc = value(x, also_pull, ret, err);
	lock_drop(x->lock);
	return rc;
}

int auth_renew(struct auth *x, const char *also_pull, const char *sent,
	       const struct http_response *res, dray_error **err)
{
	struct arena a = { 0 };
	int rc;

	lock_take(x->lock);
	rc = renew(x, also_pull, sent, res, &a, err);
	lock_drop(x->lock);
	arena_clear(&a);
	return rc;
}

int auth_learn(struct auth *x, const struct http_response *res, dray_error **err)
{
	struct arena a = { 0 };
	int rc;

	lock_take(x->lock);
	rc = learn(x, res, &a, err);
	lock_drop(x->lock);
	arena_clear(&a);
	return rc;
}

static int ask_foreign(struct auth *x, const struct url *at, const struct challenge *c, char **ret,
		       dray_error **err)
{
	cleanup_scopes struct scopes want = { 0 };
	struct token_query q = {
		.from = at,
		.realm = c->realm,
		.service = c->service,
		.scopes = &want,
		.retries = x->o->retries,
	};
	struct token t = { 0 };

	if (c->scope && scopes_add(&want, span_str(c->scope), err) < 0)
		return -1;
	if (token_fetch(x->http, &q, &t, err) < 0)
		return -1;
	*ret = mem_printf("Bearer %s", t.text);
	token_clear(&t);
	return *ret ? 1 : err_nomem(err);
}

int auth_foreign(struct auth *x, const struct url *at, const struct http_response *res, char **ret,
		 dray_error **err)
{
	struct arena a = { 0 };
	struct challenge c = { 0 };
	int rc = first_challenge(res, &a, &c, err);

	if (rc > 0)
		rc = c.scheme == CHALLENGE_BEARER && c.realm ? ask_foreign(x, at, &c, ret, err) : 0;
	arena_clear(&a);
	return rc;
}

bool auth_has_credentials(struct auth *x)
{
	bool has;

	lock_take(x->lock);
	has = credentials_set(&x->creds);
	lock_drop(x->lock);
	return has;
}
