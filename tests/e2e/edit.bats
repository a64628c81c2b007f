#!/usr/bin/env bats
# edit: another config for the same layers, against a real build, docker, podman, skopeo and a registry.

load lib

setup() {
	verbs_setup
	T=$BATS_TEST_TMPDIR
}
teardown() { peers_teardown; }

# config_of PLACE: the config's bytes.
config_of() { "$DRAY" inspect --config "$1"; }

# An image with much that can be taken away, saved to $T/full.tar as test/full:1.
full_image() {
	image_require full || return 1
	image_context
	image_build test/full:1 <<-'END'
		FROM scratch
		COPY busybox /bin/busybox
		ENV PATH=/bin A=1 DEBUG=yes BACKUPDIR=/b
		VOLUME /var/lib/one /var/lib/two /srv
		EXPOSE 80 443 5353/udp 8080
		LABEL old.a=1 old.b=2 stage=dev
		USER nobody
		WORKDIR /bin
		HEALTHCHECK CMD ["/bin/busybox","true"]
		ONBUILD RUN true
		STOPSIGNAL SIGINT
		ENTRYPOINT ["/bin/busybox"]
		CMD ["echo","original"]
	END
	rm -rf "$CONTEXT"
	docker save -o "$T/full.tar" test/full:1
}

# docker_config TAG: what docker says of it.
docker_config() { docker image inspect "$1" | jq -S '.[0].Config'; }

@test "what a Dockerfile cannot take away: loaded, run, and nothing else changed" {
	require_peer podman
	full_image
	docker_config test/full:1 >"$T/before"
	dray_run edit "$T/full.tar" --volume - --rm-expose '80*' --expose 443- --env DEBUG- --env A=2 --rm-label 'old.*' \
		--user - --healthcheck - --onbuild - --cmd '["echo","edited"]' -o "docker-archive:$T/out.tar:test/full:2"
	ok
	docker load --quiet -i "$T/out.tar"
	same "image ID" "$(docker_image_id test/full:2)" "$DIGEST"
	same "it runs" "$(docker_run test/full:2)" edited
	same "environment" "$(docker_run test/full:2 env | grep -c '^DEBUG=\|^A=2$')" 1
	docker_config test/full:2 >"$T/after"
	jq -S 'del(.Volumes) | .ExposedPorts = {"5353/udp": {}} | .Env = ["PATH=/bin", "A=2", "BACKUPDIR=/b"]
		| .Labels = {"stage": "dev"} | .User = "" | del(.Healthcheck) | .OnBuild = null | .Cmd = ["echo", "edited"]
		| .Volumes = null' "$T/before" >"$T/want"
	diff "$T/want" "$T/after"
	podman load --quiet -i "$T/out.tar"
	same "podman runs it" "$(podman_run docker.io/test/full:2)" edited
	podman rmi docker.io/test/full:2 >/dev/null
	docker rmi test/full:2 >/dev/null
	skopeo inspect --config "docker-archive:$T/out.tar" | jq -e '.config.Volumes == null'
	# And put back.
	dray_run edit "$T/out.tar" --volume /var/lib/one --expose 80 -o "docker-archive:$T/again.tar:test/full:3"
	ok
	docker load --quiet -i "$T/again.tar"
	same "volume" "$(docker image inspect test/full:3 | jq -c '.[0].Config | [.Volumes, .ExposedPorts]')" \
		'[{"/var/lib/one":{}},{"5353/udp":{},"80/tcp":{}}]'
	docker rmi test/full:3 test/full:1 >/dev/null
}

