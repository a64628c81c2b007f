#!/usr/bin/env bats
# The examples of docs/build.md, as they stand there.

load build

setup() {
	build_setup
	python3 - "$PEERS_TOP/docs/build.md" <<-'EOF_PY'
		import re, sys
		for i, spec in enumerate(re.findall(r"```json\n(.*?)```", open(sys.argv[1]).read(), re.S)):
		    open(f"example{i + 1}.json", "w").write(spec)
	EOF_PY
}
teardown() { peers_teardown; }

make_base() {
	program base/usr/bin/sh base
	mkdir -p base/etc
	ln -s usr/bin base/bin
	echo 'root:x:0:0:root:/root:/bin/sh' >base/etc/passwd
	build --dir base:/ --env PATH=/bin --label maintainer=me --entrypoint /bin/sh --name made/base:1 -o base.tar
}

@test "a static program from scratch" {
	program build/hello "hello, world"
	mkdir certs
	echo cert >certs/ca.pem
	build example1.json -o one.tar
	same layers "$(layers one.tar | wc -l)" 2
	same "the program alone on top" "$(layer_tar one.tar 1 | tar t)" hello
	same "below" "$(layer_tar one.tar 0 | tar t)" \
		$'etc/\netc/group\netc/passwd\netc/ssl/\netc/ssl/certs/\netc/ssl/certs/ca.pem\ntmp/'
	history_fits one.tar
	runs one.tar example.org/hello:1.0 $'hello, world\ncert' /etc/ssl/certs/ca.pem
	require_peer skopeo umoci
	skopeo inspect docker-archive:one.tar >/dev/null
	build example1.json -o oci:layout:x
	umoci unpack --rootless --image layout:x bundle
	same "umoci's passwd" "$(cat bundle/rootfs/etc/passwd)" 'nonroot:x:65532:65532::/:/sbin/nologin'
}

@test "an application on a base, data in a layer apart" {
	make_base
	program src/run shop
	mkdir -p src/var src/__pycache__ models venv
	: >src/var/state
	: >src/__pycache__/x
	: >src/x.pyc
	head -c 100000 /dev/urandom >models/m
	echo v >venv/v
	require_peer zstd
	tar c -C venv v | zstd -q >venv.tar.zst
	dray_run build example2.json -o no.tar
	expect 2 '*${REV} is not defined*'
	build example2.json --define REV=abc -o two.tar
	same "the base's layer" "$(layers two.tar | head -1)" "$(layers base.tar)"
	same layers "$(for n in 1 2 3 4; do layer_tar two.tar "$n" | tar t | tail -1; done)" $'srv/models/m\nsrv/app/venv/v\netc/passwd\nsrv/app/var/state'
	same owner "$("$DRAY" export two.tar 2>/dev/null | tar tv | awk '$6 == "srv/app/var/state" { print $2 }')" 1000/1000
	same passwd "$("$DRAY" cat two.tar /etc/passwd)" $'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/srv/app:/bin/false'
	same config "$(config two.tar)" \
		'{"Entrypoint":["/srv/app/run"],"Env":["PATH=/bin"],"ExposedPorts":{"8080/tcp":{}},"User":"app","WorkingDir":"/srv/app"}'
	fails grep pyc <(names two.tar)
	require_docker
	docker load --quiet -i two.tar
	same "docker run" "$(docker_run registry.example/shop:2.3)" shop
	same annotation "$(tar xOf two.tar index.json | jq -r '.manifests[0].digest' | tr : / | xargs -I{} tar xOf two.tar blobs/{} | jq -r '.annotations["org.opencontainers.image.revision"]')" abc
	docker rmi registry.example/shop:2.3 registry.example/shop:2.3.1
}

@test "a tool from another image" {
	make_base
	program tools/usr/local/bin/tool tool
	build --dir tools:/ -o tools.tar
	dray_run build example3.json -o three.tar
	expect 0 '*team/tools*no capitals*'
	"$DRAY" files three.tar | grep -q ' usr/bin/tool$'
	"$DRAY" files three.tar | grep -q ' bin -> usr/bin$'
	same config "$(config three.tar)" '{"Cmd":["/bin/tool"],"Env":["PATH=/bin","LANG=C.UTF-8"]}'
	tag=$(tar xOf three.tar manifest.json | jq -r '.[0].RepoTags[0]')
	[[ $tag =~ ^team/tools:[0-9a-f]{32}$ ]]
	runs three.tar "$tag" tool
}
