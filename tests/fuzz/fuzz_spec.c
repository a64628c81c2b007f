/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a spec: what is read is printed, and what is printed reads as the same spec.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "build/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "${" stood for itself in the first text, and does not in the second. */
static bool has_names(struct span s)
{
	for (size_t i = 0; i + 1 < s.len; i++)
		if (s.data[i] == '$' && s.data[i + 1] == '{')
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_buf struct buf first = BUF_INIT(LIMIT_SPEC), second = BUF_INIT(LIMIT_SPEC);
	cleanup_spec struct spec *a = NULL, *b = NULL;

	if (spec_parse(span_of(data, size), "f", false, NULL, 0, &a, NULL) < 0)
		return 0;
	(void)(spec_check(a, NULL) == 0);
	assert(spec_print(a, &first, NULL) == 0);
	if (has_names(span_buf(&first)))
		return 0;
	assert(spec_parse(span_buf(&first), "f", false, NULL, 0, &b, NULL) == 0);
	assert(spec_print(b, &second, NULL) == 0);
	assert(span_eq(span_buf(&first), span_buf(&second)));
	return 0;
}
