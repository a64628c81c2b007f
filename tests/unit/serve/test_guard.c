/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may do what: each kind of name, in each way that a server may ask for one.
 */
#include "torture.h"

#include <errno.h>
#include <time.h>

#include "serve/claim.h"
#include "serve/guard.h"
#include "serve/ticket.h"
#include "token_support.h"

#define HASH "$2y$04$iV8c0ImNh6eAtcvhdjVgwetb8u.E.EHR7.K8IBGMjglO35exeqX5."
#define ANN "Basic YW5uOnB3OjE="   /* ann:pw:1 */
#define WRONG "Basic YW5uOnB3OjI=" /* ann:pw:2 */
#define EMPTY "Basic Og=="	   /* : */
#define OWN "Bearer realm=\"https://r:5000/token\",service=\"dray\""
#define ELSEWHERE "Bearer realm=\"https://t/token\",service=\"r\""

static char *dir, *users, *key_file;
static int dir_fd;
static EVP_PKEY *key;

static char *put(const char *name, const char *text)
{
	char *path;
	int fd = openat(dir_fd, "new", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	assert_int_equal(renameat(dir_fd, "new", dir_fd, name), 0);
	assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
	return path;
}

static int begin(void **state)
{
	char *pem;

	(void)state;
	dir = temp_dir_make(&dir_fd);
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	pem = public_pem(key);
	users = put("users", "ann:" HASH "\n");
	key_file = put("key.pem", pem);
	free(pem);
	return 0;
}

static int end(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	free(users);
	free(key_file);
	temp_dir_remove(dir, dir_fd);
	return 0;
}

static struct guard *open_guard(bool passwords, bool anonymous)
{
	const char *keys[] = { key_file };
	const struct guard_options with_users = { .htpasswd = users, .anonymous_read = anonymous };
	const struct guard_options with_tokens = { .anonymous_read = anonymous,
						   .realm = "https://t/token",
						   .service = "r",
						   .keys = keys,
						   .n_keys = 1 };
	struct guard *g = NULL;
	dray_error *err = NULL;

	assert_ok(guard_open(passwords ? &with_users : &with_tokens, &g, &err), err);
	return g;
}

/* A field for a token that grants @p access, a JSON array. */
static char *granted(const char *access)
{
	char *payload = mem_printf("{\"aud\":\"r\",\"sub\":\"tom\",\"exp\":%lld,\"access\":%s}",
				   (long long)time(NULL) + 300, access);
	char *token = token_make(key, "{\"alg\":\"EdDSA\"}", payload);
	char *field = mem_printf("Bearer %s", token);

	mem_free(payload);
	mem_free(token);
	return field;
}

struct ask {
	enum guard_need need;
	const char *field;
	const char *user;      /* of a yes, "" = nobody's; NULL = no */
	const char *challenge; /* of a no */
};

static void ask(struct guard *g, const struct ask *row, size_t i)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	const struct guard_request q = { .need = row->need,
					 .repo = "a/b",
					 .authorization = row->field,
					 .origin = "https://r:5000" };
	struct guard_answer answer;
	cleanup_error dray_error *err = NULL;
	int rc = guard_check(g, &q, &a, &answer, &err);

	if (row->user) {
		if (rc < 0 || strcmp(answer.user ? answer.user : "", row->user) != 0)
			fail_msg("row %zu: %s", i, err ? dray_error_message(err) : "another user");
		return;
	}
	if (rc == 0)
		fail_msg("row %zu: yes", i);
	assert_int_equal(dray_error_http_status(err), 401);
	assert_string_equal(dray_error_registry_code(err), "UNAUTHORIZED");
	assert_string_equal(answer.challenge, row->challenge);
}

static void nobody_asked(void **state)
{
	const struct guard_options none = { 0 };
	const struct ask row = { GUARD_DELETE, NULL, "", NULL };
	struct guard *g = NULL;
	dray_error *err = NULL;

	(void)state;
	assert_ok(guard_open(&none, &g, &err), err);
	ask(g, &row, 0);
	assert_int_equal(guard_refresh(g, &err), 0);
	assert_false(guard_has_tokens(g));
	guard_free(g);
}

