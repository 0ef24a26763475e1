import { Canvas } from './Canvas.js';
import { UNITS, parse } from './parse.js';

export function total(lines, unit = UNITS[0]) {
  const drawing = new Canvas();
  for (const line of lines) drawing.add(parse(line));
  return `${drawing.covered().toFixed(1)} ${unit}²`;
}

export const lazily = async () => (await import('./area.js')).area;
