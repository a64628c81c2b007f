#!/usr/bin/env bats
# explain, images, inspect, digest: what they say is what the engines that wrote the images say.

load lib

setup() { verbs_setup; }
teardown() { peers_teardown; }

# has_keys WHAT JSON JQ KEY...: all of them; more may be there.
has_keys() {
	local what=$1 json=$2 at=$3 missing
	shift 3
	missing=$(jq -r "[$at] | if . == [] then \"nothing at all\" else [\$ARGS.positional - (.[] | keys) | .[]] | unique | join(\" \") end" \
		--args "$@" <<<"$json")
	absent "$what: keys missing in $at" "$missing"
}

# is_true JSON JQ [ARG...]
is_true() {
	local json=$1 filter=$2
	shift 2
	jq -e "$@" "$filter" <<<"$json" >/dev/null || {
		printf 'not true: %s\n%s\n' "$filter" "$(jq -c . <<<"$json" | cut -c 1-2000)"
		return 1
	}
}

# The shape that cli.md promises, for any of the four verbs.
shape() {
	local what=$1 json=$2
	is_true "$json" '.schema == 1 and (.problems | type == "array") and (.warnings | type == "array") and (.ok | type == "boolean")' || return 1
	has_keys "$what" "$json" '.images[]' tags image_id manifest_digest media_type platform created size rootfs_id layers \
		history || return 1
	has_keys "$what" "$json" '.images[].layers[]' index diff_id chain_id v1_id blob_digest compression media_type path \
		link_target same_as size blob_size created_by || return 1
	has_keys "$what" "$json" '.images[].history[]' created_by created empty_layer layer || return 1
	is_true "$json" '
		def digest: type == "string" and test("^sha256:[0-9a-f]{64}$");
		def maybe(f): . == null or f;
		all(.images[];
			(.tags | type == "array") and (.image_id | digest) and (.manifest_digest | maybe(digest)) and
			(.platform | test("^[a-z0-9]+/[a-z0-9]+")) and (.created | maybe(test("^[0-9-]+T[0-9:.]+Z$"))) and
			(.size | type == "number") and
			([.layers[].index] == [range(.layers | length)]) and
			all(.layers[];
				(.diff_id | digest) and (.chain_id | digest) and (.v1_id | maybe(test("^[0-9a-f]{64}$"))) and
				(.blob_digest | maybe(digest)) and (.compression | IN("none", "gzip", "zstd")) and
				(.same_as | maybe(type == "number")) and (.size | maybe(type == "number")) and
				(.blob_size | type == "number")) and
			all(.history[]; (.empty_layer | type == "boolean") and (.empty_layer == (.layer == null))))'
}

chain_ids() {
	python3 -c '
import hashlib, sys
chain = None
for diff in sys.stdin.read().split():
    chain = diff if chain is None else "sha256:" + hashlib.sha256(f"{chain} {diff}".encode()).hexdigest()
    print(chain)'
}

@test "explain --json: every key, for every producer" {
	require_peer skopeo podman buildah ctr
	for name in sym tags untagged host multi podman-docker podman-oci podman-multi skopeo-docker skopeo-oci skopeo-layout \
		buildah-docker buildah-oci ctr-oci; do
		image_need "$name"
		for verb in explain images inspect verify; do
			# images lists all; the others want one.
			how=
			case $name-$verb in *multi-inspect) how="--image @1" ;; *multi-*) how=--all ;; esac
			[ "$verb" != images ] || how=
			# shellcheck disable=SC2086
			dray_run $verb --json $how "$IMAGE"
			expect 0
			shape "$verb $name" "$output"
			is_true "$output" '.ok'
		done
	done
}

