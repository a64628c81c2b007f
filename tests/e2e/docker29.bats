#!/usr/bin/env bats
# Docker 29, whose images are in containerd's store unless it is told to keep them in a storage driver, as before: what it
# saves is read, what dray writes it loads, through its socket, from its disk and as a client of serve.
#
# "store" is an engine as a new installation has it, "graph" one with overlay2.

load lib

# 20.10's images and archives are what 29's are held against.
setup_file() {
	[ -x "$DRAY_TEST_DOCKERD/dockerd" ] && [ "$(id -u)" -eq 0 ] || return 0
	newer_start graph --storage-driver overlay2
	newer_start store
}
teardown_file() { peers_teardown; }

setup() {
	verbs_setup
	require_newer
	image_need sym
	SYM=$IMAGE
	cd "$BATS_TEST_TMPDIR"
}
teardown() {
	local name
	for name in graph store; do
		newer_ready "$name" && newer "$name" empty
	done
	peers_teardown
}

# No image is left for the next test.
empty() {
	local id
	for id in $(docker images -aq --no-trunc | sort -u); do docker rmi -f "$id"; done >/dev/null
}

# canonical PLACE: the canonical archive's digest.
canonical() { "$DRAY" normalize -q "$1" -o canonical.tar >/dev/null && sha256sum <canonical.tar; }

# loads FILE NAME [LINE]: the engine takes it, and the image of that name runs.
loads() {
	run docker load -i "$1"
	[ "$status" -eq 0 ] && [[ $output == *"Loaded image: $2"* ]] || {
		echo "docker load of $1: $output"
		return 1
	}
	same "docker run $2" "$(docker_run "$2")" "${3:-$SYM_LINE}"
}

@test "docker 29: the versions and stores that these tests mean" {
	same "graph" "$(newer graph docker info -f '{{.Driver}}')" overlay2
	same "store" "$(newer store docker info -f '{{.Driver}}')" overlayfs
}
