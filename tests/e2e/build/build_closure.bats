#!/usr/bin/env bats
# build: closures. A store is any folder of units; ours lies in the test's folder and stands for /store in the image.

load build

setup() {
	build_setup
	store
}
teardown() { peers_teardown; }

spec() { cat >"$T/spec.json"; }

# has TEXT: the error says it.
has() {
	grep -qF -- "$1" <<<"$stderr" || {
		echo "'$1' is not in: $stderr"
		return 1
	}
}

# Four units: an app that needs a library and data, the library needs base; a unit that is a link,
# one that is a file; one that nobody asks for.
store() {
	mkdir -p store/1-app-1.0/bin store/2-lib-2.1/lib store/3-base-3 store/9-other-1
	program store/1-app-1.0/bin/app hello
	printf '#!nothing\n' >store/2-lib-2.1/lib/x.so
	ln -s ../../3-base-3/data store/2-lib-2.1/lib/data
	ln -s /store/nowhere store/2-lib-2.1/dangling
	echo base >store/3-base-3/data
	ln -s 3-base-3 store/4-link
	echo file >store/5-file
	echo other >store/9-other-1/f
	chmod 0555 store/3-base-3
	cat >graph.json <<-'EOF_J'
		{"x": 1, "graph": [
		 {"path": "/store/1-app-1.0", "narSize": 5, "references": ["/store/2-lib-2.1", "/store/1-app-1.0"]},
		 {"path": "/store/2-lib-2.1", "narSize": 4, "references": ["/store/3-base-3", "/store/4-link"]},
		 {"path": "/store/3-base-3", "narSize": 3, "references": []},
		 {"path": "/store/4-link", "narSize": 2, "references": ["/store/3-base-3"]},
		 {"path": "/store/5-file", "narSize": 1, "references": []}
		]}
	EOF_J
}

# closure MORE LAYERS: a spec with the closure, more keys of it, and keys of layers.
closure() {
	spec <<-EOF_J
		{"dray": 1, "name": "example.org/closure", "tag": "1",
		 "config": {"Entrypoint": ["/store/1-app-1.0/bin/app"]},
		 "sources": [{"type": "closure", "graph": "graph.json", "store": "/store", "from": "store"$1}],
		 "layers": {$2}}
	EOF_J
}

wanted() {
	printf '%s\n' store store/1-app-1.0 store/1-app-1.0/bin store/1-app-1.0/bin/app store/2-lib-2.1 \
		store/2-lib-2.1/dangling store/2-lib-2.1/lib store/2-lib-2.1/lib/data store/2-lib-2.1/lib/x.so \
		store/3-base-3 store/3-base-3/data store/4-link store/5-file
}

@test "item 5-7, 9, 38: exactly the units of the closure, as they are; both engines run it" {
	closure "" '"min_size": 0'
	build spec.json -o out.tar
	same names "$(names out.tar)" "$(wanted)"
	"$DRAY" export out.tar 2>/dev/null >tree.tar
	same link "$(tar tvf tree.tar store/4-link | sed 's/.* store/store/')" "store/4-link -> 3-base-3"
	same dangling "$(tar tvf tree.tar store/2-lib-2.1/dangling | sed 's/.* -> //')" /store/nowhere
	same mode "$(tar tvf tree.tar store/3-base-3/ | head -n 1 | cut -c1-10)" dr-xr-xr-x
	same "store's mode" "$(tar tvf tree.tar store/ | head -n 1 | cut -c1-10)" drwxr-xr-x
	same owners "$(tar tvf tree.tar --numeric-owner | awk '{print $2}' | sort -u)" 0/0
	history_fits out.tar
	runs out.tar example.org/closure:1 hello
}

