#!/usr/bin/env bats
# The registry client alone, through remote-tool: credentials and addresses (N-), transfers that break (G-).

load peers

setup() {
	TOOL=${REMOTE_TOOL:-$PEERS_TOP/build/tests/tools/remote-tool}
	[ -x "$TOOL" ] || skip "no remote-tool at $TOOL: set REMOTE_TOOL"
	LOG=$BATS_TEST_TMPDIR/log
	BIG=$BATS_FILE_TMPDIR/big SMALL=$BATS_FILE_TMPDIR/small
	D=sha256:$(sha256sum <"$BIG" | cut -d ' ' -f 1)
	DS=sha256:$(sha256sum <"$SMALL" | cut -d ' ' -f 1)
	OUT=$BATS_TEST_TMPDIR/out
	export DRAY_RETRY_MS=30
}

setup_file() {
	head -c 3000000 /dev/urandom >"$BATS_FILE_TMPDIR/big"
	head -c 5000 /dev/urandom >"$BATS_FILE_TMPDIR/small"
}

teardown() { peers_teardown; }

# fake ARG...: a fresh fakereg; A is its address, B and C those of --also.
fake() {
	rm -f "$LOG"
	fakereg_start "f$((++FAKES))" --log "$LOG" "$@"
	A=$(sed -n 1p <<<"$FAKEREG_ADDRS") B=$(sed -n 2p <<<"$FAKEREG_ADDRS") C=$(sed -n 3p <<<"$FAKEREG_ADDRS")
}

# faults LINE...: replace them all; the log begins anew.
faults() {
	: >"$LOG" # fakereg appends
	printf '%s\n' "$@" | curl -fsS --noproxy '*' -o /dev/null --data-binary @- "http://$A/_fault"
}

# count FILTER: requests of the log that it holds for.
count() { jq -s "map(select($1)) | length" "$LOG"; }
put() { "$TOOL" "$@"; }
seed() { "$TOOL" -p "${@:2}" put "$A/a/b:1" "$1" >/dev/null; }
fetch() {
	rm -f "$OUT"
	"$TOOL" -p "$@" get "$A/a/b:1" "$D" 3000000 >"$OUT"
}
same() { cmp "$BIG" "$OUT"; }
has_text() { [[ $output == *"$1"* ]] || { printf 'no "%s" in: %s\n' "$1" "$output" >&2; false; }; }
lacks() { [[ $output != *"$1"* ]] || { printf '"%s" in: %s\n' "$1" "$output" >&2; false; }; }

AUTH='.headers.authorization'

# ---------------------------------------------------------------------------------------------------------------------
# The straight way

@test "put, has, get: https first, http because it is loopback" {
	fake
	run "$TOOL" -v put "$A/a/b:1" "$BIG"
	[ "$status" -eq 0 ]
	has_text "$D 3000000"
	run "$TOOL" has "$A/a/b:1" "$D"
	[ "$output" = 3000000 ]
	run "$TOOL" has "$A/a/c:1" "$D"
	[ "$output" = no ]
	"$TOOL" get "$A/a/b:1" "$D" 3000000 >"$OUT"
	same
}

@test "put of a pipe, of nothing, of one byte, of a known small blob" {
	fake
	"$TOOL" -p put "$A/a/b:1" - <"$BIG"
	run "$TOOL" -p put "$A/a/b:1" - <<<""
	[ "$status" -eq 0 ]
	run bash -c "'$TOOL' -p put $A/a/b:1 - </dev/null"
	has_text "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0"
	faults
	"$TOOL" -p put "$A/a/b:1" "$SMALL" "$DS" 5000
	[ "$(count '.method == "PATCH"')" -eq 0 ]
	[ "$(count '.method == "PUT" and .body == 5000')" -eq 1 ]
}

@test "mount: done, declined, refused" {
	fake
	seed "$BIG"
	run "$TOOL" -p mount "$A/c/d:1" "$D" a/b
	[ "$output" = mounted ]
	for fault in no-mount mount-401 mount-401=404; do
		faults "$fault"
		run "$TOOL" -p mount "$A/e/f:1" "$D" a/b
		[ "$status" -eq 0 ]
		[ "$output" = declined ]
	done
	faults no-mount
	"$TOOL" -p mount "$A/e/f:1" "$D" a/b
	[ "$(count '.method == "DELETE"')" -eq 1 ]
}

