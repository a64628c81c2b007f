#!/usr/bin/env bats
# Pulls that are cut short, that meet a registry which lies, or a disk that fails.

# `run` sets stderr.
# shellcheck disable=SC2154
load lib

setup() {
	verbs_setup
	export DRAY_RETRY_MS=20 DRAY_STALL_MS=1500
	OUT=$BATS_TEST_TMPDIR/work/out
	mkdir "${OUT%/*}"
}
teardown() {
	mountpoint -q "$BATS_TEST_TMPDIR/small" && umount "$BATS_TEST_TMPDIR/small"
	peers_teardown
}

# noisy SIZE...: one image at $FROM, whose layers of about these sizes do not compress; sets WANT, its manifest digest.
noisy() {
	PYTHONDONTWRITEBYTECODE=1 python3 - "$PEERS_TOP/tests/must-fail" "$BATS_TEST_TMPDIR/src" "$@" <<-'END'
		import random, sys
		sys.path.insert(0, sys.argv[1])
		from bricks import *
		noise = random.Random(1)
		layers = [tar(member("noise%d" % i, noise.randbytes(int(n)))) for i, n in enumerate(sys.argv[3:])]
		o = Layout()
		o.roots = [o.image(layers, annotations={"org.opencontainers.image.ref.name": "1"})]
		o.write(sys.argv[2])
	END
	fakereg_start main
	dray_run push --no-cache "oci:$BATS_TEST_TMPDIR/src:1" "$FAKEREG_ADDR/a:1"
	ok
	WANT=$DIGEST
	FROM=docker://$FAKEREG_ADDR/a:1
	fakereg_forget "$FAKEREG_ADDR"
}

# Bytes of blobs that the registry has sent since it forgot, and the requests for them.
blob_bytes() { fakereg_requests "$FAKEREG_ADDR" 'select(.method == "GET" and .kind == "blob") | .sent' | awk '{ n += $1 } END { print n + 0 }'; }
blob_gets() { fakereg_requests "$FAKEREG_ADDR" 'select(.method == "GET" and .kind == "blob")'; }

layer_digest() { jq -r ".layers[$1].digest" "$BATS_TEST_TMPDIR/src/blobs/sha256/${WANT#*:}"; }
partial_of() { echo "$OUT/blobs/sha256/.$(layer_digest "$1" | cut -d : -f 2).dray-partial"; }
partial_reaches() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -ge "$2" ]; }

# whole: the layout holds the image, every blob is what its name says, and nothing else lies about.
whole() {
	layout_check "$OUT" || return 1
	same "digest" "$(jq -r '.manifests[0].digest' "$OUT/index.json")" "$WANT" || return 1
	absent "hidden" "$(find "$OUT" -name '.*')"
}

# killed_at SIZE: a pull that was killed when SIZE bytes of the first layer had come, slowly.
killed_at() {
	fakereg_faults "$FAKEREG_ADDR" "trickle=2000000@GET:/blobs/"
	"$DRAY" copy -q --jobs 1 "$FROM" "oci:$OUT" >/dev/null 2>&1 3>&- &
	local pid=$!
	wait_until 20 partial_reaches "$(partial_of 0)" "$1"
	kill9 "$pid"
	fakereg_faults "$FAKEREG_ADDR"
	fakereg_forget "$FAKEREG_ADDR"
}

pull() { dray_run copy --jobs 1 "$@" "$FROM" "oci:$OUT"; }

# ---------------------------------------------------------------------------------------------------------------------
# Killed, and started again

