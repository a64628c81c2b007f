/* SPDX-License-Identifier: Apache-2.0
 *
 * Flags about the config of an image as keys of the spec.
 * Relies on image/config_value for lists that are typed as words.
 * Promises USAGE for what is not understood, and ports as engines write them.
 */
#include "build/spec_flag.h"

#include "base/jsonw.h"
#include "base/limits.h"
#include "image/config_value.h"

int flag_text(struct spec *s, const char *text, struct span *ret, dray_error **err)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SPEC);

	if (json_quote(&b, span_str(text), err) < 0)
		return -1;
	*ret = arena_dup(&s->arena, span_buf(&b));
	s->config.set = true;
	return ret->data ? 0 : err_nomem(err);
}

static int json_words(struct spec *s, enum dray_edit_field field, const char *text,
		      struct span *ret, dray_error **err)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SPEC);

	if (config_value(field, text, &b, err) < 0)
		return -1;
	*ret = arena_dup(&s->arena, span_buf(&b));
	s->config.set = true;
	return ret->data ? 0 : err_nomem(err);
}

/* "NAME=VALUE", or "NAME-": what the base has is taken away. */
int flag_pair(struct spec *s, struct spec_pairs *p, const char *value, dray_error **err)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SPEC);
	const char *equal = strchr(value, '='), *name;
	size_t len = strlen(value);

	if (!equal && (len < 2 || value[len - 1] != '-'))
		return flag_bad("NAME=VALUE or NAME-", err);
	if (equal == value)
		return flag_bad("a name", err);
	if (flag_copy(s, value, equal ? (size_t)(equal - value) : len - 1, &name, err) < 0)
		return -1;
	if (!equal)
		return spec_pairs_put(s, p, name, SPAN_LIT("null"), err) ? 0 : -1;
	return json_quote(&b, span_str(equal + 1), err) == 0 &&
			       spec_pairs_put(s, p, name, span_buf(&b), err)
		       ? 0
		       : -1;
}

/* "NAME", or "NAME-". */
static int member(struct spec *s, const char *value, const char **ret_name, struct span *ret,
		  dray_error **err)
{
	size_t len = strlen(value);
	bool gone = len > 1 && value[len - 1] == '-';

	s->config.set = true;
	*ret = gone ? SPAN_LIT("null") : SPAN_LIT("{}");
	return flag_copy(s, value, len - gone, ret_name, err);
}

static int flag_env(struct spec *s, const char *value, dray_error **err)
{
	s->config.set = true;
	return flag_pair(s, &s->config.env, value, err);
}

static int flag_expand(struct spec *s, const char *value, dray_error **err)
{
	if (strcmp(value, "yes") != 0)
		return flag_bad("yes", err);
	s->config.set = true;
	s->config.expand = SPEC_YES;
	return 0;
}

static int flag_label(struct spec *s, const char *value, dray_error **err)
{
	s->config.set = true;
	return flag_pair(s, &s->config.labels, value, err);
}

static int flag_expose(struct spec *s, const char *value, dray_error **err)
{
	const char *name;
	struct span json;

	return member(s, value, &name, &json, err) < 0 ? -1 : spec_ports_put(s, name, json, err);
}

static int flag_volume(struct spec *s, const char *value, dray_error **err)
{
	const char *name;
	struct span json;

	if (member(s, value, &name, &json, err) < 0)
		return -1;
	if (!span_is(json, "null") && !spec_is_path(name))
		return flag_bad(SPEC_PATH, err);
	return spec_pairs_put(s, &s->config.volumes, name, json, err) ? 0 : -1;
}

static int flag_entrypoint(struct spec *s, const char *value, dray_error **err)
{
	return json_words(s, DRAY_EDIT_ENTRYPOINT, value, &s->config.entrypoint, err);
}

static int flag_cmd(struct spec *s, const char *value, dray_error **err)
{
	return json_words(s, DRAY_EDIT_CMD, value, &s->config.cmd, err);
}

static int flag_shell(struct spec *s, const char *value, dray_error **err)
{
	return json_words(s, DRAY_EDIT_SHELL, value, &s->config.shell, err);
}

static int flag_healthcheck(struct spec *s, const char *value, dray_error **err)
{
	return json_words(s, DRAY_EDIT_HEALTHCHECK, value, &s->config.healthcheck, err);
}

static int flag_workdir(struct spec *s, const char *value, dray_error **err)
{
	if (value[0] && !spec_is_path(value))
		return flag_bad(SPEC_PATH, err);
	return flag_text(s, value, &s->config.workdir, err);
}

static int flag_stop_signal(struct spec *s, const char *value, dray_error **err)
{
	return flag_text(s, value, &s->config.stop_signal, err);
}

static int flag_stop_timeout(struct spec *s, const char *value, dray_error **err)
{
	struct spec_int seconds;

	if (flag_number(value, &seconds, err) < 0)
		return -1;
	s->config.set = true;
	s->config.stop_timeout = arena_dup(&s->arena, span_str(value));
	return s->config.stop_timeout.data ? 0 : err_nomem(err);
}

static int flag_hostname(struct spec *s, const char *value, dray_error **err)
{
	return flag_text(s, value, &s->config.hostname, err);
}

static int flag_domainname(struct spec *s, const char *value, dray_error **err)
{
	return flag_text(s, value, &s->config.domainname, err);
}

const struct flag config_flags[] = {
	{ "cmd", flag_cmd },
	{ "domainname", flag_domainname },
	{ "entrypoint", flag_entrypoint },
	{ "env", flag_env },
	{ "expand-env", flag_expand },
	{ "expose", flag_expose },
	{ "healthcheck", flag_healthcheck },
	{ "hostname", flag_hostname },
	{ "label", flag_label },
	{ "shell", flag_shell },
	{ "stop-signal", flag_stop_signal },
	{ "stop-timeout", flag_stop_timeout },
	{ "volume", flag_volume },
	{ "workdir", flag_workdir },
	{ 0 },
};
