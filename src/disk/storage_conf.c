/* SPDX-License-Identifier: Apache-2.0
 *
 * For: storage.conf, and what the environment says in its place.
 * Relies on: proto/toml.h; the rules of containers/storage 1.43 (podman 4.3).
 * Promises: a file that is absent says nothing; one that cannot be understood is an error.
 */
#include "disk/storage_conf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "proto/toml.h"

#define SYSTEM_ROOT "/var/lib/containers/storage"
#define SYSTEM_FILE "/etc/containers/storage.conf"
#define VENDOR_FILE "/usr/share/containers/storage.conf"
#define FILE_MAX (1 * MIB) /* distributions ship some 10 KiB */

void storage_conf_clear(struct storage_conf *c)
{
	arena_clear(&c->arena);
	*c = (struct storage_conf){ 0 };
}

/* ---- one file ---- */

struct file {
	const char *root, *rootless, *images, *driver;
	const struct toml *more; /* array; NULL */
	bool there;
};

static int parse_file(struct arena *a, struct span text, struct file *ret, dray_error **err)
{
	struct toml *top;

	if (toml_parse(text, a, &top, err) < 0)
		return -1;
	const struct toml *storage = toml_get(top, "storage");
	if (toml_get_string(storage, "graphroot", &ret->root, err) < 0 ||
	    toml_get_string(storage, "rootless_storage_path", &ret->rootless, err) < 0 ||
	    toml_get_string(storage, "imagestore", &ret->images, err) < 0 ||
	    toml_get_string(storage, "driver", &ret->driver, err) < 0)
		return -1;
	ret->more = toml_get(toml_get(storage, "options"), "additionalimagestores");
	return 0;
}

static int read_file(struct arena *a, const char *path, struct file *ret, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(FILE_MAX);
	cleanup_error dray_error *e = NULL;

	*ret = (struct file){ 0 };
	if (!path)
		return 0;
	if (io_read_file(AT_FDCWD, path, FILE_MAX, &text, &e) < 0 &&
	    dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
		return 0;
	ret->there = true;
	if (!e && parse_file(a, span_buf(&text), ret, &e) == 0)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return err_ctx(err, "%s", path);
}

/* ---- paths ---- */

/* "$NAME" or "${NAME}" at the front of @p text; how long it is. */
static size_t variable(const char *text, char *name, size_t size)
{
	bool braced = text[1] == '{';
	size_t from = braced ? 2 : 1;
	size_t len = strspn(text + from, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
					 "0123456789");

	if (len == 0 || len >= size || (braced && text[from + len] != '}'))
		return 0;
	memcpy(name, text + from, len);
	name[len] = '\0';
	return from + len + braced;
}

static const char *value_of(const char *name, const char *uid)
{
	const char *value = strcmp(name, "UID") == 0 ? uid : getenv(name);

	return value ? value : "";
}

static int expand(struct arena *a, const char *path, int64_t user, const char **ret,
		  dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_PATH);
	char name[64], uid[24];

	snprintf(uid, sizeof(uid), "%lld", (long long)user);
	while (*path) {
		size_t len = *path == '$' ? variable(path, name, sizeof(name)) : 0;

		if (len ? buf_add_str(&out, value_of(name, uid), err) < 0
			: buf_add_byte(&out, (uint8_t)*path, err) < 0)
			return -1;
		path += len ? len : 1;
	}
	*ret = arena_strndup(a, out.len ? (const char *)out.data : "", out.len);
	return *ret ? 0 : err_nomem(err);
}

/* ---- further stores ---- */

static int add_store(struct storage_conf *c, const char *path, dray_error **err)
{
	const char *own = arena_strdup(&c->arena, path);

	return own ? texts_add(&c->arena, &c->more, own, err) : err_nomem(err);
}

static int add_stores(struct storage_conf *c, const struct toml *list, dray_error **err)
{
	if (list && list->type != TOML_ARRAY)
		return err_set(err, DRAY_ERR_FORMAT, "line %d: additionalimagestores is no array",
			       list->line);
	for (const struct toml *it = list ? list->first : NULL; it; it = it->next) {
		if (it->type != TOML_STRING)
			return err_set(err, DRAY_ERR_FORMAT,
				       "line %d: an additional image store is no string", it->line);
		if (it->string[0] && add_store(c, it->string, err) < 0)
			return -1;
	}
	return 0;
}

