#!/usr/bin/env bats
# What build makes, by the specification and by those who read it.

load build

setup() { build_setup; }
teardown() { peers_teardown; }

# makes LAYOUT: images of all sorts as tags of one layout.
makes() {
	local to=$1
	mkdir -p app/sub
	echo text >app/sub/text
	ln app/sub/text app/hard
	ln -s sub/text app/link
	build --env A=b -o "oci:$to:nothing"
	build --dir app:/srv --name made/peers -o "oci:$to:plain"
	build --strategy per-source --dir app:/srv --dir app:/opt --user 7:8 --env K=v --label a=b --expose 80/tcp --volume /v \
		--workdir /srv --stop-signal SIGINT --annotation note=here --entrypoint '["/srv/x"]' --cmd y \
		--created 2026-01-15T00:00:00Z --compression gzip -o "oci:$to:full"
	build --dir app:/srv --compression zstd -o "oci:$to:zstd"
	build --dir app:/srv --compression none -o "oci:$to:none"
	build --platform linux/arm/v7 --dir app:/srv -o "oci:$to:arm"
	build --from "oci:$to:full" --dir app:/more --env B=c -o "oci:$to:on"
}

@test "documents of built images keep to image-spec: manifest, config, index, layout" {
	python3 -c 'import jsonschema' 2>/dev/null || skip "no python3-jsonschema"
	makes "$T/layout"
	python3 "$PEERS_TOP/tests/e2e/build/oci_schema.py" layout
	same tags "$(layout_tags layout | sort | tr '\n' ' ')" "arm full none nothing on plain zstd "
	# An archive is a layout, too.
	build --dir app:/srv --name made/peers:1 -o out.tar
	mkdir unpacked
	tar xf out.tar -C unpacked
	python3 "$PEERS_TOP/tests/e2e/build/oci_schema.py" unpacked
}

@test "skopeo inspects them all, umoci unpacks what it knows: the same files" {
	require_peer skopeo umoci
	makes "$T/layout"
	for tag in nothing plain full zstd none on; do
		same "$tag" "$(skopeo inspect --config "oci:$T/layout:$tag" | jq -r '.rootfs.diff_ids[]')" "$(layers "oci:layout:$tag")"
	done
	skopeo inspect "oci:$T/layout:full" | jq -e '.Labels.a == "b" and (.Env | index("K=v") != null)'
	for tag in nothing plain full none on; do
		umoci unpack --rootless --image "layout:$tag" "bundle-$tag" >/dev/null
		mkdir "mine-$tag"
		"$DRAY" export "oci:layout:$tag" 2>/dev/null | tar x -C "mine-$tag"
		diff -r --no-dereference "bundle-$tag/rootfs" "mine-$tag"
	done
	same links "$(stat -c %h bundle-plain/rootfs/srv/hard)" 2
}

@test "each item of the acceptance list has a test that carries its number" {
	python3 - "$PEERS_TOP/tests/e2e/build" <<-'EOF_PY'
		import glob, re, sys
		have = set()
		for f in glob.glob(sys.argv[1] + "/*.bats"):
		    for said in re.findall(r'^@test "item ([-0-9, ]+):', open(f).read(), re.M):
		        for part in said.split(","):
		            first, _, last = part.strip().partition("-")
		            have |= set(range(int(first), int(last or first) + 1))
		missing = sorted(set(range(1, 61)) - have)
		assert not missing, missing
	EOF_PY
}
