/* SPDX-License-Identifier: Apache-2.0
 *
 * A registry in front of images wherever they lie.
 */
#pragma once

#include <dray/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a server serves; read only, lives during the call. */
struct dray_serving {
	const char *address;	/**< "127.0.0.1:5000", the port that it got */
	size_t repositories;
	int64_t documents;	/**< manifests and indexes of the places */
};

/** Begin with DRAY_SERVE_OPTIONS_INIT; strings are lent for the call. */
struct dray_serve_options {
	size_t size;
	const char *addr;	/**< "HOST:PORT", "[HOST]:PORT"; port 0 = a free one; NULL = 127.0.0.1:5000 */
	bool plain_http;	/**< others than this machine may reach it, unencrypted */
	bool read_only;		/**< nothing is taken in */
	/**
	 * A folder that images are pushed to, made if it is not there; NULL = none. It is served in
	 * place of places. The next four are about it.
	 */
	const char *root;
	int64_t quota;		/**< bytes of blobs, uploads and manifests; 0 = what the disk has */
	bool no_delete;		/**< clients delete nothing */
	bool immutable_tags;	/**< a tag, once set, names what it names, and stays */
	int gc_interval;	/**< seconds between garbage collections; 0 = 3600, -1 = none */
	/**
	 * A registry whose images are served, and kept in root as they are asked for: "docker.io",
	 * "https://HOST:PORT", "HOST/PREFIX"; NULL = none. Nothing can be pushed then; with a
	 * quota what was not used for longest makes room.
	 */
	const char *proxy;
	int proxy_ttl;		/**< seconds for which a tag is believed without asking; 0 = always ask */
	int64_t proxy_keep;	/**< seconds after which what nobody used goes; 0 = stays */
	int timeout;		/**< seconds for the head of a request, others follow from it; 0 = 10 */
	int grace;		/**< seconds that running requests get at the end; 0 = 30 */
	int connections;	/**< at once, further ones are turned away; 0 = 512 */
	int stop_fd;		/**< readable = stop (signalfd, eventfd, pipe); never read; -1 = none */
	/** It listens. Not 0 = stop at once, with CANCELLED. NULL = nobody wants to know. */
	int (*ready)(void *arg, const struct dray_serving *s);
	/** It was asked to stop, and waits for running requests now. NULL likewise. */
	void (*stopping)(void *arg);
	/** One line of JSON about each request, without its end; from any thread, one at a time. */
	void (*access)(void *arg, const char *line);
	void *arg;		/**< handed to all of them untouched */
	bool metrics;		/**< GET /metrics has numbers for Prometheus */
	int listen_fd;		/**< in place of addr: a TCP socket that listens; lent; -1 = none */
	/**
	 * Certificate, with those above it behind it, and private key, in PEM: HTTPS, TLS 1.2 and 1.3. All
	 * files here are read again within a second when they change; one that is no good then is
	 * warned of, and what was read before holds.
	 */
	const char *tls_cert;
	const char *tls_key;
	/** Users and bcrypt hashes as htpasswd -B writes them, who may do everything; NULL = see below. */
	const char *htpasswd;
	bool anonymous_read;	/**< who has no name may pull and list */
	/**
	 * Or tokens (JWT) that are made elsewhere: where clients get them, our name there ("aud"), his
	 * name ("iss"; NULL = any that has a key), files of his public keys or certificates in PEM.
	 * Without users and tokens everybody may do everything.
	 */
	const char *token_realm;
	const char *token_service;
	const char *token_issuer;
	const char *const *token_keys;
	size_t n_token_keys;
	bool no_page;		/**< no pages for browsers: everything outside of the API is 404 */
	int look_fd;		/**< readable = look at the files now, not within a second; -1 = none */
	/** look_fd is readable: read it. From the thread that called; with look_fd. */
	void (*looking)(void *arg);
};
#define DRAY_SERVE_OPTIONS_INIT \
	{ .size = sizeof(struct dray_serve_options), .stop_fd = -1, .listen_fd = -1, .look_fd = -1 }

/**
 * Be a registry (OCI distribution, over HTTP) for the images of @p n places, until o->stop_fd is
 * readable or dray_cancel() was called. Nothing is imported: layers are sent from where they lie.
 *
 * Places are archives, layouts and disks of engines, opened once; an archive that is replaced
 * is served as it was. A manifest that a place has is served byte for byte; where there is none it
 * is that of the canonical archive. Bytes are not proven on the way out: clients hold them against
 * the digests that they asked by.
 *
 * With o->root it is a registry of its own, which takes images in (unless o->read_only): what it
 * acknowledged is on the disk, whatever kills it. One process has a folder at a time.
 *
 * With o->proxy the root is a cache of that registry: credentials and TLS are those of the context,
 * registries.conf is not looked at. What it has is served when that registry cannot be asked.
 *
 * @param places  references as dray(1) spells them; one that chooses no image serves all it has;
 *                none with o->root
 * @param o       NULL = defaults
 * @return  0 = stopped as asked; -1
 *
 * Units:   seconds
 * Owns:    nothing changes hands
 * Errors:  USAGE references, address, one that is not loopback without o->plain_http and without TLS,
 *          options that do not go together, a key of another certificate; NOT_FOUND place, file;
 *          FORMAT files of users, keys, certificates; UNSUPPORTED hashes other than bcrypt, pipes, compressed archives, registries, no libmicrohttpd; FORMAT,
 *          CORRUPT a place that cannot be read; SYSTEM the address is taken, EBUSY another
 *          process has the root; CANCELLED
 * Threads: see dray_context_new(); one per connection; callbacks from any of them
 * Spec:    OCI distribution-spec 1.1; docs/serve.md
 * Since:   0.1
 */
DRAY_API int dray_serve(dray_context *ctx, const char *const *places, size_t n,
			const struct dray_serve_options *o, dray_error **err);

#ifdef __cplusplus
}
#endif
