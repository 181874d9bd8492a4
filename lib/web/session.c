/* web/session.c: see session.h. */
#include "web/session.h"

#include "base/random.h"
#include "base/secret.h"

#define SESSION_LABEL "tiermail session"
/* Clocks of hosts differ by so much at most, s. */
#define SESSION_SKEW 300

bool
web_session_account(struct slice account)
{
	for (size_t i = 0; i < account.n; i++)
		if ((unsigned char)account.p[i] < ' ' || account.p[i] == 0x7f)
			return false;
	return account.n > 0 && account.n <= WEB_SESSION_ACCOUNT && account.p[0] != ' ';
}

bool
web_session_begin(struct web_session *s, struct slice account, int64_t now)
{
	if (!web_session_account(account))
		return false;
	*s = (struct web_session){ .began = now, .seen = now };
	random_id(s->id);
	slice_cstr(account, s->account, sizeof(s->account));
	return true;
}

void
web_session_seal(const struct web_keys *k, const struct web_session *s, struct buf *b)
{
	struct buf text = { 0 };

	buf_printf(&text, "%c %lld %lld %s %s",
	    s->signed_on                ? '4' :
		s->coded                ? '3' :
		strchr(s->account, ' ') ? '2' :
					  '1',
	    (long long)s->began, (long long)s->seen, s->id, s->account);
	web_seal(k, SESSION_LABEL, buf_get(&text), b);
	buf_fini(&text);
}

static bool
session_number(struct slice *text, int64_t *v)
{
	struct slice word;
	uint64_t n;

	if (!slice_word(text, &word) || slice_u64(word, INT64_MAX, &n) < 0)
		return false;
	*v = (int64_t)n;
	return true;
}

static bool
session_parse(struct slice text, struct web_session *s)
{
	struct slice word, id;

	if (!slice_word(&text, &word) || word.n != 1 || word.p[0] < '1' || word.p[0] > '4' ||
	    !session_number(&text, &s->began) || !session_number(&text, &s->seen) ||
	    !slice_word(&text, &id) || !slice_starts(text, S(" ")))
		return false;
	text = slice_from(text, 1);
	s->signed_on = word.p[0] == '4';
	s->coded = word.p[0] >= '3';
	if (id.n != WEB_SESSION_ID || !web_session_account(text))
		return false;
	slice_cstr(id, s->id, sizeof(s->id));
	slice_cstr(text, s->account, sizeof(s->account));
	return true;
}

int64_t
web_session_left(const struct web_session *s, const struct web_session_rules *rules, int64_t now)
{
	int64_t idle = s->seen + rules->idle_s - now, life = s->began + rules->life_s - now;

	return idle < life ? idle : life;
}

bool
web_session_open(const struct web_keys *k, const struct web_session_rules *rules,
    struct slice token, int64_t now, struct web_session *s, bool *due)
{
	struct buf text = { 0 };
	bool old = false, good;

	good = web_open(k, SESSION_LABEL, token, &text, &old) && session_parse(buf_get(&text), s);
	buf_fini(&text);
	if (!good || s->began > now + SESSION_SKEW || web_session_left(s, rules, now) <= 0)
		return false;
	/* Often enough that nobody is logged out early by more than a twentieth of his time. */
	*due = old || now - s->seen > rules->idle_s / 20;
	return true;
}
