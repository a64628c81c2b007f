/* SPDX-License-Identifier: Apache-2.0
 *
 * Users in a file, and their passwords. The hashes are htpasswd's ($2y$) and libxcrypt's.
 */
#include "torture.h"

#include <errno.h>
#include <sys/resource.h>

#include "flow/pool.h"
#include "serve/bcrypt.h"
#include "serve/htpasswd.h"

#define PW1_Y "$2y$04$iV8c0ImNh6eAtcvhdjVgwetb8u.E.EHR7.K8IBGMjglO35exeqX5."
#define PW1_A "$2a$04$abcdefghijklmnopqrstuuGXm2485ST/eq2F7gOglrUOaHHLqZoua"
#define PW1_B "$2b$04$abcdefghijklmnopqrstuuGXm2485ST/eq2F7gOglrUOaHHLqZoua"
#define X_Y "$2y$04$Y17W6kS7fw1JHykJtuMdT.BV00isrvdrDtisfl6/hILcN.ouaSfLG"
#define PW1_SLOW "$2y$10$pgWFo5CBYjH8PHhJmMRZTePAXTrXb/GXqvR5v2vsPYPUmzLbIusYy"
#define ANN "ann:" PW1_Y "\n"
#define BOB "bob:" X_Y "\n"

struct place {
	int fd;
	char *dir;
	char *path;
};

static int begin(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	p->dir = temp_dir_make(&p->fd);
	assert_true(asprintf(&p->path, "%s/users", p->dir) > 0);
	*state = p;
	return 0;
}

static int end(void **state)
{
	struct place *p = *state;

	temp_dir_remove(p->dir, p->fd);
	free(p->path);
	free(p);
	return 0;
}

/* By rename, as who does not want half a file to be read. */
static void put(const struct place *p, const char *text)
{
	int fd = openat(p->fd, "new", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	assert_int_equal(renameat(p->fd, "new", p->fd, "users"), 0);
}

static void hashes(void **state)
{
	static const struct {
		const char *hash;
		bool valid;
	} rows[] = {
		{ PW1_Y, true },
		{ PW1_A, true },
		{ PW1_B, true },
		{ "$2x$04$abcdefghijklmnopqrstuuGXm2485ST/eq2F7gOglrUOaHHLqZoua", false },
		{ "$2y$03$abcdefghijklmnopqrstuuGXm2485ST/eq2F7gOglrUOaHHLqZoua", false },
		{ "$2y$0x$abcdefghijklmnopqrstuuGXm2485ST/eq2F7gOglrUOaHHLqZoua", false },
		{ "$2y$41$abcdefghijklmnopqrstuuGXm2485ST/eq2F7gOglrUOaHHLqZoua", false },
		{ "$2y$04$abcdefghijklmnopqrstuuGXm2485ST/eq2F7gOglrUOaHHLqZou", false },
		{ "$2y$04$abcdefghijklmnopqrstuuGXm2485ST/eq2F7gOglrUOaHHLqZouaa", false },
		{ "$2y$04$abcdefghijklmnopqrst:uGXm2485ST/eq2F7gOglrUOaHHLqZoua", false },
		{ "$2y$04-abcdefghijklmnopqrstuuGXm2485ST/eq2F7gOglrUOaHHLqZoua", false },
		{ "$apr1$abcdefgh$aaaaaaaaaaaaaaaaaaaaaa", false },
		{ "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", false },
		{ "", false },
	};
	dray_error *err = NULL;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		if (bcrypt_valid(span_str(rows[i].hash)) != rows[i].valid)
			fail_msg("%s", rows[i].hash);
	assert_ok(bcrypt_load(&err), err);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(bcrypt_check(rows[i].hash, "pw:1", &err), 1);
		assert_int_equal(bcrypt_check(rows[i].hash, "pw:2", &err), 0);
		assert_int_equal(bcrypt_check(rows[i].hash, "", &err), 0);
	}
}

