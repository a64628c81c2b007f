/* SPDX-License-Identifier: Apache-2.0
 *
 * The description of a delta, and have-lists: written and read they are the same; what
 * contradicts the format is refused.
 */
#include "torture.h"

#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "ops/delta_doc.h"
#include "ops/have.h"

#define D(c) "sha256:" c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c
#define A D("0a")
#define B D("0b")
#define C D("0c")

#define IMAGE                                                                         \
	"\"image\":{\"image_id\":\"" A "\",\"manifest_digest\":null,\"keeps_blobs\":" \
	"false,\"platform\":\"linux/amd64\",\"tags\":[\"app:1\"]}"
#define BASES "\"bases\":[{\"image_id\":\"" B "\",\"tags\":[\"app:0\"],\"diff_ids\":[\"" A "\"]}]"
#define OLDS "\"base_layers\":[{\"diff_id\":\"" A "\",\"size\":1024,\"needed\":true}]"
#define OLD(id) "{\"diff_id\":\"" id "\",\"size\":1024,\"needed\":false}"
#define BASE_LAYER "{\"diff_id\":\"" A "\",\"size\":-1,\"from\":\"base\"}"
#define RECIPE_LAYER                                                                \
	"{\"diff_id\":\"" B "\",\"size\":10240,\"from\":\"recipe\",\"digest\":\"" C \
	"\",\"stored\":57,\"encoding\":\"gzip-blocked/1;dray-deflate=1\"}"
#define LAYERS "\"layers\":[" BASE_LAYER "," RECIPE_LAYER "]"
#define HEAD "\"version\":1,\"level\":\"file\""
#define DOC(head, image, bases, olds, layers) "{" head "," image "," bases "," olds "," layers "}"
#define WHOLE DOC(HEAD, IMAGE, BASES, OLDS, LAYERS)

static int parse(const char *text, struct delta_doc *ret, dray_error **err)
{
	return delta_doc_parse(span_str(text), ret, err);
}

static void same_text(void **state)
{
	cleanup_delta_doc struct delta_doc d = { 0 };
	cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG);
	dray_error *err = NULL;

	(void)state;
	assert_ok(parse(WHOLE, &d, &err), err);
	assert_int_equal(d.level, DRAY_DELTA_FILE);
	assert_int_equal(d.n_layers, 2);
	assert_int_equal(d.layers[0].from, DRAY_DELTA_BASE);
	assert_int_equal(d.layers[1].from, DRAY_DELTA_RECIPE);
	assert_int_equal(d.layers[1].stored, 57);
	assert_true(d.olds[0].needed);
	assert_false(digest_set(&d.manifest));
	assert_ok(delta_doc_write(&d, &out, &err), err);
	assert_int_equal(out.len, strlen(WHOLE));
	assert_memory_equal(out.data, WHOLE, out.len);
}

static void refusals(void **state)
{
	static const struct {
		const char *text;
		enum dray_err_kind kind;
	} cases[] = {
		{ "", DRAY_ERR_FORMAT },
		{ "[]", DRAY_ERR_FORMAT },
		{ DOC("\"version\":2,\"level\":\"file\"", IMAGE, BASES, OLDS, LAYERS),
		  DRAY_ERR_UNSUPPORTED },
		{ DOC("\"version\":\"1\",\"level\":\"file\"", IMAGE, BASES, OLDS, LAYERS),
		  DRAY_ERR_FORMAT },
		{ DOC("\"version\":1,\"level\":\"files\"", IMAGE, BASES, OLDS, LAYERS),
		  DRAY_ERR_FORMAT },
		{ DOC("\"version\":1", IMAGE, BASES, OLDS, LAYERS), DRAY_ERR_FORMAT },
		{ DOC(HEAD, "\"image\":null", BASES, OLDS, LAYERS), DRAY_ERR_FORMAT },
		{ DOC(HEAD, "\"image\":{\"image_id\":\"" A "\"}", BASES, OLDS, LAYERS),
		  DRAY_ERR_FORMAT },
		{ DOC(HEAD, IMAGE, "\"bases\":{}", OLDS, LAYERS), DRAY_ERR_FORMAT },
		{ DOC(HEAD, IMAGE, "\"bases\":[{\"tags\":[null],\"diff_ids\":[]}]", OLDS, LAYERS),
		  DRAY_ERR_FORMAT },
		{ DOC(HEAD, IMAGE, "\"bases\":[{\"tags\":[],\"diff_ids\":[\"sha256:1\"]}]", OLDS,
		      LAYERS),
		  DRAY_ERR_FORMAT },
		{ DOC(HEAD, IMAGE, BASES, "\"base_layers\":[{\"diff_id\":\"" A "\",\"size\":-1}]",
		      LAYERS),
		  DRAY_ERR_FORMAT },
		{ DOC(HEAD, IMAGE, BASES, "\"base_layers\":7", LAYERS), DRAY_ERR_FORMAT },
		{ DOC(HEAD, IMAGE, BASES, "\"base_layers\":[" OLD(A) "," OLD(B) "," OLD(A) "]",
		      LAYERS),
		  DRAY_ERR_FORMAT },
		{ DOC(HEAD, IMAGE, BASES, OLDS, "\"layers\":null"), DRAY_ERR_FORMAT },
		{ DOC(HEAD, IMAGE, BASES, OLDS,
		      "\"layers\":[{\"diff_id\":\"" A "\",\"size\":1,\"from\":\"air\"}]"),
		  DRAY_ERR_FORMAT },
		{ DOC(HEAD, IMAGE, BASES, OLDS,
		      "\"layers\":[{\"diff_id\":\"" A "\",\"size\":1,\"from\":\"blob\"}]"),
		  DRAY_ERR_FORMAT },
		{ DOC(HEAD, IMAGE, BASES, OLDS,
		      "\"layers\":[{\"diff_id\":\"" A "\",\"size\":-1,\"from\":\"blob\","
		      "\"digest\":\"" C "\",\"stored\":1}]"),
		  DRAY_ERR_FORMAT },
		{ DOC(HEAD, IMAGE, BASES, OLDS,
		      "\"layers\":[{\"diff_id\":\"" A "\",\"size\":1,\"from\":\"blob\","
		      "\"digest\":\"" C "\",\"stored\":-1}]"),
		  DRAY_ERR_FORMAT },
		{ DOC(HEAD, IMAGE, BASES, OLDS,
		      "\"layers\":[{\"diff_id\":\"md5:0123\",\"size\":-1,\"from\":\"base\"}]"),
		  DRAY_ERR_UNSUPPORTED },
		{ DOC(HEAD "," HEAD, IMAGE, BASES, OLDS, LAYERS), DRAY_ERR_FORMAT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_delta_doc struct delta_doc d = { 0 };
		dray_error *err = NULL;

		if (parse(cases[i].text, &d, &err) == 0)
			fail_msg("case %zu was accepted", i);
		assert_err_kind(err, cases[i].kind);
	}
}

static int read_and_write(void *arg, dray_error **err)
{
	cleanup_delta_doc struct delta_doc d = { 0 };
	cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG);

	(void)arg;
	return parse(WHOLE, &d, err) < 0 ? -1 : delta_doc_write(&d, &out, err);
}

