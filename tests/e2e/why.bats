#!/usr/bin/env bats
# why: are two images the same, and what is the first cause when they are not.

load lib

setup() { verbs_setup; }
teardown() { peers_teardown; }

# why A B: sets status, output (JSON).
why() {
	dray_run why --json "$1" "$2"
	[ "$status" -eq 0 ] || [ "$status" -eq 1 ] || expect 0 || return 1
	jq -e --argjson s "$([ "$status" -eq 0 ] && echo true || echo false)" '
		.schema == 1 and .same == $s and (.same_image_id | type == "boolean") and has("same_rootfs") and
		(.causes | type == "array") and all(.causes[]; (.code | type == "string") and (.message | length > 5)) and
		(.same or (.causes | length > 0))' <<<"$output" >/dev/null || {
		printf '%s\n' "$output"
		return 1
	}
}

first_cause() { jq -r '.causes[0].code' <<<"$output"; }

# differ CODE SAME_IMAGE_ID SAME_ROOTFS
differ() {
	expect 1 || return 1
	same "first cause" "$(first_cause)" "$1" || return 1
	same "same image ID, same rootfs" "$(jq -c '[.same_image_id, .same_rootfs]' <<<"$output")" "[$2,$3]"
}

@test "why: identical, by file, pipe, tag and engine" {
	require_peer skopeo podman
	image_need sym
	why "$IMAGE" "$IMAGE"
	expect 0
	for name in untagged host podman-docker skopeo-docker; do
		image_need "$name"
		why "$(image_path sym)" "$IMAGE"
		expect 0
		jq -e '.same_image_id and .same_rootfs' <<<"$output"
	done
	run --separate-stderr bash -c 'cat "$2" | "$0" why - "$1"' "$DRAY" "$(image_path sym)" "$(image_path untagged)"
	expect 0
	[[ $output == *same* ]]
	# Spelled out or not, one name is one name; another is told.
	"$DRAY" -q normalize "$(image_path sym)" -o "$BATS_TEST_TMPDIR/full.tar"
	why "$(image_path sym)" "$BATS_TEST_TMPDIR/full.tar"
	expect 0
	same "causes" "$(jq -c '[.causes[].code]' <<<"$output")" "[]"
	"$DRAY" -q normalize "$(image_path sym)" --tag other:1 -o "$BATS_TEST_TMPDIR/other.tar"
	why "$(image_path sym)" "$BATS_TEST_TMPDIR/other.tar"
	expect 0
	same "causes" "$(jq -c '[.causes[].code]' <<<"$output")" '["tag"]'
}

@test "why: another config names its keys" {
	image_need sym
	image_context
	image_build test/env:1 <<-EOF_DOCKERFILE
		FROM test/sym:1
		ENV ADDED=1
		LABEL org.example.case=other
	EOF_DOCKERFILE
	rm -rf "$CONTEXT"
	docker save -o "$BATS_TEST_TMPDIR/env.tar" test/env:1
	docker rmi test/env:1 >/dev/null
	why "$IMAGE" "$BATS_TEST_TMPDIR/env.tar"
	differ config false true
	message=$(jq -r '.causes[0].message' <<<"$output")
	[[ $message == *Env* ]]
	[[ $message == *Labels* ]]
	dray_run why "$IMAGE" "$BATS_TEST_TMPDIR/env.tar"
	expect 1
	[[ $output == *config*Env* ]]
}

@test "why: other layers: which, how many, in which order" {
	image_need sym
	image_need big
	image_need big2
	why "$(image_path big)" "$(image_path big2)"
	differ layers false null
	[[ $(jq -r '.causes[0].message' <<<"$output") == *"layer 5"*/etc/small* ]]
	image_need multi
	why "docker-archive:$IMAGE:@0" "docker-archive:$IMAGE:test/multi-b:1"
	differ layer-order false null
	dray_run why "$IMAGE" "$(image_path big)"
	expect 2 "*test/multi-a:1*"
	image_context
	image_build test/more:1 <<-EOF_DOCKERFILE
		FROM test/sym:1
		COPY b /more
	EOF_DOCKERFILE
	rm -rf "$CONTEXT"
	docker save -o "$BATS_TEST_TMPDIR/more.tar" test/more:1
	docker rmi test/more:1 >/dev/null
	image_need sym
	why "$IMAGE" "$BATS_TEST_TMPDIR/more.tar"
	differ layer-count false null
	[[ $(jq -r '.causes[0].message' <<<"$output") == *"B has 1 layer"* ]]
	why "$BATS_TEST_TMPDIR/more.tar" "$IMAGE"
	differ layer-count false null
}

