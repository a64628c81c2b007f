#!/usr/bin/env bats
# inspect --packages: what the managers themselves say is installed, and how many files are whose.

load lib

setup() {
	verbs_setup
	T=$BATS_TEST_TMPDIR
}
teardown() { peers_teardown; }

# image OUT DIR: a docker-archive whose one layer is what DIR holds.
image() {
	tar --sort=name --numeric-owner -C "$2" -cf "$T/layer.tar" .
	python3 - "$1" "$T/layer.tar" <<-'END'
		import hashlib, io, json, sys, tarfile

		out, layer = sys.argv[1:]
		with open(layer, "rb") as f:
		    diff_id = "sha256:" + hashlib.sha256(f.read()).hexdigest()
		docs = {"c.json": {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}},
		        "manifest.json": [{"Config": "c.json", "RepoTags": ["test/pkg:1"], "Layers": ["0.tar"]}]}
		with tarfile.open(out, "w") as tar:
		    tar.add(layer, "0.tar")
		    for name, doc in docs.items():
		        data = json.dumps(doc).encode()
		        i = tarfile.TarInfo(name)
		        i.size = len(data)
		        tar.addfile(i, io.BytesIO(data))
	END
}

# told IMAGE: its packages as lines "manager name version arch source", sorted.
told() {
	dray_run inspect --packages --json "$1"
	expect 0 || return 1
	jq -r '.images[0].packages[] | [.manager, .name, .version, .arch, .source] | @tsv' <<<"$output" | LC_ALL=C sort >"$T/told"
}

