#!/usr/bin/env bats
# build: keys of layers, of the base and of what the image says of itself; each as a flag too.

load build

setup() { build_setup; }
teardown() { peers_teardown; }

spec() { cat >"$T/spec.json"; }

# units N...: u/usr/uN/f of N times 200,000 random bytes each, the same for the same N.
units() {
	for n in "$@"; do
		mkdir -p "u/usr/u$n"
		openssl enc -aes-128-ctr -K "$(printf '%032d' "$n")" -iv 0 -in /dev/zero 2>/dev/null |
			head -c $((n * 200000)) >"u/usr/u$n/f"
	done
}

# moved OLD NEW: how many DiffIDs NEW has that OLD has not.
moved() { comm -13 <(layers "$1" | sort) <(layers "$2" | sort) | wc -l; }

# labels PLACE: what each layer's annotation says it holds.
labels() {
	skopeo inspect --raw "$1" | jq -c '[.layers[] | .annotations["io.dray.components"]]'
}

@test "what --print-spec prints has every key, is what the schema knows, and builds the same image" {
	mkdir -p app/etc lib store/1-a store/2-b
	echo x >app/etc/x
	echo y >lib/y
	echo a >store/1-a/a
	echo b >store/2-b/b
	echo '[{"path": "/store/1-a", "narSize": 1, "references": ["/store/2-b"]},
	       {"path": "/store/2-b", "narSize": 1, "references": []}]' >graph.json
	build --mkdir /usr/bin --symlink /bin:usr/bin --env OLD=1 --name example.org/base:1 -o base.tar
	build --dir lib:/usr/lib --name example.org/earlier:1 -o earlier.tar
	spec <<-'EOF_J'
		{ "dray": 1, "name": "example.org/all", "tags": ["1", "2"], "platform": "linux/amd64",
		  "base": { "image": "base.tar", "select": { "tag": "example.org/base:1" }, "inherit": ["Env", "Labels"],
		            "dedupe": "strict", "follow_base_links": true },
		  "created": "2026-01-15T00:00:00Z", "mtime": { "clamp": 1767225600 }, "owner": { "uid": 1, "gid": 2 },
		  "config": { "Hostname": "h", "Domainname": "d", "User": "u", "ExposedPorts": { "80": {} },
		              "Env": [ "A=1" ], "Cmd": [ "c" ], "Healthcheck": { "Test": [ "NONE" ] }, "Volumes": { "/v": {} },
		              "WorkingDir": "/", "Entrypoint": [ "e" ], "Labels": { "l": "1" }, "StopSignal": "SIGTERM",
		              "StopTimeout": 3, "Shell": [ "/bin/sh" ], "expand": true },
		  "annotations": { "a": "1" }, "index_annotations": { "i": "1" },
		  "sources": [
		    { "id": "app", "type": "dir", "from": "app", "to": "/", "include": ["**"], "exclude": ["*.o"],
		      "mode": "normalize", "xattrs": [], "owner": { "uid": 3 }, "layer": "first", "replace": false },
		    { "type": "closure", "graph": "graph.json", "store": "/store", "from": "store", "roots": ["/store/1-a"],
		      "ignore_missing": false },
		    { "type": "file", "path": "/bin/t", "text": "t", "mode": "0755", "volatile": true },
		    { "type": "symlink", "path": "/s", "target": "t" },
		    { "type": "mkdir", "path": "/tmp", "mode": "1777" },
		    { "type": "user", "name": "u", "uid": 5, "gid": 5, "home": "/", "shell": "/bin/sh" },
		    { "type": "group", "name": "g", "gid": 6 } ],
		  "rules": [ { "match": "/store/**", "type": "f", "mode": "0600", "owner": { "uid": 7 }, "mtime": 5, "layer": "first" } ],
		  "conflict": "first",
		  "layers": { "max": 20, "groups": [ { "name": "first", "match": ["/etc/**"], "sources": ["app"], "units": ["/store/*"],
		                                       "closure_of": ["/store/1-a"], "max": 2 } ],
		              "volatile": ["/srv/**"], "min_size": 1, "max_size": "1GiB", "pipeline": [["popularity_contest"], ["limit_layers", 5]],
		              "previous": "earlier.tar", "annotate": true },
		  "compression": { "algorithm": "gzip", "level": 6 },
		  "history": { "created_by": "tests", "author": "me", "comment": "components" } }
	EOF_J
	dray_run build spec.json --print-spec
	expect 0
	printf '%s\n' "$output" >printed.json
	same keys "$(jq -S 'paths | map(select(type == "string")) | join(".")' spec.json | sort -u | sed 's/"Env"/&/')" \
		"$(jq -S 'paths | map(select(type == "string")) | join(".")' printed.json | sort -u |
			sed 's,ExposedPorts.80/tcp,ExposedPorts.80,; /config.Env.A"/d')"
	python3 - "$PEERS_TOP/docs/build.schema.json" spec.json printed.json <<-'EOF_PY'
		import json, sys
		try:
		    import jsonschema
		except ImportError:
		    sys.exit(0)
		check = jsonschema.Draft7Validator(json.load(open(sys.argv[1])))
		for name in sys.argv[2:]:
		    check.validate(json.load(open(name)))
	EOF_PY
	dray_run build printed.json --print-spec
	same "printed again" "$output" "$(cat printed.json)"
	build spec.json -o one.tar
	build printed.json -o two.tar
	cmp one.tar two.tar
	history_fits one.tar
}

