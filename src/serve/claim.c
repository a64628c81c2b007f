/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what a client says of itself in the head of a request.
 * Relies on base64 that is strict.
 * Promises: a user and a password are what bcrypt sees of them, to the last byte; they are wiped.
 */
#include "serve/claim.h"

#include "base/number.h"
#include "base/text.h"

void claim_clear(struct claim *c)
{
	buf_wipe(&c->secret);
}

/* Whether a field begins with @p scheme and a blank; *ret is the rest. */
static bool has_scheme(struct span field, const char *scheme, struct span *ret)
{
	size_t len = strlen(scheme);

	if (field.len <= len || field.data[len] != ' ' || !ascii_ieq(span_head(field, len), scheme))
		return false;
	*ret = span_from(field, len);
	while (ret->len > 0 && ret->data[0] == ' ')
		*ret = span_from(*ret, 1);
	return true;
}

static int decode(struct span text, struct buf *ret, bool *ret_good, dray_error **err)
{
	cleanup_error dray_error *why = NULL;

	*ret_good = base64_decode(text, ret, &why) == 0;
	if (!*ret_good && dray_error_kind(why) == DRAY_ERR_NOMEM)
		return err_nomem(err);
	return 0;
}

/* A NUL would be the end of a password to bcrypt, so what holds one is nobody's. */
static int read_basic(struct span text, struct claim *ret, dray_error **err)
{
	struct buf *b = &ret->secret;
	bool good;
	int64_t colon;

	ret->kind = CLAIM_OTHER;
	if (text.len > CLAIM_BASIC_MAX)
		return 0;
	if (decode(text, b, &good, err) < 0)
		return -1;
	colon = span_find(span_buf(b), ':');
	if (!good || colon < 0 || span_find(span_buf(b), '\0') >= 0)
		return 0;
	if (buf_add_byte(b, '\0', err) < 0)
		return -1;
	b->data[colon] = '\0';
	ret->user = (const char *)b->data;
	ret->password = (const char *)b->data + colon + 1;
	ret->kind = *ret->user || *ret->password ? CLAIM_BASIC : CLAIM_NONE;
	return 0;
}

int claim_read(const char *field, struct claim *ret, dray_error **err)
{
	struct span text = span_str(field ? field : ""), rest;

	*ret = (struct claim){ .secret = BUF_INIT(CLAIM_BASIC_MAX) };
	if (text.len == 0)
		return 0;
	if (has_scheme(text, "basic", &rest))
		return read_basic(rest, ret, err);
	ret->kind = has_scheme(text, "bearer", &ret->token) ? CLAIM_BEARER : CLAIM_OTHER;
	return 0;
}
