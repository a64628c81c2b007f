#!/usr/bin/env bats
# Layers of Windows images: seen as they are, merged by the same rules, and their records never lost.

load lib

setup() {
	verbs_setup
	T=$BATS_TEST_TMPDIR
}
teardown() { peers_teardown; }

# windows_image DIR: an OCI layout as Windows builds one: drive, hives and utility VM below, a change above.
windows_image() {
	python3 - "$1" <<-'END'
		import hashlib, io, json, os, sys, tarfile

		out = sys.argv[1]
		RECORDS = {"LIBARCHIVE.creationtime": "1600000000.25", "MSWINDOWS.fileattr": "32", "MSWINDOWS.rawsd": "AQAEgBQ="}

		def layer(*entries):
		    f = io.BytesIO()
		    tar = tarfile.open(fileobj=f, mode="w", format=tarfile.PAX_FORMAT)
		    for name, kind, what, *more in entries:
		        i = tarfile.TarInfo(name)
		        i.mtime, i.mode = 1700000000, 0
		        i.pax_headers = dict(RECORDS, **(more[0] if more else {}))
		        data = b""
		        if kind == "d":
		            i.type = tarfile.DIRTYPE
		            i.pax_headers["MSWINDOWS.fileattr"] = "16"
		        elif kind == "f":
		            data, i.size = what, len(what)
		        elif kind == "w":
		            i.pax_headers = {}
		        else:
		            i.type, i.linkname = tarfile.SYMTYPE if kind == "l" else tarfile.LNKTYPE, what
		            i.pax_headers = i.pax_headers if kind == "l" else {}
		        tar.addfile(i, io.BytesIO(data))
		    tar.close()
		    return f.getvalue()

		layers = [
		    layer(("Files", "d", 0), ("Files/License.txt", "f", b"terms\r\n"), ("Files/License.txt:note", "f", b"ads"),
		          ("Files/Windows", "d", 0), ("Files/Windows/System32", "d", 0),
		          ("Files/Windows/System32/perfc009.dat", "f", b"perf"),
		          ("Files/Windows/System32/perfd009.dat", "h", "Files/Windows/System32/perfc009.dat"),
		          ("Files/Documents and Settings", "l", "C:\\Users", {"MSWINDOWS.mountpoint": "1", "MSWINDOWS.fileattr": "9238"}),
		          ("Hives", "d", 0), ("Hives/System_Base", "f", b"regf base"),
		          ("UtilityVM", "d", 0), ("UtilityVM/Files", "d", 0), ("UtilityVM/Files/License.txt", "h", "Files/License.txt")),
		    layer(("Files", "d", 0), ("Files/.wh.License.txt", "w", 0), ("Files/app", "d", 0),
		          ("Files/app/app.exe", "f", b"MZ"), ("Files/Windows/System32/.wh.perfc009.dat", "w", 0),
		          ("Hives", "d", 0), ("Hives/System_Delta", "f", b"regf delta")),
		]
		os.makedirs(out + "/blobs/sha256")

		def blob(data, keep=True):
		    h = hashlib.sha256(data).hexdigest()
		    if keep:
		        open(out + "/blobs/sha256/" + h, "wb").write(data)
		    return {"digest": "sha256:" + h, "size": len(data)}

		def image(tag, layers, kept, media):
		    config = {"architecture": "amd64", "os": "windows", "os.version": "10.0.20348.2340", "config": {},
		              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]}}
		    base = dict(blob(layers[0], kept), mediaType=media)
		    if not kept:
		        base["urls"] = ["http://127.0.0.1:9/layer"]
		    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		                "config": dict(blob(json.dumps(config).encode()), mediaType="application/vnd.oci.image.config.v1+json"),
		                "layers": [base, dict(blob(layers[1]), mediaType="application/vnd.oci.image.layer.v1.tar")]}
		    return dict(blob(json.dumps(manifest).encode()), mediaType=manifest["mediaType"],
		                platform={"architecture": "amd64", "os": "windows"},
		                annotations={"org.opencontainers.image.ref.name": tag})

		NONDIST = "application/vnd.oci.image.layer.nondistributable.v1.tar"
		foreign = [layers[0] + bytes(512), layers[1]]
		index = {"schemaVersion": 2, "manifests": [image("here", layers, True, "application/vnd.oci.image.layer.v1.tar"),
		                                           image("foreign", foreign, False, NONDIST)]}
		open(out + "/index.json", "w").write(json.dumps(index))
		open(out + "/oci-layout", "w").write('{"imageLayoutVersion": "1.0.0"}')
	END
}

# records TAR NAME: the records of an entry that Windows reads.
records() {
	python3 - "$@" <<-'END'
		import sys, tarfile
		p = tarfile.open(sys.argv[1]).getmember(sys.argv[2]).pax_headers
		print(" ".join(f"{k}={v}" for k, v in sorted(p.items()) if k.startswith(("MSWINDOWS.", "LIBARCHIVE."))))
	END
}

WANT="Files
Files/Documents and Settings
Files/License.txt:note
Files/Windows
Files/Windows/System32
Files/Windows/System32/perfd009.dat
Files/app
Files/app/app.exe
Hives
Hives/System_Base
Hives/System_Delta
UtilityVM
UtilityVM/Files
UtilityVM/Files/License.txt"

