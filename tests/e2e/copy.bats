#!/usr/bin/env bats
# copy: archives and registries into OCI layouts and OCI archives, read back by skopeo, umoci and podman.

load lib

setup() { verbs_setup; }
teardown() { peers_teardown; }

out() { echo "$BATS_TEST_TMPDIR/$1"; }

# layer_digests FILE: of a manifest.
layer_digests() { jq -r '.layers[].digest' "$1"; }

@test "copy: a docker archive to a layout: whole, and read by skopeo and umoci" {
	require_peer skopeo umoci
	image_need sym
	id=$(docker_image_id test/sym:1)
	dray_run copy "$IMAGE" "oci:$(out l):sym"
	ok
	case $output in "$(out l)"@*) ;; "oci:$(out l)"*) ;; *) echo "$output" && false ;; esac
	layout_check "$(out l)"
	same tags "$(layout_tags "$(out l)")" sym
	same "manifest digest" "$(source_manifest_digest "oci:$(out l):sym")" "$DIGEST"
	same "image ID" "$(source_image_id "oci:$(out l):sym")" "$id"
	same "layers" "$(skopeo inspect --config --raw "oci:$(out l):sym" | jq -r '.rootfs.diff_ids[]')" "$(docker_diff_ids test/sym:1)"
	umoci stat --image "$(out l):sym" --json | jq -e '.history | length >= 4'
	umoci unpack --rootless --image "$(out l):sym" "$(out bundle)" >/dev/null
	same "/a" "$(cat "$(out bundle)/rootfs/a")" "content a"
	skopeo copy --quiet "oci:$(out l):sym" "docker-archive:$(out back.tar):back:1"
	dray_run verify "$(out l)"
	expect 0
}

@test "copy: from pipe, compressed file and every kind of archive to one and the same layout" {
	image_need sym
	dray_run copy "$IMAGE" "oci:$(out file):1"
	ok
	want=$DIGEST
	dray_piped "$IMAGE" copy - "oci:$(out pipe):1"
	ok
	same "pipe" "$DIGEST" "$want"
	diff -r "$(out file)" "$(out pipe)"
	zstd -q -c "$IMAGE" >"$(out sym.tar.zst)"
	dray_run copy --jobs 1 "$(out sym.tar.zst)" "oci:$(out zst):1"
	ok
	diff -r "$(out file)" "$(out zst)"
	image_need untagged
	dray_run copy --jobs 4 "$IMAGE" "oci:$(out untagged):1"
	ok
	diff -r "$(out file)" "$(out untagged)"
}

@test "copy: to an OCI archive, file and stdout; podman loads it, skopeo and umoci read it" {
	require_peer skopeo podman
	image_need sym
	id=$(docker_image_id test/sym:1)
	dray_run copy "$IMAGE" "oci-archive:$(out a.tar):example.test/sym:1"
	expect 0
	same "result" "$output" "$(out a.tar)@$id"
	same "image ID" "$(source_image_id "oci-archive:$(out a.tar)")" "$id"
	# tar itself must be content, index.json last.
	tar tf "$(out a.tar)" >"$(out names)"
	same "last member" "$(tail -n 1 "$(out names)")" index.json
	same "first member" "$(head -n 1 "$(out names)")" oci-layout
	absent "twins" "$(sort "$(out names)" | uniq -d)"
	mkdir "$(out x)"
	tar xf "$(out a.tar)" -C "$(out x)"
	layout_check "$(out x)"
	podman load --quiet --input "$(out a.tar)"
	same "podman" "sha256:$(podman image inspect --format '{{.Id}}' example.test/sym:1)" "$id"
	same "podman run" "$(podman_run example.test/sym:1)" "$SYM_LINE"
	podman rmi example.test/sym:1 >/dev/null

	"$DRAY" copy "$IMAGE" oci-archive:-:example.test/sym:1 >"$(out stdout.tar)"
	mkdir "$(out y)"
	tar xf "$(out stdout.tar)" -C "$(out y)"
	diff -r "$(out x)" "$(out y)"
	"$DRAY" copy - oci-archive:-:example.test/sym:1 <"$IMAGE" >"$(out both.tar)"
	cmp "$(out stdout.tar)" "$(out both.tar)"
	dray_run verify "$(out both.tar)"
	expect 0
	same "temporary files" "$(find "$TMPDIR" -type f)" ""
}

