/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what every shelf shares: refusals with their codes, and freeing what was given out.
 * Relies on the specification's table of error codes.
 * Promises: a refusal carries status and code, so that HTTP need not guess.
 */
#include "serve/shelf.h"

#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/codec.h"

/* ---- refusals ---- */

static const struct {
	const char *word;
	int status;
	enum dray_err_kind kind;
} CODES[SHELF_CODES] = {
	[SHELF_BLOB_UNKNOWN] = { "BLOB_UNKNOWN", 404, DRAY_ERR_NOT_FOUND },
	[SHELF_BLOB_UPLOAD_INVALID] = { "BLOB_UPLOAD_INVALID", 400, DRAY_ERR_USAGE },
	[SHELF_BLOB_UPLOAD_UNKNOWN] = { "BLOB_UPLOAD_UNKNOWN", 404, DRAY_ERR_NOT_FOUND },
	[SHELF_DIGEST_INVALID] = { "DIGEST_INVALID", 400, DRAY_ERR_CORRUPT },
	[SHELF_MANIFEST_BLOB_UNKNOWN] = { "MANIFEST_BLOB_UNKNOWN", 400, DRAY_ERR_NOT_FOUND },
	[SHELF_MANIFEST_INVALID] = { "MANIFEST_INVALID", 400, DRAY_ERR_FORMAT },
	[SHELF_MANIFEST_UNKNOWN] = { "MANIFEST_UNKNOWN", 404, DRAY_ERR_NOT_FOUND },
	[SHELF_NAME_INVALID] = { "NAME_INVALID", 400, DRAY_ERR_USAGE },
	[SHELF_NAME_UNKNOWN] = { "NAME_UNKNOWN", 404, DRAY_ERR_NOT_FOUND },
	[SHELF_PAGINATION_INVALID] = { "PAGINATION_NUMBER_INVALID", 400, DRAY_ERR_USAGE },
	[SHELF_RANGE_INVALID] = { "RANGE_INVALID", 416, DRAY_ERR_USAGE },
	[SHELF_SIZE_INVALID] = { "SIZE_INVALID", 413, DRAY_ERR_LIMIT },
	[SHELF_TAG_INVALID] = { "TAG_INVALID", 400, DRAY_ERR_USAGE },
	[SHELF_UNAUTHORIZED] = { "UNAUTHORIZED", 401, DRAY_ERR_DENIED },
	[SHELF_DENIED] = { "DENIED", 403, DRAY_ERR_DENIED },
	[SHELF_KEPT] = { "DENIED", 405, DRAY_ERR_DENIED },
	[SHELF_UNSUPPORTED] = { "UNSUPPORTED", 405, DRAY_ERR_UNSUPPORTED },
	[SHELF_TOOMANYREQUESTS] = { "TOOMANYREQUESTS", 429, DRAY_ERR_LIMIT },
	[SHELF_NO_SPACE] = { "UNAVAILABLE", 507, DRAY_ERR_LIMIT },
	[SHELF_DISK_FULL] = { "UNAVAILABLE", 507, DRAY_ERR_SYSTEM },
	[SHELF_UNREACHABLE] = { "UNAVAILABLE", 502, DRAY_ERR_NETWORK },
};

int shelf_refuse(dray_error **err, enum shelf_code code, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	err_set(err, CODES[code].kind, "%s", text);
	return err_http(err, CODES[code].status, CODES[code].word);
}

/* ---- what was given out ---- */

void shelf_page_clear(struct shelf_page *p)
{
	arena_clear(&p->arena);
	*p = (struct shelf_page){ 0 };
}

void shelf_doc_clear(struct shelf_doc *d)
{
	mem_free(d->media_type);
	buf_clear(&d->bytes);
	*d = (struct shelf_doc){ 0 };
}

void shelf_blob_clear(struct shelf_blob *b)
{
	cleanup_fd_fn(&b->fd);
	source_free(b->data);
	*b = SHELF_BLOB_INIT;
}

struct source *shelf_blob_open(struct shelf_blob *b, dray_error **err)
{
	if (!b->data)
		return source_from_extent(b->fd, b->off, b->size, err);
	return b->packed ? source_decode_auto(steal_pointer(&b->data), NULL, err)
			 : steal_pointer(&b->data);
}

void shelf_referrers_clear(struct shelf_referrers *r)
{
	arena_clear(&r->arena);
	*r = (struct shelf_referrers){ 0 };
}

void shelf_free(struct shelf *s)
{
	if (s)
		s->ops->free(s);
}