@test "every form of the same closure makes the same image" {
	closure "" '"min_size": 0'
	build spec.json -o out.tar
	want=$(sha256sum <out.tar)
	cp graph.json attrs.json
	jq .graph attrs.json >graph.json
	same array "$("$DRAY" build spec.json -o - 2>/dev/null | sha256sum)" "$want"
	jq '.graph | reverse' attrs.json >graph.json
	same reversed "$("$DRAY" build spec.json -o - 2>/dev/null | sha256sum)" "$want"
	jq '[.graph[] | {(.path): del(.path)}] | add' attrs.json >graph.json
	same "by path" "$("$DRAY" build spec.json -o - 2>/dev/null | sha256sum)" "$want"
	jq '{version: 2, storeDir: "/store", info: ([.graph[] | {(.path | ltrimstr("/store/")):
		{narSize, references: [.references[] | ltrimstr("/store/")]}}] | add)}' attrs.json >graph.json
	same info "$("$DRAY" build spec.json -o - 2>/dev/null | sha256sum)" "$want"
	jq -r '.graph[] | .path, "sha256:x", .narSize, "", (.references | length), .references[]' attrs.json >graph.json
	same registration "$("$DRAY" build spec.json -o - 2>/dev/null | sha256sum)" "$want"
}

@test "item 16: each unit in one layer, whatever the strategy" {
	for s in auto graph popularity origin size single per-source; do
		for max in 1 2 4 5 64; do
			closure "" "\"strategy\": \"$s\", \"max\": $max, \"min_size\": 0"
			build spec.json -o "$s-$max.tar"
			same "$s, $max" "$(names "$s-$max.tar")" "$(wanted)"
			n=$(layers "$s-$max.tar" | wc -l)
			[ "$n" -le "$max" ]
			units=$(for i in $(seq 0 $((n - 1))); do
				layer_tar "$s-$max.tar" "$i" | tar t | cut -d/ -f2 | sort -u | sed '/^$/d'
			done | sort)
			same "$s, $max: units" "$units" "$(printf '%s\n' 1-app-1.0 2-lib-2.1 3-base-3 4-link 5-file)"
		done
	done
}

@test "the app that changes has a layer of its own, on top" {
	closure "" '"min_size": 0'
	build spec.json -o one.tar
	program store/1-app-1.0/bin/app changed
	build spec.json -o two.tar
	same changed "$(comm -13 <(layers one.tar | sort) <(layers two.tar | sort) | wc -l)" 1
	same top "$(layer_tar two.tar $(($(layers two.tar | wc -l) - 1)) | tar t | cut -d/ -f2 | sort -u | sed '/^$/d' | tr '\n' ' ')" \
		"1-app-1.0 5-file "
}

@test "groups of units: by name, and by what they need" {
	closure ', "id": "c"' '"strategy": "single", "groups": [
		{"name": "lib", "closure_of": ["/store/*-lib-*"], "max": 2}, {"name": "f", "units": ["store/*-file"]}]'
	build spec.json -o out.tar
	same layers "$(layers out.tar | wc -l)" 4
	same lib "$(for i in 0 1; do layer_tar out.tar $i | tar t | cut -d/ -f2; done | sort -u | sed '/^$/d' | tr '\n' ' ')" \
		"2-lib-2.1 3-base-3 4-link "
	same f "$(layer_tar out.tar 2 | tar t | tail -n 1)" store/5-file
	closure "" '"strategy": "single", "max": 1, "groups": [{"name": "f", "units": ["store/*-file"]}]'
	dray_run build spec.json -o none.tar
	expect 6
	has "need 2 layers, but 1"
	[ ! -e none.tar ]
}

@test "roots leave out what they do not need" {
	closure ', "roots": ["/store/4-link"]' '"min_size": 0'
	build spec.json -o out.tar
	same names "$(names out.tar | tr '\n' ' ')" "store store/3-base-3 store/3-base-3/data store/4-link "
}

