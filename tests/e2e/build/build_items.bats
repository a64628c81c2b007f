#!/usr/bin/env bats
# build: the rest of the acceptance list: owners, formats, names, links, histories. The table in docs/build.md says which
# test is for which item.

load build

setup() { build_setup; }
teardown() {
	umount "$T/dev/a" "$T/dev/b" 2>/dev/null || :
	peers_teardown
}

spec() { cat >"$T/spec.json"; }
# owners FILE...: type and mode, owner and name of each entry of the effective tree.
owners() { "$DRAY" export "$1" 2>/dev/null | tar tv --numeric-owner | awk '{ print $1, $2, $6 }'; }
# steps IMAGE: entries of the history, those that made a layer.
steps() { "$DRAY" inspect --json "$1" | jq -c '[(.images[0].history | length), ([.images[0].history[] | select(.empty_layer | not)] | length), (.images[0].layers | length)]'; }

@test "item 10: a folder that is no store, in one layer and in several" {
	mkdir -p app
	echo hello >app/hello.txt
	for how in single per-source auto; do
		build --strategy "$how" --dir app:/ --mkdir /more -o "$how.tar"
		same "$how" "$("$DRAY" cat "$how.tar" /hello.txt)" hello
	done
	same single "$(layers single.tar | wc -l)" 1
}

@test "item 19: rules on paths of the base act on what the topmost layer has there" {
	mkdir -p a/d b/d
	echo low >a/d/text
	echo low >a/d/other
	echo high >b/d/text
	build --dir a:/ -o a.tar
	build --from a.tar --dir b:/ -o b.tar
	spec <<-'EOF_SPEC'
		{ "dray": 1, "base": { "image": "b.tar" }, "rules": [ { "match": "/d/*", "type": "f", "mode": "0640", "owner": { "uid": 7, "gid": 8 } } ] }
	EOF_SPEC
	build spec.json -o out.tar
	same text "$("$DRAY" cat out.tar /d/text)" high
	same other "$("$DRAY" cat out.tar /d/other)" low
	same modes "$(owners out.tar)" $'drwxr-xr-x 0/0 d/\n-rw-r----- 7/8 d/other\n-rw-r----- 7/8 d/text'
	same below "$(layers out.tar | head -n 2)" "$(layers b.tar)"
}

@test "item 38: the store and its parent are 755: whoever runs it gets through" {
	require_docker
	require_peer podman
	program store/1-app/bin/app "not root"
	chmod -R go-w store
	jq -n '[{path: "/nix/store/1-app", narSize: 1, references: []}]' >graph.json
	spec <<-'EOF_SPEC'
		{ "dray": 1, "name": "made/store", "tag": "1", "config": { "User": "1000:1000", "Entrypoint": ["/nix/store/1-app/bin/app"] },
		  "sources": [ { "type": "closure", "graph": "graph.json", "store": "/nix/store", "from": "store" } ] }
	EOF_SPEC
	(umask 077 && build spec.json -o out.tar)
	same modes "$(owners out.tar | head -n 2)" $'drwxr-xr-x 0/0 nix/\ndrwxr-xr-x 0/0 nix/store/'
	runs out.tar made/store:1 "not root"
}

@test "item 39, 42: images merged into one archive: each by its tag, also one without a tag, of mixed compressions; owners stay" {
	for i in 1 2 3; do
		mkdir -p "d$i"
		program "d$i/bin/go" "this is $i"
	done
	build --dir d1:/ --owner 1001:1001 --entrypoint /bin/go --name made/m:one --compression gzip -o 1.tar
	build --dir d2:/ --owner 1002:1002 --entrypoint /bin/go --name made/m -o 2.tar
	build --dir d3:/ --owner 1003:1003 --entrypoint /bin/go --name made/other:three --compression zstd -o 3.tar
	dray_run copy 1.tar 2.tar 3.tar -o all.tar
	expect 0
	unnamed=$(tar xOf 2.tar manifest.json | jq -r '.[0].RepoTags[0]')
	i=1
	for tag in made/m:one "$unnamed" made/other:three; do
		same "$tag" "$("$DRAY" digest --image-id "docker-archive:all.tar:$tag")" "$("$DRAY" digest --image-id "$i.tar")"
		same "owner of $i" "$("$DRAY" export "docker-archive:all.tar:$tag" 2>/dev/null | tar tv --numeric-owner | awk '{ print $2 }' | sort -u)" "100$i/100$i"
		i=$((i + 1))
	done
	dray_run verify --all all.tar
	expect 0
	# Docker 20.10 knows no zstd: the same with gzip.
	dray_run copy --compression gzip 1.tar 2.tar 3.tar -o plain.tar
	expect 0
	require_docker
	require_peer podman
	docker load --quiet -i plain.tar
	podman load --quiet -i plain.tar
	i=1
	for tag in made/m:one "$unnamed" made/other:three; do
		same "docker run $tag" "$(docker_run "$tag")" "this is $i"
		same "podman run $tag" "$(podman_run "$tag")" "this is $i"
		docker rmi "$tag" >/dev/null
		podman rmi "$tag" >/dev/null
		i=$((i + 1))
	done
}

