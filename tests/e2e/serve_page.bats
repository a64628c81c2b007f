#!/usr/bin/env bats
# The pages of "serve" in a real browser: links, hostile text, commands that are copied, refusals.

load serve_lib

setup() { serve_setup; }
teardown() { serve_teardown; }

# page_start ARG...: serves the images of page_images.py; sets ADDR.
page_start() {
	python3 "$PEERS_SRC/page_images.py" "$CASE/layout"
	serve_start "$@" "$CASE/layout"
}

is_page() { [[ $(field content-type) == text/html* ]] && grep -q '<!DOCTYPE html>' "$CASE/body"; }

# browse URL [SCRIPTS]: what the browser made of it in $CASE/dom, what it had to complain of in $CASE/console. SCRIPTS: 1,
# or 2 = they are off.
browse() {
	local profile
	profile=$(mktemp -d "$CASE/profile.XXXXXX")
	mkdir "$profile/Default"
	printf '{"profile":{"default_content_setting_values":{"javascript":%s}}}' "${2:-1}" >"$profile/Default/Preferences"
	chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
		--disable-component-update --disable-sync --no-proxy-server --user-data-dir="$profile" --enable-logging=stderr \
		--dump-dom "$1" >"$CASE/dom" 2>"$CASE/browser.log" </dev/null
	grep -a ':CONSOLE' "$CASE/browser.log" >"$CASE/console" || :
	[ -s "$CASE/dom" ] || {
		cat "$CASE/browser.log"
		return 1
	}
}

# commands PATH: the commands of a page as somebody copies them.
commands() {
	get "http://$ADDR$1" | python3 -c '
import html, re, sys
for c in re.findall(r"<pre class=\"command\"><code>(.*?)</code>", sys.stdin.read(), re.S):
    print(html.unescape(c))'
}

@test "page: every link leads on, every page is sound HTML with the policy, and the API stands beside it" {
	local n
	page_start
	mkdir "$CASE/pages"
	python3 "$PEERS_SRC/page_crawl.py" "$ADDR" "$CASE/pages" >"$CASE/list"
	# Repositories that are called as the API's routes have pages, too.
	for n in / /team/app /team/app:1 /team/evil:1 /-/v2 /-/v2:1 /-/healthz:1 /style.css:1 "/team/app:amd64?efficiency=1"; do
		grep -qF "html $n" "$CASE/list"
	done
	# What no tag names is on its repository's page: an image of the index, and what refers to the other one.
	n=$(get /team/app | sed -n '/Without a tag/,$p' | grep -o '<td>\(image\|artifact\|index of [0-9]*\)</td>' | sort | uniq -c | xargs)
	same "without a tag" "$n" "2 <td>artifact</td> 1 <td>image</td>"
	require_peer tidy
	for n in "$CASE"/pages/*.html; do
		tidy -e -q "$n" || {
			grep "^${n##*/}" "$CASE/list"
			return 1
		}
	done
	# A HEAD is a GET without its body.
	same status "$(code /team/app:1 -I)" 200
	same length "$(field content-length)" "$(get "http://$ADDR/team/app:1" | wc -c)"
}

@test "page: a browser has nothing to complain of, and text of images does nothing, with scripts and without" {
	local path
	require_peer chromium
	page_start
	# That complaints would be seen.
	echo '<!DOCTYPE html><title>x</title><script>console.error("seen")</script>' >"$CASE/bad.html"
	browse "file://$CASE/bad.html"
	grep -q seen "$CASE/console"
	for path in / /team/app "/team/app:amd64?efficiency=1" /team/evil:1; do
		browse "http://$ADDR$path"
		absent "$path: complaints" "$(cat "$CASE/console")"
	done
	# Of the last one: as it was sent, with buttons.
	same scripts "$(grep -o '<script' "$CASE/dom" | wc -l)" 1
	absent "elements of others" "$(grep -o '<img' "$CASE/dom")"
	grep -q '<title>team/evil:1 – ' "$CASE/dom"
	same buttons "$(grep -o '<button type="button"' "$CASE/dom" | wc -l)" 8
	grep -qF '&lt;script&gt;document.title=' "$CASE/dom"
	[ "$(get "http://$ADDR/team/evil:1" | wc -c)" -lt 200000 ]
	browse "http://$ADDR/team/evil:1" 2
	absent "complaints without scripts" "$(cat "$CASE/console")"
	absent "buttons without scripts" "$(grep -o '<button' "$CASE/dom")"
	same "commands without scripts" "$(grep -o '<pre class="command">' "$CASE/dom" | wc -l)" 8
}

@test "page: the commands bring what they say" {
	local command id
	require_peer podman skopeo
	page_start
	id=$(get "http://$ADDR/v2/team/app/manifests/amd64" | jq -r .config.digest)
	get "http://$ADDR/team/app:amd64" | grep -qF ">$id</code>" # the image ID
	cd "$CASE"
	mkdir bin
	ln -s "$DRAY" bin/dray
	while read -r command; do
		case $command in
		docker*) continue ;; # below, with an engine
		podman*) same "$command" "sha256:$(eval "$command --quiet")" "$id" ;;
		*)
			rm -f app.tar
			PATH=$CASE/bin:$PATH eval "$command"
			same "$command" "$(source_image_id docker-archive:app.tar)" "$id"
			;;
		esac
	done < <(commands /team/app:amd64)
	podman rmi --all --force >/dev/null
	same "for this host" "$(commands /team/app:amd64 | grep -c "$ADDR/team/app")" 8
}

