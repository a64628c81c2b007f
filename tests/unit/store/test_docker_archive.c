/* SPDX-License-Identifier: Apache-2.0 */

/* docker-archive: what must be read and what must be refused, as a file and as a pipe.
 * Relies on box.h for archives. Ids are the rows of the reliability table. */

#include "box.h"

/* What a row expects of image 0; zero = nothing wrong. */
struct row {
	const char *name;
	void (*build)(struct buf *b);
	enum dray_err_kind refused; /* opening or listing fails with this */
	const char *message;	    /* part of that error, or of image_require_whole()'s */
	enum dray_err_kind broken;  /* the image is listed, but not whole */
	const char *note;	    /* code on the image or the store */
	const char *link;	    /* link_target of its last layer */
	const char *v1_id;	    /* of its last layer */
	bool missing;		    /* its last layer cannot be opened */
};

static void end(struct buf *b, const char *config, const char *layers)
{
	cleanup_buf struct buf m = tb_new();

	assert_int_equal(buf_printf(&m, NULL,
				    "[{\"Config\":\"%s\",\"RepoTags\":[\"a/b:1\"],"
				    "\"Layers\":[%s]}]\n",
				    config, layers),
			 0);
	tb_file_bytes(b, "manifest.json", m.data, m.len);
	tb_end(b);
}

static void config(struct buf *b, const char *first, const char *second)
{
	tb_file(b, "c.json", box_config(first, second));
}

static void plain(struct buf *b)
{
	tb_dir(b, HEX_A "/");
	tb_file(b, HEX_A "/layer.tar", LAYER_1);
	config(b, LAYER_1, NULL);
	end(b, "c.json", "\"" HEX_A "/layer.tar\"");
}

static void link_after(struct buf *b)
{
	tb_file(b, HEX_A "/layer.tar", LAYER_1);
	tb_symlink(b, HEX_B "/layer.tar", "../" HEX_A "/layer.tar");
	config(b, LAYER_1, LAYER_1);
	end(b, "c.json", "\"" HEX_A "/layer.tar\",\"" HEX_B "/layer.tar\"");
}

static void link_before(struct buf *b)
{
	tb_symlink(b, HEX_B "/layer.tar", "../" HEX_A "/layer.tar");
	tb_file(b, HEX_A "/layer.tar", LAYER_1);
	config(b, LAYER_1, LAYER_1);
	end(b, "c.json", "\"" HEX_A "/layer.tar\",\"" HEX_B "/layer.tar\"");
}

static void link_absolute(struct buf *b)
{
	tb_symlink(b, HEX_B "/layer.tar", "/" HEX_A "/layer.tar");
	tb_file(b, HEX_A "/layer.tar", LAYER_1);
	config(b, LAYER_1, NULL);
	end(b, "c.json", "\"" HEX_B "/layer.tar\"");
}

static void hard_link(struct buf *b)
{
	tb_file(b, HEX_A "/layer.tar", LAYER_1);
	tb_hardlink(b, HEX_B "/layer.tar", HEX_A "/layer.tar");
	config(b, LAYER_1, NULL);
	end(b, "c.json", "\"" HEX_B "/layer.tar\"");
}

static void chain(struct buf *b, int links)
{
	char from[16], to[16];

	tb_file(b, "l0", LAYER_1);
	for (int i = 1; i <= links; i++) {
		snprintf(from, sizeof(from), "l%d", i);
		snprintf(to, sizeof(to), "l%d", i - 1);
		tb_symlink(b, from, to);
	}
	config(b, LAYER_1, NULL);
	snprintf(from, sizeof(from), "\"l%d\"", links);
	end(b, "c.json", from);
}

static void chain_of_8(struct buf *b)
{
	chain(b, 8);
}

static void chain_of_9(struct buf *b)
{
	chain(b, 9);
}

static void link_loop(struct buf *b)
{
	tb_symlink(b, "a", "b");
	tb_symlink(b, "b", "a");
	config(b, LAYER_1, NULL);
	end(b, "c.json", "\"a\"");
}

static void hard_link_to_itself(struct buf *b)
{
	tb_hardlink(b, "a", "a");
	config(b, LAYER_1, NULL);
	end(b, "c.json", "\"a\"");
}

static void link_dangling(struct buf *b)
{
	tb_symlink(b, "a", "b");
	config(b, LAYER_1, NULL);
	end(b, "c.json", "\"a\"");
}

