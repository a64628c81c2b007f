#!/usr/bin/env bats
# Which documents an image that is made anew has where OCI's are read, and where it goes when it is named without a prefix.

load lib

setup() {
	verbs_setup
	T=$BATS_TEST_TMPDIR
	cd "$T"
}
teardown() { peers_teardown; }

OCI_TYPES='application/vnd.oci.image.manifest.v1+json application/vnd.oci.image.config.v1+json application/vnd.oci.image.layer.v1.tar+gzip'

# docker_image REF: an image of three layers with Docker's documents in the registry; also three.tar, and zero.tar, its lowest layer.
docker_image() {
	local ref=$1
	mkdir -p two three
	echo two >two/file
	echo three >three/file
	"$DRAY" build -q --file /one/file=one --env A=1 --cmd '["/bin/sh"]' -o zero.tar >/dev/null
	tar -C two --owner=0 --group=0 --sort=name --mtime=@0 -cf two.layer .
	tar -C three --owner=0 --group=0 --sort=name --mtime=@0 -cf three.layer .
	"$DRAY" append -q zero.tar two.layer three.layer -o three.tar >/dev/null
	"$DRAY" push -q --format docker three.tar "$ref" >/dev/null
	same "what push writes" "$("$DRAY" inspect --raw "$ref" | jq -r .mediaType)" "$MT_DOCKER_MANIFEST"
}

# raw PLACE: its manifest. types PLACE: the media types in it, each once, in the order of the manifest.
raw() { "$DRAY" inspect --raw "$1"; }
types() { raw "$1" | jq -r '[.mediaType, .config.mediaType] + ([.layers[].mediaType] | unique) | join(" ")'; }
image_id() { "$DRAY" digest --image-id "$1"; }

# read_by_others KIND:PATH:TAG: skopeo reads it, umoci unpacks it, and the documents are sound.
read_by_others() {
	skopeo inspect "$1" >/dev/null || return 1
	dray_run verify -q "$1"
	expect 0 || return 1
	case $1 in
	oci:*)
		rm -rf bundle
		umoci unpack --rootless --image "${1#oci:}" bundle >/dev/null || return 1
		[ -d bundle/rootfs ]
		;;
	esac
}

# blobs_of PLACE: of its layers.
blobs_of() { raw "$1" | jq -r '.layers[].digest'; }

# index_of PLACE: what its tag names, as it stands there; of a layout as it lies there, for skopeo reads OCI's indexes alone.
index_of() {
	local there
	case $1 in
	oci:*)
		there=${1#oci:}
		cat "${there%:*}/blobs/sha256/$(jq -r --arg tag "${there##*:}" '.manifests[] |
			select(.annotations["org.opencontainers.image.ref.name"] == $tag) | .digest[7:]' "${there%:*}/index.json")"
		;;
	*) skopeo inspect --raw --tls-verify=false "$1" ;;
	esac
}

# makes KEPT VERB ARG...: VERB of the image in the registry makes OCI's documents in a layout and in an archive, the image that an
# archive for docker load gets; of its layers KEPT are as they were stored; --format docker is obeyed.
makes() {
	local kept=$1 place n
	shift
	rm -rf docker.tar layout layout.tar
	dray_run "$@" -o docker.tar
	expect 0 || return 1
	for place in oci:layout:made oci-archive:layout.tar:made; do
		dray_run "$@" -o "$place"
		ok || return 1
		same "types of $1 in $place" "$(types "$place")" "$OCI_TYPES" || return 1
		read_by_others "$place" || return 1
		same "image ID of $1 in $place" "$(image_id "$place")" "$(image_id docker.tar)" || return 1
		n=$(comm -12 <(blobs_of "$place" | sort) <(blobs_of "$IMAGE" | sort) | wc -l)
		same "layers of $1 that stay in $place" "$n" "$kept" || return 1
		dray_run "$@" -o "${place%:made}:asked" --format docker
		ok || return 1
		same "asked" "$(raw "${place%:made}:asked" | jq -r .mediaType)" "$MT_DOCKER_MANIFEST" || return 1
	done
	# Elsewhere the family of the source stays.
	dray_run "$@" -o "docker://$REGISTRY_ADDR/made:1"
	ok || return 1
	same "in a registry" "$(raw "docker://$REGISTRY_ADDR/made:1" | jq -r .mediaType)" "$MT_DOCKER_MANIFEST" || return 1
	dray_run "$@" -o dir:flat
	ok || return 1
	same "in a dir:" "$(raw dir:flat | jq -r .mediaType)" "$MT_DOCKER_MANIFEST"
}

