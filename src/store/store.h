/* SPDX-License-Identifier: Apache-2.0
 *
 * Where images live. A place answers: which images are here (documents), give
 * me the bytes of this layer (streams). Back ends: members of a tar or of a
 * directory (docker-archive, v1, OCI layout), a registry (remote/), memory.
 */
#pragma once

#include "base/arena.h"
#include "codec/codec.h"
#include "flow/sink.h"
#include "flow/source.h"
#include "image/config.h"
#include "image/manifest.h"
#include "image/reference.h"

/** What somebody learnt by reading a blob to its end. */
struct blob_facts {
	struct digest blob_digest; /* of the stored bytes */
	int64_t blob_size;
	struct digest diff_id; /* of the decoded bytes; unset when it does not decode */
	int64_t size;	       /* decoded; -1 unknown */
	enum compression compression;
};

/** One layer as a place names it. Strings live in the image's arena. */
struct layer {
	struct digest diff_id;	      /* as the config declares; unset when it does not */
	struct descriptor blob;	      /* digest unset and size -1 where the place does not say */
	const char *path;	      /* member as referenced; NULL outside archives */
	const char *link_target;      /* member the link resolves to; NULL when it is no link */
	const char *v1_id;	      /* found in the archive: directory name; NULL */
	enum compression compression; /* sniffed when has_compression */
	bool has_compression;
	bool missing; /* named but not here */
	/* Of an image that is being made: the manifest that it was taken from names this blob. */
	bool vouched;
	/* Missing because of this (a link that leads nowhere); NULL = simply absent. */
	const char *trouble;
	/* Of a layer that is being made: what its descriptor says; lent; missing = nothing. */
	struct json annotations;
	/* When the place had to read it anyway; NULL. On a forward-only place NULL also means
	 * that the bytes were small and kept: store_open_layer() works. */
	const struct blob_facts *facts;
	/* The store's own: in archives equal for layers that are one member; else the index. */
	uint64_t handle;
};

/** Something to tell, with a stable code ("config-name-differs"). Strings in notes.arena. */
struct note {
	const char *code, *where, *message;
	const char *expected, *actual; /* NULL where it does not apply */
	bool problem;		       /* verify calls it a problem; else a warning everywhere */
};
struct notes {
	struct arena *arena;
	struct note *list;
	size_t n, cap;
};
int notes_add(struct notes *n, bool problem, const char *code, const char *where,
	      const char *expected, const char *actual, dray_error **err, const char *fmt, ...)
	PRINTF_LIKE(8, 9) MUST_CHECK;
void notes_clear(struct notes *n);

struct dray_disk_info;

/** One image. Free with image_free(). */
struct image {
	struct arena arena;
	const char **tags; /* as stored ("test/sym:1") */
	/* OCI ref.name beside each tag, NULL where there is none. */
	const char **ref_names;
	size_t n_tags;
	int64_t at;	       /* position in manifest.json or index.json, for @N */
	uint64_t family;       /* not 0: images that differ only in platform share it */
	const char *where;     /* for messages: "app.tar image 2 (test/sym:1)" */
	struct config *config; /* NULL: an artifact, or unreadable (see notes) */
	struct buf raw_config; /* config bytes where config is NULL, if they are here */
	bool artifact;	       /* manifest with a config that is no image config */
	bool attestation;      /* BuildKit's, about another image of the same index */
	/* By the manifest or the member's name; may be unset. */
	struct digest config_digest_claimed;
	const char *config_path;       /* member; NULL outside archives */
	struct manifest *manifest;     /* NULL where the place stores none */
	/* Of an image that is being made: whose family and annotations it takes; lent; NULL. */
	const struct manifest *made_from;
	struct json around; /* likewise: annotations of the index that it is to come in */
	bool manifest_trusted; /* docker-archive: the stored manifest agrees with manifest.json */
	const char *v1_top;    /* v1 ID of the top layer as repositories says; NULL */
	struct layer *layers;
	size_t n_layers;
	struct notes notes;
	bool broken; /* documents are missing or damaged: only verify and images go on */
	bool edited; /* what it says of itself is no more what the place has */
	struct digest index_digest; /* the index it came from; unset if none */
	struct digest root;	    /* the outermost index around that one; unset if none */
	/* What the index that it came from, or of a hole index.json, says it runs on, in the arena; NULL. */
	const struct platform *index_platform;
	struct digest wanted; /* of its manifest, as index or reference name it; may be unset */
	/*
	 * From the list of an engine: the config's digest is the image ID, its members are what
	 * the list says, and its bytes were not read. No layer can be opened.
	 */
	bool listed;
	int64_t listed_size; /* as the engine counts it; -1 unknown */
	/* Of an engine's disk: what it tells besides the documents; in the arena. NULL elsewhere. */
	const struct dray_disk_info *disk;
};
void image_free(struct image *im);
/** Something names its manifest, and the place does not have it. */
bool image_is_hole(const struct image *im);
/**
 * Its ID; NULL where it is not known: in lists, containerd's store calls an image by what it keeps of
 * it, and tells nothing else.
 */
