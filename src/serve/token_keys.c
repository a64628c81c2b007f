/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the public keys that tokens are held against.
 * Relies on reread.c to notice a change.
 * Promises: whoever took keys has them until he gives them back, whatever the files become.
 */
#include "serve/token_keys.h"

#include <fcntl.h>

#include "base/io.h"
#include "base/mem.h"
#include "flow/pool.h"
#include "serve/reread.h"

struct key_list {
	int users; /* by the lock; who opened them is one */
	struct pubkeys *list;
};

struct token_keys {
	struct lock *lock;
	struct key_list *now;
	size_t n;
	struct reread files[TOKEN_KEYS_FILES_MAX];
};

const struct pubkeys *token_keys_list(const struct key_list *keys)
{
	return keys->list;
}

struct key_list *token_keys_take(struct token_keys *k)
{
	struct key_list *keys;

	lock_take(k->lock);
	keys = k->now;
	keys->users++;
	lock_drop(k->lock);
	return keys;
}

void token_keys_drop(struct token_keys *k, struct key_list *keys)
{
	bool last;

	if (!keys)
		return;
	lock_take(k->lock);
	last = --keys->users == 0;
	lock_drop(k->lock);
	if (!last)
		return;
	pubkeys_free(keys->list);
	mem_free(keys);
}

static int add_file(struct pubkeys *to, const char *path, dray_error **err)
{
	cleanup_buf struct buf text = { 0 };

	if (io_read_file(AT_FDCWD, path, TOKEN_KEYS_FILE_MAX, &text, err) < 0)
		return -1;
	return pubkeys_add(to, span_buf(&text), err) < 0 ? err_ctx(err, "%s", path) : 0;
}

static struct key_list *read_files(const struct token_keys *k, dray_error **err)
{
	cleanup_pubkeys struct pubkeys *list = pubkeys_new(err);
	struct key_list *keys;

	for (size_t i = 0; list && i < k->n; i++)
		if (add_file(list, k->files[i].path, err) < 0)
			return NULL;
	keys = list ? mem_alloc(sizeof(*keys)) : NULL;
	if (!keys) {
		if (list)
			err_nomem(err);
		return NULL;
	}
	*keys = (struct key_list){ 1, steal_pointer(&list) };
	return keys;
}

int token_keys_refresh(struct token_keys *k, dray_error **err)
{
	struct key_list *fresh, *old;
	bool changed = false;

	for (size_t i = 0; i < k->n; i++) {
		int rc = reread_look(&k->files[i], err);

		if (rc < 0)
			return -1;
		changed = changed || rc > 0;
	}
	if (!changed)
		return 0;
	fresh = read_files(k, err);
	if (!fresh)
		return reread_failed(&k->files[0], err);
	lock_take(k->lock);
	old = k->now;
	k->now = fresh;
	lock_drop(k->lock);
	token_keys_drop(k, old);
	return 1;
}

int token_keys_open(const char *const *paths, size_t n, struct token_keys **ret, dray_error **err)
{
	struct token_keys *k;

	if (n > TOKEN_KEYS_FILES_MAX)
		return err_set(err, DRAY_ERR_LIMIT,
			       "more than %d files of keys (TOKEN_KEYS_FILES_MAX)",
			       TOKEN_KEYS_FILES_MAX);
	k = mem_zalloc(sizeof(*k));
	if (!k)
		return err_nomem(err);
	for (; k->n < n; k->n++)
		k->files[k->n].path = paths[k->n];
	k->lock = lock_new(err);
	if (!k->lock || token_keys_refresh(k, err) < 0) {
		token_keys_free(k);
		return -1;
	}
	*ret = k;
	return 0;
}

void token_keys_free(struct token_keys *k)
{
	if (!k)
		return;
	token_keys_drop(k, k->now);
	lock_free(k->lock);
	mem_free(k);
}
