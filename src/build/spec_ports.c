/* SPDX-License-Identifier: Apache-2.0
 *
 * Names in a spec that engines read in one way only: ports and paths.
 * Relies on image/config_value to judge a port.
 * Promises "80/tcp" for what was typed as "80", and no ranges.
 */
#include "build/spec_priv.h"

#include "base/limits.h"
#include "base/text.h"
#include "image/config_value.h"

bool spec_is_path(const char *text)
{
	bool letter = ascii_lower(text[0]) >= 'a' && ascii_lower(text[0]) <= 'z';

	return text[0] == '/' || (letter && text[1] == ':');
}

#define PORT_TEXT 32 /* "65535/sctp" has ten bytes */

/* What was said of the port before, with no protocol that of any, is no more. */
static void take_away(struct spec_pairs *p, int64_t port, const char *protocol)
{
	static const char *const protocols[] = { "", "/tcp", "/udp", "/sctp" };

	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		char name[PORT_TEXT];
		struct spec_pair *said;

		if (protocol[0] && protocols[i][0] && strcmp(protocol, protocols[i]) != 0)
			continue;
		snprintf(name, sizeof(name), "%d%s", (int)port, protocols[i]);
		said = spec_pairs_find(p, name);
		if (said)
			said->json = SPAN_LIT("null");
	}
}

static int put_port(struct spec *s, int64_t port, const char *protocol, struct span json,
		    dray_error **err)
{
	bool gone = span_is(json, "null");
	char name[PORT_TEXT];

	snprintf(name, sizeof(name), "%d%s", (int)port, protocol[0] || gone ? protocol : "/tcp");
	if (gone)
		take_away(&s->config.ports, port, protocol);
	return spec_pairs_put(s, &s->config.ports, name, json, err) ? 0 : -1;
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
	s->config.ports_said += (size_t)(p.to - p.from + 1);
	if (s->config.ports_said > LIMIT_SPEC_PORTS)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d ports (LIMIT_SPEC_PORTS)",
			       LIMIT_SPEC_PORTS);
	for (int64_t port = p.from; port <= p.to; port++)
		if (put_port(s, port, p.protocol, json, err) < 0)
			return -1;
	return 0;
}
