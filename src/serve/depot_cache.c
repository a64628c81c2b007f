/* SPDX-License-Identifier: Apache-2.0
 *
 * For: a folder that keeps what another registry has: whose it is, and room for what comes.
 * Relies on: times of use, which links and manifests have; garbage collection, to let go of them.
 * Promises: a registry's own folder is never taken for a cache, nor one registry's cache for
 * another's; what makes room is what was used longest ago.
 */
#include "serve/depot_priv.h"

#include <errno.h>
#include <fcntl.h>

#include "base/mem.h"
#include "base/text.h"

#define SPARE_PART 16 /* of the quota that is freed beyond what is needed: it is work */
#define SHOWN 256     /* bytes of a registry's name that an error shows */

/* ---- whose it is ---- */

/* 1, 0 = it is a registry of its own, -1. */
static int read_origin(struct depot *d, char **ret, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&d->writer, Q_ORIGIN, err);
	struct span name;
	int rc;

	if (!st)
		return -1;
	rc = db_step(st, err);
	if (rc <= 0)
		return rc;
	name = db_column_text(st, 0);
	*ret = mem_strndup((const char *)name.data, name.len);
	return *ret ? 1 : err_nomem(err);
}

static int set_origin(struct depot *d, const char *name, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&d->writer, Q_ORIGIN_SET, err);

	if (!st)
		return -1;
	db_bind_text(st, 1, span_str(name));
	d->cache = true;
	return db_run(st, err);
}

static int other_origin(const char *have, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(have), SHOWN);

	if (!shown)
		return err_nomem(err);
	err_set(err, DRAY_ERR_USAGE, "it is a cache of %s", shown);
	return err_hint(err, "serve it with --proxy %s", shown);
}

int cache_open(struct depot *d, bool fresh, dray_error **err)
{
	const char *want = d->o.either ? NULL : d->o.cache_of;
	cleanup_free char *have = NULL;
	int rc;

	if (fresh)
		return want ? set_origin(d, want, err) : 0;
	rc = read_origin(d, &have, err);
	if (rc < 0)
		return -1;
	d->cache = rc > 0;
	if (d->o.either || (!have && !want) || (have && want && strcmp(have, want) == 0))
		return 0;
	if (!have)
		return err_set(err, DRAY_ERR_USAGE, "it is a registry of its own, and no cache");
	return other_origin(have, err);
}

/* ---- what is used ---- */

void cache_used(struct depot *d, int64_t manifest, int64_t seen)
{
	int64_t now = depot_now(d);
	const int64_t n[] = { manifest, now };

	if (d->o.read_only || (seen <= now && now - seen < DEPOT_TOUCH_AFTER) ||
	    depot_begin(d, NULL) < 0)
		return;
	if (side_run(&d->writer, Q_MANIFEST_TOUCH, n, ARRAY_LEN(n), NULL) < 0)
		(void)!depot_abort(d);
	else
		(void)!depot_commit(d, NULL);
}

/* ---- room ---- */

/* How much has to go for @bytes more; not over 0 = they fit. */
static int64_t excess(struct depot *d, int64_t bytes)
{
	int64_t over;

	lock_take(d->sessions.lock);
	over = d->space - (d->o.quota - bytes);
	lock_drop(d->sessions.lock);
	return over;
}

/* When the last of those was used that have @need bytes together, oldest first. 1, 0 = nothing. */
static int find_cutoff(struct depot *d, int64_t need, int64_t *ret, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&d->reader, Q_USES, err);
	bool any = false;
	int rc = -1;

	while (st && need > 0 && (rc = db_step(st, err)) > 0) {
		*ret = db_column_int(st, 0);
		need -= db_column_int(st, 1);
		any = true;
	}
	return rc < 0 ? -1 : any;
}

/* 1 = something went, 0 = nothing is left to go, -1. */
static int evict_some(struct depot *d, int64_t need, dray_error **err)
{
	int64_t cutoff = 0;
	int rc;

	lock_take(d->reader.lock);
	rc = find_cutoff(d, need + d->o.quota / SPARE_PART, &cutoff, err);
	lock_drop(d->reader.lock);
	if (rc <= 0)
		return rc;
	return depot_expire(d, cutoff, err) < 0 ? -1 : 1;
}

int cache_evict(struct depot *d, int64_t bytes, dray_error **err)
{
	int rc = 1;

	if (bytes > d->o.quota) /* for nothing */
		return 0;
	lock_take(d->evicting);
	for (int64_t need = excess(d, bytes); rc > 0 && need > 0; need = excess(d, bytes))
		rc = evict_some(d, need, err);
	lock_drop(d->evicting);
	return rc < 0 ? -1 : 0;
}

int depot_make_room(struct shelf *s, int64_t bytes, dray_error **err)
{
	struct depot *d = depot_of(s);

	if (!d->o.quota || excess(d, bytes) <= 0)
		return 0;
	if (cache_evict(d, bytes, err) < 0)
		return -1;
	return excess(d, bytes) <= 0 ? 0 : depot_over_quota(d, err);
}

/* ---- blobs that come from the other registry ---- */

int depot_knows(struct shelf *s, const struct digest *digest, int64_t *ret_size, dray_error **err)
{
	struct depot *d = depot_of(s);
	int64_t id;
	int rc;

	lock_take(d->reader.lock);
	rc = depot_blob_find(d, &d->reader, digest, &id, ret_size, err);
	lock_drop(d->reader.lock);
	return rc;
}

int depot_adopt(struct shelf *s, const char *repo, const struct digest *digest, dray_error **err)
{
	struct depot *d = depot_of(s);
	int64_t id, size;
	int rc;

	if (depot_begin(d, err) < 0)
		return -1;
	rc = depot_blob_find(d, &d->writer, digest, &id, &size, err);
	if (rc > 0 && depot_link_set(d, repo, id, err) < 0)
		rc = -1;
	if (rc > 0)
		return depot_commit(d, err) < 0 ? -1 : 1;
	depot_abort(d);
	return rc < 0 ? depot_disk_failed(err) : 0;
}

int depot_upload_file(const struct shelf_upload *u, dray_error **err)
{
	int fd = fcntl(((const struct session *)u)->fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? err_sys(err, errno, "an upload cannot be read") : fd;
}