static void tortured(void **state)
{
	(void)state;
	torture_alloc(read_and_write, NULL);
}

/* ---- have-lists ---- */

static const char LIST[] = HAVE_FIRST_LINE "\nchain " A "\ndiff " A "\ndiff " B "\n";

struct list {
	const char *text;
	struct haves haves;
	int rc;
};

static int read_text(void *arg, dray_error **err)
{
	struct list *l = arg;
	char path[] = "/tmp/dray-have.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, l->text, strlen(l->text)), strlen(l->text));
	close(fd);
	l->haves = (struct haves){ 0 };
	l->rc = haves_read(path, &l->haves, err);
	unlink(path);
	if (l->rc < 0)
		haves_clear(&l->haves);
	return l->rc < 0 ? -1 : 0;
}

static void lists(void **state)
{
	static const struct {
		const char *text;
		int rc;
		enum dray_err_kind kind;
	} cases[] = {
		{ LIST, 1, 0 },
		{ HAVE_FIRST_LINE "\n", 1, 0 },
		{ HAVE_FIRST_LINE "\ncolour blue\n", 1, 0 },
		{ "something else\n", 0, 0 },
		{ "", 0, 0 },
		{ HAVE_FIRST_LINE, -1, DRAY_ERR_UNSUPPORTED },
		{ "dray-have-list 11\n", -1, DRAY_ERR_UNSUPPORTED },
		{ HAVE_FIRST_LINE "\ndiff " A, -1, DRAY_ERR_FORMAT },
		{ HAVE_FIRST_LINE "\ndiff sha256:12\n", -1, DRAY_ERR_FORMAT },
		{ HAVE_FIRST_LINE "\nchain \n", -1, DRAY_ERR_FORMAT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct list l = { .text = cases[i].text };
		dray_error *err = NULL;

		read_text(&l, &err);
		if (l.rc != cases[i].rc)
			fail_msg("case %zu: %d", i, l.rc);
		if (l.rc < 0)
			assert_err_kind(err, cases[i].kind);
		else
			haves_clear(&l.haves);
	}
}

static int read_list(void *arg, dray_error **err)
{
	struct list *l = arg;
	int rc = read_text(l, err);

	if (rc == 0) {
		assert_int_equal(l->haves.chains.len, 1);
		assert_int_equal(l->haves.diffs.len, 2);
		haves_clear(&l->haves);
	}
	return rc;
}

static void list_tortured(void **state)
{
	struct list l = { .text = LIST };

	(void)state;
	torture_alloc(read_list, &l);
}

static void chains_stop(void **state)
{
	cleanup_haves struct haves h = { 0 };
	dray_error *err = NULL;
	struct digest ids[3];

	(void)state;
	assert_ok(digest_parse(span_str(A), &ids[0], &err), err);
	assert_ok(digest_parse(span_str("md5:0123456789"), &ids[1], &err), err);
	assert_ok(digest_parse(span_str(B), &ids[2], &err), err);
	assert_ok(haves_add(&h, ids, 3, &err), err);
	/* No chain is known above what cannot be hashed. */
	assert_int_equal(h.chains.len, 1);
	assert_int_equal(h.diffs.len, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_text),	 cmocka_unit_test(refusals),
		cmocka_unit_test(tortured),	 cmocka_unit_test(lists),
		cmocka_unit_test(list_tortured), cmocka_unit_test(chains_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
