# shellcheck shell=bash
# What the tests of build share: a program that needs nothing, images to build upon, looking at layers.
#
# Relies on: lib.bash (sourced here), cc, python3.
# Promises: nothing is written outside $BATS_TEST_TMPDIR and the peers' own folder.

# The acceptance list of a builder has 60 items; a test's name says which it is for:
#
#	1-4, 9, 37	build_sources.bats	links into the store, what is found, whose it is
#	1, 5-9, 16, 38	build_closure.bats	closures as they are
#	5-8, 11-18, 20-37, 52, 53	build.bats	layers, order, config, names, times, owners, bases
#	10, 19, 38-45, 48-51, 54-60	build_items.bats	bits, formats, odd names, whiteouts, histories, limits, failures
#	25, 35, 36, 40	build_keys.bats	every key of a spec, and its flag
#	46, 47	build_same.bats	the same bytes, whoever builds, where and when
#
# build_peers.bats asks engines and schemas about what all of these make.

# shellcheck source=tests/e2e/lib.bash
. "${BASH_SOURCE[0]%/*}/../lib.bash"

build_setup() {
	verbs_setup || return 1
	T=$BATS_TEST_TMPDIR
	cd "$T" || return 1
	unset SOURCE_DATE_EPOCH
}

# program FILE TEXT: a static program that prints TEXT, then the first line of each file named to it.
program() {
	require_peer gcc || return 1
	mkdir -p "$(dirname "$1")"
	cat >"$T/program.c" <<-EOF_C
		#include <stdio.h>
		int main(int argc, char **argv)
		{
			char line[256];
			puts("$2");
			for (int i = 1; i < argc; i++) {
				FILE *f = fopen(argv[i], "r");
				if (!f || !fgets(line, sizeof(line), f))
					return 1;
				fputs(line, stdout);
			}
			return 0;
		}
	EOF_C
	gcc -static -Os -o "$1" "$T/program.c"
}

# build ARG...: dray build, which is to succeed; sets DIGEST.
build() {
	dray_run build "$@"
	ok
}

# names IMAGE: paths of the effective tree, a line each.
names() { "$DRAY" export "$1" 2>/dev/null | tar t | sed 's,/$,,' | LC_ALL=C sort; }
# layers IMAGE: its DiffIDs.
layers() { "$DRAY" inspect --json "$1" | jq -r '.images[0].layers[].diff_id'; }
config() { "$DRAY" inspect --json "$1" | jq -cS '.images[0].config'; }
# layer_tar FILE N: the tar of one layer of an archive, where it lies uncompressed.
layer_tar() { tar xOf "$1" "blobs/sha256/$(layers "$1" | sed -n "$(($2 + 1))s/sha256://p")"; }

# history_fits IMAGE: as many steps that made a layer as there are layers.
history_fits() {
	"$DRAY" inspect --json "$1" | jq -e '.images[0] | (.layers | length) == ([.history[] | select(.empty_layer | not)] | length)' >/dev/null || {
		echo "history and layers of $1 differ"
		return 1
	}
}

# runs FILE REF LINE ARG...: docker and podman load it and run it, and it prints LINE.
runs() {
	local file=$1 ref=$2 line=$3
	shift 3
	require_docker && require_peer podman || return 1
	docker load --quiet -i "$file" || return 1
	same "docker run $ref" "$(docker_run "$ref" "$@")" "$line" || return 1
	docker rmi "$ref" >/dev/null || return 1
	podman load --quiet -i "$file" || return 1
	same "podman run $ref" "$(podman_run "$ref" "$@")" "$line" || return 1
	podman rmi "$ref" >/dev/null
}