@test "explain: DiffIDs, ChainIDs, image ID and v1 ids are those of the engine" {
	for name in sym multi big; do
		image_need "$name"
		dray_run explain --json --all "$IMAGE"
		expect 0
		for at in $(jq '.images | keys[]' <<<"$output"); do
			tag=$(jq -r ".images[$at].tags[0]" <<<"$output")
			layers=".images[$at].layers[]"
			same "image ID" "$(jq -r ".images[$at].image_id" <<<"$output")" "$(docker_image_id "$tag")"
			same "DiffIDs" "$(jq -r "$layers.diff_id" <<<"$output")" "$(docker_diff_ids "$tag")"
			same "ChainIDs" "$(jq -r "$layers.chain_id" <<<"$output")" "$(docker_diff_ids "$tag" | chain_ids)"
			# The folders that dockerd wrote.
			same "v1 ids" "$(jq -r "$layers.v1_id" <<<"$output")" \
				"$(tar xOf "$IMAGE" manifest.json | jq -r ".[$at].Layers[]" | sed 's,/layer.tar$,,')"
			same "paths" "$(jq -r "$layers.path" <<<"$output")" "$(tar xOf "$IMAGE" manifest.json | jq -r ".[$at].Layers[]")"
			same "attributed" "$(jq -r "$layers.v1_id_origin" <<<"$output" | sort -u)" docker
			same "created_by" "$(jq -c "[.images[$at].history[].created_by]" <<<"$output")" \
				"$(docker image inspect "$tag" >/dev/null && tar xOf "$IMAGE" "$(tar xOf "$IMAGE" manifest.json | jq -r ".[$at].Config")" | jq -c '[.history[].created_by]')"
		done
	done
}

@test "explain: links are shown with their target and the reason" {
	image_need sym
	dray_run explain --json "$IMAGE"
	expect 0
	link=$(tar tvf "$IMAGE" | sed -n 's,.* \([0-9a-f]*/layer.tar\) -> \.\./\(.*\)$,\1 \2,p')
	same "link" "$(jq -r '.images[0].layers[] | select(.link_target) | "\(.path) \(.link_target)"' <<<"$output")" "$link"
	is_true "$output" '.images[0].layers | .[3].same_as == 1 and .[3].diff_id == .[1].diff_id and ([.[0, 1, 2].same_as] | all(. == null))'
	is_true "$output" '.images[0].layers[3].size == .images[0].layers[1].size'
	dray_run explain "$IMAGE"
	expect 0
	[[ $output == *"is a link to ${link#* }"*"same DiffID"* ]]
	[[ $output == *"the same as layer 1"* ]]
	# Links into a folder that only the other image names.
	image_need multi
	dray_run explain --json --image @1 "$IMAGE"
	expect 0
	is_true "$output" '[.images[0].layers[] | select(.link_target)] | length >= 1'
	for name in $(jq -r '.images[0].layers[].link_target | select(.)' <<<"$output"); do
		tar tf "$IMAGE" "$name"
	done
}

@test "explain: the same from a pipe, from a compressed file and by every spelling" {
	image_need sym
	dray_run explain --json "$IMAGE"
	expect 0
	want=$(jq -S -c .images <<<"$output")
	dray_piped "$IMAGE" explain --json -
	expect 0
	same "pipe" "$(jq -S -c .images <<<"$output")" "$want"
	zstd -q -c "$IMAGE" >"$BATS_TEST_TMPDIR/sym.tar.zst"
	for place in "docker-archive:$IMAGE" "docker-archive:$IMAGE:test/sym:1" "docker-archive:$IMAGE:@0" "$BATS_TEST_TMPDIR/sym.tar.zst"; do
		dray_run explain --json "$place"
		expect 0
		same "$place" "$(jq -S -c .images <<<"$output")" "$want"
	done
}

