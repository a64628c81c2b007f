/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      a login in docker's or podman's file, put in or taken out by span.
 * Relies:   on json/ to say where each member's bytes are.
 * Promises: bytes that do not belong to the login are those that were there; what goes in is indented as its
 *           neighbours are.
 */
#include "remote/authfile.h"

#include "base/arena.h"
#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "remote/credentials.h"

#define AUTHS "auths"

static int parse(struct span text, struct json_doc **ret, struct json *ret_auths, dray_error **err)
{
	struct json root;

	if (json_parse(text, ret, err) < 0)
		return -1;
	root = json_root(*ret);
	if (json_want_map(root, false, "credentials", err) < 0)
		return -1;
	*ret_auths = json_get(root, AUTHS);
	if (json_type(*ret_auths) == JSON_MISSING)
		return 0;
	return json_want_map(*ret_auths, false, AUTHS, err);
}

/* An empty file says as much as an empty object. */
static struct span or_empty(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (!strchr(" \t\r\n", text.data[i]))
			return text;
	}
	return SPAN_LIT("{}\n");
}

/* ---- looking ---- */

/* The member of @p map that names @p domain, under any spelling but @p except (NULL = none). */
static int find_member(struct json map, const char *domain, const char *except, struct json *ret,
		       dray_error **err)
{
	struct arena a = { 0 };
	int rc = 0;

	*ret = (struct json){ 0 };
	for (struct json it = json_first(map); json_node(it) && rc == 0; it = json_next(it)) {
		const char *name;

		rc = json_name(it, &a, &name, err);
		if (rc < 0 || (except && strcmp(name, except) == 0) ||
		    !span_is(credentials_key(span_str(name)), domain))
			continue;
		*ret = it;
		break;
	}
	arena_clear(&a);
	return rc;
}

static int look(struct json root, struct json auths, const char *domain, struct authfile_place *ret,
		dray_error **err)
{
	struct json helpers = json_get(root, "credHelpers"), hit;
	int rc;

	if (find_member(helpers, domain, NULL, &hit, err) < 0)
		return -1;
	rc = credentials_helper_name(hit, &ret->helper, err);
	if (rc)
		ret->known = true;
	else
		rc = credentials_helper_name(json_get(root, "credsStore"), &ret->helper, err);
	if (rc < 0 || find_member(auths, domain, NULL, &hit, err) < 0)
		return -1;
	ret->known = ret->known || json_node(hit);
	return 0;
}

int authfile_look(struct span text, const char *domain, struct authfile_place *ret,
		  dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	struct json auths;

	*ret = (struct authfile_place){ 0 };
	if (parse(or_empty(text), &doc, &auths, err) < 0)
		return -1;
	if (look(json_root(doc), auths, domain, ret, err) == 0)
		return 0;
	mem_free(ret->helper);
	ret->helper = NULL;
	return -1;
}

/* ---- taking out ---- */

static size_t name_at(struct span text, struct json member)
{
	return (size_t)(json_name_raw(member).data - text.data) - 1;
}

static size_t end_of(struct span text, struct json value)
{
	struct span raw = json_raw(value);

	return (size_t)(raw.data - text.data) + raw.len;
}

/* The bytes that go with @p member: one comma is among them if there is one. */
static void cut_range(struct span text, struct json map, struct json member, size_t *ret_from,
		      size_t *ret_to)
{
	struct json before = { 0 }, after = json_next(member);

	for (struct json it = json_first(map); it.node != member.node; it = json_next(it))
		before = it;
	*ret_from = json_node(before) ? end_of(text, before) : name_at(text, member);
	*ret_to = end_of(text, member);
	if (json_node(before))
		return;
	if (json_node(after)) {
		*ret_to = name_at(text, after);
		return;
	}
	*ret_from = (size_t)(json_raw(map).data - text.data) + 1;
	*ret_to = end_of(text, map) - 1;
}

