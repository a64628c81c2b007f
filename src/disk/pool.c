/* SPDX-License-Identifier: Apache-2.0
 *
 * For: containerd's content store, its own or that of Docker 29 (formats.md 7.4), as a place.
 * Relies on: blobs that are named after their digests, as in an OCI layout; names by pool_names().
 * Promises: images are those that containerd knows. Where its database cannot be read, they are what no index names,
 *           and a blob counts as a document if its bytes prove it.
 */
#include <fcntl.h>
#include "base/io.h"
#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "disk/pool_priv.h"

#define SHOWN_PATH 200
#define IMAGE_NAME "io.containerd.image.name" /* annotation of an index's entries */

static void pool_clear(struct pool *p)
{
	cleanup_fd_fn(&p->root);
	map_clear(&p->found);
	map_clear(&p->named);
	arena_clear(&p->arena);
	mem_free(p->roots);
}
#define cleanup_pool CLEANUP(pool_clear)

int pool_add(struct pool *p, const struct pool_root *root, dray_error **err)
{
	if (mem_grow(&p->roots, p->n_roots, &p->cap, sizeof(*p->roots)) < 0)
		return err_nomem(err);
	p->roots[p->n_roots++] = *root;
	return 0;
}

int pool_any(int root, const char *home, dray_error **err)
{
	cleanup_pool struct pool p = { .root = -1 };

	return pool_names(&p, root, home, err) < 0 ? -1 : p.n_roots > 0;
}

/* ---- documents among blobs ---- */

/* 1 = small, and begins as JSON does, in *ret; 0 = not, -1. */
static int read_small(struct pool *p, const char *hex, struct buf *ret, dray_error **err)
{
	cleanup_free char *path = mem_printf("blobs/sha256/%s", hex);
	struct stat st;
	struct span head;

	if (!path)
		return err_nomem(err);
	int fd = beneath_open(p->root, path, &st, err);
	if (fd < 0)
		return -1;
	cleanup_source struct source *s = source_from_file(fd, st.st_size, err);
	if (!s || (st.st_size <= LIMIT_MANIFEST && source_peek(s, 1, &head, err) < 0))
		return -1;
	if (st.st_size > LIMIT_MANIFEST || !head.len || head.data[0] != '{')
		return 0;
	return source_slurp(s, ret, err) < 0 ? -1 : 1;
}

/* Configs and attestations are JSON, too. */
static bool is_document(const struct manifest *m)
{
	if (m->kind == MANIFEST_INDEX)
		return json_type(json_get(json_root(m->doc), "manifests")) == JSON_ARRAY;
	return m->kind == MANIFEST_IMAGE && digest_set(&m->config.digest) &&
	       json_type(json_get(json_root(m->doc), "layers")) == JSON_ARRAY;
}

static int add_found(struct pool *p, const char *hex, const struct manifest *m, dray_error **err)
{
	struct pool_root *f = arena_alloc(&p->arena, sizeof(*f));

	if (!f)
		return err_nomem(err);
	*f = (struct pool_root){
		.digest = arena_printf(&p->arena, "sha256:%s", hex),
		.media_type = arena_strdup(&p->arena, m->media_type),
		.size = (int64_t)m->raw.len,
	};
	if (!f->digest || !f->media_type)
		return err_nomem(err);
	for (size_t i = 0; m->kind == MANIFEST_INDEX && i < m->n_entries; i++) {
		const char *of = arena_strdup(&p->arena, digest_hex(&m->entries[i].digest));

		if (!of)
			return err_nomem(err);
		if (map_put(&p->named, span_str(of), p, err) < 0)
			return -1;
	}
	return map_put(&p->found, span_str(hex), f, err);
}

static int look(struct pool *p, const char *hex, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	cleanup_manifest struct manifest *m = NULL;
	struct digest want;
	int small = read_small(p, hex, &raw, err);

	if (small <= 0)
		return small;
	if (digest_from_hex(span_str(hex), &want, err) < 0 ||
	    bytes_check_digest(&want, span_buf(&raw), err) < 0 ||
	    manifest_parse(&raw, NULL, &m, err) < 0)
		return -1;
	return is_document(m) ? add_found(p, hex, m, err) : 0;
}

