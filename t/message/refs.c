/* What a digest says a message refers to: in every form that mail has it, and of mail that would have too much. */
#include "message/refs.h"

#include "../tap.h"
#include "message/digest.h"
#include "store/thread.h"

static struct store_refs
refs_of(struct slice msg)
{
	struct store_refs r = { 0 };
	struct buf record = { 0 };
	struct message_digest d;

	message_digest_build(msg, &record);
	if (record.n > MESSAGE_DIGEST_MAX || message_digest_parse(buf_get(&record), &d) < 0 ||
	    !store_refs_read(buf_get(&record), &r))
		ok(false, "a digest with references");
	buf_fini(&record);
	return r;
}

static uint64_t
subject_of(const char *subject)
{
	struct buf msg = { 0 };
	uint64_t hash;

	buf_printf(&msg, "Subject: %s\r\n\r\n", subject);
	hash = refs_of(buf_get(&msg)).subject;
	buf_fini(&msg);
	return hash;
}

static void
test_fields(void)
{
	struct store_refs r =
	    refs_of(S("Message-ID: <a@x>\r\nIn-Reply-To: <b@x> (of Monday) <c@x>\r\n"
		      "Subject: s\r\n\r\nbody\r\n"));

	ok(r.id == store_ref_hash(S("a@x")) && r.n == 1 && r.ref[0] == store_ref_hash(S("b@x")),
	    "the id, and the first of In-Reply-To");
	r = refs_of(S("message-id:\r\n <a@x>\r\nReferences: <d@x>\r\n\t<e@x>\r\n"
		      "In-Reply-To: <b@x>\r\n\r\n"));
	ok(r.id == store_ref_hash(S("a@x")) && r.n == 2 && r.ref[0] == store_ref_hash(S("d@x")) &&
		r.ref[1] == store_ref_hash(S("e@x")),
	    "References go before it");
	r = refs_of(S("References: nothing here\r\nIn-Reply-To: <b@x>\r\n\r\n"));
	ok(r.id == 0 && r.n == 1 && r.ref[0] == store_ref_hash(S("b@x")),
	    "References without an ID are none");
	r = refs_of(S("From: x@y\r\n\r\n"));
	ok(r.id == 0 && r.subject == 0 && r.n == 0, "a message that says nothing of it");
	r = refs_of(S(""));
	ok(r.id == 0 && r.n == 0, "an empty one");
	r = refs_of(S("Message-ID: <\"a\"@x>\r\n\r\n"));
	eq(r.id, store_ref_hash(S("a@x")), "an ID is what it means, not how it is quoted");
}

static void
test_subjects(void)
{
	uint64_t plain = subject_of("Gr\xc3\xbc\xc3\x9f"
				    "e aus Rom");

	ok(plain != 0, "a subject");
	eq(subject_of("Re: gr\xc3\xbc\xc3\x9f"
		      "e   AUS Rom"),
	    plain, "an answer, in other letters");
	eq(subject_of("=?utf-8?q?Re=3A_[list]_Gr=C3=BC=C3=9Fe_aus_Rom?= (fwd)"), plain,
	    "in encoded words, from a list");
	eq(subject_of("=?iso-8859-1?q?Fwd=3A_Gr=FC=DFe_aus_Rom?="), plain, "in another charset");
	ok(subject_of("Gr\xc3\xbc\xc3\x9f"
		      "e aus Paris") != plain,
	    "another subject");
	eq(subject_of("Re: Re:"), 0, "one that is nothing but an answer");
}

/* More than a digest keeps of a header: what counts is found all the same. */
static void
test_long(void)
{
	struct buf msg = { 0 };
	struct store_refs r;

	buf_lit(&msg, "Message-ID: <a@x>\r\nSubject: Re: long\r\nReferences:");
	for (int i = 0; i < 1000; i++)
		buf_printf(&msg, "\r\n <%d.abcdefghijklmnopqrstuvwxyz@example.test>", i);
	buf_lit(&msg, "\r\n\r\nbody\r\n");
	r = refs_of(buf_get(&msg));
	ok(r.n == STORE_REFS &&
		r.ref[0] ==
		    store_ref_hash(slice_str("0.abcdefghijklmnopqrstuvwxyz@example.test")) &&
		r.ref[STORE_REFS - 1] ==
		    store_ref_hash(slice_str("999.abcdefghijklmnopqrstuvwxyz@example.test")),
	    "of a thousand references the first and the last");
	ok(r.id == store_ref_hash(S("a@x")) && r.subject == store_ref_hash(S("LONG")),
	    "beside id and subject");
	buf_clear(&msg);
	for (int i = 0; i < 400; i++)
		buf_printf(&msg, "To: <someone.with.a.long.name.%d@example.test>\r\n", i);
	buf_lit(&msg,
	    "Message-ID: <late@x>\r\nIn-Reply-To: <b@x>\r\nSubject: late\r\n\r\nbody\r\n");
	r = refs_of(buf_get(&msg));
	ok(r.id == store_ref_hash(S("late@x")) && r.n == 1 &&
		r.subject == store_ref_hash(S("LATE")),
	    "behind more fields than are kept");
	buf_fini(&msg);
}

int
main(void)
{
	test_fields();
	test_subjects();
	test_long();
	return done();
}
