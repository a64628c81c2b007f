/* SPDX-License-Identifier: Apache-2.0
 *
 * For: sentences as docker-copyedit understands them.
 * Relies on: the system's list of services for ports by name.
 * Promises: USAGE with the word that was not understood; nothing is guessed.
 */
#include <netdb.h>
#include <arpa/inet.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/edit.h"

/* ---- steps ---- */

void edit_steps_clear(struct edit_steps *s)
{
	for (size_t i = 0; i < s->n_made; i++)
		mem_free(s->made[i]);
	mem_free(s->made);
	mem_free(s->list);
	*s = (struct edit_steps){ 0 };
}

int edit_steps_add(struct edit_steps *s, enum dray_edit_field field, enum dray_edit_action action,
		   const char *name, const char *value, dray_error **err)
{
	if (s->n >= EDIT_STEPS_MAX)
		return err_set(err, DRAY_ERR_USAGE, "more than %d changes", EDIT_STEPS_MAX);
	if (mem_grow(&s->list, s->n, &s->cap, sizeof(*s->list)) < 0)
		return err_nomem(err);
	s->list[s->n++] = (struct dray_edit_step){ field, action, name, value };
	return 0;
}

int edit_steps_keep(struct edit_steps *s, char *text, const char **ret, dray_error **err)
{
	if (!text || mem_grow(&s->made, s->n_made, &s->cap_made, sizeof(char *)) < 0) {
		mem_free(text);
		return err_nomem(err);
	}
	s->made[s->n_made++] = text;
	*ret = text;
	return 0;
}

/* ---- words ---- */

struct sentence {
	const char *const *words;
	size_t n, at;
	struct edit_steps *steps;
	const char **from, **into;
};

static bool word_is(const char *word, const char *const *any)
{
	for (; *any; any++)
		if (strcasecmp(word, *any) == 0)
			return true;
	return false;
}
#define ONE_OF(...) ((const char *const[]){ __VA_ARGS__, NULL })

bool edit_is_sentence(const char *const *words, size_t n)
{
	bool from = false, into = false;

	for (size_t i = 0; i + 1 < n; i++) {
		from = from || word_is(words[i], ONE_OF("from"));
		into = into || word_is(words[i], ONE_OF("into"));
	}
	return from && into;
}

static bool take(struct sentence *t, const char *const *any)
{
	if (t->at >= t->n || !word_is(t->words[t->at], any))
		return false;
	t->at++;
	return true;
}

static int next(struct sentence *t, const char *what, const char **ret, dray_error **err)
{
	if (t->at >= t->n)
		return err_set(err, DRAY_ERR_USAGE, "the sentence ends where %s is expected", what);
	*ret = t->words[t->at++];
	return 0;
}

static int not_understood(const char *word, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(word), 80);

	err_set(err, DRAY_ERR_USAGE, "'%s' is not understood here", shown ? shown : "");
	return err_hint(err, "dray help edit");
}

/* Their wildcard is '%'. */
static int pattern_of(struct sentence *t, const char *word, const char **ret, dray_error **err)
{
	char *own = mem_strdup(word);

	for (char *p = own; p && *p; p++)
		*p = *p == '%' ? '*' : *p;
	return edit_steps_keep(t->steps, own, ret, err);
}

/* "ldap" is 389; without a protocol theirs is tcp. */
static int port_of(struct sentence *t, const char *word, const char **ret, dray_error **err)
{
	size_t len = strcspn(word, "/");
	const char *proto = word[len] ? word + len + 1 : "tcp";
	cleanup_free char *name = mem_strndup(word, len);
	struct servent space, *found = NULL;
	char room[1024];

	if (!name)
		return err_nomem(err);
	if (name[0] >= '0' && name[0] <= '9')
		return edit_steps_keep(t->steps, mem_printf("%s/%s", name, proto), ret, err);
	if (getservbyname_r(name, proto, &space, room, sizeof(room), &found) != 0 || !found)
		return not_understood(word, err);
	return edit_steps_keep(t->steps, mem_printf("%d/%s", ntohs((uint16_t)found->s_port), proto),
			       ret, err);
}

/* ---- fields ---- */

struct noun {
	const char *one, *many; /* NULL = not in the plural */
	enum dray_edit_field field;
};

static const struct noun nouns[] = {
	{ "volume", "volumes", DRAY_EDIT_VOLUME },
	{ "port", "ports", DRAY_EDIT_EXPOSE },
	{ "label", "labels", DRAY_EDIT_LABEL },
	{ "env", "envs", DRAY_EDIT_ENV },
	{ "variable", "variables", DRAY_EDIT_ENV },
	{ "entrypoint", NULL, DRAY_EDIT_ENTRYPOINT },
	{ "cmd", NULL, DRAY_EDIT_CMD },
	{ "command", NULL, DRAY_EDIT_CMD },
	{ "user", NULL, DRAY_EDIT_USER },
	{ "workdir", NULL, DRAY_EDIT_WORKDIR },
	{ "workingdir", NULL, DRAY_EDIT_WORKDIR },
	{ "domainname", NULL, DRAY_EDIT_DOMAINNAME },
	{ "hostname", NULL, DRAY_EDIT_HOSTNAME },
	{ "arch", NULL, DRAY_EDIT_ARCHITECTURE },
	{ "architecture", NULL, DRAY_EDIT_ARCHITECTURE },
	{ "author", NULL, DRAY_EDIT_AUTHOR },
	{ "healthcheck", NULL, DRAY_EDIT_HEALTHCHECK },
};

