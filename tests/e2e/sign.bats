#!/usr/bin/env bats
# Signatures: made by dray and believed by gpg, made by gpg and believed by dray, and everything that must not be
# believed. Keys are made here by the real gpg, in homes of their own.

load lib

RELEASE='Release <release@example.test>'

setup() {
	verbs_setup
	require_peer gpg gpgconf
	image_need sym
	cp "$IMAGE" "$BATS_TEST_TMPDIR/app.tar"
	cd "$BATS_TEST_TMPDIR"
	export GNUPGHOME=$BATS_TEST_TMPDIR/h
	mkdir -m 0700 "$GNUPGHOME"
}

teardown() {
	GNUPGHOME=$BATS_TEST_TMPDIR/h gpgconf --kill gpg-agent
	peers_teardown
}

# ---------------------------------------------------------------------------------------------------------------------
# Keys and signatures by gpg alone

g() { gpg --batch --quiet --no-tty "$@"; }

# key UID [ALGO [EXPIRE [GPG ARG...]]]
key() {
	local uid=$1 algo=${2:-ed25519} expire=${3:-never}
	shift "$(($# < 3 ? $# : 3))"
	g --passphrase '' "$@" --quick-gen-key "$uid" "$algo" sign "$expire"
}

fingerprint() { gpg --batch --with-colons --list-keys "$1" | awk -F: '$1 == "fpr" { print $10; exit }'; }

# A release key, and the file of public keys that people outside have.
release_key() {
	key "$RELEASE" "$@" || return 1
	FPR=$(fingerprint release@example.test)
	g --armor --export release@example.test >release.asc
}

# canonical FILE [OUT]: the bytes that are signed.
canonical() { "$DRAY" normalize -q --untagged "$1" -o "${2:-canonical.tar}" >/dev/null; }

# signed_by_gpg OUT GPG ARG...: over the canonical bytes of app.tar.
signed_by_gpg() {
	local out=$1
	shift
	[ -f canonical.tar ] || canonical app.tar
	g --output "$out" "$@" --detach-sign canonical.tar
}

# good SIG [KEYRING [IMAGE]], bad SIG PATTERN [KEYRING [IMAGE]]
good() {
	dray_run verify --json "${3:-app.tar}" --signature "$1" --keyring "${2:-release.asc}"
	expect 0 || return 1
	same "signature" "$(jq -c '[.ok, .signature.valid]' <<<"$output")" '[true,true]'
}
bad() {
	dray_run verify --json "${4:-app.tar}" --signature "$1" --keyring "${3:-release.asc}"
	expect 7 "dray: verify: *$2*" || return 1
	same "the document" "$(jq -c '[.ok, .signature.valid, .error.code, (.images | length)]' <<<"$output")" \
		'[false,false,"signature",1]'
	dray_run verify "${4:-app.tar}" --signature "$1" --keyring "${3:-release.asc}"
	expect 7 "dray: verify: *$2*"
}

# ---------------------------------------------------------------------------------------------------------------------
# Two programs, one signature

@test "sign: dray signs, dray and gpg verify" {
	release_key
	dray_run sign app.tar --key release@example.test -o app.sig
	expect 0 "*$FPR*"
	same "result" "$output" "app.sig@$(docker_image_id test/sym:1)"
	good app.sig
	same "fingerprint" "$(jq -r .signature.fingerprint <<<"$output")" "$FPR"
	same "primary" "$(jq -r .signature.primary_fingerprint <<<"$output")" "$FPR"
	same "uid" "$(jq -r .signature.uid <<<"$output")" "$RELEASE"
	[[ $(jq -r .signature.created <<<"$output") =~ ^20[0-9-]{8}T[0-9:]{8}Z$ ]]
	same "count" "$(jq '.signatures | length' <<<"$output")" 1

	dray_run verify app.tar --signature app.sig --keyring release.asc
	expect 0
	[[ $output == *"ok: 4 layers"*$'\n'"signature: good: $RELEASE, key $FPR, 20"* ]]

	# Without dray's help: from its output, and from the file.
	canonical app.tar
	g --verify app.sig canonical.tar
	"$DRAY" normalize -q --untagged app.tar | g --verify app.sig -
	same "digest" "$("$DRAY" verify --json app.tar --signature app.sig --keyring release.asc | jq -r .canonical_digest)" \
		"sha256:$(sha256sum <canonical.tar | cut -d ' ' -f 1)"
	# And what it is not a signature of.
	run ! g --verify app.sig app.tar
}

