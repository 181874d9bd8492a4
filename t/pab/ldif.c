/* Contacts of other directories, as LDIF (RFC 2849): Sun's two address books, and any people. */
#include "../tap.h"
#include "pab/ldif.h"

static struct buf out;

static const char *
read_ldif(const char *text)
{
	buf_clear(&out);
	pab_ldif_read(slice_str(text), &out);
	for (size_t i = 0; i < out.n; i++)
		if (out.p[i] == '"')
			out.p[i] = '\'';
		else if (out.p[i] == '\n')
			out.p[i] = '|';
	return buf_cstr(&out);
}

#define HEAD "{'@type':'Card','version':'1.0',"

int
main(void)
{
	/* clang-format off */
	is(read_ldif("version: 1\n# a comment\n that goes on\ndn: cn=Jo,dc=x\nobjectClass: inetOrgPerson\ncn: Jo Doe\nsn: Doe\ngivenName: Jo\nmail: a@b.c\nmail: d@e\n f.g\n"
		     "telephoneNumber: 1\nmobile: 2\nhomePhone: 3\no: Bank\nou: Loans\ntitle: Head\nl: Ulm\nstreet: Road 5\nhomeCity: Bonn\ndescription:: QSBub3RlLg==\nuserPassword: x\n"),
	    HEAD "'uid':'ldap:///cn=jo,dc=x','name':{'full':'Jo Doe','components':[{'kind':'given','value':'Jo'},{'kind':'surname','value':'Doe'}],'isOrdered':true},"
		 "'organizations':{'o1':{'name':'Bank','units':[{'name':'Loans'}]}},'titles':{'t1':{'name':'Head'}},'emails':{'e1':{'address':'a@b.c'},'e2':{'address':'d@ef.g'}},"
		 "'phones':{'p1':{'number':'1','contexts':{'work':true}},'p2':{'number':'3','contexts':{'private':true}},'p3':{'number':'2','features':{'mobile':true}}},"
		 "'addresses':{'a1':{'components':[{'kind':'name','value':'Road 5'},{'kind':'locality','value':'Ulm'}],'contexts':{'work':true}},"
		 "'a2':{'components':[{'kind':'locality','value':'Bonn'}],'contexts':{'private':true}}},'notes':{'n1':{'note':'A note.'}}}|", "a person");
	is(read_ldif("dn: ou=jane,o=x,o=pab\nobjectClass: organizationalUnit\n\ndn: un=All1,ou=jane,o=x,o=pab\nobjectClass: pab\nun: All1\n\n"
		     "dn: un=Jo15577F2D,ou=jane,o=x,o=pab\nobjectclass: PABPERSON\nun: Jo15577F2D\nun;lang-de: x\ncn: Jo\nmemberOfPAB: All1\nmemberOfPABGroup: Team1\nmemberofpabgroup: gone\n\n\n"
		     "dn: un=Team1,ou=jane,o=x,o=pab\nobjectClass: pabGroup\nun: Team1\ncn: Our team\n\ndn: un=Bo2,ou=jane,o=x,o=pab\nobjectClass: pabPerson\nun: Bo2\nmail: bo@x\n"
		     "memberOfPABGroup: un=team1,ou=jane,o=x,o=pab\n"),
	    HEAD "'uid':'ldap:///Jo15577F2D','name':{'full':'Jo'}}|" HEAD "'uid':'ldap:///Bo2','emails':{'e1':{'address':'bo@x'}}}|"
	    HEAD "'kind':'group','uid':'ldap:///Team1','name':{'full':'Our team'},'members':{'ldap:///Jo15577F2D':true,'ldap:///Bo2':true}}|", "Messenger Express");
	is(read_ldif("dn: piEntryID=e1,piPStoreOwner=jsmith,o=x, o=PiServerDb\r\ndisplayName: Personal Address Book\r\nobjectClass: PITYPEBOOK\r\npiEntryID: e1\r\n\r\n"
		     "dn: piEntryID=e2,piPStoreOwner=jsmith,o=x,o=PiServerDb\r\nobjectClass: piTypePerson\r\nobjectClass: piEntry\r\npiEntryID: e2\r\ndisplayName: Jo Doe\r\npiEmail1: a@b.c\r\n"
		     "piPhone1: 5\r\ncompany: Bank\r\npiWebsite1: http://x\r\nmemberOfPIBook: e1\r\nmemberOfPIGroup: e3\r\n\r\n"
		     "dn: piEntryID=e3,piPStoreOwner=jsmith,o=x,o=PiServerDb\r\nobjectClass: piTypeGroup\r\npiEntryID: e3\r\ndisplayName: Team\r\n"),
	    HEAD "'uid':'ldap:///e2','name':{'full':'Jo Doe'},'organizations':{'o1':{'name':'Bank'}},'emails':{'e1':{'address':'a@b.c'}},'phones':{'p1':{'number':'5'}},'links':{'l1':{'uri':'http://x'}}}|"
	    HEAD "'kind':'group','uid':'ldap:///e3','name':{'full':'Team'},'members':{'ldap:///e2':true}}|", "Communications Express");
	is(read_ldif("dn: cn=x\nobjectClass: person\ncn:< file:///etc/passwd\nsn:: ?\nmail\n: x\nnotes: \"\\\x01\n"), HEAD "'uid':'ldap:///cn=x','notes':{'n1':{'note':'\\'\\\\\\u0001'}}}|", "what is nothing");
	/* clang-format on */
	is(read_ldif(""), "", "an empty file");
	ok(pab_ldif_is(S("# c\n\ndn: x")) && pab_ldif_is(S("version: 1\r\n")) &&
		!pab_ldif_is(S("{\"x\":1}")) && !pab_ldif_is(S("BEGIN:VCARD")) &&
		!pab_ldif_is(S("")),
	    "what looks like it");
	buf_fini(&out);
	return done();
}
