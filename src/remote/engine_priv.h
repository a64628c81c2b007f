/* SPDX-License-Identifier: Apache-2.0
 *
 * An engine, as the files that talk to it see it.
 */
#pragma once

#include "flow/sink.h"
#include "json/json.h"
#include "remote/engine.h"
#include "remote/http.h"

#define ENGINE_WAIT_MS 1800000 /* packing and unpacking tens of GB without a word */

/** Where an engine listens, and what it takes to be let in. */
struct engine_host {
	char *text;		/* for messages: "unix:///var/run/docker.sock" */
	char *socket;		/* path; NULL = TCP */
	char *base;		/* "http://host:port/" */
	struct tls_files files;	/* TCP with TLS */
	bool tls_skip_verify;
};
int engine_host_find(struct engine_host *ret, dray_error **err) MUST_CHECK;
void engine_host_clear(struct engine_host *h);
/** "unix:///path", "tcp://host[:port]" into ret->socket or ret->base. USAGE, UNSUPPORTED. */
int engine_host_parse(const char *text, bool tls, struct engine_host *ret,
		      dray_error **err) MUST_CHECK;
/** The endpoint of docker's context @p name, kept in folder @p config. NOT_FOUND, FORMAT. */
int engine_context(const char *config, const char *name, struct engine_host *ret,
		   dray_error **err) MUST_CHECK;

struct engine {
	struct remote_options o;
	struct engine_host host;
	struct http *http;
	struct arena arena;	/* of base */
	struct url base;
	int64_t wait_ms;
};

/** URL of @p path, which begins with '/'; lent. */
static inline struct url engine_url(const struct engine *e, const char *path)
{
	struct url u = e->base;

	u.rest = path;
	return u;
}
/** GET @p path into @p ret (its max applies); other statuses than 200 are engine_refusal(). */
int engine_get(struct engine *e, const char *path, const char *what, struct buf *ret,
	       dray_error **err) MUST_CHECK;
/** "WHAT: the engine says ..." by status: 404 NOT_FOUND, 401 and 403 DENIED, else NETWORK. -1. */
int engine_refusal(const struct http_response *res, struct span body, const char *what,
		   dray_error **err);
/** The message of an error document, safe to print, in @p a; NULL when it is none. */
const char *engine_message(struct span body, struct arena *a);

/** What an engine says of one image. Strings in the arena given. */
struct engine_image {
	struct digest id;
	struct digest stored;	/* of the manifest or index that it keeps; unset before 28, and
				 * where it keeps layers in a storage driver */
	bool stored_index;	/* that is an index */
	const char *created, *os, *arch, *variant; /* NULL when absent */
	const char **tags;
	size_t n_tags;
	struct digest *diff_ids;
	size_t n_diff_ids;
	int64_t size;
};
/** From the document of GET /images/NAME/json. FORMAT. */
int engine_image_parse(struct span text, struct arena *a, struct engine_image *ret,
		       dray_error **err) MUST_CHECK;
/** @p name is a reference or an image ID. NOT_FOUND when the engine has no such image. */
int engine_inspect(struct engine *e, const char *name, struct arena *a, struct engine_image *ret,
		   dray_error **err) MUST_CHECK;
/** The IDs of all its images, newest first. */
int engine_list(struct engine *e, struct arena *a, struct digest **ret, size_t *ret_n,
		dray_error **err) MUST_CHECK;

/** GET @p path, an archive, as a source. NOT_FOUND and so on as engine_refusal(). */
struct source *engine_save(struct engine *e, const char *path, dray_error **err);
/**
 * Reading @p s from engine_save() failed with *err: if the engine appended an error of its own to
 * the archive, that is what *err says from now on. Returns -1.
 */
int engine_save_failed(struct source *s, const char *place, dray_error **err);
/** An error that was appended to a stream of another kind: {"message":"..."}. NULL when none. */
const char *engine_late_message(struct span tail, struct arena *a);
/**
 * A sink into POST /images/load. sink_finish() waits for the engine's verdict, whose refusal
 * is NETWORK with its words; freed unfinished it cuts the connection, and the engine loads
 * nothing. @p e is lent.
 */
struct sink *engine_load(struct engine *e, dray_error **err);
/** One line of the answer to a load; an error in it is NETWORK. */
int engine_load_line(struct span line, dray_error **err) MUST_CHECK;
