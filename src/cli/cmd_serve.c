/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "serve": a registry in front of images wherever they lie.
 * Relies on: dray_serve(); a descriptor for signals, so that running requests can end.
 * Promises: the address is printed when clients may come, and nothing else on stdout.
 */
#include <dray/serve.h>

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/number.h"
#include "cli/cli.h"
#include "cli/render.h"
#include "cli/service.h"

struct serve_flags {
	const char *addr;
	bool read_only, no_page, no_delete, immutable_tags, metrics;
	const char *root, *quota, *gc_interval;
	const char *proxy, *proxy_ttl, *proxy_keep;
	int timeout, grace, connections;
	const char *tls_cert, *tls_key;
	const char *htpasswd;
	bool anonymous_read;
	const char *token_realm, *token_service, *token_issuer;
	struct option_list token_keys;
};

#define F(field) offsetof(struct serve_flags, field)

static const struct option serve_table[] = {
	{ "addr", 0, OPT_STRING, F(addr), "HOST:PORT",
	  .help = "where to listen (default: 127.0.0.1:5000); port 0 takes a free one" },
	{ "root", 0, OPT_STRING, F(root), "DIR",
	  .help = "be a registry that images can be pushed to, kept in DIR" },
	{ "quota", 0, OPT_STRING, F(quota), "SIZE",
	  .help = "what may lie in DIR at most: 500MB, 20GiB (default: what the disk has)" },
	{ "no-delete", 0, OPT_FLAG, F(no_delete), .help = "clients delete nothing in DIR" },
	{ "immutable-tags", 0, OPT_FLAG, F(immutable_tags),
	  .help = "a tag in DIR, once set, names what it names, and stays" },
	{ "gc-interval", 0, OPT_STRING, F(gc_interval), "DURATION",
	  .help = "between garbage collections in DIR (default: 1h); 0 = none" },
	{ "proxy", 0, OPT_STRING, F(proxy), "REGISTRY",
	  .help = "serve the images of REGISTRY, and keep in DIR what was asked for" },
	{ "proxy-ttl", 0, OPT_STRING, F(proxy_ttl), "DURATION",
	  .help = "for which a tag of REGISTRY is believed without asking (default: 0)" },
	{ "proxy-keep", 0, OPT_STRING, F(proxy_keep), "DURATION",
	  .help = "after which what nobody used goes from DIR (default: it stays)" },
	{ "read-only", 0, OPT_FLAG, F(read_only), .help = "take nothing in" },
	{ "metrics", 0, OPT_FLAG, F(metrics), .help = "numbers for Prometheus at /metrics" },
	{ "no-page", 0, OPT_FLAG, F(no_page), .help = "no pages for browsers" },
	{ "timeout", 0, OPT_INT, F(timeout), "SECONDS",
	  "how long a client may take for the head of a request (default: 10)", .lo = 1,
	  .hi = 3600 },
	{ "grace", 0, OPT_INT, F(grace), "SECONDS",
	  "how long running requests may take when it is to stop (default: 30)", .lo = 1,
	  .hi = 86400 },
	{ "max-connections", 0, OPT_INT, F(connections), "N",
	  "at the same time; further ones are turned away (default: 512)", .lo = 1, .hi = 16384 },
	{ "tls-cert", 0, OPT_STRING, F(tls_cert), "FILE",
	  .help = "HTTPS with this certificate, and those above it, in PEM" },
	{ "tls-key", 0, OPT_STRING, F(tls_key), "FILE", .help = "its private key, in PEM" },
	{ "htpasswd", 0, OPT_STRING, F(htpasswd), "FILE",
	  .help = "ask for user and password: lines of htpasswd -B" },
	{ "anonymous-read", 0, OPT_FLAG, F(anonymous_read),
	  .help = "who has no name may pull and list; only users push and delete" },
	{ "token-realm", 0, OPT_STRING, F(token_realm), "URL",
	  .help = "ask for a token (JWT) that is made there" },
	{ "token-service", 0, OPT_STRING, F(token_service), "NAME",
	  .help = "this registry's name there, which tokens have to name (aud)" },
	{ "token-issuer", 0, OPT_STRING, F(token_issuer), "NAME",
	  .help = "who makes them (iss; default: whoever has a key)" },
	{ "token-key", 0, OPT_LIST, F(token_keys), "FILE",
	  .help = "public keys or certificates of who makes them, in PEM; may be repeated" },
	{ 0 },
};

/* ---- the service manager ---- */

