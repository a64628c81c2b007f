/* SPDX-License-Identifier: Apache-2.0
 *
 * For: who is who, by a file of names and bcrypt's hashes.
 * Relies on bcrypt.c, which is slow on purpose; on secrets of this process to tell what was right.
 * Promises: a name that nobody has costs what one costs that somebody has; a password is proven by
 * bcrypt once, and again when its line changes.
 */
#include "serve/htpasswd.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"
#include "digest/pubkey.h"
#include "flow/pool.h"
#include "serve/bcrypt.h"
#include "serve/reread.h"
#include "serve/shelf.h"

#define PROVEN_MAX 1024 /* passwords that are known to be right, at 65 bytes */
#define GATES 4	      /* passwords that are computed at a time: guessing takes no more processors */
#define GATE_QUEUE 16 /* others that wait for each; who comes then is told to come again */

struct user {
	const char *name;
	char hash[BCRYPT_TEXT];
};

struct users {
	struct arena arena;
	struct user *list; /* by name */
	size_t n;
};

/* One password is computed behind it; some users' passwords all at the same one. */
struct gate {
	bool busy;
	char now[MAC_TEXT]; /* its proof */
	int waiting;	    /* for others than this one */
};

struct htpasswd {
	struct reread file;
	uint8_t secret[32];
	struct lock *lock; /* of all below; it wakes who waits when a gate opens */
	struct users users;
	char proven[PROVEN_MAX][MAC_TEXT]; /* of user, password and hash; by their first digits */
	struct gate gates[GATES];
};

/* ---- the file ---- */

static int compare_users(const void *a, const void *b)
{
	return strcmp(((const struct user *)a)->name, ((const struct user *)b)->name);
}

static bool name_valid(struct span s)
{
	if (s.len == 0 || s.len > HTPASSWD_NAME_MAX || !utf8_valid(s))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] < ' ' || s.data[i] == 0x7f)
			return false;
	return true;
}

static int add_user(struct span line, struct users *to, dray_error **err)
{
	int64_t colon = span_find(line, ':');
	struct span name = span_head(line, colon < 0 ? 0 : (size_t)colon);
	struct span hash = span_from(line, colon < 0 ? line.len : (size_t)colon + 1);
	struct user *u = &to->list[to->n];

	if (!name_valid(name))
		return err_set(err, DRAY_ERR_FORMAT, "not NAME:HASH");
	if (!bcrypt_valid(hash)) {
		err_set(err, DRAY_ERR_UNSUPPORTED, "the password's hash is not bcrypt's");
		return err_hint(err, "htpasswd -B makes such");
	}
	memcpy(u->hash, hash.data, hash.len);
	u->hash[hash.len] = '\0';
	if (bcrypt_cost(u->hash) > BCRYPT_COST_MAX)
		return err_set(err, DRAY_ERR_LIMIT, "bcrypt's cost is over %d (BCRYPT_COST_MAX)",
			       BCRYPT_COST_MAX);
	u->name = arena_strndup(&to->arena, (const char *)name.data, name.len);
	if (!u->name)
		return err_nomem(err);
	to->n++;
	return 0;
}

static int add_lines(struct span text, struct users *to, dray_error **err)
{
	for (int line = 1; text.len > 0; line++) {
		int64_t end = span_find(text, '\n');
		struct span one = span_head(text, end < 0 ? text.len : (size_t)end);

		text = span_from(text, end < 0 ? text.len : (size_t)end + 1);
		if (one.len > 0 && one.data[one.len - 1] == '\r')
			one.len--;
		if (one.len == 0 || one.data[0] == '#')
			continue;
		if (to->n == HTPASSWD_USERS_MAX)
			return err_set(err, DRAY_ERR_LIMIT,
				       "more than %d users (HTPASSWD_USERS_MAX)",
				       HTPASSWD_USERS_MAX);
		if (add_user(one, to, err) < 0)
			return err_ctx(err, "line %d", line);
	}
	return 0;
}

static size_t count_lines(struct span text)
{
	size_t n = 1;

	for (size_t i = 0; i < text.len; i++)
		n += text.data[i] == '\n';
	return n < HTPASSWD_USERS_MAX ? n : HTPASSWD_USERS_MAX;
}

static int check_twins(const struct users *u, dray_error **err)
{
	for (size_t i = 1; i < u->n; i++) {
		if (strcmp(u->list[i - 1].name, u->list[i].name) != 0)
			continue;
		cleanup_free char *safe = text_safe(span_str(u->list[i].name), 64);

		return err_set(err, DRAY_ERR_FORMAT, "\"%s\" stands there twice", safe ? safe : "");
	}
	return 0;
}

static int parse_users(struct span text, struct users *ret, dray_error **err)
{
	*ret = (struct users){ 0 };
	ret->list = arena_array(&ret->arena, count_lines(text), sizeof(*ret->list));
	if (!ret->list)
		return err_nomem(err);
	if (add_lines(text, ret, err) < 0)
		return -1;
	if (ret->n == 0)
		return err_set(err, DRAY_ERR_FORMAT, "names no user");
	qsort(ret->list, ret->n, sizeof(*ret->list), compare_users);
	return check_twins(ret, err);
}

static int read_users(const char *path, struct users *ret, dray_error **err)
{
	cleanup_secret_buf struct buf text = { 0 };

	if (io_read_file(AT_FDCWD, path, HTPASSWD_FILE_MAX, &text, err) < 0)
		return -1;
	if (parse_users(span_buf(&text), ret, err) == 0)
		return 0;
	arena_clear(&ret->arena);
	return err_ctx(err, "%s", path);
}

