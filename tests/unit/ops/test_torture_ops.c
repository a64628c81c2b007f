/* SPDX-License-Identifier: Apache-2.0
 *
 * The verbs when memory runs out, at every single allocation, and when the disk fails.
 */
#include "ops_box.h"
#include "torture.h"

#include <errno.h>

#define TOLD_MAX 8192

struct order {
	struct box *b;
	const char *src, *dst;
	struct dray_copy_options o;
	char told[TOLD_MAX]; /* what the verb answered, as text */
	size_t len;
};

/* No allocation here: the faults are the library's. */
static PRINTF_LIKE(2, 3) void tell(struct order *j, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(j->told + j->len, sizeof(j->told) - j->len, fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < sizeof(j->told) - j->len);
	j->len += (size_t)n;
}

static const char *or_none(const char *text)
{
	return text ? text : "-";
}

static void tell_report(struct order *j, const dray_report *r)
{
	for (size_t i = 0; i < dray_report_images(r); i++) {
		const struct dray_image_info *im = dray_report_image(r, i);

		tell(j, "%s %s %s %zu\n", or_none(im->image_id), or_none(im->manifest_digest),
		     or_none(im->platform), im->n_tags);
		for (size_t k = 0; k < im->n_layers; k++) {
			const struct dray_layer_info *l = &im->layers[k];

			tell(j, " %s %s %s %s %s %lld %lld %lld %s\n", or_none(l->diff_id),
			     or_none(l->chain_id), or_none(l->v1_id), or_none(l->blob_digest),
			     or_none(l->compression), (long long)l->size, (long long)l->blob_size,
			     (long long)l->same_as, or_none(l->link_target));
		}
	}
	for (size_t i = 0; i < dray_report_problems(r); i++)
		tell(j, "! %s\n", dray_report_problem(r, i)->message);
	for (size_t i = 0; i < dray_report_warnings(r); i++)
		tell(j, "? %s\n", dray_report_warning(r, i)->message);
}

/*
 * Each failing allocation is NOMEM, or it was for a text that nobody asked for and the answer
 * is word for word that of an undisturbed run.
 */
static void torture(torture_fn *fn, struct order *j)
{
	char want[TOLD_MAX];
	dray_error *err = NULL;

	j->len = 0;
	assert_ok(fn(j, &err), err);
	memcpy(want, j->told, sizeof(want));
	for (uint64_t nth = 1; nth < TORTURE_ROUNDS; nth++) {
		bool reached;
		int rc;

		j->len = 0;
		reached = torture_once(FAULT_ALLOC, nth, 0, fn, j, &rc, &err);
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_NOMEM);
		else if (strcmp(want, j->told) != 0)
			fail_msg("allocation %llu failed: %s\nnot %s", (unsigned long long)nth,
				 j->told, want);
		if (!reached)
			return;
	}
	fail_msg("still failing after %d faults", TORTURE_ROUNDS);
}

/* A fresh context each time: what it makes on first use fails as well. */
static int new_context(dray_context **ret, dray_error **err)
{
	const struct dray_context_options o = {
		.size = sizeof(o), .jobs = 1, .no_cache = true, .platform = "linux/amd64"
	};

	return dray_context_new(&o, ret, err);
}

typedef int reading_verb(dray_context *ctx, const char *place, const struct dray_select *sel,
			 dray_report **ret, dray_error **err);

static int read_with(reading_verb *verb, struct order *j, dray_error **err)
{
	dray_context *ctx = NULL;
	dray_report *r = NULL;
	int rc = new_context(&ctx, err);

	if (rc == 0)
		rc = verb(ctx, j->src, NULL, &r, err);
	if (rc == 0)
		tell_report(j, r);
	dray_report_free(r);
	dray_context_free(ctx);
	return rc;
}

static int run_images(void *arg, dray_error **err)
{
	return read_with(dray_images, arg, err);
}

static int run_explain(void *arg, dray_error **err)
{
	return read_with(dray_explain, arg, err);
}

static int run_verify(void *arg, dray_error **err)
{
	return read_with(dray_verify, arg, err);
}

static int run_hash(void *arg, dray_error **err)
{
	struct order *j = arg;
	dray_context *ctx = NULL;
	dray_matches *m = NULL;
	int rc = new_context(&ctx, err);

	if (rc == 0)
		rc = dray_explain_hash(ctx, j->dst, j->src, NULL, &m, err);
	for (size_t i = 0; rc == 0 && i < dray_matches_count(m); i++)
		tell(j, "%s %s\n", dray_matches_get(m, i)->kind, dray_matches_get(m, i)->value);
	dray_matches_free(m);
	dray_context_free(ctx);
	return rc;
}

static int run_why(void *arg, dray_error **err)
{
	struct order *j = arg;
	dray_context *ctx = NULL;
	dray_why_result *w = NULL;
	int rc = new_context(&ctx, err);

	if (rc == 0)
		rc = dray_why(ctx, j->src, j->dst, &w, err);
	for (size_t i = 0; rc == 0 && i < dray_why_causes(w); i++)
		tell(j, "%s\n", dray_why_cause(w, i)->message);
	dray_why_free(w);
	dray_context_free(ctx);
	return rc;
}

