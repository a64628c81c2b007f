/* SPDX-License-Identifier: Apache-2.0
 *
 * From a reference as typed to a store: prefixes, bare words, selectors.
 * Relies on image/reference for registry names and on the file system only to
 * ask what exists. Promises that nothing typed is guessed twice.
 */
#include "ops/ops.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "disk/disk.h"
#include "remote/engine.h"

#define PREFIX_MIN 7 /* hex digits of a digest that are worth looking for */

/* ---- parsing ---- */

enum prefix_rest {
	REST_NONE,    /* a path and nothing else */
	REST_ARCHIVE, /* :NAME[:TAG] or :@INDEX */
	REST_OCI,     /* :TAG or @DIGEST */
	REST_DISK,    /* :NAME[:TAG], :sha256:ID or :@INDEX */
};

struct prefix {
	const char *text;
	enum place_kind kind;
	enum prefix_rest rest;
};

static const struct prefix PREFIXES[] = {
	{ "docker://", PLACE_REGISTRY, REST_NONE },
	{ "docker-archive:", PLACE_ARCHIVE, REST_ARCHIVE },
	{ "oci:", PLACE_OCI_DIR, REST_OCI },
	{ "oci-archive:", PLACE_OCI_ARCHIVE, REST_OCI },
	{ "dir:", PLACE_DIR, REST_NONE },
	{ "docker-daemon:", PLACE_DAEMON, REST_NONE },
	{ "docker-root:", PLACE_DOCKER_ROOT, REST_DISK },
	{ "containers-storage:", PLACE_CONTAINERS, REST_DISK },
};

bool place_prefixed(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(PREFIXES); i++)
		if (span_starts(span_str(text), PREFIXES[i].text))
			return true;
	return false;
}

static bool exists(const char *path)
{
	return strcmp(path, "-") == 0 || access(path, F_OK) == 0;
}

/*
 * Where the path of PATH[:REST] ends. A path may hold colons itself: the longest
 * prefix that exists wins, else the first colon ends it.
 */
static int path_length(const char *text, size_t *ret, dray_error **err)
{
	size_t len = strlen(text);

	*ret = strcspn(text, ":");
	for (size_t end = len; end > 0; end--) {
		cleanup_free char *head = NULL;

		if (end != len && text[end] != ':')
			continue;
		head = mem_strndup(text, end);
		if (!head)
			return err_nomem(err);
		if (exists(head)) {
			*ret = end;
			return 0;
		}
	}
	return 0;
}

static int split_index(const char *rest, struct place *ret, dray_error **err)
{
	if (!num_parse_u63(span_str(rest + 1), &ret->at))
		return err_set(err, DRAY_ERR_USAGE, "%s: expected :@NUMBER", ret->text);
	ret->has_at = true;
	return 0;
}

static int set_tag(const char *rest, struct place *ret, dray_error **err)
{
	if (!rest[0])
		return err_set(err, DRAY_ERR_USAGE, "%s: nothing behind the last ':'", ret->text);
	ret->tag = mem_strdup(rest);
	return ret->tag ? 0 : err_nomem(err);
}

/* The "@algo:hex" at the end of an OCI place, cut off *len. */
static int split_digest(const char *text, size_t *len, struct place *ret, dray_error **err)
{
	const char *at = memrchr(text, '@', *len);
	struct span behind;

	if (!at || exists(text))
		return 0;
	behind = span_of(at + 1, *len - (size_t)(at + 1 - text));
	if (digest_parse(behind, &ret->digest, NULL) == 0)
		*len = (size_t)(at - text);
	else if (span_starts(behind, "sha256:") || span_starts(behind, "sha512:"))
		return err_set(err, DRAY_ERR_USAGE, "%s: what follows '@' is no digest", ret->text);
	return 0; /* else an '@' of the path itself */
}

/*
 * NAME[:TAG], sha256:ID, or as podman's users write an ID: @ID. What is too short for one is @N, by which
 * messages call images.
 */
