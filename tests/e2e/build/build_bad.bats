#!/usr/bin/env bats
# build: bad specs, bad sources: an error that says where, and nothing is written. Each has a sound twin.

load build

setup() { build_setup; }
teardown() { peers_teardown; }

# refused STATUS PATTERN: spec.json is, and no output appears; the twin in good.json is built.
refused() {
	dray_run build spec.json -o no.tar
	expect "$1" "$2" || return 1
	[ ! -e no.tar ] && absent "left behind" "$(find . -name '*dray-partial*')"
}
spec() { printf '%s' "$1" >spec.json; }

@test "comments and commas too many are fine, in specs" {
	spec '{ // one
  "dray": 1, /* two
  lines */ "sources": [ { "type": "file", "path": "/a", "text": "// no comment, /* nor */ this ,]", }, ], }'
	build spec.json -o out.tar
	same text "$("$DRAY" cat out.tar /a)" '// no comment, /* nor */ this ,]'
	spec '{ "dray": 1, /* no end'
	refused 2 '*spec.json:1:14: a comment without an end*'
}

@test "errors tell line and column" {
	spec '{
  "dray": 1,
  "sources": [
    { "type": "dir", "form": "x" }
  ]
}'
	refused 2 '*spec.json:4:23: unknown key "form" in a source of type dir*'
	[[ $stderr == *'did you mean "from"?'* ]]
	spec '{ "dray": 1,
  "sources": [ { "type": "dirr" } ] }'
	refused 2 '*spec.json:2:26: *no such type of source*did you mean "dir"?*'
	spec '{ "dray": 1, "name": "a", "name": "b" }'
	refused 2 '*spec.json:1:*name*'
	spec '{ "dray": 1, "owner": { "uid": -1 } }'
	refused 2 '*spec.json:1:32: *whole number*'
	spec '{ "dray": 1 '
	refused 2 '*spec.json:1:*text ends*'
	spec '{ "sources": [] }'
	refused 2 '*version of the format is missing*'
	spec '{ "dray": 2 }'
	refused 2 '*unknown version*'
}

@test "errors that show only in what keys say together tell line and column too, and so do words with a grammar" {
	spec '{ "dray": 1,
  "sources": [ { "type": "mkdir", "path": "/a" },
    { "type": "file", "path": "/b" } ] }'
	refused 2 '*spec.json:3:5: source 2 (file): one of "from"*'
	spec '{ "dray": 1, "sources": [
  { "type": "mkdir", "path": "/a", "layer": "q" } ] }'
	refused 2 '*spec.json:2:3: source 1 (mkdir): "layer": there is no group "q"*'
	spec '{ "dray": 1, "sources": [
  { "type": "dir", "from": "none" } ] }'
	refused 3 '*spec.json:2:3: source 1 (dir): *none*'
	spec '{ "dray": 1, "sources": [
  { "type": "user", "name": "a:b", "uid": 1, "gid": 1 } ] }'
	refused 2 '*spec.json:2:3: source 1: *'
	spec '{ "dray": 1, "rules": [ { "match": "/a" },
 { "regex": "(" } ] }'
	refused 2 '*spec.json:2:2: rule 2: "regex"*'
	spec '{ "dray": 1, "layers": { "groups": [ { "name": "g", "sources": ["k"] } ] } }'
	refused 2 '*spec.json:1:38: group 1: no source has the id "k"*'
	spec '{ "dray": 1,
  "layers": { "max": 126 } }'
	refused 2 '*spec.json:2:13: layers: "max" is from 1 to 125*'
	spec '{ "dray": 1, "base": { } }'
	refused 2 '*spec.json:1:22: base: "image" is missing*'
	spec '{ "dray": 1, "tag": "1" }'
	refused 2 '*spec.json:1:21: a tag without a name*'
	spec '{ "dray": 1, "name": "a", "tags": [ "1", "b c" ] }'
	refused 2 '*spec.json:1:42: "tags": "b c" is no tag*'
	spec '{ "dray": 1, "name": "a b" }'
	refused 2 '*spec.json:1:22: "name": *'
	spec '{ "dray": 1, "platform": "linux" }'
	refused 2 '*spec.json:1:26: "platform": *'
	spec '{ "dray": 1, "owner": { "uid": 4294967295 } }'
	refused 2 '*spec.json:1:32: "uid": 4294967295 is over 4294967294, the highest ID*'
	# What a flag says has no line; and the sound twin of all of these.
	spec '{ "dray": 1, "name": "a", "tags": [ "1", "b.c" ], "platform": "linux/arm64", "owner": { "uid": 4294967294 },
  "sources": [ { "type": "file", "path": "/b", "text": "", "layer": "g", "id": "k" } ],
  "layers": { "max": 125, "groups": [ { "name": "g", "sources": ["k"] } ] } }'
	build spec.json -o out.tar
	dray_run build spec.json --source '{ "type": "file", "path": "/c" }' -o no.tar
	expect 2 'dray: build: source 2 (file): one of "from"*'
}

