/* SPDX-License-Identifier: Apache-2.0
 *
 * A Docker data root and a storage of podman, small and made by hand: read as they should be,
 * and with one thing at a time planted, damaged or gone.
 */
#include "stream.h"
#include <errno.h>
#include <ftw.h>
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "bolt_file.h"
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

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* "{diff}", "{id}" and "{key}" in @p text are those of the fixture. */
static char *expand(const struct fixture *f, const char *text)
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
static void put(const struct fixture *f, const char *path, const char *text)
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

static void make_docker(const struct fixture *f)
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

static void make_containers(const struct fixture *f)
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

static void make_disk(struct fixture *f, bool containers)
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

static void remove_disk(struct fixture *f)
{
	close(f->fd);
	assert_int_equal(nftw(f->path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	mem_free(f->root);
	free(f->path);
}

/* ---- reading it ---- */

static struct store *open_disk(const struct fixture *f, dray_error **err)
{
	return f->containers ? disk_open_containers(f->root, NULL, err)
			     : disk_open_docker(f->root, NULL, err);
}

/* All of it, as a verb that copies would: 0, or -1 at the first thing that is wrong. */
static int read_all(void *arg, dray_error **err)
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

static void test_docker(void **state)
{
	const struct selector all = { .all = true };
	struct image **images = NULL;
	struct fixture f = { 0 };
	dray_error *err = NULL;
	size_t n = 0;

	(void)state;
	make_disk(&f, false);
	struct store *st = open_disk(&f, &err);
	assert_non_null(st);
	assert_ok(store_images(st, &all, &images, &n, &err), err);
	assert_int_equal(n, 1);
	assert_string_equal(images[0]->tags[0], "app:1");
	assert_int_equal(images[0]->layers[0].blob.size, strlen(TAR));
	assert_int_equal(images[0]->notes.n, 0);
	const struct dray_disk_info *d = images[0]->disk;
	assert_int_equal(d->n_repo_digests, 1);
	assert_string_equal(d->repo_digests[0], "app@sha256:" CACHE);
	assert_int_equal(d->n_containers, 1);
	assert_string_equal(d->containers[0], CACHE);
	assert_string_equal(d->parent, "sha256:" CACHE);
	assert_string_equal(d->state, "tagged");
	assert_int_equal(d->size, 9);
	/* The files are newer than the tag: they were made just now. */
	assert_string_equal(d->updated->event, "written");
	assert_string_equal(d->updated->certainty, "likely");
	assert_int_equal(d->n_events, 3);
	assert_string_equal(d->events[2].event, "tagged");
	assert_string_equal(d->events[2].certainty, "recorded");
	assert_string_equal(d->events[2].time, "2026-03-04T04:06:07.5Z");
	images_free(images, n);
	store_free(st);
	assert_ok(read_all(&f, &err), err);
	remove_disk(&f);
}

/* What an image may be asked for by. */
static void test_names(void **state)
{
	static const struct {
		const char *ref;
		bool found;
	} rows[] = {
		{ "app:1", true },
		{ "docker.io/library/app:1", true },
		{ "app", true }, /* its only tag */
		{ "app:2", false },
		{ "app@sha256:" CACHE, true },
		{ "docker.io/library/app@sha256:" CACHE, true },
		{ "other@sha256:" CACHE, false },
		{ "app@sha256:cd", false },
	};
	struct fixture f = { 0 };

	(void)state;
	make_disk(&f, false);
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct selector sel = { .ref = rows[i].ref };
		struct image **images = NULL;
		dray_error *err = NULL;
		size_t n = 0;

		cleanup_store struct store *st = open_disk(&f, &err);
		assert_non_null(st);
		int rc = store_images(st, &sel, &images, &n, &err);
		if (rows[i].found)
			assert_ok(rc, err);
		else
			assert_err_kind(err, DRAY_ERR_NOT_FOUND);
		assert_int_equal(n, rows[i].found);
		images_free(images, n);
	}
	remove_disk(&f);
}

static void test_containers(void **state)
{
	struct fixture f = { 0 };
	dray_error *err = NULL;

	(void)state;
	make_disk(&f, true);
	assert_ok(read_all(&f, &err), err);
	remove_disk(&f);
}

/* With userns-remap all is one folder further down. */
static void test_remapped(void **state)
{
	struct fixture f = { 0 };
	dray_error *err = NULL;

	(void)state;
	make_disk(&f, false);
	cleanup_free char *inner = mem_printf("%s/231072.231072", f.root);
	cleanup_free char *aside = mem_printf("%s/aside", f.path);
	assert_int_equal(rename(f.root, aside), 0);
	assert_int_equal(mkdir(f.root, 0755), 0);
	assert_int_equal(rename(aside, inner), 0);
	assert_ok(read_all(&f, &err), err);
	cleanup_free char *second = mem_printf("%s/165536.165536", f.root);
	assert_int_equal(mkdir(second, 0755), 0);
	assert_int_equal(read_all(&f, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "165536.165536");
	remove_disk(&f);
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

static const struct damage docker_damages[] = {
	{ LAYERDB "tar-split.json.gz", GONE, NULL, DRAY_ERR_CORRUPT,
	  "tar-split.json.gz is missing" },
	{ LAYERDB "tar-split.json.gz", TEXT, "{", DRAY_ERR_CORRUPT, "tar-split line 1" },
	{ LAYERDB "tar-split.json.gz", TEXT, "\x1f\x8b\x08", DRAY_ERR_CORRUPT, "gunzip" },
	{ LAYERDB "tar-split.json.gz", FIFO, NULL, DRAY_ERR_CORRUPT, "no regular file" },
	{ LAYERDB "tar-split.json.gz", LINK, "../../../../../../outside", DRAY_ERR_CORRUPT, "" },
	{ LAYERDB "cache-id", GONE, NULL, DRAY_ERR_CORRUPT, "has no cache-id" },
	{ LAYERDB "cache-id", TEXT, "../../../../etc", DRAY_ERR_CORRUPT, "is no ID" },
	{ LAYERDB "cache-id", TEXT, "..", DRAY_ERR_CORRUPT, "is no ID" },
	{ LAYERDB "cache-id", FIFO, NULL, DRAY_ERR_CORRUPT, "no regular file" },
	{ LAYERDB "diff", TEXT, "sha256:" CACHE, DRAY_ERR_CORRUPT, "layerdb says" },
	{ LAYERDB "diff", FOLDER, NULL, DRAY_ERR_CORRUPT, "no regular file" },
	{ "overlay2/" CACHE "/diff", LINK, "../../..", DRAY_ERR_CORRUPT, "diff is missing" },
	{ "overlay2", LINK, "..", DRAY_ERR_CORRUPT, "" },
	{ "overlay2/" CACHE "/diff/etc/nine", GONE, NULL, DRAY_ERR_CORRUPT, "\"./etc/nine\"" },
	{ "overlay2/" CACHE "/diff/etc/nine", TEXT, "123456780", DRAY_ERR_CORRUPT, "changed" },
	{ "overlay2/" CACHE "/diff/etc/nine", TEXT, "12345678", DRAY_ERR_CORRUPT, "8 bytes" },
	{ "overlay2/" CACHE "/diff/etc/nine", TEXT, "1234567890", DRAY_ERR_CORRUPT, "10 bytes" },
	{ "overlay2/" CACHE "/diff/etc/nine", FIFO, NULL, DRAY_ERR_CORRUPT, "no regular file" },
	{ "overlay2/" CACHE "/diff/etc/nine", LINK, "../../../../../outside", DRAY_ERR_FORMAT,
	  "symbolic link" },
	{ "overlay2/" CACHE "/diff/etc", LINK, "../../../..", DRAY_ERR_CORRUPT, "nine" },
	{ LAYERDB "tar-split.json.gz", TEXT,
	  "{\"type\":1,\"name\":\"../../../../outside\",\"size\":9,\"payload\":\"uQlWx3WkEAE=\","
	  "\"position\":0}\n",
	  DRAY_ERR_FORMAT, "\"..\"" },
	{ LAYERDB "tar-split.json.gz", TEXT,
	  "{\"type\":1,\"name\":\"/etc/"
	  "passwd\",\"size\":9,\"payload\":\"uQlWx3WkEAE=\",\"position\":0}\n",
	  DRAY_ERR_CORRUPT, "/etc/passwd" },
	{ "image/overlay2/repositories.json", LINK, "../../../list", DRAY_ERR_FORMAT,
	  "repositories" },
	{ "image/overlay2/repositories.json", FIFO, NULL, DRAY_ERR_FORMAT, "no regular file" },
	{ "image/overlay2/repositories.json", TEXT, "{\"Repositories\":[]}", DRAY_ERR_FORMAT, "" },
	{ "image/overlay2/imagedb/content/sha256/{id}", TEXT, "{}", DRAY_ERR_CORRUPT, "digest" },
	{ "image/overlay2/imagedb/content/sha256/{id}", FIFO, NULL, DRAY_ERR_NOT_FOUND, "" },
	{ "image/overlay2/imagedb/content/sha256/{id}", GONE, NULL, DRAY_ERR_NOT_FOUND,
	  "no image" },
	{ "image/overlay2/imagedb", GONE, NULL, DRAY_ERR_FORMAT, "no data root" },
};

static const struct damage containers_damages[] = {
	{ "overlay-layers/{diff}.tar-split.gz", GONE, NULL, DRAY_ERR_CORRUPT, "is missing" },
	{ "overlay-layers/layers.json", GONE, NULL, DRAY_ERR_NOT_FOUND, "does not know" },
	{ "overlay-layers/layers.json", TEXT, "[{\"id\":\"../x\"}]", DRAY_ERR_FORMAT, "ID" },
	{ "overlay-layers/layers.json", TEXT,
	  "[{\"id\":\"{diff}\",\"parent\":\"{diff}\",\"diff-digest\":\"sha256:{diff}\"}]",
	  DRAY_ERR_FORMAT, "at least 2 layers" },
	{ "overlay-layers/layers.json", TEXT,
	  "[{\"id\":\"{diff}\",\"diff-digest\":\"sha256:{diff}\",\"flags\":{\"incomplete\":true}}]",
	  DRAY_ERR_CORRUPT, "never finished" },
	{ "overlay-layers/layers.json", FIFO, NULL, DRAY_ERR_FORMAT, "no regular file" },
	{ "overlay-images/images.json", TEXT, "[{\"id\":\"..\"}]", DRAY_ERR_FORMAT, "ID" },
	{ "overlay-images/{id}/={key}", GONE, NULL, DRAY_ERR_NOT_FOUND, "" },
	{ "overlay-images/{id}/={key}", TEXT, "{}", DRAY_ERR_CORRUPT, "digest" },
	{ "overlay/{diff}/diff", LINK, "../../..", DRAY_ERR_CORRUPT, "is missing" },
	{ "overlay/{diff}/diff/etc/nine", FIFO, NULL, DRAY_ERR_CORRUPT, "no regular file" },
	{ "overlay-images", GONE, NULL, DRAY_ERR_FORMAT, "no storage" },
};

static void damage(const struct fixture *f, const struct damage *d)
{
	cleanup_free char *relative = expand(f, d->path);
	cleanup_free char *path = mem_printf("%s/%s", f->root, relative);

	assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
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

static void check_damages(const struct damage *list, size_t n, bool containers)
{
	for (size_t i = 0; i < n; i++) {
		struct fixture f = { 0 };
		dray_error *err = NULL;

		make_disk(&f, containers);
		damage(&f, &list[i]);
		if (read_all(&f, &err) == 0)
			fail_msg("row %zu (%s) was accepted", i, list[i].path);
		if (!strstr(dray_error_message(err), list[i].says) ||
		    dray_error_kind(err) != list[i].kind)
			fail_msg("row %zu (%s): kind %d: %s", i, list[i].path,
				 (int)dray_error_kind(err), dray_error_message(err));
		err_clear(&err);
		remove_disk(&f);
	}
}

static void test_docker_damages(void **state)
{
	(void)state;
	check_damages(docker_damages, ROWS(docker_damages), false);
}

static void test_containers_damages(void **state)
{
	(void)state;
	check_damages(containers_damages, ROWS(containers_damages), true);
}

/* ---- damage that takes no image away ---- */

#define NAMES "image/overlay2/repositories.json"
#define METADATA "image/overlay2/imagedb/metadata/sha256/{id}/"
#define MOUNTS "image/overlay2/layerdb/mounts"
#define KIB_OF CACHE CACHE CACHE CACHE CACHE CACHE CACHE CACHE
#define OVER_4_KIB KIB_OF KIB_OF KIB_OF KIB_OF KIB_OF KIB_OF KIB_OF KIB_OF KIB_OF

static const struct {
	const char *path;
	enum deed deed;
	const char *text;
	const char *says; /* in the one note; NULL = there is none */
	size_t tags, containers, events;
	bool parent;
} spared[] = {
	/* What a power cut leaves. */
	{ NAMES, TEXT, "", NAMES, 0, 1, 3, true },
	{ NAMES, TEXT, "{\"Repositories\":{\"app\":{\"app:1\"", NAMES, 0, 1, 3, true },
	{ NAMES, TEXT, "{\"Repositories\":[]}", "Repositories", 0, 1, 3, true },
	{ NAMES, LINK, "../../../list", "symbolic link", 0, 1, 3, true },
	{ NAMES, SOCKET, NULL, "no regular file", 0, 1, 3, true },
	{ NAMES, GONE, NULL, NULL, 0, 1, 3, true },
	/* The others of the list are kept. */
	{ NAMES, TEXT,
	  "{\"Repositories\":{\"app\":{\"app:0\":5,\"app:1\":\"sha256:{id}\",\"app:2\":{}}}}",
	  "app:0", 1, 1, 3, true },
	{ NAMES, TEXT, "{\"Repositories\":{\"a\":7,\"app\":{\"app:1\":\"sha256:{id}\"}}}",
	  "repository", 1, 1, 3, true },
	{ METADATA "lastUpdated", LINK, "../../../../../../outside", NULL, 1, 1, 2, true },
	{ METADATA "lastUpdated", FIFO, NULL, NULL, 1, 1, 2, true },
	{ METADATA "lastUpdated", TEXT, OVER_4_KIB, NULL, 1, 1, 2, true },
	{ METADATA "parent", LINK, "../../../../../../outside", NULL, 1, 1, 3, false },
	{ METADATA "parent", TEXT, OVER_4_KIB, NULL, 1, 1, 3, false },
	{ METADATA "parent", SOCKET, NULL, NULL, 1, 1, 3, false },
	{ MOUNTS "/" CACHE "/parent", LINK, "../../../../../../outside", NULL, 1, 0, 3, true },
	{ MOUNTS "/" CACHE "/parent", TEXT, OVER_4_KIB, NULL, 1, 0, 3, true },
	{ MOUNTS "/" CACHE "/parent", FOLDER, NULL, NULL, 1, 0, 3, true },
	{ MOUNTS, LINK, "../../../..", NULL, 1, 0, 3, true },
};

static void check_spared(const struct fixture *f, size_t row)
{
	const struct selector all = { .all = true };
	cleanup_store struct store *st = NULL;
	struct image **images = NULL;
	dray_error *err = NULL;
	size_t n = 0;

	st = open_disk(f, &err);
	assert_non_null(st);
	assert_ok(store_images(st, &all, &images, &n, &err), err);
	assert_int_equal(n, 1);
	const struct dray_disk_info *d = images[0]->disk;
	if (images[0]->broken || images[0]->n_tags != spared[row].tags ||
	    d->n_containers != spared[row].containers || d->n_events != spared[row].events ||
	    !d->parent == spared[row].parent ||
	    strcmp(d->state, spared[row].tags ? "tagged" : "dangling") != 0 ||
	    st->notes.n != (spared[row].says != NULL))
		fail_msg("row %zu (%s): %zu tags, %zu containers, %zu events, %zu notes, %s", row,
			 spared[row].path, images[0]->n_tags, d->n_containers, d->n_events,
			 st->notes.n, d->state);
	if (spared[row].says) {
		assert_string_equal(st->notes.list[0].code, "names-damaged");
		assert_non_null(strstr(st->notes.list[0].message, spared[row].says));
	}
	images_free(images, n);
}

/* No allocation that fails is taken for damage. One that fails in words about damage may be. */
static void torture_spared(torture_fn *fn, struct fixture *f)
{
	dray_error *err = NULL;
	int rc;

	for (uint64_t nth = 1; torture_once(FAULT_ALLOC, nth, 0, fn, f, &rc, &err); nth++)
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_NOMEM);
	assert_ok(rc, err);
}

static void test_spared(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(spared); i++) {
		const struct damage d = { spared[i].path, spared[i].deed, spared[i].text, 0, NULL };
		struct fixture f = { .only_one = true };
		dray_error *err = NULL;

		make_disk(&f, false);
		damage(&f, &d);
		check_spared(&f, i);
		assert_ok(read_all(&f, &err), err);
		if (i % 6 == 0)
			torture_spared(read_all, &f);
		remove_disk(&f);
	}
}

/* An image that others were built on and whose name is unknown need not be a step of a build. */
static void test_lost_name(void **state)
{
	static const struct {
		enum deed deed;
		const char *state;
	} rows[] = { { GONE, "intermediate" }, { TEXT, "dangling" } };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct selector all = { .all = true };
		const struct damage d = { NAMES, rows[i].deed, "", 0, NULL };
		struct image **images = NULL;
		struct fixture f = { 0 };
		dray_error *err = NULL;
		size_t n = 0;

		make_disk(&f, false);
		damage(&f, &d);
		put(&f, METADATA "parent", "sha256:{id}");
		cleanup_store struct store *st = open_disk(&f, &err);
		assert_non_null(st);
		assert_ok(store_images(st, &all, &images, &n, &err), err);
		assert_int_equal(n, 1);
		assert_string_equal(images[0]->disk->state, rows[i].state);
		images_free(images, n);
		remove_disk(&f);
	}
}

static void test_kinds(void **state)
{
	static const struct {
		const char *path;
		enum disk_kind kind;
	} rows[] = {
		{ "image/overlay2/imagedb/x", DISK_DOCKER },
		{ "overlay-images/images.json", DISK_CONTAINERS },
		{ "containerd/daemon/io.containerd.content.v1.content/x", DISK_CONTAINERD },
		{ "repositories-aufs", DISK_DOCKER_V1 },
		{ "index.json", DISK_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct fixture f = { 0 };
		enum disk_kind kind;
		dray_error *err = NULL;

		f.path = temp_dir_make(&f.fd);
		f.root = mem_printf("%s/root", f.path);
		assert_int_equal(mkdirat(f.fd, "root", 0755), 0);
		put(&f, rows[i].path, "");
		assert_ok(disk_sniff(f.root, &kind, &err), err);
		assert_int_equal(kind, rows[i].kind);
		if (kind == DISK_DOCKER_V1) {
			assert_null(disk_open_docker(f.root, NULL, &err));
			assert_err_kind(err, DRAY_ERR_UNSUPPORTED);
		}
		remove_disk(&f);
	}
}

/* ---- containerd's blobs ---- */

#define CONTENT "io.containerd.content.v1.content/blobs/sha256/"
#define MANIFEST                                                                             \
	"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\"," \
	"\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","            \
	"\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"                        \
	"\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}"

/* A blob under its digest, which is *ret. */
static void put_blob(const struct fixture *f, const char *text, struct digest *ret)
{
	assert_int_equal(digest_of(span_str(text), ret, NULL), 0);
	cleanup_free char *path = mem_printf(CONTENT "%s", digest_hex(ret));
	put(f, path, text);
}

static void make_pool(struct fixture *f, struct digest *ret_manifest)
{
	struct digest layer;

	f->path = temp_dir_make(&f->fd);
	f->root = mem_printf("%s/root", f->path);
	assert_int_equal(mkdirat(f->fd, "root", 0755), 0);
	assert_int_equal(digest_of(SPAN_LIT(TAR), &f->diff_id, NULL), 0);
	put_blob(f, TAR, &layer);
	cleanup_free char *config = expand(f, CONFIG);
	put_blob(f, config, &f->id);
	cleanup_free char *manifest = mem_printf(MANIFEST, f->id.text, strlen(config), layer.text,
						 strlen(TAR));
	put_blob(f, manifest, ret_manifest);
	cleanup_free char *twice = mem_printf(CONTENT "%064d", 5); /* that is not its digest */
	put(f, twice, manifest);
	cleanup_free char *link = mem_printf("%s/" CONTENT "%064d", f->root, 6);
	assert_int_equal(symlink("../../../../../list", link), 0);
}

static int read_pool(void *arg, dray_error **err)
{
	const struct fixture *f = arg;
	const struct selector sel = { .digest = f->id };
	cleanup_buf struct buf tar = BUF_INIT(1000);
	struct image **images = NULL;
	size_t n = 0;
	int rc = -1;

	cleanup_store struct store *st = disk_open_docker(f->root, NULL, err);
	if (!st || store_images(st, &sel, &images, &n, err) < 0)
		return -1;
	if (image_require_whole(images[0], err) == 0)
		rc = slurp(store_open_layer(st, images[0], 0, err), &tar, err);
	images_free(images, n);
	return rc < 0 || span_is(span_buf(&tar), TAR)
		       ? rc
		       : err_set(err, DRAY_ERR_FORMAT, "other bytes");
}

static void test_containerd(void **state)
{
	const struct selector all = { .all = true };
	struct fixture f = { 0 };
	struct image **images = NULL;
	struct digest manifest;
	dray_error *err = NULL;
	size_t n = 0;

	(void)state;
	make_pool(&f, &manifest);
	assert_ok(read_pool(&f, &err), err);
	struct store *st = disk_open_docker(f.root, NULL, &err);
	assert_non_null(st);
	assert_ok(store_images(st, &all, &images, &n, &err), err);
	assert_int_equal(n, 1);
	assert_int_equal(images[0]->n_tags, 0);
	assert_true(digest_eq(&images[0]->manifest->digest, &manifest));
	assert_string_equal(st->notes.list[0].code, "names-unread");
	images_free(images, n);
	store_free(st);
	torture_spared(read_pool, &f);
	torture_io(read_pool, &f, EIO, NULL);
	remove_disk(&f);
}

/* When containerd was given a name is in its database; of what is found without one nothing is known. */
static int read_times(void *arg, dray_error **err)
{
	const struct fixture *f = arg;
	const struct selector all = { .all = true };
	struct image **images = NULL;
	size_t n = 0;

	cleanup_store struct store *st = disk_open_docker(f->root, NULL, err);
	if (!st || store_images(st, &all, &images, &n, err) < 0)
		return -1;
	assert_int_equal(n, 1);
	const struct dray_disk_info *d = images[0]->disk;
	if (d && (d->n_events != 2 || strcmp(d->state, "tagged") != 0 ||
		  strcmp(d->updated->event, "updated") != 0 ||
		  strcmp(d->updated->time, "2026-01-02T03:04:06.000000006Z") != 0 ||
		  strcmp(d->updated->certainty, "recorded") != 0 ||
		  strcmp(d->events[1].event, "named") != 0 ||
		  strcmp(d->events[1].time, "2026-01-02T03:04:05.000000006Z") != 0))
		err_set(err, DRAY_ERR_FORMAT, "%s at %s", d->updated->event, d->updated->time);
	else if (!d && !st->notes.n)
		err_set(err, DRAY_ERR_FORMAT, "no times, and nobody says why");
	images_free(images, n);
	return err && *err ? -1 : 0;
}

static void test_containerd_times(void **state)
{
	struct fixture f = { 0 };
	struct digest manifest;
	struct bolt_file db;
	dray_error *err = NULL;

	(void)state;
	make_pool(&f, &manifest);
	put_containerd(&db, "docker.io/library/a:1", manifest.text);
	put(&f, "io.containerd.metadata.v1.bolt/meta.db", "");
	int root = open(f.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_file(root, "io.containerd.metadata.v1.bolt/meta.db", span_of(db.bytes, db.size));
	assert_ok(read_times(&f, &err), err);
	torture_spared(read_times, &f);
	torture_io(read_times, &f, EIO, NULL);
	close(root);
	remove_disk(&f);
}

/* Docker's own images and containerd's in one data root: where the others are is told. */
static void test_containerd_beside(void **state)
{
	static const char home[] = "containerd/daemon/io.containerd.";
	struct fixture f = { 0 };
	dray_error *err = NULL;

	(void)state;
	make_disk(&f, false);
	for (int has_image = 0; has_image < 2; has_image++) {
		cleanup_free char *blob = mem_printf("%scontent.v1.content/blobs/sha256/" CACHE,
						     home);
		cleanup_free char *meta = mem_printf("%smetadata.v1.bolt/meta.db", home);
		struct bolt_file db;

		/* A manifest of something pulled is no image yet. */
		put(&f, blob, "");
		put_containerd(&db, has_image ? "docker.io/library/a:1" : NULL, "sha256:" CACHE);
		put(&f, meta, "");
		int root = open(f.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		put_file(root, meta, span_of(db.bytes, db.size));
		close(root);
		struct store *st = open_disk(&f, &err);
		assert_non_null(st);
		assert_int_equal(st->notes.n, has_image);
		if (has_image) {
			assert_string_equal(st->notes.list[0].code, "containerd-beside");
			assert_non_null(strstr(st->notes.list[0].message, "/containerd/daemon"));
		}
		store_free(st);
		assert_ok(read_all(&f, &err), err);
	}
	f.only_one = true;
	torture_spared(read_all, &f);
	torture_io(read_all, &f, EIO, NULL);
	/* A storage driver whose images are all gone is none. */
	cleanup_free char *last = expand(&f, "image/overlay2/imagedb/content/sha256/{id}");
	int root = open(f.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(unlinkat(root, last, 0), 0);
	close(root);
	struct store *st = open_disk(&f, &err);
	assert_non_null(st);
	assert_string_equal(st->name, "containerd");
	store_free(st);
	remove_disk(&f);
}

/* A driver that is not read is told; one that is, is not. */
static void test_driver(void **state)
{
	static const struct {
		const char *driver, *code;
	} rows[] = { { "zfs", "driver-unread" }, { "overlay2", NULL }, { "vfs", NULL } };

	(void)state;
	unsetenv("STORAGE_OPTS");
	unsetenv("STORAGE_DRIVER");
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct fixture f = { 0 };
		dray_error *err = NULL;

		make_disk(&f, true);
		cleanup_free char *conf = mem_printf("%s/storage.conf", f.path);
		cleanup_free char *text = mem_printf(
			"[storage]\ndriver = \"%s\"\ngraphroot = \"%s\"\n"
			"rootless_storage_path = \"%s\"\n",
			rows[i].driver, f.root, f.root);
		put_file(f.fd, "storage.conf", span_str(text));
		setenv("CONTAINERS_STORAGE_CONF", conf, 1);
		struct store *st = disk_open_containers(NULL, NULL, &err);
		assert_non_null(st);
		assert_int_equal(st->notes.n, rows[i].code != NULL);
		if (rows[i].code)
			assert_string_equal(st->notes.list[0].code, rows[i].code);
		store_free(st);
		unsetenv("CONTAINERS_STORAGE_CONF");
		remove_disk(&f);
	}
}

/* ---- layers made anew ---- */

static int salvage_all(void *arg, dray_error **err)
{
	const struct fixture *f = arg;
	const struct place_options po = { .salvage = true };
	const struct selector all = { .all = true };
	struct image **images = NULL;
	size_t n = 0;
	int rc = 0;

	cleanup_store struct store *st = f->containers ? disk_open_containers(f->root, &po, err)
						       : disk_open_docker(f->root, &po, err);
	if (!st || store_images(st, &all, &images, &n, err) < 0)
		return -1;
	const struct layer *l = &images[0]->layers[0];
	cleanup_buf struct buf tar = BUF_INIT(10000);
	struct digest have = { 0 };
	rc = slurp(store_open_layer(st, images[0], 0, err), &tar, err);
	if (rc == 0)
		rc = digest_of(span_buf(&tar), &have, err);
	if (rc == 0 && (!digest_eq(&have, &l->diff_id) || l->missing ||
			!digest_eq(&have, &images[0]->config->diff_ids[0]) ||
			digest_eq(&have, &f->diff_id) || tar.len != (size_t)l->blob.size))
		rc = err_set(err, DRAY_ERR_FORMAT, "not what was salvaged");
	images_free(images, n);
	return rc;
}

static void test_salvage(void **state)
{
	static const struct damage rows[] = {
		{ LAYERDB "tar-split.json.gz", GONE, NULL, 0, NULL },
		{ LAYERDB "tar-split.json.gz", TEXT, "{", 0, NULL },
		{ "overlay2/" CACHE "/diff/etc/nine", GONE, NULL, 0, NULL },
		{ "overlay2/" CACHE "/diff/etc/nine", TEXT, "123456780", 0, NULL },
		{ "overlay2/" CACHE "/diff/etc", LINK, "../../../..", 0, NULL },
		{ LAYERDB "diff", TEXT, "sha256:" CACHE, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct fixture f = { 0 };
		dray_error *err = NULL;

		make_disk(&f, false);
		damage(&f, &rows[i]);
		assert_ok(salvage_all(&f, &err), err);
		if (i == 1 || i == 3) {
			torture_io(salvage_all, &f, EIO, NULL);
			torture_spared(salvage_all, &f);
		}
		remove_disk(&f);
	}
	/* podman's, without a tar-split. */
	struct fixture f = { 0 };
	dray_error *err = NULL;

	make_disk(&f, true);
	damage(&f, &containers_damages[0]);
	assert_ok(salvage_all(&f, &err), err);
	remove_disk(&f);
}

/*
 * podman may have one layer in two images whose configs disagree what it is: the one that is
 * right stays as it is, whichever comes first, and the other gets a new layer.
 */
static int salvage_shared(void *arg, dray_error **err)
{
	const struct fixture *f = arg;
	const struct place_options po = { .salvage = true };
	const struct selector all = { .all = true };
	struct image **images = NULL;
	size_t n = 0, n_kept = 0;
	int rc = 0;

	cleanup_store struct store *st = disk_open_containers(f->root, &po, err);
	if (!st || store_images(st, &all, &images, &n, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		cleanup_buf struct buf tar = BUF_INIT(10000);
		const struct layer *l = &images[i]->layers[0];
		struct digest have = { 0 };

		n_kept += digest_eq(&images[i]->config->digest, &f->id);
		rc = slurp(store_open_layer(st, images[i], 0, err), &tar, err);
		if (rc == 0)
			rc = digest_of(span_buf(&tar), &have, err);
		if (rc == 0 && (!digest_eq(&have, &l->diff_id) || l->missing))
			rc = err_set(err, DRAY_ERR_FORMAT, "image %zu has another layer", i);
	}
	if (rc == 0 && (n != 2 || n_kept != 1))
		rc = err_set(err, DRAY_ERR_FORMAT, "%zu of %zu images stayed", n_kept, n);
	images_free(images, n);
	return rc;
}

static void test_salvage_shared(void **state)
{
	static const char *const created[] = { "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z" };

	(void)state;
	for (size_t i = 0; i < ROWS(created); i++) {
		struct fixture f = { 0 }, other;
		dray_error *err = NULL;

		make_disk(&f, true);
		other = f;
		cleanup_free char *config = mem_printf(
			"{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"%s\","
			"\"rootfs\":"
			"{\"type\":\"layers\",\"diff_ids\":[\"sha256:" CACHE "\"]}}",
			created[i]);
		assert_int_equal(digest_of(span_str(config), &other.id, NULL), 0);
		put(&other, "overlay-images/{id}/={key}", config);
		cleanup_free char *list = mem_printf("[{\"id\":\"{id}\",\"layer\":\"{diff}\"},"
						     "{\"id\":\"%s\",\"layer\":\"{diff}\"}]",
						     digest_hex(&other.id));
		put(&f, "overlay-images/images.json", list);
		put(&f, "overlay-layers/layers.json", "[{\"id\":\"{diff}\"}]");
		assert_ok(salvage_shared(&f, &err), err);
		if (i == 0)
			torture_io(salvage_shared, &f, EIO, NULL);
		remove_disk(&f);
	}
}

/* ---- what podman works out of what it wrote down ---- */

#define STEPPED                                                                              \
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2020-01-01T00:00:00Z\"," \
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:{diff}\"]},"                 \
	"\"history\":[{\"created_by\":\"LABEL a=b\",\"empty_layer\":true}]}"
#define OTHER "sha256:eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"

/* The image of every fixture without a name, and one of the same layer that has a step more. */
static void make_family(const struct fixture *f, const char *more)
{
	struct fixture child = *f;

	cleanup_free char *config = expand(f, STEPPED);
	assert_int_equal(digest_of(span_str(config), &child.id, NULL), 0);
	put(&child, "overlay-images/{id}/={key}", STEPPED);
	cleanup_free char *list = mem_printf(
		"[{\"id\":\"{id}\",\"digest\":\"sha256:" CACHE "\",\"layer\":\"{diff}\"},"
		"{\"id\":\"%s\",\"digest\":\"sha256:" CACHE "\",\"layer\":\"{diff}\","
		"\"names\":[\"quay.io/a/b:1\",\"quay.io/a/b:2\",\"quay.io/c:1\"],"
		"\"big-data-sizes\":{\"manifest\":20,\"signature-x\":3},\"big-data-digests\":{"
		"\"manifest\":\"sha256:" CACHE "\",\"manifest-" OTHER "\":\"" OTHER "\","
		"%s\"sha256:x\":\"sha512:" CACHE CACHE "\"}}]",
		digest_hex(&child.id), more);
	put(f, "overlay-images/images.json", list);
}

static int read_family(void *arg, dray_error **err)
{
	const struct fixture *f = arg;
	const struct selector all = { .all = true };
	struct image **images = NULL;
	size_t n = 0;

	cleanup_store struct store *st = open_disk(f, err);
	if (!st || store_images(st, &all, &images, &n, err) < 0)
		return -1;
	assert_int_equal(n, 2);
	bool first = digest_eq(&images[0]->config_digest_claimed, &f->id);
	const struct dray_disk_info *d = images[first]->disk, *base = images[!first]->disk;

	assert_string_equal(base->state, "intermediate");
	assert_null(base->parent);
	assert_string_equal(base->digest, "sha256:" CACHE);
	assert_int_equal(base->size, 17);
	assert_string_equal(d->state, "tagged");
	assert_string_equal(d->parent, f->id.text);
	assert_int_equal(d->size, 40);
	assert_int_equal(d->n_repo_digests, 4);
	assert_string_equal(d->repo_digests[0], "quay.io/a/b@sha256:" CACHE);
	assert_string_equal(d->repo_digests[1], "quay.io/a/b@" OTHER);
	assert_string_equal(d->repo_digests[3], "quay.io/c@" OTHER);
	images_free(images, n);
	return 0;
}

static void test_family(void **state)
{
	struct fixture f = { 0 };
	dray_error *err = NULL;

	(void)state;
	make_disk(&f, true);
	make_family(&f, "\"manifest-x\":\"../x\",\"manifest-y\":null,");
	assert_ok(read_family(&f, &err), err);
	make_family(&f, "");
	torture_alloc(read_family, &f);
	remove_disk(&f);
}

/* Two images, each with @names names and 200 digests. */
static void make_many_names(const struct fixture *f, int names)
{
	struct buf list = BUF_INIT(100000);
	cleanup_free char *text = NULL;

	for (int image = 0; image < 2; image++) {
		assert_int_equal(buf_printf(&list, NULL, "%s{\"id\":\"%s\",\"names\":[\"a/b:1\"",
					    image ? "," : "[", image ? OTHER + 7 : "{id}"),
				 0);
		for (int i = 1; i < names; i++)
			assert_int_equal(buf_printf(&list, NULL, ",\"a.b/c%d:1\"", i), 0);
		assert_int_equal(buf_printf(&list, NULL, "],\"big-data-digests\":{"), 0);
		for (int i = 0; i < 200; i++)
			assert_int_equal(buf_printf(&list, NULL,
						    "%s\"manifest-%d\":\"sha256:%064d\"",
						    i ? "," : "", i, i),
					 0);
		assert_int_equal(buf_printf(&list, NULL, "}}%s", image ? "]" : ""), 0);
	}
	text = buf_steal_str(&list, NULL);
	put(f, "overlay-images/images.json", text);
}

/* What a list comes to is bounded, however few each of its images has. */
static void test_many_names(void **state)
{
	const struct selector all = { .all = true };

	(void)state;
	for (int fits = 0; fits < 2; fits++) {
		struct fixture f = { 0 };
		struct image **images = NULL;
		size_t n = 0;
		dray_error *err = NULL;
		struct store *st;

		make_disk(&f, true);
		make_many_names(&f, fits ? 249 : 251);
		st = open_disk(&f, &err);
		assert_non_null(st);
		if (fits) {
			assert_ok(store_images(st, &all, &images, &n, &err), err);
			assert_int_equal(images[0]->disk->n_repo_digests, 249 * 200);
			images_free(images, n);
		} else {
			assert_int_equal(store_images(st, &all, &images, &n, &err), -1);
			assert_err_kind(err, DRAY_ERR_LIMIT);
		}
		store_free(st);
		remove_disk(&f);
	}
}

static void test_faults(void **state)
{
	(void)state;
	for (int containers = 0; containers < 2; containers++) {
		struct fixture f = { 0 };

		make_disk(&f, containers);
		f.only_one = true;
		torture_alloc(read_all, &f);
		torture_io(read_all, &f, EIO, NULL);
		remove_disk(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_docker),	       cmocka_unit_test(test_names),
		cmocka_unit_test(test_containers),     cmocka_unit_test(test_remapped),
		cmocka_unit_test(test_docker_damages), cmocka_unit_test(test_containers_damages),
		cmocka_unit_test(test_spared),	       cmocka_unit_test(test_lost_name),
		cmocka_unit_test(test_kinds),	       cmocka_unit_test(test_faults),
		cmocka_unit_test(test_containerd),     cmocka_unit_test(test_salvage),
		cmocka_unit_test(test_salvage_shared), cmocka_unit_test(test_containerd_beside),
		cmocka_unit_test(test_driver),	       cmocka_unit_test(test_family),
		cmocka_unit_test(test_many_names),     cmocka_unit_test(test_containerd_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