@test "flags say what keys say: the same spec, the same image" {
	mkdir app
	echo x >app/x
	build --mkdir /usr/bin --symlink /bin:usr/bin --env OLD=1 --name example.org/base:1 -o base.tar
	spec <<-'EOF_J'
		{ "dray": 1, "name": "example.org/app", "tag": "1",
		  "base": { "image": "base.tar", "select": { "index": 0 }, "inherit": ["Env"], "follow_base_links": false },
		  "config": { "Hostname": "h", "Domainname": "d", "ExposedPorts": { "80/tcp": {}, "443/tcp": null }, "StopTimeout": 3,
		              "Env": { "NEW": "${OLD} $${OLD}" }, "expand": true },
		  "annotations": { "a": "1" }, "index_annotations": { "i": "1" },
		  "sources": [ { "type": "dir", "from": "app", "to": "/srv", "exclude": ["y"] } ],
		  "rules": [ { "match": "/srv/*", "type": "f", "mode": "0600", "owner": { "uid": 7, "gid": 8 } } ],
		  "layers": { "min_size": 1024, "max_size": 1048576, "groups": [ { "name": "g", "sources": [], "match": ["/x"], "max": 2 } ],
		              "pipeline": [["popularity_contest"]], "annotate": false },
		  "compression": { "algorithm": "zstd", "level": 3 },
		  "history": { "created_by": "tests", "author": "me", "comment": "none" } }
	EOF_J
	echo '[["popularity_contest"]]' >pipeline.json
	flags=(--from base.tar --select @0 --inherit Env --no-follow-base-links --name example.org/app:1 --hostname h --domainname d
		--expose 80 --expose 443/tcp- --stop-timeout 3 --annotation a=1 --index-annotation i=1
		--source '{"type": "dir", "from": "app", "to": "/srv", "exclude": ["y"]}' --rule '/srv/*,type=f,mode=0600,owner=7:8'
		--min-size 1KiB --max-size 1MiB --layer '{"name": "g", "sources": [], "match": ["/x"], "max": 2}'
		--pipeline pipeline.json --no-annotate --compression zstd --level 3
		--history-created-by tests --history-author me --history-comment none --env 'NEW=${OLD} $${OLD}' --expand-env)
	dray_run build "${flags[@]}" --print-spec
	expect 0
	flagged=$output
	dray_run build spec.json --print-spec
	same specs "$flagged" "$output"
	build "${flags[@]}" -o oci:one
	build spec.json -o oci:two
	same index "$(jq -S . one/index.json)" "$(jq -S . two/index.json)"
}

@test "tags that flags say stand in place of the spec's, and add to each other" {
	tags() {
		dray_run build "$@" --print-spec
		expect 0 || return 1
		jq -c '[.name, .tag, .tags]' <<<"$output"
	}
	same both "$(tags --name a/b:1 --tag 2)" '["a/b",null,["1","2"]]'
	same "other order" "$(tags --tag 2 --name a/b:1)" '["a/b",null,["2","1"]]'
	for had in '"tag": "7"' '"tags": ["7", "8"]'; do
		spec <<<"{ \"dray\": 1, \"name\": \"x\", $had }"
		same "$had, --tag" "$(tags spec.json --tag 2)" '["x","2",null]'
		same "$had, --name" "$(tags spec.json --name y:3 --tag 4)" '["y",null,["3","4"]]'
		[[ $(tags spec.json --name y) == '["y",'*7* ]]
	done
	# What a place is told to call it is what it is called there.
	dray_run build spec.json --tag 9 -o oci:there:5 --json
	same "named by the place" "$(jq -c .tags <<<"$output")" '["5"]'
	dray_run build spec.json --tag 9 -o oci:here --json
	same "named by the spec" "$(jq -c .tags <<<"$output")" '["x:9"]'
	for name in app example.org/app:2 docker.io/library/app; do
		dray_run build spec.json --tag 9 -o "docker-archive:n.tar:$name" --json
		same "$name as the archive has it" "$(jq -c .tags <<<"$output")" "$(tar xOf n.tar manifest.json | jq -c '.[0].RepoTags')"
		rm n.tar
	done
	dray_run build spec.json -o docker-archive:n.tar:a//b --json
	expect 2
	[ ! -e n.tar ]
	build spec.json --tag 9 -o out.tar
	same tags "$("$DRAY" images --json out.tar | jq -c '.images[0].tags')" '["x:9"]'
}

@test "a registry without a tag gets the tags of the spec; one that is typed counts alone" {
	registry_start build plain
	tags_of() { skopeo list-tags --tls-verify=false "docker://$REGISTRY_ADDR/$1" | jq -c '.Tags | sort'; }
	spec <<<'{ "dray": 1, "name": "x/y", "tags": ["7", "8"], "index_annotations": { "a": "b" } }'
	there=docker://$REGISTRY_ADDR
	dray_run build spec.json -o "$there/a" --plain-http --json
	expect 0 "*tagged $REGISTRY_ADDR/a:7*tagged $REGISTRY_ADDR/a:8*"
	same told "$(jq -c '[.built.tagged, .tags]' <<<"$output")" \
		"[\"$REGISTRY_ADDR/a:7\",[\"$REGISTRY_ADDR/a:7\",\"$REGISTRY_ADDR/a:8\"]]"
	same tags "$(tags_of a)" '["7","8"]'
	for tag in 7 8; do
		same "digest of $tag" "$(jq -r .built.reference <<<"$output")" \
			"$REGISTRY_ADDR/a@sha256:$(skopeo inspect --raw --tls-verify=false "$there/a:$tag" | sha256sum | cut -d' ' -f1)"
	done
	# Any of them may be there already.
	build spec.json --tag 8 --tag 9 -o "$there/b:9" --plain-http
	same tags "$(tags_of b)" '["9"]'
	dray_run build spec.json --tag 8 --tag 9 -o "$there/b" --plain-http --no-clobber
	expect 2 "*$REGISTRY_ADDR/b:9 exists already*"
	same tags "$(tags_of b)" '["9"]'
	build spec.json --name z:5 -o "$there/c" --plain-http --no-clobber
	same tags "$(tags_of c)" '["5"]'
	[[ $stderr == *"tagged $REGISTRY_ADDR/c:5"* ]]
	build --name z -o "$there/d" --plain-http
	same tags "$(tags_of d)" '["latest"]'
	build --mkdir /x -o "$there/d/e" --plain-http
	same tags "$(tags_of d/e)" '["latest"]'
}

