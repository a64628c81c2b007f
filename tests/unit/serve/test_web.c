/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of a shelf whose documents mean no good: text stays text, lists have an end.
 */
#include "torture.h"

#include "base/mem.h"
#include "serve/web.h"
#include "store/box.h"

/* ---- a shelf of one image ---- */

struct fixed {
	struct shelf base;
	const char *const *repos; /* sorted */
	size_t n_repos;
	const char *manifest, *type, *config, *referrer; /* referrer: its artifact type; NULL */
	bool lost;					 /* the config is not here */
	const char *refused; /* a repository whose tags, and a tag whose manifest, are; NULL */
	size_t contents;     /* of manifests, that were asked for */
	size_t untagged;     /* how many have none, by digests that end in their number */
};

static int page_of(const char *const *names, size_t n, const struct shelf_part *part,
		   struct shelf_page *ret, dray_error **err)
{
	ret->names = arena_array(&ret->arena, part->max + 1, sizeof(*ret->names));
	if (!ret->names)
		return err_nomem(err);
	for (size_t i = 0; i < n && !ret->more; i++) {
		if (part->after && strcmp(names[i], part->after) <= 0)
			continue;
		ret->more = ret->n == part->max;
		if (!ret->more)
			ret->names[ret->n++] = names[i];
	}
	return 0;
}

static int fixed_repositories(struct shelf *s, const struct shelf_part *part,
			      struct shelf_page *ret, dray_error **err)
{
	const struct fixed *f = (struct fixed *)s;

	return page_of(f->repos, f->n_repos, part, ret, err);
}

static int fixed_tags(struct shelf *s, const char *repo, const struct shelf_part *part,
		      struct shelf_page *ret, dray_error **err)
{
	static const char *const tags[] = { "1", "2", "3", "4", "5", "6" };
	const struct fixed *f = (struct fixed *)s;

	if (f->refused && strcmp(f->refused, repo) == 0)
		return shelf_refuse(err, SHELF_DENIED, "not for you");
	return page_of(tags, ROWS(tags), part, ret, err);
}

static int fixed_manifest(struct shelf *s, const char *repo, const struct shelf_ref *ref,
			  bool content, struct shelf_doc *ret, dray_error **err)
{
	struct fixed *f = (struct fixed *)s;

	(void)repo;
	if (ref->tag && strcmp(ref->tag, "none") == 0)
		return shelf_refuse(err, SHELF_MANIFEST_UNKNOWN, "no such manifest");
	if (ref->tag && f->refused && strcmp(f->refused, ref->tag) == 0)
		return shelf_refuse(err, SHELF_UNREACHABLE, "nobody answers");
	f->contents += content;
	ret->media_type = mem_strdup(f->type);
	ret->size = (int64_t)strlen(f->manifest);
	ret->bytes = BUF_INIT(LIMIT_MANIFEST);
	if (!ret->media_type || buf_add_str(&ret->bytes, f->manifest, err) < 0)
		return err && *err ? -1 : err_nomem(err);
	return digest_of(span_buf(&ret->bytes), &ret->digest, err);
}

static int fixed_blob(struct shelf *s, const char *repo, const struct digest *digest, bool content,
		      struct shelf_blob *ret, dray_error **err)
{
	const struct fixed *f = (struct fixed *)s;

	(void)repo, (void)digest, (void)content;
	if (f->lost)
		return shelf_refuse(err, SHELF_BLOB_UNKNOWN, "no such blob");
	ret->size = (int64_t)strlen(f->config);
	ret->data = source_from_span(span_str(f->config), err);
	return ret->data ? 0 : -1;
}

static int fixed_referrers(struct shelf *s, const char *repo, const struct digest *subject,
			   const char *type, const struct shelf_part *part,
			   struct shelf_referrers *ret, dray_error **err)
{
	const struct fixed *f = (struct fixed *)s;