@test "sign: gpg signs, dray verifies" {
	release_key
	signed_by_gpg app.sig
	good app.sig
	signed_by_gpg app.asc --armor
	good app.asc
	"$DRAY" normalize -q --untagged app.tar -o - | g --output piped.sig --detach-sign -
	good piped.sig
}

@test "sign: armour, RSA, and a key named by its fingerprint" {
	release_key rsa2048
	dray_run sign app.tar --key "$FPR" -o app.asc --armor
	expect 0
	same "first line" "$(head -n 1 app.asc)" "-----BEGIN PGP SIGNATURE-----"
	good app.asc
	canonical app.tar
	g --verify app.asc canonical.tar
}

@test "sign: a subkey signs, and both keys are named" {
	local sub
	g --passphrase '' --quick-gen-key "$RELEASE" ed25519 cert never
	FPR=$(fingerprint release@example.test)
	g --passphrase '' --quick-add-key "$FPR" ed25519 sign never
	sub=$(gpg --batch --with-colons --list-keys | awk -F: '$1 == "fpr" { f = $10 } END { print f }')
	g --export >release.gpg
	"$DRAY" sign -q app.tar --key "$FPR" -o app.sig
	good app.sig release.gpg
	same "fingerprint" "$(jq -r .signature.fingerprint <<<"$output")" "$sub"
	same "primary" "$(jq -r .signature.primary_fingerprint <<<"$output")" "$FPR"
	[ "$sub" != "$FPR" ]
}

@test "sign: the signature survives tags, stores, compression and engines" {
	require_root && require_peer podman skopeo
	release_key
	"$DRAY" sign -q app.tar --key "$FPR" -o app.sig
	# Another name, another second.
	docker_save_as other.example.test/renamed:9 renamed.tar
	good app.sig release.asc renamed.tar
	image_need podman-docker
	good app.sig release.asc "$IMAGE"
	"$DRAY" copy -q app.tar oci:layout:1
	good app.sig release.asc oci:layout:1
	"$DRAY" copy -q app.tar oci-archive:gz.tar:1 --compression zstd
	good app.sig release.asc gz.tar
	gzip <app.tar >app.tar.gz
	good app.sig release.asc app.tar.gz
	registry_start main plain
	"$DRAY" push -q app.tar "$REGISTRY_ADDR/app:1"
	good app.sig release.asc "$REGISTRY_ADDR/app:1"
	canonical app.tar
	good app.sig release.asc canonical.tar
	# And it can be made anywhere, also from a pipe.
	"$DRAY" sign -q "$REGISTRY_ADDR/app:1" --key "$FPR" -o remote.sig
	good remote.sig
	"$DRAY" sign -q - --key "$FPR" -o piped.sig <app.tar
	good piped.sig
	# skopeo writes another config on the way to OCI: another image, and not signed.
	skopeo copy -q docker-archive:app.tar oci-archive:skopeo.tar:1
	bad app.sig "other bytes" release.asc skopeo.tar
}

# ---------------------------------------------------------------------------------------------------------------------
# The image is another one

# Consistent by itself: new config, named by its digest.
other_image() {
	archive_edit "$1" "$2" "
import hashlib, json
if member.name.endswith('.json') and member.name != 'manifest.json' and '/' not in member.name:
    data = data.replace(b'dray sym', b'dray bad')
    member.name = hashlib.sha256(data).hexdigest() + '.json'
    sys.config = member.name
if member.name == 'manifest.json':
    doc = json.loads(data)
    doc[0]['Config'] = sys.config
    data = json.dumps(doc).encode()
"
}

