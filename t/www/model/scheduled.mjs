// Times for sending later, by the calendar of the writer.
import test from "node:test";
import assert from "node:assert/strict";
import { badTime, localTime, presets, withOffset } from "../../../cmd/memd/www/model/scheduled.js";
import { whenDate } from "../../../cmd/memd/www/model/format.js";

const offered = now => presets(now).map(p => [p.key.slice(6), localTime(p.at)]);

test("times that are offered: none is over, no Monday that is tomorrow", () => {
	assert.deepEqual(offered(new Date(2026, 11, 2, 9, 5)), [["evening", "2026-12-02T18:00"], ["morning", "2026-12-03T08:00"], ["noon", "2026-12-03T13:00"], ["monday", "2026-12-07T08:00"]]);
	assert.deepEqual(offered(new Date(2026, 11, 4, 16, 0)), [["morning", "2026-12-05T08:00"], ["noon", "2026-12-05T13:00"], ["monday", "2026-12-07T08:00"]]);
	assert.deepEqual(offered(new Date(2026, 11, 6, 23, 59)), [["morning", "2026-12-07T08:00"], ["noon", "2026-12-07T13:00"]], "a Sunday");
	assert.deepEqual(offered(new Date(2026, 11, 7, 17, 0)).at(-1), ["monday", "2026-12-14T08:00"], "a Monday");
	assert.deepEqual(offered(new Date(2026, 11, 31, 20, 0))[0], ["morning", "2027-01-01T08:00"], "over the year");
});

test("what is no time", () => {
	const now = new Date(2026, 11, 2, 9, 0), in_ = s => new Date(now.getTime() + s * 1000);
	assert.deepEqual([new Date(""), in_(-1), in_(59), in_(60), in_(86400), in_(86401)].map(at => badTime(at, now, 86400)),
	    ["later.none", "later.over", "later.over", null, null, "later.tooFar"]);
});

test("a date with the writer's offset is the same moment", () => {
	for (const at of [new Date(2026, 6, 1, 8, 30, 5), new Date(2026, 11, 1, 0, 0, 0)]) {
		assert.match(withOffset(at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/);
		assert.equal(Date.parse(withOffset(at)), at.getTime());
	}
});

test("a moment to come in words", () => {
	const now = new Date(2026, 11, 2, 22, 0), say = (...d) => whenDate(new Date(2026, ...d), now, "en-GB");
	assert.deepEqual([say(11, 2, 23, 0), say(11, 3, 0, 30), say(11, 4, 8)], ["today 23:00", "tomorrow 00:30", "Friday 08:00"]);
	assert.match(say(11, 9, 8), /^Wed,? 9 Dec 08:00$/);
	assert.match(whenDate(new Date(2027, 0, 20, 8), now, "en-GB"), /^Wed,? 20 Jan 2027 08:00$/);
});
