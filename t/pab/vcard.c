/* vCards (RFC 6350, 2426, 2.1) as Cards and back (RFC 9555). */
#include "../tap.h"
#include "base/must.h"
#include "pab/card.h"
#include "pab/vcard.h"

static struct buf out;

/* The Cards of a file, with ' for ". */
static const char *
cards(const char *text)
{
	struct slice rest = slice_str(text);
	size_t lost = 0;

	buf_clear(&out);
	while (pab_vcard_read(&rest, &out, &lost))
		continue;
	if (lost)
		buf_printf(&out, "+%zu", lost);
	for (size_t i = 0; i < out.n; i++)
		if (out.p[i] == '"')
			out.p[i] = '\'';
	return buf_cstr(&out);
}

#define CARD(lines) "BEGIN:VCARD\r\n" lines "\r\nEND:VCARD\r\n"
#define HEAD        "{'@type':'Card','version':'1.0'"

static const struct {
	const char *vcard, *card, *what;
	/* clang-format off */
} reads[] = {
	{ CARD("VERSION:4.0\r\nUID:u1\r\nFN:Jo\r\nN:Doe;Jo;Ann,Eve;Dr.;MD"), HEAD ",'uid':'u1','name':{'full':'Jo','components':[{'kind':'title','value':'Dr.'},"
	  "{'kind':'given','value':'Jo'},{'kind':'given2','value':'Ann'},{'kind':'given2','value':'Eve'},{'kind':'surname','value':'Doe'},{'kind':'credential','value':'MD'}],'isOrdered':true}}", "names" },
	{ CARD("EMAIL;TYPE=work,pref:a@b.c\r\nitem1.EMAIL;PREF=2;TYPE=\"home,x\":mailto:d@e.f"), HEAD ",'emails':{'e1':{'address':'a@b.c','contexts':{'work':true},'pref':1},"
	  "'e2':{'address':'d@e.f','contexts':{'private':true},'pref':2}}}", "addresses" },
	{ CARD("TEL;TYPE=CELL;TYPE=voice:tel:+1\r\nTEL;FAX:2"), HEAD ",'phones':{'p1':{'number':'+1','features':{'mobile':true,'voice':true}},'p2':{'number':'2','features':{'fax':true}}}}", "telephones" },
	{ CARD("ORG:Bank;Loans;\r\nTITLE:Head\r\nROLE:Signs"), HEAD ",'organizations':{'o1':{'name':'Bank','units':[{'name':'Loans'}]}},'titles':{'t1':{'kind':'title','name':'Head'},'t2':{'kind':'role','name':'Signs'}}}", "work" },
	{ CARD("ADR;TYPE=home:;;5 Road\\, rear;Ulm;;1;DE"), HEAD ",'addresses':{'a1':{'components':[{'kind':'name','value':'5 Road, rear'},{'kind':'locality','value':'Ulm'},"
	  "{'kind':'postcode','value':'1'},{'kind':'country','value':'DE'}],'contexts':{'private':true}}}}", "a place" },
	{ CARD("NOTE:a\\nb\\;c\\\\d\\,e"), HEAD ",'notes':{'n1':{'note':'a\\nb;c\\\\d,e'}}}", "escapes" },
	{ CARD("NOTE:lo\r\n ng\r\n\t er"), HEAD ",'notes':{'n1':{'note':'long er'}}}", "folded lines" },
	{ CARD("NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:M=FCl=\r\nler=3D"), HEAD ",'notes':{'n1':{'note':'M\u00fcller='}}}", "quoted-printable" },
	{ CARD("FN:a;quoted-printable=\r\nNOTE:b"), HEAD ",'name':{'full':'a;quoted-printable='},'notes':{'n1':{'note':'b'}}}", "where it is none" },
	{ CARD("PHOTO;JPEG;BASE64:AA\r\n BB"), HEAD ",'media':{'m1':{'kind':'photo','uri':'data:image/jpeg;base64,AABB'}}}", "a photograph of 2.1" },
	{ CARD("PHOTO:javascript:x"), HEAD ",'vCardProps':[['PHOTO',{},'unknown','javascript:x']]}", "one that is none" },
	{ CARD("BDAY:19850412\r\nBDAY:--04-12\r\nBDAY:1985-04\r\nBDAY:1985-13-01\r\nBDAY:soon"), HEAD ",'anniversaries':{'y1':{'kind':'birth','date':{'@type':'PartialDate','year':1985,'month':4,'day':12}},"
	  "'y2':{'kind':'birth','date':{'@type':'PartialDate','month':4,'day':12}},'y3':{'kind':'birth','date':{'@type':'PartialDate','year':1985,'month':4}}},"
	  "'vCardProps':[['BDAY',{},'unknown','1985-13-01'],['BDAY',{},'unknown','soon']]}", "days" },
	{ CARD("KIND:Group\r\nMEMBER:u1\r\nCATEGORIES:x,y"), HEAD ",'kind':'group','keywords':{'x':true,'y':true},'members':{'u1':true}}", "a group" },
	{ CARD("X-OURS;TYPE=a:b;c\r\nno property\r\n:x\r\nEMAIL:\r\nTEL"), HEAD ",'vCardProps':[['X-OURS',{},'unknown','b;c']]}", "what is not known, and what is nothing" },
	{ "x\nBEGIN:VCARD\nFN:a\nBEGIN:vcard\nFN:b\nend:VCARD\nBEGIN:VCARD\nFN:c", HEAD ",'name':{'full':'b'}}+2", "without an end" },
	{ "\xef\xbb\xbf" CARD("FN:\xff\"\x01"), HEAD ",'name':{'full':'\xef\xbf\xbd\\'\\u0001'}}", "octets that are no text" },
	{ "", "", "nothing" },
};
/* clang-format on */

