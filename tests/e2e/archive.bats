#!/usr/bin/env bats
# Archives and "dir:" layouts that dray writes, held by the programs that read them: docker, podman, skopeo, ctr, tar.

load lib

setup() { verbs_setup; }
teardown() { peers_teardown; }

out() { echo "$BATS_TEST_TMPDIR/$1"; }

# documents FILE: what readers of twin members would see (A-02): the names, and each document by first and by last match.
documents() {
	python3 - "$1" <<-'END'
		import sys, tarfile
		first, last = {}, {}
		for m in tarfile.open(sys.argv[1]):
		    assert m.isreg(), m.name
		    first.setdefault(m.name, m.offset)
		    last[m.name] = m.offset
		assert first == last, "twin members"
		print(" ".join(sorted(n for n in first if not n.startswith(("blobs/", "superseded-")))))
	END
}

# listed FILE: the names in manifest.json and in index.json, which must be the same.
listed() {
	local a b
	a=$(tar xOf "$1" manifest.json | jq -r '.[].RepoTags // [] | .[]' | sort | xargs)
	b=$(tar xOf "$1" index.json | jq -r '.manifests[].annotations["io.containerd.image.name"]' |
		sed 's,^docker.io/,,; s,^library/,,' | sort | xargs)
	same "index.json" "$b" "$a" || return 1
	same "busybox tar" "$(busybox tar xOf "$1" manifest.json | sha256sum)" "$(tar xOf "$1" manifest.json | sha256sum)" || return 1
	echo "$a"
}

