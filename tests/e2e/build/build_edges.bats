#!/usr/bin/env bats
# build: what files, tars and images can be beside the usual, each with a plain twin.

load build

setup() { build_setup; }
teardown() { peers_teardown; }

spec() { printf '%s' "$1" >spec.json; }

@test "names of one file in the base, held against files of their own" {
	mkdir linked apart
	echo same-data >linked/a
	ln linked/a linked/b
	tar cf linked.tar --owner=0 --group=0 --numeric-owner --mtime=@1 -C linked a b
	build --tar linked.tar:/d -o base.tar
	echo same-data >apart/a
	echo other-one >apart/b
	build --from base.tar --dir apart:/d -o out.tar
	same a "$("$DRAY" cat out.tar /d/a)" same-data
	same b "$("$DRAY" cat out.tar /d/b)" other-one
	# Both as they were: only the one with new bytes is written.
	same written "$(layer_tar out.tar 1 | tar t | sort | tr '\n' ' ')" 'd/ d/b '
}

@test "equal layers of an image that is a source: the same place for two files" {
	local tar
	mkdir x h
	echo of-both >x/a
	tar cf x.tar -C x a
	cp x/a h/a
	ln h/a h/b
	tar cf h.tar -C h a b
	tar --delete -f h.tar a # "b" is a hard link to what the layer below has
	spec '{ "dray": 1 }'
	build spec.json -o none.tar
	for tar in x h x; do
		dray_run append none.tar "$tar.tar" -o next.tar
		ok
		mv next.tar none.tar
	done
	same "equal layers" "$(layers none.tar | sed -n 2p)" "$(layers none.tar | sed -n 4p)"
	build --copy-from none.tar,/:/z -o out.tar
	same a "$("$DRAY" cat out.tar /z/a)" of-both
	same b "$("$DRAY" cat out.tar /z/b)" of-both
}

# linked_xattrs TAR: a file with an attribute, and a hard link to it whose header has another one.
linked_xattrs() {
	python3 - "$1" <<-'EOF_P'
		import io, sys, tarfile
		with tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT) as tar:
		    a = tarfile.TarInfo("a")
		    a.size, a.pax_headers = 4, {"SCHILY.xattr.user.k": "v"}
		    tar.addfile(a, io.BytesIO(b"same"))
		    b = tarfile.TarInfo("b")
		    b.type, b.linkname, b.pax_headers = tarfile.LNKTYPE, "a", {"SCHILY.xattr.user.j": "w"}
		    tar.addfile(b)
	EOF_P
}

@test "an image that is a source, or the base: attributes of a hard link over those of its file" {
	local want='{"user.j":"w","user.k":"v"}'
	xattrs() { "$DRAY" files --json "$1" | jq -cS 'select(.xattrs) | .xattrs' | sort -u; }
	linked_xattrs l.tar
	spec '{ "dray": 1 }'
	build spec.json -o none.tar
	dray_run append none.tar l.tar -o src.tar
	ok
	same "the source" "$(xattrs src.tar)" "$want"
	build --copy-from src.tar,/ -o out.tar
	same "all of it" "$(xattrs out.tar)" "$want"
	build --copy-from src.tar,/b:/z -o out.tar
	same "the link alone" "$(xattrs out.tar)" "$want"
	build --from src.tar --rule /a,mtime=7 -o out.tar
	same "a base that a rule changes" "$(xattrs out.tar)" "$want"
}

@test "a mkdir where the base has a link to a folder says it of that folder; trees say nothing of it" {
	build --mkdir /usr/bin --symlink /bin:usr/bin --symlink /sbin:/bin --symlink /top:/ --symlink /none:/nowhere --file /usr/bin/sh=x -o base.tar
	shown() { "$DRAY" files --json "$1" "$2" | jq -r '"\(.path) \(.mode) \(.uid):\(.gid)"' | head -1; }
	spec '{ "dray": 1, "base": { "image": "base.tar" }, "sources": [ { "type": "mkdir", "path": "/bin", "mode": "0700", "owner": { "uid": 7, "gid": 8 } } ] }'
	dray_run build spec.json -v -o out.tar
	ok
	[[ $stderr == */bin*/usr/bin* ]]
	same "the folder behind" "$(shown out.tar /usr/bin)" 'usr/bin 0700 7:8'
	same "the link" "$("$DRAY" files out.tar | grep -c ' bin -> usr/bin$')" 1
	same "what is in it" "$("$DRAY" cat out.tar /bin/sh)" x
	same "what is new" "$(layer_tar out.tar 1 | tar t | tr '\n' ' ')" 'usr/ usr/bin/ '
	build --from base.tar --mkdir /sbin:1777 -o out.tar
	same "by two links" "$(shown out.tar /usr/bin)" 'usr/bin 1777 0:0'
	build --file /a/b/x=1 --symlink /l:a/b --mkdir /l:0711 -o out.tar
	same "a link of a source" "$(shown out.tar /a/b)" 'a/b 0711 0:0'
	mkdir -p tree/bin
	spec '{ "dray": 1, "base": { "image": "base.tar" }, "sources": [ { "type": "dir", "from": "tree", "mode": "0700" } ] }'
	build spec.json -o out.tar
	same "of a tree" "$(layers out.tar)" "$(layers base.tar)"
	# Links that lead to no folder, or to the root.
	dray_run build --from base.tar --mkdir /none:0700 -o no.tar
	expect 2 '*"replace": true*'
	dray_run build --from base.tar --mkdir /top:0700 -o no.tar
	expect 2 '*/top: it leads to the root*'
	dray_run build --from base.tar --no-follow-base-links --mkdir /bin:0700 -o no.tar
	expect 2 '*"replace": true*'
	[ ! -e no.tar ]
}

