/* SPDX-License-Identifier: Apache-2.0
 *
 * For: errors as callers see them.
 * Relies on: support.h, fault.h.
 * Promises: every maker is tried with and without a slot and without memory.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include "base/fault.h"
#include "support.h"

static void test_set_and_context(void **state)
{
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(err_set(&err, DRAY_ERR_FORMAT, "bad byte %d", 7), -1);
	assert_int_equal(err_ctx(&err, "layer %d", 3), -1);
	assert_int_equal(err_ctx(&err, "push %s", "x"), -1);
	assert_string_equal(dray_error_message(err), "push x: layer 3: bad byte 7");
	assert_int_equal(dray_error_errno(err), 0);
	assert_null(dray_error_expected(err));
	assert_null(dray_error_hint(err));
	assert_err_kind(err, DRAY_ERR_FORMAT);
}

static void test_codes(void **state)
{
	static const struct {
		enum dray_err_kind kind;
		const char *code;
	} rows[] = {
		{ DRAY_ERR_USAGE, "usage" },
		{ DRAY_ERR_NOT_FOUND, "not-found" },
		{ DRAY_ERR_DENIED, "authentication" },
		{ DRAY_ERR_CORRUPT, "integrity" },
		{ DRAY_ERR_FORMAT, "format" },
		{ DRAY_ERR_UNSUPPORTED, "unsupported" },
		{ DRAY_ERR_LIMIT, "limit" },
		{ DRAY_ERR_NETWORK, "network" },
		{ DRAY_ERR_SYSTEM, "io" },
		{ DRAY_ERR_NOMEM, "memory" },
		{ DRAY_ERR_CANCELLED, "cancelled" },
		{ DRAY_ERR_SIGNATURE, "signature" },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		dray_error *err = NULL;
		err_set(&err, rows[i].kind, "x");
		assert_string_equal(dray_error_code(err), rows[i].code);
		assert_err_kind(err, rows[i].kind);
	}
}

static void test_errno(void **state)
{
	dray_error *err = NULL;

	(void)state;
	err_sys(&err, ENOSPC, "write %s", "x");
	assert_string_equal(dray_error_message(err), "write x: No space left on device");
	assert_int_equal(dray_error_errno(err), ENOSPC);
	err_rekind(&err, DRAY_ERR_NOT_FOUND);
	assert_int_equal(dray_error_errno(err), 0);
	assert_err_kind(err, DRAY_ERR_NOT_FOUND);
	err_sys(&err, 4000, "odd");
	assert_err(err, DRAY_ERR_SYSTEM, "odd: errno 4000");
}

static void test_fields(void **state)
{
	dray_error *err = NULL;

	(void)state;
	err_mismatch(&err, "a", "b", "blob digest of layer %d", 1);
	err_hint(&err, "first");
	err_hint(&err, "second");
	err_http(&err, 404, "MANIFEST_UNKNOWN");
	err_http(&err, 405, NULL);
	err_http(&err, 406, "OTHER");
	assert_string_equal(dray_error_message(err),
			    "blob digest of layer 1 differs (expected a, got b)");
	assert_string_equal(dray_error_expected(err), "a");
	assert_string_equal(dray_error_actual(err), "b");
	assert_string_equal(dray_error_hint(err), "first");
	assert_int_equal(dray_error_http_status(err), 406);
	assert_string_equal(dray_error_registry_code(err), "OTHER");
	assert_err_kind(err, DRAY_ERR_CORRUPT);
}

static void test_no_slot(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, DRAY_ERR_USAGE, "x"), -1);
	assert_int_equal(err_sys(NULL, EIO, "x"), -1);
	assert_int_equal(err_nomem(NULL), -1);
	assert_int_equal(err_mismatch(NULL, "a", "b", "x"), -1);
	assert_int_equal(err_ctx(NULL, "x"), -1);
	assert_int_equal(err_hint(NULL, "x"), -1);
	assert_int_equal(err_http(NULL, 1, "x"), -1);
	assert_int_equal(err_rekind(NULL, DRAY_ERR_USAGE), -1);
	err_clear(NULL);
	dray_error_free(NULL);
}

/* Out of memory: one static object that nobody changes or frees (G-17). */
static void test_G17_no_memory(void **state)
{
	dray_error *err = NULL;

	(void)state;
	err_nomem(&err);
	err_ctx(&err, "level");
	err_hint(&err, "hint");
	err_http(&err, 500, "X");
	err_rekind(&err, DRAY_ERR_USAGE);
	assert_string_equal(dray_error_message(err), "out of memory");
	assert_null(dray_error_hint(err));
	assert_int_equal(dray_error_http_status(err), 0);
	assert_err_kind(err, DRAY_ERR_NOMEM);
	for (uint64_t nth = 1; nth <= 2; nth++) {
		fault_arm(FAULT_ALLOC, nth, 0);
		err_set(&err, DRAY_ERR_FORMAT, "x");
		fault_arm(FAULT_ALLOC, 0, 0);
		assert_err_kind(err, DRAY_ERR_NOMEM);
	}
}

/* A context that finds no memory must not hide the cause. */
static void test_context_without_memory(void **state)
{
	(void)state;
	for (uint64_t nth = 1; nth <= 2; nth++) {
		dray_error *err = NULL;
		err_set(&err, DRAY_ERR_FORMAT, "cause");
		fault_arm(FAULT_ALLOC, nth, 0);
		err_ctx(&err, "level");
		fault_arm(FAULT_ALLOC, 0, 0);
		assert_string_equal(dray_error_message(err), "cause");
		assert_err_kind(err, DRAY_ERR_FORMAT);
	}
}

static void test_setting_twice_asserts(void **state)
{
	int status;

	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		dray_error *err = NULL;
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		err_set(&err, DRAY_ERR_FORMAT, "one");
		err_set(&err, DRAY_ERR_FORMAT, "two");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_and_context),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_no_slot),
		cmocka_unit_test(test_G17_no_memory),
		cmocka_unit_test(test_context_without_memory),
		cmocka_unit_test(test_setting_twice_asserts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
