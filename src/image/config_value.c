/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of an edit's step, judged and made JSON.
 * Relies on json/ for lists and objects that are given as JSON.
 * Promises USAGE, with what is wrong, for all that no image should say.
 */
#include "image/config_value.h"

#include <string.h>

#include "base/glob.h"
#include "base/jsonw.h"
#include "base/limits.h"
#include "base/number.h"
#include "base/text.h"
#include "image/healthcheck.h"
#include "json/json.h"

#define PORT_MAX 65535
#define SHOWN_MAX 80 /* bytes of a user's word that an error repeats */

/* ---- steps ---- */

struct rule {
	const char *what;
	bool named;  /* has a name: set with it, removed by it */
	bool valued; /* has a value to be set to */
	bool cleared_only;
};

static const struct rule rules[] = {
	[DRAY_EDIT_ENV] = { .what = "env", .named = true, .valued = true },
	[DRAY_EDIT_LABEL] = { .what = "label", .named = true, .valued = true },
	[DRAY_EDIT_VOLUME] = { .what = "volume", .named = true },
	[DRAY_EDIT_EXPOSE] = { .what = "expose", .named = true },
	[DRAY_EDIT_ONBUILD] = { .what = "onbuild", .named = true },
	[DRAY_EDIT_ENTRYPOINT] = { .what = "entrypoint", .valued = true },
	[DRAY_EDIT_CMD] = { .what = "cmd", .valued = true },
	[DRAY_EDIT_SHELL] = { .what = "shell", .valued = true },
	[DRAY_EDIT_HEALTHCHECK] = { .what = "healthcheck", .valued = true },
	[DRAY_EDIT_USER] = { .what = "user", .valued = true },
	[DRAY_EDIT_WORKDIR] = { .what = "workdir", .valued = true },
	[DRAY_EDIT_STOP_SIGNAL] = { .what = "stop-signal", .valued = true },
	[DRAY_EDIT_HOSTNAME] = { .what = "hostname", .valued = true },
	[DRAY_EDIT_DOMAINNAME] = { .what = "domainname", .valued = true },
	[DRAY_EDIT_AUTHOR] = { .what = "author", .valued = true },
	[DRAY_EDIT_CREATED] = { .what = "created", .valued = true },
	[DRAY_EDIT_PLATFORM] = { .what = "platform-set", .valued = true },
	[DRAY_EDIT_ARCHITECTURE] = { .what = "architecture", .valued = true },
	[DRAY_EDIT_HISTORY] = { .what = "history", .cleared_only = true },
	[DRAY_EDIT_ANNOTATION] = { .what = "annotation", .named = true, .valued = true },
};

bool config_ports_parse(const char *text, struct config_ports *ret)
{
	static const char *const protocols[] = { "", "/tcp", "/udp", "/sctp" };
	size_t len = strcspn(text, "/"), first = strcspn(text, "-/");
	bool known = false;

	ret->protocol = text + len;
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
		known = known || strcmp(ret->protocol, protocols[i]) == 0;
	if (!known || !num_parse_u63(span_of(text, first), &ret->from))
		return false;
	ret->to = ret->from;
	if (first < len && !num_parse_u63(span_of(text + first + 1, len - first - 1), &ret->to))
		return false;
	return ret->from >= 1 && ret->from <= ret->to && ret->to <= PORT_MAX;
}

bool config_ports_have(const struct config_ports *p, const char *name)
{
	struct config_ports own;

	return config_ports_parse(name, &own) && own.from >= p->from && own.to <= p->to &&
	       (!p->protocol[0] ||
		strcmp(p->protocol, own.protocol[0] ? own.protocol : "/tcp") == 0);
}

static int check_ports(const char *text, const char *what, dray_error **err)
{
	struct config_ports p;

	if (!config_ports_parse(text, &p))
		return err_set(err, DRAY_ERR_USAGE,
			       "%s: expected PORT, PORT-PORT or PORT/tcp, /udp, /sctp", what);
	if (p.to - p.from >= CONFIG_PORTS_MAX)
		return err_set(err, DRAY_ERR_USAGE, "%s: a range of more than %d ports", what,
			       CONFIG_PORTS_MAX);
	return 0;
}

static int check_name(const struct dray_edit_step *s, const char *what, dray_error **err)
{
	if (!s->name || !s->name[0])
		return err_set(err, DRAY_ERR_USAGE, "%s: a name is missing", what);
	if (s->field == DRAY_EDIT_ENV && strchr(s->name, '='))
		return err_set(err, DRAY_ERR_USAGE, "%s: a name has no '='", what);
	if (s->action == DRAY_EDIT_REMOVE)
		return glob_problem(s->name)
			       ? err_set(err, DRAY_ERR_USAGE, "%s: %s", what, glob_problem(s->name))
			       : 0;
	return s->field == DRAY_EDIT_EXPOSE ? check_ports(s->name, what, err) : 0;
}

