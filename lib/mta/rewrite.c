/* rewrite.c: from an address to a channel: see rules.h.
 *
 * Called for each address of an envelope, and for those of headers where a channel asks for it.  Passes
 * go on until a rule names a channel that there is: a rule A%B begins anew with what it made, a local
 * host is peeled off and the next host of the address looked at.  Within a pass the candidates come from
 * the most specific to the least:
 *	$*, the host itself, the channels' host names, *.b.c .b.c *.*.c .c *.*.* . and then $% or $!
 * (of a literal: itself, [1.2.3.], [1.2.], [1.], [], [*.*.*.*], .), and one whose conditions fail only
 * makes place for the next.  What fails is told as a result with words; what cannot be told for now is
 * never a failure for good.  Must stay true: the work is bounded by passes and steps, whatever the rules
 * say, and a tag is put in front of every pattern until the address is done. */
#include <errno.h>
#include "base/mem.h"
#include "mail/outcome.h"
#include "mta/rules-impl.h"

#define LABELS_MAX   127
#define STEPS_OF_TRY 16 /* of MTA_STEPS_MAX */

enum found {
	FOUND_NOTHING, /* no rule, no channel */
	FOUND_RULE,    /* the try holds what it made */
	FOUND_CHANNEL, /* the host is a channel's host name */
	FOUND_STOP,    /* a rule of an error text alone: the host as it is */
	FOUND_UNKNOWN, /* cannot be told: for now, or a bound */
	FOUND_LATER
};

struct pass {
	struct mta_try t;
	struct mta_rewritten *r;
	const struct mta_query *q;
	struct mta_work work;
	struct mta_split split;
	struct buf address, tag; /* as they stand */
	struct buf past;         /* addresses and tags of the passes so far, each ended by a NUL */
	struct verdict error;    /* of $?, kept through all passes; kind NONE: none */
	bool temporary;          /* $V or $Z could not be told */
	bool bang;               /* a ! counts before a % */
	struct buf key;
};

static void
pass_step(struct pass *p, const char *what, struct slice subject, struct slice in, struct slice out,
    const char *why)
{
	const struct mta_calls *f = p->t.calls;

	if (f && f->step)
		f->step(f->arg, &(struct mta_step){ what, NULL, 0, subject, in, out, why });
}

/* What a template has made, in the form of a template. */
static void
made_write(struct buf *b, const struct mta_try *t)
{
	for (size_t i = 0; i <= t->n; i++) {
		if (i)
			buf_char(b, t->between[i]);
		buf_slice(b, buf_get(&t->part[i]));
	}
}

static void
rule_step(struct pass *p, const struct mta_rule *rule, const char *why)
{
	const struct mta_calls *f = p->t.calls;
	struct buf made = { 0 };

	if (!f || !f->step)
		return;
	made_write(&made, &p->t);
	f->step(f->arg,
	    &(struct mta_step){ "rule", rule->file, rule->line, rule->pattern, p->split.host,
		buf_get(&made), why });
	buf_fini(&made);
}

/* ---- candidates -------------------------------------------------------------------------- */

/* Has the template made a shape that there is?  A rule with an error text alone has one part that is
 * empty. */
static bool
pass_shape_ok(const struct mta_try *t)
{
	if (t->n == 0)
		return t->set_error && t->part[0].n == 0;
	if (t->between[1] == '%')
		return t->n == 1 || (t->n == 2 && t->between[2] == '@');
	return t->n == 1 || (t->between[2] == '@' && (t->n == 2 || t->between[3] == '@'));
}

static enum found
rule_try(struct pass *p, const struct mta_rule *rule)
{
	struct mta_try *t = &p->t;
	enum mta_answer a;

	if (p->work.steps < STEPS_OF_TRY) {
		t->why = "the rules take too many steps";
		return FOUND_UNKNOWN;
	}
	p->work.steps -= STEPS_OF_TRY;
	a = mta_try_rule(t, &rule->ops);
	if (a == MTA_YES && !pass_shape_ok(t)) {
		a = MTA_NO;
		t->why = "what it made is none of A%B@C, A@B, A%B, A@B@C, A@B@C@D";
	}
	rule_step(p, rule,
	    a == MTA_YES       ? "matched" :
		a == MTA_LATER ? "the directory is asked first" :
		t->why         ? t->why :
				 "it failed");
	if (a == MTA_LATER)
		return FOUND_LATER;
	if (a == MTA_TEMP)
		return FOUND_UNKNOWN;
	if (a == MTA_NO)
		return FOUND_NOTHING;
	if (t->set_error)
		p->error = t->error;
	p->temporary |= t->temporary;
	return t->n == 0 ? FOUND_STOP : FOUND_RULE;
}

