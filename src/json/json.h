/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading JSON with every byte's place kept. One strict, non-recursive scanner:
 * refuses twin names, invalid UTF-8, lone surrogates, NUL in names, depth over
 * LIMIT_JSON_DEPTH, trailing data (reliability M-10, M-11). Writing is base/jsonw.h.
 */
#pragma once

#include "base/arena.h"
#include "base/span.h"

enum json_type {
	JSON_MISSING,	/* no such member: what getters return instead of failing */
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json_doc;	/* the tree; borrows the text it was parsed from */

/** A value inside a document; cheap to copy. */
struct json {
	const struct json_doc *doc;
	uint32_t node;	/* 0 = missing */
};

/**
 * Parse the whole of @p text, which must outlive *ret. FORMAT says byte offset and
 * reason; LIMIT over LIMIT_JSON_DEPTH, LIMIT_JSON_NODES, LIMIT_JSON_NAMES or 4 GiB.
 */
int json_parse(struct span text, struct json_doc **ret, dray_error **err) MUST_CHECK;
void json_doc_free(struct json_doc *d);
DEFINE_CLEANUP(struct json_doc, cleanup_json_fn, json_doc_free)
#define cleanup_json CLEANUP(cleanup_json_fn)
struct json json_root(const struct json_doc *d);

enum json_type json_type(struct json v);
const char *json_type_name(enum json_type t);
static inline bool json_present(struct json v)
{
	return json_type(v) != JSON_MISSING && json_type(v) != JSON_NULL;
}
/** Exact bytes of the value in the text. */
struct span json_raw(struct json v);
/** Elements or members. */
size_t json_len(struct json v);

/** Member by exact name; MISSING when absent or @p v is no object. */
struct json json_get(struct json v, const char *name);
/** The same, exact first, else without ASCII case (camelCase keys as jib writes them). */
struct json json_get_fold(struct json v, const char *name);

/** Elements or members in order: for (it = json_first(v); json_node(it); it = json_next(it)). */
struct json json_first(struct json v);
struct json json_next(struct json v);
static inline bool json_node(struct json v)
{
	return v.node != 0;
}
/** Name of a member (raw bytes between the quotes; json_name decodes). */
struct span json_name_raw(struct json v);
int json_name(struct json v, struct arena *a, const char **ret, dray_error **err) MUST_CHECK;

/* Typed getters: FORMAT on another type. @p what names the field in the error: "created". */

/** Decoded, NUL-terminated in @p a; a NUL inside is refused. MISSING or null gives NULL, 0. */
int json_string(struct json v, const char *what, struct arena *a, const char **ret,
		dray_error **err) MUST_CHECK;
/** Decoded bytes (may hold NUL). */
int json_string_bytes(struct json v, const char *what, struct arena *a, struct span *ret,
		      dray_error **err) MUST_CHECK;
/** An integer of 64 bits, without fraction and exponent; MISSING and null are FORMAT too. */
int json_int(struct json v, const char *what, int64_t *ret, dray_error **err) MUST_CHECK;
/** MISSING and null give @p fallback. */
int json_bool(struct json v, const char *what, bool fallback, bool *ret,
	      dray_error **err) MUST_CHECK;
/**
 * FORMAT unless @p v is of type @p t; with @p optional MISSING and null pass too.
 * An object is taken for a struct: names that only case tells apart, as Go folds
 * ASCII letters, are refused too, because readers disagree which one is the field.
 */
int json_want(struct json v, enum json_type t, bool optional, const char *what,
	      dray_error **err) MUST_CHECK;
/** The same for an object whose names are data (labels, paths, tags): case may tell them apart. */
int json_want_map(struct json v, bool optional, const char *what, dray_error **err) MUST_CHECK;

/** Append @p v compacted with Go's RawMessage escaping (formats.md 2.6). */
int json_compact(struct json v, struct buf *ret, dray_error **err) MUST_CHECK;
