#!/usr/bin/env bats
# Registry work: tags, catalog, manifest, blob, delete, login and logout, registries.conf. Peers: docker-registry, docker,
# podman, skopeo; fakereg for what no registry does on purpose.

load lib

setup() {
	verbs_setup
	AUTH=$DOCKER_CONFIG/config.json PODMAN_AUTH=$XDG_RUNTIME_DIR/containers/auth.json
	CONF=$CONTAINERS_REGISTRIES_CONF
	cp "$AUTH" "$BATS_TEST_TMPDIR/config.json"
	cp "$CONF" "$BATS_TEST_TMPDIR/registries.conf"
	echo '{}' >"$AUTH" # other files of the suite log in too
	export DRAY_RETRY_MS=30
}

teardown() {
	cat "$BATS_TEST_TMPDIR/config.json" >"$AUTH"
	cat "$BATS_TEST_TMPDIR/registries.conf" >"$CONF"
	rm -f "$PODMAN_AUTH"
	peers_teardown
}

# seed REPO TAG...: the image sym, pushed once for each tag.
seed() {
	local repo=$1 tag
	shift
	image_need sym
	for tag; do
		"$DRAY" -q push "$IMAGE" "$repo:$tag" >/dev/null
	done
}

# fake ARG...: a fresh fakereg at $FAKEREG_ADDR.
fake() { fakereg_start "r$((++FAKES))" "$@"; }

# conf TEXT: registries.conf for this test.
conf() { printf '%s\n' "$1" >"$CONF"; }

login() { "$DRAY" -q login "$@" --username "$REGISTRY_USER" --password-stdin <<<"$REGISTRY_PASS"; }

# ---------------------------------------------------------------------------------------------------------------------
# Lists

@test "tags and catalog: what skopeo lists, in text and JSON" {
	require_peer skopeo
	registry_start listed plain # the others' images would be in its catalog
	seed "$REGISTRY_ADDR/a/one" 2 1 10 latest
	seed "$REGISTRY_ADDR/b" x
	dray_run tags "docker://$REGISTRY_ADDR/a/one"
	expect 0
	same tags "$output" $'1\n10\n2\nlatest'
	same "skopeo's" "$output" "$(skopeo list-tags --tls-verify=false "docker://$REGISTRY_ADDR/a/one" | jq -r '.Tags[]' | LC_ALL=C sort)"
	dray_run tags --json "$REGISTRY_ADDR/a/one"
	expect 0
	same JSON "$(jq -c . <<<"$output")" \
		"{\"schema\":1,\"repository\":\"$REGISTRY_ADDR/a/one\",\"tags\":[\"1\",\"10\",\"2\",\"latest\"]}"
	dray_run catalog "$REGISTRY_ADDR"
	expect 0
	same catalog "$output" $'a/one\nb'
	dray_run catalog "docker://$REGISTRY_ADDR"
	expect 0
	same catalog "$output" $'a/one\nb'
	dray_run catalog --json "http://$REGISTRY_ADDR/"
	expect 0
	same JSON "$(jq -c .repositories <<<"$output")" '["a/one","b"]'
	dray_run tags "$REGISTRY_ADDR/no/such"
	expect 3 "*NAME_UNKNOWN*"
	dray_run tags "$REGISTRY_ADDR/a/one:1"
	expect 2 "*without tag*"
	dray_run catalog myhost
	expect 2 "*docker.io*"
}

@test "N-10: many pages are read; pages that lie end with an error" {
	fake --page-max 2
	seed "$FAKEREG_ADDR/p" v1 v2 v3 v4 v5
	dray_run tags "$FAKEREG_ADDR/p"
	expect 0
	same tags "$output" $'v1\nv2\nv3\nv4\nv5'
	same pages "$(fakereg_requests "$FAKEREG_ADDR" 'select(.kind == "tags")' | wc -l)" 3
	fakereg_faults "$FAKEREG_ADDR" "link=/v2/p/tags/list?n=2,times=1"
	dray_run tags "$FAKEREG_ADDR/p"
	expect 5 "*nothing new*"
	fakereg_faults "$FAKEREG_ADDR" "link=same"
	dray_run tags "$FAKEREG_ADDR/p"
	expect 5 "*circle*"
	fakereg_faults "$FAKEREG_ADDR" "link=endless"
	dray_run tags "$FAKEREG_ADDR/p"
	expect 5 "*nothing new*"
	fakereg_faults "$FAKEREG_ADDR" "link=endless"
	dray_run catalog "$FAKEREG_ADDR"
	expect 5 "*nothing new*"
	fakereg_faults "$FAKEREG_ADDR"
	dray_run catalog "$FAKEREG_ADDR"
	expect 0
	same catalog "$output" p
}

@test "N-10: the next page is on the registry's own origin or nowhere" {
	fake --also 127.0.0.2:0
	seed "$FAKEREG_ADDR/p" v1
	fakereg_faults "$FAKEREG_ADDR" "link={1}"
	dray_run tags "$FAKEREG_ADDR/p"
	expect 4 "*leaves the registry*"
	same "requests elsewhere" "$(fakereg_requests "$FAKEREG_ADDR" 'select(.listener == 1)' | wc -l)" 0
	fakereg_faults "$FAKEREG_ADDR" "link=file:///etc/passwd"
	dray_run tags "$FAKEREG_ADDR/p"
	[ "$status" -ne 0 ]
}