@test "several outputs: the same image in each place, at the same time" {
	mkdir app
	echo x >app/x
	dray_run build --dir app --name example.org/app:1 --created now -o one.tar -o oci:two -o three.tar
	expect 0
	same lines "$(wc -l <<<"$output")" 3
	cmp one.tar three.tar
	same id "$("$DRAY" digest --image-id two)" "$("$DRAY" digest --image-id one.tar)"
	rm one.tar
	"$DRAY" build -q --dir app --name example.org/app:1 -o one.tar -o - >piped.tar
	cmp one.tar piped.tar
	dray_run build - -o one.tar -o no.tar
	expect 2 '*standard input is for one --output*'
	dray_run build --dir app -o - -o docker-archive:-:x/y:1
	expect 2 '*standard output is for one --output*'
	dray_run build --dir app -o - -o no.tar -o -
	expect 2 '*standard output is for one --output*'
	[ ! -e no.tar ]
	dray_run build --dir app -o none/no.tar -o no.tar
	expect 9
	[ ! -e no.tar ]
}

@test "previous: what the earlier image has stays where it was, and an update moves what changed" {
	require_peer skopeo
	units 1 2 3 4 5 6
	build --dir u:/ --layers-max 3 --strategy size --name example.org/a:1 -o oci:v1
	head -c 950000 u/usr/u6/f >u/usr/u1/f
	build --dir u:/ --layers-max 3 --strategy size -o oci:shuffled
	build --dir u:/ --layers-max 3 --strategy size --previous oci:v1 -o oci:kept
	same "layers that move" "$(moved oci:v1 oci:kept)" 1
	[ "$(moved oci:v1 oci:shuffled)" -gt 1 ]
	units 1 7
	echo more >>u/usr/u3/f
	build --dir u:/ --layers-max 4 --strategy size --name example.org/a:2 -o oci:anew
	build --dir u:/ --layers-max 4 --strategy size --previous oci:v1 --name example.org/a:2 -o oci:v2
	same "the new one, and the one of what changed" "$(moved oci:v1 oci:v2)" 2
	same "the new one on top" "$(labels oci:v2:example.org/a:2 | jq -c '.[-1]')" '"/usr/u7/f"'
	same "files" "$(names oci:v2)" "$(names oci:anew)"
	# nothing changed: the same layers, and the plan of a plan is the plan
	build --dir u:/ --layers-max 4 --strategy size --previous oci:v2 --name example.org/a:3 -o oci:v3
	same again "$(layers oci:v3)" "$(layers oci:v2)"
	# fewer layers than before: neighbours join, all files are there
	build --dir u:/ --layers-max 2 --strategy size --previous oci:v2 -o oci:v4
	same "at most two" "$(layers oci:v4 | wc -l)" 2
	same "all files" "$(names oci:v4)" "$(names oci:v2)"
}

@test "previous: as a spec says it, from archives, registries, Docker's manifests, and beside groups and what is volatile" {
	require_peer skopeo
	units 1 2 3 4
	spec <<-'EOF_J'
		{ "dray": 1, "name": "example.org/a", "tag": "1",
		  "sources": [ { "type": "dir", "from": "u" }, { "type": "file", "path": "/app", "text": "${V}", "volatile": true } ],
		  "layers": { "max": 4, "strategy": "size", "groups": [ { "name": "one", "match": ["/usr/u1/**"] } ] } }
	EOF_J
	jq '.layers.previous = "docker-archive:old/v1.tar"' spec.json >next.json
	mkdir old
	build spec.json --define V=1 -o old/v1.tar
	same "a group, two of the rest, the app" "$(layers old/v1.tar | wc -l)" 4
	echo more >>u/usr/u2/f
	build next.json --define V=2 -o v2.tar
	same "moved: one of the rest, and the app" "$(moved old/v1.tar v2.tar)" 2
	registry_start build plain
	skopeo copy -q --dest-tls-verify=false --format v2s2 docker-archive:old/v1.tar "docker://$REGISTRY_ADDR/old/app:1"
	absent "annotations there" "$(remote_manifest "$REGISTRY_ADDR" old/app 1 | jq -r '.layers[].annotations // empty')"
	build spec.json --define V=2 --previous "docker://$REGISTRY_ADDR/old/app:1" --plain-http -o v2r.tar
	same "by the comments of its history" "$(layers v2r.tar)" "$(layers v2.tar)"
	build spec.json --define V=1 --plain-http -o "docker://$REGISTRY_ADDR/app:1"
	build spec.json --define V=2 --previous "docker://$REGISTRY_ADDR/app:1" --plain-http -o v2a.tar
	same "by annotations" "$(layers v2a.tar)" "$(layers v2.tar)"
	# What it has is not sent to another tag, also where nobody remembers that it was.
	rm -rf "$XDG_CACHE_HOME"
	dray_run build spec.json --define V=2 --previous "docker://$REGISTRY_ADDR/app:1" --plain-http --json -o "docker://$REGISTRY_ADDR/app:2"
	expect 0
	same "sent, there" "$(jq -c '[.built.blobs_sent, .built.blobs_skipped]' <<<"$output")" "[1,3]"
}