static int splice(struct span text, size_t from, size_t to, struct span in, struct buf *ret,
		  dray_error **err)
{
	if (buf_reserve(ret, from + in.len + (text.len - to), err) < 0 ||
	    buf_add(ret, span_head(text, from), err) < 0 || buf_add(ret, in, err) < 0)
		return -1;
	return buf_add(ret, span_from(text, to), err);
}

/* 1 = *ret is without one of them, 0 = there is none. */
static int remove_one(struct span text, const char *domain, const char *keep, struct buf *ret,
		      dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	struct json auths, hit;
	size_t from, to;

	if (parse(text, &doc, &auths, err) < 0 || find_member(auths, domain, keep, &hit, err) < 0)
		return -1;
	if (!json_node(hit))
		return 0;
	cut_range(text, auths, hit, &from, &to);
	return splice(text, from, to, (struct span){ 0 }, ret, err) < 0 ? -1 : 1;
}

/* All spellings of @p domain but @p keep. */
static int remove_all(struct span text, const char *domain, const char *keep, struct buf *ret,
		      dray_error **err)
{
	int rc, removed = 0;

	if (splice(or_empty(text), 0, 0, (struct span){ 0 }, ret, err) < 0)
		return -1;
	for (;;) {
		struct buf next = BUF_INIT(ret->max);

		rc = remove_one(span_buf(ret), domain, keep, &next, err);
		if (rc <= 0) {
			buf_wipe(&next);
			return rc < 0 ? -1 : removed;
		}
		removed = 1;
		buf_wipe(ret);
		*ret = next;
	}
}

int authfile_remove(struct span text, const char *domain, struct buf *ret, dray_error **err)
{
	return remove_all(text, domain, NULL, ret, err);
}

/* ---- putting in ---- */

/* What stands before the first member: a line break and the indentation, or nothing. */
static struct span gap_of(struct span text, struct json map)
{
	size_t at = (size_t)(json_raw(map).data - text.data) + 1;

	return span_of(text.data + at, name_at(text, json_first(map)) - at);
}

static bool breaks_lines(struct span gap)
{
	return span_find(gap, '\n') >= 0;
}

/* {"auth": ...} whose own members are one step further in than @p gap says. */
static int write_entry(struct buf *b, struct span gap, const char *auth, dray_error **err)
{
	bool lines = breaks_lines(gap);

	if (!auth)
		return buf_add_str(b, "{}", err);
	if (buf_add_str(b, "{", err) < 0)
		return -1;
	if (lines && (buf_add(b, gap, err) < 0 || buf_add_str(b, "\t", err) < 0))
		return -1;
	if (buf_add_str(b, "\"auth\": ", err) < 0 || json_quote(b, span_str(auth), err) < 0)
		return -1;
	if (lines && buf_add(b, gap, err) < 0)
		return -1;
	return buf_add_str(b, "}", err);
}

static int write_member(struct buf *b, struct span gap, const char *key, const char *auth,
			dray_error **err)
{
	if (json_quote(b, span_str(key), err) < 0 || buf_add_str(b, ": ", err) < 0)
		return -1;
	return write_entry(b, gap, auth, err);
}

/* "{" first member "}" for a map that had none; its brace stands at @p outer's indentation. */
static int write_map(struct buf *b, struct span outer, const char *key, const char *auth,
		     dray_error **err)
{
	cleanup_buf struct buf gap = BUF_INIT(LIMIT_CREDENTIALS);
	bool lines = breaks_lines(outer);

	if (buf_add(&gap, outer, err) < 0 || (lines && buf_add_str(&gap, "\t", err) < 0) ||
	    buf_add_str(b, "{", err) < 0 || buf_add(b, span_buf(&gap), err) < 0 ||
	    write_member(b, span_buf(&gap), key, auth, err) < 0 || buf_add(b, outer, err) < 0)
		return -1;
	return buf_add_str(b, "}", err);
}

