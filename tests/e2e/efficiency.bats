#!/usr/bin/env bats
# inspect --efficiency: an example counted by hand, a real build counted by another program, and limits for CI.

load lib

COUNT=$PEERS_TOP/tests/layers/efficiency.py

setup() {
	verbs_setup
	T=$BATS_TEST_TMPDIR
}
teardown() { peers_teardown; }

# make_image FILE: 1000 bytes below; then 300 replaced by 200, 100 deleted, and back to 600.
make_image() {
	python3 - "$1" <<-'END'
		import hashlib, io, json, sys, tarfile

		def layer(**files):
		    out = io.BytesIO()
		    with tarfile.open(fileobj=out, mode="w") as tar:
		        for name, size in files.items():
		            i = tarfile.TarInfo(name.replace("_", "/").replace("WH", ".wh."))
		            i.size = size
		            tar.addfile(i, io.BytesIO(b"x" * size))
		    return out.getvalue()

		layers = [layer(etc_a=300, etc_b=100, opt_kept=600), layer(etc_a=200, etc_WHb=0), layer(WHetc=0, new=600)]
		config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids":
		    ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]}}).encode()
		names = [f"{n}.tar" for n in range(3)]
		manifest = json.dumps([{"Config": "c.json", "RepoTags": ["test/eff:1"], "Layers": names}]).encode()
		with tarfile.open(sys.argv[1], "w") as tar:
		    for name, data in [*zip(names, layers), ("c.json", config), ("manifest.json", manifest)]:
		        i = tarfile.TarInfo(name)
		        i.size = len(data)
		        tar.addfile(i, io.BytesIO(data))
	END
}

@test "efficiency: counted by hand, as text and JSON, from a file and a pipe" {
	make_image "$T/a.tar"
	dray_run inspect --efficiency "$T/a.tar"
	expect 0
	# 1800 bytes of files; hidden: etc/a twice (300, 200), etc/b (100). The score: (600 + 600) / 1800.
	[[ $output == *"efficiency      66.6666%"*"hidden          600 B of 1.8 kB, 33.3333%"* ]]
	[[ $output == *"500 B       2  0,1        deleted     etc/a"*"100 B       1  0          deleted     etc/b"* ]]
	dray_run inspect --efficiency --json "$T/a.tar"
	expect 0
	same "numbers" "$(jq -c '.images[0].efficiency | [.score, .file_bytes, .wasted_bytes, .wasted_percent]' <<<"$output")" \
		'[0.666666,1800,600,33.3333]'
	same "layers" "$(jq -c '[.images[0].efficiency.layers[] | [.index, .file_bytes, .wasted_bytes]]' <<<"$output")" \
		'[[0,1000,400],[1,200,200],[2,600,0]]'
	same "files" "$(jq -c '[.images[0].efficiency.files[] | [.path, .wasted_bytes, .copies, .layers, .visible]]' <<<"$output")" \
		'[["etc/a",500,2,[0,1],false],["etc/b",100,1,[0],false]]'
	# All that inspect tells without it is there as well, and from a pipe.
	"$DRAY" inspect --json "$T/a.tar" >"$T/plain"
	same "the rest" "$(jq -c 'del(.images[0].efficiency)' <<<"$output")" "$(jq -c . "$T/plain")"
	local want=$output
	dray_piped "$T/a.tar" inspect --efficiency --json -
	expect 0
	same "from a pipe" "$(jq -c '.images[0].efficiency' <<<"$output")" "$(jq -c '.images[0].efficiency' <<<"$want")"
}

