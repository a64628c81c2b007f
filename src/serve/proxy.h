/* SPDX-License-Identifier: Apache-2.0
 *
 * A shelf that asks another registry for what it does not have yet, and keeps it in a folder.
 * Who that is, and how it is asked, is known to whoever fills in the table; the folder is a cache
 * (struct depot_options).
 */
#pragma once

#include "serve/shelf.h"

struct upstream;

/**
 * The registry behind. From any thread. Of what fails, NOT_FOUND says that it has none such and
 * DENIED that it gives us none; any other error that it gave no answer of use. Names and
 * digests fit the grammar, as a shelf's do.
 */
struct upstream_ops {
	/** What a tag, or a digest, names: 1, 0 = there is none such. *ret is unset where it does not say: a hint. */
	int (*look)(struct upstream *u, const char *repo, const char *tag, struct digest *ret,
		    dray_error **err);
	/**
	 * With its bytes, by tag or by the text of a digest; then it has that. NOT_FOUND; FORMAT,
	 * UNSUPPORTED and LIMIT without an HTTP status also of what is there and is none that we read.
	 */
	int (*manifest)(struct upstream *u, const char *repo, const char *name,
			struct shelf_doc *ret, dray_error **err);
	/** 1, 0 = there is none such; *ret is -1 where it does not say. */
	int (*blob_size)(struct upstream *u, const char *repo, const struct digest *digest,
			 int64_t *ret, dray_error **err);
	/** Not proven. *ret_size as it was announced, -1. NOT_FOUND at once. */
	struct source *(*blob)(struct upstream *u, const char *repo, const struct digest *digest,
			       int64_t *ret_size, dray_error **err);
	/** All of them, in the order of their bytes. NOT_FOUND = no such repository. */
	int (*tags)(struct upstream *u, const char *repo, struct shelf_page *ret,
		    dray_error **err);
	/** Digests of what refers to @p subject, in any order. */
	int (*referrers)(struct upstream *u, const char *repo, const struct digest *subject,
			 struct shelf_page *ret, dray_error **err);
	/** Is it the one of this name? */
	bool (*is_called)(const struct upstream *u, const char *registry);
	/** For the log: what went wrong, and what was done instead. */
	void (*note)(struct upstream *u, const char *text);
};

/** First member of whoever is asked. */
struct upstream {
	const struct upstream_ops *ops;
};

struct proxy_options {
	int64_t ttl_ms;	  /* for which a tag is believed without a question */
	int64_t pause_ms; /* for which one that was silent is asked for nothing but blobs */
	int downloads;	  /* of blobs to be kept, at the same time; 0 = PROXY_DOWNLOADS */
	size_t referrers; /* that one request brings; 0 = PROXY_REFERRERS_MAX */
};
#define PROXY_PAUSE_MS 5000
#define PROXY_DOWNLOADS 16
#define PROXY_UNTOLD_MAX (4LL << 30) /* bytes of a blob whose size nobody announces, to be kept */
#define PROXY_REFERRERS_MAX 1000     /* more come page by page, and are not kept */

/** @p depot, a cache, and @p up are lent until it is freed. */
int proxy_open(struct shelf *depot, struct upstream *up, const struct proxy_options *o,
	       struct shelf **ret, dray_error **err) MUST_CHECK;
/** Break off all questions and downloads, and those who wait for them; later ones fail at once. */
void proxy_stop(struct shelf *s);
