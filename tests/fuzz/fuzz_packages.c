/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a package database; the first byte says of which kind.
 * Relies on libFuzzer, or on the plain driver that runs the corpus as a test.
 * Promises: what is read has names, an order, and owners that are in it.
 */
#include <assert.h>

#include "ops/packages_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Links as images have them, and as none should. */
static struct layer_entry entries[] = {
	{ .path = "usr/bin", .type = TAR_DIR },
	{ .path = "usr/lib", .type = TAR_DIR },
	{ .path = "bin", .type = TAR_SYMLINK, .link = "usr/bin" },
	{ .path = "lib", .type = TAR_SYMLINK, .link = "/usr/./lib/" },
	{ .path = "o", .type = TAR_SYMLINK, .link = "o" },
	{ .path = "up", .type = TAR_SYMLINK, .link = "../../bin/.." },
	{ .path = "e", .type = TAR_SYMLINK, .link = "" },
	{ .path = "f", .type = TAR_FILE },
};

static struct tree *make_tree(void)
{
	static const struct layer_index ix = { .list = entries, .n = ARRAY_LEN(entries) };
	struct tree *t = tree_new(NULL, NULL, NULL);

	assert(t && tree_apply(t, &ix, NULL) == 0);
	tree_finish(t);
	return t;
}

static void read_sqlite(struct package_build *b, struct span in)
{
	cleanup_buf struct buf db = BUF_INIT(in.len + 1);
	dray_error *err = NULL;

	if (buf_add(&db, in, NULL) == 0 &&
	    rpm_sqlite(b, (struct room){ db.data, db.len }, &err) < 0)
		dray_error_free(err);
}

/* A status, then behind a line "--" the list of package "a". */
static void read_dpkg(struct package_build *b, struct span in, const char *file)
{
	cleanup_dpkg struct dpkg d = { .b = b };
	const uint8_t *cut = in.len ? memmem(in.data, in.len, "\n--\n", 4) : NULL;
	struct span status = cut ? span_head(in, (size_t)(cut - in.data) + 1) : in;
	struct span list = cut ? span_from(in, status.len + 3) : (struct span){ 0 };

	if (dpkg_diversions(&d, list, NULL) == 0 && dpkg_status(&d, status, file, NULL) == 0 &&
	    dpkg_list(&d, span_str("a"), list, NULL) == 0)
		(void)!dpkg_md5sums(&d, span_str("a"), list, NULL);
}

static void check(const struct package_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct package *p = &set->list[i];

		assert(p->name[0] && p->version && p->arch && p->source[0]);
		assert(i == 0 || strcmp(p[-1].name, p->name) <= 0);
	}
	for (size_t i = 0; i < set->owner.len; i++) {
		const struct map_slot *s = &set->owner.slots[i];
		const struct package *p = s->value;

		assert(s->key.len > 0 && s->key.data[0] != '/' && !s->key.data[s->key.len]);
		assert(!p || (p >= set->list && p < set->list + set->n));
		assert(package_of(set, (const char *)s->key.data) == p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_tree struct tree *t = make_tree();
	cleanup_package_build struct package_build b = { 0 };
	cleanup_packages struct package_set *set = NULL;
	struct span in = size ? span_of(data + 1, size - 1) : (struct span){ 0 };

	assert(package_build_init(&b, t, NULL) == 0);
	switch (size ? data[0] : 0) {
	case 's':
		read_sqlite(&b, in);
		break;
	case 'r':
		(void)!rpm_header(&b, in, NULL);
		break;
	case 'a':
		(void)!apk_installed(&b, in, NULL);
		break;
	case 'f':
		read_dpkg(&b, in, "a");
		break;
	default:
		read_dpkg(&b, in, NULL);
		break;
	}
	assert(packages_finish(&b, &set, NULL) == 0);
	check(set);
	return 0;
}
