/* SPDX-License-Identifier: Apache-2.0
 *
 * Verify: each finding by its code, on an archive with just that wrong.
 */
#include "ops_box.h"

static dray_report *verified(struct box *b, const char *place)
{
	dray_report *r = NULL;
	dray_error *err = NULL;

	assert_ok(dray_verify(b->ctx, place, NULL, &r, &err), err);
	return r;
}

/* Exactly these problems (NULL-terminated), in this order. */
static const struct dray_finding *problems(dray_report *r, const char *const *codes)
{
	size_t n = 0;

	while (codes[n])
		n++;
	for (size_t i = 0; i < dray_report_problems(r); i++) {
		const struct dray_finding *f = dray_report_problem(r, i);

		if (i >= n || strcmp(f->code, codes[i]) != 0)
			fail_msg("problem %zu: %s: %s", i, f->code, f->message);
		assert_true(f->where[0] && f->message[0]);
	}
	assert_int_equal(dray_report_problems(r), n);
	assert_null(dray_report_problem(r, n));
	return dray_report_problem(r, 0);
}

static const struct dray_finding *one_problem(dray_report *r, const char *code)
{
	const char *const codes[] = { code, NULL };

	return problems(r, codes);
}

static void no_problem(dray_report *r)
{
	static const char *const none[] = { NULL };

	problems(r, none);
}

static const struct dray_finding *warning(dray_report *r, const char *code)
{
	for (size_t i = 0; i < dray_report_warnings(r); i++)
		if (strcmp(dray_report_warning(r, i)->code, code) == 0)
			return dray_report_warning(r, i);
	fail_msg("no warning %s", code);
	return NULL;
}

/* The same from a file and from a pipe. */
static dray_report *verified_as(struct box *b, const char *place, bool piped)
{
	cleanup_buf struct buf bytes = { 0 };
	dray_report *r;
	int before;

	if (!piped)
		return verified(b, place);
	bytes = box_read(b, "in.tar");
	before = box_stdin(span_buf(&bytes));
	r = verified(b, "-");
	box_stdin_back(before);
	return r;
}

#define both_ways(piped) (int piped = 0; piped < 2; piped++)

static void finding_none(void **state)
{
	static const enum encoding all[] = { ENCODING_NONE, ENCODING_GZIP, ENCODING_GZIP_SINGLE,
					     ENCODING_ZSTD };
	struct box *b = *state;

	for (size_t i = 0; i < ROWS(all); i++) {
		struct piece *p = box_piece(b, "text", all[i]);
		const char *docker = box_docker_plain(b, "in.tar", &p, 1);

		for
			both_ways(piped)
			{
				dray_report *r = verified_as(b, docker, piped);
				const struct dray_layer_info *l = dray_report_image(r, 0)->layers;

				no_problem(r);
				assert_int_equal(dray_report_warnings(r), 0);
				/* What was read is told. */
				assert_int_equal(l->size, p->tar.len);
				assert_int_equal(l->blob_size, p->stored.len);
				assert_string_equal(l->blob_digest, p->blob.text);
				dray_report_free(r);
			}
		dray_report_free(box_sound(b, box_oci_plain(b, "in.tar", i % 2, &p, 1)));
	}
}

static void finding_diff_id(void **state)
{
	struct box *b = *state;
	struct piece *claimed = box_piece(b, "claimed", ENCODING_NONE);
	const struct member m = { "0.tar", box_piece(b, "other", ENCODING_GZIP), NULL };
	const char *src = box_docker(b, "in.tar", box_config(b, "", &claimed, 1), "\"a:1\"", &m, 1);

	for
		both_ways(piped)
		{
			dray_report *r = verified_as(b, src, piped);
			const struct dray_finding *f = one_problem(r, "diff-id-mismatch");

			assert_string_equal(f->expected, claimed->diff_id.text);
			assert_string_equal(f->actual, m.piece->diff_id.text);
			assert_non_null(strstr(f->where, "0.tar"));
			dray_report_free(r);
		}
}

