#!/usr/bin/env bats
# docker-daemon: - images out of engines and into them: dockerd, podman's service, and an engine that misbehaves.

load peers
load lib

setup() { verbs_setup; }
teardown() {
	spare_stop
	peers_teardown
}

out() { echo "$BATS_TEST_TMPDIR/$1"; }

# fake_start [FAULT...]: an engine with test/sym:1 in it that misbehaves. FAKE is its folder.
fake_start() {
	FAKE=$BATS_TEST_TMPDIR/fake
	fake_stop
	rm -rf "$FAKE" "$PEERS_DIR/d/fakeengine/log"
	mkdir "$FAKE"
	image_need sym
	fake_document >"$FAKE/image.json"
	peer_spawn fakeengine python3 "$PEERS_TOP/tests/registry/fakeengine.py" --socket "$FAKE/s" --archive "$IMAGE" \
		--image "$FAKE/image.json" --keep "$FAKE" --log "$FAKE/log" "$@"
	wait_until 60 grep -q listening "$PEERS_DIR/d/fakeengine/log"
	export DOCKER_HOST=unix://$FAKE/s
}
fake_stop() { peer_stop fakeengine; }

# What dockerd says of sym, kept from the first time.
fake_document() {
	local kept=$PEERS_DIR/images/sym.inspect id
	id=$(source_image_id "docker-archive:$IMAGE")
	[ -s "$kept" ] || docker -H "unix://$PEERS_DIR/docker.sock" image inspect "$id" | jq '.[0] | .RepoTags = ["test/sym:1"]' >"$kept"
	cat "$kept"
}

# ---------------------------------------------------------------------------------------------------------------------
# Out of dockerd

@test "engine: images lists what docker images does, without streaming an image" {
	image_need multi
	docker load -qi "$IMAGE"
	dray_run images docker-daemon: --json
	expect 0
	same ids "$(jq -r '.images[].image_id' <<<"$output" | sort)" "$(docker images -q --no-trunc | sort -u)"
	same tags "$(jq -r '.images[] | select(.tags == ["test/multi-a:1"]) | .image_id' <<<"$output")" \
		"$(docker_image_id test/multi-a:1)"
	jq -e '.store == "docker-daemon" and .ok and all(.images[]; .manifest_digest == null and .platform == "linux/amd64")' \
		<<<"$output"
	dray_run images docker-daemon:test/multi-a:1 --json
	expect 0
	same diff_ids "$(jq -r '.images[0].layers[].diff_id' <<<"$output")" "$(docker_diff_ids test/multi-a:1)"
	same size "$(jq .images[0].size <<<"$output")" "$(docker image inspect -f '{{.Size}}' test/multi-a:1)"
	same created "$(jq -r .images[0].created <<<"$output")" "$(docker image inspect -f '{{.Created}}' test/multi-a:1)"
	dray_run images -vv docker-daemon:test/multi-a:1
	expect 0 "*/images/test/multi-a:1/json*"
	absent "it streamed" "$(grep /images/get <<<"$stderr")"
	dray_run verify -vv docker-daemon:test/multi-a:1
	expect 0 "*/images/get*"
}

