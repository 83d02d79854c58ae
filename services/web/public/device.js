// A browser's User-Agent header in words, as its user would call it. What is not known is said as it stands, cut short.

// In this order: most name others, too.
const PROGRAMS = [
  [/\bEdgA?\//, 'Edge'], [/\bOPR\//, 'Opera'], [/\bSamsungBrowser\//, 'Samsung Internet'], [/\bVivaldi\//, 'Vivaldi'],
  [/\b(Firefox|FxiOS)\//, 'Firefox'], [/\b(Chrome|CriOS|HeadlessChrome)\//, 'Chrome'], [/\bVersion\/.*Safari\//, 'Safari'],
];
const SYSTEMS = [
  [/\biPhone\b/, 'iPhone'], [/\biPad\b/, 'iPad'], [/\bAndroid\b/, 'Android'], [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b/, 'macOS'], [/\bCrOS\b/, 'ChromeOS'], [/\bLinux\b/, 'Linux'],
];
const LONGEST = 40;

const firstOf = (table, text) => table.find(([pattern]) => pattern.test(text))?.[1];

// {words, kind}; kind: 'phone', 'computer', or 'other' for what is no browser.
export function describeDevice({ userAgent, label }) {
  if (label === 'link') return { words: 'Link for another device', kind: 'other' };
  const program = firstOf(PROGRAMS, userAgent);
  const system = firstOf(SYSTEMS, userAgent);
  const kind = /\bMobi|\biPhone\b|\biPad\b|\bAndroid\b/.test(userAgent) ? 'phone' : system ? 'computer' : 'other';
  const words = program && system ? `${program} on ${system}` : (program ?? system ?? userAgent.slice(0, LONGEST)) || 'Unknown device';
  return { words: label ? `${label} (${words})` : words, kind };
}

const UNITS = [['day', 86_400], ['hour', 3_600], ['minute', 60]];
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

// 'just now', '5 minutes ago', 'yesterday'.
export function ago(time, now = Date.now()) {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  const unit = UNITS.find(([, length]) => seconds >= length);
  return unit ? relative.format(-Math.floor(seconds / unit[1]), unit[0]) : 'just now';
}
