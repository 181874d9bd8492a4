/* imap/server-line.c: the input of an IMAP session: command lines, literals, lines of an exchange.
 *
 * Owns: what the lexer gathers.  Called through s->input by server.c's step.  Can fail: a command
 * may be too long (BAD, or BYE when there is no end in sight).  Must stay true: bytes of a refused
 * command are never taken for the next one.  Each taker says in its struct what it does with bytes, so
 * nobody infers it from the command in flight. */
#include <string.h>

#include "base/log.h"
#include "imap/server-impl.h"

/* RFC 7888 5: "MUST NOT be larger than 4096 octets" */
#define IMAP_HASTY "A literal of this length has to be waited for"

/* "If responding to an APPEND command, the tagged BAD response MUST contain the TOOBIG response code" */
static const struct imap_refusal imap_hasty_message = { IMAP_BAD, "TOOBIG", IMAP_HASTY };

/* ---- commands ------------------------------------------------------------------------------ */

static struct imap_in
imap_server_in(struct imap_server *s, struct slice text)
{
	return (struct imap_in){ .s = text, .arena = &s->arena, .utf8 = s->utf8 };
}

static const struct imap_command *
imap_command_in(const struct imap_command *table, struct slice verb)
{
	for (; table->name; table++)
		if (slice_ieq(verb, slice_str(table->name)))
			return table;
	return NULL;
}

/* "tag SP [UID SP] verb" off the front.  NULL: answered already, *answer says how. */
static const struct imap_command *
imap_command_begin(struct imap_server *s, struct imap_in *in, enum imap_next *answer)
{
	const struct imap_command *c;
	struct slice verb;

	if (!imap_tag(in, &s->tag)) {
		s->tag = S("*");
		*answer = imap_server_bad(s, "Tag expected");
		return NULL;
	}
	s->tag = arena_slice(&s->arena, s->tag);
	if (!imap_space(in) || !imap_atom(in, &verb)) {
		*answer = imap_server_bad(s, "Command expected");
		return NULL;
	}
	if (slice_ieq(verb, S("UID"))) {
		s->uid = true;
		if (!imap_space(in) || !imap_atom(in, &verb)) {
			*answer = imap_server_bad(s, "Command expected behind UID");
			return NULL;
		}
	}
	c = imap_command_in(imap_server_commands, verb);
	if (!c)
		c = imap_command_in(s->policy->commands, verb);
	imap_server_event(s, IMAP_EV_COMMAND);
	if (log_wants(LOG_DEBUG))
		log_event(LOG_DEBUG, "command", "sid=%s verb=%s", s->line.sid, log_value(verb));
	if (!c || (s->uid && !(c->flags & IMAP_UIDS))) {
		*answer = imap_server_bad(s, "Unknown command");
		return NULL;
	}
	if (!(c->states & s->state) && !(c->states & IMAP_AUTH && s->state == IMAP_SELECTED)) {
		*answer = imap_server_bad(s,
		    s->state == IMAP_NOTAUTH      ? "Log in first" :
			c->states & IMAP_SELECTED ? "No mailbox is selected" :
						    "Not after login");
		return NULL;
	}
	if (s->uidonly && !s->uid && c->flags & IMAP_SETS) {
		*answer = imap_server_bad(s, "[UIDREQUIRED] Messages have UIDs only");
		return NULL;
	}
	return c;
}

/* A whole command is in s->lex.text. */
static enum imap_next
imap_command_run(struct imap_server *s)
{
	struct imap_in in = imap_server_in(s, buf_get(&s->lex.text));
	enum imap_next answer = IMAP_NEXT;
	const struct imap_command *c = imap_command_begin(s, &in, &answer);

	if (!c)
		return answer;
	if (s->state == IMAP_NOTAUTH && ++s->early > s->policy->limits->early) {
		s->line.why = "early";
		imap_server_untagged(s, "BYE Log in, or go");
		return IMAP_CLOSE;
	}
	s->cmd = c;
	if (c->flags & IMAP_WRITES && s->readonly)
		return imap_server_no(s, "READ-ONLY", "The mailbox was opened read-only");
	return c->run(s, &in);
}

/* The command in front of a literal that it wants to take itself; NULL: there is none that does. */
static const struct imap_command *
imap_literal_command(struct imap_server *s, struct imap_in *in)
{
	const struct imap_command *c = NULL;
	struct slice verb = { 0 };

	if (imap_space(in) && imap_atom(in, &verb) && slice_ieq(verb, S("UID"))) {
		s->uid = true;
		if (!imap_space(in) || !imap_atom(in, &verb))
			return NULL;
	}
	c = imap_command_in(s->policy->commands, verb);
	return c && c->literal && (!s->uid || c->flags & IMAP_UIDS) ? c : NULL;
}