/* It goes on without having told: whoever waits for it says so loudly enough. */
static void tell_manager(struct session *s, const char *state)
{
	cleanup_error dray_error *err = NULL;

	if (service_tell(state, &err) < 0)
		session_note(s, "the service manager was not told: %s", dray_error_message(err));
}

static int take_socket(const struct serve_flags *f, struct dray_serve_options *o, dray_error **err)
{
	if (service_socket(&o->listen_fd, err) < 0)
		return -1;
	if (o->listen_fd >= 0 && f->addr)
		return err_set(
			err, DRAY_ERR_USAGE,
			"--addr is not for a server whose service manager passed its socket");
	return 0;
}

/* ---- signals ---- */

struct running {
	struct session *s;
	int fd; /* readable when it is to stop; -1 */
	sigset_t signals;
	dray_error **err;
};

/* The first signal asks for a graceful end; it is read here, and the next one asks no more. */
static int hold_signals(struct running *r, dray_error **err)
{
	sigemptyset(&r->signals);
	sigaddset(&r->signals, SIGINT);
	sigaddset(&r->signals, SIGTERM);
	if (pthread_sigmask(SIG_BLOCK, &r->signals, NULL) != 0)
		return err_set(err, DRAY_ERR_SYSTEM, "signals cannot be held");
	r->fd = signalfd(-1, &r->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->fd < 0 ? err_set(err, DRAY_ERR_SYSTEM, "signalfd failed") : 0;
}

static void on_stopping(void *arg)
{
	struct running *r = arg;
	struct signalfd_siginfo told;
	cleanup_error dray_error *ignored = NULL;

	if (io_read(r->fd, &told, sizeof(told), &ignored) < 0)
		return;
	pthread_sigmask(SIG_UNBLOCK, &r->signals, NULL);
	tell_manager(r->s, "STOPPING=1");
	session_note(r->s, "stopping; running requests may end, a second signal cuts them");
}

/* ---- what is told ---- */

static int ready_json(struct page *p, const struct dray_serving *v, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kstring(&w, "address", v->address);
	jsonw_kint(&w, "repositories", (int64_t)v->repositories);
	jsonw_kint(&w, "documents", v->documents);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return 0;
}

static int on_ready(void *arg, const struct dray_serving *v)
{
	struct running *r = arg;
	struct session *s = r->s;
	cleanup_error dray_error *err = NULL;

	if (s->global.json && ready_json(&s->page, v, &err) < 0)
		return -1;
	if (!s->global.json)
		page_put(&s->page, "%s\n", v->address);
	session_note(s, "%zu repositories", v->repositories);
	if (session_answer(s, &err) < 0)
		return -1;
	tell_manager(s, "READY=1");
	return 0;
}

static void on_access(void *arg, const char *line)
{
	cleanup_free char *whole = mem_printf("%s\n", line);
	cleanup_error dray_error *ignored = NULL;

	(void)arg;
	if (whole && io_write_all(STDERR_FILENO, span_str(whole), &ignored) < 0)
		return; /* there is nobody left to tell */
}

static int check_root_flags(const struct serve_flags *f, dray_error **err)
{
	const char *name = f->quota	       ? "--quota"
			   : f->no_delete      ? "--no-delete"
			   : f->immutable_tags ? "--immutable-tags"
			   : f->gc_interval    ? "--gc-interval"
					       : NULL;

	if (f->root || !name)
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "%s says nothing without --root", name);
}

static int check_proxy_flags(const struct serve_flags *f, dray_error **err)
{
	const char *alone = f->proxy_ttl ? "--proxy-ttl" : f->proxy_keep ? "--proxy-keep" : NULL;
	const char *beside = !f->root		 ? NULL
			     : f->read_only	 ? "--read-only"
			     : f->no_delete	 ? "--no-delete"
			     : f->immutable_tags ? "--immutable-tags"
						 : NULL;

	if (!f->proxy && alone)
		return err_set(err, DRAY_ERR_USAGE, "%s says nothing without --proxy", alone);
	if (f->proxy && !f->root)
		return err_set(err, DRAY_ERR_USAGE, "--proxy needs --root, to keep images in");
	if (f->proxy && beside)
		return err_set(err, DRAY_ERR_USAGE, "%s says nothing with --proxy", beside);
	return 0;
}