@test "verbs that make images write OCI's documents into layouts and OCI archives, whatever the source has" {
	require_peer skopeo umoci
	registry_start main plain
	IMAGE=docker://$REGISTRY_ADDR/made/src:1
	docker_image "$IMAGE"
	mkdir new
	echo new >new/file
	tar -C new --owner=0 --group=0 --sort=name --mtime=@0 -cf new.layer .
	makes 0 flatten "$IMAGE"
	makes 1 squash "$IMAGE" --last 2
	makes 0 split "$IMAGE" --layer 'one/**'
	makes 2 strip "$IMAGE" /one/file
	makes 3 append "$IMAGE" new.layer
	"$DRAY" copy -q --format docker zero.tar "docker://$REGISTRY_ADDR/made/base:1" >/dev/null
	"$DRAY" append -q "docker://$REGISTRY_ADDR/made/base:1" new.layer -o "docker://$REGISTRY_ADDR/made/base:2" >/dev/null
	makes 3 rebase "$IMAGE" --old-base "docker://$REGISTRY_ADDR/made/base:1" --new-base "docker://$REGISTRY_ADDR/made/base:2"
	makes 3 build --from "$IMAGE" --mkdir /there
	makes 3 edit "$IMAGE" --env B=2
}

@test "over itself: edit keeps the documents that a layout has, what is made anew is OCI's" {
	require_peer skopeo umoci
	registry_start main plain
	IMAGE=docker://$REGISTRY_ADDR/made/src:1
	docker_image "$IMAGE"
	dray_run copy "$IMAGE" oci:layout:1
	ok
	same "copied" "$DIGEST" "sha256:$(raw "$IMAGE" | sha256sum | cut -d ' ' -f 1)"
	[[ $stderr != *skopeo* ]]
	dray_run -v copy "$IMAGE" oci:layout:1
	expect 0 "*Docker's*--format oci*"
	dray_run edit oci:layout:1 --env B=2 --in-place
	ok
	same "in place" "$(raw oci:layout:1 | jq -r .mediaType)" "$MT_DOCKER_MANIFEST"
	dray_run edit oci:layout:1 --env B=3 -o oci:layout:1
	ok
	same "over itself" "$(raw oci:layout:1 | jq -r .mediaType)" "$MT_DOCKER_MANIFEST"
	dray_run edit oci:layout:1 --env B=4 -o oci-archive:other.tar:1
	ok
	same "from layout to archive" "$(raw oci-archive:other.tar:1 | jq -r .mediaType)" "$MT_DOCKER_MANIFEST"
	dray_run flatten oci:layout:1 -o oci:layout:1
	ok
	same "flattened over itself" "$(types oci:layout:1)" "$OCI_TYPES"
	read_by_others oci:layout:1
}

