/* One message as Email/get shows it: the arguments of a call and a message in, JSON out (RFC 8621 4.1, 4.2).
 * Messages are shaped as those that people get.  Each is written in one buffer and again in steps whose
 * pieces are put together; both must be the same. */
#include "../tap.h"
#include "jmap/email-write.h"

static struct buf msg, whole, pieces;
static struct arena arena;

/* The messages here have LF for the eye. */
static struct slice
crlf(const char *text)
{
	buf_clear(&msg);
	for (; *text; text++) {
		if (*text == '\n')
			buf_char(&msg, '\r');
		buf_char(&msg, *text);
	}
	return buf_get(&msg);
}

static size_t
run(const struct jmap_email_want *w, struct slice m, bool cut)
{
	struct jmap_structure s;
	struct jmap_email e;
	struct mime mime;
	struct buf out = { 0 };
	size_t steps = 0;

	mime_parse(m, &arena, &mime);
	jmap_structure_make(&mime, &arena, &s);
	buf_clear(cut ? &pieces : &whole);
	jmap_email_start(&e, w, mime_header(&mime, mime.root), &s, S("M1"), true);
	while (jmap_email_next(&e, cut ? &out : &whole)) {
		buf_slice(&pieces, buf_get(&out));
		buf_clear(&out);
		steps++;
	}
	buf_slice(&pieces, buf_get(&out));
	jmap_email_end(&e);
	buf_fini(&out);
	return steps;
}

/* Arguments without their braces, with ' for ". */
static const char *
get(const char *args, struct slice m)
{
	static const struct json_bounds bounds = { 1 << 20, 16, 10000 };
	struct jmap_email_want w;
	struct buf text = { 0 };
	struct json_t *v = NULL;
	const char *why = "";

	arena_reset(&arena);
	buf_printf(&text, "{%s}", args);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\'')
			text.p[i] = '"';
	if (json_read(buf_get(&text), &bounds, &v, &why) < 0 ||
	    jmap_email_want_read(v, false, &arena, &w, &why) < 0) {
		buf_clear(&whole);
		buf_str(&whole, why);
	} else {
		(void)run(&w, m, false);
		(void)run(&w, m, true);
		if (!slice_eq(buf_get(&whole), buf_get(&pieces)))
			buf_str(&whole, " BUT IN PIECES ANOTHER");
	}
	json_free(&v);
	buf_fini(&text);
	for (size_t i = 0; i < whole.n; i++) /* as the tables have it */
		if (whole.p[i] == '"')
			whole.p[i] = '\'';
	return buf_cstr(&whole);
}

#define PROPERTIES(list) "'properties':[" list "]"
#define PARTS(list)      ",'bodyProperties':[" list "]"

#define PLAIN                                                                                      \
	"From: a@b.example\nSubject: Hi\nDate: Mon, 30 Nov 2026 18:30:00 +0100\n\nHello\nthere\n"

/* alternative in related in mixed, as most writers of today make it */
#define NESTED                                                                                     \
	"From: =?utf-8?q?J=C3=BCrgen?= <j@b.example>\nTo: a@b.example\nSubject: "                  \
	"=?utf-8?q?Gr=C3=BC=C3=9Fe?=\n"                                                            \
	"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"m\"\n\npreamble\n--m\n"      \
	"Content-Type: multipart/related; boundary=r; type=\"multipart/alternative\"\n\n--r\n"     \
	"Content-Type: multipart/alternative; boundary=a\n\n--a\n"                                 \
	"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" \
	"Gr=C3=BC=C3=9Fe=\n!\n\n--a\n"                                                             \
	"Content-Type: text/html; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\n\n"        \
	"PHA+R3LDvMOfZTxpbWcgc3JjPSJjaWQ6cEBiIj48L3A+\n--a--\n--r\n"                               \
	"Content-Type: image/png; name=\"p.png\"\nContent-Transfer-Encoding: base64\n"             \
	"Content-ID: <p@b>\nContent-Disposition: inline\n\niVBORw0KGgo=\n--r--\n--m\n"             \
	"Content-Type: application/pdf\nContent-Disposition: attachment;\n"                        \
	" filename*=utf-8''%C3%9Cbersicht.pdf\nContent-Transfer-Encoding: base64\n"                \
	"Content-Language: de, en\nContent-Location: "                                             \
	"http://x.example/a\n\nJVBERi0=\n--m--\nepilogue\n"
