#!/usr/bin/env bats
# The harness itself: when this fails, believe no other e2e result.

load peers
load images

teardown() { peers_teardown; }

@test "environment is private" {
	case $HOME in "$PEERS_DIR"/*) ;; *) false ;; esac
	case $DOCKER_HOST in unix://"$PEERS_DIR"/*) ;; *) false ;; esac
	[ -z "${REGISTRY_AUTH_FILE:-}" ]
}

@test "missing peer: skip for a stranger, failure in CI" {
	run bash -c '. "$1"; skip() { echo "skip: $1"; exit 0; }; CI= require_peer no-such-program' - "$PEERS_SRC/peers.bash"
	[ "$status" -eq 0 ]
	[ "$output" = "skip: no-such-program is not installed" ]
	run bash -c '. "$1"; skip() { echo "skip: $1"; exit 0; }; CI=true require_peer no-such-program' - "$PEERS_SRC/peers.bash"
	[ "$status" -ne 0 ]
}

@test "NOBODY listens at the address that tests take for a dead one" {
	run curl -sS --noproxy '*' "http://$NOBODY/"
	[ "$status" -eq 7 ]
}

@test "soon forgives a slow run, not slow ones; catches waits for the program and its handler" {
	local tries=0 python
	python=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
	once() { TOOK=$((tries++ ? 1 : 1000)); }
	always() { TOOK=1000; }
	soon 500 once
	[ "$tries" -eq 2 ]
	run soon 500 always
	[ "$status" -eq 1 ]
	run soon 500 false
	[ "$status" -eq 1 ]
	"$python" -c 'import signal, time; signal.signal(signal.SIGTERM, lambda *_: None); time.sleep(60)' 3>&- &
	wait_until 60 catches "$!" TERM "$python"
	fails catches "$!" USR1 "$python"
	fails catches "$!" TERM "$(type -P true)"
	kill9 "$!"
}

@test "registry: its port taken by another for a while" {
	registry_start taken plain
	registry_stop taken
	peer_spawn squatter python3 -u -c 'import socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1]))); print("there"); time.sleep(2)' "${REGISTRY_ADDR##*:}"
	wait_until 60 grep -q there "$PEERS_DIR/d/squatter/log"
	before=$REGISTRY_ADDR
	registry_start taken plain
	[ "$REGISTRY_ADDR" = "$before" ]
}

@test "registry: plain, and skopeo reaches it" {
	require_peer skopeo
	registry_start p plain
	run skopeo inspect --tls-verify=false "docker://$REGISTRY_ADDR/none:1"
	[ "$status" -ne 0 ]
	[[ $output == *"manifest unknown"* ]]
}

@test "registry: TLS is verified through certs.d" {
	require_peer skopeo openssl
	registry_start t tls
	run skopeo inspect "docker://$REGISTRY_ADDR/none:1"
	[[ $output == *"manifest unknown"* ]]
	run skopeo inspect --cert-dir "$REGISTRY_CERT_DIR" "docker://$REGISTRY_ADDR/none:1"
	[[ $output == *"manifest unknown"* ]]
	rm "$CERTS_D/$REGISTRY_ADDR/ca.crt"
	run skopeo inspect "docker://$REGISTRY_ADDR/none:1"
	[[ $output == *"x509"* ]]
}

@test "registry: client certificates" {
	require_peer openssl
	registry_start m mtls
	registry_curl m /v2/ -f
	run curl -sS --noproxy '*' --cacert "$REGISTRY_CERT_DIR/ca.crt" "$REGISTRY_URL/v2/"
	[ "$status" -ne 0 ]
}

@test "registry: htpasswd, with and without TLS" {
	require_peer htpasswd skopeo
	for form in htpasswd tls-htpasswd; do
		registry_start "$form" "$form"
		run curl -ksS --noproxy '*' -o /dev/null -w '%{http_code}' "$REGISTRY_URL/v2/"
		[ "$output" = 401 ]
		run skopeo inspect --tls-verify=false --creds "$REGISTRY_USER:$REGISTRY_PASS" "docker://$REGISTRY_ADDR/none:1"
		[[ $output == *"manifest unknown"* ]]
		run skopeo inspect --tls-verify=false --creds "$REGISTRY_USER:wrong" "docker://$REGISTRY_ADDR/none:1"
		[[ $output == *"unauthorized"* ]]
	done
}

@test "registry: restart keeps port, storage and uploads" {
	registry_start r plain
	before=$REGISTRY_ADDR
	location=$(registry_curl r /v2/x/blobs/uploads/ -X POST -D - -o /dev/null | tr -d '\r' | sed -n 's/^Location: //p')
	printf 'first half, ' >"$BATS_TEST_TMPDIR/1"
	location=$(curl -sS --noproxy '*' -X PATCH -H 'Content-Type: application/octet-stream' --data-binary @"$BATS_TEST_TMPDIR/1" \
		-D - -o /dev/null "$location" | tr -d '\r' | sed -n 's/^Location: //p')
	registry_restart r kill
	[ "$REGISTRY_ADDR" = "$before" ]
	printf 'second half' >"$BATS_TEST_TMPDIR/2"
	digest=sha256:$(cat "$BATS_TEST_TMPDIR/1" "$BATS_TEST_TMPDIR/2" | sha256sum | cut -d ' ' -f 1)
	run curl -sS --noproxy '*' -X PUT -H 'Content-Type: application/octet-stream' --data-binary @"$BATS_TEST_TMPDIR/2" \
		-o /dev/null -w '%{http_code}' "$location&digest=$digest"
	[ "$output" = 201 ]
	[ "$(registry_curl r "/v2/x/blobs/$digest")" = "first half, second half" ]
}

@test "registry: wiped while it runs forgets its blobs" {
	registry_start w plain
	registry_curl w "/v2/x/blobs/uploads/?digest=sha256:$(printf x | sha256sum | cut -d ' ' -f 1)" -f -X POST -d x
	[ "$(registry_curl w "/v2/x/blobs/sha256:$(printf x | sha256sum | cut -d ' ' -f 1)" -o /dev/null -w '%{http_code}')" = 200 ] ||
		registry_curl w /v2/_catalog
	registry_wipe w
	[ "$(registry_curl w "/v2/x/blobs/sha256:$(printf x | sha256sum | cut -d ' ' -f 1)" -o /dev/null -w '%{http_code}')" = 404 ]
}

@test "teardown ends what the test started" {
	registry_start gone plain
	pid=$(peer_pid registry-gone)
	pid_alive "$pid"
	peers_teardown
	pid_gone "$pid"
}

@test "watchdog cleans up after a killed runner" {
	require_peer docker-registry
	# The child is "the runner"; its daemon must not survive it.
	(
		unset PEERS_DIR BATS_TEST_NAME
		bash -c '. "$1"; peers_setup $$; registry_start orphan plain
			echo "$PEERS_DIR $(peer_pid registry-orphan)" >"$2"; kill -KILL $$' - "$PEERS_SRC/peers.bash" "$BATS_TEST_TMPDIR/out" || :
	)
	read -r dir pid <"$BATS_TEST_TMPDIR/out"
	wait_until 60 pid_gone "$pid"
	wait_until 60 test ! -e "$dir"
}

@test "fake registry starts and says where" {
	[ -f "$PEERS_TOP/tests/registry/fakereg.py" ] || skip "tests/registry/fakereg.py is not there"
	fakereg_start f
	[[ $FAKEREG_ADDR == *:[0-9]* ]]
}

@test "docker run prints the line" {
	require_docker
	image_need sym
	run docker_run test/sym:1
	[ "$output" = "$SYM_LINE" ]
}

@test "docker save wrote a symlinked layer.tar that points at an earlier twin" {
	image_need sym
	[ "$(tar tvf "$IMAGE" | grep -c '^l.*layer.tar -> \.\./[0-9a-f]\{64\}/layer.tar$')" -eq 1 ]
	[ "$(docker_diff_ids test/sym:1 | wc -l)" -eq 4 ]
	[ "$(docker_diff_ids test/sym:1 | sort -u | wc -l)" -eq 3 ]
}

@test "skopeo sees through the symlinked save" {
	require_peer skopeo
	image_need sym
	[ "$(skopeo inspect --config --raw "docker-archive:$IMAGE" | sha256sum | cut -d ' ' -f 1)" = \
		"$(docker_image_id test/sym:1 | cut -d : -f 2)" ]
}

@test "multi-image save links across its images" {
	image_need multi
	[ "$(tar xOf "$IMAGE" manifest.json | jq length)" -eq 2 ]
	# A directory that only image b names holds a link into a directory that only image a names.
	tar xOf "$IMAGE" manifest.json | jq -r '(.[1].Layers - .[0].Layers)[]' >"$BATS_TEST_TMPDIR/only-b"
	tar tvf "$IMAGE" | grep -F -f "$BATS_TEST_TMPDIR/only-b" | grep -q '^l'
	tar tvf "$IMAGE" | sed -n 's/.*-> \.\.\///p' | grep -q -v -F -f "$BATS_TEST_TMPDIR/only-b"
}

@test "tags, untagged and registry-host saves" {
	image_need tags
	[ "$(tar xOf "$IMAGE" manifest.json | jq -c '.[0].RepoTags')" = '["test/other:2","localhost:5000/deep/er/name:v3"]' ]
	image_need untagged
	[ "$(tar xOf "$IMAGE" manifest.json | jq -c '.[0].RepoTags')" = null ]
	image_need host
	[ "$(tar xOf "$IMAGE" manifest.json | jq -r '.[0].RepoTags[0]')" = registry.example.test:5000/app/sym:1 ]
}

@test "big is some tens of MB; big2 differs in its last layer only" {
	image_need big
	size=$(stat -c %s "$IMAGE")
	[ "$size" -gt 30000000 ] && [ "$size" -lt 60000000 ]
	run docker_run test/big:1
	[ "$output" = "$BIG_LINE" ]
	image_need big2
	[ "$(docker_diff_ids test/big:1 | head -n -1)" = "$(docker_diff_ids test/big:2 | head -n -1)" ]
	[ "$(docker_diff_ids test/big:1 | tail -n 1)" != "$(docker_diff_ids test/big:2 | tail -n 1)" ]
}

@test "podman, skopeo, buildah and ctr save the same image" {
	image_need podman-docker
	tar xOf "$IMAGE" manifest.json | jq -e '.[0].Config' | grep -q "$(docker_image_id test/sym:1 | cut -d : -f 2)"
	image_need skopeo-docker
	tar xOf "$IMAGE" manifest.json | jq -e '.[0].Config' | grep -q "$(docker_image_id test/sym:1 | cut -d : -f 2)"
	image_need buildah-docker
	tar xOf "$IMAGE" manifest.json | jq -e '.[0].Config' | grep -q "$(docker_image_id test/sym:1 | cut -d : -f 2)"
	for name in podman-oci skopeo-oci buildah-oci ctr-oci; do
		image_need "$name"
		tar xOf "$IMAGE" oci-layout | jq -e .imageLayoutVersion
	done
	image_need podman-multi
	[ "$(tar xOf "$IMAGE" manifest.json | jq length)" -eq 2 ]
	image_need skopeo-layout
	[ -f "$IMAGE/oci-layout" ]
	image_need skopeo-dir
	[ -f "$IMAGE/manifest.json" ]
	image_need crane-docker
	tar xOf "$IMAGE" manifest.json | jq -e '.[0].Layers[0] | endswith(".tar.gz")'
}

@test "podman: pushed, pulled and run" {
	require_root
	require_peer podman skopeo
	image_need sym
	registry_start run plain
	skopeo copy --quiet --dest-tls-verify=false "docker-archive:$IMAGE" "docker://$REGISTRY_ADDR/test/sym:1"
	podman pull --quiet --tls-verify=false "$REGISTRY_ADDR/test/sym:1"
	run podman_run "$REGISTRY_ADDR/test/sym:1"
	[ "$output" = "$SYM_LINE" ]
	podman rmi "$REGISTRY_ADDR/test/sym:1"
}

@test "docker: pulls from all forms of the registry" {
	require_peer skopeo
	image_need sym
	id=$(docker_image_id test/sym:1)
	for form in plain tls htpasswd; do
		registry_start "pull-$form" "$form"
		skopeo copy --quiet --dest-tls-verify=false --dest-creds "$REGISTRY_USER:$REGISTRY_PASS" \
			"docker-archive:$IMAGE" "docker://$REGISTRY_ADDR/test/sym:1"
		[ "$form" != htpasswd ] || docker login -u "$REGISTRY_USER" --password-stdin "$REGISTRY_ADDR" <<<"$REGISTRY_PASS"
		docker pull --quiet "$REGISTRY_ADDR/test/sym:1"
		[ "$(docker_image_id "$REGISTRY_ADDR/test/sym:1")" = "$id" ]
		[ -n "$(registry_digest "pull-$form" test/sym 1)" ]
		docker rmi "$REGISTRY_ADDR/test/sym:1"
	done
}