@test "why: the same image with other compression, other manifest type, both, or only another tag" {
	image_need sym
	registry_start main plain
	"$DRAY" push -q "$IMAGE" "$REGISTRY_ADDR/w/gzip:1"
	"$DRAY" push -q --no-cache --level 9 "$IMAGE" "$REGISTRY_ADDR/w/nine:1"
	"$DRAY" push -q --no-cache --compression zstd "$IMAGE" "$REGISTRY_ADDR/w/zstd:1"
	"$DRAY" push -q --format oci "$IMAGE" "$REGISTRY_ADDR/w/oci:1"
	"$DRAY" push -q "$IMAGE" "$REGISTRY_ADDR/w/gzip:2"
	for place in "$IMAGE" "$REGISTRY_ADDR/w/gzip:1" "$REGISTRY_ADDR/w/gzip:2"; do
		why "$place" "$REGISTRY_ADDR/w/gzip:1"
		expect 0
	done
	why "$REGISTRY_ADDR/w/gzip:1" "$REGISTRY_ADDR/w/nine:1"
	differ compression true true
	why "$REGISTRY_ADDR/w/gzip:1" "$REGISTRY_ADDR/w/oci:1"
	differ manifest-type true true
	why "$REGISTRY_ADDR/w/gzip:1" "$REGISTRY_ADDR/w/zstd:1"
	differ compression true true
	jq -e 'any(.causes[]; .code == "manifest-type")' <<<"$output"
	[[ $(jq -r '.causes[0].message' <<<"$output") == *gzip*zstd* ]]
	image_need multi
	why "docker-archive:$IMAGE:@0" "$REGISTRY_ADDR/w/gzip:1"
	expect 1
	jq -e '.same_image_id == false' <<<"$output"
}

@test "why: a config that skopeo or podman rewrote is explained" {
	require_peer skopeo podman buildah
	image_need sym
	for name in skopeo-oci podman-oci buildah-oci; do
		image_need "$name"
		why "$(image_path sym)" "$IMAGE"
		differ config false true
		[[ $(jq -r '.causes[0].message' <<<"$output") == *skopeo* ]]
	done
}

@test "why: exit codes" {
	image_need sym
	dray_run why "$IMAGE"
	expect 2
	dray_run why "$IMAGE" "$BATS_TEST_TMPDIR/none.tar"
	expect 3
	dray_run why "$IMAGE" "$NOBODY/x/y:1" --retry 0
	expect 5
	echo no >"$BATS_TEST_TMPDIR/text"
	dray_run why "$BATS_TEST_TMPDIR/text" "$IMAGE"
	expect 6
	dray_run why - -
	expect 2
}

@test "why: an image ID that names no layers stands for none" {
	local t=$BATS_TEST_TMPDIR
	mute_archive "$t/ab.tar" a b
	mute_archive "$t/ac.tar" a c
	why "$t/ab.tar" "$t/ac.tar"
	expect 1
	jq -e '.same_image_id and .same_rootfs == null and .causes[0].code == "layers"' <<<"$output" >/dev/null
	[[ $(jq -r '.causes[0].message' <<<"$output") == *"layer 1 is the first that differs"* ]]
	dray_run why "$t/ab.tar" "$t/ac.tar"
	[[ $output == "different, but the same image ID, for the config names no layers"* ]]
	dray_run why - "$t/ab.tar" <"$t/ab.tar"
	expect 0
	same "verdict" "$output" "the same image"
	# The same layers, and one config that names them.
	"$DRAY" split -q --keep-base 2 "$t/ab.tar" -o "$t/named.tar" >/dev/null
	why "$t/ab.tar" "$t/named.tar"
	jq -e '.same_rootfs and .causes[0].code == "config"' <<<"$output" >/dev/null
	[[ $(jq -r '.causes[0].message' <<<"$output") == *"rootfs (only in B)"* ]]
	mute_archive "$t/a.tar" a
	why "$t/ab.tar" "$t/a.tar"
	same "cause" "$(jq -r '.causes[0].code' <<<"$output")" layer-count
}
