/* SPDX-License-Identifier: Apache-2.0
 *
 * The program gpg, driven: data through a socket into its standard input, its
 * status lines on a pipe of their own, the signature from its standard output.
 *
 * gpg and not gpgv: gpgv looks neither at the expiry nor at the revocation of keys.
 */
#pragma once

#include "base/process.h"
#include "flow/sink.h"
#include "ops/gpg_status.h"

#define GPG_ARGS 48

struct gpg {
	struct process process;
	int data, status, out, errors;	/* our ends; -1 = closed */
	struct gpg_status said;		/* understood so far */
	struct buf signature;		/* what it wrote to standard output */
	struct buf text;		/* and for people: shown as a detail, never understood */
	bool deaf;			/* it left before all data was sent; gpg_end() tells why */
	int64_t patience_ms;		/* for an answer; INT64_MAX where a person may have to type */
};
#define GPG_INIT                                                                                   \
	((struct gpg){ .process = PROCESS_INIT,                                                    \
		       .data = -1,                                                                 \
		       .status = -1,                                                               \
		       .out = -1,                                                                  \
		       .errors = -1,                                                               \
		       .said = GPG_STATUS_INIT,                                                    \
		       .signature = BUF_INIT(LIMIT_SIGNATURE),                                     \
		       .text = BUF_INIT(LIMIT_GPG_SAID) })

struct gpg_sign_options {
	const char *key;		/* as gpg names keys: a fingerprint, an address */
	const char *homedir;		/* NULL = GNUPGHOME, else ~/.gnupg */
	const char *passphrase_file;	/* NULL = gpg's agent asks */
	bool armor;
};
/** Begin a detached signature over what gpg_sink() will take. UNSUPPORTED without a gpg. */
int gpg_start_sign(struct gpg *g, const struct gpg_sign_options *o, dray_error **err) MUST_CHECK;

/**
 * Begin to hold @p signature against what gpg_sink() will take. With @p keyring, public
 * keys as gpg keeps or exports them, no others count and nothing of the user's gpg is
 * read: neither keys nor options. No agent, no network, no file on a disk either way.
 */
int gpg_start_verify(struct gpg *g, struct span signature, const struct span *keyring,
		     const char *homedir, dray_error **err) MUST_CHECK;

/**
 * For the data; @p g is lent. Not before gpg_end() does it matter whether gpg likes
 * them; a gpg that left makes the sink fail with g->deaf set.
 */
struct sink *gpg_sink(struct gpg *g, dray_error **err);
/** The end of the data: wait for the answer. Then g->said and g->signature are whole. */
int gpg_end(struct gpg *g, bool *ret_exited_well, dray_error **err) MUST_CHECK;
/** What gpg printed for people, in one line and safe to show. Owned; NULL = no memory. */
char *gpg_text(const struct gpg *g);
/** Ends gpg if it still runs. */
void gpg_clear(struct gpg *g);
#define cleanup_gpg CLEANUP(gpg_clear)

/**
 * Public keys in a form that gpg takes as a keyring: armoured ones become binary, all
 * blocks of the file; others are lent as they are. FORMAT when it is none of these.
 */
int keyring_open(struct span file, struct buf *own, struct span *ret, dray_error **err) MUST_CHECK;
/** FORMAT unless @p file begins as a detached signature does, armoured or not. */
int signature_sniff(struct span file, dray_error **err) MUST_CHECK;
