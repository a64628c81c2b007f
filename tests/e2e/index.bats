#!/usr/bin/env bats
# Indexes, artifacts and referrers between layouts, archives and registries, against skopeo, podman and docker-registry.

load lib

setup() {
	verbs_setup
	T=$BATS_TEST_TMPDIR
}
teardown() { peers_teardown; }

# raw ADDR REPO REF: exact bytes of a manifest or index.
raw() {
	curl -sS --noproxy '*' -f -H 'Accept: application/vnd.oci.image.index.v1+json' \
		-H 'Accept: application/vnd.docker.distribution.manifest.list.v2+json' -H "Accept: $MT_OCI_MANIFEST" \
		-H "Accept: $MT_DOCKER_MANIFEST" "http://$1/v2/$2/manifests/$3"
}
sha() { echo "sha256:$(sha256sum | cut -d ' ' -f 1)"; }

# walk_index ADDR REPO REF: everything that an index leads to is there; prints its digest.
walk_index() {
	local f=$T/walk-index child
	raw "$1" "$2" "$3" >"$f"
	while read -r child; do
		[ -n "$(remote_walk "$1" "$2" "$child")" ] || {
			echo "$child is missing"
			return 1
		}
	done < <(jq -r '.manifests[].digest' "$f")
	sha <"$f"
}

# holes PLACE: the platforms of what is listed there and is not there.
holes() { "$DRAY" images --json --all "$1" | jq -r '.images[] | select(.manifest_digest == null) | .platform'; }

# blob LAYOUT DIGEST
blob() { cat "$1/blobs/sha256/${2#sha256:}"; }

@test "index: registry, layout, archive, pipe, registry: one digest all the way" {
	graph a --pretty
	registry_start main plain
	dray_run copy --all-platforms "oci:$T/a:multi" "docker://$REGISTRY_ADDR/x/m:1"
	ok
	same "pushed" "$DIGEST" "${D[multi]}"
	same "stored" "$(walk_index "$REGISTRY_ADDR" x/m 1)" "${D[multi]}"
	dray_run copy --all-platforms "docker://$REGISTRY_ADDR/x/m:1" "oci:$T/b:m"
	ok
	diff <(ls "$T/a/blobs/sha256") <(ls "$T/b/blobs/sha256")
	layout_check "$T/b"
	same "tags" "$(layout_tags "$T/b")" m
	dray_run copy --all-platforms "oci:$T/b:m" "oci-archive:$T/c.tar:m"
	expect 0
	same "archive" "$output" "$T/c.tar@${D[multi]}"
	dray_piped "$T/c.tar" push --all-platforms - "$REGISTRY_ADDR/y/m:1"
	ok
	same "through the pipe" "$(walk_index "$REGISTRY_ADDR" y/m 1)" "${D[multi]}"
	dray_run verify --all-platforms "docker://$REGISTRY_ADDR/y/m:1"
	expect 0
}

@test "index: what skopeo copies whole and what dray copies whole is the same, both ways" {
	require_peer skopeo
	graph a --nested --docker
	graph a --platforms 4
	registry_start main plain
	skopeo copy --quiet --all --dest-tls-verify=false "oci:$T/a:multi" "docker://$REGISTRY_ADDR/sk:1"
	dray_run copy --all-platforms "docker://$REGISTRY_ADDR/sk:1" "docker://$REGISTRY_ADDR/dr:1"
	ok
	same "of skopeo's" "$(walk_index "$REGISTRY_ADDR" dr 1)" "$(skopeo inspect --raw --tls-verify=false \
		"docker://$REGISTRY_ADDR/sk:1" | sha)"
	skopeo copy --quiet --all --src-tls-verify=false "docker://$REGISTRY_ADDR/dr:1" "oci:$T/back:1"
	same "skopeo reads it" "$(jq -r '.manifests[0].digest' "$T/back/index.json")" "$DIGEST"
}

