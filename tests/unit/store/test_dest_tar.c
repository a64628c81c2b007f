/* SPDX-License-Identifier: Apache-2.0
 *
 * Archives that are written and added to, and "dir:" folders: what readers find at any moment
 * (reliability A-02, G-01, G-02, G-05, G-19).
 */
#include "dest_box.h"
#include <errno.h>
#include <sys/wait.h>
#include "torture.h"

/* ---- an archive ---- */

static void test_tar_file(void **state)
{
	cleanup_place struct place p = place_make("out.tar");
	cleanup_made struct made m = make_image(1);
	struct descriptor wrong = describe("good", MT_OCI_LAYER);
	cleanup_buf struct buf b = BUF_INIT(0);
	dray_error *err = NULL;
	struct digest got;

	(void)state;
	cleanup_dest struct dest *d = dest_oci_tar(p.path, NULL, false, &err);
	assert_ok(d ? 0 : -1, err);
	assert_ok(put_image(d, &m, "v1", &err), err);
	assert_int_equal(dest_has_blob(d, &m.descs[1], NULL), 1);
	assert_int_equal(dest_has_blob(d, &wrong, NULL), 0);
	/* Twins, told and not told, and failures leave no trace. */
	assert_ok(put(d, m.layer[0], &m.descs[1], &got, &err), err);
	assert_ok(put(d, m.layer[0], &(struct descriptor){ .size = -1 }, &got, &err), err);
	assert_int_equal(put(d, "evil, and longer than all the rest", &wrong, &got, &err), -1);
	assert_err_kind(err, DRAY_ERR_CORRUPT);
	assert_false(exists(p.fd, "out.tar"));
	assert_ok(dest_finish(d, &err), err);
	slurp(p.fd, "out.tar", &b);
	cleanup_free char *names = list_archive(span_buf(&b));
	assert_string_equal(names, WHOLE);
	assert_int_equal(dir_count(p.fd), 1);
}

/* What failed last must not stand behind the end marker. */
static void test_tar_tail(void **state)
{
	cleanup_place struct place p = place_make("out.tar");
	struct descriptor wrong = describe("good", MT_OCI_LAYER);
	cleanup_buf struct buf b = BUF_INIT(0);
	cleanup_free char *big = mem_zalloc(100001);
	dray_error *err = NULL;
	struct digest got;

	(void)state;
	memset(big, 'x', 100000);
	wrong.size = -1;
	cleanup_dest struct dest *d = dest_oci_tar(p.path, NULL, false, &err);
	assert_int_equal(put(d, big, &wrong, &got, &err), -1);
	assert_err_kind(err, DRAY_ERR_CORRUPT);
	assert_ok(dest_finish(d, &err), err);
	slurp(p.fd, "out.tar", &b);
	cleanup_free char *names = list_archive(span_buf(&b));
	assert_string_equal(names, "oci-layout index.json ");
}

static void test_tar_abandoned(void **state)
{
	cleanup_place struct place p = place_make("out.tar");
	cleanup_made struct made m = make_image(1);
	dray_error *err = NULL;

	(void)state;
	put_file(p.fd, "out.tar", SPAN_LIT("old"));
	assert_null(dest_oci_tar(p.path, NULL, true, &err));
	assert_err_kind(err, DRAY_ERR_USAGE);
	struct dest *d = dest_oci_tar(p.path, NULL, false, &err);
	assert_ok(put_image(d, &m, "v1", &err), err);
	dest_free(d);
	assert_file_is(p.fd, "out.tar", "old");
	assert_int_equal(dir_count(p.fd), 1);
}