static int run_copy(void *arg, dray_error **err)
{
	struct order *j = arg;
	dray_context *ctx = NULL;
	dray_copy_result *r = NULL;
	int rc = new_context(&ctx, err);

	if (rc == 0)
		rc = dray_copy(ctx, j->src, j->dst, &j->o, &r, err);
	for (size_t i = 0; rc == 0 && i < dray_copy_count(r); i++) {
		const struct dray_copied *c = dray_copy_get(r, i);

		tell(j, "%s %s %s\n", c->reference, c->manifest_digest, or_none(c->tagged));
		for (size_t k = 0; k < c->n_changes; k++)
			tell(j, "%s\n", c->changes[k]);
	}
	dray_copy_free(r);
	dray_context_free(ctx);
	return rc;
}

/* With oddities to tell: a link, equal layers, a config of another name, a short history. */
static const char *engine_archive(struct box *b, const char *name)
{
	struct piece *gz = box_piece(b, "one", ENCODING_GZIP);
	struct piece *zst = box_piece(b, "two", ENCODING_ZSTD);
	struct piece *stack[] = { gz, zst, gz };
	const struct member m[] = { { "a/layer.tar", gz, NULL },
				    { "b/layer.tar", zst, NULL },
				    { "c/layer.tar", NULL, "../a/layer.tar" } };
	const char *config = box_config(
		b, "\"created\":\"2020-01-02T03:04:05Z\",\"history\":[{\"created_by\":\"x\"}],",
		stack, ROWS(stack));

	return box_docker(b, name, config, "\"test/app:1\"", m, ROWS(m));
}

static struct order job_of(void **state, bool oci)
{
	struct box *b = *state;
	struct piece *p;
	struct order j = { .b = b, .o = DRAY_COPY_OPTIONS_INIT };

	if (oci) {
		p = box_piece(b, "one", ENCODING_GZIP);
		j.src = box_oci_plain(b, "in.tar", false, &p, 1);
	} else {
		j.src = engine_archive(b, "in.tar");
	}
	j.dst = box_place(b, "oci-archive:", "out.tar");
	return j;
}

static void torture_reading(void **state)
{
	static torture_fn *const verbs[] = { run_images, run_explain, run_verify };

	for (int oci = 0; oci < 2; oci++) {
		struct order j = job_of(state, oci);

		for (size_t i = 0; i < ROWS(verbs); i++)
			torture(verbs[i], &j);
	}
}

/* A hash that is found, and one for which every derivation is tried. */
static void torture_hashes(void **state)
{
	for (int known = 0; known < 2; known++) {
		struct order j = job_of(state, false);

		j.dst = known ? j.b->pieces[0].diff_id.text : "0123abcd";
		torture(run_hash, &j);
	}
}

static void torture_why(void **state)
{
	struct order j = job_of(state, true);
	struct piece *p = box_piece(j.b, "other", ENCODING_ZSTD);

	j.dst = j.src;
	j.src = box_oci_plain(j.b, "other.tar", true, &p, 1);
	torture(run_why, &j);
}

static void torture_copy(void **state)
{
	static const char *const kinds[] = { "oci-archive:", "docker-archive:", "dir:" };

	for (int oci = 0; oci < 2; oci++)
		for (size_t i = 0; i < ROWS(kinds); i++) {
			struct order j = job_of(state, oci);

			j.dst = box_place(j.b, kinds[i], i < 2 ? "out.tar" : "out.dir");
			torture(run_copy, &j);
		}
}

/* With layers to convert: decoders, encoders and the pool. */
static void torture_convert(void **state)
{
	static const char *const to[] = { "gzip", "zstd" };

	for (size_t i = 0; i < ROWS(to); i++) {
		struct order j = job_of(state, false);

		j.o.compression = to[i];
		torture(run_copy, &j);
	}
}

/* From a pipe: everything passes once. */
static int run_piped(void *arg, dray_error **err)
{
	struct order *j = arg;
	int fd = openat(j->b->fd, "in.tar", O_RDONLY | O_CLOEXEC), before, rc;
	uint8_t room[60000];
	ssize_t n = read(fd, room, sizeof(room));

	close(fd);
	assert_true(n > 0 && n < (ssize_t)sizeof(room));
	before = box_stdin(span_of(room, (size_t)n));
	rc = run_copy(j, err);
	box_stdin_back(before);
	return rc;
}

static void torture_pipe(void **state)
{
	struct order j = job_of(state, false);

	j.src = "-";
	torture(run_piped, &j);
}

/*
 * A failing call leaves nothing, or the whole archive when only its folder's sync failed;
 * never half of it, never temps.
 */
static void check_output(void *arg, bool failed)
{
	struct order *j = arg;

	j->len = 0;

	if (!failed || faccessat(j->b->fd, "out.tar", F_OK, 0) == 0)
		dray_report_free(box_sound(j->b, j->dst));
	unlinkat(j->b->fd, "out.tar", 0);
	assert_int_equal(dir_count(j->b->fd), 1);
}

static void torture_disk(void **state)
{
	struct order j = job_of(state, false);

	torture_io(run_copy, &j, ENOSPC, check_output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		box_test(torture_reading), box_test(torture_hashes),  box_test(torture_why),
		box_test(torture_copy),	   box_test(torture_convert), box_test(torture_pipe),
		box_test(torture_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
