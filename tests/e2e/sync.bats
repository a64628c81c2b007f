#!/usr/bin/env bats
# Mirroring a list, with real registries and layouts.

# `run` sets stderr.
# shellcheck disable=SC2154
load lib

setup() { verbs_setup; }
teardown() { peers_teardown; }

# images PLACE TAG...: a small image of its own for each tag, at PLACE:TAG.
images() {
	local place=$1 tag
	shift
	for tag; do
		PYTHONDONTWRITEBYTECODE=1 python3 - "$PEERS_TOP/tests/must-fail" "$BATS_TEST_TMPDIR/one.tar" "$place:$tag" <<-'END'
			import sys
			sys.path.insert(0, sys.argv[1])
			from bricks import *
			open(sys.argv[2], "wb").write(Save([tar(member("who", sys.argv[3].encode()))]).bytes())
		END
		"$DRAY" push -q --format oci "$BATS_TEST_TMPDIR/one.tar" "$place:$tag" >/dev/null || return 1
	done
}

# list JSON: into $LIST; {A} and {B} stand for the two registries.
list() {
	LIST=$BATS_TEST_TMPDIR/list.json
	sed -e "s#{A}#$A#g; s#{B}#$B#g; s#{T}#$BATS_TEST_TMPDIR#g" >"$LIST" <<<"$1"
}

two_registries() {
	require_peer skopeo
	registry_start one plain
	registry_wipe one
	A=$REGISTRY_ADDR
	registry_start two plain
	registry_wipe two
	B=$REGISTRY_ADDR
}

tags_of() { skopeo list-tags --tls-verify=false "docker://$1" 2>/dev/null | jq -r '.Tags[]' | LC_ALL=C sort | xargs; }
digest_of() { skopeo inspect --raw --tls-verify=false "docker://$1" | sha256sum | cut -d ' ' -f 1; }
statuses() { jq -r '.images[] | "\(.source | sub(".*/"; "")) \(.status)"' <<<"$output" | xargs; }

@test "sync: patterns, exclusions, a limit; digests stay; the second run copies nothing" {
	two_registries
	images "$A/lib/box" 1.1 1.2 1.9 1.10 1.10-rc1 2.0 latest
	images "$A/other" x y
	list '{"version":1, "destination":"docker://{B}/mirror", "images":[
		{"source":"docker://{A}/lib/box", "tags":["1.*","latest"], "exclude":["*-rc*"], "limit":2},
		{"source":"{A}/other:x"},
		{"source":"docker://{A}/other", "tags":["[y-z]"], "destination":"{B}/elsewhere/{name}-{tag}:v1"}]}'
	dray_run sync --dry-run "$LIST"
	expect 0 '*5 to be copied, 0 there already, 0 failed*'
	same "plan" "$output" "docker://$A/lib/box:1.9 -> docker://$B/mirror/lib/box:1.9
docker://$A/lib/box:1.10 -> docker://$B/mirror/lib/box:1.10
docker://$A/lib/box:latest -> docker://$B/mirror/lib/box:latest
docker://$A/other:x -> docker://$B/mirror/other:x
docker://$A/other:y -> docker://$B/elsewhere/other-y:v1"
	absent "written by a dry run" "$(curl -sS --noproxy '*' "http://$B/v2/_catalog" | jq -r '.repositories[]')"

	dray_run sync "$LIST"
	expect 0 '*5 copied (*), 0 there already, 0 failed*'
	same "lines" "$(wc -l <<<"$output")" 5
	same "first line" "$(head -n 1 <<<"$output")" "$B/mirror/lib/box@sha256:$(digest_of "$A/lib/box:1.9")"
	same "tags" "$(tags_of "$B/mirror/lib/box")" "1.10 1.9 latest"
	for tag in 1.9 1.10 latest; do
		same "$tag" "$(digest_of "$B/mirror/lib/box:$tag")" "$(digest_of "$A/lib/box:$tag")"
	done
	same "y" "$(digest_of "$B/elsewhere/other-y:v1")" "$(digest_of "$A/other:y")"

	dray_run sync --json "$LIST"
	expect 0
	same "statuses" "$(statuses)" "box:1.9 unchanged box:1.10 unchanged box:latest unchanged other:x unchanged other:y unchanged"
	same "counts" "$(jq -c '[.schema,.copied,.unchanged,.failed,.ok]' <<<"$output")" "[1,0,5,0,true]"

	# One tag moved: that one goes again.
	images "$A/lib/box" latest1
	skopeo copy --quiet --src-tls-verify=false --dest-tls-verify=false "docker://$A/lib/box:latest1" "docker://$A/lib/box:latest"
	dray_run sync "$LIST"
	expect 0 '*1 copied*4 there already*'
	same "line" "$output" "$B/mirror/lib/box@sha256:$(digest_of "$A/lib/box:latest")"
}

