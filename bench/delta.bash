# shellcheck shell=bash
# The rows of deltas: from one archive to the next, beside what makes patches of any two files.
#
# Relies on: script/bench (its variables, timed, record, say), bench/recipes for Debian's packages before and after updates.
# Promises: every tool gets the same two canonical archives, and every patch was seen to give back the second.
#
# shellcheck disable=SC2154

# image_of LAYER ARCHIVE: an archive for docker load with that tar as its one layer.
image_of() {
	local layer=$1 to=$2 room=$work/delta/room id
	rm -rf "$room"
	mkdir -p "$room"
	id=$(sha256sum <"$layer" | cut -d ' ' -f 1)
	ln -s "$(realpath "$layer")" "$room/$id.tar"
	printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$id" >"$room/config.json"
	printf '[{"Config":"config.json","RepoTags":["bench/debian:1"],"Layers":["%s.tar"]}]' "$id" >"$room/manifest.json"
	tar -C "$room" -chf "$to" config.json manifest.json "$id.tar"
	rm -rf "$room"
}

# delta_pair ROW: sets OLD and NEW, canonical archives that are made once.
delta_pair() {
	local pair=app from i
	case $1 in *-debian*) pair=debian ;; esac
	OLD=$work/delta/$pair.old NEW=$work/delta/$pair.new
	[ ! -e "$NEW" ] || return 0
	mkdir -p "$work/delta"
	[ "$pair" = app ] || "$top/bench/recipes" --pairs "$dir/recipes" || {
		say "$1 is left out: Debian's packages are not to be had"
		return 1
	}
	for i in old new; do
		case $pair-$i in
		app-old) from=$app ;;
		app-new) from=$app2 ;;
		*) from=$work/delta/from && image_of "$dir/recipes/upgrade.$i" "$from" ;;
		esac
		"$DRAY" normalize -q "$from" -o "$work/delta/$pair.$i.part" >/dev/null
		mv "$work/delta/$pair.$i.part" "$work/delta/$pair.$i"
	done
	rm -f "$work/delta/from"
}

# limited ROW TOOL RUN COMMAND...: timed, but stopped after --slow seconds, which is then what is recorded.
limited() {
	local over=$work/over
	rm -f "$over"
	# shellcheck disable=SC2016
	timed "${@:1:3}" bash -c 'timeout "$1" "${@:3}" || { [ $? -ne 124 ] || touch "$2"; exit 1; }' - "$slow" "$over" "${@:4}"
	[ -e "$over" ] || return 0
	say "$1 $2 run $3: not finished in $slow s"
	sed -i "\$s/\tfailed\t/\tover $slow\t/" "$tsv"
}

# bsdiff sorts the suffixes of the old file: 17 bytes of memory for each of its own, and the new one.
has_room() {
	local need=$((($(stat -c %s "$OLD") * 17 + $(stat -c %s "$NEW")) / 1024))
	[ "$need" -lt "$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)" ] || {
		say "$1 $2 run $3: left out, it takes $((need / 1024)) MiB of memory"
		return 1
	}
}

make_delta() {
	local out=$work/delta/$1.$2
	rm -f "$out"
	case $2 in
	dray) timed "$@" "$DRAY" delta save -q --level file --base "$OLD" "$NEW" -o "$out" ;;
	dray-layer) timed "$@" "$DRAY" delta save -q --level layer --base "$OLD" "$NEW" -o "$out" ;;
	xdelta3) timed "$@" xdelta3 -e -f -s "$OLD" "$NEW" "$out" ;;
	zstd) timed "$@" zstd -q -f -3 --long=31 --patch-from="$OLD" "$NEW" -o "$out" ;;
	zstd-19) limited "$@" zstd -q -f -19 --long=31 --patch-from="$OLD" "$NEW" -o "$out" ;;
	bsdiff) ! has_room "$@" || limited "$@" bsdiff "$OLD" "$NEW" "$out" ;;
	esac
}

# From the old archive to a patch.
row_delta() {
	delta_pair "$1" || return 0
	make_delta "$@"
	if [ -n "$SECS" ]; then
		record "$@" "$(size_of "$work/delta/$1.$2")"
	else
		rm -f "$work/delta/$1.$2" # half of one
	fi
}

# And from both to the new archive, for who made one in the row before.
row_delta_apply() {
	local patch=$work/delta/${1%-apply}.$2 out=$work/delta/back
	delta_pair "$1" || return 0
	[ -e "$patch" ] || return 0
	rm -f "$out"
	case $2 in
	dray*) timed "$@" "$DRAY" delta load -q "$patch" --base "$OLD" -o "docker-archive:$out" ;;
	xdelta3) timed "$@" xdelta3 -d -f -s "$OLD" "$patch" "$out" ;;
	zstd*) timed "$@" zstd -q -f -d --long=31 --patch-from="$OLD" "$patch" -o "$out" ;;
	bsdiff) timed "$@" bspatch "$OLD" "$out" "$patch" ;;
	esac
	[ -n "$SECS" ] || return 0
	case $2 in
	# The image is the same to the byte, the archive around it need not be.
	dray*) [ "$("$DRAY" digest --image-id "$out")" = "$("$DRAY" digest --image-id "$NEW")" ] || die "$1 $2: another image" ;;
	*) cmp "$out" "$NEW" || die "$1 $2: another archive" ;;
	esac
	record "$@" "$(size_of "$out")"
	rm -f "$out"
}
