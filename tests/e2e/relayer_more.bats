#!/usr/bin/env bats
# strip, append, rebase: other layers, and engines that run what comes out.

load lib

setup_file() {
	peers_setup
	dockerd_start
	registry_start main plain REGISTRY_COMPATIBILITY_SCHEMA1_ENABLED=true
}
setup() {
	verbs_setup
	registry_use main
}
teardown_file() { peers_teardown; }

LAYERS=$PEERS_TOP/tests/layers

# ids: the rootfs ids that the last verb told, before and after.
ids() {
	BEFORE=$(sed -n 's/^dray: rootfs id before: //p' <<<"$stderr")
	AFTER=$(sed -n 's/^dray: rootfs id after:  \(sha256:[0-9a-f]*\).*/\1/p' <<<"$stderr")
}

# less_id TAR PATH...: the rootfs id of an exported tar without these paths, by the other author.
less_id() {
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$LAYERS python3 - "$@" <<-'END'
		import sys
		from rootfs import raw, read_tar, rootfs_id
		names = read_tar(sys.argv[1])
		for gone in map(raw, sys.argv[2:]):
		    names = {p: i for p, i in names.items() if p != gone and not p.startswith(gone + b"/")}
		print(rootfs_id(names))
	END
}

# schema1_speaks REPO TAG LAYERS: the registry can convert the Docker manifest, which needs a history that fits the layers.
schema1_speaks() {
	local s1
	s1=$(curl -fsS --noproxy '*' -H "Accept: application/vnd.docker.distribution.manifest.v1+prettyjws" \
		"$REGISTRY_URL/v2/$1/manifests/$2") || return 1
	same "schema version" "$(jq .schemaVersion <<<"$s1")" 1 || return 1
	same "layers in schema 1" "$(jq '[.history[].v1Compatibility | fromjson | select(.throwaway | not)] | length' <<<"$s1")" "$3"
}

# config_of ARCHIVE: its config, as skopeo reads it.
config_of() { skopeo inspect --config --raw "docker-archive:$1"; }

diff_ids() { config_of "$1" | jq -r '.rootfs.diff_ids[]'; }

