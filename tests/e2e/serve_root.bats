#!/usr/bin/env bats
# "serve --root": a registry of its own, pushed to and pulled from by everybody's clients, killed at any moment.

load serve_lib

setup() { serve_setup; }
teardown() { serve_teardown; }

@test "serve --root: docker, podman, skopeo, ctr and dray push and pull, and the image is the same" {
	local id sock=$PEERS_DIR/exec/containerd/containerd.sock
	image_need sym
	require_peer skopeo podman ctr
	root_start
	id=$(docker_image_id test/sym:1)

	docker tag test/sym:1 "$ADDR/by/docker:1"
	docker push "$ADDR/by/docker:1"
	docker rmi "$ADDR/by/docker:1"
	same "docker's" "$(source_image_id_at "$ADDR/by/docker:1")" "$id"

	skopeo copy --dest-tls-verify=false "docker-archive:$IMAGE:test/sym:1" "docker://$ADDR/by/skopeo:1"
	same "skopeo's" "$(source_image_id_at "$ADDR/by/skopeo:1")" "$id"

	podman load -q -i "$IMAGE"
	podman push --tls-verify=false test/sym:1 "docker://$ADDR/by/podman:1"
	same "podman's" "$(source_image_id_at "$ADDR/by/podman:1")" "$id"

	dray_run push "$IMAGE" "docker://$ADDR/by/dray:1"
	ok
	same "dray's" "$(source_image_id_at "$ADDR/by/dray:1")" "$id"

	ctr -a "$sock" -n dray-root images pull --plain-http --local "$ADDR/by/dray:1" ||
		ctr -a "$sock" -n dray-root images pull --plain-http "$ADDR/by/dray:1"
	ctr -a "$sock" -n dray-root images tag "$ADDR/by/dray:1" "$ADDR/by/ctr:1"
	ctr -a "$sock" -n dray-root images push --plain-http "$ADDR/by/ctr:1"
	same "ctr's" "$(source_image_id_at "$ADDR/by/ctr:1")" "$id"
	ctr -a "$sock" -n dray-root images rm "$ADDR/by/dray:1" "$ADDR/by/ctr:1"

	docker pull -q "$ADDR/by/podman:1"
	same "docker pulls podman's" "$(docker_image_id "$ADDR/by/podman:1")" "$id"
	[ "$(docker_run "$ADDR/by/podman:1")" = "$SYM_LINE" ]
	docker rmi "$ADDR/by/podman:1"
	podman pull -q --tls-verify=false "docker://$ADDR/by/docker:1"
	same "podman pulls docker's" "sha256:$(podman image inspect --format '{{.Id}}' "$ADDR/by/docker:1")" "$id"
	podman rmi -f "$ADDR/by/docker:1"
	dray_run verify "docker://$ADDR/by/ctr:1"
	expect 0

	same repositories "$(get "http://$ADDR/v2/_catalog" | jq -c .repositories)" \
		'["by/ctr","by/docker","by/dray","by/podman","by/skopeo"]'
	# Nothing is lost by a kill, and everything is served by who comes next.
	peer_kill9 serve
	root_start
	for by in ctr docker dray podman skopeo; do
		same "$by's afterwards" "$(source_image_id_at "$ADDR/by/$by:1")" "$id"
	done
}

source_image_id_at() {
	echo "sha256:$(skopeo inspect --tls-verify=false --config --raw "docker://$1" | sha256sum | cut -d ' ' -f 1)"
}

# The digest that a tag has, as whoever asks for any index or manifest hears it.
digest_at() {
	get -I "http://$ADDR/v2/$1/manifests/$2" -H "Accept: $MT_OCI_MANIFEST, application/vnd.oci.image.index.v1+json" \
		-H "Accept: $MT_DOCKER_MANIFEST, application/vnd.docker.distribution.manifest.list.v2+json" |
		tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p'
}

