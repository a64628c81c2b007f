#!/usr/bin/env bats
# split: the same files in layers cut by rule, by package, by folder, by size, or as before.

load lib

LAYERS=$PEERS_TOP/tests/layers
MT_SCHEMA1=application/vnd.docker.distribution.manifest.v1+prettyjws
DEBIAN="bash coreutils libc6 libtinfo6 libselinux1 libpcre2-8-0 libgmp10 libacl1 libattr1 libgcc-s1 base-files"

setup() {
	verbs_setup
	T=$BATS_TEST_TMPDIR
}
teardown() { peers_teardown; }

# split_same IMAGE ARG...: dray split, which is to give the same files, times and all, and a history that fits.
split_same() {
	local want out=${*: -1}
	id_of "$1" || return 1
	want=$ID
	dray_run split "$@"
	ok || return 1
	[[ $stderr == *"rootfs id before: sha256:"*"(the same files)"* ]] || return 1
	local digest=$DIGEST said=$stderr
	id_of "$out" || return 1
	same "rootfs id of $out" "$ID" "$want" || return 1
	consistent "$out" || return 1
	"$DRAY" verify -q "$out" >/dev/null || return 1
	DIGEST=$digest stderr=$said
}

# names PLACE LAYER: one path a line, but for folders.
names() { "$DRAY" files --json --layer "$2" "$1" | jq -r 'select(.type != "dir") | .path'; }
layers() { "$DRAY" inspect --json "$1" | jq '.images[0].layers | length'; }
diff_ids() { "$DRAY" inspect --json "$1" | jq -r '.images[0].layers[].diff_id'; }
steps() { "$DRAY" inspect --json "$1" | jq -r '.images[0].history[] | select(.empty_layer | not) | .created_by'; }

# runs FILE NAME LINE ARG...: docker and podman load it, and what ARG prints is LINE; skopeo reads it.
runs() {
	local file=$1 name=$2 line=$3
	shift 3
	docker load --quiet -i "$file" || return 1
	same "docker run" "$(docker_run "$name" "$@")" "$line" || return 1
	docker rmi "$name" >/dev/null || return 1
	podman load --quiet -i "$file" || return 1
	same "podman run" "$(podman_run "docker.io/$name" "$@")" "$line" || return 1
	podman rmi "docker.io/$name" >/dev/null || return 1
	skopeo inspect "docker-archive:$file" >/dev/null
}

# An image with something in /opt, links that lead nowhere, and files with names on both sides.
wish_build() {
	local dir=$T/wish
	mkdir -p "$dir"
	cp "$(type -P busybox)" "$dir/busybox" || skip "no busybox"
	cat >"$dir/Dockerfile" <<-'END'
		FROM scratch
		COPY busybox /bin/busybox
		RUN ["/bin/busybox", "--install", "-s", "/bin"]
		RUN mkdir -p /opt/app/lib /usr/share/doc/x /gone && echo 1 >/opt/app/data && echo 2 >/opt/old && echo 3 >/gone/f
		RUN ln -s /gone/f /usr/share/doc/x/README && ln -s ../nowhere /opt/app/dangling && ln /opt/app/data /usr/share/linked
		RUN rm -r /gone /opt/old && chmod 2711 /opt && chown 7:8 /opt && echo 4 >/opt/app/lib/l && mkdir /opt/empty
		CMD ["/bin/cat", "/opt/app/lib/l"]
	END
	docker build --quiet --network none --tag test/wish:1 "$dir" >/dev/null
	docker save -o "$T/wish.tar" test/wish:1
}

@test "the classic wish: everything but /opt in one layer, /opt in the other" {
	require_docker
	require_peer podman skopeo
	wish_build
	split_same "$T/wish.tar" --layer '/opt/**' -o "$T/out.tar"
	same layers "$(layers "$T/out.tar")" 2
	absent "of /opt below" "$(names "$T/out.tar" 0 | grep '^opt')"
	# The file with a name outside goes with the name that a rule takes.
	same "above" "$(names "$T/out.tar" 1 | sort | tr '\n' ' ')" "opt/app/dangling opt/app/data opt/app/lib/l usr/share/linked "
	# Folders on the way have their attributes, those of one layer are in that layer alone.
	dray_run files --json --layer 1 "$T/out.tar"
	jq -se 'map(select(.path == "opt"))[0] | .mode == "2711" and .uid == 7 and .gid == 8' <<<"$output"
	jq -se 'any(.[]; .path == "opt/empty" and .type == "dir")' <<<"$output"
	absent "whiteouts" "$("$DRAY" files --layer 0 "$T/out.tar" | grep '^[WO]')"
	same "steps" "$(steps "$T/out.tar")" $'dray split rest\ndray split --layer /opt/**'
	runs "$T/out.tar" test/wish:1 4
	# With both names told, or neither, nothing is torn.
	dray_run split "$T/wish.tar" --layer 'opt,usr/share/linked' -o "$T/out.tar" -v
	ok
	[[ $stderr != *"hard-linked"* ]]
	dray_run split "$T/wish.tar" --layer 'opt' -o "$T/out.tar" -v
	ok
	[[ $stderr == *"1 name of hard-linked files goes with another"* ]]
}

