#!/usr/bin/env bats
# Pushes that are cut short, and registries that go away in the middle.

# `run` sets stderr.
# shellcheck disable=SC2154
load lib

setup() { verbs_setup; }
teardown() { peers_teardown; }

# Bytes that lie in unfinished uploads of the registry "main".
upload_bytes() {
	find "$(registry_storage main)" -path '*/_uploads/*/data' -printf '%s\n' 2>/dev/null | awk '{ n += $1 } END { print n + 0 }'
}
upload_reaches() { [ "$(upload_bytes)" -ge "$1" ]; }

# fed_push BYTES COMMAND...: pushes $IMAGE from a pipe; COMMAND runs when BYTES have gone in, then the rest follows.
# The push's own arguments are in PUSH.
fed_push() {
	local bytes=$1
	shift
	{
		head -c "$bytes" "$IMAGE"
		sleep 0.3
		"$@" >&2
		tail -c "+$((bytes + 1))" "$IMAGE"
	} | "$DRAY" push "${PUSH[@]}"
}

# ---------------------------------------------------------------------------------------------------------------------
# The registry goes away

restart_main() { registry_restart main "$@" >/dev/null; }

@test "resume: registry restarted in mid-upload, push from a pipe (SIGTERM, kill -9, twice)" {
	image_need big
	registry_start main plain
	dray_run push --no-cache "$IMAGE" "$REGISTRY_ADDR/r/want:1"
	ok
	want=$DIGEST
	for how in "" kill; do
		PUSH=(--no-cache --jobs 1 - "$REGISTRY_ADDR/r/pipe-$how:1")
		[ -n "$how" ] || PUSH=(--no-cache - "$REGISTRY_ADDR/r/pipe:1")
		registry_wipe main
		# shellcheck disable=SC2086
		run --separate-stderr fed_push 11000000 restart_main $how
		ok
		same "digest" "$DIGEST" "$want"
		same "walk" "$(remote_walk "$REGISTRY_ADDR" "r/pipe${how:+-kill}" 1)" "$want"
	done
}

@test "resume: registry restarted in mid-upload, push from a file" {
	image_need big
	registry_start main plain
	for how in "" kill; do
		registry_wipe main
		pid=
		until [ -n "$pid" ]; do
			"$DRAY" push --no-cache "$IMAGE" "$REGISTRY_ADDR/r/file:1" >"$BATS_TEST_TMPDIR/out" \
				2>"$BATS_TEST_TMPDIR/err" 3>&- &
			pid=$!
			wait_until 60 eval "upload_reaches 100000 || pid_gone $pid"
			kill -STOP "$pid" 2>/dev/null || :
			# It may have been through before we looked.
			pid_alive "$pid" || pid=
			[ -n "$pid" ] || registry_wipe main
		done
		# shellcheck disable=SC2086
		restart_main $how
		kill -CONT "$pid"
		wait "$pid" || { cat "$BATS_TEST_TMPDIR/err" && false; }
		same "walk" "$(remote_walk "$REGISTRY_ADDR" r/file 1)" "$(sed 's/.*@//' "$BATS_TEST_TMPDIR/out")"
	done
}

@test "resume: registry down for good: exit 5 in bounded time, nothing tagged" {
	image_need big
	registry_start main plain
	PUSH=(--no-cache --retry 1 - "$REGISTRY_ADDR/r/down:1")
	run --separate-stderr fed_push 11000000 registry_kill9 main
	[ "$status" -eq 5 ] || [ "$status" -eq 141 ] || expect 5
	registry_start main plain
	absent "tag" "$(remote_walk "$REGISTRY_ADDR" r/down 1)"
}

# ---------------------------------------------------------------------------------------------------------------------
# The push is killed

