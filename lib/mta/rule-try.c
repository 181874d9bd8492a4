/* rule-try.c: one rewrite rule at work on one host: see rules-impl.h.
 *
 * Called by rewrite.c for each rule whose pattern fits.  The steps of the template run from left to right
 * and fill the parts; conditions on channels and places are gathered and judged at the end, since several
 * of a kind mean "any of these".  What fails is the rule, with a reason for --explain; what cannot be told
 * is not a failure, and goes back as such.  Must stay true: a rule that fails has changed nothing, so the
 * next candidate begins from the same address. */
#include "base/mem.h"
#include "base/random.h"
#include "mail/outcome.h"
#include "mta/rules-impl.h"

#define STEPS_OF_CALL 1000 /* of MTA_STEPS_MAX: a value may hold many calls, each with a value */

/* What is gathered while the steps run. */
struct judge {
	struct mta_try *t;
	struct buf *out;      /* the part, or the text within a call */
	char letters;         /* of what is substituted: \ ^ _ */
	bool quote;           /* it goes into a search filter */
	unsigned depth;       /* of values that are templates themselves */
	unsigned places;      /* MTA_PLACE_ bits that were named; 0: any */
	bool m, m_hit, n_hit; /* $M, $N */
	bool q, q_hit, c_hit; /* $Q, $C */
	bool stopped;         /* by $1~: the rest of the template does not count */
};

static enum mta_answer judge_run(struct judge *j, const struct mta_rule_op *op, size_t n);

static enum mta_answer
judge_no(struct mta_try *t, const char *why)
{
	t->why = why;
	return MTA_NO;
}

/* ---- substitutions ------------------------------------------------------------------------ */

static enum mta_answer
judge_put(struct judge *j, struct slice s)
{
	if (!j->quote && j->letters != '\\' && j->letters != '^') {
		buf_slice(j->out, s);
		return MTA_YES;
	}
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (j->letters == '\\')
			c = ascii_lower(c);
		else if (j->letters == '^')
			c = ascii_upper(c);
		if (j->quote && c && strchr("*()\\", c))
			buf_printf(j->out, "\\%02x", (unsigned char)c);
		else
			buf_char(j->out, c);
	}
	return MTA_YES;
}

/* The local part up to its first `+`, or from there on. */
static enum mta_answer
judge_put_user(struct judge *j, const struct mta_rule_op *op)
{
	struct slice u = j->t->split->user;
	size_t plus;

	if (!op->numbered)
		return judge_put(j, u);
	if (u.n && u.p[0] == '"')
		return op->number == 0 ? judge_put(j, u) : MTA_YES;
	plus = slice_find(u, '+');
	return judge_put(j, op->number == 0 ? slice_sub(u, 0, plus) : slice_from(u, plus));
}

/* A name without its n left-most elements. */
static enum mta_answer
judge_put_tail(struct judge *j, struct slice name, const struct mta_rule_op *op)
{
	struct slice label;

	if (!op->numbered || op->number == 0)
		return judge_put(j, name);
	for (unsigned i = 0; i < op->number; i++) {
		if (i == 0 && name.n && name.p[0] == '.')
			name = slice_from(name, 1);
		if (!slice_cut(&name, '.', &label))
			return judge_no(j->t, "the name has no such element");
	}
	return judge_put(j, name);
}

/* Element n of a dotted text, from either end; empty ones do not count. */
static bool
judge_element(struct slice s, unsigned n, bool from_right, struct slice *out)
{
	struct slice rest = s, label;
	unsigned have = 0;

	while (slice_cut(&rest, '.', &label))
		have += label.n > 0;
	if (n >= have)
		return false;
	if (from_right)
		n = have - 1 - n;
	for (rest = s; slice_cut(&rest, '.', &label);)
		if (label.n && n-- == 0)
			break;
	*out = label;
	return true;
}

static enum mta_answer
judge_put_element(struct judge *j, struct slice s, unsigned n, bool from_right)
{
	struct slice e;

	return judge_element(s, n, from_right, &e) ? judge_put(j, e) :
						     judge_no(j->t, "there is no such element");
}