@test "archive: pull keeps every digest; docker, podman, skopeo and ctr load it; pushed back it is the same" {
	require_peer skopeo podman
	image_need sym
	id=$(docker_image_id test/sym:1)
	registry_start main plain
	for format in docker oci; do
		dray_run push --format "$format" "$IMAGE" "$REGISTRY_ADDR/arc/$format:1"
		ok
		want=$DIGEST
		name=$REGISTRY_ADDR/arc/$format:1
		dray_run pull "$name" "$(out "$format.tar")"
		expect 0
		same "result" "$output" "$(out "$format.tar")@$id"
		same "documents" "$(documents "$(out "$format.tar")")" "index.json manifest.json oci-layout"
		same "names" "$(listed "$(out "$format.tar")")" "$name"
		same "stored manifest" "$(tar xOf "$(out "$format.tar")" "blobs/sha256/${want#*:}" | sha256sum | cut -d ' ' -f 1)" "${want#*:}"
		# Each blob hashes to its name.
		mkdir "$(out "x-$format")"
		tar xf "$(out "$format.tar")" -C "$(out "x-$format")"
		rm "$(out "x-$format")/manifest.json"
		layout_check "$(out "x-$format")"

		docker load --quiet --input "$(out "$format.tar")"
		same "docker" "$(docker_image_id "$name")" "$id"
		same "docker run" "$(docker_run "$name")" "$SYM_LINE"
		docker rmi "$name" >/dev/null
		podman load --quiet --input "$(out "$format.tar")"
		same "podman" "sha256:$(podman image inspect --format '{{.Id}}' "$name")" "$id"
		same "podman run" "$(podman_run "$name")" "$SYM_LINE"
		podman rmi "$name" >/dev/null
		same "skopeo docker-archive" "$(source_image_id "docker-archive:$(out "$format.tar")")" "$id"
		skopeo copy --quiet "docker-archive:$(out "$format.tar"):$name" "oci:$(out "sk-$format"):1"
		same "skopeo oci-archive" "$(source_manifest_digest "oci-archive:$(out "$format.tar")")" "$want"
		ctr=(ctr --address "$PEERS_DIR/exec/containerd/containerd.sock" --namespace dray-archive)
		"${ctr[@]}" images import --no-unpack "$(out "$format.tar")" || "${ctr[@]}" images import "$(out "$format.tar")"
		same "ctr" "$("${ctr[@]}" images ls | awk -v n="$name" '$1 == n { print $3 }')" "$want"
		"${ctr[@]}" images rm "$name"

		dray_run push "$(out "$format.tar")" "$REGISTRY_ADDR/arc/back-$format:1"
		ok
		same "pushed back" "$(remote_walk "$REGISTRY_ADDR" "arc/back-$format" 1)" "$want"
		dray_piped "$(out "$format.tar")" push - "$REGISTRY_ADDR/arc/pipe-$format:1"
		ok
		same "pushed back by pipe" "$(remote_walk "$REGISTRY_ADDR" "arc/pipe-$format" 1)" "$want"
		# Pinned by digest it has no name.
		dray_run pull "$REGISTRY_ADDR/arc/$format@$want" "$(out pinned.tar)"
		expect 0
		same "RepoTags" "$(tar xOf "$(out pinned.tar)" manifest.json | jq -c '.[0].RepoTags')" null
		same "digest" "$("$DRAY" digest "$(out pinned.tar)")" "$want"
	done
	dray_run copy "$IMAGE" "docker-archive:$(out named.tar):short"
	expect 0
	same "names" "$(listed "$(out named.tar)")" "short:latest"
}

@test "archive: what docker saved stays uncompressed; file, pipe and stdout give the same members" {
	image_need sym
	dray_run copy "$IMAGE" "$(out a.tar)"
	expect 0
	same "compression" "$("$DRAY" inspect --json "$(out a.tar)" | jq -r '.images[0].layers[].compression' | sort -u)" none
	dray_piped "$IMAGE" copy - "$(out b.tar)"
	expect 0
	"$DRAY" save "$IMAGE" >"$(out c.tar)"
	# A pipe's layers stand in the order in which they passed.
	for x in a b; do
		mkdir "$(out "$x")"
		tar xf "$(out "$x.tar")" -C "$(out "$x")"
	done
	diff -r "$(out a)" "$(out b)"
	same "size" "$(stat -c %s "$(out a.tar)")" "$(stat -c %s "$(out b.tar)")"
	cmp "$(out a.tar)" "$(out c.tar)"
	dray_run copy --compression gzip "$IMAGE" -o "$(out gz)"
	expect 0
	docker load --quiet --input "$(out gz)"
	same "docker run" "$(docker_run test/sym:1)" "$SYM_LINE"
	dray_run verify "$(out gz)"
	expect 0
	# A bare new path that does not end in .tar is asked about; --no-clobber keeps what is there.
	dray_run copy "$IMAGE" ./new
	expect 2 "*docker-archive:./new*"
	echo old >"$(out old.tar)"
	dray_run copy --no-clobber "$IMAGE" "$(out old.tar)"
	expect 2 "*exists*"
	same "old" "$(cat "$(out old.tar)")" old
}

@test "archive: several sources in one archive; all, one and none of them" {
	require_peer skopeo podman
	image_need multi
	multi=$IMAGE
	image_need sym
	dray_run copy "$IMAGE" --all "$multi" -o "$(out all.tar)"
	expect 0
	same "lines" "${#lines[@]}" 3
	same "names" "$(listed "$(out all.tar)")" "test/multi-a:1 test/multi-b:1 test/sym:1"
	docker rmi test/sym:1 test/multi-a:1 test/multi-b:1 >/dev/null 2>&1 || true
	docker load --quiet --input "$(out all.tar)"
	same "docker run" "$(docker_run test/sym:1)" "$SYM_LINE"
	podman load --quiet --input "$(out all.tar)"
	podman image exists localhost/test/multi-b:1 # as podman names what docker saved
	podman rmi --all --force >/dev/null
	dray_run copy --image test/sym:1 "$(out all.tar)" "$(out one.tar)"
	expect 0
	same "names" "$(listed "$(out one.tar)")" "test/sym:1"
	dray_run copy "$(out all.tar)" "$(out none.tar)"
	expect 2 "*several images*"
	[ ! -e "$(out none.tar)" ]
	dray_run copy "$IMAGE" "$multi" --all "$(out x.tar):x:1"
	expect 2
	dray_run copy "$IMAGE" "$IMAGE" -o "$(out twice.tar)"
	expect 6 "*two images have the tag*"
	[ ! -e "$(out twice.tar)" ]
	dray_run copy - - -o "$(out twice.tar)"
	expect 2 "*one source only*"
}

@test "archive: --append: one set of documents for every reader, in archives of every producer (A-02)" {
	require_peer skopeo podman busybox
	image_need big
	big=$IMAGE
	for name in sym multi podman-docker skopeo-docker crane-docker ctr-oci podman-oci skopeo-oci; do
		image_need "$name"
		cp "$IMAGE" "$(out a.tar)"
		before=$(stat -c %i "$(out a.tar)")
		blocks=$(head -c 1048576 "$(out a.tar)" | head -c "$(($(stat -c %s "$IMAGE") / 2))" | sha256sum)
		had=$("$DRAY" images --json "$IMAGE" | jq '.images | length')
		dray_run copy --append "$big" -o "$(out a.tar)"
		expect 0
		same "$name: in place" "$(stat -c %i "$(out a.tar)")" "$before"
		same "$name: the front is untouched" "$(head -c 1048576 "$(out a.tar)" | head -c "$(($(stat -c %s "$IMAGE") / 2))" | sha256sum)" "$blocks"
		dray_run verify --all "$(out a.tar)"
		expect 0
		same "$name: images" "$("$DRAY" images --json "$(out a.tar)" | jq '.images | length')" $((had + 1))
		same "$name: twins" "$(tar tf "$(out a.tar)" | grep -vc '/$')" "$(tar tf "$(out a.tar)" | grep -v '/$' | sort -u | wc -l)"
		same "$name: python" "$(python3 -c 'import sys, tarfile; print("\n".join(m.name for m in tarfile.open(sys.argv[1])))' "$(out a.tar)" | sha256sum)" \
			"$(tar tf "$(out a.tar)" | sed 's,/$,,' | sha256sum)"
		same "$name: busybox" "$(busybox tar tf "$(out a.tar)" | sha256sum)" "$(tar tf "$(out a.tar)" | sha256sum)"
		# Once more the same: nothing changes but the documents' place.
		dray_run copy --append "$big" -o "$(out a.tar)"
		expect 0
		same "$name: images again" "$("$DRAY" images --json "$(out a.tar)" | jq '.images | length')" $((had + 1))
		case $name in
		podman-oci | skopeo-oci)
			skopeo inspect --raw "oci-archive:$(out a.tar):test/big:1" >/dev/null
			;;
		*)
			docker load --quiet --input "$(out a.tar)"
			same "$name: docker run" "$(docker_run test/big:1)" "$BIG_LINE"
			skopeo inspect --raw "docker-archive:$(out a.tar):docker.io/test/big:1" >/dev/null
			;;
		esac
	done
}

