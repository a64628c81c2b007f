#!/usr/bin/env bats
# delta and have: only the difference travels, and what comes back is the image to the byte.

load lib

setup() {
	verbs_setup
	cd "$BATS_TEST_TMPDIR"
	images=$PEERS_DIR/images/delta
	if [ ! -e "$images/done" ]; then
		mkdir -p "$images"
		python3 "$PEERS_SRC/delta_images.py" "$images"
		touch "$images/done"
	fi
	app1=$images/app1.tar app2=$images/app2.tar
}
teardown() {
	[ ! -e engine ] || docker rmi -f test/big:1 test/big:2 >/dev/null 2>&1
	spare_stop
	peers_teardown
}

canonical() { "$DRAY" normalize -q "$1" -o - | sha256sum; }
stored() { "$DRAY" delta inspect --json "$1" | jq .delta.stored; }
froms() { "$DRAY" delta inspect --json "$1" | jq -r '[.delta.layers[].from] | join(" ")'; }

# round LEVEL IMAGE BASE...: save, load, compare; the delta is in d.tar.
round() {
	local level=$1 image=$2 bases=() b
	shift 2
	for b in "$@"; do bases+=(--base "$b"); done
	dray_run delta save --level "$level" "${bases[@]}" "$image" -o d.tar
	ok || return 1
	same "image ID" "$DIGEST" "$("$DRAY" digest --image-id "$image")" || return 1
	dray_run delta load d.tar "${bases[@]}" -o back.tar
	ok || return 1
	same "canonical archive" "$(canonical back.tar)" "$(canonical "$image")" || return 1
	same "verify" "$("$DRAY" verify --json back.tar | jq .ok)" true || return 1
	absent "left behind" "$(ls "$TMPDIR")"
}

# refused STATUS PATTERN: and nothing appeared.
refused() {
	expect "$1" "$2" || return 1
	absent "appeared" "$(ls -d out* .out* 2>/dev/null)"
}

# ---------------------------------------------------------------------------------------------------------------------
# have

@test "have: layers and chains of all images, sorted, each once, whatever the kind of place" {
	local expected
	"$DRAY" copy -q --all "$images/both.tar" oci:layout
	"$DRAY" have "$images/both.tar" >archive.txt
	"$DRAY" have oci:layout -o layout.txt
	cmp archive.txt layout.txt
	same "first line" "$(head -n 1 archive.txt)" "dray-have-list 1"
	expected=$("$DRAY" inspect --all --json "$images/both.tar" |
		jq -r '.images[].layers[] | "chain \(.chain_id)", "diff \(.diff_id)"' | LC_ALL=C sort -u)
	same "its lines" "$(tail -n +2 archive.txt)" "$expected"
	same "json" "$("$DRAY" have --json "$images/both.tar" |
		jq -r '(.chain_ids[] | "chain \(.)"), (.diff_ids[] | "diff \(.)")')" "$expected"
	same "images" "$("$DRAY" have --json "$images/both.tar" | jq .images)" 2
	run -3 "$DRAY" have nothing.tar
}

# ---------------------------------------------------------------------------------------------------------------------
# Round trips

@test "delta: one small file in a layer of 60 MB" {
	round layer "$app2" "$app1"
	same "how" "$(froms d.tar)" "base blob"
	round file "$app2" "$app1"
	same "how" "$(froms d.tar)" "base recipe"
	[ "$(stat -c %s d.tar)" -lt 20000 ]
}

@test "delta: edited and shifted contents become patches" {
	round file "$images/lib2.tar" "$images/lib1.tar"
	same "how" "$(froms d.tar)" "base recipe"
	[ "$(stat -c %s d.tar)" -lt 20000 ]
	round file "$images/lib2.tar" "$images/lib1.tar"
}

