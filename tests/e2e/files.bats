#!/usr/bin/env bats
# files, cat, blame: what is in an image, as engines show it, and what hostile layers may not do.

load lib

setup() {
	verbs_setup
	T=$BATS_TEST_TMPDIR
}
teardown() { peers_teardown; }

# make_image FILE [gzip]: three layers with what is hard about them.
make_image() {
	python3 - "$@" <<-'END'
		import gzip, hashlib, io, json, sys, tarfile

		TYPES = {"d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "c": tarfile.CHRTYPE,
		         "p": tarfile.FIFOTYPE}

		def layer(*entries):
		    out = io.BytesIO()
		    tar = tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT)
		    for name, kind, what, *pax in entries:
		        i = tarfile.TarInfo(name)
		        i.mtime, i.mode = 1700000000, 0o755 if kind == "d" else 0o4644
		        i.pax_headers = pax[0] if pax else {}
		        if kind == "f":
		            i.size = len(what)
		            tar.addfile(i, io.BytesIO(what))
		            continue
		        i.type = TYPES[kind]
		        if kind in "lh":
		            i.linkname = what
		        if kind == "c":
		            i.devmajor, i.devminor = what
		        tar.addfile(i)
		    tar.close()
		    return out.getvalue()

		layers = [
		    layer(("./", "d", 0), ("usr/", "d", 0), ("usr/lib/", "d", 0), ("usr/lib/os-release", "f", b"ID=base\n"),
		          ("usr/bin/", "d", 0), ("usr/bin/x", "f", b"x1\n", {"SCHILY.xattr.user.a": "v\u00e9",
		          "SCHILY.xattr.user.b": "a\0b"}), ("opt/a/", "d", 0), ("opt/a/f", "f", b"old\n"),
		          ("opt/b", "f", b"b\n"), ("loop", "l", "loop"), ("abs", "l", "/etc/../../usr/bin/x"),
		          ("e\udcffv\x1b[31m", "f", b"\x1b[31mred\n"), ("null", "c", (1, 3)), ("fifo", "p", 0),
		          ("gone/", "d", 0), ("gone/f", "f", b"g"), ("d/", "d", 0), ("d/low", "f", b"l")),
		    layer(("etc/", "d", 0), ("etc/os-release", "l", "../usr/lib/os-release"), ("bin", "l", "usr/bin"),
		          ("opt/hard", "h", "opt/a/f"), (".wh.gone", "f", b"")),
		    layer(("usr/lib/os-release", "f", b"ID=top\n"), ("opt/hl2", "h", "opt/hard"), ("opt/.wh.a", "f", b""),
		          ("d/.wh..wh..opq", "f", b""), ("d/high", "f", b"h"), ("host", "l", "/../../../../etc/passwd")),
		]
		config = {"architecture": "amd64", "os": "linux", "config": {},
		          "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]},
		          "history": [{"created_by": "step 0"}, {"created_by": "ENV", "empty_layer": True},
		                      {"created_by": "step \x1b[31m1"}, {"created_by": "step 2"}]}
		config = json.dumps(config).encode()
		name = hashlib.sha256(config).hexdigest() + ".json"
		members = {name: config}
		for i, data in enumerate(layers):
		    members[f"{i}/layer.tar"] = gzip.compress(data) if sys.argv[2:] == ["gzip"] else data
		members["manifest.json"] = json.dumps([{"Config": name, "RepoTags": ["test/look:1"],
		                                        "Layers": [f"{i}/layer.tar" for i in range(3)]}]).encode()
		with tarfile.open(sys.argv[1], "w") as out:
		    for member, data in members.items():
		        i = tarfile.TarInfo(member)
		        i.size = len(data)
		        out.addfile(i, io.BytesIO(data))
	END
}

# cat_is IMAGE PATH TEXT
cat_is() {
	dray_run cat "$1" "$2"
	expect 0 || return 1
	same "cat $2" "$output" "$3"
}

@test "cat follows links inside the image, and hard links to the layer with the bytes" {
	make_image "$T/plain.tar"
	make_image "$T/gzip.tar" gzip
	skopeo copy --quiet "docker-archive:$T/plain.tar" "oci:$T/layout:1" || skip "no skopeo"
	for image in "$T/plain.tar" "$T/gzip.tar" "oci:$T/layout:1"; do
		cat_is "$image" /etc/os-release "ID=top"
		cat_is "$image" usr/lib/os-release "ID=top"
		cat_is "$image" /bin/x x1
		cat_is "$image" abs x1
		cat_is "$image" ./usr/lib//../bin/x x1
		cat_is "$image" opt/hard old
		cat_is "$image" opt/hl2 old
		cat_is "$image" d/high h
	done
	dray_piped "$T/gzip.tar" cat - etc/os-release
	expect 0
	same "from a pipe" "$output" "ID=top"
}