const struct digest *image_id(const struct image *im);
/** 0; -1 with why a broken image is of no use: FORMAT, CORRUPT, NOT_FOUND, UNSUPPORTED. */
int image_require_whole(const struct image *im, dray_error **err) MUST_CHECK;

enum store_kind {
	STORE_DOCKER_ARCHIVE,
	STORE_DOCKER_V1,
	STORE_OCI_LAYOUT,
	STORE_DIR, /* skopeo's flat directory */
	STORE_REGISTRY,
	STORE_MEMORY,
};

struct store;

/** Which of the images of a place is meant. All zero = the only one. */
struct selector {
	const char *ref; /* familiar or full name[:tag], or the OCI ref name (tag) */
	int64_t at;	 /* @N, with has_at */
	bool has_at;
	struct digest digest; /* image ID or manifest digest, when set */
	const char *prefix;   /* else the beginning of one, "sha256:" and some hex digits */
	/* Every image, artifacts and attestations too; of all platforms unless one is given. */
	bool all;
	/* For indexes; os NULL = the host's, and the only one if there is one. */
	struct platform platform;
	bool all_platforms; /* of an index all images; index.json then outranks manifest.json */
	const struct platform *more; /* platforms besides @platform; index.json as above */
	size_t n_more;
	/*
	 * Whoever copies indexes: what is chosen is a tag's index with all that is in it,
	 * attestations, artifacts and holes too. Entries that name other platforms than those
	 * above may be left out.
	 */
	bool whole;
	/*
	 * Whoever looks at every byte: of a tag's or a digest's index all that is here, and of an
	 * archive also what index.json alone leads to.
	 */
	bool every;
};
/** Was a digest asked for, whole or by its beginning? */
bool selector_by_digest(const struct selector *sel);
/** Is @p d what was asked for so? */
bool selector_names(const struct selector *sel, const struct digest *d);
/** Is @p have one of the platforms that were asked for? With none asked for the host's. */
bool selector_wants(const struct selector *sel, const struct platform *have);

/** One thing that is wrong with a layer; @p message is safe neither for terminals nor to keep. */
typedef int damage_fn(void *arg, const char *code, const char *message, dray_error **err);

struct store_ops {
	/**
	 * All selected images, documents verified against the digests that name them.
	 * NOT_FOUND names what is there; USAGE when several fit and none was chosen.
	 * Not thread-safe.
	 */
	int (*images)(struct store *st, const struct selector *sel, struct image ***ret,
		      size_t *ret_n, dray_error **err);
	/**
	 * Stored bytes of layer @p i, unverified (the caller hashes). NOT_FOUND when absent,
	 * FORMAT when its link leads nowhere, UNSUPPORTED when they have passed already.
	 * Thread-safe.
	 */
	struct source *(*open_layer)(struct store *st, const struct image *im, size_t i,
				     dray_error **err);
	/**
	 * The index with digest @p d, verified; *ret is the caller's. NOT_FOUND when it is not
	 * here, FORMAT when @p d is no index. NULL = the place has no indexes. Not thread-safe.
	 */
	int (*index)(struct store *st, const struct digest *d, struct manifest **ret,
		     dray_error **err);
	/**
	 * What refers to manifest @p subject: manifests that have it as their subject, as
	 * images; of an index with a subject its images, with that as their root; and what
	 * cosign's tags name, with these as its tags. NULL = all is among the images of the
	 * place. Not thread-safe.
	 */
	int (*referrers)(struct store *st, const struct digest *subject, struct image ***ret,
			 size_t *ret_n, dray_error **err);
	/**
	 * Optional, where skipping costs more than not asking: the same from byte @p off on, which
	 * is less than the layer's size.
	 */
	struct source *(*open_layer_at)(struct store *st, const struct image *im, size_t i,
					int64_t off, dray_error **err);
	/**
	 * Optional, where a layer is put together of many files: all that is wrong with layer
	 * @p i, whose reading has failed. Thread-safe.
	 */
	int (*damage)(struct store *st, const struct image *im, size_t i, damage_fn *each,
		      void *arg, dray_error **err);
	void (*free)(struct store *st);
};

