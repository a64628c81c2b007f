#!/usr/bin/env bats
# "serve" as a service: started by a service manager with its socket, its units, and what it counts.

load serve_lib

setup() { serve_setup; }
teardown() { serve_teardown; }

# managed [MANAGER-ARG...] -- [SERVE-ARG...]: "serve" on ROOT below tests/e2e/manager.py; sets ADDR when it was told that it is
# ready, and fails when it ended before that.
managed() {
	local manager=()
	while [ "$1" != -- ]; do
		manager+=("$1")
		shift
	done
	shift
	rm -f "$CASE"/{notify,unix,told,ports}
	peer_spawn manager python3 "$PEERS_SRC/manager.py" "$CASE" "${manager[@]}" "$DRAY" serve --root "$ROOT" "$@"
	wait_until 60 managed_or_dead
	grep -q '^READY=1$' "$CASE/told" || return 1
	ADDR=127.0.0.1:$(cat "$CASE/ports")
}
managed_or_dead() { grep -qs '^READY=1$' "$CASE/told" || ! peer_alive manager; }

# refused TEXT [MANAGER-ARG...] -- [SERVE-ARG...]: it ends at once, with this on stderr.
refused() {
	local text=$1
	shift
	if managed "$@"; then
		printf 'not refused: %s\n' "$*"
		return 1
	fi
	peer_log manager | tail -n 3 | grep -q "$text"
	same "told" "$(cat "$CASE/told")" ''
}

@test "serve: a service manager passes the socket, hears when clients may come, and that it stops" {
	managed --
	same health "$(get "http://$ADDR/healthz")" '{"status":"ok"}'
	peer_log manager | grep -qFx "$ADDR"
	peer_stop manager
	same told "$(cat "$CASE/told")" "$(printf 'READY=1\nSTOPPING=1')"
	managed --abstract --
	same health "$(get "http://$ADDR/healthz")" '{"status":"ok"}'
	peer_stop manager
	same "told under an abstract name" "$(cat "$CASE/told")" "$(printf 'READY=1\nSTOPPING=1')"
}

@test "serve: sockets that it cannot take are refused, those of others are nothing to it" {
	refused '2 sockets were passed' --tcp 2 --
	refused 'no TCP socket that listens' --unix --
	refused 'no TCP socket that listens' --idle --
	refused 'addr is not for a server' -- --addr 127.0.0.1:0
	managed --stranger -- --addr 127.0.0.1:0
	ADDR=$(peer_log manager | grep '^127\.0\.0\.1:' | tail -n 1)
	[ "$ADDR" != "127.0.0.1:$(cat "$CASE/ports")" ]
	same health "$(get "http://$ADDR/healthz")" '{"status":"ok"}'
}

@test "serve: systemd-socket-activate starts it for its first client" {
	require_peer systemd-socket-activate
	# It takes no port 0; one that is taken is tried another time.
	for _ in $(seq 20); do
		ADDR=127.0.0.1:$((20000 + RANDOM % 10000))
		peer_spawn activate systemd-socket-activate -l "$ADDR" "$DRAY" serve --root "$ROOT"
		wait_until 60 activate_listens_or_dead
		! peer_alive activate || break
	done
	[ ! -e "$ROOT" ]
	same health "$(get "http://$ADDR/healthz")" '{"status":"ok"}'
	same catalog "$(get "http://$ADDR/v2/_catalog" | jq -c .)" '{"repositories":[]}'
	[ -e "$ROOT/registry.sqlite" ]
}
activate_listens_or_dead() { peer_log activate | grep -qF "Listening on $ADDR" || ! peer_alive activate; }

@test "serve: its units are sound, and leave it little to do harm with" {
	local units=$CASE/units
	require_peer systemd-analyze
	mkdir "$units"
	cp "$PEERS_TOP/dist/systemd/dray-serve.socket" "$units"
	sed "s|@bindir@/dray|$DRAY|" "$PEERS_TOP/dist/systemd/dray-serve.service.in" >"$units/dray-serve.service"
	SYSTEMD_UNIT_PATH=$units: systemd-analyze verify --man=no "$units"/dray-serve.{socket,service} 2>"$CASE/said"
	absent "complaints" "$(grep dray-serve "$CASE/said" || :)"
	systemd-analyze security --offline=true --threshold=20 "$units/dray-serve.service" >"$CASE/exposure" || {
		cat "$CASE/exposure"
		return 1
	}
}

