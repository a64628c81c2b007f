/* SPDX-License-Identifier: Apache-2.0
 *
 * For: from names as places store them to repositories and tags, and from what clients ask for.
 * Relies on image/reference.h for the grammar.
 * Promises: every name that comes out fits it; one image has one listed name.
 */
#include "base/text.h"
#include "image/reference.h"
#include "serve/images_priv.h"

#define PLACE_NAME_MAX 128 /* bytes of a place's name that are looked at */

/* ---- what clients ask for ---- */

/* What a shorter name for @p name is; NULL = there is none. */
static const char *shorter(const char *name)
{
	static const char *const hosts[] = { "docker.io/", "index.docker.io/", "localhost/" };
	static const char official[] = "library/";

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		if (span_starts(span_str(name), hosts[i]))
			return name + strlen(hosts[i]);
	if (span_starts(span_str(name), official) && !strchr(name + strlen(official), '/'))
		return name + strlen(official);
	return NULL;
}

struct repo *images_find_repo(const struct images_shelf *s, const char *name)
{
	struct repo *r = NULL;

	for (; name && !r; name = shorter(name))
		r = map_get(&s->repos, span_str(name));
	return r;
}

/* ---- what places store ---- */

static const char *listed_name(const struct reference *ref, struct arena *a)
{
	const char *rest = shorter(ref->path);
	const char *name;

	if (strcmp(ref->domain, "docker.io") == 0)
		return arena_strdup(
			a, rest && span_starts(span_str(ref->path), "library/") ? rest : ref->path);
	if (strcmp(ref->domain, "localhost") == 0)
		return arena_strdup(a, ref->path);
	name = arena_printf(a, "%s/%s", ref->domain, ref->path);
	if (name && !reference_path_valid(span_str(name)))
		name = arena_strdup(a, ref->path);
	return name;
}

/* Whether a stored text is a tag alone, as layouts have them ("v1"). */
static bool is_tag_alone(const char *stored)
{
	return reference_tag_valid(span_str(stored));
}

int images_split_name(const char *stored, struct arena *a, const char **ret_repo,
		      const char **ret_tag, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_error dray_error *e = NULL;

	*ret_repo = *ret_tag = NULL;
	if (is_tag_alone(stored)) {
		*ret_tag = arena_strdup(a, stored);
		return *ret_tag ? 0 : err_nomem(err);
	}
	if (reference_parse(span_str(stored), &ref, &e) < 0)
		return dray_error_kind(e) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
	if (digest_set(&ref.digest) && !ref.tag)
		return 0;
	*ret_tag = arena_strdup(a, ref.tag ? ref.tag : "latest");
	*ret_repo = listed_name(&ref, a);
	return *ret_tag && *ret_repo ? 0 : err_nomem(err);
}

/* ---- what a place is called ---- */

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The last part of a path, without what archives are called behind the dot. */
static struct span base_name(const char *place)
{
	static const char *const ends[] = { ".gz",  ".xz",  ".zst",    ".bz2", ".tgz",
					    ".tar", ".oci", ".docker", ".img" };
	struct span s = span_str(place);

	while (s.len > 1 && s.data[s.len - 1] == '/')
		s.len--;
	for (int64_t slash; (slash = span_find(s, '/')) >= 0;)
		s = span_from(s, (size_t)slash + 1);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (span_ends(s, ends[i]) && s.len > strlen(ends[i]))
			s.len -= strlen(ends[i]);
	return span_head(s, PLACE_NAME_MAX);
}

const char *images_place_name(const char *place, struct arena *a)
{
	struct span s = base_name(place);
	char *out = arena_alloc(a, s.len + sizeof("image"));
	size_t n = 0;

	if (!out)
		return NULL;
	for (size_t i = 0; i < s.len; i++) {
		char c = ascii_lower((char)s.data[i]);

		/* One separator between two parts, none at the ends. */
		if (is_name_byte(c))
			out[n++] = c;
		else if (n > 0 && is_name_byte(out[n - 1]))
			out[n++] = c == '.' || c == '_' ? c : '-';
	}
	while (n > 0 && !is_name_byte(out[n - 1]))
		n--;
	out[n] = '\0';
	if (n == 0)
		memcpy(out, "image", sizeof("image"));
	return out;
}