@test "cat: what is no file of the image has its own exit status (P-03: links never leave it)" {
	make_image "$T/t.tar"
	for path in opt/a/f gone/f d/low nope usr/bin/x/ usr/bin/x/y loop host nope/x ../../etc/passwd /etc/passwd; do
		dray_run cat "$T/t.tar" "$path"
		expect 3 "dray: cat: *$path*"
		[ -z "$output" ]
	done
	for path in usr / bin etc/.. ''; do
		dray_run cat "$T/t.tar" "$path"
		expect 2 "*folder*"
	done
	for path in null fifo; do
		dray_run cat "$T/t.tar" "$path"
		expect 8
	done
	dray_run cat "$T/t.tar" opt/b -o "$T/out"
	expect 0
	same "output" "$(cat "$T/out")" b
	dray_run cat "$T/t.tar" opt/a/f -o "$T/none"
	expect 3
	[ ! -e "$T/none" ]
	dray_run cat "$T/t.tar" opt/b -o "$T/out" --no-clobber
	expect 2
}

@test "cat: wrong bytes of a layer are not printed" {
	make_image "$T/t.tar"
	python3 - "$T/t.tar" <<-'END'
		import sys
		data = open(sys.argv[1], "rb").read()
		assert data.count(b"ID=top\n") == 1
		open(sys.argv[1], "wb").write(data.replace(b"ID=top\n", b"ID=tip\n"))
	END
	dray_run cat "$T/t.tar" etc/os-release
	expect 6 "*DiffID*"
	[ -z "$output" ]
}

@test "files: the merged tree, as JSON and as text" {
	make_image "$T/t.tar" gzip
	dray_run files "$T/t.tar" --json --digest
	expect 0
	same "paths" "$(jq -r .path <<<"$output" | paste -sd ' ')" \
		$'abs bin d d/high etc etc/os-release e%FFv\e[31m fifo host loop null opt opt/b opt/hard opt/hl2 usr usr/bin usr/bin/x usr/lib usr/lib/os-release'
	jq -se --arg sum "sha256:$(printf 'ID=top\n' | sha256sum | cut -d ' ' -f 1)" 'INDEX(.path) |
		.["usr/lib/os-release"] == {path: "usr/lib/os-release", type: "file", mode: "4644", uid: 0, gid: 0, size: 7,
			mtime: "2023-11-14T22:13:20Z", link: null, layer: 2, digest: $sum, xattrs: {}} and
		.["usr/bin/x"].xattrs == {"user.a": "v\u00e9", "user.b": {"base64": "YQBi"}} and
		.["opt/hard"].type == "file" and .["opt/hl2"].type == "hardlink" and .["opt/hl2"].link == "opt/hard" and
		.["opt/hl2"].digest == .["opt/hard"].digest and .["opt/hard"].layer == 1 and
		.["null"].type == "char" and .["null"].major == 1 and .["null"].digest == null and .["fifo"].type == "fifo" and
		.["opt"].type == "dir" and .["opt"].mode == "0755" and .["host"].link == "/../../../../etc/passwd" and
		.["e%FFv\u001b[31m"].path_bytes == "Zf92G1szMW0="' <<<"$output"
	dray_run files "$T/t.tar" /bin/
	expect 0
	same "lines" "$(wc -l <<<"$output")" 2
	[[ ${lines[1]} == "-rwSr--r-- 0/0 "*" 3 2023-11-14T22:13:20Z usr/bin/x" ]]
	dray_run files "$T/t.tar" bin
	expect 0
	[[ $output == "lrw"*" bin -> usr/bin" ]]
	dray_run files "$T/t.tar" nope
	expect 3
	# O-01: no control character of a name gets through, on a terminal or not.
	dray_run files "$T/t.tar"
	expect 0
	[[ $output == *'e\xffv\x1b[31m'* ]]
	[[ $output != *$'\e'* ]]
}

@test "files --layer: one layer's own entries and whiteouts" {
	make_image "$T/t.tar"
	dray_run files "$T/t.tar" --layer 2 --json
	expect 0
	same "entries" "$(jq -r '.type + " " + .path' <<<"$output" | paste -sd ,)" \
		"file usr/lib/os-release,hardlink opt/hl2,whiteout opt/a,opaque d,file d/high,symlink host"
	dray_run files "$T/t.tar" --layer 2 --json --digest
	expect 0
	same "without a digest" "$(jq -r 'select(.digest == null) | .type' <<<"$output" | sort | paste -sd ,)" hardlink,opaque,symlink,whiteout
	dray_run files "$T/t.tar" d --layer 2
	expect 0
	same "lines" "$(cut -c 1 <<<"$output" | paste -sd '')" O-
	for n in 3 -1 x 99999999999999999999; do
		dray_run files "$T/t.tar" --layer "$n"
		expect 2
	done
	dray_run files "$T/t.tar" --digest
	expect 2
}

