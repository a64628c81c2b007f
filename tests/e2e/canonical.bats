#!/usr/bin/env bats
# The canonical archive: one image, many producers, one sha256; and what comes out loads everywhere.
# The bytes themselves are docs/canonical-archive.md; tests/canonical/ref.py is their second author.

load lib

REF=$PEERS_TOP/tests/canonical/ref.py

setup() { verbs_setup; }
teardown() { peers_teardown; }

# normalize IN ARG...: into $BATS_TEST_TMPDIR/n.tar; sets SHA.
normalize() {
	local in=$1
	shift
	dray_run normalize "$in" -o "$BATS_TEST_TMPDIR/n.tar" "$@"
	expect 0 || return 1
	SHA=$(sha256sum <"$BATS_TEST_TMPDIR/n.tar" | cut -d ' ' -f 1)
}

# all_same SHA IN ARG...: normalize IN gives SHA, from the file and, where it is one, from a pipe.
all_same() {
	local want=$1 in=$2
	shift 2
	normalize "$in" "$@" || return 1
	same "$in" "$SHA" "$want" || return 1
	[ -f "$in" ] || return 0
	dray_piped "$in" normalize - -o "$BATS_TEST_TMPDIR/p.tar" "$@"
	expect 0 || return 1
	same "$in through a pipe" "$(sha256sum <"$BATS_TEST_TMPDIR/p.tar" | cut -d ' ' -f 1)" "$want"
}

# reference IN ARG...: the sha256 of what the other author makes of it.
reference() {
	local in=$1
	shift
	PYTHONDONTWRITEBYTECODE=1 python3 "$REF" --from "$in" "$BATS_TEST_TMPDIR/ref.tar" "$@" || return 1
	sha256sum <"$BATS_TEST_TMPDIR/ref.tar" | cut -d ' ' -f 1
}

# make PYTHON: small images from the bricks of tests/must-fail, in $BATS_TEST_TMPDIR.
make() {
	PYTHONDONTWRITEBYTECODE=1 python3 - "$PEERS_TOP/tests/must-fail" "$BATS_TEST_TMPDIR" <<-END
		import sys
		sys.path.insert(0, sys.argv[1])
		from bricks import *
		out = sys.argv[2] + "/"
		$1
	END
}

# ---------------------------------------------------------------------------------------------------------------------
# One image, one sha256

@test "the other author agrees: names, none, others, several images" {
	image_need tags
	all_same "$(reference "$IMAGE")" "$IMAGE"
	all_same "$(reference "$IMAGE" --untagged)" "$IMAGE" --untagged
	image_need sym
	all_same "$(reference "$IMAGE" --tag docker.io/library/x:9 --tag a.example/b:c)" "$IMAGE" --tag a.example/b:c --tag x:9
	image_need multi
	all_same "$(reference "$IMAGE")" "$IMAGE"
	same "images" "$(tar xOf "$BATS_TEST_TMPDIR/n.tar" manifest.json | jq length)" 2
}

@test "names: whole in the archive, so that no registry is meant but one; familiar where people read them" {
	image_need sym
	"$DRAY" normalize -q "$IMAGE" --tag busybox:1 --tag localhost:5000/x:1 -o "$BATS_TEST_TMPDIR/n.tar"
	same "stored" "$(tar xOf "$BATS_TEST_TMPDIR/n.tar" manifest.json | jq -c '.[0].RepoTags')" \
		'["docker.io/library/busybox:1","localhost:5000/x:1"]'
	same "listed" "$("$DRAY" images --json "$BATS_TEST_TMPDIR/n.tar" | jq -c '.images[].tags')" \
		'["busybox:1","localhost:5000/x:1"]'
	for name in busybox:1 docker.io/library/busybox:1; do
		"$DRAY" inspect --image "$name" "$BATS_TEST_TMPDIR/n.tar" >/dev/null
	done
	all_same "$(sha256sum <"$BATS_TEST_TMPDIR/n.tar" | cut -d ' ' -f 1)" "$BATS_TEST_TMPDIR/n.tar"
}

