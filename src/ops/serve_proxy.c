/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "serve --proxy": the questions of a cache, put to a registry.
 * Relies on: remote/ for requests, tokens and credentials; serve/proxy.h for what is asked.
 * Promises: a repository's connections and tokens are used again, for a while; what a client
 * gets holds nothing of our credentials.
 */
#include "ops/serve_proxy.h"

#include "base/io.h"
#include "base/mem.h"
#include "remote/referrers.h"

#define HUB "docker.io"
#define REMOTES_MAX 64		   /* repositories whose connections are kept */
#define REMOTE_AGE_MS (10 * 60000) /* then credentials and addresses are looked up again */
#define RETRIES 1		   /* a client waits, who may have a copy that is older */

/** A repository of the registry; by the lock of struct behind. */
struct behind_remote {
	struct behind_remote *next;
	char *repo;
	struct remote *remote;
	int64_t opened;
	int users;
	bool kept; /* in the list */
};

struct behind {
	struct upstream base;
	dray_context *ctx;
	struct remote_options o;
	char *domain, *prefix; /* "" or "org/" */
	char *name;
	struct lock *lock;
	struct behind_remote *list; /* newest first */
	size_t n;
};

static struct behind *behind_of(struct upstream *u)
{
	return (struct behind *)u;
}

/* ---- repositories ---- */

static void free_remote(struct behind_remote *x)
{
	if (!x)
		return;
	remote_free(x->remote);
	mem_free(x->repo);
	mem_free(x);
}

static struct behind_remote *open_remote(struct behind *b, const char *repo, dray_error **err)
{
	cleanup_free char *text = mem_printf("%s/%s%s", b->domain, b->prefix, repo);
	cleanup_reference struct reference ref = { 0 };
	struct behind_remote *x = text ? mem_zalloc(sizeof(*x)) : NULL;

	if (x)
		x->repo = mem_strdup(repo);
	if (!x || !x->repo) {
		free_remote(x);
		err_nomem(err);
		return NULL;
	}
	if (reference_parse(span_str(text), &ref, err) < 0) {
		/* A name that cannot be there. */
		if (err && *err && dray_error_kind(*err) == DRAY_ERR_USAGE)
			err_rekind(err, DRAY_ERR_NOT_FOUND);
		free_remote(x);
		return NULL;
	}
	if (remote_open(&ref, false, &b->o, &x->remote, err) < 0) {
		free_remote(x);
		return NULL;
	}
	x->opened = io_now_ms();
	return x;
}

/* Under the lock: nobody finds it from now on, and the last one who uses it frees it. */
static void unlist(struct behind *b, struct behind_remote *x)
{
	struct behind_remote **at = &b->list;

	if (!x->kept)
		return;
	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	x->kept = false;
	b->n--;
	if (x->users == 0)
		free_remote(x);
}

static struct behind_remote *find(struct behind *b, const char *repo)
{
	struct behind_remote *x = b->list;

	while (x && strcmp(x->repo, repo) != 0)
		x = x->next;
	if (!x || io_now_ms() - x->opened < REMOTE_AGE_MS)
		return x;
	unlist(b, x);
	return NULL;
}

static struct behind_remote *oldest(struct behind *b)
{
	struct behind_remote *x = b->list;

	while (x->next)
		x = x->next;
	return x;
}

/* That of @repo, to be given back. */
static struct behind_remote *take(struct behind *b, const char *repo, dray_error **err)
{
	struct behind_remote *x;

	lock_take(b->lock);
	x = find(b, repo);
	if (!x && (x = open_remote(b, repo, err))) {
		if (b->n == REMOTES_MAX)
			unlist(b, oldest(b));
		x->next = b->list;
		x->kept = true;
		b->list = x;
		b->n++;
	}
	if (x)
		x->users++;
	lock_drop(b->lock);
	return x;
}

/* One that @failed is not used again: how it is spoken to may have changed. */
static void give(struct behind *b, struct behind_remote *x, bool failed)
{
	lock_take(b->lock);
	x->users--;
	if (!x->kept && x->users == 0)
		free_remote(x);
	else if (failed)
		unlist(b, x);
	lock_drop(b->lock);
}

/* ---- questions ---- */

static int look(struct upstream *u, const char *repo, const char *tag, struct digest *ret,
		dray_error **err)
{
	struct behind *b = behind_of(u);
	struct behind_remote *x = take(b, repo, err);
	int rc = x ? remote_head_manifest(x->remote, tag, ret, err) : -1;

	if (x)
		give(b, x, rc < 0);
	return rc;
}

