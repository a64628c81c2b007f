/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the rule behind the v1 IDs of an archive by trying the known ones on
 * its layers. Relies on image/v1id for each rule. Promises that an ID is only
 * attributed to a rule that reproduces it.
 */
#include "ops/v1origin.h"

#include <stdlib.h>

#include "base/mem.h"

struct rule {
	const char *name;
	struct v1_params params;
};

static const struct rule RULES[] = {
	{ "docker", { .era = V1_ERA_EPOCH } },
	{ "docker", { .era = V1_ERA_EPOCH, .go122 = true } },
	{ "docker", { .era = V1_ERA_EPOCH, .no_variant = true } },
	{ "docker", { .era = V1_ERA_EPOCH, .created_null = true } },
	{ "docker", { .era = V1_ERA_EPOCH, .go122 = true, .created_null = true } },
	{ "docker-1.10", { .era = V1_ERA_ZERO } },
	{ "docker-1.13", { .era = V1_ERA_IMAGE } },
};

/* Name the layers whose ID this candidate explains; returns how many still lack a name. */
static size_t attribute(struct dray_layer_info *layers, size_t n, const v1_id *candidate,
			const char *name)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		if (!layers[i].v1_id_found || layers[i].v1_id_origin)
			continue;
		if (strcmp(layers[i].v1_id, candidate[i]) == 0)
			layers[i].v1_id_origin = name;
		else
			left++;
	}
	return left;
}

static int try_rule(const struct image *im, const struct v1_params *p, const char *name,
		    v1_id *room, struct dray_layer_info *layers, size_t *left, dray_error **err)
{
	if (v1_ids_docker(im->config, p, room, err) < 0)
		return -1;
	*left = attribute(layers, im->n_layers, room, name);
	return 0;
}

/* Docker stamps its layers with time zero as the daemon's zone writes it. */
static int try_zones(const struct image *im, struct arena *a, v1_id *room,
		     struct dray_layer_info *layers, size_t *left, dray_error **err)
{
	for (int off = ZONE_MIN; off <= ZONE_MAX && *left > 0; off += ZONE_STEP) {
		const struct v1_params p = { .era = V1_ERA_EPOCH, .off_min = off };
		size_t before = *left;
		const char *name = "docker";

		if (off == 0)
			continue;
		name = arena_printf(a, "docker@UTC%c%02d:%02d", off < 0 ? '-' : '+', abs(off) / 60,
				    abs(off) % 60);
		if (!name)
			return err_nomem(err);
		if (try_rule(im, &p, name, room, layers, left, err) < 0)
			return -1;
		if (*left < before)
			return 0;
	}
	return 0;
}

/* Old containers/image named the folder by the ChainID itself. */
static size_t attribute_chain_ids(struct dray_layer_info *layers, size_t n)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		const char *colon = layers[i].chain_id ? strchr(layers[i].chain_id, ':') : NULL;

		if (!layers[i].v1_id_found || layers[i].v1_id_origin)
			continue;
		if (colon && strcmp(colon + 1, layers[i].v1_id) == 0)
			layers[i].v1_id_origin = "chain-id";
		else
			left++;
	}
	return left;
}

static int attribute_found(const struct image *im, struct arena *a, v1_id *room,
			   struct dray_layer_info *layers, dray_error **err)
{
	size_t left = 1;

	for (size_t i = 0; i < ARRAY_LEN(RULES) && left > 0; i++)
		if (try_rule(im, &RULES[i].params, RULES[i].name, room, layers, &left, err) < 0)
			return -1;
	if (left > 0) {
		if (v1_ids_skopeo(im->config, room, err) < 0)
			return -1;
		left = attribute(layers, im->n_layers, room, "skopeo");
	}
	if (left > 0)
		left = attribute_chain_ids(layers, im->n_layers);
	if (left == 0 || im->n_layers > ZONE_LAYERS_MAX)
		return 0;
	return try_zones(im, a, room, layers, &left, err);
}

static int derive_missing(const struct image *im, struct arena *a, v1_id *room,
			  struct dray_layer_info *layers, dray_error **err)
{
	if (v1_ids_docker(im->config, &RULES[0].params, room, err) < 0)
		return -1;
	for (size_t i = 0; i < im->n_layers; i++) {
		if (layers[i].v1_id)
			continue;
		layers[i].v1_id = arena_strdup(a, room[i]);
		layers[i].v1_id_origin = RULES[0].name;
		if (!layers[i].v1_id)
			return err_nomem(err);
	}
	return 0;
}

static bool derivable(const struct image *im)
{
	if (!im->config || im->n_layers == 0 || im->config->n_diff_ids != im->n_layers)
		return false;
	for (size_t i = 0; i < im->n_layers; i++)
		if (im->config->diff_ids[i].algo == DIGEST_OTHER)
			return false;
	return true;
}

int v1_origins(const struct image *im, struct arena *a, struct dray_layer_info *layers,
	       dray_error **err)
{
	cleanup_free v1_id *room = NULL;
	bool found = false;

	if (!derivable(im))
		return 0;
	room = mem_alloc_array(im->n_layers, sizeof(*room));
	if (!room)
		return err_nomem(err);
	for (size_t i = 0; i < im->n_layers; i++)
		found = found || layers[i].v1_id_found;
	if (found && attribute_found(im, a, room, layers, err) < 0)
		return -1;
	return derive_missing(im, a, room, layers, err);
}