static enum mta_answer
judge_put_pick(struct judge *j, const struct mta_rule_op *op)
{
	struct mta_try *t = j->t;
	struct slice loose = t->literal.p ? t->literal : t->host;

	return judge_put_element(j, op->c == '&' || op->c == '!' ? loose : t->domain, op->number,
	    op->c == '!' || op->c == '#');
}

static enum mta_answer
judge_put_unique(struct judge *j)
{
	char id[14];

	return judge_put(j, slice_str(random_id(id)));
}

/* ---- calls ------------------------------------------------------------------------------- */

/* The text within a call. */
static enum mta_answer
judge_call_text(struct judge *j, const struct mta_rule_op *op, struct buf *text)
{
	struct judge in = { .t = j->t, .out = text, .quote = j->quote, .depth = j->depth + 1 };
	enum mta_answer a = judge_run(&in, op->inner, op->ninner);

	if (a == MTA_YES && text->full)
		return judge_no(j->t, "the argument of a call has more than 4096 octets");
	return a;
}

/* A value goes on as a template of its own. */
static enum mta_answer
judge_rescan(struct judge *j, struct slice value)
{
	struct mta_rule_ops ops;
	struct arena a = { 0 };
	const char *why, *warn;
	enum mta_answer answer;

	if (mta_rule_template(&a, value, j->t->c->hostname, true, &ops, &why, &warn) < 0) {
		answer = judge_no(j->t, why);
	} else {
		j->depth++;
		answer = judge_run(j, ops.op, ops.n);
		j->depth--;
	}
	arena_reset(&a);
	return answer;
}

static enum mta_answer
judge_ask_mapping(struct judge *j, const struct mta_rule_op *op, struct slice probe,
    struct buf *value)
{
	struct mta_mapped m;
	enum mta_answer a = mta_mappings_ask_within(j->t->mappings, j->t->calls, op->text, probe,
	    NULL, &m, j->t->work);

	if (a == MTA_YES && !mta_flags_has(&m.flags, 'Y'))
		a = MTA_NO;
	if (a == MTA_YES)
		buf_slice(value, buf_get(&m.text));
	else
		j->t->why = m.error ? m.error : "the mapping did not set $Y";
	mta_mapped_fini(&m);
	return a;
}

static enum mta_answer
judge_call(struct judge *j, const struct mta_rule_op *op)
{
	const struct mta_calls *f = j->t->calls;
	struct buf text = { .cap = MTA_STRING_MAX }, value = { .cap = MTA_STRING_MAX };
	enum mta_answer a;

	if (j->depth > 2)
		return judge_no(j->t, "values call values more than two deep");
	if (j->t->work->steps < STEPS_OF_CALL) {
		j->t->why = "the rules take too many steps";
		return MTA_TEMP;
	}
	j->t->work->steps -= STEPS_OF_CALL;
	a = judge_call_text(j, op, &text);
	if (a == MTA_YES) {
		struct slice arg = buf_get(&text);

		j->t->why = "what it asks for is not there";
		a = MTA_NO;
		if (op->code == MTA_RULE_MAPPING)
			a = judge_ask_mapping(j, op, arg, &value);
		else if (op->code == MTA_RULE_GENERAL && f && f->general)
			a = f->general(f->arg, arg, &value);
		else if (op->code == MTA_RULE_URL && f && f->url)
			a = f->url(f->arg, arg, &value);
		if (a == MTA_YES)
			a = op->code == MTA_RULE_URL ? judge_put(j, buf_get(&value)) :
						       judge_rescan(j, buf_get(&value));
	}
	buf_fini(&text);
	buf_fini(&value);
	return a;
}

/* ---- conditions -------------------------------------------------------------------------- */

static bool
heeds_rules(const struct mta_try *t, struct slice channel)
{
	const struct mta_channel *c = mta_channel_named(t->c, channel);

	return !c || c->norules <= 0;
}

/* Channels that hold mail until it is routed again. */
static bool
is_reprocessing(struct slice channel)
{
	return slice_ieq(channel, S("reprocess")) || slice_ieq(channel, S("process"));
}

