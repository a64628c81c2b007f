#!/usr/bin/env bats
# build: the same bytes whoever builds, where and when; nothing of the machine in them.
#
# What makes two builds of the same files differ elsewhere, and the test that it does not here (of this file, or named):
#
#   times of files, folders, links       "another folder, other times, another order of names"; build.bats, item 30-33
#   fractions of seconds                 "whole seconds, and no record of other times"
#   access and change times in records   the same
#   order of names, the locale's order   "names are in the order of their bytes, part by part"; "a listing turned round ..."
#   owners, their names                  "another user"; "headers are plain ustar ..."
#   umask, setgid, group-writable        "another umask, group-writable files, setgid folders"
#   type bits in modes                   "modes have no bits of the type; links are 0777"
#   modes of links                       the same
#   attributes of the host, their order  "attributes of the host stay there ..."; "attributes are sorted"
#   which name of a file is the file     "the first name in order is the file, the others are links to it"
#   two devices with the same inode      "files of two file systems with one inode number are two files"
#   sparse files                         "holes are written out"
#   dialects of tar, padding             "headers are plain ustar ..."; "a record for a long name has a fixed name"
#   sizes and times of folders           "folders: no size, whatever was in them"
#   the header of gzip                   "gzip headers tell nothing"
#   compressor, threads                  "any number of threads, compressed too"; "bytes that are not to change"
#   how JSON is written                  "JSON: in one line, nothing behind it"
#   "now"                                "all times of an image are one"
#   whiteouts, opaque folders            tests/unit/layer/test_write.c: a whiteout has mode, owner and time 0; none is opaque
#   maps, threads that end in any order  "any number of threads ..."; tests/unit/build/test_layering.c: ties go by names
#   temporary names, hosts, folders      "nothing of the machine is in it"
#   a file that changes meanwhile        build_bad.bats, build_edges.bats
#   file systems that fold names         "names are bytes"; "names that differ in case alone are told once"
#   time zones                           "another locale, time zone, environment"
#   the outer tar                        "the outer tar: fixed modes, owners, times and order"
#   a tag made of the output             build.bats, item 29
#   databases with times in files        out of reach: docs/build.md says so

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
	fails grep -a -q 'trusted' layer.tar
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

# packed: the first layer of x.tar as Python sees it, for what reads standard input with it.
packed() {
	layer_tar "${1:-x.tar}" "${2:-0}" >layer.tar
	python3 - layer.tar
}

# A host that lists folders backwards, in the year 2040.
@test "a listing turned round, another clock" {
	require_peer gcc
	cat >shim.c <<-'EOF_C'
		#define _GNU_SOURCE
		#include <dirent.h>
		#include <dlfcn.h>
		#include <stdlib.h>
		#include <string.h>
		#include <time.h>
		#define LATER 2208988800
		static _Thread_local struct listing { DIR *d; struct dirent64 *list; size_t n; } at[64];
		struct dirent64 *readdir64(DIR *d)
		{
			struct dirent64 *(*real)(DIR *) = dlsym(RTLD_NEXT, "readdir64"), *e;
			size_t i = 0;
			while (i < 63 && at[i].d && at[i].d != d)
				i++;
			if (at[i].d != d) {
				at[i] = (struct listing){ .d = d };
				while ((e = real(d))) {
					at[i].list = realloc(at[i].list, (at[i].n + 1) * sizeof(*e));
					memcpy(&at[i].list[at[i].n++], e, e->d_reclen);
				}
			}
			if (at[i].n > 0)
				return &at[i].list[--at[i].n];
			free(at[i].list);
			at[i].d = NULL;
			return NULL;
		}
		struct dirent *readdir(DIR *d) { return (struct dirent *)readdir64(d); }
		time_t time(time_t *t) { if (t) *t = LATER; return LATER; }
		int clock_gettime(clockid_t id, struct timespec *t)
		{
			int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
			int rc = real(id, t);
			if (id == CLOCK_REALTIME)
				t->tv_sec = LATER;
			return rc;
		}
	EOF_C
	gcc -shared -fPIC -o shim.so shim.c -ldl
	mkdir one
	touch one/a one/b
	# that it does so
	[ "$(LD_PRELOAD=$T/shim.so ls -U one)" != "$(ls -U one)" ]
	same year "$(LD_PRELOAD=$T/shim.so date -u +%Y)" 2040
	ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=$T/shim.so "${DRAY_PLAIN:-$DRAY}" build spec.json -o again.tar
	cmp first.tar again.tar
}

