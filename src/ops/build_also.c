/* SPDX-License-Identifier: Apache-2.0
 *
 * build: one of several builds of the same, to other places.
 * Relies on ops/place for what a place is.
 * Promises that whatever can be told of the later ones is told before the first writes anything.
 */
#include "ops/build.h"

#include <fcntl.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "ops/copy_run.h"
#include "ops/ops.h"

/* ---- where they go ---- */

/* The folder that @p path will be in. */
static char *folder_of(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	while (len > 0 && path[len - 1] != '/')
		len--;
	return len ? mem_strndup(path, len) : mem_strdup(".");
}

static int check_place(const char *text, const struct dray_copy_options *o, dray_error **err)
{
	cleanup_place struct place p = { 0 };
	cleanup_free char *folder = NULL;
	struct stat st;

	if (place_parse(text, place_use_of(o), &p, err) < 0)
		return -1;
	if (p.kind == PLACE_ARCHIVE && copy_complete_name(&p, err) < 0)
		return -1;
	if (!p.path || strcmp(p.path, "-") == 0)
		return 0;
	folder = folder_of(p.path);
	if (!folder)
		return err_nomem(err);
	if (io_fstatat(AT_FDCWD, folder, 0, &st, err) == 0)
		return 0;
	if (err && dray_error_kind(*err) == DRAY_ERR_NOT_FOUND)
		err_rekind(err, DRAY_ERR_SYSTEM);
	return err_ctx(err, "%s", p.text);
}

/* ---- what they are made of ---- */

static int say_once(const char *path, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(path), 4096);

	return err_set(err, DRAY_ERR_USAGE, "%s: what can be read only once is for one --output",
		       shown ? shown : "");
}

/* What is not there is told by who reads it. */
static int check_file(const char *path, dray_error **err)
{
	struct stat st;

	if (!path || io_fstatat(AT_FDCWD, path, 0, &st, NULL) < 0 || S_ISREG(st.st_mode) ||
	    S_ISDIR(st.st_mode))
		return 0;
	return say_once(path, err);
}

/* The place of an image: only an archive is read from one end to the other. */
static int check_image(const char *text, dray_error **err)
{
	cleanup_place struct place p = { 0 };

	if (!text || place_parse(text, PLACE_READ, &p, NULL) < 0 || !p.path)
		return 0;
	return strcmp(p.path, "-") == 0 ? say_once(text, err) : check_file(p.path, err);
}

static int check_source(const struct spec_source *s, dray_error **err)
{
	if (check_file(s->graph, err) < 0 || check_file(s->paths, err) < 0 ||
	    check_file(s->list, err) < 0)
		return -1;
	if (s->type == SPEC_IMAGE)
		return check_image(s->from, err);
	return s->type == SPEC_TAR || s->type == SPEC_FILE ? check_file(s->from, err) : 0;
}

int build_check_sources(const struct build *b, const struct dray_build_options *o, dray_error **err)
{
	if (!o->n_also)
		return 0;
	for (size_t i = 0; i < b->spec->n_sources; i++) {
		const struct spec_source *s = &b->spec->sources[i];

		if (check_source(s, err) < 0)
			return err_ctx(err, "source %zu (%s)", i + 1, spec_type_names[s->type]),
			       spec_ctx(b->spec, s->at, err);
	}
	return check_image(b->spec->base.image, err) < 0
		       ? -1
		       : check_image(b->spec->layers.previous, err);
}

int build_check_also(const struct dray_build_options *bo, const struct dray_copy_options *o,
		     dray_error **err)
{
	if (!bo->n_also)
		return 0;
	for (size_t i = 0; i < bo->n_also; i++)
		if (check_place(bo->also[i], o, err) < 0)
			return -1;
	if (bo->spec && strcmp(bo->spec, "-") == 0)
		return err_set(err, DRAY_ERR_USAGE,
			       "a spec from standard input is for one --output");
	if (check_file(bo->spec, err) < 0)
		return -1;
	for (size_t i = 0; i < bo->n_words; i++)
		if (strcmp(bo->words[i].name, "pipeline") == 0 &&
		    check_file(bo->words[i].value, err) < 0)
			return err_ctx(err, "--pipeline");
	return 0;
}
