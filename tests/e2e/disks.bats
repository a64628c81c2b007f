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

# Other verbs read a data root as they read its archive.
check_other_verbs() {
	local from="docker-root:$ROOT:built/app:1"
	dray_run diff "$from" "$CASE/saved0.tar"
	expect 0
	same "files" "$("$DRAY" files --json "$from")" "$("$DRAY" files --json "$CASE/saved0.tar")"
	same "explained" "$("$DRAY" explain --json "$from" | jq -c '.images[0].layers[] | [.diff_id, .chain_id, .v1_id]')" \
		"$("$DRAY" explain --json "$CASE/saved0.tar" | jq -c '.images[0].layers[] | [.diff_id, .chain_id, .v1_id]')"
	"$DRAY" export "$from" -o "$CASE/a.tar"
	"$DRAY" export "$CASE/saved0.tar" -o "$CASE/b.tar"
	cmp "$CASE/a.tar" "$CASE/b.tar"
	# What the disk has need not be carried to it: the image's first layers are its base.
	same "have" "$("$DRAY" have --json "docker-root:$ROOT" | jq -c '.chain_ids | sort')" \
		"$("$DRAY" explain --all --json "docker-root:$ROOT" | jq -c '[.images[].layers[].chain_id] | unique')"
	dray_run delta save --base "docker-root:$ROOT:test/sym:1" "$from" -o "$CASE/d"
	expect 0
	dray_run delta load "$CASE/d" --base "docker-root:$ROOT" -o "$CASE/loaded.tar"
	expect 0
	dray_run normalize "$CASE/loaded.tar" -o "$CASE/got.tar"
	expect 0
	dray_run normalize "$from" -o "$CASE/want.tar"
	expect 0
	same_archives "$CASE/want.tar" "$CASE/got.tar" "through a delta"
}

