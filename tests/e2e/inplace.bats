#!/usr/bin/env bats
# edit --in-place: archives of every writer, read back by every reader; kills, turns, full disks.

load lib

CHECK=$PEERS_SRC/inplace.py

setup() {
	verbs_setup
	export PYTHONDONTWRITEBYTECODE=1
	T=$BATS_TEST_TMPDIR
}
teardown() {
	mountpoint -q "$BATS_TEST_TMPDIR/small" && umount "$BATS_TEST_TMPDIR/small"
	peers_teardown
}

# fresh FILE: a copy of it that may be changed, $T/x.tar.
fresh() {
	cp "$1" "$T/x.tar"
	chmod u+w "$T/x.tar"
}

# edited FILE ARG...: edit a copy in place and the file itself into another one; the same images must come out, the file must
# be the same file, and neither document nor name may be there twice. Sets DIGEST.
edited() {
	local file=$1 inode
	shift
	fresh "$file"
	inode=$(stat -c %i "$T/x.tar")
	dray_run edit "$file" "$@" -o "$T/want.tar"
	ok
	local want=$DIGEST
	dray_run edit "$T/x.tar" "$@" --in-place
	ok
	same "image" "$DIGEST" "$want"
	same "printed" "${output%@*}" "$T/x.tar"
	same "file" "$(stat -c %i "$T/x.tar")" "$inode"
	# shellcheck disable=SC2154
	same "said" "$(grep -c 'copied as a whole' <<<"$stderr")" 0
	"$CHECK" check "$T/x.tar"
	dray_run verify -q "$T/x.tar"
	expect 0
}

# gone TEXT: no byte of it is left in the file.
gone() {
	! grep -q -a -e "$1" "$T/x.tar" || {
		echo "$1 is still in the file"
		return 1
	}
}

@test "docker's archives: loaded by docker and podman, copied by skopeo, and again" {
	require_peer podman skopeo
	image_need sym
	edited "$IMAGE" --env OLD=secret-of-old --label in=place
	[ "$(stat -c %s "$T/x.tar")" -lt $(($(stat -c %s "$IMAGE") + 40000)) ]
	# Again, and what went leaves no trace, not in the folder of the first top layer either.
	dray_run edit "$T/x.tar" --env OLD- --cmd '["/bin/busybox","echo","edited"]' --in-place
	ok
	gone secret-of-old
	"$CHECK" check "$T/x.tar"
	docker rmi test/sym:1 >/dev/null
	docker load --quiet -i "$T/x.tar"
	same "docker's image ID" "$(docker_image_id test/sym:1)" "$DIGEST"
	same "it runs" "$(docker_run test/sym:1)" edited
	docker rmi test/sym:1 >/dev/null
	docker load --quiet -i "$IMAGE"
	podman load --quiet -i "$T/x.tar"
	same "podman runs it" "$(podman_run localhost/test/sym:1)" edited
	podman rmi localhost/test/sym:1 >/dev/null
	tar tf "$T/x.tar" >/dev/null
	if type -P bsdtar >/dev/null; then bsdtar tf "$T/x.tar" >/dev/null; fi
}