@test "sign: wrong bytes are problems before the signature is looked at, another image is not signed" {
	release_key
	"$DRAY" sign -q app.tar --key "$FPR" -o app.sig
	other_image app.tar other.tar
	dray_run verify other.tar
	expect 0
	bad app.sig "other bytes" release.asc other.tar

	archive_flip app.tar flipped.tar 700
	dray_run verify --json flipped.tar --signature app.sig --keyring release.asc
	expect 1
	same "the document" "$(jq -c '[.ok, .signature.valid, .problems[0].code]' <<<"$output")" \
		'[false,false,"diff-id-mismatch"]'
	dray_run verify flipped.tar --signature app.sig --keyring release.asc
	expect 1
	[[ $output != *signature:* ]]
	# Both at once: 1 as well.
	head -c 40 app.sig >cut.sig
	dray_run verify flipped.tar --signature cut.sig --keyring release.asc
	expect 1
}

@test "sign: what cannot be proven is not signed" {
	release_key
	archive_flip app.tar flipped.tar 700
	dray_run sign flipped.tar --key "$FPR" -o app.sig
	expect 6 "dray: sign: *"
	[ ! -e app.sig ]
	dray_run sign app.tar --key "$FPR" -o app.sig
	expect 0
}

# ---------------------------------------------------------------------------------------------------------------------
# The key does not count

@test "sign: a key that is not in the keyring, wherever else it is" {
	release_key
	key 'Stranger <stranger@example.test>'
	g --export stranger@example.test >stranger.gpg
	"$DRAY" sign -q app.tar --key release@example.test -o app.sig
	# It is in this user's own keyring, and trusted there.
	bad app.sig "no key that this signature could be from" stranger.gpg
	cat stranger.gpg >both.gpg
	g --export release@example.test >>both.gpg
	good app.sig both.gpg
	# The user's own keys, when nobody names a keyring.
	dray_run verify --json app.tar --signature app.sig
	expect 0
	same "trust" "$(jq -r .signature.trust <<<"$output")" ultimate
	mkdir -m 0700 empty
	dray_run verify app.tar --signature app.sig --homedir empty
	expect 7 "*no key*"
	dray_run verify app.tar --signature app.sig --homedir h
	expect 0
}

@test "sign: an expired key" {
	release_key ed25519 10d --faked-system-time 20200101T000000
	signed_by_gpg old.sig --faked-system-time 20200102T000000
	bad old.sig "the key of the signature has expired"
	dray_run sign app.tar --key "$FPR" -o app.sig
	expect 7 "*no such secret key that may sign*"
	# The twin: the same times, a longer life.
	g --passphrase '' --quick-set-expire "$FPR" 20y
	g --export >longer.gpg
	good old.sig longer.gpg
}

@test "sign: an expired signature" {
	release_key ed25519 never --faked-system-time 20200101T000000
	signed_by_gpg short.sig --faked-system-time 20200102T000000 --default-sig-expire 5d
	bad short.sig "the signature has expired"
	signed_by_gpg long.sig --faked-system-time 20200102T000000 --default-sig-expire 60y
	good long.sig
	same "expires" "$(jq -r .signature.expires <<<"$output")" "$(date -u -d "2020-01-02 + $((60 * 365)) days" +%FT%TZ)"
}

@test "sign: a revoked key" {
	release_key
	signed_by_gpg app.sig
	good app.sig
	sed 's/^:---/---/' "$GNUPGHOME/openpgp-revocs.d/$FPR.rev" >revoke.asc
	g --import revoke.asc
	g --armor --export >revoked.asc
	bad app.sig "revoked" revoked.asc
	bad app.sig "revoked" "$GNUPGHOME/pubring.kbx"
	dray_run verify app.tar --signature app.sig
	expect 7 "*revoked*"
	# Who has not heard of it believes it still: a keyring is as good as it is new.
	good app.sig release.asc
}