@test "the names of a Windows image are those of its layers, merged" {
	windows_image "$T/w"
	dray_run inspect --json "oci:$T/w:here"
	expect 0
	[[ $output == *windows* ]]
	dray_run files --json "oci:$T/w:here"
	expect 0
	same "names" "$(jq -r .path <<<"$output")" "$WANT"
	same "a junction" "$(jq -r 'select(.path == "Files/Documents and Settings") | .type, .link, .xattrs["MSWINDOWS.mountpoint"]' <<<"$output")" \
		$'symlink\nC:\\Users\n1'
	same "a file that lost its first names" "$(jq -c 'select(.path == "UtilityVM/Files/License.txt") | [.type, .size, .xattrs["MSWINDOWS.fileattr"]]' <<<"$output")" \
		'["file",7,"32"]'
	dray_run cat "oci:$T/w:here" UtilityVM/Files/License.txt
	expect 0
	[[ $output == terms* ]]
	dray_run cat "oci:$T/w:here" Hives/System_Delta
	same "a hive" "$status $output" "0 regf delta"
	dray_run cat "oci:$T/w:here" Files/License.txt
	expect 3
	dray_run blame --json "oci:$T/w:here" Files/License.txt
	[[ $output == *added*deleted* ]]
}

@test "records of Windows survive a new header, and count in the rootfs id" {
	windows_image "$T/w"
	dray_run export -o "$T/e.tar" "oci:$T/w:here"
	expect 0 "*a Windows image*"
	# Made: its data lay under a name that is gone. Raw: nobody touched it.
	same "made" "$(records "$T/e.tar" UtilityVM/Files/License.txt)" \
		"LIBARCHIVE.creationtime=1600000000.25 MSWINDOWS.fileattr=32 MSWINDOWS.rawsd=AQAEgBQ="
	same "raw" "$(records "$T/e.tar" "Files/Documents and Settings")" \
		"LIBARCHIVE.creationtime=1600000000.25 MSWINDOWS.fileattr=9238 MSWINDOWS.mountpoint=1 MSWINDOWS.rawsd=AQAEgBQ="
	dray_run rootfs-id "oci:$T/w:here"
	expect 0
	same "second author" "$output" "$(PYTHONDONTWRITEBYTECODE=1 python3 "$PEERS_TOP/tests/layers/rootfs.py" "$T/e.tar")"
	dray_run rootfs-id --mtime "oci:$T/w:here"
	expect 0
	same "second author, times" "$output" \
		"$(PYTHONDONTWRITEBYTECODE=1 python3 "$PEERS_TOP/tests/layers/rootfs.py" --mtime "$T/e.tar")"
}

@test "a foreign layer that is not there: what needs it says so, the rest works" {
	windows_image "$T/w"
	dray_run files "oci:$T/w:foreign"
	expect 3 "*layer 1 of 2: a foreign layer*"
	dray_run flatten "oci:$T/w:foreign" -o "$T/none.tar"
	expect 3 "*layer 1 of 2: a foreign layer*"
	[ ! -e "$T/none.tar" ]
	absent "an option that it does not have" "$(grep -e --no-rootfs-id <<<"$stderr")"
	# Who puts layers on top or below does not need it, and says how.
	echo new >"$T/new"
	tar -C "$T" -cf "$T/new.tar" --transform 's,^,Files/,' new
	dray_run append "oci:$T/w:foreign" "$T/new.tar" -o "oci:$T/made:1"
	expect 3 "*layer 1 of 2: a foreign layer*hint:*from its URLs; --no-rootfs-id*"
	dray_run append --no-rootfs-id "oci:$T/w:foreign" "$T/new.tar" -o "oci:$T/made:1"
	ok
	dray_run cat "oci:$T/made:1" Files/new
	same "on top of it" "$status $output" "0 new"
	dray_run files --layer 1 "oci:$T/w:foreign"
	expect 0
	[[ $output == *"Files/app/app.exe"* ]]
	dray_run cat "oci:$T/w:foreign" Files/app/app.exe
	same "a file above" "$status $output" "0 MZ"
}

@test "a Windows image of another project: its layer was cut down and is refused; the layer itself is read" {
	local archive=${DRAY_ARCHIVES:-$PEERS_TOP/../shared/fixtures/archives}/container-inspector-windows-mini-image.tar.gz
	[ -e "$archive" ] || skip "no archives of other projects"
	dray_run images "$archive"
	expect 0
	[[ $output == *windows/amd64* ]]
	dray_run files "$archive"
	expect 6 "*DiffID differs*"
	python3 - "$archive" "$T" <<-'END'
		import hashlib, io, json, sys, tarfile
		old = tarfile.open(sys.argv[1])
		layer = old.extractfile("e4e02f4caaa37d28ad4b66babf9d64098e81f08c0be24ea427614eafcbbdc3de.tar").read()
		config = {"architecture": "amd64", "os": "windows", "config": {},
		          "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}
		members = {"c.json": json.dumps(config).encode(), "l.tar": layer,
		           "manifest.json": json.dumps([{"Config": "c.json", "RepoTags": ["w:1"], "Layers": ["l.tar"]}]).encode()}
		with tarfile.open(sys.argv[2] + "/w.tar", "w") as out:
		    for name, data in members.items():
		        i = tarfile.TarInfo(name)
		        i.size = len(data)
		        out.addfile(i, io.BytesIO(data))
		have = {m.name.rstrip("/") for m in tarfile.open(fileobj=io.BytesIO(layer))}
		open(sys.argv[2] + "/want", "w").write("".join(sorted(n + "\n" for n in have)))
	END
	dray_run files --layer 0 --json "$T/w.tar"
	expect 0
	same "names" "$(jq -r .path <<<"$output" | LC_ALL=C sort)" "$(cat "$T/want")"
	same "size" "$("$DRAY" cat "$T/w.tar" UtilityVM/Files/License.txt | wc -c)" 5510
	# The cut took away what some of its hard links lead to.
	dray_run files "$T/w.tar"
	expect 6 "*hard link*"
}