@test "item 40: setuid, setgid and sticky bits that rules give are kept" {
	mkdir app
	echo x >app/su
	spec <<-'EOF_SPEC'
		{ "dray": 1, "sources": [ { "type": "dir", "from": "app", "to": "/bin" }, { "type": "mkdir", "path": "/tmp", "mode": "1777" } ],
		  "rules": [ { "match": "/bin/su", "mode": "4755" }, { "match": "/bin", "mode": "2755" } ] }
	EOF_SPEC
	build spec.json -o out.tar
	same modes "$(owners out.tar)" $'drwxr-sr-x 0/0 bin/\n-rwsr-xr-x 0/0 bin/su\ndrwxrwxrwt 0/0 tmp/'
}

@test "item 41: the archive plain, in gzip and in zstd; its layers likewise: every reader that knows them" {
	program app/bin/go "in any case"
	build --dir app:/ --entrypoint /bin/go --name made/outer:1 -o out.tar
	gzip -k out.tar
	zstd -q out.tar
	for f in out.tar out.tar.gz out.tar.zst; do
		dray_run verify "$f"
		expect 0
		same "$f" "$("$DRAY" digest --image-id "$f")" "$("$DRAY" digest --image-id out.tar)"
	done
	for how in none gzip gzip-single zstd; do
		build --dir app:/ --entrypoint /bin/go --name made/inner:1 --compression "$how" -o "$how.tar"
		same "$how" "$(layers "$how.tar")" "$(layers out.tar)"
	done
	require_docker
	require_peer podman skopeo
	for f in out.tar out.tar.gz; do
		runs "$f" made/outer:1 "in any case"
	done
	for how in gzip gzip-single; do
		runs "$how.tar" made/inner:1 "in any case"
	done
	skopeo copy -q oci-archive:zstd.tar "oci:$T/zstd:1" || skopeo copy -q docker-archive:zstd.tar "oci:$T/zstd:1"
	same "zstd by skopeo" "$(skopeo inspect --config "oci:$T/zstd:1" | jq -r '.rootfs.diff_ids[]')" "$(layers out.tar)"
}

@test "item 43: the file system as one tar: bin/... is in it, no whiteout is" {
	mkdir -p a/bin a/gone b
	echo 1 >a/bin/bash
	echo 1 >a/gone/x
	build --dir a:/ -o base.tar
	dray_run strip base.tar /gone -o out.tar
	expect 0
	build --from out.tar --mkdir /more -o more.tar
	"$DRAY" export more.tar 2>/dev/null >tree.tar
	same entries "$(tar tf tree.tar)" $'bin/\nbin/bash\nmore/'
	same whiteouts "$(tar tf tree.tar | grep -c '\.wh\.')" 0
	mkdir root
	tar xf tree.tar -C root
	same bash "$(cat root/bin/bash)" 1
}

@test "item 44: a bundle of certificates at its three usual places; files of /etc that rules change" {
	mkdir certs etc
	echo CERTIFICATE >certs/ca-bundle.crt
	echo secret >etc/shadow
	spec <<-'EOF_SPEC'
		{ "dray": 1, "sources": [
		    { "type": "dir", "from": "certs", "to": "/etc/ssl/certs" },
		    { "type": "symlink", "path": "/etc/ssl/certs/ca-certificates.crt", "target": "ca-bundle.crt" },
		    { "type": "symlink", "path": "/etc/pki/tls/certs/ca-bundle.crt", "target": "/etc/ssl/certs/ca-bundle.crt" },
		    { "type": "dir", "from": "etc", "to": "/etc" } ],
		  "rules": [ { "match": "/etc/shadow", "mode": "0640", "owner": { "uid": 0, "gid": 42 } } ] }
	EOF_SPEC
	build spec.json -o out.tar
	mkdir root
	"$DRAY" export out.tar 2>/dev/null | tar x -C root --exclude etc/shadow
	for f in etc/ssl/certs/ca-bundle.crt etc/ssl/certs/ca-certificates.crt etc/pki/tls/certs/ca-bundle.crt; do
		same "$f" "$("$DRAY" cat out.tar "/$f")" CERTIFICATE
	done
	same shadow "$(owners out.tar | grep shadow)" "-rw-r----- 0/42 etc/shadow"
	same "its text" "$("$DRAY" cat out.tar /etc/shadow)" secret
}

