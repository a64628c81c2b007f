#!/usr/bin/env bats
# Docker 29, whose images are in containerd's store unless it is told to keep them in a storage driver, as before: what it
# saves is read, what dray writes it loads, through its socket, from its disk and as a client of serve.
#
# "store" is an engine as a new installation has it, "graph" one with overlay2.

load lib

# 20.10's images and archives are what 29's are held against.
setup_file() {
	[ -x "$DRAY_TEST_DOCKERD/dockerd" ] && [ "$(id -u)" -eq 0 ] || return 0
	newer_both
}
newer_both() {
	newer_start graph --storage-driver overlay2
	newer_start store
}
teardown_file() { peers_teardown; }

setup() {
	verbs_setup
	cd "$BATS_TEST_TMPDIR" || return 1
}
teardown() {
	local name
	for name in graph store; do
		newer_ready "$name" && newer "$name" empty
	done
	peers_teardown
}

# engines: both, and in SYM an image of 20.10's.
engines() {
	require_newer
	image_need sym
	SYM=$IMAGE
}

# No image is left for the next test.
empty() {
	local id
	for id in $(docker images -aq --no-trunc | sort -u); do docker rmi -f "$id"; done >/dev/null
}

# canonical PLACE: the canonical archive's digest.
canonical() { "$DRAY" normalize -q "$1" -o canonical.tar >/dev/null && sha256sum <canonical.tar; }

# loads FILE NAME [LINE]: the engine takes it, and the image of that name runs.
loads() {
	run docker load -i "$1"
	[ "$status" -eq 0 ] && [[ $output == *"Loaded image: $2"* ]] || {
		echo "docker load of $1: $output"
		return 1
	}
	same "docker run $2" "$(docker_run "$2")" "${3:-$SYM_LINE}"
}

@test "docker 29: the versions and stores that these tests mean" {
	engines
	same "graph" "$(newer graph docker info -f '{{.Driver}}')" overlay2
	same "store" "$(newer store docker info -f '{{.Driver}}')" overlayfs
}

# ---------------------------------------------------------------------------------------------------------------------
# Archives

@test "docker 29: what it saves is read, and gives the canonical archive that a save by 20.10 gives" {
	engines
	local name id want
	id=$(docker_image_id test/sym:1)
	want=$(canonical "$SYM")
	for name in graph store; do
		newer "$name" docker load -q -i "$SYM"
		newer "$name" docker save -o "$name.tar" test/sym:1
		dray_run verify "$name.tar"
		expect 0
		same "$name: image ID" "$("$DRAY" digest --image-id "$name.tar")" "$id"
		same "$name: canonical archive" "$(canonical "$name.tar")" "$want"
		# The same bytes again, which earlier ones never gave.
		newer "$name" docker save -o again.tar test/sym:1
		[ "$name" = graph ] || cmp "$name.tar" again.tar
		same "$name: canonical archive" "$(canonical again.tar)" "$want"
		same "$name: why" "$("$DRAY" why "$SYM" "$name.tar")" "the same image"
	done
}

@test "docker 29: it loads what dray writes" {
	engines
	local name
	"$DRAY" normalize -q "$SYM" -o canonical.tar
	"$DRAY" save -q --legacy "$SYM" -o legacy.tar
	"$DRAY" edit -q "$SYM" -o edited.tar --env A=b
	cp "$SYM" inplace.tar
	"$DRAY" edit -q --in-place inplace.tar --env A=b
	"$DRAY" squash -q --last 2 "$SYM" -o squashed.tar
	"$DRAY" split -q --layer '/bin/**' "$SYM" -o split.tar
	for name in graph store; do
		for file in canonical legacy edited inplace squashed split; do
			newer "$name" loads "$file.tar" test/sym:1
			newer "$name" docker rmi -f test/sym:1
		done
	done
	# Archives of its own, edited where they lie.
	for name in graph store; do
		newer "$name" docker load -q -i "$SYM"
		newer "$name" docker save -o own.tar test/sym:1
		"$DRAY" edit -q --in-place own.tar --env A=b
		newer "$name" loads own.tar test/sym:1
		same "$name: edited" "$("$DRAY" digest --image-id own.tar)" "$("$DRAY" digest --image-id edited.tar)"
	done
}

@test "docker 29: OCI archives go into containerd's store under the name they have" {
	engines
	local compression
	for compression in none gzip zstd; do
		"$DRAY" copy -q "$SYM" oci-archive:oci.tar:test/sym:1 --compression "$compression"
		newer store loads oci.tar test/sym:1
		same "$compression: names" "$(newer store docker images --format '{{.Repository}}:{{.Tag}}')" test/sym:1
		newer store docker rmi test/sym:1
	done
	# A storage driver wants what Docker itself writes.
	run newer graph docker load -i oci.tar
	[ "$status" -ne 0 ] && [[ $output == *"does not contain a manifest.json"* ]]
}

