# shellcheck shell=bash
# Real peers for the end-to-end tests: a private dockerd, docker-registry, podman, skopeo, and our own fake registry.
#
# Relies on: bash 5, util-linux (setsid, flock), curl, openssl; each peer only where a test asks for it.
# Promises: nothing of the machine's own engine, registries, credentials or storage is read or changed; every process
# and mount started here is gone after teardown, after a failed test, and after the test runner itself was killed.
#
# Results are left in exported variables, not printed, so that nothing has to be started in a `$(...)`.
#
# A test file:
#     load peers
#     load images                     # only where images are needed
#     setup() { require_dray; image_need sym; registry_start main plain; }
#     teardown() { peers_teardown; }
#     @test "..." { run "$DRAY" push "$IMAGE" "docker://$REGISTRY_ADDR/x:1" --plain-http; ... }
# Not in setup_file: bats 1.8 cannot skip from there. dockerd and the images are made once per suite all the same; a
# registry starts in a tenth of a second. To look at what is left behind: bats --filter NAME with PEERS_KEEP=1.

PEERS_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PEERS_TOP=$(cd "$PEERS_SRC/../.." && pwd)
export DRAY=${DRAY:-$PEERS_TOP/build/src/cli/dray}

# Without it engines would have their disks below /.
PEERS_NEEDED='bats needs --setup-suite-file tests/e2e/setup_suite.bash for a file that is run alone'

REGISTRY_USER=drayuser
REGISTRY_PASS=dray:pass-1 # a colon in the password is legal and trips naive splitting
export REGISTRY_USER REGISTRY_PASS

# ---------------------------------------------------------------------------------------------------------------------
# Skip or fail

# A missing peer is a skip for a stranger and a failure in CI: there a skip would hide that nothing was proven.
peers_missing() {
	if [ "${CI:-}" != true ] && declare -F skip >/dev/null; then
		skip "$1"
	fi
	printf 'missing peer: %s\n' "$1" >&2
	return 1
}

require_root() {
	[ "$(id -u)" -eq 0 ] || peers_missing "needs root"
}

# require_peer NAME...: programs on PATH; /usr/sbin counts, a normal user's PATH often lacks it.
require_peer() {
	local name
	for name; do
		PATH=$PATH:/usr/sbin:/sbin type -P "$name" >/dev/null || peers_missing "$name is not installed" || return 1
	done
}

require_dray() {
	[ -x "$DRAY" ] || {
		printf 'no dray at %s: build first (meson compile -C build) or set DRAY\n' "$DRAY" >&2
		return 1
	}
}

# A daemon that answers, its CLI, and containers that run. The first caller of a suite starts it.
require_docker() {
	require_root || return 1
	require_peer dockerd docker || return 1
	dockerd_start || peers_missing "dockerd does not start here (see $PEERS_DIR/d/dockerd/log)" || return 1
}

# ---------------------------------------------------------------------------------------------------------------------
# A private home for everything

# The suite's directory, the environment of all peers and the watchdog. Called by setup_suite; a second call is free.
peers_setup() {
	if [ -n "${PEERS_DIR:-}" ] && [ -d "$PEERS_DIR" ]; then
		return 0
	fi
	# Not below BATS_SUITE_TMPDIR: unix socket paths end at 107 bytes and dockerd nests them deep.
	PEERS_DIR=$(mktemp -d "${PEERS_PARENT:-${TMPDIR:-/tmp}}/dray-peers.XXXXXX")
	export PEERS_DIR
	chmod 0711 "$PEERS_DIR"
	mkdir -p "$PEERS_DIR"/{d,certs.d,images,home/.config/containers,home/.docker,xdg/{cache,data},tmp}
	mkdir -m 0700 "$PEERS_DIR/xdg/run"
	peers_write_config
	peers_export_env
	peers_watchdog "${1:-$$}"
}

