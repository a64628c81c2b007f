/* SPDX-License-Identifier: Apache-2.0
 *
 * Small images for the tests of ops/: built in memory without the library's own writers,
 * put into a folder of the test's, and looked at through the public API.
 */
#pragma once

#include "support.h"

#include <dray/dray.h>
#include "base/arena.h"
#include "codec/codec.h"
#include "digest/digest.h"
#include "image/mediatype.h"
#include "tar_build.h"

#define LAYERS_MAX 8

/** One layer: the tar, and how it lies in the archive. */
struct piece {
	struct buf tar, stored;
	struct digest diff_id, blob;
	enum compression compression;
};

/** A folder, a context, and memory for the length of one test. */
struct box {
	char *dir;
	int fd;
	dray_context *ctx;
	struct arena arena;
	struct piece pieces[16];
	size_t n_pieces;
};

static inline dray_context *box_context(int jobs)
{
	const struct dray_context_options o = {
		.size = sizeof(o),
		.jobs = jobs,
		.retries = -1,
		.no_cache = true,
		.platform = "linux/amd64",
	};
	dray_context *ctx = NULL;
	dray_error *err = NULL;

	assert_ok(dray_context_new(&o, &ctx, &err), err);
	return ctx;
}

static inline int box_setup(void **state)
{
	struct box *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->dir = temp_dir_make(&b->fd);
	b->ctx = box_context(2);
	*state = b;
	return 0;
}

static inline int box_teardown(void **state)
{
	struct box *b = *state;

	dray_context_free(b->ctx);
	for (size_t i = 0; i < b->n_pieces; i++) {
		buf_clear(&b->pieces[i].tar);
		buf_clear(&b->pieces[i].stored);
	}
	close(b->fd);
	remove_tree(b->dir);
	arena_clear(&b->arena);
	free(b->dir);
	free(b);
	return 0;
}

/** A cmocka test with a box as its state. */
#define box_test(fn) cmocka_unit_test_setup_teardown(fn, box_setup, box_teardown)

/** "PREFIXdir/NAME", for the length of the test. */
static inline const char *box_place(struct box *b, const char *prefix, const char *name)
{
	const char *p = arena_printf(&b->arena, "%s%s/%s", prefix, b->dir, name);

	assert_non_null(p);
	return p;
}

/* ---- layers ---- */

static inline void box_squeeze(struct piece *p, enum encoding encoding)
{
	const struct encode_params params = { encoding, 0 };
	dray_error *err = NULL;
	struct source *s = source_from_span(span_buf(&p->tar), &err);

	s = source_encode(s, &params, NULL, &err);
	assert_ok(s ? source_slurp(s, &p->stored, &err) : -1, err);
	source_free(s);
	p->compression = encoding_compression(encoding);
}

static inline struct piece *box_raw_piece(struct box *b, struct span tar)
{
	struct piece *p = &b->pieces[b->n_pieces++];

	assert_true(b->n_pieces <= ROWS(b->pieces));
	*p = (struct piece){ .tar = tb_new(), .stored = tb_new() };
	tb_bytes(&p->tar, tar.data, tar.len);
	assert_int_equal(digest_of(tar, &p->diff_id, NULL), 0);
	return p;
}

/** A layer of the members in @p tar, which is ended here. */
static inline struct piece *box_tar_piece(struct box *b, struct buf *tar, enum encoding encoding)
{
	struct piece *p;

	tb_end(tar);
	p = box_raw_piece(b, span_buf(tar));
	box_squeeze(p, encoding);
	assert_int_equal(digest_of(span_buf(&p->stored), &p->blob, NULL), 0);
	return p;
}

/** A layer with one file "f" that holds @p text. */
static inline struct piece *box_piece(struct box *b, const char *text, enum encoding encoding)
{
	cleanup_buf struct buf tar = tb_new();

	tb_file(&tar, "f", text);
	return box_tar_piece(b, &tar, encoding);
}

