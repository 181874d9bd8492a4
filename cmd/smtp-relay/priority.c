/* priority.c: how soon a message is to go (MT-PRIORITY, RFC 6710; the field Priority).
 *
 * Called by session.c and message.c.  The sender asks with a number from -9 to 9; what it is here stands in the
 * queue file, for the next host, and as urgent, normal or non-urgent for jobctl.  Nothing fails: who may not ask for
 * more than others has a message like theirs, and is told so with the last answer.  Must stay true: nobody gets
 * before others by asking alone, and to stand back is everybody's right. */
#include "mail/header.h"
#include "mail/token.h"
#include "relay.h"

/* Programs of the suite say what a user has said to another of them. */
static bool
priority_allowed(struct session *s)
{
	const char *account = release_account(s);

	if (s->ours)
		return true;
	for (char **u = config.priority_users; u && *u; u++)
		if (account &&
		    (strcmp(*u, "*") == 0 || slice_ieq(slice_str(*u), slice_str(account))))
			return true;
	return false;
}

/* No profile is named: MIXER's is what is meant then (RFC 6710 9.1), and its three are what there is here. */
void
priority_keywords(struct session *s, struct buf *text)
{
	s->smtp.may_priority = config.priority_offer;
	if (s->smtp.may_priority)
		buf_lit(text, "MT-PRIORITY\n");
}

void
priority_judge(struct session *s, const struct smtp_mail *mail)
{
	s->priority = mail->priority;
	if (s->priority > 0 && !priority_allowed(s))
		s->priority = 0;
	s->priority_lowered = s->priority != mail->priority;
}

/* What the header says (RFC 2156, 5.3.6; Sun's MTA obeys it), where the envelope has not spoken. */
static enum qprio
priority_field(struct session *s, struct slice fields)
{
	struct header_field f;
	struct slice value, word;

	if (!config.priority_header || s->smtp.mail.has_priority ||
	    !header_find(fields, S("Priority"), &f))
		return QPRIO_NORMAL;
	value = f.value;
	word = token_take(&value);
	token_skip(&value);
	if (value.n == 0 && slice_ieq(word, S("non-urgent")))
		return QPRIO_NONURGENT;
	return value.n == 0 && slice_ieq(word, S("urgent")) && priority_allowed(s) ? QPRIO_URGENT :
										     QPRIO_NORMAL;
}

enum qprio
priority_queue(struct session *s, struct slice fields)
{
	if (s->priority == 0)
		return priority_field(s, fields);
	return s->priority > 0 ? QPRIO_URGENT : QPRIO_NONURGENT;
}
