#!/usr/bin/env bats
# --cache: what is as it was is not read again, and no image ever depends on it.

load build

setup() {
	build_setup
	export DRAY
}
teardown() { peers_teardown; }

# settle PATH...: all of them changed so long ago that a further change has another time.
settle() {
	touch "$T/clock"
	wait_until 60 settled "$@"
}
settled() {
	python3 - "$@" <<-'EOF_PY'
		import os, sys, time
		last = max(os.lstat(os.path.join(d, f)).st_ctime_ns for top in sys.argv[1:] for d, _, fs in os.walk(top) for f in fs)
		sys.exit(time.time_ns() < last + 100_000_000)
	EOF_PY
}

# opened FOLDER COMMAND...: the names of the files in it that COMMAND opens, a line each; its output goes to $T/out.
opened() {
	python3 - "$@" <<-'EOF_PY'
		import ctypes, os, struct, subprocess, sys
		libc = ctypes.CDLL(None, use_errno=True)
		fd = libc.inotify_init1(os.O_NONBLOCK)
		for top, _, _ in os.walk(sys.argv[1]):
		    assert libc.inotify_add_watch(fd, top.encode(), 0x20) >= 0, ctypes.get_errno()
		with open(os.environ["T"] + "/out", "wb") as out:
		    subprocess.run(sys.argv[2:], check=True, stdout=out, stderr=subprocess.DEVNULL)
		seen = set()
		while True:
		    try:
		        raw = os.read(fd, 65536)
		    except BlockingIOError:
		        break
		    at = 0
		    while at < len(raw):
		        _, mask, _, size = struct.unpack_from("iIII", raw, at)
		        if not mask & 0x40000000: # no folder
		            seen.add(raw[at + 16:at + 16 + size].split(b"\0")[0].decode())
		        at += 16 + size
		print("\n".join(sorted(seen)))
	EOF_PY
}

tree() {
	mkdir -p app/sub lib
	echo one >app/a
	echo two >app/sub/b
	head -c 200000 /dev/urandom >lib/big
	ln lib/big lib/same
	: >lib/empty
	tar cf data.tar -C lib big
	cat >spec.json <<-'EOF_J'
		{ "dray": 1, "name": "made/cached", "tag": "1",
		  "sources": [ { "type": "dir", "from": "app", "to": "/srv/app" }, { "type": "dir", "from": "lib", "to": "/usr/lib/x" },
		               { "type": "tar", "from": "data.tar", "to": "/opt" }, { "type": "file", "path": "/etc/text", "text": "text" } ],
		  "layers": { "strategy": "per-source" } }
	EOF_J
}

# counts: layers that the cache knew, blobs sent, blobs that were there.
counts() { jq -c '[.known, .built.blobs_sent, .built.blobs_skipped]'; }

@test "a layout that has all: nothing is opened; one file changed: its layer alone" {
	export T
	tree
	settle app lib
	same first "$(opened . "$DRAY" build spec.json --cache kept --json -o oci:layout:1 | grep -c -x -e a -e b -e big)" 3
	same counts "$(counts <out)" '[0,4,0]'
	manifest=$(jq -r .built.manifest_digest <out)
	same "opened again" "$(opened . "$DRAY" build spec.json --cache kept --json -o oci:layout:2 | grep -x -e a -e b -e big -e same -e data.tar)" data.tar
	same counts "$(counts <out)" '[4,0,4]'
	same manifest "$(jq -r .built.manifest_digest <out)" "$manifest"
	dray_run verify --all oci:layout
	expect 0
	echo 2 >app/a
	settle app
	same "one changed" "$(opened app "$DRAY" build spec.json --cache kept --json -o oci:layout:3)" $'a\nb'
	same counts "$(counts <out)" '[3,1,3]'
	"$DRAY" build spec.json -q -o oci:plain:3
	same "without" "$("$DRAY" digest oci:layout:3)" "$("$DRAY" digest oci:plain:3)"
	# The same contents at another time: its layer is made, and is the one that is there.
	touch app/a
	settle app
	opened app "$DRAY" build spec.json --cache kept --json -o oci:layout:3 >names
	same manifest "$(jq -r .built.manifest_digest <out)" "$("$DRAY" digest oci:plain:3)"
	same counts "$(counts <out)" '[3,1,3]'
}

