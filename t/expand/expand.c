/* lib/expand with a directory of a few names: how a run ends, what bounds it, and that nothing is done twice
 * or after a cancel.  What entries mean is t/expand/corpus.t's. */
#include <stdlib.h>
#include "base/mem.h"
#include "conf/shared.h"
#include "expand/expand-impl.h"
#include "../tap.h"

static struct loop loop;
static struct channels *channels;
static struct expand *expand;
static size_t asks, at_once, most_at_once, pages;

/* ---- the directory: answers later, as the real one does ----------------------------------- */

struct ask {
	struct later later;
	struct op *op;
	dir_done done;
	dir_search_done page;
	void *arg;
	char name[64];
	size_t npage;
};

static void
ask_cancel(struct op *op)
{
	struct ask *a = op->impl;

	later_cancel(&a->later);
	at_once--;
	mem_release(a);
}

static struct ask *
ask_new(struct slice name, struct op *op, void *arg, void (*fn)(struct later *))
{
	struct ask *a = mem_new(sizeof(*a));

	asks++;
	if (++at_once > most_at_once)
		most_at_once = at_once;
	a->op = op;
	a->arg = arg;
	slice_cstr(name, a->name, sizeof(a->name));
	op->impl = a;
	op->cancel = ask_cancel;
	later_init(&a->later);
	later_run(&a->later, &loop, fn);
	return a;
}

/* many-N: a list of N addresses; closed-N: that the sender may not send to; small-N: with a limit; chain-N: forwards to chain-N+1; tree-N: to two of the next; loop: a list
 * in itself; paged: three pages of members; away: no answer; blind: none that counts; deep, among: lists of
 * a user and a chain, or blind; u...: a user. */
static void
entry_now(struct later *l)
{
	struct ask *a = CONTAINER(l, struct ask, later);
	static struct slice values[20000];
	static char text[20000][40];
	struct dir_domain domain = { .name = S("ours.test") };
	struct dir_user user = { .account = slice_str(a->name), .delivery = DIR_MAILBOX };
	struct dir_group group = { .mail = slice_str(a->name), .dn = slice_str(a->name) };
	struct dir_answer answer = { .v = verdict(OUT_RCPT_OK), .domain = &domain };
	struct slice name = slice_str(a->name),
		     number = slice_from(name, slice_find(name, '-') + 1);
	size_t n = (size_t)strtoul(number.p, NULL, 10);

	if (slice_starts(name, S("many-")) || slice_starts(name, S("closed-")) ||
	    slice_starts(name, S("small-")) || slice_starts(name, S("loop"))) {
		static const struct slice nobody[] = { { "nobody.test", 11 } };
		bool many = name.p[0] != 'l';

		if (name.p[0] == 'c')
			group.allowed_domains = (struct dir_values){ nobody, 1 };
		group.max_message = name.p[0] == 's' ? 1000 : 0;

		for (size_t i = 0; many && i < n; i++) {
			snprintf(text[i], sizeof(text[i]), "u%zu@ours.test", i);
			values[i] = slice_str(text[i]);
		}
		values[many ? n : 0] = S("loop@ours.test");
		group.rfc822 = (struct dir_values){ values, many ? n : 1 };
		answer.group = &group;
	} else if (slice_eq(name, S("deep")) || slice_eq(name, S("among"))) {
		values[0] = S("u1@ours.test");
		values[1] =
		    slice_eq(name, S("deep")) ? S("chain-0@ours.test") : S("blind@ours.test");
		group.rfc822 = (struct dir_values){ values, 2 };
		answer.group = &group;
	} else if (slice_eq(name, S("blind"))) {
		answer.v = verdict(OUT_DIR_BLIND);
	} else if (slice_eq(name, S("paged"))) {
		values[0] = S("ldap:///x");
		group.urls = (struct dir_values){ values, 1 };
		answer.group = &group;
	} else if (slice_eq(name, S("away"))) {
		answer.v = verdict(OUT_DIR_AWAY);
	} else if (slice_starts(name, S("chain-")) || slice_starts(name, S("tree-"))) {
		for (size_t i = 0; i < 2; i++) {
			if (name.p[0] == 'c')
				snprintf(text[i], sizeof(text[i]), "chain-%zu@ours.test", n + 1);
			else
				snprintf(text[i], sizeof(text[i]), "tree-%zu@ours.test",
				    2 * n + 1 + i);
			values[i] = slice_str(text[i]);
		}
		user.delivery = DIR_FORWARD;
		user.forward = values;
		user.nforward = name.p[0] == 'c' ? 1 : 2;
		answer.user = &user;
	} else {
		answer.user = &user;
	}
	at_once--;
	op_done(a->op);
	a->done(a->arg, &answer);
	mem_release(a);
}

