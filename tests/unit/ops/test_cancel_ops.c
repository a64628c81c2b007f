/* SPDX-License-Identifier: Apache-2.0
 *
 * After dray_cancel() every verb stops with CANCELLED. The flag is final, so this is a program
 * of its own.
 */
#include "ops_box.h"

static void cancel_verbs(void **state)
{
	struct box *b = *state;
	struct piece *p[] = { box_piece(b, "one", ENCODING_NONE),
			      box_piece(b, "two", ENCODING_GZIP) };
	const char *src = box_docker_plain(b, "in.tar", p, 2);
	cleanup_buf struct buf bytes = box_read(b, "in.tar");
	const char *dst = box_place(b, "oci-archive:", "out.tar");
	struct dray_copy_options o = DRAY_COPY_OPTIONS_INIT;
	dray_copy_result *copied = NULL;
	dray_report *report = NULL;
	dray_error *err = NULL;
	int before;

	dray_cancel();
	assert_int_equal(dray_copy(b->ctx, src, dst, NULL, &copied, &err), -1);
	assert_err_kind(err, DRAY_ERR_CANCELLED);
	o.compression = "zstd";
	assert_int_equal(dray_copy(b->ctx, src, dst, &o, &copied, &err), -1);
	assert_err_kind(err, DRAY_ERR_CANCELLED);
	before = box_stdin(span_buf(&bytes));
	assert_int_equal(dray_copy(b->ctx, "-", dst, NULL, &copied, &err), -1);
	box_stdin_back(before);
	assert_err_kind(err, DRAY_ERR_CANCELLED);
	assert_int_equal(dray_verify(b->ctx, src, NULL, &report, &err), -1);
	assert_err_kind(err, DRAY_ERR_CANCELLED);
	assert_null(copied);
	assert_null(report);
	assert_int_equal(dir_count(b->fd), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { box_test(cancel_verbs) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
