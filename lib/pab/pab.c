/* pab.c: the connections of address books, and whose turn it is.  See pab.h.
 *
 *	ask -> waits -> has an agent -> job, job ... -> done
 *
 * An ask keeps its agent over all of its jobs.  One person has PAB_OF_ONE of them at most, whatever is asked for
 * meanwhile, so that others come through.  Who cancels an ask that runs gives up its connection: what was sent
 * may have happened.  Must stay true: an agent in `free` has no job. */
#include "pab/pab-impl.h"
#include <errno.h>
#include "base/random.h"
#include "directory/filter.h"

struct pab_conf pab_conf;

#define WAITING_MAX 1000 /* asks; more are told to come again */

/* ---- names ------------------------------------------------------------------------------ */

int
pab_root(struct slice dn, struct buf *out)
{
	struct slice base = slice_str(shared.ldap_base), head;

	if (dn.n <= base.n + 1 || !slice_ieq(slice_from(dn, dn.n - base.n), base) ||
	    dn.p[dn.n - base.n - 1] != ',')
		return -EINVAL;
	head = slice(dn.p, dn.n - base.n - 1);
	buf_slice(out, head);
	buf_char(out, ',');
	buf_str(out, pab_conf.base);
	return 0;
}

struct slice
pab_id_new(enum pab_kind kind, struct arena *a)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint8_t random[26]; /* of five bits: 130 */
	char *s = arena_new(a, sizeof(random) + 1);

	random_bytes(random, sizeof(random));
	s[0] = kind == PAB_CARD ? 'c' : 'b';
	for (size_t i = 0; i < sizeof(random); i++)
		s[1 + i] = digits[random[i] & 31];
	return slice(s, 1 + sizeof(random));
}

struct slice
pab_uid_new(struct arena *a)
{
	uint8_t r[16];

	random_bytes(r, sizeof(r));
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40); /* RFC 9562 5.4 */
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	return slice_str(arena_printf(a,
	    "urn:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0],
	    r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14],
	    r[15]));
}

enum pab_kind
pab_id_kind(struct slice id)
{
	return id.n && id.p[0] == 'c' ? PAB_CARD : PAB_BOOK;
}

bool
pab_id_ok(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
			(s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] == '-' && i > 0)))
			return false;
	return s.n > 0 && s.n <= 64;
}

/* ---- turns -------------------------------------------------------------------------------- */

static size_t
pab_running(const struct pab *p, struct slice person)
{
	struct pab_ask *k;
	size_t n = 0;

	list_each(k, &p->asks, struct pab_ask, link) n += slice_eq(k->person, person);
	return n;
}

static struct pab_agent *
pab_agent_take(struct pab *p)
{
	struct pab_agent *a = list_first(&p->free, struct pab_agent, link);

	if (a) {
		list_remove(&a->link);
		return a;
	}
	if (p->nagents >= PAB_AGENTS)
		return NULL;
	a = mem_new(sizeof(*a));
	a->agent = dir_agent_new(p->dir, p->dn, pab_conf.password);
	p->nagents++;
	return a;
}

static struct pab_ask *
pab_first(const struct pab *p)
{
	struct pab_ask *k;

	list_each(k, &p->waiting, struct pab_ask, link)
	{
		if (pab_running(p, k->person) < PAB_OF_ONE)
			return k;
	}
	return NULL;
}

static void
pab_turn(struct later *l)
{
	struct pab *p = CONTAINER(l, struct pab, later);
	struct pab_ask *k;

	while ((k = pab_first(p)) && (k->agent = pab_agent_take(p))) {
		list_remove(&k->link);
		p->nwaiting--;
		list_push(&p->asks, &k->link);
		k->begin(k);
	}
}

static void
pab_agent_drop(struct pab *p, struct pab_agent **a)
{
	if (!*a)
		return;
	dir_agent_free(&(*a)->agent);
	mem_free(a);
	p->nagents--;
}

/* ---- asks --------------------------------------------------------------------------------- */

static void
pab_ask_cancel(struct op *op)
{
	struct pab_ask *k = CAST(op->impl, struct pab_ask, ASK_MAGIC);

	op->impl = NULL;
	if (k->agent) {
		op_cancel(&k->inner);
		pab_agent_drop(k->pab, &k->agent);
	} else {
		k->pab->nwaiting--;
	}
	pab_ask_free(k);
}

struct pab_ask *
pab_ask_new(struct pab *p, struct slice person, struct op *op, void *arg)
{
	struct pab_ask *k = mem_new(sizeof(*k));
	struct buf root = { 0 };

	k->magic = ASK_MAGIC;
	k->pab = p;
	k->op = op;
	k->arg = arg;
	k->person = person;
	k->as = arena_printf(&k->arena, "dn:" SFMT, SARG(person));
	if (pab_root(person, &root) == 0)
		k->root = arena_str(&k->arena, buf_cstr(&root));
	buf_fini(&root);
	list_init(&k->link);
	op->cancel = pab_ask_cancel;
	op->impl = k;
	return k;
}