@test "a build full of tricks, cut in many ways: the same tree everywhere" {
	local how n=0
	image_need tricks
	require_peer podman skopeo
	for how in "--layer /d --layer /long/** --layer **/old,/e" "--layer /bin/{a,b}*,**/[m-z]*" "--by dir --min-size 1" \
		"--by size --max 5 --min-size 1" "--keep-base 1" "--keep-base 3 --layer /d/** --by size --min-size 1" \
		"--keep-base 8 --layer /long" "--layer /** --layer /d"; do
		n=$((n + 1))
		set -f # the patterns are for dray
		# shellcheck disable=SC2086
		split_same "$IMAGE" $how -o "$T/$n.tar"
		set +f
	done
	tree_of test/tricks:1 "$T/want"
	[ "$(wc -l <"$T/want")" -gt 200 ]
	for n in 1 6; do
		"$DRAY" copy -q "$T/$n.tar" "docker-daemon:made/split:$n" >/dev/null
		tree_of "made/split:$n" "$T/got"
		diff "$T/want" "$T/got"
		docker rmi "made/split:$n" >/dev/null
	done
	dray_run copy -q "$T/6.tar" "docker-archive:$T/made.tar:made/split:1"
	runs "$T/made.tar" made/split:1 new /bin/cat /d/n
}

# decoded_twice WANT IMAGE ARG...: does split by these rules say that of the biggest layer? The blobs are those of a cut that
# was planned first, and what an archive gets is the same.
decoded_twice() {
	local want=$1 from=$2
	shift 2
	rm -rf "$T/once" "$T/planned" "$T/cut.tar"
	dray_run split -v "$@" --compression none "$from" -o "oci:$T/once:1"
	ok || return 1
	[[ $stderr == *"(the same files)"* ]] || return 1
	same "decoded twice" "$(grep -c "is decoded twice" <<<"$stderr")" "$want" || return 1
	dray_run split "$@" --compression none --max 50 "$from" -o "oci:$T/planned:1"
	ok || return 1
	same "blobs" "$(ls "$T/once/blobs/sha256")" "$(ls "$T/planned/blobs/sha256")" || return 1
	dray_run split "$@" "$from" -o "docker-archive:$T/cut.tar:a/b:1"
	ok || return 1
	same "in an archive" "$(diff_ids "$T/cut.tar")" "$(diff_ids "oci:$T/once:1")" || return 1
	same "left" "$(find "$T/once" -name '.*' ! -path "$T/once")" "" || return 1
	cmp <("$DRAY" export "oci:$T/once:1") <("$DRAY" export "$from")
}