@test "in a registry nothing but config and manifest is sent; from every place to every place the same image" {
	image_need sym
	registry_start main plain
	"$DRAY" push -q "$IMAGE" "$REGISTRY_ADDR/sym:1" >/dev/null
	"$DRAY" copy -q "$IMAGE" "oci:$T/o:1" >/dev/null
	dray_run edit "$REGISTRY_ADDR/sym:1" --label a=b -o "docker://$REGISTRY_ADDR/sym:2" --json
	expect 0
	same "sent" "$(jq -c '.copied[0] | [.blobs_sent, .bytes_sent]' <<<"$output")" "[0,0]"
	local id src dst
	id=$(jq -r '.copied[0].image_id' <<<"$output")
	diff <("$DRAY" manifest "$REGISTRY_ADDR/sym:1" | jq 'del(.config)') <("$DRAY" manifest "$REGISTRY_ADDR/sym:2" | jq 'del(.config)')
	for src in "$IMAGE" "oci:$T/o:1" docker-daemon:test/sym:1; do
		dray_run edit "$src" --label a=b -o "$T/x.tar"
		ok
		same "from $src" "$DIGEST" "$id"
	done
	dray_piped "$IMAGE" edit - --label a=b -o "$T/x.tar"
	ok
	same "from a pipe" "$DIGEST" "$id"
	for dst in "oci:$T/o:edited" "oci-archive:$T/e.tar" "dir:$T/d" docker-daemon:made/edit:1; do
		dray_run edit "$IMAGE" --label a=b -o "$dst"
		ok
		dray_run digest --image-id "$dst"
		expect 0
		same "to $dst" "$output" "$id"
	done
	docker rmi made/edit:1 >/dev/null
}