@test "delta: Debian with one package replaced by others, and with another version of one on top" {
	local base="bash coreutils libc6 libtinfo6 libselinux1 libpcre2-8-0 base-files" debian=$PEERS_TOP/tests/layers/debian.py
	type -P dpkg-query >/dev/null || skip "no dpkg here"
	# shellcheck disable=SC2086
	{
		python3 "$debian" one.layer $base sed
		python3 "$debian" two.layer $base tar gzip
		python3 "$debian" --update new.layer coreutils $base sed
	}
	python3 "$PEERS_SRC/delta_images.py" one.tar test/debian:1 one.layer
	python3 "$PEERS_SRC/delta_images.py" two.tar test/debian:2 two.layer
	python3 "$PEERS_SRC/delta_images.py" new.tar test/debian:3 one.layer new.layer
	round layer two.tar one.tar
	same "how: the layer is another" "$(froms d.tar)" "blob"
	round file two.tar one.tar
	same "how" "$(froms d.tar)" "recipe"
	# What both have are references; what remains is less than the two new packages and their headers.
	[ "$(stored d.tar)" -lt "$(($(stat -c %s two.layer) / 8))" ]
	round layer new.tar one.tar
	same "how" "$(froms d.tar)" "base blob"
	round file new.tar one.tar
	same "how" "$(froms d.tar)" "base recipe"
	# Every program of coreutils has one byte more: its old self and a byte are told.
	[ "$(stored d.tar)" -lt "$(($(stat -c %s new.layer) / 20))" ]
}

@test "delta: layers reordered, doubled, none, and more than one base" {
	round file "$images/turned.tar" "$app1"
	same "how" "$(froms d.tar)" "base base"
	# Engines find layers by their chain: what stands elsewhere has to come along.
	round layer "$images/turned.tar" "$app1"
	same "how" "$(froms d.tar)" "blob blob"
	round layer "$images/again.tar" "$app1"
	same "how: a layer that stands again higher up is sent" "$(froms d.tar)" "blob blob blob"
	round file "$images/again.tar" "$app1"
	same "how" "$(froms d.tar | cut -d ' ' -f 1,3)" "base base"
	round layer "$app2" "$images/other.tar" "$images/both.tar"
	same "how" "$(froms d.tar)" "base blob"
	round file "$images/lib2.tar" "$images/other.tar" "$images/both.tar"
	same "how" "$(froms d.tar)" "base recipe"
	round layer "$images/empty.tar" "$app1"
	round file "$images/empty.tar" "$app1"
	round file "$images/other.tar" "$images/empty.tar"
}

@test "delta: an empty difference is small, unrelated images are sent whole" {
	local level
	for level in layer file; do
		round "$level" "$app1" "$app1"
		same "how" "$(froms d.tar)" "base base"
		[ "$(stat -c %s d.tar)" -lt 10000 ]
		round "$level" "$images/other.tar" "$app1"
		[ "$(stored d.tar)" -gt 100000 ]
	done
	same "nothing is needed" "$("$DRAY" delta inspect --json d.tar | jq -c .delta.bases)" "[]"
	dray_run delta load d.tar -o alone.tar
	ok
	same "canonical archive" "$(canonical alone.tar)" "$(canonical "$images/other.tar")"
}

@test "delta: a base is not read for less than a 16384th of it" {
	local size damaged
	echo small >small
	head -c 100000 /dev/zero | tr '\0' x >large
	for size in small large; do
		tar --mtime=@0 -b 1 -cf $size.tar $size
		"$DRAY" append -q "$app1" $size.tar -o app-$size.tar >/dev/null
		round file app-$size.tar "$app1"
	done
	# Where a byte of its biggest layer is another one nobody notices who does not read it.
	cp "$app1" damaged.tar
	chmod u+w damaged.tar
	damaged=$(($(stat -c %s damaged.tar) / 2))
	printf '\252' | dd of=damaged.tar bs=1 seek=$damaged conv=notrunc status=none
	if cmp -s "$app1" damaged.tar; then printf '\125' | dd of=damaged.tar bs=1 seek=$damaged conv=notrunc status=none; fi
	dray_run delta save --level file --base damaged.tar app-small.tar -o d.tar
	ok
	same "from" "$(froms d.tar | tr ' ' '\n' | sort -u | paste -s -d ' ')" "base blob"
	dray_run delta save --level file --base damaged.tar app-large.tar -o out.tar
	refused 6 "*DiffID*"
}

