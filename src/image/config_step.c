/* SPDX-License-Identifier: Apache-2.0
 *
 * One change of a config's field, by the shape that the field has.
 * Relies on json/edit to keep every byte that is not named.
 * Promises that a step which finds nothing to change changes nothing.
 */
#include "image/config_step.h"

#include <string.h>

#include "base/glob.h"
#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "image/config_value.h"
#include "image/platform.h"
#include "json/edit.h"

enum shape {
	SHAPE_STRING,
	SHAPE_VALUE,   /* made by config_value(): a list of words, an object */
	SHAPE_ENV,     /* a list of "NAME=VALUE" */
	SHAPE_LIST,    /* a list of strings that are added */
	SHAPE_NAMES,   /* an object of names, each with {} */
	SHAPE_STRINGS, /* an object of names with strings */
};

struct field {
	const char *member;
	enum shape shape;
	bool top; /* of the document; else of its "config" */
};

static const struct field fields[] = {
	[DRAY_EDIT_ENV] = { .member = "Env", .shape = SHAPE_ENV },
	[DRAY_EDIT_LABEL] = { .member = "Labels", .shape = SHAPE_STRINGS },
	[DRAY_EDIT_VOLUME] = { .member = "Volumes", .shape = SHAPE_NAMES },
	[DRAY_EDIT_EXPOSE] = { .member = "ExposedPorts", .shape = SHAPE_NAMES },
	[DRAY_EDIT_ONBUILD] = { .member = "OnBuild", .shape = SHAPE_LIST },
	[DRAY_EDIT_ENTRYPOINT] = { .member = "Entrypoint", .shape = SHAPE_VALUE },
	[DRAY_EDIT_CMD] = { .member = "Cmd", .shape = SHAPE_VALUE },
	[DRAY_EDIT_SHELL] = { .member = "Shell", .shape = SHAPE_VALUE },
	[DRAY_EDIT_HEALTHCHECK] = { .member = "Healthcheck", .shape = SHAPE_VALUE },
	[DRAY_EDIT_USER] = { .member = "User", .shape = SHAPE_STRING },
	[DRAY_EDIT_WORKDIR] = { .member = "WorkingDir", .shape = SHAPE_STRING },
	[DRAY_EDIT_STOP_SIGNAL] = { .member = "StopSignal", .shape = SHAPE_STRING },
	[DRAY_EDIT_HOSTNAME] = { .member = "Hostname", .shape = SHAPE_STRING },
	[DRAY_EDIT_DOMAINNAME] = { .member = "Domainname", .shape = SHAPE_STRING },
	[DRAY_EDIT_AUTHOR] = { .member = "author", .shape = SHAPE_STRING, .top = true },
	[DRAY_EDIT_CREATED] = { .member = "created", .shape = SHAPE_VALUE, .top = true },
	[DRAY_EDIT_ARCHITECTURE] = { .member = "architecture", .shape = SHAPE_STRING, .top = true },
	[DRAY_EDIT_HISTORY] = { .member = "history", .shape = SHAPE_VALUE, .top = true },
	[DRAY_EDIT_ANNOTATION] = { .member = "annotations", .shape = SHAPE_STRINGS, .top = true },
};

/* One step at work. */
struct work {
	const struct dray_edit_step *s;
	const struct field *f;
	struct json_doc *doc;
	struct json_edit *edit;
	struct json in;	   /* the object that has the field; missing = it has to be made */
	struct json field; /* missing or null = not set */
	struct arena arena;
};

static void work_clear(struct work *w)
{
	json_edit_free(w->edit);
	json_doc_free(w->doc);
	arena_clear(&w->arena);
}
#define cleanup_work CLEANUP(work_clear)

/* ---- a whole field ---- */

/* An object of one member. */
static int wrap(const char *member, struct span value, struct buf *ret, dray_error **err)
{
	struct jsonw j;

	jsonw_init(&j, ret, err);
	jsonw_object(&j);
	jsonw_key(&j, member);
	jsonw_raw(&j, value);
	jsonw_end_object(&j);
	return jsonw_finish(&j);
}

/* Give the field this value, making the "config" around it if there is none. */
static int set_field(struct work *w, const char *member, struct span value, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);

	if (json_type(w->in) == JSON_OBJECT)
		return json_edit_set(w->edit, w->in, member, value, err);
	if (wrap(member, value, &text, err) < 0)
		return -1;
	return json_edit_set(w->edit, json_root(w->doc), "config", span_buf(&text), err);
}

static int set_string(struct work *w, const char *member, const char *value, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);
	struct json old = json_get(w->in, member);
	const char *now = NULL;

	if (json_string(old, member, &w->arena, &now, err) < 0)
		return -1;
	if (now && strcmp(now, value) == 0)
		return 0;
	if (json_quote(&text, span_str(value), err) < 0)
		return -1;
	return set_field(w, member, span_buf(&text), err);
}

static void clear_field(struct work *w)
{
	if (json_node(w->field))
		json_edit_remove(w->edit, w->field);
}