/** What xz and bzip2 make of the layer whose "f" holds "xxxx". */
static const uint8_t box_xz[] = {
	0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36, 0x02, 0x00, 0x21,
	0x01, 0x1c, 0x00, 0x00, 0x00, 0x10, 0xcf, 0x58, 0xcc, 0xe0, 0x07, 0xff, 0x00, 0x36, 0x5d,
	0x00, 0x33, 0x00, 0x33, 0x50, 0x18, 0x68, 0x89, 0x83, 0x01, 0xdc, 0xe2, 0x6e, 0x21, 0x08,
	0xbb, 0xa5, 0x79, 0xb2, 0xe9, 0x65, 0x61, 0x97, 0xd9, 0xdd, 0x4b, 0xee, 0x3b, 0xc7, 0x8b,
	0xd5, 0x92, 0x00, 0xa8, 0x68, 0x2d, 0x0e, 0x1c, 0x47, 0x79, 0x66, 0x20, 0xb7, 0x54, 0xd1,
	0x67, 0xd5, 0xb5, 0x1e, 0xb2, 0xfd, 0x42, 0xca, 0x2e, 0x00, 0x00, 0x00, 0x00, 0xcc, 0x12,
	0xd6, 0x22, 0x00, 0x01, 0x4e, 0x80, 0x10, 0x00, 0x00, 0x00, 0xcc, 0x58, 0xf8, 0x17, 0x3e,
	0x30, 0x0d, 0x8b, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x59, 0x5a,
};
static const uint8_t box_bzip2[] = {
	0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0xcc, 0x28, 0xb6,
	0x47, 0x00, 0x00, 0x2c, 0x5b, 0x80, 0xc9, 0x80, 0x40, 0x00, 0x65, 0x80, 0x00,
	0x00, 0xe1, 0x00, 0x1e, 0x40, 0x08, 0x08, 0x20, 0x00, 0x54, 0x57, 0x94, 0x00,
	0x00, 0xf5, 0x02, 0x44, 0xa3, 0x4f, 0x50, 0x66, 0xa0, 0x1e, 0x54, 0x99, 0x7c,
	0x86, 0x90, 0xda, 0x57, 0xea, 0xfa, 0x8f, 0x79, 0xd0, 0x43, 0x07, 0xc4, 0x0a,
	0x18, 0x8a, 0x84, 0x46, 0x2a, 0x69, 0xaf, 0x81, 0x2c, 0xe9, 0xe2, 0x49, 0x0f,
	0x44, 0x0f, 0x8b, 0xb9, 0x22, 0x9c, 0x28, 0x48, 0x66, 0x14, 0x5b, 0x23, 0x80,
};

/** The layer whose "f" holds "xxxx", as other bytes that decode to it (or do not). */
static inline struct piece *box_stored_piece(struct box *b, const void *stored, size_t len)
{
	struct piece *p = box_piece(b, "xxxx", ENCODING_NONE);

	buf_clear(&p->stored);
	p->stored = tb_new();
	tb_bytes(&p->stored, stored, len);
	p->compression = compression_sniff(span_buf(&p->stored));
	assert_int_equal(digest_of(span_buf(&p->stored), &p->blob, NULL), 0);
	return p;
}

/* ---- documents ---- */

static inline const char *box_digest(struct box *b, const char *text)
{
	struct digest d;
	const char *copy;

	assert_int_equal(digest_of(span_str(text), &d, NULL), 0);
	copy = arena_strdup(&b->arena, d.text);
	assert_non_null(copy);
	return copy;
}

static inline const char *box_hex(struct box *b, const char *text)
{
	return strchr(box_digest(b, text), ':') + 1;
}

/** A config with the DiffIDs of @p p; @p members ("\"author\":\"me\",") come first. */
static inline const char *box_config(struct box *b, const char *members, struct piece *const *p,
				     size_t n)
{
	const char *ids = "";

	for (size_t i = 0; i < n; i++)
		ids = arena_printf(&b->arena, "%s%s\"%s\"", ids, i ? "," : "", p[i]->diff_id.text);
	return arena_printf(&b->arena,
			    "{%s\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":"
			    "\"layers\",\"diff_ids\":[%s]}}",
			    members, ids);
}

static inline const char *box_media_type(bool docker, enum compression c)
{
	switch (c) {
	case COMPRESSION_GZIP:
		return docker ? MT_DOCKER_LAYER_GZIP : MT_OCI_LAYER_GZIP;
	case COMPRESSION_ZSTD:
		return docker ? MT_DOCKER_LAYER_ZSTD : MT_OCI_LAYER_ZSTD;
	default:
		return docker ? MT_DOCKER_LAYER : MT_OCI_LAYER;
	}
}

