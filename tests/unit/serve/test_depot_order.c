/* SPDX-License-Identifier: Apache-2.0
 *
 * What a power cut may take is what was not synced: the order of writes, syncs, renames and
 * unlinks, as the kernel is told it, is one in which nothing acknowledged can be lost.
 *
 * The calls are this program's own functions of those names, which the linker prefers.
 */
#include "depot_support.h"

#include <sys/syscall.h>

/* F, D, P: a file, a folder, the folder that the root lies in was synced. R: renamed. U: unlinked. w: the database was written. */
static char events[4096];
static size_t n_events;

static void note(char c)
{
	if (n_events + 1 < sizeof(events) && !(c == 'w' && n_events && events[n_events - 1] == 'w'))
		events[n_events++] = c;
	events[n_events] = 0;
}

static void forget(void)
{
	n_events = 0;
	events[0] = 0;
}

static ino_t parent_ino;
static bool folders_fail;

int fsync(int fd)
{
	struct stat st;
	bool folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);

	if (folder && folders_fail) {
		errno = EIO;
		return -1;
	}
	note(!folder ? 'F' : st.st_ino == parent_ino ? 'P' : 'D');
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	note('F');
	return (int)syscall(SYS_fdatasync, fd);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	note('R');
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int unlinkat(int dir, const char *name, int flags)
{
	note('U');
	return (int)syscall(SYS_unlinkat, dir, name, flags);
}

static ssize_t noted_pwrite(int fd, const void *p, size_t n, off_t off)
{
	note('w');
	return pwrite(fd, p, n, off);
}

static void note_database(void)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	assert_non_null(vfs);
	assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)noted_pwrite),
			 SQLITE_OK);
	assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)noted_pwrite),
			 SQLITE_OK);
}

static const char *behind(const char *at, char c)
{
	const char *found = strchr(at, c);

	if (!found)
		fail_msg("no '%c' in '%s' of '%s'", c, at, events);
	return found + 1;
}

/* What was written to the database from @p at on was synced, and nothing was written after. */
static const char *database_synced(const char *at)
{
	behind(at, 'w');
	at = strrchr(at, 'w') + 1;
	return behind(at, 'F');
}

/* The blob's bytes, its name, its folder; then its row; then the answer. */
static void a_blob_is_on_the_disk_before_its_row(void **state)
{
	struct shelf *s = site_open(*state);
	dray_error *err = NULL;

	for (int i = 0; i < 3; i++) {
		const char *const texts[] = { "one", "two", "one" };
		const char *at = events;

		site_seconds++; /* or the third would change nothing, and write nothing */
		forget();
		assert_ok(push_blob(s, "a", texts[i], &err), err);
		at = behind(at, 'F');
		if (memchr(events, 'w', (size_t)(at - events)))
			fail_msg("the database was first: '%s'", events);
		at = behind(at, 'R');
		at = behind(at, 'D');
		if (memchr(events, 'w', (size_t)(at - events)))
			fail_msg("the database was first: '%s'", events);
		database_synced(at);
	}
	shelf_free(s);
}

static void changes_are_synced_before_the_answer(void **state)
{
	struct shelf *s = site_open(*state);
	char *text = manifest_of("{}", "layer", "");
	const struct shelf_ref tag = { .tag = "v" }, digest = { .digest = digest_text_of(text) };
	const struct digest layer = digest_text_of("layer");
	dray_error *err = NULL;

	assert_ok(push_image(s, "a", "v", "{}", "layer", &err), err);
	forget();
	assert_ok(put_image(s, "a", "w", "{}", "layer", &err), err);
	database_synced(events);
	forget();
	assert_int_equal(s->write->mount(s, "b", &layer, "a", &err), 1);
	database_synced(events);
	forget();
	assert_ok(s->write->remove(s, "a", &tag, &err), err);
	database_synced(events);
	forget();
	assert_ok(s->write->remove(s, "a", &digest, &err), err);
	database_synced(events);
	forget();
	assert_ok(s->write->remove_blob(s, "a", &layer, &err), err);
	database_synced(events);
	free(text);
	shelf_free(s);
}

/* The row's end is on the disk before the file goes: a file too many, never one too few. */
static void gc_forgets_before_it_unlinks(void **state)
{
	const struct depot_gc gc = { .grace = 0 };
	struct shelf *s = site_open(*state);
	struct depot_collected got;
	dray_error *err = NULL;
	const char *first;

	assert_ok(push_blob(s, "a", "loose", &err), err);
	forget();
	assert_ok(depot_collect(s, &gc, &got, &err), err);
	assert_int_equal(got.blobs, 1);
	first = strchr(events, 'U');
	assert_non_null(first);
	events[first - events] = 0;
	database_synced(events);
	shelf_free(s);
}

static size_t synced_folders(void)
{
	size_t n = 0;

	for (size_t i = 0; i < n_events; i++)
		n += events[i] == 'D';
	return n;
}

/* A new folder is whole on the disk before anybody is served from it, and so is its name. */
static void a_new_folder_is_synced(void **state)
{
	const struct site *t = *state;
	struct shelf *s;
	struct stat st;

	assert_int_equal(fstat(t->fd, &st), 0);
	parent_ino = st.st_ino;
	forget();
	s = site_open(t);
	parent_ino = 0;
	if (strchr(behind(events, 'P'), 'w') != strchr(events, 'w'))
		fail_msg("the database was first: '%s'", events);
	assert_true(n_events > 0);
	assert_int_equal(events[n_events - 1], 'D');
	database_synced(events);
	shelf_free(s);
	/* What a killed process made and did not sync: sha256, sha512, blobs, the root */
	forget();
	shelf_free(site_open(t));
	assert_true(synced_folders() >= 4);
}

/* A folder of blobs whose name could not be synced is synced by the next push, not taken for it. */
static void a_failed_sync_is_made_up_for(void **state)
{
	struct shelf *s = site_open(*state);
	dray_error *err = NULL;

	folders_fail = true;
	assert_int_equal(push_blob(s, "a", "one", &err), -1);
	folders_fail = false;
	err_clear(&err);
	forget();
	assert_ok(push_blob(s, "a", "one", &err), err);
	behind(behind(behind(events, 'D'), 'R'), 'D');
	assert_int_equal(synced_folders(), 2);
	shelf_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		site_test(a_blob_is_on_the_disk_before_its_row),
		site_test(changes_are_synced_before_the_answer),
		site_test(gc_forgets_before_it_unlinks),
		site_test(a_new_folder_is_synced),
		site_test(a_failed_sync_is_made_up_for),
	};

	note_database();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
