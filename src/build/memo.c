/* SPDX-License-Identifier: Apache-2.0
 *
 * What the last build saw, as a file of lines with a digest of them at its end.
 * Relies on ctime: whoever writes to a file cannot set it.
 * Promises that what is damaged in any byte counts as nothing.
 */
#include "build/memo.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"

#define HEAD "dray build cache "
#define VERSION "1"
#define SUM "sum "
#define SUM_LEN (sizeof(SUM) - 1 + DIGEST_HEX_SHA256 + 1)
#define SIZE_MAX_BYTES (512 * MIB) /* two million files with names of 150 bytes */
#define LINE_MAX_BYTES (4 * LIMIT_PATH + KIB)

/*
 * How late before the build a file may have changed: a second change within the clock's tick has the
 * same ctime. Where a time has no digits below 10 ms the file system may count in 2 s (FAT).
 */
#define TICK_NS 20000000
#define COARSE_NS 10000000
#define COARSE_TICK_S 3

void memo_clear(struct memo *m)
{
	map_clear(&m->files);
	map_clear(&m->layers);
	arena_clear(&m->arena);
	*m = (struct memo){ .begun = m->begun };
}

void memo_begin(struct memo *m)
{
	clock_gettime(CLOCK_REALTIME, &m->begun);
}

/* ---- files ---- */

/* Too late to tell: within one tick of the beginning, or after it. */
static bool is_late(int64_t sec, int64_t nsec, struct timespec begun)
{
	bool coarse = nsec % COARSE_NS == 0;

	sec += coarse ? COARSE_TICK_S : 0;
	nsec += coarse ? 0 : TICK_NS;
	sec += nsec / 1000000000;
	nsec %= 1000000000;
	return sec > begun.tv_sec || (sec == begun.tv_sec && nsec >= begun.tv_nsec);
}

/* A name as a word of a line. */
static int add_word(struct buf *b, const char *text, dray_error **err)
{
	for (const uint8_t *c = (const uint8_t *)text; *c; c++) {
		bool plain = *c > ' ' && *c < 0x7f && *c != '%';

		if ((plain ? buf_add_byte(b, *c, err) : buf_printf(b, err, "%%%02x", *c)) < 0)
			return -1;
	}
	return 0;
}

/* All that stat(2) says of where its bytes come from, and which of them: a line's end. */
static int identity(const struct content *c, struct buf *ret, dray_error **err)
{
	const struct seen *s = &c->seen;
	int64_t off = c->kind == CONTENT_EXTENT ? c->off : 0;

	if (buf_printf(ret, err, "%llu %llu %lld.%09u %lld.%09u %lld+%lld ",
		       (unsigned long long)s->dev, (unsigned long long)s->ino, (long long)s->mtime,
		       s->mtime_nsec, (long long)s->ctime, s->ctime_nsec, (long long)off,
		       (long long)c->size) < 0)
		return -1;
	return add_word(ret, c->path, err);
}

int memo_find(const struct memo *m, const struct content *c, const uint8_t **ret, dray_error **err)
{
	cleanup_buf struct buf key = BUF_INIT(LINE_MAX_BYTES);

	if (!memo_takes(c))
		return 0;
	if (identity(c, &key, err) < 0)
		return -1;
	*ret = map_get(&m->files, span_buf(&key));
	return *ret != NULL;
}

static int put_file(struct memo *m, struct span key, const uint8_t *sha256, dray_error **err)
{
	struct span kept = arena_dup(&m->arena, key);
	struct span value = arena_dup(&m->arena, span_of(sha256, CONTENT_DIGEST_LEN));

	if (!kept.data || !value.data)
		return err_nomem(err);
	return map_put(&m->files, kept, (void *)(uintptr_t)value.data, err);
}

int memo_add(struct memo *m, const struct content *c, const uint8_t *sha256, dray_error **err)
{
	cleanup_buf struct buf key = BUF_INIT(LINE_MAX_BYTES);

	if (!memo_takes(c) || is_late(c->seen.ctime, c->seen.ctime_nsec, m->begun) ||
	    is_late(c->seen.mtime, c->seen.mtime_nsec, m->begun))
		return 0;
	if (identity(c, &key, err) < 0)
		return -1;
	return put_file(m, span_buf(&key), sha256, err);
}