static inline const char *box_descriptor(struct box *b, const char *media_type, const char *digest,
					 size_t size)
{
	return arena_printf(&b->arena, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}",
			    media_type, digest, size);
}

/** A manifest; @p members ("\"annotations\":{},") are put before the config. */
static inline const char *box_manifest(struct box *b, bool docker, const char *members,
				       const char *config, struct piece *const *p, size_t n)
{
	const char *layers = "";

	for (size_t i = 0; i < n; i++)
		layers = arena_printf(&b->arena, "%s%s%s", layers, i ? "," : "",
				      box_descriptor(b, box_media_type(docker, p[i]->compression),
						     p[i]->blob.text, p[i]->stored.len));
	return arena_printf(
		&b->arena,
		"{\"schemaVersion\":2,\"mediaType\":\"%s\",%s\"config\":%s,\"layers\":[%s]}",
		docker ? MT_DOCKER_MANIFEST : MT_OCI_MANIFEST, members,
		box_descriptor(b, docker ? MT_DOCKER_CONFIG : MT_OCI_CONFIG, box_digest(b, config),
			       strlen(config)),
		layers);
}

/* ---- archives ---- */

/** Write @p tar (with its end) as a file of the box. */
static inline void box_write(struct box *b, const char *name, struct buf *tar)
{
	tb_end(tar);
	put_file(b->fd, name, span_buf(tar));
}

/** A member of a docker-archive: @p link NULL = the piece's bytes, else a symbolic link. */
struct member {
	const char *path;
	struct piece *piece;
	const char *link;
};

/** manifest.json of one image; @p tags as JSON: "\"a:1\"". */
static inline const char *box_manifest_json(struct box *b, const char *config_name,
					    const char *tags, const struct member *m, size_t n)
{
	const char *layers = "";

	for (size_t i = 0; i < n; i++)
		layers = arena_printf(&b->arena, "%s%s\"%s\"", layers, i ? "," : "", m[i].path);
	return arena_printf(&b->arena, "[{\"Config\":\"%s\",\"RepoTags\":[%s],\"Layers\":[%s]}]",
			    config_name, tags, layers);
}

/** The archive that an engine saves: config, layers, manifest.json. */
static inline const char *box_docker(struct box *b, const char *name, const char *config,
				     const char *tags, const struct member *m, size_t n)
{
	cleanup_buf struct buf tar = tb_new();
	const char *config_name = arena_printf(&b->arena, "%s.json", box_hex(b, config));

	tb_file(&tar, config_name, config);
	for (size_t i = 0; i < n; i++) {
		if (m[i].link)
			tb_symlink(&tar, m[i].path, m[i].link);
		else if (m[i].piece)
			tb_file_bytes(&tar, m[i].path, m[i].piece->stored.data,
				      m[i].piece->stored.len);
	}
	tb_file(&tar, "manifest.json", box_manifest_json(b, config_name, tags, m, n));
	box_write(b, name, &tar);
	return box_place(b, "docker-archive:", name);
}

/** The same with a layer "N.tar" per piece and a config of just them. */
static inline const char *box_docker_plain(struct box *b, const char *name, struct piece *const *p,
					   size_t n)
{
	struct member m[LAYERS_MAX] = { 0 };

	for (size_t i = 0; i < n; i++)
		m[i] = (struct member){ arena_printf(&b->arena, "%zu.tar", i), p[i], NULL };
	return box_docker(b, name, box_config(b, "", p, n), "\"test/app:1\"", m, n);
}

static inline void box_blob(struct box *b, struct buf *tar, const char *digest, struct span bytes)
{
	const char *colon = strchr(digest, ':');

	tb_file_bytes(
		tar,
		arena_printf(&b->arena, "blobs/%.*s/%s", (int)(colon - digest), digest, colon + 1),
		bytes.data, bytes.len);
}

static inline void box_text_blob(struct box *b, struct buf *tar, const char *text)
{
	box_blob(b, tar, box_digest(b, text), span_str(text));
}

/** What is in an OCI archive. */
struct oci {
	const char *config, *manifest;
	const char *tag; /* org.opencontainers.image.ref.name; NULL = "1" */
	bool hybrid;	 /* a manifest.json as well, as Docker 25 and later write it */
	bool nested;	 /* index.json names an index that names the manifest */
	struct piece *const *p;
	size_t n;
};

