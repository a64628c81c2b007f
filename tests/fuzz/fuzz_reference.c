/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as an image name: what parses stays within the grammar, and both texts that we
 * print for it parse to the same name again.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "image/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const char *text, const char *full)
{
	cleanup_reference struct reference r = { 0 };

	assert(text && full);
	assert(reference_parse(span_str(text), &r, NULL) == 0);
	cleanup_free char *again = reference_text(&r);
	assert(again && strcmp(again, full) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_reference struct reference r = { 0 };

	if (reference_parse(span_of(data, size), &r, NULL) < 0)
		return 0;
	assert(reference_path_valid(span_str(r.path)));
	assert(!r.tag || reference_tag_valid(span_str(r.tag)));
	cleanup_free char *full = reference_text(&r);
	cleanup_free char *familiar = reference_familiar(&r);
	check_again(full, full);
	check_again(familiar, full);
	return 0;
}
