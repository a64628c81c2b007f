#!/usr/bin/env bats
# --legacy: archives that Docker before 1.10 and old tools read, beside what everybody reads today.

load build

setup() { build_setup; }
teardown() { peers_teardown; }

# only_v1 IN OUT: what a reader from before manifest.json sees of it.
only_v1() {
	mkdir "$2.d"
	tar xf "$1" -C "$2.d"
	rm "$2.d/manifest.json"
	tar cf "$2" -C "$2.d" .
}

# two_layers FILE ARG...: an image that docker runs, of two layers.
two_layers() {
	local file=$1
	shift
	program app/run "hello legacy"
	mkdir -p lib
	echo text >lib/text
	build --strategy per-source --dir lib:/usr/lib --dir app:/srv --entrypoint /srv/run --name example.org/old:1 "$@" -o "$file"
}

@test "a folder for each layer, which leads to the layer: nothing is stored twice, and twice the same bytes" {
	two_layers plain.tar
	two_layers old.tar --legacy
	dray_run verify old.tar
	expect 0
	same "image" "$("$DRAY" digest --image-id old.tar)" "$("$DRAY" digest --image-id plain.tar)"
	# A program is larger than all that is new.
	[ $(($(stat -c %s old.tar) - $(stat -c %s plain.tar))) -lt 10000 ]
	two_layers again.tar --legacy
	cmp old.tar again.tar
	two_layers plain.tar --legacy --compression none
	cmp old.tar plain.tar
	same "in a pipe" "$("$DRAY" build --legacy --strategy per-source --dir lib:/usr/lib --dir app:/srv --entrypoint /srv/run \
		--name example.org/old:1 -o - 2>/dev/null | sha256sum)" "$(sha256sum <old.tar)"
	python3 - old.tar <<-'EOF_PY'
		import hashlib, json, sys, tarfile
		t = tarfile.open(sys.argv[1])
		names = t.getnames()
		read = lambda n: t.extractfile(n).read()
		config = json.loads(read(json.loads(read("manifest.json"))[0]["Config"]))
		names_of = json.loads(read("repositories"))
		top = names_of["example.org/old"]["1"]
		assert list(names_of) == ["example.org/old"]
		chain, at = [], top
		while at:
		    doc = json.loads(read(at + "/json"))
		    assert doc["id"] == at and read(at + "/VERSION") == b"1.0"
		    link = t.getmember(at + "/layer.tar")
		    assert link.issym() and link.linkname.startswith("../") and link.linkname.endswith(".tar"), link.linkname
		    chain.insert(0, "sha256:" + hashlib.sha256(read(link.linkname[3:])).hexdigest())
		    at = doc.get("parent")
		assert chain == config["rootfs"]["diff_ids"], chain
		assert len([n for n in names if n.endswith("/json")]) == 2
	EOF_PY
}

@test "the same files, layers and config where only v1 folders are read: ours, and docker load without manifest.json" {
	two_layers old.tar --legacy
	only_v1 old.tar v1.tar
	same layers "$(layers v1.tar)" "$(layers old.tar)"
	same "what it runs" "$(config v1.tar | jq -c .Entrypoint)" '["/srv/run"]'
	same tag "$("$DRAY" images v1.tar --json | jq -r '.images[0].tags[0]')" example.org/old:1
	same rootfs "$("$DRAY" rootfs-id --mtime v1.tar)" "$("$DRAY" rootfs-id --mtime old.tar)"
	dray_run verify v1.tar
	expect 0
	require_docker
	docker load --quiet -i v1.tar
	same layers "$(docker_diff_ids example.org/old:1)" "$(layers old.tar)"
	same "docker run" "$(docker_run example.org/old:1)" "hello legacy"
	docker rmi example.org/old:1
}

@test "docker, podman and skopeo read it as ever" {
	two_layers old.tar --legacy
	runs old.tar example.org/old:1 $'hello legacy\ntext' /usr/lib/text
	require_peer skopeo
	same "skopeo" "$(skopeo inspect --config "docker-archive:old.tar" | jq -c .rootfs.diff_ids)" "$(layers old.tar | jq -Rnc '[inputs]')"
	skopeo copy -q docker-archive:old.tar "oci:$T/layout:1"
	same "layout's layers" "$(layers oci:layout:1)" "$(layers old.tar)"
}