struct store {
	const struct store_ops *ops;
	enum store_kind kind;
	const char *name;   /* what reports call the kind; static; NULL = by @kind */
	char *place;	    /* as the user wrote it; for messages */
	struct notes notes; /* about the place as a whole */
	struct arena arena;
	bool forward_only; /* layers have passed already; facts are there, bytes are not */
};

void store_free(struct store *st);
DEFINE_CLEANUP(struct store, cleanup_store_fn, store_free)
#define cleanup_store CLEANUP(cleanup_store_fn)
int store_images(struct store *st, const struct selector *sel, struct image ***ret, size_t *ret_n,
		 dray_error **err) MUST_CHECK;
/** As store_ops.index; NOT_FOUND from places that have none. */
int store_index(struct store *st, const struct digest *d, struct manifest **ret,
		dray_error **err) MUST_CHECK;
/**
 * Of an archive or layout: does its index.json list indexes? Then manifest.json tells less than
 * all. Other places have no such list.
 */
int store_lists_indexes(struct store *st, bool *ret, dray_error **err) MUST_CHECK;
/**
 * What entry @p d of an index.json is called: a familiar name or a lone word, as in image.tags, and
 * its ref.name; NULL where there is none. In @p a.
 */
int store_entry_name(const struct descriptor *d, struct arena *a, const char **ret,
		     const char **ret_ref, dray_error **err) MUST_CHECK;
/** A whole name as users and docker know it, in @p a; any other text as it is. NULL = no memory. */
const char *store_familiar(struct arena *a, const char *full);
struct json_edit;
/**
 * Let @p entry of an index.json lead to @p to: digest and size, and its media type where that is
 * another one. What it embeds is the old document, and goes. All else of it stays, but with
 * @p other_platform what it tells of that.
 */
int store_entry_move(struct json_edit *e, struct json entry, const struct descriptor *to,
		     bool other_platform, dray_error **err) MUST_CHECK;
/** Of the names of @p im let only those stay that selector.ref @p text means best. */
int image_keep_names(struct image *im, const char *text, dray_error **err) MUST_CHECK;
/** "sha256-HEX.KIND", the tag under which cosign keeps what is about @p d. NULL = no memory. */
char *cosign_tag(const struct digest *d, const char *kind);
void images_free(struct image **images, size_t n);
struct source *store_open_layer(struct store *st, const struct image *im, size_t i,
				dray_error **err);
/** The bytes from @p off on; CORRUPT when there are not so many. */
struct source *store_open_layer_at(struct store *st, const struct image *im, size_t i, int64_t off,
				   dray_error **err);

/**
 * Called for each member of a forward walk that is no document: the layer's
 * stored bytes as they pass. It must read @p data to its end and say what it saw;
 * @p name is the cleaned member name, @p data is lent and has exactly @p size bytes.
 */
typedef int member_fn(void *arg, const char *name, struct source *data, int64_t size,
		      struct blob_facts *ret, dray_error **err);

/**
 * What is known of where an image goes before it is made: how it takes layers, whether any layer is there at all, and
 * whether that of @p diff_id (@p size bytes uncompressed) is, which then need not pass: 1, and it
 * counts as passed; 0; -1. @p arg is that of place_options.
 */