/* A pipe: nothing to go back to, and the same members. */
static void test_tar_pipe(void **state)
{
	cleanup_place struct place p = place_make("x");
	cleanup_made struct made m = make_image(1);
	cleanup_buf struct buf b = BUF_INIT(LIMIT_CONFIG);
	dray_error *err = NULL;
	struct digest got;
	int fds[2];
	char path[32];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", fds[1]);
	struct dest *d = dest_oci_tar(path, p.folder, false, &err);
	assert_ok(d ? 0 : -1, err);
	assert_ok(put_image(d, &m, "v1", &err), err);
	assert_ok(put(d, m.layer[0], &(struct descriptor){ .size = -1 }, &got, &err), err);
	assert_ok(dest_finish(d, &err), err);
	dest_free(d);
	close(fds[1]);
	cleanup_source struct source *in = source_from_fd(fds[0], true, NULL);
	assert_ok(source_slurp(in, &b, &err), err);
	cleanup_free char *names = list_archive(span_buf(&b));
	assert_string_equal(names, WHOLE);
	assert_int_equal(dir_count(p.fd), 0);
}

/* Half a member cannot be taken back from a pipe: there the archive ends. */
static void test_tar_pipe_broken(void **state)
{
	cleanup_place struct place p = place_make("x");
	struct descriptor wrong = describe("good", MT_OCI_LAYER);
	dray_error *err = NULL;
	struct digest got;
	int fds[2];
	char path[32];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", fds[1]);
	cleanup_dest struct dest *d = dest_oci_tar(path, p.folder, false, &err);
	assert_int_equal(put(d, "evil", &wrong, &got, &err), -1);
	assert_err_kind(err, DRAY_ERR_CORRUPT);
	assert_int_equal(dest_finish(d, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "broke off");
	close(fds[0]);
	close(fds[1]);
}

/* ---- with manifest.json ---- */

static struct dest *finished(struct dest *d, const struct made *m, const char *tag)
{
	dray_error *err = NULL;

	assert_non_null(d);
	assert_ok(put_image(d, m, tag, &err), err);
	assert_ok(dest_finish(d, &err), err);
	return d;
}

/* The text of a document, found once. */
static char *document(struct span bytes, const char *name)
{
	cleanup_source struct source *in = source_from_span(bytes, NULL);
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(in, NULL, NULL, NULL);
	const struct tar_entry *e;
	char *found = NULL;

	while (tar_next(r, &e, NULL) > 0) {
		if (!span_eq(e->name, span_str(name)))
			continue;
		assert_null(found);
		found = mem_strndup((const char *)bytes.data + e->data_off, (size_t)e->size);
	}
	return found;
}

static size_t times(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		n++;
	return n;
}

static bool says(const char *text, const char *part)
{
	return text && strstr(text, part);
}

static void test_names(void **state)
{
	static const struct {
		const char *tag, *repo, *full, *ref;
	} rows[] = {
		{ "docker.io/library/busybox:1", "\"busybox:1\"", "docker.io/library/busybox:1",
		  "1" },
		{ "busybox:1", "\"busybox:1\"", "docker.io/library/busybox:1", "1" },
		{ "host:5000/a/b:x", "\"host:5000/a/b:x\"", "host:5000/a/b:x", "x" },
		{ "host:5000/a/b", "\"host:5000/a/b:latest\"", "host:5000/a/b:latest", "latest" },
		{ "v1", NULL, NULL, "v1" },	    /* a word is no name */
		{ "UP:PER", NULL, NULL, "UP:PER" }, /* neither is this */
		{ NULL, NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_place struct place p = place_make("out.tar");
		cleanup_made struct made m = make_image(1);
		cleanup_buf struct buf b = BUF_INIT(0);
		char want[128];

		dest_free(finished(dest_docker_tar(p.path, NULL, false, NULL), &m, rows[i].tag));
		slurp(p.fd, "out.tar", &b);
		cleanup_free char *list = document(span_buf(&b), "manifest.json");
		cleanup_free char *index = document(span_buf(&b), "index.json");
		snprintf(want, sizeof(want), "\"RepoTags\":%s%s%s,", rows[i].repo ? "[" : "null",
			 rows[i].repo ? rows[i].repo : "", rows[i].repo ? "]" : "");
		assert_true(says(list, want));
		if (rows[i].full)
			assert_true(says(index, rows[i].full));
		else
			assert_false(says(index, "io.containerd.image.name"));
		snprintf(want, sizeof(want), "ref.name\":\"%s\"", rows[i].ref ? rows[i].ref : "");
		assert_int_equal(says(index, want), rows[i].ref != NULL);
	}
}

/* Of an index one image stands for the name: the host's, where there is one. */
static void test_index_listed(void **state)
{
	struct platform host;

	(void)state;
	platform_host(&host);
	for (int has_host = 0; has_host <= 1; has_host++) {
		cleanup_place struct place p = place_make("out.tar");
		cleanup_made struct made one = make_image(1), two = make_image(2);
		cleanup_manifest struct manifest *index = NULL;
		cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST), b = BUF_INIT(0);
		dray_error *err = NULL;

		assert_int_equal(buf_printf(&raw, NULL,
					    "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX
					    "\",\"manifests\":["
					    "{\"mediaType\":\"" MT_OCI_MANIFEST
					    "\",\"digest\":\"%s\",\"size\":%zu,\"platform\":"
					    "{\"os\":\"plan9\",\"architecture\":\"mips\"}},"
					    "{\"mediaType\":\"" MT_OCI_MANIFEST
					    "\",\"digest\":\"%s\",\"size\":%zu,\"platform\":"
					    "{\"os\":\"%s\",\"architecture\":\"%s\"}}]}",
					    one.manifest->digest.text, one.manifest->raw.len,
					    two.manifest->digest.text, two.manifest->raw.len,
					    host.os, has_host ? host.arch : "mips"),
				 0);
		assert_ok(manifest_parse(&raw, NULL, &index, &err), err);
		cleanup_dest struct dest *d = dest_docker_tar(p.path, NULL, false, &err);
		assert_ok(d ? 0 : -1, err);
		assert_ok(put_image(d, &one, NULL, &err), err);
		assert_ok(put_image(d, &two, NULL, &err), err);
		assert_ok(dest_put_manifest(d, index, "a:1", &err), err);
		assert_ok(dest_finish(d, &err), err);
		slurp(p.fd, "out.tar", &b);
		cleanup_free char *list = document(span_buf(&b), "manifest.json");
		cleanup_free char *json = document(span_buf(&b), "index.json");
		assert_int_equal(times(list, "\"Config\""), 1);
		assert_true(says(list, "\"RepoTags\":[\"a:1\"]"));
		assert_true(says(list, digest_hex(&(has_host ? two : one).descs[0].digest)));
		assert_int_equal(times(json, "\"digest\""), 1);
		assert_true(says(json, index->digest.text));
	}
}

/* ---- adding ---- */

/* An archive with image 1 as "a:1"; @p front: its documents stand before its blobs. */
static void make_old(const struct place *p, bool docker, bool front)
{
	cleanup_made struct made m = make_image(1);
	cleanup_buf struct buf b = BUF_INIT(0), out = BUF_INIT(LIMIT_CONFIG);
	static const uint8_t zeros[2 * TAR_BLOCK];
	const struct tar_entry *e;

	dest_free(finished(docker ? dest_docker_tar(p->path, NULL, false, NULL)
				  : dest_oci_tar(p->path, NULL, false, NULL),
			   &m, "a:1"));
	if (!front)
		return;
	slurp(p->fd, "out.tar", &b);
	for (int blobs = 0; blobs <= 1; blobs++) {
		cleanup_source struct source *in = source_from_span(span_buf(&b), NULL);
		cleanup_tar_reader struct tar_reader *r = tar_reader_new(in, NULL, NULL, NULL);

		while (tar_next(r, &e, NULL) > 0)
			if (span_starts(e->name, "blobs/") == blobs)
				assert_int_equal(
					buf_add(&out,
						span_of(b.data + e->header_off,
							(size_t)(e->end_off - e->header_off)),
						NULL),
					0);
	}
	assert_int_equal(buf_add(&out, span_of(zeros, sizeof(zeros)), NULL), 0);
	put_file(p->fd, "out.tar", span_buf(&out));
}

static int append(const char *path, enum archive_kind kind, const struct made *m, const char *tag,
		  bool no_clobber, dray_error **err)
{
	cleanup_dest struct dest *d = dest_append_tar(path, kind, err);

	if (!d)
		return -1;
	d->no_clobber = no_clobber;
	return put_image(d, m, tag, err) < 0 ? -1 : dest_finish(d, err);
}

static void test_append(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		bool docker = i & 1, front = i & 2;
		cleanup_place struct place p = place_make("out.tar");
		cleanup_made struct made m = make_image(2), again = make_image(3);
		cleanup_buf struct buf b = BUF_INIT(0);
		dray_error *err = NULL;

		make_old(&p, docker, front);
		assert_ok(append(p.path, ARCHIVE_ANY, &m, "b:1", false, &err), err);
		assert_int_equal(append(p.path, ARCHIVE_ANY, &again, "b:1", true, &err), -1);
		assert_err(err, DRAY_ERR_USAGE, "tag already");
		/* The name moves; the image that had it goes. */
		assert_ok(append(p.path, docker ? ARCHIVE_DOCKER : ARCHIVE_OCI, &again, "b:1",
				 false, &err),
			  err);
		slurp(p.fd, "out.tar", &b);
		cleanup_free char *index = document(span_buf(&b), "index.json");
		cleanup_free char *list = document(span_buf(&b), "manifest.json");
		assert_true(says(index, again.manifest->digest.text));
		assert_false(says(index, m.manifest->digest.text));
		assert_int_equal(times(index, "\"digest\""), 2);
		assert_int_equal(list != NULL, docker);
		if (docker) {
			assert_int_equal(times(list, "\"Config\""), 2);
			assert_true(says(list, "\"RepoTags\":[\"a:1\"]"));
			assert_true(says(list, "\"RepoTags\":[\"b:1\"]"));
		}
		assert_int_equal(dir_count(p.fd), 1);
	}
}