/* ---- layers ---- */

struct memo_layer *memo_layer(const struct memo *m, const struct digest *key)
{
	return map_get(&m->layers, span_str(key->text));
}

struct memo_layer *memo_add_layer(struct memo *m, const struct digest *key,
				  const struct digest *diff_id, int64_t size, dray_error **err)
{
	struct memo_layer *l = arena_alloc(&m->arena, sizeof(*l));

	if (!l) {
		err_nomem(err);
		return NULL;
	}
	*l = (struct memo_layer){ .key = *key, .diff_id = *diff_id, .size = size };
	return map_put(&m->layers, span_str(l->key.text), l, err) < 0 ? NULL : l;
}

int memo_add_blob(struct memo *m, struct memo_layer *l, const struct memo_blob *b, dray_error **err)
{
	struct memo_blob **at = &l->blobs;

	while (*at && strcmp((*at)->encoder, b->encoder) != 0)
		at = &(*at)->next;
	if (!*at) {
		*at = arena_alloc(&m->arena, sizeof(**at));
		if (!*at)
			return err_nomem(err);
		(*at)->next = NULL;
	}
	memcpy((*at)->encoder, b->encoder, sizeof(b->encoder));
	(*at)->digest = b->digest;
	(*at)->size = b->size;
	return 0;
}

/* ---- reading ---- */

/* The next word of a line, without the space behind it. */
static struct span take_word(struct span *line)
{
	int64_t space = span_find(*line, ' ');
	struct span word = space < 0 ? *line : span_head(*line, (size_t)space);

	*line = space < 0 ? span_from(*line, line->len) : span_from(*line, (size_t)space + 1);
	return word;
}

static int malformed(dray_error **err)
{
	return err_set(err, DRAY_ERR_FORMAT, "a line is not as it should be");
}

static int read_file_line(struct memo *m, struct span line, dray_error **err)
{
	struct span hex = take_word(&line);
	uint8_t sha256[CONTENT_DIGEST_LEN];

	if (!hex_is_lower(hex, sizeof(sha256) * 2) || line.len == 0)
		return malformed(err);
	hex_decode((const char *)hex.data, sha256, sizeof(sha256));
	return put_file(m, line, sha256, err);
}

static int read_layer_line(struct memo *m, struct span line, struct memo_layer **ret,
			   dray_error **err)
{
	struct span key = take_word(&line), diff_id = take_word(&line);
	struct digest k, d;
	int64_t size;

	if (!num_parse_u63(line, &size) || digest_from_hex(key, &k, NULL) < 0 ||
	    digest_from_hex(diff_id, &d, NULL) < 0)
		return malformed(err);
	*ret = memo_add_layer(m, &k, &d, size, err);
	return *ret ? 0 : -1;
}

/* "-" stands for no encoder. */
static int read_blob_line(struct memo *m, struct memo_layer *l, struct span line, dray_error **err)
{
	struct span encoder = take_word(&line), digest = take_word(&line);
	struct memo_blob b = { 0 };

	if (!l || encoder.len == 0 || encoder.len >= sizeof(b.encoder) ||
	    digest_from_hex(digest, &b.digest, NULL) < 0 || !num_parse_u63(line, &b.size))
		return malformed(err);
	if (!span_is(encoder, "-"))
		memcpy(b.encoder, encoder.data, encoder.len);
	return memo_add_blob(m, l, &b, err);
}

