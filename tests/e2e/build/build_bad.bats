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
		import json, re, sys, jsonschema
		top = sys.argv[1]
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
		            '{"dray":1,"rules":[{"match":"a","base":true}]}', '{"dray":1,"rules":[{"match":"a","xattr":{"x":"y"}}]}']:
		    assert not check.is_valid(json.loads(bad)), bad
		for good in ['{"dray":1,"sources":[{"type":"files","list":"l","list_format":"paths0","root":"r"}]}',
		             '{"dray":1,"sources":[{"type":"closure","paths":"p","include":"links-only","scan_config":true,"exclude":["x"]}]}',
		             '{"dray":1,"rules":[{"regex":"/a","delete":true,"base":true,"xattr":{"user.x":null,"user.y":"0s"}}]}']:
		    check.validate(json.loads(good))
	EOF_PY
}