# odd_layout DIR: an image whose documents nobody would write so.
odd_layout() {
	python3 - "$1" <<-'END'
		import hashlib, json, os, sys
		top = sys.argv[1]
		os.makedirs(top + "/blobs/sha256")
		def blob(data):
		    d = hashlib.sha256(data).hexdigest()
		    open(top + "/blobs/sha256/" + d, "wb").write(data)
		    return '"digest" : "sha256:%s","size":%d' % (d, len(data))
		tar = bytes(1024)
		layer = blob(tar)
		config = ('{ "zzz" : [1.50, 1e2, "\\u00e9\\/"],\n\t"rootfs":{"diff_ids":["sha256:%s"],"type":"layers"},'
		          '"config":{"Env":[ "A=1" ],"Unknown":{"b":1,"a":2}},"os":"linux","architecture":"amd64"}\n'
		          % hashlib.sha256(tar).hexdigest()).encode()
		manifest = ('{"x.y":[ ],"config":{%s,"mediaType":"application/vnd.oci.image.config.v1+json"},"layers":[{%s,'
		            '"mediaType":"application/vnd.oci.image.layer.v1.tar"}],"schemaVersion":2,'
		            '"mediaType":"application/vnd.oci.image.manifest.v1+json", "annotations":{"k":"\\u0041"}}'
		            % (blob(config), layer)).encode()
		open(top + "/index.json", "w").write('{"schemaVersion":2,"manifests":[{%s,'
		    '"mediaType":"application/vnd.oci.image.manifest.v1+json",'
		    '"annotations":{"org.opencontainers.image.ref.name":"1"}}]}' % blob(manifest))
		open(top + "/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
	END
}

@test "what was not named keeps its bytes; what changes nothing changes no digest" {
	odd_layout "$T/o"
	dray_run edit "oci:$T/o:1" --env B=2 -o "oci:$T/o:2"
	ok
	diff <(config_of "oci:$T/o:1" | sed 's/\[ "A=1" \]/[ "A=1","B=2" ]/') <(config_of "oci:$T/o:2")
	# The manifest: two numbers of the config's descriptor.
	local old new
	old=$("$DRAY" digest --image-id "oci:$T/o:1")
	new=$("$DRAY" digest --image-id "oci:$T/o:2")
	diff <("$DRAY" inspect --raw "oci:$T/o:1" | sed "s/$old/$new/; s/\"size\":$(config_of "oci:$T/o:1" | wc -c)/\"size\":$(config_of "oci:$T/o:2" | wc -c)/") \
		<("$DRAY" inspect --raw "oci:$T/o:2")
	dray_run edit "oci:$T/o:1" --env A=1 --rm-volume '*' --user - --label - -o "oci:$T/o:3"
	ok
	same "manifest" "$DIGEST" "$("$DRAY" digest "oci:$T/o:1")"
	# Annotations are the manifest's alone.
	dray_run edit "oci:$T/o:1" --annotation k=z --annotation n=m -o "oci:$T/o:4"
	ok
	same "image ID" "$("$DRAY" digest --image-id "oci:$T/o:4")" "$old"
	diff <("$DRAY" inspect --raw "oci:$T/o:1" | sed 's/"\\u0041"/"z","n":"m"/') <("$DRAY" inspect --raw "oci:$T/o:4")
	dray_run edit "oci:$T/o:4" --annotation n- --annotation k=A -o "oci:$T/o:5"
	ok
	same "annotations" "$("$DRAY" inspect --raw "oci:$T/o:5" | jq -c .annotations)" '{"k":"A"}'
}

@test "an index: all its images, or those of one platform, and the rest as it was" {
	graph a
	registry_start main plain
	"$DRAY" copy -q --all-platforms "oci:$T/a:multi" "docker://$REGISTRY_ADDR/m:1" >/dev/null
	"$DRAY" manifest "$REGISTRY_ADDR/m:1" >"$T/old.json"
	dray_run edit "$REGISTRY_ADDR/m:1" --env NEW=1 -o "docker://$REGISTRY_ADDR/m:all"
	ok
	"$DRAY" manifest "$REGISTRY_ADDR/m:all" >"$T/all.json"
	same "images" "$(jq '[.manifests[] | select(.platform.os == "linux")] | length' "$T/all.json")" 3
	local p
	for p in linux/amd64 linux/arm64 linux/s390x; do
		"$DRAY" inspect --config --platform "$p" "$REGISTRY_ADDR/m:all" | jq -e '.config.Env | index("NEW=1") != null'
	done
	# In place of itself, one of three.
	dray_run edit "$REGISTRY_ADDR/m:1" --platform linux/arm64 --env NEW=1 -o "docker://$REGISTRY_ADDR/m:1"
	ok
	"$DRAY" manifest "$REGISTRY_ADDR/m:1" >"$T/one.json"
	for p in amd64 s390x; do
		same "$p" "$(jq -r --arg p $p '.manifests[] | select(.platform.architecture == $p) | .digest' "$T/one.json")" \
			"$(jq -r --arg p $p '.manifests[] | select(.platform.architecture == $p) | .digest' "$T/old.json")"
	done
	"$DRAY" inspect --config --platform linux/arm64 "$REGISTRY_ADDR/m:1" | jq -e '.config.Env | index("NEW=1") != null'
	dray_run edit "$REGISTRY_ADDR/m:1" --platform linux/mips --env NEW=1 -o "docker://$REGISTRY_ADDR/m:no"
	expect 3 "*no image of that platform*"
	dray_run edit "$REGISTRY_ADDR/m:1" --platform-set linux/riscv64 -o "docker://$REGISTRY_ADDR/m:no"
	expect 8 "*an index tells its platform too*"
}

@test "a dry run shows the difference and writes nothing" {
	image_need sym
	dray_run edit "$IMAGE" --user app --expose 8080 --label 'a=b' -n
	expect 0
	[[ $output == *'/config/User: "" -> "app"'* && $output == *'+ /config/ExposedPorts/8080~1tcp: {}'* ]]
	dray_run edit "$IMAGE" --user app --dry-run --json -o "$T/x.tar"
	expect 0
	jq -e '.same == false and (.config | length) == 1' <<<"$output"
	jq -e '.config[0] | .path == "/config/User" and .a == "" and .b == "app"' <<<"$output"
	[ ! -e "$T/x.tar" ]
	# What is read once, too: a file as standard input, a pipe, an engine.
	"$DRAY" edit "$IMAGE" --user app -n >"$T/want"
	dray_run edit - --user app -n <"$IMAGE"
	expect 0
	same "standard input" "$output" "$(cat "$T/want")"
	dray_piped "$IMAGE" edit - --user app -n
	expect 0
	same "a pipe" "$output" "$(cat "$T/want")"
	dray_run edit docker-daemon:test/sym:1 --user app -n
	expect 0
	same "an engine" "$output" "$(cat "$T/want")"
	dray_run edit FROM docker-daemon:test/sym:1 INTO docker-daemon:test/none:1 SET USER app -n
	expect 0
	same "in words" "$output" "$(cat "$T/want")"
	run ! docker image inspect test/none:1
}

@test "a dry run of an index tells each image that would change" {
	graph a
	dray_run edit "oci:$T/a:multi" --env NEW=1 -n
	expect 0
	same platforms "$(grep -c '^linux/' <<<"$output")" 3
	same additions "$(grep -c '+ /config/Env.*NEW=1' <<<"$output")" 3
	dray_run edit "oci:$T/a:multi" --env NEW=1 -n --json
	expect 0
	same platforms "$(jq -r .platform <<<"$output" | sort | xargs)" "linux/amd64 linux/arm64/v8 linux/s390x"
	jq -es 'all(.same == false)' <<<"$output"
	dray_run edit "oci:$T/a:multi" --platform linux/arm64 --env NEW=1 -n --json
	expect 0
	same "the one" "$(jq -r .platform <<<"$output")" linux/arm64/v8
	dray_run edit "oci:$T/a:multi" --platform linux/mips --env NEW=1 -n
	expect 3 "*no image of that platform*"
}

@test "a dry run tells which of several images changes, also one that changes its platform" {
	image_need sym
	"$DRAY" copy -q "$IMAGE" "oci:$T/o:app:1" >/dev/null
	"$DRAY" edit -q "$IMAGE" --user u -o "oci:$T/o:app:2" >/dev/null
	dray_run edit "oci:$T/o" --all --env NEW=1 -n
	expect 0
	same headings "$(grep -c '^app:[12]$' <<<"$output")" 2
	dray_run edit "oci:$T/o" --all --env NEW=1 -n --json
	expect 0
	same images "$(jq -r .image <<<"$output" | sort | xargs)" "app:1 app:2"
	# It is meant by what it was.
	dray_run edit "$IMAGE" --platform linux/amd64 --platform-set linux/arm64 -n
	expect 0
	[[ $output == *'/architecture: "amd64" -> "arm64"'* ]]
	dray_run edit <(cat "$IMAGE") --user app -n
	expect 0 ""
}

@test "a dry run names images without a tag, and refuses the names that the edit refuses" {
	"$PEERS_SRC/inplace_make.py" "$T"
	dray_run edit "$T/untagged.tar" --all --env NEW=1 -n --json
	expect 0
	same "images" "$(jq -r .image <<<"$output" | sort | xargs)" \
		"$("$DRAY" images --json "$T/untagged.tar" | jq -r '.images[].image_id' | sort | xargs)"
	local to
	for to in "" "-o $T/new.tar" "-o docker-daemon:app:1"; do
		# shellcheck disable=SC2086
		dray_run edit "$T/two.tar" --image one:1 --tag UPPER -n $to
		expect 2 "*--tag*"
		# shellcheck disable=SC2086
		dray_run edit "$T/two.tar" --image one:1 --tag lower -n $to
		expect 0
	done
	dray_run edit "$T/two.tar" --image one:1 --tag UPPER -n -o "oci:$T/lay"
	expect 0
	dray_run edit "$T/two.tar" --image one:1 --tag "" -n -o "oci:$T/lay"
	expect 2 "*--tag: a name is missing*"
}

@test "docker-copyedit: each of its commands is the option that the table names" {
	full_image
	local sentence
	while IFS='|' read -r sentence options; do
		eval "set -- $sentence"
		dray_run edit from "$T/full.tar" into "$T/a.tar" "$@"
		ok
		local id=$DIGEST
		eval "set -- $options"
		dray_run edit "$T/full.tar" "$@" -o "$T/b.tar"
		ok
		same "$sentence" "$id" "$DIGEST"
		[ "$id" != "$("$DRAY" digest --image-id "$T/full.tar")" ] || {
			echo "$sentence changed nothing"
			return 1
		}
	done <<-'END'
		REMOVE ALL VOLUMES|--volume -
		add volume /var/tmp|--volume /var/tmp
		REMOVE VOLUME /srv|--volume /srv-
		REMOVE VOLUMES '/var/*' AND RM PORTS 80%|--rm-volume '/var/*' --rm-expose '80*'
		set no user|--user -
		set null user and set null cmd|--user - --cmd -
		set null user + set null cmd + rm all volumes|--user - --cmd - --volume -
		set null entrypoint and set cmd /entrypoint.sh|--entrypoint - --cmd /entrypoint.sh
		set shell cmd "/entrypoint.sh foo"|--cmd '["/bin/sh","-c","/entrypoint.sh foo"]'
		set label author "real me" and rm labels old%|--label 'author=real me' --rm-label 'old*'
		set env MAINDIR "/path" and rm env BACKUPDIR|--env MAINDIR=/path --env BACKUPDIR-
		REMOVE PORT 443|--expose 443/tcp-
		remove port http and rm port https|--expose 80/tcp- --expose 443/tcp-
		remove all ports|--expose -
		add port ldap and add port ldaps|--expose 389 --expose 636
		set workdir /x and set hostname h and set author me|--workdir /x --hostname h --author me
		set arch arm64|--platform-set linux/arm64
		remove healthcheck|--healthcheck -
		set entrypoint '["/bin/busybox","sh"]'|--entrypoint '/bin/busybox sh'
	END
	docker rmi test/full:1 >/dev/null
}

@test "what is not understood is told with its status, and leaves nothing" {
	image_need sym
	local pattern status_wanted options
	while IFS='|' read -r status_wanted pattern options; do
		eval "set -- $options"
		dray_run edit "$@"
		expect "$status_wanted" "$pattern" || {
			echo "edit $options"
			return 1
		}
	done <<-'END'
		2|*nothing to change was named*|"$IMAGE" -o "$T/x.tar"
		2|*where the new image goes*|"$IMAGE" --user a
		2|*expected PORT*|"$IMAGE" --expose http -o "$T/x.tar"
		2|*expected NAME=VALUE*|"$IMAGE" --env FOO -o "$T/x.tar"
		2|*words have no quotes*hint*JSON*|"$IMAGE" --cmd "sh -c 'x'" -o "$T/x.tar"
		2|*each word*|"$IMAGE" --cmd "[1]" -o "$T/x.tar"
		2|*created: expected*|"$IMAGE" --created today -o "$T/x.tar"
		2|*SOURCE_DATE_EPOCH is not set*|"$IMAGE" --created SOURCE_DATE_EPOCH -o "$T/x.tar"
		2|*one image, or a sentence*|"$IMAGE" "$IMAGE" --user a -o "$T/x.tar"
		2|*'frobnicate' is not understood*|from "$IMAGE" into "$T/x.tar" frobnicate
		2|*'no-such-service' is not understood*|from "$IMAGE" into "$T/x.tar" add port no-such-service
		2|*the sentence ends*|from "$IMAGE" into "$T/x.tar" remove volume
		2|*one of both*|from "$IMAGE" into "$T/x.tar" set user a -o "$T/y.tar"
		3|*no such file*|./no-such.tar --user a -o "$T/x.tar"
		8|*only OCI manifests have annotations*|"$IMAGE" --annotation a=b -o "$T/x.tar"
	END
	[ ! -e "$T/x.tar" ] && [ ! -e "$T/y.tar" ]
	SOURCE_DATE_EPOCH=1700000000 dray_run edit "$IMAGE" --created SOURCE_DATE_EPOCH -o "$T/x.tar"
	ok
	same created "$(config_of "$T/x.tar" | jq -r .created)" 2023-11-14T22:13:20Z
}

@test "a range of ports is what docker build makes of it; a name without a tag is :latest, and no name is lost" {
	local name
	image_need sym
	image_context
	image_build test/ports:1 <<-'END'
		FROM scratch
		COPY a /a
		EXPOSE 8000-8002 9000/udp
	END
	rm -rf "$CONTEXT"
	docker inspect test/ports:1 | jq -S '.[0].Config.ExposedPorts' >"$T/want"
	docker rmi test/ports:1 >/dev/null
	dray_run edit "$IMAGE" --expose 8000-8002 --expose 9000/udp --tag test/ports -o "$T/ports.tar"
	ok
	config_of "$T/ports.tar" | jq -S .config.ExposedPorts | diff "$T/want" -
	dray_run edit "$T/ports.tar" --expose 8001-9000- --expose 9000/udp- -o "$T/one.tar"
	ok
	same "what is left" "$(config_of "$T/one.tar" | jq -c .config.ExposedPorts)" '{"8000/tcp":{}}'
	docker load --quiet -i "$T/ports.tar"
	same "image ID" "$(docker_image_id test/ports:latest)" "$(config_of "$T/ports.tar" | sha256sum | sed 's/^/sha256:/; s/ .*//')"
	docker rmi test/ports:latest >/dev/null
	cp "$IMAGE" "$T/in.tar"
	for name in Test:1 test@"$DIGEST" 'a b' ''; do
		dray_run edit "$IMAGE" --user x --tag "$name" -o "$T/none.tar"
		expect 2 '*--tag*'
		dray_run edit "$T/in.tar" --in-place --tag "$name"
		expect 2 '*--tag*'
	done
	[ ! -e "$T/none.tar" ]
	cmp "$IMAGE" "$T/in.tar"
	# In a layout a lone word is a name.
	dray_run edit "$IMAGE" --user x --tag one -o "oci:$T/layout"
	ok
	same "its name" "$("$DRAY" images --json "$T/layout" | jq -c '.images[0].tags')" '["one"]'
}

@test "in place a layout need not be told the only tag that it has, and --image chooses of several" {
	local other
	image_need sym
	"$DRAY" copy -q "$IMAGE" "oci:$T/layout:one" >/dev/null
	"$DRAY" copy -q "$IMAGE" "dir:$T/flat" >/dev/null
	dray_run edit "$T/layout" --in-place --user a
	ok
	same "tags" "$("$DRAY" images --json "$T/layout" | jq -c '[.images[].tags[]]')" '["one"]'
	same "user" "$(config_of "$T/layout" | jq -r .config.User)" a
	same "skopeo's" "$(skopeo inspect --config "oci:$T/layout:one" | jq -r .config.User)" a
	"$DRAY" copy -q "$IMAGE" "oci:$T/layout:two" >/dev/null
	other=$("$DRAY" digest "oci:$T/layout:one")
	dray_run edit "$T/layout" --in-place --user b
	expect 2 '*several*--image*'
	dray_run edit "$T/layout" --in-place --image two --user b
	ok
	same "user" "$(config_of "oci:$T/layout:two" | jq -r .config.User)" b
	same "the other" "$("$DRAY" digest "oci:$T/layout:one")" "$other"
	dray_run edit "$T/flat" --in-place --user c
	ok
	same "user" "$(config_of "$T/flat" | jq -r .config.User)" c
	dray_run edit docker-daemon: --in-place --user d
	expect 2 '*name the tag*'
}

# An image of one empty layer: small "$T/small.tar" [ARG...].
small() { "$DRAY" build -q --env A=1 --platform linux/amd64 --name test/small:1 -o "$@" >/dev/null; }

@test "what a bare name of a registry means is edited in place there, whatever folder has its name" {
	registry_start main plain
	small "docker://$REGISTRY_ADDR/ipb:1"
	local before
	before=$("$DRAY" digest "docker://$REGISTRY_ADDR/ipb:1")
	dray_run edit "$REGISTRY_ADDR/ipb:1" --in-place --user app
	ok
	[ "$DIGEST" != "$before" ]
	same "there" "$("$DRAY" digest "docker://$REGISTRY_ADDR/ipb:1")" "$DIGEST"
	same "user" "$(config_of "docker://$REGISTRY_ADDR/ipb:1" | jq -r .config.User)" app
	# A file of that name could be written.
	mkdir -p "$T/cwd/$REGISTRY_ADDR"
	cd "$T/cwd"
	dray_run edit "$REGISTRY_ADDR/ipb:1" --in-place --user other
	ok
	same "user" "$(config_of "docker://$REGISTRY_ADDR/ipb:1" | jq -r .config.User)" other
	same "files" "$(find . -type f)" ""
}

@test "bytes that no document can hold are refused, not replaced" {
	small "$T/small.tar"
	local bad=$'X=\xff' option
	for option in env label annotation entrypoint cmd user author workdir volume onbuild tag rm-env; do
		dray_run edit "$T/small.tar" "--$option" "$bad" -o "oci:$T/out"
		expect 2 '*\\xff*not UTF-8*'
		[ ! -e "$T/out" ]
	done
	dray_run edit "$T/small.tar" --env $'\xff=1' --dry-run
	expect 2 '*not UTF-8*'
	dray_run edit "$T/small.tar" --env $'\xff=1' --in-place
	expect 2 '*not UTF-8*'
	dray_run edit "$T/small.tar" --env $'B=\xf0\x9f\x8d\xba' --label "ä=ö" -o "oci:$T/out"
	ok
	same "kept" "$(config_of "$T/out" | jq -r '.config | .Env[1], .Labels["ä"]')" $'B=\xf0\x9f\x8d\xba\nö'
}

@test "--dry-run tells that all layers stay" {
	small "$T/small.tar"
	"$DRAY" append -q "$T/small.tar" <(tar -C "$T" -c small.tar) -o "$T/two.tar" >/dev/null
	dray_run edit "$T/two.tar" --env B=2 --dry-run --json
	expect 0
	same "layers" "$(jq -c '[.layers_same, .layers]' <<<"$output")" '[2,[]]'
}

# Images for two platforms side by side in index.json, without an index around them; named $2, or without a name.
side_by_side() {
	local p at=$T/each
	for p in amd64 arm64; do
		"$DRAY" build -q --env "A=$p" --platform "linux/$p" -o "oci:$at:$p" >/dev/null
	done
	rm -rf "${1:?}"
	mv "$at" "$1"
	jq -c --arg name "${2-}" '.manifests |= [.[] | .platform = {os: "linux", architecture: .annotations["org.opencontainers.image.ref.name"]}
		| if $name == "" then del(.annotations) else .annotations = {"org.opencontainers.image.ref.name": $name} end]' \
		"$1/index.json" >"$T/index" && mv "$T/index" "$1/index.json"
}