static int take_document(struct manifest *m, const char *name, struct shelf_doc *ret,
			 dray_error **err)
{
	/* By digest it was proven; sha256 is what it is called else. */
	if (!strchr(name, ':'))
		ret->digest = m->digest;
	else if (digest_parse(span_str(name), &ret->digest, err) < 0)
		return -1;
	ret->media_type = mem_strdup(m->media_type);
	if (!ret->media_type)
		return err_nomem(err);
	ret->size = (int64_t)m->raw.len;
	ret->bytes = m->raw;
	m->raw = BUF_INIT(0);
	return 0;
}

static int get_manifest(struct upstream *u, const char *repo, const char *name,
			struct shelf_doc *ret, dray_error **err)
{
	struct behind *b = behind_of(u);
	struct behind_remote *x = take(b, repo, err);
	cleanup_manifest struct manifest *m = NULL;
	int rc = x ? remote_get_manifest(x->remote, name, &m, err) : -1;

	if (x)
		give(b, x, rc < 0);
	return rc < 0 ? -1 : take_document(m, name, ret, err);
}

static int blob_size(struct upstream *u, const char *repo, const struct digest *digest,
		     int64_t *ret, dray_error **err)
{
	struct behind *b = behind_of(u);
	struct behind_remote *x = take(b, repo, err);
	int rc = x ? remote_has_blob(x->remote, digest, ret, err) : -1;

	if (x)
		give(b, x, rc < 0);
	return rc;
}

static int list_tags(struct upstream *u, const char *repo, struct shelf_page *ret, dray_error **err)
{
	struct behind *b = behind_of(u);
	struct behind_remote *x = take(b, repo, err);
	cleanup_remote_names struct remote_names names = { 0 };
	int rc = x ? remote_tags(x->remote, &names, err) : -1;

	if (x)
		give(b, x, rc < 0);
	if (rc < 0)
		return -1;
	ret->names = arena_array(&ret->arena, names.n + 1, sizeof(*ret->names));
	for (size_t i = 0; ret->names && i < names.n; i++) {
		if (!reference_tag_valid(span_str(names.list[i])))
			continue;
		ret->names[ret->n] = arena_strdup(&ret->arena, names.list[i]);
		if (!ret->names[ret->n++])
			return err_nomem(err);
	}
	return ret->names ? 0 : err_nomem(err);
}

static int list_referrers(struct upstream *u, const char *repo, const struct digest *subject,
			  struct shelf_page *ret, dray_error **err)
{
	struct behind *b = behind_of(u);
	struct behind_remote *x = take(b, repo, err);
	struct remote_referrers list = { 0 };
	int rc = x ? remote_referrers(x->remote, subject, &list, err) : -1;

	if (x)
		give(b, x, rc < 0);
	if (rc == 0)
		ret->names = arena_array(&ret->arena, list.n + 1, sizeof(*ret->names));
	for (size_t i = 0; ret->names && i < list.n; i++) {
		ret->names[i] = arena_strdup(&ret->arena, list.list[i].text);
		if (ret->names[i])
			ret->n++;
	}
	if (rc == 0 && (!ret->names || ret->n < list.n))
		rc = err_nomem(err);
	remote_referrers_clear(&list);
	return rc;
}

/* ---- blobs ---- */

/** A download, and the connections that it needs. */
struct held {
	struct source source;
	struct source *in;
	struct behind *b;
	struct behind_remote *x;
	bool failed;
};

static int held_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct held *h = (struct held *)s;
	int rc = source_peek(h->in, min, ret, err);

	h->failed = rc < 0;
	return rc;
}

static void held_consume(struct source *s, size_t n)
{
	source_consume(((struct held *)s)->in, n);
}

static void held_free(struct source *s)
{
	struct held *h = (struct held *)s;

	source_free(h->in);
	give(h->b, h->x, h->failed);
	mem_free(h);
}

static const struct source_ops HELD_OPS = {
	.peek = held_peek,
	.consume = held_consume,
	.free = held_free,
};

static struct source *open_blob(struct upstream *u, const char *repo, const struct digest *digest,
				int64_t *ret_size, dray_error **err)
{
	const struct descriptor d = { .digest = *digest, .size = -1 };
	struct behind *b = behind_of(u);
	struct behind_remote *x = take(b, repo, err);
	struct held *h = x ? mem_zalloc(sizeof(*h)) : NULL;

	if (!x)
		return NULL;
	if (h)
		h->in = remote_open_blob(x->remote, &d, err);
	else
		err_nomem(err);
	if (!h || !h->in) {
		give(b, x, true);
		mem_free(h);
		return NULL;
	}
	h->source.ops = &HELD_OPS;
	h->b = b;
	h->x = x;
	*ret_size = remote_blob_size(h->in);
	return &h->source;
}

