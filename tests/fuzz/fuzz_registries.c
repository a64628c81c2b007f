/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as registries.conf: what becomes a rule has a prefix, matches itself and holds no
 * control character.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/registries.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	for (; text && *text; text++)
		assert((uint8_t)*text > 0x20 && (uint8_t)*text < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_registries struct registries r = { 0 };
	size_t matched;

	if (registries_add(&r, span_of(data, size), "f", NULL) < 0)
		return 0;
	for (size_t i = 0; i < r.n; i++) {
		const struct registry_rule *rule = &r.rules[i];

		check_text(rule->prefix);
		check_text(rule->location);
		assert(rule->prefix[0] == '*' || rule->location);
		if (rule->prefix[0] != '*')
			assert(registries_find(&r, rule->prefix, &matched) &&
			       matched <= strlen(rule->prefix));
		for (size_t m = 0; m < rule->n_mirrors; m++) {
			assert(rule->mirrors[m].location);
			check_text(rule->mirrors[m].location);
		}
	}
	return 0;
}