static int read_lines(struct memo *m, struct span text, dray_error **err)
{
	struct memo_layer *l = NULL;

	while (text.len > 0) {
		int64_t end = span_find(text, '\n');
		struct span line, what;
		int rc;

		if (end < 0)
			return malformed(err);
		line = span_head(text, (size_t)end);
		text = span_from(text, (size_t)end + 1);
		what = take_word(&line);
		if (span_is(what, "file"))
			rc = read_file_line(m, line, err);
		else if (span_is(what, "layer"))
			rc = read_layer_line(m, line, &l, err);
		else
			rc = span_is(what, "blob") ? read_blob_line(m, l, line, err)
						   : malformed(err);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* The lines between the head and the sum, which fits. */
static int check_frame(struct span *text, dray_error **err)
{
	struct span all = *text, sum;
	struct digest d;

	if (!span_starts(all, HEAD))
		return err_set(err, DRAY_ERR_FORMAT, "it is no cache of builds");
	if (!span_starts(all, HEAD VERSION "\n"))
		return err_set(err, DRAY_ERR_UNSUPPORTED, "another version wrote it");
	if (all.len < SUM_LEN)
		return err_set(err, DRAY_ERR_FORMAT, "it is cut off");
	sum = span_from(all, all.len - SUM_LEN);
	all = span_head(all, all.len - SUM_LEN);
	if (digest_of(all, &d, err) < 0)
		return -1;
	if (!span_starts(sum, SUM) || sum.data[SUM_LEN - 1] != '\n' ||
	    !span_is(span_of(sum.data + strlen(SUM), DIGEST_HEX_SHA256), digest_hex(&d)))
		return err_set(err, DRAY_ERR_FORMAT, "its digest does not fit");
	*text = span_from(all, strlen(HEAD VERSION "\n"));
	return 0;
}

int memo_load(struct memo *m, const char *dir, dray_error **err)
{
	cleanup_fd int fd = io_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0, err);
	cleanup_buf struct buf text = BUF_INIT(SIZE_MAX_BYTES);
	struct span lines;

	if (fd < 0 || io_read_file(fd, MEMO_NAME, SIZE_MAX_BYTES, &text, err) < 0)
		return -1;
	lines = span_buf(&text);
	if (check_frame(&lines, err) == 0 && read_lines(m, lines, err) == 0)
		return 0;
	memo_clear(m);
	return -1;
}

/* ---- writing ---- */

static int write_file_line(const struct map_slot *slot, struct buf *ret, dray_error **err)
{
	char hex[2 * CONTENT_DIGEST_LEN + 1];

	hex_encode(slot->value, CONTENT_DIGEST_LEN, hex);
	if (buf_printf(ret, err, "file %s ", hex) < 0 || buf_add(ret, slot->key, err) < 0)
		return -1;
	return buf_add_byte(ret, '\n', err);
}

static int write_layer_lines(const struct memo_layer *l, struct buf *ret, dray_error **err)
{
	if (buf_printf(ret, err, "layer %s %s %lld\n", digest_hex(&l->key), digest_hex(&l->diff_id),
		       (long long)l->size) < 0)
		return -1;
	for (const struct memo_blob *b = l->blobs; b; b = b->next)
		if (buf_printf(ret, err, "blob %s %s %lld\n", b->encoder[0] ? b->encoder : "-",
			       digest_hex(&b->digest), (long long)b->size) < 0)
			return -1;
	return 0;
}

static int write_text(const struct memo *m, struct buf *ret, dray_error **err)
{
	struct digest d;

	if (buf_add_str(ret, HEAD VERSION "\n", err) < 0)
		return -1;
	for (size_t i = 0; i < m->files.len; i++)
		if (write_file_line(&m->files.slots[i], ret, err) < 0)
			return -1;
	for (size_t i = 0; i < m->layers.len; i++)
		if (write_layer_lines(m->layers.slots[i].value, ret, err) < 0)
			return -1;
	if (digest_of(span_buf(ret), &d, err) < 0)
		return -1;
	return buf_printf(ret, err, SUM "%s\n", digest_hex(&d));
}

int memo_save(const struct memo *m, const char *dir, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(SIZE_MAX_BYTES);
	cleanup_outfile struct outfile o = OUTFILE_INIT;
	cleanup_fd int fd = -1;

	if (io_mkdirat(AT_FDCWD, dir, 0700, true, err) < 0)
		return -1;
	fd = io_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0 || write_text(m, &text, err) < 0 ||
	    outfile_begin(&o, fd, MEMO_NAME, false, err) < 0)
		return -1;
	outfile_tidy(&o);
	if (io_write_all(o.fd, span_buf(&text), err) < 0)
		return -1;
	return outfile_commit(&o, err);
}
