/* admind/pages.c: lists whose next page somebody may ask for.
 *
 * slapd's place in a list belongs to a connection (RFC 2696), so that is kept, for timeout.page, and given back
 * then.  Owns both meanwhile.  Called by work.c.  Nothing fails: the oldest makes room when half of limit.agents
 * wait so, before that a person's own oldest of PAGES_EACH, and who comes too late begins anew.  Must stay true: a page is for the person and the question that
 * it was begun with; its name cannot be guessed, but nobody relies on that. */
#include "base/mem.h"
#include "admind.h"

#define PAGES_EACH 4 /* of a person: lists that somebody begins do not end those of others */

void
admind_page_free(struct admind_page **p)
{
	if (!*p)
		return;
	list_remove(&(*p)->link);
	admind_agent_give(&(*p)->agent);
	mem_free(&(*p)->account);
	mem_free(&(*p)->what);
	mem_free(p);
}

static void
admind_page_drop(struct admind_page *p)
{
	admind.npages--;
	admind_page_free(&p);
}

void
admind_page_expire(void)
{
	struct admind_page *p;

	while ((p = list_first(&admind.pages, struct admind_page, link)) &&
	    p->until <= loop_now(admind.loop))
		admind_page_drop(p);
}

bool
admind_page_end_oldest(void)
{
	struct admind_page *p = list_first(&admind.pages, struct admind_page, link);

	if (p)
		admind_page_drop(p);
	return p;
}

struct admind_page *
admind_page_take(struct slice id, const char *account, const char *what)
{
	struct admind_page *p;

	admind_page_expire();
	list_each(p, &admind.pages, struct admind_page, link)
	{
		if (!slice_eq(id, slice_str(p->id)) || strcmp(p->account, account) != 0 ||
		    strcmp(p->what, what) != 0)
			continue;
		list_remove(&p->link);
		admind.npages--;
		return p;
	}
	return NULL;
}

static void
admind_page_end_own(const char *account)
{
	struct admind_page *p, *oldest = NULL;
	size_t n = 0;

	list_each(p, &admind.pages, struct admind_page, link)
	{
		if (strcmp(p->account, account) != 0)
			continue;
		oldest = oldest ? oldest : p;
		n++;
	}
	if (n >= PAGES_EACH)
		admind_page_drop(oldest);
}

void
admind_page_keep(struct admind_page *p)
{
	admind_page_expire();
	admind_page_end_own(p->account);
	if (admind.npages >= (size_t)(admin_conf.agents + 1) / 2)
		(void)admind_page_end_oldest();
	p->until = loop_now(admind.loop) + (uint64_t)admin_conf.page_time;
	list_push(&admind.pages, &p->link);
	admind.npages++;
}

void
admind_page_close(void)
{
	struct admind_page *p;

	while ((p = list_first(&admind.pages, struct admind_page, link)))
		admind_page_drop(p);
}