@test "disks: dockerd with overlay2, running and stopped" {
	disk_docker overlay2
	check_docker
	peer_stop spare 30
	check_docker
	dray_run verify "docker-root:$ROOT"
	expect 0
	check_other_verbs
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
	# The error says why by itself: a warning is not for those who want none, nor in the document.
	dray_run copy -q --json "docker-root:$COPY:built/app:1" "$CASE/x.tar"
	expect 6
	[[ $(jq -r .error.message <<<"$output") == *"is not in $COPY: "*"tar-split.json.gz is missing" ]]
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

# layer_of N: the database folder and the files of layer N of built/app:1 in $COPY.
layer_of() {
	DB=$COPY/image/overlay2/layerdb/sha256/$(jq -r ".images[0].layers[$1].chain_id[7:]" "$CASE/app.json")
	FILES=$COPY/overlay2/$(cat "$DB/cache-id")/diff
}

# set_xattr FILE NAME VALUE
set_xattr() {
	python3 -c 'import os, sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode())' "$@"
}

# rootfs PLACE
rootfs() {
	"$DRAY" rootfs-id --mtime "$1"
}

@test "disks: damaged layers are named, and made anew with --salvage" {
	local want diff_ids
	disk_docker overlay2
	peer_stop spare 30
	"$DRAY" explain --json "docker-root:$ROOT:built/app:1" >"$CASE/app.json"
	want=$(rootfs "$CASE/saved0.tar")

	# Nothing is wrong: the same bytes with it as without.
	dray_run copy --salvage "docker-root:$ROOT:built/app:1" "$CASE/sound.tar"
	ok
	dray_run copy "docker-root:$ROOT:built/app:1" "$CASE/plain.tar"
	ok
	cmp "$CASE/sound.tar" "$CASE/plain.tar"

	# All tar-splits are gone, and all files are there: the same file system in other tars.
	fresh_copy
	rm "$COPY"/image/overlay2/layerdb/sha256/*/tar-split.json.gz
	refused 6 '*hint: --salvage*'
	dray_run save --salvage "docker-root:$COPY:built/app:1" -o "$CASE/new.tar"
	expect 0 '*layer 5 is made anew*the image ID * becomes *'
	dray_run verify "$CASE/new.tar"
	expect 0
	same "file system" "$(rootfs "$CASE/new.tar")" "$want"
	# DiffIDs and image ID are others, the rest of the config is as it was.
	diff <(jq -S 'del(.rootfs)' < <("$DRAY" inspect --config "$CASE/saved0.tar")) \
		<(jq -S 'del(.rootfs)' < <("$DRAY" inspect --config "$CASE/new.tar"))
	diff_ids=$(jq -c '.rootfs.diff_ids' < <("$DRAY" inspect --config "$CASE/new.tar"))
	same "layers" "$(jq length <<<"$diff_ids")" 5
	[ "$diff_ids" != "$(jq -c '.rootfs.diff_ids' < <("$DRAY" inspect --config "$CASE/saved0.tar"))" ]
	# Again, and by other verbs: always the same layers.
	dray_run copy --salvage "docker-root:$COPY:built/app:1" "$CASE/again.tar"
	expect 0
	cmp "$CASE/new.tar" "$CASE/again.tar"
	dray_run export --salvage "docker-root:$COPY:built/app:1" -o "$CASE/export.tar"
	expect 0 '*layer 1 is made anew*'
	"$DRAY" export "$CASE/new.tar" -o "$CASE/export2.tar"
	cmp "$CASE/export.tar" "$CASE/export2.tar"
	dray_run push --salvage --plain-http "docker-root:$COPY:built/app:1" "$REGISTRY_ADDR/salvaged/app:1"
	expect 0
	same "what was pushed" "$(remote_walk "$REGISTRY_ADDR" salvaged/app 1)" "${output##*@}"

	# One thing wrong with each layer; the fourth is lost, and what it removed comes back.
	fresh_copy
	layer_of 0
	printf x | dd of="$FILES/bin/busybox" bs=1 seek=1000 conv=notrunc status=none
	layer_of 1
	rm "$FILES/d/one"
	echo 1 >"$FILES/d/uno"
	layer_of 2
	split_of '{"type":2,"payload":"AAAA","position":0}'
	layer_of 3
	rm -r "$FILES"
	layer_of 4
	echo garbage >"$DB/tar-split.json.gz"
	refused 6 '*bin/busybox*its content has changed*hint: --salvage*'
	dray_run verify --json "docker-root:$COPY:built/app:1"
	expect 1
	same "damage" "$(jq -r '.problems[].code' <<<"$output" | sort | uniq -c | sed 's/^ *//')" \
		"1 diff-id-mismatch
2 layer-file-damaged
1 layer-files-missing
2 layer-missing
1 tar-split-damaged"
	dray_run copy --json --salvage "docker-root:$COPY:built/app:1" "$CASE/mixed.tar"
	expect 0 '*"bin/busybox"*"d/one": it is missing*another layer of its files*layer 4 is lost*layer 5 is made anew*'
	dray_run verify "$CASE/mixed.tar"
	expect 0
	same "files" "$("$DRAY" files --json "$CASE/mixed.tar" | jq -r .path | paste -sd' ')" \
		"bin bin/busybox d d/hard d/two d/uno"
	# A layer that is sound keeps its bytes.
	fresh_copy
	layer_of 2
	rm "$DB/tar-split.json.gz"
	dray_run copy --salvage "docker-root:$COPY:built/app:1" "$CASE/one.tar"
	expect 0 '*layer 3 is made anew*'
	same "layers that changed" "$(diff <(jq -r '.rootfs.diff_ids[]' < <("$DRAY" inspect --config "$CASE/saved0.tar")) \
		<(jq -r '.rootfs.diff_ids[]' < <("$DRAY" inspect --config "$CASE/one.tar")) | grep -c '^>')" 1

	# Whiteouts of both kinds, made by overlayfs itself; an owner and a capability.
	fresh_copy
	layer_of 4
	rm "$DB/tar-split.json.gz"
	mknod "$FILES/d/gone" c 0 0
	mkdir "$FILES/bin"
	set_xattr "$FILES/bin" trusted.overlay.opaque y
	chown 7:8 "$FILES/d/hard"
	set_xattr "$FILES/d/hard" user.mine kept
	dray_run copy --salvage "docker-root:$COPY:built/app:1" "$CASE/white.tar"
	expect 0
	tar xOf "$CASE/white.tar" "$(tar xOf "$CASE/white.tar" manifest.json | jq -r '.[0].Layers[4]')" >"$CASE/layer.tar"
	same "entries" "$(tar tf "$CASE/layer.tar" | paste -sd' ')" \
		"bin/ bin/.wh..wh..opq d/ d/.wh.gone d/hard d/two"
	same "owner" "$(tar tvf "$CASE/layer.tar" --numeric-owner d/hard | awk '{ print $2 }')" 7/8
	same "busybox is hidden" "$("$DRAY" files --json "$CASE/white.tar" | jq -r .path | paste -sd' ')" \
		"bin d d/hard d/two"
	same "attribute" "$("$DRAY" files --json "$CASE/white.tar" d/hard | jq -c .xattrs)" '{"user.mine":"kept"}'

	# Planted links stay links: nothing of what they lead to comes along.
	fresh_copy
	layer_of 0
	rm "$DB/tar-split.json.gz"
	echo canary-of-this-test >"$CASE/secret"
	ln -sf "$CASE/secret" "$FILES/bin/busybox"
	ln -s "$CASE" "$FILES/folder"
	dray_run export --salvage "docker-root:$COPY:built/app:1" -o "$CASE/links.tar"
	expect 0
	fails grep -q canary-of-this-test "$CASE/links.tar"
	same "links" "$(tar tvf "$CASE/links.tar" | grep -c '^l')" 2
	# A whole layer's folder as a link is no folder: the layer is lost.
	mv "$FILES" "$CASE/aside"
	ln -s "$CASE/aside" "$FILES"
	dray_run copy --salvage "docker-root:$COPY:built/app:1" "$CASE/lost.tar"
	expect 0 '*layer 1 is lost*'
	# With nothing left there is nothing to salvage.
	rm -r "$COPY/overlay2"
	dray_run copy --salvage "docker-root:$COPY:built/app:1" "$CASE/nothing.tar"
	expect 6 '*nothing of its layers is left*'
	[ ! -e "$CASE/nothing.tar" ]
}

# ---------------------------------------------------------------------------------------------------------------------
# containerd

# ctd_start: a containerd of the test's own; ctd is its ctr.
ctd_start() {
	mkdir -p "$CASE/ctd"
	cat >"$CASE/ctd/config.toml" <<-EOF_CONFIG
		version = 2
		root = "$CASE/ctd/root"
		state = "$CASE/ctd/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
		[grpc]
		  address = "$CASE/ctd/c.sock"
		[ttrpc]
		  address = "$CASE/ctd/t.sock"
	EOF_CONFIG
	peer_spawn ctd containerd -c "$CASE/ctd/config.toml"
	wait_until 30 ctd version
}
ctd() { ctr -a "$CASE/ctd/c.sock" "$@"; }

@test "disks: containerd's content store" {
	local multi id state start
	require_root
	require_peer containerd
	image_need sym
	ctd_start
	start=$(date -u +%FT%T)
	ctd images import --no-unpack "$IMAGE"
	ctd --namespace moby images import --no-unpack "$IMAGE"
	ctd --namespace moby images tag docker.io/test/sym:1 registry.example:5000/other/sym:2
	# What Docker calls an image without a name, and Kubernetes one by its ID, are no names.
	ctd --namespace moby images tag docker.io/test/sym:1 "moby-dangling@sha256:$(printf '%064d' 0)"
	ctd --namespace moby images tag docker.io/test/sym:1 "sha256:$(printf '%064d' 0)"
	id=$("$DRAY" digest --image-id "$IMAGE")
	ctd images export "$CASE/exported.tar" docker.io/test/sym:1
	ROOT=$CASE/ctd/root
	# Running, and stopped.
	for state in running stopped; do
		[ "$state" = running ] || peer_stop ctd 30
		dray_run images --json "docker-root:$ROOT"
		expect 0
		same "store" "$(jq -r .store <<<"$output")" containerd
		absent "$state: warnings" "$(jq -r '.warnings[].code' <<<"$output")"
		same "$state: images" "$(jq -r '.images[].image_id' <<<"$output")" "$id"
		same "$state: when" "$(jq -c --arg start "$start" '[.images[] | [.updated_event, .certainty, .state,
			.updated > $start, .events[-1].event, .events[-1].time < .updated]]' <<<"$output")" \
			'[["updated","recorded","tagged",true,"named",true]]'
		same "$state: names" "$(jq -r '.images[].tags[]' <<<"$output" | sort | xargs)" \
			"registry.example:5000/other/sym:2 test/sym:1"
	done
	# Byte for byte what containerd gives itself, and what it was given.
	same "manifest" "$("$DRAY" digest "docker-root:$ROOT")" "$("$DRAY" digest "oci-archive:$CASE/exported.tar")"
	dray_run verify "docker-root:$ROOT"
	expect 0
	dray_run normalize --untagged "docker-root:$ROOT:sha256:${id#sha256:}" -o "$CASE/got.tar"
	expect 0
	dray_run normalize --untagged "$IMAGE" -o "$CASE/want.tar"
	expect 0
	same_archives "$CASE/want.tar" "$CASE/got.tar" "sym"
	dray_run normalize "docker-root:$ROOT:test/sym:1" -o "$CASE/got.tar"
	expect 0
	dray_run normalize "$IMAGE" -o "$CASE/want.tar"
	expect 0
	same_archives "$CASE/want.tar" "$CASE/got.tar" "sym by its name"
	dray_run copy "docker-root:$ROOT:test/sym:2" "$CASE/named.tar"
	expect 3
	# As Docker 29 keeps it below its data root, and as a bare folder.
	mkdir -p "$CASE/docker/containerd"
	cp -a "$ROOT" "$CASE/docker/containerd/daemon"
	same "Docker 29" "$("$DRAY" digest --image-id "$CASE/docker")" "$id"
	# Without its database images are found by what their blobs are.
	local meta=$CASE/docker/containerd/daemon/io.containerd.metadata.v1.bolt/meta.db
	for state in cut none gone; do
		case $state in
		cut) truncate -s 8192 "$meta" ;;
		none) echo nothing >"$meta" ;;
		gone) rm "$meta" ;;
		esac
		dray_run images --json "docker-root:$CASE/docker"
		expect 0
		same "$state: warnings" "$(jq -r '.warnings[].code' <<<"$output")" names-unread
		same "$state: image" "$(jq -r '.images[].image_id' <<<"$output")" "$id"
		absent "$state: names" "$(jq -r '.images[].tags[]' <<<"$output")"
	done
	# Nor is a link followed in its place.
	ln -s "$ROOT/io.containerd.metadata.v1.bolt/meta.db" "$meta"
	same "link" "$("$DRAY" images --json "docker-root:$CASE/docker" | jq -r '.warnings[].code')" names-unread
	# A blob that is another one than its name says is no image's; a layer that is cut is named.
	local blobs=$CASE/docker/containerd/daemon/io.containerd.content.v1.content/blobs/sha256 big
	big=$(ls -S "$blobs" | head -1)
	truncate -s 1000 "$blobs/$big"
	dray_run verify "docker-root:$CASE/docker"
	expect 1 '*'
	[[ $output$stderr == *"$big"* || $output$stderr == *layer* ]]
	dray_run copy "docker-root:$CASE/docker" "$CASE/cut.tar"
	expect 6
	# Links in the place of blobs are not followed.
	mv "$blobs/$big" "$CASE/$big"
	ln -s "$CASE/$big" "$blobs/$big"
	dray_run copy "docker-root:$CASE/docker" "$CASE/cut.tar"
	expect 6
	[ ! -e "$CASE/cut.tar" ]
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
	# One image by another manifest, and one that lost its name.
	skopeo copy -q --dest-tls-verify=false "docker-archive:$sym" "docker://$REGISTRY_ADDR/pulled/sym:1"
	pod pull -q --tls-verify=false "$REGISTRY_ADDR/pulled/sym:1"
	for nth in 1 2; do printf 'FROM built:1\nLABEL nth=%s\n' "$nth" | pod build -q -t labelled:1 -; done
	TAGGED=(localhost/built:1 localhost/other/sym:2 "$REGISTRY_ADDR/pulled/big:1")
	pod images -a --no-trunc --digests --format '{{.Repository}}:{{.Tag}} {{.Digest}} {{.ID}}' |
		sed 's/^<none>:<none>/-/' | sort >"$CASE/listed"
	for nth in "${!TAGGED[@]}"; do pod save -q -o "$CASE/saved$nth.tar" "${TAGGED[nth]}"; done
	pod images -q --no-trunc | sort -u >"$CASE/shown"
	pod images -a -q --no-trunc | cut -d: -f2 | sort -u | xargs podman --root "$CASE/root" --runroot "$CASE/run" \
		--storage-driver "$POD_DRIVER" image inspect |
		jq -c '.[] | [.Id, .Parent, .Size, .Digest, (.RepoDigests | sort)]' | sort >"$CASE/inspected"
}

