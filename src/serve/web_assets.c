/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what pages need beside them: their style, the script of their buttons, an icon.
 * Relies on nothing.
 * Promises: all of it is ours, and a page can be read without any of it.
 */
#include "serve/web.h"

/* A list of lines each: a compiler need not take strings of any length. */

static const char *const STYLE[] = {
	":root {\n",
	"color-scheme: light dark;\n",
	"--back: #f6f7f9;\n",
	"--sheet: #fff;\n",
	"--text: #1b2430;\n",
	"--soft: #566273;\n",
	"--line: #dbe0e7;\n",
	"--code: #eef1f5;\n",
	"--link: #0b57b8;\n",
	"--mark: #b3261e;\n",
	"--c0: #2f6fb3;\n",
	"--c1: #2a8a6e;\n",
	"--c2: #8a5cb8;\n",
	"--c3: #b8722c;\n",
	"--c4: #5b6b7f;\n",
	"--c5: #a8476f;\n",
	"}\n",
	"@media (prefers-color-scheme: dark) {\n",
	":root {\n",
	"--back: #11161d;\n",
	"--sheet: #19202a;\n",
	"--text: #e6ebf2;\n",
	"--soft: #a3b0c1;\n",
	"--line: #2e3947;\n",
	"--code: #222b37;\n",
	"--link: #7db8ff;\n",
	"--mark: #ff8a80;\n",
	"--c0: #5c9be0;\n",
	"--c1: #4db795;\n",
	"--c2: #b08ae0;\n",
	"--c3: #e0a05c;\n",
	"--c4: #8d9db2;\n",
	"--c5: #dd7fa6;\n",
	"}\n",
	"}\n",
	"* { box-sizing: border-box; }\n",
	"html { -webkit-text-size-adjust: 100%; }\n",
	"body {\n",
	"margin: 0;\n",
	"background: var(--back);\n",
	"color: var(--text);\n",
	"font: 1rem/1.5 system-ui, -apple-system, \"Segoe UI\", Roboto, \"Noto Sans\", \"DejaVu "
	"Sans\", sans-serif;\n",
	"}\n",
	"header, main, footer { max-width: 66rem; margin: 0 auto; padding: 0 1rem; }\n",
	"header { padding-top: 1.25rem; }\n",
	"footer { padding-bottom: 2rem; color: var(--soft); font-size: .875rem; }\n",
	"a { color: var(--link); text-underline-offset: .15em; }\n",
	"a:focus-visible, button:focus-visible, input:focus-visible, summary:focus-visible, "
	".wide:focus-visible {\n",
	"outline: 3px solid var(--link);\n",
	"outline-offset: 2px;\n",
	"}\n",
	".skip { position: absolute; left: -99rem; }\n",
	".skip:focus { left: 1rem; top: .5rem; padding: .25rem .5rem; background: var(--sheet); "
	"}\n",
	"nav ol { display: flex; flex-wrap: wrap; margin: 0; padding: 0; list-style: none; color: "
	"var(--soft); }\n",
	"nav ol li { overflow-wrap: anywhere; }\n",
	"nav ol li + li::before { content: \"/\"; margin: 0 .5rem; color: var(--soft); }\n",
	"h1 { margin: .35rem 0 1.25rem; font-size: 1.75rem; line-height: 1.2; overflow-wrap: "
	"anywhere; }\n",
	"h2 { margin: 0 0 .75rem; font-size: 1.2rem; line-height: 1.3; }\n",
	"h3 { margin: 1.25rem 0 .5rem; font-size: 1rem; }\n",
	"p { margin: .5rem 0; }\n",
	".lead { font-size: 1.15rem; }\n",
	".note { color: var(--soft); font-size: .875rem; }\n",
	".more { color: var(--soft); font-style: italic; }\n",
	"section, main > table, main > dl.facts {\n",
	"width: 100%;\n",
	"margin: 0 0 1.25rem;\n",
	"padding: 1.1rem 1.25rem;\n",
	"background: var(--sheet);\n",
	"border: 1px solid var(--line);\n",
	"border-radius: .6rem;\n",
	"}\n",
	"main > table { padding: 0; border-collapse: separate; border-spacing: 0; overflow: "
	"hidden; }\n",
	"main > table th, main > table td { padding-left: 1.25rem; }\n",
	"main > table tbody tr:last-child > * { border-bottom: 0; }\n",
	"code, pre { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, \"DejaVu Sans "
	"Mono\", monospace; }\n",
	"dd code, td code, th code { overflow-wrap: anywhere; white-space: pre-wrap; }\n",
	"code.whole { -webkit-user-select: all; user-select: all; word-break: break-all; }\n",
	"table { width: 100%; border-collapse: collapse; }\n",
	"th, td {\n",
	"padding: .5rem 1rem .5rem 0;\n",
	"border-bottom: 1px solid var(--line);\n",
	"text-align: left;\n",
	"vertical-align: top;\n",
	"overflow-wrap: anywhere;\n",
	"}\n",
	"thead th { color: var(--soft); font-size: .8125rem; font-weight: 600; overflow-wrap: "
	"normal; }\n",
	"tbody th { font-weight: 500; }\n",
	"section tbody tr:last-child > * { border-bottom: 0; }\n",
	".number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }\n",
	"section td.number:last-child, section th.number:last-child { padding-right: 0; }\n",
	".tag { display: inline-block; margin: 0 .2rem .2rem 0; padding: 0 .5rem; border-radius: "
	"1rem; background: var(--code); }\n",
	".pairs th:first-child { width: 30%; }\n",
	".wide { overflow-x: auto; }\n",
	"dl { display: grid; grid-template-columns: 10rem minmax(0, 1fr); gap: .45rem 1rem; "
	"margin: 0; }\n",
	"dt { color: var(--soft); }\n",
	"dd { margin: 0; overflow-wrap: anywhere; }\n",
	"dd p { margin: .15rem 0 .35rem; }\n",
	"form { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem; margin: 0 0 "
	"1.25rem; }\n",
	"label { color: var(--soft); }\n",
	"input, button {\n",
	"padding: .4rem .75rem;\n",
	"border: 1px solid #7d8896;\n",
	"border-radius: .4rem;\n",
	"background: var(--sheet);\n",
	"color: var(--text);\n",
	"font: inherit;\n",
	"}\n",
	"input { flex: 1 1 12rem; min-width: 0; max-width: 24rem; }\n",
	"button { cursor: pointer; }\n",
	".pages { display: flex; gap: 1.5rem; margin: 0 0 1.25rem; }\n",
	".commands { grid-template-columns: 4.5rem minmax(0, 1fr); align-items: center; }\n",
	"pre.command {\n",
	"position: relative;\n",
	"margin: 0;\n",
	"padding: .5rem .75rem;\n",
	"border-radius: .4rem;\n",
	"background: var(--code);\n",
	"overflow-x: auto;\n",
	"white-space: pre-wrap;\n",
	"overflow-wrap: anywhere;\n",
	"}\n",
	"pre.command code { -webkit-user-select: all; user-select: all; }\n",
	".copies { display: flex; align-items: start; gap: .5rem; }\n",
	".copies pre { flex: 1; min-width: 0; }\n",
	".copies button { padding: .3rem .6rem; font-size: .875rem; }\n",
	"summary { cursor: pointer; color: var(--link); }\n",
	".digest { margin-top: .75rem; }\n",
	".digest summary { margin-bottom: .5rem; }\n",
	".picture { display: block; width: 100%; height: 2.25rem; margin-bottom: .75rem; "
	"border-radius: .4rem; background: var(--code); }\n",
	".picture rect { stroke: var(--sheet); stroke-width: 1; }\n",
	"rect.c0 { fill: var(--c0); } rect.c1 { fill: var(--c1); } rect.c2 { fill: var(--c2); }\n",
	"rect.c3 { fill: var(--c3); } rect.c4 { fill: var(--c4); } rect.c5 { fill: var(--c5); }\n",
	".picture rect.hidden { fill: url(#stripes); stroke: none; }\n",
	"#stripes rect { fill: var(--sheet); stroke: none; }\n",
	".layers th[class]::before { content: \"\"; display: inline-block; width: .75em; height: "
	".75em; margin-right: .45em; border-radius: .2em; }\n",
	"th.c0::before { background: var(--c0); } th.c1::before { background: var(--c1); } "
	"th.c2::before { background: var(--c2); }\n",
	"th.c3::before { background: var(--c3); } th.c4::before { background: var(--c4); } "
	"th.c5::before { background: var(--c5); }\n",
	".layers th[scope=row] { white-space: nowrap; width: 1%; }\n",
	".layers td:nth-child(2) { min-width: 14rem; }\n",
	".layers details { margin-top: .2rem; font-size: .875rem; }\n",
	".layers dl { grid-template-columns: 6rem minmax(0, 1fr); margin-top: .35rem; }\n",
	".empty { color: var(--soft); }\n",
	"@media (max-width: 40rem) {\n",
	"h1 { font-size: 1.4rem; }\n",
	"section, main > dl.facts { padding: .9rem; }\n",
	"dl, .layers dl { grid-template-columns: minmax(0, 1fr); gap: 0; }\n",
	"dd { margin-bottom: .6rem; }\n",
	"main > table th, main > table td { padding-left: .9rem; padding-right: .4rem; }\n",
	".commands { grid-template-columns: minmax(0, 1fr); }\n",
	".commands dt { font-size: .875rem; }\n",
	".layers td:nth-child(2) { min-width: 9rem; }\n",
	".looked tr { display: grid; grid-template-columns: 2.6rem 1fr 1fr 1fr; }\n",
	".kinds tr { display: grid; grid-template-columns: 8rem 1fr auto; border-bottom: 1px solid "
	"var(--line); }\n",
	".kinds tr > * { padding-right: 0; border: 0; }\n",
	".kinds td:nth-child(4) { grid-column: 1 / 4; padding-top: 0; color: var(--soft); "
	"font-size: "
	".875rem; }\n",
	".kinds thead, .looked thead, .pairs thead { position: absolute; left: -99rem; }\n",
	".looked tr > * { padding-right: 0; border: 0; }\n",
	".looked tr { border-bottom: 1px solid var(--line); }\n",
	".looked td:nth-child(2) { grid-column: 2 / 5; padding-bottom: 0; }\n",
	".looked td:nth-child(3) { grid-column: 2; }\n",
	".looked .number { text-align: left; }\n",
	".looked td.number::before { display: block; color: var(--soft); font-size: .8125rem; }\n",
	".looked td:nth-child(3)::before { content: \"Size\"; }\n",
	".looked td:nth-child(4)::before { content: \"Uncompressed\"; }\n",
	".looked td:nth-child(5)::before { content: \"Hidden\"; }\n",
	".looked .empty td:nth-child(n + 3) { display: none; }\n",
	".pairs, .pairs tbody, .pairs tr, .pairs th, .pairs td { display: block; width: 100%; }\n",
	".pairs tbody th { padding-bottom: 0; border-bottom: 0; }\n",
	"}\n",
	"@media print {\n",
	"body { background: none; }\n",
	"form, .pages, .copies button { display: none; }\n",
	"}\n",
};

