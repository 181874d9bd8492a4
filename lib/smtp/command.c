/* command.c: command lines into structs.
 *
 * Pure; called by the server's side of SMTP and LMTP.  What fails is the client's text:
 * -EBADMSG, or -ENOTSUP for a parameter that we do not have, with why.  What is decoded is one
 * line of printable text, since it goes into queue files, logs and reports.  A parameter may
 * come once. */
#include <errno.h>
#include "base/scan.h"
#include "base/utf8.h"
#include "mail/date.h"
#include "smtp/command.h"
#include "smtp/params.h"

bool
smtp_command_split(struct slice line, struct slice *verb, struct slice *arg)
{
	size_t n;

	for (size_t i = scan_plain(line, "\x7f\x7f") ? line.n : 0; i < line.n; i++)
		if (((unsigned char)line.p[i] < 0x20 && line.p[i] != '\t') || line.p[i] == 0x7f)
			return false;
	line = slice_trim(line);
	for (n = 0; n < line.n && line.p[n] != ' ' && line.p[n] != '\t'; n++)
		;
	*verb = slice_sub(line, 0, n);
	*arg = slice_trim(slice_from(line, n));
	return n > 0;
}

/* "FROM:" or "TO:", and the white space behind it that RFC 5321 does not allow and many send. */
static bool
keyword_skip(struct slice *arg, struct slice keyword)
{
	if (!slice_istarts(*arg, keyword))
		return false;
	*arg = slice_trim(slice_from(*arg, keyword.n));
	return true;
}

/* The path, and the blank or the end behind it. */
static int
path_take(struct slice *arg, unsigned allow, struct arena *a, struct address *addr,
    const char **why)
{
	if (address_parse_path(arg, allow | ADDRESS_UTF8, a, addr, why) < 0)
		return -EBADMSG;
	*why = "white space expected behind the address";
	return arg->n == 0 || arg->p[0] == ' ' || arg->p[0] == '\t' ? 0 : -EBADMSG;
}

/* Decoded xtext into the arena. */
static int
xtext_take(struct slice value, struct arena *a, struct slice *out)
{
	struct buf b = { .cap = 1024 };
	int r = smtp_xtext_parse(&b, value);

	if (r == 0 && !b.full)
		*out = arena_slice(a, buf_get(&b));
	else
		r = -EBADMSG;
	if (r == 0 && !out->p)
		out->p = "";
	buf_fini(&b);
	return r;
}

/* What is decoded goes into the header of our queue file, logs and DSNs: one line of text. */
static bool
smtp_command_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

static int
mail_body(struct slice value, struct arena *a, struct smtp_mail *m, const char **why)
{
	(void)a;
	if (slice_ieq(value, S("7BIT")))
		m->body = SMTP_BODY_7BIT;
	else if (slice_ieq(value, S("8BITMIME")))
		m->body = SMTP_BODY_8BITMIME;
	else {
		*why = "BODY must be 7BIT or 8BITMIME";
		return -ENOTSUP;
	}
	return 0;
}

static int
mail_size(struct slice value, struct arena *a, struct smtp_mail *m, const char **why)
{
	int r;

	(void)a;
	*why = "SIZE must be a number of octets";
	if (value.n > 20) /* size-value = 1*20DIGIT */
		return -EBADMSG;
	r = slice_u64(value, INT64_MAX, &m->size);
	if (r == -ERANGE) /* too large for any limit */
		m->size = INT64_MAX;
	return r == -EINVAL ? -EBADMSG : 0;
}

static int
mail_smtputf8(struct slice value, struct arena *a, struct smtp_mail *m, const char **why)
{
	(void)a;
	*why = "SMTPUTF8 has no value";
	m->smtputf8 = true;
	return value.p ? -EBADMSG : 0;
}

static int
mail_ret(struct slice value, struct arena *a, struct smtp_mail *m, const char **why)
{
	(void)a;
	*why = "RET must be FULL or HDRS";
	if (slice_ieq(value, S("FULL")))
		m->ret = SMTP_RET_FULL;
	else if (slice_ieq(value, S("HDRS")))
		m->ret = SMTP_RET_HDRS;
	else
		return -EBADMSG;
	return 0;
}

static int
mail_envid(struct slice value, struct arena *a, struct smtp_mail *m, const char **why)
{
	*why = "ENVID is not xtext of at most 100 octets";
	if (value.n > 100 || xtext_take(value, a, &m->envid) < 0)
		return -EBADMSG;
	return smtp_command_printable(m->envid) ? 0 : -EBADMSG;
}

