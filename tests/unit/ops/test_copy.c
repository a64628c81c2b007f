/* SPDX-License-Identifier: Apache-2.0
 *
 * Copy: the table of docs/architecture.md "Copy" row by row, from files and from pipes, and
 * what must not happen when the bytes are not what the documents say.
 */
#include "ops_box.h"

#include "ops/copy_priv.h"

/* ---- the table itself, also where a registry is the destination ---- */

static void copy_table(void **state)
{
	static const struct {
		enum compression found;
		bool vouched, engine;
		enum { LAYOUT, REGISTRY, PLAIN } to; /* PLAIN: takes layers as engines save them */
		const char *compression, *format;
		bool convert;
	} rows[] = {
		/* gzip, zstd: any destination */
		{ COMPRESSION_GZIP, false, true, LAYOUT, NULL, NULL, false },
		{ COMPRESSION_GZIP, true, false, REGISTRY, NULL, NULL, false },
		{ COMPRESSION_ZSTD, false, true, REGISTRY, NULL, NULL, false },
		{ COMPRESSION_ZSTD, true, false, LAYOUT, NULL, NULL, false },
		/* uncompressed in a layout or registry */
		{ COMPRESSION_NONE, true, false, REGISTRY, NULL, NULL, false },
		{ COMPRESSION_NONE, true, false, LAYOUT, NULL, NULL, false },
		/* uncompressed, saved by an engine, to a registry */
		{ COMPRESSION_NONE, true, true, REGISTRY, NULL, NULL, true },
		{ COMPRESSION_NONE, false, true, REGISTRY, NULL, NULL, true },
		/* uncompressed, with a manifest, to a layout; without one */
		{ COMPRESSION_NONE, true, true, LAYOUT, NULL, NULL, false },
		{ COMPRESSION_NONE, false, true, LAYOUT, NULL, NULL, true },
		/* uncompressed, to an archive that Docker loads */
		{ COMPRESSION_NONE, false, true, PLAIN, NULL, NULL, false },
		{ COMPRESSION_NONE, false, true, PLAIN, "gzip", NULL, true },
		{ COMPRESSION_XZ, false, true, PLAIN, NULL, NULL, true },
		/* nobody reads these as layers */
		{ COMPRESSION_XZ, true, false, LAYOUT, NULL, NULL, true },
		{ COMPRESSION_BZIP2, false, true, REGISTRY, NULL, NULL, true },
		/* asked */
		{ COMPRESSION_GZIP, true, false, REGISTRY, "gzip", NULL, false },
		{ COMPRESSION_GZIP, true, false, REGISTRY, "gzip-single", NULL, false },
		{ COMPRESSION_GZIP, true, false, REGISTRY, "zstd", NULL, true },
		{ COMPRESSION_GZIP, true, false, REGISTRY, "none", NULL, true },
		{ COMPRESSION_NONE, true, true, REGISTRY, "none", NULL, false },
		{ COMPRESSION_NONE, false, true, LAYOUT, "none", NULL, false },
		{ COMPRESSION_NONE, true, false, LAYOUT, "gzip", NULL, true },
		{ COMPRESSION_ZSTD, true, false, LAYOUT, "zstd", NULL, false },
		{ COMPRESSION_XZ, true, false, LAYOUT, "none", NULL, true },
		/* Docker's manifests know no zstd */
		{ COMPRESSION_ZSTD, true, false, REGISTRY, NULL, "docker", true },
		{ COMPRESSION_ZSTD, true, false, REGISTRY, NULL, "oci", false },
		{ COMPRESSION_ZSTD, true, false, REGISTRY, "zstd", "docker", false },
		{ COMPRESSION_GZIP, true, false, REGISTRY, NULL, "docker", false },
		{ COMPRESSION_NONE, true, false, REGISTRY, NULL, "docker", false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct dray_copy_options o = DRAY_COPY_OPTIONS_INIT;
		struct dest dest = { .wants_compressed = rows[i].to == REGISTRY };
		struct target target = { .dest = &dest, .takes_plain = rows[i].to == PLAIN };
		struct copy c = { .target = &target };
		dray_error *err = NULL;

		o.compression = rows[i].compression;
		o.format = rows[i].format;
		assert_ok(wishes_parse(&o, &c.wishes, &err), err);
		if (must_convert(&c, rows[i].found, rows[i].vouched, rows[i].engine) !=
		    rows[i].convert)
			fail_msg("row %zu: convert should be %d", i, rows[i].convert);
	}
}

static void copy_wishes_refused(void **state)
{
	static const struct dray_copy_options rows[] = {
		{ .compression = "xz" },
		{ .compression = "" },
		{ .compression = "GZIP" },
		{ .format = "v1" },
		{ .format = "" },
		{ .compression = "gzip", .level = 99 },
		{ .compression = "zstd", .level = 99 },
		{ .level = -1 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct wishes w;
		dray_error *err = NULL;

		if (wishes_parse(&rows[i], &w, &err) == 0)
			fail_msg("row %zu was taken", i);
		assert_err_kind(err, DRAY_ERR_USAGE);
	}
}

/* ---- whole runs ---- */

enum source_kind { DOCKER, OCI, OCI_OF_DOCKER, HYBRID };

struct row {
	enum source_kind source;
	enum compression stored;
	const char *compression, *format;
	const char *want; /* compression of what arrives */
	bool same_blob;
	bool docker;	    /* type of the manifest that arrives */
	const char *change; /* NULL = none is told */
};

static const struct row table[] = {
	{ DOCKER, COMPRESSION_NONE, NULL, NULL, "gzip", false, false, NULL },
	{ DOCKER, COMPRESSION_GZIP, NULL, NULL, "gzip", true, false, NULL },
	{ DOCKER, COMPRESSION_ZSTD, NULL, NULL, "zstd", true, false, NULL },
	{ DOCKER, COMPRESSION_XZ, NULL, NULL, "gzip", false, false, NULL },
	{ DOCKER, COMPRESSION_BZIP2, NULL, NULL, "gzip", false, false, NULL },
	{ DOCKER, COMPRESSION_GZIP, "zstd", NULL, "zstd", false, false, NULL },
	{ DOCKER, COMPRESSION_NONE, "none", NULL, "none", true, false, NULL },
	{ DOCKER, COMPRESSION_GZIP, "none", NULL, "none", false, false, NULL },
	{ DOCKER, COMPRESSION_XZ, "none", NULL, "none", false, false, NULL },
	{ DOCKER, COMPRESSION_NONE, "gzip-single", NULL, "gzip", false, false, NULL },
	{ DOCKER, COMPRESSION_GZIP, "gzip", NULL, "gzip", true, false, NULL },
	{ DOCKER, COMPRESSION_GZIP, NULL, "docker", "gzip", true, true, NULL },
	{ DOCKER, COMPRESSION_ZSTD, NULL, "docker", "gzip", false, true, NULL },
	{ OCI, COMPRESSION_NONE, NULL, NULL, "none", true, false, NULL },
	{ OCI, COMPRESSION_GZIP, NULL, NULL, "gzip", true, false, NULL },
	{ OCI, COMPRESSION_ZSTD, NULL, NULL, "zstd", true, false, NULL },
	{ OCI_OF_DOCKER, COMPRESSION_GZIP, NULL, NULL, "gzip", true, true, NULL },
	{ OCI_OF_DOCKER, COMPRESSION_GZIP, NULL, "oci", "gzip", true, false, "converted as asked" },
	{ OCI, COMPRESSION_GZIP, NULL, "docker", "gzip", true, true, "converted as asked" },
	{ OCI, COMPRESSION_GZIP, NULL, "oci", "gzip", true, false, NULL },
	{ OCI, COMPRESSION_ZSTD, NULL, "docker", "gzip", false, true, "zstd" },
	{ OCI, COMPRESSION_NONE, "gzip", NULL, "gzip", false, false, "recompressed as asked" },
	{ OCI, COMPRESSION_GZIP, "zstd", NULL, "zstd", false, false, "recompressed as asked" },
	{ OCI, COMPRESSION_GZIP, "gzip", NULL, "gzip", true, false, NULL },
	{ HYBRID, COMPRESSION_NONE, NULL, NULL, "none", true, false, NULL },
	{ HYBRID, COMPRESSION_GZIP, NULL, NULL, "gzip", true, false, NULL },
	{ HYBRID, COMPRESSION_NONE, "zstd", NULL, "zstd", false, false, "recompressed as asked" },
};

static struct piece *stored_piece(struct box *b, const char *text, enum compression c)
{
	switch (c) {
	case COMPRESSION_NONE:
		return box_piece(b, text, ENCODING_NONE);
	case COMPRESSION_GZIP:
		return box_piece(b, text, ENCODING_GZIP);
	case COMPRESSION_ZSTD:
		return box_piece(b, text, ENCODING_ZSTD);
	case COMPRESSION_XZ:
		return box_stored_piece(b, box_xz, sizeof(box_xz));
	default:
		return box_stored_piece(b, box_bzip2, sizeof(box_bzip2));
	}
}

/* The archive "in.tar" of a row. */
static const char *build(struct box *b, const struct row *row, struct piece *const *p, size_t n)
{
	const char *config = box_config(b, "", p, n);

	if (row->source == DOCKER)
		return box_docker_plain(b, "in.tar", p, n);
	return box_oci(b, "in.tar",
		       &(struct oci){ .config = config,
				      .manifest = box_manifest(b, row->source == OCI_OF_DOCKER, "",
							       config, p, n),
				      .hybrid = row->source == HYBRID,
				      .p = p,
				      .n = n });
}

static struct dray_copy_options options(const struct row *row)
{
	struct dray_copy_options o = DRAY_COPY_OPTIONS_INIT;

	o.compression = row->compression;
	o.format = row->format;
	return o;
}

static dray_copy_result *copied(struct box *b, const char *src, const char *dst,
				const struct dray_copy_options *o)
{
	dray_copy_result *r = NULL;
	dray_error *err = NULL;

	assert_ok(dray_copy(b->ctx, src, dst, o, &r, &err), err);
	return r;
}

static void check_told(const struct row *row, const struct dray_copied *got, struct piece **p,
		       size_t n)
{
	if ((row->change != NULL) != (got->n_changes > 0))
		fail_msg("row %zu: told: %s", (size_t)(row - table),
			 got->n_changes ? got->changes[0] : "nothing");
	if (row->change && !strstr(got->changes[0], row->change))
		fail_msg("row %zu: told: %s, not: %s", (size_t)(row - table), got->changes[0],
			 row->change);
	assert_int_equal(got->blobs_sent, n);
	if (row->same_blob)
		assert_int_equal(got->bytes_sent, p[0]->stored.len + p[1]->stored.len);
}

static void check_arrived(struct box *b, const struct row *row, const char *place,
			  const struct dray_copied *told, struct piece **p, size_t n)
{
	dray_report *r = box_sound(b, place);
	const struct dray_image_info *im = dray_report_image(r, 0);

	assert_string_equal(im->image_id, box_digest(b, box_config(b, "", p, n)));
	assert_string_equal(im->image_id, told->image_id);
	assert_string_equal(im->manifest_digest, told->manifest_digest);
	assert_string_equal(im->media_type, row->docker ? MT_DOCKER_MANIFEST : MT_OCI_MANIFEST);
	assert_int_equal(im->n_layers, n);
	for (size_t i = 0; i < n; i++) {
		const struct dray_layer_info *l = &im->layers[i];

		assert_string_equal(l->compression, row->want);
		assert_string_equal(l->diff_id, p[i]->diff_id.text);
		assert_int_equal(strcmp(l->blob_digest, p[i]->blob.text) == 0, row->same_blob);
	}
	if (row->source != DOCKER && !row->change) {
		const char *config = box_config(b, "", p, n);

		assert_string_equal(im->manifest_digest,
				    box_digest(b, box_manifest(b, row->source == OCI_OF_DOCKER, "",
							       config, p, n)));
	}
	dray_report_free(r);
}

static void copy_rows(struct box *b, bool piped, const char *dst_prefix)
{
	for (size_t i = 0; i < ROWS(table); i++) {
		const struct row *row = &table[i];
		struct piece *p[] = { stored_piece(b, "one", row->stored),
				      stored_piece(b, "two", row->stored) };
		size_t n = row->stored == COMPRESSION_XZ || row->stored == COMPRESSION_BZIP2 ? 1
											     : 2;
		const char *src = build(b, row, p, n);
		const char *dst = box_place(b, dst_prefix, arena_printf(&b->arena, "out-%zu", i));
		struct dray_copy_options o = options(row);
		dray_copy_result *r;

		if (piped) {
			cleanup_buf struct buf bytes = box_read(b, "in.tar");
			int before = box_stdin(span_buf(&bytes));

			r = copied(b, "-", dst, &o);
			box_stdin_back(before);
		} else {
			r = copied(b, src, dst, &o);
		}
		assert_int_equal(dray_copy_count(r), 1);
		assert_null(dray_copy_get(r, 1));
		check_told(row, dray_copy_get(r, 0), p, n);
		check_arrived(b, row, dst, dray_copy_get(r, 0), p, n);
		dray_copy_free(r);
		for (; b->n_pieces > 0; b->n_pieces--) {
			buf_clear(&b->pieces[b->n_pieces - 1].tar);
			buf_clear(&b->pieces[b->n_pieces - 1].stored);
		}
	}
}

static void copy_files(void **state)
{
	copy_rows(*state, false, "oci-archive:");
}

static void copy_files_to_folders(void **state)
{
	copy_rows(*state, false, "oci:");
}

static void copy_pipes(void **state)
{
	copy_rows(*state, true, "oci-archive:");
}

/* ---- equal layers ---- */

/* Links as docker save of old wrote them, twins under other names, and in other wrappings. */
static void copy_twins_once(void **state)
{
	struct box *b = *state;
	struct piece *raw = box_piece(b, "same", ENCODING_NONE);
	struct piece *gz = box_piece(b, "same", ENCODING_GZIP);
	struct piece *other = box_piece(b, "other", ENCODING_GZIP);
	struct piece *stack[] = { raw, other, raw, raw, gz };
	const struct member m[] = {
		{ "a/layer.tar", raw, NULL },
		{ "b/layer.tar", other, NULL },
		{ "c/layer.tar", NULL, "../a/layer.tar" },
		{ "d/layer.tar", raw, NULL },
		{ "e/layer.tar", gz, NULL },
	};
	const char *src = box_docker(b, "in.tar", box_config(b, "", stack, ROWS(stack)),
				     "\"test/app:1\"", m, ROWS(m));
	const char *dst = box_place(b, "oci-archive:", "out.tar");
	dray_copy_result *r = copied(b, src, dst, NULL);
	dray_report *report = box_sound(b, dst);
	const struct dray_layer_info *l = dray_report_image(report, 0)->layers;

	assert_int_equal(dray_copy_get(r, 0)->blobs_sent, 2);
	assert_int_equal(dray_report_image(report, 0)->n_layers, ROWS(stack));
	for (size_t i = 2; i < ROWS(stack); i++)
		assert_string_equal(l[i].blob_digest, l[0].blob_digest);
	assert_string_equal(l[1].blob_digest, other->blob.text);
	dray_report_free(report);
	dray_copy_free(r);
}

/* Read once also where the same bytes pass twice, and a link passes before what it names. */
static void copy_twins_piped(void **state)
{
	struct box *b = *state;
	struct piece *one = box_piece(b, "same", ENCODING_NONE);
	struct piece *stack[] = { one, one, one };
	const struct member m[] = {
		{ "a/layer.tar", NULL, "../b/layer.tar" },
		{ "b/layer.tar", one, NULL },
		{ "c/layer.tar", one, NULL },
	};
	const char *dst = box_place(b, "oci-archive:", "out.tar");
	cleanup_buf struct buf bytes = { 0 };
	dray_copy_result *r;
	int before;

	box_docker(b, "in.tar", box_config(b, "", stack, ROWS(stack)), "\"a:1\"", m, ROWS(m));
	bytes = box_read(b, "in.tar");
	before = box_stdin(span_buf(&bytes));
	r = copied(b, "-", dst, NULL);
	box_stdin_back(before);
	dray_report_free(box_sound(b, dst));
	dray_copy_free(r);
}

/* ---- what is refused ---- */

static void refused(struct box *b, const char *src, const char *dst,
		    const struct dray_copy_options *o, enum dray_err_kind kind, const char *part)
{
	size_t files = dir_count(b->fd);
	dray_copy_result *r = NULL;
	dray_error *err = NULL;

	if (dray_copy(b->ctx, src, dst, o, &r, &err) == 0)
		fail_msg("%s was copied", src);
	assert_null(r);
	assert_err(err, kind, part);
	assert_int_equal(dir_count(b->fd), files); /* neither output nor temps */
}

/* The same from a pipe. */
static void refused_piped(struct box *b, const char *name, const char *dst,
			  const struct dray_copy_options *o, enum dray_err_kind kind,
			  const char *part)
{
	cleanup_buf struct buf bytes = box_read(b, name);
	int before = box_stdin(span_buf(&bytes));

	refused(b, "-", dst, o, kind, part);
	box_stdin_back(before);
}

static void copy_wrong_diff_id(void **state)
{
	static const enum encoding encodings[] = { ENCODING_NONE, ENCODING_GZIP, ENCODING_ZSTD };
	struct box *b = *state;
	const char *dst = box_place(b, "oci-archive:", "out.tar");
	struct piece *claimed = box_piece(b, "claimed", ENCODING_NONE);
	struct piece *good = box_piece(b, "good", ENCODING_GZIP);
	struct piece *stack[] = { good, claimed };

	for (size_t i = 0; i < ROWS(encodings); i++) {
		struct member m[] = { { "0.tar", good, NULL },
				      { "1.tar", box_piece(b, "other", encodings[i]), NULL } };
		const char *src = box_docker(b, "in.tar", box_config(b, "", stack, 2),
					     "\"test/app:1\"", m, 2);

		refused(b, src, dst, NULL, DRAY_ERR_CORRUPT, "layer 2 of 2");
		refused_piped(b, "in.tar", dst, NULL, DRAY_ERR_CORRUPT, "layer 2 of 2");
	}
}

/* Also when a manifest vouches for the blob and it is converted. */
static void copy_wrong_diff_id_vouched(void **state)
{
	struct box *b = *state;
	struct dray_copy_options o = DRAY_COPY_OPTIONS_INIT;
	struct piece *claimed = box_piece(b, "claimed", ENCODING_NONE);
	struct piece *other = box_piece(b, "other", ENCODING_GZIP);
	const char *config = box_config(b, "", &claimed, 1);
	const char *src = box_oci(
		b, "in.tar",
		&(struct oci){ .config = config,
			       .manifest = box_manifest(b, false, "", config, &other, 1),
			       .p = &other,
			       .n = 1 });
	const char *dst = box_place(b, "oci-archive:", "out.tar");

	o.compression = "zstd";
	refused(b, src, dst, &o, DRAY_ERR_CORRUPT, "DiffID");
	refused_piped(b, "in.tar", dst, &o, DRAY_ERR_CORRUPT, "DiffID");
}

static void copy_wrong_blob(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "claimed", ENCODING_NONE);
	const char *src, *dst = box_place(b, "oci-archive:", "out.tar");
	const char *config = box_config(b, "", &p, 1);
	const char *manifest = box_manifest(b, false, "", config, &p, 1);
	struct dray_copy_options o = DRAY_COPY_OPTIONS_INIT;

	p->stored.data[512] ^= 1;
	src = box_oci(b, "in.tar",
		      &(struct oci){ .config = config, .manifest = manifest, .p = &p, .n = 1 });
	refused(b, src, dst, NULL, DRAY_ERR_CORRUPT, "blob digest");
	refused_piped(b, "in.tar", dst, NULL, DRAY_ERR_CORRUPT, "blob digest");
	o.compression = "gzip";
	refused(b, src, dst, &o, DRAY_ERR_CORRUPT, "blob digest");
	p->stored.len--; /* and cut short */
	box_oci(b, "in.tar",
		&(struct oci){ .config = config, .manifest = manifest, .p = &p, .n = 1 });
	refused(b, src, dst, NULL, DRAY_ERR_CORRUPT, "blob digest");
}

/* Truncated, or with a bit flipped in the middle: the format or a digest notices. */
static void copy_damaged_gzip(void **state)
{
	struct box *b = *state;
	const char *dst = box_place(b, "oci-archive:", "out.tar");
	struct dray_copy_options recompress = DRAY_COPY_OPTIONS_INIT;

	recompress.compression = "zstd";
	for (int how = 0; how < 2; how++) {
		struct piece *p = box_piece(b, "text", ENCODING_GZIP);
		const char *src;

		if (how)
			p->stored.data[p->stored.len - 6] ^= 1;
		else
			p->stored.len -= 3;
		src = box_docker_plain(b, "in.tar", &p, 1);
		refused(b, src, dst, NULL, DRAY_ERR_FORMAT, "layer 1 of 1");
		refused(b, src, dst, &recompress, DRAY_ERR_FORMAT, "layer 1 of 1");
		refused_piped(b, "in.tar", dst, NULL, DRAY_ERR_FORMAT, "0.tar");
	}
}

static void copy_layer_missing(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_NONE);
	const struct member absent = { "gone.tar", NULL, NULL };
	const struct member dangling = { "a/layer.tar", NULL, "../b/layer.tar" };
	const char *config = box_config(b, "", &p, 1);
	const char *dst = box_place(b, "oci-archive:", "out.tar");
	const char *src = box_docker(b, "in.tar", config, "\"a:1\"", &absent, 1);

	refused(b, src, dst, NULL, DRAY_ERR_FORMAT, "gone.tar");
	refused_piped(b, "in.tar", dst, NULL, DRAY_ERR_FORMAT, "gone.tar");
	box_docker(b, "in.tar", config, "\"a:1\"", &dangling, 1);
	refused(b, src, dst, NULL, DRAY_ERR_FORMAT, "layer.tar");
}