@test "sync: what fails is told, the others go on, the first failure is the status" {
	two_registries
	images "$A/a" 1 2
	list '{"version":1, "destination":"docker://{B}/m", "images":[
		{"source":"{A}/a:1"},
		{"source":"{A}/a:missing"},
		{"source":"{A}/none", "tags":["*"]},
		{"source":"127.0.0.1:1/gone:1"},
		{"source":"{A}/a", "tags":["2", "idle*"]}]}'
	dray_run sync --retry 0 "$LIST"
	expect 3 '*2 copied*3 failed*'
	[[ $stderr == *"dray: sync: docker://$A/a:missing -> docker://$B/m/a:missing: "* ]]
	[[ $stderr == *"dray: sync: $A/none: "* ]]
	[[ $stderr == *'warning: images[4]: no tag of '*'matches "idle*"'* ]]
	same "tags" "$(tags_of "$B/m/a")" "1 2"
	dray_run sync -q --json --retry 0 "$LIST"
	expect 3
	same "statuses" "$(statuses)" "a:1 unchanged a:missing failed none failed gone:1 failed a:2 unchanged"
	same "codes" "$(jq -r '.images[] | select(.error) | .error.code' <<<"$output" | xargs)" "not-found not-found network"
	same "ok" "$(jq -c '[.failed,.ok]' <<<"$output")" "[3,false]"
	[ "$(jq -r '.images[2].destination' <<<"$output")" = null ]
	# Failures are told also when nothing else is.
	[ "$(grep -c 'dray: sync: ' <<<"$stderr")" -eq 3 ]
	# The first failure decides, whatever comes after it.
	list '{"version":1, "destination":"docker://{B}/m", "images":[{"source":"127.0.0.1:1/gone:1"}, {"source":"{A}/a:missing"}]}'
	dray_run sync --retry 0 "$LIST"
	expect 5
}

@test "sync: to a layout, whose tags are the paths; to a layout each; from files" {
	two_registries
	images "$A/lib/box" 1 2
	list '{"version":1, "destination":"oci:{T}/mirror", "images":[{"source":"{A}/lib/box", "tags":["*"]}]}'
	dray_run sync "$LIST"
	expect 0
	layout_check "$BATS_TEST_TMPDIR/mirror"
	same "tags" "$(layout_tags "$BATS_TEST_TMPDIR/mirror" | LC_ALL=C sort | xargs)" "lib/box:1 lib/box:2"
	same "image" "$(skopeo inspect --raw "oci:$BATS_TEST_TMPDIR/mirror:lib/box:2" | sha256sum | cut -d ' ' -f 1)" "$(digest_of "$A/lib/box:2")"
	dray_run sync "$LIST"
	expect 0 '*0 copied*2 there already*'
	list '{"version":1, "images":[
		{"source":"{A}/lib/box", "tags":["*"], "destination":"oci:{T}/{name}-{tag}"},
		{"source":"{A}/lib/box:1", "destination":"oci-archive:{T}/one.oci"},
		{"source":"oci:{T}/mirror:lib/box:2", "destination":"docker://{B}/back:again"}]}'
	dray_run sync "$LIST"
	expect 0 '*4 copied*'
	layout_check "$BATS_TEST_TMPDIR/box-1"
	layout_check "$BATS_TEST_TMPDIR/box-2"
	"$DRAY" verify -q "oci-archive:$BATS_TEST_TMPDIR/one.oci"
	same "back" "$(digest_of "$B/back:again")" "$(digest_of "$A/lib/box:2")"
	# By digest, without a tag.
	list '{"version":1, "destination":"{B}/pin", "images":[{"source":"{A}/lib/box@sha256:'"$(digest_of "$A/lib/box:1")"'"}]}'
	dray_run sync "$LIST"
	expect 0
	same "pinned" "$output" "$B/pin/lib/box@sha256:$(digest_of "$A/lib/box:1")"
	same "bytes" "$(digest_of "$B/pin/lib/box@sha256:$(digest_of "$A/lib/box:1")")" "$(digest_of "$A/lib/box:1")"
}

