/* SPDX-License-Identifier: Apache-2.0
 *
 * Media types and what they mean.
 * Relies on nothing but the text; names are compared without case, parameters are ignored.
 * Promises nothing about compression: only the bytes tell that (formats.md 4.4).
 */
#include "image/mediatype.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

static const char *const docker_layers[] = {
	MT_DOCKER_LAYER,
	MT_DOCKER_LAYER_GZIP,
	MT_DOCKER_LAYER_ZSTD,
};

static const char *const oci_layers[] = {
	MT_OCI_LAYER,
	MT_OCI_LAYER_GZIP,
	MT_OCI_LAYER_ZSTD,
};

static const char *const foreign_layers[] = {
	MT_DOCKER_FOREIGN,   MT_DOCKER_FOREIGN_GZIP, MT_OCI_FOREIGN,
	MT_OCI_FOREIGN_GZIP, MT_OCI_FOREIGN_ZSTD,
};

/* The type without parameters: "a/b; charset=utf-8" is "a/b". */
static size_t essence(const char *mt)
{
	size_t n = strcspn(mt, ";");

	while (n > 0 && (mt[n - 1] == ' ' || mt[n - 1] == '\t'))
		n--;
	return n;
}

static bool is(const char *mt, const char *name)
{
	size_t n = mt ? essence(mt) : 0;

	return n == strlen(name) && strncasecmp(mt, name, n) == 0;
}

static bool is_one_of(const char *mt, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is(mt, names[i]))
			return true;
	return false;
}

bool mediatype_equal(const char *a, const char *b)
{
	size_t n = essence(b);

	return n == essence(a) && strncasecmp(a, b, n) == 0;
}

bool mediatype_is_manifest(const char *mt)
{
	return is(mt, MT_DOCKER_MANIFEST) || is(mt, MT_OCI_MANIFEST);
}

bool mediatype_is_index(const char *mt)
{
	return is(mt, MT_DOCKER_LIST) || is(mt, MT_OCI_INDEX);
}

bool mediatype_is_schema1(const char *mt)
{
	return is(mt, MT_DOCKER_SCHEMA1) || is(mt, MT_DOCKER_SCHEMA1_SIGNED);
}

bool mediatype_is_docker(const char *mt)
{
	static const char prefix[] = "application/vnd.docker.";

	return mt && strncasecmp(mt, prefix, sizeof(prefix) - 1) == 0;
}

bool mediatype_is_image_config(const char *mt)
{
	return is(mt, MT_DOCKER_CONFIG) || is(mt, MT_OCI_CONFIG);
}

bool mediatype_is_generic(const char *mt)
{
	static const char *const generic[] = {
		"", "application/octet-stream", "application/json", "text/plain", "text/html",
	};

	return !mt || is_one_of(mt, generic, ARRAY_LEN(generic));
}

bool mediatype_is_layer(const char *mt)
{
	return is_one_of(mt, docker_layers, ARRAY_LEN(docker_layers)) ||
	       is_one_of(mt, oci_layers, ARRAY_LEN(oci_layers)) || mediatype_is_foreign(mt);
}

bool mediatype_is_foreign(const char *mt)
{
	return is_one_of(mt, foreign_layers, ARRAY_LEN(foreign_layers));
}