@test "docs: the worked example is what both authors write" {
	local doc=$PEERS_TOP/docs/canonical-archive.md example=$PEERS_TOP/tests/canonical/example
	PYTHONDONTWRITEBYTECODE=1 python3 "$REF" "$example" "$BATS_TEST_TMPDIR/ref.tar"
	sha=$(sha256sum <"$BATS_TEST_TMPDIR/ref.tar" | cut -d ' ' -f 1)
	grep -qF "$sha" "$doc"
	all_same "$sha" "$BATS_TEST_TMPDIR/ref.tar"
	normalize "$BATS_TEST_TMPDIR/ref.tar" --untagged
	grep -qF "$SHA" "$doc"
	# The dump in the document is a dump of these bytes.
	sed -n '/^    [0-9a-f]\{8\}: /s/^    //p' "$doc" >"$BATS_TEST_TMPDIR/dump"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/dump")" -gt 20 ]
	xxd -a "$BATS_TEST_TMPDIR/ref.tar" | grep -v '^\*' >"$BATS_TEST_TMPDIR/real"
	absent "lines of the dump that are not in the archive" "$(grep -vxFf "$BATS_TEST_TMPDIR/real" "$BATS_TEST_TMPDIR/dump")"
}

@test "producers: dockerd twice, podman, skopeo, docker-registry, a second data root and sockets give one sha256" {
	require_peer podman skopeo
	image_need big
	local t=$BATS_TEST_TMPDIR id
	id=$(docker_image_id test/big:1)
	normalize "$IMAGE"
	local want=$SHA
	same "image ID" "$(jq -r '.[0].Config' < <(tar xOf "$t/n.tar" manifest.json))" "blobs/sha256/${id#*:}"
	same "the other author" "$(reference "$IMAGE")" "$want"

	# docker again, at another second: other bytes, the same image.
	sleep 1.1
	docker save -o "$t/again.tar" test/big:1
	all_same "$want" "$t/again.tar"

	# podman, from docker's archive, as a docker-archive.
	# It takes the name for one of its own host, so that only the names differ.
	podman load --quiet -i "$IMAGE"
	podman save --quiet --format docker-archive -o "$t/podman.tar" localhost/test/big:1
	podman rmi -f localhost/test/big:1
	[ "$(sha256sum <"$t/podman.tar")" != "$(sha256sum <"$IMAGE")" ]
	all_same "$want" "$t/podman.tar" --tag test/big:1
	normalize "$IMAGE" --untagged
	all_same "$SHA" "$t/podman.tar" --untagged

	# skopeo: an archive, a "dir:", and the registry's compressed layers.
	skopeo copy --quiet "docker-archive:$IMAGE" "docker-archive:$t/skopeo.tar:test/big:1"
	all_same "$want" "$t/skopeo.tar"
	skopeo copy --quiet "docker-archive:$IMAGE" "dir:$t/skopeo.dir"
	all_same "$want" "dir:$t/skopeo.dir" --tag test/big:1
	registry_start main plain
	docker tag test/big:1 "$REGISTRY_ADDR/test/big:1"
	docker push --quiet "$REGISTRY_ADDR/test/big:1"
	all_same "$want" "docker://$REGISTRY_ADDR/test/big:1" --tag test/big:1
	dray_run normalize "docker://$REGISTRY_ADDR/test/big:1" --tag test/big:1 -o "$t/j.tar" --json
	expect 0
	same "sha256 in JSON" "$(jq -r .digest <<<"$output")" "sha256:$want"
	same "image ID in JSON" "$(jq -r '.images[0].image_id' <<<"$output")" "$id"

	# docker push, docker pull on a second data root, docker save.
	second_engine docker pull --quiet "$REGISTRY_ADDR/test/big:1"
	second_engine docker tag "$REGISTRY_ADDR/test/big:1" test/big:1
	second_engine docker save -o "$t/second.tar" test/big:1
	all_same "$want" "$t/second.tar"

	# An engine's socket, and what dray brought through it into one that had nothing.
	all_same "$want" docker-daemon:test/big:1
	second_engine docker rmi -f "$id"
	second_engine "$DRAY" copy -q "$IMAGE" docker-daemon:test/big:1
	second_engine all_same "$want" docker-daemon:test/big:1
	second_engine docker save -o "$t/second.tar" test/big:1
	all_same "$want" "$t/second.tar"
	peer_stop dockerd-2
	docker rmi "$REGISTRY_ADDR/test/big:1"

	# dray, through what it writes: layouts and archives with compressed layers, a registry.
	dray_run copy "$IMAGE" "oci:$t/layout"
	ok
	all_same "$want" "oci:$t/layout"
	dray_run copy "$IMAGE" "dir:$t/dray.dir"
	ok
	all_same "$want" "dir:$t/dray.dir" --tag test/big:1
	for how in gzip gzip-single zstd; do
		dray_run copy --compression "$how" "$IMAGE" "oci-archive:$t/$how.tar"
		ok
		all_same "$want" "$t/$how.tar"
	done
	dray_run push "$IMAGE" "$REGISTRY_ADDR/by-dray/big:1"
	ok
	all_same "$want" "docker://$REGISTRY_ADDR/by-dray/big:1" --tag test/big:1
	# And itself.
	cp "$t/n.tar" "$t/self.tar"
	all_same "$want" "$t/self.tar"
}