/* Behind the last member of @p map, which has some. */
static int append(struct span text, struct json map, struct span member, struct buf *ret,
		  dray_error **err)
{
	cleanup_secret_buf struct buf in = BUF_INIT(LIMIT_CREDENTIALS);
	struct json last = json_first(map);
	size_t at;

	for (struct json it = last; json_node(it); it = json_next(it))
		last = it;
	at = end_of(text, last);
	if (buf_reserve(&in, member.len + LIMIT_CREDENTIALS / 64, err) < 0 ||
	    buf_add_str(&in, ",", err) < 0 || buf_add(&in, gap_of(text, map), err) < 0 ||
	    buf_add(&in, member, err) < 0)
		return -1;
	return splice(text, at, at, span_buf(&in), ret, err);
}

/* The file's own indentation of the root's members; docker's where there are none. */
static struct span root_gap(struct span text, struct json root)
{
	return json_len(root) ? gap_of(text, root) : SPAN_LIT("\n\t");
}

static int replace_value(struct span text, struct json auths, struct json hit, const char *auth,
			 struct buf *in, struct buf *ret, dray_error **err)
{
	size_t to = end_of(text, hit);

	if (write_entry(in, gap_of(text, auths), auth, err) < 0)
		return -1;
	return splice(text, to - json_raw(hit).len, to, span_buf(in), ret, err);
}

/* There is an auths without members: it is written anew. */
static int fill_auths(struct span text, struct json root, struct json auths, const char *key,
		      const char *auth, struct buf *in, struct buf *ret, dray_error **err)
{
	size_t to = end_of(text, auths);

	if (write_map(in, root_gap(text, root), key, auth, err) < 0)
		return -1;
	return splice(text, to - json_raw(auths).len, to, span_buf(in), ret, err);
}

static int add_auths(struct span text, struct json root, const char *key, const char *auth,
		     struct buf *in, struct buf *ret, dray_error **err)
{
	size_t to = end_of(text, root);
	struct span gap = root_gap(text, root);
	bool first = json_len(root) == 0;

	if (first && (buf_add_str(in, "{", err) < 0 || buf_add(in, gap, err) < 0))
		return -1;
	if (json_quote(in, SPAN_LIT(AUTHS), err) < 0 || buf_add_str(in, ": ", err) < 0 ||
	    write_map(in, gap, key, auth, err) < 0)
		return -1;
	if (!first)
		return append(text, root, span_buf(in), ret, err);
	if (buf_add_str(in, "\n}", err) < 0)
		return -1;
	return splice(text, to - json_raw(root).len, to, span_buf(in), ret, err);
}

static int set_in(struct span text, const char *key, const char *auth, struct buf *in,
		  struct buf *ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	struct json auths, hit;

	if (parse(text, &doc, &auths, err) < 0)
		return -1;
	hit = json_get(auths, key);
	if (json_node(hit))
		return replace_value(text, auths, hit, auth, in, ret, err);
	if (!json_node(auths))
		return add_auths(text, json_root(doc), key, auth, in, ret, err);
	if (json_len(auths) == 0)
		return fill_auths(text, json_root(doc), auths, key, auth, in, ret, err);
	if (write_member(in, gap_of(text, auths), key, auth, err) < 0)
		return -1;
	return append(text, auths, span_buf(in), ret, err);
}

int authfile_set(struct span text, const char *key, const char *auth, struct buf *ret,
		 dray_error **err)
{
	cleanup_secret_buf struct buf rest = BUF_INIT(LIMIT_CREDENTIALS);
	cleanup_secret_buf struct buf in = BUF_INIT(LIMIT_CREDENTIALS);
	struct span domain = credentials_key(span_str(key));
	cleanup_free char *name = mem_strndup((const char *)domain.data, domain.len);

	if (!name)
		return err_nomem(err);
	if (remove_all(text, name, key, &rest, err) < 0 ||
	    buf_reserve(&in, 2 * span_str(auth).len + LIMIT_CREDENTIALS / 64, err) < 0)
		return -1;
	return set_in(span_buf(&rest), key, auth, &in, ret, err);
}