static void
ask_entry(void *arg, struct slice local, struct slice domain, struct op *op, dir_done found,
    void *arg2)
{
	(void)arg;
	(void)domain;
	ask_new(local, op, arg2, entry_now)->done = found;
}

static void
page_now(struct later *l)
{
	struct ask *a = CONTAINER(l, struct ask, later);
	struct slice one = slice_str(a->name);
	struct dir_page p = { .v = verdict(OUT_RCPT_OK), .addresses = &one, .n = 1 };

	snprintf(a->name, sizeof(a->name), "u%zu@ours.test", a->npage++);
	one = slice_str(a->name);
	pages++;
	p.more = a->npage < 3;
	if (p.more) {
		a->page(a->arg, &p);
		return;
	}
	at_once--;
	op_done(a->op);
	a->page(a->arg, &p);
	mem_release(a);
}

static void
ask_search(void *arg, struct slice url, struct op *op, dir_search_done found, void *arg2)
{
	(void)arg;
	ask_new(url, op, arg2, page_now)->page = found;
}

static void
ask_more(void *arg, struct op *op)
{
	struct ask *a = op->impl;

	(void)arg;
	later_run(&a->later, &loop, page_now);
}

/* ---- asking ------------------------------------------------------------------------------------ */

static char got[256];
static bool others, later;
static size_t most;
static const char *client = "";
static bool answered;

static void
expanded(void *arg, const struct expand_result *r)
{
	(void)arg;
	answered = true;
	snprintf(got, sizeof(got), "%d legs=%zu failed=%zu first=%s", verdict_reply(&r->v),
	    r->nlegs, r->nfailures, r->nlegs ? r->legs[0].address : "-");
	loop_stop(&loop);
}

static void
start(const char *text, struct op *op)
{
	struct arena a = { 0 };
	struct address addr;
	struct expand_query q = { .address = &addr,
		.source = "tcp_local",
		.others = others,
		.client = slice_str(client),
		.most = most,
		.later = later };
	const char *why;

	if (address_parse(slice_str(text), ADDRESS_UTF8, &a, &addr, &why) < 0)
		abort();
	answered = false;
	asks = most_at_once = pages = 0;
	expand_start(expand, &q, op, expanded, NULL);
	arena_reset(&a); /* the address is copied */
}

static const char *
ask(const char *text)
{
	struct op op = { 0 };

	start(text, &op);
	ok(!answered && op_pending(&op), "%s: not from inside", text);
	loop_run(&loop);
	ok(!op_pending(&op) && at_once == 0, "%s: over, and nobody is asked any more", text);
	return got;
}

static void
stop(struct later *l)
{
	(void)l;
	loop_stop(&loop);
}

