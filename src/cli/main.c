/* SPDX-License-Identifier: Apache-2.0
 *
 * For: one run of the program: argv, verb, answer, exit status.
 * Relies on: commands.c for the verbs; the library for all work.
 * Promises: an answer is written whole or replaced by one error; signals clean up.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/render.h"

/* The one global of the program: a signal handler can reach nothing else. */
static volatile sig_atomic_t caught_signal;

/* The first signal asks the work to stop; a second one is not asked to wait. */
static void on_signal(int signal)
{
	if (caught_signal) {
		dray_remove_temporaries();
		_exit(STATUS_SIGNAL + signal);
	}
	caught_signal = signal;
	dray_cancel();
}

static void catch_signals(void)
{
	/* No SA_RESTART: a read that waits has to look at the flag. */
	struct sigaction action = { .sa_handler = on_signal };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction old;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &action, NULL);
	/* A reader that left shows as EPIPE, also when it is a registry. */
	sigaction(SIGPIPE, &ignore, NULL);
	/* A file size limit shows as EFBIG, and then what was begun is removed. */
	sigaction(SIGXFSZ, &ignore, NULL);
}

/* A file must not become descriptor 0 to 2 and get our answer: closed ones have to fail. */
static void occupy_standard_fds(void)
{
	static const int wrong_way[] = { O_WRONLY, O_RDONLY, O_WRONLY };

	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", wrong_way[fd]) < 0)
			_exit(STATUS_SYSTEM);
	}
}

/* Before the options are understood: would the caller read JSON? */
static bool wants_json(const char *const *argv)
{
	for (; *argv && strcmp(*argv, "--") != 0; argv++) {
		if (strcmp(*argv, "--json") == 0)
			return true;
	}
	return false;
}

static int choose_verb(struct session *s, struct option_parser *p, const char *const *argv,
		       const char *name, dray_error **err)
{
	const struct command *c = command_find(name);
	const char *word;

	if (!c)
		return command_unknown(name, err);
	s->command = c;
	p->sets[0].features = c->features;
	if (c->options) {
		s->options = mem_zalloc(c->options_size);
		if (!s->options)
			return err_nomem(err);
		p->sets[1] = (struct option_set){ c->options, s->options, c->features };
	}
	if ((p->used & ~c->features) == 0)
		return 0;
	/* What stood before the verb does not belong to it: a second look says which. */
	p->argv = argv;
	return options_next(p, &word, err) < 0 ? -1 : 0;
}

static int parse(struct session *s, const char *const *argv, dray_error **err)
{
	struct option_parser p = { .argv = argv, .sets = { { global_options, &s->global, ~0U } } };
	const char *word;
	int rc;

	while ((rc = options_next(&p, &word, err)) > 0) {
		if (s->command)
			s->args[s->n_args++] = word;
		else if (choose_verb(s, &p, argv, word, err) < 0)
			return -1;
	}
	if (rc < 0 && !s->command)
		err_hint(err, "options of a verb stand behind it; 'dray help' lists the verbs");
	return rc;
}

static int check_args(const struct session *s, dray_error **err)
{
	const struct command *c = s->command;

	if (c->words && s->n_args > 0 && !choice_has(c->words, s->args[0])) {
		err_set(err, DRAY_ERR_USAGE, "expected %s behind %s", c->words, c->name);
		return err_hint(err, "dray help %s", c->name);
	}
	if (s->n_args >= c->min_args && s->n_args <= c->max_args)
		return 0;
	err_set(err, DRAY_ERR_USAGE, "wrong number of arguments (expected %s, got %zu)",
		*c->args ? c->args : "none", s->n_args);
	return err_hint(err, "dray help %s", c->name);
}

/* One that is not looked at would be missed by nobody but him who asked for it. */
static int check_outputs(const struct session *s, dray_error **err)
{
	if (s->global.outputs.n <= 1 || (s->command->features & FEATURE_OUTPUTS))
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "%s takes one -o", s->command->name);
}

static int name_outputs(struct session *s, dray_error **err)
{
	struct option_list *outs = &s->global.outputs;

	for (size_t i = 0; i < outs->n; i++)
		if (session_output(s, &outs->list[i], err) < 0)
			return -1;
	if (outs->n)
		s->global.output = outs->list[outs->n - 1];
	return 0;
}

