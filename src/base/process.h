/* SPDX-License-Identifier: Apache-2.0
 *
 * Running other programs: no shell, no descriptor that was not handed over, and
 * nothing that outlives the struct.
 */
#pragma once

#include <sys/types.h>
#include "base/span.h"

struct pollfd;

struct process {
	pid_t pid;	/* -1 = none, or reaped */
};
#define PROCESS_INIT ((struct process){ .pid = -1 })

/** What a program gets of ours; all lent, everything else is closed in it. */
struct process_fds {
	int in, out, errors;	/* its 0, 1 and 2; -1 = /dev/null */
	const int *keep;	/* more, under their own numbers; each is 3 or more */
	size_t n_keep;
};

/**
 * Start argv[0], looked up in PATH. Its signals are those that programs expect,
 * whatever we ignore. Not there is SYSTEM with ENOENT.
 */
int process_start(struct process *p, const char *const *argv, const struct process_fds *fds,
		  dray_error **err) MUST_CHECK;
/**
 * Wait for its end, as wait(2) tells it; after @p deadline_ms of io_now_ms() it is
 * killed, 0 = at once, INT64_MAX = never. A request to cancel kills as well.
 * -1 without an error when somebody else has reaped it.
 */
int process_end(struct process *p, int64_t deadline_ms);
/** Whether it has ended by itself; process_end() still has to be called. */
bool process_exited(const struct process *p);
/** Kill and reap what still runs. Leaves errno alone. */
void process_clear(struct process *p);
#define cleanup_process CLEANUP(process_clear)

/** pipe(2), [0] to read, [1] to write: close on exec, and 3 or more, so none mixes with 0 to 2. */
int process_pipe(int ret[2], dray_error **err) MUST_CHECK;
/** A pair of connected sockets, likewise: one end is written to without a SIGPIPE. */
int process_socket(int ret[2], dray_error **err) MUST_CHECK;
/**
 * What is at hand of a descriptor that poll(2) calls ready, appended to @p ret, as far
 * as its max allows; the rest is read and dropped. 1; 0 = end.
 */
int process_gather(int fd, struct buf *ret, dray_error **err) MUST_CHECK;
/**
 * As much of @p bytes as the socket @p fd takes now: how much; -1. 0 when there is no room,
 * or nobody who reads any more: *ret_gone tells which.
 */
int64_t process_feed(int fd, struct span bytes, bool *ret_gone, dray_error **err) MUST_CHECK;
/**
 * poll(2), at most @p wait_ms; negative descriptors are skipped. How many are ready, 0 also
 * after a signal; CANCELLED.
 */
int process_poll(struct pollfd *fds, size_t n, int wait_ms, dray_error **err) MUST_CHECK;
/** A descriptor of a file in memory that holds @p bytes, read from their start. */
int process_memory(struct span bytes, dray_error **err) MUST_CHECK;