@test "tags: HTML, half an answer and terminal escapes" {
	fake
	seed "$FAKEREG_ADDR/p" v1
	fakereg_faults "$FAKEREG_ADDR" "5xx=500,9@GET:tags/list" html-errors
	dray_run tags --retry 1 "$FAKEREG_ADDR/p"
	expect 5
	fakereg_faults "$FAKEREG_ADDR" "short=5@GET:tags/list"
	dray_run tags "$FAKEREG_ADDR/p"
	expect 6 "*list tags*"
	fakereg_faults "$FAKEREG_ADDR" "5xx=503,2@GET:tags/list"
	dray_run tags "$FAKEREG_ADDR/p"
	expect 0
	same tags "$output" v1
}

# ---------------------------------------------------------------------------------------------------------------------
# Documents and blobs

@test "manifest and blob: exact bytes, verified (M-01, M-05)" {
	registry_start main plain
	seed "$REGISTRY_ADDR/x" 1
	dray_run manifest "$REGISTRY_ADDR/x:1" -o "$BATS_TEST_TMPDIR/m"
	expect 0
	digest=sha256:$(sha256sum <"$BATS_TEST_TMPDIR/m" | cut -d ' ' -f 1)
	same digest "$digest" "$(registry_digest main x 1)"
	same stdout "$("$DRAY" manifest "$REGISTRY_ADDR/x@$digest" | sha256sum)" "$(sha256sum <"$BATS_TEST_TMPDIR/m")"
	dray_run manifest --json "$REGISTRY_ADDR/x:1"
	expect 0
	same JSON "$(jq -r '[.digest, .media_type, .size] | join(" ")' <<<"$output")" \
		"$digest $MT_DOCKER_MANIFEST $(stat -c %s "$BATS_TEST_TMPDIR/m")"
	layer=$(jq -r '.layers[0].digest' "$BATS_TEST_TMPDIR/m")
	dray_run blob "$REGISTRY_ADDR/x" "$layer" -o "$BATS_TEST_TMPDIR/b"
	expect 0
	same blob "sha256:$(sha256sum <"$BATS_TEST_TMPDIR/b" | cut -d ' ' -f 1)" "$layer"
	same stdout "$("$DRAY" blob "$REGISTRY_ADDR/x" "$layer" | sha256sum)" "$(sha256sum <"$BATS_TEST_TMPDIR/b")"
	dray_run blob --json "$REGISTRY_ADDR/x" "$layer" -o "$BATS_TEST_TMPDIR/b"
	expect 0
	same size "$(jq .size <<<"$output")" "$(stat -c %s "$BATS_TEST_TMPDIR/b")"
	dray_run blob --no-clobber "$REGISTRY_ADDR/x" "$layer" -o "$BATS_TEST_TMPDIR/b"
	expect 2
	dray_run blob "$REGISTRY_ADDR/x" "sha256:$(printf '0%.0s' {1..64})"
	expect 3
	dray_run blob "$REGISTRY_ADDR/x" "sha256:../../x"
	expect 2
	run script -qec "'$DRAY' blob '$REGISTRY_ADDR/x' $layer" /dev/null
	[ "$status" -eq 2 ]
	[[ $output == *"not written to a terminal"* ]]
}

@test "manifest --put: the same bytes under another tag; what does not fit is refused" {
	registry_start main plain
	seed "$REGISTRY_ADDR/x" 1
	"$DRAY" manifest "$REGISTRY_ADDR/x:1" >"$BATS_TEST_TMPDIR/m"
	dray_run manifest "$REGISTRY_ADDR/x:copy" --put "$BATS_TEST_TMPDIR/m"
	ok
	same digest "$(registry_digest main x copy)" "$DIGEST"
	run --separate-stderr bash -c '"$0" manifest "$1" --put - <"$2"' "$DRAY" "$REGISTRY_ADDR/x:pipe" "$BATS_TEST_TMPDIR/m"
	ok
	dray_run manifest "$REGISTRY_ADDR/x@sha256:$(printf '0%.0s' {1..64})" --put "$BATS_TEST_TMPDIR/m"
	expect 6 "*expected sha256:0000*"
	dray_run manifest "$REGISTRY_ADDR/x:copy" --put "$BATS_TEST_TMPDIR/m" --media-type application/vnd.oci.image.index.v1+json
	expect 6
	printf '{"schemaVersion":1,"name":"x","tag":"1","fsLayers":[],"history":[]}' >"$BATS_TEST_TMPDIR/s1"
	dray_run manifest "$REGISTRY_ADDR/x:s1" --put "$BATS_TEST_TMPDIR/s1"
	expect 8 "*schema 1*"
}