static void files(void **state)
{
	static const struct {
		const char *text;
		const char *wrong; /* NULL = it is taken */
	} rows[] = {
		{ ANN BOB, NULL },
		{ "# users\n\n" ANN "\r\n" BOB, NULL },
		{ "ann:" PW1_Y, NULL },
		{ "ann:" PW1_Y "\r\n", NULL },
		{ "j\xc3\xbcrgen@example.org:" PW1_Y "\n", NULL },
		{ "", "names no user" },
		{ "# nobody\n", "names no user" },
		{ ANN "bob\n", "line 2: not NAME:HASH" },
		{ ANN "bob:\n", "line 2: the password's hash is not bcrypt's" },
		{ ANN ":" X_Y "\n", "line 2: not NAME:HASH" },
		{ ANN "bob:$apr1$x$y\n", "line 2: the password's hash is not bcrypt's" },
		{ ANN "bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n", "line 2" },
		{ ANN "bob:" X_Y ":more\n", "line 2" },
		{ ANN "bob: " X_Y "\n", "line 2" },
		{ ANN "b\xff:" X_Y "\n", "line 2: not NAME:HASH" },
		{ ANN "b\x07:" X_Y "\n", "line 2: not NAME:HASH" },
		{ "ann:$2y$17$iV8c0ImNh6eAtcvhdjVgwetb8u.E.EHR7.K8IBGMjglO35exeqX5.\n", NULL },
		{ "ann:$2y$18$iV8c0ImNh6eAtcvhdjVgwetb8u.E.EHR7.K8IBGMjglO35exeqX5.\n",
		  "BCRYPT_COST_MAX" },
		{ ANN BOB ANN, "\"ann\" stands there twice" },
	};
	const struct place *p = *state;

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct htpasswd *h = NULL;
		cleanup_error dray_error *err = NULL;
		int rc;

		put(p, rows[i].text);
		rc = htpasswd_open(p->path, &h, &err);
		htpasswd_free(h);
		if (!rows[i].wrong ? rc < 0
				   : rc == 0 || !strstr(dray_error_message(err), rows[i].wrong) ||
					     !strstr(dray_error_message(err), p->path))
			fail_msg("row %zu: %s", i, err ? dray_error_message(err) : "taken");
	}
}

static void passwords(void **state)
{
	static const struct {
		const char *user, *password;
		int right;
	} rows[] = {
		{ "ann", "pw:1", 1 },  { "ann", "pw:1", 1 }, /* once more, by the proof */
		{ "bob", "x", 1 },     { "ann", "x", 0 },    { "ann", "", 0 },
		{ "ann", "pw:11", 0 }, { "an", "pw:1", 0 },  { "ann2", "pw:1", 0 },
		{ "", "pw:1", 0 },     { "ANN", "pw:1", 0 }, { "ann", "pw:1", 1 },
	};
	const struct place *p = *state;
	struct htpasswd *h = NULL;
	dray_error *err = NULL;

	put(p, ANN BOB);
	assert_ok(htpasswd_open(p->path, &h, &err), err);
	for (size_t i = 0; i < ROWS(rows); i++)
		if (htpasswd_check(h, rows[i].user, rows[i].password, &err) != rows[i].right)
			fail_msg("%s %s", rows[i].user, rows[i].password);
	assert_true(htpasswd_knows(h, "bob"));
	assert_false(htpasswd_knows(h, "eve"));
	htpasswd_free(h);
}

