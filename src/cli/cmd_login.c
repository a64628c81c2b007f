/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "login" and "logout".
 * Relies on: dray_login(), dray_logout(); a terminal to ask on where the command line does not say.
 * Promises: a password is not echoed, not kept and never an argument; the terminal is left as it was.
 */
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"

#define ANSWER_MAX \
	16384 /* bytes of a user name or password; tokens of registries have some 4,000 */
#define SLICE_MS 200

DEFINE_CLEANUP(dray_names, cleanup_names_fn, dray_names_free)
#define cleanup_names CLEANUP(cleanup_names_fn)

static void free_secret(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	mem_free(*s);
}
#define cleanup_secret CLEANUP(free_secret)

struct login_options {
	const char *user;
	bool password_stdin;
};

static const struct option login_table[] = {
	{ "username", 'u', OPT_STRING, offsetof(struct login_options, user), "USER",
	  .help = "who logs in (default: asked on the terminal)" },
	{ "password-stdin", 0, OPT_FLAG, offsetof(struct login_options, password_stdin),
	  .help = "read the password from standard input" },
	{ 0 },
};

/* ---- asking ---- */

/* One byte, or 0 at the end; a signal ends the wait. */
static int64_t read_byte(char *ret, dray_error **err)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	do {
		if (cancel_check(err) < 0)
			return -1;
	} while (poll(&p, 1, SLICE_MS) <= 0);
	return io_read(STDIN_FILENO, ret, 1, err);
}

/* To the end of input, or with @p line to the end of the line; a line break at the end goes. */
static int read_answer(bool line, char text[ANSWER_MAX], dray_error **err)
{
	size_t len = 0;
	char c = 0;

	for (;;) {
		int64_t n = read_byte(&c, err);

		if (n < 0)
			return -1;
		if (n == 0 || (line && c == '\n'))
			break;
		if (c == '\0')
			return err_set(err, DRAY_ERR_USAGE, "a NUL byte in the answer");
		if (len + 1 == ANSWER_MAX)
			return err_set(err, DRAY_ERR_LIMIT, "more than %d bytes", ANSWER_MAX - 1);
		text[len++] = c;
	}
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	text[len] = '\0';
	return 0;
}

static int prompt(const char *question, bool line, char **ret, dray_error **err)
{
	char text[ANSWER_MAX];
	int rc = 0;

	if (question && io_write_all(STDERR_FILENO, span_str(question), err) < 0)
		return -1;
	rc = read_answer(line, text, err);
	*ret = rc < 0 ? NULL : mem_strdup(text);
	explicit_bzero(text, sizeof(text));
	return rc < 0 ? -1 : *ret ? 0 : err_nomem(err);
}

static int prompt_silently(const char *question, char **ret, dray_error **err)
{
	struct termios was, silent;
	int rc;

	if (tcgetattr(STDIN_FILENO, &was) < 0)
		return err_set(err, DRAY_ERR_USAGE, "the terminal cannot be kept silent");
	silent = was;
	silent.c_lflag &= (tcflag_t) ~(tcflag_t)ECHO;
	silent.c_lflag |= ECHONL;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	rc = prompt(question, true, ret, err);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
	return rc;
}

static int need_terminal(dray_error **err)
{
	if (isatty(STDIN_FILENO))
		return 0;
	err_set(err, DRAY_ERR_USAGE, "there is no terminal to ask on");
	return err_hint(err, "give --username USER --password-stdin");
}

/* ---- login ---- */

struct login {
	char *user, *password;
};

static int from_creds(const char *creds, struct login *ret, dray_error **err)
{
	const char *colon = strchr(creds, ':');

	if (!colon)
		return err_set(err, DRAY_ERR_USAGE, "--creds: expected USER:PASSWORD");
	ret->user = mem_strndup(creds, (size_t)(colon - creds));
	ret->password = mem_strdup(colon + 1);
	return ret->user && ret->password ? 0 : err_nomem(err);
}

static int find_user(const struct login_options *o, struct login *ret, dray_error **err)
{
	if (o->user) {
		ret->user = mem_strdup(o->user);
		return ret->user ? 0 : err_nomem(err);
	}
	if (o->password_stdin)
		return err_set(err, DRAY_ERR_USAGE, "--password-stdin needs --username");
	return need_terminal(err) < 0 ? -1 : prompt("Username: ", true, &ret->user, err);
}

