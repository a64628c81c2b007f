/* SPDX-License-Identifier: Apache-2.0
 *
 * What this library is made of. Relies on each room to name its own libraries.
 * Promises static strings and no work at start-up.
 */
#include <dray/dray.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "codec/codec.h"
#include "db/db.h"
#include "digest/digest.h"

const char *dray_version(void)
{
	return DRAY_VERSION;
}

const char *dray_version_library(size_t index, const char **ret_version)
{
	const struct {
		const char *name;
		const char *(*version)(void);
	} own[] = {
		{ "libcrypto", digest_library_version },
		{ "sqlite3", db_library_version },
	};
	size_t codecs = 0;
	const char *name;

	if (index < ARRAY_LEN(own)) {
		*ret_version = own[index].version();
		return own[index].name;
	}
	codecs = index - ARRAY_LEN(own);
	name = codec_library(codecs, ret_version);
	return name;
}

void dray_remove_temporaries(void)
{
	outfile_unlink_all();
}
