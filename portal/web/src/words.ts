// Texts, apart from code. The browser's language chooses; English stands in for what is missing.

import de from "./words.de.json";
import en from "./words.en.json";
import es from "./words.es.json";

type Words = typeof en;
const tables: Record<string, Partial<Words>> = { de, en, es };

const wanted = typeof navigator === "undefined" ? ["en"] : navigator.languages;
const base = (tag: string): string => tag.split("-")[0] ?? "";

/** How its reader writes days and times, such as `en-GB`. */
export const locale = wanted.find((tag) => base(tag) in tables) ?? "en";

export const language = base(locale);

/** The text, with `{name}` replaced. */
export function say(name: keyof Words, values: Record<string, string> = {}): string {
  const text = tables[language]?.[name] ?? en[name];
  return text.replaceAll(/\{(\w+)\}/g, (whole, key: string) => values[key] ?? whole);
}

export function isWord(name: string): name is keyof Words {
  return name in en;
}
