/* SPDX-License-Identifier: Apache-2.0 */

/* From a path to a store: folder, tar file, or something that passes once.
 * Relies on content alone; names and suffixes are not looked at.
 * Promises that a regular uncompressed tar is never read through. */

#include "store/store_priv.h"

#include <fcntl.h>
#include <unistd.h>
#include "base/io.h"
#include "base/mem.h"

static int is_compressed(int fd, int64_t size, bool *ret, dray_error **err)
{
	cleanup_source struct source *s = source_from_extent(fd, 0, size, err);
	struct span head;

	if (!s || source_peek(s, COMPRESSION_SNIFF, &head, err) < 0)
		return -1;
	*ret = compression_sniff(head) != COMPRESSION_NONE;
	return 0;
}

/* @p fd is taken over when @p own. */
static int fill(struct archive *a, int fd, bool own, const struct place_options *o,
		dray_error **err)
{
	cleanup_fd int owned = own ? fd : -1;
	bool compressed = false;
	struct stat st;

	if (io_fstat(fd, &st, err) < 0)
		return -1;
	/* Standard input may be a regular file that somebody has read from already. */
	bool random = S_ISREG(st.st_mode) && io_at_start(fd);
	if (random && is_compressed(fd, st.st_size, &compressed, err) < 0)
		return -1;
	owned = -1;
	if (random && !compressed)
		return members_open_tar(fd, own, &a->store.notes, &a->members, err);
	struct source *in = source_from_fd(fd, own, err);
	return members_walk(in, o, &a->store.notes, &a->members, err);
}

static struct store *finish(struct archive *a, int rc, bool oci, dray_error **err)
{
	if (rc < 0)
		err_ctx(err, "%s", a->label);
	else if (archive_decide(a, oci, err) == 0)
		return &a->store;
	store_free(&a->store);
	return NULL;
}

struct store *store_open_tar(const char *path, const struct place_options *o, dray_error **err)
{
	bool standard_input = strcmp(path, "-") == 0;
	struct archive *a = NULL;

	int fd = standard_input ? STDIN_FILENO : io_openat(AT_FDCWD, path, O_RDONLY, 0, err);
	if (fd < 0)
		return NULL;
	cleanup_fd int owned = standard_input ? -1 : fd;
	if (archive_new(path, &a, err) < 0)
		return NULL;
	owned = -1;
	return finish(a, fill(a, fd, !standard_input, o, err), o && o->oci, err);
}

struct store *store_open_stream(const char *place, struct source *in, const struct place_options *o,
				dray_error **err)
{
	struct archive *a = NULL;

	if (!in)
		return NULL;
	if (archive_new(place, &a, err) < 0) {
		source_free(in);
		return NULL;
	}
	return finish(a, members_walk(in, o, &a->store.notes, &a->members, err), o && o->oci, err);
}

struct store *store_open_dir(const char *path, dray_error **err)
{
	struct archive *a = NULL;

	if (archive_new(path, &a, err) < 0)
		return NULL;
	return finish(a, members_open_dir(path, &a->store.notes, &a->members, err), false, err);
}

struct store *store_open_blobs(const char *place, const char *folder, const char *name,
			       struct span index, const char *odd, dray_error **err)
{
	struct archive *a = NULL;

	if (archive_new(place, &a, err) < 0)
		return NULL;
	a->store.kind = STORE_OCI_LAYOUT;
	a->store.name = name;
	a->index = arena_dup(&a->store.arena, index);
	if (!a->index.data) {
		store_free(&a->store);
		err_nomem(err);
		return NULL;
	}
	if (members_open_dir(folder, &a->store.notes, &a->members, err) == 0 &&
	    (!odd || notes_add(&a->store.notes, false, "names-unread", a->label, NULL, NULL, err,
			       "%s", odd) == 0)) {
		a->n_opening_notes = a->store.notes.n;
		return &a->store;
	}
	err_ctx(err, "%s", a->label);
	store_free(&a->store);
	return NULL;
}

struct store *store_open_path(const char *path, const struct place_options *o, dray_error **err)
{
	struct stat st;

	if (strcmp(path, "-") != 0) {
		if (io_fstatat(AT_FDCWD, path, 0, &st, err) < 0)
			return NULL;
		if (S_ISDIR(st.st_mode))
			return store_open_dir(path, err);
	}
	return store_open_tar(path, o, err);
}
