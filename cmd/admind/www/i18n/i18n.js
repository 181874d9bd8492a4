// @ts-check
/** The console's words (kit/words.js); t/www/model/console.mjs holds the other languages to the keys and arguments of English. */
import { Words } from "../kit/words.js";
import en from "./en.js";

/** The one that the views use. */
export const words = new Words(en, {
	en: { name: "English", load: async () => ({ default: en }) },
	de: { name: "Deutsch", load: () => import("./de.js") },
});
export const t = words.t;