@test "efficiency: limits are met and passed, at their edges" {
	make_image "$T/a.tar"
	local limit
	for limit in --max-wasted=600 --max-wasted=600B --max-wasted=0.6kB --max-wasted=33.3334% --max-wasted=100% \
		--lowest-efficiency=66.6666% --lowest-efficiency=0.666666 --lowest-efficiency=0%; do
		dray_run inspect "$limit" --json "$T/a.tar"
		expect 0
		same "$limit" "$(jq -c '[.ok, .problems]' <<<"$output")" '[true,[]]'
	done
	while read -r limit code; do
		dray_run inspect "$limit" --json "$T/a.tar"
		expect 1
		same "$limit" "$(jq -r '[.ok, .problems[].code] | @text' <<<"$output")" "[false,\"$code\"]"
		dray_run inspect "$limit" "$T/a.tar"
		expect 1
		[[ $output == *"the limit is"* ]]
	done <<-'END'
		--max-wasted=599 wasted-bytes
		--max-wasted=0.5KiB wasted-bytes
		--max-wasted=33.3333% wasted-share
		--max-wasted=0% wasted-share
		--lowest-efficiency=66.6667% low-efficiency
		--lowest-efficiency=1 low-efficiency
	END
	dray_run inspect --max-wasted 5% --max-wasted 1GB --lowest-efficiency 95% --json "$T/a.tar"
	expect 1
	same "two of three" "$(jq -c '[.problems[] | [.code, .expected, .actual]]' <<<"$output")" \
		'[["wasted-share","5.0000%","33.3333%"],["low-efficiency","95.0000%","66.6666%"]]'
	for limit in --max-wasted= --max-wasted=5%% --max-wasted=-1 --max-wasted=101% --max-wasted=5TB --max-wasted=1. \
		--max-wasted=.5% --max-wasted=9999999999999GB --lowest-efficiency=2 --lowest-efficiency=x; do
		dray_run inspect "$limit" "$T/a.tar"
		expect 2 "*expected a share*"
	done
	dray_run inspect --efficiency --raw "$T/a.tar"
	expect 2 "*one of them*"
}

@test "efficiency: a real build, counted by another program, wherever it is stored" {
	require_docker
	require_root
	require_peer skopeo
	cp /bin/busybox "$T/busybox" || skip "no busybox"
	cat >"$T/Dockerfile" <<-'END'
		FROM scratch
		COPY busybox /bin/busybox
		RUN ["/bin/busybox", "--install", "-s", "/bin"]
		RUN mkdir -p /a/b/c && dd if=/dev/urandom of=/a/b/one bs=1k count=700 && dd if=/dev/urandom of=/a/two bs=1k count=90
		RUN chmod 600 /a/b/one && ln /a/two /a/three
		RUN rm /a/two && mv /a/b/one /moved
		RUN rm -r /a && mkdir /a && echo new >/a/two
		RUN echo more >>/moved && ln -sf /moved /a/two
		RUN ln /bin/busybox /bin/twin && rm /bin/ls
	END
	DOCKER_BUILDKIT=0 docker build --quiet --tag eff:1 "$T"
	docker save -o "$T/save.tar" eff:1
	docker rmi eff:1
	"$DRAY" inspect --efficiency --json "$T/save.tar" >"$T/json"
	PYTHONDONTWRITEBYTECODE=1 python3 "$COUNT" "$T/save.tar" "$T/json"
	[ "$(jq '.images[0].efficiency | .wasted_bytes > 2000000 and (.files | length) > 4' "$T/json")" = true ]
	skopeo copy --quiet "docker-archive:$T/save.tar" "oci:$T/layout:1"
	dray_run inspect --efficiency --json "oci:$T/layout:1"
	expect 0
	same "compressed" "$(jq -c '.images[0].efficiency' <<<"$output")" "$(jq -c '.images[0].efficiency' "$T/json")"
}

@test "efficiency: dive's own image: the same bytes, and why the score differs" {
	local archive=${DRAY_ARCHIVES:-$PEERS_TOP/../shared/fixtures/archives}/dive-test-docker-image.tar
	[ -e "$archive" ] || skip "the archives of other projects are not here (set DRAY_ARCHIVES)"
	"$DRAY" inspect --efficiency --json "$archive" >"$T/json"
	# dive's tests expect 0.9844212134184309 and 32025 bytes; see docs/layers.md.
	PYTHONDONTWRITEBYTECODE=1 python3 "$COUNT" "$archive" "$T/json" 0.9844212134184309
	same "ours" "$(jq -c '.images[0].efficiency | [.score, .wasted_bytes, .file_bytes]' "$T/json")" '[0.973762,32025,1220598]'
}