@test "blob: wrong bytes leave no file; on standard output the status tells" {
	fake
	seed "$FAKEREG_ADDR/x" 1
	layer=$("$DRAY" manifest "$FAKEREG_ADDR/x:1" | jq -r '.layers[0].digest')
	for fault in flip=100 short=3 long=2; do
		fakereg_faults "$FAKEREG_ADDR" "$fault@GET:/blobs/"
		dray_run blob "$FAKEREG_ADDR/x" "$layer" -o "$BATS_TEST_TMPDIR/out"
		expect 6
		[ ! -e "$BATS_TEST_TMPDIR/out" ]
		run --separate-stderr bash -c '"$0" blob "$1" "$2" >/dev/null' "$DRAY" "$FAKEREG_ADDR/x" "$layer"
		expect 6
	done
	fakereg_faults "$FAKEREG_ADDR"
	dray_run blob "$FAKEREG_ADDR/x" "$layer" -o "$BATS_TEST_TMPDIR/out"
	expect 0
}

# ---------------------------------------------------------------------------------------------------------------------
# Deleting

@test "delete: a tag never takes others with it (distribution 2.8 deletes manifests only)" {
	registry_start deletes plain REGISTRY_STORAGE_DELETE_ENABLED=true
	seed "$REGISTRY_ADDR/x" 1 2
	dray_run delete "$REGISTRY_ADDR/x:1"
	expect 2 "*1 shares its manifest with 2*--manifest*"
	same tags "$("$DRAY" tags "$REGISTRY_ADDR/x")" $'1\n2'
	dray_run delete "$REGISTRY_ADDR/x"
	expect 2 "*tag or a digest*"
	dray_run delete "$REGISTRY_ADDR/x:none"
	expect 3
	dray_run delete --json --manifest "$REGISTRY_ADDR/x:1"
	expect 0
	[[ $(jq -r '.deleted[0]' <<<"$output") == "$REGISTRY_ADDR/x@sha256:"* ]]
	same tags "$("$DRAY" tags "$REGISTRY_ADDR/x")" ""
	# Alone with its manifest it may go.
	seed "$REGISTRY_ADDR/y" only
	dray_run delete "$REGISTRY_ADDR/y:only"
	expect 0
	[[ $output == "$REGISTRY_ADDR/y:only"$'\n'"$REGISTRY_ADDR/y@sha256:"* ]]
	dray_run delete "$REGISTRY_ADDR/y:only"
	expect 3
}

@test "delete: by digest; and where the registry deletes nothing" {
	registry_start keeps plain REGISTRY_STORAGE_DELETE_ENABLED=false
	seed "$REGISTRY_ADDR/x" 1
	dray_run delete "$REGISTRY_ADDR/x@$(registry_digest keeps x 1)"
	expect 8 "*UNSUPPORTED*REGISTRY_STORAGE_DELETE_ENABLED*"
	dray_run delete "$REGISTRY_ADDR/x:1"
	expect 8
	same tags "$("$DRAY" tags "$REGISTRY_ADDR/x")" 1
	registry_start other plain REGISTRY_STORAGE_DELETE_ENABLED=true
	seed "$REGISTRY_ADDR/x" 1 2
	dray_run delete "$REGISTRY_ADDR/x@$(registry_digest other x 1)"
	expect 0
	same tags "$("$DRAY" tags "$REGISTRY_ADDR/x")" ""
}

@test "delete: a registry that deletes tags is asked for just that" {
	fake
	seed "$FAKEREG_ADDR/x" 1 2
	dray_run delete "$FAKEREG_ADDR/x:1"
	expect 0
	same deleted "$output" "$FAKEREG_ADDR/x:1"
	same tags "$("$DRAY" tags "$FAKEREG_ADDR/x")" 2
	same "deletes" "$(fakereg_requests "$FAKEREG_ADDR" 'select(.method == "DELETE") | .path')" '"/v2/x/manifests/1"'
}

@test "tokens are asked for what a verb needs and no more" {
	fake --auth bearer --user "$REGISTRY_USER" --password "$REGISTRY_PASS"
	export DRAY_CREDS="$REGISTRY_USER:$REGISTRY_PASS"
	image_need sym
	"$DRAY" -q push --creds "$DRAY_CREDS" "$IMAGE" "$FAKEREG_ADDR/x:1" >/dev/null
	fakereg_forget "$FAKEREG_ADDR"
	for verb in "tags $FAKEREG_ADDR/x" "catalog $FAKEREG_ADDR" "delete $FAKEREG_ADDR/x:1"; do
		# shellcheck disable=SC2086
		dray_run $verb --creds "$DRAY_CREDS"
		expect 0
	done
	scopes=$(fakereg_requests "$FAKEREG_ADDR" 'select(.kind == "token") | .query' | tr '\n' ' ')
	[[ $scopes == *pull*catalog*delete* ]] || { echo "$scopes"; false; }
	[[ $scopes != *push* ]]
}

# ---------------------------------------------------------------------------------------------------------------------
# Logging in

