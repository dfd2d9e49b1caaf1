// Numbers for people. The element that shows one has the exact value in its title.

const kGroup = new Intl.NumberFormat('en-US');

export function exact(number) {
  return kGroup.format(number);
}

// 12,345 up to a million, then 1.23 M.
export function count(number) {
  if (number < 1e6) return kGroup.format(number);
  if (number < 1e9) return digits(number / 1e6) + ' M';
  return digits(number / 1e9) + ' G';
}

function digits(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

// In PostgreSQL's units: 1 kB is 1024 B.
export function bytes(number) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = number;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return (unit === 0 ? Math.round(value) : digits(value)) + ' ' + units[unit];
}

function millis(value) {
  return String(Number(value.toPrecision(2)));
}

// 0.31 ms, 3.1 ms, 0.85 s, 41 s, 12 min 5 s, 4 h 12 min, 3 d 4 h.
export function duration(seconds) {
  const s = Math.max(0, seconds);
  if (s < 0.0995) return millis(s * 1000) + ' ms';
  if (s < 10) return s.toFixed(2) + ' s';
  if (s < 60) return Math.floor(s) + ' s';
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = parts.findIndex(([size]) => s >= size);
  const [size, unit] = parts[first];
  const [smaller, smallerUnit] = parts[first + 1];
  const rest = Math.floor((s % size) / smaller);
  return Math.floor(s / size) + ' ' + unit + (rest ? ' ' + rest + ' ' + smallerUnit : '');
}

// Whole seconds below a minute: fractions would flicker.
export function age(seconds) {
  return seconds < 60 ? Math.max(0, Math.floor(seconds)) + ' s' : duration(seconds);
}

export function ago(seconds) {
  return seconds < 1 ? 'just now' : age(seconds) + ' ago';
}

export function secondsBetween(earlier, later) {
  return (Date.parse(later) - Date.parse(earlier)) / 1000;
}

const kClock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false,
});
const kDay = new Intl.DateTimeFormat(undefined, {day: 'numeric', month: 'short'});

// The reader's time of day; with the date if it is not today.
export function clock(time, now) {
  const date = new Date(time);
  const today = new Date(now).toDateString() === date.toDateString();
  return (today ? '' : kDay.format(date) + ' ') + kClock.format(date);
}

export function plural(number, one, many) {
  return count(number) + ' ' + (number === 1 ? one : many || one + 's');
}

// 'no_load_balance' -> 'no load balance'
export function words(name) {
  return name.replaceAll('_', ' ');
}
