/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "completion": scripts for bash, zsh and fish made from the option tables.
 * Relies on: commands.c.
 * Promises: scripts that need nothing but the shell, and never run dray.
 */
#include "cli/cli.h"

#define PREFIXES "docker:// docker-archive: oci: oci-archive: dir:"

/* Text in single quotes; characters of @p special get a backslash, a quote becomes @p quote. */
static void quoted(struct page *p, const char *text, const char *special, const char *quote)
{
	for (; *text; text++) {
		if (*text == '\'')
			page_put(p, "%s", quote);
		else
			page_put(p, "%s%c", strchr(special, *text) ? "\\" : "", *text);
	}
}

/* "a|b|c" as "a b c" */
static void choices(struct page *p, const char *list)
{
	for (; *list; list++)
		page_put(p, "%c", *list == '|' ? ' ' : *list);
}

typedef void option_fn(struct page *p, const struct option *o, const struct command *c);

static void each_option(struct page *p, const struct option *table, const struct command *c,
			option_fn *fn)
{
	const struct option_set set = { table, NULL, c ? c->features : 0 };

	for (const struct option *o = table; o && o->name; o++) {
		if (option_offered(&set, o))
			fn(p, o, c);
	}
}

/* Every option that takes a value, each name once. */
static void each_valued(struct page *p, option_fn *fn)
{
	for (const struct option *o = global_options; o->name; o++) {
		if (option_takes_value(o))
			fn(p, o, NULL);
	}
	for (size_t i = 0; commands[i]; i++) {
		bool twin = i > 0 && commands[i - 1]->options == commands[i]->options;
		for (const struct option *o = commands[i]->options; !twin && o && o->name; o++) {
			if (option_takes_value(o))
				fn(p, o, NULL);
		}
	}
}

static void bash_word(struct page *p, const struct option *o, const struct command *c)
{
	(void)c;
	page_put(p, "--%s ", o->name);
	if (o->letter)
		page_put(p, "-%c ", o->letter);
}

static void bash_pattern(struct page *p, const struct option *o, const struct command *c)
{
	(void)c;
	page_put(p, " | --%s", o->name);
	if (o->letter)
		page_put(p, " | -%c", o->letter);
}

static void bash_value(struct page *p, const struct option *o, const struct command *c)
{
	(void)c;
	page_put(p, "\t--%s%s%.1s) ", o->name, o->letter ? " | -" : "",
		 o->letter ? &o->letter : "");
	if (o->kind == OPT_CHOICE) {
		page_put(p, "words='");
		choices(p, o->choices);
		page_put(p, "' kind=words ;;\n");
	} else {
		page_put(p, "kind=%s ;;\n",
			 o->complete == COMPLETE_FILE	 ? "file"
			 : o->complete == COMPLETE_DIR	 ? "dir"
			 : o->complete == COMPLETE_PLACE ? "place"
							 : "none");
	}
}

static void verb_names(struct page *p)
{
	for (size_t i = 0; commands[i]; i++)
		page_put(p, "%s%s", i ? " " : "", commands[i]->name);
}

static void bash_verbs(struct page *p)
{
	page_put(p, "\tcase $verb in\n\t'') options='");
	each_option(p, global_options, NULL, bash_word);
	page_put(p, "' words='");
	verb_names(p);
	page_put(p, "' where=words ;;\n");
	for (size_t i = 0; commands[i]; i++) {
		const struct command *c = commands[i];
		page_put(p, "\t%s) options='", c->name);
		each_option(p, c->options, c, bash_word);
		each_option(p, global_options, c, bash_word);
		page_put(p, "' where=%s",
			 c->complete == COMPLETE_PLACE	? "place"
			 : c->complete == COMPLETE_NONE ? "none"
							: "words");
		if (c->complete == COMPLETE_SHELL)
			page_put(p, " words='bash zsh fish'");
		if (c->words) {
			page_put(p, " words='");
			choices(p, c->words);
			page_put(p, "'");
		}
		if (c->complete == COMPLETE_VERB) {
			page_put(p, " words='");
			verb_names(p);
			page_put(p, "'");
		}
		page_put(p, " ;;\n");
	}
	page_put(p, "\tesac\n");
}

