/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with a spec as a whole, whether a file or flags said it.
 * Relies on each key being of its type.
 * Promises that what build then finds wrong is about files, not about the spec.
 */
#include "build/spec_priv.h"

#include "base/map.h"
#include "base/nearest.h"
#include "base/text.h"
#include "build/layering.h"
#include "build/rules.h"

int spec_ctx(const struct spec *s, struct spec_at at, dray_error **err)
{
	if (!s->where || !at.line)
		return -1;
	cleanup_free char *shown = text_safe(span_str(s->where), 4096);
	return err_ctx(err, "%s:%u:%u", shown ? shown : "", at.line, at.column);
}

static int check_choice(const char *what, const char *choices, const char *value, dray_error **err)
{
	if (!value || spec_choice(choices, value))
		return 0;
	cleanup_free char *shown = text_safe(span_str(value), 80);
	return err_set(err, DRAY_ERR_USAGE, "%s: expected %s, got '%s'", what, choices,
		       shown ? shown : "");
}

static int check_source(const struct spec_source *s, dray_error **err)
{
	int n = !!s->text + !!s->data_base64 + !!s->from;

	switch (s->type) {
	case SPEC_DIR:
	case SPEC_TAR:
	case SPEC_IMAGE:
		return s->from ? 0 : err_set(err, DRAY_ERR_USAGE, "\"from\" is missing");
	case SPEC_FILE:
		if (n != 1)
			return err_set(err, DRAY_ERR_USAGE,
				       "one of \"from\", \"text\" and \"data_base64\"");
		return s->path ? 0 : err_set(err, DRAY_ERR_USAGE, "\"path\" is missing");
	case SPEC_SYMLINK:
		if (!s->target || !s->target[0])
			return err_set(err, DRAY_ERR_USAGE, "\"target\" is missing");
		return s->path ? 0 : err_set(err, DRAY_ERR_USAGE, "\"path\" is missing");
	case SPEC_MKDIR:
		return s->path ? 0 : err_set(err, DRAY_ERR_USAGE, "\"path\" is missing");
	case SPEC_LINKS:
		return s->trees.n ? 0 : err_set(err, DRAY_ERR_USAGE, "\"from\" is missing");
	case SPEC_CLOSURE:
		if (s->store && s->store[0] != '/')
			return err_set(err, DRAY_ERR_USAGE, "\"store\": expected an absolute path");
		if (s->graph && s->paths)
			return err_set(err, DRAY_ERR_USAGE, "\"graph\" and \"paths\": one of both");
		return s->graph || s->paths
			       ? 0
			       : err_set(err, DRAY_ERR_USAGE, "\"graph\" or \"paths\" is missing");
	case SPEC_LISTED:
		return s->list ? 0 : err_set(err, DRAY_ERR_USAGE, "\"list\" is missing");
	case SPEC_USER:
		if (!s->uid.set || !s->gid.set)
			return err_set(err, DRAY_ERR_USAGE, "\"uid\" and \"gid\" are missing");
		return s->name && s->name[0] ? 0
					     : err_set(err, DRAY_ERR_USAGE, "\"name\" is missing");
	case SPEC_GROUP:
		if (!s->gid.set)
			return err_set(err, DRAY_ERR_USAGE, "\"gid\" is missing");
		return s->name && s->name[0] ? 0
					     : err_set(err, DRAY_ERR_USAGE, "\"name\" is missing");
	case SPEC_TYPES:
		break;
	}
	return 0;
}

/* Fields that no spec says, but a base may have. */
static const char *const only_inherited[] = {
	"AttachStdin", "AttachStdout", "AttachStderr",	  "Tty",	 "OpenStdin", "StdinOnce",
	"Image",       "MacAddress",   "NetworkDisabled", "ArgsEscaped", "OnBuild",
};

static int check_inherit(const char *name, dray_error **err)
{
	struct nearest near = { .typed = name };

	for (size_t i = 0; i < ARRAY_LEN(only_inherited); i++)
		if (strcmp(only_inherited[i], name) == 0)
			return 0;
	for (const struct spec_key *k = spec_config_shape.keys; k->name; k++) {
		if (k->kind == KEY_FLAG)
			continue;
		if (strcmp(k->name, name) == 0)
			return 0;
		nearest_offer(&near, k->name);
	}
	cleanup_free char *shown = text_safe(span_str(name), 80);
	err_set(err, DRAY_ERR_USAGE, "base: \"inherit\": a config has no \"%s\"",
		shown ? shown : "");
	if (nearest_get(&near))
		err_hint(err, "did you mean \"%s\"?", nearest_get(&near));
	return -1;
}

/* What other keys speak of: name -> number of its source or group, from 1 on. */
struct names {
	struct map ids, groups;
};

static size_t find_name(const struct map *m, const char *name)
{
	return (size_t)(uintptr_t)map_get(m, span_str(name));
}

