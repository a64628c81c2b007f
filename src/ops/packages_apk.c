/* SPDX-License-Identifier: Apache-2.0
 *
 * For: Alpine's database: lines "X:value", a paragraph for each installed package.
 * Relies on: packages.c to keep what is found.
 * Promises: a file belongs to the package whose paragraph it stands in. Spec: apk-tools,
 * "installed" database v2.
 */
#include "ops/packages_priv.h"

#include "base/limits.h"

struct paragraph {
	struct package_fields f;
	struct span files; /* what is left of the text at its first F: */
	size_t line;
};

static void take_line(struct paragraph *p, struct span line, struct span from)
{
	struct span value = span_from(line, 2);

	switch (line.data[0]) {
	case 'P':
		p->f.name = value;
		break;
	case 'V':
		p->f.version = value;
		break;
	case 'A':
		p->f.arch = value;
		break;
	case 'o':
		p->f.source = value;
		break;
	case 'F':
		if (!p->files.data)
			p->files = from;
		break;
	default: /* sizes, checksums, dependencies */
		break;
	}
}

/* The path that R: in a folder names. */
static int own_in(struct package_build *b, size_t at, struct span folder, struct span name,
		  dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);

	if (folder.len > LIMIT_PATH || name.len > LIMIT_PATH)
		return 0; /* no node has it */
	if (buf_add(&path, folder, err) < 0 || buf_add_byte(&path, '/', err) < 0 ||
	    buf_add(&path, name, err) < 0)
		return -1;
	return package_own(b, at, span_buf(&path), err);
}

/* F: names a folder, R: lines behind it what lies there. */
static int own_files(struct package_build *b, size_t at, struct span text, dray_error **err)
{
	struct span folder = { 0 }, line;

	while (package_line(&text, &line) && line.len >= 2) {
		int rc = 0;

		if (span_starts(line, "F:")) {
			folder = span_from(line, 2);
			rc = package_own(b, at, folder, err);
		} else if (span_starts(line, "R:")) {
			rc = own_in(b, at, folder, span_from(line, 2), err);
		}
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int end_paragraph(struct package_build *b, struct paragraph *p, dray_error **err)
{
	struct paragraph done = *p;
	size_t at;

	*p = (struct paragraph){ 0 };
	if (done.line == 0)
		return 0;
	if (package_add(b, "apk", &done.f, &at, err) < 0)
		return err_ctx(err, "line %zu", done.line);
	return own_files(b, at, done.files, err);
}

int apk_installed(struct package_build *b, struct span text, dray_error **err)
{
	struct paragraph p = { 0 };
	struct span from = text, line;

	for (size_t number = 1; package_line(&text, &line); number++, from = text) {
		if (line.len == 0) {
			if (end_paragraph(b, &p, err) < 0)
				return -1;
			continue;
		}
		if (line.len < 2 || line.data[1] != ':')
			return err_set(err, DRAY_ERR_FORMAT, "line %zu is no \"X:value\"", number);
		p.line = p.line ? p.line : number;
		take_line(&p, line, from);
	}
	return end_paragraph(b, &p, err);
}
