import Drawing from './Canvas.js';
import read, { UNITS } from './parse.js';

export function total(lines, unit = UNITS[0]) {
  const drawing = new Drawing();
  for (const line of lines) drawing.add(read(line));
  return `${drawing.covered().toFixed(1)} ${unit}²`;
}

export const lazily = async () => (await import('./area.js')).default;
