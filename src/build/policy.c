/* SPDX-License-Identifier: Apache-2.0
 *
 * Owners, modes and times: nothing of the machine that builds gets into an image unasked.
 * Relies on the spec being checked.
 * Promises whole seconds, 07777, and names of owners only as the spec gives them.
 */
#include "build/policy.h"

#include "build/spec_priv.h"
#include "tar/tar.h"

int owner_of(const struct spec_owner *o, uint32_t *uid, uint32_t *gid, const char **uname,
	     const char **gname, dray_error **err)
{
	if ((o->uid.set && spec_id(o->uid.v, err) < 0) ||
	    (o->gid.set && spec_id(o->gid.v, err) < 0))
		return err_ctx(err, "owner");
	if (o->uid.set)
		*uid = (uint32_t)o->uid.v;
	if (o->gid.set)
		*gid = (uint32_t)o->gid.v;
	if (o->uname)
		*uname = o->uname;
	if (o->gname)
		*gname = o->gname;
	return 0;
}

/* What a tar or an image says of itself is no accident; what a folder says is. */
static bool is_told(enum spec_type t)
{
	return t == SPEC_TAR || t == SPEC_IMAGE;
}

int policy_of(const struct spec *s, const struct spec_source *src, struct policy *ret,
	      dray_error **err)
{
	const struct spec_owner *o = src->owner.set ? &src->owner : &s->owner;

	*ret = (struct policy){
		.keep_owner = is_told(src->type) && !src->owner.set,
		.uname = "",
		.gname = "",
		.normalize = src->type == SPEC_DIR || src->type == SPEC_FILE ||
			     src->type == SPEC_LINKS || src->type == SPEC_LISTED,
		.mtime = s->mtime,
	};
	if (src->mode)
		ret->normalize = strcmp(src->mode, "normalize") == 0;
	ret->has_mode = src->mode && spec_mode_text(src->mode, &ret->mode);
	return ret->keep_owner ? 0
			       : owner_of(o, &ret->uid, &ret->gid, &ret->uname, &ret->gname, err);
}

void mtime_apply(const struct spec_time *t, struct layer_entry *e)
{
	e->mtime_nsec = 0;
	if (t->kind == SPEC_TIME_KEEP || (t->kind == SPEC_TIME_CLAMP && e->mtime <= t->sec))
		return;
	e->mtime = t->sec;
}

static uint32_t normal_mode(const struct layer_entry *e)
{
	if (e->type == TAR_DIR)
		return 0755;
	return (e->mode & 0100) != 0 ? 0755 : 0644;
}

void policy_apply(const struct policy *p, struct layer_entry *e)
{
	e->mode &= 07777;
	if (e->type == TAR_SYMLINK)
		e->mode = 0777;
	else if (p->has_mode)
		e->mode = p->mode;
	else if (p->normalize)
		e->mode = normal_mode(e);
	e->uname = p->uname;
	e->gname = p->gname;
	if (!p->keep_owner) {
		e->uid = p->uid;
		e->gid = p->gid;
	}
	mtime_apply(&p->mtime, e);
}
