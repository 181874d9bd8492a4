/* follow/story.c: messages and sessions that were asked for, and the lines of the log that tell of them.
 *
 * Owns them.  Called by follow.c for each line of the logs, once to find what is meant and then until nothing new is
 * found: a report, or a piece of a list, is a message of its own whose lines may stand anywhere, on any host.
 * Must stay true: no more than STORY_SEEN ids while looking, `most` stories and FOLLOW_BYTES of their lines
 * are in memory, however large the logs are; what had no room is told. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "follow/follow-impl.h"

#define STORY_SEEN 100000 /* ids that fit a condition; 150 octets each */

/* ---- stories ------------------------------------------------------------------------------------------------ */

static struct follow_story *
story_find(const struct follow *f, struct slice id)
{
	return id.n ? map_get(&f->by_id, id) : NULL;
}

static void
story_free(struct follow *f, struct follow_story *s)
{
	(void)map_take(&f->by_id, slice_str(s->id));
	if (s->sid && map_get(&f->by_sid, slice_str(s->sid)) == s)
		(void)map_take(&f->by_sid, slice_str(s->sid));
	list_remove(&s->link);
	f->nstories--;
	mem_free(&s->id);
	mem_free(&s->sid);
	mem_free(&s->parent);
	mem_free(&s);
}

static struct follow_story *
story_get(struct follow *f, struct slice id, bool session, size_t most)
{
	struct follow_story *s = story_find(f, id);

	if (s || id.n == 0)
		return s;
	if (f->nstories >= most) {
		f->too_many = true;
		return NULL;
	}
	s = mem_new(sizeof(*s));
	s->id = mem_strn(id.p, id.n);
	s->session = session;
	list_init(&s->events);
	list_push(&f->stories, &s->link);
	(void)map_put(&f->by_id, slice_str(s->id), s);
	f->nstories++;
	f->grew = true;
	return s;
}

/* ---- looking ------------------------------------------------------------------------------------------------- */

static bool
story_may_tell(struct slice text)
{
	return slice_find_str(text, S("qid=")) < text.n || slice_find_str(text, S("sid=")) < text.n;
}

void
follow_look(struct follow *f, const struct follow_line *line)
{
	struct follow_story *s;
	struct logline l;
	bool session, has_qid;
	unsigned fits;

	if (!story_may_tell(line->text) || !logline_parse(line->text, &l) ||
	    !follow_in_time(f, &l) || !(fits = follow_fits(f, &l, &session)))
		return;
	has_qid = logline_get(&l, "qid", &f->value) && f->value.n;
	if (has_qid && (s = story_get(f, buf_get(&f->value), false, STORY_SEEN)))
		s->fits |= fits;
	if (session && !has_qid && logline_get(&l, "sid", &f->value) &&
	    (s = story_get(f, buf_get(&f->value), true, STORY_SEEN)))
		s->fits |= fits;
}

void
follow_looked(struct follow *f)
{
	struct follow_story *s;
	size_t n = 0;

	list_each(s, &f->stories, struct follow_story, link)
	{
		if (s->fits == follow_all(f) && n < f->most) {
			n++;
			continue;
		}
		f->too_many |= s->fits == follow_all(f);
		story_free(f, s);
	}
}

/* ---- lines ---------------------------------------------------------------------------------------------------- */

void
follow_again(struct follow *f)
{
	struct follow_story *s;

	f->grew = false;
	list_each(s, &f->stories, struct follow_story, link)
	{
		list_init(&s->events);
		s->nevents = 0;
	}
	arena_reset(&f->kept);
}

/* "Nov 30 08:20:01" of a carrier has no year: the last one in which that was not tomorrow. */
static void
story_classic(struct slice ts, char *to, size_t n)
{
	time_t now = time(NULL);
	struct tm tm = { .tm_sec = 0 }, today;
	char text[32];

	slice_cstr(ts, text, sizeof(text));
	(void)gmtime_r(&now, &today);
	if (!strptime(text, "%b %d %H:%M:%S", &tm)) {
		slice_cstr(ts, to, n);
		return;
	}
	tm.tm_year = today.tm_year;
	if (timegm(&tm) > now + 86400)
		tm.tm_year--;
	(void)strftime(to, n, "%Y-%m-%dT%H:%M:%S", &tm);
}

static void
story_put(struct follow *f, struct follow_story *s, const struct follow_line *line,
    const struct logline *l)
{
	struct follow_event *e;
	struct slice text;

	if (f->kept.total + line->text.n > FOLLOW_BYTES) {
		f->too_long = true;
		return;
	}
	e = arena_new(&f->kept, sizeof(*e));
	text = arena_slice(&f->kept, line->text);
	if (!logline_parse(text, &e->line))
		return;
	e->host = arena_cstr(&f->kept, *line->host ? slice_str(line->host) : l->host);
	e->at = line->at;
	if (l->ts.n && l->ts.p[0] >= 'A')
		story_classic(l->ts, e->ts, sizeof(e->ts));
	else
		slice_cstr(l->ts, e->ts, sizeof(e->ts));
	list_push(&s->events, &e->link);
	s->nevents++;
}

