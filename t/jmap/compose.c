/* Messages made from Emails that clients create: what is written, and each thing that cannot be
 * (RFC 8621 4.6). */
#include "../tap.h"
#include "jmap/compose.h"
#include "jmap/email-write.h"

#include <errno.h>

static struct buf out;
static struct arena arena;
static const struct json_bounds bounds = { 4 << 20, 64, 100000 };
static const struct jmap_compose_facts facts = { 1796063400, 60, { "UNIQUE", 6 },
	{ "x.example", 9 } };

/* Blobs: `big` is 100,000 octets, others are themselves; given in pieces, with -EAGAIN before each. */
struct blobs {
	const struct jmap_compose *c;
	bool waited;
	size_t piece;
};

static ssize_t
blob_read(void *arg, size_t i, uint64_t at, struct buf *to)
{
	struct blobs *b = arg;
	struct slice id = b->c->blobs[i];
	size_t all = slice_eq(id, S("big")) ? 100000 : id.n, n = all - at;

	b->waited = !b->waited;
	if (b->waited)
		return -EAGAIN;
	if (slice_eq(id, S("bad")))
		return -EIO;
	n = n < b->piece ? n : b->piece;
	for (size_t k = 0; k < n; k++)
		buf_char(to, all == id.n ? id.p[at + k] : (char)((at + k) * 7));
	return (ssize_t)n;
}

static struct json_t *
read_json(const char *text)
{
	struct buf b = { 0 };
	struct json_t *v = NULL;
	const char *why = "";

	for (; *text; text++)
		buf_char(&b, *text == '\'' ? '"' : *text);
	if (json_read(buf_get(&b), &bounds, &v, &why) < 0)
		printf("# the test's own JSON: %s\n", why);
	buf_fini(&b);
	return v;
}

static int
compose_value(const struct json_t *v, size_t piece)
{
	struct jmap_compose c;
	struct blobs b = { &c, false, piece };
	struct jmap_compose_blobs source = { blob_read, &b };
	int r;

	buf_clear(&out);
	arena_reset(&arena);
	if (jmap_compose_read(&c, v, &facts, &arena) < 0) {
		for (size_t i = 0; i < c.nwrong; i++)
			buf_printf(&out, "%s" SFMT ": %s", i ? "; " : "", SARG(c.wrong[i].path),
			    c.wrong[i].why);
		jmap_compose_end(&c);
		return -EBADMSG;
	}
	while ((r = jmap_compose_next(&c, &source, &out)) == 1 || r == -EAGAIN)
		;
	jmap_compose_end(&c);
	return r;
}

/* The message with LF for CRLF, "BARE" where an LF came alone; or what is wrong. */
static const char *
compose(const char *json)
{
	struct json_t *v = read_json(json);
	struct buf text = { 0 };

	if (compose_value(v, 1000) == 0) {
		for (size_t i = 0; i < out.n; i++)
			if (out.p[i] == '\n' && (i == 0 || out.p[i - 1] != '\r'))
				buf_str(&text, "BARE");
			else if (out.p[i] != '\r')
				buf_char(&text, out.p[i]);
		buf_clear(&out);
		buf_slice(&out, buf_get(&text));
	}
	buf_fini(&text);
	json_free(&v);
	return buf_cstr(&out);
}

#define DATE          "Date: Mon, 30 Nov 2026 19:30:00 +0100\n"
#define ID            "Message-ID: <UNIQUE@x.example>\n"
#define MIME          "MIME-Version: 1.0\n"
#define DEFAULTS      DATE ID MIME
#define UTF8          "Content-Type: text/plain; charset=utf-8\n"
#define HTML          "Content-Type: text/html; charset=utf-8\n"
#define MULTI(sub, n) "Content-Type: multipart/" sub ";\n boundary=\"=_" n "_UNIQUE\"\n\n"
#define BOUND(n)      "--=_" n "_UNIQUE"
#define VALUES        "'bodyValues':{'t':{'value':'Hi\\n'},'h':{'value':'<p>Hi</p>'}}"
#define TEXT          "'textBody':[{'partId':'t'}]"
#define HTMLBODY      "'htmlBody':[{'partId':'h','type':'text/html'}]"