static void bash_script(struct page *p)
{
	page_put(p, "# bash completion for dray, made by: dray completion bash\n"
		    "_dray() {\n"
		    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		    "\tlocal verb= options= words= where= kind= i\n"
		    "\t# The shell makes three words of --option=value.\n"
		    "\tif [[ $cur == = ]]; then\n\t\tcur=\n"
		    "\telif [[ $prev == = ]]; then\n\t\tprev=${COMP_WORDS[COMP_CWORD-2]}\n\tfi\n"
		    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		    "\t\tcase ${COMP_WORDS[i]} in\n\t\t= ) ((i++)) ;;\n\t\t''");
	each_valued(p, bash_pattern);
	page_put(p, ")\n\t\t\t[[ ${COMP_WORDS[i+1]} == = ]] || ((i++)) ;;\n"
		    "\t\t-*) ;;\n\t\t*) verb=${COMP_WORDS[i]}; break ;;\n\t\tesac\n\tdone\n");
	bash_verbs(p);
	page_put(p, "\tcase $prev in\n");
	each_valued(p, bash_value);
	page_put(p, "\t*) [[ $cur == -* ]] && words=$options kind=words || kind=$where ;;\n\tesac\n"
		    "\tCOMPREPLY=()\n"
		    "\tcase $kind in\n"
		    "\twords) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\") ;;\n"
		    "\tfile) compopt -o filenames\n"
		    "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
		    "\tdir) compopt -o filenames\n"
		    "\t\tmapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
		    "\tplace) compopt -o filenames\n"
		    "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\"; "
		    "compgen -f -- \"$cur\")\n"
		    "\t\t[[ -z $cur ]] || for i in " PREFIXES "; do\n"
		    "\t\t\t[[ $i != \"$cur\"* ]] || { COMPREPLY+=(\"$i\"); compopt -o nospace; }\n"
		    "\t\tdone ;;\n"
		    "\tesac\n"
		    "}\n"
		    "complete -F _dray dray\n");
}

static void zsh_action(struct page *p, const struct option *o)
{
	if (o->kind == OPT_CHOICE) {
		page_put(p, "(");
		choices(p, o->choices);
		page_put(p, ")");
	} else if (o->complete != COMPLETE_NONE) {
		page_put(p, "%s",
			 o->complete == COMPLETE_FILE  ? "_files"
			 : o->complete == COMPLETE_DIR ? "_files -/"
						       : "_dray_place");
	}
}

/* One line of _arguments. */
static void zsh_spec(struct page *p, const struct option *o, const struct command *c,
		     const char *name)
{
	page_put(p, " \\\n\t\t'*%s%s%s[", *name == '-' ? "" : "--", name,
		 o->kind == OPT_BOOL			   ? "=-"
		 : option_takes_value(o) && name[0] != '-' ? "="
							   : "");
	quoted(p, command_help(c, o), "[]\\", "'\\''");
	page_put(p, "]");
	if (option_takes_value(o) || o->kind == OPT_BOOL) {
		page_put(p, "%s", o->kind == OPT_BOOL ? "::" : ":");
		quoted(p, o->arg, ":\\", "'\\''");
		page_put(p, ":");
		if (o->kind == OPT_BOOL)
			page_put(p, "(true false)");
		else
			zsh_action(p, o);
	}
	page_put(p, "'");
}

static void zsh_option(struct page *p, const struct option *o, const struct command *c)
{
	char letter[3] = { '-', o->letter, '\0' };

	zsh_spec(p, o, c, o->name);
	if (o->letter)
		zsh_spec(p, o, c, letter);
}

static void zsh_verb(struct page *p, const struct command *c)
{
	page_put(p, "\t%s) _arguments -s", c->name);
	each_option(p, c->options, c, zsh_option);
	each_option(p, global_options, c, zsh_option);
	if (c->words) {
		page_put(p, " \\\n\t\t'1:word:(");
		choices(p, c->words);
		page_put(p, ")'");
	}
	page_put(p, "%s ;;\n",
		 c->complete == COMPLETE_PLACE	 ? " \\\n\t\t'*:place:_dray_place'"
		 : c->complete == COMPLETE_SHELL ? " \\\n\t\t'1:shell:(bash zsh fish)'"
		 : c->complete == COMPLETE_VERB	 ? " \\\n\t\t'1:verb:_dray_verb'"
						 : "");
}