@test "a health check is one that engines can run: in specs, build --healthcheck, edit --healthcheck" {
	local bad pattern good
	spec '{ "dray": 1 }'
	build spec.json -o none.tar
	while IFS='|' read -r bad pattern; do
		echo "$bad"
		spec "{ \"dray\": 1, \"config\": { \"Healthcheck\":
$bad } }"
		refused 2 "*spec.json:2:$pattern*" || return 1
		dray_run build --healthcheck "$bad" -o no.tar
		expect 2 "dray: build: --healthcheck: healthcheck: ${pattern#*: }*" || return 1
		dray_run edit none.tar --healthcheck "$bad" -o no.tar
		expect 2 "dray: edit: *healthcheck: ${pattern#*: }*" || return 1
		[ ! -e no.tar ]
	done <<-'EOF_ROWS'
		{"Test":"curl x"}|9: "Test": expected array as *, found string
		{"Test":["CMD",1]}|16: "Test": expected string, found number
		{"Test":["curl","x"]}|10: "Test": it begins with NONE, CMD or CMD-SHELL, or is \[] for that of the base
		{"Test":["CMD"]}|9: "Test": the command is missing
		{"Test":["NONE"],"Interval":"30s"}|29: "Interval": expected nanoseconds: 30s are 30000000000
		{"Timeout":"1m30s"}|12: "Timeout": expected nanoseconds: 1m30s are 90000000000
		{"StartPeriod":"soon"}|16: "StartPeriod": expected nanoseconds: 30 seconds are 30000000000
		{"StartInterval":-1}|18: "StartInterval": expected whole nanoseconds from 0 on
		{"Interval":1.5}|13: "Interval": expected whole nanoseconds from 0 on
		{"Interval":30}|13: "Interval": it is in nanoseconds: 1000000, a millisecond, is the least but 0
		{"Retries":"3"}|12: "Retries": expected number, found string
		{"Retries":-1}|12: "Retries": expected a whole number from 0 on
		{"tset":["CMD","x"]}|3: unknown key "tset"*did you mean "Test"[?]
		{"Start":0}|3: unknown key "Start"
	EOF_ROWS
	while IFS= read -r good; do
		echo "$good"
		spec "{ \"dray\": 1, \"config\": { \"Healthcheck\": $good } }"
		build spec.json -o out.tar || return 1
		same spec "$(config out.tar | jq -c .Healthcheck)" "$(jq -cS . <<<"$good")" || return 1
		build --healthcheck "$good" -o out.tar || return 1
		same build "$(config out.tar | jq -c .Healthcheck)" "$(jq -cS . <<<"$good")" || return 1
		dray_run edit none.tar --healthcheck "$good" -o out.tar
		ok || return 1
		same edit "$(config out.tar | jq -c .Healthcheck)" "$(jq -cS . <<<"$good")" || return 1
	done <<-'EOF_ROWS'
		{"Test":["CMD-SHELL","curl x"],"Interval":30000000000,"Timeout":1000000,"StartPeriod":0,"StartInterval":5000000000,"Retries":3}
		{"Test":["CMD","/x","y"]}
		{"Test":["NONE"]}
		{"Test":[],"Retries":0}
		{}
	EOF_ROWS
}

@test "IDs: the highest one but 4294967295, which chown takes for none; flags, rules, accounts, lists" {
	local high=4294967294 none=4294967295
	said="$none is over $high, the highest ID"
	while IFS='|' read -r flag value; do
		dray_run build --file /a=1 "--$flag" "${value//N/$none}" -o no.tar
		expect 2 "*$said*" || return 1
		dray_run build --file /a=1 "--$flag" "${value//N/$none}" --print-spec
		expect 2 "*$said*" || return 1
		build --file /a=1 "--$flag" "${value//N/$high}" -o out.tar || return 1
	done <<-'EOF_ROWS'
		owner|N
		owner|0:N
		user|u:N:1
		user|u:1:N
		group|g:N
		rule|/a,owner=N
		rule|/a,owner=1:N
		source|{ "type": "mkdir", "path": "/d", "owner": { "gid": N } }
		source|{ "type": "user", "name": "u", "uid": N, "gid": 1 }
	EOF_ROWS
	[ ! -e no.tar ]
	dray_run build --owner 99999999999 --file /a=1 -o no.tar
	expect 2 "*--owner: 99999999999 is over $high*"
}

