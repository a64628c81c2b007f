/* SPDX-License-Identifier: Apache-2.0 */
/* For: keeping what one blob needed for the next.
 * Relies on: pthreads.
 * Promises: nothing is in two hands; what is here when the last user goes is freed.
 */
#include "flow/spares.h"

#include <pthread.h>

#include "base/mem.h"

struct spares {
	pthread_mutex_t mutex; /* guards head and every next */
	struct spare *head;
};

struct spares *spares_new(void)
{
	struct spares *s = mem_zalloc(sizeof(*s));

	if (s)
		pthread_mutex_init(&s->mutex, NULL);
	return s;
}

struct spare *spares_take(struct spares *s, uint64_t kind, void (*free)(struct spare *s))
{
	struct spare *found = NULL;

	pthread_mutex_lock(&s->mutex);
	for (struct spare **at = &s->head; *at; at = &(*at)->next) {
		if ((*at)->kind != kind || (*at)->free != free)
			continue;
		found = *at;
		*at = found->next;
		break;
	}
	pthread_mutex_unlock(&s->mutex);
	return found;
}

void spares_give(struct spares *s, struct spare *one)
{
	if (!one)
		return;
	pthread_mutex_lock(&s->mutex);
	one->next = s->head;
	s->head = one;
	pthread_mutex_unlock(&s->mutex);
}

void spares_free(struct spares *s)
{
	if (!s)
		return;
	while (s->head) {
		struct spare *one = s->head;

		s->head = one->next;
		one->free(one);
	}
	pthread_mutex_destroy(&s->mutex);
	mem_free(s);
}
