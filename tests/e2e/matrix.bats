#!/usr/bin/env bats
# The matrix of stores: one image from each place to each other. A manifest that the source has arrives byte for byte
# wherever the destination can hold it; the image ID and the DiffIDs always do.
#
# A place is a row of PLACES: its name, and three functions of that name: place_NAME writes DST for dray, read_NAME the
# same place as a source, peer_NAME what another program reads there (empty = none). An engine keeps no manifest and gives
# none back: its row is a test of its own.

load lib

PLACES="docker_archive oci oci_archive dir registry"

setup() {
	verbs_setup
	require_peer skopeo
	image_need sym
	registry_start main plain
}
teardown() {
	spare_stop
	peers_teardown
}

out() { echo "$BATS_TEST_TMPDIR/$1"; }

place_docker_archive() { echo "docker-archive:$(out "$1.tar"):m/$1:1"; }
place_oci() { echo "oci:$(out "$1"):1"; }
place_oci_archive() { echo "oci-archive:$(out "$1.oci"):1"; }
place_dir() { echo "dir:$(out "$1.dir")"; }
place_registry() { echo "docker://$REGISTRY_ADDR/m/$1:1"; }

peer_docker_archive() { echo "docker-archive:$(out "$1.tar")"; }
# Without tags, which skopeo only finds at manifests of OCI's own media type.
peer_oci() { echo "oci:$(out "$1")"; }
peer_oci_archive() { echo "oci-archive:$(out "$1.oci")"; }
peer_dir() { place_dir "$1"; }
peer_registry() { place_registry "$1"; }

# file_KIND NAME: the one file that can also arrive through a pipe.
file_docker_archive() { out "$1.tar"; }
file_oci_archive() { out "$1.oci"; }

# check KIND NAME MANIFEST: what is at the place now. MANIFEST empty: the source had none.
check() {
	local place peer
	place=$(place_"$1" "$2")
	peer=$(peer_"$1" "$2")
	[ -z "$3" ] || same "$place: manifest digest" "$("$DRAY" digest "$place")" "$3" || return 1
	same "$place: image ID" "$("$DRAY" digest --image-id "$place")" "$ID" || return 1
	same "$place: skopeo's image ID" "sha256:$(skopeo inspect --tls-verify=false --config --raw "$peer" | sha256sum | cut -d ' ' -f 1)" "$ID" || return 1
	same "$place: DiffIDs" "$("$DRAY" inspect --json "$place" | jq -r '.images[0].layers[].diff_id')" "$DIFF_IDS" || return 1
	# docker-archive: to skopeo is a place without manifests.
	[ "$1" = docker_archive ] || [ -z "$3" ] ||
		same "$place: skopeo's manifest" "sha256:$(skopeo inspect --tls-verify=false --raw "$peer" | sha256sum | cut -d ' ' -f 1)" "$3" || return 1
	# KNOWN is what the peer that wrote the source got wrong; it stays, since digests do.
	same "$place: problems" "$("$DRAY" verify --json "$place" | jq -r '.problems[].code' | sort -u)" "${KNOWN:-}"
}

@test "matrix: an image with a manifest, from every place to every other, as a file and through a pipe" {
	ID=$(docker_image_id test/sym:1)
	DIFF_IDS=$(docker_diff_ids test/sym:1)
	for format in docker oci; do
		dray_run push --format "$format" "$IMAGE" "$REGISTRY_ADDR/m/start-$format:1"
		ok
		want=$DIGEST
		for from in $PLACES; do
			src=$(place_"$from" "$format-$from")
			dray_run copy "docker://$REGISTRY_ADDR/m/start-$format:1" "$src"
			expect 0
			check "$from" "$format-$from" "$want"
			for to in $PLACES; do
				name=$format-$from-$to
				dray_run copy "$src" "$(place_"$to" "$name")"
				expect 0
				absent "changed" "$(grep changed <<<"$stderr")"
				check "$to" "$name" "$want"
				declare -F "file_$from" >/dev/null || continue
				dray_piped "$(file_"$from" "$format-$from")" copy - "$(place_"$to" "$name-pipe")"
				expect 0
				check "$to" "$name-pipe" "$want"
			done
		done
	done
}

