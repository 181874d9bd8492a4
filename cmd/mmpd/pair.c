/* mmpd/pair.c: client and store joined: the pump, and how it ends.
 *
 * Owns both streams of a session from the login on, through net/splice.  Called by reach.c and, for ends that
 * the daemon wants, by session.c.  Can fail: either side.  Must stay true: nothing is parsed; what we say
 * ourselves to an IMAP client is an untagged BYE behind a whole line, and only when the store has not said
 * one: looked for in its last piece alone, so that bulk costs nothing. */
#include <errno.h>

#include "base/log.h"
#include "mmpd.h"

/* A piece that may be a store's last words. */
#define LAST_WORDS 512
/* Who does not read for so long is gone: what IMAP servers give a silent client, and more than POP3's. */
#define STALL_MS (30 * 60 * 1000)
/* A pair in which no octet has moved for so long is at rest. */
#define REST_MS 1000
/* ... of submission: any answer may be that to the command before, while a message is being taken. */
#define REST_SUBMISSION_MS 10000

enum { CLIENT, STORE };

static struct mmpd_session *
mmpd_pair_of(struct splice *p)
{
	return CAST(CONTAINER(p, struct mmpd_session, pair), struct mmpd_session,
	    MMPD_SESSION_MAGIC);
}

/* Between the login's answer and the pump nothing may come; mmpd_pair_start follows in the same turn. */
const struct stream_events mmpd_pair_streams = { 0 };

/* A relay's last words are the last line; what stands in front of it may be anything. */
static bool
mmpd_pair_is_bye(const struct mmpd_session *s, struct slice bytes)
{
	struct slice line = S("");

	if (s->role == MMPD_IMAP)
		return slice_find_str(bytes, S("* BYE")) < bytes.n;
	while (slice_cut(&bytes, '\n', &line))
		continue;
	if (s->role == MMPD_SIEVE)
		return slice_istarts(line, S("BYE"));
	return slice_starts(line, S("421")) || slice_starts(line, S("221"));
}

static void
mmpd_pair_passing(struct splice *p, int from, struct slice bytes)
{
	struct mmpd_session *s = mmpd_pair_of(p);

	s->asked = from == CLIENT;
	if (from == CLIENT)
		return;
	s->last = bytes.p[bytes.n - 1];
	s->said_bye = bytes.n <= LAST_WORDS && mmpd_pair_is_bye(s, bytes);
}

static void
mmpd_pair_say_bye(struct mmpd_session *s, const char *words)
{
	if (s->role == MMPD_POP3 || s->last != '\n' || s->said_bye)
		return;
	buf_printf(stream_out(s->pair.io[CLIENT]),
	    s->role == MMPD_IMAP      ? "* BYE %s\r\n" :
		s->role == MMPD_SIEVE ? "BYE (TRYLATER) \"%s\"\r\n" :
					"421 4.3.2 %s\r\n",
	    words);
}

static void
mmpd_pair_ended(struct splice *p, int from, int error)
{
	struct mmpd_session *s = mmpd_pair_of(p);
	/* POP3 has no last words of its own accord, nor has ManageSieve behind LOGOUT. */
	bool wordless = s->role == MMPD_POP3 || s->role == MMPD_SIEVE;

	log_context(s->sid);
	if (!s->why && from == CLIENT)
		s->why = error == -ETIMEDOUT ? "timeout" : error ? "error" : "eof";
	else if (!s->why)
		s->why = error || (!wordless && !s->said_bye) ? "store_lost" : "store";
	if (from == STORE && (error || !wordless))
		mmpd_pair_say_bye(s,
		    s->role == MMPD_IMAP ?
			"[UNAVAILABLE] Your mailbox's server has gone away; come again" :
			"The mail server has gone away; come again");
}

static void
mmpd_pair_closed(struct splice *p)
{
	struct mmpd_session *s = mmpd_pair_of(p);

	log_context(s->sid);
	mmpd.npairs--;
	metric_add(M_PAIRS, -1);
	mmpd_session_left(s, s->why);
	s->handles = 1;
	mmpd_session_unref(s);
	log_context("");
}

static const struct splice_events pair_events = {
	.passing = mmpd_pair_passing,
	.ended = mmpd_pair_ended,
	.closed = mmpd_pair_closed,
};

void
mmpd_pair_start(struct mmpd_session *s)
{
	s->joined = true;
	s->last = '\n';
	mmpd.npairs++;
	metric_add(M_PAIRS, 1);
	splice_start(&s->pair, &mmpd_line(s)->io, &s->store, STALL_MS, &pair_events);
}

bool
mmpd_pair_end(struct mmpd_session *s, const char *why, const char *words, bool now)
{
	bool mail = s->role == MMPD_SUBMISSION;

	if (s->pair.over)
		return false;
	/* A relay that is asked may be taking a message: who is not told sends it twice. */
	if (!now &&
	    ((mail && (s->asked || s->last != '\n')) || !splice_at_rest(&s->pair) ||
		loop_now(mmpd.loop) - splice_moved_ms(&s->pair) <
		    (mail ? REST_SUBMISSION_MS : REST_MS)))
		return false;
	log_context(s->sid);
	s->why = why;
	if (splice_at_rest(&s->pair))
		mmpd_pair_say_bye(s, words);
	splice_finish(&s->pair);
	return true;
}
