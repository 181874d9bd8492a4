/* imapd/metadata.c: GETMETADATA, SETMETADATA: RFC 5464; METADATA in LIST: RFC 9590.
 *
 * Owns: nothing; stored keeps the annotations and judges who sets them.  Called by the command table and
 * list.c.  Can fail: names, rights, what stored says.  Must stay true: who may not look at a mailbox hears
 * of its annotations what he would hear if it were not there; no entry is written twice in an answer,
 * however the entries that were asked for overlap; and answers are cursors that stop behind each value,
 * since a client chooses how many there are and another how long. */
#include "metadata.h"

#include <errno.h>

#include "base/log.h"
#include "imap/write.h"

/* ---- values ---------------------------------------------------------------------------------- */

/* Entries that are no rows: what the configuration says of the server, and the use of a mailbox. */
static struct slice
metadata_comment(struct session *s, struct store_view *v, uint64_t mailbox)
{
	(void)s, (void)v, (void)mailbox;
	return slice_str(conf.comment);
}

static struct slice
metadata_admin(struct session *s, struct store_view *v, uint64_t mailbox)
{
	(void)s, (void)v, (void)mailbox;
	return slice_str(conf.admin);
}

/* RFC 6154 5.4 */
static struct slice
metadata_use(struct session *s, struct store_view *v, uint64_t mailbox)
{
	struct store_mailbox m;

	if (store_get_mailbox(v, mailbox, &m) < 0 || !m.special ||
	    !slice_eq(m.account_name, slice_str(s->user->account)))
		return slice(NULL, 0);
	return slice_str(store_special_name((enum store_special)m.special));
}

static const struct metadata_made {
	const char *name;
	bool shared, server;
	struct slice (*value)(struct session *s, struct store_view *v, uint64_t mailbox);
} made[] = {
	{ "/comment", true, true, metadata_comment },   /* RFC 5464 6.2.1 */
	{ "/admin", true, true, metadata_admin },       /* the same */
	{ STORE_ANNOT_USE, false, false, metadata_use } /* RFC 6154 5.4 */
};

static bool
metadata_is_made(const struct metadata_made *m, uint64_t mailbox, bool all, struct slice name)
{
	return m->server == !mailbox && m->shared == all && slice_eq(name, slice_str(m->name));
}

/* p NULL: there is none.  Inside a snapshot. */
static struct slice
metadata_value(struct session *s, struct store_view *v, uint64_t account, uint64_t mailbox,
    const struct imap_entry *e)
{
	struct slice login = e->shared ? S("") : slice_str(s->user->account), value;
	struct store_annot a;

	for (size_t i = 0; i < NELEM(made); i++)
		if (metadata_is_made(&made[i], mailbox, e->shared, e->name)) {
			value = made[i].value(s, v, mailbox);
			return value.n ? value : slice(NULL, 0);
		}
	if (store_annot_is_secret(e->name) ||
	    store_annot_find(v, account, mailbox, login, e->name, &a) < 0)
		return slice(NULL, 0);
	return a.value;
}

/* ---- GETMETADATA ----------------------------------------------------------------------------- */

struct metadata_get {
	struct imap_getmetadata want;
	struct place place; /* of the server: folder is empty */
	struct store_view *v;
	uint64_t account, mailbox;
	size_t at;    /* of want.entries */
	size_t made;  /* with a depth: so many of `made` have been looked at, */
	bool walking; /* then its rows are being walked */
	struct store_annot_walk walk;
	bool began;     /* the response has begun */
	size_t longest; /* of what was too long */
};

/* One entry and its value; none that is longer than the client wants. */
static void
metadata_write(struct session *s, struct metadata_get *g, bool all, struct slice name,
    struct slice value)
{
	struct buf *b = session_out(s);

