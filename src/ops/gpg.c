/* SPDX-License-Identifier: Apache-2.0
 *
 * For: running gpg: how it is called, how bytes go to and fro.
 * Relies on: base/process.h; gpg 2.1 or later for special file names.
 * Promises: gpg never waits for us to read while we wait for it to; no descriptor is left, no process either.
 */
#include "ops/gpg.h"

#include <errno.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"

#define SLICE_MS 200
#define PATIENCE_MS 120000 /* gpg checks a signature in milliseconds; a loaded machine in seconds */
#define SHOWN_TEXT 300
#define NO_HOME "/dev/null/none" /* cannot exist, so nothing is read there nor written */
#define FD_TEXT 32

struct args {
	const char *v[GPG_ARGS];
	size_t n;
};

static void add(struct args *a, const char *word)
{
	if (a->n + 1 < GPG_ARGS)
		a->v[a->n++] = word;
}

static void add_all(struct args *a, const char *const *words)
{
	for (; *words; words++)
		add(a, *words);
}

static void add_option(struct args *a, const char *name, const char *value)
{
	if (!value)
		return;
	add(a, name);
	add(a, value);
}

/* ---- starting ---- */

static void close_pair(int pair[2])
{
	cleanup_fd_fn(&pair[0]);
	cleanup_fd_fn(&pair[1]);
}

/* The pairs: data, status, out, errors; [0] is read from, [1] written to. */
#define PAIRS 4
static int make_pairs(int pair[PAIRS][2], dray_error **err)
{
	if (process_socket(pair[0], err) < 0)
		return -1;
	for (int i = 1; i < PAIRS; i++)
		if (process_pipe(pair[i], err) < 0)
			return -1;
	return 0;
}

static int run(struct gpg *g, struct args *a, int pair[PAIRS][2], const int *keep, size_t n_keep,
	       dray_error **err)
{
	struct process_fds fds = { .in = pair[0][0],
				   .out = pair[2][1],
				   .errors = pair[3][1],
				   .keep = keep,
				   .n_keep = n_keep };
	cleanup_error dray_error *why = NULL;

	if (process_start(&g->process, a->v, &fds, &why) < 0) {
		if (dray_error_errno(why) != ENOENT) {
			if (err)
				*err = steal_pointer(&why);
			return -1;
		}
		err_set(err, DRAY_ERR_UNSUPPORTED, "the program gpg is not installed");
		return err_hint(err, "signatures are made and checked by GnuPG; its package is "
				     "called gnupg or gpg");
	}
	g->data = steal_fd(&pair[0][1]);
	g->status = steal_fd(&pair[1][0]);
	g->out = steal_fd(&pair[2][0]);
	g->errors = steal_fd(&pair[3][0]);
	return 0;
}

/*
 * @p a ends with the command and what belongs to it; @p keep has room for the status
 * pipe behind its n. "--status-fd" comes first, its number is known only here.
 */
