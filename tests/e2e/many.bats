#!/usr/bin/env bats
# Memory and time of what looks into layers, for entries by the hundred thousand. MANY=1000000 is the whole measure.

load lib

setup() {
	verbs_setup
	T=$BATS_TEST_TMPDIR
	PLAIN=${DRAY_PLAIN:-}
	[ -n "$PLAIN" ] || skip "measured on the plain build (DRAY_PLAIN)"
}
teardown() { peers_teardown; }

# peak COMMAND...: sets PEAK, in KiB.
peak() {
	python3 -c 'import resource, subprocess, sys
code = subprocess.call(sys.argv[2:], stdout=subprocess.DEVNULL)
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)' "$T/peak" "$@"
	PEAK=$(cat "$T/peak")
}

@test "G-16: a million entries take less than 400 MiB, fewer their share of it" {
	local entries=${MANY:-150000} most verb
	python3 "$PEERS_TOP/tests/layers/many.py" "$T/many.tar" "$entries"
	# The program itself and its buffers take 24 MiB.
	most=$(((400 - 24) * 1024 * entries / 1000000 + 24 * 1024))
	for verb in "files" "files --json --digest" rootfs-id "export -o $T/out.tar"; do
		# shellcheck disable=SC2086
		peak "$PLAIN" $verb "$T/many.tar"
		echo "$verb: $PEAK KiB of $most for $entries"
		[ "$PEAK" -lt "$most" ]
	done
	same "files" "$("$PLAIN" files "$T/many.tar" | wc -l)" "$("$PLAIN" files --json "$T/many.tar" | wc -l)"
	"$PLAIN" files -o "$T/list" "$T/many.tar"
	"$PLAIN" files "$T/many.tar" | cmp - "$T/list"
}