@test "a change of one file changes one layer" {
	mkdir -p tree/usr/lib tree/usr/share/doc tree/opt/a tree/opt/b tree/etc tree/srv/data
	for i in usr/lib/x usr/lib/y usr/share/doc/z opt/a/f opt/b/g srv/data/h; do
		head -c 1500000 /dev/zero | openssl enc -aes-128-ctr -nosalt -K "$(printf '%032x' ${#i})" -iv "$(printf '%032x' 1)" >"tree/$i"
	done
	for i in $(seq 100); do echo "$i" >"tree/etc/$i"; done
	build --dir tree:/ -o x.tar
	same layers "$(layers x.tar | wc -l | awk '{ print ($1 > 3) }')" 1
	for i in etc/50 opt/b/g usr/share/doc/z; do
		echo more >>"tree/$i"
		build --dir tree:/ -o y.tar
		same "$i" "$(comm -3 <(layers x.tar | sort) <(layers y.tar | sort) | wc -l)" 2
		same "order, $i" "$(diff <(layers x.tar) <(layers y.tar) | grep -c '^[0-9,]*c[0-9,]*$')" 1
		mv y.tar x.tar
	done
}

@test "whole seconds, and no record of other times" {
	python3 - <<-'EOF_PY'
		import io, tarfile
		t = tarfile.open("in.tar", "w", format=tarfile.PAX_FORMAT)
		m = tarfile.TarInfo("f")
		m.mtime, m.size = 1000000000.75, 1
		m.pax_headers = {"atime": "5.5", "ctime": "6.5", "LIBARCHIVE.creationtime": "7.5", "comment": "hello"}
		t.addfile(m, io.BytesIO(b"x"))
		t.close()
	EOF_PY
	touch -d '2001-09-09 01:46:40.75 UTC' app/a
	for how in keep clamp=2000000000 set; do
		[ "$how" != set ] || how=1000000000
		build --tar in.tar --add app/a:/a --mtime "$how" -o x.tar
		packed <<-'EOF_PY'
			import sys, tarfile
			for m in tarfile.open(sys.argv[1]):
			    assert not m.pax_headers and m.mtime == 1000000000, (m.name, m.mtime, m.pax_headers)
		EOF_PY
	done
}

@test "names are in the order of their bytes, part by part" {
	mkdir -p n/a n/B n/é
	touch n/a/b n/a-b n/a.b n/ab n/A n/b n/B/x n/Z n/_ n/é/1 n/ä n/10 n/9
	for locale in C de_DE.UTF-8; do
		LC_ALL=$locale build --dir n:/ --strategy single -o x.tar
		same "$locale" "$(layer_tar x.tar 0 | LC_ALL=C.UTF-8 tar t | tr '\n' ' ')" \
			"10 9 A B/ B/x Z _ a/ a/b a-b a.b ab b ä é/ é/1 "
	done
}

@test "modes have no bits of the type; links are 0777" {
	python3 - <<-'EOF_PY'
		import tarfile
		def add(name, kind, mode, link=""):
		    m = tarfile.TarInfo(name)
		    m.type, m.linkname = kind, link
		    raw = bytearray(m.tobuf(tarfile.USTAR_FORMAT))
		    raw[100:108] = b"%07o\0" % mode
		    raw[148:156] = b" " * 8
		    raw[148:156] = b"%06o\0 " % sum(raw)
		    return bytes(raw)
		open("in.tar", "wb").write(add("f", b"0", 0o100644) + add("l", b"2", 0o120755, "f") + add("d", b"5", 0o41777) + bytes(1024))
	EOF_PY
	ln -s a app/link2
	build --tar in.tar --dir app:/app -o x.tar
	packed <<-'EOF_PY'
		import sys, tarfile
		raw = open(sys.argv[1], "rb").read()
		modes = {m.name: raw[m.offset + 100:m.offset + 108] for m in tarfile.open(sys.argv[1])}
		assert modes["f"] == b"0000644\0" and modes["d"] == b"0001777\0", modes
		assert modes["l"] == modes["app/link"] == modes["app/link2"] == b"0000777\0", modes
	EOF_PY
}

@test "attributes are sorted" {
	mkdir one two
	echo one >one/f
	python3 -c 'import os; [os.setxattr("one/f", "user." + n, n.encode()) for n in "cab"]' || skip "no attributes on this file system"
	echo one >two/f
	python3 -c 'import os; [os.setxattr("two/f", "user." + n, n.encode()) for n in "bca"]'
	build --dir one:/ -o x.tar
	build --dir two:/ -o y.tar
	cmp x.tar y.tar
	packed <<-'EOF_PY'
		import sys, tarfile
		m, = tarfile.open(sys.argv[1])
		assert list(m.pax_headers.items()) == [("SCHILY.xattr.user." + n, n) for n in "abc"], m.pax_headers
	EOF_PY
}