static void link_outside(struct buf *b)
{
	tb_symlink(b, "x/a", "../../etc/passwd");
	config(b, LAYER_1, NULL);
	end(b, "c.json", "\"x/a\"");
}

static void layer_outside(struct buf *b)
{
	config(b, LAYER_1, NULL);
	end(b, "c.json", "\"../../etc/passwd\"");
}

static void config_outside(struct buf *b)
{
	end(b, "../../etc/passwd", "");
}

static void layer_is_fifo(struct buf *b)
{
	tb_header(b, &(struct tb_head){ .name = "a", .type = '6' });
	config(b, LAYER_1, NULL);
	end(b, "c.json", "\"a\"");
}

static void layer_absent(struct buf *b)
{
	config(b, LAYER_1, NULL);
	end(b, "c.json", "\"a\"");
}

static void config_absent(struct buf *b)
{
	end(b, "c.json", "");
}

static void twin_manifests(struct buf *b)
{
	tb_file(b, "manifest.json", "[]");
	plain(b);
}

static void twin_layers(struct buf *b)
{
	tb_file(b, HEX_A "/layer.tar", LAYER_2);
	plain(b);
}

/* What was found out about twins the first time holds for whoever names them next. */
static void twin_layers_named_again(struct buf *b)
{
	tb_file(b, HEX_A "/layer.tar", LAYER_1);
	tb_file(b, HEX_A "/layer.tar", LAYER_2);
	tb_symlink(b, "l", HEX_A "/layer.tar");
	config(b, LAYER_1, LAYER_1);
	end(b, "c.json", "\"" HEX_A "/layer.tar\",\"l\"");
}

static void equal_twin_layers(struct buf *b)
{
	tb_file(b, HEX_A "/layer.tar", LAYER_1);
	plain(b);
}

static void twin_configs(struct buf *b)
{
	tb_file(b, "c.json", box_config(LAYER_2, NULL));
	plain(b);
}

static void twins_nobody_names(struct buf *b)
{
	tb_file(b, "VERSION", "1.0");
	tb_file(b, "VERSION", "2.0");
	plain(b);
}

static void too_few_layers(struct buf *b)
{
	tb_file(b, "l", LAYER_1);
	config(b, LAYER_1, LAYER_2);
	end(b, "c.json", "\"l\"");
}

static void twin_json_names(struct buf *b)
{
	config(b, NULL, NULL);
	tb_file(b, "manifest.json",
		"[{\"Config\":\"c.json\",\"Config\":\"d.json\",\"Layers\":[]}]");
	tb_end(b);
}

static void json_bomb(struct buf *b)
{
	cleanup_buf struct buf deep = tb_new();

	for (int i = 0; i < 20000; i++)
		tb_bytes(&deep, "[", 1);
	tb_file_bytes(b, "manifest.json", deep.data, deep.len);
	tb_end(b);
}

static void config_no_json(struct buf *b)
{
	tb_file(b, "c.json", "{\"rootfs\":");
	end(b, "c.json", "");
}

static void manifest_null(struct buf *b)
{
	tb_file(b, "manifest.json", "null\n");
	tb_end(b);
}

static void manifest_object(struct buf *b)
{
	tb_file(b, "manifest.json", "{\"schemaVersion\":2}");
	tb_end(b);
}

static void layer_is_number(struct buf *b)
{
	config(b, LAYER_1, NULL);
	end(b, "c.json", "1");
}

static void no_archive(struct buf *b)
{
	tb_file(b, "etc/passwd", "root");
	tb_end(b);
}

static void dot_slash(struct buf *b)
{
	tb_dir(b, "./");
	tb_file(b, "./" HEX_A "/layer.tar", LAYER_1);
	tb_file(b, "./c.json", box_config(LAYER_1, NULL));
	tb_file(b, "./manifest.json",
		"[{\"Config\":\"c.json\",\"RepoTags\":null,"
		"\"Layers\":[\"" HEX_A "/layer.tar\"]}]");
	tb_end(b);
}

static void leading_slash(struct buf *b)
{
	tb_file(b, "/l", LAYER_1);
	tb_file(b, "/c.json", box_config(LAYER_1, NULL));
	tb_file(b, "/manifest.json", "[{\"Config\":\"c.json\",\"Layers\":[\"l\"]}]");
	tb_end(b);
}