@test "delta: the same bytes every time, on standard output too" {
	local level
	for level in layer file; do
		"$DRAY" delta save -q --level "$level" --base "$app1" "$app2" -o one.tar
		"$DRAY" delta save -q --level "$level" --jobs 1 --base "$app1" "$app2" -o two.tar
		cmp one.tar two.tar
		"$DRAY" delta save -q --level "$level" --base "$app1" "$app2" -o - | cat >three.tar
		dray_run delta load three.tar --base "$app1" -o back.tar
		ok
		same "canonical archive" "$(canonical back.tar)" "$(canonical "$app2")"
	done
}

@test "delta: through pipes, and into every kind of file" {
	local dst level
	for level in layer file; do
		"$DRAY" delta save -q --level "$level" --base "$app1" "$app2" -o d.tar
		for dst in back.tar docker-archive:two.tar:test/two:1 oci:layout:2 oci-archive:back.oci dir:flat; do
			dray_piped d.tar delta load - --base "$app1" -o "$dst"
			ok
			same "$dst: verify" "$("$DRAY" verify --json "${dst%:2}" | jq .ok)" true
		done
		dray_piped "$app1" delta load d.tar --base - -o piped.tar
		ok
		same "canonical archive" "$(canonical piped.tar)" "$(canonical "$app2")"
		dray_run delta load d.tar --base "$app1" -o -
		expect 0
		rm -rf layout flat
	done
	dray_piped "$app2" delta save --base "$app1" - -o piped.tar
	ok
	"$DRAY" delta save -q --base "$app1" "$app2" -o d.tar
	cmp piped.tar d.tar
}

@test "delta: a have-list stands for its place, and has no files" {
	"$DRAY" have "$app1" -o have.txt
	"$DRAY" delta save -q --base have.txt "$app2" -o listed.tar
	same "how" "$(froms listed.tar)" "base blob"
	same "base" "$("$DRAY" delta inspect --json listed.tar | jq -r '.delta.bases[0].image_id')" null
	dray_run delta load listed.tar --base "$app1" -o back.tar
	ok
	same "canonical archive" "$(canonical back.tar)" "$(canonical "$app2")"
	dray_run delta save --level file --base have.txt "$app2" -o out.tar
	refused 2 "*have-list*hint:*"
	sed 's/list 1/list 2/' have.txt >two.txt
	dray_run delta save --base two.txt "$app2" -o out.tar
	refused 8 "*another version*"
	printf 'dray-have-list 1\ndiff sha256:12\n' >short.txt
	dray_run delta save --base short.txt "$app2" -o out.tar
	refused 6 "*line 2*"
	# What a later version tells besides is no harm.
	{ cat have.txt && echo "colour blue"; } >more.txt
	"$DRAY" delta save -q --base more.txt "$app2" -o more.tar
	cmp listed.tar more.tar
}

@test "delta: what is missing is told as a whole, and nothing appears" {
	local id layers
	id=$("$DRAY" digest --image-id "$app1")
	layers=$("$DRAY" inspect --json "$app1" | jq -r '.images[0].layers[].diff_id')
	for level in layer file; do
		"$DRAY" delta save -q --level "$level" --base "$app1" "$app2" -o d.tar
		for base in "" "$images/other.tar"; do
			dray_run delta load d.tar ${base:+--base "$base"} -o out.tar
			refused 3 "*$(head -n 1 <<<"$layers")*$id*test/app:1*"
		done
	done
	[[ $stderr == *$(tail -n 1 <<<"$layers")* ]]
	dray_run delta load --json d.tar -o out.tar
	refused 3 "*"
	same "code" "$(jq -r .error.code <<<"$output")" not-found
	dray_run delta load d.tar --base nowhere.tar -o out.tar
	refused 3 "*nowhere.tar*"
}

