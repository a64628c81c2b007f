/* SPDX-License-Identifier: Apache-2.0
 *
 * Every limit we enforce on what comes from outside: its name, its unit, its
 * reason. Bytes unless the name says otherwise. Errors quote the name.
 */
#pragma once

#define KIB 1024LL
#define MIB (1024 * KIB)

#define LIMIT_MANIFEST (4 * MIB)	/* what registries accept: distribution, zot, ... */
#define LIMIT_CONFIG (16 * MIB)		/* thousands of layers and an inline build cache */
#define LIMIT_AMEND (128 * MIB)		/* new documents of an archive that is edited where it lies */
#define LIMIT_MANIFEST_JSON (32 * MIB)	/* manifest.json of an archive that holds many images */
#define LIMIT_IMAGES_TOTAL (128 * MIB)	/* documents and layers of all images of one place */
#define LIMIT_DOCS_TOTAL (48 * MIB)	/* all documents that one forward walk keeps in memory */
#define LIMIT_JSON_DEPTH 64		/* levels; real documents use fewer than 10 */
#define LIMIT_JSON_NODES 400000		/* values of one document: a tree of some 16 MiB */
#define LIMIT_JSON_NAMES 100000		/* members of one object */
#define LIMIT_JSON_DIFF (64 * MIB)	/* paths of all differences of two documents */
#define LIMIT_LAYERS 10000		/* layers of one image */
#define LIMIT_ENGINE_LAYERS 125		/* engines refuse longer chains (moby's layer store) */
#define LIMIT_MEMBERS 1000000		/* members of one archive */
#define LIMIT_MEMBER_INDEX (256 * MIB)	/* memory of one archive's member index */
#define LIMIT_PATH (64 * KIB)		/* a name inside a tar */
#define LIMIT_PATH_PARTS 4096	/* parts of a path in a layer: Linux opens none of over 4096 bytes */
#define LIMIT_XATTRS 1024		/* of one entry: Linux lists 64 KiB of their names */
#define LIMIT_PAX (1 * MIB)		/* one pax or GNU extension block (Go's choice) */
#define LIMIT_TAR_EXT_HEADERS 16	/* extension headers before one entry */
#define LIMIT_LAYER_ENTRIES 4000000	/* entries of one layer, at some 250 bytes each */
#define LIMIT_SPARSE_EXTENTS 1000000	/* pieces of the sparse files of one layer, 16 bytes each */
#define LIMIT_SPARSE_MAP (42 * MIB)	/* their text: two numbers of up to 20 bytes a piece */
#define LIMIT_SPARSE_SIZE (1024 * 1024 * MIB) /* what a layer's sparse files, or one, are expanded to:
					       * a lastlog with uid 2^31 has 0.6 TB, of nearly nothing */
