#!/usr/bin/env bats
# verify: whole images pass, one wrong bit anywhere does not.

# `run` sets stderr.
# shellcheck disable=SC2154
load lib

setup() { verbs_setup; }
teardown() { peers_teardown; }

# finding CODE [WHERE]: exit 1 and a problem with this code, expected and actual, in JSON.
finding() {
	expect 1 || return 1
	jq -e --arg c "$1" '.ok == false and any(.problems[]; .code == $c and .expected != .actual and
		has("where") and has("expected") and has("actual") and (.message | length > 0))' <<<"$output" >/dev/null || {
		jq -c .problems <<<"$output"
		return 1
	}
}

@test "verify: what every producer wrote is sound, from file and pipe" {
	require_peer skopeo podman buildah ctr
	for name in sym tags untagged multi big podman-docker podman-oci podman-multi skopeo-docker skopeo-oci buildah-docker \
		buildah-oci ctr-oci; do
		image_need "$name"
		dray_run verify --all --json "$IMAGE"
		expect 0
		jq -e '.ok and .problems == [] and (.images | length > 0)' <<<"$output"
		dray_piped "$IMAGE" verify --all --json -
		expect 0
		jq -e '.ok and .problems == [] and (.images | length > 0)' <<<"$output"
	done
	image_need skopeo-layout
	dray_run verify "$IMAGE"
	expect 0
	[[ $output == *ok* ]]
	registry_start main plain
	"$DRAY" push -q "$IMAGE" "$REGISTRY_ADDR/v/x:1"
	dray_run verify --json "$REGISTRY_ADDR/v/x:1"
	expect 0
	jq -e .ok <<<"$output"
	gzip -c "$(image_path sym)" >"$BATS_TEST_TMPDIR/sym.tgz"
	dray_run verify "$BATS_TEST_TMPDIR/sym.tgz"
	expect 0
}

@test "verify: a wrong byte in a layer of a docker archive" {
	image_need sym
	diff_id=$(docker_diff_ids test/sym:1 | head -n 1)
	for offset in 0 700 1234567 1984511; do
		archive_flip "$IMAGE" "$BATS_TEST_TMPDIR/flip.tar" "$offset"
		dray_run verify --json "$BATS_TEST_TMPDIR/flip.tar"
		finding diff-id-mismatch
		dray_piped "$BATS_TEST_TMPDIR/flip.tar" verify --json -
		finding diff-id-mismatch
	done
	same "expected" "$(jq -r '.problems[0].expected' <<<"$output")" "$diff_id"
	actual=$(tar xOf "$BATS_TEST_TMPDIR/flip.tar" "$(jq -r '.images[0].layers[0].path' <<<"$output")" | sha256sum | cut -d ' ' -f 1)
	same "actual" "$(jq -r '.problems[0].actual' <<<"$output")" "sha256:$actual"
	dray_run verify "$BATS_TEST_TMPDIR/flip.tar"
	expect 1
	[[ $output == *"$diff_id"* ]]
}

@test "verify: a wrong byte in the layer that a link leads to is found in both" {
	image_need sym
	target=$(tar tvf "$IMAGE" | sed -n 's,.* -> \.\./,,p')
	archive_flip "$IMAGE" "$BATS_TEST_TMPDIR/flip.tar" 600 "$target"
	dray_run verify --json "$BATS_TEST_TMPDIR/flip.tar"
	finding diff-id-mismatch
}

@test "verify: layers short, long and swapped" {
	image_need sym
	for edit in "data = data[:-512]" "data = data + b'\\0' * 512" "data = data[:-1]"; do
		archive_edit "$IMAGE" "$BATS_TEST_TMPDIR/edit.tar" "
if member.isreg() and len(data) > 1000000: $edit"
		dray_run verify --json "$BATS_TEST_TMPDIR/edit.tar"
		finding diff-id-mismatch
	done
	# manifest.json lists the layers in another order.
	archive_edit "$IMAGE" "$BATS_TEST_TMPDIR/swap.tar" "
import json
if member.name == 'manifest.json':
    doc = json.loads(data)
    doc[0]['Layers'][1:3] = doc[0]['Layers'][2:0:-1]
    data = json.dumps(doc).encode()"
	dray_run verify --json "$BATS_TEST_TMPDIR/swap.tar"
	finding diff-id-mismatch
	# One layer fewer than DiffIDs.
	archive_edit "$IMAGE" "$BATS_TEST_TMPDIR/fewer.tar" "
import json
if member.name == 'manifest.json':
    doc = json.loads(data)
    doc[0]['Layers'].pop()
    data = json.dumps(doc).encode()"
	dray_run verify --json "$BATS_TEST_TMPDIR/fewer.tar"
	[ "$status" -eq 1 ] || [ "$status" -eq 6 ]
}