secret_build() {
	image_context
	printf 'the key is 4711-GONE-FROM-ALL\n' >"$CONTEXT/key"
	touch -d @1700000000 "$CONTEXT"/*
	image_build test/secret:1 <<-'END'
		FROM scratch
		COPY busybox /bin/busybox
		RUN ["/bin/busybox", "--install", "/bin"]
		ENV PATH=/bin
		COPY a /etc/a
		COPY key /secret/key
		RUN mkdir -p /d/sub && cp /secret/key /d/sub/copy && ln /d/sub/copy /d/name && echo one >/d/one
		RUN rm -r /secret && rm /d/one
		COPY b /etc/b
		CMD ["/bin/sh", "-c", "echo left; ls /d; cat /etc/b"]
	END
	rm -rf "$CONTEXT"
}

@test "random stacks: squash, strip and append give the files that they should, in overlayfs and umoci too" {
	require_root
	require_peer umoci
	export PYTHONDONTWRITEBYTECODE=1
	python3 "$LAYERS/relayer.py" "${DRAY_PLAIN:-$DRAY}" --tmpdir "$BATS_TEST_TMPDIR" --count 60
	python3 "$LAYERS/relayer.py" "${DRAY_PLAIN:-$DRAY}" --tmpdir "$BATS_TEST_TMPDIR" --count 4 --first 2000 --umoci
	mkdir -p "$BATS_TEST_TMPDIR/o/"{a,b,m}
	mount -t overlay overlay -o "ro,lowerdir=$BATS_TEST_TMPDIR/o/a:$BATS_TEST_TMPDIR/o/b" "$BATS_TEST_TMPDIR/o/m" ||
		skip "overlayfs can't be mounted here"
	umount "$BATS_TEST_TMPDIR/o/m"
	python3 "$LAYERS/relayer.py" "${DRAY_PLAIN:-$DRAY}" --tmpdir "$BATS_TEST_TMPDIR" --count 10 --first 1000 --overlay
}

@test "strip: a secret is in no layer any more, and engines run what is left" {
	require_docker
	require_peer podman skopeo
	local dir=$BATS_TEST_TMPDIR n
	secret_build
	docker save -o "$dir/in.tar" test/secret:1
	grep -q 4711-GONE "$dir/in.tar" # or the test proves nothing
	"$DRAY" export "$dir/in.tar" -o "$dir/merged.tar"

	dray_run strip "$dir/in.tar" /secret d/sub /d/name bin/busybox -o "$dir/out.tar"
	ok
	ids
	same "the files less the paths" "$AFTER" "$(less_id "$dir/merged.tar" d/sub d/name bin/busybox)"
	[ "$BEFORE" != "$AFTER" ]
	same "left of the secret" "$(grep -c 4711-GONE "$dir/out.tar" || :)" 0
	absent "in the merged tree" "$("$DRAY" files "$dir/out.tar" | grep -e secret -e busybox -e d/name)"
	dray_run verify "$dir/out.tar"
	expect 0

	# Layers without these paths are the same ones: COPY a and COPY b.
	for n in 3 8; do
		diff_ids "$dir/in.tar" | sed -n "${n}p" >>"$dir/kept"
	done
	[ "$(diff_ids "$dir/out.tar" | grep -c -F -f "$dir/kept")" -ge 1 ]

	docker rmi test/secret:1
	docker load -i "$dir/out.tar"
	same "docker run" "$(docker_run test/secret:1)" $'left\ncontent b'
	docker rmi test/secret:1
	podman load --quiet -i "$dir/out.tar"
	same "podman run" "$(podman_run docker.io/test/secret:1)" $'left\ncontent b'
	podman rmi docker.io/test/secret:1

	dray_run copy "$dir/out.tar" "docker://$REGISTRY_ADDR/strip:1" --format docker
	ok
	schema1_speaks strip 1 "$(diff_ids "$dir/out.tar" | wc -l)"
}

@test "strip in a registry: only layers that change are sent" {
	require_docker
	image_need big
	"$DRAY" copy "$IMAGE" "docker://$REGISTRY_ADDR/big:1"
	dray_run strip "docker://$REGISTRY_ADDR/big:1" /etc/small -o "docker://$REGISTRY_ADDR/big:2"
	expect 0 "*: 1 blob sent (*), 5 already there*"
	dray_run strip "docker://$REGISTRY_ADDR/big:1" '/data/noise[2-9]' -o "docker://$REGISTRY_ADDR/big:3"
	expect 0 "*already there*"
	absent "noise2" "$("$DRAY" files "docker://$REGISTRY_ADDR/big:3" | grep noise2)"
	engines_agree "$REGISTRY_ADDR/big:2" "$(remote_image_id "$REGISTRY_ADDR" big 2)" "$BIG_LINE"
	schema1_speaks big 2 6
}

@test "strip: globs; what no layer has is refused unless told otherwise; what is no pattern is refused" {
	require_docker
	image_need sym
	local dir=$BATS_TEST_TMPDIR
	dray_run strip "$IMAGE" /nope -o "$dir/x.tar"
	expect 3 "*no layer has /nope*"
	[ ! -e "$dir/x.tar" ]
	dray_run strip "$IMAGE" /nope --ignore-missing -o "$dir/x.tar"
	ok
	ids
	same "the same files" "$BEFORE" "$AFTER"
	same layers "$(diff_ids "$dir/x.tar")" "$(diff_ids "$IMAGE")"
	for bad in / . a/../b '[a'; do
		dray_run strip "$IMAGE" "$bad" -o "$dir/bad.tar"
		expect 2
		[ ! -e "$dir/bad.tar" ]
	done
	# One name in a pattern for three layers of it.
	dray_run strip "$IMAGE" '**/a' -o "$dir/y.tar"
	ok
	same "what is left" "$("$DRAY" files "$dir/y.tar" | awk '{ print $NF }' | tr '\n' ' ')" "bin bin/busybox "
	same "layers that held nothing else are gone" "$(diff_ids "$dir/y.tar" | wc -l)" 1
	"$DRAY" copy "$dir/y.tar" "docker://$REGISTRY_ADDR/sym:y" --format docker
	engines_agree "$REGISTRY_ADDR/sym:y" "$(remote_image_id "$REGISTRY_ADDR" sym y)" "$SYM_LINE"
	schema1_speaks sym y 1
}