#define SIGNED                                                                                     \
	"Content-Type: multipart/signed; boundary=s; micalg=pgp-sha512;\n"                         \
	" protocol=\"application/pgp-signature\"\n\n--s\nContent-Type: "                           \
	"text/plain\n\nsigned\n--s\n"                                                              \
	"Content-Type: application/pgp-signature; name=signature.asc\n"                            \
	"Content-Disposition: attachment; filename=signature.asc\n\n-----BEGIN\n--s--\n"
#define SMIME                                                                                      \
	"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\n"           \
	"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; "                     \
	"filename=smime.p7m\n\nMIIB\n"
#define FORWARD                                                                                    \
	"Content-Type: multipart/mixed; boundary=f\n\n--f\n\nsee below\n--f\n"                     \
	"Content-Type: message/rfc822\n\nSubject: inner\nContent-Type: multipart/mixed; "          \
	"boundary=g\n\n"                                                                           \
	"--g\n\ninner text\n--g\nContent-Type: image/gif\n\nGIF\n--g--\n--f--\n"
#define TNEF                                                                                       \
	"Content-Type: multipart/mixed; boundary=t\n\n--t\nContent-Type: text/plain; "             \
	"charset=windows-1252\n\n"                                                                 \
	"sch\xf6n\n--t\nContent-Type: application/ms-tnef; name=\"winmail.dat\"\n"                 \
	"Content-Transfer-Encoding: base64\n\neJ8+Ig==\n--t--\n"
#define ENCRYPTED                                                                                  \
	"Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; "              \
	"boundary=e\n\n--e\n"                                                                      \
	"Content-Type: application/pgp-encrypted\n\nVersion: 1\n--e\n"                             \
	"Content-Type: application/octet-stream; name=encrypted.asc\n"                             \
	"Content-Disposition: inline; filename=encrypted.asc\n\n-----BEGIN PGP\n--e--\n"
#define TRACE                                                                                      \
	"Received: one\nReceived: two\n\tfolded\nX-A: =?utf-8?q?=C3=A9?=\nnonsense\nX-a: b\nTo: "  \
	"x@y.example\n"                                                                            \
	"Reply-To: r@b.example\nReferences: <1@x> <2@x>\nIn-Reply-To: <2@x>\nMessage-ID: <3@x>\n"  \
	"List-Post: <mailto:l@x.example>\n\n"

#define BODIES       "'textBody','htmlBody','attachments'"
#define VALUES       PROPERTIES("'bodyValues'")
#define CHECK(flags) "'isEncodingProblem':" flags

