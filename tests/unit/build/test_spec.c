/* SPDX-License-Identifier: Apache-2.0
 *
 * Specs: what is read, what is refused and where, flags that say the same, one way of printing.
 * Relies on nothing but text.
 * Promises beside each spec that is refused one that is taken.
 */
#include "build/spec.h"

#include "base/limits.h"
#include "base/mem.h"
#include "torture.h"

static int read_spec(const char *text, struct spec **ret, dray_error **err)
{
	static const struct spec_define defines[] = { { "A", "one" },	{ "Q", "\"\\\n" },
						      { "D", "${A}$" }, { "S", "$" },
						      { "SS", "$$" },	{ "N", "{A}" },
						      { "E", "" } };

	return spec_parse(span_str(text), "s", false, defines, ARRAY_LEN(defines), ret, err);
}

static char *print(const struct spec *s)
{
	struct buf b = BUF_INIT(LIMIT_SPEC);
	dray_error *err = NULL;

	assert_ok(spec_print(s, &b, &err), err);
	return buf_steal_str(&b, NULL);
}

/* Blanks outside of strings say nothing. */
static char *squeeze(char *text)
{
	char *to = text;
	bool quoted = false;

	for (const char *c = text; *c; c++) {
		quoted = *c == '"' && (c == text || c[-1] != '\\') ? !quoted : quoted;
		if (quoted || (*c != ' ' && *c != '\n'))
			*to++ = *c;
	}
	*to = '\0';
	return text;
}

