/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "verify": do all bytes match the digests that name them.
 * Relies on: dray_verify(), which reads everything once.
 * Promises: exit status 1 when there is a problem; each problem is told.
 */
#include "cli/cli.h"
#include "cli/render.h"

struct verify_flags {
	const char *signature, *keyring, *homedir;
};

#define V(field) offsetof(struct verify_flags, field)

static const struct option verify_table[] = {
	{ "signature", 0, OPT_STRING, V(signature), "FILE",
	  "also check this signature of the image, as dray sign and gpg make them",
	  .complete = COMPLETE_FILE },
	{ "keyring", 0, OPT_STRING, V(keyring), "FILE",
	  "the public keys that count, and no others (default: those of your gpg)",
	  .complete = COMPLETE_FILE },
	{ "homedir", 0, OPT_STRING, V(homedir), "DIR",
	  "gpg's folder, without --keyring (default: GNUPGHOME, else ~/.gnupg)",
	  .complete = COMPLETE_DIR },
	{ 0 },
};

/* Bytes of the distinct layers as stored. */
static int64_t checked_bytes(const struct dray_image_info *image)
{
	int64_t sum = (int64_t)image->config_size;

	for (size_t i = 0; i < image->n_layers; i++) {
		const struct dray_layer_info *l = &image->layers[i];
		int64_t size = l->blob_size >= 0 ? l->blob_size : l->size;
		if (l->same_as < 0 && size > 0 && __builtin_add_overflow(sum, size, &sum))
			return -1;
	}
	return sum;
}

static void image_line(struct page *p, const struct dray_image_info *image, bool ok)
{
	char size[HUMAN_SIZE];

	if (image->n_tags || image->image_id) {
		page_safe(p, image->n_tags ? image->tags[0] : image->image_id);
		page_put(p, ": ");
	}
	page_put(p, "%s%zu layer%s, %s checked\n", ok ? "ok: " : "", image->n_layers,
		 image->n_layers == 1 ? "" : "s", human_size(checked_bytes(image), size));
}

static void problem_line(struct page *p, const struct dray_finding *f)
{
	page_put(p, "problem: ");
	page_safe(p, f->code);
	page_put(p, ": ");
	if (f->where) {
		page_safe(p, f->where);
		page_put(p, ": ");
	}
	page_safe(p, f->message);
	/* Some messages carry both values already. */
	if (f->expected && f->actual && !strstr(f->message, f->actual)) {
		page_put(p, " (expected ");
		page_safe(p, f->expected);
		page_put(p, ", got ");
		page_safe(p, f->actual);
		page_put(p, ")");
	}
	page_put(p, "\n");
}

static void verify_text(struct page *p, const dray_report *r)
{
	size_t problems = dray_report_problems(r);

	for (size_t i = 0; i < dray_report_images(r); i++)
		image_line(p, dray_report_image(r, i), problems == 0);
	for (size_t i = 0; i < problems; i++)
		problem_line(p, dray_report_problem(r, i));
	if (problems)
		page_put(p, "%zu problem%s\n", problems, problems == 1 ? "" : "s");
}

static void signature_text(struct page *p, const dray_signatures *s)
{
	for (size_t i = 0; i < dray_signatures_count(s); i++) {
		const struct dray_signature *sig = dray_signatures_get(s, i);

		page_put(p, "signature: good: ");
		page_safe(p, sig->uid);
		page_put(p, ", key %s, %s", sig->fingerprint, sig->created ? sig->created : "");
		if (sig->trust)
			page_put(p, ", trust %s", sig->trust);
		page_put(p, "\n");
	}
}

static int check_flags(const struct session *s, dray_error **err)
{
	const struct verify_flags *f = s->options;

	if (!f->signature && (f->keyring || f->homedir))
		return err_set(err, DRAY_ERR_USAGE, "--%s is about a --signature",
			       f->keyring ? "keyring" : "homedir");
	if (f->keyring && f->homedir)
		return err_set(err, DRAY_ERR_USAGE, "--keyring and --homedir: one of both");
	if (!f->signature || !ref_is_stdio(s->args[0]))
		return session_check_input(s, s->args[0], err);
	err_set(err, DRAY_ERR_USAGE,
		"a pipe can be read only once, and --signature needs the image twice");
	return err_hint(err, "save it to a file first");
}

