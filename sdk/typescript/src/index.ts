export * from "./client.js";
export * from "./error.js";
export { frames, type Frame } from "./events.js";
