/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      reading credentials out of config.json and auth.json.
 * Relies:   on json/ for strictness and on the search order that docker and podman document.
 * Promises: secrets are wiped when freed, never logged, and refused when they hold control characters.
 */
#include "remote/credentials.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "json/json.h"

void secret_free(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	mem_free(s);
}

void credentials_clear(struct credentials *c)
{
	secret_free(c->user);
	secret_free(c->password);
	secret_free(c->identity_token);
	secret_free(c->registry_token);
	*c = (struct credentials){ 0 };
}

void credentials_entry_clear(struct credentials_entry *e)
{
	credentials_clear(&e->found);
	mem_free(e->helper);
	e->helper = NULL;
}

static bool has_controls(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] < ' ' || s.data[i] == 0x7f)
			return true;
	}
	return false;
}

/* "user:password"; the password may hold colons, the user may not. */
static int split(struct span text, struct credentials *ret, dray_error **err)
{
	int64_t colon = span_find(text, ':');

	if (colon < 0 || has_controls(text))
		return err_set(err, DRAY_ERR_USAGE, "credentials are not USER:PASSWORD");
	ret->user = mem_strndup((const char *)text.data, (size_t)colon);
	ret->password = mem_strndup((const char *)text.data + colon + 1,
				    text.len - (size_t)colon - 1);
	return ret->user && ret->password ? 0 : err_nomem(err);
}

int credentials_parse(const char *text, struct credentials *ret, dray_error **err)
{
	return split(span_str(text), ret, err);
}

/* ---- keys ---- */

static struct span cut_start(struct span s, const char *prefix)
{
	return span_starts(s, prefix) ? span_from(s, strlen(prefix)) : s;
}

static struct span cut_end(struct span s, const char *suffix)
{
	if (span_ends(s, suffix))
		s.len -= strlen(suffix);
	return s;
}

/* "https://index.docker.io/v1/" and "docker.io" are one key; so are "https://h:5000/v2/" and "h:5000". */
struct span credentials_key(struct span key)
{
	static const char *const hub[] = { "index.docker.io", "registry-1.docker.io" };

	key = cut_start(cut_start(key, "https://"), "http://");
	key = cut_end(key, "/");
	key = cut_end(cut_end(key, "/v1"), "/v2");
	for (size_t i = 0; i < ARRAY_LEN(hub); i++) {
		if (span_is(key, hub[i]))
			return SPAN_LIT("docker.io");
	}
	return key;
}

/* Length of @p key if it names the repository or a folder above it, else -1. */
static int64_t key_match(struct span key, struct span repository)
{
	if (key.len > repository.len || !span_eq(key, span_head(repository, key.len)))
		return -1;
	if (key.len < repository.len && repository.data[key.len] != '/')
		return -1;
	return (int64_t)key.len;
}

/* The member of @p map whose key matches longest. */
static int best_member(struct json map, struct span repository, struct arena *a, struct json *ret,
		       dray_error **err)
{
	int64_t best = -1;

	*ret = (struct json){ 0 };
	if (json_type(map) != JSON_OBJECT)
		return 0;
	for (struct json it = json_first(map); json_node(it); it = json_next(it)) {
		const char *name;

		if (json_name(it, a, &name, err) < 0)
			return -1;
		int64_t len = key_match(credentials_key(span_str(name)), repository);
		if (len > best) {
			best = len;
			*ret = it;
		}
	}
	return 0;
}

/* ---- one entry ---- */

/* Without escapes the secret is taken from the text itself: no second copy stays behind in an arena. */
static bool plain_string(struct json v, struct span *ret)
{
	struct span raw = json_raw(v);

	if (json_type(v) != JSON_STRING || raw.len < 2 || span_find(raw, '\\') >= 0)
		return false;
	*ret = span_of(raw.data + 1, raw.len - 2);
	return true;
}

static int copy_secret(struct json v, const char *what, struct arena *a, char **ret,
		       dray_error **err)
{
	struct span secret;
	const char *text;

	if (!plain_string(v, &secret)) {
		if (json_string(v, what, a, &text, err) < 0)
			return -1;
		secret = span_str(text);
	}
	if (!secret.len)
		return 0;
	if (has_controls(secret))
		return err_set(err, DRAY_ERR_FORMAT, "%s holds control characters", what);
	*ret = mem_strndup((const char *)secret.data, secret.len);
	return *ret ? 0 : err_nomem(err);
}

