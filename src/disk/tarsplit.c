/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the lines of a tar-split, one at a time.
 * Relies on: json/ for each of them; positions that count up from 0.
 * Promises: memory of one line, at most LIMIT_TARSPLIT_LINE; nothing is believed that is not checked.
 */
#include "disk/tarsplit.h"

#include "base/limits.h"
#include "base/number.h"
#include "json/json.h"

#define CRC_BYTES 8

int tarsplit_reader_init(struct tarsplit_reader *r, struct source *lines, dray_error **err)
{
	(void)err;
	*r = (struct tarsplit_reader){
		.lines = lines,
		.line = BUF_INIT(LIMIT_TARSPLIT_LINE),
		.bytes = BUF_INIT(LIMIT_TARSPLIT_LINE),
	};
	return lines ? 0 : -1;
}

void tarsplit_reader_clear(struct tarsplit_reader *r)
{
	source_free(r->lines);
	buf_clear(&r->line);
	buf_clear(&r->bytes);
	arena_clear(&r->arena);
	r->lines = NULL;
}

/* ---- one line ---- */

/* What stands between the quotes, where nothing is escaped: base64 never is. */
static bool plain_text(struct json v, struct span *ret)
{
	struct span raw = json_raw(v);

	if (json_type(v) != JSON_STRING || memchr(raw.data, '\\', raw.len))
		return false;
	*ret = span_of(raw.data + 1, raw.len - 2);
	return true;
}

/* Base64 of a member into the reader's bytes. */
static int decode(struct tarsplit_reader *r, struct json v, const char *what, dray_error **err)
{
	struct span text;

	buf_reset(&r->bytes);
	if (!plain_text(v, &text) && json_string_bytes(v, what, &r->arena, &text, err) < 0)
		return -1;
	return base64_decode(text, &r->bytes, err) < 0 ? err_ctx(err, "%s", what) : 0;
}

static int read_name(struct tarsplit_reader *r, struct json line, struct span *ret,
		     dray_error **err)
{
	struct json raw = json_get(line, "name_raw");

	if (!json_present(raw))
		return json_string_bytes(json_get(line, "name"), "name", &r->arena, ret, err);
	if (decode(r, raw, "name_raw", err) < 0)
		return -1;
	*ret = arena_dup(&r->arena, span_buf(&r->bytes));
	return ret->data ? 0 : err_nomem(err);
}

static int read_crc(struct tarsplit_reader *r, struct json payload, uint64_t *ret, dray_error **err)
{
	if (decode(r, payload, "payload", err) < 0)
		return -1;
	if (r->bytes.len != CRC_BYTES)
		return err_set(err, DRAY_ERR_FORMAT, "a checksum of %zu bytes, expected %d",
			       r->bytes.len, CRC_BYTES);
	*ret = 0;
	for (size_t i = 0; i < CRC_BYTES; i++)
		*ret = *ret << 8 | r->bytes.data[i];
	return 0;
}

static int read_file(struct tarsplit_reader *r, struct json line, struct tarsplit_entry *ret,
		     dray_error **err)
{
	struct json size = json_get(line, "size");

	if (read_name(r, line, &ret->name, err) < 0)
		return -1;
	if (json_present(size) && json_int(size, "size", &ret->size, err) < 0)
		return -1;
	if (ret->size < 0)
		return err_set(err, DRAY_ERR_FORMAT, "a size of %lld", (long long)ret->size);
	if (!ret->size)
		return 0;
	if (!ret->name.len)
		return err_set(err, DRAY_ERR_FORMAT, "a file without a name");
	return read_crc(r, json_get(line, "payload"), &ret->crc, err);
}

static int read_bytes(struct tarsplit_reader *r, struct json line, struct tarsplit_entry *ret,
		      dray_error **err)
{
	struct json payload = json_get(line, "payload");

	buf_reset(&r->bytes);
	if (json_present(payload) && decode(r, payload, "payload", err) < 0)
		return -1;
	ret->bytes = span_buf(&r->bytes);
	return 0;
}

static int read_line(struct tarsplit_reader *r, struct json line, struct tarsplit_entry *ret,
		     dray_error **err)
{
	int64_t type, position;

	*ret = (struct tarsplit_entry){ 0 };
	if (json_want(line, JSON_OBJECT, false, "line", err) < 0 ||
	    json_int(json_get(line, "type"), "type", &type, err) < 0 ||
	    json_int(json_get(line, "position"), "position", &position, err) < 0)
		return -1;
	if (position != r->n)
		return err_set(err, DRAY_ERR_FORMAT, "position %lld, expected %lld",
			       (long long)position, (long long)r->n);
	ret->type = (enum tarsplit_type)type;
	switch (type) {
	case TARSPLIT_FILE:
		return read_file(r, line, ret, err);
	case TARSPLIT_BYTES:
		return read_bytes(r, line, ret, err);
	default:
		return err_set(err, DRAY_ERR_FORMAT, "type %lld", (long long)type);
	}
}

/* ---- all of them ---- */

/* The next line without its end; 0 = there is none. */
static int take_line(struct tarsplit_reader *r, dray_error **err)
{
	struct span at;

	buf_reset(&r->line);
	for (;;) {
		if (source_peek(r->lines, 1, &at, err) < 0)
			return -1;
		if (!at.len)
			return r->line.len > 0;
		int64_t end = span_find(at, '\n');
		struct span piece = end < 0 ? at : span_head(at, (size_t)end);
		if (buf_add(&r->line, piece, err) < 0)
			return err_ctx(err, "a line over LIMIT_TARSPLIT_LINE");
		source_consume(r->lines, piece.len + (end >= 0));
		if (end < 0)
			continue;
		/* Nothing bounds how many there are, and a compressed one costs nothing. */
		return r->line.len ? 1
				   : err_set(err, DRAY_ERR_FORMAT, "tar-split line %lld is empty",
					     (long long)r->n + 1);
	}
}

int tarsplit_next(struct tarsplit_reader *r, struct tarsplit_entry *ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	int rc = r->ended ? 0 : take_line(r, err);

	if (rc < 0)
		return -1;
	if (!rc) {
		r->ended = true;
		return 0;
	}
	arena_clear(&r->arena);
	if (json_parse(span_buf(&r->line), &doc, err) < 0 ||
	    read_line(r, json_root(doc), ret, err) < 0)
		return err_ctx(err, "tar-split line %lld", (long long)r->n + 1);
	r->n++;
	return 1;
}

int tarsplit_size(struct source *lines, int64_t *ret, dray_error **err)
{
	cleanup_tarsplit struct tarsplit_reader r = { 0 };
	struct tarsplit_entry e;
	int64_t sum = 0;
	int rc;

	if (tarsplit_reader_init(&r, lines, err) < 0)
		return -1;
	while ((rc = tarsplit_next(&r, &e, err)) > 0) {
		int64_t more = e.type == TARSPLIT_FILE ? e.size : (int64_t)e.bytes.len;

		if (__builtin_add_overflow(sum, more, &sum))
			return err_set(err, DRAY_ERR_FORMAT, "a tar of more than 2^63 bytes");
	}
	*ret = sum;
	return rc;
}
