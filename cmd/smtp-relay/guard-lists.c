/* guard-lists.c: the lists in DNS of [dnslist NAME] sections, asked and counted.
 *
 * Owns questions under way, whose number is bounded by those who wait for them (guard.waiting, and a session has
 * one command in flight).  Called by guard-wait.c for addresses and sender.c for names.  Can fail: every list, by
 * silence, which counts as nothing once guard.list_wait is over; by an answer outside of its codes; by listing what no
 * list may (RFC 5782 5), as lists do that have been given up: then it is left out until it stops, and the log says so.
 * Must stay true: who asks is answered once, in time, whatever lists do. */
#include "guard.h"

#include <stdlib.h>

#include "base/crc.h"
#include "base/log.h"
#include "base/mem.h"

#define PROBE_EVERY_MS 300000 /* so often a list is looked at while it is used */

struct guard_question {
	struct op op;
	struct guard_asked *of;
	struct guard_list *list;
	bool hit;
};
struct guard_asked {
	struct list link;
	struct deadline late;
	struct later soon;
	void (*done)(void *arg, const struct guard_lists_answer *);
	void *arg;
	size_t n, open;
	bool silent;
	struct guard_question each[];
};

static struct list asked_all;

uint16_t
guard_list_mark(const struct guard_list *l)
{
	uint16_t mark = (uint16_t)crc32c(0, l->name, strlen(l->name));

	return mark < GUARD_MARKS ? GUARD_MARKS : mark;
}

const struct guard_list *
guard_list_find(uint16_t mark)
{
	for (struct guard_list **l = config.dnslists; mark >= GUARD_MARKS && l && *l; l++)
		if (guard_list_mark(*l) == mark)
			return *l;
	return NULL;
}

uint16_t
guard_lists_mark(void)
{
	uint32_t crc = crc32c(0, &config.guard_threshold, sizeof(config.guard_threshold));

	for (struct guard_list **l = config.dnslists; l && *l; l++) {
		crc = crc32c(crc, (*l)->zone, strlen((*l)->zone));
		crc = crc32c(crc, &(*l)->weight, sizeof((*l)->weight));
		for (char **c = (*l)->codes; c && *c; c++)
			crc = crc32c(crc, *c, strlen(*c));
	}
	return (uint16_t)crc;
}

static void guard_asked_judged(void);

/* ---- is a list to be believed? ----------------------------------------------------------- */

static void
guard_list_probed(void *arg, const struct dns_answer *a)
{
	struct guard_list *l = arg;
	bool there = false, lies;

	/* A reload may have taken it away, and a second one its words. */
	for (struct guard_list **c = config.dnslists; c && *c; c++)
		there |= *c == l;
	if (!there)
		return;
	lies = a->status == 0 && guard_listed(l->codes, a->addrs, a->naddrs);

	if (lies != l->lies)
		log_event(lies ? LOG_WARN : LOG_INFO, "dnslist", "list=%s result=%s",
		    log_str(l->name), lies ? "lists_everybody" : "believed");
	l->lies = lies;
	l->judged = true;
	guard_asked_judged();
}

static void
guard_list_probe(struct guard_list *l)
{
	uint64_t now = loop_now(daemon_loop());
	struct buf name = { 0 };

	if (op_pending(&l->probe) || (l->probed_ms && now - l->probed_ms < PROBE_EVERY_MS))
		return;
	l->probed_ms = now ? now : 1;
	guard_list_name_probe(&name, l->asks != GUARD_OF_CLIENT, slice_str(l->zone));
	dns_a_start(guard.dns, buf_cstr(&name), &l->probe, guard_list_probed, l);
	buf_fini(&name);
}

/* ---- asking ------------------------------------------------------------------------------ */

static void
guard_asked_free(struct guard_asked *a)
{
	for (size_t i = 0; i < a->n; i++)
		op_cancel(&a->each[i].op);
	deadline_clear(&a->late);
	later_cancel(&a->soon);
	list_remove(&a->link);
	free(a);
}