static int set_value(struct work *w, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);
	cleanup_buf struct buf now = BUF_INIT(8 * LIMIT_CONFIG); /* escapes make it longer */

	if (config_value(w->s->field, w->s->value, &text, err) < 0 ||
	    (json_node(w->field) && json_compact(w->field, &now, err) < 0))
		return -1;
	if (span_eq(span_buf(&text), span_buf(&now)))
		return 0;
	return set_field(w, w->f->member, span_buf(&text), err);
}

/* ---- lists of strings ---- */

/* Does the name that stands before @p end in @p text fit what the step names? */
static bool fits(const struct work *w, const char *text, size_t end, char **own, dray_error **err)
{
	mem_free(*own);
	*own = mem_strndup(text, end);
	if (!*own) {
		err_nomem(err);
		return false;
	}
	return glob_match(w->s->name, *own);
}

/* The element's text; the name is what stands before '=' in Env, else all of it. */
static int read_element(struct work *w, struct json it, const char **ret, size_t *ret_name,
			dray_error **err)
{
	if (json_want(it, JSON_STRING, false, w->f->member, err) < 0 ||
	    json_string(it, w->f->member, &w->arena, ret, err) < 0)
		return -1;
	*ret_name = w->f->shape == SHAPE_ENV ? strcspn(*ret, "=") : strlen(*ret);
	return 0;
}

static int remove_elements(struct work *w, dray_error **err)
{
	cleanup_free char *own = NULL;
	size_t gone = 0;

	for (struct json it = json_first(w->field); json_node(it); it = json_next(it)) {
		const char *text;
		size_t name;

		if (read_element(w, it, &text, &name, err) < 0)
			return -1;
		if (fits(w, text, name, &own, err)) {
			json_edit_remove(w->edit, it);
			gone++;
		}
		if (!own)
			return -1;
	}
	if (gone && gone == json_len(w->field))
		clear_field(w);
	return 0;
}

static int append_element(struct work *w, struct span text, dray_error **err)
{
	cleanup_buf struct buf list = BUF_INIT(LIMIT_CONFIG);

	if (json_type(w->field) == JSON_ARRAY)
		return json_edit_append(w->edit, w->field, text, err);
	if (buf_add_byte(&list, '[', err) < 0 || buf_add(&list, text, err) < 0 ||
	    buf_add_byte(&list, ']', err) < 0)
		return -1;
	return set_field(w, w->f->member, span_buf(&list), err);
}

/* "NAME=VALUE" in the place of the first of this name; others of it go. */
static int set_env(struct work *w, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);
	const char *entry = arena_printf(&w->arena, "%s=%s", w->s->name, w->s->value);
	size_t len = strlen(w->s->name);
	bool found = false;

	if (!entry)
		return err_nomem(err);
	if (json_quote(&text, span_str(entry), err) < 0)
		return -1;
	for (struct json it = json_first(w->field); json_node(it); it = json_next(it)) {
		const char *old;
		size_t name;

		if (read_element(w, it, &old, &name, err) < 0)
			return -1;
		if (name != len || memcmp(old, w->s->name, len) != 0)
			continue;
		if (found)
			json_edit_remove(w->edit, it);
		else if (strcmp(old, entry) != 0 &&
			 json_edit_replace(w->edit, it, span_buf(&text), err) < 0)
			return -1;
		found = true;
	}
	return found ? 0 : append_element(w, span_buf(&text), err);
}

static int add_string(struct work *w, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);

	if (json_quote(&text, span_str(w->s->name), err) < 0)
		return -1;
	return append_element(w, span_buf(&text), err);
}

/* ---- objects ---- */

/*
 * A port without a protocol fits those of any, and a range those in it. A range was a member
 * of its own in images of old: the pattern fits that too.
 */
static bool member_fits(const struct work *w, const char *name, char **own, dray_error **err)
{
	bool expose = w->s->field == DRAY_EDIT_EXPOSE;
	struct config_ports ports;
	size_t end = strlen(name);

	if (expose && !strchr(w->s->name, '/'))
		end = strcspn(name, "/");
	return fits(w, name, end, own, err) ||
	       (*own && expose && config_ports_parse(w->s->name, &ports) &&
		config_ports_have(&ports, name));
}

static int remove_members(struct work *w, dray_error **err)
{
	cleanup_free char *own = NULL;
	size_t gone = 0;

	for (struct json it = json_first(w->field); json_node(it); it = json_next(it)) {
		const char *name;

		if (json_name(it, &w->arena, &name, err) < 0)
			return -1;
		if (member_fits(w, name, &own, err)) {
			json_edit_remove(w->edit, it);
			gone++;
		}
		if (!own)
			return -1;
	}
	if (gone && gone == json_len(w->field))
		clear_field(w);
	return 0;
}

static int add_member(struct work *w, const char *name, struct span value, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);

	if (json_type(w->field) == JSON_OBJECT)
		return json_edit_insert(w->edit, w->field, name, value, err);
	if (wrap(name, value, &text, err) < 0)
		return -1;
	return set_field(w, w->f->member, span_buf(&text), err);
}