# ---------------------------------------------------------------------------------------------------------------------
# Places

@test "delta: a base that changes while it is read is told" {
	cp "$images/lib1.tar" base.tar
	mkfifo image
	# The image is opened once all bases were looked at.
	{
		exec 4>image
		cp "$app1" new.tar
		mv new.tar base.tar
		cat "$app2" >&4
	} &
	dray_run delta save --level file --base base.tar image -o out.tar
	refused 6 "*a base changed while it was read: sha256:*"
}

@test "delta: attestations are no images" {
	same "an attestation" "$("$DRAY" inspect --all --json "$images/buildx1.tar" | jq '.images | length')" 2
	round layer "$images/buildx2.tar" "$images/buildx1.tar"
	round file "$images/buildx2.tar" "$images/buildx1.tar"
	same "how" "$(froms d.tar)" "base recipe"
}

@test "delta: bases with one image in two entries" {
	local both level
	"$DRAY" copy -q --compression gzip "$app1" oci:both:gzip
	"$DRAY" copy -q --compression zstd "$app1" oci:both:zstd
	"$DRAY" copy -q "$images/lib1.tar" oci:both:other
	for both in oci:both "$images/twins.tar"; do
		round layer "$app2" "$both"
		round file "$app2" "$both"
		same "how" "$(froms d.tar)" "base recipe"
	done
}

@test "delta: layers that a place names and has not are no base, and not in its have-list" {
	local diffs
	diffs=$("$DRAY" inspect --json "$images/more.tar" | jq -r '.images[0].layers[].diff_id')
	"$DRAY" have "$images/partial.tar" -o have.txt
	same "chains" "$(grep -c ^chain have.txt)" 2
	same "layers" "$(grep -c ^diff have.txt)" 3
	absent "the missing layer" "$(grep "$(sed -n 2p <<<"$diffs")" have.txt)"
	grep -q "$(sed -n 3p <<<"$diffs")" have.txt
	for base in have.txt "$images/partial.tar"; do
		"$DRAY" delta save -q --base "$base" "$images/more.tar" -o d.tar
		same "how" "$(froms d.tar)" "base blob blob"
		dray_run delta load d.tar --base "$images/partial.tar" -o back.tar
		ok
		same "canonical archive" "$(canonical back.tar)" "$(canonical "$images/more.tar")"
	done
	round file "$images/more.tar" "$images/partial.tar"
	[[ $(froms d.tar) == "base "[rb]*" base" && $(froms d.tar) != "base base base" ]]
}

@test "delta: a layout that has the base's blobs needs no base, unless they have to be compressed anew" {
	local level
	"$DRAY" copy -q --compression gzip "$app1" oci:src:1
	"$DRAY" copy -q --compression gzip "$app2" oci:src:2
	"$DRAY" copy -q --compression gzip "$images/turned.tar" oci:src:3
	"$DRAY" delta save -q --base oci:src:1 oci:src:2 -o d.tar
	"$DRAY" delta save -q --level file --base oci:src:1 oci:src:3 -o f.tar
	"$DRAY" copy -q oci:src:1 oci:layout:1
	find layout | LC_ALL=C sort >before
	for d in d.tar f.tar; do
		dray_run delta load "$d" --compression zstd -o oci:layout:out
		expect 3 "*the destination lacks * layer*hint:*"
		find layout | LC_ALL=C sort | cmp - before
		dray_run delta load "$d" --compression zstd --base oci:src:1 -o oci:zstd
		ok
		rm -r zstd
	done
	dray_run delta load d.tar -o oci:layout:2
	ok
	same "manifest digest" "$DIGEST" "$("$DRAY" digest oci:src:2)"
	dray_run delta load f.tar --compression gzip -o oci:layout:3
	ok
	same "manifest digest" "$DIGEST" "$("$DRAY" digest oci:src:3)"
	layout_check layout
	dray_run delta load d.tar -o oci:out
	expect 3 "*lacks 1 layer*"
	absent "its manifests" "$(jq -r '.manifests[]?' out/index.json 2>/dev/null)"
}