static const struct {
	const char *json, *want, *what;
	/* clang-format off */
} messages[] = {
	{ "{}", DEFAULTS UTF8 "\n", "nothing but a message" },
	{ "{'from':[{'name':'J\xc3\xbcrgen','email':'j@b.example'}],'to':[{'email':'a@b.example'}],'subject':'Gr\xc3\xbc\xc3\x9f" "e',"
	  VALUES "," TEXT "}",
	  "From: =?utf-8?q?J=C3=BCrgen?= <j@b.example>\nTo: a@b.example\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n" DEFAULTS UTF8 "\nHi\n", "a text" },
	{ "{'sentAt':'2026-11-30T10:00:00Z','messageId':['m@b'],'header:MIME-Version':' 1.0 (x)'}",
	  "Date: Mon, 30 Nov 2026 10:00:00 +0000\nMessage-ID: <m@b>\nMIME-Version: 1.0 (x)\n" UTF8 "\n", "what the client says is not said again" },
	{ "{'subject':null,'to':null,'bodyValues':null,'textBody':null,'attachments':null,'mailboxIds':{'x':true},'keywords':{},'receivedAt':'2026-11-30T10:00:00Z'}",
	  DEFAULTS UTF8 "\n", "null is nothing" },
	{ "{'references':['a@b','c@d'],'inReplyTo':['c@d'],'replyTo':[{'name':null,'email':'r@b.example'}],'bcc':[{'email':'s@b.example'}]}",
	  "References: <a@b> <c@d>\nIn-Reply-To: <c@d>\nReply-To: r@b.example\nBcc: s@b.example\n" DEFAULTS UTF8 "\n", "an answer, with Bcc" },
	{ "{'to':[],'references':[]}", DEFAULTS UTF8 "\n", "an empty list is no field" },
	{ "{'header:X-Raw':' as it \\r\\n\\tstands','header:X-A:asText:all':['one','tw\xc3\xb6'],'header:List-Post:asURLs':['mailto:l@b.example','http://x/']}",
	  "X-Raw: as it \n\tstands\nX-A: one\nX-A: =?utf-8?q?tw=C3=B6?=\nList-Post: <mailto:l@b.example>, <http://x/>\n" DEFAULTS UTF8 "\n", "forms" },
	{ "{'header:To:asGroupedAddresses':[{'name':null,'addresses':[{'email':'a@b.example'}]},{'name':'G, H','addresses':[{'name':'A','email':'c@d.example'},{'email':'e@f.example'}]},{'name':'E','addresses':[]}]}",
	  "To: a@b.example, \"G, H\": A <c@d.example>, e@f.example;, E: ;\n" DEFAULTS UTF8 "\n", "groups" },
	{ "{'subject':'a\\r\\nBcc: x@y.example\\u0000\\u0007b'}", "Subject: a  Bcc: x@y.example  b\n" DEFAULTS UTF8 "\n", "a line end in a subject is a blank" },
	{ "{'from':[{'name':'a\\r\\nX: y','email':'a@b.example'}]}", "From: \"a  X: y\" <a@b.example>\n" DEFAULTS UTF8 "\n", "and in a name" },
	{ "{'to':[{'name':'A \\'B\\'','email':'a@b.example'},{'email':'half'},{'email':'a b, c@d'},{'name':'N','email':''},{'email':'\\'q r\\'@x.example'}]}",
	  "To: \"A \\\"B\\\"\" <a@b.example>, half, \"a b, c@d\", N <>, \"q r\"@x.example\n" DEFAULTS UTF8 "\n", "a draft's addresses" },
	{ "{'to':[{'email':'a@b\xc3\xbc" "cher.example'},{'email':'p\xc3\xb6st@b\xc3\xbc" "cher.example'}]}",
	  "To: a@xn--bcher-kva.example, p\xc3\xb6st@b\xc3\xbc" "cher.example\n" DEFAULTS UTF8 "\n", "addresses beyond ASCII" },
	/* bodies */
	{ "{" VALUES "," HTMLBODY "}", DEFAULTS HTML "\n<p>Hi</p>\n", "HTML alone, with a last line end" },
	{ "{" VALUES "," TEXT "," HTMLBODY "}",
	  DEFAULTS MULTI("alternative", "1") BOUND("1") "\n" UTF8 "\nHi\n\n" BOUND("1") "\n" HTML "\n<p>Hi</p>\n" BOUND("1") "--\n", "alternatives" },
	{ "{" VALUES "," TEXT ",'attachments':[{'blobId':'PDF','type':'application/pdf','name':'a b.pdf'}]}",
	  DEFAULTS MULTI("mixed", "1") BOUND("1") "\n" UTF8 "\nHi\n\n" BOUND("1") "\nContent-Type: application/pdf; name=\"a b.pdf\"\n"
	  "Content-Disposition: attachment; filename=\"a b.pdf\"\nContent-Transfer-Encoding: base64\n\nUERG\n" BOUND("1") "--\n", "an attachment" },
	{ "{" VALUES "," TEXT "," HTMLBODY ",'attachments':[{'blobId':'X','type':'image/png','cid':'c@b','disposition':'inline'},{'blobId':'Y'}]}",
	  DEFAULTS MULTI("mixed", "2") BOUND("2") "\n" MULTI("alternative", "3") BOUND("3") "\n" UTF8 "\nHi\n\n" BOUND("3") "\n" MULTI("related", "1")
	  BOUND("1") "\n" HTML "\n<p>Hi</p>\n" BOUND("1") "\nContent-Type: image/png\nContent-ID: <c@b>\nContent-Disposition: inline\nContent-Transfer-Encoding: base64\n\nWA==\n" BOUND("1") "--\n"
	  BOUND("3") "--\n" BOUND("2") "\nContent-Type: application/octet-stream\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\n\nWQ==\n" BOUND("2") "--\n", "inline pictures and an attachment" },
	{ "{'attachments':[{'blobId':'Subject: in\\r\\n\\r\\nbody','type':'message/rfc822'}]}",
	  DEFAULTS MULTI("mixed", "1") BOUND("1") "\nContent-Type: message/rfc822\nContent-Disposition: attachment\nContent-Transfer-Encoding: 8bit\n\nSubject: in\n\nbody\n" BOUND("1") "--\n", "a message as it is" },
	{ "{'attachments':[{'blobId':'x','type':'text/plain','charset':'iso-8859-1','name':'\xc3\x9c.txt','language':['de','en'],'location':'http://x/','size':1}]}",
	  DEFAULTS MULTI("mixed", "1") BOUND("1") "\nContent-Type: text/plain; charset=\"iso-8859-1\"; name*=utf-8''%C3%9C.txt\n"
	  "Content-Disposition: attachment; filename*=utf-8''%C3%9C.txt\nContent-Language: de, en\nContent-Location: http://x/\nContent-Transfer-Encoding: base64\n\neA==\n" BOUND("1") "--\n", "all properties of a part" },
	{ "{'textBody':[{'blobId':'text'}]}", DEFAULTS "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\ndGV4dA==\n", "a blob as the text" },
	{ "{'bodyValues':{'t':{'value':'Gr\xc3\xbc\xc3\x9f" "e an alle, die dies lesen'}},'textBody':[{'partId':'t','type':'text/plain'}]}",
	  DEFAULTS UTF8 "Content-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe an alle, die dies lesen\n", "quoted-printable" },
	{ "{'bodyValues':{'t':{'value':'\xe6\x97\xa5\xe6\x9c\xac\\n'}},'textBody':[{'partId':'t'}]}",
	  DEFAULTS UTF8 "Content-Transfer-Encoding: base64\n\n5pel5pysDQo=\n", "base64, with CRLF in it" },
	{ "{'bodyValues':{'t':{'value':'a\\r\\nb\\rc\\u0000'}},'textBody':[{'partId':'t'}]}",
	  DEFAULTS UTF8 "Content-Transfer-Encoding: base64\n\nYQ0KYg1jAA==\n", "controls" },
	/* bodyStructure */
	{ "{" VALUES ",'bodyStructure':{'type':'multipart/alternative','subParts':[{'partId':'t'},{'partId':'h','type':'text/html','header:X-Part:asText':'p'}],'header:X-Root':' r'}}",
	  DEFAULTS "Content-Type: multipart/alternative; boundary=\"=_1_UNIQUE\"\nX-Root: r\n\n" BOUND("1") "\n" UTF8 "\nHi\n\n" BOUND("1") "\n" HTML "X-Part: p\n\n<p>Hi</p>\n" BOUND("1") "--\n", "a structure" },
	{ "{'bodyStructure':{'header:Content-Type':' multipart/signed; micalg=pgp-sha512;\\r\\n protocol=\\\"application/pgp-signature\\\"','subParts':[{'blobId':'a'},{'blobId':'b','type':'application/pgp-signature'}]}}",
	  DEFAULTS "Content-Type: multipart/signed; micalg=pgp-sha512;\n protocol=\"application/pgp-signature\";\n boundary=\"=_1_UNIQUE\"\n\n"
	  BOUND("1") "\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\nYQ==\n" BOUND("1") "\nContent-Type: application/pgp-signature\nContent-Transfer-Encoding: base64\n\nYg==\n" BOUND("1") "--\n", "a type with parameters" },
	{ "{'bodyStructure':{'header:Content-Type':' multipart/mixed; boundary=mine','subParts':[{'blobId':'a'}]}}",
	  DEFAULTS "Content-Type: multipart/mixed; boundary=mine\n\n--mine\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\nYQ==\n--mine--\n", "a boundary of the client's" },
	{ "{" VALUES ",'bodyStructure':{'partId':'t','header:content-type':'Text/Plain; charset=UTF-8; format=flowed'}}",
	  DEFAULTS "Content-Type: Text/Plain; charset=UTF-8; format=flowed\n\nHi\n", "text with parameters" },
	{ "{'bodyStructure':{'subParts':[{'blobId':'a','disposition':'inline','name':'n'}]}}",
	  DEFAULTS "Content-Type: multipart/mixed; boundary=\"=_1_UNIQUE\"\n\n" BOUND("1") "\nContent-Type: application/octet-stream; name=\"n\"\nContent-Disposition: inline; filename=\"n\"\n"
	  "Content-Transfer-Encoding: base64\n\nYQ==\n" BOUND("1") "--\n", "parts without a type are mixed" },
};

