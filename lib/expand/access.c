/* access.c: may this sender send to this list?
 *
 * The attributes in the documented order, where it is silent as tiermail-directory(7) says:
 *
 *	mgrpBroadcasterPolicy      who counts as the sender; nobody who has not logged in
 *	mgrpDisallowedBroadcaster  no
 *	mgrpAllowedBroadcaster     yes
 *	mgrpDisallowedDomain       no
 *	mgrpAllowedDomain          yes; else no, where there is an mgrpAllowed... at all
 *	mgrpModerator              who is none of them sends to them
 *
 * Called by group.c, once for a list in a run; answers once, by expand_group_judged.  A value that names an
 * entry means all of its addresses, one that names a list its members: a run of its own looks for the
 * sender there, under the same bounds.  What fails is the directory.  Must stay true: where a value could
 * not be looked at, "no" is not final. */
#include "base/must.h"
#include "expand/expand-impl.h"

#define ACCESS_MAGIC 0x61636373U

enum stage { STAGE_DISALLOWED, STAGE_ALLOWED, STAGE_MODERATORS };

struct access {
	uint32_t magic;
	struct task *t;
	struct op op;
	struct slice who; /* the sender that counts; empty: the null sender, whom nothing matches */
	struct slice account;
	bool account_known;
	struct dir_values values[3]; /* by stage */
	size_t at;                   /* the value that is looked at, in its stage */
	enum stage stage;
	bool domain_yes, domain_no, only; /* only: some are allowed, so all others are not */
	bool refused, to_moderator;
	bool unsure; /* a value could not be looked at: "no" is not final */
	bool doubt;  /* ... that would have forbidden it: nothing else is, either */
	bool by_login;
	struct slice text;
};

/* ---- words ------------------------------------------------------------------------------------ */

