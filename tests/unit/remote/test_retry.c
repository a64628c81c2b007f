/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      waits between tries.
 * Relies:   on nothing outside remote/retry.h.
 * Promises: the schedule of G-12 as a table.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "remote/retry.h"

static void test_wait(void **state)
{
	static const struct {
		int attempt;
		int64_t asked, low, high;
	} rows[] = {
		{ 0, -1, 500, 625 },	    { 1, -1, 1000, 1250 },  { 2, -1, 2000, 2500 },
		{ 3, -1, 4000, 5000 },	    { 4, -1, 8000, 10000 }, { 6, -1, 32000, 40000 },
		{ 1000, -1, 32000, 40000 }, { 0, 0, 0, 0 },	    { 3, 7000, 7000, 7000 },
		{ 0, 60000, 60000, 60000 }, { 0, 60001, -1, -1 },
	};
	static const uint32_t randoms[] = { 0, 1, 1023, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t k = 0; k < ARRAY_LEN(randoms); k++) {
			int64_t ms = retry_wait_ms(rows[i].attempt, RETRY_FIRST_MS, rows[i].asked,
						   randoms[k]);

			assert_true(ms >= rows[i].low && ms <= rows[i].high);
		}
	}
}

static void test_status(void **state)
{
	static const int yes[] = { 408, 429, 500, 502, 503, 504 };
	static const int no[] = { 200, 206, 301, 400, 401, 403, 404, 405, 416, 501 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		assert_true(retry_status(yes[i]));
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		assert_false(retry_status(no[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