/*
 * Before the rest: a wrong path is told at once. What speaks of the image's bytes or of the
 * signature waits for what the rest finds: an image with problems is not worth a word about
 * its signature. 0, also with *ret_why; -1.
 */
static int look_at_signature(struct session *s, dray_signatures **ret, dray_error **ret_why,
			     dray_error **err)
{
	const struct verify_flags *f = s->options;
	struct dray_signature_options o = DRAY_SIGNATURE_OPTIONS_INIT;
	struct dray_select select = session_select(s);
	bool quiet = s->global.quiet;
	dray_error *why = NULL;
	int rc;

	o.keyring = f->keyring;
	o.homedir = f->homedir;
	/* What is odd about the image, the report tells soon. */
	s->global.quiet = true;
	rc = dray_verify_signature(s->ctx, s->args[0], &select, f->signature, &o, ret, &why);
	s->global.quiet = quiet;
	if (rc == 0)
		return 0;
	switch (dray_error_kind(why)) {
	case DRAY_ERR_SIGNATURE:
	case DRAY_ERR_CORRUPT:
	case DRAY_ERR_FORMAT:
	case DRAY_ERR_LIMIT:
		*ret_why = why;
		return 0;
	default:
		*err = why;
		return -1;
	}
}

static int show(struct session *s, const dray_report *r, const struct signature_answer *a,
		dray_error **err)
{
	progress_hide(&s->progress);
	session_warnings(s, r);
	if (s->global.json)
		return render_verified(&s->page, r, a, err);
	verify_text(&s->page, r);
	if (a && a->good)
		signature_text(&s->page, a->good);
	return 0;
}

/* @p a NULL = nobody asked about a signature. *sig_error is handed on where it decides. */
static int conclude(struct session *s, const dray_report *r, const struct signature_answer *a,
		    dray_error **sig_error, dray_error **err)
{
	bool problems = dray_report_problems(r) > 0;
	bool in_document = s->global.json && a && !a->good && !problems &&
			   dray_error_kind(a->why) == DRAY_ERR_SIGNATURE;

	if (a && !a->good && !problems && !in_document) {
		*err = steal_pointer(sig_error);
		return -1;
	}
	if (show(s, r, a, err) < 0)
		return -1;
	if (in_document)
		session_complain(s, a->why);
	return problems ? STATUS_NEGATIVE : in_document ? STATUS_SIGNATURE : STATUS_OK;
}

static int run_verify(struct session *s, dray_error **err)
{
	const struct verify_flags *f = s->options;
	struct dray_select select = session_select(s);
	cleanup_signatures dray_signatures *good = NULL;
	cleanup_error dray_error *why = NULL;
	cleanup_report dray_report *r = NULL;

	if (check_flags(s, err) < 0 || !session_context(s, err) ||
	    (f->signature && look_at_signature(s, &good, &why, err) < 0) ||
	    dray_verify(s->ctx, s->args[0], &select, &r, err) < 0)
		return -1;
	return conclude(
		s, r, f->signature ? &(struct signature_answer){ .good = good, .why = why } : NULL,
		&why, err);
}

const struct command cmd_verify = {
	.name = "verify",
	.group = GROUP_UNDERSTAND,
	.summary = "read everything and recompute every digest",
	.args = "IMAGE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes = "Reads every byte of an image once and recomputes what names it: config digest, "
		 "DiffIDs, blob digests, sizes, counts. Exit status 1 when something does not "
		 "match, 6 when the place can't be read as an image at all. With --signature also "
		 "the OpenPGP signature that dray sign made, wherever the image has been since; "
		 "exit status 7 when it is not good.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_OUTPUT | FEATURE_CLOBBER,
	.options = verify_table,
	.options_size = sizeof(struct verify_flags),
	.run = run_verify,
};
