/* SPDX-License-Identifier: Apache-2.0 */

/* OCI layouts: indexes, platforms, damage; as tars and as folders on disk.
 * Relies on box.h for archives. Ids are the rows of the reliability table. */

#include "box.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "image/mediatype.h"

/* Append a descriptor of @p body and put the blob into the tar. */
static void blob(struct buf *tar, const char *type, const char *body, const char *extra,
		 struct buf *desc)
{
	struct digest d;
	char name[128];

	box_digest(body, &d);
	snprintf(name, sizeof(name), "blobs/sha256/%s", digest_hex(&d));
	if (tar)
		tb_file(tar, name, body);
	assert_int_equal(buf_printf(desc, NULL,
				    "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu%s}",
				    desc->len ? "," : "", type, d.text, strlen(body), extra),
			 0);
}

static char *text(struct buf *b)
{
	char *s = buf_steal_str(b, NULL);

	assert_non_null(s);
	return s;
}

/* An image for @p arch with one layer; its descriptor goes to @p desc. */
static void image(struct buf *tar, const char *arch, const char *bytes, const char *extra,
		  struct buf *desc)
{
	cleanup_buf struct buf layer = tb_new(), config = tb_new(), b = tb_new();
	struct digest d;

	box_digest(bytes, &d);
	assert_int_equal(buf_printf(&b, NULL,
				    "{\"os\":\"linux\",\"architecture\":\"%s\",\"rootfs\":{"
				    "\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
				    arch, d.text),
			 0);
	cleanup_free char *config_text = text(&b);
	blob(tar, MT_OCI_LAYER, bytes, "", &layer);
	blob(tar, MT_OCI_CONFIG, config_text, "", &config);
	cleanup_free char *l = text(&layer), *c = text(&config);
	b = tb_new();
	assert_int_equal(buf_printf(&b, NULL,
				    "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_MANIFEST
				    "\",\"config\":%s,\"layers\":[%s]}",
				    c, l),
			 0);
	cleanup_free char *manifest = text(&b);
	blob(tar, MT_OCI_MANIFEST, manifest, extra, desc);
}

static void index_blob(struct buf *tar, struct buf *entries, const char *extra, struct buf *desc)
{
	cleanup_free char *list = text(entries);
	cleanup_buf struct buf b = tb_new();

	assert_int_equal(buf_printf(&b, NULL,
				    "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX
				    "\",\"manifests\":[%s]}",
				    list),
			 0);
	cleanup_free char *body = text(&b);
	blob(tar, MT_OCI_INDEX, body, extra, desc);
}

