/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and documents of an archive for old readers: folders of layers, and "repositories".
 * Relies on image/ for IDs and documents as Docker's own save writes them.
 * Promises that no layer is stored a second time, and the same bytes for the same images.
 */
#include "store/legacy.h"

#include <stdlib.h>

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "tar/tar.h"

#define VERSION_TEXT "1.0"
#define REPOSITORIES_NAME "repositories"
#define JSON_MAX (6 * LIMIT_CONFIG + MIB) /* escapes make six bytes of one */

struct legacy_layer {
	v1_id id;
	struct span json;
	struct digest blob;
	struct legacy_layer *next;
};

/* As docker save of 20.10 on a host in UTC has them. */
static const struct v1_params params = { .era = V1_ERA_EPOCH };

/* ---- adding ---- */

static int add_layer(struct legacy *l, const struct config *c, const v1_id *ids, size_t i,
		     const struct digest *blob, dray_error **err)
{
	cleanup_buf struct buf json = BUF_INIT(JSON_MAX);
	struct legacy_layer *at;

	if (map_find(&l->folders, span_str(ids[i])))
		return 0;
	at = arena_alloc(&l->arena, sizeof(*at));
	if (!at)
		return err_nomem(err);
	if (v1_json_docker(c, &params, ids, i, &json, err) < 0)
		return -1;
	*at = (struct legacy_layer){ .blob = *blob, .json = arena_dup(&l->arena, span_buf(&json)) };
	memcpy(at->id, ids[i], sizeof(at->id));
	if (!at->json.data)
		return err_nomem(err);
	*(l->last ? l->last : &l->first) = at;
	l->last = &at->next;
	return map_put(&l->folders, span_str(at->id), at, err);
}

static int add_top(struct legacy *l, const struct manifest *m, const char *id, dray_error **err)
{
	const char *key = arena_strdup(&l->arena, m->digest.text);
	char *top = arena_strdup(&l->arena, id);

	return key && top ? map_put(&l->tops, span_str(key), top, err) : err_nomem(err);
}

int legacy_add(struct legacy *l, const struct manifest *m, const struct config *c, dray_error **err)
{
	cleanup_free v1_id *ids = NULL;
	size_t n = m->n_entries;

	if (manifest_is_artifact(m) || n == 0 || map_find(&l->tops, span_str(m->digest.text)))
		return 0;
	if (c->n_diff_ids != n)
		return err_set(err, DRAY_ERR_FORMAT,
			       "the config names %zu layers, the manifest %zu", c->n_diff_ids, n);
	ids = mem_alloc_array(n, sizeof(*ids));
	if (!ids)
		return err_nomem(err);
	if (v1_ids_docker(c, &params, ids, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (add_layer(l, c, ids, i, &m->entries[i].digest, err) < 0)
			return -1;
	return add_top(l, m, ids[n - 1], err);
}

void legacy_clear(struct legacy *l)
{
	map_clear(&l->folders);
	map_clear(&l->tops);
	arena_clear(&l->arena);
	*l = (struct legacy){ 0 };
}

/* ---- folders ---- */

char *legacy_layer_name(const struct digest *d)
{
	return mem_printf("%s.tar", digest_hex(d));
}

char *legacy_config_name(const struct digest *d)
{
	return mem_printf("%s.json", digest_hex(d));
}

static int write_link(const struct legacy_layer *at, const char *name, struct tar_out *to,
		      dray_error **err)
{
	cleanup_free char *target = mem_printf("../%s.tar", digest_hex(&at->blob));

	if (!target)
		return err_nomem(err);
	return tar_out_entry(to,
			     &(struct tar_member){ .type = TAR_SYMLINK,
						   .name = span_str(name),
						   .link = span_str(target),
						   .mode = 0777 },
			     err);
}

static int write_folder(const struct legacy_layer *at, struct tar_out *to, dray_error **err)
{
	char name[sizeof(v1_id) + 16];

	snprintf(name, sizeof(name), "%s/", at->id);
	if (tar_out_entry(
		    to,
		    &(struct tar_member){ .type = TAR_DIR, .name = span_str(name), .mode = 0755 },
		    err) < 0)
		return -1;
	snprintf(name, sizeof(name), "%s/VERSION", at->id);
	if (tar_out_member(to, name, SPAN_LIT(VERSION_TEXT), err) < 0)
		return -1;
	snprintf(name, sizeof(name), "%s/json", at->id);
	if (tar_out_member(to, name, at->json, err) < 0)
		return -1;
	snprintf(name, sizeof(name), "%s/layer.tar", at->id);
	return write_link(at, name, to, err);
}

int legacy_write_folders(const struct legacy *l, struct tar_out *to, dray_error **err)
{
	for (const struct legacy_layer *at = l->first; at; at = at->next)
		if (write_folder(at, to, err) < 0)
			return -1;
	return 0;
}

/* ---- names ---- */

struct named {
	const char *name, *tag; /* "test/app", "1" */
	const char *top;
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int rc = strcmp(x->name, y->name);

	return rc ? rc : strcmp(x->tag, y->tag);
}

/* The i-th entry of the index as a name of one of ours; 1, 0 = it is none, -1. */
static int read_name(const struct legacy *l, const struct docker_list *list,
		     const struct dest_index *x, size_t i, struct arena *a, struct named *ret,
		     dray_error **err)
{
	const struct dest_entry *e = &x->list[i];
	const struct digest *image = docker_list_image(list, &e->digest);
	char *name, *colon;

	ret->top = image ? map_get(&l->tops, span_str(image->text)) : NULL;
	if (!ret->top || !e->familiar || !dest_index_stands(x, i))
		return 0;
	name = arena_strdup(a, e->familiar);
	if (!name)
		return err_nomem(err);
	colon = strrchr(name, ':'); /* a familiar name has its tag */
	*colon = 0;
	ret->name = name;
	ret->tag = colon + 1;
	return 1;
}

static int write_names(const struct named *list, size_t n, struct tar_out *to, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST_JSON);
	struct jsonw w;

	jsonw_init(&w, &text, err);
	jsonw_object(&w);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || strcmp(list[i - 1].name, list[i].name) != 0) {
			if (i > 0)
				jsonw_end_object(&w);
			jsonw_key(&w, list[i].name);
			jsonw_object(&w);
		}
		jsonw_kstring(&w, list[i].tag, list[i].top);
	}
	jsonw_end_object(&w);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0 || buf_add_byte(&text, '\n', err) < 0)
		return -1;
	return tar_out_member(to, REPOSITORIES_NAME, span_buf(&text), err);
}

int legacy_write_names(const struct legacy *l, const struct docker_list *list,
		       const struct dest_index *x, struct tar_out *to, dray_error **err)
{
	CLEANUP(arena_clear) struct arena arena = { 0 };
	struct named *names = arena_array(&arena, x->n + 1, sizeof(*names));
	size_t n = 0;

	if (!names)
		return err_nomem(err);
	for (size_t i = 0; i < x->n; i++) {
		int rc = read_name(l, list, x, i, &arena, &names[n], err);

		if (rc < 0)
			return -1;
		n += (size_t)rc;
	}
	if (n == 0)
		return 0;
	qsort(names, n, sizeof(*names), by_name);
	return write_names(names, n, to, err);
}
