/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the merged tree on the disk.
 * Relies on: ops/stack for proven layers, layer/disk to write, base/outdir for the place.
 * Promises: each layer is decoded once; nothing has its name before all was written and proven.
 */
#include "ops/unpack.h"

#include <unistd.h>

#include "base/mem.h"

int unpacking_begin(struct unpacking *u, dray_context *ctx, const char *dir, bool filled_ok,
		    const struct dray_unpack_options *o, dray_error **err)
{
	struct disk_options d;

	u->ctx = ctx;
	u->o = (struct dray_unpack_options)DRAY_UNPACK_OPTIONS_INIT;
	options_take(&u->o, sizeof(u->o), o);
	d = (struct disk_options){ .owners = geteuid() == 0 && !u->o.no_same_owner,
				   .xattrs = !u->o.no_xattrs };
	if (outdir_begin(&u->out, dir, filled_ok, err) < 0)
		return -1;
	u->disk = disk_new(u->out.stage, &d, err);
	return u->disk ? 0 : -1;
}

void unpacking_clear(struct unpacking *u)
{
	disk_free(u->disk);
	tree_free(u->tree);
	mem_free(u->homes);
	stack_free(u->s);
	outdir_clear(&u->out);
}

int unpacking_add_layers(struct unpacking *u, dray_error **err)
{
	for (size_t i = 0; i < u->s->n_reads; i++)
		if (disk_add_layer(u->disk, (uint32_t)i, err) < 0)
			return -1;
	return 0;
}

int unpacking_put(void *arg, size_t read, const struct layer_entry *e, struct source *data,
		  dray_error **err)
{
	const struct unpacking *u = arg;

	return disk_put(u->disk, (uint32_t)read, e, data, err);
}

int unpacking_merge(struct unpacking *u, size_t from, dray_error **err)
{
	size_t n = u->s->n - from;

	u->homes = mem_alloc_array(n + 1, sizeof(*u->homes));
	if (!u->homes)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		u->homes[i] = (uint32_t)u->s->which[from + i];
	return stack_tree_of(u->s, from, u->s->n, &u->tree, err);
}

/* ---- the end ---- */

/* What was asked for is not told. */
static void tell_left(const struct unpacking *u, const struct disk_counts *c)
{
	static const char *const texts[DISK_LEFT_KINDS] = {
		[DISK_LEFT_OWNERS] = "names that are yours instead of their owners'",
		[DISK_LEFT_SETID] = "files without their setuid and setgid bits, being yours",
		[DISK_LEFT_DEVICES] = "devices left out",
		[DISK_LEFT_SECURITY] = "extended attributes left out: security.*",
		[DISK_LEFT_TRUSTED] = "extended attributes left out: trusted.*",
		[DISK_LEFT_XATTRS] = "extended attributes left out: of other kinds",
	};

	for (int i = 0; i < DISK_LEFT_KINDS; i++)
		if (c->left[i] > 0 && !(i == DISK_LEFT_OWNERS && u->o.no_same_owner))
			context_log(u->ctx, DRAY_LOG_WARNING, "%lld %s", (long long)c->left[i],
				    texts[i]);
}

static void tell(const struct unpacking *u, struct dray_unpack_result *ret)
{
	struct disk_counts c;

	disk_counts(u->disk, &c);
	tell_left(u, &c);
	if (!ret)
		return;
	ret->names = c.names;
	ret->bytes = c.bytes;
	ret->left_owners = c.left[DISK_LEFT_OWNERS];
	ret->left_setid = c.left[DISK_LEFT_SETID];
	ret->left_devices = c.left[DISK_LEFT_DEVICES];
	ret->left_xattrs = c.left[DISK_LEFT_SECURITY] + c.left[DISK_LEFT_TRUSTED] +
			   c.left[DISK_LEFT_XATTRS];
}

static int give_place(struct unpacking *u, dray_error **err)
{
	if (!u->out.name)
		return disk_merge(u->disk, u->out.parent, u->o.force, err) < 0
			       ? -1
			       : outdir_finish(&u->out, err);
	if (disk_place(u->disk, u->out.parent, u->out.name, err) < 0)
		return -1;
	/* An empty stage beside a whole folder is no failure; unpacking_clear() tries again. */
	(void)!outdir_finish(&u->out, NULL);
	return 0;
}

static int publish(struct unpacking *u, dray_error **err)
{
	if (u->o.sync && io_syncfs(u->out.stage, err) < 0)
		return -1;
	if (give_place(u, err) < 0)
		return -1;
	return u->o.sync ? io_syncfs(u->out.parent, err) : 0;
}

/* Does a layer come twice? Then one content may belong to two files. */
static bool has_twins(const struct unpacking *u)
{
	return u->s->n_reads < u->s->n;
}

int unpacking_finish(struct unpacking *u, const struct node *top, const char *name,
		     struct dray_unpack_result *ret, dray_error **err)
{
	const struct disk_homes homes = { u->homes, has_twins(u) };

	if (disk_build(u->disk, top, name, &homes, err) < 0 || publish(u, err) < 0)
		return -1;
	tell(u, ret);
	return 0;
}

int dray_unpack(dray_context *ctx, const char *image, const struct dray_select *sel,
		const char *dir, const struct dray_unpack_options *o,
		struct dray_unpack_result *ret, dray_error **err)
{
	struct dray_unpack_options own = DRAY_UNPACK_OPTIONS_INIT;
	cleanup_unpacking struct unpacking u = UNPACKING_INIT;
	const struct stack_options so = { .lazy = true, .on_file = unpacking_put, .arg = &u };

	o = options_take(&own, sizeof(own), o);
	if (unpacking_begin(&u, ctx, dir, o->force, o, err) < 0 ||
	    stack_open(ctx, image, sel, &so, &u.s, err) < 0 || unpacking_add_layers(&u, err) < 0 ||
	    stack_load_all(u.s, err) < 0 || unpacking_merge(&u, 0, err) < 0)
		return -1;
	return unpacking_finish(&u, tree_root(u.tree), NULL, ret, err);
}
