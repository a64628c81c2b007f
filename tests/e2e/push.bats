#!/usr/bin/env bats
# push: from files and pipes of every producer, to real registries, read back by real engines.

load lib

setup() { verbs_setup; }
teardown() { peers_teardown; }

# ---------------------------------------------------------------------------------------------------------------------
# One image, from a file and from a pipe

@test "push: symlinked save from a file: docker, podman and skopeo agree, containers run" {
	image_need sym
	registry_start main plain
	dray_run push "$IMAGE" "$REGISTRY_ADDR/test/sym:1"
	ok
	same reference "$output" "$REGISTRY_ADDR/test/sym@$(registry_digest main test/sym 1)"
	same "walk" "$(remote_walk "$REGISTRY_ADDR" test/sym 1)" "$DIGEST"
	engines_agree "$REGISTRY_ADDR/test/sym:1" "$(docker_image_id test/sym:1)" "$SYM_LINE"
}

@test "push: docker save piped straight in" {
	image_need sym
	registry_start main plain
	run --separate-stderr bash -c 'set -o pipefail; "$0" save test/sym:1 | "$1" push - "$2"' \
		"$PEER_DOCKER" "$DRAY" "$REGISTRY_ADDR/test/piped:1"
	ok
	piped=$DIGEST
	expect 0 "* 3 blobs sent *"
	engines_agree "$REGISTRY_ADDR/test/piped:1" "$(docker_image_id test/sym:1)" "$SYM_LINE"
	dray_run push "$IMAGE" "docker://$REGISTRY_ADDR/test/piped:file"
	ok
	same "file and pipe" "$DIGEST" "$piped"
}

@test "push: archives compressed as a whole, file and pipe: one digest" {
	image_need sym
	registry_start main plain
	dray_run push "$IMAGE" "$REGISTRY_ADDR/c/plain:1"
	ok
	want=$DIGEST
	for how in gzip xz zstd bzip2; do
		"$how" -c <"$IMAGE" >"$BATS_TEST_TMPDIR/sym.$how"
		dray_run push "$BATS_TEST_TMPDIR/sym.$how" "$REGISTRY_ADDR/c/file-$how:1"
		ok
		same "$how file" "$DIGEST" "$want"
		dray_piped "$BATS_TEST_TMPDIR/sym.$how" push - "$REGISTRY_ADDR/c/pipe-$how:1"
		ok
		same "$how pipe" "$DIGEST" "$want"
		same "walk" "$(remote_walk "$REGISTRY_ADDR" "c/pipe-$how" 1)" "$want"
	done
}

@test "push: the same bytes whatever the jobs, file or pipe, first or second time" {
	image_need big
	registry_start main plain
	want=
	for jobs in 1 4; do
		dray_run push --jobs "$jobs" --no-cache "$IMAGE" "$REGISTRY_ADDR/jobs/f$jobs:1"
		ok
		same "file, $jobs jobs" "$DIGEST" "${want:=$DIGEST}"
		dray_piped "$IMAGE" push --jobs "$jobs" --no-cache - "$REGISTRY_ADDR/jobs/p$jobs:1"
		ok
		same "pipe, $jobs jobs" "$DIGEST" "$want"
	done
	dray_run push "$IMAGE" "$REGISTRY_ADDR/jobs/f1:1"
	ok
	same "again" "$DIGEST" "$want"
	docker_agrees "$REGISTRY_ADDR/jobs/p4:1" "$(docker_image_id test/big:1)" "$BIG_LINE"
}

@test "push: a tag is latest when none is given; a digest pins the manifest" {
	image_need sym
	registry_start main plain
	dray_run push "$IMAGE" "$REGISTRY_ADDR/test/sym"
	ok
	same latest "$(registry_digest main test/sym latest)" "$DIGEST"
	dray_run push "$IMAGE" "$REGISTRY_ADDR/test/pinned@$DIGEST"
	ok
	same pinned "$(remote_walk "$REGISTRY_ADDR" test/pinned "$DIGEST")" "$DIGEST"
	dray_run push "$IMAGE" "$REGISTRY_ADDR/test/pinned@sha256:$(printf '%064d' 0)"
	expect 6 "*manifest digest*"
}

# ---------------------------------------------------------------------------------------------------------------------
# Which image

@test "push: several images, one is chosen" {
	image_need multi
	registry_start main plain
	a=$(docker_image_id test/multi-a:1) b=$(docker_image_id test/multi-b:1)
	dray_run push "$IMAGE" "$REGISTRY_ADDR/m/none:1"
	expect 2 "*test/multi-a:1*test/multi-b:1*"
	absent tag "$(remote_walk "$REGISTRY_ADDR" m/none 1)"
	dray_run push "docker-archive:$IMAGE:test/multi-b:1" "$REGISTRY_ADDR/m/name:1"
	ok
	same "by name" "$(remote_image_id "$REGISTRY_ADDR" m/name 1)" "$b"
	dray_run push "docker-archive:$IMAGE:@0" "$REGISTRY_ADDR/m/at:1"
	ok
	same "by @0" "$(remote_image_id "$REGISTRY_ADDR" m/at 1)" "$a"
	for choice in test/multi-b:1 @1 "$b"; do
		dray_run push --image "$choice" "$IMAGE" "$REGISTRY_ADDR/m/image:1"
		ok
		same "--image $choice" "$(remote_image_id "$REGISTRY_ADDR" m/image 1)" "$b"
		dray_piped "$IMAGE" push --image "$choice" - "$REGISTRY_ADDR/m/pipe:1"
		ok
		same "pipe --image $choice" "$(remote_image_id "$REGISTRY_ADDR" m/pipe 1)" "$b"
	done
	docker_agrees "$REGISTRY_ADDR/m/pipe:1" "$b" "multi b"
	docker_agrees "$REGISTRY_ADDR/m/at:1" "$a" "multi a"
	dray_run push --image @2 "$IMAGE" "$REGISTRY_ADDR/m/none:1"
	expect 3
	dray_run push --image no/such:1 "$IMAGE" "$REGISTRY_ADDR/m/none:1"
	expect 3
	dray_run push --all "$IMAGE" "$REGISTRY_ADDR/m/none:1"
	expect 2
}

