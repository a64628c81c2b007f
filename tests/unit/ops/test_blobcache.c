/* SPDX-License-Identifier: Apache-2.0
 *
 * The blob cache: what was put in comes out, best first, and whatever goes wrong is silence.
 */
#include "support.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "base/mem.h"
#include "ops/blobcache.h"

#define CACHE "dray/blobs-1.sqlite"

struct home {
	char *dir;
	int fd;
};

static int home_setup(void **state)
{
	static struct home h;

	h.dir = temp_dir_make(&h.fd);
	setenv("XDG_CACHE_HOME", h.dir, 1);
	setenv("HOME", "/nonexistent", 1);
	*state = &h;
	return 0;
}

static void remove_cache(int dirfd)
{
	static const char *const names[] = { CACHE, CACHE "-wal", CACHE "-shm", CACHE "-journal" };

	for (size_t i = 0; i < ROWS(names); i++)
		unlinkat(dirfd, names[i], 0);
	unlinkat(dirfd, CACHE, AT_REMOVEDIR);
}

static int home_teardown(void **state)
{
	struct home *h = *state;

	remove_cache(h->fd);
	temp_dir_remove(h->dir, h->fd);
	return 0;
}

#define home_test(fn) cmocka_unit_test_setup_teardown(fn, home_setup, home_teardown)

static struct digest digest_no(int n)
{
	struct digest d;
	char text[32];

	snprintf(text, sizeof(text), "blob %d", n);
	assert_int_equal(digest_of(span_str(text), &d, NULL), 0);
	return d;
}

static struct blobcache_entry entry(int n, const char *encoder, const char *repository)
{
	struct blobcache_entry e = {
		.blob_digest = digest_no(n),
		.blob_size = n,
		.compression = COMPRESSION_GZIP,
	};

	snprintf(e.encoder, sizeof(e.encoder), "%s", encoder);
	snprintf(e.repository, sizeof(e.repository), "%s", repository);
	return e;
}

static void add(struct blobcache *c, int diff, int n, const char *repository)
{
	const struct digest d = digest_no(diff);
	const struct blobcache_entry e = entry(n, "gzip/1", repository);

	blobcache_add(c, &d, &e);
}

static size_t find(struct blobcache *c, int diff, const char *host, struct blobcache_entry *ret,
		   size_t max)
{
	const struct digest d = digest_no(diff);

	return blobcache_find(c, &d, host, ret, max);
}

static void cache_add_find_forget(void **state)
{
	struct blobcache *c = blobcache_open();
	const struct digest diff = digest_no(1000);
	const struct blobcache_entry want = entry(7, "zstd/1;level=3", "h:5000/a/b");
	struct blobcache_entry got[4];

	(void)state;
	assert_non_null(c);
	assert_int_equal(blobcache_find(c, &diff, "h:5000", got, 4), 0);
	blobcache_add(c, &diff, &want);
	blobcache_add(c, &diff, &want); /* the same again is no second row */
	assert_int_equal(blobcache_find(c, &diff, "h:5000", got, 4), 1);
	assert_true(digest_eq(&got[0].blob_digest, &want.blob_digest));
	assert_int_equal(got[0].blob_size, 7);
	assert_int_equal(got[0].compression, COMPRESSION_GZIP);
	assert_string_equal(got[0].encoder, want.encoder);
	assert_string_equal(got[0].repository, want.repository);

	blobcache_forget(c, &want.blob_digest, "h:5000/other");
	assert_int_equal(blobcache_find(c, &diff, "h:5000", got, 4), 1);
	blobcache_forget(c, &want.blob_digest, want.repository);
	assert_int_equal(blobcache_find(c, &diff, "h:5000", got, 4), 0);
	blobcache_close(c);
}