@test "the first name in order is the file, the others are links to it" {
	mkdir -p l/a l/b m/a m/b
	echo x >l/b/2
	ln l/b/2 l/b/1
	ln l/b/2 l/a/9
	echo x >m/a/9
	ln m/a/9 m/b/1
	ln m/a/9 m/b/2
	build --dir l:/ --name x -o x.tar
	build --dir m:/ --name x -o y.tar
	cmp x.tar y.tar
	packed <<-'EOF_PY'
		import sys, tarfile
		found = [(m.name, m.type, m.linkname) for m in tarfile.open(sys.argv[1]) if not m.isdir()]
		assert found == [("a/9", b"0", ""), ("b/1", b"1", "a/9"), ("b/2", b"1", "a/9")], found
	EOF_PY
}

@test "files of two file systems with one inode number are two files" {
	require_root
	mkdir two two/a two/b
	unshare --mount --propagation private true 2>/dev/null || skip "no mounts here"
	# shellcheck disable=SC2016
	unshare --mount --propagation private bash -ec '
		mount -t tmpfs none two/a
		mount -t tmpfs none two/b
		for d in a b; do echo "$d" >"two/$d/f" && ln "two/$d/f" "two/$d/g"; done
		[ "$(stat -c %i two/a/f)" = "$(stat -c %i two/b/f)" ] || exit 77
		"$1" build --dir two:/ -o x.tar' - "$DRAY" || {
		[ $? -eq 77 ] && skip "tmpfs here gives other numbers"
		false
	}
	packed <<-'EOF_PY'
		import sys, tarfile
		t = tarfile.open(sys.argv[1])
		assert [(m.name, m.linkname) for m in t if not m.isdir()] == [("a/f", ""), ("a/g", "a/f"), ("b/f", ""), ("b/g", "b/f")]
		assert t.extractfile("a/f").read() == b"a\n" and t.extractfile("b/f").read() == b"b\n"
	EOF_PY
}

@test "holes are written out" {
	mkdir s d
	truncate -s 300000 s/f
	echo end >>s/f
	{ head -c 300000 /dev/zero && echo end; } >d/f
	tar cSf s.tar -C s f
	build --dir s:/ --name x -o x.tar
	for from in "--dir d:/" "--tar s.tar --mtime 1"; do
		# shellcheck disable=SC2086
		build $from --name x -o y.tar
		same "$from" "$(layers y.tar)" "$(layers x.tar)"
	done
}

@test "folders: no size, whatever was in them" {
	for i in $(seq 600); do : >"app/sub/a-file-with-quite-a-long-name-number-$i"; done
	rm app/sub/a-file*
	again "a folder that was big"
}

@test "a record for a long name has a fixed name" {
	mkdir p
	echo x >"p/$(printf 'n%.0s' $(seq 150))"
	build --dir p:/ --name x -o x.tar
	build --dir p:/ --name x -o y.tar
	cmp x.tar y.tar
	packed <<-'EOF_PY'
		import sys
		raw = open(sys.argv[1], "rb").read()
		assert raw[156:157] == b"x"
		assert b"n" * 50 not in raw[:100] and not any(48 <= c < 58 for c in raw[:100]), raw[:100]
		assert raw[100:108] == b"0000644\0" and raw[108:124] == b"0000000\0" * 2
	EOF_PY
}