@test "manifests: put, head, get; registry errors are shown" {
	fake --no-verify-refs
	printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":5000},"layers":[]}' "$DS" >"$OUT.m"
	"$TOOL" -p tag "$A/a/b:1" "$OUT.m"
	"$TOOL" -p manifest "$A/a/b:1" | cmp - "$OUT.m"
	run "$TOOL" -p head "$A/a/b:1"
	[ "$output" = "sha256:$(sha256sum <"$OUT.m" | cut -d ' ' -f 1)" ]
	run "$TOOL" -p head "$A/a/b:2"
	[ "$output" = no ]
	faults manifest-reject-oci
	run "$TOOL" -p tag "$A/a/b:1.2" "$OUT.m"
	[ "$status" -ne 0 ]
	has_text "network: $A/a/b: PUT manifest 1.2: registry says MANIFEST_INVALID: manifest invalid"
	has_text "(HTTP 400)"
	[ "$(count '.method == "PUT"')" -eq 1 ]
	run "$TOOL" -p manifest "$A/a/b:none"
	has_text "not-found:"
	faults digest-lie
	run "$TOOL" -p manifest "$A/a/b:1"
	has_text "integrity:"
	faults ct-lie=application/vnd.oci.image.index.v1+json
	run "$TOOL" -p manifest "$A/a/b:1"
	[ "$status" -ne 0 ]
	faults error-secret@/manifests html-errors
	run "$TOOL" -p manifest "$A/a/b:none"
	lacks $'\e'
}

# ---------------------------------------------------------------------------------------------------------------------
# Who we are

@test "basic and bearer, by --creds, auth file, config.json and helper" {
	local auth bin=$BATS_TEST_TMPDIR/bin
	mkdir -p "$bin"
	for auth in basic bearer; do
		fake --auth "$auth" --user u --password 'p:w'
		run "$TOOL" -p put "$A/a/b:1" "$BIG"
		has_text "authentication:"
		has_text "hint: log in"
		run "$TOOL" -p -c 'u:wrong' put "$A/a/b:1" "$BIG"
		has_text "authentication:"
		"$TOOL" -p -c 'u:p:w' put "$A/a/b:1" "$BIG"
		printf '{"auths":{"%s":{"auth":"%s"}}}' "$A/a" "$(printf 'u:p:w' | base64)" >"$OUT.auth"
		"$TOOL" -p -a "$OUT.auth" put "$A/a/b:1" "$BIG"
		REGISTRY_AUTH_FILE=$OUT.auth "$TOOL" -p put "$A/a/b:1" "$BIG"
		printf '#!/bin/sh\nread -r host\n[ "$host" = %s ] && echo "{\\"Username\\":\\"u\\",\\"Secret\\":\\"p:w\\"}"\n' "$A" >"$bin/docker-credential-ours"
		chmod +x "$bin/docker-credential-ours"
		mkdir -p "$BATS_TEST_TMPDIR/docker"
		printf '{"credHelpers":{"%s":"ours"}}' "$A" >"$BATS_TEST_TMPDIR/docker/config.json"
		DOCKER_CONFIG=$BATS_TEST_TMPDIR/docker PATH=$bin:$PATH "$TOOL" -p put "$A/a/b:1" "$BIG"
	done
}

@test "identity token: POST, and GET where there is no POST" {
	fake --auth bearer --user u --password p --refresh-token idtoken-1234
	printf '{"auths":{"%s":{"identitytoken":"idtoken-1234"}}}' "$A" >"$OUT.auth"
	"$TOOL" -p -a "$OUT.auth" put "$A/a/b:1" "$BIG"
	[ "$(count '.kind == "token" and .method == "POST"')" -ge 1 ]
	faults '5xx=404@POST:^/token'
	run "$TOOL" -p -a "$OUT.auth" put "$A/a/b:1" "$BIG"
	[ "$(count '.kind == "token" and .method == "GET"')" -ge 1 ]
}

@test "tokens are asked for once and shared; scopes of a mount are united" {
	fake --auth bearer --user u --password p
	"$TOOL" -p -c u:p put "$A/a/b:1" "$BIG"
	[ "$(count '.kind == "token"')" -eq 1 ]
	faults
	run "$TOOL" -p -c u:p mount "$A/c/d:1" "$D" a/b
	[ "$output" = mounted ]
	[ "$(count '.kind == "token"')" -eq 1 ]
	jq -s -e 'map(select(.kind == "token")) | last | .query | test("scope=repository%3Ac%2Fd%3A[a-z%2C,]+&scope=repository%3Aa%2Fb%3Apull"; "i")' "$LOG"
}

