/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree: nodes in the order of the text, so the first child of a node is the
 * one after it. Offsets are 32 bits; json_parse() refuses longer texts.
 */
#pragma once

#include "json/json.h"

struct json_node {
	uint32_t off, len;	     /* the value's bytes in the text */
	uint32_t name_off, name_len; /* the member's name, between its quotes */
	uint32_t next;		     /* next sibling; 0 = last */
	uint32_t count;		     /* elements or members */
	uint8_t type;		     /* enum json_type */
	bool name_odd;		     /* the name has escapes or bytes past ASCII */
	bool case_twins;	     /* an object: two names differ only in case */
};

struct json_doc {
	struct span text;
	struct json_node *nodes; /* [0] stands for "missing", [1] is the root */
	size_t len, cap;
};

static inline struct span node_name(const struct json_doc *d, const struct json_node *n)
{
	return span_of(d->text.data + n->name_off, n->name_len);
}

/**
 * The first character of @p s, which is from inside a string that was scanned.
 * @return bytes of it that were used; its UTF-8 is in @p out
 */
size_t json_unescape_one(struct span s, uint8_t out[4], size_t *ret_len);
/** Decode such a string into @p out, which has room for raw.len bytes; returns the length. */
size_t json_unescape(struct span raw, uint8_t *out);
/** True when decoding @p raw gives @p text; @p fold compares without ASCII case. */
bool json_text_is(struct span raw, struct span text, bool fold);

/**
 * Check the string whose opening quote is at @p pos: escapes, UTF-8, surrogates.
 * @return 0, in *ret_end the place after the closing quote and in *ret_odd whether
 * it has escapes or bytes past ASCII; -1
 */
int json_scan_string(struct span text, size_t pos, bool is_name, size_t *ret_end, bool *ret_odd,
		     dray_error **err);
/** As json_scan_string() for a number. */
int json_scan_number(struct span text, size_t pos, size_t *ret_end, dray_error **err);

/** Refuse twin names in @p object (M-10); *ret_case: some differ in case only. */
int json_check_twins(const struct json_doc *d, uint32_t object, bool *ret_case, dray_error **err);
/** Name the case twins of an object that has some; -1. */
int json_refuse_case_twins(const struct json_doc *d, uint32_t object, dray_error **err);