static const struct {
	const char *json, *want;
} wrongs[] = {
	{ "1", ": no Email" },
	{ "{'nonsense':1}", "nonsense: no such property" },
	{ "{'id':'x','blobId':'x','threadId':'x','size':1,'hasAttachment':true,'preview':'x'}",
	  "id: the server sets it; blobId: the server sets it; threadId: the server sets it; size: the server sets it; hasAttachment: the server sets it; preview: the server sets it" },
	{ "{'headers':[]}", "headers: each field is a property of its own" },
	{ "{'from':[{'email':'a@b'}],'header:From:asRaw':' x'}", "header:From:asRaw: the field is given twice" },
	{ "{'header:X-A':' x','header:x-a:asText':'y'}", "header:x-a:asText: the field is given twice" },
	{ "{'header:X-A':' x','header:X-A:all':[' y']}", "header:X-A:all: the field is given twice" },
	{ "{'header:Subject:asDate':'2026-11-30T10:00:00Z'}", "header:Subject:asDate: the field cannot be given in this form" },
	{ "{'header:From:asText':'x'}", "header:From:asText: the field cannot be given in this form" },
	{ "{'header:Content-Type':'text/plain'}", "header:Content-Type: the fields of a content belong to its part" },
	{ "{'header:content-x:asText':'y'}", "header:content-x:asText: the fields of a content belong to its part" },
	{ "{'header:A b':'y'}", "header:A b: no name of a header field" },
	{ "{'subject':1}", "subject: no string" },
	{ "{'to':'a@b'}", "to: no list" },
	{ "{'to':['a@b']}", "to: an address has no email" },
	{ "{'to':[{'name':'x'}]}", "to: an address has no email" },
	{ "{'to':[{'email':'a@b','name':1}]}", "to: a name is no string" },
	{ "{'to':[{'email':'a@b','mail':'x'}]}", "to: an address has a name and an email" },
	{ "{'to':[{'email':'a@b\\r\\nX: y'}]}", "to: a control character is in an email" },
	{ "{'header:To:asGroupedAddresses':[{'name':1,'addresses':[]}]}", "header:To:asGroupedAddresses: a name is no string" },
	{ "{'header:To:asGroupedAddresses':[{'name':'x'}]}", "header:To:asGroupedAddresses: no list" },
	{ "{'messageId':['a b']}", "messageId: an element of it cannot stand in angle brackets" },
	{ "{'messageId':['<a@b>']}", "messageId: an element of it cannot stand in angle brackets" },
	{ "{'messageId':['a\\r\\nb']}", "messageId: an element of it cannot stand in angle brackets" },
	{ "{'messageId':'a@b'}", "messageId: no list" },
	{ "{'sentAt':'yesterday'}", "sentAt: no date" },
	{ "{'sentAt':1}", "sentAt: no date" },
	{ "{'header:X':'a\\nb'}", "header:X: a control character is in it" },
	{ "{'header:X':'a\\rb'}", "header:X: a control character is in it" },
	{ "{'header:X':'a\\u0000b'}", "header:X: a control character is in it" },
	{ "{'header:X':'a\\r\\nBcc: x'}", "header:X: a line of it does not go on" },
	{ "{'header:X':'a\\r\\n'}", "header:X: a line of it does not go on" },
	{ "{'header:X':'a\\r\\n \\r\\n b'}", "header:X: a line of it does not go on" },
	{ "{'header:X:asText:all':'a'}", "header:X:asText:all: no list" },
	/* bodies */
	{ "{" VALUES "," TEXT ",'bodyStructure':{'partId':'t'}}", "textBody: bodyStructure says the same" },
	{ "{'bodyStructure':{'blobId':'x'},'attachments':[],'htmlBody':[]}", "htmlBody: bodyStructure says the same; attachments: bodyStructure says the same" },
	{ "{'subject':'x','bodyStructure':{'blobId':'x','header:Subject':' y'}}", "bodyStructure/header:Subject: the message has the field already" },
	{ "{'textBody':[]}", "textBody: exactly one part can be" },
	{ "{" VALUES ",'textBody':[{'partId':'t'},{'partId':'t'}]}", "textBody: exactly one part can be" },
	{ "{" VALUES ",'textBody':[{'partId':'h','type':'text/html'}]}", "textBody/0/type: textBody is text/plain" },
	{ "{" VALUES ",'htmlBody':[{'partId':'t'}]}", "htmlBody/0/type: htmlBody is text/html" },
	{ "{'textBody':{'partId':'t'}}", "textBody: exactly one part can be" },
	{ "{'attachments':{}}", "attachments: no list" },
	{ "{'attachments':['x']}", "attachments/0: no part" },
	{ "{'bodyValues':[]}", "bodyValues: no object" },
	/* parts */
	{ "{" VALUES ",'textBody':[{'partId':'t','blobId':'x'}]}", "textBody/0/blobId: a part has a partId or a blobId, not both" },
	{ "{'textBody':[{'type':'text/plain'}]}", "textBody/0/partId: a part has a partId or a blobId" },
	{ "{'textBody':[{'partId':'t'}]}", "textBody/0/partId: bodyValues has no such text" },
	{ "{'bodyValues':{'t':{}},'textBody':[{'partId':'t'}]}", "textBody/0/partId: bodyValues has no such text" },
	{ "{" VALUES ",'textBody':[{'partId':'t','charset':'utf-8'}]}", "textBody/0/charset: the charset of bodyValues is the server's to choose" },
	{ "{" VALUES ",'textBody':[{'partId':'t','size':3}]}", "textBody/0/size: the size follows from the text" },
	{ "{'bodyValues':{'t':{'value':'x','isTruncated':true,'isEncodingProblem':true}},'textBody':[{'partId':'t'}]}",
	  "bodyValues/t/isEncodingProblem: a text that is given is whole; bodyValues/t/isTruncated: a text that is given is whole" },
	{ "{'attachments':[{'blobId':'x','headers':[]}]}", "attachments/0/headers: each field is a property of its own" },
	{ "{'attachments':[{'blobId':'x','subject':'y'}]}", "attachments/0/subject: no such property" },
	{ "{'attachments':[{'blobId':'x','header:Content-Transfer-Encoding':'8bit'}]}", "attachments/0/header:Content-Transfer-Encoding: the encoding is the server's to choose" },
	{ "{'attachments':[{'blobId':'x','type':'a/b','header:Content-Type':'a/b'}]}", "attachments/0/type: the field is given twice" },
	{ "{'attachments':[{'blobId':'x','charset':'y','header:Content-Type':'a/b'}]}", "attachments/0/charset: the field is given twice" },
	{ "{'attachments':[{'blobId':'x','name':'y','header:Content-Type':'a/b'}]}", "attachments/0/name: the field is given twice" },
	{ "{'attachments':[{'blobId':'x','disposition':'inline','header:Content-Disposition':'inline'}]}", "attachments/0/disposition: the field is given twice" },
	{ "{'attachments':[{'blobId':'x','cid':'y','header:Content-ID':'<y>'}]}", "attachments/0/cid: the field is given twice" },
	{ "{'attachments':[{'blobId':'x','language':['de'],'header:Content-Language':'de'}]}", "attachments/0/language: the field is given twice" },
	{ "{'attachments':[{'blobId':'x','location':'y','header:Content-Location:asText':'y'}]}", "attachments/0/location: the field is given twice" },
	{ "{'attachments':[{'blobId':'x','header:X':'y','header:x:asText':'y'}]}", "attachments/0/header:x:asText: the field is given twice" },
	{ "{'attachments':[{'blobId':'x','header:Subject:asDate':'y'}]}", "attachments/0/header:Subject:asDate: the field cannot be given in this form" },
	{ "{'attachments':[{'blobId':'x','type':'text'}]}", "attachments/0/type: no media type" },
	{ "{'attachments':[{'blobId':'x','type':'text/plain; a=b'}]}", "attachments/0/type: no media type" },
	{ "{'attachments':[{'blobId':'x','type':'text/pl\\r\\nain'}]}", "attachments/0/type: no media type" },
	{ "{'attachments':[{'blobId':'x','type':'a/b','charset':'x y'}]}", "attachments/0/charset: no charset" },
	{ "{'attachments':[{'blobId':'x','disposition':'a b'}]}", "attachments/0/disposition: no disposition" },
	{ "{'attachments':[{'blobId':'x','cid':'a\\r\\nb'}]}", "attachments/0/cid: no such value can be" },
	{ "{'attachments':[{'blobId':'x','cid':'<a>'}]}", "attachments/0/cid: no such value can be" },
	{ "{'attachments':[{'blobId':'x','location':'a b'}]}", "attachments/0/location: no such value can be" },
	{ "{'attachments':[{'blobId':'x','language':['a;b']}]}", "attachments/0/language: an element of it is no language" },
	{ "{'attachments':[{'blobId':'x','language':'de'}]}", "attachments/0/language: no list" },
	{ "{'attachments':[{'blobId':'x','name':'a\\nb'}]}", "attachments/0/name: a control character is in it" },
	{ "{'attachments':[{'blobId':1}]}", "attachments/0/blobId: no string; attachments/0/partId: a part has a partId or a blobId" },
	{ "{'bodyStructure':{'type':'multipart/mixed','subParts':[]}}", "bodyStructure/subParts: a multipart has parts" },
	{ "{'bodyStructure':{'type':'multipart/mixed'}}", "bodyStructure/subParts: a multipart has parts" },
	{ "{'bodyStructure':{'type':'multipart/mixed','blobId':'x','subParts':[{'blobId':'x'}]}}", "bodyStructure/blobId: a multipart has parts alone" },
	{ "{'bodyStructure':{'type':'text/plain','blobId':'x','subParts':[{'blobId':'x'}]}}", "bodyStructure/subParts: only a multipart has parts" },
	{ "{'bodyStructure':{'type':'multipart/mixed','subParts':[{'blobId':'x'},{'partId':'q'}]}}", "bodyStructure/subParts/1/partId: bodyValues has no such text" },
	{ "{'bodyStructure':{'header:Content-Type':'multipart/mixed; boundary=\\\"a*b\\\"','subParts':[{'blobId':'x'}]}}", "bodyStructure/header:Content-Type: no boundary can be so" },
	{ "{" VALUES ",'bodyStructure':{'partId':'t','header:Content-Type':'text/plain; charset=latin1'}}", "bodyStructure/header:Content-Type: text of bodyValues has the charset utf-8" },
	{ "{" VALUES ",'attachments':[{'partId':'t','type':'image/png'}]}", "attachments/0/type: a part of bodyValues is text" },
	{ "{'to':1,'cc':1,'bcc':1,'from':1}", "to: no list; cc: no list; bcc: no list; from: no list" },
};
/* clang-format on */