static void copy_without_diff_ids(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_NONE);
	const struct member m = { "0.tar", p, NULL };
	const char *src = box_docker(b, "in.tar", "{\"architecture\":\"amd64\",\"os\":\"linux\"}",
				     "\"a:1\"", &m, 1);

	refused(b, src, box_place(b, "oci-archive:", "out.tar"), NULL, DRAY_ERR_FORMAT, "");
}

static void copy_choice_refused(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_GZIP);
	const char *src = box_docker_plain(b, "in.tar", &p, 1);
	const char *dst = box_place(b, "oci-archive:", "out.tar");
	struct dray_copy_options o = DRAY_COPY_OPTIONS_INIT;

	refused(b, box_place(b, "", "none.tar"), dst, NULL, DRAY_ERR_NOT_FOUND, "none.tar");
	refused(b, src, "docker-archive:/nonexistent/x.tar", NULL, DRAY_ERR_SYSTEM, "nonexistent");
	o.image = "other:1";
	refused(b, src, dst, &o, DRAY_ERR_NOT_FOUND, "test/app:1");
	o.image = "@1";
	refused(b, src, dst, &o, DRAY_ERR_NOT_FOUND, "");
	o = (struct dray_copy_options){ .size = sizeof(o), .all = true };
	refused(b, src, arena_printf(&b->arena, "%s:v1", dst), &o, DRAY_ERR_USAGE, "--all");
	o = (struct dray_copy_options){ .size = sizeof(o), .compression = "lzma" };
	refused(b, src, dst, &o, DRAY_ERR_USAGE, "gzip-single");
}

