/* packet.c: what is asked of piped, and what it answers: see programs.h.
 *
 * Lines of base/kv.h: words that a reader does not know are passed over, so that two versions of the suite may meet.
 * Pure.  Must stay true: neither side takes a word of the other for granted. */
#include <errno.h>
#include "base/arena.h"
#include "base/kv.h"
#include "programs/programs.h"

#define WORD_MOST 1000

static const struct {
	const char *name;
	size_t at;
} words[] = {
	{ "program", offsetof(struct programs_order, program) },
	{ "user", offsetof(struct programs_order, user) },
	{ "sender", offsetof(struct programs_order, sender) },
	{ "recipient", offsetof(struct programs_order, recipient) },
	{ "qid", offsetof(struct programs_order, qid) },
	{ "type", offsetof(struct programs_order, type) },
	{ "subtype", offsetof(struct programs_order, subtype) },
	{ "name", offsetof(struct programs_order, name) },
	{ "args", offsetof(struct programs_order, args) },
};
static const char *const ends[] = { [PROGRAMS_DONE] = "done",
	[PROGRAMS_LATER] = "later",
	[PROGRAMS_REFUSED] = "refused",
	[PROGRAMS_FAILED] = "failed" };

#define NWORDS (sizeof(words) / sizeof(*words))
#define NENDS  (sizeof(ends) / sizeof(*ends))

static struct slice *
word_of(struct programs_order *o, size_t i)
{
	return (struct slice *)(void *)((char *)o + words[i].at);
}

int
programs_order_write(struct buf *b, const struct programs_order *o)
{
	struct programs_order copy = *o;

	buf_lit(b, "run");
	for (size_t i = 0; i < NWORDS; i++) {
		struct slice w = *word_of(&copy, i);

		if (w.n > WORD_MOST)
			return -EBADMSG;
		if (w.n)
			kv_put(b, words[i].name, w);
	}
	return o->program.n ? 0 : -EBADMSG;
}

int
programs_order_parse(struct slice packet, struct arena *a, struct programs_order *o)
{
	char room[WORD_MOST + 1];

	*o = (struct programs_order){ 0 };
	if (!slice_starts(packet, S("run ")))
		return -EBADMSG;
	packet = slice_from(packet, 4);
	for (size_t i = 0; i < NWORDS; i++) {
		struct slice w = kv_find(packet, words[i].name);

		if (!w.p)
			continue;
		if (kv_cstr(w, room, sizeof(room)) < 0)
			return -EBADMSG;
		*word_of(o, i) = arena_slice(a, slice_str(room));
	}
	return o->program.n ? 0 : -EBADMSG;
}

void
programs_result_write(struct buf *b, const struct programs_result *r)
{
	buf_str(b, ends[r->end]);
	buf_printf(b, " code=%d.%u.%u", (int)r->v.kind, r->v.subject, r->v.detail);
	kv_put(b, "text", slice_str(r->v.text));
}

int
programs_result_parse(struct slice packet, struct programs_result *r)
{
	struct slice word = slice_sub(packet, 0, slice_find(packet, ' '));
	struct slice rest = slice_from(packet, word.n + 1);

	*r = (struct programs_result){ 0 };
	for (size_t i = 0; i < NENDS; i++)
		if (slice_eq(word, slice_str(ends[i]))) {
			r->end = (enum programs_end)i;
			if (verdict_parse_esc(kv_find(rest, "code"), &r->v) < 0 ||
			    kv_cstr(kv_find(rest, "text"), r->v.text, sizeof(r->v.text)) < 0)
				return -EBADMSG;
			return (r->v.kind == OK) == (r->end == PROGRAMS_DONE) ? 0 : -EBADMSG;
		}
	return -EBADMSG;
}