@test "serve --root: an index with attestations as buildx makes it, by skopeo --all, to docker and back" {
	local digest arch
	image_need sym
	require_peer skopeo
	python3 "$PEERS_SRC/oci_graph.py" "$BATS_TEST_TMPDIR/graph" >/dev/null
	digest=$(jq -r '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == "multi").digest' \
		"$BATS_TEST_TMPDIR/graph/index.json")
	root_start
	skopeo copy -q --all --dest-tls-verify=false "oci:$BATS_TEST_TMPDIR/graph:multi" "docker://$ADDR/x/multi:1"
	same "its digest" "$(digest_at x/multi 1)" "$digest"
	skopeo copy -q --all --src-tls-verify=false "docker://$ADDR/x/multi:1" "oci:$BATS_TEST_TMPDIR/back:multi"
	same "on its way back" "$(jq -r '.manifests[0].digest' "$BATS_TEST_TMPDIR/back/index.json")" "$digest"
	for arch in amd64 arm64; do
		docker pull -q --platform "linux/$arch" "$ADDR/x/multi:1"
		same "docker's image" "$(docker image inspect --format '{{.Architecture}}' "$ADDR/x/multi:1")" "$arch"
		docker rmi "$ADDR/x/multi:1"
	done
}

@test "serve: who tries HTTPS first hears that it is HTTP, whatever the first bytes are" {
	root_start
	python3 - "${ADDR%:*}" "${ADDR##*:}" <<-'EOF_PY'
		import random, socket, sys
		for seed in range(60):
		    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.Random(seed).randbytes(512)
		    with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as s:
		        s.sendall(hello)
		        answer = s.recv(1000)
		    assert answer.startswith(b"HTTP/1.1 400 "), (seed, answer)
	EOF_PY
	same "and others are served" "$(status_of "http://$ADDR/healthz")" 200
}

@test "serve --root: docker manifest makes an index of two images that it asks for there" {
	image_need sym
	export DOCKER_CLI_EXPERIMENTAL=enabled
	root_start
	for tag in a b; do
		docker tag test/sym:1 "$ADDR/x/list:$tag"
		docker push -q "$ADDR/x/list:$tag"
		docker rmi "$ADDR/x/list:$tag"
	done
	docker manifest create --insecure "$ADDR/x/list:both" "$ADDR/x/list:a" "$ADDR/x/list:b"
	docker manifest annotate --arch arm64 --variant v8 "$ADDR/x/list:both" "$ADDR/x/list:b"
	same "the digest that it tells" "$(docker manifest push --insecure "$ADDR/x/list:both")" "$(digest_at x/list both)"
	docker manifest inspect --insecure "$ADDR/x/list:both" >"$BATS_TEST_TMPDIR/both"
	same images "$(jq -r '.manifests[] | .digest + " " + .platform.architecture' "$BATS_TEST_TMPDIR/both")" \
		"$(digest_at x/list a) amd64"$'\n'"$(digest_at x/list b) arm64"
	docker pull -q "$ADDR/x/list:both"
	same "its image" "$(docker_image_id "$ADDR/x/list:both")" "$(docker_image_id test/sym:1)"
	docker rmi "$ADDR/x/list:both"
}

@test "serve --root: oras pushes artifacts, attaches, discovers, copies, and deletes them" {
	local oras subject
	oras=${DRAY_TEST_ORAS:-$(type -P oras || :)}
	[ -x "$oras" ] || skip "no oras: set DRAY_TEST_ORAS"
	root_start
	cd "$BATS_TEST_TMPDIR"
	echo notes >notes.txt
	head -c 3000000 /dev/urandom >large.bin
	"$oras" push --plain-http --artifact-type text/notes "$ADDR/art/notes:1,second" notes.txt:text/plain large.bin
	subject=$("$oras" resolve --plain-http "$ADDR/art/notes:1")
	same "its digest" "$subject" "$(digest_at art/notes second)"
	"$oras" attach --plain-http --artifact-type text/signature --annotation by=me "$ADDR/art/notes:1" notes.txt
	"$oras" attach --plain-http --artifact-type text/sbom "$ADDR/art/notes:1" notes.txt
	"$oras" discover --plain-http --format json "$ADDR/art/notes:1" >found
	same "what refers to it" "$(jq -r '(.referrers // .manifests)[].artifactType' found | sort | paste -sd ' ')" \
		"text/sbom text/signature"
	"$oras" discover --plain-http --format json --artifact-type text/sbom "$ADDR/art/notes:1" >found
	same "of one type" "$(jq -r '(.referrers // .manifests)[].artifactType' found)" text/sbom

	"$oras" cp -r --from-plain-http --to-plain-http "$ADDR/art/notes:1" "$ADDR/art/copy:1"
	same "its copy" "$("$oras" resolve --plain-http "$ADDR/art/copy:1")" "$subject"
	same "with what refers to it" "$(get "http://$ADDR/v2/art/copy/referrers/$subject" | jq '.manifests | length')" 2
	mkdir pulled
	"$oras" pull --plain-http -o pulled "$ADDR/art/copy:1"
	cmp notes.txt pulled/notes.txt
	cmp large.bin pulled/large.bin

	"$oras" tag --plain-http "$ADDR/art/notes:1" third
	same tags "$("$oras" repo tags --plain-http "$ADDR/art/notes" | paste -sd ' ')" "1 second third"
	same repositories "$("$oras" repo ls --plain-http "$ADDR" | paste -sd ' ')" "art/copy art/notes"
	"$oras" blob push --plain-http "$ADDR/art/notes" notes.txt
	"$oras" blob fetch --plain-http -o fetched "$ADDR/art/notes@sha256:$(sha256sum notes.txt | cut -d ' ' -f 1)"
	cmp notes.txt fetched
	"$oras" manifest delete --plain-http --force "$ADDR/art/notes:1"
	same "all its tags" "$(get "http://$ADDR/v2/art/notes/tags/list" | jq -c .tags)" '[]'
}

