/* event.c: scripts for what people do to messages that are there: RFC 6785.
 *
 * imapd tells of it (rules/event.h) in a transaction of its own, with the message, and hears what is to become of that; so
 * this program needs no right to read or change what people have.  All else is as with mail that comes: what is filed
 * is a message of its own, delivered, which is no event again; what goes on has gone before the answer is given, and does
 * not go twice when the same event comes again.  Called by filter.c, and by run.c on a thread.  Can fail: no script of
 * that name, which is no error (2.3.1). */
#include "base/log.h"
#include "filter.h"
#include "globals.h"

struct event *
event_new(struct arena *a, const struct rules_event *e, const struct dir_user *u)
{
	struct event *new = arena_new(a, sizeof(*new));
	struct slice rest, word;
	size_t n = 0;

	new->said = (struct rules_event){ .cause = arena_slice(a, e->cause),
		.user = arena_slice(a, e->user),
		.mailbox = arena_slice(a, e->mailbox),
		.flags = arena_slice(a, e->flags),
		.changed = arena_slice(a, e->changed) };
	new->email = new->said.user;
	if (slice_eq(e->user, u->account) && u->naddresses)
		new->email = arena_slice(a, u->addresses[0]);
	for (rest = new->said.flags; slice_word(&rest, &word);)
		n++;
	new->flags = arena_array(a, n, sizeof(*new->flags));
	for (rest = new->said.flags; slice_word(&rest, &word);)
		new->flags[new->nflags++] = word;
	return new;
}

struct script *
event_script(const struct rules_event *e, const struct dir_user *u)
{
	struct slice name, text;
	struct globals *g;
	struct script *s = NULL;

	for (size_t i = 0; e->global.n == 0 && i < u->library.n; i++)
		if (rules_named(u->library.v[i], &name, &text) && slice_eq(name, e->script))
			return script_get_event(text, &u->library);
	g = globals_get();
	if (globals_find(g, e->script, &text))
		s = script_get_event(text, NULL);
	globals_unref(&g);
	return s;
}

/* RFC 6785 4.1: location is MS, phase is post; 4.2 to 4.5. */
bool
event_environment(const struct event *e, struct slice name, struct slice *value)
{
	static const struct event none;
	const struct event *it = e ? e : &none;
	const struct {
		const char *name;
		struct slice value;
	} items[] = { { "imap.user", it->said.user }, { "imap.email", it->email },
		{ "imap.cause", it->said.cause }, { "imap.mailbox", it->said.mailbox },
		{ "imap.changedflags", it->said.changed }, { "location", e ? S("MS") : S("MDA") },
		{ "phase", e ? S("post") : S("during") } };

	for (size_t i = 0; i < NELEM(items); i++)
		if (slice_ieq(name, slice_str(items[i].name))) {
			*value = items[i].value.p ? items[i].value : S("");
			return true;
		}
	return false;
}

struct verdict
event_outcome(struct filter *f, const struct person *p)
{
	const struct sieve_action *keep = p->keep;
	bool flagged = keep && keep->flagged;
	struct buf b = { 0 };
	struct verdict v = verdict(OUT_EVENT_NONE);

	if (p->n == 0 || !p->programs[0])
		return v;
	if (rules_event_outcome_write(&b, p->event->said.flags,
		flagged ? keep->flags : p->event->flags, flagged ? keep->nflags : p->event->nflags,
		p->kept))
		v = verdict(OUT_EVENT_DONE, buf_cstr(&b));
	else
		log_event(LOG_INFO, "sieve", "sid=%s user=%s script=event error=%s",
		    f->session->sid, log_value(p->account), log_str("it changes too many flags"));
	buf_fini(&b);
	return v;
}