@test "copy: the result line of an archive written to stdout is not in the archive" {
	image_need sym
	"$DRAY" copy "$IMAGE" oci-archive:- 2>"$(out err)" | python3 -c '
import sys, tarfile
t = tarfile.open(fileobj=sys.stdin.buffer, mode="r|")
print([m.name for m in t][-1])' >"$(out last)"
	same last "$(cat "$(out last)")" index.json
}

@test "copy: manifest bytes and digests of OCI sources stay" {
	require_peer skopeo podman buildah
	for name in skopeo-oci skopeo-layout podman-oci buildah-oci ctr-oci; do
		image_need "$name"
		scheme=oci-archive
		[ ! -d "$IMAGE" ] || scheme=oci
		want=$(source_manifest_digest "$scheme:$IMAGE")
		dray_run copy "$IMAGE" "oci:$(out "$name"):1"
		ok
		same "$name to a layout" "$DIGEST" "$want"
		layout_check "$(out "$name")"
		dray_run copy "$IMAGE" "oci-archive:$(out "$name.tar"):1"
		expect 0
		same "$name to an archive" "$(source_manifest_digest "oci-archive:$(out "$name.tar")")" "$want"
		if [ -f "$IMAGE" ]; then
			dray_piped "$IMAGE" copy - "oci:$(out "$name-pipe"):1"
			ok
			same "$name by pipe" "$DIGEST" "$want"
			diff -r "$(out "$name")" "$(out "$name-pipe")"
		fi
	done
}

@test "copy: registry to layout to registry: not a digest changes" {
	require_peer skopeo
	image_need sym
	registry_start main plain
	for format in docker oci; do
		dray_run push --format "$format" "$IMAGE" "$REGISTRY_ADDR/rt/$format:1"
		ok
		want=$DIGEST
		dray_run copy "docker://$REGISTRY_ADDR/rt/$format:1" "oci:$(out "l-$format"):1"
		ok
		same "to layout" "$DIGEST" "$want"
		layout_check "$(out "l-$format")"
		dray_run copy "$REGISTRY_ADDR/rt/$format@$want" "oci-archive:$(out "$format.tar"):1"
		expect 0
		dray_run copy "oci-archive:$(out "$format.tar")" "$REGISTRY_ADDR/rt/back-$format:1"
		ok
		same "and back" "$(remote_walk "$REGISTRY_ADDR" "rt/back-$format" 1)" "$want"
		dray_piped "$(out "$format.tar")" push - "$REGISTRY_ADDR/rt/pipe-$format:1"
		ok
		same "and back by pipe" "$(remote_walk "$REGISTRY_ADDR" "rt/pipe-$format" 1)" "$want"
		dray_run copy "$REGISTRY_ADDR/rt/$format:1" "$REGISTRY_ADDR/rt/direct-$format:1"
		ok
		same "registry to registry" "$DIGEST" "$want"
		docker_agrees "$REGISTRY_ADDR/rt/back-$format:1" "$(docker_image_id test/sym:1)" "$SYM_LINE"
	done
}

@test "copy: compressions in a layout, read back by skopeo" {
	require_peer skopeo
	image_need sym
	for how in gzip gzip-single zstd none; do
		dray_run copy --compression "$how" "$IMAGE" "oci:$(out "$how"):1"
		ok
		layout_check "$(out "$how")"
		dray_piped "$IMAGE" copy --compression "$how" - "oci:$(out "$how-pipe"):1"
		ok
		diff -r "$(out "$how")" "$(out "$how-pipe")"
		# skopeo checks blob digests on the way, and DiffIDs where it decompresses; Docker knows no zstd.
		skopeo copy --quiet "oci:$(out "$how"):1" "oci:$(out "theirs-$how"):1"
		[ "$how" = zstd ] || skopeo copy --quiet "oci:$(out "$how"):1" "docker-archive:$(out "$how.tar"):x:1"
		same "image ID" "$(source_image_id "oci:$(out "$how"):1")" "$(docker_image_id test/sym:1)"
	done
}

# manifest_of LAYOUT TAG
manifest_of() { "$DRAY" inspect --raw "oci:$(out "$1"):$2"; }

