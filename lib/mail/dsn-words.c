/* mail/dsn-words.c: the texts of reports: built in, read from files, and which of them somebody likes best.
 *
 * Called by channel-master, which reads the files and composes reports, and by mail/dsn.c.  What fails is a file of
 * the administrator's, told with its line.  Must stay true: a language is whole or not there, so that nobody reads
 * half a report; and what a stranger's header asks for costs a bounded number of comparisons. */
#include <errno.h>
#include <string.h>
#include "base/utf8.h"
#include "mail/dsn-words.h"

#define LIST_MOST 32   /* languages of one list */
#define TEXT_MOST 1000 /* octets of a text */

const struct dsn_words dsn_words_english = { "en",
	{ "Undelivered mail returned to sender", "Delayed mail (still being tried)",
	    "Mail was delivered", "Mail was relayed", "Mail was expanded",
	    "Your message could not be delivered to the following recipients. "
	    "No further attempts will be made.",
	    "Your message could not be delivered yet to the following recipients. "
	    "There is nothing for you to do: further attempts are made.",
	    "Your message was delivered to the following recipients, as you asked "
	    "to be told.",
	    "Your message was handed to another mail system for the following "
	    "recipients. It does not confirm deliveries, so you will hear of it again only "
	    "if that fails.",
	    "Your message was handed on to the members of the following lists.",
	    "Mail Delivery System", "This is the mail system of %{host}.",
	    "%{server} said:", "(no reason given)", "Attempts go on until %{time}.",
	    "Your message is attached.", "The header of your message is attached." } };

const struct dsn_words dsn_words_german = { "de",
	{ "Nachricht nicht zugestellt", "Nachricht versp\303\244tet (wird weiter versucht)",
	    "Nachricht zugestellt", "Nachricht weitergegeben", "Nachricht verteilt",
	    "Ihre Nachricht konnte den folgenden Empf\303\244ngern nicht zugestellt werden. "
	    "Weitere Versuche gibt es nicht.",
	    "Ihre Nachricht konnte den folgenden Empf\303\244ngern noch nicht zugestellt werden. "
	    "Sie brauchen nichts zu tun: Es wird weiter versucht.",
	    "Ihre Nachricht wurde den folgenden Empf\303\244ngern zugestellt. Sie wollten das "
	    "wissen.",
	    "Ihre Nachricht wurde f\303\274r die folgenden Empf\303\244nger an ein anderes "
	    "Mailsystem weitergegeben. Es best\303\244tigt Zustellungen nicht; Sie h\303\266ren "
	    "nur dann wieder davon, wenn sie scheitert.",
	    "Ihre Nachricht wurde an die Mitglieder der folgenden Listen verteilt.",
	    "Mailzustellung", "Dies ist das Mailsystem von %{host}.",
	    "%{server} antwortete:", "(kein Grund genannt)", "Versucht wird es bis %{time}.",
	    "Ihre Nachricht ist angeh\303\244ngt.",
	    "Der Kopf Ihrer Nachricht ist angeh\303\244ngt." } };

/* ---- files --------------------------------------------------------------------------------- */

/* The names of the texts in a file, and the placeholder that each may have. */
static const struct {
	const char *name, *place;
} texts[DSN_WORDS] = {
	{ "subject.failed", NULL },
	{ "subject.delayed", NULL },
	{ "subject.delivered", NULL },
	{ "subject.relayed", NULL },
	{ "subject.expanded", NULL },
	{ "text.failed", NULL },
	{ "text.delayed", NULL },
	{ "text.delivered", NULL },
	{ "text.relayed", NULL },
	{ "text.expanded", NULL },
	{ "from", NULL },
	{ "greeting", "host" },
	{ "said", "server" },
	{ "silent", NULL },
	{ "until", "time" },
	{ "whole", NULL },
	{ "header", NULL },
};

bool
dsn_words_tag_ok(struct slice tag)
{
	for (size_t i = 0; i < tag.n; i++)
		if (!(tag.p[i] >= 'a' && tag.p[i] <= 'z') &&
		    !(i > 0 && (tag.p[i] == '-' || (tag.p[i] >= '0' && tag.p[i] <= '9'))))
			return false;
	return tag.n >= 2 && tag.n <= 35 && tag.p[tag.n - 1] != '-';
}

/* What is wrong with a text, or NULL. */
static const char *
words_wrong(struct slice text, const char *place, struct arena *a)
{
	if (text.n == 0)
		return "a text is missing";
	if (text.n > TEXT_MOST)
		return arena_printf(a, "a text has more than %d octets", TEXT_MOST);
	for (struct slice rest = text; rest.n;) {
		int32_t cp = utf8_next(&rest);

		if (cp < ' ' || cp == 127)
			return "a text is not UTF-8, or has control characters";
	}
	for (size_t i = 0; i + 1 < text.n; i++) {
		struct slice name = slice_from(text, i + 2);
		size_t n = slice_find(name, '}');

		if (text.p[i] != '%' || text.p[i + 1] != '{')
			continue;
		if (n == name.n)
			return "%{ without }";
		if (!place || !slice_eq(slice(name.p, n), slice_str(place)))
			return arena_printf(a, "unknown placeholder %%{" SFMT "}%s%s%s",
			    SARG(slice(name.p, n)), place ? " (known: %{" : " (none is known here)",
			    place ? place : "", place ? "})" : "");
	}
	return NULL;
}

