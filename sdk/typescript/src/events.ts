import { TakoError } from "./error.js";

/** A Server-Sent Event. */
export interface Frame { id: string; name: string; data: string }

const longestFrame = 16 << 20;

/** Reads events off a stream. One that the end cuts off does not count. */
export async function* frames(chunks: AsyncIterable<Uint8Array>, after = ""): AsyncGenerator<Frame> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let rest = "", id = after, name = "", size = 0, data: string[] = [];
  for await (const chunk of chunks) {
    if ((size += chunk.length) > longestFrame) throw new TakoError("malformed", "an event is longer than 16 MiB");
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (let line of lines) {
      if (line.endsWith("\r")) line = line.slice(0, -1);
      if (line === "") {
        if (data.length > 0 || name) yield { id, name, data: data.join("\n") };
        name = ""; data = []; size = rest.length;
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "id") id = value;
      else if (field === "event") name = value;
      else if (field === "data") data.push(value);
    }
  }
}
