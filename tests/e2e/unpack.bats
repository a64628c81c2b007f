#!/usr/bin/env bats
# What unpack and extract leave on the disk: against umoci and docker export, as root and as a user, from hostile images,
# and when something fails. tests/layers/stacks.py unpacks its random stacks too.

load lib

LAYERS=$PEERS_TOP/tests/layers

setup() {
	verbs_setup
	export PYTHONDONTWRITEBYTECODE=1
	T=$BATS_TEST_TMPDIR
}
teardown() {
	# What a user could not read is root's to remove; a user's own is opened first.
	[ "$(id -u)" -eq 0 ] || chmod -R u+rwX "$BATS_TEST_TMPDIR" 2>/dev/null || :
	peers_teardown
}

# image NAME: one of trick_image.py as an OCI layout; sets IMG.
image() {
	python3 "$LAYERS/trick_image.py" "$T/$1.oci" "$1" || return 1
	IMG=oci:$T/$1.oci:t
}

# tree DIR [OPTION]...: as text.
tree() { python3 "$LAYERS/tree.py" "$@"; }

# same_trees A B [OPTION]...
same_trees() {
	local a=$1 b=$2
	shift 2
	tree "$a" "$@" >"$T/a.txt" && tree "$b" "$@" >"$T/b.txt" && diff "$T/a.txt" "$T/b.txt"
}

# only_in DIR NAMES: nothing else is there.
only_in() {
	local dir=$1
	shift
	same "names in $dir" "$(ls -A "$dir")" "$*"
}

@test "unpack is what GNU tar makes of export" {
	require_root
	image everything
	dray_run unpack "$IMG" "$T/ours"
	expect 0
	"$DRAY" export -q "$IMG" -o "$T/e.tar"
	mkdir "$T/theirs"
	tar -C "$T/theirs" --xattrs --xattrs-include='*' --numeric-owner -p --delay-directory-restore -xf "$T/e.tar"
	# What overlayfs keeps its books in is in neither, but in a layer.
	"$DRAY" files --json "$IMG" trusted | jq -e '.xattrs | has("trusted.overlay.opaque")'
	absent "overlay's" "$(grep -a -o 'trusted\.overlay' "$T/e.tar")"
	# Parents that nobody described have an entry in the tar.
	same_trees "$T/ours" "$T/theirs"
	[ "$(wc -l <"$T/a.txt")" -gt 40 ]
	grep -q 'security.capability=0100000200040000000000000000000000000000' "$T/a.txt"
	grep -q 'system.posix_acl_access=' "$T/a.txt"
	grep -q 'trusted.note=74' "$T/a.txt"
	grep -q 'char 0666 0:0 .* 1,3 same as' "$T/a.txt"
	grep -q "'twin-d' file 0600 9:9 1600000000.000000000 15 .* same as" "$T/a.txt"
}

@test "unpack is what bsdtar makes of export, but for what docs/layers.md lists; it lists the same names" {
	require_root
	require_peer bsdtar
	image everything
	dray_run unpack "$IMG" "$T/ours"
	expect 0
	"$DRAY" export -q "$IMG" -o "$T/e.tar"
	mkdir "$T/theirs"
	bsdtar -C "$T/theirs" --numeric-owner --xattrs --acls -p -xf "$T/e.tar"
	same_trees "$T/ours" "$T/theirs" --less trusted --less acl
	# It takes ACLs from records of its own only.
	same "ACL" "$(getfattr -h -n system.posix_acl_access "$T/theirs/acl" 2>/dev/null | wc -l)" 0
	same "names" "$(bsdtar -tf "$T/e.tar" | wc -l)" "$(tar -tf "$T/e.tar" --quoting-style=escape 2>/dev/null | wc -l)"
}

@test "unpack is what umoci makes of it, but for what docs/layers.md lists" {
	require_root
	require_peer umoci
	image everything
	dray_run unpack "$IMG" "$T/ours"
	expect 0
	umoci unpack --image "${IMG#oci:}" "$T/bundle" 2>/dev/null
	# umoci: the header of a hard link does not change its file; folders have the time of unpacking.
	same_trees "$T/ours" "$T/bundle/rootfs" --no-dir-mtime --less trusted --less twin-a --less sub/twin-c --less twin-d
	[ "$(wc -l <"$T/a.txt")" -gt 40 ]
}

