/* jmapd/sieve-text.c: the octets of scripts: those of a person's as blobs, and those of blobs as scripts.
 *
 * A script's blob is in the directory, not in a file: blob_start asks there, and the text is in memory while it is
 * read, of sieve.size octets.  Called by blob.c, and by the methods that take a script.  Can fail: the directory,
 * which is -EIO and no -ENOENT.  Must stay true: octets that a blobId once stood for are never others. */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "sieve.h"

/* ---- a script's blob ------------------------------------------------------------------------------------ */

/* Until blob_close. */
struct blob_script {
	struct session *s;
	struct arena arena;
	struct rules_person person;
	struct slice id; /* of the blob */
	struct buf text;
	void (*done)(void *arg);
	void *arg;
};

static void
script_blob_end(struct blob *b, int error)
{
	struct blob_script *p = b->script;

	b->error = error;
	b->size = p->text.n;
	p->done(p->arg);
}

static void
script_blob_read(void *arg, const struct rules_answer *a)
{
	struct blob *b = arg;
	struct blob_script *p = b->script;
	bool found = false;

	for (size_t i = 0; a->outcome == RULES_DONE && i < a->scripts.n && !found; i++) {
		const struct rules_script *r = &a->scripts.v[i];

		found = slice_eq(script_blob_id(&p->arena, r->id, r->text), p->id);
		if (found)
			buf_slice(&p->text, r->text);
	}
	script_blob_end(b, a->outcome != RULES_DONE ? -EIO : found ? 0 : -ENOENT);
}

static void
script_blob_known(void *arg, const struct dir_answer *a)
{
	struct blob *b = arg;
	struct blob_script *p = b->script;

	if (a->v.kind != OK || !a->user) {
		script_blob_end(b, -EIO);
		return;
	}
	p->person.dn = arena_slice(&p->arena, a->user->dn);
	p->person.account = slice_str(p->s->user->account);
	rules_read_start(jmapd.rules, &p->person, &p->s->http.op, script_blob_read, b);
}

void
script_blob_start(struct session *s, struct slice id, struct blob *b, void (*done)(void *arg),
    void *arg)
{
	struct blob_script *p = mem_new(sizeof(*p));

	p->s = s;
	p->done = done;
	p->arg = arg;
	p->id = arena_slice(&p->arena, id);
	b->script = p;
	dir_login_start(jmapd.dir, slice_str(s->user->account), &s->http.op, script_blob_known, b);
}

struct slice
script_blob_get(const struct blob *b)
{
	return buf_get(&b->script->text);
}

void
script_blob_close(struct blob *b)
{
	struct blob_script *p = b->script;

	b->script = NULL;
	buf_fini(&p->text);
	arena_wipe(&p->arena);
	mem_release(p);
}

/* ---- a blob as a script ---------------------------------------------------------------------------------- */

static enum call_next
script_text_over(struct script_text *t, const char *type, const char *why)
{
	if (t->stage == TEXT_OPENS || t->stage == TEXT_READS)
		blob_close(&t->blob);
	t->stage = TEXT_OVER;
	t->type = type;
	t->why = why;
	return CALL_DONE;
}

static void
script_text_opened(void *arg)
{
	call_resume(arg, CALL_AGAIN);
}

static void
script_text_checked(void *arg, struct slice errors)
{
	struct call *c = arg;
	struct scripts *s = c->data;

	(void)script_text_over(&s->text, errors.n ? "invalidSieve" : NULL,
	    errors.n ? arena_cstr(&c->arena, errors) : NULL);
	metric_add(errors.n ? M_SCRIPTS_REFUSED : M_SCRIPTS_CHECKED, 1);
	call_resume(c, CALL_AGAIN);
}

/* All of it, a piece at a time; then a thread compiles it. */
static enum call_next
script_text_read(struct call *c, struct script_text *t)
{
	if (t->blob.error == -ENOENT)
		return script_text_over(t, "blobNotFound", "there is no such blob");
	if (t->blob.error < 0)
		return script_text_over(t, "serverUnavailable", "the blob cannot be read now");
	if (t->blob.size > (uint64_t)config.script_octets)
		return script_text_over(t, "tooLarge", "the script is larger than maxSizeScript");
	while (t->octets.n < t->blob.size) {
		ssize_t got = blob_read(&t->blob, t->octets.n, &t->octets);

		if (got <= 0 && got != -EAGAIN)
			return script_text_over(t, "serverUnavailable",
			    "the blob cannot be read now");
		if (call_spent(c) || got < 0)
			return CALL_AGAIN;
	}
	blob_close(&t->blob);
	t->stage = TEXT_CHECKS;
	rules_check_start(jmapd.loop, call_op(c), slice_str(call_user(c)->account),
	    buf_get(&t->octets), script_text_checked, c);
	return CALL_WAIT;
}

enum call_next
script_text_go(struct call *c, struct slice id)
{
	struct scripts *s = c->data;
	struct script_text *t = &s->text;

	switch (t->stage) {
	case TEXT_NONE:
		id = call_created(c, id);
		if (!id.p)
			return script_text_over(t, "blobNotFound", "there is no such blob");
		t->stage = TEXT_OPENS;
		if (!blob_start(c->s, id, &t->blob, script_text_opened, c))
			return CALL_WAIT;
		__attribute__((fallthrough));
	case TEXT_OPENS: t->stage = TEXT_READS; __attribute__((fallthrough));
	case TEXT_READS: return script_text_read(c, t);
	case TEXT_CHECKS:
	case TEXT_OVER: break;
	}
	return CALL_DONE;
}

void
script_text_fini(struct script_text *t)
{
	if (t->stage == TEXT_OPENS || t->stage == TEXT_READS)
		blob_close(&t->blob);
	buf_fini(&t->octets);
	*t = (struct script_text){ .stage = TEXT_NONE };
}