static void test_reads(void **state)
{
	(void)state;
	static const struct {
		const char *text, *printed;
	} rows[] = {
		{ "{\"dray\":1}", "{\"dray\":1}" },
		{ " { // x\n \"dray\" : 1 , /* , } */ } ", "{\"dray\":1}" },
		{ "{\"dray\":1,\"tags\":[\"a\",\"b\",],}", "{\"dray\":1,\"tags\":[\"a\",\"b\"]}" },
		{ "{\"dray\":1,\"history\":{\"author\":\"//x,]\"}}",
		  "{\"dray\":1,\"history\":{\"author\":\"//x,]\"}}" },
		{ "{\"tag\":\"b\",\"dray\":1,\"name\":\"a\"}",
		  "{\"dray\":1,\"name\":\"a\",\"tag\":\"b\"}" },
		{ "{\"dray\":1,\"history\":{\"author\":\"${A}-${Q}\"}}",
		  "{\"dray\":1,\"history\":{\"author\":\"one-\\\"\\\\\\n\"}}" },
		{ "{\"dray\":1,\"history\":{\"author\":\"$${A} $A $\"}}",
		  "{\"dray\":1,\"history\":{\"author\":\"$${A} $A $\"}}" },
		{ "{\"dray\":1,\"history\":{\"author\":\"$$${A} $$\"}}",
		  "{\"dray\":1,\"history\":{\"author\":\"$$${A} $$\"}}" },
		{ "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$${A\"}}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$${A\"}}}" },
		/* with "expand" they are for later, unless they are defined */
		{ "{\"dray\":1,\"config\":{\"expand\":true,\"Env\":{\"B\":\"${A}${B}$${A}$${${Q\"}}"
		  "}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"one${B}$${A}$${${Q\"},\"expand\":true}"
		  "}" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"B=${B}\"],\"Labels\":{\"a\":\"$${B}\"},"
		  "\"expand\":true}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"${B}\"},\"expand\":true,\"Labels\":{"
		  "\"a\":\"$${B}\"}}}" },
		{ "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$${B}\"},\"expand\":false}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$${B}\"},\"expand\":false}}" },
		{ "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"${D}\"},\"expand\":true}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$${A}$\"},\"expand\":true}}" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"B=${S}{A}\"],\"expand\":true}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$${A}\"},\"expand\":true}}" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"B=${SS}{A}\"],\"expand\":true}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$$${A}\"},\"expand\":true}}" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"B=${S}${N}\"],\"expand\":true}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$${A}\"},\"expand\":true}}" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"B=${S}${E}{A}\"],\"expand\":true}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$${A}\"},\"expand\":true}}" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"B=${S}$${A}\"],\"expand\":true}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$$${A}\"},\"expand\":true}}" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"B=${S}${A}${S}x${N}\"],\"expand\":true}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$one$x{A}\"},\"expand\":true}}" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"B=${S}{A}\"]}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"$${A}\"}}}" },
		/* names of Env, which are never for later */
		{ "{\"dray\":1,\"config\":{\"Env\":{\"${A}$${B}\":\"\"},\"expand\":true}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"one$${B}\":\"\"},\"expand\":true}}" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"${D}{A}$${B}=${B}\"],\"expand\":true}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"$${A}$${A}$${B}\":\"${B}\"},\"expand\":true}"
		  "}" },
		{ "{\"dray\":1,\"config\":{\"Env\":{\"$${A}\":\"\"}}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"$${A}\":\"\"}}}" },
		{ "{\"dray\":1,\"base\":null}", "{\"dray\":1}" },
		{ "{\"dray\":1,\"config\":{\"Env\":null,\"Labels\":{},\"Volumes\":null}}",
		  "{\"dray\":1,\"config\":{\"Env\":null,\"Volumes\":null}}" },
		{ "{\"dray\":1,\"mtime\":{\"clamp\":5}}", "{\"dray\":1,\"mtime\":{\"clamp\":5}}" },
		{ "{\"dray\":1,\"mtime\":\"1970-01-02T00:00:00Z\",\"created\":\"epoch\"}",
		  "{\"dray\":1,\"created\":1,\"mtime\":86400}" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"A=b=c\"]}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"A\":\"b=c\"}}}" },
		{ "{\"dray\":1,\"config\":{\"Env\":{\"A\":null},\"Cmd\":null}}",
		  "{\"dray\":1,\"config\":{\"Env\":{\"A\":null},\"Cmd\":null}}" },
		{ "{\"dray\":1,\"layers\":{\"min_size\":\"2KiB\"}}",
		  "{\"dray\":1,\"layers\":{\"min_size\":2048}}" },
		{ "{\"dray\":1,\"layers\":{\"max_size\":\"1GiB\",\"min_size\":7}}",
		  "{\"dray\":1,\"layers\":{\"min_size\":7,\"max_size\":1073741824}}" },
		{ "{\"dray\":1,\"layers\":{\"pipeline\":[[\"a\", {\"b\" : [1]}],[]]}}",
		  "{\"dray\":1,\"layers\":{\"pipeline\":[[\"a\",{\"b\":[1]}],[]]}}" },
		{ "{\"dray\":1,\"layers\":{\"previous\":\"oci:x\",\"annotate\":false}}",
		  "{\"dray\":1,\"layers\":{\"previous\":\"oci:x\",\"annotate\":false}}" },
		{ "{\"dray\":1,\"index_annotations\":{\"a\":\"b\"},\"annotations\":{\"c\":\"d\"}}",
		  "{\"dray\":1,\"annotations\":{\"c\":\"d\"},\"index_annotations\":{\"a\":\"b\"}"
		  "}" },
		{ "{\"dray\":1,\"history\":{\"author\":\"a\",\"created_by\":\"b\",\"comment\":"
		  "\"components\"}}",
		  "{\"dray\":1,\"history\":{\"created_by\":\"b\",\"author\":\"a\",\"comment\":"
		  "\"components\"}}" },
		{ "{\"dray\":1,\"base\":{\"image\":\"b\",\"select\":{\"digest\":\"sha256:0\"},"
		  "\"follow_base_links\":false}}",
		  "{\"dray\":1,\"base\":{\"image\":\"b\",\"select\":{\"digest\":\"sha256:0\"},"
		  "\"follow_base_links\":false}}" },
		/* ports have one way to be written */
		{ "{\"dray\":1,\"config\":{\"ExposedPorts\":{\"80\":{},\"53/"
		  "udp\":{},\"8000-8002\":{}}}}",
		  "{\"dray\":1,\"config\":{\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{},"
		  "\"8000/tcp\":{},\"8001/tcp\":{},\"8002/tcp\":{}}}}" },
		{ "{\"dray\":1,\"config\":{\"ExposedPorts\":{\"80\":null,\"0443/tcp\":{}}}}",
		  "{\"dray\":1,\"config\":{\"ExposedPorts\":{\"80\":null,\"443/tcp\":{}}}}" },
		{ "{\"dray\":1,\"config\":{\"Volumes\":{\"/a\":{},\"C:\\\\b\":{},\"odd\":null}}}",
		  "{\"dray\":1,\"config\":{\"Volumes\":{\"/a\":{},\"C:\\\\b\":{},\"odd\":null}}}" },
		{ "{\"dray\":1,\"config\":{\"WorkingDir\":\"/a\",\"StopTimeout\":5}}",
		  "{\"dray\":1,\"config\":{\"WorkingDir\":\"/a\",\"StopTimeout\":5}}" },
		{ "{\"dray\":1,\"config\":{\"WorkingDir\":\"\"}}",
		  "{\"dray\":1,\"config\":{\"WorkingDir\":\"\"}}" },
		{ "{\"dray\":1,\"base\":{\"image\":\"b\",\"inherit\":[]}}",
		  "{\"dray\":1,\"base\":{\"image\":\"b\",\"inherit\":[]}}" },
		{ "{\"dray\":1,\"sources\":[{\"path\":\"/"
		  "a\",\"type\":\"mkdir\",\"mode\":\"1777\"}]}",
		  "{\"dray\":1,\"sources\":[{\"type\":\"mkdir\",\"path\":\"/"
		  "a\",\"mode\":\"1777\"}]}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct spec *s = NULL, *again = NULL;
		dray_error *err = NULL;
		char *first, *second;

		assert_ok(read_spec(rows[i].text, &s, &err), err);
		first = print(s);
		assert_ok(spec_parse(span_str(first), "s", false, NULL, 0, &again, &err), err);
		second = print(again);
		assert_string_equal(first, second);
		mem_free(second);
		assert_string_equal(squeeze(first), rows[i].printed);
		mem_free(first);
		spec_free(s);
		spec_free(again);
	}
}

static void test_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *text, *said;
	} rows[] = {
		{ "", "s:1:1: " },
		{ "{\"dray\":1", "s:1:10: " },
		{ "{}", "s:1:1: \"dray\"" },
		{ "{\"dray\":2}", "s:1:9: \"dray\": an unknown version" },
		{ "[]", "s:1:1: \"spec\": expected object" },
		{ "{\"dray\":1,\n \"nmae\":\"x\"}", "s:2:3: unknown key \"nmae\"" },
		{ "{\"dray\":1,\"dray\":1}", "s:1:" },
		{ "{\"dray\":1 /*", "s:1:11: a comment without an end" },
		{ "{\"dray\":1,\"name\":\"${B}\"}", "s:1:19: ${B} is not defined" },
		{ "{\"dray\":1,\"name\":\"${A\"}", "s:1:19: \"${\" without" },
		{ "{\"dray\":1,\"config\":{\"Env\":{\"B\":\"${B}\"}}}",
		  "s:1:33: ${B} is not defined" },
		{ "{\"dray\":1,\"config\":{\"User\":\"${B}\",\"expand\":true}}",
		  "s:1:29: ${B} is not" },
		{ "{\"dray\":1,\"config\":{\"expand\":1}}", "s:1:30: \"expand\": expected true" },
		{ "{\"dray\":1,\"config\":{\"Env\":{\"${B}\":\"\"},\"expand\":true}}",
		  "s:1:29: \"Env\": \"${\" in a name is for --define" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"B=\",\"${B}=\"],\"expand\":true}}",
		  "s:1:33: \"Env\": \"${\" in a name is for --define" },
		/* what is wrong is told as what it is */
		{ "{\"dray\":1,\"config\":{\"expand\":true,\"Env\":{\"A\":\"${B}\"}},\n \"x\" 1}",
		  "s:2:6: '1', expected ':'" },
		{ "{\"dray\":1,\"config\":{\"expand\":true,\"Env\":{\"A\":\"${B}\",\"A\":\"\"}}}",
		  "s:1:53: member \"A\" appears twice" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"B=${B}\"],\"expand\":\"yes\"}}",
		  "s:1:47: \"expand\": expected true or false" },
		{ "{\"dray\":1,\"owner\":{\"uid\":${A}}}", "s:1:26: '$', expected a value" },
		/* nothing says a '$' in front of what a name stands for */
		{ "{\"dray\":1,\"config\":{\"Env\":[\"B=${S}${E}${B}\"],\"expand\":true}}",
		  "s:1:39: \"${\" behind a value that ends with" },
		{ "{\"dray\":1,\"name\":1}", "s:1:18: \"name\": expected string, found number" },
		{ "{\"dray\":1,\"name\":\"\\u0000\"}", "s:1:18: \"name\": it holds a NUL" },
		{ "{\"dray\":1,\"conflict\":\"never\"}",
		  "s:1:22: \"conflict\": expected error|first|last" },
		{ "{\"dray\":1,\"owner\":{\"uid\":1.5}}", "s:1:26: \"uid\": expected a whole" },
		{ "{\"dray\":1,\"created\":\"keep\"}", "s:1:21: \"created\": expected a time" },
		{ "{\"dray\":1,\"created\":{\"clamp\":1}}",
		  "s:1:21: \"created\": expected a time" },
		{ "{\"dray\":1,\"mtime\":{\"clamp\":1,\"x\":1}}", "s:1:19: \"mtime\"" },
		{ "{\"dray\":1,\"sources\":[{}]}", "s:1:22: \"sources\": \"type\" is missing" },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"dirr\"}]}", "s:1:30: \"type\": no such" },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"dir\",\"target\":\"x\"}]}",
		  "s:1:37: unknown key \"target\" in a source of type dir" },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"mkdir\",\"path\":\"/"
		  "a\",\"mode\":\"888\"}]}",
		  "s:1:57: \"mode\": expected octal digits" },
		{ "{\"dray\":1,\"config\":{\"Cmd\":[1]}}", "s:1:28: \"Cmd\": expected string" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"A\"]}}",
		  "s:1:28: \"Env\": expected NAME=VALUE" },
		{ "{\"dray\":1,\"config\":{\"Volumes\":{\"/a\":{\"b\":1}}}}",
		  "s:1:37: \"Volumes\"" },
		{ "{\"dray\":1,\"config\":{\"Entrypont\":[]}}",
		  "s:1:22: unknown key \"Entrypont\"" },
		{ "{\"dray\":1,\"layers\":{\"min_size\":\"2kb\"}}", "s:1:32: \"min_size\"" },
		{ "{\"dray\":1,\"layers\":{\"max_size\":\"9999999TiB\"}}", "s:1:32: \"max_size\"" },
		{ "{\"dray\":1,\"layers\":{\"pipeline\":\"a\"}}",
		  "s:1:32: \"pipeline\": expected array, found string" },
		{ "{\"dray\":1,\"layers\":{\"pipeline\":null}}",
		  "s:1:32: \"pipeline\": expected array, found null" },
		{ "{\"dray\":1,\n\"layers\":{\"pipeline\":[[\"a\"],\"b\"]}}",
		  "s:2:29: \"pipeline\": expected array, found string" },
		{ "{\"dray\":1,\"layers\":{\"pipeline\":[[1]]}}",
		  "s:1:34: \"pipeline\": expected string, found number" },
		{ "{\"dray\":1,\"layers\":{\"previuos\":\"a\"}}",
		  "s:1:22: unknown key \"previuos\"" },
		{ "{\"dray\":1,\"layers\":{\"annotate\":1}}",
		  "s:1:32: \"annotate\": expected true" },
		{ "{\"dray\":1,\"history\":{\"comment\":\"some\"}}",
		  "s:1:32: \"comment\": expected components|none" },
		{ "{\"dray\":1,\"index_annotations\":{\"a\":1}}",
		  "s:1:36: \"index_annotations\": expected string" },
		{ "{\"dray\":1,\"config\":{\"ExposedPorts\":{\"80/tpc\":{}}}}",
		  "s:1:38: \"ExposedPorts\": expected PORT" },
		{ "{\"dray\":1,\"config\":{\"ExposedPorts\":{\"0\":{}}}}",
		  "s:1:38: \"ExposedPorts\"" },
		{ "{\"dray\":1,\"config\":{\"ExposedPorts\":{\"65536\":null}}}",
		  "s:1:38: \"ExposedPorts\"" },
		{ "{\"dray\":1,\"config\":{\"ExposedPorts\":{\"9-8\":{}}}}",
		  "s:1:38: \"ExposedPorts\"" },
		{ "{\"dray\":1,\"config\":{\"ExposedPorts\":{\"1-1025\":{}}}}",
		  "s:1:38: \"ExposedPorts\": a range of more than 1024" },
		{ "{\"dray\":1,\"config\":{\"Volumes\":{\"data\":{}}}}",
		  "s:1:33: \"Volumes\": expected an absolute path" },
		{ "{\"dray\":1,\"config\":{\"WorkingDir\":\"a\"}}",
		  "s:1:34: \"WorkingDir\": expected an absolute path" },
		{ "{\"dray\":1,\"config\":{\"StopTimeout\":1.5}}",
		  "s:1:35: \"StopTimeout\": expected a whole number" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct spec *s = NULL;
		dray_error *err = NULL;

		if (read_spec(rows[i].text, &s, &err) == 0)
			fail_msg("taken: %s", rows[i].text);
		if (strncmp(dray_error_message(err), rows[i].said, strlen(rows[i].said)) != 0)
			fail_msg("%s: expected %s, got %s", rows[i].text, rows[i].said,
				 dray_error_message(err));
		assert_err_kind(err, DRAY_ERR_USAGE);
	}
}