	(void)repo, (void)type, (void)part;
	if (!f->referrer)
		return 0;
	ret->list = arena_array(&ret->arena, 1, sizeof(*ret->list));
	if (!ret->list)
		return err_nomem(err);
	*ret->list = (struct shelf_referrer){ .media_type = MT_OCI_MANIFEST, .digest = *subject };
	ret->list->artifact_type = f->referrer;
	ret->n = 1;
	return 0;
}

static int fixed_untagged(struct shelf *s, const char *repo, const struct shelf_part *part,
			  struct shelf_referrers *ret, dray_error **err)
{
	const struct fixed *f = (struct fixed *)s;
	size_t at = part->after ? strtoul(part->after + strlen(part->after) - 4, NULL, 10) + 1 : 0;

	(void)repo;
	ret->list = arena_array(&ret->arena, part->max + 1, sizeof(*ret->list));
	if (!ret->list)
		return err_nomem(err);
	for (; at < f->untagged && ret->n < part->max; at++) {
		struct shelf_referrer *r = &ret->list[ret->n++];
		char text[100];

		snprintf(text, sizeof(text), "sha256:%060d%04zu", 0, at);
		*r = (struct shelf_referrer){ .media_type = "<b>/type" };
		assert_int_equal(digest_parse(span_str(text), &r->digest, NULL), 0);
	}
	ret->more = at < f->untagged;
	return 0;
}

/* A shelf that has another behind it, as a proxy has. */
struct afar {
	struct shelf base;
	struct fixed *here;
	size_t asked; /* of what is not here */
};

static struct shelf *afar_here(struct shelf *s)
{
	return &((struct afar *)s)->here->base;
}

static int afar_manifest(struct shelf *s, const char *repo, const struct shelf_ref *ref,
			 bool content, struct shelf_doc *ret, dray_error **err)
{
	struct afar *a = (struct afar *)s;

	a->asked++;
	return fixed_manifest(&a->here->base, repo, ref, content, ret, err);
}

static int afar_blob(struct shelf *s, const char *repo, const struct digest *digest, bool content,
		     struct shelf_blob *ret, dray_error **err)
{
	return fixed_blob(afar_here(s), repo, digest, content, ret, err);
}

static int afar_referrers(struct shelf *s, const char *repo, const struct digest *subject,
			  const char *type, const struct shelf_part *part,
			  struct shelf_referrers *ret, dray_error **err)
{
	return fixed_referrers(afar_here(s), repo, subject, type, part, ret, err);
}

/* It has no lists: who asks it for one crashes. */
static const struct shelf_ops afar_ops = {
	.manifest = afar_manifest,
	.blob = afar_blob,
	.referrers = afar_referrers,
	.here = afar_here,
};

static const struct shelf_ops fixed_ops = {
	.repositories = fixed_repositories,
	.tags = fixed_tags,
	.manifest = fixed_manifest,
	.blob = fixed_blob,
	.referrers = fixed_referrers,
	.untagged = fixed_untagged,
};

static int fixed_look(void *arg, const char *repo, const struct manifest *m,
		      struct serve_layer *ret, dray_error **err)
{
	(void)repo;
	if (arg)
		return shelf_refuse(err, SHELF_SIZE_INVALID, "%s", (const char *)arg);
	for (size_t i = 0; i < m->n_entries; i++)
		ret[i] = (struct serve_layer){ 4000, 2000, i == 0 ? 500 : 0 };
	return 0;
}

/* ---- pages ---- */

struct asked {
	struct shelf *shelf;
	const char *target;
	char *trouble; /* of looks */
	bool names_only;
};

static int ask_for(const struct asked *a, struct buf *ret, dray_error **err)
{
	cleanup_route struct route r;
	const char *allow;
	struct web_ask ask = { .shelf = a->shelf,
			       .route = &r,
			       .host = "h.test:5000",
			       .writes = true,
			       .tags = !a->names_only,
			       .look = fixed_look,
			       .arg = a->trouble };

	if (route_parse("GET", span_str(a->target), &r, &allow, err) < 0)
		return -1;
	return web_page(&ask, ret, err);
}

