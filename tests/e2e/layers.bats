#!/usr/bin/env bats
# What a stack of layers means: random stacks against a model, overlayfs and umoci, and what a real build leaves.
# The rules are docs/layers.md; tests/layers/stacks.py and rootfs.py are their second author.

load lib

LAYERS=$PEERS_TOP/tests/layers

setup() { verbs_setup; }
teardown() { peers_teardown; }

# stacks ARG...: see tests/layers/stacks.py.
stacks() {
	PYTHONDONTWRITEBYTECODE=1 python3 "$LAYERS/stacks.py" "${DRAY_PLAIN:-$DRAY}" --tmpdir "$BATS_TEST_TMPDIR" "$@"
}

@test "500 random stacks are what the rules say, as export and as rootfs-id" {
	require_root
	stacks --count 500
}

@test "150 random stacks cut at random are the same, in layers that any reader takes" {
	require_root
	stacks --count 150 --first 500 --split 650
}

@test "60 random stacks are what overlayfs shows" {
	require_root
	mkdir -p "$BATS_TEST_TMPDIR/o/"{a,b,m}
	mount -t overlay overlay -o "ro,lowerdir=$BATS_TEST_TMPDIR/o/a:$BATS_TEST_TMPDIR/o/b" "$BATS_TEST_TMPDIR/o/m" ||
		skip "overlayfs can't be mounted here"
	umount "$BATS_TEST_TMPDIR/o/m"
	stacks --count 60 --first 1000 --overlay 1060
}

@test "random stacks are what umoci unpacks" {
	require_root
	require_peer umoci
	stacks --count 10 --first 2000 --umoci 2010
}

# rootfs_of PLACE: its rootfs id.
rootfs_of() {
	dray_run rootfs-id "$1"
	expect 0 || return 1
	ROOTFS=${output%% *}
}

# less_engine IN OUT: what an engine puts into a container goes, and the folders that it makes for it.
less_engine() {
	python3 - "$1" "$2" <<-'END'
		import sys, tarfile
		with tarfile.open(sys.argv[1]) as src, tarfile.open(sys.argv[2], "w", format=tarfile.PAX_FORMAT) as dst:
		    for m in src:
		        name = m.name.strip("/").removeprefix("./")
		        if name in ("", ".", "etc", ".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab") or \
		           name.split("/")[0] in ("dev", "proc", "sys"):
		            continue
		        dst.addfile(m, src.extractfile(m) if m.isreg() else None)
	END
}

# tar_id TAR: the rootfs id with times of one tar, as the other author reads it.
tar_id() { PYTHONDONTWRITEBYTECODE=1 python3 "$LAYERS/rootfs.py" --mtime "$1"; }

@test "a build full of tricks: export is what docker export shows; imports have the same rootfs id" {
	require_docker
	require_root
	require_peer podman
	local dir=$BATS_TEST_TMPDIR id
	image_need tricks
	dray_run export "$IMAGE" -o "$dir/ours.tar"
	expect 0
	docker create --name tricks test/tricks:1 /bin/true
	docker export -o "$dir/theirs.tar" tricks
	docker rm tricks
	less_engine "$dir/ours.tar" "$dir/ours-less.tar"
	less_engine "$dir/theirs.tar" "$dir/theirs-less.tar"
	same "the tree" "$(tar_id "$dir/ours-less.tar")" "$(tar_id "$dir/theirs-less.tar")"

	rootfs_of "$IMAGE"
	id=$ROOTFS
	docker import "$dir/ours.tar" tricks:import
	docker save -o "$dir/import.tar" tricks:import
	rootfs_of "$dir/import.tar"
	same "docker import" "$ROOTFS" "$id"
	podman import --quiet "$dir/ours.tar" tricks:import
	podman save --quiet -o "$dir/podman.tar" tricks:import
	rootfs_of "$dir/podman.tar"
	same "podman import" "$ROOTFS" "$id"
	docker rmi tricks:import
	podman rmi tricks:import
}
