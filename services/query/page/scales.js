// From values to places and to the marks beside them. Pure.

/** A function from a value between `low` and `high` to a place between `from` and `to`. */
export function linear([low, high], [from, to]) {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

/** Round values between low and high, about so many, at 1, 2 or 5 times a power of ten. */
export function roundValues(low, high, about) {
  if (!(high > low)) return [low];
  const rough = (high - low) / Math.max(1, about);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((each) => each >= rough);
  const [first, last] = [Math.ceil(low / step), Math.floor(high / step)];
  // Beyond 2^53 steps from nothing a double has no next one: prices that differ in their last bit alone get no marks between.
  if (!(Math.max(Math.abs(first), Math.abs(last)) <= Number.MAX_SAFE_INTEGER)) return [low];
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [1, 5, 10, 15, 30]
  .map((n) => n * MINUTE)
  .concat(
    [1, 2, 3, 6, 12].map((n) => n * HOUR),
    [1, 2, 7, 14, 28, 91, 182, 364].map((n) => n * DAY),
  );

/** Times between two others at round hours of the reader's own day, at most so many, and the step between them. */
export function roundTimes(from, to, most) {
  const step = STEPS.find((each) => (to - from) / each <= most) ?? STEPS.at(-1);
  const shift = new Date(from).getTimezoneOffset() * MINUTE;
  const times = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) times.push(at);
  return { times, step };
}