@test "previous: of an image on a base its own layers count, also when the base is another one now" {
	units 1 2 3
	mkdir -p one/usr/u1 two/usr/u1
	echo one >one/usr/u1/base
	echo two >two/usr/u1/base
	build --dir one:/ --name example.org/base:1 -o b1.tar
	build --dir two:/ --mkdir /new --name example.org/base:2 -o b2.tar
	build --from b1.tar --dir u:/ --layers-max 3 --strategy size -o oci:v1
	build --from b2.tar --dir u:/ --layers-max 3 --strategy size --previous oci:v1 -o oci:v2
	same "only the base moves" "$(moved oci:v1 oci:v2)" 1
	same "the base keeps its own" "$(labels oci:v2 | jq -c '.[0]')" '"/usr/u1,/"'
	same "how many are of the base" "$(skopeo inspect --raw oci:v2 | jq -r '.annotations["io.dray.base.layers"]')" 1
}

@test "previous: names with commas, blanks, line ends and bytes that are no text" {
	for n in 'a,b' 'c d' $'e\nf' $'g\xff' 'h%2C' 'i and 3 more'; do
		mkdir -p "u/opt/$n"
		echo "$n" >"u/opt/$n/f"
	done
	build --dir u:/ --min-size 0 --layers-max 3 --strategy size -o oci:v1
	same "names" "$(labels oci:v1 | jq -r '.[]' | tr , '\n' | LC_ALL=C sort)" \
		"$(printf '%s\n' '/opt/a%2Cb' '/opt/c d' '/opt/e%0Af' '/opt/g%FF' '/opt/h%252C' '/opt/i and 3 more' | LC_ALL=C sort)"
	printf 'changed a good deal' >"u/opt/g"$'\xff'/f
	head -c 5000 /dev/urandom >"u/opt/a,b/f"
	build --dir u:/ --min-size 0 --layers-max 3 --strategy size --previous oci:v1 -o oci:v2
	same "plan" "$(labels oci:v2)" "$(labels oci:v1)"
}

@test "previous: in comments of a history a percent sign is itself" {
	for n in 'a%41' aA b c; do
		mkdir -p "u/opt/$n"
		head -c $((1000 + ${#n})) /dev/urandom >"u/opt/$n/f"
	done
	build --dir u:/ --min-size 0 --layers-max 2 --strategy size --no-annotate -o v1.tar
	head -c 500000 /dev/urandom >u/opt/aA/f
	build --dir u:/ --min-size 0 --layers-max 2 --strategy size --no-annotate --previous v1.tar -o v2.tar
	held() { for i in 0 1; do layer_tar "$1" $i | tar t | grep f$ | tr '\n' ' '; done; }
	same "plan" "$(held v2.tar)" "$(held v1.tar)"
}

@test "previous: annotations that are no text say nothing" {
	units 1 2
	build --dir u:/ --layers-max 2 --strategy size --no-annotate --history-comment none -o dir:odd
	jq -c '.annotations["io.dray.base.layers"] = 7 | .layers[].annotations["io.dray.components"] = ["x"]' odd/manifest.json >m
	mv m odd/manifest.json
	dray_run build --dir u:/ --previous dir:odd -o out.tar
	expect 0 '*does not say what its layers hold*'
}

@test "previous: one that is not there, and one that says nothing" {
	units 1
	dray_run build --dir u:/ --previous oci:nowhere -o no.tar
	expect 3 '*layers.previous*nowhere*'
	[ ! -e no.tar ]
	build --dir u:/ --no-annotate --history-comment none -o oci:mute
	absent "annotations" "$(labels oci:mute | jq -r '.[] // empty')"
	dray_run build --dir u:/ --previous oci:mute -o out.tar
	expect 0 '*does not say what its layers hold*'
	build --dir u:/ -o plain.tar
	same "made anew" "$(layers out.tar)" "$(layers plain.tar)"
	spec <<<'{ "dray": 1, "layers": { "previous": "" } }'
	dray_run build spec.json -o no.tar
	expect 2 '*"previous"*'
}

@test "previous: a closure's paths are known by what stays of their names" {
	mkdir -p store
	write_store() { # HASH-PREFIX VERSION
		rm -rf store graph.json
		mkdir -p "store/${1}a-app-$2" "store/${1}b-lib-$2" "store/ccc-data-1"
		head -c 300000 /dev/zero | tr '\0' "$1" >"store/${1}a-app-$2/f"
		head -c 400000 /dev/zero | tr '\0' "$1" >"store/${1}b-lib-$2/f"
		head -c 500000 /dev/zero >"store/ccc-data-1/f"
		jq -n --arg a "/store/${1}a-app-$2" --arg b "/store/${1}b-lib-$2" \
			'[{path: $a, narSize: 300000, references: [$b, "/store/ccc-data-1"]},
			  {path: $b, narSize: 400000, references: []},
			  {path: "/store/ccc-data-1", narSize: 500000, references: []}]' >graph.json
	}
	spec <<<'{ "dray": 1, "sources": [ { "type": "closure", "graph": "graph.json", "store": "/store", "from": "store" } ],
	           "layers": { "strategy": "graph", "min_size": 0 } }'
	write_store x 1.0
	build spec.json -o oci:v1
	same components "$(labels oci:v1 | jq -r '.[]' | tr , '\n' | sort | tr '\n' ' ')" "app data lib "
	write_store y 2.0
	build spec.json --previous oci:v1 -o oci:v2
	same plan "$(labels oci:v2)" "$(labels oci:v1)"
	same "moved: what changed" "$(moved oci:v1 oci:v2)" 2
}

@test "--plan --against: what an update would move, in text and JSON, and what it then does move" {
	units 1 2 3
	build --from scratch --mkdir /below -o base.tar
	build --from base.tar --dir u:/ --strategy size --layers-max 4 -o oci:v1
	echo more >>u/usr/u2/f
	dray_run build --from base.tar --dir u:/ --strategy size --layers-max 4 --plan --against oci:v1 --json
	expect 0
	printf '%s' "$output" >plan.json
	build --from base.tar --dir u:/ --strategy size --layers-max 4 -o v2.tar
	same "DiffIDs of the plan" "$(jq -r '.layers[].diff_id' plan.json)" "$(layers v2.tar)"
	moved=0
	for d in $(comm -13 <(layers oci:v1 | sort) <(layers v2.tar | sort)); do
		moved=$((moved + $(tar xOf v2.tar "blobs/sha256/${d#sha256:}" | wc -c)))
	done
	[ "$moved" -gt 400000 ]
	same bytes "$(jq -c .update plan.json)" "{\"from\":\"oci:v1\",\"layers\":1,\"bytes\":$moved}"
	same "what is there" "$(jq -c '[.layers[].there]' plan.json)" "$(jq -c '[.layers[].diff_id]' plan.json |
		jq -c --argjson old "$(layers oci:v1 | jq -R . | jq -sc .)" 'map(. as $d | $old | index($d) != null)')"
	dray_run build --from base.tar --dir u:/ --strategy size --layers-max 4 --plan --against oci:v1
	expect 0
	[[ $output == *"MOVES"*"An update from oci:v1 moves 1 of 4 layers, "*" ($moved bytes) before compression."* ]]
	# against itself nothing, against another image with its base all but that
	dray_run build --from base.tar --dir u:/ --strategy size --layers-max 4 --plan --against v2.tar --json
	same itself "$(jq -c .update <<<"$output")" '{"from":"v2.tar","layers":0,"bytes":0}'
	dray_run build --from base.tar --dir u:/ --strategy size --layers-max 4 --plan --against base.tar --json
	same "the base is there" "$(jq -c '[.layers[0].kept, .layers[0].there, .update.layers]' <<<"$output")" '[true,true,3]'
	# the base that is not there counts with its tar
	build --file /x=y -o other.tar
	dray_run build --from base.tar --mkdir /b --plan --against other.tar --json
	same "the base's bytes" "$(jq '.update.bytes' <<<"$output")" "$(jq '[.layers[].size] | add' <<<"$output")"
	same "which are" "$(jq '.layers[0].size' <<<"$output")" "$(layer_tar base.tar 0 | wc -c)"
	dray_run build --dir u:/ --against v2.tar -o no.tar
	expect 2 '*--plan*'
	[ ! -e no.tar ]
	dray_run build --dir u:/ --plan --against oci:nowhere
	expect 3 '*against*nowhere*'
}