static const struct {
	const char *args, *msg, *want, *what;
	/* clang-format off */
} cases[] = {
	/* properties */
	{ PROPERTIES("'subject','from','sentAt'"), PLAIN,
	  "'subject':'Hi','from':[{'name':null,'email':'a@b.example'}],'sentAt':'2026-11-30T18:30:00+01:00'", "fields" },
	{ PROPERTIES("'to','cc','messageId'"), PLAIN, "'to':null,'cc':null,'messageId':null", "fields that are not there" },
	{ PROPERTIES(""), PLAIN, "", "no properties" },
	{ PROPERTIES("'id','size','keywords'"), PLAIN, "", "those of the store are the caller's" },
	{ PROPERTIES("'subject','subject','header:Subject:asText'"), PLAIN, "'subject':'Hi','header:Subject:asText':'Hi'", "one twice" },
	{ PROPERTIES("'header:Received:all'"), TRACE, "'header:Received:all':[' one',' two\\r\\n\\tfolded']", "all instances" },
	{ PROPERTIES("'header:Received'"), TRACE, "'header:Received':' two\\r\\n\\tfolded'", "the last instance" },
	{ PROPERTIES("'header:x-A:asText:all','header:X-a'"), TRACE, "'header:x-A:asText:all':['\xc3\xa9','b'],'header:X-a':' b'", "case is ignored, and kept" },
	{ PROPERTIES("'header:X-None:all'"), TRACE, "'header:X-None:all':[]", "all of none" },
	{ PROPERTIES("'header:X-None:asDate'"), TRACE, "'header:X-None:asDate':null", "none" },
	{ PROPERTIES("'references','inReplyTo','messageId','replyTo','header:List-POST:asURLs'"), TRACE,
	  "'references':['1@x','2@x'],'inReplyTo':['2@x'],'messageId':['3@x'],'replyTo':[{'name':null,'email':'r@b.example'}],'header:List-POST:asURLs':['mailto:l@x.example']", "a reply of a list" },
	{ PROPERTIES("'headers'"), PLAIN,
	  "'headers':[{'name':'From','value':' a@b.example'},{'name':'Subject','value':' Hi'},{'name':'Date','value':' Mon, 30 Nov 2026 18:30:00 +0100'}]", "headers" },
	{ PROPERTIES("'headers'"), "nonsense\nA:b\n\n", "'headers':[{'name':'A','value':'b'}]", "headers: a line that is none" },
	{ PROPERTIES("'headers'"), "\n", "'headers':[]", "headers: none" },
	{ PROPERTIES("'preview','hasAttachment'"), PLAIN, "'hasAttachment':false,'preview':'Hello there'", "a summary" },
	{ PROPERTIES("'preview','hasAttachment'"), NESTED, "'hasAttachment':true,'preview':'Gr\xc3\xbc\xc3\x9f" "e!'", "a summary of nested parts" },
	/* what cannot be */
	{ PROPERTIES("'Subject'"), PLAIN, "properties: 'Subject': no such property", "an unknown property" },
	{ PROPERTIES("'header:From:asText'"), PLAIN, "properties: 'header:From:asText': the field cannot be given in this form", "a form that is not allowed" },
	{ PROPERTIES("1"), PLAIN, "properties: '': a property is no string", "a property that is no string" },
	{ "'properties':'subject'", PLAIN, "properties: '': no list of properties", "no list" },
	{ PROPERTIES("") PARTS("'subject'"), PLAIN, "bodyProperties: 'subject': no such property", "parts have no convenience properties" },
	{ PROPERTIES("") PARTS("'header:Subject:asDate'"), PLAIN, "bodyProperties: 'header:Subject:asDate': the field cannot be given in this form", "the same of a part" },
	{ "'fetchTextBodyValues':1", PLAIN, "fetchTextBodyValues: neither true nor false", "a flag" },
	{ "'maxBodyValueBytes':-1", PLAIN, "maxBodyValueBytes: no whole number from 0", "a negative length" },
	{ "'maxBodyValueBytes':1.5", PLAIN, "maxBodyValueBytes: no whole number from 0", "half a byte" },
	/* the defaults, 4.2 */
	{ "", PLAIN, "'messageId':null,'inReplyTo':null,'references':null,'sender':null,'from':[{'name':null,'email':'a@b.example'}],"
	  "'to':null,'cc':null,'bcc':null,'replyTo':null,'subject':'Hi','sentAt':'2026-11-30T18:30:00+01:00','hasAttachment':false,'preview':'Hello there',"
	  "'textBody':[{'partId':'1','blobId':'M1-1','size':14,'name':null,'type':'text/plain','charset':'us-ascii','disposition':null,'cid':null,'language':null,'location':null}],"
	  "'htmlBody':[{'partId':'1','blobId':'M1-1','size':14,'name':null,'type':'text/plain','charset':'us-ascii','disposition':null,'cid':null,'language':null,'location':null}],"
	  "'attachments':[],'bodyValues':{}", "what a call gets that names nothing" },
	{ "'properties':null,'bodyProperties':['partId'],'fetchTextBodyValues':true", "\nx\n",
	  "'messageId':null,'inReplyTo':null,'references':null,'sender':null,'from':null,'to':null,'cc':null,'bcc':null,'replyTo':null,"
	  "'subject':null,'sentAt':null,'hasAttachment':false,'preview':'x','textBody':[{'partId':'1'}],'htmlBody':[{'partId':'1'}],'attachments':[],"
	  "'bodyValues':{'1':{'value':'x\\n','isEncodingProblem':false,'isTruncated':false}}", "null is the same" },
	/* parts */
	{ PROPERTIES(BODIES) PARTS("'partId','type'"), NESTED,
	  "'textBody':[{'partId':'1','type':'text/plain'}],'htmlBody':[{'partId':'2','type':'text/html'}],"
	  "'attachments':[{'partId':'3','type':'image/png'},{'partId':'4','type':'application/pdf'}]", "lists of nested parts" },
	{ PROPERTIES("'attachments'"), NESTED,
	  "'attachments':[{'partId':'3','blobId':'M1-3','size':8,'name':'p.png','type':'image/png','charset':null,'disposition':'inline','cid':'p@b','language':null,'location':null},"
	  "{'partId':'4','blobId':'M1-4','size':5,'name':'\xc3\x9c" "bersicht.pdf','type':'application/pdf','charset':null,'disposition':'attachment','cid':null,'language':['de','en'],'location':'http://x.example/a'}]", "parts in full" },
	{ PROPERTIES("'bodyStructure'") PARTS("'partId','blobId','type','size'"), NESTED,
	  "'bodyStructure':{'partId':null,'blobId':null,'size':0,'type':'multipart/mixed','subParts':["
	  "{'partId':null,'blobId':null,'size':0,'type':'multipart/related','subParts':["
	  "{'partId':null,'blobId':null,'size':0,'type':'multipart/alternative','subParts':["
	  "{'partId':'1','blobId':'M1-1','size':10,'type':'text/plain'},{'partId':'2','blobId':'M1-2','size':33,'type':'text/html'}]},"
	  "{'partId':'3','blobId':'M1-3','size':8,'type':'image/png'}]},{'partId':'4','blobId':'M1-4','size':5,'type':'application/pdf'}]}", "the structure" },
	{ PROPERTIES("'bodyStructure'") PARTS("'type','subParts'"), FORWARD,
	  "'bodyStructure':{'type':'multipart/mixed','subParts':[{'type':'text/plain','subParts':null},{'type':'message/rfc822','subParts':null}]}", "a message within has no parts" },
	{ PROPERTIES("'bodyStructure'") PARTS(""), PLAIN, "'bodyStructure':{}", "a structure without properties" },
	{ PROPERTIES("'bodyStructure'") PARTS("'headers'"), "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: y\n\n--b--\n",
	  "'bodyStructure':{'headers':[{'name':'Content-Type','value':' multipart/mixed; boundary=b'}],'subParts':[{'headers':[{'name':'X','value':' y'}]}]}", "headers of parts" },
	{ PROPERTIES("'attachments'") PARTS("'header:Content-Type','header:Content-ID:asMessageIds','header:X:asText:all'"), NESTED,
	  "'attachments':[{'header:Content-Type':' image/png; name=\\'p.png\\'','header:Content-ID:asMessageIds':['p@b'],'header:X:asText:all':[]},"
	  "{'header:Content-Type':' application/pdf','header:Content-ID:asMessageIds':null,'header:X:asText:all':[]}]", "fields of parts" },
	{ PROPERTIES(BODIES) PARTS("'partId'"), FORWARD,
	  "'textBody':[{'partId':'1'}],'htmlBody':[{'partId':'1'}],'attachments':[{'partId':'2'}]", "a forwarded message" },
	{ PROPERTIES("'attachments','hasAttachment'") PARTS("'partId','name'"), SIGNED,
	  "'hasAttachment':false,'attachments':[{'partId':'2','name':'signature.asc'}]", "a PGP signature is nothing to fetch" },
	{ PROPERTIES("'attachments','hasAttachment','textBody'") PARTS("'type'"), SMIME,
	  "'hasAttachment':true,'textBody':[],'attachments':[{'type':'application/pkcs7-mime'}]", "S/MIME" },
	{ PROPERTIES("'attachments','hasAttachment','textBody'") PARTS("'type','disposition'"), ENCRYPTED,
	  "'hasAttachment':true,'textBody':[],'attachments':[{'type':'application/pgp-encrypted','disposition':null},{'type':'application/octet-stream','disposition':'inline'}]", "PGP/MIME" },
	{ PROPERTIES("'attachments','textBody'") PARTS("'name','charset','size'"), TNEF,
	  "'textBody':[{'size':5,'name':null,'charset':'windows-1252'}],'attachments':[{'size':4,'name':'winmail.dat','charset':null}]", "TNEF" },
	{ PROPERTIES("'bodyStructure'") PARTS("'type','partId'"), "Content-Type: multipart/mixed; boundary=b\n\n--b\n\na\n",
	  "'bodyStructure':{'partId':null,'type':'multipart/mixed','subParts':[{'partId':'1','type':'text/plain'}]}", "the last boundary is missing" },
	{ PROPERTIES("'bodyStructure'") PARTS("'type','size'"), "Content-Type: multipart/mixed; boundary=b\n\nnever\n",
	  "'bodyStructure':{'size':0,'type':'multipart/mixed','subParts':[{'size':0,'type':'text/plain'}]}", "no boundary comes" },
	{ PROPERTIES("'bodyStructure'") PARTS("'type','charset'"), "Content-Type: text/html\n\nx\n", "'bodyStructure':{'type':'text/html','charset':'us-ascii'}", "a charset that is implicit" },
	{ PROPERTIES("'bodyStructure'") PARTS("'cid','name'"), "Content-Type: text/plain; name=\"=?utf-8?q?=C3=A4?=\"\nContent-ID: x\n\n",
	  "'bodyStructure':{'name':'\xc3\xa4','cid':'x'}", "an encoded name, an id without brackets" },
	{ PROPERTIES("'bodyStructure'") PARTS("'size'"), "Content-Transfer-Encoding: x-uuencode\n\nabc\n", "'bodyStructure':{'size':5}", "an unknown encoding: as it stands" },
	/* values */
	{ VALUES ",'fetchTextBodyValues':true", NESTED,
	  "'bodyValues':{'1':{'value':'Gr\xc3\xbc\xc3\x9f" "e!\\n'," CHECK("false") ",'isTruncated':false}}", "values of textBody" },
	{ VALUES ",'fetchHTMLBodyValues':true", NESTED,
	  "'bodyValues':{'2':{'value':'<p>Gr\xc3\xbc\xc3\x9f" "e<img src=\\'cid:p@b\\'></p>'," CHECK("false") ",'isTruncated':false}}", "values of htmlBody" },
	{ VALUES ",'fetchAllBodyValues':true,'maxBodyValueBytes':3", NESTED,
	  "'bodyValues':{'1':{'value':'Gr'," CHECK("false") ",'isTruncated':true},'2':{'value':'<p>'," CHECK("false") ",'isTruncated':true}}", "all, cut between characters" },
	{ VALUES, NESTED, "'bodyValues':{}", "no values are asked for" },
	{ VALUES ",'fetchAllBodyValues':true", TNEF, "'bodyValues':{'1':{'value':'sch\xc3\xb6n'," CHECK("false") ",'isTruncated':false}}", "Windows-1252" },
	{ VALUES ",'fetchAllBodyValues':true", FORWARD, "'bodyValues':{'1':{'value':'see below'," CHECK("false") ",'isTruncated':false}}", "nothing of a message within" },
	{ VALUES ",'fetchAllBodyValues':true", SMIME, "'bodyValues':{}", "nothing of what is no text" },
};
/* clang-format on */