@test "archive: --append: tags move, --no-clobber keeps them, documents in front are rewritten into a copy" {
	require_peer skopeo
	image_need big
	big=$IMAGE
	image_need sym
	"$DRAY" copy -q "$IMAGE" "$(out a.tar)"
	cp "$(out a.tar)" "$(out before.tar)"
	dray_run copy --append --no-clobber "$big" "docker-archive:$(out a.tar):test/sym:1"
	expect 2 "*tag already*"
	cmp "$(out a.tar)" "$(out before.tar)"
	dray_run copy --append "$big" "docker-archive:$(out a.tar):test/sym:1"
	expect 0
	same "names" "$(listed "$(out a.tar)")" "test/sym:1"
	same "who has it" "$(source_image_id "docker-archive:$(out a.tar):docker.io/test/sym:1")" "$(docker_image_id test/big:1)"

	# As the canonical archive has them.
	archive_reorder "$(out before.tar)" "$(out front.tar)"
	before=$(stat -c %i "$(out front.tar)")
	dray_run copy --append "$big" -o "$(out front.tar)"
	expect 0
	[ "$(stat -c %i "$(out front.tar)")" != "$before" ]
	same "names" "$(listed "$(out front.tar)")" "test/big:1 test/sym:1"
	same "documents" "$(documents "$(out front.tar)")" "index.json manifest.json oci-layout"
	dray_run verify --all "$(out front.tar)"
	expect 0

	gzip -k "$(out before.tar)"
	dray_run copy --append "$big" "docker-archive:$(out before.tar.gz)"
	expect 8 "*compressed*"
	dray_run copy --append "$big" "$(out none.tar)"
	expect 3
	dray_run copy --append "$big" "oci:$(out l)"
	expect 2
	"$DRAY" copy -q "$IMAGE" "oci-archive:$(out oci.tar)"
	dray_run copy --append "$big" "docker-archive:$(out oci.tar)"
	expect 2 "*index.json only*"
	cat "$(out before.tar)" <(echo something of somebody) >"$(out tail.tar)"
	dray_run copy --append "$big" "$(out tail.tar)"
	expect 8 "*behind the end*"
	# Another archive behind it, with zeros between; and where the documents are in front, too.
	archive_reorder "$(out before.tar)" "$(out front.tar)"
	local name
	for name in before front; do
		cat "$(out $name.tar)" <(head -c 1024 /dev/zero) "$(out before.tar)" >"$(out tail.tar)"
		cp "$(out tail.tar)" "$(out same.tar)"
		dray_run copy --append "$big" "$(out tail.tar)"
		expect 8 "*behind the end*"
		cmp "$(out tail.tar)" "$(out same.tar)"
	done
}

