/* submit.c: messages on their way to the one relay.
 *
 * Owns every connection (struct link, submit-link.c) and every message that is not over (struct mail).  A message has
 * one link from when there is a slot for it.  What can fail is the relay: then the message ends with TEMP.  What must
 * stay true: `done` comes once, from the loop; a cancelled message's bytes are not looked at again, so that its link
 * is closed at once; a message that is to be kept goes to no relay that would send it at once. */
#include <errno.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/utf8.h"
#include "daemon/daemon.h"
#include "mail/outcome.h"
#include "submit/submit-impl.h"

/* ---- the end of a message ---------------------------------------------------------------- */

static void
mail_free(struct mail *m)
{
	deadline_clear(&m->late);
	list_remove(&m->link);
	m->submit->nmails--;
	m->magic = 0;
	mem_release(m);
}

/* The id is the last word of the relay's OK, of ours alone: others know no XCANCEL. */
static void
mail_tell(struct mail *m, size_t i, const struct verdict *v)
{
	struct submit_rcpt *r = &m->told[i];
	struct slice text, word;

	r->v = m->answered ? m->rcpts[i].v : *v;
	r->qid[0] = '\0';
	if (r->v.kind != OK || !m->tx.release_at || !m->cancels)
		return;
	text = slice_str(r->v.text);
	word = slice_from(text, slice_rfind(text, ' ') + 1);
	if (word.n == SUBMIT_QID)
		slice_cstr(word, r->qid, sizeof(r->qid));
}

void
submit_mail_over(struct mail *m, const struct verdict *v)
{
	void (*done)(void *, const struct verdict *) = m->done;
	struct verdict copy = *v;
	void *arg = m->arg;

	for (size_t i = 0; m->told && i < m->tx.nrcpt; i++)
		mail_tell(m, i, &copy);
	if (m->by)
		m->by->mail = NULL;
	op_done(m->op);
	mail_free(m);
	done(arg, &copy);
}

/* ---- messages ---------------------------------------------------------------------------- */

/* Gives the messages that wait the links that are free, or new ones. */
void
submit_go_on(struct submit *s)
{
	while (!list_empty(&s->waiting)) {
		struct link *l = list_first(&s->idle, struct link, idle);
		struct mail *m;

		if (!l && s->nlinks >= LINKS_MAX)
			return;
		m = list_first(&s->waiting, struct mail, link);
		list_remove(&m->link);
		if (l) {
			list_remove(&l->idle);
			deadline_clear(&l->unused);
		}
		if (l && (m->again || strcmp(l->relay, s->relay) != 0)) {
			list_push_front(&s->waiting, &m->link); /* it wants a new one */
			submit_link_close(l);
			if (s->nlinks >= LINKS_MAX)
				return;
			continue;
		}
		if (!l)
			l = submit_link_new(s);
		m->by = l;
		l->mail = m;
		if (l->ready)
			submit_link_send(l);
		else
			submit_link_begin(l);
	}
}

static void
mail_cancel(struct op *op)
{
	struct mail *m = CAST(op->impl, struct mail, MAIL_MAGIC);
	struct link *l = m->by;

	op->impl = NULL;
	if (l) {
		l->mail = NULL;
		m->by = NULL;
	}
	mail_free(m);
	if (l)
		submit_link_close(l);
}

/* Its time is over: whatever it waits for. */
static void
mail_on_late(struct deadline *d)
{
	struct mail *m = CONTAINER(d, struct mail, late);
	struct link *l = m->by;
	struct verdict v = verdict(OUT_CONNECT_FAILED, m->submit->relay, strerror(ETIMEDOUT));

	if (l) {
		l->mail = NULL;
		m->by = NULL;
		submit_link_close(l);
	}
	submit_mail_over(m, &v);
}