@test "sign: keys that their owner distrusts" {
	release_key
	signed_by_gpg app.sig
	echo "$FPR:3:" | g --import-ownertrust
	printf 'trust-model direct\n' >"$GNUPGHOME/gpg.conf"
	dray_run verify app.tar --signature app.sig
	expect 7 "*never to trust*"
	good app.sig release.asc
}

@test "sign: keyrings of every kind" {
	local k
	release_key
	key 'Second <second@example.test>'
	"$DRAY" sign -q app.tar --key "$FPR" -o app.sig
	g --export release@example.test >release.gpg
	g --armor --export second@example.test >two.asc
	cat release.asc >>two.asc
	sed 's/$/\r/' release.asc >dos.asc
	for k in release.asc release.gpg two.asc dos.asc "$GNUPGHOME/pubring.kbx"; do
		good app.sig "$k"
	done
	dray_run verify app.tar --signature app.sig --keyring nowhere.gpg
	expect 3 "dray: verify: keyring: *nowhere.gpg*"
	: >empty.gpg
	g --passphrase '' --export-secret-keys >secret.gpg
	for k in empty.gpg secret.gpg app.tar app.sig; do
		dray_run verify app.tar --signature app.sig --keyring "$k"
		expect 6 "dray: verify: keyring $k: *"
	done
	head -c 100 release.gpg >cut.gpg
	dray_run verify app.tar --signature app.sig --keyring cut.gpg
	expect 7
}

# ---------------------------------------------------------------------------------------------------------------------
# The file is not what it should be

@test "sign: signature files that are none" {
	release_key
	signed_by_gpg app.sig
	canonical app.tar
	: >empty.sig
	head -c 60 app.sig >cut.sig
	{ cat app.sig && echo junk; } >junk.sig
	echo small >small
	g --output clear.asc --clearsign small
	g --output inline.sig --sign small
	g --output inline.asc --armor --sign small
	g --output whole.sig --sign --compress-algo none canonical.tar
	python3 -c 'd = bytearray(open("app.sig", "rb").read()); d[-1] ^= 1; open("flip.sig", "wb").write(d)'
	bad empty.sig "the file is empty"
	bad cut.sig ""
	bad junk.sig "gpg did not accept all"
	bad clear.asc "no detached OpenPGP signature"
	bad inline.sig "no detached OpenPGP signature"
	bad inline.asc "no detached OpenPGP signature"
	bad whole.sig "over the limit"
	bad flip.sig ""
	bad release.asc "no detached OpenPGP signature"
	bad app.tar "over the limit"
	# Armour that promises a signature, around a whole message.
	sed 's/PGP MESSAGE/PGP SIGNATURE/' inline.asc >disguised.asc
	bad disguised.asc ""
	{ cat app.sig && cat inline.sig; } >both.sig
	bad both.sig ""
	dray_run verify app.tar --signature nowhere.sig --keyring release.asc
	expect 3 "dray: verify: open nowhere.sig: *"
	good app.sig
}

@test "sign: of several signatures each has to be good" {
	release_key
	key 'Second <second@example.test>'
	g --export >both.gpg
	echo other >other
	g --local-user "$FPR" --output other.sig --detach-sign other
	signed_by_gpg one.sig --local-user "$FPR"
	signed_by_gpg two.sig --local-user second@example.test
	signed_by_gpg joint.sig --local-user "$FPR" --local-user second@example.test
	cat one.sig two.sig >cat.sig
	good cat.sig both.gpg
	same "both" "$(jq -c '[.signatures[].valid]' <<<"$output")" '[true,true]'
	good joint.sig both.gpg
	# One of them is unknown, or of something else, in any order.
	bad cat.sig "no key" release.asc
	bad joint.sig "no key" release.asc
	cat one.sig other.sig >bad1.sig
	cat other.sig one.sig >bad2.sig
	bad bad1.sig "other bytes" both.gpg
	bad bad2.sig "other bytes" both.gpg
}

