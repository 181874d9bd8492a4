/* sieved/script.c: what is done with a person's scripts: RFC 5804 2.5 to 2.12.
 *
 *	PUTSCRIPT, CHECKSCRIPT -> compiled on a thread, as lmtpd would -> the change in the directory -> answer
 *
 * Scripts belong to strangers: compiling never runs on the loop, and is a person's share of the pool.  Can fail: the
 * script, in words with lines and columns; the person's limits; the directory.  Must stay true: no script with an
 * error is stored; OK is said when the directory has said that it has it; and what came of a change that nobody
 * answered is not guessed. */
#include "base/log.h"
#include "sieved.h"

/* ---- answers of the directory ---------------------------------------------------------------------- */

static enum line_next
script_answer(struct sieved_session *s, const struct rules_answer *a, const char *ok)
{
	static const struct {
		const char *code, *text;
	} answers[] = {
		[RULES_DONE] = { NULL, "" },
		[RULES_NONE] = { "NONEXISTENT", "There is no such script" },
		[RULES_EXISTS] = { "ALREADYEXISTS", "A script has that name" },
		[RULES_ACTIVE] = { "ACTIVE", "This script is active" },
		[RULES_MANY] = { "QUOTA/MAXSCRIPTS", "There are too many scripts" },
		[RULES_LARGE] = { "QUOTA/MAXSIZE", "This script is too large" },
		[RULES_FULL] = { "QUOTA", "All scripts together would be too large" },
		[RULES_STALE] = { "TRYLATER", "The scripts have changed" },
		[RULES_DENIED] = { NULL, "The directory does not allow this" },
		[RULES_AWAY] = { "TRYLATER",
		    "The directory gives no answer; look again what scripts there are" },
	};

	if (a->outcome == RULES_DENIED)
		log_event(LOG_ERROR, "scripts_denied", "sid=%s user=%s error=%s", s->sid,
		    log_str(s->account), log_str(a->why));
	if (a->outcome == RULES_AWAY) {
		metric_add(M_AWAY, 1);
		log_event(LOG_WARN, "scripts_away", "sid=%s user=%s error=%s", s->sid,
		    log_str(s->account), log_str(a->why));
	}
	if (a->outcome == RULES_DONE)
		return sieved_ok(s, ok);
	return sieved_no(s, answers[a->outcome].code, slice_str(answers[a->outcome].text));
}

static struct rules_person
script_person(const struct sieved_session *s)
{
	return (struct rules_person){ slice_str(s->dn), slice_str(s->account) };
}

/* ---- looking --------------------------------------------------------------------------------------- */

static void
script_listed(void *arg, const struct rules_answer *a)
{
	struct sieved_session *s = arg;
	struct buf *b = sieved_out(s);

	log_context(s->sid);
	for (size_t i = 0; a->outcome == RULES_DONE && i < a->scripts.n; i++) {
		managesieve_write_string(b, a->scripts.v[i].name);
		buf_str(b, a->scripts.v[i].active ? " ACTIVE\r\n" : "\r\n");
	}
	line_session_resume(&s->line, script_answer(s, a, "Scripts"));
}

enum line_next
sieved_cmd_listscripts(struct sieved_session *s)
{
	struct rules_person p = script_person(s);

	rules_read_start(sieved.rules, &p, &s->op, script_listed, s);
	return LINE_WAIT;
}

/* A literal always: clients look for its count. */
static void
script_got(void *arg, const struct rules_answer *a)
{
	struct sieved_session *s = arg;
	const struct rules_script *found = NULL;
	struct rules_answer none = { .outcome = RULES_NONE, .why = "" };
	struct buf *b = sieved_out(s);

	log_context(s->sid);
	if (a->outcome == RULES_DONE && !(found = rules_find(&a->scripts, sieved_arg(s, 1))))
		a = &none;
	if (found) {
		buf_printf(b, "{%zu}\r\n", found->text.n);
		buf_slice(b, found->text);
		buf_lit(b, "\r\n");
	}
	line_session_resume(&s->line, script_answer(s, a, "There it is"));
}

enum line_next
sieved_cmd_getscript(struct sieved_session *s)
{
	struct rules_person p = script_person(s);

	rules_read_start(sieved.rules, &p, &s->op, script_got, s);
	return LINE_WAIT;
}

/* ---- changing ---------------------------------------------------------------------------------------- */

