/* SPDX-License-Identifier: Apache-2.0
 *
 * Command-line options as tables, walked by one loop. The same tables make
 * --help, the shell completions and the test that the man pages are whole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/nearest.h"
#include "base/span.h"

enum option_kind {
	OPT_FLAG,   /* bool: set to true */
	OPT_BOOL,   /* bool: "--x" is true, "--x=false" is false */
	OPT_COUNT,  /* int: one more each time */
	OPT_INT,    /* int: from lo to hi */
	OPT_STRING, /* const char *: lent from argv; the last one wins */
	OPT_CHOICE, /* const char *: one word of choices */
	OPT_LIST,   /* struct option_list: one more each time; lent from argv */
	OPT_WORD,   /* struct option_words: the same of several options, in their order */
};

#define OPTION_LIST_MAX 64
struct option_list {
	const char *list[OPTION_LIST_MAX];
	size_t n;
};

#define OPTION_WORDS_MAX 1000
struct option_words {
	struct option_word {
		const char *name, *value; /* of the option; lent from its table and argv */
	} list[OPTION_WORDS_MAX];
	size_t n;
};

/** What a shell offers for a value or an argument. */
enum complete {
	COMPLETE_NONE,
	COMPLETE_FILE,
	COMPLETE_DIR,
	COMPLETE_PLACE, /* files, and the prefixes of references */
	COMPLETE_VERB,
	COMPLETE_SHELL,
};

struct option {
	const char *name; /* without "--"; NULL ends a table */
	char letter;	  /* without "-"; 0 = none */
	enum option_kind kind;
	size_t offset;	  /* of the variable in the struct that the table fills */
	const char *arg;  /* what help calls the value */
	const char *help; /* one sentence without a full stop */
	enum complete complete;
	const char *choices; /* OPT_CHOICE: "a|b|c" */
	int lo, hi;	     /* OPT_INT */
	unsigned needs;	     /* feature bits; a set that lacks them does not know the option */
	const char *heading; /* in help, of this one and those behind it; NULL = as before it */
	const char *with;    /* "a|b": it needs one of these of its table */
	const char *against; /* "a|b": it does not go together with any of these */
};

/** A table and what it fills. */
struct option_set {
	const struct option *options; /* NULL = empty */
	void *base;
	unsigned features;
};

#define OPTION_SETS 2
struct option_parser {
	const char *const *argv; /* without the program's name; NULL at the end */
	struct option_set sets[OPTION_SETS];
	const char *letters; /* rest of a bundle "-xyz" */
	bool only_words;     /* "--" was seen */
	unsigned used;	     /* feature bits of the options met so far */
};

/** Whether @p set knows @p o. */
bool option_offered(const struct option_set *set, const struct option *o);
bool option_takes_value(const struct option *o);

/**
 * Apply options up to and including the next plain word.
 * @return 1 and *ret_word, lent from argv; 0 at the end; -1 with USAGE and a hint
 */
int options_next(struct option_parser *p, const char **ret_word, dray_error **err) MUST_CHECK;

/** Whether the options of @p set that were given go together, by their "with" and "against". USAGE. */
int options_check(const struct option_set *set, dray_error **err) MUST_CHECK;

/** Whether @p word is one of @p choices "a|b|c". */
bool choice_has(const char *choices, const char *word);

/** Digits, a point, digits: @p unit (below 2^31) times that, rounded down; *ret_rest follows. */
bool option_scaled(struct span text, int64_t unit, int64_t *ret, struct span *ret_rest);
/** "20MB", "1.5GB", "4096": powers of 1000, or of 1024 with an i. */
bool option_size(const char *text, int64_t *ret);
