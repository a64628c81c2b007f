/* SPDX-License-Identifier: Apache-2.0
 *
 * An index with entries left out or pointing elsewhere: the old text, cut and joined.
 * Relies on json/ for the place of every value.
 * Promises that members, order, white space and entries that did not change stay byte for byte.
 */
#include "image/manifest.h"

#include "base/jsonw.h"
#include "base/limits.h"

/* A text being copied with pieces replaced; pieces come in order. */
struct splice {
	struct span old;
	size_t at; /* of old: what is in front is written or dropped */
	struct buf *out;
};

static size_t offset_of(const struct splice *s, struct span part)
{
	return (size_t)(part.data - s->old.data);
}

static int copy_to(struct splice *s, size_t end, dray_error **err)
{
	struct span piece = span_of(s->old.data + s->at, end - s->at);

	s->at = end;
	return buf_add(s->out, piece, err);
}

static int replace(struct splice *s, struct span value, struct span text, dray_error **err)
{
	size_t begin = offset_of(s, value);

	if (copy_to(s, begin, err) < 0)
		return -1;
	s->at = begin + value.len;
	return buf_add(s->out, text, err);
}

static int replace_string(struct splice *s, struct json v, const char *text, dray_error **err)
{
	cleanup_buf struct buf quoted = BUF_INIT(4 * KIB);
	struct jsonw w;

	jsonw_init(&w, &quoted, err);
	jsonw_string(&w, text);
	if (jsonw_finish(&w) < 0)
		return -1;
	return replace(s, json_raw(v), span_buf(&quoted), err);
}

static int replace_size(struct splice *s, struct json v, int64_t size, dray_error **err)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)size);
	return replace(s, json_raw(v), span_str(text), err);
}

/* Where a member begins: at the quote of its name. */
static size_t member_begin(const struct splice *s, struct json member)
{
	return offset_of(s, json_name_raw(member)) - 1;
}

static size_t value_end(const struct splice *s, struct json v)
{
	struct span raw = json_raw(v);

	return offset_of(s, raw) + raw.len;
}

/* One entry that points elsewhere now. What it embeds ("data") was the old document: it goes. */
static int write_moved(struct splice *s, struct json entry, const struct entry_change *c,
		       dray_error **err)
{
	const uint32_t digest = json_get(entry, "digest").node;
	const uint32_t size = json_get(entry, "size").node;
	const uint32_t type = json_get(entry, "mediaType").node;

	for (struct json v = json_first(entry); json_node(v); v = json_next(v)) {
		int rc = 0;

		if (v.node == digest)
			rc = replace_string(s, v, c->digest.text, err);
		else if (v.node == size)
			rc = replace_size(s, v, c->size, err);
		else if (v.node == type && c->media_type)
			rc = replace_string(s, v, c->media_type, err);
		if (rc < 0)
			return -1;
	}
	return copy_to(s, value_end(s, entry), err);
}

/* The same without its member "data", and the comma that parted it from a neighbour. */
static int without_data(struct splice *s, struct json entry, struct buf *ret, dray_error **err)
{
	struct json data = json_get(entry, "data"), before = { 0 };
	size_t begin, end;

	for (struct json v = json_first(entry); json_node(v) && v.node != data.node;
	     v = json_next(v))
		before = v;
	if (json_node(before)) {
		begin = value_end(s, before);
		end = value_end(s, data);
	} else {
		begin = member_begin(s, data);
		end = json_node(json_next(data)) ? member_begin(s, json_next(data))
						 : value_end(s, data);
	}
	struct span raw = json_raw(entry);
	size_t from = offset_of(s, raw);

	if (buf_add(ret, span_head(raw, begin - from), err) < 0)
		return -1;
	return buf_add(ret, span_from(raw, end - from), err);
}