static int set_disk_name(const char *name, struct place *ret, dray_error **err)
{
	if (name[0] == '@' && strlen(name + 1) < PREFIX_MIN &&
	    num_parse_u63(span_str(name + 1), &ret->at)) {
		ret->has_at = true;
		return 0;
	}
	if (name[0] == '@') {
		ret->tag = mem_printf("sha256:%s", name + 1);
		return ret->tag ? 0 : err_nomem(err);
	}
	/* "app:1" is a digest by its grammar, too. */
	if (span_starts(span_str(name), "sha256:") &&
	    digest_parse(span_str(name), &ret->digest, NULL) == 0)
		return 0;
	return set_tag(name, ret, err);
}

static int parse_path(const char *text, enum prefix_rest rest, struct place *ret, dray_error **err)
{
	size_t len = strlen(text);
	cleanup_free char *head = NULL;
	const char *tail;

	if (rest == REST_OCI && split_digest(text, &len, ret, err) < 0)
		return -1;
	head = mem_strndup(text, len);
	if (!head)
		return err_nomem(err);
	if (rest != REST_NONE && path_length(head, &len, err) < 0)
		return -1;
	if (len == 0)
		return err_set(err, DRAY_ERR_USAGE, "%s: a path is missing", ret->text);
	ret->path = mem_strndup(head, len);
	if (!ret->path)
		return err_nomem(err);
	tail = head + len;
	if (*tail != ':')
		return 0;
	if (rest == REST_ARCHIVE && tail[1] == '@')
		return split_index(tail + 1, ret, err);
	if (rest == REST_DISK)
		return set_disk_name(tail + 1, ret, err);
	return set_tag(tail + 1, ret, err);
}

/* DIR of what stands in the brackets. */
static struct span storage_folder(struct span s)
{
	int64_t at = span_find(s, '@');

	if (at < 0 || s.data[0] == '/')
		return s;
	s = span_from(s, (size_t)at + 1);
	int64_t plus = span_find(s, '+');
	return plus < 0 ? s : span_head(s, (size_t)plus);
}

/* [DIR]NAME; containers/image also writes [DRIVER@DIR+RUNROOT:OPTIONS]NAME. */
static int parse_containers(const char *text, struct place *ret, dray_error **err)
{
	if (text[0] == '[') {
		const char *end = strchr(text, ']');
		struct span dir = span_of(text + 1, end ? (size_t)(end - text - 1) : 0);

		if (!end)
			return err_set(err, DRAY_ERR_USAGE, "%s: the ']' is missing", ret->text);
		dir = storage_folder(dir);
		if (!dir.len)
			return err_set(err, DRAY_ERR_USAGE, "%s: a path is missing", ret->text);
		ret->path = mem_strndup((const char *)dir.data, dir.len);
		if (!ret->path)
			return err_nomem(err);
		text = end + 1;
	}
	return *text ? set_disk_name(text, ret, err) : 0;
}

static int parse_registry(const char *text, struct place *ret, dray_error **err)
{
	ret->kind = PLACE_REGISTRY;
	return reference_parse(span_str(text), &ret->ref, err);
}

/* NAME[:TAG], sha256:ID, or nothing; names as engines show them, so that they compare. */
static int parse_daemon(const char *text, bool writing, struct place *ret, dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };

	if (!*text)
		return 0;
	if (span_starts(span_str(text), "sha256:")) {
		if (writing)
			return err_set(err, DRAY_ERR_USAGE,
				       "%s: an engine takes names and makes the ID itself",
				       ret->text);
		if (digest_parse(span_str(text), &ret->digest, NULL) == 0)
			return 0;
		return err_set(err, DRAY_ERR_USAGE, "%s: expected sha256: and 64 hex digits",
			       ret->text);
	}
	if (reference_parse(span_str(text), &ref, err) < 0 || reference_default_tag(&ref, err) < 0)
		return err_ctx(err, "%s", ret->text);
	if (writing && digest_set(&ref.digest))
		return err_set(err, DRAY_ERR_USAGE, "%s: an image is loaded under NAME[:TAG]",
			       ret->text);
	ret->tag = reference_familiar(&ref);
	return ret->tag ? 0 : err_nomem(err);
}

