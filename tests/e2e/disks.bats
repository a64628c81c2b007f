#!/usr/bin/env bats
# Disks of engines: a real dockerd and a real podman, asked before they stop, read after.

load lib

setup() {
	verbs_setup
	CASE=$BATS_TEST_TMPDIR
}
teardown() {
	spare_stop
	# What podman mounted below a root of ours.
	peers_umount "$BATS_TEST_TMPDIR"
	peers_teardown
}

# ---------------------------------------------------------------------------------------------------------------------
# Docker

# disk_docker DRIVER: an engine that has built, loaded and pulled images, and a container; what it says about them is in
# $CASE. It is stopped; its data root is $ROOT.
disk_docker() {
	local big sym
	image_need big
	big=$IMAGE
	image_need sym
	sym=$IMAGE
	registry_start main plain
	dray_run push --plain-http "$big" "$REGISTRY_ADDR/pulled/big:1"
	ok
	spare_start --storage-driver "$1"
	same driver "$(docker info --format '{{.Driver}}')" "$1"
	image_context
	echo extra >"$CONTEXT/extra"
	image_build built/app:1 <<-'EOF_DOCKERFILE'
		FROM scratch
		COPY busybox /bin/busybox
		COPY a /d/one
		COPY b /d/two
		RUN ["/bin/busybox", "rm", "/d/one"]
		RUN ["/bin/busybox", "ln", "/d/two", "/d/hard"]
		CMD ["/bin/busybox"]
	EOF_DOCKERFILE
	docker build --quiet --network none - <<-'EOF_DOCKERFILE'
		FROM built/app:1
		LABEL dangling=yes
	EOF_DOCKERFILE
	docker tag built/app:1 localhost:5000/other/name:v3
	docker load -q -i "$sym"
	docker pull -q "$REGISTRY_ADDR/pulled/big:1"
	docker create --network none test/sym:1 >"$CASE/container"
	TAGGED=(built/app:1 localhost:5000/other/name:v3 test/sym:1 "$REGISTRY_ADDR/pulled/big:1")
	docker images --no-trunc --digests --format '{{.Repository}} {{.Tag}} {{.Digest}} {{.ID}}' | sort >"$CASE/listed"
	docker images -a -q --no-trunc | sort -u >"$CASE/all"
	docker image inspect -f '{{.Id}} {{.Size}}' $(cat "$CASE/all") | sort >"$CASE/sizes"
	local nth
	for nth in "${!TAGGED[@]}"; do docker save -o "$CASE/saved$nth.tar" "${TAGGED[nth]}"; done
	ROOT=$SPARE.data
}

# same_archives WANT GOT NAME
same_archives() {
	cmp -s "$1" "$2" || {
		echo "$3: not the same archive"
		diff <(tar tvf "$1") <(tar tvf "$2") || :
		diff <(tar xOf "$1" manifest.json) <(tar xOf "$2" manifest.json) || :
		return 1
	}
}