@test "archive: --append: a symbolic link stays, what it leads to is added to" {
	image_need big
	local big=$IMAGE kind
	image_need sym
	"$DRAY" copy -q "$IMAGE" "$(out start.tar)"
	archive_reorder "$(out start.tar)" "$(out front.tar)"
	for kind in start front; do
		ln -sfn "$kind.tar" "$(out link.tar)"
		dray_run copy --append "$big" "$(out link.tar)"
		expect 0
		same "link" "$(readlink "$(out link.tar)")" "$kind.tar"
		same "names" "$(listed "$(out "$kind.tar")")" "test/big:1 test/sym:1"
	done
}

# archive_reorder IN OUT: the documents first.
archive_reorder() {
	python3 - "$@" <<-'END'
		import io, sys, tarfile
		src = tarfile.open(sys.argv[1])
		members = sorted(src.getmembers(), key=lambda m: m.name.startswith("blobs/"))
		with tarfile.open(sys.argv[2], "w", format=tarfile.USTAR_FORMAT) as dst:
		    for m in members:
		        dst.addfile(m, io.BytesIO(src.extractfile(m).read()))
	END
}

@test "archive: G-02 killed at any moment of an append the old or the new archive stands, for every reader" {
	require_peer skopeo
	image_need sym
	"$DRAY" copy -q "$IMAGE" "$(out start.tar)"
	archive_reorder "$(out start.tar)" "$(out front.tar)"
	image_need big
	for kind in start front; do
		cp "$(out "$kind.tar")" "$(out a.tar)"
		for i in $(seq 25); do
			"$DRAY" copy -q --append "$IMAGE" -o "$(out a.tar)" >/dev/null 2>&1 3>&- &
			pid=$!
			sleep "0.$(printf %03d $((RANDOM % 250)))"
			kill9 "$pid"
			case $(listed "$(out a.tar)") in
			"test/sym:1") ;;
			"test/big:1 test/sym:1") cp "$(out "$kind.tar")" "$(out a.tar)" ;;
			*) false ;;
			esac
			dray_run verify --all "$(out a.tar)"
			expect 0
			same "documents" "$(documents "$(out a.tar)")" "index.json manifest.json oci-layout"
			skopeo inspect --raw "docker-archive:$(out a.tar):docker.io/test/sym:1" >/dev/null
		done
		dray_run copy --append "$IMAGE" -o "$(out a.tar)"
		expect 0
		same "names" "$(listed "$(out a.tar)")" "test/big:1 test/sym:1"
		dray_run verify --all "$(out a.tar)"
		expect 0
	done
	same "leftovers" "$(find "$BATS_TEST_TMPDIR" -maxdepth 1 -name '.*dray-*' | wc -l)" 0
}

@test "archive: G-10 eight processes append to one archive" {
	image_need multi
	multi=$IMAGE
	image_need sym
	"$DRAY" copy -q "$IMAGE" "$(out a.tar)"
	pids=
	for i in $(seq 8); do
		"$DRAY" copy -q --append --image "@$((i % 2))" "$multi" "docker-archive:$(out a.tar):t$i:1" >"$(out "o$i")" 2>&1 3>&- &
		pids="$pids $!"
	done
	for pid in $pids; do wait "$pid"; done
	same "names" "$(listed "$(out a.tar)")" "t1:1 t2:1 t3:1 t4:1 t5:1 t6:1 t7:1 t8:1 test/sym:1"
	dray_run verify --all "$(out a.tar)"
	expect 0
}

