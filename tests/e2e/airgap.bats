#!/usr/bin/env bats
# docs/air-gap.md goes from one engine to another that shares nothing with it. Its commands are run here, word for word and
# in its order; what they print is held against the page, but for digests, keys, times and sizes.

load lib

PAGE=$PEERS_TOP/docs/air-gap.md

setup() {
	verbs_setup
	require_root
	require_peer gpg gpgconf podman tar
	image_need sym
	registry_start main plain
	cd "$BATS_TEST_TMPDIR"
	ln -s "$DRAY" dray
	mkdir -m 0700 here there
}

teardown() {
	local side
	for side in here there; do
		GNUPGHOME=$BATS_TEST_TMPDIR/$side gpgconf --kill gpg-agent
	done
	podman rmi docker.io/library/app:1 docker.io/library/app:2 2>/dev/null
	docker rmi app:1 2>/dev/null
	peers_teardown
}

# block KIND NAME: the code that follows its mark in the page.
block() {
	awk -v "mark=$1: $2" '
		$0 ~ "^<!-- " mark "( \\(|[ ]-->)" { found = 1 }
		found && /^```$/ && inside { exit }
		inside { print }
		found && /^```/ { inside = 1 }' "$PAGE"
}

# A second engine: its own data root, its own socket.
engine_there() {
	export THERE=unix://$PEERS_DIR/there.sock
	peer_spawn dockerd-there env -u DOCKER_HOST PATH="$PATH:/usr/sbin:/sbin" \
		dockerd --iptables=false --ip6tables=false --bridge=none \
		--data-root "$PEERS_DIR/docker-there" --exec-root "$PEERS_DIR/exec-there" \
		--pidfile "$PEERS_DIR/there.pid" --host "$THERE" --group "$(id -gn)"
	wait_until 180 env DOCKER_HOST="$THERE" "$PEER_DOCKER" version >/dev/null 2>&1 || {
		peer_log dockerd-there
		return 1
	}
	absent "images there" "$(DOCKER_HOST=$THERE docker images -q)"
}

# What differs from run to run. Of gpg's own words only the verdict counts.
masked() {
	sed -E -e '/^gpg: /{/Good signature/!d}' -e '/^Primary key fingerprint/d' \
		-e "s#$REGISTRY_ADDR#localhost:5000#g" \
		-e 's/\b[0-9a-f]{64}\b/HEX/g' -e 's/\b([0-9A-F]{40}|[0-9A-F]{16})\b/KEY/g' \
		-e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]+Z/TIME/g' \
		-e 's/[0-9.]+ [kM]?B checked/SIZE checked/' -e 's/[0-9.]+ [kM]?B (in the delta)/SIZE \1/' \
		-e 's/(the image has) [0-9.]+ [kM]?B/\1 SIZE/'
}

# follow NAME: as a reader of that side would.
follow() {
	local side host=$DOCKER_HOST
	side=$(sed -n "s/^<!-- recipe: $1 (\(.*\)) -->/\1/p" "$PAGE")
	[ "$side" = here ] || host=$THERE
	block recipe "$1" >recipe
	[ -s recipe ] || {
		echo "no recipe $1 in the page"
		return 1
	}
	# The engine's own CLI, and gpg with the keys of that side.
	# shellcheck disable=SC2016
	run env DOCKER_HOST="$host" GNUPGHOME="$PWD/$side" PATH="$PWD:$PATH" registry="$REGISTRY_ADDR" \
		bash -euo pipefail -c 'docker() { "$PEER_DOCKER" "$@"; }; . ./recipe'
	[ "$status" -eq 0 ] || {
		echo "$1: status $status: $output"
		return 1
	}
	printf '%s\n' "$output" >"printed.$1"
	same "$1 prints" "$(masked <"printed.$1")" "$(block expected "$1" | masked)"
}

@test "air gap: the whole way of the page, between two engines" {
	local name
	docker tag test/sym:1 app:1
	GNUPGHOME=$PWD/here gpg --batch --quiet --passphrase '' \
		--quick-gen-key 'Release <release@example.com>' ed25519 sign never
	engine_there
	for name in $(sed -n 's/^<!-- recipe: \([^ ]*\).*/\1/p' "$PAGE"); do
		if [ "$name" = refuse ]; then
			archive_flip app.tar flipped.tar 10000
			echo other | GNUPGHOME=$PWD/here gpg --batch --quiet --detach-sign --output other.sig
		fi
		if [ "$name" = update ]; then
			echo news >news
			tar -cf news.tar news
			"$DRAY" append -q app.tar news.tar -o docker-archive:app2.tar:app:2
		fi
		follow "$name"
	done
	# Two engines, one image.
	same "image ID" "$(DOCKER_HOST=$THERE docker image inspect --format '{{.Id}}' app:1)" "$(docker_image_id test/sym:1)"
	# What was signed is one file, whoever is asked.
	for name in app.tar pulled.tar app.canonical.tar "$REGISTRY_ADDR/team/app:1"; do
		"$DRAY" normalize -q --untagged "$name" -o - | cmp - app.untagged.tar
	done
}
