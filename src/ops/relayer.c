/* SPDX-License-Identifier: Apache-2.0
 *
 * From a plan of layers to an image at its destination.
 * Relies on ops/remake for the store that copy reads, on layer/rootfs for the proof.
 * Promises that no image appears whose tree is not the one that was meant.
 */
#include "ops/relayer.h"

#include "base/limits.h"
#include "base/mem.h"
#include "image/config_edit.h"
#include "layer/cut.h"
#include "layer/rootfs.h"
#include "ops/copy_run.h"
#include "ops/rebase.h"

struct dray_relayered {
	struct dray_relayer_info info;
	dray_copy_result *copied;
	struct digest before, after;
	char image_id[DRAY_DIGEST_SIZE];
};

const struct dray_relayer_info *dray_relayered_info(const dray_relayered *r)
{
	return &r->info;
}

void dray_relayered_free(dray_relayered *r)
{
	if (!r)
		return;
	dray_copy_free(r->copied);
	mem_free(r);
}
DEFINE_CLEANUP(dray_relayered, cleanup_relayered_fn, dray_relayered_free)
#define cleanup_relayered CLEANUP(cleanup_relayered_fn)

/* ---- the proof ---- */

struct ids {
	struct digest plain, timed;
};

static int tree_ids(const struct layer_index *const *index, size_t n, struct ids *ret,
		    dray_error **err)
{
	cleanup_tree struct tree *t = tree_new(NULL, NULL, err);

	for (size_t i = 0; t && i < n; i++)
		if (tree_apply(t, index[i], err) < 0)
			return -1;
	if (!t)
		return -1;
	tree_finish(t);
	return rootfs_id(t, false, &ret->plain, err) < 0 ? -1
							 : rootfs_id(t, true, &ret->timed, err);
}

struct run_state {
	const struct relayer_plan *plan;
	const struct manifest *like;
	dray_relayered *result;
};

static int prove(struct run_state *run, const struct remade_layers *made, dray_error **err)
{
	const struct relayer_plan *p = run->plan;
	const struct stack *s = p->stack;
	const struct digest *expect = p->expect;
	struct ids before, after;

	if (p->no_ids)
		return 0;
	if (tree_ids(s->index, s->n, &before, err) < 0)
		return err_ctx(err, "%s", s->im->where);
	if (tree_ids(made->index, made->n, &after, err) < 0)
		return err_ctx(err, "%s: the new layers", s->im->where);
	if (p->same_tree)
		expect = &before.timed;
	run->result->before = before.plain;
	run->result->after = after.plain;
	if (!expect || digest_eq(expect, &after.timed))
		return 0;
	return err_set(err, DRAY_ERR_CORRUPT,
		       "%s: the new layers do not give the files that they should (expected rootfs "
		       "id %s, got %s)",
		       s->im->where, expect->text, after.timed.text);
}

/* ---- the config ---- */

static int write_step(const struct config *c, const struct relayer_step *s, struct buf *ret,
		      dray_error **err)
{
	if (s->raw.len > 0)
		return buf_add(ret, s->raw, err);
	if (s->keep >= 0)
		return config_history_entry(c, (size_t)s->keep, s->empty_layer, ret, err);
	return config_history_new(c, s->created_by, s->comment, s->empty_layer, ret, err);
}

static int write_config(const struct relayer_plan *p, const struct remade_layers *made,
			struct buf *ret, dray_error **err)
{
	const struct config *c = p->stack->im->config;
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);
	struct arena *a = &p->stack->arena;
	size_t *ends = arena_array(a, p->n_steps + 1, sizeof(*ends));
	struct span *steps = arena_array(a, p->n_steps + 1, sizeof(*steps));

	if (!ends || !steps)
		return err_nomem(err);
	for (size_t i = 0; i < p->n_steps; i++) {
		if (write_step(c, &p->steps[i], &text, err) < 0)
			return -1;
		ends[i] = text.len;
	}
	for (size_t i = 0; i < p->n_steps; i++) { /* the text has stopped moving */
		size_t begin = i ? ends[i - 1] : 0;

		steps[i] = span_of(text.data + begin, ends[i] - begin);
	}
	return config_relayer(c, made->diff_ids, made->n, steps, p->n_steps, ret, err);
}

static int on_made(void *arg, const struct remade_layers *made, struct buf *ret, dray_error **err)
{
	struct run_state *run = arg;

	if (prove(run, made, err) < 0 || write_config(run->plan, made, ret, err) < 0)
		return -1;
	return run->plan->check ? run->plan->check(run->plan->arg, made, span_buf(ret), err) : 0;
}

static int on_foretell(void *arg, dray_error **err)
{
	const struct run_state *run = arg;

	return run->plan->foretell(run->plan->arg, err);
}

/* ---- the run ---- */

