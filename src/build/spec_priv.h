/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a spec as tables: what reads and what writes walk the same ones.
 */
#pragma once

#include "build/spec.h"

#define SPEC_STRATEGIES "auto|graph|popularity|origin|size|single|per-source|explicit|pipeline"
#define SPEC_COMMENTS "components|none"
#define SPEC_DEDUPES "content|strict|unit|off"
#define SPEC_LEVEL_MAX 22 /* of compression */

enum key_kind {
	KEY_STRING,  /* const char *; choices says what it is: "tag", "name", "platform" */
	KEY_CHOICE,  /* the same, one of choices */
	KEY_MODE,    /* the same, octal digits, or one of choices */
	KEY_INT,     /* struct spec_int, from 0 on; choices "id": of 32 bits */
	KEY_SIZE,    /* the same; "1GiB" too */
	KEY_FLAG,    /* enum spec_flag: true or false */
	KEY_LIST,    /* struct spec_list of strings, of which choices says what as above */
	KEY_TIME,    /* struct spec_time; choices says which words */
	KEY_STRINGS, /* struct spec_pairs: strings or null */
	KEY_ENV,     /* the same, or a list of NAME=VALUE */
	KEY_SET,     /* struct spec_pairs: empty objects or null; choices says what names are */
	KEY_JSON,    /* struct span; choices says of which type */
	KEY_OBJECT,  /* a struct whose first member is bool set */
	KEY_OBJECTS, /* pointer, size_t n, size_t cap */
};

struct spec_key {
	const char *name;
	enum key_kind kind;
	size_t offset;
	const char *choices;
	const struct spec_shape *shape;
	unsigned types; /* of sources: which have it; 0 = all */
};
struct spec_shape {
	const struct spec_key *keys; /* ends with a name of NULL */
	size_t size;		     /* of one element of KEY_OBJECTS, whose first member is a struct spec_at */
	bool is_source;
};
extern const struct spec_shape spec_shape;
extern const struct spec_shape spec_config_shape; /* keys are fields of an image config; flags are not */
extern const struct spec_shape spec_source_shape, spec_rule_shape, spec_group_shape;

#define SPEC_TIME "a time as 2026-01-15T00:00:00Z, or whole seconds since 1970"
#define SPEC_PATH "an absolute path"
#define SPEC_SIZE "bytes, or as \"100KiB\", MiB, GiB, TiB"
/** Absolute, on Windows too. */
bool spec_is_path(const char *text);
/**
 * "80" as engines write it, "80/tcp"; "8000-8010" is each of these. With @p json "null" a port
 * without a protocol is that of any. USAGE for what is no port, LIMIT for too many.
 */
int spec_ports_put(struct spec *s, const char *text, struct span json, dray_error **err) MUST_CHECK;
/** The object @p text, as the value of a key would be read into @p at. */
int spec_read_object(struct spec *s, const struct spec_shape *shape, const char *text,
		     void *at, dray_error **err) MUST_CHECK;
/** A list of operations, as "pipeline" has it. */
int spec_read_pipeline(struct spec *s, const char *text, dray_error **err) MUST_CHECK;

/** Is @p text a @p what ("name", "tag", "platform"; anything else is no question)? USAGE. */
int spec_word(struct spec *s, const char *what, const char *text, dray_error **err) MUST_CHECK;
/** Is @p word one of "a|b|c"? */
bool spec_choice(const char *choices, const char *word);
/** Does @p k belong to what is at @p at? */
bool spec_key_fits(const struct spec_shape *shape, const struct spec_key *k, const void *at);

/* ---- putting things in; all is copied ---- */

int spec_list_add(struct spec *s, struct spec_list *l, const char *text,
		  dray_error **err) MUST_CHECK;
/** In place of one of that name. The pair, until the next one is put in; NULL. */
struct spec_pair *spec_pairs_put(struct spec *s, struct spec_pairs *p, const char *name,
				 struct span json, dray_error **err) MUST_CHECK;
/** Each where the last word about it was, not the first. */
void spec_pairs_order(struct spec_pairs *p);
/** The pair of that name, or NULL. */
struct spec_pair *spec_pairs_find(const struct spec_pairs *p, const char *name);
/** One more, zeroed, at the end of a KEY_OBJECTS member; NULL. */
void *spec_grow(struct spec *s, void *slot, size_t size, dray_error **err);
/** A time as it is typed: RFC 3339, seconds, or one of @p choices. */
bool spec_time_text(const char *text, const char *choices, struct spec_time *ret);
bool spec_size_text(const char *text, int64_t *ret);
/** "0755"; false unless octal digits up to 07777. */
bool spec_mode_text(const char *text, uint32_t *ret);

/* ---- the text ---- */

/** @p text with blanks in place of comments and of commas that close a list: each byte stays where it was. */
int spec_text_strip(struct span text, const char *where, struct buf *ret,
		    dray_error **err) MUST_CHECK;
/**
 * ${NAME} in strings by @p defines. Lines stay where they were. Within @p env, a part of @p text, other
 * names stay as they are, and so does "$${"; what is put in there says nothing but itself.
 */
int spec_text_define(struct span text, const char *where, struct span env,
		     const struct spec_define *defines, size_t n, struct buf *ret,
		     dray_error **err) MUST_CHECK;
/** Line and column of byte @p to, which @p at is for byte @p from, not behind it. */
void spec_text_count(struct span text, size_t from, size_t to, struct spec_at *at);
/** USAGE "where:LINE:COLUMN: ..." for byte @p at of @p text. */
int spec_text_fail(struct span text, size_t at, const char *where, dray_error **err,
		   const char *fmt, ...) PRINTF_LIKE(5, 6);
