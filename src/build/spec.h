/* SPDX-License-Identifier: Apache-2.0
 *
 * What "build" is to make: the spec, read from JSON or put together from flags.
 * Format: docs/build.md.
 */
#pragma once

#include "base/arena.h"
#include "base/map.h"
#include "base/span.h"

#define SPEC_VERSION 1
#define SPEC_LAYERS_FORCED 500 /* what containers/storage takes, the longest known */
#define SPEC_ID_MAX 4294967294 /* of users and groups: the next one is chown(2)'s "leave it" */
#define SPEC_KEYS_MAX 24 /* keys at the top of a spec */

/** Where the text of a spec says something; line 0: a flag said it. */
struct spec_at {
	uint32_t line, column;
};
struct spec_list {
	const char **list;
	size_t n, cap;
	bool set; /* an empty list was given */
};
struct spec_int {
	bool set;
	int64_t v;
};
enum spec_flag { SPEC_UNSET, SPEC_NO, SPEC_YES };

/** A member whose name is data. @p json is its value's text; "null" takes away what a base has. */
struct spec_pair {
	const char *name;
	struct span json;
	struct spec_at at;
	size_t said; /* its turn among all words about its list, the last one about it */
};
struct spec_pairs {
	struct spec_pair *list;
	size_t n, cap, n_said;
	struct map by_name; /* number in the list, from 1 on */
	bool none; /* null was said: nothing of a base stays */
};

enum spec_time_kind { SPEC_TIME_UNSET, SPEC_TIME_SET, SPEC_TIME_CLAMP, SPEC_TIME_KEEP, SPEC_TIME_NOW };
struct spec_time {
	enum spec_time_kind kind;
	int64_t sec; /* of SET and CLAMP */
};

struct spec_owner {
	bool set;
	struct spec_int uid, gid;
	const char *uname, *gname; /* NULL = empty */
};

struct spec_select {
	bool set;
	const char *tag, *digest;
	struct spec_int index;
};

struct spec_base {
	bool set;
	const char *image;
	struct spec_select select;
	struct spec_list inherit; /* fields of the config; not set = all */
	const char *dedupe;	  /* NULL = "content" */
	enum spec_flag follow_base_links;
};

/** Values are JSON, "null" takes away what a base has; empty = not said. */
struct spec_config {
	bool set;
	struct spec_pairs env, labels, ports, volumes;
	size_t ports_said; /* each of a range, and each time */
	enum spec_flag expand; /* "${NAME}" in values of env is what the environment says */
	struct span user, entrypoint, cmd, workdir, stop_signal, stop_timeout, shell, healthcheck,
		hostname, domainname;
};

enum spec_type {
	SPEC_DIR,
	SPEC_TAR,
	SPEC_IMAGE,
	SPEC_FILE,
	SPEC_MKDIR,
	SPEC_SYMLINK,
	SPEC_LINKS,
	SPEC_CLOSURE,
	SPEC_LISTED, /* "files" */
	SPEC_USER,
	SPEC_GROUP,
	SPEC_TYPES,
};
extern const char *const spec_type_names[SPEC_TYPES];

struct spec_source {
	struct spec_at at;
	enum spec_type type;
	const char *type_name;
	const char *id, *layer;
	enum spec_flag is_volatile, replace;
	const char *from, *to, *path, *target;
	const char *text, *data_base64;
	struct spec_list trees; /* of "links" */
	const char *graph, *key, *store; /* of closures */
	const char *paths;		 /* in place of graph: a list */
	const char *share;		 /* "all", "links-only"; NULL = the first */
	enum spec_flag scan_config;
	const char *list, *list_format, *root; /* of "files" */
	struct spec_list roots;
	enum spec_flag ignore_missing;
	struct spec_list include, exclude, xattrs;
	struct spec_int strip;
	enum spec_flag as_layer; /* of "tar": its whiteouts remove */
	const char *mode; /* octal digits, or "keep", "normalize"; NULL */
	struct spec_owner owner;
	const char *name, *home, *shell; /* of users */
	struct spec_int uid, gid;
};

