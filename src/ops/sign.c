/* SPDX-License-Identifier: Apache-2.0
 *
 * For: signing an image, and holding a signature against one.
 * Relies on: ops/canonical.h for the bytes, ops/gpg.h for everything about OpenPGP.
 * Promises: the archive is never stored; no yes without gpg's yes on each signature.
 */
#include <dray/sign.h>

#include <fcntl.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "ops/canonical.h"
#include "ops/gpg.h"

#define SHOWN_NAME 512 /* bytes of a name in an error */

struct dray_signatures {
	struct arena arena;
	struct dray_signature *list;
	size_t n;
	struct buf data; /* dray_sign() only */
	struct canonical_facts facts;
};

void dray_signatures_free(dray_signatures *s)
{
	if (!s)
		return;
	arena_clear(&s->arena);
	buf_clear(&s->data);
	canonical_facts_clear(&s->facts);
	mem_free(s);
}

DEFINE_CLEANUP(dray_signatures, cleanup_signatures_fn, dray_signatures_free)
#define cleanup_signatures CLEANUP(cleanup_signatures_fn)

size_t dray_signatures_count(const dray_signatures *s)
{
	return s->n;
}

const struct dray_signature *dray_signatures_get(const dray_signatures *s, size_t i)
{
	return i < s->n ? &s->list[i] : NULL;
}

const void *dray_signatures_data(const dray_signatures *s, size_t *ret_size)
{
	*ret_size = s->data.len;
	return s->data.data;
}

size_t dray_signatures_images(const dray_signatures *s)
{
	return s->facts.n_images;
}

const char *dray_signatures_image(const dray_signatures *s, size_t i)
{
	return i < s->facts.n_images ? s->facts.images[i].image_id : NULL;
}

const char *dray_signatures_digest(const dray_signatures *s)
{
	return s->facts.digest.text;
}

/* ---- what gpg told, made public ---- */

static int copy_text(dray_signatures *s, const char *text, const char **ret, dray_error **err)
{
	*ret = text ? arena_strdup(&s->arena, text) : NULL;
	return text && !*ret ? err_nomem(err) : 0;
}

static int copy_time(dray_signatures *s, int64_t seconds, const char **ret, dray_error **err)
{
	char text[TIME_TEXT];

	return copy_text(s, seconds > 0 ? time_format_utc(seconds, 0, text) : NULL, ret, err);
}

static int copy_signature(dray_signatures *s, const struct gpg_signature *from,
			  struct dray_signature *to, dray_error **err)
{
	to->hash = gpg_hash_name(from->hash);
	to->trust = from->trust;
	if (copy_text(s, from->fingerprint, &to->fingerprint, err) < 0 ||
	    copy_text(s, from->primary, &to->primary_fingerprint, err) < 0 ||
	    copy_text(s, from->uid, &to->uid, err) < 0 ||
	    copy_time(s, from->created, &to->created, err) < 0)
		return -1;
	return copy_time(s, from->expires, &to->expires, err);
}

static int copy_signatures(dray_signatures *s, const struct gpg *g, dray_error **err)
{
	s->list = arena_array(&s->arena, g->said.n_sigs + 1, sizeof(*s->list));
	if (!s->list)
		return err_nomem(err);
	for (size_t i = 0; i < g->said.n_sigs; i++)
		if (copy_signature(s, &g->said.sigs[i], &s->list[i], err) < 0)
			return -1;
	s->n = g->said.n_sigs;
	return 0;
}

/* ---- the archive on its way to gpg ---- */

static int feed(struct gpg *g, dray_context *ctx, const char *image,
		const struct canonical_wishes *wishes, struct canonical_facts *facts,
		dray_error **err)
{
	cleanup_sink struct sink *k = gpg_sink(g, err);
	cleanup_error dray_error *why = NULL;

	if (!k)
		return -1;
	if (canonical_stream(ctx, image, wishes, k, facts, &why) == 0 || g->deaf)
		return 0; /* why gpg left early, it says at the end */
	if (err)
		*err = steal_pointer(&why);
	return -1;
}

static void tell_text(const struct gpg *g, dray_context *ctx)
{
	cleanup_free char *text = gpg_text(g);

	if (text && *text)
		context_log(ctx, DRAY_LOG_INFO, "gpg said: %s", text);
}

typedef int judge_fn(const struct gpg_status *s, bool exited_well, dray_error **err);

/* All that lies between a started gpg and its answer. */
static int converse(struct gpg *g, dray_context *ctx, const char *image,
		    const struct canonical_wishes *wishes, judge_fn *judge, dray_signatures **ret,
		    dray_error **err)
{
	cleanup_signatures dray_signatures *s = mem_zalloc(sizeof(*s));
	bool exited_well = false;

	if (!s)
		return err_nomem(err);
	if (feed(g, ctx, image, wishes, &s->facts, err) < 0 || gpg_end(g, &exited_well, err) < 0)
		return -1;
	tell_text(g, ctx);
	/* Whoever left early cannot have seen all that it speaks of. */
	if (judge(&g->said, exited_well && !g->deaf, err) < 0)
		return -1;
	if (copy_signatures(s, g, err) < 0)
		return -1;
	*ret = steal_pointer(&s);
	return 0;
}