@test "page: docker brings what its command says" {
	require_docker
	page_start
	eval "$(commands /team/app:amd64 | sed -n '1p') --quiet"
	same "image ID" "$(docker_image_id "$ADDR/team/app:amd64")" \
		"$(get "http://$ADDR/v2/team/app/manifests/amd64" | jq -r .config.digest)"
	docker rmi "$ADDR/team/app:amd64"
}

@test "page: what later layers hide is what inspect says" {
	local page want
	page_start
	page=$(get "http://$ADDR/team/app:amd64?efficiency=1")
	want=$("$DRAY" inspect --efficiency --json "oci:$CASE/layout:team/app:amd64" | jq -c ".images[0].efficiency")
	grep -qF "title=\"$(jq .wasted_bytes <<<"$want") bytes\"" <<<"$page"
	grep -qF "title=\"$(jq .file_bytes <<<"$want") bytes\"" <<<"$page"
	same "layers with hidden bytes" "$(grep -o '<rect class="hidden"' <<<"$page" | wc -l)" \
		"$(jq '[.layers[] | select(.wasted_bytes > 0)] | length' <<<"$want")"
	# A layer that is damaged is told, and the rest of the page is there.
	printf x >>"$CASE/layout/blobs/sha256/$(get "http://$ADDR/v2/team/app/manifests/amd64" | jq -r '.layers[1].digest[7:]')"
	page=$(get "http://$ADDR/team/app:amd64?efficiency=1")
	[[ $page == *"is not known: "* && $page == *"RUN /bin/sh -c apt-get install app"* ]]
}

@test "page: hosts, refusals, and no pages at all" {
	local host
	page_start
	for host in registry.example.test:8443 localhost:5000 '[::1]:5000'; do
		code /team/app:1 -H "Host: $host"
		grep -qF "docker pull $host/team/app:1<" "$CASE/body"
	done
	# shellcheck disable=SC2016
	for host in 'a/b' '<b>x' '$(reboot)' 'x;y' 'u@h' "x'y"; do
		code /team/app:1 -H "Host: $host"
		grep -qF "docker pull $ADDR/team/app:1<" "$CASE/body"
		absent "hosts that are none" "$(grep -F "$host/team" "$CASE/body")"
	done
	code /team/app:1 -H 'Host: registry' -H 'X-Forwarded-Proto: https'
	grep -qF 'podman pull registry:443/team/app:1<' "$CASE/body"
	# Browsers read pages, others documents; the API is for programs alone.
	same "no such image" "$(code /team/none:1 -H 'Accept: text/html,*/*;q=0.8')" 404
	is_page
	same "no such image" "$(code /team/none:1)" 404
	same code "$(jq -r '.errors[0].code' "$CASE/body")" MANIFEST_UNKNOWN
	same "no such route" "$(code '/<b>%3Cscript%3E' -H 'Accept: text/html')" 404
	is_page
	absent "elements of others" "$(grep '<b>' "$CASE/body")"
	same "no such method" "$(code /team/app:1 -X DELETE -H 'Accept: text/html')" 405
	same allow "$(field allow)" "GET, HEAD"
	same "the API's" "$(code /v2/team/none/manifests/1 -H 'Accept: text/html')" 404
	same code "$(jq -r '.errors[0].code' "$CASE/body")" MANIFEST_UNKNOWN
	same "no such file" "$(code /-none.css)" 404
	peer_stop serve
	rm -r "$CASE/layout"
	page_start --no-page
	for host in / /team/app /team/app:1 /-style.css; do
		same "$host" "$(code "$host" -H 'Accept: text/html')" 404
		same code "$(jq -r '.errors[0].code' "$CASE/body")" UNSUPPORTED
	done
	same "the API" "$(code /v2/team/app/manifests/1)" 200
}