@test "login: tried first, kept as docker does, taken by docker, podman and skopeo" {
	require_docker
	require_peer podman skopeo
	registry_start main htpasswd
	run --separate-stderr bash -c '"$0" login "$1" -u "$2" --password-stdin <<<wrong-password' \
		"$DRAY" "$REGISTRY_ADDR" "$REGISTRY_USER"
	expect 4
	same "nothing kept" "$(cat "$AUTH")" "{}"
	[[ $stderr != *wrong-password* ]]
	run --separate-stderr bash -c '"$0" login -v "$1" -u "$2" --password-stdin <<<"$3"' \
		"$DRAY" "$REGISTRY_ADDR" "$REGISTRY_USER" "$REGISTRY_PASS"
	expect 0
	[[ $stderr$output != *"$REGISTRY_PASS"* ]]
	same mode "$(stat -c %a "$AUTH")" 600
	same entry "$(jq -r --arg h "$REGISTRY_ADDR" '.auths[$h].auth' "$AUTH" | base64 -d)" "$REGISTRY_USER:$REGISTRY_PASS"
	seed "$REGISTRY_ADDR/x" 1
	skopeo inspect --tls-verify=false "docker://$REGISTRY_ADDR/x:1" >/dev/null
	podman pull --quiet --tls-verify=false "$REGISTRY_ADDR/x:1"
	podman rmi "$REGISTRY_ADDR/x:1" >/dev/null
	docker pull --quiet "$REGISTRY_ADDR/x:1"
	docker rmi "$REGISTRY_ADDR/x:1" >/dev/null
	dray_run logout "$REGISTRY_ADDR"
	expect 0
	same entries "$(jq -c .auths "$AUTH")" "{}"
	dray_run tags "$REGISTRY_ADDR/x"
	expect 4
	dray_run logout "$REGISTRY_ADDR"
	expect 3 "*not logged in*"
}

@test "login: for a folder of a registry, as podman keeps it; the longest key wins" {
	require_peer skopeo podman
	local auth=$BATS_TEST_TMPDIR/auth.json theirs=$BATS_TEST_TMPDIR/theirs.json
	image_need sym
	registry_start main htpasswd
	"$DRAY" copy -q --creds "$REGISTRY_USER:$REGISTRY_PASS" "$IMAGE" "docker://$REGISTRY_ADDR/team/app:1"
	"$DRAY" copy -q --creds "$REGISTRY_USER:$REGISTRY_PASS" "$IMAGE" "docker://$REGISTRY_ADDR/teamwork/app:1"
	login "$REGISTRY_ADDR/team" --authfile "$auth"
	printf '{}' >"$theirs"
	podman login --authfile "$theirs" --tls-verify=false -u "$REGISTRY_USER" --password-stdin "$REGISTRY_ADDR/team" <<<"$REGISTRY_PASS"
	same "what podman keeps" "$(jq -cS .auths "$auth")" "$(jq -cS .auths "$theirs")"
	"$DRAY" tags --authfile "$auth" "$REGISTRY_ADDR/team/app"
	skopeo inspect --authfile "$auth" --tls-verify=false "docker://$REGISTRY_ADDR/team/app:1" >/dev/null
	dray_run tags --authfile "$auth" "$REGISTRY_ADDR/teamwork/app"
	expect 4
	# The host's login beside it.
	login "$REGISTRY_ADDR" --authfile "$auth"
	"$DRAY" tags --authfile "$auth" "$REGISTRY_ADDR/teamwork/app"
	same "both" "$(jq '.auths | length' "$auth")" 2
	"$DRAY" -q logout --authfile "$auth" "$REGISTRY_ADDR"
	same "the folder's stays" "$(jq -r '.auths | keys[]' "$auth")" "$REGISTRY_ADDR/team"
	dray_run logout --authfile "$auth" "$REGISTRY_ADDR/team/app"
	expect 3
	dray_run logout --authfile "$auth" "$REGISTRY_ADDR/team"
	expect 0
	same "none" "$(jq -c .auths "$auth")" "{}"
	# Not to docker, which would take it for the whole host; not to a helper.
	login "$REGISTRY_ADDR/team"
	same "docker's" "$(cat "$AUTH")" "{}"
	same "podman's" "$(jq -r '.auths | keys[]' "$XDG_RUNTIME_DIR/containers/auth.json")" "$REGISTRY_ADDR/team"
	"$DRAY" -q logout "$REGISTRY_ADDR/team"
	printf '{"credsStore":"none-such"}' >"$auth"
	run --separate-stderr login "$REGISTRY_ADDR/team" --authfile "$auth"
	expect 8 "*helper*"
	run --separate-stderr login "$REGISTRY_ADDR/team:1" --authfile "$auth"
	expect 2
}