@test "serve: /metrics is what Prometheus reads, where it was asked for" {
	local layer
	managed --
	same "without the option" "$(status_of "http://$ADDR/metrics")" 404
	peer_stop manager

	managed -- --metrics --quota 1GB
	get -o /dev/null "http://$ADDR/v2/"
	same unknown "$(status_of "http://$ADDR/v2/a/b/manifests/none")" 404
	same "none of ours" "$(status_of "http://$ADDR/v2/no/such")" 404
	get -X POST -o /dev/null "http://$ADDR/v2/a/b/blobs/uploads/"
	layer=sha256:$(printf layer | sha256sum | cut -d ' ' -f 1)
	get -X POST --data-binary layer -H 'Content-Type: application/octet-stream' \
		"http://$ADDR/v2/a/b/blobs/uploads/?digest=$layer"
	same blob "$(get "http://$ADDR/v2/a/b/blobs/$layer")" layer
	# A request is counted when it is over, which its client may know a moment earlier.
	wait_until 60 metrics_sound 2>"$CASE/unsound" || {
		tail -n 5 "$CASE/unsound"
		cat "$CASE/metrics"
		return 1
	}
	grep -qi '^content-type: text/plain; version=0.0.4; charset=utf-8.$' "$CASE/head"
	same "no method but GET" "$(status_of -X POST "http://$ADDR/metrics")" 405
}

# The exposition format, read strictly: HELP, TYPE, then the samples of a name, each label set once.
metrics_sound() {
	get -D "$CASE/head" -o "$CASE/metrics" "http://$ADDR/metrics"
	python3 - "$CASE/metrics" <<-'EOF_PYTHON'
		import re, sys
		text = open(sys.argv[1], newline="").read()
		assert text.endswith("\n") and "\r" not in text
		NAME, LABEL = r"[a-zA-Z_:][a-zA-Z0-9_:]*", r'[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*"'
		sample = re.compile(rf"({NAME})(\{{{LABEL}(?:,{LABEL})*\}})? ([0-9]+(?:\.[0-9]+)?)$")
		types, samples, family, helped = {}, {}, None, None
		for line in text.splitlines():
		    if m := re.match(rf"# HELP ({NAME}) (\S.*)$", line):
		        helped = m[1]
		        assert helped not in types, line
		    elif m := re.match(rf"# TYPE ({NAME}) (counter|gauge|histogram)$", line):
		        family = m[1]
		        assert family == helped and family not in types, line
		        types[family] = m[2]
		    else:
		        m = sample.match(line)
		        assert m, line
		        name = m[1]
		        if types[family] == "histogram":
		            name = re.sub("_(bucket|sum|count)$", "", name)
		        assert name == family, line
		        assert (m[1], m[2]) not in samples, line
		        assert (types[family] == "counter") == name.endswith("_total"), line
		        samples[m[1], m[2]] = float(m[3])
		h = "dray_http_request_duration_seconds"
		for (name, labels), n in samples.items():
		    if name == h + "_count":
		        route = labels[:-1]
		        row = [v for (k, l), v in samples.items() if k == h + "_bucket" and l.startswith(route + ",")]
		        assert row == sorted(row) and row[-1] == n and (h + "_sum", labels) in samples, labels
		def requests(route, method, code):
		    return samples["dray_http_requests_total", f'{{route="{route}",method="{method}",code="{code}"}}']
		assert requests("base", "GET", "2xx") == 1
		assert requests("manifest", "GET", "4xx") == 1
		assert requests("other", "GET", "4xx") == 1
		assert requests("uploads", "POST", "2xx") == 2
		assert requests("blob", "GET", "2xx") == 1
		def one(name):
		    return samples[name, None]
		assert one("dray_http_received_bytes_total") == 5
		assert one("dray_http_connections") >= 1 and one("dray_http_connections_max") == 512
		assert one("dray_blobs") == 1 and one("dray_storage_bytes") == 5 and one("dray_uploads") == 1
		assert one("dray_storage_quota_bytes") == 10**9 and one("dray_repositories") == 1
		assert one("process_resident_memory_bytes") > 1e6 and one("process_open_fds") > 5
		# However it is called, no client's name of anything is in there.
		assert "a/b" not in text and "127.0.0.1" not in text
	EOF_PYTHON
}