/* "overlay.imagestore=/a,vfs.imagestore=/b" takes the place of all options of the files. */
static int stores_of_env(struct storage_conf *c, const char *options, dray_error **err)
{
	static const char key[] = "imagestore=";

	for (const char *at = options; *at; at += strspn(at, ",")) {
		size_t len = strcspn(at, ",");
		cleanup_free char *one = mem_strndup(at, len);
		const char *value;

		if (!one)
			return err_nomem(err);
		value = strstr(one, key);
		if (value && (value == one || value[-1] == '.') && value[strlen(key)] &&
		    add_store(c, value + strlen(key), err) < 0)
			return -1;
		at += len;
	}
	return 0;
}

/* ---- both files ---- */

static int choose_root(struct storage_conf *c, const struct storage_conf_from *from,
		       const struct file *shared, const struct file *user, dray_error **err)
{
	const char *own = arena_printf(&c->arena, "%s/containers/storage", from->data);
	const char *path = SYSTEM_ROOT;

	if (!own)
		return err_nomem(err);
	if (from->uid)
		path = user->root	  ? user->root
		       : user->rootless	  ? user->rootless
		       : shared->rootless ? shared->rootless
					  : own;
	else if (shared->root)
		path = shared->root;
	return expand(&c->arena, path, from->uid, &c->root, err);
}

int storage_conf_from(struct storage_conf *ret, const struct storage_conf_from *from,
		      dray_error **err)
{
	const char *options = getenv("STORAGE_OPTS"), *driver = getenv("STORAGE_DRIVER");
	struct file shared, user;

	if (read_file(&ret->arena, from->shared, &shared, err) < 0 ||
	    read_file(&ret->arena, from->uid ? from->user : NULL, &user, err) < 0 ||
	    choose_root(ret, from, &shared, &user, err) < 0)
		return -1;
	/* A user without a file of one's own shares no stores of the system's. */
	const struct file *f = from->uid ? &user : &shared;
	ret->driver = driver && driver[0] ? driver : f->driver;
	if (ret->driver && strcmp(ret->driver, "overlay2") == 0)
		ret->driver = "overlay";
	if (ret->driver && !ret->driver[0])
		ret->driver = NULL;
	if (f->images && f->images[0] && add_store(ret, f->images, err) < 0)
		return -1;
	return options ? stores_of_env(ret, options, err) : add_stores(ret, f->more, err);
}

/* ---- where they are ---- */

/* In a user namespace that podman made its user is root, and still the same. */
static int64_t user_id(void)
{
	const char *text = getenv("_CONTAINERS_ROOTLESS_UID");
	int64_t id;

	return text && num_parse_u63(span_str(text), &id) ? id : (int64_t)geteuid();
}

/* $XDG_... where that is set, else below the home. */
static const char *folder_of(struct arena *a, const char *variable_name, const char *below_home)
{
	const char *set = getenv(variable_name), *home = getenv("HOME");

	return set && set[0] ? arena_strdup(a, set)
			     : arena_printf(a, "%s/%s", home ? home : "", below_home);
}

int storage_conf_read(struct storage_conf *ret, dray_error **err)
{
	const char *named = getenv("CONTAINERS_STORAGE_CONF");
	const char *config = folder_of(&ret->arena, "XDG_CONFIG_HOME", ".config");
	const char *data = folder_of(&ret->arena, "XDG_DATA_HOME", ".local/share");
	const char *own = config ? arena_printf(&ret->arena, "%s/containers/storage.conf", config)
				 : NULL;

	if (!own || !data)
		return err_nomem(err);
	const struct storage_conf_from from = {
		.shared = named				   ? named
			  : access(SYSTEM_FILE, F_OK) == 0 ? SYSTEM_FILE
							   : VENDOR_FILE,
		.user = named ? named : own,
		.uid = user_id(),
		.data = data,
	};
	return storage_conf_from(ret, &from, err);
}
