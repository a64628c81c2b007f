/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "serve": places as a registry.
 * Relies on place.c for what a reference means, on serve/ for the rest.
 * Promises: every place was read before anybody can connect.
 */
#include <dray/serve.h>

#include "ops/ops.h"
#include "ops/serve_look.h"
#include "ops/serve_root.h"
#include "serve/guard.h"
#include "serve/images.h"
#include "serve/serve.h"

/* ---- what is served ---- */

static void on_note(void *arg, const char *text)
{
	context_log(arg, DRAY_LOG_WARNING, "%s", text);
}

static int check_place(const struct place *p, dray_error **err)
{
	if (p->kind == PLACE_REGISTRY || p->kind == PLACE_DAEMON) {
		err_set(err, DRAY_ERR_UNSUPPORTED, "%s: only archives and folders are served",
			p->text);
		return err_hint(err, "dray copy %s oci:FOLDER brings it there", p->text);
	}
	return 0;
}

static int check_store(const struct place *p, const struct store *st, dray_error **err)
{
	if (!st->forward_only)
		return 0;
	err_set(err, DRAY_ERR_UNSUPPORTED,
		"%s can be read from front to back only, and clients want layers in any order",
		p->text);
	return err_hint(err, "dray copy --all %s oci-archive:FILE, and serve that", p->text);
}

static bool chooses(const struct place *p)
{
	return p->tag || p->has_at || digest_set(&p->digest);
}

/* Images of all platforms, unless some were asked for. */
static int choose(dray_context *ctx, const struct place *p, struct store *st, struct arena *a,
		  struct image ***ret, size_t *ret_n, dray_error **err)
{
	struct selector sel;

	if (place_selector(ctx, p, NULL, !chooses(p), a, &sel, err) < 0)
		return -1;
	sel.all_platforms = sel.all_platforms || !sel.platform.os;
	sel.whole = chooses(p);
	return store_images(st, &sel, ret, ret_n, err);
}

static int add_place(dray_context *ctx, struct images_shelf *shelf, const char *text,
		     struct arena *a, dray_error **err)
{
	cleanup_place struct place p = { 0 };
	cleanup_store struct store *st = NULL;
	struct image **images = NULL;
	size_t n = 0;

	if (place_parse(text, PLACE_READ, &p, err) < 0 || check_place(&p, err) < 0 ||
	    place_open(ctx, &p, NULL, &st, err) < 0 || check_store(&p, st, err) < 0 ||
	    choose(ctx, &p, st, a, &images, &n, err) < 0)
		return -1;
	context_notes(ctx, &st->notes);
	if (images_shelf_add(shelf, steal_pointer(&st), images, n, p.path ? p.path : "image",
			     on_note, ctx, err) < 0)
		return err_ctx(err, "%s", p.text);
	return 0;
}

static struct images_shelf *open_places(dray_context *ctx, const char *const *places, size_t n,
					dray_error **err)
{
	struct images_shelf *shelf = images_shelf_new(err);
	struct arena arena = { 0 };
	int rc = shelf ? 0 : -1;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_place(ctx, shelf, places[i], &arena, err);
	if (rc == 0)
		rc = images_shelf_seal(shelf, err);
	arena_clear(&arena);
	if (rc == 0)
		return shelf;
	if (shelf)
		shelf_free(images_shelf_base(shelf));
	return NULL;
}

/* ---- serving ---- */

struct serving {
	dray_context *ctx;
	const struct dray_serve_options *o;
	struct root *root; /* or */
	struct images_shelf *places;
	struct guard *guard;
	struct looker looker;
};

static struct shelf *shelf_of(const struct serving *s)
{
	return s->root ? root_shelf(s->root) : images_shelf_base(s->places);
}

static int on_look(void *arg, const char *repo, const struct manifest *m, struct serve_layer *ret,
		   dray_error **err)
{
	struct serving *s = arg;

	return looker_look(&s->looker, repo, m, ret, err);
}

static void on_tick(void *arg)
{
	const struct serving *s = arg;

	if (s->root)
		root_tick(s->root);
}

static void on_look_again(void *arg)
{
	const struct serving *s = arg;

	s->o->looking(s->o->arg);
}

static void on_access(void *arg, const char *line)
{
	const struct serving *s = arg;

	s->o->access(s->o->arg, line);
}