@test "push: without REF each image goes where its own tags say" {
	image_need multi
	registry_start main plain
	docker tag test/multi-a:1 "$REGISTRY_ADDR/own/a:1"
	docker tag test/multi-a:1 "$REGISTRY_ADDR/own/a:2"
	docker tag test/multi-b:1 "$REGISTRY_ADDR/own/b:1"
	docker save -o "$BATS_TEST_TMPDIR/own.tar" test/multi-a:1 "$REGISTRY_ADDR/own/a:1" "$REGISTRY_ADDR/own/a:2" \
		"$REGISTRY_ADDR/own/b:1"
	docker save -o "$BATS_TEST_TMPDIR/one.tar" "$REGISTRY_ADDR/own/b:1"
	docker rmi "$REGISTRY_ADDR/own/a:1" "$REGISTRY_ADDR/own/a:2" "$REGISTRY_ADDR/own/b:1"
	dray_run push "$BATS_TEST_TMPDIR/one.tar"
	ok
	same b "$(registry_digest main own/b 1)" "$DIGEST"
	dray_run push "$BATS_TEST_TMPDIR/own.tar"
	expect 2 "*@0 *@1 *"
	dray_run push --all "$BATS_TEST_TMPDIR/own.tar"
	expect 0
	same lines "${#lines[@]}" 2
	# dockerd saves them in any order.
	same "results" "$(sort <<<"$output")" "$(printf '%s\n' "$REGISTRY_ADDR/own/a@$(registry_digest main own/a 2)" \
		"$REGISTRY_ADDR/own/b@$(registry_digest main own/b 1)")"
	same "a's tags" "$(registry_digest main own/a 1)" "$(registry_digest main own/a 2)"
	same "a" "$(remote_image_id "$REGISTRY_ADDR" own/a 1)" "$(docker_image_id test/multi-a:1)"
	same "b" "$(remote_image_id "$REGISTRY_ADDR" own/b 1)" "$(docker_image_id test/multi-b:1)"
	dray_piped "$BATS_TEST_TMPDIR/one.tar" push -
	expect 2 "*hint:*"
	dray_run push "$IMAGE" --all
	expect 2 "*registry host*hint:*"
	dray_run push --all --json "$BATS_TEST_TMPDIR/own.tar"
	expect 0
	same json "$(jq '.copied | length' <<<"$output")" 2
}

@test "push: an untagged save, and one with several tags" {
	image_need untagged
	registry_start main plain
	dray_run push "$IMAGE" "$REGISTRY_ADDR/test/untagged:1"
	ok
	docker_agrees "$REGISTRY_ADDR/test/untagged:1" "$(docker_image_id test/sym:1)" "$SYM_LINE"
	dray_run push "$IMAGE"
	expect 2
	image_need tags
	dray_piped "$IMAGE" push - "$REGISTRY_ADDR/test/tags:1"
	ok
	same "image ID" "$(remote_image_id "$REGISTRY_ADDR" test/tags 1)" "$(docker_image_id test/sym:1)"
}

# ---------------------------------------------------------------------------------------------------------------------
# Who saved it

# pushed_from NAME SCHEME: by file and, where it is one, by pipe. Image ID and, for OCI sources, manifest digest stay.
pushed_from() {
	local name=$1 scheme=$2 id manifest
	image_need "$name"
	id=$(source_image_id "$scheme:$IMAGE")
	dray_run push "$IMAGE" "$REGISTRY_ADDR/from/$name:1"
	ok
	same "walk" "$(remote_walk "$REGISTRY_ADDR" "from/$name" 1)" "$DIGEST"
	same "image ID" "$(remote_image_id "$REGISTRY_ADDR" "from/$name" 1)" "$id"
	docker_agrees "$REGISTRY_ADDR/from/$name:1" "$id" "$SYM_LINE"
	manifest=$DIGEST
	if [ "$scheme" != docker-archive ] && [ "${3:-}" != converts ]; then
		same "manifest digest" "$manifest" "$(source_manifest_digest "$scheme:$IMAGE")"
	fi
	if [ -f "$IMAGE" ]; then
		dray_piped "$IMAGE" push - "$REGISTRY_ADDR/pipe/$name:1"
		ok
		same "pipe" "$(remote_walk "$REGISTRY_ADDR" "pipe/$name" 1)" "$manifest"
	fi
}

@test "push: from podman's docker and OCI archives" {
	require_peer podman skopeo
	registry_start main plain
	pushed_from podman-docker docker-archive
	pushed_from podman-oci oci-archive
}