@test "unpack of a real build is what docker export shows" {
	require_docker
	require_root
	require_peer busybox
	image everything
	"$DRAY" export -q "$IMG" -o "$T/base.tar"
	# Without what Docker does not keep: other attributes than capabilities.
	python3 - "$T/base.tar" "$T/import.tar" <<-'END'
		import sys, tarfile
		with tarfile.open(sys.argv[1], errors="surrogateescape") as src, \
		     tarfile.open(sys.argv[2], "w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as dst:
		    for m in src:
		        m.pax_headers = {k: v for k, v in m.pax_headers.items() if k == "SCHILY.xattr.security.capability"}
		        dst.addfile(m, src.extractfile(m) if m.isreg() else None)
	END
	docker import "$T/import.tar" unpack:base >/dev/null
	mkdir "$T/build"
	cp /bin/busybox "$T/build/busybox"
	cat >"$T/build/Dockerfile" <<-'END'
		FROM unpack:base
		COPY busybox /bin/busybox
		RUN ["/bin/busybox", "--install", "/bin"]
		RUN mkdir -p /d/sub && echo 1 >/d/f && ln /d/f /d/hard && chmod 4711 /d/f
		RUN rm -r /read-only && mv /d/sub /moved && ln -s /moved /d/link && rm /d/hard && echo 2 >>/d/f
		RUN rm -r /d && ln -s moved /d && touch -d 2001-01-01 /moved && chown -h 5:6 /d
	END
	DOCKER_BUILDKIT=0 docker build --quiet --tag unpack:1 "$T/build"
	docker save -o "$T/save.tar" unpack:1
	docker create --name unpack unpack:1 /bin/true
	docker export -o "$T/theirs.tar" unpack
	docker rm unpack
	docker rmi unpack:1 unpack:base
	mkdir "$T/theirs"
	tar -C "$T/theirs" --xattrs --xattrs-include='*' --numeric-owner -p --delay-directory-restore -xf "$T/theirs.tar"
	dray_run unpack "$T/save.tar" "$T/ours"
	expect 0
	# An engine puts these into a container; its root is its own; it exports whole seconds, and none before 1970.
	same_trees "$T/ours" "$T/theirs" --seconds --less '' --less old --less .dockerenv --less dev --less proc --less sys --less etc
	[ "$(wc -l <"$T/a.txt")" -gt 300 ]
	grep -q 'security.capability=01000002' "$T/a.txt"
}

@test "a layer that comes twice leaves two files of one content" {
	image twice
	dray_run unpack "$IMG" "$T/out"
	expect 0
	same "x" "$(cat "$T/out/x")" one
	same "kept" "$(cat "$T/out/kept")" one
	same "links" "$(stat -c %h "$T/out/x" "$T/out/kept" | tr '\n' ' ')" "1 1 "
	same "names" "$(cd "$T/out" && echo *)" "d kept x"
}

# A user may come to the folder of this test.
open_the_way() {
	local dir=$T
	while :; do
		chmod a+x "$dir"
		[ "$dir" != "$BATS_RUN_TMPDIR" ] && [ "$dir" != / ] || break
		dir=${dir%/*}
	done
	cp "$DRAY" "$T/dray"
	install -d -o 65534 -g 65534 "$T/nobody"
}

# as_nobody COMMAND...: in a folder of theirs.
as_nobody() {
	HOME=$T/nobody TMPDIR=$T/nobody XDG_CACHE_HOME=$T/nobody/cache \
		setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

@test "as a user: his own files, no devices, each loss told once" {
	require_root
	require_peer setpriv umoci
	image everything
	chmod -R a+rX "$T/everything.oci"
	open_the_way
	run --separate-stderr as_nobody "$T/dray" unpack --json "$IMG" "$T/nobody/ours"
	expect 0
	same "warnings" "$(grep -c '^dray: warning: ' <<<"$stderr")" 5
	[[ $stderr == *"warning: 3 devices left out"* ]]
	[[ $stderr == *"warning: 2 files without their setuid and setgid bits"* ]]
	[[ $stderr == *"warning: 1 extended attributes left out: security."* ]]
	[[ $stderr == *"warning: 1 extended attributes left out: trusted."* ]]
	same "JSON" "$(jq -c '[.schema, .left_out.devices, .left_out.setid, .left_out.xattrs]' <<<"$output")" "[1,3,2,2]"
	same "owners" "$(find "$T/nobody/ours" ! -user 65534)" ""
	# The rest is as root has it: modes without those bits, times, contents, links, ACLs, a user's attributes.
	dray_run unpack --no-same-owner "$IMG" "$T/root"
	expect 0
	grep -v "^b'\(null\|null-again\|disk\)' " <(tree "$T/root" --no-owner) |
		sed "/bin.su/s/ 4755 / 0755 /"'; s/ security.capability=[0-9a-f]*//; s/ trusted.note=[0-9a-f]*//' >"$T/want.txt"
	tree "$T/nobody/ours" --no-owner | diff "$T/want.txt" -
	# And so says umoci, which sets no attributes of files that may not be written.
	as_nobody umoci unpack --rootless --image "${IMG#oci:}" "$T/nobody/bundle" 2>/dev/null || skip "umoci can't do it here"
	less=(--no-owner --no-dir-mtime --less bin/su --less bin/wall --less read-only/f --less twin-a --less sub/twin-c --less twin-d)
	tree "$T/nobody/ours" "${less[@]}" >"$T/want.txt"
	tree "$T/nobody/bundle/rootfs" "${less[@]}" --less null --less null-again --less disk |
		sed 's/ user.rootlesscontainers=[0-9a-f]*//' | diff "$T/want.txt" -
}

# in_namespace MAP COMMAND...: as root of a user namespace that has these users and groups.
in_namespace() {
	local map=$1 pid
	shift
	mkfifo "$T/ready" "$T/go"
	# shellcheck disable=SC2016
	unshare -U bash -c 'echo "$$" >"$1"; read -r _ <"$2"; shift 2; exec "$@"' - "$T/ready" "$T/go" "$@" &
	read -r pid <"$T/ready"
	echo "$map" >"/proc/$pid/uid_map" && echo "$map" >"/proc/$pid/gid_map"
	echo go >"$T/go"
	rm "$T/ready" "$T/go"
	wait "$!"
}

@test "root that may not give files away: all that it may, the rest is its own, as a user's is, and that is told" {
	local losses='[.left_out.owners, .left_out.setid]'
	require_root
	require_peer unshare setpriv
	unshare -U true 2>/dev/null || skip "no user namespaces here"
	mkdir "$T/in"
	for name in root five high; do echo "$name" >"$T/in/$name"; done
	chmod 6755 "$T/in"/*
	chown 5:5 "$T/in/five" && chown 3000000:5 "$T/in/high" && chmod 6755 "$T/in"/*
	tar -C "$T/in" -cf "$T/in.tar" root five high
	"$DRAY" build -q --from scratch --tar "$T/in.tar" -o "$T/t.tar" >"$T/no"
	# One id, as with unshare -r; ten; all but CAP_CHOWN; all.
	run --separate-stderr in_namespace "0 0 1" "$DRAY" unpack --json "$T/t.tar" "$T/one"
	expect 0
	[[ $stderr == *"warning: 2 names that are yours instead of their owners'"* ]]
	same "losses" "$(jq -c "$losses" <<<"$output")" "[2,2]"
	same "one" "$(cd "$T/one" && stat -c '%u:%g %a' root five high | paste -sd ,)" "0:0 6755,0:0 755,0:0 755"
	run --separate-stderr in_namespace "0 0 10" "$DRAY" unpack --json "$T/t.tar" "$T/ten"
	expect 0
	same "losses" "$(jq -c "$losses" <<<"$output")" "[1,1]"
	same "ten" "$(cd "$T/ten" && stat -c '%u:%g %a' root five high | paste -sd ,)" "0:0 6755,5:5 6755,0:5 2755"
	run --separate-stderr setpriv --bounding-set -chown --inh-caps -chown "$DRAY" unpack --json "$T/t.tar" "$T/less"
	expect 0
	same "losses" "$(jq -c "$losses" <<<"$output")" "[2,2]"
	same "less" "$(cd "$T/less" && stat -c '%u:%g %a' root five high | paste -sd ,)" "0:0 6755,0:0 755,0:0 755"
	run --separate-stderr "$DRAY" unpack --json "$T/t.tar" "$T/all"
	expect 0
	same "losses" "$(jq -c "$losses" <<<"$output")" "[0,0]"
	same "all" "$(cd "$T/all" && stat -c '%u:%g %a' root five high | paste -sd ,)" \
		"0:0 6755,5:5 6755,3000000:5 6755"
}

@test "what was asked for is not told as a loss; --no-xattrs sets none" {
	require_root
	image everything
	dray_run unpack --no-same-owner --no-xattrs "$IMG" "$T/out"
	expect 0
	same "warnings" "$(grep '^dray: warning: ' <<<"$stderr")" "dray: warning: 1 files without their setuid and setgid bits, being yours"
	absent "attributes" "$(getfattr -R -h -d -m - --absolute-names "$T/out" 2>/dev/null)"
	absent "owners" "$(find "$T/out" ! -user 0)"
}

@test "hostile images: nothing outside DIR is touched" {
	local name before after refused=0 made=0
	export OUTSIDE=$T/outside
	mkdir "$OUTSIDE"
	echo precious >"$OUTSIDE/victim"
	chmod 0640 "$OUTSIDE/victim"
	touch -d 2001-02-03 "$OUTSIDE/victim" "$OUTSIDE"
	before=$(tree "$OUTSIDE")
	for name in $(python3 "$LAYERS/trick_image.py" --hostile); do
		image "$name"
		mkdir "$T/place"
		dray_run unpack "$IMG" "$T/place/dir"
		echo "$name: $status $stderr"
		case $status in
		0) made=$((made + 1)) && only_in "$T/place" dir ;;
		6) refused=$((refused + 1)) && only_in "$T/place" ;;
		*) false ;;
		esac
		# Into a folder that has links of its own, too.
		rm -rf "$T/place"
		mkdir -p "$T/place/dir"
		ln -s "$OUTSIDE" "$T/place/dir/a"
		ln -s "$OUTSIDE" "$T/place/dir/out"
		dray_run unpack --force "$IMG" "$T/place/dir"
		[ "$status" -eq 0 ] || [ "$status" -eq 6 ]
		only_in "$T/place" dir
		dray_run extract --force "$IMG" a "$T/place/dir"
		[ "$status" -eq 0 ] || [ "$status" -eq 6 ] || [ "$status" -eq 3 ]
		after=$(tree "$OUTSIDE")
		same "$name: outside" "$after" "$before"
		rm -rf "$T/place"
	done
	[ "$refused" -ge 3 ] && [ "$made" -ge 10 ]
	[ ! -e "$T/evil" ] && [ ! -e /evil ]
}

@test "what links hid is inside: the tree says so" {
	export OUTSIDE=$T/outside
	image dir-to-link
	dray_run unpack "$IMG" "$T/dir"
	expect 0
	[ -d "$T/dir/a" ] && [ ! -L "$T/dir/a" ]
	same "a/evil" "$(cat "$T/dir/a/evil")" x
	image absolute
	dray_run unpack "$IMG" "$T/abs"
	expect 0
	same "clamped" "$(cat "$T/abs$T/outside/evil")" x
}

@test "a path of 6 KB, deeper than any path the kernel takes" {
	local name
	image deep
	dray_run unpack "$IMG" "$T/dir"
	expect 0
	same "near" "$(stat -c '%h %s %a' "$T/dir/near")" "2 4 644"
	cd "$T/dir"
	for _ in {1..59}; do cd -P ./*00*; done
	same "names" "$(cd -P . && echo *)" "$(printf '%0100d' 59) sub"
	cd "$T"
	# A run that is killed there leaves a stage that the next one can remove.
	dray_run unpack --force "$IMG" "$T/dir"
	expect 0
	only_in "$T/dir" "$(printf '%0100d' 0)"$'\n'near
	mv "$T/dir" "$T/.gone.dray-0123abcd"
	dray_run unpack "$IMG" "$T/gone"
	expect 0
	[ ! -e "$T/.gone.dray-0123abcd" ]
	rm -rf "$T/gone"
}

@test "DIR: made, or empty; a full one is refused without --force" {
	image small
	dray_run unpack "$IMG" "$T/no/such/dir"
	expect 9 '*no/such*'
	dray_run extract "$IMG" / "$T/no/such/dir"
	expect 9 '*no/such*'
	mkdir -m 0700 "$T/empty"
	dray_run unpack "$IMG" "$T/empty/"
	expect 0
	same "names" "$(cd "$T/empty" && echo *)" "conf etc top"
	only_in "$T/empty/etc" hosts$'\n'more
	# Its own attributes stay: the image does not tell any.
	same "mode" "$(stat -c %a "$T/empty")" 700
	before=$(tree "$T/empty")
	dray_run unpack "$IMG" "$T/empty"
	expect 2 'dray: unpack: *: the folder is not empty*hint: --force replaces*'
	same "nothing changed" "$(tree "$T/empty")" "$before"
	echo file >"$T/file"
	dray_run unpack "$IMG" "$T/file"
	expect 2
	ln -s nowhere "$T/dangling"
	dray_run unpack "$IMG" "$T/dangling"
	expect 2
	(cd "$T/empty" && mkdir here && cd here && "$DRAY" unpack -q "$IMG" .)
	same "into ." "$(cat "$T/empty/here/etc/hosts")" 127.0.0.1
}

@test "--force: what the image has is replaced, folders are merged, the rest stays" {
	image small
	mkdir -p "$T/dir/etc/keep" "$T/dir/mine" "$T/outside" "$T/dir/conf"
	echo old >"$T/dir/etc/hosts"
	ln -s "$T/outside" "$T/dir/top"
	chmod 0700 "$T/dir/etc"
	dray_run unpack --force "$IMG" "$T/dir"
	expect 0
	same "hosts" "$(cat "$T/dir/etc/hosts")" 127.0.0.1
	[ -d "$T/dir/etc/keep" ] && [ -d "$T/dir/mine" ]
	same "mode" "$(stat -c %a "$T/dir/etc")" 755
	same "time" "$(stat -c %Y "$T/dir/etc")" 1500000000
	[ -f "$T/dir/top" ] && [ ! -L "$T/dir/top" ]
	same "link" "$(readlink "$T/dir/conf")" etc
	# A folder with something in it gives way to nothing.
	rm "$T/dir/top"
	mkdir -p "$T/dir/top/full"
	dray_run unpack --force "$IMG" "$T/dir"
	expect 9 '*top*'
	[ -d "$T/dir/top/full" ]
	absent "stage" "$(find "$T/dir" -name '*dray*')"
}

# damaged: the last layer of IMG has a wrong byte.
damaged() {
	local blob
	blob=$T/two.oci/blobs/sha256/$(jq -r '.layers[-1].digest | ltrimstr("sha256:")' "$T/two.oci/blobs/sha256/$(
		jq -r '.manifests[0].digest | ltrimstr("sha256:")' "$T/two.oci/index.json")")
	printf 'X' | dd of="$blob" bs=1 seek=3000 conv=notrunc status=none
}

@test "a wrong byte: no DIR, or the empty one" {
	image two
	damaged
	mkdir "$T/place"
	dray_run unpack "$IMG" "$T/place/dir"
	expect 6 '*digest*'
	only_in "$T/place"
	mkdir "$T/place/dir"
	dray_run unpack "$IMG" "$T/place/dir"
	expect 6
	only_in "$T/place/dir"
	dray_run extract "$IMG" low "$T/place/dir"
	expect 6
	only_in "$T/place/dir"
}

@test "kill -9: no DIR; what is left goes with the next run" {
	local delay
	image everything
	for delay in 0 0.002 0.004 0.006 0.01 0.015 0.02 0.03 0.05; do
		rm -rf "$T/place"
		mkdir "$T/place"
		"$DRAY" unpack -q "$IMG" "$T/place/dir" 2>/dev/null &
		pid=$!
		sleep "$delay"
		kill -9 "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
		[ ! -e "$T/place/dir" ] || rm -rf "$T/place/dir"
		"$DRAY" unpack -q "$IMG" "$T/place/dir" 2>/dev/null
		only_in "$T/place" dir
		[ -e "$T/want.txt" ] || tree "$T/place/dir" >"$T/want.txt"
		tree "$T/place/dir" | diff "$T/want.txt" -
	done
}

@test "extract: a file, a folder, by links; other things stay, names that are there are refused" {
	image small
	mkdir "$T/dir"
	echo mine >"$T/dir/mine"
	dray_run extract "$IMG" /etc/hosts "$T/dir"
	expect 0
	same "hosts" "$(cat "$T/dir/hosts")" 127.0.0.1
	same "time" "$(stat -c %Y "$T/dir/hosts")" 1500000000
	dray_run extract "$IMG" conf/more "$T/dir"
	expect 0
	same "more" "$(cat "$T/dir/more")" more
	dray_run extract "$IMG" conf "$T/dir"
	expect 0
	[ ! -L "$T/dir/conf" ]
	same "conf" "$(ls "$T/dir/conf")" hosts$'\n'more
	dray_run extract "$IMG" etc/ "$T/dir"
	expect 0
	dray_run extract "$IMG" etc "$T/dir"
	expect 2 '*etc: it is there already*'
	dray_run extract --force --json "$IMG" etc "$T/dir"
	expect 0
	same "JSON" "$(jq -c '[.names, .bytes, .path]' <<<"$output")" "[3,13,\"$T/dir\"]"
	dray_run extract "$IMG" no/such "$T/dir"
	expect 3 '*no/such*'
	dray_run extract "$IMG" top "$T/new"
	expect 0
	only_in "$T/new" top
	dray_run extract "$IMG" / "$T/all"
	expect 0
	same "all" "$(cd "$T/all" && echo *)" "conf etc top"
	same "names" "$(cd "$T/dir" && echo *)" "conf etc hosts mine more"
}

@test "extract: a pattern means all that fit; what is there by that very name comes first" {
	image globs
	dray_run extract "$IMG" '/usr/lib/*.so' "$T/dir"
	expect 0
	same "one folder" "$(cd "$T/dir" && find . | LC_ALL=C sort | xargs)" ". ./a.so ./b.so"
	same "hard links" "$(stat -c '%i %h' "$T/dir/a.so")" "$(stat -c '%i %h' "$T/dir/b.so")"
	dray_run extract --json "$IMG" '**/*.[ch]' "$T/dir"
	expect 0
	same "JSON" "$(jq -c '[.names, .bytes]' <<<"$output")" "[3,3]"
	same "of any depth, the topmost only" "$(cd "$T/dir" && find . | LC_ALL=C sort | xargs)" \
		". ./a.so ./b.so ./deep.c ./deep.c/inner.h ./one.h"
	# It is there by this name: no pattern.
	dray_run extract "$IMG" 'odd/[x]' "$T/odd"
	expect 0
	same "odd" "$(cat "$T/odd/[x]")" brackets
	dray_run extract "$IMG" 'odd/\[?]' "$T/odd"
	expect 2 '*\[x\]: it is there already*'
	dray_run extract --force "$IMG" 'odd/\[?]' "$T/odd"
	expect 0
	# cp would not know either which one is meant.
	dray_run extract "$IMG" '*/*/a.so' "$T/new"
	expect 2 '*a.so: several that fit have this name*'
	[ ! -e "$T/new" ]
	dray_run extract "$IMG" 'etc/*.conf' "$T/new"
	expect 3 '*etc/\*.conf: nothing in the image fits*'
	dray_run extract "$IMG" 'usr/../*' "$T/new"
	expect 2
	[ ! -e "$T/new" ]
}

@test "extract: hard links, attributes and devices as the whole tree has them" {
	require_root
	image everything
	dray_run unpack "$IMG" "$T/all"
	expect 0
	for name in read-only bin twin-a twin-d null l-rel sub fifo acl; do
		dray_run extract "$IMG" "$name" "$T/some"
		expect 0
		[ "$name" = sub ] || cp -a --no-target-directory "$T/all/$name" "$T/want-$name"
	done
	tree "$T/some/read-only" >"$T/a.txt"
	tree "$T/all/read-only" | diff - "$T/a.txt"
	tree "$T/some/bin" | diff <(tree "$T/all/bin") -
	same "twin-d" "$(stat -c '%a %u %Y %h' "$T/some/twin-d")" "600 9 1600000000 1"
	same "twin-a" "$(stat -c '%a %u %Y %h' "$T/some/twin-a")" "600 9 1600000000 1"
	same "null" "$(stat -c '%F %t,%T' "$T/some/null")" "character special file 1,3"
	same "fifo" "$(stat -c '%F %a %u' "$T/some/fifo")" "fifo 622 3"
	same "acl" "$(getfattr -h --only-values -n system.posix_acl_access --absolute-names "$T/some/acl" | sha256sum)" \
		"$(getfattr -h --only-values -n system.posix_acl_access --absolute-names "$T/all/acl" | sha256sum)"
}

@test "extract: a link that leads nowhere comes out as the link; one that leads to a file as its content" {
	mkdir "$T/in" && echo there >"$T/in/file" && ln -s file "$T/in/live"
	ln -s /nowhere/x "$T/in/dangling" && ln -s loop "$T/in/loop" && ln -s file/x "$T/in/through" && mkdir "$T/in/d"
	ln -s ../dangling "$T/in/d/twice"
	"$DRAY" build -q --from scratch --dir "$T/in" -o "$T/t.tar" >"$T/no"
	for name in dangling loop through d/twice; do
		dray_run extract --json "$T/t.tar" "/$name" "$T/out"
		expect 0
		same "$name" "$(readlink "$T/out/${name##*/}")" "$(readlink "$T/in/$name")"
		same "names" "$(jq .names <<<"$output")" 1
	done
	dray_run extract "$T/t.tar" live "$T/out"
	expect 0
	[ ! -L "$T/out/live" ]
	same "live" "$(cat "$T/out/live")" there
	# A '/' behind it asks for what it leads to.
	for name in dangling/ dangling/y nope; do
		dray_run extract "$T/t.tar" "$name" "$T/none"
		expect 3 "*$name: *"
		[ ! -e "$T/none" ]
	done
}

@test "extract: of a pattern each name counts once, and a new DIR is made now, as for a path" {
	local before
	image globs
	before=$(date +%s)
	dray_run extract --json "$IMG" 'usr/lib/*.so' "$T/dir"
	expect 0
	same "names" "$(jq .names <<<"$output")" 2
	dray_run extract --json "$IMG" usr/lib/a.so "$T/one"
	expect 0
	same "names of a path" "$(jq .names <<<"$output")" 1
	for dir in dir one; do
		[ "$(stat -c %Y "$T/$dir")" -ge "$before" ]
	done
	same "mode" "$(stat -c %a "$T/dir")" "$(stat -c %a "$T/one")"
	# One that was there keeps its mode.
	mkdir -m 750 "$T/old"
	dray_run extract --json "$IMG" 'usr/lib/*.so' "$T/old"
	expect 0
	same "names" "$(jq .names <<<"$output")" 2
	same "mode" "$(stat -c %a "$T/old")" 750
}

@test "--force by a user over what he made before: folders without permissions are no obstacle" {
	require_root
	require_peer setpriv
	mkdir -p "$T/in/ro/sub" "$T/in/list" && echo f >"$T/in/ro/sub/f" && echo g >"$T/in/list/g"
	chmod 555 "$T/in/ro/sub" && chmod 444 "$T/in/list" && chmod 0 "$T/in/ro"
	tar -C "$T/in" -cf "$T/in.tar" ro list
	"$DRAY" build -q --from scratch --tar "$T/in.tar" -o "$T/t.tar" >"$T/no"
	open_the_way
	chmod a+r "$T/t.tar"
	for verb in "unpack $T/t.tar $T/nobody/whole" "extract $T/t.tar ro $T/nobody/part" "extract $T/t.tar list $T/nobody/part"; do
		for _ in first again; do
			# shellcheck disable=SC2086
			run --separate-stderr as_nobody "$T/dray" $verb --force
			expect 0
		done
	done
	for dir in whole part; do
		same "modes" "$(cd "$T/nobody/$dir" && stat -c %a ro ro/sub list | xargs)" "0 555 444"
		same "files" "$(cat "$T/nobody/$dir"/ro/sub/f "$T/nobody/$dir"/list/g)" $'f\ng'
	done
	# What is somebody else's is not touched: it fails, or is written into where that is allowed.
	mkdir -p "$T/nobody/his/ro" && chmod 700 "$T/nobody/his/ro" && chown 65534 "$T/nobody/his"
	run --separate-stderr as_nobody "$T/dray" unpack "$T/t.tar" "$T/nobody/his" --force
	expect 9 "*ro*Permission denied*"
	same "mode" "$(stat -c %a "$T/nobody/his/ro")" 700
}

@test "extract: for a file the layers below it are not read" {
	local low
	image two
	low=$T/two.oci/blobs/sha256/$(jq -r '.layers[0].digest | ltrimstr("sha256:")' "$T/two.oci/blobs/sha256/$(
		jq -r '.manifests[0].digest | ltrimstr("sha256:")' "$T/two.oci/index.json")")
	: >"$low"
	dray_run extract "$IMG" high "$T/dir"
	expect 0
	same "size" "$(stat -c %s "$T/dir/high")" 20000
	dray_run extract "$IMG" low "$T/dir"
	expect 6
	only_in "$T/dir" high
}

# sparse_layout: IMG holds what GNU tar makes of files with holes, in each of its formats.
sparse_layout() {
	mkdir "$T/src" "$T/tars"
	truncate -s 40M "$T/src/big"
	echo middle | dd of="$T/src/big" bs=1 seek=20000000 conv=notrunc status=none
	truncate -s 1M "$T/src/none"
	for i in 1 2 3 4 5 6 7 8 9; do echo "$i" | dd of="$T/src/many" bs=64K seek="$i" conv=notrunc status=none; done
	touch -d 2001-02-03 "$T/src"/*
	for f in gnu 0.0 0.1 1.0; do
		mkdir "$T/$f"
		cp --sparse=always -p "$T/src"/* "$T/$f"
		if [ "$f" = gnu ]; then tar -C "$T" -S --format gnu -cf "$T/tars/$f" "$f"
		else tar -C "$T" -S --format posix --sparse-version "$f" -cf "$T/tars/$f" "$f"; fi
	done
	python3 - "$LAYERS" "$T/sparse.oci" "$T/tars"/* <<-'END'
		import sys
		sys.path.insert(0, sys.argv[1])
		from stacks import write_layout
		write_layout(sys.argv[2], [open(f, "rb").read() for f in sys.argv[3:]])
	END
	IMG=oci:$T/sparse.oci:t
}

@test "sparse files come out with their holes" {
	local f
	sparse_layout
	dray_run unpack "$IMG" "$T/out"
	expect 0
	dray_run extract "$IMG" 1.0/many "$T/out"
	expect 0
	for f in gnu 0.0 0.1 1.0; do
		diff -r "$T/src" "$T/out/$f"
		same "$f: blocks" "$(stat -c %b "$T/out/$f/none")" 0
		[ "$(stat -c %b "$T/out/$f/big")" -lt 100 ]
	done
	cmp "$T/src/many" "$T/out/many"
	[ "$(stat -c %b "$T/out/many")" -lt 200 ]
}

@test "--sync, and an archive that comes through a pipe" {
	image small
	"$DRAY" copy -q "$IMG" "docker-archive:$T/a.tar"
	dray_piped "$T/a.tar" unpack --sync - "$T/dir"
	expect 0
	same "hosts" "$(cat "$T/dir/etc/hosts")" 127.0.0.1
	dray_piped "$T/a.tar" extract --sync - etc "$T/some"
	expect 0
	same "more" "$(cat "$T/some/etc/more")" more
}