@test "blame: who brought, changed and deleted it" {
	make_image "$T/t.tar"
	dray_run blame "$T/t.tar" /etc/../usr/lib/os-release --json
	expect 0
	jq -e '.path == "usr/lib/os-release" and .present and .layer == 2 and .created_by == "step 2" and
		[.history[] | [.layer, .change, .created_by, .file.size]] == [[0, "added", "step 0", 8], [2, "changed", "step 2", 7]]' \
		<<<"$output"
	dray_run blame "$T/t.tar" gone/f --json
	expect 0
	jq -e '(.present | not) and [.history[] | [.layer, .change, .file == null]] == [[0, "added", false], [1, "deleted", true]]' \
		<<<"$output"
	dray_run blame "$T/t.tar" opt/a/f
	expect 0
	[[ ${lines[0]} == "layer 2 "*" deleted "*" step 2" ]]
	[[ ${lines[1]} == "layer 0 "*" added "*" step 0" ]]
	dray_run blame "$T/t.tar" bin
	expect 0
	[[ $output == *'step \x1b[31m1'* && $output == *"bin -> usr/bin" && $output != *$'\e'* ]]
	dray_run blame "$T/t.tar" nope
	expect 3 "*no layer has it*"
}

@test "blame: a folder that a layer only implies takes the place of a file, a link, and what it whites out" {
	mkdir -p "$T/in/d" && echo f >"$T/in/d/f" && touch "$T/in/.wh.d"
	tar -C "$T/in" --no-recursion -cf "$T/implied.tar" d/f
	tar -C "$T/in" --no-recursion -cf "$T/again.tar" .wh.d d/f
	for kind in "--file /d=text" "--symlink /d:elsewhere" "--mkdir /d:0700" "--mkdir /d:0700 again"; do
		read -ra w <<<"$kind"
		"$DRAY" build -q --from scratch "${w[0]}" "${w[1]}" -o "$T/low.tar" >"$T/no"
		"$DRAY" append -q "$T/low.tar" "$T/${w[2]:-implied}.tar" -o "$T/both.tar" >"$T/no"
		dray_run blame "$T/both.tar" d --json
		expect 0
		want='[[0,"added",null],[1,"changed","dir"]]'
		[ "$kind" != "--mkdir /d:0700" ] || want='[[0,"added","dir"]]'
		got=$(jq -c '[.history[] | [.layer, .change, (if .file.type == "dir" then "dir" else null end)]]' <<<"$output")
		[ "$kind" != "--mkdir /d:0700 again" ] || want='[[0,"added","dir"],[1,"changed","dir"]]'
		same "history of $kind" "$got" "$want"
		# And as the merged tree has it.
		mode=$(jq -r '.history[-1].file.mode' <<<"$output")
		same "mode of $kind" "$mode" "$("$DRAY" files --json "$T/both.tar" | jq -r 'select(.path == "d") | .mode')"
	done
}

@test "--progress json of layers that are read: done is all of it" {
	make_image "$T/t.tar" gzip
	"$DRAY" copy -q "$T/t.tar" "oci:$T/layout:1" >"$T/no"
	for image in "$T/t.tar" "oci:$T/layout:1"; do
		dray_run files --progress json "$image"
		expect 0
		same "layers of $image" "$(grep '^{' <<<"$stderr" | jq -s '[.[] | select(.event == "done")] | length')" 3
		same "not done" "$(grep '^{' <<<"$stderr" | jq -c 'select(.event == "done" and .total != null and .done != .total)')" ""
	done
	grep '^{' <<<"$stderr" | jq -se 'any(.total > 0)'
}

@test "blame: what lay behind the path before a link came in its way is found by that very path" {
	mkdir -p "$T/in/dl" "$T/up/opt"
	echo in >"$T/in/dl/in"
	ln -s opt "$T/up/dl"
	echo there >"$T/up/opt/there"
	tar -C "$T/in" -cf "$T/low.tar" dl
	tar -C "$T/up" -cf "$T/high.tar" opt dl
	"$DRAY" build -q --from scratch --tar "$T/low.tar" -o "$T/low-image.tar" >"$T/no"
	"$DRAY" append -q "$T/low-image.tar" "$T/high.tar" -o "$T/t.tar"
	dray_run blame --json "$T/t.tar" dl/in
	expect 0
	same "history" "$(jq -c '[.path, .present, [.history[] | [.layer, .change]]]' <<<"$output")" \
		'["dl/in",false,[[0,"added"],[1,"deleted"]]]'
	# What the link leads to comes first.
	dray_run blame --json "$T/t.tar" /dl/there
	expect 0
	same "history" "$(jq -c '[.path, .present, [.history[] | [.layer, .change]]]' <<<"$output")" \
		'["opt/there",true,[[1,"added"]]]'
	dray_run blame "$T/t.tar" dl/never
	expect 3 "*opt/never: no layer has it*"
}