static void
test_bounds(void)
{
	struct buf json = { 0 };
	struct jmap_compose c;
	struct json_t *v;

	buf_lit(&json, "{'attachments':[{'blobId':'x'}");
	for (int i = 0; i < JMAP_COMPOSE_PARTS_MAX; i++)
		buf_lit(&json, ",{'blobId':'x'}");
	buf_lit(&json, "]}");
	is(compose(buf_cstr(&json)), "attachments/1000: too many parts", "too many parts");
	buf_clear(&json);
	buf_lit(&json, "{'bodyStructure':");
	for (int i = 0; i < 25; i++)
		buf_lit(&json, "{'subParts':[");
	buf_lit(&json, "{'blobId':'x'}");
	for (int i = 0; i < 25; i++)
		buf_lit(&json, "]}");
	buf_lit(&json, "}");
	ok(strstr(compose(buf_cstr(&json)), "eA=="), "deep");
	v = read_json("{'attachments':[{'blobId':'a'},{'blobId':'bad'}]}");
	eq(compose_value(v, 10), -EIO, "a blob that cannot be read");
	ok(jmap_compose_read(&c, v, &facts, &arena) == 0 && c.nblobs == 2 &&
		slice_eq(c.blobs[1], S("bad")),
	    "which blobs are needed");
	jmap_compose_end(&c);
	json_free(&v);
	buf_fini(&json);
}

