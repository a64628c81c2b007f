/* SPDX-License-Identifier: Apache-2.0
 *
 * For: when an image of a Docker data root was pulled, written or tagged (formats.md 7.3).
 * Relies on: times of files, and the few times that dockerd writes down.
 * Promises: each time comes with the file that tells it and with how sure that is.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "disk/docker_priv.h"

#define EVENTS_MAX 4

/* The events of one image as they are gathered. */
struct telling {
	struct docker_root *root;
	struct image *im;
	struct dray_disk_event list[EVENTS_MAX];
	int64_t sec[EVENTS_MAX];
	int32_t nsec[EVENTS_MAX];
	size_t n;
};

static int tell(struct telling *t, const char *event, int64_t sec, int32_t nsec, const char *from,
		const char *certainty, dray_error **err)
{
	struct arena *a = &t->im->arena;
	char text[TIME_TEXT];
	size_t at = t->n++;

	/* Newest first. */
	for (; at && (t->sec[at - 1] < sec || (t->sec[at - 1] == sec && t->nsec[at - 1] < nsec));
	     at--) {
		t->list[at] = t->list[at - 1];
		t->sec[at] = t->sec[at - 1];
		t->nsec[at] = t->nsec[at - 1];
	}
	t->sec[at] = sec;
	t->nsec[at] = nsec;
	t->list[at] = (struct dray_disk_event){
		.event = event,
		.time = arena_strdup(a, time_format_utc(sec, nsec, text)),
		.from = arena_strdup(a, from),
		.certainty = certainty,
	};
	return t->list[at].time && t->list[at].from ? 0 : err_nomem(err);
}

/* ---- what dockerd wrote down ---- */

static int tell_tagged(struct telling *t, dray_error **err)
{
	const char *path = arena_printf(&t->im->arena,
					"image/%s/imagedb/metadata/sha256/%s/lastUpdated",
					t->root->driver, digest_hex(&t->im->config_digest_claimed));
	cleanup_error dray_error *e = NULL;
	const char *text;
	int64_t sec;
	int32_t nsec, off;

	if (!path)
		return err_nomem(err);
	if (beneath_line(t->root->disk->root, path, &t->root->arena, &text, &e) < 0)
		return disk_forgive(&e, err);
	if (!text || !time_parse_rfc3339(span_str(text), &sec, &nsec, &off))
		return 0;
	return tell(t, "tagged", sec, nsec, path, "recorded", err);
}

/* ---- where the top layer came from ---- */

/* An entry without HMAC was written by a pull, one with it by a push. */
static int is_pull_from(struct docker_root *r, struct json entry, const char *repo, bool *ret,
			dray_error **err)
{
	const char *from, *hmac;

	if (json_want(entry, JSON_OBJECT, false, "entry", err) < 0 ||
	    json_string(json_get(entry, "SourceRepository"), "SourceRepository", &r->arena, &from,
			err) < 0 ||
	    json_string(json_get(entry, "HMAC"), "HMAC", &r->arena, &hmac, err) < 0)
		return -1;
	*ret = from && (!hmac || !hmac[0]) && strcmp(from, repo) == 0;
	return 0;
}

/* "docker.io/library/busybox" of "busybox@sha256:...". */
static int full_repository(struct docker_root *r, const char *digest_ref, const char **ret,
			   dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	int parsed = disk_reference(digest_ref, &ref, err);

	*ret = NULL;
	if (parsed <= 0)
		return parsed;
	*ret = arena_printf(&r->arena, "%s/%s", ref.domain, ref.path);
	return *ret ? 0 : err_nomem(err);
}