static void with_passwords(void **state)
{
	static const char basic[] = "Basic realm=\"dray\"";
	const struct ask rows[] = {
		{ GUARD_FREE, NULL, "", NULL },
		{ GUARD_FREE, WRONG, "", NULL },
		{ GUARD_ENTER, NULL, NULL, basic },
		{ GUARD_ENTER, ANN, "ann", NULL },
		{ GUARD_ENTER, WRONG, NULL, basic },
		{ GUARD_ENTER, EMPTY, NULL, basic },
		{ GUARD_PULL, NULL, NULL, basic },
		{ GUARD_PULL, ANN, "ann", NULL },
		{ GUARD_PUSH, ANN, "ann", NULL },
		{ GUARD_DELETE, ANN, "ann", NULL },
		{ GUARD_CATALOG, ANN, "ann", NULL },
		{ GUARD_CATALOG, NULL, NULL, basic },
		{ GUARD_OTHER, ANN, "ann", NULL },
		{ GUARD_OTHER, NULL, NULL, basic },
		{ GUARD_PULL, "Bearer x", NULL, basic },
		{ GUARD_PULL, "Digest x", NULL, basic },
		{ GUARD_PULL, "Basic YW5uOnB3OjE", NULL, basic }, /* no padding */
		{ GUARD_PULL, "YW5uOnB3OjE=", NULL, basic },
		{ GUARD_PULL, "bAsIc  YW5uOnB3OjE=", "ann", NULL },
	};
	struct guard *g = open_guard(true, false);

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ask(g, &rows[i], i);
	guard_free(g);
}

static void with_passwords_and_readers(void **state)
{
	const struct ask rows[] = {
		{ GUARD_ENTER, NULL, NULL, OWN },
		{ GUARD_ENTER, ANN, "ann", NULL },
		{ GUARD_PULL, NULL, "", NULL },
		{ GUARD_PULL, EMPTY, "", NULL },
		{ GUARD_PULL, ANN, "ann", NULL },
		{ GUARD_PULL, WRONG, NULL, OWN ",scope=\"repository:a/b:pull\"" },
		{ GUARD_CATALOG, NULL, "", NULL },
		{ GUARD_OTHER, NULL, NULL, OWN ",scope=\"registry:catalog:*\"" },
		{ GUARD_OTHER, EMPTY, NULL, OWN ",scope=\"registry:catalog:*\"" },
		{ GUARD_OTHER, ANN, "ann", NULL },
		{ GUARD_PUSH, NULL, NULL, OWN ",scope=\"repository:a/b:pull,push\"" },
		{ GUARD_PUSH, EMPTY, NULL, OWN ",scope=\"repository:a/b:pull,push\"" },
		{ GUARD_PUSH, ANN, "ann", NULL },
		{ GUARD_DELETE, NULL, NULL, OWN ",scope=\"repository:a/b:delete\"" },
		{ GUARD_PULL, "Bearer x", NULL,
		  OWN ",scope=\"repository:a/b:pull\",error=\"invalid_token\"" },
	};
	struct guard *g = open_guard(true, true);

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ask(g, &rows[i], i);
	guard_free(g);
}