/* NUL-terminated, the test's to free. */
static char *page_from(struct shelf *s, const char *target, char *trouble)
{
	const struct asked a = { .shelf = s, .target = target, .trouble = trouble };
	struct buf out = BUF_INIT(WEB_PAGE_MAX);
	dray_error *err = NULL;

	assert_ok(ask_for(&a, &out, &err), err);
	return buf_steal_str(&out, NULL);
}

static char *page(struct fixed *f, const char *target, char *trouble)
{
	f->base.ops = &fixed_ops;
	return page_from(&f->base, target, trouble);
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" in:\n%s", part, text);
}

static size_t times(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		n++;
	return n;
}

/* An image with @p layers, all alike, over @p config; both texts are the test's to free. */
struct made {
	char *manifest, *config;
};
static struct made make(size_t layers, const char *members)
{
	static const char one[] = "{\"mediaType\":\"" MT_OCI_LAYER_GZIP
				  "\",\"digest\":\"sha256:" HEX_A "\",\"size\":1000}";
	cleanup_buf struct buf m = BUF_INIT(16 * MIB), c = BUF_INIT(32 * MIB);
	struct digest d;
	struct made ret;

	assert_int_equal(buf_printf(&c, NULL,
				    "{\"os\":\"linux\",\"architecture\":\"amd64\",%s"
				    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
				    members),
			 0);
	for (size_t i = 0; i < layers; i++)
		assert_int_equal(buf_printf(&c, NULL, "%s\"sha256:" HEX_A "\"", i ? "," : ""), 0);
	assert_int_equal(buf_add_str(&c, "]}}", NULL), 0);
	ret.config = buf_steal_str(&c, NULL);
	assert_int_equal(digest_of(span_str(ret.config), &d, NULL), 0);
	assert_int_equal(buf_printf(&m, NULL,
				    "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_MANIFEST
				    "\",\"config\":{\"mediaType\":\"" MT_OCI_CONFIG "\",\"digest\":"
				    "\"%s\",\"size\":%zu},\"layers\":[",
				    d.text, strlen(ret.config)),
			 0);
	for (size_t i = 0; i < layers; i++)
		assert_int_equal(buf_printf(&m, NULL, "%s%s", i ? "," : "", one), 0);
	assert_int_equal(buf_add_str(&m, "]}", NULL), 0);
	ret.manifest = buf_steal_str(&m, NULL);
	return ret;
}

static void made_clear(struct made *m)
{
	mem_free(m->manifest);
	mem_free(m->config);
}

static struct fixed shelf_of(const struct made *m)
{
	static const char *const repos[] = { "a" };

	return (struct fixed){ .repos = repos,
			       .n_repos = 1,
			       .manifest = m->manifest,
			       .type = MT_OCI_MANIFEST,
			       .config = m->config };
}

/* ---- text of others ---- */

#define EVIL "<script>alert(1)</script><img src=x onerror=alert(1)>\\\"'\\u202e"

static void hostile(void **state)
{
	CLEANUP(made_clear)
	struct made m = make(1, "\"author\":\"" EVIL "\",\"created\":\"" EVIL
				"\",\"history\":[{\"created_by\":\"" EVIL "\",\"comment\":\"" EVIL
				"\"}],\"config\":{\"Env\":[\"" EVIL "\"],\"Entrypoint\":[\"" EVIL
				"\"],\"Cmd\":\"" EVIL "\",\"User\":\"" EVIL "\",\"Labels\":{\"" EVIL
				"\":\"" EVIL "\"},\"ExposedPorts\":{\"" EVIL
				"\":{}},\"Volumes\":[\"" EVIL "\"],\"Healthcheck\":{\"" EVIL
				"\":1}},");
	struct fixed f = shelf_of(&m);
	cleanup_free char *text = NULL;

	(void)state;
	f.referrer = "<script>alert(1)</script>/sbom";
	text = page(&f, "/a:1", NULL);
	assert_int_equal(times(text, "<script"), 1); /* our own, in the head */
	lacks(text, "<img");
	lacks(text, "\xe2\x80\xae");
	assert_true(times(text, "&lt;script&gt;alert(1)&lt;/script&gt;") >= 13);
	has(text, "\\u{202e}");
	has(text, "<th scope=\"row\">SBOM</th>");
}

