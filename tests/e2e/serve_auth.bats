#!/usr/bin/env bats
# "serve": TLS, users, readers without a name, tokens: real clients log in, and who has no right gets nothing.

load serve_lib

setup() {
	serve_setup
	require_peer htpasswd openssl
	peers_ca
	CA=$PEERS_DIR/ca
	htpasswd -Bbc -C 4 "$CASE/users" "$REGISTRY_USER" "$REGISTRY_PASS" 2>"$CASE/htpasswd.log"
}
teardown() {
	[ -z "${LOGGED_IN:-}" ] || log_out # else whoever gets this port is known there
	serve_teardown
}

log_out() {
	docker logout "$ADDR" 2>"$CASE/logout" >&2 || :
	podman logout "$ADDR" 2>"$CASE/logout" >&2 || :
}

with_tls() { root_start --tls-cert "$CA/server.crt" --tls-key "$CA/server.key" "$@" && registry_certs_d "$ADDR" tls; }

SCHEME=https
ME=$REGISTRY_USER:$REGISTRY_PASS

log_in_all() {
	LOGGED_IN=yes
	docker login -u "$REGISTRY_USER" --password-stdin "$ADDR" <<<"$REGISTRY_PASS"
	podman login --tls-verify=false -u "$REGISTRY_USER" --password-stdin "$ADDR" <<<"$REGISTRY_PASS"
}

# docker, skopeo and podman, each with its login.
everybody_pushes() {
	docker tag test/sym:1 "$ADDR/by/docker:1"
	docker push -q "$ADDR/by/docker:1"
	docker rmi "$ADDR/by/docker:1"
	skopeo copy -q --dest-tls-verify="$VERIFY" --dest-creds "$ME" "docker-archive:$IMAGE:test/sym:1" "docker://$ADDR/by/skopeo:1"
	podman load -q -i "$IMAGE"
	podman push -q --tls-verify="$VERIFY" test/sym:1 "docker://$ADDR/by/podman:1"
}