	if (g->want.limited && value.n > g->want.maxsize) {
		if (value.n > g->longest)
			g->longest = value.n;
		return;
	}
	if (!g->began) {
		buf_lit(b, "* METADATA ");
		session_write_mailbox(s, g->place.name);
	}
	buf_str(b, g->began ? " " : " (");
	g->began = true;
	imap_entry_write(b, all, name);
	buf_char(b, ' ');
	imap_value_write(b, value);
}

/* Is it meant by the entry in hand, and by none before it? */
static bool
metadata_is_due(const struct metadata_get *g, bool all, struct slice name)
{
	const struct imap_entry *list = g->want.entries.list;

	if (!imap_entry_means(&list[g->at], g->want.depth, all, name))
		return false;
	for (size_t i = 0; i < g->at; i++)
		if (imap_entry_means(&list[i], g->want.depth, all, name))
			return false;
	return true;
}

/* The next one of those that are no rows.  False: there is none. */
static bool
metadata_step_made(struct session *s, struct metadata_get *g)
{
	const struct metadata_made *m = &made[g->made];
	struct slice name, value;

	if (g->made == NELEM(made))
		return false;
	g->made++;
	name = slice_str(m->name);
	if (m->server != !g->mailbox || !metadata_is_due(g, m->shared, name))
		return true;
	value = m->value(s, g->v, g->mailbox);
	if (value.n)
		metadata_write(s, g, m->shared, name, value);
	return true;
}

/* The next row.  False: there is none that can be meant. */
static bool
metadata_step_row(struct session *s, struct metadata_get *g)
{
	const struct imap_entry *e = &g->want.entries.list[g->at];
	struct slice login = e->shared ? S("") : slice_str(s->user->account);
	struct store_annot a;

	if (!g->walking)
		store_annot_walk_login(&g->walk, g->account, g->mailbox, login, e->name);
	g->walking = true;
	if (!store_annot_next(g->v, &g->walk, &a) || !slice_starts(a.name, e->name))
		return false;
	if (!a.gone && !store_annot_is_secret(a.name) && metadata_is_due(g, e->shared, a.name))
		metadata_write(s, g, e->shared, a.name, a.value);
	return true;
}

/* One step of the entry in hand.  False: it is through. */
static bool
metadata_step(struct session *s, struct metadata_get *g)
{
	const struct imap_entry *e = &g->want.entries.list[g->at];

	if (g->want.depth)
		return metadata_step_made(s, g) || metadata_step_row(s, g);
	if (e->name.n && metadata_is_due(g, e->shared, e->name))
		metadata_write(s, g, e->shared, e->name,
		    metadata_value(s, g->v, g->account, g->mailbox, e));
	return false;
}

/* May this user still look at the annotations of the mailbox?  Inside a snapshot: each has its own answer. */
static bool
metadata_still(struct session *s, struct store_view *v, uint64_t account, uint64_t mailbox)
{
	struct store_mailbox m;

	return account == s->user->id ||
	    (store_get_mailbox(v, mailbox, &m) == 0 &&
		metadata_may(store_rights(v, &m, session_person(s))));
}

static enum imap_next
metadata_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct metadata_get *g = imap->data;
	enum imap_next next = IMAP_NEXT;

	if (store_begin(g->v) < 0) {
		if (g->began)
			buf_lit(session_out(s), ")\r\n");
		return imap_server_no(imap, "UNAVAILABLE", "The mail store cannot be read");
	}
	if (!g->place.own && !metadata_still(s, g->v, g->account, g->mailbox)) {
		store_end(g->v);
		if (g->began)
			buf_lit(session_out(s), ")\r\n");
		return reply_no_mailbox(imap, -ENOENT, "NONEXISTENT");
	}
	while (next == IMAP_NEXT && g->at < g->want.entries.n) {
		if (!metadata_step(s, g)) {
			g->at++;
			g->made = 0;
			g->walking = false;
		}
		if (session_out(s)->n >= STREAM_HIGH)
			next = IMAP_FULL;
		else if (line_session_spent(&imap->line))
			next = IMAP_YIELD;
	}
	store_end(g->v);
	if (next != IMAP_NEXT)
		return next;
	if (g->began)
		buf_lit(session_out(s), ")\r\n");
	if (g->longest)
		return imap_server_finish(imap, "OK",
		    "[METADATA LONGENTRIES %zu] GETMETADATA completed", g->longest);
	return imap_server_finish(imap, "OK", "GETMETADATA completed");
}

