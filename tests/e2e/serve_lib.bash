# shellcheck shell=bash
# What the tests of "serve" share: a server on a free port, what is asked of it, what it logs.
#
# Relies on: lib.bash (sourced here).
# Promises: one server at a time, called "serve" among the peers; it ends with the test, and so do mounts below the test's folder.

# shellcheck source=tests/e2e/lib.bash
. "${BASH_SOURCE[0]%/*}/lib.bash"

serve_setup() {
	verbs_setup || return 1
	export CASE=$BATS_TEST_TMPDIR
	export ROOT=$CASE/root
}

serve_teardown() {
	spare_stop
	peer_stop serve # or what it has mounted stays
	peers_umount "$BATS_TEST_TMPDIR"
	peers_teardown
}

# serve_start ARG...: sets ADDR. Its first line is the address, and comes when it listens; all others are its log. With FAULT
# it is the build with faults, which may be dead before it listens.
serve_start() {
	: >"$CASE/serve.out"
	LOG_AT=$(peer_log serve | wc -c)
	# shellcheck disable=SC2016
	peer_spawn serve env DRAY_FAULT="${FAULT:-}" sh -c 'out=$1; shift; exec "$@" >"$out"' - "$CASE/serve.out" \
		"$DRAY${FAULT:+-faulty}" serve --addr 127.0.0.1:0 "$@"
	wait_until 60 serve_listens_or_dead
	ADDR=$(head -n 1 "$CASE/serve.out")
	[ -n "$ADDR${FAULT:-}" ] || {
		serve_log
		return 1
	}
}
# root_start [ARG...]: on the folder ROOT.
root_start() { serve_start --root "$ROOT" "$@"; }
# proxy_start UPSTREAM [ARG...]: as its cache in ROOT.
proxy_start() { root_start --proxy "$@"; }

serve_listens_or_dead() { [ -s "$CASE/serve.out" ] || serve_gone; }
serve_gone() { ! peer_alive serve; }
serve_log() { peer_log serve | tail -c +$((LOG_AT + 1)); } # of this start
serve_says() { serve_log | grep -q "$1"; }

# get [CURL-ARG...] PATH|URL: what is there, or a failure.
get() {
	local at=${!#}
	[[ $at != /* ]] || at=http://$ADDR$at
	curl -fsS --noproxy '*' "${@:1:$#-1}" "$at"
}
# status_of [CURL-ARG...] URL
status_of() { curl -sS --noproxy '*' -o /dev/null -w '%{http_code}' "$@"; }
# code PATH [CURL-ARG...]: the status; the body is in $CASE/body, the head in $CASE/head. By SCHEME, trusting CA.
code() {
	local path=$1
	shift
	: >"$CASE/body"
	curl -sS --noproxy '*' --path-as-is ${CA:+--cacert "$CA/ca.crt"} -o "$CASE/body" -D "$CASE/head" -w '%{http_code}' \
		"$@" "${SCHEME:-http}://$ADDR$path"
}
# field NAME: of the last head.
field() { sed -n "s/^$1: *//Ip" "$CASE/head" | tr -d '\r'; }