@test "push: from skopeo's docker archive, OCI archive and layout" {
	require_peer skopeo
	registry_start main plain
	pushed_from skopeo-docker docker-archive
	pushed_from skopeo-oci oci-archive
	pushed_from skopeo-layout oci
}

@test "push: from buildah's archives" {
	require_peer buildah skopeo
	registry_start main plain
	pushed_from buildah-docker docker-archive
	pushed_from buildah-oci oci-archive
}

@test "push: from containerd's hybrid; uncompressed layers are compressed and that is said" {
	require_peer ctr skopeo
	registry_start main plain
	pushed_from ctr-oci oci-archive converts
	dray_run push "$IMAGE" "$REGISTRY_ADDR/from/ctr-oci:again"
	expect 0 "*changed:*uncompressed*"
}

@test "push: from podman's multi-image archive, both images" {
	require_peer podman
	image_need podman-multi
	registry_start main plain
	for at in 0 1; do
		dray_run push "docker-archive:$IMAGE:@$at" "$REGISTRY_ADDR/podman/multi:$at"
		ok
		dray_piped "$IMAGE" push --image "@$at" - "$REGISTRY_ADDR/podman/pipe:$at"
		ok
		same "file and pipe" "$(registry_digest main podman/multi "$at")" "$DIGEST"
	done
	docker_agrees "$REGISTRY_ADDR/podman/multi:1" "$(docker_image_id test/multi-b:1)" "multi b"
}

@test "push: from an archive in crane's shape, gzip layers inside: blobs stay as they are" {
	image_need crane-docker
	registry_start main plain
	dray_run push "$IMAGE" "$REGISTRY_ADDR/crane/file:1"
	ok
	docker_agrees "$REGISTRY_ADDR/crane/file:1" "$(docker_image_id test/sym:1)" "$SYM_LINE"
	dray_piped "$IMAGE" push - "$REGISTRY_ADDR/crane/pipe:1"
	ok
	same "file and pipe" "$(registry_digest main crane/file 1)" "$DIGEST"
	for layer in $(tar xOf "$IMAGE" manifest.json | jq -r '.[0].Layers[]'); do
		digest=$(tar xOf "$IMAGE" "$layer" | sha256sum | cut -d ' ' -f 1)
		remote_manifest "$REGISTRY_ADDR" crane/file 1 | grep -q "$digest"
	done
}

# ---------------------------------------------------------------------------------------------------------------------
# Kinds of registries

@test "push: loopback without TLS needs no flag, and takes one" {
	image_need sym
	registry_start main plain
	dray_run push "$IMAGE" "$REGISTRY_ADDR/p/x:1"
	ok
	dray_run push --plain-http "$IMAGE" "$REGISTRY_ADDR/p/x:2"
	ok
	dray_run push "$IMAGE" "localhost:${REGISTRY_ADDR##*:}/p/x:3"
	ok
	same "host in the result" "${output%%/*}" "localhost:${REGISTRY_ADDR##*:}"
}

@test "push: TLS by certs.d, by --cert-dir, unverified on demand only" {
	image_need sym
	registry_start tls tls
	dray_run push "$IMAGE" "$REGISTRY_ADDR/t/x:1"
	ok
	want=$DIGEST
	mv "$REGISTRY_CERT_DIR" "$BATS_TEST_TMPDIR/certs"
	dray_run push "$IMAGE" "$REGISTRY_ADDR/t/x:2"
	expect 5 "*certificate*hint:*"
	dray_run push --cert-dir "$BATS_TEST_TMPDIR/certs" "$IMAGE" "$REGISTRY_ADDR/t/x:3"
	ok
	same "--cert-dir" "$DIGEST" "$want"
	dray_run push --tls-verify=false "$IMAGE" "$REGISTRY_ADDR/t/x:4"
	ok
	same "--tls-verify=false" "$DIGEST" "$want"
	mv "$BATS_TEST_TMPDIR/certs" "$REGISTRY_CERT_DIR"
	absent "x:2" "$(registry_digest tls t/x 2 2>/dev/null)"
	engines_agree "$REGISTRY_ADDR/t/x:1" "$(docker_image_id test/sym:1)" "$SYM_LINE"
}

@test "push: client certificates" {
	image_need sym
	registry_start mtls mtls
	dray_run push "$IMAGE" "$REGISTRY_ADDR/t/x:1"
	ok
	mv "$REGISTRY_CERT_DIR" "$BATS_TEST_TMPDIR/certs"
	dray_piped "$IMAGE" push --cert-dir "$BATS_TEST_TMPDIR/certs" - "$REGISTRY_ADDR/t/x:2"
	ok
	rm "$BATS_TEST_TMPDIR/certs"/client.*
	dray_run push --retry 0 --cert-dir "$BATS_TEST_TMPDIR/certs" "$IMAGE" "$REGISTRY_ADDR/t/x:3"
	expect 5 "*hint:*--cert-dir*"
}

# An auths entry as docker login writes it.
auth_json() { jq -n --arg h "$1" --arg a "$(printf %s "$2" | base64 -w 0)" '{auths: {($h): {auth: $a}}}'; }

