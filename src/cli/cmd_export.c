/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "export" and "rootfs-id": the merged file system as a tar, and its digest.
 * Relies on: dray_export() and dray_rootfs_id().
 * Promises: a tar never goes to a terminal.
 */
#include <unistd.h>

#include "cli/cli.h"

static int run_export(struct session *s, dray_error **err)
{
	const char *output = s->global.output ? s->global.output : "-";
	struct dray_select select = session_select(s);
	char size[HUMAN_SIZE];
	int64_t bytes;

	if (strcmp(output, "-") == 0 && isatty(STDOUT_FILENO))
		return err_set(err, DRAY_ERR_USAGE,
			       "a tar is not written to a terminal: name a file with -o");
	if (session_check_input(s, s->args[0], err) < 0 || !session_context(s, err) ||
	    dray_export(s->ctx, s->args[0], &select, output, s->global.no_clobber, &bytes, err) < 0)
		return -1;
	session_note(s, "%s of files exported", human_size(bytes, size));
	return STATUS_OK;
}

const struct command cmd_export = {
	.name = "export",
	.group = GROUP_LOOK,
	.summary = "write the merged file system of an image as one tar",
	.args = "IMAGE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes = "Applies the layers to one another, without unpacking them, and writes what is "
		 "left as a tar: paths sorted by their bytes, entries with the headers that their "
		 "layers gave them. The same image gives the same tar, byte for byte.",
	.features = FEATURE_IMAGE | FEATURE_SALVAGE | FEATURE_OUTPUT | FEATURE_CLOBBER |
		    FEATURE_PRODUCT,
	.all_help = HELP_ALL_ONE,
	.run = run_export,
};

struct rootfs_flags {
	bool mtime;
};

static const struct option rootfs_table[] = {
	{ "mtime", 0, OPT_FLAG, offsetof(struct rootfs_flags, mtime),
	  .help = "modification times count too" },
	{ 0 },
};

static int run_rootfs_id(struct session *s, dray_error **err)
{
	const struct rootfs_flags *f = s->options;
	struct dray_select select = session_select(s);
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	char id[DRAY_DIGEST_SIZE];
	struct jsonw w;

	if (session_check_input(s, s->args[0], err) < 0 || !session_context(s, err) ||
	    dray_rootfs_id(s->ctx, s->args[0], &select, f->mtime, id, err) < 0)
		return -1;
	if (!s->global.json) {
		page_put(&s->page, "%s\n", id);
		return STATUS_OK;
	}
	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kstring(&w, "rootfs_id", id);
	jsonw_kbool(&w, "mtime", f->mtime);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(&s->page, span_buf(&out));
	return STATUS_OK;
}

const struct command cmd_rootfs_id = {
	.name = "rootfs-id",
	.group = GROUP_UNDERSTAND,
	.summary = "print the digest of the merged file system",
	.args = "IMAGE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes = "Two images have the same rootfs id when the same files come out of their "
		 "layers, however these are cut and compressed: paths, types, modes, owners, "
		 "contents, links, devices and extended attributes count; times only with --mtime.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_SALVAGE,
	.all_help = HELP_ALL_ONE,
	.options = rootfs_table,
	.options_size = sizeof(struct rootfs_flags),
	.run = run_rootfs_id,
};