@test "images side by side are an index in effect: --platform chooses one, --all-platforms takes them all" {
	local place name amd arm
	for name in "" multi; do
		side_by_side "$T/side" "$name"
		tar -C "$T/side" -cf "$T/side.tar" .
		amd=$(jq -r '.manifests[0].digest' "$T/side/index.json")
		arm=$(jq -r '.manifests[1].digest' "$T/side/index.json")
		for place in "$T/side" "oci:$T/side" "$T/side.tar" "oci-archive:$T/side.tar" ${name:+"oci:$T/side:$name"}; do
			rm -rf "$T/one" "$T/other" "$T/some"
			dray_run edit "$place" --platform linux/arm64 --env B=2 -o "oci:$T/one:1"
			ok
			same "$place" "$("$DRAY" inspect --json "oci:$T/one:1" | jq -c '[.images[] | [.platform, .config.Env[-2:]]]')" \
				'[["linux/arm64",["A=arm64","B=2"]]]'
			dray_run edit "$place" --platform linux/s390x --env B=2 -o "oci:$T/other:1"
			expect 3 '*linux/s390x*'
			# Without a platform the one for this machine, as the other verbs choose.
			dray_run edit "$place" --env B=2 -o "oci:$T/host:1"
			expect 0
			dray_run flatten "$place" -o "oci:$T/host:2"
			expect 0
			same "host" "$("$DRAY" inspect --json "oci:$T/host:1" | jq '.images[].platform')" \
				"$("$DRAY" inspect --json "oci:$T/host:2" | jq '.images[].platform')"
			dray_run copy "$place" "oci:$T/some" --platform linux/arm64
			ok
			same "one" "$DIGEST" "$arm"
			if [ -n "$name" ]; then
				dray_run copy "$place" "oci:$T/other" --all-platforms
				expect 2 '*choose one*hint: one name leads to one image*'
				[ ! -e "$T/other" ]
				# What the hint says.
				dray_run copy "$place" --platform linux/amd64 "oci:$T/other:a"
				expect 0
				dray_run copy "$place" --platform linux/arm64 "oci:$T/other:b"
				expect 0
				same "each" "$(jq -c '[.manifests[].digest]' "$T/other/index.json")" "[\"$amd\",\"$arm\"]"
				dray_run copy "$place" "oci:$T/third" --all
				expect 6 '*two images have the tag*--platform*'
				continue
			fi
			dray_run copy "$place" "oci:$T/other" --all-platforms
			expect 0
			same "all" "$(jq -c '[.manifests[].digest]' "$T/other/index.json")" "[\"$amd\",\"$arm\"]"
			dray_run verify -q "oci:$T/other" --all
			expect 0
			# One name is not for two of them.
			dray_run copy "$place" "oci:$T/named:1" --all-platforms
			expect 2 '*2 such images*'
		done
	done
	# Where there is one image, another platform is not there either.
	"$DRAY" copy -q "oci:$T/one:1" "oci:$T/alone" >/dev/null
	dray_run edit "oci:$T/alone" --platform linux/amd64 --env B=2 -o "oci:$T/other:2"
	expect 3 '*platform*'
	# Images that differ in more than that are not taken for each other.
	jq -c 'del(.manifests[].platform)' "$T/side/index.json" >"$T/index" && mv "$T/index" "$T/side/index.json"
	dray_run copy "$T/side" "oci:$T/no" --all-platforms
	expect 2 '*choose one*'
	# With a name each they can be had together.
	jq -c '.manifests |= [to_entries[] | .value + {annotations: {"org.opencontainers.image.ref.name": "v\(.key)"}}]' \
		"$T/side/index.json" >"$T/index" && mv "$T/index" "$T/side/index.json"
	dray_run copy "$T/side" "oci:$T/no" --all-platforms
	expect 2 '*choose one*hint:*--all *'
	dray_run copy "$T/side" "oci:$T/no" --all
	expect 0
}

