/* SPDX-License-Identifier: Apache-2.0
 *
 * For: which package databases an image has, and reading them.
 * Relies on: ops/stack for their bytes, a reader for each kind.
 * Promises: each layer is decoded once more at most; what was seen and not read is told.
 */
#include "ops/packages_priv.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define PATH_SHOWN_MAX 300 /* bytes of a path that an error shows */

/* In the order they are read in: what later ones need comes first. */
enum db_kind { DB_DIVERSIONS, DB_STATUS, DB_STATUS_D, DB_MD5SUMS, DB_LIST, DB_APK, DB_RPM };

struct db_file {
	enum db_kind kind;
	const struct node *node;
	const char *name; /* of the node, less the ending that all of its kind have */
	size_t name_len;
};

struct finding {
	struct stack *s;
	const struct tree *t;
	struct db_file *list;
	struct stack_file *files; /* of each */
	size_t n, cap, cap_files;
	size_t links_left;
	struct arena arena; /* contents */
};

static void finding_clear(struct finding *f)
{
	mem_free(f->list);
	mem_free(f->files);
	arena_clear(&f->arena);
}
#define cleanup_finding CLEANUP(finding_clear)

/* ---- finding them ---- */

static int look(struct finding *f, const char *path, const struct node **ret, dray_error **err)
{
	cleanup_buf struct buf room = BUF_INIT((LIMIT_SYMLINK_HOPS + 2) * LIMIT_PATH);

	return package_lead(f->t, path, &f->links_left, &room, ret, err);
}

/* The same file may have two ways to it. */
static bool has(const struct finding *f, const struct node *n)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->list[i].node->inode == n->inode)
			return true;
	return false;
}

static int want(struct finding *f, enum db_kind kind, const struct node *n, const char *ending,
		dray_error **err)
{
	if (node_type(n) != TAR_FILE)
		return 0;
	if (mem_grow(&f->list, f->n, &f->cap, sizeof(*f->list)) < 0 ||
	    mem_grow(&f->files, f->n, &f->cap_files, sizeof(*f->files)) < 0)
		return err_nomem(err);
	f->list[f->n] = (struct db_file){ kind, n, n->name, strlen(n->name) - strlen(ending) };
	f->files[f->n++] = (struct stack_file){ .inode = n->inode };
	return 0;
}

static int want_file(struct finding *f, enum db_kind kind, const char *path, dray_error **err)
{
	const struct node *n;

	if (look(f, path, &n, err) < 0)
		return -1;
	return n && !has(f, n) ? want(f, kind, n, "", err) : 0;
}

/* The files of a folder whose names end so; @p others: those whose names do not. */
static int want_folder(struct finding *f, enum db_kind kind, const char *path, const char *ending,
		       bool others, dray_error **err)
{
	const struct node *n;

	if (look(f, path, &n, err) < 0)
		return -1;
	if (!n || !node_is_dir(n))
		return 0;
	for (n = n->child; n; n = n->next)
		if (span_ends(span_str(n->name), ending) != others &&
		    want(f, kind, n, others ? "" : ending, err) < 0)
			return -1;
	return 0;
}