@test "archive: G-04 no space and no permission: 9, and nothing half-written" {
	require_root
	image_need sym
	mkdir "$(out small)"
	mount -t tmpfs -o size=3000k none "$(out small)" || skip "no tmpfs here"
	"$DRAY" copy -q "$IMAGE" "$(out small)/a.tar"
	cp "$(out small)/a.tar" "$(out before.tar)"
	image_need big
	got=
	for dst in "$(out small)/b.tar" "dir:$(out small)/d" "oci-archive:$(out small)/o.tar"; do
		dray_run copy "$IMAGE" "$dst"
		got="$got $status"
	done
	dray_run copy --append "$IMAGE" -o "$(out small)/a.tar"
	got="$got $status"
	left=$(ls -A "$(out small)" | xargs)
	cmp "$(out small)/a.tar" "$(out before.tar)" || got="$got changed"
	umount "$(out small)"
	same "status" "$got" " 9 9 9 9"
	same "what is there" "$left" a.tar
	dray_run copy "$IMAGE" /proc/no/such.tar
	expect 9
	dray_run copy "$IMAGE" docker-archive:/dev/full
	expect 9
}

@test "dir: skopeo reads ours, we read skopeo's and podman's, as a folder and as a tar; podman's oci-dir too" {
	require_peer skopeo podman
	image_need sym
	id=$(docker_image_id test/sym:1)
	dray_run copy "$IMAGE" "dir:$(out d)"
	ok
	want=$DIGEST
	same "version" "$(cat "$(out d)/version")" "Directory Transport Version: 1.1"
	same "manifest digest" "$(source_manifest_digest "dir:$(out d)")" "$want"
	same "image ID" "$(source_image_id "dir:$(out d)")" "$id"
	skopeo copy --quiet "dir:$(out d)" "dir:$(out theirs)"
	dray_run copy "$(out theirs)" "dir:$(out back)"
	ok
	same "there and back" "$DIGEST" "$want"
	diff -r "$(out d)" "$(out back)"
	dray_run verify "dir:$(out theirs)"
	expect 0
	tar cf "$(out d.tar)" -C "$(out theirs)" .
	dray_run copy "$(out d.tar)" "oci:$(out l):1"
	ok
	same "from a tar" "$DIGEST" "$want"
	dray_piped "$(out d.tar)" copy - "dir:$(out piped)"
	ok
	diff -r "$(out d)" "$(out piped)"
	docker save test/sym:1 | podman load --quiet
	for format in docker-dir oci-dir; do
		podman save --quiet --format "$format" --output "$(out "$format")" localhost/test/sym:1
		dray_run verify "$(out "$format")"
		expect 0
		scheme=dir
		[ "$format" = docker-dir ] || scheme=oci
		dray_run copy "$(out "$format")" "$(out "$format.tar")"
		expect 0
		same "$format" "$("$DRAY" digest "$(out "$format.tar")")" "$(source_manifest_digest "$scheme:$(out "$format")")"
	done
	podman rmi --all --force >/dev/null
}

@test "dir: replaced whole or not at all; other folders are left alone" {
	image_need sym
	"$DRAY" copy -q "$IMAGE" "dir:$(out d)"
	cp -a "$(out d)" "$(out before)"
	dray_run copy --no-clobber "$IMAGE" "dir:$(out d)"
	expect 2 "*exists*"
	image_need big
	archive_flip "$IMAGE" "$(out flip.tar)" 100000
	dray_run copy "$(out flip.tar)" "dir:$(out d)"
	expect 6 "*DiffID*"
	diff -r "$(out d)" "$(out before)"
	dray_run copy "$IMAGE" "dir:$(out d)/"
	expect 0
	same "image" "$("$DRAY" digest --image-id "$(out d)")" "$(docker_image_id test/big:1)"
	mkdir "$(out folder)"
	dray_run copy "$IMAGE" "dir:$(out folder)"
	expect 0
	echo precious >"$(out folder)/file"
	dray_run copy "$IMAGE" "dir:$(out folder)"
	expect 2 "*no \"dir:\" layout*"
	same "precious" "$(cat "$(out folder)/file")" precious
	image_need multi
	dray_run copy --all "$IMAGE" "dir:$(out many)"
	expect 2
	[ ! -e "$(out many)" ]
	for ms in 010 040 080 150 250; do
		"$DRAY" copy -q "$IMAGE" --image @0 "dir:$(out d)" >/dev/null 2>&1 3>&- &
		pid=$!
		sleep "0.$ms"
		kill9 "$pid"
		dray_run verify "$(out d)"
		expect 0
	done
	dray_run copy --image @1 "$IMAGE" "dir:$(out d)"
	expect 0
	same "left behind" "$(find "$BATS_TEST_TMPDIR" -maxdepth 1 -name '.d.dray-*' | wc -l)" 0
}
