/* SPDX-License-Identifier: Apache-2.0
 *
 * The layers of an image read once, and its merged tree written: whole or not at all.
 * Relies on stacks.h.
 * Promises for layers in and out of order the same tree, whatever fails on the way.
 */
#include "base/cancel.h"
#include "ops/stack_priv.h"
#include "stacks.h"
#include "torture.h"

#include <errno.h>
#include <fcntl.h>

/* ---- reading ---- */

static struct stack *open_stack(struct box *b, const char *place, bool lazy)
{
	const struct stack_options o = { .lazy = lazy };
	dray_error *err = NULL;
	struct stack *s = NULL;

	assert_ok(stack_open(b->ctx, place, NULL, &o, &s, &err), err);
	return s;
}

static void test_equal_layers(void **state)
{
	struct box *b = *state;
	const char *place = stack_image(b, "i.tar", "f a =1\n--\nf b =2\n--\nf a =1\n", AS_SAVED);
	cleanup_stack struct stack *s = open_stack(b, place, false);

	assert_int_equal(s->n, 3);
	assert_int_equal(s->n_reads, 2);
	assert_ptr_equal(s->index[0], s->index[2]);
	assert_ptr_not_equal(s->index[0], s->index[1]);
	assert_false(stack_is_windows(s));
}

static void test_lazy(void **state)
{
	struct box *b = *state;
	const char *place = stack_image(b, "i.oci", "f a =1\n--\nf b =2\n--\nf c =3\n", AS_GZIP);
	cleanup_stack struct stack *s = open_stack(b, place, true);
	dray_error *err = NULL;

	for (size_t i = 0; i < 3; i++)
		assert_null(s->index[i]);
	assert_ok(stack_load(s, 1, &err), err);
	assert_non_null(s->index[1]);
	assert_null(s->index[0]);
	assert_string_equal(s->index[1]->list[0].path, "b");
	assert_ok(stack_load_all(s, &err), err);
	for (size_t i = 0; i < 3; i++) {
		cleanup_buf struct buf got = tb_new();
		static const char *const want[] = { "1", "2", "3" };

		assert_ok(slurp(stack_open_file(s, i, &s->index[i]->list[0], &err), &got, &err),
			  err);
		assert_span_is(span_buf(&got), want[i]);
	}
}

/* A layer that is not what its DiffID says gives nothing. */
static void test_wrong_layer(void **state)
{
	struct box *b = *state;
	const char *place = stack_image(b, "i.tar", "f a =1\n--\nf b =2\n", AS_SAVED);
	cleanup_buf struct buf tar = box_read(b, "i.tar");
	const struct stack_options o = { 0 };
	dray_error *err = NULL;
	struct stack *s = NULL;

	for (size_t at = 0; at + 512 <= tar.len; at += 512)
		if (memcmp(tar.data + at, "2\0", 2) == 0)
			tar.data[at] = '3';
	put_file(b->fd, "i.tar", span_buf(&tar));
	assert_int_equal(stack_open(b->ctx, place, NULL, &o, &s, &err), -1);
	assert_err(err, DRAY_ERR_CORRUPT, "layer 2 of 2");
}

/* ---- writing ---- */

#define BIG (9 << 20) /* two of them are more than the memory for pieces that come late */

static void put_big(struct buf *tar, const char *name, int seed)
{
	cleanup_buf struct buf data = make_bytes(BIG, (uint32_t)seed);

	tb_file_bytes(tar, name, data.data, data.len);
}

/* Three files in this order, "small" between the big ones; in gzip, so that nothing lies in a file. */
static const char *big_image(struct box *b, const char *name, const char *const names[3])
{
	cleanup_buf struct buf tar = tb_new();
	struct piece *p;

	for (int i = 0; i < 3; i++)
		if (strcmp(names[i], "m") == 0)
			tb_file(&tar, "m", "small");
		else
			put_big(&tar, names[i], names[i][0]);
	tb_end(&tar);
	p = box_raw_piece(b, span_buf(&tar));
	box_squeeze(p, ENCODING_GZIP);
	assert_int_equal(digest_of(span_buf(&p->stored), &p->blob, NULL), 0);
	return box_oci_plain(b, name, false, &p, 1);
}

/* In order, with one small file late, and the wrong way round: one tar comes out. */
static void test_orders(void **state)
{
	static const char *const orders[][3] = {
		{ "a", "m", "z" }, { "a", "z", "m" }, { "m", "a", "z" }, { "z", "m", "a" }
	};
	struct box *b = *state;
	struct digest first = { 0 };

	for (size_t i = 0; i < ROWS(orders); i++) {
		const char *place = big_image(b, "big.oci", orders[i]);
		cleanup_buf struct buf got = BUF_INIT(64 << 20);
		struct digest d;
		dray_error *err = NULL;
		int64_t size = 0;

		assert_ok(dray_export(b->ctx, place, NULL, box_place(b, "", "out.tar"), false,
				      &size, &err),
			  err);
		got = box_read(b, "out.tar");
		assert_int_equal(got.len, size);
		assert_ok(digest_of(span_buf(&got), &d, &err), err);
		if (i == 0)
			first = d;
		assert_string_equal(d.text, first.text);
		stack_forget(b);
	}
}

