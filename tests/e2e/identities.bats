#!/usr/bin/env bats
# docs/identities.md tells how to compute every identity by hand. Its recipes are run here, word for word, and held
# against the engine's truth and against dray.

load lib

setup() {
	verbs_setup
	require_peer tar sha256sum
	image_need sym
	cd "$BATS_TEST_TMPDIR"
	cp "$IMAGE" app.tar
	ln -s "$DRAY" dray
	PATH=$BATS_TEST_TMPDIR:$PATH
	recipe unpack >prologue
}

teardown() { peers_teardown; }

# recipe NAME: the text of the code block that follows its mark in the page.
recipe() {
	awk -v "name=$1" '
		$0 ~ "^<!-- (recipe|expected): " name "( \\(|\\) -->| -->)" { found = 1 }
		found && /^```$/ && inside { exit }
		inside { print }
		found && /^```/ { inside = 1 }' "$PEERS_TOP/docs/identities.md"
}

# follow NAME: runs it as a reader would, behind the unpacking. Sets output.
follow() {
	recipe "$1" >recipe
	[ -s recipe ] || {
		echo "no recipe $1 in docs/identities.md"
		return 1
	}
	rm -rf app
	run --separate-stderr sh -eu -c '. ./prologue; . ../recipe' recipes
	expect 0
}

# told JQ: what dray says about the archive, digests without their algorithm.
told() { "$DRAY" explain --json app.tar | jq -r ".images[0] | $1 | ltrimstr(\"sha256:\")"; }

# In the archive's folder as the page has it, but with the registry's address and the archive beside it.
pushed() {
	registry_start main plain
	"$DRAY" push -q app.tar "$REGISTRY_ADDR/demo/app:1"
	export registry=$REGISTRY_ADDR
}

@test "identities: every recipe of the page is run here" {
	local name
	for name in $(sed -n 's/^<!-- recipe: \([^ ]*\).*/\1/p' "$PEERS_TOP/docs/identities.md"); do
		grep -Eq "(follow|recipe|outside) $name( |\$)" "$BATS_TEST_FILENAME" || {
			echo "$name is not run"
			return 1
		}
	done
}

@test "identities: image ID" {
	follow image-id
	same "image ID" "sha256:$output" "$(docker_image_id test/sym:1)"
	same "dray's" "$(told .image_id)" "$output"
}

@test "identities: DiffIDs, through the link" {
	follow diff-ids
	same "DiffIDs" "$output" "$(docker_diff_ids test/sym:1 | sed 's/^sha256://')"
	same "dray's" "$(told '.layers[].diff_id')" "$output"
}

@test "identities: ChainIDs" {
	follow chain-ids
	same "ChainIDs" "$(sed 's/^sha256://' <<<"$output")" "$(told '.layers[].chain_id')"
	# The engine keeps its layers under them.
	local chain
	for chain in $output; do
		[ -d "$(dockerd_data_root)"/image/*/layerdb/sha256/"${chain#sha256:}" ]
	done
}

@test "identities: v1 IDs are the folders that docker save wrote" {
	follow v1-ids
	same "folders" "$output" "$(jq -r '.[0].Layers[]' app/manifest.json | cut -d / -f 1)"
	same "dray's" "$(told '.layers[].v1_id')" "$output"
}

@test "identities: the exact text of a lower layer's v1 ID" {
	local text folder=() chain
	tar -xf app.tar manifest.json
	mapfile -t folder < <(jq -r '.[0].Layers[]' manifest.json | cut -d / -f 1)
	chain=$("$DRAY" explain --json app.tar | jq -r '.images[0].layers[1].chain_id')
	text=$(sed -n 's/^{"container_config":.*/&/p' "$PEERS_TOP/docs/identities.md")
	text=${text/CHAIN/$chain}
	text=${text/PARENT/${folder[0]}}
	same "v1 ID" "$(printf '%s' "$text" | sha256sum | cut -d ' ' -f 1)" "${folder[1]}"
}

@test "identities: skopeo's layer ID is found in its archives, and known to dray" {
	require_peer skopeo
	follow skopeo-id
	image_need skopeo-docker
	tar -tf "$IMAGE" | grep -q "^$output/layer.tar"
	[[ $("$DRAY" explain "$output" "$IMAGE") == *"$output"* ]]
}

@test "identities: the layer that is a link has a twin, and a save of it does not repeat" {
	local link target
	follow twins
	link=$(find app -name layer.tar -type l)
	target=$(readlink -f "$link")
	same "twin" "${output#sha256:}" "$(sha256sum <"$target" | cut -d ' ' -f 1)"
	recipe save-twice >recipe
	docker() { "$PEER_DOCKER" "$@"; }
	local -a sums
	mapfile -t sums < <(. ./recipe)
	[ "${#sums[@]}" -eq 2 ]
	[ "${sums[0]}" != "${sums[1]}" ]
}

@test "identities: manifest and blob digests in a registry" {
	local manifest
	pushed
	recipe manifest-digest >>prologue
	same "manifest" "sha256:$(sh -eu -c '. ./prologue')" "$(registry_digest main demo/app 1)"
	manifest=$(remote_manifest "$REGISTRY_ADDR" demo/app 1)
	sed -i 's/^sha256sum .*//' prologue
	follow blob-digests
	same "blobs" "$output" "$(jq -r '.layers[].digest | ltrimstr("sha256:")' <<<"$manifest")"
	follow blob-diff-ids
	same "their DiffIDs" "$output" "$(told '.layers[].diff_id')"
	follow registry-image-id
	same "image ID" "$output" "$(docker_image_id test/sym:1)"
}

@test "identities: one image, two digests in two registries" {
	local -a ids
	pushed
	recipe two-digests >recipe
	run --separate-stderr sh -u -c '. ./recipe'
	mapfile -t ids < <(grep -v @ <<<"$output" | grep '^sha256:')
	same "image IDs" "${ids[0]}" "${ids[1]}"
	same "the engine's" "${ids[0]}" "$(docker_image_id test/sym:1)"
	[[ $output == *compression* ]]
	[ "$("$DRAY" digest "$REGISTRY_ADDR/one/app:1")" != "$("$DRAY" digest "$REGISTRY_ADDR/two/app:1")" ]
}

@test "identities: what skopeo drops is what the page says" {
	require_peer skopeo
	recipe skopeo-drops >recipe
	run --separate-stderr sh -eu -c '. ./prologue; cd ..; . ./recipe'
	expect 0
	same "dropped" "$(sort <<<"$output")" "$(recipe skopeo-drops-list | sort)"
}
