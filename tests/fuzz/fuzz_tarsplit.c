/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the lines of a tar-split: nothing but memory of one line is used, files are asked
 * for only with a size, and what is put together is as long as tarsplit_size() says.
 */
#include <assert.h>
#include <fcntl.h>

#include "base/io.h"
#include "disk/tarsplit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every file is /dev/zero, of the size that one byte of its name says. */
static int open_zero(void *arg, struct span name, int64_t *ret_size, dray_error **err)
{
	(void)arg;
	assert(name.len > 0);
	*ret_size = name.data[0];
	return io_openat(AT_FDCWD, "/dev/zero", O_RDONLY, 0, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tarsplit_files files = { .open = open_zero };
	struct span lines = span_of(data, size);
	int64_t total = -1;
	int sized = tarsplit_size(source_from_span(lines, NULL), &total, NULL);
	cleanup_source struct source *s = tarsplit_assemble(source_from_span(lines, NULL), &files,
							    NULL);

	if (s && source_drain(s, NULL) == 0) {
		assert(sized == 0);
		assert(s->pos == total);
	}
	return 0;
}
