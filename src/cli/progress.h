/* SPDX-License-Identifier: Apache-2.0
 *
 * What moves, shown on stderr: bars on a terminal, a line now and then
 * elsewhere, or JSON for programs.
 */
#pragma once

#include <dray/context.h>
#include "base/span.h"

enum progress_style { PROGRESS_NONE, PROGRESS_PLAIN, PROGRESS_BARS, PROGRESS_JSON };

struct progress_blob;
struct progress {
	enum progress_style style;
	size_t columns, rows;	     /* of the terminal */
	struct progress_blob *blobs; /* in flight */
	size_t len, cap;
	int64_t begun_ms, drawn_ms; /* clock at the first event, at the last drawing */
	int64_t finished, skipped;  /* blobs */
	int64_t bytes_finished;	    /* read by blobs that are done */
	size_t lines;		    /* that stand drawn above the cursor */
	bool verbose;		    /* a line for each blob that ends */
};

/** @p choice "auto", "plain", "json", "none"; NULL = auto. */
void progress_init(struct progress *p, const char *choice, bool quiet, bool verbose);
/** One event; @p now_ms is the clock, so that tests own time. */
void progress_event(struct progress *p, const struct dray_progress *e, int64_t now_ms);
/** Take the bars away before something else is written to stderr. */
void progress_hide(struct progress *p);
void progress_clear(struct progress *p);
/** "1:02:03", "4:05"; -1 is "-:--". */
#define HUMAN_ETA 24
const char *human_eta(int64_t seconds, char out[HUMAN_ETA]);
/** One line about a blob, or about everything when @p blob is NULL; at most p->columns wide. */
int progress_line(const struct progress *p, const struct progress_blob *blob, int64_t now_ms,
		  struct buf *out);
