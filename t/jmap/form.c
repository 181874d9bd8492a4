/* Header properties: their names, and fields in each form (RFC 8621 4.1.2, 4.1.3). */
#include "../tap.h"
#include "jmap/email-form.h"

#include <errno.h>

static struct buf out;
static struct arena arena;

static const char *
form(enum jmap_form f, const char *value)
{
	buf_clear(&out);
	arena_reset(&arena);
	jmap_form_write(&out, f, slice_str(value), &arena);
	return buf_cstr(&out);
}

#define TEXT JMAP_FORM_TEXT
#define ADDR JMAP_FORM_ADDRESSES
#define GRPS JMAP_FORM_GROUPED
#define IDS  JMAP_FORM_MESSAGE_IDS
#define DATE JMAP_FORM_DATE
#define URLS JMAP_FORM_URLS
#define RAW  JMAP_FORM_RAW

/* The group of 4.1.2.3 and 4.1.2.4. */
#define GROUP                                                                                      \
	" \"  James Smythe\" <james@example.com>, Friends:\r\n jane@example.com, "                 \
	"=?UTF-8?Q?John_Sm=C3=AEth?=\r\n <john@example.com>;"
#define JAMES "{\"name\":\"James Smythe\",\"email\":\"james@example.com\"}"
#define JANE  "{\"name\":null,\"email\":\"jane@example.com\"}"
#define JOHN                                                                                       \
	"{\"name\":\"John Sm\xc3\xae"                                                              \
	"th\",\"email\":\"john@example.com\"}"

