import type { Reply } from "./reply.js";

const silence = 60; // seconds between two parts of a file

/** A file on its way. It is read once: as bytes, as text, or bit by bit with for await. One that breaks off is an error;
 * bytes() and text() hold it against its digest, too, and so does saveArtifact() of tako-vm/node. */
export class Download implements AsyncIterable<Uint8Array> {
  constructor(private readonly reply: Reply, readonly name: string) {}
  /** In bytes; undefined where the server does not say, or says how long it is while it is compressed. */
  get size(): number | undefined {
    const said = this.reply.header("Content-Length");
    return /^\d{1,15}$/.test(said) && !this.reply.header("Content-Encoding") ? Number(said) : undefined;
  }
  get contentType(): string { return this.reply.header("Content-Type"); }
  /** In hexadecimal digits; empty where the server does not say. */
  get sha256(): string {
    const tag = this.reply.header("ETag").replaceAll('"', "");
    return /^[0-9a-f]{64}$/.test(tag) ? tag : "";
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> { return this.reply.chunks(silence); }

  /** All of it; at most 128 MiB. */
  async bytes(): Promise<Uint8Array> {
    const all = await this.reply.bytes(silence);
    if (this.sha256) this.check(hex(await crypto.subtle.digest("SHA-256", all)));
    return all;
  }

  async text(): Promise<string> { return new TextDecoder().decode(await this.bytes()); }

  /** Throws where the digest of what was read is not the file's. */
  check(digest: string): void {
    if (this.sha256 && digest !== this.sha256) throw this.reply.malformed(`${JSON.stringify(this.name)} is damaged`);
  }

  /** Ends a download that is not read to its end. */
  close(): Promise<void> { return this.reply.close(); }
}

export function hex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
}
