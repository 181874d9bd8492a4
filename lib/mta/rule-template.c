/* rule-template.c: the template of a rewrite rule into steps: see rules-impl.h.
 *
 * Called by rules.c for each rule, and by rule-try.c for a value of the general database or a mapping,
 * which is text of the same language.  `@` and `%` part the pieces, `$` begins everything else; a control
 * sequence with a text ($M, $T ...) ends at `@`, `%` or the next `$`, and `$?` takes the rest of the line.
 * What fails is told in words that say what was expected.  Must stay true: the steps are in the order of
 * the text, and nothing is decided here that depends on an address. */
#include <errno.h>
#include "base/mem.h"
#include "mta/rules-impl.h"

struct compiler {
	struct arena *a;
	struct slice rest;
	const char *hostname;
	char end;   /* of the sequence that the text stands in, NUL at the top */
	bool value; /* no $( */
	struct buf ops, lit;
	const char *why, *warn;
};

static int rule_compile(struct compiler *c, struct mta_rule_ops *ops);

static int
rule_bad(struct compiler *c, const char *why)
{
	c->why = why;
	return -EINVAL;
}

static void
rule_lit_end(struct compiler *c)
{
	struct mta_rule_op op = { .code = MTA_RULE_TEXT };

	if (c->lit.n == 0)
		return;
	op.text = arena_slice(c->a, buf_get(&c->lit));
	buf_clear(&c->lit);
	buf_add(&c->ops, &op, sizeof(op));
}

static int
rule_op_add(struct compiler *c, struct mta_rule_op op)
{
	rule_lit_end(c);
	buf_add(&c->ops, &op, sizeof(op));
	return 0;
}

static int
rule_within(struct compiler *c, struct mta_rule_op op, struct slice text, char end)
{
	struct compiler in = { .a = c->a,
		.rest = text,
		.hostname = c->hostname,
		.end = end,
		.value = c->value };
	struct mta_rule_ops ops;

	if (rule_compile(&in, &ops) < 0)
		return rule_bad(c, in.why);
	op.inner = ops.op;
	op.ninner = ops.n;
	return rule_op_add(c, op);
}

/* The text of a control sequence. */
static struct slice
rule_argument(struct compiler *c)
{
	size_t n = 0;
	struct slice s;

	while (n < c->rest.n && !strchr("@%$", c->rest.p[n]))
		n++;
	s = slice_sub(c->rest, 0, n);
	c->rest = slice_from(c->rest, n);
	return s;
}

/* $V and $Z: a text with substitutions of the host, up to a separator or any other sequence. */
static int
rule_local(struct compiler *c, char letter)
{
	struct slice text = c->rest;
	size_t n = 0;

	while (n < text.n && text.p[n] != '@' && text.p[n] != '%') {
		size_t k = n + 1;

		if (text.p[n] != '$') {
			n++;
			continue;
		}
		while (k < text.n && text.p[k] >= '0' && text.p[k] <= '9')
			k++;
		if (k == text.n || !strchr("DHLdhl&!*#$\\^_=", text.p[k]))
			break;
		n = k + 1;
		if (strchr("&!*#", text.p[k]) && n < text.n)
			n++; /* its digit */
	}
	c->rest = slice_from(text, n);
	if (n == 0)
		return rule_bad(c, "expected a domain behind $V or $Z");
	return rule_within(c, (struct mta_rule_op){ .code = MTA_RULE_LOCAL, .c = letter },
	    slice_sub(text, 0, n), '\1');
}

static int
rule_mapping(struct compiler *c)
{
	struct mta_rule_op op = { .code = MTA_RULE_MAPPING };
	struct slice text;

	if (!mta_take_sequence(&c->rest, '}', &text))
		return rule_bad(c, "expected `}' at the end of ${table,probe}");
	if (slice_find(text, ',') == text.n)
		return rule_bad(c, "expected `,' between table and probe: ${table,probe}");
	slice_cut(&text, ',', &op.text);
	return rule_within(c, op, text, '}');
}

static int
rule_general(struct compiler *c)
{
	struct slice text;

	if (c->value)
		return rule_bad(c, "$(key) may not stand in what $(key) has found");
	if (!mta_take_sequence(&c->rest, ')', &text))
		return rule_bad(c, "expected `)' at the end of $(key)");
	return rule_within(c, (struct mta_rule_op){ .code = MTA_RULE_GENERAL }, text, ')');
}

