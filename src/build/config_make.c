/* SPDX-License-Identifier: Apache-2.0
 *
 * The config of a built image.
 * Relies on json/edit, so that what nobody names of a base keeps its bytes and its order.
 * Promises what a Dockerfile's FROM promises: fields are inherited, maps are joined.
 */
#include "build/config_make.h"

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "build/spec_env.h"
#include "build/spec_priv.h"
#include "json/edit.h"

enum field_kind { FIELD_VALUE, FIELD_ENV, FIELD_MAP, FIELD_CMD };
struct field {
	const char *name;
	enum field_kind kind;
	size_t offset; /* in struct spec_config */
};
/* In the order of Docker's own struct. */
static const struct field fields[] = {
	{ "Hostname", FIELD_VALUE, offsetof(struct spec_config, hostname) },
	{ "Domainname", FIELD_VALUE, offsetof(struct spec_config, domainname) },
	{ "User", FIELD_VALUE, offsetof(struct spec_config, user) },
	{ "ExposedPorts", FIELD_MAP, offsetof(struct spec_config, ports) },
	{ "Env", FIELD_ENV, offsetof(struct spec_config, env) },
	{ "Cmd", FIELD_CMD, offsetof(struct spec_config, cmd) },
	{ "Healthcheck", FIELD_VALUE, offsetof(struct spec_config, healthcheck) },
	{ "Volumes", FIELD_MAP, offsetof(struct spec_config, volumes) },
	{ "WorkingDir", FIELD_VALUE, offsetof(struct spec_config, workdir) },
	{ "Entrypoint", FIELD_VALUE, offsetof(struct spec_config, entrypoint) },
	{ "Labels", FIELD_MAP, offsetof(struct spec_config, labels) },
	{ "StopSignal", FIELD_VALUE, offsetof(struct spec_config, stop_signal) },
	{ "StopTimeout", FIELD_VALUE, offsetof(struct spec_config, stop_timeout) },
	{ "Shell", FIELD_VALUE, offsetof(struct spec_config, shell) },
};

/* Triggers ran when the base was built upon; now it has been. */
static const char *const dropped[] = { "OnBuild", "ArgsEscaped" };

static const void *slot_of(const struct spec *s, const struct field *f)
{
	return (const uint8_t *)&s->config + f->offset;
}

static bool is_null(struct span json)
{
	return span_is(json, "null");
}

/* ---- values ---- */

static void write_value(struct jsonw *w, const char *name, struct span given, struct json old)
{
	struct span text = given.len	       ? given
			   : json_present(old) ? json_raw(old)
					       : (struct span){ 0 };

	if (text.len == 0 || is_null(text))
		return;
	jsonw_key(w, name);
	jsonw_raw(w, text);
}

/* "80" is "80/tcp" to engines; what takes away a port without a protocol takes all of them. */
static bool says_port(const struct spec_pairs *p, const char *name)
{
	int len = (int)strcspn(name, "/");
	const struct spec_pair *any;
	char full[40];

	snprintf(full, sizeof(full), "%.*s%s", len < 20 ? len : 20, name, name[len] ? "" : "/tcp");
	any = spec_pairs_find(p, full);
	return any && (!name[len] || is_null(any->json));
}

/* Members of both; those that the spec takes away are in neither. */
static int write_map(struct jsonw *w, struct arena *a, const char *name,
		     const struct spec_pairs *given, struct json old, dray_error **err)
{
	bool ports = strcmp(name, "ExposedPorts") == 0, begun = false;

	if (json_want_map(old, true, name, err) < 0)
		return -1;
	for (struct json it = json_first(old); json_node(it); it = json_next(it)) {
		const char *key;

		if (json_name(it, a, &key, err) < 0)
			return -1;
		if (spec_pairs_find(given, key) || (ports && says_port(given, key)))
			continue;
		if (!begun) {
			jsonw_key(w, name);
			jsonw_object(w);
		}
		begun = true;
		jsonw_key(w, key);
		jsonw_raw(w, json_raw(it));
	}
	for (size_t i = 0; i < given->n; i++) {
		if (is_null(given->list[i].json))
			continue;
		if (!begun) {
			jsonw_key(w, name);
			jsonw_object(w);
		}
		begun = true;
		jsonw_key(w, given->list[i].name);
		jsonw_raw(w, given->list[i].json);
	}
	if (begun)
		jsonw_end_object(w);
	return 0;
}