@test "by rules that name folders: the biggest layer is decoded once, or the bytes are the same all the same" {
	mkdir -p "$T/low/opt/app/empty" "$T/low/usr/lib/python3.11" "$T/low/usr/lib/python3.12" "$T/low/usr/lib/other" "$T/low/srv" \
		"$T/top/opt/app" "$T/top/usr/lib" "$T/top/var"
	head -c 3000000 /dev/urandom >"$T/low/opt/app/big"
	for i in {100..300}; do echo "$i" | tee "$T/low/usr/lib/python3.11/$i" "$T/low/usr/lib/other/$i" >"$T/low/usr/lib/python3.12/$i"; done
	ln "$T/low/usr/lib/other/100" "$T/low/usr/lib/other/hard"
	echo a >"$T/low/opt/app/a" && ln -s nowhere "$T/low/opt/dangling"
	chmod 2711 "$T/low/opt" && touch -d @1000000000 "$T/low/opt" "$T/low/usr" "$T/low/usr/lib"
	echo v >"$T/top/var/v" && touch "$T/top/usr/lib/.wh.python3.12" "$T/top/opt/app/new" && chmod 700 "$T/top/opt"
	touch -d @1000000000 "$T/top/usr" "$T/top/usr/lib"
	tar -C "$T/low" --sort=name -cf "$T/low.tar" .
	tar -C "$T/top" --sort=name -cf "$T/top.tar" .
	"$DRAY" build -q --from scratch --tar "$T/low.tar" -o "oci:$T/oci:1"
	"$DRAY" append -q "oci:$T/oci:1" "$T/top.tar" -o "oci:$T/oci:1"
	decoded_twice 0 "oci:$T/oci:1" --layer '/opt/**'
	same "layers" "$(layers "oci:$T/once:1")" 2
	decoded_twice 0 "oci:$T/oci:1" --layer '/usr/lib/python3*/**' --layer '/opt/app/big' --layer '/opt/**,/srv'
	same "layers" "$(layers "oci:$T/once:1")" 4
	same "steps" "$(steps "oci:$T/once:1" | sed -n '1p;4p')" $'dray split rest\ndray split --layer /opt/**,/srv'
	decoded_twice 0 "oci:$T/oci:1" --layer '/opt' --layer '/usr/lib/oth*'
	# Folders are in both as they are, and who keeps to this cut has the same layers.
	decoded_twice 0 "oci:$T/oci:1" --layer '/usr/lib/oth*'
	folders() { "$DRAY" files --json --layer "$1" "oci:$T/once:1" | jq -c 'select(.path == "usr" or .path == "usr/lib") | del(.layer)'; }
	same "folders" "$(folders 0)" "$(folders 1)"
	[[ $(folders 1) == *'"usr/lib"'*2001-09-09* ]]
	dray_run split "oci:$T/oci:1" --previous "oci:$T/once:1" --compression none -o "oci:$T/again:1"
	ok
	same "kept to" "$(diff_ids "oci:$T/again:1")" "$(diff_ids "oci:$T/once:1")"
	# A rule that has nothing, names of one file, rules of which nobody can tell before.
	decoded_twice 1 "oci:$T/oci:1" --layer '/opt/**' --layer '/nothing/**'
	dray_run split --layer '/opt/**' --layer '/nothing/**' "oci:$T/oci:1" -o "oci:$T/warned:1"
	same "warnings" "$(grep -c "nothing falls under it" <<<"$stderr")" 1
	decoded_twice 1 "oci:$T/oci:1" --layer '/usr/lib/other/hard'
	decoded_twice 1 "oci:$T/oci:1" --layer '/usr/lib/python3.12/**'
	decoded_twice 0 "oci:$T/oci:1" --layer '**/python3*/**'
	# The one that passes is on top, and not in the order of the tree.
	rm -r "$T/oci" "$T/top/usr"
	tar -C "$T/low" -cf "$T/late.tar" ./opt/app/big ./opt/app/a ./usr/lib/other
	"$DRAY" build -q --from scratch --dir "$T/top" -o "oci:$T/oci:1"
	"$DRAY" append -q "oci:$T/oci:1" "$T/late.tar" -o "oci:$T/oci:1"
	decoded_twice 1 "oci:$T/oci:1" --layer '/opt/**'
}

@test "by rules, of a layer that is damaged or that no disk has room for: told, and nothing is left" {
	local blob
	mkdir -p "$T/tree/etc"
	head -c 3000000 /dev/urandom >"$T/tree/big"
	echo e >"$T/tree/etc/e"
	"$DRAY" build -q --from scratch --dir "$T/tree" -o "oci:$T/oci:1"
	mkdir "$T/full"
	if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=1m none "$T/full"; then
		dray_run split --layer '/etc/**' "oci:$T/oci:1" -o "oci:$T/full/cut:1" --compression none
		same "left" "$(find "$T/full" -type f)" ""
		umount "$T/full"
		expect 9 "*new-layer-1.tar*No space left on device*"
	fi
	blob=$(find "$T/oci/blobs" -size +1000k)
	printf x | dd of="$blob" bs=1 seek=2000000 conv=notrunc status=none
	dray_run split --layer '/etc/**' "oci:$T/oci:1" -o "oci:$T/cut:1"
	expect 6 "*$T/oci*layer 1 of 1: blob digest differs*"
	[ ! -e "$T/cut" ]
}

@test "--keep-base: lower blobs as they are, what they lost whited out above them" {
	image_need tricks
	registry_start base plain
	"$DRAY" push -q "$IMAGE" "$REGISTRY_ADDR/tricks:1" >/dev/null
	dray_run split "$REGISTRY_ADDR/tricks:1" --keep-base 3 --layer '/long/**' -o "docker://$REGISTRY_ADDR/tricks:2" --json
	expect 0
	same "sent" "$(jq .made.blobs_sent <<<"$output")" 1
	same "known: /long had a layer of its own" "$(diff_ids "$REGISTRY_ADDR/tricks:2" | tail -n 1)" "$(diff_ids "$IMAGE" | tail -n 1)"
	same "kept" "$(jq .layers_kept <<<"$output")" 3
	same "layers" "$(jq .layers <<<"$output")" 5
	jq -e '.rootfs_id == .rootfs_id_before' <<<"$output"
	diff <("$DRAY" manifest "$REGISTRY_ADDR/tricks:1" | jq -c '.layers[:3][]') \
		<("$DRAY" manifest "$REGISTRY_ADDR/tricks:2" | jq -c '.layers[:3][]')
	"$DRAY" files --layer 3 "$REGISTRY_ADDR/tricks:2" | grep -q '^W.* gone$'
	absent "whiteouts above" "$("$DRAY" files --layer 4 "$REGISTRY_ADDR/tricks:2" | grep '^[WO]')"
	# All of it: the same image.
	dray_run split "$IMAGE" --keep-base 9 -o "$T/same.tar"
	ok
	same "DiffIDs" "$(diff_ids "$T/same.tar")" "$(diff_ids "$IMAGE")"
	# Nothing but removals.
	printf 'FROM test/tricks:1\nRUN rm /d/n\n' | docker build --quiet --tag test/less:1 - >/dev/null
	docker save -o "$T/less.tar" test/less:1
	split_same "$T/less.tar" --keep-base 9 -o "$T/less2.tar"
	same "entries above" "$("$DRAY" files --layer 9 "$T/less2.tar" | grep -c '^W')" 1
	docker rmi test/less:1 >/dev/null
}

