/* SPDX-License-Identifier: Apache-2.0
 *
 * For: dpkg's database: status, the lists of files, diversions; and what distroless images have
 * of it.
 * Relies on: packages.c to keep what is found.
 * Promises: what dpkg calls unpacked or more is there, nothing else. Spec: deb822(5), dpkg(1).
 */
#include "ops/packages_priv.h"

#include "base/mem.h"
#include "base/text.h"

#define LINE_WITHOUT_COLON "line %zu is no \"Field: value\""

/* dpkg-divert: what packages but one bring as this path lies at another. */
struct dpkg_diversion {
	struct span to;
	struct span by; /* the package that is not diverted; ":" = none */
};

void dpkg_clear(struct dpkg *d)
{
	map_clear(&d->by_name);
	map_clear(&d->diversion);
	arena_clear(&d->arena);
}

/* ---- names ---- */

static int remember(struct dpkg *d, const char *name, size_t p, dray_error **err)
{
	if (!name)
		return err_nomem(err);
	if (map_find(&d->by_name, span_str(name)))
		return 0;
	return map_put(&d->by_name, span_str(name), (void *)(uintptr_t)(p + 1), err);
}

static bool lookup(const struct dpkg *d, struct span name, size_t *ret)
{
	const void *v = map_get(&d->by_name, name);

	*ret = (size_t)(uintptr_t)v - 1;
	return v != NULL;
}

/* ---- one paragraph ---- */

enum { F_PACKAGE, F_STATUS, F_VERSION, F_ARCHITECTURE, F_SOURCE, N_FIELDS };

struct paragraph {
	struct span field[N_FIELDS];
	size_t n; /* fields that it has, the others too */
	size_t line;
};

static int take_field(struct paragraph *p, struct span line, dray_error **err)
{
	static const char *const names[N_FIELDS] = { "package", "status", "version", "architecture",
						     "source" };
	int64_t colon = span_find(line, ':');

	if (line.data[0] == ' ' || line.data[0] == '\t') /* goes on with the field before */
		return p->n ? 0 : err_set(err, DRAY_ERR_FORMAT, LINE_WITHOUT_COLON, p->line);
	if (colon <= 0)
		return err_set(err, DRAY_ERR_FORMAT, LINE_WITHOUT_COLON, p->line);
	p->n++;
	for (size_t i = 0; i < N_FIELDS; i++) {
		if (!ascii_ieq(span_head(line, (size_t)colon), names[i]))
			continue;
		if (p->field[i].len)
			return err_set(err, DRAY_ERR_FORMAT, "line %zu gives \"%s\" twice", p->line,
				       names[i]);
		p->field[i] = package_trim(span_from(line, (size_t)colon + 1));
	}
	return 0;
}

/* Its files are there: the last word of "install ok installed". */
static bool is_installed(struct span status)
{
	static const char *const states[] = { "unpacked", "half-configured", "triggers-awaited",
					      "triggers-pending", "installed" };
	const uint8_t *blank = status.len ? memrchr(status.data, ' ', status.len) : NULL;
	struct span state = blank ? span_from(status, (size_t)(blank - status.data) + 1) : status;

	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (span_is(state, states[i]))
			return true;
	return false;
}

/* "glibc (2.36-9)" is glibc. */
static struct span first_word(struct span s)
{
	int64_t blank = span_find(s, ' ');

	return blank < 0 ? s : span_head(s, (size_t)blank);
}

static int add_paragraph(struct dpkg *d, const struct paragraph *p, const char *file,
			 dray_error **err)
{
	const struct package_fields f = {
		.name = p->field[F_PACKAGE],
		.version = p->field[F_VERSION],
		.arch = p->field[F_ARCHITECTURE],
		.source = first_word(p->field[F_SOURCE]),
	};
	const struct package *made;
	size_t at;

	if (!file && !is_installed(p->field[F_STATUS]))
		return 0;
	if (package_add(d->b, "dpkg", &f, &at, err) < 0)
		return -1;
	made = &d->b->set->list[at];
	if (remember(d, arena_printf(&d->arena, "%s:%s", made->name, made->arch), at, err) < 0 ||
	    remember(d, made->name, at, err) < 0)
		return -1;
	return file ? remember(d, arena_strdup(&d->arena, file), at, err) : 0;
}

int dpkg_status(struct dpkg *d, struct span text, const char *file, dray_error **err)
{
	struct paragraph p = { 0 };
	struct span line;
	size_t number = 0;

	while (package_line(&text, &line)) {
		p.line = ++number;
		if (package_trim(line).len) {
			if (take_field(&p, line, err) < 0)
				return -1;
			continue;
		}
		if (p.n && add_paragraph(d, &p, file, err) < 0)
			return err_ctx(err, "before line %zu", number);
		p = (struct paragraph){ 0 };
	}
	if (p.n && add_paragraph(d, &p, file, err) < 0)
		return err_ctx(err, "the last package");
	return 0;
}

/* ---- owners ---- */

int dpkg_diversions(struct dpkg *d, struct span text, dray_error **err)
{
	struct span from, to, by;

	while (package_line(&text, &from)) {
		struct dpkg_diversion *v = arena_alloc(&d->arena, sizeof(*v));

		if (!v)
			return err_nomem(err);
		if (!package_line(&text, &to) || !package_line(&text, &by))
			return err_set(err, DRAY_ERR_FORMAT, "it ends inside a diversion");
		*v = (struct dpkg_diversion){ to, by };
		if (map_put(&d->diversion, from, v, err) < 0)
			return -1;
	}
	return 0;
}

static struct span diverted(const struct dpkg *d, size_t p, struct span path)
{
	const struct dpkg_diversion *v = map_get(&d->diversion, path);

	return !v || span_is(v->by, d->b->set->list[p].name) ? path : v->to;
}

int dpkg_list(struct dpkg *d, struct span name, struct span text, dray_error **err)
{
	struct span path;
	size_t p;

	if (!lookup(d, name, &p))
		return 0;
	while (package_line(&text, &path))
		if (package_own(d->b, p, diverted(d, p, path), err) < 0)
			return -1;
	return 0;
}

int dpkg_md5sums(struct dpkg *d, struct span name, struct span text, dray_error **err)
{
	struct span line;
	size_t p;

	if (!lookup(d, name, &p))
		return 0;
	while (package_line(&text, &line)) {
		int64_t blank = span_find(line, ' ');

		/* "DIGEST  PATH": a path may begin with blanks, and none does. */
		if (blank > 0 &&
		    package_own(d->b, p, package_trim(span_from(line, (size_t)blank)), err) < 0)
			return -1;
	}
	return 0;
}