@test "a token that dies in mid-upload is renewed and the upload goes on" {
	fake --auth bearer --user u --password p --token-uses 2
	"$TOOL" -p -c u:p put "$A/a/b:1" "$BIG"
	fake --auth bearer --user u --password p --token-ttl 1 --token-claim 300 --fault reset=2000000,times=1
	run "$TOOL" -v -p -c u:p slow "$A/a/b:1" "$BIG" 80
	[ "$status" -eq 0 ]
	has_text "$D"
	[ "$(count '.kind == "token"')" -ge 2 ]
	[ "$(count '.status == 401 and .kind == "upload"')" -ge 1 ]
}

@test "eight uploads at once share one token" {
	fake --auth bearer --user u --password p --fault reset=1000000,times=3
	"$TOOL" -p -c u:p many "$A/a/b:1" "$BIG" 8
	[ "$(count '.kind == "token"')" -eq 1 ]
	[ "$(count '.method == "PUT" and .status == 201')" -eq 8 ]
}

@test "N-01 no credentials and no cookie go to a redirect's target" {
	local code
	fake --auth basic --user u --password p --also 127.0.0.1:0 --fault cookie
	seed "$BIG" -c u:p
	for code in 301 302 303 307 308; do
		faults "redirect={1},$code" cookie
		fetch -c u:p
		same
		[ "$(count '.listener == "1"')" -ge 1 ]
		[ "$(count ".listener == \"1\" and ($AUTH or .headers.cookie)")" -eq 0 ]
	done
}

@test "N-02 once dropped, credentials do not come back within the chain" {
	fake --auth basic --user u --password p --anonymous-pull --also 127.0.0.1:0
	seed "$BIG" -c u:p
	faults 'redirect={1},on=0,times=1@GET:/blobs/' 'redirect={0},on=1,times=1@GET:/blobs/'
	fetch -c u:p
	same
	jq -s -e 'map(select(.kind == "blob" and .listener == "0")) | last | .headers.authorization == null' "$LOG"
}

@test "N-04 a redirect's target that wants a token gets an anonymous one of its own" {
	fake --auth bearer --user u --password p --anonymous-pull --also 127.0.0.1:0,auth
	seed "$BIG" -c u:p
	faults 'redirect={1},on=0@GET:/blobs/'
	fetch -c u:p
	same
	[ "$(count '.listener == "1" and .kind == "token" and .headers.authorization')" -eq 0 ]
	jq -s -e 'map(select(.listener == "1" and .kind == "blob")) | first | .headers.authorization == null' "$LOG"
}

@test "N-05 credentials do not go to a realm elsewhere; the log says why" {
	fake --auth bearer --user u --password s3cret --also 127.0.0.1:0
	faults "realm=http://localhost:${B##*:}/token"
	run "$TOOL" -v -p -c u:s3cret put "$A/a/b:1" "$BIG"
	has_text "authentication:"
	has_text "anonymous token"
	[ "$(count '.kind == "token"')" -ge 1 ]
	[ "$(count ".kind == \"token\" and $AUTH")" -eq 0 ]
	fails grep -q s3cret "$LOG"
}

@test "N-06 realms at private addresses, with user names or other schemes are refused" {
	local realm
	fake --auth bearer --user u --password s3cret --also 127.0.0.2:0
	for realm in "http://$B/token" "http://0.0.0.0:${B##*:}/token" "http://[::ffff:169.254.169.254]/token" \
		"http://2130706434:${B##*:}/token" "ftp://x.example/token" "http://u:p@$A/token" "file:///etc/passwd"; do
		faults "realm=$realm"
		run timeout 60 "$TOOL" -p -c u:s3cret put "$A/a/b:1" "$BIG"
		[ "$status" -eq 1 ]
		[ "$(count '.listener == "1"')" -eq 0 ]
	done
	fails grep -q s3cret "$LOG"
}