@test "push: credentials by flag, docker config, auth file, REGISTRY_AUTH_FILE and helper" {
	image_need sym
	registry_start ht tls-htpasswd
	creds=$REGISTRY_USER:$REGISTRY_PASS
	auth_json "$REGISTRY_ADDR" "$creds" >"$BATS_TEST_TMPDIR/auth.json"
	auth_json "$REGISTRY_ADDR" "$REGISTRY_USER:wrong" >"$BATS_TEST_TMPDIR/wrong.json"

	dray_run push "$IMAGE" "$REGISTRY_ADDR/a/x:1"
	expect 4 "*hint:*--creds*"
	dray_run push --creds "$creds" "$IMAGE" "$REGISTRY_ADDR/a/x:1"
	ok
	dray_run push --creds "$REGISTRY_USER:wrong" "$IMAGE" "$REGISTRY_ADDR/a/x:2"
	expect 4
	dray_run push --authfile "$BATS_TEST_TMPDIR/auth.json" "$IMAGE" "$REGISTRY_ADDR/a/x:3"
	ok
	dray_run push --authfile "$BATS_TEST_TMPDIR/wrong.json" "$IMAGE" "$REGISTRY_ADDR/a/x:4"
	expect 4
	REGISTRY_AUTH_FILE=$BATS_TEST_TMPDIR/auth.json dray_piped "$IMAGE" push - "$REGISTRY_ADDR/a/x:5"
	ok
	mkdir "$BATS_TEST_TMPDIR/docker"
	cp "$BATS_TEST_TMPDIR/auth.json" "$BATS_TEST_TMPDIR/docker/config.json"
	DOCKER_CONFIG=$BATS_TEST_TMPDIR/docker dray_run push "$IMAGE" "$REGISTRY_ADDR/a/x:6"
	ok
	cat >"$BATS_TEST_TMPDIR/docker-credential-e2e" <<-EOF_HELPER
		#!/bin/sh
		[ "\$1" = get ] || exit 1
		read -r host
		[ "\$host" = "$REGISTRY_ADDR" ] || { echo "credentials not found in native keychain"; exit 1; }
		printf '{"ServerURL":"%s","Username":"%s","Secret":"%s"}' "\$host" "$REGISTRY_USER" "$REGISTRY_PASS"
	EOF_HELPER
	chmod +x "$BATS_TEST_TMPDIR/docker-credential-e2e"
	jq -n --arg h "$REGISTRY_ADDR" '{credHelpers: {($h): "e2e"}}' >"$BATS_TEST_TMPDIR/docker/config.json"
	PATH=$BATS_TEST_TMPDIR:$PATH DOCKER_CONFIG=$BATS_TEST_TMPDIR/docker dray_run push "$IMAGE" "$REGISTRY_ADDR/a/x:7"
	ok
	echo '{"credsStore": "e2e"}' >"$BATS_TEST_TMPDIR/docker/config.json"
	PATH=$BATS_TEST_TMPDIR:$PATH DOCKER_CONFIG=$BATS_TEST_TMPDIR/docker dray_run push "$IMAGE" "$REGISTRY_ADDR/a/x:8"
	ok
	same "tags" "$(registry_curl ht /v2/a/x/tags/list | jq -c '.tags | sort')" '["1","3","5","6","7","8"]'
}

@test "push: N-14 no secret on stderr, however verbose" {
	image_need sym
	registry_start ht htpasswd
	dray_run push -vv --creds "$REGISTRY_USER:$REGISTRY_PASS" "$IMAGE" "$REGISTRY_ADDR/a/x:1"
	ok
	[ -n "$stderr" ]
	[[ $stderr != *"$REGISTRY_PASS"* ]]
	[[ $stderr != *"$(printf %s "$REGISTRY_USER:$REGISTRY_PASS" | base64 -w 0)"* ]]
	dray_run push -vv --creds "$REGISTRY_USER:hunter-2-secret" "$IMAGE" "$REGISTRY_ADDR/a/x:1"
	expect 4
	[[ $stderr != *hunter-2-secret* ]]
}

@test "push: bearer tokens, also such as die in mid-push" {
	image_need sym
	for form in "" "--token-uses 3" "--token-uses 5" "--token-ttl 1"; do
		# shellcheck disable=SC2086
		fakereg_start "bearer" --auth bearer --user u --password "p:w" $form
		dray_run push --jobs 1 --creds "u:p:w" "$IMAGE" "$FAKEREG_ADDR/b/file:1"
		ok
		want=$DIGEST
		dray_piped "$IMAGE" push --creds "u:p:w" - "$FAKEREG_ADDR/b/pipe:1"
		ok
		same "pipe" "$DIGEST" "$want"
		dray_run push --creds "u:wrong" "$IMAGE" "$FAKEREG_ADDR/b/file:2"
		expect 4
		fakereg_stop bearer
	done
}

@test "push: a token that dies while a blob is on its way" {
	image_need big
	fakereg_start ttl --auth bearer --user u --password p --token-ttl 1 --fault trickle=6000000@PATCH
	dray_piped "$IMAGE" push --jobs 1 --creds u:p - "$FAKEREG_ADDR/b/pipe:1"
	ok
	[ "$(fakereg_requests "$FAKEREG_ADDR" 'select(.kind == "token")' | wc -l)" -gt 1 ]
}

# ---------------------------------------------------------------------------------------------------------------------
# What is written

