/* SPDX-License-Identifier: Apache-2.0
 *
 * have: the layers of a place as a list that travels.
 * Relies on what dray_images() opens: documents, no layer.
 * Promises one text for the same layers, whatever the order of the images.
 */
#include "ops/have.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "ops/report.h"

/* ---- gathering ---- */

void haves_clear(struct haves *h)
{
	map_clear(&h->chains);
	map_clear(&h->diffs);
	arena_clear(&h->arena);
}

static int add_text(struct haves *h, struct map *m, const char *text, dray_error **err)
{
	const char *key;

	if (map_find(m, span_str(text)))
		return 0;
	key = arena_strdup(&h->arena, text);
	return key ? map_put(m, span_str(key), h, err) : err_nomem(err);
}

int haves_add(struct haves *h, const struct digest *diff_ids, size_t n, dray_error **err)
{
	cleanup_free struct digest *chain = mem_alloc_array(n + 1, sizeof(*chain));
	size_t known = 0;

	if (!chain)
		return err_nomem(err);
	/* A chain cannot be told above what we cannot hash. */
	while (known < n && diff_ids[known].algo != DIGEST_OTHER && digest_set(&diff_ids[known]))
		known++;
	if (known > 0 && chain_ids(diff_ids, known, chain, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if ((i < known && add_text(h, &h->chains, chain[i].text, err) < 0) ||
		    (digest_set(&diff_ids[i]) && add_text(h, &h->diffs, diff_ids[i].text, err) < 0))
			return -1;
	return 0;
}

int haves_add_image(struct haves *h, const struct image *im, dray_error **err)
{
	const struct config *c = im->config;
	cleanup_free struct digest *list = mem_alloc_array(c->n_diff_ids + 1, sizeof(*list));

	if (!list)
		return err_nomem(err);
	/* What the documents name and the place lacks is no layer of it, and ends the chain. */
	for (size_t i = 0; i < c->n_diff_ids; i++)
		list[i] = im->n_layers == c->n_diff_ids && im->layers[i].missing
				  ? (struct digest){ 0 }
				  : c->diff_ids[i];
	return haves_add(h, list, c->n_diff_ids, err);
}

/* ---- reading ---- */

static int read_line(struct haves *h, struct span line, dray_error **err)
{
	struct map *m = span_starts(line, "chain ")  ? &h->chains
			: span_starts(line, "diff ") ? &h->diffs
						     : NULL;
	struct digest d;

	if (!m) /* something that a later version tells besides */
		return 0;
	if (digest_parse(span_from(line, (size_t)span_find(line, ' ') + 1), &d, err) < 0)
		return -1;
	return add_text(h, m, d.text, err);
}

static int read_lines(struct haves *h, struct span text, dray_error **err)
{
	for (size_t n = 1; text.len > 0; n++) {
		int64_t end = span_find(text, '\n');

		if (end < 0)
			return err_set(err, DRAY_ERR_FORMAT, "line %zu is cut off", n);
		if (n > 1 && read_line(h, span_head(text, (size_t)end), err) < 0)
			return err_ctx(err, "line %zu", n);
		text = span_from(text, (size_t)end + 1);
	}
	return 0;
}

/* The first line and its end; a have-list of another version is told from what is none. */
static int begins(const char *path, bool *ret, dray_error **err)
{
	static const char word[] = "dray-have-list ";
	char head[sizeof(HAVE_FIRST_LINE)];
	struct stat st;
	int64_t n;

	*ret = false;
	if (strcmp(path, "-") == 0 || io_fstatat(AT_FDCWD, path, 0, &st, NULL) < 0 ||
	    !S_ISREG(st.st_mode))
		return 0;
	cleanup_fd int fd = io_openat(AT_FDCWD, path, O_RDONLY, 0, err);
	n = fd < 0 ? -1 : io_pread(fd, head, sizeof(head), 0, err);
	if (n < 0)
		return -1;
	if ((size_t)n < strlen(word) || memcmp(head, word, strlen(word)) != 0)
		return 0;
	if ((size_t)n < sizeof(head) || memcmp(head, HAVE_FIRST_LINE "\n", sizeof(head)) != 0)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "a have-list of another version (expected \"%s\")", HAVE_FIRST_LINE);
	*ret = true;
	return 0;
}

int haves_read(const char *path, struct haves *ret, dray_error **err)
{
	cleanup_buf struct buf text = { 0 };
	bool is_list;

	if (begins(path, &is_list, err) < 0)
		return -1;
	if (!is_list)
		return 0;
	if (io_read_file(AT_FDCWD, path, LIMIT_HAVE_LIST, &text, err) < 0)
		return -1;
	return read_lines(ret, span_buf(&text), err) < 0 ? -1 : 1;
}

/* ---- have ---- */

struct dray_have_list {
	struct dray_have_info info;
	struct haves haves;
	const char **chains, **diffs;
	char *text;
};

const struct dray_have_info *dray_have_get(const dray_have_list *h)
{
	return &h->info;
}

void dray_have_free(dray_have_list *h)
{
	if (!h)
		return;
	haves_clear(&h->haves);
	mem_free(h->chains);
	mem_free(h->diffs);
	mem_free(h->text);
	mem_free(h);
}
DEFINE_CLEANUP(dray_have_list, cleanup_have_fn, dray_have_free)
#define cleanup_have CLEANUP(cleanup_have_fn)

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **sorted(const struct map *m, dray_error **err)
{
	const char **list = mem_alloc_array(m->len + 1, sizeof(*list));

	if (!list) {
		err_nomem(err);
		return NULL;
	}
	for (size_t i = 0; i < m->len; i++)
		list[i] = (const char *)m->slots[i].key.data;
	qsort(list, m->len, sizeof(*list), by_text);
	return list;
}

static int write_text(dray_have_list *h, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_HAVE_LIST);

	if (buf_add_str(&out, HAVE_FIRST_LINE "\n", err) < 0)
		return -1;
	for (size_t i = 0; i < h->info.n_chain_ids; i++)
		if (buf_printf(&out, err, "chain %s\n", h->chains[i]) < 0)
			return -1;
	for (size_t i = 0; i < h->info.n_diff_ids; i++)
		if (buf_printf(&out, err, "diff %s\n", h->diffs[i]) < 0)
			return -1;
	h->text = buf_steal_str(&out, err);
	return h->text ? 0 : -1;
}

