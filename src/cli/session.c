/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what the commands ask of a run: its context, notes on stderr, statuses.
 * Relies on: the library for a context; callbacks come one at a time.
 * Promises: stderr lines are whole, safe for a terminal and never between bars.
 */
#include "cli/cli.h"

#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"

#define POUR_AT (1 << 20) /* bytes of an answer that are kept before they are written */

#define NOTE_MAX (64 * 1024) /* bytes of one line */

static void write_note(struct session *s, const char *before, const char *text)
{
	cleanup_free char *line = mem_printf("dray: %s%s\n", before, text);
	cleanup_error dray_error *ignored = NULL;

	progress_hide(&s->progress);
	if (line && io_write_all(STDERR_FILENO, span_str(line), &ignored) < 0)
		return; /* there is nobody left to tell */
}

void session_note(struct session *s, const char *fmt, ...)
{
	va_list args;

	if (s->global.quiet)
		return;
	va_start(args, fmt);
	cleanup_free char *text = mem_vprintf(fmt, args);
	va_end(args);
	if (text)
		write_note(s, "", text);
}

void session_complain(struct session *s, const dray_error *e)
{
	const char *verb = s->command ? s->command->name : NULL;
	cleanup_free char *text = text_safe(span_str(dray_error_message(e)), 16 * 1024);
	cleanup_free char *hint = text_safe(span_str(dray_error_hint(e)), 16 * 1024);
	cleanup_free char *line = mem_printf("dray: %s%s%s\n%s%s%s", verb ? verb : "",
					     verb ? ": " : "", text ? text : "out of memory",
					     hint && *hint ? "hint: " : "", hint ? hint : "",
					     hint && *hint ? "\n" : "");
	cleanup_error dray_error *ignored = NULL;

	progress_hide(&s->progress);
	if (line && io_write_all(STDERR_FILENO, span_str(line), &ignored) < 0)
		return; /* there is nobody left to tell */
}

void session_failure(struct session *s, const char *safe)
{
	cleanup_free char *before = mem_printf("%s: ", s->command->name);

	write_note(s, before ? before : "", safe);
}

void session_warnings(struct session *s, const dray_report *r)
{
	if (s->global.json || s->global.quiet)
		return;
	for (size_t i = 0; i < dray_report_warnings(r); i++) {
		const struct dray_finding *f = dray_report_warning(r, i);
		cleanup_free char *raw = mem_printf("%s%s%s", f->where ? f->where : "",
						    f->where ? ": " : "", f->message);
		cleanup_free char *safe = raw ? text_safe(span_str(raw), NOTE_MAX) : NULL;
		if (safe)
			write_note(s, "warning: ", safe);
	}
}

static void on_log(void *arg, enum dray_log_level level, const char *line)
{
	struct session *s = arg;

	if (level == DRAY_LOG_WARNING ? s->global.quiet : s->global.verbose < (int)level)
		return;
	write_note(s, level == DRAY_LOG_WARNING ? "warning: " : "", line);
}

static void on_progress(void *arg, const struct dray_progress *e)
{
	struct session *s = arg;

	progress_event(&s->progress, e, io_now_ms());
}

dray_context *session_context(struct session *s, dray_error **err)
{
	const struct globals *g = &s->global;
	struct dray_context_options o = DRAY_CONTEXT_OPTIONS_INIT;

	if (s->ctx)
		return s->ctx;
	o.jobs = g->jobs;
	o.tmpdir = g->tmpdir;
	o.platform = g->platforms.n == 1 ? g->platforms.list[0] : NULL;
	o.platforms = g->platforms.n > 1 ? g->platforms.list : NULL;
	o.n_platforms = g->platforms.n > 1 ? g->platforms.n : 0;
	o.all_platforms = g->all_platforms;
	o.creds = g->creds;
	o.authfile = g->authfile;
	o.cert_dir = g->cert_dir;
	o.tls_skip_verify = !g->tls_verify;
	o.plain_http = g->plain_http;
	o.retries = g->retries;
	o.no_cache = s->no_cache;
	o.salvage = g->salvage;
	o.log = on_log;
	o.progress = on_progress;
	o.arg = s;
	progress_init(&s->progress, g->progress, g->quiet, g->verbose > 0);
	return dray_context_new(&o, &s->ctx, err) < 0 ? NULL : s->ctx;
}

struct dray_select session_select(const struct session *s)
{
	struct dray_select select = DRAY_SELECT_INIT;

	select.image = s->global.image;
	select.all = s->global.all;
	return select;
}

/* Of a place that is a file of the kind that is named: where its path begins. */
static size_t archive_prefix(const char *ref)
{
	static const char *const prefixes[] = { "docker-archive:", "oci-archive:" };

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (span_starts(span_str(ref), prefixes[i]))
			return strlen(prefixes[i]);
	return 0;
}

