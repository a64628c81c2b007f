/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of destinations: a folder of their own, an image of two layers, what came out.
 */
#pragma once

#include "support.h"
#include "base/limits.h"
#include "base/mem.h"
#include "store/dest_priv.h"
#include "tar/tar.h"

/* A folder for one test; *ret_path is "FOLDER/NAME" to write to. */
struct place {
	char *folder, *path;
	int fd;
};

static inline struct place place_make(const char *name)
{
	struct place p = { 0 };

	p.folder = temp_dir_make(&p.fd);
	p.path = mem_printf("%s/%s", p.folder, name);
	return p;
}

static inline void place_clear(struct place *p)
{
	close(p->fd);
	remove_tree(p->folder);
	free(p->folder);
	mem_free(p->path);
}
#define cleanup_place CLEANUP(place_clear)

/* An image of two layers, the same bytes for the same seed. */
struct made {
	char config[64], layer[2][64];
	struct descriptor descs[3]; /* config, layers */
	struct manifest *manifest;
};

static inline struct descriptor describe(const char *text, const char *media_type)
{
	struct descriptor d = { .media_type = media_type, .size = (int64_t)strlen(text) };

	assert_int_equal(digest_of(span_str(text), &d.digest, NULL), 0);
	return d;
}

static inline struct made make_image(int seed)
{
	struct made m = { 0 };
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	dray_error *err = NULL;

	snprintf(m.config, sizeof(m.config), "{\"os\":\"linux\",\"n\":%d}", seed);
	snprintf(m.layer[0], sizeof(m.layer[0]), "layer one, the same for all");
	snprintf(m.layer[1], sizeof(m.layer[1]), "layer two of %d", seed);
	m.descs[0] = describe(m.config, MT_OCI_CONFIG);
	m.descs[1] = describe(m.layer[0], MT_OCI_LAYER);
	m.descs[2] = describe(m.layer[1], MT_OCI_LAYER);
	assert_ok(manifest_write(false, &m.descs[0], &m.descs[1], 2, NULL, &raw, &err), err);
	assert_ok(manifest_parse(&raw, NULL, &m.manifest, &err), err);
	return m;
}

static inline void made_clear(struct made *m)
{
	manifest_free(m->manifest);
}
#define cleanup_made CLEANUP(made_clear)

static inline int put(struct dest *d, const char *text, const struct descriptor *desc,
	       struct digest *ret_digest, dray_error **err)
{
	struct blob_put p = { .desc = *desc, .label = "layer 1/2" };
	int64_t size;

	if (dest_put_blob(d, &p, source_from_span(span_str(text), err), ret_digest, &size, err) < 0)
		return -1;
	assert_int_equal(size, strlen(text));
	return 0;
}

/* All of an image but the finish: one blob told, one only by size, one not at all. */
static inline int put_image(struct dest *d, const struct made *m, const char *tag, dray_error **err)
{
	const struct descriptor unknown = { .size = -1 };
	const struct descriptor sized = { .size = m->descs[1].size };
	struct digest got;

	if (dest_put_bytes(d, &m->descs[0], span_str(m->config), err) < 0 ||
	    put(d, m->layer[0], &sized, &got, err) < 0)
		return -1;
	assert_true(digest_eq(&got, &m->descs[1].digest));
	if (put(d, m->layer[1], &unknown, &got, err) < 0)
		return -1;
	assert_true(digest_eq(&got, &m->descs[2].digest));
	return dest_put_manifest(d, m->manifest, tag, err);
}

static inline void slurp(int dirfd, const char *path, struct buf *ret)
{
	dray_error *err = NULL;

	assert_ok(io_read_file(dirfd, path, LIMIT_CONFIG, ret, &err), err);
}

static inline bool exists(int dirfd, const char *path)
{
	struct stat st;

	return fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline size_t count(const char *folder, const char *sub)
{
	cleanup_free char *path = mem_printf("%s/%s", folder, sub);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t n;

	assert_true(fd >= 0);
	n = dir_count(fd);
	close(fd);
	return n;
}

static inline void assert_blob(const char *layout, const struct descriptor *desc, const char *text)
{
	cleanup_free char *rel = dest_blob_path(&desc->digest);
	cleanup_free char *path = mem_printf("%s/%s", layout, rel);
	cleanup_buf struct buf b = BUF_INIT(0);

	slurp(AT_FDCWD, path, &b);
	assert_span_is(span_buf(&b), text);
}

static inline struct buf index_of(const char *layout)
{
	cleanup_free char *path = mem_printf("%s/index.json", layout);
	struct buf b = BUF_INIT(0);

	slurp(AT_FDCWD, path, &b);
	return b;
}

static inline void no_oddity(void *arg, const struct tar_oddity *o)
{
	(void)arg;
	fail_msg("%s: %s", o->code, o->message);
}

/* Names in order, each with its content's digest checked; returns them joined by spaces, hex cut to 6. */
static inline char *list_archive(struct span bytes)
{
	cleanup_buf struct buf names = BUF_INIT(LIMIT_CONFIG);
	dray_error *err = NULL;
	const struct tar_entry *e;
	int rc;

	cleanup_source struct source *in = source_from_span(bytes, NULL);
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(in, no_oddity, NULL, NULL);
	while ((rc = tar_next(r, &e, &err)) > 0) {
		struct span content = span_of(bytes.data + e->data_off, (size_t)e->size);
		bool blob = span_starts(e->name, "blobs/sha256/");

		if (blob) {
			struct digest d;

			assert_int_equal(digest_of(content, &d, NULL), 0);
			assert_span(span_from(e->name, 13), span_str(digest_hex(&d)));
		}
		assert_int_equal(e->mode, 0644);
		assert_int_equal(e->mtime + e->uid + e->gid, 0);
		assert_int_equal(buf_add(&names, blob ? SPAN_LIT("blob") : e->name, NULL), 0);
		assert_int_equal(buf_add_str(&names, " ", NULL), 0);
	}
	assert_ok(rc, err);
	assert_int_equal(in->pos, bytes.len);
	return buf_steal_str(&names, NULL);
}

#define WHOLE "oci-layout blob blob blob blob index.json "