@test "resume: G-02 kill -9 in mid-push, push again" {
	image_need big
	registry_start main plain
	dray_run push --no-cache "$IMAGE" "$REGISTRY_ADDR/k/want:1"
	ok
	want=$DIGEST
	registry_wipe main
	midway=0
	n=0
	for reach in 1 200000 3000000 9000000 1 1 1 1 1 1; do
		"$DRAY" push --jobs 1 "$IMAGE" "$REGISTRY_ADDR/k/file:1" >/dev/null 2>&1 3>&- &
		pid=$!
		wait_until 60 eval "upload_reaches $reach || pid_gone $pid"
		kill9 "$pid"
		# A fast one may have been through before it was hit.
		found=$(remote_walk "$REGISTRY_ADDR" k/file 1)
		[ -z "$found" ] || same "finished" "$found" "$want"
		[ -n "$found" ] || midway=$((midway + 1))
		rm -rf "$(registry_storage main)"/docker/registry/v2/repositories/k/file/_uploads
		# Four are enough when two of them were hit in time.
		[ $((++n)) -lt 4 ] || [ "$midway" -lt 2 ] || break
		[ -z "$found" ] || registry_wipe main
	done
	[ "$midway" -ge 2 ]
	dray_run push "$IMAGE" "$REGISTRY_ADDR/k/file:1"
	ok
	same "digest" "$DIGEST" "$want"
	same "walk" "$(remote_walk "$REGISTRY_ADDR" k/file 1)" "$want"
	head -c 20000000 "$IMAGE" >"$BATS_TEST_TMPDIR/cut"
	dray_piped "$BATS_TEST_TMPDIR/cut" push - "$REGISTRY_ADDR/k/pipe:1"
	expect 6
	absent "tag" "$(remote_walk "$REGISTRY_ADDR" k/pipe 1)"
	dray_piped "$IMAGE" push - "$REGISTRY_ADDR/k/pipe:1"
	ok
	same "walk" "$(remote_walk "$REGISTRY_ADDR" k/pipe 1)" "$want"
}

interrupted() { # SIGNAL STATUS
	local pid begun code=0
	fakereg_forget "$FAKEREG_ADDR"
	# A background job of a shell ignores SIGINT; dray listens all the same.
	"$DRAY" push --no-cache "$IMAGE" "$FAKEREG_ADDR/s/x:1" >/dev/null 2>&1 3>&- &
	pid=$!
	wait_until 60 eval "fakereg_requests $FAKEREG_ADDR | grep -q POST" || return 1
	begun=$(date +%s%N)
	kill -"$1" "$pid"
	wait "$pid" || code=$?
	TOOK=$((($(date +%s%N) - begun) / 1000000))
	same "status" "$code" "$2" && absent "tag" "$(remote_walk "$FAKEREG_ADDR" s/x 1)" || return 1
	wait_until 60 eval "fakereg_requests $FAKEREG_ADDR .method | grep -q DELETE"
}

@test "resume: G-18 interrupted: 130 or 143 at once, upload session given up, no tag" {
	image_need big
	for pair in INT:130 TERM:143; do
		fakereg_start sig --fault "trickle=2000000@PATCH|PUT"
		soon 3000 interrupted "${pair%:*}" "${pair#*:}"
		fakereg_stop sig
	done
}

# ---------------------------------------------------------------------------------------------------------------------
# G-09: the tag is last

# cut_after REPO WANT OLD HOW: after every number of requests the tag is old, or whole.
cut_after() {
	local repo=$1 want=$2 old=$3 n found last=
	for n in $(seq 0 60); do
		fakereg_faults "$FAKEREG_ADDR" "drop-after-request=$n${4:+,$4}"
		dray_run push --no-cache --no-reuse --jobs 1 --retry 0 "$IMAGE" "$FAKEREG_ADDR/$repo-$n:1"
		last=$status
		fakereg_faults "$FAKEREG_ADDR"
		found=$(remote_walk "$FAKEREG_ADDR" "$repo-$n" 1) || return 1
		case $last,$found in
		0,"$want" | 5,"$want" | 5,"$old") ;;
		*)
			printf 'after %s requests: status %s, tag %s\n%s\n' "$n" "$last" "$found" "$stderr"
			return 1
			;;
		esac
		[ "$last" -ne 0 ] || break
		same "the next push" "$("$DRAY" push -q --no-cache "$IMAGE" "$FAKEREG_ADDR/$repo-$n:1")" \
			"$FAKEREG_ADDR/$repo-$n@$want" || return 1
		remote_walk "$FAKEREG_ADDR" "$repo-$n" 1 >/dev/null || return 1
	done
	[ "$last" -eq 0 ] && [ "$n" -gt 10 ]
}

@test "resume: G-09 the registry dies after request N, for every N: no tag, or a whole image" {
	image_need sym
	fakereg_start g09
	dray_run push --no-cache "$IMAGE" "$FAKEREG_ADDR/want/x:1"
	ok
	cut_after "absent/x" "$DIGEST" ""
}

@test "resume: G-09 the same when the work was done but the answer lost" {
	image_need sym
	fakereg_start g09
	dray_run push --no-cache "$IMAGE" "$FAKEREG_ADDR/want/x:1"
	ok
	cut_after "done/x" "$DIGEST" "" "done"
}