@test "a registry that makes schema 1 takes the result" {
	image_need tricks
	registry_start schema1 plain REGISTRY_COMPATIBILITY_SCHEMA1_ENABLED=true
	dray_run split "$IMAGE" --layer '/bin/[a-m]*' --layer '/bin/**' --keep-base 2 -o "docker://$REGISTRY_ADDR/tricks:split"
	ok
	curl -fsS -H "Accept: $MT_SCHEMA1" "$REGISTRY_URL/v2/tricks/manifests/split" >"$T/s1.json"
	same version "$(jq .schemaVersion "$T/s1.json")" 1
}

# debian_build TAG [UPDATED]: a few real packages; UPDATED has another version in a layer on top.
debian_build() {
	local dir=$T/debian
	type -P dpkg-query >/dev/null || skip "no dpkg here"
	mkdir -p "$dir"
	if [ -z "${2:-}" ]; then
		# shellcheck disable=SC2086
		python3 "$LAYERS/debian.py" "$dir/a.tar" $DEBIAN
		printf 'FROM scratch\nADD a.tar /\nCMD ["/bin/bash", "-c", "cd / && echo u?r"]\n' >"$dir/Dockerfile"
	else
		# shellcheck disable=SC2086
		python3 "$LAYERS/debian.py" --update "$dir/a.tar" "$2" $DEBIAN
		printf 'FROM test/debian:1\nADD a.tar /\n' >"$dir/Dockerfile"
	fi
	docker build --quiet --network none --tag "$1" "$dir" >/dev/null
	docker save -o "$T/${1//[\/:]/-}.tar" "$1"
}

@test "Debian by package: a layer for each that is big, links that lead nowhere, the rest on top" {
	require_docker
	require_peer podman skopeo
	debian_build test/debian:1
	# As in slim images: documentation is gone, links to it are not.
	"$DRAY" files --json "$T/test-debian-1.tar" | jq -r 'select(.type == "symlink") | .path' >"$T/links"
	grep -q ^usr/share/doc/libgcc-s1 "$T/links"
	split_same "$T/test-debian-1.tar" --by package -o "$T/out.tar"
	steps "$T/out.tar" >"$T/steps"
	grep -qx 'dray split glibc' "$T/steps"
	grep -qx 'dray split coreutils' "$T/steps"
	same "the biggest alone" "$(names "$T/out.tar" "$(($(grep -nx 'dray split coreutils' "$T/steps" | cut -d: -f1) - 1))" |
		grep -vc '^usr/\(bin\|sbin\|lib\|libexec\|share\)')" 0
	# What no package brought is in the top layer, with the times of all folders.
	names "$T/out.tar" $(($(layers "$T/out.tar") - 1)) | grep -qx var/lib/dpkg/status
	same "layers of less than 100 kB" "$("$DRAY" split "$T/test-debian-1.tar" --by package -n --json |
		jq '[.layers[] | select(.size < 100000)] | length')" 0
	runs "$T/out.tar" test/debian:1 usr
	# auto finds the packages by itself; no more layers than told; the same on any number of threads.
	dray_run split "$T/test-debian-1.tar" -o "$T/auto.tar" -j 1
	ok
	cmp "$T/auto.tar" "$T/out.tar"
	split_same "$T/test-debian-1.tar" --max 3 -o "$T/three.tar"
	same layers "$(layers "$T/three.tar")" 3
	split_same "$T/test-debian-1.tar" --max 1 -o "$T/one.tar"
	same layers "$(layers "$T/one.tar")" 1
	split_same "$T/test-debian-1.tar" --by size --max 6 -o "$T/size.tar"
	same layers "$(layers "$T/size.tar")" 6
}

