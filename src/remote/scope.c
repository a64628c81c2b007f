/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      sets of token scopes.
 * Relies:   on base only; no I/O.
 * Promises: union never drops an action and never names one twice; nothing but printable ASCII gets in.
 */
#include "remote/scope.h"

#include "base/mem.h"

#define SCOPES_MAX 64 /* resources; a challenge that names more is no registry's */

static bool has_action(const char *actions, struct span one)
{
	for (const char *p = actions; *p;) {
		size_t len = strcspn(p, ",");

		if (len == one.len && memcmp(p, one.data, len) == 0)
			return true;
		p += len + (p[len] == ',');
	}
	return false;
}

static struct scope *find(const struct scopes *s, struct span resource)
{
	for (size_t i = 0; i < s->n; i++) {
		if (span_is(resource, s->list[i].resource))
			return &s->list[i];
	}
	return NULL;
}

static int new_scope(struct scopes *s, struct span resource, struct scope **ret, dray_error **err)
{
	struct scope one = { 0 };

	if (s->n >= SCOPES_MAX)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d token scopes", SCOPES_MAX);
	if (mem_grow(&s->list, s->n, &s->cap, sizeof(*s->list)) < 0)
		return err_nomem(err);
	one.resource = mem_strndup((const char *)resource.data, resource.len);
	one.actions = mem_strdup("");
	if (!one.resource || !one.actions) {
		mem_free(one.resource);
		mem_free(one.actions);
		return err_nomem(err);
	}
	s->list[s->n] = one;
	*ret = &s->list[s->n++];
	return 0;
}

static int add_action(struct scope *one, struct span action, dray_error **err)
{
	char *joined;

	if (!action.len || has_action(one->actions, action))
		return 0;
	joined = mem_printf("%s%s%.*s", one->actions, *one->actions ? "," : "", (int)action.len,
			    (const char *)action.data);
	if (!joined)
		return err_nomem(err);
	mem_free(one->actions);
	one->actions = joined;
	return 0;
}

static int add_actions(struct scopes *s, struct span resource, struct span actions,
		       dray_error **err)
{
	struct scope *one = find(s, resource);

	if (!one && new_scope(s, resource, &one, err) < 0)
		return -1;
	while (actions.len) {
		int64_t comma = span_find(actions, ',');
		size_t len = comma < 0 ? actions.len : (size_t)comma;

		if (add_action(one, span_head(actions, len), err) < 0)
			return -1;
		actions = span_from(actions, len + (comma >= 0));
	}
	return 0;
}

/* A name may hold a colon ("repository:host:5000/x:pull"): the actions are behind the last one. */
static int add_one(struct scopes *s, struct span text, dray_error **err)
{
	size_t colon = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] <= ' ' || text.data[i] > '~' || text.data[i] == '"')
			return err_set(err, DRAY_ERR_FORMAT, "token scope with odd characters");
		if (text.data[i] == ':')
			colon = i;
	}
	if (colon == 0 || span_find(text, ':') == (int64_t)colon)
		return err_set(err, DRAY_ERR_FORMAT, "token scope is not TYPE:NAME:ACTIONS");
	return add_actions(s, span_head(text, colon), span_from(text, colon + 1), err);
}

int scopes_add(struct scopes *s, struct span text, dray_error **err)
{
	while (text.len) {
		int64_t space = span_find(text, ' ');
		size_t len = space < 0 ? text.len : (size_t)space;

		if (len && add_one(s, span_head(text, len), err) < 0)
			return -1;
		text = span_from(text, len + (space >= 0));
	}
	return 0;
}

int scopes_add_all(struct scopes *s, const struct scopes *more, dray_error **err)
{
	for (size_t i = 0; i < more->n; i++) {
		if (add_actions(s, span_str(more->list[i].resource),
				span_str(more->list[i].actions), err) < 0)
			return -1;
	}
	return 0;
}

static bool covers(const struct scope *have, const char *want)
{
	for (const char *p = want; *p;) {
		size_t len = strcspn(p, ",");

		if (!has_action(have->actions, span_of(p, len)))
			return false;
		p += len + (p[len] == ',');
	}
	return true;
}

bool scopes_cover(const struct scopes *have, const struct scopes *want)
{
	for (size_t i = 0; i < want->n; i++) {
		struct scope *one = find(have, span_str(want->list[i].resource));

		if (!one || !covers(one, want->list[i].actions))
			return false;
	}
	return true;
}

void scopes_clear(struct scopes *s)
{
	for (size_t i = 0; i < s->n; i++) {
		mem_free(s->list[i].resource);
		mem_free(s->list[i].actions);
	}
	mem_free(s->list);
	*s = (struct scopes){ 0 };
}