static int set_member(struct work *w, const char *name, dray_error **err)
{
	struct json old = json_get(w->field, name);
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);
	const char *now = NULL;

	if (w->f->shape == SHAPE_NAMES)
		return json_node(old) ? 0 : add_member(w, name, SPAN_LIT("{}"), err);
	if (json_string(old, name, &w->arena, &now, err) < 0 ||
	    json_quote(&text, span_str(w->s->value), err) < 0)
		return -1;
	if (now && strcmp(now, w->s->value) == 0)
		return 0;
	return json_node(old) ? json_edit_replace(w->edit, old, span_buf(&text), err)
			      : add_member(w, name, span_buf(&text), err);
}

/* Engines know no ranges in a config: a Dockerfile's is written as its ports, too. */
static int add_ports(struct work *w, dray_error **err)
{
	cleanup_buf struct buf fresh = BUF_INIT(LIMIT_CONFIG);
	bool there = json_type(w->field) == JSON_OBJECT;
	struct config_ports p;

	if (!config_ports_parse(w->s->name, &p))
		return err_set(err, DRAY_ERR_USAGE, "expose: no port: %.40s", w->s->name);
	for (int64_t port = p.from; port <= p.to; port++) {
		const char *name = arena_printf(&w->arena, "%d%s", (int)port,
						p.protocol[0] ? p.protocol : "/tcp");
		if (!name)
			return err_nomem(err);
		if (there ? set_member(w, name, err) < 0
			  : buf_printf(&fresh, err, "%c\"%s\":{}", port == p.from ? '{' : ',',
				       name) < 0)
			return -1;
	}
	if (there)
		return 0;
	return buf_add_byte(&fresh, '}', err) < 0
		       ? -1
		       : set_field(w, w->f->member, span_buf(&fresh), err);
}

static int add_name(struct work *w, dray_error **err)
{
	return w->s->field == DRAY_EDIT_EXPOSE ? add_ports(w, err) : set_member(w, w->s->name, err);
}

/* ---- by shape ---- */

static int want_shape(const struct work *w, dray_error **err)
{
	switch (w->f->shape) {
	case SHAPE_ENV:
	case SHAPE_LIST:
		return json_want(w->field, JSON_ARRAY, true, w->f->member, err);
	case SHAPE_NAMES:
	case SHAPE_STRINGS:
		return json_want_map(w->field, true, w->f->member, err);
	default:
		return 0;
	}
}

static int set(struct work *w, dray_error **err)
{
	switch (w->f->shape) {
	case SHAPE_STRING:
		return set_string(w, w->f->member, w->s->value, err);
	case SHAPE_VALUE:
		return set_value(w, err);
	case SHAPE_ENV:
		return set_env(w, err);
	case SHAPE_LIST:
		return add_string(w, err);
	default:
		return add_name(w, err);
	}
}

static int set_platform(struct work *w, dray_error **err)
{
	struct json old = json_get(w->in, "variant");
	struct platform p;

	if (platform_parse(w->s->value, &w->arena, &p, err) < 0 ||
	    set_string(w, "os", p.os, err) < 0 || set_string(w, "architecture", p.arch, err) < 0)
		return -1;
	if (p.variant)
		return set_string(w, "variant", p.variant, err);
	if (json_node(old))
		json_edit_remove(w->edit, old);
	return 0;
}

static int act(struct work *w, dray_error **err)
{
	if (w->s->field == DRAY_EDIT_PLATFORM)
		return set_platform(w, err);
	if (want_shape(w, err) < 0)
		return -1;
	switch (w->s->action) {
	case DRAY_EDIT_SET:
		return set(w, err);
	case DRAY_EDIT_REMOVE:
		return w->f->shape == SHAPE_ENV || w->f->shape == SHAPE_LIST
			       ? remove_elements(w, err)
			       : remove_members(w, err);
	default:
		clear_field(w);
		return 0;
	}
}

static int begin(struct work *w, struct span config, dray_error **err)
{
	static const struct field platform = { .member = "os", .shape = SHAPE_STRING, .top = true };
	struct json root;

	w->f = w->s->field == DRAY_EDIT_PLATFORM ? &platform : &fields[w->s->field];
	if (json_parse(config, &w->doc, err) < 0 || json_edit_new(w->doc, &w->edit, err) < 0)
		return -1;
	root = json_root(w->doc);
	w->in = w->f->top ? root : json_get(root, "config");
	if (json_want(root, JSON_OBJECT, false, "config", err) < 0 ||
	    json_want(w->in, JSON_OBJECT, true, "config.config", err) < 0)
		return -1;
	w->field = json_get(w->in, w->f->member);
	return 0;
}

int config_step(struct span config, const struct dray_edit_step *s, struct buf *ret,
		dray_error **err)
{
	cleanup_work struct work w = { .s = s };

	if (step_check(s, err) < 0 || begin(&w, config, err) < 0 || act(&w, err) < 0)
		return -1;
	return json_edit_apply(w.edit, ret, err);
}
