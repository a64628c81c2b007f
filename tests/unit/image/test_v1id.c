/* SPDX-License-Identifier: Apache-2.0
 *
 * Legacy v1 IDs against the vectors of formats.md 10, and the rules of 2.3 to 2.6 one by one.
 */
#include "torture.h"

#include "base/limits.h"
#include "base/mem.h"
#include "image/v1_priv.h"

#define D0 "sha256:b5286b140854cb4653f40218b53726462ec0b672896cb93297143ba4e93c59e2"
#define D1 "sha256:e79c58b07c6968d04001db816dc76b71ef035a9b07b2b37ecf8f917ccadb37dd"
#define D2 "sha256:951faac18bcf391257965cda3b2a9add27b0dd22904214d734450b3a32c20a1f"
#define ROOTFS                                                                                 \
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D0 "\",\"" D1 "\",\"" D2 "\",\"" D1 \
	"\"]}"
#define PATH_ENV "[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"]"
#define BASE_IMAGE "\"sha256:9b3f9f252e9dc2bc572ce7e22cf13397afcad6b6d7841608d9d3b06a9ed47826\""
#define ZERO                                                                               \
	"{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\",\"AttachStdin\":false,"      \
	"\"AttachStdout\":false,\"AttachStderr\":false,\"Tty\":false,\"OpenStdin\":false," \
	"\"StdinOnce\":false,\"Env\":null,\"Cmd\":null,\"Image\":\"\",\"Volumes\":null,"   \
	"\"WorkingDir\":\"\",\"Entrypoint\":null,\"OnBuild\":null,\"Labels\":null}"

/* The image of formats.md 10; members shuffled, spaced and in odd case on purpose. */
static const char image[] =
	"{ " ROOTFS ", \"OS\" : \"linux\",\"history\":[{}],\"unknown\":{\"x\":1},"
	"\"created\":\"2026-11-20T22:34:47.0270187850+00:00\","
	"\"container_config\":{\"labels\":{},\"Cmd\":[\"/bin/sh\",\"-c\",\"#(nop) \","
	"\"CMD [\\\"/bin/sh\\\"]\"],\"Env\":" PATH_ENV
	",\"Hostname\":\"1f1c145a1277\",\"Image\":" BASE_IMAGE "},\"container\":"
	"\"1f1c145a12775fae61167145d448ef13725b9e67b4c456dc369e298d9bbffdd8\","
	"\"architecture\":\"amd64\",\"docker_version\":\"20.10.24+dfsg1\",\"id\":\"no\","
	"\"parent\":\"no\",\"CONFIG\":{\"Cmd\":[\"/bin/sh\"],\"Image\":" BASE_IMAGE
	",\"Env\":" PATH_ENV ",\"Memory\":7}}";

static struct config *parse_text(const char *text)
{
	struct buf raw = BUF_INIT(LIMIT_CONFIG);
	struct config *c = NULL;
	dray_error *err = NULL;

	assert_ok(buf_add_str(&raw, text, &err), err);
	assert_ok(config_parse(&raw, &c, &err), err);
	return c;
}

static void v1id_vectors(void **state)
{
	static const struct {
		struct v1_params p;
		const char *want[4]; /* beginnings */
	} rows[] = {
		{ { .era = V1_ERA_EPOCH },
		  { "a6d310f2048ce769cc87f9d3da352f213134c3accd9fe90656e94988a24157a2",
		    "6516adb9745a96a5e0f0781e949fca3b50b69c37d12f0fc46b7b50c1da106a02",
		    "121d6a07e0d155100c35932d1c1a6809e5be71f72be4bdbe6cd7c292bcb926d0",
		    "6a003e777c01cebb0d83739d8de0649351ffa79df1c0fa0b56ee923fd5bbd13e" } },
		{ { .era = V1_ERA_ZERO },
		  { "c6de7e74c1ad7363", "cb16db740d3eeb96", "3f490437ffa929cb", "" } },
		/* nothing of this image depends on later engines' changes */
		{ { .era = V1_ERA_EPOCH, .go122 = true, .created_null = true, .no_variant = true },
		  { "a6d310f2048ce769", "6516adb9745a96a5", "121d6a07e0d15510",
		    "6a003e777c01cebb" } },
	};
	cleanup_config struct config *c = parse_text(image);

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		v1_id ids[4];
		dray_error *err = NULL;

		assert_ok(v1_ids_docker(c, &rows[i].p, ids, &err), err);
		for (size_t k = 0; k < 4; k++)
			if (strncmp(ids[k], rows[i].want[k], strlen(rows[i].want[k])) != 0)
				fail_msg("row %zu, layer %zu: %s", i, k, ids[k]);
	}
}