@test "login: what docker and podman stored is found, replaced and removed" {
	require_docker
	require_peer podman
	registry_start main htpasswd
	docker login --username "$REGISTRY_USER" --password-stdin "$REGISTRY_ADDR" <<<"$REGISTRY_PASS" >/dev/null 2>&1
	seed "$REGISTRY_ADDR/x" 1
	dray_run logout "$REGISTRY_ADDR"
	expect 0
	same entries "$(jq -c .auths "$AUTH")" "{}"
	# With DOCKER_CONFIG podman writes to docker's file.
	env -u DOCKER_CONFIG podman login --tls-verify=false --username "$REGISTRY_USER" --password-stdin "$REGISTRY_ADDR" <<<"$REGISTRY_PASS" >/dev/null
	[ -e "$PODMAN_AUTH" ]
	dray_run tags "$REGISTRY_ADDR/x"
	expect 0
	# The file that knows the registry is the one that is asked first: another would never be read.
	run --separate-stderr login "$REGISTRY_ADDR" --json
	expect 0
	same where "$(jq -r .stored_in <<<"$output")" "$PODMAN_AUTH"
	env -u DOCKER_CONFIG podman logout "$REGISTRY_ADDR" >/dev/null
	dray_run logout "$REGISTRY_ADDR"
	expect 3
}

@test "login: the file's other bytes stay, links are followed, new files are private" {
	registry_start main htpasswd
	mkdir "$BATS_TEST_TMPDIR/real"
	printf '{\n  "HttpHeaders": { "X":"\\u0041" },\n  "auths": {\n    "other.example": {"auth":"YTpi", "email":"x"}\n  } ,"n":1.0 }' \
		>"$BATS_TEST_TMPDIR/real/auth.json"
	cp "$BATS_TEST_TMPDIR/real/auth.json" "$BATS_TEST_TMPDIR/before"
	ln -s real/auth.json "$BATS_TEST_TMPDIR/link.json"
	login "$REGISTRY_ADDR" --authfile "$BATS_TEST_TMPDIR/link.json"
	[ -L "$BATS_TEST_TMPDIR/link.json" ]
	same mode "$(stat -c %a "$BATS_TEST_TMPDIR/real/auth.json")" 600
	dray_run --authfile "$BATS_TEST_TMPDIR/link.json" catalog "$REGISTRY_ADDR"
	expect 0
	"$DRAY" -q logout --authfile "$BATS_TEST_TMPDIR/link.json" "$REGISTRY_ADDR"
	cmp "$BATS_TEST_TMPDIR/real/auth.json" "$BATS_TEST_TMPDIR/before"
	login "$REGISTRY_ADDR" --authfile "$BATS_TEST_TMPDIR/a/b/new.json"
	same mode "$(stat -c %a "$BATS_TEST_TMPDIR/a/b/new.json") $(stat -c %a "$BATS_TEST_TMPDIR/a")" "600 700"
	same "docker's" "$(cat "$AUTH")" "{}"
	echo 'not json' >"$BATS_TEST_TMPDIR/bad.json"
	# Neither a pipe nor a device gets to see a secret, nor is it waited for.
	mkfifo "$BATS_TEST_TMPDIR/fifo.json"
	run --separate-stderr timeout 100 bash -c '"$0" -q login "$1" -u "$4" --password-stdin --authfile "$2" <<<"$3"' \
		"$DRAY" "$REGISTRY_ADDR" "$BATS_TEST_TMPDIR/fifo.json" "$REGISTRY_PASS" "$REGISTRY_USER"
	expect 2 '*no regular file*'
	run --separate-stderr login "$REGISTRY_ADDR" --authfile "$BATS_TEST_TMPDIR/bad.json"
	expect 6 "*bad.json*"
	same "bad file" "$(cat "$BATS_TEST_TMPDIR/bad.json")" "not json"
}

@test "login: credential helpers keep the secret; no program sees it in its arguments (N-12, N-14)" {
	registry_start main htpasswd
	mkdir "$BATS_TEST_TMPDIR/bin"
	cat >"$BATS_TEST_TMPDIR/bin/docker-credential-vault" <<-'EOF_HELPER'
		#!/bin/bash
		d=$(dirname "$0")
		echo "$*" >>"$d/args"
		case $1 in
		store) cat >"$d/kept" ;;
		get) [ -s "$d/kept" ] && cat "$d/kept" || { echo "credentials not found in native keychain"; exit 1; } ;;
		erase) rm "$d/kept" ;;
		esac
	EOF_HELPER
	chmod +x "$BATS_TEST_TMPDIR/bin/docker-credential-vault"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH
	printf '{"credsStore":"vault"}' >"$AUTH"
	run --separate-stderr login "$REGISTRY_ADDR" --json
	expect 0
	same where "$(jq -r .stored_in <<<"$output")" docker-credential-vault
	same secret "$(jq -r '.ServerURL + " " + .Username + ":" + .Secret' "$BATS_TEST_TMPDIR/bin/kept")" \
		"$REGISTRY_ADDR $REGISTRY_USER:$REGISTRY_PASS"
	same file "$(jq -c . "$AUTH")" "{\"credsStore\":\"vault\",\"auths\":{\"$REGISTRY_ADDR\":{}}}"
	dray_run catalog "$REGISTRY_ADDR"
	expect 0
	# docker reads it back.
	if type -P docker >/dev/null && require_docker; then
		seed "$REGISTRY_ADDR/x" 1
		docker pull --quiet "$REGISTRY_ADDR/x:1"
		docker rmi "$REGISTRY_ADDR/x:1" >/dev/null
	fi
	dray_run logout "$REGISTRY_ADDR"
	expect 0
	[ ! -e "$BATS_TEST_TMPDIR/bin/kept" ]
	absent "secrets in arguments" "$(grep -F pass "$BATS_TEST_TMPDIR/bin/args")"
	dray_run logout "$REGISTRY_ADDR"
	expect 3
	printf '{"credHelpers":{"%s":"../evil"}}' "$REGISTRY_ADDR" >"$AUTH"
	run --separate-stderr login "$REGISTRY_ADDR"
	expect 6 "*helper*"
}