struct known_layers {
	int (*at_once)(void *arg); /* how many layers may pass side by side; 1 or more */
	bool (*again)(void *arg);  /* may a layer that broke off, of unknown size, pass once more? */
	bool (*any)(void *arg);
	int (*has)(void *arg, const struct digest *diff_id, int64_t size, const char *label,
		   struct blob_facts *ret, dray_error **err);
};

struct place_options {
	member_fn *on_member; /* forward walks; NULL = hash with member_hash() */
	const struct known_layers *known; /* of images that are made; NULL = nothing is */
	void *arg;
	bool oci; /* "oci-archive:": index.json decides even where a manifest.json is */
	/* Only a list is wanted: a place that has one of its own need not read its images. */
	bool listing;
	/* Of engines' disks: layers that are damaged are made anew of what is left of them. */
	bool salvage;
};

/** The default member_fn: blob digest, DiffID, sizes; @p arg unused. */
int member_hash(void *arg, const char *name, struct source *data, int64_t size,
		struct blob_facts *ret, dray_error **err);
/** The same, and the decoded bytes into @p to (lent; NULL = nowhere) as far as they decode. */
int member_hash_into(struct sink *to, const char *name, struct source *data, int64_t size,
		     struct blob_facts *ret, dray_error **err) MUST_CHECK;

/**
 * A tar file or stream: docker-archive of any era, OCI archive, by content. @p path "-" is
 * stdin. A pipe and an outer compression make it forward-only. @p o may be NULL.
 */
struct store *store_open_tar(const char *path, const struct place_options *o, dray_error **err);
/** The same of bytes that @p in (consumed) hands out, which came from @p place. */
struct store *store_open_stream(const char *place, struct source *in, const struct place_options *o,
				dray_error **err);
/** A directory: OCI layout, "dir:", or an unpacked docker-archive. */
struct store *store_open_dir(const char *path, dray_error **err);
/** What "-", an existing file or folder is. */
struct store *store_open_path(const char *path, const struct place_options *o, dray_error **err);
/**
 * A folder with blobs/ALGORITHM/HEX as a layout has, and @p index (copied) for its index.json.
 * @p name is the kind in reports (static), @p place what messages call it, and @p odd (NULL =
 * nothing) why its names are not known.
 */
struct store *store_open_blobs(const char *place, const char *folder, const char *name,
			       struct span index, const char *odd, dray_error **err);
/** In memory, filled through dest_memory(); for tests. */
struct store *store_memory_new(dray_error **err);

/* ---- writing ---- */

/**
 * Where images go. Blobs in any order and from several threads, then manifests,
 * then finish: everything appears, or nothing does. A registry shows each as it comes.
 */
struct dest;
struct blob_put {
	struct descriptor desc; /* digest set: expected, checked. Unset: learnt */
	const char *label;	/* for progress and messages: "layer 3 of 7" */
	struct tap progress;	/* stored bytes as they go out; see may be NULL */
	/* The bytes are dear (a network): who stores them under a known digest may keep what a
	 * killed run got, and rewind @p data past it before the first read. */
	bool keep_partial;
	/* A destination's own: it takes one blob at a time, so big ones are hashed on a thread. */
	bool beside;
};
struct dest_ops {
	/** 1 = this blob is already there (desc.digest set, size as far as known), 0 = no, -1. */
	int (*has_blob)(struct dest *d, const struct descriptor *desc, dray_error **err);
	/** Store @p data (consumed); *ret_digest and *ret_size say what. Thread-safe. */
	int (*put_blob)(struct dest *d, const struct blob_put *put, struct source *data,
			struct digest *ret_digest, int64_t *ret_size, dray_error **err);
	/** Store a manifest or index whose parts are there. @p tag NULL = by digest only. */
	int (*put_manifest)(struct dest *d, const struct manifest *m, const char *tag,
			    dray_error **err);
	/** Make it all visible. Called at most once; a registry has nothing left to do. */
	int (*finish)(struct dest *d, dray_error **err);
	void (*free)(struct dest *d); /* discards unless finished */
};
/** What an image or index was before it was edited; a zeroed one: it was not. */
struct dest_origin {
	struct digest digest; /* of its manifest or index */
	bool other_platform;  /* an entry that tells its platform may lie from now on */
};
struct dest {
	const struct dest_ops *ops;
	char *place;
	bool wants_compressed; /* a registry: what engines saved uncompressed is compressed */
	/* Where images are added: a tag that is there is USAGE. Set before the finish. */
	bool no_clobber;
	bool lone;	 /* room for one image or index, and nothing that refers to it */
	bool forward;	 /* a blob of unknown digest is read once, forward: nobody needs to keep it */
	/*
	 * Of what is put next under a tag. In a layout whose index.json leads to it by that name, the
	 * entry leads to what is put, and all else that it says stays.
	 */
	struct dest_origin origin;
};
void dest_free(struct dest *d);
DEFINE_CLEANUP(struct dest, cleanup_dest_fn, dest_free)
#define cleanup_dest CLEANUP(cleanup_dest_fn)
int dest_has_blob(struct dest *d, const struct descriptor *desc, dray_error **err) MUST_CHECK;
int dest_put_blob(struct dest *d, const struct blob_put *put, struct source *data,
		  struct digest *ret_digest, int64_t *ret_size, dray_error **err) MUST_CHECK;
