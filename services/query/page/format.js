// Numbers and times as people read them. Pure: the same in, the same out. Null is what the provider does not say.

export const NOTHING = "–";
const LOCALE = "en";
const MINUS = "\u2212";

const fixed = [0, 1, 2, 3, 4, 5, 6].map(
  (digits) => new Intl.NumberFormat(LOCALE, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
const small = new Intl.NumberFormat(LOCALE, {
  minimumSignificantDigits: 4,
  maximumSignificantDigits: 4,
  maximumFractionDigits: 12,
});
const short = new Intl.NumberFormat(LOCALE, { notation: "compact", minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat(LOCALE);

/** A price: as many digits as tell two ticks apart, and the same number of them for prices of one size. */
export function price(value) {
  if (value === null || value === undefined) return NOTHING;
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-6) return exponent(value);
  if (size < 0.1) return small.format(value);
  return fixed[size >= 100 ? 2 : size >= 1 ? 4 : 5].format(value);
}

/** A price with its unit. */
export function dollars(value) {
  return value === null || value === undefined ? NOTHING : `$${price(value)}`;
}

/** A large amount, shortened: 1.32T. */
export function compact(value) {
  if (value === null || value === undefined) return NOTHING;
  const size = Math.abs(value);
  if (size >= 1e15) return exponent(value);
  return size < 1_000 && Number.isInteger(value) ? whole.format(value) : short.format(value);
}

/** The same in dollars. */
export function compactDollars(value) {
  return value === null || value === undefined ? NOTHING : `$${compact(value)}`;
}

/** A count. */
export function count(value) {
  return value === null || value === undefined ? NOTHING : whole.format(value);
}

/** Per cent with a sign: colour is never the only one to tell. */
export function percent(value) {
  if (value === null || value === undefined) return NOTHING;
  const size = Math.abs(value);
  const digits = size >= 10_000 ? short.format(size) : fixed[size >= 1_000 ? 0 : 2].format(size);
  if (Number(fixed[2].format(Math.min(size, 1))) === 0) return `${fixed[2].format(0)}%`;
  return `${value > 0 ? "+" : MINUS}${digits}%`;
}

/** Which way: up, down or flat, also for what rounds to nothing. */
export function direction(value) {
  if (value === null || value === undefined || Math.abs(value) < 0.005) return "flat";
  return value > 0 ? "up" : "down";
}

export const ARROWS = { up: "▲", down: "▼", flat: "" };

/** How long, in one unit: 12 s, 5 min, 3 h, 8 d. */
export function age(ms) {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}

/** A length of time: 230 ms, 1.4 s, 3 min. */
export function duration(ms) {
  if (ms === null || ms === undefined) return NOTHING;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 100_000 ? `${fixed[1].format(ms / 1_000)} s` : age(ms);
}

const dayAndTime = new Intl.DateTimeFormat(LOCALE, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23", // midnight is 00, which hour12 calls 24
});
const dayOnly = new Intl.DateTimeFormat(LOCALE, { year: "numeric", month: "short", day: "numeric" });
const timeOnly = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayShort = new Intl.DateTimeFormat(LOCALE, { month: "short", day: "numeric" });

/** When a candle began, by the reader's own clock; one of a whole day by its date. */
export function moment(ms, { day = false } = {}) {
  return (day ? dayOnly : dayAndTime).format(ms);
}

/** A mark on a time axis: the hour, or at midnight the day. */
export function tick(ms, step) {
  const at = new Date(ms);
  const midnight = at.getHours() === 0 && at.getMinutes() === 0;
  return step >= 86_400_000 || midnight ? dayShort.format(at) : timeOnly.format(at);
}

/** Words of the API as words: other_asset is "other asset". */
export function words(code) {
  return code.replaceAll("_", " ");
}

function exponent(value) {
  return value.toExponential(2).replace("e+", "e").replace("-", MINUS);
}