@test "pipeline: nixpkgs' lists deal out a closure; what is removed is nowhere" {
	mkdir -p store/1-app/bin store/2-python/lib store/3-glibc store/4-numpy
	program store/1-app/bin/app piped
	for i in 2-python/lib/p 3-glibc/g 4-numpy/n; do echo "$i" >"store/$i"; done
	cat >graph.json <<-'EOF_J'
		[{"path": "/store/1-app", "narSize": 50, "references": ["/store/2-python", "/store/4-numpy", "/store/3-glibc"]},
		 {"path": "/store/2-python", "narSize": 40, "references": ["/store/3-glibc"]},
		 {"path": "/store/3-glibc", "narSize": 30, "references": []},
		 {"path": "/store/4-numpy", "narSize": 20, "references": ["/store/2-python"]}]
	EOF_J
	spec <<-'EOF_J'
		{ "dray": 1, "name": "example.org/piped", "tag": "1", "config": { "Entrypoint": ["/store/1-app/bin/app"] },
		  "sources": [ { "type": "closure", "graph": "graph.json", "store": "/store", "from": "store" } ],
		  "layers": { "pipeline": [ ["subcomponent_out", ["/store/2-python"]], ["over", "main", ["pipe", [
		    ["popularity_contest"], ["limit_layers", 2] ]]], ["flatten"] ] } }
	EOF_J
	build spec.json -o out.tar
	held() { for i in $(seq 0 $(($(layers "$1" | wc -l) - 1))); do layer_tar "$1" "$i" | tar t | cut -d/ -f2 | sort -u | sed '/^$/d' | tr '\n' ' '; done; }
	same "glibc is the most popular of python's, the rest on top" "$(held out.tar)" "3-glibc 2-python 1-app 4-numpy "
	runs out.tar example.org/piped:1 piped
	dray_run build spec.json --pipeline '[["remove_paths", ["/store/4-numpy"]]]' -o less.tar
	expect 0
	same "removed" "$(names less.tar | cut -d/ -f2 | sort -u | tr '\n' ' ')" "1-app 2-python 3-glibc store "
	build spec.json --previous out.tar --pipeline '[["remove_paths", ["/store/4-numpy"]]]' -o kept.tar
	same "removed, whatever an earlier image has" "$(names kept.tar)" "$(names less.tar)"
	dray_run build spec.json --previous out.tar --pipeline '[["popularity_contest"], ["limit_layer", 2]]' -o no.tar
	expect 2 '*layers.pipeline*limit_layer*did you mean "limit_layers"*'
	dray_run build spec.json --pipeline '[["popularity_contest"]]' --layers-max 3 -o no.tar
	expect 6 '*layers.pipeline*4 layers, but 3*'
	dray_run build spec.json --pipeline nowhere.json -o no.tar
	expect 3 '*--pipeline*nowhere.json*'
	dray_run build spec.json --strategy size -o no.tar
	expect 2 '*"strategy" and "pipeline"*'
	[ ! -e no.tar ]
}