# Everything that podman, skopeo, buildah, docker and dray look up under $HOME or XDG, so that nobody's login is used.
peers_export_env() {
	export DRAY_TEST_DOCKERD=${DRAY_TEST_DOCKERD:-$("$PEERS_TOP/script/engines" --dir)}
	export HOME=$PEERS_DIR/home
	export XDG_CONFIG_HOME=$HOME/.config
	export XDG_CACHE_HOME=$PEERS_DIR/xdg/cache
	export XDG_DATA_HOME=$PEERS_DIR/xdg/data
	export XDG_RUNTIME_DIR=$PEERS_DIR/xdg/run
	export DOCKER_CONFIG=$HOME/.docker
	export DOCKER_BUILDKIT=0 # the classic builder is what makes symlinked saves, and no plugin is needed
	export CONTAINERS_CONF=$HOME/.config/containers/containers.conf
	export CONTAINERS_STORAGE_CONF=$HOME/.config/containers/storage.conf
	export CONTAINERS_REGISTRIES_CONF=$HOME/.config/containers/registries.conf
	# skopeo and podman find CAs here without --cert-dir; dockerd knows /etc/docker/certs.d only, but it lets
	# loopback registries pass unverified.
	export CERTS_D=$PEERS_DIR/certs.d
	export LC_ALL=C.UTF-8 TZ=UTC
	export no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost
	unset REGISTRY_AUTH_FILE DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH CONTAINER_HOST
	unset STORAGE_DRIVER STORAGE_OPTS SOURCE_DATE_EPOCH
	export DOCKER_HOST=unix://$PEERS_DIR/docker.sock
}

peers_write_config() {
	local c=$PEERS_DIR/home/.config/containers driver=overlay
	[ "$(id -u)" -eq 0 ] || driver=vfs
	ln -s "$PEERS_DIR/certs.d" "$c/certs.d"
	# podman 4.3 insists that the file is there when DOCKER_CONFIG is set.
	printf '{}\n' >"$PEERS_DIR/home/.docker/config.json"
	printf '{"default":[{"type":"insecureAcceptAnything"}]}\n' >"$c/policy.json"
	printf 'unqualified-search-registries = []\nshort-name-mode = "disabled"\n' >"$c/registries.conf"
	cat >"$c/storage.conf" <<-EOF_CONF
		[storage]
		driver = "${PEERS_STORAGE_DRIVER:-$driver}"
		graphroot = "$PEERS_DIR/podman/root"
		runroot = "$PEERS_DIR/podman/run"
	EOF_CONF
	# podman asks for 1048576 files and processes, which a root without CAP_SYS_RESOURCE may not have; crun refuses
	# hosts with hybrid cgroups; hosts without systemd need cgroupfs. No static_dir: the cleanup that podman's monitor
	# runs gets flags instead of this file, there is none for it, and every `podman run` would wait 20 s.
	cat >"$c/containers.conf" <<-EOF_CONF
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
		netns = "none"
		log_driver = "k8s-file"
		[network]
		network_config_dir = "$PEERS_DIR/podman/networks"
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "none"
		runtime = "runc"
		tmp_dir = "$PEERS_DIR/podman/tmp"
		volume_path = "$PEERS_DIR/podman/volumes"
	EOF_CONF
}

# Outlives the test runner by a second: when the runner is gone without its teardown, clean up in its place.
peers_watchdog() {
	local owner=$1
	# shellcheck disable=SC2016
	setsid bash -c '
		exec >/dev/null 2>&1 </dev/null
		while kill -0 "$1" && [ -d "$PEERS_DIR" ]; do sleep 1; done
		[ -d "$PEERS_DIR" ] || exit 0
		. "$2"
		peers_teardown_all' dray-peers-watchdog "$owner" "$PEERS_SRC/peers.bash" \
		>/dev/null 2>&1 </dev/null 3>&- 4>&- 5>&- &
	echo "$!" >"$PEERS_DIR/watchdog.pid"
	disown
}

# Who a process belongs to: what a test starts ends with the test, what setup_file starts with the file.
peers_scope() {
	if [ -n "${PEERS_SCOPE:-}" ]; then
		echo "$PEERS_SCOPE"
	elif [ -n "${BATS_TEST_NAME:-}" ]; then
		echo "test-${BATS_SUITE_TEST_NUMBER:-0}"
	elif [ -n "${BATS_TEST_FILENAME:-}" ]; then
		echo "file-$(basename "$BATS_TEST_FILENAME")"
	else
		echo suite
	fi
}