@test "item 45: texts with parentheses, quotes and newlines do not meet" {
	python3 - <<-'EOF_PY'
		import json
		one = "#!/bin/sh\necho \"(one)\" 'a' $HOME `x` \\ $(y)\n"
		two = "(two) \"'\n)\t%s\n\u00e9"
		json.dump({"dray": 1, "sources": [{"type": "file", "path": "/a (1) \"x\" 'y'", "text": one}, {"type": "file", "path": "/b\n2", "text": two}],
		           "rules": [{"match": "/a (1)*", "mode": "0755"}, {"match": "/b*", "mode": "0600"}]}, open("spec.json", "w"))
		open("one", "w").write(one)
		open("two", "w").write(two)
	EOF_PY
	build spec.json -o out.tar
	cmp one <("$DRAY" cat out.tar "/a (1) \"x\" 'y'")
	cmp two <("$DRAY" cat out.tar $'/b\n2')
	same modes "$("$DRAY" export out.tar 2>/dev/null | tar tv | cut -c1-10 | tr '\n' ' ')" "-rwxr-xr-x -rw------- "
}

@test "item 48: cutting an image anew in the way that it is cut changes nothing" {
	mkdir -p models app
	head -c 300000 /dev/urandom >models/m
	echo 1 >app/run
	spec <<-'EOF_SPEC'
		{ "dray": 1, "sources": [ { "id": "m", "type": "dir", "from": "models", "to": "/srv/models" }, { "id": "a", "type": "dir", "from": "app", "to": "/opt/app" } ],
		  "layers": { "strategy": "explicit", "groups": [ { "name": "m", "sources": ["m"] }, { "name": "a", "sources": ["a"] } ] } }
	EOF_SPEC
	build spec.json -o out.tar
	dray_run split --layer '/srv/models/**' --layer '/opt/**' out.tar -o one.tar
	expect 0
	dray_run split --layer '/srv/models/**' --layer '/opt/**' one.tar -o two.tar
	expect 0
	same "layers the second time" "$(layers two.tar)" "$(layers one.tar)"
	same "rootfs" "$("$DRAY" rootfs-id --mtime two.tar)" "$("$DRAY" rootfs-id --mtime out.tar)"
	build --from out.tar --dir models:/srv/models --dir app:/opt/app -o again.tar
	same "built upon itself" "$(layers again.tar)" "$(layers out.tar)"
}

@test "item 49: odd names: newlines, blanks, backslashes, no UTF-8, longer than 100 and than 255 bytes; long targets; more than 8 GiB" {
	python3 - <<-'EOF_PY'
		import os
		os.makedirs(b"app")
		for n in [b"new\nline", b"a blank", b"back\\slash", b"not-\xff\xfe-utf8", b"tab\there", b"-dash", b"q'u\"ote", b"n" * 101, b"m" * 255, b"caf\xc3\xa9"]:
		    open(b"app/" + n, "wb").write(n)
		deep = b"app/" + b"/".join([b"d" * 90] * 4)
		os.makedirs(deep)
		open(deep + b"/leaf", "wb").write(b"leaf")
		os.symlink(b"t" * 300, b"app/long-target")
		os.link(deep + b"/leaf", b"app/long-link")
	EOF_PY
	build --dir app:/ -o out.tar
	"$DRAY" export out.tar 2>/dev/null >tree.tar
	mkdir got
	tar xf tree.tar -C got
	diff -r --no-dereference app got
	same "links" "$(stat -c %h got/long-link)" 2
	python3 - out.tar tree.tar <<-'EOF_PY'
		import os, sys, tarfile
		mine = sorted(os.path.join(d, f)[4:] for d, ds, fs in os.walk(b"app") for f in fs + ds)
		t = tarfile.open(sys.argv[2], encoding="utf-8", errors="surrogateescape")
		assert sorted(os.fsencode(m.name) for m in t) == mine
	EOF_PY
	dray_run verify out.tar
	expect 0
	mkdir huge
	truncate -s 9G huge/file
	dray_run build --dir huge:/ --plan --json
	expect 0
	same "size with its pax record" "$(jq '.layers[0].size' <<<"$output")" $((9 * 1024 * 1024 * 1024 + 512 + 1024 + 1024))
}

