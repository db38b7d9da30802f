import { amount, type TakoError } from "./error.js";

/** Seconds that a clock can be set to: one that is set to more rings at once. */
export const longestClock = (2 ** 31 - 1) / 1000;

/** Waits so many seconds, or throws the signal's reason. */
export async function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  for (; seconds > longestClock; seconds -= longestClock) await clock(longestClock, signal);
  await clock(seconds, signal);
}

function clock(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    if (signal?.aborted) return fail(signal.reason);
    const stop = () => { clearTimeout(timer); fail(signal!.reason); };
    const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); done(); }, seconds * 1000);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Seconds on a clock that nobody sets. */
export function now(): number { return performance.now() / 1000; }

/** For how long something that goes on is tried again without success. */
export class Patience {
  private readonly seconds: number;
  private until = 0;
  private tries = 0;
  /** After end, on the clock of now(), it is over whatever happens. */
  constructor(seconds: number, private readonly end = Infinity) {
    this.seconds = amount("patience", seconds);
    this.renew();
  }

  /** Called after a success. */
  renew(): void {
    this.until = now() + this.seconds;
    this.tries = 0;
  }

  /** Waits before the next try: as long as the server wants, else a tenth of a second, doubled each time and a little at
   * random, so that clients do not come back together. Throws the error where patience is at its end. */
  async pause(error: TakoError, signal?: AbortSignal): Promise<void> {
    const wait = error.retryAfter || Math.min(0.1 * 2 ** this.tries, 5) * (0.75 + Math.random() / 2);
    this.tries = Math.min(this.tries + 1, 10);
    if (now() + wait > Math.min(this.until, this.end)) throw error;
    await sleep(wait, signal);
  }
}
