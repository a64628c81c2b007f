/* SPDX-License-Identifier: Apache-2.0
 *
 * What gpg's status lines are taken for: real ones of GnuPG 2.2, and such as nobody should believe.
 */
#include "torture.h"

#include "base/mem.h"
#include "ops/gpg_status.h"

#define KEY_ID "C638C70894A7C8A5"
#define FPR "2700EF3F8C2EEC1ED70E94B7C638C70894A7C8A5"
#define PRIMARY "04BF636398BD4A03B54A3E48C50A108E33650219"
#define S "[GNUPG:] "
#define NEW S "NEWSIG\n"
#define GOOD S "GOODSIG " KEY_ID " Ed <ed@x>\n"
#define VALID_AS(hash, class) \
	S "VALIDSIG " FPR " 2026-11-21 1795261378 0 4 0 22 " hash " " class " " PRIMARY "\n"
#define VALID VALID_AS("8", "00")
#define ERRSIG(rc) S "ERRSIG " KEY_ID " 22 8 00 1795261378 " rc " " FPR "\n"
#define NOISE S "KEY_CONSIDERED " FPR " 0\n" S "SIG_ID abc 2026-11-21 1795261378\n"

/* Fed in pieces of @p piece bytes. */
static int read_lines(struct gpg_status *s, struct span text, size_t piece, dray_error **err)
{
	while (text.len) {
		struct span part = span_head(text, piece);

		if (gpg_status_feed(s, part, err) < 0)
			return -1;
		text = span_from(text, part.len);
	}
	gpg_status_end(s);
	return 0;
}

struct row {
	const char *name;
	struct span text;
	bool failed;	 /* gpg's exit status says so */
	const char *why; /* NULL = a yes */
};
#define TEXT(s) SPAN_LIT(s)