@test "N-07 a token server's redirects are not followed" {
	fake --auth bearer --user u --password p --also 127.0.0.1:0 --fault 'redirect=http://{1}/token@GET:^/token'
	run "$TOOL" -p -c u:p put "$A/a/b:1" "$BIG"
	[ "$status" -eq 1 ]
	has_text redirect
	[ "$(count '.listener == "1"')" -eq 0 ]
}

@test "N-08 upload locations: every sound form works, elsewhere gets no credentials, private addresses nothing" {
	local form
	for form in relative bare schemeless query moving; do
		fake --auth basic --user u --password p --fault "location=$form"
		put -p -c u:p put "$A/a/b:1" "$BIG"
	done
	fake --auth basic --user u --password p --also 127.0.0.2:0
	faults 'location={1}'
	run "$TOOL" -p -c u:p put "$A/a/b:1" "$BIG"
	[ "$status" -eq 1 ]
	[ "$(count '.listener == "1"')" -eq 0 ]
	fake --auth basic --user u --password p --also 127.0.0.1:0
	faults "location=http://localhost:${B##*:}{path}"
	put -p -c u:p put "$A/a/b:1" "$BIG"
	[ "$(count '.listener == "1"')" -ge 1 ]
	[ "$(count ".listener == \"1\" and $AUTH")" -eq 0 ]
	faults location=none
	run "$TOOL" -p -c u:p put "$A/a/b:1" "$BIG"
	has_text "without a Location"
}

@test "N-11 trust in a registry is not trust in where it sends us" {
	local ca=$PEERS_DIR/ca
	require_peer openssl
	peers_ca
	fake --cert "$ca/server.crt" --key "$ca/server.key" --also 127.0.0.1:0
	run "$TOOL" put "$A/a/b:1" "$BIG"
	has_text "network:"
	has_text "hint:"
	has_text "--cert-dir"
	put -k put "$A/a/b:1" "$BIG"
	curl -kfsS --noproxy '*' -o /dev/null -d 'redirect={1}' "https://$A/_fault"
	run "$TOOL" -k get "$A/a/b:1" "$D" 3000000
	[ "$status" -eq 1 ]
	[ "$(count '.listener == "1"')" -eq 0 ]
	mkdir -p "$CERTS_D/$A"
	cp "$ca/ca.crt" "$CERTS_D/$A/"
	curl -kfsS --noproxy '*' -o /dev/null -X DELETE "https://$A/_fault"
	"$TOOL" get "$A/a/b:1" "$D" 3000000 >"$OUT"
	same
}

@test "N-12 credential helpers: no paths, bounded output, bounded characters" {
	local bin=$BATS_TEST_TMPDIR/bin
	mkdir -p "$bin"
	fake --auth basic --user u --password p
	printf '{"credsStore":"../../bin/sh"}' >"$OUT.auth"
	run "$TOOL" -p -a "$OUT.auth" put "$A/a/b:1" "$BIG"
	has_text "A-Za-z0-9"
	printf '{"credsStore":"long"}' >"$OUT.auth"
	printf '#!/bin/sh\nyes\n' >"$bin/docker-credential-long"
	chmod +x "$bin/docker-credential-long"
	PATH=$bin:$PATH run timeout 60 "$TOOL" -p -a "$OUT.auth" put "$A/a/b:1" "$BIG"
	has_text "over the limit"
	cat >"$bin/docker-credential-long" <<-'EOF_HELPER'
		#!/bin/sh
		cat <<'EOF_JSON'
		{"Username":"u","Secret":"a\r\nb"}
		EOF_JSON
	EOF_HELPER
	PATH=$bin:$PATH run "$TOOL" -p -a "$OUT.auth" put "$A/a/b:1" "$BIG"
	has_text "control characters"
	printf '#!/bin/sh\necho credentials not found in native keychain; exit 1\n' >"$bin/docker-credential-long"
	PATH=$bin:$PATH run "$TOOL" -p -a "$OUT.auth" put "$A/a/b:1" "$BIG"
	has_text "authentication:"
	printf '{"credsStore":"none-such"}' >"$OUT.auth"
	run "$TOOL" -p -a "$OUT.auth" put "$A/a/b:1" "$BIG"
	has_text "docker-credential-none-such"
}

@test "N-13 names that would break a request never make one" {
	fake
	for ref in $'a/b\r\nX: y' 'a/../b' 'A/b' $'a/b:1\n'; do
		run "$TOOL" -p put "$A/$ref" "$BIG"
		[ "$status" -ne 0 ]
	done
	[ "$(jq -s length "$LOG" 2>/dev/null || echo 0)" -eq 0 ]
}

