/* SPDX-License-Identifier: Apache-2.0
 *
 * For: which owners root may give: all, unless it lacks CAP_CHOWN or is that of a user namespace.
 * Relies on: proc(5), capabilities(7), user_namespaces(7).
 * Promises: asked once, before anything is written; where there is no /proc nothing is ruled out.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "layer/disk_priv.h"

#define PROC_MAX (64 * KIB) /* bytes; a map has 340 lines at most */

/* 1, 0 = it is not for us to see, -1. */
static int read_proc(const char *path, struct buf *ret, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	if (io_read_file(AT_FDCWD, path, PROC_MAX, ret, &e) == 0)
		return 1;
	if (dray_error_errno(e) == ENOENT || dray_error_errno(e) == EACCES)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

/* Its last digit has the lowest four of the capabilities in effect, CAP_CHOWN the lowest. */
static bool has_chown(struct span status)
{
	static const char field[] = "\nCapEff:\t";
	const uint8_t *at = memmem(status.data, status.len, field, sizeof(field) - 1);
	struct span rest = at ? span_from(status, (size_t)(at - status.data) + sizeof(field) - 1)
			      : span_of("", 0);
	int64_t end = span_find(rest, '\n');

	return end <= 0 || strchr("13579bdf", rest.data[end - 1]);
}

static bool next_number(struct span *rest, int64_t *ret)
{
	size_t from = 0, to;

	while (from < rest->len && (rest->data[from] == ' ' || rest->data[from] == '\n'))
		from++;
	for (to = from; to < rest->len && rest->data[to] >= '0' && rest->data[to] <= '9'; to++)
		;
	if (!num_parse_u63(span_of(rest->data + from, to - from), ret))
		return false;
	*rest = span_from(*rest, to);
	return true;
}

/* A line is: first id here, first id outside, how many. */
static int read_ids(const char *path, struct disk_ids *ret, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(PROC_MAX);
	struct disk_range r;
	struct span rest;
	size_t cap = 0;
	int64_t outside;
	int rc = read_proc(path, &text, err);

	if (rc <= 0)
		return rc;
	rest = span_buf(&text);
	while (next_number(&rest, &r.first) && next_number(&rest, &outside) &&
	       next_number(&rest, &r.n)) {
		if (mem_grow(&ret->list, ret->n, &cap, sizeof(*ret->list)) < 0)
			return err_nomem(err);
		ret->list[ret->n++] = r;
	}
	return 0;
}

int disk_rights_init(struct disk_rights *r, dray_error **err)
{
	cleanup_buf struct buf status = BUF_INIT(PROC_MAX);
	int rc = read_proc("/proc/self/status", &status, err);

	r->none = rc > 0 && !has_chown(span_buf(&status));
	if (rc < 0 || r->none)
		return rc < 0 ? -1 : 0;
	return read_ids("/proc/self/uid_map", &r->uids, err) < 0
		       ? -1
		       : read_ids("/proc/self/gid_map", &r->gids, err);
}

void disk_rights_clear(struct disk_rights *r)
{
	mem_free(r->uids.list);
	mem_free(r->gids.list);
	*r = (struct disk_rights){ 0 };
}

bool disk_ids_hold(const struct disk_ids *ids, uint32_t id)
{
	for (size_t i = 0; i < ids->n; i++)
		if (id >= ids->list[i].first && id - ids->list[i].first < ids->list[i].n)
			return true;
	return ids->n == 0;
}