@test "--previous: when one package changes, the layers of all others keep their bytes" {
	require_docker
	debian_build test/debian:1
	debian_build test/debian:2 coreutils
	# The image is another one as the engine has it: the folders too.
	split_same "$T/test-debian-1.tar" --by package -o "$T/one.tar"
	split_same "$T/test-debian-2.tar" --previous "$T/one.tar" -o "$T/two.tar"
	same "as many layers" "$(layers "$T/two.tar")" "$(layers "$T/one.tar")"
	paste <(diff_ids "$T/one.tar") <(diff_ids "$T/two.tar") <(steps "$T/one.tar") | awk -F'\t' '$1 != $2 { print $3 }' >"$T/changed"
	same "changed" "$(grep -c . "$T/changed")" 2
	grep -q 'dray split coreutils' "$T/changed"
	same "the other is the top one" "$(tail -n 1 "$T/changed")" "$(steps "$T/one.tar" | tail -n 1)"
	# The new program is with its package, not with the folder's.
	local n
	n=$(($(steps "$T/one.tar" | grep -nx 'dray split coreutils' | cut -d: -f1) - 1))
	names "$T/two.tar" "$n" | grep -qx usr/bin/ls
	# The plan is in the image: cut by rules, then kept to without them.
	split_same "$T/test-debian-1.tar" --layer '/usr/lib/**' --layer '/usr/share/**' --layer '/usr/bin/**' -o "$T/three.tar"
	split_same "$T/test-debian-2.tar" --previous "$T/three.tar" -o "$T/four.tar"
	same "layers" "$(layers "$T/four.tar")" 4
	same "libraries and shared files" "$(diff_ids "$T/four.tar" | sed -n 2,3p)" "$(diff_ids "$T/three.tar" | sed -n 2,3p)"
	names "$T/four.tar" 3 | grep -qx usr/bin/new-in-coreutils
	# The same image again: nothing changes.
	dray_run split "$T/test-debian-1.tar" --previous "$T/one.tar" -o "$T/again.tar"
	ok
	same "DiffIDs" "$(diff_ids "$T/again.tar")" "$(diff_ids "$T/one.tar")"
	docker rmi test/debian:1 test/debian:2 >/dev/null
}

@test "--dry-run tells the plan and writes nothing; the plan is what is made" {
	image_need tricks
	dray_run split "$IMAGE" --layer '/bin/**' --layer '/d/**' -n --json
	expect 0
	same schema "$(jq .schema <<<"$output")" 1
	same rules "$(jq -c '[.layers[].rule]' <<<"$output")" '[null,"/bin/**","/d/**"]'
	local plan=$output
	dray_run split "$IMAGE" --layer '/bin/**' --layer '/d/**' -o "$T/out.tar" --compression none
	ok
	same sizes "$("$DRAY" inspect --json "$T/out.tar" | jq -c '[.images[0].layers[].size]')" "$(jq -c '[.layers[].size]' <<<"$plan")"
	for i in 0 1 2; do
		same "entries of layer $i" "$("$DRAY" files --layer $i "$T/out.tar" | wc -l)" "$(jq ".layers[$i].entries" <<<"$plan")"
	done
	dray_run split "$IMAGE" --keep-base 8 --layer '/long' --dry-run
	expect 0
	[[ $output == *"as it is"* ]]
	same lines "$(wc -l <<<"$output")" 10
	rm "$T/out.tar"
	dray_run split "$IMAGE" -n -o "$T/out.tar"
	expect 0
	[ ! -e "$T/out.tar" ]
}

@test "--rest: one layer, as dray finds best, or as it is" {
	require_docker
	require_peer jq
	wish_build
	split_same "$T/wish.tar" --layer '/opt/**' --rest single -o "$T/single.tar"
	same "single" "$(layers "$T/single.tar")" 2
	split_same "$T/wish.tar" --layer '/opt/**' --rest auto -o "$T/auto.tar"
	split_same "$T/wish.tar" --layer '/opt/**' --rest keep -o "$T/keep.tar"
	same "the layer of the rule" "$(diff_ids "$T/keep.tar" | tail -n 1)" "$(diff_ids "$T/single.tar" | tail -n 1)"
	# What is left of each layer, in its order.
	same "the lowest" "$(names "$T/keep.tar" 0)" "$(names "$T/wish.tar" 0)"
	same "the next" "$(names "$T/keep.tar" 1 | sort)" "$(names "$T/wish.tar" 1 | grep -v '^opt/' | sort)"
	dray_run split "$T/wish.tar" --rest auto --by dir -o "$T/x.tar"
	expect 2 "*--by and --rest*"
	dray_run split "$T/wish.tar" --rest keep --previous "$T/wish.tar" -o "$T/x.tar"
	expect 2
	[ ! -e "$T/x.tar" ]
}