@test "N-14 no secret in logs and errors, whatever the registry echoes" {
	local auth word
	for auth in basic bearer; do
		fake --auth "$auth" --user u --password s3cretpw
		faults error-secret location=query '5xx=403@PATCH:.'
		run "$TOOL" -v -p -c u:s3cretpw put "$A/a/b:1" "$BIG"
		[ "$status" -eq 1 ]
		lacks s3cretpw
		lacks "$(printf u:s3cretpw | base64)"
		lacks _state=
		for word in $(jq -r '.headers.authorization // empty' "$LOG" | cut -d ' ' -f 2 | sort -u); do
			lacks "$word"
		done
		lacks $'\e'
		[ "${#output}" -lt 6000 ]
	done
}

@test "N-15 at most two token fetches and five redirects" {
	fake --auth bearer --user u --password p --access pull
	run "$TOOL" -p -c u:p put "$A/a/b:1" "$BIG"
	has_text "authentication:"
	[ "$(count '.kind == "token"')" -le 2 ]
	fake
	seed "$BIG"
	faults 'redirect={0},on=0@GET:/blobs/'
	run "$TOOL" -p get "$A/a/b:1" "$D"
	has_text "more than 5 redirects"
	[ "$(count '.kind == "blob"')" -le 6 ]
}

# ---------------------------------------------------------------------------------------------------------------------
# What breaks

@test "G-05 wrong bytes are an error, and never committed" {
	local fault
	fake
	seed "$BIG"
	for fault in flip flip=2999999 short long short=70000; do
		faults "$fault"
		run "$TOOL" -p get "$A/a/b:1" "$D" 3000000
		[ "$status" -eq 1 ]
		has_text "integrity:"
	done
	faults
	run "$TOOL" -p put "$A/a/b:1" "$BIG" "$DS"
	has_text "integrity:"
	run "$TOOL" -p put "$A/a/b:1" "$BIG" "$D" 2999999
	has_text "integrity:"
	run "$TOOL" -p put "$A/a/b:1" "$BIG" "$D" 3000001
	has_text "integrity:"
	[ "$(count '.method == "PUT"')" -eq 0 ]
	[ "$(count '.method == "DELETE"')" -ge 1 ]
}

@test "G-06 downloads resume, and resuming cannot corrupt" {
	local at fault
	fake
	seed "$BIG"
	for at in 0 1 4096 100000 2999999; do
		for fault in reset cut; do
			faults "$fault=$at,times=2"
			fetch
			same
		done
	done
	for fault in ignore-range wrong-range=3 chunked; do
		faults reset=1000000,times=1 "$fault"
		fetch
		same
	done
	faults reset=1000000,times=1 wrong-range=3,lie
	run "$TOOL" -p get "$A/a/b:1" "$D" 3000000
	has_text "integrity:"
	faults cut=200000,times=12
	fetch
	same
	[ "$(jq -s 'map(select(.kind == "blob") | .sent) | add' "$LOG")" -le $((3000000 + 13 * 2000000)) ]
	for fault in len-lie=5 len-lie=-5; do
		faults "$fault"
		run "$TOOL" -p get "$A/a/b:1" "$D" 3000000
		[ "$status" -eq 1 ]
	done
}

@test "G-07 uploads go on where the registry says" {
	local fault
	for fault in reset=1000000,times=1 cut=1000000,times=2 reset=0,times=1@PATCH:. reset=2999999,times=1 patch-201 \
		no-range-header short-commit=1,times=1 short-commit=100000,times=1 5xx=503,1@PATCH:. 5xx=502,2@PUT:. \
		5xx=503,2@POST:. drop,times=1@PUT:. drop,times=1,done@PUT:. drop,times=1,done@PATCH:. 429=1,1@PATCH:.; do
		fake --fault "$fault"
		echo "$fault"
		run "$TOOL" -p put "$A/a/b:1" "$BIG"
		echo "$output"
		[ "$status" -eq 0 ]
		[ "$output" = "$D 3000000" ]
		fetch
		same
	done
	fake --fault reset=1000000,times=1 --fault lose-session,times=1
	put -p put "$A/a/b:1" "$BIG"
	fake --fault reset=1000000,times=1 --fault no-range-header
	put -p put "$A/a/b:1" "$BIG" "$D" 3000000
	fake --fault reset=1000000,times=1
	put -p put "$A/a/b:1" "$BIG" "$D" 3000000
	jq -s -e 'map(select(.method == "PATCH")) | last | .headers["content-range"] | test("^[0-9]+-2999999$")' "$LOG"
}