/* The id of the message that came of this one: a report, a piece of a list's members.  Into `value`. */
static bool
story_child(struct follow *f, const struct logline *l)
{
	static const char queued_as[] = "queued as ";

	if (slice_eq(l->event, S("expand_piece")))
		return logline_get(l, "as", &f->value) && f->value.n;
	if (!slice_eq(l->event, S("report")) || !logline_get(l, "text", &f->value) ||
	    !slice_starts(buf_get(&f->value), slice_str(queued_as)))
		return false;
	buf_cut(&f->value, strlen(queued_as));
	f->value.n = slice_find(buf_get(&f->value), ' ');
	return f->value.n > 0;
}

/* A message is known, or the one that came of it is: then both are told of. */
static void
story_relate(struct follow *f, const struct logline *l, struct slice qid)
{
	struct follow_story *s = story_find(f, qid), *child;

	if (!story_child(f, l))
		return;
	child = story_find(f, buf_get(&f->value));
	if (!s && !child)
		return;
	if (!s)
		s = story_get(f, qid, false, f->most);
	if (!child)
		child = story_get(f, buf_get(&f->value), false, f->most);
	if (s && child && !child->parent)
		child->parent = mem_str(s->id);
}

/* Who has brought it: his session's lines are in front of the message's. */
static void
story_brought(struct follow *f, struct follow_story *s, const struct logline *l)
{
	if (s->sid || !slice_eq(l->event, S("queued")) || !logline_get(l, "sid", &f->value))
		return;
	s->sid = mem_strn(f->value.p, f->value.n);
	if (!map_get(&f->by_sid, slice_str(s->sid))) {
		(void)map_put(&f->by_sid, slice_str(s->sid), s);
		f->grew = true;
	}
}

static bool
story_is_about_session(const struct logline *l)
{
	static const char *const events[] = { "connect", "tls", "auth", "proxied", "proxy",
		"helo" };

	for (size_t i = 0; i < NELEM(events); i++)
		if (slice_eq(l->event, slice_str(events[i])))
			return true;
	return false;
}

void
follow_take(struct follow *f, const struct follow_line *line)
{
	struct logline l;
	struct follow_story *s;

	if (!story_may_tell(line->text) || !logline_parse(line->text, &l))
		return;
	if (logline_get(&l, "qid", &f->value) && f->value.n) {
		char id[64];

		slice_cstr(buf_get(&f->value), id, sizeof(id));
		story_relate(f, &l, slice_str(id));
		if (!(s = story_find(f, slice_str(id))))
			return;
		story_put(f, s, line, &l);
		story_brought(f, s, &l);
	} else if (logline_get(&l, "sid", &f->value)) {
		if ((s = story_find(f, buf_get(&f->value))) && s->session)
			story_put(f, s, line, &l);
		if (story_is_about_session(&l) && (s = map_get(&f->by_sid, buf_get(&f->value))))
			story_put(f, s, line, &l);
	}
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

static int
story_by_time(const void *a, const void *b)
{
	const struct follow_event *x = *(struct follow_event *const *)a,
				  *y = *(struct follow_event *const *)b;
	int rc = strcmp(x->ts, y->ts);

	return rc ? rc : x->at < y->at ? -1 : x->at > y->at;
}

void
follow_sort(struct follow *f)
{
	struct follow_story *s;

	list_each(s, &f->stories, struct follow_story, link)
	{
		struct follow_event **all = mem_array(s->nevents + 1, sizeof(*all)), *e;
		size_t n = 0;

		while ((e = list_first(&s->events, struct follow_event, link))) {
			list_remove(&e->link);
			all[n++] = e;
		}
		qsort(all, n, sizeof(*all), story_by_time);
		for (size_t i = 0; i < n; i++)
			list_push(&s->events, &all[i]->link);
		mem_free(&all);
	}
}

const char *
follow_missing(struct follow *f)
{
	buf_clear(&f->value);
	if (f->late)
		buf_str(&f->value, "the logs were not read to their end: it took too long");
	else if (f->too_long)
		buf_printf(&f->value, "their lines are more than %d MiB: the rest is left out",
		    FOLLOW_BYTES / 1024 / 1024);
	else if (f->too_many)
		buf_printf(&f->value, "there are more than these %zu", f->nstories);
	else
		return NULL;
	buf_char(&f->value, '\0');
	return f->value.p;
}

void
follow_stories_fini(struct follow *f)
{
	struct follow_story *s;

	while ((s = list_first(&f->stories, struct follow_story, link)))
		story_free(f, s);
	map_fini(&f->by_id);
	map_fini(&f->by_sid);
	arena_reset(&f->kept);
}
