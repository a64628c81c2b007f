/* SPDX-License-Identifier: Apache-2.0
 *
 * For: tokens that somebody else signed: is it his, is it for us, does it hold now, what does it grant.
 * Relies on json/ to read, on digest/pubkey.h for signatures.
 * Promises: nothing of a token is believed before its signature was proven by a configured key, and
 * what is missing or of another type denies.
 */
#include "serve/token.h"

#include "base/number.h"
#include "json/json.h"

/* ---- its three parts ---- */

struct parts {
	struct span header, payload, signature; /* as they stand, in base64 */
	struct span signed_text;		/* the first two with the dot between */
};

static int malformed(const char *what, dray_error **err)
{
	return err_set(err, DRAY_ERR_FORMAT, "the token's %s is malformed", what);
}

static int split(struct span text, struct parts *ret, dray_error **err)
{
	int64_t first = span_find(text, '.'), second;
	struct span rest;

	if (text.len > TOKEN_MAX)
		return err_set(err, DRAY_ERR_LIMIT, "the token is longer than %d bytes (TOKEN_MAX)",
			       TOKEN_MAX);
	if (first < 0)
		return malformed("text", err);
	rest = span_from(text, (size_t)first + 1);
	second = span_find(rest, '.');
	if (second < 0)
		return malformed("text", err);
	*ret = (struct parts){
		.header = span_head(text, (size_t)first),
		.payload = span_head(rest, (size_t)second),
		.signature = span_from(rest, (size_t)second + 1),
		.signed_text = span_head(text, (size_t)(first + 1 + second)),
	};
	return 0;
}

/* An error that the token is to blame for, as one text; the want of memory stays what it is. */
static int blame(const char *what, dray_error **err)
{
	if (err && *err && dray_error_kind(*err) == DRAY_ERR_NOMEM)
		return -1;
	err_clear(err);
	return malformed(what, err);
}

static int decode(struct span text, const char *what, struct buf *ret, dray_error **err)
{
	return base64url_decode(text, ret, err) < 0 ? blame(what, err) : 0;
}

/* An object in base64; *ret borrows @p bytes. */
static int decode_object(struct span text, const char *what, struct buf *bytes,
			 struct json_doc **ret, dray_error **err)
{
	if (decode(text, what, bytes, err) < 0)
		return -1;
	if (json_parse(span_buf(bytes), ret, err) < 0 ||
	    json_want(json_root(*ret), JSON_OBJECT, false, what, err) < 0)
		return blame(what, err);
	return 0;
}

static int get_string(struct json v, const char *name, struct arena *a, const char **ret,
		      dray_error **err)
{
	return json_string(json_get(v, name), name, a, ret, err) < 0 ? blame(name, err) : 0;
}

/* ---- the signature ---- */

static int algorithm_of(struct json header, struct arena *a, enum signature_alg *ret,
			dray_error **err)
{
	static const char *const names[] = { [SIGNATURE_RS256] = "RS256",
					     [SIGNATURE_ES256] = "ES256",
					     [SIGNATURE_EDDSA] = "EdDSA" };
	const char *alg = NULL;

	if (get_string(header, "alg", a, &alg, err) < 0)
		return -1;
	/* "crit" names what a reader has to understand, and there is nothing that we do. */
	if (json_type(json_get(header, "crit")) != JSON_MISSING)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "the token has critical extensions");
	for (size_t i = 0; alg && i < ARRAY_LEN(names); i++) {
		if (strcmp(alg, names[i]) != 0)
			continue;
		*ret = (enum signature_alg)i;
		return 0;
	}
	return err_set(err, DRAY_ERR_UNSUPPORTED,
		       "the token is signed by none of RS256, ES256, EdDSA");
}

static int check_signature(const struct parts *p, const struct pubkeys *keys, struct arena *a,
			   dray_error **err)
{
	cleanup_buf struct buf bytes = BUF_INIT(TOKEN_MAX), signature = BUF_INIT(TOKEN_MAX);
	cleanup_json struct json_doc *header = NULL;
	enum signature_alg alg = SIGNATURE_RS256;

	if (decode_object(p->header, "header", &bytes, &header, err) < 0 ||
	    algorithm_of(json_root(header), a, &alg, err) < 0 ||
	    decode(p->signature, "signature", &signature, err) < 0)
		return -1;
	if (pubkeys_verify(keys, alg, p->signed_text, span_buf(&signature)))
		return 0;
	return err_set(err, DRAY_ERR_DENIED, "the token is not signed by a key that is known here");
}

/* ---- claims ---- */

static int check_issuer(struct json claims, const char *issuer, struct arena *a, dray_error **err)
{
	const char *is;

	if (get_string(claims, "iss", a, &is, err) < 0)
		return -1;
	if (!issuer || (is && strcmp(is, issuer) == 0))
		return 0;
	return err_set(err, DRAY_ERR_DENIED, "the token is of another issuer");
}

