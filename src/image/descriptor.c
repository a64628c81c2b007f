/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors: what a document says about another one or about a blob.
 * Relies on json/ for types and on digest/ for the grammar of digests.
 * Promises that an embedded "data" member hashes to the digest beside it.
 */
#include "image/manifest_priv.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"

static const char *const known[] = {
	"mediaType", "digest", "size", "platform", "data", "urls", "artifactType", "annotations",
};

static int refuse_name(struct span name, const char *meant, dray_error **err)
{
	cleanup_free char *shown = text_safe(name, 40);

	if (!shown)
		return err_nomem(err);
	return err_set(err, DRAY_ERR_FORMAT,
		       "member \"%s\" is \"%s\" but for its case: readers disagree about it", shown,
		       meant);
}

/* "Layers" for "layers"; the right spelling itself is no variant. */
static bool is_variant(struct span name, const char *right)
{
	size_t n = strlen(right);

	if (name.len != n || span_is(name, right))
		return false;
	for (size_t i = 0; i < n; i++)
		if (ascii_lower((char)name.data[i]) != ascii_lower(right[i]))
			return false;
	return true;
}

int refuse_case_variants(struct json v, const char *const *names, size_t n, dray_error **err)
{
	CLEANUP(arena_clear) struct arena scratch = { 0 };

	if (json_type(v) != JSON_OBJECT)
		return 0;
	for (struct json m = json_first(v); json_node(m); m = json_next(m)) {
		const char *name;

		/* Decoded: "\u004cayers" is "Layers" to every reader. */
		if (json_name(m, &scratch, &name, err) < 0)
			return -1;
		for (size_t i = 0; i < n; i++)
			if (is_variant(span_str(name), names[i]))
				return refuse_name(span_str(name), names[i], err);
	}
	return 0;
}

static int take_digest(struct json v, struct arena *a, struct digest *ret, dray_error **err)
{
	const char *text;

	if (json_string(json_get(v, "digest"), "digest", a, &text, err) < 0)
		return -1;
	if (!text)
		return err_set(err, DRAY_ERR_FORMAT, "descriptor without a digest");
	return digest_parse(span_str(text), ret, err);
}

static int take_size(struct json v, int64_t *ret, dray_error **err)
{
	struct json size = json_get(v, "size");

	if (!json_present(size))
		return err_set(err, DRAY_ERR_FORMAT, "descriptor without a size");
	if (json_int(size, "size", ret, err) < 0)
		return -1;
	if (*ret < 0)
		return err_set(err, DRAY_ERR_FORMAT, "negative size %lld", (long long)*ret);
	return 0;
}

static int take_platform(struct json v, struct arena *a, struct descriptor *d, dray_error **err)
{
	struct json p = json_get(v, "platform");

	if (!json_present(p))
		return 0;
	d->has_platform = true;
	return platform_from_json(p, a, &d->platform, err);
}

static int take_urls(struct json v, struct arena *a, struct descriptor *d, dray_error **err)
{
	struct json urls = json_get(v, "urls");
	const char *unused;

	if (json_want(urls, JSON_ARRAY, true, "urls", err) < 0)
		return -1;
	if (!json_present(urls))
		return 0;
	for (struct json u = json_first(urls); json_node(u); u = json_next(u))
		if (json_want(u, JSON_STRING, false, "urls", err) < 0 ||
		    json_string(u, "urls", a, &unused, err) < 0)
			return -1;
	d->urls = urls;
	return 0;
}

/* The bytes of the "data" member must be those that digest and size name (M-04). */
static int check_data(struct span data, const struct descriptor *d, dray_error **err)
{
	cleanup_hash struct hash h = { 0 };
	struct digest actual;

	if ((int64_t)data.len != d->size)
		return err_set(err, DRAY_ERR_CORRUPT,
			       "the data member holds %zu bytes, its descriptor says %lld",
			       data.len, (long long)d->size);
	if (hash_init(&h, d->digest.algo, err) < 0)
		return -1;
	hash_update(&h, data);
	if (hash_finish(&h, &actual, err) < 0)
		return -1;
	return digest_expect(&d->digest, &actual, "data member", err);
}

static int take_data(struct json v, struct arena *a, struct descriptor *d, dray_error **err)
{
	cleanup_buf struct buf bytes = BUF_INIT(LIMIT_MANIFEST);
	const char *text;

	if (json_string(json_get(v, "data"), "data", a, &text, err) < 0)
		return -1;
	if (!text)
		return 0;
	if (base64_decode(span_str(text), &bytes, err) < 0)
		return err_ctx(err, "data");
	if (check_data(span_buf(&bytes), d, err) < 0)
		return -1;
	d->data = arena_dup(a, span_buf(&bytes));
	if (!d->data.data && bytes.len > 0)
		return err_nomem(err);
	d->has_data = true;
	return 0;
}

int descriptor_parse(struct json v, struct arena *a, struct descriptor *ret, dray_error **err)
{
	struct descriptor d = { 0 };

	if (json_want(v, JSON_OBJECT, false, "descriptor", err) < 0 ||
	    refuse_case_variants(v, known, ARRAY_LEN(known), err) < 0 ||
	    json_string(json_get(v, "mediaType"), "mediaType", a, &d.media_type, err) < 0 ||
	    json_string(json_get(v, "artifactType"), "artifactType", a, &d.artifact_type, err) <
		    0 ||
	    take_digest(v, a, &d.digest, err) < 0 || take_size(v, &d.size, err) < 0 ||
	    take_platform(v, a, &d, err) < 0 || take_urls(v, a, &d, err) < 0 ||
	    take_data(v, a, &d, err) < 0 ||
	    json_want_map(json_get(v, "annotations"), true, "annotations", err) < 0)
		return -1;
	if (json_present(json_get(v, "annotations")))
		d.annotations = json_get(v, "annotations");
	*ret = d;
	return 0;
}

bool descriptor_is_attestation(const struct descriptor *d)
{
	struct json type;

	if (!json_node(d->annotations))
		return false;
	type = json_get(d->annotations, "vnd.docker.reference.type");
	return json_type(type) == JSON_STRING &&
	       span_is(json_raw(type), "\"attestation-manifest\"");
}

int descriptor_annotation(const struct descriptor *d, const char *key, struct arena *a,
			  const char **ret, dray_error **err)
{
	*ret = NULL;
	if (!json_node(d->annotations))
		return 0;
	return json_string(json_get(d->annotations, key), "annotation", a, ret, err);
}