# ---------------------------------------------------------------------------------------------------------------------
# The command line

@test "delta: words, options and outputs that make no sense" {
	"$DRAY" delta save -q --base "$app1" "$app2" -o d.tar
	run -2 "$DRAY" delta turn x
	run -2 "$DRAY" delta save "$app2"
	dray_run delta save "$app2" -o out.tar
	refused 2 "*--base*"
	dray_run delta save --base "$app1" "$app2" -o oci:out
	refused 2 "*a delta is written to a file*"
	# A digest is one of the image that load makes, and of nothing that save writes.
	local none
	none=sha256:$(printf '0%.0s' {1..64})
	dray_run delta save --base "$app1" "$app2" -o "oci:out@$none"
	refused 2 "*a delta is written to a file*"
	dray_run delta load d.tar --base "$app1" -o "oci:out@$none"
	refused 6 "*manifest digest differs*$none*takes that manifest only*"
	dray_run delta save --base "$app1" --level most "$app2" -o out.tar
	refused 2 "*--level*"
	dray_run delta save --base "$app1" --window 4M "$app2" -o out.tar
	refused 2 "*--level file*"
	dray_run delta save --base "$app1" --level file --window 4X "$app2" -o out.tar
	refused 2 "*--window*"
	dray_piped "$app1" delta save --level file --base - "$app2" -o out.tar
	refused 2 "*level file reads a base more than once: not from a pipe*"
	dray_piped "$app1" delta save --base - --base - "$app2" -o out.tar
	refused 2 "*standard input is one place only*"
	dray_piped "$app1" delta save --base - - -o out.tar
	refused 2 "*standard input is one place only: the image or a base*"
	dray_piped "$app1" delta save --base - "$app2" -o piped.tar
	ok
	cmp piped.tar d.tar
	dray_run delta save --base "$app1" "$images/both.tar" -o out.tar
	refused 2 "*test/lib:1*"
	dray_run delta save --base "$app1" --image test/lib:1 "$images/both.tar" -o chosen.tar
	ok
	dray_run delta load --window 4M d.tar -o out.tar
	refused 2 "*--window*"
	dray_run delta inspect --base "$app1" d.tar
	expect 2 "*--base*"
	dray_run delta inspect "$app1"
	expect 6 "*is no delta*"
	dray_run delta load --base "$app1" "$app1" -o out.tar
	refused 6 "*is no delta*"
	dray_run delta save --no-clobber --base "$app1" "$app2" -o d.tar
	expect 2
	dray_run delta save --json --base "$app1" "$app2" -o d2.tar
	expect 0
	same "level" "$(jq -r .delta.level <<<"$output")" layer
	dray_run delta inspect d.tar
	expect 0
	[[ $output == *"level layer"*"test/app:2"*"base:"*"test/app:1"* ]]
}

# ---------------------------------------------------------------------------------------------------------------------
# An artifact