# For teardown() and teardown_file(): stop what this scope started.
peers_teardown() {
	local d scope
	[ -d "${PEERS_DIR:-}" ] || return 0
	scope=$(peers_scope)
	for d in "$PEERS_DIR"/d/*/; do
		[ -f "$d/scope" ] || continue
		[ "$(cat "$d/scope")" = "$scope" ] || continue
		peer_stop "$(basename "$d")"
	done
	return 0
}

# For teardown_suite and the watchdog: stop everything, unmount, remove.
peers_teardown_all() {
	local d
	[ -d "${PEERS_DIR:-}" ] || return 0
	case $PEERS_DIR in */dray-peers.*) ;; *) return 1 ;; esac
	for d in "$PEERS_DIR"/d/*/; do
		[ -d "$d" ] || continue
		peer_stop "$(basename "$d")" || :
	done
	peers_umount "$PEERS_DIR"
	if [ -n "${PEERS_KEEP:-}" ]; then
		kill "$(cat "$PEERS_DIR/watchdog.pid")" 2>/dev/null || :
		printf 'kept: %s\n' "$PEERS_DIR" >&2
		return 0
	fi
	# Never through a mount that would not go away.
	rm -rf --one-file-system "$PEERS_DIR"
}

# Deepest first; paths with blanks are octal escaped in mountinfo, ours have none.
peers_umount() {
	local m
	awk -v p="$1/" 'index($5, p) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r m; do
		umount "$m" 2>/dev/null || umount -l "$m" 2>/dev/null || :
	done
}

# ---------------------------------------------------------------------------------------------------------------------
# Processes

# A zombie is dead: nobody may be there to reap it.
pid_alive() {
	local state
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 1
	[ -n "$state" ] && [ "$state" != Z ]
}

# fails COMMAND...: "! COMMAND" says nothing: where a test ends at what fails, that is passed over.
fails() {
	if "$@"; then
		echo "this did not fail: $*"
		return 1
	fi
}

# wait_until SECONDS COMMAND...: polls every 50 ms. For what must come the seconds are generous: they are only spent where
# the test fails.
wait_until() {
	local end=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -le "$end" ] || return 1
		sleep 0.05
	done
}

pid_gone() { ! pid_alive "$1"; }

# peer_spawn NAME COMMAND...: in the background, log in $PEERS_DIR/d/NAME/log. Descriptors above 2 are closed, or bats
# would wait for the daemon to end.
peer_spawn() {
	local name=$1 d=${PEERS_DIR:?}/d/$1
	shift
	mkdir -p "$d"
	peers_scope >"$d/scope"
	(
		for fd in /proc/self/fd/*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || eval "exec $fd>&-"
		done
		exec setsid "$@"
	) >>"$d/log" 2>&1 </dev/null &
	echo "$!" >"$d/pid"
	disown
}

peer_pid() { cat "$PEERS_DIR/d/$1/pid" 2>/dev/null; }
peer_log() { cat "$PEERS_DIR/d/$1/log" 2>/dev/null; }
peer_alive() {
	local pid
	pid=$(peer_pid "$1") && pid_alive "$pid"
}

# TERM, then KILL. The directory (log, storage) stays.
peer_stop() {
	local name=$1 pid
	pid=$(peer_pid "$name") || return 0
	kill -TERM "$pid" 2>/dev/null || :
	if ! wait_until "${2:-15}" pid_gone "$pid"; then
		kill -KILL "$pid" 2>/dev/null || :
		wait_until 30 pid_gone "$pid" || :
	fi
	rm -f "$PEERS_DIR/d/$name/pid"
	[ "$name" != dockerd ] || dockerd_sweep
}

# What a power cut does.
peer_kill9() {
	local pid
	pid=$(peer_pid "$1") || return 0
	kill9 "$pid"
	rm -f "$PEERS_DIR/d/$1/pid"
}

kill9() {
	kill -KILL "$1" 2>/dev/null || :
	wait_until 30 pid_gone "$1"
}

# catches PID SIGNAL [PROGRAM]: it runs (dray does), and its handler for SIGNAL is in place. A signal that comes earlier meets whatever
# the shell left.
catches() {
	[ "/proc/$1/exe" -ef "${3:-$DRAY}" ] &&
		[ $(((16#$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status") >> ($(kill -l "$2") - 1)) & 1)) -eq 1 ]
}

# soon MS COMMAND...: COMMAND, which leaves its milliseconds in TOOK, succeeds each time and is through within MS at least
# once in five: a machine with too much to do is slow now and then, a wait that nothing ends is slow always.
soon() {
	local limit=$1 i
	shift
	for i in 1 2 3 4 5; do
		TOOK=
		"$@" || return 1
		[ "$TOOK" -ge "$limit" ] || return 0
	done
	printf '%s took %s ms or more, five times; expected %s\n' "$1" "$TOOK" "$limit" >&2
	return 1
}

# Nobody listens there, and nobody is given it: a port that was free a moment ago may be somebody's by now.
NOBODY=127.0.0.1:1
export NOBODY

# ---------------------------------------------------------------------------------------------------------------------
# dockerd

# Starts the suite's daemon unless it runs. Its scope is the suite whoever asks first; DOCKER_HOST already points at it.
dockerd_start() {
	: "${PEERS_DIR:?$PEERS_NEEDED}"
	(
		flock 9
		[ -f "$PEERS_DIR/d/dockerd/failed" ] && exit 1
		if ! dockerd_ready; then
			PEERS_SCOPE=suite peer_spawn dockerd env -u DOCKER_HOST PATH="$PATH:/usr/sbin:/sbin" \
				dockerd --iptables=false --ip6tables=false --bridge=none \
				--data-root "$PEERS_DIR/docker" --exec-root "$PEERS_DIR/exec" \
				--pidfile "$PEERS_DIR/dockerd.pid" --host "$DOCKER_HOST" --group "$(id -gn)" \
				${PEERS_DOCKER_DRIVER:+--storage-driver "$PEERS_DOCKER_DRIVER"}
			if ! wait_until "${PEERS_DOCKERD_TIMEOUT:-180}" dockerd_ready_or_dead || ! dockerd_ready; then
				touch "$PEERS_DIR/d/dockerd/failed"
				exit 1
			fi
		fi
		[ -f "$PEERS_DIR/docker-cli" ] || dockerd_choose_cli
	) 9>"$PEERS_DIR/dockerd.lock" || return 1
	PEER_DOCKER=$(cat "$PEERS_DIR/docker-cli")
	export PEER_DOCKER
}

dockerd_ready() {
	[ -S "$PEERS_DIR/docker.sock" ] &&
		curl -fsS -o /dev/null --max-time 5 --unix-socket "$PEERS_DIR/docker.sock" http://d/_ping 2>/dev/null
}
dockerd_ready_or_dead() { dockerd_ready || ! peer_alive dockerd; }

# Several CLIs may be installed. The one of the daemon's own version first: some newer ones refuse an old API.
dockerd_choose_cli() {
	local server cli first=
	server=$(curl -fsS --unix-socket "$PEERS_DIR/docker.sock" http://d/version | jq -r .Version)
	while read -r cli; do
		"$cli" version >/dev/null 2>&1 || continue
		: "${first:=$cli}"
		[ "$("$cli" version --format '{{.Client.Version}}')" = "$server" ] || continue
		first=$cli
		break
	done < <(printf '%s\n' ${DRAY_TEST_DOCKER:+"$DRAY_TEST_DOCKER"} && type -aP docker)
	[ -n "$first" ] || return 1
	echo "$first" >"$PEERS_DIR/docker-cli"
}

# The CLI that fits the private daemon.
docker() { "${PEER_DOCKER:-docker}" "$@"; }

# docker_run IMAGE [ARG...]: no network, removed afterwards.
docker_run() { docker run --rm --network none "$@"; }

# podman_run IMAGE [ARG...]: likewise.
podman_run() { podman run --rm --network none "$@"; }

dockerd_stop() { peer_stop dockerd 30; }

# After a kill -9 the children stay behind. Their pids come from our own exec root only.
dockerd_sweep() {
	local pid
	for pid in $(dockerd_children); do
		kill -KILL "$pid" 2>/dev/null || :
		wait_until 30 pid_gone "$pid" || :
	done
	peers_umount "$PEERS_DIR/docker"
	peers_umount "$PEERS_DIR/exec"
	rm -f "$PEERS_DIR/docker.sock" "$PEERS_DIR/dockerd.pid"
}

dockerd_children() {
	local p
	for p in /proc/[0-9]*; do
		case $({ tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null) in
		*containerd*" $PEERS_DIR/exec/"*) echo "${p#/proc/}" ;;
		esac
	done
}

# Only for tests of a stopped or killed engine: they need a daemon that others do not share.
dockerd_data_root() { echo "$PEERS_DIR/docker"; }

# spare_start [DOCKERD ARG...]: a dockerd of the test's own, with nothing in it; DOCKER_HOST is its socket from here on.
spare_start() {
	require_docker || return 1
	touch "$BATS_TEST_TMPDIR/spare"
	SPARE=$PEERS_DIR/spare-$BATS_SUITE_TEST_NUMBER
	peer_spawn spare env -u DOCKER_HOST PATH="$PATH:/usr/sbin:/sbin" dockerd --iptables=false --ip6tables=false \
		--bridge=none --data-root "$SPARE.data" --exec-root "$SPARE.exec" --pidfile "$SPARE.pid" \
		--host "unix://$SPARE.sock" --group "$(id -gn)" "$@"
	export DOCKER_HOST=unix://$SPARE.sock
	wait_until 180 spare_ready_or_dead && spare_ready || {
		peer_log spare | tail -n 30 >&2
		return 1
	}
}
spare_ready_or_dead() { spare_ready || ! peer_alive spare; }
spare_ready() { curl -fsS -o /dev/null --max-time 5 --unix-socket "$SPARE.sock" http://d/_ping 2>/dev/null; }

# What a power cut does to it: dockerd and its containerd, by the folder that only they name. Their PID file goes too, as
# all of /run would: a containerd that nobody has reaped yet still has its PID, and the next dockerd would wait for it.
spare_kill9() {
	local p
	peer_kill9 spare
	for p in /proc/[0-9]*; do
		case $({ tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null) in
		*containerd*" $SPARE.exec/"*) kill9 "${p#/proc/}" ;;
		esac
	done
	rm -f "$SPARE.sock" "$SPARE.pid" "$SPARE.exec/containerd/containerd.pid"
}
# Without one it does nothing: for teardown().
spare_stop() {
	[ -f "$BATS_TEST_TMPDIR/spare" ] || return 0
	peer_stop spare 30
	peers_umount "$SPARE.data"
	peers_umount "$SPARE.exec"
	rm -rf --one-file-system "$SPARE.data" "$SPARE.exec"
}

# ---------------------------------------------------------------------------------------------------------------------
# Docker 29

# No Debian 12 has it: script/engines builds it, or DRAY_TEST_DOCKERD names a folder with dockerd, containerd, its
# shim and runc.
# Elsewhere it is skipped, in CI too.
require_newer() {
	local name
	require_root || return 1
	for name in dockerd containerd containerd-shim-runc-v2 runc; do
		[ -x "$DRAY_TEST_DOCKERD/$name" ] ||
			skip "no newer $name: run script/engines, or set DRAY_TEST_DOCKERD"
	done
}

# newer_start NAME [DOCKERD ARG...]: one of its own data root, $PEERS_DIR/newer/NAME, which stays when it stops.
newer_start() {
	local name=$1 d=$PEERS_DIR/newer/$1
	shift
	mkdir -p "$PEERS_DIR/newer"
	peer_spawn "newer-$name" env -u DOCKER_HOST PATH="$DRAY_TEST_DOCKERD:$PATH:/usr/sbin:/sbin" dockerd \
		--iptables=false --ip6tables=false --bridge=none --data-root "$d" --exec-root "$d.exec" \
		--pidfile "$d.pid" --host "unix://$d.sock" --group "$(id -gn)" --seccomp-profile unconfined "$@"
	wait_until 180 newer_ready_or_dead "$name" && newer_ready "$name" || {
		peer_log "newer-$name" | tail -n 30 >&2
		return 1
	}
}
newer_ready() {
	curl -fsS -o /dev/null --max-time 5 --unix-socket "$PEERS_DIR/newer/$1.sock" http://d/_ping 2>/dev/null
}
newer_ready_or_dead() { newer_ready "$1" || ! peer_alive "newer-$1"; }
newer_stop() {
	peer_stop "newer-$1" 30
	peers_umount "$PEERS_DIR/newer/$1"
	peers_umount "$PEERS_DIR/newer/$1.exec"
}

# newer NAME COMMAND...: with that engine as the one that everybody speaks to.
newer() {
	local name=$1
	shift
	DOCKER_HOST=unix://$PEERS_DIR/newer/$name.sock "$@"
}

# ---------------------------------------------------------------------------------------------------------------------
# docker-registry

# registry_start NAME plain|tls|mtls|htpasswd|tls-htpasswd [REGISTRY_...=VALUE...]
# Storage and port belong to NAME: started again after registry_stop or registry_kill9 it has the same of both.
# Sets REGISTRY_ADDR (host:port), REGISTRY_URL, REGISTRY_CERT_DIR (of the tls forms, for --cert-dir).
registry_start() {
	local name=$1 form=$2 d=${PEERS_DIR:?$PEERS_NEEDED}/d/registry-$1 port=0 unset try
	shift 2
	require_peer docker-registry curl || return 1
	mkdir -p "$d/storage"
	[ ! -f "$d/port" ] || port=$(cat "$d/port")
	echo "$form" >"$d/form"
	registry_config "$d" "$form" "127.0.0.1:$port" >"$d/config.yml"
	# Every REGISTRY_* variable is configuration to it, ours and REGISTRY_AUTH_FILE included.
	mapfile -t unset < <(compgen -e REGISTRY_ | sed 's/^/--unset=/')
	# The port of one that comes again may just now be the near end of somebody's connection.
	for try in $(seq 20); do
		: >"$d/log"
		peer_spawn "registry-$name" env "${unset[@]}" "$@" docker-registry serve "$d/config.yml"
		wait_until 60 registry_listens_or_dead "$name" && registry_listens "$name" && break
		if [ "$try" -eq 20 ] || ! grep -q 'address already in use' "$d/log"; then
			peer_log "registry-$name" >&2
			return 1
		fi
		sleep 0.5
	done
	port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$d/log" | tail -n 1)
	echo "$port" >"$d/port"
	registry_use "$name"
	case $form in
	*tls*) registry_certs_d "$REGISTRY_ADDR" "$form" ;;
	esac
	wait_until 60 registry_ready "$name"
}

registry_listens() {
	peer_alive "registry-$1" && grep -q 'listening on 127\.0\.0\.1:[0-9]' "$PEERS_DIR/d/registry-$1/log"
}

registry_listens_or_dead() { registry_listens "$1" || ! peer_alive "registry-$1"; }

# Select a running registry again: setup_file may have started several.
registry_use() {
	local d=$PEERS_DIR/d/registry-$1 form
	form=$(cat "$d/form")
	REGISTRY_ADDR=127.0.0.1:$(cat "$d/port")
	case $form in
	*tls*) REGISTRY_URL=https://$REGISTRY_ADDR REGISTRY_CERT_DIR=$CERTS_D/$REGISTRY_ADDR ;;
	*) REGISTRY_URL=http://$REGISTRY_ADDR REGISTRY_CERT_DIR= ;;
	esac
	export REGISTRY_ADDR REGISTRY_URL REGISTRY_CERT_DIR
}

registry_addr() { echo "127.0.0.1:$(cat "$PEERS_DIR/d/registry-$1/port")"; }
registry_storage() { echo "$PEERS_DIR/d/registry-$1/storage"; }
registry_log() { peer_log "registry-$1"; }
registry_stop() { peer_stop "registry-$1"; }
registry_kill9() { peer_kill9 "registry-$1"; }

# registry_restart NAME [kill]: same port, same storage.
registry_restart() {
	if [ "${2:-}" = kill ]; then registry_kill9 "$1"; else registry_stop "$1"; fi
	registry_start "$1" "$(cat "$PEERS_DIR/d/registry-$1/form")"
}

# Emptied while it runs; its cache of blob descriptors is off, or it would claim to have what is gone.
registry_wipe() {
	rm -rf "$PEERS_DIR/d/registry-$1/storage"
	mkdir -p "$PEERS_DIR/d/registry-$1/storage"
}

# registry_curl NAME PATH [CURL ARG...]: /v2/... with whatever the form needs. (curl reads --cert FILE:PASSWORD, so not the
# copies below certs.d: their paths have a colon.)
registry_curl() {
	local d=$PEERS_DIR/d/registry-$1 path=$2 args=()
	local form addr
	form=$(cat "$d/form") addr=127.0.0.1:$(cat "$d/port")
	shift 2
	case $form in *htpasswd*) args+=(--user "$REGISTRY_USER:$REGISTRY_PASS") ;; esac
	case $form in mtls) args+=(--cert "$PEERS_DIR/ca/client.crt" --key "$PEERS_DIR/ca/client.key") ;; esac
	case $form in
	*tls*) curl -sS --noproxy '*' --cacert "$CERTS_D/$addr/ca.crt" "${args[@]}" "$@" "https://$addr$path" ;;
	*) curl -sS --noproxy '*' "${args[@]}" "$@" "http://$addr$path" ;;
	esac
}

registry_ready() { registry_curl "$1" /v2/ -f -o /dev/null --max-time 5 2>/dev/null; }

# The digest the registry gives for NAME:TAG, asked for as both manifest kinds.
registry_digest() {
	registry_curl "$1" "/v2/$2/manifests/$3" -f -o /dev/null -D - \
		-H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
		-H 'Accept: application/vnd.oci.image.manifest.v1+json' |
		tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p'
}

registry_config() {
	local d=$1 form=$2 addr=$3
	cat <<-EOF_CONF
		version: 0.1
		log: {level: info, accesslog: {disabled: false}}
		storage:
		  filesystem: {rootdirectory: $d/storage}
		  delete: {enabled: true}
		  maintenance: {uploadpurging: {enabled: false}}
		http:
		  addr: $addr
		  secret: same-over-restarts
		  headers: {X-Content-Type-Options: [nosniff]}
	EOF_CONF
	case $form in
	*tls*)
		peers_ca
		printf '  tls:\n    certificate: %s\n    key: %s\n' "$PEERS_DIR/ca/server.crt" "$PEERS_DIR/ca/server.key"
		[ "$form" != mtls ] || printf '    clientcas: [%s]\n' "$PEERS_DIR/ca/ca.crt"
		;;
	esac
	case $form in
	*htpasswd*)
		htpasswd -Bbn "$REGISTRY_USER" "$REGISTRY_PASS" >"$d/htpasswd"
		printf 'auth:\n  htpasswd: {realm: dray tests, path: %s}\n' "$d/htpasswd"
		;;
	esac
}

# certs.d/HOST:PORT as all clients read it: ca.crt, and client.cert + client.key for mutual TLS.
registry_certs_d() {
	local dir=$CERTS_D/$1
	mkdir -p "$dir"
	cp "$PEERS_DIR/ca/ca.crt" "$dir/ca.crt"
	if [ "$2" = mtls ]; then
		cp "$PEERS_DIR/ca/client.crt" "$dir/client.cert"
		cp "$PEERS_DIR/ca/client.key" "$dir/client.key"
	fi
}

# A CA, a server certificate for loopback, a client certificate; once per suite.
peers_ca() {
	local ca=$PEERS_DIR/ca who ext
	(
		flock 9
		[ ! -f "$ca/done" ] || exit 0
		mkdir -p "$ca"
		openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=dray test CA" \
			-keyout "$ca/ca.key" -out "$ca/ca.crt" 2>/dev/null
		for who in server client; do
			if [ "$who" = server ]; then
				ext='subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost'
			else
				ext='extendedKeyUsage=clientAuth'
			fi
			openssl req -newkey rsa:2048 -nodes -subj "/CN=dray test $who" \
				-keyout "$ca/$who.key" -out "$ca/$who.csr" 2>/dev/null
			openssl x509 -req -in "$ca/$who.csr" -CA "$ca/ca.crt" -CAkey "$ca/ca.key" -CAcreateserial \
				-days 2 -extfile <(echo "$ext") -out "$ca/$who.crt" 2>/dev/null
		done
		touch "$ca/done"
	) 9>"$PEERS_DIR/ca.lock"
}

# ---------------------------------------------------------------------------------------------------------------------
# The tests' own misbehaving registry

# fakereg_start NAME [ARG...]: sets FAKEREG_ADDR (the first line) and FAKEREG_ADDRS (all; it may open several ports).
fakereg_start() {
	local name=$1 d=${PEERS_DIR:?}/d/fakereg-$1
	shift
	mkdir -p "$d"
	: >"$d/log"
	peer_spawn "fakereg-$name" python3 -u "$PEERS_TOP/tests/registry/fakereg.py" "$@"
	wait_until 60 fakereg_listens "$name" || {
		peer_log "fakereg-$name" >&2
		return 1
	}
	fakereg_use "$name"
}

fakereg_listens() { peer_alive "fakereg-$1" && grep -q '^listening ' "$PEERS_DIR/d/fakereg-$1/log"; }

fakereg_use() {
	FAKEREG_ADDRS=$(sed -n 's/^listening //p' "$PEERS_DIR/d/fakereg-$1/log")
	FAKEREG_ADDR=$(head -n 1 <<<"$FAKEREG_ADDRS")
	export FAKEREG_ADDR FAKEREG_ADDRS
}

fakereg_stop() { peer_stop "fakereg-$1"; }
fakereg_log() { peer_log "fakereg-$1"; }