@test "an edit that changes nothing keeps the digest; one that does says what became of the manifest" {
	registry_start main plain
	IMAGE=docker://$REGISTRY_ADDR/made/src:1
	docker_image "$IMAGE"
	dray_run edit "$IMAGE" --env A=1 -o oci:layout:1
	ok
	same "nothing changed" "$DIGEST" "sha256:$(raw "$IMAGE" | sha256sum | cut -d ' ' -f 1)"
	dray_run edit "$IMAGE" --env A=2 -o oci:layout:1
	ok
	expect 0 "*changed: Docker's manifest becomes an OCI one*"
	dray_run edit "$IMAGE" --env A=2 -o oci:layout:1 --json
	same "told" "$(jq -c '[.copied[0].changes[] | test("OCI")]' <<<"$output")" '[true]'
	# An OCI manifest has room for annotations.
	dray_run edit "$IMAGE" --annotation k=v -o oci:layout:2
	ok
	same "annotated" "$(raw oci:layout:2 | jq -c '[.mediaType, .annotations]')" "[\"$MT_OCI_MANIFEST\",{\"k\":\"v\"}]"
	dray_run edit "$IMAGE" --annotation k=v -o oci:layout:2 --dry-run
	expect 0
	dray_run edit "$IMAGE" --annotation k=v -o oci:layout:2 --format docker
	expect 8 '*only OCI*'
	dray_run edit oci:layout:1 --annotation k=v -o oci:layout:2
	ok
	dray_run edit "$IMAGE" --annotation k=v -o "docker://$REGISTRY_ADDR/made/no:1"
	expect 8 '*only OCI*'
}

@test "a manifest list that is edited into a layout becomes an OCI index, and what was not edited stays" {
	require_peer skopeo
	registry_start main plain
	docker_image "docker://$REGISTRY_ADDR/list:amd64"
	docker_image "docker://$REGISTRY_ADDR/list:arm64"
	"$DRAY" edit -q three.tar --platform-set linux/arm64 -o arm.tar >/dev/null
	"$DRAY" push -q --format docker arm.tar "docker://$REGISTRY_ADDR/list:arm64" >/dev/null
	python3 - "$REGISTRY_URL/v2/list/manifests" <<-'END'
		import json, sys, urllib.request as u
		mt = "application/vnd.docker.distribution.manifest."
		def ask(what, data=None, kind="v2+json"):
		    how = {"Accept": mt + kind} if data is None else {"Content-Type": mt + kind}
		    return u.urlopen(u.Request(sys.argv[1] + "/" + what, data, how, method="PUT" if data else "GET"))
		entries = []
		for arch in "amd64", "arm64":
		    r = ask(arch)
		    entries.append({"mediaType": mt + "v2+json", "size": len(r.read()), "digest": r.headers["Docker-Content-Digest"],
		                    "platform": {"architecture": arch, "os": "linux"}})
		text = json.dumps({"schemaVersion": 2, "mediaType": mt + "list.v2+json", "manifests": entries}).encode()
		ask("all", text, "list.v2+json")
	END
	IMAGE=docker://$REGISTRY_ADDR/list:all
	dray_run copy --all-platforms "$IMAGE" oci:copied:1
	ok
	same "copied" "$(index_of oci:copied:1 | sha256sum)" "$(index_of "$IMAGE" | sha256sum)"
	dray_run edit "$IMAGE" --env B=2 -o oci:layout:1
	ok
	same "types" "$(index_of oci:layout:1 | jq -c '[.mediaType, .manifests[].mediaType]')" \
		"[\"application/vnd.oci.image.index.v1+json\",\"$MT_OCI_MANIFEST\",\"$MT_OCI_MANIFEST\"]"
	for arch in amd64 arm64; do
		same "$arch" "$(skopeo inspect --override-arch "$arch" --override-os linux --config oci:layout:1 | jq -r .architecture)" "$arch"
	done
	dray_run verify -q --all-platforms oci:layout:1
	expect 0
	dray_run edit "$IMAGE" --platform linux/arm64 --env B=2 -o oci:layout:2
	ok
	same "types of one" "$(index_of oci:layout:2 | jq -c '[.mediaType, .manifests[].mediaType]')" \
		"[\"application/vnd.oci.image.index.v1+json\",\"$MT_DOCKER_MANIFEST\",\"$MT_OCI_MANIFEST\"]"
	same "the other's digest" "$(index_of oci:layout:2 | jq -r '.manifests[0].digest')" "$(index_of "$IMAGE" | jq -r '.manifests[0].digest')"
	dray_run edit "$IMAGE" --env A=1 -o oci:layout:3
	ok
	same "nothing changed" "$(index_of oci:layout:3 | sha256sum)" "$(index_of "$IMAGE" | sha256sum)"
	dray_run edit oci:copied:1 --env B=2 --in-place
	ok
	same "in place" "$(index_of oci:copied:1 | jq -r .mediaType)" application/vnd.docker.distribution.manifest.list.v2+json
}

