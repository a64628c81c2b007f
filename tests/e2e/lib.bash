# shellcheck shell=bash
# What the tests of the verbs share: running dray, looking at what it left on a registry, taking layouts apart.
#
# Relies on: images.bash (sourced here), jq, curl, python3.
# Promises: a failed expectation prints the command's status, stdout and stderr; nothing outside $BATS_TEST_TMPDIR and
# the peers' own folder is written.

# shellcheck source=tests/e2e/images.bash
. "${BASH_SOURCE[0]%/*}/images.bash"

export MT_DOCKER_MANIFEST=application/vnd.docker.distribution.manifest.v2+json
export MT_OCI_MANIFEST=application/vnd.oci.image.manifest.v1+json

# A cache and a TMPDIR of the test's own: what one test pushed must not spare another one the work.
verbs_setup() {
	require_dray || return 1
	require_peer jq curl python3 || return 1
	export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir -p "$TMPDIR"
}

# ---------------------------------------------------------------------------------------------------------------------
# Running dray

# dray_run ARG...: sets status, output (stdout) and stderr.
dray_run() { run --separate-stderr "$DRAY" "$@"; }

# dray_piped FILE ARG...: FILE arrives through a real pipe; the writer must not be left with a broken one.
dray_piped() {
	local file=$1
	shift
	# shellcheck disable=SC2016
	run --separate-stderr bash -c 'set -o pipefail; f=$1; shift; cat "$f" | "$@"' - "$file" "$DRAY" "$@"
}