/* ---- the environment ---- */

struct env {
	struct arena *a;
	struct map by_name; /* name -> "NAME=VALUE", in the order of the first of each name */
	struct buf
		filled; /* values that had names in them, for the sum of their sizes is bounded */
};

static int env_put(struct env *e, struct span name, const char *text, dray_error **err)
{
	struct span key = map_find(&e->by_name, name) ? name : arena_dup(e->a, name);

	return key.data ? map_put(&e->by_name, key, (void *)(uintptr_t)text, err) : err_nomem(err);
}

static int env_old(struct env *e, struct json old, dray_error **err)
{
	if (json_want(old, JSON_ARRAY, true, "Env", err) < 0)
		return -1;
	for (struct json it = json_first(old); json_node(it); it = json_next(it)) {
		const char *text;

		if (json_string(it, "Env", e->a, &text, err) < 0)
			return -1;
		if (text && env_put(e, span_of(text, strcspn(text, "=")), text, err) < 0)
			return -1;
	}
	return 0;
}

static const char *env_value(void *arg, struct span name)
{
	const struct env *e = arg;
	const char *text = map_get(&e->by_name, name);
	const char *equal = text ? strchr(text, '=') : NULL;

	return equal ? equal + 1 : NULL;
}

/* *value with what its names stand for by now. */
static int env_fill_in(struct env *e, const char **value, dray_error **err)
{
	size_t from = e->filled.len;

	if (spec_env_fill_in(*value, env_value, e, &e->filled, err) < 0)
		return -1;
	*value = arena_strndup(e->a, (const char *)e->filled.data + from, e->filled.len - from);
	return *value ? 0 : err_nomem(err);
}

static int env_pair(struct env *e, const struct spec_pair *p, bool expand, dray_error **err)
{
	cleanup_json struct json_doc *d = NULL;
	const char *value = NULL, *text = NULL;

	if (json_parse(p->json, &d, err) < 0 ||
	    json_string(json_root(d), "Env", e->a, &value, err) < 0 ||
	    (value && expand && env_fill_in(e, &value, err) < 0))
		return -1;
	if (value) {
		text = arena_printf(e->a, "%s=%s", p->name, value);
		if (!text)
			return err_nomem(err);
	}
	return env_put(e, span_str(p->name), text, err);
}

static int env_given(struct env *e, const struct spec *s, dray_error **err)
{
	for (size_t i = 0; i < s->config.env.n; i++) {
		const struct spec_pair *p = &s->config.env.list[i];

		if (env_pair(e, p, s->config.expand == SPEC_YES, err) == 0)
			continue;
		cleanup_free char *shown = text_safe(span_str(p->name), 80);
		err_ctx(err, "Env \"%s\"", shown ? shown : "");
		return spec_ctx(s, p->at, err);
	}
	return 0;
}

static int write_env(struct jsonw *w, struct arena *a, const struct spec *s, struct json old,
		     dray_error **err)
{
	struct env e = { .a = a, .filled = BUF_INIT(LIMIT_CONFIG) };
	int rc = env_old(&e, old, err) < 0 ? -1 : env_given(&e, s, err);
	bool begun = false;

	for (size_t i = 0; rc == 0 && i < e.by_name.len; i++) {
		if (!e.by_name.slots[i].value)
			continue;
		if (!begun) {
			jsonw_key(w, "Env");
			jsonw_array(w);
		}
		begun = true;
		jsonw_string(w, e.by_name.slots[i].value);
	}
	if (begun)
		jsonw_end_array(w);
	map_clear(&e.by_name);
	buf_clear(&e.filled);
	return rc;
}

/* ---- the object ---- */

static bool inherits(const struct spec *s, const char *name)
{
	const struct spec_list *l = &s->base.inherit;

	if (!l->set)
		return true;
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->list[i], name) == 0)
			return true;
	return false;
}