@test "a registry that has all is asked and sent nothing; another repository of it, another registry" {
	export T
	registry_start cached plain
	tree
	settle app lib
	XDG_CACHE_HOME=$T/none "$DRAY" build spec.json --cache kept --json --plain-http -o "docker://$REGISTRY_ADDR/app:1" 2>/dev/null >out
	same counts "$(counts <out)" '[0,4,0]'
	image=$(jq -r .built.manifest_digest <out)
	for tag in 1 2; do
		same opened "$(XDG_CACHE_HOME=$T/none2 opened . "$DRAY" build spec.json --cache kept --json --plain-http \
			-o "docker://$REGISTRY_ADDR/app:$tag" | grep -x -e a -e b -e big -e same)" ""
		same counts "$(counts <out)" '[4,0,4]'
		same manifest "$(jq -r .built.manifest_digest <out)" "$image"
		remote_walk "$REGISTRY_ADDR" app "$tag"
	done
	XDG_CACHE_HOME=$T/none3 "$DRAY" build spec.json --cache kept --json --plain-http -o "docker://$REGISTRY_ADDR/other/app:1" 2>/dev/null >out
	same manifest "$(jq -r .built.manifest_digest <out)" "$image"
	remote_walk "$REGISTRY_ADDR" other/app 1
	# Pushed before there was a cache: read once to learn that, then no more.
	XDG_CACHE_HOME=$T/blobs "$DRAY" build spec.json -q --plain-http -o "docker://$REGISTRY_ADDR/before:1"
	for known in 0 4; do
		XDG_CACHE_HOME=$T/blobs "$DRAY" build spec.json --cache later --json --plain-http -o "docker://$REGISTRY_ADDR/before:2" 2>/dev/null >out
		same counts "$(counts <out)" "[$known,0,4]"
		same manifest "$(jq -r .built.manifest_digest <out)" "$image"
	done
	# What a tag held was compressed in another way: it stays there, and is not remembered as ours.
	"$DRAY" build spec.json -q --level 9 --plain-http -o "docker://$REGISTRY_ADDR/mixed:1"
	XDG_CACHE_HOME=$T/none4 "$DRAY" build spec.json -q --cache mixed --plain-http -o "docker://$REGISTRY_ADDR/mixed:1"
	[ "$("$DRAY" digest --plain-http "docker://$REGISTRY_ADDR/mixed:1")" != "$image" ]
	XDG_CACHE_HOME=$T/none5 "$DRAY" build spec.json -q --cache mixed --plain-http -o "docker://$REGISTRY_ADDR/mixed:2"
	same "another tag" "$("$DRAY" digest --plain-http "docker://$REGISTRY_ADDR/mixed:2")" "$image"
	# Now both are there and the cache knows one of them: what the tag has stays all the same.
	first=$("$DRAY" digest --plain-http "docker://$REGISTRY_ADDR/mixed:1")
	XDG_CACHE_HOME=$T/none6 "$DRAY" build spec.json -q --cache mixed --plain-http -o "docker://$REGISTRY_ADDR/mixed:1"
	same "with what it knows" "$("$DRAY" digest --plain-http "docker://$REGISTRY_ADDR/mixed:1")" "$first"
	# What it had is gone: the layers are made and sent again.
	registry_wipe cached
	"$DRAY" build spec.json --cache kept --json --plain-http -o "docker://$REGISTRY_ADDR/app:1" 2>/dev/null >out
	same counts "$(counts <out)" '[0,4,0]'
	same manifest "$(jq -r .built.manifest_digest <out)" "$image"
	remote_walk "$REGISTRY_ADDR" app 1
}

@test "an archive is made of what is read, and equals the one without a cache" {
	tree
	settle app lib
	build spec.json -o plain.tar
	for i in 1 2; do
		build spec.json --cache kept -o cached.tar
		cmp plain.tar cached.tar
	done
}

@test "random edits, with old sizes and old times too: always the image that there would be without" {
	tree
	build spec.json --cache kept -o oci:layout:0
	for round in $(seq 12); do
		python3 - "$round" <<-'EOF_PY'
			import os, random, sys
			r = random.Random(int(sys.argv[1]))
			files = ["app/a", "app/sub/b", "lib/big", "data.tar"]
			for _ in range(r.randrange(1, 3)):
			    f = r.choice(files[:3])
			    st = os.stat(f)
			    how = r.randrange(5)
			    data = bytearray(open(f, "rb").read())
			    if how == 0 and data: # same size, same mtime, same inode
			        data[r.randrange(len(data))] ^= 1
			        open(f, "r+b").write(data)
			        os.utime(f, ns=(st.st_atime_ns, st.st_mtime_ns))
			    elif how == 1: # another inode of the same size and time
			        data[0] ^= 2
			        open(f + ".new", "wb").write(data)
			        os.utime(f + ".new", ns=(st.st_atime_ns, st.st_mtime_ns))
			        os.rename(f + ".new", f)
			    elif how == 2:
			        open(f, "ab").write(b"x")
			    elif how == 3:
			        os.chmod(f, 0o755 if r.randrange(2) else 0o644)
			    else: # two that change places
			        g = r.choice(files[:3])
			        os.rename(f, "swap"); os.rename(g, f) if g != f else os.rename("swap", f)
			        if g != f: os.rename("swap", g)
		EOF_PY
		# Right after the edit: what changed just now is never remembered as known.
		build spec.json --cache kept -o "oci:layout:$round"
		build spec.json -o "oci:plain:$round"
		same "round $round" "$("$DRAY" digest "oci:layout:$round")" "$("$DRAY" digest "oci:plain:$round")"
	done
	dray_run verify --all oci:layout
	expect 0
}

@test "what will have changed only in the future is not remembered" {
	mkdir app
	echo a >app/f
	settle app
	build --cache kept --dir app:/ -o oci:layout:1
	same "old enough" "$(grep -c ^file kept/dray-build-cache)" 1
	touch -d 2100-01-01 app/f
	settle app
	build --cache kept --dir app:/ -o oci:layout:1
	same "of the future" "$(grep -c ^file kept/dray-build-cache)" 0
}

@test "a cache that is damaged, of another version, or no cache: a warning, and the image all the same" {
	tree
	settle app lib
	build spec.json --cache kept -o oci:layout:1
	want=$("$DRAY" digest oci:layout:1)
	cp kept/dray-build-cache good
	for how in flip cut old other empty; do
		case $how in
		flip) python3 -c 'd=bytearray(open("good","rb").read()); d[40]^=1; open("kept/dray-build-cache","wb").write(d)' ;;
		cut) head -c 300 good >kept/dray-build-cache ;;
		old) sed 's/^dray build cache 1$/dray build cache 0/' good >kept/dray-build-cache ;;
		other) echo something >kept/dray-build-cache ;;
		empty) : >kept/dray-build-cache ;;
		esac
		dray_run build spec.json --cache kept --json -o oci:layout:1
		expect 0 '*warning*nothing of this cache is used*'
		same "$how: known" "$(jq .known <<<"$output")" 0
		same "$how" "$("$DRAY" digest oci:layout:1)" "$want"
		cmp good kept/dray-build-cache
	done
	# Lines that are not as they should be, and a digest that fits.
	for line in 'file x y' 'blob - x 1' 'layer 1 2 3' 'who knows' "file $(printf '%064d' 0) "; do
		{ head -n 1 good && echo "$line"; } >bad
		{ cat bad && echo "sum $(sha256sum <bad | cut -d' ' -f1)"; } >kept/dray-build-cache
		dray_run build spec.json --cache kept -o oci:layout:1
		expect 0 '*warning*a line is not as it should be*'
	done
	# A folder that cannot be one.
	echo x >file
	dray_run build spec.json --cache file -o oci:layout:1
	expect 0 '*warning*'
	same "$how" "$("$DRAY" digest oci:layout:1)" "$want"
	# A cache that lies: the layer is made, the lie is told.
	python3 - <<-'EOF_PY'
		import hashlib, re
		text = open("good").read()
		text = text[:text.rindex("sum ")]
		text = re.sub(r"(?m)^(layer \S+) \S+", lambda m: m[1] + " " + "1" * 64, text)
		open("kept/dray-build-cache", "w").write(text + "sum " + hashlib.sha256(text.encode()).hexdigest() + "\n")
	EOF_PY
	dray_run build spec.json --cache kept -o lie.tar
	expect 0 '*warning*the cache was wrong about a layer*'
	build spec.json -o true.tar
	cmp lie.tar true.tar
}

@test "files that the base has are known, too; a build that fails leaves the cache as it was" {
	export T
	tree
	settle app lib
	build --dir app:/srv --dir lib:/lib -o base.tar
	build --from base.tar --dir app:/srv --cache kept -o out.tar
	same opened "$(opened app "$DRAY" build --from base.tar --dir app:/srv --cache kept --json -o again.tar)" ""
	same "same as base" "$(jq .same_as_base <out)" 2
	cmp out.tar again.tar
	cp kept/dray-build-cache before
	dray_run build --dir app:/ --dir none:/ --cache kept -o no.tar
	expect 3
	cmp before kept/dray-build-cache
	same "nothing beside" "$(ls -A kept)" dray-build-cache
}