# second_engine COMMAND...: with a dockerd that has a data root of its own.
second_engine() {
	local dir=$PEERS_DIR/second sock=$PEERS_DIR/second.sock
	if ! peer_alive dockerd-2; then
		peer_spawn dockerd-2 env -u DOCKER_HOST PATH="$PATH:/usr/sbin:/sbin" dockerd --iptables=false \
			--ip6tables=false --bridge=none --data-root "$dir" --exec-root "$PEERS_DIR/exec2" \
			--pidfile "$PEERS_DIR/dockerd-2.pid" --host "unix://$sock" --group "$(id -gn)"
		wait_until 180 curl -fsS -o /dev/null --max-time 5 --unix-socket "$sock" http://d/_ping
	fi
	DOCKER_HOST=unix://$sock "$@"
}

@test "producers: skopeo and podman that write OCI make another image, and why says what they changed" {
	require_peer podman skopeo
	image_need sym
	local t=$BATS_TEST_TMPDIR
	normalize "$IMAGE" --untagged
	local want=$SHA
	skopeo copy --quiet "docker-archive:$IMAGE" "oci-archive:$t/skopeo.tar:test/sym:1"
	normalize "$t/skopeo.tar" --untagged
	[ "$SHA" != "$want" ]
	dray_run why "$IMAGE" "$t/skopeo.tar"
	expect 1
	[[ $output == *"different images with the same files"*"(only in A)"*"skopeo and podman drop Docker's own keys"* ]]
	dray_run why --json "$IMAGE" "$t/skopeo.tar"
	expect 1
	same "image ID" "$(jq .same_image_id <<<"$output")" false
	same "layers" "$(jq .same_rootfs <<<"$output")" true
	same "cause" "$(jq -r '.causes[0].code' <<<"$output")" config
	podman load --quiet -i "$IMAGE"
	podman save --quiet --format oci-archive -o "$t/podman.tar" localhost/test/sym:1
	podman rmi -f localhost/test/sym:1
	normalize "$t/podman.tar" --untagged
	[ "$SHA" != "$want" ]
	# Two tools, one conversion or two: each says itself what it made.
	dray_run why "$t/skopeo.tar" "$t/podman.tar"
	[ "$status" -le 1 ]
}

@test "the same bytes for any jobs, locale, umask, time zone, user, folder and kind of output" {
	image_need big
	local t=$BATS_TEST_TMPDIR
	dray_run copy "$IMAGE" "oci:$t/layout"
	ok
	normalize "$IMAGE" --untagged
	local want=$SHA jobs
	for jobs in 1 2 7 64; do
		normalize "$IMAGE" --untagged --jobs "$jobs"
		same "jobs $jobs" "$SHA" "$want"
		normalize "oci:$t/layout" --untagged --jobs "$jobs"
		same "layout, jobs $jobs" "$SHA" "$want"
	done
	(
		umask 077
		export LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8 TZ=Asia/Kathmandu
		cd / && normalize "$IMAGE" --untagged
		same "environment" "$SHA" "$want"
	)
	same "to a pipe" "$("$DRAY" normalize -q "$IMAGE" --untagged -o - | sha256sum | cut -d ' ' -f 1)" "$want"
	same "compressed, to a pipe" "$("$DRAY" normalize -q "oci:$t/layout" --untagged -o - | sha256sum | cut -d ' ' -f 1)" "$want"
	mkfifo "$t/fifo"
	sha256sum <"$t/fifo" >"$t/fifo.sha" &
	"$DRAY" normalize -q "$IMAGE" --untagged -o "$t/fifo"
	wait "$!"
	same "to a fifo" "$(cut -d ' ' -f 1 "$t/fifo.sha")" "$want"
	"$DRAY" normalize -q "$IMAGE" --untagged -o /dev/null
	if [ "$(id -u)" -eq 0 ] && type -P setpriv >/dev/null; then
		chmod 0711 "$t"
		install -d -m 0777 "$t/open"
		setpriv --reuid 65534 --regid 65534 --clear-groups "$DRAY" normalize -q - --untagged -o - <"$IMAGE" >"$t/nobody.tar"
		same "nobody" "$(sha256sum <"$t/nobody.tar" | cut -d ' ' -f 1)" "$want"
	fi
}

