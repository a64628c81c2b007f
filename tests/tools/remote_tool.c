/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      tests of the registry client alone, from a shell: one call of remote.h per run.
 * Relies:   on nothing of the program; built as a test executable, never installed.
 * Promises: results on stdout, "KIND: message" and "hint: ..." on stderr, exit 0 or 1 (2: usage).
 *
 *	remote-tool [-v] [-c CREDS] [-a AUTHFILE] [-d CERT_DIR] [-k] [-p] [-r RETRIES] COMMAND REF ...
 *	  put REF FILE|- [DIGEST [SIZE]]	upload; prints digest and size
 *	  many REF FILE N			N workers at once, each its own blob: FILE's bytes behind a number
 *	  slow REF FILE MS			put, thinking MS at every piece that goes out
 *	  get REF DIGEST [SIZE]			blob to stdout, verified
 *	  has REF DIGEST			prints size or "no"
 *	  mount REF DIGEST FROM			prints "mounted" or "declined"
 *	  manifest REF				bytes to stdout
 *	  head REF				digest, or "no"
 *	  tag REF FILE TYPE			put a manifest
 *	  images REF				image IDs, one a line
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "flow/pool.h"
#include "flow/sink.h"
#include "remote/remote.h"

struct tool {
	struct reference ref;
	struct remote_options o;
	struct remote *remote;
	int argc;
	char **argv; /* behind REF */
};

static const char *arg(const struct tool *t, int i)
{
	return i < t->argc ? t->argv[i] : NULL;
}

static int descriptor_of(const struct tool *t, int at, struct descriptor *ret, dray_error **err)
{
	const char *digest = arg(t, at), *size = arg(t, at + 1);

	*ret = (struct descriptor){ .size = -1 };
	if (size && !num_parse_u63(span_str(size), &ret->size))
		return err_set(err, DRAY_ERR_USAGE, "size");
	return digest ? digest_parse(span_str(digest), &ret->digest, err) : 0;
}

static struct source *open_input(const char *path, dray_error **err)
{
	struct stat st;
	int fd;

	if (strcmp(path, "-") == 0)
		return source_from_fd(0, false, err);
	fd = io_openat(AT_FDCWD, path, O_RDONLY, 0, err);
	if (fd < 0 || io_fstat(fd, &st, err) < 0)
		return NULL;
	return source_from_extent(fd, 0, st.st_size, err); /* the fd lives as long as we do */
}

static int do_put(struct tool *t, struct source *in, struct tap progress, dray_error **err)
{
	struct blob_put put = { .label = "layer 1/1", .progress = progress };
	struct digest digest;
	int64_t size;

	if (!in || descriptor_of(t, 1, &put.desc, err) < 0) {
		source_free(in);
		return -1;
	}
	if (remote_put_blob(t->remote, &put, in, &digest, &size, err) < 0)
		return -1;
	printf("%s %lld\n", digest.text, (long long)size);
	return 0;
}

static int put(struct tool *t, dray_error **err)
{
	if (!arg(t, 0))
		return err_set(err, DRAY_ERR_USAGE, "put REF FILE");
	return do_put(t, open_input(arg(t, 0), err), (struct tap){ 0 }, err);
}

struct many {
	struct remote *remote;
	struct buf bytes;
};

static int put_one(void *a, size_t index, dray_error **err)
{
	struct many *many = a;
	struct blob_put put = { .desc.size = -1, .label = "one of many" };
	cleanup_buf struct buf own = BUF_INIT(LIMIT_MANIFEST);
	struct digest digest;
	int64_t size;

	if (buf_printf(&own, err, "%zu", index) < 0 ||
	    buf_add(&own, span_buf(&many->bytes), err) < 0)
		return -1;
	return remote_put_blob(many->remote, &put, source_from_span(span_buf(&own), err), &digest,
			       &size, err);
}

static int many(struct tool *t, dray_error **err)
{
	struct many m = { t->remote, BUF_INIT(LIMIT_MANIFEST) };
	int64_t n = 0;
	int rc = -1;

	if (!arg(t, 1) || !num_parse_u63(span_str(arg(t, 1)), &n) || n < 1 || n > 256)
		return err_set(err, DRAY_ERR_USAGE, "many REF FILE N");
	if (io_read_file(AT_FDCWD, arg(t, 0), LIMIT_MANIFEST, &m.bytes, err) == 0)
		rc = run_parallel((int)n, (size_t)n, put_one, &m, err);
	buf_clear(&m.bytes);
	return rc;
}

static void think(void *ms, struct span bytes)
{
	(void)bytes;
	usleep(*(useconds_t *)ms);
}

static int slow(struct tool *t, dray_error **err)
{
	int64_t ms = 0;
	useconds_t us;

	if (!arg(t, 1) || !num_parse_u63(span_str(arg(t, 1)), &ms) || ms > 60000)
		return err_set(err, DRAY_ERR_USAGE, "slow REF FILE MS");
	us = (useconds_t)ms * 1000;
	t->argc = 1;
	return do_put(t, open_input(arg(t, 0), err), (struct tap){ think, &us }, err);
}