@test "index: a manifest list that podman made keeps its digest; podman reads ours" {
	require_root
	require_peer podman
	graph a --platforms 2 --plain
	registry_start main plain
	for i in 0 1; do
		dray_run copy "oci:$T/a@${D[image$i]}" "docker://$REGISTRY_ADDR/one:$i"
		ok
	done
	podman manifest create list-a >/dev/null
	for i in 0 1; do podman manifest add --tls-verify=false list-a "docker://$REGISTRY_ADDR/one:$i" >/dev/null; done
	podman manifest push --all --quiet --tls-verify=false list-a "docker://$REGISTRY_ADDR/list:1"
	podman manifest rm list-a >/dev/null
	dray_run copy --all-platforms "docker://$REGISTRY_ADDR/list:1" "oci:$T/b:1"
	ok
	same "digest" "$DIGEST" "$(raw "$REGISTRY_ADDR" list 1 | sha)"
	dray_run copy --all-platforms "oci:$T/b:1" "docker://$REGISTRY_ADDR/again:1"
	ok
	for arch in arm64 amd64; do
		podman pull --quiet --tls-verify=false --arch "$arch" "$REGISTRY_ADDR/again:1" >/dev/null
		same "podman's image" "$(podman image inspect --format '{{.Architecture}}' "$REGISTRY_ADDR/again:1")" "$arch"
	done
	podman rmi --force "$REGISTRY_ADDR/again:1" >/dev/null
}

@test "index: crane validates what arrived" {
	crane=${DRAY_TEST_CRANE:-$(type -P crane || :)}
	[ -x "$crane" ] || skip "no crane: set DRAY_TEST_CRANE"
	graph a --plain
	registry_start main plain
	dray_run copy --all-platforms "oci:$T/a:multi" "docker://$REGISTRY_ADDR/x/m:1"
	ok
	"$crane" --insecure validate --remote "$REGISTRY_ADDR/x/m:1"
	same "digest" "$("$crane" --insecure digest "$REGISTRY_ADDR/x/m:1")" "${D[multi]}"
}

@test "index: two of three platforms: only their entries stay, and one line says so" {
	graph a --pretty
	registry_start main plain
	dray_run copy --platform linux/s390x --platform linux/amd64 "oci:$T/a:multi" "docker://$REGISTRY_ADDR/x/m:1"
	ok
	expect 0 '*index rewritten: 2 of 3 images copied*'
	same "stored" "$(walk_index "$REGISTRY_ADDR" x/m 1)" "$DIGEST"
	raw "$REGISTRY_ADDR" x/m 1 >"$T/got"
	same "images" "$(jq -r '.manifests[].digest' "$T/got" | sort)" "$(printf '%s\n' "${D[image0]}" "${D[image2]}" \
		"${D[attestation0]}" "${D[attestation2]}" | sort)"
	# Nothing else changed: what jq would take out of the old text is the new one.
	same "the rest" "$(jq -S . "$T/got")" "$(blob "$T/a" "${D[multi]}" | jq -S --arg a "${D[image1]}" \
		--arg b "${D[attestation1]}" '.manifests |= map(select(.digest != $a and .digest != $b))')"
	# and the text keeps its form: three blanks and line ends, as the index was written
	grep -q '^         "platform": {$' "$T/got"
	dray_run copy --platform linux/s390x --platform linux/mips "oci:$T/a:multi" "oci:$T/none:1"
	expect 3 '*linux/mips*'
	[ ! -e "$T/none" ]
	dray_run copy "oci:$T/a:multi" "oci:$T/single:1"
	ok
	same "the host's image alone" "$DIGEST" "${D[image0]}"
}