static void
test_ends(void)
{
	static const struct json_bounds bounds = { 1 << 20, 16, 10000 };
	struct jmap_email_want w;
	struct json_t *v = NULL;
	const char *why = "";
	struct jmap_structure s;
	struct mime mime;
	size_t steps, n;

	/* ended after each of its steps, it leaves nothing behind: a sanitizer build sees that */
	arena_reset(&arena);
	ok(json_read(S("{\"fetchAllBodyValues\":true,\"maxBodyValueBytes\":5,\"properties\":["
		       "\"headers\","
		       "\"bodyStructure\",\"bodyValues\",\"subject\"]}"),
	       &bounds, &v, &why) == 0 &&
		jmap_email_want_read(v, false, &arena, &w, &why) == 0,
	    "arguments");
	mime_parse(crlf(NESTED), &arena, &mime);
	jmap_structure_make(&mime, &arena, &s);
	steps = run(&w, mime.msg, true);
	for (n = 0; n < steps; n++) {
		struct jmap_email e;
		struct buf out = { 0 };

		jmap_email_start(&e, &w, mime_header(&mime, mime.root), &s, S("M"), true);
		for (size_t i = 0; i < n; i++)
			(void)jmap_email_next(&e, &out);
		jmap_email_end(&e);
		buf_fini(&out);
	}
	eq(n, steps, "ended after any step");
	ok(jmap_email_wants_body(&w), "a body is wanted");
	json_free(&v);
	ok(json_read(S("{\"properties\":[\"id\",\"subject\",\"headers\"]}"), &bounds, &v, &why) ==
		    0 &&
		jmap_email_want_read(v, false, &arena, &w, &why) == 0 && !jmap_email_wants_body(&w),
	    "no body is wanted");
	json_free(&v);
}