@test "push: schema2 by default, OCI on demand; layers in every compression" {
	require_peer skopeo podman
	image_need sym
	registry_start main plain
	id=$(docker_image_id test/sym:1)
	for format in docker oci; do
		for how in gzip gzip-single none; do
			dray_run push --no-cache --format "$format" --compression "$how" "$IMAGE" "$REGISTRY_ADDR/$format/$how:1"
			ok
			same "walk" "$(remote_walk "$REGISTRY_ADDR" "$format/$how" 1)" "$DIGEST"
			dray_piped "$IMAGE" push --no-cache --format "$format" --compression "$how" - "$REGISTRY_ADDR/$format/$how:p"
			ok
			same "pipe" "$DIGEST" "$(registry_digest main "$format/$how" 1)"
			same "image ID" "$(remote_image_id "$REGISTRY_ADDR" "$format/$how" 1)" "$id"
			if [ "$format-$how" = oci-gzip ]; then
				engines_agree "$REGISTRY_ADDR/$format/$how:1" "$id" "$SYM_LINE"
			else
				docker_agrees "$REGISTRY_ADDR/$format/$how:1" "$id" "$SYM_LINE"
			fi
		done
	done
	same "docker types" "$(remote_manifest "$REGISTRY_ADDR" docker/gzip 1 | jq -r '.mediaType, .config.mediaType, .layers[].mediaType' | sort -u)" \
		"$(printf '%s\n' application/vnd.docker.container.image.v1+json $MT_DOCKER_MANIFEST application/vnd.docker.image.rootfs.diff.tar.gzip)"
	same "OCI types" "$(remote_manifest "$REGISTRY_ADDR" oci/none 1 | jq -r '.mediaType, .config.mediaType, .layers[].mediaType' | sort -u)" \
		"$(printf '%s\n' application/vnd.oci.image.config.v1+json application/vnd.oci.image.layer.v1.tar $MT_OCI_MANIFEST)"
	dray_run push "$IMAGE" "$REGISTRY_ADDR/default/x:1"
	ok
	same "default" "$DIGEST" "$(registry_digest main docker/gzip 1)"
}

@test "push: zstd layers, read by podman and skopeo" {
	require_peer skopeo podman
	image_need sym
	registry_start main plain
	id=$(docker_image_id test/sym:1)
	dray_run push --compression zstd "$IMAGE" "$REGISTRY_ADDR/z/file:1"
	ok
	same "type" "$(remote_manifest "$REGISTRY_ADDR" z/file 1 | jq -r '.mediaType, .layers[0].mediaType')" \
		"$(printf '%s\n' "$MT_OCI_MANIFEST" application/vnd.oci.image.layer.v1.tar+zstd)"
	dray_piped "$IMAGE" push --compression zstd - "$REGISTRY_ADDR/z/pipe:1"
	ok
	same "pipe" "$DIGEST" "$(registry_digest main z/file 1)"
	podman pull --quiet --tls-verify=false "$REGISTRY_ADDR/z/file:1"
	same "podman" "sha256:$(podman image inspect --format '{{.Id}}' "$REGISTRY_ADDR/z/file:1")" "$id"
	same "podman run" "$(podman_run "$REGISTRY_ADDR/z/file:1")" "$SYM_LINE"
	podman rmi "$REGISTRY_ADDR/z/file:1"
	skopeo copy --quiet --src-tls-verify=false "docker://$REGISTRY_ADDR/z/file:1" "oci:$BATS_TEST_TMPDIR/z:1"
}

@test "push: levels change blobs and nothing else; nonsense is refused" {
	image_need sym
	registry_start main plain
	dray_run push --level 1 "$IMAGE" "$REGISTRY_ADDR/l/one:1"
	ok
	one=$DIGEST
	dray_run push --level 9 "$IMAGE" "$REGISTRY_ADDR/l/nine:1"
	ok
	[ "$one" != "$DIGEST" ]
	size() { remote_manifest "$REGISTRY_ADDR" "$1" 1 | jq '[.layers[].size] | add'; }
	[ "$(size l/nine)" -lt "$(size l/one)" ]
	same "image ID" "$(remote_image_id "$REGISTRY_ADDR" l/nine 1)" "$(remote_image_id "$REGISTRY_ADDR" l/one 1)"
	docker_agrees "$REGISTRY_ADDR/l/nine:1" "$(docker_image_id test/sym:1)" "$SYM_LINE"
	for bad in "--level 99" "--level x" "--compression lzma" "--format schema1" "--jobs 0"; do
		# shellcheck disable=SC2086
		dray_run push $bad "$IMAGE" "$REGISTRY_ADDR/l/bad:1"
		expect 2
	done
}

@test "push: uncompressed layers that a manifest vouches for stay so; a pipe names it too late" {
	image_need sym
	registry_start main plain
	"$DRAY" copy -q --compression none "$IMAGE" "oci-archive:$BATS_TEST_TMPDIR/none.tar:1"
	want=$("$DRAY" digest "$BATS_TEST_TMPDIR/none.tar")
	dray_run push "$BATS_TEST_TMPDIR/none.tar" "$REGISTRY_ADDR/vouched/file:1"
	ok
	same "digest" "$DIGEST" "$want"
	same "walk" "$(remote_walk "$REGISTRY_ADDR" vouched/file 1)" "$want"
	dray_piped "$BATS_TEST_TMPDIR/none.tar" push - "$REGISTRY_ADDR/vouched/pipe:1"
	expect 8 "*hint:*--compression*"
	dray_piped "$BATS_TEST_TMPDIR/none.tar" push --compression none - "$REGISTRY_ADDR/vouched/pipe:1"
	ok
	same "digest" "$DIGEST" "$want"
}

