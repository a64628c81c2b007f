/* SPDX-License-Identifier: Apache-2.0
 *
 * Who made these v1 IDs: every rule is recognised by its own IDs, and nobody else's.
 */
#include "torture.h"

#include "base/limits.h"
#include "base/mem.h"
#include "ops/v1origin.h"

#define N 3 /* layers of every image here */
#define LAYER(c) "\"sha256:" c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c "\""
#define ROOTFS                                                                                  \
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" LAYER("0a") "," LAYER("0b") "," LAYER( \
		"0c") "]}}"
#define HEAD "{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2020-01-02T03:04:05Z\","
#define PLAIN HEAD "\"config\":{\"Cmd\":[\"sh\"]}," ROOTFS

static struct config *parse(const char *text)
{
	struct buf raw = BUF_INIT(LIMIT_CONFIG);
	struct config *c = NULL;
	dray_error *err = NULL;

	assert_ok(buf_add_str(&raw, text, &err), err);
	assert_ok(config_parse(&raw, &c, &err), err);
	return c;
}

/* Image and layers as a report has them when v1_origins() is asked. */
struct stage {
	struct image im;
	struct arena arena;
	struct digest chain[N];
	v1_id ids[N];
	struct dray_layer_info layers[N];
};

static void stage_init(struct stage *s, const char *config)
{
	dray_error *err = NULL;

	*s = (struct stage){ .im = { .config = parse(config), .n_layers = N } };
	assert_ok(chain_ids(s->im.config->diff_ids, N, s->chain, &err), err);
	for (size_t i = 0; i < N; i++)
		s->layers[i] = (struct dray_layer_info){ .chain_id = s->chain[i].text };
}

static void stage_clear(struct stage *s)
{
	config_free(s->im.config);
	arena_clear(&s->arena);
}

/* The archive holds s->ids. */
static void stage_found(struct stage *s)
{
	for (size_t i = 0; i < N; i++) {
		s->layers[i].v1_id = s->ids[i];
		s->layers[i].v1_id_found = true;
	}
}

static void assert_origin(const struct stage *s, size_t i, const char *want)
{
	const char *got = s->layers[i].v1_id_origin;

	if (got != want && (!got || !want || strcmp(got, want) != 0))
		fail_msg("layer %zu: %s, not %s", i, got ? got : "(none)", want ? want : "(none)");
}

static void origin_docker(void **state)
{
	static const struct {
		const char *config;
		struct v1_params p;
		const char *want;
	} rows[] = {
		{ PLAIN, { .era = V1_ERA_EPOCH }, "docker" },
		{ PLAIN, { .era = V1_ERA_ZERO }, "docker-1.10" },
		{ PLAIN, { .era = V1_ERA_IMAGE }, "docker-1.13" },
		{ PLAIN, { .era = V1_ERA_EPOCH, .off_min = -300 }, "docker@UTC-05:00" },
		{ PLAIN, { .era = V1_ERA_EPOCH, .off_min = 330 }, "docker@UTC+05:30" },
		{ PLAIN, { .era = V1_ERA_EPOCH, .off_min = 345 }, "docker@UTC+05:45" },
		{ PLAIN, { .era = V1_ERA_EPOCH, .off_min = -720 }, "docker@UTC-12:00" },
		{ PLAIN, { .era = V1_ERA_EPOCH, .off_min = 840 }, "docker@UTC+14:00" },
		{ PLAIN, { .era = V1_ERA_EPOCH, .off_min = -44 }, NULL }, /* no such zone */
		/* Go 1.22 writes backspace and form feed otherwise */
		{ HEAD "\"config\":{\"Labels\":{\"a\":\"\\b\\f\"}}," ROOTFS,
		  { .era = V1_ERA_EPOCH, .go122 = true },
		  "docker" },
		/* an engine that did not know "variant" */
		{ "{\"variant\":\"v7\",\"architecture\":\"arm\",\"os\":\"linux\"," ROOTFS,
		  { .era = V1_ERA_EPOCH, .no_variant = true },
		  "docker" },
		{ "{\"variant\":\"v7\",\"architecture\":\"arm\",\"os\":\"linux\"," ROOTFS,
		  { .era = V1_ERA_EPOCH },
		  "docker" },
		/* engines of today when "created" is absent */
		{ "{\"architecture\":\"amd64\",\"os\":\"linux\"," ROOTFS,
		  { .era = V1_ERA_EPOCH, .created_null = true },
		  "docker" },
		{ "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Labels\":{\"a\":"
		  "\"\\b\"}}," ROOTFS,
		  { .era = V1_ERA_EPOCH, .go122 = true, .created_null = true },
		  "docker" },
	};

	(void)state;
	for (size_t r = 0; r < ROWS(rows); r++) {
		struct stage s;
		dray_error *err = NULL;

		stage_init(&s, rows[r].config);
		assert_ok(v1_ids_docker(s.im.config, &rows[r].p, s.ids, &err), err);
		stage_found(&s);
		assert_ok(v1_origins(&s.im, &s.arena, s.layers, &err), err);
		for (size_t i = 0; i < N; i++)
			assert_origin(&s, i, rows[r].want);
		stage_clear(&s);
	}
}