static void finish(struct buf *tar, struct buf *entries)
{
	cleanup_free char *list = text(entries);
	cleanup_buf struct buf b = tb_new();

	assert_int_equal(buf_printf(&b, NULL, "{\"schemaVersion\":2,\"manifests\":[%s]}", list), 0);
	tb_file_bytes(tar, "index.json", b.data, b.len);
	tb_file(tar, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	tb_end(tar);
}

#define NAMED(tag) ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"" tag "\"}"
#define FULL(name, tag)                                                \
	",\"annotations\":{\"io.containerd.image.name\":\"" name "\"," \
	"\"org.opencontainers.image.ref.name\":\"" tag "\"}"
#define ON(arch) ",\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch "\"}"

static void one(struct buf *tar)
{
	cleanup_buf struct buf top = tb_new();

	image(tar, "amd64", LAYER_1, FULL("docker.io/a/b:1", "1"), &top);
	finish(tar, &top);
}

static void two_tags(struct buf *tar)
{
	cleanup_buf struct buf top = tb_new();

	image(tar, "amd64", LAYER_1, NAMED("one"), &top);
	image(tar, "amd64", LAYER_2, NAMED("two"), &top);
	finish(tar, &top);
}

static void two_platforms(struct buf *tar)
{
	cleanup_buf struct buf top = tb_new(), list = tb_new();

	image(tar, "s390x", LAYER_1, ON("s390x"), &list);
	image(tar, "riscv64", LAYER_2, ON("riscv64"), &list);
	index_blob(tar, &list, NAMED("multi"), &top);
	finish(tar, &top);
}

static void plain_platforms(struct buf *tar)
{
	cleanup_buf struct buf top = tb_new();

	image(tar, "s390x", LAYER_1, ON("s390x"), &top);
	image(tar, "riscv64", LAYER_2, ON("riscv64"), &top);
	finish(tar, &top);
}

/* M-12: eight indexes deep, each naming its child a hundred times. */
static void nested(struct buf *tar, int depth, int times)
{
	cleanup_buf struct buf top = tb_new();

	image(tar, "amd64", LAYER_1, "", &top);
	for (int i = 0; i < depth; i++) {
		cleanup_free char *child = text(&top);
		cleanup_buf struct buf list = tb_new();

		top = tb_new();
		for (int k = 0; k < times; k++)
			assert_int_equal(buf_printf(&list, NULL, "%s%s", k ? "," : "", child), 0);
		index_blob(tar, &list, "", &top);
	}
	finish(tar, &top);
}

static void nested_8(struct buf *tar)
{
	nested(tar, 8, 20);
}

static void nested_9(struct buf *tar)
{
	nested(tar, 9, 1);
}

static void manifest_absent(struct buf *tar)
{
	cleanup_buf struct buf top = tb_new();

	image(NULL, "amd64", LAYER_1, NAMED("x"), &top);
	finish(tar, &top);
}

static void damaged(struct buf *tar, const char *what, const char *by)
{
	uint8_t *at = memmem(tar->data, tar->len, what, strlen(what));

	assert_non_null(at);
	memcpy(at, by, strlen(by));
}

static void manifest_changed(struct buf *tar)
{
	one(tar);
	damaged(tar, "layers\":[", "layerz\":[");
}

static void config_changed(struct buf *tar)
{
	one(tar);
	damaged(tar, "\"amd64\"", "\"amd65\"");
}

static void no_entries(struct buf *tar)
{
	tb_file(tar, "index.json", "{}");
	tb_end(tar);
}

static void no_layout_file(struct buf *tar)
{
	cleanup_buf struct buf top = tb_new();

	image(tar, "amd64", LAYER_1, "", &top);
	cleanup_free char *list = text(&top);
	cleanup_buf struct buf b = tb_new();
	assert_int_equal(buf_printf(&b, NULL, "{\"schemaVersion\":2,\"manifests\":[%s]}", list), 0);
	tb_file_bytes(tar, "index.json", b.data, b.len);
	tb_end(tar);
}

static void index_no_json(struct buf *tar)
{
	tb_file(tar, "index.json", "foo");
	tb_end(tar);
}

/* M-05 */
static void digest_outside(struct buf *tar)
{
	tb_file(tar, "index.json",
		"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" MT_OCI_MANIFEST
		"\",\"size\":1,\"digest\":\"sha256:../../../etc/passwd\"}]}");
	tb_end(tar);
}

static const struct row {
	const char *name;
	void (*build)(struct buf *tar);
	struct selector sel;
	size_t n;
	enum dray_err_kind refused, broken;
	const char *note; /* on image 0 or the store */
	const char *text; /* first tag, or part of the error */
} rows[] = {
	{ "one", one, { 0 }, 1, 0, 0, NULL, "a/b:1" },
	{ "one by ref.name", one, { .ref = "1" }, 1, 0, 0, NULL, "a/b:1" },
	{ "one by familiar name", one, { .ref = "a/b:1" }, 1, 0, 0, NULL, "a/b:1" },
	{ "one by another", one, { .ref = "2" }, 0, DRAY_ERR_NOT_FOUND, 0, NULL, "a/b:1" },
	{ "two, none chosen", two_tags, { 0 }, 0, DRAY_ERR_USAGE, 0, NULL, "@0 one" },
	{ "two, second", two_tags, { .at = 1, .has_at = true }, 1, 0, 0, NULL, "two" },
	{ "two, all", two_tags, { .all = true }, 2, 0, 0, NULL, "one" },
	{ "platform of host absent",
	  two_platforms,
	  { 0 },
	  0,
	  DRAY_ERR_NOT_FOUND,
	  0,
	  NULL,
	  "linux/riscv64" },
	{ "platform given",
	  two_platforms,
	  { .platform = { .os = "linux", .arch = "s390x" } },
	  1,
	  0,
	  0,
	  NULL,
	  "multi" },
	{ "platforms, all", two_platforms, { .all = true }, 2, 0, 0, NULL, "multi" },
	{ "platforms by tag",
	  two_platforms,
	  { .ref = "multi", .all_platforms = true },
	  2,
	  0,
	  0,
	  NULL,
	  "multi" },
	{ "plain entries as platforms",
	  plain_platforms,
	  { .platform = { .os = "linux", .arch = "riscv64" } },
	  1,
	  0,
	  0,
	  NULL,
	  NULL },
	{ "M-12 P-08 nested", nested_8, { 0 }, 1, 0, 0, NULL, NULL },
	{ "M-12 too deep", nested_9, { 0 }, 0, DRAY_ERR_LIMIT, 0, NULL, "LIMIT_INDEX_DEPTH" },
	{ "manifest absent",
	  manifest_absent,
	  { 0 },
	  1,
	  0,
	  DRAY_ERR_NOT_FOUND,
	  "blob-missing",
	  "x" },
	{ "M-02 manifest changed",
	  manifest_changed,
	  { 0 },
	  1,
	  0,
	  DRAY_ERR_CORRUPT,
	  "blob-digest-differs",
	  "a/b:1" },
	{ "M-04 config changed",
	  config_changed,
	  { 0 },
	  1,
	  0,
	  DRAY_ERR_CORRUPT,
	  "blob-digest-differs",
	  "a/b:1" },
	{ "no entries", no_entries, { .all = true }, 0, 0, 0, "index-no-manifests", NULL },
	{ "no entries, one wanted", no_entries, { 0 }, 0, DRAY_ERR_NOT_FOUND, 0, NULL, "no image" },
	{ "no oci-layout", no_layout_file, { 0 }, 1, 0, 0, "oci-layout-missing", NULL },
	{ "index.json no JSON", index_no_json, { 0 }, 0, DRAY_ERR_FORMAT, 0, NULL, "index.json" },
	{ "M-05 digest", digest_outside, { 0 }, 0, DRAY_ERR_FORMAT, 0, NULL, "index.json" },
};

static void check_image(const struct row *r, struct store *st, const struct image *im)
{
	dray_error *err = NULL;

	assert_int_equal(image_require_whole(im, &err), r->broken ? -1 : 0);
	if (r->broken)
		assert_int_equal(dray_error_kind(err), r->broken);
	dray_error_free(err);
	if (r->note)
		assert_true(box_find_note(&im->notes, r->note) ||
			    box_find_note(&st->notes, r->note));
	if (r->text)
		assert_string_equal(im->tags[0], r->text);
	else
		assert_int_equal(im->n_tags, 0);
	if (!r->broken)
		assert_true(im->layers[0].handle != 0 &&
			    im->layers[0].compression == COMPRESSION_NONE);
}

static void check_refused(const struct row *r, int rc, dray_error *err)
{
	assert_int_equal(rc, -1);
	assert_int_equal(dray_error_kind(err), r->refused);
	assert_non_null(strstr(dray_error_message(err), r->text));
}

static void run_row(const struct row *r, enum way way)
{
	cleanup_buf struct buf tar = tb_new();
	struct image **images = NULL;
	dray_error *err = NULL;
	size_t n = 0;

	print_message("%s%s\n", r->name, way == AS_PIPE ? " (pipe)" : "");
	r->build(&tar);
	struct store *st = box_open(&tar, way, &err);
	int rc = st ? store_images(st, &r->sel, &images, &n, &err) : -1;
	if (r->refused) {
		check_refused(r, rc, err);
	} else {
		assert_null(err);
		assert_int_equal(n, r->n);
		if (n)
			check_image(r, st, images[0]);
		else
			assert_non_null(box_find_note(&st->notes, r->note));
	}
	box_free(st, images, n, err);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (enum way way = AS_FILE; way < WAYS; way++)
			run_row(&rows[i], way);
}

/* Many manifests of one config: each image has it in memory. */
static void test_images_total(void **state)
{
	enum { CONFIG = 8 << 20, IMAGES = 20 };
	cleanup_buf struct buf tar = tb_new(), top = tb_new(), config = tb_new();
	struct selector sel = { .all = true };
	struct image **images = NULL;
	dray_error *err = NULL;
	size_t n = 0;

	(void)state;
	char *body = mem_zalloc(CONFIG + 1);
	memset(body, ' ', CONFIG);
	body[0] = '{';
	body[CONFIG - 1] = '}';
	blob(&tar, MT_OCI_CONFIG, body, "", &config);
	mem_free(body);
	cleanup_free char *c = text(&config);
	for (int i = 0; i < IMAGES; i++) {
		cleanup_free char *m = mem_printf(
			"{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_MANIFEST
			"\",\"config\":%s,\"layers\":[],"
			"\"annotations\":{\"n\":\"%d\"}}",
			c, i);

		blob(&tar, MT_OCI_MANIFEST, m, "", &top);
	}
	finish(&tar, &top);
	struct store *st = box_open(&tar, AS_FILE, NULL);
	assert_non_null(st);
	assert_int_equal(store_images(st, &sel, &images, &n, &err), -1);
	assert_int_equal(dray_error_kind(err), DRAY_ERR_LIMIT);
	assert_non_null(strstr(dray_error_message(err), "LIMIT_IMAGES_TOTAL"));
	box_free(st, images, n, err);
}

/* ---- folders ---- */

static void put(int dir, const char *name, const void *data, size_t len)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* Unpack what one() made: plain ustar files with short names. */
static int unpack(char *path)
{
	cleanup_buf struct buf tar = tb_new();

	assert_non_null(mkdtemp(path));
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	assert_int_equal(mkdirat(dir, "blobs", 0700), 0);
	assert_int_equal(mkdirat(dir, "blobs/sha256", 0700), 0);
	one(&tar);
	for (size_t off = 0; tar.data[off];) {
		size_t len = strtoul((const char *)tar.data + off + 124, NULL, 8);

		put(dir, (const char *)tar.data + off, tar.data + off + 512, len);
		off += 512 + (len + 511) / 512 * 512;
	}
	return dir;
}

static void remove_all(int dir, const char *path, const char *layer)
{
	cleanup_buf struct buf tar = tb_new();

	one(&tar);
	for (size_t off = 0; tar.data[off];) {
		size_t len = strtoul((const char *)tar.data + off + 124, NULL, 8);

		unlinkat(dir, (const char *)tar.data + off, 0);
		off += 512 + (len + 511) / 512 * 512;
	}
	unlinkat(dir, layer, 0);
	unlinkat(dir, "moved", 0);
	unlinkat(dir, "blobs/sha256", AT_REMOVEDIR);
	unlinkat(dir, "blobs", AT_REMOVEDIR);
	close(dir);
	rmdir(path);
}

enum trick { NO_TRICK, FIFO, LINK_INSIDE, LINK_OUTSIDE, LINK_LOOP, FOLDER_TRICKS };

static void play(int dir, const char *layer, enum trick trick)
{
	switch (trick) {
	case FIFO:
		assert_int_equal(unlinkat(dir, layer, 0), 0);
		assert_int_equal(mkfifoat(dir, layer, 0600), 0);
		break;
	case LINK_INSIDE:
		assert_int_equal(renameat(dir, layer, dir, "moved"), 0);
		assert_int_equal(symlinkat("../../moved", dir, layer), 0);
		break;
	case LINK_OUTSIDE:
		assert_int_equal(unlinkat(dir, layer, 0), 0);
		assert_int_equal(symlinkat("../../../etc/passwd", dir, layer), 0);
		break;
	case LINK_LOOP:
		assert_int_equal(unlinkat(dir, layer, 0), 0);
		assert_int_equal(symlinkat("../../moved", dir, layer), 0);
		assert_int_equal(symlinkat(layer, dir, "moved"), 0);
		break;
	default:
		break;
	}
}

static const char *const trick_notes[] = { NULL, "layer-not-regular", NULL, "layer-link-outside",
					   "layer-link-loop" };

static void run_trick(enum trick trick)
{
	char path[] = "/tmp/dray-test-XXXXXX", layer[128];
	struct selector sel = { 0 };
	struct image **images;
	struct digest d;
	size_t n;

	box_digest(LAYER_1, &d);
	snprintf(layer, sizeof(layer), "blobs/sha256/%s", digest_hex(&d));
	int dir = unpack(path);
	play(dir, layer, trick);
	struct store *st = store_open_path(path, NULL, NULL);
	assert_non_null(st);
	assert_int_equal(store_images(st, &sel, &images, &n, NULL), 0);
	assert_int_equal(n, 1);
	struct source *s = store_open_layer(st, images[0], 0, NULL);
	if (trick_notes[trick]) {
		assert_null(s);
		assert_non_null(box_find_note(&images[0]->notes, trick_notes[trick]));
	} else {
		assert_int_equal(source_drain(s, NULL), 0);
		assert_int_equal(s->pos, strlen(LAYER_1));
	}
	source_free(s);
	box_free(st, images, n, NULL);
	remove_all(dir, path, layer);
}

/* what lies in a folder is opened only when it is a regular file of that folder. */
static void test_folder(void **state)
{
	(void)state;
	for (enum trick t = NO_TRICK; t < FOLDER_TRICKS; t++)
		run_trick(t);
}

/* An engine's disk has no index.json: its list is told, and asked as one. */
static void test_told_index(void **state)
{
	static const char *const types[] = { MT_OCI_INDEX, MT_OCI_MANIFEST };
	char folder[] = "/tmp/dray-told-XXXXXX";
	struct digest d;

	(void)state;
	box_digest("{}", &d);
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		cleanup_buf struct buf index = tb_new();
		bool lists = i > 0;

		assert_int_equal(buf_printf(&index, NULL,
					    "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
					    "\"%s\",\"digest\":\"%s\",\"size\":2}]}",
					    types[i], d.text),
				 0);
		struct store *st = store_open_blobs("disk", folder, "containerd", span_buf(&index),
						    NULL, NULL);
		assert_non_null(st);
		assert_int_equal(store_lists_indexes(st, &lists, NULL), 0);
		assert_int_equal(lists, i == 0);
		store_free(st);
	}
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_images_total),
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_told_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