@test "resume: G-09 an old tag stays until the new image is whole" {
	image_need sym
	fakereg_start g09
	dray_run push --no-cache "$IMAGE" "$FAKEREG_ADDR/want/x:1"
	ok
	want=$DIGEST
	for n in 1 3 6 9 12; do
		fakereg_faults "$FAKEREG_ADDR"
		dray_run push --no-cache --image @0 "$(image_need multi && echo "$IMAGE")" "$FAKEREG_ADDR/old/x-$n:1"
		ok
		old=$DIGEST
		fakereg_faults "$FAKEREG_ADDR" "drop-after-request=$n"
		dray_run push --no-cache --no-reuse --jobs 1 --retry 0 "$(image_path sym)" "$FAKEREG_ADDR/old/x-$n:1"
		fakereg_faults "$FAKEREG_ADDR"
		found=$(remote_walk "$FAKEREG_ADDR" "old/x-$n" 1)
		[ "$found" = "$old" ] || [ "$found" = "$want" ]
		[ "$status" -ne 0 ] || [ "$found" = "$want" ]
	done
}

# ---------------------------------------------------------------------------------------------------------------------
# G-07: a registry that stumbles

# stumbling FAULT...: a push of sym by file and by pipe ends well all the same.
stumbling() {
	local fault want=$WANT
	for fault; do
		fakereg_faults "$FAKEREG_ADDR" "$fault"
		dray_run push --no-cache "$IMAGE" "$FAKEREG_ADDR/file/x$((++COUNT)):1"
		ok || { echo "with $fault, file" && return 1; }
		same "$fault, file" "$DIGEST" "$want" || return 1
		fakereg_faults "$FAKEREG_ADDR" "$fault"
		dray_piped "$IMAGE" push --no-cache - "$FAKEREG_ADDR/pipe/x$COUNT:1"
		ok || { echo "with $fault, pipe" && return 1; }
		same "$fault, pipe" "$DIGEST" "$want" || return 1
		fakereg_faults "$FAKEREG_ADDR"
		same "walk, $fault" "$(remote_walk "$FAKEREG_ADDR" "file/x$COUNT" 1)" "$want" || return 1
		same "walk, $fault" "$(remote_walk "$FAKEREG_ADDR" "pipe/x$COUNT" 1)" "$want" || return 1
	done
}

stumble_setup() {
	image_need "$1"
	COUNT=0
	fakereg_start stumble
	dray_run push --no-cache "$IMAGE" "$FAKEREG_ADDR/want/x:1"
	ok
	WANT=$DIGEST
}

@test "resume: G-07 connections reset in mid-upload" {
	stumble_setup sym
	stumbling reset=1,times=1 reset=500000,times=1 reset=500000,times=3 cut=300000,times=1 "reset=0,times=1@PUT"
	[ "$(fakereg_requests "$FAKEREG_ADDR" 'select(.outcome == "reset")' | wc -l)" -ge 5 ]
}

@test "resume: G-07 sessions lost, shortened or moved" {
	stumble_setup sym
	stumbling short-commit=2,nth=1 short-commit=100000,nth=1 lose-session,nth=1 location=relative location=query location=moving \
		patch-201 no-range-header no-single-post
}

@test "resume: G-07 an answer that got lost after the work was done" {
	stumble_setup sym
	stumbling drop,times=1,done@PUT drop,times=1,done@PATCH drop,times=1,done@POST drop,times=1,done@PUT:/manifests/ drop,times=2@HEAD
}

@test "resume: G-12 busy registries are tried again, refusing ones are not" {
	stumble_setup sym
	stumbling 429=1,2 5xx=503,2@PATCH 5xx=502,1@POST 5xx=500,1@HEAD 5xx=503,1@PUT:/manifests/
	fakereg_forget "$FAKEREG_ADDR"
	fakereg_faults "$FAKEREG_ADDR" "5xx=403,100@POST"
	dray_run push --no-cache "$IMAGE" "$FAKEREG_ADDR/no/x:1"
	expect 4
	fakereg_faults "$FAKEREG_ADDR" "5xx=503,1000"
	dray_run push --no-cache --retry 1 "$IMAGE" "$FAKEREG_ADDR/no/x:1"
	expect 5
}

@test "resume: a large layer from a pipe survives a reset far into it" {
	stumble_setup big
	stumbling reset=9000000,times=1
}