@test "a size that was guessed wrong is corrected: several gzip members, a lying trailer" {
	make 'import gzip as g
big = layer(**{f"file{i}": "x" * 3000 * i for i in range(40)})
halves = g.compress(big[:70000], mtime=0) + g.compress(big[70000:], mtime=0)
tail = g.compress(big, mtime=0) + g.compress(b"", mtime=0)
def own(data):  # a member with the field by which dray finds its end
    z = gzip_member(data)
    return z[:3] + b"\x04" + z[4:10] + b"\x08\0Dr\x04\0" + struct.pack("<I", len(z) + 10) + z[10:]
small = own(big[:5000]) + own(big[5000:])
for name, stored in (("one", g.compress(big, mtime=0)), ("halves", halves), ("tail", tail), ("plain", big), ("own", own(big)), ("small", small)):
    s = Save((BASE, big, APP))
    s.stored[1] = member(s.names[1], stored)
    open(out + name + ".tar", "wb").write(s.bytes())'
	normalize "$BATS_TEST_TMPDIR/plain.tar"
	local want=$SHA name
	for name in one halves tail own small; do
		all_same "$want" "$BATS_TEST_TMPDIR/$name.tar"
		same "$name" "$(reference "$BATS_TEST_TMPDIR/$name.tar")" "$want"
	done
}

# ---------------------------------------------------------------------------------------------------------------------
# It loads

@test "loads: docker load and podman load give the image ID and the names, and both run it" {
	require_peer podman
	image_need tags
	local t=$BATS_TEST_TMPDIR id
	id=$(docker_image_id test/sym:1)
	normalize "$IMAGE"
	docker rmi test/other:2 localhost:5000/deep/er/name:v3 || :
	docker load -i "$t/n.tar"
	same "docker's image ID" "$(docker_image_id test/other:2)" "$id"
	same "docker's other name" "$(docker_image_id localhost:5000/deep/er/name:v3)" "$id"
	same "docker run" "$(docker_run test/other:2)" "$SYM_LINE"
	docker rmi test/other:2 localhost:5000/deep/er/name:v3
	podman load -i "$t/n.tar"
	same "podman's image ID" "sha256:$(podman image inspect --format '{{.Id}}' docker.io/test/other:2)" "$id"
	same "podman's other name" "sha256:$(podman image inspect --format '{{.Id}}' localhost:5000/deep/er/name:v3)" "$id"
	same "podman run" "$(podman_run docker.io/test/other:2)" "$SYM_LINE"
	podman rmi -f "$id"
	# Without the image: an engine that never saw it.
	second_engine docker load -i "$t/n.tar"
	same "a fresh docker's image ID" "$(second_engine docker_image_id test/other:2)" "$id"
	second_engine docker save -o "$t/back.tar" test/other:2 localhost:5000/deep/er/name:v3
	local want=$SHA
	normalize "$t/back.tar"
	same "saved again" "$SHA" "$want"
}

@test "loads: untagged, and several images" {
	require_peer podman
	image_need multi
	local t=$BATS_TEST_TMPDIR
	normalize "$IMAGE"
	run docker load -i "$t/n.tar"
	[ "$status" -eq 0 ]
	[[ $output == *multi-a:1* && $output == *multi-b:1* ]]
	run podman load -i "$t/n.tar"
	[ "$status" -eq 0 ]
	podman image inspect docker.io/test/multi-a:1 docker.io/test/multi-b:1 >/dev/null
	podman rmi -f docker.io/test/multi-a:1 docker.io/test/multi-b:1
	image_need sym
	local id
	id=$(docker_image_id test/sym:1)
	normalize "$IMAGE" --untagged
	run docker load -i "$t/n.tar"
	[[ $status -eq 0 && $output == *"$id"* ]]
	run podman load -i "$t/n.tar"
	[[ $status -eq 0 && $output == *"${id#*:}"* ]]
	podman rmi -f "$id"
}

