#!/usr/bin/env bats
# build: the acceptance list of a builder, item by item where it does not need a closure.

load build

setup() { build_setup; }
teardown() { peers_teardown; }

spec() { cat >"$T/spec.json"; }

@test "a folder from scratch, by flags and by spec: the same bytes, and both engines run it" {
	program app/run hello
	mkdir -p app/lib
	echo data >app/lib/a
	ln app/lib/a app/lib/b
	ln -s nowhere app/lib/dangling
	build --from scratch --dir app:/srv/app --entrypoint /srv/app/run --name example.org/hello:1 -o app.tar
	digest=$DIGEST
	dray_run build --from scratch --dir app:/srv/app --entrypoint /srv/app/run --name example.org/hello:1 --print-spec
	expect 0
	printf '%s\n' "$output" >spec.json
	build spec.json -o spec.tar
	cmp app.tar spec.tar
	same "by pipe" "$("$DRAY" build - -o - <spec.json 2>/dev/null | sha256sum)" "$(sha256sum <app.tar)"
	dray_run build spec.json --print-spec
	same "printed again" "$output" "$(cat spec.json)"
	history_fits app.tar
	dray_run verify app.tar
	expect 0
	runs app.tar example.org/hello:1 $'hello\ndata' /srv/app/lib/b
}

@test "item 5, 6: links are entries: to folders, to nothing, absolute; what they lead to is not copied" {
	mkdir -p app/dir
	echo x >app/dir/file
	ln -s dir app/to-dir
	ln -s /etc/passwd app/absolute
	ln -s ../../nowhere app/nowhere
	ln -s loop app/loop
	build --dir app:/app -o out.tar
	same names "$(names out.tar)" $'app\napp/absolute\napp/dir\napp/dir/file\napp/loop\napp/nowhere\napp/to-dir'
	same links "$("$DRAY" export out.tar 2>/dev/null | tar tv | sed -n 's/.* \(app[^ ]*\) -> /\1 /p')" \
		$'app/absolute /etc/passwd\napp/loop loop\napp/nowhere ../../nowhere\napp/to-dir dir'
}

@test "item 7: contents are what they were: type, exec bit, every byte" {
	mkdir app
	head -c 100000 /dev/urandom >app/random
	: >app/empty
	head -c 512 /dev/zero >app/block
	printf 'x' >app/run
	chmod 755 app/run
	build --dir app:/ -o out.tar
	mkdir got
	"$DRAY" export out.tar 2>/dev/null | tar x -C got
	diff -r app got
	same modes "$(stat -c '%a %n' got/* | tr '\n' ' ')" "644 got/block 644 got/empty 644 got/random 755 got/run "
}

@test "item 8: nothing at all: a valid image that engines load" {
	build --from scratch --env A=b --name example.org/nothing:1 -o out.tar
	same names "$(names out.tar)" ""
	same "one layer" "$(layers out.tar)" sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
	history_fits out.tar
	require_docker
	require_peer podman skopeo
	docker load --quiet -i out.tar
	same env "$(docker image inspect --format '{{.Config.Env}}' example.org/nothing:1)" "[A=b]"
	docker rmi example.org/nothing:1
	skopeo copy -q docker-archive:out.tar "oci:$T/layout:1"
}

@test "item 11-16: no more layers than asked for, all files in exactly one of them" {
	for i in 1 2 3 4 5; do
		mkdir -p "u$i"
		head -c $((i * 300000)) /dev/urandom >"u$i/file"
	done
	for max in 1 2 4 5 6; do
		build --layers-max "$max" --strategy size \
			--dir u1:/store/u1 --dir u2:/opt/u2 --dir u3:/usr/u3 --dir u4:/var/u4 --dir u5:/srv/u5 -o "out$max.tar"
		[ "$(layers "out$max.tar" | wc -l)" -le "$max" ]
		same "files with $max" "$("$DRAY" export "out$max.tar" 2>/dev/null | tar t | grep -c 'file$')" 5
		for n in $(seq 0 $(($(layers "out$max.tar" | wc -l) - 1))); do layer_tar "out$max.tar" "$n" | tar t; done |
			grep 'file$' | sort >all
		same "each once with $max" "$(sort -u all)" "$(cat all)"
	done
	same "max 1" "$(layers out1.tar | wc -l)" 1
}

