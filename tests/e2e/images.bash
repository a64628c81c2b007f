# shellcheck shell=bash
# The images the end-to-end tests need, made by the real tools from Debian's static busybox: no network.
#
# Relies on: peers.bash (sourced here).
# Promises: image_need NAME builds once per suite and sets IMAGE to the file or folder; nobody changes that file
# afterwards (copy it first). Everything but the wall-clock stamps of docker save is the same in every run.

# shellcheck source=tests/e2e/peers.bash
. "${BASH_SOURCE[0]%/*}/peers.bash"

# What containers print; tests compare with these.
export SYM_LINE="hello from dray sym"
export BIG_LINE="hello from dray big"

# NAME          what                                                           saved by
# sym           COPY a, b, a to /a: one layer.tar is a symlink to an earlier   docker, test/sym:1
# tags          the same image under two names, one with a registry host       docker
# untagged      the same, saved by ID: RepoTags null, no repositories          docker
# host          sym tagged registry.example.test:5000/app/sym:1                docker
# multi         test/multi-a:1, test/multi-b:1: a shared base directory and    docker
#               symlinks from b's directories into a's
# big           about 40 MB in 6 layers, half of it random, whiteouts, test/big:1  docker
# big2          big with the last small layer changed, test/big:2              docker
# podman-docker, podman-oci, podman-multi                                      podman
# skopeo-docker, skopeo-oci (archive), skopeo-layout, skopeo-dir               skopeo
# buildah-docker, buildah-oci                                                  buildah
# ctr-oci       the containerd exporter's hybrid                               ctr
# crane-docker  gzip layers inside, in the shape that crane writes             docker
image_need() {
	local name=$1 dir=$PEERS_DIR/images maker
	maker=image_make_${name//-/_}
	declare -F "$maker" >/dev/null || {
		printf 'image_need: no recipe for %s\n' "$name" >&2
		return 1
	}
	image_require "$name" || return 1
	mkdir -p "$dir"
	if [ ! -e "$dir/$name.done" ]; then
		(
			flock 9
			[ ! -e "$dir/$name.done" ] || exit 0
			rm -rf "$dir/$name.tmp"
			# A process of its own: here behind `||` the shell would not stop at a recipe's first failure.
			bash -euo pipefail -c '. "$1"; "$2" "$3"' - "$PEERS_SRC/images.bash" "$maker" "$dir/$name.tmp" \
				>"$dir/$name.log" 2>&1 &&
				mv -T "$dir/$name.tmp" "$dir/$name.img" &&
				touch "$dir/$name.done"
		) 9>"$dir/$name.lock" || {
			cat "$dir/$name.log" >&2
			return 1
		}
	fi
	IMAGE=$dir/$name.img
	export IMAGE
}

# Skips must happen in the test's own shell, so before the recipe runs. All recipes begin with the real dockerd.
image_require() {
	require_docker || return 1
	require_peer busybox jq || return 1
	case $1 in
	podman-*) require_peer podman ;;
	skopeo-*) require_peer skopeo ;;
	buildah-*) require_peer buildah ;;
	ctr-*) require_peer ctr ;;
	esac
}

# The path of an image made earlier.
image_path() { echo "$PEERS_DIR/images/$1.img"; }

# The truth as the real engine tells it, for images docker knows (by tag).
docker_image_id() { docker image inspect --format '{{.Id}}' "$1"; }
docker_diff_ids() { docker image inspect --format '{{range .RootFS.Layers}}{{println .}}{{end}}' "$1" | sed '/^$/d'; }

# docker_save_as TAG FILE [IMAGE]: tag an image (default sym) and save it, for tags with a registry's port in them.
docker_save_as() {
	docker tag "${3:-test/sym:1}" "$1"
	docker save -o "$2" "$1"
	docker rmi "$1" >/dev/null
}

