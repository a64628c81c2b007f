/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      opening a remote as registries.conf wants it.
 * Relies:   on proto/registries.h for the rules; on every answer being checked, whoever gives it.
 * Promises: a mirror is asked for what is read and never pushed to; it gets no credentials that were given for
 *           the registry; one that is down is asked once.
 */
#include "remote/mirrors.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"

#define SYSTEM_FOLDER "/etc/containers"
#define FILE_NAME "registries.conf"
#define MIRROR_RETRIES 1 /* there is another place to ask */

/* ---- files ---- */

/* 1 = read, 0 = there is none. */
static int add_file(struct registries *r, const char *path, bool must_exist, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_REGISTRIES_CONF);
	dray_error *why = NULL;
	int rc = io_read_file(AT_FDCWD, path, LIMIT_REGISTRIES_CONF, &text, &why);

	if (rc < 0 && !must_exist && dray_error_kind(why) == DRAY_ERR_NOT_FOUND) {
		dray_error_free(why);
		return 0;
	}
	if (rc == 0)
		rc = registries_add(r, span_buf(&text), path, &why);
	if (rc == 0)
		return 1;
	err_ctx(&why, "%s", path);
	if (err)
		*err = why;
	else
		dray_error_free(why);
	return -1;
}

static int is_conf(const struct dirent *e)
{
	struct span name = span_str(e->d_name);

	return name.len > 5 && name.data[0] != '.' && span_ends(name, ".conf");
}

/* In the order of their names. */
static int add_folder(struct registries *r, const char *parent, dray_error **err)
{
	cleanup_free char *dir = mem_printf("%s/" FILE_NAME ".d", parent);
	struct dirent **names = NULL;
	int rc = 0, n;

	if (!dir)
		return err_nomem(err);
	n = scandir(dir, &names, is_conf, alphasort);
	for (int i = 0; i < n; i++) {
		cleanup_free char *path = mem_printf("%s/%s", dir, names[i]->d_name);

		if (rc >= 0)
			rc = path ? add_file(r, path, false, err) : err_nomem(err);
		free(names[i]);
	}
	free(names);
	return rc < 0 ? -1 : 0;
}

/* NULL when there is no home; then *err is set only if memory is the reason. */
static char *own_folder(dray_error **err)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char *path;

	if (config && *config)
		path = mem_printf("%s/containers", config);
	else if (home && *home)
		path = mem_printf("%s/.config/containers", home);
	else
		return NULL;
	if (!path)
		err_nomem(err);
	return path;
}

static int load_all(struct registries *r, const char *own, dray_error **err)
{
	cleanup_free char *file = own ? mem_printf("%s/" FILE_NAME, own) : NULL;
	int rc = 0;

	if (own && !file)
		return err_nomem(err);
	if (file)
		rc = add_file(r, file, false, err);
	/* A user's file stands in place of the system's; what is in folders comes on top. */
	if (rc == 0)
		rc = add_file(r, SYSTEM_FOLDER "/" FILE_NAME, false, err);
	if (rc >= 0)
		rc = add_folder(r, SYSTEM_FOLDER, err);
	if (rc >= 0 && own)
		rc = add_folder(r, own, err);
	return rc < 0 ? -1 : 0;
}

int mirrors_load(struct registries *ret, dray_error **err)
{
	const char *env = getenv("CONTAINERS_REGISTRIES_CONF");
	cleanup_free char *own = NULL;
	dray_error *why = NULL;
	int rc;

	*ret = (struct registries){ 0 };
	if (env && *env) {
		rc = add_file(ret, env, true, &why);
	} else {
		own = own_folder(&why);
		rc = why ? -1 : load_all(ret, own, &why);
	}
	if (rc >= 0)
		return 0;
	registries_clear(ret);
	if (err)
		*err = why;
	else
		dray_error_free(why);
	return -1;
}

/* ---- a rule and a reference ---- */

/* What rules are matched with: "HOST[/PATH[:TAG][@DIGEST]]". */
static char *full_name(const struct reference *ref)
{
	return *ref->path ? reference_text(ref) : mem_strdup(ref->domain);
}

/* @p place in the stead of the first @p matched bytes of @p name. */
static int rewrite(const char *place, const char *name, size_t matched, struct reference *ret,
		   dray_error **err)
{
	cleanup_free char *text = mem_printf("%s%s", place, name + matched);

	if (!text)
		return err_nomem(err);
	if (reference_parse(span_str(text), ret, err) == 0 && ret->domain_given)
		return 0;
	reference_clear(ret);
	err_clear(err);
	return err_set(err, DRAY_ERR_FORMAT, "%s makes no reference of %s", place, name);
}