/* The config under its digest, with or without what the writers put around it. */
static void named_config(struct buf *b, const char *before, const char *after, const char *body)
{
	struct digest d;
	char name[160];

	box_digest(body, &d);
	snprintf(name, sizeof(name), "%s%s%s", before, digest_hex(&d), after);
	tb_file(b, name, body);
	tb_file(b, "l.tar.gz", LAYER_1);
	end(b, name, "\"l.tar.gz\"");
}

static void crane(struct buf *b)
{
	named_config(b, "sha256:", "", box_config(LAYER_1, NULL));
}

static void nix(struct buf *b)
{
	struct digest d;
	char name[160], quoted[180], text[400];

	box_digest(LAYER_1, &d);
	snprintf(name, sizeof(name), "%s/layer.tar", digest_hex(&d));
	snprintf(quoted, sizeof(quoted), "\"%s\"", name);
	snprintf(text, sizeof(text),
		 "{\n  \"os\": \"linux\",\n  \"rootfs\": {\n    \"type\": "
		 "\"layers\",\n    \"diff_ids\": [\n      \"%s\"\n    ]\n  }\n}\n",
		 d.text);
	tb_file(b, name, LAYER_1);
	tb_file(b, "c.json", text);
	end(b, "c.json", quoted);
}

static void jib(struct buf *b)
{
	tb_file(b, "l.tar.gz", LAYER_1);
	tb_file(b, "config.json", box_config(LAYER_1, NULL));
	tb_file(b, "manifest.json",
		"[{\"config\":\"config.json\",\"repoTags\":[\"a/b:1\"],"
		"\"layers\":[\"l.tar.gz\"]}]");
	tb_end(b);
}

static void edited_config(struct buf *b)
{
	tb_file(b, "l", LAYER_1);
	tb_file(b, HEX_C ".json", box_config(LAYER_1, NULL));
	end(b, HEX_C ".json", "\"l\"");
}

static void no_diff_ids(struct buf *b)
{
	tb_file(b, "l", LAYER_1);
	tb_file(b, "c.json", "{}");
	end(b, "c.json", "\"l\"");
}

static void no_layers(struct buf *b)
{
	config(b, NULL, NULL);
	end(b, "c.json", "");
}

static void unsafe_bystander(struct buf *b)
{
	tb_file(b, "../../x", "x");
	plain(b);
}

