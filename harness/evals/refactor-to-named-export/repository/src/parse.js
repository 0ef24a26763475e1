export const UNITS = ['cm', 'mm'];

const parse = (text) => {
  const [kind, ...sizes] = text.split(' ');
  const [a, b] = sizes.map(Number);
  return kind === 'circle' ? { kind, radius: a } : { kind, width: a, height: b };
};

export { parse as default };