/* Who was compiled with another version has other options, of the same beginning. */
static void copy_options_of_another_size(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_GZIP);
	const char *src = box_docker_plain(b, "in.tar", &p, 1);
	const char *dst = box_place(b, "oci-archive:", "out.tar");
	struct {
		struct dray_copy_options o;
		char more[64];
	} later = { .o = DRAY_COPY_OPTIONS_INIT };
	struct dray_copy_options earlier = DRAY_COPY_OPTIONS_INIT;
	struct dray_build_options build = DRAY_BUILD_OPTIONS_INIT;
	dray_built *built = NULL;
	dray_error *err = NULL;

	earlier.compression = "lzma";
	refused(b, src, dst, &earlier, DRAY_ERR_USAGE, "gzip-single");
	earlier.size = offsetof(struct dray_copy_options, compression);
	dray_copy_free(copied(b, src, dst, &earlier));
	memset(later.more, 0xff, sizeof(later.more));
	later.o.size = sizeof(later);
	dray_copy_free(copied(b, src, dst, &later.o));
	later.o.compression = "lzma";
	refused(b, src, dst, &later.o, DRAY_ERR_USAGE, "gzip-single");

	build.spec = "\xff";
	assert_int_equal(dray_build_spec(&build, &built, &err), -1);
	assert_err_kind(err, DRAY_ERR_USAGE);
	build.size = offsetof(struct dray_build_options, spec);
	assert_ok(dray_build_spec(&build, &built, &err), err);
	dray_built_free(built);
}