check_podman() {
	local nth
	dray_run images --json "containers-storage:[$CASE/root]"
	expect 0
	diff <(grep -v '^-' "$CASE/listed") <(jq -r '.images[] | . as $i | .tags[] |
		"\(.) \($i.repo_digests[0] | sub(".*@"; "")) \($i.image_id)"' <<<"$output" | sort)
	diff "$CASE/inspected" <(jq -c '.images[] | [(.image_id | ltrimstr("sha256:")),
		((.parent // "") | ltrimstr("sha256:")), .size, .digest, (.repo_digests | sort)]' <<<"$output" | sort)
	diff "$CASE/shown" <(jq -r '.images[] | select(.state != "intermediate") | .image_id' <<<"$output" | sort)
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
	# Other verbs read it as they read its archive.
	local from="containers-storage:[$CASE/root]localhost/built:1"
	dray_run diff "$from" "$CASE/saved0.tar"
	expect 0
	same "files" "$("$DRAY" files --json "$from")" "$("$DRAY" files --json "$CASE/saved0.tar")"
	same "chains" "$("$DRAY" explain --json "$from" | jq -c '[.images[].layers[].chain_id]')" \
		"$("$DRAY" explain --json "$CASE/saved0.tar" | jq -c '[.images[].layers[].chain_id]')"
	same "export" "$("$DRAY" export "$from" | sha256sum)" "$("$DRAY" export "$CASE/saved0.tar" | sha256sum)"
	same "have" "$("$DRAY" have --json "containers-storage:[$CASE/root]" | jq -c '.chain_ids | sort')" \
		"$("$DRAY" explain --all --json "containers-storage:[$CASE/root]" | jq -c '[.images[].layers[].chain_id] | unique')"
	dray_run delta save --base "containers-storage:[$CASE/root]localhost/other/sym:2" "$from" -o "$CASE/d"
	expect 0
	dray_run delta load "$CASE/d" --base "containers-storage:[$CASE/root]" -o "$CASE/loaded.tar"
	expect 0
	same "through a delta" "$("$DRAY" digest --image-id "$CASE/loaded.tar")" "$("$DRAY" digest --image-id "$from")"
	# It says that the registry's manifest cannot come back.
	dray_run copy "containers-storage:[$CASE/root]$REGISTRY_ADDR/pulled/big:1" "oci:$CASE/l"
	expect 0 '*a copy gets a manifest of its own*'
}

@test "disks: podman with vfs" {
	local want from
	disk_podman vfs
	check_podman
	# Each folder holds a whole tree: what a layer changed is found again.
	from="containers-storage:[$CASE/root]$REGISTRY_ADDR/pulled/big:1"
	want=$("$DRAY" rootfs-id --mtime "$from")
	rm "$CASE"/root/vfs-layers/*.tar-split.gz
	dray_run copy "$from" "$CASE/new.tar"
	expect 6 '*hint: --salvage*'
	dray_run copy --salvage "$from" "$CASE/new.tar"
	expect 0 '*layer 1 is made anew*'
	dray_run verify "$CASE/new.tar"
	expect 0
	same "file system" "$("$DRAY" rootfs-id --mtime "$CASE/new.tar")" "$want"
	# An engine takes it, under the new image ID.
	podman --root "$CASE/other" --runroot "$CASE/run" --storage-driver vfs load -q -i "$CASE/new.tar"
	same "loaded" "sha256:$(podman --root "$CASE/other" --runroot "$CASE/run" --storage-driver vfs images -q --no-trunc |
		cut -d: -f2)" "$("$DRAY" digest --image-id "$CASE/new.tar")"
}

@test "disks: storage.conf and additional image stores, as podman and skopeo read them" {
	require_root
	require_peer podman
	require_peer skopeo
	image_need sym
	mkdir "$CASE/run"
	cat >"$CASE/storage.conf" <<-EOF_CONF
		[storage]
		driver = "vfs"
		graphroot = "$CASE/own"
		runroot = "$CASE/run/own"
		[storage.options]
		additionalimagestores = [ "$CASE/shared" ]
	EOF_CONF
	podman --root "$CASE/shared" --runroot "$CASE/run/shared" --storage-driver vfs load -q -i "$IMAGE"
	export CONTAINERS_STORAGE_CONF=$CASE/storage.conf
	same "podman's root" "$(podman info --format '{{.Store.GraphRoot}}')" "$CASE/own"
	# Before there is anything of its own, and with an image that lies on layers of the shared store.
	dray_run digest --image-id containers-storage:test/sym:1
	expect 0
	same "shared" "$output" "sha256:$(podman image inspect -f '{{.Id}}' test/sym:1)"
	image_context
	printf 'FROM localhost/test/sym:1\nCOPY a /own\n' >"$CONTEXT/Dockerfile"
	podman build -q --isolation chroot -t derived:1 "$CONTEXT"
	diff <(podman images --no-trunc --noheading --format '{{.Repository}}:{{.Tag}} {{.ID}}' | grep -v '<none>' | sort) \
		<("$DRAY" images --json containers-storage: | jq -r '.images[] | . as $i | .tags[] | "\(.) \($i.image_id)"' | sort)
	same "skopeo's config" "$(skopeo inspect --config --raw containers-storage:localhost/derived:1 | sha256sum | cut -c-64)" \
		"$("$DRAY" digest --image-id containers-storage:derived:1 | cut -c8-)"
	dray_run verify containers-storage:
	expect 0
	# What is shared may be gone: told, and the rest is read.
	mv "$CASE/shared" "$CASE/aside"
	dray_run images containers-storage:
	expect 0 '*additional image store*is left out*'
	mv "$CASE/aside" "$CASE/shared"
	same "by STORAGE_OPTS" "$(STORAGE_OPTS=vfs.imagestore=$CASE/none "$DRAY" images --json containers-storage: |
		jq -r '.warnings[] | select(.code == "store-missing") | .code')" store-missing
	printf '[storage\n' >"$CASE/storage.conf"
	dray_run images containers-storage:
	expect 6 '*storage.conf*line 1*'
}