static void
runs(void)
{
	struct op op = { 0 };
	struct later end;

	is(ask("u1@ours.test"), "250 legs=1 failed=0 first=u1@ours.test", "a user");
	eq(asks, 1, "is asked for once");
	is(ask("x@[192.0.2.1]"), "250 legs=1 failed=0 first=x@[192.0.2.1]", "a literal");
	eq(asks, 0, "is asked of nobody");
	is(ask("many-10000@ours.test"), "250 legs=10000 failed=0 first=u0@ours.test",
	    "ten thousand members");
	eq(most_at_once, TASKS, "a few at a time");
	is(ask("loop@ours.test"), "450 legs=0 failed=1 first=-", "a list of itself alone");
	is(ask("paged@ours.test"), "250 legs=3 failed=0 first=u0@ours.test", "three pages");
	eq(pages, 3, "one after the other");
	is(ask("away@ours.test"), "451 legs=0 failed=0 first=-", "an outage");
	is(ask("chain-0@ours.test"), "450 legs=0 failed=1 first=-", "forwarding without end");
	ok(asks <= EXPAND_DEPTH + 1, "ends by its depth");
	is(ask("deep@ours.test"), "450 legs=0 failed=1 first=-",
	    "in a list: nobody knows who is missing");
	is(ask("among@ours.test"), "451 legs=0 failed=0 first=-", "a directory that shows nothing");
	is(ask("tree-0@ours.test"), "550 legs=0 failed=51 first=-", "forwarding to ever more");
	ok(asks <= EXPAND_FORWARDS + 1, "ends by their number");

	/* What is refused anyway costs one look. */
	is(ask("closed-9000@ours.test"), "550 legs=0 failed=1 first=-",
	    "a list that is not for all");
	eq(asks, 1, "without a look at its members");
	is(ask("many-15001@ours.test"), "452 legs=0 failed=0 first=-",
	    "more than a message may have");
	eq(asks, 1, "without a look at them");
	others = true;
	is(ask("small-9000@ours.test"), "452 legs=0 failed=0 first=-",
	    "a limit, and others beside it");
	eq(asks, 1, "likewise");
	others = false;
	is(ask("small-9@ours.test"), "250 legs=9 failed=0 first=u0@ours.test", "alone it is taken");

	start("many-1000@ours.test", &op);
	op_cancel(&op);
	ok(at_once == 0, "cancelled: nobody is asked any more");
	start("many-1000@ours.test", &op);
	later_init(&end);
	for (int i = 0; i < 5; i++) {
		later_run(&end, &loop, stop);
		loop_run(&loop);
	}
	ok(!answered && at_once > 0, "in the middle of a list");
	op_cancel(&op);
	ok(at_once == 0 && !answered, "cancelled there");
}

/* One client has its share of what is looked at, and others have theirs. */
static void
clients(void)
{
	struct op ops[20] = { 0 }, other = { 0 };
	size_t n;

	client = "one";
	for (n = 0; n < NELEM(ops); n++) {
		struct later end;

		start("many-14000@ours.test", &ops[n]);
		later_init(&end);
		for (int i = 0; i < 5 && !answered; i++) {
			later_run(&end, &loop, stop);
			loop_run(&loop);
		}
		later_cancel(&end);
		if (answered)
			break;
	}
	ok(n > 1 && n * 14000 <= EXPAND_CLIENT + 14000, "a client's share is %zu lists", n);
	is(got, "451 legs=0 failed=0 first=-", "then it is told to come again");
	client = "two";
	start("many-10@ours.test", &other);
	loop_run(&loop);
	is(got, "250 legs=10 failed=0 first=u0@ours.test", "others are not");
	while (n-- > 0)
		op_cancel(&ops[n]);
	client = "one";
	is(ask("many-14000@ours.test"), "250 legs=14000 failed=0 first=u0@ours.test",
	    "and it, later");
	client = "";
}

/* ---- lists of any length ------------------------------------------------------------------- */

static struct expand_walk *walk;
static struct expand_sums taken;
static size_t npieces, nlegs, nfailed, use, last_piece;
static char why_failed[100];

static void
walk_piece(void *arg, const struct expand_leg *legs, size_t n)
{
	unsigned char sum[EXPAND_SUM];
	size_t used = use && use < n ? use : n;

	(void)arg;
	npieces++;
	last_piece = n;
	for (size_t i = 0; i < used; i++) {
		expand_leg_sum(sum, legs[i].who, legs[i].address);
		nlegs += !expand_sums_have(&taken, sum);
	}
	use = 0;
	expand_walk_more(walk, used);
}

