/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      running docker-credential-NAME to get, store or erase a login.
 * Relies:   on PATH as docker does; on a helper that reads one line and answers with one JSON document.
 * Promises: no shell; at most LIMIT_HELPER_OUTPUT bytes and HELPER_MS; the process is gone when we return.
 */
#include "remote/credentials.h"

#include <poll.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/text.h"

#define HELPER_MS 30000
#define SLICE_MS 100
#define QUESTION_MAX 16384 /* bytes; a pipe holds them before anybody reads */

struct helper {
	struct process process;
	int out;
	int64_t deadline_ms;
};

/*
 * The question is in the pipe before the helper runs: it is far smaller than a pipe holds, so nobody can block. What
 * it says on its standard error is for its own log; a terminal is not the place.
 */
static int start(struct helper *h, const char *program, const char *verb, struct span question,
		 dray_error **err)
{
	const char *const argv[] = { program, verb, NULL };
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	int rc = -1;

	if (process_pipe(in, err) == 0 && process_pipe(out, err) == 0 &&
	    io_write_all(in[1], question, err) == 0 &&
	    io_write_all(in[1], SPAN_LIT("\n"), err) == 0)
		rc = process_start(
			&h->process, argv,
			&(struct process_fds){ .in = in[0], .out = out[1], .errors = -1 }, err);
	cleanup_fd_fn(&in[0]);
	cleanup_fd_fn(&in[1]);
	cleanup_fd_fn(&out[1]);
	h->out = out[0];
	h->deadline_ms = io_now_ms() + HELPER_MS;
	return rc;
}

static int wait_readable(struct helper *h, dray_error **err)
{
	for (;;) {
		struct pollfd p = { .fd = h->out, .events = POLLIN };
		int n = process_poll(&p, 1, SLICE_MS, err);

		if (n != 0)
			return n < 0 ? -1 : 0;
		if (io_now_ms() > h->deadline_ms)
			return err_set(err, DRAY_ERR_DENIED, "no answer within %d s",
				       HELPER_MS / 1000);
	}
}

static int read_answer(struct helper *h, struct buf *ret, dray_error **err)
{
	for (;;) {
		int64_t n;

		if (buf_reserve(ret, 1, err) < 0 || wait_readable(h, err) < 0)
			return -1;
		n = io_read(h->out, ret->data + ret->len, ret->cap - ret->len, err);
		if (n <= 0)
			return (int)n;
		ret->len += (size_t)n;
	}
}

static bool means_not_found(struct span answer)
{
	return memmem(answer.data, answer.len, "not found", 9) != NULL;
}

/* 1 = done, 0 = it knows nothing of that, -1. */
static int judge(int status, struct span answer, dray_error **err)
{
	cleanup_free char *said = NULL;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 1;
	if (answer.len && means_not_found(answer))
		return 0;
	said = text_safe(answer, 200);
	return err_set(err, DRAY_ERR_DENIED, "it failed%s%s", answer.len ? ": " : "",
		       said ? said : "");
}

static int ask(struct helper *h, struct buf *answer, dray_error **err)
{
	int rc = read_answer(h, answer, err);
	/* One that closed its output and will not end is not waited for. */
	int status = process_end(&h->process, rc < 0 ? 0 : h->deadline_ms);

	return rc < 0 ? rc : judge(status, span_buf(answer), err);
}

/* @p answer is the caller's to wipe. */
static int run(const char *name, const char *verb, struct span question, struct buf *answer,
	       dray_error **err)
{
	struct helper h = { .process = PROCESS_INIT, .out = -1 };
	cleanup_free char *program = mem_printf("docker-credential-%s", name);
	int rc;

	if (!program)
		return err_nomem(err);
	if (question.len > QUESTION_MAX)
		return err_set(err, DRAY_ERR_LIMIT, "a login of more than %d bytes", QUESTION_MAX);
	rc = start(&h, program, verb, question, err);
	if (rc == 0)
		rc = ask(&h, answer, err);
	cleanup_fd_fn(&h.out);
	return rc < 0 ? err_ctx(err, "credential helper %s", program) : rc;
}

static int check_server(const char *server, dray_error **err)
{
	for (const char *p = server; *p; p++) {
		if (*p <= ' ' || *p > '~')
			return err_set(err, DRAY_ERR_USAGE, "registry name with odd characters");
	}
	return 0;
}

int credentials_from_helper(const char *name, const char *server, struct credentials *ret,
			    dray_error **err)
{
	struct buf answer = BUF_INIT(LIMIT_HELPER_OUTPUT);
	int rc = check_server(server, err);

	if (rc == 0)
		rc = run(name, "get", span_str(server), &answer, err);
	if (rc > 0) {
		rc = credentials_from_answer(span_buf(&answer), ret, err);
		if (rc < 0)
			err_ctx(err, "credential helper docker-credential-%s", name);
	}
	buf_wipe(&answer);
	return rc;
}

static int write_login(struct buf *b, const char *server, const char *user, const char *secret,
		       dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, b, err);
	jsonw_object(&w);
	jsonw_kstring(&w, "ServerURL", server);
	jsonw_kstring(&w, "Username", user);
	jsonw_kstring(&w, "Secret", secret);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

int credentials_helper_store(const char *name, const char *server, const char *user,
			     const char *secret, dray_error **err)
{
	struct buf login = BUF_INIT(2 * QUESTION_MAX), answer = BUF_INIT(LIMIT_HELPER_OUTPUT);
	int rc = check_server(server, err);

	/* All the room at once: a buffer that grows would leave copies behind. */
	if (rc == 0)
		rc = buf_reserve(&login, 2 * QUESTION_MAX, err);
	if (rc == 0)
		rc = write_login(&login, server, user, secret, err);
	if (rc == 0)
		rc = run(name, "store", span_buf(&login), &answer, err);
	if (rc == 0)
		rc = err_set(err, DRAY_ERR_DENIED, "credential helper %s did not store the login",
			     name);
	buf_wipe(&login);
	buf_wipe(&answer);
	return rc < 0 ? -1 : 0;
}

int credentials_helper_erase(const char *name, const char *server, dray_error **err)
{
	struct buf answer = BUF_INIT(LIMIT_HELPER_OUTPUT);
	int rc = check_server(server, err);

	if (rc == 0)
		rc = run(name, "erase", span_str(server), &answer, err);
	buf_wipe(&answer);
	return rc;
}