static void origin_skopeo(void **state)
{
	struct stage s;
	dray_error *err = NULL;

	(void)state;
	stage_init(&s, PLAIN);
	assert_ok(v1_ids_skopeo(s.im.config, s.ids, &err), err);
	stage_found(&s);
	assert_ok(v1_origins(&s.im, &s.arena, s.layers, &err), err);
	for (size_t i = 0; i < N; i++)
		assert_origin(&s, i, "skopeo");
	stage_clear(&s);
}

static void origin_chain_ids(void **state)
{
	struct stage s;
	dray_error *err = NULL;

	(void)state;
	stage_init(&s, PLAIN);
	for (size_t i = 0; i < N; i++)
		memcpy(s.ids[i], digest_hex(&s.chain[i]), sizeof(s.ids[i]));
	stage_found(&s);
	assert_ok(v1_origins(&s.im, &s.arena, s.layers, &err), err);
	for (size_t i = 0; i < N; i++)
		assert_origin(&s, i, "chain-id");
	stage_clear(&s);
}

/* Nobody's ID stays nobody's, the others keep their names, what is absent is derived. */
static void origin_mixed(void **state)
{
	const struct v1_params today = { .era = V1_ERA_EPOCH };
	struct stage s;
	v1_id want[N];
	dray_error *err = NULL;

	(void)state;
	stage_init(&s, PLAIN);
	assert_ok(v1_ids_docker(s.im.config, &today, want, &err), err);
	memcpy(s.ids, want, sizeof(want));
	stage_found(&s);
	memset(s.ids[0], 'f', 64);
	s.layers[2].v1_id = NULL;
	s.layers[2].v1_id_found = false;
	assert_ok(v1_origins(&s.im, &s.arena, s.layers, &err), err);
	assert_origin(&s, 0, NULL);
	assert_string_equal(s.layers[0].v1_id, s.ids[0]);
	assert_origin(&s, 1, "docker");
	assert_origin(&s, 2, "docker");
	assert_string_equal(s.layers[2].v1_id, want[2]);
	assert_false(s.layers[2].v1_id_found);
	stage_clear(&s);
}

static void origin_derived(void **state)
{
	const struct v1_params today = { .era = V1_ERA_EPOCH };
	struct stage s;
	dray_error *err = NULL;

	(void)state;
	stage_init(&s, PLAIN);
	assert_ok(v1_ids_docker(s.im.config, &today, s.ids, &err), err);
	assert_ok(v1_origins(&s.im, &s.arena, s.layers, &err), err);
	for (size_t i = 0; i < N; i++) {
		assert_origin(&s, i, "docker");
		assert_string_equal(s.layers[i].v1_id, s.ids[i]);
		assert_false(s.layers[i].v1_id_found);
	}
	stage_clear(&s);
}

/* Without a ChainID for each layer there is nothing to derive from. */
static void origin_underivable(void **state)
{
	static const char other[] = "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" LAYER(
		"0a") "," LAYER("0b") ","
				      "\"md5:d41d8cd98f00b204e9800998ecf8427e\"]}}";
	struct stage s = { 0 };
	dray_error *err = NULL;

	(void)state;
	assert_ok(v1_origins(&s.im, &s.arena, s.layers, &err), err); /* no config */
	s.im.config = parse(PLAIN);
	s.im.n_layers = N - 1;
	assert_ok(v1_origins(&s.im, &s.arena, s.layers, &err), err); /* another count */
	stage_clear(&s);
	s = (struct stage){ .im = { .config = parse(other), .n_layers = N } };
	assert_ok(v1_origins(&s.im, &s.arena, s.layers, &err), err);
	for (size_t i = 0; i < N; i++)
		assert_null(s.layers[i].v1_id);
	stage_clear(&s);
}

static int origins(void *arg, dray_error **err)
{
	struct stage *s = arg;
	struct arena a = { 0 };
	int rc;

	for (size_t i = 0; i < N; i++)
		s->layers[i].v1_id_origin = NULL;
	s->layers[N - 1].v1_id = NULL;
	s->layers[N - 1].v1_id_found = false;
	rc = v1_origins(&s->im, &a, s->layers, err);
	arena_clear(&a);
	return rc;
}

static void origin_allocations(void **state)
{
	const struct v1_params zone = { .era = V1_ERA_EPOCH, .off_min = -660 };
	struct stage s;
	dray_error *err = NULL;

	(void)state;
	stage_init(&s, PLAIN);
	assert_ok(v1_ids_docker(s.im.config, &zone, s.ids, &err), err);
	stage_found(&s);
	torture_alloc(origins, &s);
	stage_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(origin_docker),      cmocka_unit_test(origin_skopeo),
		cmocka_unit_test(origin_chain_ids),   cmocka_unit_test(origin_mixed),
		cmocka_unit_test(origin_derived),     cmocka_unit_test(origin_underivable),
		cmocka_unit_test(origin_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