@test "index: several --platform and --all-platforms choose what other verbs show" {
	graph a --plain
	for verb in images inspect verify explain; do
		dray_run "$verb" --json --platform linux/arm64 --platform linux/amd64 "oci:$T/a:multi"
		expect 0
		same "$verb" "$(jq -r '.images[].platform' <<<"$output" | tr '\n' ' ')" "linux/amd64 linux/arm64/v8 "
		dray_run "$verb" --json --all-platforms "oci:$T/a:multi"
		expect 0
		same "$verb" "$(jq '.images | length' <<<"$output")" 3
	done
	dray_run digest --platform linux/arm64 --platform linux/amd64 "oci:$T/a:multi"
	expect 0
	same "digests" "$output" "$(printf '%s\n%s' "${D[image0]}" "${D[image1]}")"
}

@test "index: a hole is named, and left out, kept or an error as asked" {
	graph a --hole 1 --nested
	registry_start main plain
	dray_run copy --all-platforms "oci:$T/a:multi" "docker://$REGISTRY_ADDR/x/m:1"
	ok
	expect 0 "*index rewritten: 2 of 3 images copied; 1 not in *linux/arm64/v8 ${D[image1]}*"
	raw "$REGISTRY_ADDR" x/m 1 >"$T/got"
	inner=$(jq -r '.manifests[] | select(.mediaType | endswith("index.v1+json")).digest' "$T/got")
	same "inner index" "$(walk_index "$REGISTRY_ADDR" x/m "$inner")" "$inner"
	dray_run copy --all-platforms --holes keep "oci:$T/a:multi" "oci:$T/sparse:1"
	ok
	expect 0 "*index kept, though 1 not in *${D[image1]}*"
	same "kept" "$DIGEST" "${D[multi]}"
	dray_run copy --all-platforms --holes fail "oci:$T/a:multi" "oci:$T/no:1"
	expect 3 "*${D[image1]}*"
	[ ! -e "$T/no" ]
	# A registry that lost one is no other case.
	graph b
	dray_run copy --all-platforms "oci:$T/b:multi" "docker://$REGISTRY_ADDR/lost:1"
	ok
	curl -sS --noproxy '*' -f -X DELETE "http://$REGISTRY_ADDR/v2/lost/manifests/${D[image2]}"
	dray_run copy --all-platforms "docker://$REGISTRY_ADDR/lost:1" "oci:$T/rest:1"
	ok
	expect 0 "*index rewritten: 2 of 3 images copied; 1 not in *linux/s390x ${D[image2]}*"
	layout_check "$T/rest"
}

@test "index: what it says of absent images is listed" {
	graph a --hole 1 --nested
	same "nested" "$(holes "oci:$T/a")" linux/arm64/v8
	dray_run images "oci:$T/a"
	expect 0
	[[ $output == *"linux/arm64/v8"* ]]
	graph b --hole 1
	blob "$T/b" "${D[multi]}" | jq -c '{schemaVersion, manifests}' >"$T/b/index.json"
	same "side by side" "$(holes "oci:$T/b")" linux/arm64/v8
	tar -C "$T/b" -cf "$T/b.tar" .
	same "in a tar" "$(holes "$T/b.tar")" linux/arm64/v8
	graph c
	registry_start main plain
	dray_run copy --all-platforms "oci:$T/c:multi" "docker://$REGISTRY_ADDR/lost:1"
	ok
	curl -sS --noproxy '*' -f -X DELETE "http://$REGISTRY_ADDR/v2/lost/manifests/${D[image2]}"
	same "in a registry" "$(holes "docker://$REGISTRY_ADDR/lost:1")" linux/s390x
}

@test "index: nested ones are kept, and found by digest" {
	graph a --nested
	dray_run copy --all-platforms "oci:$T/a:multi" "oci:$T/b:1"
	ok
	same "outer" "$DIGEST" "${D[multi]}"
	layout_check "$T/b"
	dray_run copy --all-platforms "oci:$T/a@${D[inner]}" "oci:$T/c:1"
	ok
	same "inner" "$DIGEST" "${D[inner]}"
	same "its images" "$(blob "$T/c" "$DIGEST" | jq '.manifests | length')" 2
}