bool
expand_glob(struct slice pattern, struct slice text)
{
	size_t p = 0, s = 0, star = SIZE_MAX, mark = 0;

	while (s < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			mark = s;
		} else if (p < pattern.n &&
		    (pattern.p[p] == '?' || ascii_lower(pattern.p[p]) == ascii_lower(text.p[s]))) {
			p++;
			s++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			s = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

static bool
is_glob(struct slice s)
{
	return slice_find(s, '*') < s.n || slice_find(s, '?') < s.n;
}

static bool
domain_among(struct slice who, const struct dir_values *domains)
{
	struct slice domain = slice_from(who, slice_rfind(who, '@') + 1);

	for (size_t i = 0; domain.n && i < domains->n; i++)
		if (expand_glob(slice_trim(domains->v[i]), domain))
			return true;
	return false;
}

/* mgrpBroadcasterPolicy: sets who counts as the sender.  False: a word without meaning. */
static bool
access_policy(struct access *a, const struct dir_values *policy)
{
	enum { LOGIN = 1, LOGIN_COUNTS = 2, PASSWORD = 4, NOTHING = 8, EITHER = 16 };
	static const struct {
		const char *word;
		unsigned means;
	} words[] = { { "SMTP_AUTH_REQUIRED", LOGIN }, { "SMTP_AUTH_REQ", LOGIN },
		{ "AUTH_REQ", LOGIN }, { "SMTP_AUTH_USED", LOGIN_COUNTS },
		{ "AUTH_USED", LOGIN_COUNTS }, { "PASSWORD_REQUIRED", PASSWORD },
		{ "PASSWD_REQUIRED", PASSWORD }, { "PASSWD_REQ", PASSWORD },
		{ "NO_REQUIREMENTS", NOTHING }, { "AND", NOTHING }, { "OR", EITHER } };
	struct slice auth = a->t->run->auth;
	unsigned all = 0;

	for (size_t i = 0; i < policy->n; i++) {
		struct slice rest = policy->v[i], word;

		while (slice_cut(&rest, ' ', &word)) {
			unsigned means = 0;

			word = slice_trim(word);
			for (size_t k = 0; k < NELEM(words); k++)
				if (slice_ieq(word, slice_str(words[k].word)))
					means = words[k].means;
			if (word.n && !means)
				return false;
			all |= means;
		}
	}
	/* A password stands in the message, which comes after the answer to RCPT. */
	if ((all & LOGIN) && auth.n == 0 && !((all & EITHER) && (all & PASSWORD)))
		a->refused = true;
	if (all & PASSWORD)
		a->t->password = true;
	if ((all & EITHER) && (all & LOGIN) && auth.n)
		a->t->password = false;
	if ((all & (LOGIN | LOGIN_COUNTS)) && auth.n) {
		a->who = a->account = auth;
		a->account_known = a->by_login = true;
	}
	return true;
}

/* ---- deciding --------------------------------------------------------------------------------- */

static void access_go_on(struct access *a);

static bool
access_away(struct access *a, const struct verdict *v)
{
	if (expand_away(v)) {
		expand_decide(a->t->run, v);
		return true;
	}
	a->unsure = a->unsure || v->kind != OK;
	a->doubt = a->doubt || (v->kind == TEMP && a->stage == STAGE_DISALLOWED);
	return false;
}

static void
access_answer(struct access *a, enum access_answer answer)
{
	struct task *t = a->t;

	if (a->doubt || (answer == ACCESS_NO && a->unsure))
		answer = ACCESS_BROKEN;
	t->access = NULL;
	expand_group_judged(t, answer, a->text);
}

/* Nobody but the moderators can say more, and they are not who is asking. */
static void
access_end(struct access *a)
{
	if (a->values[STAGE_MODERATORS].n && (!a->refused || a->to_moderator))
		access_answer(a, ACCESS_MODERATORS);
	else
		access_answer(a, a->refused ? ACCESS_NO : ACCESS_YES);
}

/* The value at which the checks stand means this sender: the stage is over. */
static void
access_matched(struct access *a)
{
	a->at = 0;
	switch (a->stage) {
	case STAGE_DISALLOWED:
		a->refused = true; /* a moderator, too */
		a->doubt = a->unsure = false;
		access_end(a);
		return;
	case STAGE_ALLOWED: a->stage = STAGE_MODERATORS; break;
	case STAGE_MODERATORS: access_answer(a, ACCESS_YES); return;
	}
	access_go_on(a);
}

/* No value of the stage does. */
static void
stage_over(struct access *a)
{
	a->at = 0;
	switch (a->stage) {
	case STAGE_DISALLOWED: a->stage = STAGE_ALLOWED; break;
	case STAGE_ALLOWED:
		a->refused = a->domain_no || (a->only && !a->domain_yes);
		a->stage = STAGE_MODERATORS;
		break;
	case STAGE_MODERATORS: access_end(a); return;
	}
	access_go_on(a);
}

static void
access_looked(void *arg, const struct expand_result *r)
{
	struct access *a = CAST(arg, struct access, ACCESS_MAGIC);

	if (r->hit) {
		access_matched(a);
		return;
	}
	if (access_away(a, &r->v))
		return;
	a->at++;
	access_go_on(a);
}

/* Is the sender the entry that this value names, or in the list? */
static void
access_look(struct access *a, struct slice value)
{
	struct run *outer = a->t->run, *x = expand_run_new(outer->e);

	x->looking = true;
	x->wanted_account = arena_slice(&x->arena, a->account);
	if (!a->by_login)
		x->wanted_address = arena_slice(&x->arena, a->who);
	x->source = outer->source;
	x->client = arena_slice(&x->arena, outer->client);
	x->root.kind = expand_value_kind(value);
	x->root.text = arena_slice(&x->arena, value);
	x->root.by_admin = true;
	expand_run_start(outer->e, x, &a->op, access_looked, a);
}

static void
access_account(void *arg, const struct dir_answer *answer)
{
	struct access *a = CAST(arg, struct access, ACCESS_MAGIC);

	if (answer->v.kind == TEMP && access_away(a, &answer->v))
		return;
	a->account_known = true;
	if (answer->user)
		a->account = arena_slice(&a->t->run->arena, answer->user->account);
	access_go_on(a);
}

/* The sender's own entry, when that is ours. */
static void
access_ask_account(struct access *a)
{
	const struct expand_directory *d = &a->t->run->e->p.directory;
	size_t at = slice_rfind(a->who, '@');

	d->entry(d->arg, slice_sub(a->who, 0, at), slice_from(a->who, at + 1), &a->op,
	    access_account, a);
}

/* Goes through the values of a stage; ends where it must wait, or with the answer. */
static void
access_go_on(struct access *a)
{
	struct dir_values *l = &a->values[a->stage];

	for (; a->who.n && a->at < l->n; a->at++) {
		struct slice v = expand_plain(l->v[a->at]);

		if (v.n == 0)
			continue;
		/* An account is no address, though it looks like one: somebody else may have it. */
		if ((slice_ieq(v, a->who) && !a->by_login) ||
		    (is_glob(v) && expand_glob(v, a->who))) {
			access_matched(a);
			return;
		}
		if (is_glob(v) && expand_value_kind(v) == NODE_ADDRESS)
			continue;
		if (!a->account_known)
			access_ask_account(a);
		else
			access_look(a, v);
		return;
	}
	stage_over(a);
}

/* ---- the question ----------------------------------------------------------------------------- */

static struct dir_values
access_copy(struct arena *m, const struct dir_values *from)
{
	struct slice *v = arena_array(m, from->n + 1, sizeof(*v));

	for (size_t i = 0; i < from->n; i++)
		v[i] = arena_slice(m, from->v[i]);
	return (struct dir_values){ v, from->n };
}

static bool
has_word(const struct dir_values *values, struct slice word)
{
	for (size_t i = 0; i < values->n; i++)
		if (slice_ieq(slice_trim(values->v[i]), word))
			return true;
	return false;
}

void
expand_access(struct task *t, const struct dir_group *g)
{
	struct arena *m = &t->run->arena;
	struct access *a = arena_new(m, sizeof(*a));

	a->magic = ACCESS_MAGIC;
	a->t = t;
	t->access = a;
	a->who = t->run->sender;
	a->text = arena_slice(m, g->reject_text);
	a->to_moderator = has_word(&g->reject_action, S("toModerator"));
	a->values[STAGE_DISALLOWED] = access_copy(m, &g->disallowed);
	a->values[STAGE_ALLOWED] = access_copy(m, &g->allowed);
	a->values[STAGE_MODERATORS] = access_copy(m, &g->moderators);
	if (!access_policy(a, &g->policy)) {
		access_answer(a, ACCESS_BROKEN);
		return;
	}
	if (slice_rfind(a->who, '@') == a->who.n)
		a->account_known = true; /* a name without a domain has no entry */
	a->domain_yes = domain_among(a->who, &g->allowed_domains);
	a->domain_no = domain_among(a->who, &g->disallowed_domains);
	a->only = g->allowed.n || g->allowed_domains.n;
	if (a->refused)
		access_end(a);
	else
		access_go_on(a);
}

void
expand_access_cancel(struct task *t)
{
	if (t->access)
		op_cancel(&t->access->op);
}