@test "engine: inspect, explain, verify and digest tell what the saved file tells" {
	image_need sym
	docker load -qi "$IMAGE"
	local id
	id=$(docker_image_id test/sym:1)
	for name in test/sym:1 docker.io/test/sym:1 "$id"; do
		dray_run inspect "docker-daemon:$name" --json
		expect 0
		same "image ID" "$(jq -r .images[0].image_id <<<"$output")" "$id"
		same layers "$(jq -r '.images[0].layers[].diff_id' <<<"$output")" "$(docker_diff_ids "$id")"
	done
	same config "$("$DRAY" inspect --config docker-daemon:test/sym:1 | sha256sum)" \
		"$(echo "${id#*:}")  -"
	dray_run verify docker-daemon:test/sym:1
	expect 0
	dray_run why "$IMAGE" docker-daemon:test/sym:1
	expect 0
}

@test "engine: copy and push out of dockerd keep image ID and digests" {
	image_need sym
	docker load -qi "$IMAGE"
	registry_start main plain
	local id
	id=$(docker_image_id test/sym:1)
	dray_run push docker-daemon:test/sym:1 "$REGISTRY_ADDR/app/sym:1"
	ok
	same "on the registry" "$(remote_walk "$REGISTRY_ADDR" app/sym 1)" "$DIGEST"
	same "image ID" "$(remote_image_id "$REGISTRY_ADDR" app/sym 1)" "$id"
	dray_run push "$IMAGE" "$REGISTRY_ADDR/app/file:1"
	same "from the file" "$DIGEST" "$(echo "${output#*@}")"
	# As docker push has it: the name says where to.
	docker tag test/sym:1 "$REGISTRY_ADDR/own/sym:2"
	dray_run push "docker-daemon:$REGISTRY_ADDR/own/sym:2"
	docker rmi "$REGISTRY_ADDR/own/sym:2"
	ok
	same "under its own name" "$(remote_image_id "$REGISTRY_ADDR" own/sym 2)" "$id"
	dray_run push docker-daemon:test/sym:1
	expect 2 "*names no registry host*"
	dray_run copy docker-daemon:test/sym:1 "oci:$(out l):x"
	expect 0
	layout_check "$(out l)"
	same "in a layout" "$(source_image_id "oci:$(out l):x")" "$id"
	dray_run copy "docker-daemon:$id" "docker-archive:$(out a.tar):again:1"
	ok
	same "in an archive" "$(source_image_id "docker-archive:$(out a.tar)")" "$id"
}

@test "engine: all images at once, and none chosen among several" {
	image_need multi
	spare_start
	docker load -qi "$IMAGE"
	dray_run copy docker-daemon: "oci:$(out l)"
	expect 2 "*holds several images*test/multi-a:1*"
	dray_run copy docker-daemon: "oci:$(out l)" --all
	expect 0
	layout_check "$(out l)"
	same tags "$(layout_tags "$(out l)" | sort | xargs)" "test/multi-a:1 test/multi-b:1"
	dray_run verify docker-daemon:
	expect 0
	dray_run inspect docker-daemon: --image test/multi-b:1 --json
	expect 0
	same chosen "$(jq -r .images[0].image_id <<<"$output")" "$(docker_image_id test/multi-b:1)"
}

# ---------------------------------------------------------------------------------------------------------------------
# Into dockerd

@test "engine: copy into an empty dockerd from a file, a pipe, a gzip layout and a registry; it runs" {
	image_need sym
	local id file=$IMAGE
	id=$(source_image_id "docker-archive:$file")
	"$DRAY" copy -q "$file" "oci:$(out l):x" --compression gzip
	registry_start main plain
	"$DRAY" push -q "$file" "$REGISTRY_ADDR/app:1"
	spare_start
	for source in "$file" - "oci:$(out l):x" "docker://$REGISTRY_ADDR/app:1"; do
		if [ "$source" = - ]; then
			dray_piped "$file" copy - docker-daemon:app:1
		else
			dray_run copy "$source" docker-daemon:app:1
		fi
		ok
		same "$source: result" "$output" "docker-daemon:app:1@$id"
		same "$source: docker's image ID" "$(docker_image_id app:1)" "$id"
		same "$source: docker run" "$(docker_run app:1)" "$SYM_LINE"
		docker rmi app:1
		absent "left in docker" "$(docker images -q)"
	done
	dray_run copy "$file" docker-daemon:
	ok
	same "its own name" "$(docker_image_id test/sym:1)" "$id"
	dray_run copy "$file" docker-daemon:test/sym:1 --no-clobber
	expect 2 "*test/sym:1 exists already*"
	dray_run copy docker-daemon:test/sym:1 docker-daemon:again
	ok
	same "within one engine" "$(docker_image_id again:latest)" "$id"
	absent "spool files" "$(ls -A "$TMPDIR")"
}

@test "engine: several images go in at once; a lone word is no name" {
	image_need multi
	local multi=$IMAGE
	image_need sym
	"$DRAY" copy -q "$IMAGE" "oci:$(out l):word"
	spare_start
	dray_run copy "$multi" docker-daemon: --all
	expect 0
	same tags "$(docker images --format '{{.Repository}}:{{.Tag}}' | sort | xargs)" "test/multi-a:1 test/multi-b:1"
	dray_run copy "$multi" docker-daemon:one:1
	expect 2
	dray_run copy "oci:$(out l):word" docker-daemon:
	expect 0 "*\"word\" is no image name*"
	same untagged "$(docker images -f dangling=true -q --no-trunc)" "$(source_image_id "oci:$(out l):word")"
}

@test "engine: what breaks on the way in is not loaded [G-19]" {
	image_need sym
	local sym=$IMAGE
	spare_start
	archive_flip "$sym" "$(out bad.tar)" 5000
	dray_run copy "$(out bad.tar)" docker-daemon:bad:1
	expect 6 "*DiffID differs*"
	dray_piped "$(out bad.tar)" copy - docker-daemon:bad:1
	expect 6 "*DiffID differs*"
	head -c 1000000 "$sym" >"$(out cut.tar)"
	dray_piped "$(out cut.tar)" copy - docker-daemon:bad:1
	expect 6 "*truncated*"
	absent "loaded" "$(docker images -aq)"
	# The same way, with nothing wrong.
	dray_piped "$sym" copy - docker-daemon:good:1
	ok
}

@test "engine: dockerd killed in the middle of a load and of a save" {
	image_need big
	local big=$IMAGE
	spare_start
	run --separate-stderr bash -c '{ head -c 30000000 "$1"; touch "$2"; while [ ! -e "$2.dead" ]; do sleep 0.1; done; tail -c +30000001 "$1"; } |
		"$0" copy - docker-daemon:big:1 & pid=$!
		while [ ! -e "$2" ]; do sleep 0.1; done; kill -9 "$3"; touch "$2.dead"; wait "$pid"' \
		"$DRAY" "$big" "$(out half)" "$(peer_pid spare)"
	expect 5 "*$SPARE.sock*"
	spare_kill9
	spare_start
	absent "loaded" "$(docker images -aq)"
	dray_run copy "$big" docker-daemon:big:1
	ok
	run --separate-stderr bash -c 'set -o pipefail
		"$0" copy docker-daemon:big:1 oci-archive:- | { head -c 100000 >/dev/null; kill -9 "$1"; cat >/dev/null; }' \
		"$DRAY" "$(peer_pid spare)"
	expect 5 "*$SPARE.sock*"
	spare_kill9
}

# ---------------------------------------------------------------------------------------------------------------------
# podman

@test "engine: podman's service both ways; it runs" {
	require_root
	require_peer podman
	image_need multi
	local multi=$IMAGE
	image_need sym
	local id
	id=$(source_image_id "docker-archive:$IMAGE")
	export DOCKER_HOST=unix://$BATS_TEST_TMPDIR/podman.sock
	peer_spawn podman-service podman system service --time 0 "$DOCKER_HOST"
	wait_until 60 curl -fsS -o /dev/null --max-time 5 --unix-socket "$BATS_TEST_TMPDIR/podman.sock" http://d/_ping
	dray_run copy "$IMAGE" docker-daemon:engine/sym:1
	ok
	same "podman's image ID" "sha256:$(podman image inspect --format '{{.Id}}' docker.io/engine/sym:1)" "$id"
	same "podman run" "$(podman_run docker.io/engine/sym:1)" "$SYM_LINE"
	dray_run images docker-daemon:engine/sym:1 --json
	expect 0
	same listed "$(jq -r .images[0].image_id <<<"$output")" "$id"
	dray_run copy docker-daemon:engine/sym:1 "oci:$(out l):x"
	expect 0
	same "and back" "$(source_image_id "oci:$(out l):x")" "$id"
	dray_run copy "$multi" docker-daemon: --all
	expect 0
	dray_run verify docker-daemon:test/multi-a:1
	expect 0
	dray_run verify docker-daemon:none:1
	expect 3 "*has no such image*"
	podman rmi -f docker.io/engine/sym:1 test/multi-a:1 test/multi-b:1
}

# ---------------------------------------------------------------------------------------------------------------------
# Where it is, and that it is not there

@test "engine: no socket, no right to it, nobody behind it, another transport" {
	export DOCKER_HOST=unix://$BATS_TEST_TMPDIR/none
	dray_run images docker-daemon:
	expect 5 "*no engine at unix://$BATS_TEST_TMPDIR/none*hint: *DOCKER_HOST*"
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$(out dead)"
	DOCKER_HOST=unix://$(out dead) dray_run images docker-daemon:
	expect 5 "*nobody listens*hint: *"
	touch "$(out file)"
	DOCKER_HOST=unix://$(out file) dray_run images docker-daemon:
	expect 5 "*no socket*"
	DOCKER_HOST=ssh://me@host dray_run images docker-daemon:
	expect 8 "*ssh://me@host*hint: *ssh -nNT -L*"
	DOCKER_HOST=tcp://$NOBODY dray_run images docker-daemon:
	expect 5
	DOCKER_HOST='' DOCKER_CONTEXT=nobody dray_run images docker-daemon:
	expect 3 "*docker context nobody*"
	dray_run images docker-daemon:UPPER
	expect 2
	dray_run images docker-daemon:sha256:12
	expect 2
	dray_run copy "$0" docker-daemon:sha256:0000000000000000000000000000000000000000000000000000000000000000
	expect 2
}

@test "engine: a socket that is not ours to use is 4" {
	require_root
	require_peer setpriv
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$PEERS_DIR/closed"
	chmod 0600 "$PEERS_DIR/closed"
	cp "$DRAY" "$PEERS_DIR/dray-nobody"
	chmod 0755 "$PEERS_DIR/dray-nobody"
	DOCKER_HOST=unix://$PEERS_DIR/closed run --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$PEERS_DIR/dray-nobody" images docker-daemon:
	expect 4 "*no permission*hint: *group*"
	rm -f "$PEERS_DIR/closed" "$PEERS_DIR/dray-nobody"
}

@test "engine: a context of docker's, and TCP with certificates" {
	peers_ca
	local meta ca=$PEERS_DIR/ca addr
	fake_start
	export DOCKER_CONFIG=$(out config)
	meta=$DOCKER_CONFIG/contexts/meta/$(printf mine | sha256sum | cut -d ' ' -f 1)
	mkdir -p "$meta"
	jq -n --arg host "$DOCKER_HOST" '{Name: "mine", Metadata: {}, Endpoints: {docker: {Host: $host}}}' >"$meta/meta.json"
	echo '{"currentContext":"mine"}' >"$DOCKER_CONFIG/config.json"
	unset DOCKER_HOST
	dray_run images docker-daemon:test/sym:1
	expect 0
	peer_spawn fakeengine-tls python3 "$PEERS_TOP/tests/registry/fakeengine.py" --archive "$IMAGE" \
		--tls "$ca/ca.crt,$ca/server.crt,$ca/server.key" --image "$FAKE/image.json" --keep "$FAKE"
	wait_until 60 grep -q listening "$PEERS_DIR/d/fakeengine-tls/log"
	addr=$(sed -n 's/^listening //p' "$PEERS_DIR/d/fakeengine-tls/log" | tail -n 1)
	mkdir "$(out certs)"
	cp "$ca/ca.crt" "$(out certs)/ca.pem"
	export DOCKER_HOST=tcp://$addr DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=$(out certs)
	dray_run verify docker-daemon:test/sym:1
	expect 5 # it wants a certificate of ours
	cp "$ca/client.crt" "$(out certs)/cert.pem"
	cp "$ca/client.key" "$(out certs)/key.pem"
	dray_run verify docker-daemon:test/sym:1
	expect 0
	rm "$(out certs)/ca.pem"
	dray_run verify docker-daemon:test/sym:1
	expect 5 "*hint: DOCKER_CERT_PATH*"
}

# ---------------------------------------------------------------------------------------------------------------------
# Engines that lie and break

@test "engine: a save that breaks leaves no layout" {
	# fault, status, words
	while IFS='|' read -r fault code words; do
		fake_start $fault
		dray_run copy docker-daemon:test/sym:1 "oci:$(out l)"
		expect "$code" "$words" || {
			echo "with $fault"
			return 1
		}
		[ ! -e "$(out l)/index.json" ]
	done <<-'EOF_FAULTS'
		save-cut=700000|5|*closed with outstanding*
		save-die=700000|5|*closed with outstanding*
		save-end=700000|6|*truncated*
		save-end=1024|6|*truncated*
		save-error=700000|5|*the engine broke off: the disk below the engine is gone*
		save-error=0|5|*the engine broke off: the disk below the engine is gone*
		status=500|5|*the engine says: not today*
		status=403|4|*the engine says: not today*
		inspect=[]|6|*expected object*
		inspect={"Id":"sha256:0000000000000000000000000000000000000000000000000000000000000000"}|6|*image ID of what the engine sent differs*
	EOF_FAULTS
	fake_start
	dray_run copy docker-daemon:test/sym:1 "oci:$(out l)"
	expect 0
	layout_check "$(out l)"
}

@test "engine: a load is a success only when the engine says so and then has it" {
	export DRAY_ENGINE_WAIT_MS=5000 DRAY_STALL_MS=5000
	while IFS='|' read -r fault code words; do
		fake_start "$fault"
		dray_run copy "$IMAGE" docker-daemon:test/sym:1
		expect "$code" "$words" || {
			echo "with $fault"
			return 1
		}
		absent "stdout" "$output"
	done <<-'EOF_FAULTS'
		load-die=0|5|*load into unix://*
		load-die=700000|5|*load into unix://*
		load-stop=700000|5|*the engine did not load it: no space left on device*
		load-status=500|5|*the engine says: not today*
		load-status=403|4|*the engine says: not today*
		load-status=404|5|*the engine says: not today*
		load-error=invalid diffID for layer 0|5|*the engine did not load it: invalid diffID for layer 0*
		load-silent|5|*was silent*
		load-broken|5|*the engine's answer*
		load-endless|6|*LIMIT_ENGINE_ANSWER*
		other-id|6|*image ID after the load differs (expected sha256:*, got sha256:000*
		absent|6|*does not have it*
	EOF_FAULTS
	fake_start
	dray_run copy "$IMAGE" docker-daemon:test/sym:1
	ok
	same "what it was sent" "$(source_image_id "docker-archive:$FAKE/load.tar")" "$(source_image_id "docker-archive:$IMAGE")"
}

@test "engine: nothing of a save or load is kept here, and memory stays bounded" {
	image_need big
	docker load -qi "$IMAGE"
	registry_start main plain
	export TMPDIR=/proc/none # a spool file would fail
	dray_peak /dev/null copy docker-daemon:test/big:1 "$REGISTRY_ADDR/big:1"
	expect 0
	dray_sanitized || [ "$PEAK_KIB" -lt 65536 ]
	dray_peak /dev/null copy "$REGISTRY_ADDR/big:1" docker-daemon:engine/big:1
	expect 0
	dray_sanitized || [ "$PEAK_KIB" -lt 65536 ]
	docker rmi engine/big:1
}