static void a_file_that_changes(void **state)
{
	const struct place *p = *state;
	struct htpasswd *h = NULL;
	dray_error *err = NULL;

	put(p, ANN BOB);
	assert_ok(htpasswd_open(p->path, &h, &err), err);
	assert_int_equal(htpasswd_check(h, "ann", "pw:1", &err), 1);
	assert_int_equal(htpasswd_refresh(h, &err), 0);
	/* Another password of the same user: what was proven is proven no more. */
	put(p, "ann:" X_Y "\n");
	assert_int_equal(htpasswd_refresh(h, &err), 1);
	assert_int_equal(htpasswd_check(h, "ann", "pw:1", &err), 0);
	assert_int_equal(htpasswd_check(h, "ann", "x", &err), 1);
	assert_false(htpasswd_knows(h, "bob"));
	/* What is no good is told once and changes nothing. */
	put(p, "nonsense\n");
	assert_int_equal(htpasswd_refresh(h, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "line 1");
	assert_int_equal(htpasswd_refresh(h, &err), 0);
	assert_int_equal(htpasswd_check(h, "ann", "x", &err), 1);
	assert_int_equal(unlink(p->path), 0);
	assert_int_equal(htpasswd_refresh(h, &err), -1);
	assert_err_kind(err, DRAY_ERR_NOT_FOUND);
	assert_int_equal(htpasswd_refresh(h, &err), 0);
	assert_int_equal(htpasswd_check(h, "ann", "x", &err), 1);
	put(p, ANN);
	assert_int_equal(htpasswd_refresh(h, &err), 1);
	assert_int_equal(htpasswd_check(h, "ann", "pw:1", &err), 1);
	htpasswd_free(h);
}

/* Who is let go of while descriptors are short has to go as soon as there are some again. */
static void a_change_without_descriptors(void **state)
{
	const struct place *p = *state;
	struct rlimit all, none;
	struct htpasswd *h = NULL;
	dray_error *err = NULL;

	put(p, ANN BOB);
	assert_ok(htpasswd_open(p->path, &h, &err), err);
	put(p, ANN);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = (struct rlimit){ 0, all.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(htpasswd_refresh(h, &err), -1);
	assert_int_equal(dray_error_errno(err), EMFILE);
	err_clear(&err);
	/* It is said once. */
	assert_int_equal(htpasswd_refresh(h, &err), 0);
	assert_true(htpasswd_knows(h, "bob"));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_int_equal(htpasswd_refresh(h, &err), 1);
	assert_false(htpasswd_knows(h, "bob"));
	assert_int_equal(htpasswd_refresh(h, &err), 0);
	htpasswd_free(h);
}

#define CROWD 64

struct crowd {
	struct htpasswd *h;
	bool together; /* with one password, which is right; else guesses */
	int answers[CROWD];
};

static int come(void *arg, size_t i, dray_error **err)
{
	struct crowd *c = arg;
	cleanup_error dray_error *why = NULL;
	char guess[32];

	(void)err;
	snprintf(guess, sizeof(guess), "guess %zu", i);
	c->answers[i] = htpasswd_check(c->h, "ann", c->together ? "pw:1" : guess, &why);
	if (c->answers[i] < 0)
		assert_int_equal(dray_error_http_status(why), 429);
	return 0;
}

/* Who guesses makes nobody wait for long; who has many connections with one password is let in. */
static void crowds(void **state)
{
	const struct place *p = *state;
	struct crowd guessing = { 0 }, right = { .together = true };
	dray_error *err = NULL;
	int refused = 0;

	put(p, "ann:" PW1_SLOW "\n");
	assert_ok(htpasswd_open(p->path, &right.h, &err), err);
	guessing.h = right.h;
	assert_ok(run_parallel(CROWD, CROWD, come, &guessing, &err), err);
	for (size_t i = 0; i < CROWD; i++) {
		assert_true(guessing.answers[i] <= 0);
		refused += guessing.answers[i] < 0;
	}
	assert_in_range(refused, 1, CROWD - 17);
	assert_ok(run_parallel(CROWD, CROWD, come, &right, &err), err);
	for (size_t i = 0; i < CROWD; i++)
		assert_int_equal(right.answers[i], 1);
	htpasswd_free(right.h);
}

static int all_of_it(void *arg, dray_error **err)
{
	const struct place *p = arg;
	struct htpasswd *h = NULL;
	int rc = htpasswd_open(p->path, &h, err);

	if (rc == 0)
		rc = htpasswd_check(h, "ann", "pw:1", err);
	if (rc > 0)
		rc = htpasswd_check(h, "eve", "pw:1", err);
	htpasswd_free(h);
	return rc;
}

static void tortured(void **state)
{
	struct place *p = *state;

	put(p, ANN BOB);
	torture_alloc(all_of_it, p);
	torture_io(all_of_it, p, EIO, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes),
		cmocka_unit_test(files),
		cmocka_unit_test(passwords),
		cmocka_unit_test(a_file_that_changes),
		cmocka_unit_test(a_change_without_descriptors),
		cmocka_unit_test(crowds),
		cmocka_unit_test(tortured),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