@test "append: tars become layers byte for byte, plain, compressed and from a pipe" {
	require_docker
	require_peer podman skopeo zstd
	image_need sym
	local dir=$BATS_TEST_TMPDIR n
	for n in 1 2 3; do
		mkdir -p "$dir/$n/added"
		echo "file $n" >"$dir/$n/added/$n"
		tar --owner 0 --group 0 -C "$dir/$n" -cf "$dir/$n.tar" added
	done
	gzip -k "$dir/2.tar"
	zstd -q "$dir/3.tar"
	dray_piped "$dir/3.tar.zst" append "$IMAGE" "$dir/1.tar" "$dir/2.tar.gz" - --created-by "make image" \
		--comment "three <tars>" -o "docker-archive:$dir/out.tar:test/appended:1"
	ok
	same DiffIDs "$(diff_ids "$dir/out.tar")" "$(diff_ids "$IMAGE"; sha256sum "$dir"/[123].tar | sed 's/^/sha256:/; s/ .*//')"
	same history "$(config_of "$dir/out.tar" | jq -c '.history[-3:] | map([.created_by, .comment]) | unique')" \
		'[["make image","three <tars>"]]'
	same "the rest of the config" "$(config_of "$dir/out.tar" | jq -S 'del(.history, .rootfs)')" \
		"$(config_of "$IMAGE" | jq -S 'del(.history, .rootfs)')"
	docker load -i "$dir/out.tar"
	same "docker run" "$(docker_run --entrypoint /bin/busybox test/appended:1 cat /added/1 /added/2 /added/3)" $'file 1\nfile 2\nfile 3'
	podman load --quiet -i "$dir/out.tar"
	same "podman run" "$(podman_run --entrypoint '["/bin/busybox"]' docker.io/test/appended:1 cat /added/1 /added/2 /added/3)" $'file 1\nfile 2\nfile 3'
	podman rmi docker.io/test/appended:1
	docker rmi test/appended:1
	"$DRAY" copy "$dir/out.tar" "docker://$REGISTRY_ADDR/append:1" --format docker
	schema1_speaks append 1 "$(diff_ids "$dir/out.tar" | wc -l)"

	# In a registry only the new layer is sent.
	"$DRAY" copy "$IMAGE" "docker://$REGISTRY_ADDR/append:2"
	dray_run append "docker://$REGISTRY_ADDR/append:2" "$dir/1.tar" -o "docker://$REGISTRY_ADDR/append:3"
	expect 0 "*already there*"
	engines_agree "$REGISTRY_ADDR/append:3" "$(remote_image_id "$REGISTRY_ADDR" append 3)" "$SYM_LINE"
}

@test "append: an empty tar, and more layers than Docker takes, are told" {
	local dir=$BATS_TEST_TMPDIR n list=()
	image_need sym
	: >"$dir/empty.tar"
	mkdir "$dir/x"
	for n in {1..122}; do
		tar -C "$dir/x" --transform "s,^,$n," -cf "$dir/$n.tar" .
		list+=("$dir/$n.tar")
	done
	n=$(diff_ids "$IMAGE" | wc -l)
	dray_run append "$IMAGE" "$dir/empty.tar" "${list[@]:0:124-n}" -o "docker-archive:$dir/125.tar:test/deep:1"
	expect 0 "*warning: $dir/empty.tar: no entries*"
	[[ $stderr != *"at most 125"* ]]
	require_docker
	docker load --quiet -i "$dir/125.tar"
	docker rmi test/deep:1 >/dev/null
	dray_run append "$dir/125.tar" "$dir/1.tar" -o "docker-archive:$dir/126.tar:test/deep:2"
	expect 0 "*warning: 126 layers: Docker takes at most 125*"
	run docker load --quiet -i "$dir/126.tar"
	[[ $status -ne 0 && $output == *"max depth exceeded"* ]]
	# The other way round: squashed it is loaded.
	dray_run squash "$dir/126.tar" --last 2 -o "docker-archive:$dir/again.tar:test/deep:3"
	expect 0
	[[ $stderr != *warning* ]]
}

# layers_fetched: bytes of blobs, of a registry that counts, that no config is as long as.
layers_fetched() { fakereg_requests "$FAKEREG_ADDR" 'select(.method == "GET" and .kind == "blob" and .sent > 20000) | .sent'; }