@test "push: an OCI source turned into schema2 and back keeps the image ID" {
	require_peer skopeo
	image_need skopeo-oci
	registry_start main plain
	id=$(source_image_id "oci-archive:$IMAGE")
	dray_run push --format docker "$IMAGE" "$REGISTRY_ADDR/o/docker:1"
	ok
	[[ $stderr == *changed:*manifest* ]]
	same "type" "$(remote_manifest "$REGISTRY_ADDR" o/docker 1 | jq -r .mediaType)" "$MT_DOCKER_MANIFEST"
	docker_agrees "$REGISTRY_ADDR/o/docker:1" "$id" "$SYM_LINE"
	dray_run push "$IMAGE" "$REGISTRY_ADDR/o/kept:1"
	ok
	[[ $stderr != *changed:* ]]
	same "same layers" "$(remote_manifest "$REGISTRY_ADDR" o/docker 1 | jq -c '[.layers[].digest]')" \
		"$(remote_manifest "$REGISTRY_ADDR" o/kept 1 | jq -c '[.layers[].digest]')"
}

# ---------------------------------------------------------------------------------------------------------------------
# No copy, little memory

@test "push: G-16 from a pipe in bounded memory, without a temporary file" {
	image_need big
	registry_start main plain
	for jobs in 1 2 4; do
		# TMPDIR refuses files: whoever wants one fails.
		rmdir "$TMPDIR"
		dray_peak "$IMAGE" push --no-cache --jobs "$jobs" - "$REGISTRY_ADDR/mem/pipe$jobs:1"
		ok
		mkdir "$TMPDIR"
		echo "pipe, $jobs jobs: $PEAK_KIB KiB" >&3
		dray_sanitized || [ "$PEAK_KIB" -le $(((64 + 8 * jobs) * 1024)) ]
		dray_peak /dev/null push --no-cache --jobs "$jobs" "$IMAGE" "$REGISTRY_ADDR/mem/file$jobs:1"
		ok
		echo "file, $jobs jobs: $PEAK_KIB KiB" >&3
		dray_sanitized || [ "$PEAK_KIB" -le $(((64 + 8 * jobs) * 1024)) ]
	done
	absent "temporary files" "$(find "$TMPDIR" -type f)"
}

# ---------------------------------------------------------------------------------------------------------------------
# What is there already

# Requests that carry or begin a blob.
blob_uploads() { fakereg_requests "$FAKEREG_ADDR" 'select(.kind == "upload") | [.method, .path, .query, .status]'; }
requests_but() { fakereg_requests "$FAKEREG_ADDR" "select((.method | IN(\"GET\", \"HEAD\") | not) and ($1 | not)) | [.method, .path]"; }

@test "push: G-08 the second push sends no blob, with and without cache, from file and pipe" {
	image_need sym
	fakereg_start again
	dray_run push "$IMAGE" "$FAKEREG_ADDR/again/x:1"
	ok
	want=$DIGEST
	expect 0 "* 3 blobs sent *"
	for form in "" "--no-cache" "--no-reuse" "--no-cache --no-reuse"; do
		fakereg_forget "$FAKEREG_ADDR"
		# shellcheck disable=SC2086
		dray_run push $form "$IMAGE" "$FAKEREG_ADDR/again/x:1"
		ok
		same "digest" "$DIGEST" "$want"
		# Without both there is no way to know what the blobs were: they are made again, and found by HEAD at best.
		[ "$form" = "--no-cache --no-reuse" ] || absent "uploads ($form)" "$(blob_uploads)"
		[ "$(fakereg_requests "$FAKEREG_ADDR" 'select(.kind == "manifest" and .method == "PUT")' | wc -l)" -le 1 ]
	done
	fakereg_forget "$FAKEREG_ADDR"
	dray_piped "$IMAGE" push --no-cache - "$FAKEREG_ADDR/again/x:1"
	ok
	same "digest" "$DIGEST" "$want"
	absent "uploads (pipe)" "$(blob_uploads)"
}

@test "push: one changed layer sends one layer, by the tag that is overwritten" {
	image_need big
	old=$IMAGE
	image_need big2
	fakereg_start one
	for how in file pipe; do
		dray_run push --no-cache "$old" "$FAKEREG_ADDR/one/$how:1"
		ok
		fakereg_forget "$FAKEREG_ADDR"
		if [ "$how" = file ]; then
			dray_run push --no-cache "$IMAGE" "$FAKEREG_ADDR/one/$how:1"
		else
			dray_piped "$IMAGE" push --no-cache - "$FAKEREG_ADDR/one/$how:1"
		fi
		ok
		expect 0 "* 1 blob* sent *"
		# The layer and the config.
		same "blobs sent" "$(fakereg_requests "$FAKEREG_ADDR" 'select(.kind == "upload" and .method == "POST")' | wc -l)" 2
		sent=$(fakereg_requests "$FAKEREG_ADDR" '.body' | jq -s add)
		[ "$sent" -lt 100000 ]
		same "walk" "$(remote_walk "$FAKEREG_ADDR" "one/$how" 1)" "$DIGEST"
	done
}