static const struct {
	enum jmap_form form;
	const char *value, *want, *what;
	/* clang-format off */
} values[] = {
	{ RAW, " Hello\r\n world", "\" Hello\\r\\n world\"", "raw: as it stands" },
	{ RAW, " caf\xe9", "\" caf\xef\xbf\xbd\"", "raw: octets that are no UTF-8" },
	{ RAW, "", "\"\"", "raw: empty" },
	{ TEXT, " Hello", "\"Hello\"", "text: the blank behind the colon" },
	{ TEXT, "   two  blanks ", "\"two  blanks \"", "text: blanks within and behind stay" },
	{ TEXT, " a\r\n b\r\n\tc", "\"a b\\tc\"", "text: folds are undone, blanks stay" },
	{ TEXT, " =?utf-8?q?Caf=C3=A9?= =?utf-8?b?w6k=?=", "\"Caf\xc3\xa9\xc3\xa9\"", "text: adjacent words" },
	{ TEXT, " =?iso-8859-1?Q?a=FC?= b", "\"a\xc3\xbc b\"", "text: a word and text" },
	{ TEXT, " =?utf-8?q?a=00b=0D=0Ac=7F?=", "\"abc\"", "text: controls in words are left out" },
	{ TEXT, " =?x-nobody?q?a?=", "\"=?x-nobody?q?a?=\"", "text: an unknown charset stays" },
	{ TEXT, " =?utf-8?x?a?= =?utf-8?q?a", "\"=?utf-8?x?a?= =?utf-8?q?a\"", "text: no encoded words" },
	{ TEXT, " =?utf-8?q?e=CC=81?=", "\"\xc3\xa9\"", "text: composed" },
	{ TEXT, " A\xcc\x8angstr\xc3\xb6m", "\"\xc3\x85ngstr\xc3\xb6m\"", "text: raw UTF-8 composed" },
	{ TEXT, " \xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\"\xed\x95\x9c\"", "text: Hangul composed" },
	{ TEXT, " =?koi8-r?b?8NLJ18XU?=", "\"\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82\"", "text: KOI8-R" },
	{ TEXT, " =?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "\"\xe6\x97\xa5\xe6\x9c\xac\"", "text: ISO-2022-JP" },
	{ TEXT, "", "\"\"", "text: empty" },
	{ TEXT, " <a&\"b\\\">", "\"<a&\\\"b\\\\\\\">\"", "text: quoted as JSON" },
	{ ADDR, GROUP, "[" JAMES "," JANE "," JOHN "]", "addresses: the RFC's example" },
	{ ADDR, " a@b.example", "[{\"name\":null,\"email\":\"a@b.example\"}]", "addresses: an address alone" },
	{ ADDR, " a@b.example (Ann Bee)", "[{\"name\":\"Ann Bee\",\"email\":\"a@b.example\"}]", "addresses: a comment is the name" },
	{ ADDR, " Joe Q. Public <joe@x.example>", "[{\"name\":\"Joe Q. Public\",\"email\":\"joe@x.example\"}]", "addresses: a dot in a phrase" },
	{ ADDR, " \"a \\\"b\\\" \\\\\" <c@d.example>", "[{\"name\":\"a \\\"b\\\" \\\\\",\"email\":\"c@d.example\"}]", "addresses: quoted pairs" },
	{ ADDR, " \"very odd\"@x.example", "[{\"name\":null,\"email\":\"\\\"very odd\\\"@x.example\"}]", "addresses: a quoted local part" },
	{ ADDR, " =?utf-8?q?M=C3=BCller=2C_H?= <m@x.example>", "[{\"name\":\"M\xc3\xbcller, H\",\"email\":\"m@x.example\"}]", "addresses: a comma within a word" },
	{ ADDR, " \"=?utf-8?q?M=C3=BC?=\" <m@x.example>", "[{\"name\":\"M\xc3\xbc\",\"email\":\"m@x.example\"}]", "addresses: a word in quotes" },
	{ ADDR, " p\xc3\xb6st@\xc3\xa4.example", "[{\"name\":null,\"email\":\"p\xc3\xb6st@\xc3\xa4.example\"}]", "addresses: of RFC 6532" },
	{ ADDR, " a@b.example,, <c@d.example>,", "[{\"name\":null,\"email\":\"a@b.example\"},{\"name\":null,\"email\":\"c@d.example\"}]", "addresses: empty elements" },
	{ ADDR, " undisclosed-recipients:;", "[]", "addresses: an empty group" },
	{ ADDR, " <>", "[]", "addresses: nothing in brackets" },
	{ ADDR, "", "[]", "addresses: nothing" },
	{ ADDR, " root", "[{\"name\":null,\"email\":\"root\"}]", "addresses: no domain" },
	{ GRPS, GROUP, "[{\"name\":null,\"addresses\":[" JAMES "]},{\"name\":\"Friends\",\"addresses\":[" JANE "," JOHN "]}]", "groups: the RFC's example" },
	{ GRPS, " undisclosed-recipients:;", "[{\"name\":\"undisclosed-recipients\",\"addresses\":[]}]", "groups: an empty one" },
	{ GRPS, " jane@example.com, g:; , jane@example.com", "[{\"name\":null,\"addresses\":[" JANE "]},{\"name\":\"g\",\"addresses\":[]},{\"name\":null,\"addresses\":[" JANE "]}]", "groups: one between addresses" },
	{ GRPS, " g: jane@example.com", "[{\"name\":\"g\",\"addresses\":[" JANE "]}]", "groups: one without an end" },
	{ GRPS, "", "[]", "groups: nothing" },
	{ IDS, " <a@b> <c@d>", "[\"a@b\",\"c@d\"]", "ids: two" },
	{ IDS, "\r\n <a@b>\r\n\t(x <n@o>) <c@d>", "[\"a@b\",\"c@d\"]", "ids: folds and comments" },
	{ IDS, " Your message of \"x <y@z>\" <a@b>", "[\"a@b\"]", "ids: a phrase among them" },
	{ IDS, " <a@\r\n b>", "[\"a@b\"]", "ids: a fold within" },
	{ IDS, " a@b", "null", "ids: without brackets" },
	{ IDS, " <a@b> <c", "null", "ids: one without an end" },
	{ IDS, "", "null", "ids: nothing" },
	{ DATE, " Thu, 30 Oct 2014 14:12:00 +0800", "\"2014-10-30T14:12:00+08:00\"", "date: in its zone" },
	{ DATE, " Fri, 21 Nov 1997 09:55:06 -0600", "\"1997-11-21T09:55:06-06:00\"", "date: west" },
	{ DATE, " 21 Nov 97 09:55:06 GMT", "\"1997-11-21T09:55:06Z\"", "date: obsolete" },
	{ DATE, " Fri, 21 Nov 1997 09(comment): 55 :06\r\n -0000", "\"1997-11-21T09:55:06Z\"", "date: comments, no zone known" },
	{ DATE, " yesterday", "null", "date: none" },
	{ DATE, "", "null", "date: nothing" },
	{ URLS, " <ftp://ftp.example.com/list.txt> (FTP),\r\n <mailto:list@example.com?subject=help>", "[\"ftp://ftp.example.com/list.txt\",\"mailto:list@example.com?subject=help\"]", "urls: RFC 2369's" },
	{ URLS, " <https://x.example/a b\r\n c>", "[\"https://x.example/abc\"]", "urls: blanks within" },
	{ URLS, " NO (closed)", "null", "urls: NO" },
	{ URLS, " <mailto:a@b.example?subject=(x)>", "[\"mailto:a@b.example?subject=(x)\"]", "urls: brackets are no comment" },
};
/* clang-format on */