@test "append, rebase --no-rootfs-id: layers that stay are not read; what is sent is proven all the same" {
	require_docker
	image_need sym
	local dir=$BATS_TEST_TMPDIR layer
	mkdir "$dir/t"
	echo x >"$dir/t/x"
	tar --owner 0 --group 0 -C "$dir/t" -cf "$dir/1.tar" x
	fakereg_start count
	"$DRAY" copy -q "$IMAGE" "docker://$FAKEREG_ADDR/a/b:1"
	fakereg_forget "$FAKEREG_ADDR"
	dray_run append "$FAKEREG_ADDR/a/b:1" "$dir/1.tar" --no-rootfs-id -o "docker://$FAKEREG_ADDR/a/b:2"
	expect 0 "*rootfs ids are not known*"
	absent "layers" "$(layers_fetched)"
	dray_run append --json "$FAKEREG_ADDR/a/b:1" "$dir/1.tar" -o "docker://$FAKEREG_ADDR/a/b:3"
	expect 0
	[ -n "$(layers_fetched)" ]
	same "the same image" "$(remote_image_id "$FAKEREG_ADDR" a/b 2)" "$(remote_image_id "$FAKEREG_ADDR" a/b 3)"
	fakereg_forget "$FAKEREG_ADDR"
	dray_run append --json --no-rootfs-id "$FAKEREG_ADDR/a/b:2" "$dir/1.tar" -o "docker://$FAKEREG_ADDR/a/b:4"
	expect 0
	same JSON "$(jq -c '[.rootfs_id, .rootfs_id_before, .layers - .layers_before]' <<<"$output")" "[null,null,1]"
	dray_run rebase "$FAKEREG_ADDR/a/b:4" --old-base "$FAKEREG_ADDR/a/b:2" --new-base "$FAKEREG_ADDR/a/b:1" --no-rootfs-id \
		-o "docker://$FAKEREG_ADDR/a/b:5"
	expect 0
	absent "layers" "$(layers_fetched)"
	same "layers" "$(remote_manifest "$FAKEREG_ADDR" a/b 5 | jq -c '.layers[-1].digest')" \
		"$(remote_manifest "$FAKEREG_ADDR" a/b 2 | jq -c '.layers[-1].digest')"

	"$DRAY" copy -q "$IMAGE" "oci:$dir/l:1"
	layer=$(jq -r .layers[0].digest "$dir/l/blobs/sha256/$(jq -r '.manifests[0].digest | ltrimstr("sha256:")' "$dir/l/index.json")")
	printf X | dd of="$dir/l/blobs/sha256/${layer#*:}" bs=1 seek=1000 conv=notrunc status=none
	for flag in "" --no-rootfs-id; do
		# shellcheck disable=SC2086
		dray_run append $flag "oci:$dir/l:1" "$dir/1.tar" -o "$dir/out.tar"
		expect 6 "*${layer:0:20}*"
		[ ! -e "$dir/out.tar" ]
	done
}

@test "append: what is no layer on top of this image is refused by its name" {
	require_docker
	image_need sym
	local dir=$BATS_TEST_TMPDIR
	mkdir "$dir/t"
	echo x >"$dir/t/x"
	tar -C "$dir/t" -cf "$dir/good.tar" x
	head -c 700 "$dir/good.tar" >"$dir/torn.tar"
	gzip -c "$dir/good.tar" | head -c 60 >"$dir/torn.tar.gz"
	echo "no tar at all" >"$dir/text"
	python3 - "$dir" <<-'END'
		import sys, tarfile
		for name, link, target in (("up.tar", "../x", "a"), ("lost.tar", "x", "nowhere"), ("below.tar", "x", "bin/busybox")):
		    with tarfile.open(sys.argv[1] + "/" + name, "w") as t:
		        m = tarfile.TarInfo(link)
		        m.type, m.linkname, m.mode = tarfile.LNKTYPE, target, 0o755
		        t.addfile(m)
	END
	for bad in torn.tar torn.tar.gz text up.tar; do
		dray_run append "$IMAGE" "$dir/good.tar" "$dir/$bad" -o "$dir/out.tar"
		expect 6 "*$bad*"
		[ ! -e "$dir/out.tar" ]
	done
	dray_run append "$IMAGE" "$dir/lost.tar" -o "$dir/out.tar"
	expect 6 "*target of a hard link*"
	dray_run append "$IMAGE" "$dir" -o "$dir/out.tar"
	expect 2 "*folder*"
	dray_run append "$IMAGE" "$dir/nope.tar" -o "$dir/out.tar"
	expect 3 "*nope.tar*"
	[ ! -e "$dir/out.tar" ]
	# A link to a file of the layers below is one, though engines can't unpack it.
	dray_run append "$IMAGE" "$dir/good.tar" "$dir/below.tar" -o "$dir/out.tar"
	expect 0 "*warning: *below.tar: a hard link*lower layer*"
	run -1 docker load -i "$dir/out.tar"
	dray_run append "$IMAGE" "$dir/good.tar" -o "$dir/out.tar"
	ok
	absent "warnings" "$(grep warning <<<"$stderr")"
}

