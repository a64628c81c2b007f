#!/usr/bin/env bats
# diff: what differs between two images, as builds of a real engine and hostile archives have it.

load lib

setup() {
	verbs_setup
	T=$BATS_TEST_TMPDIR
}
teardown() { peers_teardown; }

# differ STATUS A B [OPTION...]: sets DOC; the document is whole and says what the status says.
differ() {
	local want=$1
	shift
	dray_run diff --json "$@"
	expect "$want" || return 1
	DOC=$output
	python3 -m json.tool <<<"$DOC" >/dev/null || return 1
	jq -e --argjson same "$([ "$want" -eq 0 ] && echo true || echo false)" '
		.schema == 1 and .same == $same and (.same_image_id | type == "boolean") and
		.same == (.config + .layers + .packages + .files == []) and
		all(.config[]; (.path | startswith("/")) and has("a") and has("b")) and
		all(.layers[]; .change | IN("added", "removed", "different")) and
		all(.files[]; (.change | IN("added", "removed", "changed")) and (.what | type == "array") and
			(.change == "changed") == (.what != []) and (.a == null) == (.change == "added") and
			(.b == null) == (.change == "removed")) and
		(.files | map(select(.change == "added")) | length) == .file_counts.added and
		(.files | map(select(.change == "removed")) | length) == .file_counts.removed and
		(.files | map(select(.change == "changed")) | length) == .file_counts.changed' <<<"$DOC" >/dev/null || {
		printf '%s\n' "$DOC"
		return 1
	}
}

# said JQ WANT: of DOC.
said() { same "$1" "$(jq -c "$1" <<<"$DOC")" "$2"; }

# make_image FILE PYTHON: an archive of the layers that PYTHON lists: lists of (name, kind, what[, pax]); it may change
# `config` too.
make_image() {
	python3 - "$@" <<-'END'
		import hashlib, io, json, sys, tarfile

		TYPES = {"d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "c": tarfile.CHRTYPE}

		def layer(entries):
		    out = io.BytesIO()
		    tar = tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape")
		    for name, kind, what, *pax in entries:
		        i = tarfile.TarInfo(name)
		        i.mtime, i.mode = 1700000000, 0o755 if kind == "d" else 0o644
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

		scope = {"layers": [], "config": {"architecture": "amd64", "os": "linux", "config": {}}}
		exec(sys.argv[2], scope)
		layers = [layer(l) for l in scope["layers"]]
		config = scope["config"]
		config["rootfs"] = {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]}
		config = json.dumps(config).encode()
		name = hashlib.sha256(config).hexdigest() + ".json"
		members = {name: config}
		members.update({f"{i}/layer.tar": data for i, data in enumerate(layers)})
		members["manifest.json"] = json.dumps([{"Config": name, "RepoTags": ["test/diff:1"],
		                                        "Layers": [f"{i}/layer.tar" for i in range(len(layers))]}]).encode()
		with tarfile.open(sys.argv[1], "w") as out:
		    for member, data in members.items():
		        i = tarfile.TarInfo(member)
		        i.size = len(data)
		        out.addfile(i, io.BytesIO(data))
	END
}

# built NAME: the Dockerfile on stdin, built anew by the engine and saved to $T/NAME.tar.
built() {
	image_context || return 1
	mkdir "$CONTEXT/tree"
	printf 'x\n' >"$CONTEXT/tree/x"
	touch -d @1700000000 "$CONTEXT"/tree "$CONTEXT"/tree/x
	cat >"$CONTEXT/Dockerfile"
	docker build --quiet --no-cache --network none --tag "test/$1:1" "$CONTEXT" || return 1
	rm -rf "$CONTEXT"
	docker save -o "$T/$1.tar" "test/$1:1"
	docker rmi "test/$1:1" >/dev/null
}

