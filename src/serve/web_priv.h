/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of a page share; not for other rooms.
 */
#pragma once

#include "image/config.h"
#include "serve/html.h"
#include "serve/web.h"

/** A page that is being made. */
struct web {
	const struct web_ask *ask; /* NULL for a refusal */
	struct html h;
	struct arena arena;
};

/** Where lists and their rows come from: what is here, without asking another server. */
struct shelf *web_here(const struct web *w);
/** Everything before the contents. @p title is its heading too. */
void web_begin(struct web *w, const char *title);
void web_end(struct web *w);
/** @p text, which NULL says there was no memory for. */
const char *web_keep(struct web *w, const char *text);
/** A page can do without what failed so: 0, and @p told is freed; -1 where memory is short. */
int web_pass_over(dray_error *told, dray_error **err) MUST_CHECK;
/** The path of a repository's page, or of an image's, by tag or by digest. */
const char *web_repo_path(struct web *w, const char *repo);
const char *web_image_path(struct web *w, const char *repo, const struct shelf_ref *ref);
/** An element with a link to an image: its tag, or the beginning of its digest. */
void web_image_link(struct web *w, const struct shelf_ref *ref);
/** "<p class=note>": @p n of something are not shown. */
void web_more(struct web *w, size_t n, const char *what);
/** Whole digest, that can be selected at once. */
void web_digest(struct web *w, const struct digest *d);

/** A row of a list: what a manifest is, as far as it tells alone. A refusal leaves it unknown. */
struct web_summary {
	struct digest digest; /* unset where that is not known */
	const char *kind; /* static */
	int64_t size;	  /* of config and layers as they are sent; -1 = not known */
	size_t entries;	  /* of an index */
	bool gone;
};
int web_summary(struct web *w, const struct shelf_ref *ref, struct web_summary *ret,
		dray_error **err) MUST_CHECK;
/** The cells behind the first of a row: "image", "index of 3" and so on; its size. Ends in an open one. */
void web_summary_cells(struct web *w, const struct web_summary *s);

int web_home(struct web *w, dray_error **err) MUST_CHECK;
int web_repo(struct web *w, dray_error **err) MUST_CHECK;
int web_image(struct web *w, dray_error **err) MUST_CHECK;

/** Sections of an image's page. @p c may be NULL: it has none that can be read. */
int web_layers(struct web *w, const struct manifest *m, const struct config *c,
	       dray_error **err) MUST_CHECK;
int web_config(struct web *w, const struct config *c, dray_error **err) MUST_CHECK;
/** @p m may be NULL. */
void web_pull(struct web *w, const struct manifest *m, const struct digest *d);