bases_build() {
	image_context
	for n in 1 2; do
		printf 'base %s\n' "$n" >"$CONTEXT/version"
		touch -d @1700000000 "$CONTEXT/version"
		image_build "test/base:$n" <<-END
			FROM scratch
			COPY busybox /bin/busybox
			COPY version /version
			$([ "$n" = 1 ] || echo 'COPY b /more')
			ENV PATH=/bin BASE=$n
		END
		image_build "test/app:$n" <<-END
			FROM test/base:$n
			COPY a /app-a
			LABEL org.example.app=yes
			COPY b /app-b
			CMD ["/bin/busybox", "cat", "/version", "/app-a"]
		END
	done
	rm -rf "$CONTEXT"
}

# for_arm LAYOUT: its image says that it is for another machine.
for_arm() {
	local blobs=$1/blobs/sha256 manifest config new
	manifest=$(jq -r '.manifests[0].digest[7:]' "$1/index.json")
	config=$(jq -r '.config.digest[7:]' "$blobs/$manifest")
	jq -c '.architecture = "arm64"' "$blobs/$config" >"$1/config"
	new=$(sha256sum <"$1/config" | cut -d ' ' -f 1)
	jq -c --arg d "sha256:$new" --argjson n "$(stat -c %s "$1/config")" '.config |= (.digest = $d | .size = $n)' \
		"$blobs/$manifest" >"$1/manifest"
	mv "$1/config" "$blobs/$new"
	new=$(sha256sum <"$1/manifest" | cut -d ' ' -f 1)
	jq -c --arg d "sha256:$new" --argjson n "$(stat -c %s "$1/manifest")" '.manifests[0] |= (.digest = $d | .size = $n)' \
		"$1/index.json" >"$1/index"
	mv "$1/manifest" "$blobs/$new"
	mv "$1/index" "$1/index.json"
}

@test "rebase: what a build on the new base gives, layer for layer, and back again" {
	require_docker
	require_peer podman skopeo
	local dir=$BATS_TEST_TMPDIR
	bases_build
	for n in base:1 base:2 app:1 app:2; do docker save -o "$dir/${n/:/}.tar" "test/$n"; done
	dray_run rebase "$dir/app1.tar" --old-base "$dir/base1.tar" --new-base "docker-archive:$dir/base2.tar" -o "$dir/out.tar"
	expect 0 "*another Env*keeps*"
	same "layers" "$(diff_ids "$dir/out.tar")" "$(diff_ids "$dir/app2.tar")"
	same "history" "$(config_of "$dir/out.tar" | jq -c '[.history[] | [.created_by, .empty_layer]]')" \
		"$(config_of "$dir/app2.tar" | jq -c '[.history[] | [.created_by, .empty_layer]]')"
	same "config" "$(config_of "$dir/out.tar" | jq -S .config)" "$(config_of "$dir/app1.tar" | jq -S .config)"
	ids
	same "files" "$AFTER" "$("$DRAY" rootfs-id "$dir/app2.tar")"
	docker rmi test/app:1 test/app:2
	docker load -i "$dir/out.tar"
	same "docker run" "$(docker_run test/app:1)" $'base 2\ncontent a'
	podman load --quiet -i "$dir/out.tar"
	same "podman run" "$(podman_run docker.io/test/app:1)" $'base 2\ncontent a'
	podman rmi docker.io/test/app:1
	"$DRAY" copy "$dir/out.tar" "docker://$REGISTRY_ADDR/rebase:1" --format docker
	schema1_speaks rebase 1 "$(diff_ids "$dir/out.tar" | wc -l)"

	dray_run rebase "$dir/out.tar" --old-base "$dir/base2.tar" --new-base "$dir/base1.tar" -o "$dir/back.tar"
	ok
	same "back again" "$(config_of "$dir/back.tar" | sha256sum)" "$(config_of "$dir/app1.tar" | sha256sum)"

	dray_run rebase "$dir/app1.tar" --old-base "$dir/base2.tar" --new-base "$dir/base1.tar" -o "$dir/no.tar"
	expect 2 "*does not stand on*layer 2 of 3*"
	dray_run rebase "$dir/base1.tar" --old-base "$dir/app1.tar" --new-base "$dir/base2.tar" -o "$dir/no.tar"
	expect 2 "*does not stand on*2 layers*"
	dray_run rebase "$dir/app1.tar" -o "$dir/no.tar"
	expect 2 "*base.digest*"
	skopeo copy --quiet "docker-archive:$dir/base2.tar" "oci:$dir/arm:1"
	for_arm "$dir/arm"
	dray_run rebase "$dir/app1.tar" --old-base "$dir/base1.tar" --new-base "oci:$dir/arm" -o "$dir/no.tar"
	expect 2 "*linux/amd64*linux/arm64*"
	[ ! -e "$dir/no.tar" ]
}