@test "push: --reuse takes the blobs of another tag and of another repository" {
	image_need big
	old=$IMAGE
	image_need big2
	fakereg_start reuse
	dray_run push --no-cache --level 9 "$old" "$FAKEREG_ADDR/reuse/base:1"
	ok
	for how in file pipe; do
		for repo in reuse/base reuse/other-$how; do
			fakereg_forget "$FAKEREG_ADDR"
			if [ "$how" = file ]; then
				dray_run push --no-cache --reuse "$FAKEREG_ADDR/reuse/base:1" "$IMAGE" "$FAKEREG_ADDR/$repo:$how"
			else
				dray_piped "$IMAGE" push --no-cache --reuse "$FAKEREG_ADDR/reuse/base:1" - "$FAKEREG_ADDR/$repo:$how"
			fi
			ok
			same "walk" "$(remote_walk "$FAKEREG_ADDR" "$repo" "$how")" "$DIGEST"
			[ "$(fakereg_requests "$FAKEREG_ADDR" '.body' | jq -s add)" -lt 100000 ]
		done
	done
	dray_run push --reuse "$FAKEREG_ADDR/reuse/none:1" "$IMAGE" "$FAKEREG_ADDR/reuse/base:3"
	expect 3 "*--reuse*"
	dray_run push --reuse "127.0.0.1:1/reuse/none:1" "$IMAGE" "$FAKEREG_ADDR/reuse/base:3"
	expect 2 "*--reuse*"
}

@test "push: the blob cache knows layers under another tag; deleted or damaged it is harmless" {
	image_need sym
	fakereg_start cache
	dray_run push "$IMAGE" "$FAKEREG_ADDR/cache/x:1"
	ok
	want=$DIGEST
	db=$(find "$XDG_CACHE_HOME" -type f -name '*.sqlite*' -o -type f -name '*.db*' | head -n 1)
	[ -n "$db" ]
	fakereg_forget "$FAKEREG_ADDR"
	dray_run push "$IMAGE" "$FAKEREG_ADDR/cache/x:2"
	ok
	absent "uploads by cache" "$(blob_uploads)"
	for harm in "rm -f" truncate garbage folder; do
		case $harm in
		"rm -f") rm -rf "${db%/*}" ;;
		truncate) truncate -s 5000 "$db" ;;
		garbage) head -c 20000 /dev/urandom >"$db" ;;
		folder) rm -f "$db"* && mkdir "$db" ;;
		esac
		dray_run push "$IMAGE" "$FAKEREG_ADDR/cache/${harm//[^a-z]/}:1"
		ok
		same "digest after $harm" "$DIGEST" "$want"
		same "walk" "$(remote_walk "$FAKEREG_ADDR" "cache/${harm//[^a-z]/}" 1)" "$want"
	done
	XDG_CACHE_HOME=/proc/no-such-folder dray_run push "$IMAGE" "$FAKEREG_ADDR/cache/none:1"
	ok
}

@test "push: the cache forgets what the registry has lost" {
	image_need sym
	registry_start main plain
	dray_run push "$IMAGE" "$REGISTRY_ADDR/lost/x:1"
	ok
	registry_wipe main
	dray_run push "$IMAGE" "$REGISTRY_ADDR/lost/x:1"
	ok
	same "walk" "$(remote_walk "$REGISTRY_ADDR" lost/x 1)" "$DIGEST"
	registry_wipe main
	dray_run push "$IMAGE" "$REGISTRY_ADDR/lost/y:1"
	ok
	same "walk" "$(remote_walk "$REGISTRY_ADDR" lost/y 1)" "$DIGEST"
}

@test "push: G-10 eight pushes share one cache" {
	image_need sym
	fakereg_start many
	pids=
	for i in 1 2 3 4 5 6 7 8; do
		"$DRAY" push -q "$IMAGE" "$FAKEREG_ADDR/many/r$((i % 4)):$i" >"$BATS_TEST_TMPDIR/out.$i" 2>&1 3>&- &
		pids="$pids $!"
	done
	for pid in $pids; do wait "$pid"; done
	same "one digest" "$(sed 's/.*@//' "$BATS_TEST_TMPDIR"/out.* | sort -u | wc -l)" 1
	for i in 1 2 3 4 5 6 7 8; do
		same "walk $i" "$(remote_walk "$FAKEREG_ADDR" "many/r$((i % 4))" "$i")" "$(sed 's/.*@//' "$BATS_TEST_TMPDIR/out.$i")"
	done
	fakereg_forget "$FAKEREG_ADDR"
	dray_run push "$IMAGE" "$FAKEREG_ADDR/many/r1:9"
	ok
	absent "uploads" "$(blob_uploads)"
}

@test "push: blobs of another repository are mounted" {
	image_need sym
	registry_start main plain
	dray_run push "$IMAGE" "$REGISTRY_ADDR/mount/from:1"
	ok
	dray_run push "$IMAGE" "$REGISTRY_ADDR/mount/to:1"
	ok
	registry_log main | grep -q 'POST.*mount%2Fto\|POST.*/v2/mount/to/blobs/uploads/?.*mount='
	[ -z "$(registry_log main | grep 'PATCH /v2/mount/to\|PUT /v2/mount/to/blobs' | sed 1,2d)" ]
	same "walk" "$(remote_walk "$REGISTRY_ADDR" mount/to 1)" "$DIGEST"
	docker_agrees "$REGISTRY_ADDR/mount/to:1" "$(docker_image_id test/sym:1)" "$SYM_LINE"
	for fault in no-mount mount-401 mount-401=404; do
		fakereg_start "mount" --fault "$fault"
		dray_run push "$IMAGE" "$FAKEREG_ADDR/mount/from:1"
		ok
		dray_run push "$IMAGE" "$FAKEREG_ADDR/mount/to:1"
		ok
		same "walk ($fault)" "$(remote_walk "$FAKEREG_ADDR" mount/to 1)" "$DIGEST"
		fakereg_stop mount
	done
}

