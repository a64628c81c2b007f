/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what a config says about how its image runs.
 * Relies on json/ for values of whatever type somebody gave them.
 * Promises: a value of another type than engines know is shown as the JSON that it is.
 */
#include "serve/web_priv.h"

/* ---- values ---- */

/* A string without its quotes, anything else as JSON. */
static int add_value(struct web *w, struct json v, dray_error **err)
{
	struct span text = json_raw(v);

	if (json_type(v) == JSON_STRING && json_string_bytes(v, "", &w->arena, &text, err) < 0)
		return -1;
	html_raw(&w->h, "<code>");
	html_cut(&w->h, text, WEB_TEXT);
	html_raw(&w->h, "</code>");
	return 0;
}

static int add_name(struct web *w, struct json member, dray_error **err)
{
	const char *name;

	if (json_name(member, &w->arena, &name, err) < 0)
		return -1;
	html_raw(&w->h, "<code>");
	html_cut(&w->h, span_str(name), WEB_TEXT);
	html_raw(&w->h, "</code>");
	return 0;
}

static bool is_list(struct json v)
{
	return json_type(v) == JSON_ARRAY || json_type(v) == JSON_OBJECT;
}

static bool is_said(struct json v)
{
	return json_present(v) && !(is_list(v) && json_len(v) == 0) &&
	       !(json_type(v) == JSON_STRING && json_raw(v).len <= 2);
}

/* ---- how it runs ---- */

static int add_fields(struct web *w, struct json config, dray_error **err)
{
	static const struct {
		const char *name, *what;
	} fields[] = {
		{ "Entrypoint", "Entrypoint" },
		{ "Cmd", "Command" },
		{ "User", "User" },
		{ "WorkingDir", "Working directory" },
		{ "StopSignal", "Stop signal" },
		{ "Shell", "Shell" },
		{ "Healthcheck", "Health check" },
		{ "OnBuild", "On build" },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct json v = json_get_fold(config, fields[i].name);

		if (!is_said(v))
			continue;
		html_raw(&w->h, "<dt>");
		html_str(&w->h, fields[i].what);
		html_raw(&w->h, "</dt><dd>");
		if (add_value(w, v, err) < 0)
			return -1;
		html_raw(&w->h, "</dd>\n");
	}
	return 0;
}

/* Names of an object whose values say nothing: ports, volumes. */
static int add_set(struct web *w, struct json set, const char *what, dray_error **err)
{
	size_t n = 0;

	if (!is_said(set))
		return 0;
	html_raw(&w->h, "<dt>");
	html_str(&w->h, what);
	html_raw(&w->h, "</dt><dd>");
	if (json_type(set) != JSON_OBJECT && add_value(w, set, err) < 0)
		return -1;
	if (json_type(set) == JSON_OBJECT)
		for (struct json v = json_first(set); json_node(v) && n < WEB_ROWS;
		     v = json_next(v), n++) {
			if (add_name(w, v, err) < 0)
				return -1;
			html_raw(&w->h, " ");
		}
	web_more(w, n ? json_len(set) - n : 0, "of these");
	html_raw(&w->h, "</dd>\n");
	return 0;
}

/* ---- tables ---- */

/* "NAME=VALUE" in two cells. */
static int add_variable(struct web *w, struct json v, dray_error **err)
{
	struct span text = json_raw(v);
	int64_t is;

	if (json_type(v) == JSON_STRING && json_string_bytes(v, "Env", &w->arena, &text, err) < 0)
		return -1;
	is = span_find(text, '=');
	html_raw(&w->h, "<tr><th scope=\"row\"><code>");
	html_cut(&w->h, is < 0 ? text : span_head(text, (size_t)is), WEB_TEXT);
	html_raw(&w->h, "</code></th><td><code>");
	if (is >= 0)
		html_cut(&w->h, span_from(text, (size_t)is + 1), WEB_TEXT);
	html_raw(&w->h, "</code></td></tr>\n");
	return 0;
}

static int add_label(struct web *w, struct json v, dray_error **err)
{
	html_raw(&w->h, "<tr><th scope=\"row\">");
	if (add_name(w, v, err) < 0)
		return -1;
	html_raw(&w->h, "</th><td>");
	if (add_value(w, v, err) < 0)
		return -1;
	html_raw(&w->h, "</td></tr>\n");
	return 0;
}

static int add_table(struct web *w, struct json list, const char *title, const char *what,
		     int (*row)(struct web *w, struct json v, dray_error **err), dray_error **err)
{
	struct html *h = &w->h;
	size_t n = 0;

	html_raw(h, "<h3>");
	html_str(h, title);
	html_raw(h, "</h3>\n<table class=\"pairs\"><thead><tr><th scope=\"col\">Name</th>"
		    "<th scope=\"col\">Value</th></tr></thead><tbody>\n");
	for (struct json v = json_first(list); json_node(v) && n < WEB_ROWS; v = json_next(v), n++)
		if (row(w, v, err) < 0)
			return -1;
	html_raw(h, "</tbody></table>\n");
	web_more(w, json_len(list) - n, what);
	return 0;
}

/* ---- the section ---- */

int web_config(struct web *w, const struct config *c, dray_error **err)
{
	struct json config = json_get_fold(json_root(c->doc), "config");
	struct json env = json_get_fold(config, "Env");
	struct json labels = json_get_fold(config, "Labels");

	html_raw(&w->h, "<section><h2>Configuration</h2>\n<dl>\n");
	if (add_fields(w, config, err) < 0 ||
	    add_set(w, json_get_fold(config, "ExposedPorts"), "Ports", err) < 0 ||
	    add_set(w, json_get_fold(config, "Volumes"), "Volumes", err) < 0)
		return -1;
	html_raw(&w->h, "</dl>\n");
	if (json_type(env) == JSON_ARRAY && json_len(env) > 0 &&
	    add_table(w, env, "Environment", "variables", add_variable, err) < 0)
		return -1;
	if (json_type(labels) == JSON_OBJECT && json_len(labels) > 0 &&
	    add_table(w, labels, "Labels", "labels", add_label, err) < 0)
		return -1;
	html_raw(&w->h, "</section>\n");
	return 0;
}
