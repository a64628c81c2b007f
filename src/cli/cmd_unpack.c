/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "unpack" and "extract": the merged file system, or a part of it, on the disk.
 * Relies on: dray_unpack() and dray_extract().
 * Promises: what could not be set is in the JSON too, not only a warning.
 */
#include <dray/rootfs.h>

#include "cli/cli.h"

struct unpack_flags {
	bool force, no_same_owner, no_xattrs, sync;
};

#define AT(field) offsetof(struct unpack_flags, field)
#define SHARED_OPTIONS                                                                            \
	{ "no-same-owner", 0, OPT_FLAG, AT(no_same_owner),                                        \
	  .help = "all of it belongs to you, as it does unless you are root" },                   \
		{ "no-xattrs", 0, OPT_FLAG, AT(no_xattrs),                                        \
		  .help = "no extended attributes: capabilities, ACLs, labels, those of users" }, \
		{ "sync", 0, OPT_FLAG, AT(sync),                                                  \
		  .help = "have it on the disk before it has its name" },                         \
	{                                                                                         \
		0                                                                                 \
	}

static const struct option unpack_table[] = {
	{ "force", 0, OPT_FLAG, AT(force),
	  .help = "into a folder that is not empty: what the image has too is replaced" },
	SHARED_OPTIONS,
};

static const struct option extract_table[] = {
	{ "force", 0, OPT_FLAG, AT(force), .help = "replace what is there, merge folders" },
	SHARED_OPTIONS,
};

static struct dray_unpack_options options_of(const struct unpack_flags *f)
{
	struct dray_unpack_options o = DRAY_UNPACK_OPTIONS_INIT;

	o.force = f->force;
	o.no_same_owner = f->no_same_owner;
	o.no_xattrs = f->no_xattrs;
	o.sync = f->sync;
	return o;
}

static int show_json(struct session *s, const char *dir, const struct dray_unpack_result *r,
		     dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kstring(&w, "path", dir);
	jsonw_kint(&w, "names", r->names);
	jsonw_kint(&w, "bytes", r->bytes);
	jsonw_key(&w, "left_out");
	jsonw_object(&w);
	jsonw_kint(&w, "owners", r->left_owners);
	jsonw_kint(&w, "setid", r->left_setid);
	jsonw_kint(&w, "devices", r->left_devices);
	jsonw_kint(&w, "xattrs", r->left_xattrs);
	jsonw_end_object(&w);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(&s->page, span_buf(&out));
	return STATUS_OK;
}

static int show(struct session *s, const char *dir, const struct dray_unpack_result *r,
		dray_error **err)
{
	char size[HUMAN_SIZE];

	if (s->global.json)
		return show_json(s, dir, r, err);
	session_note(s, "%lld names, %s of files", (long long)r->names, human_size(r->bytes, size));
	return STATUS_OK;
}

static int run_unpack(struct session *s, dray_error **err)
{
	struct dray_unpack_options o = options_of(s->options);
	struct dray_unpack_result r = DRAY_UNPACK_RESULT_INIT;
	struct dray_select select = session_select(s);

	if (session_check_input(s, s->args[0], err) < 0 || !session_context(s, err) ||
	    dray_unpack(s->ctx, s->args[0], &select, s->args[1], &o, &r, err) < 0)
		return -1;
	return show(s, s->args[1], &r, err);
}

static int run_extract(struct session *s, dray_error **err)
{
	struct dray_unpack_options o = options_of(s->options);
	struct dray_unpack_result r = DRAY_UNPACK_RESULT_INIT;
	struct dray_select select = session_select(s);

	if (session_check_input(s, s->args[0], err) < 0 || !session_context(s, err) ||
	    dray_extract(s->ctx, s->args[0], &select, s->args[1], s->args[2], &o, &r, err) < 0)
		return -1;
	return show(s, s->args[2], &r, err);
}

const struct command cmd_extract = {
	.name = "extract",
	.group = GROUP_LOOK,
	.summary = "write files or folders of an image into a folder",
	.args = "IMAGE PATH DIR",
	.min_args = 3,
	.max_args = 3,
	.complete = COMPLETE_PLACE,
	.notes = "Writes PATH, with all below it if it is a folder, into DIR under its last name. "
		 "Links in PATH are followed inside the image. A PATH that is not there and has "
		 "wildcards, \"**\" for any number of folders, means all that fit, each under its "
		 "last name. What else is in DIR stays; a name "
		 "that is there is refused without --force. PATH / means the contents of all "
		 "of it. Owners and devices need root; what could not be set is told.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_SALVAGE,
	.all_help = HELP_ALL_ONE,
	.options = extract_table,
	.options_size = sizeof(struct unpack_flags),
	.run = run_extract,
};

const struct command cmd_unpack = {
	.name = "unpack",
	.group = GROUP_LOOK,
	.summary = "write the merged file system of an image into a folder",
	.args = "IMAGE DIR",
	.min_args = 2,
	.max_args = 2,
	.complete = COMPLETE_PLACE,
	.notes = "Applies the layers to one another and writes what is left into DIR, which is "
		 "made unless it is there and empty. It appears whole or not at all, and nothing "
		 "outside DIR is touched, whatever the image holds. Owners, devices and some "
		 "attributes need root; what could not be set is told.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_SALVAGE,
	.all_help = HELP_ALL_ONE,
	.options = unpack_table,
	.options_size = sizeof(struct unpack_flags),
	.run = run_unpack,
};