@test "item 13, 14: the base counts; one that leaves no room is an error with both numbers" {
	mkdir a
	echo a >a/file
	build --dir a:/1 --name base:1 -o b1.tar
	build --from b1.tar --dir a:/2 --name base:2 -o b2.tar
	same layers "$(layers b2.tar | wc -l)" 2
	mkdir -p x/usr/1 x/opt/2
	head -c 2000000 /dev/urandom >x/usr/1/f
	head -c 3000000 /dev/urandom >x/opt/2/f
	head -c 4000000 /dev/urandom >x/g
	build --from b2.tar --dir x:/ --layers-max 4 --strategy size -o out.tar
	same layers "$(layers out.tar | wc -l)" 4
	same "the base's" "$(layers out.tar | head -2)" "$(layers b2.tar)"
	dray_run build --from b2.tar --dir x:/ --layers-max 2 -o no.tar
	expect 6 '*2 layers*2 (layers.max)*'
	[ ! -e no.tar ]
}

@test "item 17, 18, 22: images on images: the topmost text wins, lower layers stay below" {
	program app/bin/first first
	for i in a b c; do
		mkdir -p "$i/d"
		echo "$i" >"$i/d/text"
		echo "only $i" >"$i/d/only-$i"
	done
	build --dir app:/ --dir a:/ --entrypoint /bin/first --name made/a:1 -o a.tar
	build --from a.tar --dir b:/ --name made/b:1 -o b.tar
	build --from b.tar --dir c:/ --name made/c:1 -o c.tar
	same "lowest layers" "$(layers c.tar | head -2)" "$(layers b.tar)"
	history_fits c.tar
	runs c.tar made/c:1 $'first\nc\nonly a\nonly b\nonly c' /d/text /d/only-a /d/only-b /d/only-c
}

@test "item 20: two images that share a folder share its layer" {
	mkdir lib one two
	echo lib >lib/lib
	echo 1 >one/app
	echo 2 >two/app
	build --strategy per-source --dir lib:/usr/lib --dir one:/srv -o one.tar
	build --strategy per-source --dir lib:/usr/lib --dir two:/srv -o two.tar
	same shared "$(comm -12 <(layers one.tar | sort) <(layers two.tar | sort) | wc -l)" 1
}

@test "item 21, 23: bases of docker save old and new, of skopeo, of an OCI layout: layers kept" {
	image_need sym
	mkdir app
	echo new >app/file
	require_peer skopeo
	skopeo copy -q "docker-archive:$IMAGE" "oci:$T/layout:1"
	for base in "$IMAGE" "oci:$T/layout:1"; do
		build --from "$base" --dir app:/srv/new --name made/on:1 -o out.tar
		same "layers below" "$(layers out.tar | head -n -1)" "$(layers "$base")"
		history_fits out.tar
		dray_run verify out.tar
		expect 0
	done
}

@test "item 24: Env: kept, added, overridden once, at its first place" {
	spec <<-'EOF_SPEC'
		{ "dray": 1, "config": { "Env": ["PARENT=p", "BOTH=p", "PATH=/bin"] }, "sources": [ { "type": "mkdir", "path": "/a" } ] }
	EOF_SPEC
	build spec.json -o base.tar
	build --from base.tar --env BOTH=c --env CHILD=c --env PARENT- --mkdir /b -o out.tar
	same env "$(config out.tar | jq -c .Env)" '["BOTH=c","PATH=/bin","CHILD=c"]'
}

@test "item 25: Entrypoint, Cmd, ports, volumes, folder and user as given; Cmd of a base goes with a new Entrypoint" {
	build --mkdir /a --entrypoint '["/a","-x"]' --cmd 'b c' --expose 80/tcp --volume /v --workdir /w --user 1:2 \
		--label a=b --stop-signal SIGINT -o base.tar
	same config "$(config base.tar)" \
		'{"Cmd":["b","c"],"Entrypoint":["/a","-x"],"ExposedPorts":{"80/tcp":{}},"Labels":{"a":"b"},"StopSignal":"SIGINT","User":"1:2","Volumes":{"/v":{}},"WorkingDir":"/w"}'
	build --from base.tar --mkdir /b --entrypoint /other --volume /v- --label a- --label c=d -o out.tar
	same config "$(config out.tar)" \
		'{"Entrypoint":["/other"],"ExposedPorts":{"80/tcp":{}},"Labels":{"c":"d"},"StopSignal":"SIGINT","User":"1:2","WorkingDir":"/w"}'
	spec <<-'EOF_SPEC'
		{ "dray": 1, "base": { "image": "base.tar", "inherit": ["Env"] }, "sources": [ { "type": "mkdir", "path": "/b" } ] }
	EOF_SPEC
	build spec.json -o none.tar
	same "nothing but Env" "$(config none.tar)" '{}'
}

