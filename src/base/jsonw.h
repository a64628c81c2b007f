/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing JSON text in Go's dialect (encoding/json): compact, fixed order as
 * called, <>& and U+2028/9 escaped, invalid UTF-8 bytes as \ufffd. Commas and
 * nesting are kept here; a mis-nested call is an assert.
 */
#pragma once

#include "base/span.h"

#define JSONW_DEPTH 72
struct jsonw {
	struct buf *out;
	dray_error **err;	/* where the first failure goes; later calls do nothing */
	bool failed;
	uint8_t depth;
	bool first[JSONW_DEPTH];	/* nothing was written at this level yet */
	bool object[JSONW_DEPTH];	/* this level is an object; level 0 is the text itself */
	bool after_key;
};

void jsonw_init(struct jsonw *w, struct buf *out, dray_error **err);
void jsonw_object(struct jsonw *w);		/* { */
void jsonw_array(struct jsonw *w);		/* [ */
void jsonw_end_object(struct jsonw *w);
void jsonw_end_array(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *key);
void jsonw_string(struct jsonw *w, const char *s);	/* NULL writes null */
void jsonw_bytes(struct jsonw *w, struct span s);	/* a string of these bytes */
void jsonw_int(struct jsonw *w, int64_t v);
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_null(struct jsonw *w);
void jsonw_raw(struct jsonw *w, struct span json);	/* a value that already is JSON */
/* key and value in one */
void jsonw_kstring(struct jsonw *w, const char *key, const char *s);
void jsonw_kint(struct jsonw *w, const char *key, int64_t v);
void jsonw_kbool(struct jsonw *w, const char *key, bool v);
/** 0, or -1 when anything failed (then *err is set). Asserts that all is closed. */
int jsonw_finish(struct jsonw *w) MUST_CHECK;

/** Only the string with its quotes. */
int json_quote(struct buf *out, struct span s, dray_error **err) MUST_CHECK;
