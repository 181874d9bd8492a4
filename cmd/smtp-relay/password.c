/* password.c: the second stage: the passwords of lists (mgrpAuthPassword), which stand in Approved fields.
 *
 * A list that was asked for and whose password is missing refuses the message, to all of its recipients: who
 * has sent it hears of it, and nobody has half of it.  A list in a list is left out, as one is that refuses
 * the sender.  Who brings a word that is none of those is answered late, as at a login, and counted with
 * those: nobody is to find one by trying.  Where a list with a password was met at RCPT, whatever has become
 * of that, no Approved field goes on, to anybody.
 * Called by message.c; nothing can fail.  Must stay true: no copy of the message has a password of a list. */
#include "base/log.h"
#include "expand/approved.h"
#include "login/delay.h"
#include "stage.h"

struct approved {
	struct slice word[EXPAND_WORDS];
	bool used[EXPAND_WORDS];
	size_t n, nused;
};

static bool
word_given(struct approved *a, struct slice word)
{
	bool given = false;

	for (size_t i = 0; i < a->n; i++) {
		if (!expand_word_same(a->word[i], word))
			continue;
		a->nused += !a->used[i];
		a->used[i] = given = true;
	}
	return given;
}

static void
words_take(struct session *s, struct slice fields)
{
	struct approved *a = arena_new(&s->smtp.arena, sizeof(*a));

	s->message->words = a;
	a->n = expand_words_take(fields, &s->smtp.arena, a->word);
}

/* ---- how late -------------------------------------------------------------------------------- */

/* The list's password was tried: what the last failure has left of its time, and no less after a right one. */
static void
password_pace(struct session *s, const char *list)
{
	struct message *m = s->message;
	uint64_t ms = m->words->n ? login_word_pace(&s->peer, list, config.auth_delay) : 0;

	if (ms > m->late_ms)
		m->late_ms = ms;
}

/* It is missing.  Who brings none has not guessed, nor has who brings those of other lists. */
static void
password_missing(struct session *s, const char *list)
{
	struct message *m = s->message;
	uint64_t ms;

	if (m->wrong || m->words->nused == m->words->n)
		return;
	m->wrong = true;
	s->auth_failed++;
	ms = login_word_failed(&s->peer, list, config.auth_delay);
	if (ms > m->late_ms)
		m->late_ms = ms;
}

/* ---- the look -------------------------------------------------------------------------------- */

/* Those who would get it by a list in the list are left out. */
static void
body_gone(struct session *s, unsigned body, const char *list)
{
	struct verdict v = verdict(OUT_GROUP_PASSWORD, list);
	size_t n = 0;

	for (size_t i = 0; i < s->nrcpts; i++)
		n += s->rcpts[i].body == body;
	if (n == 0)
		return;
	log_event(LOG_WARN, "list_left_out",
	    "sid=%s qid=%s list=%s rcpts=%zu verdict=%d.%d.%d text=%s", s->sid, s->qid,
	    log_str(list), n, v.kind, v.subject, v.detail, log_str(v.text));
}

/* At the end of the message: until then it says nothing of the password, in BDAT neither. */
static bool
refuse(struct session *s, const char *list)
{
	password_missing(s, list);
	s->message->refused = list;
	return false;
}

/* All words that are given, before any is told to be missing. */
static const char *
words_match(struct session *s)
{
	struct approved *a = s->message->words;
	const char *missing = NULL;

	for (size_t i = 0; i < s->nasked; i++) {
		password_pace(s, s->asked[i].list);
		if (!word_given(a, s->asked[i].word) && !missing)
			missing = s->asked[i].list;
	}
	for (unsigned i = 1; i < s->message->nbodies; i++) {
		const struct expand_edit *e = stage_edit(s, i);

		for (size_t k = 0; e && k < e->npasswords; k++) {
			if (e->passwords[k].needed)
				password_pace(s, e->passwords[k].list);
			(void)word_given(a, e->passwords[k].word);
		}
	}
	return missing;
}

/* The list for whose password the body is not to be had; or NULL. */
static const char *
body_missing(struct session *s, unsigned body)
{
	const struct expand_edit *e = stage_edit(s, body);

	for (size_t k = 0; e && k < e->npasswords; k++)
		if (e->passwords[k].needed && !word_given(s->message->words, e->passwords[k].word))
			return e->passwords[k].list;
	return NULL;
}

/* By which of its lists it gets the message: the first whose passwords are there. */
static void
roads_choose(struct session *s)
{
	const bool *gone = s->message->gone;

	for (size_t i = 0; i < s->nrcpts; i++) {
		unsigned body = s->rcpts[i].body, at = 1;

		if (!gone[body])
			continue;
		while (at < s->message->nbodies && (gone[at] || !(s->more[i].roads >> at & 1)))
			at++;
		if (at < s->message->nbodies)
			s->rcpts[i].body = at;
	}
}

static bool
password_look(struct session *s, struct slice fields)
{
	uint32_t most = s->smtp.policy->limits->rcpts;
	const char *missing, *of[QUEUE_BODIES] = { NULL };
	size_t left = 0;

	/* Those above the limit nobody was asked about. */
	s->approved_goes = s->approved_goes || (most && s->smtp.nrcpt >= most);
	if (!s->approved_goes)
		return true;
	words_take(s, fields);
	missing = words_match(s);
	if (missing)
		return refuse(s, missing);
	for (unsigned i = 1; i < s->message->nbodies; i++) {
		of[i] = body_missing(s, i);
		if (!of[i])
			continue;
		s->message->gone[i] = true;
		password_missing(s, missing = of[i]);
	}
	roads_choose(s);
	for (unsigned i = 1; i < s->message->nbodies; i++)
		if (of[i])
			body_gone(s, i, of[i]);
	for (size_t i = 0; i < s->nrcpts; i++)
		left += !s->message->gone[s->rcpts[i].body];
	return left || refuse(s, missing);
}

static bool
password_wants(const struct session *s, unsigned body)
{
	return s->approved_goes && !stage_whole(s, body);
}

static void
password_fields(struct session *s, unsigned body, struct slice fields, struct buf *out)
{
	(void)s;
	(void)body;
	expand_words_strip(fields, out);
}

const struct stage password_stage = { .look = password_look,
	.wants = password_wants,
	.fields = password_fields };