static int check_layer(const struct names *names, const char *name, dray_error **err)
{
	if (!name || find_name(&names->groups, name))
		return 0;
	cleanup_free char *shown = text_safe(span_str(name), 80);
	return err_set(err, DRAY_ERR_USAGE, "\"layer\": there is no group \"%s\"",
		       shown ? shown : "");
}

static int check_id(struct map *ids, const char *id, size_t number, dray_error **err)
{
	size_t other = id ? find_name(ids, id) : 0;

	if (other)
		return err_set(err, DRAY_ERR_USAGE, "source %zu has the id of source %zu", number,
			       other);
	return id ? map_put(ids, span_str(id), (void *)(uintptr_t)number, err) : 0;
}

static int check_ids(const struct spec *s, struct names *names, dray_error **err)
{
	for (size_t i = 0; i < s->n_sources; i++)
		if (check_id(&names->ids, s->sources[i].id, i + 1, err) < 0)
			return spec_ctx(s, s->sources[i].at, err);
	return 0;
}

static int check_sources(const struct spec *s, const struct names *names, dray_error **err)
{
	for (size_t i = 0; i < s->n_sources; i++) {
		const struct spec_source *src = &s->sources[i];

		if (check_source(src, err) < 0 || check_layer(names, src->layer, err) < 0)
			return err_ctx(err, "source %zu (%s)", i + 1, spec_type_names[src->type]),
			       spec_ctx(s, src->at, err);
	}
	return 0;
}

static int layers_max(const struct spec *s)
{
	return s->force ? SPEC_LAYERS_FORCED : LAYERING_HARD;
}

static int check_group(const struct spec *s, struct names *names, size_t i, dray_error **err)
{
	const struct spec_group *g = &s->layers.groups[i];
	size_t other;

	if (!g->name || !g->name[0])
		return err_set(err, DRAY_ERR_USAGE, "group %zu has no name", i + 1);
	if (g->max.set && (g->max.v < 1 || g->max.v > layers_max(s)))
		return err_set(err, DRAY_ERR_USAGE, "group %zu: \"max\" is from 1 to %d", i + 1,
			       layers_max(s));
	other = find_name(&names->groups, g->name);
	if (other)
		return err_set(err, DRAY_ERR_USAGE, "group %zu has the name of group %zu", i + 1,
			       other);
	if (map_put(&names->groups, span_str(g->name), (void *)(uintptr_t)(i + 1), err) < 0)
		return -1;
	for (size_t k = 0; k < g->sources.n; k++) {
		if (find_name(&names->ids, g->sources.list[k]))
			continue;
		cleanup_free char *shown = text_safe(span_str(g->sources.list[k]), 80);
		return err_set(err, DRAY_ERR_USAGE, "group %zu: no source has the id \"%s\"", i + 1,
			       shown ? shown : "");
	}
	return 0;
}

static int check_groups(const struct spec *s, struct names *names, dray_error **err)
{
	for (size_t i = 0; i < s->layers.n_groups; i++)
		if (check_group(s, names, i, err) < 0)
			return spec_ctx(s, s->layers.groups[i].at, err);
	return 0;
}

static int check_rule(const struct spec_rule *r, const struct names *names, dray_error **err)
{
	if (!r->match && !r->regex)
		return err_set(err, DRAY_ERR_USAGE, "\"match\" or \"regex\" is missing");
	if (r->match && r->regex)
		return err_set(err, DRAY_ERR_USAGE, "\"match\" and \"regex\": one of both");
	if (r->of_base == SPEC_YES && r->remove != SPEC_YES)
		return err_set(err, DRAY_ERR_USAGE, "\"base\" goes with \"delete\": true");
	if (r->xattr.none)
		return err_set(err, DRAY_ERR_USAGE, "\"xattr\": null is for single attributes");
	return check_layer(names, r->layer, err);
}

/* Expressions, globs and attributes are read once for the errors in them. */
static int check_rules(const struct spec *s, const struct names *names, dray_error **err)
{
	for (size_t i = 0; i < s->n_rules; i++)
		if (check_rule(&s->rules[i], names, err) < 0)
			return err_ctx(err, "rule %zu", i + 1), spec_ctx(s, s->rules[i].at, err);
	return rules_check(s, err);
}

static int check_base(const struct spec_base *b, dray_error **err)
{
	const struct spec_select *sel = &b->select;

	if (!b->set && sel->set) /* said by a flag: a base that a text has is set */
		return err_set(err, DRAY_ERR_USAGE, "--select needs --from");
	if (b->set && !b->image)
		return err_set(err, DRAY_ERR_USAGE, "base: \"image\" is missing");
	if (!!sel->tag + !!sel->digest + sel->index.set > 1)
		return err_set(err, DRAY_ERR_USAGE,
			       "base: \"select\": one of \"tag\", \"digest\" and \"index\"");
	for (size_t i = 0; i < b->inherit.n; i++)
		if (check_inherit(b->inherit.list[i], err) < 0)
			return -1;
	return check_choice("dedupe", SPEC_DEDUPES, b->dedupe, err);
}

