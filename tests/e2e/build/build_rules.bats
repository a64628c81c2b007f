#!/usr/bin/env bats
# build: rules: attributes, expressions, what goes of the sources and of the base.

load build

setup() { build_setup; }
teardown() { peers_teardown; }

# rules JSON [MORE]: a spec of these rules on a folder in/ and, with MORE, on more.
rules() { echo "{ \"dray\": 1, \"sources\": [ { \"type\": \"dir\", \"from\": \"in\" } ], \"rules\": [ $1 ]${2:+, $2} }" >spec.json; }
refused() {
	local want=$1 pattern=$2
	shift 2
	dray_run build "$@" -o no.tar
	expect "$want" "$pattern" && [ ! -e no.tar ]
}
# xattrs TAR: "NAME ATTRIBUTE=VALUE in hexadecimal" of each.
xattrs() {
	python3 - "$1" <<-'EOF_PY'
		import sys, tarfile
		for m in tarfile.open(sys.argv[1]):
		    for k, v in sorted(m.pax_headers.items()):
		        if k.startswith("SCHILY.xattr."):
		            print(m.name, k[13:] + "=" + v.encode("utf-8", "surrogateescape").hex())
	EOF_PY
}
CAP=AQAAAgAgAAAAAAAAAAAAAAAAAAA= # cap_net_raw+ep, as getfattr -e base64 shows it

tree() {
	mkdir -p in/bin in/etc/x
	echo ping >in/bin/ping
	echo 1 >in/etc/a.conf
	echo 2 >in/etc/b.txt
	echo 3 >in/etc/x/c.conf
	ln -s a.conf in/etc/l.conf
}

@test "xattr: text, base64 and digits, in place of those there are; null takes away" {
	tree
	rules '{ "match": "/bin/ping", "xattr": { "security.capability": "0s'$CAP'", "user.b": "text", "user.a": "0x00fF" } },
		{ "match": "/etc/**", "xattr": { "user.all": "" } }, { "match": "/etc/b.txt", "xattr": { "user.all": null } }'
	build spec.json -o out.tar
	layer_tar out.tar 0 >layer
	same xattrs "$(xattrs layer)" "$(
		printf '%s\n' "bin/ping security.capability=$(base64 -d <<<"$CAP" | od -An -v -tx1 | tr -d ' \n')" \
			"bin/ping user.a=00ff" "bin/ping user.b=$(printf text | od -An -tx1 | tr -d ' \n')" \
			"etc/a.conf user.all=" "etc/x user.all=" "etc/x/c.conf user.all="
	)"
	# The base's: stored once more with what it had.
	echo '{ "dray": 1, "base": { "image": "out.tar" }, "rules": [ { "match": "/bin/ping", "xattr": { "user.b": null, "user.a": "new" } } ] }' >more.json
	build more.json -o more.tar
	layer_tar more.tar 1 >layer
	same "the base's" "$(xattrs layer | cut -d= -f1 | tr '\n' ' ')" "bin/ping security.capability bin/ping user.a "
	same content "$("$DRAY" cat more.tar /bin/ping)" ping
	while IFS='|' read -r name value message; do
		rules "{ \"match\": \"/bin/ping\", \"xattr\": { \"$name\": $value } }"
		refused 2 "*rule 1: \"xattr\": $name: $message*" spec.json
	done <<-'EOF_T'
		capability|"x"|no attribute of a file
		user.|"x"|no attribute of a file
		user.a=b|"x"|no attribute of a file
		trusted.overlay.opaque|"y"|no attribute of a file
		user.a|"0s="|base64
		user.a|"0x0"|0x: expected pairs
	EOF_T
	rules '{ "match": "/bin/ping", "xattr": { "user.a": 1 } }'
	refused 2 '*"xattr": expected string*' spec.json
	rules '{ "match": "/bin/ping", "xattr": null }'
	refused 2 '*"xattr": null is for single attributes*' spec.json
}

@test "a capability that a rule gives is one to the kernel" {
	[ "$(id -u)" = 0 ] || skip "sets security.capability"
	tree
	rules '{ "match": "/bin/ping", "xattr": { "security.capability": "0s'$CAP'" } }'
	build spec.json -o out.tar
	"$DRAY" unpack out.tar root >/dev/null
	same capability "$(python3 -c 'import base64, os; print(base64.b64encode(os.getxattr("root/bin/ping", "security.capability")).decode())')" "$CAP"
}