static const char *oci_of(struct box *b, const char *config, const char *manifest,
			  struct piece *const *p, size_t n)
{
	return box_oci(b, "in.tar",
		       &(struct oci){ .config = config, .manifest = manifest, .p = p, .n = n });
}

/* A blob with other bytes under its name: of the right size, then of another. */
static void finding_blob_digest(void **state)
{
	static const char *const flipped[] = { "blob-digest-mismatch", "diff-id-mismatch", NULL };
	static const char *const longer[] = { "blob-size-mismatch", "blob-digest-mismatch",
					      "diff-id-mismatch", NULL };
	struct box *b = *state;
	struct piece *p = box_piece(b, "claimed", ENCODING_NONE);
	const char *config = box_config(b, "", &p, 1);
	const char *manifest = box_manifest(b, false, "", config, &p, 1), *src;
	dray_report *r;
	const struct dray_finding *f;

	p->stored.data[600] ^= 1;
	src = oci_of(b, config, manifest, &p, 1);
	for
		both_ways(piped)
		{
			r = verified_as(b, src, piped);
			f = problems(r, flipped);
			assert_string_equal(f->expected, p->blob.text);
			dray_report_free(r);
		}
	tb_zeros(&p->stored, 512);
	oci_of(b, config, manifest, &p, 1);
	r = verified(b, src);
	f = problems(r, longer);
	assert_string_equal(f->expected, "2048");
	assert_string_equal(f->actual, "2560");
	dray_report_free(r);
}

static void finding_layer_missing(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_NONE);
	const struct member m = { "gone.tar", NULL, NULL };
	const char *src = box_docker(b, "in.tar", box_config(b, "", &p, 1), "\"a:1\"", &m, 1);

	for
		both_ways(piped)
		{
			dray_report *r = verified_as(b, src, piped);

			assert_true(dray_report_problems(r) >= 1);
			assert_string_equal(
				dray_report_problem(r, dray_report_problems(r) - 1)->code,
				"layer-missing");
			assert_true(dray_report_image(r, 0)->layers[0].missing);
			dray_report_free(r);
		}
}

/* Bytes that do not decode, and bytes that decode to no tar. */
static void finding_layer_bytes(void **state)
{
	struct box *b = *state;
	struct piece *cut = box_piece(b, "text", ENCODING_GZIP);
	struct piece *text = box_raw_piece(b, span_str("this is no tar, whatever it is called"));
	struct piece *part;
	cleanup_buf struct buf half = tb_new();
	const char *src;
	dray_report *r;

	cut->stored.len -= 3;
	src = box_docker_plain(b, "in.tar", &cut, 1);
	for
		both_ways(piped)
		{
			r = verified_as(b, src, piped);
			one_problem(r, "layer-unreadable");
			dray_report_free(r);
		}

	box_squeeze(text, ENCODING_GZIP);
	box_docker_plain(b, "in.tar", &text, 1);
	for
		both_ways(piped)
		{
			r = verified_as(b, src, piped);
			one_problem(r, "layer-tar-malformed");
			dray_report_free(r);
		}

	/* A member that promises more than there is. */
	tb_header(&half, &(struct tb_head){ .name = "f", .size = 4096 });
	part = box_raw_piece(b, span_buf(&half));
	box_squeeze(part, ENCODING_ZSTD);
	box_docker_plain(b, "in.tar", &part, 1);
	r = verified(b, src);
	one_problem(r, "layer-tar-malformed");
	dray_report_free(r);
}

static void finding_media_type(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_ZSTD);
	const char *config = box_config(b, "", &p, 1), *manifest;
	const struct dray_finding *f;
	dray_report *r;

	p->compression = COMPRESSION_GZIP; /* what the manifest will say */
	manifest = box_manifest(b, false, "", config, &p, 1);
	r = verified(b, oci_of(b, config, manifest, &p, 1));
	f = one_problem(r, "media-type-compression-differs");
	assert_string_equal(f->expected, "gzip");
	assert_string_equal(f->actual, "zstd");
	dray_report_free(r);
}