static int take_auth(struct json v, struct arena *a, struct credentials *ret, dray_error **err)
{
	cleanup_secret char *auth = NULL;
	struct buf plain = BUF_INIT(LIMIT_CREDENTIALS);
	int rc;

	if (copy_secret(v, "auths: auth", a, &auth, err) < 0)
		return -1;
	if (!auth)
		return 0;
	rc = base64_decode(span_str(auth), &plain, err);
	/* Docker pads with NULs what older versions wrote. */
	while (rc == 0 && plain.len && plain.data[plain.len - 1] == 0)
		plain.len--;
	if (rc == 0)
		rc = split(span_buf(&plain), ret, err);
	buf_wipe(&plain);
	if (rc < 0 && err && *err)
		err_rekind(err, DRAY_ERR_FORMAT);
	return rc;
}

static int take_entry(struct json v, struct arena *a, struct credentials *ret, dray_error **err)
{
	if (json_type(v) != JSON_OBJECT)
		return 0;
	if (take_auth(json_get(v, "auth"), a, ret, err) < 0)
		return -1;
	if (!ret->user &&
	    (copy_secret(json_get(v, "username"), "auths: username", a, &ret->user, err) < 0 ||
	     copy_secret(json_get(v, "password"), "auths: password", a, &ret->password, err) < 0))
		return -1;
	if (copy_secret(json_get(v, "identitytoken"), "auths: identitytoken", a,
			&ret->identity_token, err) < 0)
		return -1;
	return copy_secret(json_get(v, "registrytoken"), "auths: registrytoken", a,
			   &ret->registry_token, err);
}

/* The name becomes part of a program's name: nothing that could leave PATH. */
static int take_helper(struct json v, struct arena *a, char **ret, dray_error **err)
{
	const char *name;

	if (json_string(v, "credential helper", a, &name, err) < 0)
		return -1;
	if (!name || !*name)
		return 0;
	for (const char *p = name; *p; p++) {
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') &&
		    !(*p >= '0' && *p <= '9') && !strchr("._-", *p))
			return err_set(err, DRAY_ERR_FORMAT,
				       "name of a credential helper is not [A-Za-z0-9._-]+");
	}
	*ret = mem_strdup(name);
	return *ret ? 1 : err_nomem(err);
}

int credentials_helper_name(struct json v, char **ret, dray_error **err)
{
	struct arena a = { 0 };
	int rc = take_helper(v, &a, ret, err);

	arena_clear(&a);
	return rc;
}

static int look_up(struct json root, struct span repository, struct arena *a,
		   struct credentials_entry *ret, dray_error **err)
{
	struct json hit;
	int rc;

	if (best_member(json_get(root, "credHelpers"), repository, a, &hit, err) < 0)
		return -1;
	rc = take_helper(hit, a, &ret->helper, err);
	if (rc)
		return rc;
	if (best_member(json_get(root, "auths"), repository, a, &hit, err) < 0 ||
	    take_entry(hit, a, &ret->found, err) < 0)
		return -1;
	if (credentials_set(&ret->found))
		return 1;
	return take_helper(json_get(root, "credsStore"), a, &ret->helper, err);
}

int credentials_in_text(struct span text, const char *domain, const char *path,
			struct credentials_entry *ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	cleanup_free char *repository = mem_printf("%s/%s", domain, path);
	struct arena a = { 0 };
	int rc;

	*ret = (struct credentials_entry){ 0 };
	if (!repository)
		return err_nomem(err);
	if (json_parse(text, &doc, err) < 0)
		return -1;
	rc = look_up(json_root(doc), span_str(repository), &a, ret, err);
	arena_clear(&a);
	if (rc < 0)
		credentials_entry_clear(ret);
	return rc;
}

int credentials_from_answer(struct span text, struct credentials *ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	struct arena a = { 0 };
	int rc;

	if (json_parse(text, &doc, err) < 0)
		return -1;
	struct json root = json_root(doc);
	rc = copy_secret(json_get(root, "Username"), "Username", &a, &ret->user, err);
	if (rc == 0)
		rc = copy_secret(json_get(root, "Secret"), "Secret", &a, &ret->password, err);
	arena_clear(&a);
	if (rc < 0)
		return -1;
	if (!ret->user || !ret->password) {
		credentials_clear(ret);
		return 0;
	}
	if (strcmp(ret->user, "<token>") == 0) {
		ret->identity_token = steal_pointer(&ret->password);
		secret_free(steal_pointer(&ret->user));
	}
	return 1;
}