# lets_go FILE: the server has it open nowhere.
lets_go() { peer_alive serve && ! stat -L -c %i "/proc/$(peer_pid serve)/fd/"* | grep -qx "$(stat -c %i "$1")"; }

@test "serve: SIGHUP opens a log anew that was moved away, and ends nothing; with a terminal it stops" {
	local log=$PEERS_DIR/d/serve/log i
	root_start
	for i in 1 2; do
		get -o /dev/null "/v2/?before=$i"
		wait_until 60 grep -q "before=$i" "$log"
		# What the umask would take from a new file.
		chmod 0662 "$log"
		mv "$log" "$CASE/old.$i"
		kill -HUP "$(peer_pid serve)"
		wait_until 60 test -e "$log"
		get -o /dev/null "/v2/?after=$i"
		wait_until 60 grep -q "after=$i" "$log"
		absent "in the old log" "$(grep "after=$i" "$CASE/old.$i")"
		same "its mode" "$(stat -c %a "$log")" "$(stat -c %a "$CASE/old.$i")"
	done
	# Nothing else leads to the old one, as where standard output is the same file.
	peer_stop serve
	: >"$CASE/all"
	peer_spawn serve sh -c 'log=$1; shift; exec "$@" >>"$log" 2>&1' - "$CASE/all" "$DRAY" serve --addr 127.0.0.1:0 --root "$ROOT"
	wait_until 60 grep -q '^127' "$CASE/all"
	mv "$CASE/all" "$CASE/old.all"
	kill -HUP "$(peer_pid serve)"
	wait_until 60 test -e "$CASE/all"
	wait_until 60 lets_go "$CASE/old.all"
	peer_stop serve
	root_start
	# A log that cannot be opened is written on.
	mv "$log" "$CASE/old.3"
	mkdir "$log"
	kill -HUP "$(peer_pid serve)"
	wait_until 60 grep -q 'the log is not opened anew' "$CASE/old.3"
	get -o /dev/null "/v2/?still"
	wait_until 60 grep -q still "$CASE/old.3"
	rmdir "$log"
	# Nor is a named pipe a log, be it read or not.
	mkfifo "$log"
	kill -HUP "$(peer_pid serve)"
	get -o /dev/null "/v2/?unread"
	wait_until 60 grep -q unread "$CASE/old.3"
	exec {reader}<>"$log"
	kill -HUP "$(peer_pid serve)"
	wait_until 60 grep -q 'log is no regular file' "$CASE/old.3"
	exec {reader}<&-
	rm "$log"
	peer_stop serve
	python3 - "$DRAY" serve --addr 127.0.0.1:0 --root "$ROOT" <<-'EOF_PY'
		import os, pty, signal, sys
		def start(on_hangup):
		    pid, terminal = pty.fork()
		    if pid == 0:
		        signal.signal(signal.SIGHUP, on_hangup)
		        os.execv(sys.argv[1], sys.argv[1:])
		    said = b""
		    while b"127.0.0.1:" not in said or b"repositories" not in said:
		        said += os.read(terminal, 4096)
		    return pid, terminal
		def ends_well(pid):
		    status = os.waitpid(pid, 0)[1]
		    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, status
		pid, _ = start(signal.SIG_DFL)
		os.kill(pid, signal.SIGHUP)
		ends_well(pid)
		# What is ignored and not held for somebody to read is nothing to anybody.
		pid, terminal = start(signal.SIG_IGN)
		status = dict(l.split(":", 1) for l in open(f"/proc/{pid}/status"))
		hangup = [int(status[k], 16) >> (signal.SIGHUP - 1) & 1 for k in ("SigIgn", "SigBlk")]
		assert hangup == [1, 0], hangup
		os.kill(pid, signal.SIGHUP)
		os.kill(pid, signal.SIGTERM)
		ends_well(pid)
	EOF_PY
}