@test "delta: pushed to a registry, pulled by skopeo, loaded from there; blobs and manifest come back" {
	local level manifest
	require_peer skopeo
	registry_start main plain
	"$DRAY" push -q "$app1" "$REGISTRY_ADDR/app:1"
	"$DRAY" push -q "$app2" "$REGISTRY_ADDR/app:2"
	manifest=$("$DRAY" digest "$REGISTRY_ADDR/app:2")
	for level in layer file; do
		dray_run delta save --level "$level" --base "$REGISTRY_ADDR/app:1" "$REGISTRY_ADDR/app:2" -o d.tar
		ok
		same "keeps blobs" "$("$DRAY" delta inspect --json d.tar | jq .delta.keeps_blobs)" true
		dray_run push d.tar "$REGISTRY_ADDR/app:delta-$level"
		ok
		same "what the registry has" "$(remote_walk "$REGISTRY_ADDR" app "delta-$level")" "$DIGEST"
		same "artifactType" "$(remote_manifest "$REGISTRY_ADDR" app "delta-$level" | jq -r .artifactType)" \
			application/vnd.dray.delta.v1+json
		skopeo copy --quiet --src-tls-verify=false "docker://$REGISTRY_ADDR/app:delta-$level" "oci:layout-$level:d"
		for d in "docker://$REGISTRY_ADDR/app:delta-$level" "oci:layout-$level"; do
			dray_run delta load "$d" --base "$REGISTRY_ADDR/app:1" -o "oci:back-$level-${#d}:2"
			ok
			same "manifest digest" "$DIGEST" "$manifest"
			layout_check "back-$level-${#d}"
		done
		# A base that has tars only: the same image, and another manifest where one is kept.
		dray_run delta load d.tar --base "$app1" -o "oci:tars-$level:2"
		ok
		[[ $stderr == *"another manifest digest, the same image ID"* ]]
		same "image ID" "$("$DRAY" digest --image-id "oci:tars-$level:2")" "$("$DRAY" digest --image-id "$app2")"
		dray_run delta load d.tar --base "$app1" -o "docker-archive:tars-$level.tar"
		ok
		same "canonical archive" "$(canonical "tars-$level.tar" | cut -c 1-64)" "$(canonical "$REGISTRY_ADDR/app:2" | cut -c 1-64)"
		"$DRAY" copy -q "docker://$REGISTRY_ADDR/app:delta-$level" "oci-archive:again-$level.tar"
		same "delta, pulled into an archive" "$("$DRAY" delta inspect --json "again-$level.tar" | jq -cS .)" \
			"$("$DRAY" delta inspect --json d.tar | jq -cS .)"
	done
	# A registry that has the base layers needs no base.
	"$DRAY" copy -q "$REGISTRY_ADDR/app:1" "docker://$REGISTRY_ADDR/there:1"
	"$DRAY" delta save -q --base "$REGISTRY_ADDR/app:1" "$REGISTRY_ADDR/app:2" -o d.tar
	dray_run delta load d.tar -o "docker://$REGISTRY_ADDR/there:2"
	ok
	same "what the registry has" "$(remote_walk "$REGISTRY_ADDR" there 2)" "$manifest"
	dray_run delta load d.tar -o "docker://$REGISTRY_ADDR/elsewhere:2"
	expect 3 "*lacks 1 layer*"
	absent "elsewhere" "$(remote_walk "$REGISTRY_ADDR" elsewhere 2)"
}

@test "delta: blobs of another compressor are given up, and that is said" {
	require_peer skopeo
	skopeo copy --quiet --dest-compress-format gzip "docker-archive:$app2" oci:foreign:2
	skopeo copy --quiet "docker-archive:$app1" oci:foreign:1
	dray_run delta save --level file --base oci:foreign:1 oci:foreign:2 -o d.tar
	ok
	[[ $stderr == *"not the manifest"* ]]
	same "keeps blobs" "$("$DRAY" delta inspect --json d.tar | jq .delta.keeps_blobs)" false
	dray_run delta load d.tar --base oci:foreign:1 -o oci:back:2
	ok
	[[ $stderr == *"another manifest digest, the same image ID"* ]]
	same "image ID" "$("$DRAY" digest --image-id oci:back:2)" "$("$DRAY" digest --image-id oci:foreign:2)"
	# Whole blobs are as they were.
	"$DRAY" delta save -q --base oci:foreign:1 oci:foreign:2 -o d.tar
	same "keeps blobs" "$("$DRAY" delta inspect --json d.tar | jq .delta.keeps_blobs)" true
	dray_run delta load d.tar --base oci:foreign:1 -o oci:back2:2
	ok
	same "manifest digest" "$DIGEST" "$("$DRAY" digest oci:foreign:2)"
}

# ---------------------------------------------------------------------------------------------------------------------
# Engines