static void zsh_script(struct page *p)
{
	page_put(p, "#compdef dray\n# zsh completion for dray, made by: dray completion zsh\n"
		    "_dray_place() {\n\t_alternative 'files:file:_files' "
		    "'prefixes:kind of place:compadd -S \"\" -- " PREFIXES "'\n}\n"
		    "_dray_verb() {\n\tlocal -a verbs\n\tverbs=(\n");
	for (size_t i = 0; commands[i]; i++) {
		page_put(p, "\t\t'%s:", commands[i]->name);
		quoted(p, commands[i]->summary, ":\\", "'\\''");
		page_put(p, "'\n");
	}
	page_put(p, "\t)\n\t_describe verb verbs\n}\n"
		    "_dray() {\n\tlocal curcontext=$curcontext state line\n"
		    "\t_arguments -C -s");
	each_option(p, global_options, NULL, zsh_option);
	page_put(p, " \\\n\t\t'1:verb:_dray_verb' '*::argument:->rest'\n"
		    "\t[[ $state == rest ]] || return\n\tcase $line[1] in\n");
	for (size_t i = 0; commands[i]; i++)
		zsh_verb(p, commands[i]);
	page_put(p, "\tesac\n}\n"
		    "if [[ $funcstack[1] == _dray ]]; then\n\t_dray \"$@\"\nelse\n"
		    "\tcompdef _dray dray\nfi\n");
}

static void fish_option(struct page *p, const struct option *o, const struct command *c)
{
	page_put(p, "complete -c dray");
	if (c)
		page_put(p, " -n '__fish_seen_subcommand_from %s'", c->name);
	page_put(p, " -l %s", o->name);
	if (o->letter)
		page_put(p, " -s %c", o->letter);
	if (o->kind == OPT_CHOICE) {
		page_put(p, " -x -a '");
		choices(p, o->choices);
		page_put(p, "'");
	} else if (option_takes_value(o)) {
		page_put(p, "%s",
			 o->complete == COMPLETE_FILE || o->complete == COMPLETE_PLACE ? " -r -F"
			 : o->complete == COMPLETE_DIR ? " -x -a '(__fish_complete_directories)'"
						       : " -x");
	}
	page_put(p, " -d '");
	quoted(p, command_help(c, o), "\\", "\\'");
	page_put(p, "'\n");
}

static void fish_verb(struct page *p, const struct command *c)
{
	page_put(p, "complete -c dray -n __fish_use_subcommand -f -a %s -d '", c->name);
	quoted(p, c->summary, "\\", "\\'");
	page_put(p, "'\n");
	if (c->complete == COMPLETE_PLACE) {
		page_put(p,
			 "complete -c dray -n '__fish_seen_subcommand_from %s' -F -a '" PREFIXES
			 "'\n",
			 c->name);
	} else if (c->complete == COMPLETE_SHELL) {
		page_put(p,
			 "complete -c dray -n '__fish_seen_subcommand_from %s' -f -a 'bash zsh "
			 "fish'\n",
			 c->name);
	}
	if (c->words) {
		page_put(p, "complete -c dray -n '__fish_seen_subcommand_from %s' -f -a '",
			 c->name);
		choices(p, c->words);
		page_put(p, "'\n");
	}
	each_option(p, c->options, c, fish_option);
	for (const struct option *o = global_options; o->name; o++) {
		if (o->needs && (o->needs & ~c->features) == 0)
			fish_option(p, o, c);
	}
}

static void fish_script(struct page *p)
{
	page_put(p, "# fish completion for dray, made by: dray completion fish\n"
		    "complete -c dray -f\n");
	each_option(p, global_options, NULL, fish_option);
	for (size_t i = 0; commands[i]; i++)
		fish_verb(p, commands[i]);
}

static int run_completion(struct session *s, dray_error **err)
{
	static const struct {
		const char *shell;
		void (*write)(struct page *p);
	} scripts[] = { { "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script } };

	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		if (strcmp(s->args[0], scripts[i].shell) == 0) {
			scripts[i].write(&s->page);
			return STATUS_OK;
		}
	}
	err_set(err, DRAY_ERR_USAGE, "unknown shell");
	return err_hint(err, "dray completion bash, zsh or fish");
}

const struct command cmd_completion = {
	.name = "completion",
	.group = GROUP_SELF,
	.summary = "print the completion script of a shell",
	.args = "bash|zsh|fish",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_SHELL,
	.notes = "Prints a script that completes verbs, options and files, for example: eval "
		 "\"$(dray completion bash)\". Packages install the scripts already.",
	.features = FEATURE_OUTPUT | FEATURE_CLOBBER,
	.run = run_completion,
};