@test "an engine that looks at folders only loads the edited image" {
	image_need sym
	fresh "$IMAGE"
	dray_run edit "$T/x.tar" --cmd '["/bin/busybox","echo","by folder"]' --in-place
	ok
	mkdir "$T/v1"
	tar -C "$T/v1" -xf "$T/x.tar"
	rm "$T"/v1/superseded-* "$T"/v1/*.json
	tar -C "$T/v1" -cf "$T/v1.tar" .
	docker rmi test/sym:1 >/dev/null
	docker load --quiet -i "$T/v1.tar"
	same "it runs" "$(docker_run test/sym:1)" "by folder"
	docker rmi test/sym:1 >/dev/null
	docker load --quiet -i "$IMAGE"
}

@test "archives of other writers" {
	require_peer skopeo podman buildah ctr
	local name
	for name in tags untagged host podman-docker podman-oci skopeo-docker skopeo-oci buildah-docker buildah-oci ctr-oci \
		crane-docker; do
		echo "$name"
		image_need "$name"
		edited "$IMAGE" --env OLD=secret-of-old --user app
		dray_run edit "$T/x.tar" --env OLD- --in-place
		ok
		gone secret-of-old
		"$CHECK" check "$T/x.tar"
		if [[ $name = *oci ]]; then
			skopeo inspect --config "oci-archive:$T/x.tar" >"$T/config"
		else
			skopeo inspect --config "docker-archive:$T/x.tar" >"$T/config"
		fi
		jq -e '.config.User == "app" and (.config.Env // [] | any(startswith("OLD")) | not)' "$T/config"
	done
}

@test "our own archives: one file for docker, podman, skopeo of both kinds, and ctr's reader" {
	require_peer podman skopeo
	image_need sym
	"$DRAY" copy -q "$IMAGE" "docker-archive:$T/own.tar:test/own:1" >/dev/null
	edited "$T/own.tar" --cmd '["/bin/busybox","echo","edited"]'
	docker load --quiet -i "$T/x.tar"
	same "docker's image ID" "$(docker_image_id test/own:1)" "$DIGEST"
	same "it runs" "$(docker_run test/own:1)" edited
	docker rmi test/own:1 >/dev/null
	podman load --quiet -i "$T/x.tar"
	same "podman runs it" "$(podman_run docker.io/test/own:1)" edited
	podman rmi docker.io/test/own:1 >/dev/null
	local kind
	for kind in docker-archive oci-archive; do
		skopeo copy -q "$kind:$T/x.tar" "dir:$T/$kind"
		same "$kind" "sha256:$(jq -r .config.digest "$T/$kind/manifest.json" | cut -d: -f2)" "$DIGEST"
	done
}

@test "crane reads it" {
	local crane=${DRAY_TEST_CRANE:-$(type -P crane || :)}
	[ -x "$crane" ] || skip "no crane: set DRAY_TEST_CRANE"
	image_need sym
	registry_start main plain
	fresh "$IMAGE"
	dray_run edit "$T/x.tar" --user app --in-place
	ok
	"$crane" push --insecure "$T/x.tar" "$REGISTRY_ADDR/crane:1"
	same "image" "$("$DRAY" digest --image-id "$REGISTRY_ADDR/crane:1")" "$DIGEST"
}

@test "what changes nothing writes nothing" {
	image_need sym
	fresh "$IMAGE"
	touch -d @1000000000 "$T/x.tar"
	dray_run edit "$T/x.tar" --env PATH=/bin --rm-volume "*" --tag test/sym:1 --in-place
	ok
	cmp "$IMAGE" "$T/x.tar"
	same "mtime" "$(stat -c %Y "$T/x.tar")" 1000000000
	same "image" "$DIGEST" "$("$DRAY" digest --image-id "$IMAGE")"
}

@test "several images: one is chosen, the others stay; names" {
	image_need multi
	fresh "$IMAGE"
	dray_run edit "$T/x.tar" --user app --in-place
	expect 2 "*test/multi-a:1*"
	cmp "$IMAGE" "$T/x.tar"
	local b
	b=$("$DRAY" digest --image-id "$IMAGE" --image test/multi-b:1)
	dray_run edit "$T/x.tar" --image test/multi-a:1 --user app --tag test/new:2 --tag test/new:3 --in-place
	ok
	"$CHECK" check "$T/x.tar"
	same "b" "$("$DRAY" digest --image-id "$T/x.tar" --image test/multi-b:1)" "$b"
	same "a" "$("$DRAY" digest --image-id "$T/x.tar" --image test/new:3)" "$DIGEST"
	same "tags" "$("$DRAY" images --json "$T/x.tar" | jq -c '[.images[].tags[]] | sort')" \
		'["test/multi-b:1","test/new:2","test/new:3"]'
	docker load --quiet -i "$T/x.tar"
	same "docker" "$(docker_image_id test/new:2)" "$DIGEST"
	docker rmi test/new:2 test/new:3 >/dev/null
	cp "$T/x.tar" "$T/before.tar"
	dray_run edit "$T/x.tar" --image test/new:2 --tag test/multi-b:1 --in-place
	expect 2 "*another image of the archive has the tag test/multi-b:1*"
	dray_run edit "$T/x.tar" --all --tag test/one:1 --in-place
	expect 2 "*several images cannot have one tag*"
	cmp "$T/before.tar" "$T/x.tar"
	dray_run edit "$T/x.tar" --all --label all=1 --in-place
	expect 0
	same "lines" "$(wc -l <<<"$output")" 2
	"$CHECK" check "$T/x.tar"
	dray_run verify -q "$T/x.tar"
	expect 0
}

@test "names in an OCI archive, and an index with all its images" {
	image_need sym
	"$DRAY" copy -q "$IMAGE" "oci-archive:$T/own.tar:v1" >/dev/null
	fresh "$T/own.tar"
	dray_run edit "oci-archive:$T/x.tar" --tag v2 --tag v3 --user app --in-place
	ok
	"$CHECK" check "$T/x.tar"
	same "names" "$(tar -xOf "$T/x.tar" index.json | jq -c '[.manifests[].annotations["org.opencontainers.image.ref.name"]]')" '["v2","v3"]'
	same "images" "$("$DRAY" digest --image-id "oci-archive:$T/x.tar:v3")" "$DIGEST"
	"$PEERS_SRC/oci_graph.py" "$T/graph" >/dev/null
	"$DRAY" copy -q --all-platforms "oci:$T/graph:multi" "oci-archive:$T/multi.tar:m" >/dev/null
	fresh "$T/multi.tar"
	dray_run edit "oci-archive:$T/multi.tar:m" --env NEW=1 -o "oci-archive:$T/want.tar:m"
	ok
	local want=$DIGEST p
	dray_run edit "oci-archive:$T/x.tar:m" --env NEW=1 --in-place
	ok
	same "the same index as edit makes" "$DIGEST" "$want"
	"$CHECK" check "$T/x.tar"
	for p in linux/amd64 linux/arm64 linux/s390x; do
		"$DRAY" inspect --config --platform "$p" "$T/x.tar" | jq -e '.config.Env | index("NEW=1") != null'
	done
	fresh "$T/multi.tar"
	dray_run edit "oci-archive:$T/x.tar:m" --platform linux/arm64 --env NEW=1 --in-place
	expect 0
	for p in linux/amd64 linux/arm64 linux/s390x; do
		same "$p" "$("$DRAY" inspect --config --platform "$p" "$T/x.tar" | jq '.config.Env // [] | index("NEW=1") != null')" \
			"$([ "$p" = linux/arm64 ] && echo true || echo false)"
	done
	"$CHECK" check "$T/x.tar"
}

@test "names that are announced to containerd: none is given twice, and a new one is announced" {
	image_need sym
	"$DRAY" copy -q "$IMAGE" "oci:$T/lay:app:1" >/dev/null
	"$DRAY" edit -q "$IMAGE" --user u -o "oci:$T/lay:app:2" >/dev/null
	"$DRAY" copy -q --all "oci:$T/lay" "oci-archive:$T/two.tar" >/dev/null
	cp "$T/two.tar" "$T/before.tar"
	dray_run edit "oci-archive:$T/two.tar:app:2" --tag app:1 --in-place
	expect 2 "*another image of the archive has the tag app:1*"
	cmp "$T/before.tar" "$T/two.tar"
	dray_run edit "oci-archive:$T/two.tar:app:2" --tag app:3 --in-place
	ok
	same "announced" "$(tar -xOf "$T/two.tar" index.json | jq -r '.manifests[].annotations["io.containerd.image.name"]' | xargs)" \
		"docker.io/library/app:1 docker.io/library/app:3"
}

@test "documents in front of their layers: copied as a whole, and said; the way out is the same" {
	image_need big
	"$DRAY" normalize -q "$IMAGE" -o "$T/canonical.tar" >/dev/null
	fresh "$T/canonical.tar"
	dray_run edit "$T/x.tar" --env SECRET=of-long-ago --in-place
	ok
	[[ $stderr == *"copied as a whole, for layers lie behind its documents"* ]]
	"$CHECK" check "$T/x.tar"
	same "image" "$DIGEST" "$("$DRAY" digest --image-id "$T/x.tar")"
	docker load --quiet -i "$T/x.tar"
	docker load --quiet -i "$IMAGE" # the name is that of an image of all tests
	# From now on its documents are at the end.
	dray_run edit "$T/x.tar" --env SECRET- --in-place
	ok
	[[ $stderr != *"copied as a whole"* ]]
	gone of-long-ago
	same "image" "$DIGEST" "$("$DRAY" digest --image-id "$T/canonical.tar")"
	dray_run verify -q "$T/x.tar"
	expect 0
}

# nobody [CMD...]: as a user to whom modes mean something; without CMD whether one can be had here.
nobody() {
	if [ $# -gt 0 ]; then
		setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
		return
	fi
	[ "$(id -u)" -eq 0 ] && type -P setpriv >/dev/null || return 1
	chmod 0711 "$T" "${T%/*}" "$BATS_RUN_TMPDIR"
	nobody test -x "$DRAY" && nobody test -r "$T/x.tar"
}

@test "what is not edited in place is refused and stays" {
	image_need sym
	gzip -c "$IMAGE" >"$T/z.tar.gz"
	cp "$T/z.tar.gz" "$T/before.gz"
	dray_run edit "$T/z.tar.gz" --user a --in-place
	expect 8 "*compressed as a whole*hint: dray edit * -o NEW.tar*"
	cmp "$T/before.gz" "$T/z.tar.gz"
	dray_piped "$IMAGE" edit - --user a --in-place
	expect 2 "*a pipe cannot be edited in place*"
	dray_run edit "$T/none.tar" --user a --in-place
	expect 3
	fresh "$IMAGE"
	dray_run edit "$T/x.tar" --user a --in-place -o "$T/y.tar"
	expect 2 "*one of both*"
	dray_run edit "$T/x.tar" --user a --in-place --compression zstd
	expect 2 "*leaves*layers as they are*"
	dray_run edit "docker://127.0.0.1:1/x@sha256:$(printf '0%.0s' {1..64})" --user a --in-place
	expect 2 "*what a digest names never changes*"
	printf 'more' >>"$T/x.tar"
	dray_run edit "$T/x.tar" --user a --in-place
	expect 8 "*data behind the end*"
	head -c -4 "$T/x.tar" | cmp - "$IMAGE"
	nobody || return 0
	fresh "$IMAGE"
	chmod 0444 "$T/x.tar"
	XDG_CACHE_HOME=/nonexistent run --separate-stderr nobody "$DRAY" edit "$T/x.tar" --user a --in-place
	expect 9 "*ermission denied*"
	cmp "$IMAGE" "$T/x.tar"
}

@test "layout and registry: the tag leads to the edited image" {
	image_need sym
	registry_start main plain
	"$DRAY" push -q "$IMAGE" "$REGISTRY_ADDR/in:1" >/dev/null
	"$DRAY" copy -q "$IMAGE" "oci:$T/o:1" >/dev/null
	local place
	for place in "docker://$REGISTRY_ADDR/in:1" "oci:$T/o:1"; do
		dray_run edit "$place" --user app --in-place
		ok
		"$DRAY" inspect --config "$place" | jq -e '.config.User == "app"'
	done
	# Without a tag it has to be known which: here none is there.
	jq -c 'del(.manifests[].annotations)' "$T/o/index.json" >"$T/untagged" && mv "$T/untagged" "$T/o/index.json"
	dray_run edit "oci:$T/o" --user b --in-place
	expect 2 "*name the tag*"
}

@test "the bytes that are written do not grow with the layers" {
	image_need big
	fresh "$IMAGE"
	local n
	n=$("$CHECK" written "$DRAY" edit -q "$T/x.tar" --user app --in-place)
	echo "$n bytes written"
	[ "$n" -lt 100000 ]
	# Ten more edits: they find room where documents lay before.
	local i size
	"$DRAY" edit -q "$T/x.tar" --env N=0 --in-place >/dev/null
	"$DRAY" edit -q "$T/x.tar" --env N=00 --in-place >/dev/null
	size=$(stat -c %s "$T/x.tar")
	for i in 1 2 3 4 5 6 7 8 9 10; do "$DRAY" edit -q "$T/x.tar" --env "N=$i" --in-place >/dev/null; done
	[ "$(stat -c %s "$T/x.tar")" -le $((size + 20000)) ]
	"$CHECK" check "$T/x.tar"
}

@test "killed at 50 moments: the old archive or the new one" {
	image_need sym
	local edit=("$DRAY" edit -q --jobs 1 --label a=b --tag test/other:1 --in-place) n size
	"$CHECK" kill "$IMAGE" 30 "${edit[@]}" "$T/x.tar"
	# The same where earlier edits left room, which the file shows by getting smaller.
	fresh "$IMAGE"
	for n in 1 2; do "$DRAY" edit -q "$T/x.tar" --env "N=$n" --in-place >/dev/null; done
	cp "$T/x.tar" "$T/y.tar"
	size=$(stat -c %s "$T/y.tar")
	"$CHECK" kill "$T/y.tar" 20 "${edit[@]}" "$T/x.tar"
	[ "$(stat -c %s "$T/x.tar")" -lt "$size" ]
}

@test "eight editors at once take turns" {
	image_need sym
	fresh "$IMAGE"
	local i
	for i in 1 2 3 4 5 6 7 8; do
		"$DRAY" edit -q "$T/x.tar" --env "EDITOR_$i=1" --in-place >"$T/out.$i" 2>&1 &
	done
	for i in $(jobs -p); do wait "$i" || { cat "$T"/out.*; return 1; }; done
	same "all edits" "$("$DRAY" inspect --config "$T/x.tar" | jq '[.config.Env[] | select(startswith("EDITOR_"))] | length')" 8
	"$CHECK" check "$T/x.tar"
}

@test "a full disk: the archive is as it was" {
	require_root
	image_need sym
	mkdir "$T/small"
	local kib=$(($(stat -c %s "$IMAGE") / 1024 / 4 * 4 + 8))
	mount -t tmpfs -o "size=${kib}k" dray-small "$T/small" || skip "no tmpfs here"
	cp "$IMAGE" "$T/small/x.tar"
	dray_run edit "$T/small/x.tar" --label "much=$(printf 'x%.0s' {1..20000})" --in-place
	expect 9 "*No space left*"
	cmp "$IMAGE" "$T/small/x.tar"
}

# make: the archives of inplace_make.py, $T/NAME.tar. entry TAG: where index.json of $T/x.tar leads under that name.
make() { "$PEERS_SRC/inplace_make.py" "$T"; }
entry() { tar -xOf "$T/x.tar" index.json | jq -r --arg t "$1" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $t).digest'; }

@test "an image that is also in an index: what was not chosen stays" {
	make
	local name n a
	for name in idx nest twofold; do
		echo "$name"
		fresh "$T/$name.tar"
		n=$(entry n) a=$(entry a)
		dray_run edit "$T/x.tar" --env B=1 --image a --in-place
		ok
		same "the index" "$(entry n)" "$n"
		[ "$(entry a)" != "$a" ]
		"$CHECK" check "$T/x.tar"
		dray_run verify -q "$T/x.tar"
		expect 0
		# Again, and with the name gone over to the new one.
		dray_run edit "$T/x.tar" --env B=2 --image a --tag c --in-place
		ok
		same "the index" "$(entry n)" "$n"
		"$CHECK" check "$T/x.tar"
	done
	# The other way round: the index is edited, and the image under its own name stays.
	fresh "$T/idx.tar"
	n=$(entry n) a=$(entry a)
	dray_run edit "$T/x.tar" --env B=1 --image n --in-place
	ok
	same "the image" "$(entry a)" "$a"
	[ "$(entry n)" != "$n" ]
	"$CHECK" check "$T/x.tar"
	# All of them.
	fresh "$T/idx.tar"
	dray_run edit "$T/x.tar" --env B=1 --all --in-place
	expect 0
	[ "$(entry a)" != "$a" ]
	[ "$(entry n)" != "$n" ]
	"$CHECK" check "$T/x.tar"
}

# arches STATE [FILE]: of which architectures the images below "n" are edited or the same, from the walk in FILE.
arches() { awk -v s="$1" '$2 == "image" && $4 == s { print $3 }' "${2:-$T/walk}" | sort -u | paste -s -d ' '; }
# walked OLD NEW: compare the documents below "n".
walked() { "$PEERS_SRC/edited_graph.py" "$1" "$2" n >"$T/walk" || { cat "$T/walk"; return 1; }; }

@test "indexes within indexes: all images or those of a platform, in place as into a copy" {
	make
	local name want
	# All of them; the hole stays as it is.
	for name in tree full nest twofold deep8; do
		echo "$name"
		fresh "$T/$name.tar"
		dray_run edit "$T/x.tar" --env NEW=1 --image n --in-place
		expect 0
		walked "$T/$name.tar" "$T/x.tar"
		same "not edited" "$(arches same)" ""
		[ "$(grep -c 'image .*NEW=1' "$T/walk")" -eq "$(grep -c ' image ' "$T/walk")" ]
		[ "$name" = tree ] || "$CHECK" check "$T/x.tar"
	done
	fresh "$T/full.tar"
	dray_run edit "$T/x.tar" --env NEW=1 --in-place
	ok
	want=$DIGEST
	dray_run edit "$T/full.tar" --env NEW=1 -o "oci:$T/full"
	ok
	same "the same index as edit makes" "$DIGEST" "$want"
	walked "$T/full.tar" "$T/full"
	dray_run edit "$T/full.tar" --env NEW=1 -o "$T/full2.tar"
	ok
	same "in an archive" "$DIGEST" "$want"
	# One platform, at whatever depth, by what the indexes say of it: others keep their digests.
	for name in tree full; do
		fresh "$T/$name.tar"
		dray_run edit "$T/x.tar" --env NEW=1 --image n --platform linux/s390x --in-place
		expect 0
		walked "$T/$name.tar" "$T/x.tar"
		same "edited" "$(arches edited)" s390x
		same "not edited" "$(arches same)" "amd64 arm64 riscv64"
		same "an index without such an image" "$(grep -B 1 riscv64 "$T/walk" | head -n 1)" "2 index - same"
		dray_run edit "$T/$name.tar" --env NEW=1 --image n --platform linux/s390x -o "oci:$T/$name.s390x"
		ok
		[ "$name" = tree ] || walked "$T/x.tar" "$T/$name.s390x"
	done
	same "in place and as a copy" "$(arches edited)" ""
	fresh "$T/nest.tar"
	dray_run edit "$T/x.tar" --env NEW=1 --image n --platform linux/arm64 --in-place
	expect 0
	walked "$T/nest.tar" "$T/x.tar"
	same "edited" "$(arches edited)" arm64
	dray_run edit "$T/x.tar" --env NEW=1 --image n --platform linux/mips --in-place
	expect 3 "*no image of that platform*"
	# What takes no effect writes nothing.
	fresh "$T/full.tar"
	dray_run edit "$T/x.tar" --env ABSENT- --in-place
	expect 0
	cmp "$T/full.tar" "$T/x.tar"
}

@test "indexes within indexes: too deep, or in a circle" {
	make
	local name
	for name in deep9 deep; do
		fresh "$T/$name.tar"
		dray_run edit "$T/x.tar" --env B=1 --image n --in-place
		expect 6 "*nested deeper than 8*"
		cmp "$T/x.tar" "$T/$name.tar"
		dray_run edit "$T/x.tar" --env B=1 --image n -o "oci:$T/none"
		expect 6 "*nested deeper than 8*"
	done
	fresh "$T/ring.tar"
	dray_run edit "$T/x.tar" --env B=1 --image n --in-place
	expect 3 "*no image \"n\"*"
	cmp "$T/x.tar" "$T/ring.tar"
	dray_run edit "$T/x.tar" --env B=1 --image n -o "oci:$T/none"
	expect 3 "*no image \"n\"*"
	[ ! -e "$T/none/index.json" ]
	local n
	n=$(entry n)
	dray_run edit "$T/x.tar" --env B=1 --image a --in-place
	ok
	same "the circle" "$(entry n)" "$n"
}

@test "an index within an index of a registry and of a layout: in place" {
	make
	registry_start main plain
	local place
	mkdir "$T/old"
	tar -C "$T/old" -xf "$T/full.tar"
	"$DRAY" copy -q --all-platforms "oci:$T/old:n" "docker://$REGISTRY_ADDR/nested:n" >/dev/null
	"$DRAY" copy -q --all-platforms "oci:$T/old:n" "oci:$T/layout:n" >/dev/null
	for place in "docker://$REGISTRY_ADDR/nested:n" "oci:$T/layout:n"; do
		dray_run edit "$place" --env NEW=1 --platform linux/s390x --in-place
		ok
		rm -rf "$T/got"
		"$DRAY" copy -q --all-platforms "$place" "oci:$T/got:n" >/dev/null
		walked "$T/old" "$T/got"
		same "edited" "$(arches edited)" s390x
		same "not edited" "$(arches same)" "amd64 arm64 riscv64"
		dray_run edit "$place" --env NEW=1 --in-place
		ok
		rm -rf "$T/got"
		"$DRAY" copy -q --all-platforms "$place" "oci:$T/got:n" >/dev/null
		walked "$T/old" "$T/got"
		same "not edited" "$(arches same)" ""
	done
}

@test "two names of one digest: only what was chosen by name changes" {
	make
	local one two old_i old_j
	for one in one two; do
		two=$([ $one = one ] && echo two || echo one)
		fresh "$T/twin.tar"
		local before
		before=$(entry one) old_i=$(entry i)
		dray_run edit "$T/x.tar" --env B=1 --image $one --in-place
		ok
		[[ $stderr != *":$two"* ]]
		same "$two" "$(entry $two)" "$before"
		[ "$(entry $one)" != "$before" ]
		same "the indexes" "$(entry i) $(entry j)" "$old_i $old_i"
		"$CHECK" check "$T/x.tar"
		dray_run verify -q "$T/x.tar"
		expect 0
		# Its new name is its own, the other's cannot be had.
		cp "$T/x.tar" "$T/before.tar"
		dray_run edit "$T/x.tar" --env B=2 --image $one --tag $two --in-place
		expect 2 "*another image of the archive has the tag $two*"
		cmp "$T/before.tar" "$T/x.tar"
		dray_run edit "$T/x.tar" --env B=2 --image $one --tag new --in-place
		ok
		same "names" "$(tar -xOf "$T/x.tar" index.json | jq -r '[.manifests[].annotations["org.opencontainers.image.ref.name"]] | sort | join(" ")')" \
			"i j new $two"
	done
	# Of an index too.
	for one in i j; do
		two=$([ $one = i ] && echo j || echo i)
		fresh "$T/twin.tar"
		old_i=$(entry i)
		dray_run edit "$T/x.tar" --env B=1 --image $one --in-place
		ok
		same "$two" "$(entry $two)" "$old_i"
		[ "$(entry $one)" != "$old_i" ]
		"$CHECK" check "$T/x.tar"
	done
	# By their digest both are chosen, and so are all.
	fresh "$T/twin.tar"
	old_i=$(entry one)
	dray_run edit "$T/x.tar" --env B=1 --image "$old_i" --in-place
	ok
	[ "$(entry one)" != "$old_i" ]
	same "both" "$(entry one)" "$(entry two)"
	"$CHECK" check "$T/x.tar"
	fresh "$T/twin.tar"
	old_i=$(entry one) old_j=$(entry i)
	dray_run edit "$T/x.tar" --env B=1 --all --in-place
	expect 0
	[ "$(entry one)" != "$old_i" ]
	[ "$(entry j)" != "$old_j" ]
	same "all" "$(entry one) $(entry i)" "$(entry two) $(entry j)"
	"$CHECK" check "$T/x.tar"
}

@test "two names of one digest, where manifest.json has them too" {
	make
	local old
	fresh "$T/twinlist.tar"
	old=$("$DRAY" digest --image-id --image one:1 "$T/x.tar")
	dray_run edit "oci-archive:$T/x.tar:two:1" --env B=1 --in-place
	ok
	"$CHECK" check "$T/x.tar"
	same "names" "$(tar -xOf "$T/x.tar" manifest.json | jq -c '[.[].RepoTags]')" '[["two:1"],["one:1","three:1"]]'
	same "entries" "$(tar -xOf "$T/x.tar" index.json | jq '[.manifests[].digest] | unique | length')" 2
	same "the others" "$("$DRAY" digest --image-id --image three:1 "$T/x.tar")" "$old"
	[ "$("$DRAY" digest --image-id --image two:1 "$T/x.tar")" != "$old" ]
	dray_run verify -q "$T/x.tar"
	expect 0
	# The list names one image with all its names: that is what is chosen there.
	fresh "$T/twinlist.tar"
	dray_run edit "$T/x.tar" --image two:1 --env B=1 --in-place
	ok
	"$CHECK" check "$T/x.tar"
	same "names" "$(tar -xOf "$T/x.tar" manifest.json | jq -c '[.[].RepoTags]')" '[["one:1","two:1","three:1"]]'
	same "entries" "$(tar -xOf "$T/x.tar" index.json | jq '[.manifests[].digest] | unique | length')" 1
}

@test "entries of index.json that are no image stay" {
	make
	local i z
	for i in 0 1 2 3 4; do
		fresh "$T/odd$i.tar"
		z=$(entry z)
		dray_run edit "$T/x.tar" --env B=1 --image a --in-place
		ok
		same "the entry" "$(entry z)" "$z"
		"$CHECK" check "$T/x.tar"
	done
}

@test "what lies behind the end is somebody's, and a symbolic link stays" {
	make
	local name
	for name in two front; do
		cat "$T/$name.tar" <(head -c 1024 /dev/zero) "$T/idx.tar" >"$T/x.tar"
		cp "$T/x.tar" "$T/before.tar"
		dray_run edit "$T/x.tar" --env B=1 --image one:1 --in-place
		expect 8 "*data behind the end*"
		cmp "$T/x.tar" "$T/before.tar"
		fresh "$T/$name.tar"
		ln -sfn x.tar "$T/link.tar"
		dray_run edit "$T/link.tar" --env B=1 --image one:1 --in-place
		ok
		same "link" "$(readlink "$T/link.tar")" x.tar
		same "image" "$("$DRAY" digest --image-id --image one:1 "$T/x.tar")" "$DIGEST"
		"$CHECK" check "$T/x.tar"
	done
}

@test "one image twice in the list: nothing is there twice" {
	make
	fresh "$T/same.tar"
	dray_run edit "$T/x.tar" --env B=1 --all --in-place
	expect 0
	"$CHECK" check "$T/x.tar"
	same "tags" "$("$DRAY" images --json "$T/x.tar" | jq -c '[.images[].tags[]] | sort')" '["one:1","two:1"]'
	same "configs" "$(tar -xOf "$T/x.tar" manifest.json | jq '[.[].Config] | unique | length')" 1
	dray_run verify -q "$T/x.tar"
	expect 0
}

@test "a config beside that of index.json, or behind a link: both go, none that is shared" {
	make
	fresh "$T/beside.tar"
	dray_run edit "$T/x.tar" --env A=new --in-place
	ok
	"$CHECK" check "$T/x.tar"
	gone A=old-text
	same "image" "$("$DRAY" digest --image-id "oci-archive:$T/x.tar:one")" "$DIGEST"
	same "image" "$("$DRAY" digest --image-id "$T/x.tar")" "$DIGEST"
	# Back again: nothing is there twice.
	dray_run edit "$T/x.tar" --env A=old-text --in-place
	ok
	"$CHECK" check "$T/x.tar"
	gone A=new
	fresh "$T/linked.tar"
	dray_run edit "$T/x.tar" --env A=new --in-place
	ok
	"$CHECK" check "$T/x.tar"
	gone A=old-text
	fresh "$T/links.tar"
	local two
	two=$("$DRAY" digest --image-id --image two:1 "$T/x.tar")
	dray_run edit "$T/x.tar" --env A=new --image one:1 --in-place
	ok
	"$CHECK" check "$T/x.tar"
	same "two" "$("$DRAY" digest --image-id --image two:1 "$T/x.tar")" "$two"
	# Nobody has it any more.
	dray_run edit "$T/x.tar" --env A=new --image two:1 --in-place
	ok
	"$CHECK" check "$T/x.tar"
	gone A=old-text
}

@test "the oldest readers' folder stays as it is while another image starts there" {
	make
	local top
	top=$(printf 'a%.0s' {1..64})
	fresh "$T/v1share.tar"
	dray_run edit "$T/x.tar" --env B=1 --image one:1 --in-place
	ok
	"$CHECK" check "$T/x.tar"
	same "two starts there" "$(tar -xOf "$T/x.tar" repositories | jq -r '.two["1"]')" "$top"
	tar -xOf "$T/x.tar" "$top/json" | jq -e '.config.Env == ["SECRET=1"]'
	[ "$(tar -xOf "$T/x.tar" repositories | jq -r '.one["1"]')" != "$top" ]
	# All names of one image are one image.
	fresh "$T/v1one.tar"
	dray_run edit "$T/x.tar" --env B=1 --in-place
	ok
	"$CHECK" check "$T/x.tar"
	tar -xOf "$T/x.tar" "$top/json" | jq -e 'has("config") | not'
}

@test "members that are only called like what was superseded stay" {
	make
	local name n
	for name in foreign exact behind config config2; do
		echo "$name"
		fresh "$T/$name.tar"
		for n in 1 2 3; do
			dray_run edit "$T/x.tar" --env "B=$n" --in-place
			ok
			dray_run verify -q "$T/x.tar"
			expect 0
			same "files" "$("$DRAY" files "$T/x.tar")" "$("$DRAY" files "$T/$name.tar")"
			"$DRAY" inspect --config "$T/x.tar" | jq -e --arg b "B=$n" '.config.Env | index($b) != null'
		done
	done
}

# tags LAYOUT: all names in it.
tags() { "$DRAY" images --json "$1" | jq -r '[.images[].tags[]] | sort | join(" ")'; }

@test "a layout: the name that was found leads to the edited image, whatever was typed" {
	make
	local name typed n=0
	while read -r name typed; do
		"$DRAY" copy -q --image one:1 "$T/two.tar" "oci:$T/$((++n)):$name" >/dev/null
		dray_run edit "oci:$T/$n:$typed" --env B=1 --in-place
		ok
		same "names" "$(tags "$T/$n")" "$name"
		"$DRAY" inspect --config "$T/$n" | jq -e '.config.Env | index("B=1") != null'
	done <<-END
		ex.org/app:1.0 1.0
		app:latest app
		app:2 docker.io/library/app:2
		v1 v1
	END
	# As buildx writes it: the whole name is for containerd, and others find the tag alone.
	"$DRAY" copy -q --image one:1 "$T/two.tar" "oci:$T/bx:1.0" >/dev/null
	jq -c '.manifests[0].annotations["io.containerd.image.name"] = "docker.io/library/app:1.0"' \
		"$T/bx/index.json" >"$T/index" && cp "$T/index" "$T/bx/index.json"
	for typed in :1.0 "" :app:1.0 :docker.io/library/app:1.0; do
		dray_run edit "oci:$T/bx$typed" --env "C=$typed" --in-place
		ok
		same "images of $typed" "$("$DRAY" images --json "$T/bx" | jq '.images | length')" 1
		same "names of $typed" "$(tags "$T/bx")" app:1.0
		skopeo inspect --config "oci:$T/bx:1.0" | jq -e --arg e "C=$typed" '.config.Env | index($e) != null'
	done
}

# described NAME: a layout $T/NAME, its image "app:1.0" described as buildx, containerd and somebody else would, beside another one
# and the same image under another name. Its index.json is copied to $T/before.
described() {
	rm -rf "${T:?}/$1"
	"$DRAY" copy -q --image one:1 "$T/two.tar" "oci:$T/$1:1.0" >/dev/null
	"$DRAY" copy -q --image two:1 "$T/two.tar" "oci:$T/$1:other" >/dev/null
	jq '.manifests[0] |= ({"x-before": [1, 2.50, null]} + . + {
			"platform": {"os": "linux", "architecture": "amd64", "x": 1e2}, "urls": ["https://example.org/a"],
			"annotations": {"org.opencontainers.image.created": "2020-01-01T00:00:00Z",
				"io.containerd.image.name": "docker.io/library/app:1.0", "org.opencontainers.image.ref.name": "1.0"},
			"x-behind": {"deep": ["A"]}}) |
		.manifests = [.manifests[1], .manifests[0],
			(.manifests[0] | .annotations["io.containerd.image.name"] = "docker.io/library/zap:1.0")] |
		.annotations = {"of": "the layout"}' "$T/$1/index.json" |
		sed 's/"A"/"\\u0041"/; s/2\.50*,/2.50,/; s/"x": 1.*/"x" : 1E+2/' >"$T/before"
	grep -q 'u0041' "$T/before" && grep -q '2\.50' "$T/before" && grep -q '1E+2' "$T/before"
	cp "$T/before" "$T/$1/index.json"
}

