/* SPDX-License-Identifier: Apache-2.0
 *
 * The libraries behind the codecs, by name and version.
 * Relies on each library to know its own version. Promises static strings.
 */
#include "codec/codec.h"

#include <bzlib.h>
#include <isa-l.h>
#include <libdeflate.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#define TEXT(x) #x
#define NUMBER(x) TEXT(x)

const char *codec_library(size_t index, const char **ret_version)
{
	const struct {
		const char *name, *version;
	} libraries[] = {
		{ "libdeflate", LIBDEFLATE_VERSION_STRING },
		{ "isa-l", NUMBER(ISAL_MAJOR_VERSION) "." NUMBER(ISAL_MINOR_VERSION) "." NUMBER(
				   ISAL_PATCH_VERSION) },
		{ "zlib", zlibVersion() },
		{ "libzstd", ZSTD_versionString() },
		{ "liblzma", lzma_version_string() },
		{ "bzip2", BZ2_bzlibVersion() },
	};

	if (index >= ARRAY_LEN(libraries))
		return NULL;
	*ret_version = libraries[index].version;
	return libraries[index].name;
}
