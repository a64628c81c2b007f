#!/usr/bin/env python3
"""Turns the measurements of script/bench into one table: medians, spread, peak memory, ratio to dray.

usage: report.py RESULTS.tsv ABOUT [MARKDOWN]
"""
import csv
import statistics
import sys

TITLES = {
    "layout": "archive to OCI layout",
    "push": "push to an empty registry",
    "pipe": "push from a pipe (skopeo: through a temporary file)",
    "second": "second push, one small layer changed, same machine",
    "second-elsewhere": "second push, one small layer changed, machine without cache",
    "pull": "registry to archive, compressed layers (skopeo decompresses them)",
    "mirror": "registry to an empty registry",
    "verify": "verify (openssl: only the file's sha256)",
    "normalize": "canonical archive of an archive, one core (openssl: cp, sync, and sha256)",
    "canonical": "OCI layout to canonical archive (skopeo: to docker-archive)",
    "files": "list all files of an OCI layout (crane: export from a registry, piped to tar t)",
    "files-foreign": "list all files, layers in one piece as others write them",
    "export": "merged tree of an OCI layout as a tar in a file (crane: from a registry)",
    "export-foreign": "merged tree as a tar in a file, layers in one piece",
    "export-stdout": "the same to standard output",
    "unpack": "merged tree of an OCI layout to a folder",
    "unpack-foreign": "merged tree to a folder, layers in one piece",
    "flatten": "one layer of all, registry to registry, compressed",
    "flatten-plain": "one layer of all, OCI layout to OCI layout, uncompressed",
    "squash": "one layer of the upper four, layout to layout, uncompressed",
    "split": "three layers by rules, layout to layout, uncompressed",
    "edit": "another config, archive to archive (cp, cp-sync: the bytes alone, in memory and on the disk)",
    "edit-inplace": "another config, the archive itself",
    "delta-app": "delta of 1.7 GB, one small layer changed (dray-layer: whole layers; others: any two files)",
    "delta-app-apply": "that delta applied",
    "delta-debian": "delta of Debian packages, 20 of 23 updated, in one layer of 285 MB",
    "delta-debian-apply": "that delta applied",
    "build": "folder to an archive, plain layers (standin: nixpkgs' two passes)",
    "build-gzip": "folder to an archive, gzip layers (tar: with gzip -1, one layer, both digests; umoci: repack)",
    "build-push": "folder to an empty registry",
    "build-push-plain": "folder to an empty registry, plain layers (standin: skopeo sends gzip all the same)",
    "build-push-serve": "folder to an empty dray serve --root",
    "build-push-serve-plain": "folder to an empty dray serve --root, plain layers (standin: skopeo sends gzip all the same)",
    "build-again": "the same again, the registry has all of it",
    "serve-pull": "serve: curl pulls a blob of 500 MB, four times",
    "serve-pull-drain": "serve: the same by a client that lets the kernel throw it away",
    "serve-manifest": "serve: 10,000 requests of a manifest by tag",
    "serve-manifest-digest": "serve: 10,000 requests of a manifest by digest",
    "serve-push": "serve: a blob of 500 MB in one PUT",
    "serve-push-stream": "serve: the same as a PATCH of unknown length",
    "serve-push-image-dray": "serve: the corpus, pushed by dray from a layout",
    "serve-push-image-skopeo": "serve: the corpus, pushed by skopeo from a layout",
    "serve-clients": "serve: 64 clients at once, half of them pull 100 MB, half push 16 MB",
    "serve-place": "serve: all layers of a docker-archive where it lies (dray-layout: of a layout)",
    "index-images": "images (skopeo: inspect --config)",
    "index-explain": "explain (skopeo: inspect --config)",
    "start": "start-up",
}

# Rows that are held against another row of dray's own: shown as one more tool.
AGAINST = {"flatten-plain": "export", "squash": "export", "split": "export"}


def load(path):
    """{row: {tool: [(seconds, rss_kib, bytes, cpu)]}}, rows and tools in the order measured; of one that failed why."""
    rows = {}
    with open(path, newline="") as file:
        for line in csv.DictReader(file, delimiter="\t"):
            if line["row"] not in TITLES:
                continue
            runs = rows.setdefault(line["row"], {}).setdefault(line["tool"], [])
            if line["seconds"] == "failed":
                runs.append("failed")
            elif line["seconds"].startswith("over "):
                runs.append("not finished in %s s" % line["seconds"][5:])
            else:
                runs.append((float(line["seconds"]), int(line["rss_kib"]), int(line["bytes"]),
                             float(line["cpu"] or 0)))
    for row, other in AGAINST.items():
        if row in rows and "dray" in rows.get(other, {}):
            rows[row][f"dray {other}"] = rows[other]["dray"]
    return rows


def seconds(value):
    return f"{value * 1000:.1f} ms" if value < 0.5 else f"{value:.2f} s"


def failed(runs):
    """Why the first of them that failed did; None."""
    return next((r for r in runs if isinstance(r, str)), None)


def table(rows):
    out = [("what", "tool", "median", "min - max", "processor time", "peak memory", "output bytes", "time / dray", "processor time / dray", "memory / dray")]
    for row, tools in rows.items():
        dray = tools.get("dray")
        base = None
        if dray and not failed(dray):
            base = [statistics.median(r[0] for r in dray), statistics.median(r[3] for r in dray), max(r[1] for r in dray)]
        for tool, runs in tools.items():
            if failed(runs):
                out.append((TITLES[row], tool, failed(runs), "", "", "", "", "", "", ""))
                continue
            times = [r[0] for r in runs]
            median, rss, size = statistics.median(times), max(r[1] for r in runs), runs[-1][2]
            cpu = statistics.median(r[3] for r in runs)
            ratio = [f"{mine / its:.2f}" if its else "" for mine, its in zip((median, cpu, rss), base)] if base else [""] * 3
            out.append((
                TITLES[row], tool, seconds(median), f"{seconds(min(times))} - {seconds(max(times))}",
                seconds(cpu) if cpu else "", f"{rss / 1024:.1f} MiB", f"{size:,}" if size else "", *ratio))
    return out


def plain(lines):
    width = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width[i]) if i < 2 else cell.rjust(width[i]) for i, cell in enumerate(line)).rstrip())


def markdown(lines, about, path):
    with open(path, "w") as file:
        for key, value in about:
            file.write(f"- {key}: {value}\n")
        file.write("\n")
        head, *body = lines
        file.write("| " + " | ".join(head) + " |\n")
        file.write("|---|---|" + "---:|" * (len(head) - 2) + "\n")
        for line in body:
            file.write("| " + " | ".join(line) + " |\n")


def main():
    rows = load(sys.argv[1])
    with open(sys.argv[2]) as file:
        about = [line.rstrip("\n").split("\t", 1) for line in file]
    for key, value in about:
        print(f"{key}: {value}")
    print()
    lines = table(rows)
    plain(lines)
    if len(sys.argv) > 3:
        markdown(lines, about, sys.argv[3])


main()