static const struct row rows[] = {
	{ "one good", TEXT(NEW NOISE GOOD VALID), false, NULL },
	{ "two good", TEXT(NEW GOOD VALID NEW GOOD VALID), false, NULL },
	{ "trusted", TEXT(NEW GOOD VALID S "TRUST_ULTIMATE 0 pgp\n"), false, NULL },
	{ "not trusted yet", TEXT(NEW GOOD VALID S "TRUST_UNDEFINED 0 pgp\n"), false, NULL },
	{ "gpg before NEWSIG", TEXT(GOOD VALID), false, NULL },
	{ "words of a later gpg", TEXT(NEW S "SHINY new thing\n" GOOD VALID), false, NULL },
	{ "more arguments of a later gpg",
	  TEXT(NEW GOOD S "VALIDSIG " FPR " 2026-11-21 1 0 4 0 22 10 00 " PRIMARY " more\n"), false,
	  NULL },

	{ "nothing", TEXT(""), false, "no detached signature" },
	{ "no data", TEXT(S "NODATA 3\n" S "NODATA 4\n"), true, "no detached signature" },
	{ "bad", TEXT(NEW S "BADSIG " KEY_ID " Ed\n"), true, "other bytes" },
	{ "bad, gpg content", TEXT(NEW S "BADSIG " KEY_ID " Ed\n"), false, "other bytes" },
	{ "signature expired", TEXT(NEW S "EXPSIG " KEY_ID " Ed\n" VALID), false,
	  "signature has expired" },
	{ "key expired", TEXT(NEW S "EXPKEYSIG " KEY_ID " Ed\n" VALID), false,
	  "key of the signature has expired" },
	{ "key revoked", TEXT(NEW S "REVKEYSIG " KEY_ID " Ed\n" VALID), false, "revoked" },
	{ "no key", TEXT(NEW ERRSIG("9") S "NO_PUBKEY " KEY_ID "\n"), true, "no key" },
	{ "algorithm", TEXT(NEW ERRSIG("4")), true, "cannot be checked" },
	{ "no verdict", TEXT(NEW), false, "not checked" },
	{ "good, then an unchecked one", TEXT(NEW GOOD VALID NEW), false, "not checked" },
	{ "good, then bad", TEXT(NEW GOOD VALID NEW S "BADSIG " KEY_ID " Ed\n"), true,
	  "other bytes" },
	{ "bad, then good", TEXT(NEW S "BADSIG " KEY_ID " Ed\n" NEW GOOD VALID), true,
	  "other bytes" },
	{ "good, then unknown", TEXT(NEW GOOD VALID NEW ERRSIG("9")), true, "no key" },
	{ "two verdicts", TEXT(NEW GOOD VALID S "BADSIG " KEY_ID " Ed\n"), false, "contradicts" },
	{ "two verdicts, the other way", TEXT(NEW S "BADSIG " KEY_ID " Ed\n" GOOD VALID), false,
	  "contradicts" },
	{ "good but not valid", TEXT(NEW GOOD), false, "did not call the signature valid" },
	{ "valid but not good", TEXT(NEW VALID), false, "not checked" },
	{ "valid twice", TEXT(NEW GOOD VALID VALID), false, "damaged" },
	{ "valid of nothing", TEXT(VALID), false, "damaged" },
	{ "a text signature", TEXT(NEW GOOD VALID_AS("8", "01")), false, "binary document" },
	{ "of a key, not of data", TEXT(NEW GOOD VALID_AS("8", "13")), false, "binary document" },
	{ "MD5", TEXT(NEW GOOD VALID_AS("1", "00")), false, "too weak" },
	{ "SHA-1", TEXT(NEW GOOD VALID_AS("2", "00")), false, "too weak" },
	{ "RIPEMD-160", TEXT(NEW GOOD VALID_AS("3", "00")), false, "too weak" },
	{ "a hash nobody knows", TEXT(NEW GOOD VALID_AS("99999999999", "00")), false, "too weak" },
	{ "distrusted", TEXT(NEW GOOD VALID S "TRUST_NEVER 0 pgp\n"), false, "never to trust" },
	{ "inline", TEXT(NEW GOOD VALID S "PLAINTEXT 62 1 d\n"), false, "text of its own" },
	{ "exit status", TEXT(NEW GOOD VALID), true, "did not accept all" },
	{ "failure", TEXT(NEW GOOD VALID S "FAILURE gpg-exit 33554433\n"), false,
	  "did not accept all" },
	{ "error", TEXT(S "ERROR add_keyblock_resource 33587281\n" NEW GOOD VALID), false,
	  "did not accept all" },
	{ "armour", TEXT(NEW GOOD VALID S "BADARMOR\n"), false, "damaged" },
	{ "a run that signed", TEXT(S "SIG_CREATED D 22 8 00 1 " FPR "\n"), false,
	  "did not name the primary key" },

	/* What people can put into names, and gpg quotes. */
	{ "a verdict inside a name", TEXT(NEW S "BADSIG " KEY_ID " x " GOOD), true, "other bytes" },
	{ "a line inside a name, as gpg escapes it",
	  TEXT(NEW S "BADSIG " KEY_ID " x%0A[GNUPG:] GOODSIG " KEY_ID " Ed\n"), true,
	  "other bytes" },
	{ "a name in NEWSIG", TEXT(S "NEWSIG GOODSIG\n"), true, "not checked" },

	/* What no gpg writes. */
	{ "another prefix", TEXT(NEW GOOD VALID "[GNUPG] X\n"), false, "damaged" },
	{ "an empty line", TEXT(NEW GOOD VALID "\n"), false, "damaged" },
	{ "text for people", TEXT("gpg: Good signature\n" NEW GOOD VALID), false, "damaged" },
	{ "a blank before it", TEXT(" " NEW GOOD VALID), false, "damaged" },
	{ "not ended", TEXT(NEW GOOD VALID S "X"), false, "damaged" },
	{ "cut inside", TEXT(NEW GOOD S "VALIDSIG " FPR " 2026-11-21 1795"), false, "damaged" },
	{ "NUL", TEXT(NEW GOOD VALID S "X\0Y\n"), false, "damaged" },
	{ "NUL hides a verdict", TEXT(NEW S "GOODSIG " KEY_ID " a\0" S "BADSIG\n" VALID), false,
	  "damaged" },
	{ "lower case", TEXT(NEW S "goodsig " KEY_ID " Ed\n" VALID), false, "not checked" },
	{ "a key ID that is none", TEXT(NEW S "GOODSIG xyz Ed\n" VALID), false, "damaged" },
	{ "no key ID", TEXT(NEW S "GOODSIG\n" VALID), false, "damaged" },
	{ "a short VALIDSIG", TEXT(NEW GOOD S "VALIDSIG " FPR "\n"), false, "damaged" },
	{ "VALIDSIG without a primary key", TEXT(NEW GOOD S "VALIDSIG " FPR " d 1 0 4 0 22 8 00\n"),
	  false, "damaged" },
	{ "VALIDSIG with words for numbers",
	  TEXT(NEW GOOD S "VALIDSIG " FPR " d one 0 4 0 22 8 00 " PRIMARY "\n"), false, "damaged" },
	{ "a negative hash", TEXT(NEW GOOD S "VALIDSIG " FPR " d 1 0 4 0 22 -8 00 " PRIMARY "\n"),
	  false, "damaged" },
	{ "a class that is no hex",
	  TEXT(NEW GOOD S "VALIDSIG " FPR " d 1 0 4 0 22 8 0g " PRIMARY "\n"), false, "damaged" },
	{ "ERRSIG without a reason", TEXT(NEW S "ERRSIG " KEY_ID "\n"), true, "damaged" },
	{ "trust in nothing", TEXT(S "TRUST_FULLY\n"), false, "damaged" },
	{ "carriage returns", TEXT(S "NEWSIG\r\n" GOOD VALID), false, NULL },
};

