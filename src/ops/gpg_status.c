/* SPDX-License-Identifier: Apache-2.0
 *
 * For: understanding gpg's status lines, and judging what they tell.
 * Relies on: GnuPG's doc/DETAILS; arguments that it does not define come last and are ignored.
 * Promises: what is not understood is never a yes; no line ends inside a name that somebody chose.
 */
#include "ops/gpg_status.h"

#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"

#define PREFIX "[GNUPG:] "
#define ERRSIG_NO_KEY 9
#define ERROR_BAD_PASSPHRASE 11
#define ERROR_NO_PASSPHRASE 177
#define TYPE_BINARY 0
#define SHOWN_UID 256 /* bytes of a user ID in an error */

/* ---- words ---- */

static struct span next_word(struct span *line)
{
	int64_t blank = span_find(*line, ' ');
	struct span word = blank < 0 ? *line : span_head(*line, (size_t)blank);

	*line = span_from(*line, blank < 0 ? line->len : (size_t)blank + 1);
	return word;
}

static int64_t next_number(struct gpg_status *s, struct span *line)
{
	int64_t n = -1;

	if (!num_parse_u63(next_word(line), &n))
		s->garbled = true;
	return n;
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int next_hex_byte(struct gpg_status *s, struct span *line)
{
	struct span w = next_word(line);
	int value = w.len == 2 ? hex_value(w.data[0]) * 16 + hex_value(w.data[1]) : -1;

	if (w.len != 2 || hex_value(w.data[0]) < 0 || hex_value(w.data[1]) < 0) {
		s->garbled = true;
		return -1;
	}
	return value;
}

/* A fingerprint or key ID: hex of 16 to 64 digits. */
static int next_key(struct gpg_status *s, struct span *line, const char **ret, dray_error **err)
{
	struct span w = next_word(line);
	bool fine = w.len >= 16 && w.len <= 64;

	for (size_t i = 0; i < w.len; i++)
		fine = fine && hex_value(w.data[i]) >= 0;
	if (!fine) {
		s->garbled = true;
		return 0;
	}
	*ret = arena_strndup(&s->arena, (const char *)w.data, w.len);
	return *ret ? 0 : err_nomem(err);
}

/* What is left of the line, its %XX undone; %00 stays as it is, the text is a C string. */
static int rest_text(struct gpg_status *s, struct span line, const char **ret, dray_error **err)
{
	char *text = arena_alloc(&s->arena, line.len + 1);
	size_t n = 0;

	if (!text)
		return err_nomem(err);
	for (size_t i = 0; i < line.len; i++) {
		int high = i + 2 < line.len ? hex_value(line.data[i + 1]) : -1;
		int low = i + 2 < line.len ? hex_value(line.data[i + 2]) : -1;

		if (line.data[i] == '%' && high >= 0 && low >= 0 && (high || low)) {
			text[n++] = (char)(high * 16 + low);
			i += 2;
		} else {
			text[n++] = (char)line.data[i];
		}
	}
	*ret = text;
	return 0;
}

/* ---- signatures ---- */

static int open_signature(struct gpg_status *s, dray_error **err)
{
	if (s->n_sigs == LIMIT_SIGNATURES)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d signatures (LIMIT_SIGNATURES)",
			       LIMIT_SIGNATURES);
	if (mem_grow(&s->sigs, s->n_sigs, &s->cap_sigs, sizeof(*s->sigs)) < 0)
		return err_nomem(err);
	s->sigs[s->n_sigs++] = (struct gpg_signature){ .type = -1 };
	return 0;
}

static struct gpg_signature *current(struct gpg_status *s)
{
	return s->n_sigs ? &s->sigs[s->n_sigs - 1] : NULL;
}

/* Each signature has one verdict. Where NEWSIG does not open them, verdicts do. */
static int verdict(struct gpg_status *s, enum gpg_verdict v, dray_error **err)
{
	struct gpg_signature *sig;

	if (!s->told_new && open_signature(s, err) < 0)
		return -1;
	sig = current(s);
	sig->verdict = sig->verdict == GPG_NO_VERDICT ? v : GPG_CONTRADICTION;
	return 0;
}

