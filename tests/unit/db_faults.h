/* SPDX-License-Identifier: Apache-2.0
 *
 * SQLite's own allocations and system calls through the counted door (base/fault.h), too: for
 * tests of what is kept in databases. Call db_faults() before anything of SQLite's.
 */
#pragma once

#include <errno.h>
#include <malloc.h>
#include <sqlite3.h>
#include "base/fault.h"
#include "support.h"

static bool dbf_refused(void)
{
	if (fault_hit(FAULT_CRASH))
		_exit(99);
	if (!fault_hit(FAULT_IO))
		return false;
	errno = fault_errno();
	return true;
}

static int dbf_open(const char *path, int flags, mode_t mode)
{
	return dbf_refused() ? -1 : open(path, flags, mode);
}

static ssize_t dbf_pread(int fd, void *p, size_t n, off_t off)
{
	return dbf_refused() ? -1 : pread(fd, p, n, off);
}

static ssize_t dbf_pwrite(int fd, const void *p, size_t n, off_t off)
{
	return dbf_refused() ? -1 : pwrite(fd, p, n, off);
}

static int dbf_ftruncate(int fd, off_t size)
{
	return dbf_refused() ? -1 : ftruncate(fd, size);
}

static int dbf_unlink(const char *path)
{
	return dbf_refused() ? -1 : unlink(path);
}

static void *dbf_malloc(int n)
{
	return fault_hit(FAULT_ALLOC) ? NULL : malloc((size_t)n);
}

static void *dbf_realloc(void *p, int n)
{
	return fault_hit(FAULT_ALLOC) ? NULL : realloc(p, (size_t)n);
}

static int dbf_size(void *p)
{
	return (int)malloc_usable_size(p);
}

static int dbf_roundup(int n)
{
	return (n + 7) & ~7;
}

static int dbf_init(void *arg)
{
	(void)arg;
	return SQLITE_OK;
}

static void dbf_shutdown(void *arg)
{
	(void)arg;
}

static inline void db_faults(void)
{
	static sqlite3_mem_methods memory = { dbf_malloc,  free,     dbf_realloc,  dbf_size,
					      dbf_roundup, dbf_init, dbf_shutdown, NULL };
	const struct {
		const char *name;
		sqlite3_syscall_ptr call;
	} calls[] = {
		{ "open", (sqlite3_syscall_ptr)dbf_open },
		{ "pread", (sqlite3_syscall_ptr)dbf_pread },
		{ "pread64", (sqlite3_syscall_ptr)dbf_pread },
		{ "pwrite", (sqlite3_syscall_ptr)dbf_pwrite },
		{ "pwrite64", (sqlite3_syscall_ptr)dbf_pwrite },
		{ "ftruncate", (sqlite3_syscall_ptr)dbf_ftruncate },
		{ "unlink", (sqlite3_syscall_ptr)dbf_unlink },
	};
	sqlite3_vfs *vfs;

	assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &memory), SQLITE_OK);
	vfs = sqlite3_vfs_find(NULL);
	assert_non_null(vfs);
	for (size_t i = 0; i < ROWS(calls); i++)
		assert_int_equal(vfs->xSetSystemCall(vfs, calls[i].name, calls[i].call), SQLITE_OK);
}
