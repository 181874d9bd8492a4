/* imapd/idle.c: IDLE, RFC 2177.  stored's events wake the sessions that idle on a mailbox. */
#include "base/log.h"
#include "base/mem.h"
#include "session.h"

/* The idling sessions of one mailbox. */
struct box {
	uint64_t mailbox;
	struct list sessions;
	bool busy; /* idle_events goes through it: it must stay */
};

enum next
cmd_idle(struct session *s, struct imap_in *in)
{
	struct slice key;

	if (!imap_end(in))
		return bad(s, in);
	s->idle_tag = mem_strn(s->tag.p, s->tag.n);
	s->idling = true;
	metric_add(M_IDLING, 1);
	buf_lit(out(s), "+ idling\r\n");
	if (s->view) {
		key = slice((const char *)&s->view->mailbox, sizeof(s->view->mailbox));
		s->box = map_get(&imapd.boxes, key);
		if (!s->box) {
			s->box = mem_new(sizeof(*s->box));
			s->box->mailbox = s->view->mailbox;
			list_init(&s->box->sessions);
			map_put(&imapd.boxes,
			    slice((const char *)&s->box->mailbox, sizeof(s->box->mailbox)), s->box);
		}
		list_push(&s->box->sessions, &s->idle_link);
		idle_update(s); /* what happened since the last command */
	}
	return s->next == CLOSE ? CLOSE : NEXT;
}

static void
box_free(struct box *box)
{
	map_take(&imapd.boxes, slice((const char *)&box->mailbox, sizeof(box->mailbox)));
	mem_release(box);
}

void
idle_leave(struct session *s)
{
	struct box *box = s->box;

	if (!s->idling)
		return;
	s->idling = false;
	s->box = NULL;
	mem_free(&s->partly);
	metric_add(M_IDLING, -1);
	list_remove(&s->idle_link);
	if (box && list_empty(&box->sessions) && !box->busy)
		box_free(box);
}

/* Tells the session what is new.  A client that does not read gets the rest when it does:
 * `drained` comes back here, and s->partly says where to go on. */
void
idle_update(struct session *s)
{
	struct sync *y = s->partly, first = { .expunge = true };
	int r = 1;

	if (!s->view)
		return;
	if (!y)
		y = &first;
	while (r > 0 && stream_backlog(&s->io) < STREAM_HIGH) {
		r = view_sync(s, y);
		if (r > 0)
			stream_flush(&s->io);
	}
	if (r > 0 && !s->partly) {
		s->partly = mem_new(sizeof(*s->partly));
		*s->partly = first;
	} else if (r <= 0) {
		mem_free(&s->partly);
	}
	if (s->cmd == NULL)
		arena_reset(&s->arena);
	if (r < 0)
		session_bye(s, "The mailbox has been deleted");
	else
		stream_flush(&s->io);
}

/* "DONE", and nothing else, ends it. */
enum next
idle_line(struct session *s, struct slice line)
{
	bool done = slice_ieq(line, S("DONE"));
	enum next next;

	idle_leave(s);
	s->tag = slice_str(arena_str(&s->arena, s->idle_tag));
	mem_free(&s->idle_tag);
	next = done ? finish(s, "OK", "IDLE completed") : bad_text(s, "DONE expected");
	return next;
}

void
idle_events(void *arg, const struct store_event *ev, size_t n)
{
	struct session *s;

	(void)arg;
	for (size_t i = 0; i < n; i++) {
		if (ev[i].kind == STORE_EV_RESYNC) {
			list_each(s, &imapd.sessions, struct session, link)
				if (s->idling)
					idle_update(s);
		} else if (ev[i].kind == STORE_EV_MAILBOX || ev[i].kind == STORE_EV_DELETED) {
			struct box *box = map_get(&imapd.boxes,
			    slice((const char *)&ev[i].mailbox, sizeof(ev[i].mailbox)));
			struct list todo;

			if (!box)
				continue;
			box->busy = true;
			list_init(&todo);
			list_splice(&todo, &box->sessions);
			while ((s = list_first(&todo, struct session, idle_link))) {
				list_remove(&s->idle_link);
				list_push(&box->sessions, &s->idle_link);
				log_context(s->sid);
				idle_update(s);
			}
			box->busy = false;
			if (list_empty(&box->sessions))
				box_free(box);
		}
	}
}