@test "blame --json: a hard link has the attributes and the size of its file, as files has it" {
	make_image "$T/t.tar"
	for path in opt/hard opt/hl2; do
		dray_run blame --json "$T/t.tar" "$path"
		expect 0
		same "$path" "$(jq -c '.history[-1].file | [.path, .size, .mode, .mtime, .xattrs]' <<<"$output")" \
			"$("$DRAY" files --json "$T/t.tar" | jq -c --arg p "$path" 'select(.path == $p) | [.path, .size, .mode, .mtime, .xattrs]')"
		same "type of $path" "$(jq -r '.history[-1].file.type' <<<"$output")" hardlink
	done
	same "size" "$(jq '.history[-1].file.size' <<<"$output")" 4
	# In one layer, and to a file that keeps what the link's header does not speak of.
	mkdir "$T/in" && echo text >"$T/in/a" && ln "$T/in/a" "$T/in/b"
	tar -C "$T/in" -cf "$T/in.tar" a b
	"$DRAY" append -q "$T/t.tar" "$T/in.tar" -o "$T/more.tar"
	dray_run blame --json "$T/more.tar" b
	expect 0
	same "in one layer" "$(jq -c '.history[0].file | [.type, .link, .size]' <<<"$output")" '["hardlink","a",5]'
	mkdir -p "$T/x/usr/bin" && echo x1 >"$T/x/usr/bin/x" && ln "$T/x/usr/bin/x" "$T/x/y"
	tar -C "$T/x" -cf "$T/x.tar" usr/bin/x y
	tar -f "$T/x.tar" --delete usr/bin/x
	"$DRAY" append -q "$T/t.tar" "$T/x.tar" -o "$T/more.tar"
	dray_run blame --json "$T/more.tar" y
	expect 0
	same "attributes" "$(jq -c '.history[0].file | [.type, .size, .mode, .uid, .mtime, .xattrs]' <<<"$output")" \
		"$("$DRAY" files --json "$T/more.tar" | jq -c 'select(.path == "y") | [.type, .size, .mode, .uid, .mtime, .xattrs]')"
	same "extended ones" "$(jq '.history[0].file.xattrs | length' <<<"$output")" 2
}

@test "a terminal gets text only, escaped (O-01)" {
	local name=$'e\xffv\x1b[31m'
	require_peer script
	make_image "$T/t.tar"
	run script -qec "'$DRAY' cat '$T/t.tar' opt/b" /dev/null </dev/null
	same "text" "$output" $'b\r'
	run script -qec "'$DRAY' cat '$T/t.tar' '$name'" /dev/null </dev/null
	same "status" "$status" 0
	[[ $output != *$'\e'* && $output == *'red'* ]]
	image_need sym
	# shellcheck disable=SC2153
	run script -qec "'$DRAY' cat '$IMAGE' bin/busybox" /dev/null </dev/null
	same "status of a binary" "$status" 2
	[[ $output == *"not written to a terminal"* ]]
}

@test "files and cat agree with what docker shows of a container" {
	local id
	image_need big
	id=$(docker create test/big:1)
	docker export -o "$T/export.tar" "$id"
	docker rm "$id" >/dev/null
	python3 - "$T/export.tar" >"$T/want" <<-'END'
		import hashlib, sys, tarfile
		injected = {"dev", "proc", "sys", ".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"}
		tar = tarfile.open(sys.argv[1])
		for m in sorted(tar, key=lambda m: m.name):
		    if m.name in injected or m.name.split("/")[0] in injected:
		        continue
		    print(m.name, "dir" if m.isdir() else "file", f"{m.mode & 0o7777:04o}", m.uid, m.gid, m.size,
		          hashlib.sha256(tar.extractfile(m).read()).hexdigest() if m.isfile() else "-")
	END
	[ -s "$T/want" ]
	skopeo copy --quiet "docker-archive:$IMAGE" "oci:$T/layout:1" || skip "no skopeo"
	for image in "$IMAGE" "oci:$T/layout:1"; do
		"$DRAY" files --json --digest "$image" |
			jq -r '[.path, .type, .mode, .uid, .gid, .size, (.digest // "-" | ltrimstr("sha256:"))] | join(" ")' >"$T/have"
		diff -u "$T/want" "$T/have"
	done
	same "cat" "$("$DRAY" cat "$IMAGE" data/numbers | sha256sum)" "$(seq 1 2500000 | sha256sum)"
	dray_run cat "$IMAGE" data/noise1
	expect 3
	dray_piped "$IMAGE" files -
	expect 0
	same "lines from a pipe" "$(wc -l <<<"$output")" "$(wc -l <"$T/want")"
}

