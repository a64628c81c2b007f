/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what an engine's disk tells of an image, as members of the image's JSON.
 * Relies on: base/jsonw.h; the keys are a contract, new ones go last.
 * Promises: every time comes with the file that tells it and with how sure that is.
 */
#include "cli/render.h"

static void render_event(struct jsonw *w, const struct dray_disk_event *e)
{
	jsonw_object(w);
	jsonw_kstring(w, "event", e->event);
	jsonw_kstring(w, "time", e->time);
	jsonw_kstring(w, "from", e->from);
	jsonw_kstring(w, "certainty", e->certainty);
	jsonw_end_object(w);
}

static void render_texts(struct jsonw *w, const char *key, const char *const *list, size_t n)
{
	jsonw_key(w, key);
	jsonw_array(w);
	for (size_t i = 0; i < n; i++)
		jsonw_string(w, list[i]);
	jsonw_end_array(w);
}

void render_disk(struct jsonw *w, const struct dray_disk_info *disk)
{
	const struct dray_disk_event *u = disk->updated;

	jsonw_kstring(w, "updated", u ? u->time : NULL);
	jsonw_kstring(w, "updated_event", u ? u->event : NULL);
	jsonw_kstring(w, "updated_from", u ? u->from : NULL);
	jsonw_kstring(w, "certainty", u ? u->certainty : NULL);
	jsonw_kstring(w, "state", disk->state);
	jsonw_kstring(w, "driver", disk->driver);
	jsonw_kstring(w, "parent", disk->parent);
	render_texts(w, "repo_digests", disk->repo_digests, disk->n_repo_digests);
	render_texts(w, "containers", disk->containers, disk->n_containers);
	jsonw_key(w, "events");
	jsonw_array(w);
	for (size_t i = 0; i < disk->n_events; i++)
		render_event(w, &disk->events[i]);
	jsonw_end_array(w);
	jsonw_kstring(w, "digest", disk->digest);
}