/* One pipeline, or another strategy. */
static int check_strategy(const struct spec_layers *l, dray_error **err)
{
	bool asked = l->strategy && strcmp(l->strategy, "pipeline") == 0;

	if (check_choice("strategy", SPEC_STRATEGIES, l->strategy, err) < 0)
		return -1;
	if (asked && !l->pipeline.len)
		return err_set(err, DRAY_ERR_USAGE,
			       "layers: \"strategy\" is pipeline, and \"pipeline\" is missing");
	if (l->strategy && !asked && l->pipeline.len)
		return err_set(err, DRAY_ERR_USAGE,
			       "layers: \"strategy\" and \"pipeline\": one of both");
	return 0;
}

static int check_max(const struct spec *s, dray_error **err)
{
	const struct spec_int *max = &s->layers.max;

	if (!max->set || (max->v >= 1 && max->v <= layers_max(s)))
		return 0;
	err_set(err, DRAY_ERR_USAGE, "layers: \"max\" is from 1 to %d, got %lld", layers_max(s),
		(long long)max->v);
	return s->force ? -1
			: err_hint(err, "engines refuse more; --force allows up to %d",
				   SPEC_LAYERS_FORCED);
}

static int check_layers(const struct spec_layers *l, dray_error **err)
{
	if (l->max_size.set && l->max_size.v == 0)
		return err_set(err, DRAY_ERR_USAGE, "layers: \"max_size\" is from 1 on");
	if (l->max_size.set && l->min_size.set && l->min_size.v > l->max_size.v)
		return err_set(err, DRAY_ERR_USAGE,
			       "layers: \"min_size\" is more than \"max_size\": %lld, %lld",
			       (long long)l->min_size.v, (long long)l->max_size.v);
	if (l->previous && !l->previous[0])
		return err_set(err, DRAY_ERR_USAGE, "layers: \"previous\" names no image");
	return check_strategy(l, err);
}

static int check_word(struct spec *s, const char *what, const char *text, dray_error **err)
{
	return !text || spec_word(s, what, text, err) == 0 ? 0 : err_ctx(err, "%s", what);
}

static int check_names(struct spec *s, dray_error **err)
{
	for (size_t i = 0; i < s->tags.n; i++)
		if (check_word(s, "tag", s->tags.list[i], err) < 0)
			return -1;
	return check_word(s, "tag", s->tag, err) < 0 || check_word(s, "name", s->name, err) < 0
		       ? -1
		       : check_word(s, "platform", s->platform, err);
}

static int check_level(const struct spec *s, dray_error **err)
{
	const struct spec_int *level = &s->compression.level;

	if (!level->set || (level->v >= 1 && level->v <= SPEC_LEVEL_MAX))
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "compression: \"level\" is from 1 to %d",
		       SPEC_LEVEL_MAX);
}

/* Where the text has the key @p name. */
static int at_key(const struct spec *s, const char *name, dray_error **err)
{
	for (size_t i = 0; spec_shape.keys[i].name; i++)
		if (strcmp(spec_shape.keys[i].name, name) == 0)
			return spec_ctx(s, s->said[i], err);
	return -1;
}

/* What is in lists, and what speaks of it. */
static int check_lists(const struct spec *s, dray_error **err)
{
	struct names names = { 0 };
	int rc = check_ids(s, &names, err) < 0 || check_groups(s, &names, err) < 0 ||
				 check_sources(s, &names, err) < 0 ||
				 check_rules(s, &names, err) < 0
			 ? -1
			 : 0;

	map_clear(&names.ids);
	map_clear(&names.groups);
	return rc;
}

int spec_check(struct spec *s, dray_error **err)
{
	const char *tag = s->tags.n ? "tags" : "tag";

	if (check_base(&s->base, err) < 0)
		return at_key(s, "base", err);
	if (check_names(s, err) < 0)
		return -1;
	if ((s->tag || s->tags.n) && !s->name)
		return err_set(err, DRAY_ERR_USAGE, "a tag without a name"), at_key(s, tag, err);
	if (s->tag && s->tags.n)
		return err_set(err, DRAY_ERR_USAGE, "\"tag\" and \"tags\": one of both"),
		       at_key(s, tag, err);
	if (check_level(s, err) < 0)
		return at_key(s, "compression", err);
	if (check_choice("conflict", "error|first|last", s->conflict, err) < 0)
		return -1;
	if (check_max(s, err) < 0 || check_layers(&s->layers, err) < 0)
		return at_key(s, "layers", err);
	if (s->config.expand == SPEC_YES) /* a value uses what was said before it */
		spec_pairs_order(&s->config.env);
	return check_lists(s, err);
}
