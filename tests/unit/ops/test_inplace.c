/* SPDX-License-Identifier: Apache-2.0
 *
 * edit --in-place when memory runs out at every single allocation: nested indexes, two names of
 * one digest, manifest.json beside them.
 */
#include "ops_box.h"
#include "torture.h"

#include <dray/edit.h>

struct order {
	struct box *b;
	struct buf tar; /* the archive as it was */
	const char *place;
	char told[256]; /* references of what came out, without any allocation */
};

static const char *named(struct box *b, const char *type, const char *text, const char *name)
{
	return arena_printf(&b->arena,
			    "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu,\"annotations\":{"
			    "\"io.containerd.image.name\":\"docker.io/test/%s\","
			    "\"org.opencontainers.image.ref.name\":\"1\"}}",
			    type, box_digest(b, text), strlen(text), name);
}

static const char *index_of(struct box *b, const char *type, const char *text)
{
	return arena_printf(&b->arena,
			    "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX
			    "\",\"manifests\":[%s]}",
			    box_descriptor(b, type, box_digest(b, text), strlen(text)));
}

/* Image "one:1" and "two:1", and the same within two indexes, "n:1" and "m:1". */
static void fill(struct order *j, struct box *b)
{
	struct piece *p = box_piece(b, "text", ENCODING_NONE);
	const char *config = box_config(b, "", &p, 1);
	const char *m = box_manifest(b, false, "", config, &p, 1);
	const char *inner = index_of(b, MT_OCI_MANIFEST, m);
	const char *outer = index_of(b, MT_OCI_INDEX, inner);
	const struct member layer = {
		arena_printf(&b->arena, "blobs/sha256/%s", digest_hex(&p->blob)), p, NULL
	};

	j->b = b;
	j->tar = tb_new();
	box_blob(b, &j->tar, p->blob.text, span_buf(&p->stored));
	tb_file(&j->tar, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	box_text_blob(b, &j->tar, config);
	box_text_blob(b, &j->tar, m);
	box_text_blob(b, &j->tar, inner);
	box_text_blob(b, &j->tar, outer);
	tb_file(&j->tar, "index.json",
		arena_printf(&b->arena, "{\"schemaVersion\":2,\"manifests\":[%s,%s,%s,%s]}",
			     named(b, MT_OCI_MANIFEST, m, "one:1"),
			     named(b, MT_OCI_MANIFEST, m, "two:1"),
			     named(b, MT_OCI_INDEX, outer, "n:1"),
			     named(b, MT_OCI_INDEX, outer, "m:1")));
	tb_file(&j->tar, "manifest.json",
		box_manifest_json(b, arena_printf(&b->arena, "blobs/sha256/%s", box_hex(b, config)),
				  "\"test/one:1\",\"test/two:1\"", &layer, 1));
	tb_end(&j->tar);
}

static int edit(void *arg, dray_error **err)
{
	static const struct dray_edit_step step = { .field = DRAY_EDIT_USER,
						    .action = DRAY_EDIT_SET,
						    .value = "app" };
	const struct dray_context_options o = {
		.size = sizeof(o), .jobs = 1, .no_cache = true, .platform = "linux/amd64"
	};
	struct dray_edit_options e = DRAY_EDIT_OPTIONS_INIT;
	struct order *j = arg;
	dray_copy_result *r = NULL;
	dray_context *ctx = NULL;
	int rc;

	e.steps = &step;
	e.n_steps = 1;
	put_file(j->b->fd, "x.tar", span_buf(&j->tar));
	rc = dray_context_new(&o, &ctx, err);
	if (rc == 0)
		rc = dray_edit_in_place(ctx, j->place, &e, NULL, &r, err);
	for (size_t i = 0; rc == 0 && i < dray_copy_count(r); i++)
		snprintf(j->told, sizeof(j->told), "%s", dray_copy_get(r, i)->tagged);
	dray_copy_free(r);
	dray_context_free(ctx);
	return rc;
}

/* What is there under @p name: an image ID; the text is the report's. */
static void image_id(struct order *j, const char *name, char ret[DRAY_DIGEST_SIZE])
{
	const struct dray_select sel = { .size = sizeof(sel), .image = name };
	dray_report *r = NULL;
	dray_error *err = NULL;

	assert_ok(dray_images(j->b->ctx, box_place(j->b, "oci-archive:", "x.tar"), &sel, &r, &err),
		  err);
	assert_int_equal(dray_report_images(r), 1);
	snprintf(ret, DRAY_DIGEST_SIZE, "%s", dray_report_image(r, 0)->image_id);
	dray_report_free(r);
}

/* Only what was named is another image from then on. */
static void only_the_chosen(void **state)
{
	static const char *const names[] = { "test/one:1", "test/two:1", "test/n:1", "test/m:1" };
	char old[DRAY_DIGEST_SIZE], now[DRAY_DIGEST_SIZE];
	dray_error *err = NULL;
	struct order j;

	fill(&j, *state);
	for (size_t i = 0; i < ROWS(names); i++) {
		put_file(j.b->fd, "x.tar", span_buf(&j.tar));
		image_id(&j, names[i], old);
		j.place = arena_printf(&j.b->arena, "oci-archive:%s/x.tar:%s", j.b->dir, names[i]);
		assert_ok(edit(&j, &err), err);
		assert_non_null(strstr(j.told, names[i]));
		for (size_t k = 0; k < ROWS(names); k++) {
			image_id(&j, names[k], now);
			if ((strcmp(old, now) == 0) == (k == i))
				fail_msg("%s edited, %s is %s", names[i], names[k], now);
		}
	}
	buf_clear(&j.tar);
}

/* ---- names that manifest.json has, too ---- */

static const struct naming {
	const char *index[2]; /* names of two entries with one digest; NULL = there is no second */
	const char *tags;     /* of the one element */
	const char *chosen;
	const char *changed, *same; /* elements' RepoTags afterwards, NULL = none */
} namings[] = {
	{ { "app:1", "app:2" }, "[\"app:2\"]", "app:1", NULL, "[\"app:2\"]" },
	{ { "app:1", "app:2" }, "[\"app:1\",\"app:2\"]", "app:1", "[\"app:1\"]", "[\"app:2\"]" },
	{ { "app:1", "app:2" }, "[\"app:3\"]", "app:1", NULL, "[\"app:3\"]" },
	{ { "app:1" }, "[\"app:3\"]", "app:1", "[\"app:3\"]", NULL },
	{ { "1", "2" }, "[\"app:1\",\"app:2\"]", "1", "[\"app:1\"]", "[\"app:2\"]" },
	{ { "1", "2" }, "[\"app:2\"]", "1", NULL, "[\"app:2\"]" },
	{ { "1" }, "[\"app:1\"]", "1", "[\"app:1\"]", NULL },
	{ { "new" }, "[\"app:1\"]", "new", "[\"app:1\"]", NULL },
};

static const char *entry_of(struct box *b, const char *m, const char *name)
{
	const char *lone = strchr(name, ':');

	return arena_printf(&b->arena,
			    "{\"mediaType\":\"" MT_OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu,"
			    "\"annotations\":{%s%s%s\"org.opencontainers.image.ref.name\":\"%s\"}}",
			    box_digest(b, m), strlen(m),
			    lone ? "\"io.containerd.image.name\":\"docker.io/library/" : "",
			    lone ? name : "", lone ? "\"," : "", lone ? lone + 1 : name);
}

/* *ret_config is the path of its config. */
static struct buf named_archive(struct box *b, const struct naming *n, const char **ret_config)
{
	struct piece *p = box_piece(b, "text", ENCODING_NONE);
	const char *config = box_config(b, "", &p, 1);
	const char *m = box_manifest(b, false, "", config, &p, 1);
	struct buf tar = tb_new();

	*ret_config = arena_printf(&b->arena, "blobs/sha256/%s", box_hex(b, config));
	box_blob(b, &tar, p->blob.text, span_buf(&p->stored));
	tb_file(&tar, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	box_text_blob(b, &tar, config);
	box_text_blob(b, &tar, m);
	tb_file(&tar, "index.json",
		arena_printf(&b->arena, "{\"schemaVersion\":2,\"manifests\":[%s%s%s]}",
			     entry_of(b, m, n->index[0]), n->index[1] ? "," : "",
			     n->index[1] ? entry_of(b, m, n->index[1]) : ""));
	tb_file(&tar, "manifest.json",
		arena_printf(
			&b->arena,
			"[{\"Config\":\"%s\",\"RepoTags\":%s,\"Layers\":[\"blobs/sha256/%s\"]}]",
			*ret_config, n->tags, digest_hex(&p->blob)));
	tb_end(&tar);
	return tar;
}

/* The element with the old config or the new one has these names. */
static void check_element(struct box *b, struct span list, bool is_old, const char *config,
			  const char *tags)
{
	const char *text = arena_strndup(&b->arena, (const char *)list.data, list.len);
	const char *old = arena_printf(&b->arena, "{\"Config\":\"%s\",\"RepoTags\":", config);
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, "{\"Config\":\"")); at++) {
		bool same = strncmp(at, old, strlen(old)) == 0;
		const char *have = strstr(at, "\"RepoTags\":");

		assert_non_null(have);
		if (same != is_old)
			continue;
		n++;
		have += strlen("\"RepoTags\":");
		if (!tags || strncmp(have, tags, strlen(tags)) != 0)
			fail_msg("%s", text);
	}
	assert_int_equal(n, tags != NULL);
}