@test "G-07 a pipe resumes too while little is lost, else says what to do" {
	fake --fault reset=1000000,times=1
	run "$TOOL" -p put "$A/a/b:1" - <"$BIG"
	[ "$output" = "$D 3000000" ]
	head -c 20000000 /dev/zero >"$OUT.zero"
	fake --fault reset=15000000,times=1 --fault lose-session,times=1
	run "$TOOL" -p put "$A/a/b:1" - <"$OUT.zero"
	has_text "network:"
	has_text "hint: push from a file"
}

@test "small blobs: a lost answer, a registry that wants a stream" {
	fake --fault drop,times=1,done@PUT:.
	put -p put "$A/a/b:1" "$SMALL" "$DS" 5000
	fake --fault 5xx=404,1@PUT:.
	put -p put "$A/a/b:1" "$SMALL" "$DS" 5000
	[ "$(count '.method == "PATCH"')" -eq 1 ]
	fake --fault 5xx=503,2@PUT:.
	put -p put "$A/a/b:1" "$SMALL" "$DS" 5000
}

@test "G-11 a silent peer is given up" {
	local fault
	export DRAY_STALL_MS=1000
	fake
	seed "$BIG"
	for fault in stall@GET:/blobs/ stall=head@GET:/blobs/ stall=100000@GET:/blobs/ stall=accept; do
		faults "$fault"
		SECONDS=0
		run timeout 60 "$TOOL" -p -r 0 get "$A/a/b:1" "$D" 3000000
		[ "$status" -eq 1 ]
		[ "$SECONDS" -le 15 ]
		has_text "network:"
		fake
		seed "$BIG"
	done
	faults stall=100000@PATCH
	run timeout 60 "$TOOL" -p -r 0 put "$A/a/b:1" "$BIG"
	[ "$status" -eq 1 ]
	faults stall=100000,times=1
	fetch
	same
	faults trickle=100
	run timeout 60 "$TOOL" -p -r 0 get "$A/a/b:1" "$D" 3000000
	[ "$status" -eq 1 ]
	has_text "silent, or nearly so"
}

@test "G-12 retries are polite and finite" {
	fake
	seed "$BIG"
	faults 429=1,2
	fetch
	same
	faults 429=date:2,1
	fetch
	same
	faults 5xx=503,2
	fetch
	same
	faults 429=300
	SECONDS=0
	run "$TOOL" -p get "$A/a/b:1" "$D"
	[ "$status" -eq 1 ]
	[ "$SECONDS" -le 60 ]
	has_text "300 s"
	for code in 400 401 403 404 416; do
		faults "5xx=$code@GET:/blobs/"
		run "$TOOL" -p get "$A/a/b:1" "$D"
		[ "$status" -eq 1 ]
		[ "$(count '.kind == "blob"')" -le 2 ]
	done
	faults 5xx=500
	run "$TOOL" -p -r 2 get "$A/a/b:1" "$D"
	[ "$(count '.kind == "blob"')" -eq 3 ]
}

@test "G-13 a slow source is not the registry's silence" {
	fake
	DRAY_STALL_MS=2000 "$TOOL" -p -r 0 slow "$A/a/b:1" "$SMALL" 4000
}

@test "G-14 loopback is never proxied; others are, and 407 is explained" {
	fake
	no_proxy= NO_PROXY= http_proxy=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1 "$TOOL" -p put "$A/a/b:1" "$BIG"
	no_proxy= NO_PROXY= http_proxy=http://127.0.0.1:1 run "$TOOL" -p put registry.test/a/b:1 "$BIG"
	[ "$status" -eq 1 ]
	has_text "127.0.0.1"
}