static int write_entry(struct splice *s, struct json entry, const struct entry_change *c,
		       dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);
	cleanup_json struct json_doc *doc = NULL;

	if (c->fate == ENTRY_KEPT)
		return copy_to(s, value_end(s, entry), err);
	if (!json_node(json_get(entry, "data")))
		return write_moved(s, entry, c, err);
	if (without_data(s, entry, &text, err) < 0 || json_parse(span_buf(&text), &doc, err) < 0)
		return -1;
	struct splice inner = { .old = span_buf(&text), .out = s->out };

	s->at = value_end(s, entry);
	return write_moved(&inner, json_root(doc), c, err);
}

/*
 * What stands in front of an entry comes with it, but for the first that stays: what stood
 * in front of the very first does.
 */
static int write_entries(struct splice *s, struct json list, const struct manifest *index,
			 const struct entry_change *changes, dray_error **err)
{
	size_t inside = offset_of(s, json_raw(list)) + 1, i = 0;
	struct json first = json_first(list);
	bool any = false;

	if (!json_node(first))
		return 0;
	if (copy_to(s, inside, err) < 0)
		return -1;
	size_t lead = offset_of(s, json_raw(first)) - inside;

	for (struct json e = first; json_node(e); e = json_next(e), i++) {
		const char *type = index->entries[i].media_type;
		struct entry_change c = changes[i];

		if (type && c.media_type && mediatype_equal(type, c.media_type))
			c.media_type = NULL; /* its text stays, however it is written */
		if (c.fate == ENTRY_DROPPED) {
			s->at = value_end(s, e);
			continue;
		}
		if (!any) {
			s->at = offset_of(s, json_raw(e));
			if (buf_add(s->out, span_of(s->old.data + inside, lead), err) < 0)
				return -1;
		}
		any = true;
		if (copy_to(s, offset_of(s, json_raw(e)), err) < 0 ||
		    write_entry(s, e, &c, err) < 0)
			return -1;
	}
	return 0;
}

/* The index's own type, in the two places of the text where it can stand: before or behind the list. */
static int write_members(struct splice *s, const struct manifest *index, const char *media_type,
			 const struct entry_change *changes, dray_error **err)
{
	struct json root = json_root(index->doc);
	struct json list = json_get(root, "manifests"), type = json_get(root, "mediaType");
	bool retype = !mediatype_equal(index->media_type, media_type);

	if (retype && !json_node(type)) {
		if (copy_to(s, offset_of(s, json_raw(root)) + 1, err) < 0 ||
		    buf_printf(s->out, err, "\"mediaType\":\"%s\",", media_type) < 0)
			return -1;
	}
	for (struct json v = json_first(root); json_node(v); v = json_next(v)) {
		int rc = 0;

		if (v.node == list.node)
			rc = write_entries(s, v, index, changes, err);
		else if (retype && v.node == type.node)
			rc = replace_string(s, v, media_type, err);
		if (rc < 0)
			return -1;
	}
	return copy_to(s, s->old.len, err);
}

int index_rewrite(const struct manifest *index, const char *media_type,
		  const struct entry_change *changes, struct manifest **ret, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_MANIFEST);
	struct splice s = { .old = span_buf(&index->raw), .out = &out };

	if (write_members(&s, index, media_type, changes, err) < 0)
		return -1;
	return manifest_parse(&out, media_type, ret, err);
}

int index_append(const struct manifest *index, struct span entry, struct manifest **ret,
		 dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_MANIFEST);
	struct splice s = { .old = span_buf(&index->raw), .out = &out };
	struct json list = json_get(json_root(index->doc), "manifests"), last = { 0 };

	for (struct json e = json_first(list); json_node(e); e = json_next(e))
		last = e;
	if (json_node(last)) {
		if (copy_to(&s, value_end(&s, last), err) < 0 || buf_add_byte(&out, ',', err) < 0 ||
		    buf_add(&out, entry, err) < 0)
			return -1;
	} else { /* Go writes an empty list as null */
		if (replace(&s, json_raw(list), SPAN_LIT("["), err) < 0 ||
		    buf_add(&out, entry, err) < 0 || buf_add_byte(&out, ']', err) < 0)
			return -1;
	}
	if (copy_to(&s, s.old.len, err) < 0)
		return -1;
	return manifest_parse(&out, index->media_type, ret, err);
}