@test "regex: the whole path, by types, beside globs" {
	tree
	rules '{ "regex": "/etc/(.*/)?[a-c]\\.conf", "mode": "0600" }, { "regex": "/etc/.*", "type": "d", "mode": "0711" },
		{ "regex": ".*\\.conf", "type": "l", "owner": { "uid": 9 } }, { "regex": "/etc", "mode": "0700" }, { "match": "*.txt", "mtime": 5 }'
	build spec.json -o out.tar
	same modes "$("$DRAY" export out.tar 2>/dev/null | tar tv --numeric-owner | awk '{ print $1, $2, $6 }')" "$(
		cat <<-'EOF_L'
			drwxr-xr-x 0/0 bin/
			-rw-r--r-- 0/0 bin/ping
			drwx------ 0/0 etc/
			-rw------- 0/0 etc/a.conf
			-rw-r--r-- 0/0 etc/b.txt
			lrwxrwxrwx 9/0 etc/l.conf
			drwx--x--x 0/0 etc/x/
			-rw------- 0/0 etc/x/c.conf
		EOF_L
	)"
	same time "$("$DRAY" export out.tar 2>/dev/null | TZ=UTC tar tv --full-time etc/b.txt | awk '{ print $5 }')" 00:00:05
	rules '{ "regex": "/etc/.*\\.conf", "layer": "conf" }' '"layers": { "groups": [ { "name": "conf" } ] }'
	build spec.json -o out.tar
	same layer "$(layer_tar out.tar 0 | tar t | tr '\n' ' ')" "etc/ etc/a.conf etc/l.conf etc/x/ etc/x/c.conf "
	while IFS='|' read -r regex message; do
		rules "{ \"regex\": \"$regex\", \"mode\": \"0600\" }"
		refused 2 "*rule 1: \"regex\": $message*" spec.json
	done <<-'EOF_T'
		(|*
		a)(b|*
		[a|*
		(a)\\1|back references
	EOF_T
	rules '{ "regex": "'"$(printf '%1001s' '' | tr ' ' a)"'", "mode": "0600" }'
	refused 2 '*"regex": more than 1000 bytes*' spec.json
	rules '{ "regex": "a", "match": "a", "mode": "0600" }'
	refused 2 '*"match" and "regex": one of both*' spec.json
	rules '{ "mode": "0600" }'
	refused 2 '*"match" or "regex" is missing*' spec.json
}

# base: /opt/app of two files and a folder, /doc, /keep; a file with a second name.
base() {
	mkdir -p b/opt/app/sub b/doc/deep b/keep
	echo old >b/opt/app/old
	echo same >b/opt/app/same
	echo s >b/opt/app/sub/s
	echo d >b/doc/deep/d
	echo k >b/keep/k
	ln b/keep/k b/keep/second
	build --dir b:/ -o base.tar
	mkdir -p in
}
# agree FILE: all who unpack it see what dray says the tree is.
agree() {
	require_peer umoci
	"$DRAY" copy "$1" oci:agree:x >/dev/null 2>&1
	rm -rf bundle
	umoci unpack --rootless --image agree:x bundle >/dev/null
	same "umoci's tree of $1" "$(cd bundle/rootfs && find . -mindepth 1 | sed 's,^\./,,' | LC_ALL=C sort)" "$(names "$1")"
}

@test "delete, base: whiteouts for what the base has; the plan tells; dray, umoci and docker see the same" {
	base
	echo '{ "dray": 1, "name": "del/base", "tag": "1", "base": { "image": "base.tar" },
		"rules": [ { "match": "/doc", "delete": true, "base": true }, { "regex": "/keep/se.*", "delete": true, "base": true } ] }' >spec.json
	dray_run build spec.json --plan --json
	expect 0
	same plan "$(jq -c '[.layers[] | select(.kept | not) | .parts]' <<<"$output")" '[["removed /doc /keep/second"]]'
	build spec.json -o out.tar
	same whiteouts "$(layer_tar out.tar 1 | tar t)" $'.wh.doc\nkeep/\nkeep/.wh.second'
	same tree "$(names out.tar | tr '\n' ' ')" "keep keep/k opt opt/app opt/app/old opt/app/same opt/app/sub opt/app/sub/s "
	same k "$("$DRAY" cat out.tar /keep/k)" k
	history_fits out.tar
	dray_run verify out.tar
	expect 0
	agree out.tar
	require_docker
	docker load -q -i out.tar
	id=$(docker create del/base:1 x)
	docker export "$id" | tar t | sed 's,/$,,' | grep -E '^(doc|keep|opt)' | LC_ALL=C sort >seen
	docker rm "$id" >/dev/null
	docker rmi del/base:1 >/dev/null
	same docker "$(cat seen)" "$(names out.tar)"
}