/* A zone ahead of UTC and the image's own time change the layers below the top. */
static void v1id_eras(void **state)
{
	static const struct {
		struct v1_params p;
		const char *created;
	} rows[] = {
		{ { .era = V1_ERA_EPOCH, .off_min = 60 }, "1970-01-01T01:00:00+01:00" },
		{ { .era = V1_ERA_EPOCH, .off_min = -480 }, "1969-12-31T16:00:00-08:00" },
		{ { .era = V1_ERA_IMAGE }, "2026-11-20T22:34:47.027018785Z" },
		{ { .era = V1_ERA_ZERO }, "0001-01-01T00:00:00Z" },
	};
	cleanup_config struct config *c = parse_text(image);

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_free char *text = mem_printf("{\"container_config\":" ZERO
						     ",\"created\":\"%s\",\"layer_id\":\"" D0 "\"}",
						     rows[i].created);
		struct digest want;
		v1_id ids[4];
		dray_error *err = NULL;

		assert_ok(digest_of(span_str(text), &want, &err), err);
		assert_ok(v1_ids_docker(c, &rows[i].p, ids, &err), err);
		assert_string_equal(ids[0], digest_hex(&want));
	}
}

#define ESCAPES(label)                                                                          \
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"author\":\"A & B <x@y>\","              \
	"\"created\":\"2020-01-02T03:04:05.600Z\",\"config\":{\"Env\":[\"P=<>&\\\"\\\\\\/\","   \
	"\"U=\\u2028\xe2\x80\xa9\\u00e9\\ud83d\\ude00\",\"C=\\b\\f\\n\\r\\t\\u0001\x7f\"],"     \
	"\"Cmd\":[\"sh\",\"-c\",\"a && b > c\"],\"Volumes\":{\"/z\":{\"k\":1},\"/a\":null},"    \
	"\"ExposedPorts\":{\"80/tcp\":{},\"443/tcp\":{}},\"WorkingDir\":\"/w\",\"OnBuild\":[]," \
	"\"Labels\":{\"\xc3\xa9\":\"x\",\"b\":\"2\",\"a\":\"1\",\"" label "\":\"3\"},"          \
	"\"StopSignal\":\"SIGTERM\",\"StopTimeout\":0,\"Shell\":\"/bin/sh\"}}"
#define ESCAPES_BOTTOM "f7333dba604a5beb7922f3e8a2b61867fa52e305ae5ca9bafbf3993267815536"
#define ESCAPES_TOP "253e5c83363bd4d9b20b991e7db6af94b5064b07516a7cb1b5012c965ad8b45e"

static void check_escapes(const struct config *c, const char *want)
{
	static const struct v1_params p = { .era = V1_ERA_EPOCH };
	struct digest chain[2];
	v1_id ids[2];
	dray_error *err = NULL;

	assert_ok(digest_parse(SPAN_LIT("sha256:" ESCAPES_BOTTOM), &chain[0], &err), err);
	assert_ok(digest_parse(SPAN_LIT("sha256:" ESCAPES_TOP), &chain[1], &err), err);
	assert_ok(v1_ids_of_chain(c, chain, 2, &p, ids, &err), err);
	assert_string_equal(ids[0],
			    "ac518eb288fd0dc1f953aa96d0d411650dd72d6e5b56853205d28faf5f9bee83");
	assert_string_equal(ids[1], want);
}

/* The escaping vector of formats.md 10, which starts from ChainIDs; its labels are "B" and "b". */
static void v1id_escaping(void **state)
{
	cleanup_config struct config *c = parse_text(ESCAPES("B"));

	(void)state;
	check_escapes(c, "308f8a57a7c2b49eede02395ea9c0d3c62b56fff3143b16ddc9a4a4d3bef3109");
}

/* The same preimage with "C" for "B", hashed by another program. */
static void v1id_escaping_distinct(void **state)
{
	cleanup_config struct config *c = parse_text(ESCAPES("C"));

	(void)state;
	check_escapes(c, "3ae1c3990448c47ce10d6db7edb222faa265277f9ce500d69b10e4fc2ddbbcf6");
}

/* One rule of Go's structs per row: the config, what stays of it. */
struct rule {
	const char *id, *text, *want;
	struct v1_params p;
};

#define EPOCH                       \
	{                           \
		.era = V1_ERA_EPOCH \
	}