@test "loads: skopeo by both transports, ctr, umoci" {
	require_peer skopeo
	image_need sym
	local t=$BATS_TEST_TMPDIR id name=docker.io/test/sym:1
	id=$(docker_image_id test/sym:1)
	normalize "$IMAGE"
	same "docker-archive" "$(source_image_id "docker-archive:$t/n.tar")" "$id"
	same "docker-archive by name" "$(source_image_id "docker-archive:$t/n.tar:test/sym:1")" "$id"
	same "oci-archive" "$(source_image_id "oci-archive:$t/n.tar")" "$id"
	same "oci-archive by name" "$(source_image_id "oci-archive:$t/n.tar:$name")" "$id"
	# A copy reads every layer.
	skopeo copy --quiet "oci-archive:$t/n.tar" "dir:$t/dir"
	skopeo copy --quiet "docker-archive:$t/n.tar" "dir:$t/dir2"
	if type -P umoci >/dev/null; then
		mkdir "$t/layout"
		tar -C "$t/layout" -xf "$t/n.tar"
		umoci ls --layout "$t/layout" | grep -qxF "$name"
	fi
	require_docker
	type -P ctr >/dev/null || skip "ctr is not installed"
	local sock
	sock=$(find "$PEERS_DIR/exec" -name containerd.sock -path '*containerd*' | head -n 1)
	ctr -a "$sock" -n canonical images import "$t/n.tar"
	ctr -a "$sock" -n canonical images ls -q | grep -qxF "$name"
	same "ctr's manifest" "$(ctr -a "$sock" -n canonical images ls name=="$name" | awk 'NR == 2 { print $3 }')" \
		"$(tar xOf "$t/n.tar" index.json | jq -r '.manifests[0].digest')"
	ctr -a "$sock" -n canonical images rm "$name"
}

# ---------------------------------------------------------------------------------------------------------------------
# The tar itself

@test "T-21: GNU tar, bsdtar, busybox, Python and Go list and extract the same members" {
	image_need multi
	local t=$BATS_TEST_TMPDIR
	normalize "$IMAGE"
	tar tf "$t/n.tar" >"$t/gnu"
	python3 -c 'import sys, tarfile; print(*tarfile.open(sys.argv[1]).getnames(), sep="\n")' "$t/n.tar" >"$t/python"
	same "python" "$(cat "$t/python")" "$(cat "$t/gnu")"
	same "order" "$(head -n 3 "$t/gnu" | tr '\n' ' ')" "oci-layout index.json manifest.json "
	same "twins" "$(sort "$t/gnu" | uniq -d | wc -l)" 0
	local tool n=0
	for tool in bsdtar "busybox tar"; do
		type -P "${tool%% *}" >/dev/null || continue
		$tool tf "$t/n.tar" >"$t/other"
		same "$tool" "$(cat "$t/other")" "$(cat "$t/gnu")"
		mkdir "$t/x$n"
		$tool xf "$t/n.tar" -C "$t/x$n"
		layout_check_hybrid "$t/x$n"
		n=$((n + 1))
	done
	if type -P go >/dev/null; then
		mkdir "$t/go"
		printf '%s\n' 'package main' 'import ("archive/tar"; "fmt"; "io"; "os")' 'func main() {' \
			't := tar.NewReader(os.Stdin)' 'for { h, e := t.Next(); if e == io.EOF { return }; if e != nil { panic(e) }' \
			'fmt.Println(h.Name) } }' >"$t/go/main.go"
		HOME=$t GOCACHE=$t/gocache GO111MODULE=off GOTOOLCHAIN=local GOFLAGS= go run "$t/go/main.go" <"$t/n.tar" >"$t/other"
		same "Go" "$(cat "$t/other")" "$(cat "$t/gnu")"
	fi
	# Every header field that could tell who, when or where.
	python3 - "$t/n.tar" <<-'END'
		import sys, tarfile
		for m in tarfile.open(sys.argv[1]):
		    assert (m.mode, m.uid, m.gid, m.uname, m.gname, m.mtime, m.type) == (0o644, 0, 0, "", "", 0, b"0"), m.get_info()
		    assert not m.pax_headers
	END
	same "no record padding" "$(($(stat -c %s "$t/n.tar") % 512))" 0
	dray_run verify "$t/n.tar"
	expect 0
}