@test "login: usage, and a terminal that is asked without echo" {
	registry_start main htpasswd
	run --separate-stderr bash -c '"$0" login "$1" --password-stdin </dev/null' "$DRAY" "$REGISTRY_ADDR"
	expect 2 "*--username*"
	run --separate-stderr bash -c '"$0" login "$1" </dev/null' "$DRAY" "$REGISTRY_ADDR"
	expect 2 "*no terminal*"
	run --separate-stderr bash -c '"$0" login "$1/No path" --creds a:b' "$DRAY" "$REGISTRY_ADDR"
	expect 2 "*HOST*"
	run --separate-stderr bash -c 'printf "a\nb" | "$0" login "$1" -u x --password-stdin' "$DRAY" "$REGISTRY_ADDR"
	expect 2
	run python3 - "$DRAY" "$REGISTRY_ADDR" "$REGISTRY_USER" "$REGISTRY_PASS" <<-'EOF_PYTHON'
		import os, pty, sys
		program, host, user, password = sys.argv[1:]
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(program, [program, "login", host])
		seen = b""
		def until(text):
		    global seen
		    while text not in seen:
		        seen += os.read(fd, 1000)
		until(b"Username: ")
		os.write(fd, user.encode() + b"\n")
		until(b"Password: ")
		os.write(fd, password.encode() + b"\n")
		try:
		    while True:
		        more = os.read(fd, 1000)
		        if not more: break
		        seen += more
		except OSError:
		    pass
		print(seen.decode())
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	EOF_PYTHON
	[ "$status" -eq 0 ]
	[[ $output == *"logged in"* && $output != *"$REGISTRY_PASS"* ]]
}

@test "login: a token server of another site gets nothing and proves nothing (N-05)" {
	fake --auth bearer
	fakereg_faults "$FAKEREG_ADDR" "realm=http://elsewhere.example/token"
	run --separate-stderr login "$FAKEREG_ADDR"
	expect 4 "*another site*"
	same "nothing kept" "$(cat "$AUTH")" "{}"
}

# ---------------------------------------------------------------------------------------------------------------------
# registries.conf

@test "registries.conf: a mirror is asked first; what it lacks comes from the registry" {
	registry_start main plain
	main=$REGISTRY_ADDR
	seed "$main/x" 1
	fake
	mirror=$FAKEREG_ADDR
	conf "[[registry]]
location = \"$main\"
[[registry.mirror]]
location = \"$mirror/cache\"
insecure = true"
	# The mirror has nothing.
	dray_run copy "$main/x:1" "oci:$BATS_TEST_TMPDIR/o1"
	ok
	want=$DIGEST
	[ "$(fakereg_requests "$mirror" 'select(.path == "/v2/cache/x/manifests/1")' | wc -l)" -ge 1 ]
	# It has everything: then the registry is not needed, and the reference is still the registry's.
	CONTAINERS_REGISTRIES_CONF=/dev/null "$DRAY" -q copy "$main/x:1" "$mirror/cache/x:1"
	registry_stop main
	dray_run copy "$main/x:1" "oci:$BATS_TEST_TMPDIR/o2"
	ok
	same digest "$DIGEST" "$want"
	# It has the manifest only.
	registry_start main plain
	layer=$("$DRAY" manifest "$main/x:1" | jq -r '.layers[0].digest')
	fakereg_faults "$mirror" "5xx=404,99@GET:/blobs/$layer"
	dray_run copy "$main/x:1" "oci:$BATS_TEST_TMPDIR/o3"
	ok
	same digest "$DIGEST" "$want"
	layout_check "$BATS_TEST_TMPDIR/o3"
	# A push goes to the registry alone.
	fakereg_faults "$mirror"
	fakereg_forget "$mirror"
	seed "$main/y" 1
	same "requests to the mirror" "$(fakereg_requests "$mirror" | wc -l)" 0
}