static const struct row rows[] = {
	{ "plain", plain, .v1_id = HEX_A },
	{ "P-07 link after its target", link_after, .link = HEX_A "/layer.tar", .v1_id = HEX_B },
	{ "P-07 link before its target", link_before, .link = HEX_A "/layer.tar", .v1_id = HEX_B },
	{ "P-01 absolute link", link_absolute, .link = HEX_A "/layer.tar", .v1_id = HEX_B },
	{ "A-01 hard link", hard_link, .link = HEX_A "/layer.tar", .v1_id = HEX_B },
	{ "A-01 chain of 8", chain_of_8, .link = "l0" },
	{ "A-01 chain of 9", chain_of_9, .broken = DRAY_ERR_FORMAT, .note = "layer-link-loop",
	  .message = "LIMIT_LINK_HOPS", .missing = true },
	{ "A-01 loop", link_loop, .broken = DRAY_ERR_FORMAT, .note = "layer-link-loop",
	  .message = "link a -> b", .missing = true },
	{ "A-01 hard link to itself", hard_link_to_itself, .broken = DRAY_ERR_FORMAT,
	  .note = "layer-link-loop", .message = "link a -> a", .missing = true },
	{ "A-01 dangling", link_dangling, .note = "layer-link-dangling", .missing = true },
	{ "A-01 link leaves", link_outside, .broken = DRAY_ERR_FORMAT, .note = "layer-link-outside",
	  .message = "link x/a -> ../../etc/passwd", .missing = true },
	{ "A-04 layer outside", layer_outside, .broken = DRAY_ERR_FORMAT,
	  .note = "layer-link-outside", .message = "../../etc/passwd", .missing = true },
	{ "A-04 config outside", config_outside, .broken = DRAY_ERR_FORMAT,
	  .note = "config-unreadable", .message = "../../etc/passwd" },
	{ "A-03 layer is a fifo", layer_is_fifo, .broken = DRAY_ERR_FORMAT,
	  .note = "layer-not-regular", .missing = true },
	{ "layer absent", layer_absent, .missing = true },
	{ "config absent", config_absent, .broken = DRAY_ERR_NOT_FOUND, .note = "config-missing" },
	{ "A-02 twin manifest.json", twin_manifests, .refused = DRAY_ERR_FORMAT,
	  .message = "ambiguous" },
	{ "A-02 twin layers", twin_layers, .broken = DRAY_ERR_FORMAT, .note = "member-ambiguous",
	  .message = "ambiguous", .missing = true, .v1_id = HEX_A },
	{ "A-02 twin layers named again", twin_layers_named_again, .broken = DRAY_ERR_FORMAT,
	  .note = "member-ambiguous", .message = "ambiguous", .missing = true },
	{ "A-02 twin configs", twin_configs, .broken = DRAY_ERR_FORMAT, .note = "config-unreadable",
	  .message = "ambiguous", .v1_id = HEX_A },
	{ "A-02 equal twins", equal_twin_layers, .note = "member-twice", .v1_id = HEX_A },
	{ "A-02 twins nobody names", twins_nobody_names, .v1_id = HEX_A },
	{ "M-13 count", too_few_layers, .broken = DRAY_ERR_FORMAT, .note = "layer-count-differs",
	  .message = "layers length mismatch" },
	{ "M-10 twin names", twin_json_names, .refused = DRAY_ERR_FORMAT,
	  .message = "manifest.json" },
	{ "M-11 depth", json_bomb, .refused = DRAY_ERR_LIMIT, .message = "manifest.json" },
	{ "config no JSON", config_no_json, .broken = DRAY_ERR_FORMAT, .note = "config-bad-json" },
	{ "manifest.json null", manifest_null, .refused = DRAY_ERR_FORMAT },
	{ "manifest.json of no image", manifest_object, .refused = DRAY_ERR_FORMAT,
	  .message = "manifest.json" },
	{ "layer is a number", layer_is_number, .refused = DRAY_ERR_FORMAT, .message = "Layers" },
	{ "flat root", no_archive, .refused = DRAY_ERR_FORMAT, .message = "flat root file system" },
	{ "./ names", dot_slash, .v1_id = HEX_A },
	{ "leading slash", leading_slash, .note = "tar-unsafe-name" },
	{ .name = "crane", .build = crane },
	{ .name = "nix", .build = nix },
	{ "jib", jib, .note = "manifest-json-key-case" },
	{ "edited config", edited_config, .note = "config-name-differs" },
	{ "no diff_ids", no_diff_ids, .note = "config-no-diff-ids" },
	{ .name = "no layers", .build = no_layers },
	{ "unsafe bystander", unsafe_bystander, .note = "tar-unsafe-name", .v1_id = HEX_A },
};

static void check_text(const char *want, const char *have)
{
	if (!want)
		assert_null(have);
	else
		assert_string_equal(want, have ? have : "(null)");
}

static void check_whole(const struct row *r, const struct image *im)
{
	dray_error *err = NULL;
	int rc = image_require_whole(im, &err);

	assert_int_equal(rc, r->broken ? -1 : 0);
	if (r->broken) {
		assert_int_equal(dray_error_kind(err), r->broken);
		if (r->message)
			assert_non_null(strstr(dray_error_message(err), r->message));
	}
	dray_error_free(err);
}

static void check_open(const struct row *r, struct store *st, const struct image *im, size_t i)
{
	dray_error *err = NULL;
	struct source *s = store_open_layer(st, im, i, &err);

	if (r->missing) {
		enum dray_err_kind want = im->layers[i].trouble ? DRAY_ERR_FORMAT
								: DRAY_ERR_NOT_FOUND;

		assert_null(s);
		assert_int_equal(dray_error_kind(err), want);
	} else if (st->forward_only) {
		/* Passed already: then the facts are there. */
		assert_true(s || im->layers[i].facts);
	} else {
		assert_non_null(s);
		assert_int_equal(source_drain(s, NULL), 0);
		assert_int_equal(s->pos, im->layers[i].blob.size);
	}
	source_free(s);
	dray_error_free(err);
}

static void check_last_layer(const struct row *r, struct store *st, const struct image *im)
{
	if (!im->n_layers) {
		assert_null(r->link);
		return;
	}
	const struct layer *l = &im->layers[im->n_layers - 1];

	check_text(r->link, l->link_target);
	check_text(r->v1_id, l->v1_id);
	assert_int_equal(r->missing, l->missing);
	check_open(r, st, im, im->n_layers - 1);
}

