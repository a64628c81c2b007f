/* SPDX-License-Identifier: Apache-2.0
 *
 * For: which images containerd has, and under which names: its metadata, a bbolt database (formats.md 7.4).
 * Relies on: bolt.h; buckets v1/NAMESPACE/images/NAME with "target" in each.
 * Promises: what is told is of one state of the database, though its owner may be writing; what is no reference is
 *           no name.
 */
#include <fcntl.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "disk/bolt.h"
#include "disk/pool_priv.h"

#define TRIES 5	      /* the database is read in a millisecond; its owner writes now and then */
#define VARINT_MAX 10 /* bytes */

/* ---- one image ---- */

/* Go's encoding/binary: seven bits a byte, lowest first; the lowest bit of all is the sign. */
static int64_t varint(struct span s)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.len && i < VARINT_MAX; i++) {
		v |= (uint64_t)(s.data[i] & 0x7f) << (7 * i);
		if (!(s.data[i] & 0x80))
			break;
	}
	return v & 1 ? -1 : (int64_t)(v >> 1);
}

/* 1 = @p text is a digest, 0 = not, -1. */
static int is_digest(const char *text, dray_error **err)
{
	cleanup_error dray_error *odd = NULL;
	struct digest d;

	if (digest_parse(span_str(text), &d, &odd) == 0)
		return 1;
	return dray_error_kind(odd) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
}

/* 1 = @p name is a name with a tag; Docker's moby-dangling@DIGEST and Kubernetes' bare digests are none. 0, -1. */
static int is_name(const char *name, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	int bare = is_digest(name, err);

	if (bare)
		return bare < 0 ? -1 : 0;
	int parsed = disk_reference(name, &ref, err);
	return parsed > 0 ? ref.tag && !digest_set(&ref.digest) : parsed;
}

static int find_text(struct pool *p, struct bolt *db, const struct bolt_bucket *target,
		     const char *key, const char **ret, dray_error **err)
{
	struct bolt_item item;
	int there = bolt_find(db, target, key, &item, err);

	*ret = NULL;
	if (there <= 0)
		return there;
	*ret = arena_strndup(&p->arena, (const char *)item.value.data, item.value.len);
	return *ret ? 1 : err_nomem(err);
}

/* An entry without a target that can be one is nobody's image. */
static int add_target(struct pool *p, struct bolt *db, struct pool_root root,
		      const struct bolt_bucket *target, dray_error **err)
{
	struct bolt_item size;

	if (find_text(p, db, target, "digest", &root.digest, err) < 0 ||
	    find_text(p, db, target, "mediatype", &root.media_type, err) < 0)
		return -1;
	int sized = bolt_find(db, target, "size", &size, err);
	if (sized <= 0 || !root.digest || !root.media_type)
		return sized < 0 ? -1 : 0;
	root.size = varint(size.value);
	int sound = root.size < 0 ? 0 : is_digest(root.digest, err);
	return sound > 0 ? pool_add(p, &root, err) : sound;
}

/* What is no time tells nothing. */
static int find_time(struct bolt *db, const struct bolt_bucket *image, const char *key,
		     struct pool_time *ret, dray_error **err)
{
	struct bolt_item item;
	int there = bolt_find(db, image, key, &item, err);

	*ret = pool_time_of(there > 0 && !item.is_bucket ? item.value : span_of(NULL, 0));
	return there < 0 ? -1 : 0;
}

static int add_image(struct pool *p, struct bolt *db, const struct bolt_item *image,
		     dray_error **err)
{
	const char *name = arena_strndup(&p->arena, (const char *)image->key.data, image->key.len);
	struct bolt_item target;

	if (!name)
		return err_nomem(err);
	int named = is_name(name, err);
	int there = named < 0 ? -1 : bolt_find(db, &image->bucket, "target", &target, err);
	if (there <= 0 || !target.is_bucket)
		return there < 0 ? -1 : 0;
	struct pool_root root = { .name = named ? name : NULL };

	if (find_time(db, &image->bucket, "createdat", &root.times.named, err) < 0 ||
	    find_time(db, &image->bucket, "updatedat", &root.times.updated, err) < 0)
		return -1;
	return add_target(p, db, root, &target.bucket, err);
}

/* ---- all of them ---- */

static int add_namespace(struct pool *p, struct bolt *db, const struct bolt_bucket *ns,
			 dray_error **err)
{
	struct bolt_item images, image;
	struct bolt_cursor c;
	int rc = bolt_find(db, ns, "images", &images, err);

	if (rc <= 0 || !images.is_bucket)
		return rc < 0 ? -1 : 0;
	if (bolt_begin(db, &images.bucket, &c, err) < 0)
		return -1;
	while ((rc = bolt_next(&c, &image, err)) > 0)
		if (image.is_bucket && add_image(p, db, &image, err) < 0)
			return -1;
	return rc;
}

static int add_all(struct pool *p, struct bolt *db, dray_error **err)
{
	struct bolt_bucket top = bolt_top(db);
	struct bolt_item v1, ns;
	struct bolt_cursor c;
	int rc = bolt_find(db, &top, "v1", &v1, err);

	if (rc < 0 || (rc > 0 && !v1.is_bucket))
		return rc < 0 ? -1 : err_set(err, DRAY_ERR_FORMAT, "it has no bucket v1");
	/* A containerd that never had an image has no version either. */
	if (!rc)
		return 0;
	if (bolt_begin(db, &v1.bucket, &c, err) < 0)
		return -1;
	while ((rc = bolt_next(&c, &ns, err)) > 0)
		if (ns.is_bucket && add_namespace(p, db, &ns.bucket, err) < 0)
			return -1;
	return rc;
}

/* 1 = read as one state; 0 = its owner was writing, -1. */
static int read_once(struct pool *p, int fd, int64_t size, dray_error **err)
{
	cleanup_bolt struct bolt db = { .fd = -1 };
	cleanup_error dray_error *odd = NULL;

	p->n_roots = 0;
	if (bolt_open(&db, fd, size, err) < 0)
		return -1;
	int rc = add_all(p, &db, &odd);
	int whole = bolt_unchanged(&db, err);
	if (whole < 0 || (rc < 0 && whole)) {
		if (whole > 0 && err)
			*err = steal_pointer(&odd);
		return -1;
	}
	return whole;
}

static int read_names(struct pool *p, int fd, dray_error **err)
{
	struct stat st;

	for (int i = 0; i < TRIES; i++) {
		/* It may have grown. */
		if (io_fstat(fd, &st, err) < 0)
			return -1;
		int rc = read_once(p, fd, st.st_size, err);

		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
	return err_set(err, DRAY_ERR_FORMAT, "containerd is writing it");
}

int pool_names(struct pool *p, int root, const char *home, dray_error **err)
{
	const char *path = arena_printf(&p->arena, "%s%s", home, POOL_META);
	struct stat st;

	if (!path)
		return err_nomem(err);
	cleanup_fd int fd = beneath_open(root, path, &st, err);
	if (fd < 0)
		return -1;
	return read_names(p, fd, err) < 0 ? err_ctx(err, "%s", path) : 0;
}
