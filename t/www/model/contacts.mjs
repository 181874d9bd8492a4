// Contacts: vCard and CSV in and out, the form and what it changes, the book of a server.
import test from "node:test";
import assert from "node:assert/strict";
import * as vcard from "../../../cmd/memd/www/model/vcard.js";
import * as csv from "../../../cmd/memd/www/model/csv.js";
import { addresses, changes, Contacts, form } from "../../../cmd/memd/www/model/contacts.js";
import { Transport } from "../../../cmd/memd/www/jmap/transport.js";
import { Double } from "../lib/double.mjs";

const card = (...lines) => ["BEGIN:VCARD", ...lines, "END:VCARD", ""].join("\r\n");
const one = (...lines) => vcard.parse(card(...lines)).cards[0];

test("a vCard as a Card (RFC 9555)", () => {
	const c = one("VERSION:4.0", "UID:urn:uuid:1", "FN:Dr. Änne Müller", "N:Müller;Änne;Eva,Maria;Dr.;MD", "NICKNAME:Än,Ännchen", "ORG:Bank;Loans", "TITLE:Head", "ROLE:Signs",
		"EMAIL;TYPE=work;PREF=1:a@b.c", "item1.TEL;TYPE=\"cell,voice\":+49 1", "ADR;TYPE=home:Box 1;;Allee 5;Köln;NRW;50667;DE", "BDAY:19850412", "NOTE:a\\,b\\nc\\\\d", "CATEGORIES:x,y", "LANG:de");
	assert.deepEqual(c.name, { full: "Dr. Änne Müller", isOrdered: true, components: [["title", "Dr."], ["given", "Änne"], ["given2", "Eva"], ["given2", "Maria"], ["surname", "Müller"], ["credential", "MD"]].map(([kind, value]) => ({ kind, value })) });
	assert.deepEqual(c.emails, { e1: { address: "a@b.c", contexts: { work: true }, pref: 1 } });
	assert.deepEqual(c.phones, { p1: { number: "+49 1", features: { mobile: true, voice: true } } });
	assert.deepEqual(c.organizations, { o1: { name: "Bank", units: [{ name: "Loans" }] } });
	assert.deepEqual(c.titles, { t1: { kind: "title", name: "Head" }, t2: { kind: "role", name: "Signs" } });
	assert.deepEqual(c.addresses.a1.components.map(p => p.kind), ["postOfficeBox", "name", "locality", "region", "postcode", "country"]);
	assert.deepEqual(c.anniversaries, { y1: { kind: "birth", date: { "@type": "PartialDate", year: 1985, month: 4, day: 12 } } });
	assert.deepEqual([c.notes.n1.note, c.keywords, Object.values(c.nicknames).map(n => n.name), c.uid], ["a,b\nc\\d", { x: true, y: true }, ["Än", "Ännchen"], "urn:uuid:1"]);
	for (const v of ["4.0", "3.0"]) {
		const again = vcard.parse(vcard.write([c], v)).cards[0];
		assert.deepEqual({ ...again, preferredLanguages: c.preferredLanguages, emails: { e1: { ...again.emails.e1 } } }, { ...c }, `and back through ${v}`);
	}
});