@test "verify: a config that was edited by hand keeps its file name: a problem, and a warning to the others" {
	image_need sym
	archive_edit "$IMAGE" "$BATS_TEST_TMPDIR/edited.tar" "
if member.name.endswith('.json') and len(member.name) > 60:
    data = data.replace(b'hello from dray', b'hullo from dray')"
	dray_run verify --json "$BATS_TEST_TMPDIR/edited.tar"
	expect 1
	jq -e '.ok == false and (.problems | length) == 1' <<<"$output"
	dray_run explain --json "$BATS_TEST_TMPDIR/edited.tar"
	expect 0
	jq -e '.warnings | length >= 1' <<<"$output"
	docker load -q -i "$BATS_TEST_TMPDIR/edited.tar"
	docker load -q -i "$IMAGE" # its name is this one's again, for who comes next
}

@test "verify: M-02 each blob of a layout damaged in turn" {
	image_need skopeo-layout
	for blob in "$IMAGE"/blobs/sha256/*; do
		for harm in first last cut more gone; do
			rm -rf "$BATS_TEST_TMPDIR/l"
			cp -a "$IMAGE" "$BATS_TEST_TMPDIR/l"
			python3 - "$BATS_TEST_TMPDIR/l/blobs/sha256/${blob##*/}" "$harm" <<-'EOF_PYTHON'
				import os, sys
				path, harm = sys.argv[1:]
				data = bytearray(open(path, "rb").read())
				if harm == "first": data[0] ^= 1
				if harm == "last": data[-1] ^= 128
				if harm == "cut": data.pop()
				if harm == "more": data.append(0)
				open(path, "wb").write(data)
				if harm == "gone": os.unlink(path)
			EOF_PYTHON
			dray_run verify --json "$BATS_TEST_TMPDIR/l"
			# A document that cannot be trusted leaves nothing to verify.
			[ "$status" -eq 1 ] || [ "$status" -eq 6 ] || { [ "$harm" = gone ] && [ "$status" -eq 3 ]; } || {
				printf '%s of %s: status %s\n%s\n' "$harm" "$blob" "$status" "$output"
				false
			}
			[[ $output$stderr == *"${blob##*/}"* ]] || {
				printf '%s of %s is not named: %s %s\n' "$harm" "$blob" "$output" "$stderr"
				false
			}
			dray_run copy "$BATS_TEST_TMPDIR/l" "oci-archive:$BATS_TEST_TMPDIR/out.tar"
			[ "$status" -ne 0 ]
			[ ! -e "$BATS_TEST_TMPDIR/out.tar" ]
		done
	done
}

# flip_blob IN OUT DIGEST [OFFSET]: one bit of a blob of an archive.
flip_blob() { archive_flip "$1" "$2" "${4:-10}" "^blobs/sha256/${3#sha256:}\$"; }

@test "verify: M-02 M-04 a damaged manifest of an archive that has manifest.json too" {
	image_need sym
	local file=$BATS_TEST_TMPDIR/one.tar bad=$BATS_TEST_TMPDIR/bad.tar manifest
	"$DRAY" copy -q "$IMAGE" "$file"
	dray_run verify --json "$file"
	expect 0
	manifest=$(jq -r '.images[0].manifest_digest' <<<"$output")
	flip_blob "$file" "$bad" "$manifest"
	dray_run verify --json "$bad"
	finding blob-digest-differs
	same "expected" "$(jq -c '[.problems[].expected]' <<<"$output")" "[\"$manifest\"]"
	[[ $output == *"blobs/sha256/${manifest#sha256:}"* ]]
	[[ $output != *"not in the archive"* ]]
	dray_piped "$bad" verify --json -
	finding blob-digest-differs
	dray_run images --json "$bad"
	expect 0
	jq -e 'any(.warnings[]; .message | contains("damaged"))' <<<"$output"
	dray_run copy "$bad" "oci:$BATS_TEST_TMPDIR/l"
	expect 6 "*${manifest#sha256:}*"
	[ ! -e "$BATS_TEST_TMPDIR/l" ]
	dray_run flatten "$bad" -o "$BATS_TEST_TMPDIR/flat.tar"
	expect 6
	# One that is not there is no damage: manifest.json tells all that is needed.
	archive_edit "$file" "$bad" "keep = not member.name.endswith('${manifest#sha256:}')"
	dray_run verify --json "$bad"
	expect 0
	jq -e 'any(.warnings[]; .message | contains("not in the archive"))' <<<"$output"
	dray_run copy "$bad" "oci:$BATS_TEST_TMPDIR/l"
	expect 0
}

