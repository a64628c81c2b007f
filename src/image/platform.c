/* SPDX-License-Identifier: Apache-2.0
 *
 * Platforms: os/arch/variant as users type them and documents hold them.
 * Relies on the JSON tree; os and arch use Go's words (GOOS, GOARCH).
 * Promises that texts which leave for people hold nothing that a terminal obeys.
 */
#include "image/platform.h"

#include "base/mem.h"
#include "base/text.h"

#define PLATFORM_WORD_MAX 64  /* bytes of one part that a user may type; real ones have under 16 */
#define PLATFORM_TEXT_MAX 200 /* bytes of the text that is shown */

struct alias {
	const char *word, *arch, *variant;
};

/* What uname and other tools call the same machines. */
static const struct alias aliases[] = {
	{ "x86_64", "amd64", NULL }, { "x86-64", "amd64", NULL }, { "aarch64", "arm64", NULL },
	{ "armhf", "arm", "v7" },    { "armel", "arm", "v6" },	  { "i386", "386", NULL },
	{ "i686", "386", NULL },
};

static bool word_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

/* One part, lower-cased into @p a; NULL when it is no word. */
static int take_word(struct span word, struct arena *a, const char **ret, dray_error **err)
{
	char *text;

	if (word.len == 0 || word.len > PLATFORM_WORD_MAX)
		return err_set(err, DRAY_ERR_USAGE,
			       "a platform is OS/ARCH or OS/ARCH/VARIANT, as linux/arm64");
	text = arena_strndup(a, (const char *)word.data, word.len);
	if (!text)
		return err_nomem(err);
	for (char *p = text; *p; p++) {
		*p = ascii_lower(*p);
		if (!word_byte((uint8_t)*p))
			return err_set(err, DRAY_ERR_USAGE,
				       "a platform holds letters, digits, '.', '_' and '-' only");
	}
	if (strlen(text) != word.len)
		return err_set(err, DRAY_ERR_USAGE, "a platform holds no NUL byte");
	*ret = text;
	return 0;
}

static void apply_alias(struct platform *p)
{
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
		if (strcmp(p->arch, aliases[i].word) != 0)
			continue;
		p->arch = aliases[i].arch;
		if (!p->variant)
			p->variant = aliases[i].variant;
		return;
	}
}

int platform_parse(const char *text, struct arena *a, struct platform *ret, dray_error **err)
{
	const char *words[3] = { NULL, NULL, NULL };
	struct span rest = span_str(text);
	struct platform p = { 0 };
	size_t n = 0;

	for (;;) {
		int64_t slash = span_find(rest, '/');
		struct span word = slash < 0 ? rest : span_head(rest, (size_t)slash);

		if (n == ARRAY_LEN(words))
			return err_set(err, DRAY_ERR_USAGE,
				       "a platform has at most three parts, OS/ARCH/VARIANT");
		if (take_word(word, a, &words[n++], err) < 0)
			return -1;
		if (slash < 0)
			break;
		rest = span_from(rest, (size_t)slash + 1);
	}
	if (n < 2)
		return err_set(err, DRAY_ERR_USAGE,
			       "a platform is OS/ARCH or OS/ARCH/VARIANT, as linux/arm64");
	p.os = words[0];
	p.arch = words[1];
	p.variant = words[2];
	apply_alias(&p);
	*ret = p;
	return 0;
}

/* A string member; an empty one counts as absent, as Go's omitempty makes it. */
static int take_member(struct json v, const char *name, const char *what, struct arena *a,
		       const char **ret, dray_error **err)
{
	const char *text = NULL;

	if (json_string(json_get_fold(v, name), what, a, &text, err) < 0)
		return -1;
	*ret = text && *text ? text : NULL;
	return 0;
}

int platform_from_json(struct json v, struct arena *a, struct platform *ret, dray_error **err)
{
	struct platform p = { 0 };

	if (json_want(v, JSON_OBJECT, false, "platform", err) < 0 ||
	    take_member(v, "os", "os", a, &p.os, err) < 0 ||
	    take_member(v, "architecture", "architecture", a, &p.arch, err) < 0 ||
	    take_member(v, "variant", "variant", a, &p.variant, err) < 0 ||
	    take_member(v, "os.version", "os.version", a, &p.os_version, err) < 0)
		return -1;
	*ret = p;
	return 0;
}

void platform_write(struct jsonw *w, const struct platform *p)
{
	if (!p->os || !p->arch)
		return;
	jsonw_key(w, "platform");
	jsonw_object(w);
	jsonw_kstring(w, "architecture", p->arch);
	jsonw_kstring(w, "os", p->os);
	if (p->os_version)
		jsonw_kstring(w, "os.version", p->os_version);
	if (p->variant)
		jsonw_kstring(w, "variant", p->variant);
	jsonw_end_object(w);
}

void platform_host(struct platform *ret)
{
	*ret = (struct platform){ .os = "linux" };
#if defined(__x86_64__)
	ret->arch = "amd64";
#elif defined(__aarch64__)
	ret->arch = "arm64";
#elif defined(__arm__)
	ret->arch = "arm";
	ret->variant = "v7";
#elif defined(__i386__)
	ret->arch = "386";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
	ret->arch = "ppc64le";
#elif defined(__s390x__)
	ret->arch = "s390x";
#elif defined(__riscv) && __riscv_xlen == 64
	ret->arch = "riscv64";
#elif defined(__loongarch64)
	ret->arch = "loong64";
#elif defined(__mips64) && defined(__MIPSEL__)
	ret->arch = "mips64le";
#else
	ret->arch = "unknown";
#endif
}

/* The variant without its "v": "8" and "v8" are written both ways; NULL = the common one. */
static const char *plain_variant(const struct platform *p)
{
	const char *v = p->variant;

	if (!v || !*v)
		return NULL;
	return *v == 'v' && v[1] ? v + 1 : v;
}

static bool same_word(const char *want, const char *have)
{
	return !want || (have && strcmp(want, have) == 0);
}

static bool same_or_open(const char *a, const char *b)
{
	return !a || !b || strcmp(a, b) == 0;
}

bool platform_match(const struct platform *want, const struct platform *have)
{
	return same_word(want->os, have->os) && same_word(want->arch, have->arch) &&
	       same_or_open(plain_variant(want), plain_variant(have)) &&
	       same_or_open(want->os_version, have->os_version);
}

char *platform_text(const struct platform *p)
{
	cleanup_free char *text = mem_printf("%s/%s%s%s", p->os ? p->os : "unknown",
					     p->arch ? p->arch : "unknown", p->variant ? "/" : "",
					     p->variant ? p->variant : "");

	return text ? text_safe(span_str(text), PLATFORM_TEXT_MAX) : NULL;
}
