#!/usr/bin/env bats
# The command line itself: help, mistakes, exit statuses, JSON, completions, terminals, signals. No network, no daemon.

# run --separate-stderr sets its variables; other shells expand their own.
# shellcheck disable=SC2016,SC2154

load peers

setup() {
	require_dray
	cd "$BATS_TEST_TMPDIR" || return
}

verbs() { "$DRAY" help | sed -n 's/^  \([a-z-]\{2,\}\)  .*/\1/p'; }

# A docker archive of one layer, named in $1; its config holds $2 as the history's created_by.
make_archive() {
	local dir=$BATS_TEST_TMPDIR/image layer
	mkdir -p "$dir"
	head -c 1024 /dev/zero >"$dir/layer.tar"
	layer=$(sha256sum <"$dir/layer.tar" | cut -c1-64)
	printf '{"architecture":"amd64","os":"linux","created":"2023-11-14T22:13:20Z","config":{"Env":["A=1"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created_by":"%s"}]}' \
		"$layer" "${2:-COPY a /a}" >"$dir/config"
	ID=$(sha256sum <"$dir/config" | cut -c1-64)
	mv "$dir/config" "$dir/$ID.json"
	printf '[{"Config":"%s.json","RepoTags":["test/cli:1"],"Layers":["layer.tar"]}]\n' "$ID" >"$dir/manifest.json"
	tar -C "$dir" -cf "$1" layer.tar "$ID.json" manifest.json
	rm -r "$dir"
}

# on_terminal COMMAND: with both standard output and error on a terminal of 100 columns.
on_terminal() {
	require_peer script
	TERM=${TERM_WANTED:-xterm} script -qec "stty cols 100; $1" /dev/null </dev/null
}

@test "every verb has --help, help VERB and a summary" {
	[ "$(verbs | wc -l)" -ge 11 ]
	for verb in $(verbs); do
		run -0 --separate-stderr "$DRAY" "$verb" --help
		[[ $output == "usage: dray $verb"* ]]
		[ -z "$stderr" ]
		[ "$("$DRAY" help "$verb")" = "$output" ]
	done
}