@test "rebase by annotations, in a registry: only documents are sent" {
	require_docker
	require_peer skopeo
	local dir=$BATS_TEST_TMPDIR base
	bases_build
	docker save -o "$dir/base1.tar" test/base:1
	docker save -o "$dir/base2.tar" test/base:2
	docker save -o "$dir/app.tar" test/app:1
	docker rmi test/app:1 test/app:2
	"$DRAY" copy "$dir/base1.tar" "docker://$REGISTRY_ADDR/base:1"
	"$DRAY" copy "$dir/app.tar" "docker://$REGISTRY_ADDR/base:app" --format oci
	base=$(registry_digest main base 1)
	# As BuildKit writes them; the tag of the base moves on afterwards.
	curl -fsS --noproxy '*' -H "Accept: $MT_OCI_MANIFEST" "$REGISTRY_URL/v2/base/manifests/app" |
		jq -c --arg d "$base" --arg n "$REGISTRY_ADDR/base:1" '.annotations = {"org.opencontainers.image.base.digest": $d,
			"org.opencontainers.image.base.name": $n, "org.example.kept": "yes"}' >"$dir/manifest"
	dray_run manifest "$REGISTRY_ADDR/base:app" --put "$dir/manifest" --media-type "$MT_OCI_MANIFEST"
	expect 0
	"$DRAY" copy "$dir/base2.tar" "docker://$REGISTRY_ADDR/base:1"

	dray_run rebase "docker://$REGISTRY_ADDR/base:app" -o "docker://$REGISTRY_ADDR/base:app2"
	expect 0 "*: 0 blobs sent (0 B), 5 already there*"
	same "annotations" \
		"$(curl -fsS --noproxy '*' -H "Accept: $MT_OCI_MANIFEST" "$REGISTRY_URL/v2/base/manifests/app2" | jq -cS .annotations)" \
		"{\"org.example.kept\":\"yes\",\"org.opencontainers.image.base.digest\":\"$(registry_digest main base 1)\",\"org.opencontainers.image.base.name\":\"$REGISTRY_ADDR/base:1\"}"
	engines_agree "$REGISTRY_ADDR/base:app2" "$(remote_image_id "$REGISTRY_ADDR" base app2)" $'base 2\ncontent a'
	# From there nothing changes any more.
	dray_run rebase "docker://$REGISTRY_ADDR/base:app2" -o "docker://$REGISTRY_ADDR/base:app3"
	ok
	same "again" "$(registry_digest main base app3)" "$(registry_digest main base app2)"
}

# steps ARCHIVE: what its history says, "-" before what made no layer, "?" for a step without a name.
steps() {
	config_of "$1" | jq -r '[.history[] | (if .empty_layer then "-" else "" end) + (.created_by | if . == "" then "?" else . end)] | join("|")'
}

# mended NAME STEPS VERB ARG...: the verb makes of in.tar an image with these steps, and the registry schema 1 of that.
mended() {
	local dir=$BATS_TEST_TMPDIR name=$1 want=$2
	shift 2
	rm -f "$dir/out.tar"
	dray_run "$@" -o "$dir/out.tar"
	ok || return 1
	same "$1 of $name" "$(steps "$dir/out.tar")" "$want" || return 1
	consistent "$dir/out.tar" || return 1
	"$DRAY" copy -q "$dir/out.tar" "docker://$REGISTRY_ADDR/history:$name-$1" --format docker >/dev/null || return 1
	schema1_speaks history "$name-$1" "$(diff_ids "$dir/out.tar" | wc -l)"
}