/* All of them. What cannot be read is no document; if an index names it, that is told there. */
static int scan(struct pool *p, dray_error **err)
{
	cleanup_names struct names all = { 0 };

	if (beneath_list(p->root, "blobs/sha256", &p->arena, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		cleanup_error dray_error *e = NULL;

		if (hex_is_lower(span_str(all.list[i]), DIGEST_HEX_SHA256) &&
		    look(p, all.list[i], &e) < 0 && disk_forgive(&e, err) < 0)
			return -1;
	}
	p->n_roots = 0;
	for (size_t i = 0; i < p->found.len; i++) {
		const struct pool_root *f = p->found.slots[i].value;

		if (!map_get(&p->named, span_str(strchr(f->digest, ':') + 1)) &&
		    pool_add(p, f, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- what stands for index.json ---- */

static void write_root(struct jsonw *w, const struct pool_root *root)
{
	jsonw_object(w);
	jsonw_kstring(w, "mediaType", root->media_type);
	jsonw_kstring(w, "digest", root->digest);
	jsonw_kint(w, "size", root->size);
	if (root->name) {
		jsonw_key(w, "annotations");
		jsonw_object(w);
		jsonw_kstring(w, IMAGE_NAME, root->name);
		jsonw_end_object(w);
	}
	jsonw_end_object(w);
}

static int write_index(const struct pool *p, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schemaVersion", 2);
	jsonw_key(&w, "manifests");
	jsonw_array(&w);
	for (size_t i = 0; i < p->n_roots; i++)
		write_root(&w, &p->roots[i]);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

/* ---- opening ---- */

/* Below the root of containerd, or below Docker's data root, which has one of those in it. */
static int find_home(int root, const char **ret, const char **ret_content, dray_error **err)
{
	static const char *const homes[] = { "", POOL_BESIDE "/" };
	static const char *const contents[] = { POOL_CONTENT, POOL_BESIDE "/" POOL_CONTENT };

	for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
		int there = beneath_is_dir(root, contents[i], err);

		*ret = homes[i];
		*ret_content = contents[i];
		if (there)
			return there < 0 ? -1 : 0;
	}
	return err_set(err, DRAY_ERR_FORMAT, "no content store of containerd: %s is missing",
		       POOL_CONTENT);
}

/* Without the database images are what looking at all blobs finds; *ret_odd, in the arena, says why. */
static int find_roots(struct pool *p, int root, const char *home, const char **ret_odd,
		      dray_error **err)
{
	cleanup_error dray_error *odd = NULL;

	*ret_odd = NULL;
	if (pool_names(p, root, home, &odd) == 0)
		return 0;
	*ret_odd = arena_printf(&p->arena,
				"the names that containerd has cannot be read, images are found by "
				"their IDs and digests: %s",
				dray_error_message(odd));
	if (!*ret_odd)
		return err_nomem(err);
	return disk_forgive(&odd, err) < 0 ? -1 : scan(p, err);
}

static int open_pool(const char *path, struct pool *p, const char **ret_content,
		     const char **ret_odd, dray_error **err)
{
	cleanup_fd int root = io_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
	const char *home;

	if (root < 0 || find_home(root, &home, ret_content, err) < 0)
		return -1;
	p->root = io_open_beneath(root, *ret_content, err);
	return p->root < 0 ? beneath_failed(err) : find_roots(p, root, home, ret_odd, err);
}

struct store *disk_open_containerd(const char *path, dray_error **err)
{
	cleanup_pool struct pool p = { .root = -1 };
	cleanup_buf struct buf index = BUF_INIT(LIMIT_MANIFEST_JSON);
	const char *content, *odd = NULL;

	if (open_pool(path, &p, &content, &odd, err) < 0 || write_index(&p, &index, err) < 0) {
		cleanup_free char *safe = text_safe(span_str(path), SHOWN_PATH);

		err_ctx(err, "%s", safe ? safe : "?");
		return NULL;
	}
	cleanup_free char *folder = mem_printf("%s/%s", path, content);
	if (!folder) {
		err_nomem(err);
		return NULL;
	}
	struct store *st = store_open_blobs(path, folder, "containerd", span_buf(&index), odd, err);
	if (!st || odd || pool_tell_times(&p, st, err) == 0)
		return st;
	store_free(st);
	return NULL;
}
