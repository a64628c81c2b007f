#!/usr/bin/env bats
# build: what one source does to names of the base and of other sources: links, folders, whiteouts.

load build

setup() { build_setup; }
teardown() { peers_teardown; }

# tar_of FILE ROW...: a tar of rows "TYPE NAME MODE [TEXT]", in their order: TYPE f, d, l, h or c; TEXT is
# content, the target of a link, or the number of a device.
tar_of() {
	python3 - "$@" <<-'EOF_PY'
		import io, sys, tarfile
		types = {"d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "c": tarfile.CHRTYPE}
		with tarfile.open(sys.argv[1], "w", format=tarfile.USTAR_FORMAT) as out:
		    for row in sys.argv[2:]:
		        kind, name, mode, text = (row + " ").split(" ")[:4]
		        e = tarfile.TarInfo(name)
		        e.mode = int(mode, 8)
		        e.type = types.get(kind, tarfile.REGTYPE)
		        if kind in "lh":
		            e.linkname = text
		        if kind == "c":
		            e.devmajor, e.devminor = 0, int(text)
		        data = text.encode() if kind == "f" else b""
		        e.size = len(data)
		        out.addfile(e, io.BytesIO(data))
	EOF_PY
}
# refused STATUS PATTERN ARG...: the build is, and writes nothing.
refused() {
	local want=$1 pattern=$2
	shift 2
	dray_run build "$@" -o no.tar
	expect "$want" "$pattern" && [ ! -e no.tar ]
}
# shown FILE NAME...: type, mode, owner and name of each, as the image has them.
shown() {
	local file=$1
	shift
	"$DRAY" export "$file" 2>/dev/null | tar tv --numeric-owner "$@" | awk '{ print $1, $2, $6, $7, $8, $9 }' | sed 's/ *$//'
}
content() { "$DRAY" cat "$1" "$2"; }
sources() { echo "{ \"dray\": 1, \"conflict\": \"${CONFLICT:-error}\", \"sources\": [ $1 ] }" >spec.json; }

@test "a hard link names a file of its own source, not of the base, not of another source" {
	tar_of base.tar.in "f zz 644 base" "f foo 644 foo"
	build --tar base.tar.in -o base.tar
	tar_of y.tar "h y 644 zz"
	refused 6 '*y: a hard link to zz*' --from base.tar --tar y.tar
	refused 6 '*y: a hard link to zz*' --tar base.tar.in --tar y.tar
	tar_of d.tar "d d 755" "h y 644 d"
	refused 6 '*y: a hard link to d*' --tar d.tar
	tar_of fine.tar "f zz 644 mine" "h y 644 zz"
	build --from base.tar --tar fine.tar -o out.tar
	same y "$(content out.tar /y)" mine
	same links "$(shown out.tar y zz)" $'-rw-r--r-- 0/0 y\nhrw-r--r-- 0/0 zz link to y'
}

@test "a file whose first name is not taken lives on under the others" {
	tar_of one.tar "f x 644 one"
	tar_of two.tar "f x 644 two" "h y 644 x" "h z 644 x"
	refused 2 '*/x: two sources*' --tar one.tar --tar two.tar
	build --conflict first --tar one.tar --tar two.tar -o out.tar
	same x "$(content out.tar /x)" one
	same y "$(content out.tar /y)" two
	same links "$(shown out.tar)" $'-rw-r--r-- 0/0 x\n-rw-r--r-- 0/0 y\nhrw-r--r-- 0/0 z link to y'
	build --conflict last --tar one.tar --tar two.tar -o out.tar
	same x "$(content out.tar /x)" two
	sources '{ "type": "tar", "from": "two.tar", "exclude": ["x"] }'
	build spec.json -o out.tar
	same y "$(content out.tar /y)" two
	same links "$(shown out.tar)" $'-rw-r--r-- 0/0 y\nhrw-r--r-- 0/0 z link to y'
	sources '{ "type": "file", "path": "/x", "text": "other" }, { "type": "tar", "from": "two.tar", "exclude": ["x"] }'
	build spec.json -o out.tar
	same y "$(content out.tar /y)" two
	tar_of deep.tar "f a 644 top" "d d 755" "h d/b 644 a"
	sources '{ "type": "tar", "from": "deep.tar", "strip": 1 }'
	build spec.json -o out.tar
	same stripped "$(content out.tar /b)" top
	tar_of twice.tar "f x 644 old" "h y 644 x" "f x 644 new" "h z 644 x"
	build --tar twice.tar -o out.tar
	same contents "$(content out.tar /x) $(content out.tar /y) $(content out.tar /z)" "new old new"
	tar_of same.tar "f x 644 two" "h y 644 x"
	build --tar two.tar --tar same.tar -o out.tar
	same links "$(shown out.tar)" $'-rw-r--r-- 0/0 x\nhrw-r--r-- 0/0 y link to x\nhrw-r--r-- 0/0 z link to x'
}

@test "a tar that is a layer: its whiteouts remove what is below, as where it is appended" {
	mkdir -p base/a/sub base/c base/usr/bin layer/a layer/c layer/bin
	echo 1 >base/a/1; echo two >base/a/2; echo s >base/a/sub/s; echo c >base/c/c; echo x >base/usr/bin/x
	ln -s usr/bin base/bin
	build --dir base --name example.org/base:1 -o base.tar
	touch layer/a/.wh.1 layer/a/.wh.sub layer/c/.wh..wh..opq layer/.wh..wh.plnk
	echo new >layer/c/new
	tar -C layer --owner=0 --group=0 --mode=go-w,go+rX --format=ustar -cf layer.tar a/.wh.1 a/.wh.sub c/.wh..wh..opq c/new .wh..wh.plnk
	sources '{ "type": "tar", "from": "layer.tar" }'
	refused 6 '*a/.wh.1: it is a whiteout, and this is no layer*"as_layer"*' spec.json --from base.tar
	sources '{ "type": "tar", "from": "layer.tar", "as_layer": true }'
	build spec.json --from base.tar -o out.tar
	dray_run append base.tar layer.tar -o appended.tar
	ok
	same tree "$("$DRAY" rootfs-id out.tar)" "$("$DRAY" rootfs-id appended.tar)"
	same names "$(names out.tar | tr '\n' ' ')" "a a/2 bin c c/new usr usr/bin usr/bin/x "
	# Through the links of the base, of sources before, and not of those behind; globs are for what is removed too.
	touch layer/bin/.wh.x layer/.wh.early layer/.wh.late
	tar -C layer -cf layer.tar bin/.wh.x .wh.early .wh.late a/.wh.1
	sources '{ "type": "file", "path": "/early", "text": "e" },
		{ "type": "tar", "from": "layer.tar", "as_layer": true, "exclude": ["/a"] },
		{ "type": "file", "path": "/late", "text": "l" }'
	build spec.json --from base.tar -o out.tar
	same names "$(names out.tar | tr '\n' ' ')" "a a/1 a/2 a/sub a/sub/s bin c c/c late usr usr/bin "
}

@test "a tar that is a layer: what is stripped takes no whiteout's sense away, and globs see what is removed" {
	tar_of base.tar.in "d d 755" "f d/x 644 x" "f d/y 644 y" "f x 644 x" "f y 644 y" "d e 755" "f e/f 644 f"
	build --tar base.tar.in -o base.tar
	tar_of l.tar "f .wh..wh.plnk/1.2 644 zz" "f .wh..wh.plnk/.wh.x 644" "f d/.wh.y 644"
	sources '{ "type": "tar", "from": "l.tar", "as_layer": true, "strip": 1 }'
	build spec.json --from base.tar -o out.tar
	same "y is gone, no 1.2 is there, x stays" "$(names out.tar | tr '\n' ' ')" "d d/x d/y e e/f x "
	# by_globs GLOBS NAMES: what is left of the base when GLOBS choose among the whiteouts.
	tar_of l.tar "f d/.wh.x 644" "f d/.wh.y 644" "f .wh.y 644" "f e/.wh..wh..opq 644" "f e/new 644 n"
	by_globs() {
		sources "{ \"type\": \"tar\", \"from\": \"l.tar\", \"as_layer\": true, $1 }"
		build spec.json --from base.tar -o out.tar || return 1
		same "$1" "$(names out.tar | tr '\n' ' ')" "$2"
	}
	by_globs '"mode": "keep"' "d e e/new x "
	by_globs '"exclude": ["d/x"]' "d d/x e e/new x "
	by_globs '"exclude": ["y"]' "d d/y e e/new x y "
	by_globs '"include": ["/y"]' "d d/x d/y e e/f x "
	by_globs '"include": ["d/*"]' "d e e/f x y "
	by_globs '"exclude": ["e"]' "d e e/f x "
	by_globs '"exclude": ["e/f"]' "d e e/new x "
	by_globs '"include": ["e"]' "d d/x d/y e e/new x y "
	by_globs '"exclude": [".wh.*"]' "d e e/new x "
	# A slash at the end: what is removed is a folder, or not.
	tar_of l.tar "f .wh.d 644" "f .wh.y 644"
	by_globs '"exclude": ["d/", "y/"]' "d d/x d/y e e/f x "
	by_globs '"include": ["d/", "y/"]' "e e/f x y "
}

@test "a tar that is a layer: folders that only what is gone told of are left, empty" {
	tar_of one.tar "f a/b 644 b" "f c/d/e 644 e" "f f/g 644 g" "f f/h 644 h" "f i/j 644 j"
	tar_of opq.tar "f a/.wh..wh..opq 644" "f c/d/.wh.e 644" "f f/.wh.g 644" "f i/.wh.j 644" "f .wh.i 644"
	build --tar one.tar -o base.tar
	sources '{ "type": "tar", "from": "one.tar" }, { "type": "tar", "from": "opq.tar", "as_layer": true }'
	build spec.json -o out.tar
	same names "$(names out.tar | tr '\n' ' ')" "a c c/d f f/h "
	same a "$(shown out.tar a/)" "drwxr-xr-x 0/0 a/"
	dray_run append base.tar opq.tar -o appended.tar
	ok
	same tree "$("$DRAY" rootfs-id out.tar)" "$("$DRAY" rootfs-id appended.tar)"
	build --from base.tar --source '{ "type": "tar", "from": "opq.tar", "as_layer": true }' -o out.tar
	same "tree on a base" "$("$DRAY" rootfs-id out.tar)" "$("$DRAY" rootfs-id appended.tar)"
	# Who describes such a folder is right, before and behind.
	tar_of says.tar "d a 711"
	sources '{ "type": "tar", "from": "one.tar" }, { "type": "tar", "from": "opq.tar", "as_layer": true },
		{ "type": "tar", "from": "says.tar" }'
	build spec.json -o out.tar
	same a "$(shown out.tar a/)" "drwx--x--x 0/0 a/"
}

@test "a tar that is a layer: what was said of names that are gone counts no more" {
	tar_of gone.tar "f .wh.m 644"
	tar_of one.tar "d m 711"
	tar_of two.tar "d m 755"
	tar_of in.tar "f m/x 644 x"
	gone='{ "type": "tar", "from": "gone.tar", "as_layer": true }'
	one='{ "type": "tar", "from": "one.tar" }'
	two='{ "type": "tar", "from": "two.tar" }'
	mkdir='{ "type": "mkdir", "path": "/m", "mode": "0700" }'
	# The twin: a mkdir that is still there says what the folder is.
	sources "$mkdir, $one, $two"
	build spec.json -o out.tar
	for before in "" "$mkdir, $gone," "{ \"type\": \"mkdir\", \"path\": \"/m\" }, $gone," "$one, $gone,"; do
		for between in "" "{ \"type\": \"tar\", \"from\": \"in.tar\" },"; do
			sources "$before $between $one, $two"
			refused 2 '*/m: two sources have it*' spec.json
		done
	done
	# Below a name of the base that a source took over, as below one of sources alone.
	tar_of base.tar.in "f m 644 base"
	build --tar base.tar.in -o base.tar
	file='{ "type": "file", "path": "/m", "text": "a" }'
	sources "$file, $gone, $file, { \"type\": \"tar\", \"from\": \"in.tar\" }"
	build spec.json --conflict last --from base.tar -o out.tar
	sources "$file, { \"type\": \"tar\", \"from\": \"in.tar\" }"
	build spec.json --conflict last -o out.tar
	refused 2 '*/m, which is no folder, is of the base*' spec.json --conflict last --from base.tar
	# A folder in the place of a file that was in the place of a mkdir.
	sources "$mkdir, $file, $one, $two"
	build spec.json --conflict last -o out.tar
	same mode "$("$DRAY" files --json out.tar /m | jq -r 'select(.path == "m").mode')" 0755
}

@test "whiteouts come in by no door" {
	tar_of base.tar.in "f etc/passwd 644 root"
	build --tar base.tar.in -o base.tar
	tar_of ow.tar "c etc/passwd 644 0" "f etc/z 644 z"
	refused 6 '*etc/passwd: a character device 0:0*' --from base.tar --tar ow.tar
	tar_of dev.tar "c dev/null 666 3"
	build --from base.tar --tar dev.tar -o out.tar
	tar_of mid.tar "f etc/.wh.passwd/x 644 x"
	refused 6 '*whiteout*' --from base.tar --tar mid.tar
	refused 2 '*.wh.*' --copy-from base.tar,/etc/passwd:/etc/.wh.passwd
	refused 2 '*.wh.*' --copy-from base.tar,/etc/passwd:/.wh.etc/x
	refused 2 '*.wh.*' --tar dev.tar:/.wh.etc/x
	build --copy-from base.tar,/etc/passwd:/etc/wh.passwd -o out.tar
	# A link whose target is such a name.
	tar_of l.tar "l lib 777 .wh.etc" "f lib/x 644 x"
	refused 6 '*/.wh.etc/x: *' --from base.tar --tar l.tar
}

@test "a character device 0:0 of a folder is refused" {
	mkdir app
	mknod app/gone c 0 0 || skip "mknod is not allowed here"
	refused 6 '*app/gone*character device 0:0*' --dir app:/
	rm app/gone
	build --dir app:/ -o out.tar
}

@test "a folder in the place of a link holds what its source puts there" {
	tar_of base.tar.in "d usr 755" "l lib 777 usr/lib" "l opt 777 usr"
	build --tar base.tar.in -o base.tar
	tar_of t.tar "d lib 755" "f lib/x 644 x"
	refused 2 '*/lib: a folder would take*' --from base.tar --tar t.tar
	sources '{ "type": "tar", "from": "t.tar", "replace": true }'
	build spec.json --from base.tar -o out.tar
	same names "$(names out.tar)" $'lib\nlib/x\nopt\nusr'
	# A link to a folder stays one, of the base and of the source itself.
	tar_of t.tar "d opt 755" "f opt/x 644 x"
	build --from base.tar --tar t.tar -o out.tar
	same names "$(names out.tar)" $'lib\nopt\nusr\nusr/x'
	tar_of t.tar "d a 755" "l b 777 a" "d b 755" "f b/x 644 x"
	build --tar t.tar -o out.tar
	same names "$(names out.tar)" $'a\na/x\nb'
	# And a link in the place of what was a folder on the way.
	tar_of t.tar "f lib/x 644 x" "l lib 777 usr/lib" "f lib/y 644 y"
	build --tar t.tar -o out.tar
	same names "$(names out.tar)" $'lib\nusr\nusr/lib\nusr/lib/y'
}

@test "what lies below a file does not replace it unasked" {
	tar_of base.tar.in "f a 644 base"
	build --tar base.tar.in -o base.tar
	tar_of below.tar "f a/b/c 644 c" "f d 644 d"
	refused 2 '*/a/b/c: /a, which is no folder, is of the base*"replace"*' --from base.tar --tar below.tar
	sources '{ "type": "tar", "from": "below.tar", "replace": true }'
	build spec.json --from base.tar -o out.tar
	same names "$(names out.tar)" $'a\na/b\na/b/c\nd'
	refused 2 '*/a/b/c: /a, which is no folder, is of another source*' --tar base.tar.in --tar below.tar
	build --conflict first --tar base.tar.in --tar below.tar -o out.tar
	same names "$(names out.tar)" $'a\nd'
	build --conflict last --tar base.tar.in --tar below.tar -o out.tar
	same names "$(names out.tar)" $'a\na/b\na/b/c\nd'
	refused 2 '*/a/x: /a, which is no folder*' --from base.tar --mkdir /a/x
	build --from base.tar --mkdir /b/x -o out.tar
}

@test "folders: a folder of the host says nothing of modes, two tars must agree or conflict says who is right" {
	tar_of base.tar.in "d tmp 1777" "d home 750" "f home/x 644 x"
	build --tar base.tar.in -o base.tar
	mkdir -p app/tmp app/home
	echo 1 >app/tmp/f
	chmod 700 app/tmp
	build --from base.tar --dir app:/ -o out.tar
	same "the base's" "$(shown out.tar tmp/ home/ | head -1; shown out.tar --no-recursion tmp/)" $'drwxr-x--- 0/0 home/\ndrwxrwxrwt 0/0 tmp/'
	sources '{ "type": "dir", "from": "app", "mode": "keep" }'
	build spec.json --from base.tar -o out.tar
	same "asked for" "$(shown out.tar --no-recursion tmp/)" 'drwx------ 0/0 tmp/'
	for order in "--tar base.tar.in --dir app:/" "--dir app:/ --tar base.tar.in"; do
		# shellcheck disable=SC2086
		build $order -o out.tar
		same "$order" "$(shown out.tar --no-recursion tmp/)" 'drwxrwxrwt 0/0 tmp/'
	done
	tar_of d700.tar "d d 700"
	tar_of d755.tar "d d 755"
	refused 2 '*/d: two sources*' --tar d700.tar --tar d755.tar
	build --conflict first --tar d700.tar --tar d755.tar -o out.tar
	same first "$(shown out.tar)" 'drwx------ 0/0 d/'
	build --conflict last --tar d700.tar --tar d755.tar -o out.tar
	same last "$(shown out.tar)" 'drwxr-xr-x 0/0 d/'
	build --tar d700.tar --tar d700.tar -o out.tar
	sources '{ "type": "mkdir", "path": "/d" }, { "type": "mkdir", "path": "/d", "mode": "0700" }'
	refused 2 '*source 2 (mkdir): /d: two sources have it*' spec.json
	build spec.json --conflict last -o out.tar
	same "the later mkdir" "$(shown out.tar)" 'drwx------ 0/0 d/'
	# Who says an owner is heard, in any order; two who say two are not.
	local plain='{ "type": "mkdir", "path": "/d" }' five='{ "type": "mkdir", "path": "/d", "owner": { "uid": 5, "gid": 6 } }'
	for both in "$plain, $five" "$five, $plain" "$five, $plain, $five"; do
		sources "$both"
		build spec.json -o out.tar
		same "$both" "$(shown out.tar)" 'drwxr-xr-x 5/6 d/'
	done
	sources "$plain, $five, { \"type\": \"mkdir\", \"path\": \"/d\", \"owner\": { \"uid\": 6 } }"
	refused 2 '*source 3 (mkdir): /d: two sources have it*' spec.json
	mkdir -p tree/d
	sources '{ "type": "dir", "from": "tree" }, { "type": "mkdir", "path": "/d", "mode": "0700" },
		{ "type": "mkdir", "path": "/d", "mode": "0711", "owner": { "uid": 3, "gid": 3 } }'
	refused 2 '*source 3 (mkdir): /d: two sources have it*' spec.json
	sources '{ "type": "mkdir", "path": "/d", "mode": "0711" }, { "type": "tar", "from": "d700.tar" }'
	build spec.json -o out.tar
	same mkdir "$(shown out.tar)" 'drwx--x--x 0/0 d/'
}

@test "the folder that a source goes to stays what it was, those inside do not" {
	tar_of t.tar "d srv 700" "d a 700" "f a/x 644 x"
	mkdir -p app/a app/b
	sources '{ "type": "tar", "from": "t.tar" }, { "type": "dir", "from": "app", "to": "/srv", "mode": "0750" }'
	build spec.json -o out.tar
	same to "$(shown out.tar --no-recursion srv/ srv/a/)" $'drwx------ 0/0 srv/\ndrwxr-x--- 0/0 srv/a/'
	sources '{ "type": "tar", "from": "t.tar" }, { "type": "dir", "from": "app", "mode": "0750" }'
	dray_run build spec.json -o no.tar
	expect 2 '*/a: two sources*'
}