/* The vCard, lines joined by |, between its first two and its last one. */
static const char *
vcard(const char *text, enum pab_vcard_version version)
{
	struct buf json = { 0 }, b = { 0 };
	struct json_t *v = NULL;
	struct slice s;
	const char *why;

	for (; *text; text++)
		buf_char(&json, *text == '\'' ? '"' : *text);
	if (json_read(buf_get(&json), &pab_card_bounds, &v, &why) < 0)
		printf("# the test's own JSON: %s\n", why);
	pab_vcard_write(&b, v, version);
	buf_clear(&out);
	s = slice_sub(buf_get(&b), strlen("BEGIN:VCARD\r\nVERSION:x.0\r\n"),
	    b.n - strlen("BEGIN:VCARD\r\nVERSION:x.0\r\nEND:VCARD\r\n"));
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\n')
			buf_char(&out, '|');
		else if (s.p[i] != '\r')
			buf_char(&out, s.p[i]);
	json_free(&v);
	buf_fini(&json);
	buf_fini(&b);
	return buf_cstr(&out);
}

static const struct {
	const char *card, *four, *three, *what;
	/* clang-format off */
} writes[] = {
	{ "{'uid':'u1','name':{'full':'Jo Doe','components':[{'kind':'surname','value':'Doe'},{'kind':'given','value':'Jo'},{'kind':'given','value':'Ann'}]}}",
	  "UID:u1|FN:Jo Doe|N:Doe;Jo,Ann;;;|", "UID:u1|FN:Jo Doe|N:Doe;Jo,Ann;;;|", "names" },
	{ "{'name':{'full':'a,b;c\\\\d\\ne'}}", "FN:a\\,b\\;c\\\\d\\ne|", "FN:a\\,b\\;c\\\\d\\ne|N:a\\,b\\;c\\\\d\\ne;;;;|", "escapes" },
	{ "{'emails':{'e':{'address':'a@b','pref':1,'contexts':{'work':true,'private':true}}}}", "FN:a@b|EMAIL;TYPE=\"home,work\";PREF=1:a@b|",
	  "FN:a@b|N:a@b;;;;|EMAIL;TYPE=INTERNET,home,work,pref:a@b|", "an address" },
	{ "{'phones':{'p':{'number':'1','features':{'mobile':true}}},'anniversaries':{'b':{'kind':'birth','date':{'year':1985,'month':4,'day':1}},'w':{'kind':'wedding','date':{'year':2000}}}}",
	  "FN:1|TEL;TYPE=cell:1|BDAY:19850401|", "FN:1|N:1;;;;|TEL;TYPE=cell:1|BDAY:1985-04-01|", "a telephone, a day" },
	{ "{'kind':'group','name':{'full':'G'},'members':{'u1':true,'u2':true},'keywords':{'x':true,'y,z':true}}", "KIND:group|FN:G|CATEGORIES:x,y\\,z|MEMBER:u1|MEMBER:u2|",
	  "X-ADDRESSBOOKSERVER-KIND:group|FN:G|N:G;;;;|CATEGORIES:x,y\\,z|X-ADDRESSBOOKSERVER-MEMBER:u1|X-ADDRESSBOOKSERVER-MEMBER:u2|", "a group" },
	{ "{'media':{'m':{'kind':'photo','uri':'data:image/png;base64,AAAA'}}}", "FN:?|PHOTO:data:image/png;base64,AAAA|", "FN:?|N:?;;;;|PHOTO;ENCODING=b;TYPE=png:AAAA|", "a photograph" },
	{ "{'links':{'l':{'uri':'http://x\\r\\nEND:VCARD'}},'vCardProps':[['x-a',{},'text','b;c'],['x\\r\\n',{},'text','d'],['end',{},'text','VCARD'],['x-b',{},'text','e\\nf'],5]}",
	  "FN:?|URL:http://x  END:VCARD|X-A:b;c|X-B:e f|", "FN:?|N:?;;;;|URL:http://x  END:VCARD|X-A:b;c|X-B:e f|", "nothing begins another line" },
	{ "{'addresses':{'a':{'components':[{'kind':'name','value':'Road'},{'kind':'number','value':'5'},{'kind':'locality','value':'Ulm'}]}},'organizations':{'o':{'name':'B','units':[{'name':'u'}]}}}",
	  "FN:B|ORG:B;u|ADR:;;Road,5;Ulm;;;|", "FN:B|N:B;;;;|ORG:B;u|ADR:;;Road,5;Ulm;;;|", "a place" },
	/* clang-format on */
};

