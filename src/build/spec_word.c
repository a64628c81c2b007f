/* SPDX-License-Identifier: Apache-2.0
 *
 * Strings of a spec that have a grammar of their own: names, tags, platforms.
 * Relies on image/ for each grammar.
 * Promises nothing but a yes or the reason why not.
 */
#include "build/spec_priv.h"

#include "base/mem.h"
#include "base/text.h"
#include "image/platform.h"
#include "image/reference.h"

/* Capitals become small later on. */
static int check_name(const char *text, dray_error **err)
{
	cleanup_free char *name = mem_strdup(text);
	cleanup_reference struct reference ref = { 0 };

	if (!name)
		return err_nomem(err);
	for (char *c = name; *c; c++)
		*c = ascii_lower(*c);
	if (reference_parse(span_str(name), &ref, err) < 0)
		return -1;
	return ref.tag || digest_set(&ref.digest)
		       ? err_set(err, DRAY_ERR_USAGE, "the tag goes to \"tag\"")
		       : 0;
}

static int check_tag(const char *text, dray_error **err)
{
	if (reference_tag_valid(span_str(text)))
		return 0;
	cleanup_free char *shown = text_safe(span_str(text), 200);
	return err_set(err, DRAY_ERR_USAGE, "\"%s\" is no tag", shown ? shown : "");
}

int spec_id(int64_t v, dray_error **err)
{
	return v <= SPEC_ID_MAX ? 0
				: err_set(err, DRAY_ERR_USAGE, "%lld is over %lld, the highest ID",
					  (long long)v, (long long)SPEC_ID_MAX);
}

int spec_word(struct spec *s, const char *what, const char *text, dray_error **err)
{
	struct platform p;

	if (what && strcmp(what, "name") == 0)
		return check_name(text, err);
	if (what && strcmp(what, "tag") == 0)
		return check_tag(text, err);
	if (what && strcmp(what, "platform") == 0)
		return platform_parse(text, &s->arena, &p, err);
	return 0;
}