@test "packages: dpkg, as dpkg-query -W tells this machine" {
	require_peer dpkg-query
	mkdir -p "$T/root/var/lib/dpkg/info" "$T/root/usr/bin" "$T/root/usr/sbin" "$T/root/usr/lib"
	[ -L /bin ] || skip "/usr is not merged here"
	ln -s usr/bin "$T/root/bin"
	ln -s usr/sbin "$T/root/sbin"
	ln -s usr/lib "$T/root/lib"
	cp /var/lib/dpkg/status "$T/root/var/lib/dpkg/"
	cp /var/lib/dpkg/info/*.list "$T/root/var/lib/dpkg/info/"
	[ ! -e /var/lib/dpkg/diversions ] || cp /var/lib/dpkg/diversions "$T/root/var/lib/dpkg/"
	# The names are what counts: files without their bytes.
	(cd / && find usr/bin usr/sbin \( -type f -o -type l \) -print0) | (cd "$T/root" && xargs -0 touch --)
	image "$T/a.tar" "$T/root"
	told "$T/a.tar"
	# shellcheck disable=SC2016
	dpkg-query -W -f '${db:Status-Status}\tdpkg\t${Package}\t${Version}\t${Architecture}\t${source:Package}\n' |
		grep -E '^(installed|unpacked|half-configured|triggers-)' | cut -f 2- | LC_ALL=C sort >"$T/want"
	[ -s "$T/want" ]
	diff "$T/want" "$T/told"

	# Owners: the files of each package by its own list, less what others have before it.
	jq -r '.images[0].packages[] | select(.files > 0) | "\(.name):\(.arch) \(.files)"' <<<"$output" >"$T/files"
	[ "$(wc -l <"$T/files")" -gt 20 ]
	python3 - "$T/root" "$T/files" <<-'END'
		import os, subprocess, sys

		root, files = sys.argv[1:]
		there = {os.path.join(d, f)[len(root):] for d, dirs, names in os.walk(root)
		         for f in names + [l for l in dirs if os.path.islink(os.path.join(d, l))]} - {"/bin", "/sbin", "/lib"}
		for line in open(files):
		    package, n = line.split()
		    package = package.replace(":all", "")
		    mine = subprocess.run(["dpkg-query", "-L", package], capture_output=True, text=True, check=True).stdout.splitlines()
		    if any(" by " in m or " diverted " in m for m in mine):
		        continue
		    at = {os.path.join(os.path.realpath(os.path.dirname(m)), os.path.basename(m)) for m in mine}
		    if len(at & there) != int(n):
		        sys.exit(f"{package}: dray counts {n}, dpkg-query -L has {sorted(at & there)}")
	END
	# A file that dpkg -S finds is nobody's no more when its list goes.
	local package
	package=$(dpkg-query -S "$(realpath /usr/bin/env)" | cut -d : -f 1)
	[ "$(grep -c "^$package:" "$T/files")" = 1 ]
	rm "$T/root/var/lib/dpkg/info/$package.list"
	image "$T/b.tar" "$T/root"
	local before after
	before=$(jq .images[0].unpackaged.files <<<"$output")
	dray_run inspect --packages --json "$T/b.tar"
	expect 0
	after=$(jq .images[0].unpackaged.files <<<"$output")
	same "files that come free, the list itself gone" "$((after - before + 1))" "$(sed -n "s/^$package:[^ ]* //p" "$T/files")"
}

# A real database of rpm with three packages, one of them installed without its documentation.
make_rpmdb() {
	local db=$T/root/usr/lib/sysimage/rpm
	mkdir -p "$db" "$T/root/var/lib" "$T/build"
	ln -s ../../usr/lib/sysimage/rpm "$T/root/var/lib/rpm"
	cat >"$T/build/hello.spec" <<-'END'
		Name: hello
		Version: 1.0~rc1
		Release: 2
		Epoch: 3
		Summary: greets
		License: MIT
		BuildArch: noarch
		%description
		greets
		%install
		mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/share/doc/hello %{buildroot}/bin
		echo hi >%{buildroot}/usr/bin/hello
		echo hi >%{buildroot}/bin/hi
		echo hi >%{buildroot}/usr/share/doc/hello/README
		%files
		/usr/bin/hello
		/bin/hi
		%doc /usr/share/doc/hello/README
		%package extra
		Summary: more
		%description extra
		more
		%files extra
		%dir /usr/share/doc/hello
		%package -n other
		Version: 2
		Summary: other
		%description -n other
		other
		%files -n other
	END
	HOME=$T/build rpmbuild -bb --quiet --define "_topdir $T/build" "$T/build/hello.spec" &&
		rpm --root "$T/root" --dbpath /usr/lib/sysimage/rpm -i --nodeps --ignorearch --ignoreos --excludedocs \
			"$T"/build/RPMS/noarch/*.rpm
}

@test "packages: rpm, as rpm -qa tells of a real database" {
	require_root
	require_peer rpm rpmbuild
	mkdir -p "$T/root/usr/bin"
	ln -s usr/bin "$T/root/bin"
	make_rpmdb
	[ -e "$T/root/usr/bin/hi" ]
	[ ! -e "$T/root/usr/share/doc/hello/README" ]
	touch "$T/root/usr/share/doc/hello/README"
	image "$T/a.tar" "$T/root"
	told "$T/a.tar"
	rpm --dbpath "$T/root/usr/lib/sysimage/rpm" -qa --qf 'rpm\t%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\t%{ARCH}\thello\n' |
		LC_ALL=C sort >"$T/want"
	same "packages" "$(wc -l <"$T/want")" 3
	diff "$T/want" "$T/told"
	# The documentation was left out: rpm says so, and whoever put the file there, it was not hello.
	same "files of hello" "$(jq -r '.images[0].packages[] | select(.name == "hello") | .files' <<<"$output")" 2
	# A log that holds changes is told; an empty one, as rpm leaves it, is not.
	# shellcheck disable=SC2154
	absent warnings "$stderr"
	echo x >"$T/root/usr/lib/sysimage/rpm/rpmdb.sqlite-wal"
	image "$T/b.tar" "$T/root"
	dray_run inspect --packages --json "$T/b.tar"
	expect 0 "*rpmdb.sqlite-wal: changes that wait there are not seen*"
}

@test "packages: apk, of a real image" {
	local archives=${DRAY_ARCHIVES:-$PEERS_TOP/../shared/fixtures/archives}
	[ -e "$archives/fanal-alpine-310.tar.gz" ] || skip "the archives of other projects are not here (set DRAY_ARCHIVES)"
	told "$archives/fanal-alpine-310.tar.gz"
	# The same by the rules of the format, with nothing but awk.
	"$DRAY" cat "$archives/fanal-alpine-310.tar.gz" lib/apk/db/installed | awk -F : -v OFS='\t' '
		/^[PVAo]:/ { v[$1] = substr($0, 3) } /^$/ && v["P"] { print "apk", v["P"], v["V"], v["A"], v["o"]; split("", v) }' |
		LC_ALL=C sort >"$T/want"
	same "packages" "$(wc -l <"$T/want")" 14
	diff "$T/want" "$T/told"
	"$DRAY" cat "$archives/fanal-alpine-310.tar.gz" lib/apk/db/installed | grep -c ^R: >"$T/names"
	same "files" "$(jq '[.images[0].packages[].files] | add' <<<"$output")" "$(cat "$T/names")"
}

@test "packages: none, and a database that is none" {
	mkdir -p "$T/root/var/lib/dpkg"
	image "$T/a.tar" "$T/root"
	dray_run inspect --packages "$T/a.tar"
	expect 0
	[[ $output == *"0 packages; 0 files"* ]]
	echo garbage >"$T/root/var/lib/dpkg/status"
	image "$T/b.tar" "$T/root"
	dray_run inspect --packages "$T/b.tar"
	expect 6 "*b.tar*: var/lib/dpkg/status: line 1 is no*"
	dray_run inspect "$T/b.tar"
	expect 0
}