static void with_tokens(void **state)
{
	char *none = granted("[]");
	char *pull = granted("[{\"type\":\"repository\",\"name\":\"a/b\",\"actions\":[\"pull\"]}]");
	char *push = granted(
		"[{\"type\":\"repository\",\"name\":\"a/b\",\"actions\":[\"pull\",\"push\"]}]");
	char *del = granted(
		"[{\"type\":\"repository\",\"name\":\"a/b\",\"actions\":[\"delete\"]}]");
	char *other = granted("[{\"type\":\"repository\",\"name\":\"a/c\",\"actions\":[\"*\"]}]");
	char *list = granted("[{\"type\":\"registry\",\"name\":\"catalog\",\"actions\":[\"*\"]}]");
	const struct ask rows[] = {
		{ GUARD_ENTER, NULL, NULL, ELSEWHERE },
		{ GUARD_ENTER, ANN, NULL, ELSEWHERE },
		{ GUARD_ENTER, "Bearer x", NULL, ELSEWHERE ",error=\"invalid_token\"" },
		{ GUARD_ENTER, none, "tom", NULL },
		{ GUARD_PULL, NULL, NULL, ELSEWHERE ",scope=\"repository:a/b:pull\"" },
		{ GUARD_PULL, none, NULL,
		  ELSEWHERE ",scope=\"repository:a/b:pull\",error=\"insufficient_scope\"" },
		{ GUARD_PULL, pull, "tom", NULL },
		{ GUARD_PULL, other, NULL,
		  ELSEWHERE ",scope=\"repository:a/b:pull\",error=\"insufficient_scope\"" },
		{ GUARD_PUSH, pull, NULL,
		  ELSEWHERE ",scope=\"repository:a/b:pull,push\",error=\"insufficient_scope\"" },
		{ GUARD_PUSH, push, "tom", NULL },
		{ GUARD_DELETE, push, NULL,
		  ELSEWHERE ",scope=\"repository:a/b:delete\",error=\"insufficient_scope\"" },
		{ GUARD_DELETE, del, "tom", NULL },
		{ GUARD_CATALOG, other, NULL,
		  ELSEWHERE ",scope=\"registry:catalog:*\",error=\"insufficient_scope\"" },
		{ GUARD_CATALOG, list, "tom", NULL },
		{ GUARD_OTHER, pull, NULL,
		  ELSEWHERE ",scope=\"registry:catalog:*\",error=\"insufficient_scope\"" },
		{ GUARD_OTHER, list, "tom", NULL },
	};
	struct guard *g = open_guard(false, false), *readers = open_guard(false, true);
	const struct ask other_reads = { GUARD_PULL, other, "tom", NULL };
	const struct ask nobody_reads = { GUARD_PULL, NULL, "", NULL };
	const struct ask nobody_counts = { GUARD_OTHER, NULL, NULL,
					   ELSEWHERE ",scope=\"registry:catalog:*\"" };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ask(g, &rows[i], i);
	ask(readers, &other_reads, 100);
	ask(readers, &nobody_reads, 101);
	ask(readers, &rows[8], 102);
	ask(readers, &nobody_counts, 103);
	guard_free(g);
	guard_free(readers);
	mem_free(none);
	mem_free(pull);
	mem_free(push);
	mem_free(del);
	mem_free(other);
	mem_free(list);
}

/* What a push takes from another repository has to be readable too. */
static void mounts(void **state)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	char *one = granted(
		"[{\"type\":\"repository\",\"name\":\"a/b\",\"actions\":[\"pull\",\"push\"]}]");
	char *both = granted(
		"[{\"type\":\"repository\",\"name\":\"a/b\",\"actions\":[\"pull\",\"push\"]},"
		"{\"type\":\"repository\",\"name\":\"c\",\"actions\":[\"pull\"]}]");
	struct guard *g = open_guard(false, false);
	struct guard_request q = { GUARD_PUSH, "a/b", "c", one, "" };
	struct guard_answer answer;
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(guard_check(g, &q, &a, &answer, &err), -1);
	assert_string_equal(answer.challenge,
			    ELSEWHERE ",scope=\"repository:a/b:pull,push repository:c:pull\","
				      "error=\"insufficient_scope\"");
	assert_err(err, DRAY_ERR_DENIED, "does not grant");
	q.authorization = both;
	assert_ok(guard_check(g, &q, &a, &answer, &err), err);
	guard_free(g);
	mem_free(one);
	mem_free(both);
}