@test "sync: one platform of an index; the second time it is there" {
	two_registries
	PYTHONDONTWRITEBYTECODE=1 python3 - "$PEERS_TOP/tests/must-fail" "$BATS_TEST_TMPDIR/multi" <<-'END'
		import sys
		sys.path.insert(0, sys.argv[1])
		from bricks import *
		o = Layout()
		def at(arch, layers):
		    return o.image(layers, config_value=config(layers, architecture=arch), platform={"os": "linux", "architecture": arch})
		o.roots = [o.document(o.index([at("amd64", (BASE, APP)), at("arm64", (APP, TOP))]), OCI_INDEX,
		                      annotations={"org.opencontainers.image.ref.name": "multi"})]
		o.write(sys.argv[2])
	END
	skopeo copy --quiet --all --dest-tls-verify=false "oci:$BATS_TEST_TMPDIR/multi:multi" "docker://$A/multi:1"
	list '{"version":1, "destination":"{B}", "images":[{"source":"{A}/multi", "tags":["*"], "platforms":["linux/arm64"]}]}'
	dray_run sync "$LIST"
	expect 0 '*1 copied*'
	same "platform" "$(skopeo inspect --config --tls-verify=false "docker://$B/multi:1" | jq -r .architecture)" arm64
	dray_run sync --json "$LIST"
	expect 0 '*0 copied*1 there already*'
	same "digest" "$(jq -r '.images[0].manifest_digest' <<<"$output")" "sha256:$(digest_of "$B/multi:1")"
	for platforms in '"all"' '["linux/arm64","linux/amd64"]'; do
		list '{"version":1, "destination":"{B}/'"$((++n))"'", "images":[{"source":"{A}/multi:1", "platforms":'"$platforms"'}]}'
		dray_run sync "$LIST"
		expect 0 '*1 copied*'
		same "index" "$(digest_of "$B/$n/multi:1")" "$(digest_of "$A/multi:1")"
	done
}

@test "sync: the shards are the whole, each image in one, whatever the order of the list" {
	A=a.example.test B=b.example.test
	local images i
	images=$(for i in $(seq 1 30); do printf '{"source":"{A}/r%d:1"},' "$i"; done)
	list '{"version":1,"destination":"oci:{T}/m","images":['"${images%,}"']}'
	"$DRAY" sync -q --dry-run "$LIST" | LC_ALL=C sort >"$BATS_TEST_TMPDIR/all"
	same "all" "$(wc -l <"$BATS_TEST_TMPDIR/all")" 30
	for i in 0 1 2; do
		"$DRAY" sync -q --dry-run --shard "$i/3" "$LIST" >"$BATS_TEST_TMPDIR/part.$i"
		[ "$(wc -l <"$BATS_TEST_TMPDIR/part.$i")" -gt 3 ]
	done
	cmp <(LC_ALL=C sort "$BATS_TEST_TMPDIR"/part.?) "$BATS_TEST_TMPDIR/all"
	"$DRAY" sync -q --dry-run --shard 3/3 "$LIST" | cmp - "$BATS_TEST_TMPDIR/part.0"
	"$DRAY" sync -q --dry-run --shard 0/1 "$LIST" | LC_ALL=C sort | cmp - "$BATS_TEST_TMPDIR/all"
	# As the manual page tells: anybody can compute it.
	while read -r line; do
		i=$(printf '%s' "$line" | python3 -c 'import hashlib, sys; print(int.from_bytes(hashlib.sha256(sys.stdin.buffer.read()).digest()[:8], "big") % 3)')
		grep -qxF "$line" "$BATS_TEST_TMPDIR/part.$i"
	done <"$BATS_TEST_TMPDIR/all"
	jq -c '.images |= reverse' "$LIST" >"$BATS_TEST_TMPDIR/reversed"
	cmp <("$DRAY" sync -q --dry-run --shard 1/3 "$BATS_TEST_TMPDIR/reversed" | LC_ALL=C sort) <(LC_ALL=C sort "$BATS_TEST_TMPDIR/part.1")
	for wrong in 4/3 -1/3 1/0 1 x/y 1/3/ /3 1/; do
		dray_run sync --dry-run --shard "$wrong" "$LIST"
		expect 2 '*--shard*'
	done
}

