/**
 * Milliseconds since some moment, never going back. Not `performance.now()`: its first use loads a part of Node.js that
 * takes longer than all else that a cached build does before its first step.
 */
export function milliseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}