@test "min_size and max_size hold with every strategy" {
	units 1 2 3 4 5 6
	for s in auto graph popularity origin size single per-source explicit; do
		build --dir u:/ --strategy "$s" --layers-max 20 --max-size 900000 -o "$s.tar"
		dray_run build --dir u:/ --strategy "$s" --layers-max 20 --max-size 900000 --plan --json
		absent "$s: too big" "$(jq -c '.layers[] | select((.parts | length) > 1 and .size > 905000)' <<<"$output")"
		same "$s: files" "$(names "$s.tar")" "$(names auto.tar)"
		dray_run build --dir u:/ --strategy "$s" --layers-max 20 --min-size 500000 --plan --json
		absent "$s: too small" "$(jq -c 'select((.layers | length) > 1) | .layers[] | select(.size < 500000)' <<<"$output")"
	done
	dray_run build --dir u:/ --volatile '/usr/**' --layers-max 20 --max-size 900000 --plan --json
	absent "volatile: too big" "$(jq -c '.layers[] | select((.parts | length) > 1 and .size > 905000)' <<<"$output")"
	dray_run build --dir u:/ --pipeline '[]' --layers-max 20 --max-size 900000 --plan --json
	absent "pipeline: too big" "$(jq -c '.layers[] | select((.parts | length) > 1 and .size > 905000)' <<<"$output")"
	dray_run build --dir u:/ --layers-max 2 --max-size 900000 -o no.tar
	expect 6 '*layers of at most 900000 bytes (layers.max_size)*but 2*'
	dray_run build --dir u:/ --min-size 2 --max-size 1 -o no.tar
	expect 2 '*"min_size" is more than "max_size": 2, 1*'
	[ ! -e no.tar ]
}

@test "annotations: of OCI manifests alone; Docker's are refused, whoever asked for them" {
	local spec='{ "dray": 1, "annotations": { "a": "b" } }'
	dray_run build --mkdir /a --annotation a=b --format docker -o no.tar
	expect 8 '*annotations of a manifest need the OCI format*'
	echo "$spec" >spec.json
	dray_run build spec.json --format docker -o "oci:$T/no"
	expect 8 '*annotations of a manifest need the OCI format*'
	[ ! -e no.tar ] && [ ! -e no ]
	# One that is taken away again is none.
	build spec.json --annotation a- --format docker -o out.tar
	build spec.json --format oci -o "oci:$T/out"
	same annotations "$("$DRAY" inspect --raw "oci:$T/out" | jq -c .annotations.a)" '"b"'
}

@test "index_annotations: the image comes in an index that says so, with its tag; engines take it" {
	require_docker
	require_peer podman skopeo
	program app/bin/hello indexed
	flags=(--dir app:/ --entrypoint /bin/hello --name example.org/i:1 --annotation m=1 --index-annotation 'i=one' --index-annotation j=two)
	build "${flags[@]}" -o oci:out
	root=$(jq -r '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == "example.org/i:1").digest' out/index.json)
	same "the digest that was told" "$DIGEST" "$root"
	jq -e '.annotations == {i: "one", j: "two"} and .mediaType == "application/vnd.oci.image.index.v1+json" and
		(.manifests | length) == 1 and .manifests[0].platform.os == "linux"' "out/blobs/sha256/${root#sha256:}"
	manifest=$(jq -r '.manifests[0].digest' "out/blobs/sha256/${root#sha256:}")
	jq -e '.annotations.m == "1"' "out/blobs/sha256/${manifest#sha256:}"
	build "${flags[@]}" -o out.tar
	runs out.tar example.org/i:1 indexed
	dray_run verify out.tar
	expect 0
	registry_start build plain
	build "${flags[@]}" --plain-http -o "docker://$REGISTRY_ADDR/i:1"
	same "the same index" "$DIGEST" "$root"
	same "podman runs it" "$(podman_run --tls-verify=false "$REGISTRY_ADDR/i:1")" indexed
	dray_run build "${flags[@]}" --format docker -o no.tar
	expect 8 '*OCI*'
	dray_run build "${flags[@]}" -o dir:no
	expect 8 '*index*'
	[ ! -e no.tar ] && [ ! -e no ]
	# without any there is none
	build --dir app:/ --name example.org/i:1 -o oci:plain
	same "a manifest" "$(jq -r '.manifests[0].mediaType' plain/index.json)" application/vnd.oci.image.manifest.v1+json
}

@test "history: who made it, what each layer holds, or nothing of that; item 56" {
	require_docker
	units 1 2
	build --dir u:/ --strategy size --history-created-by 'make image' --history-author me --name example.org/h:1 -o out.tar
	history_fits out.tar
	same steps "$("$DRAY" inspect --config out.tar | jq -c '[.history[] | [.created_by, .author, .comment]] | sort')" \
		'[["make image","me","/usr/u1"],["make image","me","/usr/u2"]]'
	same author "$("$DRAY" inspect --config out.tar | jq -r .author)" me
	docker load --quiet -i out.tar
	same "docker's history" "$(docker history --no-trunc --format '{{.CreatedBy}}' example.org/h:1 | sort -u)" "make image"
	docker rmi example.org/h:1
	build --dir u:/ --strategy size --history-comment none -o none.tar
	history_fits none.tar
	same comments "$("$DRAY" inspect --config none.tar | jq -c '[.history[].comment] | unique')" '[null]'
	build --dir u:/ --strategy size --history-comment components -o said.tar
	build --dir u:/ --strategy size -o unsaid.tar
	same "the default" "$("$DRAY" inspect --config said.tar)" "$("$DRAY" inspect --config unsaid.tar)"
	dray_run build --dir u:/ --history-comment all -o no.tar
	expect 2 '*components|none*'
}