/* "NAME form all", or what is wrong. */
static const char *
parse(const char *property)
{
	struct jmap_field f;
	const char *why = NULL;
	int r = jmap_field_parse(slice_str(property), &f, &why);

	buf_clear(&out);
	if (r > 0)
		buf_printf(&out, SFMT " %s%s", SARG(f.name), jmap_form_name(f.form),
		    f.all ? " all" : "");
	else
		buf_str(&out, r == 0 ? "none" : why);
	return buf_cstr(&out);
}

#define FORBIDDEN "the field cannot be given in this form"
#define NO_FORM   "no form of a header field"
#define NO_NAME   "no name of a header field"
static const struct {
	const char *property, *want;
	/* clang-format off */
} names[] = {
	{ "subject", "Subject asText" }, { "from", "From asAddresses" }, { "to", "To asAddresses" },
	{ "cc", "Cc asAddresses" }, { "bcc", "Bcc asAddresses" }, { "sender", "Sender asAddresses" },
	{ "replyTo", "Reply-To asAddresses" }, { "messageId", "Message-ID asMessageIds" },
	{ "inReplyTo", "In-Reply-To asMessageIds" }, { "references", "References asMessageIds" },
	{ "sentAt", "Date asDate" }, { "Subject", "none" }, { "headers", "none" }, { "header", "none" },
	{ "header:X-Foo", "X-Foo asRaw" }, { "header:X-Foo:all", "X-Foo asRaw all" },
	{ "header:X-Foo:asText:all", "X-Foo asText all" }, { "header:all", "all asRaw" },
	{ "header:List-POST:asURLs", "List-POST asURLs" }, { "header:from:asGroupedAddresses", "from asGroupedAddresses" },
	{ "header:Resent-To:asAddresses:all", "Resent-To asAddresses all" },
	{ "header:Resent-Date:asDate", "Resent-Date asDate" }, { "header:Received:asRaw:all", "Received asRaw all" },
	{ "header:X-Any:asDate", "X-Any asDate" }, { "header:X-Any:asURLs", "X-Any asURLs" },
	{ "header:List-Id:asText", "List-Id asText" }, { "header:Resent-Message-ID:asMessageIds", "Resent-Message-ID asMessageIds" },
	{ "header:Subject:asDate", FORBIDDEN }, { "header:From:asText", FORBIDDEN },
	{ "header:Date:asText", FORBIDDEN }, { "header:Message-ID:asText", FORBIDDEN },
	{ "header:Received:asText", FORBIDDEN }, { "header:Return-Path:asAddresses", FORBIDDEN },
	{ "header:List-Post:asText", FORBIDDEN }, { "header:SUBJECT:asAddresses", FORBIDDEN },
	{ "header:Comments:asMessageIds", FORBIDDEN },
	{ "header:", NO_NAME }, { "header::asText", NO_NAME }, { "header:a b", NO_NAME },
	{ "header:\xc3\xa4", NO_NAME }, { "header:X-Foo:", "nothing behind the last colon" },
	{ "header:X-Foo:astext", NO_FORM }, { "header:X-Foo:all:asText", NO_FORM },
	{ "header:X-Foo:asText:asDate", NO_FORM }, { "header:X-Foo:asText:all:all", NO_FORM },
	{ "header:X-Foo:asText:", "nothing behind the last colon" }, { "header:X-Foo:ALL", NO_FORM },
};
/* clang-format on */

int
main(void)
{
	struct buf big = { 0 };

	for (size_t i = 0; i < NELEM(values); i++)
		is(form(values[i].form, values[i].value), values[i].want, "%s", values[i].what);
	for (size_t i = 0; i < NELEM(names); i++)
		is(parse(names[i].property), names[i].want, "%s", names[i].property);

	/* marks without end cost no square, and none is lost */
	buf_char(&big, 'a');
	for (size_t i = 0; i < 100000; i++)
		buf_str(&big, i % 2 ? "\xcc\x81" : "\xcc\x96");
	ok(strlen(form(TEXT, buf_cstr(&big))) >= 200000, "a text of marks");
	buf_clear(&big);
	for (size_t i = 0; i < 100000; i++)
		buf_str(&big, "(");
	is(form(IDS, buf_cstr(&big)), "null", "comments without end");
	buf_fini(&big);
	buf_fini(&out);
	arena_reset(&arena);
	return done();
}