bool ref_is_stdio(const char *ref)
{
	size_t skip = archive_prefix(ref);

	if (!skip)
		return strcmp(ref, "-") == 0;
	ref += skip;
	return ref[0] == '-' && (!ref[1] || ref[1] == ':' || ref[1] == '@');
}

/* A regular file's own name is no way to a descriptor: its file is replaced. */
static bool names_descriptor(const char *path)
{
	struct span s = span_str(path);

	return span_starts(s, "/dev/std") || span_starts(s, "/dev/fd/") || span_starts(s, "/proc/");
}

/* Another name of standard output, of its pipe or its terminal. */
static bool is_stdout(const char *path)
{
	struct stat st, out;

	if (io_fstat(STDOUT_FILENO, &out, NULL) < 0 ||
	    io_fstatat(AT_FDCWD, path, 0, &st, NULL) < 0 || st.st_dev != out.st_dev ||
	    st.st_ino != out.st_ino || S_ISDIR(st.st_mode))
		return false;
	if (S_ISCHR(st.st_mode)) /* /dev/null takes both without mixing them */
		return isatty(STDOUT_FILENO);
	return !S_ISREG(st.st_mode) || names_descriptor(path);
}

int session_output(struct session *s, const char **ref, dray_error **err)
{
	size_t skip = archive_prefix(*ref);
	const char *path = *ref + skip;

	for (size_t end = strlen(path); end > 0; end--) {
		const char *head;

		if (path[end] && (!skip || !strchr(":@", path[end])))
			continue;
		head = arena_strndup(&s->arena, path, end);
		if (!head)
			return err_nomem(err);
		if (!is_stdout(head))
			continue;
		*ref = arena_printf(&s->arena, "%.*s-%s", (int)skip, *ref, path + end);
		return *ref ? 0 : err_nomem(err);
	}
	return 0;
}

int session_check_input(const struct session *s, const char *ref, dray_error **err)
{
	if (!ref_is_stdio(ref) || !isatty(STDIN_FILENO))
		return 0;
	err_set(err, DRAY_ERR_USAGE,
		"'-' reads an archive from standard input, which is a terminal");
	return err_hint(err, "docker save IMAGE | dray %s - ...", s->command->name);
}

/* Does the answer go to a file? Then it appears there as a whole. */
static bool to_file(const struct session *s)
{
	bool product = s->command && (s->command->features & FEATURE_PRODUCT);

	return s->global.output && !product && strcmp(s->global.output, "-") != 0;
}

static int begin_output(struct session *s, dray_error **err)
{
	if (s->out.fd >= 0)
		return 0;
	if (outfile_begin(&s->out, AT_FDCWD, s->global.output, s->global.no_clobber, err) < 0)
		return -1;
	outfile_tidy(&s->out);
	return 0;
}

/* What is on the page, to its file or to stdout; the page is empty then. */
static int pour(struct session *s, dray_error **err)
{
	if (!to_file(s)) {
		if (page_write(&s->page, STDOUT_FILENO, isatty(STDOUT_FILENO), err) < 0) {
			s->stdout_broken = true;
			return err_ctx(err, "standard output");
		}
	} else if (begin_output(s, err) < 0 || page_write(&s->page, s->out.fd, false, err) < 0) {
		return -1;
	}
	buf_reset(&s->page.text);
	return 0;
}

int session_pour(struct session *s, dray_error **err)
{
	if (s->page.text.len < POUR_AT)
		return 0;
	progress_hide(&s->progress);
	return pour(s, err);
}

int session_answer(struct session *s, dray_error **err)
{
	if (pour(s, err) < 0)
		return -1;
	return to_file(s) ? outfile_commit(&s->out, err) : 0;
}

int status_of(const dray_error *err, int signal)
{
	static const enum status map[] = {
		[DRAY_ERR_USAGE] = STATUS_USAGE,
		[DRAY_ERR_NOT_FOUND] = STATUS_NOT_FOUND,
		[DRAY_ERR_DENIED] = STATUS_DENIED,
		[DRAY_ERR_CORRUPT] = STATUS_CORRUPT,
		[DRAY_ERR_FORMAT] = STATUS_CORRUPT,
		[DRAY_ERR_UNSUPPORTED] = STATUS_UNSUPPORTED,
		[DRAY_ERR_LIMIT] = STATUS_CORRUPT,
		[DRAY_ERR_NETWORK] = STATUS_NETWORK,
		[DRAY_ERR_SYSTEM] = STATUS_SYSTEM,
		[DRAY_ERR_NOMEM] = STATUS_SYSTEM,
		[DRAY_ERR_SIGNATURE] = STATUS_SIGNATURE,
	};
	enum dray_err_kind kind = dray_error_kind(err);

	if (kind == DRAY_ERR_CANCELLED)
		return STATUS_SIGNAL + (signal ? signal : 2);
	return kind < ARRAY_LEN(map) ? (int)map[kind] : STATUS_SYSTEM;
}
