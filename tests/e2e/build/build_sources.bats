#!/usr/bin/env bats
# build: lists of files, what closures and links leave out, accounts.

load build

setup() { build_setup; }
teardown() { peers_teardown; }

spec() { cat >"$T/spec.json"; }
# sources JSON [MORE]: a spec of these sources, and of more members.
sources() { echo "{ \"dray\": 1, \"sources\": [ $1 ]${2:+, $2} }" >spec.json; }
# refused STATUS PATTERN ARG...: the build is, and writes nothing.
refused() {
	local want=$1 pattern=$2
	shift 2
	dray_run build "$@" -o no.tar
	expect "$want" "$pattern" && [ ! -e no.tar ]
}
# listing: a tar as lines without times, by name.
listing() { tar tv --numeric-owner | awk '{ $4 = $5 = ""; print }' | sed 's,/$,,; s, \./, ,' | grep -v ' \.$' | LC_ALL=C sort -k 4; }
# shown FILE [NAME]...: type, mode, owner and name of each, as the image has them.
shown() {
	local file=$1
	shift
	"$DRAY" export "$file" 2>/dev/null | tar tv --numeric-owner "$@" | awk '{ print $1, $2, $6, $7, $8 }' | sed 's/ *$//'
}

# ---- lists of files ----

tree() {
	mkdir -p src/d/'sub dir' src/e
	printf 'hi\n' >src/d/'a b'
	printf x >src/d/$'q#\n\\z'
	printf y >src/d/$'\303\244 \377'
	ln -s 'x y' src/d/l
	ln -s /nowhere src/d/abs
	mkfifo src/d/fifo
	echo 1 >src/d/'sub dir'/f
	: >src/e/empty
	chmod 4711 src/d/'a b'
	chmod 1777 src/e
	chown 1000:2000 src/d/l src/d/'sub dir'/f 2>/dev/null || true
}

@test "mtree: what bsdtar writes in each of its ways makes what bsdtar reads of it" {
	require_peer bsdtar
	tree
	local how
	for how in mtree mtree-classic 'mtree --options use-set,sha256,md5' 'mtree --options indent,sha512' 'mtree --options !all,type,mode,uid,gid,link,time'; do
		# shellcheck disable=SC2086
		(cd src && bsdtar -cf ../list --format=$how .)
		(cd src && bsdtar -cf ../peer.tar --format=pax @../list)
		sources '{ "type": "files", "list": "list", "root": "src" }'
		build spec.json --mtime keep -o out.tar
		"$DRAY" export out.tar 2>/dev/null >mine.tar
		same "$how" "$(listing <mine.tar)" "$(listing <peer.tar)"
		same "times, $how" "$(tar tv --full-time -f mine.tar ./d/l d/l 2>/dev/null | awk '{ print $4, $5 }' | cut -d. -f1)" \
			"$(tar tv --full-time -f peer.tar ./d/l d/l 2>/dev/null | awk '{ print $4, $5 }' | cut -d. -f1)"
		same "content, $how" "$("$DRAY" cat out.tar '/d/a b')" hi
	done
	build --dir src:/ --mtime 7 -o dir.tar
	build spec.json --mtime 7 -o out.tar
	same names "$(names out.tar)" "$(names dir.tar)"
}