static enum mta_answer
judge_channel(struct judge *j, const struct mta_rule_op *op)
{
	const struct mta_query *q = j->t->q;
	bool again = op->code == MTA_RULE_REPROCESS;
	bool source = again ? is_reprocessing(q->source) : slice_ieq(op->text, q->source);
	bool dest = slice_ieq(op->text, q->dest);

	switch (op->c) {
	case 'M':
		j->m = true;
		j->m_hit |= source;
		break;
	case 'N': j->n_hit |= source; break;
	case 'Q':
		j->q = true;
		j->q_hit |= dest;
		break;
	case 'C':
	default: j->c_hit |= dest; break;
	}
	return MTA_YES;
}

/* Do the conditions on channels hold that have been gathered?  They are forgotten then. */
static bool
judge_channels(struct judge *j)
{
	const struct mta_try *t = j->t;
	bool to =
	    !t->q->header && !t->q->backward; /* an envelope recipient: $Q, $C not known yet */
	bool source = !heeds_rules(t, t->q->source) || ((!j->m || j->m_hit) && !j->n_hit);
	bool dest = to || !heeds_rules(t, t->q->dest) || ((!j->q || j->q_hit) && !j->c_hit);

	j->m = j->m_hit = j->n_hit = j->q = j->q_hit = j->c_hit = false;
	return source && dest;
}

static enum mta_answer
judge_part(struct judge *j, char between)
{
	struct mta_try *t = j->t;

	if (j->out != &t->part[t->n])
		return judge_no(t, "`@' or `%' within the argument of a call");
	if (t->n + 1 == MTA_PARTS_MAX)
		return judge_no(t, "the template has more than four parts");
	t->between[++t->n] = between;
	j->out = &t->part[t->n];
	return MTA_YES;
}

/* The directory is away: what was made so far goes where DOMAIN_FAILURE says. */
static enum mta_answer
judge_domain_failure(struct judge *j)
{
	struct mta_try *t = j->t;
	enum mta_answer a;

	if (t->temporary || j->out != &t->part[t->n])
		return MTA_TEMP;
	t->temporary = true;
	if (t->n == 0 && t->part[0].n == 0) {
		buf_slice(&t->part[0], t->split->user);
		a = judge_part(j, '%');
		buf_slice(j->out, t->split->host);
	}
	a = judge_part(j, '@');
	if (a == MTA_YES)
		a = judge_run(j, t->c->domain_failure.op, t->c->domain_failure.n);
	j->stopped = true;
	return a;
}

static enum mta_answer
judge_ask_local(struct judge *j, const struct mta_rule_op *op)
{
	const struct mta_calls *f = j->t->calls;
	struct buf text = { .cap = MTA_STRING_MAX };
	enum mta_answer a = judge_call_text(j, op, &text);

	if (a == MTA_YES) {
		a = f && f->local_domain ? f->local_domain(f->arg, buf_get(&text)) : MTA_NO;
		if (a == MTA_TEMP)
			a = judge_domain_failure(j);
		else if (a == MTA_YES || a == MTA_NO)
			a = (a == MTA_YES) == (op->c == 'V') ? MTA_YES :
			    op->c == 'V' ? judge_no(j->t, "the domain is not local") :
					   judge_no(j->t, "the domain is local");
	}
	buf_fini(&text);
	return a;
}

static enum mta_answer
judge_error(struct judge *j, const struct mta_rule_op *op)
{
	struct mta_try *t = j->t;
	struct buf text = { 0 };

	buf_slice(&text, op->text);
	t->set_error = true;
	t->error = verdict(OUT_REWRITE_RULE, buf_cstr(&text));
	buf_fini(&text);
	if (op->numbered) {
		t->error.kind = op->number / 1000000 == 4 ? TEMP : PERM;
		t->error.reply = 0;
		t->error.subject = (uint8_t)(op->number / 1000 % 1000);
		t->error.detail = (uint16_t)(op->number % 1000);
	}
	return MTA_YES;
}

/* ---- the steps --------------------------------------------------------------------------- */