@test "a history that does not fit its layers: each verb mends it, and a registry makes schema 1 of the result" {
	require_peer skopeo
	local name verb want
	local -A histories=([many]='[{"created_by":"1"},{"created_by":"2"},{"created_by":"E","empty_layer":true},{"created_by":"3"},{"created_by":"4"}]'
		[fits]='[{"created_by":"1"},{"created_by":"2"},{"created_by":"E","empty_layer":true},{"created_by":"3"}]'
		[few]='[{"created_by":"1"},{"created_by":"E","empty_layer":true}]' [none]='[]'
		[based]='[{"created_by":"B"},{"created_by":"E","empty_layer":true},{"created_by":"1"}]'
		[surplus]='[{"created_by":"E","empty_layer":true},{"created_by":"1"},{"created_by":"2"}]')
	cd "$BATS_TEST_TMPDIR"
	for name in a b c d; do
		echo "$name" >"$name"
		tar -cf "$name.tar" --mtime=@0 "$name"
	done
	"$DRAY" build --file /a=a -o base.tar
	"$DRAY" build --file /new=d -o new.tar
	"$DRAY" append base.tar b.tar c.tar -o three.tar
	"$DRAY" append base.tar b.tar -o two.tar
	with_history base.tar '[{"created_by":"B"}]'
	with_history new.tar '[{"created_by":"N1"},{"created_by":"N2"}]'
	for name in "${!histories[@]}"; do
		cp three.tar "$name.tar"
		with_history "$name.tar" "${histories[$name]}"
	done
	# As they are, a registry refuses two of them: or this proves nothing.
	for name in many none; do
		"$DRAY" copy -q "$name.tar" "docker://$REGISTRY_ADDR/history:$name" --format docker >/dev/null
		if schema1_speaks history "$name" 3; then return 1; fi
	done
	while IFS=';' read -r name verb want; do
		# shellcheck disable=SC2086
		mended "$name" "$want" ${verb/ / $name.tar }
	done <<-'END'
		fits;append d.tar;1|2|-E|3|dray append
		fits;flatten ;-1|-2|-E|-3|dray flatten
		fits;squash --last 2;1|-2|-E|-3|dray squash # layers 1 to 2
		fits;strip /b;1|-2|-E|3|-dray strip
		fits;rebase --old-base base.tar --new-base new.tar;-N1|N2|2|-E|3
		fits;split --keep-base 1 --layer /c;1|-2|-E|-3|dray split rest|dray split --layer /c
		many;append d.tar;-1|2|-E|3|4|dray append
		many;flatten ;-1|-2|-E|-3|-4|dray flatten
		many;squash --last 2;-1|2|-E|-3|-4|dray squash # layers 1 to 2
		many;strip /b;-1|2|-E|-3|4|-dray strip
		many;rebase --old-base base.tar --new-base new.tar;-N1|N2|-E|3|4
		many;split --keep-base 1 --layer /c;-1|2|-E|-3|-4|dray split rest|dray split --layer /c
		few;append d.tar;1|-E|?|?|dray append
		few;flatten ;-1|-E|dray flatten
		few;squash --last 2;1|-E|dray squash # layers 1 to 2
		few;strip /b;1|-E|?|-dray strip
		few;rebase --old-base base.tar --new-base new.tar;-N1|N2|1|-E|?
		based;rebase --old-base base.tar --new-base new.tar;-N1|N2|-E|1|?
		surplus;rebase --old-base two.tar --new-base new.tar;-N1|N2|-E|-1|2
		few;split --keep-base 1 --layer /c;1|-E|dray split rest|dray split --layer /c
		none;append d.tar;?|?|?|dray append
		none;flatten ;dray flatten
		none;squash --last 2;?|dray squash # layers 1 to 2
		none;strip /b;?|?|-dray strip
		none;rebase --old-base base.tar --new-base new.tar;-N1|N2|?|?
		none;split --keep-base 1 --layer /c;?|dray split rest|dray split --layer /c
	END
}

# annotations PLACE: those of its manifest about bases, as "KEY=VALUE" in one line.
annotations() {
	"$DRAY" inspect --raw "$1" |
		jq -r '.annotations // {} | to_entries | map(select(.key | test("base|other")) | "\(.key | sub(".*image[.]"; ""))=\(.value)") | sort | join(" ")'
}

