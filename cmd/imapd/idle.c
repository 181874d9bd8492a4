/* imapd/idle.c: IDLE, RFC 2177.  stored's events wake the sessions that idle on a mailbox, or that NOTIFY lets
 * listen to the one that they have selected.
 *
 * Owns: imapd.boxes, the watchers of each mailbox.  Called by the command table and by the client of
 * stored.  Can fail: nothing; a mailbox that is gone ends the session.  Must stay true: a session is
 * in the list of its mailbox exactly while it listens to it (idle_listen).  News are a cursor like any
 * long answer (notices.c), so that a hundred watchers of one change share the loop with everybody else. */
#include "happened.h"
#include "base/mem.h"
#include "metadata.h"
#include "notify.h"

/* The listening sessions of one mailbox. */
struct box {
	uint64_t mailbox;
	struct list sessions;
	uint32_t reserved; /* uidnext when the \Recent ones were last asked for */
};

/* ---- the watchers -------------------------------------------------------------------------- */

static struct slice
box_key(const uint64_t *mailbox)
{
	return slice((const char *)mailbox, sizeof(*mailbox));
}

static void
box_join(struct session *s)
{
	struct box *box = map_get(&imapd.boxes, box_key(&s->view->mailbox));

	if (!box) {
		box = mem_new(sizeof(*box));
		box->mailbox = s->view->mailbox;
		list_init(&box->sessions);
		map_put(&imapd.boxes, box_key(&box->mailbox), box);
	}
	s->box = box;
	list_push(&box->sessions, &s->idle_link);
}

static void
box_leave(struct session *s)
{
	struct box *box = s->box;

	s->box = NULL;
	list_remove(&s->idle_link);
	if (box && list_empty(&box->sessions)) {
		map_take(&imapd.boxes, box_key(&box->mailbox));
		mem_release(box);
	}
}

void
idle_listen(struct session *s)
{
	bool wants = s->view && (idle_is_on(s) || (s->notify && s->notify->selected));

	if (s->box && (!wants || s->box->mailbox != s->view->mailbox))
		box_leave(s);
	if (!s->box && wants)
		box_join(s);
}

bool
idle_may_reserve(struct session *s, uint32_t uidnext)
{
	if (!s->box)
		return true;
	if (s->box->reserved >= uidnext)
		return false;
	s->box->reserved = uidnext;
	return true;
}

/* ---- the command --------------------------------------------------------------------------- */

void
idle_over(struct session *s)
{
	if (!s->idling)
		return;
	metric_add(M_IDLING, -1);
	s->idling = false;
	s->telling = NULL;
	s->updating = NULL;
	idle_listen(s);
}

/* "DONE", and nothing else, ends it. */
static enum imap_next
idle_line(struct imap_server *imap, struct slice line)
{
	idle_over(session_of(imap));
	if (slice_ieq(line, S("DONE")))
		return imap_server_finish(imap, "OK", "IDLE completed");
	return imap_server_bad(imap, "DONE expected");
}

static enum imap_next
idle_bytes(struct imap_server *imap, struct slice in)
{
	return imap_server_line(imap, in, idle_line);
}

static const struct imap_taker idle_taker = { "idle", idle_bytes, false };

enum imap_next
cmd_idle(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);

	if (!imap_end(in))
		return imap_server_syntax(imap, in);
	buf_lit(imap_server_out(imap), "+ idling\r\n");
	metric_add(M_IDLING, 1);
	imap_server_keep(imap);
	imap->input = &idle_taker;
	s->idling = true;
	idle_listen(s);
	return imap_server_pull(imap, notices_more); /* what happened since the last command */
}

/* ---- stored's events ------------------------------------------------------------------------ */

void
idle_wake(struct session *s)
{
	s->stale = true;
	notices_due(s);
}

void
idle_events(void *arg, const struct store_event *ev, size_t n)
{
	struct session *s;
	bool lists = false;

	(void)arg;
	for (size_t i = 0; i < n; i++) {
		lists |= ev[i].kind == STORE_EV_LIST || ev[i].kind == STORE_EV_RESYNC;
		if (ev[i].kind == STORE_EV_AWAY)
			store_homes_look(&imapd.homes);
		else if (ev[i].kind == STORE_EV_RESYNC) {
			store_homes_look(&imapd.homes);
			list_each(s, &imapd.sessions, struct session, link) if (s->box)
			    idle_wake(s);
			place_look(0);
			watch_resync();
			happened_look();
			continue;
		}
		if (ev[i].kind == STORE_EV_HAPPENED) {
			happened_look();
			continue;
		}
		watch_event(&ev[i]);
		if (ev[i].kind == STORE_EV_LIST) {
			place_look(ev[i].account);
		} else if (ev[i].kind == STORE_EV_ANNOT) {
			metadata_event(&ev[i]);
		} else if (ev[i].kind == STORE_EV_MAILBOX || ev[i].kind == STORE_EV_DELETED) {
			uint64_t mailbox =
			    ev[i].mailbox; /* a packed struct: not to be pointed at */
			struct box *box = map_get(&imapd.boxes, box_key(&mailbox));

			if (!box)
				continue;
			list_each(s, &box->sessions, struct session, idle_link) idle_wake(s);
		}
	}
	if (lists)
		session_groups();
}