static int find_login(const struct session *s, struct login *ret, dray_error **err)
{
	const struct login_options *o = s->options;

	if (s->global.creds && (o->user || o->password_stdin))
		return err_set(err, DRAY_ERR_USAGE,
			       "--creds says it all: no --username, no --password-stdin");
	if (s->global.creds)
		return from_creds(s->global.creds, ret, err);
	if (find_user(o, ret, err) < 0)
		return -1;
	if (o->password_stdin)
		return prompt(NULL, false, &ret->password, err);
	return need_terminal(err) < 0 ? -1 : prompt_silently("Password: ", &ret->password, err);
}

static int login_json(struct page *p, const dray_names *n, const char *user, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kstring(&w, "registry", dray_names_of(n));
	jsonw_kstring(&w, "user", user);
	jsonw_kstring(&w, "stored_in", dray_names_get(n, 0));
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return STATUS_OK;
}

static void tell(struct session *s, const dray_names *n, const char *user)
{
	const char *where = dray_names_get(n, 0);
	bool helper = span_starts(span_str(where), "docker-credential-");
	cleanup_free char *who = text_safe(span_str(user), 200);
	cleanup_free char *place = text_safe(span_str(where), 1000);

	session_note(s, "logged in to %s as %s; kept %s %s", dray_names_of(n), who ? who : "",
		     helper ? "by" : "unencrypted in", place ? place : "");
}

static int run_login(struct session *s, dray_error **err)
{
	cleanup_names dray_names *n = NULL;
	cleanup_secret char *password = NULL;
	cleanup_free char *user = NULL;
	struct login login = { 0 };
	int rc = find_login(s, &login, err);

	user = login.user;
	password = login.password;
	if (rc < 0 || !session_context(s, err) ||
	    dray_login(s->ctx, s->args[0], user, password, &n, err) < 0)
		return -1;
	if (s->global.json)
		return login_json(&s->page, n, user, err);
	tell(s, n, user);
	return STATUS_OK;
}

const struct command cmd_login = {
	.name = "login",
	.group = GROUP_REGISTRY,
	.summary = "try a login at a registry and keep it",
	.args = "HOST[/NAME]",
	.min_args = 1,
	.max_args = 1,
	.notes = "Logs in and, when the registry agrees, keeps the login where docker, podman and "
		 "skopeo find it too: in the file that knows the registry already, else in "
		 "docker's config.json, or with the credential helper that the file names. "
		 "--authfile names another file. With a NAME the login is for the repositories "
		 "below it alone, as podman has it, and kept in its auth.json.",
	.features = FEATURE_JSON,
	.options = login_table,
	.options_size = sizeof(struct login_options),
	.run = run_login,
};

/* ---- logout ---- */

static int logout_json(struct page *p, const dray_names *n, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kstring(&w, "registry", dray_names_of(n));
	jsonw_key(&w, "removed_from");
	jsonw_array(&w);
	for (size_t i = 0; i < dray_names_count(n); i++)
		jsonw_string(&w, dray_names_get(n, i));
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return STATUS_OK;
}

static int run_logout(struct session *s, dray_error **err)
{
	cleanup_names dray_names *n = NULL;

	if (!session_context(s, err) || dray_logout(s->ctx, s->args[0], &n, err) < 0)
		return -1;
	if (s->global.json)
		return logout_json(&s->page, n, err);
	for (size_t i = 0; i < dray_names_count(n); i++) {
		cleanup_free char *place = text_safe(span_str(dray_names_get(n, i)), 1000);

		session_note(s, "%s: login removed from %s", dray_names_of(n), place ? place : "");
	}
	return STATUS_OK;
}

const struct command cmd_logout = {
	.name = "logout",
	.group = GROUP_REGISTRY,
	.summary = "forget the login at a registry",
	.args = "HOST[/NAME]",
	.min_args = 1,
	.max_args = 1,
	.notes = "Removes the login from every file where it would be found, and from the "
		 "credential helpers that they name. With --authfile from that file only.",
	.features = FEATURE_JSON,
	.run = run_logout,
};
