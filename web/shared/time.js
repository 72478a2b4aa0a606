// Times as people read them: in their own zone, and no finer than it helps.

const two = (number) => String(number).padStart(2, '0');

export const minute = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;
export const second = (at) => `${minute(at)}:${two(at.getSeconds())}`;

// The time alone today, with its date on any other day.
export function moment(text) {
  const at = new Date(text);
  const today = at.toDateString() === new Date().toDateString();
  if (today) return second(at);
  return `${at.toLocaleDateString([], { day: 'numeric', month: 'short' })} ${minute(at)}`;
}

export function took(ms) {
  if (ms < 100) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${(ms / 3_600_000).toFixed(1)} h`;
}

const UTC = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC/g;

// Nova's sentences name times in UTC.
export const inOwnZone = (says) => says.replace(UTC, (_, day, time) => moment(`${day}T${time}Z`));