@test "delta: docker load takes it where the base is, and podman, skopeo and ctr as docs/delta.md says" {
	require_root
	require_peer podman skopeo ctr
	image_need big
	image_need big2
	touch engine
	docker load -q -i "$(image_path big)"
	docker load -q -i "$(image_path big2)"
	local id two
	id=$(docker_image_id test/big:2)
	two=$(image_path big2)
	"$DRAY" have docker-daemon: >have.txt
	"$DRAY" delta save -q --base docker-daemon:test/big:1 docker-daemon:test/big:2 -o d.tar
	[ "$(stat -c %s d.tar)" -lt 20000 ]
	docker rmi test/big:2
	run docker load -i d.tar
	[ "$status" -eq 0 ] && [[ $output == *"Loaded image: test/big:2"* ]]
	same "image ID" "$(docker_image_id test/big:2)" "$id"
	same "docker run" "$(docker_run test/big:2)" "$BIG_LINE"
	docker rmi test/big:2
	# Through dray from the engine to the engine, file by file.
	"$DRAY" delta save -q --level file --base docker-daemon:test/big:1 "$two" -o f.tar
	dray_piped f.tar delta load - --base docker-daemon: -o docker-daemon:test/big:2
	ok
	same "docker run" "$(docker_run test/big:2)" "$BIG_LINE"
	run podman load -i d.tar
	[ "$status" -ne 0 ] && [[ $output == *"Some layer tarfiles are missing"* ]]
	run skopeo copy docker-archive:d.tar dir:x
	[ "$status" -ne 0 ] && [[ $output == *"Some layer tarfiles are missing"* ]]
	ctr --address "$PEERS_DIR/exec/containerd/containerd.sock" --namespace dray-delta images import --no-unpack d.tar
	absent "ctr's images" "$(ctr --address "$PEERS_DIR/exec/containerd/containerd.sock" --namespace dray-delta images ls -q)"
	# With a list for a base.
	"$DRAY" delta save -q --base have.txt "$app2" -o listed.tar
	same "an unrelated engine" "$(froms listed.tar)" "blob blob"
	spare_start
	run docker load -i d.tar
	[ "$status" -ne 0 ] && [[ $output == *"blobs/sha256/"*"no such file or directory"* ]]
	absent "images" "$(docker images -q)"
	docker load -q -i "$(image_path big)"
	docker load -q -i d.tar
	same "image ID" "$(docker_image_id test/big:2)" "$id"
}

# ---------------------------------------------------------------------------------------------------------------------
# Hostile deltas

# edited IN OUT PYTHON: `doc` is the description; what refers to it follows.
edited() {
	python3 - "$@" <<-'EOF_PYTHON'
		import hashlib, io, json, sys, tarfile
		src = tarfile.open(sys.argv[1])
		files = {m.name: src.extractfile(m).read() for m in src}
		def path(digest): return "blobs/sha256/" + digest[7:]
		def put(data):
		    digest = "sha256:" + hashlib.sha256(data).hexdigest()
		    files[path(digest)] = data
		    return {"digest": digest, "size": len(data)}
		index = json.loads(files["index.json"])
		manifest = json.loads(files[path(index["manifests"][0]["digest"])])
		doc = json.loads(files[path(manifest["config"]["digest"])])
		twice = None
		exec(sys.argv[3])
		manifest["config"].update(put(json.dumps(doc).encode()))
		index["manifests"][0].update(put(json.dumps(manifest).encode()))
		files["index.json"] = json.dumps(index).encode()
		with tarfile.open(sys.argv[2], "w", format=tarfile.USTAR_FORMAT) as dst:
		    for name, data in list(files.items()) + ([twice] if twice else []):
		        member = tarfile.TarInfo(name)
		        member.size = len(data)
		        dst.addfile(member, io.BytesIO(data))
	EOF_PYTHON
}