static void
walk_failed(void *arg, const struct expand_failure *f)
{
	(void)arg;
	nfailed++;
	snprintf(why_failed, sizeof(why_failed), "%s %d.%d.%d", f->address, f->v.kind, f->v.subject,
	    f->v.detail);
}

static const char *shut; /* who may not, or how all begin that may not; NULL: all may */

static bool
walk_may(void *arg, struct expand_leg *leg, struct arena *a, struct verdict *no)
{
	(void)arg;
	(void)a;
	*no = verdict(OUT_ACCESS_DENIED);
	return !shut || !slice_starts(slice_str(leg->address), slice_str(shut));
}

static void
walk_done(void *arg, const struct verdict *v)
{
	(void)arg;
	snprintf(got, sizeof(got), "%d pieces=%zu legs=%zu failed=%zu", verdict_reply(v), npieces,
	    nlegs, nfailed);
	walk = NULL;
	loop_stop(&loop);
}

static void
walk_start(const char *text)
{
	static const struct expand_taker taker = { .piece = walk_piece,
		.failed = walk_failed,
		.may = walk_may,
		.done = walk_done };
	struct arena a = { 0 };
	struct address addr;
	struct expand_query q = { .address = &addr,
		.source = "tcp_local",
		.sender = S("s@x.test") };
	const char *why;

	if (address_parse(slice_str(text), ADDRESS_UTF8, &a, &addr, &why) < 0)
		abort();
	npieces = nlegs = nfailed = asks = most_at_once = pages = 0;
	walk = expand_walk_start(expand, &q, &taken, &taker, NULL);
	arena_reset(&a);
}

static const char *
walked(const char *text)
{
	walk_start(text);
	loop_run(&loop);
	eq(at_once, 0, "%s: nobody is asked any more", text);
	return got;
}

static void
walks(void)
{
	struct later end;
	unsigned char sum[EXPAND_SUM];

	later = true;
	is(ask("many-15001@ours.test"), "250 legs=1 failed=0 first=many-15001@ours.test",
	    "what is too large is one leg where that may be");
	eq(asks, 1, "without a look at the members");
	is(ask("closed-15001@ours.test"), "550 legs=0 failed=1 first=-",
	    "but not before it is allowed");
	most = 10;
	is(ask("many-11@ours.test"), "250 legs=1 failed=0 first=many-11@ours.test",
	    "a limit of one's own");
	is(ask("many-10@ours.test"), "250 legs=10 failed=0 first=u0@ours.test",
	    "up to which they are there");
	most = 0;
	later = false;

	is(walked("u1@ours.test"), "250 pieces=1 legs=1 failed=0", "a user");
	is(walked("many-12001@ours.test"), "250 pieces=3 legs=12000 failed=0",
	    "twelve thousand members come in pieces, without whom there was already");
	ok(last_piece < EXPAND_PIECE && most_at_once <= 32, "a few at a time");
	is(walked("many-12001@ours.test"), "250 pieces=0 legs=0 failed=0",
	    "all of whom are there now");
	expand_sums_fini(&taken);
	use = 1;
	is(walked("many-6000@ours.test"), "250 pieces=3 legs=6000 failed=0",
	    "what is left comes again");
	expand_sums_fini(&taken);
	is(walked("paged@ours.test"), "250 pieces=1 legs=3 failed=0", "three pages");
	is(walked("loop@ours.test"), "450 pieces=0 legs=0 failed=1", "a list of itself alone");
	is(why_failed, "loop@ours.test 5.4.6", "is told of");
	is(walked("closed-9000@ours.test"), "550 pieces=0 legs=0 failed=0",
	    "a list that is not for all");
	is(walked("away@ours.test"), "451 pieces=0 legs=0 failed=0", "an outage");
	expand_sums_fini(&taken);
	is(walked("among@ours.test"), "451 pieces=0 legs=0 failed=0", "one in the middle");
	eq(taken.n, 0, "who was in hand then is not taken");
	is(walked("u1@ours.test"), "250 pieces=1 legs=1 failed=0", "and gets it by another list");
	expand_sums_fini(&taken);
	shut = "u1@";
	is(walked("many-3@ours.test"), "250 pieces=1 legs=2 failed=1", "one may not have it");
	is(walked("many-3@ours.test"), "250 pieces=0 legs=0 failed=1", "nor at the next time");
	expand_sums_fini(&taken);
	shut = "u";
	is(walked("many-3@ours.test"), "550 pieces=0 legs=0 failed=3", "nobody may: it goes back");
	is(walked("u1@ours.test"), "550 pieces=0 legs=0 failed=0", "as where it is the address");
	eq(taken.n, 0, "and nobody has it");
	shut = NULL;
	is(walked("deep@ours.test"), "250 pieces=1 legs=1 failed=1", "one bad member stops nobody");
	expand_sums_fini(&taken);
	for (unsigned i = 0; i < EXPAND_WALK - 2; i++) {
		memset(sum, 1, sizeof(sum));
		memcpy(sum + 8, &i, sizeof(i));
		(void)expand_sums_add(&taken, sum);
	}
	is(walked("many-3@ours.test"), "452 pieces=0 legs=0 failed=0",
	    "more members than one message may have, of several lists");
	is(walked("many-2@ours.test"), "250 pieces=1 legs=2 failed=0", "as many are given");
	expand_sums_fini(&taken);
	walk_start("many-9000@ours.test");
	later_init(&end);
	for (int i = 0; i < 20; i++) {
		later_run(&end, &loop, stop);
		loop_run(&loop);
	}
	ok(at_once > 0, "in the middle of a list");
	expand_walk_cancel(&walk);
	ok(at_once == 0 && !walk, "cancelled there");
	expand_sums_fini(&taken);

	for (unsigned i = 0; i < 3000; i++) {
		char name[20];

		snprintf(name, sizeof(name), "%u", i);
		expand_sum(sum, 'a', slice_str(name));
		if (expand_sums_have(&taken, sum) || !expand_sums_add(&taken, sum) ||
		    expand_sums_add(&taken, sum))
			ok(false, "%u", i);
	}
	eq(taken.n, 3000, "sums are kept once");
	expand_sum(sum, 'u', S("7"));
	ok(!expand_sums_have(&taken, sum), "the same name of another kind is another one");
	expand_sums_fini(&taken);
}