/* Less than a second is a second. */
static int take_seconds(const char *name, const char *text, int64_t *ret, dray_error **err)
{
	int64_t ms;

	if (!num_parse_duration_ms(text, &ms) || ms / 1000 > INT32_MAX)
		return err_set(err, DRAY_ERR_USAGE, "%s takes 30m, 1h and the like", name);
	*ret = ms > 0 && ms < 1000 ? 1 : ms / 1000;
	return 0;
}

static int proxy_options(const struct serve_flags *f, struct dray_serve_options *o,
			 dray_error **err)
{
	int64_t ttl = 0;

	if (check_proxy_flags(f, err) < 0 ||
	    (f->proxy_ttl && take_seconds("--proxy-ttl", f->proxy_ttl, &ttl, err) < 0) ||
	    (f->proxy_keep && take_seconds("--proxy-keep", f->proxy_keep, &o->proxy_keep, err) < 0))
		return -1;
	o->proxy = f->proxy;
	o->proxy_ttl = (int)ttl;
	return 0;
}

static int root_options(const struct serve_flags *f, struct dray_serve_options *o, dray_error **err)
{
	int64_t seconds = 0;

	if (check_root_flags(f, err) < 0 || proxy_options(f, o, err) < 0)
		return -1;
	o->root = f->root;
	o->no_delete = f->no_delete;
	o->immutable_tags = f->immutable_tags;
	if (f->quota && (!option_size(f->quota, &o->quota) || o->quota == 0))
		return err_set(err, DRAY_ERR_USAGE, "--quota takes bytes, as 500MB or 20GiB");
	if (!f->gc_interval)
		return 0;
	if (take_seconds("--gc-interval", f->gc_interval, &seconds, err) < 0)
		return -1;
	o->gc_interval = seconds ? (int)seconds : -1;
	return 0;
}

static void door_options(const struct serve_flags *f, struct dray_serve_options *o)
{
	o->tls_cert = f->tls_cert;
	o->tls_key = f->tls_key;
	o->htpasswd = f->htpasswd;
	o->anonymous_read = f->anonymous_read;
	o->token_realm = f->token_realm;
	o->token_service = f->token_service;
	o->token_issuer = f->token_issuer;
	o->token_keys = f->token_keys.list;
	o->n_token_keys = f->token_keys.n;
}

static int run_serve(struct session *s, dray_error **err)
{
	const struct serve_flags *f = s->options;
	struct dray_serve_options o = DRAY_SERVE_OPTIONS_INIT;
	struct running r = { .s = s, .fd = -1 };
	int rc;

	for (size_t i = 0; i < s->n_args; i++)
		if (session_check_input(s, s->args[i], err) < 0)
			return -1;
	if (root_options(f, &o, err) < 0 || take_socket(f, &o, err) < 0 ||
	    !session_context(s, err) || hold_signals(&r, err) < 0)
		return -1;
	door_options(f, &o);
	o.addr = f->addr;
	o.plain_http = s->global.plain_http;
	o.read_only = f->read_only;
	o.metrics = f->metrics;
	o.no_page = f->no_page;
	o.timeout = f->timeout;
	o.grace = f->grace;
	o.connections = f->connections;
	o.stop_fd = r.fd;
	o.ready = on_ready;
	o.stopping = on_stopping;
	o.access = s->global.quiet ? NULL : on_access;
	o.arg = &r;
	rc = dray_serve(s->ctx, s->args, s->n_args, &o, err);
	close(r.fd);
	return rc < 0 ? -1 : STATUS_OK;
}

const struct command cmd_serve = {
	.name = "serve",
	.group = GROUP_REGISTRY,
	.summary = "be a registry, for the images of places or in a folder of its own",
	.args = "[PLACE...]",
	.min_args = 0,
	.max_args = 1000,
	.complete = COMPLETE_PLACE,
	.notes =
		"Serves the images of places to docker, podman, skopeo, ctr and every other "
		"client, straight from where they lie: nothing is imported or copied. With --root "
		"it "
		"is a registry that takes images in, kept in a folder; what it acknowledged is on "
		"the disk, and dray gc clears up. With --proxy the folder is a cache of another "
		"registry. Prints the "
		"address when clients may come; --addr 127.0.0.1:0 takes a free port. Others than "
		"this machine reach it only with TLS (or --plain-http) and an --addr that they can "
		"see. Without --htpasswd or --token-realm whoever reaches it may do everything. "
		"Requests are logged on standard error, one JSON object in a line. SIGTERM and "
		"SIGINT end it when running requests are done.",
	.features = FEATURE_JSON,
	.options = serve_table,
	.options_size = sizeof(struct serve_flags),
	.run = run_serve,
};