static int get(struct tool *t, dray_error **err)
{
	struct descriptor d;
	struct source *in;
	struct sink *out;
	int64_t n;

	if (!arg(t, 0) || descriptor_of(t, 0, &d, err) < 0)
		return err_set(err && *err ? NULL : err, DRAY_ERR_USAGE, "get REF DIGEST [SIZE]");
	in = remote_open_blob(t->remote, &d, err);
	in = source_verified(in, &d.digest, d.size, "blob digest", err);
	if (!in)
		return -1;
	out = sink_to_fd(1, false, err);
	n = out ? pump(in, out, err) : -1;
	if (n >= 0 && sink_finish(out, err) < 0)
		n = -1;
	sink_free(out);
	source_free(in);
	return n < 0 ? -1 : 0;
}

static int has(struct tool *t, dray_error **err)
{
	struct descriptor d;
	int64_t size = -1;
	int rc;

	if (descriptor_of(t, 0, &d, err) < 0)
		return -1;
	rc = remote_has_blob(t->remote, &d.digest, &size, err);
	if (rc > 0)
		printf("%lld\n", (long long)size);
	else if (rc == 0)
		printf("no\n");
	return rc < 0 ? -1 : 0;
}

static int mount_blob(struct tool *t, dray_error **err)
{
	struct digest d;
	int rc;

	if (!arg(t, 1))
		return err_set(err, DRAY_ERR_USAGE, "mount REF DIGEST FROM");
	if (digest_parse(span_str(arg(t, 0)), &d, err) < 0)
		return -1;
	rc = remote_mount(t->remote, &d, arg(t, 1), err);
	if (rc >= 0)
		printf("%s\n", rc ? "mounted" : "declined");
	return rc < 0 ? -1 : 0;
}

static const char *name_of(const struct tool *t)
{
	return digest_set(&t->ref.digest) ? t->ref.digest.text : t->ref.tag ? t->ref.tag : "latest";
}

static int get_manifest(struct tool *t, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;

	if (remote_get_manifest(t->remote, name_of(t), &m, err) < 0)
		return -1;
	fwrite(m->raw.data, 1, m->raw.len, stdout);
	return 0;
}

static int head(struct tool *t, dray_error **err)
{
	struct digest d;
	int rc = remote_head_manifest(t->remote, name_of(t), &d, err);

	if (rc >= 0)
		printf("%s\n", rc ? d.text : "no");
	return rc < 0 ? -1 : 0;
}

static int tag(struct tool *t, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);

	if (!arg(t, 0) || io_read_file(AT_FDCWD, arg(t, 0), LIMIT_MANIFEST, &raw, err) < 0 ||
	    manifest_parse(&raw, arg(t, 1), &m, err) < 0)
		return -1;
	return remote_put_manifest(t->remote, m, name_of(t), err);
}

static int list_images(struct tool *t, dray_error **err)
{
	struct selector sel = { .all = true };
	struct image **images = NULL;
	size_t n = 0;
	cleanup_store struct store *st = remote_store(steal_pointer(&t->remote), &t->ref, err);

	if (!st || store_images(st, &sel, &images, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		printf("%s\n", images[i]->config ? images[i]->config->digest.text : "broken");
	images_free(images, n);
	return 0;
}

static const struct {
	const char *name;
	bool push;
	int (*run)(struct tool *t, dray_error **err);
} commands[] = {
	{ "put", true, put },
	{ "many", true, many },
	{ "slow", true, slow },
	{ "get", false, get },
	{ "has", false, has },
	{ "mount", true, mount_blob },
	{ "manifest", false, get_manifest },
	{ "head", false, head },
	{ "tag", true, tag },
	{ "images", false, list_images },
};

static void log_line(void *a, const char *line)
{
	(void)a;
	fprintf(stderr, "log: %s\n", line);
}

static void on_signal(int number)
{
	(void)number;
	cancel_request();
}

static int options(struct tool *t, int argc, char **argv)
{
	int c, retries = -1;

	while ((c = getopt(argc, argv, "vc:a:d:kpr:")) != -1) {
		switch (c) {
		case 'v':
			t->o.verbose++;
			break;
		case 'c':
			t->o.creds = optarg;
			break;
		case 'a':
			t->o.authfile = optarg;
			break;
		case 'd':
			t->o.cert_dir = optarg;
			break;
		case 'k':
			t->o.tls_skip_verify = true;
			break;
		case 'p':
			t->o.plain_http = true;
			break;
		case 'r':
			retries = (int)strtol(optarg, NULL, 10);
			break;
		default:
			return -1;
		}
	}
	t->o.retries = retries;
	t->o.log = log_line;
	t->o.user_agent = "dray/test";
	t->argc = argc - optind - 2;
	t->argv = argv + optind + 2;
	return t->argc < 0 ? -1 : optind;
}

static int dispatch(struct tool *t, const char *command, const char *ref, dray_error **err)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, command) != 0)
			continue;
		if (reference_parse(span_str(ref), &t->ref, err) < 0 ||
		    remote_open(&t->ref, commands[i].push, &t->o, &t->remote, err) < 0)
			return -1;
		return commands[i].run(t, err);
	}
	return err_set(err, DRAY_ERR_USAGE, "no such command");
}

int main(int argc, char **argv)
{
	struct tool t = { 0 };
	dray_error *err = NULL;
	int at = options(&t, argc, argv);
	int rc;

	if (at < 0)
		return 2;
	fault_arm_from_env();
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	rc = dispatch(&t, argv[at], argv[at + 1], &err);
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", dray_error_code(err), dray_error_message(err));
		if (dray_error_hint(err))
			fprintf(stderr, "hint: %s\n", dray_error_hint(err));
	}
	dray_error_free(err);
	remote_free(t.remote);
	reference_clear(&t.ref);
	return rc < 0;
}