static void check_row(const struct row *r, size_t piece)
{
	struct gpg_status s = GPG_STATUS_INIT;
	dray_error *err = NULL;
	int rc;

	assert_ok(read_lines(&s, r->text, piece, &err), err);
	rc = gpg_status_judge(&s, !r->failed, &err);
	if ((rc < 0) != (r->why != NULL))
		fail_msg("%s: %s", r->name, err ? dray_error_message(err) : "accepted");
	if (r->why && !strstr(dray_error_message(err), r->why))
		fail_msg("%s: '%s' does not say '%s'", r->name, dray_error_message(err), r->why);
	if (r->why)
		assert_err_kind(err, DRAY_ERR_SIGNATURE);
	gpg_status_clear(&s);
}

static void status_rows(void **state)
{
	static const size_t pieces[] = { 1, 7, 511, 4093, SIZE_MAX };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t p = 0; p < ROWS(pieces); p++)
			check_row(&rows[i], pieces[p]);
}

/* A report that ends anywhere is never a yes before its last line has ended. */
static void status_cut(void **state)
{
	static const char text[] = NEW NOISE GOOD VALID;

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		struct gpg_status s = GPG_STATUS_INIT;
		dray_error *err = NULL;

		assert_ok(read_lines(&s, span_of(text, n), SIZE_MAX, &err), err);
		assert_int_equal(gpg_status_judge(&s, true, &err), -1);
		assert_err_kind(err, DRAY_ERR_SIGNATURE);
		gpg_status_clear(&s);
	}
}

static void status_fields(void **state)
{
	static const char text[] = NEW S "GOODSIG " KEY_ID " Zo%C3%AB %25 %00 %0A <z@x>\n" VALID S
					 "TRUST_MARGINAL 0 pgp\n";
	struct gpg_status s = GPG_STATUS_INIT;
	dray_error *err = NULL;

	(void)state;
	assert_ok(read_lines(&s, span_str(text), 5, &err), err);
	assert_int_equal(s.n_sigs, 1);
	assert_string_equal(s.sigs[0].uid, "Zo\xc3\xab % %00 \n <z@x>");
	assert_string_equal(s.sigs[0].key_id, KEY_ID);
	assert_string_equal(s.sigs[0].fingerprint, FPR);
	assert_string_equal(s.sigs[0].primary, PRIMARY);
	assert_int_equal(s.sigs[0].created, 1795261378);
	assert_int_equal(s.sigs[0].expires, 0);
	assert_string_equal(gpg_hash_name(s.sigs[0].hash), "sha256");
	assert_string_equal(s.sigs[0].trust, "marginal");
	gpg_status_clear(&s);
}

static void status_escapes(void **state)
{
	static const struct {
		const char *uid, *want;
	} cases[] = {
		{ "", "" },	  { "%", "%" },	      { "a%4", "a%4" },	      { "%41", "A" },
		{ "%4g", "%4g" }, { "%%41", "%A" },   { "a%41b%42", "aAbB" }, { "%00", "%00" },
		{ "%ff", "%ff" }, { "  x ", "  x " },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(cases); i++) {
		cleanup_free char *text = mem_printf(NEW S "GOODSIG " KEY_ID " %s\n", cases[i].uid);
		struct gpg_status s = GPG_STATUS_INIT;
		dray_error *err = NULL;

		assert_non_null(text);
		assert_ok(read_lines(&s, span_str(text), SIZE_MAX, &err), err);
		assert_string_equal(s.sigs[0].uid, cases[i].want);
		gpg_status_clear(&s);
	}
}