int htpasswd_refresh(struct htpasswd *h, dray_error **err)
{
	struct users fresh = { 0 }, old;
	int rc = reread_look(&h->file, err);

	if (rc <= 0)
		return rc;
	if (read_users(h->file.path, &fresh, err) < 0)
		return reread_failed(&h->file, err);
	lock_take(h->lock);
	old = h->users;
	h->users = fresh;
	lock_drop(h->lock);
	arena_clear(&old.arena);
	return 1;
}

/* ---- begin, end ---- */

int htpasswd_open(const char *path, struct htpasswd **ret, dray_error **err)
{
	struct htpasswd *h = mem_zalloc(sizeof(*h));

	if (!h)
		return err_nomem(err);
	h->file.path = path;
	h->lock = lock_new(err);
	if (!h->lock || bcrypt_load(err) < 0 || io_random(h->secret, sizeof(h->secret), err) < 0 ||
	    htpasswd_refresh(h, err) < 0) {
		htpasswd_free(h);
		return -1;
	}
	*ret = h;
	return 0;
}

void htpasswd_free(struct htpasswd *h)
{
	if (!h)
		return;
	arena_clear(&h->users.arena);
	lock_free(h->lock);
	explicit_bzero(h->secret, sizeof(h->secret));
	mem_free(h);
}

/* ---- passwords ---- */

static const struct user *find(const struct users *u, const char *name)
{
	const struct user key = { .name = name };

	return bsearch(&key, u->list, u->n, sizeof(*u->list), compare_users);
}

bool htpasswd_knows(struct htpasswd *h, const char *user)
{
	bool known;

	lock_take(h->lock);
	known = find(&h->users, user) != NULL;
	lock_drop(h->lock);
	return known;
}

static size_t number_of(const char mac[MAC_TEXT], size_t below)
{
	char digits[9] = { 0 };

	memcpy(digits, mac, 8);
	return (size_t)strtoul(digits, NULL, 16) % below;
}

/* The hash to compute with: that of the user, or for a name that nobody has always the same one. */
static bool hash_for(struct htpasswd *h, const char *user, const char mac[MAC_TEXT],
		     char ret[BCRYPT_TEXT])
{
	const struct user *u;
	bool known;

	lock_take(h->lock);
	u = find(&h->users, user);
	known = u != NULL;
	memcpy(ret, (u ? u : &h->users.list[number_of(mac, h->users.n)])->hash, BCRYPT_TEXT);
	lock_drop(h->lock);
	return known;
}

static int proof_of(const struct htpasswd *h, const char *user, const char *password,
		    const char *hash, char ret[MAC_TEXT], dray_error **err)
{
	cleanup_secret_buf struct buf text = BUF_INIT(SIZE_MAX);

	/* None of the three holds a NUL. */
	if (buf_add(&text, span_of(user, strlen(user) + 1), err) < 0 ||
	    buf_add(&text, span_of(hash, BCRYPT_TEXT), err) < 0 ||
	    buf_add_str(&text, password, err) < 0)
		return -1;
	return mac_of(span_of(h->secret, sizeof(h->secret)), span_buf(&text), ret, err);
}

static bool is_proven(const struct htpasswd *h, const char proof[MAC_TEXT])
{
	return memcmp(h->proven[number_of(proof, PROVEN_MAX)], proof, MAC_TEXT) == 0;
}

/*
 * 1 = it was proven, maybe meanwhile; 0 = the gate is ours, to compute; -1. Who waits for the same
 * password costs nothing if it is right: of many requests that come at once the first computes.
 */
static int enter(struct htpasswd *h, struct gate *g, const char proof[MAC_TEXT], bool known,
		 dray_error **err)
{
	bool counted = false;
	int rc;

	for (;;) {
		rc = known && is_proven(h, proof);
		if (rc > 0 || !g->busy)
			break;
		if (!counted && memcmp(g->now, proof, MAC_TEXT) != 0) {
			if (g->waiting == GATE_QUEUE)
				return shelf_refuse(err, SHELF_TOOMANYREQUESTS,
						    "too many passwords are to be checked");
			g->waiting++;
			counted = true;
		}
		lock_wait(h->lock);
	}
	g->waiting -= counted;
	if (rc > 0)
		return 1;
	g->busy = true;
	memcpy(g->now, proof, MAC_TEXT);
	return 0;
}

static void leave(struct htpasswd *h, struct gate *g, bool right)
{
	lock_take(h->lock);
	if (right)
		memcpy(h->proven[number_of(g->now, PROVEN_MAX)], g->now, MAC_TEXT);
	g->busy = false;
	lock_wake(h->lock);
	lock_drop(h->lock);
}

int htpasswd_check(struct htpasswd *h, const char *user, const char *password, dray_error **err)
{
	char mac[MAC_TEXT], proof[MAC_TEXT], hash[BCRYPT_TEXT];
	struct gate *gate;
	bool known;
	int rc;

	if (mac_of(span_of(h->secret, sizeof(h->secret)), span_str(user), mac, err) < 0)
		return -1;
	known = hash_for(h, user, mac, hash);
	if (proof_of(h, user, password, hash, proof, err) < 0)
		return -1;
	gate = &h->gates[number_of(mac, GATES)];
	lock_take(h->lock);
	rc = enter(h, gate, proof, known, err);
	lock_drop(h->lock);
	if (rc != 0)
		return rc;
	rc = bcrypt_check(hash, password, err);
	leave(h, gate, known && rc > 0);
	return known || rc < 0 ? rc : 0;
}