@test "item 50: hard links: in a layer, of groups that would part them, of file systems with the same inode numbers" {
	mkdir -p app/x app/y
	echo shared >app/x/one
	ln app/x/one app/y/two
	echo alone >app/y/alone
	spec <<-'EOF_SPEC'
		{ "dray": 1, "sources": [ { "type": "dir", "from": "app" } ],
		  "layers": { "strategy": "explicit", "groups": [ { "name": "x", "match": ["/x/**"] }, { "name": "y", "match": ["/y/**"] } ] } }
	EOF_SPEC
	build spec.json -o out.tar
	same "one file" "$("$DRAY" export out.tar 2>/dev/null | tar tv | sed -n 's/.*link to //p')" x/one
	for n in $(seq 0 $(($(layers out.tar | wc -l) - 1))); do
		layer_tar out.tar "$n" | tar t | grep -x -e x/one -e y/two | tr '\n' ' '
	done >together
	same "kept together" "$(cat together)" "x/one y/two "
	require_root
	mkdir -p dev/a dev/b
	mount -t tmpfs none dev/a || skip "no mounts here"
	mount -t tmpfs none dev/b
	for d in a b; do
		echo "$d" >"dev/$d/f"
		ln "dev/$d/f" "dev/$d/g"
	done
	[ "$(stat -c %i dev/a/f)" = "$(stat -c %i dev/b/f)" ] || skip "file systems count their inodes together here"
	build --dir dev:/ -o two.tar
	for f in a/f a/g b/f b/g; do
		same "$f" "$("$DRAY" cat two.tar "/$f")" "${f%/*}"
	done
}

@test "item 51: links that dangle, loop, are absolute or lead out: entries like any other" {
	mkdir -p app/d
	ln -s nowhere app/dangling
	ln -s loop app/loop
	ln -s /etc/passwd app/absolute
	ln -s ../../../../../etc/shadow app/out
	ln -s d app/to-dir
	ln -s /dev/null app/d/null
	ln -s "$(printf 'x%.0s' $(seq 200))" app/long
	build --dir app:/app --symlink /top:app/d --symlink /abs:/app -o out.tar
	mkdir got
	"$DRAY" export out.tar 2>/dev/null | tar x -C got
	diff -r --no-dereference app got/app
	same "made" "$(readlink got/top) $(readlink got/abs)" "app/d /app"
	build --copy-from out.tar,/app:/copy -o copy.tar
	mkdir copied
	"$DRAY" export copy.tar 2>/dev/null | tar x -C copied
	diff -r --no-dereference app copied/copy
}

@test "item 54: folders of the base keep what they are when something is added in them" {
	mkdir -p new
	echo x >new/f
	spec <<-'EOF_SPEC'
		{ "dray": 1, "sources": [ { "type": "mkdir", "path": "/srv/data", "mode": "2770", "owner": { "uid": 5, "gid": 6 } }, { "type": "mkdir", "path": "/tmp", "mode": "1777" } ], "mtime": 1000000000 }
	EOF_SPEC
	build spec.json -o base.tar
	build --from base.tar --dir new:/srv/data/deep --dir new:/tmp -o out.tar
	same folders "$(owners out.tar | grep '/$')" $'drwxr-xr-x 0/0 srv/\ndrwxrws--- 5/6 srv/data/\ndrwxr-xr-x 0/0 srv/data/deep/\ndrwxrwxrwt 0/0 tmp/'
	same times "$("$DRAY" export out.tar 2>/dev/null | TZ=UTC tar tv --full-time | awk '/(data|tmp)\/$/ { print $4 }' | sort -u)" 2001-09-09
}