# expect STATUS [PATTERN]: and stderr matches the glob PATTERN.
expect() {
	# shellcheck disable=SC2053,SC2154
	if [ "$status" -ne "$1" ] || { [ $# -gt 1 ] && [[ $stderr != $2 ]]; }; then
		printf 'expected status %s%s, got %s\n--- stdout\n%s\n--- stderr\n%s\n' "$1" "${2:+ and stderr $2}" \
			"$status" "$output" "$stderr"
		return 1
	fi
}

# ok: the last command succeeded and printed one line REFERENCE@sha256:...; sets DIGEST.
ok() {
	expect 0 || return 1
	[[ $output =~ ^[^[:space:]]+@(sha256:[0-9a-f]{64})$ ]] || {
		printf 'not one line with a digest: %s\n' "$output"
		return 1
	}
	DIGEST=${BASH_REMATCH[1]}
	export DIGEST
}

# same WHAT A B
same() {
	[ "$2" = "$3" ] || {
		printf '%s: %s is not %s\n' "$1" "$2" "$3"
		return 1
	}
}

# absent WHAT: an answer that must be empty.
absent() {
	[ -z "$2" ] || {
		printf '%s: %s\n' "$1" "$2"
		return 1
	}
}

# Is this a build with sanitizers? Its memory says nothing.
dray_sanitized() { grep -q __asan_init "${DRAY_PLAIN:-$DRAY}"; }

# dray_peak FILE ARG...: like dray_piped; sets PEAK_KIB.
dray_peak() {
	local file=$1
	shift
	# shellcheck disable=SC2016
	run --separate-stderr bash -c 'set -o pipefail; f=$1 t=$2; shift 2; cat "$f" | python3 -c "
import os, resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
open(sys.argv[1], \"w\").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)" "$t" "$@"' - "$file" "$BATS_TEST_TMPDIR/peak" "${DRAY_PLAIN:-$DRAY}" "$@"
	PEAK_KIB=$(cat "$BATS_TEST_TMPDIR/peak")
	export PEAK_KIB
}

# ---------------------------------------------------------------------------------------------------------------------
# What is on a registry (plain HTTP)

# remote_get ADDR PATH FILE: the status code; the body goes to FILE.
remote_get() {
	curl -sS --noproxy '*' -L -o "$3" -w '%{http_code}' -H "Accept: $MT_DOCKER_MANIFEST" -H "Accept: $MT_OCI_MANIFEST" \
		"http://$1$2"
}

# remote_walk ADDR REPO REF: fetches all that the manifest names and hashes it. Prints the manifest digest, nothing when
# there is no manifest; fails when something is missing or wrong.
remote_walk() {
	local f=$BATS_TEST_TMPDIR/walk code digest size
	code=$(remote_get "$1" "/v2/$2/manifests/$3" "$f.manifest")
	[ "$code" != 404 ] || return 0
	same "GET manifest" "$code" 200 || return 1
	while read -r digest size; do
		code=$(remote_get "$1" "/v2/$2/blobs/$digest" "$f.blob")
		same "GET blob $digest" "$code" 200 || return 1
		same "digest" "sha256:$(sha256sum <"$f.blob" | cut -d ' ' -f 1)" "$digest" || return 1
		same "size of $digest" "$(stat -c %s "$f.blob")" "$size" || return 1
	done < <(jq -r '.config, .layers[] | "\(.digest) \(.size)"' "$f.manifest")
	echo "sha256:$(sha256sum <"$f.manifest" | cut -d ' ' -f 1)"
}

# remote_manifest ADDR REPO REF: its bytes.
remote_manifest() {
	curl -sS --noproxy '*' -f -H "Accept: $MT_DOCKER_MANIFEST" -H "Accept: $MT_OCI_MANIFEST" "http://$1/v2/$2/manifests/$3"
}

remote_image_id() { remote_manifest "$@" | jq -r .config.digest; }

# fakereg_requests ADDR [JQ]: the log, one object a line.
fakereg_requests() { curl -sS --noproxy '*' "http://$1/_log" | jq -c "${2:-.}"; }
fakereg_forget() { curl -sS --noproxy '*' -o /dev/null -X DELETE "http://$1/_log"; }

# fakereg_faults ADDR [FAULT...]: these from now on.
fakereg_faults() {
	local addr=$1
	shift
	printf '%s\n' "$@" | curl -sS --noproxy '*' -f -o /dev/null --data-binary @- "http://$addr/_fault"
}

# engines_agree REF ID LINE: docker, podman and skopeo see the image ID, and what both engines run prints LINE.
engines_agree() {
	require_docker && require_root && require_peer podman skopeo || return 1
	same "skopeo's image ID" \
		"sha256:$(skopeo inspect --tls-verify=false --config --raw "docker://$1" | sha256sum | cut -d ' ' -f 1)" "$2" || return 1
	docker pull --quiet "$1" || return 1
	same "docker's image ID" "$(docker_image_id "$1")" "$2" || return 1
	same "docker run" "$(docker_run "$1")" "$3" || return 1
	docker rmi "$1" >/dev/null || return 1
	podman pull --quiet --tls-verify=false "$1" || return 1
	same "podman's image ID" "sha256:$(podman image inspect --format '{{.Id}}' "$1")" "$2" || return 1
	same "podman run" "$(podman_run "$1")" "$3" || return 1
	podman rmi "$1" >/dev/null
}

# docker_agrees REF ID LINE: the quicker half of it.
docker_agrees() {
	docker pull --quiet "$1" || return 1
	same "docker's image ID" "$(docker_image_id "$1")" "$2" || return 1
	same "docker run" "$(docker_run "$1")" "$3" || return 1
	docker rmi "$1" >/dev/null
}

# source_image_id SOURCE: as skopeo reads it (docker-archive:..., oci:..., oci-archive:...).
source_image_id() { echo "sha256:$(skopeo inspect --config --raw "$1" | sha256sum | cut -d ' ' -f 1)"; }
source_manifest_digest() { echo "sha256:$(skopeo inspect --raw "$1" | sha256sum | cut -d ' ' -f 1)"; }

# ---------------------------------------------------------------------------------------------------------------------
# Layouts and archives

# layout_documents DIR [FILE]: digests of the manifests that index.json (or FILE) leads to, through indexes.
layout_documents() {
	local digest
	for digest in $(jq -r '.manifests[].digest' "${2:-$1/index.json}"); do
		if [ -f "$1/blobs/sha256/${digest#*:}" ] && jq -e .manifests "$1/blobs/sha256/${digest#*:}" >/dev/null; then
			layout_documents "$1" "$1/blobs/sha256/${digest#*:}"
		else
			echo "$digest"
		fi
	done
}

# layout_check DIR: every blob hashes to its name, index.json leads to what is there, nothing temporary is left.
layout_check() {
	local blob digest
	for blob in "$1"/blobs/sha256/*; do
		same "$blob" "$(sha256sum <"$blob" | cut -d ' ' -f 1)" "${blob##*/}" || return 1
	done
	same "oci-layout" "$(jq -r .imageLayoutVersion "$1/oci-layout")" 1.0.0 || return 1
	for digest in $(layout_documents "$1"); do
		for blob in "$digest" $(jq -r '.config.digest, .layers[].digest' "$1/blobs/sha256/${digest#*:}"); do
			[ -f "$1/blobs/sha256/${blob#*:}" ] || {
				printf '%s is not in the layout\n' "$blob"
				return 1
			}
		done
	done
	absent "left behind" "$(find "$1" -type f ! -name oci-layout ! -name index.json ! -path '*/blobs/sha256/*')"
}

layout_tags() { jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' "$1/index.json"; }

# archive_edit IN OUT PYTHON: rebuild a tar; PYTHON sees `member` (TarInfo) and `data` (bytes) and may change both, or
# set keep = False.
archive_edit() {
	python3 - "$@" <<-'EOF_PYTHON'
		import io, sys, tarfile
		code = compile(sys.argv[3], "edit", "exec")
		with tarfile.open(sys.argv[1]) as src, tarfile.open(sys.argv[2], "w", format=tarfile.USTAR_FORMAT) as dst:
		    for member in src:
		        data = src.extractfile(member).read() if member.isreg() else b""
		        scope = {"member": member, "data": data, "keep": True, "sys": sys}
		        exec(code, scope)
		        if not scope["keep"]:
		            continue
		        member, data = scope["member"], scope["data"]
		        if member.isreg():
		            member.size = len(data)
		        dst.addfile(member, io.BytesIO(data) if member.isreg() else None)
	EOF_PYTHON
}

# archive_flip IN OUT OFFSET [REGEX]: one bit of the first layer.tar (or member that REGEX matches) that is longer.
archive_flip() {
	archive_edit "$1" "$2" "
import re
if member.isreg() and len(data) > $3 and re.search(r'''${4:-layer\.tar$}''', member.name) and not hasattr(sys, 'flipped'):
    data = data[:$3] + bytes([data[$3] ^ 1]) + data[$3 + 1:]
    sys.flipped = True
" || return 1
	! cmp -s "$1" "$2"
}

# graph NAME ARG...: a layout made by hand in $BATS_TEST_TMPDIR/NAME; sets D[multi], D[image0] ... to the digests it has.
graph() {
	local name=$1 key digest
	shift
	declare -gA D=()
	while read -r key digest; do D[$key]=$digest; done < <("$PEERS_SRC/oci_graph.py" "$BATS_TEST_TMPDIR/$name" "$@")
	[ -n "${D[multi]}" ]
}

# ---------------------------------------------------------------------------------------------------------------------
# Images whose layers were made anew

# id_of PLACE: its rootfs id with times; sets ID.
id_of() {
	dray_run rootfs-id --mtime "$1"
	expect 0 || return 1
	ID=$output
}

# consistent PLACE: as many steps of the history made a layer as there are layers.
consistent() {
	"$DRAY" inspect --json "$1" >"$BATS_TEST_TMPDIR/inspect.json"
	jq -e '.images[0] | (.layers | length) == ([.history[] | select(.empty_layer | not)] | length)' "$BATS_TEST_TMPDIR/inspect.json" >/dev/null || {
		echo "history and layers differ in $1"
		return 1
	}
}

# with_history ARCHIVE JSON: its config, of an archive for docker load with one image, gets this history.
with_history() {
	python3 - "$1" "$2" <<-'EOF_PY'
		import hashlib, io, json, sys, tarfile
		name, history = sys.argv[1], json.loads(sys.argv[2])
		with tarfile.open(name) as t:
		    files = [(m, t.extractfile(m).read() if m.isfile() else b"") for m in t]
		manifest = json.loads(next(d for m, d in files if m.name == "manifest.json"))
		old = manifest[0]["Config"]
		config = json.loads(next(d for m, d in files if m.name == old))
		config["history"] = history
		config = json.dumps(config).encode()
		manifest[0]["Config"] = hashlib.sha256(config).hexdigest() + ".json"
		layers = set(manifest[0]["Layers"])
		with tarfile.open(name, "w") as t:
		    def add(n, d):
		        m = tarfile.TarInfo(n)
		        m.size = len(d)
		        t.addfile(m, io.BytesIO(d))
		    add(manifest[0]["Config"], config)
		    for m, d in files:
		        if m.name in layers:
		            add(m.name, d)
		    add("manifest.json", json.dumps(manifest).encode())
	EOF_PY
}

# tree_of IMAGE FILE: what docker shows of a container of it, less what an engine puts there.
tree_of() {
	local id
	id=$(docker create "$1" /bin/true)
	docker export "$id" | python3 -c '
import hashlib, sys, tarfile
tar = tarfile.open(fileobj=sys.stdin.buffer, mode="r|")
for m in tar:
    name = m.name.strip("/")
    if name in ("", ".", "etc", ".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab") or \
       name.split("/")[0] in ("dev", "proc", "sys"):
        continue
    data = hashlib.sha256(tar.extractfile(m).read()).hexdigest() if m.isreg() else ""
    print(name, m.type, oct(m.mode), m.uid, m.gid, m.mtime, m.linkname, data)
' >"$2"
	docker rm "$id" >/dev/null
}

# mute_archive FILE NAME...: an archive whose config names no DiffIDs: an empty file of each name, each in a layer.
mute_archive() {
	python3 - "$@" <<-'END'
		import io, json, sys, tarfile
		with tarfile.open(sys.argv[1], "w") as t:
		    def put(name, data):
		        info = tarfile.TarInfo(name)
		        info.size = len(data)
		        t.addfile(info, io.BytesIO(data))
		    for name in sys.argv[2:]:
		        layer = io.BytesIO()
		        with tarfile.open(fileobj=layer, mode="w") as l:
		            l.addfile(tarfile.TarInfo(name))
		        put(name + "/layer.tar", layer.getvalue())
		    put("c.json", json.dumps({"architecture": "amd64", "os": "linux", "config": {}}).encode())
		    put("manifest.json", json.dumps([{"Config": "c.json", "RepoTags": ["test/mute:1"],
		                                      "Layers": [name + "/layer.tar" for name in sys.argv[2:]]}]).encode())
	END
}