static int
mail_auth(struct slice value, struct arena *a, struct smtp_mail *m, const char **why)
{
	*why = "AUTH is not xtext of at most 500 octets";
	if (value.n > 500 || xtext_take(value, a, &m->auth) < 0)
		return -EBADMSG;
	return smtp_command_printable(m->auth) ? 0 : -EBADMSG;
}

static int
mail_xqid(struct slice value, struct arena *a, struct smtp_mail *m, const char **why)
{
	*why = "XQID is not xtext of at most 100 octets";
	if (value.n > 100 || xtext_take(value, a, &m->xqid) < 0)
		return -EBADMSG;
	return smtp_command_printable(m->xqid) ? 0 : -EBADMSG;
}

/* What random_id makes. */
static int
mail_aside(struct slice value, struct arena *a, struct smtp_mail *m, const char **why)
{
	*why = "XASIDE is not an id of 13 letters and digits";
	for (size_t i = 0; i < value.n; i++)
		if (!strchr("0123456789abcdefghijklmnopqrstuvwxyz", value.p[i]))
			return -EBADMSG;
	m->aside = arena_slice(a, value);
	return value.n == 13 ? 0 : -EBADMSG;
}

/* Of one message one of the two (RFC 4865 4). */
static int
mail_release(struct slice value, struct arena *a, struct smtp_mail *m, enum smtp_release kind,
    const char **why)
{
	struct buf b = { 0 };

	if (m->release != SMTP_RELEASE_NOW) {
		*why = "HOLDFOR and HOLDUNTIL exclude each other";
		return -EBADMSG;
	}
	m->release = kind;
	buf_str(&b, kind == SMTP_RELEASE_FOR ? "for;" : "until;");
	buf_slice(&b, value);
	m->release_asked = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	return 0;
}

/* future-release-interval = 1*9DIGIT, and not 0 */
static int
mail_holdfor(struct slice value, struct arena *a, struct smtp_mail *m, const char **why)
{
	uint64_t seconds;

	*why = "HOLDFOR must be a number of seconds, of at most nine digits";
	if (value.n > 9 || slice_u64(value, 999999999, &seconds) < 0 || seconds == 0)
		return -EBADMSG;
	m->release_at = (int64_t)seconds;
	return mail_release(value, a, m, SMTP_RELEASE_FOR, why);
}

/* future-release-date-time = the date-time of RFC 3339 (erratum 2040) */
static int
mail_holduntil(struct slice value, struct arena *a, struct smtp_mail *m, const char **why)
{
	struct date d;

	*why = "HOLDUNTIL must be a date and time as in 2026-11-22T08:20:01Z";
	if (value.n > 40 || slice_find(value, 'T') != 10 || date_iso_parse(value, &d) < 0)
		return -EBADMSG;
	m->release_at = d.at;
	return mail_release(value, a, m, SMTP_RELEASE_UNTIL, why);
}

/* by-value = by-time ";" by-mode [by-trace]; by-time = ["-" / "+"] 1*9DIGIT */
static int
mail_by(struct slice value, struct arena *a, struct smtp_mail *m, const char **why)
{
	struct slice time = S("");
	bool minus = slice_starts(value, S("-"));
	uint64_t n;

	(void)a;
	*why = "BY must be seconds, a semicolon, R or N, and perhaps T";
	if (minus || slice_starts(value, S("+")))
		value = slice_from(value, 1);
	if (!slice_cut(&value, ';', &time) || time.n > 9 || slice_u64(time, 999999999, &n) < 0 ||
	    value.n < 1 || value.n > 2)
		return -EBADMSG;
	m->has_by = true;
	m->by = minus ? -(int64_t)n : (int64_t)n;
	m->by_notify = ascii_lower(value.p[0]) == 'n';
	m->by_trace = value.n == 2;
	if ((!m->by_notify && ascii_lower(value.p[0]) != 'r') ||
	    (m->by_trace && ascii_lower(value.p[1]) != 't'))
		return -EBADMSG;
	*why = "BY with R must be more than 0 seconds";
	return m->by > 0 || m->by_notify ? 0 : -EBADMSG;
}

/* priority-value = (["-"] NZDIGIT) / "0" */
static int
mail_priority(struct slice value, struct arena *a, struct smtp_mail *m, const char **why)
{
	bool minus = slice_starts(value, S("-"));
	uint64_t n;

	(void)a;
	*why = "MT-PRIORITY must be a number from -9 to 9";
	value = slice_from(value, minus);
	if (value.n != 1 || slice_u64(value, 9, &n) < 0 || (minus && n == 0))
		return -EBADMSG;
	m->has_priority = true;
	m->priority = minus ? -(int)n : (int)n;
	return 0;
}