/* All rules of one pattern, given in three pieces.  $H, $D and $L are set by the caller. */
static enum found
pass_probe(struct pass *p, struct slice a, struct slice b, struct slice c)
{
	const struct mta_rule *rule;
	enum found f = FOUND_NOTHING;

	buf_clear(&p->key);
	buf_slice(&p->key, buf_get(&p->tag));
	buf_slice(&p->key, a);
	buf_slice(&p->key, b);
	buf_slice(&p->key, c);
	for (size_t i = 0; i < p->key.n; i++)
		p->key.p[i] = ascii_lower(p->key.p[i]);
	rule = map_get(&p->t.c->rules, buf_get(&p->key));
	if (!rule)
		pass_step(p, "probe", buf_get(&p->key), p->split.host, S(""), "no such pattern");
	for (; rule && f == FOUND_NOTHING; rule = rule->next)
		f = rule_try(p, rule);
	return f;
}

static void
pass_pieces(struct pass *p, struct slice host, struct slice domain, struct slice literal)
{
	p->t.host = host;
	p->t.domain = domain;
	p->t.literal = literal;
}

/* *.b.c .b.c *.*.c .c *.*.* of the host a.b.c. */
static enum found
pass_probe_name(struct pass *p, struct slice host)
{
	char stars[2 * LABELS_MAX + 2] = "";
	struct slice rest = host, label;
	size_t n = 0;
	enum found f = FOUND_NOTHING;

	while (f == FOUND_NOTHING && n < LABELS_MAX && slice_cut(&rest, '.', &label)) {
		struct slice tail = slice_from(host, host.n - rest.n - (rest.n > 0));

		memcpy(stars + (n ? 2 * n - 1 : 0), n ? ".*" : "*", n ? 3 : 2);
		n++;
		pass_pieces(p, slice_sub(host, 0, host.n - tail.n), tail, slice(NULL, 0));
		f = pass_probe(p, slice_str(stars), tail, S(""));
		if (f == FOUND_NOTHING && rest.n)
			f = pass_probe(p, tail, S(""), S(""));
	}
	return f;
}

/* [1.2.3.] [1.2.] [1.] [] [*.*.*.*] of the literal [1.2.3.4]; of one that is not IPv4, [] alone. */
static enum found
pass_probe_literal(struct pass *p, struct slice in)
{
	unsigned char bytes[16];
	bool v4 = mta_glob_address(in, bytes) == 4;
	size_t n = in.n;
	enum found f = FOUND_NOTHING;

	while (f == FOUND_NOTHING && v4) {
		while (n && in.p[n - 1] != '.')
			n--;
		if (n == 0)
			break;
		pass_pieces(p, S(""), slice_sub(in, 0, n), slice_from(in, n));
		f = pass_probe(p, S("["), slice_sub(in, 0, n), S("]"));
		n--;
	}
	pass_pieces(p, S(""), S(""), in);
	if (f == FOUND_NOTHING)
		f = pass_probe(p, S("[]"), S(""), S(""));
	if (f == FOUND_NOTHING && v4)
		f = pass_probe(p, S("[*.*.*.*]"), S(""), S(""));
	return f;
}

static bool
is_literal(struct slice host)
{
	return host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
}

static enum found
pass_find(struct pass *p)
{
	struct slice host = p->split.host;
	enum found f;

	pass_pieces(p, host, S(""), slice(NULL, 0));
	if ((f = pass_probe(p, S("$*"), S(""), S(""))) != FOUND_NOTHING)
		return f;
	pass_pieces(p, S(""), host, slice(NULL, 0));
	if ((f = pass_probe(p, host, S(""), S(""))) != FOUND_NOTHING)
		return f;
	if (p->tag.n == 0 && mta_channel_of_host(p->t.c, host)) {
		pass_step(p, "host", host, host, host, "a host name of a channel");
		return FOUND_CHANNEL;
	}
	f = is_literal(host) ? pass_probe_literal(p, slice_sub(host, 1, host.n - 2)) :
			       pass_probe_name(p, host);
	if (f != FOUND_NOTHING)
		return f;
	pass_pieces(p, host, S(""),
	    is_literal(host) ? slice_sub(host, 1, host.n - 2) : slice(NULL, 0));
	if ((f = pass_probe(p, S("."), S(""), S(""))) != FOUND_NOTHING)
		return f;
	if (p->split.place == MTA_PLACE_PERCENT)
		f = pass_probe(p, S("$%"), S(""), S(""));
	else if (p->split.place == MTA_PLACE_BANG)
		f = pass_probe(p, S("$!"), S(""), S(""));
	return f;
}

/* ---- what becomes of the address --------------------------------------------------------- */

