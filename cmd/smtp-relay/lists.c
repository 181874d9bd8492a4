/* lists.c: the stage that does to the message what a list makes of it for its members (expand/text.h).
 *
 * Called by message.c; what cannot be done is left out and told, and the message goes on. */
#include "base/log.h"
#include "expand/text.h"
#include "stage.h"

static bool
list_wants(const struct session *s, unsigned body)
{
	return stage_edit(s, body) && !s->message->gone[body];
}

/* How each list's text comes to its members. */
static bool
list_look(struct session *s, struct slice fields)
{
	struct message *m = s->message;
	struct arena *a = &s->smtp.arena;
	struct expand_content c;
	const char *why;

	for (unsigned i = 1; i < m->nbodies; i++) {
		const struct expand_edit *e = stage_edit(s, i);

		if (!e || e->prefix.n + e->suffix.n == 0 || m->gone[i])
			continue;
		if (!m->text) {
			m->text = arena_array(a, m->nbodies, sizeof(struct expand_text *));
			c = expand_content_look(fields, a);
		}
		m->text[i] = expand_text_new(a, e, &c, &why);
		m->eightbit = m->eightbit || expand_text_eightbit(m->text[i]);
		if (why)
			log_event(LOG_INFO, "list_text", "sid=%s qid=%s list=%s why=%s", s->sid,
			    s->qid, log_str(e->list), log_str(why));
	}
	return true;
}

static struct expand_text *
list_text(const struct session *s, unsigned body)
{
	return s->message->text ? s->message->text[body] : NULL;
}

static void
list_fields(struct session *s, unsigned body, struct slice fields, struct buf *out)
{
	expand_text_fields(stage_edit(s, body), list_text(s, body), fields, &s->smtp.arena, out);
}

static void
list_begin(struct session *s, unsigned body, struct buf *out)
{
	expand_text_begin(list_text(s, body), out);
}

static void
list_end(struct session *s, unsigned body, struct buf *out)
{
	expand_text_end(list_text(s, body), s->message->end, out);
}

const struct stage list_stage = { .look = list_look,
	.wants = list_wants,
	.fields = list_fields,
	.begin = list_begin,
	.end = list_end };