static int
rule_url(struct compiler *c)
{
	struct slice text;

	if (!mta_take_sequence(&c->rest, '[', &text))
		return rule_bad(c, "expected `[' at the end of $]url[");
	return rule_within(c, (struct mta_rule_op){ .code = MTA_RULE_URL }, text, '[');
}

static int
rule_pick(struct compiler *c, char k)
{
	struct mta_rule_op op = { .code = MTA_RULE_PICK, .c = k };

	if (c->rest.n == 0 || c->rest.p[0] < '0' || c->rest.p[0] > '9')
		return rule_bad(c, "expected one digit behind `$&', `$!', `$*' or `$#'");
	op.number = (unsigned)(c->rest.p[0] - '0');
	c->rest = slice_from(c->rest, 1);
	return rule_op_add(c, op);
}

static int
rule_error(struct compiler *c, bool numbered, unsigned number)
{
	struct mta_rule_op op = { .code = MTA_RULE_ERROR, .numbered = numbered, .number = number };

	if (numbered && number / 1000000 != 4 && number / 1000000 != 5)
		return rule_bad(c, "expected a status as 4nnnnnn or 5nnnnnn in front of `?'");
	op.text = arena_slice(c->a, c->rest);
	c->rest = slice_from(c->rest, c->rest.n);
	return rule_op_add(c, op);
}

static int
rule_channel(struct compiler *c, char letter, bool numbered, unsigned number)
{
	struct mta_rule_op op = { .code = MTA_RULE_CHANNEL, .c = letter };

	if (numbered) {
		if (number != 1 || (letter != 'M' && letter != 'N'))
			return rule_bad(c,
			    "only $1M and $1N have a number, of the channel letters");
		op.code = MTA_RULE_REPROCESS;
		return rule_op_add(c, op);
	}
	op.text = rule_argument(c);
	if (op.text.n == 0)
		return rule_bad(c, "expected the name of a channel behind $M, $N, $Q or $C");
	return rule_op_add(c, op);
}

/* A letter that takes a number, or has a meaning of its own with one. */
static int
rule_letter(struct compiler *c, char k, bool numbered, unsigned number)
{
	struct mta_rule_op op = { .c = k, .numbered = numbered, .number = number };

	switch (k) {
	case 'U': op.code = MTA_RULE_USER; break;
	case 'D': op.code = MTA_RULE_DOMAIN; break;
	case 'H': op.code = MTA_RULE_HOST; break;
	case 'A': op.code = numbered ? MTA_RULE_CHAR : MTA_RULE_PLACE; break;
	case 'X': op.code = numbered ? MTA_RULE_MAILHOST : MTA_RULE_PLACE; break;
	case 'M':
	case 'N':
	case 'Q':
	case 'C': return rule_channel(c, k, numbered, number);
	default:
		if (numbered)
			return rule_bad(c,
			    "a number stands only in front of U, D, H, A, X, M, N, ~ and ?");
		switch (k) {
		case 'L': op.code = MTA_RULE_LITERAL; break;
		case 'W': op.code = MTA_RULE_UNIQUE; break;
		case 'E':
		case 'B': op.code = MTA_RULE_KIND; break;
		case 'F':
		case 'R': op.code = MTA_RULE_WAY; break;
		case 'S':
		case 'P': op.code = MTA_RULE_PLACE; break;
		case 'V':
		case 'Z': return rule_local(c, k);
		case 'T':
			op.code = MTA_RULE_TAG;
			op.text = rule_argument(c);
			break;
		default:
			return rule_bad(c,
			    "expected one of the letters U D H L W E B F R S A P X M N Q C V Z T "
			    "behind `$' ($Y and $G are flags of mappings)");
		}
	}
	if (op.code == MTA_RULE_USER && numbered && number > 1)
		return rule_bad(c, "expected $U, $0U or $1U");
	if (op.code == MTA_RULE_PLACE)
		op.number = k == 'S' ? MTA_PLACE_ROUTE :
		    k == 'A'         ? MTA_PLACE_AT :
		    k == 'P'         ? MTA_PLACE_PERCENT :
				       MTA_PLACE_BANG;
	return rule_op_add(c, op);
}