static int on_verdict(struct gpg_status *s, int v, struct span args, dray_error **err)
{
	if (verdict(s, (enum gpg_verdict)v, err) < 0)
		return -1;
	return next_key(s, &args, &current(s)->key_id, err) < 0
		       ? -1
		       : rest_text(s, args, &current(s)->uid, err);
}

/* ERRSIG keyid pkalgo hashalgo class time rc [fingerprint] */
static int on_unchecked(struct gpg_status *s, int unused, struct span args, dray_error **err)
{
	const char *key = NULL;
	int64_t rc = -1;

	(void)unused;
	if (next_key(s, &args, &key, err) < 0)
		return -1;
	for (int i = 0; i < 4; i++)
		next_word(&args);
	rc = next_number(s, &args);
	if (verdict(s, rc == ERRSIG_NO_KEY ? GPG_NO_KEY : GPG_UNCHECKED, err) < 0)
		return -1;
	current(s)->key_id = key;
	return 0;
}

/* VALIDSIG fingerprint date created expires version reserved pkalgo hashalgo class primary */
static int on_valid(struct gpg_status *s, int unused, struct span args, dray_error **err)
{
	struct gpg_signature *sig = current(s);

	(void)unused;
	if (!sig || sig->valid) {
		s->garbled = true;
		return 0;
	}
	sig->valid = true;
	if (next_key(s, &args, &sig->fingerprint, err) < 0)
		return -1;
	next_word(&args);
	sig->created = next_number(s, &args);
	sig->expires = next_number(s, &args);
	for (int i = 0; i < 3; i++)
		next_word(&args);
	sig->hash = next_number(s, &args);
	sig->type = next_hex_byte(s, &args);
	return next_key(s, &args, &sig->primary, err);
}

/* SIG_CREATED kind pkalgo hashalgo class time fingerprint */
static int on_created(struct gpg_status *s, int unused, struct span args, dray_error **err)
{
	struct gpg_signature *sig;

	(void)unused;
	if (open_signature(s, err) < 0)
		return -1;
	sig = current(s);
	sig->verdict = GPG_GOOD;
	s->not_detached |= !span_is(next_word(&args), "D");
	next_word(&args);
	sig->hash = next_number(s, &args);
	sig->type = next_hex_byte(s, &args);
	sig->created = next_number(s, &args);
	sig->valid = true;
	return next_key(s, &args, &sig->fingerprint, err);
}

static int on_new(struct gpg_status *s, int unused, struct span args, dray_error **err)
{
	(void)unused, (void)args;
	s->told_new = true;
	return open_signature(s, err);
}

enum trust { NEVER, UNDEFINED, MARGINAL, FULLY, ULTIMATE };

static int on_trust(struct gpg_status *s, int level, struct span args, dray_error **err)
{
	static const char *const names[] = { "never", "undefined", "marginal", "fully",
					     "ultimate" };
	struct gpg_signature *sig = current(s);

	(void)args, (void)err;
	if (!sig) {
		s->garbled = true;
		return 0;
	}
	sig->trust = names[level];
	sig->distrusted |= level == NEVER;
	return 0;
}

/* ---- notes on the whole ---- */

enum note { NO_DATA, PLAINTEXT, BAD_ARMOR, FAILED, NO_SECRET_KEY, BAD_PASSPHRASE, PINENTRY };

static int on_note(struct gpg_status *s, int note, struct span args, dray_error **err)
{
	(void)args, (void)err;
	s->no_data |= note == NO_DATA;
	s->not_detached |= note == PLAINTEXT;
	s->garbled |= note == BAD_ARMOR;
	s->failed |= note == FAILED;
	s->no_secret_key |= note == NO_SECRET_KEY;
	s->bad_passphrase |= note == BAD_PASSPHRASE;
	s->asked |= note == PINENTRY;
	return 0;
}