static void test_flags(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value, *printed; /* NULL = refused */
	} rows[] = {
		{ "from", "scratch", "{\"dray\":1}" },
		{ "from", "b:1", "{\"dray\":1,\"base\":{\"image\":\"b:1\"}}" },
		{ "name", "h:5000/a:1", "{\"dray\":1,\"name\":\"h:5000/a\",\"tag\":\"1\"}" },
		{ "name", "h:5000/a", "{\"dray\":1,\"name\":\"h:5000/a\"}" },
		{ "dir", "a", "{\"dray\":1,\"sources\":[{\"type\":\"dir\",\"from\":\"a\"}]}" },
		{ "dir", "a:/b",
		  "{\"dray\":1,\"sources\":[{\"type\":\"dir\",\"from\":\"a\",\"to\":\"/b\"}]}" },
		{ "mkdir", "/a:x", NULL },
		{ "mkdir", "/a:700",
		  "{\"dray\":1,\"sources\":[{\"type\":\"mkdir\",\"path\":\"/"
		  "a\",\"mode\":\"700\"}]}" },
		{ "symlink", "/a", NULL },
		{ "symlink", "/a:b:c",
		  "{\"dray\":1,\"sources\":[{\"type\":\"symlink\",\"path\":\"/"
		  "a\",\"target\":\"b:c\"}]}" },
		{ "file", "/a=b=c",
		  "{\"dray\":1,\"sources\":[{\"type\":\"file\",\"path\":\"/"
		  "a\",\"text\":\"b=c\"}]}" },
		{ "file", "/a=${A} $${B}",
		  "{\"dray\":1,\"sources\":[{\"type\":\"file\",\"path\":\"/"
		  "a\",\"text\":\"$${A} $$${B}\"}]}" },
		{ "file", "/a", NULL },
		{ "copy-from", "h/a:1,/b:/c",
		  "{\"dray\":1,\"sources\":[{\"type\":\"image\",\"from\":\"h/a:1\",\"path\":\"/"
		  "b\",\"to\":\"/c\"}]}" },
		{ "copy-from", "a", NULL },
		{ "user", "1:2", "{\"dray\":1,\"config\":{\"User\":\"1:2\"}}" },
		{ "user", "a:1:2:/h",
		  "{\"dray\":1,\"sources\":[{\"type\":\"user\",\"name\":\"a\",\"uid\":1,\"gid\":2,"
		  "\"home\":\"/h\"}]}" },
		{ "user", "a:b:2", NULL },
		{ "group", "a:1",
		  "{\"dray\":1,\"sources\":[{\"type\":\"group\",\"name\":\"a\",\"gid\":1}]}" },
		{ "group", "a", NULL },
		{ "owner", "1", "{\"dray\":1,\"owner\":{\"uid\":1}}" },
		{ "owner", "1:2:a:b",
		  "{\"dray\":1,\"owner\":{\"uid\":1,\"gid\":2,\"uname\":\"a\",\"gname\":\"b\"}}" },
		{ "owner", "a", NULL },
		{ "entrypoint", "a b", "{\"dray\":1,\"config\":{\"Entrypoint\":[\"a\",\"b\"]}}" },
		{ "entrypoint", "[1]", NULL },
		{ "env", "A=", "{\"dray\":1,\"config\":{\"Env\":{\"A\":\"\"}}}" },
		{ "env", "A-", "{\"dray\":1,\"config\":{\"Env\":{\"A\":null}}}" },
		{ "env", "A", NULL },
		{ "env", "=x", NULL },
		{ "expand-env", "yes", "{\"dray\":1,\"config\":{\"expand\":true}}" },
		{ "expand-env", "", NULL },
		{ "volume", "/a", "{\"dray\":1,\"config\":{\"Volumes\":{\"/a\":{}}}}" },
		{ "mtime", "clamp=7", "{\"dray\":1,\"mtime\":{\"clamp\":7}}" },
		{ "mtime", "clamp=keep", NULL },
		{ "mtime", "keep", "{\"dray\":1,\"mtime\":\"keep\"}" },
		{ "created", "keep", NULL },
		{ "layer", "a=/b,/c",
		  "{\"dray\":1,\"layers\":{\"groups\":[{\"name\":\"a\",\"match\":[\"/b\",\"/"
		  "c\"]}]}}" },
		{ "layer", "a", NULL },
		{ "layer", "{\"name\":\"a\",\"closure_of\":[\"/s/b\"],\"max\":2}",
		  "{\"dray\":1,\"layers\":{\"groups\":[{\"name\":\"a\",\"closure_of\":[\"/s/"
		  "b\"],\"max\":2}]}}" },
		{ "layer", "{\"nam\":\"a\"}", NULL },
		{ "source", "{\"type\":\"links\",\"from\":[\"/a\"],\"to\":\"/b\"}",
		  "{\"dray\":1,\"sources\":[{\"type\":\"links\",\"from\":[\"/a\"],\"to\":\"/"
		  "b\"}]}" },
		{ "source", "{\"type\":\"links\"", NULL },
		{ "source", "{\"from\":\"a\"}", NULL },
		{ "source", "[]", NULL },
		{ "rule", "/a/**,b", "{\"dray\":1,\"rules\":[{\"match\":\"/a/**,b\"}]}" },
		{ "rule", "/a,type=f,mode=0700,owner=1:2,mtime=5,layer=x",
		  "{\"dray\":1,\"rules\":[{\"match\":\"/a\",\"type\":\"f\",\"mode\":\"0700\","
		  "\"owner\":{\"uid\":1,\"gid\":2},\"mtime\":5,\"layer\":\"x\"}]}" },
		{ "rule", "/a,delete",
		  "{\"dray\":1,\"rules\":[{\"match\":\"/a\",\"delete\":true}]}" },
		{ "rule", "{\"match\":\"/a,type=f\"}",
		  "{\"dray\":1,\"rules\":[{\"match\":\"/a,type=f\"}]}" },
		{ "rule", "/a,mod=0700", NULL },
		{ "rule", "/a,mode=9", NULL },
		{ "rule", "/a,owner=x", NULL },
		{ "rule", "/a,owner=1:2:3", NULL },
		{ "rule", "/a,mode=0700,mode=0600", NULL },
		{ "min-size", "3KiB", "{\"dray\":1,\"layers\":{\"min_size\":3072}}" },
		{ "max-size", "9", "{\"dray\":1,\"layers\":{\"max_size\":9}}" },
		{ "max-size", "9MB", NULL },
		{ "pipeline", "[[\"flatten\"]]",
		  "{\"dray\":1,\"layers\":{\"pipeline\":[[\"flatten\"]]}}" },
		{ "pipeline", "[\"flatten\"]", NULL },
		{ "pipeline", "[[\"flatten\"]", NULL },
		{ "previous", "x:1", "{\"dray\":1,\"layers\":{\"previous\":\"x:1\"}}" },
		{ "annotate", "no", "{\"dray\":1,\"layers\":{\"annotate\":false}}" },
		{ "annotate", "maybe", NULL },
		{ "index-annotation", "a=b", "{\"dray\":1,\"index_annotations\":{\"a\":\"b\"}}" },
		{ "history-comment", "none", "{\"dray\":1,\"history\":{\"comment\":\"none\"}}" },
		{ "history-comment", "text", NULL },
		{ "history-author", "me", "{\"dray\":1,\"history\":{\"author\":\"me\"}}" },
		{ "history-created-by", "me", "{\"dray\":1,\"history\":{\"created_by\":\"me\"}}" },
		{ "level", "5", "{\"dray\":1,\"compression\":{\"level\":5}}" },
		{ "level", "high", NULL },
		{ "compression", "zstd", "{\"dray\":1,\"compression\":{\"algorithm\":\"zstd\"}}" },
		{ "stop-timeout", "5", "{\"dray\":1,\"config\":{\"StopTimeout\":5}}" },
		{ "stop-timeout", "soon", NULL },
		{ "expose", "80", "{\"dray\":1,\"config\":{\"ExposedPorts\":{\"80/tcp\":{}}}}" },
		{ "expose", "80/udp",
		  "{\"dray\":1,\"config\":{\"ExposedPorts\":{\"80/udp\":{}}}}" },
		{ "expose", "80-", "{\"dray\":1,\"config\":{\"ExposedPorts\":{\"80\":null}}}" },
		{ "expose", "http", NULL },
		{ "expose", "80-90-",
		  "{\"dray\":1,\"config\":{\"ExposedPorts\":{\"80\":null,\"81\":null,\"82\":null,"
		  "\"83\":null,\"84\":null,\"85\":null,\"86\":null,\"87\":null,\"88\":null,"
		  "\"89\":null,\"90\":null}}}" },
		{ "volume", "a", NULL },
		{ "volume", "a-", "{\"dray\":1,\"config\":{\"Volumes\":{\"a\":null}}}" },
		{ "workdir", "a", NULL },
		{ "workdir", "/a", "{\"dray\":1,\"config\":{\"WorkingDir\":\"/a\"}}" },
		{ "select", "@2", "{\"dray\":1}" },
		{ "select", "@two", NULL },
		{ "nothing", "x", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		dray_error *err = NULL;
		struct spec *s = spec_new(&err);
		int rc = spec_flag(s, rows[i].name, rows[i].value, &err);
		char *text;

		if ((rc == 0) != (rows[i].printed != NULL))
			fail_msg("--%s %s: %s", rows[i].name, rows[i].value,
				 err ? dray_error_message(err) : "taken");
		if (rc == 0) {
			text = print(s);
			assert_string_equal(squeeze(text), rows[i].printed);
			mem_free(text);
		} else {
			assert_err_kind(err, DRAY_ERR_USAGE);
		}
		spec_free(s);
	}
}

