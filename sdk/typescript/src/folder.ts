// Writes files into a folder and nowhere else. Names come from elsewhere.
import { randomBytes } from "node:crypto";
import { lstat, mkdir, open, realpath, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { UnsafePathError } from "./error.js";

/** The parts of a relative name with slashes; an UnsafePathError where it is another. */
export function partsOf(name: string, windows = process.platform === "win32"): string[] {
  const parts = typeof name === "string" ? name.split("/") : [];
  const bad = parts.length === 0 || parts.some((p) => ["", ".", ".."].includes(p)) || /[\\\x00-\x1f\x7f]/.test(name)
    || windows && (/[<>:"|?*]/.test(name) || parts.some((p) => /[. ]$/.test(p))); // it gives them a meaning
  if (bad) throw new UnsafePathError(`the name ${JSON.stringify(name)} would lead out of its folder`);
  return parts;
}

/** Writes a file, which takes its name, and another's place, when all of it is there; not where chunks end in an error. Answers
 * its path. Both folder and the folders of the name are made where they are not there. */
export async function create(folder: string, name: string, chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts = partsOf(name);
  await mkdir(folder, { recursive: true });
  const directory = await inside(await realpath(folder), parts.slice(0, -1), name);
  const temporary = join(directory, `.tako-${randomBytes(8).toString("hex")}`);
  const out = await open(temporary, "wx"); // not what is there already, and no link
  try {
    try { for await (const chunk of chunks) await out.writeFile(chunk); } finally { await out.close(); }
    await rename(temporary, join(directory, parts.at(-1)!));
  } catch (e) {
    await unlink(temporary);
    throw e;
  }
  return join(folder, ...parts);
}

/** The directory of a file. What is in the folder already is not followed where it is a link. */
async function inside(folder: string, parts: string[], name: string): Promise<string> {
  let at = folder;
  for (const part of parts) {
    at = join(at, part);
    await mkdir(at).catch((e: NodeJS.ErrnoException) => { if (e.code !== "EEXIST") throw e; });
    if ((await lstat(at)).isSymbolicLink()) {
      throw new UnsafePathError(`${JSON.stringify(part)} of ${JSON.stringify(name)} is a link that is in the folder already`);
    }
  }
  return at;
}
