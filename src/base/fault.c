/* SPDX-License-Identifier: Apache-2.0
 *
 * For: making exactly the n-th allocation or system call fail in a test.
 * Relies on: lock-free atomics only, so that any thread may pass the door.
 * Promises: one relaxed load while nothing is armed.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "base/fault.h"
#include "base/number.h"

/* Process-wide on purpose: a test arms the door that the code under test passes. */
static struct {
	atomic_uint armed; /* a bit per kind */
	_Atomic uint64_t nth[FAULT_KINDS];
	_Atomic uint64_t seen[FAULT_KINDS];
	atomic_int errnum;
} door;

void fault_arm(enum fault_kind kind, uint64_t nth, int errnum)
{
	atomic_fetch_and(&door.armed, ~(1U << kind));
	if (nth == 0)
		return;
	atomic_store(&door.nth[kind], nth);
	atomic_store(&door.seen[kind], 0);
	if (kind == FAULT_IO)
		atomic_store(&door.errnum, errnum);
	atomic_fetch_or(&door.armed, 1U << kind);
}

uint64_t fault_count(enum fault_kind kind)
{
	return atomic_load(&door.seen[kind]);
}

bool fault_hit(enum fault_kind kind)
{
	if (!(atomic_load_explicit(&door.armed, memory_order_relaxed) & 1U << kind))
		return false;
	uint64_t seen = atomic_fetch_add(&door.seen[kind], 1) + 1;
	return kind == FAULT_SHORT || seen == atomic_load(&door.nth[kind]);
}

int fault_errno(void)
{
	int errnum = atomic_load(&door.errnum);

	return errnum ? errnum : EIO;
}

/* The part of *text before @p c, taken off it together with the @p c. */
static struct span take_until(struct span *text, uint8_t c)
{
	int64_t end = span_find(*text, c);
	struct span head = end < 0 ? *text : span_head(*text, (size_t)end);

	*text = span_from(*text, end < 0 ? text->len : (size_t)end + 1);
	return head;
}

static void arm_from_text(struct span text)
{
	static const char *const names[FAULT_KINDS] = {
		[FAULT_ALLOC] = "alloc",
		[FAULT_IO] = "io",
		[FAULT_SHORT] = "short",
		[FAULT_CRASH] = "crash",
	};
	struct span name = take_until(&text, ':');
	struct span count = take_until(&text, ':');
	int64_t nth, errnum;

	if (!num_parse_u63(count, &nth))
		return;
	if (!num_parse_u63(text, &errnum) || errnum > 4095)
		errnum = 0;
	for (int kind = 0; kind < FAULT_KINDS; kind++) {
		if (span_is(name, names[kind]))
			fault_arm((enum fault_kind)kind, (uint64_t)nth, (int)errnum);
	}
}

void fault_arm_from_env(void)
{
	const char *value = getenv("DRAY_FAULT");

	if (value)
		arm_from_text(span_str(value));
}