@test "serve --tls-cert --htpasswd: docker, podman, skopeo, ctr and dray log in, push and pull" {
	local id by sock=$PEERS_DIR/exec/containerd/containerd.sock
	image_need sym
	require_peer skopeo podman ctr
	id=$(docker_image_id test/sym:1)
	with_tls --htpasswd "$CASE/users"
	VERIFY=true

	# Nobody reads or writes without a name, nor with a wrong password.
	run docker pull "$ADDR/a:1"
	[ "$status" -ne 0 ]
	run docker login -u "$REGISTRY_USER" --password-stdin "$ADDR" <<<wrong
	[ "$status" -ne 0 ]
	run skopeo copy -q --dest-creds "$REGISTRY_USER:wrong" "docker-archive:$IMAGE:test/sym:1" "docker://$ADDR/by/skopeo:1"
	[ "$status" -ne 0 ]
	dray_run push "$IMAGE" "docker://$ADDR/by/dray:1" --creds "$REGISTRY_USER:wrong"
	expect 4
	same "what they got" "$(serve_log | grep '^{' | jq .status | sort -u)" 401
	same "listed" "$(code /v2/_catalog -u "$ME") $(jq -c .repositories "$CASE/body")" '200 []'

	log_in_all
	everybody_pushes
	dray_run push "$IMAGE" "docker://$ADDR/by/dray:1" --creds "$ME"
	ok
	# It talks plain HTTP to loopback addresses unless it is told.
	mkdir -p "$CASE/hosts/$ADDR"
	printf 'server = "https://%s"\n[host."https://%s"]\nca = "%s/ca.crt"\n' "$ADDR" "$ADDR" "$CA" >"$CASE/hosts/$ADDR/hosts.toml"
	ctr -a "$sock" -n dray-auth images pull --hosts-dir "$CASE/hosts" --user "$ME" --local "$ADDR/by/dray:1" ||
		ctr -a "$sock" -n dray-auth images pull --hosts-dir "$CASE/hosts" --user "$ME" "$ADDR/by/dray:1"
	ctr -a "$sock" -n dray-auth images tag "$ADDR/by/dray:1" "$ADDR/by/ctr:1"
	ctr -a "$sock" -n dray-auth images push --hosts-dir "$CASE/hosts" --user "$ME" "$ADDR/by/ctr:1"
	ctr -a "$sock" -n dray-auth images rm "$ADDR/by/dray:1" "$ADDR/by/ctr:1"
	for by in ctr docker dray podman skopeo; do
		same "$by's" "sha256:$(skopeo inspect --creds "$ME" --config --raw "docker://$ADDR/by/$by:1" | sha256sum | cut -d ' ' -f 1)" "$id"
	done
	docker pull -q "$ADDR/by/podman:1"
	same "docker run" "$(docker_run "$ADDR/by/podman:1")" "$SYM_LINE"
	docker rmi "$ADDR/by/podman:1"
	podman pull -q "$ADDR/by/docker:1"
	podman rmi -f "$ADDR/by/docker:1"
	dray_run verify "docker://$ADDR/by/ctr:1" --creds "$ME"
	expect 0
	# The log names them, and nobody's password.
	same "users" "$(serve_log | grep '^{' | jq -r 'select(.status < 300).user' | sort -u)" "$REGISTRY_USER"
	absent "secrets" "$(serve_log | grep -e "${REGISTRY_PASS#*:}" -e Basic -e "$(printf %s "$ME" | base64)")"
}

@test "serve --anonymous-read: docker, podman and skopeo pull without a name, and push with one" {
	local id
	image_need sym
	require_peer skopeo podman ctr
	id=$(docker_image_id test/sym:1)
	with_tls --htpasswd "$CASE/users" --anonymous-read --metrics
	VERIFY=true

	docker tag test/sym:1 "$ADDR/by/docker:1"
	run docker push -q "$ADDR/by/docker:1"
	[ "$status" -ne 0 ]
	run skopeo copy -q "docker-archive:$IMAGE:test/sym:1" "docker://$ADDR/by/skopeo:1"
	[ "$status" -ne 0 ]
	same "listed" "$(code /v2/_catalog) $(jq -c .repositories "$CASE/body")" '200 []'
	run docker login -u "$REGISTRY_USER" --password-stdin "$ADDR" <<<wrong
	[ "$status" -ne 0 ]

	log_in_all
	everybody_pushes
	dray_run push "$IMAGE" "docker://$ADDR/by/dray:1" --creds "$ME"
	ok
	log_out
	engines_agree "$ADDR/by/docker:1" "$id" "$SYM_LINE"
	dray_run verify "docker://$ADDR/by/skopeo:1"
	expect 0
	same "curl pulls" "$(code /v2/by/podman/manifests/1)" 200
	same "curl, by a password" "$(code /v2/by/podman/manifests/1 -u "$ME")" 200
	same "by a wrong one" "$(code /v2/by/podman/manifests/1 -u "$REGISTRY_USER:x")" 401
	same "numbers" "$(code /metrics) $(code /metrics -u "$ME")" '401 200'
	same "deletes" "$(code /v2/by/podman/manifests/1 -X DELETE)" 401
	same "and by a password" "$(code /v2/by/podman/manifests/1 -X DELETE -u "$ME")" 202
	# What docker did: a token for the address that it used.
	same "/v2/" "$(code /v2/)" 401
	same challenge "$(field www-authenticate)" "Bearer realm=\"https://$ADDR/token\",service=\"dray\""
	code /v2/ -H 'Host: registry.example:5000'
	same "by a name" "$(field www-authenticate)" 'Bearer realm="https://registry.example:5000/token",service="dray"'
	code /v2/ -H 'Host: a"b'
	same "by what is no name" "$(field www-authenticate)" "Bearer realm=\"https://$ADDR/token\",service=\"dray\""
}

# Not dray: a token server on a private address that is not the registry's own gets nothing from it.
@test "serve --token-realm: docker, podman and skopeo do what their tokens say" {
	local id by
	image_need sym
	require_peer skopeo podman
	id=$(docker_image_id test/sym:1)
	openssl genrsa -out "$CASE/token.key" 2048 2>"$CASE/openssl.log"
	openssl rsa -in "$CASE/token.key" -pubout -out "$CASE/token.pub" 2>"$CASE/openssl.log"
	: >"$CASE/token.out"
	# shellcheck disable=SC2016
	peer_spawn tokens sh -c 'out=$1; shift; exec "$@" >"$out"' - "$CASE/token.out" \
		python3 -u "$PEERS_SRC/token_server.py" "$CASE/token.key" tokens "$ME"
	wait_until 60 test -s "$CASE/token.out"
	root_start --token-realm "http://$(cat "$CASE/token.out")/token" --token-service the-registry \
		--token-issuer tokens --token-key "$CASE/token.pub"
	SCHEME=http VERIFY=false

	same "/v2/" "$(code /v2/)" 401
	same challenge "$(field www-authenticate)" "Bearer realm=\"http://$(cat "$CASE/token.out")/token\",service=\"the-registry\""
	docker tag test/sym:1 "$ADDR/by/docker:1"
	run docker push -q "$ADDR/by/docker:1"
	[ "$status" -ne 0 ]
	log_in_all
	everybody_pushes
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false --src-creds "$ME" --dest-creds "$ME" \
		"docker://$ADDR/by/skopeo:1" "docker://$ADDR/private/x:1"
	# A mount takes from what the token reads.
	docker tag test/sym:1 "$ADDR/by/mount:1"
	docker push -q "$ADDR/by/mount:1"
	log_out
	for by in docker mount podman skopeo; do
		same "$by's" "sha256:$(skopeo inspect --tls-verify=false --config --raw "docker://$ADDR/by/$by:1" | sha256sum | cut -d ' ' -f 1)" "$id"
	done
	docker_agrees "$ADDR/by/skopeo:1" "$id" "$SYM_LINE"
	run skopeo inspect --tls-verify=false "docker://$ADDR/private/x:1"
	[ "$status" -ne 0 ]
	same users "$(serve_log | grep '^{' | jq -r 'select(.status == 201).user' | sort -u)" ann
}

@test "serve: files of users and certificates are read again when they change" {
	local other=$CASE/other
	cp "$CA/server.crt" "$CASE/tls.crt"
	cp "$CA/server.key" "$CASE/tls.key"
	root_start --tls-cert "$CASE/tls.crt" --tls-key "$CASE/tls.key" --htpasswd "$CASE/users"
	same "not yet" "$(code /v2/ -u new:pw)" 401
	htpasswd -Bb -C 4 "$CASE/users" new pw 2>"$CASE/htpasswd.log"
	wait_until 60 lets_in new:pw
	# What is no good is said, and changes nothing.
	echo nonsense >"$CASE/users.bad" && mv "$CASE/users.bad" "$CASE/users"
	wait_until 60 serve_says 'users: line 1: not NAME:HASH'
	lets_in new:pw

	# Somebody is connected while the certificate changes: he stays, and who comes sees the new one.
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other -addext subjectAltName=IP:127.0.0.1 \
		-keyout "$other.key" -out "$other.crt" 2>"$CASE/openssl.log"
	OTHER=$other FILES=$CASE/tls LOG=$PEERS_DIR/d/serve/log secure '
def subject(s=None):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with tls(context) as one:
        return hashlib.sha256(one.getpeercert(True)).digest()
def until(true):
    end = time.time() + 60
    while not true():
        assert time.time() < end
        time.sleep(0.05)
ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
files, other = os.environ["FILES"], os.environ["OTHER"]
first = subject()
held = tls()
held.sendall(ask)
assert held.recv(4096).startswith(b"HTTP/1.1 200")
os.rename(other + ".crt", files + ".crt")
until(lambda: "tls.key is not the key of the certificate in" in open(os.environ["LOG"]).read())
assert subject() == first
os.rename(other + ".key", files + ".key")
until(lambda: subject() != first)
held.sendall(ask.replace(b"Host: x", b"Host: x\r\nConnection: close"))
assert b"200 OK" in answer(held)
'
	kill "$(peer_pid serve)"
	wait_until 60 serve_gone
}

@test "serve --tls-cert: clients who stay connected hold up no certificate" {
	cp "$CA/server.crt" "$CASE/0.crt"
	cp "$CA/server.key" "$CASE/0.key"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other \
		-keyout "$CASE/1.key" -out "$CASE/1.crt" 2>"$CASE/openssl.log"
	cp "$CASE/0.crt" "$CASE/tls.crt"
	cp "$CASE/0.key" "$CASE/tls.key"
	root_start --tls-cert "$CASE/tls.crt" --tls-key "$CASE/tls.key" --timeout 2 --max-connections 16
	CASE=$CASE secure '
import shutil
case = os.environ["CASE"] + "/"
anybody = ssl.create_default_context()
anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
def shown():
    with tls(anybody) as one:
        return one.getpeercert(True)
def renew(n):
    for end in ".crt", ".key":
        shutil.copy(case + str(n % 2) + end, case + "new")
        os.rename(case + "new", case + "tls" + end)
    want, end = ssl.PEM_cert_to_DER_cert(open(f"{case}{n % 2}.crt").read()), time.time() + 60
    while shown() != want:
        assert time.time() < end
def stays(s):
    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    got = b""
    while b"\r\n\r\n" not in got:
        piece = s.recv(4096)
        assert piece
        got += piece
    assert b"HTTP/1.1 200" in got
    return b"connection: close" not in got.lower()
held = tls(anybody)
for n in range(1, 11): # by one certificate
    renew(n)
    assert stays(held)
held, told = [held], 0
for n in range(11, 21): # by each of them one
    renew(n)
    held.append(tls(anybody))
    still = [s for s in held if stays(s)]
    told += len(held) - len(still)
    held = still
assert told > 0 and held
end = time.time() + 20
while len(held) < 16: # as many as there may be, whatever their certificate
    assert time.time() < end
    try:
        held.append(tls(anybody))
    except OSError:
        pass # one that left is still counted
try:
    tls(anybody)
    raise AssertionError("one more than there may be")
except OSError:
    pass
'
	kill "$(peer_pid serve)"
	wait_until 60 serve_gone
}
lets_in() { [ "$(code /v2/ -u "$1" -k)" = 200 ]; }

@test "serve: what cannot be right is refused at the start" {
	local key=$CASE/ed.key
	openssl genpkey -algorithm ed25519 -out "$key"
	openssl pkey -in "$key" -pubout -out "$CASE/ed.pub"
	# refused STATUS PATTERN ARG...
	refused() {
		local want=$1 text=$2
		shift 2
		dray_run serve --addr 127.0.0.1:0 --root "$CASE/root" "$@"
		expect "$want" "$text"
	}
	refused 2 '*--tls-cert needs --tls-key*' --tls-cert "$CA/server.crt"
	refused 2 '*is not the key of the certificate in*' --tls-cert "$CA/server.crt" --tls-key "$CA/client.key"
	refused 3 '*absent.pem*' --tls-cert "$CASE/absent.pem" --tls-key "$CA/server.key"
	refused 6 '*server.key: no certificate*' --tls-cert "$CA/server.key" --tls-key "$CA/server.key"
	refused 6 '*server.crt: no private key*' --tls-cert "$CA/server.crt" --tls-key "$CA/server.crt"
	# Key and certificate belong together; GnuTLS knows no such curve.
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp256k1 -nodes -days 2 -subj /CN=odd \
		-keyout "$CASE/odd.key" -out "$CASE/odd.crt" 2>"$CASE/openssl.log"
	refused 9 '*odd.crt: libmicrohttpd does not start: *GnuTLS*' --tls-cert "$CASE/odd.crt" --tls-key "$CASE/odd.key"
	htpasswd -mb "$CASE/users" old pw 2>"$CASE/htpasswd.log"
	refused 8 "*users: line 2: the password's hash is not bcrypt's*" --htpasswd "$CASE/users"
	refused 2 '*--anonymous-read needs --htpasswd or --token-realm*' --anonymous-read
	refused 2 '*--token-realm needs --token-key*' --token-realm https://t/
	refused 8 '*ed.key: a private key*' --token-realm https://t/ --token-service r --token-key "$key"
	refused 2 '*--htpasswd and --token-realm do not go together*' --token-realm https://t/ --token-service r --token-key "$CASE/ed.pub" --htpasswd "$CASE/users"
	# Others could see what is sent: a password needs TLS as everything does.
	htpasswd -Bbc -C 4 "$CASE/users" a b 2>"$CASE/htpasswd.log"
	dray_run serve --addr 0.0.0.0:0 --root "$CASE/root" --htpasswd "$CASE/users"
	expect 2 '*no TLS*--tls-cert*'
	root_start --addr 0.0.0.0:0 --tls-cert "$CA/server.crt" --tls-key "$CA/server.key" --token-realm https://t/ \
		--token-service r --token-key "$CASE/ed.pub" --token-key "$CA/client.crt"
	same "it serves" "$(ADDR=127.0.0.1:${ADDR##*:} code /healthz)" 200
}

# secure PYTHON: connect() gives a TCP connection, tls() one with TLS.
secure() {
	ADDR=$ADDR CA=$CA/ca.crt ME=$ME PID=$(peer_pid serve) python3 -c '
import base64, hashlib, os, socket, ssl, time
host, port = os.environ["ADDR"].split(":")
basic = b"Authorization: Basic " + base64.b64encode(os.environ["ME"].encode()) + b"\r\n"
def connect():
    s = socket.create_connection((host, int(port)), 60)
    return s
def tls(context=None, s=None):
    return (context or ssl.create_default_context(cafile=os.environ["CA"])).wrap_socket(s or connect(), server_hostname=host)
def answer(s):
    got = b""
    try:
        while piece := s.recv(1 << 16):
            got += piece
    except OSError:
        pass
    return got
'"$1"
}

@test "serve --tls-cert: who dawdles in a handshake or behind it is cut, and others are served meanwhile" {
	with_tls --timeout 1 --htpasswd "$CASE/users"
	secure '
quiet, half, head = connect(), connect(), tls()
hello = ssl.MemoryBIO(), ssl.MemoryBIO()
client = ssl.create_default_context().wrap_bio(hello[0], hello[1], server_hostname=host)
try:
    client.do_handshake()
except ssl.SSLWantReadError:
    pass
half.sendall(hello[1].read()[:100])
head.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: ")
other = tls()
other.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + basic + b"\r\n")
assert answer(other).startswith(b"HTTP/1.1 200")
for s in quiet, half, head:
    assert b"HTTP/1.1 2" not in answer(s) # they end, or this waits for a minute and fails
    try:
        s.settimeout(60)
        assert s.recv(1) == b""
    except (ConnectionError, ssl.SSLError):
        pass
plain = connect()
plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
assert b"200 OK" not in answer(plain)
'
	same "old TLS" "$(code /healthz --tls-max 1.1 2>"$CASE/curl.log" || :)" 000
	same "TLS 1.2" "$(code /healthz --tls-max 1.2)" 200
	same "weak ciphers" "$(code /healthz --tls-max 1.2 --ciphers AES128-SHA:ECDHE-RSA-AES128-SHA 2>"$CASE/curl.log" || :)" 000
}

