// @ts-check
/** Jobs of admind(8): which can be stopped, go on, or be taken away.  The directory decides; this is for what shows.  Pure. */

const OVER = ["done", "failed", "cancelled"];

/** @typedef {{state: string, who: string, wish?: string}} Job */

/** It is done, or will be, without anybody's asking again. @param {Job} job */
export const goes = job => ["making", "waiting", "running"].includes(job.state);

/** Its maker alone has it go on or takes it away: it is done in that name. @param {Job} job @param {string} verb @param {string} user */
export function may(job, verb, user) {
	const own = job.who.toLowerCase() === user.toLowerCase();
	switch (verb) {
	case "pause": return goes(job) && !job.wish;
	case "cancel": return !OVER.includes(job.state) && job.wish !== "cancel";
	case "resume": return own && (["paused", "failed"].includes(job.state) || (goes(job) && !!job.wish));
	case "delete": return own && OVER.includes(job.state);
	default: return false;
	}
}
