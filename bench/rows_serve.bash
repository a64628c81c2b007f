# shellcheck shell=bash
# The rows of script/bench about serving: dray serve and docker-registry, one after the other, on storage of their own.
#
# Relies on: script/bench, which sources this: timed, record, app, work; tests/e2e/peers.bash for starting servers.
# Promises: the time is the client's; processor time and peak memory are the server's, of that run alone. Both servers
# write an access log, and what they answered is checked.

# shellcheck disable=SC2154,SC2034 # app, top, work are script/bench's, CPU and RSS for it
BIG_BYTES=500000000  # of one big blob
PULLS=4              # of it, in one run of serve-pull
WRK_SECONDS=5
CLIENTS=64           # at once in serve-clients: half of them pull a blob, half push one of their own
PIECE_BYTES=16000000 # of what each of them pushes
PULL_BYTES=100000000 # of what each of them pulls
MANIFEST_TYPE=application/vnd.oci.image.manifest.v1+json

# ---- servers ----

# dray_up NAME ARG...: "dray serve ARG..." as the peer NAME; sets ADDR and SERVER.
dray_up() {
	local name=$1 out=$work/$1.out
	shift
	: >"$out"
	# shellcheck disable=SC2016
	peer_spawn "$name" sh -c 'out=$1; shift; exec "$@" >"$out"' - "$out" "$DRAY" serve --addr 127.0.0.1:0 "$@"
	wait_until 60 test -s "$out" || die "$name does not start: $(peer_log "$name" | tail -n 1)"
	ADDR=$(head -n 1 "$out") SERVER=$(peer_pid "$name")
}

# server_new TOOL: without anything on its storage.
server_new() {
	case $1 in
	dray)
		peer_stop serve-dray
		rm -rf "$work/serve-dray"
		dray_up serve-dray --root "$work/serve-dray"
		;;
	registry)
		registry_stop serve
		[ ! -d "$PEERS_DIR/d/registry-serve" ] || registry_wipe serve
		registry_start serve plain
		server_again registry
		;;
	esac
}

# server_again TOOL: as it is; sets ADDR and SERVER.
server_again() {
	case $1 in
	dray) ADDR=$(head -n 1 "$work/serve-dray.out") SERVER=$(peer_pid serve-dray) ;;
	registry) ADDR=$(registry_addr serve) SERVER=$(peer_pid registry-serve) ;;
	esac
}