# Our listing in docker's words.
listed_by_docker_rules() {
	jq -r '.images[] | select(.state != "intermediate") | . as $i |
		if ($i.tags | length) == 0 then "<none> <none> <none> \($i.image_id)" else
		$i.tags[] | capture("^(?<repo>.*):(?<tag>[^:/]*)$") | . as $t |
		([$i.repo_digests[] | select(startswith($t.repo + "@")) | sub(".*@"; "")] | .[0] // "<none>") as $d |
		"\($t.repo) \($t.tag) \($d) \($i.image_id)" end' | sort
}

check_docker() {
	local nth # not i: bats' run has one of that name
	dray_run images --json "docker-root:$ROOT"
	expect 0
	diff "$CASE/listed" <(listed_by_docker_rules <<<"$output")
	diff "$CASE/all" <(jq -r '.images[].image_id' <<<"$output" | sort)
	diff "$CASE/sizes" <(jq -r '.images[] | "\(.image_id) \(.size)"' <<<"$output" | sort)
	same "container" "$(jq -r '.images[] | select(.tags == ["test/sym:1"]).containers[0]' <<<"$output")" \
		"$(cat "$CASE/container")"
	same "how big came" "$(jq -r '.images[] | select(.tags[0] | contains("pulled")?) | .updated_event' <<<"$output")" pulled
	same "how app came" "$(jq -r '.images[] | select(.tags[0] == "built/app:1") | "\(.updated_event) \(.certainty)"' \
		<<<"$output")" "tagged recorded"
	for nth in "${!TAGGED[@]}"; do
		dray_run normalize "$CASE/saved$nth.tar" -o "$CASE/want.tar"
		ok
		dray_run normalize "docker-root:$ROOT:${TAGGED[nth]}" -o "$CASE/got.tar"
		ok
		same_archives "$CASE/want.tar" "$CASE/got.tar" "${TAGGED[nth]}"
	done
}

@test "disks: dockerd with overlay2, running and stopped" {
	disk_docker overlay2
	check_docker
	peer_stop spare 30
	check_docker
	dray_run verify "docker-root:$ROOT"
	expect 0
	# A bare folder, an image by its ID and by the beginning of it.
	local id
	id=$(jq -r '.[0].Config' < <(tar xOf "$CASE/saved2.tar" manifest.json))
	id=${id%.json}
	dray_run digest --image-id "docker-root:$ROOT:sha256:$id"
	same "by ID" "$output" "sha256:$id"
	dray_run digest --image-id "docker-root:$ROOT:sha256:${id:0:12}"
	same "by the beginning" "$output" "sha256:$id"
	dray_run digest --image-id "$ROOT" --image test/sym:1
	same "a bare folder" "$output" "sha256:$id"
	# A registry gets what it would get from the archive.
	dray_run push --plain-http "docker-root:$ROOT:built/app:1" "$REGISTRY_ADDR/from/disk:1"
	ok
	same "what was pushed" "$(remote_walk "$REGISTRY_ADDR" from/disk 1)" "$DIGEST"
	dray_run push --plain-http "$CASE/saved0.tar" "$REGISTRY_ADDR/from/archive:1"
	ok
	same "what the archive gives" "$(remote_walk "$REGISTRY_ADDR" from/archive 1)" \
		"$(remote_walk "$REGISTRY_ADDR" from/disk 1)"
	# The engine comes back and finds its disk as it was.
	dray_run files "docker-root:$ROOT:built/app:1" /d
	expect 0
	[[ $output == *two* && $output == *hard* && $output != *one* ]]
	dray_run copy "$CASE/saved0.tar" "docker-root:$ROOT"
	expect 8
	dray_run copy "docker-root:$ROOT:no/such:1" "oci:$CASE/l"
	expect 3 "*test/sym:1*"
}

@test "disks: dockerd with vfs" {
	disk_docker vfs
	peer_stop spare 30
	check_docker
}

# plant COMMAND...: in a fresh copy of the data root, $COPY; there $SPLIT, $FILES and $CACHE_ID are those of the top layer of
# built/app:1, which hard-links /d/two, and of the layer with /bin/busybox.
fresh_copy() {
	local chain
	COPY=$CASE/copy
	rm -rf "$COPY"
	mkdir "$COPY"
	cp -a "$ROOT/image" "$ROOT/overlay2" "$COPY/"
	chain=$(jq -r '.images[0].layers[0].chain_id' "$CASE/app.json")
	DB=$COPY/image/overlay2/layerdb/sha256/${chain#sha256:}
	FILES=$COPY/overlay2/$(cat "$DB/cache-id")/diff
}

# refused STATUS PATTERN: within seconds, nothing left behind.
refused() {
	run --separate-stderr timeout 20 "$DRAY" copy "docker-root:$COPY:built/app:1" "$CASE/out.tar"
	expect "$1" "$2"
	[ ! -e "$CASE/out.tar" ]
}

split_of() { printf '%s\n' "$@" | gzip >"$DB/tar-split.json.gz"; }

@test "disks: a data root with hostile changes" {
	disk_docker overlay2
	peer_stop spare 30
	"$DRAY" explain --json "docker-root:$ROOT:built/app:1" >"$CASE/app.json"

	# The twin that is accepted.
	fresh_copy
	dray_run copy "docker-root:$COPY:built/app:1" "$CASE/out.tar"
	ok
	rm "$CASE/out.tar"

	# A path out of the layer.
	split_of '{"type":1,"name":"../../../../../../etc/passwd","size":9,"payload":"uQlWx3WkEAE=","position":0}'
	refused 6 '*"../../../../../../etc/passwd"*'
	# The file, as a link to an equal one outside.
	fresh_copy
	mv "$FILES/bin/busybox" "$CASE/busybox"
	ln -s "$CASE/busybox" "$FILES/bin/busybox"
	refused 6 '*bin/busybox*'
	# A folder on the way, likewise.
	fresh_copy
	mv "$FILES/bin" "$CASE/bin"
	ln -s "$CASE/bin" "$FILES/bin"
	refused 6 '*bin/busybox*'
	# A fifo in place of the file, of the tar-split, of a list.
	fresh_copy
	rm "$FILES/bin/busybox"
	mkfifo "$FILES/bin/busybox"
	refused 6 '*bin/busybox*no regular file*'
	fresh_copy
	rm "$DB/tar-split.json.gz"
	mkfifo "$DB/tar-split.json.gz"
	refused 6 '*tar-split*no regular file*'
	fresh_copy
	rm "$COPY/image/overlay2/repositories.json"
	mkfifo "$COPY/image/overlay2/repositories.json"
	refused 6 '*repositories.json*no regular file*'
	# What a power cut leaves of the names: all images are still listed, and found by ID.
	fresh_copy
	: >"$COPY/image/overlay2/repositories.json"
	refused 6 '*repositories.json*'
	dray_run images --json "docker-root:$COPY"
	expect 0
	same "warning" "$(jq -r '.warnings[].code' <<<"$output")" names-damaged
	diff "$CASE/all" <(jq -r '.images[].image_id' <<<"$output" | sort)
	dray_run images "docker-root:$COPY"
	expect 0 '*repositories.json*images may lack names*'
	dray_run verify "docker-root:$COPY"
	expect 1 '*'
	dray_run copy "docker-root:$COPY:$(jq -r '.images[0].image_id' "$CASE/app.json")" "$CASE/out.tar"
	ok
	rm "$CASE/out.tar"
	# IDs that are paths.
	fresh_copy
	printf '../../etc' >"$DB/cache-id"
	refused 6 '*cache-id "../../etc" is no ID*'
	# Sizes that are absurd.
	fresh_copy
	split_of '{"type":1,"name":"bin/busybox","size":9223372036854775807,"payload":"uQlWx3WkEAE=","position":0}'
	refused 6 '*bin/busybox*'
	# Damage: other content of the same size, a file that is gone, a tar-split that is gone or cut.
	fresh_copy
	printf x | dd of="$FILES/bin/busybox" bs=1 seek=1000 conv=notrunc status=none
	refused 6 '*bin/busybox*its content has changed*'
	dray_run verify "docker-root:$COPY:built/app:1"
	expect 1 '*'
	[[ $output$stderr == *bin/busybox* ]]
	fresh_copy
	rm "$FILES/bin/busybox"
	refused 6 '*bin/busybox*'
	fresh_copy
	rm "$DB/tar-split.json.gz"
	refused 6 '*tar-split.json.gz is missing*'
	dray_run images "docker-root:$COPY"
	expect 0 '*tar-split.json.gz is missing*'
	fresh_copy
	truncate -s 60 "$DB/tar-split.json.gz"
	refused 6 '*'
	# All that is right may still be another layer.
	fresh_copy
	split_of '{"type":2,"payload":"AAAA","position":0}'
	refused 6 '*DiffID*'
}

# ---------------------------------------------------------------------------------------------------------------------
# podman

pod() { podman --root "$CASE/root" --runroot "$CASE/run" --storage-driver "$POD_DRIVER" "$@"; }

# disk_podman DRIVER
disk_podman() {
	local big sym nth
	POD_DRIVER=$1
	require_root
	require_peer podman
	image_need big
	big=$IMAGE
	image_need sym
	sym=$IMAGE
	registry_start main plain
	dray_run push --plain-http "$big" "$REGISTRY_ADDR/pulled/big:1"
	ok
	image_context
	printf 'FROM scratch\nCOPY busybox /bin/busybox\nCOPY a /a\nCMD ["/bin/busybox"]\n' >"$CONTEXT/Dockerfile"
	pod build -q -t built:1 "$CONTEXT"
	pod load -q -i "$sym"
	pod tag test/sym:1 localhost/other/sym:2
	pod pull -q --tls-verify=false "$REGISTRY_ADDR/pulled/big:1"
	TAGGED=(localhost/built:1 localhost/other/sym:2 "$REGISTRY_ADDR/pulled/big:1")
	pod images -a --no-trunc --digests --format '{{.Repository}}:{{.Tag}} {{.Digest}} {{.ID}}' |
		sed 's/^<none>:<none>/-/' | sort >"$CASE/listed"
	for nth in "${!TAGGED[@]}"; do pod save -q -o "$CASE/saved$nth.tar" "${TAGGED[nth]}"; done
}

check_podman() {
	local nth
	dray_run images --json "containers-storage:[$CASE/root]"
	expect 0
	diff <(grep -v '^-' "$CASE/listed") <(jq -r '.images[] | . as $i | .tags[] |
		"\(.) \($i.repo_digests[0] | sub(".*@"; "")) \($i.image_id)"' <<<"$output" | sort)
	same "images in all" "$(jq -r '.images[].image_id' <<<"$output" | sort)" \
		"$(awk '{ print $3 }' "$CASE/listed" | sort -u)"
	for nth in "${!TAGGED[@]}"; do
		dray_run normalize "$CASE/saved$nth.tar" -o "$CASE/want.tar"
		ok
		dray_run normalize "containers-storage:[$CASE/root]${TAGGED[nth]}" -o "$CASE/got.tar"
		ok
		same_archives "$CASE/want.tar" "$CASE/got.tar" "${TAGGED[nth]}"
	done
	dray_run verify "containers-storage:[$CASE/root]"
	expect 0
}

@test "disks: podman with overlay" {
	disk_podman overlay
	check_podman
	# The short name is one of localhost, as podman takes it; skopeo's spelling of the place.
	dray_run digest --image-id "containers-storage:[overlay@$CASE/root+$CASE/run]built:1"
	expect 0
	same "short name" "$output" "sha256:$(pod image inspect -f '{{.Id}}' built:1)"
	dray_run digest --image-id "$CASE/root" --image localhost/built:1
	same "a bare folder" "$output" "sha256:$(pod image inspect -f '{{.Id}}' built:1)"
	dray_run digest --image-id "containers-storage:[$CASE/root]no/such"
	expect 3
	# It says that the registry's manifest cannot come back.
	dray_run copy "containers-storage:[$CASE/root]$REGISTRY_ADDR/pulled/big:1" "oci:$CASE/l"
	expect 0 '*a copy gets a manifest of its own*'
}

@test "disks: podman with vfs" {
	disk_podman vfs
	check_podman
}