/* A later run knows it; another cache folder does not. */
static void cache_lasts_where_it_is(void **state)
{
	const struct home *h = *state;
	struct blobcache_entry got;
	struct blobcache *c = blobcache_open();
	int fd;
	char *other = temp_dir_make(&fd);
	struct stat st;

	add(c, 1, 2, "h/a");
	blobcache_close(c);
	c = blobcache_open();
	assert_int_equal(find(c, 1, "h", &got, 1), 1);
	blobcache_close(c);
	assert_int_equal(fstatat(h->fd, "dray", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0700);

	setenv("XDG_CACHE_HOME", other, 1);
	c = blobcache_open();
	assert_non_null(c);
	assert_int_equal(find(c, 1, "h", &got, 1), 0);
	blobcache_close(c);
	remove_cache(fd);
	temp_dir_remove(other, fd);
}

static void cache_below_home(void **state)
{
	const struct home *h = *state;
	struct blobcache *c;
	struct stat st;

	setenv("XDG_CACHE_HOME", "relative/is/ignored", 1);
	setenv("HOME", h->dir, 1);
	c = blobcache_open();
	assert_non_null(c);
	blobcache_close(c);
	assert_int_equal(fstatat(h->fd, ".cache/" CACHE, &st, 0), 0);
	assert_int_equal(unlinkat(h->fd, ".cache/" CACHE, 0), 0);
	assert_int_equal(unlinkat(h->fd, ".cache/dray", AT_REMOVEDIR), 0);
}

/* What is on this host comes first: it needs no second upload. */
static void cache_host_first(void **state)
{
	static const char *const repositories[] = { "h:5000/a", "h:50/b", "other/c", "h:50/d",
						    "h:500/e" };
	struct blobcache *c = blobcache_open();
	struct blobcache_entry got[ROWS(repositories)];

	(void)state;
	for (size_t i = 0; i < ROWS(repositories); i++)
		add(c, 1, (int)i, repositories[i]);
	assert_int_equal(find(c, 1, "h:50", got, ROWS(got)), ROWS(got));
	for (size_t i = 0; i < ROWS(got); i++)
		if ((strncmp(got[i].repository, "h:50/", 5) == 0) != (i < 2))
			fail_msg("place %zu: %s", i, got[i].repository);
	assert_int_equal(find(c, 1, "h:50", got, 1), 1);
	assert_int_equal(find(c, 1, "elsewhere", got, ROWS(got)), ROWS(got));
	blobcache_close(c);
}

static void cache_newest_first(void **state)
{
	struct blobcache *c = blobcache_open();
	struct blobcache_entry got[2];
	time_t begin = time(NULL);

	(void)state;
	add(c, 1, 1, "h/zz");
	while (time(NULL) == begin)
		usleep(20000);
	add(c, 1, 2, "h/aa");
	assert_int_equal(find(c, 1, "h", got, 2), 2);
	assert_string_equal(got[0].repository, "h/aa");
	blobcache_close(c);
}

/* Every call takes "no cache". */
static void assert_silent(void)
{
	struct blobcache *c = blobcache_open();
	struct blobcache_entry got;
	const struct digest d = digest_no(1);

	add(c, 1, 2, "h/a");
	assert_int_equal(find(c, 1, "h", &got, 1), 0);
	blobcache_forget(c, &d, "h/a");
	blobcache_close(c);
}

static void cache_without_a_home(void **state)
{
	struct home *h = *state;
	char *path = NULL;

	unsetenv("XDG_CACHE_HOME");
	assert_silent(); /* no such folder */
	unsetenv("HOME");
	assert_silent();
	setenv("HOME", "", 1);
	assert_silent();
	setenv("XDG_CACHE_HOME", "/proc", 1); /* nobody may write there, root neither */
	assert_silent();

	put_file(h->fd, "file", span_str("in the way"));
	assert_true(asprintf(&path, "%s/file", h->dir) > 0);
	setenv("XDG_CACHE_HOME", path, 1);
	assert_silent();
	free(path);

	/* a folder where the file should be */
	setenv("XDG_CACHE_HOME", h->dir, 1);
	assert_int_equal(mkdirat(h->fd, "dray", 0700), 0);
	assert_int_equal(mkdirat(h->fd, CACHE, 0700), 0);
	assert_silent();
}

/* A link is not followed: it could lead to somebody's data. */
static void cache_no_links(void **state)
{
	struct home *h = *state;

	assert_int_equal(mkdirat(h->fd, "dray", 0700), 0);
	put_file(h->fd, "precious", span_str("data"));
	assert_int_equal(symlinkat("../precious", h->fd, CACHE), 0);
	assert_silent();
	assert_file_is(h->fd, "precious", "data");
}

static void cache_heals_itself(void **state)
{
	static const char *const damages[] = {
		"this is no database, it is a text that is long enough to be looked at as one, "
		"for a header of SQLite has a hundred bytes and this sentence has more of them.",
		"SQLite format 3\0 and then nothing",
	};
	struct home *h = *state;
	struct blobcache_entry got;

	for (size_t i = 0; i < ROWS(damages); i++) {
		struct blobcache *c = blobcache_open();
		uint8_t bad[4096] = { 0 };

		add(c, 1, 2, "h/a");
		blobcache_close(c);
		memset(bad, 'Z', sizeof(bad));
		memcpy(bad, damages[i], i ? 16 : strlen(damages[i]));
		put_file(h->fd, CACHE, span_of(bad, sizeof(bad)));

		c = blobcache_open();
		assert_non_null(c);
		assert_int_equal(find(c, 1, "h", &got, 1), 0);
		add(c, 1, 3, "h/a");
		assert_int_equal(find(c, 1, "h", &got, 1), 1);
		blobcache_close(c);
		remove_cache(h->fd);
	}
}

/* Cut anywhere: either it works or there is no cache, and it never hangs or dies. */
static void cache_cut_short(void **state)
{
	struct home *h = *state;
	struct blobcache_entry got[4];

	for (off_t cut = 0; cut < 3 * 4096; cut += 1371) {
		struct blobcache *c = blobcache_open();

		for (int i = 0; i < 50; i++)
			add(c, i, i, "h/a");
		blobcache_close(c);
		if (faccessat(h->fd, CACHE, F_OK, 0) == 0) {
			int fd = openat(h->fd, CACHE, O_RDWR | O_CLOEXEC);

			assert_int_equal(ftruncate(fd, cut), 0);
			close(fd);
		}
		c = blobcache_open();
		add(c, 1, 3, "h/a");
		assert_true(find(c, 1, "h", got, 4) <= 4);
		blobcache_close(c);
		remove_cache(h->fd);
	}
}

/* Leave without the exit handlers of the test program. */
static pid_t in_child(int (*fn)(int n), int n)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(n));
	return pid;
}

