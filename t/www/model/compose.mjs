// Answers and forwards, and the Email that a server is asked for.
import test from "node:test";
import assert from "node:assert/strict";
import * as c from "../../../cmd/memd/www/model/compose.js";

const me = [{ id: "i1", name: "Me", email: "Me@example.org", textSignature: "Me\nRoom 4" },
	{ id: "i2", name: "Desk", email: "desk@example.org" }];
const mail = {
	id: "e1", subject: "AW: Re: Hall", from: [{ name: "Ann", email: "ann@x.net" }], to: [{ name: null, email: "me@example.org" },
		{ name: "Bo", email: "bo@x.net" }], cc: [{ name: null, email: "CY@x.net" }, { name: null, email: "cy@x.net" }],
	messageId: ["m3@x"], references: ["m1@x", "m2@x"], inReplyTo: ["m2@x"], bodyText: "One\n> old\n-- \nAnn",
};
const how = { identities: me, intro: "Ann wrote:", rich: false };

test("an answer goes to the sender, to all leaves me out and each once", () => {
	assert.deepEqual(c.reply(mail, false, how).to.map(a => a.email), ["ann@x.net"]);
	const all = c.reply(mail, true, how);
	assert.deepEqual(all.to.map(a => a.email), ["ann@x.net"]);
	assert.deepEqual(all.cc.map(a => a.email), ["bo@x.net", "CY@x.net"]);
});

test("Reply-To is before From; of my own message its recipients", () => {
	const to = c.reply({ ...mail, replyTo: [{ name: null, email: "list@x.net" }] }, false, how).to;
	assert.deepEqual(to.map(a => a.email), ["list@x.net"]);
	const own = c.reply({ ...mail, from: [{ name: "Me", email: "me@example.org" }] }, true, how);
	assert.deepEqual(own.to.map(a => a.email), ["me@example.org", "bo@x.net"]);
	assert.deepEqual(own.cc.map(a => a.email), ["CY@x.net"]);
});

test("threading by RFC 5322 3.6.4", () => {
	const r = c.reply(mail, false, how);
	assert.deepEqual(r.inReplyTo, ["m3@x"]);
	assert.deepEqual(r.references, ["m1@x", "m2@x", "m3@x"]);
	const noRefs = c.reply({ ...mail, references: null }, false, how);
	assert.deepEqual(noRefs.references, ["m2@x", "m3@x"]);
	const two = c.reply({ ...mail, references: null, inReplyTo: ["a@x", "b@x"] }, false, how);
	assert.deepEqual(two.references, ["m3@x"]);
	assert.equal(c.reply({ ...mail, messageId: null }, false, how).inReplyTo, null);
	assert.equal(c.forward(mail, { identities: me, head: [], title: "F", rich: false }).inReplyTo, null);
});

test("subjects get their prefix once", () => {
	assert.equal(c.replySubject("AW: Re: RE[2]: Hall"), "Re: Hall");
	assert.equal(c.replySubject(null), "Re: ");
	assert.equal(c.replySubject("Rest of the day"), "Re: Rest of the day");
	assert.equal(c.forwardSubject("WG: Fwd: x"), "Fwd: x");
});

test("the text is quoted without the old signature, ours stands before the quote", () => {
	const r = c.reply(mail, false, how);
	assert.equal(r.text, "\n\n-- \nMe\nRoom 4\n\nAnn wrote:\n> One\n>> old\n");
	const desk = c.sign(r, me[0], me[1]);
	assert.ok(!desk.text.includes("Room 4"));
	assert.ok(desk.text.includes("> One"));
});

test("the identity is the one that was written to", () => {
	assert.equal(c.reply({ ...mail, to: [{ name: null, email: "desk@example.org" }] }, false, how).identityId, "i2");
	assert.equal(c.reply({ ...mail, to: [], cc: [] }, false, how).identityId, "i1");
});

test("an Email of RFC 8621: alternative, related, mixed as needed", () => {
	const d = c.blank({ to: [{ name: null, email: "a@b.org" }], subject: "S", rich: true, html: 'Hi <b>you</b><img src="cid:p1">',
		attachments: [{ blobId: "B1", name: "p.png", type: "image/png", size: 3, cid: "p1" },
			{ blobId: "B2", name: "t.pdf", type: "application/pdf", size: 4 }] });
	const e = c.toEmail(d, me[0], { mailboxId: "dr", draft: true });
	assert.equal(e.bodyStructure.type, "multipart/mixed");
	const [alt, pdf] = e.bodyStructure.subParts;
	assert.equal(alt.type, "multipart/alternative");
	assert.equal(alt.subParts[1].type, "multipart/related");
	assert.deepEqual(alt.subParts[1].subParts[1], { blobId: "B1", type: "image/png", name: "p.png", cid: "p1", disposition: "inline" });
	assert.equal(pdf.disposition, "attachment");
	assert.deepEqual(e.keywords, { $seen: true, $draft: true });
	assert.equal(e.bodyValues.t.value, "Hi you");
	assert.ok(!("cc" in e) && !("inReplyTo" in e));
	const plain = c.toEmail(c.blank({ text: "x", rich: false }), me[0], { mailboxId: "dr", draft: false });
	assert.equal(plain.bodyStructure.type, "text/plain");
	assert.deepEqual(plain.keywords, { $seen: true });
});

test("words of HTML, with quotes of quotes", () => {
	assert.equal(c.htmlText("<div>a &amp;lt; b</div><div><br></div><blockquote>q<br><blockquote>r</blockquote></blockquote>").trim(),
		"a &lt; b\n\n> q\n>> r");
	assert.equal(c.htmlText("<style>p{}</style><ul><li>x</li><li>y</li></ul>").trim(), "- x\n- y");
});

test("a forgotten attachment is of our own words alone", () => {
	const words = /\b(attached|anbei)\b/i;
	const d = c.blank({ rich: false, text: "See attached.\n" });
	assert.ok(c.forgotAttachment(d, words));
	assert.ok(!c.forgotAttachment({ ...d, text: "Thanks\n> see attached" }, words));
	assert.ok(!c.forgotAttachment({ ...d, attachments: [{ blobId: "b", name: "n", type: "t", size: 1 }] }, words));
});

test("mailto: (RFC 6068)", () => {
	const d = c.fromMailto("mailto:a%40x.org,b@x.org?subject=Hi%20there&body=l1%0D%0Al2&cc=c@x.org&in-reply-to=%3Cm@x%3E");
	assert.deepEqual(d.to.map(a => a.email), ["a@x.org", "b@x.org"].map(e => e));
	assert.equal(d.subject, "Hi there");
	assert.equal(d.text, "l1\nl2");
	assert.deepEqual(d.inReplyTo, ["m@x"]);
	assert.equal(c.fromMailto("mailto:%E0%A4%A").to[0].email, "%E0%A4%A");
});

test("a draft that is taken up again is the one that was saved", () => {
	const d = c.resume({ id: "e9", from: [{ email: "desk@example.org" }], subject: "s", bodyText: "t", to: null }, me);
	assert.equal(d.identityId, "i2");
	assert.equal(d.savedId, "e9");
	assert.equal(d.saved, c.fingerprint(d));
	assert.notEqual(c.fingerprint({ ...d, text: "u" }), d.saved);
});