@test "a comma closes a list only behind an element" {
	for list in '[,]' '[ { "type": "mkdir", "path": "/a" },, ]' '[ {,} ]'; do
		spec "{ \"dray\": 1, \"sources\": $list }"
		refused 2 '*spec.json:1:*expected a*'
	done
}

@test "\${NAME} needs --define, and stands for text only" {
	spec '{ "dray": 1, "sources": [ { "type": "file", "path": "/a", "text": "${REV} $${REV} $5" } ] }'
	refused 2 '*${REV} is not defined*'
	build spec.json --define 'REV=1"2\3' -o out.tar
	same text "$("$DRAY" cat out.tar /a)" '1"2\3 ${REV} $5'
}

@test "a source that is missing, a socket, a path that leads upwards, the name of a whiteout" {
	spec '{ "dray": 1, "sources": [ { "type": "dir", "from": "none" } ] }'
	refused 3 '*source 1 (dir)*none*'
	mkdir app
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("app/sock")'
	spec '{ "dray": 1, "sources": [ { "type": "dir", "from": "app" } ] }'
	refused 8 '*app/sock*socket*'
	spec '{ "dray": 1, "sources": [ { "type": "dir", "from": "app", "exclude": ["sock"] } ] }'
	build spec.json -o out.tar
	rm app/sock
	: >app/.wh.x
	spec '{ "dray": 1, "sources": [ { "type": "dir", "from": "app" } ] }'
	refused 6 '*.wh.x*'
	spec '{ "dray": 1, "sources": [ { "type": "mkdir", "path": "/a/../../b" } ] }'
	refused 2 '*".."*'
	spec '{ "dray": 1, "sources": [ { "type": "mkdir", "path": "a//./b/" } ] }'
	build spec.json -o fine.tar
	same names "$(names fine.tar)" $'a\na/b'
}

@test "a spec of many names takes time by their number, not by its square" {
	quick() { # a spec that python makes
		python3 -c "import json; $1
print(json.dumps(spec))" >spec.json
		rc=0
		timeout -s KILL 20 "$DRAY" build spec.json --print-spec >printed.json 2>err.txt || rc=$?
	}
	for key in Env Volumes; do
		quick "spec = {'dray': 1, 'config': {'$key': {'/%d' % i: '' if '$key' == 'Env' else {} for i in range(100000)}}}"
		same "rc of $key" $rc 0
		same "$key" "$(jq ".config.$key | length" printed.json)" 100000
	done
	ports="{'%d-%d/%s' % (max(i, 1), i + 1023, p): %s for i in range(0, 65536, 1024) for p in ('tcp', 'udp', 'sctp')}"
	for value in '{}' None; do
		quick "spec = {'dray': 1, 'config': {'ExposedPorts': ${ports/\%s for/$value for}}}"
		same "rc of ports" $rc 0
		same ports "$(jq '.config.ExposedPorts | length' printed.json)" 196605
	done
	quick "spec = {'dray': 1, 'config': {'ExposedPorts': {'%0*d-1024' % (i, 1): {} for i in range(1, 300)}}}"
	same rc $rc 6
	[[ "$(cat err.txt)" == *'spec.json:1:'*'"ExposedPorts": more than 200000 ports (LIMIT_SPEC_PORTS)'* ]]
	quick "n = 40000; spec = {'dray': 1, 'sources': [{'type': 'mkdir', 'path': '/a', 'id': '%d' % i, 'layer': '%d' % i} for i in range(n)],
	    'layers': {'groups': [{'name': '%d' % i, 'sources': ['%d' % i]} for i in range(n)]}}"
	same "rc of groups" $rc 0
	quick "spec = {'dray': 1, 'config': {'expand': True, 'Env': {'A': '\${' * 800000}}}"
	same "rc of names that do not end" $rc 0
}

