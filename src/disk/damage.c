/* SPDX-License-Identifier: Apache-2.0
 *
 * For: telling all that is wrong with a layer, where reading it stops at the first thing.
 * Relies on: the same pieces that its tar is put together of, one file at a time.
 * Promises: each file is named once, with what is wrong with it; a sound layer has no damage.
 */
#include "disk/disk_priv.h"

/* One file of a tar-split, as a tar of its own. */
struct one {
	struct tarsplit_entry entry;
	bool given;
};

static int give_one(void *arg, struct tarsplit_entry *ret, dray_error **err)
{
	struct one *o = arg;

	(void)err;
	if (o->given)
		return 0;
	o->given = true;
	*ret = o->entry;
	return 1;
}

static int check_file(const struct tarsplit_files *files, const struct tarsplit_entry *e,
		      dray_error **err)
{
	struct one o = { .entry = *e };
	const struct tarsplit_pieces pieces = { .next = give_one, .arg = &o };
	const struct tarsplit_files lent = { .open = files->open, .arg = files->arg };
	cleanup_source struct source *s = tarsplit_assemble_pieces(&pieces, &lent, err);

	return s ? source_drain(s, err) : -1;
}

/* *e told, if it is about the bytes; else -1. */
static int tell(const char *code, damage_fn *each, void *arg, dray_error **e, dray_error **err)
{
	if (!error_about_bytes(*e)) {
		if (err)
			*err = steal_pointer(e);
		return -1;
	}
	int rc = each(arg, code, dray_error_message(*e), err);
	err_clear(e);
	return rc;
}

static int check_files(struct tarsplit_reader *r, const struct tarsplit_files *files,
		       damage_fn *each, void *arg, dray_error **err)
{
	struct tarsplit_entry entry;
	int rc;

	for (;;) {
		cleanup_error dray_error *e = NULL;

		rc = tarsplit_next(r, &entry, &e);
		if (rc < 0)
			return tell("tar-split-damaged", each, arg, &e, err);
		if (rc == 0)
			return 0;
		if (entry.type != TARSPLIT_FILE || !entry.size ||
		    check_file(files, &entry, &e) == 0)
			continue;
		if (tell("layer-file-damaged", each, arg, &e, err) < 0)
			return -1;
	}
}

int disk_layer_damage(const struct disk_layer *l, damage_fn *each, void *arg, dray_error **err)
{
	cleanup_tarsplit struct tarsplit_reader r = { 0 };
	cleanup_error dray_error *e = NULL;
	struct tarsplit_files files;

	if (l->trouble)
		return each(arg, l->trouble_code, l->trouble, err);
	if (folder_files(l->root, l->files, &files, &e) < 0)
		return tell("layer-files-missing", each, arg, &e, err);
	int rc = tarsplit_reader_init(&r, disk_layer_lines(l, &e), &e);
	rc = rc < 0 ? tell("tar-split-damaged", each, arg, &e, err)
		    : check_files(&r, &files, each, arg, err);
	files.free(files.arg);
	return rc;
}