@test "delta: hostile ones are refused before anything appears, and their twins accepted" {
	local level status_wanted python what app1=$images/lib1.tar app2=$images/lib2.tar
	for level in layer file; do
		"$DRAY" delta save -q --level "$level" --base "$app1" "$app2" -o d.tar
		edited d.tar out.x 'pass'
		mv out.x same.tar
		dray_run delta load same.tar --base "$app1" -o twin.tar
		ok
		while IFS='|' read -r status_wanted what python; do
			edited d.tar evil.tar "$python"
			for out in out.tar oci:out-layout; do
				dray_run delta load evil.tar --base "$app1" -o "$out"
				refused "$status_wanted" "*" || {
					echo "$level: $what"
					return 1
				}
			done
		done <<-'END'
			8|another version|doc["version"] = 2
			8|another artifact version|manifest["artifactType"] = index["manifests"][0]["artifactType"] = "application/vnd.dray.delta.v2+json"
			6|no level|doc["level"] = "all"
			6|a DiffID that the image has not|doc["layers"][1]["diff_id"] = "sha256:" + "0" * 64
			6|a layer less|doc["layers"].pop()
			6|a blob that is not there|doc["layers"][1]["digest"] = "sha256:" + "1" * 64
			6|a blob that is listed and not there|manifest["layers"][-1]["digest"] = doc["layers"][1]["digest"] = "sha256:" + "1" * 64
			6|a size that lies|doc["layers"][1]["stored"] += 1
			6|sizes that lie together|doc["layers"][1]["stored"] += 1; manifest["layers"][-1]["size"] += 1
			6|the tar's size lies|doc["layers"][1]["size"] += 512
			6|the tar's size is a bomb|doc["layers"][1]["size"] = 1 << 60
			6|negative|doc["layers"][1]["size"] = -5
			6|the config in place of a layer|doc["layers"][1]["digest"] = doc["image"]["image_id"]
			6|another image|doc["image"]["image_id"] = "sha256:" + "2" * 64
			6|a layer of a base that no base is told to have|doc["bases"] = []
			6|a blob of junk|d = put(b"junk" * 50); doc["layers"][1]["digest"] = d["digest"]; doc["layers"][1]["stored"] = d["size"]; manifest["layers"][-1].update(d)
			6|a flipped byte|p = path(doc["layers"][1]["digest"]); b = bytearray(files[p]); b[len(b) // 2] ^= 1; files[p] = bytes(b)
			6|a truncated blob|p = path(doc["layers"][1]["digest"]); files[p] = files[p][:-7]
			6|twin members|p = path(doc["layers"][1]["digest"]); twice = (p, b"other bytes")
			6|the description is no JSON object|doc = []
			6|a list where a text is|doc["layers"][1]["from"] = ["blob"]
		END
	done
	# At level file a recipe may only read what the delta asks for.
	edited d.tar evil.tar 'doc["base_layers"][1]["size"] -= 512'
	dray_run delta load evil.tar --base "$app1" -o out.tar
	refused 6 "*"
	edited d.tar evil.tar 'doc["base_layers"] = []'
	dray_run delta load evil.tar --base "$app1" -o out.tar
	refused 6 "*recipe*"
	edited d.tar evil.tar 'for o in doc["base_layers"]: o["needed"] = False'
	dray_run delta load evil.tar --base "$app1" -o out.tar
	refused 6 "*"
	# A layer that is there at one place and missing at another is missing.
	"$DRAY" delta save -q --base "$images/other.tar" "$images/again.tar" -o again.tar
	edited again.tar evil.tar 'l = doc["layers"][2]; l["from"] = "base"
doc["bases"] = [{"image_id": None, "tags": [], "diff_ids": [l["diff_id"]]}]'
	dray_run delta load evil.tar -o out.tar
	refused 3 "*lacks 1 layer*have-list*"
	dray_run delta load evil.tar --base "$app1" -o twin.tar
	ok
	head -c 4000 d.tar >cut.tar
	dray_run delta load cut.tar --base "$app1" -o out.tar
	refused 6 "*"
	# A base that claims layers which it has not.
	archive_flip "$app1" liar.tar 5000
	dray_run delta load d.tar --base liar.tar -o out.tar
	refused 6 "*"
}