# Blobs hash to their names; manifest.json lies beside index.json.
layout_check_hybrid() {
	[ -f "$1/manifest.json" ] || return 1
	rm "$1/manifest.json"
	layout_check "$1"
}

# ---------------------------------------------------------------------------------------------------------------------
# What is refused

# refused STATUS PATTERN IN ARG...: as a file and through a pipe; an old output stays.
refused() {
	local want=$1 pattern=$2 in=$3 t=$BATS_TEST_TMPDIR
	shift 3
	printf old >"$t/old"
	dray_run normalize "$in" -o "$t/old" "$@"
	expect "$want" "$pattern" || return 1
	same "the old output" "$(cat "$t/old")" old || return 1
	if [ -f "$in" ]; then
		dray_piped "$in" normalize - -o "$t/old" "$@"
		expect "$want" "$pattern" || return 1
		same "the old output" "$(cat "$t/old")" old || return 1
	fi
	absent "left behind" "$(find "$t" -name '.*dray*')"
}

@test "copy --canonical writes the same, of several sources too; nowhere else" {
	image_need multi
	local t=$BATS_TEST_TMPDIR
	normalize "$IMAGE"
	local want=$SHA
	dray_run copy --canonical --all "$IMAGE" "docker-archive:$t/c.tar"
	expect 0 '*canonical archive*'
	same "copy" "$(sha256sum <"$t/c.tar" | cut -d ' ' -f 1)" "$want"
	normalize "$IMAGE" --image @0 --tag x:2
	dray_run copy --canonical --image @0 "$IMAGE" "docker-archive:$t/c.tar:x:2"
	expect 0
	same "copy with a name" "$(sha256sum <"$t/c.tar" | cut -d ' ' -f 1)" "$SHA"
	dray_run copy --canonical --image @0 "$IMAGE" "oci:$t/layout"
	expect 2 '*--canonical writes an archive*'
	dray_run copy --canonical --compression gzip --image @0 "$IMAGE" "docker-archive:$t/c.tar"
	expect 2 '*no choice*'
}

@test "v1: an archive without configs becomes what docker load and save make of it" {
	require_docker
	local t=$BATS_TEST_TMPDIR
	python3 - "$t/v1.tar" <<-'END'
		import hashlib, io, json, sys, tarfile
		ids = [hashlib.sha256(b"v1 layer %d" % i).hexdigest() for i in range(2)]
		with tarfile.open(sys.argv[1], "w", format=tarfile.USTAR_FORMAT) as out:
		    def add(name, data):
		        info = tarfile.TarInfo(name); info.size = len(data)
		        out.addfile(info, io.BytesIO(data))
		    for i, one in enumerate(ids):
		        inner = io.BytesIO()
		        with tarfile.open(fileobj=inner, mode="w", format=tarfile.USTAR_FORMAT) as layer:
		            info = tarfile.TarInfo("file%d" % i); info.size = 3
		            layer.addfile(info, io.BytesIO(b"abc"))
		        value = {"id": one, "created": "2014-10-01T20:46:08.914288461Z", "container_config": {"Cmd": ["/bin/sh", "-c", "step %d" % i]},
		                 "docker_version": "1.2.0", "config": {"Cmd": ["/file0"]}, "architecture": "amd64", "os": "linux", "Size": 3}
		        if i:
		            value["parent"] = ids[0]
		        add(one + "/VERSION", b"1.0"); add(one + "/json", json.dumps(value).encode()); add(one + "/layer.tar", inner.getvalue())
		    add("repositories", json.dumps({"test/v1": {"1": ids[1]}}).encode())
	END
	docker load -i "$t/v1.tar"
	docker save -o "$t/saved.tar" test/v1:1
	docker rmi test/v1:1
	normalize "$t/saved.tar"
	all_same "$SHA" "$t/v1.tar"
}

