/* SPDX-License-Identifier: Apache-2.0
 *
 * For: when containerd's images got their names (formats.md 7.3, last row).
 * Relies on: createdat and updatedat of its metadata, in Go's binary form of a time.
 * Promises: the store that blobs are read by stays as it is, but for what its images tell.
 */
#include "base/mem.h"
#include "base/number.h"
#include "disk/pool_priv.h"

#define GO_TIME 15		      /* bytes: version, seconds, nanoseconds, zone */
#define GO_EPOCH INT64_C(62135596800) /* seconds from the year 1 to 1970 */
#define SECOND_NS 1000000000

/* The operations of a store, of which one tells more. */
struct timed {
	struct store_ops ops;
	const struct store_ops *inner;
	struct map times; /* digest of what a name leads to -> struct pool_times */
};

struct pool_time pool_time_of(struct span s)
{
	struct pool_time t = { 0 };
	uint64_t sec = 0, nsec = 0;

	if (s.len < GO_TIME)
		return t;
	for (size_t i = 1; i < 9; i++)
		sec = sec << 8 | s.data[i];
	for (size_t i = 9; i < 13; i++)
		nsec = nsec << 8 | s.data[i];
	/* The zero time of Go is none. */
	t.known = sec > 0 && sec <= INT64_MAX && nsec < SECOND_NS;
	t.sec = t.known ? (int64_t)sec - GO_EPOCH : 0;
	t.nsec = t.known ? (int32_t)nsec : 0;
	return t;
}

static bool earlier(const struct pool_time *a, const struct pool_time *b)
{
	return a->sec < b->sec || (a->sec == b->sec && a->nsec < b->nsec);
}

/* Several names may lead to one image: what counts is the first and the last. */
static void merge(struct pool_times *to, const struct pool_times *from)
{
	if (from->named.known && (!to->named.known || earlier(&from->named, &to->named)))
		to->named = from->named;
	if (from->updated.known && (!to->updated.known || earlier(&to->updated, &from->updated)))
		to->updated = from->updated;
}

static int learn(struct timed *t, struct arena *a, const struct pool_root *root, dray_error **err)
{
	struct pool_times *have = map_get(&t->times, span_str(root->digest));
	const char *key;

	if (have) {
		merge(have, &root->times);
		return 0;
	}
	key = arena_strdup(a, root->digest);
	have = arena_alloc(a, sizeof(*have));
	if (!key || !have)
		return err_nomem(err);
	*have = root->times;
	return map_put(&t->times, span_str(key), have, err);
}

/* ---- told ---- */

static struct timed *timed_of(const struct store *st)
{
	return (struct timed *)(uintptr_t)st->ops;
}

static int add_event(struct image *im, struct dray_disk_info *info, struct dray_disk_event *list,
		     const char *event, const struct pool_time *time, dray_error **err)
{
	struct dray_disk_event *e = &list[info->n_events];
	char text[TIME_TEXT];

	if (!time->known)
		return 0;
	*e = (struct dray_disk_event){
		.event = event,
		.time = arena_strdup(&im->arena, time_format_utc(time->sec, time->nsec, text)),
		.from = POOL_META,
		.certainty = "recorded",
	};
	info->n_events++;
	return e->time ? 0 : err_nomem(err);
}

/* Newest first; a name that never led elsewhere has been given and no more. */
static int tell_image(struct image *im, const struct pool_times *t, dray_error **err)
{
	struct dray_disk_info *info = arena_alloc(&im->arena, sizeof(*info));
	struct dray_disk_event *list = arena_array(&im->arena, 2, sizeof(*list));

	if (!info || !list)
		return err_nomem(err);
	info->size = -1;
	info->state = im->n_tags ? "tagged" : "dangling";
	info->events = list;
	if ((!t->named.known || earlier(&t->named, &t->updated)) &&
	    add_event(im, info, list, "updated", &t->updated, err) < 0)
		return -1;
	if (add_event(im, info, list, "named", &t->named, err) < 0)
		return -1;
	info->updated = info->n_events ? list : NULL;
	im->disk = info;
	return 0;
}

static int tell(const struct timed *t, struct image *im, dray_error **err)
{
	const struct digest *d = digest_set(&im->root) ? &im->root : &im->wanted;
	const struct pool_times *times;

	if (!digest_set(d) && im->manifest)
		d = &im->manifest->digest;
	times = map_get(&t->times, span_str(d->text));
	return times ? tell_image(im, times, err) : 0;
}

static int timed_images(struct store *st, const struct selector *sel, struct image ***ret,
			size_t *ret_n, dray_error **err)
{
	const struct timed *t = timed_of(st);
	struct image **list;
	size_t n;

	if (t->inner->images(st, sel, &list, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (tell(t, list[i], err) < 0) {
			images_free(list, n);
			return -1;
		}
	*ret = list;
	*ret_n = n;
	return 0;
}

static void timed_free(struct store *st)
{
	struct timed *t = timed_of(st);

	st->ops = t->inner;
	map_clear(&t->times);
	mem_free(t);
	st->ops->free(st);
}

int pool_tell_times(const struct pool *p, struct store *st, dray_error **err)
{
	struct timed *t = mem_zalloc(sizeof(*t));

	if (!t)
		return err_nomem(err);
	t->ops = *st->ops;
	t->ops.images = timed_images;
	t->ops.free = timed_free;
	t->inner = st->ops;
	st->ops = &t->ops;
	for (size_t i = 0; i < p->n_roots; i++)
		if (learn(t, &st->arena, &p->roots[i], err) < 0)
			return -1;
	return 0;
}