/*
 * Buttons that copy commands. Where browsers give no clipboard (plain HTTP from another machine),
 * and without scripts, one click selects a command.
 */
static const char *const SCRIPT[] = {
	"\"use strict\";\n",
	"function addButton(command) {\n",
	"\tconst box = document.createElement(\"div\");\n",
	"\tconst button = document.createElement(\"button\");\n",
	"\tbutton.type = \"button\";\n",
	"\tbutton.textContent = \"Copy\";\n",
	"\tbutton.setAttribute(\"aria-live\", \"polite\");\n",
	"\tbutton.addEventListener(\"click\", async () => {\n",
	"\t\tawait navigator.clipboard.writeText(command.textContent);\n",
	"\t\tbutton.textContent = \"Copied\";\n",
	"\t\tsetTimeout(() => { button.textContent = \"Copy\"; }, 2000);\n",
	"\t});\n",
	"\tbox.className = \"copies\";\n",
	"\tcommand.replaceWith(box);\n",
	"\tbox.append(command, button);\n",
	"}\n",
	"if (navigator.clipboard)\n",
	"\tdocument.querySelectorAll(\"pre.command\").forEach(addButton);\n",
};

static const char *const ICON[] = {
	"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\">\n",
	"<rect x=\"3\" y=\"4\" width=\"26\" height=\"7\" rx=\"2\" fill=\"#2f6fb3\"/>\n",
	"<rect x=\"3\" y=\"13\" width=\"26\" height=\"7\" rx=\"2\" fill=\"#2a8a6e\"/>\n",
	"<rect x=\"3\" y=\"22\" width=\"26\" height=\"7\" rx=\"2\" fill=\"#b8722c\"/>\n",
	"</svg>\n",
};

#define LINES(list) (list), sizeof(list) / sizeof((list)[0])
static const struct {
	const char *name, *type;
	const char *const *lines;
	size_t n;
} ASSETS[] = {
	{ "style.css", "text/css; charset=utf-8", LINES(STYLE) },
	{ "page.js", "text/javascript; charset=utf-8", LINES(SCRIPT) },
	{ "icon.svg", "image/svg+xml", LINES(ICON) },
};

int web_asset(const char *name, struct buf *ret, const char **ret_type, dray_error **err)
{
	for (size_t i = 0; i < sizeof(ASSETS) / sizeof(ASSETS[0]); i++) {
		if (strcmp(name, ASSETS[i].name) != 0)
			continue;
		*ret_type = ASSETS[i].type;
		for (size_t k = 0; k < ASSETS[i].n; k++)
			if (buf_add_str(ret, ASSETS[i].lines[k], err) < 0)
				return -1;
		return 0;
	}
	return shelf_refuse(err, SHELF_MANIFEST_UNKNOWN, "no such file");
}
