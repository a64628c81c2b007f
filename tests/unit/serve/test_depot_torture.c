/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation and every system call of the folder and its database failed once, and the
 * process killed at each: nothing that was acknowledged is lost, no tag names what is not there.
 */
#include "depot_support.h"

#include <sys/wait.h>

#include "torture.h"

/*
 * One run costs some 20 ms, and there are thousands of allocations (SQLite's): of these, and of
 * the calls that meet a full disk, a part is taken. A kill and EIO are tried at every call.
 */
#define ALLOC_STEP 19
#define FULL_STEP 3
#define VALGRIND_STEP 41 /* times as slow: a part of everything */

enum {
	STEP_BLOBS,  /* pushed to a */
	STEP_FIRST,  /* a:v1 */
	STEP_SECOND, /* a:v2, with the config of v1 */
	STEP_MOUNT,  /* v2's blobs are b's, too, and b:v2 is an image */
	STEP_DELETE, /* v1 is gone */
	STEP_GC,
	STEPS
};

/* Called behind each step that was acknowledged. */
typedef void step_fn(void *arg, int step);

static int mount_second(struct shelf *s, dray_error **err)
{
	const struct digest c = digest_text_of("{}"), l = digest_text_of("layer 2");

	if (s->write->mount(s, "b", &c, "a", err) < 0 || s->write->mount(s, "b", &l, "a", err) < 0)
		return -1;
	return put_image(s, "b", "v2", "{}", "layer 2", err);
}

static int remove_first(struct shelf *s, dray_error **err)
{
	char *text = manifest_of("{}", "layer 1", "");
	const struct shelf_ref ref = { .digest = digest_text_of(text) };

	free(text);
	return s->write->remove(s, "a", &ref, err);
}

static int run_step(struct shelf *s, int step, dray_error **err)
{
	const struct depot_gc gc = { .grace = 0 };
	struct depot_collected got;

	switch (step) {
	case STEP_BLOBS:
		return push_blob(s, "a", "{}", err) < 0 ? -1 : push_blob(s, "a", "layer 1", err);
	case STEP_FIRST:
		return put_image(s, "a", "v1", "{}", "layer 1", err);
	case STEP_SECOND:
		return push_image(s, "a", "v2", "{}", "layer 2", err);
	case STEP_MOUNT:
		return mount_second(s, err);
	case STEP_DELETE:
		return remove_first(s, err);
	default:
		return depot_collect(s, &gc, &got, err);
	}
}

static int run_steps(const struct site *t, step_fn *done, void *arg, dray_error **err)
{
	cleanup_shelf struct shelf *s = NULL;

	if (site_try(t, (struct depot_options){ 0 }, &s, err) < 0)
		return -1;
	for (int step = 0; step < STEPS; step++) {
		if (run_step(s, step, err) < 0)
			return -1;
		if (done)
			done(arg, step);
	}
	return 0;
}

/* Reopened, with @p done steps acknowledged. The next may have happened, or not. */
static void check_after(const struct site *t, int done)
{
	struct shelf *s = site_open(t);
	const struct depot_gc gc = { .grace = 0 };
	struct depot_collected got;
	dray_error *err = NULL;

	check_store(s);
	if (done == STEP_BLOBS + 1)
		assert_true(has_blob(s, "a", "{}") && has_blob(s, "a", "layer 1"));
	if (done > STEP_FIRST && done < STEP_DELETE)
		assert_true(has_tag(s, "a", "v1"));
	if (done > STEP_SECOND)
		assert_true(has_tag(s, "a", "v2"));
	if (done > STEP_MOUNT)
		assert_true(has_tag(s, "b", "v2"));
	if (done > STEP_DELETE)
		assert_false(has_tag(s, "a", "v1"));
	/* It works on: everything again, and gc finds what the failure left. */
	assert_ok(depot_collect(s, &gc, &got, &err), err);
	check_store(s);
	assert_ok(push_image(s, "a", "v1", "{}", "layer 1", &err), err);
	assert_ok(depot_collect(s, &gc, &got, &err), err);
	assert_int_equal(got.strays + got.blobs, 0);
	check_store(s);
	shelf_free(s);
}

static uint64_t slower(uint64_t step)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload") ? step * VALGRIND_STEP : step;
}

static void count_step(void *arg, int step)
{
	*(int *)arg = step + 1;
}

static void torture(const struct site *t, enum fault_kind kind, int errnum, uint64_t step)
{
	bool reached = true;

	for (uint64_t nth = 1; reached; nth += slower(step)) {
		dray_error *err = NULL;
		int done = 0, rc;

		site_wipe(t);
		fault_arm(kind, nth, errnum);
		rc = run_steps(t, count_step, &done, &err);
		fault_arm(kind, 0, 0);
		reached = fault_count(kind) >= nth;
		if ((rc < 0) != (err != NULL))
			fail_msg("fault %llu: %d without an error", (unsigned long long)nth, rc);
		if (rc < 0 && kind == FAULT_ALLOC && dray_error_kind(err) != DRAY_ERR_NOMEM)
			fail_msg("fault %llu: %s", (unsigned long long)nth,
				 dray_error_message(err));
		err_clear(&err);
		check_after(t, done);
	}
}

static void allocations_fail(void **state)
{
	torture(*state, FAULT_ALLOC, 0, ALLOC_STEP);
}

static void every_call_fails(void **state)
{
	torture(*state, FAULT_IO, EIO, 1);
}

static void the_disk_is_full(void **state)
{
	torture(*state, FAULT_IO, ENOSPC, FULL_STEP);
}

static void tell_step(void *arg, int step)
{
	const uint8_t byte = (uint8_t)step;

	(void)!write(*(int *)arg, &byte, 1);
}

/* In a process of its own; how many steps it was told of. True when it lived to the end. */
static bool killed_at(const struct site *t, uint64_t nth, int *ret_done)
{
	int pipes[2], status;
	uint8_t byte;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fault_arm(FAULT_CRASH, nth, 0);
		_exit(run_steps(t, tell_step, &pipes[1], NULL) < 0);
	}
	close(pipes[1]);
	for (*ret_done = 0; read(pipes[0], &byte, 1) == 1;)
		*ret_done = byte + 1;
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 99));
	return WEXITSTATUS(status) == 0;
}

static void killed_at_every_call(void **state)
{
	struct site *t = *state;
	int done = 0;

	for (uint64_t nth = 1;; nth += slower(1)) {
		bool lived;

		site_wipe(t);
		lived = killed_at(t, nth, &done);
		check_after(t, done);
		if (lived)
			break;
		assert_true(nth < TORTURE_ROUNDS);
	}
	assert_int_equal(done, STEPS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		site_test(allocations_fail),
		site_test(every_call_fails),
		site_test(the_disk_is_full),
		site_test(killed_at_every_call),
	};

	/* Where syncing costs nothing: this opens the folder thousands of times. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	db_faults();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
