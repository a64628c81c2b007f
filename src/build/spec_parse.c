/* SPDX-License-Identifier: Apache-2.0
 *
 * A spec from its text, and values of flags that are JSON.
 * Relies on spec_text.c for comments and names to be filled in, on spec_read.c for the keys.
 * Promises that what the scanner of JSON refuses is told by line and column too.
 */
#include "build/spec_reader.h"

#include "base/limits.h"
#include "base/number.h"
#include "build/spec_env.h"

/* The scanner tells the byte; people look for lines. */
static int json_failed(struct span text, const char *where, dray_error *odd, dray_error **err)
{
	static const char mark[] = "JSON at byte ";
	const char *said = dray_error_message(odd);
	const char *colon = strchr(said, ':');
	int64_t at = 0;

	if (dray_error_kind(odd) == DRAY_ERR_NOMEM)
		return err_nomem(err);
	if (strncmp(said, mark, strlen(mark)) != 0 || !colon)
		return err_set(err, dray_error_kind(odd), "%s: %s", where, said);
	if (!num_parse_u63(span_of(said + strlen(mark), (size_t)(colon - said) - strlen(mark)),
			   &at))
		at = 0;
	return spec_text_fail(text, (size_t)at, where, err, "%s", colon + 2);
}

static int read_version(const struct spec_reader *r, struct json root, dray_error **err)
{
	struct json v = json_get(root, "dray");

	if (!json_node(v))
		return spec_fail(r, root, "dray", "the version of the format is missing (it is 1)",
				 err);
	if (r->spec->version.v != SPEC_VERSION)
		return spec_fail(r, v, "dray", "an unknown version of the format (known: 1)", err);
	return 0;
}

int spec_parse(struct span text, const char *where, bool expand, const struct spec_define *defines,
	       size_t n_defines, struct spec **ret, dray_error **err)
{
	cleanup_buf struct buf stripped = BUF_INIT(LIMIT_SPEC), full = BUF_INIT(LIMIT_SPEC);
	cleanup_spec struct spec *s = spec_new(err);
	cleanup_json struct json_doc *doc = NULL;
	cleanup_error dray_error *odd = NULL;
	struct spec_reader r = { .spec = s, .where = where };
	struct span env;

	if (!s || spec_text_strip(text, where, &stripped, err) < 0)
		return -1;
	if (spec_env_find(span_buf(&stripped), expand, &env, &odd) < 0)
		return json_failed(span_buf(&stripped), where, odd, err);
	if (spec_text_define(span_buf(&stripped), where, env, defines, n_defines, &full, err) < 0)
		return -1;
	r.text = span_buf(&full);
	if (json_parse(r.text, &doc, &odd) < 0)
		return json_failed(r.text, where, odd, err);
	r.expand = spec_env_asked(json_root(doc), expand);
	s->version.set = false;
	s->where = arena_strdup(&s->arena, where);
	if (!s->where)
		return err_nomem(err);
	if (spec_read_shape(&r, &spec_shape, json_root(doc), s, "spec", err) < 0 ||
	    read_version(&r, json_root(doc), err) < 0)
		return -1;
	*ret = steal_pointer(&s);
	return 0;
}

/* ---- values of flags ---- */

/* @p k with what it is to be read into; NULL = all of the text is an object of @p shape. */
static int read_text(struct spec *s, const struct spec_shape *shape, const struct spec_key *k,
		     const char *text, void *at, dray_error **err)
{
	cleanup_buf struct buf stripped = BUF_INIT(LIMIT_SPEC);
	cleanup_json struct json_doc *doc = NULL;
	cleanup_error dray_error *odd = NULL;
	struct spec_reader r = { .spec = s, .where = "JSON" };

	if (spec_text_strip(span_str(text), r.where, &stripped, err) < 0)
		return -1;
	r.text = span_buf(&stripped);
	if (json_parse(r.text, &doc, &odd) < 0)
		return json_failed(r.text, r.where, odd, err);
	return k ? spec_read_value(&r, json_root(doc), k, at, err)
		 : spec_read_shape(&r, shape, json_root(doc), at, "the value", err);
}

int spec_read_object(struct spec *s, const struct spec_shape *shape, const char *text, void *at,
		     dray_error **err)
{
	return read_text(s, shape, NULL, text, at, err);
}

int spec_read_pipeline(struct spec *s, const char *text, dray_error **err)
{
	const struct spec_key k = { .name = "pipeline", .kind = KEY_JSON, .choices = "operations" };

	return read_text(s, NULL, &k, text, &s->layers.pipeline, err);
}