static void on_trouble(void *arg, const char *text)
{
	const struct serving *s = arg;

	context_log(s->ctx, DRAY_LOG_WARNING, "%s", text);
}

static int tell_ready(const struct serving *s, const struct server *server, dray_error **err)
{
	struct dray_serving told = { .address = server_address(server) };
	struct shelf_state state = SHELF_STATE_INIT;
	struct shelf *shelf = shelf_of(s);

	if (!s->o->ready)
		return 0;
	if (shelf->ops->state(shelf, &state, err) < 0)
		return -1;
	told.repositories = (size_t)state.repositories;
	told.documents = state.manifests;
	if (s->o->ready(s->o->arg, &told) == 0)
		return 0;
	return err_set(err, DRAY_ERR_CANCELLED, "cancelled");
}

static int run(struct serving *s, dray_error **err)
{
	const struct dray_serve_options *o = s->o;
	const struct serve_options so = {
		.addr = o->addr,
		.fd = o->listen_fd,
		.open = o->plain_http,
		.read_only = o->read_only,
		.metrics = o->metrics,
		.timeout_ms = o->timeout * 1000LL,
		.grace_ms = o->grace * 1000LL,
		.connections = o->connections,
		.on_access = o->access ? on_access : NULL,
		.on_trouble = on_trouble,
		.on_tick = on_tick,
		.on_look = on_look_again,
		.look_fd = o->looking ? o->look_fd : -1,
		.no_page = o->no_page,
		.look = on_look,
		.arg = s,
		.guard = s->guard,
		.tls_cert = o->tls_cert,
		.tls_key = o->tls_key,
	};
	struct server *server = NULL;
	int rc;

	s->looker.ctx = s->ctx;
	s->looker.shelf = shelf_of(s);
	if (server_start(shelf_of(s), &so, &server, err) < 0)
		return -1;
	rc = tell_ready(s, server, err);
	if (rc == 0)
		rc = server_run(server, o->stop_fd, err);
	if (rc == 0 && o->stopping)
		o->stopping(o->arg);
	if (rc == 0)
		server_drain(server);
	if (s->root)
		root_stop(s->root);
	atomic_store(&s->looker.stop, true);
	server_free(server);
	return rc;
}

static int open_shelf(struct serving *s, const char *const *places, size_t n, dray_error **err)
{
	if (s->o->proxy && (!s->o->root || s->o->read_only))
		return err_set(err, DRAY_ERR_USAGE,
			       "a proxy keeps what it brings in a root that it may write to");
	if (s->o->root && n)
		return err_set(
			err, DRAY_ERR_USAGE,
			"a root is served in place of images that lie elsewhere: copy them to "
			"it, or run a second server");
	if (s->o->root)
		return root_open(s->ctx, s->o, &s->root, err);
	if (!n)
		return err_set(err, DRAY_ERR_USAGE,
			       "there is nothing to serve: name places, or a root");
	s->places = open_places(s->ctx, places, n, err);
	return s->places ? 0 : -1;
}

/* Before the images, which may take a while to read. */
static int open_doors(struct serving *s, dray_error **err)
{
	const struct dray_serve_options *o = s->o;
	const struct guard_options ao = {
		.htpasswd = o->htpasswd,
		.anonymous_read = o->anonymous_read,
		.realm = o->token_realm,
		.service = o->token_service,
		.issuer = o->token_issuer,
		.keys = o->token_keys,
		.n_keys = o->n_token_keys,
	};

	if (!o->tls_cert != !o->tls_key)
		return err_set(err, DRAY_ERR_USAGE, "TLS needs both a certificate and its key");
	return guard_open(&ao, &s->guard, err);
}

int dray_serve(dray_context *ctx, const char *const *places, size_t n,
	       const struct dray_serve_options *o, dray_error **err)
{
	struct dray_serve_options own = DRAY_SERVE_OPTIONS_INIT;
	struct serving s = { .ctx = ctx, .o = options_take(&own, sizeof(own), o) };
	int rc;

	rc = open_doors(&s, err) < 0 ? -1 : open_shelf(&s, places, n, err);
	if (rc == 0)
		rc = run(&s, err);
	guard_free(s.guard);
	root_close(s.root);
	if (s.places)
		shelf_free(images_shelf_base(s.places));
	return rc;
}
