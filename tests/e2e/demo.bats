#!/usr/bin/env bats
# script/demo, the first thing a stranger runs: it tells the whole story, leaves nothing behind, and ends on Ctrl-C.

load peers

setup() {
	require_dray
	require_peer jq curl python3 tar
	# Its scratch folder holds unix sockets, whose paths are short.
	DEMO_TMP=$(mktemp -d /tmp/dray-demo.XXXXXX)
	export DEMO_TMP DRAY
}

teardown() { rmdir "$DEMO_TMP"; }

# demo [NAME=VALUE...]: in the environment of a stranger, not in the suite's.
demo() { env -u PEERS_DIR -u DOCKER_HOST TMPDIR="$DEMO_TMP" "$@" "$PEERS_TOP/script/demo"; }

# tells LINE-PATTERN...: in this order.
tells() {
	local rest=$output pattern
	for pattern; do
		[[ $rest == *$pattern* ]] || {
			printf 'not told, or not in this place: %s\n%s\n' "$pattern" "$output"
			return 1
		}
		rest=${rest#*"$pattern"}
	done
}

@test "demo: from docker save through a pipe into a registry and back, all private" {
	require_root
	require_peer dockerd docker busybox
	run demo
	[ "$status" -eq 0 ]
	tells "COPY a /a" "layer.tar -> ../" "dray explain sym.tar" "both are layer 1's bytes, same DiffID" \
		"dray serve" "docker save demo/sym:1 | dray push -" "3 blobs sent" "0 blobs sent (0 B), 3 already there" "docker pull" \
		"hello from dray sym" "dray why" "exit status 0" "v1_id " "blob_digest sha256:" "ok: 4 layers" \
		"diff-id-mismatch" "exit status 1" "Done in"
	[ -z "$(ls -A "$DEMO_TMP")" ]
}

@test "demo: without an engine, from an archive made by a script" {
	run demo PEERS_DOCKER_DRIVER=none-such PEERS_DOCKERD_TIMEOUT=20
	[ "$status" -eq 0 ]
	tells "made by a script" "layer.tar -> ../" "both are layer 1's bytes, same DiffID" "dray serve" \
		"cat sym.tar | dray push -" \
		"3 blobs sent" "0 blobs sent (0 B), 3 already there" "exit status 0" "diff-id-mismatch" "Done in"
	[ -z "$(ls -A "$DEMO_TMP")" ]
}

@test "demo: Ctrl-C leaves nothing behind" {
	# A terminal's Ctrl-C reaches the whole group; a shell's background jobs would ignore it.
	run python3 - "$PEERS_TOP/script/demo" "$DEMO_TMP" <<-'EOF_PYTHON'
		import os, signal, subprocess, sys, time
		env = {k: v for k, v in os.environ.items() if k not in ("PEERS_DIR", "DOCKER_HOST")}
		demo = subprocess.Popen([sys.argv[1]], env={**env, "TMPDIR": sys.argv[2]}, stdout=subprocess.PIPE, text=True,
		                        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
		for line in demo.stdout:
		    if "dray explain sym.tar" in line:
		        os.killpg(demo.pid, signal.SIGINT)
		sys.exit(demo.wait())
	EOF_PYTHON
	[ "$status" -eq 130 ]
	[ -z "$(ls -A "$DEMO_TMP")" ]
}