@test "a layout: what index.json says of the edited image stays, but for its digest and size" {
	make
	local n out typed size
	while read -r n out; do
		echo "$n $out"
		described l
		# The same name once more: what the index means by it is the first that has it.
		[ "$n" = 1 ] && typed=app:1.0 || typed=other
		n=$(jq -r --argjson n "$n" '.manifests[$n] | "\(.digest) \(.size)"' "$T/before")
		# shellcheck disable=SC2086 # words
		dray_run edit "oci:$T/l:$typed" --env B=1 ${out//OUT/oci:$T/l:$typed}
		ok
		size=$(stat -c %s "$T/l/blobs/sha256/${DIGEST#*:}")
		[ "$DIGEST" != "${n% *}" ]
		awk -v old="${n% *}" -v new="$DIGEST" -v was="${n#* }" -v size="$size" '
			/"digest"/ && index($0, old) && !done { sub(old, new); here = done = 1 }
			/"size"/ && here { sub(was, size); here = 0 }
			{ print }' "$T/before" >"$T/want"
		diff "$T/want" "$T/l/index.json"
		"$DRAY" inspect --config "oci:$T/l:$typed" | jq -e '.config.Env | index("B=1") != null'
	done <<-END
		1 --in-place
		1 -o OUT
		0 --in-place
		0 -o OUT
	END
	# By a tag that two names have nobody knows which is meant.
	described l
	dray_run edit "oci:$T/l:1.0" --env B=1 --in-place
	expect 2 "*there are several names*"
	# All of them, each under its own name.
	dray_run edit "$T/l" --all --env B=1 -o "oci:$T/l"
	expect 0
	jq -e --slurpfile old "$T/before" 'def but: .manifests[] |= del(.digest, .size); but == ($old[0] | but)' "$T/l/index.json"
	same "digests" "$(jq -r '.manifests[].digest' "$T/before" "$T/l/index.json" | sort -u | wc -l)" 4
	# An edit that changes nothing changes no byte.
	cp "$T/l/index.json" "$T/before"
	dray_run edit "oci:$T/l:app:1.0" --env B=1 --in-place
	ok
	cmp "$T/before" "$T/l/index.json"
}

@test "an entry of index.json tells no platform that the edit changed" {
	make
	local place
	described l
	tar -C "$T/l" -cf "$T/x.tar" .
	for place in "oci:$T/l" "oci-archive:$T/x.tar"; do
		dray_run edit "$place:app:1.0" --env A=1 --in-place
		ok
		dray_run edit "$place:zap:1.0" --platform-set linux/arm64 --in-place
		ok
		tar -xOf "$T/x.tar" --wildcards '*index.json' >"$T/got"
		[[ $place != oci:* ]] || cp "$T/l/index.json" "$T/got"
		jq -e --slurpfile old "$T/before" 'def but: .manifests[] |= del(.digest, .size);
			but == ($old[0] | but | del(.manifests[2].platform)) and .manifests[1].platform.architecture == "amd64"' "$T/got"
		"$DRAY" inspect --config "$place:zap:1.0" | jq -e '.architecture == "arm64"'
	done
}

@test "a layout: an index keeps what index.json says of it" {
	"$PEERS_SRC/oci_graph.py" "$T/graph" >/dev/null
	"$DRAY" copy -q --all-platforms "oci:$T/graph:multi" "oci:$T/l:m" >/dev/null
	jq '.manifests[0].annotations.more = "text"' "$T/l/index.json" >"$T/before"
	cp "$T/before" "$T/l/index.json"
	dray_run edit "oci:$T/l:m" --platform linux/arm64 --env NEW=1 --in-place
	ok
	jq --arg d "$DIGEST" --argjson s "$(stat -c %s "$T/l/blobs/sha256/${DIGEST#*:}")" \
		'.manifests[0].digest = $d | .manifests[0].size = $s' "$T/before" | cmp - "$T/l/index.json"
}

@test "a layout: what was not chosen is not edited" {
	make
	local arm index
	"$PEERS_SRC/oci_graph.py" "$T/graph" >/dev/null
	"$DRAY" copy -q --all-platforms "oci:$T/graph:multi" "oci:$T/l:m" >/dev/null
	arm=$("$DRAY" digest --platform linux/arm64 "oci:$T/l:m")
	cp "$T/l/index.json" "$T/before"
	dray_run edit "$T/l" --image "$arm" --env NEW=1 --in-place
	expect 8 "*one image of an index*hint: name the tag; --platform chooses in it*"
	cmp "$T/before" "$T/l/index.json"
	dray_run edit "$T/l" --image m --platform linux/arm64 --env NEW=1 --in-place
	ok
	"$DRAY" inspect --config --platform linux/arm64 "$T/l" | jq -e '.config.Env | index("NEW=1") != null'
	"$DRAY" inspect --config --platform linux/amd64 "$T/l" | jq -e '.config.Env // [] | index("NEW=1") == null'
	index=$(jq -r '.manifests[0].digest' "$T/l/index.json")
	dray_run edit "$T/l" --image "$index" --env NEW=2 --in-place
	ok
	"$DRAY" inspect --config --platform linux/amd64 "$T/l" | jq -e '.config.Env | index("NEW=2") != null'
	# One without a name beside another.
	"$DRAY" copy -q --image one:1 "$T/two.tar" "oci:$T/u:one" >/dev/null
	"$DRAY" copy -q --image two:1 "$T/two.tar" "oci:$T/u:two" >/dev/null
	jq -c 'del(.manifests[1].annotations)' "$T/u/index.json" >"$T/before"
	cp "$T/before" "$T/u/index.json"
	dray_run edit "$T/u" --env B=1 --in-place
	expect 2 "*holds several images*--image*"
	dray_run edit "$T/u" --all --env B=1 --in-place
	expect 2 "*holds several images, some without a name*"
	cmp "$T/before" "$T/u/index.json"
	dray_run edit "$T/u" --image one --env B=1 --in-place
	ok
	same "the other" "$(jq -r '.manifests[] | select(.annotations == null).digest' "$T/u/index.json")" \
		"$(jq -r '.manifests[1].digest' "$T/before")"
}

@test "a tag alone that two repositories have is not decided by a platform" {
	make
	"$DRAY" copy -q --image one:1 "$T/two.tar" "oci:$T/b:ex.org/app:1.0" >/dev/null
	"$DRAY" edit -q --image two:1 "$T/two.tar" --platform-set linux/arm64 -o "oci:$T/b:other.org/zap:1.0" >/dev/null
	dray_run digest --platform linux/arm64 "oci:$T/b:1.0"
	expect 2 "*several images*ex.org/app:1.0*other.org/zap:1.0*"
	dray_run digest "oci:$T/b:1.0"
	expect 2 "*several images*"
	dray_run edit "oci:$T/b:1.0" --platform linux/arm64 --env B=1 --in-place
	expect 2 "*several images*"
	dray_run digest --platform linux/arm64 "oci:$T/b:zap:1.0"
	expect 3
	dray_run digest --platform linux/arm64 "oci:$T/b:other.org/zap:1.0"
	expect 0
}
