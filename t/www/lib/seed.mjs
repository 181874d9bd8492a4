// Mail of a made-up person, so that views have something to show: conversations, labels, HTML, attachments, junk.
const NOW = Date.now();
const ago = hours => new Date(NOW - hours * 3600000).toISOString();
const p = (name, email) => [{ name, email }];
const ANN = p("Ann Lee", "ann@example.org");

export const NEWSLETTER = `<html><head><style>@import url(https://evil.test/i.css); .b { background: url(https://evil.test/b.png); color: #333 } h1 { color: #0b6e69 }</style></head>
<body bgcolor="#ffffff"><h1>Spring programme</h1><p class="b">The library opens its doors for a week of talks.</p><img src="https://evil.test/pixel.gif" width="1" height="1">
<img src="https://evil.test/hall.jpg" width="240" height="120" alt="The hall"><p>Read more at <a href="https://phish.test/x">https://www.example.org/programme</a>.</p></body></html>`;

export function seed(server) {
	const box = (...ids) => Object.fromEntries(ids.map(i => [i, true]));
	const many = (n, make) => Array.from({ length: n }, (_, i) => make(i));
	server.deliver({ from: p("Mara Okafor", "mara@example.net"), subject: "Room for the spring workshop", text: "The large hall is free on both days. Shall I book it, or do you want to wait for the\nanswer of the faculty?\n\nMara", receivedAt: ago(1), threadId: "tA", keywords: {} });
	server.deliver({ from: p("Jonas Lind", "jonas.lind@example.net"), to: [...ANN, ...p("Priya Raman", "priya@example.net")], subject: "Draft of the grant proposal", receivedAt: ago(60), threadId: "tB", keywords: { $seen: true },
		text: "Here is the first draft. Chapters one to three are complete, four is an outline." });
	server.deliver({ from: ANN, to: p("Jonas Lind", "jonas.lind@example.net"), subject: "Re: Draft of the grant proposal", receivedAt: ago(30), threadId: "tB", keywords: { $seen: true }, mailboxIds: box("m3"),
		text: "Thank you. I read it on the train and have put my remarks into the margin." });
	server.deliver({ from: p("Jonas Lind", "jonas.lind@example.net"), to: [...ANN, ...p("Priya Raman", "priya@example.net")], subject: "Re: Draft of the grant proposal", receivedAt: ago(2), threadId: "tB",
		keywords: { $seen: true, $flagged: true, "to-answer": true }, hasAttachment: true,
		"header:Authentication-Results:asText:all": ["mx.example.org; dmarc=pass header.from=example.net"],
		attachments: [{ partId: "3", blobId: "Bodt", name: "proposal-v3.odt", type: "application/vnd.oasis.opendocument.text", size: 421888, disposition: "attachment", cid: null },
			{ partId: "4", blobId: "Bods", name: "annex-b.ods", type: "application/vnd.oasis.opendocument.spreadsheet", size: 90112, disposition: "attachment", cid: null }],
		text: "Good morning,\n\nI went through chapter two and marked the places where the figures do not agree with the tables of the annex. Most of them are rounding; two are real: the number of partners (we say nine and list ten), and the cost of the second year. See https://example.net/annex.\n\nCould you look at the second one before noon? I would send the whole thing to the office in the afternoon.\n\nBest,\nJonas\n\nOn Tuesday you wrote:\n> Thank you. I read it on the train\n> and have put my remarks into the margin.\n" });
	server.deliver({ from: p("Library desk", "desk@library.example"), subject: "Two books are ready for you", receivedAt: ago(3), threadId: "tC", html: NEWSLETTER, text: "You can pick them up until Friday at the desk on the ground floor." });
	server.deliver({ from: p("Tomoko Sato", "tomoko@example.net"), subject: "Re: Measurements of week 46", receivedAt: ago(26), threadId: "tD", keywords: { $seen: true, $answered: true }, text: "Thank you, that explains the drift. I will repeat the run with the new sensor\nand tell you on Friday." });
	server.deliver({ from: p("Examinations office", "exam@example.org"), subject: "Dates of the oral examinations", receivedAt: ago(28), threadId: "tE", keywords: { $seen: true }, text: "Please confirm the dates below by the end of the month." });
	for (const i of many(9, x => x))
		server.deliver({ from: i % 2 ? p("Jonas Lind", "jonas.lind@example.net") : p("Priya Raman", "priya@example.net"), subject: "Who takes minutes on Monday?", receivedAt: ago(90 - i), threadId: "tF", keywords: { $seen: true }, text: i === 8 ? "I can, if somebody else does the agenda." : "Not me this time." });
	server.deliver({ from: p("Ana Barros", "ana@example.net"), subject: "Train to Lisbon", receivedAt: ago(92), threadId: "tG", keywords: { $seen: true, travel: true }, hasAttachment: true, text: "The night train has two places left, shall I take them?" });
	for (const i of many(120, x => x))
		server.deliver({ from: p(["Kaarel Vaher", "Human resources", "Ines Duarte", "Computing centre"][i % 4], ["kaarel@example.net", "hr@example.org", "ines@example.net", "cc@example.org"][i % 4]),
			subject: ["Server room on Saturday", "Holiday calendar of next year", "Figures for the annual report", "Change of the printer in room 12"][i % 4], receivedAt: ago(200 + i * 7), threadId: "tz" + i, keywords: { $seen: true },
			text: "Power will be off from 7 to 9. Everything should come back by itself." });
	server.deliver({ from: p("Prize office", "win@spam.test"), subject: "You have won", receivedAt: ago(5), mailboxIds: box("m5"), keywords: {} });
	server.deliver({ from: ANN, to: p("Mara Okafor", "mara@example.net"), subject: "Budget", receivedAt: ago(4), mailboxIds: box("m2"), keywords: { $draft: true, $seen: true }, text: "Dear Mara,\n\n" });
}