@test "explain HASH: each kind of hash, whole and by prefix" {
	image_need sym
	dray_run explain --json "$IMAGE"
	expect 0
	doc=$output
	check() { # KIND HASH LAYER
		dray_run explain --json "$2" "$IMAGE"
		expect 0 || return 1
		has_keys "match" "$output" '.matches[]' kind image layer how || return 1
		is_true "$output" '.schema == 1 and .hash == $h' --arg h "$2" || return 1
		is_true "$output" 'any(.matches[]; .kind == $k and .layer == $l and .image == $i and (.how | length > 10))' \
			--arg k "$1" --argjson l "$3" --arg i "$(docker_image_id test/sym:1)"
	}
	id=$(docker_image_id test/sym:1)
	check image_id "$id" null
	check image_id "${id#sha256:}" null
	check image_id "${id:7:12}" null
	check image_id "${id:0:19}" null
	for layer in 0 1 2 3; do
		for kind in diff_id chain_id v1_id; do
			hash=$(jq -r ".images[0].layers[$layer].$kind" <<<"$doc")
			check "$kind" "$hash" "$layer"
			check "$kind" "$(cut -c 1-12 <<<"${hash#sha256:}")" "$layer"
		done
	done
	# One DiffID, two layers.
	dray_run explain --json "$(jq -r '.images[0].layers[1].diff_id' <<<"$doc")" "$IMAGE"
	same "both layers" "$(jq -c '[.matches[] | select(.kind == "diff_id") | .layer]' <<<"$output")" '[1,3]'
	dray_run explain --json "sha256:$(printf '%064d' 0)" "$IMAGE"
	expect 3
	is_true "$output" '.matches == []'
	dray_run explain nothex "$IMAGE"
	expect 2
}

@test "explain HASH: what explain says of artifacts is known too" {
	graph g --artifact --referrers
	dray_run explain --all --json "oci:$BATS_TEST_TMPDIR/g"
	expect 0
	local doc=$output hash
	jq -e 'any(.images[]; .kind == "artifact" and (.layers[0].diff_id == null) and .layers[0].compression == "none")' <<<"$doc"
	for hash in $(jq -r '.images[] | .manifest_digest, .layers[].blob_digest' <<<"$doc" | sort -u) \
		sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a; do
		dray_run explain --json "$hash" "oci:$BATS_TEST_TMPDIR/g"
		expect 0
		is_true "$output" 'any(.matches[]; .value == $h)' --arg h "$hash"
	done
}

@test "explain HASH: manifest and blob digests of layouts and registries" {
	require_peer skopeo
	image_need skopeo-layout
	manifest=$(source_manifest_digest "oci:$IMAGE:1")
	blob=$(skopeo inspect --raw "oci:$IMAGE:1" | jq -r '.layers[2].digest')
	registry_start main plain
	skopeo copy --quiet --dest-tls-verify=false --preserve-digests "oci:$IMAGE:1" "docker://$REGISTRY_ADDR/e/x:1"
	for place in "$IMAGE" "oci:$IMAGE:1" "oci:$IMAGE@$manifest" "$REGISTRY_ADDR/e/x:1" "docker://$REGISTRY_ADDR/e/x@$manifest"; do
		dray_run explain --json "$manifest" "$place"
		expect 0
		is_true "$output" 'any(.matches[]; .kind == "manifest_digest" and .layer == null)'
		dray_run explain --json "${blob:7:14}" "$place"
		expect 0
		is_true "$output" 'any(.matches[]; .kind == "blob_digest" and .layer == 2)'
		dray_run explain "$blob" "$place"
		expect 0
		[[ $output == *blob_digest*compressed* ]]
	done
	dray_run explain --json "$REGISTRY_ADDR/e/x:1"
	expect 0
	shape "registry" "$output"
	is_true "$output" '.images[0].manifest_digest == $d and all(.images[0].layers[]; .compression == "gzip" and .path == null)' --arg d "$manifest"
}

@test "images: a table for people, all images of a place" {
	image_need multi
	dray_run images "$IMAGE"
	expect 0
	[[ $output == *test/multi-a:1*$(docker_image_id test/multi-a:1 | cut -c 8-19)* ]]
	[[ $output == *test/multi-b:1*$(docker_image_id test/multi-b:1 | cut -c 8-19)* ]]
	dray_piped "$IMAGE" images --json -
	expect 0
	same tags "$(jq -c '[.images[].tags[]]' <<<"$output")" '["test/multi-a:1","test/multi-b:1"]'
	image_need tags
	dray_run images --json "$IMAGE"
	same tags "$(jq -c '.images[0].tags' <<<"$output")" '["test/other:2","localhost:5000/deep/er/name:v3"]'
	image_need untagged
	dray_run images --json "$IMAGE"
	same tags "$(jq -c '.images[0].tags' <<<"$output")" '[]'
	image_need skopeo-layout
	dray_run images --json "$IMAGE"
	expect 0
	is_true "$output" '.images | length == 1'
}

@test "inspect: documents untouched, config in JSON" {
	require_peer skopeo
	image_need sym
	config=$(tar xOf "$IMAGE" manifest.json | jq -r '.[0].Config')
	dray_run inspect --json "$IMAGE"
	expect 0
	same config "$(jq -S -c '.images[0].config' <<<"$output")" "$(tar xOf "$IMAGE" "$config" | jq -S -c .config)"
	"$DRAY" inspect --config "$IMAGE" >"$BATS_TEST_TMPDIR/config"
	tar xOf "$IMAGE" "$config" | cmp - "$BATS_TEST_TMPDIR/config"
	dray_run inspect "$IMAGE"
	expect 0
	[[ $output == *"$SYM_LINE"* ]]
	dray_run inspect --raw "$IMAGE"
	expect 3
	image_need skopeo-oci
	skopeo inspect --raw "oci-archive:$IMAGE" >"$BATS_TEST_TMPDIR/manifest"
	"$DRAY" inspect --raw "$IMAGE" | cmp - "$BATS_TEST_TMPDIR/manifest"
	registry_start main plain
	"$DRAY" push -q "$IMAGE" "$REGISTRY_ADDR/i/x:1"
	"$DRAY" inspect --raw "$REGISTRY_ADDR/i/x:1" | cmp - "$BATS_TEST_TMPDIR/manifest"
	skopeo inspect --config --raw "oci-archive:$IMAGE" >"$BATS_TEST_TMPDIR/config"
	"$DRAY" inspect --config "$REGISTRY_ADDR/i/x:1" | cmp - "$BATS_TEST_TMPDIR/config"
}

@test "digest: the manifest's, the image's, or not there" {
	require_peer skopeo
	image_need sym
	dray_run digest --image-id "$IMAGE"
	expect 0
	same "image ID" "$output" "$(docker_image_id test/sym:1)"
	dray_run digest "$IMAGE"
	expect 3 "*hint:*--image-id*"
	absent stdout "$output"
	image_need skopeo-layout
	dray_run digest "$IMAGE"
	expect 0
	same digest "$output" "$(source_manifest_digest "oci:$IMAGE:1")"
	registry_start main plain
	dray_run push "$IMAGE" "$REGISTRY_ADDR/d/x:1"
	ok
	dray_run digest "$REGISTRY_ADDR/d/x:1"
	expect 0
	same digest "$output" "$DIGEST"
	dray_run digest --image-id "$REGISTRY_ADDR/d/x@$DIGEST"
	same "image ID" "$output" "$(remote_image_id "$REGISTRY_ADDR" d/x 1)"
	dray_run digest --json "$REGISTRY_ADDR/d/x:1"
	expect 0
	jq -e . <<<"$output"
}

@test "explain: exit codes and errors in JSON" {
	image_need sym
	dray_run explain
	expect 2
	dray_run explain "$BATS_TEST_TMPDIR/none.tar"
	expect 3
	dray_run explain "docker-archive:$BATS_TEST_TMPDIR/none.tar"
	expect 3
	dray_run explain --json "docker-archive:$IMAGE:other:1"
	expect 3
	is_true "$output" '.error.code == "not-found" and (.error.message | contains("other:1"))'
	head -c 700000 "$IMAGE" >"$BATS_TEST_TMPDIR/cut.tar"
	dray_run explain "$BATS_TEST_TMPDIR/cut.tar"
	expect 6
	dray_piped "$BATS_TEST_TMPDIR/cut.tar" explain -
	expect 6
	dray_run explain "docker-daemon:x:1"
	expect 3
	dray_run explain "containers-storage:[$BATS_TEST_TMPDIR/none]x"
	expect 3
	dray_run explain --retry 0 "$NOBODY/x/y:1"
	expect 5
	registry_start ht htpasswd
	dray_run explain "$REGISTRY_ADDR/x/y:1"
	expect 4
	dray_run explain --creds "$REGISTRY_USER:$REGISTRY_PASS" "$REGISTRY_ADDR/x/y:1"
	expect 3
}
