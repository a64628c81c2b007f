/* SPDX-License-Identifier: Apache-2.0
 *
 * mtree(5), line by line: words, escapes, what /set says, the folder that short names lie in.
 * Relies on tar_name_clean() for names.
 * Promises clean paths, each once, and the number of the line that is wrong.
 */
#include "build/mtree.h"

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "build/mtree_priv.h"

static void parser_clear(struct parser *p)
{
	map_clear(&p->seen);
	mem_free(p->depths);
	buf_clear(&p->folder);
	buf_clear(&p->clean);
}

void mtree_clear(struct mtree *m)
{
	arena_clear(&m->arena);
	mem_free(m->list);
	*m = (struct mtree){ 0 };
}

/* ---- words ---- */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* A backslash at the end of a line: it goes on. */
static bool goes_on(struct span s)
{
	return span_starts(s, "\\\n") || span_starts(s, "\\\r\n");
}

static void skip_line(struct parser *p)
{
	int64_t end = span_find(p->text, '\n');

	p->text = span_from(p->text, end < 0 ? p->text.len : (size_t)end);
}

/* The next word of this line; false at its end, which is taken. */
static bool next_word(struct parser *p, struct span *ret)
{
	size_t n = 0;

	while (p->text.len > 0 && (is_blank(p->text.data[0]) || goes_on(p->text))) {
		bool more = goes_on(p->text);

		p->text = span_from(p->text,
				    more ? (size_t)span_find(p->text, '\n') + 1 : (size_t)1);
		p->line += more;
	}
	if (p->text.len > 0 && p->text.data[0] == '#')
		skip_line(p);
	while (n < p->text.len && p->text.data[n] != '\n' && !is_blank(p->text.data[n]) &&
	       !goes_on(span_from(p->text, n)))
		n++;
	*ret = span_head(p->text, n);
	p->text = span_from(p->text, n);
	if (n > 0)
		return true;
	if (p->text.len > 0)
		p->text = span_from(p->text, 1);
	p->line++;
	return false;
}

/* ---- escapes, as vis(3) writes them ---- */

static bool octal(struct span s, uint8_t *ret)
{
	unsigned v = 0;

	if (s.len < 3)
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (s.data[i] < '0' || s.data[i] > '7')
			return false;
		v = v * 8 + (unsigned)(s.data[i] - '0');
	}
	*ret = (uint8_t)v;
	return v > 0 && v < 256;
}

/* What stands behind a backslash; 0 = nothing that is known. */
static size_t unescape_one(struct span s, uint8_t *ret)
{
	static const char from[] = "abfnrstv\\#", to[] = "\a\b\f\n\r \t\v\\#";
	const char *at;

	if (octal(s, ret))
		return 3;
	at = s.len > 0 && s.data[0] ? strchr(from, s.data[0]) : NULL;
	if (!at)
		return 0;
	*ret = (uint8_t)to[at - from];
	return 1;
}

static int bad_word(struct span word, const char *why, dray_error **err)
{
	cleanup_free char *shown = text_safe(word, 80);

	return err_set(err, DRAY_ERR_FORMAT, "%s: %s", shown ? shown : "", why);
}

int mtree_unescape(struct parser *p, struct span word, const char **ret, dray_error **err)
{
	char *to = arena_alloc(&p->m->arena, word.len + 1);
	size_t n = 0;

	if (!to)
		return err_nomem(err);
	if (word.len > LIMIT_PATH)
		return err_set(err, DRAY_ERR_LIMIT, "a name over LIMIT_PATH (%lld bytes)",
			       LIMIT_PATH);
	for (size_t i = 0; i < word.len; n++) {
		uint8_t c = word.data[i++];

		if (c == '\\') {
			size_t used = unescape_one(span_from(word, i), &c);

			if (used == 0)
				return bad_word(word,
						"an escape that is none: \\ooo is known, and "
						"letters as in C",
						err);
			i += used;
		}
		if (c == '\0')
			return bad_word(word, "a NUL byte", err);
		to[n] = (char)c;
	}
	*ret = to;
	return 0;
}

/* ---- names ---- */

/* What is told twice is kept once. */
static int keep_name(struct parser *p, const char **ret, dray_error **err)
{
	uintptr_t old = (uintptr_t)map_get(&p->seen, span_buf(&p->clean));

	*ret = old ? p->m->list[old - 1].path
		   : arena_strndup(&p->m->arena, p->clean.len ? (const char *)p->clean.data : "",
				   p->clean.len);
	return *ret ? 0 : err_nomem(err);
}

static int clean(struct parser *p, struct span name, const char **ret, dray_error **err)
{
	buf_reset(&p->clean);
	if (tar_name_quirks(name) & TAR_NAME_DOTDOT)
		return bad_word(name, "\"..\" leads nowhere in an image", err);
	if (tar_name_clean(name, &p->clean, err) < 0)
		return -1;
	p->names += p->clean.len + 1;
	if (p->names > LIMIT_LIST_NAMES)
		return err_set(err, DRAY_ERR_LIMIT,
			       "names of more than %lld bytes in all (LIMIT_LIST_NAMES)",
			       LIMIT_LIST_NAMES);
	return keep_name(p, ret, err);
}

/* A name without a slash lies in the folder that was last entered. */
static int place(struct parser *p, const char *name, const char **ret, dray_error **err)
{
	size_t len = p->folder.len;
	int rc;

	if (strchr(name, '/'))
		return clean(p, span_str(name), ret, err);
	if (buf_add_byte(&p->folder, '/', err) < 0 || buf_add_str(&p->folder, name, err) < 0)
		return -1;
	rc = clean(p, span_buf(&p->folder), ret, err);
	p->folder.len = len;
	return rc;
}