static const char all[] =
	"{\"dray\":1,\"name\":\"${A}\",\"tags\":[\"x\"],\"base\":{\"image\":"
	"\"b\",\"select\":{\"index\":1},"
	"\"inherit\":[\"Env\"]},\"created\":5,\"config\":{\"Env\":[\"A=${B}1\"],\"expand\":true,"
	"\"Labels\":{\"a\":null},\"Cmd\":[\"x\"],"
	"\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Interval\":1000000,\"Retries\":1}},"
	"\"annotations\":{\"a\":\"b\"},\"sources\":[{\"type\":\"dir\",\"from\":"
	"\"a\",\"id\":\"i\",\"exclude\":[\"x\"]},"
	"{\"type\":\"links\",\"from\":[\"/a\"]}],\"rules\":[{\"match\":\"/"
	"a\",\"owner\":{\"uid\":1}}],"
	"\"layers\":{\"groups\":[{\"name\":\"g\",\"sources\":[\"i\"]}],"
	"\"volatile\":[\"i\"],\"pipeline\":[[\"a\"]],\"previous\":\"x\"},"
	"\"index_annotations\":{\"a\":\"b\"},\"history\":{\"comment\":\"none\"}}";

static int tortured(void *arg, dray_error **err)
{
	struct buf b = BUF_INIT(LIMIT_SPEC);
	struct spec *s = NULL;
	int rc = read_spec(arg, &s, err);

	if (rc == 0)
		rc = spec_flag(s, "env", "B=2", err) < 0 ||
				     spec_flag(s, "expose", "80-81", err) < 0 ||
				     spec_flag(s, "rule", "/a,owner=1:2", err) < 0 ||
				     spec_flag(s, "source", "{\"type\":\"mkdir\",\"path\":\"/a\"}",
					       err) < 0 ||
				     spec_check(s, err) < 0
			     ? -1
			     : spec_print(s, &b, err);
	buf_clear(&b);
	spec_free(s);
	return rc;
}