@test "base: one of several images by tag, digest and place; fields of its config; its links" {
	program one/bin/x one
	build --file /which=one --env A=1 --label l=1 --cmd c --name example.org/m:1 -o many.tar
	"$DRAY" build --file /which=two --mkdir /usr/bin --symlink /bin:usr/bin --env A=2 --name example.org/m:2 -o two.tar 2>/dev/null
	"$DRAY" copy two.tar many.tar --append 2>/dev/null >/dev/null
	id=$("$DRAY" inspect --json two.tar | jq -r '.images[0].image_id')
	dray_run build --from many.tar --mkdir /new -o no.tar
	expect 2 '*many.tar*example.org/m:1*'
	[ ! -e no.tar ]
	for s in example.org/m:2 "$id" @1; do
		build --from many.tar --select "$s" --mkdir /new -o out.tar
		same "$s" "$("$DRAY" cat out.tar /which)" two
	done
	build --from many.tar --select example.org/m:1 --inherit Env,Labels --mkdir /new -o out.tar
	same inherited "$(config out.tar)" '{"Env":["A=1"],"Labels":{"l":"1"}}'
	build --from many.tar --select example.org/m:1 --inherit none --mkdir /new -o out.tar
	same none "$(config out.tar)" '{}'
	spec <<<'{ "dray": 1, "base": { "image": "many.tar", "select": { "tag": "example.org/m:1", "index": 1 } } }'
	dray_run build spec.json -o no.tar
	expect 2 '*"select"*one of*'
	# item 52, and without it
	build --from two.tar --dir one:/ -o followed.tar
	"$DRAY" export followed.tar 2>/dev/null | tar t | grep -x usr/bin/x
	dray_run build --from two.tar --no-follow-base-links --dir one:/ -o no.tar
	expect 2 '*replace*'
	spec <<<'{ "dray": 1, "base": { "image": "two.tar", "follow_base_links": false },
	           "sources": [ { "type": "dir", "from": "one", "replace": true } ] }'
	build spec.json -o replaced.tar
	"$DRAY" export replaced.tar 2>/dev/null | tar t | grep -x bin/x
}

@test "item 25: ports as Docker writes them; volumes and the working directory are absolute" {
	require_docker
	build --expose 80 --expose 53/udp --expose 8000-8002 --volume /data --label a=b --workdir /srv --name example.org/p:1 -o out.tar
	same ports "$(config out.tar | jq -c '.ExposedPorts | keys')" '["53/udp","80/tcp","8000/tcp","8001/tcp","8002/tcp"]'
	docker load --quiet -i out.tar
	same "docker's" "$(docker image inspect --format '{{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{.Config.WorkingDir}}' example.org/p:1)" \
		'{"53/udp":{},"80/tcp":{},"8000/tcp":{},"8001/tcp":{},"8002/tcp":{}} {"/data":{}} /srv'
	printf 'FROM example.org/p:1\nEXPOSE 80 81 8003-8004/udp\n' >Dockerfile
	docker build -q -t example.org/p:docker -f Dockerfile . >/dev/null
	build --from out.tar --expose 80 --expose 81 --expose 8003-8004/udp -o ours.tar
	same "as a Dockerfile" "$(config ours.tar | jq -cS .ExposedPorts)" \
		"$(docker image inspect --format '{{json .Config.ExposedPorts}}' example.org/p:docker | jq -cS .)"
	docker rmi example.org/p:docker example.org/p:1
	build --from ours.tar --expose 80- --expose 53/udp- --expose 8000-8004- -o less.tar
	same "taken away" "$(config less.tar | jq -c '.ExposedPorts | keys')" '["81/tcp"]'
	spec <<<'{ "dray": 1, "base": { "image": "out.tar" }, "config": { "ExposedPorts": { "53": null, "90": {} } } }'
	build spec.json -o spec.tar
	same "of any protocol" "$(config spec.tar | jq -c '.ExposedPorts | keys')" '["80/tcp","8000/tcp","8001/tcp","8002/tcp","90/tcp"]'
	for bad in '--expose 0' '--expose 65536' '--expose 80/tpc' '--expose 9-8' '--expose http' '--volume data' '--workdir srv' \
		'--stop-timeout soon' '--label =x'; do
		# shellcheck disable=SC2086
		dray_run build $bad -o no.tar
		expect 2 "*${bad%% *}: expected*"
	done
	[ ! -e no.tar ]
}

@test "item 35, 36, 40: rules as flags; the later one wins, quoting is nobody's business" {
	mkdir -p app/home/alice app/tmp
	echo x >app/home/alice/f
	echo 'echo "(a)" '"'b'"' $c' >app/one
	build --dir app:/ --rule '/home/alice/**,owner=1000:1000' --rule '/home/alice,owner=1000:1000,mode=0700' \
		--rule '/one,owner=12345:12345' --rule '/one,mode=4755' --rule '/tmp,mode=1777' \
		--rule '{"match": "/nothing,delete", "mode": "0700"}' -o out.tar
	"$DRAY" export out.tar 2>/dev/null | tar tv --numeric-owner >list
	same alice "$(awk '$6 ~ "^home/alice" {print $1, $2}' list | tr '\n' ';')" 'drwx------ 1000/1000;-rw-r--r-- 1000/1000;'
	same one "$(awk '$6 == "one" {print $1, $2}' list)" '-rwsr-xr-x 12345/12345'
	same tmp "$(awk '$6 == "tmp/" {print $1}' list)" drwxrwxrwt
	build --dir app:/ --rule '/home/**,delete' -o less.tar
	same deleted "$(names less.tar | tr '\n' ' ')" 'home one tmp '
	dray_run build --dir app:/ --rule '/one,mod=4755' -o no.tar
	expect 2 '*--rule*'
	dray_run build --dir app:/ --rule '{"match": "/one", "moed": "4755"}' -o no.tar
	expect 2 '*--rule*unknown key "moed"*did you mean "mode"*'
}