static void finding_history(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_NONE);
	const struct member m = { "0.tar", p, NULL };
	const struct dray_finding *f;
	const char *src;
	dray_report *r;

	src = box_docker(b, "in.tar", box_config(b, "\"history\":[{},{}],", &p, 1), "\"a:1\"", &m,
			 1);
	r = verified(b, src);
	f = one_problem(r, "history-count-differs");
	assert_string_equal(f->expected, "1");
	assert_string_equal(f->actual, "2");
	dray_report_free(r);

	box_docker(b, "in.tar", box_config(b, "\"history\":[{\"empty_layer\":true}],", &p, 1),
		   "\"a:1\"", &m, 1);
	r = verified(b, src);
	no_problem(r);
	warning(r, "history-short");
	dray_report_free(r);
}

static void finding_foreign(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "windows", ENCODING_GZIP);
	const char *config = box_config(b, "", &p, 1);
	const char *manifest = arena_printf(
		&b->arena,
		"{\"schemaVersion\":2,\"mediaType\":\"" MT_DOCKER_MANIFEST "\",\"config\":%s,"
		"\"layers\":[{\"mediaType\":\"" MT_DOCKER_FOREIGN_GZIP "\",\"digest\":\"%s\","
		"\"size\":%zu,\"urls\":[\"https://x.example/y\"]}]}",
		box_descriptor(b, MT_DOCKER_CONFIG, box_digest(b, config), strlen(config)),
		p->blob.text, p->stored.len);
	dray_report *r = verified(b, oci_of(b, config, manifest, NULL, 0));

	no_problem(r);
	warning(r, "layer-foreign");
	dray_report_free(r);
}

/* A digest that we cannot compute is carried and said, not called wrong. */
static void finding_digest_unsupported(void **state)
{
	struct box *b = *state;
	struct piece *p = box_piece(b, "text", ENCODING_GZIP);
	const char *config = box_config(b, "", &p, 1);
	dray_report *r;

	assert_int_equal(
		digest_parse(span_str("md5:d41d8cd98f00b204e9800998ecf8427e"), &p->blob, NULL), 0);
	{
		cleanup_buf struct buf tar = tb_new();
		const struct oci o = { .config = config,
				       .manifest = box_manifest(b, false, "", config, &p, 1) };

		box_blob(b, &tar, p->blob.text, span_buf(&p->stored));
		box_oci_documents(b, &tar, &o);
		box_write(b, "in.tar", &tar);
	}
	r = verified(b, box_place(b, "", "in.tar"));
	assert_int_equal(dray_report_problems(r), 1);
	assert_string_equal(dray_report_problem(r, 0)->code, "digest-unchecked");
	dray_report_free(r);
}

static size_t warnings_with(dray_report *r, const char *code, const char *text)
{
	size_t n = 0;

	for (size_t i = 0; i < dray_report_warnings(r); i++) {
		const struct dray_finding *f = dray_report_warning(r, i);

		n += strcmp(f->code, code) == 0 && strstr(f->message, text) && f->where[0];
	}
	return n;
}

/* the digests hold, and yet this is told of each entry. */
static void finding_entries(void **state)
{
	struct box *b = *state;
	cleanup_buf struct buf tar = tb_new();
	struct piece *p;
	dray_report *r;

	tb_dir(&tar, "./");
	tb_file(&tar, "same", "1");
	tb_file(&tar, "../evil", "x");
	tb_hardlink(&tar, "link", "../outside");
	tb_file(&tar, "d/.wh.", "");
	tb_pax(&tar, 'x', "uid", "4294967296");
	tb_file(&tar, "big", "");
	tb_file(&tar, "./same", "2");
	tb_dir(&tar, "same/");
	for (int i = 0; i < 3000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many/%d", i);
		tb_file(&tar, name, "");
	}
	tb_file(&tar, "many/7", "");
	p = box_tar_piece(b, &tar, ENCODING_NONE);
	r = verified(b, box_docker_plain(b, "in.tar", &p, 1));
	no_problem(r);
	assert_int_equal(warnings_with(r, "layer-entry-refused", "../evil"), 1);
	assert_int_equal(warnings_with(r, "layer-entry-refused", "link: "), 1);
	assert_int_equal(warnings_with(r, "layer-entry-refused", "d/.wh.: "), 1);
	assert_int_equal(warnings_with(r, "layer-entry-refused", "big: "), 1);
	assert_int_equal(warnings_with(r, "layer-entry-refused", ""), 4);
	assert_int_equal(warnings_with(r, "layer-name-twice", "./same: "), 1);
	assert_int_equal(warnings_with(r, "layer-name-twice", "same/: "), 1);
	assert_int_equal(warnings_with(r, "layer-name-twice", "many/7: "), 1);
	assert_int_equal(warnings_with(r, "layer-name-twice", ""), 3);
	dray_report_free(r);
}