@test "help --json tells every verb and option that the text does" {
	same() { [ "$1" = "$2" ] || { diff <(echo "$1") <(echo "$2") && false; }; }
	options() { sed -n 's/^ \{2,6\}\(-.\, \)\?--\([a-z-]*\).*/\2/p'; }
	"$DRAY" help --json >all.json
	jq -e '.schema == 1 and all(.verbs[]; .summary and .description and (.group | length > 0))' all.json
	same "$(jq -r '.verbs[].name' all.json | sort)" "$(verbs | sort)"
	same "$(jq -r '.options[].name' all.json)" "$("$DRAY" help | options)"
	for verb in $(verbs); do
		"$DRAY" help "$verb" --json >one.json
		same "$(jq -c '.verbs' one.json)" "$(jq -c "[.verbs[] | select(.name == \"$verb\")]" all.json)"
		same "$(jq -r '.verbs[].options[].name, .options[].name' one.json)" "$("$DRAY" "$verb" --help | options)"
	done
	same "$("$DRAY" version --help --json)" "$("$DRAY" help --json version)"
	jq -e '.options[] | select(.name == "jobs") | .letter == "j" and .value == "N" and .min == 1 and .max == 256' all.json
	jq -e '.options[] | select(.name == "progress") | .choices == ["auto", "plain", "json", "none"]' all.json
	run -2 "$DRAY" help nonsense --json
}

@test "no verb, unknown verb, unknown option: exit 2 and a hint" {
	run -2 --separate-stderr "$DRAY"
	[ -z "$output" ]
	run -2 --separate-stderr "$DRAY" imges
	[ "${stderr_lines[0]}" = "dray: unknown verb 'imges'" ]
	[ "${stderr_lines[1]}" = "hint: did you mean 'images'?" ]
	run -2 --separate-stderr "$DRAY" images --plaform x y
	[ "${stderr_lines[0]}" = "dray: images: unknown option '--plaform'" ]
	[ "${stderr_lines[1]}" = "hint: did you mean '--platform'?" ]
	run -2 "$DRAY" help nonsense
	run -2 "$DRAY" completion tcsh
	run -2 "$DRAY" why only-one
	run -2 "$DRAY" images a b
	run -2 "$DRAY" push x --format oc
	run -2 "$DRAY" push x --gzip single --compression none
	run -2 "$DRAY" --jobs 0 images x
}

@test "an option that a verb does not know is refused before it, too" {
	run -2 --separate-stderr "$DRAY" --image x why a b
	[ "${stderr_lines[0]}" = "dray: why: unknown option '--image'" ]
}

@test "global options stand before or after the verb" {
	make_archive a.tar
	"$DRAY" images --json --jobs=2 a.tar >after
	"$DRAY" --json --jobs 2 images a.tar >before
	cmp before after
}

@test "version: text, JSON and --version" {
	run -0 "$DRAY" version
	[[ ${lines[0]} == "dray "* ]]
	[ "$("$DRAY" --version)" = "$output" ]
	require_peer jq
	"$DRAY" version --json | jq -e '.version and (.libraries | length > 3)'
}

@test "not there: exit 3, as JSON too" {
	run -3 --separate-stderr "$DRAY" images docker-archive:nowhere.tar
	[ -z "$output" ]
	[[ ${stderr_lines[0]} == "dray: images: "* ]]
	require_peer jq
	run -3 --separate-stderr "$DRAY" --json images docker-archive:nowhere.tar
	jq -e '.error.code == "not-found" and (.error | has("message", "expected", "actual"))' <<<"$output"
	run -2 --separate-stderr "$DRAY" images --nonsense --json
	jq -e '.error.code == "usage"' <<<"$output"
}

@test "no image at all: exit 6" {
	printf 'no tar' >x.tar
	run -6 "$DRAY" images x.tar
	run -6 "$DRAY" verify x.tar
	run -6 "$DRAY" explain docker-archive:x.tar
}

@test "O-02: an answer is on stdout alone, one JSON document in one line" {
	require_peer jq
	make_archive a.tar
	for verb in images inspect explain verify; do
		run -0 --separate-stderr "$DRAY" "$verb" --json a.tar
		[ "${#lines[@]}" -eq 1 ]
		jq -e --arg id "sha256:$ID" '.schema == 1 and .ok and .images[0].image_id == $id and
			.images[0].tags == ["test/cli:1"] and .images[0].manifest_digest == null' <<<"$output"
	done
	[ "$("$DRAY" inspect --json a.tar | jq -c '.images[0].config.Env')" = '["A=1"]' ]
	[ "$("$DRAY" images --json a.tar | jq -c '.images[0] | has("config")')" = false ]
}

@test "inspect --config gives the stored bytes, digest --image-id their name" {
	make_archive a.tar
	[ "$("$DRAY" inspect --config a.tar | sha256sum | cut -c1-64)" = "$ID" ]
	[ "$("$DRAY" digest --image-id a.tar)" = "sha256:$ID" ]
	run -3 "$DRAY" digest a.tar
	run -3 "$DRAY" inspect --raw a.tar
}

@test "explain HASH: found by its first digits, exit 3 when it is none" {
	make_archive a.tar
	run -0 "$DRAY" explain "${ID:0:10}" a.tar
	[[ ${lines[0]} == "image_id sha256:$ID" ]]
	run -3 --separate-stderr "$DRAY" explain deadbeef a.tar
	[ -z "$output" ]
	require_peer jq
	run -3 --separate-stderr "$DRAY" explain --json deadbeef a.tar
	jq -e '.matches == [] and .hash == "deadbeef"' <<<"$output"
	run -2 "$DRAY" explain not-hex a.tar
}

@test "why: 0 and 1" {
	make_archive a.tar
	make_archive b.tar 'COPY b /b'
	run -0 "$DRAY" why a.tar a.tar
	run -1 "$DRAY" why a.tar b.tar
	require_peer jq
	run -1 --separate-stderr "$DRAY" why --json a.tar b.tar
	jq -e '.schema == 1 and .same == false and (.causes[0] | has("code", "message"))' <<<"$output"
	run -2 "$DRAY" why - -
}

@test "verify: 1 when bytes are wrong, each problem in a line" {
	make_archive a.tar
	mkdir x
	tar -C x -xf a.tar
	printf x | dd of=x/layer.tar conv=notrunc status=none
	tar -C x -cf a.tar .
	run -1 --separate-stderr "$DRAY" verify a.tar
	[[ $output == *"problem: "*"expected sha256:"*"got sha256:"* ]]
	require_peer jq
	run -1 --separate-stderr "$DRAY" verify --json a.tar
	jq -e '.ok == false and (.problems[0] | has("code", "where", "expected", "actual", "message"))' <<<"$output"
}

@test "O-01: text from an image cannot act on a terminal" {
	make_archive a.tar '\u001b[31m\u009b2J\u202eX'
	for verb in images inspect explain; do
		run -0 "$DRAY" "$verb" a.tar
		run -1 grep -aP '\x1b|\xc2\x9b|\xe2\x80\xae' <<<"$output"
		run -0 "$DRAY" "$verb" --json a.tar
		run -1 grep -aP '\x1b|\xc2\x9b|\xe2\x80\xae' <<<"$output"
	done
	"$DRAY" inspect a.tar | grep -F '\x1b[31m\u{9b}2J\u{202e}X'
	require_peer jq
	[ "$("$DRAY" explain --json a.tar | jq -c '.images[0].layers[0].created_by | explode | .[:2]')" = '[27,91]' ]
}

@test "-o writes a whole file, --no-clobber keeps an old one" {
	make_archive a.tar
	"$DRAY" images a.tar -o out
	cmp out <("$DRAY" images a.tar)
	printf old >out2
	run ! "$DRAY" images a.tar --no-clobber --output=out2
	[ "$(cat out2)" = old ]
	run -3 "$DRAY" images nowhere/a.tar -o out2 --json
	[ "$(cat out2)" = old ]
	# One that would be dropped is an error; build alone has several.
	run -2 "$DRAY" images a.tar -o one -o two
	[[ $output == *'images takes one -o'* ]]
	run -2 "$DRAY" export a.tar --output one --output=one
	run -2 "$DRAY" -o one copy a.tar -o two
	[ ! -e one ] && [ ! -e two ]
	# What is missing there is no answer to a question, for no verb.
	run -9 "$DRAY" images a.tar -o nowhere/out
	run -9 "$DRAY" export a.tar -o nowhere/out
	run -9 "$DRAY" flatten a.tar -o nowhere/out
}

@test "O-04: a full or closed stdout is an error, a reader that left is quiet" {
	make_archive a.tar
	"$DRAY" images a.tar >/dev/full 2>err || :
	grep -q '^dray: images: standard output: ' err
	for args in "images a.tar" "version" "help" "completion bash" "inspect --config a.tar" "verify --json a.tar"; do
		status=0
		# shellcheck disable=SC2086
		"$DRAY" $args >/dev/full 2>/dev/null || status=$?
		[ "$status" -eq 9 ]
		status=0
		# shellcheck disable=SC2086
		"$DRAY" $args >&- 2>/dev/null || status=$?
		[ "$status" -eq 9 ]
	done
	# A pipe whose reader has left.
	run -0 python3 -c 'import os, subprocess, sys
r, w = os.pipe()
os.close(r)
with open("err", "wb") as err:
    sys.exit(subprocess.call([sys.argv[1], "help"], stdout=w, stderr=err) == 0)' "$DRAY"
	[ ! -s err ]
}

@test "a closed stderr or stdin does not hurt" {
	make_archive a.tar
	"$DRAY" images a.tar 2>&- <&- >out
	grep -q test/cli:1 out
	# Not by run: its own pipe would become descriptor 0.
	status=0
	"$DRAY" images - <&- 2>err || status=$?
	[ "$status" -eq 9 ]
}

@test "an archive is not read from a terminal, nor written to one" {
	require_peer script
	run script -qec "$DRAY images -" /dev/null </dev/null
	[ "$status" -eq 2 ]
	[[ $output == *"standard input, which is a terminal"* ]]
	make_archive a.tar
	run script -qec "$DRAY copy a.tar oci-archive:-" /dev/null </dev/null
	[ "$status" -eq 2 ]
	[[ $output == *"standard output, which is a terminal"* ]]
}

@test "bold only on a terminal, and not with NO_COLOR or TERM=dumb" {
	make_archive a.tar
	run -0 on_terminal "$DRAY images a.tar"
	[[ $output == *$'\033[1mTAGS'* ]]
	run -0 on_terminal "NO_COLOR=1 $DRAY images a.tar"
	[[ $output != *$'\033'* ]]
	TERM_WANTED=dumb run -0 on_terminal "$DRAY images a.tar; $DRAY verify a.tar"
	[[ $output != *$'\033'* ]]
	run -0 "$DRAY" images a.tar
	[[ $output != *$'\033'* ]]
}

@test "lines made by images are cut to the terminal, hashes are not" {
	make_archive a.tar "RUN $(printf 'x%.0s' {1..300})"
	run -0 on_terminal "$DRAY explain a.tar"
	[[ $output == *"xxx..."* ]]
	[[ $output == *"sha256:$ID"* ]]
	[[ $("$DRAY" explain a.tar) != *"xxx..."* ]]
}

@test "--progress json is one object a line, none and -q are silent" {
	require_peer jq
	make_archive a.tar
	run -0 --separate-stderr "$DRAY" verify --progress json a.tar
	[ -z "$stderr" ] || jq -e 'has("event", "id", "label", "done", "total", "detail")' <<<"$stderr" >/dev/null
	for quiet in -q "--progress none"; do
		# shellcheck disable=SC2086
		run -0 --separate-stderr "$DRAY" verify $quiet a.tar
		[ -z "$stderr" ]
	done
}

signalled() { # SIGNAL STATUS
	local begun pid code=0
	# Shells start background jobs with SIGINT ignored: dray has to listen all the same.
	"$DRAY" verify - <pipe 2>err 3>&- &
	pid=$!
	wait_until 60 catches "$pid" "$1" || return 1
	begun=$(date +%s%N)
	kill -"$1" "$pid"
	wait "$pid" || code=$?
	TOOK=$((($(date +%s%N) - begun) / 1000000))
	[ "$code" -eq "$2" ]
}

@test "G-18: SIGINT and SIGTERM end a wait within a second with 130 and 143" {
	mkfifo pipe
	sleep 600 >pipe 3>&- &
	writer=$!
	soon 1000 signalled INT 130
	soon 1000 signalled TERM 143
	kill "$writer"
}

@test "every option of every help is in its man page" {
	top=${BATS_TEST_DIRNAME}/../..
	for verb in $(verbs); do
		"$DRAY" "$verb" --help | sed -n 's/^ \{2,6\}\(-.\, \)\?--\([a-z-]*\).*/\2/p' | while read -r option; do
			grep -q -- "\*--$option\*" "$top/man/dray-$verb.1.scd" "$top/man/dray.1.scd" ||
				{ echo "$verb --$option is in no man page"; exit 1; }
		done
	done
}

@test "man pages are valid" {
	require_peer scdoc
	for page in "$BATS_TEST_DIRNAME"/../../man/*.scd; do
		scdoc <"$page" >out
		[ "$(head -c 3 out)" = '.\"' ]
	done
}

@test "completion scripts are valid in the real shells" {
	for shell in bash zsh fish; do
		require_peer "$shell"
		"$DRAY" completion "$shell" >"c.$shell"
		"$shell" -n "c.$shell"
	done
}

# complete_bash WORD...: what bash offers for the last word.
complete_bash() {
	bash --norc -c 'source c.bash; COMP_WORDS=(dray "$@"); COMP_CWORD=$#
		compopt() { :; }; _dray; printf "%s\n" "${COMPREPLY[@]}"' - "$@"
}

@test "bash completes verbs, options, values and places" {
	"$DRAY" completion bash >c.bash
	touch file.tar
	mkdir folder
	[ "$(complete_bash im)" = images ]
	[ "$(complete_bash push --compr)" = --compression ]
	[ "$(complete_bash push --compression z)" = zstd ]
	[ "$(complete_bash push --compression = z)" = zstd ]
	[ "$(complete_bash --jobs 3 ver)" = "$(printf 'verify\nversion')" ]
	[ "$(complete_bash --jobs = 3 verif)" = verify ]
	[ "$(complete_bash images --tmpdir fo)" = folder ]
	[ "$(complete_bash images "fi")" = file.tar ]
	[ "$(complete_bash images docker-)" = docker-archive: ]
	[ "$(complete_bash completion f)" = fish ]
	[ "$(complete_bash help dig)" = digest ]
	[ -z "$(complete_bash digest --raw-)" ]
}

@test "fish completes verbs, options and values" {
	require_peer fish
	"$DRAY" completion fish >c.fish
	run -0 fish --no-config -c 'source c.fish; complete -C "dray im"'
	[[ $output == images* ]]
	run -0 fish --no-config -c 'source c.fish; complete -C "dray push --compr"'
	[[ $output == --compression* ]]
	run -0 fish --no-config -c 'source c.fish; complete -C "dray push --compression z"'
	[[ $output == zstd* ]]
	run -0 fish --no-config -c 'source c.fish; complete -C "dray images --image-i"'
	[ -z "$output" ]
}

@test "zsh loads the completion" {
	require_peer zsh
	"$DRAY" completion zsh >_dray
	run -0 zsh -fc 'fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; print -r -- $_comps[dray]'
	[ "$output" = _dray ]
	run -0 zsh -fc 'autoload -Uz compinit; compinit -u -D; source ./_dray; print -r -- $_comps[dray]'
	[ "$output" = _dray ]
}

# All of its layers are what its documents say.
whole() { "$DRAY" verify -q "$1" >/dev/null; }

@test "an output that leads to standard output is '-': nothing is written over the archive" {
	make_archive a.tar
	local at args
	for at in /dev/stdout /dev/fd/1 /proc/self/fd/1; do
		for args in "flatten a.tar -o" "copy a.tar" "edit a.tar --env B=2 -o" "normalize a.tar -o" "save a.tar -o" \
			"edit FROM a.tar SET USER app INTO"; do
			# shellcheck disable=SC2086
			"$DRAY" $args - >want.tar 2>err
			# shellcheck disable=SC2086
			"$DRAY" $args "$at" >got.tar 2>err
			cmp want.tar got.tar
			whole got.tar
			grep -q '@sha256:' err
			# shellcheck disable=SC2086
			"$DRAY" $args "$at" 2>err | cat >got.tar
			cmp want.tar got.tar
		done
	done
	# What is there already stays; other descriptors may lead there, too.
	echo before >got.tar
	"$DRAY" flatten a.tar -o /dev/stdout >>got.tar 2>err
	[ "$(head -n 1 got.tar)" = before ]
	"$DRAY" flatten a.tar -o - >want.tar 2>err
	tail -c +8 got.tar | cmp - want.tar
	"$DRAY" flatten a.tar -o /dev/fd/7 7>&1 >got.tar 2>err 7>&1
	cmp want.tar got.tar
	"$DRAY" copy a.tar docker-archive:/dev/stdout:test/cli:7 >got.tar 2>err
	[ "$("$DRAY" images --json got.tar | jq -r '.images[0].tags[0]')" = test/cli:7 ]
	"$DRAY" inspect --config a.tar >want
	"$DRAY" inspect --config a.tar -o /dev/stdout >>got.tar
	tail -c "$(stat -c %s want)" got.tar | cmp - want
	# A file that is named itself is replaced, as ever.
	run -0 bash -c '"$0" flatten a.tar -o here.tar >here.tar' "$DRAY"
	whole here.tar
	run script -qec "$DRAY flatten a.tar -o /dev/stdout" /dev/null </dev/null
	[ "$status" -eq 2 ]
	[[ $output == *"standard output, which is a terminal"* ]]
}

@test "O-04: an archive whose reader left ends quietly, too" {
	make_archive a.tar
	local args
	for args in "export a.tar" "export a.tar -o /dev/stdout" "save a.tar" "flatten a.tar -o -" "normalize a.tar" \
		"copy a.tar oci-archive:-"; do
		# shellcheck disable=SC2086
		run -0 python3 -c 'import os, subprocess, sys
r, w = os.pipe()
os.close(r)
with open("err", "wb") as err:
    sys.exit(subprocess.call(sys.argv[1:], stdout=w, stderr=err) != 141)' "$DRAY" $args
		[ ! -s err ]
	done
	# A pipe in between that breaks is another thing.
	run -9 --separate-stderr bash -c '"$0" save a.tar -o /dev/full' "$DRAY"
	[[ $stderr == *"No space left"* ]]
}

@test "a file that may not be looked for is no absent one" {
	make_archive a.tar
	ln -s loop.tar loop.tar
	local at
	for at in loop.tar docker-archive:loop.tar; do
		run -9 --separate-stderr "$DRAY" images "$at"
		[[ $stderr == *"loop.tar: "*"symbolic links"* ]]
	done
	run -3 "$DRAY" images ./none.tar
	run -3 "$DRAY" images a.tar/none.tar
	if [ "$(id -u)" -eq 0 ] && type -P setpriv >/dev/null; then
		chmod 755 "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR" . || :
		mkdir -m 700 closed
		cp a.tar closed/
		for at in ./closed/a.tar closed/a.tar docker-archive:closed/a.tar; do
			run -9 --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups "$DRAY" images "$at"
			[[ $stderr == *"closed/a.tar: "*"Permission denied"* ]]
		done
	fi
}