@test "diff: the same image in an archive, a layout, a registry, a pipe and the engine" {
	require_docker && require_peer skopeo
	registry_start main plain
	image_need sym
	"$DRAY" -q copy "$IMAGE" "oci:$T/layout:1"
	skopeo copy --quiet --dest-tls-verify=false "docker-archive:$IMAGE" "docker://$REGISTRY_ADDR/diff/sym:1"
	for other in "$IMAGE" "oci:$T/layout:1" "docker://$REGISTRY_ADDR/diff/sym:1" docker-daemon:test/sym:1; do
		for options in "" --semantic "--only files" "--only config,layers"; do
			# shellcheck disable=SC2086
			differ 0 "$IMAGE" "$other" $options
		done
	done
	# skopeo drops Docker's own members when it makes an OCI image.
	skopeo copy --quiet "docker-archive:$IMAGE" "oci:$T/skopeo:1"
	differ 1 "$IMAGE" "oci:$T/skopeo:1"
	said '[.layers, .files, ([.config[].change] | unique)]' '[[],[],["removed"]]'
	differ 0 "$IMAGE" "oci:$T/skopeo:1" --semantic
	dray_piped "$IMAGE" diff - "oci:$T/layout:1"
	expect 0
	[[ $output == "no difference"* ]]
	dray_run diff - -
	expect 2
}

@test "diff: one build with a change of each kind" {
	require_docker
	image_need sym
	local tools="ln() { busybox ln \$*; }; mkdir() { busybox mkdir \$*; }; touch() { busybox touch -h -d @16000000\$*; }"
	local one="echo 1 >hard1; ln hard1 hard2; echo 1 >was-file; echo 1 >gone; mkdir gone-dir; echo 1 >gone-dir/f; touch 00 *"
	local two="busybox chmod 4755 mode; busybox chown 7:8 owner; echo 1 >hard1; echo 1 >hard2; mkdir was-file"
	two="$two; echo 1 >was-file/in; echo 1 >came; touch 00 *; touch 01 x"
	built one <<-EOF_DOCKERFILE
		FROM test/sym:1
		ENV KEEP=1 CHANGE=old
		LABEL gone=1
		COPY tree /t
		RUN ["busybox", "sh", "-ec", "cd /t; $tools; echo old >content; echo 1 >mode; echo 1 >owner; ln -s x link; $one"]
	EOF_DOCKERFILE
	built two <<-EOF_DOCKERFILE
		FROM test/sym:1
		ENV KEEP=1 CHANGE=new
		EXPOSE 80
		COPY tree /t
		RUN ["busybox", "sh", "-ec", "cd /t; $tools; echo newer >content; echo 1 >mode; echo 1 >owner; ln -s y link; $two"]
	EOF_DOCKERFILE
	differ 1 "$T/one.tar" "$T/two.tar"
	said '[.files[] | select(.path | startswith("t/")) | [.path, .change] + .what]' "$(jq -nc '[
		["t/came","added"], ["t/content","changed","content","size"], ["t/gone","removed"], ["t/gone-dir","removed"],
		["t/gone-dir/f","removed"], ["t/hard2","changed","hardlink"], ["t/link","changed","link"],
		["t/mode","changed","mode"], ["t/owner","changed","owner"], ["t/was-file","changed","type","mode"],
		["t/was-file/in","added"], ["t/x","changed","mtime"]]')"
	said '[.files[] | select(.path == "t/mode") | .a.mode, .b.mode]' '["0644","4755"]'
	said '[.files[] | select(.path == "t/owner") | .b.uid, .b.gid]' '[7,8]'
	said '[.files[] | select(.path == "t/link") | .a.link, .b.link]' '["x","y"]'
	said '[.files[] | select(.path == "t/content") | .a.size, .b.size]' '[4,6]'
	said '.files[] | select(.path == "t/content") | .b.digest' "\"sha256:$(printf 'newer\n' | sha256sum | cut -d ' ' -f 1)\""
	said '[.config[] | select(.path | startswith("/config/Labels")) | [.path, .change]]' '[["/config/Labels/gone","removed"]]'
	said '[.config[] | select(.path | startswith("/config/Exp")) | [.path, .b]]' '[["/config/ExposedPorts/80~1tcp",{}]]'
	said '.config[] | select(.path == "/config/Env") | (.a - .b) + (.b - .a)' '["CHANGE=old","CHANGE=new"]'
	said '[.layers[].change] | unique' '["different"]'
	[ "$(jq .layers_same <<<"$DOC")" -ge 3 ]
	# What people see.
	dray_run diff "$T/one.tar" "$T/two.tar"
	expect 1
	for line in '  ~ /config/Env' '    - "CHANGE=old"' '    + "CHANGE=new"' '  - t/gone-dir/' '  - t/gone-dir/f' \
		'  ~ t/mode: mode 0644 -> 4755' '  ~ t/link: link x -> y' '  ~ t/owner: owner 0/0 -> 7/8' \
		'  ~ t/content: content, size 4 -> 6' '  ~ t/hard2: hardlink'; do
		grep -qxF -- "$line" <<<"$output" || {
			printf 'no line %s in\n%s\n' "$line" "$output"
			return 1
		}
	done
	# Parts, and paths that do not count.
	differ 1 "$T/one.tar" "$T/two.tar" --only files --ignore '/t/gone*' --ignore t/was-file --ignore '*/hard?'
	said '.config + .layers' '[]'
	said '[.files[].path | select(startswith("t/"))]' '["t/came","t/content","t/link","t/mode","t/owner","t/x"]'
	differ 0 "$T/one.tar" "$T/two.tar" --only files --ignore '*'
	differ 1 "$T/one.tar" "$T/two.tar" --only config,layers
	said '.files' '[]'
	dray_run diff --only config,wrong "$T/one.tar" "$T/two.tar"
	expect 2 "*--only*"
}

