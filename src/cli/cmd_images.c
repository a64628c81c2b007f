/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "images": what is in a place, one line each.
 * Relies on: dray_images(), which reads documents only.
 * Promises: the order of the place.
 */
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/render.h"

#define DOCUMENT_COLUMNS 6 /* what an engine's disk tells comes behind them */

/* "a:1, b:2" */
static char *join_tags(const struct dray_image_info *image)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);

	if (image->n_tags == 0)
		return mem_strdup("-");
	for (size_t i = 0; i < image->n_tags; i++) {
		if ((i && buf_add_str(&out, ", ", NULL) < 0) ||
		    buf_add_str(&out, image->tags[i], NULL) < 0)
			return NULL;
	}
	return buf_steal_str(&out, NULL);
}

/* When, "pulled, likely", and whether a tag leads to it. */
static void add_disk_cells(struct table *t, const struct dray_disk_info *disk)
{
	const struct dray_disk_event *u = disk ? disk->updated : NULL;
	char updated[HUMAN_TIME];
	char how[40];

	snprintf(how, sizeof(how), "%s%s%s", u ? u->event : "-", u ? ", " : "",
		 u ? u->certainty : "");
	table_add(t, u ? human_time(u->time, updated) : "-");
	table_add(t, how);
	table_add(t, disk && disk->state ? disk->state : "-");
}

/* By what an image is called: as its engine calls it, where the ID of its config is not told. */
static const char *known_digest(const struct dray_image_info *image)
{
	if (image->image_id)
		return image->image_id;
	return image->manifest_digest ? image->manifest_digest : image->index_digest;
}

static void add_row(struct table *t, const struct dray_image_info *image, bool disk)
{
	char id[13], layers[24], size[HUMAN_SIZE], created[HUMAN_TIME];
	cleanup_free char *tags = join_tags(image);

	snprintf(layers, sizeof(layers), "%zu", image->n_layers);
	t->failed |= !tags;
	table_add(t, tags);
	table_add(t, short_digest(known_digest(image), id));
	table_add(t, image->platform);
	table_add(t, layers);
	table_add(t, human_size(image->size, size));
	table_add(t, human_time(image->created, created));
	if (disk)
		add_disk_cells(t, image->disk);
}

static bool any_disk(const dray_report *r)
{
	for (size_t i = 0; i < dray_report_images(r); i++)
		if (dray_report_image(r, i)->disk)
			return true;
	return false;
}

static void images_text(struct page *p, const dray_report *r)
{
	static const char *const heads[] = { "TAGS",	"IMAGE ID", "PLATFORM", "LAYERS", "SIZE",
					     "CREATED", "UPDATED",  "HOW",	"STATE" };
	bool disk = any_disk(r);
	cleanup_table struct table t = { .cols = disk ? ARRAY_LEN(heads) : DOCUMENT_COLUMNS,
					 .right = { [3] = true, [4] = true } };

	for (size_t i = 0; i < t.cols; i++)
		table_add(&t, heads[i]);
	for (size_t i = 0; i < dray_report_images(r); i++)
		add_row(&t, dray_report_image(r, i), disk);
	table_print(&t, p, 0);
}

static int run_images(struct session *s, dray_error **err)
{
	struct dray_select select = session_select(s);
	cleanup_report dray_report *r = NULL;

	if (session_check_input(s, s->args[0], err) < 0 || !session_context(s, err) ||
	    dray_images(s->ctx, s->args[0], &select, &r, err) < 0)
		return -1;
	session_warnings(s, r);
	if (s->global.json)
		return render_report(&s->page, r, false, err);
	images_text(&s->page, r);
	return STATUS_OK;
}

const struct command cmd_images = {
	.name = "images",
	.group = GROUP_LOOK,
	.summary = "list the images of a place",
	.args = "PLACE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes = "Lists the images of an archive, a layout or a registry reference: tags, image "
		 "ID, platform, layers, size, time of creation. Only documents are read, no layer. "
		 "Of "
		 "an engine's disk (docker-root:, containers-storage:) also when an image was "
		 "pulled, "
		 "written or tagged last, how that is known, and whether a tag leads to it.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_OUTPUT | FEATURE_CLOBBER,
	.run = run_images,
};