/* One text, or several. */
static int check_audience(struct json claims, const char *service, struct arena *a,
			  dray_error **err)
{
	struct json aud = json_get(claims, "aud");
	struct json one = json_type(aud) == JSON_ARRAY ? json_first(aud) : aud;
	const char *text;

	for (; json_node(one); one = json_next(one)) {
		if (json_string(one, "aud", a, &text, err) < 0)
			return blame("aud", err);
		if (text && strcmp(text, service) == 0)
			return 0;
		if (json_type(aud) != JSON_ARRAY)
			break;
	}
	return err_set(err, DRAY_ERR_DENIED, "the token is for another service");
}

/* Seconds; what is not there is @p fallback. */
static int get_time(struct json claims, const char *name, int64_t fallback, int64_t *ret,
		    dray_error **err)
{
	*ret = fallback;
	if (json_type(json_get(claims, name)) == JSON_MISSING)
		return 0;
	if (json_int(json_get(claims, name), name, ret, err) < 0)
		return blame(name, err);
	return *ret < 0 ? malformed(name, err) : 0;
}

static int check_times(struct json claims, int64_t now, dray_error **err)
{
	int64_t from, until;

	if (get_time(claims, "nbf", 0, &from, err) < 0 ||
	    get_time(claims, "exp", -1, &until, err) < 0)
		return -1;
	if (until < 0)
		return err_set(err, DRAY_ERR_DENIED, "the token does not say how long it holds");
	if (now >= TOKEN_LEEWAY && until <= now - TOKEN_LEEWAY)
		return err_set(err, DRAY_ERR_DENIED, "the token has expired");
	if (from > now + TOKEN_LEEWAY)
		return err_set(err, DRAY_ERR_DENIED, "the token does not hold yet");
	return 0;
}

/* ---- what it grants ---- */

static int take_actions(struct json list, struct arena *a, struct grant *ret, dray_error **err)
{
	if (json_want(list, JSON_ARRAY, true, "actions", err) < 0)
		return blame("access", err);
	ret->actions = arena_array(a, json_len(list) + 1, sizeof(*ret->actions));
	if (!ret->actions)
		return err_nomem(err);
	for (struct json it = json_first(list); json_node(it); it = json_next(it)) {
		const char *action;

		if (json_string(it, "action", a, &action, err) < 0)
			return blame("access", err);
		if (action)
			ret->actions[ret->n_actions++] = action;
	}
	return 0;
}

static int take_grant(struct json v, struct arena *a, struct grant *ret, dray_error **err)
{
	*ret = (struct grant){ 0 };
	if (json_want(v, JSON_OBJECT, false, "access", err) < 0)
		return blame("access", err);
	if (get_string(v, "type", a, &ret->type, err) < 0 ||
	    get_string(v, "name", a, &ret->name, err) < 0)
		return -1;
	return take_actions(json_get(v, "actions"), a, ret, err);
}

static int take_grants(struct json list, struct arena *a, struct token *ret, dray_error **err)
{
	if (json_want(list, JSON_ARRAY, true, "access", err) < 0)
		return blame("access", err);
	if (json_len(list) > TOKEN_GRANTS_MAX)
		return err_set(err, DRAY_ERR_LIMIT,
			       "the token grants more than %d things (TOKEN_GRANTS_MAX)",
			       TOKEN_GRANTS_MAX);
	ret->grants = arena_array(a, json_len(list) + 1, sizeof(*ret->grants));
	if (!ret->grants)
		return err_nomem(err);
	for (struct json it = json_first(list); json_node(it); it = json_next(it))
		if (take_grant(it, a, &ret->grants[ret->n++], err) < 0)
			return -1;
	return 0;
}

int token_check(struct span text, const struct token_rules *rules, int64_t now, struct arena *a,
		struct token *ret, dray_error **err)
{
	cleanup_buf struct buf bytes = BUF_INIT(TOKEN_MAX);
	cleanup_json struct json_doc *payload = NULL;
	struct parts p;

	*ret = (struct token){ 0 };
	if (split(text, &p, err) < 0 || check_signature(&p, rules->keys, a, err) < 0 ||
	    decode_object(p.payload, "payload", &bytes, &payload, err) < 0)
		return -1;

	struct json claims = json_root(payload);

	if (check_issuer(claims, rules->issuer, a, err) < 0 ||
	    check_audience(claims, rules->service, a, err) < 0 ||
	    check_times(claims, now, err) < 0 ||
	    get_string(claims, "sub", a, &ret->subject, err) < 0)
		return -1;
	return take_grants(json_get(claims, "access"), a, ret, err);
}

bool token_allows(const struct token *t, const char *type, const char *name, const char *action)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct grant *g = &t->grants[i];

		if (!g->type || strcmp(g->type, type) != 0 || !g->name ||
		    strcmp(g->name, name) != 0)
			continue;
		for (size_t k = 0; k < g->n_actions; k++)
			if (strcmp(g->actions[k], action) == 0 || strcmp(g->actions[k], "*") == 0)
				return true;
	}
	return false;
}