@test "item 55: whiteouts of bases, opaque ones too, what comes back under them; as input they are refused" {
	python3 - <<-'EOF_PY'
		import io, tarfile
		def layer(name, rows):
		    with tarfile.open(name, "w", format=tarfile.USTAR_FORMAT) as t:
		        for path, text in rows:
		            e = tarfile.TarInfo(path.rstrip("/"))
		            if path.endswith("/"):
		                e.type, e.mode = tarfile.DIRTYPE, 0o755
		            else:
		                e.size = len(text)
		            t.addfile(e, io.BytesIO(text.encode()))
		layer("l1.tar", [("a/", ""), ("a/gone", "1"), ("a/stays", "1"), ("o/", ""), ("o/hidden", "1"), ("d/", ""), ("d/x", "1"), ("same", "1")])
		layer("l2.tar", [("a/", ""), ("a/.wh.gone", ""), ("o/", ""), ("o/.wh..wh..opq", ""), ("o/new", "2"), (".wh.d", ""), (".wh.same", "")])
	EOF_PY
	build --tar l1.tar -o one.tar
	dray_run append one.tar l2.tar -o base.tar
	expect 0
	same "the base" "$(names base.tar | tr '\n' ' ')" "a a/stays o o/new "
	mkdir -p new/a new/o new/d
	for f in a/gone o/hidden d/y same; do echo back >"new/$f"; done
	build --from base.tar --dir new:/ -o out.tar
	same names "$(names out.tar | tr '\n' ' ')" "a a/gone a/stays d d/y o o/hidden o/new same "
	# What lay below a whiteout is not there to be the same.
	printf 1 >new/same
	printf 1 >new/a/gone
	build --from base.tar --dir new:/ -o again.tar
	same same "$("$DRAY" cat again.tar /same) $("$DRAY" cat again.tar /a/gone)" "1 1"
	dray_run build --tar l2.tar -o no.tar
	expect 6 '*whiteout*'
	: >new/.wh.x
	dray_run build --dir new:/ -o no.tar
	expect 6 '*.wh.x*'
	dray_run build --mkdir /.wh.y -o no.tar
	expect 2 '*".wh."*'
	[ ! -e no.tar ]
}

@test "item 56, 57: a step for each layer, on bases with no, a short and a long history; schema 1 can be made of all" {
	require_peer skopeo
	mkdir -p a b
	echo a >a/f
	echo b >b/g
	build --dir a:/ --dir b:/x --strategy per-source --name made/h:1 -o base.tar
	for kind in none short long same; do
		python3 - base.tar "$kind.tar" "$kind" <<-'EOF_PY'
			import hashlib, io, json, sys, tarfile
			src = tarfile.open(sys.argv[1])
			read = lambda n: src.extractfile(n).read()
			m = json.loads(read("manifest.json"))
			c = json.loads(read(m[0]["Config"]))
			h = {"none": None, "short": c["history"][:1], "long": c["history"] + [{"created_by": "CMD x", "empty_layer": True}], "same": c["history"]}[sys.argv[3]]
			c.pop("history")
			if h is not None:
			    c["history"] = h
			raw = json.dumps(c).encode()
			m[0]["Config"] = hashlib.sha256(raw).hexdigest() + ".json"
			with tarfile.open(sys.argv[2], "w") as out:
			    def add(name, data):
			        e = tarfile.TarInfo(name)
			        e.size = len(data)
			        out.addfile(e, io.BytesIO(data))
			    for l in m[0]["Layers"]:
			        add(l, read(l))
			    add(m[0]["Config"], raw)
			    add("manifest.json", json.dumps(m).encode())
		EOF_PY
		build --from "$kind.tar" --mkdir /new --env A=b --name made/on:1 -o "on-$kind.tar"
		history_fits "on-$kind.tar"
		same "$kind: layers" "$(layers "on-$kind.tar" | head -n 2)" "$(layers base.tar)"
	done
	same "none" "$(steps on-none.tar)" '[3,3,3]'
	same "long" "$(steps on-long.tar)" '[4,3,3]'
	build --env A=b --name made/empty:1 -o empty.tar
	build --from base.tar --env A=b --name made/nothing:1 -o nothing.tar
	same "a base and nothing" "$(layers nothing.tar)" "$(layers base.tar)"
	registry_start schema1 plain REGISTRY_COMPATIBILITY_SCHEMA1_ENABLED=true
	for i in base on-none on-short on-long on-same empty nothing; do
		history_fits "$i.tar"
		# What a registry makes of an image for clients that know no other.
		skopeo copy -q --dest-tls-verify=false "docker-archive:$i.tar" "docker://$REGISTRY_ADDR/$i:1" --format v2s1
		same "$i" "$(registry_curl schema1 "/v2/$i/manifests/1" -H 'Accept: application/vnd.docker.distribution.manifest.v1+prettyjws' |
			jq -c '[.schemaVersion, ([.history[].v1Compatibility | fromjson | select(.throwaway | not)] | length)]')" "[1,$(layers "$i.tar" | wc -l)]"
	done
}

