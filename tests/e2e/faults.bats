#!/usr/bin/env bats
# When the machine fails: every allocation, every system call, a kill at every step, full disks, signals, little memory.
#
# dray-faulty is the same program with the injection of src/base/fault.h armed from DRAY_FAULT; script/test builds it
# beside dray. Sweeps take every call in the plain program and a part of them under the sanitizers.

load lib

MUST_FAIL=$PEERS_TOP/tests/must-fail

setup_file() {
	export PYTHONDONTWRITEBYTECODE=1
	export CASES=$BATS_FILE_TMPDIR/cases
	python3 "$MUST_FAIL/make.py" "$CASES"
}

setup() {
	verbs_setup
	IMG=$CASES/A-01-link.tar
	OUT=$BATS_TEST_TMPDIR/work/out
	mkdir -p "${OUT%/*}"
	export OTHER=$CASES/T-03-pax-path-layer.tar
}
teardown() {
	mountpoint -q "$BATS_TEST_TMPDIR/small" && umount "$BATS_TEST_TMPDIR/small"
	peers_teardown
}

sanitized() { grep -q __asan_init "$1"; }

# The program without sanitizers: DRAY itself, or its neighbour of script/test's other build.
plain() {
	local p=$DRAY
	if sanitized "$p"; then p=${DRAY_PLAIN:-${DRAY/\/asan\//\/gcc\/}}; fi
	[ -x "$p" ] && ! sanitized "$p" || skip "needs dray without sanitizers: set DRAY_PLAIN"
	PLAIN=$p
}

faulty() {
	FAULTY=${1}-faulty
	[ -x "$FAULTY" ] || skip "needs $FAULTY: ninja src/cli/dray-faulty"
}

# sweep KIND SCENARIO...: all calls of the plain program, or every STEPth of a sanitized one.
sweep() {
	local kind=$1 bad=0 s
	shift
	for s; do
		DRAY=$FAULTY python3 "$MUST_FAIL/sweep.py" "$kind" "$IMG" "$s" "${STEP:-1}" || bad=1
	done
	[ "$bad" -eq 0 ]
}

# The folder of the output holds nothing but what the arguments name.
only() {
	[ "$(ls -A "${OUT%/*}")" = "$*" ] || {
		echo "left behind: $(ls -lA "${OUT%/*}")"
		return 1
	}
	[ -z "$(ls -A "$TMPDIR")" ]
}

# layout_sound DIR: complete, and no temp in it.
layout_sound() {
	"$DRAY" verify -q "$1" && [ -z "$(find "$1" -name '.*' ! -path "$1" -print)" ]
}

@test "G-17: every allocation fails once: reading verbs" { plain; faulty "$PLAIN"; sweep alloc images explain verify; }
@test "G-17: every allocation fails once: copy" { plain; faulty "$PLAIN"; sweep alloc new into file normalize; }
@test "G-17: every allocation fails once: files and other layers" { plain; faulty "$PLAIN"; sweep alloc files export flatten squash strip append rebase edit inplace delta-save delta-load; }
@test "G-17: allocations fail under the sanitizers: no leak, no bad access" {
	faulty "$DRAY"
	STEP=3 sweep alloc images explain verify new
	STEP=7 sweep alloc files squash strip append rebase edit inplace delta-save delta-load
	IMG=$CASES/Z-01-zstd-frames-archive.tar STEP=5 sweep alloc verify normalize
	IMG=$CASES/Z-01-members STEP=7 sweep alloc verify new normalize
}
@test "G-01 G-03: every system call fails once" { plain; faulty "$PLAIN"; sweep io images explain verify new into file normalize files export flatten squash strip append rebase edit inplace delta-save delta-load; }
@test "G-01 G-03: system calls fail under the sanitizers" { faulty "$DRAY"; STEP=5 sweep io verify new into file normalize squash strip append rebase edit inplace delta-save delta-load; }
@test "G-01 G-02: killed before every system call" { plain; faulty "$PLAIN"; sweep crash new into file normalize export flatten squash strip append rebase edit inplace delta-save delta-load; }
@test "flatten and split into a layout, whose layers are foreseen or not: calls fail once, and kills" {
	local d=$BATS_TEST_TMPDIR src
	plain
	mkdir -p "$d/files/etc" "$d/top/etc"
	head -c 300000 /dev/urandom >"$d/files/big"
	touch "$d/files/etc/"{1,2,3} "$d/top/etc/"{2,.wh.3}
	tar -C "$d/top" -cf "$d/top.tar" ./etc
	"$DRAY" build -q --from scratch --dir "$d/files" -o "oci:$d/low:t" >/dev/null
	"$DRAY" append -q "oci:$d/low:t" "$d/top.tar" -o "oci:$d/foreseen:t" >/dev/null
	python3 "$PEERS_TOP/tests/layers/trick_image.py" "$d/tricks" sweep
	for src in foreseen tricks; do
		IMG=oci:$d/$src:t
		export RULE='/etc/**'
		faulty "$PLAIN"
		sweep alloc flat cut
		sweep io flat cut
		sweep crash flat cut
		faulty "$DRAY"
		STEP=7 sweep alloc flat cut
		STEP=7 sweep io flat cut
	done
}
@test "edit --in-place of every layout: calls fail once, and kills" {
	plain
	faulty "$PLAIN"
	local from
	"$DRAY" copy -q "$IMG" "docker-archive:$BATS_TEST_TMPDIR/own.tar:test/own:1" >/dev/null
	"$DRAY" normalize -q "$IMG" -o "$BATS_TEST_TMPDIR/canonical.tar" >/dev/null
	for from in own canonical; do
		IMG=$BATS_TEST_TMPDIR/$from.tar
		sweep alloc inplace
		sweep io inplace
		sweep crash inplace
	done
}
@test "unpack and extract: calls fail once, and kills: no folder, the old one, or the new one" {
	plain
	faulty "$PLAIN"
	IMG=oci:$BATS_TEST_TMPDIR/tricks:t
	python3 "$PEERS_TOP/tests/layers/trick_image.py" "${IMG:4:-2}" sweep
	export EXTRACT=d
	sweep alloc unpack extract
	sweep io unpack empty extract
	sweep crash unpack extract
}
@test "unpack: allocations and calls fail under the sanitizers" {
	faulty "$DRAY"
	IMG=oci:$BATS_TEST_TMPDIR/tricks:t
	python3 "$PEERS_TOP/tests/layers/trick_image.py" "${IMG:4:-2}" sweep
	EXTRACT=d STEP=7 sweep alloc unpack extract
	STEP=7 sweep io unpack
}

@test "short reads and writes change nothing" {
	faulty "$DRAY"
	"$DRAY" copy -q "$IMG" "oci:$OUT"
	DRAY_FAULT=short:1 "$FAULTY" copy -q "$IMG" "oci:$BATS_TEST_TMPDIR/short"
	diff -r "$OUT" "$BATS_TEST_TMPDIR/short"
	DRAY_FAULT=short:1 "$FAULTY" verify "$IMG"
	cat "$IMG" | DRAY_FAULT=short:1 "$FAULTY" verify -
}

@test "G-04: the disk is full, at many sizes" {
	require_root
	mkdir "$BATS_TEST_TMPDIR/small" "$BATS_TEST_TMPDIR/src"
	python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import bricks as b
data = b"".join(b.digest(b"%d" % i).encode() for i in range(3000))
open(sys.argv[2], "wb").write(b.Save([b.tar(b.member("f%d" % i, data)) for i in range(2)]).bytes())' \
		"$MUST_FAIL" "$BATS_TEST_TMPDIR/img.tar"
	fitted=0
	for kib in 4 8 12 16 24 32 64 96 128 160 192 224 256 320 384 448 512 768; do
		for to in oci oci-archive; do
			mount -t tmpfs -o "size=${kib}k" dray-small "$BATS_TEST_TMPDIR/small"
			run --separate-stderr "$DRAY" copy -q --tmpdir "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/img.tar" \
				"$to:$BATS_TEST_TMPDIR/small/out"
			echo "$kib $to: $status $stderr"
			if [ "$status" -eq 0 ]; then
				"$DRAY" verify -q "$BATS_TEST_TMPDIR/small/out"
				fitted=$((fitted + 1))
			else
				expect 9 '*No space left*'
				[ -z "$(ls -A "$BATS_TEST_TMPDIR/small")" ]
			fi
			umount "$BATS_TEST_TMPDIR/small"
		done
	done
	[ "$fitted" -gt 2 ] && [ "$fitted" -lt 34 ]
}

@test "G-04: a limit on the size of files" {
	for to in oci oci-archive; do
		run --separate-stderr bash -c 'ulimit -f 1; exec "$@"' - "$DRAY" copy -q "$CASES/Z-01-zstd-frames" "$to:$OUT"
		expect 9 '*File too large*'
		only
	done
}

@test "O-04: /dev/full and readers that leave" {
	run --separate-stderr bash -c '"$@" >/dev/full' - "$DRAY" explain "$IMG"
	expect 9 '*No space left*'
	run --separate-stderr bash -c '"$@" >/dev/full' - "$DRAY" verify --json "$IMG"
	expect 9 '*No space left*'
	run --separate-stderr bash -c '"$@" >/dev/full' - "$DRAY" copy -q "$IMG" oci-archive:-
	expect 9 '*No space left*'
	run --separate-stderr bash -c 'set -o pipefail; "$@" | true' - "$DRAY" copy -q "$CASES/L-config-15M.tar" oci-archive:-
	expect 141
	same "quiet" "$stderr" ""
}

# An archive that a copy works on for seconds: one layer of noise that does not compress, made on the fly.
slow_copy() {
	[ -p "$BATS_TEST_TMPDIR/pipe" ] || mkfifo "$BATS_TEST_TMPDIR/pipe"
	{ head -c 3000 "$IMG"; exec sleep 600; } >"$BATS_TEST_TMPDIR/pipe" 2>/dev/null 3>&- &
	FEEDER=$!
	"$DRAY" copy "$@" - "oci:$OUT" <"$BATS_TEST_TMPDIR/pipe" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" 3>&- &
	COPY=$!
}

signalled() { # SIGNAL STATUS
	local begin code=0
	slow_copy
	wait_until 60 test -d "$OUT/blobs" || return 1
	begin=$(date +%s%N)
	kill -"$1" "$COPY"
	wait "$COPY" || code=$?
	TOOK=$((($(date +%s%N) - begin) / 1000000))
	echo "exit $code after $TOOK ms: $(cat "$BATS_TEST_TMPDIR/stderr")"
	kill "$FEEDER" 2>/dev/null || :
	wait "$FEEDER" 2>/dev/null || :
	[ "$code" -eq "$2" ] && only
}

@test "G-18: SIGINT in a copy: 130, at once, nothing left" {
	# A shell's children in the background ignore SIGINT; dray has to be told not to.
	set -m
	soon 2000 signalled INT 130
}
@test "G-18: SIGTERM in a copy: 143, at once, nothing left" { soon 2000 signalled TERM 143; }

@test "G-02: kill -9 at random moments, then a run that completes" {
	big=$CASES/L-config-15M.tar
	"$DRAY" copy -q "$big" "oci:$BATS_TEST_TMPDIR/golden"
	for delay in 0 0.003 0.006 0.01 0.015 0.02 0.03 0.05 0.08 0.12 0.2; do
		"$DRAY" copy -q "$big" "oci:$OUT" &
		pid=$!
		sleep "$delay"
		kill -9 "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
		[ ! -e "$OUT/index.json" ] || "$DRAY" verify -q "$OUT"
		"$DRAY" copy -q "$big" "oci:$OUT"
		diff -r "$BATS_TEST_TMPDIR/golden" "$OUT"
		rm -rf "$OUT"
	done
}

# What a copy makes must not depend on anything but its input (G-15).
same_bytes() {
	local where=$BATS_TEST_TMPDIR/made
	rm -rf "$where"
	mkdir -m 0777 "$where"
	"$@" copy -q --compression gzip "$BATS_TEST_TMPDIR/src.tar" "oci:$where/out" >/dev/null
	(cd "$where/out" && find . -type f -exec sha256sum {} + | LC_ALL=C sort) >"$BATS_TEST_TMPDIR/now"
	"$@" copy -q --compression gzip "$BATS_TEST_TMPDIR/src.tar" "oci-archive:$where/tar" >/dev/null
	sha256sum <"$where/tar" >>"$BATS_TEST_TMPDIR/now"
	[ -e "$BATS_TEST_TMPDIR/first" ] || cp "$BATS_TEST_TMPDIR/now" "$BATS_TEST_TMPDIR/first"
	cmp "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/now" || {
		echo "differs: $*"
		return 1
	}
}

@test "G-15: same input, same bytes: zone, locale, umask, jobs, user, time" {
	python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import bricks as b
data = b"".join(b.digest(b"%d" % i).encode() for i in range(40000))
open(sys.argv[2], "wb").write(b.Save([b.tar(b.member("f%d" % i, data[i:])) for i in range(3)]).bytes())' \
		"$MUST_FAIL" "$BATS_TEST_TMPDIR/src.tar"
	chmod 0755 "$BATS_TEST_TMPDIR"
	same_bytes "$DRAY"
	same_bytes env TZ=Asia/Kathmandu "$DRAY"
	same_bytes env LC_ALL=tr_TR.UTF-8 LANG=de_DE "$DRAY"
	# shellcheck disable=SC2016
	same_bytes bash -c 'umask 077; exec "$@"' - "$DRAY"
	# shellcheck disable=SC2016
	same_bytes bash -c 'umask 000; exec "$@"' - "$DRAY"
	same_bytes env SOURCE_DATE_EPOCH=1 "$DRAY"
	for jobs in 1 2 5; do
		# shellcheck disable=SC2016
		same_bytes bash -c 'd=$1 j=$2 v=$3; shift 3; exec "$d" "$v" --jobs "$j" "$@"' - "$DRAY" "$jobs"
	done
	if [ "$(id -u)" -eq 0 ] && path_open "$BATS_TEST_TMPDIR" && path_open "$DRAY"; then
		chmod 0777 "$TMPDIR"
		same_bytes setpriv --reuid=65534 --regid=65534 --clear-groups env XDG_CACHE_HOME="$TMPDIR/c" "$DRAY"
	fi
}

# May anybody come here?
path_open() { setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$1"; }

# sparse FILE GIB: a docker-save archive whose one layer holds a file of zeros, hardly any of it on the disk.
sparse() {
	python3 - "$MUST_FAIL" "$1" "$2" <<-'EOF_PY'
		import hashlib, sys
		sys.path.insert(0, sys.argv[1])
		import bricks as b
		size = int(sys.argv[3]) << 30
		head, h, zeros = b.header(b"zeros", size), hashlib.sha256(), bytes(1 << 24)
		h.update(head)
		for _ in range(size >> 24):
		    h.update(zeros)
		h.update(bytes(1024))
		config = b.config(())
		config["rootfs"]["diff_ids"] = ["sha256:" + h.hexdigest()]
		s = b.Save((), config_value=config)
		s.names = ["one/layer.tar"]
		total = len(head) + size + 1024
		with open(sys.argv[2], "wb") as f:
		    f.write(b.header(b"one/layer.tar", total) + head)
		    f.seek(b.BLOCK + total)
		    f.write(b"".join(s.documents()) + bytes(1024))
	EOF_PY
}

# peak MIB COMMAND...: succeeds with no more memory than that.
peak() {
	local max=$1
	shift
	run --separate-stderr python3 -c 'import resource, subprocess, sys
code = subprocess.call(sys.argv[2:], stdout=2)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
print(peak)
sys.exit(code or peak > int(sys.argv[1]))' "$max" "$@"
	echo "${*:1:3}: $output MiB, exit $status: $stderr"
	[ "$status" -eq 0 ]
}

@test "G-16: memory does not grow with the image: 3 GiB, most of it a hole" {
	plain
	sparse "$BATS_TEST_TMPDIR/sparse.tar" 3
	peak 64 "$PLAIN" images "$BATS_TEST_TMPDIR/sparse.tar"
	peak 96 "$PLAIN" verify --jobs 2 "$BATS_TEST_TMPDIR/sparse.tar"
	peak 96 "$PLAIN" copy -q --jobs 2 --compression gzip "$BATS_TEST_TMPDIR/sparse.tar" "oci:$OUT"
	# shellcheck disable=SC2016
	peak 96 bash -c 'cat "$1" | "$2" verify --jobs 2 -' - "$BATS_TEST_TMPDIR/sparse.tar" "$PLAIN"
}

@test "G-16: the verbs work in 256 MiB of address space" {
	plain
	sparse "$BATS_TEST_TMPDIR/sparse.tar" 1
	for verb in images explain verify inspect; do
		(ulimit -v 262144; "$PLAIN" "$verb" --jobs 2 "$BATS_TEST_TMPDIR/sparse.tar" >/dev/null)
		(ulimit -v 262144; "$PLAIN" "$verb" --jobs 2 - <"$BATS_TEST_TMPDIR/sparse.tar" >/dev/null)
		(ulimit -v 262144; "$PLAIN" "$verb" "$CASES/M-12-same-child" >/dev/null)
	done
	(ulimit -v 262144; "$PLAIN" copy -q --jobs 2 --compression zstd "$BATS_TEST_TMPDIR/sparse.tar" "oci:$OUT")
	layout_sound "$OUT"
	for name in L-layers-10000 L-config-15M L-manifest-json-31M; do
		(ulimit -v 262144; "$PLAIN" verify -q "$CASES/$name.tar")
	done
}
