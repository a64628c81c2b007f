/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "version": which dray, and which libraries make its bytes.
 * Relies on: the library to name them.
 * Promises: one line each; no work.
 */
#include "cli/cli.h"

static int version_json(struct page *p, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	const char *name, *version;
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kstring(&w, "version", dray_version());
	jsonw_key(&w, "libraries");
	jsonw_object(&w);
	for (size_t i = 0; (name = dray_version_library(i, &version)); i++)
		jsonw_kstring(&w, name, version);
	jsonw_end_object(&w);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return STATUS_OK;
}

static int run_version(struct session *s, dray_error **err)
{
	const char *name, *version;

	if (s->global.json)
		return version_json(&s->page, err);
	page_put(&s->page, "dray %s\n", dray_version());
	for (size_t i = 0; (name = dray_version_library(i, &version)); i++)
		page_put(&s->page, "  %s %s\n", name, version);
	return STATUS_OK;
}

const struct command cmd_version = {
	.name = "version",
	.group = GROUP_SELF,
	.summary = "print the version, and those of the libraries in use",
	.args = "",
	.notes = "Prints the version of dray and of the libraries it uses. What compressed a blob "
		 "decides its digest: the libraries belong to the answer.",
	.features = FEATURE_JSON,
	.run = run_version,
};