static enum mta_answer
judge_condition(struct judge *j, const struct mta_rule_op *op)
{
	struct mta_try *t = j->t;

	switch ((int)op->code) {
	case MTA_RULE_CHANNEL:
	case MTA_RULE_REPROCESS: return judge_channel(j, op);
	case MTA_RULE_PENDING: j->stopped = !judge_channels(j); return MTA_YES;
	case MTA_RULE_KIND:
		return (op->c == 'B') == t->q->header ? MTA_YES :
		    op->c == 'B' ? judge_no(t, "not an address of the header") :
				   judge_no(t, "not an address of the envelope");
	case MTA_RULE_WAY:
		return (op->c == 'R') == t->q->backward ? MTA_YES :
		    op->c == 'R'                        ? judge_no(t, "not a sender's address") :
							  judge_no(t, "not a recipient's address");
	case MTA_RULE_PLACE: j->places |= op->number; return MTA_YES;
	case MTA_RULE_LOCAL: return judge_ask_local(j, op);
	case MTA_RULE_TAG:
		t->set_tag = true;
		buf_clear(&t->tag);
		buf_slice(&t->tag, op->text);
		return MTA_YES;
	default: return judge_error(j, op);
	}
}

static enum mta_answer
judge_op(struct judge *j, const struct mta_rule_op *op)
{
	struct mta_try *t = j->t;

	/* Only so much of each kind is named here as puts text; the rest are conditions. */
	if (op->code > MTA_RULE_URL)
		return judge_condition(j, op);
	if (op->code >= MTA_RULE_GENERAL)
		return judge_call(j, op);
	switch ((int)op->code) {
	case MTA_RULE_TEXT: buf_slice(j->out, op->text); return MTA_YES;
	case MTA_RULE_AT: return judge_part(j, '@');
	case MTA_RULE_PERCENT: return judge_part(j, '%');
	case MTA_RULE_USER: return judge_put_user(j, op);
	case MTA_RULE_DOMAIN: return judge_put_tail(j, t->domain, op);
	case MTA_RULE_HOST: return judge_put_tail(j, t->host, op);
	case MTA_RULE_LITERAL: return judge_put(j, t->literal);
	case MTA_RULE_PICK: return judge_put_pick(j, op);
	case MTA_RULE_CHAR:
		return op->number < t->address.n ?
		    judge_put(j, slice_sub(t->address, op->number, 1)) :
		    judge_no(t, "the address is shorter");
	case MTA_RULE_MAILHOST: return judge_put_element(j, t->q->mailhost, op->number, false);
	case MTA_RULE_CASE: j->letters = op->c; return MTA_YES;
	case MTA_RULE_QUOTE: j->quote = true; return MTA_YES;
	default: return judge_put_unique(j);
	}
}

static enum mta_answer
judge_run(struct judge *j, const struct mta_rule_op *op, size_t n)
{
	enum mta_answer a = MTA_YES;

	for (size_t i = 0; a == MTA_YES && !j->stopped && i < n; i++)
		a = judge_op(j, &op[i]);
	return a;
}

enum mta_answer
mta_try_rule(struct mta_try *t, const struct mta_rule_ops *ops)
{
	struct judge j = { .t = t, .out = &t->part[0] };
	enum mta_answer a;

	t->n = 0;
	t->why = NULL;
	t->set_tag = t->set_error = t->temporary = false;
	for (size_t i = 0; i < MTA_PARTS_MAX; i++)
		buf_clear(&t->part[i]);
	a = judge_run(&j, ops->op, ops->n);
	if (a != MTA_YES)
		return a;
	for (size_t i = 0; i <= t->n; i++)
		if (t->part[i].full)
			return judge_no(t, "a part of the result has more than 4096 octets");
	if (!judge_channels(&j))
		return judge_no(t, "not for this channel");
	if (j.places && !(j.places & t->split->place))
		return judge_no(t, "the host stands elsewhere in the address");
	return MTA_YES;
}

void
mta_try_init(struct mta_try *t)
{
	for (size_t i = 0; i < MTA_PARTS_MAX; i++)
		buf_init(&t->part[i], MTA_STRING_MAX);
	buf_init(&t->tag, MTA_STRING_MAX);
}

void
mta_try_fini(struct mta_try *t)
{
	for (size_t i = 0; i < MTA_PARTS_MAX; i++)
		buf_fini(&t->part[i]);
	buf_fini(&t->tag);
}