@test "cat from a registry fetches no layer below the answer" {
	local fetched
	make_image "$T/t.tar" gzip
	fakereg_start look
	"$DRAY" push -q "$T/t.tar" "$FAKEREG_ADDR/look:1"
	for want in "d/high 1" "etc/os-release 2" "opt/hl2 3" "d/low 1"; do
		fakereg_forget "$FAKEREG_ADDR"
		dray_run cat "$FAKEREG_ADDR/look:1" "${want% *}"
		[ "$status" -eq 0 ] || expect 3
		# The config is a blob too.
		fetched=$(fakereg_requests "$FAKEREG_ADDR" 'select(.kind == "blob" and .method == "GET") | .path' | sort -u | wc -l)
		same "layers fetched for ${want% *}" "$((fetched - 1))" "${want#* }"
	done
	fakereg_forget "$FAKEREG_ADDR"
	dray_run files --layer 1 "$FAKEREG_ADDR/look:1"
	expect 0
	fetched=$(fakereg_requests "$FAKEREG_ADDR" 'select(.kind == "blob" and .method == "GET") | .path' | sort -u | wc -l)
	same "layers fetched for --layer" "$((fetched - 1))" 1
	registry_start main plain
	"$DRAY" push -q "$T/t.tar" "$REGISTRY_ADDR/look:1"
	same "files of a registry" "$("$DRAY" files --json "$REGISTRY_ADDR/look:1")" "$("$DRAY" files --json "$T/t.tar")"
	same "blame of a registry" "$("$DRAY" blame --json "$REGISTRY_ADDR/look:1" opt/hard)" \
		"$("$DRAY" blame --json "$T/t.tar" opt/hard)"
}

@test "files and extract of one path fetch no layer below the answer from a registry, and say what a whole read says" {
	local fetched want reg
	make_image "$T/t.tar" gzip
	fakereg_start look
	reg=$FAKEREG_ADDR/look:1
	"$DRAY" push -q "$T/t.tar" "$reg"
	"$DRAY" files --json "$T/t.tar" >"$T/whole.json"
	# A file; links on the way; a link itself; hard links, for the sake of what they name; a folder that hides
	# what is below it, but not whose it is.
	for want in "d/high 1" "host 1" "etc/os-release 2" "bin 2" "opt/hl2 3" "opt/hard 3" "usr/lib/os-release 1" "d 3" "usr/bin 3"; do
		fakereg_forget "$FAKEREG_ADDR"
		"$DRAY" files --json "$reg" "${want% *}" >"$T/one.json"
		fetched=$(fakereg_requests "$FAKEREG_ADDR" 'select(.kind == "blob" and .method == "GET") | .path' | sort -u | wc -l)
		same "layers fetched for ${want% *}" "$((fetched - 1))" "${want#* }"
		# Among more names another one may be the first of a file.
		jq -c --arg p "${want% *}" 'select(.path == $p or (.path | startswith($p + "/"))) | del(.link, .type)' \
			"$T/whole.json" | diff - <(jq -c 'del(.link, .type)' "$T/one.json")
	done
	fakereg_forget "$FAKEREG_ADDR"
	dray_run files "$reg" opt/a/f
	expect 3
	fetched=$(fakereg_requests "$FAKEREG_ADDR" 'select(.kind == "blob" and .method == "GET") | .path' | sort -u | wc -l)
	same "layers fetched for what the top one took away" "$((fetched - 1))" 1
	# A folder that was replaced, with a hard link to what lies outside it.
	mkdir -p "$T/in/usr" "$T/in/d/sub" && echo new >"$T/in/usr/new" && touch "$T/in/.wh.usr" "$T/in/d/.wh..wh..opq"
	echo high >"$T/in/d/sub/f" && chmod 700 "$T/in/d"
	tar -C "$T/in" --no-recursion -cf "$T/more.tar" .wh.usr usr usr/new d d/.wh..wh..opq d/sub d/sub/f
	"$DRAY" append -q "$T/t.tar" "$T/more.tar" -o "$T/more-image.tar"
	"$DRAY" push -q "$T/more-image.tar" "$reg"
	for path in usr d; do
		fakereg_forget "$FAKEREG_ADDR"
		dray_run files --json "$reg" "$path"
		expect 0
		fetched=$(fakereg_requests "$FAKEREG_ADDR" 'select(.kind == "blob" and .method == "GET") | .path' | sort -u | wc -l)
		same "layers fetched for $path" "$((fetched - 1))" 1
		same "$path" "$output" "$("$DRAY" files --json "$T/more-image.tar" "$path")"
		fakereg_forget "$FAKEREG_ADDR"
		dray_run extract "$reg" "$path" "$T/out"
		expect 0
		fetched=$(fakereg_requests "$FAKEREG_ADDR" 'select(.kind == "blob" and .method == "GET") | .path' | sort -u | wc -l)
		same "layers fetched to extract $path" "$((fetched - 1))" 1
		"$DRAY" extract -q "$T/more-image.tar" "$path" "$T/all"
	done
	diff -r "$T/out" "$T/all"
	same "what is in it" "$(cd "$T/out" && find . -type f | sort | xargs)" "./d/sub/f ./usr/new"
}

