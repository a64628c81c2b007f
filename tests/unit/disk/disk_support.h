/* SPDX-License-Identifier: Apache-2.0
 *
 * A Docker data root or a storage of podman, small and made by hand: all of it read, and one thing
 * of it planted, damaged or gone.
 */
#pragma once

#include "stream.h"
#include <errno.h>
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "disk/disk_priv.h"
#include "torture.h"

#define TAR "HEAD123456789TAIL" /* what the layer's "tar" is; nobody here looks into it */
#define LINES                                                              \
	"{\"type\":2,\"payload\":\"SEVBRA==\",\"position\":0}\n"           \
	"{\"type\":1,\"name\":\"./etc/"                                    \
	"nine\",\"size\":9,\"payload\":\"uQlWx3WkEAE=\",\"position\":1}\n" \
	"{\"type\":2,\"payload\":\"VEFJTA==\",\"position\":2}\n"
#define CACHE "abababababababababababababababababababababababababababababababab"
#define OUTSIDE "{\"Repositories\":{\"evil\":{\"evil:1\":\"sha256:" CACHE "\"}}}"

/* ---- a disk ---- */

struct fixture {
	char *path; /* of a folder with "root" and "outside" in it */
	int fd;
	char *root;
	struct digest diff_id, id;
	bool containers; /* podman's */
	bool only_one;	 /* images are not chosen by name */
};

/* "{diff}", "{id}" and "{key}" in @p text are those of the fixture. */
static inline char *expand(const struct fixture *f, const char *text)
{
	cleanup_free char *key = base64_encode(span_str(f->id.text));
	const struct {
		const char *mark, *value;
	} marks[] = { { "{diff}", digest_hex(&f->diff_id) },
		      { "{id}", f->id.text[0] ? digest_hex(&f->id) : "" },
		      { "{key}", key } };
	struct buf out = BUF_INIT(100000);

	while (*text) {
		size_t i = 0;

		while (i < ROWS(marks) && strncmp(text, marks[i].mark, strlen(marks[i].mark)) != 0)
			i++;
		if (i == ROWS(marks))
			assert_int_equal(buf_add(&out, span_of(text++, 1), NULL), 0);
		else if (buf_add_str(&out, marks[i].value, NULL) == 0)
			text += strlen(marks[i].mark);
	}
	return buf_steal_str(&out, NULL);
}