static int fill(dray_have_list *h, const dray_report *r, dray_error **err)
{
	for (size_t i = 0; i < r->n_images; i++) {
		const struct image *im = r->images[i];

		if (!im->config || im->artifact || im->attestation || im->broken)
			continue;
		if (haves_add_image(&h->haves, im, err) < 0)
			return err_ctx(err, "%s", im->where);
		h->info.n_images++;
	}
	h->chains = sorted(&h->haves.chains, err);
	h->diffs = h->chains ? sorted(&h->haves.diffs, err) : NULL;
	if (!h->diffs)
		return -1;
	h->info.n_chain_ids = h->haves.chains.len;
	h->info.n_diff_ids = h->haves.diffs.len;
	return write_text(h, err);
}

int dray_have(dray_context *ctx, const char *place, const struct dray_select *sel,
	      dray_have_list **ret, dray_error **err)
{
	const struct place_options po = { .listing = true };
	cleanup_have dray_have_list *h = mem_zalloc(sizeof(*h));
	cleanup_report dray_report *r = NULL;

	if (!h)
		return err_nomem(err);
	if (report_open(ctx, place, sel, SCOPE_ALL, &po, &r, err) < 0)
		return -1;
	context_notes(ctx, &r->store->notes);
	if (fill(h, r, err) < 0)
		return -1;
	h->info.chain_ids = h->chains;
	h->info.diff_ids = h->diffs;
	h->info.text = h->text;
	*ret = steal_pointer(&h);
	return 0;
}