@test "docker 29: built images, and several platforms" {
	engines
	local name
	mkdir -p root/bin
	cp "$(type -P busybox)" root/bin
	"$DRAY" build -q --dir root:/ --entrypoint '["/bin/busybox"]' --cmd "[\"echo\",\"$SYM_LINE\"]" --name built/app:1 -o built.tar
	for name in graph store; do newer "$name" loads built.tar built/app:1; done
	graph multi --platforms 2
	"$DRAY" copy -q --canonical --all-platforms oci:multi:multi docker-archive:multi.tar:app/m:1
	newer graph docker load -i multi.tar
	newer store docker load -i multi.tar
	for name in graph store; do
		[[ $(newer "$name" docker images --format '{{.Repository}}:{{.Tag}}') == *app/m:1* ]]
	done
	# The whole index through the socket and back.
	newer store "$DRAY" copy -q --all-platforms oci:multi:multi docker-daemon:app/m:2
	newer store "$DRAY" copy -q --all-platforms docker-daemon:app/m:2 oci:back:x
	same "platforms" "$("$DRAY" images --json oci:back:x | jq -r '.images[].image_id' | sort)" \
		"$("$DRAY" images --json oci:multi:multi | jq -r '.images[] | select(.platform != "unknown/unknown") | .image_id' | sort)"
	for verb in verify digest inspect; do
		run newer store "$DRAY" "$verb" docker-daemon:app/m:2
		[ "$status" -eq 0 ]
	done
}

# ---------------------------------------------------------------------------------------------------------------------
# Its socket

@test "docker 29: images are listed as it calls them" {
	engines
	local name
	for name in graph store; do
		newer "$name" docker load -q -i "$SYM"
		newer "$name" dray_run images --json docker-daemon:
		expect 0
		same "$name: one image" "$(jq '.images | length' <<<"$output")" 1
		same "$name: docker's ID" "$(jq -r '.images[0] | .image_id // .manifest_digest' <<<"$output")" \
			"$(newer "$name" docker images -q --no-trunc)"
		same "$name: DiffIDs" "$(jq -r '.images[0].layers[].diff_id' <<<"$output")" "$(docker_diff_ids test/sym:1)"
		same "$name: have" "$(newer "$name" "$DRAY" have docker-daemon:)" "$("$DRAY" have "$SYM")"
		# What streams knows the config's digest.
		same "$name: image ID" "$(newer "$name" "$DRAY" digest --image-id docker-daemon:test/sym:1)" \
			"$(docker_image_id test/sym:1)"
	done
	# containerd's store calls it by its manifest.
	same "image_id" "$(jq -r '.images[0].image_id' <<<"$output")" null
	same "manifest" "$(newer store "$DRAY" digest docker-daemon:test/sym:1)" "$(newer store docker images -q --no-trunc)"
	same "by that ID" "$(newer store "$DRAY" digest --image-id "docker-daemon:$(newer store docker images -q --no-trunc)")" \
		"$(docker_image_id test/sym:1)"
}

@test "docker 29: into it and out of it" {
	engines
	local name source id
	id=$(docker_image_id test/sym:1)
	"$DRAY" copy -q "$SYM" oci:layout:x --compression zstd
	for name in graph store; do
		for source in "$SYM" oci:layout:x; do
			newer "$name" dray_run copy "$source" docker-daemon:app:1
			expect 0
			same "$name: result" "$output" "docker-daemon:app:1@$id"
			same "$name: docker run" "$(newer "$name" docker_run app:1)" "$SYM_LINE"
			newer "$name" "$DRAY" copy -q docker-daemon:app:1 "oci:out-$name:x"
			same "$name: out" "$("$DRAY" digest --image-id "oci:out-$name:x")" "$id"
			newer "$name" docker rmi app:1
			rm -r "out-$name"
		done
	done
}

# ---------------------------------------------------------------------------------------------------------------------
# Deltas

@test "docker 29: a delta by docker load where a storage driver has the base, else by delta load" {
	engines
	local name two
	image_need big
	image_need big2
	two=$(image_path big2)
	"$DRAY" delta save -q --base "$(image_path big)" "$two" -o d.tar
	run newer graph docker load -i d.tar
	[ "$status" -ne 0 ] && [[ $output == *"blobs/sha256/"*"no such file or directory"* ]]
	for name in graph store; do newer "$name" docker load -q -i "$(image_path big)"; done
	newer graph loads d.tar test/big:2 "$BIG_LINE"
	# It says that it loaded something, which is the delta and no image: docs/delta.md warns of it.
	run newer store docker load -i d.tar
	[ "$status" -eq 0 ] && [[ $output == "Loaded image ID: sha256:"* ]]
	run newer store docker image inspect test/big:2
	[ "$status" -ne 0 ]
	newer store "$DRAY" delta load -q d.tar --base docker-daemon:test/big:1 -o docker-daemon:test/big:2
	same "docker run" "$(newer store docker_run test/big:2)" "$BIG_LINE"
	same "image ID" "$(newer store "$DRAY" digest --image-id docker-daemon:test/big:2)" "$("$DRAY" digest --image-id "$two")"
	# From one engine to the other, what the other has known by its list.
	newer store "$DRAY" have docker-daemon:test/big:1 -o have.txt
	newer graph "$DRAY" delta save -q --base have.txt docker-daemon:test/big:2 -o f.tar
	[ "$(stat -c %s f.tar)" -lt 20000 ]
}