static struct piece *links_upper(struct box *b)
{
	cleanup_buf struct buf tar = tb_new();

	tb_hardlink(&tar, "low", "./d/low");
	tb_file(&tar, "up", "1");
	tb_hardlink(&tar, "same", "up");
	tb_hardlink(&tar, "absolute", "/up");
	tb_hardlink(&tar, "lost", "nowhere");
	tb_hardlink(&tar, "early", "late");
	tb_file(&tar, "late", "2");
	tb_hardlink(&tar, "self", "self");
	return box_tar_piece(b, &tar, ENCODING_GZIP);
}

static struct piece *links_lower(struct box *b, bool refused)
{
	cleanup_buf struct buf tar = tb_new();

	tb_file(&tar, "d/low", "1");
	if (refused)
		tb_file(&tar, "../nowhere", "2");
	return box_tar_piece(b, &tar, ENCODING_NONE);
}

/* A hard link needs a file before it, in its layer or below; from a file and from a pipe. */
static void finding_links(void **state)
{
	static const struct {
		bool upside_down, refused;
		size_t lost;
	} rows[] = {
		{ false, false, 3 },
		{ true, false, 4 }, /* what lies above does not count */
		{ false, true, 0 }, /* who knows what was meant by the name that is refused */
	};
	struct box *b = *state;

	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		struct piece *low = links_lower(b, rows[i / 2].refused), *up = links_upper(b);
		struct piece *p[] = { rows[i / 2].upside_down ? up : low,
				      rows[i / 2].upside_down ? low : up };
		dray_report *r = verified_as(b, box_docker_plain(b, "in.tar", p, 2), i % 2);

		no_problem(r);
		assert_int_equal(warnings_with(r, "layer-hardlink-dangling", "at byte "),
				 rows[i / 2].lost);
		assert_int_equal(warnings_with(r, "layer-hardlink-dangling", "at byte 2560"),
				 rows[i / 2].lost > 0);
		dray_report_free(r);
	}
}

/* The same layer in two images: what is below it decides. More than anybody reads are counted. */
static void finding_links_shared(void **state)
{
	struct box *b = *state;
	cleanup_buf struct buf tar = tb_new(), many = tb_new();
	struct piece *p[] = { links_lower(b, false), links_upper(b), NULL };
	dray_report *r;

	for (int i = 0; i < 70; i++)
		tb_hardlink(&many, arena_printf(&b->arena, "%d", i), "gone");
	p[2] = box_tar_piece(b, &many, ENCODING_NONE);
	tb_file(&tar, "1.json", box_config(b, "", p, 3));
	tb_file(&tar, "2.json", box_config(b, "", p + 1, 1));
	for (int i = 0; i < 3; i++)
		tb_file_bytes(&tar, arena_printf(&b->arena, "%d.tar", i), p[i]->stored.data,
			      p[i]->stored.len);
	tb_file(&tar, "manifest.json",
		"[{\"Config\":\"1.json\",\"RepoTags\":[\"a:1\"],"
		"\"Layers\":[\"0.tar\",\"1.tar\",\"2.tar\"]},"
		"{\"Config\":\"2.json\",\"RepoTags\":[\"a:2\"],\"Layers\":[\"1.tar\"]}]");
	box_write(b, "in.tar", &tar);
	r = verified(b, box_place(b, "", "in.tar"));
	no_problem(r);
	assert_int_equal(warnings_with(r, "layer-hardlink-dangling", ""), 3 + 64 + 4);
	assert_int_equal(warnings_with(r, "tar-more", ""), 1);
	dray_report_free(r);
}