@test "the root: of a tar and an image it is the folder's that they go to; / is the base's, or nobody's" {
	mkdir root
	echo a >root/a
	chmod 1711 root
	tar cf root.tar --owner=3 --group=4 --numeric-owner -C root .
	tree() { "$DRAY" export "$1" 2>/dev/null | tar tv --numeric-owner | awk '{ print $1, $2, $6 }' | head -1; }
	spec '{ "dray": 1 }'
	build spec.json -o none.tar
	dray_run append none.tar root.tar -o image.tar
	ok
	same "the image" "$(tree image.tar)" 'drwx--x--t 3/4 ./'
	local source
	for source in --tar=root.tar --copy-from=image.tar,/; do
		build "$source" -o out.tar
		same "$source: no entry" "$(tree out.tar)" '-rw-r--r-- 3/4 a'
		build "$source:/x" -o out.tar
		same "$source: of a folder" "$(tree out.tar)" 'drwx--x--t 3/4 x/'
	done
	build --from image.tar --tar root.tar --file /b=1 -o out.tar
	same "of the base" "$(tree out.tar)" 'drwx--x--t 3/4 ./'
	for source in --mkdir=/:0700 --rule=/,mode=0700; do
		dray_run build "$source" --file /b=1 -o no.tar
		expect 2 '*root*'
	done
	[ ! -e no.tar ]
}

# both_platforms DIR: an index of two images, with the name of the platform in /arch.
both_platforms() {
	local p
	for p in amd64 arm64; do
		build --platform "linux/$p" --file "/arch=$p" -o "oci:$p" || return 1
		jq -c --arg p "$p" '.manifests[0] + { platform: { os: "linux", architecture: $p } } | del(.annotations)' "$p/index.json" >>"$1.list"
	done
	mkdir -p "$1"
	cp -r amd64/. "$1"
	cp -r arm64/blobs "$1"
	jq -s '{ schemaVersion: 2, manifests: . }' "$1.list" >"$1/index.json"
}

@test "an image of several platforms as a source: the one that the spec names, else the base's" {
	local p
	both_platforms both
	for p in amd64 arm64; do
		build --platform "linux/$p" --copy-from oci:both,/arch -o out.tar
		same "/arch for $p" "$("$DRAY" cat out.tar /arch)" "$p"
		build --platform "linux/$p" --mkdir /base -o base.tar
		build --from base.tar --copy-from oci:both,/arch:/ours -o out.tar
		same "/ours on a base for $p" "$("$DRAY" cat out.tar /ours)" "$p"
	done
}