@test "index: --all keeps indexes, images and artifacts with their tags" {
	graph a --artifact
	dray_run copy --all "oci:$T/a" "oci:$T/b"
	expect 0
	same "lines" "$(wc -l <<<"$output")" 3
	same "entries" "$(jq -S '[.manifests[] | [.digest, .annotations]]' "$T/b/index.json")" \
		"$(jq -S '[.manifests[] | [.digest, .annotations]]' "$T/a/index.json")"
	diff -r "$T/a/blobs" "$T/b/blobs"
}

@test "index: a conversion changes every image, and says so; its attestations would lie" {
	graph a
	dray_run copy --all-platforms --compression zstd "oci:$T/a:multi" "oci:$T/b:1"
	ok
	expect 0 '*3 of 3 images copied; 3 converted; 3 attestations of converted images left out*'
	layout_check "$T/b"
	dray_run verify --all-platforms "oci:$T/b:1"
	expect 0
	dray_run copy --all-platforms --format docker "oci:$T/a:multi" "oci:$T/c:1"
	ok
	same "family" "$(blob "$T/c" "$DIGEST" | jq -r '.mediaType, .manifests[].mediaType' | sort -u)" \
		"$(printf '%s\n' application/vnd.docker.distribution.manifest.list.v2+json "$MT_DOCKER_MANIFEST" | sort)"
}

@test "artifact: as it is through layout, archive and registry" {
	graph a --artifact
	registry_start main plain
	dray_run copy "oci:$T/a:helm" "docker://$REGISTRY_ADDR/chart:1"
	ok
	same "digest" "$DIGEST" "${D[helm]}"
	same "stored" "$(remote_walk "$REGISTRY_ADDR" chart 1)" "${D[helm]}"
	dray_run copy --compression zstd --format docker "docker://$REGISTRY_ADDR/chart:1" "oci-archive:$T/b.tar:1"
	expect 0
	same "archive" "$output" "$T/b.tar@${D[helm]}"
	dray_run copy --json "oci-archive:$T/b.tar" "oci:$T/c:1"
	expect 0
	same "told" "$(jq -c '.copied[0] | [.kind, .image_id, .manifest_digest]' <<<"$output")" \
		"[\"artifact\",null,\"${D[helm]}\"]"
	layout_check "$T/c"
}

# all_referrers LAYOUT: every referrer of the graph is in it, and named by index.json.
all_referrers() {
	local name
	for name in sbom0 signature0 sbom1 signature1 cosign; do
		same "$name" "$(jq -r --arg d "${D[$name]}" '.manifests[] | select(.digest == $d).digest' "$1/index.json")" \
			"${D[$name]}" || return 1
	done
	layout_check "$1"
}

@test "referrers: by the fallback tags of a registry without the API, and back" {
	graph a --referrers --cosign
	registry_start main plain
	dray_run copy --all-platforms --referrers "oci:$T/a:multi" "docker://$REGISTRY_ADDR/x/m:1"
	ok
	expect 0 '*5 referrers came along*'
	raw "$REGISTRY_ADDR" x/m "${D[multi]/:/-}" >"$T/list"
	same "list" "$(jq -c '.manifests | map([.digest, .artifactType, .annotations["org.example.text"]])' "$T/list")" \
		"[[\"${D[sbom0]}\",\"application/spdx+json\",\"sbom 0\"]]"
	same "of the referrer" "$(raw "$REGISTRY_ADDR" x/m "${D[sbom0]/:/-}" | jq -r '.manifests[].digest')" "${D[signature0]}"
	same "cosign" "$(raw "$REGISTRY_ADDR" x/m "${D[multi]/:/-}.sig" | sha)" "${D[cosign]}"
	# A list that is there is added to; doing it twice adds nothing.
	jq -c '.manifests += [{"mediaType":.manifests[0].mediaType,"digest":"'"${D[image1]}"'","size":555}] | .kept = 1' \
		<"$T/list" >"$T/list2"
	registry_curl main "/v2/x/m/manifests/${D[multi]/:/-}" -f -X PUT --data-binary "@$T/list2" \
		-H 'Content-Type: application/vnd.oci.image.index.v1+json'
	dray_run copy --all-platforms --referrers "oci:$T/a:multi" "docker://$REGISTRY_ADDR/x/m:2"
	ok
	same "unchanged" "$(raw "$REGISTRY_ADDR" x/m "${D[multi]/:/-}" | sha)" "$(sha <"$T/list2")"
	# An entry that does not refer to it is a claim and no more.
	dray_run copy --all-platforms --referrers "docker://$REGISTRY_ADDR/x/m:1" "oci:$T/b:1"
	ok
	expect 0 '*5 referrers came along*'
	all_referrers "$T/b"
	dray_run copy --all-platforms "docker://$REGISTRY_ADDR/x/m:1" "oci:$T/without:1"
	ok
	same "not asked for" "$(jq '.manifests | length' "$T/without/index.json")" 1
}