static int
words_name(struct slice name)
{
	for (int i = 0; i < DSN_WORDS; i++)
		if (slice_eq(name, slice_str(texts[i].name)))
			return i;
	return -1;
}

/* Takes a line with those that go on with it: white space between them is one blank. */
static struct slice
words_line(struct slice *rest, unsigned *line, struct arena *a)
{
	struct slice one, all = { 0 };

	while (slice_cut(rest, '\n', &one)) {
		++*line;
		one = slice_trim(one);
		all = all.n == 0 ? one :
				   slice_str(arena_printf(a, SFMT " " SFMT, SARG(all), SARG(one)));
		if (rest->n == 0 || (rest->p[0] != ' ' && rest->p[0] != '\t') || all.n == 0 ||
		    all.p[0] == '#' || all.n > 2 * TEXT_MOST)
			break;
	}
	return all;
}

int
dsn_words_parse(struct slice file, const char *language, struct arena *a, struct dsn_words *w,
    unsigned *line, const char **why)
{
	struct slice rest = file;
	unsigned end = 0;

	*w = (struct dsn_words){ .language = arena_cstr(a, slice_str(language)) };
	*line = 1;
	if (file.n && memchr(file.p, '\0', file.n)) {
		*why = "this is no text";
		return -EBADMSG;
	}
	while (rest.n) {
		struct slice all, name;
		int at;

		*line = end + 1;
		all = words_line(&rest, &end, a);
		if (all.n == 0 || all.p[0] == '#')
			continue;
		if (slice_find(all, '=') == all.n) {
			*why = "not a line `name = text`";
			return -EBADMSG;
		}
		name = slice_trim(slice(all.p, slice_find(all, '=')));
		all = slice_trim(slice_from(all, slice_find(all, '=') + 1));
		if ((at = words_name(name)) < 0) {
			*why = arena_printf(a, "unknown text " SFMT, SARG(name));
			return -EBADMSG;
		}
		*why = w->text[at] ? "this text is there already" :
				     words_wrong(all, texts[at].place, a);
		if (*why)
			return -EBADMSG;
		w->text[at] = arena_cstr(a, all);
	}
	*line = end ? end : 1;
	for (int i = 0; i < DSN_WORDS; i++)
		if (!w->text[i]) {
			*why = arena_printf(a, "the text %s is missing", texts[i].name);
			return -EBADMSG;
		}
	return 0;
}

/* ---- who likes what -------------------------------------------------------------------------- */

/* Thousandths of `q=0.8`; 1000 where nothing is said or it makes no sense. */
static unsigned
words_weight(struct slice params)
{
	struct slice p;
	unsigned q = 0, unit = 100;

	while (slice_cut(&params, ';', &p)) {
		p = slice_trim(p);
		if (p.n < 3 || (p.p[0] | 32) != 'q' || p.p[1] != '=' ||
		    (p.p[2] != '0' && p.p[2] != '1'))
			continue;
		if (p.p[2] == '1')
			return 1000;
		for (size_t i = 4; i < p.n && i < 7 && p.p[i] >= '0' && p.p[i] <= '9'; i++) {
			q += (unsigned)(p.p[i] - '0') * unit;
			unit /= 10;
		}
		return q;
	}
	return 1000;
}

static bool
words_begins(struct slice longer, struct slice tag)
{
	return longer.n >= tag.n && slice_ieq(slice(longer.p, tag.n), tag) &&
	    (longer.n == tag.n || longer.p[tag.n] == '-');
}

/* How well a language is what the tag asks for: its own, longer than it, or shorter. */
static const struct dsn_words *
words_find(const struct dsn_words *const *known, size_t n, struct slice tag)
{
	const struct dsn_words *best = NULL;
	size_t most = 0;

	for (size_t i = 0; i < n; i++) {
		struct slice is = slice_str(known[i]->language);
		size_t fits = slice_ieq(is, tag) ? SIZE_MAX :
		    words_begins(tag, is)        ? is.n + 1 :
		    words_begins(is, tag)        ? 1 :
						   0;

		if (fits > most) {
			most = fits;
			best = known[i];
		}
	}
	return best;
}

const struct dsn_words *
dsn_words_choose(const struct dsn_words *const *known, size_t n, struct slice list)
{
	const struct dsn_words *best = NULL;
	unsigned most = 0;
	struct slice one;

	for (int i = 0; i < LIST_MOST && slice_cut(&list, ',', &one); i++) {
		size_t end = slice_find(one, ';');
		struct slice tag = slice_trim(slice(one.p, end));
		const struct dsn_words *w = tag.n && tag.n < 64 ? words_find(known, n, tag) : NULL;
		unsigned q = words_weight(slice_from(one, end < one.n ? end + 1 : one.n));

		if (w && q > most) {
			most = q;
			best = w;
		}
	}
	return best;
}