# ---------------------------------------------------------------------------------------------------------------------
# Its disk, and a registry

@test "docker 29: its data root, running and stopped" {
	engines
	local name tag root state
	"$DRAY" edit -q "$SYM" -o edited.tar --env A=b --tag test/sym:2
	for name in graph store; do
		root=$PEERS_DIR/newer/$name
		newer "$name" docker load -q -i "$SYM"
		newer "$name" docker load -q -i edited.tar
		newer "$name" docker tag test/sym:1 localhost:5000/other/sym:1
		newer "$name" docker images --no-trunc --format '{{.Repository}}:{{.Tag}}' | sort >tags
		while read -r tag; do newer "$name" docker save -o "${tag//[:\/]/_}.tar" "$tag"; done <tags
		for state in running stopped; do
			[ "$state" = running ] || newer_stop "$name"
			dray_run images --json "docker-root:$root"
			expect 0
			absent "$name $state: warnings" "$(jq -r '.warnings[].message' <<<"$output")"
			same "$name $state: names" "$(jq -r '.images[].tags[]' <<<"$output" | sort)" "$(cat tags)"
			while read -r tag; do
				same "$name $state: $tag" "$(canonical "docker-root:$root:$tag")" "$(canonical "${tag//[:\/]/_}.tar")"
			done <tags
			dray_run verify "docker-root:$root"
			expect 0
		done
	done
	PEERS_SCOPE=file-docker29.bats newer_both
}

@test "docker 29: pushes to serve and pulls from it; the disk knows the digest" {
	engines
	local name ref addr
	peer_spawn serve "$DRAY" serve --addr 127.0.0.1:0 --root "$BATS_TEST_TMPDIR/depot"
	wait_until 60 grep -q '127\.0\.0\.1:[1-9]' "$PEERS_DIR/d/serve/log"
	addr=$(grep -o '127\.0\.0\.1:[0-9]*' "$PEERS_DIR/d/serve/log" | head -n 1)
	for name in graph store; do
		ref=$addr/p/$name:1
		newer "$name" docker load -q -i "$SYM"
		newer "$name" docker tag test/sym:1 "$ref"
		newer "$name" docker push -q "$ref"
		same "$name: image ID" "$("$DRAY" digest --image-id "docker://$ref")" "$(docker_image_id test/sym:1)"
		newer "$name" docker rmi -f "$ref" test/sym:1
		newer "$name" docker pull -q "$ref"
		same "$name: docker run" "$(newer "$name" docker_run "$ref")" "$SYM_LINE"
		ref=$(newer "$name" docker image inspect -f '{{index .RepoDigests 0}}' "$ref")
		same "$name: digest" "${ref#*@}" "$("$DRAY" digest "docker://$addr/p/$name:1")"
		dray_run digest --image-id "docker-root:$PEERS_DIR/newer/$name:$ref"
		expect 0
		same "$name: by that digest" "$output" "$(docker_image_id test/sym:1)"
		# A storage driver's engine keeps manifests in containerd, too: no images are there to be told of.
		absent "$name: warnings" "$stderr"
	done
}

# ---------------------------------------------------------------------------------------------------------------------
# Without it

# Made by the engines of script/engines: an image FROM scratch, COPY a /a, COPY b /a, COPY a /a, built and saved by the one
# with overlay2, loaded and saved by the one with containerd's store.
@test "docker 29: archives that it wrote once are read, and are the same image to 20.10" {
	local kept id=sha256:4d8d644a7ace341fc5aec59fce880ad9a900356417a02f5357443a21d8be21fb
	require_docker
	for kept in overlay2 containerd; do
		cp "$PEERS_TOP/tests/archives/docker29/docker29-$kept.tar" kept.tar
		dray_run verify kept.tar
		expect 0
		dray_run images --json kept.tar
		expect 0
		same "$kept: image ID" "$(jq -r '.images[].image_id' <<<"$output")" "$id"
		same "$kept: names" "$(jq -r '.images[].tags[]' <<<"$output" | sort | xargs)" "registry.example:5000/tiny:2 test/tiny:1"
		same "$kept: canonical archive" "$(canonical kept.tar)" \
			"f906f5be0ba382008881f6aa4e5990f2c14e745090136418c659f63cc59b5af4  -"
	done
	docker load -q -i "$PEERS_TOP/tests/archives/docker29/docker29-overlay2.tar"
	same "20.10" "$(docker_image_id test/tiny:1)" "$id"
	docker save -o saved.tar test/tiny:1 registry.example:5000/tiny:2
	docker rmi test/tiny:1 registry.example:5000/tiny:2
	same "saved by 20.10" "$(canonical saved.tar)" "$(canonical kept.tar)"
}
