#!/usr/bin/env python3
"""
Make the closure fixture of the layering tests: Debian packages as units.

    apt-cache dumpavail | tests/layering/debian_closure.py > tests/layering/debian.closure

The packages are those that the ROOTS below need (Depends and Pre-Depends, the first alternative
that the archive has, virtual packages by their first provider by name), without Recommends. A unit is a
package, its size Installed-Size, its origin the source package. Packages that need each other
stay in the graph as they are.

One line for each: name, version, bytes, origin, and the numbers of the lines (from 0) of what it needs.
"""
import re
import sys

ROOTS = ["nginx", "postgresql-15", "python3-numpy", "git", "ffmpeg", "imagemagick-6.q16",
         "nodejs", "openssh-server"]


def packages(text):
    for block in text.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", block, re.M))
        if "Package" in fields:
            yield fields


def names(field):
    """Each dependency as its alternatives."""
    for part in filter(None, map(str.strip, field.split(","))):
        yield [re.match(r"[a-z0-9][a-z0-9+.-]*", a.strip()).group() for a in part.split("|")]


def main():
    have, provides = {}, {}
    for p in packages(sys.stdin.read()):
        have.setdefault(p["Package"], p)
    for name, p in sorted(have.items()):
        for alternatives in names(p.get("Provides", "")):
            provides.setdefault(alternatives[0], name)

    def needs(p):
        for field in ("Pre-Depends", "Depends"):
            for alternatives in names(p.get(field, "")):
                real = [a for a in alternatives if a in have] + \
                       [provides[a] for a in alternatives if a in provides]
                if real:
                    yield real[0]

    found, todo = {}, list(ROOTS)
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = sorted(set(needs(have[name])) - {name})
            todo += found[name]
    order = {name: i for i, name in enumerate(sorted(found))}
    release = "Debian 12 (bookworm) main with security updates, amd64, as of 2026-11-21"
    print(f"# {release}: what {', '.join(ROOTS)} need. Made by debian_closure.py.")
    for name in sorted(found):
        p = have[name]
        origin = p.get("Source", name).split()[0]
        refs = " ".join(str(order[r]) for r in found[name])
        print(name, p["Version"], int(p.get("Installed-Size", "0")) * 1024, origin, refs)


main()