/* Files around a folder, in a temporary file. */
static struct stack *open_kept(struct box *b, struct span *ret_tar)
{
	const struct stack_options o = { .keep_tars = true };
	cleanup_buf struct buf tar = tb_new();
	struct stack *s = NULL;
	dray_error *err = NULL;
	struct piece *p;

	put_big(&tar, "a", 1);
	tb_member(&tar, &(struct tb_head){ .name = "d/", .type = '5' }, NULL, 0);
	put_big(&tar, "d/z", 2);
	p = box_tar_piece(b, &tar, ENCODING_GZIP);
	*ret_tar = span_buf(&p->tar);
	assert_ok(
		stack_open(b->ctx, box_oci_plain(b, "kept.oci", false, &p, 1), NULL, &o, &s, &err),
		err);
	return s;
}

static void write_stack(struct stack *s, struct buf *ret)
{
	const struct layer_feed feed = stack_feed(s);
	cleanup_tree struct tree *t = NULL;
	dray_error *err = NULL;

	assert_ok(stack_tree(s, s->n, &t, &err), err);

	const struct record_list all = { tree_record_next, t };

	assert_ok(stack_prepare(s, &all, &err), err);
	assert_ok(slurp(layer_tar_source(&all, &feed, &err), ret, &err), err);
}

/* What was read of a temporary tar goes, if that is wanted, but for the folders. */
static void test_spent_tars(void **state)
{
	struct box *b = *state;
	struct span tar;
	cleanup_stack struct stack *s = open_kept(b, &tar);
	cleanup_buf struct buf first = BUF_INIT(64 << 20), second = BUF_INIT(64 << 20);
	const struct layer_entry *folder = &s->index[0]->list[1];
	const struct layer_feed feed = stack_feed(s);
	uint8_t header[TAR_BLOCK];
	dray_error *err = NULL;
	struct stat st;

	write_stack(s, &first);
	stack_spend_tars(s);
	write_stack(s, &second);
	assert_span(span_buf(&first), span_buf(&second));
	assert_int_equal(fstat(s->reads[0].spool, &st), 0);
	assert_int_equal(st.st_size, tar.len);
	assert_true(st.st_blocks * 512 < BIG / 4);
	assert_int_equal(feed.read(feed.arg, 0, folder->header_off, header, TAR_BLOCK, &err),
			 TAR_BLOCK);
	assert_memory_equal(header, tar.data + folder->header_off, TAR_BLOCK);
}

/* ---- what fails on the way ---- */

#define TRICKS                                                                                \
	"d d/\nf d/z =late\nf d/a =first\nf d/m =middle #user.x=1\nh hard >d/a\nl l >d\n--\n" \
	"f d/.wh.z\nh again >hard @0600:1:2:3\nf d/n =new\n--\nd e/\nf e/.wh..wh..opq\nf b =b\n"

struct order {
	struct box *b;
	dray_context *ctx;
	const char *place, *output;
	char id[DRAY_DIGEST_SIZE];
	struct buf want;
};

static int export_it(void *arg, dray_error **err)
{
	struct order *j = arg;

	(void)!unlink(j->output);
	return dray_export(j->ctx, j->place, NULL, j->output, false, NULL, err);
}

static int id_it(void *arg, dray_error **err)
{
	struct order *j = arg;

	return dray_rootfs_id(j->ctx, j->place, NULL, true, j->id, err);
}

/* The file is there and right, or it is not there. */
static void check_output(void *arg, bool failed)
{
	struct order *j = arg;
	cleanup_buf struct buf got = { 0 };

	if (failed && access(j->output, F_OK) < 0)
		return;
	got = box_read(j->b, "out.tar");
	assert_true(span_eq(span_buf(&got), span_buf(&j->want)));
}

static void torture_order(struct order *j)
{
	dray_error *err = NULL;

	assert_ok(export_it(j, &err), err);
	j->want = box_read(j->b, "out.tar");
	for (uint64_t nth = 1; nth < TORTURE_ROUNDS; nth++) {
		int rc;
		bool reached = torture_once(FAULT_ALLOC, nth, 0, export_it, j, &rc, &err);

		check_output(j, rc < 0);
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_NOMEM);
		if (!reached)
			break;
	}
	torture_io(export_it, j, EIO, check_output);
	torture_io(export_it, j, ENOSPC, check_output);
	buf_clear(&j->want);
}

static void test_export_fails(void **state)
{
	struct box *b = *state;
	dray_context *single = box_context(1);

	for (int how = 0; how < LIES; how++) {
		struct order j = { .b = b, .ctx = single };

		j.place = stack_image(b, how ? "i.oci" : "i.tar", TRICKS, (enum lies)how);
		j.output = box_place(b, "", "out.tar");
		torture_order(&j);
		stack_forget(b);
	}
	dray_context_free(single);
}