static int
rule_sign(struct compiler *c, char k, bool numbered, unsigned number)
{
	if (k == '?')
		return rule_error(c, numbered, number);
	if (k == '~')
		return rule_op_add(c, (struct mta_rule_op){ .code = MTA_RULE_PENDING });
	if (numbered)
		return rule_bad(c, "a number stands only in front of U, D, H, A, X, M, N, ~ and ?");
	switch (k) {
	case '$':
	case '%':
	case '@': buf_char(&c->lit, k); return 0;
	case '\\':
	case '^':
	case '_': return rule_op_add(c, (struct mta_rule_op){ .code = MTA_RULE_CASE, .c = k });
	case '=': return rule_op_add(c, (struct mta_rule_op){ .code = MTA_RULE_QUOTE });
	case '&':
	case '!':
	case '*':
	case '#': return rule_pick(c, k);
	case '(': return rule_general(c);
	case '{': return rule_mapping(c);
	case ']': return rule_url(c);
	case '[':
		return rule_bad(c,
		    "$[image,routine,argument] calls code of a site, which tiermail does not: "
		    "use $]url[, ${table,probe} or $(key)");
	case ',': c->warn = "`$,' has no known meaning and is left out"; return 0;
	default:
		return rule_bad(c,
		    "expected a letter or one of $ % @ \\ ^ _ = & ! * # ( { ] ? ~ behind `$'");
	}
}

static int
rule_dollar(struct compiler *c)
{
	bool numbered = false;
	unsigned number = 0;
	char k;

	while (c->rest.n && c->rest.p[0] >= '0' && c->rest.p[0] <= '9') {
		if (number > 5999999)
			return rule_bad(c, "the number behind `$' is too large");
		numbered = true;
		number = number * 10 + (unsigned)(c->rest.p[0] - '0');
		c->rest = slice_from(c->rest, 1);
	}
	if (c->rest.n == 0)
		return rule_bad(c, "a `$' at the end of the template says nothing");
	k = c->rest.p[0];
	c->rest = slice_from(c->rest, 1);
	if (c->end && k == c->end && !numbered) {
		buf_char(&c->lit, k);
		return 0;
	}
	if (ascii_lower(k) >= 'a' && ascii_lower(k) <= 'z')
		return rule_letter(c, ascii_upper(k), numbered, number);
	return rule_sign(c, k, numbered, number);
}

/* &/IMTA_HOST/: what a set-up program of the original put in. */
static int
rule_variable(struct compiler *c)
{
	static const struct slice host = { "/IMTA_HOST/", 11 };

	if (!slice_istarts(c->rest, host)) {
		buf_char(&c->lit, '&');
		return 0;
	}
	if (!c->hostname)
		return rule_bad(c,
		    "&/IMTA_HOST/ stands for the host's name, which is not known here");
	buf_str(&c->lit, c->hostname);
	c->rest = slice_from(c->rest, host.n);
	return 0;
}

static int
rule_compile(struct compiler *c, struct mta_rule_ops *ops)
{
	int e = 0;

	while (e == 0 && c->rest.n) {
		char k = c->rest.p[0];

		c->rest = slice_from(c->rest, 1);
		if (k == '$')
			e = rule_dollar(c);
		else if (k == '@' && !c->end)
			e = rule_op_add(c, (struct mta_rule_op){ .code = MTA_RULE_AT });
		else if (k == '%' && !c->end)
			e = rule_op_add(c, (struct mta_rule_op){ .code = MTA_RULE_PERCENT });
		else if (k == '&')
			e = rule_variable(c);
		else
			buf_char(&c->lit, k);
	}
	rule_lit_end(c);
	ops->n = c->ops.n / sizeof(*ops->op);
	ops->op = arena_array(c->a, ops->n ? ops->n : 1, sizeof(*ops->op));
	if (ops->n)
		memcpy(ops->op, c->ops.p, c->ops.n);
	buf_fini(&c->ops);
	buf_fini(&c->lit);
	return e;
}

int
mta_rule_template(struct arena *a, struct slice text, const char *hostname, bool value,
    struct mta_rule_ops *ops, const char **why, const char **warn)
{
	struct compiler c = { .a = a, .rest = text, .hostname = hostname, .value = value };
	int e = rule_compile(&c, ops);

	*why = c.why;
	*warn = c.warn;
	return e;
}