@test "sign: signatures that prove too little" {
	release_key rsa2048
	signed_by_gpg sha1.sig --digest-algo SHA1
	bad sha1.sig "too weak"
	signed_by_gpg sha512.sig --digest-algo SHA512
	good sha512.sig
}

# ---------------------------------------------------------------------------------------------------------------------
# Manners

@test "sign: verifying with a keyring touches nothing of the user's gpg and leaves nothing behind" {
	release_key
	"$DRAY" sign -q app.tar --key "$FPR" -o app.sig
	gpgconf --kill gpg-agent
	# A home that cannot be used, options that would change the answer.
	mkdir -m 0700 evil
	printf 'no-such-option\n' >evil/gpg.conf
	GNUPGHOME=$PWD/evil good app.sig
	same "evil" "$(ls -A evil)" gpg.conf
	GNUPGHOME=/nonexistent HOME=/nonexistent good app.sig
	absent "temporary files" "$(ls -A "$TMPDIR")"
	absent "agents" "$(pgrep -af "gpg-agent.*$BATS_TEST_TMPDIR" || :)"
}

@test "sign: options of the user's gpg.conf do not make something else of it" {
	release_key
	printf 'armor\ntextmode\n' >"$GNUPGHOME/gpg.conf"
	dray_run sign app.tar --key "$FPR" -o app.sig
	expect 0
	run ! grep -q BEGIN app.sig
	rm "$GNUPGHOME/gpg.conf"
	good app.sig
}

@test "sign: a passphrase from a file" {
	echo right >right
	echo wrong >wrong
	g --passphrase-file right --pinentry-mode loopback --quick-gen-key "$RELEASE" ed25519 sign never
	g --export >release.gpg
	gpgconf --kill gpg-agent # it remembers
	dray_run sign app.tar --key release@example.test -o app.sig --passphrase-file wrong
	expect 7 "*passphrase is missing or wrong*"
	[ ! -e app.sig ]
	dray_run sign app.tar --key release@example.test -o app.sig --passphrase-file nowhere
	expect 3 "dray: sign: passphrase: *nowhere*"
	dray_run sign app.tar --key release@example.test -o app.sig --passphrase-file right
	expect 0
	good app.sig release.gpg
}

@test "sign: the file appears whole or not at all" {
	release_key
	echo precious >app.sig
	dray_run sign app.tar --key nobody@example.test -o app.sig
	expect 7 "dray: sign: key nobody@example.test: *no such secret key*"
	same "old file" "$(cat app.sig)" precious
	dray_run sign app.tar --key "$FPR" -o app.sig --no-clobber
	expect 2 "*exists*"
	same "old file" "$(cat app.sig)" precious
	dray_run sign app.tar --key "$FPR" -o nowhere/app.sig
	expect 9
	dray_run sign app.tar --key "$FPR" -o app.sig --json
	expect 0
	same "json" "$(jq -c '[.output, .signature.fingerprint, .image_ids[0]]' <<<"$output")" \
		"[\"app.sig\",\"$FPR\",\"$(docker_image_id test/sym:1)\"]"
	good app.sig
	"$DRAY" sign -q app.tar --key "$FPR" -o - >stdout.sig
	good stdout.sig
	dray_run sign app.tar --key "$FPR" -o - --json
	expect 0
	same "json" "$(jq -c '[.output, .signature.fingerprint]' <<<"$output")" "[\"-\",\"$FPR\"]"
	jq -r .data <<<"$output" | base64 -d >json.sig
	good json.sig
	absent "left behind" "$(find . -maxdepth 1 -name '.*.dray-*')"
}

@test "sign: a binary signature does not go to a terminal" {
	require_peer script
	release_key
	run script -qec "'$DRAY' sign -q app.tar --key $FPR -o -" /dev/null
	[ "$status" -eq 2 ]
	[[ $output == *"does not go to a terminal"* ]]
	run script -qec "'$DRAY' sign -q app.tar --key $FPR -o - --armor" /dev/null
	[ "$status" -eq 0 ]
	[[ $output == *"BEGIN PGP SIGNATURE"* ]]
}