@test "matrix: what docker saved goes everywhere, and everything comes back to docker" {
	require_peer podman
	ID=$(docker_image_id test/sym:1)
	DIFF_IDS=$(docker_diff_ids test/sym:1)
	for to in $PLACES; do
		dray_run copy "$IMAGE" "$(place_"$to" "saved-$to")"
		expect 0
		check "$to" "saved-$to" ""
		dray_piped "$IMAGE" copy - "$(place_"$to" "saved-$to-pipe")"
		expect 0
		check "$to" "saved-$to-pipe" "$("$DRAY" digest "$(place_"$to" "saved-$to")")"
		dray_run copy "$(place_"$to" "saved-$to")" "docker-archive:$(out "back-$to.tar"):back/$to:1"
		expect 0
		docker load --quiet --input "$(out "back-$to.tar")"
		same "docker: $to" "$(docker_image_id "back/$to:1")" "$ID"
		same "docker run: $to" "$(docker_run "back/$to:1")" "$SYM_LINE"
		docker rmi "back/$to:1" >/dev/null
	done
}

@test "matrix: what skopeo wrote in each place arrives with its digest" {
	for from in $PLACES; do
		case $from in
		docker_archive) skopeo copy --quiet "docker-archive:$IMAGE" "docker-archive:$(out sk.tar):m/sk:1" && src=$(out sk.tar) ;;
		registry) skopeo copy --quiet --dest-tls-verify=false "docker-archive:$IMAGE" "$(place_registry sk)" && src=$(place_registry sk) ;;
		*) skopeo copy --quiet "docker-archive:$IMAGE" "$(place_"$from" sk)" && src=$(place_"$from" sk) ;;
		esac
		want=
		[ "$from" = docker_archive ] || want="sha256:$(skopeo inspect --tls-verify=false --raw "$(peer_"$from" sk)" | sha256sum | cut -d ' ' -f 1)"
		ID="sha256:$(skopeo inspect --tls-verify=false --config --raw "$(peer_"$from" sk)" | sha256sum | cut -d ' ' -f 1)"
		DIFF_IDS=$(docker_diff_ids test/sym:1)
		for to in $PLACES; do
			# skopeo labels the uncompressed layers of a "dir:" as gzip; there nobody believes it.
			KNOWN=
			[ "$from" != dir ] || [ "$to" = dir ] || KNOWN=media-type-compression-differs
			dray_run copy "$src" "$(place_"$to" "sk-$from-$to")"
			expect 0
			check "$to" "sk-$from-$to" "$want"
		done
	done
}

# in_docker NAME: what the engine itself says of an image that it has under NAME.
in_docker() {
	same "docker-daemon:$1: image ID" "$(docker_image_id "$1")" "$ID" || return 1
	same "docker-daemon:$1: DiffIDs" "$(docker_diff_ids "$1")" "$DIFF_IDS" || return 1
	same "docker-daemon:$1: dray's image ID" "$("$DRAY" digest --image-id "docker-daemon:$1")" "$ID" || return 1
	same "docker-daemon:$1: docker run" "$(docker_run "$1")" "$SYM_LINE"
}

@test "matrix: from every place into an engine that has nothing, and from there to every place" {
	require_docker
	ID=$(docker_image_id test/sym:1)
	DIFF_IDS=$(docker_diff_ids test/sym:1)
	dray_run push "$IMAGE" "$REGISTRY_ADDR/m/start:1"
	ok
	start=docker://$REGISTRY_ADDR/m/start:1
	spare_start
	for from in $PLACES; do
		src=$(place_"$from" "engine-$from")
		dray_run copy "$start" "$src"
		expect 0
		dray_run copy "$src" "docker-daemon:m/$from:1"
		expect 0
		in_docker "m/$from:1"
		for to in $PLACES; do
			dray_run copy "docker-daemon:m/$from:1" "$(place_"$to" "engine-$from-$to")"
			expect 0
			check "$to" "engine-$from-$to" ""
		done
		# The next one must bring its layers again.
		docker rmi "m/$from:1" >/dev/null
		absent "images" "$(docker images -aq)"
	done
	dray_run copy "$IMAGE" docker-daemon:m/one:1
	expect 0
	dray_run copy docker-daemon:m/one:1 docker-daemon:m/two:1
	expect 0
	in_docker m/two:1
}
