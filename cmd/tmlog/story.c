/* tmlog/story.c: messages and sessions that were asked for, and the lines of the log that tell of them.
 *
 * Owns them.  Called by main.c for each line of the logs, once to find what is meant and then until nothing new is
 * found: a report, or a piece of a list, is a message of its own whose lines may stand anywhere, on any host.
 * Must stay true: no more than STORY_SEEN ids while looking, story_most stories and TMLOG_BYTES of their lines
 * are in memory, however large the logs are; what had no room is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "tmlog.h"

#define STORY_SEEN 100000 /* ids that fit a condition; 150 octets each */

struct list stories = { &stories, &stories };
size_t story_most = 1000;

static struct map by_id;  /* of stories */
static struct map by_sid; /* of sessions that brought messages: the first message's story */
static struct arena kept; /* lines */
static struct buf value;
static size_t nstories;
static bool grew, too_many, too_long;

void
story_init(void)
{
	list_init(&stories);
}

/* ---- stories ------------------------------------------------------------------------------------------------ */

static struct story *
story_find(struct slice id)
{
	return id.n ? map_get(&by_id, id) : NULL;
}

static void
story_free(struct story *s)
{
	(void)map_take(&by_id, slice_str(s->id));
	if (s->sid && map_get(&by_sid, slice_str(s->sid)) == s)
		(void)map_take(&by_sid, slice_str(s->sid));
	list_remove(&s->link);
	nstories--;
	mem_free(&s->id);
	mem_free(&s->sid);
	mem_free(&s->parent);
	mem_free(&s);
}

static struct story *
story_get(struct slice id, bool session, size_t most)
{
	struct story *s = story_find(id);

	if (s || id.n == 0)
		return s;
	if (nstories >= most) {
		too_many = true;
		return NULL;
	}
	s = mem_new(sizeof(*s));
	s->id = mem_strn(id.p, id.n);
	s->session = session;
	list_init(&s->events);
	list_push(&stories, &s->link);
	(void)map_put(&by_id, slice_str(s->id), s);
	nstories++;
	grew = true;
	return s;
}

/* ---- looking ------------------------------------------------------------------------------------------------- */

static bool
story_may_tell(struct slice text)
{
	return slice_find_str(text, S("qid=")) < text.n || slice_find_str(text, S("sid=")) < text.n;
}

void
story_look(const struct source_line *line)
{
	struct story *s;
	struct logline l;
	bool session, has_qid;
	unsigned fits;

	if (!story_may_tell(line->text) || !logline_parse(line->text, &l) || !query_in_time(&l) ||
	    !(fits = query_fits(&l, &session)))
		return;
	has_qid = logline_get(&l, "qid", &value) && value.n;
	if (has_qid && (s = story_get(buf_get(&value), false, STORY_SEEN)))
		s->fits |= fits;
	if (session && !has_qid && logline_get(&l, "sid", &value) &&
	    (s = story_get(buf_get(&value), true, STORY_SEEN)))
		s->fits |= fits;
}

void
story_looked(void)
{
	struct story *s;
	size_t n = 0;

	list_each(s, &stories, struct story, link)
	{
		if (s->fits == query_all() && n < story_most) {
			n++;
			continue;
		}
		too_many |= s->fits == query_all();
		story_free(s);
	}
}

/* ---- lines ---------------------------------------------------------------------------------------------------- */

void
story_again(void)
{
	struct story *s;

	grew = false;
	list_each(s, &stories, struct story, link)
	{
		list_init(&s->events);
		s->nevents = 0;
	}
	arena_reset(&kept);
}

