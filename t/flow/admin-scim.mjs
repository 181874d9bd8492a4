// Readers and judges of SCIM that we have not written: node admin-scim.mjs NODE_MODULES URL TOKEN DOMAIN.
// scim2-parse-filter reads the filters that we are asked and says itself which users fit; scim-patch does each PATCH to
// what we have shown before; scimmy reads our schemas and takes our resources by them.  Prints a line of JSON for each
// thing: {"what", "good", "got"}; t/flow/admin-scim.t tells.
import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";
import { pathToFileURL } from "node:url";

const [npm, base, token, domain] = process.argv.slice(2);
const require = createRequire(npm + "/");
const parser = require("scim2-parse-filter"), { scimPatch } = require("scim-patch");
const { default: SCIMMY } = await import(pathToFileURL(npm + "/scimmy/dist/scimmy.js").href);
const USER = "urn:ietf:params:scim:schemas:core:2.0:User", GROUP = USER.replace("User", "Group"), MESSAGE = "urn:ietf:params:scim:api:messages:2.0:";

const say = (what, good, got) => console.log(JSON.stringify({ what, good: !!good, got: good ? undefined : got }));
const ask = async (method, path, body) => {
	const r = await fetch(`${base}/${path}`, { method, headers: { Authorization: "Bearer " + token, "Content-Type": "application/scim+json" }, body: body && JSON.stringify(body) });
	const text = await r.text();
	return { status: r.status, body: text ? JSON.parse(text) : null };
};
const tries = f => { try { return [f()]; } catch (e) { return [null, String(e.stack || e)]; } };
let seed = 20261201;
const random = n => { seed = (seed * 1103515245 + 12345) % 2147483648; return Math.floor(seed / 65536) % n; };
const one = list => list[random(list.length)];

// ---- scimmy: our schemas, and resources by them
const sub = a => new SCIMMY.Types.Attribute(a.type, a.name, { multiValued: a.multiValued, description: a.description, required: a.required,
	caseExact: a.caseExact ?? false, mutable: a.mutability, returned: a.returned === "default" ? true : a.returned, uniqueness: a.uniqueness, referenceTypes: a.referenceTypes ?? false }, (a.subAttributes ?? []).map(sub));
const schemas = (await ask("GET", "Schemas")).body.Resources;
const definitions = {};
for (const s of schemas) {
	const [d, why] = tries(() => new SCIMMY.Types.SchemaDefinition(s.name, s.id, s.description, s.attributes.map(sub)));
	definitions[s.id] = d;
	say(`scimmy reads ${s.id}`, d && d.attributes.length >= s.attributes.length, why);
	// What it knows of the same schema itself: types, lists and access are alike
	const known = { [USER]: SCIMMY.Schemas.User, [GROUP]: SCIMMY.Schemas.Group }[s.id];
	const wrong = known ? s.attributes.filter(a => { const k = known.definition.attributes.find(x => x.name === a.name);
		return !k || k.type !== a.type || !!k.config.multiValued !== a.multiValued; }).map(a => a.name) : [];
	say("and finds nothing strange in it", wrong.length === 0, wrong);
}
const made = [];
for (let i = 0; i < 24; i++)
	made.push({ method: "POST", path: "/Users", bulkId: String(i), data: { schemas: [USER], userName: `judge${i}@${domain}`, displayName: one(["anna bell", "bert cole", "cleo dahl", "dora"]) + " " + i,
		name: { givenName: i % 3 ? one(["anna", "bert", "cleo"]) : undefined, familyName: one(["bell", "cole", "dahl"]) }, externalId: i % 4 ? `x-${random(6)}` : undefined,
		preferredLanguage: i % 2 ? one(["de", "en", "fr"]) : undefined, active: i % 5 > 0,
		emails: [{ value: `judge${i}@${domain}`, type: "work", primary: true }, ...(i % 3 === 1 ? [{ value: `j.${one(["a", "b", "c"])}${i}@${domain}`, type: "work" }] : [])] } });
const bulk = await ask("POST", "Bulk", { schemas: [MESSAGE + "BulkRequest"], Operations: made });
say("users are made", bulk.body.Operations?.every(o => o.status === "201"), bulk.body);
const all = (await ask("GET", "Users?count=200")).body;
const [list, whyList] = tries(() => new SCIMMY.Messages.ListResponse(all));
say("scimmy takes the list", list && list.totalResults === all.totalResults, whyList);
const bad = [];
for (const u of all.Resources) {
	const [r, why] = tries(() => new SCIMMY.Schemas.User(structuredClone(u), "out"));
	if (!r || r.userName !== u.userName || r.id !== u.id)
		bad.push([u.userName, why]);
	const [c, whyNot] = tries(() => definitions[USER].coerce(structuredClone(u), "out"));
	if (!c)
		bad.push([u.userName, whyNot]);
}
say(`and ${all.Resources.length} users, by its schema and by ours`, bad.length === 0, bad.slice(0, 3));
const [error, whyError] = tries(() => new SCIMMY.Messages.ErrorResponse(new SCIMMY.Types.Error(400, "invalidFilter", "x")));
const ours = (await ask("GET", "Users?filter=x")).body;
say("errors are as it writes them", error ? isDeepStrictEqual(Object.keys({ ...error }).sort(), Object.keys(ours).sort()) : false, [ours, error && { ...error }, whyError]);

