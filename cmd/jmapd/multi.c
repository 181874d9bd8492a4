/* jmapd/multi.c: emails in more places than one.  See multi.h.
 *
 * Made by a walk over all records, some 20 ms for 100,000 in slices; kept up to date by the account's change
 * log, of which only what came counts.  When the log does not reach back, or has too much, it is made anew.
 * Memory while it is made: 16 octets an email. */
#include "multi.h"
#include "base/mem.h"

#define CHANGED_MOST 2000 /* messages that came, before a walk is quicker than the log */

static void
multi_clear(struct multi *m)
{
	idset_fini(&m->set);
	idset_fini(&m->seen);
	mem_release(m->mailboxes);
	*m = (struct multi){ 0 };
}

void
multi_free(struct multi **mp)
{
	if (!*mp)
		return;
	multi_clear(*mp);
	mem_free(mp);
}

/* ---- the log -------------------------------------------------------------------------------------- */

/* A message came: is its email in another place, too? */
static void
multi_look(struct call *c, struct multi *m, uint64_t mailbox, uint32_t uid)
{
	const struct store_record *r = store_get_record(call_view(c), mailbox, uid);
	struct store_place p = { 0 };
	uint64_t id = r ? r->emailid : 0;
	unsigned n = 0;

	p.emailid = id;
	while (id && n < 2 && store_boxes_email(call_view(c), &call_folders(c)->boxes, &p))
		n++;
	if (n > 1)
		(void)idset_add(&m->set, id);
}

/* False: the log does not say all, or too much. */
static bool
multi_follow(struct call *c, struct multi *m, const struct store_account *a)
{
	struct store_change_walk w = { .account = a->id, .since = m->modseq };
	size_t looked = 0;

	if (m->modseq < a->changes_from)
		return false;
	while (store_change_next(call_view(c), &w)) {
		for (size_t i = 0; w.kind == STORE_CHANGE_NEW && i < w.count; i++) {
			struct store_range r = store_change_range(&w, i);

			looked += r.last - r.first + 1u;
			if (looked > CHANGED_MOST)
				return false;
			for (uint32_t uid = r.first; uid >= r.first && uid <= r.last; uid++)
				multi_look(c, m, w.mailbox, uid);
		}
	}
	m->modseq = a->modseq;
	return true;
}

/* ---- the walk --------------------------------------------------------------------------------------- */

static void
multi_make_begin(struct call *c, struct multi *m, const struct store_account *a)
{
	const struct folders *f = call_folders(c);

	multi_clear(m);
	m->making = true;
	m->since = a->modseq;
	m->uid = 1;
	m->mailboxes = mem_array(f->n + 1u, sizeof(*m->mailboxes));
	for (uint32_t i = 0; i < f->n; i++)
		m->mailboxes[m->nmailboxes++] = f->list[i].mailbox;
}

/* False: the slice is over. */
static bool
multi_make(struct call *c, struct multi *m)
{
	struct store_blocks b;
	const struct store_record *r;
	size_t n;

	for (; m->mailbox < m->nmailboxes; m->mailbox++, m->uid = 1) {
		store_blocks_init(&b, call_view(c), m->mailboxes[m->mailbox], m->uid, UINT32_MAX);
		b.parts = STORE_RECORDS;
		while ((r = store_blocks_next(&b, &n))) {
			for (size_t i = 0; i < n; i++)
				if (!idset_add(&m->seen, r[i].emailid))
					(void)idset_add(&m->set, r[i].emailid);
			m->uid = n ? r[n - 1].uid + 1 : m->uid;
			if (call_spent(c))
				return false;
		}
	}
	idset_fini(&m->seen);
	mem_free(&m->mailboxes);
	m->making = false;
	m->good = true;
	m->modseq = m->since;
	return true;
}

enum call_next
multi_go(struct call *c, const struct store_account *a)
{
	struct jmapd_user *u = call_user(c);
	struct multi *m = u->multi;

	if (c->of.guest)
		return CALL_DONE;

	if (!m)
		u->multi = m = mem_new(sizeof(*m));
	if (m->good && (m->modseq == a->modseq || multi_follow(c, m, a)))
		return CALL_DONE;
	if (m->good || !m->making)
		multi_make_begin(c, m, a);
	if (multi_make(c, m) && multi_follow(c, m, a))
		return CALL_DONE;
	store_end(call_view(c));
	return CALL_AGAIN;
}

bool
multi_has(const struct call *c, uint64_t emailid)
{
	/* Of another's account nothing is kept: any may be. */
	return c->of.guest || idset_has(&call_user(c)->multi->set, emailid);
}
