/* tmlog/print.c: a message's way in words for people, and as JSON for programs.
 *
 * Pure.  A table says how an event reads: {key} is a field's value, and what stands in [ ] is left out when the
 * field in it is empty or missing.  An event without a line in it is shown with its fields as they are.  Octets
 * that a terminal would obey never get there. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "tmlog.h"

struct words {
	const char *event, *who; /* who: of this program alone; NULL: of all */
	const char *text;
};
/* clang-format off */
static const struct words table[] = {
	{ "connect", NULL, "{peer} connects[ ({listen})]" },
	{ "tls", NULL, "TLS[: {version}][, {cipher}][: {error}]" },
	{ "auth", NULL, "login[ of {user}][ by {mech}][: {reason}]" },
	{ "proxied", NULL, "{via} speaks for {peer}" },
	{ "login", NULL, "{user} logs in[ by {mech}][, to {store}]" },
	{ "login_failed", NULL, "login of {login} refused: {reason}" },
	{ "disconnect", NULL, "ends: {why}[, {ms} ms]" },
	{ "mail", NULL, "a message begins, from <{from}>" },
	{ "rcpt", NULL, "takes {to}[ (for {forwarded})][, of the list {list}][: by {channel}][ to {host}]" },
	{ "queued", NULL, "queued: {size} octets for {nrcpt}, from <{from}>[, Message-ID {msgid}]" },
	{ "reject", NULL, "refuses {verb}[ {to}]: {reply} {verdict} {text}" },
	{ "refused", NULL, "refuses {verb}: {reply} {verdict} {text}" },
	{ "expanded", NULL, "{to} stands for {legs}[, {failed} of them refused]" },
	{ "expand_piece", NULL, "{legs} of them go on as {as}" },
	{ "forward_failed", NULL, "{to}: {forward} is left out: {verdict} {text}" },
	{ "connect", "channel-master", "to {dest}[ ({peer})][, {tls}][: {error}]" },
	{ "deliver", "channel-master", "{to}: {state}, {verdict}[ ({reply})][ by {peer}], attempt {attempt}: {text}" },
	{ "deliver", "lmtpd", "{to}: {verdict}[, into the mailbox of {user}][, folder {folder}][, UID {uid}]" },
	{ "requeue", NULL, "goes back: its way has changed" },
	{ "report", NULL, "a report to {to}: {text}" },
	{ "report_dropped", NULL, "nobody is told: {why}" },
	{ "report_lost", NULL, "the report to {to} was refused: {verdict} {text}" },
	{ "hold", NULL, "held by an operator" },
	{ "release", NULL, "released by an operator" },
	{ "delete", NULL, "deleted by an operator" },
	{ "expunge", NULL, "{messages} leave {mailbox} ({how})[ for {to}]" },
	{ "kick", NULL, "an operator ends the session" },
};
/* clang-format on */

/* Octets of the log that would move a cursor or turn letters around become question marks. */
static void
print_safe(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		buf_char(out, c < 0x20 || c == 0x7f ? '?' : s.p[i]);
	}
}

/* "{key}": false when the field has nothing to say. */
static bool
print_field(const struct logline *l, struct slice key, struct buf *out)
{
	struct buf value = { 0 };
	char name[32];
	bool there = logline_get(l, slice_cstr(key, name, sizeof(name)), &value) && value.n;

	print_safe(out, buf_get(&value));
	buf_fini(&value);
	return there;
}

static bool
print_part(const struct logline *l, struct slice part, struct buf *out)
{
	struct slice text;
	bool all = true;

	while (slice_cut(&part, '{', &text)) {
		struct slice key = S("");

		buf_slice(out, text);
		if (part.n && slice_cut(&part, '}', &key))
			all &= print_field(l, key, out);
	}
	return all;
}

static void
print_words(const struct logline *l, const char *text, struct buf *out)
{
	struct slice rest = slice_str(text), part;

	while (slice_cut(&rest, '[', &part)) {
		struct slice maybe = S("");
		size_t at;

		(void)print_part(l, part, out);
		if (rest.n == 0 || !slice_cut(&rest, ']', &maybe))
			continue;
		at = out->n;
		if (!print_part(l, maybe, out))
			out->n = at;
	}
}

static const char *
print_find(const struct logline *l)
{
	const char *found = NULL;

	for (size_t i = 0; i < NELEM(table); i++) {
		if (!slice_eq(l->event, slice_str(table[i].event)))
			continue;
		if (table[i].who && slice_eq(l->who, slice_str(table[i].who)))
			return table[i].text;
		if (!table[i].who)
			found = table[i].text;
	}
	return found;
}

/* "2026-11-30T08:20:01.123Z" as its date and its time. */
static void
print_when(const struct follow_event *e, char *day, struct buf *out)
{
	struct slice ts = slice_str(e->ts);
	size_t t = slice_find(ts, 'T');
	char date[16];

	slice_cstr(slice_sub(ts, 0, t), date, sizeof(date));
	if (strcmp(date, day) != 0) {
		buf_printf(out, "  %s\n", date);
		memcpy(day, date, sizeof(date));
	}
	ts = slice_from(ts, t + 1);
	if (slice_ends(ts, S("Z")))
		ts.n--;
	buf_printf(out, "  %-13.*s", SARG(ts));
}

