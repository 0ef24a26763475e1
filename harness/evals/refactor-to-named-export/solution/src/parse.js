export const UNITS = ['cm', 'mm'];

export const parse = (text) => {
  const [kind, ...sizes] = text.split(' ');
  const [a, b] = sizes.map(Number);
  return kind === 'circle' ? { kind, radius: a } : { kind, width: a, height: b };
};
