#!/usr/bin/env bats
# "serve --proxy": a cache in front of docker-registry and of one that misbehaves, pulled from by everybody's clients.

load serve_lib

setup() {
	serve_setup
	export DRAY_RETRY_MS=1
}
teardown() { serve_teardown; }

# blob_put URL REPO FILE [CURL-ARG...]: prints its digest.
blob_put() {
	local d at url=$1 repo=$2 file=$3
	shift 3
	d=sha256:$(sha256sum <"$file" | cut -d ' ' -f 1)
	at=$(get "$@" -X POST -D - -o /dev/null "$url/v2/$repo/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
	case $at in /*) at=$url$at ;; esac
	case $at in *\?*) at="$at&digest=$d" ;; *) at="$at?digest=$d" ;; esac
	get "$@" -X PUT -H 'Content-Type: application/octet-stream' -T "$file" "$at" >&2 || return 1
	echo "$d"
}

# blob_new SIZE URL REPO [FILE]: so many bytes that were nowhere before, also in $CASE/FILE ("blob"). Prints their digest.
blob_new() {
	local file=$CASE/${4:-blob}
	head -c "$1" /dev/urandom >"$file" && blob_put "$2" "$3" "$file"
}

# same_bytes DIGEST REPO: what the proxy gives has that digest.
same_bytes() {
	same "$2" "sha256:$(get "http://$ADDR/v2/$2/blobs/$1" | sha256sum | cut -d ' ' -f 1)" "$1" || {
		peer_log serve | tail -n 5
		return 1
	}
}

# upstream_gets DIGEST: how often the registry was asked for all of it.
upstream_gets() { registry_log up | grep -c "\"GET /v2/[^ ]*/blobs/$1 " || true; }

nothing_is_left() { absent "what is left" "$(find "$ROOT/uploads" -type f)"; }

@test "serve --proxy: docker has it as its mirror, and needs no other registry, nor that one a second time" {
	local id layer
	image_need sym
	id=$(docker_image_id test/sym:1)
	registry_start up plain
	dray_run push "$IMAGE" "docker://$REGISTRY_ADDR/library/sym:1"
	ok
	proxy_start "$REGISTRY_URL"
	spare_start --registry-mirror "http://$ADDR"
	docker pull -q sym:1
	same "docker's" "$(docker_image_id sym:1)" "$id"
	layer=$(remote_manifest "$ADDR" library/sym 1 | jq -r '.layers[0].digest')
	same "asked for a layer" "$(upstream_gets "$layer")" 1
	docker rmi sym:1
	registry_stop up
	docker pull -q sym:1
	same "docker's, without the registry" "$(docker_image_id sym:1)" "$id"
	get -D - -o /dev/null "http://$ADDR/v2/library/sym/manifests/1" | grep -q '^Warning: 110'
	peer_log serve | grep -q 'proxy: served as it was'
}

@test "serve --proxy: podman, skopeo, ctr and dray pull through it, also when the registry is gone" {
	local id at host sock=$PEERS_DIR/exec/containerd/containerd.sock try
	image_need sym
	require_peer skopeo podman ctr
	id=$(docker_image_id test/sym:1)
	registry_start up plain
	host=$REGISTRY_ADDR
	dray_run push "$IMAGE" "docker://$host/org/sym:1"
	ok
	proxy_start "$host"
	mkdir -p "$BATS_TEST_TMPDIR/hosts/$host"
	printf 'server = "http://%s"\n[host."http://%s"]\n  capabilities = ["pull", "resolve"]\n' "$NOBODY" "$ADDR" \
		>"$BATS_TEST_TMPDIR/hosts/$host/hosts.toml"
	printf '[[registry]]\nlocation = "%s"\n[[registry.mirror]]\nlocation = "%s"\ninsecure = true\n' "$host" "$ADDR" \
		>"$BATS_TEST_TMPDIR/mirror.conf"
	for try in with without; do
		same "skopeo's, $try" "sha256:$(skopeo inspect --tls-verify=false --config --raw "docker://$ADDR/org/sym:1" |
			sha256sum | cut -d ' ' -f 1)" "$id"
		rm -rf "$BATS_TEST_TMPDIR/dir"
		skopeo copy -q --src-tls-verify=false "docker://$ADDR/org/sym:1" "dir:$BATS_TEST_TMPDIR/dir"
		CONTAINERS_REGISTRIES_CONF=$BATS_TEST_TMPDIR/mirror.conf podman pull -q "$host/org/sym:1"
		same "podman's, $try" "sha256:$(podman image inspect --format '{{.Id}}' "$host/org/sym:1")" "$id"
		podman rmi -f "$host/org/sym:1"
		at=(-a "$sock" -n "dray-proxy-$try")
		ctr "${at[@]}" images pull --hosts-dir "$BATS_TEST_TMPDIR/hosts" "$host/org/sym:1" >/dev/null
		ctr "${at[@]}" images rm "$host/org/sym:1"
		dray_run verify "docker://$ADDR/org/sym:1"
		expect 0
		[ "$try" = without ] || registry_stop up
	done
	# containerd says whose mirror it takes this one for.
	peer_log serve | grep -qF "?ns=${host/:/%3A}\""
	same "another's mirror" "$(status_of "http://$ADDR/v2/org/sym/manifests/1?ns=docker.io")" 404
}

@test "serve --proxy: a registry with a login and TLS; its credentials stay here" {
	local auth=$BATS_TEST_TMPDIR/auth.json
	image_need sym
	registry_start up htpasswd+tls
	dray_run push "$IMAGE" "docker://$REGISTRY_ADDR/org/sym:1" --cert-dir "$REGISTRY_CERT_DIR" --creds "$REGISTRY_USER:$REGISTRY_PASS"
	ok
	printf '{"auths":{"%s":{"auth":"%s"}}}' "$REGISTRY_ADDR" "$(printf %s "$REGISTRY_USER:$REGISTRY_PASS" | base64 -w 0)" >"$auth"
	proxy_start "$REGISTRY_URL" --authfile "$auth" --cert-dir "$REGISTRY_CERT_DIR"
	remote_walk "$ADDR" org/sym 1
	absent "given out" "$(get -D - "http://$ADDR/v2/org/sym/manifests/1" | grep -aF "$REGISTRY_PASS")"
	fails grep -aqrF "$(printf %s "$REGISTRY_USER:$REGISTRY_PASS" | base64 -w 0)" "$ROOT" "$PEERS_DIR/d/serve/log"
	peer_stop serve
	# Without them it refuses; what the folder has by digest is given.
	DIGEST=sha256:$(ls "$ROOT"/blobs/sha256/*/ | grep -E '^[0-9a-f]{64}$' | head -n 1)
	proxy_start "$REGISTRY_URL" --cert-dir "$REGISTRY_CERT_DIR"
	same "by tag" "$(status_of "http://$ADDR/v2/org/sym/manifests/1")" 403
	same_bytes "$DIGEST" org/sym
}

@test "serve --proxy: however many ask for a blob, it comes once; parts of it, too" {
	local d i
	registry_start up plain
	d=$(blob_new 30000000 "$REGISTRY_URL" org/big big)
	proxy_start "$REGISTRY_URL"
	same "its size" "$(get -I "http://$ADDR/v2/org/big/blobs/$d" | tr -d '\r' | sed -n 's/^Content-Length: //p')" 30000000
	same "asked for by a HEAD" "$(upstream_gets "$d")" 0
	for i in $(seq 16); do
		get -o "$BATS_TEST_TMPDIR/got.$i" "http://$ADDR/v2/org/big/blobs/$d" 3>&- &
	done
	get -r 29999000-29999999 -o "$BATS_TEST_TMPDIR/part" "http://$ADDR/v2/org/big/blobs/$d"
	wait
	for i in $(seq 16); do cmp "$BATS_TEST_TMPDIR/got.$i" "$BATS_TEST_TMPDIR/big"; done
	cmp "$BATS_TEST_TMPDIR/part" <(tail -c 1000 "$BATS_TEST_TMPDIR/big")
	same "asked for" "$(upstream_gets "$d")" 1
	# Another repository that has it, too, is asked about it, and no more.
	blob_put "$REGISTRY_URL" org/other "$BATS_TEST_TMPDIR/big"
	same_bytes "$d" org/other
	same "not known there" "$(status_of "http://$ADDR/v2/org/third/blobs/$d")" 404
	same "asked for" "$(upstream_gets "$d")" 1
	registry_stop up
	same_bytes "$d" org/other
	nothing_is_left
}

@test "serve --proxy: nothing can be pushed or deleted; lists are the registry's, then what is here" {
	image_need sym
	registry_start up plain
	for tag in 1 2 3; do
		dray_run push "$IMAGE" "docker://$REGISTRY_ADDR/org/sym:$tag"
		ok
	done
	proxy_start "$REGISTRY_URL"
	remote_walk "$ADDR" org/sym 2
	same "POST" "$(status_of -X POST "http://$ADDR/v2/org/sym/blobs/uploads/")" 405
	same "PUT" "$(status_of -X PUT -d '{}' "http://$ADDR/v2/org/sym/manifests/1")" 405
	same "DELETE" "$(status_of -X DELETE "http://$ADDR/v2/org/sym/manifests/2")" 405
	same tags "$(get "http://$ADDR/v2/org/sym/tags/list" | jq -c .tags)" '["1","2","3"]'
	same "a page" "$(get "http://$ADDR/v2/org/sym/tags/list?n=1&last=1" | jq -c .tags)" '["2"]'
	same catalog "$(get "http://$ADDR/v2/_catalog" | jq -c .repositories)" '["org/sym"]'
	same "no such repository" "$(status_of "http://$ADDR/v2/org/none/tags/list")" 404
	same "no such tag" "$(status_of "http://$ADDR/v2/org/sym/manifests/none")" 404
	registry_stop up
	same tags "$(get "http://$ADDR/v2/org/sym/tags/list" | jq -c .tags)" '["2"]'
	same "what nobody can be asked about" "$(status_of "http://$ADDR/v2/org/sym/manifests/1")" 502
}

@test "serve --proxy: a tag that moves, and one that is believed for a while" {
	image_need sym tags
	registry_start up plain
	local one=$IMAGE
	dray_run push "$one" "docker://$REGISTRY_ADDR/org/sym:1"
	ok
	proxy_start "$REGISTRY_URL"
	same "before" "$(remote_walk "$ADDR" org/sym 1)" "$DIGEST"
	dray_run edit "docker://$REGISTRY_ADDR/org/sym:1" --label x=y -o "docker://$REGISTRY_ADDR/org/sym:1"
	expect 0
	local moved
	moved=$(source_manifest_digest_at "$REGISTRY_ADDR/org/sym:1")
	[ "$moved" != "$DIGEST" ]
	same "after" "$(remote_walk "$ADDR" org/sym 1)" "$moved"
	peer_stop serve
	proxy_start "$REGISTRY_URL" --proxy-ttl 1h
	same "asked once" "$(remote_walk "$ADDR" org/sym 1)" "$moved"
	dray_run push "$one" "docker://$REGISTRY_ADDR/org/sym:1"
	ok
	same "believed" "$(remote_walk "$ADDR" org/sym 1)" "$moved"
}

source_manifest_digest_at() { echo "sha256:$(skopeo inspect --tls-verify=false --raw "docker://$1" | sha256sum | cut -d ' ' -f 1)"; }

@test "serve --proxy: a registry that lies is believed nothing" {
	local d row other
	image_need sym
	fakereg_start up --also 127.0.0.2:0
	other=$(sed -n 2p <<<"$FAKEREG_ADDRS")
	dray_run push "$IMAGE" "docker://$FAKEREG_ADDR/org/sym:1"
	ok
	d=$(blob_new 300000 "http://$FAKEREG_ADDR" org/sym)
	proxy_start "http://$FAKEREG_ADDR"
	# Whatever it is, no client takes what comes for whole, and nothing stays.
	for row in flip=70000 flip=299999 short=3 len-lie=-5 len-lie=5 cut=0 redirect=file:///etc/passwd "5xx=200,1000"; do
		fakereg_faults "$FAKEREG_ADDR" "$row@GET:blobs/$d"
		! get --max-time 60 -o "$BATS_TEST_TMPDIR/got" "http://$ADDR/v2/org/sym/blobs/$d" || {
			echo "$row: was answered"
			return 1
		}
		absent "$row" "$(find "$ROOT/blobs" -name "${d#sha256:}")"
		nothing_is_left
	done
	for row in digest-lie "flip=20@GET:manifests" "5xx=503,1000@/manifests"; do
		fakereg_faults "$FAKEREG_ADDR" "$row"
		same "$row" "$(status_of "http://$ADDR/v2/org/sym/manifests/$DIGEST")" 502
	done
	# What is only odd is taken.
	for row in cut=100000 cut=100000,times=1 reset=100000,times=1 chunked "redirect=$other" ""; do
		fakereg_faults "$FAKEREG_ADDR" "${row:+$row@GET:blobs/$d}"
		same_bytes "$d" org/sym
		peer_stop serve
		rm -rf "$ROOT"
		proxy_start "http://$FAKEREG_ADDR"
	done
	remote_walk "$ADDR" org/sym 1
	fakereg_faults "$FAKEREG_ADDR" "5xx=503,1000" "429=1,1000"
	remote_walk "$ADDR" org/sym 1
	peer_alive serve
}

@test "serve --proxy: who waits for the registry is not taken for a slow client, who is cut" {
	local d e
	fakereg_start up
	d=$(blob_new 3000000 "http://$FAKEREG_ADDR" org/x)
	e=$(blob_new 30000000 "http://$FAKEREG_ADDR" org/x large)
	DRAY_STALL_MS=600000 proxy_start "http://$FAKEREG_ADDR" --timeout 1
	fakereg_faults "$FAKEREG_ADDR" "stall=8000@GET:blobs/$d"
	get -o "$BATS_TEST_TMPDIR/got" "http://$ADDR/v2/org/x/blobs/$d" 3>&- &
	wait_until 60 some_comes
	# The time of this one begins later, and is up later.
	get --limit-rate 1 -o /dev/null "http://$ADDR/v2/org/x/blobs/$e" 3>&- &
	wait_until 120 was_cut "$e"
	kill %2 2>/dev/null || :
	fakereg_faults "$FAKEREG_ADDR" ""
	wait %1
	cmp "$BATS_TEST_TMPDIR/got" "$BATS_TEST_TMPDIR/blob"
}

some_comes() { [ -n "$(find "$ROOT/uploads" -type f)" ]; }

# was_cut DIGEST: an answer with it was.
was_cut() { serve_log | grep '^{' | jq -e -s "any(.cut and (tostring | contains(\"$1\")))" >/dev/null; }

@test "serve --proxy: killed in the middle of a download, it is a cache as before" {
	local d e
	fakereg_start up
	d=$(blob_new 3000000 "http://$FAKEREG_ADDR" org/x)
	e=$(blob_new 1000 "http://$FAKEREG_ADDR" org/x small)
	proxy_start "http://$FAKEREG_ADDR"
	same_bytes "$e" org/x
	wait_until 60 test -f "$ROOT/blobs/sha256/${e:7:2}/${e:7}"
	fakereg_faults "$FAKEREG_ADDR" "stall=1000000@GET:blobs/$d"
	get -o "$BATS_TEST_TMPDIR/got" "http://$ADDR/v2/org/x/blobs/$d" 3>&- &
	wait_until 60 some_came
	peer_kill9 serve
	fails wait %1
	fakereg_faults "$FAKEREG_ADDR" ""
	proxy_start "http://$FAKEREG_ADDR"
	nothing_is_left
	same_bytes "$d" org/x
	fakereg_stop up
	same_bytes "$e" org/x
	same_bytes "$d" org/x
}

some_came() { [ -n "$(find "$ROOT/uploads" -type f -size +100k)" ]; }

@test "serve --proxy: asked to stop, it waits for no registry" {
	local d
	fakereg_start up
	d=$(blob_new 3000000 "http://$FAKEREG_ADDR" org/x)
	proxy_start "http://$FAKEREG_ADDR" --grace 1
	fakereg_faults "$FAKEREG_ADDR" "stall=1000000@GET:blobs/$d"
	get -o "$BATS_TEST_TMPDIR/got" "http://$ADDR/v2/org/x/blobs/$d" 3>&- &
	wait_until 60 some_came
	kill "$(peer_pid serve)"
	wait_until 60 serve_gone
	fails wait %1
	nothing_is_left
}

@test "serve --proxy --quota: a blob of unannounced size goes through, though it turns out too large to be kept" {
	local d i
	fakereg_start up
	d=$(blob_new 3000000 "http://$FAKEREG_ADDR" org/x)
	proxy_start "http://$FAKEREG_ADDR" --quota 1MB
	fakereg_faults "$FAKEREG_ADDR" "chunked@GET:blobs/$d"
	for i in 1 2; do
		same "status" "$(code "/v2/org/x/blobs/$d")" 200
		cmp "$CASE/body" "$BATS_TEST_TMPDIR/blob"
		same "how it comes" "$(field Transfer-Encoding)$(field Content-Length)" chunked
		absent "kept" "$(find "$ROOT/blobs" -name "${d#sha256:}")"
		nothing_is_left
	done
	same "a range of what has no size is all of it" "$(code "/v2/org/x/blobs/$d" -r 5-9) $(stat -c %s "$CASE/body")" "200 3000000"
	# HTTP/1.0 knows no chunks: there the end of the connection is all that is told of an end.
	same "status" "$(code "/v2/org/x/blobs/$d" -0)" 200
	cmp "$CASE/body" "$BATS_TEST_TMPDIR/blob"
	same "how it comes" "$(field Transfer-Encoding)$(field Content-Length)" ""
	fakereg_faults "$FAKEREG_ADDR" "chunked@GET:blobs/$d" "flip=2000000@GET:blobs/$d"
	fails get -o "$CASE/got" "/v2/org/x/blobs/$d"
	fails get -0 -o "$CASE/got" "/v2/org/x/blobs/$d"
	wait_until 60 logged_sent 3000000 4
}

@test "serve --proxy: what HTTP/1.0 gets of a wrong blob is no whole one, also with TLS and when the server ends" {
	local d args scheme
	fakereg_start up
	d=$(blob_new 3000000 "http://$FAKEREG_ADDR" org/x)
	for scheme in http https; do
		args=()
		if [ "$scheme" = https ]; then
			peers_ca
			CA=$PEERS_DIR/ca
			args=(--tls-cert "$CA/server.crt" --tls-key "$CA/server.key")
		fi
		proxy_start "http://$FAKEREG_ADDR" --grace 1 "${args[@]}"
		fakereg_faults "$FAKEREG_ADDR" "chunked@GET:blobs/$d" "flip=2999999@GET:blobs/$d"
		SCHEME=$scheme fails code "/v2/org/x/blobs/$d" -0
		fakereg_faults "$FAKEREG_ADDR" "chunked@GET:blobs/$d" "stall=2000000@GET:blobs/$d"
		SCHEME=$scheme code "/v2/org/x/blobs/$d" -0 3>&- &
		wait_until 60 some_came
		kill "$(peer_pid serve)"
		fails wait %1
		wait_until 60 serve_gone
		fakereg_faults "$FAKEREG_ADDR" "chunked@GET:blobs/$d"
		proxy_start "http://$FAKEREG_ADDR" "${args[@]}"
		same "$scheme" "$(SCHEME=$scheme code "/v2/org/x/blobs/$d" -0)" 200
		cmp "$CASE/body" "$BATS_TEST_TMPDIR/blob"
		peer_stop serve
		rm -rf "$ROOT"
	done
}

# logged_sent BYTES N: so many answers of this length arrived whole.
logged_sent() { [ "$(serve_log | grep '^{' | jq -s "map(select(.sent == $1 and (.cut | not))) | length")" = "$2" ]; }

@test "serve --proxy --quota: what was not used for longest makes room; gc and other uses of the folder" {
	local d=() i
	registry_start up plain
	for i in 0 1 2 3; do
		d[i]=$(blob_new 1000000 "$REGISTRY_URL" org/x)
	done
	d[4]=$(blob_new 5000000 "$REGISTRY_URL" org/x large)
	proxy_start "$REGISTRY_URL" --quota 2500KB
	for i in 0 1 2 3 4; do same_bytes "${d[i]}" org/x; done
	[ "$(du -sb "$ROOT/blobs" | cut -f 1)" -lt 2600000 ]
	absent "the large one" "$(find "$ROOT/blobs" -name "${d[4]#sha256:}")"
	peer_stop serve
	dray_run gc "$ROOT"
	expect 0
	dray_run serve --addr 127.0.0.1:0 --root "$ROOT"
	expect 2 '*it is a cache of*'
	dray_run serve --addr 127.0.0.1:0 --root "$ROOT" --proxy quay.io
	expect 2 '*it is a cache of*'
	for i in "--proxy-ttl 1h" "--proxy quay.io --read-only" "--proxy quay.io --no-delete" "--proxy quay"; do
		# shellcheck disable=SC2086
		dray_run serve --addr 127.0.0.1:0 --root "$ROOT" $i
		expect 2
	done
	dray_run serve --addr 127.0.0.1:0 --proxy quay.io
	expect 2 '*--root*'
}