/* The mailbox, or the server when the name is empty.  False: it is answered. */
static bool
metadata_place(struct session *s, struct slice name, bool bad_name, struct place *p,
    enum imap_next *answer)
{
	struct store_mailbox m;
	int rc;

	if (name.n == 0 && !bad_name) {
		*p = (struct place){ .s = s,
			.name = S(""),
			.owner = slice_str(s->user->account),
			.own = true,
			.home = s->user->part,
			.account = s->user->id,
			.rights = STORE_R_ALL };
		return true;
	}
	if (bad_name || place_parse(s, name, p) < 0) {
		*answer = imap_server_no(&s->imap, "CANNOT", "Not a mailbox name");
		return false;
	}
	rc = place_open(p, STORE_R_LOOKUP, false, &m);
	if (rc < 0) {
		*answer = reply_no_mailbox(&s->imap, rc, "NONEXISTENT");
		return false;
	}
	store_end(p->home->view);
	if (!metadata_may(p->rights)) {
		*answer = place_no_right(&s->imap);
		return false;
	}
	return true;
}

/* GETMETADATA [options] mailbox entries				RFC 5464 4.2 */
enum imap_next
cmd_getmetadata(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct metadata_get *g = arena_new(&imap->arena, sizeof(*g));
	enum imap_next answer;

	if (!imap_getmetadata_parse(in, &g->want))
		return imap_server_syntax(imap, in);
	if (!metadata_place(s, g->want.mailbox, g->want.bad_name, &g->place, &answer))
		return answer;
	g->account = g->place.account;
	g->mailbox = g->place.mailbox;
	g->v = g->place.home->view;
	imap->data = g;
	return imap_server_pull(imap, metadata_more);
}

/* ---- SETMETADATA ----------------------------------------------------------------------------- */

struct metadata_set {
	struct imap_setmetadata want;
	struct place place;
};

static void
metadata_done(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	const struct metadata_set *d = s->imap.data;

	if (r->verdict.kind == OK) {
		if (r->modseq) {
			s->annots[!d->place.own].own = r->modseq;
			s->annots[!d->place.own].own_mailbox = r->mailbox;
			metric_add(M_ANNOTATED, (int64_t)d->want.entries.n);
			log_event(LOG_INFO, "annotate",
			    "sid=%s user=%s owner=%s mailbox=%s entry=%s entries=%zu", s->sid,
			    log_str(s->user->account), log_value(d->place.owner),
			    log_value(d->place.folder), log_value(d->want.entries.list[0].name),
			    d->want.entries.n);
		}
		imap_server_resume(&s->imap,
		    imap_server_finish(&s->imap, "OK", "SETMETADATA completed"));
	} else if (r->code == STORE_LIMIT && r->verdict.kind == PERM) {
		imap_server_resume(&s->imap,
		    imap_server_no(&s->imap, "METADATA TOOMANY", "Too many annotations"));
	} else if (r->code == STORE_CANNOT) { /* RFC 6154 5.4 */
		imap_server_resume(&s->imap,
		    imap_server_no(&s->imap, "USEATTR", "Not a use for this mailbox"));
	} else {
		imap_server_resume(&s->imap, reply_no_store(s, r, "NONEXISTENT"));
	}
}

