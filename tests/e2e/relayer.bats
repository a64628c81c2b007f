#!/usr/bin/env bats
# flatten and squash: other layers, the same files, and engines that agree.

load lib

MT_SCHEMA1=application/vnd.docker.distribution.manifest.v1+prettyjws

setup() {
	verbs_setup
	T=$BATS_TEST_TMPDIR
}
teardown() { peers_teardown; }

@test "flatten and squash of a build full of tricks: the same tree in docker, podman and skopeo" {
	local how file
	image_need tricks
	require_peer podman skopeo
	id_of "$IMAGE"
	local want=$ID
	tree_of test/tricks:1 "$T/want"
	[ "$(wc -l <"$T/want")" -gt 200 ]
	for how in "flatten" "squash --last 2" "squash --last 8" "squash --from 1"; do
		file=$T/${how// /-}.tar
		# shellcheck disable=SC2086
		dray_run $how "$IMAGE" -o "docker-archive:$file:made/${how%% *}:1"
		ok
		[[ $stderr == *"rootfs id before: sha256:"*"(the same files)"* ]]
		id_of "$file"
		same "$how" "$ID" "$want"
		consistent "$file"
		docker load --quiet -i "$file"
		same "image ID in docker" "$(docker_image_id "made/${how%% *}:1")" "$DIGEST"
		tree_of "made/${how%% *}:1" "$T/got"
		diff "$T/want" "$T/got"
		same "it runs" "$(docker_run "made/${how%% *}:1" /bin/cat /d/n)" new
		docker rmi "made/${how%% *}:1" >/dev/null
		podman load --quiet -i "$file"
		same "podman runs it" "$(podman_run "docker.io/made/${how%% *}:1" /bin/cat /d/n)" new
		podman rmi "docker.io/made/${how%% *}:1" >/dev/null
		skopeo inspect "docker-archive:$file" >/dev/null
	done
}

@test "every kind of place: from it and to it the same image ID" {
	image_need tricks
	dray_run flatten "$IMAGE" -o "$T/flat.tar"
	ok
	local id=$DIGEST src dst
	registry_start relayer plain
	"$DRAY" copy -q "$IMAGE" "oci:$T/layout:1" >/dev/null
	"$DRAY" copy -q "$IMAGE" "dir:$T/dir" >/dev/null
	"$DRAY" push -q "$IMAGE" "$REGISTRY_ADDR/tricks:1" >/dev/null
	for src in "oci:$T/layout:1" "dir:$T/dir" "$REGISTRY_ADDR/tricks:1" docker-daemon:test/tricks:1; do
		dray_run flatten "$src" -o "$T/again.tar"
		ok
		same "from $src" "$DIGEST" "$id"
	done
	dray_piped "$IMAGE" flatten - -o "$T/again.tar"
	ok
	same "from a pipe" "$DIGEST" "$id"
	for dst in "oci:$T/layout:flat" "oci-archive:$T/o.tar" "dir:$T/dirflat" "docker://$REGISTRY_ADDR/tricks:flat" \
		docker-daemon:made/engine:1; do
		dray_run flatten "$IMAGE" -o "$dst"
		ok
		case $dst in oci:*) dst=oci:$T/layout:flat ;; esac
		dray_run digest --image-id "$dst"
		expect 0
		same "to $dst" "$output" "$id"
	done
	docker rmi made/engine:1 >/dev/null
}

@test "squash keeps the lower blobs and sends nothing of them; a registry makes schema 1 of the result" {
	image_need tricks
	registry_start schema1 plain REGISTRY_COMPATIBILITY_SCHEMA1_ENABLED=true
	"$DRAY" push -q "$IMAGE" "$REGISTRY_ADDR/tricks:1" >/dev/null
	dray_run squash "$REGISTRY_ADDR/tricks:1" --last 3 -o "docker://$REGISTRY_ADDR/tricks:squashed" --json
	expect 0
	same "sent" "$(jq .made.blobs_sent <<<"$output")" 1
	same "kept" "$(jq .layers_kept <<<"$output")" 6
	same "layers" "$(jq -c '[.layers_before, .layers]' <<<"$output")" "[9,7]"
	jq -e '.schema == 1 and .rootfs_id == .rootfs_id_before and .image_id_before != .made.image_id' <<<"$output"
	diff <("$DRAY" manifest "$REGISTRY_ADDR/tricks:1" | jq -c '.layers[:6][]') \
		<("$DRAY" manifest "$REGISTRY_ADDR/tricks:squashed" | jq -c '.layers[:6][]')
	consistent "$REGISTRY_ADDR/tricks:squashed"
	"$DRAY" flatten -q "$IMAGE" -o "docker://$REGISTRY_ADDR/tricks:flat" >/dev/null
	for tag in squashed flat; do
		curl -fsS -H "Accept: $MT_SCHEMA1" "$REGISTRY_URL/v2/tricks/manifests/$tag" >"$T/s1.json"
		same version "$(jq .schemaVersion "$T/s1.json")" 1
	done
}