static bool looks_like_path(const char *text)
{
	static const char *const ends[] = { ".tar",	".tgz",	    ".tar.gz", ".tar.xz",
					    ".tar.zst", ".tar.bz2", ".oci",    ".docker" };
	struct span s = span_str(text);

	if (text[0] == '/' || span_starts(s, "./") || span_starts(s, "../"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (span_ends(s, ends[i]))
			return true;
	return false;
}

/* A new archive in no compression: the only thing that a bare new path can become. */
static bool looks_like_archive(const char *text)
{
	return span_ends(span_str(text), ".tar") || span_ends(span_str(text), ".docker");
}

bool place_names_host(const char *text)
{
	size_t len = strcspn(text, "/");
	struct span host = span_of(text, len);
	cleanup_reference struct reference ref = { 0 };
	cleanup_free char *folder = NULL;
	bool known;

	if (!text[len] || text[0] == '.' || looks_like_path(text) || place_prefixed(text))
		return false;
	known = span_is(host, "localhost") || span_find(host, '.') >= 0 ||
		span_find(host, ':') >= 0;
	folder = known ? mem_strndup(text, len) : NULL;
	return folder && access(folder, F_OK) < 0 && errno == ENOENT &&
	       reference_parse(span_str(text), &ref, NULL) == 0;
}

static int parse_bare(const char *text, enum place_use use, struct place *ret, dray_error **err)
{
	struct stat st;
	int why;

	if (!text[0])
		return err_set(err, DRAY_ERR_USAGE, "an empty reference");
	if (strcmp(text, "-") == 0 || stat(text, &st) == 0) {
		ret->kind = strcmp(text, "-") != 0 && S_ISDIR(st.st_mode) ? PLACE_DIRECTORY
									  : PLACE_ARCHIVE;
		ret->path = mem_strdup(text);
		return ret->path ? 0 : err_nomem(err);
	}
	why = errno;
	if (use == PLACE_OUTPUT_HOST && place_names_host(text))
		return parse_registry(text, ret, err);
	if (use == PLACE_OUTPUT || use == PLACE_OUTPUT_HOST ||
	    (use == PLACE_WRITE && looks_like_archive(text))) {
		ret->kind = PLACE_ARCHIVE;
		ret->path = mem_strdup(text);
		return ret->path ? 0 : err_nomem(err);
	}
	if (!looks_like_path(text))
		return parse_registry(text, ret, err);
	if (use == PLACE_READ && why != ENOENT && why != ENOTDIR)
		return err_sys(err, why, "%s", ret->text);
	if (use == PLACE_READ)
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s: no such file or folder", ret->text);
	err_set(err, DRAY_ERR_USAGE, "%s: which kind of place is this?", ret->text);
	return err_hint(err, "say docker-archive:%s, oci-archive:%s, oci:%s or dir:%s", ret->text,
			ret->text, ret->text, ret->text);
}

static int parse(const char *text, enum place_use use, struct place *ret, dray_error **err)
{
	for (size_t i = 0; i < ARRAY_LEN(PREFIXES); i++) {
		const struct prefix *p = &PREFIXES[i];

		if (!span_starts(span_str(text), p->text))
			continue;
		ret->kind = p->kind;
		if (use != PLACE_READ && p->rest == REST_DISK)
			return err_set(err, DRAY_ERR_UNSUPPORTED,
				       "%s: places of the kind '%s' are only read", ret->text,
				       p->text);
		if (p->kind == PLACE_CONTAINERS)
			return parse_containers(text + strlen(p->text), ret, err);
		if (p->kind == PLACE_REGISTRY)
			return parse_registry(text + strlen(p->text), ret, err);
		if (p->kind == PLACE_DAEMON)
			return parse_daemon(text + strlen(p->text), use != PLACE_READ, ret, err);
		return parse_path(text + strlen(p->text), p->rest, ret, err);
	}
	return parse_bare(text, use, ret, err);
}

static int begin(const char *text, struct place *ret, dray_error **err)
{
	*ret = (struct place){ 0 };
	ret->text = text_safe(span_str(text), 512);
	return ret->text ? 0 : err_nomem(err);
}

int place_parse(const char *text, enum place_use use, struct place *ret, dray_error **err)
{
	if (begin(text, ret, err) == 0 && parse(text, use, ret, err) == 0)
		return 0;
	place_clear(ret);
	return -1;
}

enum place_use place_use_of(const struct dray_copy_options *o)
{
	if (!o->dst_is_path)
		return PLACE_WRITE;
	return o->dst_may_be_host ? PLACE_OUTPUT_HOST : PLACE_OUTPUT;
}

int place_registry(const char *text, struct place *ret, dray_error **err)
{
	if (begin(text, ret, err) == 0 && parse_registry(text, ret, err) == 0)
		return 0;
	place_clear(ret);
	return -1;
}

bool place_is_oci(const struct place *p)
{
	return p->kind == PLACE_OCI_DIR || p->kind == PLACE_DIRECTORY ||
	       p->kind == PLACE_OCI_ARCHIVE;
}

void place_clear(struct place *p)
{
	mem_free(p->path);
	mem_free(p->tag);
	mem_free(p->text);
	reference_clear(&p->ref);
	*p = (struct place){ 0 };
}

/* ---- opening ---- */

static int open_registry(dray_context *ctx, const struct place *p, struct store **ret,
			 dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	struct remote *r = NULL;

	struct remote_options o = ctx->remote;

	if (p->anonymous)
		o.creds = NULL;
	if (reference_copy(&p->ref, &ref, err) < 0 || reference_default_tag(&ref, err) < 0 ||
	    remote_open(&ref, false, &o, &r, err) < 0)
		return -1;
	*ret = remote_store(r, &ref, err);
	return *ret ? 0 : -1;
}

static int open_daemon(dray_context *ctx, const struct place *p, const struct place_options *o,
		       struct store **ret, dray_error **err)
{
	struct engine *e = NULL;

	if (engine_open(&ctx->remote, &e, err) < 0)
		return -1;
	*ret = engine_store(e, p->text, o, err);
	return *ret ? 0 : -1;
}

/* A bare folder: a layout, an unpacked archive, or an engine's disk. */
static struct store *open_directory(const char *path, const struct place_options *o,
				    dray_error **err)
{
	enum disk_kind kind;

	if (disk_sniff(path, &kind, err) < 0)
		return NULL;
	switch (kind) {
	case DISK_NONE:
		return store_open_dir(path, err);
	case DISK_CONTAINERS:
		return disk_open_containers(path, o, err);
	default:
		return disk_open_docker(path, o, err);
	}
}

int place_open(dray_context *ctx, const struct place *p, const struct place_options *o,
	       struct store **ret, dray_error **err)
{
	struct place_options local = o ? *o : (struct place_options){ 0 };
	struct store *st = NULL;

	local.oci = p->kind == PLACE_OCI_ARCHIVE;
	local.salvage = ctx->salvage;
	switch (p->kind) {
	case PLACE_REGISTRY:
		return open_registry(ctx, p, ret, err);
	case PLACE_DAEMON:
		return open_daemon(ctx, p, o, ret, err);
	case PLACE_OCI_DIR:
	case PLACE_DIR:
		st = store_open_dir(p->path, err);
		break;
	case PLACE_DIRECTORY:
		st = open_directory(p->path, &local, err);
		break;
	case PLACE_DOCKER_ROOT:
		st = disk_open_docker(p->path, &local, err);
		break;
	case PLACE_CONTAINERS:
		st = disk_open_containers(p->path, &local, err);
		break;
	case PLACE_ARCHIVE:
	case PLACE_OCI_ARCHIVE:
		st = store_open_path(p->path, &local, err);
		break;
	}
	if (!st)
		return -1;
	*ret = st;
	return 0;
}

int place_absent(const struct store *st, dray_error **err)
{
	if (err && dray_error_kind(*err) == DRAY_ERR_NOT_FOUND && st->kind != STORE_REGISTRY)
		err_rekind(err, DRAY_ERR_FORMAT);
	return -1;
}

int place_require_whole(const struct store *st, const struct image *im, dray_error **err)
{
	return image_require_whole(im, err) < 0 ? place_absent(st, err) : 0;
}

/* ---- choosing ---- */

/* sha256:ID, or its beginning as "dray images" and others show it. */
static int select_digest(const char *image, struct arena *a, struct selector *ret, dray_error **err)
{
	struct span hex = span_from(span_str(image), strlen("sha256:"));

	if (digest_parse(span_str(image), &ret->digest, NULL) == 0)
		return 0;
	if (hex.len < PREFIX_MIN || hex.len > 64 || !hex_is_lower(hex, hex.len))
		return err_set(err, DRAY_ERR_USAGE,
			       "expected sha256: and 64 hex digits, or the first %d or more",
			       PREFIX_MIN);
	ret->prefix = arena_strdup(a, image);
	return ret->prefix ? 0 : err_nomem(err);
}

/* --image REF | @N | sha256:ID */
static int select_image(const char *image, struct arena *a, struct selector *ret, dray_error **err)
{
	if (image[0] == '@') {
		if (!num_parse_u63(span_str(image + 1), &ret->at))
			return err_set(err, DRAY_ERR_USAGE, "--image: expected @NUMBER");
		ret->has_at = true;
		return 0;
	}
	if (span_starts(span_str(image), "sha256:"))
		return select_digest(image, a, ret, err);
	ret->ref = arena_strdup(a, image);
	return ret->ref ? 0 : err_nomem(err);
}

static bool is_disk(const struct place *p)
{
	return p->kind == PLACE_DOCKER_ROOT || p->kind == PLACE_CONTAINERS;
}

int place_selector(dray_context *ctx, const struct place *p, const char *image, bool all,
		   struct arena *a, struct selector *ret, dray_error **err)
{
	*ret = (struct selector){
		.at = p->at,
		.has_at = p->has_at,
		.digest = p->digest,
		.all = all,
		.platform = ctx->platform,
		.all_platforms = ctx->all_platforms,
		.more = ctx->more,
		.n_more = ctx->n_more,
	};
	if (p->tag && span_starts(span_str(p->tag), "sha256:") && is_disk(p)) {
		if (select_digest(p->tag, a, ret, err) < 0)
			return -1;
	} else if (p->tag) {
		ret->ref = arena_strdup(a, p->tag);
		if (!ret->ref)
			return err_nomem(err);
	}
	if (!image)
		return 0;
	if (p->tag || p->has_at || digest_set(&p->digest) || all)
		return err_set(err, DRAY_ERR_USAGE,
			       "%s already says which image; --image says it again", p->text);
	return select_image(image, a, ret, err);
}

int place_check_creds(const dray_context *ctx, const char *a, const char *b, dray_error **err)
{
	cleanup_place struct place pa = { 0 };
	cleanup_place struct place pb = { 0 };

	if (!ctx->creds)
		return 0;
	if (place_parse(a, PLACE_READ, &pa, err) < 0 || place_parse(b, PLACE_READ, &pb, err) < 0)
		return -1;
	if (pa.kind != PLACE_REGISTRY || pb.kind != PLACE_REGISTRY ||
	    strcmp(pa.ref.domain, pb.ref.domain) == 0)
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "--creds are for one registry, not for %s and %s",
		       pa.ref.domain, pb.ref.domain);
}