@test "a file that changes while it is read is named, and no image appears" {
	mkdir app
	truncate -s 3G app/big
	echo x >app/small
	spec '{ "dray": 1, "sources": [ { "type": "dir", "from": "app" } ] }'
	run --separate-stderr bash -c '"$1" build spec.json -o no.tar & sleep 0.4; echo more >>app/big; wait $!' - "$DRAY"
	[ "$status" -ne 0 ] || skip "it was read too quickly"
	expect 6 '*big*changed while it was read*'
	[ ! -e no.tar ]
}

@test "too many layers: both numbers" {
	dray_run build --mkdir /a --layers-max 126 -o no.tar
	expect 2 '*125*'
	build --mkdir /a --layers-max 125 -o out.tar
}

@test "layers: more than 100 are warned about, more than 125 refused unless forced" {
	per_source() {
		jq -nc --argjson n "$1" --argjson max "$2" '{dray: 1, layers: {max: $max, strategy: "per-source"},
			sources: [range($n) | {type: "file", path: "/f\(.)", text: "\(.)"}]}' >spec.json
	}
	per_source 100 125
	build spec.json -o out.tar
	[[ $stderr != *warning* ]]
	per_source 101 125
	build spec.json -o out.tar
	[[ $stderr == *'warning: 101 layers: engines take 125'* ]]
	# Those of the base count.
	build --from out.tar --file /one=more --layers-max 125 -o more.tar
	[[ $stderr == *'warning: 102 layers'* ]]
	per_source 126 125
	refused 6 '*126 sources, but only 125 layers are left*'
	per_source 126 126
	refused 2 '*layers: "max" is from 1 to 125, got 126*--force*'
	build spec.json --force -o out.tar
	same layers "$(layers out.tar | wc -l)" 126
	[ "$(grep -c 'warning:' <<<"$stderr")" = 1 ] # and told once
	dray_run build spec.json --force --layers-max 501 -o no.tar
	expect 2 '*from 1 to 500*'
}

@test "layers: hundreds, where they are forced" {
	for n in 130 300; do
		jq -n --argjson n "$n" '{ dray: 1, layers: { strategy: "per-source", max: $n },
			sources: [range($n) | { type: "file", path: "/d\(. % 7)/\(.)", text: "\(.)", id: "s\(.)" }] }' >spec.json
		build spec.json --force -o out.tar
		same layers "$(layers out.tar | wc -l)" "$n"
		same "the last" "$(layer_tar out.tar $((n - 1)) | tar t | wc -l)" 2
		same files "$(names out.tar | grep -c /)" "$n"
		same content "$("$DRAY" cat out.tar "/d$(((n - 1) % 7))/$((n - 1))")" $((n - 1))
	done
	build --from out.tar --force --layers-max 301 --file /one=more -o more.tar
	same layers "$(layers more.tar | wc -l)" 301
	[ "$(grep -c 'warning:' <<<"$stderr")" = 1 ]
	refused 2 '*"max" is from 1 to 125*' spec.json
}

@test "a file of more than 8 GiB" {
	mkdir app
	truncate -s 9G app/huge
	dray_run build --dir app:/ --plan --json
	expect 0
	same size "$(jq '.layers[0].size' <<<"$output")" $((9 * 1024 * 1024 * 1024 + 512 + 1024 + 1024))
}