int step_check(const struct dray_edit_step *s, dray_error **err)
{
	const struct rule *r;

	if (s->field < DRAY_EDIT_ENV || (size_t)s->field >= ARRAY_LEN(rules))
		return err_set(err, DRAY_ERR_USAGE, "no such field: %d", s->field);
	r = &rules[s->field];
	switch (s->action) {
	case DRAY_EDIT_CLEAR:
		if (s->field == DRAY_EDIT_PLATFORM || s->field == DRAY_EDIT_ARCHITECTURE)
			return err_set(err, DRAY_ERR_USAGE, "%s: an image has a platform", r->what);
		return 0;
	case DRAY_EDIT_REMOVE:
		if (!r->named)
			return err_set(err, DRAY_ERR_USAGE, "%s: it is cleared as a whole",
				       r->what);
		return check_name(s, r->what, err);
	case DRAY_EDIT_SET:
		if (r->cleared_only)
			return err_set(err, DRAY_ERR_USAGE, "%s: it is cleared only", r->what);
		if (r->valued && !s->value)
			return err_set(err, DRAY_ERR_USAGE, "%s: a value is missing", r->what);
		return r->named ? check_name(s, r->what, err) : 0;
	default:
		return err_set(err, DRAY_ERR_USAGE, "no such action: %d", s->action);
	}
}

/* ---- values ---- */

static int words(const char *what, const char *text, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	if (strpbrk(text, "'\"\\")) {
		err_set(err, DRAY_ERR_USAGE, "%s: words have no quotes", what);
		return err_hint(err, "give it as JSON: [\"/bin/sh\",\"-c\",\"...\"]");
	}
	jsonw_init(&w, ret, err);
	jsonw_array(&w);
	for (text += strspn(text, " \t\n"); *text; text += strspn(text, " \t\n")) {
		size_t len = strcspn(text, " \t\n");

		jsonw_bytes(&w, span_of(text, len));
		text += len;
	}
	jsonw_end_array(&w);
	return jsonw_finish(&w);
}

/* USAGE in place of what is wrong with JSON of an image. */
static int own_fault(const char *what, dray_error **err)
{
	if (err && dray_error_kind(*err) == DRAY_ERR_FORMAT)
		err_rekind(err, DRAY_ERR_USAGE);
	return err_ctx(err, "%s", what);
}

static int want_strings(struct json list, dray_error **err)
{
	if (json_want(list, JSON_ARRAY, false, "the value", err) < 0)
		return -1;
	for (struct json it = json_first(list); json_node(it); it = json_next(it))
		if (json_want(it, JSON_STRING, false, "each word", err) < 0)
			return -1;
	return 0;
}

static int given_list(const char *what, const char *text, struct buf *ret, dray_error **err)
{
	cleanup_json struct json_doc *d = NULL;

	if (json_parse(span_str(text), &d, err) < 0 || want_strings(json_root(d), err) < 0)
		return own_fault(what, err);
	return json_compact(json_root(d), ret, err);
}

static int say_flaw(const struct health_flaw *f, dray_error **err)
{
	cleanup_free char *shown = NULL;

	if (f->key)
		return err_set(err, DRAY_ERR_USAGE, "\"%s\": %s", f->key, f->problem);
	shown = text_safe(json_name_raw(f->at), SHOWN_MAX);
	err_set(err, DRAY_ERR_USAGE, "%s \"%s\"", f->problem, shown ? shown : "");
	return f->near ? err_hint(err, "did you mean \"%s\"?", f->near) : -1;
}

static int health(const char *what, const char *text, struct buf *ret, dray_error **err)
{
	cleanup_json struct json_doc *d = NULL;
	struct health_flaw flaw;
	int rc;

	if (strcasecmp(text, "none") == 0)
		return buf_add_str(ret, "{\"Test\":[\"NONE\"]}", err);
	if (json_parse(span_str(text), &d, err) < 0 ||
	    json_want(json_root(d), JSON_OBJECT, false, "the value", err) < 0)
		return own_fault(what, err);
	rc = health_check(json_root(d), &flaw, err);
	if (rc != 0)
		return rc < 0 ? -1 : (say_flaw(&flaw, err), err_ctx(err, "%s", what));
	return json_compact(json_root(d), ret, err);
}

static int created(const char *text, struct buf *ret, dray_error **err)
{
	char out[TIME_TEXT];
	int64_t sec;
	int32_t nsec, off;

	if (num_parse_i64(span_str(text), &sec))
		return json_quote(ret, span_str(time_format_utc(sec, 0, out)), err);
	if (time_parse_rfc3339(span_str(text), &sec, &nsec, &off))
		return json_quote(ret, span_str(text), err);
	return err_set(err, DRAY_ERR_USAGE,
		       "created: expected a time as 2026-11-20T22:34:47Z, or seconds since 1970");
}

int config_value(enum dray_edit_field field, const char *text, struct buf *ret, dray_error **err)
{
	const char *what = rules[field].what;

	if (field == DRAY_EDIT_CREATED)
		return created(text, ret, err);
	if (field == DRAY_EDIT_HEALTHCHECK)
		return health(what, text, ret, err);
	return text[strspn(text, " \t\n")] == '[' ? given_list(what, text, ret, err)
						  : words(what, text, ret, err);
}