static void test_append_refused(void **state)
{
	cleanup_place struct place p = place_make("out.tar");
	cleanup_made struct made m = make_image(2);
	cleanup_buf struct buf b = BUF_INIT(0), tail = BUF_INIT(LIMIT_CONFIG);
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(append(p.path, ARCHIVE_ANY, &m, "b:1", false, &err), -1);
	assert_err_kind(err, DRAY_ERR_NOT_FOUND);
	err = NULL;
	assert_int_equal(append(p.folder, ARCHIVE_ANY, &m, "b:1", false, &err), -1);
	assert_non_null(err);
	dray_error_free(err);
	err = NULL;
	make_old(&p, false, false);
	slurp(p.fd, "out.tar", &b);
	assert_int_equal(append(p.path, ARCHIVE_DOCKER, &m, "b:1", false, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "index.json only");
	/* What stands behind the end is not ours to write over. */
	assert_int_equal(buf_add(&tail, span_buf(&b), NULL) + buf_add_str(&tail, "theirs", NULL),
			 0);
	put_file(p.fd, "out.tar", span_buf(&tail));
	err = NULL;
	assert_int_equal(append(p.path, ARCHIVE_ANY, &m, "b:1", false, &err), -1);
	assert_err(err, DRAY_ERR_UNSUPPORTED, "behind the end");
	/* Nor another archive, behind zeros. */
	static const uint8_t zeros[1024];
	cleanup_buf struct buf after = BUF_INIT(0);

	buf_reset(&tail);
	assert_int_equal(buf_add(&tail, span_buf(&b), NULL) +
				 buf_add(&tail, span_of(zeros, sizeof(zeros)), NULL) +
				 buf_add(&tail, span_buf(&b), NULL),
			 0);
	put_file(p.fd, "out.tar", span_buf(&tail));
	err = NULL;
	assert_int_equal(append(p.path, ARCHIVE_ANY, &m, "b:1", false, &err), -1);
	assert_err(err, DRAY_ERR_UNSUPPORTED, "behind the end");
	slurp(p.fd, "out.tar", &after);
	assert_true(span_eq(span_buf(&tail), span_buf(&after)));
	/* Two index.json: nobody knows which. */
	buf_reset(&tail);
	assert_int_equal(buf_add(&tail, span_head(span_buf(&b), b.len - 1024), NULL), 0);
	assert_int_equal(buf_add(&tail, span_buf(&b), NULL), 0);
	put_file(p.fd, "out.tar", span_buf(&tail));
	err = NULL;
	assert_int_equal(append(p.path, ARCHIVE_ANY, &m, "b:1", false, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "twice");
}

/* The last byte of the first blob of an archive, found by its member. */
static size_t in_first_blob(struct span bytes)
{
	cleanup_source struct source *in = source_from_span(bytes, NULL);
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(in, NULL, NULL, NULL);
	const struct tar_entry *e;

	while (tar_next(r, &e, NULL) > 0)
		if (span_starts(e->name, "blobs/"))
			return (size_t)(e->data_off + e->size - 1);
	fail_msg("no blob");
	return 0;
}

/* The members that are blobs. */
static struct span blobs_of(struct span bytes)
{
	cleanup_source struct source *in = source_from_span(bytes, NULL);
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(in, NULL, NULL, NULL);
	const struct tar_entry *e;
	size_t from = 0, to = 0;

	while (tar_next(r, &e, NULL) > 0) {
		if (!span_starts(e->name, "blobs/"))
			continue;
		from = to ? from : (size_t)e->header_off;
		to = (size_t)e->end_off;
	}
	return span_from(span_head(bytes, to), from);
}

/* What the archive calls a blob is believed when it was read, and only who needs it reads it. */
static void test_append_lying_blob(void **state)
{
	(void)state;
	for (int twin = 0; twin <= 1; twin++) {
		cleanup_place struct place p = place_make("out.tar");
		cleanup_made struct made same = make_image(1), other = make_image(2);
		cleanup_buf struct buf b = BUF_INIT(0), bad = BUF_INIT(0);
		cleanup_buf struct buf both = BUF_INIT(LIMIT_CONFIG), after = BUF_INIT(0);
		dray_error *err = NULL;

		make_old(&p, true, true);
		assert_ok(append(p.path, ARCHIVE_ANY, &same, "b:1", false, &err), err);
		make_old(&p, true, false);
		slurp(p.fd, "out.tar", &b);
		slurp(p.fd, "out.tar", &bad);
		bad.data[in_first_blob(span_buf(&bad))] ^= 1;
		if (twin) {
			/* The right bytes under the same name are no help: readers differ. */
			struct span first = blobs_of(span_buf(&b));

			assert_int_equal(buf_add(&both, first, NULL), 0);
		}
		assert_int_equal(buf_add(&both, span_buf(&bad), NULL), 0);
		put_file(p.fd, "out.tar", span_buf(&both));
		assert_int_equal(append(p.path, ARCHIVE_ANY, &same, "b:1", false, &err), -1);
		assert_err(err, DRAY_ERR_CORRUPT, "old archive's blobs/sha256/");
		slurp(p.fd, "out.tar", &after);
		assert_true(span_eq(span_buf(&after), span_buf(&both)));
		err = NULL;
		assert_ok(append(p.path, ARCHIVE_ANY, &other, "b:1", false, &err), err);
	}
}

/* Half an append leaves the very bytes that were there. */
static void test_append_abandoned(void **state)
{
	(void)state;
	for (int front = 0; front <= 1; front++) {
		cleanup_place struct place p = place_make("out.tar");
		cleanup_made struct made m = make_image(2);
		cleanup_buf struct buf before = BUF_INIT(0), after = BUF_INIT(0);
		dray_error *err = NULL;

		make_old(&p, true, front);
		slurp(p.fd, "out.tar", &before);
		struct dest *d = dest_append_tar(p.path, ARCHIVE_ANY, &err);
		assert_ok(d ? 0 : -1, err);
		assert_ok(put_image(d, &m, "b:1", &err), err);
		dest_free(d);
		slurp(p.fd, "out.tar", &after);
		assert_span(span_buf(&after), span_buf(&before));
		assert_int_equal(dir_count(p.fd), 1);
	}
}

struct appending {
	struct place p;
	struct made m, first;
	bool front;
};

static int run_append(void *arg, dray_error **err)
{
	const struct appending *a = arg;

	return append(a->p.path, ARCHIVE_ANY, &a->m, "b:1", false, err);
}

static int begin_anew(const struct appending *a, dray_error **err)
{
	cleanup_dest struct dest *d = NULL;

	remove_tree(a->p.path);
	d = dest_docker_tar(a->p.path, NULL, false, err);
	if (!d || put_image(d, &a->first, "a:1", err) < 0)
		return -1;
	return dest_finish(d, err);
}

static int run_append_anew(void *arg, dray_error **err)
{
	return begin_anew(arg, err) < 0 ? -1 : run_append(arg, err);
}

/* The old archive or the new one, each with one set of documents that agree. */
static void check_stands(const struct appending *a, bool done)
{
	cleanup_buf struct buf b = BUF_INIT(0);

	slurp(a->p.fd, "out.tar", &b);
	cleanup_free char *index = document(span_buf(&b), "index.json");
	cleanup_free char *list = document(span_buf(&b), "manifest.json");
	assert_true(says(index, "docker.io/library/a:1") && says(list, "\"a:1\""));
	assert_int_equal(says(index, "docker.io/library/b:1"), says(list, "\"b:1\""));
	if (done)
		assert_true(says(list, "\"b:1\""));
	if (says(list, "\"b:1\""))
		for (size_t i = 0; i < 3; i++) {
			cleanup_free char *path = dest_blob_path(&a->m.descs[i].digest);
			cleanup_free char *blob = document(span_buf(&b), path);

			assert_non_null(blob);
		}
}

/* G-02: killed at any system call, then once more to the end. */
static void test_append_crash(void **state)
{
	(void)state;
	for (int front = 0; front <= 1; front++) {
		struct appending a = { .p = place_make("out.tar"), .front = front };
		int status = 1;

		a.m = make_image(2);
		for (uint64_t nth = 1; status != 0; nth++) {
			pid_t child;

			make_old(&a.p, true, front);
			child = fork();
			if (child == 0) {
				fault_arm(FAULT_CRASH, nth, 0);
				_exit(run_append(&a, NULL) < 0);
			}
			assert_int_equal(waitpid(child, &status, 0), child);
			assert_true(status == 0 || WEXITSTATUS(status) == 99);
			check_stands(&a, status == 0);
			assert_int_equal(run_append(&a, NULL), 0);
			check_stands(&a, true);
		}
		made_clear(&a.m);
		place_clear(&a.p);
	}
}

/* G-04: each system call refused once: an error, and the very bytes of before. */
static void test_append_io(void **state)
{
	(void)state;
	for (int front = 0; front <= 1; front++) {
		struct appending a = { .p = place_make("out.tar"), .front = front };

		a.m = make_image(2);
		for (uint64_t nth = 1;; nth++) {
			dray_error *err = NULL;
			bool reached;
			int rc;

			make_old(&a.p, true, front);
			reached = torture_once(FAULT_IO, nth, ENOSPC, run_append, &a, &rc, &err);
			dray_error_free(err);
			check_stands(&a, rc == 0);
			assert_int_equal(dir_count(a.p.fd), 1);
			if (!reached)
				break;
		}
		made_clear(&a.m);
		place_clear(&a.p);
	}
}

static void test_append_memory(void **state)
{
	struct appending a = { .p = place_make("out.tar") };

	(void)state;
	a.m = make_image(2);
	a.first = make_image(1);
	torture_alloc(run_append_anew, &a);
	made_clear(&a.first);
	made_clear(&a.m);
	place_clear(&a.p);
}

/* ---- "dir:" ---- */

static void assert_flat(const struct place *p, const struct made *m)
{
	cleanup_free char *version = mem_printf("%s/version", p->path);
	cleanup_free char *manifest = mem_printf("%s/manifest.json", p->path);
	cleanup_buf struct buf b = BUF_INIT(0);

	slurp(AT_FDCWD, version, &b);
	assert_span_is(span_buf(&b), "Directory Transport Version: 1.1\n");
	slurp(AT_FDCWD, manifest, &b);
	assert_span(span_buf(&b), span_buf(&m->manifest->raw));
	for (size_t i = 0; i < 3; i++) {
		cleanup_free char *blob = mem_printf("%s/%s", p->path,
						     digest_hex(&m->descs[i].digest));

		slurp(AT_FDCWD, blob, &b);
		assert_span_is(span_buf(&b), i ? m->layer[i - 1] : m->config);
	}
	assert_int_equal(count(p->path, "."), 5);
}

static void test_flat(void **state)
{
	cleanup_place struct place p = place_make("d");
	cleanup_made struct made one = make_image(1), two = make_image(2);
	dray_error *err = NULL;

	(void)state;
	dest_free(finished(dest_flat_dir(p.path, false, NULL), &one, "a:1"));
	assert_flat(&p, &one);
	assert_null(dest_flat_dir(p.path, true, &err));
	assert_err(err, DRAY_ERR_USAGE, "exists");
	/* Abandoned: as before. Finished: the other image, and nothing of the first. */
	struct dest *d = dest_flat_dir(p.path, false, NULL);
	assert_int_equal(put_image(d, &two, NULL, NULL), 0);
	dest_free(d);
	assert_flat(&p, &one);
	dest_free(finished(dest_flat_dir(p.path, false, NULL), &two, NULL));
	assert_flat(&p, &two);
	assert_int_equal(dir_count(p.fd), 1);
}

static void test_flat_refused(void **state)
{
	static const char *const files[] = { "x", "version/x", ".hidden", "manifest.json" };

	(void)state;
	for (size_t i = 0; i < ROWS(files); i++) {
		cleanup_place struct place p = place_make("d");
		cleanup_free char *path = mem_printf("d/%s", files[i]);
		dray_error *err = NULL;

		assert_int_equal(mkdirat(p.fd, "d", 0755), 0);
		if (i == 1)
			assert_int_equal(mkdirat(p.fd, "d/version", 0755), 0);
		put_file(p.fd, path, SPAN_LIT("theirs"));
		assert_null(dest_flat_dir(p.path, false, &err));
		dray_error_free(err);
		assert_file_is(p.fd, path, "theirs");
		assert_int_equal(dir_count(p.fd), 1);
	}
}

struct flat {
	struct place p;
	struct made m;
};

static int run_flat(void *arg, dray_error **err)
{
	const struct flat *f = arg;
	cleanup_dest struct dest *d = dest_flat_dir(f->p.path, false, err);

	if (!d || put_image(d, &f->m, NULL, err) < 0)
		return -1;
	return dest_finish(d, err);
}

static void check_flat(void *arg, bool failed)
{
	const struct flat *f = arg;

	(void)failed;
	if (exists(f->p.fd, "d"))
		assert_flat(&f->p, &f->m);
}

/* New and over an old one; killed, out of memory, out of space. */
static void test_flat_faults(void **state)
{
	struct flat f = { .p = place_make("d") };
	int status = 1;

	(void)state;
	f.m = make_image(1);
	torture_alloc(run_flat, &f);
	torture_io(run_flat, &f, ENOSPC, check_flat);
	for (uint64_t nth = 1; status != 0; nth++) {
		pid_t child = fork();

		if (child == 0) {
			fault_arm(FAULT_CRASH, nth, 0);
			_exit(run_flat(&f, NULL) < 0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(status == 0 || WEXITSTATUS(status) == 99);
		check_flat(&f, status != 0);
	}
	assert_flat(&f.p, &f.m);
	assert_int_equal(dir_count(f.p.fd), 1);
	made_clear(&f.m);
	place_clear(&f.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tar_file),
		cmocka_unit_test(test_tar_tail),
		cmocka_unit_test(test_tar_abandoned),
		cmocka_unit_test(test_tar_pipe),
		cmocka_unit_test(test_tar_pipe_broken),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_index_listed),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_append_refused),
		cmocka_unit_test(test_append_lying_blob),
		cmocka_unit_test(test_append_abandoned),
		cmocka_unit_test(test_append_crash),
		cmocka_unit_test(test_append_io),
		cmocka_unit_test(test_append_memory),
		cmocka_unit_test(test_flat),
		cmocka_unit_test(test_flat_refused),
		cmocka_unit_test(test_flat_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