static int run(struct session *s, const char *const *argv, dray_error **err)
{
	struct option_set own;

	if (parse(s, argv, err) < 0 || name_outputs(s, err) < 0)
		return -1;
	if (s->global.help)
		return help_show(s, s->command, err);
	if (s->global.version)
		return cmd_version.run(s, err);
	if (!s->command) {
		err_set(err, DRAY_ERR_USAGE, "no verb");
		return err_hint(err, "'dray help' lists the verbs");
	}
	own = (struct option_set){ s->command->options, s->options, s->command->features };
	if (options_check(&own, err) < 0 || check_outputs(s, err) < 0 || check_args(s, err) < 0)
		return -1;
	return s->command->run(s, err);
}

static void complain_json(struct session *s, const dray_error *e)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	cleanup_error dray_error *ignored = NULL;
	struct jsonw w;

	jsonw_init(&w, &out, &ignored);
	jsonw_object(&w);
	jsonw_key(&w, "error");
	render_error(&w, e);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return;
	buf_reset(&s->page.text);
	s->page.failed = false;
	page_json(&s->page, span_buf(&out));
	if (page_write(&s->page, STDOUT_FILENO, false, &ignored) < 0)
		return; /* the status says it */
}

/* Bytes that are not those of the image: on an engine's disk there is a way on. */
static void hint_salvage(const struct session *s, dray_error **err)
{
	static const char *const disks[] = { "docker-root:", "containers-storage:" };

	if (!s->command || !(s->command->features & FEATURE_SALVAGE) || s->global.salvage ||
	    (dray_error_kind(*err) != DRAY_ERR_CORRUPT && dray_error_kind(*err) != DRAY_ERR_FORMAT))
		return;
	for (size_t i = 0; i < s->n_args; i++)
		for (size_t k = 0; k < ARRAY_LEN(disks); k++)
			if (span_starts(span_str(s->args[i]), disks[k]))
				err_hint(err, "--salvage makes damaged layers anew of what is "
					      "left, with DiffIDs of their own");
}

/* An archive is written there by the library, which does not say so. */
static bool reader_left(const struct session *s)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	return s->stdout_broken || (poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP)));
}

/* Status of a failed run, told to whoever listens. */
static int fail(struct session *s, const dray_error *e, bool json)
{
	/* The reader has left: a pipe's quiet end. */
	if (dray_error_errno(e) == EPIPE && reader_left(s))
		return STATUS_SIGNAL + SIGPIPE;
	session_complain(s, e);
	if (json)
		complain_json(s, e);
	return caught_signal ? STATUS_SIGNAL + caught_signal : status_of(e, caught_signal);
}

static void session_clear(struct session *s)
{
	dray_context_free(s->ctx);
	progress_hide(&s->progress);
	progress_clear(&s->progress);
	page_clear(&s->page);
	outfile_clear(&s->out);
	arena_clear(&s->arena);
	mem_free(s->options);
	mem_free(s->args);
}

int main(int argc, char **argv)
{
	struct session s = { .global = { .retries = -1, .tls_verify = true }, .out = OUTFILE_INIT };
	const char *const *words = (const char *const *)(argc > 0 ? argv + 1 : argv);
	cleanup_error dray_error *err = NULL;
	int status;

	occupy_standard_fds();
	catch_signals();
#ifdef DRAY_FAULTS
	fault_arm_from_env();
#endif
	page_init(&s.page, STDOUT_FILENO);
	s.args = mem_alloc_array((size_t)argc + 1, sizeof(*s.args));
	status = s.args ? run(&s, words, &err) : err_nomem(&err);
	progress_hide(&s.progress);
	if (status >= 0 && session_answer(&s, &err) < 0)
		status = -1;
	if (status < 0)
		hint_salvage(&s, &err);
	if (status < 0)
		status = fail(&s, err, s.global.json || wants_json(words));
	err_clear(&err);
	/* Some file systems tell only now that the answer was lost. */
	if (io_close(STDOUT_FILENO, &err) < 0)
		status = fail(&s, err, false);
	session_clear(&s);
	return status;
}
