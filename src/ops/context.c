/* SPDX-License-Identifier: Apache-2.0
 *
 * The context of a run: options copied once, callbacks serialised.
 * Relies on flow/pool for threads and the lock. Promises that callbacks never
 * run at the same time and never see half a line.
 */
#include "ops/ops.h"

#include <stdarg.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "base/text.h"

#define LOG_LINE 4096 /* bytes; a longer line is cut */
#define JOBS_MAX 256
#define BLOBS_MIN 3 /* at once, however few cores: registries are far away */
#define BLOBS_MAX 6 /* and however many: one blob already feeds all of them */

static void remote_log(void *arg, const char *line)
{
	context_log(arg, DRAY_LOG_DEBUG, "%s", line);
}

static int copy_strings(dray_context *ctx, const struct dray_context_options *o, dray_error **err)
{
	const char *const from[] = { o->creds, o->authfile, o->cert_dir, o->tmpdir };
	char **const to[] = { &ctx->creds, &ctx->authfile, &ctx->cert_dir, &ctx->tmpdir };

	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		if (!from[i])
			continue;
		*to[i] = mem_strdup(from[i]);
		if (!*to[i])
			return err_nomem(err);
	}
	return 0;
}

static void fill_remote(dray_context *ctx, const struct dray_context_options *o)
{
	ctx->remote = (struct remote_options){
		.creds = ctx->creds,
		.authfile = ctx->authfile,
		.cert_dir = ctx->cert_dir,
		.tls_skip_verify = o->tls_skip_verify,
		.plain_http = o->plain_http,
		.retries = o->retries,
		.verbose = o->log != NULL,
		.log = remote_log,
		.log_arg = ctx,
		.user_agent = "dray/" DRAY_VERSION,
	};
}

const void *options_take(void *own, size_t size, const void *given)
{
	size_t n;

	if (!given)
		return own;
	memcpy(&n, given, sizeof(n));
	memcpy(own, given, n < size ? n : size);
	return own;
}

static int check_options(const struct dray_context_options *o, dray_error **err)
{
	if (o->jobs < 0 || o->jobs > JOBS_MAX)
		return err_set(err, DRAY_ERR_USAGE, "jobs: expected 1 to %d, got %d", JOBS_MAX,
			       o->jobs);
	if (o->creds && !strchr(o->creds, ':'))
		return err_set(err, DRAY_ERR_USAGE, "credentials: expected USER:PASSWORD");
	return 0;
}

static int take_platforms(dray_context *ctx, const struct dray_context_options *o, dray_error **err)
{
	if (o->platform && platform_parse(o->platform, &ctx->arena, &ctx->platform, err) < 0)
		return -1;
	if (o->n_platforms == 0)
		return 0;
	if (o->platform)
		return err_set(err, DRAY_ERR_USAGE, "platform and platforms: one of both");
	ctx->more = arena_array(&ctx->arena, o->n_platforms, sizeof(*ctx->more));
	if (!ctx->more)
		return err_nomem(err);
	for (size_t i = 0; i < o->n_platforms; i++)
		if (platform_parse(o->platforms[i], &ctx->arena,
				   i ? &ctx->more[i - 1] : &ctx->platform, err) < 0)
			return -1;
	ctx->n_more = o->n_platforms - 1;
	return 0;
}

static int default_blobs(int threads)
{
	return threads < BLOBS_MIN ? BLOBS_MIN : threads > BLOBS_MAX ? BLOBS_MAX : threads;
}

int dray_context_new(const struct dray_context_options *o, dray_context **ret, dray_error **err)
{
	struct dray_context_options own = DRAY_CONTEXT_OPTIONS_INIT;
	dray_context *ctx;

	o = options_take(&own, sizeof(own), o);
	if (check_options(o, err) < 0)
		return -1;
	ctx = mem_zalloc(sizeof(*ctx));
	if (!ctx)
		return err_nomem(err);
	ctx->threads = o->jobs ? o->jobs : cpu_count();
	ctx->jobs = o->jobs ? o->jobs : default_blobs(ctx->threads);
	ctx->all_platforms = o->all_platforms;
	ctx->no_cache = o->no_cache;
	ctx->salvage = o->salvage;
	ctx->log = o->log;
	ctx->progress = o->progress;
	ctx->arg = o->arg;
	ctx->lock = lock_new(err);
	if (!ctx->lock || copy_strings(ctx, o, err) < 0 || take_platforms(ctx, o, err) < 0) {
		dray_context_free(ctx);
		return -1;
	}
	fill_remote(ctx, o);
	*ret = ctx;
	return 0;
}

static void wipe_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	mem_free(secret);
}

void dray_context_free(dray_context *ctx)
{
	if (!ctx)
		return;
	pool_free(ctx->pool);
	lock_free(ctx->lock);
	wipe_free(ctx->creds);
	mem_free(ctx->authfile);
	mem_free(ctx->cert_dir);
	mem_free(ctx->tmpdir);
	arena_clear(&ctx->arena);
	mem_free(ctx);
}

struct pool *context_pool(dray_context *ctx, dray_error **err)
{
	lock_take(ctx->lock);
	if (!ctx->pool)
		ctx->pool = pool_new(ctx->threads, err);
	lock_drop(ctx->lock);
	return ctx->pool;
}

void context_log(dray_context *ctx, enum dray_log_level level, const char *fmt, ...)
{
	char line[LOG_LINE];
	char *safe;
	va_list ap;

	if (!ctx->log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	safe = text_safe(span_str(line), sizeof(line));
	if (!safe)
		return;
	lock_take(ctx->lock);
	ctx->log(ctx->arg, level, safe);
	lock_drop(ctx->lock);
	mem_free(safe);
}

void context_notes(dray_context *ctx, const struct notes *notes)
{
	for (size_t i = 0; i < notes->n; i++) {
		const struct note *n = &notes->list[i];

		context_log(ctx, DRAY_LOG_WARNING, "%s%s%s", n->where ? n->where : "",
			    n->where ? ": " : "", n->message);
	}
}

void context_progress(dray_context *ctx, const struct dray_progress *p)
{
	if (!ctx->progress)
		return;
	lock_take(ctx->lock);
	ctx->progress(ctx->arg, p);
	lock_drop(ctx->lock);
}

uint64_t context_progress_id(dray_context *ctx)
{
	uint64_t id;

	lock_take(ctx->lock);
	id = ++ctx->next_progress_id;
	lock_drop(ctx->lock);
	return id;
}

void dray_cancel(void)
{
	cancel_request();
}
