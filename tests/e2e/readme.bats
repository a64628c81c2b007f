#!/usr/bin/env bats
# What the README says about the program is so: its verbs, its exit statuses, its example in C, the files it names.

load peers

setup() {
	require_dray
	README=$PEERS_TOP/README.md
}

@test "readme: the verbs are those of help" {
	diff <(sed -n '/^## Verbs/,/^## /s/^| `\([a-z-]*\).*/\1/p' "$README" | sed '/^docker\|^oci\|^dir\|^containers/d') \
		<("$DRAY" help | sed -n 's/^  \([a-z-]\{2,\}\)  .*/\1/p')
}

@test "readme: the example in C compiles without a warning" {
	require_peer gcc
	cd "$BATS_TEST_TMPDIR"
	sed -n '/^```c$/,/^```$/p' "$README" | sed '1d;$d' >layers.c
	[ "$(wc -l <layers.c)" -ge 15 ]
	gcc -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$PEERS_TOP/include" layers.c
}

@test "readme: files and scripts it names are there" {
	local file
	for file in $(grep -o '](\([a-zA-Z][^):#]*\))' "$README" | tr -d '()]') $(grep -o 'script/[a-z-]*' "$README" | sort -u); do
		[ -e "$PEERS_TOP/$file" ] || {
			echo "$file is not there"
			return 1
		}
	done
}
