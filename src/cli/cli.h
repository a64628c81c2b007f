/* SPDX-License-Identifier: Apache-2.0
 *
 * What the commands share: their table, one run of the program, exit statuses.
 */
#pragma once

#include <dray/dray.h>
#include "base/arena.h"
#include "base/io.h"
#include "cli/options.h"
#include "cli/page.h"
#include "cli/progress.h"

/** Exit statuses (dray(1) "EXIT STATUS"). */
enum status {
	STATUS_OK = 0,
	STATUS_NEGATIVE = 1, /* the answer is no: problems found, images differ */
	STATUS_USAGE = 2,
	STATUS_NOT_FOUND = 3,
	STATUS_DENIED = 4,
	STATUS_NETWORK = 5,
	STATUS_CORRUPT = 6,
	STATUS_SIGNATURE = 7,
	STATUS_UNSUPPORTED = 8,
	STATUS_SYSTEM = 9,
	STATUS_SIGNAL = 128, /* plus the signal's number */
};

/** Options that some commands share; a command lists those it takes. */
enum feature {
	FEATURE_JSON = 1,
	FEATURE_IMAGE = 2,   /* --image, --all */
	FEATURE_OUTPUT = 4,  /* --output */
	FEATURE_CLOBBER = 8, /* --no-clobber */
	FEATURE_PRODUCT = 16, /* --output is what the verb makes, its answer stays on stdout */
	FEATURE_SALVAGE = 32, /* --salvage */
	FEATURE_OUTPUTS = 64, /* --output more than once */
};

struct globals {
	int jobs;    /* 0 = usable CPUs */
	int retries; /* -1 = default */
	const char *tmpdir, *authfile, *creds, *cert_dir;
	struct option_list platforms;
	bool all_platforms, tls_verify, plain_http;
	int verbose;
	bool quiet;
	const char *progress;
	bool version, help;
	/* shared options, see enum feature */
	bool json, all, no_clobber, salvage;
	const char *image, *output;
	struct option_list outputs; /* several with FEATURE_OUTPUTS alone; the last is output */
};

struct session;

enum command_group { GROUP_LOOK, GROUP_UNDERSTAND, GROUP_MOVE, GROUP_LAYERS, GROUP_REGISTRY, GROUP_SELF, GROUPS };

struct command {
	const char *name;
	enum command_group group;
	const char *summary; /* one line */
	const char *args;    /* "ARCHIVE [REF]" */
	size_t min_args, max_args;
	const char *words;	/* its first argument is one of these "a|b|c"; NULL = any */
	enum complete complete; /* of its arguments */
	const char *notes;	/* paragraphs for --help */
	unsigned features;
	const char *output_help, *all_help; /* its words for shared options; NULL = the usual ones */
	const struct option *options; /* its own; NULL = none */
	size_t options_size;	      /* of the struct they fill; zeroed before */
	/** An exit status, or -1 with *err. What it puts on s->page goes to stdout. */
	int (*run)(struct session *s, dray_error **err);
};

struct session {
	const struct command *command; /* NULL before the verb was read */
	struct globals global;
	void *options;	   /* the command's own struct */
	const char **args; /* lent from argv */
	size_t n_args;
	bool no_cache;	   /* push, copy: --no-cache */
	dray_context *ctx; /* made by session_context() */
	struct progress progress;
	struct page page;
	struct arena arena;
	struct outfile out; /* --output, from the first piece of the answer on */
	bool stdout_broken; /* the answer could not be written there */
};

extern const struct option global_options[];
extern const struct command *const commands[]; /* NULL at the end */
/** NULL = no such verb. */
const struct command *command_find(const char *name);
int command_unknown(const char *name, dray_error **err);
/** What @p o, shared or its own, does for @p c; NULL = for the program. */
const char *command_help(const struct command *c, const struct option *o);

/** Words for output_help and all_help of several verbs. */
#define HELP_OUTPUT_IMAGE \
	"where the new image goes: an archive, oci:, docker://, docker-daemon:; needed"
#define HELP_OUTPUT_COPY "the destination; a bare name is a new archive"
#define HELP_ALL_ONE "all images; refused unless the place holds just one"


extern const struct command cmd_have;
extern const struct command cmd_images;
extern const struct command cmd_inspect;
extern const struct command cmd_digest;
extern const struct command cmd_files;
extern const struct command cmd_cat;
extern const struct command cmd_extract;
extern const struct command cmd_unpack;
extern const struct command cmd_explain;
extern const struct command cmd_blame;
extern const struct command cmd_why;
extern const struct command cmd_delta;
extern const struct command cmd_diff;
extern const struct command cmd_verify;
extern const struct command cmd_sign;
extern const struct command cmd_rootfs_id;
extern const struct command cmd_push;
extern const struct command cmd_copy;
extern const struct command cmd_pull;
extern const struct command cmd_save;
extern const struct command cmd_load;
extern const struct command cmd_sync;
extern const struct command cmd_normalize;
extern const struct command cmd_export;
extern const struct command cmd_build;
extern const struct command cmd_edit;
extern const struct command cmd_flatten;
extern const struct command cmd_squash;
extern const struct command cmd_split;
extern const struct command cmd_strip;
extern const struct command cmd_append;
extern const struct command cmd_rebase;
extern const struct command cmd_serve;
extern const struct command cmd_gc;
extern const struct command cmd_tags;
extern const struct command cmd_catalog;
extern const struct command cmd_manifest;
extern const struct command cmd_blob;
extern const struct command cmd_delete;
extern const struct command cmd_login;
extern const struct command cmd_logout;
extern const struct command cmd_version;
extern const struct command cmd_help;
extern const struct command cmd_completion;

/** The context of this run, made on first use; NULL with *err. Lent. */
dray_context *session_context(struct session *s, dray_error **err);
struct dray_select session_select(const struct session *s);
/** USAGE when @p ref would read an archive from a terminal. */
int session_check_input(const struct session *s, const char *ref, dray_error **err) MUST_CHECK;
/**
 * Write what is on the page now if it is much: for answers without end, of which nothing can fail
 * any more but writing and memory.
 */
int session_pour(struct session *s, dray_error **err) MUST_CHECK;
/** The rest of the page to its file, which appears now, or to stdout. */
int session_answer(struct session *s, dray_error **err) MUST_CHECK;
/** One line on stderr unless --quiet; @p fmt makes text that is safe for a terminal. */
void session_note(struct session *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/** The one line of a failure, and its hint, on stderr; also with --quiet. */
void session_complain(struct session *s, const dray_error *e);
/** One thing that failed while others go on, on stderr whatever was asked; @p safe for a terminal. */
void session_failure(struct session *s, const char *safe);
/** The warnings of a report on stderr, for people; JSON has them in the document. */
void session_warnings(struct session *s, const dray_report *r);
/**
 * An output that leads to what standard output is open on becomes "-": two descriptors of one file
 * would write over each other. *ref is lent by the session then.
 */
int session_output(struct session *s, const char **ref, dray_error **err) MUST_CHECK;
/** Whether @p ref means standard input or output. */
bool ref_is_stdio(const char *ref);

int status_of(const dray_error *err, int signal);

/** How to use @p c, or with NULL what verbs there are, as text or JSON; an exit status, -1. */
int help_show(struct session *s, const struct command *c, dray_error **err);

DEFINE_CLEANUP(dray_report, cleanup_report_fn, dray_report_free)
#define cleanup_report CLEANUP(cleanup_report_fn)
DEFINE_CLEANUP(dray_signatures, cleanup_signatures_fn, dray_signatures_free)
#define cleanup_signatures CLEANUP(cleanup_signatures_fn)