@test "compression: the spec's, and what a flag says instead" {
	units 1
	spec <<<'{ "dray": 1, "sources": [ { "type": "dir", "from": "u" } ], "compression": { "algorithm": "zstd", "level": 3 } }'
	types() { jq -r '.manifests[0].digest' "$1/index.json" | sed 's/sha256://' | xargs -I% jq -r '.layers[].mediaType' "$1/blobs/sha256/%"; }
	build spec.json -o oci:zstd
	same zstd "$(types zstd)" application/vnd.oci.image.layer.v1.tar+zstd
	build spec.json --compression gzip --level 9 -o oci:gzip
	same gzip "$(types gzip)" application/vnd.oci.image.layer.v1.tar+gzip
	same DiffIDs "$(layers oci:gzip)" "$(layers oci:zstd)"
	dray_run build spec.json --compression gzip --level 9 --print-spec
	same printed "$(jq -c .compression <<<"$output")" '{"algorithm":"gzip","level":9}'
	spec <<<'{ "dray": 1, "compression": { "algorithm": "bzip2" } }'
	dray_run build spec.json -o no.tar
	expect 2 '*spec.json:1:44: *gzip|gzip-single|zstd|none*'
	spec <<<'{ "dray": 1, "compression": { "level": 23 } }'
	dray_run build spec.json -o no.tar
	expect 2 '*"level" is from 1 to 22*'
}

@test "expand: \${NAME} in values of Env is what base and earlier entries say; printed as it was given" {
	build --env PATH=/usr/bin --env OLD=1 --mkdir /x --name example.org/base:1 -o base.tar
	spec <<-'EOF_J'
		{ "dray": 1, "base": { "image": "base.tar" }, "annotations": { "a": "${REV}" },
		  "config": { "expand": true,
		              "Env": { "PATH": "/opt/bin:${PATH}", "NEW": "${PATH}|$OLD|$${OLD}|${REV}", "OLD": null } } }
	EOF_J
	build spec.json --define 'REV=${PATH}' -o one.tar
	same env "$(config one.tar)" '{"Env":["PATH=/opt/bin:/usr/bin","NEW=/opt/bin:/usr/bin|$OLD|${OLD}|${PATH}"]}'
	"$DRAY" build spec.json --define 'REV=${PATH}' --print-spec >printed.json
	same kept "$(jq -r '.config | .expand, .Env.PATH' printed.json)" $'true\n/opt/bin:${PATH}'
	build printed.json -o two.tar
	cmp one.tar two.tar
	sed -i 's/"expand": true,//' spec.json
	dray_run build spec.json --define 'REV=${PATH}' -o no.tar
	expect 2 '*spec.json:3:42: ${PATH} is not defined*'
	build spec.json --define 'REV=${PATH}' --expand-env -o two.tar
	cmp one.tar two.tar
	build --env 'A=${PATH}' --from base.tar -o two.tar
	same "as it is" "$(config two.tar | jq -r '.Env[2]')" 'A=${PATH}'
	# a flag uses what flags before it say; what is printed is in that order too
	printf '{ "dray": 1, "config": { "expand": true, "Env": { "PATH": "/bin", "Z": "1" } } }' >spec.json
	build spec.json --env TOOLS=/t --env 'PATH=${TOOLS}:/bin' -o one.tar
	same order "$(config one.tar | jq -c .Env)" '["Z=1","TOOLS=/t","PATH=/t:/bin"]'
	"$DRAY" build spec.json --env TOOLS=/t --env 'PATH=${TOOLS}:/bin' --print-spec >printed.json
	build printed.json -o two.tar
	cmp one.tar two.tar
	dray_run build --expand-env --env Q=1 --env 'A=${Q}' --env Q=2 -o no.tar
	expect 2 '*Env "A": ${Q} has no value here*'
	printf '{ "dray": 1, "config": { "expand": true,\n "Env": [ "A=1",\n  "B=${NO}" ] } }' >spec.json
	for what in --plan "-o no.tar"; do
		# shellcheck disable=SC2086
		dray_run build spec.json $what
		expect 2 '*spec.json:3:3: Env "B": ${NO} has no value here*'
	done
	[ ! -e no.tar ]
}

@test "errors of these keys tell line and column, and what was meant" {
	wrong() { # TEXT PATTERN
		printf '%s' "$1" >spec.json
		dray_run build spec.json -o no.tar
		expect 2 "$2" && [ ! -e no.tar ]
	}
	wrong '{ "dray": 1,
  "layers": { "pipline": [] } }' '*spec.json:2:16: unknown key "pipline"*did you mean "pipeline"?*'
	wrong '{ "dray": 1, "layers": { "pipeline": [ "flatten" ] } }' '*spec.json:1:40: "pipeline": expected array, found string*'
	wrong '{ "dray": 1, "layers": { "max_size": "1GB" } }' '*spec.json:1:38: "max_size": expected bytes*'
	wrong '{ "dray": 1, "index_anotations": {} }' '*spec.json:1:15: unknown key*did you mean "index_annotations"?*'
	wrong '{ "dray": 1, "history": { "comment": "x" } }' '*spec.json:1:38: "comment": expected components|none*'
	wrong '{ "dray": 1, "config": { "ExposedPorts": { "80/tpc": {} } } }' '*spec.json:1:45: "ExposedPorts"*'
	wrong '{ "dray": 1, "config": { "Volumes": { "data": {} } } }' '*spec.json:1:40: "Volumes": expected an absolute path*'
	wrong '{ "dray": 1, "base": { "image": "x", "follow_base_link": false } }' '*spec.json:1:39: unknown key*did you mean "follow_base_links"?*'
	printf '{ "dray": 1, "config": { "ExposedPorts": { "80": {} }, "Volumes": { "/data": {} } }, "layers": { "max_size": "1GiB" } }' >spec.json
	build spec.json -o out.tar
}
