/* SPDX-License-Identifier: Apache-2.0
 *
 * "${NAME}" in what a spec says for Env.
 * Relies on json/ to find where that is in a text.
 * Promises that a value which was put in is not looked at again.
 */
#include "build/spec_env.h"

#include "base/cleanup.h"
#include "base/error.h"

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
#define SHOWN_MAX 80 /* bytes of a name that an error repeats */

bool spec_env_asked(struct json root, bool expand)
{
	return expand || json_type(json_get(json_get(root, "config"), "expand")) == JSON_TRUE;
}

int spec_env_find(struct span text, bool expand, struct span *ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	struct json said;

	*ret = (struct span){ 0 };
	if (text.len == 0 || !memmem(text.data, text.len, "${", 2))
		return 0;
	if (json_parse(text, &doc, err) < 0)
		return -1;
	said = json_get(json_get(json_root(doc), "config"), "expand");
	if (json_node(said) && json_type(said) != JSON_TRUE && json_type(said) != JSON_FALSE)
		return err_set(err, DRAY_ERR_USAGE,
			       "JSON at byte %zu: \"expand\": expected true or false",
			       (size_t)(json_raw(said).data - text.data));
	if (spec_env_asked(json_root(doc), expand))
		*ret = json_raw(json_get(json_get(json_root(doc), "config"), "Env"));
	return 0;
}

/* "${NAME}" at *at, which is moved behind it. */
static int fill_in(const char **at, spec_env_value_fn *value, void *arg, struct buf *ret,
		   dray_error **err)
{
	const char *name = *at + 2, *found;
	size_t len = strspn(name, NAME_CHARS);
	int shown = len < SHOWN_MAX ? (int)len : SHOWN_MAX;

	if (!strchr(name, '}'))
		return err_set(err, DRAY_ERR_USAGE, "\"${\" without \"}\"");
	if (len == 0 || name[len] != '}') {
		err_set(err, DRAY_ERR_USAGE, "expected ${NAME}, a name of letters, digits and _");
		return err_hint(err, "there are no operators; \"$${\" stands for \"${\" itself");
	}
	found = value(arg, span_of(name, len));
	if (!found) {
		err_set(err, DRAY_ERR_USAGE, "${%.*s} has no value here", shown, name);
		return err_hint(err, "names of the base, and those before it, have one; "
				     "\"$${\" stands for \"${\" itself");
	}
	*at = name + len + 1;
	return buf_add_str(ret, found, err);
}

int spec_env_fill_in(const char *text, spec_env_value_fn *value, void *arg, struct buf *ret,
		     dray_error **err)
{
	for (const char *at = text; *at;) {
		size_t plain = strcspn(at, "$");

		if (buf_add(ret, span_of(at, plain), err) < 0)
			return -1;
		at += plain;
		if (strncmp(at, "${", 2) == 0) {
			if (fill_in(&at, value, arg, ret, err) < 0)
				return -1;
			continue;
		}
		if (*at != '$')
			continue;
		at++;
		if (buf_add_byte(ret, '$', err) < 0)
			return -1;
		if (strncmp(at, "${", 2) != 0)
			continue;
		at += 2;
		if (buf_add_byte(ret, '{', err) < 0)
			return -1;
	}
	return 0;
}

static const char *no_value(void *arg, struct span name)
{
	(void)arg;
	(void)name;
	return NULL;
}

int spec_env_name(const char *text, struct buf *ret, dray_error **err)
{
	cleanup_error dray_error *odd = NULL;

	if (spec_env_fill_in(text, no_value, NULL, ret, &odd) == 0)
		return 0;
	if (dray_error_kind(odd) == DRAY_ERR_NOMEM)
		return err_nomem(err);
	return err_set(err, DRAY_ERR_USAGE, "\"${\" in a name is for --define alone");
}
