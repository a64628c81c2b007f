/* SPDX-License-Identifier: Apache-2.0
 *
 * What a file is taken for that should hold public keys, or a signature.
 */
#include "torture.h"

#include "ops/gpg.h"

#define BEGIN "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
#define END "-----END PGP PUBLIC KEY BLOCK-----\n"
#define BEGIN_SIG "-----BEGIN PGP SIGNATURE-----\n"
#define TEXT(s) SPAN_LIT(s)

/* "mDME" is 98 33 04, the first bytes of a public key packet. */
static void keyring_rows(void **state)
{
	static const struct {
		const char *name;
		struct span file;
		struct span want; /* data NULL = refused */
		const char *why;
	} rows[] = {
		{ "old format", TEXT("\x98\x33\x04"), TEXT("\x98\x33\x04"), NULL },
		{ "old format, two bytes of length", TEXT("\x99\x01\x0d"), TEXT("\x99\x01\x0d"),
		  NULL },
		{ "new format", TEXT("\xc6\x33\x04"), TEXT("\xc6\x33\x04"), NULL },
		{ "keybox", TEXT("\0\0\0\x20\1\1\0\2KBXf\0"), TEXT("\0\0\0\x20\1\1\0\2KBXf\0"),
		  NULL },
		{ "armour", TEXT(BEGIN "\nmDME\n" END), TEXT("\x98\x33\x04"), NULL },
		{ "armour with headers", TEXT(BEGIN "Version: x\nComment: y\n\nmDME\n=abcd\n" END),
		  TEXT("\x98\x33\x04"), NULL },
		{ "armour in lines", TEXT(BEGIN "\nmD\nME\n=abcd\n" END), TEXT("\x98\x33\x04"),
		  NULL },
		{ "armour with padding", TEXT(BEGIN "\nmDMEAA==\n=abcd\n" END),
		  TEXT("\x98\x33\x04\0"), NULL },
		{ "armour from elsewhere",
		  TEXT("From: me\r\n"
		       "-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n"
		       "\r\nmDME \r\n=abcd\r\n-----END PGP PUBLIC KEY BLOCK-----\r\n"),
		  TEXT("\x98\x33\x04"), NULL },
		{ "two blocks", TEXT(BEGIN "\nmDME\n" END "text\n" BEGIN "\nmDMF\n" END),
		  TEXT("\x98\x33\x04\x98\x33\x05"), NULL },
		{ "no newline at the end", TEXT(BEGIN "\nmDME\n-----END PGP PUBLIC KEY BLOCK-----"),
		  TEXT("\x98\x33\x04"), NULL },

		{ "empty", TEXT(""), { 0 }, "no OpenPGP public keys" },
		{ "text", TEXT("hello\n"), { 0 }, "no OpenPGP public keys" },
		{ "secret keys", TEXT("\x94\x58\x04"), { 0 }, "secret" },
		{ "secret keys, new format", TEXT("\xc5\x58\x04"), { 0 }, "secret" },
		{ "armoured secret keys",
		  TEXT("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nmDME\n"),
		  { 0 },
		  "no OpenPGP public keys" },
		{ "a signature", TEXT("\x88\x75\x04"), { 0 }, "no OpenPGP public keys" },
		{ "an armoured signature",
		  TEXT(BEGIN_SIG "\niHUE\n"),
		  { 0 },
		  "no OpenPGP public keys" },
		{ "a signature in the armour of keys",
		  TEXT(BEGIN "\niHUE\n" END),
		  { 0 },
		  "holds no OpenPGP public key" },
		{ "nothing in the armour",
		  TEXT(BEGIN "\n" END),
		  { 0 },
		  "holds no OpenPGP public key" },
		{ "no end", TEXT(BEGIN "\nmDME\n"), { 0 }, "does not end" },
		{ "no end of the second", TEXT(BEGIN "\nmDME\n" END BEGIN), { 0 }, "does not end" },
		{ "another end",
		  TEXT(BEGIN "\nmDME\n-----END PGP SIGNATURE-----\n" END),
		  { 0 },
		  "base64" },
		{ "no base64", TEXT(BEGIN "\nm!ME\n" END), { 0 }, "base64" },
		{ "cut base64", TEXT(BEGIN "\nmDM\n" END), { 0 }, "base64" },
		{ "NUL", TEXT(BEGIN "\nmD\0ME\n" END), { 0 }, "base64" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf own = BUF_INIT(LIMIT_KEYRING);
		struct span got = { 0 };
		dray_error *err = NULL;
		int rc = keyring_open(rows[i].file, &own, &got, &err);

		if ((rc == 0) != (rows[i].want.data != NULL) ||
		    (rc == 0 && !span_eq(got, rows[i].want)))
			fail_msg("%s: %s", rows[i].name,
				 err ? dray_error_message(err) : "other bytes");
		if (err && !strstr(dray_error_message(err), rows[i].why))
			fail_msg("%s: %s", rows[i].name, dray_error_message(err));
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_FORMAT);
	}
}

static void signature_rows(void **state)
{
	static const struct {
		const char *name;
		struct span file;
		const char *why;
	} rows[] = {
		{ "old format", TEXT("\x88\x75\x04"), NULL },
		{ "old format, two bytes of length", TEXT("\x89\x01\x33"), NULL },
		{ "new format", TEXT("\xc2\x75\x04"), NULL },
		{ "armour", TEXT(BEGIN_SIG "\niHUE\n"), NULL },
		{ "armour behind text", TEXT("hello\n" BEGIN_SIG "\niHUE\n"), NULL },
		{ "empty", TEXT(""), "empty" },
		{ "text", TEXT("hello\n"), "no detached" },
		{ "clear-signed",
		  TEXT("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nx\n" BEGIN_SIG),
		  "no detached" },
		{ "inline-signed", TEXT("\x90\x0d\x03\x00"), "no detached" },
		{ "compressed, as inline signatures are", TEXT("\xa3\x01\x01"), "no detached" },
		{ "an armoured message", TEXT("-----BEGIN PGP MESSAGE-----\n"), "no detached" },
		{ "a key", TEXT("\x98\x33\x04"), "no detached" },
		{ "zeros", TEXT("\0\0\0\0"), "no detached" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		dray_error *err = NULL;
		int rc = signature_sniff(rows[i].file, &err);

		if ((rc < 0) != (rows[i].why != NULL) ||
		    (err && !strstr(dray_error_message(err), rows[i].why)))
			fail_msg("%s: %s", rows[i].name,
				 err ? dray_error_message(err) : "accepted");
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_SIGNATURE);
	}
}

static int open_armor(void *arg, dray_error **err)
{
	cleanup_buf struct buf own = BUF_INIT(LIMIT_KEYRING);
	struct span got;

	(void)arg;
	return keyring_open(TEXT(BEGIN "\nmDME\n" END BEGIN "\nmDMF\n" END), &own, &got, err);
}

static void keyring_torture(void **state)
{
	(void)state;
	torture_alloc(open_armor, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keyring_rows),
		cmocka_unit_test(signature_rows),
		cmocka_unit_test(keyring_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