@test "G-14 a proxy that wants a login is explained" {
	peer_spawn proxy python3 -u -c 'import socket
s = socket.create_server(("127.0.0.1", 0)); print("port", s.getsockname()[1])
while True:
    c = s.accept()[0]; c.recv(4096)
    c.sendall(b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"); c.close()'
	wait_until 60 grep -q port "$PEERS_DIR/d/proxy/log"
	port=$(sed -n 's/^port //p' "$PEERS_DIR/d/proxy/log")
	for flag in -v -p; do
		no_proxy= NO_PROXY= https_proxy=http://127.0.0.1:$port http_proxy=http://127.0.0.1:$port \
			run "$TOOL" $flag put registry.test/a/b:1 "$BIG"
		[ "$status" -eq 1 ]
		has_text "hint: the proxy wants a login"
	done
}

@test "G-17 out of memory is an error: each allocation of a put and a get fails once" {
	local n rc step=${TORTURE_STEP:-7}
	fake --auth bearer --user u --password p
	seed "$SMALL" -c u:p
	for ((n = 1; n < 400; n += step)); do
		for args in "put $A/a/b:1 $SMALL" "get $A/a/b:1 $DS 5000"; do
			rc=0
			DRAY_FAULT=alloc:$n "$TOOL" -p -r 0 -c u:p $args >/dev/null 2>"$OUT" || rc=$?
			[ "$rc" -le 1 ] || { echo "alloc:$n: $rc"; cat "$OUT"; false; }
			fails grep -E 'Sanitizer|Assertion' "$OUT"
		done
	done
}

cancelled() {
	local pid begun code=0
	: >"$LOG"
	"$TOOL" -p slow "$A/a/b:1" "$BIG" 200 2>"$OUT.err" 3>&- &
	pid=$!
	wait_until 60 grep -q POST "$LOG" || return 1
	sleep 0.5
	begun=$(date +%s%N)
	kill -TERM "$pid"
	wait "$pid" || code=$?
	TOOK=$((($(date +%s%N) - begun) / 1000000))
	[ "$code" -ne 0 ] && grep -q cancel "$OUT.err" && wait_until 60 grep -q DELETE "$LOG"
}

@test "G-18 a cancelled upload ends soon and takes its session back" {
	fake
	soon 1500 cancelled
}

# ---------------------------------------------------------------------------------------------------------------------
# A real registry

@test "docker-registry: plain, htpasswd, TLS, client certificates" {
	local form args
	require_peer docker-registry htpasswd openssl
	for form in plain htpasswd tls tls-htpasswd mtls; do
		registry_start "$form" "$form"
		args=()
		[ -z "$REGISTRY_CERT_DIR" ] || args+=(-d "$REGISTRY_CERT_DIR")
		case $form in *htpasswd*) args+=(-c "$REGISTRY_USER:$REGISTRY_PASS") ;; esac
		run "$TOOL" "${args[@]}" put "$REGISTRY_ADDR/a/b:1" "$BIG"
		[ "$output" = "$D 3000000" ]
		"$TOOL" "${args[@]}" get "$REGISTRY_ADDR/a/b:1" "$D" 3000000 >"$OUT"
		same
		case $form in
		*htpasswd*)
			run "$TOOL" "${args[@]}" -c nobody:x put "$REGISTRY_ADDR/a/b:1" "$BIG"
			has_text "authentication:"
			;;
		mtls)
			rm "$REGISTRY_CERT_DIR/client.cert"
			run "$TOOL" "${args[@]}" put "$REGISTRY_ADDR/a/b:1" "$BIG"
			has_text "hint: name the registry's CA"
			;;
		esac
	done
}

@test "docker-registry: killed and started again in mid-upload, the push goes on" {
	local pid big=$BATS_TEST_TMPDIR/big
	require_peer docker-registry
	unset DRAY_RETRY_MS
	head -c 100000000 /dev/urandom >"$big"
	registry_start k plain
	"$TOOL" -v slow "$REGISTRY_ADDR/a/b:1" "$big" 8 >"$OUT" 2>"$OUT.err" 3>&- &
	pid=$!
	wait_until 60 eval '[ -n "$(find "$(registry_storage k)" -path "*/_uploads/*/data" -size +1000k)" ]'
	registry_kill9 k
	sleep 1
	registry_start k plain
	wait "$pid" || { cat "$OUT.err"; false; }
	[ "$(cat "$OUT")" = "sha256:$(sha256sum <"$big" | cut -d ' ' -f 1) 100000000" ]
	[ "$(grep -c PATCH "$OUT.err")" -ge 2 ]
}