/* May it run now?  The same rules as for other commands. */
static bool
imap_literal_allowed(const struct imap_server *s, const struct imap_command *c,
    struct imap_refusal *r)
{
	if (s->state == IMAP_NOTAUTH)
		r->text = "Log in first";
	else if (c->states == IMAP_SELECTED && s->state != IMAP_SELECTED)
		r->text = "No mailbox is selected";
	else if (s->uidonly && !s->uid && c->flags & IMAP_SETS)
		r->text = "[UIDREQUIRED] Messages have UIDs only";
	else if (c->flags & IMAP_WRITES && s->readonly)
		*r = (struct imap_refusal){ IMAP_NO, "READ-ONLY",
			"The mailbox was opened read-only" };
	return !r->text;
}

/* A literal that the command wants to take itself.  A refusal has to wait for the bytes, so this is
 * not imap_command_begin. */
static enum imap_next
imap_command_literal(struct imap_server *s)
{
	struct imap_in in = imap_server_in(s, buf_get(&s->lex.text));
	struct imap_refusal r = { IMAP_BAD, NULL, NULL };
	const struct imap_command *c = NULL;

	if (!imap_tag(&in, &s->tag)) {
		s->tag = S("*");
		r.text = "Tag expected";
	} else {
		s->tag = arena_slice(&s->arena, s->tag);
		c = imap_literal_command(s, &in);
		imap_server_event(s, IMAP_EV_COMMAND);
		if (!c)
			r.text = "Command expected";
		else if (s->lex.hasty)
			r = imap_hasty_message;
		else if (!imap_literal_allowed(s, c, &r))
			s->cmd = c;
	}
	if (r.text)
		return imap_server_refuse_literal(s, s->lex.literal, &r);
	s->cmd = c;
	return c->literal(s, &in, s->lex.literal);
}

static enum imap_next
imap_command_flood(struct imap_server *s, const char *text)
{
	s->line.why = "flood";
	imap_server_untagged(s, "BYE %s", text);
	return IMAP_CLOSE;
}

static enum imap_next
imap_command_too_long(struct imap_server *s)
{
	struct imap_in in = imap_server_in(s, buf_get(&s->lex.text));

	if (!s->cmd && !imap_tag(&in, &s->tag))
		s->tag = S("*");
	return imap_server_bad(s, s->lex.hasty ? IMAP_HASTY : "Command too long");
}

static enum imap_next
imap_command_bytes(struct imap_server *s, struct slice in)
{
	size_t used;
	enum imap_lexed what = imap_lex_feed(&s->lex, in, &used);

	stream_take(&s->line.io, used);
	switch (what) {
	case IMAP_LEX_MORE: break;
	case IMAP_LEX_DONE:
		if (s->lex.text.n == 0)
			return IMAP_NEXT; /* empty lines between commands are ignored */
		return imap_command_run(s);
	case IMAP_LEX_CONTINUE: imap_server_invite(s); break;
	case IMAP_LEX_MESSAGE: return imap_command_literal(s);
	case IMAP_LEX_TOO_LONG: return imap_command_too_long(s);
	case IMAP_LEX_FLOOD: return imap_command_flood(s, "Command too long");
	}
	return IMAP_MORE;
}

const struct imap_taker imap_command_taker = { "command", imap_command_bytes, false };

/* ---- lines of a command that lasts ---------------------------------------------------------- */

enum imap_next
imap_server_line(struct imap_server *s, struct slice in,
    enum imap_next (*fn)(struct imap_server *, struct slice line))
{
	enum imap_next next;
	enum imap_lexed what;
	size_t used;

	/* A client that sends a command here instead may send a literal with it: its bytes must not
	 * be taken for commands, so the lexer goes over them as it does everywhere. */
	what = imap_lex_feed(&s->lex, in, &used);
	stream_take(&s->line.io, used);
	switch (what) {
	case IMAP_LEX_MORE: return IMAP_MORE;
	case IMAP_LEX_CONTINUE: imap_server_invite(s); return IMAP_MORE;
	case IMAP_LEX_MESSAGE: return imap_command_flood(s, "Something else was expected");
	case IMAP_LEX_FLOOD: return imap_command_flood(s, "Command too long");
	case IMAP_LEX_TOO_LONG: return imap_server_bad(s, "Command too long");
	case IMAP_LEX_DONE: break;
	}
	next = fn(s, buf_get(&s->lex.text));
	if (next == IMAP_MORE) {
		if (s->lex.text.p)
			explicit_bzero(s->lex.text.p, s->lex.text.n);
		imap_lex_reset(&s->lex);
	}
	return next;
}