@test "diff: built again a differs in times; --semantic does not see them" {
	require_docker
	image_need sym
	for name in first second; do
		built "$name" <<-EOF_DOCKERFILE
			FROM test/sym:1
			COPY tree /t
			RUN ["busybox", "sh", "-ec", "busybox mkdir -p /made/by/run; echo 1 >/made/by/run/f; busybox rm /a"]
			USER 7
		EOF_DOCKERFILE
		[ "$name" = second ] || sleep 1.1
	done
	differ 1 "$T/first.tar" "$T/second.tar"
	said '[.files[].what[]] | unique' '["mtime"]'
	said '.file_counts.only_times == .file_counts.changed' true
	said '[.config[].path] | contains(["/created"])' true
	differ 0 "$T/first.tar" "$T/second.tar" --semantic
	# Cut otherwise it is the same.
	"$DRAY" -q flatten "$T/first.tar" -o "$T/flat.tar"
	differ 0 "$T/flat.tar" "$T/second.tar" --semantic
	# But not what a change would do.
	built third <<-EOF_DOCKERFILE
		FROM test/sym:1
		COPY tree /t
		RUN ["busybox", "sh", "-ec", "busybox mkdir -p /made/by/run; echo 2 >/made/by/run/f; busybox rm /a"]
		USER 8
	EOF_DOCKERFILE
	differ 1 "$T/first.tar" "$T/third.tar" --semantic
	said '[.config[] | [.path, .a, .b]]' '[["/config/User","7","8"]]'
	said '[.files[] | [.path] + .what]' '[["made/by/run/f","content"]]'
}

@test "diff: packages of dpkg and apk" {
	status() { printf 'Package: %s\\nStatus: install ok installed\\nArchitecture: amd64\\nVersion: %s\\n\\n' "$@"; }
	apk() { printf 'P:%s\\nV:%s\\nA:x86_64\\n\\n' "$@"; }
	make_image "$T/a.tar" "layers.append([('var/lib/dpkg/status', 'f', b'$(status curl 7.88 libc6 2.36-9 gone 1)'),
		('lib/apk/db/installed', 'f', b'$(apk musl 1.2.4-r0)')])"
	make_image "$T/b.tar" "layers.append([('var/lib/dpkg/status', 'f', b'$(status curl 7.88 libc6 2.36-10 new 2)'),
		('lib/apk/db/installed', 'f', b'$(apk musl 1.2.5-r0)')])"
	differ 1 "$T/a.tar" "$T/b.tar" --only packages
	said '[.packages[] | [.manager, .name, .arch, .change, .a, .b]]' "$(jq -nc '[
		["apk","musl","x86_64","changed","1.2.4-r0","1.2.5-r0"], ["dpkg","gone","amd64","removed","1",null],
		["dpkg","libc6","amd64","changed","2.36-9","2.36-10"], ["dpkg","new","amd64","added",null,"2"]]')"
	dray_run diff --semantic "$T/a.tar" "$T/b.tar"
	expect 1
	grep -qxF '  ~ dpkg libc6:amd64 2.36-9 -> 2.36-10' <<<"$output"
	grep -qxF 'packages: 1 added, 1 removed, 2 changed' <<<"$output"
	# A database that is none: the rest is told, unless packages were asked for.
	make_image "$T/bad.tar" "layers.append([('var/lib/rpm/rpmdb.sqlite', 'f', b'no database')])"
	differ 1 "$T/a.tar" "$T/bad.tar"
	# shellcheck disable=SC2154
	[[ $stderr == *"packages are not compared"* ]]
	said '.packages' '[]'
	dray_run diff --only packages "$T/a.tar" "$T/bad.tar"
	expect 6 "*rpmdb.sqlite*"
}