#define LIMIT_CUT_PATTERNS 1000		/* that the braces of one rule of split come to */
#define LIMIT_CLOSURE (256 * MIB)	/* the text of a closure; of 5,000 store paths it has some 5 MiB */
#define LIMIT_UNITS 100000		/* of one image: store paths, packages, folders */
#define LIMIT_UNIT_REFS 4000000		/* references of all of them */
#define LIMIT_PACKAGE_TEXT (64 * MIB)	/* one text of a package database; Debian's status has some 1 MiB */
#define LIMIT_PACKAGE_DB (512 * MIB)	/* all files of package databases; rpm's has up to 200 MiB */
#define LIMIT_PACKAGE_HEADER (64 * MIB)	/* of one package in rpm's database; kernels have some 5 MiB */
#define LIMIT_PACKAGES 1000000		/* of one image */
#define LIMIT_PACKAGE_PATHS 8000000	/* that they list in all */
#define LIMIT_PACKAGE_PATH_BYTES (512 * MIB) /* of these paths together */
#define LIMIT_PACKAGE_LINKS 1000000	/* symbolic links followed for them; a merged /usr needs thousands */
#define LIMIT_LINK_HOPS 8		/* links followed from a layer name to its member */
#define LIMIT_SYMLINK_HOPS 40		/* symbolic links on the way to a file of an image; as Linux does */
#define LIMIT_INDEX_ENTRIES 10000	/* entries of one image index */
#define LIMIT_INDEX_DEPTH 8		/* indexes inside indexes */
#define LIMIT_INDEX_NODES 100000	/* documents visited below one root */
#define LIMIT_HTTP_BODY (1 * MIB)	/* token answers and listings pages kept in memory */
#define LIMIT_HTTP_ERROR (64 * KIB)	/* error body read; 1 KiB of it is shown */
#define LIMIT_REDIRECTS 5		/* per request */
#define LIMIT_AUTH_ROUNDS 2		/* token fetches per request */
#define LIMIT_PAGES 10000		/* of a paginated listing */
#define LIMIT_LISTING (64 * MIB)	/* names that one listing gathers: some two million */
#define LIMIT_CREDENTIALS (4 * MIB)	/* config.json or auth.json */
#define LIMIT_REGISTRIES_CONF (1 * MIB)	/* registries.conf; distributions ship some 10 KiB */
#define LIMIT_TOML_VALUES 10000		/* of one file; tables are searched one by one */
#define LIMIT_HELPER_OUTPUT (64 * KIB)	/* of a credential helper */
#define LIMIT_SIGNATURE (1 * MIB)	/* one file of signatures; a signature has some 500 bytes */
#define LIMIT_SIGNATURES 64		/* in one such file */
#define LIMIT_KEYRING (64 * MIB)	/* of --keyring; that of all Debian developers has 25 MiB */
#define LIMIT_GPG_LINE (64 * KIB)	/* one status line of gpg; user IDs have up to 2 KiB, escaped 6 */
#define LIMIT_GPG_SAID (16 * KIB)	/* kept of what gpg tells people */
#define LIMIT_ENGINE_LIST (32 * MIB)	/* an engine's list: thousands of images, labels included */
#define LIMIT_ENGINE_LINE (64 * KIB)	/* one line of its answer to a load */
#define LIMIT_ENGINE_ANSWER (16 * MIB)	/* all of them */
#define LIMIT_ENGINE_NAMES (512 * KIB)	/* the names of one request; Go's server reads 1 MiB */
#define LIMIT_HAVE_LIST (64 * MIB)	/* of "have": some 400000 layers */
#define LIMIT_SPEC (16 * MIB)		/* of "build"; one that lists every file of an image has some MiB */
#define LIMIT_SPEC_PORTS 200000	/* it names, those of ranges counted; TCP, UDP and SCTP have 196605 */
#define LIMIT_RULES_REGEX 50000	/* characters of the expressions of all rules, repeats written out; some 120 MB */
#define LIMIT_FILE_LIST (256 * MIB)	/* an mtree or list of paths; of 1,000,000 files it has some 150 MiB */
#define LIMIT_LIST_NAMES (1024 * MIB)	/* its names, each with the folders that it is in */
#define LIMIT_SYNC_FILE (16 * MIB)	/* the list that "sync" reads */
#define LIMIT_SYNC_ENTRIES 10000	/* its images */
#define LIMIT_SYNC_PATTERNS 1000	/* of one image */
#define LIMIT_SYNC_ITEMS 200000		/* what all of it comes to, tags counted */
#define LIMIT_ZSTD_WINDOW_LOG 27	/* log2: 128 MiB, libzstd's own default limit */
#define LIMIT_DISK_NAMES 1000000	/* names in one folder of an engine's disk */
#define LIMIT_DISK_LIST (64 * MIB)	/* one of its lists (layers.json, repositories.json): some 500 bytes a layer */
#define LIMIT_REPO_DIGESTS 100000	/* of a storage: of each image each name with each digest that it came by */
#define LIMIT_BOLT (256 * MIB)		/* read of containerd's database: a page or two an image, 4 KiB each */
#define LIMIT_TARSPLIT_LINE (16 * MIB)	/* one line of a tar-split: a header with 1 MiB of pax, or padding in 1 MiB pieces */
#define LIMIT_RECIPE_WINDOW (64 * MIB)	/* of a recipe: what is compressed or decoded at once */
#define LIMIT_RECIPE_OPS (4 * MIB)	/* of one of its blocks, decoded */