/* Flags in their order: the last word about a port counts. */
static void test_many_flags(void **state)
{
	static const char *const words[] = { "expose", "80",  "expose", "80/udp",  "expose", "81",
					     "expose", "80-", "expose", "81/tcp-", "expose", "82" };
	dray_error *err = NULL;
	struct spec *s = spec_new(&err);
	char *text;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i += 2)
		assert_ok(spec_flag(s, words[i], words[i + 1], &err), err);
	text = print(s);
	assert_string_equal(
		squeeze(text),
		"{\"dray\":1,\"config\":{\"ExposedPorts\":{\"80/tcp\":null,\"80/udp\":null,"
		"\"81/tcp\":null,\"80\":null,\"82/tcp\":{}}}}");
	mem_free(text);
	spec_free(s);
}

/* With names in values each stands where it was given last; else where it was first. */
static void test_env_order(void **state)
{
	static const char *const words[] = { "A=1", "PATH=/bin", "B-",
					     "A-",  "TOOLS=/t",	 "PATH=${TOOLS}:/bin" };
	static const char *const printed[] = {
		"{\"dray\":1,\"config\":{\"Env\":{\"A\":null,\"PATH\":\"$${TOOLS}:/"
		"bin\",\"B\":null,"
		"\"TOOLS\":\"/t\"}}}",
		"{\"dray\":1,\"config\":{\"Env\":{\"B\":null,\"A\":null,\"TOOLS\":\"/t\",\"PATH\":"
		"\"${TOOLS}:/bin\",\"C\":\"\"},\"expand\":true}}",
	};
	dray_error *err = NULL;
	struct spec *s = spec_new(&err);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		assert_ok(spec_flag(s, "env", words[i], &err), err);
	for (size_t i = 0; i < ARRAY_LEN(printed); i++) {
		char *text;

		assert_ok(spec_check(s, &err), err);
		if (i > 0)
			assert_ok(spec_flag(s, "env", "C=", &err), err);
		text = print(s);
		assert_string_equal(squeeze(text), printed[i]);
		mem_free(text);
		assert_ok(spec_flag(s, "expand-env", "yes", &err), err);
	}
	/* names are still found */
	assert_ok(spec_flag(s, "env", "TOOLS=/u", &err), err);
	assert_int_equal(s->config.env.n, 5);
	assert_string_equal(s->config.env.list[2].name, "TOOLS");
	assert_true(span_is(s->config.env.list[2].json, "\"/u\""));
	spec_free(s);
}