static void copy_no_clobber(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_GZIP);
	const char *src = box_docker_plain(b, "in.tar", &p, 1);
	struct dray_copy_options o = DRAY_COPY_OPTIONS_INIT;

	o.no_clobber = true;
	put_file(b->fd, "out.tar", span_str("precious"));
	refused(b, src, box_place(b, "oci-archive:", "out.tar"), &o, DRAY_ERR_USAGE, "out.tar");
	assert_file_is(b->fd, "out.tar", "precious");
}

/* ---- tags and several images ---- */

static void copy_tags(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_GZIP);
	const struct member m = { "0.tar", p, NULL };
	const char *src = box_docker(b, "in.tar", box_config(b, "", &p, 1),
				     "\"test/app:1\",\"test/app:2\"", &m, 1);
	const char *dst = box_place(b, "oci:", "layout");
	struct dray_copy_options o = DRAY_COPY_OPTIONS_INIT;
	dray_copy_result *r = copied(b, src, dst, NULL);
	dray_report *report = box_sound(b, dst);

	assert_non_null(strstr(dray_copy_get(r, 0)->reference, "layout@sha256:"));
	assert_non_null(strstr(dray_copy_get(r, 0)->tagged, ":test/app:1"));
	assert_int_equal(dray_report_image(report, 0)->n_tags, 2);
	dray_report_free(report);
	dray_copy_free(r);

	/* Another name beside them, and from there: the blob is known to be there already. */
	o.image = "test/app:2";
	r = copied(b, src, arena_printf(&b->arena, "%s:v9", dst), &o);
	dray_copy_free(r);
	r = copied(b, arena_printf(&b->arena, "%s:v9", dst), arena_printf(&b->arena, "%s:v10", dst),
		   NULL);
	assert_int_equal(dray_copy_get(r, 0)->blobs_sent, 0);
	assert_int_equal(dray_copy_get(r, 0)->blobs_skipped, 1);
	dray_copy_free(r);
	dray_report_free(box_sound(b, arena_printf(&b->arena, "%s:v10", dst)));
}

