/* part.c: the parts of a message one after the other: foreverypart, break and extracttext
 * (RFC 5703 3 and 7).
 *
 * A loop is two steps: one that opens it, one in front of its block that takes the next part and is
 * false behind the last.  Which parts these are is kept in the run; the nesting has a bound.  A loop
 * within a loop goes over what is below the part at hand.  `break` knows when it is compiled how many loops
 * it ends. */
#include "sieve/message.h"

static bool
loop_begin_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct mime *m = sieve_message_mime(r, c);
	const struct mime_part *root = m ? sieve_message_part(r, c) : NULL;
	struct sieve_loop *l = &r->loops[r->nloops];

	if (!root)
		return false;
	if (r->nloops == SIEVE_LOOPS_MAX)
		return sieve_exceed(r, c, "loops in one another");
	*l = (struct sieve_loop){ .root = root, .part = r->nloops ? root : NULL };
	r->nloops++;
	return true;
}

static bool
loop_next_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct sieve_loop *l = &r->loops[r->nloops - 1];
	const struct mime *m = sieve_message_mime(r, c);

	l->part = m ? sieve_part_next(m, l->root, l->part) : NULL;
	if (!l->part)
		r->nloops--;
	return l->part;
}

static bool
loop_again_run(struct sieve_run *r, const struct sieve_call *c)
{
	(void)r;
	(void)c;
	return true;
}

static bool
foreverypart_open(struct sieve_compiler *c, struct sieve_node *n, struct sieve_call *call)
{
	static const struct sieve_word begin = { .name = "foreverypart", .run = loop_begin_run };
	static const struct sieve_word next = { .name = "next part",
		.kind = SIEVE_TEST,
		.run = loop_next_run };

	if (call->args[0].given)
		n->label = call->args[0].items[0].text;
	n->end = sieve_label(c);
	n->entry = sieve_label(c);
	call->word = &begin;
	sieve_emit(c, call, SIEVE_NEXT, SIEVE_NEXT);
	sieve_label_here(c, n->entry);
	call->word = &next;
	sieve_emit(c, call, SIEVE_NEXT, n->end);
	return true;
}

static void
foreverypart_close(struct sieve_compiler *c, struct sieve_node *n)
{
	static const struct sieve_word again = { .name = "again", .run = loop_again_run };
	struct sieve_call call = sieve_call_of(c, n, &again);

	call.line = 0; /* nothing that the script says */
	sieve_emit(c, &call, n->entry, n->entry);
	sieve_label_here(c, n->end);
}

static bool
break_run(struct sieve_run *r, const struct sieve_call *c)
{
	r->nloops -= c->number;
	return true;
}

static struct sieve_node *
loop_around(struct sieve_node *n)
{
	for (n = n->parent; n && !(n->word && n->word->close == foreverypart_close); n = n->parent)
		;
	return n;
}

static bool
break_open(struct sieve_compiler *c, struct sieve_node *n, struct sieve_call *call)
{
	static const struct sieve_word leave = { .name = "break", .run = break_run };
	struct slice name = call->args[0].given ? call->args[0].items[0].text : S("");
	struct sieve_node *loop = loop_around(n);

	call->number = 1;
	while (loop && name.n && !slice_eq(loop->label, name)) {
		loop = loop_around(loop);
		call->number++;
	}
	if (!loop)
		return sieve_wrong(c, n->line, n->column,
		    name.n ? "break: there is no loop \"" SFMT "\" around it" :
			     "break stands within foreverypart only" SFMT,
		    SARG(name));
	call->word = &leave;
	sieve_emit(c, call, loop->end, loop->end);
	return true;
}

/* ---- extracttext: 7 ------------------------------------------------------------------------------------- */

enum { SLOT_FIRST = 1 };

static bool
extract_open(struct sieve_compiler *c, struct sieve_node *n, struct sieve_call *call)
{
	int index;

	if (!loop_around(n))
		return sieve_wrong(c, n->line, n->column,
		    "extracttext stands within foreverypart only");
	if (!sieve_required(c, "variables"))
		return sieve_wrong(c, n->line, n->column,
		    "extracttext needs require \"variables\"");
	index = sieve_variable(c, &call->args[0], call->args[0].items[0].text);
	call->number = (uint32_t)index;
	if (index >= 0)
		sieve_emit(c, call, SIEVE_NEXT, SIEVE_NEXT);
	return index >= 0;
}

/* The first n characters. */
static struct slice
text_first(struct slice s, uint64_t n)
{
	size_t i = 0;

	for (; i < s.n; i++)
		if (((unsigned char)s.p[i] & 0xc0) != 0x80 && n-- == 0)
			break;
	return slice_sub(s, 0, i);
}

static bool
extract_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct mime_part *p = sieve_message_part(r, c);
	const struct sieve_arg *first = sieve_arg(c, SLOT_FIRST);
	struct slice s = S("");

	if (p && p->kind == MIME_LEAF && slice_ieq(p->type, S("text")))
		s = sieve_text_cut(r, sieve_part_text(r, c, p)->text);
	if (first)
		s = text_first(s, first->number);
	s = sieve_modify(r, c, s);
	sieve_note(r, s);
	sieve_variable_set(r, c->number, s);
	return true;
}

static const struct sieve_tag tags_name[] = {
	{ ":name", NULL, SIEVE_STRING, .slot = 0, .constant = true },
	{ .name = NULL },
};
static const struct sieve_tag tags_first[] = {
	{ ":first", NULL, SIEVE_NUMBER, .slot = SLOT_FIRST },
	{ .name = NULL },
};
static const struct sieve_tag *const loop_tags[] = { tags_name, NULL };
static const struct sieve_tag *const extract_tags[] = { sieve_tags_modifier, tags_first, NULL };

const struct sieve_word sieve_words_mime[] = {
	{ "foreverypart", SIEVE_COMMAND, "foreverypart", "", loop_tags, -1, .block = true,
	    .open = foreverypart_open, .close = foreverypart_close },
	{ "break", SIEVE_COMMAND, "foreverypart", "", loop_tags, -1, .open = break_open },
	{ "extracttext", SIEVE_COMMAND, "extracttext", "S", extract_tags, -1, .run = extract_run,
	    .open = extract_open },
	{ .name = NULL },
};
