#!/usr/bin/env bats
# Promises that a review found broken once: each of these failed before its fix.

load lib

setup() { verbs_setup; }
teardown() { peers_teardown; }

# make PYTHON: small images of two and three layers from the bricks of tests/must-fail, in $BATS_TEST_TMPDIR.
make() {
	PYTHONDONTWRITEBYTECODE=1 python3 - "$PEERS_TOP/tests/must-fail" "$BATS_TEST_TMPDIR" <<-END
		import sys
		sys.path.insert(0, sys.argv[1])
		from bricks import *
		out = sys.argv[2] + "/"
		$1
	END
}

platforms() {
	make 'o = Layout()
def at(arch, layers):
    return o.image(layers, config_value=config(layers, architecture=arch), platform={"os": "linux", "architecture": arch})
o.roots = [o.document(o.index([at("amd64", (BASE, APP)), at("arm64", (APP, TOP))]), OCI_INDEX,
                      annotations={"org.opencontainers.image.ref.name": "multi"})]
o.write(out + "multi")'
}

@test "verify: every platform of an index on a registry is held against its own layers" {
	require_peer skopeo
	platforms
	registry_start main plain
	skopeo copy --quiet --all --dest-tls-verify=false "oci:$BATS_TEST_TMPDIR/multi:multi" "docker://$REGISTRY_ADDR/m:1"
	dray_run verify --all --json "docker://$REGISTRY_ADDR/m:1"
	expect 0
	same "images" "$(jq '.images | length' <<<"$output")" 2
	dray_run verify --platform linux/arm64 --json "docker://$REGISTRY_ADDR/m:1"
	expect 0
	same "platforms" "$(jq -r '.images[].platform' <<<"$output")" linux/arm64
}

@test "copy: an index of several platforms is copied whole when asked for, else one image of it" {
	platforms
	want=$(jq -r '.manifests[0].digest' "$BATS_TEST_TMPDIR/multi/index.json")
	dray_run copy --all-platforms "oci:$BATS_TEST_TMPDIR/multi:multi" "oci:$BATS_TEST_TMPDIR/all:x"
	ok
	same "index digest" "$DIGEST" "$want"
	dray_run copy --platform linux/arm64 "oci:$BATS_TEST_TMPDIR/multi:multi" "oci:$BATS_TEST_TMPDIR/out:x"
	ok
	[ "$DIGEST" != "$want" ]
}

@test "copy: two images that claim one tag are refused" {
	make 's = Save(); t = Save((BASE, TOP))
one, two = json.loads(s.manifest_json())[0], json.loads(t.manifest_json())[0]
two["Layers"] = [n.replace("/layer.tar", "-2/layer.tar") for n in two["Layers"]]
parts = s.stored + [member(n, d) for n, d in zip(two["Layers"], t.layers)]
parts += [member(e["Config"], x.config) for e, x in ((one, s), (two, t))]
open(out + "twin.tar", "wb").write(tar(*parts, member("manifest.json", compact([one, two]))))'
	dray_run copy --all "$BATS_TEST_TMPDIR/twin.tar" "oci:$BATS_TEST_TMPDIR/out"
	expect 6 '*two images have the tag test/hostile:1*'
	[ ! -e "$BATS_TEST_TMPDIR/out" ]
	dray_run copy --image @1 "$BATS_TEST_TMPDIR/twin.tar" "oci:$BATS_TEST_TMPDIR/out"
	ok
}

@test "M-13: a digest in a member's name vouches for nothing: the DiffID decides, from a file as from a pipe" {
	make 's = Save()
z = gzip_member(TOP)
s.stored[1] = member("blobs/sha256/" + sha(z), z)
s.layer_paths = [s.names[0], "blobs/sha256/" + sha(z)]
open(out + "liar.tar", "wb").write(s.bytes())'
	dray_run copy "$BATS_TEST_TMPDIR/liar.tar" "oci:$BATS_TEST_TMPDIR/out"
	expect 6 '*DiffID*'
	dray_piped "$BATS_TEST_TMPDIR/liar.tar" copy - "oci:$BATS_TEST_TMPDIR/out"
	expect 6 '*DiffID*'
	[ ! -e "$BATS_TEST_TMPDIR/out" ]
}

@test "M-06: verify is never ok for a digest that it did not compute" {
	make 's = Save(config_value=config((BASE, APP), rootfs={"type": "layers", "diff_ids": ["sha512:" + "0" * 128] * 2}))
open(out + "other.tar", "wb").write(s.bytes())'
	dray_run verify --json "$BATS_TEST_TMPDIR/other.tar"
	expect 1
	same "codes" "$(jq -r '.problems[].code' <<<"$output" | sort -u)" digest-unchecked
}

