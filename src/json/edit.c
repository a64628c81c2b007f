/* SPDX-License-Identifier: Apache-2.0
 *
 * From edits to splices of the text.
 * Relies on the tree for where each value lies.
 * Promises that every byte that no edit names comes out as it was.
 */
#include "json/edit.h"

#include <stdlib.h>

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "json/json_priv.h"

/* A value to come: in place of @p node, or at the end of it. */
struct change {
	uint32_t node;
	struct span text;
	const char *name; /* of a new member; NULL for elements and replacements */
	bool replaces;
	size_t next; /* of the same node; that of its last one is its first one */
};

#define NO_CHANGE SIZE_MAX

/* What is asked of one node of the text. */
struct asked {
	size_t last; /* of its changes, as an index of json_edit.list; NO_CHANGE */
	bool removed;
};

struct json_edit {
	const struct json_doc *doc;
	struct arena arena;
	struct asked *asked; /* by node */
	struct change *list;
	size_t n, cap;
};

int json_edit_new(const struct json_doc *doc, struct json_edit **ret, dray_error **err)
{
	cleanup_json_edit struct json_edit *e = mem_zalloc(sizeof(*e));

	if (!e)
		return err_nomem(err);
	e->doc = doc;
	e->asked = mem_alloc_array(doc->len, sizeof(*e->asked));
	if (!e->asked)
		return err_nomem(err);
	for (uint32_t i = 0; i < doc->len; i++)
		e->asked[i] = (struct asked){ NO_CHANGE, false };
	*ret = steal_pointer(&e);
	return 0;
}

void json_edit_free(struct json_edit *e)
{
	if (!e)
		return;
	mem_free(e->asked);
	mem_free(e->list);
	arena_clear(&e->arena);
	mem_free(e);
}

/* ---- asking ---- */

/* The changes of a node in the order they were made: NULL begins, and ends. */
static struct change *next_change(const struct json_edit *e, uint32_t node, const struct change *c)
{
	size_t last = e->asked[node].last;

	if (last == NO_CHANGE || c == &e->list[last])
		return NULL;
	return &e->list[c ? c->next : e->list[last].next];
}

static int add_change(struct json_edit *e, struct change c, dray_error **err)
{
	struct asked *asked = &e->asked[c.node];

	if (mem_grow(&e->list, e->n, &e->cap, sizeof(*e->list)) < 0)
		return err_nomem(err);
	const char *name = c.name ? arena_strdup(&e->arena, c.name) : NULL;

	c.text = arena_dup(&e->arena, c.text);
	if (!c.text.data || (c.name && !name))
		return err_nomem(err);
	c.name = name;
	c.next = e->n;
	if (asked->last != NO_CHANGE) {
		c.next = e->list[asked->last].next;
		e->list[asked->last].next = e->n;
	}
	asked->last = e->n;
	e->list[e->n++] = c;
	return 0;
}

int json_edit_replace(struct json_edit *e, struct json v, struct span text, dray_error **err)
{
	for (struct change *c = NULL; (c = next_change(e, v.node, c));) {
		if (!c->replaces)
			continue;
		c->text = arena_dup(&e->arena, text);
		return c->text.data ? 0 : err_nomem(err);
	}
	e->asked[v.node].removed = false;
	return add_change(e, (struct change){ v.node, text, NULL, true, 0 }, err);
}

void json_edit_remove(struct json_edit *e, struct json v)
{
	e->asked[v.node].removed = true;
}

int json_edit_insert(struct json_edit *e, struct json object, const char *name, struct span text,
		     dray_error **err)
{
	return add_change(e, (struct change){ object.node, text, name, false, 0 }, err);
}

int json_edit_append(struct json_edit *e, struct json array, struct span text, dray_error **err)
{
	return add_change(e, (struct change){ array.node, text, NULL, false, 0 }, err);
}

int json_edit_set(struct json_edit *e, struct json object, const char *name, struct span text,
		  dray_error **err)
{
	struct json v = json_get(object, name);

	if (json_node(v))
		return json_edit_replace(e, v, text, err);
	return json_edit_insert(e, object, name, text, err);
}

/* ---- splices ---- */

/* Bytes [off, end) give way to @p text. Those at one place keep the order they were made in. */
struct splice {
	uint32_t off, end;
	struct span text;
	size_t serial;
};
struct splices {
	struct splice *list;
	size_t n, cap;
	struct arena arena;
};

static void splices_clear(struct splices *s)
{
	mem_free(s->list);
	arena_clear(&s->arena);
}
#define cleanup_splices CLEANUP(splices_clear)

static int splice(struct splices *s, uint32_t off, uint32_t end, struct span text, dray_error **err)
{
	if (mem_grow(&s->list, s->n, &s->cap, sizeof(*s->list)) < 0)
		return err_nomem(err);
	s->list[s->n] = (struct splice){ off, end, text, s->n };
	s->n++;
	return 0;
}

static uint32_t start_of(const struct json_node *n)
{
	return n->name_off ? n->name_off - 1 : n->off;
}

static uint32_t end_of(const struct json_node *n)
{
	return n->off + n->len;
}

static bool is_container(const struct json_node *n)
{
	return n->type == JSON_ARRAY || n->type == JSON_OBJECT;
}

