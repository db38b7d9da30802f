// Writes files into a folder and nowhere else. Names come from elsewhere.
import { randomBytes } from "node:crypto";
import { constants, existsSync, type BigIntStats } from "node:fs";
import { lstat, mkdir, open, realpath, rename, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { UnsafePathError, halved } from "./error.js";

const devices = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\.|$)/i;

/** The parts of a relative name with slashes; an UnsafePathError where it is another. */
export function partsOf(name: string, windows = process.platform === "win32"): string[] {
  const parts = typeof name === "string" ? name.split("/") : [];
  const bad = parts.length === 0 || parts.some((p) => ["", ".", ".."].includes(p)) || /[\\\x00-\x1f\x7f]/.test(name)
    || windows && (/[<>:"|?*]/.test(name) || parts.some((p) => /[. ]$/.test(p) || devices.test(p))); // it gives them a meaning
  if (bad) throw new UnsafePathError(`the name ${typeof name === "string" ? JSON.stringify(name) : "that is no text"} would lead out of its folder`);
  if (halved(name)) throw new UnsafePathError(`the name ${JSON.stringify(name)} holds half a character`);
  return parts;
}

/** Linux has a name for what is held open, whatever became of the name that it was opened by. */
const proc = "/proc/self/fd";

/** Writes a file, which takes its name, and another's place, when all of it is there; not where chunks end in an error. Answers
 * its path. Both folder and the folders of the name are made where they are not there. */
export async function create(folder: string, name: string, chunks: AsyncIterable<Uint8Array>, held = existsSync(proc)): Promise<string> {
  const parts = partsOf(name);
  await mkdir(folder, { recursive: true });
  const directory = new Directory(name, held);
  try {
    await directory.open(await realpath(folder));
    for (const part of parts.slice(0, -1)) await directory.enter(part);
    await directory.write(parts.at(-1)!, chunks);
  } finally { await directory.close(); }
  return join(folder, ...parts);
}

/** The directory that a file is written to. Where it is held, nobody can put a link in its place; elsewhere this is found out
 * before anything is written and before the file takes its name. */
class Directory {
  private path = "";
  private handle: FileHandle | undefined;
  private known: BigIntStats | undefined;
  constructor(private readonly name: string, private readonly held: boolean) {}

  /** The path of what is in it. */
  private at(part: string): string { return join(this.handle ? join(proc, String(this.handle.fd)) : this.path, part); }

  /** Begins with a directory that is believed. */
  async open(path: string): Promise<void> {
    if (this.held) this.handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    this.path = path;
    this.known = await this.handle?.stat({ bigint: true }) ?? await lstat(path, { bigint: true });
  }

  /** Goes into one that is in it, and is made where it is not there. What is there already is not followed where it is a link. */
  async enter(part: string): Promise<void> {
    const inner = this.at(part);
    await mkdir(inner).catch((e: NodeJS.ErrnoException) => { if (e.code !== "EEXIST") throw e; });
    const found = await lstat(inner, { bigint: true });
    if (!found.isDirectory()) throw this.taken(part, found.isSymbolicLink() ? "link" : "file");
    if (this.handle) {
      const next = await open(inner, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
      await this.handle.close();
      this.handle = next;
    }
    this.path = join(this.path, part);
    this.known = await this.handle?.stat({ bigint: true }) ?? found;
  }

  /** Writes a file under a name of its own, and then gives it its name. */
  async write(part: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const place = this.at(part), temporary = this.at(`.tako-${randomBytes(8).toString("hex")}`);
    const there = await lstat(place).catch((e: NodeJS.ErrnoException) => { if (e.code !== "ENOENT") throw e; });
    if (there?.isDirectory()) throw this.taken(part, "folder");
    const out = await open(temporary, "wx"); // not what is there already, and no link
    try {
      try {
        await this.check();
        for await (const chunk of chunks) await out.writeFile(chunk);
      } finally { await out.close(); }
      await this.check();
      await rename(temporary, place);
    } catch (e) {
      await unlink(temporary).catch(() => {}); // the directory may be gone; e says so
      throw e;
    }
  }

  /** Throws where its path does not lead to it any more. */
  private async check(): Promise<void> {
    const found = await lstat(this.path, { bigint: true }).catch(() => undefined), known = this.known!;
    if (found?.dev === known.dev && found.ino === known.ino) return;
    throw new UnsafePathError(`the folder of ${JSON.stringify(this.name)} was moved while the file was written`);
  }

  private taken(part: string, what: string): UnsafePathError {
    return new UnsafePathError(`${JSON.stringify(part)} of ${JSON.stringify(this.name)} is a ${what} that is in the folder already`);
  }

  async close(): Promise<void> { await this.handle?.close(); }
}