/* ---- who it is ---- */

/* Docker's hub has more than one. */
static const char *plain_name(const char *registry)
{
	bool hub = strcmp(registry, "registry-1.docker.io") == 0 ||
		   strcmp(registry, "index.docker.io") == 0;

	return hub ? HUB : registry;
}

static bool is_called(const struct upstream *u, const char *registry)
{
	return strcmp(((const struct behind *)u)->domain, plain_name(registry)) == 0;
}

static void note(struct upstream *u, const char *text)
{
	context_log(behind_of(u)->ctx, DRAY_LOG_WARNING, "proxy: %s", text);
}

static const struct upstream_ops BEHIND_OPS = {
	.look = look,
	.manifest = get_manifest,
	.blob_size = blob_size,
	.blob = open_blob,
	.tags = list_tags,
	.referrers = list_referrers,
	.is_called = is_called,
	.note = note,
};

struct upstream *behind_upstream(struct behind *b)
{
	return &b->base;
}

const char *behind_name(const struct behind *b)
{
	return b->name;
}

/* ---- its name ---- */

/* What follows "://", without slashes at the end. */
static struct span skip_scheme(struct span text, bool *ret_plain)
{
	*ret_plain = span_starts(text, "http://");
	if (*ret_plain || span_starts(text, "https://"))
		text = span_from(text, *ret_plain ? strlen("http://") : strlen("https://"));
	while (text.len && text.data[text.len - 1] == '/')
		text.len--;
	return text;
}

/* "HOST[:PORT]" and "" or "PREFIX/". */
static int split_name(struct behind *b, struct span text, dray_error **err)
{
	int64_t slash = span_find(text, '/');
	struct span host = slash < 0 ? text : span_head(text, (size_t)slash);
	cleanup_free char *domain = mem_strndup((const char *)host.data, host.len);

	b->domain = domain ? mem_strdup(plain_name(domain)) : NULL;
	b->prefix = slash < 0 ? mem_strdup("")
			      : mem_printf("%.*s/", (int)(text.len - host.len - 1),
					   (const char *)text.data + host.len + 1);
	if (!b->domain || !b->prefix)
		return err_nomem(err);
	b->name = mem_printf("%s%s%.*s", b->domain, *b->prefix ? "/" : "",
			     (int)strlen(b->prefix) - (*b->prefix ? 1 : 0), b->prefix);
	return b->name ? 0 : err_nomem(err);
}

static int check_name(const struct behind *b, const char *text, dray_error **err)
{
	cleanup_free char *sample = mem_printf("%s/%sx", b->domain, b->prefix);
	cleanup_reference struct reference ref = { 0 };

	if (!sample)
		return err_nomem(err);
	if (reference_parse(span_str(sample), &ref, NULL) == 0 && ref.domain_given && !ref.tag &&
	    strcmp(ref.domain, b->domain) == 0)
		return 0;
	err_set(err, DRAY_ERR_USAGE, "%s is no registry to be the proxy of", text);
	return err_hint(err, "docker.io, https://HOST[:PORT] or HOST/PREFIX");
}

int behind_open(dray_context *ctx, const char *text, struct behind **ret, dray_error **err)
{
	struct behind *b = mem_zalloc(sizeof(*b));
	bool plain;

	if (!b)
		return err_nomem(err);
	b->base.ops = &BEHIND_OPS;
	b->ctx = ctx;
	b->o = ctx->remote;
	b->o.direct = true;
	b->o.retries = b->o.retries < 0 ? RETRIES : b->o.retries;
	b->lock = lock_new(err);
	if (!b->lock || split_name(b, skip_scheme(span_str(text), &plain), err) < 0 ||
	    check_name(b, text, err) < 0) {
		behind_free(b);
		return -1;
	}
	/* --plain-http is about our own clients. */
	b->o.plain_http = plain;
	*ret = b;
	return 0;
}

void behind_free(struct behind *b)
{
	if (!b)
		return;
	while (b->list)
		unlist(b, b->list);
	lock_free(b->lock);
	mem_free(b->domain);
	mem_free(b->prefix);
	mem_free(b->name);
	mem_free(b);
}