/* rpm kept its database in other ways before. */
static int warn_unread(struct finding *f, dray_error **err)
{
	/* Often one folder is a link to the other: the two ways to a file are neighbours. */
	static const char *const paths[] = { "usr/lib/sysimage/rpm/Packages",
					     "var/lib/rpm/Packages",
					     "usr/lib/sysimage/rpm/Packages.db",
					     "var/lib/rpm/Packages.db" };
	static const char *const logs[] = { "usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
					    "var/lib/rpm/rpmdb.sqlite-wal" };
	const struct node *n, *last = NULL;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++, last = n) {
		if (look(f, paths[i], &n, err) < 0)
			return -1;
		if (n && n != last && node_type(n) == TAR_FILE)
			context_log(f->s->ctx, DRAY_LOG_WARNING,
				    "%s: %s: this format of rpm's database is not read",
				    f->s->im->where, paths[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(logs); i++, last = n) {
		if (look(f, logs[i], &n, err) < 0)
			return -1;
		if (n && n != last && node_type(n) == TAR_FILE && n->inode->data->size > 0)
			context_log(f->s->ctx, DRAY_LOG_WARNING,
				    "%s: %s: changes that wait there are not seen", f->s->im->where,
				    logs[i]);
	}
	return 0;
}

static int find_all(struct finding *f, dray_error **err)
{
	if (want_file(f, DB_DIVERSIONS, "var/lib/dpkg/diversions", err) < 0 ||
	    want_file(f, DB_STATUS, "var/lib/dpkg/status", err) < 0 ||
	    want_folder(f, DB_STATUS_D, "var/lib/dpkg/status.d", ".md5sums", true, err) < 0 ||
	    want_folder(f, DB_MD5SUMS, "var/lib/dpkg/status.d", ".md5sums", false, err) < 0 ||
	    want_folder(f, DB_LIST, "var/lib/dpkg/info", ".list", false, err) < 0 ||
	    want_file(f, DB_APK, "lib/apk/db/installed", err) < 0 ||
	    want_file(f, DB_APK, "usr/lib/apk/db/installed", err) < 0 ||
	    want_file(f, DB_RPM, "usr/lib/sysimage/rpm/rpmdb.sqlite", err) < 0 ||
	    want_file(f, DB_RPM, "var/lib/rpm/rpmdb.sqlite", err) < 0)
		return -1;
	return warn_unread(f, err);
}

/* ---- reading them ---- */

static int read_one(struct dpkg *d, const struct db_file *file, struct room bytes, dray_error **err)
{
	struct span text = span_of(bytes.data, bytes.len);
	struct span name = span_of(file->name, file->name_len);

	if (file->kind != DB_RPM && bytes.len > LIMIT_PACKAGE_TEXT)
		return err_set(err, DRAY_ERR_LIMIT, "more than %lld bytes (LIMIT_PACKAGE_TEXT)",
			       LIMIT_PACKAGE_TEXT);
	switch (file->kind) {
	case DB_DIVERSIONS:
		return dpkg_diversions(d, text, err);
	case DB_STATUS:
		return dpkg_status(d, text, NULL, err);
	case DB_STATUS_D:
		return dpkg_status(d, text, file->name, err);
	case DB_MD5SUMS:
		return dpkg_md5sums(d, name, text, err);
	case DB_LIST:
		return dpkg_list(d, name, text, err);
	case DB_APK:
		return apk_installed(d->b, text, err);
	case DB_RPM:
		return rpm_sqlite(d->b, bytes, err);
	}
	return 0;
}

static int name_failure(const struct finding *f, const struct db_file *file, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);
	cleanup_free char *shown = NULL;

	if (node_path(file->node, &path, NULL) == 0)
		shown = text_safe(span_buf(&path), PATH_SHOWN_MAX);
	return err_ctx(err, "%s: %s", f->s->im->where, shown ? shown : "?");
}

static int read_all(struct finding *f, struct package_build *b, dray_error **err)
{
	cleanup_dpkg struct dpkg d = { .b = b };

	if (stack_read_files(f->s, f->files, f->n, LIMIT_PACKAGE_DB, &f->arena, err) < 0)
		return err_ctx(err, "%s: package databases", f->s->im->where);
	for (size_t i = 0; i < f->n; i++)
		if (read_one(&d, &f->list[i], f->files[i].bytes, err) < 0)
			return name_failure(f, &f->list[i], err);
	return 0;
}

int packages_read(struct stack *s, const struct tree *t, struct package_set **ret, dray_error **err)
{
	cleanup_finding struct finding f = { .s = s, .t = t, .links_left = LIMIT_PACKAGE_LINKS };
	cleanup_package_build struct package_build b = { 0 };

	if (package_build_init(&b, t, err) < 0 || find_all(&f, err) < 0 ||
	    read_all(&f, &b, err) < 0)
		return -1;
	return packages_finish(&b, ret, err);
}