@test "the schema knows the specs of the documents and of these tests, and refuses what build refuses" {
	python3 -c 'import jsonschema' 2>/dev/null || skip "no python3-jsonschema"
	python3 - "$PEERS_TOP" <<-'EOF_PY'
		import json, os, re, subprocess, sys, jsonschema
		top = sys.argv[1]
		def build(spec, *flags):
		    return subprocess.run([os.environ["DRAY"], "build", "-", "--print-spec", *flags], input=spec.encode(), capture_output=True).returncode
		schema = json.load(open(f"{top}/docs/build.schema.json"))
		jsonschema.Draft7Validator.check_schema(schema)
		check = jsonschema.Draft7Validator(schema)
		doc = open(f"{top}/docs/build.md").read()
		specs = re.findall(r"```json\n(.*?)```", doc, re.S)
		assert len(specs) >= 3
		for s in specs:
		    check.validate(json.loads(s))
		for bad in ['{}', '{"dray":2}', '{"dray":1,"sorces":[]}', '{"dray":1,"sources":[{"type":"dir","form":"x"}]}',
		            '{"dray":1,"sources":[{"type":"mkdir","from":"x"}]}', '{"dray":1,"conflict":"never"}',
		            '{"dray":1,"sources":[{"type":"files"}]}', '{"dray":1,"sources":[{"type":"closure"}]}',
		            '{"dray":1,"sources":[{"type":"closure","graph":"g","paths":"p"}]}',
		            '{"dray":1,"rules":[{"mode":"0600"}]}', '{"dray":1,"rules":[{"match":"a","regex":"a"}]}',
		            '{"dray":1,"created":"soon"}', '{"dray":1,"name":"a","tags":["b c"]}', '{"dray":1,"tag":"1"}', '{"dray":1,"platform":"linux"}',
		            '{"dray":1,"config":{"Env":["A"]}}', '{"dray":1,"config":{"Volumes":{"v":{}}}}', '{"dray":1,"config":{"StopTimeout":-1}}',
		            '{"dray":1,"config":{"Healthcheck":{"Test":"x"}}}', '{"dray":1,"config":{"Healthcheck":{"Test":["x"]}}}',
		            '{"dray":1,"config":{"Healthcheck":{"Test":["CMD"]}}}', '{"dray":1,"config":{"Healthcheck":{"Test":["CMD",1]}}}',
		            '{"dray":1,"config":{"Healthcheck":{"test":[]}}}', '{"dray":1,"config":{"Healthcheck":{"Retries":-1}}}',
		            '{"dray":1,"config":{"Healthcheck":{"Interval":"30s"}}}', '{"dray":1,"config":{"Healthcheck":{"Timeout":30}}}',
		            '{"dray":1,"owner":{"uid":4294967295}}', '{"dray":1,"sources":[{"type":"file","path":"/a"}]}',
		            '{"dray":1,"sources":[{"type":"file","path":"/a","text":"","from":"b"}]}', '{"dray":1,"sources":[{"type":"links","from":[]}]}',
		            '{"dray":1,"sources":[{"type":"symlink","path":"/a","target":""}]}', '{"dray":1,"rules":[{"match":"a","base":true,"delete":false}]}',
		            '{"dray":1,"rules":[{"match":"a","base":true}]}', '{"dray":1,"rules":[{"match":"a","xattr":{"x":"y"}}]}']:
		    assert not check.is_valid(json.loads(bad)), bad
		    assert build(bad) == 2, bad
		for good in ['{"dray":1,"config":null,"owner":null,"compression":null,"history":null,"layers":null,"base":null}',
		             '{"dray":1,"mtime":{"clamp":"2026-01-15T00:00:00Z"},"created":"2026-01-15T00:00:00+01:00"}',
		             '{"dray":1,"name":"Example.org/A","tags":["1","b_c"],"platform":"linux/arm/v7"}',
		             '{"dray":1,"base":{"image":"x","select":null,"dedupe":"unit"}}', '{"dray":1,"layers":{"max":125}}',
		             '{"dray":1,"sources":[{"type":"links","from":["/a"]}],"config":{"Env":["A="],"StopTimeout":0}}',
		             '{"dray":1,"config":{"Healthcheck":null}}', '{"dray":1,"config":{"Healthcheck":{}}}', '{"dray":1,"config":{"Healthcheck":{"Test":[],"Interval":0}}}',
		             '{"dray":1,"config":{"Healthcheck":{"Test":["CMD","a","b"],"StartInterval":1000000,"Retries":0}}}',
		             '{"dray":1,"config":{"Healthcheck":{"Test":["NONE"],"StartPeriod":1000000000}}}',
		             '{"dray":1,"sources":[{"type":"files","list":"l","list_format":"paths0","root":"r"}]}',
		             '{"dray":1,"sources":[{"type":"closure","paths":"p","include":"links-only","scan_config":true,"exclude":["x"]}]}',
		             '{"dray":1,"rules":[{"regex":"/a","delete":true,"base":true,"xattr":{"user.x":null,"user.y":"0s"}}]}']:
		    check.validate(json.loads(good))
		    assert build(good) == 0, good
		for good in ['{"dray":1,"layers":{"max":500}}', '{"dray":1,"layers":{"groups":[{"name":"a","match":["x"],"max":500}]}}']:
		    check.validate(json.loads(good))
		    assert build(good) == 2 and build(good, "--force") == 0, good
		for bad in ['{"dray":1,"layers":{"max":501}}', '{"dray":1,"layers":{"max":0}}']:
		    assert not check.is_valid(json.loads(bad)), bad
		    assert build(bad, "--force") == 2, bad
	EOF_PY
}