/* user@host, in the place where the host stood: a route stays a route. */
static void
pass_compose(struct buf *b, struct slice user, struct slice host, enum mta_place place)
{
	bool routed = place == MTA_PLACE_ROUTE &&
	    (memchr(user.p, '@', user.n) || (user.n && user.p[0] == '@'));

	buf_clear(b);
	if (!routed)
		buf_slice(b, user);
	buf_char(b, '@');
	buf_slice(b, host);
	if (routed) {
		buf_char(b, user.p[0] == '@' ? ',' : ':');
		buf_slice(b, user);
	}
}

/* The end, with what the sender is told.  What $? said is for "no channel" alone; when the directory
 * could not say whether a domain is ours, nothing is for good. */
static void
pass_finish(struct pass *p, enum mta_result result, struct verdict v)
{
	if (result == MTA_RW_NOCHANNEL && p->error.kind)
		v = p->error;
	else if (result == MTA_RW_NOCHANNEL && p->temporary)
		v = verdict(OUT_REWRITE_UNSURE, "the directory does not answer");
	p->r->result = result == MTA_RW_NOCHANNEL && v.kind == TEMP ? MTA_RW_TEMP : result;
	p->r->v = v;
}

/* A recipient of the envelope gets the proper name of a further host of its channel. */
static struct slice
proper_name(struct pass *p, const struct mta_channel *c, struct slice host)
{
	const struct mta_channel_host *h;

	if (p->q->header || p->q->backward || !(h = mta_host_find(p->t.c, host)) ||
	    h->channel != c || !h->further)
		return host;
	return slice_str(h->proper ? h->proper : c->official);
}

/* Has this pass been made before? */
static bool
pass_been_here(struct pass *p)
{
	struct slice rest = buf_get(&p->past), old;
	size_t start = p->past.n;

	buf_slice(&p->past, buf_get(&p->tag));
	buf_char(&p->past, '\1');
	buf_slice(&p->past, buf_get(&p->address));
	buf_char(&p->past, '\0');
	rest = slice(p->past.p, start);
	while (slice_cut(&rest, '\0', &old))
		if (slice_eq(old, slice(p->past.p + start, p->past.n - start - 1)))
			return true;
	return false;
}

static void
pass_set_address(struct pass *p, struct slice s)
{
	struct buf b = { 0 };

	buf_slice(&b, s); /* it may borrow from the address */
	buf_clear(&p->address);
	buf_slice(&p->address, buf_get(&b));
	buf_fini(&b);
}

/* A%B of which no rule knows B: a local part of this host. */
static void
pass_at_this_host(struct pass *p)
{
	const struct mta_channel *c = p->t.c->local;

	pass_compose(&p->r->address, buf_get(&p->address), slice_str(c->official), MTA_PLACE_AT);
	buf_clear(&p->r->host);
	buf_str(&p->r->host, c->official);
	p->r->channel = c;
	pass_step(p, "channel", buf_get(&p->r->host), p->split.host, slice_str(c->name),
	    "a local part that no rule takes apart");
	pass_finish(p, MTA_RW_OK, verdict(OUT_RCPT_OK));
}

/* The tag of a channel was reached: done, or on with the next host. */
static bool
pass_at_channel(struct pass *p, struct slice tag)
{
	const struct mta_channel *c = mta_channel_of_host(p->t.c, tag);
	struct mta_split inner;

	buf_clear(&p->r->host);
	buf_slice(&p->r->host, tag);
	if (!c) {
		pass_step(p, "channel", tag, tag, S(""), "no channel has this host name");
		pass_finish(p, MTA_RW_NOCHANNEL, verdict(OUT_REWRITE_NO_CHANNEL));
		return true;
	}
	if (c == p->t.c->local && mta_split_address(p->split.user, p->bang, &inner) == 0) {
		pass_step(p, "peel", tag, p->split.host, p->split.user,
		    "a local host: the next host of the address counts");
		pass_set_address(p, p->split.user);
		return false;
	}
	pass_step(p, "channel", tag, tag, slice_str(c->name), "a host name of this channel");
	p->r->channel = c;
	pass_finish(p, MTA_RW_OK, verdict(OUT_RCPT_OK));
	return true;
}