@test "serve --tls-cert: large blobs pass both ways in little memory, and nothing of a body is taken from strangers" {
	local d size=$((192 << 20))
	DRAY=${DRAY_PLAIN:-$DRAY} with_tls --htpasswd "$CASE/users"
	head -c "$size" /dev/zero >"$CASE/blob"
	d=sha256:$(sha256sum <"$CASE/blob" | cut -d ' ' -f 1)
	# Before it is sent: the client asks, and is told.
	same "a stranger" "$(code "/v2/a/blobs/uploads?digest=$d" -X POST -T "$CASE/blob" -H 'Expect: 100-continue')" 401
	same "sent" "$(serve_log | grep '^{' | tail -n 1 | jq .received)" 0
	same "a user" "$(code "/v2/a/blobs/uploads?digest=$d" -u "$ME" -X POST -T "$CASE/blob")" 201
	same "pulled" "$(code "/v2/a/blobs/$d" -u "$ME")" 200
	cmp "$CASE/blob" "$CASE/body"
	same "part" "$(code "/v2/a/blobs/$d" -u "$ME" -r 100000000-100000009) $(stat -c %s "$CASE/body")" "206 10"
	dray_sanitized || [ "$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(peer_pid serve)/status")" -lt 65536 ]
}

@test "serve --htpasswd: a field that means two things is refused, and a path needs its name before it is looked at" {
	SCHEME=http
	root_start --htpasswd "$CASE/users"
	same "twice" "$(code /v2/ -u "$ME" -H "Authorization: Basic $(printf %s "$ME" | base64)" -H 'authorization: Bearer x')" 400
	same "once" "$(code /v2/ -u "$ME")" 200
	same "unknown scheme" "$(code /v2/ -H 'Authorization: Negotiate abc')" 401
	same challenge "$(field www-authenticate)" 'Basic realm="dray"'
	same body "$(jq -c '.errors[0].code' "$CASE/body")" '"UNAUTHORIZED"'
	same "no such manifest, nobody" "$(code /v2/a/manifests/x)" 401
	same "no such manifest, a user" "$(code /v2/a/manifests/x -u "$ME")" 404
	same "health" "$(code /healthz)" 200
	same "no token here" "$(code /token)" 404
	for path in /v2/_catalog /v2/a/tags/list "/v2/a/referrers/sha256:$(printf '0%.0s' {1..64})" "/v2/a/blobs/sha256:$(printf '0%.0s' {1..64})"; do
		same "$path" "$(code "$path")" 401
		same "HEAD $path" "$(code "$path" -I)" 401
	done
	same "upload" "$(code /v2/a/blobs/uploads/ -X POST)" 401
	same "and its state" "$(code /v2/a/blobs/uploads/x)" 401
	same "put" "$(code /v2/a/manifests/x -X PUT -d '{}')" 401
	same "delete" "$(code "/v2/a/blobs/sha256:$(printf '0%.0s' {1..64})" -X DELETE)" 401
	# However long what is asked for is once it is escaped, a line tells of it.
	same "a long target" "$(code "/$(printf '"%.0s' {1..33000})")" 414
	wait_until 60 serve_says '"status":414'
	same "in the log" "$(serve_log | grep '"status":414' | jq '.target | length')" 8192
}

