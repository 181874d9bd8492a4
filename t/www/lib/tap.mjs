// TAP that prove reads in any case: a line for each test at the top, diagnostics as comments, the plan at the end.
// (node's own has YAML between, which breaks off where a value has several lines.)
export default async function* tap(events) {
	let n = 0;
	for await (const { type, data } of events) {
		if (type !== "test:pass" && type !== "test:fail")
			continue;
		const cause = type === "test:fail" && data.details.error && (data.details.error.cause || data.details.error);
		if (cause)
			yield `${String(cause.stack || cause.message || cause)}`.split("\n").map(l => `# ${l}\n`).join("");
		if (data.nesting === 0 && data.details.type !== "suite")
			yield `${type === "test:pass" ? "ok" : "not ok"} ${++n} - ${data.name.replace(/#/g, "")}${data.skip !== undefined ? ` # SKIP ${data.skip}` : ""}\n`;
	}
	yield `1..${n}\n`;
}