test("vCards as others write them", () => {
	const old = one("VERSION:2.1", "N;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:M=FCller;Jo", "NOTE;ENCODING=QUOTED-PRINTABLE:one=0D=0A=", "two", "TEL;CELL:5", "PHOTO;JPEG;BASE64:AAAA");
	assert.deepEqual(old.name.components.map(c => c.value), ["Jo", "Müller"]);
	assert.equal(old.notes.n1.note, "one\r\ntwo");
	assert.deepEqual(old.phones.p1.features, { mobile: true });
	assert.equal(old.media.m1.uri, "data:image/jpeg;base64,AAAA");
	const folded = one("VERSION:3.0", "FN:A very lo", " ng name", "X-OURS;TYPE=a:kept", "NICKNAME:x;quoted-printable=", "BDAY:someday", "EMAIL:", "nonsense", "PHOTO:javascript:x");
	assert.deepEqual([folded.name.full, folded.emails, folded.anniversaries, folded.media], ["A very long name", undefined, undefined, undefined]);
	assert.deepEqual(folded.vCardProps.map(p => [p[0], p[3]]), [["x-ours", "kept"], ["bday", "someday"], ["photo", "javascript:x"]]);
	const text = vcard.write([folded]);
	assert.ok(text.includes("X-OURS;TYPE=a:kept"), "what we have no place for is written again");
	const group = one("VERSION:3.0", "FN:Team", "X-ADDRESSBOOKSERVER-KIND:group", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:1");
	assert.deepEqual([group.kind, group.members], ["group", { "urn:uuid:1": true }]);
	assert.deepEqual(vcard.parse("BEGIN:VCARD\nFN:a\nBEGIN:VCARD\nFN:b\nEND:VCARD\nBEGIN:VCARD\n"), { cards: [{ "@type": "Card", version: "1.0", name: { full: "b" } }], lost: 2 });
});

test("what is written is lines of 75 octets, and no value is more than one property", () => {
	const text = vcard.write([{ name: { full: "ä".repeat(100) }, notes: { n: { note: "a\r\nEND:VCARD\r\nBEGIN:VCARD" } }, links: { l: { uri: "http://x\r\nX-BAD:1" } }, emails: { e: { address: "a;b,c" } }, vCardProps: [["x-a\r\nx", {}, "text", "v"], ["x-b", {}, "text", "v\r\nX-C:1"]] }]);
	assert.ok(text.split("\r\n").every(l => Buffer.byteLength(l) <= 75));
	const { cards, lost } = vcard.parse(text);
	assert.deepEqual([cards.length, lost, cards[0].name.full, cards[0].emails.e1.address, cards[0].vCardProps], [1, 0, "ä".repeat(100), "a;b,c", undefined]);
});

test("hostile files take linear time", () => {
	const began = process.cpuUsage().user;
	for (const bad of ["a".repeat(2e6), ";".repeat(2e6), "BEGIN:VCARD\nN" + ";a=\"".repeat(4e5), "BEGIN:VCARD\nN:" + "\\".repeat(2e6) + "\nEND:VCARD", "BEGIN:VCARD\nTEL" + ";TYPE=a,b".repeat(2e5) + ":1\nEND:VCARD", "\n ".repeat(1e6)]) {
		vcard.parse(bad);
		csv.parse(bad);
	}
	vcard.write([{ media: { m: { kind: "photo", uri: "data:image/png;base64," + "A".repeat(3e6) } } }]);
	assert.ok(process.cpuUsage().user - began < 30e6);
});

test("CSV of Outlook and of Google, in two languages", () => {
	const out = csv.parse("\uFEFF\"First Name\",\"Last Name\",\"E-mail Address\",\"E-mail 2 Address\",\"Mobile Phone\",\"Business Street\",\"Business City\",Notes,Birthday\r\nAnn,Lee,a@b.c,d@e.f,+1 2,\"Road 1\",Town,\"two\nlines, \"\"x\"\"\",4/12/1985\r\n");
	assert.deepEqual([out.cards[0].name.components, Object.values(out.cards[0].emails), out.cards[0].phones.p1, out.cards[0].notes.n1.note, out.cards[0].anniversaries.y1.date.day],
		[[{ kind: "given", value: "Ann" }, { kind: "surname", value: "Lee" }], [{ address: "a@b.c" }, { address: "d@e.f" }], { number: "+1 2", features: { mobile: true } }, "two\nlines, \"x\"", 12]);
	assert.deepEqual(out.cards[0].addresses.a1, { contexts: { work: true }, components: [{ kind: "name", value: "Road 1" }, { kind: "locality", value: "Town" }] });
	const german = csv.parse("Vorname;Nachname;E-Mail-Adresse;Geburtstag\nÄnne;Müller;a@b.c;12.4.1985\n;;;\n");
	assert.deepEqual([german.cards.length, german.cards[0].anniversaries.y1.date.month], [1, 4]);
	const google = csv.parse("First Name,Last Name,Labels,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Value\nBo,Chen,* myContacts ::: Choir,* Work,bo@x.net,5\n");
	assert.deepEqual([google.cards[0].emails, google.cards[0].phones, google.cards[0].keywords], [{ e1: { address: "bo@x.net" } }, { p1: { number: "5" } }, { Choir: true }]);
	assert.deepEqual(csv.parse("a,b\n1,2\n"), { cards: [], lost: 1 });
});

test("CSV out: nothing that a spreadsheet carries out, and back the same", () => {
	const c = { name: { full: "=cmd|x" }, emails: { e: { address: "a@b.c" } }, phones: { p: { number: "+49 30 1" } }, notes: { n: { note: "-1+2\n@x" } } };
	const text = csv.write([c, { kind: "group", name: { full: "g" } }]);
	assert.ok(text.includes("'=cmd|x") && text.includes(",+49 30 1,") && text.includes("\"'-1+2") && !text.includes(",g,"));
	const back = csv.parse(text).cards[0];
	assert.deepEqual([back.name.full, back.phones.p1.number, back.notes.n1.note], ["=cmd|x", "+49 30 1", "-1+2\n@x"]);
});

test("a form changes what it shows, and nothing else", () => {
	const c = { name: { full: "Dr. Ann Lee", components: [{ kind: "title", value: "Dr." }, { kind: "given", value: "Ann" }, { kind: "surname", value: "Lee" }] }, emails: { x: { address: "a@b.c", pref: 2, label: "l" } }, organizations: { o: { name: "Bank", units: [{ name: "u" }] } },
		phones: { p: { number: "1", features: { mobile: true, text: true } } }, addresses: { a: { components: [{ kind: "name", value: "Allee" }, { kind: "number", value: "5" }, { kind: "region", value: "NRW" }], contexts: { private: true } } } };
	const f = form(c);
	assert.deepEqual(changes(c, f), {});
	assert.deepEqual([f.given, f.surname, f.street, f.phones[0].type], ["Ann", "Lee", "Allee 5", "mobile"]);
	assert.deepEqual(changes(c, { ...f, surname: "Li" }), { name: { isOrdered: true, components: [{ kind: "title", value: "Dr." }, { kind: "given", value: "Ann" }, { kind: "surname", value: "Li" }] } });
	assert.deepEqual(changes(c, { ...f, emails: [{ id: "x", text: "n@b.c", type: "work" }, { id: "", text: "m@b.c", type: "" }] }).emails, { x: { address: "n@b.c", pref: 2, label: "l", contexts: { work: true } }, e1: { address: "m@b.c" } });
	assert.deepEqual(changes(c, { ...f, org: "" }), { organizations: { o: { units: [{ name: "u" }] } } });
	assert.deepEqual(changes(c, { ...f, street: "Weg 1" }).addresses.a.components, [{ kind: "name", value: "Weg 1" }, { kind: "region", value: "NRW" }]);
	assert.deepEqual(changes(c, { ...f, phones: [] }), { phones: null });
	assert.deepEqual([form({ name: { full: "Ann Marie Lee" } }).given, form({ name: { full: "Cher" } }).surname], ["Ann Marie", "Cher"]);
	assert.deepEqual(addresses({ emails: { a: { address: "z@b.c" }, b: { address: "y@b.c", pref: 1 } } }).map(a => a.email), ["y@b.c", "z@b.c"]);
});

async function open() {
	const server = new Double({ contacts: true });
	const transport = new Transport({ fetch: server.fetch, onSignedOut() {}, onReach() {} });
	await transport.open();
	return { server, book: new Contacts(transport) };
}

test("the book: made, changed, grouped, offered, kept up", async () => {
	const { server, book } = await open();
	await book.load();
	const ann = await book.save({ name: { full: "Ann Lee" }, emails: { e: { address: "ann@x.net" }, f: { address: "lee@y.net" } } });
	const bo = await book.save({ name: { full: "Bo Chen" }, emails: { e: { address: "bo@x.net" } } });
	const team = await book.save({ kind: "group", name: { full: "Annual team" } });
	await book.regroup(book.cards.get(ann), new Set([team]));
	await book.regroup(book.cards.get(bo), new Set([team]));
	assert.deepEqual([book.list({}).map(c => c.id), book.list({ group: team, text: "CHEN" }).map(c => c.id), book.groups.map(g => g.id)], [[ann, bo], [bo], [team]]);
	assert.deepEqual(book.offers("ann", new Set()).map(a => a.members ? a.members.map(m => m.email) : a.email), ["ann@x.net", "lee@y.net", ["ann@x.net", "bo@x.net"]]);
	assert.deepEqual(book.offers("bo@", new Set(["bo@x.net"])), []);
	await book.regroup(book.cards.get(bo), new Set());
	assert.deepEqual(Object.keys(book.cards.get(team).members), [book.cards.get(ann).uid]);
	server.set("ContactCard", { update: { [ann]: { name: { full: "Ann Li" } } }, destroy: [bo] });
	await book.load();
	assert.deepEqual(book.list({}).map(c => c.name.full), ["Ann Li"], "what others have done");
	server.memory = 0;
	server.set("ContactCard", { destroy: [ann] });
	await book.load();
	assert.deepEqual(book.list({}), [], "also when the server cannot say what");
	await assert.rejects(book.save({ id: "x", note: 1 }), e => e.type === "notFound");
});

test("a file taken in twice is there once", async () => {
	const { book } = await open();
	const { cards } = vcard.parse(Array.from({ length: 900 }, (_, n) => card("VERSION:4.0", `UID:u${n}`, `FN:Name ${n}`)).join(""));
	assert.deepEqual(await book.take(cards), { made: 900, changed: 0, failed: 0 });
	assert.deepEqual(await book.take([...cards, cards[0]]), { made: 0, changed: 900, failed: 0 });
	assert.equal(book.cards.size, 900);
});