static void copy_all(void **state)
{
	struct box *b = *state;
	cleanup_buf struct buf tar = tb_new();
	struct piece *p[] = { box_piece(b, "base", ENCODING_NONE),
			      box_piece(b, "top", ENCODING_NONE) };
	const char *one = box_config(b, "", p, 1), *two = box_config(b, "", p, 2);
	const char *dst = box_place(b, "oci-archive:", "out.tar");
	struct dray_copy_options o = DRAY_COPY_OPTIONS_INIT;
	dray_copy_result *r;
	dray_report *report = NULL;
	dray_error *err = NULL;

	tb_file(&tar, "one.json", one);
	tb_file(&tar, "two.json", two);
	for (int i = 0; i < 2; i++)
		tb_file_bytes(&tar, i ? "1.tar" : "0.tar", p[i]->stored.data, p[i]->stored.len);
	tb_file(&tar, "manifest.json",
		"[{\"Config\":\"one.json\",\"RepoTags\":[\"a:1\"],\"Layers\":[\"0.tar\"]},"
		"{\"Config\":\"two.json\",\"RepoTags\":[\"a:2\"],\"Layers\":[\"0.tar\",\"1.tar\"]}"
		"]");
	box_write(b, "in.tar", &tar);

	refused(b, box_place(b, "", "in.tar"), dst, NULL, DRAY_ERR_USAGE, "a:2");
	o.all = true;
	r = copied(b, box_place(b, "", "in.tar"), dst, &o);
	assert_int_equal(dray_copy_count(r), 2);
	assert_string_equal(dray_copy_get(r, 0)->image_id, box_digest(b, one));
	assert_string_equal(dray_copy_get(r, 1)->image_id, box_digest(b, two));
	assert_int_equal(dray_copy_get(r, 0)->blobs_sent, 1);
	assert_ok(dray_verify(b->ctx, dst, NULL, &report, &err), err);
	assert_int_equal(dray_report_images(report), 2);
	assert_int_equal(dray_report_problems(report), 0);
	dray_report_free(report);
	dray_copy_free(r);
}

