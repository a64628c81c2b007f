#!/usr/bin/env bats
# Bad input: every case of tests/must-fail and its twin, by file and by pipe, and what a registry sees of it.
#
# The ids (A-, M-, T-, Z-, O-, P-, L-) are rows of the reliability notes; L- are limits. The table itself says what each
# verb must answer: tests/must-fail/table.py.

load lib

MUST_FAIL=$PEERS_TOP/tests/must-fail

setup_file() {
	export PYTHONDONTWRITEBYTECODE=1
	export CASES=$BATS_FILE_TMPDIR/cases
	python3 "$MUST_FAIL/make.py" "$CASES"
}

setup() { verbs_setup; }
teardown() { peers_teardown; }

table() {
	run python3 "$MUST_FAIL/run.py" "$CASES" "$@"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "A-: links, names and members of archives; strange files of layouts" { table A- P- L-; }
@test "T-: tars where readers disagree, cut tars, sizes that lie" { table T-; }
@test "M-: digests, counts, documents, hostile JSON" { table M-; }
@test "Z-: damaged compression, outside and inside" { table Z-; }
@test "O-: names with terminal escapes" { table O-; }

@test "L-: a million members and one more, through a pipe" {
	member='import sys; sys.path.insert(0, sys.argv[1]); from bricks import folder
for i in range(int(sys.argv[2]) // 1000): sys.stdout.buffer.write(folder("x") * 1000)
sys.stdout.buffer.write(folder("x") * (int(sys.argv[2]) % 1000)); sys.stdout.buffer.write(open(sys.argv[3], "rb").read())'
	run --separate-stderr bash -c 'python3 -c "$1" "$2" 1000001 "$3" 2>/dev/null | "$4" images -' - "$member" "$MUST_FAIL" \
		"$CASES/T-16-whole.tar" "$DRAY"
	expect 6 '*LIMIT_MEMBERS*'
	run --separate-stderr bash -c 'python3 -c "$1" "$2" 999000 "$3" | "$4" images -' - "$member" "$MUST_FAIL" \
		"$CASES/T-16-whole.tar" "$DRAY"
	expect 0
}

@test "M-02: every byte of every blob, one at a time: verify and copy fail and name the blob" {
	run python3 "$MUST_FAIL/flips.py" "$CASES"
	echo "$output"
	[ "$status" -eq 0 ]
}

# Nothing that was refused may be visible on a registry under a tag.
refused_push() {
	local name=$1
	dray_run push "$CASES/$name" "docker://$REGISTRY_ADDR/$2:1" --plain-http
	expect 6
	dray_piped "$CASES/$name" push - "docker://$REGISTRY_ADDR/$2:2" --plain-http
	expect 6
	run curl -s "http://$REGISTRY_ADDR/v2/$2/tags/list"
	[[ $output != *'"1"'* && $output != *'"2"'* ]] || {
		echo "$name: tags on the registry: $output"
		return 1
	}
}

@test "G-05: what is refused leaves no tag on a registry, its twin does" {
	fakereg_start main
	REGISTRY_ADDR=$FAKEREG_ADDR
	for name in M-13-wrong-diff-id M-13-layer-less M-13-layer-more A-01-absent A-01-loop A-01-outside A-02-layer-twin \
		A-01-config-absent M-13-no-rootfs T-16-cut-mid-data T-16-cut-mid-data-of-manifest Z-04-crc-archive \
		Z-04-zstd-cut-archive Z-outer-gzip-cut-tail; do
		refused_push "$name.tar" "$(tr '[:upper:]' '[:lower:]' <<<"$name")"
	done
	for name in A-01-link T-16-whole Z-01-members-archive Z-outer-gzip; do
		dray_run push "$CASES/$name.tar" "docker://$REGISTRY_ADDR/good:1" --plain-http
		ok
		dray_piped "$CASES/$name.tar" push - "docker://$REGISTRY_ADDR/good:2" --plain-http
		ok
	done
}

@test "M-04: a config edited by hand: copied with a warning, verify says no" {
	dray_run copy "$CASES/M-04-config-by-hand.tar" "oci:$BATS_TEST_TMPDIR/out"
	expect 0 '*warning: *named after another digest*'
	dray_run verify "$CASES/M-04-config-by-hand.tar"
	expect 1
}

@test "M-06: a digest of an unknown algorithm is never taken for sha256" {
	dray_run copy "$CASES/M-06-unknown-manifest" "oci:$BATS_TEST_TMPDIR/out"
	expect 8 '*algorithm*'
	[ ! -e "$BATS_TEST_TMPDIR/out" ]
}

@test "A-03: an existing output that is strange is left alone" {
	good=$CASES/T-16-whole.tar
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	mkdir "$BATS_TEST_TMPDIR/other"
	echo mine >"$BATS_TEST_TMPDIR/other/file"
	dray_run copy "$good" "oci:$BATS_TEST_TMPDIR/other"
	expect 2
	[ "$(ls "$BATS_TEST_TMPDIR/other")" = file ]
	dray_run copy "$good" "oci:$BATS_TEST_TMPDIR/fifo"
	[ "$status" -ne 0 ]
	"$DRAY" copy -q "$good" "oci:$BATS_TEST_TMPDIR/layout"
	printf '[' >"$BATS_TEST_TMPDIR/layout/index.json"
	find "$BATS_TEST_TMPDIR/layout" -type f -exec sha256sum {} + | sort >"$BATS_TEST_TMPDIR/before"
	dray_run copy "$CASES/A-01-link.tar" "oci:$BATS_TEST_TMPDIR/layout"
	expect 6 '*index.json*'
	find "$BATS_TEST_TMPDIR/layout" -type f -exec sha256sum {} + | sort | cmp - "$BATS_TEST_TMPDIR/before"
}
