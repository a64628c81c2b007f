# shellcheck shell=bash
# The rows of script/bench about building: one folder of 40,000 files (bench/tree.py) to archives and registries.
#
# Relies on: script/bench, which sources this: timed, record, fresh, work, dir.
# Promises: what each tool wrote is checked, outside of the time: digests by dray verify, in the first run each file.

# shellcheck disable=SC2154,SC2153,SC2034 # dir, work, top: of script/bench; ADDR, SERVER: of rows_serve.bash
tree=$dir/tree
BUILD=("$DRAY" build -q --from scratch --name bench/tree --tag 1 --dir "$tree:/")

# As many layers as dray makes of it.
build_layers() {
	[ -f "$work/build-layers" ] ||
		"${BUILD[@]}" --plan --json | jq '.layers | length' >"$work/build-layers"
	cat "$work/build-layers"
}

# same_files IMAGE: it holds the tree, every byte of it. Owners, times and modes are the builder's.
same_files() {
	local odd
	odd=$("$DRAY" export -q "$1" "${@:2}" | tar -d -f - -C "$tree" 2>&1 | grep -vE ': (Uid|Gid|Mod time|Mode) differs$' || :)
	[ -z "$odd" ] || die "$1: $(head -n 1 <<<"$odd")"
	[ "$("$DRAY" files "$1" "${@:2}" | wc -l)" -ge "$(find "$tree" ! -type d | wc -l)" ] || die "$1: files are missing"
}

# built ROW TOOL RUN IMAGE [OPTION...]: check what was made.
built() {
	"$DRAY" verify -q "${@:4}" >/dev/null || die "$1 $2: not what it should be"
	[ "$3" -gt 1 ] || same_files "${@:4}"
}

# buildah keeps a copy of its own, beside the corpus, and is given nothing to remember.
buildah_of() {
	# shellcheck disable=SC2016
	timed "${@:1:3}" sh -ec 'c=$(buildah from scratch)
		buildah copy --quiet "$c" "$1" / >/dev/null
		buildah commit --quiet --rm --tls-verify=false $3 "$c" "$2" >/dev/null' - "$tree" "$4" "${5-}"
	buildah rmi --all --force >/dev/null 2>&1 || :
}

# To an archive with plain layers, which is on the disk at the end: dray always sees to that.
row_build() {
	local out=$work/built.tar
	case $2 in
	dray) timed "$@" "${BUILD[@]}" --compression none -o "$out" ;;
	standin)
		# shellcheck disable=SC2016
		timed "$@" sh -c 'python3 "$1" "$2" "$3" >"$4" && sync "$4"' - "$top/bench/standin_stream.py" "$tree" "$(build_layers)" "$out"
		;;
	buildah) buildah_of "$@" "oci-archive:$out:bench/tree:1" --disable-compression=true ;;
	esac
	[ -z "$SECS" ] || { built "$@" "$out" && record "$@" "$(size_of "$out")"; }
	rm -f "$out"
}

# A bundle that has all files already; what is measured is how umoci finds and packs them.
umoci_bundle() {
	rm -rf "$work/umoci" "$work/bundle"
	umoci init --layout "$work/umoci"
	umoci new --image "$work/umoci:t"
	umoci unpack --image "$work/umoci:t" "$work/bundle" 2>/dev/null
	cp -a --reflink=auto "$tree/." "$work/bundle/rootfs"
}

# With gzip layers. tar's is one layer; both of its digests are computed beside.
row_build_gzip() {
	local out=$work/built.tar image
	image=$out
	case $2 in
	dray) timed "$@" "${BUILD[@]}" --compression gzip -o "$out" ;;
	tar)
		# shellcheck disable=SC2016
		timed "$@" bash -o pipefail -c 'tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1 -C "$1" -c . |
			tee >(sha256sum >"$2.diffid") | gzip -1 | tee "$2" | sha256sum >"$2.digest" && sync "$2"' - "$tree" "$out"
		image=
		;;
	buildah) buildah_of "$@" "oci-archive:$out:bench/tree:1" --disable-compression=false ;;
	umoci)
		umoci_bundle
		timed "$@" umoci repack --image "$work/umoci:t" "$work/bundle"
		rm -rf "$work/bundle"
		image=oci:$work/umoci:t out=$work/umoci
		;;
	esac
	[ -z "$SECS" ] || {
		[ -n "$image" ] || gzip -dc "$out" | sha256sum | cmp -s - "$out.diffid" || die "tar: another tar came out"
		[ -z "$image" ] || built "$@" "$image"
		record "$@" "$(size_of "$out")"
	}
	rm -rf "$out" "$out".*
}

# build_push ROW TOOL RUN REGISTRY: each tool has a repository of its own. skopeo compresses whatever it sends to a registry, so
# in rows of plain layers (dray: --compression none) it sends gzip all the same.
build_push() {
	local to=$4/bench/$2:1 plain=()
	case $1 in *-plain) plain=(--compression none) ;; esac
	case $2 in
	dray) timed "${@:1:3}" "${BUILD[@]}" "${plain[@]}" -o "docker://$to" --plain-http ;;
	standin) # skopeo 1.9.3 reads no such archive from a pipe
		# shellcheck disable=SC2016
		timed "${@:1:3}" sh -c 'python3 "$1" "$2" "$3" >"$4" &&
			skopeo copy --quiet --dest-tls-verify=false "docker-archive:$4" "$5"' - \
			"$top/bench/standin_stream.py" "$tree" "$(build_layers)" "$work/standin.tar" "docker://$to"
		rm -f "$work/standin.tar"
		;;
	buildah) buildah_of "${@:1:3}" "docker://$to" --disable-compression=false ;;
	esac
}

# built_there ROW TOOL RUN REGISTRY
built_there() { built "${@:1:3}" "docker://$4/bench/$2:1" --plain-http; }

# To a registry that has nothing: docker-registry, or (-serve) dray serve --root. What it computes is told, not counted.
row_build_push() {
	local addr storage ticks
	case $1 in
	*-serve*)
		server_new dray
		fresh_caches
		addr=$ADDR storage=$work/serve-dray
		;;
	*)
		registry_use bench
		fresh
		addr=$REGISTRY_ADDR storage=$(registry_storage bench) SERVER=$(peer_pid registry-bench)
		;;
	esac
	ticks=$(server_ticks)
	build_push "$@" "$addr"
	[ -n "$SECS" ] || return 0
	say "$1 $2 run $3: the registry took $(ticks_as_seconds $(($(server_ticks) - ticks))) s of processor time"
	built_there "$@" "$addr" && record "$@" "$(size_of "$storage")"
}

# The registry has it all, and the tool may remember what it pushed.
row_build_again() {
	registry_use bench
	if [ "$3" -eq 1 ]; then
		[ -f "$work/again" ] || fresh
		touch "$work/again"
		build_push first "$2" 0 "$REGISTRY_ADDR"
		[ -n "$SECS" ] || return 0
	fi
	SECS=
	build_push "$@" "$REGISTRY_ADDR"
	[ -z "$SECS" ] || { built_there "$@" "$REGISTRY_ADDR" && record "$@"; }
}