@test "sign: command lines that make no sense" {
	release_key
	dray_run sign app.tar -o app.sig
	expect 2 "*--key is missing*"
	dray_run sign app.tar --key "$FPR"
	expect 2 "*--output is missing*"
	dray_run sign app.tar --key --armor -o app.sig
	expect 2
	dray_run sign app.tar --key '' -o app.sig
	expect 2
	dray_run verify app.tar --keyring release.asc
	expect 2 "*--keyring is about a --signature*"
	dray_run verify app.tar --signature app.sig --keyring release.asc --homedir h
	expect 2 "*one of both*"
	dray_piped app.tar verify - --signature app.sig --keyring release.asc
	expect 2 "*read only once*hint: *"
	dray_run sign nowhere.tar --key "$FPR" -o app.sig
	expect 3
}

@test "sign: without a gpg, 8 and what to install" {
	mkdir bin
	echo x >app.sig
	release_key
	signed_by_gpg good.sig
	run --separate-stderr env PATH="$PWD/bin" "$DRAY" sign app.tar --key x -o new.sig
	expect 8 "*the program gpg is not installed*hint: *gnupg*"
	run --separate-stderr env PATH="$PWD/bin" "$DRAY" verify app.tar --signature good.sig --keyring release.asc
	expect 8 "*the program gpg is not installed*"
	dray_run verify app.tar --signature good.sig --keyring release.asc
	expect 0
}

@test "sign: several images" {
	release_key
	image_need multi
	cp "$IMAGE" multi.tar
	dray_run sign multi.tar --key "$FPR" -o app.sig
	expect 2 "*test/multi-a:1*"
	dray_run sign multi.tar --key "$FPR" -o all.sig --all
	expect 0
	same "lines" "$(wc -l <<<"$output")" 2
	dray_run sign multi.tar --key "$FPR" -o a.sig --image test/multi-a:1
	expect 0
	dray_run verify multi.tar --signature all.sig --keyring release.asc --all
	expect 0
	dray_run verify multi.tar --signature a.sig --keyring release.asc --image test/multi-a:1
	expect 0
	dray_run verify multi.tar --signature a.sig --keyring release.asc --image test/multi-b:1
	expect 7
	dray_run verify multi.tar --signature a.sig --keyring release.asc --all
	expect 7
	# As for normalize: where nothing chooses, all of a file are meant.
	dray_run verify multi.tar --signature all.sig --keyring release.asc
	expect 0
	"$DRAY" normalize -q --untagged multi.tar | g --verify all.sig -
	dray_run verify multi.tar --signature a.sig --keyring release.asc
	expect 7
	# The set, in another order and from another place.
	docker save -o swapped.tar test/multi-b:1 test/multi-a:1
	dray_run verify swapped.tar --signature all.sig --keyring release.asc --all
	expect 0
}

# ---------------------------------------------------------------------------------------------------------------------
# A gpg that lies, leaves or stays

# fake_gpg SCRIPT: STATUS is the status descriptor's number.
fake_gpg() {
	mkdir -p fake
	cat >fake/gpg <<-EOF_GPG
		#!/bin/bash
		while [ "\$1" != --status-fd ]; do shift; done
		STATUS=\$2
		say() { echo "[GNUPG:] \$*" >&"\$STATUS"; }
		$1
	EOF_GPG
	chmod +x fake/gpg
}

