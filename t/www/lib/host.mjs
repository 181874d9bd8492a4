// The client's files and the double of a server on a port of loopback, with the headers that memd sends:
// what a browser test says of policies must be true of the real ones (t/flow/webmail.t looks at those).
import { createServer } from "node:http";
import { readFile, realpath } from "node:fs/promises";
import { Double } from "./double.mjs";

const WWW = new URL("../../../cmd/memd/www/", import.meta.url).pathname;
const FOLDER = "/a-000000000000/";	// where scripts/www puts the modules, under the tree's hash
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript", mjs: "text/javascript", css: "text/css", svg: "image/svg+xml" };
export const PAGE_CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; " +
	"frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify default";
const FRAME_CSP = img => `default-src 'none'; style-src 'self' 'unsafe-inline'; img-src ${img}; frame-ancestors 'self'; ` +
	"sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox";
export const CSP = {
	"/sandbox.html": FRAME_CSP("data: blob:"), "/pictures.html": FRAME_CSP("data: blob: https: http:"),
};

/** @param {Double} double @returns {Promise<{url: string, close: () => void}>} */
export async function host(double, how = {}) {
	const sessions = new Set();
	let inside = how.loggedIn !== false, who = "ann@example.org";
	const first = double;		/* how.others: what other people's accounts are, by login */
	const server = createServer(async (req, res) => {
		const url = new URL(req.url, "http://x");
		const say = (status, body, type = "application/json", more = {}) => {
			res.writeHead(status, { ...more, "Content-Type": type, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store" });
			res.end(typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body));
		};
		const chunks = [];
		for await (const c of req)
			chunks.push(c);
		const body = Buffer.concat(chunks);
		try {
			if (double.away && url.pathname !== "/" && url.pathname.startsWith("/jmap"))
				return say(503, { type: "about:blank", detail: "away" });
			if (url.pathname === "/login") {
				const { user, password, code } = JSON.parse(body);
				if (password === "secret" && how.code && code !== how.code)
					return say(401, { code: code ? "code" : "second-factor", detail: "no" });
				inside = password === "secret";
				if (!inside)
					return say(401, { detail: "no" });
				double = how.others?.[user] || first;
				return say(200, { user: (who = user.includes("@") ? user : user + "@example.org") });
			}
			if (url.pathname === "/signon/about")
				return say(200, how.signon ? { name: "", form: true, redirect: false, ...how.signon } : {});
			if (url.pathname === "/signon") {	/* the provider itself is not shown: it lets in, or not */
				how.signon.times = (how.signon.times || 0) + 1;
				inside = !how.signon.refuse;
				double = how.others?.[how.signon.who] || first;
				who = `${how.signon.who || "ann"}@example.org`;
				return res.writeHead(303, { Location: how.signon.refuse ? `/signon/failed?why=${how.signon.refuse}` : url.searchParams.get("to") }), res.end();
			}
			if (url.pathname === "/logout")
				return (inside = false), say(200, how.signon ? { next: "/signon/out" } : {}, "application/json", { "Clear-Site-Data": '"cache", "storage"' });
			if (url.pathname === "/password") {
				const { old, new: wanted } = JSON.parse(body);
				if (old !== "secret" || wanted.length < 8)
					return old === "secret" ? say(422, { code: "weak" }) : say(403, { code: "wrong" });
				double.password = wanted;
				return say(200, {});
			}
			if (url.pathname === "/sessions") {
				if (!inside || double.away)
					return say(inside ? 503 : 401, {});
				if (req.method === "GET")
					return say(200, { sessions: double.sessions });
				const { end } = JSON.parse(body);
				double.sessions = double.sessions.filter(s => end === "others" ? s.current : s.id !== end);
				return say(200, {});
			}
			if (url.pathname === "/session")
				return inside ? say(200, { user: who, ...(how.language && { language: how.language }), brand: { name: "University of Example", authServ: "mx.example.org" } }) : say(401, {});
			if (url.pathname.startsWith("/jmap") || url.pathname.startsWith("/.well-known")) {
				if (!inside)
					return say(401, {});
				if (url.pathname === "/jmap/eventsource") {
					res.writeHead(200, { "Content-Type": "text/event-stream" });
					res.write(": hello\n\n");
					const tell = changed => res.write(`event: state\ndata: ${JSON.stringify({ "@type": "StateChange", changed })}\n\n`);
					double.listeners.add(tell);
					sessions.add(res);
					req.on("close", () => double.listeners.delete(tell));
					return undefined;
				}
				if (double.slow)
					await new Promise(ok => setTimeout(ok, double.slow));
				const answer = await double.fetch(req.url, { body: url.pathname.includes("/upload/") ? body : body.toString(), headers: { "Content-Type": req.headers["content-type"] } });
				return say(answer.status, Buffer.from(await answer.arrayBuffer()), answer.headers.get("content-type") || "application/octet-stream");
			}
			const ext = /\.(\w+)$/.exec(url.pathname);
			const path = ext ? url.pathname.replace(FOLDER, "/") : "/index.html";
			const bytes = await readFile(await realpath(WWW + path.slice(1)));
			const file = path.endsWith(".html") ? bytes.toString().replace(/="\/(?=app\.js|kit\/|style\/)/g, `="${FOLDER}`) : bytes;
			res.writeHead(200, { "Content-Type": TYPES[path.split(".").pop()] || "text/plain", "Content-Security-Policy": CSP[path] || PAGE_CSP, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer" });
			return res.end(file);
		} catch (error) {
			return say(error.code === "ENOENT" ? 404 : 500, { type: "about:blank", detail: String(error.message || error.type) });
		}
	});
	await new Promise(ok => server.listen(0, "127.0.0.1", ok));
	return {
		url: `http://127.0.0.1:${server.address().port}`,
		/** The session ends at the server. */
		end: () => (inside = false),
		close: () => {
			for (const s of sessions)
				s.destroy();
			server.closeAllConnections();
			server.close();
		},
	};
}
export { Double };