# say LAYOUT FILTER: the manifest that "one" names there, changed by jq; index.json lists nothing else then.
say() {
	local old new
	old=$(jq -r '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == "one") | .digest' "$(out "$1/index.json")")
	jq -c "$2" "$(out "$1/blobs/sha256/${old#*:}")" >"$(out said)"
	new=$(sha256sum <"$(out said)" | cut -d ' ' -f 1)
	cp "$(out said)" "$(out "$1/blobs/sha256/$new")"
	jq -c --arg digest "sha256:$new" --argjson size "$(stat -c %s "$(out said)")" '
		.manifests |= map(select(.annotations["org.opencontainers.image.ref.name"] == "one") | .digest = $digest | .size = $size)' \
		"$(out "$1/index.json")" >"$(out said)"
	cp "$(out said)" "$(out "$1/index.json")"
}

@test "copy: another compression: the manifest says what it said, but for what spoke of the old bytes" {
	require_peer skopeo
	graph src
	subject=$(jq -nc --arg d "${D[multi]}" '{mediaType: "application/vnd.oci.image.index.v1+json", digest: $d, size: 7, annotations: {about: "it"}}')
	say src '.artifactType = "application/x.kind" | .subject = '"$subject"' | .annotations = {"org.example.a": "<1>", "ü": "2"} |
		.config.annotations = {config: "3"} |
		.layers[0].annotations = {first: "4", "containerd.io/snapshot/stargz/toc.digest": "sha256:0", "io.containers.estargz.uncompressed-size": "1"} |
		.layers[1].annotations = {"io.github.containers.zstd-chunked.manifest-position": "1:2:3:4", "io.containers.zstd-chunked.manifest-checksum": "x"} |
		.layers[1].urls = ["https://example.test/the/old/bytes"]'
	beside='[.artifactType, .subject, .annotations, .config.annotations]'
	want=$(manifest_of src one | jq -cS "$beside")
	for how in zstd none gzip-single; do
		[ "$how" != gzip-single ] || "$DRAY" copy -q --compression none "oci:$(out src):one" "oci:$(out src):one"
		dray_run copy --compression "$how" "oci:$(out src):one" "oci:$(out "$how"):1"
		ok
		[[ $stderr == *"recompressed as asked"* ]]
		same "$how" "$(manifest_of "$how" 1 | jq -cS "$beside")" "$want"
		same "$how: layers" "$(manifest_of "$how" 1 | jq -cS '[.layers[] | [.annotations, .urls]]')" '[[{"first":"4"},null],[null,null]]'
		skopeo inspect --raw "oci:$(out "$how"):1" >/dev/null
	done
	# skopeo keeps what is beside the layers, too.
	skopeo copy --quiet --dest-compress --dest-compress-format zstd "oci:$(out none):1" "oci:$(out skopeo):1"
	same "skopeo" "$(manifest_of skopeo 1 | jq -c .annotations)" "$(manifest_of zstd 1 | jq -c .annotations)"
	# What is not converted says all it said.
	graph src2
	say src2 '.layers[0].annotations = {"containerd.io/snapshot/stargz/toc.digest": "sha256:0"}'
	dray_run copy --compression gzip "oci:$(out src2):one" "oci:$(out gzip):1"
	ok
	cmp <(manifest_of src2 one) <(manifest_of gzip 1)
	# Docker's documents have no place for any of it.
	dray_run copy --format docker "oci:$(out src):one" "oci:$(out docker):1"
	ok
	same "Docker's" "$(manifest_of docker 1 | jq -c "[$beside[] | values]")" "[]"
}

@test "copy: layers that are equal keep an annotation each" {
	graph src
	config=$(manifest_of src one | jq -r .config.digest)
	jq -c '.rootfs.diff_ids |= [.[0], .[0]]' "$(out "src/blobs/sha256/${config#*:}")" >"$(out config)"
	new=$(sha256sum <"$(out config)" | cut -d ' ' -f 1)
	cp "$(out config)" "$(out "src/blobs/sha256/$new")"
	say src ".config.digest = \"sha256:$new\" | .config.size = $(stat -c %s "$(out config)") | .layers |= [.[0], .[0]] |
		.layers[0].annotations = {a: \"1\"} | .layers[1].annotations = {b: \"2\"}"
	dray_run copy --compression zstd "oci:$(out src):one" "oci:$(out l):1"
	ok
	same "annotations" "$(manifest_of l 1 | jq -c '[.layers[].annotations]')" '[{"a":"1"},{"b":"2"}]'
}

@test "copy: zstd makes an OCI manifest of Docker's, which knows no zstd" {
	require_peer skopeo umoci
	graph src --docker
	oci=$(printf '%s\n' application/vnd.oci.image.config.v1+json application/vnd.oci.image.layer.v1.tar+zstd "$MT_OCI_MANIFEST")
	types() { jq -r '.mediaType, .config.mediaType, .layers[].mediaType' | sort -u; }
	dray_run copy --compression zstd "oci:$(out src):one" "oci:$(out l):1"
	ok
	[[ $stderr == *"Docker's manifest becomes an OCI one"* ]]
	same "types" "$(manifest_of l 1 | types)" "$oci"
	same "image ID" "$(source_image_id "oci:$(out l):1")" "$(manifest_of src one | jq -r .config.digest)"
	umoci stat --image "$(out l):1" >/dev/null
	registry_start main plain
	dray_run push --compression zstd "oci:$(out src):one" "$REGISTRY_ADDR/z/one:1"
	ok
	same "types in a registry" "$(remote_manifest "$REGISTRY_ADDR" z/one 1 | types)" "$oci"
	# A list of Docker's holds no OCI manifests either.
	dray_run copy --all-platforms --compression zstd "oci:$(out src):multi" "oci:$(out l):all"
	ok
	same "index" "$(jq -r '.mediaType, .manifests[].mediaType' "$(out "l/blobs/sha256/${DIGEST#*:}")" | sort -u)" \
		"$(printf '%s\n' application/vnd.oci.image.index.v1+json "$MT_OCI_MANIFEST")"
	layout_check "$(out l)"
	# Who asks for Docker's gets them, with the type that containerd has for such layers; and then nothing is to be changed.
	dray_run copy --format docker --compression zstd "oci:$(out src):one" "oci:$(out l):docker"
	ok
	want=$DIGEST
	same "Docker's types" "$(manifest_of l docker | types | tail -n 1)" application/vnd.docker.image.rootfs.diff.tar.zstd
	dray_run copy --compression zstd "oci:$(out l):docker" "oci:$(out m):1"
	ok
	same "kept" "$DIGEST" "$want"
	[[ $stderr != *changed* ]]
	# The other compressions are Docker's, too.
	dray_run copy --compression none "oci:$(out src):one" "oci:$(out l):none"
	ok
	same "uncompressed" "$(manifest_of l none | jq -r .mediaType)" "$MT_DOCKER_MANIFEST"
}

@test "copy: of an index the image of the wanted platform tells what the registry has" {
	graph src
	registry_start main plain
	r=$REGISTRY_ADDR
	layers() { jq -c .layers; }
	for arch in amd64 arm64; do
		[ "$arch" = amd64 ] && want=${D[image0]} || want=${D[image1]}
		dray_run push --all-platforms "oci:$(out src):multi" "$r/a/x:multi"
		ok
		dray_run copy --platform "linux/$arch" --compression none "oci:$(out src):multi" "oci:$(out plain):$arch"
		ok
		# by --reuse, and by the tag that is written to
		for to in "$r/b/$arch:1" "$r/a/x:multi"; do
			reuse=(--reuse "$r/a/x:multi")
			[ "$to" != "$r/a/x:multi" ] || reuse=()
			dray_run push --no-cache --platform "linux/$arch" --compression gzip "${reuse[@]}" "oci:$(out plain):$arch" "$to"
			ok
			[[ $stderr == *"0 blobs sent (0 B), 2 already there"* ]]
			same "layers" "$("$DRAY" inspect --raw "$to" | layers)" "$(layers <"$(out "src/blobs/sha256/${want#*:}")")"
		done
	done
	# Without --platform that for this machine counts, as of a source; one that is alone counts anywhere.
	dray_run push --all-platforms "oci:$(out src):multi" "$r/a/x:multi"
	ok
	dray_run copy --compression none "oci:$(out src):multi" "oci:$(out plain):here"
	ok
	jq -c '.manifests |= .[1:2]' "$(out "src/blobs/sha256/${D[multi]#*:}")" >"$(out lone)"
	registry_curl main /v2/a/x/manifests/lone -f -X PUT --data-binary "@$(out lone)" -H 'Content-Type: application/vnd.oci.image.index.v1+json'
	for which in here:multi arm64:lone; do
		dray_run push --no-cache --compression gzip --reuse "$r/a/x:${which#*:}" "oci:$(out plain):${which%:*}" "$r/c/$which"
		ok
		[[ $stderr == *"0 blobs sent (0 B), 2 already there"* ]]
	done
}

@test "copy: a second image and a second tag join a layout; the old ones stay" {
	require_peer skopeo
	image_need multi
	dray_run copy --image @0 "$IMAGE" "oci:$(out l):a"
	ok
	first=$DIGEST
	dray_run copy --image @1 "$IMAGE" "oci:$(out l):b"
	ok
	same tags "$(layout_tags "$(out l)" | sort | xargs)" "a b"
	layout_check "$(out l)"
	same "a" "$(source_manifest_digest "oci:$(out l):a")" "$first"
	# The same again changes nothing; another image takes a tag over.
	cp "$(out l)/index.json" "$(out before)"
	dray_run copy --image @0 "$IMAGE" "oci:$(out l):a"
	ok
	cmp "$(out l)/index.json" "$(out before)"
	dray_run copy --image @1 "$IMAGE" "oci:$(out l):a"
	ok
	same tags "$(layout_tags "$(out l)" | sort | xargs)" "a b"
	same "a" "$(source_image_id "oci:$(out l):a")" "$(docker_image_id test/multi-b:1)"
	# An ID is known by what `images` shows of it.
	id=$(docker_image_id test/multi-b:1)
	dray_run copy --image "${id:0:19}" "$IMAGE" "oci:$(out l):a"
	ok
	same "a" "$(source_image_id "oci:$(out l):a")" "$id"
	dray_run copy --image sha256:0000000 "$IMAGE" "oci:$(out l):a"
	expect 3 '*no image sha256:0000000*@0*@1*'
	# Into a layout that skopeo made, and skopeo into ours.
	image_need skopeo-layout
	cp -a "$IMAGE" "$(out theirs)"
	image_need sym
	dray_run copy "$IMAGE" "oci:$(out theirs):ours"
	ok
	same tags "$(layout_tags "$(out theirs)" | sort | xargs)" "1 ours"
	layout_check "$(out theirs)"
	skopeo copy --quiet "docker-archive:$IMAGE" "oci:$(out l):theirs"
	dray_run copy "$IMAGE" "oci:$(out l):again"
	ok
	same tags "$(layout_tags "$(out l)" | sort | xargs)" "a again b theirs"
	dray_run verify --all "$(out l)"
	expect 0
}

@test "copy: --all carries every image with its tags" {
	image_need multi
	dray_run copy --all "$IMAGE" "oci:$(out l)"
	expect 0
	same lines "${#lines[@]}" 2
	same tags "$(layout_tags "$(out l)" | sort | xargs)" "test/multi-a:1 test/multi-b:1"
	dray_run copy --all "oci:$(out l)" "oci-archive:$(out a.tar)"
	expect 0
	dray_run images --json "$(out a.tar)"
	same "image IDs" "$(jq -r '.images[].image_id' <<<"$output" | sort)" \
		"$(printf '%s\n' "$(docker_image_id test/multi-a:1)" "$(docker_image_id test/multi-b:1)" | sort)"
	dray_piped "$IMAGE" copy --all - "oci:$(out p)"
	expect 0
	diff -r "$(out l)" "$(out p)"
	dray_run copy "$IMAGE" "oci:$(out none)"
	expect 2
	[ ! -e "$(out none)" ]
}

@test "copy: a digest behind a layout or OCI archive is the manifest that comes there, or nothing does" {
	image_need sym
	dray_run copy "$IMAGE" "oci:$(out src):1"
	ok
	right=$DIGEST
	wrong=sha256:$(printf '0%.0s' {1..64})
	for kind in oci oci-archive; do
		dray_run copy "oci:$(out src):1" "$kind:$(out new)@$wrong"
		expect 6 "*takes that manifest only*"
		[ ! -e "$(out new)" ]
		dray_run copy "oci:$(out src):1" "$kind:$(out new)@$right"
		ok
		same "$kind" "$("$DRAY" digest "$(out new)")" "$right"
		before=$(find "$(out new)" -type f -exec sha256sum {} + | sort)
		dray_run edit "$(out new)" --env A=1 -o "$kind:$(out new)@$right"
		expect 6 "*takes that manifest only*"
		dray_run build --mkdir /x --name example.org/app:1 -o "$kind:$(out new)@$right"
		expect 6 "*takes that manifest only*"
		same "$kind stays" "$(find "$(out new)" -type f -exec sha256sum {} + | sort)" "$before"
		rm -r "$(out new)"
	done
	dray_run build --mkdir /x --name example.org/app:1 -o "oci:$(out made)"
	ok
	dray_run build --mkdir /x --name example.org/app:1 -o "oci:$(out again)@$DIGEST"
	ok
	dray_run copy --canonical "oci:$(out src):1" "oci-archive:$(out no.tar)@$right"
	expect 2 "*no choice*"
	[ ! -e "$(out no.tar)" ]
}

@test "copy: outputs are replaced whole or, with --no-clobber, not at all" {
	image_need sym
	echo old >"$(out a.tar)"
	dray_run copy --no-clobber "$IMAGE" "oci-archive:$(out a.tar)"
	expect 2 "*exists*"
	same "old content" "$(cat "$(out a.tar)")" old
	dray_run copy "$IMAGE" "oci-archive:$(out a.tar)"
	expect 0
	tar tf "$(out a.tar)" >/dev/null
	# A copy that fails leaves what was there.
	echo old >"$(out a.tar)"
	archive_flip "$IMAGE" "$(out flip.tar)" 100000
	dray_run copy "$(out flip.tar)" "oci-archive:$(out a.tar)"
	expect 6 "*DiffID*"
	same "old content" "$(cat "$(out a.tar)")" old
	dray_piped "$(out flip.tar)" copy - "oci-archive:$(out a.tar)"
	expect 6
	same "old content" "$(cat "$(out a.tar)")" old
	for form in "$(out flip.tar)" -; do
		dray_piped "$(out flip.tar)" copy "$form" "oci:$(out l):1"
		expect 6
		[ ! -e "$(out l)" ]
	done
	rm "$(out flip.tar)"
	same "leftovers" "$(find "$BATS_TEST_TMPDIR" -maxdepth 1 -name '*a.tar*' | wc -l)" 1
	# In a layout it is the tag that counts.
	"$DRAY" copy -q "$IMAGE" "oci:$(out l):1"
	cp -a "$(out l)" "$(out before)"
	image_need big
	dray_run copy --no-clobber "$IMAGE" "oci:$(out l):1"
	expect 2 "*tag*"
	diff -r "$(out l)" "$(out before)"
	dray_run copy --no-clobber "$IMAGE" "oci:$(out l):2"
	ok
}

# spoiled FILE: its size stays.
spoiled() { printf '\377' | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") / 2)) conv=notrunc status=none; }

@test "copy: a damaged blob of a layout is written again; a great one of the right size is verify's to find" {
	image_need big
	"$DRAY" copy -q "$IMAGE" "oci:$(out src):1"
	"$DRAY" copy -q "oci:$(out src):1" "oci:$(out l):1"
	local blobs great=0 small=0
	blobs=$(out l)/blobs/sha256
	for blob in "$blobs"/*; do
		cp "$blob" "$(out kept)"
		spoiled "$blob"
		if [ "$(stat -c %s "$blob")" -gt 1048576 ]; then
			great=1
			dray_run copy "oci:$(out src):1" "oci:$(out l):1"
			ok
			dray_run verify "$(out l)"
			expect 1
		else
			small=1
			dray_run copy "oci:$(out src):1" "oci:$(out l):1"
			ok
		fi
		[ "$(stat -c %s "$blob")" -gt 1048576 ] || cmp "$blob" "$(out kept)"
		cp "$(out kept)" "$blob"
	done
	same "seen" "$great$small" 11
	layout_check "$(out l)"
}

@test "copy: G-10 sixteen processes tag one layout" {
	image_need multi
	pids=
	for i in $(seq 16); do
		"$DRAY" copy -q --image "@$((i % 2))" "$IMAGE" "oci:$(out l):t$i" >"$(out "o$i")" 2>&1 3>&- &
		pids="$pids $!"
	done
	for pid in $pids; do wait "$pid"; done
	same "tags" "$(layout_tags "$(out l)" | sort -V | xargs)" "$(seq -f t%g 16 | xargs)"
	layout_check "$(out l)"
	dray_run verify --all "$(out l)"
	expect 0
}

@test "copy: G-02 killed at any moment the layout has what it had" {
	image_need sym
	"$DRAY" copy -q "$IMAGE" "oci:$(out l):one"
	image_need big
	for ms in 005 010 020 040 080 120 200 300; do
		"$DRAY" copy -q --jobs 1 "$IMAGE" "oci:$(out l):two" >/dev/null 2>&1 3>&- &
		pid=$!
		sleep "0.$ms"
		kill9 "$pid"
		case $(layout_tags "$(out l)" | xargs) in one | "one two") ;; *) false ;; esac
		dray_run verify "oci:$(out l):one"
		expect 0
	done
	dray_run copy "$IMAGE" "oci:$(out l):two"
	ok
	same tags "$(layout_tags "$(out l)" | xargs)" "one two"
	dray_run verify --all "$(out l)"
	expect 0
}

@test "copy: G-19 an OCI archive cut anywhere does not load" {
	require_peer skopeo
	image_need sym
	"$DRAY" copy -q "$IMAGE" oci-archive:-:1 >"$(out whole.tar)"
	size=$(stat -c %s "$(out whole.tar)")
	index=$(python3 -c 'import sys, tarfile; print(tarfile.open(sys.argv[1]).getmember("index.json").offset)' "$(out whole.tar)")
	for cut in 512 1024 $((size / 3 / 512 * 512)) $((size / 2 / 512 * 512)) $((index - 512)) "$index" $((index + 512)); do
		head -c "$cut" "$(out whole.tar)" >"$(out cut.tar)"
		dray_run verify "$(out cut.tar)"
		expect 6
		run skopeo inspect "oci-archive:$(out cut.tar):1"
		[ "$status" -ne 0 ]
	done
}

@test "copy: exit codes" {
	image_need sym
	dray_run copy "$IMAGE"
	expect 2
	dray_run copy "$IMAGE" "oci:"
	expect 2
	dray_run copy "$IMAGE" "docker-root:$(out d)"
	expect 8
	dray_run copy "$IMAGE" "docker-root:$(out root)"
	expect 8
	dray_run copy "$(out none.tar)" "oci:$(out l)"
	expect 3
	dray_run copy "oci:$(out none)" "oci:$(out l)"
	expect 3
	echo text >"$(out text)"
	dray_run copy "$(out text)" "oci:$(out l)"
	expect 6
	dray_run copy "$IMAGE" "oci-archive:/dev/full"
	expect 9
	run bash -c '"$0" copy "$1" oci-archive:- >/dev/full' "$DRAY" "$IMAGE"
	[ "$status" -eq 9 ]
	mkdir "$(out folder)"
	echo precious >"$(out folder)/file"
	dray_run copy "$IMAGE" "oci:$(out folder):1"
	[ "$status" -ne 0 ]
	same "untouched" "$(ls "$(out folder)")" file
	dray_run copy "$IMAGE" "oci-archive:/proc/no/such.tar"
	[ "$status" -eq 9 ] || [ "$status" -eq 3 ]
	[ ! -e "$(out l)" ]
}

@test "copy: G-04 no space: the layout stays as it was" {
	require_root
	image_need sym
	mkdir "$(out small)"
	mount -t tmpfs -o size=1500k none "$(out small)" || skip "no tmpfs here"
	"$DRAY" copy -q "$IMAGE" "oci:$(out small)/l:1"
	image_need big
	dray_run copy "$IMAGE" "oci:$(out small)/l:2"
	status_layout=$status
	tags=$(layout_tags "$(out small)/l" | xargs)
	dray_run verify "$(out small)/l"
	status_verify=$status
	dray_run copy "$IMAGE" "oci-archive:$(out small)/a.tar"
	status_archive=$status
	left=$(find "$(out small)" -maxdepth 1 -type f)
	umount "$(out small)"
	same "status" "$status_layout $status_verify $status_archive" "9 0 9"
	same "tags" "$tags" 1
	absent "left behind" "$left"
}