/* Values of other types than engines know are shown as JSON, and none of them is an error. */
static void odd_types(void **state)
{
	CLEANUP(made_clear)
	struct made m = make(
		1, "\"author\":7,\"config\":{\"Env\":{\"A\":1},\"Entrypoint\":{\"x\":[1]},\"Cmd\":"
		   "null,"
		   "\"User\":12,\"Labels\":[1],\"ExposedPorts\":[\"80\"],\"Volumes\":false},");
	struct fixed f = shelf_of(&m);
	cleanup_free char *text = page(&f, "/a:1", NULL);

	(void)state;
	has(text, "<code>{&quot;x&quot;:[1]}</code>");
	has(text, "<dt>User</dt><dd><code>12</code>");
	has(text, "<code>[&quot;80&quot;]</code>");
	lacks(text, "Command");
}

/* ---- much of it ---- */

static char *many(size_t n, const char *one)
{
	struct buf b = BUF_INIT(32 * MIB);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf_printf(&b, NULL, "%s%s", i ? "," : "", one), 0);
	return buf_steal_str(&b, NULL);
}

static void no_end(void **state)
{
	cleanup_free char *env = many(100000, "\"A=\\u0000\"");
	cleanup_free char *steps = many(10000, "{\"created_by\":\"x\"}");
	cleanup_free char *label = mem_alloc(1000001);
	cleanup_free char *members = NULL, *text = NULL;

	(void)state;
	memset(label, '<', 1000000);
	label[1000000] = 0;
	members = mem_printf(
		"\"history\":[%s],\"config\":{\"Env\":[%s],\"Labels\":{\"a\":\"%s\"}},", steps, env,
		label);
	CLEANUP(made_clear) struct made m = make(10000, members);
	struct fixed f = shelf_of(&m);

	assert_true(strlen(m.config) < WEB_CONFIG_MAX);
	text = page(&f, "/a:1?efficiency=1", NULL);
	assert_true(strlen(text) < MIB);
	has(text, "… and 99800 more variables");
	has(text, "… and 9500 more steps");
	has(text, "… 1000000 bytes in all");
}

/* As much as the limits let through, of what is longest when it is escaped, is still a page. */
static void all_escaped(void **state)
{
	static char quotes[2 * WEB_TEXT + 1];
	cleanup_free char *members = NULL, *steps = NULL, *text = NULL;
	cleanup_buf struct buf env = BUF_INIT(4 * MIB), set = BUF_INIT(4 * MIB);

	(void)state;
	for (size_t i = 0; i < sizeof(quotes) - 1; i++)
		quotes[i] = i % 2 ? '"' : '\\';
	for (size_t i = 0; i < WEB_ROWS; i++) {
		const char *comma = i ? "," : "";

		assert_int_equal(buf_printf(&env, NULL, "%s\"%s\"", comma, quotes), 0);
		assert_int_equal(buf_printf(&set, NULL, "%s\"%03zu%s\":0", comma, i, quotes), 0);
	}
	members = mem_printf("{\"created_by\":\"%s\",\"comment\":\"%s\"}", quotes, quotes);
	steps = many(WEB_LAYERS, members);
	mem_free(members);
	members = mem_printf("\"history\":[%s],\"config\":{\"Env\":[%.*s],\"Labels\":{%.*s},"
			     "\"ExposedPorts\":{%.*s},\"Volumes\":{%.*s}},",
			     steps, (int)env.len, (char *)env.data, (int)set.len, (char *)set.data,
			     (int)set.len, (char *)set.data, (int)set.len, (char *)set.data);
	CLEANUP(made_clear) struct made m = make(WEB_LAYERS, members);
	struct fixed f = shelf_of(&m);

	assert_true(strlen(m.config) < WEB_CONFIG_MAX);
	text = page(&f, "/a:1", NULL);
	assert_true(strlen(text) > 10 * MIB);
	has(text, "</html>");
}