static int open_made(void *arg, const struct place_options *po, struct store **ret,
		     dray_error **err)
{
	struct run_state *run = arg;
	const struct remake m = {
		.stack = run->plan->stack,
		.layers = run->plan->layers,
		.n = run->plan->n,
		.together = run->plan->together,
		.like = run->like,
		.around = run->plan->around,
		.apart = run->plan->apart,
		.contents = !run->plan->no_ids || run->plan->contents,
		.foretell = run->plan->foretell ? on_foretell : NULL,
		.config = on_made,
		.arg = run,
	};

	if (run->plan->previous && reuse_also(po->arg, run->plan->previous, err) < 0)
		return -1;
	return remake_open(&m, po, ret, err);
}

static void tell(const struct run_state *run)
{
	const struct relayer_plan *p = run->plan;
	struct dray_relayered *r = run->result;

	r->info = (struct dray_relayer_info){
		.copied = dray_copy_get(r->copied, 0),
		.image_id_before = r->image_id,
		.rootfs_id_before = p->no_ids ? NULL : r->before.text,
		.rootfs_id_after = p->no_ids ? NULL : r->after.text,
		.layers_before = p->stack->n,
		.layers_after = p->n,
	};
	for (size_t i = 0; i < p->n; i++)
		r->info.layers_kept += p->layers[i].keep >= 0;
}

/* How many of the lowest layers stay what they are. */
static size_t kept_below(const struct relayer_plan *p)
{
	size_t n = 0;

	while (n < p->n && p->layers[n].stack == p->stack && p->layers[n].keep == (int64_t)n)
		n++;
	return n;
}

int relayer_run(const struct relayer_plan *p, const char *dst, const struct dray_copy_options *o,
		dray_relayered **ret, dray_error **err)
{
	static const struct dray_copy_options defaults = DRAY_COPY_OPTIONS_INIT;
	cleanup_relayered dray_relayered *r = mem_zalloc(sizeof(*r));
	cleanup_manifest struct manifest *based = NULL;
	struct run_state run = { .plan = p, .result = r };
	const struct made made = { .open = open_made,
				   .arg = &run,
				   .from = p->image,
				   .tags = p->tags,
				   .n_tags = p->n_tags };

	if (!r)
		return err_nomem(err);
	if (!p->like && bases_forget(p->stack, kept_below(p), &based, err) < 0)
		return -1;
	run.like = p->like ? p->like : based;
	snprintf(r->image_id, sizeof(r->image_id), "%s", p->stack->im->config->digest.text);
	if (p->n > CUT_LAYERS_MAX && !p->told_many)
		context_log(p->stack->ctx, DRAY_LOG_WARNING, "%zu layers: Docker takes at most %d",
			    p->n, CUT_LAYERS_MAX);
	if (copy_made(p->stack->ctx, &made, dst, o ? o : &defaults, &r->copied, err) < 0)
		return -1;
	tell(&run);
	*ret = steal_pointer(&r);
	return 0;
}

/* ---- history ---- */

static size_t steps_made(const struct config *c)
{
	size_t made = 0;

	for (size_t i = 0; i < c->n_history; i++)
		made += !c->history[i].empty_layer;
	return made;
}

/*
 * Steps of the old history, as they are but for those that make no layer any more: of layers
 * @p first and up, and where there are more steps than layers the lowest ones, which is what
 * others take it for. Returns how many make one.
 */
static size_t old_steps(const struct image *im, size_t first, struct relayer_step *ret)
{
	const struct config *c = im->config;
	size_t made = steps_made(c), step = 0, kept = 0;
	size_t surplus = made > im->n_layers ? made - im->n_layers : 0;

	for (size_t i = 0; i < c->n_history; i++) {
		bool empty = c->history[i].empty_layer;
		bool keeps = !empty && step >= surplus && step - surplus < first;

		ret[i] = (struct relayer_step){ .keep = (int64_t)i, .empty_layer = !keeps };
		step += !empty;
		kept += keeps;
	}
	return kept;
}

size_t relayer_fit_history(const struct image *im, size_t first, struct relayer_step *ret)
{
	size_t n = im->config->n_history;

	for (size_t i = old_steps(im, first, ret); i < first; i++)
		ret[n++] = (struct relayer_step){ .keep = -1,
						  .created_by = "",
						  .comment = RELAYER_UNKNOWN_STEP };
	return n;
}

int relayer_history(struct stack *s, size_t first, const char *const *created_by, size_t n_new,
		    struct relayer_plan *ret, dray_error **err)
{
	struct relayer_step *steps = arena_array(
		&s->arena, s->im->config->n_history + first + n_new + 1, sizeof(*steps));
	size_t n;

	if (!steps)
		return err_nomem(err);
	n = relayer_fit_history(s->im, first, steps);
	for (size_t i = 0; i < n_new; i++)
		steps[n++] = (struct relayer_step){ .keep = -1, .created_by = created_by[i] };
	ret->steps = steps;
	ret->n_steps = n;
	return 0;
}
