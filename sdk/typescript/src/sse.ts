import { TakoError } from "./error.js";

/** A Server-Sent Event (WHATWG HTML, section 9.2). */
export interface Frame { id: string; name: string; data: string }

const longestFrame = 16 * 2 ** 20; // the server's are a hundredth of it
const lineCost = 64; // bytes that a line takes here beside its own

/** Reads events off a stream. One that the end cuts off does not count. after is the id before the first. */
export async function* frames(chunks: AsyncIterable<Uint8Array>, after = ""): AsyncGenerator<Frame, void, undefined> {
  const lines = new Lines();
  let id = after, name = "", size = 0, data: string[] = [];
  for await (const chunk of chunks) {
    for (const line of lines.feed(chunk)) {
      if (line === "") {
        if (data.length > 0) yield { id, name, data: data.join("\n") };
        name = ""; data = []; size = 0;
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue; // a comment
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      size += line.length + lineCost;
      if (field === "id" && !value.includes("\0")) id = value;
      else if (field === "event") name = value;
      else if (field === "data") data.push(value);
    }
    if (size + lines.pending > longestFrame) throw new TakoError("malformed", "an event is longer than 16 MiB");
  }
}

/** Makes lines of bytes. They end with LF, CR or both. */
class Lines {
  private readonly decoder = new TextDecoder(); // it takes a byte order mark off
  private parts: string[] = [];
  private afterCR = false;
  /** Characters of a line that has not ended. */
  pending = 0;

  *feed(chunk: Uint8Array): Generator<string, void, undefined> {
    let text = this.decoder.decode(chunk, { stream: true });
    if (text === "") return;
    if (this.afterCR && text.startsWith("\n")) text = text.slice(1);
    this.afterCR = text === "" ? false : text.endsWith("\r");
    const [first, ...more] = text.split(/\r\n|\r|\n/);
    this.parts.push(first);
    this.pending += first.length;
    for (const next of more) {
      yield this.parts.join("");
      this.parts = [next];
      this.pending = next.length;
    }
  }
}