static void
globs(void)
{
	static const struct {
		const char *pattern, *text;
		bool fits;
	} cases[] = {
		{ "*", "", true },
		{ "*", "a@b", true },
		{ "a@b", "A@B", true },
		{ "*@b", "a@b", true },
		{ "*@b", "a@bb", false },
		{ "a*c*e", "abcde", true },
		{ "a*c*e", "abcd", false },
		{ "*.x", "x", false },
		{ "*.x", "a.x", true },
		{ "?@b", "a@b", true },
		{ "?@b", "@b", false },
		{ "", "a", false },
		{ "a**b", "ab", true },
	};
	char many[201], text[201];

	for (size_t i = 0; i < NELEM(cases); i++)
		ok(expand_glob(slice_str(cases[i].pattern), slice_str(cases[i].text)) ==
			cases[i].fits,
		    "%s and %s", cases[i].pattern, cases[i].text);
	memset(text, 'a', 200);
	text[200] = '\0';
	for (size_t i = 0; i < 200; i += 2)
		memcpy(many + i, "*a", 2);
	many[199] = 'b';
	many[200] = '\0';
	ok(!expand_glob(slice_str(many), slice_str(text)), "a hundred stars end, too");
}

int
main(void)
{
	struct expand_params p;
	char *why = NULL;

	shared.hostname = mem_str("here.test");
	shared.default_domain = mem_str("ours.test");
	shared.postmaster = mem_str("");
	loop_init(&loop);
	if (channels_read("/nonexistent", &channels, &why) < 0)
		abort();
	p = (struct expand_params){ .channels = channels,
		.directory = { NULL, ask_entry, NULL, ask_search, ask_more } };
	expand = expand_new(&loop, &p);
	runs();
	clients();
	walks();
	globs();
	expand_free(&expand);
	channels_free(&channels);
	loop_fini(&loop);
	return done();
}