static void
guard_asked_finish(struct guard_asked *a)
{
	struct guard_lists_answer answer = { .all = !a->silent && a->open == 0 };

	for (size_t i = 0; i < a->n; i++) {
		const struct guard_list *l = a->each[i].list;

		if (op_pending(&a->each[i].op))
			metric_add(M_GUARD_LIST_FAILED, 1);
		if (!a->each[i].hit || l->lies)
			continue;
		answer.score += l->weight;
		if (l->weight > 0 && (!answer.worst || l->weight > answer.worst->weight))
			answer.worst = l;
	}
	a->done(a->arg, &answer);
	guard_asked_free(a);
}

/* Has a list named him of which it is not known yet whether it names everybody? */
static bool
guard_asked_doubt(const struct guard_asked *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->each[i].hit && !a->each[i].list->judged &&
		    op_pending(&a->each[i].list->probe))
			return true;
	return false;
}

static void
guard_asked_judged(void)
{
	struct guard_asked *a;

	if (!asked_all.next)
		return;
	list_each(a, &asked_all, struct guard_asked, link)
	{
		if (a->n && a->open == 0 && !guard_asked_doubt(a))
			guard_asked_finish(a);
	}
}

static void
guard_asked_on_late(struct deadline *d)
{
	guard_asked_finish(CONTAINER(d, struct guard_asked, late));
}

static void
guard_asked_on_soon(struct later *t)
{
	guard_asked_finish(CONTAINER(t, struct guard_asked, soon));
}

static void
guard_asked_on_answer(void *arg, const struct dns_answer *dns)
{
	struct guard_question *q = arg;
	struct guard_asked *a = q->of;

	q->hit = dns->status == 0 && guard_listed(q->list->codes, dns->addrs, dns->naddrs);
	if (dns->status == -EAGAIN) {
		a->silent = true;
		metric_add(M_GUARD_LIST_FAILED, 1);
	}
	if (--a->open == 0 && !guard_asked_doubt(a))
		guard_asked_finish(a);
}

static bool
guard_ask_one(struct guard_asked *a, struct guard_list *l, const struct addr *peer,
    struct slice domain)
{
	struct guard_question *q = &a->each[a->n];
	struct buf name = { 0 };
	bool good;

	guard_list_probe(l);
	good = l->asks == GUARD_OF_CLIENT ?
	    guard_list_name_addr(&name, peer, slice_str(l->zone)) :
	    guard_list_name_domain(&name, domain, slice_str(l->zone));
	if (good) {
		*q = (struct guard_question){ .of = a, .list = l };
		a->n++;
		a->open++;
		dns_a_start(guard.dns, buf_cstr(&name), &q->op, guard_asked_on_answer, q);
	}
	buf_fini(&name);
	return good;
}

bool
guard_lists_any(enum guard_asks of)
{
	for (struct guard_list **l = config.dnslists; guard.dns && l && *l; l++)
		if ((*l)->asks == (int)of)
			return true;
	return false;
}

struct guard_asked *
guard_lists_ask(enum guard_asks of, const struct addr *peer, struct slice domain,
    void (*done)(void *arg, const struct guard_lists_answer *), void *arg)
{
	struct guard_asked *a;
	size_t most = 0;

	if (!guard_lists_any(of))
		return NULL;
	for (struct guard_list **l = config.dnslists; *l; l++)
		most += (*l)->asks == (int)of;
	a = mem_new(sizeof(*a) + most * sizeof(a->each[0]));
	a->done = done;
	a->arg = arg;
	if (!asked_all.next)
		list_init(&asked_all);
	list_push(&asked_all, &a->link);
	deadline_init(&a->late);
	later_init(&a->soon);
	for (struct guard_list **l = config.dnslists; *l; l++)
		if ((*l)->asks == (int)of)
			(void)guard_ask_one(a, *l, peer, domain);
	if (a->open)
		deadline_set(&a->late, daemon_loop(), (uint64_t)config.guard_list_ms,
		    guard_asked_on_late);
	else
		later_run(&a->soon, daemon_loop(), guard_asked_on_soon);
	return a;
}

void
guard_lists_cancel(struct guard_asked **a)
{
	if (*a)
		guard_asked_free(*a);
	*a = NULL;
}

void
guard_lists_reload(void)
{
	struct guard_asked *a;

	for (struct guard_list **l = config.dnslists; l && *l; l++) {
		op_cancel(&(*l)->probe);
		(*l)->probed_ms = 0;
	}
	while (asked_all.next && (a = list_first(&asked_all, struct guard_asked, link)))
		guard_asked_finish(a);
}