static int take_noun(struct sentence *t, const struct noun **ret, bool *ret_many, dray_error **err)
{
	const char *word = "";

	if (next(t, "what is changed", &word, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(nouns); i++) {
		*ret = &nouns[i];
		*ret_many = nouns[i].many && strcasecmp(word, nouns[i].many) == 0;
		if (*ret_many || strcasecmp(word, nouns[i].one) == 0)
			return 0;
	}
	return not_understood(word, err);
}

static bool is_named(enum dray_edit_field field)
{
	return field == DRAY_EDIT_VOLUME || field == DRAY_EDIT_EXPOSE || field == DRAY_EDIT_LABEL ||
	       field == DRAY_EDIT_ENV;
}

static int clear(struct sentence *t, enum dray_edit_field field, dray_error **err)
{
	return edit_steps_add(t->steps, field, DRAY_EDIT_CLEAR, NULL, NULL, err);
}

/* REMOVE ALL PORTS, REMOVE PORT 80, REMOVE VOLUMES '/var/%', REMOVE HEALTHCHECK */
static int remove_what(struct sentence *t, dray_error **err)
{
	bool all = take(t, ONE_OF("all")), many;
	const struct noun *noun;
	const char *word = "";

	if (take_noun(t, &noun, &many, err) < 0)
		return -1;
	if (all || !is_named(noun->field))
		return clear(t, noun->field, err);
	if (next(t, "a name", &word, err) < 0)
		return -1;
	if (noun->field == DRAY_EDIT_EXPOSE && !many) {
		if (port_of(t, word, &word, err) < 0)
			return -1;
	} else if (pattern_of(t, word, &word, err) < 0) {
		return -1;
	}
	return edit_steps_add(t->steps, noun->field, DRAY_EDIT_REMOVE, word, NULL, err);
}

/* ADD VOLUME /data, ADD PORT ldap */
static int add_what(struct sentence *t, dray_error **err)
{
	const struct noun *noun;
	const char *word = "";
	bool many;

	if (take_noun(t, &noun, &many, err) < 0)
		return -1;
	if (many || (noun->field != DRAY_EDIT_VOLUME && noun->field != DRAY_EDIT_EXPOSE))
		return not_understood(t->words[t->at - 1], err);
	if (next(t, "a name", &word, err) < 0 ||
	    (noun->field == DRAY_EDIT_EXPOSE && port_of(t, word, &word, err) < 0))
		return -1;
	return edit_steps_add(t->steps, noun->field, DRAY_EDIT_SET, word, NULL, err);
}

/* SET LABEL name value, SET ENV name value, or both as name=value */
static int set_pair(struct sentence *t, enum dray_edit_field field, dray_error **err)
{
	const char *name = "", *value = "", *equal;

	if (next(t, "a name", &name, err) < 0)
		return -1;
	equal = strchr(name, '=');
	if (equal) {
		value = equal + 1;
		if (edit_steps_keep(t->steps, mem_strndup(name, (size_t)(equal - name)), &name,
				    err) < 0)
			return -1;
	} else if (next(t, "a value", &value, err) < 0) {
		return -1;
	}
	return edit_steps_add(t->steps, field, DRAY_EDIT_SET, name, value, err);
}

/* Theirs is one word of the list, whatever is in it. */
static int as_list(struct sentence *t, const char *word, bool shell, const char **ret,
		   dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(1 << 20);

	if (!shell && word[0] == '[') {
		*ret = word;
		return 0;
	}
	if (buf_add_str(&text, shell ? "[\"/bin/sh\",\"-c\"," : "[", err) < 0 ||
	    json_quote(&text, span_str(word), err) < 0 || buf_add_byte(&text, ']', err) < 0)
		return -1;
	return edit_steps_keep(t->steps, mem_strndup((const char *)text.data, text.len), ret, err);
}

/* SET NO USER, SET NULL CMD, SET USER app, SET SHELL CMD "a b" */
static int set_what(struct sentence *t, dray_error **err)
{
	bool none = take(t, ONE_OF("no", "null")), shell = take(t, ONE_OF("shell")), many, list;
	const struct noun *noun;
	const char *word = "";

	if (take_noun(t, &noun, &many, err) < 0)
		return -1;
	if (none)
		return clear(t, noun->field, err);
	list = noun->field == DRAY_EDIT_ENTRYPOINT || noun->field == DRAY_EDIT_CMD;
	if (many || noun->field == DRAY_EDIT_VOLUME || noun->field == DRAY_EDIT_EXPOSE ||
	    noun->field == DRAY_EDIT_HEALTHCHECK || (shell && !list))
		return not_understood(t->words[t->at - 1], err);
	if (is_named(noun->field))
		return set_pair(t, noun->field, err);
	if (next(t, "a value", &word, err) < 0)
		return -1;
	if (!word[0] || strcasecmp(word, "null") == 0)
		return clear(t, noun->field, err);
	if (list && as_list(t, word, shell, &word, err) < 0)
		return -1;
	return edit_steps_add(t->steps, noun->field, DRAY_EDIT_SET, NULL, word, err);
}

static int clause(struct sentence *t, dray_error **err)
{
	if (take(t, ONE_OF("from")))
		return next(t, "the image", t->from, err);
	if (take(t, ONE_OF("into")))
		return next(t, "the new image", t->into, err);
	if (take(t, ONE_OF("remove", "rm", "delete")))
		return remove_what(t, err);
	if (take(t, ONE_OF("add", "append")))
		return add_what(t, err);
	if (take(t, ONE_OF("set")))
		return set_what(t, err);
	return not_understood(t->words[t->at], err);
}

int edit_sentence(const char *const *words, size_t n, struct edit_steps *ret, const char **ret_from,
		  const char **ret_into, dray_error **err)
{
	struct sentence t = { words, n, 0, ret, ret_from, ret_into };

	while (t.at < n) {
		if (take(&t, ONE_OF("and", "+", ",")))
			continue;
		if (clause(&t, err) < 0)
			return -1;
	}
	return 0;
}
