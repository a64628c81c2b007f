/* SPDX-License-Identifier: Apache-2.0
 *
 * Archives for readers from before manifest.json: which members they have, and what a failure leaves.
 */
#include <errno.h>

#include "dest_box.h"
#include "store/legacy.h"
#include "torture.h"

/* An image whose config names @p n layers, of its two. */
struct run {
	struct place p;
	struct made m;
	struct config *config;
	const char *tag;
};

static struct config *config_of(const struct made *m, size_t n)
{
	struct buf raw = BUF_INIT(LIMIT_CONFIG);
	struct config *c = NULL;
	dray_error *err = NULL;

	assert_ok(buf_printf(&raw, &err,
			     "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":"
			     "\"layers\",\"diff_ids\":[\"%s\"",
			     m->descs[1].digest.text),
		  err);
	if (n > 1)
		assert_ok(buf_printf(&raw, &err, ",\"%s\"", m->descs[2].digest.text), err);
	assert_ok(buf_add_str(&raw, "]}}", &err), err);
	assert_ok(config_parse(&raw, &c, &err), err);
	return c;
}

static struct run run_make(size_t n_layers)
{
	struct run r = { .p = place_make("out.tar"), .m = make_image(1), .tag = "test/app:1" };

	r.config = config_of(&r.m, n_layers);
	return r;
}

static void run_clear(struct run *r)
{
	config_free(r->config);
	made_clear(&r->m);
	place_clear(&r->p);
}
#define cleanup_run CLEANUP(run_clear)

/* One layer told beforehand, one learnt on the way; the second image is the same once more. */
static int run(void *arg, dray_error **err)
{
	const struct run *r = arg;
	const struct descriptor unknown = { .size = -1 };
	cleanup_dest struct dest *d = dest_legacy_tar(r->p.path, NULL, false, err);
	struct digest got;

	if (!d || put(d, r->m.layer[0], &r->m.descs[1], &got, err) < 0 ||
	    put(d, r->m.layer[1], &unknown, &got, err) < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		if (dest_put_manifest(d, r->m.manifest, r->tag, err) < 0 ||
		    dest_legacy_tar_config(d, r->m.manifest, r->config, err) < 0)
			return -1;
	return dest_finish(d, err);
}

static const char *const endings[] = { ".tar",	      ".tar",  ".json",	     "/",
				       "/VERSION",    "/json", "/layer.tar", "/",
				       "/VERSION",    "/json", "/layer.tar", "manifest.json",
				       "repositories" };

static void check_members(struct span bytes, const struct run *r, size_t n_wanted)
{
	cleanup_source struct source *in = source_from_span(bytes, NULL);
	cleanup_tar_reader struct tar_reader *t = tar_reader_new(in, no_oddity, NULL, NULL);
	const char *layers[] = { digest_hex(&r->m.descs[1].digest),
				 digest_hex(&r->m.descs[2].digest) };
	const struct tar_entry *e;
	dray_error *err = NULL;
	size_t n = 0, links = 0;

	while (tar_next(t, &e, &err) > 0) {
		if (n >= n_wanted || !span_ends(e->name, endings[n]))
			fail_msg("member %zu is %.*s", n, (int)e->name.len,
				 (const char *)e->name.data);
		if (n < 2)
			assert_span(span_head(e->name, 64), span_str(layers[n]));
		if (e->type == TAR_SYMLINK) {
			assert_true(span_starts(e->link, "../") && span_ends(e->link, ".tar"));
			assert_span(span_head(span_from(e->link, 3), 64), span_str(layers[links]));
			links++;
		}
		assert_int_equal(e->mtime + e->uid + e->gid, 0);
		n++;
	}
	assert_ok(0, err);
	assert_int_equal(n, n_wanted);
	assert_int_equal(links, 2);
}

static void legacy_members(void **state)
{
	cleanup_run struct run r = run_make(2);
	cleanup_buf struct buf first = BUF_INIT(0), second = BUF_INIT(0);
	dray_error *err = NULL;

	(void)state;
	assert_ok(run(&r, &err), err);
	slurp(r.p.fd, "out.tar", &first);
	check_members(span_buf(&first), &r, ROWS(endings));
	assert_ok(run(&r, &err), err);
	slurp(r.p.fd, "out.tar", &second);
	assert_span(span_buf(&first), span_buf(&second));
	/* Without a name there is no "repositories". */
	r.tag = NULL;
	assert_ok(run(&r, &err), err);
	slurp(r.p.fd, "out.tar", &second);
	check_members(span_buf(&second), &r, ROWS(endings) - 1);
}

static void legacy_refused(void **state)
{
	cleanup_run struct run r = run_make(1);
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(run(&r, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "the config names 1 layers, the manifest 2");
	assert_int_equal(dir_count(r.p.fd), 0);
}

static void check_whole(void *arg, bool failed)
{
	const struct run *r = arg;
	cleanup_buf struct buf b = BUF_INIT(0);

	(void)failed;
	if (!exists(r->p.fd, "out.tar"))
		return;
	slurp(r->p.fd, "out.tar", &b);
	check_members(span_buf(&b), r, ROWS(endings));
}

static void legacy_faults(void **state)
{
	cleanup_run struct run r = run_make(2);

	(void)state;
	torture_alloc(run, &r);
	torture_io(run, &r, ENOSPC, check_whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(legacy_members),
		cmocka_unit_test(legacy_refused),
		cmocka_unit_test(legacy_faults),
	};

	return cmocka_run_group_tests_name("store legacy", tests, NULL, NULL);
}