@test "refused: wrong DiffIDs, truncated and damaged input; nothing is written" {
	image_need big
	local t=$BATS_TEST_TMPDIR size
	make 's = Save()
open(out + "good.tar", "wb").write(s.bytes())
s.config = s.config.replace(sha(s.layers[0]).encode(), b"0" * 64)
open(out + "diffid.tar", "wb").write(s.bytes())
s = Save()
z = bytearray(gzip_member(s.layers[1])); z[-6] ^= 1
s.stored[1] = member(s.names[1], bytes(z))
open(out + "crc.tar", "wb").write(s.bytes())
s = Save()
s.stored[1] = member(s.names[1], gzip_member(s.layers[1])[:-9])
open(out + "cut.tar", "wb").write(s.bytes())
s = Save(config_value=config((BASE, APP), rootfs={"type": "layers", "diff_ids": ["sha512:" + "0" * 128] * 2}))
open(out + "sha512.tar", "wb").write(s.bytes())
s = Save(config_value={"architecture": "amd64", "os": "linux"})
open(out + "none.tar", "wb").write(s.bytes())'
	all_same "$(reference "$t/good.tar")" "$t/good.tar"
	refused 6 '*DiffID*expected sha256:0000*' "$t/diffid.tar"
	refused 6 '*layer 2 of 2*' "$t/crc.tar"
	refused 6 '*layer 2 of 2*' "$t/cut.tar"
	refused 8 '*no sha256 digest*' "$t/sha512.tar"
	refused 6 '*rootfs.diff_ids*' "$t/none.tar"
	size=$(stat -c %s "$IMAGE")
	for part in 3 2; do
		head -c $((size / part)) "$IMAGE" >"$t/short.tar"
		refused 6 '*' "$t/short.tar"
	done
	# A byte in the middle of a layer.
	cp "$IMAGE" "$t/flip.tar"
	printf '\377\001\376' | dd of="$t/flip.tar" bs=1 seek=$((size / 2)) conv=notrunc status=none
	refused 6 '*' "$t/flip.tar"
	# A compressed layer that decodes to something else, in a layout whose blob digest holds.
	make 'o = Layout()
o.roots = [o.image((BASE, APP), stored=[gzip_member(BASE), gzip_member(TOP)])]
o.write(out + "liar")
o = Layout()
o.roots = [o.image((BASE, APP), stored=[gzip_member(BASE), gzip_member(APP)])]
o.write(out + "honest")'
	refused 6 '*layer 2 of 2*DiffID*' "oci:$t/liar"
	normalize "oci:$t/honest"
}

@test "refused: artifacts, twin names, absent images, and questions that have no answer" {
	local t=$BATS_TEST_TMPDIR
	make 's = Save(); u = Save((BASE, TOP))
one, two = json.loads(s.manifest_json())[0], json.loads(u.manifest_json())[0]
two["Layers"] = [n.replace("/layer.tar", "-2/layer.tar") for n in two["Layers"]]
parts = s.stored + [member(n, d) for n, d in zip(two["Layers"], u.layers)]
parts += [member(e["Config"], x.config) for e, x in ((one, s), (two, u))]
open(out + "twin.tar", "wb").write(tar(*parts, member("manifest.json", compact([one, two]))))'
	refused 6 '*two images of one platform have the name*' "$t/twin.tar"
	normalize "$t/twin.tar" --untagged
	same "images" "$(tar xOf "$t/n.tar" manifest.json | jq length)" 2
	normalize "$t/twin.tar" --image @1
	refused 2 '*--tag names one image*' "$t/twin.tar" --tag x:1
	refused 2 '*one of both*' "$t/twin.tar" --tag x:1 --untagged
	refused 2 '*--tag*' "$t/twin.tar" --image @0 --tag 'X:1'
	refused 3 '*no image @7*' "$t/twin.tar" --image @7
	refused 3 '*' "$t/nothing.tar"
	run script -qec "'$DRAY' normalize '$t/twin.tar'" /dev/null </dev/null
	same "status on a terminal" "$status" 2
	[[ $output == *'where shall the archive go'* ]]
	printf old >"$t/old"
	dray_run normalize --no-clobber "$t/twin.tar" --image @0 -o "$t/old"
	expect 2 '*exists already*'
	dray_run normalize "$t/twin.tar" --image @0 -o "$t/no/such/folder/x.tar"
	expect 9
}