/* The message of `out`, read again: a body part's text, or octets. */
static bool
read_again(size_t part, struct slice want)
{
	struct jmap_structure s;
	struct text_reader t;
	struct buf body = { 0 };
	struct mime m;
	bool same;

	mime_parse(buf_get(&out), &arena, &m);
	jmap_structure_make(&m, &arena, &s);
	text_open_part(&t, &m, s.all.p[part]->mime);
	while (text_next_octets(&t, &body))
		;
	text_close(&t);
	same = slice_eq(buf_get(&body), want);
	buf_fini(&body);
	return same;
}

static size_t
longest_line(void)
{
	struct slice s = buf_get(&out), line;
	size_t most = 0;

	while (slice_cut(&s, '\n', &line))
		most = line.n > most ? line.n : most;
	return most;
}

/* Long contents, in pieces of each kind. */
static void
test_long(void)
{
	static const char *const units[] = { "plain text\n",
		"g\xc3\xbc n\xc3\xb6 and some more text \n", "\xe6\x97\xa5\xe6\x9c\xac\n", "x",
		"\xc3\xbc", "\xe6\x97\xa5", "ab\r\n", "\t \r" };
	struct buf want = { 0 }, json = { 0 }, first = { 0 };
	struct json_t *v;

	for (size_t i = 0; i < NELEM(units); i++) {
		buf_clear(&want);
		buf_clear(&json);
		buf_lit(&json,
		    "{'textBody':[{'partId':'t'}],'attachments':[{'blobId':'x'}],'bodyValues':{'t':"
		    "{'value':\"");
		for (size_t k = 0; k < 30000; k++) {
			json_chars(&json, slice_str(units[i]));
			for (const char *p = units[i]; *p; p++) {
				if (*p == '\n' && (p == units[i] || p[-1] != '\r'))
					buf_char(&want, '\r');
				buf_char(&want, *p);
			}
		}
		buf_lit(&json, "\"}}}");
		v = read_json(buf_cstr(&json));
		ok(compose_value(v, 1000) == 0 && read_again(0, buf_get(&want)) &&
			longest_line() < 999,
		    "long text, kind %zu", i);
		json_free(&v);
	}
	buf_clear(&want);
	for (size_t k = 0; k < 100000; k++)
		buf_char(&want, (char)(k * 7));
	v = read_json("{'attachments':[{'blobId':'big'}]}");
	ok(compose_value(v, 65536) == 0 && read_again(0, buf_get(&want)) && longest_line() == 77,
	    "a long blob");
	buf_slice(&first, buf_get(&out));
	ok(compose_value(v, 1) == 0 && slice_eq(buf_get(&first), buf_get(&out)),
	    "octet by octet it is the same");
	json_free(&v);
	buf_fini(&want);
	buf_fini(&json);
	buf_fini(&first);
}

int
main(void)
{
	for (size_t i = 0; i < NELEM(messages); i++)
		is(compose(messages[i].json), messages[i].want, "%s", messages[i].what);
	for (size_t i = 0; i < NELEM(wrongs); i++)
		is(compose(wrongs[i].json), wrongs[i].want, "%s", wrongs[i].json);
	test_bounds();
	test_long();
	buf_fini(&out);
	arena_reset(&arena);
	return done();
}