@test "files and extract of a path in a registry agree with those of all layers, for random stacks" {
	fakereg_start look
	PYTHONDONTWRITEBYTECODE=1 python3 - "${DRAY_PLAIN:-$DRAY}" "$PEERS_TOP/tests/layers" "$T" "$FAKEREG_ADDR" <<-'END'
		import base64, json, os, random, shutil, subprocess, sys, urllib.request
		dray, layers, work, addr = sys.argv[1:]
		sys.path.insert(0, layers)
		from stacks import Maker, scan, write_layer, write_layout

		http = urllib.request.build_opener(urllib.request.ProxyHandler({}))
		image = addr + "/random:1"

		def run(*args):
		    r = subprocess.run([dray, *args], capture_output=True)
		    assert r.returncode == 0, (args, r.stderr)
		    return r.stdout

		def raw(f):
		    return base64.b64decode(f["path_bytes"]) if "path_bytes" in f else os.fsencode(f["path"])

		def listed(out):
		    return [json.loads(line) for line in out.splitlines()]

		def counted(*args):
		    """What it prints, and how many layers it fetched."""
		    http.open(urllib.request.Request("http://" + addr + "/_log", method="DELETE")).read()
		    out = run(*args)
		    log = [json.loads(line) for line in http.open("http://" + addr + "/_log")]
		    return out, len({e["path"] for e in log if e["kind"] == "blob" and e["method"] == "GET"}) - 1

		less = {"dir": 0, "file": 0}
		for seed in range(20):
		    tars = [write_layer(s) for s in Maker(7000 + seed, False).stack()]
		    if len(set(tars)) < 2:
		        continue
		    shutil.rmtree(work + "/oci", ignore_errors=True)
		    write_layout(work + "/oci", tars)
		    run("copy", "-q", "oci:" + work + "/oci", image)
		    whole = listed(run("files", "--json", "--digest", image))
		    rng = random.Random(seed)
		    some = rng.sample([f for f in whole if f["type"] == "dir"], min(5, sum(f["type"] == "dir" for f in whole)))
		    some += rng.sample(whole, min(3, len(whole)))
		    for f in some:
		        path, firsts = raw(f), {}
		        want = []
		        for g in whole:
		            if raw(g) != path and not raw(g).startswith(path + b"/"):
		                continue
		            # The first of the names that are told is the file.
		            file = g["link"] if g["type"] == "hardlink" else g["path"]
		            first = firsts.setdefault(file, g["path"])
		            g = {k: v for k, v in g.items() if k not in ("type", "link", "link_bytes")}
		            want.append((g, first != g["path"]))
		        out, fetched = counted("files", "--json", "--digest", image, path)
		        got = [({k: v for k, v in g.items() if k not in ("type", "link", "link_bytes")}, g["type"] == "hardlink")
		               for g in listed(out)]
		        assert got == want, (seed, path, got, want)
		        less["dir" if f["type"] == "dir" else "file"] += fetched < len(set(tars))
		    for f in some[:2]:
		        for place, to in ((image, "/some"), ("oci:" + work + "/oci", "/all")):
		            shutil.rmtree(work + to, ignore_errors=True)
		            run("extract", "-q", place, raw(f), work + to)
		        assert scan(work + "/some") == scan(work + "/all"), (seed, f)
		assert less["dir"] > 3 and less["file"] > 6, less
	END
}