static int
mail_requiretls(struct slice value, struct arena *a, struct smtp_mail *m, const char **why)
{
	(void)a;
	*why = "REQUIRETLS takes no value";
	m->requiretls = true;
	return value.p ? -EBADMSG : 0;
}

static const struct {
	struct slice key;
	int (*take)(struct slice value, struct arena *a, struct smtp_mail *m, const char **why);
} mail_params[] = {
	{ { "SIZE", 4 }, mail_size },              /* RFC 1870 6 */
	{ { "BODY", 4 }, mail_body },              /* RFC 6152 2 */
	{ { "SMTPUTF8", 8 }, mail_smtputf8 },      /* RFC 6531 3.4 */
	{ { "RET", 3 }, mail_ret },                /* RFC 3461 4.3 */
	{ { "ENVID", 5 }, mail_envid },            /* RFC 3461 4.4 */
	{ { "AUTH", 4 }, mail_auth },              /* RFC 4954 5 */
	{ { "HOLDFOR", 7 }, mail_holdfor },        /* RFC 4865 4 */
	{ { "HOLDUNTIL", 9 }, mail_holduntil },    /* RFC 4865 4 */
	{ { "BY", 2 }, mail_by },                  /* RFC 2852 4 */
	{ { "MT-PRIORITY", 11 }, mail_priority },  /* RFC 6710 4 */
	{ { "REQUIRETLS", 10 }, mail_requiretls }, /* RFC 8689 2 */
	{ { "XQID", 4 }, mail_xqid },              /* our own: lmtpd(8) */
	{ { "XASIDE", 6 }, mail_aside },           /* our own: smtp-relay(8) */
};

int
smtp_mail_parse(struct slice arg, struct arena *a, struct smtp_mail *m, bool *path_bad,
    const char **why)
{
	struct slice key, value;
	unsigned seen = 0;
	bool has_value;
	int r;

	*m = (struct smtp_mail){ 0 };
	*path_bad = false;
	*why = "expected FROM:<address>";
	if (!keyword_skip(&arg, S("FROM:")))
		return -EBADMSG;
	if (path_take(&arg, ADDRESS_NULL, a, &m->from, why) < 0) {
		*path_bad = true;
		return -EBADMSG;
	}
	while ((r = smtp_param_next(&arg, &key, &value, &has_value, why)) > 0) {
		size_t i;

		for (i = 0; i < NELEM(mail_params) && !slice_ieq(key, mail_params[i].key); i++)
			;
		*why = "unknown parameter";
		if (i == NELEM(mail_params))
			return -ENOTSUP;
		*why = "parameter given twice";
		if (seen & 1u << i)
			return -EBADMSG;
		seen |= 1u << i;
		r = mail_params[i].take(has_value ? value : slice(NULL, 0), a, m, why);
		if (r < 0)
			return r;
	}
	return r;
}

/* notify-esmtp-value = "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" ) */
static int
rcpt_notify(struct slice value, struct smtp_rcpt *r, const char **why)
{
	struct slice word;

	*why = "NOTIFY must be NEVER or a list of SUCCESS, FAILURE and DELAY";
	if (value.n == 0 || value.p[value.n - 1] == ',')
		return -EBADMSG;
	while (slice_cut(&value, ',', &word)) {
		if (slice_ieq(word, S("NEVER")))
			r->notify |= SMTP_NOTIFY_NEVER;
		else if (slice_ieq(word, S("SUCCESS")))
			r->notify |= SMTP_NOTIFY_SUCCESS;
		else if (slice_ieq(word, S("FAILURE")))
			r->notify |= SMTP_NOTIFY_FAILURE;
		else if (slice_ieq(word, S("DELAY")))
			r->notify |= SMTP_NOTIFY_DELAY;
		else
			return -EBADMSG;
	}
	if ((r->notify & SMTP_NOTIFY_NEVER) && r->notify != SMTP_NOTIFY_NEVER)
		return -EBADMSG;
	return 0;
}

