#!/usr/bin/env bats
# Sparse files in layers: every form that GNU tar writes is the same file, to dray and to engines.

load lib

setup() {
	verbs_setup
	T=$BATS_TEST_TMPDIR
}
teardown() { peers_teardown; }

# files_make: sparse files of every shape in $T/s.
files_make() {
	mkdir -p "$T/s"
	truncate -s 3M "$T/s/empty"
	python3 - "$T/s" <<-'END'
		import sys
		d = sys.argv[1] + "/"
		def put(name, size, *pieces):
		    with open(d + name, "wb") as f:
		        for at, data in pieces:
		            f.seek(at)
		            f.write(data)
		        f.truncate(size)
		put("head", 1 << 20, (0, b"head"))
		put("tail", (1 << 20) + 3, (1 << 20, b"end"))
		put("many", 40 * 200000, *[(k * 196608, b"%d" % k * 4096) for k in range(40)])
		put("plain", 10, (0, b"0123456789"))
	END
	find "$T/s" -exec touch -d 2024-01-02 {} +
}

# layer_make FILE TAR-OPTION...
layer_make() {
	tar --owner=0 --group=0 -C "$T/s" "${@:2}" -cf "$1" empty head many plain tail
}

# image_make FILE LAYER...: a saved image of these layers.
image_make() {
	python3 - "$@" <<-'END'
		import hashlib, io, json, sys, tarfile
		layers = [open(p, "rb").read() for p in sys.argv[2:]]
		config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers",
		    "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]}}).encode()
		members = {hashlib.sha256(config).hexdigest() + ".json": config}
		members.update({f"{i}/layer.tar": l for i, l in enumerate(layers)})
		manifest = [{"Config": next(iter(members)), "RepoTags": ["test/sparse:1"], "Layers": list(members)[1:]}]
		members["manifest.json"] = json.dumps(manifest).encode()
		with tarfile.open(sys.argv[1], "w") as out:
		    for name, data in members.items():
		        i = tarfile.TarInfo(name)
		        i.size = len(data)
		        out.addfile(i, io.BytesIO(data))
	END
}

FORMS=("--format=gnu" "--format=posix --sparse-version=0.0" "--format=posix --sparse-version=0.1"
	"--format=posix --sparse-version=1.0")

@test "all forms of GNU tar are one tree, of real sizes and whole contents" {
	local want form
	files_make
	layer_make "$T/l.tar" --format=posix --pax-option=delete=atime,delete=ctime
	image_make "$T/i.tar" "$T/l.tar"
	want=$("$DRAY" rootfs-id "$T/i.tar")
	for form in "${FORMS[@]}"; do
		# shellcheck disable=SC2086
		layer_make "$T/l.tar" --sparse $form
		[ "$(stat -c %s "$T/l.tar")" -lt 1000000 ]
		image_make "$T/i.tar" "$T/l.tar"
		same "id of $form" "$("$DRAY" rootfs-id "$T/i.tar")" "$want"
		dray_run files --json "$T/i.tar"
		expect 0
		same "sizes of $form" "$(jq -r '"\(.path) \(.size)"' <<<"$output")" "$(cd "$T/s" && stat -c "%n %s" empty head many plain tail)"
		for f in empty head many plain tail; do
			"$DRAY" cat "$T/i.tar" "$f" | cmp - "$T/s/$f"
		done
		dray_run export -o "$T/e.tar" "$T/i.tar"
		expect 0
		rm -rf "$T/x" && mkdir "$T/x"
		tar -C "$T/x" -xf "$T/e.tar"
		diff -r "$T/s" "$T/x"
		if type -P bsdtar >/dev/null; then
			rm -rf "$T/x" && mkdir "$T/x"
			bsdtar -C "$T/x" -xf "$T/e.tar"
			diff -r "$T/s" "$T/x"
		fi
		# Nobody changed the entries: they are in the layer as they are in what comes out.
		cmp -n "$(stat -c %s "$T/e.tar")" "$T/e.tar" "$T/l.tar"
	done
}

@test "where a sparse file needs a new header it stays sparse, for GNU tar, Python and the second author" {
	local form
	files_make
	python3 - "$T/up.tar" <<-'END'
		import sys, tarfile
		with tarfile.open(sys.argv[1], "w") as t:
		    for n in "empty", "head", "many", "tail":
		        i = tarfile.TarInfo("a-" + n)
		        i.type, i.linkname, i.mode, i.uid, i.mtime = tarfile.LNKTYPE, n, 0o600, 5, 1
		        t.addfile(i)
	END
	for form in "${FORMS[@]}"; do
		# shellcheck disable=SC2086
		layer_make "$T/l.tar" --sparse $form
		image_make "$T/i.tar" "$T/l.tar" "$T/up.tar"
		dray_run export -o "$T/e.tar" "$T/i.tar"
		expect 0
		[ "$(stat -c %s "$T/e.tar")" -lt 1000000 ]
		rm -rf "$T/x" && mkdir "$T/x"
		tar -C "$T/x" -xf "$T/e.tar"
		for f in empty head many tail; do
			cmp "$T/x/a-$f" "$T/s/$f"
			same "links of $f" "$(stat -c %h "$T/x/$f")" 2
		done
		same "second author of $form" "$("$DRAY" rootfs-id "$T/i.tar")" \
			"$(PYTHONDONTWRITEBYTECODE=1 python3 "$PEERS_TOP/tests/layers/rootfs.py" "$T/e.tar")"
	done
}

@test "dockerd sees the same files in the pax forms, and refuses GNU's old form" {
	local form id
	dockerd_start
	files_make
	for form in "${FORMS[@]:1}"; do
		# shellcheck disable=SC2086
		layer_make "$T/l.tar" --sparse $form
		image_make "$T/i.tar" "$T/l.tar"
		docker load -q -i "$T/i.tar"
		id=$(docker create test/sparse:1 /none)
		rm -rf "$T/x" && mkdir "$T/x"
		docker export "$id" | tar -C "$T/x" -x empty head many plain tail
		docker rm "$id" >/dev/null
		docker rmi test/sparse:1 >/dev/null
		diff -r "$T/s" "$T/x"
	done
	layer_make "$T/l.tar" --sparse --format=gnu
	image_make "$T/i.tar" "$T/l.tar"
	run docker load -q -i "$T/i.tar"
	[ "$status" -ne 0 ]
	[[ $output == *"unhandled tar header type 83"* ]]
}

@test "a sparse file of 8 EB is listed and exported, and refused where it would have to be expanded" {
	python3 - "$T/l.tar" <<-'END'
		import io, sys, tarfile
		with tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT) as t:
		    i = tarfile.TarInfo("x")
		    data = b"1\n0\n4\n".ljust(512, b"\0") + b"data"
		    i.size = len(data)
		    i.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "huge",
		                     "GNU.sparse.realsize": str(2**63 - 1)}
		    t.addfile(i, io.BytesIO(data))
	END
	image_make "$T/i.tar" "$T/l.tar"
	dray_run files --json "$T/i.tar"
	expect 0
	[[ $output == *'"size":9223372036854775807'* ]]
	dray_run export -o "$T/e.tar" "$T/i.tar"
	expect 0
	dray_run rootfs-id "$T/i.tar"
	expect 6 "*LIMIT_SPARSE_SIZE*"
	dray_run cat "$T/i.tar" huge
	expect 6 "*LIMIT_SPARSE_SIZE*"
}