@test "--max-layer-size: no layer of the rest is bigger, but for one file" {
	local by
	python3 - "$LAYERS" "$T/l" <<-'END'
		import os, sys
		sys.path.insert(0, sys.argv[1])
		from stacks import write_layer, write_layout
		from trick_image import f
		write_layout(sys.argv[2], [write_layer(
		    [f("usr/lib/%s/%d" % (d, i), "x" * (3000 * (i + 1))) for d in ("a", "b", "c") for i in range(12)] +
		    [f("usr/bin/big", "y" * 400000), f("opt/one", "z" * 90000), f("opt/two", "z" * 90000)])])
	END
	for by in none dir size auto; do
		split_same "oci:$T/l:t" --by "$by" --min-size 1 --max-layer-size 120kB -o "$T/$by.tar"
		[[ $stderr == *"1 layer is bigger than asked for"* ]]
		"$DRAY" inspect --json "$T/$by.tar" | jq -e '[.images[0].layers[] | select(.size > 120000)] | length == 1' || {
			"$DRAY" inspect --json "$T/$by.tar" | jq '.images[0].layers[].size'
			false
		}
	done
	[ "$(layers "$T/none.tar")" -le 14 ]
	[ "$(layers "$T/size.tar")" -le 64 ]
	split_same "oci:$T/l:t" --layer '/usr/**' --max-layer-size 100kB -o "$T/rule.tar"
	[[ $stderr == *"1 layer is bigger"* ]]
	same "layers" "$(layers "$T/rule.tar")" 3
	split_same "oci:$T/l:t" --max-layer-size 1GiB --by none -o "$T/none.tar"
	same "layers" "$(layers "$T/none.tar")" 1
	for bad in 0 -1 12x 5XB; do
		dray_run split "oci:$T/l:t" --max-layer-size "$bad" -o "$T/x.tar"
		expect 2
	done
	dray_run split "oci:$T/l:t" --max-layer-size 1MB --previous "oci:$T/l:t" -o "$T/x.tar"
	expect 2 "*below a size*"
	dray_run split "oci:$T/l:t" --max-layer-size 50kB --by size -o "$T/x.tar" --max 5
	expect 2 "*layers, more than 5*"
}

# changed_files FOLDER: two layouts of eight folders, of which one has another file in the second.
changed_files() {
	python3 - "$LAYERS" "$1" <<-'END'
		import os, sys
		sys.path.insert(0, sys.argv[1])
		from stacks import write_layer, write_layout
		from trick_image import f
		for version in ("1", "2"):
		    files = [f("data%d/f" % i, ("%d" % i + version * (i == 3)) * 60000) for i in range(8)]
		    write_layout(os.path.join(sys.argv[2], version), [write_layer(files), write_layer([f("data0/top", "x")])])
	END
}

# moved SENT THERE: what the last command said of its layers.
moved() {
	[[ $stderr == *": $1 blob"*" sent ("*"), $2 already there"* ]] || {
		printf 'expected %s sent and %s there: %s\n' "$1" "$2" "$stderr"
		return 1
	}
}

# forget: as on another machine.
forget() { rm -rf "$XDG_CACHE_HOME"; }

@test "to a registry: what the tag, --previous or the cache tell of is not sent again" {
	local by="--by dir --min-size 1" r to want
	registry_start main plain
	r=$REGISTRY_ADDR
	mkdir "$T/v"
	changed_files "$T/v"
	# shellcheck disable=SC2086
	split_same "oci:$T/v/1:t" $by -o "docker://$r/split/w:1"
	moved 8 0
	want=$DIGEST
	# The same once more: the cache tells of another tag and of another repository, without it the tag does.
	for to in split/w:again split/copy:1 split/w:1; do
		[ "$to" != split/w:1 ] || forget
		# shellcheck disable=SC2086
		split_same "oci:$T/v/1:t" $by -o "docker://$r/$to"
		moved 0 8
		same "manifest at $to" "$DIGEST" "$want"
	done
	# What changed: the same manifest as of a layout, to which all is written.
	dray_run split "oci:$T/v/2:t" --previous "$r/split/w:1" -o "oci:$T/v/2-split:t"
	ok
	want=$DIGEST
	for to in split/w:2 split/other:2 split/w:1; do
		forget
		split_same "oci:$T/v/2:t" --previous "$r/split/w:1" -o "docker://$r/$to"
		moved 1 7
		same "manifest at $to" "$DIGEST" "$want"
	done
	# --previous tells nothing that is of use where it is elsewhere, or compressed in another way than asked for.
	forget
	split_same "oci:$T/v/2:t" --previous "oci:$T/v/2-split:t" -o "docker://$r/split/far:2"
	moved 8 0
	same "manifest without" "$DIGEST" "$want"
	forget
	split_same "oci:$T/v/2:t" --previous "$r/split/w:2" --compression zstd -o "docker://$r/split/zstd:2"
	moved 8 0
	# Both tell: the tag has the layer that --previous has not.
	for want in "1 7" "0 8"; do
		forget
		split_same "oci:$T/v/1:t" --previous "$r/split/w:2" -o "docker://$r/split/w:old"
		# shellcheck disable=SC2086
		moved $want
	done
	absent "temporary files" "$(ls -A "$TMPDIR")"
}

