#!/usr/bin/env bats
# "serve": images of places as a registry: real clients pull, the protocol row by row, clients that mean no good.

load serve_lib

setup() { serve_setup; }
teardown() { serve_teardown; }

config_id() { echo "sha256:$(skopeo inspect --tls-verify=false --config --raw "docker://$1" | sha256sum | cut -d ' ' -f 1)"; }

# ---------------------------------------------------------------------------------------------------------------------
# Clients

@test "serve: docker, podman, skopeo and ctr pull a saved archive with linked layers, and run what was saved" {
	local id sock=$PEERS_DIR/exec/containerd/containerd.sock
	image_need sym
	require_peer podman skopeo ctr
	id=$(docker_image_id test/sym:1)
	tar tvf "$IMAGE" | grep -q '^l.*layer.tar' # else it proves nothing
	serve_start "$IMAGE"
	same skopeo "$(config_id "$ADDR/test/sym:1")" "$id"
	engines_agree "$ADDR/test/sym:1" "$id" "$SYM_LINE"
	docker pull --quiet "$ADDR/docker.io/test/sym:1"
	same "the full name" "$(docker_image_id "$ADDR/docker.io/test/sym:1")" "$id"
	docker rmi "$ADDR/docker.io/test/sym:1"
	ctr -a "$sock" -n dray-serve images pull --plain-http --local "$ADDR/test/sym:1" ||
		ctr -a "$sock" -n dray-serve images pull --plain-http "$ADDR/test/sym:1"
	ctr -a "$sock" -n dray-serve images rm "$ADDR/test/sym:1"
	dray_run verify "docker://$ADDR/test/sym:1"
	expect 0
	# Each line of the log is a request.
	absent "lines that are none" "$(serve_log | grep -v '^dray: 1 repositories$' | jq -c 'select(.status == null)')"
}

@test "serve: crane pulls, and validates what it got" {
	local crane
	crane=${DRAY_TEST_CRANE:-$(type -P crane || :)}
	[ -x "$crane" ] || skip "no crane: set DRAY_TEST_CRANE"
	image_need sym
	"$DRAY" copy -q --compression gzip "$IMAGE" "oci:$CASE/layout:test/gzip:1"
	serve_start "$IMAGE" "oci:$CASE/layout"
	"$crane" --insecure validate --remote "$ADDR/test/gzip:1" # it takes all layers for gzip
	"$crane" --insecure pull "$ADDR/test/sym:1" "$CASE/pulled.tar"
	same "image ID" "$(source_image_id "docker-archive:$CASE/pulled.tar")" "$(docker_image_id test/sym:1)"
}

@test "serve: the manifest of a saved archive is that of its canonical archive, wherever it lies" {
	local canonical
	image_need sym
	require_peer skopeo
	"$DRAY" normalize "$IMAGE" -o "$CASE/canonical.tar"
	canonical=$(jq -r '.manifests[0].digest' <(tar xOf "$CASE/canonical.tar" index.json))
	skopeo copy -q "docker-archive:$IMAGE" "docker-archive:$CASE/other.tar:other/name:2"
	mkdir "$CASE/unpacked"
	tar xf "$IMAGE" -C "$CASE/unpacked"
	serve_start "$IMAGE" "$CASE/other.tar" "$CASE/unpacked" "$CASE/canonical.tar"
	same archive "$(remote_walk "$ADDR" test/sym 1)" "$canonical"
	same "skopeo's" "$(remote_walk "$ADDR" other/name 2)" "$canonical"
	absent "warnings" "$(serve_log | grep 'warning' || :)"
	same catalog "$(get /v2/_catalog | jq -c .repositories)" '["other/name","test/sym"]'
}

@test "serve: a layout's manifests are served byte for byte" {
	image_need skopeo-layout
	serve_start "oci:$IMAGE"
	local repo tag
	repo=$(get /v2/_catalog | jq -r '.repositories[0]')
	tag=$(get "/v2/$repo/tags/list" | jq -r '.tags[0]')
	same "the layout's digest" "$(remote_walk "$ADDR" "$repo" "$tag")" "$(jq -r '.manifests[0].digest' "$IMAGE/index.json")"
	same "as it came" "$(remote_manifest "$ADDR" "$repo" "$tag" | sha256sum)" \
		"$(sha256sum <"$IMAGE/blobs/sha256/$(jq -r '.manifests[0].digest[7:]' "$IMAGE/index.json")")"
}

@test "serve: a layer whose file becomes shorter ends its connection, and is told of" {
	local layer
	mkdir "$CASE/one"
	truncate -s 64M "$CASE/one/large"
	"$DRAY" build -q --dir "$CASE/one" --compression none --name layout:1 -o "oci:$CASE/layout"
	layer=$(find "$CASE/layout/blobs" -size +32M)
	serve_start "oci:$CASE/layout"
	timeout 300 python3 "$BATS_TEST_DIRNAME/serve_clients.py" "$ADDR" shortened layout "$layer"
	serve_log | grep -q "${layer##*/}: the file became shorter while it was sent"
	serve_log | grep -q "another size than at the start"
}

# layout_make DIR: an index of two platforms, tag v1; and about its first image a signature and an SBOM, untagged.
layout_make() {
	python3 - "$1" <<-'EOF_PYTHON'
		import hashlib, io, json, os, sys, tarfile
		d = sys.argv[1]
		os.makedirs(d + "/blobs/sha256")
		def put(data, kind, **more):
		    h = hashlib.sha256(data).hexdigest()
		    open(d + "/blobs/sha256/" + h, "wb").write(data)
		    return dict(mediaType=kind, digest="sha256:" + h, size=len(data), **more)
		def doc(kind, value, **more):
		    value = {"schemaVersion": 2, "mediaType": kind, **value}
		    return put(json.dumps(value, indent=1).encode(), kind, **more)
		V = "application/vnd.oci.image."
		def image(arch):
		    b = io.BytesIO()
		    t = tarfile.open(fileobj=b, mode="w")
		    i = tarfile.TarInfo(arch); i.size = 5
		    t.addfile(i, io.BytesIO(b"hello")); t.close()
		    diff = "sha256:" + hashlib.sha256(b.getvalue()).hexdigest()
		    c = put(json.dumps({"os": "linux", "architecture": arch,
		        "rootfs": {"type": "layers", "diff_ids": [diff]}}).encode(), V + "config.v1+json")
		    return doc(V + "manifest.v1+json", {"config": c, "layers": [put(b.getvalue(), V + "layer.v1.tar")]},
		        platform={"os": "linux", "architecture": arch})
		images = [image("amd64"), image("arm64")]
		index = doc(V + "index.v1+json", {"manifests": images})
		index["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
		empty = put(b"{}", "application/vnd.oci.empty.v1+json")
		subject = {k: images[0][k] for k in ("mediaType", "digest", "size")}
		about = [doc(V + "manifest.v1+json", {"artifactType": t, "config": empty, "layers": [put(t.encode(), t)],
		    "subject": subject, "annotations": {"about": t}}) for t in ("text/signature", "text/sbom")]
		json.dump({"schemaVersion": 2, "manifests": [index] + about}, open(d + "/index.json", "w"))
		json.dump({"imageLayoutVersion": "1.0.0"}, open(d + "/oci-layout", "w"))
		print(index["digest"], images[0]["digest"], *(a["digest"] for a in about))
	EOF_PYTHON
}

@test "serve: an index with its images, and what refers to them" {
	local index first signature sbom all
	require_peer skopeo
	read -r index first signature sbom < <(layout_make "$CASE/App")
	serve_start "oci:$CASE/App"
	same catalog "$(get /v2/_catalog)" '{"repositories":["app"]}'
	same "the index" "$(get /v2/app/manifests/v1 | sha256sum | cut -d ' ' -f 1)" "${index#*:}"
	skopeo copy -q --all --preserve-digests --src-tls-verify=false "docker://$ADDR/app:v1" "oci:$CASE/copied:v1"
	same "copied" "$(jq -r '.manifests[0].digest' "$CASE/copied/index.json")" "$index"
	all=$(get "/v2/app/referrers/$first")
	same "both refer" "$(jq -r '.manifests[].digest' <<<"$all" | sort)" "$(printf '%s\n' "$signature" "$sbom" | sort)"
	same "media type" "$(jq -r .mediaType <<<"$all")" application/vnd.oci.image.index.v1+json
	same "annotations" "$(jq -r '.manifests[] | select(.artifactType == "text/sbom").annotations.about' <<<"$all")" text/sbom
	same "filtered" "$(code "/v2/app/referrers/$first?artifactType=text%2Fsbom") $(jq -r '.manifests[].digest' "$CASE/body")" "200 $sbom"
	same "and said so" "$(field OCI-Filters-Applied)" artifactType
	same "page" "$(code "/v2/app/referrers/$first?n=1") $(jq '.manifests | length' "$CASE/body")" "200 1"
	same "next page" "$(get "$(field Link | sed 's/^<\(.*\)>; rel="next"$/\1/')" | jq '.manifests | length')" 1
	same "nothing refers to the index" "$(get "/v2/app/referrers/$index" | jq -c .manifests)" '[]'
	dray_run copy --all-platforms --referrers "docker://$ADDR/app:v1" "oci:$CASE/taken:v1"
	expect 0
	[ -f "$CASE/taken/blobs/sha256/${sbom#*:}" ]
	# Who cannot read an index is told, by tag; by digest it is what was asked for.
	same "accept" "$(code /v2/app/manifests/v1 -H "Accept: $MT_DOCKER_MANIFEST" -H "Accept: $MT_OCI_MANIFEST")" 404
	same "its code" "$(jq -r '.errors[0].code' "$CASE/body")" MANIFEST_UNKNOWN
	same "by digest" "$(code "/v2/app/manifests/$index" -H "Accept: $MT_OCI_MANIFEST")" 200
}

@test "serve: a page of referrers has an end, whatever they are called" {
	local subject
	read -r _ subject _ < <(layout_make "$CASE/l")
	python3 - "$CASE/l" "$subject" <<-'EOF_PYTHON'
		import hashlib, json, sys
		d, subject = sys.argv[1:]
		index = json.load(open(d + "/index.json"))
		for c in "abc":
		    doc = json.load(open(d + "/blobs/sha256/" + index["manifests"][1]["digest"][7:]))
		    doc["artifactType"] = c * (3 << 20)
		    data = json.dumps(doc).encode()
		    h = hashlib.sha256(data).hexdigest()
		    open(d + "/blobs/sha256/" + h, "wb").write(data)
		    index["manifests"].append(dict(mediaType=doc["mediaType"], digest="sha256:" + h, size=len(data)))
		json.dump(index, open(d + "/index.json", "w"))
	EOF_PYTHON
	serve_start "$CASE/l"
	local path="/v2/l/referrers/$subject" all=0 pages=0
	while [ -n "$path" ]; do
		same "a page" "$(code "$path")" 200
		[ "$(stat -c %s "$CASE/body")" -lt $((5 << 20)) ]
		all=$((all + $(jq '.manifests | length' "$CASE/body"))) pages=$((pages + 1))
		path=$(field Link | sed -n 's/^<\(.*\)>.*/\1/p')
	done
	same "all of them" "$all" 5
	[ "$pages" -ge 3 ]
}

@test "serve: several places at once; a name that two have is the first's" {
	image_need sym
	local sym=$IMAGE
	image_need multi
	local multi=$IMAGE
	image_need big
	docker save -o "$CASE/taken.tar" test/big:1
	archive_edit "$CASE/taken.tar" "$CASE/renamed.tar" 'data = data.replace(b"test/big:1", b"test/sym:1") if member.name == "manifest.json" else data'
	serve_start "$sym" "$multi" "$CASE/renamed.tar"
	same catalog "$(get /v2/_catalog | jq -c .repositories)" '["test/multi-a","test/multi-b","test/sym"]'
	same "the first" "$(remote_image_id "$ADDR" test/sym 1)" "$(docker_image_id test/sym:1)"
	remote_walk "$ADDR" test/multi-a 1
	remote_walk "$ADDR" test/multi-b 1
	serve_log | grep "test/sym:1 names another image already"
	# A blob is found where a manifest names it, and nowhere else.
	local blob
	blob=$(remote_image_id "$ADDR" test/sym 1)
	same "its own" "$(code "/v2/test/sym/blobs/$blob")" 200
	same "another's" "$(code "/v2/test/multi-a/blobs/$blob")" 404
}

@test "serve: what cannot be served is told, and what can be is" {
	image_need sym
	gzip -c "$IMAGE" >"$CASE/sym.tar.gz"
	dray_run serve --addr 127.0.0.1:0 "$CASE/sym.tar.gz"
	expect 8 '*front to back*'
	dray_run serve --addr 127.0.0.1:0 docker://127.0.0.1:1/x
	expect 8 '*only archives and folders*'
	dray_run serve --addr 127.0.0.1:0 "$CASE/nothing.tar"
	expect 3
	dray_run serve --addr 127.0.0.1:0
	expect 2
	local addr
	for addr in 127.0.0.1 127.0.0.1:x 127.0.0.1:65536 "a.example:1" "127.0.0.1:-1" "::1:5000" ""; do
		dray_run serve --addr "$addr" "$IMAGE"
		expect 2 '*no address*'
	done
	for addr in 0.0.0.0:0 "[::]:0" :0 10.0.0.1:0; do
		dray_run serve --addr "$addr" "$IMAGE"
		expect 2 '*others could reach*'
	done
	serve_start "$IMAGE"
	dray_run serve --addr "$ADDR" "$IMAGE"
	expect 9 '*in use*'
}

# algorithm_for HOST: how who comes by it is sent to.
algorithm_for() {
	local port=${ADDR##*:} c line
	exec {c}<>"/dev/tcp/$1/$port"
	printf 'GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n' >&"$c"
	read -r line <&"$c"
	[[ $line == "HTTP/1.1 200"* ]]
	ss -tinH state established "sport = :$port" | grep -oE '\b(reno|bbr|cubic)\b'
	exec {c}>&-
}

@test "serve: others may reach it when that is said, and loopback has two addresses" {
	image_need sym
	require_peer ss
	serve_start --addr 0.0.0.0:0 --plain-http "$IMAGE"
	ADDR=127.0.0.1:${ADDR##*:}
	same "from all addresses" "$(code /v2/)" 200
	same "from this machine, to any address" "$(algorithm_for 127.0.0.1)" reno
	peer_stop serve
	serve_start "$IMAGE"
	same "from this machine, to loopback" "$(algorithm_for 127.0.0.1)" reno
	peer_stop serve
	serve_start --addr "[::1]:0" "$IMAGE" || skip "no IPv6 here"
	[[ $ADDR == "[::1]:"* ]]
	same "IPv6" "$(code /v2/ -g)" 200
	same "IPv6, from this machine" "$(algorithm_for ::1)" reno
}

@test "serve: an archive with compressed layers and no manifest" {
	image_need crane-docker
	local id
	id=$(source_image_id "docker-archive:$IMAGE")
	serve_start "$IMAGE"
	local repo
	repo=$(get /v2/_catalog | jq -r '.repositories[0]')
	local tag
	tag=$(get "/v2/$repo/tags/list" | jq -r '.tags[0]')
	remote_walk "$ADDR" "$repo" "$tag"
	same "image ID" "$(remote_image_id "$ADDR" "$repo" "$tag")" "$id"
	# A range of what is decoded on the way
	local layer
	layer=$(remote_manifest "$ADDR" "$repo" "$tag" | jq -r '.layers[0].digest')
	get "/v2/$repo/blobs/$layer" >"$CASE/layer"
	same "a part" "$(code "/v2/$repo/blobs/$layer" -r 700-899) $(sha256sum <"$CASE/body")" \
		"206 $(tail -c +701 "$CASE/layer" | head -c 200 | sha256sum)"
}

@test "serve: the disk of a stopped engine" {
	image_need sym
	local id
	spare_start
	docker load -q -i "$IMAGE"
	id=$(docker_image_id test/sym:1)
	peer_stop spare 30
	serve_start "docker-root:$SPARE.data"
	remote_walk "$ADDR" test/sym 1
	same "image ID" "$(remote_image_id "$ADDR" test/sym 1)" "$id"
	"$DRAY" normalize "$IMAGE" -o "$CASE/canonical.tar"
	same "manifest" "$(remote_walk "$ADDR" test/sym 1)" \
		"$(jq -r '.manifests[0].digest' <(tar xOf "$CASE/canonical.tar" index.json))"
}

# ---------------------------------------------------------------------------------------------------------------------
# The protocol

@test "serve: heads, ranges and conditions of blobs" {
	local layer size row
	image_need sym
	serve_start "$IMAGE"
	layer=$(remote_manifest "$ADDR" test/sym 1 | jq -r '.layers[0].digest')
	size=$(remote_manifest "$ADDR" test/sym 1 | jq -r '.layers[0].size')
	get "/v2/test/sym/blobs/$layer" >"$CASE/whole"
	same "HEAD" "$(code "/v2/test/sym/blobs/$layer" -I) $(field Content-Length) $(field Docker-Content-Digest)" "200 $size $layer"
	same "no body" "$(curl -sS --noproxy '*' -I -w '%{size_download}' -o /dev/null "http://$ADDR/v2/test/sym/blobs/$layer")" 0
	same "API version" "$(field Docker-Distribution-Api-Version)" registry/2.0
	same "ranges" "$(field Accept-Ranges)" bytes
	# range, status, first byte, length
	while read -r range status first length; do
		same "$range" "$(code "/v2/test/sym/blobs/$layer" -H "Range: $range")" "$status"
		[ "$status" != 206 ] || {
			same "bytes of $range" "$(sha256sum <"$CASE/body")" \
				"$(tail -c +$((first + 1)) "$CASE/whole" | head -c "$length" | sha256sum)"
			same "Content-Range" "$(field Content-Range)" "bytes $first-$((first + length - 1))/$size"
		}
		[ "$status" != 416 ] || same "Content-Range" "$(field Content-Range)" "bytes */$size"
		[ "$status" != 200 ] || cmp "$CASE/body" "$CASE/whole"
		same "HEAD, $range" "$(code "/v2/test/sym/blobs/$layer" -I -H "Range: $range") $(field Content-Length) $(field Content-Range)" "200 $size "
	done <<-EOF_ROWS
		bytes=0-99 206 0 100
		bytes=100-299 206 100 200
		bytes=1000- 206 1000 $((size - 1000))
		bytes=-10 206 $((size - 10)) 10
		bytes=0-$((size + 5)) 206 0 $size
		bytes=0-0 206 0 1
		bytes=$size- 416
		bytes=500-0 416
		bytes=0-1,5-6 200
		lines=0-1 200
	EOF_ROWS
	same "known" "$(code "/v2/test/sym/blobs/$layer" -H "If-None-Match: \"x\", W/\"$layer\"")" 304
	same "304 has no body" "$(stat -c %s "$CASE/body")" 0
	same "another" "$(code "/v2/test/sym/blobs/$layer" -H 'If-None-Match: "x"')" 200
	same "If-Range" "$(code "/v2/test/sym/blobs/$layer" -H "If-Range: \"$layer\"" -r 0-9)" 206
	same "If-Range, another" "$(code "/v2/test/sym/blobs/$layer" -H 'If-Range: "x"' -r 0-9)" 200
	same "known manifest" "$(code /v2/test/sym/manifests/1 -H "If-None-Match: \"$(remote_walk "$ADDR" test/sym 1)\"")" 304
	same "HEAD of a tag" "$(code /v2/test/sym/manifests/1 -I) $(field Docker-Content-Digest)" "200 $(remote_walk "$ADDR" test/sym 1)"
}

@test "serve: what is refused, with its code" {
	image_need sym
	serve_start "$IMAGE"
	local none=sha256:0000000000000000000000000000000000000000000000000000000000000000
	local args path status word
	while read -r status word path args; do
		# shellcheck disable=SC2086
		same "$path $args" "$(code "$path" $args) $(jq -r '.errors[0].code' "$CASE/body")" "$status $word"
	done <<-EOF_ROWS
		404 NAME_UNKNOWN /v2/nobody/tags/list
		404 MANIFEST_UNKNOWN /v2/test/sym/manifests/2
		404 MANIFEST_UNKNOWN /v2/test/sym/manifests/$none
		404 MANIFEST_UNKNOWN /v2/nobody/manifests/1
		404 BLOB_UNKNOWN /v2/test/sym/blobs/$none
		404 BLOB_UPLOAD_UNKNOWN /v2/test/sym/blobs/uploads/x
		400 DIGEST_INVALID /v2/test/sym/blobs/sha256:x
		400 DIGEST_INVALID /v2/test/sym/manifests/sha256:x
		400 NAME_INVALID /v2/test/Sym/manifests/1
		400 NAME_INVALID /v2/test/../sym/manifests/1
		400 NAME_INVALID /v2/test%2fsym/manifests/1
		400 NAME_INVALID /v2/%2e%2e/%2e%2e/manifests/1
		400 PAGINATION_NUMBER_INVALID /v2/_catalog?n=x
		405 UNSUPPORTED /v2/test/sym/manifests/1 -X PUT -H Content-Type:$MT_OCI_MANIFEST -d {}
		405 UNSUPPORTED /v2/test/sym/manifests/1 -X DELETE
		405 UNSUPPORTED /v2/test/sym/blobs/uploads/ -X POST
		405 UNSUPPORTED /v2/ -X PATCH
		404 UNSUPPORTED /../../etc/passwd
		404 UNSUPPORTED /v2/test/sym/unknown
	EOF_ROWS
	same "methods" "$(code /v2/ -X POST) $(field Allow)" "405 GET, HEAD"
	same "alive" "$(code /healthz) $(cat "$CASE/body")" '200 {"status":"ok"}'
}

@test "serve: pages of tags and repositories" {
	image_need sym
	local tags
	tags=$(for i in 05 04 03 02 01 a B _ 10; do printf '"t/app:%s",' "$i"; done)
	archive_edit "$IMAGE" "$CASE/many.tar" "data = data.replace(b'\"test/sym:1\"', b'''${tags%,}''') if member.name == 'manifest.json' else data"
	serve_start "$CASE/many.tar"
	same "sorted" "$(get /v2/t/app/tags/list | jq -c .tags)" '["01","02","03","04","05","10","B","_","a"]'
	same "first two" "$(code '/v2/t/app/tags/list?n=2') $(jq -c .tags "$CASE/body")" '200 ["01","02"]'
	same "where the next are" "$(field Link)" '</v2/t/app/tags/list?n=2&last=02>; rel="next"'
	same "behind" "$(get '/v2/t/app/tags/list?last=10' | jq -c .tags)" '["B","_","a"]'
	same "the last page" "$(code '/v2/t/app/tags/list?n=3&last=10') $(field Link)" '200 '
	same "none" "$(code '/v2/t/app/tags/list?n=0') $(jq -c .tags "$CASE/body") $(field Link)" '200 [] '
	same "more than there are" "$(get '/v2/t/app/tags/list?n=99999999999999999999' | jq '.tags | length')" 9
	dray_run tags "$ADDR/t/app"
	expect 0
	same "dray" "$(wc -l <<<"$output")" 9
}

# up PATH ARG...: a request of an upload; prints the status, the rest is for field().
up() { code "$1" -H 'Content-Type: application/octet-stream' "${@:2}"; }

@test "serve: uploads in every form that clients use" {
	local blob=$CASE/blob digest sha512 at
	serve_start --root "$CASE/root"
	head -c 300000 /dev/urandom >"$blob"
	digest=sha256:$(sha256sum <"$blob" | cut -d ' ' -f 1)
	sha512=sha512:$(sha512sum <"$blob" | cut -d ' ' -f 1)

	same "POST" "$(up /v2/a/blobs/uploads/ -X POST)" 202
	[[ $(field Location) == /v2/a/blobs/uploads/* ]]
	same "PUT" "$(up "$(field Location)?digest=$digest" -X PUT --data-binary "@$blob")" 201
	same "where it is" "$(field Location) $(field Docker-Content-Digest)" "/v2/a/blobs/$digest $digest"
	same "what it is" "$(get "$(field Location)" | sha256sum)" "$(sha256sum <"$blob")"

	same "one POST" "$(up "/v2/b/blobs/uploads/?digest=$digest" -X POST --data-binary "@$blob")" 201
	same "mount" "$(up "/v2/c/blobs/uploads/?mount=$digest&from=b" -X POST)" 201
	same "mounted" "$(code "/v2/c/blobs/$digest" -I)" 200
	same "no such mount" "$(up "/v2/d/blobs/uploads/?mount=$digest&from=nobody" -X POST)" 202

	# A stream without a length, and a digest that nobody announced
	up /v2/e/blobs/uploads/ -X POST
	same "PATCH" "$(up "$(field Location)" -X PATCH -H 'Transfer-Encoding: chunked' --data-binary "@$blob")" 202
	same "range" "$(field Range)" 0-299999
	same "PUT" "$(up "$(field Location)?digest=$sha512" -X PUT)" 201
	same "sha512" "$(code "/v2/e/blobs/$sha512") $(sha256sum <"$CASE/body")" "200 $(sha256sum <"$blob")"

	# Pieces: one that comes too early is refused, and what is there can be asked for
	up /v2/f/blobs/uploads/ -X POST
	at=$(field Location)
	head -c 1000 "$blob" >"$CASE/piece"
	same "first" "$(up "$at" -X PATCH -H 'Content-Range: 0-999' --data-binary "@$CASE/piece")" 202
	same "too early" "$(up "$at" -X PATCH -H 'Content-Range: 2000-2999' --data-binary "@$CASE/piece") $(jq -r '.errors[0].code' "$CASE/body")" "416 RANGE_INVALID"
	same "again" "$(up "$at" -X PATCH -H 'Content-Range: 0-999' --data-binary "@$CASE/piece")" 416
	same "another length" "$(up "$at" -X PATCH -H 'Content-Range: 1000-1998' --data-binary "@$CASE/piece")" 400
	same "no range" "$(up "$at" -X PATCH -H 'Content-Range: bytes' --data-binary "@$CASE/piece")" 416
	same "asked" "$(up "$at") $(field Range)" "204 0-999"
	same "by another repository" "$(up "${at/f/g}")" 404
	tail -c +1001 "$blob" >"$CASE/piece"
	same "the rest" "$(up "$at?digest=$digest" -X PUT -H 'Content-Range: 1000-299999' --data-binary "@$CASE/piece")" 201
	same "over" "$(up "$at")" 404

	up /v2/h/blobs/uploads/ -X POST
	at=$(field Location)
	same "cancelled" "$(up "$at" -X DELETE)" 204
	same "gone" "$(up "$at")" 404
	up /v2/i/blobs/uploads/ -X POST
	at=$(field Location)
	same "no digest" "$(up "$at" -X PUT --data-binary x) $(jq -r '.errors[0].code' "$CASE/body")" "400 DIGEST_INVALID"
	same "wrong" "$(up "$at?digest=$digest" -X PUT --data-binary x) $(jq -r '.errors[0].code' "$CASE/body")" "400 DIGEST_INVALID"
	same "not there" "$(code "/v2/i/blobs/$digest")" 404
}

# came AT BYTES: what the upload says that it has.
came() { [ "$(up "$1") $(field Range)" = "204 0-$(($2 - 1))" ]; }
# goes_on AT RANGE: $CASE/piece is taken.
goes_on() { [ "$(up "$1" -X PATCH -H "Content-Range: $2" --data-binary "@$CASE/piece")" = 202 ]; }

@test "serve: an upload that breaks off goes on behind every byte that came" {
	local blob=$CASE/blob at
	serve_start --root "$CASE/root"
	head -c 300000 /dev/urandom >"$blob"
	up /v2/a/blobs/uploads/ -X POST
	at=$(field Location)
	AT=$at BLOB=$blob raw '
s = connect()
s.sendall(b"PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 300000\r\n\r\n"
          % os.environ["AT"].encode() + open(os.environ["BLOB"], "rb").read(200000))
s.close()
'
	wait_until 60 came "$at" 200000
	tail -c +200001 "$blob" >"$CASE/piece"
	wait_until 60 goes_on "$at" 200000-299999 # 416 until the broken request has let go
	same "the end" "$(up "$at?digest=sha256:$(sha256sum <"$blob" | cut -d ' ' -f 1)" -X PUT)" 201
	cmp <(get "$(field Location)") "$blob"
}

@test "serve: manifests of 4 MiB are taken, and not a byte more" {
	serve_start --root "$CASE/root"
	python3 -c '
import sys
head, tail = b"""{"schemaVersion":2,"mediaType":"%s","manifests":[],"annotations":{"x":\"""" % sys.argv[1].encode(), b"\"}}"
for over in (0, 1):
    open(sys.argv[2] + str(over), "wb").write(head + b"a" * ((4 << 20) + over - len(head) - len(tail)) + tail)
' application/vnd.oci.image.index.v1+json "$CASE/manifest"
	local type="Content-Type: application/vnd.oci.image.index.v1+json" over
	for over in "" "Transfer-Encoding: chunked" "Expect:"; do
		same "the limit" "$(code /v2/a/manifests/x -X PUT -H "$type" ${over:+-H "$over"} --data-binary "@${CASE}/manifest0")" 201
		same "one more" "$(code /v2/a/manifests/y -X PUT -H "$type" ${over:+-H "$over"} --data-binary "@${CASE}/manifest1") $(jq -r '.errors[0].code' "$CASE/body")" "413 SIZE_INVALID"
	done
	same "as it was sent" "$(get /v2/a/manifests/x | sha256sum)" "$(sha256sum <"$CASE/manifest0")"
	same "by another digest" "$(code "/v2/a/manifests/sha256:$(sha256sum <"$CASE/manifest1" | cut -d ' ' -f 1)" -X PUT -H "$type" --data-binary "@${CASE}/manifest0")" 400
	same "without a type" "$(code /v2/a/manifests/z -X PUT -H Content-Type: --data-binary '{}')" 400
	same "tags" "$(get /v2/a/tags/list | jq -c .tags)" '["x"]'
}

@test "serve: tags that were not set are not acknowledged, and with --immutable-tags those that were stay" {
	local type="Content-Type: application/vnd.oci.image.index.v1+json" d
	serve_start --root "$CASE/root" --immutable-tags
	printf '{"schemaVersion":2,"manifests":[]}' >"$CASE/manifest"
	d=sha256:$(sha256sum <"$CASE/manifest" | cut -d ' ' -f 1)
	same "by digest" "$(code "/v2/a/manifests/$d?tag=v1&tag=v2" -X PUT -H "$type" --data-binary "@$CASE/manifest") $(field OCI-Tag | xargs)" "201 v1 v2"
	same "by tag" "$(code "/v2/a/manifests/v9?tag=v10" -X PUT -H "$type" --data-binary "@$CASE/manifest") $(field OCI-Tag)" "201 "
	same "set" "$(get /v2/a/tags/list | jq -c .tags)" '["v1","v2","v9"]'
	same "a tag deleted" "$(code /v2/a/manifests/v1 -X DELETE) $(jq -r '.errors[0].code' "$CASE/body")" "405 DENIED"
	same "what is allowed" "$(field Allow)" "GET, HEAD"
	same "its manifest deleted" "$(code "/v2/a/manifests/$d" -X DELETE) $(jq -r '.errors[0].code' "$CASE/body")" "405 DENIED"
	same "there" "$(get /v2/a/tags/list | jq -c .tags)" '["v1","v2","v9"]'
}

# ---------------------------------------------------------------------------------------------------------------------
# Clients that mean no good

# raw SCRIPT: Python that has `connect()` to the server and `answer(socket)`, all that comes until the end.
raw() {
	ADDR=$ADDR timeout 120 python3 -c '
import os, socket, sys, time
def connect():
    host, port = os.environ["ADDR"].rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=60)
def answer(s):
    got = b""
    try:
        while True:
            piece = s.recv(65536)
            if not piece:
                return got
            got += piece
    except ConnectionResetError:
        return got
def ask(text):
    s = connect()
    try:
        s.sendall(text)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return answer(s)
def status(text):
    got = ask(text)
    return int(got.split()[1]) if got else 0
'"$1"
}

@test "serve: heads that are too large, too many or in two minds are refused, and the server goes on" {
	image_need sym
	serve_start "$IMAGE"
	raw '
end = b"Host: x\r\nConnection: close\r\n\r\n"
def refused(text, *codes):
    got = status(text)
    assert got in codes, (text[:80], got)
refused(b"GET /v2/ HTTP/1.1\r\n" + end, 200)
refused(b"GET /v2/ HTTP/1.1\r\nX: " + b"a" * 60000 + b"\r\n" + end, 200, 431)
refused(b"GET /v2/ HTTP/1.1\r\nX: " + b"a" * 300000 + b"\r\n" + end, 431, 0)
refused(b"GET /v2/" + b"a" * 300000 + b" HTTP/1.1\r\n" + end, 414, 431, 0)
refused(b"GET /v2/?" + b"a" * 9000 + b" HTTP/1.1\r\n" + end, 414)
refused(b"GET /v2/ HTTP/1.1\r\n" + b"X: y\r\n" * 90 + end, 200)
refused(b"GET /v2/ HTTP/1.1\r\n" + b"X: y\r\n" * 150 + end, 431)
refused(b"PUT /v2/a/manifests/x HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n" + end + b"0\r\n\r\n", 400, 0)
refused(b"PUT /v2/a/manifests/x HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n" + end + b"abc", 400, 0)
refused(b"PUT /v2/a/manifests/x HTTP/1.1\r\nContent-Length: -2\r\n" + end, 400, 0)
refused(b"PUT /v2/a/manifests/x HTTP/1.1\r\nContent-Length: +2\r\n" + end + b"ab", 400, 0)
refused(b"PUT /v2/a/manifests/x HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" + end, 400, 0)
refused(b"PUT /v2/a/manifests/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + end + b"zz\r\n\r\n", 400, 405)
refused(b"GET /v2/\x00/manifests/x HTTP/1.1\r\n" + end, 400, 404, 0)
refused(b"GET /v2/\xff\xfe/manifests/x HTTP/1.1\r\n" + end, 400)
refused(b"GET http://other/v2/ HTTP/1.1\r\n" + end, 404, 400)
refused(b"BREW /v2/ HTTP/1.1\r\n" + end, 405)
refused(b"\r\n\r\n\r\n\x16\x03\x01\x02\x00", 400, 0)
'
	same "alive" "$(code /healthz)" 200
	same "the log is JSON whatever they sent" "$(serve_log | grep -v '^dray: ' | jq -c .status | grep -c null || :)" 0
}

@test "serve: a head that two readers understand differently carries no second request" {
	serve_start --root "$CASE/root"
	raw '
second = b"GET /v2/second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
def fields(text):
    return ask(b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n" + text + b"\r\n\r\n" + second)
for text in (
    b"Content-Length : %d" % len(second),
    b"Content-Length\t: %d" % len(second),
    b"Transfer-Encoding : chunked",
    b"Content-Length: %d\r\n 0" % len(second),
    b"Content-Length: 0\r\n\t0",
    b"Transfer-Encoding: chunked\r\n x",
    b"Con: %d\r\n tent-Length" % len(second),
    b"X: a\r\n Content-Length: %d" % len(second),
    b"X: a\r\n b",
    b"X: a\r\n b\r\n\tc\r\n d\r\nY: z",
    b"X: " + b"a" * 9000 + b"\r\n " + b"b" * 9000,
    b"X Y: a",
    b"X\x01: a",
    b"X(y): a",
    b"Host: y",
    b"X: y\r\n" * 120 + b"X: y",
):
    got = fields(text)
    assert got.count(b"HTTP/1.1 ") == 1 and got.split()[1] in (b"400", b"431"), (text[:60], got)
    assert b"connection: close" in got.lower(), got
for text in (
    b"Content-Length:0",
    b"Content-Length:    0",
    b"content-length:\t0\r\nX:",
    b"X: \r\nY:\r\nZ: a b\tc",
    b"!#$%&\x27*+-.^_`|~09azAZ: \"a, b\"; c",
    b"X: " + b"a" * 9000,
):
    got = fields(text)
    assert got.count(b"HTTP/1.1 ") == 2 and got.split()[1] == b"202", (text[:60], got)
'
	same "alive" "$(code /healthz)" 200
}

@test "serve: a body that nobody wants is read to an end" {
	serve_start --root "$CASE/root"
	raw '
piece = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
def send(head, mib):
    s = connect()
    try:
        s.sendall(head + b"\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(mib):
            s.sendall(piece)
        s.sendall(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        pass
    return [int(line.split()[1]) for line in answer(s).split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
manifest = b"PUT /v2/a/manifests/x HTTP/1.1\r\nContent-Type: application/vnd.oci.image.index.v1+json"
for head, little in ((manifest, 413), (manifest + b"\r\nExpect: 100-continue", None), (b"GET /v2/ HTTP/1.1", 200),
                     (b"POST /v2/a/blobs/uploads/ HTTP/1.1", 202), (b"DELETE /v2/a/manifests/x HTTP/1.1", 404)):
    if little:
        got = send(head, 8)
        assert got == [little], (head, got)
    got = send(head, 40)
    assert got == ([413] if little else [100, 413]), (head, got)
'
	same "alive" "$(code /healthz)" 200
}

@test "serve: clients that dawdle lose their connection, others get their images meanwhile" {
	image_need sym
	local pid
	serve_start --timeout 1 "$IMAGE"
	# One that says nothing, one that sends a head a byte at a time, one that keeps quiet after an answer.
	raw '
quiet, slow, idle, half = connect(), connect(), connect(), connect()
idle.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
assert idle.recv(4096).startswith(b"HTTP/1.1 200")
half.sendall(b"PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nab")
cut = False
for byte in b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2000:
    try:
        slow.sendall(bytes([byte]))
    except OSError:
        cut = True
        break
    time.sleep(0.1)
assert cut
assert answer(quiet) == b""
answer(half)
answer(idle)
' &
	pid=$!
	remote_walk "$ADDR" test/sym 1
	wait "$pid"
	remote_walk "$ADDR" test/sym 1
}

@test "serve: no more connections than were allowed; who dawdles makes room for others" {
	image_need sym
	serve_start --timeout 2 --max-connections 4 "$IMAGE"
	raw '
held = [connect() for i in range(40)]
for s in held: # a connection that says nothing is none for the first second
    s.sendall(b"G")
text = b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
assert status(text) == 0
end = time.time() + 60
while status(text) != 200:
    assert time.time() < end
    time.sleep(0.1)
'
	same "threads" "$(($(grep -c . <(ls /proc/"$(peer_pid serve)"/task)) <= 12))" 1
}

@test "serve: SIGTERM lets a running request end, and then it exits with 0" {
	local layer pid big
	image_need big
	serve_start "$IMAGE"
	pid=$(peer_pid serve)
	big=$(remote_manifest "$ADDR" test/big 1 | jq -r '.layers | max_by(.size).digest')
	# A client that has begun to take a layer, and goes on when the server was asked to stop.
	PID=$pid DIGEST=$big raw '
import hashlib, signal
s = connect()
s.sendall(b"GET /v2/test/big/blobs/" + os.environ["DIGEST"].encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
got = s.recv(4096)
os.kill(int(os.environ["PID"]), signal.SIGTERM)
refused = False
while not refused:
    try:
        connect().close()
        time.sleep(0.05)
    except ConnectionRefusedError:
        refused = True
    except ConnectionResetError:
        pass # it was in the queue when the door was closed
body = (got + answer(s)).split(b"\r\n\r\n", 1)[1]
assert "sha256:" + hashlib.sha256(body).hexdigest() == os.environ["DIGEST"]
'
	wait_until 60 serve_gone
	serve_log | grep '^dray: stopping'
	absent "cut" "$(serve_log | grep -v '^dray: ' | jq -c 'select(.cut)')"
}
