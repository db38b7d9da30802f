import { halved, invalid } from "./error.js";

/** A path of an address: what is put in is one part of it each. */
export function path(words: TemplateStringsArray, ...names: string[]): string {
  return words.reduce((all, word, n) => all + part(names[n - 1]) + word);
}

function part(name: unknown): string {
  // Empty parts and dots would make another path of it on the way.
  if (typeof name !== "string" || /^\.*$/.test(name)) throw invalid(`${shown(name)} is no id and no name`);
  return encode(name);
}

/** The name of an artifact in a path: slashes part it. */
export function artifactPath(id: string, name: string): string {
  const parts = typeof name === "string" ? name.split("/") : [];
  if (parts.length === 0 || parts.some((p) => /^\.*$/.test(p))) throw invalid(`${shown(name)} is no name of an artifact`);
  return `${path`/jobs/${id}/artifacts`}/${parts.map(encode).join("/")}`;
}

/** Not every value can be written as JSON. */
function shown(name: unknown): string { return typeof name === "string" ? JSON.stringify(name) : `what is no text (${typeof name})`; }

function encode(text: string): string {
  try { return encodeURIComponent(text); } catch { throw invalid(`${JSON.stringify(text)} holds half a character`); }
}

export type Query = Record<string, string | number | boolean | string[] | undefined>;

/** A query of what was said, with its "?". */
export function queryOf(values: Query = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const each of Array.isArray(value) ? value : [value]) if (each !== undefined) query.append(name, whole(String(each)));
  }
  return query.size > 0 ? `?${query}` : "";
}

function whole(text: string): string {
  if (halved(text)) throw invalid(`${JSON.stringify(text)} holds half a character`);
  return text;
}