@test "N-01: --creds of a copy between registries are the destination's alone" {
	require_peer skopeo
	platforms
	fakereg_start source --bind 127.0.0.2 --auth basic --user other --password other
	local source=$FAKEREG_ADDR
	fakereg_start target --auth basic --user me --password secret
	dray_run copy --plain-http --creds me:secret "docker://$source/a:1" "docker://$FAKEREG_ADDR/b:1"
	expect 4
	absent "credentials at the source" "$(fakereg_requests "$source" 'select(.headers.authorization) | .headers.authorization')"
	dray_run push --creds me:secret "oci:$BATS_TEST_TMPDIR/multi"
	expect 2 '*--creds*'
}

@test "cache: what a registry merely claims never reaches another repository" {
	make 'evil = Layout()
evil.roots = [evil.image((BASE, APP), stored=[gzip_member(BASE), gzip_member(TOP)],
                         annotations={"org.opencontainers.image.ref.name": "1"})]
evil.write(out + "evil")
open(out + "good.tar", "wb").write(Save().bytes())'
	registry_start main plain
	dray_run copy "oci:$BATS_TEST_TMPDIR/evil:1" "docker://$REGISTRY_ADDR/evil/x:1"
	ok
	# By their names no layers of this archive are known, so let it name them by DiffID.
	make 's = Save()
s.names = [sha(l) + "/layer.tar" for l in s.layers]
s.stored = [member(n, d) for n, d in zip(s.names, s.layers)]
open(out + "named.tar", "wb").write(s.bytes())'
	dray_piped "$BATS_TEST_TMPDIR/named.tar" push - "$REGISTRY_ADDR/evil/x:1"
	ok
	dray_run push "$BATS_TEST_TMPDIR/good.tar" "$REGISTRY_ADDR/clean/y:1"
	ok
	dray_run verify "docker://$REGISTRY_ADDR/clean/y:1"
	expect 0
}

@test "copy: layers and config mount from the source's own repository, and --no-clobber holds on registries" {
	fakereg_start main
	make 'open(out + "good.tar", "wb").write(Save().bytes())'
	dray_run push "$BATS_TEST_TMPDIR/good.tar" "$FAKEREG_ADDR/from/a:1"
	ok
	fakereg_forget "$FAKEREG_ADDR"
	XDG_CACHE_HOME=$BATS_TEST_TMPDIR/other dray_run copy "docker://$FAKEREG_ADDR/from/a:1" "docker://$FAKEREG_ADDR/to/b:1"
	ok
	same "mounts" "$(fakereg_requests "$FAKEREG_ADDR" 'select(.method == "POST" and (.query | contains("mount="))) | .n' | wc -l)" 3
	dray_run copy --no-clobber "docker://$FAKEREG_ADDR/from/a:1" "docker://$FAKEREG_ADDR/to/b:1"
	expect 2 '*exists already*'
	dray_run copy --no-clobber "docker://$FAKEREG_ADDR/from/a:1" "docker://$FAKEREG_ADDR/to/b:2"
	ok
}

@test "verify: a blob that a registry lacks is a finding" {
	fakereg_start main --no-verify-refs
	make 'open(out + "good.tar", "wb").write(Save().bytes())'
	dray_run push "$BATS_TEST_TMPDIR/good.tar" "$FAKEREG_ADDR/a:1"
	ok
	local layer
	layer=$(remote_manifest "$FAKEREG_ADDR" a 1 | jq -r '.layers[1].digest')
	curl -sS --noproxy '*' -f -o /dev/null -X DELETE "http://$FAKEREG_ADDR/v2/a/blobs/$layer"
	dray_run verify --json "docker://$FAKEREG_ADDR/a:1"
	expect 1
	same "codes" "$(jq -r '.problems[].code' <<<"$output")" layer-missing
}

@test "layouts: a damaged blob of the right size is replaced by proven bytes" {
	make 'open(out + "good.tar", "wb").write(Save().bytes())'
	dray_run copy "$BATS_TEST_TMPDIR/good.tar" "oci:$BATS_TEST_TMPDIR/out:1"
	ok
	local blob
	blob=$BATS_TEST_TMPDIR/out/blobs/sha256/$(jq -r '.manifests[0].digest' "$BATS_TEST_TMPDIR/out/index.json" | cut -d : -f 2)
	blob=$BATS_TEST_TMPDIR/out/blobs/sha256/$(jq -r '.layers[0].digest' "$blob" | cut -d : -f 2)
	printf 'X' | dd of="$blob" bs=1 seek=30 conv=notrunc status=none
	dray_run verify "oci:$BATS_TEST_TMPDIR/out:1"
	expect 1
	dray_run copy "$BATS_TEST_TMPDIR/good.tar" "oci:$BATS_TEST_TMPDIR/out:1"
	ok
	dray_run verify "oci:$BATS_TEST_TMPDIR/out:1"
	expect 0
}