/* More oddities than anybody reads are counted, not listed. */
static void finding_oddities(void **state)
{
	struct box *b = *state;
	cleanup_buf struct buf tar = tb_new();
	struct piece *p;
	dray_report *r;

	for (int i = 0; i < 100; i++)
		tb_header(&tar, &(struct tb_head){ .name = "f", .type = 'Z' });
	p = box_tar_piece(b, &tar, ENCODING_NONE);
	r = verified(b, box_docker_plain(b, "in.tar", &p, 1));
	no_problem(r);
	assert_int_equal(dray_report_warnings(r), 65);
	warning(r, "tar-more");
	dray_report_free(r);
}

/* The archive's own notes are problems for verify and warnings for the others. */
static void finding_config_name(void **state)
{
	struct box *b = *state;
	cleanup_buf struct buf tar = tb_new();
	struct piece *p = box_piece(b, "text", ENCODING_NONE);
	const struct member m = { "0.tar", p, NULL };
	const char *name = arena_printf(&b->arena, "%064d.json", 7);
	dray_report *r = NULL;
	dray_error *err = NULL;

	tb_file(&tar, name, box_config(b, "", &p, 1));
	tb_file_bytes(&tar, "0.tar", p->stored.data, p->stored.len);
	tb_file(&tar, "manifest.json", box_manifest_json(b, name, "\"a:1\"", &m, 1));
	box_write(b, "in.tar", &tar);
	r = verified(b, box_place(b, "", "in.tar"));
	one_problem(r, "config-name-differs");
	dray_report_free(r);
	assert_ok(dray_images(b->ctx, box_place(b, "", "in.tar"), NULL, &r, &err), err);
	no_problem(r);
	warning(r, "config-name-differs");
	dray_report_free(r);
}

/* One bad layer that two images share is told for both; the bytes are read once. */
static void finding_shared_layer(void **state)
{
	static const char *const codes[] = { "diff-id-mismatch", "diff-id-mismatch", NULL };
	struct box *b = *state;
	cleanup_buf struct buf tar = tb_new();
	struct piece *claimed = box_piece(b, "claimed", ENCODING_NONE);
	struct piece *other = box_piece(b, "other", ENCODING_NONE);
	dray_report *r;

	tb_file(&tar, "c.json", box_config(b, "", &claimed, 1));
	tb_file_bytes(&tar, "0.tar", other->stored.data, other->stored.len);
	tb_file(&tar, "manifest.json",
		"[{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\"],\"Layers\":[\"0.tar\"]},"
		"{\"Config\":\"c.json\",\"RepoTags\":[\"a:2\"],\"Layers\":[\"0.tar\"]}]");
	box_write(b, "in.tar", &tar);
	r = verified(b, box_place(b, "", "in.tar"));
	assert_int_equal(dray_report_images(r), 2);
	problems(r, codes);
	dray_report_free(r);
}

/* What cannot be looked at is an error, not a finding. */
static void finding_or_error(void **state)
{
	struct box *b = *state;
	dray_report *r = NULL;
	dray_error *err = NULL;

	put_file(b->fd, "in.tar", span_str("no archive"));
	assert_int_equal(dray_verify(b->ctx, box_place(b, "", "in.tar"), NULL, &r, &err), -1);
	assert_err_kind(err, DRAY_ERR_FORMAT);
	assert_int_equal(dray_verify(b->ctx, box_place(b, "", "no.tar"), NULL, &r, &err), -1);
	assert_err_kind(err, DRAY_ERR_NOT_FOUND);
	assert_null(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		box_test(finding_none),
		box_test(finding_diff_id),
		box_test(finding_blob_digest),
		box_test(finding_layer_missing),
		box_test(finding_layer_bytes),
		box_test(finding_media_type),
		box_test(finding_history),
		box_test(finding_foreign),
		box_test(finding_digest_unsupported),
		box_test(finding_entries),
		box_test(finding_links),
		box_test(finding_links_shared),
		box_test(finding_oddities),
		box_test(finding_config_name),
		box_test(finding_shared_layer),
		box_test(finding_or_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