@test "serve: what a page of a browser sends changes nothing" {
	local m='{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
	local put=(-X PUT -u "$ME" -H 'Content-Type: application/vnd.oci.image.index.v1+json' -d "$m")
	SCHEME=http
	root_start --htpasswd "$CASE/users"
	same "a page" "$(code /v2/a/manifests/1 "${put[@]}" -H 'Origin: http://elsewhere')" 403
	same says "$(jq -r '.errors[0] | .code + ": " + .message' "$CASE/body")" 'DENIED: pages of browsers change nothing here'
	same "one under our name" "$(code /v2/a/manifests/1 "${put[@]}" -H "Origin: http://$ADDR")" 403
	same "one in a sandbox" "$(code /v2/a/manifests/1 "${put[@]}" -H 'Origin: null')" 403
	same "without a name" "$(code /v2/a/blobs/uploads/ -X POST -H 'Origin: null')" 403
	same "a form" "$(code /v2/a/manifests/1 "${put[@]}" -H 'Sec-Fetch-Site: cross-site')" 403
	same "on a subdomain" "$(code /v2/a/manifests/1 "${put[@]}" -H 'Sec-Fetch-Site: same-origin' -H 'Sec-Fetch-Site: same-site')" 403
	same "nothing came" "$(code /v2/a/tags/list -u "$ME")" 404
	same "a client" "$(code /v2/a/manifests/1 "${put[@]}")" 201
	same "read" "$(code /v2/a/manifests/1 -u "$ME" -H 'Origin: http://elsewhere' -H 'Sec-Fetch-Site: cross-site')" 200
	same "not deleted" "$(code /v2/a/manifests/1 -u "$ME" -X DELETE -H 'Origin: http://elsewhere')" 403
	same "a user's own" "$(code /v2/a/manifests/1 -u "$ME" -X DELETE -H 'Sec-Fetch-Site: none')" 202
}