@test "delete, base: sources come after it; what they bring again is there, and nothing else" {
	base
	mkdir -p in/opt/app/new
	echo same >in/opt/app/same
	echo n >in/opt/app/new/n
	rules '{ "match": "/opt/app", "delete": true, "base": true }' '"name": "del/again", "tag": "1", "base": { "image": "base.tar" }'
	build spec.json -o out.tar
	same tree "$(names out.tar | tr '\n' ' ')" "doc doc/deep doc/deep/d keep keep/k keep/second opt opt/app opt/app/new opt/app/new/n opt/app/same "
	same "what is the same is not stored again" "$(layer_tar out.tar 1 | tar t | tr '\n' ' ')" "opt/ opt/app/ opt/app/.wh.old opt/app/.wh.sub opt/app/new/ opt/app/new/n "
	agree out.tar
	require_docker
	docker load -q -i out.tar
	id=$(docker create del/again:1 x)
	docker export "$id" | tar t | sed 's,/$,,' | grep -E '^(doc|keep|opt)' | LC_ALL=C sort >seen
	docker rm "$id" >/dev/null
	docker rmi del/again:1 >/dev/null
	same docker "$(cat seen)" "$(names out.tar)"
	# A file where the folder was needs no "replace" then; one below is implied with the mode of any.
	chmod 0700 b/opt/app
	build --source '{ "type": "dir", "from": "b", "mode": "keep" }' -o base.tar 2>/dev/null || {
		echo '{ "dray": 1, "sources": [ { "type": "dir", "from": "b", "mode": "keep" } ] }' >b.json
		build b.json -o base.tar
	}
	echo '{ "dray": 1, "base": { "image": "base.tar" }, "sources": [ { "type": "file", "path": "/doc", "text": "t" }, { "type": "file", "path": "/opt/app/same", "text": "same\n" } ],
		"rules": [ { "match": "/doc", "delete": true, "base": true }, { "match": "/opt/app", "delete": true, "base": true } ] }' >spec.json
	build spec.json -o out.tar
	same doc "$("$DRAY" cat out.tar /doc)" t
	same "a new folder's mode" "$("$DRAY" export out.tar 2>/dev/null | tar tv opt/app/ | head -1 | cut -c1-10)" drwxr-xr-x
	agree out.tar
}

@test "delete: of the base only where the rule says so; of sources without" {
	base
	echo x >in/x
	rules '{ "match": "/x", "delete": true }' '"base": { "image": "base.tar" }'
	build spec.json -o out.tar
	same "nothing new" "$(layers out.tar)" "$(layers base.tar)"
	rules '{ "match": "/doc", "delete": true }' '"base": { "image": "base.tar" }'
	refused 2 '*rule 1: /doc is of the base*' spec.json
	[[ $stderr == *'"base": true'* ]]
	rules '{ "match": "/x", "delete": true, "base": true }' '"base": { "image": "base.tar" }'
	build spec.json -o out.tar
	same "a source's is not the base's" "$("$DRAY" cat out.tar /x)" x
	mkdir -p in/doc
	echo d >in/doc/new
	rules '{ "match": "/doc", "delete": true, "base": true }, { "match": "/doc", "delete": true }' '"base": { "image": "base.tar" }'
	build spec.json -o out.tar
	same "both" "$(names out.tar | grep -c ^doc)" 0
	rm -r in/doc
	rules '{ "match": "/doc", "base": true }' '"base": { "image": "base.tar" }'
	refused 2 '*rule 1: "base" goes with "delete": true*' spec.json
	rules '{ "match": "/doc", "delete": true, "base": true }'
	build spec.json -o out.tar
	same "without a base" "$(names out.tar)" x
}