@test "to a registry: what other verbs make of layers in files is not sent again either" {
	local verb want
	registry_start main plain
	mkdir "$T/v"
	changed_files "$T/v"
	dray_run split "oci:$T/v/1:t" --by none -o "$T/plain.tar"
	ok
	tar -C "$T/v" -cf "$T/more.tar" 2/index.json
	for verb in "flatten $T/plain.tar" "squash $T/plain.tar --last 1" "strip $T/plain.tar /data0" "append $T/plain.tar $T/more.tar" \
		"append --no-rootfs-id $T/plain.tar $T/more.tar"; do
		forget
		# shellcheck disable=SC2086
		dray_run $verb -o "docker://$REGISTRY_ADDR/verbs/${verb%% *}:1"
		ok
		want=$DIGEST
		forget
		# shellcheck disable=SC2086
		dray_run $verb -o "docker://$REGISTRY_ADDR/verbs/${verb%% *}:1"
		ok
		same "manifest of $verb" "$DIGEST" "$want"
		[[ $stderr == *": 0 blobs sent (0 B), "[1-9]* ]] || {
			printf '%s: %s\n' "$verb" "$stderr"
			false
		}
		"$DRAY" verify -q "$REGISTRY_ADDR/verbs/${verb%% *}:1" >/dev/null
	done
}

# many_layers DIR N: a layout of N layers with a folder of 20 kB each.
many_layers() {
	python3 - "$LAYERS" "$@" <<-'END'
		import sys
		sys.path.insert(0, sys.argv[1])
		from stacks import write_layer, write_layout
		from trick_image import d, f
		write_layout(sys.argv[2], [write_layer([d("d%03d" % i), f("d%03d/f" % i, str(i) * 7000)]) for i in range(int(sys.argv[3]))])
	END
}

plan() { jq -c '[.layers[] | if .kept then "kept" else (.parts | join("+")) end]' <<<"$output"; }

@test "more layers than engines take are refused or forced, many are warned about; numbers may be computed" {
	many_layers "$T/l" 130
	dray_run split "oci:$T/l:t" --keep-base 126 -n
	expect 2 "*that makes 127 layers, but engines take 125*--force*"
	dray_run split "oci:$T/l:t" --keep-base 126 --force --compression none -o "$T/forced.tar"
	ok
	same layers "$(layers "$T/forced.tar")" 127
	[[ $stderr == *"warning: 127 layers:"*125* ]]
	for n in 100 101 125; do
		dray_run split "oci:$T/l:t" --keep-base "$((n - 1))" -n --json
		expect 0
		same layers "$(jq '.layers | length' <<<"$output")" "$n"
		[[ $n -eq 100 || $stderr == *"warning: $n layers:"* ]]
		[[ $n -ne 100 || -z $stderr ]]
	done
	many_layers "$T/few" 4
	for how in "--max 126" "--max 99999" "--keep-base 0" "--force"; do
		# shellcheck disable=SC2086
		split_same "oci:$T/few:t" $how --min-size 1 -o "$T/few.tar"
		same "layers by $how" "$(layers "$T/few.tar")" 4
	done
	dray_run split "oci:$T/few:t" --keep-base 0 --min-size 1kB --max 2 -n --json
	same "sizes with units" "$(plan)" '["/d000","/d001+/d002+/d003"]'
	for bad in 0 1x -5; do
		dray_run split "oci:$T/few:t" --min-size "$bad" -n
		expect 2
	done
}

@test "--previous: layers keep their names; too many share one, and stay together" {
	many_layers "$T/l" 6
	split_same "oci:$T/l:t" --min-size 1 --layer /d005 --by dir -o "$T/one.tar"
	split_same "oci:$T/l:t" --previous "$T/one.tar" -o "$T/two.tar"
	same "steps" "$(steps "$T/two.tar" | tr '\n' ';')" \
		"dray split /d000;dray split /d001;dray split /d002;dray split /d003;dray split /d004;dray split /d005;"
	same "DiffIDs" "$(diff_ids "$T/two.tar")" "$(diff_ids "$T/one.tar")"
	split_same "oci:$T/l:t" --previous "$T/two.tar" --max 4 -o "$T/three.tar"
	same "steps" "$(steps "$T/three.tar" | tr '\n' ';')" \
		"dray split /d000, /d001;dray split /d002, /d003;dray split /d004;dray split /d005;"
	same "the upper ones" "$(diff_ids "$T/three.tar" | tail -n 2)" "$(diff_ids "$T/two.tar" | tail -n 2)"
	dray_run split "oci:$T/l:t" --previous "$T/three.tar" -n --json
	same "they stay together" "$(plan)" '["/d000+/d001","/d002+/d003","/d004","/d005"]'
	# What rules and kept layers take is not to be had.
	dray_run split "oci:$T/l:t" --previous "$T/two.tar" --layer /d000 --layer /d001 --max 3 -n --json
	same "with rules" "$(plan)" '["/d002+/d003+/d004+/d005","",""]'
	dray_run split "oci:$T/l:t" --previous "$T/two.tar" --layer /d000 --layer /d001 --max 2 -n
	expect 2 "*makes 3 layers, more than 2*"
	# An image that somebody else cut has no names.
	dray_run split "oci:$T/l:t" --rest keep --max 2 -n --json
	same "numbers" "$(plan)" '["layer 1+layer 2+layer 3+layer 4","layer 5+layer 6"]'
}