static int any_pull(struct docker_root *r, struct json list, const struct dray_disk_info *info,
		    bool *ret, dray_error **err)
{
	if (json_want(list, JSON_ARRAY, false, "list", err) < 0)
		return -1;
	for (size_t i = 0; i < info->n_repo_digests && !*ret; i++) {
		const char *repo;

		if (full_repository(r, info->repo_digests[i], &repo, err) < 0)
			return -1;
		for (struct json it = json_first(list); repo && json_node(it) && !*ret;
		     it = json_next(it))
			if (is_pull_from(r, it, repo, ret, err) < 0)
				return -1;
	}
	return 0;
}

static int read_transfers(struct telling *t, const struct dray_disk_info *info, const char *path,
			  struct timespec *ret_mtime, bool *ret_pulled, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	cleanup_json struct json_doc *doc = NULL;

	if (beneath_read(t->root->disk->root, path, &raw, ret_mtime, err) < 0 ||
	    json_parse(span_buf(&raw), &doc, err) < 0)
		return -1;
	return any_pull(t->root, json_root(doc), info, ret_pulled, err);
}

static int tell_transferred(struct telling *t, const struct dray_disk_info *info, bool *ret_pulled,
			    dray_error **err)
{
	const struct image *im = t->im;
	cleanup_error dray_error *e = NULL;
	struct timespec mtime;

	if (!im->n_layers || im->layers[im->n_layers - 1].diff_id.algo != DIGEST_SHA256)
		return 0;
	const char *path = arena_printf(
		&t->im->arena, "image/%s/distribution/v2metadata-by-diffid/sha256/%s",
		t->root->driver, digest_hex(&im->layers[im->n_layers - 1].diff_id));
	if (!path)
		return err_nomem(err);
	if (read_transfers(t, info, path, &mtime, ret_pulled, &e) < 0)
		return disk_forgive(&e, err);
	return tell(t, "transferred", mtime.tv_sec, (int32_t)mtime.tv_nsec, path, "possible", err);
}

/* ---- times of files ---- */

static int tell_registered(struct telling *t, const struct digest *chain, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	struct stat st;
	const char *path = arena_printf(&t->im->arena, "image/%s/layerdb/sha256/%s",
					t->root->driver, digest_hex(chain));

	if (!path)
		return err_nomem(err);
	int there = beneath_stat(t->root->disk->root, path, &st, &e);
	if (there <= 0)
		return there ? disk_forgive(&e, err) : 0;
	return tell(t, "registered", st.st_mtim.tv_sec, (int32_t)st.st_mtim.tv_nsec, path, "likely",
		    err);
}

static int tell_written(struct telling *t, const struct timespec *written, bool pulled,
			dray_error **err)
{
	const char *path = arena_printf(&t->im->arena, "image/%s/imagedb/content/sha256/%s",
					t->root->driver, digest_hex(&t->im->config_digest_claimed));

	return path ? tell(t, pulled ? "pulled" : "written", written->tv_sec,
			   (int32_t)written->tv_nsec, path, "likely", err)
		    : err_nomem(err);
}

/* The newest of those that are about the image itself, not about layers that others have too. */
static const struct dray_disk_event *last_update(const struct dray_disk_event *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].event, "registered") != 0 &&
		    strcmp(list[i].event, "transferred") != 0)
			return &list[i];
	return NULL;
}

int docker_events(struct docker_root *r, struct image *im, const struct digest *chain,
		  const struct timespec *written, struct dray_disk_info *ret, dray_error **err)
{
	struct telling t = { .root = r, .im = im };
	bool pulled = false;

	if (tell_tagged(&t, err) < 0 || tell_transferred(&t, ret, &pulled, err) < 0 ||
	    (chain && tell_registered(&t, chain, err) < 0) ||
	    tell_written(&t, written, pulled, err) < 0)
		return -1;
	struct dray_disk_event *list = arena_array(&im->arena, t.n, sizeof(*list));
	if (!list)
		return err_nomem(err);
	memcpy(list, t.list, t.n * sizeof(*list));
	ret->events = list;
	ret->n_events = t.n;
	ret->updated = last_update(list, t.n);
	return 0;
}
