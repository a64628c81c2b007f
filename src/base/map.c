/* SPDX-License-Identifier: Apache-2.0
 *
 * For: finding values by byte strings.
 * Relies on: SipHash-1-3 with a key from the kernel, drawn once per process.
 * Promises: slots stay in order of insertion; hash order reaches no one.
 */
#include <pthread.h>
#include <stdatomic.h>
#include "base/io.h"
#include "base/map.h"
#include "base/mem.h"

/* Written once, under the lock, before any map has a first entry. */
static struct {
	pthread_mutex_t lock;
	atomic_bool ready;
	uint64_t key[2];
} seed = { .lock = PTHREAD_MUTEX_INITIALIZER };

int map_hash_ready(dray_error **err)
{
	int rc = 0;

	if (atomic_load_explicit(&seed.ready, memory_order_acquire))
		return 0;
	pthread_mutex_lock(&seed.lock);
	if (!atomic_load_explicit(&seed.ready, memory_order_relaxed)) {
		rc = io_random(seed.key, sizeof(seed.key), err);
		if (rc == 0)
			atomic_store_explicit(&seed.ready, true, memory_order_release);
	}
	pthread_mutex_unlock(&seed.lock);
	return rc;
}

static uint64_t rotate(uint64_t v, unsigned bits)
{
	return v << bits | v >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

uint64_t map_hash(struct span s)
{
	uint64_t v[4] = {
		seed.key[0] ^ 0x736f6d6570736575ULL,
		seed.key[1] ^ 0x646f72616e646f6dULL,
		seed.key[0] ^ 0x6c7967656e657261ULL,
		seed.key[1] ^ 0x7465646279746573ULL,
	};
	uint64_t last = (uint64_t)s.len << 56;
	uint64_t word;

	for (; s.len >= sizeof(word); s = span_from(s, sizeof(word))) {
		memcpy(&word, s.data, sizeof(word));
		sip_word(v, word);
	}
	for (size_t i = 0; i < s.len; i++)
		last |= (uint64_t)s.data[i] << (8 * i);
	sip_word(v, last);
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_clear(struct map *m)
{
	mem_free(m->slots);
	mem_free(m->table);
	*m = (struct map){ 0 };
}

/* The cell of @p key in the table, or the free one where it belongs. */
static uint32_t *find_cell(const struct map *m, struct span key)
{
	size_t mask = m->table_len - 1;
	size_t at = map_hash(key) & mask;

	while (m->table[at] && !span_eq(m->slots[m->table[at] - 1].key, key))
		at = (at + 1) & mask;
	return &m->table[at];
}

struct map_slot *map_find(const struct map *m, struct span key)
{
	uint32_t index = m->table_len ? *find_cell(m, key) : 0;

	return index ? &m->slots[index - 1] : NULL;
}

void *map_get(const struct map *m, struct span key)
{
	struct map_slot *slot = map_find(m, key);

	return slot ? slot->value : NULL;
}

/* Keep the table, a power of two, at most half full. */
static int grow_table(struct map *m, dray_error **err)
{
	size_t len = m->table_len ? m->table_len * 2 : 16;
	uint32_t *old = m->table;

	if (m->len * 2 < m->table_len)
		return 0;
	if (m->len >= UINT32_MAX / 4)
		return err_set(err, DRAY_ERR_LIMIT, "more than %zu names", m->len);
	uint32_t *table = mem_alloc_array(len, sizeof(*table));
	if (!table)
		return err_nomem(err);
	memset(table, 0, len * sizeof(*table));
	m->table = table;
	m->table_len = len;
	for (size_t i = 0; i < m->len; i++)
		*find_cell(m, m->slots[i].key) = (uint32_t)i + 1;
	mem_free(old);
	return 0;
}

int map_put(struct map *m, struct span key, void *value, dray_error **err)
{
	struct map_slot *slot = map_find(m, key);

	if (slot) {
		slot->value = value;
		return 0;
	}
	if (map_hash_ready(err) < 0 || grow_table(m, err) < 0)
		return -1;
	if (mem_grow(&m->slots, m->len, &m->cap, sizeof(*m->slots)) < 0)
		return err_nomem(err);
	m->slots[m->len] = (struct map_slot){ key, value };
	*find_cell(m, key) = (uint32_t)++m->len;
	return 0;
}