@test "item 26: the architecture that was asked for; a base of another one is refused" {
	build --platform linux/arm64 --mkdir /a -o out.tar
	same platform "$("$DRAY" inspect --json out.tar | jq -r '.images[0].platform')" linux/arm64
	same config "$("$DRAY" inspect --config out.tar | jq -r '[.os, .architecture] | join("/")')" linux/arm64
	dray_run build --from out.tar --platform linux/amd64 --mkdir /b -o no.tar
	expect 2 '*linux/arm64*linux/amd64*'
	[ ! -e no.tar ]
}

@test "item 27, 28: names keep their registry, lose their capitals, tags keep theirs" {
	dray_run build --mkdir /a --name Reg.Example:5000/Team/Api:V1 -o out.tar
	expect 0 '*warning*no capitals*'
	same tag "$(tar xOf out.tar manifest.json | jq -r '.[0].RepoTags[0]')" reg.example:5000/team/api:V1
	dray_run build --mkdir /a --name Team/api:V1 --strict-name -o no.tar
	expect 2 '*has capitals*'
	[ ! -e no.tar ]
	build --mkdir /a --name team/api:V1 --strict-name -o out.tar
}

@test "item 29: without a tag one made of the ID, the same each time; tags change no layer" {
	build --mkdir /a --name made/it -o a.tar
	id=${DIGEST#sha256:}
	same tag "$(tar xOf a.tar manifest.json | jq -r '.[0].RepoTags[0]')" "made/it:${id:0:32}"
	build --mkdir /a --name made/it:x -o b.tar
	same layers "$(layers b.tar)" "$(layers a.tar)"
	build --mkdir /a --name made/it --tag x --tag y -o c.tar
	same tags "$(tar xOf c.tar manifest.json | jq -c '.[0].RepoTags')" '["made/it:x","made/it:y"]'
	# Of several names the last one, with its tag and no other's.
	tags() { tar xOf d.tar manifest.json | jq -c '.[0].RepoTags'; }
	build --mkdir /a --name made/a:1 --name made/b:2 -o d.tar
	same "two names" "$(tags)" '["made/b:2"]'
	build --mkdir /a --name made/a:1 --tag x --name made/b:2 --tag y -o d.tar
	same "tags add" "$(tags)" '["made/b:x","made/b:2","made/b:y"]'
	echo '{ "dray": 1, "name": "made/c", "tag": "3" }' >tagged.json
	build tagged.json --name made/a:1 --name made/b -o d.tar
	same "the spec's tag" "$(tags)" '["made/b:3"]'
}

@test "item 30-33: times: a second after the epoch; now; SOURCE_DATE_EPOCH; layers do not follow created" {
	created() { "$DRAY" inspect --json "$1" | jq -r '.images[0].created'; }
	build --mkdir /a -o a.tar
	same created "$(created a.tar)" 1970-01-01T00:00:01Z
	build --mkdir /a --created now -o b.tar
	[ "$(created b.tar)" != 1970-01-01T00:00:01Z ]
	same layers "$(layers b.tar)" "$(layers a.tar)"
	SOURCE_DATE_EPOCH=0 build --mkdir /a -o c.tar
	same "epoch 0" "$(created c.tar)" 1970-01-01T00:00:00Z
	same "mtime 0" "$("$DRAY" export c.tar 2>/dev/null | TZ=UTC tar tv --full-time | awk '{ print $4, $5 }')" "1970-01-01 00:00:00"
	SOURCE_DATE_EPOCH=86400 build --mkdir /a --created 2026-01-15T00:00:00Z -o d.tar
	same "flag first" "$(created d.tar)" 2026-01-15T00:00:00Z
	SOURCE_DATE_EPOCH='' build --mkdir /a -o e.tar
	cmp a.tar e.tar
	for bad in 1x ' 1' 1.5 -1; do
		SOURCE_DATE_EPOCH=$bad dray_run build --mkdir /a -o no.tar
		expect 2 '*SOURCE_DATE_EPOCH*'
	done
	echo '{ "dray": 1, "created": "now" }' >now.json
	SOURCE_DATE_EPOCH=1 dray_run build now.json -o no.tar
	expect 2 '*now*SOURCE_DATE_EPOCH*'
	[ ! -e no.tar ]
}

@test "item 34-37: owners: 0:0 whoever owns the files, or by rule, by source, with names" {
	mkdir -p app/home/alice
	echo x >app/home/alice/f
	echo y >app/y
	[ "$(id -u)" != 0 ] || chown -R 1234:1234 app
	build --dir app:/ -o a.tar
	same owners "$("$DRAY" export a.tar 2>/dev/null | tar tv --numeric-owner | awk '{ print $2 }' | sort -u)" 0/0
	spec <<-'EOF_SPEC'
		{ "dray": 1, "sources": [ { "type": "dir", "from": "app" } ],
		  "rules": [
		    { "match": "/home/alice", "owner": { "uid": 1000, "gid": 1000 } },
		    { "match": "/home/alice/**", "owner": { "uid": 1000, "gid": 1000, "uname": "alice", "gname": "users" } },
		    { "match": "/y", "type": "f", "owner": { "uid": 12345, "gid": 12345 }, "mode": "0600" } ] }
	EOF_SPEC
	build spec.json -o b.tar
	same "by rule" "$("$DRAY" export b.tar 2>/dev/null | tar tv | awk '{ print $1, $2, $6 }')" \
		$'drwxr-xr-x 0/0 home/\ndrwxr-xr-x 1000/1000 home/alice/\n-rw-r--r-- alice/users home/alice/f\n-rw------- 12345/12345 y'
	build --owner 1000:1000:user:user --dir app:/ -o c.tar
	same "all" "$("$DRAY" export c.tar 2>/dev/null | tar tv | awk '{ print $2 }' | sort -u)" user/user
}

@test "item 53: what the base has to the same effect is left out; what differs is not" {
	mkdir -p a/etc a/usr
	echo same >a/etc/same
	echo old >a/etc/text
	echo mode >a/etc/mode
	build --dir a:/ -o base.tar
	echo new >a/etc/text
	echo more >a/usr/more
	chmod 755 a/etc/mode
	touch -d 2020-01-01 a/etc/same
	build --from base.tar --dir a:/ -o out.tar
	same "new layer" "$(layer_tar out.tar 1 | tar t)" $'etc/\netc/mode\netc/text\nusr/\nusr/more'
	build --from base.tar --dir a:/ --dedupe off -o all.tar
	same "all of it" "$(layer_tar all.tar 1 | tar t | grep -c same)" 1
}

@test "item 52: a base with a merged /usr stays merged: /bin/tool goes to /usr/bin/tool" {
	program tool/tool tool
	mkdir -p base/usr/bin
	ln -s usr/bin base/bin
	echo keep >base/usr/bin/keep
	build --dir base:/ --name made/base:1 -o base.tar
	dray_run build -v --from base.tar --dir tool:/bin --entrypoint /bin/tool --name made/tool:1 -o out.tar
	expect 0 '*/bin is /usr/bin*'
	same names "$(names out.tar)" $'bin\nusr\nusr/bin\nusr/bin/keep\nusr/bin/tool'
	runs out.tar made/tool:1 $'tool\nkeep' /bin/keep
	mkdir -p file
	echo x >file/usr
	dray_run build --from base.tar --dir file:/ -o no.tar
	expect 2 '*/usr*folder of the base*'
	[ ! -e no.tar ]
}

@test "files of other images, by glob, links that lead nowhere untouched" {
	mkdir -p a/opt/x
	echo 1 >a/opt/x/one.txt
	echo 2 >a/opt/x/two.log
	ln -s nowhere a/opt/x/broken
	build --dir a:/ -o a.tar
	spec <<-'EOF_SPEC'
		{ "dray": 1, "sources": [ { "type": "image", "from": "a.tar", "path": "/opt", "to": "/srv", "exclude": ["*.log"] } ] }
	EOF_SPEC
	build spec.json -o out.tar
	same names "$(names out.tar)" $'srv\nsrv/x\nsrv/x/broken\nsrv/x/one.txt'
	build --copy-from a.tar,/opt/x/one.txt:/bin/first -o b.tar
	same "one file" "$("$DRAY" cat b.tar /bin/first)" 1
	dray_run build --copy-from a.tar,/none -o no.tar
	expect 3 '*/none*'
}

@test "tars as sources: stripped, compressed, with their owners; whiteouts and links that leave are refused" {
	mkdir -p t/top/dir
	echo x >t/top/dir/f
	ln t/top/dir/f t/top/dir/hard
	tar c -C t --owner=7 --group=8 --format=gnu top | zstd -q >t.tar.zst
	echo '{ "dray": 1, "sources": [ { "type": "tar", "from": "t.tar.zst", "strip": 1, "to": "/app" } ] }' >spec.json
	build spec.json -o out.tar
	same entries "$("$DRAY" export out.tar 2>/dev/null | tar tv --numeric-owner | awk '{ print $1, $2, $6, $7, $8, $9 }')" \
		$'drwxr-xr-x 0/0 app/   \ndrwxr-xr-x 7/8 app/dir/   \n-rw-r--r-- 7/8 app/dir/f   \nhrw-r--r-- 7/8 app/dir/hard link to app/dir/f'
	mkdir w
	: >w/.wh.gone
	tar cf w.tar -C w .
	dray_run build --tar w.tar -o no.tar
	expect 6 '*whiteout*'
	mkfifo pipe
	dray_run build --tar pipe -o no.tar
	expect 2 '*source 1 (tar): it is no file*'
	[ ! -e no.tar ]
}

@test "users: lines are added to what is there, the same user twice is one" {
	mkdir -p base/etc
	echo 'root:x:0:0:root:/root:/bin/sh' >base/etc/passwd
	echo 'root:x:0:' >base/etc/group
	build --dir base:/ -o base.tar
	build --from base.tar --user app:1000:1000:/srv:/bin/sh --group data:2000 --user 1000 -o out.tar
	same passwd "$("$DRAY" cat out.tar /etc/passwd)" $'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/srv:/bin/sh'
	same group "$("$DRAY" cat out.tar /etc/group)" $'root:x:0:\ndata:x:2000:\napp:x:1000:'
	same user "$(config out.tar)" '{"User":"1000"}'
	build --from out.tar --user app:1000:1000 --mkdir /x -o again.tar
	same "not stored again" "$(layer_tar again.tar 2 | tar t)" x/
	dray_run build --from out.tar --user app:1001:1000 -o no.tar
	expect 2 '*"app" is there already*'
}

@test "two sources with one path: refused, or the first, or the last; the same content is fine" {
	mkdir a b
	echo a >a/f
	echo b >b/f
	dray_run build --dir a:/ --dir b:/ -o no.tar
	expect 2 '*source 2*/f*two sources*'
	[ ! -e no.tar ]
	build --conflict first --dir a:/ --dir b:/ -o first.tar
	same first "$("$DRAY" cat first.tar /f)" a
	build --conflict last --dir a:/ --dir b:/ -o last.tar
	same last "$("$DRAY" cat last.tar /f)" b
	echo a >b/f
	build --dir a:/ --dir b:/ -o out.tar
}

@test "groups of layers, what changes on top; a change of one file changes one layer" {
	mkdir -p models app venv
	head -c 300000 /dev/urandom >models/m
	head -c 200000 /dev/urandom >venv/v
	echo 1 >app/run
	spec <<-'EOF_SPEC'
		{ "dray": 1,
		  "sources": [
		    { "id": "app", "type": "dir", "from": "app", "to": "/srv/app" },
		    { "id": "model", "type": "dir", "from": "models", "to": "/srv/models" },
		    { "id": "venv", "type": "dir", "from": "venv", "to": "/srv/app/venv" } ],
		  "layers": { "groups": [ { "name": "models", "sources": ["model"] }, { "name": "venv", "match": ["/srv/app/venv/**"] } ],
		              "volatile": ["app"] } }
	EOF_SPEC
	build spec.json -o a.tar
	same lowest "$(layer_tar a.tar 0 | tar t)" $'srv/\nsrv/models/\nsrv/models/m'
	same top "$(layer_tar a.tar 2 | tar t)" $'srv/\nsrv/app/\nsrv/app/run'
	echo 2 >app/run
	build spec.json -o b.tar
	same "layers that stay" "$(layers b.tar | head -2)" "$(layers a.tar | head -2)"
	[ "$(layers b.tar | tail -1)" != "$(layers a.tar | tail -1)" ]
	dray_run build spec.json --plan --json
	expect 0
	same "plan" "$(jq -c '[.layers[].name]' <<<"$output")" '["models","venv","volatile"]'
}

@test "several outputs: what was made is told though a later one fails; what can be seen before it is" {
	mkdir app strange
	echo x | tee app/x >strange/file
	dray_run build --dir app --name example.org/app:1 -o one.tar -o oci:two -o oci:strange -o no.tar
	expect 2 '*not empty and no OCI layout*'
	same told "$output" "one.tar@$("$DRAY" digest --image-id one.tar)
two@$("$DRAY" digest two)"
	[ ! -e no.tar ]
	rm -r one.tar two
	while IFS='|' read -r code message place; do
		dray_run build --dir app --name example.org/app:1 -o one.tar -o oci:two -o "$place"
		expect "$code" "*$message*"
		same told "$output" ""
		[ ! -e one.tar ] && [ ! -e two ]
	done <<-EOF_P
		9|missing/no.tar: *No such file|missing/no.tar
		9|No such file|oci:$T/missing/no/
		9|No such file|oci-archive:missing/no.tar:1
		2|UPPER|docker-archive:no.tar:UPPER
		2|a position is not written to|docker-archive:no.tar:@1
		2|a path is missing|oci:
		2|reference|docker://example.org/app:1:2
		8|only read|docker-root:strange
	EOF_P
	# A folder that is there, however it is written.
	for place in oci:three/ ./four.tar "$T/five.tar" oci-archive:six.tar:1; do
		dray_run build --dir app --name example.org/app:1 -o one.tar -o "$place"
		expect 0
		same lines "$(wc -l <<<"$output")" 2
	done
}

@test "straight to a registry: only what it lacks is sent" {
	registry_start build plain
	mkdir app lib
	head -c 500000 /dev/urandom >lib/lib
	echo 1 >app/run
	build --strategy per-source --dir lib:/usr/lib --dir app:/srv -o "docker://$REGISTRY_ADDR/app:1" --plain-http
	echo 2 >app/run
	dray_run build --json --strategy per-source --dir lib:/usr/lib --dir app:/srv -o "docker://$REGISTRY_ADDR/app:2" --plain-http
	expect 0
	same sent "$(jq -c '.built | [.blobs_sent, .blobs_skipped]' <<<"$output")" '[1,1]'
	remote_walk "$REGISTRY_ADDR" app 2
	same "media type" "$(remote_manifest "$REGISTRY_ADDR" app 2 | jq -r .mediaType)" "$MT_OCI_MANIFEST"
}

@test "straight to a registry: many layers side by side, the same image as anywhere; what is there is not sent again" {
	registry_start build plain
	for i in $(seq 24); do
		mkdir -p "tree/opt/$i"
		seq "$i" 40000 >"tree/opt/$i/f"
	done
	echo '{ "dray": 1, "name": "app", "tag": "1", "layers": { "min_size": 0 }, "sources": [ { "type": "dir", "from": "tree", "to": "/" } ] }' >spec.json
	build spec.json --compression gzip -o oci:here:app
	here=$DIGEST
	[ "$(layers oci:here:app | wc -l)" -gt 10 ]
	build spec.json -j 8 -o "docker://$REGISTRY_ADDR/app:1" --plain-http
	same "the same image" "$DIGEST" "$here"
	remote_walk "$REGISTRY_ADDR" app 1
	for name in app:1 app:2 other:1; do # the tag knows them, the cache does, another repository has them
		dray_run build spec.json -j 8 --json -o "docker://$REGISTRY_ADDR/$name" --plain-http
		expect 0
		same "sent to $name" "$(jq -c '.built.blobs_sent' <<<"$output")" 0
	done
	remote_walk "$REGISTRY_ADDR" other 1
	echo more >>tree/opt/7/f
	dray_run build spec.json -j 8 --json -o "docker://$REGISTRY_ADDR/app:1" --plain-http
	expect 0
	same "one changed" "$(jq -c '.built.blobs_sent' <<<"$output")" 1
	remote_walk "$REGISTRY_ADDR" app 1
}