@test "cat, which asks layers one by one, agrees with the merged tree, for random stacks" {
	python3 - "$DRAY" "$T" <<-'END'
		import hashlib, io, json, random, subprocess, sys, tarfile

		dray, folder = sys.argv[1:]
		rng = random.Random(20261121)
		NAMES = ["a", "b", "c"]

		def path():
		    return "/".join(rng.choice(NAMES) for _ in range(rng.randint(1, 3)))

		def add(tar, name, kind, link="", data=b""):
		    i = tarfile.TarInfo(name)
		    i.type, i.linkname, i.size = kind, link, len(data)
		    i.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
		    tar.addfile(i, io.BytesIO(data))

		def layer(files):
		    out = io.BytesIO()
		    with tarfile.open(fileobj=out, mode="w") as tar:
		        for _ in range(rng.randint(1, 7)):
		            what, name = rng.randrange(8), path()
		            where, _, last = name.rpartition("/")
		            below = where + "/" if where else ""
		            if what < 3:
		                add(tar, name, tarfile.REGTYPE, data=b"%d" % rng.randrange(10**6))
		            elif what == 3:
		                add(tar, name, tarfile.DIRTYPE)
		            elif what == 4:
		                add(tar, below + ".wh." + last, tarfile.REGTYPE)
		            elif what == 5:
		                add(tar, below + ".wh..wh..opq", tarfile.REGTYPE)
		            elif what == 6:
		                add(tar, name, tarfile.SYMTYPE, rng.choice(["", "../", "/"]) + path())
		            elif files:
		                add(tar, name, tarfile.LNKTYPE, rng.choice(files))
		    return out.getvalue()

		def write(layers):
		    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers",
		        "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]}}).encode()
		    members = {hashlib.sha256(config).hexdigest() + ".json": config}
		    members.update({f"{i}/layer.tar": l for i, l in enumerate(layers)})
		    manifest = [{"Config": next(iter(members)), "RepoTags": ["test/r:1"], "Layers": list(members)[1:]}]
		    members["manifest.json"] = json.dumps(manifest).encode()
		    with tarfile.open(folder + "/r.tar", "w") as out:
		        for name, data in members.items():
		            add(out, name, tarfile.REGTYPE, data=data)

		def tree():
		    r = subprocess.run([dray, "files", "--json", "--digest", folder + "/r.tar"], capture_output=True)
		    if r.returncode:
		        assert r.returncode == 6 and b"hard link" in r.stderr, r.stderr
		        return None
		    return {f["path"]: f for f in map(json.loads, r.stdout.splitlines())}

		def cat(name):
		    r = subprocess.run([dray, "cat", folder + "/r.tar", name], capture_output=True)
		    return r.returncode, "sha256:" + hashlib.sha256(r.stdout).hexdigest()

		def resolve(files, name, hops=0):
		    """What the merged tree has there, links followed; None = nothing."""
		    at, rest = [], [p for p in name.split("/") if p]
		    while rest:
		        part = rest.pop(0)
		        if part == "..":
		            at = at[:-1]
		            continue
		        f = files.get("/".join(at + [part]))
		        if f and f["type"] == "hardlink":
		            f = files[f["link"]]
		        if not f or (rest and f["type"] == "file"):
		            return None
		        if f["type"] == "symlink":
		            hops += 1
		            if hops > 40:
		                return None
		            if f["link"].startswith("/"):
		                at = []
		            rest = [p for p in f["link"].split("/") if p] + rest
		            continue
		        at.append(part)
		    f = files.get("/".join(at), {"type": "dir"})
		    return files[f["link"]] if f["type"] == "hardlink" else f

		layers, seen, refused, checked = [], 0, 0, 0
		while seen < 60:
		    layers = layers if 0 < len(layers) < 5 else []
		    known = []
		    if layers:
		        write(layers)
		        known = [p for p, f in tree().items() if f["type"] != "dir"]
		    write(layers + [layer(known)])
		    new = tree()
		    if new is None:
		        refused += 1
		        continue
		    seen += 1
		    with tarfile.open(folder + "/r.tar") as t:
		        layers = [t.extractfile(m).read() for m in t if m.name.endswith("layer.tar")]
		    for name in {path() for _ in range(6)} | set(rng.sample(sorted(new), min(4, len(new)))):
		        want = resolve(new, name)
		        status, digest = cat(name)
		        checked += 1
		        expected = 3 if want is None else 2 if want["type"] == "dir" else 0
		        assert status == expected, (name, status, want, sorted(new))
		        assert status or digest == want["digest"], (name, want)
		assert checked > 300 and refused < 200, (checked, refused)
	END
}

# decoded_twice WANT: do export and flatten of the layout say that of its biggest layer? Its bytes are those of the pipe.
decoded_twice() {
	dray_run export -v "oci:$T/oci:1" -o "$T/file.tar"
	expect 0 || return 1
	same "decoded twice" "$(grep -c "is decoded twice" <<<"$stderr")" "$1" || return 1
	"$DRAY" export "oci:$T/oci:1" | cat >"$T/pipe.tar"
	cmp "$T/file.tar" "$T/pipe.tar" || return 1
	# Standard output that is a file: from where it stands.
	(echo before && "$DRAY" export -v "oci:$T/oci:1" && echo behind) >"$T/out.tar" 2>"$T/log"
	same "to standard output, decoded twice" "$(grep -c "is decoded twice" "$T/log")" "$1" || return 1
	cmp "$T/out.tar" <(echo before && cat "$T/pipe.tar" && echo behind) || return 1
	rm -rf "$T/flat"
	dray_run flatten -v "oci:$T/oci:1" -o "oci:$T/flat:1" --compression none
	expect 0 || return 1
	[[ $stderr == *"(the same files)"* ]] || return 1
	same "flatten, decoded twice" "$(grep -c "is decoded twice" <<<"$stderr")" "$1" || return 1
	same "the layer" "$("$DRAY" inspect --raw "oci:$T/flat:1" | jq -r '.layers[0].digest')" \
		"sha256:$(sha256sum <"$T/pipe.tar" | cut -d' ' -f1)" || return 1
	same "blobs" "$(find "$T/flat/blobs" -type f | wc -l)" 3
}