ticks_as_seconds() { awk -v n="$1" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f", n / hz }'; }
server_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$SERVER/stat"; }

# served ROW TOOL RUN COMMAND...: timed, with processor time and peak memory of the server.
served() {
	local ticks
	echo 5 >"/proc/$SERVER/clear_refs" # the peak begins here
	ticks=$(server_ticks)
	timed "$@"
	[ -n "$SECS" ] || return 0
	CPU=$(ticks_as_seconds $(($(server_ticks) - ticks)))
	RSS=$(awk '/^VmHWM:/ { print $2 }' "/proc/$SERVER/status")
}

# ---- what is in them ----

serve_curl() { curl -fsS --noproxy '*' "$@"; }

# digest_of FILE
digest_of() { echo "sha256:$(sha256sum "$1" | cut -d ' ' -f 1)"; }

# begin_upload REPOSITORY: prints where to send it, ready for a digest.
begin_upload() {
	local to
	to=$(serve_curl -X POST -o /dev/null -D - "http://$ADDR/v2/$1/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
	case $to in /*) to=http://$ADDR$to ;; esac
	case $to in *\?*) echo "$to&digest=" ;; *) echo "$to?digest=" ;; esac
}

put_blob() { serve_curl -o /dev/null -T "$2" -H 'Content-Type: application/octet-stream' "$(begin_upload "$1")$3"; }
has_blob() { serve_curl -o /dev/null --head "http://$ADDR/v2/$1/blobs/$2"; }

# The files that are pushed: made once.
serve_files() {
	local i
	[ ! -f "$work/pieces/done" ] || return 0
	mkdir -p "$work/pieces"
	head -c "$BIG_BYTES" "$app" >"$work/big"
	head -c "$PULL_BYTES" "$app" >"$work/pulled"
	for ((i = 0; i < CLIENTS / 2; i++)); do
		tail -c "+$((PULL_BYTES + i * PIECE_BYTES))" "$app" | head -c "$PIECE_BYTES" >"$work/pieces/$i" || :
	done
	touch "$work/pieces/done"
}

# serve_seeded TOOL: one that runs and holds blobs and an image of eight layers.
serve_seeded() {
	local i layers=()
	if [ -f "$work/seeded-$2" ]; then
		server_again "$2"
		return 0
	fi
	serve_files
	server_new "$2"
	put_blob bench/blob "$work/big" "$(digest_of "$work/big")"
	put_blob bench/blob "$work/pulled" "$(digest_of "$work/pulled")"
	printf '{"architecture":"amd64","os":"linux"}' >"$work/config"
	put_blob bench/app "$work/config" "$(digest_of "$work/config")"
	for ((i = 0; i < 8; i++)); do
		put_blob bench/app "$work/pieces/$i" "$(digest_of "$work/pieces/$i")"
		layers+=("$(digest_of "$work/pieces/$i")")
	done
	jq -cn --arg type "$MANIFEST_TYPE" --arg config "$(digest_of "$work/config")" --argjson config_size "$(stat -c %s "$work/config")" \
		--argjson size "$PIECE_BYTES" '{ schemaVersion: 2, mediaType: $type,
			config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: $config, size: $config_size },
			layers: [$ARGS.positional[] | { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: ., size: $size }] }' \
		--args "${layers[@]}" >"$work/manifest"
	serve_curl -o /dev/null -T "$work/manifest" -H "Content-Type: $MANIFEST_TYPE" "http://$ADDR/v2/bench/app/manifests/1"
	touch "$work/seeded-$2"
}

# ---- rows ----

# curl, which copies every byte out of the kernel; and a client that does not even look at what it gets.
row_serve_pull() {
	local url i args=() urls=()
	serve_seeded "$@"
	url=http://$ADDR/v2/bench/blob/blobs/$(digest_of "$work/big")
	for ((i = 0; i < PULLS; i++)); do
		args+=(-o /dev/null "$url")
		urls+=("$url")
	done
	case $1 in
	serve-pull) served "$@" curl -fsS --noproxy '*' "${args[@]}" ;;
	serve-pull-drain) served "$@" "$top/bench/drain.py" "${urls[@]}" ;;
	esac
	record "$@" $((PULLS * BIG_BYTES))
}

# What is recorded is the time of 10,000 requests.
row_serve_manifest() {
	local ref=1 n
	serve_seeded "$@"
	[ "$1" = serve-manifest ] || ref=$(digest_of "$work/manifest")
	served "$@" wrk --threads 1 --connections 8 --duration "$WRK_SECONDS" -H "Accept: $MANIFEST_TYPE" \
		"http://$ADDR/v2/bench/app/manifests/$ref"
	[ -n "$SECS" ] || return 0
	! grep -E 'Non-2xx|Socket errors' "$work/out" >&2 || die "$1 $2: not all requests were answered"
	n=$(awk '/ requests in / { print $1 }' "$work/out")
	SECS=$(awk -v s="$SECS" -v n="$n" 'BEGIN { printf "%.4f", s / n * 10000 }')
	CPU=$(awk -v s="$CPU" -v n="$n" 'BEGIN { printf "%.4f", s / n * 10000 }')
	record "$@"
}

# A blob in one request (serve-push), in one stream of unknown length (serve-push-stream): on the disk of both at its end.
row_serve_push() {
	local to digest
	serve_files
	rm -f "$work/seeded-$2"
	server_new "$2"
	digest=$(digest_of "$work/big")
	to=$(begin_upload bench/blob)
	case $1 in
	serve-push) served "$@" curl -fsS --noproxy '*' -o /dev/null -T "$work/big" -H 'Content-Type: application/octet-stream' "$to$digest" ;;
	serve-push-stream)
		# shellcheck disable=SC2016
		served "$@" bash -ec '
			to=$(curl -fsS --noproxy "*" -o /dev/null -D - -X PATCH -T - -H "Content-Type: application/octet-stream" "${2%[?&]digest=}" <"$1" |
				tr -d "\r" | sed -n "s/^[Ll]ocation: //p")
			case $to in /*) to=$4$to ;; esac
			case $to in *\?*) to=$to\&digest=$3 ;; *) to=$to?digest=$3 ;; esac
			curl -fsS --noproxy "*" -o /dev/null -X PUT "$to"' - "$work/big" "$to" "$digest" "http://$ADDR"
		;;
	esac
	[ -z "$SECS" ] || { has_blob bench/blob "$digest" && record "$@" "$BIG_BYTES"; }
}

# The corpus as skopeo and dray send it. The client compresses nothing: it sends what a layout holds.
row_serve_push_image() {
	local client=${1#serve-push-image-}
	read_layout
	fresh_caches
	rm -f "$work/seeded-$2"
	server_new "$2"
	case $client in
	dray) served "$@" "$DRAY" push -q "oci:$LAYOUT:t" "docker://$ADDR/bench/app:1" --plain-http ;;
	skopeo) served "$@" skopeo copy --quiet --dest-tls-verify=false "oci:$LAYOUT:t" "docker://$ADDR/bench/app:1" ;;
	esac
	[ -z "$SECS" ] || {
		serve_curl -o /dev/null -H "Accept: $MANIFEST_TYPE" "http://$ADDR/v2/bench/app/manifests/1"
		record "$@"
	}
}

# All at once: one curl with a connection for each.
row_serve_clients() {
	local i pulled
	serve_seeded "$@"
	pulled=$(digest_of "$work/pulled")
	for ((i = 0; i < CLIENTS / 2; i++)); do
		printf 'url = "%s"\noutput = "/dev/null"\nfail\nsilent\nshow-error\nnext\n' \
			"http://$ADDR/v2/bench/blob/blobs/$pulled"
		printf 'url = "%s"\nupload-file = "%s"\nheader = "Content-Type: application/octet-stream"\noutput = "/dev/null"\nfail\nsilent\nshow-error\nnext\n' \
			"$(begin_upload "bench/run$3")$(digest_of "$work/pieces/$i")" "$work/pieces/$i"
	done | sed '$d' >"$work/clients"
	served "$@" curl --noproxy '*' --parallel --parallel-immediate --parallel-max "$CLIENTS" --config "$work/clients"
	[ -n "$SECS" ] || return 0
	for ((i = 0; i < CLIENTS / 2; i++)); do
		has_blob "bench/run$3" "$(digest_of "$work/pieces/$i")" || die "$1 $2: a push was lost"
	done
	record "$@" $((CLIENTS * (PULL_BYTES + PIECE_BYTES) / 2))
}

# as_read TOOL FILE...: in the page cache by reading, once. What was written lies there in pieces of another size, and the
# kernel sends small ones up to a third slower.
as_read() {
	local file tool=$1
	shift
	[ ! -f "$work/read-$tool" ] || return 0
	for file; do
		sync "$file"
		dd if="$file" iflag=nocache count=0 status=none
		cat "$file" >/dev/null
	done
	touch "$work/read-$tool"
}

# Every layer of the corpus, uncompressed: from the archive where it lies, and from a layout of the same.
row_serve_place() {
	local place name=serve-place-$2 repo tag digest urls=()
	case $2 in
	dray)
		place=$app
		as_read "$2" "$app"
		;;
	dray-layout)
		place=oci:$work/plain-layout
		[ -d "$work/plain-layout" ] || "$DRAY" copy -q --compression none "docker-archive:$app" "$place:t" >/dev/null
		as_read "$2" "$work"/plain-layout/blobs/sha256/*
		;;
	esac
	dray_up "$name" "$place"
	repo=$(serve_curl "http://$ADDR/v2/_catalog" | jq -r '.repositories[0]')
	tag=$(serve_curl "http://$ADDR/v2/$repo/tags/list" | jq -r '.tags[0]')
	for digest in $(serve_curl "http://$ADDR/v2/$repo/manifests/$tag" | jq -r '.layers[].digest'); do
		urls+=("http://$ADDR/v2/$repo/blobs/$digest")
	done
	[ "${#urls[@]}" -gt 0 ] || die "$1 $2: no layers"
	served "$@" "$top/bench/drain.py" "${urls[@]}"
	record "$@"
	peer_stop "$name"
}