@test "sign: only status lines count, and only with the rest" {
	local f=2700EF3F8C2EEC1ED70E94B7C638C70894A7C8A5
	release_key
	signed_by_gpg app.sig
	lied() {
		fake_gpg "$1"
		PATH=$PWD/fake:$PATH bad app.sig "$2"
	}
	valid="say VALIDSIG $f 2026-11-21 1795261378 0 4 0 22 8 00 $f"
	# The twin of those below: this is what it takes.
	fake_gpg "cat >/dev/null; say NEWSIG; say GOODSIG ${f:24} Somebody; $valid"
	PATH=$PWD/fake:$PATH good app.sig
	lied "cat >/dev/null; echo '[GNUPG:] GOODSIG ${f:24} x' >&2; exit 0" "no detached signature"
	lied "cat >/dev/null; echo '[GNUPG:] GOODSIG ${f:24} x'; exit 0" "no detached signature"
	lied "cat >/dev/null; say NEWSIG; say GOODSIG ${f:24} x; exit 0" "did not call the signature valid"
	lied "cat >/dev/null; say NEWSIG; say GOODSIG ${f:24} x; $valid; exit 2" "did not accept all"
	lied "cat >/dev/null; say NEWSIG; say GOODSIG ${f:24} x; $valid; kill -KILL \$\$" "did not accept all"
	# It cannot have seen all bytes.
	lied "head -c 1000 >/dev/null; say NEWSIG; say GOODSIG ${f:24} x; $valid; exit 0" "did not accept all"
	lied "head -c 100000 /dev/zero >&\$STATUS; cat >/dev/null" "damaged"
	lied "head -c 10000000 /dev/zero >&2; cat >/dev/null; exit 2" "no detached signature"
	# A name that clears the screen stays text.
	fake_gpg "cat >/dev/null; say NEWSIG; say GOODSIG ${f:24} \$'\\e[2J%1B[2J'; $valid"
	PATH=$PWD/fake:$PATH dray_run verify app.tar --signature app.sig --keyring release.asc
	expect 0
	[[ $output != *$'\e'* ]]
}

@test "sign: an agent that stays does not hold us, a silent gpg can be interrupted" {
	local pid
	release_key
	# What it started keeps every descriptor open.
	fake_gpg 'cat >/dev/null; sleep 600 & echo $! >agent.pid; exit 2'
	PATH=$PWD/fake:$PATH timeout 60 "$DRAY" sign app.tar --key x -o app.sig 3>&- && false
	[ "$?" -ne 124 ]
	kill "$(cat agent.pid)"
	fake_gpg 'echo $$ >silent.pid; exec sleep 600'
	PATH=$PWD/fake:$PATH "$DRAY" sign -q app.tar --key x -o app.sig 3>&- &
	pid=$!
	wait_until 60 test -s silent.pid
	kill -INT "$pid" || :
	run wait "$pid"
	wait_until 60 pid_gone "$pid"
	wait_until 60 pid_gone "$(cat silent.pid)"
	[ ! -e app.sig ]
	absent "left behind" "$(find . -maxdepth 1 -name '.*.dray-*')"
}

# ---------------------------------------------------------------------------------------------------------------------
# The machine fails

# faults KIND STEP ARG...: the n-th call of a kind fails; out of memory or a failed call is 9, a call that made no
# difference 0, nothing else.
faults() {
	local kind=$1 step=$2 n good=0
	shift 2
	for ((n = 1; good < 5 && n < 3000; n += step)); do
		run --separate-stderr env DRAY_FAULT="$kind:$n" "$DRAY-faulty" "$@"
		case $status in
		0) good=$((good + 1)) ;;
		9) good=0 ;;
		*)
			printf '%s %s: status %s: %s\n' "$kind" "$n" "$status" "$stderr"
			return 1
			;;
		esac
	done
	[ "$n" -gt $((step * 6)) ]
}

@test "G-01 G-17: sign and verify --signature, when calls fail" {
	[ -x "$DRAY-faulty" ] || skip "needs dray-faulty: ninja src/cli/dray-faulty"
	release_key
	"$DRAY" sign -q app.tar --key "$FPR" -o app.sig
	cp app.sig precious
	faults alloc 41 verify -q app.tar --signature app.sig --keyring release.asc
	faults io 7 verify -q app.tar --signature app.sig --keyring release.asc
	faults alloc 41 sign -q app.tar --key "$FPR" -o new.sig
	faults io 7 sign -q app.tar --key "$FPR" -o new.sig
	good new.sig
	cmp app.sig precious
	absent "left behind" "$(find . -maxdepth 1 -name '.*.dray-*')"
}