@test "referrers: by the API, from registry to registry, to an archive and through a pipe" {
	graph a --referrers --cosign
	fakereg_start f --log "$T/log"
	dray_run copy --all-platforms --referrers "oci:$T/a:multi" "docker://$FAKEREG_ADDR/x/m:1"
	ok
	same "no fallback tags" "$(curl -fsS --noproxy '*' "http://$FAKEREG_ADDR/v2/x/m/tags/list" | jq -c '.tags | sort')" \
		"[\"1\",\"${D[multi]/:/-}.sig\"]"
	dray_run copy --all-platforms --referrers "docker://$FAKEREG_ADDR/x/m:1" "docker://$FAKEREG_ADDR/y/m:1"
	ok
	expect 0 '*5 referrers came along*'
	dray_run copy --all-platforms --referrers "docker://$FAKEREG_ADDR/y/m:1" "oci-archive:$T/b.tar:1"
	expect 0
	dray_piped "$T/b.tar" copy --all-platforms --referrers - "oci:$T/c:1"
	ok
	all_referrers "$T/c"
	# One image of the index has its own referrers, and not those of the index.
	dray_run copy --referrers --json "docker://$FAKEREG_ADDR/y/m:1" "oci:$T/d:1"
	expect 0
	same "of one image" "$(jq '.copied[0].referrers' <<<"$output")" 2
}

@test "N-10 referrers: pages that go in circles or to other hosts end with an error" {
	graph a --referrers
	fakereg_start f --log "$T/log" --also 127.0.0.2:0
	dray_run copy --referrers "oci:$T/a:one" "docker://$FAKEREG_ADDR/x:1"
	ok
	other=$(sed -n 2p <<<"$FAKEREG_ADDRS")
	for link in same endless "$other"; do
		curl -fsS --noproxy '*' -o /dev/null --data-binary "link=$link@GET:/referrers/" "http://$FAKEREG_ADDR/_fault"
		run --separate-stderr timeout 100 "$DRAY" copy --referrers "docker://$FAKEREG_ADDR/x:1" "oci:$T/out:1"
		[ "$status" -ne 0 ] && [ "$status" -ne 124 ]
		[ ! -e "$T/out" ]
	done
	absent "asked elsewhere" "$(jq -c 'select(.listener == 1 or .origin == 1)' "$T/log")"
	curl -fsS --noproxy '*' -o /dev/null -X DELETE "http://$FAKEREG_ADDR/_fault"
	dray_run copy --referrers "docker://$FAKEREG_ADDR/x:1" "oci:$T/out:1"
	ok
}

