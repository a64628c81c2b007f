/* SPDX-License-Identifier: Apache-2.0
 *
 * For: telling what a file of OpenPGP data is, and taking the armour off public keys.
 * Relies on: RFC 4880 4.2 and 6.2; gpg itself to judge what is inside.
 * Promises: several armoured blocks in one file are all taken; checksums of armour are not, they prove nothing.
 */
#include "base/number.h"
#include "ops/gpg.h"

#define BEGIN_KEYS "-----BEGIN PGP PUBLIC KEY BLOCK-----"
#define END_KEYS "-----END PGP PUBLIC KEY BLOCK-----"
#define BEGIN_SIGNATURE "-----BEGIN PGP SIGNATURE-----"
#define ARMOR_BEGINS "-----BEGIN "
#define KEYBOX_MAGIC "KBXf"
#define KEYBOX_MAGIC_AT 8

/* Packet tags, RFC 4880 4.3. */
enum { TAG_SIGNATURE = 2, TAG_SECRET_KEY = 5, TAG_PUBLIC_KEY = 6 };

/* The tag of the first packet; -1 = no packet begins here. */
static int first_tag(struct span file)
{
	uint8_t c = file.len ? file.data[0] : 0;

	if (!(c & 0x80))
		return -1;
	return c & 0x40 ? c & 0x3f : c >> 2 & 0x0f;
}

/* The next line without its end and what blanks are before that; false at the end. */
static bool next_line(struct span *rest, struct span *ret)
{
	int64_t end = span_find(*rest, '\n');

	if (rest->len == 0)
		return false;
	*ret = end < 0 ? *rest : span_head(*rest, (size_t)end);
	*rest = span_from(*rest, end < 0 ? rest->len : (size_t)end + 1);
	while (ret->len && strchr(" \t\r", ret->data[ret->len - 1]) && ret->data[ret->len - 1])
		ret->len--;
	return true;
}

static bool first_armor(struct span file, struct span *ret)
{
	while (next_line(&file, ret))
		if (span_starts(*ret, ARMOR_BEGINS))
			return true;
	return false;
}

/* What stands between two armour lines: headers, an empty line, base64, a checksum. */
static int take_block(struct span *rest, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_KEYRING);
	bool in_headers = true;
	struct span line;

	while (next_line(rest, &line)) {
		if (span_is(line, END_KEYS))
			return base64_decode(span_buf(&text), ret, err) < 0 ? err_ctx(err, "armour")
									    : 0;
		if (line.len == 0)
			in_headers = false;
		else if (!in_headers && line.data[0] != '=' && buf_add(&text, line, err) < 0)
			return -1;
	}
	return err_set(err, DRAY_ERR_FORMAT, "an armoured block of keys does not end");
}

static int take_armor(struct span file, struct buf *own, dray_error **err)
{
	struct span line;

	*own = BUF_INIT(LIMIT_KEYRING);
	while (next_line(&file, &line))
		if (span_is(line, BEGIN_KEYS) && take_block(&file, own, err) < 0)
			return -1;
	return 0;
}

int keyring_open(struct span file, struct buf *own, struct span *ret, dray_error **err)
{
	struct span line;

	*ret = file;
	if (file.len > KEYBOX_MAGIC_AT &&
	    span_starts(span_from(file, KEYBOX_MAGIC_AT), KEYBOX_MAGIC))
		return 0;
	if (first_tag(file) == TAG_PUBLIC_KEY)
		return 0;
	if (first_tag(file) == TAG_SECRET_KEY)
		return err_set(err, DRAY_ERR_FORMAT, "these are secret keys, not public ones");
	if (!first_armor(file, &line) || !span_is(line, BEGIN_KEYS))
		return err_set(err, DRAY_ERR_FORMAT, "no OpenPGP public keys in it");
	if (take_armor(file, own, err) < 0)
		return -1;
	*ret = span_buf(own);
	if (first_tag(*ret) != TAG_PUBLIC_KEY)
		return err_set(err, DRAY_ERR_FORMAT, "the armour holds no OpenPGP public key");
	return 0;
}

int signature_sniff(struct span file, dray_error **err)
{
	struct span line;

	if (file.len == 0)
		return err_set(err, DRAY_ERR_SIGNATURE, "the file is empty");
	if (first_tag(file) == TAG_SIGNATURE)
		return 0;
	if (first_tag(file) < 0 && first_armor(file, &line) && span_is(line, BEGIN_SIGNATURE))
		return 0;
	return err_set(err, DRAY_ERR_SIGNATURE, "this is no detached OpenPGP signature");
}