static int start(struct gpg *g, const struct args *tail, int *keep, size_t n_keep, dray_error **err)
{
	int pair[PAIRS][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
	struct args a = { .n = 0 };
	char number[FD_TEXT];
	int rc = make_pairs(pair, err);

	if (rc == 0) {
		snprintf(number, sizeof(number), "%d", pair[1][1]);
		keep[n_keep++] = pair[1][1];
		add_all(&a, (const char *const[]){ "gpg", "--batch", "--no-tty", "--status-fd",
						   number, NULL });
		add_all(&a, tail->v);
		a.v[a.n] = NULL;
		rc = run(g, &a, pair, keep, n_keep, err);
	}
	for (int i = 0; i < PAIRS; i++)
		close_pair(pair[i]);
	return rc;
}

static int check_words(const char *what, const char *word, dray_error **err)
{
	if (word && (!*word || *word == '-'))
		return err_set(err, DRAY_ERR_USAGE, "%s: '%s' is not one", what, word);
	return 0;
}

int gpg_start_sign(struct gpg *g, const struct gpg_sign_options *o, dray_error **err)
{
	struct args a = { .n = 0 };
	int keep[1];

	if (check_words("a key to sign with", o->key, err) < 0 ||
	    check_words("a folder of gpg", o->homedir, err) < 0 ||
	    check_words("a file with a passphrase", o->passphrase_file, err) < 0)
		return -1;
	g->patience_ms = INT64_MAX;
	add_option(&a, "--homedir", o->homedir);
	add_option(&a, "--local-user", o->key);
	if (o->passphrase_file)
		add_all(&a, (const char *const[]){ "--pinentry-mode", "loopback",
						   "--passphrase-file", o->passphrase_file, NULL });
	/* Options of the user's gpg.conf that would make something else of it are undone. */
	add_all(&a, (const char *const[]){ o->armor ? "--armor" : "--no-armor", "--no-textmode",
					   "--output", "-", "--detach-sign", NULL });
	return start(g, &a, keep, 0, err);
}

/* Nothing of the user's gpg: no options, no keys, no trust; and no files at all. */
static void add_isolation(struct args *a, const char *keyring)
{
	add_all(a, (const char *const[]){ "--homedir", NO_HOME, "--no-options", "--lock-never",
					  "--no-default-keyring", "--keyring", keyring,
					  "--trust-model", "always", "--no-auto-check-trustdb",
					  NULL });
}

int gpg_start_verify(struct gpg *g, struct span signature, const struct span *keyring,
		     const char *homedir, dray_error **err)
{
	cleanup_fd int sig_fd = process_memory(signature, err);
	cleanup_fd int key_fd = -1;
	char sig_name[FD_TEXT], key_name[FD_TEXT];
	struct args a = { .n = 0 };
	int keep[3];
	size_t n = 0;

	g->patience_ms = PATIENCE_MS;
	if (sig_fd < 0 || check_words("a folder of gpg", homedir, err) < 0)
		return -1;
	keep[n++] = sig_fd;
	if (keyring) {
		key_fd = process_memory(*keyring, err);
		if (key_fd < 0)
			return -1;
		keep[n++] = key_fd;
		snprintf(key_name, sizeof(key_name), "/proc/self/fd/%d", key_fd);
		add_isolation(&a, key_name);
	} else {
		add_option(&a, "--homedir", homedir);
	}
	snprintf(sig_name, sizeof(sig_name), "-&%d", sig_fd);
	add_all(&a, (const char *const[]){ "--no-autostart", "--disable-dirmngr",
					   "--no-auto-key-retrieve", "--enable-special-filenames",
					   "--verify", "--", sig_name, "-", NULL });
	return start(g, &a, keep, n, err);
}

/* ---- talking ---- */

static int hear_status(struct gpg *g, dray_error **err)
{
	cleanup_buf struct buf piece = BUF_INIT(LIMIT_GPG_LINE);
	int rc = process_gather(g->status, &piece, err);

	return rc > 0 && gpg_status_feed(&g->said, span_buf(&piece), err) < 0 ? -1 : rc;
}

static int hear_signature(struct gpg *g, dray_error **err)
{
	if (g->signature.len == g->signature.max)
		return err_set(err, DRAY_ERR_LIMIT,
			       "gpg wrote more than a signature "
			       "(LIMIT_SIGNATURE)");
	return process_gather(g->out, &g->signature, err);
}

static int hear_text(struct gpg *g, dray_error **err)
{
	return process_gather(g->errors, &g->text, err);
}

/* Close what has ended. */
static int hear(struct gpg *g, int *fd, const struct pollfd *ready,
		int (*take)(struct gpg *g, dray_error **err), dray_error **err)
{
	int rc = ready->revents ? take(g, err) : 1;

	if (rc == 0) {
		cleanup_fd_fn(fd);
		*fd = -1;
	}
	return rc < 0 ? -1 : 0;
}

/*
 * One wait for whatever comes first: gpg has something to say, or takes data again (only
 * when @p sending). *ret_sendable tells the latter. How many descriptors were ready.
 */
static int turn(struct gpg *g, bool sending, bool *ret_sendable, dray_error **err)
{
	struct pollfd p[] = {
		{ .fd = sending ? g->data : -1, .events = POLLOUT },
		{ .fd = g->status, .events = POLLIN },
		{ .fd = g->out, .events = POLLIN },
		{ .fd = g->errors, .events = POLLIN },
	};
	int n = process_poll(p, ARRAY_LEN(p), SLICE_MS, err);

	if (n < 0 || hear(g, &g->status, &p[1], hear_status, err) < 0 ||
	    hear(g, &g->out, &p[2], hear_signature, err) < 0 ||
	    hear(g, &g->errors, &p[3], hear_text, err) < 0)
		return -1;
	*ret_sendable = p[0].revents != 0;
	return n;
}

static int too_slow(int64_t since_ms, int64_t patience_ms, dray_error **err)
{
	if (patience_ms == INT64_MAX || io_now_ms() - since_ms <= patience_ms)
		return 0;
	return err_set(err, DRAY_ERR_SYSTEM, "gpg does not move for %d s",
		       (int)(patience_ms / 1000));
}

struct gpg_sink {
	struct sink base;
	struct gpg *g;
};

static int sink_give(struct sink *k, struct span bytes, dray_error **err)
{
	struct gpg *g = ((struct gpg_sink *)k)->g;
	int64_t since = io_now_ms();

	while (bytes.len) {
		bool sendable = false;
		int n = turn(g, true, &sendable, err);
		int64_t sent;

		if (n < 0 || (n == 0 && too_slow(since, g->patience_ms, err) < 0))
			return -1;
		if (!sendable)
			continue;
		sent = process_feed(g->data, bytes, &g->deaf, err);
		if (sent < 0)
			return -1;
		if (g->deaf)
			return err_set(err, DRAY_ERR_SIGNATURE, "gpg stopped reading");
		bytes = span_from(bytes, (size_t)sent);
		since = io_now_ms();
	}
	return 0;
}

static void sink_drop(struct sink *k)
{
	mem_free(k);
}

struct sink *gpg_sink(struct gpg *g, dray_error **err)
{
	static const struct sink_ops ops = { .write = sink_give, .free = sink_drop };
	struct gpg_sink *k = mem_zalloc(sizeof(*k));

	if (!k) {
		err_nomem(err);
		return NULL;
	}
	k->base.ops = &ops;
	k->g = g;
	return &k->base;
}

/* ---- ending ---- */

int gpg_end(struct gpg *g, bool *ret_exited_well, dray_error **err)
{
	int64_t since = io_now_ms();
	int status;

	cleanup_fd_fn(&g->data);
	g->data = -1;
	while (g->status >= 0 || g->out >= 0 || g->errors >= 0) {
		bool unused;
		int n = turn(g, false, &unused, err);

		if (n < 0 || (n == 0 && too_slow(since, g->patience_ms, err) < 0))
			return -1;
		if (n > 0)
			since = io_now_ms();
		/* What it left running, an agent, may hold the pipes open for good. */
		else if (process_exited(&g->process))
			break;
	}
	gpg_status_end(&g->said);
	status = process_end(&g->process, io_now_ms() + PATIENCE_MS);
	*ret_exited_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return 0;
}

char *gpg_text(const struct gpg *g)
{
	cleanup_buf struct buf line = BUF_INIT(2 * LIMIT_GPG_SAID);
	struct span text = span_buf(&g->text);

	while (text.len && text.data[text.len - 1] == '\n')
		text.len--;
	for (size_t i = 0; i < text.len; i++) {
		bool end = text.data[i] == '\n';

		if (buf_add(&line, end ? SPAN_LIT("; ") : span_of(text.data + i, 1), NULL) < 0)
			return NULL;
	}
	return text_safe(span_buf(&line), SHOWN_TEXT);
}

void gpg_clear(struct gpg *g)
{
	cleanup_fd_fn(&g->data);
	cleanup_fd_fn(&g->status);
	cleanup_fd_fn(&g->out);
	cleanup_fd_fn(&g->errors);
	process_clear(&g->process);
	gpg_status_clear(&g->said);
	buf_clear(&g->signature);
	buf_clear(&g->text);
	*g = GPG_INIT;
}
