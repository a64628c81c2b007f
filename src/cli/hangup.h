/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGHUP for a program that goes on: files are looked at again, its log is opened anew. Where it
 * has a terminal the signal is nothing of the kind: it says that the terminal went.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

#include "base/error.h"

struct hangup {
	int fd;	   /* readable when one came; -1 = it asks the program to end */
	char *log; /* the file that standard error was at the start; NULL = it was none */
};
#define HANGUP_INIT { .fd = -1 }

/** Whoever started us said that it is nothing to end for (nohup). */
bool hangup_is_ignored(void);
/** From here on; before any thread is made. */
int hangup_take(struct hangup *h, dray_error **err) MUST_CHECK;
/**
 * One came: read it, and open the log anew where it is a file: of the same name, made if somebody
 * moved the old one away. SYSTEM: then it goes on in the old one.
 */
int hangup_answer(struct hangup *h, dray_error **err) MUST_CHECK;
void hangup_end(struct hangup *h);