@test "IDs and documents are those of docker save" {
	require_docker
	image_need sym
	mkdir theirs ours
	tar xf "$IMAGE" -C theirs
	dray_run copy --legacy "docker-archive:$IMAGE" ours.tar
	ok
	tar xf ours.tar -C ours
	n=0
	for json in theirs/*/json; do
		cmp "$json" "ours/${json#theirs/}"
		cmp "${json%json}layer.tar" "ours/$(cut -d/ -f2 <<<"$json")/layer.tar"
		n=$((n + 1))
	done
	same folders "$(find ours -name json | wc -l)" "$n"
	[ "$n" -ge 3 ]
	same names "$(jq -S . ours/repositories)" "$(jq -S . theirs/repositories)"
	# A layer that is there twice is stored once, and has two folders.
	same "its layers" "$(find ours -maxdepth 1 -name '*.tar' | wc -l)" "$(layers "$IMAGE" | sort -u | wc -l)"
}

@test "save and copy: several images, compressed ones made plain; names without a tag are no names" {
	two_layers one.tar --compression gzip
	build --from one.tar --mkdir /more --name example.org/old:2 -o two.tar
	build --mkdir /third -o three.tar
	dray_run copy --legacy one.tar two.tar three.tar -o all.tar
	expect 0
	same names "$(tar xOf all.tar repositories | jq -c 'map_values(keys)')" '{"example.org/old":["1","2"]}'
	same folders "$(tar tf all.tar | grep -c '/json$')" 5
	only_v1 all.tar v1.tar
	same tags "$("$DRAY" images v1.tar --json | jq -c '[.images[].tags[]] | sort')" '["example.org/old:1","example.org/old:2"]'
	for tag in 1 2; do
		same "layers of $tag" "$(layers "docker-archive:v1.tar:example.org/old:$tag")" "$(layers "docker-archive:all.tar:example.org/old:$tag")"
	done
	dray_run save --legacy oci-archive:three.tar -o saved.tar
	ok
	same "no names" "$(tar tf saved.tar | grep -c repositories)" 0
	only_v1 saved.tar saved-v1.tar
	same layers "$(layers saved-v1.tar)" "$(layers three.tar)"
}

@test "what it is not for is said" {
	two_layers one.tar
	for dst in "oci:$T/layout" oci-archive:out.tar "dir:$T/dir" docker://127.0.0.1:1/x; do
		dray_run build --legacy --mkdir /a -o "$dst"
		expect 2 '*--legacy is for archives*'
	done
	dray_run build --legacy --compression gzip --mkdir /a -o out.tar
	expect 2 '*--legacy and --compression gzip*'
	dray_run build --legacy --index-annotation a=b --mkdir /a -o out.tar
	expect 8 '*--legacy*annotations of an index*'
	dray_run build --legacy --annotation a=b --mkdir /a -o out.tar
	expect 8 '*--legacy: what it is for has no annotations of a manifest*'
	dray_run build --legacy --format oci --mkdir /a -o out.tar
	expect 2 '*--legacy and --format oci: *'
	dray_run copy --legacy --format oci one.tar out.tar
	expect 2 '*--legacy and --format oci: *'
	dray_run copy --legacy --append one.tar one.tar
	expect 2 '*--legacy and --append*'
	dray_run copy --legacy --canonical one.tar out.tar
	expect 2 '*--legacy and --canonical*'
	[ ! -e out.tar ] && [ ! -e layout ] && [ ! -e dir ]
	# What says nothing of them is fine.
	build --legacy --format docker --annotation a- --mkdir /a -o out.tar
	# An archive with folders is added to like any other.
	two_layers old.tar --legacy
	build --mkdir /new --name example.org/new:1 -o new.tar
	dray_run copy --append new.tar old.tar
	ok
	same images "$("$DRAY" images old.tar --json | jq -c '[.images[].tags[]] | sort')" '["example.org/new:1","example.org/old:1"]'
	dray_run verify --all old.tar
	expect 0
}