/* Where several scripts run, which is others' doing, the one that was stored is not all that acts. */
static enum line_next
script_stored(struct sieved_session *s, const struct rules_answer *a)
{
	const struct rules_script *own = rules_find(&a->scripts, sieved_arg(s, 1));
	struct buf text = { 0 };
	size_t others = 0;

	for (size_t i = 0; own && own->runs && i < a->scripts.n; i++)
		others += a->scripts.v[i].runs && &a->scripts.v[i] != own;
	if (others == 0)
		return sieved_ok(s, "Stored");
	buf_printf(&text, "Scripts that run besides this one, until one is made active: %zu",
	    others);
	s->line.faults = 0;
	sieved_say(s, "OK", "WARNINGS", buf_get(&text));
	buf_fini(&text);
	sieved_command_over(s);
	return LINE_ON;
}

static void
script_changed(void *arg, const struct rules_answer *a)
{
	struct sieved_session *s = arg;
	bool put = s->cmd->run == sieved_cmd_putscript;

	log_context(s->sid);
	s->changing = false;
	if (a->outcome == RULES_DONE && s->cmd->run != sieved_cmd_havespace) {
		s->changes++;
		metric_add(put ? M_STORED : M_CHANGED, 1);
		log_event(LOG_INFO, "script", "sid=%s user=%s verb=%s name=%s%s%s", s->sid,
		    log_str(s->account), log_str(s->cmd->name), log_value(sieved_arg(s, 1)),
		    s->cmd->run == sieved_cmd_renamescript ? " to=" : "",
		    s->cmd->run == sieved_cmd_renamescript ? log_value(sieved_arg(s, 2)) : "");
	}
	line_session_resume(&s->line,
	    put && a->outcome == RULES_DONE ? script_stored(s, a) : script_answer(s, a, "Done"));
}

static enum line_next
script_change(struct sieved_session *s, const struct rules_change *c)
{
	struct rules_person p = script_person(s);

	s->changing = c->verb != RULES_CHECK;
	rules_change_start(sieved.rules, &p, c, &s->op, script_changed, s);
	return LINE_WAIT;
}

/* Names that nobody can have are no reason to ask the directory. */
static bool
script_named(struct sieved_session *s, size_t arg, enum line_next *next)
{
	if (managesieve_name_ok(sieved_arg(s, arg)))
		return true;
	*next = sieved_no(s, NULL, S("No script can have this name"));
	return false;
}

enum line_next
sieved_cmd_havespace(struct sieved_session *s)
{
	struct rules_change c = { .verb = RULES_CHECK, .name = sieved_arg(s, 1) };
	enum line_next next;
	uint64_t n = 0;

	if (!script_named(s, 1, &next))
		return next;
	if (slice_u64(sieved_arg(s, 2), UINT32_MAX, &n) < 0)
		n = UINT32_MAX;
	c.size = n;
	return script_change(s, &c);
}

enum line_next
sieved_cmd_setactive(struct sieved_session *s)
{
	return script_change(s,
	    &(struct rules_change){ .verb = RULES_ACTIVATE, .name = sieved_arg(s, 1) });
}

enum line_next
sieved_cmd_deletescript(struct sieved_session *s)
{
	return script_change(s,
	    &(struct rules_change){ .verb = RULES_DELETE, .name = sieved_arg(s, 1) });
}

enum line_next
sieved_cmd_renamescript(struct sieved_session *s)
{
	enum line_next next;

	if (!script_named(s, 2, &next))
		return next;
	return script_change(s,
	    &(struct rules_change){ .verb = RULES_RENAME,
		.name = sieved_arg(s, 1),
		.to = sieved_arg(s, 2) });
}

/* ---- PUTSCRIPT, CHECKSCRIPT ---------------------------------------------------------------------------- */

static void
script_checked(void *arg, struct slice errors)
{
	struct sieved_session *s = arg;
	enum line_next next;

	log_context(s->sid);
	if (errors.n) {
		metric_add(M_REFUSED, 1);
		next = sieved_no(s, NULL, errors);
	} else if (s->cmd->run == sieved_cmd_checkscript) {
		next = sieved_ok(s, "It is right");
	} else {
		next = script_change(s,
		    &(struct rules_change){ .verb = RULES_PUT,
			.name = sieved_arg(s, 1),
			.text = sieved_arg(s, 2) });
	}
	line_session_resume(&s->line, next);
}

static enum line_next
script_check(struct sieved_session *s, struct slice text)
{
	if (text.n > (size_t)config.octets)
		return sieved_no(s, "QUOTA/MAXSIZE", S("This script is too large"));
	rules_check_start(sieved.loop, &s->op, slice_str(s->account), text, script_checked, s);
	return LINE_WAIT;
}

enum line_next
sieved_cmd_checkscript(struct sieved_session *s)
{
	return script_check(s, sieved_arg(s, 1));
}

enum line_next
sieved_cmd_putscript(struct sieved_session *s)
{
	enum line_next next;

	if (!script_named(s, 1, &next))
		return next;
	return script_check(s, sieved_arg(s, 2));
}