static void
pab_ask_refused(struct pab_ask *k)
{
	static const struct dir_outcome full = { .result = DIR_R_AWAY,
		.why = "too many wait for the address books" };
	static const struct dir_outcome none = { .result = DIR_R_NO_ENTRY,
		.why = "the person is not below ldap.base" };

	k->fail(k, k->root ? &full : &none);
}

/* Also what is refused is answered from the loop. */
void
pab_ask_start(struct pab_ask *k)
{
	struct pab *p = k->pab;

	if (!k->root || p->nwaiting >= WAITING_MAX)
		k->begin = pab_ask_refused;
	list_push(&p->waiting, &k->link);
	p->nwaiting++;
	later_run(&p->later, p->loop, pab_turn);
}

const char *
pab_ask_theirs(struct pab_ask *k)
{
	struct buf b = { 0 };
	const char *s;

	if (k->life.n == 0)
		return NULL;
	buf_lit(&b, "(|(!(tiermailPabOf=*))");
	dir_filter_equal(&b, "tiermailPabOf", k->life, S(""));
	buf_char(&b, ')');
	s = arena_cstr(&k->arena, buf_get(&b));
	buf_fini(&b);
	return s;
}

static void
pab_ask_answered(void *arg, const struct dir_outcome *o)
{
	struct pab_ask *k = CAST(arg, struct pab_ask, ASK_MAGIC);

	k->answer(k, o);
}

void
pab_ask_job(struct pab_ask *k, const struct dir_job *j)
{
	dir_agent_start(k->agent->agent, j, &k->inner, pab_ask_answered, k);
}

void
pab_ask_done(struct pab_ask *k)
{
	op_done(k->op);
}

void
pab_ask_free(struct pab_ask *k)
{
	struct pab *p = k->pab;

	list_remove(&k->link);
	if (k->agent)
		list_push(&p->free, &k->agent->link);
	k->magic = 0;
	arena_reset(&k->arena);
	mem_free(&k);
	if (p->nwaiting)
		later_run(&p->later, p->loop, pab_turn);
}

/* ---- life --------------------------------------------------------------------------------- */

struct pab *
pab_new(struct loop *l, struct dir *d)
{
	struct pab *p;

	if (!pab_conf.password || !*pab_conf.password)
		return NULL;
	p = mem_new(sizeof(*p));
	p->loop = l;
	p->own = pab_conf.urls && pab_conf.urls[0];
	p->dir = p->own ? dir_new_at(l, &pab_conf.urls) : d;
	p->dn = *pab_conf.dn ? mem_str(pab_conf.dn) :
			       mem_printf("uid=pab,ou=services,%s", shared.ldap_base);
	list_init(&p->free);
	list_init(&p->asks);
	list_init(&p->waiting);
	later_init(&p->later);
	return p;
}

void
pab_free(struct pab **pp)
{
	struct pab *p = *pp;
	struct pab_ask *k;
	struct pab_agent *a;

	*pp = NULL;
	if (!p)
		return;
	while ((k = list_first(&p->waiting, struct pab_ask, link)) ||
	    (k = list_first(&p->asks, struct pab_ask, link)))
		op_cancel(k->op);
	while ((a = list_first(&p->free, struct pab_agent, link))) {
		list_remove(&a->link);
		pab_agent_drop(p, &a);
	}
	later_cancel(&p->later);
	if (p->own)
		dir_free(&p->dir);
	mem_free(&p->dn);
	mem_free(&p);
}

void
pab_status(const struct pab *p, struct buf *out)
{
	if (p)
		buf_printf(out, "pab_connections=%zu pab_waiting=%zu\n", p->nagents, p->nwaiting);
}

bool
pab_check(struct buf *out)
{
	bool good = true;

	for (size_t i = 0; pab_conf.urls && pab_conf.urls[i]; i++) {
		struct ldap_where w;
		const char *why;

		if (dir_where_parse(slice_str(pab_conf.urls[i]), &w, &why) == 0)
			continue;
		buf_printf(out, "%s: pab.url: %s: %s\n", conf_where(&pab_conf.urls),
		    pab_conf.urls[i], why);
		good = false;
	}
	if (*pab_conf.password && !*pab_conf.base) {
		buf_printf(out, "%s: pab.base is needed: the entry below which address books are\n",
		    conf_where(&pab_conf.base));
		good = false;
	}
	return good;
}