static void options(void **state)
{
	const char *keys[] = { key_file }, *no_key[] = { users }, *absent[] = { "/absent" };
	const struct {
		struct guard_options o;
		enum dray_err_kind kind; /* 0 = taken */
	} rows[] = {
		{ { .realm = "https://t/", .service = "r", .keys = keys, .n_keys = 1 }, 0 },
		{ { .realm = "https://t/", .service = "r" }, DRAY_ERR_USAGE },
		{ { .realm = "https://t/", .keys = keys, .n_keys = 1 }, DRAY_ERR_USAGE },
		{ { .service = "r", .keys = keys, .n_keys = 1 }, DRAY_ERR_USAGE },
		{ { .issuer = "i" }, DRAY_ERR_USAGE },
		{ { .realm = "t", .service = "r", .keys = keys, .n_keys = 1 }, DRAY_ERR_USAGE },
		{ { .realm = "https://t/\"", .service = "r", .keys = keys, .n_keys = 1 },
		  DRAY_ERR_USAGE },
		{ { .realm = "https://t/", .service = "r\"", .keys = keys, .n_keys = 1 },
		  DRAY_ERR_USAGE },
		{ { .realm = "https://t/", .service = "", .keys = keys, .n_keys = 1 },
		  DRAY_ERR_USAGE },
		{ { .realm = "https://t/", .service = "r", .keys = no_key, .n_keys = 1 },
		  DRAY_ERR_FORMAT },
		{ { .realm = "https://t/", .service = "r", .keys = absent, .n_keys = 1 },
		  DRAY_ERR_NOT_FOUND },
		{ { .realm = "https://t/",
		    .service = "r",
		    .keys = keys,
		    .n_keys = 1,
		    .htpasswd = users },
		  DRAY_ERR_USAGE },
		{ { .anonymous_read = true }, DRAY_ERR_USAGE },
		{ { .htpasswd = users, .anonymous_read = true }, 0 },
		{ { .htpasswd = "/absent" }, DRAY_ERR_NOT_FOUND },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct guard *g = NULL;
		dray_error *err = NULL;
		int rc = guard_open(&rows[i].o, &g, &err);

		if ((rc < 0) != (rows[i].kind != 0))
			fail_msg("row %zu: %s", i, err ? dray_error_message(err) : "taken");
		if (rc < 0)
			assert_err_kind(err, rows[i].kind);
		guard_free(g);
	}
}

/* The key of a token server changes: who has a token by the old one asks again. */
static void another_key(void **state)
{
	EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	char *old = public_pem(key), *now = public_pem(other), *field = granted("[]");
	struct guard *g = open_guard(false, false);
	const struct ask yes = { GUARD_ENTER, field, "tom", NULL };
	const struct ask no = { GUARD_ENTER, field, NULL, ELSEWHERE ",error=\"invalid_token\"" };
	dray_error *err = NULL;

	(void)state;
	ask(g, &yes, 0);
	free(put("key.pem", now));
	assert_ok(guard_refresh(g, &err), err);
	ask(g, &no, 1);
	free(put("key.pem", "nonsense"));
	assert_int_equal(guard_refresh(g, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "key.pem");
	ask(g, &no, 2);
	free(put("key.pem", old));
	assert_ok(guard_refresh(g, &err), err);
	ask(g, &yes, 3);
	guard_free(g);
	free(old);
	free(now);
	mem_free(field);
	EVP_PKEY_free(other);
}

/* ---- tokens of our own ---- */

static void own_tokens(void **state)
{
	static const struct {
		const char *field, *user; /* NULL = no token */
	} rows[] = {
		{ ANN, "ann" }, { NULL, "" }, { EMPTY, "" }, { WRONG, NULL }, { "Bearer x", NULL },
	};
	struct guard *g = open_guard(true, true);

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		cleanup_buf struct buf json = BUF_INIT(65536);
		const struct guard_request q = { .authorization = rows[i].field,
						 .origin = "https://r:5000" };
		cleanup_error dray_error *err = NULL;
		struct guard_answer answer;
		char token[512];
		int rc = guard_token(g, &q, &a, &answer, &json, &err);

		assert_int_equal(rc < 0, rows[i].user == NULL);
		if (rc < 0)
			continue;
		assert_int_equal(buf_add_byte(&json, 0, NULL), 0);
		assert_int_equal(
			sscanf((const char *)json.data, "{\"token\":\"%400[0-9a-f.]", token), 1);
		char *field = mem_printf("Bearer %s", token);
		const struct ask pulls = { GUARD_PULL, field, rows[i].user, NULL };
		const struct ask pushes = { GUARD_PUSH, field, *rows[i].user ? rows[i].user : NULL,
					    OWN ",scope=\"repository:a/b:pull,push\"" };
		ask(g, &pulls, i);
		ask(g, &pushes, i);
		mem_free(field);
	}
	guard_free(g);
}

