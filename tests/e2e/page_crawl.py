#!/usr/bin/env python3
"""Follow every link of a server's pages: page_crawl.py ADDRESS FOLDER

Each page goes to FOLDER as a file and is named on stdout with its path; what is wrong is told on stderr, status 1.
"""
import html.parser
import sys
import urllib.parse
import urllib.request

POLICY = ("default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
          "base-uri 'none'; frame-ancestors 'none'")
LANDMARKS = ("header", "main", "footer", "h1")


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.tags, self.wrong = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src", "action"):
                self.links.append(value)
            elif name == "id":
                self.ids.append(value)
            elif name.startswith("on") or name == "style":
                self.wrong.append(f"attribute {name}")
        if tag == "th" and "scope" not in dict(attrs):
            self.wrong.append("a header cell without a scope")


def check(url, answer, page):
    wrong = page.wrong
    wrong += [f"{tag}: {page.tags.count(tag)}" for tag in LANDMARKS if page.tags.count(tag) != 1]
    wrong += [f"id {i} twice" for i in set(page.ids) if page.ids.count(i) > 1]
    wrong += [f"link {link}" for link in page.links if not link.startswith(("/", "?", "#"))]
    if answer.headers["Content-Security-Policy"] != POLICY:
        wrong.append("policy")
    for name, value in (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer")):
        if answer.headers[name] != value:
            wrong.append(name)
    return [f"{url}: {w}" for w in wrong]


def main():
    base, folder = "http://" + sys.argv[1], sys.argv[2]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    todo, seen, wrong, n = ["/"], {"/"}, [], 0
    while todo:
        path = todo.pop(0)
        try:
            answer = opener.open(base + path)
            body = answer.read()
        except urllib.error.HTTPError as e:
            wrong.append(f"{path}: {e.code}")
            continue
        if answer.headers.get_content_type() != "text/html":
            continue
        page = Page(body.decode())
        wrong += check(path, answer, page)
        with open(f"{folder}/{n}.html", "wb") as f:
            f.write(body)
        print(f"{n}.html {path}")
        n += 1
        for link in page.links:
            to = urllib.parse.urldefrag(urllib.parse.urljoin(base + path, link)).url.removeprefix(base)
            if to not in seen:
                seen.add(to)
                todo.append(to)
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


sys.exit(main())