/* Write a file below the root, and the folders above it. */
static inline void put(const struct fixture *f, const char *path, const char *text)
{
	cleanup_free char *at = expand(f, path), *content = expand(f, text);
	int root = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (char *slash = strchr(at, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdirat(root, at, 0755);
		*slash = '/';
	}
	put_file(root, at, span_str(content));
	close(root);
}

#define CONFIG                                                                               \
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2026-01-02T03:04:05Z\"," \
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:{diff}\"]}}"
#define LAYERDB "image/overlay2/layerdb/sha256/{diff}/"

static inline void make_docker(const struct fixture *f)
{
	put(f, "image/overlay2/imagedb/content/sha256/{id}", CONFIG);
	put(f, "image/overlay2/imagedb/metadata/sha256/{id}/lastUpdated",
	    "2026-03-04T05:06:07.5+01:00");
	put(f, "image/overlay2/imagedb/metadata/sha256/{id}/parent", "sha256:" CACHE);
	put(f, "image/overlay2/repositories.json",
	    "{\"Repositories\":{\"app\":{\"app:1\":\"sha256:{id}\",\"app@sha256:" CACHE
	    "\":\"sha256:{id}\"}}}");
	put(f, LAYERDB "diff", "sha256:{diff}");
	put(f, LAYERDB "cache-id", CACHE);
	put(f, LAYERDB "size", "9");
	put(f, LAYERDB "tar-split.json.gz", LINES);
	put(f, "image/overlay2/layerdb/mounts/" CACHE "/parent", "sha256:{diff}");
	put(f, "overlay2/" CACHE "/diff/etc/nine", "123456789");
}

static inline void make_containers(const struct fixture *f)
{
	put(f, "overlay-images/images.json",
	    "[{\"id\":\"{id}\",\"digest\":\"sha256:" CACHE
	    "\",\"names\":[\"docker.io/library/app:1\"],\"layer\":\"{diff}\"}]");
	put(f, "overlay-images/{id}/={key}", CONFIG);
	put(f, "overlay-layers/layers.json",
	    "[{\"id\":\"{diff}\",\"created\":\"2026-03-04T05:06:07Z\",\"diff-digest\":\"sha256:{"
	    "diff}\","
	    "\"diff-size\":17}]");
	put(f, "overlay-layers/{diff}.tar-split.gz", LINES);
	put(f, "overlay/{diff}/diff/etc/nine", "123456789");
}

static inline void make_disk(struct fixture *f, bool containers)
{
	f->path = temp_dir_make(&f->fd);
	f->root = mem_printf("%s/root", f->path);
	f->containers = containers;
	assert_int_equal(mkdirat(f->fd, "root", 0755), 0);
	put_file(f->fd, "outside", SPAN_LIT("123456789"));
	put_file(f->fd, "list", SPAN_LIT(OUTSIDE));
	assert_int_equal(digest_of(SPAN_LIT(TAR), &f->diff_id, NULL), 0);
	cleanup_free char *config = expand(f, CONFIG);
	assert_int_equal(digest_of(span_str(config), &f->id, NULL), 0);
	if (containers)
		make_containers(f);
	else
		make_docker(f);
}

static inline void remove_disk(struct fixture *f)
{
	close(f->fd);
	remove_tree(f->path);
	mem_free(f->root);
	free(f->path);
}

/* ---- reading it ---- */

static inline struct store *open_disk(const struct fixture *f, dray_error **err)
{
	return f->containers ? disk_open_containers(f->root, NULL, err)
			     : disk_open_docker(f->root, NULL, err);
}

/* All of it, as a verb that copies would: 0, or -1 at the first thing that is wrong. */
static inline int read_all(void *arg, dray_error **err)
{
	const struct fixture *f = arg;
	const struct selector sel = { .ref = f->only_one ? NULL : "app:1" };
	cleanup_buf struct buf tar = BUF_INIT(1000);
	struct image **images = NULL;
	size_t n = 0;
	int rc = -1;

	cleanup_store struct store *st = open_disk(f, err);
	if (!st || store_images(st, &sel, &images, &n, err) < 0)
		return -1;
	if (image_require_whole(images[0], err) == 0 && images[0]->n_layers == 1)
		rc = slurp(store_open_layer(st, images[0], 0, err), &tar, err);
	images_free(images, n);
	if (rc < 0)
		return err && *err ? -1 : err_set(err, DRAY_ERR_FORMAT, "no layer");
	return span_is(span_buf(&tar), TAR) ? 0 : err_set(err, DRAY_ERR_FORMAT, "other bytes");
}

/* ---- with one thing wrong ---- */

enum deed {
	GONE,
	LINK, /* a symbolic link to text in its place */
	FIFO,
	SOCKET,
	FOLDER,
	TEXT,
};

struct damage {
	const char *path;
	enum deed deed;
	const char *text;
	enum dray_err_kind kind;
	const char *says;
};

static inline void damage(const struct fixture *f, const struct damage *d)
{
	cleanup_free char *relative = expand(f, d->path);
	cleanup_free char *path = mem_printf("%s/%s", f->root, relative);

	assert_int_equal(faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW), 0);
	remove_tree(path);
	switch (d->deed) {
	case GONE:
		return;
	case LINK:
		assert_int_equal(symlink(d->text, path), 0);
		return;
	case FIFO:
		assert_int_equal(mkfifo(path, 0644), 0);
		return;
	case SOCKET:
		assert_int_equal(mknod(path, S_IFSOCK | 0644, 0), 0);
		return;
	case FOLDER:
		assert_int_equal(mkdir(path, 0755), 0);
		return;
	case TEXT:
		put(f, d->path, d->text);
	}
}

/* No allocation that fails is taken for damage. One that fails in words about damage may be. */
static inline void torture_spared(torture_fn *fn, struct fixture *f)
{
	dray_error *err = NULL;
	int rc;

	for (uint64_t nth = 1; torture_once(FAULT_ALLOC, nth, 0, fn, f, &rc, &err); nth++)
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_NOMEM);
	assert_ok(rc, err);
}
