/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "sign": an OpenPGP signature of an image.
 * Relies on: dray_sign(), which has gpg make it.
 * Promises: the signature file appears whole or not at all, and never on a terminal unless it is text.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/number.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/render.h"

struct sign_flags {
	const char *key, *homedir, *passphrase_file;
	bool armor;
};

#define S(field) offsetof(struct sign_flags, field)

static const struct option sign_table[] = {
	{ "key", 0, OPT_STRING, S(key), "ID",
	  .help = "the key to sign with: a fingerprint, key ID or address, as gpg takes them" },
	{ "armor", 0, OPT_FLAG, S(armor), .help = "text instead of binary" },
	{ "homedir", 0, OPT_STRING, S(homedir), "DIR",
	  "gpg's folder (default: GNUPGHOME, else ~/.gnupg)", .complete = COMPLETE_DIR },
	{ "passphrase-file", 0, OPT_STRING, S(passphrase_file), "FILE",
	  "the key's passphrase is the first line of FILE (default: gpg's agent asks for it)",
	  .complete = COMPLETE_FILE },
	{ 0 },
};

static bool to_stdout(const struct session *s)
{
	return strcmp(s->global.output, "-") == 0;
}

static int check_flags(const struct session *s, dray_error **err)
{
	const struct sign_flags *f = s->options;

	if (!f->key) {
		err_set(err, DRAY_ERR_USAGE, "--key is missing: which key is to sign?");
		return err_hint(err, "gpg --list-secret-keys shows which there are");
	}
	if (!s->global.output)
		return err_set(err, DRAY_ERR_USAGE,
			       "--output is missing: where is the signature to go?");
	if (!to_stdout(s) || f->armor || s->global.json || !isatty(STDOUT_FILENO))
		return 0;
	err_set(err, DRAY_ERR_USAGE, "a binary signature does not go to a terminal");
	return err_hint(err, "name a file with -o, or say --armor");
}

/* One line per image: the signature's file and what it is a signature of. */
static char *line_of(const char *path, const dray_signatures *r, size_t i)
{
	cleanup_free char *file = text_safe(span_str(path), 4096);

	return file ? mem_printf("%s@%s", file, dray_signatures_image(r, i)) : NULL;
}

/* The document is all that standard output takes: the signature is in it. */
static int write_data(struct jsonw *w, const dray_signatures *r, dray_error **err)
{
	size_t size;
	const void *data = dray_signatures_data(r, &size);
	cleanup_free char *text = base64_encode(span_of(data, size));

	if (!text)
		return err_nomem(err);
	jsonw_kstring(w, "data", text);
	return 0;
}

static int result_json(struct page *p, const char *path, const dray_signatures *r, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kstring(&w, "output", path);
	render_signatures(&w, r);
	if (strcmp(path, "-") == 0 && write_data(&w, r, err) < 0)
		return -1;
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return 0;
}

static int report_result(struct session *s, const dray_signatures *r, dray_error **err)
{
	const char *path = s->global.output;

	progress_hide(&s->progress);
	for (size_t i = 0; i < dray_signatures_count(r); i++)
		session_note(s, "signed by %s at %s", dray_signatures_get(r, i)->fingerprint,
			     dray_signatures_get(r, i)->created);
	if (s->global.json)
		return result_json(&s->page, path, r, err);
	for (size_t i = 0; i < dray_signatures_images(r); i++) {
		cleanup_free char *line = line_of(path, r, i);

		if (!line)
			return err_nomem(err);
		if (to_stdout(s))
			session_note(s, "%s", line);
		else
			page_put(&s->page, "%s\n", line);
	}
	return 0;
}

/* The file is begun before the image is read: what cannot be written is not worth the wait. */
static int sign_to(struct session *s, struct outfile *o, dray_error **err)
{
	const struct sign_flags *f = s->options;
	struct dray_sign_options options = DRAY_SIGN_OPTIONS_INIT;
	struct dray_select select = session_select(s);
	cleanup_signatures dray_signatures *r = NULL;
	size_t size;

	options.key = f->key;
	options.homedir = f->homedir;
	options.passphrase_file = f->passphrase_file;
	options.armor = f->armor;
	if (!to_stdout(s)) {
		if (outfile_begin(o, AT_FDCWD, s->global.output, s->global.no_clobber, err) < 0)
			return -1;
		outfile_tidy(o);
	}
	if (dray_sign(s->ctx, s->args[0], &select, &options, &r, err) < 0)
		return -1;

	const void *data = dray_signatures_data(r, &size);
	if (to_stdout(s) && !s->global.json)
		page_bytes(&s->page, span_of(data, size));
	else if (!to_stdout(s) &&
		 (io_write_all(o->fd, span_of(data, size), err) < 0 || outfile_commit(o, err) < 0))
		return -1;
	return report_result(s, r, err);
}

static int run_sign(struct session *s, dray_error **err)
{
	cleanup_outfile struct outfile o = OUTFILE_INIT;

	if (check_flags(s, err) < 0 || session_check_input(s, s->args[0], err) < 0 ||
	    !session_context(s, err))
		return -1;
	return sign_to(s, &o, err);
}

const struct command cmd_sign = {
	.name = "sign",
	.group = GROUP_UNDERSTAND,
	.summary = "sign an image with an OpenPGP key",
	.args = "IMAGE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes =
		"Has gpg make a detached signature of the image's untagged canonical archive, "
		"which "
		"is the same wherever the image is: dray verify --signature checks it there, and "
		"so does gpg alone: dray normalize --untagged IMAGE | gpg --verify SIG -. Names "
		"and tags are not covered. With --all the signature is over the set of all images.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_OUTPUT | FEATURE_CLOBBER |
		    FEATURE_PRODUCT,
	.output_help = "the signature file, - for standard output; an old one is replaced at the "
		       "end, whole",
	.all_help = "every image of the place: one signature over the set of them",
	.options = sign_table,
	.options_size = sizeof(struct sign_flags),
	.run = run_sign,
};