@test "annotations about the base go when it does, and count the layers of a new one" {
	local d=$BATS_TEST_TMPDIR
	for n in 1 2 3; do
		echo "$n" >"$d/f$n"
		tar -C "$d" -cf "$d/$n.tar" "f$n"
	done
	"$DRAY" build -q --from scratch --file /base=1 --name base --format oci -o "oci:$d/b1:b" >"$d/no"
	"$DRAY" append -q "oci:$d/b1:b" "$d/1.tar" "$d/2.tar" -o "oci:$d/b3:b" >"$d/no"
	"$DRAY" build -q --from "oci:$d/b3:b" --file /app=1 --name app --annotation other=stays -o "oci:$d/app:1" >"$d/no"
	same "built" "$(annotations "oci:$d/app:1" | sed 's/sha256:[0-9a-f]*/D/')" "base.digest=D io.dray.base.layers=3 other=stays"
	built=$(annotations "oci:$d/app:1")

	# The base stays: above it, or with other layers above.
	"$DRAY" append -q "oci:$d/app:1" "$d/3.tar" -o "oci:$d/appended:1" >"$d/no"
	same "appended" "$(annotations "oci:$d/appended:1")" "$built"
	"$DRAY" squash -q --last 2 "oci:$d/appended:1" -o "oci:$d/squashed:1" >"$d/no"
	same "squashed above it" "$(annotations "oci:$d/squashed:1")" "$built"
	"$DRAY" strip -q "oci:$d/appended:1" /f3 -o "oci:$d/stripped:1" >"$d/no"
	same "stripped above it" "$(annotations "oci:$d/stripped:1")" "$built"

	# It does not.
	"$DRAY" flatten -q "oci:$d/app:1" -o "oci:$d/flat:1" >"$d/no"
	same "flattened" "$(annotations "oci:$d/flat:1")" "other=stays"
	"$DRAY" strip -q "oci:$d/app:1" /f1 -o "oci:$d/bare:1" >"$d/no"
	same "stripped in it" "$(annotations "oci:$d/bare:1")" "other=stays"
	"$DRAY" split -q "oci:$d/app:1" --layer '/f*' -o "oci:$d/split:1" >"$d/no"
	same "split" "$(annotations "oci:$d/split:1")" "other=stays"

	# Another one, of one layer, whose plan is found again.
	"$DRAY" rebase -q "oci:$d/app:1" --old-base "oci:$d/b3:b" --new-base "oci:$d/b1:b" -o "oci:$d/re:1" >"$d/no"
	same "rebased" "$(annotations "oci:$d/re:1")" "io.dray.base.layers=1 other=stays"
	dray_run build --from "oci:$d/b1:b" --file /app=1 --name app --previous "oci:$d/re:1" --plan --against "oci:$d/re:1"
	expect 0
	[[ $stderr != *"does not say"* ]]
}

@test "a config that names no DiffIDs: layers that stay get the ones that they have" {
	local t=$BATS_TEST_TMPDIR want kept verb
	mkdir -p "$t/new"
	echo new >"$t/new/n"
	tar -C "$t/new" -cf "$t/new.tar" n
	mute_archive "$t/mute.tar" a b
	want=$(for f in a b; do tar -xOf "$t/mute.tar" "$f/layer.tar" | sha256sum | sed 's/ .*//; s/^/sha256:/'; done)
	while read -r kept verb; do
		# shellcheck disable=SC2086 # words
		dray_run $verb -o "oci:$t/out:1" --format oci
		ok
		same "$verb" "$("$DRAY" inspect --json "oci:$t/out:1" | jq -r '.images[0].layers[].diff_id' | head -n "$kept")" \
			"$(head -n "$kept" <<<"$want")"
		"$DRAY" verify -q "oci:$t/out:1"
		rm -rf "$t/out"
	done <<-END
		2 append $t/mute.tar $t/new.tar
		2 append --no-rootfs-id $t/mute.tar $t/new.tar
		1 squash --from 1 $t/mute.tar
		1 split --keep-base 1 $t/mute.tar
		1 strip $t/mute.tar b
	END
	dray_run rebase "$t/mute.tar" --old-base "$t/mute.tar" --new-base "$t/mute.tar" -o "oci:$t/out:1"
	expect 8 "*nothing tells whether*do not both name the DiffID of layer 1*"
}