/* What is too large to be read for a page is left out; the rest is there. */
static void large_config(void **state)
{
	cleanup_free char *pad = mem_alloc(WEB_CONFIG_MAX + 1);
	cleanup_free char *members = NULL, *text = NULL;

	(void)state;
	memset(pad, 'x', WEB_CONFIG_MAX);
	pad[WEB_CONFIG_MAX] = 0;
	members = mem_printf("\"author\":\"%s\",", pad);
	CLEANUP(made_clear) struct made m = make(2, members);
	struct fixed f = shelf_of(&m);

	text = page(&f, "/a:1", NULL);
	lacks(text, "xxx");
	has(text, "config cannot be shown");
	has(text, "docker pull h.test:5000/a:1");
	assert_int_equal(times(text, "<dt>Blob</dt>"), 2);
}

/* ---- what is on a page ---- */

static void an_image(void **state)
{
	CLEANUP(made_clear)
	struct made m = make(
		2, "\"created\":\"2026-11-20T23:34:47+01:00\",\"history\":[{\"created_by\":\"/bin/"
		   "sh -c "
		   "#(nop)  ADD a in /\"},{\"created_by\":\"ENV A=1\",\"empty_layer\":true},"
		   "{\"created_by\":\"RUN x\",\"comment\":\"buildkit.dockerfile.v0\"}],"
		   "\"config\":{\"Env\":[\"A=1=2\",\"B\"],\"Labels\":{\"x\":\"y\"}},");
	struct fixed f = shelf_of(&m);
	cleanup_free char *text = page(&f, "/a:1", NULL);

	(void)state;
	has(text, "<time datetime=\"2026-11-20T22:34:47Z\">");
	has(text, "<code class=\"step\">ADD a in /</code>");
	has(text, "<tr class=\"empty\">");
	has(text, "<th scope=\"row\"><code>A</code></th><td><code>1=2</code></td>");
	has(text, "<th scope=\"row\"><code>B</code></th><td><code></code></td>");
	lacks(text, "buildkit.dockerfile");
	assert_int_equal(times(text, "50.00%"), 7); /* five of the picture, and of each layer */
	has(text, "podman pull --tls-verify=false h.test:5000/a:1<");
	has(text, "insecure-registries");
	has(text, "href=\"?efficiency=1#efficiency\"");
	assert_int_equal(times(text, "<dt>ChainID</dt>"), 3);
}

static void looks(void **state)
{
	CLEANUP(made_clear) struct made m = make(2, "");
	struct fixed f = shelf_of(&m);
	char why[] = "too <large>";
	cleanup_free char *found = page(&f, "/a:1?efficiency=1", NULL);
	cleanup_free char *refused = page(&f, "/a:1?efficiency=1", why);

	(void)state;
	has(found, "<strong>87.50%</strong>");
	has(found, ">4.0 kB</span>");
	assert_int_equal(times(found, "<rect class=\"hidden\""), 1);
	has(refused, "not known: too &lt;large&gt;.");
	lacks(refused, "<rect class=\"hidden\"");
}

/* Histories of other images are not shown as if they were of this one. */
static void other_history(void **state)
{
	CLEANUP(made_clear) struct made m = make(2, "\"history\":[{\"created_by\":\"RUN x\"}],");
	struct fixed f = shelf_of(&m);
	cleanup_free char *text = page(&f, "/a:1", NULL);

	(void)state;
	lacks(text, "RUN x");
	has(text, "of another number of layers");
}