@test "foreign layers are called what the documents around them call such layers" {
	"$DRAY" build -q --file /one/file=one --format docker --compression gzip -o dir:flat >/dev/null
	local foreign=1111111111111111111111111111111111111111111111111111111111111111 there config text
	there='{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","size":7,"digest":"sha256:'$foreign'","urls":["https://there.example/layer"]}'
	config=$(raw dir:flat | jq -r .config.digest)
	text=$(jq -c --arg d "sha256:$foreign" '.rootfs.diff_ids |= [$d] + .' "flat/${config#sha256:}")
	printf %s "$text" >"flat/$(printf %s "$text" | sha256sum | cut -d ' ' -f 1)"
	jq -c --argjson f "$there" --arg c "sha256:$(printf %s "$text" | sha256sum | cut -d ' ' -f 1)" --argjson n "${#text}" \
		'.layers |= [$f] + . | .config.digest = $c | .config.size = $n' flat/manifest.json >new && mv new flat/manifest.json
	mkdir new.d
	tar -C new.d --owner=0 --group=0 --mtime=@0 -cf new.layer .
	dray_run edit dir:flat --env B=2 -o oci:layout:1
	ok
	same "edited" "$(raw oci:layout:1 | jq -c '[.layers[] | [.mediaType, .urls]]')" \
		'[["application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",["https://there.example/layer"]],["application/vnd.oci.image.layer.v1.tar+gzip",null]]'
	dray_run copy --format docker oci:layout:1 dir:back
	ok
	same "back" "$(raw dir:back | jq -c '[.layers[].mediaType]')" \
		'["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","application/vnd.docker.image.rootfs.diff.tar.gzip"]'
}

@test "an output without a prefix is a registry's where it begins with a host and no folder is called so" {
	registry_start main plain
	docker_image "docker://$REGISTRY_ADDR/src:1"
	local port=${REGISTRY_ADDR##*:} verb
	for verb in "flatten three.tar" "edit three.tar --env B=2" "copy three.tar" "build --mkdir /a"; do
		for host in "127.0.0.1:$port" "localhost:$port"; do
			# shellcheck disable=SC2086
			dray_run $verb -o "$host/bare/${verb%% *}:1"
			ok
			[[ $output == "$host/bare/${verb%% *}@sha256:"* ]]
			raw "docker://$host/bare/${verb%% *}:1" >/dev/null
		done
	done
	# The end of a name, a folder that is there, or one that only looks odd: files.
	mkdir -p "127.0.0.1:$port/re" sub
	for name in "127.0.0.1:$port/re/bare" sub/out out.image "sub/a:1"; do
		dray_run flatten three.tar -o "$name"
		ok
		[ -f "$name" ]
	done
	for name in "localhost:$port/re/out.tar" ./localhost/re missing/out no_host.d/out; do
		dray_run flatten three.tar -o "$name"
		expect 9 '*No such file*'
		[[ $stderr != *docker://* ]]
	done
	# What is pulled or saved goes to no registry unless that is said.
	for verb in "pull src:1" "save three.tar -o"; do
		# shellcheck disable=SC2086
		dray_run ${verb/src/127.0.0.1:$port/src} "localhost:$port/bare/pulled:1"
		expect 9 "*No such file*hint: *docker://localhost:$port/bare/pulled:1*"
	done
}