# A build context with fixed times: /a, /b and busybox. Sets CONTEXT; the caller's subshell removes it.
image_context() {
	CONTEXT=$(mktemp -d "$PEERS_DIR/tmp/context.XXXXXX")
	cp "$(type -P busybox)" "$CONTEXT/busybox"
	chmod 0755 "$CONTEXT/busybox"
	printf 'content a\n' >"$CONTEXT/a"
	printf 'content b\n' >"$CONTEXT/b"
	chmod 0644 "$CONTEXT/a" "$CONTEXT/b"
	touch -d @1700000000 "$CONTEXT"/*
}

# image_build TAG: Dockerfile on stdin, context in CONTEXT. RUN steps get no network.
image_build() {
	cat >"$CONTEXT/Dockerfile"
	docker build --quiet --network none --tag "$1" "$CONTEXT"
}

# The times of /a are equal both times it is copied, so both layers have the same bytes: dockerd 1.12 to 24 then writes
# the second layer.tar as a symlink.
image_make_sym() {
	image_context
	image_build test/sym:1 <<-EOF_DOCKERFILE
		FROM scratch
		COPY busybox /bin/busybox
		COPY a /a
		COPY b /a
		COPY a /a
		ENV PATH=/bin GREETING="a <b> & c"
		LABEL org.example.case=sym
		CMD ["/bin/busybox","echo","$SYM_LINE"]
	EOF_DOCKERFILE
	rm -rf "$CONTEXT"
	docker save -o "$1" test/sym:1
	image_assert_symlinks "$1" 1
}

# Newer engines write blobs/ and no links; then the tests about links must not pass by accident.
image_assert_symlinks() {
	local n
	n=$(tar tvf "$1" | grep -c '^l') || :
	[ "$n" -ge "$2" ] || {
		echo "expected $2 or more symlinks in what docker save wrote, got $n"
		return 1
	}
}

image_make_tags() {
	image_need sym
	docker tag test/sym:1 test/other:2
	docker tag test/sym:1 localhost:5000/deep/er/name:v3
	docker save -o "$1" test/other:2 localhost:5000/deep/er/name:v3
	docker rmi test/other:2 localhost:5000/deep/er/name:v3
}

image_make_untagged() {
	image_need sym
	docker save -o "$1" "$(docker_image_id test/sym:1)"
}

image_make_host() {
	image_need sym
	docker_save_as registry.example.test:5000/app/sym:1 "$1"
}

image_make_multi() {
	image_context
	image_build test/multi-a:1 <<-'EOF_DOCKERFILE'
		FROM scratch
		COPY busybox /bin/busybox
		COPY a /etc/base
		COPY a /a
		COPY b /b
		CMD ["/bin/busybox","echo","multi a"]
	EOF_DOCKERFILE
	image_build test/multi-b:1 <<-'EOF_DOCKERFILE'
		FROM scratch
		COPY busybox /bin/busybox
		COPY a /etc/base
		COPY b /b
		COPY a /a
		CMD ["/bin/busybox","echo","multi b"]
	EOF_DOCKERFILE
	rm -rf "$CONTEXT"
	# docker save has no order of its own for several images, and @0 is to be a.
	until docker save -o "$1" test/multi-a:1 test/multi-b:1 &&
		[ "$(tar -xOf "$1" manifest.json | jq -r '.[0].RepoTags[0]')" = test/multi-a:1 ]; do
		rm "$1"
	done
	image_assert_symlinks "$1" 2
}

# image_noise FILE MB SEED: incompressible, the same every time.
image_noise() {
	openssl enc -aes-128-ctr -nosalt -K "$(printf '%032x' "$3")" -iv 00000000000000000000000000000000 \
		-in /dev/zero 2>/dev/null | head -c "$(($2 * 1048576))" >"$1" || [ "$(stat -c %s "$1")" -eq "$(($2 * 1048576))" ]
}

image_big_context() {
	image_context
	image_noise "$CONTEXT/noise1" 12 1
	image_noise "$CONTEXT/noise2" 8 2
	# seq's text deflates about as well as program text does.
	seq 1 2500000 >"$CONTEXT/numbers"
	printf 'small %s\n' "$1" >"$CONTEXT/small"
	touch -d @1700000000 "$CONTEXT"/*
}

image_big_dockerfile() {
	cat <<-EOF_DOCKERFILE
		FROM scratch
		COPY busybox /bin/busybox
		COPY noise1 /data/noise1
		COPY numbers /data/numbers
		COPY noise2 /data/noise2
		RUN ["/bin/busybox","rm","/data/noise1"]
		COPY small /etc/small
		CMD ["/bin/busybox","echo","$BIG_LINE"]
	EOF_DOCKERFILE
}

image_make_big() {
	image_big_context one
	image_big_dockerfile | image_build test/big:1
	rm -rf "$CONTEXT"
	docker save -o "$1" test/big:1
}

image_make_big2() {
	image_need big # its layers come from the build cache
	image_big_context two
	image_big_dockerfile | image_build test/big:2
	rm -rf "$CONTEXT"
	docker save -o "$1" test/big:2
}

# Every trick that layers know: links within and across them, folders that become links and back, whiteouts, whole folders
# made again, long names, great owners.
image_make_tricks() {
	image_context
	image_build test/tricks:1 <<-'EOF_DOCKERFILE'
		FROM scratch
		COPY busybox /bin/busybox
		RUN ["/bin/busybox", "--install", "/bin"]
		RUN mkdir -p /d/sub /e /gone/deep && echo 1 >/d/f && echo 2 >/d/sub/g && echo 3 >/gone/deep/h && ln /d/f /d/hard
		RUN rm -r /gone && mv /d/sub/g /e/moved && chmod 4711 /d/f
		RUN rm /d/hard && ln /e/moved /e/twin && mkfifo /e/pipe
		RUN rm -r /d && ln -s e /d
		RUN rm /d && mkdir /d && echo new >/d/n && ln -s /nowhere /d/dangling
		RUN echo more >>/e/moved && ln /e/twin /again && rm -r /e && mkdir /e && touch -d 2001-01-01 /e/old
		RUN mkdir -p "/long/$(printf '%0100d' 1)/$(printf '%0100d' 2)/$(printf '%0100d' 3)" && chown 70000:3000000 /long
	EOF_DOCKERFILE
	rm -rf "$CONTEXT"
	docker save -o "$1" test/tricks:1
}

# podman keeps docker's config bytes when it loads; the fully qualified name is its own idea.
image_podman_load() {
	image_need sym
	podman image exists localhost/test/sym:1 || podman load --quiet --input "$(image_path sym)"
}

image_make_podman_docker() {
	image_podman_load
	podman save --quiet --format docker-archive --output "$1" localhost/test/sym:1
}

image_make_podman_oci() {
	image_podman_load
	podman save --quiet --format oci-archive --output "$1" localhost/test/sym:1
}

image_make_podman_multi() {
	image_need multi
	podman load --quiet --input "$(image_path multi)"
	podman save --quiet --multi-image-archive --output "$1" localhost/test/multi-a:1 localhost/test/multi-b:1
}

image_make_skopeo_docker() {
	image_need sym
	skopeo copy --quiet "docker-archive:$(image_path sym)" "docker-archive:$1:example.test/skopeo:1"
}

image_make_skopeo_oci() {
	image_need sym
	skopeo copy --quiet "docker-archive:$(image_path sym)" "oci-archive:$1:1"
}

image_make_skopeo_layout() {
	image_need sym
	skopeo copy --quiet "docker-archive:$(image_path sym)" "oci:$1:1"
}

image_make_skopeo_dir() {
	image_need sym
	skopeo copy --quiet "docker-archive:$(image_path sym)" "dir:$1"
}

image_make_buildah_docker() {
	image_podman_load
	buildah push --quiet localhost/test/sym:1 "docker-archive:$1:example.test/buildah:1"
}

image_make_buildah_oci() {
	image_podman_load
	buildah push --quiet localhost/test/sym:1 "oci-archive:$1:1"
}

# dockerd brings its own containerd; a namespace of ours keeps out of its way.
image_make_ctr_oci() {
	local ctr=(ctr --address "$PEERS_DIR/exec/containerd/containerd.sock" --namespace dray-tests)
	image_need sym
	"${ctr[@]}" images import --no-unpack "$(image_path sym)" || "${ctr[@]}" images import "$(image_path sym)"
	"${ctr[@]}" images export "$1" docker.io/test/sym:1
}

image_make_crane_docker() {
	image_need sym
	python3 - "$(image_path sym)" "$1" <<-'END'
		# The shape that crane pull writes (crane has no Debian package): the config named by its digest,
		# each layer once as HEX.tar.gz, then manifest.json.
		import gzip, hashlib, io, json, sys, tarfile

		source = tarfile.open(sys.argv[1])
		element = json.load(source.extractfile("manifest.json"))[0]
		config = source.extractfile(element["Config"]).read()
		members, layers = {"sha256:" + hashlib.sha256(config).hexdigest(): config}, []
		for path in element["Layers"]:
		    blob = gzip.compress(source.extractfile(path).read(), 1, mtime=0)
		    layers.append(hashlib.sha256(blob).hexdigest() + ".tar.gz")
		    members[layers[-1]] = blob
		element = {"Config": next(iter(members)), "RepoTags": element["RepoTags"], "Layers": layers}
		members["manifest.json"] = json.dumps([element], separators=(",", ":")).encode()
		with tarfile.open(sys.argv[2], "w", format=tarfile.USTAR_FORMAT) as out:
		    for name, data in members.items():
		        info = tarfile.TarInfo(name)
		        info.size = len(data)
		        out.addfile(info, io.BytesIO(data))
	END
}
