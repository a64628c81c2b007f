#!/usr/bin/env python3
"""What "inspect --efficiency --json" tells, held against a count of its own over the layers of a docker-archive.

usage: efficiency.py ARCHIVE JSON [DIVE]     exit 1 and a line for each difference

Python's tarfile reads the layers; the merged tree is a plain dict from path to the copy that it shows. DIVE: also the
score that dive computes of the image, by its own rule (a deleted folder is one path with the size of all in it).
"""
import collections
import json
import posixpath
import sys
import tarfile

PREFIX = ".wh."
OPAQUE = ".wh..wh..opq"


def clean(name):
    return "/".join(p for p in name.split("/") if p not in ("", "."))


def layers_of(archive):
    with tarfile.open(archive) as outer:
        manifest = json.load(outer.extractfile("manifest.json"))[0]
        for name in manifest["Layers"]:
            member = outer.getmember(name)
            while member.issym():
                member = outer.getmember(posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname)))
            with tarfile.open(fileobj=outer.extractfile(member)) as layer:
                yield [(clean(m.name), m) for m in layer]


def below(tree, path):
    return [p for p in tree if p == path or p.startswith(path + "/")]


class Count:
    def __init__(self):
        self.tree = {}                                  # path -> (layer, nth copy) of files, None of other entries
        self.copies = collections.defaultdict(list)     # path -> [(layer, size)]
        self.dive = collections.defaultdict(list)       # path -> sizes as dive counts them
        self.folders = set()                            # all that ever held something: others need no search
        self.sizes = []                                 # of each layer

    def size_below(self, path):
        return sum(self.copies[c[0]][c[1]][1] for p in below(self.tree, path) if (c := self.tree[p]))

    def drop(self, path):
        self.tree.pop(path, None)
        if path in self.folders:
            for p in below(self.tree, path):
                del self.tree[p]

    def place(self, path, copy):
        self.tree[path] = copy
        while path := path.rpartition("/")[0]:
            self.folders.add(path)

    def whiteouts(self, entries):
        before = dict(self.tree)
        for path, _ in entries:
            folder, _, name = path.rpartition("/")
            if name == OPAQUE:
                for p in [p for p in before if not folder or p.startswith(folder + "/")]:
                    self.tree.pop(p, None)
            elif name.startswith(PREFIX) and not name.startswith(PREFIX * 2):
                gone = clean(folder + "/" + name[len(PREFIX):])
                is_folder = gone in before and gone in self.folders and len(below(before, gone)) > 1
                self.dive[gone].append(self.size_below(gone) if is_folder else 0)
                self.drop(gone)

    def layer(self, number, entries):
        self.sizes.append(0)
        self.whiteouts(entries)
        for path, m in entries:
            if path.rpartition("/")[2].startswith(PREFIX):
                continue
            if not m.isdir():
                self.drop(path)
            if m.islnk():
                self.place(path, self.tree[clean(m.linkname)])
                continue
            self.place(path, None)
            if m.isreg():
                self.copies[path].append((number, m.size))
                self.dive[path].append(m.size)
                self.place(path, (path, len(self.copies[path]) - 1))
                self.sizes[number] += m.size
            elif not m.isdir():
                self.dive[path].append(0)

    def answer(self):
        seen = {c for c in self.tree.values() if c}
        wasted = [0] * len(self.sizes)
        files, least = [], 0
        for path, copies in self.copies.items():
            hidden = [(l, s) for i, (l, s) in enumerate(copies) if (path, i) not in seen and s]
            visible = any((path, i) in seen for i in range(len(copies)))
            least += min(s for _, s in copies) if visible else 0
            for l, s in hidden:
                wasted[l] += s
            if hidden:
                files.append({"path": path, "wasted_bytes": sum(s for _, s in hidden), "copies": len(hidden),
                              "layers": [l for l, _ in hidden], "visible": visible})
        files.sort(key=lambda f: (-f["wasted_bytes"], f["path"].encode()))
        total = sum(self.sizes)
        return {"score": least * 10**6 // total / 10**6 if total else 1.0, "file_bytes": total, "wasted_bytes": sum(wasted),
                "wasted_percent": sum(wasted) * 10**6 // total / 10**4 if total else 0.0,
                "layers": [{"index": i, "file_bytes": s, "wasted_bytes": w}
                           for i, (s, w) in enumerate(zip(self.sizes, wasted))],
                "files": files}

    def dive_score(self):
        return sum(min(s) for s in self.dive.values()) / sum(sum(s) for s in self.dive.values())


def main():
    count = Count()
    for number, entries in enumerate(layers_of(sys.argv[1])):
        count.layer(number, entries)
    with open(sys.argv[2]) as f:
        theirs = json.load(f)["images"][0]["efficiency"]
    ours, bad = count.answer(), 0
    for key in ours:
        if ours[key] != theirs[key]:
            print(f"{key}: counted {ours[key]!r}, told {theirs[key]!r}")
            bad = 1
    if len(sys.argv) > 3 and abs(count.dive_score() - float(sys.argv[3])) > 1e-9:
        print(f"dive: counted {count.dive_score()}, known {sys.argv[3]}")
        bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