static void documents(void **state)
{
	static const char index[] = "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX
				    "\",\"manifests\":[{\"mediaType\":"
				    "\"" MT_OCI_MANIFEST "\",\"digest\":\"sha256:" HEX_A
				    "\",\"size\":7,\"platform\":{\"os\":"
				    "\"linux\",\"architecture\":\"<b>\"}}]}";
	CLEANUP(made_clear) struct made m = make(1, "");
	struct fixed f = shelf_of(&m), broken = f, list = f, lost = f;
	cleanup_free char *none = NULL, *of_list = NULL, *without = NULL;

	(void)state;
	broken.manifest = "{\"schemaVersion\":2";
	list.manifest = index;
	list.type = MT_OCI_INDEX;
	lost.lost = true;
	none = page(&broken, "/a:1", NULL);
	of_list = page(&list, "/a:1", NULL);
	without = page(&lost, "/a:1", NULL);
	has(none, "a document that cannot be read");
	has(of_list, "<th scope=\"row\">linux/&lt;b&gt;</th>");
	has(of_list, "Index digest");
	has(without, "config cannot be shown");
	has(without, "<dt>Blob</dt>");
}

/* ---- lists ---- */

static void prefixes(void **state)
{
	static const char *const repos[] = { "a", "ab", "ab/c", "abc", "b", "b0", "z" };
	static const struct {
		const char *target;
		size_t n;
		const char *first;
	} rows[] = {
		{ "/", 7, "/a" },
		{ "/?q=", 7, "/a" },
		{ "/?q=a", 4, "/a" },
		{ "/?q=ab", 3, "/ab" },
		{ "/?q=ab%2Fc", 1, "/ab/c" },
		{ "/?q=b", 2, "/b" },
		{ "/?q=z", 1, "/z" },
		{ "/?q=zz", 0, NULL },
		{ "/?q=%20", 0, NULL },
		{ "/?q=%FF", 0, NULL },
		{ "/?q=ab&last=ab", 2, "/ab/c" },
		{ "/?q=b&last=a", 2, "/b" },
		{ "/?last=b0", 1, "/z" },
		{ "/?q=%3Cb%3E", 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(made_clear) struct made m = make(1, "");
		struct fixed f = shelf_of(&m);
		cleanup_free char *text = NULL, *first = NULL;

		f.repos = repos;
		f.n_repos = ROWS(repos);
		text = page(&f, rows[i].target, NULL);
		first = mem_printf("<tbody>\n<tr><th scope=\"row\"><a href=\"%s\">",
				   rows[i].first ? rows[i].first : "");
		if (times(text, "<tr><th scope=\"row\">") != rows[i].n)
			fail_msg("%s: %zu rows", rows[i].target,
				 times(text, "<tr><th scope=\"row\">"));
		if (rows[i].first)
			has(text, first);
		lacks(text, "<b>");
	}
}

/* What is refused is missed in its row, and nowhere else. */
static void refused_rows(void **state)
{
	static const char *const repos[] = { "a", "b" };
	CLEANUP(made_clear) struct made m = make(1, "");
	struct fixed f = shelf_of(&m);
	cleanup_free char *home = NULL, *repo = NULL;

	(void)state;
	f.repos = repos;
	f.n_repos = ROWS(repos);
	f.refused = "b";
	home = page(&f, "/", NULL);
	has(home, "href=\"/b\">b</a></th><td></td>");
	has(home, "href=\"/a:1\"");
	f.refused = "2";
	repo = page(&f, "/a", NULL);
	has(repo, ">2</a></th><td>not known</td><td class=\"number\"></td><td></td>");
	assert_int_equal(times(repo, "<td>image</td>"), 5);
}

/* A row does not read a document that is too large for it. */
static void large_rows(void **state)
{
	CLEANUP(made_clear) struct made m = make(4000, "");
	struct fixed f = shelf_of(&m);
	cleanup_free char *text = NULL;

	(void)state;
	assert_true(strlen(m.manifest) > WEB_SUMMARY_MAX);
	text = page(&f, "/a", NULL);
	assert_int_equal(times(text, "<td>document</td>"), 6);
	assert_int_equal(f.contents, 0);
}

/* Another server is asked for the image that a page is about, and for no row. */
static void asks_little(void **state)
{
	static const char *const targets[] = { "/", "/a", "/a:1" };
	static const char *const marks[] = { "href=\"/a:5\"", "<td>image</td>", "<dt>Blob</dt>" };
	CLEANUP(made_clear) struct made m = make(1, "");
	struct fixed f = shelf_of(&m);
	struct afar afar = { .base.ops = &afar_ops, .here = &f };

	(void)state;
	f.base.ops = &fixed_ops;
	for (size_t i = 0; i < ROWS(targets); i++) {
		cleanup_free char *text = page_from(&afar.base, targets[i], NULL);

		has(text, marks[i]);
		assert_int_equal(afar.asked, i == 2);
	}
}

/* A search as long as a target may be grows when its bytes are escaped. */
static void long_search(void **state)
{
	static char target[ROUTE_TARGET_MAX + 1] = "/?last=a&q=";
	CLEANUP(made_clear) struct made m = make(1, "");
	struct fixed f = shelf_of(&m);
	cleanup_free char *text = NULL;

	(void)state;
	memset(target + strlen(target), '\'', ROUTE_TARGET_MAX - strlen(target));
	text = page(&f, target, NULL);
	has(text, "rel=\"first\" href=\"/?q=%27%27");
	has(text, "that begin so");
}

static void many_names(void **state)
{
	static const char *names[250];
	static char room[250][8];
	CLEANUP(made_clear) struct made m = make(1, "");
	struct fixed f = shelf_of(&m);
	cleanup_free char *first = NULL, *last = NULL;

	(void)state;
	for (size_t i = 0; i < ROWS(names); i++) {
		snprintf(room[i], sizeof(room[i]), "r%03zu", i);
		names[i] = room[i];
	}
	f.repos = names;
	f.n_repos = ROWS(names);
	first = page(&f, "/?q=r", NULL);
	last = page(&f, "/?q=r&last=r199", NULL);
	assert_int_equal(times(first, "<tr><th scope=\"row\">"), WEB_NAMES);
	has(first, "href=\"/?q=r&amp;last=r099\"");
	lacks(first, "rel=\"first\"");
	assert_int_equal(times(last, "<tr><th scope=\"row\">"), 50);
	lacks(last, "rel=\"next\"");
	has(last, "href=\"/?q=r\"");
}

/* Below the first tags, and then on pages of their own. */
static void without_a_tag(void **state)
{
	static const struct {
		const char *target;
		size_t there, rows; /* of them all, on the page */
		const char *has, *lacks;
	} rows[] = {
		{ "/a", 0, 0, "href=\"/a:1\"", "Without a tag" },
		{ "/a", 3, 3, "href=\"/a:1\"", "rel=\"next\"" },
		{ "/a", WEB_UNTAGGED + 7, WEB_UNTAGGED, "href=\"/a:1\"", "rel=\"first\"" },
		{ "/a?last=2", 3, 0, "href=\"/a:3\"", "Without a tag" },
		{ "/a?q=3", 3, 0, "href=\"/a:3\"", "Without a tag" },
		{ "/a?untagged=", 3, 3, "rel=\"first\" href=\"/a\"", "href=\"/a:1\"" },
		{ "/a?untagged=sha256:0049", WEB_UNTAGGED + 7, 7, "rel=\"first\" href=\"/a\"",
		  "rel=\"next\"" },
		{ "/a?untagged=sha256:0099", 3, 0, "There are no more", "rel=\"next\"" },
	};
	CLEANUP(made_clear) struct made m = make(1, "");

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct fixed f = shelf_of(&m);
		cleanup_free char *text = NULL;

		f.untagged = rows[i].there;
		text = page(&f, rows[i].target, NULL);
		assert_int_equal(times(text, "<td>&lt;b&gt;/type</td>"), rows[i].rows);
		has(text, rows[i].has);
		lacks(text, rows[i].lacks);
		lacks(text, "<b>");
		if (rows[i].rows == WEB_UNTAGGED)
			has(text, "rel=\"next\" href=\"/a?untagged=sha256:000000");
	}
}

