/* SPDX-License-Identifier: Apache-2.0
 *
 * Fault injection: every allocation and every system call of the library goes
 * through a counted door, so that a test can make exactly the n-th one fail.
 * Always compiled in (one relaxed atomic load when idle), armed by tests only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum fault_kind {
	FAULT_ALLOC,	/* mem_*() returns NULL */
	FAULT_IO,	/* io_*() fails with the armed errno */
	FAULT_SHORT,	/* io_read/io_write move one byte only (every call, not just the n-th) */
	FAULT_CRASH,	/* _exit(99) at the n-th io call: what a kill -9 leaves behind */
	FAULT_KINDS
};

/**
 * Arm: the @p nth call from now (1 = next) of @p kind fails, once; the count restarts.
 * 0 disarms and keeps the count. UINT64_MAX counts and fails nothing.
 */
void fault_arm(enum fault_kind kind, uint64_t nth, int errnum);

/** Calls of @p kind seen while armed (so a test learns the range). */
uint64_t fault_count(enum fault_kind kind);

/** Used by mem.c and io.c: true when this call has to fail. */
bool fault_hit(enum fault_kind kind);
int fault_errno(void);

/** Arm from DRAY_FAULT="alloc:N", "io:N[:ERRNO]", "short:1", "crash:N"; for test builds. */
void fault_arm_from_env(void);