#define NOW                                                              \
	{                                                                \
		.era = V1_ERA_EPOCH, .go122 = true, .created_null = true \
	}
#define TOP(before, after) \
	"{" before "\"container_config\":" ZERO ",\"created\":\"0001-01-01T00:00:00Z\"" after "}"
#define HEAD                                                                                     \
	"\"config\":{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\",\"AttachStdin\":false," \
	"\"AttachStdout\":false,\"AttachStderr\":false,"
#define PART(ports, cmd, health, volumes, entry, onbuild, tail)                                   \
	HEAD ports                                                                                \
		"\"Tty\":false,\"OpenStdin\":false,\"StdinOnce\":false,\"Env\":null,\"Cmd\":" cmd \
		"," health "\"Image\":\"\",\"Volumes\":" volumes                                  \
		",\"WorkingDir\":\"\",\"Entrypoint\":" entry ",\"OnBuild\":" onbuild              \
		",\"Labels\":null" tail "},"
#define PLAIN(cmd, health, tail) PART("", cmd, health, "null", "null", "null", tail)

static const struct rule rules[] = {
	{ "nothing", "{}", TOP("", ""), EPOCH },
	{ "no time from 25 on", "{}", "{\"container_config\":" ZERO ",\"created\":null}", NOW },
	{ "empty strings vanish", "{\"author\":\"\",\"os\":null,\"Size\":0}", TOP("", ""), EPOCH },
	{ "size in any case", "{\"size\":12}", TOP("\"Size\":12,", ""), EPOCH },
	{ "sorted", "{\"variant\":\"v8\",\"comment\":\"c\",\"os\":\"o\",\"docker_version\":\"d\"}",
	  TOP("\"comment\":\"c\",", ",\"docker_version\":\"d\",\"os\":\"o\",\"variant\":\"v8\""),
	  EPOCH },
	{ "no variant before 20.10",
	  "{\"variant\":\"v8\"}",
	  TOP("", ""),
	  { .era = V1_ERA_EPOCH, .no_variant = true } },
	{ "no variant in 1.13", "{\"variant\":\"v8\"}", TOP("", ""), { .era = V1_ERA_IMAGE } },
	{ "config null", "{\"config\":null}", TOP("", ""), EPOCH },
	{ "config empty", "{\"config\":{}}", TOP(PLAIN("null", "", ""), ""), EPOCH },
	{ "empty and absent differ",
	  "{\"config\":{\"Cmd\":[],\"Volumes\":{},\"Entrypoint\":[],\"OnBuild\":[null]}}",
	  TOP(PART("", "[]", "", "{}", "[]", "[\"\"]", ""), ""), EPOCH },
	{ "null is absent", "{\"config\":{\"Cmd\":null,\"Tty\":null,\"StopTimeout\":null}}",
	  TOP(PLAIN("null", "", ""), ""), EPOCH },
	{ "lone strings", "{\"config\":{\"Cmd\":\"a b\",\"Entrypoint\":\"e\"}}",
	  TOP(PART("", "[\"a b\"]", "", "null", "[\"e\"]", "null", ""), ""), EPOCH },
	{ "omitted when empty",
	  "{\"config\":{\"ExposedPorts\":{},\"ArgsEscaped\":false,\"MacAddress\":\"\",\"Shell\":[]}"
	  "}",
	  TOP(PLAIN("null", "", ""), ""), EPOCH },
	{ "ports sorted", "{\"config\":{\"ExposedPorts\":{\"9\":{},\"10\":{\"x\":1}}}}",
	  TOP(PART("\"ExposedPorts\":{\"10\":{},\"9\":{}},", "null", "", "null", "null", "null",
		   ""),
	      ""),
	  EPOCH },
	{ "tail", "{\"config\":{\"stopTimeout\":0,\"shell\":[\"s\"],\"StopSignal\":\"K\"}}",
	  TOP(PLAIN("null", "", ",\"StopSignal\":\"K\",\"StopTimeout\":0,\"Shell\":[\"s\"]"), ""),
	  EPOCH },
	{ "no StopTimeout before 1.13",
	  "{\"config\":{\"StopTimeout\":5}}",
	  TOP(PLAIN("null", "", ""), ""),
	  { .era = V1_ERA_ZERO } },
	{ "health check",
	  "{\"config\":{\"Healthcheck\":{\"Retries\":3,\"Interval\":5000000000,\"Timeout\":0,"
	  "\"StartPeriod\":1,\"StartInterval\":2,\"Test\":[\"CMD\",\"x\"]},\"ArgsEscaped\":true}}",
	  TOP(PLAIN("null",
		    "\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Interval\":5000000000,"
		    "\"StartPeriod\":1,\"Retries\":3},\"ArgsEscaped\":true,",
		    ""),
	      ""),
	  EPOCH },
	{ "health check from 25 on", "{\"config\":{\"Healthcheck\":{\"StartInterval\":2}}}",
	  "{" PLAIN("null", "\"Healthcheck\":{\"StartInterval\":2},",
		    "") "\"container_config\":" ZERO ",\"created\":null}",
	  NOW },
	{ "health check before 17.05",
	  "{\"config\":{\"Healthcheck\":{\"StartPeriod\":2}}}",
	  TOP(PLAIN("null", "\"Healthcheck\":{},", ""), ""),
	  { .era = V1_ERA_IMAGE } },
	{ "old Go", "{\"os\":\"\\b\\f\\\\u0008\"}", TOP("", ",\"os\":\"\\u0008\\u000c\\\\u0008\""),
	  EPOCH },
	{ "new Go",
	  "{\"os\":\"\\u0008\\f\\\\u0008\"}",
	  TOP("", ",\"os\":\"\\b\\f\\\\u0008\""),
	  { .era = V1_ERA_EPOCH, .go122 = true } },
	{ "time zone kept", "{\"created\":\"2020-01-02T03:04:05.120+02:00\"}",
	  "{\"container_config\":" ZERO ",\"created\":\"2020-01-02T03:04:05.12+02:00\"}", EPOCH },
};