/* FAILURE where code: the low 16 bits are libgpg-error's number. */
static int on_failure(struct gpg_status *s, int unused, struct span args, dray_error **err)
{
	int64_t code;

	(void)unused, (void)err;
	s->failed = true;
	next_word(&args);
	if (num_parse_u63(next_word(&args), &code))
		s->bad_passphrase |= (code & 0xffff) == ERROR_BAD_PASSPHRASE ||
				     (code & 0xffff) == ERROR_NO_PASSPHRASE;
	return 0;
}

/* ---- lines ---- */

struct keyword {
	const char *word;
	int (*on)(struct gpg_status *s, int arg, struct span args, dray_error **err);
	int arg;
};

static const struct keyword keywords[] = {
	{ "NEWSIG", on_new, 0 },
	{ "GOODSIG", on_verdict, GPG_GOOD },
	{ "BADSIG", on_verdict, GPG_BAD },
	{ "EXPSIG", on_verdict, GPG_SIG_EXPIRED },
	{ "EXPKEYSIG", on_verdict, GPG_KEY_EXPIRED },
	{ "REVKEYSIG", on_verdict, GPG_KEY_REVOKED },
	{ "ERRSIG", on_unchecked, 0 },
	{ "VALIDSIG", on_valid, 0 },
	{ "SIG_CREATED", on_created, 0 },
	{ "TRUST_NEVER", on_trust, NEVER },
	{ "TRUST_UNDEFINED", on_trust, UNDEFINED },
	{ "TRUST_MARGINAL", on_trust, MARGINAL },
	{ "TRUST_FULLY", on_trust, FULLY },
	{ "TRUST_ULTIMATE", on_trust, ULTIMATE },
	{ "NODATA", on_note, NO_DATA },
	{ "PLAINTEXT", on_note, PLAINTEXT },
	{ "BADARMOR", on_note, BAD_ARMOR },
	{ "UNEXPECTED", on_note, BAD_ARMOR },
	{ "ERROR", on_note, FAILED },
	{ "FAILURE", on_failure, 0 },
	{ "PINENTRY_LAUNCHED", on_note, PINENTRY },
	{ "NO_SECKEY", on_note, NO_SECRET_KEY },
	{ "INV_SGNR", on_note, NO_SECRET_KEY },
	{ "NO_SGNR", on_note, NO_SECRET_KEY },
	{ "BAD_PASSPHRASE", on_note, BAD_PASSPHRASE },
	{ "MISSING_PASSPHRASE", on_note, BAD_PASSPHRASE },
};

static int take_line(struct gpg_status *s, dray_error **err)
{
	struct span line = span_buf(&s->line);
	struct span word;

	if (!span_starts(line, PREFIX) || span_find(line, '\0') >= 0) {
		s->garbled = true;
		return 0;
	}
	line = span_from(line, strlen(PREFIX));
	word = next_word(&line);
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		if (span_is(word, keywords[i].word))
			return keywords[i].on(s, keywords[i].arg, line, err);
	}
	return 0;
}

int gpg_status_feed(struct gpg_status *s, struct span bytes, dray_error **err)
{
	while (bytes.len && !s->garbled) {
		int64_t end = span_find(bytes, '\n');
		struct span piece = end < 0 ? bytes : span_head(bytes, (size_t)end);

		if (s->line.len + piece.len > s->line.max) {
			s->garbled = true;
			return 0;
		}
		if (buf_add(&s->line, piece, err) < 0)
			return -1;
		if (end < 0)
			return 0;
		bytes = span_from(bytes, (size_t)end + 1);
		if (take_line(s, err) < 0)
			return -1;
		buf_reset(&s->line);
	}
	return 0;
}

void gpg_status_end(struct gpg_status *s)
{
	s->garbled |= s->line.len > 0;
}

void gpg_status_clear(struct gpg_status *s)
{
	arena_clear(&s->arena);
	buf_clear(&s->line);
	mem_free(s->sigs);
	*s = GPG_STATUS_INIT;
}

/* ---- judging ---- */

const char *gpg_hash_name(int64_t algorithm)
{
	static const char *const names[] = {
		[8] = "sha256",	 [9] = "sha384",    [10] = "sha512",
		[11] = "sha224", [12] = "sha3-256", [14] = "sha3-512",
	};

	return algorithm >= 0 && algorithm < (int64_t)ARRAY_LEN(names) ? names[algorithm] : NULL;
}