@test "--dry-run --previous tells what would be sent: as many bytes as new layers have" {
	local plan
	many_layers "$T/l" 4
	split_same "oci:$T/l:t" --min-size 1 --by dir -o "$T/one.tar"
	dray_run split "oci:$T/l:t" --previous "$T/one.tar" -n --json
	expect 0
	same "nothing" "$(jq -c '[.resent_size, [.layers[].resent]]' <<<"$output")" '[0,[false,false,false,false]]'
	# Another file in one of them; the next version as the first.
	mkdir "$T/x" "$T/x/d002"
	echo new >"$T/x/d002/new"
	tar -C "$T/x" -cf "$T/x.tar" --mtime=@7 d002/new
	"$DRAY" append -q "oci:$T/l:t" "$T/x.tar" -o "$T/next.tar" >/dev/null
	dray_run split "$T/next.tar" --previous "$T/one.tar" -n --json
	expect 0
	plan=$output
	same "one" "$(jq -c '[.layers[].resent]' <<<"$plan")" '[false,false,true,false]'
	split_same "$T/next.tar" --previous "$T/one.tar" -o "$T/two.tar"
	same "as it is made" "$(jq -c '[.layers[].resent]' <<<"$plan")" \
		"$(jq -c --argjson old "$(diff_ids "$T/one.tar" | jq -R . | jq -s .)" -n --args '[$ARGS.positional[] | IN($old[]) | not]' $(diff_ids "$T/two.tar"))"
	same "bytes" "$(jq '[.resent_size, .layers[2].size] | unique | length' <<<"$plan")" 1
	dray_run split "$T/next.tar" --previous "$T/one.tar" --keep-base 1 -n
	expect 0
	[[ $output == *"2 of 4 layers ("*" before compression) are not in the previous image"* ]]
	dray_run split "$T/next.tar" -n --json
	absent "without --previous" "$(grep resent <<<"$output")"
	absent "temporary files" "$(ls -A "$TMPDIR")"
}

@test "what overlayfs noted for itself stays behind: new layers and export have none of it" {
	local got
	python3 - "$LAYERS" "$T/l" <<-'END'
		import sys
		sys.path.insert(0, sys.argv[1])
		from stacks import write_layer, write_layout
		from trick_image import d, f
		write_layout(sys.argv[2], [
		    write_layer([d("d", xattrs={b"trusted.overlay.opaque": b"y", b"user.kept": b"1"}),
		                 f("d/a", "a" * 30000, xattrs={b"user.overlay.origin": b"o"}), f("d/b", "b")]),
		    write_layer([f("e", "e", xattrs={b"trusted.overlay.redirect": b"/x"}), f("g", "g")])])
	END
	got=$(grep -rcaE '(trusted|user)\.overlay' "$T/l" | grep -cv ':0$')
	same "layers that have it" "$got" 2
	split_same "oci:$T/l:t" --layer /d -o "$T/split.tar"
	same "kept" "$(grep -c 'user\.kept' "$T/split.tar")" 1
	dray_run squash "oci:$T/l:t" --from 0 -o "$T/squash.tar"
	ok
	dray_run flatten "oci:$T/l:t" -o "$T/flat.tar"
	ok
	# Written while it is read, where that can be foreseen.
	dray_run flatten "oci:$T/l:t" -o "oci:$T/flat:1" --compression none
	ok
	dray_run export "oci:$T/l:t" -o "$T/export.tar"
	expect 0
	absent "notes" "$(grep -rlaE '(trusted|user)\.overlay' "$T"/*.tar "$T/flat")"
}

@test "what cannot be done is told, and leaves nothing" {
	image_need tricks
	dray_run split "$IMAGE" --layer /d
	expect 2 "*where the new image goes*"
	dray_run split "$IMAGE" --layer '[a' -o "$T/x.tar"
	expect 2 "*--layer '\[a': a '\[' without its*"
	dray_run split "$IMAGE" --layer / -o "$T/x.tar"
	expect 2 "*names nothing below the root*"
	dray_run split "$IMAGE" --layer '../x' -o "$T/x.tar"
	expect 2 "*upwards*"
	dray_run split "$IMAGE" --keep-base 10 -o "$T/x.tar"
	expect 2 "*has 9 layers, of which 10*"
	dray_run split "$IMAGE" --max 2 --layer /bin --layer /d -o "$T/x.tar"
	expect 2 "*makes 3 layers, more than 2*"
	dray_run split "$IMAGE" --by package -o "$T/x.tar"
	expect 3 "*no package database*"
	dray_run split "$IMAGE" --previous "$T/nothing.tar" -o "$T/x.tar"
	expect 3 "*--previous*"
	[ ! -e "$T/x.tar" ]
	# Nothing falls under it: told, and no layer made.
	split_same "$IMAGE" --layer /nowhere --layer /long -o "$T/x.tar"
	[[ $stderr == *"warning: --layer '/nowhere': nothing falls under it"* ]]
	same layers "$(layers "$T/x.tar")" 2
	absent "temporary files" "$(ls -A "$TMPDIR")"
}