static void run_row(const struct row *r, enum way way)
{
	cleanup_buf struct buf tar = tb_new();
	struct selector sel = { 0 };
	struct image **images = NULL;
	dray_error *err = NULL;
	size_t n = 0;

	print_message("%s%s\n", r->name, way == AS_PIPE ? " (pipe)" : "");
	r->build(&tar);
	struct store *st = box_open(&tar, way, &err);
	int rc = st ? store_images(st, &sel, &images, &n, &err) : -1;
	if (r->refused) {
		assert_int_equal(rc, -1);
		assert_int_equal(dray_error_kind(err), r->refused);
		if (r->message)
			assert_non_null(strstr(dray_error_message(err), r->message));
	} else {
		assert_null(err);
		assert_int_equal(n, 1);
		check_whole(r, images[0]);
		check_last_layer(r, st, images[0]);
		if (r->note)
			assert_true(box_find_note(&images[0]->notes, r->note) ||
				    box_find_note(&st->notes, r->note));
		else
			assert_int_equal(images[0]->notes.n, 0);
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

/* Two images; the second has only a link into the folder of the first. */
static void two_images(struct buf *b)
{
	tb_symlink(b, HEX_B "/layer.tar", "../" HEX_A "/layer.tar");
	tb_file(b, "c.json", box_config(LAYER_1, NULL));
	tb_file(b, "manifest.json",
		"[{\"Config\":\"c.json\",\"RepoTags\":[\"one:1\"],\"Layers\":[\"" HEX_A
		"/layer.tar\"]},"
		"{\"Config\":\"c.json\",\"RepoTags\":[\"two:latest\",\"host:5000/x:y\"],"
		"\"Layers\":[\"" HEX_B "/layer.tar\"]}]");
	tb_file(b, "repositories",
		"{\"one\":{\"1\":\"" HEX_A "\"},\"two\":{\"latest\":\"" HEX_B "\"}}");
	tb_file(b, HEX_A "/layer.tar", LAYER_1);
	tb_end(b);
}

static const struct {
	const char *ref;
	int64_t at; /* -1 = not given */
	bool all;
	enum dray_err_kind kind;
	size_t n;
	const char *tag; /* first tag of the first */
} choices[] = {
	{ NULL, -1, false, DRAY_ERR_USAGE, 0, "@0 one:1, @1 two:latest" },
	{ NULL, -1, true, 0, 2, "one:1" },
	{ "one:1", -1, false, 0, 1, "one:1" },
	{ "docker.io/library/one:1", -1, false, 0, 1, "one:1" },
	{ "one", -1, false, 0, 1, "one:1" },
	{ "two", -1, false, 0, 1, "two:latest" },
	{ "host:5000/x:y", -1, false, 0, 1, "two:latest" },
	{ "one:2", -1, false, DRAY_ERR_NOT_FOUND, 0, "@1 two:latest" },
	{ "latest", -1, false, 0, 1, "two:latest" },
	{ "1", -1, false, 0, 1, "one:1" },
	{ "y", -1, false, 0, 1, "two:latest" },
	{ "library/y", -1, false, DRAY_ERR_NOT_FOUND, 0, "no image" },
	{ "three", -1, false, DRAY_ERR_NOT_FOUND, 0, "no image \"three\"" },
	{ NULL, 1, false, 0, 1, "two:latest" },
	{ NULL, 2, false, DRAY_ERR_NOT_FOUND, 0, "no image @2" },
};

static void test_selectors(void **state)
{
	cleanup_buf struct buf tar = tb_new();

	(void)state;
	two_images(&tar);
	struct store *st = box_open(&tar, AS_FILE, NULL);
	assert_non_null(st);
	for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
		struct selector sel = { .ref = choices[i].ref,
					.at = choices[i].at,
					.has_at = choices[i].at >= 0,
					.all = choices[i].all };
		struct image **images = NULL;
		dray_error *err = NULL;
		size_t n = 0;
		int rc = store_images(st, &sel, &images, &n, &err);

		print_message("%zu %s\n", i, choices[i].ref ? choices[i].ref : "-");
		assert_int_equal(rc, choices[i].kind ? -1 : 0);
		assert_int_equal(n, choices[i].n);
		if (rc == 0) {
			assert_string_equal(images[0]->tags[0], choices[i].tag);
		} else {
			assert_int_equal(dray_error_kind(err), choices[i].kind);
			assert_non_null(strstr(dray_error_message(err), choices[i].tag));
		}
		images_free(images, n);
		dray_error_free(err);
	}
	store_free(st);
}

static void test_cross_image_link(void **state)
{
	cleanup_buf struct buf tar = tb_new();
	struct selector sel = { .all = true };
	struct image **images;
	size_t n;

	(void)state;
	two_images(&tar);
	struct store *st = box_open(&tar, AS_FILE, NULL);
	assert_int_equal(store_images(st, &sel, &images, &n, NULL), 0);
	assert_string_equal(images[0]->v1_top, HEX_A);
	assert_string_equal(images[1]->v1_top, HEX_B);
	assert_string_equal(images[1]->layers[0].link_target, HEX_A "/layer.tar");
	assert_true(images[0]->layers[0].handle == images[1]->layers[0].handle);
	box_free(st, images, n, NULL);
}

/* A forward walk hands every blob to the callback, once, and no document. */
struct seen {
	int n;
	int64_t bytes;
};

static int count(void *arg, const char *name, struct source *data, int64_t size,
		 struct blob_facts *ret, dray_error **err)
{
	struct seen *s = arg;

	s->n++;
	s->bytes += size;
	return member_hash(NULL, name, data, size, ret, err);
}

static void test_callback(void **state)
{
	cleanup_buf struct buf tar = tb_new();
	struct seen seen = { 0 };
	struct place_options o = { .on_member = count, .arg = &seen };
	struct selector sel = { .all = true };
	struct image **images;
	char path[64];
	int fds[2];
	size_t n;

	(void)state;
	two_images(&tar);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], tar.data, tar.len), tar.len);
	close(fds[1]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	struct store *st = store_open_tar(path, &o, NULL);
	close(fds[0]);
	assert_non_null(st);
	assert_true(st->forward_only);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.bytes, strlen(LAYER_1));
	assert_int_equal(store_images(st, &sel, &images, &n, NULL), 0);
	assert_true(digest_eq(&images[1]->layers[0].facts->diff_id, &images[1]->layers[0].diff_id));
	box_free(st, images, n, NULL);
}