static int refuse(const struct gpg_signature *sig, const char *why, dray_error **err)
{
	const char *key = sig->fingerprint ? sig->fingerprint : sig->key_id;
	cleanup_free char *uid = sig->uid && *sig->uid ? text_safe(span_str(sig->uid), SHOWN_UID)
						       : NULL;

	return err_set(err, DRAY_ERR_SIGNATURE, "%s (key %s%s%s)", why, key ? key : "unknown",
		       uid ? ", " : "", uid ? uid : "");
}

static int judge_one(const struct gpg_signature *sig, dray_error **err)
{
	static const char *const why[] = {
		[GPG_NO_VERDICT] = "the signature was not checked",
		[GPG_BAD] = "bad signature: it was made over other bytes",
		[GPG_NO_KEY] = "the keyring has no key that this signature could be from",
		[GPG_UNCHECKED] = "the signature cannot be checked by this gpg",
		[GPG_SIG_EXPIRED] = "the signature has expired",
		[GPG_KEY_EXPIRED] = "the key of the signature has expired",
		[GPG_KEY_REVOKED] = "the key of the signature was revoked",
		[GPG_CONTRADICTION] = "gpg contradicts itself about the signature",
	};

	if (sig->verdict != GPG_GOOD)
		return refuse(sig, why[sig->verdict], err);
	if (!sig->valid || !sig->fingerprint)
		return refuse(sig, "gpg did not call the signature valid", err);
	if (sig->type != TYPE_BINARY)
		return refuse(sig, "not a signature of a binary document", err);
	if (!gpg_hash_name(sig->hash))
		return refuse(sig, "the signature uses a hash function that is too weak", err);
	if (sig->distrusted)
		return refuse(sig, "the keyring's owner has marked the key as never to trust", err);
	return 0;
}

/* What speaks against all of it. */
static int judge_run(const struct gpg_status *s, dray_error **err)
{
	if (s->garbled)
		return err_set(err, DRAY_ERR_SIGNATURE, "gpg's report is damaged");
	if (s->not_detached)
		return err_set(err, DRAY_ERR_SIGNATURE,
			       "not a detached signature: it carries a text of its own");
	return 0;
}

int gpg_status_judge(const struct gpg_status *s, bool exited_well, dray_error **err)
{
	if (judge_run(s, err) < 0)
		return -1;
	for (size_t i = 0; i < s->n_sigs; i++)
		if (judge_one(&s->sigs[i], err) < 0)
			return -1;
	for (size_t i = 0; i < s->n_sigs; i++)
		if (!s->sigs[i].primary)
			return refuse(&s->sigs[i], "gpg did not name the primary key", err);
	if (s->n_sigs == 0)
		return err_set(err, DRAY_ERR_SIGNATURE, "there is no detached signature in it");
	if (s->no_data || s->failed || !exited_well)
		return err_set(err, DRAY_ERR_SIGNATURE, "gpg did not accept all of the file");
	return 0;
}

int gpg_status_judge_signing(const struct gpg_status *s, bool exited_well, dray_error **err)
{
	if (judge_run(s, err) < 0)
		return -1;
	if (exited_well && s->n_sigs > 0 && !s->failed) {
		for (size_t i = 0; i < s->n_sigs; i++)
			if (judge_one(&s->sigs[i], err) < 0)
				return -1;
		return 0;
	}
	if (s->no_secret_key) {
		err_set(err, DRAY_ERR_SIGNATURE, "there is no such secret key that may sign");
		return err_hint(err, "gpg --list-secret-keys shows which there are");
	}
	if (s->bad_passphrase)
		return err_set(err, DRAY_ERR_SIGNATURE, "the passphrase is missing or wrong");
	if (s->asked) {
		err_set(err, DRAY_ERR_SIGNATURE, "gpg asked for a passphrase and got none");
		return err_hint(err, "--passphrase-file gives it without a terminal");
	}
	err_set(err, DRAY_ERR_SIGNATURE, "gpg could not sign");
	return err_hint(err, "-v shows what gpg says about it");
}