@test "item 58: an image of nothing has one layer, the empty tar: engines and layouts take it" {
	build --from scratch --env A=b --name example.org/nothing:1 -o out.tar
	same layers "$(layers out.tar)" sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
	same bytes "$(layer_tar out.tar 0 | tr -d '\0' | wc -c) $(layer_tar out.tar 0 | wc -c)" "0 1024"
	same names "$(names out.tar)" ""
	history_fits out.tar
	same plan "$("$DRAY" build --env A=b --plan --json | jq -c '[.layers[].entries]')" '[0]'
	build --from out.tar --env C=d --name example.org/nothing:2 -o again.tar
	same "nothing on it" "$(layers again.tar)" "$(layers out.tar)"
	mkdir app
	echo x >app/f
	build --from out.tar --dir app:/ -o more.tar
	same "something on it" "$(names more.tar)" f
	build --dir app:/ -o plain.tar
	same "no layer too many" "$(layers plain.tar | wc -l)" 1
	for how in "" --legacy; do
		build --env A=b --name example.org/nothing:1 $how -o out.tar
		require_docker
		require_peer podman skopeo umoci
		docker load --quiet -i out.tar
		same env "$(docker image inspect --format '{{.Config.Env}}' example.org/nothing:1)" "[A=b]"
		docker rmi example.org/nothing:1
		podman load --quiet -i out.tar
		podman rmi example.org/nothing:1
		rm -rf layout
		skopeo copy -q docker-archive:out.tar "oci:$T/layout:1"
		rm -rf bundle
		umoci unpack --rootless --image "layout:1" bundle >/dev/null
		same files "$(find bundle/rootfs -mindepth 1)" ""
	done
}

@test "item 59: two hundred units in 64 layers, in little memory" {
	mkdir -p store
	python3 - <<-'EOF_PY'
		import json, os
		g = []
		for i in range(200):
		    p = f"{i:03}-unit"
		    os.makedirs(f"store/{p}/lib/deep")
		    for k in range(10):
		        open(f"store/{p}/lib/deep/f{k}", "wb").write(os.urandom(100 * (i + 1)))
		    g.append({"path": f"/nix/store/{p}", "narSize": 1000 * (i + 1), "references": [f"/nix/store/{k:03}-unit" for k in range(i) if (i * 7 + k) % 11 == 0]})
		json.dump(g, open("graph.json", "w"))
	EOF_PY
	spec <<-'EOF_SPEC'
		{ "dray": 1, "sources": [ { "type": "closure", "graph": "graph.json", "store": "/nix/store", "from": "store" } ], "layers": { "max": 64, "min_size": 0 } }
	EOF_SPEC
	dray_peak /dev/null build spec.json -o out.tar
	expect 0
	[ "$(layers out.tar | wc -l)" -le 64 ]
	[ "$(layers out.tar | wc -l)" -gt 32 ]
	same units "$("$DRAY" files out.tar /nix/store 2>/dev/null | grep -c 'f[0-9]$')" 2000
	dray_sanitized || [ "$PEAK_KIB" -le 131072 ]
}

@test "item 60: whatever goes wrong, nothing half-made is left, and what was there stays" {
	mkdir app bad
	echo x >app/f
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("bad/sock")'
	head -c 3000 /dev/urandom >broken.tar
	echo old >out.tar
	cp out.tar before
	mkdir layout
	n=0
	while read -r words; do
		n=$((n + 1))
		for dst in out.tar "oci:$T/layout:1" "dir:$T/dir" new.tar; do
			# shellcheck disable=SC2086
			dray_run build $words -o "$dst"
			[ "$status" -ne 0 ] || {
				echo "$words: it was built"
				return 1
			}
		done
		cmp out.tar before
		same "after $words" "$(find . -mindepth 1 | grep -e 'new\.tar' -e '\.dray' -e '^\./tmp/.' -e '^\./dir' -e layout/)" ""
	done <<-'EOF_W'
		--dir none:/
		--dir bad:/
		--tar broken.tar
		--from broken.tar --dir app:/
		--from none.tar --dir app:/
		--dir app:/ --layers-max 0
		--dir app:/ --dir bad:/x
		--dir app:/ --strategy nothing
		--dir app:/../x
		--dir app:/ --platform nothing
		--dir app:/ --created soon
		--dir app:/ --name Bad//Name
		--copy-from broken.tar,/x
	EOF_W
	[ "$n" -eq 13 ]
	build --dir app:/ -o out.tar
}