# ---------------------------------------------------------------------------------------------------------------------
# What goes wrong

@test "push: exit codes" {
	image_need sym
	registry_start main plain
	dray_run push
	expect 2
	dray_run push --no-such-flag "$IMAGE" "$REGISTRY_ADDR/e/x:1"
	expect 2
	dray_run push "$IMAGE" "$REGISTRY_ADDR/UPPER/x:1"
	expect 2
	dray_run push "$IMAGE" "oci:$BATS_TEST_TMPDIR/layout"
	expect 2 "*hint:*dray copy*"
	dray_run push "$IMAGE" docker-root:x
	expect 8
	dray_run push "$BATS_TEST_TMPDIR/none.tar" "$REGISTRY_ADDR/e/x:1"
	expect 3
	dray_run push "docker-archive:$IMAGE:no/such:1" "$REGISTRY_ADDR/e/x:1"
	expect 3 "*test/sym:1*"
	dray_run push --retry 0 "$IMAGE" "$NOBODY/e/x:1"
	expect 5
	head -c 1500000 "$IMAGE" >"$BATS_TEST_TMPDIR/cut.tar"
	dray_run push "$BATS_TEST_TMPDIR/cut.tar" "$REGISTRY_ADDR/e/x:1"
	expect 6
	dray_piped "$BATS_TEST_TMPDIR/cut.tar" push - "$REGISTRY_ADDR/e/x:1"
	expect 6
	echo "no image" >"$BATS_TEST_TMPDIR/text"
	dray_run push "$BATS_TEST_TMPDIR/text" "$REGISTRY_ADDR/e/x:1"
	expect 6
	dray_piped /dev/null push - "$REGISTRY_ADDR/e/x:1"
	expect 6
	image_need skopeo-dir
	dray_run push "dir:$IMAGE" "$REGISTRY_ADDR/e/dir:1"
	ok
	dray_run push "$IMAGE" "$REGISTRY_ADDR/e/dir:1"
	ok
	absent "tag" "$(remote_walk "$REGISTRY_ADDR" e/x 1)"
}

@test "push: G-05 a layer with a wrong byte never gets a tag, nor does its blob stay under a false name" {
	image_need sym
	registry_start main plain
	archive_flip "$IMAGE" "$BATS_TEST_TMPDIR/flip.tar" 1000000
	dray_run push "$BATS_TEST_TMPDIR/flip.tar" "$REGISTRY_ADDR/bad/file:1"
	expect 6 "*DiffID*"
	dray_piped "$BATS_TEST_TMPDIR/flip.tar" push - "$REGISTRY_ADDR/bad/pipe:1"
	expect 6 "*DiffID*"
	archive_edit "$IMAGE" "$BATS_TEST_TMPDIR/short.tar" "
if member.isreg() and len(data) > 1000000: data = data[:-1024]"
	dray_run push "$BATS_TEST_TMPDIR/short.tar" "$REGISTRY_ADDR/bad/file:1"
	expect 6
	archive_edit "$IMAGE" "$BATS_TEST_TMPDIR/gone.tar" "
if member.isreg() and len(data) > 1000000: keep = False"
	dray_run push "$BATS_TEST_TMPDIR/gone.tar" "$REGISTRY_ADDR/bad/file:1"
	expect 6 "*layer.tar*not in the archive*"
	dray_piped "$BATS_TEST_TMPDIR/gone.tar" push - "$REGISTRY_ADDR/bad/pipe:1"
	expect 6 "*layer.tar*not in the archive*"
	for repo in bad/file bad/pipe; do absent "$repo" "$(remote_walk "$REGISTRY_ADDR" "$repo" 1)"; done
	# The twin: rebuilt by the same tool but whole, it is accepted.
	archive_edit "$IMAGE" "$BATS_TEST_TMPDIR/whole.tar" "pass"
	dray_run push "$BATS_TEST_TMPDIR/whole.tar" "$REGISTRY_ADDR/bad/twin:1"
	ok
	same "image ID" "$(remote_image_id "$REGISTRY_ADDR" bad/twin 1)" "$(docker_image_id test/sym:1)"
}

@test "push: --json tells the result, and the error" {
	image_need sym
	registry_start main plain
	dray_run push --json "$IMAGE" "$REGISTRY_ADDR/j/x:1"
	expect 0
	jq -e --arg id "$(docker_image_id test/sym:1)" --arg d "$(registry_digest main j/x 1)" --arg a "$REGISTRY_ADDR" '
		.schema == 1 and (.copied | length) == 1 and
		.copied[0].reference == $a + "/j/x@" + $d and .copied[0].manifest_digest == $d and
		.copied[0].image_id == $id and .copied[0].blobs_sent == 3' <<<"$output"
	dray_run push --json --retry 0 "$IMAGE" "$NOBODY/j/x:1"
	expect 5
	jq -e '.error.code | type == "string"' <<<"$output"
	archive_flip "$IMAGE" "$BATS_TEST_TMPDIR/flip.tar" 1000000
	dray_run push --json --no-cache "$BATS_TEST_TMPDIR/flip.tar" "$REGISTRY_ADDR/j/y:2"
	expect 6
	jq -e '.error.code == "integrity" and (.error | has("message") and has("expected") and has("actual"))' <<<"$output"
}
