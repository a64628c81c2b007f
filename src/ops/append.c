/* SPDX-License-Identifier: Apache-2.0
 *
 * append: tars as new layers on top of an image.
 * Relies on layer/index to refuse what is no layer, on ops/relayer for the rest.
 * Promises that a tar becomes a layer byte for byte, and layers below keep theirs.
 */
#include "ops/relayer.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"

/* A tar that lies in a file: its own, or a temporary one where it was decoded. */
struct new_layer {
	int fd;
	int64_t size;
};

struct append {
	const struct dray_append_options *ao;
	struct stack *s;
	struct new_layer *tars;
	struct remake_layer *layers;
};

static void append_clear(struct append *a)
{
	for (size_t i = 0; a->tars && i < a->ao->n_tars; i++)
		cleanup_fd_fn(&a->tars[i].fd);
	mem_free(a->tars);
	stack_free(a->s);
}
#define cleanup_append CLEANUP(append_clear)

/* ---- the tars ---- */

/* An uncompressed tar in a file is read where it lies. */
static int lies_plain(int fd, bool *ret, int64_t *ret_size, dray_error **err)
{
	uint8_t head[COMPRESSION_SNIFF];
	struct stat st;
	int64_t n;

	*ret = false;
	if (io_fstat(fd, &st, err) < 0)
		return -1;
	if (S_ISDIR(st.st_mode))
		return err_set(err, DRAY_ERR_USAGE, "it is a folder; a layer is a tar");
	if (!S_ISREG(st.st_mode))
		return 0;
	n = io_pread(fd, head, sizeof(head), 0, err);
	if (n < 0)
		return -1;
	*ret = compression_sniff(span_of(head, (size_t)n)) == COMPRESSION_NONE;
	*ret_size = st.st_size;
	return 0;
}

/* All of @p in (consumed), decoded, into a file without a name. */
static int decode_tar(struct stack *s, struct source *in, struct new_layer *ret, dray_error **err)
{
	cleanup_source struct source *tar = source_decode_auto(in, NULL, err);
	cleanup_sink struct sink *k = NULL;

	ret->fd = tar ? io_tempfile(s->ctx->tmpdir, err) : -1;
	k = ret->fd < 0 ? NULL : sink_to_fd(ret->fd, false, err);
	ret->size = k ? pump(tar, k, err) : -1;
	return ret->size < 0 || sink_finish(k, err) < 0 ? -1 : 0;
}

static int open_tar(struct stack *s, const char *path, struct new_layer *ret, dray_error **err)
{
	cleanup_fd int fd = -1;
	bool plain;

	if (strcmp(path, "-") == 0)
		return decode_tar(s, source_from_fd(STDIN_FILENO, false, err), ret, err);
	fd = io_openat(AT_FDCWD, path, O_RDONLY, 0, err);
	if (fd < 0 || lies_plain(fd, &plain, &ret->size, err) < 0)
		return -1;
	if (!plain)
		return decode_tar(s, source_from_fd(steal_fd(&fd), true, err), ret, err);
	ret->fd = steal_fd(&fd);
	return 0;
}

/* Docker and podman unpack a layer beside the others: what it links to below is not there. */
static int warn_links(struct stack *s, const char *path, const struct layer_index *ix,
		      dray_error **err)
{
	cleanup_tree struct tree *t = tree_new(NULL, NULL, err);
	cleanup_free char *shown = text_safe(span_str(path), 4096);

	if (!t)
		return -1;
	tree_set_partial(t);
	if (tree_apply(t, ix, err) < 0)
		return -1;
	tree_finish(t);
	for (const struct node *n = tree_root(t); n; n = tree_next(n)) {
		if (node_type(n) != TAR_HARDLINK)
			continue;
		context_log(s->ctx, DRAY_LOG_WARNING,
			    "%s: a hard link to a file of a lower layer: neither Docker nor podman "
			    "can unpack it",
			    shown ? shown : "");
		break;
	}
	return 0;
}