@test "mtree: as FreeBSD and Bazel write it; content, optional, nochange, device, owners" {
	mkdir -p in/deep
	echo tool >in/deep/tool
	echo kept >in/kept
	chmod 0600 in/kept
	cat >list <<-'EOF_M'
		#mtree v2.0
		/set type=file uid=0 gid=0 mode=0755 nlink=1
		.               type=dir
		    bin         type=dir mode=0755
		        tool    mode=0555 contents=in/deep/tool
		        again   content=./in/deep/tool uid=12 gid=13 uname=a\040b gname=wheel
		    ..
		    /unset mode
		    etc         type=dir
		        none    optional contents=in/none
		        kept    content=in/kept nochange mode=0777
		        link    type=link link=../bin/tool mode=0777
		    ..
		    null        type=char device=native,1,3 mode=0666
		    disk        type=block device=2049 uname=root
		..
		opt/x/y uid=1000 gid=1000 mode=0644 time=1672560000.000000 type=file content=in/deep/tool size=5
		opt/x/y uid=1000 gid=1000 mode=0644 time=1672560000.000000 type=file content=in/deep/tool size=5
		tmp/ type=dir mode=1777 uid=0 gid=0
	EOF_M
	sources '{ "type": "files", "list": "list" }'
	build spec.json --mtime keep -o out.tar
	same files "$(shown out.tar)" "$(
		cat <<-'EOF_L'
			drwxr-xr-x 0/0 bin/
			-rwxr-xr-x 12/13 bin/again
			-r-xr-xr-x 0/0 bin/tool
			brw-r--r-- 0/0 disk
			drwxr-xr-x 0/0 etc/
			-rw-r--r-- 0/0 etc/kept
			lrwxrwxrwx 0/0 etc/link -> ../bin/tool
			crw-rw-rw- 0/0 null
			drwxr-xr-x 0/0 opt/
			drwxr-xr-x 0/0 opt/x/
			-rw-r--r-- 1000/1000 opt/x/y
			drwxrwxrwt 0/0 tmp/
		EOF_L
	)"
	same name "$(layer_tar out.tar 0 | tar tv bin/again | awk '{ print $2, $3 }')" "a b/wheel"
	same time "$(layer_tar out.tar 0 | TZ=UTC tar tv --full-time opt/x/y | awk '{ print $4, $5 }')" '2023-01-01 08:00:00'
	build spec.json -o set.tar
	same "the time of all files" "$(layer_tar set.tar 0 | TZ=UTC tar tv --full-time opt/x/y | awk '{ print $4, $5 }')" '1970-01-01 00:00:01'
	# What the list says counts more than the source, that more than the spec.
	sources '{ "type": "files", "list": "list", "to": "/at", "owner": { "uid": 7, "gid": 8 }, "mode": "0700" }' '"owner": { "uid": 1 }'
	build spec.json -o at.tar
	same owners "$(shown at.tar at/etc/kept at/opt/x/ at/opt/x/y at/bin/tool)" \
		$'-r-xr-xr-x 0/0 at/bin/tool\n-rwx------ 7/8 at/etc/kept\ndrwxr-xr-x 0/0 at/opt/x/\n-rw-r--r-- 1000/1000 at/opt/x/y'
}

@test "mtree: what a list says of a folder is meant, what it does not say is not" {
	build --mkdir /d:0700 --mkdir /e:0700 -o base.tar
	echo x >x
	printf '%s\n' 'd type=dir mode=0750' 'd/x type=file content=x' 'e type=dir' 'e/x type=file content=x' | sed 's,^\([de]\) ,./\1 ,' >list
	sources '{ "type": "files", "list": "list" }' '"base": { "image": "base.tar" }'
	build spec.json -o out.tar
	same modes "$(shown out.tar d/ e/ | grep '/$')" $'drwxr-x--- 0/0 d/\ndrwx------ 0/0 e/'
}

