#!/usr/bin/env bats
# build: the same bytes whoever builds, where and when; nothing of the machine in them.

load build

setup() {
	build_setup
	mkdir -p app/sub
	echo one >app/a
	echo two >app/sub/b
	printf '#!/bin/sh\n' >app/run
	chmod 755 app/run
	ln app/a app/z
	ln -s a app/link
	echo '{ "dray": 1, "name": "made/same", "sources": [ { "type": "dir", "from": "app", "to": "/srv/app" } ] }' >spec.json
	build spec.json -o first.tar
	FIRST=$(sha256sum <first.tar)
}
teardown() { peers_teardown; }

# again: built once more in this folder, the same.
again() {
	build spec.json -o again.tar
	same "$1" "$(sha256sum <again.tar)" "$FIRST"
}

@test "item 46, 47: another folder, other times, another order of names" {
	mkdir -p elsewhere/deep/app/sub
	cp spec.json elsewhere/deep
	cd elsewhere/deep
	# made in another order, at another time
	echo two >app/sub/b
	ln -s a app/link
	printf '#!/bin/sh\n' >app/run
	echo one >app/z
	ln app/z app/a
	chmod 755 app/run
	touch -d 2001-02-03 app/* app
	again "elsewhere"
	cd "$T"
	dray_run build elsewhere/deep/spec.json -o there.tar
	ok
	same "by a path" "$(sha256sum <there.tar)" "$FIRST"
}

@test "item 46: another umask, group-writable files, setgid folders" {
	umask 077
	again "umask"
	umask 0
	chmod -R g+w app
	chmod g+s app app/sub
	again "modes of a checkout"
}

@test "item 46: another locale, time zone, environment" {
	for locale in C de_DE.UTF-8 tr_TR.UTF-8; do
		LC_ALL=$locale LANG=$locale again "$locale"
	done
	TZ=Asia/Kathmandu again "time zone"
	run --separate-stderr env -i "$DRAY" build spec.json -o again.tar
	same "no environment" "$(sha256sum <again.tar)" "$FIRST"
}

@test "item 46: another user" {
	require_root
	require_peer setpriv
	d=$(mktemp -d /tmp/dray-build.XXXXXX)
	cp -a app spec.json "$d"
	chown -R -h 1234:1234 "$d"
	same "another user" "$(cd "$d" && setpriv --reuid 1234 --regid 1234 --clear-groups \
		env TMPDIR="$d" HOME="$d" XDG_CACHE_HOME="$d" "$DRAY" build spec.json -o - 2>"$T/err" | sha256sum)" \
		"$("$DRAY" build spec.json -o - 2>/dev/null | sha256sum)"
	rm -r "$d"
}

@test "item 46: tmpfs and a file system on disk" {
	[ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ] || skip "no tmpfs at /dev/shm"
	d=$(mktemp -d /dev/shm/dray-build.XXXXXX)
	cp -a app spec.json "$d"
	cd "$d"
	build spec.json -o again.tar
	sum=$(sha256sum <again.tar)
	cd "$T"
	rm -r "$d"
	same tmpfs "$sum" "$FIRST"
}

@test "item 46: any number of threads, compressed too" {
	head -c 3000000 /dev/urandom >app/big
	build spec.json -j 1 --compression gzip -o one.tar
	build spec.json -j 8 --compression gzip -o many.tar
	cmp one.tar many.tar
}

@test "item 46: attributes of the host stay there, but for those that are asked for" {
	python3 -c 'import os; os.setxattr("app/a", "user.note", b"here")' || skip "no attributes on this file system"
	[ "$(id -u)" -ne 0 ] || python3 -c 'import os; os.setxattr("app/a", "trusted.secret", b"x")' || true
	build spec.json -o x.tar
	layer=$(layers x.tar)
	tar xOf x.tar "blobs/sha256/${layer#sha256:}" >layer.tar
	grep -a -q 'SCHILY.xattr.user.note=here' layer.tar
	! grep -a -q 'trusted' layer.tar
	echo '{ "dray": 1, "name": "made/same", "sources": [ { "type": "dir", "from": "app", "to": "/srv/app", "xattrs": [] } ] }' >spec.json
	again "without"
}

@test "item 46: headers are plain ustar: no owner's name, no pax record but for a long name" {
	layer=$(layers first.tar)
	tar xOf first.tar "blobs/sha256/${layer#sha256:}" >layer.tar
	python3 - layer.tar <<-'EOF_PY'
		import sys, tarfile
		raw = open(sys.argv[1], "rb").read()
		t = tarfile.open(sys.argv[1])
		names = [m.name for m in t]
		assert names == ["srv", "srv/app", "srv/app/a", "srv/app/link", "srv/app/run", "srv/app/sub", "srv/app/sub/b", "srv/app/z"], names
		for m in t:
		    assert (m.uid, m.gid, m.uname, m.gname, m.mtime, m.pax_headers) == (0, 0, "", "", 1, {}), m.get_info()
		    assert raw[m.offset + 257:m.offset + 265] == b"ustar\x0000"
		assert raw.endswith(bytes(1024)) and len(raw) % 512 == 0
		assert t.getmember("srv/app/z").linkname == "srv/app/a"
	EOF_PY
	long=$(printf 'n%.0s' $(seq 120))
	echo x >"app/$long"
	build spec.json -o long.tar
	"$DRAY" export long.tar 2>/dev/null | tar t | grep -q "$long"
}
