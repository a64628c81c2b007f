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
#include "cli/hangup.h"
#include "cli/render.h"
#include "cli/service.h"

/** What the table fills: options of the library as they are, and texts that stand for some. */
struct serve_flags {
	struct dray_serve_options o;
	const char *quota, *gc_interval, *proxy_ttl, *proxy_keep;
	struct option_list token_keys;
};

#define F(field) offsetof(struct serve_flags, field)
#define O(field) offsetof(struct serve_flags, o.field)

/* By kind: a heading here is one in --help and in dray-serve(1); what goes together is checked by it. */
static const struct option serve_table[] = {
	{ "addr", 0, OPT_STRING, O(addr), "HOST:PORT",
	  "where to listen (default: 127.0.0.1:5000); port 0 takes a free one",
	  .heading = "Service" },
	{ "read-only", 0, OPT_FLAG, O(read_only), .help = "take nothing in" },
	{ "metrics", 0, OPT_FLAG, O(metrics), .help = "numbers for Prometheus at /metrics" },
	{ "no-page", 0, OPT_FLAG, O(no_page), .help = "no pages for browsers" },

	{ "root", 0, OPT_STRING, O(root), "DIR",
	  "be a registry that images can be pushed to, kept in DIR", COMPLETE_DIR,
	  .heading = "Folder" },
	{ "quota", 0, OPT_STRING, F(quota), "SIZE",
	  "what may lie in DIR at most: 500MB, 20GiB (default: what the disk has)",
	  .with = "root" },
	{ "no-delete", 0, OPT_FLAG, O(no_delete), .help = "clients delete nothing in DIR",
	  .with = "root" },
	{ "immutable-tags", 0, OPT_FLAG, O(immutable_tags),
	  .help = "a tag in DIR, once set, names what it names, and stays", .with = "root" },
	{ "gc-interval", 0, OPT_STRING, F(gc_interval), "DURATION",
	  "between garbage collections in DIR (default: 1h); 0 = none", .with = "root" },

	{ "proxy", 0, OPT_STRING, O(proxy), "REGISTRY",
	  "serve the images of REGISTRY, and keep in DIR what was asked for", .with = "root",
	  .against = "read-only|no-delete|immutable-tags", .heading = "Cache" },
	{ "proxy-ttl", 0, OPT_STRING, F(proxy_ttl), "DURATION",
	  "for which a tag of REGISTRY is believed without asking (default: 0)", .with = "proxy" },
	{ "proxy-keep", 0, OPT_STRING, F(proxy_keep), "DURATION",
	  "after which what nobody used goes from DIR (default: it stays)", .with = "proxy" },

	{ "tls-cert", 0, OPT_STRING, O(tls_cert), "FILE",
	  "HTTPS with this certificate, and those above it, in PEM", COMPLETE_FILE,
	  .with = "tls-key", .heading = "Door" },
	{ "tls-key", 0, OPT_STRING, O(tls_key), "FILE", "its private key, in PEM", COMPLETE_FILE,
	  .with = "tls-cert" },
	{ "htpasswd", 0, OPT_STRING, O(htpasswd), "FILE",
	  "ask for user and password: lines of htpasswd -B", COMPLETE_FILE,
	  .against = "token-realm" },
	{ "anonymous-read", 0, OPT_FLAG, O(anonymous_read),
	  .help = "who has no name may pull and list; only users push and delete",
	  .with = "htpasswd|token-realm" },
	{ "token-realm", 0, OPT_STRING, O(token_realm), "URL",
	  "ask for a token (JWT) that is made there", .with = "token-key" },
	{ "token-service", 0, OPT_STRING, O(token_service), "NAME",
	  "this registry's name there, which tokens have to name (aud)", .with = "token-realm" },
	{ "token-issuer", 0, OPT_STRING, O(token_issuer), "NAME",
	  "who makes them (iss; default: whoever has a key)", .with = "token-realm" },
	{ "token-key", 0, OPT_LIST, F(token_keys), "FILE",
	  "public keys or certificates of who makes them, in PEM; may be repeated", COMPLETE_FILE,
	  .with = "token-service" },

	{ "timeout", 0, OPT_INT, O(timeout), "SECONDS",
	  "how long a client may take for the head of a request (default: 10)", .lo = 1, .hi = 3600,
	  .heading = "Limits" },
	{ "grace", 0, OPT_INT, O(grace), "SECONDS",
	  "how long running requests may take when it is to stop (default: 30)", .lo = 1,
	  .hi = 86400 },
	{ "max-connections", 0, OPT_INT, O(connections), "N",
	  "at the same time; further ones are turned away (default: 512)", .lo = 1, .hi = 16384 },
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

static int take_socket(struct dray_serve_options *o, dray_error **err)
{
	if (service_socket(&o->listen_fd, err) < 0)
		return -1;
	if (o->listen_fd >= 0 && o->addr)
		return err_set(
			err, DRAY_ERR_USAGE,
			"--addr is not for a server whose service manager passed its socket");
	return 0;
}

/* ---- signals ---- */

struct running {
	struct session *s;
	struct hangup hangup;
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
	if (r->hangup.fd < 0 && !hangup_is_ignored()) /* then the terminal went */
		sigaddset(&r->signals, SIGHUP);
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

static void on_looking(void *arg)
{
	struct running *r = arg;
	cleanup_error dray_error *err = NULL;

	if (hangup_answer(&r->hangup, &err) < 0)
		session_note(r->s, "the log is not opened anew: %s", dray_error_message(err));
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

/* ---- options that are not yet what the library takes ---- */

/* Less than a second is a second; 0 where it was not given. */
static int take_seconds(const char *name, const char *text, int64_t *ret, dray_error **err)
{
	int64_t ms = 0;

	if (text && (!num_parse_duration_ms(text, &ms) || ms / 1000 > INT32_MAX))
		return err_set(err, DRAY_ERR_USAGE, "%s takes 30m, 1h and the like", name);
	*ret = ms > 0 && ms < 1000 ? 1 : ms / 1000;
	return 0;
}

static int take_texts(struct serve_flags *f, dray_error **err)
{
	int64_t gc = 0, ttl = 0;

	if (f->quota && (!option_size(f->quota, &f->o.quota) || f->o.quota == 0))
		return err_set(err, DRAY_ERR_USAGE, "--quota takes bytes, as 500MB or 20GiB");
	if (take_seconds("--gc-interval", f->gc_interval, &gc, err) < 0 ||
	    take_seconds("--proxy-ttl", f->proxy_ttl, &ttl, err) < 0 ||
	    take_seconds("--proxy-keep", f->proxy_keep, &f->o.proxy_keep, err) < 0)
		return -1;
	f->o.gc_interval = f->gc_interval && gc == 0 ? -1 : (int)gc;
	f->o.proxy_ttl = (int)ttl;
	f->o.token_keys = f->token_keys.list;
	f->o.n_token_keys = f->token_keys.n;
	return 0;
}

/* ---- the verb ---- */

static void connect_session(struct dray_serve_options *o, struct running *r)
{
	const struct globals *g = &r->s->global;

	o->size = sizeof(*o);
	o->plain_http = g->plain_http;
	o->stop_fd = r->fd;
	o->ready = on_ready;
	o->stopping = on_stopping;
	o->look_fd = r->hangup.fd;
	o->looking = on_looking;
	o->access = g->quiet ? NULL : on_access;
	o->arg = r;
}

static int run_serve(struct session *s, dray_error **err)
{
	struct serve_flags *f = s->options;
	struct running r = { .s = s, .fd = -1, .hangup = HANGUP_INIT };
	int rc;

	f->o.listen_fd = -1;
	for (size_t i = 0; i < s->n_args; i++)
		if (session_check_input(s, s->args[i], err) < 0)
			return -1;
	if (take_texts(f, err) < 0 || take_socket(&f->o, err) < 0 || !session_context(s, err))
		return -1;
	rc = hangup_take(&r.hangup, err);
	if (rc == 0)
		rc = hold_signals(&r, err);
	connect_session(&f->o, &r);
	if (rc == 0)
		rc = dray_serve(s->ctx, s->args, s->n_args, &f->o, err);
	cleanup_fd_fn(&r.fd);
	hangup_end(&r.hangup);
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