@test "mtree: what is wrong is told with its line, and nothing is written" {
	local line message status_of
	echo x >x
	ln -s x ln
	ln -s . up
	mkdir sub
	echo 'outside' >"$BATS_TEST_TMPDIR/../outside-$$" && ln -s "$BATS_TEST_TMPDIR/../outside-$$" out
	sources '{ "type": "files", "list": "list" }'
	while IFS='|' read -r status_of line message; do
		printf '#mtree\n\n# a comment\n%b\n' "$line" >list
		refused "$status_of" "*list: line 4: $message*" spec.json
	done <<-'EOF_T'
		6|x type=file mod=1|mod: an unknown keyword
		6|x type=fil|type: expected file, dir
		8|x type=socket|type: a socket is nothing
		6|x type=file mode=8|mode: expected octal
		6|x type=file mode=u+x|mode: expected octal
		6|x type=file uid=4294967295|uid: expected a number up to 4294967294
		6|x type=file uid=-1|uid: expected a number
		6|x type=file time=now|time: expected seconds
		6|x type=file size=1|*x: it has 2 bytes, the list says 1
		6|x type=file sha256=00|sha256:
		6|x type=file sha256digest=0000000000000000000000000000000000000000000000000000000000000000|*content differs (expected sha256:0000
		6|x type=dir optional|*x: it is of another type
		6|sub type=file|*sub: it is of another type
		6|ln type=file|*ln: it is of another type
		3|up/x type=file|*up/x: *
		6|out type=file|*out: it is of another type
		6|x type=file content=../x|its content lies outside the root
		6|x type=file content=/etc/passwd|its content lies outside the root
		3|none type=file|*none: *No such file
		6|../x type=file|../x: ".." leads nowhere
		6|a/../x type=file|a/../x: ".." leads nowhere
		6|..|".." leaves a folder that was not entered
		6|x\\400 type=file|x\\400: an escape that is none
		6|x\\q type=file|*an escape that is none
		6|x type=file uname=bob|a name of an owner without its number
		6|x type=char|a device without
		6|x type=char device=native,0,0|a character device 0:0
		6|.wh.x type=dir|a name that begins with ".wh."
		6|/set link=a|link: nothing that /set
		6|/unset size|size: nothing that /set
		6|x type=file time=-9223372036854775808|time: expected seconds
	EOF_T
	# A name below what is no folder, whichever comes first.
	printf 'p type=file content=x\n./p/q type=file content=x\n' >list
	refused 6 '*list: line 2: /p is no folder, and line 1 says so*' spec.json
	printf './p/q/r type=file content=x\n./p type=link link=x\n' >list
	refused 6 '*list: line 2: /p is no folder, and line 1 tells of a name below it*' spec.json
	printf './p/q/r type=file content=x\n./p type=dir\n./p/q type=dir\n./p/s/t type=link link=x\n' >list
	build spec.json -o folders.tar
	# A named pipe: nobody writes it yet; somebody does.
	rm list
	mkfifo list
	refused 2 '*list: a pipe with nothing in it*' spec.json
	rm list
	sources '{ "type": "files", "list": "/dev/fd/9" }'
	build spec.json -o piped.tar 9< <(printf 'x type=file\n')
	same piped "$(names piped.tar)" x
	sources '{ "type": "files", "list": "list" }'
	printf 'x type=file\n./x type=file mode=0600\n' >list
	refused 6 '*list: line 2: /x: line 1 tells of it too, and not alike*' spec.json
	printf 'x type=file\n./x type=file\n' >list
	build spec.json -o out.tar
	sources '{ "type": "files", "list": "none" }'
	refused 3 '*source 1 (files): none: *No such file*' spec.json
	sources '{ "type": "files" }'
	refused 2 '*"list" is missing*' spec.json
	sources '{ "type": "files", "list": "list", "list_format": "mtre" }'
	refused 2 '*list_format*mtree|paths|paths0*' spec.json
}

@test "paths by line and by NUL: these and nothing else" {
	tree
	rm src/d/fifo
	ln src/d/'sub dir'/f src/e/hard
	(cd src && find . -print0) | sort -z >list0
	sources '{ "type": "files", "list": "list0", "list_format": "paths0", "root": "src" }'
	build spec.json -o out.tar
	build --dir src:/ -o dir.tar
	same "as the folder" "$(layers out.tar)" "$(layers dir.tar)"
	printf '%s\n' d/l ./e/ 'd/sub dir/f' '' e >list
	sources '{ "type": "files", "list": "list", "list_format": "paths", "root": "src", "to": "/at" }'
	build spec.json -o out.tar
	same some "$(names out.tar)" $'at\nat/d\nat/d/l\nat/d/sub dir\nat/d/sub dir/f\nat/e'
	printf 'd/l\nnone\n' >list
	refused 3 '*list: line 2: *none: *No such file*' spec.json
	printf 'd/l\0../x' >list0
	sources '{ "type": "files", "list": "list0", "list_format": "paths0", "root": "src" }'
	refused 6 '*list0: path 2: ../x: ".." leads nowhere*' spec.json
}

# ---- closures ----

# Units: app needs lib; tool and data are needed by nobody; link is a link to data.
store() {
	mkdir -p store/1-app/bin store/2-lib store/3-tool/bin store/4-data
	program store/1-app/bin/app app
	program store/3-tool/bin/tool tool
	echo lib >store/2-lib/l
	echo data >store/4-data/d
	ln -s 4-data store/5-link
	cat >graph.json <<-'EOF_J'
		[{"path": "/store/1-app", "references": ["/store/2-lib"]}, {"path": "/store/2-lib", "references": []},
		 {"path": "/store/3-tool", "references": []}, {"path": "/store/4-data", "references": []},
		 {"path": "/store/5-link", "references": ["/store/4-data"]}]
	EOF_J
}
# closure MORE [SOURCES [MEMBERS]]
closure() { sources "{ \"type\": \"closure\", \"graph\": \"graph.json\", \"store\": \"/store\", \"from\": \"store\"$1 }${2:+, $2}" "${3:-}"; }
units() { names "$1" | sed -n 's,^store/\([^/]*\)$,\1,p' | tr '\n' ' '; }

@test "item 1: a closure and links at the root: links exist, and what they lead to" {
	store
	sed "s,/store/,$T/store/,g" graph.json >here.json
	sources "{ \"type\": \"closure\", \"graph\": \"here.json\", \"store\": \"$T/store\" }, { \"type\": \"links\", \"from\": [\"$T/store/1-app\", \"$T/store/3-tool\"] }" \
		'"name": "item/one", "tag": "1", "config": { "Cmd": ["/bin/tool"] }'
	build spec.json -o out.tar
	same links "$(shown out.tar bin/app bin/tool | cut -d' ' -f 3-)" \
		"bin/app -> $T/store/1-app/bin/app"$'\n'"bin/tool -> $T/store/3-tool/bin/tool"
	names out.tar | grep -qxF "${T#/}/store/3-tool/bin/tool"
	runs out.tar item/one:1 tool
}

@test "item 2: links-only: nothing below the store, whatever else rules and sources say" {
	store
	sed "s,/store/,$T/store/,g" graph.json >here.json
	sources "{ \"type\": \"closure\", \"graph\": \"here.json\", \"store\": \"$T/store\", \"include\": \"links-only\" },
		{ \"type\": \"links\", \"from\": [\"$T/store/1-app\"] }, { \"type\": \"symlink\", \"path\": \"/data\", \"target\": \"$T/store/4-data\" }" \
		'"rules": [ { "match": "/bin/**", "owner": { "uid": 5 } } ]'
	build spec.json -o out.tar
	same names "$(names out.tar)" $'bin\nbin/app\ndata'
	same dangling "$(shown out.tar data | cut -d' ' -f 2-)" "0/0 data -> $T/store/4-data"
	# A graph that is none is one all the same.
	echo '[{"path": "/elsewhere/x"}]' >here.json
	refused 6 '*no path directly in*' spec.json
}

@test "item 3: what only the config names is there if listed, or found with scan_config" {
	store
	closure ', "roots": ["/store/1-app"]' '' '"config": { "Cmd": ["/store/3-tool/bin/tool"] }'
	build spec.json -o out.tar
	same "not asked" "$(units out.tar)" "1-app 2-lib "
	closure ', "roots": ["/store/1-app"], "scan_config": true' '' '"config": { "Cmd": ["sh", "-c", "exec /store/3-tool/bin/tool"], "Env": { "D": "/x:/store/5-link:/y" } }'
	build spec.json -o out.tar
	same found "$(units out.tar)" "1-app 2-lib 3-tool 4-data 5-link "
	closure ', "roots": ["/store/1-app", "/store/3-tool"]' '' '"config": { "Cmd": ["/store/3-tool/bin/tool"] }'
	build spec.json -o out.tar
	same listed "$(units out.tar)" "1-app 2-lib 3-tool "
	closure ', "roots": ["/store/1-app"], "scan_config": true' '' '"config": { "Healthcheck": { "Test": ["CMD", "/store/9-none/x"] } }'
	build spec.json -o out.tar
	same "nothing more" "$(units out.tar)" "1-app 2-lib "
	[[ $stderr == *'config names /store/9-none, which the closure does not describe'* ]]
}

@test "item 4: what only a link of ours names is there, since the graph says so" {
	store
	closure '' '{ "type": "symlink", "path": "/opt/data", "target": "/store/5-link/d" }'
	build spec.json -o out.tar
	same units "$(units out.tar)" "1-app 2-lib 3-tool 4-data 5-link "
	same content "$("$DRAY" cat out.tar /store/4-data/d)" data
}

@test "item 9: exactly the units that are needed; exclude leaves out" {
	store
	closure '' ''
	build spec.json -o out.tar
	same units "$(units out.tar)" "1-app 2-lib 3-tool 4-data 5-link "
	closure ', "exclude": ["/store/*-tool", "4-data"]' ''
	build spec.json -o out.tar
	same units "$(units out.tar)" "1-app 2-lib 5-link "
	closure ', "exclude": ["/store/*"]' ''
	build spec.json -o out.tar
	same "no store either" "$(names out.tar)" ""
	printf '/store/%s\n' 1-app 4-data >list
	sources '{ "type": "closure", "paths": "list", "store": "/store", "from": "store" }'
	build spec.json -o out.tar
	same "a list" "$(units out.tar)" "1-app 4-data "
	sources '{ "type": "closure", "paths": "list", "graph": "graph.json" }'
	refused 2 '*"graph" and "paths": one of both*' spec.json
}

@test "item 37: a closure owned by 1000:1000 user:user" {
	store
	closure ', "owner": { "uid": 1000, "gid": 1000, "uname": "user", "gname": "user" }' ''
	build spec.json -o out.tar
	n=$(layers out.tar | wc -l)
	for i in $(seq 0 $((n - 1))); do layer_tar out.tar "$i" | tar tv | awk '$6 ~ "^store/." { print $2 }'; done | sort -u >owners
	same names "$(cat owners)" user/user
	same numbers "$(shown out.tar | awk '$3 ~ "^store/." { print $2 }' | sort -u)" 1000/1000
}

# ---- links ----

@test "links: two trees of one source that have one name are two sources" {
	mkdir -p a/bin b/bin c/bin
	echo a >a/bin/x
	echo b >b/bin/x
	echo c >c/bin/z
	sources "{ \"type\": \"links\", \"from\": [\"$T/a\", \"$T/b\"] }"
	refused 2 '*source 1 (links): tree 2: /bin/x: two sources have it*' spec.json
	build spec.json --conflict first -o out.tar
	same first "$(shown out.tar bin/x | cut -d' ' -f 5)" "$T/a/bin/x"
	build spec.json --conflict last -o out.tar
	same last "$(shown out.tar bin/x | cut -d' ' -f 5)" "$T/b/bin/x"
	sources "{ \"type\": \"links\", \"from\": [\"$T/a\", \"$T/c\", \"$T/a\"] }"
	build spec.json -o out.tar
	same apart "$(names out.tar)" $'bin\nbin/x\nbin/z'
}

@test "flags: --mtree, --closure and --links say what a spec says" {
	store
	mkdir -p src tree
	echo x >src/x
	echo y >tree/y
	echo 'x type=file mode=0640' >list
	local flags=(--mtree list:src --links "$T/tree:/l" --closure "graph.json,store=/store,from=store,root=/store/1-app,scan-config" --cmd '["/store/3-tool/bin/tool"]')
	dray_run build "${flags[@]}" --print-spec
	expect 0
	same printed "$(jq -c .sources <<<"$output")" '[{"type":"files","list":"list","root":"src"},{"type":"links","from":["'"$T"'/tree"],"to":"/l"},'$(
	)'{"type":"closure","from":"store","graph":"graph.json","store":"/store","roots":["/store/1-app"],"scan_config":true}]'
	echo "$output" >spec.json
	build "${flags[@]}" -o flags.tar
	build spec.json -o spec.tar
	cmp flags.tar spec.tar
	same units "$(units flags.tar)" "1-app 2-lib 3-tool "
	build --closure graph.json,store=/store,links-only --links "$T/tree" -o out.tar
	same links-only "$(names out.tar)" y
	refused 2 '*--closure: expected GRAPH*' --closure graph.json,stor=/x
}

# ---- accounts ----

@test "users and groups: lines that are there stay, numbers and names are had by one" {
	mkdir etc
	printf 'root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh' >etc/passwd
	printf 'root:x:0:\nnode:x:1000:' >etc/group
	build --dir etc:/etc -o base.tar
	build --from base.tar --user app:1001:1000:/srv -o out.tar
	same passwd "$("$DRAY" cat out.tar /etc/passwd)" "$(cat etc/passwd)"$'\napp:x:1001:1000::/srv:/sbin/nologin'
	same "group, which stays as it was" "$("$DRAY" cat out.tar /etc/group | od -c)" "$(od -c etc/group)"
	build --from base.tar --user node:1000:1000 -o out.tar
	same "nothing new" "$(layers out.tar | wc -l)" "$(layers base.tar | wc -l)"
	refused 2 '*user "node" is there already, with other numbers*' --from base.tar --user node:1001:1000
	refused 2 '*user "app": the number 1000 is that of "node"*' --from base.tar --user app:1000:1000
	refused 2 '*user "b": the number 7 is that of "a"*' --user a:7:7 --user b:7:7
	refused 2 '*group "b": the number 7 is that of "a"*' --group a:7 --group b:7
	refused 2 '*group "node" is there already, with another number*' --from base.tar --group node:1001
	build --user a:7:7 --user a:7:7 --group a:7 -o out.tar
	same once "$("$DRAY" cat out.tar /etc/passwd) $("$DRAY" cat out.tar /etc/group)" "a:x:7:7::/:/sbin/nologin a:x:7:"
}
