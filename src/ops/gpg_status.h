/* SPDX-License-Identifier: Apache-2.0
 *
 * What gpg says on its status descriptor (GnuPG's doc/DETAILS, "Format of the
 * --status-fd output"), and what we make of it. Pure: bytes in, a judgement out.
 * Text that gpg prints for people is never looked at.
 */
#pragma once

#include "base/arena.h"
#include "base/limits.h"

/** What gpg found out about one signature. */
enum gpg_verdict {
	GPG_NO_VERDICT,		/* NEWSIG and nothing after it */
	GPG_GOOD,
	GPG_BAD,		/* other bytes were signed */
	GPG_NO_KEY,		/* none in the keyring that could have made it */
	GPG_UNCHECKED,		/* an algorithm or packet that gpg does not know or want */
	GPG_SIG_EXPIRED,
	GPG_KEY_EXPIRED,
	GPG_KEY_REVOKED,
	GPG_CONTRADICTION,	/* two verdicts on one signature */
};

struct gpg_signature {
	enum gpg_verdict verdict;
	bool valid;		/* VALIDSIG: the numbers below are the signature's own */
	bool distrusted;	/* TRUST_NEVER: the owner of the keyring said so */
	const char *key_id;	/* as gpg names the key before it is checked; NULL = it did not */
	const char *uid;	/* bytes that the key's owner chose; NULL = not told */
	const char *fingerprint, *primary;	/* upper-case hex; NULL = not told */
	int64_t created, expires;	/* Unix seconds; 0 = never */
	int64_t hash;		/* RFC 4880 9.4 */
	int64_t type;		/* RFC 4880 5.2.1: 0 binary document, 1 text; -1 unknown */
	const char *trust;	/* "ultimate", "fully", "marginal", "undefined", "never"; NULL = not asked */
};

struct gpg_status {
	struct arena arena;
	struct buf line;	/* begun, not ended */
	struct gpg_signature *sigs;	/* of a file: verified. Of a signing run: made */
	size_t n_sigs, cap_sigs;
	bool told_new;		/* NEWSIG opens signatures; gpg before 2.1 has none */
	bool garbled;		/* a line was too long, not ended, or not as documented */
	bool not_detached;	/* the file carries its own text */
	bool no_data;		/* no signature where one was expected */
	bool bad_passphrase;
	bool asked;		/* a person, for a passphrase or a card */
	bool no_secret_key;	/* or one that may not sign: expired, revoked, for other uses */
	bool failed;		/* ERROR or FAILURE */
};

/** Bytes as they come. -1 = no memory or over a limit. */
int gpg_status_feed(struct gpg_status *s, struct span bytes, dray_error **err) MUST_CHECK;
/** No more will come. */
void gpg_status_end(struct gpg_status *s);
void gpg_status_clear(struct gpg_status *s);
#define GPG_STATUS_INIT ((struct gpg_status){ .line = BUF_INIT(LIMIT_GPG_LINE) })

/**
 * Did everything that @p s tells, and gpg's exit status, say yes? All signatures of a
 * file count: one that is bad, expired, unknown or weak makes the answer no, whatever
 * the others say. -1 with SIGNATURE.
 */
int gpg_status_judge(const struct gpg_status *s, bool exited_well, dray_error **err) MUST_CHECK;
/** The same for a run that was to sign; there is no file whose signatures could contradict. */
int gpg_status_judge_signing(const struct gpg_status *s, bool exited_well,
			     dray_error **err) MUST_CHECK;

/** "sha256"; NULL = one whose collisions can be bought (MD5, SHA-1, RIPEMD-160), or unknown. */
const char *gpg_hash_name(int64_t algorithm);