@test "platforms: the host's image of an index, one by name, or all under one name" {
	local t=$BATS_TEST_TMPDIR
	make 'o = Layout()
def at(arch, layers):
    return o.image(layers, config_value=config(layers, architecture=arch), platform={"os": "linux", "architecture": arch})
o.roots = [o.document(o.index([at("amd64", (BASE, APP)), at("arm64", (APP, TOP))]), OCI_INDEX,
                      annotations={"org.opencontainers.image.ref.name": "docker.io/library/m:1"})]
o.write(out + "multi")'
	normalize "oci:$t/multi" --platform linux/arm64
	same "arm64" "$(tar xOf "$t/n.tar" index.json | jq -r '.manifests[].platform.architecture')" arm64
	normalize "oci:$t/multi" --all-platforms
	same "descriptors" "$(tar xOf "$t/n.tar" index.json |
		jq -r '[.manifests[] | "\(.platform.architecture) \(.annotations["io.containerd.image.name"])"] | sort | join(", ")')" \
		"amd64 docker.io/library/m:1, arm64 docker.io/library/m:1"
	same "RepoTags" "$(tar xOf "$t/n.tar" manifest.json | jq -c '[.[].RepoTags] | sort')" '[[],["docker.io/library/m:1"]]'
	local want=$SHA
	cp "$t/n.tar" "$t/again.tar"
	normalize "$t/again.tar" --all-platforms
	same "again" "$SHA" "$want"
}

# ---------------------------------------------------------------------------------------------------------------------
# Faults

@test "G-01: kill -9 at 50 moments leaves the old archive, and the next run succeeds" {
	image_need big
	local t=$BATS_TEST_TMPDIR i
	dray_run copy "$IMAGE" "oci:$t/layout"
	ok
	normalize "$IMAGE" --untagged
	local want=$SHA in
	mkdir "$t/out"
	printf old >"$t/out/a.tar"
	for i in $(seq 50); do
		[ $((i % 2)) -eq 0 ] && in=$IMAGE || in=oci:$t/layout
		"$DRAY" normalize -q "$in" --untagged -o "$t/out/a.tar" >/dev/null 2>&1 &
		sleep "0.$(printf %03d $((RANDOM % 120 * i / 10 + 1)))"
		kill -KILL "$!" 2>/dev/null || :
		wait "$!" 2>/dev/null || :
		case $(sha256sum <"$t/out/a.tar" | cut -d ' ' -f 1) in
		"$want" | "$(printf old | sha256sum | cut -d ' ' -f 1)") ;;
		*) printf 'after kill %s: neither the old nor the new archive\n' "$i" && return 1 ;;
		esac
	done
	"$DRAY" normalize -q "oci:$t/layout" --untagged -o "$t/out/a.tar"
	same "after all" "$(sha256sum <"$t/out/a.tar" | cut -d ' ' -f 1)" "$want"
	# The run that succeeded swept what the killed ones left; temporary files never had a name.
	same "what is there" "$(ls -A "$t/out")" a.tar
	absent "temporary files" "$(ls -A "$TMPDIR")"
}

@test "G-03: a full disk and a missing tmpdir are errors, and the old archive stays" {
	require_root
	image_need big
	local t=$BATS_TEST_TMPDIR
	mkdir "$t/small"
	mount -t tmpfs -o size=8m dray-canonical "$t/small" || skip "no tmpfs here"
	printf old >"$t/small/a.tar"
	run --separate-stderr "$DRAY" normalize "$IMAGE" -o "$t/small/a.tar"
	local first=$status second left
	run --separate-stderr bash -c 'cat "$1" | "$2" normalize - --tmpdir "$3" -o "$4"' - "$IMAGE" "$DRAY" "$t/small" "$t/b.tar"
	second=$status
	left="$(cat "$t/small/a.tar") $(ls -A "$t/small")"
	umount "$t/small"
	same "disk full" "$first" 9
	same "tmpdir full" "$second" 9
	same "what stood before" "$left" "old a.tar"
	[ ! -e "$t/b.tar" ]
	dray_piped "$IMAGE" normalize - --tmpdir "$t/nowhere" -o "$t/b.tar"
	expect 9 '*temporary file*'
}

@test "memory: a big image through a pipe stays small" {
	dray_sanitized && skip "memory of a sanitized build says nothing"
	image_need big
	dray_peak "$IMAGE" normalize - -o "$BATS_TEST_TMPDIR/n.tar" --jobs 2
	expect 0
	[ "$PEAK_KIB" -lt $(((64 + 2 * 8) * 1024)) ]
}
