/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the list of verbs, and the options that they share.
 * Relies on: one cmd_*.c file per verb or family.
 * Promises: everything the parser, --help, the completions and the manual know.
 */
#include "cli/cli.h"

#include "base/mem.h"
#include "base/text.h"

#define G(field) offsetof(struct globals, field)

const struct option global_options[] = {
	{ "json", 0, OPT_FLAG, G(json), .help = "print one JSON document instead of text",
	  .needs = FEATURE_JSON },
	{ "image", 0, OPT_STRING, G(image), "REF|@N|ID",
	  "choose one image of a place that holds several: a tag, @N by position from 0, or "
	  "sha256:ID",
	  .needs = FEATURE_IMAGE },
	{ "all", 0, OPT_FLAG, G(all), .help = "every image of the place", .needs = FEATURE_IMAGE },
	{ "output", 'o', OPT_LIST, G(outputs), "PATH",
	  "write to PATH instead of standard output; an old file is replaced at the end, whole",
	  .complete = COMPLETE_FILE, .needs = FEATURE_OUTPUT },
	{ "no-clobber", 0, OPT_FLAG, G(no_clobber), .help = "fail when the output exists already",
	  .needs = FEATURE_CLOBBER },
	{ "salvage", 0, OPT_FLAG, G(salvage),
	  .help = "of an engine's disk: make damaged layers anew of the files that are left",
	  .needs = FEATURE_SALVAGE },
	{ "platform", 0, OPT_LIST, G(platforms), "OS/ARCH[/VARIANT]",
	  .help = "which image of a multi-platform index, may be repeated (default: this "
		  "machine's)" },
	{ "all-platforms", 0, OPT_FLAG, G(all_platforms),
	  .help = "every image of a multi-platform index" },
	{ "jobs", 'j', OPT_INT, G(jobs), "N",
	  "layers at the same time, and compression threads (default: processors)", .lo = 1,
	  .hi = 256 },
	{ "tmpdir", 0, OPT_STRING, G(tmpdir), "DIR",
	  "for temporary files (default: TMPDIR, else /var/tmp)", .complete = COMPLETE_DIR },
	{ "authfile", 0, OPT_STRING, G(authfile), "PATH",
	  "credentials, as docker or podman write them", .complete = COMPLETE_FILE },
	{ "creds", 0, OPT_STRING, G(creds), "USER:PASSWORD",
	  .help = "credentials for the registry" },
	{ "tls-verify", 0, OPT_BOOL, G(tls_verify), "true|false",
	  .help = "=false accepts any certificate" },
	{ "plain-http", 0, OPT_FLAG, G(plain_http),
	  .help = "speak HTTP; without it loopback registries fall back to HTTP when TLS fails" },
	{ "cert-dir", 0, OPT_STRING, G(cert_dir), "DIR",
	  "CA (*.crt) and client certificates (*.cert, *.key) for the registry",
	  .complete = COMPLETE_DIR },
	{ "retry", 0, OPT_INT, G(retries), "N", "tries after a network failure (default: 5)",
	  .lo = 0, .hi = 100 },
	{ "progress", 0, OPT_CHOICE, G(progress), "STYLE",
	  "auto, plain, json or none (default: bars on a terminal, else a line every 10 seconds)",
	  .choices = "auto|plain|json|none" },
	{ "verbose", 'v', OPT_COUNT, G(verbose), .help = "tell more; -vv also tells each request" },
	{ "quiet", 'q', OPT_FLAG, G(quiet), .help = "nothing but errors on standard error" },
	{ "help", 'h', OPT_FLAG, G(help), .help = "how to use it" },
	{ "version", 0, OPT_FLAG, G(version), .help = "print the version" },
	{ 0 },
};

/* clang-format off */
const struct command *const commands[] = {
	&cmd_images,
	&cmd_inspect,
	&cmd_digest,
	&cmd_files,
	&cmd_cat,
	&cmd_extract,
	&cmd_unpack,
	&cmd_explain,
	&cmd_blame,
	&cmd_why,
	&cmd_diff,
	&cmd_verify,
	&cmd_sign,
	&cmd_rootfs_id,
	&cmd_push,
	&cmd_copy,
	&cmd_pull,
	&cmd_save,
	&cmd_load,
	&cmd_delta,
	&cmd_have,
	&cmd_sync,
	&cmd_normalize,
	&cmd_export,
	&cmd_build,
	&cmd_edit,
	&cmd_flatten,
	&cmd_squash,
	&cmd_split,
	&cmd_strip,
	&cmd_append,
	&cmd_rebase,
	&cmd_serve,
	&cmd_gc,
	&cmd_tags,
	&cmd_catalog,
	&cmd_manifest,
	&cmd_blob,
	&cmd_delete,
	&cmd_login,
	&cmd_logout,
	&cmd_version,
	&cmd_help,
	&cmd_completion,
	NULL,
};
/* clang-format on */

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

int command_unknown(const char *name, dray_error **err)
{
	cleanup_free char *typed = text_safe(span_str(name), 80);
	struct nearest near = { .typed = typed };

	if (!typed)
		return err_nomem(err);
	for (size_t i = 0; commands[i]; i++)
		nearest_offer(&near, commands[i]->name);
	err_set(err, DRAY_ERR_USAGE, "unknown verb '%s'", typed);
	if (nearest_get(&near))
		return err_hint(err, "did you mean '%s'?", nearest_get(&near));
	return err_hint(err, "'dray help' lists the verbs");
}

const char *command_help(const struct command *c, const struct option *o)
{
	const char *own = NULL;

	if (c && o->needs == FEATURE_OUTPUT)
		own = c->output_help;
	else if (c && o->needs == FEATURE_IMAGE && strcmp(o->name, "all") == 0)
		own = c->all_help;
	return own ? own : o->help;
}
