/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      a registry as a destination.
 * Relies:   on remote.h alone.
 * Promises: a tag is put last by whoever calls in that order; nothing is left to finish.
 */
#include "base/mem.h"
#include "remote/remote.h"

struct remote_dest {
	struct dest dest;
	struct remote *remote; /* lent */
};

static struct remote *remote_of(struct dest *d)
{
	return ((struct remote_dest *)d)->remote;
}

static int has_blob(struct dest *d, const struct descriptor *desc, dray_error **err)
{
	int64_t size = -1;
	int rc = remote_has_blob(remote_of(d), &desc->digest, &size, err);

	/* A blob of another length is not the one we mean: send it again, the registry will judge. */
	if (rc == 1 && size >= 0 && desc->size >= 0 && size != desc->size)
		return 0;
	return rc;
}

static int put_blob(struct dest *d, const struct blob_put *put, struct source *data,
		    struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	return remote_put_blob(remote_of(d), put, data, ret_digest, ret_size, err);
}

static int put_manifest(struct dest *d, const struct manifest *m, const char *tag, dray_error **err)
{
	return remote_put_manifest(remote_of(d), m, tag ? tag : m->digest.text, err);
}

static int finish(struct dest *d, dray_error **err)
{
	(void)d;
	(void)err;
	return 0;
}

static void free_dest(struct dest *d)
{
	mem_free(d->place);
	mem_free(d);
}

static const struct dest_ops ops = {
	.has_blob = has_blob,
	.put_blob = put_blob,
	.put_manifest = put_manifest,
	.finish = finish,
	.free = free_dest,
};

struct dest *remote_dest(struct remote *r, dray_error **err)
{
	struct remote_dest *d = mem_zalloc(sizeof(*d));
	char *place = mem_strdup(remote_name(r));

	if (!d || !place) {
		mem_free(d);
		mem_free(place);
		err_nomem(err);
		return NULL;
	}
	d->dest.ops = &ops;
	d->dest.place = place;
	d->dest.wants_compressed = true;
	d->remote = r;
	return &d->dest;
}