@test "diff: names and texts that are not text (O-01)" {
	make_image "$T/a.tar" 'layers.append([("e\udcff\x1b[31m", "f", b"1"), ("l", "l", "\x1b]0;x\x07"), ("x", "f", b"",
		{"SCHILY.xattr.user.a": "1"})]); config["config"]["Labels"] = {"a/b\x1b[2J": "\u202e1"}
config["history"] = [{"created_by": "one \x1b[31m"}]'
	make_image "$T/b.tar" 'layers.append([("e\udcff\x1b[31m", "f", b"22"), ("l", "l", "y"), ("x", "f", b"",
		{"SCHILY.xattr.user.a": "2"}), ("n\nl", "d", "")]); config["config"]["Labels"] = {"a/b\x1b[2J": "2"}
config["history"] = [{"created_by": "two \x07"}]'
	differ 1 "$T/a.tar" "$T/b.tar"
	said '[.files[] | [.path] + .what]' "$(jq -nc '[["e%FF\u001b[31m","content","size"],["l","link"],["n\nl"],["x","xattrs"]]')"
	same "path_bytes" "$(jq -r '.files[0].path_bytes' <<<"$DOC" | base64 -d | od -An -tx1)" " 65 ff 1b 5b 33 31 6d"
	said '.files[3].b.xattrs' '{"user.a":"2"}'
	said '[.config[].path] | sort' "$(jq -nc '["/config/Labels/a~1b\u001b[2J","/history/0/created_by"]')"
	for options in "" --json; do
		# shellcheck disable=SC2086
		dray_run diff $options "$T/a.tar" "$T/b.tar"
		if LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]' <<<"$output" || grep -q $'\u202e' <<<"$output"; then
			printf '%s\n' "$output" | od -c | head -50
			return 1
		fi
	done
	dray_run diff "$T/a.tar" "$T/b.tar"
	same "lines" "$(grep -c '^  [-+~] ' <<<"$output")" 8
}

@test "diff: images of two platforms" {
	make_image "$T/amd.tar" 'layers.append([("bin/x", "f", b"\x7fELF 1")])'
	make_image "$T/arm.tar" 'layers.append([("bin/x", "f", b"\x7fELF 2")]); config["architecture"] = "arm64"
config["variant"] = "v8"'
	differ 1 "$T/amd.tar" "$T/arm.tar" --semantic
	said '[.config[] | [.path, .a, .b]]' '[["/architecture","amd64","arm64"],["/variant",null,"v8"]]'
	said '[.files[] | [.path] + .what]' '[["bin/x","content"]]'
}

