/* SPDX-License-Identifier: Apache-2.0
 *
 * export: the merged tree as a tar.
 * Relies on ops/merged for the bytes.
 * Promises an output that appears whole or not at all.
 */
#include <fcntl.h>
#include <unistd.h>

#include "ops/merged.h"

static void tell_windows(const struct stack *s)
{
	if (stack_is_windows(s))
		context_log(s->ctx, DRAY_LOG_WARNING,
			    "%s is a Windows image: no engine imports the tar of its files",
			    s->im->where);
}

static struct sink *open_output(const char *output, bool no_clobber, dray_error **err)
{
	return strcmp(output, "-") == 0 ? sink_to_fd(STDOUT_FILENO, false, err)
					: sink_to_file(AT_FDCWD, output, no_clobber, err);
}

int dray_export(dray_context *ctx, const char *image, const struct dray_select *sel,
		const char *output, bool no_clobber, int64_t *ret_size, dray_error **err)
{
	const struct stack_options o = { .lazy = true };
	cleanup_sink struct sink *k = open_output(output, no_clobber, err);
	cleanup_stack struct stack *s = NULL;
	cleanup_merged struct merged m = { 0 };
	int rc;

	if (!k || stack_open(ctx, image, sel, &o, &s, err) < 0)
		return -1;
	m.stack = s;
	rc = sink_can_restart(k) ? merged_write_once(&m, k, err) : 0;
	if (rc == 0 && k->pos > 0 && sink_restart(k, err) < 0)
		return -1;
	if (rc < 0 || (rc == 0 && (merged_load(&m, err) < 0 || merged_write(&m, k, err) < 0)))
		return -1;
	tell_windows(s);
	if (ret_size)
		*ret_size = k->pos;
	return sink_finish(k, err);
}
