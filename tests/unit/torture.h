/* SPDX-License-Identifier: Apache-2.0
 *
 * Make the first, second, third ... allocation or system call of a piece of
 * code fail (reliability G-17). Leaks are the sanitizer's to find.
 */
#pragma once

#include "base/fault.h"
#include "support.h"

/** What is tortured: 0, or -1 with *err set. Run again and again, so it starts from nothing. */
typedef int torture_fn(void *arg, dray_error **err);

#define TORTURE_ROUNDS 100000 /* more faults than any sensible test has */

/* One run with the @p nth call of @p kind failing; true when the run got that far. */
static inline bool torture_once(enum fault_kind kind, uint64_t nth, int errnum, torture_fn *fn,
				void *arg, int *ret_rc, dray_error **err)
{
	fault_arm(kind, nth, errnum);
	*ret_rc = fn(arg, err);
	fault_arm(kind, 0, 0);
	if ((*ret_rc < 0) != (*err != NULL))
		fail_msg("fault %llu: result %d, but %s", (unsigned long long)nth, *ret_rc,
			 *err ? dray_error_message(*err) : "no error");
	return fault_count(kind) >= nth;
}

/** Every failing allocation gives -1 with NOMEM; at the end it succeeds. */
static inline void torture_alloc(torture_fn *fn, void *arg)
{
	for (uint64_t nth = 1; nth < TORTURE_ROUNDS; nth++) {
		dray_error *err = NULL;
		int rc;

		if (!torture_once(FAULT_ALLOC, nth, 0, fn, arg, &rc, &err)) {
			assert_ok(rc, err);
			return;
		}
		if (rc >= 0)
			fail_msg("allocation %llu failed and nobody noticed",
				 (unsigned long long)nth);
		assert_err_kind(err, DRAY_ERR_NOMEM);
	}
	fail_msg("still failing after %d faults", TORTURE_ROUNDS);
}

/**
 * Every failing system call is either an error or made no difference: after a run
 * @p check (NULL = nothing to check) looks at what is left, told whether it failed.
 */
static inline void torture_io(torture_fn *fn, void *arg, int errnum,
			      void (*check)(void *arg, bool failed))
{
	for (uint64_t nth = 1; nth < TORTURE_ROUNDS; nth++) {
		dray_error *err = NULL;
		int rc;
		bool reached = torture_once(FAULT_IO, nth, errnum, fn, arg, &rc, &err);

		if (!reached)
			assert_ok(rc, err);
		err_clear(&err);
		if (check)
			check(arg, rc < 0);
		if (!reached)
			return;
	}
	fail_msg("still failing after %d faults", TORTURE_ROUNDS);
}