static int write_field(struct jsonw *w, struct arena *a, const struct spec *s,
		       const struct field *f, struct json old, dray_error **err)
{
	const void *given = slot_of(s, f);

	if ((f->kind == FIELD_ENV || f->kind == FIELD_MAP) &&
	    ((const struct spec_pairs *)given)->none)
		old = (struct json){ 0 };
	switch (f->kind) {
	case FIELD_ENV:
		return write_env(w, a, s, old, err);
	case FIELD_MAP:
		return write_map(w, a, f->name, given, old, err);
	case FIELD_CMD: /* arguments for another program */
		if (s->config.entrypoint.len && !s->config.cmd.len)
			return 0;
		break;
	case FIELD_VALUE:
		break;
	}
	write_value(w, f->name, *(const struct span *)given, old);
	return 0;
}

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static bool is_dropped(struct config_make *m, const char *name, struct json v)
{
	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		if (strcmp(dropped[i], name) == 0) {
			m->dropped_onbuild = m->dropped_onbuild || (i == 0 && json_len(v) > 0);
			return true;
		}
	return false;
}

/* What the base has, in its order. */
static int write_old(struct config_make *m, struct jsonw *w, struct arena *a, struct json old,
		     dray_error **err)
{
	for (struct json it = json_first(old); json_node(it); it = json_next(it)) {
		const struct field *f;
		const char *name;

		if (json_name(it, a, &name, err) < 0)
			return -1;
		if (is_dropped(m, name, it) || !inherits(m->spec, name))
			continue;
		f = find_field(name);
		if (!f)
			write_value(w, name, (struct span){ 0 }, it);
		else if (write_field(w, a, m->spec, f, it, err) < 0)
			return -1;
	}
	return 0;
}

static int write_object(struct config_make *m, struct json old, struct buf *ret, dray_error **err)
{
	struct arena a = { 0 };
	struct jsonw w;
	int rc;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	rc = write_old(m, &w, &a, old, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(fields); i++)
		if (!json_node(json_get(old, fields[i].name)) || !inherits(m->spec, fields[i].name))
			rc = write_field(&w, &a, m->spec, &fields[i], (struct json){ 0 }, err);
	arena_clear(&a);
	if (rc < 0)
		return -1;
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

/* ---- the whole ---- */

static int make_new(struct config_make *m, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf object = BUF_INIT(LIMIT_CONFIG);
	struct jsonw w;

	if (write_object(m, (struct json){ 0 }, &object, err) < 0)
		return -1;
	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_kstring(&w, "created", m->created);
	if (m->spec->history.author)
		jsonw_kstring(&w, "author", m->spec->history.author);
	jsonw_kstring(&w, "architecture", m->platform.arch);
	if (m->platform.variant)
		jsonw_kstring(&w, "variant", m->platform.variant);
	jsonw_kstring(&w, "os", m->platform.os);
	jsonw_key(&w, "config");
	jsonw_raw(&w, span_buf(&object));
	jsonw_key(&w, "rootfs");
	jsonw_object(&w);
	jsonw_kstring(&w, "type", "layers");
	jsonw_key(&w, "diff_ids");
	jsonw_array(&w);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	jsonw_key(&w, "history");
	jsonw_array(&w);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

static int set_text(struct json_edit *e, struct json root, const char *name, const char *text,
		    dray_error **err)
{
	cleanup_buf struct buf quoted = BUF_INIT(LIMIT_CONFIG);

	if (!text)
		return 0;
	return json_quote(&quoted, span_str(text), err) < 0
		       ? -1
		       : json_edit_set(e, root, name, span_buf(&quoted), err);
}

static int make_on_base(struct config_make *m, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf object = BUF_INIT(LIMIT_CONFIG);
	cleanup_json_edit struct json_edit *e = NULL;
	struct json root = json_root(m->base->doc), old = json_get(root, "config");

	if (json_want(old, JSON_OBJECT, true, "config", err) < 0 ||
	    write_object(m, old, &object, err) < 0 || json_edit_new(m->base->doc, &e, err) < 0 ||
	    set_text(e, root, "created", m->created, err) < 0 ||
	    set_text(e, root, "author", m->spec->history.author, err) < 0 ||
	    json_edit_set(e, root, "config", span_buf(&object), err) < 0)
		return -1;
	return json_edit_apply(e, ret, err);
}

int config_make(struct config_make *m, struct buf *ret, dray_error **err)
{
	return m->base ? make_on_base(m, ret, err) : make_new(m, ret, err);
}

int config_make_step(const struct spec *s, const char *created, const char *comment,
		     struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_kstring(&w, "created", created);
	jsonw_kstring(&w, "created_by",
		      s->history.created_by ? s->history.created_by : "dray build");
	if (s->history.author)
		jsonw_kstring(&w, "author", s->history.author);
	if (comment)
		jsonw_kstring(&w, "comment", comment);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}