static void test_id_fails(void **state)
{
	struct box *b = *state;
	struct order j = { .b = b, .ctx = box_context(1) };
	char want[DRAY_DIGEST_SIZE];
	dray_error *err = NULL;

	j.place = stack_image(b, "i.oci", TRICKS, AS_ZSTD);
	assert_ok(id_it(&j, &err), err);
	memcpy(want, j.id, sizeof(want));
	for (uint64_t nth = 1; nth < TORTURE_ROUNDS; nth++) {
		int rc;
		bool reached = torture_once(FAULT_ALLOC, nth, 0, id_it, &j, &rc, &err);

		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_NOMEM);
		else
			assert_string_equal(j.id, want);
		if (!reached)
			break;
	}
	dray_context_free(j.ctx);
}

/* The archive may change between the reading of its entries and that of its bytes. */
static void test_changes(void **state)
{
	struct box *b = *state;
	const char *place = stack_image(b, "i.tar", "f a =1\n", AS_SAVED);
	cleanup_stack struct stack *s = open_stack(b, place, false);
	cleanup_buf struct buf got = tb_new();
	dray_error *err = NULL;
	int fd = openat(b->fd, "i.tar", O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0 && ftruncate(fd, 512) == 0);
	close(fd);
	assert_int_equal(slurp(stack_open_file(s, 0, &s->index[0]->list[0], &err), &got, &err), -1);
	assert_err(err, DRAY_ERR_CORRUPT, "changed or truncated");
}

#define FAR (4 << 20) /* more than is read ahead */

/* A layer of which two files are passed, with much in between that nothing compresses. */
static struct stack *open_far(struct box *b)
{
	cleanup_buf struct buf tar = tb_new(), data = make_bytes(FAR, 3);
	uint64_t noise = 1;
	struct piece *p;

	for (size_t i = 0; i < data.len; i++) {
		noise = noise * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		data.data[i] = (uint8_t)(noise >> 56);
	}
	tb_file(&tar, "a", "first");
	tb_file_bytes(&tar, "m", data.data, data.len);
	tb_file(&tar, "z", "last");
	tb_end(&tar);
	p = box_raw_piece(b, span_buf(&tar));
	box_squeeze(p, ENCODING_ZSTD);
	assert_int_equal(digest_of(span_buf(&p->stored), &p->blob, NULL), 0);
	return open_stack(b, box_oci_plain(b, "far.oci", false, &p, 1), false);
}

static atomic_bool stop;

/* What happens when the first of the files has been read, so that the layer is within. */
struct pass {
	struct box *b;
	int64_t cut; /* bytes that are left of the archive; 0 = all */
	bool cancel;
	int seen;
};

static int on_pass(void *arg, size_t read, const struct layer_entry *e, struct source *data,
		   dray_error **err)
{
	struct pass *p = arg;

	(void)read;
	(void)e;
	if (source_drain(data, err) < 0)
		return -1;
	if (p->seen++ == 0 && p->cut) {
		int fd = openat(p->b->fd, "far.oci", O_WRONLY | O_CLOEXEC);

		assert_true(fd >= 0 && ftruncate(fd, p->cut) == 0);
		close(fd);
	}
	if (p->cancel)
		atomic_store(&stop, true);
	return 0;
}

/* What fails on the way from one file to the next is told as it is, and once. */
static void test_second_pass(void **state)
{
	static const struct {
		struct pass how;
		enum dray_err_kind kind; /* 0 = it goes well */
		const char *says;
	} rows[] = {
		{ { .cut = 0 }, 0, NULL },
		{ { .cut = FAR - 2000000 }, DRAY_ERR_CORRUPT, "changed or truncated" },
		{ { .cancel = true }, DRAY_ERR_CANCELLED, "" },
	};
	struct box *b = *state;

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_stack struct stack *s = open_far(b);
		const struct layer_entry *list[] = { &s->index[0]->list[0], &s->index[0]->list[2] };
		struct pass pass = rows[i].how;
		dray_error *err = NULL;

		pass.b = b;
		cancel_follow(&stop);
		int rc = stack_pass_files(s, 0, list, 2, on_pass, &pass, &err);
		cancel_follow(NULL);
		atomic_store(&stop, false);
		if (!rows[i].kind)
			assert_ok(rc, err);
		else
			assert_err(err, rows[i].kind, rows[i].says);
		assert_int_equal(pass.seen, rows[i].kind ? 1 : 2);
		stack_forget(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		box_test(test_equal_layers), box_test(test_lazy),
		box_test(test_wrong_layer),  box_test(test_orders),
		box_test(test_export_fails), box_test(test_id_fails),
		box_test(test_changes),	     box_test(test_second_pass),
		box_test(test_spent_tars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