// ---- scim2-parse-filter: who fits, by it and by us
const texts = { userName: ["judge1", "judge", "@" + domain, `judge3@${domain}`, "7@"], displayName: ["anna bell 3", "bell", "anna", "dora", "1"], "name.givenName": ["anna", "bert", "an"], "name.familyName": ["bell", "dahl", "ll"],
	externalId: ["x-1", "x-2", "x-"], preferredLanguage: ["de", "en", "f"], emails: null, "emails.value": ["judge1", "j.a", "j.", `judge2@${domain}`], "emails.type": ["work", "home"], "meta.resourceType": ["User"], id: all.Resources.slice(0, 5).map(u => u.id) };
const only = { "emails.type": ["eq"], "meta.resourceType": ["eq"], id: ["eq", "ne"] };
const test = within => {
	const path = within ? one(["value", "type"]) : one(Object.keys(texts).filter(k => texts[k]));
	const words = texts[within ? "emails." + path : path], op = one(within && path === "type" ? ["eq"] : only[path] ?? ["eq", "co", "sw", "ew", "pr"]);
	return op === "pr" ? `${path} pr` : `${path} ${op} ${JSON.stringify(one(words))}`;
};
const write = depth => {
	switch (depth > 3 ? 0 : random(8)) {
	case 1: return `${write(depth + 1)} and ${write(depth + 1)}`;
	case 2: return `${write(depth + 1)} or ${write(depth + 1)}`;
	case 3: return `(${write(depth + 1)} or ${write(depth + 1)}) and ${write(depth + 1)}`;
	case 4: return `not (${write(depth + 1)})`;
	case 5: return `emails[${test(true)}]`;
	case 6: return `active eq ${one(["true", "false"])}`;
	case 7: return `emails[type eq "work" and primary eq true] and ${write(depth + 1)}`;
	default: return test(false);
	}
};
let wrong = [], some = 0;
for (let i = 0; i < 250; i++) {
	const text = write(0), [f, why] = tries(() => parser.filter(parser.parse(text)));
	const want = f ? all.Resources.filter(u => f(u)).map(u => u.userName).sort() : [why];
	const got = (await ask("GET", "Users?count=200&attributes=userName&filter=" + encodeURIComponent(text))).body;
	const names = (got.Resources ?? []).map(u => u.userName).sort();
	some += want.length > 0 && want.length < all.Resources.length;
	if (!isDeepStrictEqual(want, names))
		wrong.push({ text, want, names, detail: got.detail });
}
say("250 filters of scim2-parse-filter find whom it finds", wrong.length === 0, wrong.slice(0, 4));
say(`${some} of them neither all nor nobody`, some > 100, some);
// Filters that it writes itself are read, and the same.
wrong = [];
for (let i = 0; i < 40; i++) {
	const text = write(0), again = parser.stringify(parser.parse(text));
	const [a, b] = [await ask("GET", "Users?count=0&filter=" + encodeURIComponent(text)), await ask("GET", "Users?count=0&filter=" + encodeURIComponent(again))];
	if (a.body.totalResults !== b.body.totalResults || b.status !== 200)
		wrong.push({ text, again, a: a.body, b: b.body });
}
say("40 that it has written itself, too", wrong.length === 0, wrong.slice(0, 3));

// ---- scim-patch: the same operations to what we have shown
const u = all.Resources.find(x => x.userName === `judge4@${domain}`);
const mail = n => `patch${n}@${domain}`;
const operations = [
	() => ({ op: "replace", path: "displayName", value: "name " + random(1000) }),
	() => ({ op: one(["add", "replace"]), path: "preferredLanguage", value: one(["de", "en", "it"]) }),
	() => ({ op: one(["add", "replace"]), path: "name.givenName", value: one(["ada", "bob"]) }),
	() => ({ op: one(["add", "replace"]), value: { externalId: "p-" + random(100), active: one([true, false]) } }),
	() => ({ op: "add", path: "emails", value: [{ value: mail(random(8)), type: "work" }] }),
	() => ({ op: "remove", path: `emails[value eq "${mail(random(8))}"]` }),
	() => ({ op: "replace", path: "emails", value: [{ value: `judge4@${domain}`, type: "work", primary: true }, { value: mail(9), type: "work" }] }),
	() => ({ op: "remove", path: "externalId" }),
	() => ({ op: one(["add", "replace"]), path: "active", value: one([true, false]) }),
];
const plain = x => { const { meta, schemas, ...rest } = structuredClone(x); rest.emails?.sort((a, b) => a.value < b.value ? -1 : 1); delete rest.name?.formatted; return rest; };
let now = (await ask("GET", "Users/" + u.id)).body;
wrong = [];
let done = 0;
for (let i = 0; i < 120; i++) {
	const ops = Array.from({ length: 1 + random(3) }, () => one(operations)());
	const [want, why] = tries(() => scimPatch(structuredClone(now), structuredClone(ops)));
	const got = await ask("PATCH", "Users/" + u.id, { schemas: [MESSAGE + "PatchOp"], Operations: ops });
	if (got.status === 400 && got.body.scimType === "noTarget")
		continue; // RFC 7644 3.12, where scim-patch does nothing; the test of ours looks at these
	done++;
	if (got.status !== 200 || !want || !isDeepStrictEqual(plain(want), plain(got.body)))
		wrong.push({ ops, why, want: want && plain(want), got: got.body, status: got.status });
	now = got.status === 200 ? got.body : now;
}
say("120 PATCHes of scim-patch come out as it does them", wrong.length === 0, wrong.slice(0, 2));
say(`${done} of them changed something`, done > 60, done);