static void
print_event(const struct follow_event *e, char *day, struct buf *out)
{
	const char *words = print_find(&e->line);
	struct buf where = { 0 };

	print_when(e, day, out);
	buf_printf(&where, "%s%s" SFMT, e->host, *e->host ? "/" : "", SARG(e->line.who));
	print_safe(out, buf_get(&where));
	for (size_t n = where.n; n < 16; n++)
		buf_char(out, ' ');
	buf_char(out, ' ');
	if (words) {
		print_words(&e->line, words, out);
	} else {
		print_safe(out, e->line.event);
		print_safe(out, e->line.fields);
	}
	buf_char(out, '\n');
	buf_fini(&where);
}

static void
print_title(const struct follow_story *s, struct follow_outcomes *o, struct buf *out)
{
	struct buf value = { 0 };
	struct follow_outcome *x;
	struct follow_event *e;

	buf_printf(out, "%s %s", s->session ? "session" : "message", s->id);
	if (s->parent)
		buf_printf(out, ", of %s", s->parent);
	list_each(e, &s->events, struct follow_event, link)
	{
		if (!slice_eq(e->line.event, S("queued")))
			continue;
		(void)logline_get(&e->line, "from", &value);
		buf_lit(out, ", from <");
		print_safe(out, buf_get(&value));
		buf_lit(out, ">");
		break;
	}
	buf_char(out, '\n');
	if (s->nevents == 0)
		buf_lit(out, "  no line of these logs tells of it\n");
	list_each(x, &o->list, struct follow_outcome, link)
	{
		buf_lit(out, "  ");
		print_safe(out, slice_str(x->to));
		buf_printf(out, ": %s", follow_state_name(x->state));
		if (*x->text && x->state != FOLLOW_DELIVERED) {
			buf_lit(out, ": ");
			print_safe(out, slice_str(x->text));
		}
		buf_char(out, '\n');
	}
	buf_fini(&value);
}

void
print_story(const struct follow_story *s, struct buf *out)
{
	struct follow_outcomes o;
	struct follow_event *e;
	char day[16] = "";

	follow_outcomes_of(s, &o);
	print_title(s, &o, out);
	list_each(e, &s->events, struct follow_event, link) print_event(e, day, out);
	buf_char(out, '\n');
	follow_outcomes_fini(&o);
}

/* ---- JSON -------------------------------------------------------------------------------------------------- */

static void
print_json_event(const struct follow_event *e, struct buf *out)
{
	struct slice rest = e->line.fields, k, v;
	struct buf value = { 0 };
	char key[64];

	buf_lit(out, "{");
	json_put_str(out, "ts", slice_str(e->ts));
	if (*e->host)
		json_put_str(out, "host", slice_str(e->host));
	json_put_str(out, "who", e->line.who);
	if (e->line.level.n)
		json_put_str(out, "lvl", e->line.level);
	json_put_str(out, "ev", e->line.event);
	json_key(out, "fields"); /* some of which are called like these */
	buf_lit(out, "{");
	while (logline_next(&rest, &k, &v)) {
		buf_clear(&value);
		logline_value(&value, v);
		json_put_str(out, slice_cstr(k, key, sizeof(key)), buf_get(&value));
	}
	buf_lit(out, "}}");
	buf_fini(&value);
}

static void
print_json_recipients(struct follow_outcomes *o, struct buf *out)
{
	struct follow_outcome *x;

	list_each(x, &o->list, struct follow_outcome, link)
	{
		buf_str(out, &x->link == o->list.next ? "{" : ",{");
		json_put_str(out, "to", slice_str(x->to));
		json_put_cstr(out, "state", follow_state_name(x->state));
		json_put_str(out, "text", slice_str(x->text));
		buf_lit(out, "}");
	}
}

/* What the message is, of the line that says it. */
static void
print_json_message(const struct follow_story *s, struct buf *out)
{
	static const char *const keys[] = { "from", "user", "peer", "msgid", "size" };
	struct buf value = { 0 };
	struct follow_event *e;

	list_each(e, &s->events, struct follow_event, link)
	{
		if (!slice_eq(e->line.event, S("queued")))
			continue;
		for (size_t i = 0; i < NELEM(keys); i++)
			if (logline_get(&e->line, keys[i], &value))
				json_put_str(out, keys[i], buf_get(&value));
		break;
	}
	buf_fini(&value);
}

void
print_story_json(const struct follow_story *s, struct buf *out)
{
	struct follow_outcomes o;
	struct follow_event *e;

	follow_outcomes_of(s, &o);
	buf_lit(out, "{");
	json_put_cstr(out, "is", s->session ? "session" : "message");
	json_put_str(out, "id", slice_str(s->id));
	json_put_cstr(out, "parent", s->parent);
	json_put_cstr(out, "sid", s->sid);
	if (!s->session)
		print_json_message(s, out);
	json_key(out, "recipients");
	buf_lit(out, "[");
	print_json_recipients(&o, out);
	buf_lit(out, "]");
	json_key(out, "events");
	buf_lit(out, "[");
	list_each(e, &s->events, struct follow_event, link)
	{
		if (&e->link != s->events.next)
			buf_char(out, ',');
		print_json_event(e, out);
	}
	buf_lit(out, "]}\n");
	follow_outcomes_fini(&o);
}