/* atom characters of addr-type, as far as anyone uses them. */
static bool
is_type_char(char c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* original-recipient-address = addr-type ";" xtext, or RFC 6533 3 for utf-8. */
static int
rcpt_orcpt(struct slice value, struct arena *a, struct smtp_rcpt *r, const char **why)
{
	struct buf b = { .cap = 1024 };
	size_t semi = slice_find(value, ';');
	struct slice text = slice_from(value, semi + 1);
	int bad;

	*why = "ORCPT must be type;address in xtext";
	if (semi == 0 || semi == value.n || value.n > 500 || text.n == 0)
		return -EBADMSG;
	r->orcpt_type = slice_sub(value, 0, semi);
	for (size_t i = 0; i < semi; i++)
		if (!is_type_char(value.p[i]))
			return -EBADMSG;
	bad = slice_ieq(r->orcpt_type, S("utf-8")) ? smtp_utf8_addr_parse(&b, text) :
						     smtp_xtext_parse(&b, text);
	r->orcpt = arena_slice(a, buf_get(&b));
	bad |= b.full || !smtp_command_printable(r->orcpt);
	buf_fini(&b);
	return bad ? -EBADMSG : 0;
}

static int
rcpt_run(struct slice value, struct arena *a, struct smtp_rcpt *r, const char **why)
{
	struct buf b = { .cap = 1400 };
	int bad = smtp_xtext_parse(&b, value);

	*why = "XRUN must be user%program in xtext";
	r->run = arena_slice(a, buf_get(&b));
	bad |= b.full || r->run.n == 0 || !smtp_command_printable(r->run);
	buf_fini(&b);
	return bad ? -EBADMSG : 0;
}

/* Lines of text, in UTF-8: who reads them looks at them. */
static int
rcpt_event(struct slice value, struct arena *a, struct smtp_rcpt *r, const char **why)
{
	struct buf b = { .cap = SMTP_LINE_MAX };
	int bad = smtp_xtext_parse(&b, value);

	*why = "XEVENT must be xtext";
	r->event = arena_slice(a, buf_get(&b));
	bad |= b.full || r->event.n == 0;
	buf_fini(&b);
	return bad ? -EBADMSG : 0;
}

int
smtp_rcpt_parse(struct slice arg, bool bare, struct arena *a, struct smtp_rcpt *r, bool *path_bad,
    const char **why)
{
	unsigned allow = ADDRESS_POSTMASTER | (bare ? ADDRESS_BARE : 0);
	struct slice key, value;
	bool has_value;
	int n;

	*r = (struct smtp_rcpt){ 0 };
	*path_bad = false;
	*why = "expected TO:<address>";
	if (!keyword_skip(&arg, S("TO:")))
		return -EBADMSG;
	if (path_take(&arg, allow, a, &r->to, why) < 0) {
		*path_bad = true;
		return -EBADMSG;
	}
	while ((n = smtp_param_next(&arg, &key, &value, &has_value, why)) > 0) {
		if (slice_ieq(key, S("NOTIFY"))) {
			n = r->notify ? -EBADMSG : rcpt_notify(value, r, why);
		} else if (slice_ieq(key, S("ORCPT"))) {
			n = r->orcpt_type.p ? -EBADMSG : rcpt_orcpt(value, a, r, why);
		} else if (slice_ieq(key, S("XSENT"))) {
			*why = "XSENT stands alone, once";
			n = r->sent || has_value ? -EBADMSG : 1;
			r->sent = true;
		} else if (slice_ieq(key, S("XRUN"))) {
			n = r->run.p ? -EBADMSG : rcpt_run(value, a, r, why);
		} else if (slice_ieq(key, S("XEVENT"))) {
			n = r->event.p ? -EBADMSG : rcpt_event(value, a, r, why);
		} else if (slice_ieq(key, S("IGNOREQUOTA"))) {
			*why = "IGNOREQUOTA stands alone, once";
			n = r->ignore_quota || has_value ? -EBADMSG : 1;
			r->ignore_quota = true;
		} else {
			*why = "unknown parameter";
			n = -ENOTSUP;
		}
		if (n < 0)
			return n;
	}
	return n;
}

int
smtp_bdat_parse(struct slice arg, uint64_t *size, bool *last, const char **why)
{
	struct slice word;

	*why = "expected BDAT size [LAST]";
	*last = false;
	if (!slice_word(&arg, &word) || word.n > 20 || slice_u64(word, INT64_MAX, size) < 0)
		return -EBADMSG;
	if (slice_word(&arg, &word)) {
		if (!slice_ieq(word, S("LAST")) || slice_word(&arg, &word))
			return -EBADMSG;
		*last = true;
	}
	return 0;
}

bool
smtp_helo_valid(struct slice arg, bool strict)
{
	if (strict)
		return domain_valid(arg, ADDRESS_LITERAL | ADDRESS_UTF8);
	if (arg.n == 0 || arg.n > ADDRESS_DOMAIN_MAX || !utf8_valid(arg))
		return false;
	for (size_t i = 0; i < arg.n; i++)
		if ((unsigned char)arg.p[i] <= 0x20 || arg.p[i] == 0x7f ||
		    strchr("()<>@,;\\\"", arg.p[i]))
			return false;
	return true;
}