/* A pipe that ends inside a compressed layer is an error, whatever the decoder thinks of it. */
static void test_cut_in_gzip_layer(void **state)
{
	static const uint8_t gzip[4000] = { 0x1f, 0x8b, 8, 0,	 0,    0,    0,	   0,
					    0,	  3,	1, 0x40, 0x1f, 0xbf, 0xe0, 'x' };
	cleanup_buf struct buf tar = tb_new();
	dray_error *err = NULL;

	(void)state;
	tb_file_bytes(&tar, HEX_A "/layer.tar", gzip, sizeof(gzip));
	tar.len = 512 + 1000;
	assert_null(box_open(&tar, AS_PIPE, &err));
	assert_int_equal(dray_error_kind(err), DRAY_ERR_FORMAT);
	assert_non_null(strstr(dray_error_message(err), HEX_A "/layer.tar"));
	dray_error_free(err);
}

/* Images that share a config in the archive have one each in memory. */
static void test_images_total(void **state)
{
	enum { CONFIG = 8 << 20, IMAGES = 20 };
	cleanup_buf struct buf tar = tb_new(), list = tb_new();
	struct selector sel = { .all = true };
	struct image **images = NULL;
	dray_error *err = NULL;
	size_t n = 0;

	(void)state;
	char *text = mem_alloc(CONFIG);
	memset(text, ' ', CONFIG);
	text[0] = '{';
	text[CONFIG - 1] = '}';
	tb_file_bytes(&tar, "c.json", text, CONFIG);
	mem_free(text);
	for (int i = 0; i < IMAGES; i++)
		assert_int_equal(buf_printf(&list, NULL, "%c{\"Config\":\"c.json\",\"Layers\":[]}",
					    i ? ',' : '['),
				 0);
	assert_int_equal(buf_add_str(&list, "]", NULL), 0);
	tb_file_bytes(&tar, "manifest.json", list.data, list.len);
	tb_end(&tar);
	struct store *st = box_open(&tar, AS_FILE, NULL);
	assert_non_null(st);
	assert_int_equal(store_images(st, &sel, &images, &n, &err), -1);
	assert_int_equal(dray_error_kind(err), DRAY_ERR_LIMIT);
	assert_non_null(strstr(dray_error_message(err), "LIMIT_IMAGES_TOTAL"));
	box_free(st, images, n, err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_selectors),
		cmocka_unit_test(test_cross_image_link),
		cmocka_unit_test(test_callback),
		cmocka_unit_test(test_cut_in_gzip_layer),
		cmocka_unit_test(test_images_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