static bool serves(const struct registry_mirror *m, const struct reference *ref)
{
	bool by_digest = digest_set(&ref->digest);

	return m->use == MIRROR_ALWAYS || (m->use == MIRROR_DIGESTS) == by_digest;
}

static int add_mirror(struct remote *r, const struct registry_mirror *m, const char *name,
		      size_t matched, dray_error **err)
{
	cleanup_reference struct reference at = { 0 };
	cleanup_free char *shown = NULL;
	struct remote_options o = r->o;
	int rc;

	o.creds = NULL;
	o.cert_dir = NULL;
	o.tls_skip_verify = o.plain_http = false;
	if (o.retries > MIRROR_RETRIES)
		o.retries = MIRROR_RETRIES;
	if (rewrite(m->location, name, matched, &at, err) < 0)
		return -1;
	shown = mem_printf("mirror %s/%s", at.domain, at.path);
	if (!shown)
		return err_nomem(err);
	rc = remote_make(&at, shown, REMOTE_PULL, &o, m->insecure, &r->mirrors[r->n_mirrors], err);
	r->n_mirrors += rc == 0;
	return rc;
}

static int add_mirrors(struct remote *r, const struct registry_rule *rule,
		       const struct reference *ref, const char *name, size_t matched,
		       dray_error **err)
{
	if (!rule->n_mirrors)
		return 0;
	r->mirrors = mem_alloc_array(rule->n_mirrors, sizeof(*r->mirrors));
	if (!r->mirrors)
		return err_nomem(err);
	for (size_t i = 0; i < rule->n_mirrors; i++) {
		if (serves(&rule->mirrors[i], ref) &&
		    add_mirror(r, &rule->mirrors[i], name, matched, err) < 0)
			return -1;
	}
	return 0;
}

static int open_by_rule(const struct registry_rule *rule, const struct reference *ref,
			const char *name, size_t matched, enum remote_purpose purpose,
			const struct remote_options *o, struct remote **ret, dray_error **err)
{
	cleanup_free char *shown = mem_printf("%s%s%s", ref->domain, *ref->path ? "/" : "",
					      ref->path);
	cleanup_reference struct reference at = { 0 };
	cleanup_remote struct remote *r = NULL;
	bool moved = rule && rule->location && *ref->path;

	if (!shown)
		return err_nomem(err);
	if (moved && rewrite(rule->location, name, matched, &at, err) < 0)
		return -1;
	if (remote_make(moved ? &at : ref, shown, purpose, o, rule && rule->insecure, &r, err) < 0)
		return -1;
	if (rule && purpose == REMOTE_PULL && add_mirrors(r, rule, ref, name, matched, err) < 0)
		return -1;
	*ret = steal_pointer(&r);
	return 0;
}

int remote_open_for(const struct reference *ref, enum remote_purpose purpose,
		    const struct remote_options *o, struct remote **ret, dray_error **err)
{
	cleanup_registries struct registries all = { 0 };
	cleanup_free char *name = full_name(ref);
	const struct registry_rule *rule;
	size_t matched = 0;

	if (!name)
		return err_nomem(err);
	if (o->direct)
		return open_by_rule(NULL, ref, name, 0, purpose, o, ret, err);
	if (mirrors_load(&all, err) < 0)
		return -1;
	rule = registries_find(&all, name, &matched);
	if (rule && rule->blocked)
		return err_set(err, DRAY_ERR_DENIED, "%s is blocked by %s (prefix %s)", name,
			       rule->file, rule->prefix);
	if (open_by_rule(rule, ref, name, matched, purpose, o, ret, err) == 0)
		return 0;
	return rule ? err_ctx(err, "%s", rule->file) : -1;
}

/* ---- asking ---- */

struct remote *mirror_at(struct remote *r, size_t i)
{
	struct remote *m = r->mirrors[i];
	bool dead;

	lock_take(m->lock);
	dead = m->dead;
	lock_drop(m->lock);
	return dead ? NULL : m;
}

int mirror_failed(struct remote *r, struct remote *mirror, dray_error *why, dray_error **err)
{
	enum dray_err_kind kind = dray_error_kind(why);

	if (kind == DRAY_ERR_CANCELLED || kind == DRAY_ERR_NOMEM) {
		if (err)
			*err = why;
		else
			dray_error_free(why);
		return -1;
	}
	http_log(r->client.http, "%s", dray_error_message(why));
	dray_error_free(why);
	lock_take(mirror->lock);
	mirror->dead = !mirror->ready;
	lock_drop(mirror->lock);
	return 1;
}