static void
test_fold(void)
{
	struct buf json = { 0 }, b = { 0 };
	struct json_t *v = NULL;
	const char *why;
	size_t longest = 0, at = 0;

	buf_lit(&json, "{\"notes\":{\"n\":{\"note\":\"");
	for (size_t i = 0; i < 200; i++)
		buf_lit(&json, "\u00e4");
	buf_lit(&json, "\"}}}");
	must(json_read(buf_get(&json), &pab_card_bounds, &v, &why) == 0);
	pab_vcard_write(&b, v, PAB_VCARD_4);
	for (size_t i = 0; i < b.n; i++, at++)
		if (b.p[i] == '\r') {
			longest = at > longest ? at : longest;
			at = (size_t)-2;
		}
	ok(longest <= 75 && longest > 70, "lines of 75 octets (%zu)", longest);
	(void)cards(buf_cstr(&b));
	ok(slice_find_str(buf_get(&out), S("\xef\xbf\xbd")) == out.n &&
		slice_find_str(buf_get(&out), S("\u00e4\u00e4\u00e4")) < out.n,
	    "folded between characters");
	json_free(&v);
	buf_fini(&json);
	buf_fini(&b);
}

int
main(void)
{
	for (size_t i = 0; i < NELEM(reads); i++)
		is(cards(reads[i].vcard), reads[i].card, "read: %s", reads[i].what);
	for (size_t i = 0; i < NELEM(writes); i++) {
		is(vcard(writes[i].card, PAB_VCARD_4), writes[i].four, "4: %s", writes[i].what);
		is(vcard(writes[i].card, PAB_VCARD_3), writes[i].three, "3: %s", writes[i].what);
	}
	test_fold();
	ok(pab_vcard_is(S("\xef\xbb\xbf\r\nbegin:vcard")) && !pab_vcard_is(S("{}")) &&
		!pab_vcard_is(S("")),
	    "what looks like one");
	buf_fini(&out);
	return done();
}
