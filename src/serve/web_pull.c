/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the commands that bring an image from this server, to be copied into a shell.
 * Relies on route.c and web_host(): names, tags, digests and hosts have no byte that a shell knows.
 * Promises: what a command says works as it stands, but for what it needs is said beside it.
 */
#include "proto/url.h"
#include "serve/web_priv.h"

/* Of tools that want to be told when a server speaks plain HTTP. */
static const char *unless_encrypted(const struct web *w, const char *option)
{
	return w->ask->encrypted ? "" : option;
}

static void add_command(struct web *w, const char *tool, const char *command)
{
	html_raw(&w->h, "<dt>");
	html_str(&w->h, tool);
	html_raw(&w->h, "</dt><dd><pre class=\"command\"><code>");
	html_str(&w->h, web_keep(w, command));
	html_raw(&w->h, "</code></pre></dd>\n");
}

/* "sym" of "test/sym". */
static const char *last_part(const char *repo)
{
	const char *slash = strrchr(repo, '/');

	return slash ? slash + 1 : repo;
}

/* @p name = what the image is called in the archive that skopeo writes; may be empty. */
static void add_commands(struct web *w, const char *ref, const char *name, bool image)
{
	struct arena *a = &w->arena;
	const char *file = last_part(w->ask->route->repo);

	html_raw(&w->h, "<dl class=\"commands\">\n");
	if (image) {
		add_command(w, "docker", arena_printf(a, "docker pull %s", ref));
		add_command(w, "podman",
			    arena_printf(a, "podman pull %s%s",
					 unless_encrypted(w, "--tls-verify=false "), ref));
		add_command(w, "skopeo",
			    arena_printf(a, "skopeo copy %sdocker://%s docker-archive:%s.tar%s",
					 unless_encrypted(w, "--src-tls-verify=false "), ref, file,
					 name));
	} else {
		add_command(w, "oras",
			    arena_printf(a, "oras pull %s%s", unless_encrypted(w, "--plain-http "),
					 ref));
	}
	add_command(w, "dray",
		    arena_printf(a, "dray copy %sdocker://%s %s%s.tar",
				 unless_encrypted(w, "--plain-http "), ref,
				 image ? "" : "oci-archive:", file));
	html_raw(&w->h, "</dl>\n");
}

/* Docker tries plain HTTP on this machine alone. */
static bool docker_needs_telling(struct web *w)
{
	const char *text = web_keep(w, arena_printf(&w->arena, "http://%s/", w->ask->host));
	dray_error *told = NULL;
	struct url u;

	if (w->ask->encrypted || w->h.failed)
		return false;
	if (url_parse(text, &w->arena, &u, &told) == 0)
		return !url_host_is_loopback(&u);
	w->h.failed = web_pass_over(told, w->h.err) < 0;
	return false;
}

static void add_by_tag(struct web *w, bool image)
{
	const struct route *r = w->ask->route;
	const char *ref = web_keep(
		w, arena_printf(&w->arena, "%s/%s:%s", w->ask->host, r->repo, r->ref.tag));
	const char *name = web_keep(w, arena_printf(&w->arena, ":%s:%s", r->repo, r->ref.tag));

	add_commands(w, ref, name, image);
}

void web_pull(struct web *w, const struct manifest *m, const struct digest *d)
{
	const struct route *r = w->ask->route;
	const char *ref = web_keep(
		w, arena_printf(&w->arena, "%s/%s@%s", w->ask->host, r->repo, d->text));
	bool image = m && !manifest_is_artifact(m);

	html_raw(&w->h, "<section><h2>Pull</h2>\n");
	if (r->ref.tag) {
		add_by_tag(w, image);
		html_raw(&w->h, "<details class=\"digest\"><summary>By digest: always the same "
				"bytes</summary>\n");
	}
	add_commands(w, ref, "", image);
	if (r->ref.tag)
		html_raw(&w->h, "</details>\n");
	if (image && docker_needs_telling(w)) {
		html_raw(&w->h,
			 "<p class=\"note\">This server speaks plain HTTP: Docker wants <code>");
		html_str(&w->h, w->ask->host);
		html_raw(&w->h, "</code> among its <code>insecure-registries</code>.</p>\n");
	}
	html_raw(&w->h, "</section>\n");
}