/* ---- hosts ---- */

static void hosts(void **state)
{
	static const struct {
		const char *host;
		bool encrypted;
		const char *want;
	} rows[] = {
		{ "127.0.0.1:5000", false, "127.0.0.1:5000" },
		{ "Registry.Example.Test", true, "registry.example.test" },
		{ "registry", false, "registry:80" },
		{ "registry", true, "registry:443" },
		{ "registry:5000", true, "registry:5000" },
		{ "localhost", false, "localhost" },
		{ "[::1]:5000", false, "[::1]:5000" },
		{ NULL, false, NULL },
		{ "", false, NULL },
		{ "a b", false, NULL },
		{ "a/b", false, NULL },
		{ "a?b", false, NULL },
		{ "user@host", false, NULL },
		{ "$(reboot)", false, NULL },
		{ "a;b", false, NULL },
		{ "<b>", false, NULL },
		{ "a:99999", false, NULL },
		{ "a\\b", false, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		const char *got = web_host(rows[i].host, rows[i].encrypted, &a);

		if (strcmp(got ? got : "-", rows[i].want ? rows[i].want : "-") != 0)
			fail_msg("%s: %s", rows[i].host ? rows[i].host : "NULL", got ? got : "-");
	}
}

/* Who reads some repositories only sees the names of all, and no tags. */
static void names_only(void **state)
{
	static const char *const repos[] = { "secret" };
	struct fixed f = { .base = { .ops = &fixed_ops }, .repos = repos, .n_repos = 1 };

	(void)state;
	for (int only = 0; only < 2; only++) {
		const struct asked a = { .shelf = &f.base, .target = "/", .names_only = only };
		cleanup_buf struct buf out = BUF_INIT(WEB_PAGE_MAX);
		dray_error *err = NULL;

		assert_ok(ask_for(&a, &out, &err), err);
		cleanup_free char *text = buf_steal_str(&out, NULL);

		has(text, "href=\"/secret\"");
		(only ? lacks : has)(text, "class=\"tag\"");
		(only ? lacks : has)(text, ">Tags</th>");
		(only ? lacks : has)(text, "<td>");
	}
}

/* ---- memory ---- */

static int torture_page(void *arg, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(WEB_PAGE_MAX);

	return ask_for(arg, &out, err);
}

static void no_memory(void **state)
{
	static const char by_digest[] = "/a@sha256:" HEX_A;
	static const char *const targets[] = { "/?q=a&last=0", "/a", "/a:1?efficiency=1",
					       by_digest };
	CLEANUP(made_clear)
	struct made m = make(2, "\"author\":\"me\",\"created\":\"2026-11-20T22:34:47Z\","
				"\"history\":[{\"created_by\":"
				"\"a\"},{\"created_by\":\"b\"}],\"config\":{\"Env\":[\"A=1\"],"
				"\"Labels\":{\"x\":\"y\"},"
				"\"ExposedPorts\":{\"80/tcp\":{}}},");
	struct fixed f = shelf_of(&m);

	(void)state;
	f.base.ops = &fixed_ops;
	f.referrer = "x/sbom";
	for (size_t i = 0; i < ROWS(targets); i++) {
		struct asked a = { .shelf = &f.base, .target = targets[i] };

		torture_alloc(torture_page, &a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile),	 cmocka_unit_test(odd_types),
		cmocka_unit_test(no_end),	 cmocka_unit_test(all_escaped),
		cmocka_unit_test(large_config),	 cmocka_unit_test(an_image),
		cmocka_unit_test(looks),	 cmocka_unit_test(other_history),
		cmocka_unit_test(documents),	 cmocka_unit_test(prefixes),
		cmocka_unit_test(many_names),	 cmocka_unit_test(refused_rows),
		cmocka_unit_test(large_rows),	 cmocka_unit_test(asks_little),
		cmocka_unit_test(long_search),	 cmocka_unit_test(hosts),
		cmocka_unit_test(without_a_tag), cmocka_unit_test(names_only),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