/* What is said of a base stays when another image takes its place, or comes later. */
static void test_base_flags(void **state)
{
	static const char *const words[] = { "inherit", "Env,Cmd",	     "select", "v1", "from",
					     "a",	"follow-base-links", "no" };
	dray_error *err = NULL;
	struct spec *s = spec_new(&err);
	char *text;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i += 2)
		assert_ok(spec_flag(s, words[i], words[i + 1], &err), err);
	text = print(s);
	assert_string_equal(squeeze(text),
			    "{\"dray\":1,\"base\":{\"image\":\"a\",\"select\":{\"tag\":\"v1\"},"
			    "\"inherit\":[\"Env\",\"Cmd\"],\"follow_base_links\":false}}");
	mem_free(text);
	assert_ok(spec_flag(s, "from", "b", &err), err);
	text = print(s);
	assert_string_equal(squeeze(text),
			    "{\"dray\":1,\"base\":{\"image\":\"b\",\"inherit\":[\"Env\","
			    "\"Cmd\"],\"follow_base_links\":false}}");
	mem_free(text);
	spec_free(s);
}

/* A name with a tag is no digest. */
static void test_select_flags(void **state)
{
	static const struct {
		const char *value, *printed;
	} rows[] = {
		{ "base:1", "{\"tag\":\"base:1\"}" },
		{ "127.0.0.1:5000/a", "{\"tag\":\"127.0.0.1:5000/a\"}" },
		{ "sha256:ab", "{\"digest\":\"sha256:ab\"}" },
		{ "sha512:ab", "{\"digest\":\"sha512:ab\"}" },
		{ "@1", "{\"index\":1}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		dray_error *err = NULL;
		struct spec *s = spec_new(&err);
		char want[120], *text;

		assert_ok(spec_flag(s, "from", "a", &err), err);
		assert_ok(spec_flag(s, "select", rows[i].value, &err), err);
		text = print(s);
		snprintf(want, sizeof(want),
			 "{\"dray\":1,\"base\":{\"image\":\"a\",\"select\":%s}}", rows[i].printed);
		assert_string_equal(squeeze(text), want);
		mem_free(text);
		spec_free(s);
	}
}

/* Nothing to select from is an error, not a base of nothing. */
static void test_select_alone(void **state)
{
	static const struct {
		const char *const words[8]; /* name, value */
		bool fine;
	} rows[] = {
		{ { "select", "1" }, false },
		{ { "select", "@0", "from", "scratch" }, false },
		{ { "from", "scratch", "select", "@0" }, false },
		{ { "from", "a", "from", "scratch", "select", "1" }, false },
		{ { "from", "a", "select", "1" }, true },
		{ { "select", "1", "from", "a" }, true },
		{ { "from", "a", "select", "1", "from", "scratch" }, true },
		{ { "from", "scratch" }, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *const *w = rows[i].words;
		dray_error *err = NULL;
		struct spec *s = spec_new(&err);

		for (; *w; w += 2)
			assert_ok(spec_flag(s, w[0], w[1], &err), err);
		if ((spec_check(s, &err) == 0) != rows[i].fine)
			fail_msg("row %zu: %s", i, err ? dray_error_message(err) : "taken");
		if (!rows[i].fine)
			assert_err(err, DRAY_ERR_USAGE, "--select needs --from");
		spec_free(s);
	}
}

static void test_torture(void **state)
{
	(void)state;
	torture_alloc(tortured, (void *)(uintptr_t)all);
}

static void test_checks(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool fine;
	} rows[] = {
		{ "{\"dray\":1,\"tag\":\"x\"}", false },
		{ "{\"dray\":1,\"name\":\"a\",\"tag\":\"x\"}", true },
		{ "{\"dray\":1,\"name\":\"a\",\"tag\":\"x\",\"tags\":[\"y\"]}", false },
		{ "{\"dray\":1,\"base\":{}}", false },
		{ "{\"dray\":1,\"base\":{\"image\":\"b\",\"inherit\":[\"Envv\"]}}", false },
		{ "{\"dray\":1,\"base\":{\"image\":\"b\",\"inherit\":[\"Env\",\"Tty\"]}}", true },
		{ "{\"dray\":1,\"layers\":{\"max\":0}}", false },
		{ "{\"dray\":1,\"layers\":{\"max\":125}}", true },
		{ "{\"dray\":1,\"layers\":{\"max\":126}}", false },
		{ "{\"dray\":1,\"layers\":{\"groups\":[{\"name\":\"a\"},{\"name\":\"a\"}]}}",
		  false },
		{ "{\"dray\":1,\"layers\":{\"groups\":[{\"name\":\"a\",\"sources\":[\"b\"]}]}}",
		  false },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"dir\"}]}", false },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"file\",\"path\":\"a\"}]}", false },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"file\",\"path\":\"a\",\"text\":\"\"}]}",
		  true },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"mkdir\",\"path\":\"a\",\"id\":\"i\"},{"
		  "\"type\":\"mkdir\",\"path\":\"a\",\"id\":\"i\"}]}",
		  false },
		{ "{\"dray\":1,\"sources\":[{\"type\":\"mkdir\",\"path\":\"a\",\"layer\":\"g\"}]}",
		  false },
		{ "{\"dray\":1,\"rules\":[{}]}", false },
		{ "{\"dray\":1,\"base\":{\"image\":\"b\",\"select\":{\"tag\":\"a\"}}}", true },
		{ "{\"dray\":1,\"base\":{\"image\":\"b\",\"select\":{\"tag\":\"a\",\"index\":0}}}",
		  false },
		{ "{\"dray\":1,\"layers\":{\"strategy\":\"pipeline\"}}", false },
		{ "{\"dray\":1,\"layers\":{\"strategy\":\"pipeline\",\"pipeline\":[[\"x\"]]}}",
		  true },
		{ "{\"dray\":1,\"layers\":{\"strategy\":\"size\",\"pipeline\":[[\"x\"]]}}", false },
		{ "{\"dray\":1,\"layers\":{\"max_size\":0}}", false },
		{ "{\"dray\":1,\"layers\":{\"max_size\":5,\"min_size\":6}}", false },
		{ "{\"dray\":1,\"layers\":{\"max_size\":5,\"min_size\":5}}", true },
		{ "{\"dray\":1,\"layers\":{\"previous\":\"\"}}", false },
		{ "{\"dray\":1,\"compression\":{\"level\":0}}", false },
		{ "{\"dray\":1,\"compression\":{\"level\":22}}", true },
		{ "{\"dray\":1,\"compression\":{\"level\":23}}", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct spec *s = NULL;
		dray_error *err = NULL;

		assert_ok(read_spec(rows[i].text, &s, &err), err);
		if ((spec_check(s, &err) == 0) != rows[i].fine)
			fail_msg("%s: %s", rows[i].text, err ? dray_error_message(err) : "taken");
		if (!rows[i].fine)
			assert_err_kind(err, DRAY_ERR_USAGE);
		spec_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),	     cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_flags),	     cmocka_unit_test(test_checks),
		cmocka_unit_test(test_torture),	     cmocka_unit_test(test_many_flags),
		cmocka_unit_test(test_base_flags),   cmocka_unit_test(test_select_flags),
		cmocka_unit_test(test_select_alone), cmocka_unit_test(test_env_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