@test "registries.conf: a mirror that lies is not believed" {
	registry_start main plain
	main=$REGISTRY_ADDR
	seed "$main/x" 1
	fake
	CONTAINERS_REGISTRIES_CONF=/dev/null "$DRAY" -q copy "$main/x:1" "$FAKEREG_ADDR/x:1"
	conf "[[registry]]
prefix = \"$main\"
location = \"$main\"
mirror = [{ location = \"$FAKEREG_ADDR\" }]"
	digest=$(registry_digest main x 1)
	fakereg_faults "$FAKEREG_ADDR" "flip=20@GET:/manifests/" "flip=20@GET:/blobs/"
	dray_run manifest "$main/x@$digest" -o "$BATS_TEST_TMPDIR/m"
	expect 0
	same digest "sha256:$(sha256sum <"$BATS_TEST_TMPDIR/m" | cut -d ' ' -f 1)" "$digest"
	dray_run inspect "$main/x@$digest"
	expect 0
}

@test "registries.conf: location, blocked, digest-only, longest prefix, credentials" {
	registry_start main plain
	main=$REGISTRY_ADDR
	seed "$main/ns/x" 1
	fake
	conf "unqualified-search-registries = [\"nowhere.example\"]
[[registry]]
prefix = \"moved.example/old\"
location = \"$main/ns\"
[[registry]]
prefix = \"*.wild.example\"
location = \"$main\"
[[registry]]
prefix = \"moved.example\"
location = \"nowhere.invalid\"
blocked = true
[[registry]]
location = \"$main\"
mirror-by-digest-only = true
[[registry.mirror]]
location = \"$FAKEREG_ADDR\""
	dray_run manifest --json moved.example/old/x:1
	expect 0
	[[ $(jq -r .reference <<<"$output") == moved.example/old/x@sha256:* ]]
	dray_run tags moved.example/old/x
	expect 0
	dray_run tags a.b.wild.example/ns/x
	expect 0
	dray_run tags moved.example/new/x
	expect 4 "*moved.example/new/x is blocked by $CONF*"
	# Pushes follow the location too.
	seed moved.example/old/y 7
	same "pushed" "$(CONTAINERS_REGISTRIES_CONF=/dev/null "$DRAY" tags "$main/ns/y")" 7
	# By tag the mirror is not asked, by digest it is; --creds never reach it.
	"$DRAY" manifest "$main/ns/x:1" --creds "$REGISTRY_USER:$REGISTRY_PASS" >/dev/null
	same "by tag" "$(fakereg_requests "$FAKEREG_ADDR" | wc -l)" 0
	"$DRAY" manifest "$main/ns/x@$(registry_digest main ns/x 1)" --creds "$REGISTRY_USER:$REGISTRY_PASS" >/dev/null
	[ "$(fakereg_requests "$FAKEREG_ADDR" | wc -l)" -ge 1 ]
	same "credentials" "$(fakereg_requests "$FAKEREG_ADDR" 'select(.headers.authorization)' | wc -l)" 0
}

@test "registries.conf: insecure is for its host alone; without it TLS has to verify (N-11)" {
	registry_start main tls
	rm -rf "${CERTS_D:?}/$REGISTRY_ADDR"
	dray_run catalog "$REGISTRY_ADDR"
	expect 5 "*certificate*"
	conf "[[registry]]
location = \"$REGISTRY_ADDR\"
insecure = true"
	dray_run catalog "$REGISTRY_ADDR"
	expect 0
	conf "[[registry]]
location = \"127.0.0.1:1\"
insecure = true"
	dray_run catalog "$REGISTRY_ADDR"
	expect 5
}

@test "registries.conf: errors name file and line; version 1 is refused" {
	fake
	seed "$FAKEREG_ADDR/p" v1
	while IFS='|' read -r code want text; do
		printf '%b\n' "$text" >"$CONF"
		dray_run tags "$FAKEREG_ADDR/p"
		expect "$code" "*$CONF*$want*"
	done <<-'EOF_CASES'
		6|line 2|\n[[registry]
		6|line 1|[[registry]]
		6|line 3|[[registry]]\nlocation = "a.b"\nblocked = "yes"
		6|line 2|x = 1\nx = 2
		6|line 1|[[registry]]\nlocation = "https://a.b"
		6|line 3|[[registry]]\nlocation = "a.b"\n[[registry.mirror]]
		8|version 1|[registries.search]\nregistries = ["docker.io"]
	EOF_CASES
	# Its twin: keys of later versions are passed over.
	conf '
credential-helpers = ["x"] # comment
new-key = { a = 1.5, b = [1979-05-27, "x"] }
[aliases]
"busybox" = "docker.io/library/busybox"
[[registry]]
location = "a.b"
future = true'
	dray_run tags "$FAKEREG_ADDR/p"
	expect 0
	rm -f "$CONF.gone"
	CONTAINERS_REGISTRIES_CONF=$CONF.gone dray_run tags "$FAKEREG_ADDR/p"
	expect 3 "*$CONF.gone*"
}

# ---------------------------------------------------------------------------------------------------------------------
# Manifests of schema 1

# schema1_make: the image sym as $REGISTRY_ADDR/x:s1, by distribution's own converter; the document in $S1.
schema1_make() {
	registry_start schema1 plain REGISTRY_COMPATIBILITY_SCHEMA1_ENABLED=true
	seed "$REGISTRY_ADDR/x" 1
	S1=$BATS_TEST_TMPDIR/s1.json
	curl -fsS -o "$S1" -H "Accept: $MT_SCHEMA1" "$REGISTRY_URL/v2/x/manifests/1"
	same version "$(jq .schemaVersion "$S1")" 1
	curl -fsS -o /dev/null -D "$BATS_TEST_TMPDIR/head" -X PUT -H "Content-Type: $MT_SCHEMA1" --data-binary "@$S1" \
		"$REGISTRY_URL/v2/x/manifests/s1"
	S1_DIGEST=$(tr -d '\r' <"$BATS_TEST_TMPDIR/head" | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p')
}

MT_SCHEMA1=application/vnd.docker.distribution.manifest.v1+prettyjws

@test "schema 1: read as docker pull reads it, written as what is read today" {
	require_docker
	schema1_make
	docker pull --quiet "$REGISTRY_ADDR/x:s1" 2>/dev/null || skip "this docker pulls no schema 1"
	id=$(docker_image_id "$REGISTRY_ADDR/x:s1")
	docker rmi "$REGISTRY_ADDR/x:s1" >/dev/null
	dray_run digest --image-id "$REGISTRY_ADDR/x:s1"
	expect 0
	same "docker's image ID" "$output" "$id"
	# The digest is that of what is signed (formats.md 4.1), and by it the manifest is found.
	dray_run digest "$REGISTRY_ADDR/x:s1"
	expect 0
	same "the registry's digest" "$output" "$S1_DIGEST"
	dray_run inspect --json "$REGISTRY_ADDR/x@$S1_DIGEST"
	expect 0
	same ID "$(jq -r '.images[0].image_id' <<<"$output")" "$id"
	same type "$(jq -r '.images[0].media_type' <<<"$output")" "$MT_SCHEMA1"
	dray_run explain "$REGISTRY_ADDR/x:s1"
	expect 0
	dray_run verify "$REGISTRY_ADDR/x:s1"
	expect 0
	dray_run copy "$REGISTRY_ADDR/x:s1" "oci:$BATS_TEST_TMPDIR/o:1"
	expect 0 "*schema 1*"
	layout_check "$BATS_TEST_TMPDIR/o"
	dray_run copy "$REGISTRY_ADDR/x:s1" "$REGISTRY_ADDR/y:2"
	expect 0 "*schema 1*"
	same "image ID" "$(remote_image_id "$REGISTRY_ADDR" y 2)" "$id"
	docker_agrees "$REGISTRY_ADDR/y:2" "$id" "$SYM_LINE"
	dray_run manifest "$REGISTRY_ADDR/x:again" --put "$S1" --media-type "$MT_SCHEMA1"
	expect 8 "*schema 1*"
}

@test "schema 1: what is not signed does not count, chains have to be whole" {
	schema1_make
	fake --no-verify-refs
	for digest in $(jq -r '.fsLayers[].blobSum' "$S1" | sort -u); do
		"$DRAY" blob "$REGISTRY_ADDR/x" "$digest" -o "$BATS_TEST_TMPDIR/blob"
		location=$(curl -fsS -o /dev/null -D - -X POST "http://$FAKEREG_ADDR/v2/x/blobs/uploads/" | tr -d '\r' | sed -n 's/^Location: //p')
		case $location in /*) location=http://$FAKEREG_ADDR$location ;; esac
		case $location in *\?*) location+="&" ;; *) location+="?" ;; esac
		curl -fsS -o /dev/null -X PUT --data-binary "@$BATS_TEST_TMPDIR/blob" -H "Content-Type: application/octet-stream" "${location}digest=$digest"
	done
	put() { curl -fsS -o /dev/null -X PUT -H "Content-Type: ${2:-$MT_SCHEMA1}" --data-binary "@$1" "http://$FAKEREG_ADDR/v2/x/manifests/t"; }
	fakereg_faults "$FAKEREG_ADDR" no-digest
	put "$S1"
	id=$("$DRAY" digest --image-id "$REGISTRY_ADDR/x:s1")
	dray_run digest --image-id "$FAKEREG_ADDR/x:t"
	expect 0
	same "signed" "$output" "$id"
	jq 'del(.signatures)' "$S1" >"$BATS_TEST_TMPDIR/unsigned"
	put "$BATS_TEST_TMPDIR/unsigned" application/vnd.docker.distribution.manifest.v1+json
	dray_run digest --image-id "$FAKEREG_ADDR/x:t"
	expect 0
	same "unsigned" "$output" "$id"
	# A second tag, behind the signed bytes.
	sed '$ s/}$/,"tag":"x"}/' "$S1" >"$BATS_TEST_TMPDIR/bad"
	put "$BATS_TEST_TMPDIR/bad"
	dray_run digest --image-id "$FAKEREG_ADDR/x:t"
	expect 6
	while IFS= read -r edit; do
		jq "$edit" "$BATS_TEST_TMPDIR/unsigned" >"$BATS_TEST_TMPDIR/bad"
		put "$BATS_TEST_TMPDIR/bad" application/vnd.docker.distribution.manifest.v1+json
		dray_run digest --image-id "$FAKEREG_ADDR/x:t"
		expect 6
	done <<-'EOF_EDITS'
		.history |= reverse
		.history |= .[1:]
		.history = [] | .fsLayers = []
		.fsLayers[0].blobSum = "sha256:xyz"
		.history[0].v1Compatibility |= (fromjson | .id = "short" | tojson)
		.history[-1].v1Compatibility |= (fromjson | .parent = ("0" * 64) | tojson)
		.history[0].v1Compatibility = "{"
	EOF_EDITS
}