@test "rules: folders that only their contents imply; what the base has cannot be deleted; the later layer" {
	spec '{ "dray": 1, "sources": [ { "type": "file", "path": "/srv/data/a", "text": "a" } ],
	  "rules": [ { "match": "/srv/data", "type": "d", "mode": "1777", "owner": { "uid": 7, "gid": 8 } } ] }'
	build spec.json --mtime 1000 -o out.tar
	same "as the rule says" "$(layer_tar out.tar 0 | TZ=UTC tar tv --numeric-owner | awk '{ print $1, $2, $4, $5, $6 }')" \
		$'drwxr-xr-x 0/0 1970-01-01 00:16 srv/\ndrwxrwxrwt 7/8 1970-01-01 00:16 srv/data/\n-rw-r--r-- 0/0 1970-01-01 00:16 srv/data/a'

	build --file /etc/conf=old --mkdir /etc/d -o base.tar
	spec '{ "dray": 1, "base": { "image": "base.tar" },
	  "sources": [ { "type": "file", "path": "/etc/conf", "text": "new" }, { "type": "file", "path": "/etc/mine", "text": "m" } ],
	  "rules": [ { "match": "/etc/conf", "delete": true } ] }'
	dray_run build spec.json -o no.tar
	expect 2 '*rule 1: /etc/conf is of the base*'
	[ ! -e no.tar ]
	sed -i 's,"/etc/conf"\, "delete,"/etc/mine"\, "delete,' spec.json
	build spec.json -o out.tar
	same "without" "$(names out.tar | tr '\n' ' ')" 'etc etc/conf etc/d '

	spec '{ "dray": 1, "sources": [ { "type": "file", "path": "/d/a", "text": "a" }, { "type": "file", "path": "/d/b", "text": "b" },
	    { "type": "symlink", "path": "/d/l", "target": "a" } ],
	  "layers": { "strategy": "single", "groups": [ { "name": "one" }, { "name": "two" }, { "name": "links" } ] },
	  "rules": [ { "match": "/d", "type": "d", "layer": "links" }, { "match": "/d/**", "layer": "one" },
	    { "match": "/d/**", "type": "l", "layer": "links" }, { "match": "/d/b", "layer": "two" }, { "match": "/d/*", "type": "d", "layer": "one" } ] }'
	build spec.json -o out.tar
	same one "$(layer_tar out.tar 0 | tar t | tr '\n' ' ')" 'd/ d/a '
	same two "$(layer_tar out.tar 1 | tar t | tr '\n' ' ')" 'd/ d/b '
	same links "$(layer_tar out.tar 2 | tar t | tr '\n' ' ')" 'd/ d/l '
}

@test "ten thousand sources, each with an id and a unit of its own: time that grows with them" {
	python3 - >spec.json <<'EOF_PY'
import json
print(json.dumps({ "dray": 1, "layers": { "strategy": "single" }, "sources": [
    { "type": "file", "path": "/d/f%d" % i, "text": "x", "id": "s%d" % i } for i in range(10000) ] }))
EOF_PY
	timeout 20 "$DRAY" build --plan --json spec.json >plan.json
	same units "$(jq '.layers[0].parts | length' plan.json)" 10000
	same names "$(jq -c '.layers[0].parts | [.[0], .[1], .[9999]]' plan.json)" '["/d","/d #2","/d #10000"]'
}

@test "--print-spec: what it prints is the same build; other bytes than UTF-8 are refused" {
	build --file '/x=${A} cost $${B} $' -o flags.tar
	dray_run build --file '/x=${A} cost $${B} $' --print-spec
	[ "$status" -eq 0 ]
	printf '%s\n' "$output" >printed.json
	build printed.json -o printed.tar
	same text "$("$DRAY" cat printed.tar /x)" '${A} cost $${B} $'
	cmp flags.tar printed.tar
	dray_run build --file $'/x=\xff' --print-spec
	expect 2 '*UTF-8*'
	dray_run build --file $'/x=\xc3\xbf' --print-spec
	[ "$status" -eq 0 ]
	# What no spec says is told.
	dray_run build --mkdir /x --layers-max 300 --force --print-spec
	expect 0 '*says nothing of --force*'
	printf '%s\n' "$output" >printed.json
	dray_run build printed.json -o no.tar
	expect 2
	build printed.json --force -o printed.tar
	dray_run build --mkdir /x --layers-max 100 --print-spec
	expect 0 ''
	dray_run build --define A=b --file /x=y -o no.tar
	expect 2 '*--define*no spec*'
}