static struct mail *
mail_new(struct submit *s, size_t nrcpt, struct op *op,
    void (*done)(void *arg, const struct verdict *), void *arg)
{
	struct mail *m = mem_new(sizeof(*m) + nrcpt * sizeof(*m->rcpts));

	must(nrcpt > 0);
	m->magic = MAIL_MAGIC;
	m->submit = s;
	m->op = op;
	m->done = done;
	m->arg = arg;
	list_init(&m->link);
	deadline_init(&m->late);
	op->cancel = mail_cancel;
	op->impl = m;
	m->rcpts = (struct smtp_client_rcpt *)(m + 1);
	return m;
}

static void
mail_wait(struct mail *m)
{
	struct submit *s = m->submit;

	s->nmails++;
	deadline_set(&m->late, s->loop, s->time_ms, mail_on_late);
	list_push(&s->waiting, &m->link);
	submit_go_on(s);
}

void
submit_start(struct submit *s, const struct submit_mail *what, struct op *op,
    void (*done)(void *arg, const struct verdict *), void *arg)
{
	size_t n = what->to.n > 0 ? 1 : what->nrcpts;
	struct mail *m = mail_new(s, n, op, done, arg);
	bool utf8 = !utf8_ascii(what->sender);

	m->told = what->to.n > 0 ? NULL : what->rcpts;
	for (size_t i = 0; i < n; i++) {
		m->rcpts[i] =
		    (struct smtp_client_rcpt){ .address = m->told ? m->told[i].to : what->to,
			    .notify = what->notify,
			    .event = what->event,
			    .run = what->run };
		utf8 = utf8 || !utf8_ascii(m->rcpts[i].address);
	}
	m->tx = (struct smtp_client_tx){ .sender = what->sender,
		.envid = what->envid,
		.qid = what->qid,
		.ret = what->ret,
		.auth = what->account,
		.release_at = what->release_at,
		.must_release = true,
		.eightbit = !what->bytes.p || !utf8_ascii(what->bytes),
		.smtputf8 = what->smtputf8 || utf8,
		.fd = what->bytes.p ? -1 : what->fd,
		.bytes = what->bytes.p,
		.size = what->bytes.p ? what->bytes.n : what->size,
		.rcpts = m->rcpts,
		.nrcpt = n };
	mail_wait(m);
}

void
submit_cancel_start(struct submit *s, struct slice account, struct slice qid, struct op *op,
    void (*done)(void *arg, const struct verdict *), void *arg)
{
	struct mail *m = mail_new(s, 1, op, done, arg);

	m->rcpts[0] = (struct smtp_client_rcpt){ .address = S("") };
	m->tx = (struct smtp_client_tx){ .auth = account,
		.cancel = qid,
		.fd = -1,
		.bytes = "",
		.rcpts = m->rcpts,
		.nrcpt = 1 };
	mail_wait(m);
}

/* ---- life -------------------------------------------------------------------------------- */

void
submit_change(struct submit *s, const struct submit_params *p)
{
	struct link *l;

	list_each(l, &s->idle, struct link, idle) submit_link_on_unused(&l->unused);
	mem_free(&s->relay);
	s->relay = p->relay && *p->relay ? mem_str(p->relay) :
					   mem_printf("unix:%s/submit.sock", shared.rundir);
	s->tls = p->tls;
	s->time_ms = p->time_ms;
	s->lmtp = p->lmtp;
}

struct submit *
submit_new(struct loop *loop, const struct submit_params *p)
{
	struct submit *s = mem_new(sizeof(*s));

	s->loop = loop;
	list_init(&s->waiting);
	list_init(&s->links);
	list_init(&s->idle);
	submit_change(s, p);
	return s;
}

size_t
submit_pending(const struct submit *s)
{
	return s->nmails;
}

void
submit_leave(struct submit *s)
{
	struct link *l;

	s->leaving = true;
	list_each(l, &s->links, struct link, all)
	{
		if (!l->open)
			continue;
		if (l->ready && !l->mail && !list_empty(&l->idle))
			submit_link_on_unused(&l->unused);
		smtp_client_leave(&l->client);
	}
}

void
submit_status(const struct submit *s, struct buf *out)
{
	buf_printf(out, "submit relay=%s messages=%zu connections=%zu\n", s->relay, s->nmails,
	    s->nlinks);
}