/* Whoever gave it should hear what is wrong with it before anything is sent. */
static int check_tar(struct stack *s, const char *path, const struct new_layer *t, dray_error **err)
{
	const struct layer_index_options o = { 0 };
	cleanup_source struct source *in = source_from_extent(t->fd, 0, t->size, err);
	cleanup_layer_index struct layer_index *ix = NULL;

	if (!in || layer_index_read(in, &o, &ix, err) < 0)
		return -1;
	if (ix->n == 0) {
		cleanup_free char *shown = text_safe(span_str(path), 4096);

		context_log(s->ctx, DRAY_LOG_WARNING, "%s: no entries: the layer is empty",
			    shown ? shown : "");
	}
	return warn_links(s, path, ix, err);
}

static int take_tar(struct append *a, size_t i, dray_error **err)
{
	struct new_layer *t = &a->tars[i];
	const char *path = a->ao->tars[i];

	return open_tar(a->s, path, t, err) < 0 ? -1 : check_tar(a->s, path, t, err);
}

static int take_tars(struct append *a, dray_error **err)
{
	size_t n = a->ao->n_tars;

	a->tars = mem_alloc_array(n + 1, sizeof(*a->tars));
	if (!a->tars)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		a->tars[i].fd = -1;
	for (size_t i = 0; i < n; i++) {
		if (take_tar(a, i, err) < 0) {
			cleanup_free char *shown = text_safe(span_str(a->ao->tars[i]), 4096);

			return err_ctx(err, "%s", shown ? shown : "");
		}
	}
	return n ? 0 : err_set(err, DRAY_ERR_USAGE, "no tar to append");
}

/* ---- the plan ---- */

static struct source *open_layer(void *arg, int64_t *ret_size, dray_error **err)
{
	const struct new_layer *t = arg;

	*ret_size = t->size;
	return source_from_extent(t->fd, 0, t->size, err);
}

static int plan_layers(struct append *a, struct relayer_plan *plan, dray_error **err)
{
	size_t old = a->s->n, n = a->ao->n_tars;

	a->layers = arena_array(&a->s->arena, old + n, sizeof(*a->layers));
	if (!a->layers)
		return err_nomem(err);
	for (size_t i = 0; i < old; i++)
		a->layers[i] = (struct remake_layer){ .stack = a->s, .keep = (int64_t)i };
	for (size_t i = 0; i < n; i++)
		a->layers[old + i] = (struct remake_layer){
			.stack = a->s, .keep = -1, .open = open_layer, .arg = &a->tars[i]
		};
	plan->stack = a->s;
	plan->layers = a->layers;
	plan->n = old + n;
	return 0;
}

static int plan_history(struct append *a, struct relayer_plan *plan, dray_error **err)
{
	const struct dray_append_options *ao = a->ao;
	const char **created_by = arena_array(&a->s->arena, ao->n_tars, sizeof(*created_by));
	struct relayer_step *steps;

	if (!created_by)
		return err_nomem(err);
	for (size_t i = 0; i < ao->n_tars; i++)
		created_by[i] = ao->created_by ? ao->created_by : "dray append";
	if (relayer_history(a->s, a->s->n, created_by, ao->n_tars, plan, err) < 0)
		return -1;
	steps = arena_array(&a->s->arena, plan->n_steps, sizeof(*steps));
	if (!steps)
		return err_nomem(err);
	memcpy(steps, plan->steps, plan->n_steps * sizeof(*steps));
	for (size_t i = plan->n_steps - ao->n_tars; i < plan->n_steps; i++)
		steps[i].comment = ao->comment;
	plan->steps = steps;
	return 0;
}

int dray_append(dray_context *ctx, const char *image, const struct dray_select *sel,
		const char *dst, const struct dray_append_options *ao,
		const struct dray_copy_options *o, dray_relayered **ret, dray_error **err)
{
	struct dray_append_options own = DRAY_APPEND_OPTIONS_INIT;
	cleanup_append struct append a = { .ao = options_take(&own, sizeof(own), ao) };
	const struct stack_options so = { .contents = true,
					  .lazy = own.no_rootfs_id,
					  .without = "--no-rootfs-id appends without reading it" };
	struct relayer_plan plan = { .image = image, .no_ids = own.no_rootfs_id };

	if (stack_open(ctx, image, sel, &so, &a.s, err) < 0 || take_tars(&a, err) < 0 ||
	    plan_layers(&a, &plan, err) < 0 || plan_history(&a, &plan, err) < 0)
		return -1;
	return relayer_run(&plan, dst, o, ret, err);
}