@test "pull: G-06 killed in mid-layer: the next run fetches the rest only" {
	noisy 4000000 5000
	killed_at 1500000
	have=$(stat -c %s "$(partial_of 0)")
	total=$(stat -c %s "$BATS_TEST_TMPDIR/src/blobs/sha256/$(layer_digest 0 | cut -d : -f 2)")
	[ "$have" -ge 1500000 ] && [ "$have" -lt "$total" ]
	[ ! -e "$OUT/index.json" ]
	pull
	ok
	whole
	same "range" "$(blob_gets | jq -r "select(.path | endswith(\"$(layer_digest 0)\")) | .headers.range")" "bytes=$have-"
	[ "$(blob_bytes)" -lt $((total - have + 20000)) ]
}

@test "pull: G-06 a partial file that is not the beginning is thrown away, and the blob fetched once more" {
	noisy 4000000
	local size partial
	size=$(stat -c %s "$BATS_TEST_TMPDIR/src/blobs/sha256/$(layer_digest 0 | cut -d : -f 2)")
	partial=$(partial_of 0)
	for bytes in 1 2000000 $((size - 1)) "$size" $((size + 1)); do
		rm -rf "$OUT"
		mkdir -p "$OUT/blobs/sha256"
		printf '{"imageLayoutVersion":"1.0.0"}' >"$OUT/oci-layout"
		head -c "$bytes" /dev/zero >"$partial"
		fakereg_forget "$FAKEREG_ADDR"
		pull
		ok
		whole
		[ "$(blob_bytes)" -lt $((2 * size + 20000)) ]
	done
	# One that is complete costs nothing.
	rm -rf "$OUT/index.json"
	mv "$OUT/blobs/sha256/$(layer_digest 0 | cut -d : -f 2)" "$partial"
	fakereg_forget "$FAKEREG_ADDR"
	pull
	ok
	whole
	absent "layer requests" "$(blob_gets | jq -r 'select(.sent > 100000) | .path')"
}

@test "pull: G-06 registries that ignore ranges or answer others" {
	noisy 3000000
	for fault in ignore-range wrong-range=3 wrong-range=3,lie chunked "5xx=416,1@GET:/blobs/" reset=2000000,times=2 5xx=503,2@GET:/blobs/; do
		rm -rf "$OUT"
		killed_at 1000000
		fakereg_faults "$FAKEREG_ADDR" "$fault"
		pull
		ok || { echo "with $fault" && return 1; }
		whole || { echo "with $fault" && return 1; }
	done
}

@test "pull: G-06 other bytes under the same name after a resume are an error, and nothing stays" {
	noisy 3000000
	killed_at 1000000
	fakereg_faults "$FAKEREG_ADDR" "flip=2500000@GET:/blobs/$(layer_digest 0)"
	pull
	expect 6 '*blob digest*expected*got*'
	[ ! -e "$OUT/index.json" ]
	absent "hidden" "$(find "$OUT" -name '.*')"
	[ ! -e "$OUT/blobs/sha256/$(layer_digest 0 | cut -d : -f 2)" ]
	fakereg_faults "$FAKEREG_ADDR"
	pull
	ok
	whole
}

@test "pull: G-06 a network that is gone leaves what came in a layout that was there" {
	noisy 3000000
	# A new layout goes as a whole.
	fakereg_faults "$FAKEREG_ADDR" "reset=1200000@GET:/blobs/$(layer_digest 0)" "5xx=503,100,skip=1@GET:/blobs/$(layer_digest 0)"
	pull --retry 1
	expect 5
	[ ! -e "$OUT" ]
	killed_at 1
	fakereg_faults "$FAKEREG_ADDR" "reset=1200000,times=1@GET:/blobs/$(layer_digest 0)" "5xx=503,100,skip=1@GET:/blobs/$(layer_digest 0)"
	pull --retry 1
	expect 5
	partial_reaches "$(partial_of 0)" 1200000
	fakereg_faults "$FAKEREG_ADDR"
	fakereg_forget "$FAKEREG_ADDR"
	pull
	ok
	whole
	[ "$(blob_bytes)" -lt 1900000 ]
}

@test "pull: partial files are swept when the blob is there or nobody came back, never under a living writer" {
	noisy 3000000
	killed_at 1000000
	local partial other
	partial=$(partial_of 0)
	other=$OUT/blobs/sha256/.$(printf '%064d' 0).dray-partial
	echo x >"$other"
	touch -d '6 days ago' "$other"
	pull
	ok
	[ -e "$other" ] && [ ! -e "$partial" ]
	touch -d '8 days ago' "$other"
	echo x >"$partial"
	exec 8<"$other"
	flock 8
	pull
	ok
	[ -e "$other" ] && [ ! -e "$partial" ]
	exec 8<&-
	pull
	ok
	whole
}

@test "pull: a partial file that is a link or a fifo is not written to" {
	noisy 3000000
	echo precious >"$BATS_TEST_TMPDIR/precious"
	for what in "ln -s $BATS_TEST_TMPDIR/precious" "ln $BATS_TEST_TMPDIR/precious" mkfifo mkdir; do
		rm -rf "$OUT"
		mkdir -p "$OUT/blobs/sha256"
		printf '{"imageLayoutVersion":"1.0.0"}' >"$OUT/oci-layout"
		$what "$(partial_of 0)"
		pull
		ok
		layout_check "$OUT"
		same "file" "$(cat "$BATS_TEST_TMPDIR/precious")" precious
	done
}

@test "pull: G-10 four processes pull one image into one layout" {
	noisy 3000000 2000000
	fakereg_faults "$FAKEREG_ADDR" "trickle=4000000@GET:/blobs/"
	local pids=() n
	for n in 1 2 3 4; do
		"$DRAY" copy -q "$FROM" "oci:$OUT" >"$BATS_TEST_TMPDIR/out.$n" 2>"$BATS_TEST_TMPDIR/err.$n" 3>&- &
		pids+=($!)
	done
	for n in 1 2 3 4; do
		wait "${pids[n - 1]}" || { cat "$BATS_TEST_TMPDIR/err.$n" && false; }
		same "digest $n" "$(sed 's/.*@//' "$BATS_TEST_TMPDIR/out.$n")" "$WANT"
	done
	whole
}

@test "pull: G-10 one of two is killed, the other finishes" {
	noisy 3000000
	fakereg_faults "$FAKEREG_ADDR" "trickle=1500000@GET:/blobs/"
	"$DRAY" copy -q "$FROM" "oci:$OUT" >/dev/null 2>&1 3>&- &
	local one=$!
	wait_until 20 partial_reaches "$(partial_of 0)" 500000
	"$DRAY" copy -q "$FROM" "oci:$OUT" >/dev/null 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	local two=$!
	sleep 0.5
	kill9 "$one"
	wait "$two" || { cat "$BATS_TEST_TMPDIR/err" && false; }
	pull
	ok
	whole
}

# 50 kills at moments that a fixed seed spreads over the time that a pull takes; what one run got, the next one has.
@test "pull: G-02 killed 50 times: nothing half, always further, less to fetch" {
	noisy 2000000 1500000 3000000 40000
	local total sent pid i moments
	total=$(cat "$BATS_TEST_TMPDIR"/src/blobs/sha256/* | wc -c)
	# Another image is there before, and must stay.
	dray_run copy "oci:$BATS_TEST_TMPDIR/src:1" "oci:$OUT:old"
	ok
	find "$OUT/blobs" -type f -size +1k -delete
	jq -c '.manifests = []' "$OUT/index.json" >"$OUT/i" && mv "$OUT/i" "$OUT/index.json"
	cp "$OUT/index.json" "$BATS_TEST_TMPDIR/old-index"
	moments=$(python3 -c 'import random; r = random.Random(7); print(*["%.3f" % r.uniform(0, 0.25) for _ in range(50)])')
	fakereg_faults "$FAKEREG_ADDR" "trickle=2500000@GET:/blobs/"
	i=0
	for moment in $moments; do
		i=$((i + 1))
		"$DRAY" copy -q --jobs 2 "$FROM" "oci:$OUT" >/dev/null 2>&1 3>&- &
		pid=$!
		sleep "$moment"
		kill9 "$pid"
		# All that has a blob's name is that blob; index.json is the old one or the new one.
		(cd "$OUT/blobs/sha256" && sha256sum -- * 2>/dev/null | awk '$1 != $2 { print }') >"$BATS_TEST_TMPDIR/bad"
		absent "kill $i" "$(cat "$BATS_TEST_TMPDIR/bad")"
		if ! cmp -s "$OUT/index.json" "$BATS_TEST_TMPDIR/old-index"; then
			"$DRAY" verify -q "$OUT"
		fi
	done
	sent=$(blob_bytes)
	fakereg_faults "$FAKEREG_ADDR"
	fakereg_forget "$FAKEREG_ADDR"
	pull
	ok
	whole
	echo "image $total, 50 killed runs $sent, the last one $(blob_bytes)"
	# What a killed process had not read yet is sent twice: socket buffers, at most some MB for each kill.
	[ "$(blob_bytes)" -lt "$total" ]
}