/* LIMIT_GPG_LINE and LIMIT_SIGNATURES, and what just fits. */
static void status_limits(void **state)
{
	static const char begin[] = S "X ";
	size_t len = (size_t)LIMIT_GPG_LINE;
	cleanup_free char *line = mem_alloc(len + 2);

	(void)state;
	assert_non_null(line);
	for (size_t over = 0; over < 2; over++) {
		struct gpg_status s = GPG_STATUS_INIT;
		dray_error *err = NULL;

		memset(line, 'x', len + over);
		memcpy(line, begin, sizeof(begin) - 1);
		assert_ok(read_lines(&s, SPAN_LIT(NEW GOOD VALID), 100, &err), err);
		assert_ok(read_lines(&s, span_of(line, len + over), 1000, &err), err);
		s.garbled = over ? s.garbled : false; /* read_lines() ends the report */
		assert_ok(gpg_status_feed(&s, SPAN_LIT("\n"), &err), err);
		assert_int_equal(s.garbled, over);
		assert_int_equal(gpg_status_judge(&s, true, &err), over ? -1 : 0);
		err_clear(&err);
		gpg_status_clear(&s);
	}

	struct gpg_status s = GPG_STATUS_INIT;
	dray_error *err = NULL;
	for (int i = 0; i < LIMIT_SIGNATURES; i++)
		assert_ok(gpg_status_feed(&s, SPAN_LIT(NEW GOOD VALID), &err), err);
	assert_ok(gpg_status_judge(&s, true, &err), err);
	assert_int_equal(gpg_status_feed(&s, SPAN_LIT(NEW), &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "LIMIT_SIGNATURES");
	gpg_status_clear(&s);
}

static void status_signing(void **state)
{
#define MADE_AS(kind, hash, class) \
	S "SIG_CREATED " kind " 22 " hash " " class " 1795261378 " FPR "\n"
	static const struct row cases[] = {
		{ "made",
		  TEXT(S "KEY_CONSIDERED " FPR " 2\n" S
			 "BEGIN_SIGNING H8\n" MADE_AS("D", "8", "00")),
		  false, NULL },
		{ "two made", TEXT(MADE_AS("D", "8", "00") MADE_AS("D", "10", "00")), false, NULL },
		{ "after a second try at the passphrase",
		  TEXT(S "BAD_PASSPHRASE " KEY_ID "\n" MADE_AS("D", "8", "00")), false, NULL },
		{ "nothing", TEXT(""), false, "could not sign" },
		{ "exit status", TEXT(MADE_AS("D", "8", "00")), true, "could not sign" },
		{ "no key", TEXT(S "INV_SGNR 9 x\n" S "FAILURE sign 17\n"), true,
		  "no such secret key" },
		{ "no secret key", TEXT(S "NO_SECKEY " KEY_ID "\n"), true, "no such secret key" },
		{ "passphrase", TEXT(S "BAD_PASSPHRASE " KEY_ID "\n" S "FAILURE sign 11\n"), true,
		  "passphrase" },
		{ "passphrase of a file", TEXT(S "BEGIN_SIGNING H8\n" S "FAILURE sign 67108875\n"),
		  true, "passphrase" },
		{ "nobody there", TEXT(S "PINENTRY_LAUNCHED 1\n" S "FAILURE sign 83918950\n"), true,
		  "got none" },
		{ "clear-signed", TEXT(MADE_AS("C", "8", "00")), false, "detached" },
		{ "inline", TEXT(MADE_AS("S", "8", "00")), false, "detached" },
		{ "text", TEXT(MADE_AS("D", "8", "01")), false, "binary document" },
		{ "SHA-1", TEXT(MADE_AS("D", "2", "00")), false, "too weak" },
		{ "garbage", TEXT(S "SIG_CREATED D\n"), false, "damaged" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(cases); i++) {
		struct gpg_status s = GPG_STATUS_INIT;
		dray_error *err = NULL;
		int rc;

		assert_ok(read_lines(&s, cases[i].text, 11, &err), err);
		rc = gpg_status_judge_signing(&s, !cases[i].failed, &err);
		if ((rc < 0) != (cases[i].why != NULL) ||
		    (err && !strstr(dray_error_message(err), cases[i].why)))
			fail_msg("%s: %s", cases[i].name,
				 err ? dray_error_message(err) : "accepted");
		err_clear(&err);
		gpg_status_clear(&s);
	}
}

static int read_and_judge(void *arg, dray_error **err)
{
	struct gpg_status s = GPG_STATUS_INIT;
	int rc;

	(void)arg;
	rc = read_lines(&s, SPAN_LIT(NEW NOISE GOOD VALID NEW GOOD VALID), 50, err);
	if (rc == 0)
		rc = gpg_status_judge(&s, true, err);
	gpg_status_clear(&s);
	return rc;
}

static void status_torture(void **state)
{
	(void)state;
	torture_alloc(read_and_judge, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_rows),	  cmocka_unit_test(status_cut),
		cmocka_unit_test(status_fields),  cmocka_unit_test(status_escapes),
		cmocka_unit_test(status_limits),  cmocka_unit_test(status_signing),
		cmocka_unit_test(status_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