static void child_is_well(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define EACH 100 /* entries per process */

static int write_many(int n)
{
	struct blobcache *c = blobcache_open();

	for (int i = 0; i < EACH; i++)
		add(c, n * EACH + i, i, "h/a");
	blobcache_close(c);
	return c ? 0 : 1;
}

static void cache_two_processes(void **state)
{
	struct blobcache *c = blobcache_open();
	struct blobcache_entry got;
	pid_t pids[2];

	(void)state;
	for (int n = 0; n < 2; n++)
		pids[n] = in_child(write_many, n);
	for (int n = 0; n < 2; n++)
		child_is_well(pids[n]);
	for (int i = 0; i < 2 * EACH; i++)
		assert_int_equal(find(c, i, "h", &got, 1), 1);
	blobcache_close(c);
}

/* A file that may not grow is what a full disk looks like from here. */
static int write_on_full_disk(int limit)
{
	const struct rlimit full = { (rlim_t)limit, (rlim_t)limit };
	struct blobcache *c;
	struct blobcache_entry got;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &full) < 0)
		return 2;
	c = blobcache_open();
	for (int i = 0; i < 2000; i++)
		add(c, i, i, "a.very.long.host.name.example/with/a/long/path/so/that/pages/fill");
	find(c, 1, "h", &got, 1);
	blobcache_close(c);
	return 0;
}

static void cache_full_disk(void **state)
{
	static const int limits[] = { 0, 512, 4096, 20000, 70000 };
	struct home *h = *state;

	for (size_t i = 0; i < ROWS(limits); i++) {
		child_is_well(in_child(write_on_full_disk, limits[i]));
		remove_cache(h->fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		home_test(cache_add_find_forget), home_test(cache_lasts_where_it_is),
		home_test(cache_below_home),	  home_test(cache_host_first),
		home_test(cache_newest_first),	  home_test(cache_without_a_home),
		home_test(cache_no_links),	  home_test(cache_heals_itself),
		home_test(cache_cut_short),	  home_test(cache_two_processes),
		home_test(cache_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