@test "annotations for an image that becomes OCI on the way" {
	small "$T/small.tar"
	"$DRAY" copy -q --format docker "$T/small.tar" "dir:$T/docker" >/dev/null
	mkdir "$T/plain"
	tar -C "$T/plain" -xf "$T/small.tar"
	rm -r "$T/plain/index.json" "$T/plain/oci-layout"
	tar -C "$T/plain" -cf "$T/plain.tar" .
	local src
	for src in "$T/small.tar" "$T/plain.tar" "dir:$T/docker"; do
		rm -rf "$T/out"
		dray_run edit "$src" --annotation k=v --annotation n=1 --annotation n- --env B=2 --format oci -o "oci:$T/out:1"
		ok
		same "annotations" "$("$DRAY" inspect --raw "oci:$T/out:1" | jq -c '[.mediaType, .annotations]')" \
			'["application/vnd.oci.image.manifest.v1+json",{"k":"v"}]'
		same "config" "$(config_of "oci:$T/out:1" | jq -c '.config.Env[-1]')" '"B=2"'
		dray_run verify -q "oci:$T/out:1"
		expect 0
		dray_run edit "$src" --annotation k=v --format oci --dry-run
		expect 0
	done
	dray_run edit "dir:$T/docker" --annotation k=v -o "dir:$T/out.d"
	expect 8 '*only OCI*--format oci*'
	dray_run edit "dir:$T/docker" --annotation k=v --format docker -o "oci:$T/out:2"
	expect 8 '*only OCI*'
}

@test "annotations of the images of an index in a registry, in place" {
	registry_start main plain
	side_by_side "$T/side"
	local index
	index=$(sha256sum "$T/side/index.json" | cut -d ' ' -f 1)
	cp "$T/side/index.json" "$T/side/blobs/sha256/$index"
	printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:%s","size":%d,%s}]}' \
		"$index" "$(stat -c %s "$T/side/blobs/sha256/$index")" '"annotations":{"org.opencontainers.image.ref.name":"1"}' >"$T/side/index.json"
	"$DRAY" copy -q --all-platforms "oci:$T/side:1" "docker://$REGISTRY_ADDR/idx:1" >/dev/null
	dray_run edit "docker://$REGISTRY_ADDR/idx:1" --annotation k=v --in-place
	ok
	[ "$DIGEST" != "sha256:$index" ]
	local d n=0
	for d in $(curl -s -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$REGISTRY_ADDR/v2/idx/manifests/1" |
		jq -r '.manifests[].digest'); do
		same "annotation" "$(curl -s -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
			"http://$REGISTRY_ADDR/v2/idx/manifests/$d" | jq -r .annotations.k)" v
		n=$((n + 1))
	done
	same "images" "$n" 2
}