/* The text as hashed, but for the layer_id that the ID is made over. */
static void v1id_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rules); i++) {
		cleanup_config struct config *c = parse_text(rules[i].text);
		struct digest chain, want;
		cleanup_free char *text = NULL;
		const char *after = strstr(rules[i].want, ",\"os\":");
		v1_id id;
		dray_error *err = NULL;

		if (!after)
			after = strstr(rules[i].want, ",\"variant\":");
		if (!after)
			after = rules[i].want + strlen(rules[i].want) - 1;
		text = mem_printf("%.*s,\"layer_id\":\"" D0 "\"%s", (int)(after - rules[i].want),
				  rules[i].want, after);
		assert_ok(digest_parse(SPAN_LIT(D0), &chain, &err), err);
		assert_ok(digest_of(span_str(text), &want, &err), err);
		assert_ok(v1_ids_of_chain(c, &chain, 1, &rules[i].p, &id, &err), err);
		if (strcmp(id, digest_hex(&want)) != 0)
			fail_msg("%s", rules[i].id);
	}
}

static void v1id_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "{}", "diff_ids" },
		{ "{\"created\":\"2020\"," ROOTFS "}", "RFC 3339" },
		{ "{\"config\":{\"Env\":\"x\"}," ROOTFS "}", "Env" },
		{ "{\"config\":{\"Cmd\":[1]}," ROOTFS "}", "Cmd" },
		{ "{\"config\":{\"Tty\":\"x\"}," ROOTFS "}", "Tty" },
		{ "{\"config\":{\"Labels\":{\"a\":1}}," ROOTFS "}", "Labels" },
		{ "{\"config\":{\"Volumes\":{\"a\":1}}," ROOTFS "}", "Volumes" },
		{ "{\"config\":{\"Healthcheck\":[]}," ROOTFS "}", "Healthcheck" },
		{ "{\"config\":{\"Healthcheck\":{\"Interval\":1.5}}," ROOTFS "}", "Interval" },
		{ "{\"container_config\":7," ROOTFS "}", "config" },
		{ "{\"container_config\":{\"Cmd\":[],\"cmd\":[]}," ROOTFS "}", "case" },
	};
	static const struct v1_params p = { .era = V1_ERA_EPOCH };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_config struct config *c = parse_text(rows[i].text);
		v1_id ids[4];
		dray_error *err = NULL;

		if (v1_ids_docker(c, &p, ids, &err) == 0)
			fail_msg("%s", rows[i].text);
		assert_err(err, DRAY_ERR_FORMAT, rows[i].says);
	}
}