/* The documents that count: amend leaves the old ones overwritten. */
static struct span last_list(const struct buf *tar)
{
	const uint8_t *last = NULL;

	for (size_t at = 0; at + 512 <= tar->len; at += 512)
		if (strcmp((const char *)tar->data + at, "manifest.json") == 0)
			last = tar->data + at + 512;
	assert_non_null(last);
	return span_of(last, strlen((const char *)last));
}

static void names_of_the_list(void **state)
{
	for (size_t i = 0; i < ROWS(namings); i++) {
		struct order j = { .b = *state };
		dray_error *err = NULL;
		const char *config;

		j.tar = named_archive(j.b, &namings[i], &config);
		j.place = arena_printf(&j.b->arena, "oci-archive:%s/x.tar:%s", j.b->dir,
				       namings[i].chosen);
		assert_ok(edit(&j, &err), err);
		cleanup_buf struct buf now = box_read(j.b, "x.tar");
		struct span list = last_list(&now);
		check_element(j.b, list, false, config, namings[i].changed);
		check_element(j.b, list, true, config, namings[i].same);
		buf_clear(&j.tar);
	}
}

/* Old or new, and nothing between: with what went overwritten or not. */
static void check_left(struct order *j, const char *name, int rc, struct span want)
{
	cleanup_buf struct buf got = box_read(j->b, "x.tar");
	char id[DRAY_DIGEST_SIZE], new_id[DRAY_DIGEST_SIZE];

	if (span_eq(span_buf(&got), want) || (rc < 0 && span_eq(span_buf(&got), span_buf(&j->tar))))
		return;
	assert_true(rc < 0);
	image_id(j, name, id);
	put_file(j->b->fd, "x.tar", want);
	image_id(j, name, new_id);
	assert_string_equal(id, new_id);
}

/*
 * Each failing allocation is NOMEM, or it was for a text that nobody asked for and the new archive
 * is that of an undisturbed run.
 */
static void torture_one(struct order *j, const char *name)
{
	cleanup_buf struct buf want = { 0 };
	dray_error *err = NULL;
	bool reached = true;

	j->place = arena_printf(&j->b->arena, "oci-archive:%s/x.tar:%s", j->b->dir, name);
	assert_ok(edit(j, &err), err);
	want = box_read(j->b, "x.tar");
	for (uint64_t nth = 1; reached; nth++) {
		int rc;

		assert_true(nth < TORTURE_ROUNDS);
		reached = torture_once(FAULT_ALLOC, nth, 0, edit, j, &rc, &err);
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_NOMEM);
		check_left(j, name, rc, span_buf(&want));
	}
}

static void torture(void **state)
{
	static const char *const names[] = { "test/two:1", "test/n:1" };
	struct order j;

	fill(&j, *state);
	for (size_t i = 0; i < ROWS(names); i++)
		torture_one(&j, names[i]);
	buf_clear(&j.tar);
}

int main(void)
{
	const struct CMUnitTest tests[] = { box_test(only_the_chosen), box_test(names_of_the_list),
					    box_test(torture) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