/* An image without layers is one. */
/* Several sources: one archive, in their order; the first that fails leaves none. */
static void copy_many(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "base", ENCODING_GZIP),
		     *q = box_piece(b, "other", ENCODING_NONE);
	const struct member one[] = { { "0.tar", p, NULL } }, two[] = { { "0.tar", q, NULL } };
	const char *dst = box_place(b, "docker-archive:", "out.tar");
	const char *srcs[] = {
		box_docker(b, "one.tar", box_config(b, "", &p, 1), "\"a:1\"", one, 1),
		box_docker(b, "two.tar", box_config(b, "", &q, 1), "\"a:2\"", two, 1),
		box_docker(b, "twin.tar", box_config(b, "", &q, 1), "\"docker.io/library/a:1\"",
			   two, 1),
	};
	const char *const twins[] = { srcs[0], srcs[2] }, *const pipes[] = { "-", srcs[0], "-" };
	dray_copy_result *r = NULL;
	dray_error *err = NULL;

	assert_int_equal(dray_copy_many(b->ctx, twins, 2, dst, NULL, &r, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "two images have the tag");
	err = NULL;
	assert_int_equal(dray_copy_many(b->ctx, pipes, 3, dst, NULL, &r, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "one source only");
	err = NULL;
	assert_int_equal(dray_copy_many(b->ctx, srcs, 0, dst, NULL, &r, &err), -1);
	assert_err_kind(err, DRAY_ERR_USAGE);
	err = NULL;
	assert_int_equal(dray_copy_many(b->ctx, srcs, 2, box_place(b, "dir:", "d"), NULL, &r, &err),
			 -1);
	assert_err(err, DRAY_ERR_USAGE, "takes one image");
	assert_null(r);
	assert_int_equal(dir_count(b->fd), 3);

	err = NULL;
	assert_ok(dray_copy_many(b->ctx, srcs, 2, dst, NULL, &r, &err), err);
	assert_int_equal(dray_copy_count(r), 2);
	assert_non_null(strstr(dray_copy_get(r, 0)->tagged, "a:1"));
	assert_non_null(strstr(dray_copy_get(r, 1)->tagged, "a:2"));
	dray_copy_free(r);
}

static void copy_no_layers(void **state)
{
	struct box *b = *state;
	const char *src = box_docker_plain(b, "in.tar", NULL, 0);
	const char *dst = box_place(b, "oci-archive:", "out.tar");

	dray_copy_free(copied(b, src, dst, NULL));
	dray_report_free(box_sound(b, dst));
}

/* Neither threads nor the way in reach the bytes that come out. */
static void copy_same_bytes(void **state)
{
	struct box *b = *state;
	struct piece *p[] = { box_piece(b, "one", ENCODING_NONE),
			      box_piece(b, "two", ENCODING_NONE),
			      box_piece(b, "three", ENCODING_NONE) };
	const char *src = box_docker_plain(b, "in.tar", p, 3);
	cleanup_buf struct buf in = box_read(b, "in.tar");
	struct buf first = { 0 };

	for (int run = 0; run < 3; run++) {
		cleanup_buf struct buf out = { 0 };
		int before = run == 2 ? box_stdin(span_buf(&in)) : -1;

		dray_context_free(b->ctx);
		b->ctx = box_context(run == 0 ? 1 : 4);
		dray_copy_free(copied(b, run == 2 ? "-" : src,
				      box_place(b, "oci-archive:", "out.tar"), NULL));
		if (before >= 0)
			box_stdin_back(before);
		out = box_read(b, "out.tar");
		if (run == 0)
			first = (struct buf)out, out = (struct buf){ 0 };
		else
			assert_span(span_buf(&out), span_buf(&first));
	}
	buf_clear(&first);
}

/* ---- progress ---- */

struct seen {
	int begun, done, failed;
	int64_t last;
	bool went_back;
};

static void on_progress(void *arg, const struct dray_progress *p)
{
	struct seen *s = arg;

	s->begun += p->state == DRAY_PROGRESS_BEGIN;
	s->done += p->state == DRAY_PROGRESS_DONE;
	s->failed += p->state == DRAY_PROGRESS_FAILED;
	if (p->state == DRAY_PROGRESS_BYTES) {
		s->went_back = s->went_back || p->done < s->last;
		s->last = p->done;
	}
}

static void copy_progress(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "one", ENCODING_NONE);
	const char *src = box_docker_plain(b, "in.tar", &p, 1);
	struct seen seen = { 0 };
	const struct dray_context_options o = { .size = sizeof(o),
						.jobs = 1,
						.progress = on_progress,
						.arg = &seen,
						.no_cache = true };
	dray_error *err = NULL;

	dray_context_free(b->ctx);
	b->ctx = NULL;
	assert_ok(dray_context_new(&o, &b->ctx, &err), err);
	dray_copy_free(copied(b, src, box_place(b, "oci-archive:", "out.tar"), NULL));
	assert_int_equal(seen.begun, 1);
	assert_int_equal(seen.done, 1);
	assert_int_equal(seen.failed, 0);
	assert_int_equal(seen.last, p->stored.len);
	assert_false(seen.went_back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copy_table),
		cmocka_unit_test(copy_wishes_refused),
		box_test(copy_files),
		box_test(copy_files_to_folders),
		box_test(copy_pipes),
		box_test(copy_twins_once),
		box_test(copy_twins_piped),
		box_test(copy_wrong_diff_id),
		box_test(copy_wrong_diff_id_vouched),
		box_test(copy_wrong_blob),
		box_test(copy_damaged_gzip),
		box_test(copy_layer_missing),
		box_test(copy_without_diff_ids),
		box_test(copy_choice_refused),
		box_test(copy_options_of_another_size),
		box_test(copy_no_clobber),
		box_test(copy_tags),
		box_test(copy_all),
		box_test(copy_many),
		box_test(copy_no_layers),
		box_test(copy_same_bytes),
		box_test(copy_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
