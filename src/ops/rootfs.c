/* SPDX-License-Identifier: Apache-2.0
 *
 * The merged tree as a digest and as a tar.
 * Relies on ops/stack for proven layers, on layer/ for what they mean.
 * Promises an output that appears whole or not at all.
 */
#include "layer/rootfs.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "ops/stack.h"

int dray_rootfs_id(dray_context *ctx, const char *image, const struct dray_select *sel, bool mtime,
		   char ret[DRAY_DIGEST_SIZE], dray_error **err)
{
	const struct stack_options o = { .contents = true };
	cleanup_stack struct stack *s = NULL;
	cleanup_tree struct tree *t = NULL;
	struct digest id;

	if (stack_open(ctx, image, sel, &o, &s, err) < 0 || stack_tree(s, s->n, &t, err) < 0 ||
	    rootfs_id(t, mtime, &id, err) < 0)
		return -1;
	snprintf(ret, DRAY_DIGEST_SIZE, "%s", id.text);
	return 0;
}

static void tell_windows(const struct stack *s)
{
	if (stack_is_windows(s))
		context_log(s->ctx, DRAY_LOG_WARNING,
			    "%s is a Windows image: no engine imports the tar of its files",
			    s->im->where);
}

static int write_tree(struct stack *s, const struct tree *t, struct sink *k, int64_t *ret,
		      dray_error **err)
{
	const struct record_list all = { tree_record_next, t };
	const struct layer_feed feed = stack_feed(s);
	cleanup_source struct source *tar = NULL;

	if (stack_prepare(s, &all, err) < 0)
		return -1;
	tar = layer_tar_source(&all, &feed, err);
	*ret = tar ? pump(tar, k, err) : -1;
	if (*ret < 0 || stack_feed_finish(s, err) < 0)
		return -1;
	return sink_finish(k, err);
}

int dray_export(dray_context *ctx, const char *image, const struct dray_select *sel,
		const char *output, bool no_clobber, int64_t *ret_size, dray_error **err)
{
	const struct stack_options o = { 0 };
	bool standard = strcmp(output, "-") == 0;
	cleanup_sink struct sink *k = standard ? sink_to_fd(STDOUT_FILENO, false, err)
					       : sink_to_file(AT_FDCWD, output, no_clobber, err);
	cleanup_stack struct stack *s = NULL;
	cleanup_tree struct tree *t = NULL;
	int64_t size;

	if (!k || stack_open(ctx, image, sel, &o, &s, err) < 0 ||
	    stack_tree(s, s->n, &t, err) < 0 || write_tree(s, t, k, &size, err) < 0)
		return -1;
	tell_windows(s);
	if (ret_size)
		*ret_size = size;
	return 0;
}
