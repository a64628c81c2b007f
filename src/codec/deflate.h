/* SPDX-License-Identifier: Apache-2.0
 *
 * Our own DEFLATE (RFC 1951) writer, for blocks that are known whole. Half as fast
 * again as libdeflate at level 2 and 1 % larger (docs/benchmarks.md). The bytes
 * depend on the input alone: not on CPU, byte order, compiler or library version.
 */
#pragma once

#include "base/span.h"

/*
 * Raised with every change of the output for some input: blobs are known by it
 * (encode_params_text), and a golden digest in tests/unit/codec guards it.
 */
#define DEFLATE_VERSION "1"

#define DEFLATE_INPUT_MAX (1024 * 1024)	/* bytes; counters and buffers are sized for it */

/** Works on one input after the other, by one thread at a time; about 1.4 MiB. */
struct deflate;

/** NULL = no memory. */
struct deflate *deflate_new(void);
/** Room for any input of @p len bytes: stored blocks cost little more than they hold. */
size_t deflate_bound(size_t len);
/**
 * One complete stream of @p in, at most DEFLATE_INPUT_MAX bytes, into @p out, at
 * least deflate_bound(in.len). Returns its size; cannot fail.
 */
size_t deflate_run(struct deflate *d, struct span in, struct room out);
void deflate_free(struct deflate *d);