@test "diff: a device, a sparse file as it is read, and a root that is described" {
	require_peer tar
	make_image "$T/a.tar" 'layers.append([("./", "d", ""), ("null", "c", (1, 3))])'
	make_image "$T/b.tar" 'layers.append([("null", "c", (1, 5))])'
	differ 1 "$T/a.tar" "$T/b.tar"
	said '[.files[] | [.path] + .what]' '[[".","mtime"],["null","device"]]'
	said '.files[1].b | [.major, .minor]' '[1,5]'
	# The same bytes with and without holes.
	truncate -s 1M "$T/holes"
	printf data | dd of="$T/holes" bs=1 seek=500000 conv=notrunc status=none
	tar -C "$T" -cf "$T/plain.layer" --mtime=@0 holes
	tar -C "$T" -cf "$T/sparse.layer" --mtime=@0 --sparse holes
	[ "$(stat -c %s "$T/sparse.layer")" -lt 100000 ]
	for name in plain sparse; do
		python3 - "$T/$name.tar" "$T/$name.layer" <<-'END'
			import hashlib, io, json, sys, tarfile
			layer = open(sys.argv[2], "rb").read()
			config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers",
			    "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
			manifest = json.dumps([{"Config": "c.json", "RepoTags": None, "Layers": ["l.tar"]}]).encode()
			with tarfile.open(sys.argv[1], "w") as out:
			    for name, data in ("c.json", config), ("l.tar", layer), ("manifest.json", manifest):
			        i = tarfile.TarInfo(name)
			        i.size = len(data)
			        out.addfile(i, io.BytesIO(data))
		END
	done
	differ 1 "$T/plain.tar" "$T/sparse.tar"
	said '[.files, [.layers[].change]]' '[[],["different"]]'
	differ 0 "$T/plain.tar" "$T/sparse.tar" --only files
}

@test "diff: what can't be compared has its own exit status" {
	make_image "$T/a.tar" 'layers.append([("x", "f", b"1")])'
	make_image "$T/b.tar" 'layers.append([("x", "f", b"2")])'
	dray_run diff "$T/a.tar" "$T/none.tar"
	expect 3 "dray: diff: *none.tar*"
	dray_run diff "$T/a.tar"
	expect 2
	dray_run diff --ignore 'a[' "$T/a.tar" "$T/b.tar"
	expect 2 "*--ignore*"
	dray_run diff --semantic --only layers "$T/a.tar" "$T/b.tar"
	expect 2
	archive_flip "$T/b.tar" "$T/flip.tar" 512
	dray_run diff --json "$T/a.tar" "$T/flip.tar"
	expect 6
	same "code" "$(jq -r .error.code <<<"$output")" integrity
	dray_run diff "$T/a.tar" "$T/flip.tar" -o "$T/out"
	expect 6
	[ ! -e "$T/out" ]
	dray_run diff "$T/a.tar" "$T/b.tar" -o "$T/out"
	expect 1
	grep -q 'x: content' "$T/out"
	# The config alone needs no layer.
	differ 0 "$T/a.tar" "$T/flip.tar" --only config
	printf 'text' >"$T/text"
	dray_run diff "$T/a.tar" "$T/text"
	expect 6
}

@test "diff: a hundred thousand differences leave as they are found" {
	make_image "$T/a.tar" 'layers.append([(f"d{i % 100}/file-with-a-longer-name-{i}", "f", b"") for i in range(100000)])'
	make_image "$T/b.tar" 'layers.append([("x", "f", b"")])'
	differ 1 "$T/a.tar" "$T/b.tar"
	said '[.file_counts.removed, .file_counts.added, (.files | length)]' '[100100,1,100101]'
	if ! dray_sanitized; then
		dray_peak /dev/null diff --json "$T/a.tar" "$T/b.tar"
		expect 1
		[ "$PEAK_KIB" -lt 81920 ]
	fi
	run bash -c '"$1" diff "$2" "$3" | head -n 3' - "$DRAY" "$T/a.tar" "$T/b.tar"
	[ "$status" -eq 0 ]
}

@test "diff: agrees with another author's comparison of random stacks" {
	require_peer tar
	run python3 "$PEERS_TOP/tests/layers/diff.py" "$DRAY" --count 60
	[ "$status" -eq 0 ] || {
		printf '%s\n' "$output"
		return 1
	}
}

@test "a config that names no DiffIDs: layers are the same when their bytes are" {
	mute_archive "$T/ab.tar" a b
	mute_archive "$T/ac.tar" a c
	differ 0 "$T/ab.tar" "$T/ab.tar"
	differ 1 "$T/ab.tar" "$T/ac.tar"
	same "layers" "$(jq -c '[.layers[] | .change, .a.index]' <<<"$DOC")" '["different",1]'
	same "DiffID" "$(jq -r '.layers[0].b.diff_id' <<<"$DOC")" "sha256:$(tar -xOf "$T/ac.tar" c/layer.tar | sha256sum | cut -d' ' -f1)"
}