# blob_push REPO TEXT: prints its digest.
blob_push() {
	local d at
	d=sha256:$(printf %s "$2" | sha256sum | cut -d ' ' -f 1)
	at=$(get -X POST -D - -o /dev/null "http://$ADDR/v2/$1/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
	case $at in /*) at=http://$ADDR$at ;; esac
	case $at in *\?*) at="$at&digest=$d" ;; *) at="$at?digest=$d" ;; esac
	get -X PUT -H 'Content-Type: application/octet-stream' --data-binary "$2" "$at" >&2 || return 1
	echo "$d"
}

# image_push REPO TAG LAYER: an image of one layer with this content, by hand.
image_push() {
	local c l
	c=$(blob_push "$1" '{}') || return 1
	l=$(blob_push "$1" "$3") || return 1
	printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s","digest":"%s","size":2},"layers":[{"mediaType":"%s","digest":"%s","size":%s}]}' \
		"$MT_OCI_MANIFEST" application/vnd.oci.image.config.v1+json "$c" application/vnd.oci.image.layer.v1.tar "$l" "${#3}" |
		get -X PUT -H "Content-Type: $MT_OCI_MANIFEST" --data-binary @- "http://$ADDR/v2/$1/manifests/$2"
}

# Every tag that is listed names a manifest all of whose blobs come, with their digests.
store_is_whole() {
	local repo tag d n=0
	for repo in $(get "http://$ADDR/v2/_catalog" | jq -r '.repositories[]'); do
		for tag in $(get "http://$ADDR/v2/$repo/tags/list" | jq -r '.tags[]?'); do
			for d in $(get -H "Accept: $MT_OCI_MANIFEST" "http://$ADDR/v2/$repo/manifests/$tag" |
				jq -r '.config.digest, .layers[].digest'); do
				same "$repo:$tag $d" "sha256:$(get "http://$ADDR/v2/$repo/blobs/$d" | sha256sum | cut -d ' ' -f 1)" "$d" ||
					return 1
			done
			n=$((n + 1))
		done
	done
	TAGS=$n
}

@test "serve --root: killed at each of many moments of a push, it is a store, and nothing acknowledged is lost" {
	local n pushed=0 died=0 t
	[ -x "$DRAY-faulty" ] || skip "no $DRAY-faulty: script/test builds it"
	root_start
	image_push a/b first "the layer that stays"
	peer_kill9 serve
	# The first calls are those of opening; then come the requests. (SQLite's own are in the unit tests.)
	for n in $(seq 3 4 71); do
		FAULT=crash:$n root_start
		t=
		if [ -n "$ADDR" ] && image_push a/b "t$n" "layer $n" 2>/dev/null; then
			t=t$n pushed=$((pushed + 1))
		fi
		peer_alive serve || died=$((died + 1))
		peer_kill9 serve
		root_start
		[ -n "$ADDR" ] || {
			serve_log
			return 1
		}
		store_is_whole
		get -o /dev/null "http://$ADDR/v2/a/b/manifests/first"
		[ -z "$t" ] || get -o /dev/null "http://$ADDR/v2/a/b/manifests/$t"
		peer_kill9 serve
	done
	root_start
	store_is_whole
	[ "$TAGS" -ge $((1 + pushed)) ]
	[ "$died" -ge 8 ] # or nothing was proven
	image_push a/b last "after all that"
	store_is_whole
	peer_stop serve
	dray_run gc --grace 0s --json "$ROOT"
	expect 0
	dray_run gc --grace 0s --json "$ROOT"
	expect 0
	same "left for a second gc" "$(jq -c '[.blobs, .strays]' <<<"$output")" '[0,0]'
	root_start
	store_is_whole
}

@test "serve --root: gc, in one process at a time; deletes, and what is kept" {
	local d
	root_start --gc-interval 0
	image_push a v1 "kept"
	d=$(blob_push a "loose")
	dray_run gc "$ROOT"
	expect 9 "*another process*gc-interval*"
	dray_run serve --addr 127.0.0.1:0 --root "$ROOT"
	expect 9 "*another process*"
	same "a blob that is needed" "$(status_of -X DELETE "http://$ADDR/v2/a/blobs/sha256:$(printf kept | sha256sum | cut -d ' ' -f 1)")" 405
	peer_stop serve
	dray_run gc "$ROOT"
	expect 0
	[[ $output == *"removed 0 blobs"* && $output == *"3 blobs stay"* ]]
	dray_run gc --grace 500ms --json "$ROOT"
	same "less than a second is not none" "$(jq -c .blobs <<<"$output")" 0
	touch "$ROOT/uploads/0123456789abcdef0123456789abcdef"
	dray_run gc -n --grace 0s "$ROOT"
	expect 0
	[[ $output == *"would remove 1 blobs"* && $output != *"files of pushes"* ]]
	[ -e "$ROOT/uploads/0123456789abcdef0123456789abcdef" ]
	dray_run gc --grace 0s --json "$ROOT"
	same "gone, kept" "$(jq -c '[.dry_run, .blobs, .bytes, .kept_blobs]' <<<"$output")" '[false,1,5,2]'
	root_start --no-delete
	same "a blob that is gone" "$(status_of "http://$ADDR/v2/a/blobs/$d")" 404
	same "delete" "$(status_of -X DELETE "http://$ADDR/v2/a/manifests/v1")" 405
	store_is_whole
	[ "$TAGS" -eq 1 ]
}

@test "serve --root: a server collects by itself" {
	root_start --gc-interval 1s
	image_push a v1 "kept"
	# What a killed push left in the folder goes while it runs.
	mkdir -p "$ROOT/blobs/sha256/00"
	echo stray >"$ROOT/blobs/sha256/00/0000000000000000000000000000000000000000000000000000000000000000"
	wait_until 60 absent_file "$ROOT/blobs/sha256/00/0000000000000000000000000000000000000000000000000000000000000000"
	store_is_whole
}

absent_file() { [ ! -e "$1" ]; }

@test "serve --root: what is refused: folders of others, options without it, more than the quota" {
	mkdir "$ROOT"
	echo precious >"$ROOT/file"
	dray_run serve --addr 127.0.0.1:0 --root "$ROOT"
	expect 2 "*no folder of dray serve*"
	dray_run gc "$ROOT"
	expect 2 "*no folder of dray serve*"
	same "what was there" "$(ls "$ROOT")" file
	# Others have locks, too.
	mkdir -m 755 "$ROOT/uploads"
	touch "$ROOT/lock" "$ROOT/uploads/"{letter,0123456789abcdef0123456789abcdef}
	dray_run serve --addr 127.0.0.1:0 --root "$ROOT"
	expect 2 "*no folder of dray serve*"
	same "what was there" "$(cd "$ROOT" && find . | LC_ALL=C sort | xargs)" \
		". ./file ./lock ./uploads ./uploads/0123456789abcdef0123456789abcdef ./uploads/letter"
	same "its mode" "$(stat -c %a "$ROOT/uploads")" 755
	dray_run gc "$ROOT/nowhere"
	expect 3
	# What is to be made is not looked for.
	dray_run serve --addr 127.0.0.1:0 --root "$ROOT/nowhere/root"
	expect 9 "*nowhere/root*"
	dray_run serve --quota 1MB "$ROOT/file"
	expect 2 "*--root*"
	dray_run serve --root "$ROOT" "$ROOT/file"
	expect 2
	dray_run serve
	expect 2 "*nothing to serve*"
	rm -r "$ROOT"
	root_start --quota 64KiB
	image_push a v1 "small"
	head -c 100000 /dev/zero >"$BATS_TEST_TMPDIR/big"
	run blob_push a "$(tr '\0' x <"$BATS_TEST_TMPDIR/big")"
	[ "$status" -ne 0 ]
	[[ $output == *507* ]]
	store_is_whole
	same "mode" "$(stat -c %a "$ROOT")" 700
}

# ---------------------------------------------------------------------------------------------------------------------
# All at once, full disks, clients that mean no good

# clients WHAT ARG...: serve_clients.py does that to the server.
clients() { timeout 300 python3 "$BATS_TEST_DIRNAME/serve_clients.py" "$ADDR" "$@"; }
lines_at_least() { [ "$(wc -l <"$2")" -ge "$1" ]; }

@test "serve --root: killed while four clients push, it has what they were told it has" {
	local round pid said=$BATS_TEST_TMPDIR/said
	: >"$said"
	for round in 1 2 3; do
		root_start
		clients acknowledged "$said" &
		pid=$!
		wait_until 60 lines_at_least $((round * 40)) "$said"
		peer_kill9 serve
		wait "$pid"
		root_start
		clients whole
		[ "$(clients kept "$said")" -ge 20 ]
		peer_kill9 serve
	done
}

@test "serve --root: writers of one tag, pulls beside deletes, pushes beside gc" {
	root_start --gc-interval 1s
	clients writers
	clients pulls "$ROOT"
	clients told
}

# small_root OPTION...: a file system of its own.
small_root() {
	require_root
	mkdir -m 700 "$ROOT"
	mount -t tmpfs -o "mode=700,$1" dray-small "$ROOT" || skip "no tmpfs here"
}

@test "serve --root: a disk that is full is told, and what was there is served; with room again it goes on" {
	small_root size=20m
	root_start
	[ "$(clients fill)" -ge 16 ]
	# What is let go of makes room, with no more to write with than a full disk has.
	same "deleted" "$(status_of -X DELETE "http://$ADDR/v2/full/manifests/v")" 202
	peer_stop serve
	dray_run gc --grace 0s --json "$ROOT"
	expect 0
	[ "$(jq .blobs <<<"$output")" -ge 16 ]
	root_start
	image_push full again "there is room"
	clients fill
	mount -o remount,size=40m "$ROOT"
	image_push full more "there is more room"
	clients whole
}

@test "serve --root: uploads that stay open leave room to delete" {
	small_root size=24m
	root_start
	clients fill_open
}

@test "serve --root: a disk without names for files is as full" {
	small_root size=64m,nr_inodes=150
	root_start
	clients fill_names
	mount -o remount,nr_inodes=400 "$ROOT"
	image_push full more "there are names"
	clients whole
}

@test "serve --root: whoever sends what nobody wants finds the answer" {
	root_start
	clients unwanted
}

@test "serve --root: nobody is read for ever, nor sent to who reads nothing" {
	local pid
	root_start --timeout 1
	head -c 33554432 /dev/zero >"$BATS_TEST_TMPDIR/big"
	local d
	d=sha256:$(sha256sum <"$BATS_TEST_TMPDIR/big" | cut -d ' ' -f 1)
	same "pushed" "$(status_of -X POST --data-binary "@$BATS_TEST_TMPDIR/big" -H 'Content-Type: application/octet-stream' "http://$ADDR/v2/a/blobs/uploads/?digest=$d")" 201
	clients endless &
	pid=$!
	clients unread a "$d"
	wait "$pid"
}

@test "serve --root: requests in two minds, in floods, of other times: one answer, and nothing behind it" {
	root_start
	clients shapes
}

@test "serve --root: 10,000 open uploads cost little, one more is refused, and nobody has another's" {
	local grown
	DRAY=${DRAY_PLAIN:-$DRAY} root_start
	grown=$(clients uploads "$(peer_pid serve)")
	dray_sanitized || [ "$grown" -lt $((16 * 1024)) ]
}

@test "serve --root: ten seconds of requests changed at random" {
	root_start
	clients soak 20261122 10
	peer_alive serve
}