@test "dedupe unit: a store path that the base has by name is not looked at, also behind a link; others are stored" {
	mkdir -p base/store/3-base-3 moved/real
	echo "other bytes" >base/store/3-base-3/data
	cp -r base/store moved/real/store
	ln -s real/store moved/store
	for base in base moved; do
		build --dir "$base" --name example.org/base:1 -o "$base.tar"
		spec <<-EOF_J
			{"dray": 1, "name": "example.org/closure", "tag": "1", "base": {"image": "$base.tar", "dedupe": "unit"},
			 "sources": [{"type": "closure", "graph": "graph.json", "store": "/store", "from": "store"}]}
		EOF_J
		build spec.json -o out.tar
		same "the base's own" "$("$DRAY" cat out.tar "$([ "$base" = base ] || echo real/)store/3-base-3/data")" "other bytes"
		[ "$(names out.tar | grep -c 2-lib-2.1/lib/x.so)" = 1 ]
		build spec.json --dedupe content -o out.tar
		same "of the closure" "$("$DRAY" cat out.tar "$([ "$base" = base ] || echo real/)store/3-base-3/data")" base
	done
	# A path that is not there is no matter if the base has it, and one of a rule that takes it away is not the base's any more.
	mv store/3-base-3 away
	dray_run build spec.json --dedupe unit --json -o out.tar
	expect 0
	same "left out" "$(jq .same_as_base <<<"$output")" 1
	dray_run build spec.json --dedupe unit --rule '{"match": "/real/store/3-base-3", "delete": true, "base": true}' -o out.tar
	expect 3
	has "3-base-3"
}

@test "dedupe unit: a store path of the base of which something was taken away is read again" {
	mkdir -p base/store
	cp -r store/3-base-3 store/2-lib-2.1 base/store
	chmod -R u+w base
	echo mine >base/store/2-lib-2.1/lib/x.so
	build --dir base --name example.org/base:1 -o base.tar
	mkdir -p one/store/3-base-3 all/store/2-lib-2.1/lib
	touch one/store/3-base-3/.wh.data all/store/2-lib-2.1/lib/.wh..wh..opq
	tar -C one -cf one.tar store/3-base-3/.wh.data
	tar -C all -cf all.tar store/2-lib-2.1/lib/.wh..wh..opq
	# take MORE RULES X: all names are there, and whose x.so it is tells whether that store path was read.
	take() {
		spec <<-EOF_J
			{"dray": 1, "name": "example.org/closure", "tag": "1", "base": {"image": "base.tar", "dedupe": "unit"},
			 "sources": [$1 {"type": "closure", "graph": "graph.json", "store": "/store", "from": "store"}],
			 "rules": [$2]}
		EOF_J
		build spec.json -o out.tar || return 1
		same "names, $1 $2" "$(names out.tar)" "$(wanted)" || return 1
		same "x.so, $1 $2" "$("$DRAY" cat out.tar store/2-lib-2.1/lib/x.so)" "$3"
	}
	take "" "" mine
	take "" '{"match": "/store/3-base-3/data", "delete": true, "base": true}' mine
	take "" '{"match": "/store/2-lib-2.1/lib/data", "delete": true, "base": true}' '#!nothing'
	take "" '{"match": "/store/2-lib-2.1/lib", "delete": true, "base": true}' '#!nothing'
	take "" '{"match": "/store/elsewhere", "delete": true, "base": true}' mine
	take '{"type": "tar", "from": "one.tar", "as_layer": true},' "" mine
	take '{"type": "tar", "from": "all.tar", "as_layer": true},' "" '#!nothing'
	# Nothing is missing where something came besides.
	take '{"type": "mkdir", "path": "/store/2-lib-2.1/new"},' '{"match": "/store/2-lib-2.1/new", "delete": true}' mine
}

@test "item 8: an empty closure makes no store, and no folder above it" {
	: >graph.json
	closure "" ""
	build spec.json -o out.tar
	same names "$(names out.tar)" ""
	dray_run verify out.tar
	expect 0
}

