/* SPDX-License-Identifier: Apache-2.0
 *
 * A transformation of bytes without any I/O, wrapped as a source stage.
 */
#pragma once

#include "flow/source.h"

enum filter_state {
	FILTER_MORE,	/* call again: wants input or has more output */
	FILTER_END,	/* the format's end was reached and all output delivered */
	FILTER_FAILED,
};

struct filter;
struct filter_ops {
	/**
	 * Advance @p in and @p out. @p end says that @p in is the last input there is.
	 * Making no progress with room to write and input at hand (or at end) is FILTER_FAILED.
	 */
	enum filter_state (*step)(struct filter *f, struct span *in, struct room *out, bool end,
				  dray_error **err);
	void (*free)(struct filter *f);
};
struct filter {
	const struct filter_ops *ops;
};

void filter_free(struct filter *f);
/** Takes both. Ends when the filter does; the filter itself judges what follows its end. */
struct source *source_filtered(struct source *in, struct filter *f, dray_error **err);