/** Small bytes at hand, for example a config. */
int dest_put_bytes(struct dest *d, const struct descriptor *desc, struct span bytes,
		   dray_error **err) MUST_CHECK;
int dest_put_manifest(struct dest *d, const struct manifest *m, const char *tag,
		      dray_error **err) MUST_CHECK;
int dest_finish(struct dest *d, dray_error **err) MUST_CHECK;

/** An OCI layout folder, new or existing: images are added, index.json last, under a lock. */
struct dest *dest_oci_dir(const char *path, dray_error **err);
/**
 * An OCI archive that appears whole on finish; "-" is stdout. Blobs for what cannot go back
 * spool in @p tmpdir, NULL = TMPDIR, else /var/tmp.
 */
struct dest *dest_oci_tar(const char *path, const char *tmpdir, bool no_clobber, dray_error **err);
/**
 * The same with Docker's manifest.json beside index.json: what docker load, podman load,
 * skopeo and ctr read. A tag that reads as NAME:TAG or HOST/NAME is a name there.
 */
struct dest *dest_docker_tar(const char *path, const char *tmpdir, bool no_clobber,
			     dray_error **err);
/**
 * Let @p list stand in manifest.json of a dest_docker_tar() in place of what the manifests that
 * were put would make of it; empty = no manifest.json. Copied.
 */
int dest_docker_tar_list(struct dest *d, struct span list, dray_error **err) MUST_CHECK;
struct config;
/**
 * An archive that Docker before 1.10 reads, too, see store/legacy.h. All its blobs are layers; in
 * place of the config it is told that of each image whose manifest was put.
 */
struct dest *dest_legacy_tar(const char *path, const char *tmpdir, bool no_clobber,
			     dray_error **err);
int dest_legacy_tar_config(struct dest *d, const struct manifest *m, const struct config *c,
			   dray_error **err) MUST_CHECK;
struct sink;
/**
 * Such an archive as a stream: blobs of known digest and size go straight through, others wait in
 * @p tmpdir. @p to is taken over, and finished with the destination.
 */
struct dest *dest_docker_stream(struct sink *to, const char *tmpdir, dray_error **err);
enum archive_kind { ARCHIVE_ANY, ARCHIVE_DOCKER, ARCHIVE_OCI };
/**
 * An archive that is there; images are added as manifest.json and index.json of it allow,
 * layers stay where they are. USAGE when it is not of the @p kind asked for.
 */
struct dest *dest_append_tar(const char *path, enum archive_kind kind, dray_error **err);
/**
 * A "dir:" folder of one image or index, which appears whole on finish. One that is there is
 * exchanged for it; USAGE for a folder that holds anything else.
 */
struct dest *dest_flat_dir(const char *path, bool no_clobber, dray_error **err);
/** Into a store_memory_new(), which is lent; for tests. */
struct dest *dest_memory(struct store *memory, dray_error **err);