@test "an OCI layout keeps its family, annotations and blobs; --compression converts all" {
	image_need tricks
	"$DRAY" copy -q "$IMAGE" "oci:$T/o:1" >/dev/null
	python3 - "$T/o" <<-'END'
		import hashlib, json, os, sys
		top = sys.argv[1]
		index = json.load(open(top + "/index.json"))
		entry = index["manifests"][0]
		old = top + "/blobs/sha256/" + entry["digest"][7:]
		m = json.load(open(old))
		m["annotations"] = {"org.opencontainers.image.title": "caf\u00e9"}
		m["layers"][0]["annotations"] = {"k": "v"}
		raw = json.dumps(m).encode()
		os.remove(old)
		entry["digest"], entry["size"] = "sha256:" + hashlib.sha256(raw).hexdigest(), len(raw)
		open(top + "/blobs/sha256/" + entry["digest"][7:], "wb").write(raw)
		json.dump(index, open(top + "/index.json", "w"))
	END
	dray_run squash "oci:$T/o:1" --last 2 -o "oci:$T/o:2"
	ok
	"$DRAY" inspect --raw "oci:$T/o:2" >"$T/m.json"
	same annotations "$(jq -r '.annotations[]' "$T/m.json")" café
	same "of a layer" "$(jq -c '.layers[0].annotations' "$T/m.json")" '{"k":"v"}'
	diff <("$DRAY" inspect --raw "oci:$T/o:1" | jq -c '.layers[:7][] | [.digest, .size]') <(jq -c '.layers[:7][] | [.digest, .size]' "$T/m.json")
	dray_run squash "oci:$T/o:1" --last 2 -o "oci:$T/z:1" --compression zstd
	ok
	same zstd "$(jq -r '.layers[].mediaType' <("$DRAY" inspect --raw "oci:$T/z:1") | sort -u)" application/vnd.oci.image.layer.v1.tar+zstd
	"$DRAY" verify -q "oci:$T/z:1" >/dev/null
	"$DRAY" verify -q "oci:$T/o:2" >/dev/null
}

@test "what cannot be done is told, and leaves nothing" {
	image_need tricks
	dray_run flatten "$IMAGE"
	expect 2 "*where the new image goes*hint: dray flatten IMAGE -o DST*"
	dray_run squash "$IMAGE" -o "$T/x.tar"
	expect 2 "*--last N or --from LAYER*"
	dray_run squash "$IMAGE" --last 2 --from 1 -o "$T/x.tar"
	expect 2 "*one of both*"
	dray_run squash "$IMAGE" --last 10 -o "$T/x.tar"
	expect 2 "*has 9 layers, not 10*"
	dray_run squash "$IMAGE" --from 9 -o "$T/x.tar"
	expect 2 "*has 9 layers*"
	dray_run squash "$IMAGE" --from x -o "$T/x.tar"
	expect 2 "*no number and no digest*"
	dray_run squash "$IMAGE" --from "sha256:$(printf '%064d' 0)" -o "$T/x.tar"
	expect 3 "*no layer of DiffID*"
	: >"$T/there.tar"
	dray_run flatten "$IMAGE" -o "$T/there.tar" --no-clobber
	expect 2 "*exists*"
	"$DRAY" copy -q "$IMAGE" "oci:$T/o:1" >/dev/null
	# One byte of the lowest blob.
	local blob
	blob=$T/o/blobs/sha256/$("$DRAY" inspect --raw "oci:$T/o:1" | jq -r '.layers[0].digest[7:]')
	printf x | dd of="$blob" bs=1 seek=5000 conv=notrunc status=none
	for verb in flatten "squash --last 9"; do
		# shellcheck disable=SC2086
		dray_run $verb "oci:$T/o:1" -o "$T/x.tar"
		expect 6
	done
	[ ! -e "$T/x.tar" ]
	absent "left behind" "$(find "$T" -name 'x.tar*' -o -name '*.tmp*' | head)"
	absent "temporary files" "$(ls -A "$TMPDIR")"
}

@test "a DiffID names a layer as its number does; a squash of all is a tree of one layer" {
	image_need tricks
	local diff_id
	diff_id=$("$DRAY" inspect --json "$IMAGE" | jq -r '.images[0].layers[4].diff_id')
	dray_run squash "$IMAGE" --from "$diff_id" -o "$T/a.tar"
	ok
	local id=$DIGEST
	dray_run squash "$IMAGE" --from 4 -o "$T/b.tar"
	ok
	same "image ID" "$DIGEST" "$id"
	cmp "$T/a.tar" "$T/b.tar"
	# As blame and diff show it, and as other tools do.
	local hex=${diff_id#sha256:} short
	for short in "${hex:0:12}" "${hex:0:30}" "$hex" "${diff_id:0:19}"; do
		dray_run squash "$IMAGE" --from "$short" -o "$T/b.tar"
		ok
		same "image ID by $short" "$DIGEST" "$id"
	done
	for short in "${hex:0:11}x" "${diff_id:0:18}" "${diff_id}0" "sha256:" "${hex:0:12}G"; do
		dray_run squash "$IMAGE" --from "$short" -o "$T/x.tar"
		expect 2 "*is no number and no digest*"
	done
	dray_run squash "$IMAGE" --from 0123456789ab -o "$T/x.tar"
	expect 3 "*no layer of DiffID 0123456789ab*"
	dray_run squash "$IMAGE" --from 012345678901 -o "$T/x.tar"
	expect 3 "*no layer of DiffID 012345678901*"
	[ ! -e "$T/x.tar" ]
	dray_run squash "$IMAGE" --last 9 -o "$T/c.tar"
	ok
	same "layers" "$("$DRAY" inspect --json "$T/c.tar" | jq '.images[0].layers | length')" 1
	# In place of its source.
	cp "$T/a.tar" "$T/self.tar"
	dray_run flatten "$T/self.tar" -o "$T/self.tar"
	ok
	"$DRAY" verify -q "$T/self.tar" >/dev/null
}
