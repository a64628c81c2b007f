/* SPDX-License-Identifier: Apache-2.0
 *
 * For: one name of an image's file system, as JSON and as a line.
 * Relies on: jsonw.h, page.h.
 * Promises: no byte of a name is lost in JSON, none acts on a terminal.
 */
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "cli/render.h"

#define NAME_MAX_JSON (1 << 20) /* bytes; names have LIMIT_PATH, three times that when escaped */

/* ---- JSON ---- */

static void fail_memory(struct jsonw *w)
{
	if (!w->failed)
		err_nomem(w->err);
	w->failed = true;
}

/* Bytes that are no UTF-8 become %XX. */
static int percent_encode(struct span s, struct buf *ret)
{
	while (s.len) {
		size_t n = utf8_len(s);

		if (n ? buf_add(ret, span_head(s, n), NULL) < 0
		      : buf_printf(ret, NULL, "%%%02X", s.data[0]) < 0)
			return -1;
		s = span_from(s, n ? n : 1);
	}
	return 0;
}

static void add_base64(struct jsonw *w, const char *key, struct span s)
{
	cleanup_free char *text = base64_encode(s);

	if (text)
		jsonw_kstring(w, key, text);
	else
		fail_memory(w);
}

void render_bytes(struct jsonw *w, const char *key, const char *bytes)
{
	cleanup_buf struct buf shown = BUF_INIT(NAME_MAX_JSON);
	struct span s = span_str(bytes);
	char more[32];

	if (!bytes || utf8_valid(s)) {
		jsonw_kstring(w, key, bytes);
		return;
	}
	if (percent_encode(s, &shown) < 0) {
		fail_memory(w);
		return;
	}
	jsonw_key(w, key);
	jsonw_bytes(w, span_buf(&shown));
	snprintf(more, sizeof(more), "%s_bytes", key);
	add_base64(w, more, s);
}

/* Text is a string; other values are {"base64":"..."}. */
static void render_xattr(struct jsonw *w, const struct dray_xattr *x)
{
	cleanup_buf struct buf name = BUF_INIT(NAME_MAX_JSON);
	struct span value = span_of(x->value, x->value_size);

	if (percent_encode(span_of(x->name, x->name_size), &name) < 0 ||
	    buf_add_byte(&name, 0, NULL) < 0) {
		fail_memory(w);
		return;
	}
	jsonw_key(w, (const char *)name.data);
	if (utf8_valid(value) && span_find(value, 0) < 0) {
		jsonw_bytes(w, value);
		return;
	}
	jsonw_object(w);
	add_base64(w, "base64", value);
	jsonw_end_object(w);
}

void render_xattrs(struct jsonw *w, const struct dray_file *f)
{
	jsonw_object(w);
	for (size_t i = 0; i < f->n_xattrs; i++)
		render_xattr(w, &f->xattrs[i]);
	jsonw_end_object(w);
}

static bool is_device(const struct dray_file *f)
{
	return strcmp(f->type, "char") == 0 || strcmp(f->type, "block") == 0;
}

void render_file(struct jsonw *w, const struct dray_file *f, bool digest)
{
	char mode[16], time[TIME_TEXT];

	snprintf(mode, sizeof(mode), "%04o", f->mode);
	jsonw_object(w);
	render_bytes(w, "path", *f->path ? f->path : ".");
	jsonw_kstring(w, "type", f->type);
	jsonw_kstring(w, "mode", mode);
	jsonw_kint(w, "uid", f->uid);
	jsonw_kint(w, "gid", f->gid);
	jsonw_kint(w, "size", f->size);
	jsonw_kstring(w, "mtime", time_format_utc(f->mtime, (int32_t)f->mtime_nsec, time));
	render_bytes(w, "link", f->link);
	jsonw_kint(w, "layer", f->layer);
	if (digest)
		jsonw_kstring(w, "digest", f->digest);
	if (is_device(f)) {
		jsonw_kint(w, "major", f->dev_major);
		jsonw_kint(w, "minor", f->dev_minor);
	}
	jsonw_key(w, "xattrs");
	render_xattrs(w, f);
	jsonw_end_object(w);
}

/* ---- text ---- */

static const struct {
	const char *type;
	char letter;
} letters[] = {
	{ "file", '-' }, { "hardlink", 'h' }, { "symlink", 'l' },
	{ "dir", 'd' },	 { "char", 'c' },     { "block", 'b' },
	{ "fifo", 'p' }, { "whiteout", 'W' }, { "opaque", 'O' },
};

static char type_letter(const char *type)
{
	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (strcmp(letters[i].type, type) == 0)
			return letters[i].letter;
	return '?';
}

/* As "ls -l" shows it. */
static void mode_text(const struct dray_file *f, char out[11])
{
	static const char all[] = "rwxrwxrwx";
	static const struct {
		uint32_t bit;
		int at;
		char letter;
	} special[] = { { 04000, 3, 's' }, { 02000, 6, 's' }, { 01000, 9, 't' } };

	out[0] = type_letter(f->type);
	for (int i = 0; i < 9; i++)
		out[i + 1] = f->mode & (0400U >> i) ? all[i] : '-';
	for (int i = 0; i < 3; i++)
		if (f->mode & special[i].bit)
			out[special[i].at] = out[special[i].at] == 'x'
						     ? special[i].letter
						     : (char)(special[i].letter - 'a' + 'A');
	out[10] = '\0';
}

void show_file(struct page *p, const struct dray_file *f)
{
	char mode[11], time[TIME_TEXT], owner[32], size[32];

	mode_text(f, mode);
	snprintf(owner, sizeof(owner), "%u/%u", f->uid, f->gid);
	if (is_device(f))
		snprintf(size, sizeof(size), "%u,%u", f->dev_major, f->dev_minor);
	else
		snprintf(size, sizeof(size), "%lld", (long long)f->size);
	page_put(p, "%s %-9s %10s %s ", mode, owner, size, time_format_utc(f->mtime, 0, time));
	page_safe(p, *f->path ? f->path : ".");
	if (f->link) {
		page_put(p, strcmp(f->type, "hardlink") == 0 ? " link to " : " -> ");
		page_safe(p, f->link);
	}
	page_put(p, "\n");
}