static void
test_blob(void)
{
	struct slice blob = S("M-x-12"), part;

	ok(jmap_blob_cut(&blob, &part) && slice_eq(blob, S("M-x")) && slice_eq(part, S("12")),
	    "a part's blobId");
	blob = S("M");
	ok(!jmap_blob_cut(&blob, &part), "a message's");
}

static void
test_bounds(void)
{
	struct buf big = { 0 }, args = { 0 };
	const char *text;

	/* a header beyond what is looked at */
	buf_lit(&big, "Subject: a\r\n");
	while (big.n < JMAP_HEADER_MAX)
		buf_lit(&big, "X-Junk: 1234567890123456789012345678901234567890\r\n");
	buf_lit(&big, "Subject: b\r\n\r\nx\r\n");
	is(get(PROPERTIES("'subject'"), buf_get(&big)), "'subject':'a'", "a header without end");
	buf_lit(&args, "'properties':[");
	for (int i = 0; i <= JMAP_PROPERTIES_MAX; i++)
		buf_printf(&args, "%s'header:X-%d'", i ? "," : "", i);
	buf_lit(&args, "]");
	is(get(buf_cstr(&args), S("\r\n")), "properties: '': too many properties",
	    "more properties than there may be");
	buf_clear(&args);
	buf_lit(&args, "'properties':['header:");
	for (int i = 0; i < JMAP_PROPERTY_MAX; i++)
		buf_char(&args, 'x');
	buf_lit(&args, "']");
	text = get(buf_cstr(&args), S("\r\n"));
	ok(strstr(text, "the name is too long"), "a name of a property that is too long");
	buf_fini(&big);
	buf_fini(&args);
}

int
main(void)
{
	for (size_t i = 0; i < NELEM(cases); i++)
		is(get(cases[i].args, crlf(cases[i].msg)), cases[i].want, "%s", cases[i].what);
	test_ends();
	test_blob();
	test_bounds();
	buf_fini(&msg);
	buf_fini(&whole);
	buf_fini(&pieces);
	arena_reset(&arena);
	return done();
}