static void tickets(void **state)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	const uint8_t ours[TICKET_SECRET] = { 1 }, theirs[TICKET_SECRET] = { 2 };
	const char *user, *text = ticket_make(ours, "j\xc3\xbcrgen", 1000, &a, NULL);
	char *changed = arena_strdup(&a, text);

	(void)state;
	assert_int_equal(ticket_read(ours, span_str(text), 999, &a, &user, NULL), 1);
	assert_string_equal(user, "j\xc3\xbcrgen");
	assert_int_equal(ticket_read(ours, span_str(text), 1000, &a, &user, NULL), 0);
	assert_int_equal(ticket_read(theirs, span_str(text), 999, &a, &user, NULL), 0);
	for (size_t i = 0; i < strlen(text); i++) {
		changed[i] ^= 1;
		assert_int_equal(ticket_read(ours, span_str(changed), 999, &a, &user, NULL), 0);
		changed[i] ^= 1;
		assert_int_equal(ticket_read(ours, span_of(text, i), 999, &a, &user, NULL), 0);
	}
}

/* ---- the field ---- */

static void fields(void **state)
{
	static const struct {
		const char *field;
		enum claim_kind kind;
		const char *user, *password;
	} rows[] = {
		{ NULL, CLAIM_NONE, NULL, NULL },
		{ "", CLAIM_NONE, NULL, NULL },
		{ EMPTY, CLAIM_NONE, "", "" },
		{ ANN, CLAIM_BASIC, "ann", "pw:1" },
		{ "Basic OnB3", CLAIM_BASIC, "", "pw" },
		{ "Basic YW5uOg==", CLAIM_BASIC, "ann", "" },
		{ "Basic", CLAIM_OTHER, NULL, NULL },
		{ "Basic ", CLAIM_OTHER, NULL, NULL },
		{ "Basic YW5u", CLAIM_OTHER, NULL, NULL },     /* no colon */
		{ "Basic YW5uOgBw", CLAIM_OTHER, NULL, NULL }, /* a NUL in the password */
		{ "Basic YW5uOnB3OjE= x", CLAIM_OTHER, NULL, NULL },
		{ "Basic\tYW5uOnB3OjE=", CLAIM_OTHER, NULL, NULL },
		{ "Basicx YW5uOnB3OjE=", CLAIM_OTHER, NULL, NULL },
		{ "bearer abc", CLAIM_BEARER, NULL, NULL },
		{ "Bearer", CLAIM_OTHER, NULL, NULL },
		{ "Negotiate abc", CLAIM_OTHER, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_claim struct claim c = { 0 };

		assert_int_equal(claim_read(rows[i].field, &c, NULL), 0);
		if (c.kind != rows[i].kind)
			fail_msg("%s: %d", rows[i].field, (int)c.kind);
		if (c.kind != CLAIM_BASIC)
			continue;
		assert_string_equal(c.user, rows[i].user);
		assert_string_equal(c.password, rows[i].password);
	}
}

static int check_once(void *arg, dray_error **err)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	cleanup_buf struct buf json = BUF_INIT(65536);
	const struct guard_request q = { GUARD_PUSH, "a/b", NULL, ANN, "https://r" };
	struct guard_answer answer;

	if (guard_check(arg, &q, &a, &answer, err) < 0)
		return -1;
	return guard_token(arg, &q, &a, &answer, &json, err);
}

static int open_once(void *arg, dray_error **err)
{
	struct guard *g = NULL;
	const char *keys[] = { key_file };
	const struct guard_options o = {
		.realm = "https://t/", .service = "r", .keys = keys, .n_keys = 1
	};
	int rc = guard_open(&o, &g, err);

	(void)arg;
	guard_free(g);
	return rc;
}

static void tortured(void **state)
{
	struct guard *g = open_guard(true, true);

	(void)state;
	torture_alloc(check_once, g);
	torture_alloc(open_once, NULL);
	torture_io(open_once, NULL, EIO, NULL);
	guard_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_asked),
		cmocka_unit_test(with_passwords),
		cmocka_unit_test(with_passwords_and_readers),
		cmocka_unit_test(with_tokens),
		cmocka_unit_test(mounts),
		cmocka_unit_test(options),
		cmocka_unit_test(another_key),
		cmocka_unit_test(own_tokens),
		cmocka_unit_test(tickets),
		cmocka_unit_test(fields),
		cmocka_unit_test(tortured),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