static int enter(struct parser *p, const char *path, dray_error **err)
{
	if (mem_grow(&p->depths, p->n_depths, &p->cap_depths, sizeof(*p->depths)) < 0)
		return err_nomem(err);
	p->depths[p->n_depths++] = p->folder.len;
	buf_reset(&p->folder);
	return buf_add_str(&p->folder, path, err);
}

static int leave(struct parser *p, dray_error **err)
{
	struct span word;

	if (p->n_depths == 0)
		return err_set(err, DRAY_ERR_FORMAT, "\"..\" leaves a folder that was not entered");
	/* What was entered lay in the one before: that is how its path begins. */
	p->folder.len = p->depths[--p->n_depths];
	return next_word(p, &word) ? bad_word(word, "nothing stands behind \"..\"", err) : 0;
}

/* ---- files ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_digest(const struct digest *a, const struct digest *b)
{
	return a == b || (a && b && digest_eq(a, b));
}

static bool same(const struct mtree_entry *a, const struct mtree_entry *b)
{
	return a->has == b->has && a->type == b->type && a->mode == b->mode && a->uid == b->uid &&
	       a->gid == b->gid && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor &&
	       a->mtime == b->mtime && a->size == b->size && a->optional == b->optional &&
	       a->nochange == b->nochange && same_text(a->uname, b->uname) &&
	       same_text(a->gname, b->gname) && same_text(a->link, b->link) &&
	       same_text(a->content, b->content) && same_digest(a->sha256, b->sha256) &&
	       same_digest(a->sha512, b->sha512);
}

/* One more, unless it was told before, in the same words. */
static int add(struct parser *p, const struct mtree_entry *e, dray_error **err)
{
	struct mtree *m = p->m;
	uintptr_t old = (uintptr_t)map_get(&p->seen, span_str(e->path));

	if (old) {
		if (same(&m->list[old - 1], e))
			return 0;
		cleanup_free char *shown = text_safe(span_str(e->path), 4096);
		return err_set(err, DRAY_ERR_FORMAT, "/%s: line %zu tells of it too, and not alike",
			       shown ? shown : "", m->list[old - 1].line);
	}
	if (m->n == LIMIT_LAYER_ENTRIES)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d entries (LIMIT_LAYER_ENTRIES)",
			       LIMIT_LAYER_ENTRIES);
	if (mem_grow(&m->list, m->n, &m->cap, sizeof(*m->list)) < 0)
		return err_nomem(err);
	m->list[m->n++] = *e;
	return map_put(&p->seen, span_str(e->path), (void *)(uintptr_t)m->n, err);
}

static int parse_file(struct parser *p, struct span word, dray_error **err)
{
	struct mtree_entry e = p->set;
	const char *name;

	e.line = p->line;
	if (mtree_unescape(p, word, &name, err) < 0 || place(p, name, &e.path, err) < 0)
		return -1;
	while (next_word(p, &word))
		if (mtree_keyword(p, word, false, &e, err) < 0)
			return -1;
	if (mtree_check(&e, err) < 0 || add(p, &e, err) < 0)
		return -1;
	if (strchr(name, '/') || e.type != TAR_DIR || !(e.has & MTREE_TYPE))
		return 0;
	return enter(p, e.path, err);
}

static int parse_set(struct parser *p, bool unset, dray_error **err)
{
	struct span word;

	while (next_word(p, &word))
		if ((unset ? mtree_unset(p, word, err)
			   : mtree_keyword(p, word, true, &p->set, err)) < 0)
			return -1;
	return 0;
}

static int parse_line(struct parser *p, dray_error **err)
{
	struct span word;

	if (!next_word(p, &word))
		return 0;
	if (span_is(word, ".."))
		return leave(p, err);
	if (span_is(word, "/set") || span_is(word, "/unset"))
		return parse_set(p, span_is(word, "/unset"), err);
	return parse_file(p, word, err);
}

static struct parser parser_of(struct mtree *m, struct span text)
{
	*m = (struct mtree){ .counts = "line" };
	return (struct parser){ .m = m,
				.text = text,
				.line = 1,
				.folder = BUF_INIT(2 * LIMIT_PATH),
				.clean = BUF_INIT(2 * LIMIT_PATH) };
}

int mtree_parse(struct span text, struct mtree *ret, dray_error **err)
{
	struct parser p CLEANUP(parser_clear) = parser_of(ret, text);

	while (p.text.len > 0) {
		size_t line = p.line;

		if (parse_line(&p, err) < 0)
			return err_ctx(err, "line %zu", line);
	}
	return 0;
}

/* ---- plain paths ---- */

static int add_path(struct parser *p, struct span name, dray_error **err)
{
	struct mtree_entry e = { .line = p->line };

	if (span_find(name, '\0') >= 0)
		return bad_word(name, "a NUL byte", err);
	if (clean(p, name, &e.path, err) < 0)
		return -1;
	return map_get(&p->seen, span_str(e.path)) ? 0 : add(p, &e, err);
}

int mtree_paths(struct span text, char end, struct mtree *ret, dray_error **err)
{
	struct parser p CLEANUP(parser_clear) = parser_of(ret, text);

	if (!end)
		ret->counts = "path";
	for (; p.text.len > 0; p.line++) {
		int64_t at = span_find(p.text, (uint8_t)end);
		struct span name = span_head(p.text, at < 0 ? p.text.len : (size_t)at);

		p.text = span_from(p.text, name.len + (at >= 0));
		if (name.len == 0)
			continue;
		if (add_path(&p, name, err) < 0)
			return err_ctx(err, "%s %zu", ret->counts, p.line);
	}
	return 0;
}