bool
story_grew(void)
{
	return grew;
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
story_put(struct story *s, const struct source_line *line, const struct logline *l)
{
	struct event *e;
	struct slice text;

	if (kept.total + line->text.n > TMLOG_BYTES) {
		too_long = true;
		return;
	}
	e = arena_new(&kept, sizeof(*e));
	text = arena_slice(&kept, line->text);
	if (!logline_parse(text, &e->line))
		return;
	e->host = arena_cstr(&kept, *line->host ? slice_str(line->host) : l->host);
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
story_child(const struct logline *l)
{
	static const char queued_as[] = "queued as ";

	if (slice_eq(l->event, S("expand_piece")))
		return logline_get(l, "as", &value) && value.n;
	if (!slice_eq(l->event, S("report")) || !logline_get(l, "text", &value) ||
	    !slice_starts(buf_get(&value), slice_str(queued_as)))
		return false;
	buf_cut(&value, strlen(queued_as));
	value.n = slice_find(buf_get(&value), ' ');
	return value.n > 0;
}

/* A message is known, or the one that came of it is: then both are told of. */
static void
story_relate(const struct logline *l, struct slice qid)
{
	struct story *s = story_find(qid), *child;

	if (!story_child(l))
		return;
	child = story_find(buf_get(&value));
	if (!s && !child)
		return;
	if (!s)
		s = story_get(qid, false, story_most);
	if (!child)
		child = story_get(buf_get(&value), false, story_most);
	if (s && child && !child->parent)
		child->parent = mem_str(s->id);
}

/* Who has brought it: his session's lines are in front of the message's. */
static void
story_brought(struct story *s, const struct logline *l)
{
	if (s->sid || !slice_eq(l->event, S("queued")) || !logline_get(l, "sid", &value))
		return;
	s->sid = mem_strn(value.p, value.n);
	if (!map_get(&by_sid, slice_str(s->sid))) {
		(void)map_put(&by_sid, slice_str(s->sid), s);
		grew = true;
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
story_take(const struct source_line *line)
{
	struct logline l;
	struct story *s;

	if (!story_may_tell(line->text) || !logline_parse(line->text, &l))
		return;
	if (logline_get(&l, "qid", &value) && value.n) {
		char id[64];

		slice_cstr(buf_get(&value), id, sizeof(id));
		story_relate(&l, slice_str(id));
		if (!(s = story_find(slice_str(id))))
			return;
		story_put(s, line, &l);
		story_brought(s, &l);
	} else if (logline_get(&l, "sid", &value)) {
		if ((s = story_find(buf_get(&value))) && s->session)
			story_put(s, line, &l);
		if (story_is_about_session(&l) && (s = map_get(&by_sid, buf_get(&value))))
			story_put(s, line, &l);
	}
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

static int
story_by_time(const void *a, const void *b)
{
	const struct event *x = *(struct event *const *)a, *y = *(struct event *const *)b;
	int rc = strcmp(x->ts, y->ts);

	return rc ? rc : x->at < y->at ? -1 : x->at > y->at;
}

void
story_sort(void)
{
	struct story *s;

	list_each(s, &stories, struct story, link)
	{
		struct event **all = mem_array(s->nevents + 1, sizeof(struct event *)), *e;
		size_t n = 0;

		while ((e = list_first(&s->events, struct event, link))) {
			list_remove(&e->link);
			all[n++] = e;
		}
		qsort(all, n, sizeof(struct event *), story_by_time);
		for (size_t i = 0; i < n; i++)
			list_push(&s->events, &all[i]->link);
		mem_free(&all);
	}
}

const char *
story_missing(void)
{
	static char text[200];

	if (too_long)
		(void)snprintf(text, sizeof(text),
		    "their lines are more than %d MiB: the rest is left out",
		    TMLOG_BYTES / 1024 / 1024);
	else if (too_many)
		(void)snprintf(text, sizeof(text),
		    "there are more than these %zu; -m tells of more", nstories);
	else
		return NULL;
	return text;
}

void
story_fini(void)
{
	struct story *s;

	while ((s = list_first(&stories, struct story, link)))
		story_free(s);
	map_fini(&by_id);
	map_fini(&by_sid);
	arena_reset(&kept);
	buf_fini(&value);
}