holds_open() { readlink /proc/"$1"/fd/* | grep -qx "$2"; }

# meanwhile COMMAND: build spec.json, whose last source is the image of standard input; when that is waited for, COMMAND runs.
meanwhile() {
	build --file /late=x -o late.tar || return 1
	rm -f pipe
	mkfifo pipe
	"$DRAY" build spec.json -o no.tar <pipe >said 2>&1 &
	exec 9>pipe
	for _ in {1..200}; do
		! holds_open $! "$T/in\|$T/t.tar" || break
		sleep 0.1
	done
	sleep 0.5 # listed, and the image not there yet
	eval "$1"
	cat late.tar >&9
	exec 9>&-
	status=0
	wait $! || status=$?
}

@test "a tar that is written over, an empty file that grows: nothing is made of what was planned" {
	mkdir in
	echo before >in/a
	tar cf t.tar -C in a
	spec '{ "dray": 1, "sources": [ { "type": "tar", "from": "t.tar" }, { "type": "image", "from": "-", "path": "/late" } ] }'
	meanwhile true
	same "unchanged" "$status" 0
	rm no.tar
	meanwhile "printf after | dd of=t.tar bs=1 seek=512 conv=notrunc 2>/dev/null"
	same "written over: $(cat said)" "$status" 6
	grep -q 't.tar: it changed while it was read' said
	[ ! -e no.tar ]

	: >in/a
	spec '{ "dray": 1, "sources": [ { "type": "dir", "from": "in" }, { "type": "image", "from": "-", "path": "/late" } ] }'
	meanwhile true
	same "still empty" "$status" 0
	rm no.tar
	meanwhile "echo grown >in/a"
	same "grown: $(cat said)" "$status" 6
	grep -q 'a: it changed while it was read' said
	[ ! -e no.tar ]
}

@test "times of what has none: SOURCE_DATE_EPOCH, else 1; and none after the year 9999" {
	local how
	spec '{ "dray": 1, "sources": [ { "type": "mkdir", "path": "/d" }, { "type": "symlink", "path": "/d/l", "target": "x" },
	  { "type": "file", "path": "/d/t", "text": "t" }, { "type": "user", "name": "u", "uid": 7, "gid": 7 } ] }'
	for how in keep clamp=9000; do
		build spec.json --mtime "$how" -o out.tar
		same "$how" "$(layer_tar out.tar 0 | TZ=UTC tar tv --full-time | awk '{ print $4, $5 }' | sort -u)" '1970-01-01 00:00:01'
		SOURCE_DATE_EPOCH=61 build spec.json --mtime "$how" -o out.tar
		same "$how" "$(layer_tar out.tar 0 | TZ=UTC tar tv --full-time | awk '{ print $4, $5 }' | sort -u)" '1970-01-01 00:01:01'
	done
	build spec.json --created 253402300799 -o out.tar
	same created "$(tar xOf out.tar "blobs/sha256/$("$DRAY" inspect --json out.tar | jq -r '.images[0].id // .images[0].image_id' | sed s/sha256://)" | jq -r .created)" 9999-12-31T23:59:59Z
	dray_run build spec.json --created 253402300800 -o no.tar
	expect 2 '*created*9999*'
	SOURCE_DATE_EPOCH=253402300800 dray_run build spec.json -o no.tar
	expect 2 '*SOURCE_DATE_EPOCH*9999*'
	[ ! -e no.tar ]
}

@test "links: folders as of any tree" {
	mkdir -p tree/sub
	echo x >tree/sub/f
	chmod 2775 tree/sub
	spec '{ "dray": 1, "sources": [ { "type": "links", "from": ["'"$T"'/tree"] } ] }'
	build spec.json -o out.tar
	same modes "$(layer_tar out.tar 0 | tar tv | awk '{ print $1, $6 }' | tr '\n' ' ')" 'drwxr-xr-x sub/ lrwxrwxrwx sub/f '
}

@test "null takes a field of the base away; fields that are inherited are fields" {
	build --env A=b --label c=d --volume /v --expose 80/tcp --workdir /w --mkdir /x -o base.tar
	spec '{ "dray": 1, "base": { "image": "base.tar" }, "config": { "Env": null, "Labels": null, "Volumes": null } }'
	build spec.json -o out.tar
	same config "$(config out.tar)" '{"ExposedPorts":{"80/tcp":{}},"WorkingDir":"/w"}'
	build spec.json --env N=1 -o out.tar
	same config "$(config out.tar)" '{"Env":["N=1"],"ExposedPorts":{"80/tcp":{}},"WorkingDir":"/w"}'
	spec '{ "dray": 1, "base": { "image": "base.tar", "inherit": ["Envv"] } }'
	dray_run build spec.json -o no.tar
	expect 2 '*inherit*Envv*'
	[[ $stderr == *'did you mean "Env"?'* ]]
	spec '{ "dray": 1, "base": { "image": "base.tar", "inherit": ["Env"] } }'
	build spec.json -o out.tar
	same config "$(config out.tar)" '{"Env":["A=b"]}'
}

# steps IMAGE: what its history says, "-" before what made no layer.
steps() { "$DRAY" inspect --json "$1" | jq -r '[.images[0].history[] | (if .empty_layer then "-" else "" end) + (.created_by // "")] | join(" ")'; }

@test "a base whose history has more or fewer steps than layers: steps stay, only what is amiss is mended" {
	build --file /a=a -o base.tar
	mkdir t
	echo b >t/b
	tar cf t.tar -C t b
	dray_run append base.tar t.tar -o two.tar
	ok
	with_history two.tar '[{"created_by":"1"},{"created_by":"2"},{"created_by":"E","empty_layer":true},{"created_by":"3"}]'
	build --from two.tar --file /n=n -o out.tar
	same "too many" "$(steps out.tar)" '-1 2 -E 3 dray build'
	history_fits out.tar
	with_history two.tar '[{"created_by":"1"},{"created_by":"E","empty_layer":true}]'
	build --from two.tar --file /n=n -o out.tar
	same "too few" "$(steps out.tar)" '1 -E  dray build'
	history_fits out.tar
	with_history two.tar '[{"created_by":"1"},{"created_by":"2"}]'
	build --from two.tar --file /n=n -o out.tar
	same "as many" "$(steps out.tar)" '1 2 dray build'
}
