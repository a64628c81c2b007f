/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of a walked folder as one range of bytes, and readers of it side by side.
 * Relies on build/walk to plan what is read.
 * Promises that no reader takes another file for the planned one.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "build/walk.h"
#include "torture.h"

static const struct {
	const char *path, *text;
} FILES[] = {
	{ "a", "first" }, { "sub/b", "second" }, { "sub/c", "third" },
	{ "z", "last" },  { "sub/none", "" },
};

struct folder {
	char *path;
	int fd;
};

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* Of long ago: a file that is written anew within the same tick of the clock differs all the same. */
static int set_up(void **state)
{
	static const struct timespec old[] = { { .tv_sec = 1000000 }, { .tv_sec = 1000000 } };
	struct folder *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->path = temp_dir_make(&f->fd);
	assert_int_equal(mkdirat(f->fd, "sub", 0755), 0);
	for (size_t i = 0; i < ROWS(FILES); i++)
		write_file(f->path, FILES[i].path, FILES[i].text);
	assert_int_equal(utimensat(f->fd, "a", old, 0), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct folder *f = *state;

	for (size_t i = 0; i < ROWS(FILES); i++)
		unlinkat(f->fd, FILES[i].path, 0);
	temp_dir_remove(f->path, f->fd);
	free(f);
	return 0;
}

static const struct policy PLAIN = { .uname = "", .gname = "" };

static int plan(const char *root, struct inputs *in, struct layer_index **ret, dray_error **err)
{
	const struct walk w = { .in = in, .root = root, .to = "srv/app", .policy = &PLAIN };

	*ret = entries_new(err);
	return *ret ? walk_dir(&w, *ret, err) : -1;
}

static const struct layer_entry *entry_of(const struct layer_index *ix, const char *path)
{
	char full[200];

	snprintf(full, sizeof(full), "srv/app/%s", path);
	for (size_t i = 0; i < ix->n; i++)
		if (strcmp(ix->list[i].path, full) == 0)
			return &ix->list[i];
	fail_msg("%s is missing", path);
	return NULL;
}

static int read_entry(const struct layer_feed *feed, const struct layer_entry *e, char *text,
		      size_t size, dray_error **err)
{
	int64_t done = 0;

	while (done < e->size) {
		int64_t n = feed->read(feed->arg, 0, e->data_off + done, text + done,
				       size - 1 - (size_t)done, err);

		if (n <= 0)
			return -1;
		done += n;
	}
	text[done] = 0;
	return 0;
}

/* In whatever order two readers take turns, each gets what it asks for. */
static void test_side_by_side(void **state)
{
	const struct folder *f = *state;
	cleanup_inputs struct inputs in = INPUTS_INIT;
	cleanup_layer_index struct layer_index *ix = NULL;
	dray_error *err = NULL;

	assert_ok(plan(f->path, &in, &ix, &err), err);
	cleanup_inputs_reader struct inputs_reader one = INPUTS_READER_INIT(&in);
	cleanup_inputs_reader struct inputs_reader two = INPUTS_READER_INIT(&in);
	const struct layer_feed feeds[] = { inputs_reader_feed(&one), inputs_reader_feed(&two),
					    inputs_feed(&in) };

	for (size_t i = 0; i < ROWS(FILES) * ROWS(FILES); i++) {
		size_t at = (i * 7 + i / ROWS(FILES)) % ROWS(FILES);
		char text[64];

		assert_ok(read_entry(&feeds[i % ROWS(feeds)], entry_of(ix, FILES[at].path), text,
				     sizeof(text), &err),
			  err);
		assert_string_equal(text, FILES[at].text);
	}
	assert_ok(inputs_check_empty(&in, &err), err);
}

/* The same size is not enough, nor the same text in another file. */
static void test_changed(void **state)
{
	const struct folder *f = *state;
	cleanup_inputs struct inputs in = INPUTS_INIT;
	cleanup_layer_index struct layer_index *ix = NULL;
	dray_error *err = NULL;
	char text[64];

	assert_ok(plan(f->path, &in, &ix, &err), err);
	cleanup_inputs_reader struct inputs_reader one = INPUTS_READER_INIT(&in);
	const struct layer_feed feed = inputs_reader_feed(&one);

	assert_int_equal(unlinkat(f->fd, "a", 0), 0);
	write_file(f->path, "a", "FIRST");
	assert_int_equal(read_entry(&feed, entry_of(ix, "a"), text, sizeof(text), &err), -1);
	assert_err(err, DRAY_ERR_CORRUPT, "a: it changed while it was read");
	assert_ok(read_entry(&feed, entry_of(ix, "sub/c"), text, sizeof(text), &err), err);
	write_file(f->path, "sub/none", "x");
	assert_int_equal(inputs_check_empty(&in, &err), -1);
	assert_err(err, DRAY_ERR_CORRUPT, "sub/none: it changed while it was read");
}

static int plan_and_read(void *arg, dray_error **err)
{
	const struct folder *f = arg;
	cleanup_inputs struct inputs in = INPUTS_INIT;
	cleanup_layer_index struct layer_index *ix = NULL;
	cleanup_inputs_reader struct inputs_reader one = INPUTS_READER_INIT(&in);
	const struct layer_feed feed = inputs_reader_feed(&one);
	char text[64];

	if (plan(f->path, &in, &ix, err) < 0)
		return -1;
	for (size_t i = 0; i < ROWS(FILES); i++)
		if (read_entry(&feed, entry_of(ix, FILES[i].path), text, sizeof(text), err) < 0)
			return -1;
	return inputs_check_empty(&in, err);
}

static void test_torture(void **state)
{
	torture_alloc(plan_and_read, *state);
	torture_io(plan_and_read, *state, EIO, NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_side_by_side, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_changed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_torture, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