/* What no mailbox could have, whatever stored says. */
static bool
metadata_fits(struct session *s, const struct metadata_set *d, enum imap_next *answer)
{
	char code[40];

	for (size_t i = 0; i < d->want.entries.n; i++) {
		const struct imap_entry *e = &d->want.entries.list[i];

		if (e->name.n > STORE_ANNOT_NAME_MAX) {
			*answer =
			    imap_server_no(&s->imap, "LIMIT", "The name of an entry is too long");
			return false;
		}
		if (e->value.n > (size_t)conf.metadata) {
			snprintf(code, sizeof(code), "METADATA MAXSIZE %lld",
			    (long long)conf.metadata);
			*answer = imap_server_no(&s->imap, code, "The value is too long");
			return false;
		}
		if (store_annot_is_secret(e->name)) {
			*answer = imap_server_no(&s->imap, "NOPERM",
			    "The server keeps these entries itself");
			return false;
		}
		if (e->shared && !d->place.folder.n) {
			*answer = imap_server_no(&s->imap, "NOPERM",
			    "The administrator says what all share of the server");
			return false;
		}
	}
	return true;
}

/* SETMETADATA mailbox (entry value ...)				RFC 5464 4.3 */
enum imap_next
cmd_setmetadata(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct metadata_set *d = arena_new(&imap->arena, sizeof(*d));
	struct store_annotation *list;
	enum imap_next answer;
	size_t n;

	if (!imap_setmetadata_parse(in, &d->want))
		return imap_server_syntax(imap, in);
	if (!metadata_place(s, d->want.mailbox, d->want.bad_name, &d->place, &answer) ||
	    !metadata_fits(s, d, &answer))
		return answer;
	n = d->want.entries.n;
	list = arena_array(&imap->arena, n, sizeof(*list));
	for (size_t i = 0; i < n; i++) {
		const struct imap_entry *e = &d->want.entries.list[i];

		list[i] = (struct store_annotation){ .name = e->name,
			.value = e->value,
			.shared = e->shared,
			.gone = !e->value.p };
	}
	imap->data = d;
	store_annotate_start(imapd.store, d->place.account, d->place.mailbox, list, n, &imap->op,
	    metadata_done, s);
	return IMAP_WAIT;
}

/* ---- LIST-METADATA --------------------------------------------------------------------------- */

void
metadata_line_begin(struct session *s, struct metadata_line *l, struct slice name)
{
	l->at = 0;
	buf_lit(session_out(s), "* METADATA ");
	session_write_mailbox(s, name);
}

static void
metadata_line_entry(struct session *s, struct metadata_line *l, struct slice value)
{
	const struct imap_entry *e = &l->want->list[l->at];
	struct buf *b = session_out(s);

	buf_str(b, l->at++ ? " " : " (");
	imap_entry_write(b, e->shared, e->name);
	buf_char(b, ' ');
	imap_value_write(b, value);
	if (l->at == l->want->n)
		buf_lit(b, ")\r\n");
}

static bool
metadata_line_is_open(const struct metadata_line *l)
{
	return l->want && l->at < l->want->n;
}

static void
metadata_line_blank(struct session *s, struct metadata_line *l)
{
	while (metadata_line_is_open(l))
		metadata_line_entry(s, l, slice(NULL, 0));
}

void
metadata_line_end(struct session *s, struct metadata_line *l)
{
	if (metadata_line_is_open(l))
		*l->failed = true;
	metadata_line_blank(s, l);
}

bool
metadata_line_more(struct session *s, struct metadata_line *l)
{
	if (!metadata_line_is_open(l))
		return true;
	if (l->apart && store_begin(l->reader) < 0) {
		metadata_line_end(s, l);
		return true;
	}
	if (!metadata_still(s, l->reader, l->account, l->mailbox)) /* any more */
		metadata_line_blank(s, l);
	while (metadata_line_is_open(l) && session_out(s)->n < STREAM_HIGH)
		metadata_line_entry(s, l,
		    metadata_value(s, l->reader, l->account, l->mailbox, &l->want->list[l->at]));
	if (l->apart)
		store_end(l->reader);
	return !metadata_line_is_open(l);
}