static void v1id_skopeo(void **state)
{
	cleanup_config struct config *c = parse_text(
		"{\"os\":\"linux\",\"config\":{ \"b\":\"<\\u0041>\", \"a\":1 },\"created\":null,"
		"\"rootfs\":{\"diff_ids\":[\"" D0 "\",\"" D1 "\",\"" D2 "\"]}}");
	static const char top[] =
		"{\"architecture\":null,\"config\":{\"b\":\"\\u003c\\u0041\\u003e\",\"a\":1},"
		"\"container\":null,\"container_config\":null,\"created\":null,\"docker_version\":"
		"null,"
		"\"layer_id\":\"sha256:"
		"119d990af4c96054fee218c9235d95e56bc8c47f63789ccaa70ed01a939e7b11"
		"\",\"os\":\"linux\",\"parent\":"
		"\"6bda59e705973e273b81abd908d69ce7497d3e1e26e025f292f09704f00ab4fd\"}";
	struct digest want;
	v1_id ids[3];
	dray_error *err = NULL;

	(void)state;
	assert_ok(v1_ids_skopeo(c, ids, &err), err);
	assert_string_equal(ids[0],
			    "5ffc995d4936ffa8811be8f20046e78c06611b579ae8c96658564a2eac75230c");
	assert_string_equal(ids[1],
			    "6bda59e705973e273b81abd908d69ce7497d3e1e26e025f292f09704f00ab4fd");
	assert_ok(digest_of(SPAN_LIT(top), &want, &err), err);
	assert_string_equal(ids[2], digest_hex(&want));
}

/* The files "ID/json" of the same image, of which formats.md 1.3 tells the order. */
static void v1id_json(void **state)
{
	static const struct v1_params p = { .era = V1_ERA_EPOCH };
	static const char second[] =
		"{\"id\":\"6516adb9745a96a5e0f0781e949fca3b50b69c37d12f0fc46b7b50c1da106a02\","
		"\"parent\":\"a6d310f2048ce769cc87f9d3da352f213134c3accd9fe90656e94988a24157a2\","
		"\"created\":\"1970-01-01T00:00:00Z\",\"container_config\":" ZERO
		",\"os\":\"linux\"}";
	static const char *const parts[] = {
		"{\"id\":\"6a003e777c01cebb",
		"\"parent\":\"121d6a07e0d15510",
		"\"created\":\"2026-11-20T22:34:47.027018785Z\",\"container\":\"1f1c145a",
		"\"container_config\":{\"Hostname\":\"1f1c145a1277\"",
		"\"docker_version\":\"20.10.24+dfsg1\",\"config\":{\"Hostname\":\"\"",
		"},\"architecture\":\"amd64\",\"os\":\"linux\"}",
	};
	cleanup_config struct config *c = parse_text(image);
	cleanup_buf struct buf text = BUF_INIT(MIB);
	dray_error *err = NULL;
	const char *at;
	v1_id ids[4];

	(void)state;
	assert_ok(v1_ids_docker(c, &p, ids, &err), err);
	assert_ok(v1_json_docker(c, &p, ids, 1, &text, &err), err);
	assert_ok(buf_add_byte(&text, 0, &err), err);
	assert_string_equal((const char *)text.data, second);
	buf_reset(&text);
	assert_ok(v1_json_docker(c, &p, ids, 3, &text, &err), err);
	assert_ok(buf_add_byte(&text, 0, &err), err);
	at = (const char *)text.data;
	for (size_t i = 0; i < ROWS(parts); i++) { /* in this order */
		const char *found = strstr(at, parts[i]);

		if (!found)
			fail_msg("%s is not behind %s", parts[i], at);
		at = found + strlen(parts[i]);
	}
	assert_string_equal(at, "");
}

static int derive(void *arg, dray_error **err)
{
	static const struct v1_params p = { .era = V1_ERA_EPOCH };
	const struct config *c = arg;
	v1_id ids[4];

	cleanup_buf struct buf text = BUF_INIT(MIB);

	if (v1_ids_docker(c, &p, ids, err) < 0)
		return -1;
	for (size_t i = 0; i < ROWS(ids); i++)
		if (v1_json_docker(c, &p, ids, i, &text, err) < 0)
			return -1;
	return v1_ids_skopeo(c, ids, err);
}

static void v1id_torture(void **state)
{
	cleanup_config struct config *c = parse_text(image);

	(void)state;
	torture_alloc(derive, c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v1id_vectors),	 cmocka_unit_test(v1id_eras),
		cmocka_unit_test(v1id_escaping), cmocka_unit_test(v1id_escaping_distinct),
		cmocka_unit_test(v1id_rules),	 cmocka_unit_test(v1id_refused),
		cmocka_unit_test(v1id_skopeo),	 cmocka_unit_test(v1id_torture),
		cmocka_unit_test(v1id_json),
	};

	return cmocka_run_group_tests_name("image v1id", tests, NULL, NULL);
}
