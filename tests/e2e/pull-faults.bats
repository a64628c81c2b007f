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
	fakereg_start main --root "$BATS_TEST_TMPDIR/registry"
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
layer_is_there() { [ -e "$OUT/blobs/sha256/$(layer_digest 0 | cut -d : -f 2)" ]; }
# Where much of it was there before, what comes may be all of the rest.
layer_reaches() { layer_is_there || partial_reaches "$(partial_of 0)" "$1"; }

# whole: the layout holds the image, every blob is what its name says, and nothing else lies about.
whole() {
	layout_check "$OUT" || return 1
	same "digest" "$(jq -r '.manifests[0].digest' "$OUT/index.json")" "$WANT" || return 1
	absent "hidden" "$(find "$OUT" -name '.*')"
}

layer_asked() { blob_gets | grep -q "$(layer_digest 0)"; }

# killed_at SIZE: a pull that was killed when SIZE bytes of the first layer had come.
killed_at() {
	# A little more than asked for comes, then nothing until the fault is withdrawn.
	fakereg_faults "$FAKEREG_ADDR" "stall=$(($1 + 300000))@GET:/blobs/$(layer_digest 0)"
	DRAY_STALL_MS=100000 "$DRAY" copy -q --jobs 1 "$FROM" "oci:$OUT" >/dev/null 2>&1 3>&- &
	local pid=$!
	wait_until 60 layer_reaches "$1"
	kill9 "$pid"
	fakereg_faults "$FAKEREG_ADDR"
	# It notices, and writes it down, some time later.
	wait_until 60 layer_asked
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
	wait_until 60 partial_reaches "$(partial_of 0)" 500000
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
	# On a slow machine none of them may have come to its first byte.
	layer_is_there || killed_at 1000000
	fakereg_faults "$FAKEREG_ADDR"
	fakereg_forget "$FAKEREG_ADDR"
	pull
	ok
	whole
	echo "image $total, 50 killed runs $sent, the last one $(blob_bytes)"
	# What a killed process had not read yet is sent twice: socket buffers, at most some MB for each kill.
	[ "$(blob_bytes)" -lt "$total" ]
}