/* ---- the verbs ---- */

static int require_file(const char *what, const char *path, dray_error **err)
{
	struct stat st;

	return path && io_fstatat(AT_FDCWD, path, 0, &st, err) < 0 ? err_ctx(err, "%s", what) : 0;
}

static int sign(dray_context *ctx, const char *image, const struct dray_select *sel,
		const struct gpg_sign_options *how, dray_signatures **ret, dray_error **err)
{
	const struct canonical_wishes wishes = { .image = sel ? sel->image : NULL,
						 .all = sel && sel->all,
						 .untagged = true };
	cleanup_signatures dray_signatures *s = NULL;
	cleanup_gpg struct gpg g = GPG_INIT;

	if (gpg_start_sign(&g, how, err) < 0 ||
	    converse(&g, ctx, image, &wishes, gpg_status_judge_signing, &s, err) < 0)
		return -1;
	if (g.signature.len == 0)
		return err_set(err, DRAY_ERR_SIGNATURE,
			       "gpg said that it signed, and wrote nothing");
	s->data = g.signature;
	g.signature = BUF_INIT(0);
	*ret = steal_pointer(&s);
	return 0;
}

/* Hand @p why on; where it is about a signature, name what was asked for. */
static int name_failure(dray_error *why, const char *what, const char *name, dray_error **err)
{
	cleanup_error dray_error *e = why;
	cleanup_free char *shown = text_safe(span_str(name), SHOWN_NAME);

	if (dray_error_kind(e) == DRAY_ERR_SIGNATURE && shown)
		err_ctx(&e, "%s%s", what, shown);
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

int dray_sign(dray_context *ctx, const char *image, const struct dray_select *sel,
	      const struct dray_sign_options *o, dray_signatures **ret, dray_error **err)
{
	struct dray_sign_options own = DRAY_SIGN_OPTIONS_INIT;
	struct gpg_sign_options how;
	dray_error *why = NULL;

	o = options_take(&own, sizeof(own), o);
	how = (struct gpg_sign_options){ .key = o->key,
					 .homedir = o->homedir,
					 .passphrase_file = o->passphrase_file,
					 .armor = o->armor };
	if (!o->key)
		return err_set(err, DRAY_ERR_USAGE, "which key is to sign?");
	if (require_file("passphrase", o->passphrase_file, err) < 0 ||
	    require_file("gpg's folder", o->homedir, err) < 0)
		return -1;
	return sign(ctx, image, sel, &how, ret, &why) < 0 ? name_failure(why, "key ", o->key, err)
							  : 0;
}

/* *ret is lent by @p own and @p file. */
static int read_keyring(const char *path, struct buf *file, struct buf *own, struct span *ret,
			dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(path), SHOWN_NAME);

	if (io_read_file(AT_FDCWD, path, LIMIT_KEYRING, file, err) < 0)
		return err_ctx(err, "keyring");
	return keyring_open(span_buf(file), own, ret, err) < 0
		       ? err_ctx(err, "keyring %s", shown ? shown : "")
		       : 0;
}

static int check_signature(dray_context *ctx, const char *image, const struct dray_select *sel,
			   struct span signature, const struct dray_signature_options *o,
			   dray_signatures **ret, dray_error **err)
{
	cleanup_buf struct buf file = BUF_INIT(LIMIT_KEYRING);
	cleanup_buf struct buf own = BUF_INIT(LIMIT_KEYRING);
	struct canonical_wishes wishes = { .image = sel ? sel->image : NULL, .untagged = true };
	cleanup_gpg struct gpg g = GPG_INIT;
	struct span keys;

	if (canonical_means_all(image, wishes.image, sel && sel->all, &wishes.all, err) < 0)
		return -1;
	if (o->keyring && read_keyring(o->keyring, &file, &own, &keys, err) < 0)
		return -1;
	if (signature_sniff(signature, err) < 0 ||
	    gpg_start_verify(&g, signature, o->keyring ? &keys : NULL, o->homedir, err) < 0)
		return -1;
	return converse(&g, ctx, image, &wishes, gpg_status_judge, ret, err);
}

int dray_verify_signature(dray_context *ctx, const char *image, const struct dray_select *sel,
			  const char *signature, const struct dray_signature_options *o,
			  dray_signatures **ret, dray_error **err)
{
	struct dray_signature_options own = DRAY_SIGNATURE_OPTIONS_INIT;
	cleanup_buf struct buf file = BUF_INIT(LIMIT_SIGNATURE);
	dray_error *why = NULL;

	o = options_take(&own, sizeof(own), o);
	if (require_file("gpg's folder", o->homedir, err) < 0)
		return -1;
	if (io_read_file(AT_FDCWD, signature, LIMIT_SIGNATURE, &file, &why) < 0) {
		/* Nothing of that size is a signature. */
		if (dray_error_kind(why) == DRAY_ERR_LIMIT)
			err_rekind(&why, DRAY_ERR_SIGNATURE);
		return name_failure(why, "", signature, err);
	}
	return check_signature(ctx, image, sel, span_buf(&file), o, ret, &why) < 0
		       ? name_failure(why, "", signature, err)
		       : 0;
}