static inline const char *box_index(struct box *b, const struct oci *o)
{
	const char *entry = box_descriptor(
		b, strstr(o->manifest, MT_DOCKER_MANIFEST) ? MT_DOCKER_MANIFEST : MT_OCI_MANIFEST,
		box_digest(b, o->manifest), strlen(o->manifest));

	return arena_printf(&b->arena,
			    "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX
			    "\",\"manifests\":[%s]}",
			    entry);
}

static inline void box_oci_documents(struct box *b, struct buf *tar, const struct oci *o)
{
	const char *inner = box_index(b, o);
	bool docker = strstr(o->manifest, MT_DOCKER_MANIFEST) != NULL;
	const char *text = o->nested ? inner : o->manifest;
	const char *type = o->nested ? MT_OCI_INDEX : docker ? MT_DOCKER_MANIFEST : MT_OCI_MANIFEST;

	tb_file(tar, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	box_text_blob(b, tar, o->config);
	box_text_blob(b, tar, o->manifest);
	if (o->nested)
		box_text_blob(b, tar, inner);
	tb_file(tar, "index.json",
		arena_printf(
			&b->arena,
			"{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX
			"\",\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu,"
			"\"annotations\":{\"io.containerd.image.name\":"
			"\"docker.io/test/"
			"app:%s\",\"org.opencontainers.image.ref.name\":\"%s\"}}]}",
			type, box_digest(b, text), strlen(text), o->tag ? o->tag : "1",
			o->tag ? o->tag : "1"));
}

static inline const char *box_oci(struct box *b, const char *name, const struct oci *o)
{
	cleanup_buf struct buf tar = tb_new();
	struct member m[LAYERS_MAX];

	for (size_t i = 0; i < o->n; i++) {
		m[i].path = arena_printf(&b->arena, "blobs/sha256/%s", digest_hex(&o->p[i]->blob));
		box_blob(b, &tar, o->p[i]->blob.text, span_buf(&o->p[i]->stored));
	}
	box_oci_documents(b, &tar, o);
	if (o->hybrid)
		tb_file(&tar, "manifest.json",
			box_manifest_json(
				b,
				arena_printf(&b->arena, "blobs/sha256/%s", box_hex(b, o->config)),
				"\"test/app:1\"", m, o->n));
	box_write(b, name, &tar);
	return box_place(b, o->hybrid ? "docker-archive:" : "oci-archive:", name);
}

/** Config and manifest of just these layers. */
static inline const char *box_oci_plain(struct box *b, const char *name, bool docker,
					struct piece *const *p, size_t n)
{
	const char *config = box_config(b, "", p, n);

	return box_oci(b, name,
		       &(struct oci){ .config = config,
				      .manifest = box_manifest(b, docker, "", config, p, n),
				      .p = p,
				      .n = n });
}

/* ---- looking ---- */

/** The only image of a place, with what verify found; every problem is one too many. */
static inline dray_report *box_sound(struct box *b, const char *place)
{
	dray_report *r = NULL;
	dray_error *err = NULL;

	assert_ok(dray_verify(b->ctx, place, NULL, &r, &err), err);
	if (dray_report_problems(r) > 0)
		fail_msg("%s: %s", place, dray_report_problem(r, 0)->message);
	assert_int_equal(dray_report_images(r), 1);
	return r;
}

/** Run @p fn with @p bytes arriving on stdin. They must fit into a pipe. */
static inline int box_stdin(struct span bytes)
{
	int fds[2], before = dup(0);

	assert_true(before >= 0 && bytes.len <= 65536);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], bytes.data, bytes.len), bytes.len);
	close(fds[1]);
	assert_true(dup2(fds[0], 0) == 0);
	close(fds[0]);
	return before;
}

static inline void box_stdin_back(int before)
{
	assert_true(dup2(before, 0) == 0);
	close(before);
}

/** The bytes of a file of the box. */
static inline struct buf box_read(struct box *b, const char *name)
{
	struct buf bytes = BUF_INIT(0);
	dray_error *err = NULL;

	assert_ok(io_read_file(b->fd, name, 64 << 20, &bytes, &err), err);
	return bytes;
}