# To what appears whole or not at all: a file and a folder. An old one stands until a run gets to its end.
@test "pull: G-02 killed 50 times on the way into a docker-archive and a dir: the old one stands, the next run succeeds" {
	noisy 1000000 1500000
	local old new i pid to moment moments left=${OUT%/*}
	moments=$(python3 -c 'import random; r = random.Random(11); print(*["%.3f" % r.uniform(0, 0.3) for _ in range(25)])')
	for to in docker-archive dir; do
		dray_run copy --canonical "$FROM" "docker-archive:$BATS_TEST_TMPDIR/old.tar"
		ok
		dray_run copy "$BATS_TEST_TMPDIR/old.tar" "$to:$OUT"
		ok
		old=$(contents)
		i=0
		fakereg_faults "$FAKEREG_ADDR" "trickle=12000000@GET:/blobs/"
		for moment in $moments; do
			i=$((i + 1))
			"$DRAY" copy -q --jobs 2 "$FROM" "$to:$OUT" >/dev/null 2>&1 3>&- &
			pid=$!
			sleep "$moment"
			kill9 "$pid"
			[ "$(contents)" = "$old" ] || "$DRAY" verify -q "$OUT" || { echo "kill $i" && return 1; }
		done
		fakereg_faults "$FAKEREG_ADDR"
		dray_run copy "$FROM" "$to:$OUT"
		ok
		new=$(contents)
		[ "$new" != "$old" ]
		"$DRAY" verify -q "$OUT"
		same "digest in $to" "$("$DRAY" digest "$to:$OUT")" "$WANT"
		same "left in the folder of $to" "$(ls -A "$left")" out
		rm -rf "$OUT"
	done
}

# contents: one line about what the target holds.
contents() { find "$OUT" -type f -exec sha256sum {} + | sort | sha256sum; }

# ---------------------------------------------------------------------------------------------------------------------
# Registries that lie or stumble

# answers: rows "STATUS|PATTERN of stderr|FAULT...": to a layout, archives and a "dir:"; what fails leaves nothing, what
# succeeds is whole. The retries are few and quick.
answers() {
	local want pattern faults to
	while IFS='|' read -r want pattern faults; do
		for to in oci oci-archive docker-archive dir; do
			# shellcheck disable=SC2086
			fakereg_faults "$FAKEREG_ADDR" $faults
			dray_run copy --retry 2 "$FROM" "$to:$OUT"
			# shellcheck disable=SC2053
			[[ $status == $want && $stderr == $pattern ]] || {
				printf 'with %s to %s: status %s, want %s and %s\n%s\n' "$faults" "$to" "$status" "$want" "$pattern" "$stderr"
				return 1
			}
			[[ $stderr != *$'\e'* && ${#stderr} -lt 2000 ]] || return 1
			fakereg_faults "$FAKEREG_ADDR"
			if [ "$status" -eq 0 ]; then
				"$DRAY" verify -q "$OUT" || return 1
			else
				absent "left behind with $faults" "$(ls -A "${OUT%/*}")" || return 1
			fi
			rm -rf "$OUT"
		done
	done
}

@test "pull: G-05 M-01 blobs that are wrong, short or long" {
	noisy 1500000 300000
	local layer config
	layer=$(layer_digest 0)
	config=$(jq -r .config.digest "$BATS_TEST_TMPDIR/src/blobs/sha256/${WANT#*:}")
	for blob in "$layer" "$config"; do
		answers <<-END
			6|*differs*expected*${blob:0:19}*got*|flip@GET:$blob
			6|*sends a blob of*its descriptor says*|short=3@GET:$blob
			6|*sends a blob of*its descriptor says*|long=2@GET:$blob
			[56]|*|len-lie=5@GET:$blob
			6|*sends a blob of*its descriptor says*|len-lie=-5@GET:$blob
			6|*differs*expected*${blob:0:19}*got*|chunked@GET:$blob flip=7@GET:$blob
			5|*ended after*of*bytes*|chunked@GET:$blob short=3@GET:$blob
			6|*${blob:0:19}*at least*|chunked@GET:$blob long=2@GET:$blob
			6|*sends a blob of*its descriptor says*|html-errors 5xx=200,1000@GET:$blob
			3|*HTTP 404*|html-errors 5xx=404,1000@GET:$blob
			5|*HTTP 500*|error-secret=65536 5xx=500,1000@GET:$blob
			0|*|ct-lie=text/html@GET:$blob
		END
	done
}

@test "pull: M-01 M-08 manifests that are wrong, cut or something else" {
	noisy 20000
	answers <<-'END'
		6|*Docker-Content-Digest differs*|digest-lie
		6|*Docker-Content-Digest differs*|flip=20@GET:/manifests/
		6|*Docker-Content-Digest differs*|short=3@GET:/manifests/
		6|*Docker-Content-Digest differs*|long=2@GET:/manifests/
		6|*JSON*|no-digest short=3@GET:/manifests/
		6|*JSON at byte 0*|html-errors 5xx=200,1000@GET:/manifests/
		5|*HTTP 500*|html-errors 5xx=500,1000@GET:/manifests/
		5|*|len-lie=5@GET:/manifests/
		5|*|cut=100@GET:/manifests/
		0|*|chunked@GET:/manifests/ cut=100,times=1@GET:/manifests/
		0|*|no-digest
		0|*|ct-lie=text/html@GET:/manifests/
		0|*|ct-lie=text/plain@GET:/manifests/
		6|*|ct-lie=application/vnd.oci.image.index.v1+json@GET:/manifests/
	END
	# By digest nothing but the digest counts.
	FROM=docker://$FAKEREG_ADDR/a@$WANT
	answers <<-'END'
		6|*differs*expected*got*|no-digest flip=20@GET:/manifests/
		6|*differs*expected*got*|digest-lie
	END
}

@test "pull: manifests over the limit, and one that just fits" {
	noisy 20000
	python3 - "$BATS_TEST_TMPDIR/src/blobs/sha256/${WANT#*:}" "$BATS_TEST_TMPDIR" <<-'END'
		import json, sys
		m = json.load(open(sys.argv[1]))
		for name, size in ("fits", 4 << 20), ("over", (4 << 20) + 1):
		    m["annotations"] = {"pad": ""}
		    m["annotations"]["pad"] = "x" * (size - len(json.dumps(m)))
		    open(sys.argv[2] + "/" + name, "w").write(json.dumps(m))
	END
	local manifests=$BATS_TEST_TMPDIR/registry/repos/a/_manifests/sha256
	# As if they had been pushed: this registry takes none over the limit either.
	for name in fits over; do
		digest=$(sha256sum <"$BATS_TEST_TMPDIR/$name" | cut -d ' ' -f 1)
		cp "$BATS_TEST_TMPDIR/$name" "$manifests/$digest"
		cp "$manifests/${WANT#*:}.type" "$manifests/$digest.type"
		printf 'sha256:%s' "$digest" >"$BATS_TEST_TMPDIR/registry/repos/a/_tags/$name"
	done
	FROM=docker://$FAKEREG_ADDR/a:fits answers <<<'0|*|chunked'
	FROM=docker://$FAKEREG_ADDR/a:fits answers <<<'0|*|no-digest'
	FROM=docker://$FAKEREG_ADDR/a:over answers <<<'6|*over the limit of 4194304 bytes*|chunked'
	FROM=docker://$FAKEREG_ADDR/a:over answers <<<'6|*over the limit of 4194304 bytes*|no-digest'
}

@test "pull: G-07 G-12 connections that break, busy registries: retried, and not for ever" {
	noisy 1500000 300000
	answers <<-'END'
		0|*|chunked cut=100000,times=2@GET:/blobs/
		0|*|cut=100000,times=2@GET:/blobs/
		0|*|reset=700000,times=2@GET:/blobs/
		0|*|reset=0,times=2@GET:/manifests/
		5|*|chunked cut=100@GET:/blobs/
		5|*|reset=0@GET:/blobs/
		0|*|429=1,1@GET:/blobs/
		0|*|429=0,2@GET:/manifests/
		5|*HTTP 429*|429=0,1000@GET:/blobs/
		5|*HTTP 429*come back in 3600 s*|429=3600,1000@GET:/blobs/
		0|*|5xx=503,2@GET:/blobs/
		5|*HTTP 503*|5xx=503,1000@GET:/blobs/
		5|*HTTP 502*|5xx=502,1000@GET:/manifests/
		0|*|redirect={0},302@GET:/blobs/
		5|*more than 5 redirects*|redirect=http://{0}{path}?x,302,on=0
	END
	# Polite: three tries, no more, however many layers wait.
	fakereg_forget "$FAKEREG_ADDR"
	fakereg_faults "$FAKEREG_ADDR" "5xx=503,1000@GET:/manifests/"
	pull --retry 2
	expect 5
	same "tries" "$(fakereg_requests "$FAKEREG_ADDR" 'select(.path | contains("/manifests/"))' | wc -l)" 3
}

@test "pull: G-11 stalls" {
	noisy 1500000
	answers <<-'END'
		0|*|stall,times=1@GET:/blobs/
		0|*|stall=100000,times=1@GET:/blobs/
		5|*silent*|stall=head@GET:/manifests/
	END
}

# ---------------------------------------------------------------------------------------------------------------------
# The machine

@test "pull: G-04 the disk fills up in a layer: exit 9, a new layout goes, an old one keeps what it had" {
	require_root
	noisy 1500000 1500000 1500000
	mkdir "$BATS_TEST_TMPDIR/small"
	for kib in 60 1000 1600 3100 4300; do
		for to in oci oci-archive docker-archive dir; do
			mount -t tmpfs -o "size=${kib}k" dray-small "$BATS_TEST_TMPDIR/small"
			dray_run copy "$FROM" "$to:$BATS_TEST_TMPDIR/small/out"
			expect 9 '*No space left*'
			absent "left behind" "$(ls -A "$BATS_TEST_TMPDIR/small")"
			umount "$BATS_TEST_TMPDIR/small"
		done
	done
	# A layout that holds one of the layers already, and a partial file of another one.
	mount -t tmpfs -o size=3600k dray-small "$BATS_TEST_TMPDIR/small"
	OUT=$BATS_TEST_TMPDIR/small/out
	mkdir -p "$OUT/blobs/sha256"
	printf '{"imageLayoutVersion":"1.0.0"}' >"$OUT/oci-layout"
	cp "$BATS_TEST_TMPDIR/src/blobs/sha256/$(layer_digest 0 | cut -d : -f 2)" "$OUT/blobs/sha256/"
	before=$(find "$OUT" -type f | sort)
	head -c 200000 "$BATS_TEST_TMPDIR/src/blobs/sha256/$(layer_digest 1 | cut -d : -f 2)" >"$(partial_of 1)"
	pull
	expect 9 '*No space left*'
	same "files" "$(find "$OUT" -type f | sort)" "$before"
	mount -o remount,size=9000k "$BATS_TEST_TMPDIR/small"
	pull
	ok
	whole
}

@test "pull: a target that is read-only, a file, or goes away: exit 9" {
	require_root
	noisy 1500000
	mkdir "$BATS_TEST_TMPDIR/small"
	mount -t tmpfs dray-small "$BATS_TEST_TMPDIR/small"
	dray_run copy "oci:$BATS_TEST_TMPDIR/src:1" "oci:$BATS_TEST_TMPDIR/small/old"
	mount -o remount,ro "$BATS_TEST_TMPDIR/small"
	for to in oci:old oci:new oci-archive:new docker-archive:new dir:new; do
		dray_run copy "$FROM" "${to%%:*}:$BATS_TEST_TMPDIR/small/${to#*:}"
		expect 9 '*Read-only file system*'
	done
	umount "$BATS_TEST_TMPDIR/small"
	for to in oci oci-archive docker-archive dir; do
		dray_run copy "$FROM" "$to:$BATS_TEST_TMPDIR/none/out"
		expect 9
	done
	[ ! -e "$BATS_TEST_TMPDIR/none" ]
}

# taken_away KIND: the folder of the target goes while its first layer comes.
taken_away() {
	fakereg_faults "$FAKEREG_ADDR" "stall=1000000@GET:/blobs/$(layer_digest 0)"
	DRAY_STALL_MS=100000 "$DRAY" copy "$FROM" "$1:$OUT" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" 3>&- &
	local pid=$! code=0
	wait_until 60 eval "fakereg_requests $FAKEREG_ADDR 'select(.kind == \"blob\")' | grep -q . && [ -n \"\$(ls -A ${OUT%/*})\" ]"
	sleep 0.2
	rm -rf "${OUT%/*}"
	fakereg_faults "$FAKEREG_ADDR"
	wait "$pid" || code=$?
	same "status ($(cat "$BATS_TEST_TMPDIR/stderr"))" "$code" 9 || return 1
	[ ! -s "$BATS_TEST_TMPDIR/stdout" ] && [ ! -e "${OUT%/*}" ] || return 1
	mkdir "${OUT%/*}"
}

@test "pull: the target is removed in mid-way: exit 9, and the next run works" {
	noisy 3000000
	for to in oci oci-archive docker-archive dir; do
		taken_away "$to"
		dray_run copy "$FROM" "$to:$OUT"
		ok
		"$DRAY" verify -q "$OUT"
		rm -rf "$OUT"
	done
}