/* The first child of @p i; 0 = none. */
static uint32_t first_child(const struct json_doc *d, uint32_t i)
{
	return d->nodes[i].count ? i + 1 : 0;
}

/* What was removed of container @p i: each with the separator that makes it go unseen. */
static int splice_removed(const struct json_edit *e, uint32_t i, struct splices *s, bool *ret_empty,
			  dray_error **err)
{
	const struct json_node *nodes = e->doc->nodes;
	uint32_t first = first_child(e->doc, i), before = 0;
	bool kept = false;

	for (uint32_t c = first; c; before = c, c = nodes[c].next) {
		if (!e->asked[c].removed) {
			/* All before it went: it stands where the first one stood. */
			if (!kept && c != first &&
			    splice(s, start_of(&nodes[first]), start_of(&nodes[c]),
				   (struct span){ 0 }, err) < 0)
				return -1;
			kept = true;
			continue;
		}
		if (kept && splice(s, end_of(&nodes[before]), end_of(&nodes[c]), (struct span){ 0 },
				   err) < 0)
			return -1;
	}
	*ret_empty = !kept;
	if (kept || !first)
		return 0;
	return splice(s, start_of(&nodes[first]), end_of(&nodes[before]), (struct span){ 0 }, err);
}

/* What stands between the members of container @p i: ", " with its white space. */
static struct span separator(const struct json_doc *d, uint32_t i)
{
	const struct json_node *first = &d->nodes[i + 1];
	uint32_t from;

	if (d->nodes[i].count < 2)
		return SPAN_LIT(",");
	from = end_of(first);
	return span_of(d->text.data + from, start_of(&d->nodes[first->next]) - from);
}

/* What stands between a name and its value, as the first member of @p i has it. */
static struct span colon(const struct json_doc *d, uint32_t i)
{
	const struct json_node *first = &d->nodes[i + 1];
	uint32_t from;

	if (!d->nodes[i].count)
		return SPAN_LIT(":");
	from = first->name_off + first->name_len + 1;
	return span_of(d->text.data + from, first->off - from);
}

static uint32_t last_end(const struct json_doc *d, uint32_t i)
{
	uint32_t c = first_child(d, i);

	if (!c)
		return d->nodes[i].off + 1;
	while (d->nodes[c].next)
		c = d->nodes[c].next;
	return end_of(&d->nodes[c]);
}

static int write_new(const struct json_edit *e, const struct change *c, bool first, struct buf *b,
		     dray_error **err)
{
	struct jsonw w;

	if (!first && buf_add(b, separator(e->doc, c->node), err) < 0)
		return -1;
	if (c->name) {
		jsonw_init(&w, b, err);
		jsonw_string(&w, c->name);
		if (jsonw_finish(&w) < 0 || buf_add(b, colon(e->doc, c->node), err) < 0)
			return -1;
	}
	return buf_add(b, c->text, err);
}

static int splice_new(const struct json_edit *e, uint32_t i, bool empty, struct splices *s,
		      dray_error **err)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_CONFIG);
	uint32_t at;
	struct span text;

	for (const struct change *c = NULL; (c = next_change(e, i, c));)
		if (!c->replaces && write_new(e, c, empty && b.len == 0, &b, err) < 0)
			return -1;
	if (b.len == 0)
		return 0;
	at = last_end(e->doc, i);
	text = arena_dup(&s->arena, span_buf(&b));
	return text.data ? splice(s, at, at, text, err) : err_nomem(err);
}

static int splice_replaced(const struct json_edit *e, struct splices *s, dray_error **err)
{
	for (size_t k = 0; k < e->n; k++) {
		const struct change *c = &e->list[k];
		const struct json_node *n = &e->doc->nodes[c->node];

		if (c->replaces && splice(s, n->off, end_of(n), c->text, err) < 0)
			return -1;
	}
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct splice *x = a, *y = b;

	if (x->off != y->off)
		return (x->off > y->off) - (x->off < y->off);
	/* The wider one first: it swallows what is inside it. */
	if (x->end != y->end)
		return (x->end < y->end) - (x->end > y->end);
	return (x->serial > y->serial) - (x->serial < y->serial);
}

static int make_splices(const struct json_edit *e, struct splices *s, dray_error **err)
{
	bool empty;

	for (uint32_t i = 1; i < e->doc->len; i++)
		if (is_container(&e->doc->nodes[i]) && (splice_removed(e, i, s, &empty, err) < 0 ||
							splice_new(e, i, empty, s, err) < 0))
			return -1;
	if (splice_replaced(e, s, err) < 0)
		return -1;
	if (s->n)
		qsort(s->list, s->n, sizeof(*s->list), by_place);
	return 0;
}

int json_edit_apply(const struct json_edit *e, struct buf *ret, dray_error **err)
{
	cleanup_splices struct splices s = { 0 };
	struct span text = e->doc->text;
	uint32_t done = 0;

	if (make_splices(e, &s, err) < 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		const struct splice *p = &s.list[i];

		if (p->off < done) /* inside something that is gone */
			continue;
		if (buf_add(ret, span_of(text.data + done, p->off - done), err) < 0 ||
		    buf_add(ret, p->text, err) < 0)
			return -1;
		done = p->end;
	}
	return buf_add(ret, span_from(text, done), err);
}