@test "verify: all platforms of an archive with manifest.json, and of a tag, are looked at" {
	local file=$BATS_TEST_TMPDIR/a.tar bad=$BATS_TEST_TMPDIR/bad.tar layout=$BATS_TEST_TMPDIR/g manifest layer index
	graph g --nested
	"$DRAY" copy -q "oci:$layout:multi" "$file" --all-platforms
	dray_run verify --json "$file"
	expect 0
	jq -e '.ok and ([.images[].platform] | index("linux/arm64/v8") and index("linux/amd64"))' <<<"$output"
	jq -e '([.images[].manifest_digest] | length == (unique | length))' <<<"$output"
	manifest=$(jq -r '.images[] | select(.platform == "linux/arm64/v8").manifest_digest' <<<"$output")
	layer=$(jq -r '.images[] | select(.platform == "linux/arm64/v8").layers[1].blob_digest' <<<"$output")
	index=$(jq -r '.images[] | select(.platform == "linux/arm64/v8").index_digest' <<<"$output")
	flip_blob "$file" "$bad" "$layer" 40
	dray_run verify --json "$bad"
	finding blob-digest-mismatch
	dray_piped "$bad" verify --json -
	finding blob-digest-mismatch
	for blob in "$manifest" "$index"; do
		flip_blob "$file" "$bad" "$blob"
		dray_run verify --json "$bad"
		finding blob-digest-differs
		[[ $output == *"${blob#sha256:}"* ]]
	done
	# One platform is one platform, and what is not here at all is no damage.
	flip_blob "$file" "$bad" "$layer" 40
	dray_run verify --json --platform linux/amd64 "$bad"
	expect 0
	archive_edit "$file" "$bad" "keep = not member.name.endswith('${layer#sha256:}')"
	dray_run verify --json "$bad"
	expect 0
	jq -e 'any(.warnings[]; .message | contains("not in the archive"))' <<<"$output"
	# A tag's index: the other platforms' layers and manifests too.
	dray_run verify --json "oci:$layout:multi"
	expect 0
	for blob in "$layer" "$manifest"; do
		cp -a "$layout" "$BATS_TEST_TMPDIR/l"
		printf x | dd of="$BATS_TEST_TMPDIR/l/blobs/sha256/${blob#sha256:}" bs=1 seek=40 conv=notrunc status=none
		dray_run verify --json "oci:$BATS_TEST_TMPDIR/l:multi"
		expect 1
		[[ $output == *"${blob#sha256:}"* ]]
		dray_run verify --json --platform linux/amd64 "oci:$BATS_TEST_TMPDIR/l:multi"
		expect 0
		rm -r "$BATS_TEST_TMPDIR/l"
	done
}

@test "verify: a blob that lies on the registry's disk with a wrong byte" {
	image_need sym
	registry_start main plain
	"$DRAY" push -q "$IMAGE" "$REGISTRY_ADDR/v/x:1"
	layer=$(remote_manifest "$REGISTRY_ADDR" v/x 1 | jq -r '.layers[0].digest')
	data=$(registry_storage main)/docker/registry/v2/blobs/sha256/${layer:7:2}/${layer#*:}/data
	python3 -c '
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(5000); b = f.read(1)[0]; f.seek(5000); f.write(bytes([b ^ 4]))' "$data"
	dray_run verify --json "$REGISTRY_ADDR/v/x:1"
	expect 1
	jq -e --arg l "$layer" '.ok == false and any(.problems[]; .expected == $l)' <<<"$output"
	dray_run copy "$REGISTRY_ADDR/v/x:1" "oci:$BATS_TEST_TMPDIR/l"
	expect 6
	[ ! -e "$BATS_TEST_TMPDIR/l" ]
}

@test "verify: not an image at all is 6" {
	image_need sym
	echo text >"$BATS_TEST_TMPDIR/text"
	tar cf "$BATS_TEST_TMPDIR/other.tar" -C "$BATS_TEST_TMPDIR" text
	head -c 900000 "$IMAGE" >"$BATS_TEST_TMPDIR/cut.tar"
	: >"$BATS_TEST_TMPDIR/empty"
	for file in text other.tar cut.tar empty; do
		dray_run verify "$BATS_TEST_TMPDIR/$file"
		expect 6
		dray_piped "$BATS_TEST_TMPDIR/$file" verify -
		expect 6
	done
	dray_run verify --json "$BATS_TEST_TMPDIR/cut.tar"
	expect 6
	jq -e '.error.code | IN("format", "integrity")' <<<"$output"
	dray_run verify "$BATS_TEST_TMPDIR/none"
	[ "$status" -eq 3 ] || [ "$status" -eq 5 ]
}