@test "registry to registry: mounted, nothing on the disk, and nothing at all the second time" {
	require_peer strace
	graph a --artifact
	fakereg_start f --log "$T/log"
	dray_run copy --all-platforms "oci:$T/a:multi" "docker://$FAKEREG_ADDR/x/m:1"
	ok
	: >"$T/log"
	mkdir "$T/ro"
	run --separate-stderr strace -f -qq -o "$T/trace" -e trace=openat,open,creat,mkdir,mkdirat,rename,renameat2,memfd_create \
		env TMPDIR=/nonexistent ASAN_OPTIONS=detect_leaks=0 "$DRAY" copy --no-cache --tmpdir /nonexistent --all-platforms \
		"docker://$FAKEREG_ADDR/x/m:1" "docker://$FAKEREG_ADDR/y/m:1"
	ok
	same "digest" "$DIGEST" "${D[multi]}"
	absent "files" "$(grep -E 'O_CREAT|O_TMPFILE|O_WRONLY|O_RDWR|creat|mkdir|rename|memfd' "$T/trace" | grep -v /dev/)"
	same "uploads" "$(jq -s '[.[] | select(.method == "PATCH" or (.method == "PUT" and .kind == "upload"))] | length' "$T/log")" 0
	same "downloads" "$(jq -s '[.[] | select(.method == "GET" and .kind == "blob")] | map(.path) | unique | length' "$T/log")" 6
	[ "$(jq -s '[.[] | select(.query | tostring | test("mount="))] | length' "$T/log")" -gt 0 ]
	: >"$T/log"
	dray_run copy --all-platforms "docker://$FAKEREG_ADDR/x/m:1" "docker://$FAKEREG_ADDR/y/m:1"
	ok
	absent "writes" "$(jq -c 'select(.method != "GET" and .method != "HEAD")' "$T/log")"
	absent "blobs of the destination" "$(jq -c 'select(.path | test("/y/m/blobs"))' "$T/log")"
	# A child that the destination lost is sent again.
	curl -fsS --noproxy '*' -o /dev/null -X DELETE "http://$FAKEREG_ADDR/v2/y/m/manifests/${D[image1]}"
	dray_run copy --all-platforms "docker://$FAKEREG_ADDR/x/m:1" "docker://$FAKEREG_ADDR/y/m:1"
	ok
	same "healed" "$(raw "$FAKEREG_ADDR" y/m "${D[image1]}" | sha)" "${D[image1]}"
	# Two registries: streamed.
	registry_start main plain
	run --separate-stderr env TMPDIR=/nonexistent "$DRAY" copy --no-cache --tmpdir /nonexistent --all-platforms \
		"docker://$FAKEREG_ADDR/x/m:1" "docker://$REGISTRY_ADDR/z:1"
	ok
	same "elsewhere" "$(walk_index "$REGISTRY_ADDR" z 1)" "${D[multi]}"
}

@test "G-09 index: whenever the registry goes away, a tag names all of an index or nothing" {
	graph a --platforms 2 --nested --referrers
	fakereg_start f --log "$T/log"
	for ((n = 1, rc = 1; rc != 0; n += 3)); do
		curl -fsS --noproxy '*' -o /dev/null --data-binary "drop-after-request=$n" "http://$FAKEREG_ADDR/_fault"
		run --separate-stderr "$DRAY" copy --no-cache --retry 0 --all-platforms --referrers "oci:$T/a:multi" \
			"docker://$FAKEREG_ADDR/x$n:1"
		rc=$status
		curl -fsS --noproxy '*' -o /dev/null -X DELETE "http://$FAKEREG_ADDR/_fault"
		[ "$n" -lt 300 ]
		tag=$(curl -sS --noproxy '*' -o "$T/tag" -w '%{http_code}' -H 'Accept: application/vnd.oci.image.index.v1+json' \
			"http://$FAKEREG_ADDR/v2/x$n/manifests/1")
		if [ "$tag" = 404 ]; then
			[ "$rc" -ne 0 ]
			continue
		fi
		same "the tag after $n" "$(sha <"$T/tag")" "${D[multi]}"
		for child in "${D[image0]}" "${D[image1]}"; do
			same "child after $n" "$(remote_walk "$FAKEREG_ADDR" "x$n" "$child")" "$child"
		done
		raw "$FAKEREG_ADDR" "x$n" "${D[inner]}" >/dev/null
	done
	[ "$n" -gt 30 ]
}