struct spec_rule {
	struct spec_at at;
	const char *match, *regex; /* one of both */
	const char *types, *mode, *layer;
	struct spec_pairs xattr; /* value or null */
	struct spec_owner owner;
	struct spec_time mtime;
	enum spec_flag remove, of_base;
};
struct spec_group {
	struct spec_at at;
	const char *name;
	struct spec_list match, sources;
	struct spec_list units, closure_of; /* patterns of units */
	struct spec_int max;
};
struct spec_layers {
	bool set;
	struct spec_int max, min_size, max_size;
	const char *strategy; /* NULL = "auto" */
	struct spec_group *groups;
	size_t n_groups, cap_groups;
	struct spec_list is_volatile; /* globs, or ids of sources */
	struct span pipeline;	      /* JSON: a list; empty = not said */
	const char *previous;	      /* an image whose plan is kept; NULL */
	enum spec_flag annotate;      /* layers say what they hold; unset = where they can */
};

struct spec {
	bool strict_name; /* capitals in the name are an error; no key says so */
	bool force; /* more layers than engines take are meant; no key says so */
	struct arena arena;
	struct spec_int version;
	const char *name, *tag;
	struct spec_list tags;
	bool tags_flagged; /* flags said the tags, which stand in place of those of the text */
	const char *platform;
	struct spec_base base;
	struct spec_time created, mtime;
	struct spec_owner owner;
	struct spec_config config;
	struct spec_pairs annotations, index_annotations;
	struct spec_source *sources;
	size_t n_sources, cap_sources;
	struct spec_rule *rules;
	size_t n_rules, cap_rules;
	const char *conflict; /* NULL = "error" */
	struct spec_layers layers;
	struct {
		bool set;
		const char *algorithm;
		struct spec_int level;
	} compression;
	struct {
		bool set;
		const char *created_by, *author;
		const char *comment; /* "components", "none"; NULL = the first */
	} history;
	const char *where; /* the text, for messages; NULL = flags alone */
	struct spec_at said[SPEC_KEYS_MAX]; /* of each key at the top, in the order of its table */
	/* Of what the spec names by relative paths: the folder of its file; "" = the current one. */
	const char *folder;
};

struct spec_define {
	const char *name, *value;
};

/**
 * The spec that @p text says, which came from @p where (a file's name, for messages). Comments and
 * commas behind the last element are fine. With @p expand it is read as if it said so itself.
 * USAGE with line and column for what is not.
 */
int spec_parse(struct span text, const char *where, bool expand, const struct spec_define *defines,
	       size_t n_defines, struct spec **ret, dray_error **err) MUST_CHECK;
/** An empty one, for flags. */
struct spec *spec_new(dray_error **err);
void spec_free(struct spec *s);
DEFINE_CLEANUP(struct spec, cleanup_spec_fn, spec_free)
#define cleanup_spec CLEANUP(cleanup_spec_fn)

/** What a flag of dray-build(1) says, without its dashes. Copied. USAGE. */
int spec_flag(struct spec *s, const char *name, const char *value, dray_error **err) MUST_CHECK;
/** May @p v be the number of a user or a group? USAGE. */
int spec_id(int64_t v, dray_error **err) MUST_CHECK;
/** "WHERE:LINE:COLUMN: " in front of the error, unless a flag said what is at @p at. Returns -1. */
int spec_ctx(const struct spec *s, struct spec_at at, dray_error **err);
/**
 * What no single key shows to be wrong. USAGE. Values of Env that are to be expanded are then in the
 * order in which they were given.
 */
int spec_check(struct spec *s, dray_error **err) MUST_CHECK;
/** The same spec, always written the same way: what is not said is left out. */
int spec_print(const struct spec *s, struct buf *ret, dray_error **err) MUST_CHECK;