@test "gzip headers tell nothing" {
	build spec.json --compression gzip -o oci:out:t
	for blob in out/blobs/sha256/*; do
		same "$blob" "$(head -c 2 "$blob" | xxd -p | sed 's/1f8b/gzip/; s/7b.*/json/')" \
			"$(head -c 1 "$blob" | grep -q '{' && echo json || echo gzip)"
		[ "$(head -c 2 "$blob" | xxd -p)" != 1f8b ] || python3 - "$blob" <<-'EOF_PY'
			import struct, sys
			magic, method, flags, time, extra, system = struct.unpack("<HBBIBB", open(sys.argv[1], "rb").read(10))
			assert (method, flags & ~4, time, system) == (8, 0, 0, 255), (method, flags, time, extra, system)
		EOF_PY
	done
}

# A change here means that everybody's images change: the layer's with a note in CHANGELOG, the blob's with another revision.
@test "bytes that are not to change" {
	mkdir g g/sub
	seq 1 20000 >g/numbers
	echo text >g/sub/text
	ln -s sub/text g/link
	ln g/numbers g/sub/numbers
	build --dir g:/srv --symlink /l:srv --mkdir /tmp:1777 --user u:5:6:/srv:/bin/sh --compression gzip -o oci:golden:t
	same layer "$(layers oci:golden:t)" sha256:f71dc313ba212979641a37188092128031f7764780a6a9dac7e742b07e300b57
	same blob "$("$DRAY" inspect --json oci:golden:t | jq -r '.images[0].layers[0].blob_digest')" \
		sha256:9af316d8f18e129786d17543d89af03944b65f9b71aeee5e56251481aecd47ca
}

# As Go writes it, which hides three characters from HTML.
@test "JSON: in one line, nothing behind it" {
	build spec.json --label 'a=<b>&"é"' --env 'A=/&' -o oci:out:t
	for blob in out/blobs/sha256/* out/index.json out/oci-layout; do
		[ "$(head -c 1 "$blob")" = '{' ] || continue
		jq -cj . <"$blob" | sed 's/&/\\u0026/g; s/</\\u003c/g; s/>/\\u003e/g' >compact
		cmp "$blob" compact
	done
	id=$("$DRAY" inspect --json oci:out:t | jq -r '.images[0].image_id')
	same keys "$(jq -c keys_unsorted <"out/blobs/sha256/${id#sha256:}")" '["created","architecture","os","config","rootfs","history"]'
}

@test "all times of an image are one" {
	echo '{ "dray": 1, "name": "made/same", "annotations": { "x": "y" }, "sources": [ { "type": "dir", "from": "app", "to": "/a" }, { "type": "mkdir", "path": "/b" } ] }' >spec.json
	build spec.json --created 2020-02-03T04:05:06Z --mtime 2020-02-03T04:05:06Z --strategy per-source -o oci:out:t
	cat out/index.json out/blobs/sha256/* >all
	same times "$(grep -a -oE '[0-9]{4}-[0-9]{2}-[0-9]{2}T[^"]*' all | sort | uniq -c | awk '{ print ($1 > 2), $2 }')" "1 2020-02-03T04:05:06Z"
}

@test "nothing of the machine is in it" {
	layer_tar first.tar 0 >layer.tar
	fails grep -a -q -F -e "$(id -un)" layer.tar
	for word in "$(hostname)" "$T" "$TMPDIR" "$HOME/" /tmp/; do
		[ "${#word}" -gt 6 ] || [ "${word:0:1}" = / ] || continue
		fails grep -a -q -F -e "$word" first.tar || {
			echo "$word is in it"
			false
		}
	done
}

@test "names are bytes" {
	mkdir names
	printf 1 >names/name
	printf 2 >names/NAME
	printf 3 >names/$'e\u0301'
	printf 4 >names/$'\u00e9'
	printf 5 >names/$'\xff'
	build --dir names:/ -o x.tar
	same files "$("$DRAY" export x.tar 2>/dev/null | tar xO | tr -d '\n')" 23145
}

@test "names that differ in case alone are told once" {
	mkdir -p names/d/sub names/e
	touch names/d/{README,Readme,readme,other} names/d/sub/{x,y} names/e/{a,A}
	build --dir names:/ -o x.tar
	same told "$(grep -c 'in case alone' <<<"$stderr")" 1
	[[ $stderr == *"/d/README and /d/Readme differ in case alone (3 such)"* ]]
	# What the base has is its own affair; one above it is not.
	build --from x.tar --file /other=1 -o y.tar
	absent "told of the base" "$(grep 'in case alone' <<<"$stderr" || true)"
	build --from x.tar --file /d/Sub=1 -o y.tar
	[[ $stderr == *"/d/Sub and /d/sub differ in case alone (1 such)"* ]]
	# It is a warning: the image has them all.
	same names "$("$DRAY" files -q x.tar | grep -c -i readme)" 3
}

@test "the outer tar: fixed modes, owners, times and order" {
	python3 - first.tar <<-'EOF_PY'
		import sys, tarfile
		raw, t = open(sys.argv[1], "rb").read(), tarfile.open(sys.argv[1])
		for m in t:
		    assert (m.mode, m.uid, m.gid, m.uname, m.gname, m.mtime) == (0o644, 0, 0, "", "", 0), m.get_info()
		names = [m.name for m in t]
		assert names[0] == "oci-layout" and names[-2:] == ["index.json", "manifest.json"], names
		assert len(set(names)) == len(names) and raw.endswith(bytes(1024))
	EOF_PY
}
