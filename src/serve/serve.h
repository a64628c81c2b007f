/* SPDX-License-Identifier: Apache-2.0
 *
 * An OCI registry over HTTP in front of a shelf. Only this room knows libmicrohttpd.
 * Spec: distribution-spec 1.1.
 */
#pragma once

#include "serve/guard.h"
#include "image/manifest.h"
#include "serve/shelf.h"

/** What a layer is found to be when somebody looks into it, in bytes. */
struct serve_layer {
	int64_t size;	/* of its tar, uncompressed */
	int64_t files;	/* in its files */
	int64_t hidden; /* of these, what later layers replace or delete */
};
/**
 * Look into the layers of @p m, an image of @p repo: one of @p ret for each. What is refused as
 * shelf_refuse() does is told to whoever asked, anything else as "the layers cannot be read".
 */
typedef int serve_look_fn(void *arg, const char *repo, const struct manifest *m,
			  struct serve_layer *ret, dray_error **err);

/** What a server is like. Zero stands for the default where there is one. */
struct serve_options {
	const char *addr; /* "HOST:PORT", "[HOST]:PORT"; port 0 = any that is free */
	int fd;		  /* in place of addr: a socket that listens already, lent; -1 = none */
	bool open;	  /* others than this machine may reach it, even in plain HTTP */
	bool read_only;	  /* whatever the shelf could take in */
	bool metrics;	  /* GET /metrics is answered */
	int64_t timeout_ms; /* for the head of a request; see SERVE_*_FACTOR for the rest */
	int64_t grace_ms;   /* how long requests may take when the server is to stop */
	int connections;    /* at the same time; further ones are turned away */
	bool no_page;	    /* for machines alone: no pages for people, see web.h */
	serve_look_fn *look; /* for the pages; from any thread; NULL = they do without */
	/** One line of JSON about each request, without its end; from any thread, one at a time. */
	void (*on_access)(void *arg, const char *line);
	/** What went wrong inside, for whoever runs the server; likewise. */
	void (*on_trouble)(void *arg, const char *text);
	/** Called now and then by server_run(), for whoever has work beside; NULL = nobody. */
	void (*on_tick)(void *arg);
	/** Called when look_fd is readable, to read it; files are looked at again right then. */
	void (*on_look)(void *arg);
	int look_fd;		/* -1 = nobody says so */
	struct guard *guard;	/* lent: who may do what; NULL = everybody everything */
	const char *tls_cert;	/* files in PEM, lent, read again when they change; NULL = plain HTTP */
	const char *tls_key;
	void *arg;
};
#define SERVE_ADDR "127.0.0.1:5000"
#define SERVE_TIMEOUT_MS 10000 /* 5 to 10 s for a head */
#define SERVE_GRACE_MS 30000
#define SERVE_CONNECTIONS 512 /* one thread each */
#define SERVE_BODY_FACTOR 3   /* a body's rate is measured over so many timeouts ... */
#define SERVE_IDLE_FACTOR 12  /* ... an answer's, and what nobody uses ends after so many */
#define SERVE_LINGER_FACTOR 3 /* a refused body is read on for so long, at that rate */
#define SERVE_RATE_MIN 1024   /* bytes a second, of what is sent and of what is received */

struct server;

/** Begin to listen and to answer. @p shelf is lent. USAGE an address, or one that is not loopback. */
int server_start(struct shelf *shelf, const struct serve_options *o, struct server **ret,
		 dray_error **err) MUST_CHECK;
/** "127.0.0.1:5000": where it listens; borrowed. */
const char *server_address(const struct server *s);
/**
 * Watch over the clients until @p stop_fd is readable (-1 = never) or the process is asked to
 * stop. Slow ones are cut here, so it must run.
 */
int server_run(struct server *s, int stop_fd, dray_error **err) MUST_CHECK;
/** Accept nobody any more; answer what was begun for as long as the grace says. */
void server_drain(struct server *s);
/** Ends what is still going on. */
void server_free(struct server *s);