@test "export and flatten into files: the biggest layer is decoded once, or the bytes are the same all the same" {
	# An engine's order, with another layer that hides, replaces and adds.
	mkdir -p "$T/tree/etc" "$T/tree/usr/lib" "$T/top/etc" "$T/top/var"
	head -c 3000000 /dev/urandom >"$T/tree/usr/lib/big"
	for i in {100..400}; do echo "$i" >"$T/tree/etc/$i"; done
	ln "$T/tree/etc/100" "$T/tree/etc/hard"
	cp "$T/tree/etc/200" "$T/top/etc/200" && echo more >>"$T/top/etc/200"
	echo v >"$T/top/var/v" && touch "$T/top/etc/.wh.300"
	tar -C "$T/tree" --sort=name -cf "$T/base.tar" .
	tar -C "$T/top" --sort=name -cf "$T/top.tar" .
	"$DRAY" build -q --from scratch --tar "$T/base.tar" -o "oci:$T/oci:1"
	"$DRAY" append -q "oci:$T/oci:1" "$T/top.tar" -o "oci:$T/oci:1"
	decoded_twice 0
	[ "$(tar tf "$T/file.tar" | grep -c 'etc/300')" -eq 0 ]
	# The same with its folders at the end, and a large file before them.
	rm -rf "$T/oci" "$T/top/etc/.wh.300"
	tar -C "$T/tree" -cf "$T/late.tar" ./usr/lib/big ./etc
	"$DRAY" build -q --from scratch --dir "$T/top" -o "oci:$T/oci:1"
	"$DRAY" append -q "oci:$T/oci:1" "$T/late.tar" -o "oci:$T/oci:1"
	decoded_twice 1
	# To what is no regular file nothing is written twice.
	mkfifo "$T/fifo"
	cat "$T/fifo" >"$T/through.tar" &
	"$DRAY" export -q "oci:$T/oci:1" -o "$T/fifo"
	wait
	cmp "$T/through.tar" "$T/pipe.tar"
	# A sparse file, whose content is not what is stored.
	rm -rf "$T/oci"
	truncate -s 2M "$T/tree/usr/lib/sparse" && echo end >>"$T/tree/usr/lib/sparse"
	tar -C "$T/tree" --sort=name -S -cf "$T/sparse.tar" .
	"$DRAY" build -q --from scratch --dir "$T/top" -o "oci:$T/oci:1"
	"$DRAY" append -q "oci:$T/oci:1" "$T/sparse.tar" -o "oci:$T/oci:1"
	dray_run flatten -v "oci:$T/oci:1" -o "oci:$T/sparse:1" --compression none
	expect 0
	[[ $stderr == *"is decoded twice"*"(the same files)"* ]]
	"$DRAY" cat "oci:$T/sparse:1" /usr/lib/sparse | cmp - "$T/tree/usr/lib/sparse"
}

@test "flatten of a layer that is damaged or that no disk has room for: told as ever, and nothing is left" {
	local blob dst want
	mkdir -p "$T/tree"
	head -c 3000000 /dev/urandom >"$T/tree/big"
	echo top >"$T/top"
	"$DRAY" build -q --from scratch --dir "$T/tree" -o "oci:$T/oci:1"
	tar -C "$T" -cf "$T/top.tar" top
	"$DRAY" append -q "oci:$T/oci:1" "$T/top.tar" -o "oci:$T/oci:1"
	mkdir "$T/full"
	if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=1m none "$T/full"; then
		dray_run flatten "oci:$T/oci:1" -o "oci:$T/full/flat:1" --compression none
		same "left" "$(find "$T/full" -type f)" ""
		umount "$T/full"
		expect 9 "*new-layer-1.tar*No space left on device*"
	fi
	blob=$(find "$T/oci/blobs" -size +1000k)
	printf x | dd of="$blob" bs=1 seek=2000000 conv=notrunc status=none
	for dst in "oci:$T/flat:1" "docker-archive:$T/flat.tar:a:1"; do
		dray_run flatten "oci:$T/oci:1" -o "$dst"
		expect 6 "dray: flatten: $T/oci sha256:* (1): layer 1 of 2: blob digest differs *"
		want=${want:-$stderr}
		same "the same words" "$stderr" "$want"
		[ ! -e "$T/flat" ] || [ -z "$(find "$T/flat" -type f)" ]
		[ ! -e "$T/flat.tar" ]
	done
}
