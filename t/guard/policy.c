/* guard/policy.c: what policy services are asked, and what their answers mean. */
#include "guard/policy.h"

#include "../tap.h"

static struct guard_policy_answer a;

static bool
read_it(const char *text)
{
	return guard_policy_read(slice_str(text), &a);
}

static void
refuses(const char *text, int reply, int class, int subject, int detail, const char *words)
{
	char got[300], want[300];

	if (!ok(read_it(text) && a.action == GUARD_POLICY_REFUSE, "refuses: %.40s", text))
		return;
	(void)snprintf(got, sizeof(got), "%d %d.%d.%d %s", verdict_reply(&a.verdict),
	    a.verdict.kind, a.verdict.subject, a.verdict.detail, a.verdict.text);
	(void)snprintf(want, sizeof(want), "%d %d.%d.%d %s", reply, class, subject, detail, words);
	is(got, want, "as it should: %.40s", text);
}

int
main(void)
{
	struct buf b = { 0 };

	guard_policy_write(&b, "helo_name", S("evil\naction=OK\r\n\x7f\0x"));
	guard_policy_write(&b, "sender", S(""));
	guard_policy_write(&b, "recipient", S("\xc3\xa4@b"));
	is(buf_cstr(&b), "helo_name=evil?action=OK????x\nsender=\nrecipient=\xc3\xa4@b\n",
	    "no value makes a line of its own");
	buf_fini(&b);

	ok(read_it("action=DUNNO\n\n") && a.action == GUARD_POLICY_DUNNO, "DUNNO");
	ok(read_it("action=ok\r\n\r\n") && a.action == GUARD_POLICY_OK, "any case, CR before LF");
	ok(read_it("more=x\naction= PREPEND X-A: b c \n\n") && a.action == GUARD_POLICY_PREPEND &&
		slice_eq(a.text, S("X-A: b c")),
	    "other attributes, and a text");
	refuses("action=REJECT\n\n", 550, 5, 7, 1, "a policy service refuses it");
	refuses("action=reject no such thing\n\n", 550, 5, 7, 1, "no such thing");
	refuses("action=REJECT 5.2.1 closed\n\n", 550, 5, 2, 1, "closed");
	refuses("action=DEFER_IF_PERMIT Greylisted, see x\n\n", 450, 4, 7, 1, "Greylisted, see x");
	refuses("action=defer\n\n", 450, 4, 7, 1, "a policy service wants it later");
	refuses("action=451 4.2.0 later\n\n", 451, 4, 2, 0, "later");
	refuses("action=554 5.7.9 never\n\n", 554, 5, 7, 9, "never");
	ok(read_it("action=DEFER_IF_REJECT x\n\n") && a.action == GUARD_POLICY_DUNNO,
	    "defer what was refused: it was not");
	ok(read_it("action=HOLD why\n\n") && a.action == GUARD_POLICY_HOLD, "HOLD");
	ok(read_it("action=DISCARD\n\n") && a.action == GUARD_POLICY_DISCARD, "DISCARD");
	ok(read_it("action=WARN x\n\n") && a.action == GUARD_POLICY_NOTE, "WARN");
	ok(read_it("action=FILTER smtp:x\n\n") && a.action == GUARD_POLICY_UNKNOWN,
	    "what we have not");
	ok(read_it("action=250 ok\n\n") && a.action == GUARD_POLICY_UNKNOWN, "no refusal by 2xx");
	ok(read_it("action=999 ok\n\n") && a.action == GUARD_POLICY_UNKNOWN, "nor by 999");
	ok(read_it("action=OK\naction=REJECT\n\n") && a.action == GUARD_POLICY_OK,
	    "the first counts");
	ok(!read_it("\n") && !read_it("action=\n\n") && !read_it("axtion=OK\n\n"), "no answer");
	return done();
}