/* ---- literals that are not gathered --------------------------------------------------------- */

void
imap_server_invite(struct imap_server *s)
{
	buf_lit(imap_server_out(s), "+ Ready for literal data\r\n");
}

static enum imap_next
imap_literal_refused(struct imap_server *s)
{
	return imap_server_refuse(s, &s->refusal);
}

static enum imap_next
imap_literal_skip(struct imap_server *s, struct slice in)
{
	size_t n = in.n < s->skip ? in.n : (size_t)s->skip;

	stream_take(&s->line.io, n);
	s->skip -= n;
	return s->skip > 0 ? IMAP_MORE : imap_server_literal_end(s, imap_literal_refused);
}

static const struct imap_taker imap_skip_taker = { "skip", imap_literal_skip, false };

enum imap_next
imap_server_refuse_literal(struct imap_server *s, uint64_t size, const struct imap_refusal *r)
{
	/* A client that waits for "+" sends nothing; else the bytes are on their way. */
	if (s->lex.sync)
		return imap_server_refuse(s, r);
	if (s->state == IMAP_NOTAUTH || size > s->policy->limits->skip - s->skipped)
		return imap_command_flood(s, "Message too large");
	s->refusal = *r;
	s->skip = size;
	s->skipped += size;
	s->input = &imap_skip_taker;
	return size > 0 ? IMAP_MORE : imap_server_literal_end(s, imap_literal_refused);
}

/* Takes s->tail off the front of what stands behind a literal.  False: it is not there. */
static bool
imap_tail_take(struct imap_server *s, struct slice *text)
{
	struct slice tail = slice_str(s->tail ? s->tail : "");

	s->tail = NULL;
	*text = slice_from(buf_get(&s->lex.text), s->lex.line_at);
	if (!slice_starts(*text, tail))
		return false;
	*text = slice_from(*text, tail.n);
	return true;
}

/* Another message behind one.  Behind one that was refused it is read over too: its bytes are on
 * their way. */
static enum imap_next
imap_tail_message(struct imap_server *s)
{
	struct imap_in in = imap_server_in(s, slice(NULL, 0));
	bool good = imap_tail_take(s, &in.s);

	if (s->then == imap_literal_refused)
		return imap_server_refuse_literal(s, s->lex.literal, &s->refusal);
	if (good && s->cmd && s->lex.hasty)
		return imap_server_refuse_literal(s, s->lex.literal, &imap_hasty_message);
	if (!good || !s->cmd || !(s->cmd->flags & IMAP_MANY))
		return imap_command_flood(s, "Unexpected text behind the message");
	return s->cmd->literal(s, &in, s->lex.literal);
}

/* The rest of the command's line, which should be its end. */
static enum imap_next
imap_tail_bytes(struct imap_server *s, struct slice in)
{
	size_t used;
	enum imap_lexed what = imap_lex_feed(&s->lex, in, &used);
	struct slice text;
	bool good;

	stream_take(&s->line.io, used);
	if (what == IMAP_LEX_MORE)
		return IMAP_MORE;
	if (what == IMAP_LEX_MESSAGE)
		return imap_tail_message(s);
	if (what != IMAP_LEX_DONE)
		return imap_command_flood(s, "Unexpected text behind the message");
	good = imap_tail_take(s, &text);
	if (good && s->rest) {
		struct imap_in rest = imap_server_in(s, text);

		return s->rest(s, &rest);
	}
	if ((!good || text.n > 0) && s->then != imap_literal_refused)
		return imap_server_bad(s, "Unexpected text behind the message");
	return s->then(s);
}

static const struct imap_taker imap_tail_taker = { "tail", imap_tail_bytes, true };

enum imap_next
imap_server_literal_end(struct imap_server *s, enum imap_next (*then)(struct imap_server *))
{
	imap_lex_message_taken(&s->lex);
	s->then = then;
	s->rest = NULL;
	s->input = &imap_tail_taker;
	return IMAP_MORE;
}

enum imap_next
imap_server_literal_rest(struct imap_server *s,
    enum imap_next (*rest)(struct imap_server *, struct imap_in *))
{
	(void)imap_server_literal_end(s, NULL);
	s->rest = rest;
	return IMAP_MORE;
}