@test "delete: a later rule may undo it, also where it would be the base's" {
	base
	tree
	echo d >in/d
	rules '{ "match": "/etc/**", "delete": true }, { "match": "*.conf", "delete": false, "mode": "0600" }, { "match": "/d", "delete": false }, { "match": "/d", "delete": true }'
	build spec.json -o out.tar
	same "what stays" "$(names out.tar | tr '\n' ' ')" 'bin bin/ping etc etc/a.conf etc/l.conf '
	same "and is as the rule says" "$("$DRAY" files --json out.tar /etc/a.conf | jq -r .mode)" 0600
	rules '{ "match": "/doc", "delete": true }, { "match": "/doc", "delete": false }' '"base": { "image": "base.tar" }'
	build spec.json -o out.tar
	[ "$(names out.tar | grep -c ^doc)" -gt 0 ]
	rules '{ "match": "/doc", "delete": false }, { "match": "/doc", "delete": true }' '"base": { "image": "base.tar" }'
	refused 2 '*rule 2: /doc is of the base*' spec.json
}

@test "the later rule wins, whichever name of a hard-linked file it names" {
	mkdir -p in/p
	echo 1 >in/p/x
	ln in/p/x in/p/y
	ln in/p/x in/p/z
	attributes() { "$DRAY" files --json out.tar /p | jq -r 'select(.type != "dir") | "\(.mode) \(.uid) \(.xattrs["user.k"])"' | sort -u; }
	rules '{ "match": "/p/y", "mode": "0600", "xattr": { "user.k": "y" } }, { "match": "/p/x", "mode": "0611" }, { "match": "/p/z", "owner": { "uid": 3 } }'
	build spec.json -o out.tar
	same "y, x" "$(attributes)" '0611 3 y'
	rules '{ "match": "/p/x", "mode": "0611" }, { "match": "/p/y", "mode": "0600", "xattr": { "user.k": "y" } }, { "match": "/p/[xz]", "xattr": { "user.k": "x" } }'
	build spec.json -o out.tar
	same "x, y" "$(attributes)" '0600 0 x'
	# What is gone says nothing.
	rules '{ "match": "/p/x", "mode": "0611" }, { "match": "/p/y", "mode": "0600" }, { "match": "/p/y", "delete": true }'
	build spec.json -o out.tar
	same "names" "$(names out.tar | tr '\n' ' ')" 'p p/x p/z '
	same "without y" "$(attributes)" '0611 0 null'
}

@test "a folder of the base that another source described needs replace all the same" {
	base
	mkdir -p one/doc two
	echo 1 >one/doc/one
	echo two >two/doc
	sources='"sources": [ { "type": "dir", "from": "one" }, { "type": "dir", "from": "two" REPLACE } ]'
	echo "{ \"dray\": 1, \"base\": { \"image\": \"base.tar\" }, \"conflict\": \"last\", ${sources/REPLACE/} }" >spec.json
	refused 2 '*/doc: it would hide a folder of the base*' spec.json
	echo "{ \"dray\": 1, \"base\": { \"image\": \"base.tar\" }, \"conflict\": \"last\", ${sources/REPLACE/, \"replace\": true} }" >spec.json
	build spec.json -o out.tar
	same doc "$("$DRAY" cat out.tar /doc)" two
	agree out.tar
	# The third makes it a folder again: what the base had there stays away.
	mkdir -p three/doc
	echo 3 >three/doc/three
	echo '{ "dray": 1, "base": { "image": "base.tar" }, "conflict": "last", "sources": [ { "type": "dir", "from": "two", "replace": true }, { "type": "dir", "from": "three" } ] }' >spec.json
	build spec.json -o out.tar
	same tree "$(names out.tar | grep ^doc | tr '\n' ' ')" "doc doc/three "
	agree out.tar
	# Without the base it is a matter of who comes last.
	echo "{ \"dray\": 1, \"conflict\": \"last\", ${sources/REPLACE/} }" >spec.json
	build spec.json -o out.tar
	same names "$(names out.tar)" doc
}