/* What the rule has made: parts into address and tag. */
static bool
pass_at_rule(struct pass *p)
{
	struct mta_try *t = &p->t;
	struct slice a = buf_get(&t->part[0]), b = buf_get(&t->part[1]);
	bool repeat = t->n == 1 && t->between[1] == '%';
	const struct mta_channel *c;

	if (t->set_tag) {
		buf_clear(&p->tag);
		buf_slice(&p->tag, buf_get(&t->tag));
	}
	if (repeat) {
		pass_compose(&p->r->address, a, b, p->split.place);
		pass_set_address(p, buf_get(&p->r->address));
		return false;
	}
	c = mta_channel_of_host(t->c, buf_get(&t->part[t->n]));
	if (t->between[1] == '@' && t->n >= 2) {
		struct buf user = { 0 };

		pass_compose(&user, a, b, MTA_PLACE_AT);
		pass_compose(&p->r->address, buf_get(&user), buf_get(&t->part[2]), MTA_PLACE_ROUTE);
		buf_fini(&user);
	} else {
		pass_compose(&p->r->address, a, c ? proper_name(p, c, b) : b, p->split.place);
	}
	return pass_at_channel(p, buf_get(&t->part[t->n]));
}

/* The host as it is: it is a channel's, or nobody's. */
static bool
pass_at_host(struct pass *p, enum found f)
{
	const struct mta_channel *c = mta_channel_of_host(p->t.c, p->split.host);
	bool apart = p->split.place == MTA_PLACE_PERCENT || p->split.place == MTA_PLACE_BANG;

	if (!c && f == FOUND_NOTHING && apart && p->t.c->local) {
		pass_at_this_host(p);
		return true;
	}
	pass_compose(&p->r->address, p->split.user,
	    c ? proper_name(p, c, p->split.host) : p->split.host, p->split.place);
	return pass_at_channel(p, p->split.host);
}

static bool
pass_end(struct pass *p, enum mta_result result, struct verdict v)
{
	pass_finish(p, result, v);
	return true;
}

/* One pass.  True when the result stands. */
static bool
pass_make(struct pass *p)
{
	int e = mta_split_address(buf_get(&p->address), p->bang, &p->split);
	enum found f;

	if (e == -ENOENT && p->t.c->local) { /* a local part alone is of this host */
		buf_char(&p->address, '@');
		buf_str(&p->address, p->t.c->local->official);
		e = mta_split_address(buf_get(&p->address), false, &p->split);
	}
	if (e < 0)
		return pass_end(p, MTA_RW_SYNTAX, verdict(OUT_REWRITE_NO_HOST));
	p->t.split = &p->split;
	p->t.address = buf_get(&p->address);
	pass_step(p, "host", p->split.host, p->t.address, buf_get(&p->tag), "the next host");
	f = pass_find(p);
	if (f == FOUND_RULE)
		return pass_at_rule(p);
	if (f == FOUND_UNKNOWN)
		return pass_end(p, MTA_RW_TEMP,
		    verdict(OUT_REWRITE_UNSURE,
			p->t.why ? p->t.why : "the directory does not answer"));
	if (f == FOUND_LATER)
		return pass_end(p, MTA_RW_LATER,
		    verdict(OUT_REWRITE_UNSURE, "the directory is asked first"));
	return pass_at_host(p, f);
}

void
mta_rewrite(const struct mta_conf *c, const struct mta_mappings *mappings,
    const struct mta_calls *calls, const struct mta_query *q, struct mta_rewritten *r)
{
	struct pass p = { .r = r, .q = q };
	const struct mta_channel *source;
	unsigned n = 0;

	*r = (struct mta_rewritten){ 0 };
	mta_work_init(&p.work);
	mta_try_init(&p.t);
	p.t.c = c;
	p.t.mappings = mappings;
	p.t.calls = calls;
	p.t.q = q;
	p.t.work = &p.work;
	source = mta_channel_named(c, q->source);
	p.bang = source && source->bangoverpercent > 0;
	buf_slice(&p.address, q->address);
	do {
		if (++n > MTA_PASSES_MAX || pass_been_here(&p)) {
			pass_finish(&p, MTA_RW_LOOP, verdict(OUT_REWRITE_CIRCLE));
			break;
		}
	} while (!pass_make(&p));
	if (r->result != MTA_RW_OK)
		r->channel = NULL;
	mta_try_fini(&p.t);
	mta_work_fini(&p.work);
	buf_fini(&p.address);
	buf_fini(&p.tag);
	buf_fini(&p.past);
	buf_fini(&p.key);
}

void
mta_rewritten_fini(struct mta_rewritten *r)
{
	buf_fini(&r->address);
	buf_fini(&r->host);
}

const char *
mta_result_name(enum mta_result r)
{
	static const char *const names[] = { [MTA_RW_OK] = "ok",
		[MTA_RW_NOCHANNEL] = "nochannel",
		[MTA_RW_LOOP] = "loop",
		[MTA_RW_SYNTAX] = "syntax",
		[MTA_RW_TEMP] = "temporary",
		[MTA_RW_LATER] = "later" };

	return names[r];
}
