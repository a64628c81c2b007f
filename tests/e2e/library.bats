#!/usr/bin/env bats
# libdray for strangers: installed, found by pkg-config, used from C and C++, shared and static; it exports what its
# headers declare, nothing else, and costs no libcurl until a registry is used.

load lib

setup() {
	require_dray
	require_peer meson pkg-config cc nm ldd python3
	BUILD=${DRAY_BUILD:-${DRAY%/src/cli/dray}}
	dray_sanitized && skip "a build with sanitizers is no library for strangers"
	ROOT=$BATS_TEST_TMPDIR/root
	install_into "$ROOT" || return
	SYSTEM_PC=$(pkg-config --variable pc_path pkg-config)
	PC=$(dirname "$(find "$ROOT" -name libdray.pc)")
	LIBDIR=$(dirname "$(find "$ROOT" -name libdray.so)")
}

# install_into DIR: what `meson install` puts there, from a build that is complete already.
install_into() {
	DESTDIR=$1 meson install -C "$BUILD" --no-rebuild --quiet >"$BATS_TEST_TMPDIR/install" 2>&1 || {
		cat "$BATS_TEST_TMPDIR/install"
		return 1
	}
}

# flags ARG...: pkg-config as a stranger's build calls it. The root is undone in the paths of libdray only.
flags() {
	PKG_CONFIG_PATH='' PKG_CONFIG_LIBDIR="$PC:$SYSTEM_PC" pkg-config --define-variable=prefix="$ROOT$(prefix)" "$@" libdray
}

prefix() { PKG_CONFIG_LIBDIR=$PC pkg-config --variable prefix libdray; }

# The program of include/dray/report.h: the images of a place, and what went wrong.
write_program() {
	cat >"$1" <<-'EOF_C'
		#include <dray/dray.h>
		#include <stdio.h>

		int main(int argc, char **argv)
		{
			struct dray_context_options o = DRAY_CONTEXT_OPTIONS_INIT;
			dray_context *ctx = NULL;
			dray_report *r = NULL;
			dray_error *err = NULL;
			int failed = dray_context_new(&o, &ctx, &err) < 0 ||
				     dray_images(ctx, argc > 1 ? argv[1] : "-", NULL, &r, &err) < 0;

			if (failed)
				printf("%s %s: %s\n", dray_version(), dray_error_code(err), dray_error_message(err));
			for (size_t i = 0; !failed && i < dray_report_images(r); i++)
				printf("%s %s\n", dray_report_image(r, i)->tags[0], dray_report_image(r, i)->image_id);
			dray_report_free(r);
			dray_error_free(err);
			dray_context_free(ctx);
			return failed;
		}
	EOF_C
}

# archive FILE: one image without layers; its ID in $ID.
archive() {
	local dir=$BATS_TEST_TMPDIR/image
	mkdir -p "$dir"
	printf '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}' >"$dir/config.json"
	printf '[{"Config":"config.json","RepoTags":["test/library:1"],"Layers":[]}]' >"$dir/manifest.json"
	ID=sha256:$(sha256sum <"$dir/config.json" | cut -c1-64)
	tar -C "$dir" -cf "$1" config.json manifest.json
}

# works PROGRAM: it reads an archive, and tells what is wrong with what is none.
works() {
	archive "$BATS_TEST_TMPDIR/a.tar"
	run -0 env LD_LIBRARY_PATH="$LIBDIR" "$1" "$BATS_TEST_TMPDIR/a.tar"
	[ "$output" = "test/library:1 $ID" ]
	run -1 env LD_LIBRARY_PATH="$LIBDIR" "$1" "$BATS_TEST_TMPDIR/none.tar"
	[[ $output == *" not-found: "*none.tar* ]]
}

@test "library: a C program, linked to the shared library" {
	write_program "$BATS_TEST_TMPDIR/p.c"
	# shellcheck disable=SC2046
	cc -std=c99 -Wall -Wextra -Werror -pedantic -o "$BATS_TEST_TMPDIR/p" "$BATS_TEST_TMPDIR/p.c" $(flags --cflags --libs)
	run -0 ldd "$BATS_TEST_TMPDIR/p"
	[[ $output == *libdray.so.0* ]]
	works "$BATS_TEST_TMPDIR/p"
}

@test "library: a C++ program" {
	require_peer c++
	write_program "$BATS_TEST_TMPDIR/p.cc"
	# Members that an initialiser leaves out are zero on purpose; in C++ g++ warns of them all the same.
	# shellcheck disable=SC2046
	c++ -std=c++20 -Wall -Wextra -Wno-missing-field-initializers -Werror -o "$BATS_TEST_TMPDIR/p" "$BATS_TEST_TMPDIR/p.cc" $(flags --cflags --libs)
	works "$BATS_TEST_TMPDIR/p"
}

@test "library: linked statically" {
	[ -e "$LIBDIR/libdray.a" ] || skip "this build has no static library"
	write_program "$BATS_TEST_TMPDIR/p.c"
	mkdir "$BATS_TEST_TMPDIR/lib"
	cp "$LIBDIR/libdray.a" "$BATS_TEST_TMPDIR/lib/"
	# Without the shared one beside it, -ldray means libdray.a.
	# shellcheck disable=SC2046
	cc -Wall -Wextra -Werror -o "$BATS_TEST_TMPDIR/p" "$BATS_TEST_TMPDIR/p.c" $(flags --cflags) \
		-L"$BATS_TEST_TMPDIR/lib" $(flags --static --libs-only-l)
	run -0 ldd "$BATS_TEST_TMPDIR/p"
	[[ $output != *libdray* ]]
	works "$BATS_TEST_TMPDIR/p"
}

@test "library: every header stands alone, in C and C++" {
	require_peer c++
	local header
	for header in "$ROOT$(prefix)"/include/dray/*.h; do
		# shellcheck disable=SC2046
		printf '#include <dray/%s>\nint stranger;\n' "${header##*/}" | cc -std=c99 -Wall -Wextra -Werror -pedantic -fsyntax-only $(flags --cflags) -xc -
		# shellcheck disable=SC2046
		printf '#include <dray/%s>\nint stranger;\n' "${header##*/}" | c++ -Wall -Wextra -Werror -fsyntax-only $(flags --cflags) -xc++ -
	done
	same "headers" "$(ls "$ROOT$(prefix)/include/dray")" "$(cd "$PEERS_TOP/include/dray" && printf '%s\n' *.h)"
}

@test "library: only what the headers declare is exported" {
	run -0 "$PEERS_TOP/script/check-exports" "$LIBDIR/libdray.so"
}

@test "library: starts without libcurl" {
	local file
	for file in "$LIBDIR/libdray.so" "$ROOT$(prefix)/bin/dray"; do
		run -0 env LD_LIBRARY_PATH="$LIBDIR" ldd "$file"
		[[ $output != *libcurl* ]]
	done
}