@test "sync: lists that are wrong are refused before anything is asked" {
	A=127.0.0.1:1 B=127.0.0.1:1
	local want text
	while IFS='|' read -r want text; do
		list "$text"
		dray_run sync "$LIST"
		# shellcheck disable=SC2053
		[[ $status -eq 2 && $stderr == $want ]] || {
			printf '%s: status %s\n%s\n' "$text" "$status" "$stderr"
			return 1
		}
	done <<-'END'
		*unknown member "image"*did you mean "images"*|{"version":1,"image":[]}
		*images?0?: unknown member "tag"*did you mean "tags"*|{"version":1,"destination":"{B}","images":[{"source":"{A}/a","tag":["1"]}]}
		*images?0?: unknown member "zzz"*dray help sync*|{"version":1,"destination":"{B}","images":[{"source":"{A}/a:1","zzz":1}]}
		*"version" is missing*|{"images":[]}
		*"images" is missing*|{"version":1}
		*images?0?*"source" is missing*|{"version":1,"destination":"{B}","images":[{"tags":["1"]}]}
		*images?1?*"destination" is missing*|{"version":1,"images":[{"source":"{A}/a:1","destination":"oci:x"},{"source":"{A}/a:1"}]}
		*which tags of*"tags":?"?"?*|{"version":1,"destination":"{B}","images":[{"source":"{A}/a"}]}
		*names one image*|{"version":1,"destination":"{B}","images":[{"source":"{A}/a:1","tags":["*"]}]}
		*"tags" are for registries*|{"version":1,"images":[{"source":"oci:x","tags":["*"],"destination":"{B}/x"}]}
		*without its*|{"version":1,"destination":"{B}","images":[{"source":"{A}/a","tags":["[a"]}]}
		*"limit" is less than 1*|{"version":1,"destination":"{B}","images":[{"source":"{A}/a","tags":["*"],"limit":0}]}
		*"limit" goes with "tags"*|{"version":1,"destination":"{B}","images":[{"source":"{A}/a:1","limit":3}]}
		*"platforms"*|{"version":1,"destination":"{B}","images":[{"source":"{A}/a:1","platforms":"some"}]}
		*unknown {nmae}*|{"version":1,"destination":"{B}/{nmae}","images":[{"source":"{A}/a:1"}]}
		*'{' without*|{"version":1,"destination":"{B}/{name","images":[{"source":"{A}/a:1"}]}
		*room for one image*|{"version":1,"destination":"oci-archive:x.tar","images":[{"source":"{A}/a:1"}]}
		*destination" of its own*|{"version":1,"destination":"{B}/m","images":[{"source":"oci:x:1"}]}
		*images?0? and images?1?*both go to*|{"version":1,"images":[{"source":"{A}/a:1","destination":"{B}/x:1"},{"source":"{A}/b:1","destination":"{B}/x:1"}]}
		*both go to*|{"version":1,"destination":"{B}","images":[{"source":"{A}/a:1","platforms":"all"},{"source":"{A}/a:1"}]}
		*twice*|{"version":1,"version":1,"images":[]}
		*JSON*|{"version":1,"images":[]
		*images: number, expected array*|{"version":1,"images":7}
	END
	list '{"version":2,"images":[]}'
	dray_run sync "$LIST"
	expect 8 '*version 2*'
	dray_run sync "$BATS_TEST_TMPDIR/none.json"
	expect 3
	# Their twin: nothing to do is no failure.
	list '{"version":1,"images":[]}'
	dray_run sync "$LIST"
	expect 0 '*0 copied*'
	absent "output" "$output"
}

@test "sync: N-01 --creds are the destination's, a source elsewhere never sees them" {
	fakereg_start source --bind 127.0.0.2
	A=$FAKEREG_ADDR
	images "$A/a" 1 2
	fakereg_forget "$A"
	fakereg_start target --auth basic --user me --password secret
	B=$FAKEREG_ADDR
	list '{"version":1,"destination":"docker://{B}/m","images":[{"source":"{A}/a","tags":["*"]}]}'
	dray_run sync --plain-http --creds me:secret "$LIST"
	expect 0 '*2 copied*'
	absent "credentials at the source" "$(fakereg_requests "$A" 'select(.headers.authorization) | .headers.authorization')"
	# Up to date: nobody fetches a byte.
	fakereg_forget "$A"
	dray_run sync --plain-http --creds me:secret "$LIST"
	expect 0 '*0 copied*2 there already*'
	same "requests" "$(fakereg_requests "$A" '[.method, .kind] | join(" ")' | sort -u | xargs)" "GET ping GET tags HEAD manifest"
}

@test "sync: what a registry lists and is no tag never becomes a path; the others are copied" {
	fakereg_start source
	A=$FAKEREG_ADDR
	images "$A/a" 1
	mkdir "$BATS_TEST_TMPDIR/out"
	list '{"version":1,"images":[{"source":"{A}/a","tags":["*"],"destination":"docker-archive:{T}/out/{name}-{tag}.tar"}]}'
	local odd
	for odd in '-o' 'x/../../escaped' '1@sha256:0000000000000000000000000000000000000000000000000000000000000000'; do
		fakereg_faults "$A" "odd-tag=$odd"
		dray_run sync --dry-run "$LIST"
		expect 0 "*no tag: left out*1 to be copied*"
		same "plan" "$output" "docker://$A/a:1 -> docker-archive:$BATS_TEST_TMPDIR/out/a-1.tar"
	done
	dray_run sync "$LIST"
	expect 0 '*1 copied*'
	same "files" "$(ls "$BATS_TEST_TMPDIR/out")" a-1.tar
	# The same in the list itself is the user's mistake.
	list '{"version":1,"images":[{"source":"{A}/a","tags":["../x"],"destination":"docker-archive:{T}/out/{name}-{tag}.tar"}]}'
	dray_run sync --dry-run "$LIST"
	expect 2 '*no tag*'
}