@test "what is read once only is for one output; and a pipe with nothing in it is no closure" {
	cut -d'"' -f4 >paths.txt <<<'"path": "/store/3-base-3"'
	for how in paths graph; do
		echo '[{"path": "/store/3-base-3"}]' >graph.json
		closure "" ""
		[ "$how" = graph ] || sed -i 's/"graph": "graph.json"/"paths": "paths.txt"/' spec.json
		sed "s,\"$how\": \"[^\"]*\",\"$how\": \"/dev/stdin\"," spec.json >piped.json
		text=$([ "$how" = graph ] && echo graph.json || echo paths.txt)
		"$DRAY" build spec.json -o one.tar -o two.tar
		cmp one.tar two.tar
		"$DRAY" build piped.json -o piped.tar < <(cat "$text")
		cmp one.tar piped.tar
		"$DRAY" build piped.json -o file.tar -o again.tar <"$text"
		cmp one.tar again.tar
		rm ./*.tar
		run --separate-stderr "$DRAY" build piped.json -o one.tar -o two.tar < <(cat "$text")
		expect 2 '*source 1 (closure): /dev/stdin: what can be read only once is for one --output*'
		[ ! -e one.tar ]
		run --separate-stderr "$DRAY" build piped.json -o one.tar < <(:)
		expect 2 '*a pipe with nothing in it*'
		[ ! -e one.tar ]
	done
	mkdir base
	echo a >base/a
	build --dir base --name example.org/base:1 -o base.tar
	tar cf in.tar -C base a
	for piped in "--from -" "--tar /dev/stdin" "--copy-from docker-archive:-:example.org/base:1,/a" \
		"--previous -" "--from /dev/stdin"; do
		# shellcheck disable=SC2086
		run --separate-stderr "$DRAY" build --mkdir /x $piped -o one.tar -o two.tar < <(cat base.tar)
		expect 2 '*what can be read only once is for one --output*'
		[ ! -e one.tar ]
	done
	"$DRAY" build --from base.tar --tar in.tar --copy-from base.tar,/a:/b -o one.tar -o two.tar
	cmp one.tar two.tar
	for piped in /dev/stdin "--mkdir /x --pipeline /dev/stdin" "--mtree /dev/stdin"; do
		# shellcheck disable=SC2086
		run --separate-stderr "$DRAY" build $piped -o 1.tar -o 2.tar < <(echo '{"dray": 1}')
		expect 2 '*what can be read only once is for one --output*'
		[ ! -e 1.tar ]
	done
}

@test "item 1: links at the root lead into the store" {
	spec <<-EOF_J
		{"dray": 1, "sources": [
		 {"type": "closure", "graph": "graph.json", "store": "$T/store"},
		 {"type": "links", "from": ["$T/store/1-app-1.0"]}]}
	EOF_J
	sed -i "s,/store/,$T/store/,g" graph.json
	build spec.json -o out.tar
	"$DRAY" export out.tar 2>/dev/null | tar tv | grep -F "bin/app -> $T/store/1-app-1.0/bin/app"
	names out.tar | grep -qx "${T#/}/store/1-app-1.0/bin/app"
}

@test "what is wrong with a closure is said, and nothing is written" {
	while IFS='|' read -r graph message; do
		printf '%s' "$graph" >graph.json
		closure "" ""
		dray_run build spec.json -o out.tar
		[ "$status" -ne 0 ]
		has "$message"
		[ ! -e out.tar ]
	done <<-'EOF_T'
		[{"path":"/store/1-app-1.0","references":["/store/7"]}]|refers to /store/7, which is not described
		[{"path":"/store/7"}]|store/7: stat 7: No such file
		[{"path":"/elsewhere/7"}]|no path directly in /store
		[{"path":"/store/3-base-3","references":["/store/4-link"]},{"path":"/store/4-link","references":["/store/3-base-3"]}]|a cycle
		[{"path":"/store/5-file","narSize":1},{"path":"/store/5-file","narSize":2}]|described twice
		{"a":1}|holds no graph
		[|JSON at byte 1
		prose|no path directly in /store
	EOF_T
	closure ', "key": "none"' ""
	echo '{"x":[]}' >graph.json
	dray_run build spec.json -o out.tar
	has 'no member "none"'
	closure ', "ignore_missing": true' '"min_size": 0'
	echo '[{"path":"/store/5-file","references":["/store/7"]}]' >graph.json
	build spec.json -o out.tar
	same names "$(names out.tar | tr '\n' ' ')" "store store/5-file "
}
