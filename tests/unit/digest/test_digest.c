/* SPDX-License-Identifier: Apache-2.0 */
/* For: digest values and running hashes.
 * Relies on: published test vectors.
 * Promises: M-05 and M-06 hold.
 */
#include "digest/digest.h"

#include "torture.h"

#define HEX64 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define HEX128                                                             \
	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" \
	"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

static void parses_M05(void **state)
{
	static const struct {
		const char *text;
		enum digest_algo algo; /* NONE = refused */
	} rows[] = {
		{ "sha256:" HEX64, DIGEST_SHA256 },
		{ "sha512:" HEX128, DIGEST_SHA512 },
		{ "sha384:abc", DIGEST_OTHER },
		{ "blake3:AZaz09=_-", DIGEST_OTHER },
		{ "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564", DIGEST_OTHER },
		{ "a.b_c-d+e9:x", DIGEST_OTHER },
		{ "", DIGEST_NONE },
		{ ":", DIGEST_NONE },
		{ "sha256", DIGEST_NONE },
		{ "sha256:", DIGEST_NONE },
		{ ":" HEX64, DIGEST_NONE },
		{ "sha256:../../x", DIGEST_NONE },
		{ "sha256:" HEX64 "0", DIGEST_NONE },
		{ "sha256:a7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		  DIGEST_NONE },
		{ "sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		  DIGEST_NONE },
		{ "sha512:" HEX64, DIGEST_NONE },
		{ "SHA256:" HEX64, DIGEST_NONE },
		{ "+a:b", DIGEST_NONE },
		{ "a+:b", DIGEST_NONE },
		{ "a++b:c", DIGEST_NONE },
		{ "a/b:c", DIGEST_NONE },
		{ "a:b:c", DIGEST_NONE },
		{ "a:b/c", DIGEST_NONE },
		{ "a:b.c", DIGEST_NONE },
		{ "a:b\n", DIGEST_NONE },
		{ " a:b", DIGEST_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct digest d = { 0 };
		dray_error *err = NULL;
		int rc = digest_parse(span_str(rows[i].text), &d, &err);

		if (rows[i].algo == DIGEST_NONE) {
			assert_int_equal(rc, -1);
			assert_err_kind(err, DRAY_ERR_FORMAT);
			continue;
		}
		assert_ok(rc, err);
		assert_int_equal(d.algo, rows[i].algo);
		assert_string_equal(d.text, rows[i].text);
		assert_true(digest_set(&d));
	}
}

static void length_is_bounded_M05(void **state)
{
	char text[5000];
	struct digest d;
	dray_error *err = NULL;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[3] = ':';
	assert_ok(digest_parse(span_of(text, DIGEST_TEXT - 1), &d, &err), err);
	assert_int_equal(strlen(d.text), DIGEST_TEXT - 1);
	assert_int_equal(digest_parse(span_of(text, DIGEST_TEXT), &d, &err), -1);
	assert_err_kind(err, DRAY_ERR_FORMAT);
	text[3] = 'a';
	text[4096] = ':';
	assert_int_equal(digest_parse(span_of(text, sizeof(text)), &d, &err), -1);
	assert_err_kind(err, DRAY_ERR_FORMAT);
	/* A NUL inside is a byte like any other. */
	assert_int_equal(digest_parse(span_of("a:b\0c", 5), &d, &err), -1);
	assert_err_kind(err, DRAY_ERR_FORMAT);
}

static void message_is_safe(void **state)
{
	struct digest d;
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(digest_parse(SPAN_LIT("a:\x1b[31m"), &d, &err), -1);
	assert_null(strchr(dray_error_message(err), 0x1b));
	assert_err_kind(err, DRAY_ERR_FORMAT);
}

static void hashes_vectors(void **state)
{
	struct digest d, e;
	dray_error *err = NULL;

	(void)state;
	assert_ok(digest_of(SPAN_LIT("abc"), &d, &err), err);
	assert_string_equal(d.text, "sha256:" HEX64);
	assert_string_equal(digest_hex(&d), HEX64);
	assert_ok(digest_from_hex(SPAN_LIT(HEX64), &e, &err), err);
	assert_true(digest_eq(&d, &e));
	assert_ok(digest_of(span_of(NULL, 0), &d, &err), err);
	assert_string_equal(d.text, DIGEST_NO_BYTES);
	assert_int_equal(digest_from_hex(SPAN_LIT("abc"), &e, &err), -1);
	assert_err_kind(err, DRAY_ERR_FORMAT);
}

static void hashes_in_steps(void **state)
{
	cleanup_hash struct hash h = { 0 };
	struct digest d;
	dray_error *err = NULL;

	(void)state;
	assert_ok(hash_init(&h, DIGEST_SHA512, &err), err);
	for (int i = 0; i < 3; i++)
		hash_update(&h, span_of(&"abc"[i], 1));
	assert_ok(hash_finish(&h, &d, &err), err);
	assert_string_equal(d.text, "sha512:" HEX128);
	assert_int_equal(h.size, 3);
}

static void unknown_algorithm_is_refused_M06(void **state)
{
	cleanup_hash struct hash h = { 0 };
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(hash_init(&h, DIGEST_OTHER, &err), -1);
	assert_err_kind(err, DRAY_ERR_UNSUPPORTED);
	assert_int_equal(hash_init(&h, DIGEST_NONE, &err), -1);
	assert_err_kind(err, DRAY_ERR_UNSUPPORTED);
}

static void unset_equals_nothing(void **state)
{
	struct digest none = { 0 }, d;
	dray_error *err = NULL;

	(void)state;
	assert_ok(digest_of(SPAN_LIT("x"), &d, &err), err);
	assert_false(digest_eq(&none, &none));
	assert_false(digest_eq(&none, &d));
	assert_true(digest_eq(&d, &d));
}

static void expect_keeps_both_values(void **state)
{
	struct digest a, b;
	dray_error *err = NULL;

	(void)state;
	assert_ok(digest_of(SPAN_LIT("a"), &a, &err), err);
	assert_ok(digest_of(SPAN_LIT("b"), &b, &err), err);
	assert_ok(digest_expect(&a, &a, "blob digest", &err), err);
	assert_int_equal(digest_expect(&a, &b, "blob digest", &err), -1);
	assert_string_equal(dray_error_expected(err), a.text);
	assert_string_equal(dray_error_actual(err), b.text);
	assert_err(err, DRAY_ERR_CORRUPT, "blob digest");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_M05),
		cmocka_unit_test(length_is_bounded_M05),
		cmocka_unit_test(message_is_safe),
		cmocka_unit_test(hashes_vectors),
		cmocka_unit_test(hashes_in_steps),
		cmocka_unit_test(unknown_algorithm_is_refused_M06),
		cmocka_unit_test(unset_equals_nothing),
		cmocka_unit_test(expect_keeps_both_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
