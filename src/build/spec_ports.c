/* SPDX-License-Identifier: Apache-2.0
 *
 * Names in a spec that engines read in one way only: ports and paths.
 * Relies on image/config_value to judge a port.
 * Promises "80/tcp" for what was typed as "80", and no ranges.
 */
#include "build/spec_priv.h"

#include "base/number.h"
#include "base/text.h"
#include "image/config_value.h"

bool spec_is_path(const char *text)
{
	bool letter = ascii_lower(text[0]) >= 'a' && ascii_lower(text[0]) <= 'z';

	return text[0] == '/' || (letter && text[1] == ':');
}

/* With no protocol that of any. */
static bool fits(const char *name, int64_t port, const char *protocol)
{
	size_t len = strcspn(name, "/");
	int64_t number;

	return num_parse_u63(span_of(name, len), &number) && number == port &&
	       (!protocol[0] || !name[len] || strcmp(name + len, protocol) == 0);
}

/* What was said of the port before is no more. */
static void take_away(struct spec_pairs *p, int64_t port, const char *protocol)
{
	for (size_t i = 0; i < p->n; i++)
		if (fits(p->list[i].name, port, protocol))
			p->list[i].json = SPAN_LIT("null");
}

static int put_port(struct spec *s, int64_t port, const char *protocol, struct span json,
		    dray_error **err)
{
	bool gone = span_is(json, "null");
	char name[40];

	snprintf(name, sizeof(name), "%d%s", (int)port, protocol[0] || gone ? protocol : "/tcp");
	if (gone)
		take_away(&s->config.ports, port, protocol);
	return spec_pairs_put(s, &s->config.ports, name, json, err);
}

int spec_ports_put(struct spec *s, const char *text, struct span json, dray_error **err)
{
	struct config_ports p;

	if (!config_ports_parse(text, &p))
		return err_set(err, DRAY_ERR_USAGE,
			       "expected PORT, PORT-PORT or PORT/tcp, /udp, /sctp");
	if (p.to - p.from >= CONFIG_PORTS_MAX)
		return err_set(err, DRAY_ERR_USAGE, "a range of more than %d ports",
			       CONFIG_PORTS_MAX);
	for (int64_t port = p.from; port <= p.to; port++)
		if (put_port(s, port, p.protocol, json, err) < 0)
			return -1;
	return 0;
}
